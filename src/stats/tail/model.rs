//! The likelihood of what was counted under the curve, its maximum, and how far that is to be
//! believed.

use super::counts::{Counts, LIMIT, RATIOS, kept, sum};
use super::curve::{BREAKPOINT, D, ETA, Matrix, Normal, Parameters, Psi, SLOPES, Vector};
use super::law::Law;
use super::{DEFF_PER_QUEUE, FitRequest, KNOWN_VARIABILITY_SD, TailVisit, Users, mean};
use crate::stats::linear::{add_scaled, invert, sandwiched, solve, trace_of_product};
use crate::stats::normal::{cdf, density, probit};

/// Usual design effect per VU (the lab's systems have 0.3 to 1.5): closed users come back once per
/// cycle, and what a cycle's answers say is of one mind.
const DEFF_PER_VU: f64 = 0.7;
/// Rounds of fitting and weighing.
const ROUNDS: usize = 3;
/// Most steps of one climb, and what a step must gain for another one to be made.
const STEPS: usize = 40;
const LEAST_GAIN: f64 = 1e-5;
/// Farthest that a step moves a parameter.
const STRIDE: f64 = 0.3;
/// A bin's probability is never less: a count in a bin that the curve excludes must not decide
/// alone.
const TINY: f64 = 1e-7;

/// Counts of one block at the thresholds that the fit keeps.
pub(super) struct Block {
    pub(super) vus: f64,
    pub(super) counts: Vec<f64>,
    pub(super) total: f64,
}

impl Block {
    /// The counts of all thresholds, merged into those that are kept.
    fn of(vus: f64, counts: &Counts, kept: &[usize]) -> Self {
        let mut from = 0;
        let mut merged: Vec<f64> = kept
            .iter()
            .map(|&i| {
                let n = counts[from..=i].iter().sum();
                from = i + 1;
                n
            })
            .collect();
        merged.push(counts[from..].iter().sum());
        Self {
            vus,
            total: merged.iter().sum(),
            counts: merged,
        }
    }
}

/// What was counted, and the law that explains it.
pub(super) struct Model {
    users: Users,
    pub(super) law: Law,
    /// Prior of `ln eta`.
    eta: Normal,
    /// The curve's value at the limit: the probit of the share allowed.
    pub(super) crossing: f64,
    limit_s: f64,
    pub(super) per_s: f64,
    /// Levels that make a shift of about one, with an `eta` of 1.
    pub(super) shift_scale: f64,
    /// Thresholds kept, as multiples of the limit, falling; the limit is one of them.
    pub(super) ratios: Vec<f64>,
    /// The limit's place among them.
    pub(super) limit: usize,
    pub(super) visits: Vec<Block>,
    pub(super) blocks: Vec<Block>,
    /// Blocks whose correlation is kept: those of one visit.
    pub(super) lags: usize,
}

/// How far the maximum is to be believed.
pub(super) struct Sandwich {
    /// The design effect.
    pub(super) deff: f64,
    /// Variance of ln N* if every request were independent, the prior's part left out.
    pub(super) naive_variance: f64,
    /// Variance of ln N* that the prior leaves.
    pub(super) prior_variance: f64,
}

impl Model {
    /// The model of these visits; `None` where they show no violation or say nothing at all.
    pub(super) fn new(visits: &[TailVisit], asked: &FitRequest, queue_share: f64) -> Option<Self> {
        let (users, alpha) = (asked.users, asked.alpha);
        let totals: Vec<Counts> = visits.iter().map(|v| sum(&v.tail.blocks)).collect();
        let pooled = sum(&totals);
        let all: f64 = pooled.iter().sum();
        let late: f64 = pooled[..=LIMIT].iter().sum();
        let per_s = mean(visits, |v| v.per_s);
        if all <= 0.0 || late <= 0.0 || per_s <= 0.0 {
            return None;
        }
        let kept = kept(&pooled, alpha);
        let ratios: Vec<f64> = kept.iter().map(|&i| RATIOS[i]).collect();
        let limit = kept.iter().position(|&i| i == LIMIT)?;
        let lags = visits.iter().map(|v| v.tail.blocks.len()).max()?;
        let limit_s = visits[0].tail.limit_s;
        let law = users.law(visits, alpha);
        let levels_per_rate = match users {
            Users::Closed => mean(visits, |v| v.vus) / per_s,
            Users::Open => 1.0,
        };
        Some(Self {
            users,
            law,
            eta: eta_prior(law, queue_share, asked.variability),
            crossing: probit(alpha),
            limit_s,
            per_s,
            shift_scale: match law {
                Law::Little => per_s * limit_s,
                Law::Spare => -alpha.ln() / limit_s * levels_per_rate,
            },
            ratios,
            limit,
            visits: (visits.iter().zip(&totals))
                .map(|(v, total)| Block::of(v.vus, total, &kept))
                .collect(),
            blocks: (visits.iter())
                .flat_map(|v| v.tail.blocks.iter().map(|b| Block::of(v.vus, b, &kept)))
                .collect(),
            lags,
        })
    }

