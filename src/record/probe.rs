//! One probe of a record: one visit to one level, its steps and its seconds.

use serde::{Deserialize, Serialize};

use super::cause::LimitingResource;
use super::{Band, Verdict, readings};
use crate::measure::{
    Exchange, FailureKind, FailureWay, GeneratorWindow, Histogram, Level, Reading,
};

/// Why a level was visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Held before the search, so that the target is warm when it begins; it is not judged and
    /// nothing rests on it.
    WarmUp,
    /// Stepping up to find a level that breaks.
    Bracket,
    /// Narrowing the bracket by bisection.
    Narrow,
    /// A visit near the crossing, in random order.
    Refine,
    /// A visit near the crossing from rest, or one that overloads the target, to see whether the
    /// past matters.
    Compare,
    /// A visit of the levels that the answer names.
    Confirm,
    /// A hold below the breakpoint, after the search: what users get there, and where runs are
    /// compared.
    Reference,
}

impl Purpose {
    /// The name in files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::WarmUp => "warm_up",
            Self::Bracket => "bracket",
            Self::Narrow => "narrow",
            Self::Refine => "refine",
            Self::Compare => "compare",
            Self::Confirm => "confirm",
            Self::Reference => "reference",
        }
    }
}

/// How a probe's hold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldEnd {
    /// It ran its planned time.
    Complete,
    /// It was left early because it was hopeless.
    LeftEarly,
    /// The user interrupted it.
    Interrupted,
    /// The generator was at fault: the probe says nothing about the target.
    Invalid,
}

/// One probe: one visit to one level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProbeRecord {
    /// 0-based order of the probe.
    pub index: usize,
    /// Why the level was visited.
    pub purpose: Purpose,
    /// The level.
    #[serde(alias = "vus")]
    pub level: Level,
    /// The level before, from which it was reached.
    pub arrived_from: Level,
    /// Engine time at which the move to the level began, seconds.
    pub start_s: f64,
    /// Seconds until the level was reached.
    pub ramp_s: f64,
    /// Seconds of settling that were discarded.
    pub settle_s: f64,
    /// Seconds of the hold.
    pub hold_s: f64,
    /// Whether it settled.
    pub settled: bool,
    /// How the hold ended.
    pub end: HoldEnd,
    /// The verdict over all objectives.
    pub verdict: Verdict,
    /// Why the verdict, one line; e.g. why it is undecided.
    pub reason: String,
    /// Per objective what was seen.
    pub objectives: Vec<ObjectiveRecord>,
    /// Completed cycles per second.
    pub throughput_per_s: Option<f64>,
    /// Totals per step over the hold, the cycle last.
    pub steps: Vec<StepRecord>,
    /// Per second: settle and hold.
    pub seconds: Vec<SecondRecord>,
    /// What the services logged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<LogRecord>,
    /// Some failing requests with their answers, without secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<Exchange>,
    /// How many lines of each kind the services logged, whether they matter or not; empty in
    /// records of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_kinds: Vec<LogKindRecord>,
    /// What gave way, when it broke.
    pub limiting_resource: Option<LimitingResource>,
    /// What else fits, the surest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_causes: Vec<LimitingResource>,
    /// The estimate after this probe, when there was one, as levels.
    pub estimate: Option<Band>,
}

/// One line that a service logged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Engine time of the end of the second in which it was seen, seconds.
    pub at_s: f64,
    /// The monitor that saw it.
    pub monitor: String,
    /// The line.
    pub text: String,
}

/// Lines of a log that differ in numbers, times and identifiers only ([`crate::measure::folded`]).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogKindRecord {
    /// Engine time of the end of the second in which the first of them was seen, seconds.
    pub at_s: f64,
    /// The monitor that saw them.
    pub monitor: String,
    /// The first of them; [`crate::measure::OTHER_LINES`] stands for kinds that were too many.
    pub text: String,
    /// How many there were.
    pub count: u64,
}

/// What one objective came to in one probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveRecord {
    /// The objective in the SLO grammar.
    pub objective: String,
    /// The metric's value in its base unit (seconds, ratio, per second, the monitor's unit); `None`
    /// without data.
    pub observed: Option<f64>,
    /// The bound in the same unit.
    pub bound: f64,
    /// For share-type objectives: requests that violated the limit.
    pub bad: Option<f64>,
    /// For share-type objectives: requests that counted.
    pub total: Option<f64>,
    /// Its verdict.
    pub verdict: Verdict,
}

impl ProbeRecord {
    /// Why the level broke where no objective did: too few users could start.
    pub fn broke_without_objective(&self) -> Option<&str> {
        let broke = |o: &ObjectiveRecord| o.verdict == Verdict::Broke;
        let alone = self.verdict == Verdict::Broke && !self.objectives.iter().any(broke);
        (alone && !self.reason.is_empty()).then_some(&*self.reason)
    }
}

/// Totals of a step over a hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step's name.
    pub step: String,
    /// Completed.
    pub completed: u64,
    /// Failed by kind; only kinds that happened.
    pub failed: Vec<(FailureKind, u64)>,
    /// Refused by design.
    pub shed: u64,
    /// In flight at the hold's end.
    pub in_flight: u64,
    /// Age of the oldest in flight at the hold's end, seconds.
    pub oldest_in_flight_s: Option<f64>,
    /// The most frequent ways in which it failed, by kind, status and message; none where the
    /// engine does not tell them apart, and for the whole cycle.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureWay>,
    /// Latencies of the completed.
    pub latency: Histogram,
}

/// One second of a probe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SecondRecord {
    /// Engine time of its end, seconds.
    pub t_s: f64,
    /// Length, seconds.
    pub span_s: f64,
    /// Whether it belongs to the hold (else to the way there and the settle).
    pub hold: bool,
    /// VUs running at its end.
    pub vus: u32,
    /// Per step, the cycle last.
    pub steps: Vec<StepSecond>,
    /// Latencies of the main step in this second of the hold, so that a run can be judged again
    /// under another SLO; empty before the hold.
    #[serde(default, skip_serializing_if = "Histogram::is_empty")]
    pub main_latency: Histogram,
    /// The generator.
    pub generator: GeneratorWindow,
    /// Monitors.
    #[serde(with = "readings")]
    pub readings: Vec<Reading>,
}

/// One step in one second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepSecond {
    /// Completed.
    pub completed: u64,
    /// Failed, all kinds.
    pub failed: u64,
    /// Refused by design.
    pub shed: u64,
    /// In flight at its end.
    pub in_flight: u64,
    /// Age of the oldest in flight at its end, seconds.
    pub oldest_in_flight_s: Option<f64>,
    /// Median, seconds.
    pub p50_s: Option<f64>,
    /// 99th percentile, seconds.
    pub p99_s: Option<f64>,
}
