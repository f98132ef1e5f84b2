//! Load engines: levels in, windows out.
//!
//! An engine brings its own time: the native one real seconds, the simulated one virtual seconds. It knows nothing of
//! objectives, searches or reports.

use std::future::Future;

pub mod native;

use crate::measure::{Level, Window};

/// Why an engine cannot go on. A failed request is data in a [`Window`], not an error.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The engine's threads ended.
    #[error("the load engine stopped: {0}")]
    Stopped(String),
    /// The engine could not be set up.
    #[error("the load engine could not start: {0}")]
    Start(String),
}

/// Makes load at a level and reports what happened, window by window.
pub trait Engine: Send {
    /// Asks for a level. VUs move in and out at the engine's pace while the others go on; returns at once.
    fn set_level(&mut self, level: Level) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Waits until the current window ends and returns it.
    fn next_window(&mut self) -> impl Future<Output = Result<Window, EngineError>> + Send;
}
