//! How capacity grows with size, over several laws at once.
//!
//! With `m` the size over the smallest one that was measured:
//!
//! - a line: `X = lambda m`;
//! - Amdahl: `X = lambda m / (1 + sigma (m - 1))`;
//! - USL (N. J. Gunther, *Guerrilla Capacity Planning*, Springer 2007):
//!   `X = lambda m / (1 + sigma (m - 1) + kappa m (m - 1))`;
//! - a power: `X = lambda m^p`, `p < 1`: losses at every doubling and no limit;
//! - a fixed part: `X = lambda (m - o) / (1 - o)`: something of each size that carries nobody, as
//!   memory that an idle service takes;
//! - a ceiling: `X = ((lambda m)^-s + C^-s)^(-1/s)`, a line until a shared resource of capacity `C`
//!   is met. Smaller sizes hardly show it, so that without this law no forecast knew of it.
//!
//! Few sizes cannot decide between them. Each law has a grid of parameters; the probability of each
//! point is its likelihood with the known errors, `lambda` (flat in its logarithm) integrated out
//! exactly, so that a law's weight is its Bayes factor (R. E. Kass, A. E. Raftery, *Bayes factors*,
//! JASA 90, 1995). Information criteria and resampled fits were left out: with three sizes `AICc`
//! is not defined for three parameters, and fits that end at their bounds of zero make bands that
//! are too narrow. What equal runs differ by is integrated out too. Everything that is told is a
//! quantile of draws from this posterior: a band covers the choice of the law.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::ratio::BETWEEN_ONE;
use super::usl::{self, Sized};
use super::{Ends, normal};

/// Draws from the posterior.
const DRAWS: u32 = 4000;
/// Their seed: the same runs give the same bands.
const SEED: u64 = 0x5CA1_AB1E;
/// Points of a grid of one parameter, and of each of two.
const FINE: u32 = 40;
const COARSE: u32 = 16;
/// What contention and coherency cost together at the largest size, from what nobody could see to
/// ten times the work itself.
const COSTS: (f64, f64) = (0.01, 10.0);
/// Where a ceiling lies, over what a line has at the largest size: far above it is a line.
const CEILING_HIGH: f64 = 3.0;
/// How sharply a ceiling is met: closed queueing networks turn within this range.
const SHARPNESS: [f64; 4] = [3.0, 6.0, 12.0, 24.0];
/// How much more probable a ceiling is than each other law before anything is seen: a shared limit
/// that small sizes do not show is what forecasts fail by.
const CEILING_PRIOR: f64 = 1.5;
/// What no law here knows, as a standard deviation for each doubling beyond the largest size, and
/// the most doublings that it grows for. Without it the band at twice the largest size held the
/// truth of a power law and of a fixed part in 84 to 90 % of the draws.
const UNKNOWN: f64 = 0.04;
const MOST_DOUBLINGS: f64 = 2.0;
/// Values of what runs differ by.
const BETWEENS: u32 = 8;
/// A law whose weight is less than this part of the best one's is not supported: "strong" evidence
/// in the scale of Kass and Raftery.
const SUPPORTED: f64 = 0.1;
/// A band that is wider than this factor says nothing.
pub const WIDEST: f64 = 2.0;
/// One more unit that brings less than this part of what the first one carries does not help.
pub const NO_HELP: f64 = 0.1;
/// No size beyond this many times the smallest one is looked at.
const LARGEST: f64 = 1e6;

/// A law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LawKind {
    /// A straight line through the origin.
    Line,
    /// Amdahl's: contention alone.
    Amdahl,
    /// The Universal Scalability Law: contention and coherency.
    Usl,
    /// A power below one: each doubling brings the same factor.
    Power,
    /// A line that does not begin at the origin: a part of each size carries nobody.
    FixedPart,
    /// A line up to a shared limit.
    Ceiling,
}

/// How many there are.
const LAWS: usize = 6;

