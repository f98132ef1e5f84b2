//! The artefact of a sizing: capacity at several sizes of a system, the laws that it may follow,
//! and how many units a target needs.

use serde::{Deserialize, Serialize};

use super::{Ending, ForecastPoint, Gate, LimitingResource};
use crate::measure::LevelUnit;

/// Version of the schema of a sizing's record.
pub const SCALE_SCHEMA_VERSION: u32 = 1;

/// A whole sizing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScaleRecord {
    /// [`SCALE_SCHEMA_VERSION`] of the program that wrote it.
    pub schema_version: u32,
    /// Version of the program.
    pub breakpoint_version: String,
    /// When it was made, RFC 3339 UTC.
    pub made_at: String,
    /// The profile's name; those of several profiles one after the other.
    pub profile: String,
    /// What all runs were judged by.
    pub slo: Vec<String>,
    /// What a level counts.
    pub unit: LevelUnit,
    /// What a size counts.
    pub size_unit: SizeUnitRecord,
    /// Confidence of every interval, 0..1.
    pub confidence: f64,
    /// The sizes, the smallest first.
    pub sizes: Vec<ScaleSize>,
    /// The runs in the order in which they were made or named.
    pub runs: Vec<ScaleRun>,
    /// The laws, the simplest first; empty with fewer than two sizes.
    pub laws: Vec<ScaleLaw>,
    /// p-value of the best of all laws against the sizes; `None` where too few test it.
    pub fits_p: Option<f64>,
    /// Capacity against size, with its band over all laws.
    pub curve: Vec<ForecastPoint>,
    /// At twice the largest size.
    pub forecast: Option<ForecastPoint>,
    /// With one of the largest size's units lost; whole units alone.
    pub one_lost: Option<ForecastPoint>,
    /// The size from which one more of the smallest brings less than a tenth of what the first
    /// carries.
    pub helps_up_to: Option<Reach>,
    /// The size beyond which capacity falls.
    pub peak: Option<Reach>,
    /// What is needed for the target that was asked for.
    pub target: Option<ScaleTarget>,
    /// The price of one unit (of a GiB, of a core), as it was typed.
    pub cost: Option<Cost>,
    /// The gates that were asked for, in order.
    pub gates: Vec<Gate>,
    /// Things that a reader must know.
    pub notes: Vec<String>,
}

/// What a size counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SizeUnitRecord {
    /// Whole units: instances.
    Units,
    /// Cores, or whatever need not be whole.
    Cores,
    /// Bytes.
    Bytes,
}

/// What was found at one size, over all its runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScaleSize {
    /// As it was typed.
    pub label: String,
    /// Its number.
    pub number: f64,
    /// Indices into [`ScaleRecord::runs`].
    pub runs: Vec<usize>,
    /// The breakpoint; of several runs their mean. `None` where no run has one with an interval.
    pub breakpoint: Option<f64>,
    /// Lower end of its interval.
    pub low: Option<f64>,
    /// Upper end of its interval.
    pub high: Option<f64>,
    /// Capacity over that of the smallest size in proportion: 1 where it grows as the size does.
    pub efficiency: Option<ForecastPoint>,
    /// Price of 1 000 users at this size.
    pub cost_per_thousand: Option<f64>,
    /// What limited it, in short; several where runs differ.
    pub limited_by: Vec<String>,
}

/// A run of a sizing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScaleRun {
    /// Where it lies.
    pub name: String,
    /// Its start, RFC 3339 UTC.
    pub started_at: String,
    /// Its size.
    pub size: f64,
    /// How it ended.
    pub ending: Ending,
    /// Its breakpoint.
    pub breakpoint: Option<u32>,
    /// Lower end of its interval.
    pub ci_low: Option<u32>,
    /// Upper end of its interval.
    pub ci_high: Option<u32>,
    /// What limited it.
    pub limiting_resource: Option<LimitingResource>,
}

/// A law with what speaks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScaleLaw {
    /// `line`, `amdahl`, `usl`, `power`, `fixed_part` or `ceiling`.
    pub name: String,
    /// Its share of the probability.
    pub weight: f64,
    /// Whether the data support it: no law is ten times as probable.
    pub supported: bool,
}

/// A size that something happens at; an end without a number is one that no size has.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reach {
    /// The best estimate.
    pub estimate: Option<f64>,
    /// Lower end of its interval.
    pub low: Option<f64>,
    /// Upper end of its interval.
    pub high: Option<f64>,
}

/// What a target needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScaleTarget {
    /// Users, or arrivals per second.
    pub level: u32,
    /// The size that carries them.
    pub needed: Reach,
    /// The size that carries them with one unit lost; whole units alone.
    pub with_one_lost: Option<Reach>,
    /// What the needed size costs, from the estimate.
    pub cost: Option<f64>,
}

/// A price: `12/month`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Of one unit, one core, or one GiB.
    pub amount: f64,
    /// For how long: `month`; empty where nobody said.
    pub per: String,
}
