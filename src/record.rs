//! The one artefact of a run: what was asked, what every probe saw, what was concluded.
//!
//! Every report is rendered from a [`RunRecord`] alone. Field names carry their units. A change of
//! a field's meaning raises [`SCHEMA_VERSION`].

use serde::{Deserialize, Serialize};

use crate::measure::{Arrivals, Counted, Level, LevelUnit, LoadedAddress, Reading, StepTable};

mod band;
mod cause;
mod compare;
mod gate;
mod overall;
mod plateau;
mod probe;
mod ramp;
mod readings;
mod scale;
mod verdict;

pub use band::{Band, CurvePoint};
pub use cause::{
    CauseKind, LimitingResource, NO_FINDING, NO_FINDING_BEFORE, RULED_OUT, RULED_OUT_BEFORE,
    Sureness,
};
pub use compare::{
    Bounds, COMPARE_SCHEMA_VERSION, Change, ChangeVerdict, CompareRecord, ComparedMetric,
    ComparedRun, Comparison, Difference, ForecastPoint, Gate, GateOutcome, Scaling, ScalingPoint,
};
pub use gate::{Headroom, LoadGate, LoadOutcome};
pub use plateau::Plateau;
pub use probe::{
    HoldEnd, LogKindRecord, LogRecord, ObjectiveRecord, ProbeRecord, Purpose, SecondRecord,
    StepRecord, StepSecond,
};
pub use ramp::{
    Breach, RAMP_SCHEMA_VERSION, READING_S, RampEnding, RampRecord, RampSecond, ReferenceRun,
    StageRecord, StageSpan,
};
pub use scale::{
    Cost, Reach, SCALE_SCHEMA_VERSION, ScaleLaw, ScaleRecord, ScaleRun, ScaleSize, ScaleTarget,
    SizeUnitRecord,
};
pub use verdict::Verdict;

/// Version of the record's schema.
pub const SCHEMA_VERSION: u32 = 3;
/// Oldest version that is still read: its fields for levels had `vus` in their names.
pub const OLDEST_SCHEMA_VERSION: u32 = 1;

/// A whole run over one profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`SCHEMA_VERSION`] of the program that wrote it.
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
    /// What was concluded.
    pub answer: Answer,
    /// What the plan resolved to, so that a report explains itself.
    pub plan: PlanRecord,
    /// The machine and generator.
    pub environment: Environment,
    /// Things that a reader must know before trusting the answer.
    pub warnings: Vec<String>,
    /// Every probe in order.
    pub probes: Vec<ProbeRecord>,
}

/// How a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// A breakpoint was found, with its interval.
    Found,
    /// The breakpoint lies within an interval, and the search was too short to name one number in
    /// it.
    Bracketed,
    /// The SLO held at every level up to the maximum.
    NeverBroke,
    /// The SLO broke at the minimum level already.
    BrokeAtMinimum,
    /// It breaks with time and not at a level: a leak, a drift.
    TimeDriven,
    /// It carries more from rest than after an overload; the breakpoint given is the one after an
    /// overload.
    #[serde(rename = "depends_on_direction")]
    Hysteresis,
    /// It has two breakpoints, of which now one holds and now the other.
    Bimodal,
    /// No answer, and why is in [`Answer::reason`].
    Undecided,
    /// The generator or its host was the limit, not the target.
    GeneratorLimited,
    /// A feeder whose rows are used once each had none left; what was measured is kept.
    DataUsedUp,
    /// The target did not come up, or did not come back after a probe.
    TargetDown,
    /// The user stopped the run; what was measured is kept.
    Interrupted,
    /// A limit that must not be passed stopped it: `abort-if`, memory of the target's machine, or
    /// the longest time of a run. Or the script did that makes the load, or wanted what it may not.
    Aborted,
}

