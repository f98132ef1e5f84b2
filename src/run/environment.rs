//! What a run needs from the world around the engine.

use std::future::Future;

use crate::journal::Entry;
use crate::measure::{LogLine, Reading};

/// What is known of a target that answers for the first time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FirstContact {
    /// Whether this program brought it up just before.
    pub brought_up: bool,
    /// The command that shows one cycle with all that is said; `None` where none can.
    pub look: Option<String>,
}

/// What a run needs from the world around the engine.
pub trait RunEnvironment: Send {
    /// What the monitors read now; never blocks.
    fn readings(&mut self) -> Vec<Reading>;
    /// What the services logged since the last time; never blocks.
    fn lines(&mut self) -> Vec<LogLine> {
        Vec::new()
    }
    /// Puts the target back into its initial state. Runs beside the engine's clock.
    fn reset(&mut self) -> impl Future<Output = Result<(), String>> + Send + 'static;
    /// Puts a judged probe where a crash of this program does not reach it.
    ///
    /// # Errors
    /// Says why it could not; the run goes on without.
    fn keep(&mut self, _entry: &Entry) -> Result<(), String> {
        Ok(())
    }
    /// What is to be put behind the message that the target is not there: what brought it up has
    /// printed that.
    fn last_words(&self) -> String {
        String::new()
    }
    /// The time of day, RFC 3339 UTC.
    fn time_of_day(&self) -> String;
}

/// An environment without monitors, resets or time of day: that of a simulated engine.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullEnvironment;

impl RunEnvironment for NullEnvironment {
    fn readings(&mut self) -> Vec<Reading> {
        Vec::new()
    }

    fn reset(&mut self) -> impl Future<Output = Result<(), String>> + Send + 'static {
        std::future::ready(Ok(()))
    }

    fn time_of_day(&self) -> String {
        "1970-01-01T00:00:00Z".to_owned()
    }
}
