//! Durations as k6 writes them.

use std::time::Duration;

/// The longest duration, seconds: a hundred years.
const MAX_SECONDS: f64 = 3.2e9;

/// A duration such as `1m30s`, `500ms` or `1.5h`; a number without a unit is milliseconds.
pub fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if let Ok(milliseconds) = rest.parse::<f64>() {
        return seconds(milliseconds / 1e3);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let length = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        total += number
            * match &rest[..length] {
                "d" => 86_400.0,
                "h" => 3_600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" | "μs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[length..];
    }
    // A text without a number is none.
    if text.trim().is_empty() {
        None
    } else {
        seconds(total)
    }
}

/// A duration of so many seconds.
pub(super) fn seconds(seconds: f64) -> Option<Duration> {
    let is_one = (0.0..=MAX_SECONDS).contains(&seconds);
    // Nanoseconds are exact in a double up to a hundred days: what is below is noise.
    is_one.then(|| Duration::from_secs_f64((seconds * 1e9).round() / 1e9))
}