impl Ending {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Bracketed => "bracketed",
            Self::NeverBroke => "never_broke",
            Self::BrokeAtMinimum => "broke_at_minimum",
            Self::TimeDriven => "time_driven",
            Self::Hysteresis => "depends_on_direction",
            Self::Bimodal => "bimodal",
            Self::Undecided => "undecided",
            Self::GeneratorLimited => "generator_limited",
            Self::DataUsedUp => "data_used_up",
            Self::TargetDown => "target_down",
            Self::Interrupted => "interrupted",
            Self::Aborted => "aborted",
        }
    }

    /// Whether it says where the breakpoint lies: a number, an interval, or a side of the whole
    /// range.
    pub fn is_answer(self) -> bool {
        match self {
            Self::Found | Self::Bracketed | Self::NeverBroke | Self::BrokeAtMinimum => true,
            Self::TimeDriven
            | Self::Hysteresis
            | Self::Bimodal
            | Self::Undecided
            | Self::GeneratorLimited
            | Self::DataUsedUp
            | Self::TargetDown
            | Self::Interrupted
            | Self::Aborted => false,
        }
    }
}

/// What was seen of a service beside a number, with the time that it was seen in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Noticed {
    /// What kind of thing it is.
    pub kind: NoticedKind,
    /// One sentence with its figures.
    pub text: String,
    /// Seconds of the search at which it began.
    pub from_s: f64,
    /// Seconds of the search at which it ended.
    pub to_s: f64,
}

/// What a search notices beside its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticedKind {
    /// Capacity grew while it was searched (autoscaling): levels that had broken held later.
    Grew,
    /// The service became faster in the beginning (compilation, caches, pools).
    WarmedUp,
    /// Crashes, pauses or failovers that come by chance.
    ChanceEvents,
    /// A level was carried from a credit for some time, and not for long.
    Credit,
}

impl NoticedKind {
    /// What it is in a few words, for charts and the head of its sentence.
    pub fn label(self) -> &'static str {
        match self {
            Self::Grew => "capacity grew",
            Self::WarmedUp => "warmed up",
            Self::ChanceEvents => "random events",
            Self::Credit => "carried by burst credit",
        }
    }
}

/// The curve that was fitted to the visits of one objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Index of the objective in the SLO.
    pub objective: usize,
    /// What its values are: a latency in seconds at the objective's quantile, or a share of
    /// violations.
    pub scale: CurveScale,
    /// Points by ascending level.
    pub points: Vec<CurvePoint>,
}

/// What the values of a [`Curve`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CurveScale {
    /// Seconds.
    Latency,
    /// Shares, 0..1.
    Share,
}

/// What a run concluded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// How the search ended.
    pub ending: Ending,
    /// Why it ended so, one sentence.
    pub reason: String,
    /// The breakpoint: the largest level at which the SLO holds (best estimate);
    /// [`PlanRecord::unit`] is its unit. `None` where only an interval is known
    /// ([`Ending::Bracketed`]).
    #[serde(alias = "breakpoint_vus")]
    pub breakpoint: Option<u32>,
    /// Lower end of its confidence interval.
    pub ci_low: Option<u32>,
    /// Upper end of its confidence interval; `None` with a `ci_low` means unbounded above.
    pub ci_high: Option<u32>,
    /// Confidence of the interval, 0..1.
    pub confidence: f64,
    /// Half-width that was asked for, as a fraction of the breakpoint.
    pub precision_asked: f64,
    /// Half-width that was reached, as a fraction of the breakpoint; of the interval's middle where
    /// no breakpoint is named.
    pub precision_reached: Option<f64>,
    /// Whether the search is sure enough of that width to say that what was asked was reached: an
    /// interval can also be narrow by luck.
    #[serde(default)]
    pub as_narrow_as_asked: bool,
    /// Highest visited level at or below the breakpoint that held.
    pub last_held: Option<VisitSummary>,
    /// Lowest visited level above the breakpoint that broke.
    pub first_broke: Option<VisitSummary>,
    /// What levels below the breakpoint showed that were held after the search, the highest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<VisitSummary>,
    /// The objective that binds: the one that breaks at the lowest level.
    pub broken_objective: Option<String>,
    /// What gave way first, with evidence.
    pub limiting_resource: Option<LimitingResource>,
    /// What else fits, the surest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_causes: Vec<LimitingResource>,
    /// The level at which throughput stops growing; a different number from the breakpoint.
    #[serde(alias = "knee_vus")]
    pub knee: Option<u32>,
    /// Highest throughput seen in a hold, cycles per second.
    pub peak_throughput_per_s: Option<f64>,
    /// Settled visits that the estimate rests on.
    pub visits: u32,
    /// Seconds under load that the estimate rests on: the holds of the visits near it.
    #[serde(default)]
    pub rests_on_s: f64,
    /// What more time would bring; `None` where that cannot be said.
    #[serde(default)]
    pub outlook: Option<Outlook>,
    /// Seconds from the first probe's start to the last one's end, everything included.
    pub search_s: f64,
    /// Shares of the level grid: (level, probability that the breakpoint is at or below) for
    /// charts; may be empty.
    pub distribution: Vec<(f64, f64)>,
    /// How much further than the estimate's own error that distribution reaches down, and less far
    /// up, as a fraction: for what was not seen and can only lower a breakpoint. Zero where it has
    /// none, and in records of older versions.
    #[serde(rename = "lean", default, skip_serializing_if = "is_zero")]
    pub downside_skew: f64,
    /// What was noticed beside the number, in order of time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub noticed: Vec<Noticed>,
    /// What a search of this length cannot know: events too rare to have been seen in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unseen: Option<String>,
    /// The curves that were fitted, for charts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<Curve>,
}

