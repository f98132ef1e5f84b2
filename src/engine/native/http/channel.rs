//! What bytes go through: a socket, with TLS or without.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio_rustls::client::TlsStream;

use super::READ_SIZE;
use crate::engine::native::socket::{Arrivals, Socket};

/// What bytes go through.
pub(in crate::engine::native) enum Channel {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

thread_local! {
    /// What one read may bring: a thread reads from one connection at a time.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_SIZE].into_boxed_slice());
}

impl Channel {
    pub(in crate::engine::native) fn arrivals(&self) -> Arrivals {
        match self {
            Self::Plain(socket) => socket.arrivals(),
            Self::Tls(tls) => tls.get_ref().0.arrivals(),
        }
    }

    /// Reads once, hands on what came (nothing is the end) and when.
    pub(in crate::engine::native) fn poll_read<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&[u8], Instant) -> T,
    ) -> Poll<io::Result<T>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let read = match self {
                Self::Plain(socket) => ready!(socket.poll_receive(cx, scratch))?,
                Self::Tls(tls) => {
                    let mut buf = ReadBuf::new(scratch);
                    ready!(Pin::new(tls).poll_read(cx, &mut buf))?;
                    buf.filled().len()
                }
            };
            Poll::Ready(Ok(take(&scratch[..read], self.arrivals().at)))
        })
    }

    pub(in crate::engine::native) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_send(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    pub(in crate::engine::native) fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }
    /// Reads once into a buffer; nothing is the end.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, into),
            Self::Tls(tls) => Pin::new(tls).poll_read(cx, into),
        }
    }

    /// Says that nothing more will be written.
    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
