//! `MLRsearch` (the IETF's benchmarking methodology working group): several trials a level, a level
//! is a bound once its good or its bad trials outweigh what is still to come, and the relevant
//! bounds are the smallest upper one and the largest lower one below it.
//!
//! Simplified where the draft leaves room: one goal, with one coarser target before it; no latency
//! in the trials' weights.

use std::collections::BTreeMap;

use super::super::trial::Bench;
use super::{halfway, near};
use crate::measure::Level;

/// A search goal.
pub(super) struct Goal {
    /// Goal final trial duration, seconds.
    trial_s: u32,
    /// Goal duration sum, seconds.
    sum_s: u32,
}

pub(super) const SHORT: Goal = Goal {
    trial_s: 10,
    sum_s: 63,
};
pub(super) const LONG: Goal = Goal {
    trial_s: 30,
    sum_s: 210,
};

/// Goal exceed ratio: the share of trials, by duration, that may be bad at a lower bound.
const EXCEED_RATIO: f64 = 0.5;
/// How much coarser the target before the goal is.
const COARSER: f64 = 4.0;

/// Seconds of good and bad trials at a level.
#[derive(Debug, Clone, Copy, Default)]
struct TrialTimes {
    good_s: f64,
    bad_s: f64,
}

/// What a level is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Lower,
    Upper,
    Open,
}

impl TrialTimes {
    /// What the level is, whatever the trials still missing to `sum_s` say.
    fn bound(self, sum_s: f64) -> Bound {
        let missing = (sum_s - self.good_s - self.bad_s).max(0.0);
        let whole = self.good_s + self.bad_s + missing;
        if self.bad_s > EXCEED_RATIO * whole {
            Bound::Upper
        } else if self.bad_s + missing <= EXCEED_RATIO * whole {
            Bound::Lower
        } else {
            Bound::Open
        }
    }
}

struct MlrSearch<'a, 'b> {
    bench: &'b mut Bench<'a>,
    goal: &'b Goal,
    seen: BTreeMap<Level, TrialTimes>,
}

pub(super) fn search(bench: &mut Bench<'_>, top: Level, goal: &Goal) -> Option<Level> {
    let mut search = MlrSearch {
        bench,
        goal,
        seen: BTreeMap::new(),
    };
    let (low, high) = search.coarse(top);
    search.fine(top, low, high)
}

impl MlrSearch<'_, '_> {
    /// The target before the goal: one trial a level, from the maximum down.
    fn coarse(&mut self, top: Level) -> (Level, Level) {
        let one = f64::from(self.goal.trial_s);
        if self.decide(top, one) == Bound::Lower {
            return (top, top);
        }
        let (mut low, mut high) = (Level::ZERO, top);
        while f64::from(high.get() - low.get()) > (COARSER * 0.01 * f64::from(low.get())).max(1.0) {
            let level = halfway(low, high);
            match self.decide(level, one) {
                Bound::Lower => low = level,
                Bound::Upper | Bound::Open => high = level,
            }
        }
        (low, high)
    }

    /// The goal itself.
    fn fine(&mut self, top: Level, low: Level, high: Level) -> Option<Level> {
        let sum = f64::from(self.goal.sum_s);
        let mut candidate = low;
        let mut step = (high.get() - low.get()).max(1);
        loop {
            if candidate > Level::ZERO {
                self.decide(candidate, sum);
            }
            let (lower, upper) = self.relevant(sum);
            candidate = match (lower, upper) {
                (Some(lower), Some(upper)) if near(lower, upper) => return Some(lower),
                (Some(lower), Some(upper)) => halfway(lower, upper),
                // External search: away from the only bound, in growing steps.
                (Some(lower), None) => {
                    if lower >= top {
                        return Some(lower);
                    }
                    let next = Level(lower.get() + step).min(top);
                    step = step.saturating_mul(2);
                    next
                }
                (None, Some(upper)) => {
                    if upper <= Level(1) {
                        return None;
                    }
                    let next = Level(upper.get().saturating_sub(step).max(1));
                    step = step.saturating_mul(2);
                    next
                }
                (None, None) => Level(1),
            };
        }
    }

    /// Measures a level until it is a bound for this duration sum.
    fn decide(&mut self, level: Level, sum_s: f64) -> Bound {
        loop {
            let bound = self.seen.entry(level).or_default().bound(sum_s);
            if bound != Bound::Open {
                return bound;
            }
            self.bench.go_to(level, 0);
            let good = self.bench.measure(self.goal.trial_s).passes();
            let seen = self.seen.entry(level).or_default();
            if good {
                seen.good_s += f64::from(self.goal.trial_s);
            } else {
                seen.bad_s += f64::from(self.goal.trial_s);
            }
        }
    }

    /// The smallest upper bound, and the largest lower bound below it.
    fn relevant(&self, sum_s: f64) -> (Option<Level>, Option<Level>) {
        let of = |kind: Bound| {
            self.seen
                .iter()
                .filter(move |(_, seen)| seen.bound(sum_s) == kind)
                .map(|(level, _)| *level)
        };
        let upper = of(Bound::Upper).min();
        let lower = of(Bound::Lower)
            .filter(|level| upper.is_none_or(|upper| *level < upper))
            .max();
        (lower, upper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_bound_once_what_is_missing_cannot_change_it() {
        let seen = |good_s, bad_s| TrialTimes { good_s, bad_s };
        assert_eq!(seen(0.0, 0.0).bound(63.0), Bound::Open);
        assert_eq!(seen(30.0, 0.0).bound(63.0), Bound::Open);
        assert_eq!(seen(40.0, 0.0).bound(63.0), Bound::Lower);
        assert_eq!(seen(30.0, 30.0).bound(63.0), Bound::Open);
        assert_eq!(seen(0.0, 40.0).bound(63.0), Bound::Upper);
        assert_eq!(seen(10.0, 0.0).bound(10.0), Bound::Lower);
        assert_eq!(seen(0.0, 10.0).bound(10.0), Bound::Upper);
    }
}
