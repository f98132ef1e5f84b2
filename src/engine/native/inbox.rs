//! What came on an open stream and was not waited for yet, and the end of it: one task puts it in, a VU takes it out.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::task::{Poll, Waker};
use std::time::Instant;

use super::http::StreamEnd;
use super::why;
use crate::measure::FailureKind;
use crate::scenario::sse::{Event, MAX_EVENT_BYTES};

/// Events that nobody has waited for yet and that are kept; older ones are forgotten.
const MAX_EVENTS: usize = 1024;

/// An event and when its last byte came.
pub(super) struct Arrived {
    pub(super) event: Event,
    pub(super) at: Instant,
}

/// How a stream ended.
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

/// What came and was not taken.
#[derive(Default)]
pub(super) struct Inbox {
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    events: VecDeque<Arrived>,
    bytes: usize,
    /// How many events have come in all; the last in `events` has the number `seen - 1`.
    seen: usize,
    ended: Option<Ended>,
    waiter: Option<Waker>,
}

impl Inbox {
    /// Something came.
    pub(super) fn push(&self, event: Event, at: Instant) {
        let mut state = self.state.borrow_mut();
        state.push(Arrived { event, at });
        state.wake();
    }

    /// Nothing more will come.
    pub(super) fn end(&self, ended: Ended) {
        let mut state = self.state.borrow_mut();
        state.ended = Some(ended);
        state.wake();
    }

    /// Waits for the first event that `wanted` accepts and takes it; the others stay for later waits.
    ///
    /// Fails when the stream has ended and no event that came before will do.
    pub(super) async fn find(
        &self,
        mut wanted: impl FnMut(&Event) -> bool,
    ) -> Result<Arrived, Ended> {
        let mut looked_at = 0;
        std::future::poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            let first = state.seen - state.events.len();
            let from = looked_at.max(first) - first;
            let found = state.events.range(from..).position(|a| wanted(&a.event));
            if let Some(arrived) = found.and_then(|i| state.take(from + i)) {
                return Poll::Ready(Ok(arrived));
            }
            looked_at = state.seen;
            if let Some(ended) = &state.ended {
                return Poll::Ready(Err(ended.clone()));
            }
            state.waiter = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl State {
    fn push(&mut self, arrived: Arrived) {
        self.bytes += size(&arrived.event);
        self.seen += 1;
        self.events.push_back(arrived);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_waits_for_takes_bounded_memory() {
        let inbox = Inbox::default();
        let event = |length: usize| Event {
            name: "a".to_owned(),
            data: "x".repeat(length),
        };
        for _ in 0..3 * MAX_EVENTS {
            inbox.push(event(1), Instant::now());
        }
        assert_eq!(inbox.state.borrow().events.len(), MAX_EVENTS);
        for _ in 0..8 {
            inbox.push(event(MAX_EVENT_BYTES / 2), Instant::now());
        }
        let state = inbox.state.borrow();
        assert!(state.bytes <= MAX_EVENT_BYTES + 1, "{}", state.bytes);
        assert_eq!(state.seen, 3 * MAX_EVENTS + 8);
    }
}
