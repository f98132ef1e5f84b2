//! Load engines: levels in, windows out.
//!
//! An engine brings its own time: the native one real seconds, the simulated one virtual seconds. It knows nothing of
//! objectives, searches or reports.

use std::future::Future;
use std::time::Duration;

use crate::measure::{Failure, FailureKind, Level, LoadedAddress, Window};

pub mod any;
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

/// Makes load at a level and reports what happened, window by window.
pub trait Engine: Send {
    /// Asks for a level. VUs move in and out at the engine's pace while the others go on; returns at once.
    fn set_level(&mut self, level: Level) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Waits until the current window ends and returns it.
    fn next_window(&mut self) -> impl Future<Output = Result<Window, EngineError>> + Send;

    /// Runs one cycle without think times by a VU of its own and says how it went. It is counted in no window.
    fn canary(&mut self) -> impl Future<Output = Result<Canary, EngineError>> + Send;

    /// Ends the load at once: nobody is given time to finish what he has begun. For a run that ends before it is done.
    fn halt(&mut self) -> impl Future<Output = Result<(), EngineError>> + Send {
        self.set_level(Level::ZERO)
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