    /// The design effect to expect, about.
    pub(super) fn usual_deff(&self, around: f64) -> f64 {
        let queue = DEFF_PER_QUEUE * (self.per_s * self.limit_s).powi(2);
        match (self.users, self.law) {
            (Users::Closed, Law::Little) => DEFF_PER_VU * around,
            (Users::Closed, Law::Spare) => queue.max(DEFF_PER_VU * around),
            (Users::Open, _) => queue.max(1.0),
        }
    }

    /// The lowest and the highest level.
    pub(super) fn range(&self) -> (f64, f64) {
        let levels = || self.visits.iter().map(|v| v.vus);
        (
            levels().fold(f64::INFINITY, f64::min),
            levels().fold(0.0, f64::max),
        )
    }

    /// Maximises the weighted likelihood by Fisher scoring, and weighs it by the design effect that
    /// comes out.
    pub(super) fn maximise(&self, around: f64) -> Option<(Parameters, Sandwich)> {
        let mut theta = Parameters::guess(around.ln(), self.eta.mean);
        let mut deff = self.usual_deff(around);
        for round in 0..ROUNDS {
            self.climb(&mut theta, 1.0 / deff)?;
            let sandwich = self.sandwich(&theta, 1.0 / deff)?;
            if round + 1 == ROUNDS {
                return Some((theta, sandwich));
            }
            deff = sandwich.deff.max(1.0);
        }
        None
    }

    /// Steps uphill until another one gains next to nothing; `None` where there is no hill.
    pub(super) fn climb(&self, theta: &mut Parameters, weight: f64) -> Option<()> {
        let mut value = self.objective(theta, weight);
        let mut damping = 1e-4;
        for _ in 0..STEPS {
            let (gradient, information) = self.all_derivatives(theta, weight);
            let gain = loop {
                let mut damped = information;
                for (a, row) in damped.iter_mut().enumerate() {
                    row[a] = row[a] * (1.0 + damping) + 1e-9;
                }
                let tried = theta.moved(solve(&damped, gradient)?, STRIDE);
                let reached = self.objective(&tried, weight);
                if reached > value {
                    let gain = reached - value;
                    (*theta, value) = (tried, reached);
                    damping = f64::max(damping * 0.2, 1e-8);
                    break gain;
                }
                damping = f64::max(damping, 1e-4) * 6.0;
                if damping > 1e4 {
                    break 0.0;
                }
            };
            if gain < LEAST_GAIN {
                break;
            }
        }
        value.is_finite().then_some(())
    }

    /// Gradient and information of the objective.
    fn all_derivatives(&self, theta: &Parameters, weight: f64) -> (Vector, Matrix) {
        let (mut gradient, mut information) = theta.prior_derivatives(self.eta);
        for visit in &self.visits {
            let (g, i) = self.derivatives(theta, visit);
            for (sum, g) in gradient.iter_mut().zip(g) {
                *sum += weight * g;
            }
            add_scaled(&mut information, &i, weight);
        }
        (gradient, information)
    }

    /// The log of prior times weighted likelihood.
    pub(super) fn objective(&self, theta: &Parameters, weight: f64) -> f64 {
        let mut sum = theta.ln_prior(self.eta);
        for visit in &self.visits {
            let mut before = 0.0;
            for (k, n) in visit.counts.iter().enumerate() {
                let share = (self.ratios.get(k)).map_or(1.0, |r| cdf(self.y(theta, visit.vus, *r)));
                sum += weight * n * f64::max(share - before, TINY).ln();
                before = share;
            }
        }
        sum
    }

    /// How far a level is from the breakpoint, in units of the shift.
    fn distance(&self, theta: &Parameters, vus: f64) -> f64 {
        theta.eta() * (vus - theta.breakpoint()) / self.shift_scale
    }

    /// The probit of the share above a threshold at a level.
    pub(super) fn y(&self, theta: &Parameters, vus: f64, ratio: f64) -> f64 {
        let (shift, _) = self.law.shift(self.distance(theta, vus));
        theta.psi(self.law.axis(ratio) - shift, self.crossing).y
    }

