//! Work time: how much a request that is served gets done, at a speed that changes.

/// A clock that runs at a rate which may change at any time. Completions are kept in work time, so
/// that a change of the rate moves all of them at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct WorkClock {
    /// Time of the last change.
    since: f64,
    /// Work done by then.
    done: f64,
    /// Work per second since.
    rate: f64,
}

impl WorkClock {
    pub(super) fn new() -> Self {
        Self {
            since: 0.0,
            done: 0.0,
            rate: 1.0,
        }
    }

    /// Work done until `now`, which is not before the last change.
    pub(super) fn work_at(&self, now: f64) -> f64 {
        self.done + self.rate * (now - self.since)
    }

    /// When this much work is done at the present rate; infinity when nothing moves.
    pub(super) fn time_of(&self, work: f64) -> f64 {
        if self.rate > 0.0 {
            self.since + (work - self.done).max(0.0) / self.rate
        } else {
            f64::INFINITY
        }
    }

    /// Goes on at another rate.
    pub(super) fn set_rate(&mut self, now: f64, rate: f64) {
        if rate.to_bits() == self.rate.to_bits() {
            return;
        }
        self.done = self.work_at(now);
        self.since = now;
        self.rate = rate;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_the_rate_stretches_what_is_left() {
        let mut clock = WorkClock::new();
        // 3 s of work, asked for at 0; half speed from 1, a stop from 2 to 5.
        clock.set_rate(1.0, 0.5);
        assert!((clock.time_of(3.0) - 5.0).abs() < 1e-12);
        clock.set_rate(2.0, 0.0);
        assert!(clock.time_of(3.0).is_infinite());
        assert!((clock.work_at(4.0) - 1.5).abs() < 1e-12);
        clock.set_rate(5.0, 1.0);
        assert!((clock.time_of(3.0) - 6.5).abs() < 1e-12);
    }
}
