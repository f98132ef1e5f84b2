//! The ratio of two quantiles from blocks of time, by permutation.
//!
//! A quantile of a tail rests on the few blocks in which something was slow, and a run in which
//! nothing was knows nothing of that: the spread of its own blocks would call it sure. So the
//! blocks of both runs are looked at together. If nothing but a factor lies between the runs, then
//! it was chance which blocks came to which of them, once one of them is divided by it; the
//! interval has the factors for which the difference that was seen is not among the rare ones of
//! all the ways to deal the blocks out again (E. J. G. Pitman, *Significance tests which may be
//! applied to samples from any populations*, Supplement to the Journal of the Royal Statistical
//! Society 4, 1937).

use rand::SeedableRng;
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;

/// Fewest blocks of a run: of four and four there are seventy ways to deal them out.
pub const FEWEST_BLOCKS: usize = 4;
/// Ways that are tried.
const DEALS: usize = 799;
/// Width of a bin, as a logarithm; the quantiles of a deal are told apart to it.
const BIN: f64 = 0.002;
/// Furthest that an end may lie from the estimate, bins: some sixty times.
const FURTHEST: i64 = 2_048;

/// The values of a block of time: (logarithm, how many), ascending.
pub type Block = Vec<(f64, u64)>;

/// The logarithm of a ratio with its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// What was seen.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Interval {
    /// The smallest that holds both, about this one's estimate.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            estimate: self.estimate,
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }
}

/// The ratio of the candidate's `q` quantile to the base's; `None` with fewer than
/// [`FEWEST_BLOCKS`] on either side, or without a value in one of the runs. The same blocks give
/// the same interval.
pub fn of_quantiles(
    base: &[Block],
    candidate: &[Block],
    q: f64,
    confidence: f64,
) -> Option<Interval> {
    let estimate = quantile(candidate, q)? - quantile(base, q)?;
    if base.len().min(candidate.len()) < FEWEST_BLOCKS {
        return None;
    }
    let dealer = Dealer {
        base: Binned::of(base),
        candidate: Binned::of(candidate),
        q,
    };
    let deals = deals(base.len(), candidate.len());
    let tail = (1.0 - confidence) / 2.0;
    let seen = dealer.difference(deals.first()?, 0)?;
    // Whether the difference that was seen is not rare among the deals once the candidate is
    // divided by so many bins: on the lower side one as high or higher, on the upper one as low or
    // lower.
    let may_be = |by: i64, lower: bool| {
        let left = seen - by;
        let differences = deals.iter().filter_map(|deal| dealer.difference(deal, by));
        let (mut as_far, mut all) = (0.0, 0.0);
        for difference in differences {
            all += 1.0;
            let far = if lower {
                difference >= left
            } else {
                difference <= left
            };
            as_far += f64::from(u8::from(far));
        }
        as_far > tail * all
    };
    let low = furthest(|by| may_be(seen - by, true));
    let high = furthest(|by| may_be(seen + by, false));
    Some(Interval {
        estimate,
        low: estimate - bins(low),
        high: estimate + bins(high),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
fn bins(n: i64) -> f64 {
    n as f64 * BIN
}

/// The first distance that may not be.
fn furthest(may_be: impl Fn(i64) -> bool) -> i64 {
    let (mut inside, mut outside) = (0, FURTHEST);
    while outside - inside > 1 {
        let middle = i64::midpoint(inside, outside);
        if may_be(middle) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    outside
}

/// Which blocks are the base's (1), the first as it was.
fn deals(base: usize, candidate: usize) -> Vec<Vec<u32>> {
    let mut rng = SmallRng::seed_from_u64(0xB10C);
    let was: Vec<u32> = (0..base + candidate).map(|i| u32::from(i < base)).collect();
    let again = (0..DEALS).map(|_| {
        let mut deal = was.clone();
        deal.shuffle(&mut rng);
        deal
    });
    std::iter::once(was.clone()).chain(again).collect()
}

/// Fewest values at or below a quantile, of so many.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are far below 2^52"
)]
fn at_least(q: f64, of: u64) -> u64 {
    (q * of as f64).ceil().max(1.0) as u64
}

/// The quantile of all blocks together.
fn quantile(blocks: &[Block], q: f64) -> Option<f64> {
    let mut all: Vec<(f64, u64)> = blocks.iter().flatten().copied().collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let needed = at_least(q, all.iter().map(|(_, n)| n).sum());
    let mut passed = 0;
    let reaches = |(x, n): &(f64, u64)| {
        passed += n;
        (passed >= needed).then_some(*x)
    };
    all.iter().find_map(reaches)
}

/// How many values of each block lie at or below the end of each bin.
struct Binned {
    /// The lowest bin with a value.
    first: i64,
    blocks: usize,
    /// By bin, then by block.
    at_or_below: Vec<u32>,
    nothing: Vec<u32>,
}

impl Binned {
    fn of(blocks: &[Block]) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "logarithms of seconds")]
        let bin = |x: f64| (x / BIN).round() as i64;
        let values = || blocks.iter().flatten().map(|(x, _)| bin(*x));
        let first = values().min().unwrap_or(0);
        let last = values().max().unwrap_or(0);
        let rows = usize::try_from(last - first + 1).unwrap_or(1);
        let width = blocks.len();
        let mut counts = vec![0_u32; rows * width];
        for (i, block) in blocks.iter().enumerate() {
            for (x, n) in block {
                let row = usize::try_from(bin(*x) - first).unwrap_or(0);
                counts[row * width + i] += u32::try_from(*n).unwrap_or(u32::MAX);
            }
        }
        for at in width..counts.len() {
            counts[at] += counts[at - width];
        }
        Self {
            first,
            blocks: width,
            at_or_below: counts,
            nothing: vec![0; width],
        }
    }

    fn last(&self) -> i64 {
        let rows = self.at_or_below.len() / self.blocks.max(1);
        self.first + i64::try_from(rows).unwrap_or(i64::MAX) - 1
    }

    /// Per block.
    fn row(&self, bin: i64) -> &[u32] {
        match usize::try_from(bin.min(self.last()) - self.first) {
            Ok(row) => &self.at_or_below[row * self.blocks..(row + 1) * self.blocks],
            Err(_) => &self.nothing,
        }
    }
}

