//! k6 as the load engine: it runs the user's own script, and levels are its VUs.

pub mod tool;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use super::{Canary, Engine, EngineError};
use crate::measure::{Level, StepNames, Window};

pub use crate::k6::Mode as K6Mode;

/// Which script, and how it is driven.
#[derive(Debug, Clone)]
pub struct K6Spec {
    /// The k6 program.
    pub binary: PathBuf,
    /// The user's script.
    pub script: PathBuf,
    /// How the level is set.
    pub mode: K6Mode,
    /// Exported functions and their weights; `default` alone where there is no other wish.
    pub functions: Vec<(String, f64)>,
    /// Further arguments of `k6 run`, such as `-e` and `A=B`.
    pub arguments: Vec<String>,
    /// Networks (CIDR) that k6 shall not connect to.
    pub blacklist: Vec<String>,
    /// VUs started or stopped per second.
    pub pace_per_s: f64,
    /// Names of requests that objectives ask for.
    pub names: Vec<String>,
    /// VUs of the look around before the run, which finds the names of the requests.
    pub look_vus: u32,
    /// The most VUs of the run.
    pub max_vus: u32,
    /// Whether the level moves while it is measured.
    pub climbs: bool,
    /// How long the whole run may take at most.
    pub longest: Duration,
    /// Options of the script that decide on the load, and are left out for that (`stages`, `rps`).
    pub left_out: Vec<String>,
}

/// A k6 that is driven.
#[derive(Debug)]
pub struct K6Engine {
    spec: K6Spec,
}

impl K6Engine {
    /// Starts k6 and looks around with a few VUs: what the requests are called, and how long the script thinks. When the user stops
    /// that, which is when `told` is ready, k6 is ended.
    ///
    /// # Errors
    /// When there is no k6, the script fails or cannot be driven so, or its target is not allowed.
    pub async fn start(spec: K6Spec, told: impl Future<Output = ()>) -> Result<Self, EngineError> {
        let _ = told;
        let _ = spec;
        Err(EngineError::Start("k6 cannot be driven yet".to_owned()))
    }

    /// The names of the requests.
    pub fn steps(&self) -> StepNames {
        StepNames::of_requests(Vec::new())
    }

    /// Mean time that a VU lets pass between two requests, seconds.
    pub fn think_s(&self) -> f64 {
        0.0
    }

    /// What the record calls it.
    pub fn name(&self) -> &'static str {
        self.spec.mode.engine()
    }

    /// The script.
    pub fn target(&self) -> String {
        self.spec.script.display().to_string()
    }

    /// What a reader must know before anything is measured.
    pub fn warnings(&self) -> Vec<String> {
        Vec::new()
    }

    /// Ends k6.
    pub async fn stop(self) {}
}

impl Engine for K6Engine {
    async fn set_level(&mut self, _level: Level) -> Result<(), EngineError> {
        Ok(())
    }

    async fn next_window(&mut self) -> Result<Window, EngineError> {
        Err(EngineError::Stopped("k6 cannot be driven yet".to_owned()))
    }

    async fn canary(&mut self) -> Result<Canary, EngineError> {
        Err(EngineError::Stopped("k6 cannot be driven yet".to_owned()))
    }
}
