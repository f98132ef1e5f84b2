//! Connections that several VUs of a thread share.
//!
//! Each is moved by a task of its own. It reads once per turn and then lets those come to theirs
//! whom that woke, so that they find the time of the read that woke them.

use std::cell::{Cell, RefCell};
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use bytes::Bytes as Piece;
use h2::client::{Connection, SendRequest};
use tokio::sync::OnceCell;
use tokio::task::AbortHandle;

use super::wire::{Bytes, Wire};
use super::{Http2, Link, SharedEnd, open};
use crate::engine::native::http::Channel;
use crate::engine::native::http::connect::Reached;
use crate::measure::FailureKind;
use crate::scenario::Origin;

/// The connections of a thread.
#[derive(Default)]
pub(in crate::engine::native::http) struct Pool {
    slots: RefCell<Vec<Weak<Slot>>>,
}

/// A connection, or the place of one that is being made.
struct Slot {
    tls: bool,
    authority: String,
    users: Cell<u32>,
    opened: OnceCell<Opened>,
}

/// A connection that was made.
struct Opened {
    send: SendRequest<Piece>,
    bytes: Rc<Bytes>,
    ended: SharedEnd,
    /// Streams that the server allows at once.
    room: Rc<Cell<usize>>,
    reached: Reached,
    task: AbortHandle,
}

impl Opened {
    /// Whether the server still takes requests.
    fn takes_more(&self) -> bool {
        let quiet = &mut Context::from_waker(Waker::noop());
        let ready = self.send.clone().poll_ready(quiet);
        self.ended.borrow().is_none() && !matches!(ready, Poll::Ready(Err(_)))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One's part of a connection.
pub(super) struct Lease(Rc<Slot>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.users.set(self.0.users.get() - 1);
    }
}

impl Lease {
    pub(super) fn ended(&self) -> SharedEnd {
        let opened = self.0.opened.get();
        opened.map_or_else(SharedEnd::default, |opened| Rc::clone(&opened.ended))
    }
}

/// What was connected to: a channel on which HTTP/2 is spoken, or whatever else.
pub(in crate::engine::native::http) enum Connected<T> {
    Http2(Channel, Reached),
    Else(T),
}

/// Why there is no part of a shared connection.
pub(in crate::engine::native::http) enum NotShared<T> {
    Else(T),
    Failed(FailureKind),
}

impl Pool {
    /// Forgets what ended.
    fn sweep(&self) {
        self.slots
            .borrow_mut()
            .retain(|slot| slot.strong_count() > 0);
    }

    /// A place on a connection to an origin that has fewer users than `most`.
    fn place(&self, origin: &Origin, most: u32) -> Lease {
        self.sweep();
        let mut slots = self.slots.borrow_mut();
        let all = slots.iter().filter_map(Weak::upgrade);
        let mut fit = all.filter(|slot| slot.leads_to(origin) && slot.has_room(most));
        let slot = fit.next().unwrap_or_else(|| {
            let slot = Rc::new(Slot {
                tls: origin.tls,
                authority: origin.authority.clone(),
                users: Cell::new(0),
                opened: OnceCell::new(),
            });
            slots.push(Rc::downgrade(&slot));
            slot
        });
        slot.users.set(slot.users.get() + 1);
        Lease(slot)
    }

    /// One's part of a connection, which is made where there is none with room.
    pub(in crate::engine::native::http) async fn share<T>(
        &self,
        origin: &Origin,
        most: u32,
        connect: impl AsyncFnOnce() -> Result<Connected<T>, FailureKind>,
    ) -> Result<(Http2, Reached), NotShared<T>> {
        let lease = self.place(origin, most);
        let opened = lease.0.opened.get_or_try_init(async || {
            match connect().await.map_err(NotShared::Failed)? {
                Connected::Http2(channel, reached) => {
                    start(channel, reached).await.map_err(NotShared::Failed)
                }
                Connected::Else(other) => Err(NotShared::Else(other)),
            }
        });
        let opened = opened.await?;
        let (send, bytes) = (opened.send.clone(), Rc::clone(&opened.bytes));
        let reached = opened.reached.clone();
        Ok((
            Http2::new(Link::Shared(lease), send, bytes, origin),
            reached,
        ))
    }
}

impl Slot {
    fn leads_to(&self, origin: &Origin) -> bool {
        self.tls == origin.tls && self.authority == origin.authority
    }

    fn has_room(&self, most: u32) -> bool {
        let users = self.users.get();
        match self.opened.get() {
            None => users < most,
            Some(opened) => {
                let room = u32::try_from(opened.room.get()).unwrap_or(u32::MAX);
                users < most.min(room.max(1)) && opened.takes_more()
            }
        }
    }
}

/// Begins to move the frames of a connection.
async fn start(channel: Channel, reached: Reached) -> Result<Opened, FailureKind> {
    let (send, connection, bytes) = open(channel).await?;
    let ended = SharedEnd::default();
    let room = Rc::new(Cell::new(usize::MAX));
    let driven = Driven {
        connection,
        bytes: Rc::clone(&bytes),
        ended: Rc::clone(&ended),
        room: Rc::clone(&room),
    };
    let task = tokio::task::spawn_local(driven.run()).abort_handle();
    Ok(Opened {
        send,
        bytes,
        ended,
        room,
        reached,
        task,
    })
}

/// A connection whose frames a task moves.
struct Driven {
    connection: Connection<Wire, Piece>,
    bytes: Rc<Bytes>,
    ended: SharedEnd,
    room: Rc<Cell<usize>>,
}

impl Driven {
    async fn run(mut self) {
        let ended = poll_fn(|cx| {
            self.bytes.begin_turn(cx.waker());
            let polled = Pin::new(&mut self.connection).poll(cx);
            self.room.set(self.connection.max_concurrent_send_streams());
            if polled.is_pending() && self.bytes.had_read() {
                // Whom this woke comes first.
                cx.waker().wake_by_ref();
            }
            polled
        });
        let ended = ended.await;
        self.ended.replace(Some(ended));
    }
}
