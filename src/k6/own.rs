//! What this program learns of a script that it runs itself.

use std::time::Duration;

use breakpoint_script::options::{Executor, Options};

use super::ITERATION_DURATION;

/// Stages that are looked at; more than that nobody writes.
const MOST_STAGES: usize = 1_000;

/// What a script says of itself beside thresholds and scenarios.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OwnScript {
    /// The functions that it exports.
    pub functions: Vec<String>,
    /// How long `setup` may take, once that is known.
    pub setup_timeout: Option<Duration>,
    /// Whether connections are closed after each iteration.
    pub closes_each_cycle: bool,
    /// Those of its thresholds, as objectives, for which every answer that is not expected is a
    /// failure, also one that sheds.
    pub failed: Vec<String>,
    /// Its stages as `TARGET:TIME,...`, where its VUs move by them.
    pub stages: Option<String>,
    /// Whether any certificate is accepted.
    pub insecure: bool,
    /// Whether a scenario of it has a browser.
    pub has_browser: bool,
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
}

impl OwnScript {
    /// What is known of one that exports these functions, declares these metrics and has these
    /// options.
    pub fn new(functions: Vec<String>, metrics: Vec<Declared>, options: &Options) -> Self {
        Self {
            setup_timeout: Some(options.setup_timeout),
            closes_each_cycle: options.no_vu_connection_reuse,
            failed: Vec::new(),
            stages: stages(options),
            insecure: options.insecure_skip_tls_verify,
            has_browser: options
                .scenarios
                .iter()
                .any(|scenario| scenario.has_browser),
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
            "group_duration" | ITERATION_DURATION => Some(DeclaredKind::Trend),
            _ => {
                let found = self.metrics.iter().find(|metric| metric.name == name);
                found.map(|metric| metric.kind)
            }
        }
    }
}

/// The stages of a script, or of its only scenario; `None` where VUs do not move by any.
fn stages(options: &Options) -> Option<String> {
    let scenarios = options.effective_scenarios();
    let [scenario] = scenarios.as_slice() else {
        return None;
    };
    let part =
        |vus: u64, lasts: Duration| format!("{vus}:{}ms", (lasts.as_secs_f64() * 1e3).round());
    let parts: Vec<String> = match &scenario.executor {
        Executor::RampingVus {
            start_vus, stages, ..
        } => {
            // Without a number k6 begins with one VU, which is as good as none.
            let first = Some(*start_vus).filter(|vus| *vus > 1);
            let first = first.map(|vus| format!("{vus}:0s"));
            let stages = stages.iter().take(MOST_STAGES);
            first
                .into_iter()
                .chain(stages.map(|stage| part(stage.target, stage.duration)))
                .collect()
        }
        Executor::ConstantVus { vus, duration } => {
            vec![format!("{vus}:0s"), part(*vus, *duration)]
        }
        _ => return None,
    };
    (!parts.is_empty()).then(|| parts.join(","))
}

#[cfg(test)]
mod tests {
    use breakpoint_script::options::options;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn stages_are_those_of_the_script_or_of_its_only_scenario() {
        let of = |value: Value| stages(&options(&value).unwrap());
        let two = json!([{"duration": "30s", "target": 20}, {"duration": "1m", "target": 0}]);
        let wanted = Some("20:30000ms,0:60000ms".to_owned());
        assert_eq!(of(json!({"stages": two})), wanted);
        let ramping = json!({"executor": "ramping-vus", "startVUs": 0, "stages": two});
        assert_eq!(of(json!({"scenarios": {"a": ramping}})), wanted);
        assert_eq!(of(json!({"scenarios": {"a": ramping, "b": ramping}})), None);
        let rates =
            json!({"executor": "ramping-arrival-rate", "stages": two, "preAllocatedVUs": 1});
        assert_eq!(of(json!({"scenarios": {"a": rates}})), None);
        let constant = of(json!({"vus": 5, "duration": "10s"}));
        assert_eq!(constant.as_deref(), Some("5:0s,5:10000ms"));
        for none in [json!({}), json!({"iterations": 5}), json!({"stages": []})] {
            assert_eq!(of(none), None);
        }
    }
}
