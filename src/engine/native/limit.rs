//! Time limits of steps.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::task::coop;
use tokio::time::Sleep;

/// A time limit that seldom touches the timer: the sleep is set again only when it ends before the
/// limit does.
pub(super) struct TimeLimit {
    sleep: Pin<Box<Sleep>>,
}

impl TimeLimit {
    pub(super) fn new() -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep(Duration::ZERO)),
        }
    }

    /// What `work` gives, or `None` when the limit comes first.
    pub(super) async fn within<T>(
        &mut self,
        limit: Instant,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let limit = tokio::time::Instant::from_std(limit);
        if self.sleep.deadline() > limit || self.sleep.is_elapsed() {
            self.sleep.as_mut().reset(limit);
        }
        let mut work = pin!(work);
        std::future::poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(done));
            }
            // A target that sends faster than it is read never lets the work pause: it uses up the
            // task's turn, and a timer that asked for its own share of that turn would never be
            // told that the limit has come.
            while pin!(coop::unconstrained(self.sleep.as_mut()))
                .poll(cx)
                .is_ready()
            {
                if tokio::time::Instant::now() >= limit {
                    return Poll::Ready(None);
                }
                self.sleep.as_mut().reset(limit);
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_time_limit_ends_work_that_hangs_and_lets_other_work_through() {
        let mut limit = TimeLimit::new();
        let soon = || Instant::now() + Duration::from_millis(20);
        let far = || Instant::now() + Duration::from_secs(60);
        assert_eq!(limit.within(far(), async { 1 }).await, Some(1));
        assert_eq!(
            limit.within(soon(), std::future::pending::<()>()).await,
            None
        );
        assert_eq!(limit.within(far(), async { 2 }).await, Some(2));
        assert_eq!(
            limit.within(soon(), std::future::pending::<()>()).await,
            None
        );
    }

    #[tokio::test]
    async fn a_time_limit_ends_work_that_always_has_more_to_do() {
        let began = Instant::now();
        let endless = async {
            while began.elapsed() < Duration::from_secs(20) {
                coop::consume_budget().await;
            }
        };
        let soon = began + Duration::from_millis(20);
        assert_eq!(TimeLimit::new().within(soon, endless).await, None);
    }
}