/// Deals the blocks of both out again.
struct Dealer {
    base: Binned,
    candidate: Binned,
    q: f64,
}

impl Dealer {
    /// The candidate's quantile less the base's, bins, when the blocks are dealt out so and those
    /// that were the candidate's are divided by so many bins.
    fn difference(&self, is_base: &[u32], divided_by: i64) -> Option<i64> {
        let of = |side: u32| self.quantile(is_base, side, divided_by);
        Some(of(0)? - of(1)?)
    }

    /// The first bin at which enough values of a side are passed; `None` where it has none.
    fn quantile(&self, is_base: &[u32], side: u32, divided_by: i64) -> Option<i64> {
        let (to_base, to_candidate) = is_base.split_at(self.base.blocks);
        let share = |row: &[u32], sides: &[u32]| -> u64 {
            let dealt = row.iter().zip(sides);
            dealt
                .map(|(n, s)| u64::from(n * u32::from(*s == side)))
                .sum()
        };
        let passed = |bin: i64| {
            share(self.base.row(bin), to_base)
                + share(self.candidate.row(bin + divided_by), to_candidate)
        };
        let mut low = self.base.first.min(self.candidate.first - divided_by) - 1;
        let mut high = self.base.last().max(self.candidate.last() - divided_by);
        let all = passed(high);
        let needed = at_least(self.q, all);
        if all == 0 {
            return None;
        }
        while high - low > 1 {
            let middle = i64::midpoint(low, high);
            if passed(middle) >= needed {
                high = middle;
            } else {
                low = middle;
            }
        }
        Some(high)
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::stats::normal;

    fn block(rng: &mut SmallRng, factor: f64, slow: bool) -> Block {
        let value = |rng: &mut SmallRng| {
            let z = normal::probit(rng.random_range(1e-9..1.0 - 1e-9));
            let stalled = slow && rng.random_range(0.0..1.0) < 0.3;
            factor.ln() + 0.5 * z + if stalled { 2.0 } else { 0.0 }
        };
        let mut values: Vec<(f64, u64)> = (0..100).map(|_| (value(rng), 1)).collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        values
    }

    /// A run of `n` blocks, each of which a pause falls into with a probability.
    fn run(rng: &mut SmallRng, n: usize, factor: f64, pauses: f64) -> Vec<Block> {
        (0..n)
            .map(|_| {
                let slow = rng.random_range(0.0..1.0) < pauses;
                block(rng, factor, slow)
            })
            .collect()
    }

    /// Of so many pairs whose true ratio this is: how many intervals miss it, and how many leave
    /// out no change.
    fn misses(ratio: f64, pauses: f64, q: f64, pairs: usize) -> (usize, usize) {
        let mut rng = SmallRng::seed_from_u64(3);
        let (mut missed, mut changed) = (0, 0);
        for _ in 0..pairs {
            let (a, b) = (
                run(&mut rng, 10, 1.0, pauses),
                run(&mut rng, 12, ratio, pauses),
            );
            let seen = of_quantiles(&a, &b, q, 0.95).unwrap();
            let outside = |x: f64| usize::from(x < seen.low || x > seen.high);
            missed += outside(ratio.ln());
            changed += outside(0.0);
        }
        (missed, changed)
    }

    #[test]
    fn equal_runs_differ_by_chance_five_times_in_a_hundred_whether_or_not_there_are_rare_pauses() {
        // 5 % of 200, with a standard deviation of 3.1.
        for (pauses, q) in [(0.0, 0.5), (0.0, 0.99), (0.1, 0.99)] {
            let (missed, changed) = misses(1.0, pauses, q, 200);
            assert!(missed <= 18, "{pauses} {q}: {missed}");
            assert_eq!(missed, changed);
        }
    }

    #[test]
    fn a_change_is_seen_and_the_interval_holds_it() {
        let (missed, seen) = misses(1.3, 0.0, 0.5, 100);
        assert!(missed <= 11 && seen == 100, "{missed} {seen}");
        let (missed, seen) = misses(1.5, 0.0, 0.99, 100);
        assert!(missed <= 11 && seen >= 95, "{missed} {seen}");
    }

    #[test]
    fn the_estimate_is_the_ratio_of_the_pooled_quantiles() {
        let of = |values: [f64; 4]| -> Vec<Block> {
            values.iter().map(|v| vec![(v.ln(), 10)]).collect()
        };
        let seen = of_quantiles(
            &of([1.0, 2.0, 3.0, 4.0]),
            &of([2.0, 4.0, 6.0, 8.0]),
            0.5,
            0.95,
        );
        let seen = seen.unwrap();
        assert!((seen.estimate - 2f64.ln()).abs() < 1e-12, "{seen:?}");
        assert!(seen.low < 0.0 && seen.high > 2f64.ln(), "{seen:?}");
        let three = of([1.0, 2.0, 3.0, 4.0]);
        assert_eq!(of_quantiles(&three[1..], &three, 0.5, 0.95), None);
        assert_eq!(
            of_quantiles(&three, &vec![Block::new(); 4], 0.5, 0.95),
            None
        );
    }
}
