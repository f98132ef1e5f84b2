//! The present state as metrics for Prometheus: the same samples for a scrape and for remote write.
//!
//! Format: <https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4.

use std::fmt::Write as _;

use super::Live;
use crate::slo::Verdict;

/// Whether a metric only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It goes up and down.
    Gauge,
    /// It only grows while the program runs.
    Counter,
}

impl MetricKind {
    fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        }
    }
}

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its name, with its unit at the end.
    pub name: &'static str,
    /// Its kind.
    pub kind: MetricKind,
    /// What it tells, one line.
    pub help: &'static str,
}

/// Metrics of one family.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// What they are.
    pub family: Family,
    /// Labels and value of each.
    pub values: Vec<(Labels, f64)>,
}

/// Labels by name, in a fixed order.
pub type Labels = Vec<(&'static str, String)>;

/// Everything that is known now. What is not known has no sample: a gap, not a zero.
pub fn samples(live: &Live) -> Vec<Samples> {
    let mut all = Collector {
        profile: live.profile.clone(),
        all: Vec::new(),
    };
    about(live, &mut all);
    load(live, &mut all);
    search(live, &mut all);
    monitors(live, &mut all);
    all.all
}

/// The samples as text.
pub fn exposition(samples: &[Samples]) -> String {
    let mut text = String::new();
    for Samples { family, values } in samples {
        let Family { name, kind, help } = family;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {}", kind.name());
        for (labels, value) in values {
            let labels: Vec<String> = labels
                .iter()
                .map(|(key, value)| format!("{key}=\"{}\"", escaped(value)))
                .collect();
            let labels = if labels.is_empty() {
                String::new()
            } else {
                format!("{{{}}}", labels.join(","))
            };
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    }
    text
}

fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

struct Collector {
    /// Every sample carries it: several runs write to one server.
    profile: String,
    all: Vec<Samples>,
}

impl Collector {
    fn add(
        &mut self,
        kind: MetricKind,
        name: &'static str,
        help: &'static str,
        values: impl IntoIterator<Item = (Labels, Option<f64>)>,
    ) {
        let known = values
            .into_iter()
            .filter_map(|(labels, v)| Some((labels, v?)));
        let mut values: Vec<_> = known.filter(|(_, v)| v.is_finite()).collect();
        for (labels, _) in &mut values {
            labels.insert(0, ("profile", self.profile.clone()));
        }
        if !values.is_empty() {
            let family = Family { name, kind, help };
            self.all.push(Samples { family, values });
        }
    }

    fn gauge(&mut self, name: &'static str, help: &'static str, value: Option<f64>) {
        self.add(MetricKind::Gauge, name, help, [(Vec::new(), value)]);
    }
}

fn about(live: &Live, all: &mut Collector) {
    let labels = vec![
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("target", live.target.clone()),
        ("slo", live.slo.join(", ")),
        ("unit", live.unit.column().to_owned()),
    ];
    let begun = live.at_most_s.is_some();
    all.add(
        MetricKind::Gauge,
        "breakpoint_run_info",
        "The current run: always 1.",
        [(labels, begun.then_some(1.0))],
    );
    let running = if live.is_running() { 1.0 } else { 0.0 };
    all.gauge(
        "breakpoint_running",
        "Whether a run is in progress.",
        Some(running),
    );
    all.gauge(
        "breakpoint_elapsed_seconds",
        "Seconds since the run started.",
        begun.then_some(live.elapsed_s),
    );
    all.gauge(
        "breakpoint_left_seconds",
        "Upper bound of the remaining seconds of the run.",
        live.left_s(),
    );
}

fn load(live: &Live, all: &mut Collector) {
    let last = live.seconds.back();
    all.gauge(
        "breakpoint_level",
        "The requested level: VUs, or arrivals per second.",
        last.map(|s| s.level.get().into()),
    );
    all.gauge("breakpoint_vus", "Running VUs.", last.map(|s| s.vus.into()));
    let name = || vec![("latency", live.latency.clone())];
    all.add(
        MetricKind::Gauge,
        "breakpoint_latency_seconds",
        "Latency over the last second.",
        [(name(), last.and_then(|s| s.latency_s))],
    );
    all.add(
        MetricKind::Gauge,
        "breakpoint_latency_limit_seconds",
        "The SLO's limit of it.",
        [(name(), live.limit_s)],
    );
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let count = |result: &str, n: u64| (vec![("result", result.to_owned())], Some(n as f64));
    let totals = live.totals;
    all.add(
        MetricKind::Counter,
        "breakpoint_cycles_total",
        "Cycles completed since the program started.",
        [
            count("completed", totals.completed),
            count("failed", totals.failed),
            count("shed", totals.shed),
        ],
    );
}

fn search(live: &Live, all: &mut Collector) {
    let bound = |name: &str, value: Option<f64>| (vec![("bound", name.to_owned())], value);
    let (held, broke) = live.bracket();
    all.add(
        MetricKind::Gauge,
        "breakpoint_bracket",
        "Highest level that held, and lowest level that broke.",
        [
            bound("held", held.map(|l| l.get().into())),
            bound("broke", broke.map(|l| l.get().into())),
        ],
    );
    let estimate = live.estimate;
    all.add(
        MetricKind::Gauge,
        "breakpoint_estimate",
        "Current estimate of the breakpoint, with its interval.",
        [
            bound("low", estimate.map(|e| e.low)),
            bound("middle", estimate.map(|e| e.estimate)),
            bound("high", estimate.map(|e| e.high)),
        ],
    );
    let verdicts = [Verdict::Held, Verdict::Undecided, Verdict::Broke];
    let of = |verdict: Verdict| {
        let count = live.visits.iter().filter(|v| v.verdict == verdict).count();
        #[expect(clippy::cast_precision_loss, reason = "a few probes")]
        let count = count as f64;
        (vec![("verdict", verdict.to_string())], Some(count))
    };
    all.add(
        MetricKind::Gauge,
        "breakpoint_visits",
        "Probes or stages of the run by verdict.",
        verdicts.map(of),
    );
}

fn monitors(live: &Live, all: &mut Collector) {
    let labels = |monitor: &str, field: &str| {
        vec![("monitor", monitor.to_owned()), ("field", field.to_owned())]
    };
    let gauges = || live.gauges.iter();
    all.add(
        MetricKind::Gauge,
        "breakpoint_monitor",
        "Reading of a monitor, in the base unit of its field: bytes, cores, counts.",
        gauges().map(|g| (labels(&g.monitor, &g.field), g.value)),
    );
    all.add(
        MetricKind::Gauge,
        "breakpoint_monitor_limit",
        "Limit of a monitor's reading.",
        gauges().map(|g| (labels(&g.monitor, &g.field), g.limit)),
    );
}
