//! A simulated system to search: the only file of the laboratory that knows the simulator.

use std::future::Future;

pub use crate::engine::sim::{Expect, SystemError};
use crate::engine::sim::{ResetHandle, SimEngine, SystemSpec, shipped};
use crate::measure::{Level, Reading, StepTable};
use crate::run::RunEnvironment;
use crate::search::SearchSpec;
use crate::slo::{Objective, Slo, SloError};
use crate::stats::queue::{ClosedQueue, OpenQueue};

/// VUs per second of a tool that starts all its users at once.
const AT_ONCE_PER_S: f64 = 10_000.0;

/// Why there is no such system.
#[derive(Debug, thiserror::Error)]
pub enum LabSystemError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] SystemError),
    /// The SLO cannot be read.
    #[error("`slo`: {0}")]
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
    pub steps: StepTable,
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
    /// The limits of a search.
    pub limits: SearchSpec,
    spec: SystemSpec,
}

impl System {
    /// Reads a system from a file's text.
    ///
    /// # Errors
    /// When the text is no system, or its SLO names what a simulated system does not have.
    pub fn from_toml(text: &str) -> Result<Self, LabSystemError> {
        let spec = SystemSpec::from_toml(text)?;
        let slo = Slo::parse(&spec.slo)?;
        let good = slo.objectives().iter().filter_map(Objective::good);
        let good: Vec<&str> = good.map(|(row, _)| row).collect();
        let steps = spec.steps(&good);
        slo.check_names(&steps, &[])?;
        let (max, start) = (Level(spec.max_vus), Level(spec.start_vus));
        let default = SearchSpec::default();
        let span = |asked: Option<crate::engine::sim::Span>, default| {
            asked.map_or(default, crate::engine::sim::Span::duration)
        };
        Ok(Self {
            name: spec.name.clone(),
            title: spec.title.clone(),
            slo,
            steps,
            max,
            start,
            pace_per_s: spec.pace_per_s,
            think_s: spec.think_s(),
            expect: spec.expect,
            limits: SearchSpec {
                unit: spec.unit(),
                max,
                start,
                budget: span(spec.search.budget, default.budget),
                hold_min: span(spec.search.hold_min, default.hold_min),
                hold_max: span(spec.search.hold_max, default.hold_max),
                settle_max: span(spec.search.settle_max, default.settle_max),
                ..default
            },
            spec,
        })
    }

    /// The systems that come with the program.
    ///
    /// # Panics
    /// Never in a program whose tests pass: the texts are compiled in.
    pub fn shipped() -> Vec<Self> {
        let read = |(name, text): &(&str, &str)| {
            Self::from_toml(text).unwrap_or_else(|e| panic!("systems/{name}.toml: {e}"))
        };
        shipped().iter().map(read).collect()
    }

    /// The simulated system, idle.
    pub fn engine(&self, seed: u64) -> SimEngine {
        let mut engine = SimEngine::new(self.spec.clone(), seed);
        for (row, limits) in self.slo.objectives().iter().filter_map(Objective::good) {
            engine.count_good(row, limits.iter().map(|l| (l.most, l.inclusive)));
        }
        engine
    }

    /// The exact model, when it is one.
    pub fn closed_queue(&self) -> Option<ClosedQueue> {
        self.spec.closed_queue()
    }

    /// The exact model of the open kind, when it is one.
    pub fn open_queue(&self) -> Option<OpenQueue> {
        self.spec.open_queue()
    }

    /// Seconds between the rarest of the events that come now and then: pauses, outages, slow
    /// phases; `None` without any.
    pub fn events_every_s(&self) -> Option<f64> {
        let spec = &self.spec;
        let every = [
            spec.pauses.as_ref().map(|p| p.every),
            spec.outages.as_ref().map(|o| o.every),
            spec.neighbour.as_ref().map(|n| n.every),
        ];
        let seconds = every.iter().flatten().map(|e| e.duration().as_secs_f64());
        seconds.reduce(f64::max)
    }

    /// The system as it is when it starts: without what changes it with time.
    #[must_use]
    pub fn at_its_start(&self) -> Self {
        let mut system = self.clone();
        system.spec.drift = None;
        system.spec.leak = None;
        system
    }

    /// The system as it is in the long run: warm, and without what it had saved up at the start.
    /// Users of a token bucket start all at once: while they started at the pace it would save
    /// tokens for an hour.
    #[must_use]
    pub fn in_the_long_run(&self) -> Self {
        let mut system = self.clone();
        system.spec = self.spec.in_the_long_run();
        if system.spec.token_bucket.is_some() {
            return system.all_at_once();
        }
        system
    }

    /// The system with all the servers to which it may grow; `None` when it does not grow, or
    /// shrinks again.
    pub fn fully_grown(&self) -> Option<Self> {
        let mut system = self.clone();
        system.spec = self.spec.fully_grown()?;
        Some(system)
    }

    /// Whether a level keeps the servers so busy that the system grows to its end.
    pub fn grows_to_the_end_at(&self, level: Level) -> bool {
        self.spec.grows_to_the_end_at(level.get())
    }

    /// The system with this much more capacity, a fraction.
    #[must_use]
    pub fn with_more_capacity(&self, more: f64) -> Self {
        let mut system = self.clone();
        if more != 0.0 {
            system.spec = self.spec.with_capacity(1.0 + more);
        }
        system
    }

    /// The system as it meets a tool that starts all its users at once.
    #[must_use]
    pub fn all_at_once(&self) -> Self {
        let mut system = self.clone();
        system.pace_per_s = AT_ONCE_PER_S;
        system.spec.pace_per_s = AT_ONCE_PER_S;
        system
    }

    /// Everything that the truth depends on, as text: not the names, and not how long a search may
    /// take.
    ///
    /// # Panics
    /// Never: the file's structure has no keys that are no text.
    pub fn canonical(&self) -> String {
        let mut spec = self.spec.clone();
        spec.name.clear();
        spec.title.clear();
        spec.search = crate::engine::sim::SearchLimits::default();
        serde_json::to_string(&spec).expect("a structure of plain values")
    }
}

/// What surrounds a simulated system: a reset command, no monitors and no time of day.
#[derive(Debug, Clone)]
pub struct SimulatedEnvironment {
    reset: ResetHandle,
}

impl SimulatedEnvironment {
    /// The environment of an engine.
    pub fn of(engine: &SimEngine) -> Self {
        Self {
            reset: engine.reset_handle(),
        }
    }
}

impl RunEnvironment for SimulatedEnvironment {
    fn readings(&mut self) -> Vec<Reading> {
        Vec::new()
    }

    fn reset(&mut self) -> impl Future<Output = Result<(), String>> + Send + 'static {
        self.reset.reset();
        std::future::ready(Ok(()))
    }

    fn time_of_day(&self) -> String {
        "1970-01-01T00:00:00Z".to_owned()
    }
}