impl LawKind {
    /// All of them, the simplest first.
    pub const ALL: [Self; LAWS] = [
        Self::Line,
        Self::Amdahl,
        Self::Usl,
        Self::Power,
        Self::FixedPart,
        Self::Ceiling,
    ];
}

/// The parameters of a law but for what the smallest size carries.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Usl { sigma: f64, kappa: f64 },
    Power(f64),
    FixedPart(f64),
    Ceiling { at: f64, sharpness: f64 },
}

impl Shape {
    /// What a size carries, over what the smallest one does.
    fn at(self, m: f64) -> f64 {
        match self {
            Self::Usl { sigma, kappa } => m / (1.0 + sigma * (m - 1.0) + kappa * m * (m - 1.0)),
            Self::Power(p) => m.powf(p),
            // What carries nobody is no logarithm of zero.
            Self::FixedPart(o) => ((m - o) / (1.0 - o)).max(1e-9),
            Self::Ceiling { at, sharpness } => {
                m * (1.0 + (m / at).powf(sharpness)).powf(-sharpness.recip())
            }
        }
    }

    /// The size that carries most; infinite without one.
    fn peak(self) -> f64 {
        match self {
            Self::Usl { sigma, kappa } if kappa > 0.0 => {
                ((1.0 - sigma).max(0.0) / kappa).sqrt().max(1.0)
            }
            Self::Usl { .. } | Self::Power(_) | Self::FixedPart(_) | Self::Ceiling { .. } => {
                f64::INFINITY
            }
        }
    }
}

/// A law that the data may follow.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Draw {
    /// What the smallest size carries, over `shape.at(1)`.
    lambda: f64,
    shape: Shape,
    /// The largest size that was measured, and what no law knows of a doubling beyond it.
    largest: f64,
    unknown: f64,
}

impl Draw {
    fn at(&self, m: f64) -> f64 {
        let doublings = (m / self.largest).log2().clamp(0.0, MOST_DOUBLINGS);
        self.lambda * self.shape.at(m) * (self.unknown * doublings).exp()
    }

    /// The smallest size, over the smallest one measured, that carries `target`; infinite where
    /// none does.
    fn needed(&self, target: f64) -> f64 {
        let top = self.shape.peak().min(LARGEST);
        let carries = |m: f64| self.at(m) >= target;
        let within = self.largest.min(top);
        if carries(within) {
            return first(1e-6, within, carries);
        }
        if !carries(top) {
            return f64::INFINITY;
        }
        first(within, top, carries)
    }

    /// The size from which one more of the smallest brings too little.
    fn helps_up_to(&self) -> f64 {
        let least = NO_HELP * self.at(1.0);
        let helps = |m: f64| self.at(m + 1.0) - self.at(m) >= least;
        let top = self.shape.peak().min(LARGEST);
        if helps(top) {
            return f64::INFINITY;
        }
        first(1.0, top, |m| !helps(m))
    }
}

/// Where a condition that stays true first holds.
fn first(low: f64, high: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (low.ln(), high.ln());
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if holds(middle.exp()) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high.exp()
}

/// An estimate with its interval; infinite values are ones that no size has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Known {
    /// The median.
    pub estimate: f64,
    /// The interval.
    pub ends: Ends,
}

impl Known {
    /// Whether the interval is too wide to say anything.
    pub fn is_too_wide(&self) -> bool {
        !self.ends.high.is_finite()
            || self.ends.low <= 0.0
            || self.ends.high > WIDEST * self.ends.low
    }
}

/// All that is known of how capacity grows.
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior {
    base: f64,
    draws: Vec<Draw>,
    /// Share of the probability, in the order of [`LawKind::ALL`].
    weights: [f64; LAWS],
    /// p-value of the best law of all against the points; `None` where too few test it.
    pub fits_p: Option<f64>,
    tail: f64,
}

/// A point as it is fitted: size over the smallest, logarithm, its own standard error.
#[derive(Debug, Clone, Copy)]
struct Datum {
    m: f64,
    ln_x: f64,
    sd: f64,
}

