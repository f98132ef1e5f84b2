//! What happened, in order: the only thing that the terminal and the store learn from a running
//! search.

use std::path::PathBuf;

use serde::Serialize;

use crate::measure::{Counted, Level, LevelUnit, Reading};
use crate::record::{Band, ProbeRecord, Purpose, RampRecord, RunRecord, StageRecord, StageSpan};

/// One thing that happened during a run.
#[derive(Debug, Clone)]
pub enum Event {
    /// A profile's run begins.
    RunStarted {
        /// What is loaded, and what must hold.
        subject: Subject,
        /// Lowest and highest level.
        range: (Level, Level),
        /// Longest time in seconds: the budget, and the holds after the search.
        budget_s: f64,
    },
    /// Something that takes a while began: bringing the target up, draining, resetting, a canary
    /// cycle.
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
        /// What is loaded, and what must hold.
        subject: Subject,
        /// Its stages.
        asked: Vec<StageSpan>,
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

/// What a run loads, and what must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// Profile name.
    pub profile: String,
    /// Target address.
    pub target: String,
    /// Objectives.
    pub slo: Vec<String>,
    /// What a level counts.
    pub unit: LevelUnit,
    /// What goes through is counted in.
    pub counted: Counted,
    /// The latency that every second is told of.
    pub latency: ShownLatency,
    /// The share that is told of before it, where no objective is on a latency.
    pub share: Option<ShownShare>,
    /// Limits of what the monitors read.
    pub limits: Vec<Reading>,
}

#[cfg(test)]
impl Subject {
    /// Made up for tests: of the demo, without limits.
    pub(crate) fn made_up() -> Self {
        Self {
            profile: "demo".to_owned(),
            target: "http://127.0.0.1:8080".to_owned(),
            slo: vec!["p99(answer)<2s".to_owned(), "errors<1%".to_owned()],
            unit: LevelUnit::Vus,
            counted: Counted::Cycles,
            latency: ShownLatency {
                name: "p99(answer)".to_owned(),
                q: 0.99,
                step: 2,
                limit_s: Some(2.0),
            },
            share: None,
            limits: Vec::new(),
        }
    }
}

/// The latency that progress shows.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownLatency {
    /// Its name with the step: `p99(answer)`.
    pub name: String,
    /// Its quantile, 0..1.
    pub q: f64,
    /// The index of its step.
    pub step: usize,
    /// What it must stay below, seconds; `None` without an objective.
    pub limit_s: Option<f64>,
}

/// The share of cycles that progress shows first where the SLO asks nothing of latencies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ShownShare {
    /// Whether it is of those that were shed, and not of those that failed.
    pub of_sheds: bool,
    /// What it must stay below, 0..1; `None` where the objective is on one step alone.
    pub limit: Option<f64>,
}

impl ShownShare {
    /// Its name.
    pub fn name(self) -> &'static str {
        if self.of_sheds { "shed" } else { "errors" }
    }

    /// Of a second with so many cycles; `None` of none.
    pub fn of(self, completed: u64, failed: u64, shed: u64) -> Option<f64> {
        let (some, all) = if self.of_sheds {
            (shed, completed + failed + shed)
        } else {
            (failed, completed + failed)
        };
        #[expect(clippy::cast_precision_loss, reason = "counts of a few seconds")]
        (all > 0).then(|| some as f64 / all as f64)
    }
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
    /// Length of the window that it tells of, seconds: one, with most engines.
    pub span_s: f64,
    /// Completed cycles in the window.
    pub completed: u64,
    /// Failed in the second.
    pub failed: u64,
    /// Shed in the second.
    pub shed: u64,
    /// The latency of [`Subject::latency`] in the second; `None` when nothing completed.
    pub latency_s: Option<f64>,
    /// Estimate so far, VUs.
    pub estimate: Option<Band>,
    /// What the monitors read.
    pub readings: Vec<Reading>,
}

/// What a probe is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Moving VUs in or out.
    Ramp,
    /// Waiting for the level to settle.
    Settle,
    /// Measuring.
    Hold,
}
