//! How long a server keeps a connection that nobody uses: as it says (`keep-alive: timeout=5`), or
//! as was learned.
//!
//! A request that crosses the end of its connection fails, and must not be sent again where it may
//! have been worked on. So a connection that has been idle for nearly as long is left, and a new
//! one opened.

use std::cell::Cell;
use std::time::Duration;

/// No server's limit is shorter: what ends sooner ended for another reason (so many requests a
/// connection, a restart).
const SHORTEST: Duration = Duration::from_millis(900);
/// Ends that agree with each other before they are taken for a limit: one may be a restart.
const ENOUGH: u32 = 3;
/// Share of a limit, and time at least, by which a connection is left before it: a server looks at
/// its timers before it reads what has come meanwhile, and a busy one is late with both.
const BEFORE: (u32, Duration) = (10, Duration::from_millis(100));

/// What is known of one origin's limit.
#[derive(Debug, Default)]
pub(super) struct IdleLimit {
    /// The longest that a connection was idle and was there still.
    survived: Cell<Duration>,
    /// The shortest after which one had ended, longer than that, and how many had.
    ended: Cell<Option<(Duration, u32)>>,
}

impl IdleLimit {
    /// A connection that was idle for so long took another request.
    pub(super) fn survived(&self, idle: Duration) {
        if idle <= self.survived.get() {
            return;
        }
        self.survived.set(idle);
        if self.ended.get().is_some_and(|(ended, _)| ended <= idle) {
            // It had ended for another reason.
            self.ended.set(None);
        }
    }

    /// A connection that was idle for so long had ended, or ended when it was used again.
    pub(super) fn ended(&self, idle: Duration) {
        if idle < SHORTEST || idle <= self.survived.get() {
            return;
        }
        let (shortest, times) = self.ended.get().unwrap_or((idle, 0));
        self.ended.set(Some((shortest.min(idle), times + 1)));
    }

    /// Whether a connection is to be left that has been idle for so long; `told` is what the server
    /// said of its limit.
    pub(super) fn is_over(
        &self,
        idle: Duration,
        told: Option<Duration>,
        round_trip: Duration,
    ) -> bool {
        let learned = self.ended.get().filter(|(_, times)| *times >= ENOUGH);
        let learned = learned.map(|(ended, _)| ended);
        let limit = match (told, learned) {
            (Some(told), Some(learned)) => told.min(learned),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return false,
        };
        let before = (limit / BEFORE.0).max(BEFORE.1) + round_trip;
        idle + before >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(1);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn what_the_server_says_is_obeyed_with_some_time_to_spare() {
        let limit = IdleLimit::default();
        let told = Some(ms(5000));
        assert!(!limit.is_over(ms(4400), told, RTT));
        assert!(limit.is_over(ms(4500), told, RTT));
        assert!(limit.is_over(ms(4300), told, ms(200)), "a long way");
        assert!(!limit.is_over(ms(60_000), None, RTT), "nothing is known");
        assert!(!limit.is_over(ms(800), Some(ms(1000)), RTT));
        assert!(limit.is_over(Duration::ZERO, Some(Duration::ZERO), RTT));
    }

    #[test]
    fn ends_that_agree_are_learned_from() {
        let limit = IdleLimit::default();
        limit.survived(ms(1900));
        for idle in [2500, 2100] {
            limit.ended(ms(idle));
            assert!(!limit.is_over(ms(2099), None, RTT), "too few");
        }
        limit.ended(ms(3000));
        assert!(limit.is_over(ms(2000), None, RTT));
        assert!(!limit.is_over(ms(1800), None, RTT));
        assert!(
            limit.is_over(ms(1000), Some(ms(1000)), RTT),
            "the shorter counts"
        );
        limit.survived(ms(2200));
        assert!(!limit.is_over(ms(5000), None, RTT), "it was no limit");
    }

    #[test]
    fn ends_for_another_reason_teach_nothing() {
        let limit = IdleLimit::default();
        limit.survived(ms(3000));
        for _ in 0..10 {
            // So many requests a connection, between requests that wait for longer.
            limit.ended(ms(2000));
            // The same without a think time.
            limit.ended(ms(1));
        }
        assert!(!limit.is_over(ms(10_000), None, RTT));
    }
}