/// One point of the grids.
struct Candidate {
    law: usize,
    shape: Shape,
    /// Of `ln lambda`: mean and standard error.
    ln_lambda: (f64, f64),
    ln_weight: f64,
}

/// Fits all laws; `None` without a point, or with sizes that make no sense.
pub fn fit(points: &[Sized], confidence: f64) -> Option<Posterior> {
    let sensible = |p: &Sized| p.size > 0.0 && p.size.is_finite();
    if points.is_empty() || !points.iter().all(sensible) {
        return None;
    }
    let sizes = usl::distinct_sizes(points);
    let (base, largest) = (*sizes.first()?, *sizes.last()? / *sizes.first()?);
    let data = data(points, base, confidence);
    let repeated = points.len() > sizes.len();
    let shapes = shapes(largest.max(1.5));
    let mut candidates = Vec::new();
    for between in betweens(repeated) {
        for (law, shape, ln_prior) in &shapes {
            candidates.push(candidate(&data, between, (*law, *shape, *ln_prior)));
        }
    }
    let best = (candidates.iter())
        .map(|c| c.ln_weight)
        .fold(f64::NEG_INFINITY, f64::max);
    if !best.is_finite() {
        return None;
    }
    let mut weights = [0.0; LAWS];
    for c in &mut candidates {
        c.ln_weight = (c.ln_weight - best).exp();
        weights[c.law] += c.ln_weight;
    }
    let sum: f64 = weights.iter().sum();
    Some(Posterior {
        base,
        draws: drawn(&candidates, sum, largest),
        weights: weights.map(|w| w / sum),
        fits_p: fits_p(&data, &shapes, sizes.len()),
        tail: (1.0 - confidence) / 2.0,
    })
}

fn data(points: &[Sized], base: f64, confidence: f64) -> Vec<Datum> {
    let z = normal::probit(f64::midpoint(1.0, confidence));
    let tail = (1.0 - confidence) / 2.0;
    let one = |p: &Sized| Datum {
        m: p.size / base,
        ln_x: p.spread.quantile(0.5),
        sd: (p.spread.quantile(1.0 - tail) - p.spread.quantile(tail)) / (2.0 * z),
    };
    points.iter().map(one).collect()
}

/// What runs differ by beyond their own errors: as between two runs (docs/compare.md), half of the
/// variance to each. Runs of one size show it themselves, so that it may be larger there.
fn betweens(repeated: bool) -> Vec<f64> {
    let part = |i: u32| (f64::from(i) + 0.5) / f64::from(BETWEENS);
    let scale = BETWEEN_ONE / 2.0_f64.sqrt();
    let half_normal = |p: f64| scale * normal::probit(f64::midpoint(1.0, p));
    let half_cauchy = |p: f64| scale * (std::f64::consts::FRAC_PI_2 * p).tan();
    let of = |p: f64| {
        let value = [half_normal(p), half_cauchy(p)];
        value[usize::from(repeated)]
    };
    (0..BETWEENS).map(|i| of(part(i))).collect()
}

