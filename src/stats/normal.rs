//! The standard normal distribution: the functions that the fit needs, exact ones and a table for
//! the hot loop.

use std::sync::LazyLock;

use statrs::distribution::{ContinuousCDF, Normal};

fn standard() -> Normal {
    Normal::standard()
}

/// Probability of a standard normal value at or below `z`.
pub fn cdf(z: f64) -> f64 {
    standard().cdf(z)
}

/// The probit: the `z` with `cdf(z) == p`, for 0 < p < 1.
pub fn probit(p: f64) -> f64 {
    standard().inverse_cdf(p)
}

/// The density at `z`.
pub fn density(z: f64) -> f64 {
    (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

const TABLE_END: f64 = 9.0;
const TABLE_STEPS: usize = 1800;
/// Distance of two entries: the table's width over its 1 800 steps.
const STEP: f64 = 2.0 * TABLE_END / 1_800.0;

static LOG_CDF: LazyLock<Vec<f64>> = LazyLock::new(|| {
    #[expect(clippy::cast_precision_loss, reason = "a table index")]
    (0..=TABLE_STEPS)
        .map(|i| {
            cdf(-TABLE_END + i as f64 * STEP)
                .max(f64::MIN_POSITIVE)
                .ln()
        })
        .collect()
});

/// `ln(cdf(z))` from a table with linear interpolation (error below 2e-4); beyond -9 the leading
/// term of the tail's asymptotic series, `-z^2/2 - ln(-z sqrt(2 pi))`.
pub fn log_cdf(z: f64) -> f64 {
    if z >= TABLE_END {
        return 0.0;
    }
    if z <= -TABLE_END {
        return -0.5 * z * z - (-z * (2.0 * std::f64::consts::PI).sqrt()).ln();
    }
    let at = (z + TABLE_END) / STEP;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the table by the checks above"
    )]
    let i = (at as usize).min(TABLE_STEPS - 1);
    #[expect(clippy::cast_precision_loss, reason = "a table index")]
    let part = at - i as f64;
    LOG_CDF[i] + part * (LOG_CDF[i + 1] - LOG_CDF[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_the_exact_function() {
        for i in -880..=890 {
            let z = f64::from(i) * 0.010_3;
            if z.abs() >= 8.0 {
                continue;
            }
            let exact = cdf(z).ln();
            assert!(
                (log_cdf(z) - exact).abs() < 2e-4,
                "{z}: {} {exact}",
                log_cdf(z)
            );
        }
        // Published: ln Phi(-10) = -53.2313 (Phi(-10) = 7.6199e-24).
        assert!((log_cdf(-10.0) + 53.2313).abs() < 0.02);
        assert!((probit(0.99) - 2.326_348).abs() < 1e-5);
    }
}
