//! The bytes below a connection of HTTP/2, which remember when they came.
//!
//! A read is handed up once per turn: what the frames of one read made of the connection is looked
//! at before the next read, so that whatever is complete by then has the time of the read that
//! completed it.

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::engine::native::http::Channel;
use crate::engine::native::socket::Arrivals;
use crate::engine::native::watch;

/// Bytes that are kept of the beginning of what a server sends: it may be no HTTP/2.
const FIRST: usize = 40;

/// What whoever drives the connection knows of its bytes.
pub(super) struct Bytes {
    /// Whom the socket wakes.
    waker: RefCell<Waker>,
    /// Whether this turn had its read.
    had_read: Cell<bool>,
    arrivals: Cell<Arrivals>,
    received: Cell<u64>,
    first: RefCell<Vec<u8>>,
    /// Whether the kernel once did not take at once what was written since this was last asked.
    held_up: Cell<bool>,
    /// Whether anything was written since the last request began to be sent.
    wrote: Cell<bool>,
}

impl Bytes {
    /// A turn begins: one read may be made in it, and this is whom the socket wakes where there is
    /// nothing to read.
    pub(super) fn begin_turn(&self, waker: &Waker) {
        self.had_read.set(false);
        self.waker.borrow_mut().clone_from(waker);
    }

    /// Whether there may be more to read.
    pub(super) fn had_read(&self) -> bool {
        self.had_read.get()
    }

    /// When the last bytes came.
    pub(super) fn arrivals(&self) -> Arrivals {
        self.arrivals.get()
    }

    /// Bytes that were read, without those of TLS.
    pub(super) fn received(&self) -> u64 {
        self.received.get()
    }

    /// The first bytes that came.
    pub(super) fn first(&self) -> Vec<u8> {
        self.first.borrow().clone()
    }

    /// A request begins to be sent.
    pub(super) fn sending(&self) {
        watch::sending();
        self.held_up.set(false);
        self.wrote.set(false);
    }

    /// Whether nothing of the request was written that began to be sent last.
    pub(super) fn wrote_nothing(&self) -> bool {
        !self.wrote.get()
    }

    fn came(&self, bytes: &[u8], arrivals: Arrivals) {
        self.had_read.set(true);
        self.arrivals.set(arrivals);
        let before = self.received.get();
        self.received.set(before + bytes.len() as u64);
        if before < FIRST as u64 {
            let mut first = self.first.borrow_mut();
            let room = FIRST - first.len();
            first.extend_from_slice(&bytes[..room.min(bytes.len())]);
        }
    }
}

/// A channel that `h2` reads and writes.
pub(super) struct Wire {
    channel: Channel,
    bytes: Rc<Bytes>,
}

impl Wire {
    pub(super) fn new(channel: Channel) -> (Self, Rc<Bytes>) {
        let arrivals = channel.arrivals();
        let bytes = Rc::new(Bytes {
            waker: RefCell::new(Waker::noop().clone()),
            had_read: Cell::new(false),
            arrivals: Cell::new(Arrivals {
                read_late: Duration::ZERO,
                ..arrivals
            }),
            received: Cell::new(0),
            first: RefCell::default(),
            held_up: Cell::new(false),
            wrote: Cell::new(false),
        });
        let wire = Self {
            channel,
            bytes: Rc::clone(&bytes),
        };
        (wire, bytes)
    }

    /// Does something with the channel that wakes whom the socket is to wake, not whom `h2` would.
    fn with<T>(&mut self, ask: impl FnOnce(&mut Channel, &mut Context<'_>) -> Poll<T>) -> Poll<T> {
        let waker = self.bytes.waker.borrow();
        ask(&mut self.channel, &mut Context::from_waker(&waker))
    }

    /// The same of writing, which the kernel may hold up.
    fn writing<T>(
        &mut self,
        ask: impl FnOnce(&mut Channel, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let asked = self.with(ask);
        if asked.is_pending() && !self.bytes.held_up.replace(true) {
            watch::held_up();
        }
        asked
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.bytes.had_read() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        ready!(self.with(|channel, cx| channel.poll_fill(cx, buf)))?;
        let arrivals = self.channel.arrivals();
        self.bytes.came(&buf.filled()[before..], arrivals);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.bytes.wrote.set(true);
        self.writing(|channel, cx| channel.poll_write(cx, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing(Channel::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(Channel::poll_shutdown)
    }
}