impl Answer {
    /// The answer of a run that measured nothing.
    pub fn unmeasured(ending: Ending, reason: String, confidence: f64, precision: f64) -> Self {
        Self {
            ending,
            reason,
            breakpoint: None,
            ci_low: None,
            ci_high: None,
            confidence,
            precision_asked: precision,
            precision_reached: None,
            as_narrow_as_asked: false,
            last_held: None,
            first_broke: None,
            references: Vec::new(),
            broken_objective: None,
            limiting_resource: None,
            other_causes: Vec::new(),
            knee: None,
            peak_throughput_per_s: None,
            visits: 0,
            rests_on_s: 0.0,
            outlook: None,
            search_s: 0.0,
            distribution: Vec::new(),
            downside_skew: 0.0,
            noticed: Vec::new(),
            unseen: None,
            curves: Vec::new(),
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// What more time would bring to an answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outlook {
    /// The interval shrinks with the time.
    Time {
        /// Seconds of searching more.
        more_s: f64,
        /// Half-width to expect then, as a fraction of the breakpoint.
        half_width: f64,
        /// Seconds more until the search is likely to stop because the interval is as narrow as
        /// asked; `None` when it is.
        asked_in_s: Option<f64>,
    },
    /// The crossing is a step between two levels: another visit in their middle leaves half of what
    /// lies between.
    Visit {
        /// The level to visit.
        #[serde(alias = "vus")]
        level: Level,
        /// Seconds that a visit takes, everything included.
        takes_s: f64,
        /// Highest level at or below the breakpoint that held.
        held: Level,
        /// Lowest level above the breakpoint that broke.
        broke: Level,
    },
}

/// One visited level in the answer: what it showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VisitSummary {
    /// Index into [`RunRecord::probes`].
    pub probe: usize,
    /// The level.
    #[serde(alias = "vus")]
    pub level: Level,
    /// What the binding (or first) objective's metric was, in the text of its unit (`p99 1.71 s`).
    pub observed: String,
    /// Share of failed steps, 0..1.
    pub error_ratio: f64,
    /// Share of sheds, 0..1.
    pub shed_ratio: f64,
}

/// The resolved plan in a record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanRecord {
    /// Base address of the target.
    pub target: String,
    /// Which engine made the load.
    pub engine: String,
    /// Names of the measured steps; the last stands for the whole: the cycle, or all requests.
    pub steps: Vec<String>,
    /// Index of the main step.
    pub main_step: usize,
    /// Mean think time of a cycle, seconds.
    pub think_s: f64,
    /// What a level counts.
    #[serde(default)]
    pub unit: LevelUnit,
    /// How cycles arrive, where levels are rates.
    #[serde(default)]
    pub arrivals: Option<Arrivals>,
    /// Who else loads the target, and how many of whom there are; empty where only the users of the
    /// scenario do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub populations: Vec<PopulationRecord>,
    /// Lowest level.
    #[serde(alias = "min_vus")]
    pub min_level: u32,
    /// Highest level.
    #[serde(alias = "max_vus")]
    pub max_level: u32,
    /// Budget, seconds.
    pub budget_s: f64,
    /// The longest time of the whole run that was told before it, seconds; `None` in records of
    /// older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longest_s: Option<f64>,
    /// VUs started or stopped per second.
    pub pace_per_s: f64,
    /// Seed of every random draw.
    pub seed: u64,
    /// Charted resources: limits by (monitor, field).
    #[serde(with = "readings")]
    pub limits: Vec<Reading>,
    /// The load that the target must carry, in [`PlanRecord::unit`]: the gate, and what headroom is
    /// told against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<u32>,
    /// The command line without the program's own path and without secrets; empty in records of
    /// older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Whether any certificate of the target was accepted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// Which HTTP was asked for, where that was not 1.1 alone: `auto` or `2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<String>,
    /// How many VUs of a thread shared a connection, where that was more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub streams_per_connection: Option<u32>,
    /// Where the names of the target led and how the load fell on them; empty where the engine does
    /// not tell, and in records of older versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<LoadedAddress>,
}

