//! Bisection on pass and fail, as most scripts do it and as RFC 2544 (section 26.1) describes it:
//! one trial decides a level.

use super::super::trial::Bench;
use super::{halfway, near};
use crate::measure::Level;

/// How a bisection measures.
pub(super) struct Trials {
    /// Seconds at the level before the trial.
    wait_s: u32,
    /// Seconds of the trial.
    trial_s: u32,
}

/// Without these ten seconds a backlog of the first, far too high level decides the next one.
pub(super) const ONE_TRIAL: Trials = Trials {
    wait_s: 10,
    trial_s: 30,
};
/// Section 24 asks for trials of at least 60 s, section 23 for two seconds before it for what is
/// left over.
pub(super) const RFC_2544: Trials = Trials {
    wait_s: 2,
    trial_s: 60,
};

pub(super) fn search(bench: &mut Bench<'_>, top: Level, trials: &Trials) -> Option<Level> {
    let (mut low, mut high) = (Level::ZERO, top);
    while !near(low, high) {
        let level = halfway(low, high);
        bench.go_to(level, trials.wait_s);
        if bench.measure(trials.trial_s).passes() {
            low = level;
        } else {
            high = level;
        }
    }
    (low > Level::ZERO).then_some(low)
}
