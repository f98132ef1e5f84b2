//! What this program learns of a script that it runs itself.

use std::time::Duration;

use serde_json::{Map, Value};

/// Stages that are looked at; more than that nobody writes.
const MOST_STAGES: usize = 1_000;

/// What a script says of itself beside thresholds and scenarios.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnScript {
    /// The functions that it exports.
    pub functions: Vec<String>,
    /// How long `setup` may take, where it says so.
    pub setup_timeout: Option<Duration>,
    /// Whether connections are closed after each iteration.
    pub closes_each_cycle: bool,
    /// Its stages as `TARGET:TIME,...`, where its VUs move by them.
    pub stages: Option<String>,
    /// Whether any certificate is accepted.
    pub insecure: bool,
    /// The metrics that it declares.
    pub metrics: Vec<Declared>,
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
    /// A pass for each one that is added: their rate is the sum per second.
    Sum,
    /// Requests that have the tags.
    Requests,
    /// A part of the time of requests.
    Part(Part),
    /// Iterations that have the tags.
    Iterations,
}

/// A part of the time of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Until there was a connection to make or to use.
    Blocked,
    /// Connecting.
    Connecting,
    /// The handshake of TLS.
    TlsHandshaking,
    /// From the request to the first byte of its answer.
    Waiting,
    /// From there to the last byte.
    Receiving,
}

impl Part {
    /// The part that a metric of k6 has.
    pub(super) fn of_metric(name: &str) -> Option<Self> {
        match name {
            "http_req_blocked" => Some(Self::Blocked),
            "http_req_connecting" => Some(Self::Connecting),
            "http_req_tls_handshaking" => Some(Self::TlsHandshaking),
            "http_req_waiting" => Some(Self::Waiting),
            "http_req_receiving" => Some(Self::Receiving),
            _ => None,
        }
    }
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
            stages: stages(options),
            insecure: is_set("insecureSkipTLSVerify"),
            vu_memory: None,
            functions,
            metrics,
        }
    }

    /// Whether it exports a function.
    pub fn has(&self, function: &str) -> bool {
        self.functions.iter().any(|known| known == function)
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

/// The stages of a script, or of its only scenario; `None` where VUs do not move by any.
fn stages(options: &Map<String, Value>) -> Option<String> {
    let scenarios = options.get("scenarios").and_then(Value::as_object);
    let scenario = match scenarios.filter(|all| !all.is_empty()) {
        Some(all) if all.len() == 1 => all.values().next()?.as_object()?,
        Some(_) => return None,
        None => options,
    };
    let executor = scenario.get("executor").and_then(Value::as_str);
    let number = |from: &Map<String, Value>, key: &str| from.get(key).and_then(Value::as_u64);
    let lasts = |from: &Map<String, Value>| {
        let time = from.get("duration").and_then(duration)?.as_secs_f64();
        Some(format!("{}ms", (time * 1e3).round()))
    };
    let mut parts = Vec::new();
    match (executor, scenario.get("stages").and_then(Value::as_array)) {
        (None | Some("ramping-vus"), Some(all)) => {
            let first = number(scenario, "startVUs").or_else(|| number(scenario, "vus"));
            // Without a number k6 begins with one VU, which is as good as none.
            parts.extend(first.filter(|vus| *vus > 1).map(|vus| format!("{vus}:0s")));
            for stage in all.iter().take(MOST_STAGES) {
                let stage = stage.as_object()?;
                parts.push(format!("{}:{}", number(stage, "target")?, lasts(stage)?));
            }
        }
        (None | Some("constant-vus"), None) => {
            let vus = number(scenario, "vus").unwrap_or(1);
            parts = vec![format!("{vus}:0s"), format!("{vus}:{}", lasts(scenario)?)];
        }
        _ => return None,
    }
    (!parts.is_empty()).then(|| parts.join(","))
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
    fn stages_are_those_of_the_script_or_of_its_only_scenario() {
        let of = |options: Value| stages(options.as_object().unwrap());
        let two = json!([{"duration": "30s", "target": 20}, {"duration": "1m", "target": 0}]);
        let wanted = Some("20:30000ms,0:60000ms".to_owned());
        assert_eq!(of(json!({"stages": two})), wanted);
        let ramping = json!({"executor": "ramping-vus", "startVUs": 0, "stages": two});
        assert_eq!(of(json!({"scenarios": {"a": ramping}})), wanted);
        assert_eq!(of(json!({"scenarios": {"a": ramping, "b": ramping}})), None);
        let rates = json!({"executor": "ramping-arrival-rate", "stages": two});
        assert_eq!(of(json!({"scenarios": {"a": rates}})), None);
        let constant = of(json!({"vus": 5, "duration": "10s"}));
        assert_eq!(constant.as_deref(), Some("5:0s,5:10000ms"));
        for none in [json!({}), json!({"iterations": 5}), json!({"stages": [{}]})] {
            assert_eq!(of(none), None);
        }
    }

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
