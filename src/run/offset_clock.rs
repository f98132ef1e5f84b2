//! An engine whose time begins later: where that of a search ended that was cut off.

use std::time::Duration;

use crate::engine::{Canary, Engine, EngineInfo, Reply};
use crate::measure::{Level, LoadedAddress, Window};

/// An engine with its windows moved by a fixed time.
pub(super) struct OffsetClock<'a> {
    engine: &'a mut dyn Engine,
    by: Duration,
}

impl<'a> OffsetClock<'a> {
    pub(super) fn new(engine: &'a mut dyn Engine, by: Duration) -> Self {
        Self { engine, by }
    }
}

impl Engine for OffsetClock<'_> {
    fn describe(&self) -> EngineInfo {
        self.engine.describe()
    }

    fn set_level(&mut self, level: Level) -> Reply<'_, ()> {
        self.engine.set_level(level)
    }

    fn next_window(&mut self) -> Reply<'_, Window> {
        Box::pin(async move {
            let mut window = self.engine.next_window().await?;
            window.start += self.by;
            Ok(window)
        })
    }

    fn canary(&mut self) -> Reply<'_, Canary> {
        self.engine.canary()
    }

    fn halt(&mut self) -> Reply<'_, ()> {
        self.engine.halt()
    }

    fn addresses(&self) -> Vec<LoadedAddress> {
        self.engine.addresses()
    }

    fn notes(&self) -> Vec<String> {
        self.engine.notes()
    }
}
