//! Durations, sizes and ratios as people write them (`2s`, `512MiB`, `1%`).
//!
//! One parser each for the profile, the flags and the SLO grammar, so that a unit means the same
//! everywhere.

mod size;

use std::time::Duration;

pub use size::{Size, SizeUnit};

/// Why a quantity could not be read; fits after "cannot read ...: ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// There is no number at the start of the text.
    #[error("`{0}` does not start with a number")]
    NoNumber(String),
    /// The unit behind the number is not one of those known here.
    #[error("`{text}` has an unknown unit `{unit}`; use {known}")]
    UnknownUnit {
        /// The whole text.
        text: String,
        /// What stood behind the number.
        unit: String,
        /// The units that would do.
        known: &'static str,
    },
    /// The quantity is negative, infinite or too large to be held.
    #[error("`{0}` is out of range")]
    OutOfRange(String),
}

/// Splits `1.5s` into its number and its unit.
fn split(text: &str) -> Result<(f64, &str), UnitError> {
    let text = text.trim();
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))
        .unwrap_or(text.len());
    let digits = text[..end].replace('_', "");
    let number: f64 = digits
        .parse()
        .map_err(|_| UnitError::NoNumber(text.to_owned()))?;
    if !number.is_finite() {
        return Err(UnitError::OutOfRange(text.to_owned()));
    }
    Ok((number, text[end..].trim()))
}

/// Reads a duration: `250us`, `200ms`, `1.5s`, `2m`, `1h`, and sums such as `1m30s`.
///
/// A bare number has no unit and is refused, except `0`; [`parse_duration_or`] takes a default
/// unit.
///
/// # Errors
/// When the number or the unit cannot be read.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    parse_duration_or(text, None)
}

/// Reads a duration whose bare number means `default` units (k6 writes milliseconds without a
/// unit).
///
/// # Errors
/// As [`parse_duration`].
pub fn parse_duration_or(text: &str, default: Option<Duration>) -> Result<Duration, UnitError> {
    let whole = text.trim();
    let out_of_range = || UnitError::OutOfRange(whole.to_owned());
    let mut rest = whole;
    let mut total = Duration::ZERO;
    loop {
        let (number, tail) = split(rest)?;
        let unit_end = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let unit = tail[..unit_end].trim();
        let seconds = match unit {
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" | "sec" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "" if number == 0.0 => 1.0,
            "" if default.is_some() => default.map_or(1.0, |d| d.as_secs_f64()),
            _ => {
                return Err(UnitError::UnknownUnit {
                    text: whole.to_owned(),
                    unit: unit.to_owned(),
                    known: "us, ms, s, m or h",
                });
            }
        };
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| out_of_range())?;
        total = total.checked_add(part).ok_or_else(out_of_range)?;
        rest = tail[unit_end..].trim();
        if rest.is_empty() {
            return Ok(total);
        }
    }
}

/// Reads a size in bytes: `512MiB`, `4KB`, `1_000`.
///
/// # Errors
/// When the number or the unit cannot be read.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1e3,
        "kib" => 1024.0,
        "m" | "mb" => 1e6,
        "mib" => 1024.0 * 1024.0,
        "g" | "gb" => 1e9,
        "gib" => 1024.0 * 1024.0 * 1024.0,
        _ => {
            return Err(UnitError::UnknownUnit {
                text: text.to_owned(),
                unit: unit.to_owned(),
                known: "B, KB, KiB, MB, MiB, GB or GiB",
            });
        }
    };
    let bytes = number * factor;
    if bytes > 1e18 {
        return Err(UnitError::OutOfRange(text.to_owned()));
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be within 0..1e18"
    )]
    Ok(bytes.round() as u64)
}

/// Reads a ratio: `1%` is 0.01, `0.01` is 0.01.
///
/// # Errors
/// When the number or the unit cannot be read.
pub fn parse_ratio(text: &str) -> Result<f64, UnitError> {
    let (number, unit) = split(text)?;
    match unit {
        "" => Ok(number),
        "%" => Ok(number / 100.0),
        _ => Err(UnitError::UnknownUnit {
            text: text.to_owned(),
            unit: unit.to_owned(),
            known: "% or none",
        }),
    }
}

/// Seconds as people read them: `850 us`, `12.3 ms`, `1.71 s`, `2 min 5 s`.
pub fn format_seconds(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() => "-".to_owned(),
        s if s < 1e-3 => format!("{:.0} us", s * 1e6),
        s if s < 0.1 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 100.0 => format!("{s:.2} s"),
        s => {
            let minutes = (s / 60.0).floor();
            format!("{minutes:.0} min {:.0} s", s - minutes * 60.0)
        }
    }
}

/// Bytes as people read them, in binary units: `511 MiB`.
pub fn format_bytes(bytes: f64) -> String {
    const STEP: f64 = 1024.0;
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes;
    let mut unit = 0;
    while value >= STEP && unit + 1 < units.len() {
        value /= STEP;
        unit += 1;
    }
    let digits = usize::from(value < 10.0 && unit > 0);
    format!("{value:.digits$} {}", units[unit])
}

/// A count with thin spacing between thousands: `1 184`.
pub fn format_count(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        let ms = Duration::from_millis;
        for (text, want) in [
            ("2s", ms(2000)),
            ("200ms", ms(200)),
            ("1.5s", ms(1500)),
            ("1m30s", ms(90_000)),
            ("1h", ms(3_600_000)),
            ("250us", Duration::from_micros(250)),
            ("0", Duration::ZERO),
            (" 3 s ", ms(3000)),
        ] {
            assert_eq!(parse_duration(text), Ok(want), "{text}");
        }
        assert_eq!(
            parse_duration_or("2000", Some(ms(1))),
            Ok(ms(2000)),
            "k6's milliseconds"
        );
        for text in [
            "",
            "s",
            "2",
            "2parsec",
            "-1s",
            "1e400s",
            "99999999999999999999h",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_and_ratios_are_read_with_their_units() {
        assert_eq!(parse_bytes("512MiB"), Ok(512 * 1024 * 1024));
        assert_eq!(parse_bytes("4KB"), Ok(4000));
        assert_eq!(parse_bytes("1_000"), Ok(1000));
        assert!(parse_bytes("3 apples").is_err());
        assert_eq!(parse_ratio("1%"), Ok(0.01));
        assert_eq!(parse_ratio("0.25"), Ok(0.25));
        assert!(parse_ratio("1s").is_err());
    }

    #[test]
    fn quantities_are_shown_at_a_readable_scale() {
        assert_eq!(format_seconds(0.000_85), "850 us");
        assert_eq!(format_seconds(1.714), "1.71 s");
        assert_eq!(format_seconds(125.0), "2 min 5 s");
        assert_eq!(format_bytes(536_870_912.0), "512 MiB");
        assert_eq!(format_count(1184), "1 184");
        assert_eq!(format_count(12), "12");
        assert_eq!(format_count(1_234_567), "1 234 567");
    }
}
