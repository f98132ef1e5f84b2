//! How an objective's statistic relates to its bound, and what a visit shows of it.

use std::ops::RangeInclusive;

use crate::stats::normal::probit;

/// What one visit shows on the fit's scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Observation {
    /// The statistic itself.
    Exactly(f64),
    /// Only that it is below this.
    Below(f64),
    /// Only that it is above this.
    Above(f64),
}

/// How an objective's statistic relates to its bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Link {
    /// A share of violations: the probit scale, crossing at `probit(alpha)`.
    Share {
        /// The share allowed, 0 < alpha < 1.
        alpha: f64,
    },
    /// A logarithm of value over bound, crossing at 0.
    LogRatio,
    /// Only the side, crossing at 0.
    Side,
}

/// Above `z_alpha` plus this a share tells no more than that the level is too high: how far above
/// depends on when the visit was left.
const TOO_HIGH: f64 = 1.6;

fn ceiling(alpha: f64) -> f64 {
    (probit(alpha) + TOO_HIGH).max(0.0).min(probit(0.97))
}

impl Link {
    /// The statistic's value at the breakpoint.
    pub(super) fn crossing(self) -> f64 {
        match self {
            Self::Share { alpha } => probit(alpha),
            Self::LogRatio | Self::Side => 0.0,
        }
    }

    /// What a visit shows that was far too high, whatever it counted: how much fails in a crash
    /// depends on when it came.
    pub fn far_above(self) -> Observation {
        match self {
            Self::Share { alpha } => Observation::Above(ceiling(alpha)),
            Self::LogRatio => Observation::Above(1.0),
            Self::Side => Observation::Above(0.0),
        }
    }

    /// What a share of `bad` of `total` shows.
    pub fn observe_share(alpha: f64, bad: f64, total: f64) -> Observation {
        let ceiling = ceiling(alpha);
        let share = bad / total;
        if bad < 0.7 {
            return Observation::Below(probit((0.7 / total).min(0.5)));
        }
        if share >= 1.0 || probit(share) > ceiling {
            return Observation::Above(ceiling);
        }
        Observation::Exactly(probit(share))
    }

    pub(super) fn sigmas(self) -> &'static [f64] {
        const SHARE: [f64; 9] = [0.08, 0.13, 0.2, 0.3, 0.45, 0.68, 1.0, 1.5, 2.2];
        const RATIO: [f64; 9] = [0.01, 0.017, 0.028, 0.046, 0.077, 0.13, 0.21, 0.36, 0.6];
        // The latent scale of a side is arbitrary: the steepness absorbs it.
        const SIDE: [f64; 1] = [1.0];
        match self {
            Self::Share { .. } => &SHARE,
            Self::LogRatio => &RATIO,
            Self::Side => &SIDE,
        }
    }

    /// Curvatures tried. A positive one lets the statistic level off below the breakpoint, which a
    /// share does (there is always some violation) and a side must not. A negative one lets it
    /// level off `1 / -g` above it: a share of failures has a ceiling where a fault hits only some
    /// of the requests, at -1.5 (0.67 probits) 5 % where 1 % is allowed.
    pub(super) fn curvatures(self) -> &'static [f64] {
        match self {
            Self::Share { .. } => &[-1.5, -0.8, -0.3, 0.3, 0.9, 1.6],
            Self::LogRatio => &[-0.3, 0.3, 0.9, 1.6],
            Self::Side => &[0.0],
        }
    }

    /// Range of the steepness. A side's latent scale is the visits' own spread, and a level whose
    /// side is not settled within an eighth of the breakpoint would be found by its share, not by
    /// its side.
    pub(super) fn kappas(self) -> RangeInclusive<f64> {
        match self {
            Self::Share { .. } => 0.7..=1_000.0,
            Self::LogRatio => 0.3..=300.0,
            Self::Side => 8.0..=2_000.0,
        }
    }

    /// Prior of sigma.
    pub(super) fn sigma_prior(self) -> LogNormal {
        match self {
            Self::Share { .. } => LogNormal::of(0.5, 0.8),
            Self::LogRatio => LogNormal::of(0.08, 1.0),
            Self::Side => LogNormal::of(1.0, 1.0),
        }
    }

    /// Makes `N*` the level where the mean of the *statistic's share* is alpha; only shares are
    /// averaged.
    pub(super) fn inflation(self, sigma: f64) -> f64 {
        match self {
            Self::Share { .. } => (1.0 + sigma * sigma).sqrt(),
            Self::LogRatio | Self::Side => 1.0,
        }
    }

    /// Offsets, on the statistic's scale, of the levels worth visiting around the crossing. Above
    /// the crossing a second tells several times what it tells below, where violations are rare.
    pub fn ladder(self) -> [f64; 4] {
        match self {
            Self::Share { .. } => [-0.35, 0.1, 0.5, 1.0],
            Self::LogRatio => [-0.10, -0.03, 0.04, 0.10],
            Self::Side => [-0.8, -0.25, 0.25, 0.8],
        }
    }
}

/// A log-normal distribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LogNormal {
    pub(super) median: f64,
    /// Standard deviation of the logarithm.
    pub(super) spread: f64,
}

impl LogNormal {
    const fn of(median: f64, spread: f64) -> Self {
        Self { median, spread }
    }
}
