//! What this program learns of a script that it runs itself.

use std::time::Duration;

use serde_json::{Map, Value};

use super::ScriptUsers;

/// What a script says of itself beside thresholds and scenarios.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnScript {
    /// The functions that it exports.
    pub functions: Vec<String>,
    /// How long `setup` may take, where it says so.
    pub setup_timeout: Option<Duration>,
    /// Whether connections are closed after each iteration.
    pub closes_each_cycle: bool,
    /// Whether any certificate is accepted.
    pub insecure: bool,
    /// The metrics that it declares.
    pub metrics: Vec<Declared>,
    /// The kinds of users that its scenarios are.
    pub users: Vec<ScriptUsers>,
    /// Memory of one of its VUs that has run nothing but its init code, where that was measured.
    pub vu_memory: Option<u64>,
}

/// A metric of a script's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// What kind of values it has.
    pub kind: DeclaredKind,
}

/// What kind of values a metric has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeclaredKind {
    /// A distribution.
    Trend,
    /// A share.
    Rate,
    /// A sum.
    Counter,
    /// The last value.
    Gauge,
}

/// How a metric of the script's own becomes a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricRow {
    /// Values that are times, in milliseconds: latencies.
    Time,
    /// A value that is not zero is a pass, any other a failure.
    PassIsOne,
    /// The reverse: the metric counts what goes wrong.
    PassIsZero,
}

impl OwnScript {
    /// What is known of one that exports these functions, declares these metrics and has these
    /// options.
    pub fn new(
        functions: Vec<String>,
        metrics: Vec<Declared>,
        options: &Map<String, Value>,
    ) -> Self {
        let is_set = |name: &str| options.get(name).and_then(Value::as_bool) == Some(true);
        Self {
            setup_timeout: options.get("setupTimeout").and_then(duration),
            closes_each_cycle: is_set("noVUConnectionReuse"),
            insecure: is_set("insecureSkipTLSVerify"),
            vu_memory: None,
            users: Vec::new(),
            functions,
            metrics,
        }
    }

    /// Whether it exports a function.
    pub fn has(&self, function: &str) -> bool {
        self.functions.iter().any(|known| known == function)
    }

    /// The stages of the scenario of a name, else of its only one.
    pub fn stages(&self, scenario: Option<&str>) -> Option<&str> {
        let users = match (scenario, self.users.as_slice()) {
            (Some(name), all) => all.iter().find(|users| users.name == name)?,
            (None, [one]) => one,
            (None, _) => return None,
        };
        users.stages.as_deref()
    }

    /// The metric of a name; `checks` is there without being declared.
    pub fn kind_of(&self, name: &str) -> Option<DeclaredKind> {
        match name {
            "checks" => Some(DeclaredKind::Rate),
            "group_duration" => Some(DeclaredKind::Trend),
            _ => {
                let found = self.metrics.iter().find(|metric| metric.name == name);
                found.map(|metric| metric.kind)
            }
        }
    }
}

/// A time as k6 writes it: `1m30s`, `500ms`, or a number of milliseconds.
pub(super) fn duration(value: &Value) -> Option<Duration> {
    let text = match value {
        Value::Number(ms) => {
            let ms = ms.as_f64()?;
            return Duration::try_from_secs_f64(ms / 1e3).ok();
        }
        Value::String(text) => text.trim(),
        _ => return None,
    };
    if let Ok(ms) = text.parse::<f64>() {
        return Duration::try_from_secs_f64(ms / 1e3).ok();
    }
    let mut rest = text;
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
        let (number, behind) = rest.split_at(end);
        let end = behind.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, behind) = behind.split_at(end.unwrap_or(behind.len()));
        let each = match unit {
            "d" => 86_400.0,
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "\u{b5}s" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * each;
        rest = behind;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_are_read_as_k6_writes_them() {
        for (value, ms) in [
            (json!("1m30s"), 90_000),
            (json!("1.5s"), 1_500),
            (json!("250ms"), 250),
            (json!(30_000), 30_000),
            (json!("1h"), 3_600_000),
        ] {
            assert_eq!(duration(&value), Some(Duration::from_millis(ms)), "{value}");
        }
        for wrong in [
            json!("soon"),
            json!(-1),
            json!("5"),
            json!(null),
            json!("1x"),
            json!("s"),
        ] {
            let is_number = wrong == json!("5");
            assert_eq!(duration(&wrong).is_some(), is_number, "{wrong}");
        }
    }
}
