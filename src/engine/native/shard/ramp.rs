//! How the number of VUs goes from one level to the next.

use std::time::Instant;

/// The straight line from one level to the next; level 0 is reached at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ramp {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) since: Instant,
    pub(super) pace_per_s: f64,
}

impl Ramp {
    /// Nobody, until a level is asked for.
    pub(super) fn at_rest(since: Instant, pace_per_s: f64) -> Self {
        Self {
            from: 0,
            to: 0,
            since,
            pace_per_s,
        }
    }

    /// From where it is at a time to another level.
    pub(super) fn towards(self, level: u32, at: Instant) -> Self {
        Self {
            from: self.frontier(at),
            to: level,
            since: at,
            ..self
        }
    }

    /// VUs with numbers below this should run.
    pub(super) fn frontier(&self, now: Instant) -> u32 {
        // Nobody at all means that the load is to stop, not to fade.
        if self.to == 0 {
            return 0;
        }
        let seconds = now.saturating_duration_since(self.since).as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative; a cast of a float saturates"
        )]
        let moved = ((seconds * self.pace_per_s) as u32).saturating_add(1);
        if self.from <= self.to {
            self.to.min(self.from.saturating_add(moved))
        } else {
            self.to.max(self.from.saturating_sub(moved))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_ramp_moves_at_its_pace_and_stops_at_its_level() {
        let since = Instant::now();
        let up = Ramp {
            from: 10,
            to: 20,
            since,
            pace_per_s: 5.0,
        };
        let s = Duration::from_secs_f64;
        assert_eq!(up.frontier(since), 11);
        assert_eq!(up.frontier(since + s(1.01)), 16);
        assert_eq!(up.frontier(since + s(60.0)), 20);
        let down = Ramp { to: 3, ..up };
        assert_eq!(down.frontier(since + s(0.5)), 7);
        assert_eq!(down.frontier(since + s(60.0)), 3);
        let stopped = Ramp { to: 0, ..up };
        assert_eq!(stopped.frontier(since), 0);
        let still = Ramp { to: 10, ..up };
        assert_eq!(still.frontier(since + s(60.0)), 10);
    }
}
