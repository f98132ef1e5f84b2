//! Who is of which kind, where users of several kinds share one level.
//!
//! Numbers from 0 are dealt to the kinds so that the first `n` of them, for every `n`, have each
//! kind in its share, to less than one: R. Tijdeman, "The chairman assignment problem", Discrete
//! Mathematics 32 (1980), whose rule never strays by more than `1 - 1/(2k - 2)` for `k` kinds. A
//! higher level therefore only adds users; nobody changes his kind. The dealing repeats after as
//! many numbers as the shares add up to.

/// The highest share of a kind: the dealing of a few kinds stays short.
pub const MOST_SHARE: u32 = 10_000;

/// How the numbers of a mix are dealt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mix {
    /// The kind of each number of one period.
    kinds: Vec<usize>,
    /// Per kind its numbers in one period, ascending.
    numbers: Vec<Vec<u32>>,
}

impl Mix {
    /// A mix of kinds with these shares, which need not add up to 100.
    ///
    /// # Panics
    /// When there is no kind, or a share is 0 or above [`MOST_SHARE`].
    pub fn new(shares: &[u32]) -> Self {
        assert!(!shares.is_empty(), "a mix has kinds");
        let fits = |share: &u32| (1..=MOST_SHARE).contains(share);
        assert!(shares.iter().all(fits), "shares are within bounds");
        let common = shares.iter().copied().fold(0, gcd);
        let weights: Vec<i128> = shares.iter().map(|s| i128::from(s / common)).collect();
        let kinds = deal(&weights);
        let mut numbers = vec![Vec::new(); shares.len()];
        for (number, kind) in (0..).zip(&kinds) {
            numbers[*kind].push(number);
        }
        Self { kinds, numbers }
    }

    /// How many kinds there are.
    pub fn kinds(&self) -> usize {
        self.numbers.len()
    }

    /// The kind of a number.
    pub fn kind(&self, number: u64) -> usize {
        let period = u64::try_from(self.kinds.len()).unwrap_or(u64::MAX);
        let place = usize::try_from(number % period).unwrap_or(0);
        self.kinds[place]
    }

    /// How many of the first `n` numbers are of a kind.
    pub fn count(&self, kind: usize, n: u32) -> u32 {
        let (period, own) = (self.period(), &self.numbers[kind]);
        let whole = (n / period) * length(own);
        let rest = own.partition_point(|number| *number < n % period);
        whole + u32::try_from(rest).unwrap_or(u32::MAX)
    }

    /// The number of the `index`-th of a kind, from 0.
    pub fn number(&self, kind: usize, index: u32) -> u32 {
        let own = &self.numbers[kind];
        let each = length(own);
        let within = usize::try_from(index % each).unwrap_or(0);
        (index / each)
            .saturating_mul(self.period())
            .saturating_add(own[within])
    }

    fn period(&self) -> u32 {
        length(&self.kinds)
    }
}

fn length<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// One period of Tijdeman's rule: of the kinds that may be given a number without getting ahead of
/// their share, the one that must be given one soonest.
fn deal(weights: &[i128]) -> Vec<usize> {
    let all: i128 = weights.iter().sum();
    let count = i128::try_from(weights.len()).unwrap_or(i128::MAX);
    // In units of 1/(all * span): the share of the allowed lead.
    let span = (2 * count - 2).max(1);
    let mut given = vec![0_i128; weights.len()];
    let mut kinds = Vec::new();
    for n in 1..=all {
        // How far a kind is behind where it should be at `n`, times `all`.
        let behind = |kind: usize| weights[kind] * n - all * given[kind];
        let may = (0..weights.len()).filter(|kind| behind(*kind) * span >= all);
        // By when it must be given one: (1 - 1/span - behind/all) / (weight/all), smallest first.
        let due = |kind: usize| all * (span - 1) - behind(kind) * span;
        let next = may.min_by(|a, b| (due(*a) * weights[*b]).cmp(&(due(*b) * weights[*a])));
        let next = next.unwrap_or(0);
        given[next] += 1;
        kinds.push(next);
    }
    kinds
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;

    use super::*;
    use crate::scenario::vu_rng;

    #[test]
    fn every_level_has_each_kind_in_its_share_to_less_than_one() {
        let mut rng = vu_rng(5, 0);
        for _ in 0..300 {
            let kinds = rng.random_range(1..=7);
            let shares: Vec<u32> = (0..kinds).map(|_| rng.random_range(1..=120)).collect();
            let all: u32 = shares.iter().sum();
            let mix = Mix::new(&shares);
            for n in 0..2 * all + 3 {
                let counts: Vec<u32> = (0..kinds).map(|k| mix.count(k, n)).collect();
                assert_eq!(counts.iter().sum::<u32>(), n, "{shares:?} at {n}");
                for (kind, count) in counts.iter().enumerate() {
                    let ideal = f64::from(n) * f64::from(shares[kind]) / f64::from(all);
                    let off = (f64::from(*count) - ideal).abs();
                    assert!(off < 1.0, "{shares:?} at {n}: kind {kind} is off by {off}");
                }
            }
        }
    }

    #[test]
    fn numbers_counts_and_kinds_agree() {
        let mix = Mix::new(&[70, 25, 5]);
        assert_eq!(mix.kinds(), 3);
        let mut seen = [0_u32; 3];
        for number in 0..200_u32 {
            let kind = mix.kind(number.into());
            assert_eq!(mix.number(kind, seen[kind]), number);
            assert_eq!(mix.count(kind, number), seen[kind]);
            seen[kind] += 1;
        }
        assert_eq!(seen, [140, 50, 10]);
    }

    #[test]
    fn shares_of_one_kind_and_extreme_ones_are_dealt() {
        assert_eq!(Mix::new(&[7]).count(0, 1_000_000), 1_000_000);
        let rare = Mix::new(&[MOST_SHARE, 1]);
        assert_eq!(rare.count(1, 10_001), 1);
        assert_eq!(rare.count(1, 4_000_000_000) / 1_000, 399);
    }
}
