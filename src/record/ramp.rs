//! The artefact of a ramp: the stages that were asked for, what each showed, and the first moment
//! at which the SLO broke.

use serde::{Deserialize, Serialize};

use super::{
    Environment, HoldEnd, LimitingResource, LogKindRecord, LogRecord, ObjectiveRecord, PlanRecord,
    SecondRecord, StepRecord, Verdict,
};
use crate::measure::{Exchange, Level};

/// Version of the schema of a ramp's record.
pub const RAMP_SCHEMA_VERSION: u32 = 1;

/// Seconds of which a ramp's SLO is judged again and again.
pub const READING_S: f64 = 10.0;

/// A whole ramp over one profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RampRecord {
    /// [`RAMP_SCHEMA_VERSION`] of the program that wrote it.
    pub schema_version: u32,
    /// Version of the program.
    pub breakpoint_version: String,
    /// The profile's name.
    pub profile: String,
    /// Start, RFC 3339 UTC.
    pub started_at: String,
    /// End, RFC 3339 UTC.
    pub finished_at: String,
    /// The objectives as resolved, in the text of the SLO grammar.
    pub slo: Vec<String>,
    /// How it ended.
    pub ending: RampEnding,
    /// Why it ended so, one sentence.
    pub reason: String,
    /// The first moment at which the SLO was broken over the last ten seconds.
    pub breach: Option<Breach>,
    /// What `find` found for the same profile.
    #[serde(rename = "beside")]
    pub reference_run: Option<ReferenceRun>,
    /// What the plan resolved to.
    pub plan: PlanRecord,
    /// The machine and generator.
    pub environment: Environment,
    /// Things that a reader must know.
    pub warnings: Vec<String>,
    /// The stages that were asked for, in order.
    pub asked: Vec<StageSpan>,
    /// The stages that ran, in order.
    pub stages: Vec<StageRecord>,
}

/// How a ramp ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RampEnding {
    /// Every stage ran. Whether the SLO held in them is another matter.
    Complete,
    /// The generator or its host was the limit in some stage.
    GeneratorLimited,
    /// A feeder whose rows are used once each had none left; what was measured is kept.
    DataUsedUp,
    /// The target did not come up.
    TargetDown,
    /// The user stopped it; what was measured is kept.
    Interrupted,
    /// A limit that must not be passed stopped it: `abort-if`, memory of the target's machine, or
    /// the longest time of a run.
    Aborted,
}

impl RampEnding {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::GeneratorLimited => "generator_limited",
            Self::DataUsedUp => "data_used_up",
            Self::TargetDown => "target_down",
            Self::Interrupted => "interrupted",
            Self::Aborted => "aborted",
        }
    }
}

/// A stage that takes time: the level goes in a straight line from one to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StageSpan {
    /// The level at its start.
    pub from: Level,
    /// The level at its end.
    pub to: Level,
    /// When it begins, seconds since the ramp began.
    pub start_s: f64,
    /// How long it takes, seconds.
    pub lasts_s: f64,
}

impl StageSpan {
    /// The levels that stages go through, each once where one begins as the last ended.
    pub fn path(stages: &[Self]) -> Vec<Level> {
        let mut levels: Vec<Level> = stages.iter().flat_map(|s| [s.from, s.to]).collect();
        levels.dedup();
        levels
    }
}

/// What one stage showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Index into [`RampRecord::asked`].
    pub index: usize,
    /// What was asked.
    pub asked: StageSpan,
    /// Seconds that were measured.
    pub measured_s: f64,
    /// Mean of the levels asked for.
    pub mean_level: f64,
    /// Most VUs that ran.
    pub vus_reached: u32,
    /// Whether it ran to its end, and whether the generator was at fault.
    pub end: HoldEnd,
    /// The verdict over all objectives, of the stage as a whole.
    pub verdict: Verdict,
    /// Why the verdict, one line.
    pub reason: String,
    /// Per objective what was seen.
    pub objectives: Vec<ObjectiveRecord>,
    /// Completed cycles per second.
    pub throughput_per_s: Option<f64>,
    /// Totals per step, the cycle last.
    pub steps: Vec<StepRecord>,
    /// What gave way, when it broke.
    pub limiting_resource: Option<LimitingResource>,
    /// What else fits, the surest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_causes: Vec<LimitingResource>,
    /// Per second.
    pub seconds: Vec<RampSecond>,
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
}

/// One second of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RampSecond {
    /// The level asked for.
    pub level: Level,
    /// What was seen.
    #[serde(flatten)]
    pub seen: SecondRecord,
}

/// The moment at which a ramp first broke its SLO.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Breach {
    /// Seconds since the ramp began.
    pub t_s: f64,
    /// Index of its stage in [`RampRecord::asked`].
    pub stage: usize,
    /// The level asked for then.
    pub level: Level,
    /// VUs that ran then.
    pub vus: u32,
    /// The objectives that broke, over the last ten seconds.
    pub objectives: Vec<ObjectiveRecord>,
}

/// What a recorded `find` run found, to be told beside a ramp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceRun {
    /// When it started, RFC 3339 UTC.
    pub started_at: String,
    /// The breakpoint.
    pub breakpoint: Level,
    /// Lower end of its interval.
    pub ci_low: Option<Level>,
    /// Upper end of its interval.
    pub ci_high: Option<Level>,
}
