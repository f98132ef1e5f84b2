//! Wilson's interval for a share that was seen in a number of independent trials.

use super::{Ends, normal};

/// The interval of a share of which `hits` of `trials` were seen, at a confidence of 0..1; `None`
/// without trials.
///
/// Wilson, "Probable inference, the law of succession, and statistical inference", 1927. It is for
/// independent trials, such as whole runs with seeds of their own, and not for the requests of one
/// run.
pub fn wilson(hits: u32, trials: u32, confidence: f64) -> Option<Ends> {
    if trials == 0 || hits > trials {
        return None;
    }
    let z = normal::probit(0.5 + confidence / 2.0);
    let n = f64::from(trials);
    let p = f64::from(hits) / n;
    let middle = p + z * z / (2.0 * n);
    let reach = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    // At the ends the bound is exact, and rounding must not move it.
    let low = if hits == 0 {
        0.0
    } else {
        (middle - reach) / scale
    };
    let high = if hits == trials {
        1.0
    } else {
        (middle + reach) / scale
    };
    Some(Ends { low, high })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_intervals_come_out() {
        // Newcombe 1998, table I, method 3 (score, no continuity correction).
        for (hits, trials, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let Ends { low: a, high: b } = wilson(hits, trials, 0.95).unwrap();
            assert!((a - low).abs() < 6e-5, "{hits} of {trials}: {a}");
            assert!((b - high).abs() < 6e-5, "{hits} of {trials}: {b}");
        }
    }

    #[test]
    fn the_ends_are_closed_and_no_trials_say_nothing() {
        let Ends { low, high } = wilson(400, 400, 0.95).unwrap();
        assert!(high >= 1.0 && (low - 0.990_488).abs() < 1e-4, "{low}");
        assert_eq!(wilson(0, 0, 0.95), None);
        assert_eq!(wilson(3, 2, 0.95), None);
    }
}
