//! What a script has begun and waits for.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use breakpoint_script::exchange::{Happened, OpId};

/// Something that goes on.
pub(super) type Work<'d> = Pin<Box<dyn Future<Output = Next<'d>> + 'd>>;

/// What came of something that goes on, and what goes on then.
pub(super) struct Next<'d> {
    /// Whose it is, where that is another operation than the one that went on.
    pub(super) of: Option<OpId>,
    pub(super) happened: Happened,
    /// `None` where it has ended.
    pub(super) then: Option<Work<'d>>,
}

impl From<Happened> for Next<'_> {
    /// The end of something.
    fn from(happened: Happened) -> Self {
        Self {
            of: None,
            happened,
            then: None,
        }
    }
}

/// What goes on for one VU at the same time, in the order in which it was begun.
#[derive(Default)]
pub(super) struct Running<'d> {
    all: Vec<(OpId, Work<'d>)>,
}

impl<'d> Running<'d> {
    pub(super) fn begin(&mut self, id: OpId, work: Work<'d>) {
        self.all.push((id, work));
    }

    /// Nobody waits for it any more.
    pub(super) fn drop_op(&mut self, id: OpId) {
        self.all.retain(|(known, _)| *known != id);
    }

    /// The next that ends; `None` where nothing goes on.
    pub(super) async fn next(&mut self) -> Option<(OpId, Happened)> {
        if self.all.is_empty() {
            return None;
        }
        let ended = std::future::poll_fn(|cx| {
            for (at, (_, work)) in self.all.iter_mut().enumerate() {
                if let Poll::Ready(next) = work.as_mut().poll(cx) {
                    return Poll::Ready((at, next));
                }
            }
            Poll::Pending
        });
        let (at, next) = ended.await;
        let id = self.all[at].0;
        match next.then {
            Some(then) => self.all[at].1 = then,
            None => drop(self.all.remove(at)),
        }
        Some((next.of.unwrap_or(id), next.happened))
    }

    /// Waits until all of these have ended, and keeps what happened meanwhile; whether they did,
    /// for of one that was never begun there is no end.
    pub(super) async fn ended(
        &mut self,
        wanted: &[OpId],
        happened: &mut Vec<(OpId, Happened)>,
    ) -> bool {
        let goes_on = |all: &[(OpId, _)]| {
            let known = |id: &OpId| all.iter().any(|(known, _)| known == id);
            wanted.iter().any(known)
        };
        if !goes_on(&self.all) {
            return false;
        }
        while goes_on(&self.all) {
            match self.next().await {
                Some(one) => happened.push(one),
                None => return false,
            }
        }
        true
    }
}