impl PlanRecord {
    /// Which HTTP was asked for, and what the server chose where it could, in words: `2, 8 streams
    /// per connection`, `auto (HTTP/2)`.
    pub fn http_words(&self) -> String {
        let asked = self.http.as_deref().unwrap_or("1.1");
        let spoke = |count: fn(&LoadedAddress) -> u64| self.addresses.iter().any(|a| count(a) > 0);
        let one = spoke(|a| a.http1_connections);
        let http = match (asked, one, spoke(|a| a.http2_connections)) {
            ("auto", true, true) => "auto (HTTP/2 and HTTP/1.1)",
            ("auto", true, false) => "auto (HTTP/1.1)",
            ("auto", false, true) => "auto (HTTP/2)",
            _ => asked,
        };
        match self.streams_per_connection {
            Some(streams) => format!("{http}, {streams} streams per connection"),
            None => http.to_owned(),
        }
    }

    /// What throughput and shares of errors are of.
    pub fn counted(&self) -> Counted {
        StepTable::of_record(&self.steps, self.main_step).counted()
    }
}

impl PlanRecord {
    /// The same once it is known how the load fell on the target's addresses.
    #[must_use]
    pub fn loaded(&self, addresses: Vec<LoadedAddress>) -> Self {
        Self {
            addresses,
            ..self.clone()
        }
    }

    /// A round trip of the network to the farthest address that was loaded, seconds; `None` where
    /// it was not measured.
    pub fn round_trip_s(&self) -> Option<f64> {
        LoadedAddress::farthest_s(&self.addresses)
    }

    /// Whether levels are those of the scenario's users.
    pub fn users_are_searched(&self) -> bool {
        self.populations
            .last()
            .is_none_or(|users| users.level.is_none())
    }
}

/// One population in a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PopulationRecord {
    /// Its name; `users` are those of the scenario.
    pub name: String,
    /// How many there are; `None` for the one that is searched, and for the kinds of a mix.
    pub level: Option<Level>,
    /// Its part of the level, where it is a kind of a mix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<u32>,
    /// What that counts.
    pub unit: LevelUnit,
}

/// Where the load came from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Environment {
    /// Kernel name and release.
    pub kernel: String,
    /// Logical CPUs that the generator may use.
    pub cpus: u32,
    /// Descriptor limit in force.
    pub descriptor_limit: u64,
    /// Addresses that connections came from, by VU in turn; none was the kernel's choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local_addresses: Vec<String>,
    /// Rust target of the build.
    pub platform: String,
    /// The CPUs' model, where the system names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_model: Option<String>,
    /// The machine's memory, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}
