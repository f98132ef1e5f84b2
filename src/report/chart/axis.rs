//! Scales, round tick values and their labels. Numbers only.

use crate::units;

/// How values map to a length.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// Evenly.
    Linear(f64, f64),
    /// Evenly in the logarithm; both ends above zero.
    Log(f64, f64),
}

impl Scale {
    /// From zero to a little above the largest value; 0..1 without any value above zero.
    pub(super) fn from_zero(values: impl IntoIterator<Item = f64>) -> Self {
        let top = values
            .into_iter()
            .filter(|v| v.is_finite())
            .fold(0.0, f64::max);
        Self::Linear(0.0, if top > 0.0 { top * 1.1 } else { 1.0 })
    }

    /// The same with room below its lower end, a share of its length, so that points there stand
    /// clear of the axis.
    pub(super) fn with_foot(self, share: f64) -> Self {
        match self {
            Self::Linear(lo, hi) => Self::Linear(lo - share * (hi - lo), hi),
            Self::Log(..) => self,
        }
    }

    /// Logarithmic around the positive values; `None` without one.
    pub(super) fn log_around(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let (lo, hi) = span(values.into_iter().filter(|v| *v > 0.0))?;
        // At least a factor of four, so that noise does not look like a cliff.
        let (mut lo, mut hi) = (lo / 1.3, hi * 1.5);
        if hi / lo < 4.0 {
            let grow = (4.0 * lo / hi).sqrt();
            (lo, hi) = (lo / grow, hi * grow);
        }
        Some(Self::Log(lo, hi))
    }

    /// Both ends.
    pub(super) fn ends(self) -> (f64, f64) {
        match self {
            Self::Linear(lo, hi) | Self::Log(lo, hi) => (lo, hi),
        }
    }

    /// Whether a value lies on the scale.
    pub(super) fn contains(self, value: f64) -> bool {
        let (lo, hi) = self.ends();
        (lo..=hi).contains(&value)
    }

    /// Where a value lies, 0..1; values beyond the ends are put at them.
    pub(super) fn unit(self, value: f64) -> f64 {
        self.place(value).clamp(0.0, 1.0)
    }

    /// The same without ends: below 0 and above 1 a value lies beyond the scale.
    pub(super) fn place(self, value: f64) -> f64 {
        let place = match self {
            Self::Linear(lo, hi) => (value - lo) / (hi - lo),
            Self::Log(lo, hi) => (value.max(f64::MIN_POSITIVE) / lo).ln() / (hi / lo).ln(),
        };
        if place.is_nan() { 0.0 } else { place }
    }

    /// Round values on the scale, about `count` of them, in multiples of `step_unit` (1024² for
    /// MiB).
    pub(super) fn ticks(self, count: u32, step_unit: f64) -> Vec<f64> {
        match self {
            Self::Linear(lo, hi) => linear_ticks(lo / step_unit, hi / step_unit, count)
                .into_iter()
                .map(|t| t * step_unit)
                .collect(),
            Self::Log(lo, hi) => log_ticks(lo, hi, count),
        }
    }
}

/// Least and largest finite value.
pub(super) fn span(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .into_iter()
        .filter(|v| v.is_finite())
        .fold(None, |ends, v| match ends {
            None => Some((v, v)),
            Some((lo, hi)) => Some((v.min(lo), v.max(hi))),
        })
}

/// Multiples of 1, 2 or 5 times a power of ten.
fn linear_ticks(lo: f64, hi: f64, count: u32) -> Vec<f64> {
    let raw = (hi - lo) / f64::from(count.max(1));
    if !raw.is_finite() || raw <= 0.0 {
        return vec![lo];
    }
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|s| *s >= raw * 0.999)
        .unwrap_or(10.0 * power);
    let first = (lo / step - 1e-9).ceil();
    (0..=count * 2)
        .map(|i| (first + f64::from(i)) * step)
        .take_while(|t| t.is_finite() && *t <= hi + step * 1e-9)
        .collect()
}

/// 1-2-5 in every decade while they are few, then whole decades, then every second or third of
/// them.
fn log_ticks(lo: f64, hi: f64, count: u32) -> Vec<f64> {
    let decades = (hi / lo).log10();
    if !decades.is_finite() || decades <= 0.0 {
        return vec![lo];
    }
    let ticks_of = |multiples: &[f64], stride: i32| -> Vec<f64> {
        let mut ticks = Vec::new();
        for exponent in (-12..=15).filter(|e| e % stride == 0) {
            for m in multiples {
                let tick = m * 10_f64.powi(exponent);
                if (lo..=hi).contains(&tick) {
                    ticks.push(tick);
                }
            }
        }
        ticks
    };
    let most = count as usize + 2;
    [
        (&[1.0, 2.0, 3.0, 5.0, 7.0][..], 1),
        (&[1.0, 2.0, 5.0], 1),
        (&[1.0], 1),
        (&[1.0], 2),
        (&[1.0], 3),
    ]
    .into_iter()
    .map(|(multiples, stride)| ticks_of(multiples, stride))
    .find(|ticks| ticks.len() <= most)
    .unwrap_or_else(|| vec![lo])
}

