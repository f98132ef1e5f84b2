//! Made-up visits whose breakpoint is known in closed form.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;

use super::super::curve::{BREAKPOINT, D, ETA, Parameters, Vector};
use super::super::*;
use crate::stats::normal::{cdf, probit};

pub(super) const ALPHA: f64 = 0.01;

/// A service whose latency is `limit (1 + mean(N) + spread U)` with `U` standard normal: its tail
/// is a straight line on the probit scale, moved by Little's law, and crosses `alpha` at `truth`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service {
    pub(super) truth: f64,
    pub(super) per_s: f64,
    pub(super) limit_s: f64,
    pub(super) eta: f64,
    pub(super) spread: f64,
}

pub(super) const SERVICE: Service = Service {
    truth: 300.0,
    per_s: 50.0,
    limit_s: 2.0,
    eta: 1.0,
    spread: 0.25,
};

impl Service {
    /// Where the latency's mean stands, as a multiple of the limit, less 1.
    pub(super) fn mean(&self, vus: f64) -> f64 {
        probit(ALPHA) * self.spread + self.eta * (vus - self.truth) / (self.per_s * self.limit_s)
    }

    /// What `n` requests show on average: no noise at all.
    pub(super) fn expected(&self, vus: f64, n: f64) -> Counts {
        let mut counts = Counts::default();
        let mut before = 0.0;
        for (entry, ratio) in counts.iter_mut().zip(RATIOS) {
            let share = cdf((self.mean(vus) - (ratio - 1.0)) / self.spread);
            *entry = n * (share - before);
            before = share;
        }
        counts[RATIOS.len()] = n * (1.0 - before);
        counts
    }

    pub(super) fn noiseless(&self, levels: &[f64], n: f64) -> Visits {
        self.visits(levels, |vus| {
            (0..3).map(|_| self.expected(vus, n / 3.0)).collect()
        })
    }

    /// Requests whose `U` is an Ornstein-Uhlenbeck process, sampled at each: it forgets by `e` in
    /// `memory` requests.
    pub(super) fn correlated(&self, levels: &[f64], n: usize, memory: f64, seed: u64) -> Visits {
        let mut rng = SmallRng::seed_from_u64(seed);
        let kept = (-1.0 / memory).exp();
        let fresh = (1.0 - kept * kept).sqrt();
        self.visits(levels, |vus| {
            let mut u: f64 = rng.sample(StandardNormal);
            (0..3)
                .map(|_| {
                    let mut counts = Counts::default();
                    for _ in 0..n / 3 {
                        let ratio = 1.0 + self.mean(vus) + self.spread * u;
                        counts[RATIOS.partition_point(|r| ratio < *r)] += 1.0;
                        u = kept * u + fresh * rng.sample::<f64, _>(StandardNormal);
                    }
                    counts
                })
                .collect()
        })
    }

    pub(super) fn visits(
        &self,
        levels: &[f64],
        mut blocks: impl FnMut(f64) -> Vec<Counts>,
    ) -> Visits {
        let mut tail = |vus: &f64| Tail {
            limit_s: self.limit_s,
            blocks: blocks(*vus),
            failed: 0.0,
            residence: None,
        };
        Visits {
            per_s: self.per_s,
            tails: levels.iter().map(|l| (*l, tail(l))).collect(),
        }
    }
}

/// Closed users, 95 %.
pub(super) fn asked(alpha: f64, around: f64) -> FitRequest {
    FitRequest {
        users: Users::Closed,
        alpha,
        around,
        confidence: 0.95,
        variability: None,
    }
}

#[derive(Debug, Clone)]
pub(super) struct Visits {
    pub(super) per_s: f64,
    pub(super) tails: Vec<(f64, Tail)>,
}

impl Visits {
    pub(super) fn fit(&self, around: f64) -> Option<Fit> {
        fit(&self.seen(), &asked(ALPHA, around))
    }

    pub(super) fn seen(&self) -> Vec<TailVisit<'_>> {
        (self.tails.iter())
            .map(|(vus, tail)| TailVisit {
                vus: *vus,
                per_s: self.per_s,
                tail,
            })
            .collect()
    }

    pub(super) fn model(&self) -> Model {
        Model::new(&self.seen(), &asked(ALPHA, 1.0), 1.0).unwrap()
    }
}

/// Levels of so many passes of the ladder.
pub(super) fn ladder(truth: f64, passes: usize) -> Vec<f64> {
    (0..passes)
        .flat_map(|_| [LADDER[2], LADDER[0], LADDER[3], LADDER[1]])
        .map(|share| (truth * share).round())
        .collect()
}

pub(super) fn mean(values: &[f64]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a count of runs")]
    let n = values.len() as f64;
    values.iter().sum::<f64>() / n
}

pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// ln N*, ln eta and log slopes that differ from knot to knot.
pub(super) fn some_theta(seed: u64) -> Parameters {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut theta = [0.0; D];
    for (k, t) in theta.iter_mut().enumerate() {
        *t = match k {
            BREAKPOINT => SERVICE.truth.ln() + rng.random_range(-0.1..0.1),
            ETA => rng.random_range(-0.4..0.2),
            _ => rng.random_range(0.7..1.6),
        };
    }
    Parameters(theta)
}

/// Central differences of `f` along each parameter.
pub(super) fn differences(theta: &Parameters, f: impl Fn(&Parameters) -> f64) -> Vector {
    let mut out = [0.0; D];
    for (k, d) in out.iter_mut().enumerate() {
        let h = 1e-5;
        let (mut up, mut down) = (*theta, *theta);
        up.0[k] += h;
        down.0[k] -= h;
        *d = (f(&up) - f(&down)) / (2.0 * h);
    }
    out
}

pub(super) fn assert_near(got: f64, want: f64, tolerance: f64, what: &str) {
    assert!(
        (got - want).abs() <= tolerance * want.abs().max(1.0),
        "{what}: {got} for {want}"
    );
}
