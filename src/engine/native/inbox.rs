//! What came for a VU on a connection that it holds, until it waits for it: events of a stream, messages of a WebSocket.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::task::{Poll, Waker};
use std::time::Instant;

use super::why::{self, Words};
use crate::measure::FailureKind;
use crate::scenario::sse::MAX_EVENT_BYTES;

/// Events that nobody has waited for yet and that are kept; older ones are forgotten.
const MAX_EVENTS: usize = 1024;

/// Something that is waited for.
pub(super) trait Waited {
    /// How many bytes of it are kept.
    fn size(&self) -> usize;
}

/// An event and when its last byte came.
pub(super) struct Arrived<T> {
    pub(super) event: T,
    pub(super) at: Instant,
}

/// Events that came, and the one who waits for another.
pub(super) struct Inbox<T> {
    events: VecDeque<Arrived<T>>,
    bytes: usize,
    /// How many events have come in all; the last in `events` has the number `seen - 1`.
    seen: usize,
    /// Why it ended, with the words for it.
    ended: Option<(FailureKind, Option<String>)>,
    waiter: Option<Waker>,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            seen: 0,
            ended: None,
            waiter: None,
        }
    }
}

impl<T: Waited> Inbox<T> {
    /// Keeps what came; those that were kept longest make room.
    pub(super) fn push(&mut self, event: T, at: Instant) {
        self.bytes += event.size();
        self.seen += 1;
        self.events.push_back(Arrived { event, at });
        while self.events.len() > MAX_EVENTS
            || (self.bytes > MAX_EVENT_BYTES && self.events.len() > 1)
        {
            self.take(0);
        }
    }

    fn take(&mut self, index: usize) -> Option<Arrived<T>> {
        let arrived = self.events.remove(index)?;
        self.bytes -= arrived.event.size();
        Some(arrived)
    }

    /// Nothing more will come.
    pub(super) fn end(&mut self, kind: FailureKind, words: Option<Words>) {
        self.ended = Some((kind, words.map(|words| words.whole())));
        self.wake();
    }

    /// Wakes whoever waits, to look again.
    pub(super) fn wake(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            waiter.wake();
        }
    }

    /// Why nothing more will come, once that is so.
    pub(super) fn ending(&self) -> Option<FailureKind> {
        let (kind, text) = self.ended.as_ref()?;
        let text = text.as_deref().unwrap_or("the stream ended");
        Some(why::note(*kind, text))
    }
}

/// Waits for the first event that `wanted` accepts and takes it; the others stay for later waits.
///
/// Fails when nothing more comes and no event that came before will do.
pub(super) async fn find<T: Waited>(
    inbox: &RefCell<Inbox<T>>,
    mut wanted: impl FnMut(&T) -> bool,
) -> Result<Arrived<T>, FailureKind> {
    let mut looked_at = 0;
    std::future::poll_fn(|cx| {
        let mut inbox = inbox.borrow_mut();
        let first = inbox.seen - inbox.events.len();
        let from = looked_at.max(first) - first;
        let found = inbox.events.range(from..).position(|a| wanted(&a.event));
        if let Some(arrived) = found.and_then(|i| inbox.take(from + i)) {
            return Poll::Ready(Ok(arrived));
        }
        looked_at = inbox.seen;
        if let Some(kind) = inbox.ending() {
            return Poll::Ready(Err(kind));
        }
        inbox.waiter = Some(cx.waker().clone());
        Poll::Pending
    })
    .await
}