/// Every shape with its law and the logarithm of its prior; each law has the same in all.
fn shapes(largest: f64) -> Vec<(usize, Shape, f64)> {
    let logs = |(low, high): (f64, f64), n: u32| -> Vec<f64> {
        let at = |i: u32| (f64::from(i) + 0.5) / f64::from(n);
        (0..n).map(|i| low * (high / low).powf(at(i))).collect()
    };
    let sigma = |cost: f64| (cost / (largest - 1.0)).min(1.0);
    let kappa = |cost: f64| cost / (largest * (largest - 1.0));
    let line = Shape::Usl {
        sigma: 0.0,
        kappa: 0.0,
    };
    let amdahl = logs(COSTS, FINE).into_iter().map(|c| Shape::Usl {
        sigma: sigma(c),
        kappa: 0.0,
    });
    let pairs = logs(COSTS, COARSE).into_iter().flat_map(|a| {
        let with = move |b: f64| Shape::Usl {
            sigma: sigma(a),
            kappa: kappa(b),
        };
        logs(COSTS, COARSE).into_iter().map(with)
    });
    let fixed = (0..FINE).map(|i| Shape::FixedPart((f64::from(i) + 0.5) / f64::from(FINE + 4)));
    // The part that the last doubling brings, from nearly all to nearly nothing.
    let powers = (0..FINE).map(|i| Shape::Power((f64::from(i) + 0.5) / f64::from(FINE)));
    let ceilings = SHARPNESS.into_iter().flat_map(|sharpness| {
        let range = (0.5, CEILING_HIGH * largest);
        let with = move |at| Shape::Ceiling { at, sharpness };
        logs(range, FINE).into_iter().map(with)
    });
    let all = [
        vec![line],
        amdahl.collect(),
        pairs.collect(),
        powers.collect(),
        fixed.collect(),
        ceilings.collect(),
    ];
    let mut shapes = Vec::new();
    for (law, of_law) in all.into_iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "some hundred points")]
        let ln_prior = -(of_law.len() as f64).ln();
        let is_ceiling = LawKind::ALL[law] == LawKind::Ceiling;
        let ln_prior = ln_prior + [0.0, CEILING_PRIOR.ln()][usize::from(is_ceiling)];
        shapes.extend(of_law.into_iter().map(|shape| (law, shape, ln_prior)));
    }
    shapes
}

fn candidate(
    data: &[Datum],
    between: f64,
    (law, shape, ln_prior): (usize, Shape, f64),
) -> Candidate {
    let (mut precision, mut mean, mut ln_weight) = (0.0, 0.0, ln_prior);
    let each = data.iter().map(|d| {
        let w = d.sd.hypot(between).max(1e-6).powi(-2);
        (w, d.ln_x - shape.at(d.m).ln())
    });
    for (w, r) in each.clone() {
        precision += w;
        mean += w * r;
        ln_weight += 0.5 * w.ln();
    }
    mean /= precision;
    for (w, r) in each {
        ln_weight -= 0.5 * w * (r - mean).powi(2);
    }
    Candidate {
        law,
        shape,
        ln_lambda: (mean, precision.powf(-0.5)),
        ln_weight: ln_weight - 0.5 * precision.ln(),
    }
}

/// Candidates as often as they are probable, with what of them is normal drawn.
fn drawn(candidates: &[Candidate], sum: f64, largest: f64) -> Vec<Draw> {
    let mut rng = SmallRng::seed_from_u64(SEED);
    let step = sum / f64::from(DRAWS);
    let (mut next, mut passed) = (0.5 * step, 0.0);
    let mut draws = Vec::new();
    for c in candidates {
        passed += c.ln_weight;
        while next < passed {
            next += step;
            let mut z = || normal::probit(rng.random_range(1e-9..1.0 - 1e-9));
            draws.push(Draw {
                lambda: (c.ln_lambda.0 + z() * c.ln_lambda.1).exp(),
                shape: c.shape,
                largest,
                unknown: UNKNOWN * z(),
            });
        }
    }
    draws
}

/// The chi-squared test of the best shape: nothing that the laws have is near the points. With few
/// sizes it is not tested.
fn fits_p(data: &[Datum], shapes: &[(usize, Shape, f64)], sizes: usize) -> Option<f64> {
    // What the smallest size carries and two parameters of the shape.
    const FITTED: usize = 3;
    if sizes <= FITTED {
        return None;
    }
    let between = BETWEEN_ONE / 2.0_f64.sqrt();
    let squares = |shape: Shape| {
        let of = candidate(data, between, (0, shape, 0.0));
        let one = |d: &Datum| {
            let r = d.ln_x - shape.at(d.m).ln() - of.ln_lambda.0;
            (r / d.sd.hypot(between)).powi(2)
        };
        data.iter().map(one).sum::<f64>()
    };
    let least = (shapes.iter())
        .map(|(_, shape, _)| squares(*shape))
        .fold(f64::INFINITY, f64::min);
    #[expect(clippy::cast_precision_loss, reason = "a handful of runs")]
    let law = ChiSquared::new((data.len() - FITTED) as f64).ok()?;
    Some(law.sf(least))
}

