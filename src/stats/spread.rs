//! What is known of one positive quantity: a distribution function over its logarithm.

use super::blocks::student_t_quantile;

/// Points of the tables that are made here; odd, so that the middle is one of them.
const POINTS: u32 = 61;
/// Probability beyond the ends of such a table.
const BEYOND: f64 = 5e-4;

/// A distribution of a positive quantity, piecewise linear in its logarithm.
#[derive(Debug, Clone, PartialEq)]
pub struct Spread {
    /// (logarithm, probability at or below), both ascending; the first probability may stand above
    /// zero.
    table: Vec<(f64, f64)>,
    /// How much further it reaches down than its own error, and less far up, as a fraction.
    skew: f64,
}

impl Spread {
    /// From a table of (value, probability at or below), ascending; what is not positive or not
    /// finite is left out, and what the table leaves beyond its last value stands at that value.
    /// `None` when fewer than two values are left or the table says nothing.
    pub fn of_table(distribution: &[(f64, f64)]) -> Option<Self> {
        let table: Vec<(f64, f64)> = distribution
            .iter()
            .filter(|(x, p)| *x > 0.0 && x.is_finite() && p.is_finite())
            .map(|(x, p)| (x.ln(), *p))
            .collect();
        let last = table.last()?.1;
        let ascending = table
            .windows(2)
            .all(|w| w[0].0 <= w[1].0 && w[0].1 <= w[1].1);
        let makes_sense = table.len() > 1 && ascending && last > 0.0 && last < 1.0 + 1e-6;
        makes_sense.then_some(Self { table, skew: 0.0 })
    }

    /// Student's t around the logarithm of `centre`, with a standard error of that logarithm;
    /// `None` where they make no sense.
    pub fn student(centre: f64, se: f64, freedom: f64) -> Option<Self> {
        if !(centre > 0.0 && centre.is_finite() && se >= 0.0 && se.is_finite()) {
            return None;
        }
        let table = (0..POINTS)
            .map(|i| {
                let p = f64::from(i) / f64::from(POINTS - 1);
                let p = p.clamp(BEYOND, 1.0 - BEYOND);
                (centre.ln() + se * student_t_quantile(p, freedom), p)
            })
            .collect();
        Some(Self { table, skew: 0.0 })
    }

    /// The same, known to be skewed: below its median it is `1 + skew` times as wide as its own
    /// error, above it `1 - skew` times. What makes no sense as a skew is none.
    #[must_use]
    pub fn skewed(mut self, skew: f64) -> Self {
        self.skew = if (0.0..1.0).contains(&skew) {
            skew
        } else {
            0.0
        };
        self
    }

    /// Without its skew: its own error on both sides of the median.
    #[must_use]
    pub fn upright(&self) -> Self {
        let mut upright = self.clone();
        if self.skew > 0.0 {
            let median = self.quantile(0.5);
            upright.stretch(median, (1.0 + self.skew).recip(), |x| x < median);
            upright.stretch(median, (1.0 - self.skew).recip(), |x| x > median);
            upright.skew = 0.0;
        }
        upright
    }

    /// Stretched on either side of its median where the interval that was reported is wider than
    /// its own. Both ends of that interval are whole numbers, rounded outwards, so that less than
    /// one is no difference.
    #[must_use]
    pub fn at_least_as_wide(mut self, low: f64, high: f64, confidence: f64) -> Self {
        let tail = (1.0 - confidence) / 2.0;
        let (own_low, own_high) = (self.quantile(tail), self.quantile(1.0 - tail));
        let median = self.quantile(0.5);
        if low > 0.0 && low + 1.0 <= own_low.exp() {
            let factor = (median - (low + 0.5).ln()) / (median - own_low).max(1e-9);
            self.stretch(median, factor, |x| x < median);
        }
        if high - 1.0 >= own_high.exp() {
            let factor = ((high - 0.5).ln() - median) / (own_high - median).max(1e-9);
            self.stretch(median, factor, |x| x > median);
        }
        self
    }

    fn stretch(&mut self, median: f64, factor: f64, side: impl Fn(f64) -> bool) {
        for (x, _) in &mut self.table {
            if side(*x) {
                *x = median + factor * (*x - median);
            }
        }
    }