    /// Gradient of a block's log-likelihood and its expected information.
    pub(super) fn derivatives(&self, theta: &Parameters, block: &Block) -> (Vector, Matrix) {
        let (mut gradient, mut information) = ([0.0; D], [[0.0; D]; D]);
        let (mut before, mut d_before) = (0.0, [0.0; D]);
        let distance = self.distance(theta, block.vus);
        let (shift, per_distance) = self.law.shift(distance);
        let per_ln_n = per_distance * theta.eta() * theta.breakpoint() / self.shift_scale;
        for (k, n) in block.counts.iter().enumerate() {
            let (mut share, mut d_share) = (1.0, [0.0; D]);
            if let Some(ratio) = self.ratios.get(k) {
                let psi: Psi = theta.psi(self.law.axis(*ratio) - shift, self.crossing);
                let height = density(psi.y);
                share = cdf(psi.y);
                d_share[BREAKPOINT] = height * psi.slope * per_ln_n;
                d_share[ETA] = -height * psi.slope * per_distance * distance;
                for (d, s) in d_share[SLOPES..].iter_mut().zip(psi.by_log_slope) {
                    *d = height * s;
                }
            }
            let p = f64::max(share - before, TINY);
            let mut d = [0.0; D];
            for a in 0..D {
                d[a] = d_share[a] - d_before[a];
                gradient[a] += n * d[a] / p;
            }
            for a in 0..D {
                for b in 0..=a {
                    let known = block.total * d[a] * d[b] / p;
                    information[a][b] += known;
                    if a != b {
                        information[b][a] += known;
                    }
                }
            }
            (before, d_before) = (share, d_share);
        }
        (gradient, information)
    }

    /// The variance at the maximum, with the correlation of neighbouring blocks.
    fn sandwich(&self, theta: &Parameters, weight: f64) -> Option<Sandwich> {
        let mut bread = [[0.0; D]; D];
        let scores: Vec<Vector> = (self.blocks.iter())
            .map(|block| {
                let (score, information) = self.derivatives(theta, block);
                add_scaled(&mut bread, &information, 1.0);
                score
            })
            .collect();
        let meat = long_run(&scores, self.lags);
        let (_, prior) = theta.prior_derivatives(self.eta);
        let mut whole = bread;
        for (whole, prior) in whole.iter_mut().zip(&prior) {
            for (whole, prior) in whole.iter_mut().zip(prior) {
                *whole += prior / weight;
            }
        }
        let inverse = invert(&whole)?;
        let deff = trace_of_product(&inverse, &meat) / trace_of_product(&inverse, &bread);
        Some(Sandwich {
            deff: deff.max(1.0),
            naive_variance: sandwiched(&inverse, &bread, BREAKPOINT),
            prior_variance: sandwiched(&inverse, &prior, BREAKPOINT) / weight / weight,
        })
    }

    /// How far the violations counted are from those fitted, in standard errors.
    pub(super) fn misfit(&self, theta: &Parameters, deff: f64) -> f64 {
        let (mut excess, mut variance) = (0.0, 0.0);
        for visit in &self.visits {
            let late: f64 = visit.counts[..=self.limit].iter().sum();
            let share = cdf(self.y(theta, visit.vus, 1.0));
            excess += late - visit.total * share;
            variance += visit.total * share * (1.0 - share) * deff;
        }
        excess.abs() / variance.sqrt()
    }
}

/// The prior of `ln eta`: of the law alone, or of what was measured of the service.
fn eta_prior(law: Law, queue_share: f64, variability: Option<f64>) -> Normal {
    let (mean, sd) = match (law, variability) {
        (Law::Little, _) => (queue_share.ln(), law.eta_sd()),
        (Law::Spare, Some(v)) => (-v.ln(), KNOWN_VARIABILITY_SD),
        (Law::Spare, None) => (0.0, law.eta_sd()),
    };
    Normal { mean, sd }
}

/// Long-run covariance of successive scores with Bartlett's weights (Newey and West, 1987).
pub(super) fn long_run(scores: &[Vector], lags: usize) -> Matrix {
    let mut out = [[0.0; D]; D];
    for lag in 0..=lags {
        #[expect(clippy::cast_precision_loss, reason = "a handful of lags")]
        let weight = 1.0 - lag as f64 / (lags as f64 + 1.0);
        for (before, after) in scores.iter().zip(scores.iter().skip(lag)) {
            for a in 0..D {
                for b in 0..D {
                    out[a][b] += weight
                        * if lag == 0 {
                            before[a] * after[b]
                        } else {
                            before[a] * after[b] + after[a] * before[b]
                        };
                }
            }
        }
    }
    out
}
