//! The ratio of two quantities that are known with an uncertainty each, from one pair of runs or
//! from several.
//!
//! One pair: the difference of two independent distributions on the log scale, by convolution. That
//! of two Student's t is the solution of Behrens and Fisher. Several pairs: a random-effects model,
//! `log ratio of pair i = mu + u_i + e_i`, with the standard deviation `tau` of `u` integrated out
//! over a prior (A. Gelman, *Prior distributions for variance parameters in hierarchical models*,
//! Bayesian Analysis 1, 2006).

use std::sync::LazyLock;

use super::normal;
use super::permutation::Interval;
use super::spread::Spread;

/// Scale of the half-normal prior of `tau` where one pair cannot show it: what the ratio of two
/// equal runs may differ by beside what either run knows of itself.
pub const BETWEEN_ONE: f64 = 0.02;
/// Scale of the half-Cauchy prior of `tau` where several pairs show it: small as a rule, and free
/// to be large.
pub const BETWEEN_MANY: f64 = 0.01;
/// Smallest probability that the tables of the runs can tell.
const LEAST_P: f64 = 0.001;
/// Power for which the smallest change that could have been seen is told.
const POWER: f64 = 0.8;
/// Parts of the base's distribution, of the prior of `tau`, and of what it adds.
const BASE_PARTS: u32 = 100;
const TAU_PARTS: u32 = 40;
const BETWEEN_PARTS: u32 = 21;

/// What is known of a ratio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ratio {
    /// Its median.
    pub estimate: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
    /// Two-sided p-value of no change, at least 0.001.
    pub p_value: f64,
    /// Smallest rise, as a fraction, that would have been seen with a probability of 80 %.
    pub detectable: f64,
}

impl Ratio {
    /// From a distribution function of its logarithm.
    fn of(at_or_below: impl Fn(f64) -> f64, confidence: f64) -> Self {
        let tail = (1.0 - confidence) / 2.0;
        let [low, middle, high] = [tail, 0.5, 1.0 - tail].map(|p| solve(&at_or_below, p));
        let below = at_or_below(0.0);
        let z = normal::probit(1.0 - tail);
        let se = (high - low) / (2.0 * z);
        Self {
            estimate: middle.exp(),
            low: low.exp(),
            high: high.exp(),
            p_value: (2.0 * below.min(1.0 - below)).clamp(LEAST_P, 1.0),
            detectable: (se * (z + normal::probit(POWER))).exp_m1(),
        }
    }
}

/// The ratio of the candidate to the base from the interval of its logarithm that their blocks
/// give, [`BETWEEN_ONE`] included.
pub fn of_blocks(seen: &Interval, confidence: f64) -> Ratio {
    let z = normal::probit(f64::midpoint(1.0, confidence));
    let error = |end: f64| ((end - seen.estimate).abs() / z).hypot(BETWEEN_ONE);
    let (down, up) = (error(seen.low), error(seen.high));
    let towards_no_change = if seen.estimate > 0.0 { down } else { up };
    let p_value = 2.0 * normal::cdf(-seen.estimate.abs() / towards_no_change);
    Ratio {
        estimate: seen.estimate.exp(),
        low: (seen.estimate - z * down).exp(),
        high: (seen.estimate + z * up).exp(),
        p_value: p_value.clamp(LEAST_P, 1.0),
        detectable: (down * (z + normal::probit(POWER))).exp_m1(),
    }
}

/// That interval as an [`effect`].
pub fn effect_of_blocks(seen: &Interval, confidence: f64) -> Effect {
    let z = normal::probit(f64::midpoint(1.0, confidence));
    let furthest = (seen.high - seen.estimate).max(seen.estimate - seen.low);
    Effect {
        ln_ratio: seen.estimate,
        se: (furthest / z).max(1e-6),
    }
}

