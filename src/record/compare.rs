//! The artefact of a comparison: what changed between runs, how sure that is, and what could
//! explain it.

use serde::{Deserialize, Serialize};

use super::{Ending, LimitingResource};
use crate::measure::{Counted, Level, LevelUnit};

/// Version of the schema of a comparison's record.
pub const COMPARE_SCHEMA_VERSION: u32 = 1;

/// A whole comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompareRecord {
    /// [`COMPARE_SCHEMA_VERSION`] of the program that wrote it.
    pub schema_version: u32,
    /// Version of the program.
    pub breakpoint_version: String,
    /// When it was made, RFC 3339 UTC.
    pub made_at: String,
    /// The objectives that all runs were judged by.
    pub slo: Vec<String>,
    /// What a level counts.
    pub unit: LevelUnit,
    /// What throughput is of.
    #[serde(default)]
    pub counted: Counted,
    /// Name of the measured step whose latency is compared.
    pub step: String,
    /// Confidence of every interval, 0..1.
    pub confidence: f64,
    /// The runs, in the order in which they were named or made.
    pub runs: Vec<ComparedRun>,
    /// Each candidate beside the base; empty where only the scaling was asked for.
    pub comparisons: Vec<Comparison>,
    /// How the breakpoint grows with the size of the system.
    pub scaling: Option<Scaling>,
    /// The gates that were asked for, in order.
    pub gates: Vec<Gate>,
    /// Things that a reader must know.
    pub notes: Vec<String>,
}

/// A run in a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedRun {
    /// Where it lies, as it was named.
    pub name: String,
    /// Its profile.
    pub profile: String,
    /// Its start, RFC 3339 UTC.
    pub started_at: String,
    /// How it ended.
    pub ending: Ending,
    /// Its breakpoint.
    pub breakpoint: Option<u32>,
    /// Lower end of its interval.
    pub ci_low: Option<u32>,
    /// Upper end of its interval.
    pub ci_high: Option<u32>,
    /// Size of the system (instances, cores), where it was told.
    pub size: Option<f64>,
    /// What limited it; records of older versions do not say.
    #[serde(default)]
    pub limiting_resource: Option<LimitingResource>,
}

/// A candidate beside the base.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The base's name.
    pub base: String,
    /// The candidate's name.
    pub candidate: String,
    /// The pairs of runs that it rests on: indices into [`CompareRecord::runs`], base first.
    pub pairs: Vec<(usize, usize)>,
    /// What changed, one of each metric.
    pub changes: Vec<Change>,
    /// What limited the base.
    pub limited_before: Option<LimitingResource>,
    /// What limits the candidate.
    pub limited_now: Option<LimitingResource>,
    /// What else differs and could explain it.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// What the breakpoint did.
    pub fn breakpoint(&self) -> Option<&Change> {
        let mut changes = self.changes.iter();
        changes.find(|c| c.metric == ComparedMetric::Breakpoint)
    }
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComparedMetric {
    /// The breakpoint, levels.
    Breakpoint,
    /// Where throughput stops growing, levels.
    Knee,
    /// The highest throughput where it does not grow any more, cycles per second.
    Throughput,
    /// Median latency of the main step at a common level, seconds.
    P50,
    /// 99th percentile of the same.
    P99,
}

impl ComparedMetric {
    /// All of them, in the order of every table.
    pub const ALL: [Self; 5] = [
        Self::Breakpoint,
        Self::Knee,
        Self::Throughput,
        Self::P50,
        Self::P99,
    ];

    /// The name in flags and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Breakpoint => "breakpoint",
            Self::Knee => "knee",
            Self::Throughput => "throughput",
            Self::P50 => "p50",
            Self::P99 => "p99",
        }
    }

    /// Whether a rise is for the better.
    pub fn more_is_better(self) -> bool {
        match self {
            Self::Breakpoint | Self::Knee | Self::Throughput => true,
            Self::P50 | Self::P99 => false,
        }
    }
}