impl Posterior {
    /// Each law with its share of the probability, and whether the data support it.
    pub fn laws(&self) -> [(LawKind, f64, bool); LAWS] {
        let best = self.weights.iter().copied().fold(0.0, f64::max);
        let one = |i: usize| {
            let weight = self.weights[i];
            (LawKind::ALL[i], weight, weight >= SUPPORTED * best)
        };
        std::array::from_fn(one)
    }

    /// Capacity at a size.
    pub fn at(&self, size: f64) -> Known {
        self.known(|d| d.at(size / self.base))
    }

    /// The size needed for a capacity; whole units are rounded up.
    pub fn needed(&self, target: f64, whole: bool) -> Known {
        self.known(|d| {
            let size = self.base * d.needed(target);
            // Rounding errors are no further unit.
            [size, (size - 1e-9).ceil()][usize::from(whole)]
        })
    }

    /// The size from which one more of the smallest brings less than [`NO_HELP`] of what the first
    /// carries.
    pub fn helps_up_to(&self) -> Known {
        self.known(|d| self.base * d.helps_up_to())
    }

    /// The size beyond which capacity falls.
    pub fn peak(&self) -> Known {
        self.known(|d| self.base * d.shape.peak())
    }

    fn known(&self, of: impl Fn(&Draw) -> f64) -> Known {
        let values: Vec<f64> = self.draws.iter().map(of).collect();
        let middle = usl::interval(values.clone(), 0.5);
        Known {
            estimate: middle.low,
            ends: usl::interval(values, self.tail),
        }
    }
}

/// The mean logarithm of each size's runs with its standard error, what runs differ by included.
fn pooled_logs(points: &[Sized], confidence: f64) -> Vec<(f64, f64, f64)> {
    let between = BETWEEN_ONE / 2.0_f64.sqrt();
    let weight = |d: &Datum| d.sd.hypot(between).powi(-2);
    let one = |size: f64| {
        let of: Vec<Datum> = data(points, size, confidence)
            .into_iter()
            .filter(|d| (d.m - 1.0).abs() < 1e-6)
            .collect();
        let sum: f64 = of.iter().map(weight).sum();
        let mean = of.iter().map(|d| weight(d) * d.ln_x).sum::<f64>() / sum;
        (size, mean, sum.powf(-0.5))
    };
    usl::distinct_sizes(points).into_iter().map(one).collect()
}

fn of_log(mean: f64, se: f64, confidence: f64) -> Known {
    let z = normal::probit(f64::midpoint(1.0, confidence));
    Known {
        estimate: mean.exp(),
        ends: Ends {
            low: (mean - z * se).exp(),
            high: (mean + z * se).exp(),
        },
    }
}

/// What was found at each size, over its runs, in the order of the sizes.
pub fn pooled(points: &[Sized], confidence: f64) -> Vec<(f64, Known)> {
    let logs = pooled_logs(points, confidence).into_iter();
    logs.map(|(size, mean, se)| (size, of_log(mean, se, confidence)))
        .collect()
}

/// The capacity of each size over that of the smallest in proportion: 1 where it grows as the size
/// does.
pub fn efficiencies(points: &[Sized], confidence: f64) -> Vec<(f64, Known)> {
    let logs = pooled_logs(points, confidence);
    let Some(first) = logs.first().copied() else {
        return Vec::new();
    };
    let one = |(i, (size, mean, se)): (usize, &(f64, f64, f64))| {
        // The smallest is 1 by its definition.
        let se = if i == 0 { 0.0 } else { se.hypot(first.2) };
        let ln = mean - first.1 - (size / first.0).ln();
        (*size, of_log(ln, se, confidence))
    };
    logs.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests;
