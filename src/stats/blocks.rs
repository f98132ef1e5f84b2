//! Sums over blocks of successive windows: the simplest guard against treating correlated requests
//! as independent.

use std::cmp::Ordering;

use statrs::distribution::{ContinuousCDF, StudentsT};

/// Sums successive pairs into at most `blocks` blocks of nearly equal length.
pub fn in_blocks(pairs: &[(f64, f64)], blocks: usize) -> Vec<(f64, f64)> {
    let blocks = blocks.min(pairs.len());
    (0..blocks)
        .map(|b| {
            let range = b * pairs.len() / blocks..(b + 1) * pairs.len() / blocks;
            pairs[range]
                .iter()
                .fold((0.0, 0.0), |(x, y), (a, b)| (x + a, y + b))
        })
        .collect()
}

/// The sign of the mean of a population from a sample, at a one-sided confidence (Student's t);
/// `None` when the sample cannot tell or has fewer than two values.
pub fn sign_of_mean(values: &[f64], confidence: f64) -> Option<Ordering> {
    let n = values.len();
    if n < 2 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a handful of blocks")]
    let count = n as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let margin = student_t_quantile(confidence, count - 1.0) * (variance / count).sqrt();
    if mean > margin {
        Some(Ordering::Greater)
    } else if mean < -margin {
        Some(Ordering::Less)
    } else {
        None
    }
}

/// Quantile of Student's t distribution with `freedom` degrees of freedom (at least one is used).
pub fn student_t_quantile(p: f64, freedom: f64) -> f64 {
    StudentsT::new(0.0, 1.0, freedom.max(1.0))
        .expect("location 0, scale 1 and at least one degree of freedom are valid")
        .inverse_cdf(p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_keep_the_sums_and_the_order() {
        let pairs: Vec<(f64, f64)> = (1..=7).map(|i| (f64::from(i), 1.0)).collect();
        let blocks = in_blocks(&pairs, 3);
        assert_eq!(blocks, vec![(3.0, 2.0), (7.0, 2.0), (18.0, 3.0)]);
        assert_eq!(in_blocks(&pairs, 100).len(), 7);
        assert!(in_blocks(&[], 3).is_empty());
    }

    #[test]
    fn the_sign_is_told_only_when_the_spread_allows() {
        assert_eq!(
            sign_of_mean(&[1.0, 1.1, 0.9], 0.95),
            Some(Ordering::Greater)
        );
        assert_eq!(
            sign_of_mean(&[-1.0, -1.1, -0.9], 0.95),
            Some(Ordering::Less)
        );
        assert_eq!(sign_of_mean(&[5.0, -4.0, 0.5], 0.95), None);
        assert_eq!(sign_of_mean(&[5.0], 0.95), None);
    }

    #[test]
    fn t_quantiles_match_the_printed_tables() {
        for (p, freedom, want) in [(0.975, 7.0, 2.365), (0.975, 1.0, 12.706), (0.8, 9.0, 0.883)] {
            let got = student_t_quantile(p, freedom);
            assert!((got - want).abs() < 1e-3, "t({p}, {freedom}) = {got}");
        }
    }
}
