//! What the generators print of their percentiles. Pure.

/// Reported latencies, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Percentiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// `p50_ms=10.2 p99_ms=12.9`: our own process and the scripts that we wrote for others.
pub(crate) fn line(text: &str) -> Option<Percentiles> {
    Some(Percentiles {
        p50: value(text, "p50_ms=")?,
        p99: value(text, "p99_ms=")?,
    })
}

/// `from_us=1 to_us=2`: between which times our own percentiles were taken, microseconds
/// since 1970.
pub(crate) fn times(text: &str) -> Option<(u64, u64)> {
    Some((value(text, "from_us=")?, value(text, "to_us=")?))
}

fn value<T: std::str::FromStr>(text: &str, key: &str) -> Option<T> {
    let at = text.rfind(key)? + key.len();
    text[at..].split_whitespace().next()?.parse().ok()
}

/// wrk's `--latency` table: `    50%   10.21ms`.
pub(crate) fn wrk(text: &str) -> Option<Percentiles> {
    let value = |percent: &str| {
        let mut lines = text.lines().map(str::split_whitespace);
        let mut words = lines.find_map(|mut w| (w.next() == Some(percent)).then_some(w))?;
        with_unit(words.next()?)
    };
    Some(Percentiles {
        p50: value("50%")?,
        p99: value("99%")?,
    })
}

fn with_unit(text: &str) -> Option<f64> {
    for (unit, ms) in [("us", 1e-3), ("ms", 1.0), ("s", 1e3), ("m", 6e4)] {
        if let Some(number) = text.strip_suffix(unit) {
            return number.parse::<f64>().ok().map(|n| n * ms);
        }
    }
    None
}

/// hey's `  50% in 0.0105 secs` (newer versions: `50%% in`).
pub(crate) fn hey(text: &str) -> Option<Percentiles> {
    let value = |percent: &str| {
        text.lines().find_map(|line| {
            let (label, rest) = line.trim().split_once(" in ")?;
            if label.trim_end_matches('%') != percent {
                return None;
            }
            let seconds: f64 = rest.strip_suffix(" secs")?.parse().ok()?;
            Some(seconds * 1e3)
        })
    };
    Some(Percentiles {
        p50: value("50")?,
        p99: value("99")?,
    })
}

/// oha's JSON: seconds under `latencyPercentiles`.
pub(crate) fn oha(text: &str) -> Option<Percentiles> {
    json(
        text,
        "/latencyPercentiles/p50",
        "/latencyPercentiles/p99",
        1e3,
    )
}

/// autocannon's JSON: milliseconds under `latency`.
pub(crate) fn autocannon(text: &str) -> Option<Percentiles> {
    json(text, "/latency/p50", "/latency/p99", 1.0)
}

fn json(text: &str, p50: &str, p99: &str, ms: f64) -> Option<Percentiles> {
    let value: serde_json::Value = serde_json::from_str(text.trim()).ok()?;
    let at = |pointer| value.pointer(pointer).and_then(serde_json::Value::as_f64);
    Some(Percentiles {
        p50: at(p50)? * ms,
        p99: at(p99)? * ms,
    })
}
