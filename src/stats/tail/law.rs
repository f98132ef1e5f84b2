//! How a level moves the tail of latencies: by Little's law where a line has formed, by the spare
//! capacity where none has.

use super::{NEAR, TailVisit, Users, VARIABILITY_SD, mean};
use crate::stats::fit::Shift;

/// Levels of arrivals further away than this share of the breakpoint are another regime.
const NEAR_OPEN: f64 = 0.12;
/// The same as a share of the spare capacity at the breakpoint.
const NEAR_OF_SPARE: f64 = 0.3;
/// Share of the spare capacity at the breakpoint from which no more is left to speak of.
const NO_SPARE: f64 = 0.9;
/// Prior standard deviation of `ln eta`, where a line has formed.
pub(super) const ETA_SD: f64 = 0.25;
/// Share of Little's shift below which closed users count as arrivals.
const IDLE: f64 = 0.5;

impl Users {
    /// Levels further from the breakpoint than this share of it are another regime.
    pub(super) fn near(
        self,
        visits: &[TailVisit],
        alpha: f64,
        around: f64,
        variability: Option<f64>,
    ) -> f64 {
        match self {
            Self::Closed => NEAR,
            // The capacity is not far above, and beyond it nothing is steady; with variable
            // services it is farther.
            Self::Open => {
                let limit_s = visits.first().map_or(f64::INFINITY, |v| v.tail.limit_s);
                let spare = -alpha.ln() / limit_s * variability.unwrap_or(1.0) / around;
                (NEAR_OF_SPARE * spare).clamp(NEAR_OPEN, NEAR)
            }
        }
    }

    /// The law that moves the tails of `visits`.
    pub(super) fn law(self, visits: &[TailVisit], alpha: f64) -> Law {
        let limit_s = visits.first().map_or(0.0, |v| v.tail.limit_s);
        let (vus, per_s) = (mean(visits, |v| v.vus), mean(visits, |v| v.per_s));
        match self {
            Self::Open => Law::Spare,
            Self::Closed if is_idle(vus, per_s, limit_s, alpha) => Law::Spare,
            Self::Closed => Law::Little,
        }
    }
}

/// Whether Little's law says nothing of the tail at the limit of `vus` closed users.
///
/// Who have a short limit and think for long are arrivals in all but name: they break the limit
/// long before they fill the servers, and one user more makes nobody wait `1 / X` longer. The spare
/// capacity tells which is so: as its law has it, one user more moves the tail at the limit by `(X
/// L)^2 / (N ln(1 / alpha))` times that.
pub(crate) fn is_idle(vus: f64, per_s: f64, limit_s: f64, alpha: f64) -> bool {
    (per_s * limit_s).powi(2) < IDLE * vus * -alpha.ln()
}

/// How a level moves the curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Law {
    /// A line has formed: Little's law adds a time.
    Little,
    /// There is spare capacity: how much of it stretches times.
    Spare,
}

impl Law {
    /// A threshold on the curve's axis, as a multiple of the limit.
    pub(super) fn axis(self, ratio: f64) -> f64 {
        match self {
            Self::Little => ratio - 1.0,
            Self::Spare => ratio.ln(),
        }
    }

    /// The shift at `u`, and its slope there.
    pub(super) fn shift(self, u: f64) -> (f64, f64) {
        match self {
            Self::Little => (u, 1.0),
            // ln of spare capacity over that at the breakpoint. Beyond the capacity nothing is
            // steady; there a line goes on.
            Self::Spare if u > NO_SPARE => {
                let slope = 1.0 / (1.0 - NO_SPARE);
                (slope.ln() + (u - NO_SPARE) * slope, slope)
            }
            Self::Spare => (-(-u).ln_1p(), 1.0 / (1.0 - u)),
        }
    }

    /// Prior standard deviation of `ln eta`.
    pub(super) fn eta_sd(self) -> f64 {
        match self {
            Self::Little => ETA_SD,
            Self::Spare => VARIABILITY_SD,
        }
    }
}

/// The latency that the share allowed exceeds at a level, seconds: the limit at the breakpoint,
/// moved from there as the fit says.
pub fn latency_s(shift: Shift, limit_s: f64, level: f64, breakpoint: f64) -> f64 {
    let away = level - breakpoint;
    match shift {
        Shift::Adds(per_level) => limit_s * (1.0 + Law::Little.shift(per_level * away).0),
        Shift::Stretches(per_level) => limit_s * Law::Spare.shift(per_level * away).0.exp(),
    }
    .max(0.0)
}
