//! How far an interval from tails reaches below and above its estimate.

use std::ops::Range;

use super::TailVisit;
use crate::stats::blocks::student_t_quantile;
use crate::stats::fit::{Basis, Fit};

/// How much further the interval reaches down than up: bursts that were not seen can only lower the
/// breakpoint.
const DOWNSIDE_SKEW: f64 = 0.25;

/// How far an interval reaches, in units of `ln N`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reach {
    /// Standard error of `ln N*`.
    pub(super) se: f64,
    /// Visits that it rests on.
    pub(super) visits: usize,
    /// How far down a slow phase would lead that did not come, at the confidence asked.
    pub(super) unseen: f64,
}

impl Reach {
    pub(super) fn new(se: f64, visits: &[TailVisit]) -> Self {
        let held_s: f64 = visits.iter().map(|v| v.tail.requests() / v.per_s).sum();
        Self::of(se, visits.len(), held_s)
    }

    fn of(se: f64, visits: usize, held_s: f64) -> Self {
        let Range { start, end } = PHASES_MET_S;
        let left = ((end - held_s) / (end - start)).clamp(0.0, 1.0);
        Self {
            se,
            visits,
            unseen: SLOW_PHASE * left,
        }
    }

    /// The level that the breakpoint lies below with a probability of `p`.
    pub(super) fn at(self, estimate: f64, p: f64, confidence: f64) -> f64 {
        let t = self.t(p);
        let few = self.few();
        if t >= 0.0 {
            return estimate * (self.se * (1.0 - DOWNSIDE_SKEW) * few.above * t).exp();
        }
        let own = self.se * (1.0 + DOWNSIDE_SKEW) * few.below * t;
        let unseen = self.unseen * t / self.t(0.5 + confidence / 2.0);
        estimate * (-own.hypot(unseen)).exp()
    }

    #[expect(clippy::cast_precision_loss, reason = "a count of visits")]
    pub(super) fn t(self, p: f64) -> f64 {
        student_t_quantile(p, self.visits as f64)
    }

    /// What a handful of visits leave out, below and above.
    fn few(self) -> Widening {
        FEW[self.visits.clamp(1, FEW.len()) - 1]
    }
}

/// The half-width, as a fraction, of an interval from tails with a standard error of `se` (of `ln
/// N*`), so many visits near it and so many seconds held in them.
pub fn half_width(se: f64, visits: usize, held_s: f64, confidence: f64) -> f64 {
    let reach = Reach::of(se, visits, held_s);
    let tail = (1.0 - confidence) / 2.0;
    (reach.at(1.0, 1.0 - tail, confidence) - reach.at(1.0, tail, confidence)) / 2.0
}

/// By how much an interval is widened to either side.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Widening {
    below: f64,
    above: f64,
}

impl Widening {
    const fn of(below: f64, above: f64) -> Self {
        Self { below, above }
    }
}

/// How much wider an interval from one visit, two, three, ... is than its own standard error says,
/// below and above: a burst or a slow phase is met by one of them or by none, and where by none
/// they agree with one another.
const FEW: [Widening; 7] = [
    Widening::of(2.0, 1.2),
    Widening::of(2.0, 1.2),
    Widening::of(2.0, 1.3),
    Widening::of(1.6, 1.4),
    Widening::of(1.4, 1.3),
    Widening::of(1.2, 1.2),
    Widening::of(1.0, 1.0),
];
/// How far a slow phase that was not met may lower a breakpoint: a neighbour that takes a tenth of
/// the speed a quarter of the time lowers one by 8 %.
pub(super) const SLOW_PHASE: f64 = 0.085;
/// Seconds held near the breakpoint up to which such a phase, if it comes every three minutes or
/// so, may not have come, and from which it has.
const PHASES_MET_S: Range<f64> = 250.0..600.0;

/// The fit of tails with this estimate and an interval that reaches so far.
pub(super) fn assemble(estimate: f64, reach: Reach, kappa: f64, confidence: f64) -> Fit {
    let at = |p: f64| reach.at(estimate, p, confidence);
    let tail = (1.0 - confidence) / 2.0;
    let distribution = (0..=60)
        .map(|i| {
            let p = (f64::from(i) / 60.0).clamp(5e-4, 1.0 - 5e-4);
            (at(p), p)
        })
        .collect();
    Fit {
        basis: Basis::Tails,
        estimate,
        low: at(tail),
        high: at(1.0 - tail),
        kappa,
        curvature: 0.0,
        sigma: reach.se * kappa,
        distribution,
        downside_skew: DOWNSIDE_SKEW,
        visits: reach.visits,
        exact: reach.visits,
        shift: None,
    }
}