/// The change of one metric from base to candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The metric.
    pub metric: ComparedMetric,
    /// Its value in the base; with several runs their geometric mean.
    pub base: Option<f64>,
    /// Its value in the candidate.
    pub candidate: Option<f64>,
    /// The levels at which a latency was compared, base first; of several pairs those of the first.
    pub levels: Option<(Level, Level)>,
    /// Candidate over base, best estimate; `None` where only a bound is known, or nothing.
    pub ratio: Option<f64>,
    /// Lower end of the ratio's interval.
    pub low: Option<f64>,
    /// Upper end of the ratio's interval.
    pub high: Option<f64>,
    /// Two-sided p-value of no change, after the correction for several candidates; the least that
    /// is told is 0.001.
    pub p_value: Option<f64>,
    /// Smallest rise that would have been seen with a probability of 80 %, as a fraction.
    pub detectable: Option<f64>,
    /// Pairs of runs that it rests on.
    pub pairs: u32,
    /// Whether that is evidence.
    pub verdict: ChangeVerdict,
    /// What a reader must know of it; empty where the numbers say all.
    pub reason: String,
}

/// Whether a change is evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeVerdict {
    /// Evidence of a rise.
    Rise,
    /// Evidence of a fall.
    Fall,
    /// No evidence of a change; that is not evidence of none.
    NoEvidence,
    /// It cannot be compared.
    CannotSay,
}

impl ChangeVerdict {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rise => "rise",
            Self::Fall => "fall",
            Self::NoEvidence => "no_evidence",
            Self::CannotSay => "cannot_say",
        }
    }
}

/// Something besides the system's behaviour that differs between base and candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// What: `think time`, `limit gateway.memory`, `kernel`.
    pub what: String,
    /// In the base.
    pub base: String,
    /// In the candidate.
    pub candidate: String,
}

/// How the breakpoint grows with the size: the Universal Scalability Law,
/// `N(n) = lambda n / (1 + sigma (n - 1) + kappa n (n - 1))`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// What is known of each run.
    pub points: Vec<ScalingPoint>,
    /// Breakpoint of size 1.
    pub lambda: Bounds,
    /// Contention: the part of the work that only one at a time can do.
    pub contention: Bounds,
    /// Coherency: what each pair costs to agree.
    pub coherency: Bounds,
    /// The size past which adding more no longer helps; without an upper end it may have none.
    pub peak_size: Bounds,
    /// The curve, and the forecast beyond the largest size.
    pub curve: Vec<ForecastPoint>,
    /// The forecast for twice the largest size.
    pub forecast: ForecastPoint,
    /// Sizes beyond the three that the law's parameters take; with 0 nothing tests the law itself.
    pub freedom: u32,
    /// p-value of the law against the points, where `freedom` is above 0.
    pub fits_p: Option<f64>,
    /// Resampled fits that the intervals rest on.
    pub resamples: u32,
}

/// A size with the breakpoint that was found there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScalingPoint {
    /// Index into [`CompareRecord::runs`].
    pub run: usize,
    /// The size.
    pub size: f64,
    /// The breakpoint.
    pub breakpoint: f64,
    /// Lower end of its interval.
    pub low: f64,
    /// Upper end of its interval.
    pub high: f64,
}

/// An estimate with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// The best estimate; `None` is none that is finite.
    pub estimate: Option<f64>,
    /// Lower end.
    pub low: f64,
    /// Upper end; `None` is unbounded.
    pub high: Option<f64>,
}

/// What the law says for a size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ForecastPoint {
    /// The size.
    pub size: f64,
    /// The breakpoint there.
    pub estimate: f64,
    /// Lower end of its band.
    pub low: f64,
    /// Upper end of its band.
    pub high: f64,
}

/// A gate of `--fail-if` and what it came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gate {
    /// As it was typed.
    pub condition: String,
    /// The candidate that it was held against.
    pub candidate: String,
    /// What it came to.
    pub outcome: GateOutcome,
    /// Why, one sentence.
    pub reason: String,
}

/// What a gate came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateOutcome {
    /// The change is not beyond the bound, or is no evidence.
    Passed,
    /// The change is beyond the bound, and it is evidence.
    Failed,
    /// It could not be compared.
    CannotSay,
}

impl GateOutcome {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::CannotSay => "cannot_say",
        }
    }
}
