//! The posterior on a grid over breakpoint, steepness, curvature and spread: it has no convergence
//! to fail.

use super::link::LogNormal;
use super::{Link, Observation, Point, offset};
use crate::stats::normal::log_cdf;

/// A cell whose logarithm lies this far below the best one's adds nothing that could be seen.
const LOG_NOTHING: f64 = -27.6;
/// Points of the breakpoint's axis.
const THRESHOLDS: usize = 101;
/// Points of the steepness' axis.
const KAPPAS: usize = 20;

/// The axes.
pub(super) struct Grid {
    thresholds: Vec<f64>,
    kappas: Vec<f64>,
    link: Link,
}

impl Grid {
    pub(super) fn around(centre: f64, half_log_range: f64, link: Link) -> Self {
        let log_spaced = |low: f64, high: f64, n: usize| -> Vec<f64> {
            #[expect(clippy::cast_precision_loss, reason = "a grid index")]
            (0..n)
                .map(|i| low * (high / low).powf(i as f64 / (n - 1) as f64))
                .collect()
        };
        let (low, high) = (
            centre * (-half_log_range).exp(),
            centre * half_log_range.exp(),
        );
        let kappas = link.kappas();
        Self {
            thresholds: log_spaced(low, high, THRESHOLDS),
            kappas: log_spaced(*kappas.start(), *kappas.end(), KAPPAS),
            link,
        }
    }

    /// A grid three times as wide, for estimates that may move away when visits are left out.
    pub(super) fn widened(&self) -> Self {
        let (first, last) = (self.thresholds[0], self.thresholds[THRESHOLDS - 1]);
        let half = (last / first).ln() / 2.0;
        Self::around((first * last).sqrt(), (half * 3.0).min(0.6), self.link)
    }

    /// The visits' likelihood, tempered by `weight`, times the prior.
    pub(super) fn posterior(&self, points: &[Point], weight: f64) -> Posterior {
        let mut cells = self.log_likelihoods(points);
        for cell in &mut cells {
            *cell *= weight;
        }
        self.marginals(cells)
    }

    /// Log-likelihoods summed over the visits, one per cell: thresholds, in them steepnesses,
    /// curvatures, spreads.
    pub(super) fn log_likelihoods(&self, points: &[Point]) -> Vec<f64> {
        struct Spread {
            inverse: f64,
            log: f64,
            inflation: f64,
        }
        let spreads: Vec<Spread> = (self.link.sigmas().iter())
            .map(|&sigma| Spread {
                inverse: 1.0 / sigma,
                log: sigma.ln(),
                inflation: self.link.inflation(sigma),
            })
            .collect();
        let crossing = self.link.crossing();
        let curvatures = self.link.curvatures();
        let mut cells = Vec::with_capacity(
            self.thresholds.len() * self.kappas.len() * curvatures.len() * spreads.len(),
        );
        let mut sums = vec![0.0; spreads.len()];
        for threshold in &self.thresholds {
            for kappa in &self.kappas {
                for &g in curvatures {
                    sums.fill(0.0);
                    for p in points {
                        let at = crossing + offset(kappa * (p.vus / threshold - 1.0), g);
                        let both = sums.iter_mut().zip(&spreads);
                        match p.observed {
                            Observation::Exactly(y) => both.for_each(|(sum, s)| {
                                let z = (y - s.inflation * at) * s.inverse;
                                *sum -= 0.5 * z * z + s.log;
                            }),
                            Observation::Below(y) => both.for_each(|(sum, s)| {
                                *sum += log_cdf((y - s.inflation * at) * s.inverse);
                            }),
                            Observation::Above(y) => both.for_each(|(sum, s)| {
                                *sum += log_cdf((s.inflation * at - y) * s.inverse);
                            }),
                        }
                    }
                    cells.extend_from_slice(&sums);
                }
            }
        }
        cells
    }

    /// Adds the prior to log-likelihoods and sums over the other axes.
    pub(super) fn marginals(&self, mut cells: Vec<f64>) -> Posterior {
        let LogNormal { median, spread } = self.link.sigma_prior();
        let prior: Vec<f64> = (self.link.sigmas().iter())
            .map(|s| -0.5 * ((s / median).ln() / spread).powi(2))
            .collect();
        for (cell, prior) in cells.iter_mut().zip(prior.iter().cycle()) {
            *cell += prior;
        }
        let best = cells.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sigmas = self.link.sigmas();
        let mut masses = vec![0.0; self.thresholds.len()];
        let (mut log_kappa, mut curvature, mut log_sigma, mut total) = (0.0, 0.0, 0.0, 0.0);
        let curvatures = self.link.curvatures();
        let per_kappa = curvatures.len() * sigmas.len();
        let per_threshold = self.kappas.len() * per_kappa;
        for (index, cell) in cells.iter().enumerate() {
            let below = cell - best;
            if below < LOG_NOTHING {
                continue;
            }
            let mass = below.exp();
            let within = index % per_threshold;
            masses[index / per_threshold] += mass;
            log_kappa += mass * self.kappas[within / per_kappa].ln();
            curvature += mass * curvatures[within % per_kappa / sigmas.len()];
            log_sigma += mass * sigmas[within % sigmas.len()].ln();
            total += mass;
        }
        Posterior {
            thresholds: self.thresholds.clone(),
            masses: masses.iter().map(|m| m / total).collect(),
            kappa: (log_kappa / total).exp(),
            curvature: curvature / total,
            sigma: (log_sigma / total).exp(),
        }
    }
}

/// What the visits say of the breakpoint, and on average of the rest.
pub(super) struct Posterior {
    pub(super) thresholds: Vec<f64>,
    /// Probability per grid point; sums to 1.
    pub(super) masses: Vec<f64>,
    pub(super) kappa: f64,
    pub(super) curvature: f64,
    pub(super) sigma: f64,
}

impl Posterior {
    pub(super) fn ends(&self) -> (f64, f64) {
        (self.thresholds[0], self.thresholds[THRESHOLDS - 1])
    }

    /// The distribution function at the borders between grid points.
    pub(super) fn distribution(&self) -> Vec<(f64, f64)> {
        let ratio = (self.thresholds[1] / self.thresholds[0]).sqrt();
        let mut sum = 0.0;
        let mut out = Vec::with_capacity(self.masses.len() + 1);
        out.push((self.thresholds[0] / ratio, 0.0));
        for (threshold, mass) in self.thresholds.iter().zip(&self.masses) {
            sum += mass;
            out.push((threshold * ratio, sum));
        }
        out
    }

    pub(super) fn quantile(&self, p: f64) -> f64 {
        let distribution = self.distribution();
        let total = distribution.last().map_or(1.0, |d| d.1);
        let p = p * total;
        let after = distribution
            .partition_point(|(_, sum)| *sum < p)
            .clamp(1, distribution.len() - 1);
        let ((x0, p0), (x1, p1)) = (distribution[after - 1], distribution[after]);
        if p1 <= p0 {
            return x1;
        }
        (x0.ln() + (p - p0) / (p1 - p0) * (x1 / x0).ln()).exp()
    }
}
