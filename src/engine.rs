//! Load engines: levels in, windows out.
//!
//! An engine brings its own time: the native one real seconds, the simulated one virtual seconds.
//! It knows nothing of objectives, searches or reports.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::crypto::Trust;
use crate::k6::ScriptInfo;
use crate::measure::{Failure, FailureKind, Level, LoadedAddress, StepTable, Window};
use crate::plan::{EnginePlan, Plan};
use crate::scenario::{Addresses, Protocol, Resolve};

mod host;
pub mod k6;
pub mod locust;
pub mod native;
mod requests;
pub mod sim;
pub mod trace;

/// Why an engine cannot go on. A failed request is data in a [`Window`], not an error.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine's threads ended.
    #[error("the load engine stopped: {0}")]
    Stopped(String),
    /// The engine could not be set up.
    #[error("the load engine could not start: {0}")]
    Start(String),
    /// What the users are given, each row once, is used up: which, and the way out.
    #[error("{0}")]
    UsedUp(String),
    /// The load itself ends the run, as a script may: why.
    #[error("{0}")]
    Aborted(String),
    /// A script wants what it may not: what, and the way out.
    #[error("{0}")]
    NotAllowed(String),
    /// What it was given to drive cannot be driven so.
    #[error("{0}")]
    Unfit(String),
}

/// How one cycle outside any measurement went: whether the target is alive and well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Canary {
    /// The cycle passed in this time, think times left out.
    Passed(Duration),
    /// A step refused by design.
    Shed,
    /// A step failed.
    Failed(Box<Failure>),
}

impl Canary {
    /// How it failed, if it did.
    pub fn failed_with(&self) -> Option<FailureKind> {
        match self {
            Self::Failed(failure) => Some(failure.kind),
            Self::Passed(_) | Self::Shed => None,
        }
    }

    /// A step failed, and no more than the kind is known.
    pub fn failed(kind: FailureKind) -> Self {
        Self::Failed(Box::new(Failure::of(kind)))
    }
}

/// What an engine is and does, as far as it is known once it has started.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineInfo {
    /// What records call it.
    pub name: &'static str,
    /// What it measures, a row for each entry of its windows.
    pub steps: StepTable,
    /// Think time within what stands for a cycle, seconds.
    pub think_s: f64,
    /// What is loaded, where the engine's own files say it.
    pub target: String,
}

impl EngineInfo {
    /// Of one that does not think and loads what the plan says.
    pub fn new(name: &'static str, steps: StepTable) -> Self {
        Self {
            name,
            steps,
            think_s: 0.0,
            target: String::new(),
        }
    }
}

/// How connections are made.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Whom TLS connections trust; the system's certificates where nothing is said.
    pub trust: Option<Trust>,
    /// Addresses in place of what a name server would say.
    pub resolve: Resolve,
    /// Which of a name's addresses are loaded.
    pub addresses: Addresses,
    /// Which HTTP is spoken, and how many share a connection.
    pub protocol: Protocol,
}

/// An engine that makes load from now on.
pub struct Started {
    /// The engine, at level 0.
    pub engine: Box<dyn Engine>,
    /// What a reader must know before anything is measured.
    pub warnings: Vec<String>,
}

/// What an engine is started for.
pub struct Order<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Whether the level moves while it is measured.
    pub climbs: bool,
    /// What VUs do, for an engine that runs the scenarios of the profile.
    pub work: Option<native::Work>,
    /// How connections to the target are made.
    pub network: &'a Network,
    /// Ready when the user stops it before it has started.
    pub stopped: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
}

/// Starts the engine of a plan: a line for each.
///
/// # Errors
/// When it cannot be started, or what it drives cannot be driven so.
pub fn start(order: Order<'_>) -> Reply<'_, Started> {
    match &order.plan.engine {
        EnginePlan::Native(_) => Box::pin(std::future::ready(native::start(order))),
        EnginePlan::Script(own) => Box::pin(native::script::start(own, order)),
        EnginePlan::Locust(own) => Box::pin(locust::start(own, order)),
        EnginePlan::K6(own) => Box::pin(k6::start(own, order)),
    }
}

/// Asks what the script of a plan says, before there is a plan of the run; `None` where there is
/// none. `crc32` is that of its text.
///
/// # Errors
/// Says why it cannot be run.
pub fn inspect(engine: &EnginePlan, crc32: u32) -> Result<Option<ScriptInfo>, String> {
    match engine {
        EnginePlan::Native(_) | EnginePlan::Locust(_) => Ok(None),
        EnginePlan::Script(own) => native::script::inspect(own).map(Some),
        EnginePlan::K6(own) => native::script::inspect_for_k6(own, crc32).map(Some),
    }
}

/// Runs one cycle of a VU of the plan's own files, and tells of it line by line.
///
/// # Errors
/// When the engine has none that can be shown, or it cannot be run.
pub fn one_cycle(order: Order<'_>, vu: u32, trace: trace::Trace) -> Reply<'_, Canary> {
    match &order.plan.engine {
        EnginePlan::Script(own) => Box::pin(native::script::one(own, order, vu, trace)),
        EnginePlan::Native(_) | EnginePlan::Locust(_) | EnginePlan::K6(_) => {
            let why = "the cycles of this engine are not its own".to_owned();
            Box::pin(std::future::ready(Err(EngineError::Unfit(why))))
        }
    }
}

/// What an engine is asked for, when it has it.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, EngineError>> + Send + 'a>>;

/// When an engine has ended.
pub type Ended = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Makes load at a level and reports what happened, window by window.
///
/// It is asked a few times per second, so a box for each answer costs nothing, and the loop is the
/// same code for all.
pub trait Engine: Send {
    /// What it is and does. Names of requests may come up while the load runs.
    fn describe(&self) -> EngineInfo;

    /// Asks for a level. VUs move in and out at the engine's pace while the others go on; returns
    /// at once.
    fn set_level(&mut self, level: Level) -> Reply<'_, ()>;

    /// Waits until the current window ends and returns it.
    fn next_window(&mut self) -> Reply<'_, Window>;

    /// Runs one cycle without think times by a VU of its own and says how it went. It is counted in
    /// no window.
    fn canary(&mut self) -> Reply<'_, Canary>;

    /// Ends the load at once: nobody is given time to finish what he has begun. For a run that ends
    /// before it is done.
    fn halt(&mut self) -> Reply<'_, ()> {
        self.set_level(Level::ZERO)
    }

    /// Ends the load and all that makes it.
    fn stop(self: Box<Self>) -> Ended {
        Box::pin(std::future::ready(()))
    }

    /// Where the names of the target led, and how much of the load went there.
    fn addresses(&self) -> Vec<LoadedAddress> {
        Vec::new()
    }

    /// What a reader of the results must know of how they were measured, in the end.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}