/// Where a rising function reaches `p`.
fn solve(f: impl Fn(f64) -> f64, p: f64) -> f64 {
    let (mut low, mut high) = (-25.0, 25.0);
    for _ in 0..48 {
        let middle = f64::midpoint(low, high);
        if f(middle) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

/// The ratio of the candidate to the base from one pair of runs, [`BETWEEN_ONE`] included.
pub fn of_pair(base: &Spread, candidate: &Spread, confidence: f64) -> Ratio {
    of_difference(base, candidate, &BETWEEN, confidence)
}

/// From the difference of the logarithms of two quantities and of each of `by`. What skews both
/// down is the same in both, and is no part of how they differ.
fn of_difference(base: &Spread, candidate: &Spread, by: &[f64], confidence: f64) -> Ratio {
    let (shifts, candidate) = (shifted(&base.upright(), by), candidate.upright());
    Ratio::of(|d| difference(&shifts, &candidate, d), confidence)
}

/// Probability that the quantity lies at or below `value` once what runs differ by is added.
pub fn at_or_below_with_between(of: &Spread, value: f64) -> f64 {
    let n = f64::from(BETWEEN_PARTS);
    BETWEEN
        .iter()
        .map(|u| of.at_or_below(value.ln() + u))
        .sum::<f64>()
        / n
}

/// The quantile of a quantity once what runs differ by is added.
pub fn quantile_with_between(of: &Spread, p: f64) -> f64 {
    solve(|x| at_or_below_with_between(of, x.exp()), p).exp()
}

/// The points of the base, each moved by each of `by`.
fn shifted(base: &Spread, by: &[f64]) -> Vec<f64> {
    let parts = base.equal_parts(BASE_PARTS);
    parts
        .iter()
        .flat_map(|x| by.iter().map(move |u| x + u))
        .collect()
}

/// `P(ln candidate - ln base <= d)`.
fn difference(base: &[f64], candidate: &Spread, d: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a few thousand points")]
    let n = base.len() as f64;
    base.iter()
        .map(|b| candidate.at_or_below(b + d))
        .sum::<f64>()
        / n
}

/// Equal parts of a normal distribution whose standard deviation is half-normal with scale
/// [`BETWEEN_ONE`].
static BETWEEN: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let taus: Vec<f64> = parts(TAU_PARTS)
        .map(|p| BETWEEN_ONE * normal::probit(f64::midpoint(1.0, p)))
        .collect();
    let mixture =
        |u: f64| taus.iter().map(|tau| normal::cdf(u / tau)).sum::<f64>() / f64::from(TAU_PARTS);
    parts(BETWEEN_PARTS).map(|p| solve(mixture, p)).collect()
});

fn parts(n: u32) -> impl Iterator<Item = f64> {
    (0..n).map(move |i| (f64::from(i) + 0.5) / f64::from(n))
}

/// What one pair says, without what runs differ by: a normal distribution that has the pair's own
/// interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// The logarithm of the ratio.
    pub ln_ratio: f64,
    /// Its standard error.
    pub se: f64,
}

/// The effect that one pair shows.
pub fn effect(base: &Spread, candidate: &Spread, confidence: f64) -> Effect {
    let ratio = of_difference(base, candidate, &[0.0], confidence);
    let z = normal::probit(f64::midpoint(1.0, confidence));
    let se = (ratio.high / ratio.low).ln() / (2.0 * z);
    Effect {
        ln_ratio: ratio.estimate.ln(),
        se: se.max(1e-6),
    }
}

/// The common ratio of several pairs from their effects; `None` without one.
pub fn pooled(effects: &[Effect], confidence: f64) -> Option<Ratio> {
    let first = effects.first()?;
    let given = |tau: f64| conditional(effects, tau, first.ln_ratio);
    let taus = parts(TAU_PARTS).map(|p| BETWEEN_MANY * (std::f64::consts::FRAC_PI_2 * p).tan());
    let parts: Vec<Conditional> = taus.map(given).collect();
    let most = parts
        .iter()
        .map(|p| p.ln_likelihood)
        .fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = parts.iter().map(|p| (p.ln_likelihood - most).exp()).sum();
    let at_or_below = |d: f64| {
        let weighted = parts
            .iter()
            .map(|p| (p.ln_likelihood - most).exp() * normal::cdf((d - p.mean) / p.sd));
        weighted.sum::<f64>() / total
    };
    Some(Ratio::of(at_or_below, confidence))
}

/// What is known of `mu` given `tau`.
struct Conditional {
    mean: f64,
    sd: f64,
    /// The logarithm of the likelihood of `tau` with `mu` integrated out.
    ln_likelihood: f64,
}