    /// Probability that the logarithm is at or below `x`.
    pub fn at_or_below(&self, x: f64) -> f64 {
        let after = self.table.partition_point(|(at, _)| *at <= x);
        match (
            after.checked_sub(1).map(|i| self.table[i]),
            self.table.get(after),
        ) {
            (None, _) => 0.0,
            (Some(_), None) => 1.0,
            (Some((x0, p0)), Some(&(x1, p1))) => p0 + (x - x0) / (x1 - x0) * (p1 - p0),
        }
    }

    /// The logarithm below which it lies with probability `p`.
    pub fn quantile(&self, p: f64) -> f64 {
        let after = self.table.partition_point(|(_, sum)| *sum < p);
        match (
            after.checked_sub(1).map(|i| self.table[i]),
            self.table.get(after),
        ) {
            (None, _) => self.table[0].0,
            (Some((x, _)), None) => x,
            (Some((x0, p0)), Some(&(x1, p1))) if p1 > p0 => x0 + (p - p0) / (p1 - p0) * (x1 - x0),
            (Some(_), Some(&(x1, _))) => x1,
        }
    }

    /// The logarithms in the middle of `n` parts of equal probability.
    pub fn equal_parts(&self, n: u32) -> Vec<f64> {
        (0..n)
            .map(|i| self.quantile((f64::from(i) + 0.5) / f64::from(n)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::normal;
    use super::*;

    #[test]
    fn a_table_is_read_both_ways() {
        let spread = Spread::of_table(&[(1.0, 0.0), (10.0, 0.4), (100.0, 0.8)]).unwrap();
        assert!((spread.at_or_below(10f64.ln()) - 0.4).abs() < 1e-12);
        assert!((spread.quantile(0.2) - 10f64.ln() / 2.0).abs() < 1e-12);
        // What is left stands at the end.
        assert!((spread.quantile(0.9) - 100f64.ln()).abs() < 1e-12);
        assert!(spread.at_or_below(-1.0).abs() < 1e-12);
        assert!((spread.at_or_below(9.0) - 1.0).abs() < 1e-12);
        let senseless = [
            &[][..],
            &[(3.0, 1.0)],
            &[(3.0, 0.0), (4.0, 0.0)],
            &[(3.0, 0.5), (4.0, 0.4)],
            &[(3.0, 0.5), (4.0, 7.0)],
        ];
        for table in senseless {
            assert_eq!(Spread::of_table(table), None);
        }
    }

    #[test]
    fn with_many_degrees_of_freedom_it_is_log_normal() {
        let spread = Spread::student(100.0, 0.1, 1e6).unwrap();
        for z in [-1.96, -1.0, 0.0, 0.5, 1.96] {
            let got = spread.at_or_below(100f64.ln() + 0.1 * z);
            assert!((got - normal::cdf(z)).abs() < 3e-3, "{z}: {got}");
        }
        assert_eq!(Spread::student(0.0, 0.1, 5.0), None);
        assert_eq!(Spread::student(1.0, f64::NAN, 5.0), None);
    }

    #[test]
    fn without_its_lean_a_distribution_is_its_own_error() {
        let own = Spread::student(1000.0, 0.02, 1e6).unwrap();
        let median = own.quantile(0.5);
        let mut skewed = own.clone();
        skewed.stretch(median, 1.25, |x| x < median);
        skewed.stretch(median, 0.75, |x| x > median);
        let upright = skewed.clone().skewed(0.25).upright();
        for p in [0.025, 0.2, 0.5, 0.8, 0.975] {
            assert!((upright.quantile(p) - own.quantile(p)).abs() < 1e-12, "{p}");
        }
        assert_eq!(skewed.upright(), skewed, "no skew was told");
        for senseless in [f64::NAN, -0.1, 1.0] {
            let told = skewed.clone().skewed(senseless);
            assert_eq!(told.upright(), skewed, "{senseless}");
        }
    }

    #[test]
    fn a_reported_interval_widens_only_the_side_on_which_it_is_wider() {
        let spread = Spread::student(1000.0, 0.01, 1e6).unwrap();
        let own = (
            spread.quantile(0.025).exp().floor(),
            spread.quantile(0.975).exp().ceil(),
        );
        assert_eq!(
            spread.clone().at_least_as_wide(own.0, own.1, 0.95),
            spread,
            "rounding alone"
        );
        let wide = spread.clone().at_least_as_wide(900.0, own.1, 0.95);
        assert!((wide.quantile(0.025).exp() - 900.5).abs() < 0.1);
        assert!((wide.quantile(0.975) - spread.quantile(0.975)).abs() < 1e-12);
        assert!((wide.quantile(0.5) - spread.quantile(0.5)).abs() < 1e-12);
    }
}
