//! What came for a VU on a connection that it holds, until it waits for it: events of a stream,
//! messages of a WebSocket.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::task::{Poll, Waker};
use std::time::Instant;

use super::http::StreamEnd;
use super::why;
use crate::measure::FailureKind;
use crate::scenario::sse::MAX_EVENT_BYTES;
use crate::scenario::websocket::MOST_KEPT;

/// The same while somebody waits, who looks at them before more is read.
const MAX_UNSEEN: usize = 32 * 1024;

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

/// How what was held ended.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    how: StreamEnd,
    /// Why, where it failed.
    words: Option<String>,
    pub(super) at: Instant,
}

impl Ended {
    /// How one ended just now, with the words that were noted for it.
    pub(super) fn noted(how: StreamEnd, at: Instant) -> Self {
        let words = match how {
            StreamEnd::Failed(kind) => why::take(kind).map(|words| words.whole()),
            StreamEnd::Body | StreamEnd::Enough => None,
        };
        Self { how, words, at }
    }

    /// Whether all of it came.
    pub(super) fn is_clean(&self) -> bool {
        self.how == StreamEnd::Body
    }

    /// What a wait fails with for which nothing came before.
    pub(super) fn kind(&self) -> FailureKind {
        match self.how {
            StreamEnd::Failed(kind) => kind,
            StreamEnd::Body | StreamEnd::Enough => FailureKind::Eof,
        }
    }

    /// The same, with its words noted.
    pub(super) fn failure(&self) -> FailureKind {
        let words = self.words.as_deref().unwrap_or("the stream ended");
        why::note(self.kind(), words)
    }
}

/// Events that came, and the one who waits for another.
pub(super) struct Inbox<T> {
    events: VecDeque<Arrived<T>>,
    /// Events that nobody has waited for yet and that are kept; older ones are forgotten.
    most: usize,
    bytes: usize,
    /// How many events have come in all; the last in `events` has the number `seen - 1`.
    seen: usize,
    ended: Option<Ended>,
    waiter: Option<Waker>,
}

impl<T> Default for Inbox<T> {
    fn default() -> Self {
        Self::keeping(MOST_KEPT)
    }
}

impl<T> Inbox<T> {
    /// One that keeps so many events.
    pub(super) fn keeping(most: usize) -> Self {
        Self {
            events: VecDeque::new(),
            most,
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
        // Whoever waits may want the first of many that come at once.
        let most = match self.waiter {
            Some(_) => MAX_UNSEEN,
            None => self.most,
        };
        self.forget(most);
    }

    /// Forgets the oldest of those that are too many.
    fn forget(&mut self, most: usize) {
        while self.events.len() > most || (self.bytes > MAX_EVENT_BYTES && self.events.len() > 1) {
            self.take(0);
        }
    }

    fn take(&mut self, index: usize) -> Option<Arrived<T>> {
        let arrived = self.events.remove(index)?;
        self.bytes -= arrived.event.size();
        Some(arrived)
    }

    /// Nothing more will come.
    pub(super) fn end(&mut self, ended: Ended) {
        self.ended = Some(ended);
        self.wake();
    }

    /// Wakes whoever waits, to look again; whether somebody does.
    pub(super) fn wake(&mut self) -> bool {
        let waiter = self.waiter.take();
        let waits = waiter.is_some();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
        waits
    }

    /// Why nothing more will come, once that is so.
    pub(super) fn ending(&self) -> Option<FailureKind> {
        self.ended.as_ref().map(Ended::failure)
    }
}

/// Waits for the first event that `wanted` accepts and takes it; the others stay for later waits.
///
/// Fails when nothing more comes and no event that came before will do.
pub(super) async fn find<T: Waited>(
    inbox: &RefCell<Inbox<T>>,
    mut wanted: impl FnMut(&T) -> bool,
) -> Result<Arrived<T>, Ended> {
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
        if let Some(ended) = &inbox.ended {
            return Poll::Ready(Err(ended.clone()));
        }
        let most = inbox.most;
        inbox.forget(most);
        inbox.waiter = Some(cx.waker().clone());
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Waited for u32 {
        fn size(&self) -> usize {
            1
        }
    }

    fn kept(inbox: &RefCell<Inbox<u32>>) -> usize {
        inbox.borrow().events.len()
    }

    #[tokio::test]
    async fn whoever_waits_sees_the_first_of_many_that_come_at_once_and_few_are_kept() {
        let inbox = RefCell::new(Inbox::keeping(3));
        let many = |from: u32| {
            let mut inbox = inbox.borrow_mut();
            (from..from + 100).for_each(|n| inbox.push(n, Instant::now()));
            inbox.wake();
        };
        many(0);
        assert_eq!(kept(&inbox), 3, "nobody waits");
        let arrive = async { many(100) };
        let (found, ()) = tokio::join!(find(&inbox, |n| *n == 100), arrive);
        assert_eq!(found.ok().map(|f| f.event), Some(100));
        let waiting = find(&inbox, |n| *n == 1000);
        assert!(futures_are_pending(waiting).await);
        assert_eq!(kept(&inbox), 3, "they were looked at");
    }

    async fn futures_are_pending(future: impl Future) -> bool {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
    }
}