fn conditional(effects: &[Effect], tau: f64, around: f64) -> Conditional {
    let weight = |se: f64| 1.0 / (se * se + tau * tau);
    let all: f64 = effects.iter().map(|e| weight(e.se)).sum();
    // Measured from one of them: the sums of squares lose no digits.
    let mean = effects
        .iter()
        .map(|e| weight(e.se) * (e.ln_ratio - around))
        .sum::<f64>()
        / all;
    let misfit: f64 = effects
        .iter()
        .map(|e| weight(e.se) * (e.ln_ratio - around - mean).powi(2))
        .sum();
    let logs: f64 = effects.iter().map(|e| weight(e.se).ln()).sum();
    Conditional {
        mean: around + mean,
        sd: all.sqrt().recip(),
        ln_likelihood: 0.5 * (logs - all.ln() - misfit),
    }
}

/// Holm's correction for several tests (S. Holm, *A simple sequentially rejective multiple test
/// procedure*, Scandinavian Journal of Statistics 6, 1979): p-values that may each be held against
/// the level that is meant for all of them.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut least = 0.0_f64;
    for (rank, index) in order.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "a handful of tests")]
        let left = (p_values.len() - rank) as f64;
        least = least.max((left * p_values[*index]).min(1.0));
        adjusted[*index] = least;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    fn log_normal(centre: f64, se: f64) -> Spread {
        Spread::student(centre, se, 1e6).unwrap()
    }

    #[test]
    fn the_difference_of_two_normal_logarithms_has_the_sum_of_their_variances() {
        let Effect { ln_ratio: mean, se } =
            effect(&log_normal(100.0, 0.03), &log_normal(120.0, 0.04), 0.95);
        assert!((mean - 1.2f64.ln()).abs() < 1e-3, "{mean}");
        // Straight lines between the points of a table widen its tails by some 3 %.
        assert!((0.05..0.0525).contains(&se), "{se}");
    }

    #[test]
    fn a_pair_and_its_mirror_say_the_same() {
        let (a, b) = (
            Spread::student(100.0, 0.02, 5.0).unwrap(),
            Spread::student(110.0, 0.05, 9.0).unwrap(),
        );
        let (there, back) = (of_pair(&a, &b, 0.95), of_pair(&b, &a, 0.95));
        for (x, y) in [
            (there.estimate, back.estimate),
            (there.low, back.high),
            (there.high, back.low),
        ] {
            assert!((x * y - 1.0).abs() < 2e-3, "{there:?} {back:?}");
        }
        assert!((there.p_value - back.p_value).abs() < 5e-3);
    }

    #[test]
    fn what_runs_differ_by_widens_a_narrow_pair_and_hardly_a_wide_one() {
        let narrow = of_pair(&log_normal(100.0, 1e-4), &log_normal(100.0, 1e-4), 0.95);
        // The half-normal mixture's own standard deviation is its scale, 2 %.
        let width = (narrow.high / narrow.low).ln() / (2.0 * 1.96);
        assert!((0.019..0.0235).contains(&width), "{width}");
        let wide = of_pair(&log_normal(100.0, 0.1), &log_normal(100.0, 0.1), 0.95);
        let width = (wide.high / wide.low).ln() / (2.0 * 1.96);
        let sum = 0.02_f64.hypot(0.02_f64.sqrt());
        assert!((1.0..1.04).contains(&(width / sum)), "{width}");
        assert!(wide.p_value > 0.99, "{wide:?}");
    }

    #[test]
    fn the_change_that_could_be_seen_is_seen_four_times_in_five() {
        let mut rng = SmallRng::seed_from_u64(7);
        let mut normal = move || normal::probit(rng.random_range(1e-9..1.0 - 1e-9));
        let detectable = of_pair(&log_normal(1.0, 0.03), &log_normal(1.0, 0.03), 0.95).detectable;
        let seen = (0..400).filter(|_| {
            let base = log_normal((0.03 * normal()).exp(), 0.03);
            let between = 0.02 * normal();
            let candidate =
                log_normal((1.0 + detectable) * (0.03 * normal() + between).exp(), 0.03);
            of_pair(&base, &candidate, 0.95).low > 1.0
        });
        let share = seen.count();
        assert!((290..=350).contains(&share), "{share} of 400");
    }

    /// Runs as searches make them: those that came out high think that they are sure, and all of
    /// them reach further down than up.
    fn lucky(z: f64, skew: f64) -> Spread {
        let se = 0.05 * (-0.4 * z).exp();
        let table: Vec<(f64, f64)> = (1..200)
            .map(|i| {
                let p = f64::from(i) / 200.0;
                let t = normal::probit(p);
                let side = if t < 0.0 { 1.0 + skew } else { 1.0 - skew };
                ((0.05 * z + se * side * t).exp(), p)
            })
            .collect();
        Spread::of_table(&table).unwrap()
    }

    #[test]
    fn a_lean_that_both_share_makes_no_evidence_of_a_change() {
        let mut rng = SmallRng::seed_from_u64(5);
        let mut normal = move || normal::probit(rng.random_range(1e-9..1.0 - 1e-9));
        let (mut told, mut kept, runs) = (0, 0, 1000);
        for _ in 0..runs {
            let (a, b) = (normal(), normal());
            let alarm = |skew: f64| {
                let of = |z: f64| lucky(z, 0.25).skewed(skew);
                let ratio = of_pair(&of(a), &of(b), 0.95);
                u32::from(ratio.low > 1.0 || ratio.high < 1.0)
            };
            told += alarm(0.25);
            kept += alarm(0.0);
        }
        // What a narrow high run and a wide low one have between them is the side of either that
        // the skew makes short.
        assert!(told < kept, "{told} {kept}");
        // 5 % of 1 000, with a standard deviation of 7.
        assert!(told <= 57, "{told} of {runs}");
    }

    #[test]
    fn runs_that_lean_are_compared_by_their_own_error() {
        let (a, b) = (lucky(0.5, 0.25), lucky(-1.0, 0.25));
        let (a, b) = (a.skewed(0.25), b.skewed(0.25));
        let (x, y) = (lucky(0.5, 0.0), lucky(-1.0, 0.0));
        let (skewed, own) = (of_pair(&a, &b, 0.95), of_pair(&x, &y, 0.95));
        for (got, want) in [
            (skewed.estimate, own.estimate),
            (skewed.low, own.low),
            (skewed.high, own.high),
        ] {
            assert!((got / want - 1.0).abs() < 1e-6, "{skewed:?} {own:?}");
        }
        let Effect { ln_ratio: mean, se } = effect(&a, &b, 0.95);
        let own = effect(&x, &y, 0.95).se;
        assert!(
            (mean - (-0.075)).abs() < 0.01 && (se - own).abs() < 1e-9,
            "{mean} {se} {own}"
        );
    }

    fn of(ln_ratio: f64, se: f64) -> Effect {
        Effect { ln_ratio, se }
    }

    /// How often an interval of pooled pairs misses, of pairs whose ratios differ by `tau`.
    fn misses(pairs: usize, se: f64, tau: f64, trials: usize) -> usize {
        let mut rng = SmallRng::seed_from_u64(11);
        let mut normal = move || normal::probit(rng.random_range(1e-9..1.0 - 1e-9));
        (0..trials)
            .filter(|_| {
                let effects: Vec<_> = (0..pairs)
                    .map(|_| of(se.hypot(tau) * normal(), se))
                    .collect();
                let ratio = pooled(&effects, 0.95).unwrap();
                ratio.low > 1.0 || ratio.high < 1.0
            })
            .count()
    }

    #[test]
    fn pooled_pairs_hold_the_truth_also_where_runs_differ() {
        for (pairs, se, tau) in [
            (2, 0.035, 0.0),
            (3, 0.035, 0.02),
            (5, 0.02, 0.02),
            (5, 0.007, 0.02),
        ] {
            let missed = misses(pairs, se, tau, 400);
            // 5 % of 400 are 20, with a standard deviation of 4.4.
            assert!(missed <= 33, "{pairs} pairs, {se}, {tau}: {missed} of 400");
        }
    }

    #[test]
    fn pairs_that_agree_narrow_the_interval_and_contradictions_widen_it() {
        let width = |effects: &[Effect]| {
            let ratio = pooled(effects, 0.95).unwrap();
            (ratio.high / ratio.low).ln()
        };
        let one = width(&[of(0.1, 0.03)]);
        let four = width(&[of(0.1, 0.03); 4]);
        assert!(four < 0.6 * one, "{four} {one}");
        assert!(width(&[of(0.3, 0.03), of(-0.1, 0.03)]) > 2.0 * width(&[of(0.1, 0.03); 2]));
        assert_eq!(pooled(&[], 0.95), None);
    }

    #[test]
    fn holms_correction_is_that_of_his_example() {
        // By hand: 4 x 0.005, then max(0.02, 3 x 0.01), max(0.03, 2 x 0.03), max(0.06, 0.04).
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (got, want) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((got - want).abs() < 1e-12, "{adjusted:?}");
        }
        assert_eq!(holm(&[]), Vec::<f64>::new());
    }
}
