//! The engine that was chosen, whichever it is.

use super::k6::K6Engine;
use super::locust::LocustEngine;
use super::native::NativeEngine;
use super::{Canary, Engine, EngineError};
use crate::measure::{Level, LoadedAddress, Window};

/// One of the engines that load a real service.
pub enum AnyEngine {
    /// This program.
    Native(Box<NativeEngine>),
    /// A Locust cluster.
    Locust(Box<LocustEngine>),
    /// k6, with a script of the user's.
    K6(Box<K6Engine>),
}

impl AnyEngine {
    /// Ends the load.
    pub async fn stop(self) {
        match self {
            Self::Native(engine) => engine.stop().await,
            Self::Locust(engine) => engine.stop().await,
            Self::K6(engine) => engine.stop().await,
        }
    }
}

impl Engine for AnyEngine {
    async fn set_level(&mut self, level: Level) -> Result<(), EngineError> {
        match self {
            Self::Native(engine) => engine.set_level(level).await,
            Self::Locust(engine) => engine.set_level(level).await,
            Self::K6(engine) => engine.set_level(level).await,
        }
    }

    async fn next_window(&mut self) -> Result<Window, EngineError> {
        match self {
            Self::Native(engine) => engine.next_window().await,
            Self::Locust(engine) => engine.next_window().await,
            Self::K6(engine) => engine.next_window().await,
        }
    }

    async fn canary(&mut self) -> Result<Canary, EngineError> {
        match self {
            Self::Native(engine) => engine.canary().await,
            Self::Locust(engine) => engine.canary().await,
            Self::K6(engine) => engine.canary().await,
        }
    }

    async fn halt(&mut self) -> Result<(), EngineError> {
        match self {
            Self::Native(engine) => engine.halt().await,
            Self::Locust(engine) => engine.halt().await,
            Self::K6(engine) => engine.halt().await,
        }
    }

    fn addresses(&self) -> Vec<LoadedAddress> {
        match self {
            Self::Native(engine) => engine.addresses(),
            Self::Locust(_) | Self::K6(_) => Vec::new(),
        }
    }

    fn notes(&self) -> Vec<String> {
        match self {
            Self::Native(engine) => engine.notes(),
            Self::Locust(engine) => engine.notes(),
            Self::K6(engine) => engine.notes(),
        }
    }
}
