//! How narrow an interval must be, and on how many visits it must rest, before the search stops for
//! it.

use super::{Estimate, Search};
use crate::stats::fit::Basis;

/// Fewest visits near the breakpoint that an interval may rest on.
pub(super) const MIN_VISITS: usize = 12;
/// The same where whole tails are fitted.
pub(super) const MIN_VISITS_TAILS: usize = 6;
/// The same where all visits obey a law.
pub(super) const MIN_VISITS_LAW: usize = 4;
/// Fewest visits where the crossing is a step (a crash, a refused client): each visit then says a
/// side, not a magnitude.
pub(super) const MIN_VISITS_STEP: usize = 7;
/// How much narrower than asked an interval from tails must be before the search stops for it. An
/// interval that is narrow by luck is narrow because the bursts did not come, and then it is also
/// too high: who stops at the first that is narrow enough stops at those.
pub(super) const STOP_MARGIN: f64 = 1.8;
/// The same for an interval from shares: of the searches of the lab's `overflow` that stopped at
/// the first interval as narrow as asked 91 % held the truth (150 of 30 min at +-1 %), with this 95
/// % (120).
pub(super) const STOP_MARGIN_SHARES: f64 = 1.3;
/// The same where a law fixes it: visits that obey one narrow the interval quickly, so that a
/// little more is cheap.
pub(super) const STOP_MARGIN_LAW: f64 = 1.5;

/// What an estimate must come to before the search stops for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct StopRule {
    /// Fewest visits.
    pub(super) visits: usize,
    /// How many times narrower than asked.
    pub(super) margin: f64,
}

impl StopRule {
    pub(super) fn of(estimate: &Estimate) -> Self {
        let (visits, margin) = match estimate.fit.basis {
            Basis::Tails | Basis::Capacity => (MIN_VISITS_TAILS, STOP_MARGIN),
            Basis::Events => (MIN_VISITS_STEP, STOP_MARGIN_SHARES),
            Basis::Law => (MIN_VISITS_LAW, STOP_MARGIN_LAW),
            Basis::Visits if estimate.is_step() => (MIN_VISITS_STEP, 1.0),
            Basis::Visits | Basis::Bracket => (MIN_VISITS, STOP_MARGIN_SHARES),
        };
        Self { visits, margin }
    }
}

impl Search {
    /// Half-width asked for, VUs; nothing is narrower than one VU to either side.
    pub(super) fn asked_vus(&self, estimate: &Estimate) -> f64 {
        (self.spec.precision * estimate.vus).max(1.0)
    }

    pub(super) fn precise_enough(&self, estimate: &Estimate) -> bool {
        let half_width = (estimate.high - estimate.low) / 2.0;
        let rule = StopRule::of(estimate);
        half_width * rule.margin <= self.asked_vus(estimate) && estimate.fit.visits >= rule.visits
    }
}