/// What an axis counts, for its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantity {
    /// VUs, clients, descriptors.
    Count,
    /// Seconds.
    Seconds,
    /// Seconds or minutes of a run; the axis names which.
    Time,
    /// A share, 0..1.
    Share,
    /// Bytes.
    Bytes,
}

impl Quantity {
    /// What ticks are round multiples of, for an axis that reaches `top`.
    pub(super) fn step_unit(self, top: f64) -> f64 {
        match self {
            Self::Bytes => byte_unit(top).0,
            Self::Share => 0.01,
            Self::Count | Self::Seconds | Self::Time => 1.0,
        }
    }

    /// A tick's label on an axis that reaches `top`.
    pub(super) fn label(self, value: f64, top: f64) -> String {
        match self {
            Self::Count => count(value),
            Self::Time => plain(value),
            Self::Share => format!("{} %", plain(value * 100.0)),
            Self::Bytes => {
                let (unit, name) = byte_unit(top);
                format!("{} {name}", plain(value / unit))
            }
            Self::Seconds if value <= 0.0 => "0".to_owned(),
            Self::Seconds if value < 0.999e-3 => format!("{} µs", plain(value * 1e6)),
            Self::Seconds if value < 0.999 => format!("{} ms", plain(value * 1e3)),
            Self::Seconds => format!("{} s", count(value)),
        }
    }
}

fn byte_unit(top: f64) -> (f64, &'static str) {
    [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")]
        .into_iter()
        .map(|(bits, name)| (2_f64.powi(bits), name))
        .find(|(unit, _)| top >= *unit)
        .unwrap_or((1.0, "B"))
}

/// A number with thin spacing between thousands; millions and more are shortened.
fn count(value: f64) -> String {
    if value.abs() < 1000.0 {
        return plain(value);
    }
    for (unit, name) in [(1e12, "T"), (1e9, "G"), (1e6, "M")] {
        if value >= unit {
            return format!("{} {name}", plain(value / unit));
        }
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between a thousand and a million, or the sign is dropped on purpose"
    )]
    let whole = value.abs().round() as u64;
    units::format_count(whole)
}

/// At most three decimals, no trailing zeros, no minus zero.
fn plain(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: Scale, quantity: Quantity) -> Vec<String> {
        let top = scale.ends().1;
        scale
            .ticks(6, quantity.step_unit(top))
            .into_iter()
            .map(|t| quantity.label(t, top))
            .collect()
    }

    #[test]
    fn ticks_are_round_and_labelled_in_their_unit() {
        assert_eq!(
            labels(Scale::Linear(0.0, 1300.0), Quantity::Count),
            ["0", "500", "1 000"]
        );
        assert_eq!(
            labels(Scale::Linear(0.0, 560.0 * 1024.0 * 1024.0), Quantity::Bytes),
            [
                "0 MiB", "100 MiB", "200 MiB", "300 MiB", "400 MiB", "500 MiB"
            ]
        );
        assert_eq!(
            labels(Scale::Log(0.04, 3.0), Quantity::Seconds),
            ["50 ms", "100 ms", "200 ms", "500 ms", "1 s", "2 s"]
        );
        assert_eq!(
            labels(Scale::Linear(0.0, 0.1), Quantity::Share),
            ["0 %", "2 %", "4 %", "6 %", "8 %", "10 %"]
        );
    }

    #[test]
    fn any_range_gives_a_few_ticks_on_the_scale() {
        for scale in [
            Scale::Linear(0.0, 1.0),
            Scale::Linear(0.0, 1e12),
            Scale::Linear(7.0, 7.0),
            Scale::Linear(0.0, f64::MAX),
            Scale::Log(1e-6, 3600.0),
            Scale::Log(1.0, 1.1),
            Scale::Log(0.5, 0.5),
            Scale::Log(1e-9, 1e12),
        ] {
            let ticks = scale.ticks(6, 1.0);
            assert!(ticks.len() <= 14, "{scale:?}: {ticks:?}");
            assert!(ticks.iter().all(|t| t.is_finite()), "{scale:?}");
        }
    }

    #[test]
    fn values_beyond_the_ends_are_put_at_them() {
        let scale = Scale::Linear(0.0, 10.0);
        assert!((scale.unit(20.0) - 1.0).abs() < 1e-12);
        assert!(scale.unit(-5.0).abs() < 1e-12);
        assert!(scale.unit(f64::NAN).abs() < 1e-12);
        assert!(Scale::Log(1.0, 10.0).unit(0.0).abs() < 1e-12);
    }
}
