//! Whether a series has stopped moving: the settle detector's test.

/// Whether the second half of a series stands where the first half stood: the halves' means differ
/// by less than `tolerance` of the larger, or by less than two standard errors of the difference.
///
/// A series of fewer than four values has not settled.
pub fn is_level(series: &[f64], tolerance: f64) -> bool {
    if series.len() < 4 {
        return false;
    }
    let (first, second) = series.split_at(series.len() / 2);
    let ((a, var_a), (b, var_b)) = (mean_and_error(first), mean_and_error(second));
    let difference = (a - b).abs();
    difference <= tolerance * a.abs().max(b.abs()) || difference <= 2.0 * (var_a + var_b).sqrt()
}

/// Mean and squared standard error of a sample.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    #[expect(clippy::cast_precision_loss, reason = "a handful of windows")]
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    (mean, variance / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_is_not_level_and_noise_is() {
        let ramp: Vec<f64> = (0..10).map(f64::from).collect();
        assert!(!is_level(&ramp, 0.1));
        assert!(is_level(&[5.0; 8], 0.1));
        assert!(is_level(&[90.0, 110.0, 95.0, 104.0, 98.0, 108.0], 0.02));
        assert!(!is_level(&[1.0, 1.0, 1.0], 0.1), "too short to tell");
        assert!(is_level(&[0.0; 6], 0.1), "nothing at all does not move");
    }
}
