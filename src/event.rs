//! What happened, in order: the only thing that the terminal and the store learn from a running search.

use std::path::PathBuf;

use crate::measure::{Level, LevelUnit};
use crate::record::{ProbeRecord, Purpose, RampRecord, RunRecord, StageRecord, StageSpan};

/// One thing that happened during a run.
#[derive(Debug, Clone)]
pub enum Event {
    /// A profile's run begins.
    RunStarted {
        /// Profile name.
        profile: String,
        /// Target address.
        target: String,
        /// Objectives.
        slo: Vec<String>,
        /// Lowest and highest level.
        range: (Level, Level),
        /// What a level counts.
        unit: LevelUnit,
        /// Budget in seconds.
        budget_s: f64,
    },
    /// Something that takes a while began: bringing the target up, draining, resetting, a canary cycle.
    Doing(String),
    /// A note worth a line: a cap, a retry, a recovered target.
    Note(String),
    /// A probe begins.
    ProbeStarted {
        /// Its index.
        index: usize,
        /// Why.
        purpose: Purpose,
        /// Level.
        level: Level,
        /// Seconds that its hold is planned to take.
        planned_hold_s: f64,
    },
    /// A second of a probe or of a stage passed.
    Tick(Tick),
    /// A probe was judged.
    ProbeJudged(Box<ProbeRecord>),
    /// A ramp begins.
    RampStarted {
        /// Profile name.
        profile: String,
        /// Target address.
        target: String,
        /// Objectives.
        slo: Vec<String>,
        /// Its stages.
        asked: Vec<StageSpan>,
        /// What a level counts.
        unit: LevelUnit,
    },
    /// A stage of a ramp begins.
    StageStarted {
        /// Its index.
        index: usize,
        /// What it asks.
        asked: StageSpan,
    },
    /// A stage was judged.
    StageJudged(Box<StageRecord>),
    /// The ramp ended.
    RampFinished(Box<RampRecord>),
    /// The run ended.
    RunFinished(Box<RunRecord>),
    /// Files were written to this folder.
    Written(PathBuf),
}

/// Progress within a probe.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// Seconds since the run began.
    pub elapsed_s: f64,
    /// The level asked for.
    pub level: Level,
    /// VUs running.
    pub vus: u32,
    /// What the probe is doing.
    pub phase: Phase,
    /// Completed cycles in the second.
    pub completed: u64,
    /// Failed in the second.
    pub failed: u64,
    /// Shed in the second.
    pub shed: u64,
    /// p99 of the main step in the second.
    pub p99_s: Option<f64>,
    /// Estimate so far (low, estimate, high), VUs.
    pub estimate: Option<(f64, f64, f64)>,
}

/// What a probe is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Moving VUs in or out.
    Ramp,
    /// Waiting for the level to settle.
    Settle,
    /// Measuring.
    Hold,
}
