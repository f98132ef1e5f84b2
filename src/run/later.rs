//! An engine whose time begins later: where that of a search ended that was cut off.

use std::time::Duration;

use crate::engine::{Canary, Engine, EngineError};
use crate::measure::{Level, LoadedAddress, Window};

/// An engine with its windows moved by a fixed time.
pub(super) struct Later<'a, E> {
    engine: &'a mut E,
    by: Duration,
}

impl<'a, E> Later<'a, E> {
    pub(super) fn new(engine: &'a mut E, by: Duration) -> Self {
        Self { engine, by }
    }
}

impl<E: Engine> Engine for Later<'_, E> {
    async fn set_level(&mut self, level: Level) -> Result<(), EngineError> {
        self.engine.set_level(level).await
    }

    async fn next_window(&mut self) -> Result<Window, EngineError> {
        let mut window = self.engine.next_window().await?;
        window.start += self.by;
        Ok(window)
    }

    async fn canary(&mut self) -> Result<Canary, EngineError> {
        self.engine.canary().await
    }

    async fn halt(&mut self) -> Result<(), EngineError> {
        self.engine.halt().await
    }

    fn addresses(&self) -> Vec<LoadedAddress> {
        self.engine.addresses()
    }

    fn notes(&self) -> Vec<String> {
        self.engine.notes()
    }
}
