//! A simulated system to search: the only file of the laboratory that knows the simulator.

use crate::engine::sim::{SimEngine, SimSpec};
use crate::measure::{Level, StepNames};
use crate::search::SearchSpec;
use crate::slo::{Slo, SloError};
use crate::stats::queue::ClosedQueue;

/// What a good search says of a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// A number of VUs.
    Breakpoint,
    /// That it holds up to the maximum.
    NeverBroke,
    /// That it breaks with time, whatever the level.
    TimeDriven,
    /// That the number depends on whether the level is reached from below or from above.
    DependsOnDirection,
    /// That it has two states.
    Bimodal,
}

/// Why there is no such system.
#[derive(Debug, thiserror::Error)]
pub enum LabSystemError {
    /// The SLO cannot be read.
    #[error("slo: {0}")]
    Slo(#[from] SloError),
}

/// A system and how it is searched.
#[derive(Debug, Clone)]
pub struct System {
    /// Its name.
    pub name: String,
    /// What it is, one line.
    pub title: String,
    /// What must hold.
    pub slo: Slo,
    /// The measured steps.
    pub steps: StepNames,
    /// Highest level of a search.
    pub max: Level,
    /// First level of a search.
    pub start: Level,
    /// VUs started or stopped per second.
    pub pace_per_s: f64,
    /// Mean think time, seconds.
    pub think_s: f64,
    /// What a good search says.
    pub expect: Expect,
    /// The limits of a search, as far as the system knows them.
    pub limits: SearchSpec,
    sim: SimSpec,
}

impl System {
    /// The simulated system, idle.
    pub fn engine(&self, seed: u64) -> SimEngine {
        SimEngine::new(SimSpec {
            seed,
            ..self.sim.clone()
        })
    }

    /// The exact model, when it is one.
    pub fn closed_queue(&self) -> Option<ClosedQueue> {
        Some(ClosedQueue {
            servers: u32::try_from(self.sim.servers).ok()?,
            mu: 1.0 / self.sim.service_s,
            think_s: self.sim.think_s,
        })
        .filter(|_| self.sim.cliff.is_none())
    }

    /// Everything that the truth depends on, as text.
    pub fn canonical(&self) -> String {
        format!("{:?} {:?} {}", self.sim, self.slo.texts(), self.max)
    }

    /// Reads a system.
    ///
    /// # Errors
    /// When the text is none.
    pub fn from_toml(_text: &str) -> Result<Self, LabSystemError> {
        Err(LabSystemError::Slo(SloError::Empty))
    }

    /// The systems that come with the program.
    pub fn shipped() -> Vec<Self> {
        let a = |name: &str, servers, service_s, think_s| Self {
            name: name.to_owned(),
            title: name.to_owned(),
            slo: Slo::parse(["p99<2s"]).expect("an objective"),
            steps: StepNames::new(["request".to_owned()], Some(0)),
            max: Level(5000),
            start: Level(10),
            pace_per_s: 50.0,
            think_s,
            expect: Expect::Breakpoint,
            limits: SearchSpec::default(),
            sim: SimSpec {
                servers,
                service_s,
                think_s,
                cliff: None,
                pace_per_s: 50.0,
                seed: 0,
            },
        };
        vec![a("A", 8, 0.05, 5.0), a("B", 1, 0.1, 10.0)]
    }
}
