//! One open event stream of a VU, read all the time so that no event and no end of the stream is seen late.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Instant;

use tokio::task::AbortHandle;

use super::http::Connection;
use super::why;
use crate::measure::FailureKind;
use crate::scenario::sse::{Event, MAX_EVENT_BYTES, Parser};

/// Events that nobody has waited for yet and that are kept; older ones are forgotten.
const MAX_EVENTS: usize = 1024;

/// An event and when its last byte came.
pub(super) struct Arrived {
    pub(super) event: Event,
    pub(super) at: Instant,
}

/// Closing is dropping: the reading task and its connection go with it.
pub(super) struct Stream {
    inbox: Rc<RefCell<Inbox>>,
    reader: AbortHandle,
}

#[derive(Default)]
struct Inbox {
    events: VecDeque<Arrived>,
    bytes: usize,
    /// How many events have come in all; the last in `events` has the number `seen - 1`.
    seen: usize,
    /// Why it ended, with the words for it.
    ended: Option<(FailureKind, Option<String>)>,
    waiter: Option<Waker>,
}

impl Stream {
    /// Begins to read a stream whose head was read from `connection`.
    pub(super) fn start(connection: Connection) -> Self {
        let inbox = Rc::new(RefCell::new(Inbox::default()));
        let reader = tokio::task::spawn_local(read(connection, Rc::clone(&inbox)));
        Self {
            inbox,
            reader: reader.abort_handle(),
        }
    }

    /// Waits for the first event that `wanted` accepts and takes it; the others stay for later waits.
    ///
    /// Fails when the stream has ended and no event that came before will do.
    pub(super) async fn find(
        &self,
        mut wanted: impl FnMut(&Event) -> bool,
    ) -> Result<Arrived, FailureKind> {
        let mut looked_at = 0;
        std::future::poll_fn(|cx| {
            let mut inbox = self.inbox.borrow_mut();
            let first = inbox.seen - inbox.events.len();
            let from = looked_at.max(first) - first;
            let found = inbox.events.range(from..).position(|a| wanted(&a.event));
            if let Some(arrived) = found.and_then(|i| inbox.take(from + i)) {
                return Poll::Ready(Ok(arrived));
            }
            looked_at = inbox.seen;
            if let Some((kind, text)) = &inbox.ended {
                let text = text.as_deref().unwrap_or("the stream ended");
                return Poll::Ready(Err(why::note(*kind, text)));
            }
            inbox.waiter = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Inbox {
    fn push(&mut self, event: Event, at: Instant) {
        self.bytes += size(&event);
        self.seen += 1;
        self.events.push_back(Arrived { event, at });
        while self.events.len() > MAX_EVENTS
            || (self.bytes > MAX_EVENT_BYTES && self.events.len() > 1)
        {
            self.take(0);
        }
    }

    fn take(&mut self, index: usize) -> Option<Arrived> {
        let arrived = self.events.remove(index)?;
        self.bytes -= size(&arrived.event);
        Some(arrived)
    }

    fn wake(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }
}

fn size(event: &Event) -> usize {
    event.name.len() + event.data.len()
}

async fn read(mut connection: Connection, inbox: Rc<RefCell<Inbox>>) {
    let mut parser = Parser::default();
    let ended = connection
        .stream(|bytes, at| {
            let mut inbox = inbox.borrow_mut();
            let before = inbox.seen;
            let fed = parser.feed(bytes, |event| inbox.push(event, at));
            if inbox.seen > before {
                inbox.wake();
            }
            fed.map_err(|_| {
                why::note(
                    FailureKind::Protocol,
                    "the stream holds a line or an event that is too large",
                )
            })
        })
        .await;
    let mut inbox = inbox.borrow_mut();
    inbox.ended = Some((ended, why::take(ended).map(|words| words.whole())));
    inbox.wake();
}
