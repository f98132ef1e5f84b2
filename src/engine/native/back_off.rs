//! How long a VU stays away after a failure or a shed.

use std::time::{Duration, SystemTime};

/// Longest wait that a `Retry-After` is followed for.
const LONGEST_RETRY: Duration = Duration::from_secs(120);
/// Shortest one: `Retry-After: 0` must not make a VU spin.
const SHORTEST_RETRY: Duration = Duration::from_millis(100);
/// Back-off after the first failure; doubled with each further one in a row.
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
/// Longest mean back-off.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(10);

/// Mean back-off after this many failures in a row.
pub(super) fn back_off(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(10);
    (FIRST_BACK_OFF * 2_u32.pow(doublings)).min(LONGEST_BACK_OFF)
}

/// Seconds or an HTTP date (RFC 9110, section 10.2.3), within bounds; what cannot be read is one
/// second.
pub(super) fn retry_after(text: &str, now: SystemTime) -> Duration {
    let text = text.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => match httpdate::parse_http_date(text) {
            Ok(at) => at.duration_since(now).unwrap_or(Duration::ZERO),
            Err(_) => Duration::from_secs(1),
        },
    };
    wait.clamp(SHORTEST_RETRY, LONGEST_RETRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_within_bounds() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, want) in [
            ("3", 3.0),
            (" 7 ", 7.0),
            ("0", 0.1),
            ("86400", 120.0),
            ("Sun, 06 Nov 1994 08:49:47 GMT", 10.0),
            ("Sun, 06 Nov 1994 08:00:00 GMT", 0.1),
            ("soon", 1.0),
        ] {
            let got = retry_after(text, now).as_secs_f64();
            assert!((got - want).abs() < 1e-9, "{text}: {got}");
        }
    }

    #[test]
    fn back_off_doubles_up_to_ten_seconds() {
        let seconds: Vec<u64> = (1..=6).map(|k| back_off(k).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 10, 10]);
        assert_eq!(back_off(u32::MAX).as_secs(), 10);
    }
}
