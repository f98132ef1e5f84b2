//! How k6 is brought to a level: one process whose VUs ask at the gate, or one process for each
//! level.

use tokio::sync::mpsc::UnboundedSender;

use super::K6Spec;
use super::gate::VuGate;
use super::points::Event;
use super::process::{self, Process};
use super::restart::{Launch, Lost, Restart};
use super::wrapper::Wrapper;
use crate::engine::EngineError;

/// Tags of k6's own that its points shall have.
const TAGS: &str = "name,status,error,error_code,expected_response,scenario,vu";

/// How k6 is driven.
#[derive(Debug)]
pub(super) enum Drive {
    Gate {
        gate: VuGate,
        k6: Process,
        /// Until k6 has read it.
        wrapper: Option<Wrapper>,
    },
    Restart(Restart),
}

impl Drive {
    /// One k6 for all levels.
    pub(super) async fn gate(
        spec: &K6Spec,
        events: UnboundedSender<Vec<Event>>,
    ) -> Result<Self, EngineError> {
        let gate = VuGate::open(&spec.functions, spec.pace_per_s, events.clone());
        let gate = gate
            .await
            .map_err(|e| EngineError::Start(format!("no local port for k6 to connect to: {e}")))?;
        let wrapper = Wrapper::write(spec, &gate.url()).map_err(|e| {
            EngineError::Unfit(format!(
                "cannot write next to {}, where the script that drives it must be: {e}; mode \
                 `restart` needs no such file",
                spec.script.display()
            ))
        })?;
        let mut arguments = arguments(spec);
        arguments.push(wrapper.path().display().to_string());
        let k6 = Process::start(&spec.binary, &arguments, &spec.hidden, None, events);
        let k6 = k6.map_err(|e| not_started(spec, &e.to_string()))?;
        Ok(Self::Gate {
            gate,
            k6,
            wrapper: Some(wrapper),
        })
    }

    /// One for each.
    pub(super) fn restart(spec: &K6Spec, events: UnboundedSender<Vec<Event>>) -> Self {
        let mut arguments = arguments(spec);
        arguments.push("-d".to_owned());
        arguments.push(format!("{}s", spec.longest.as_secs().max(1)));
        arguments.push(spec.script.display().to_string());
        Self::Restart(Restart::new(Launch {
            binary: spec.binary.clone(),
            arguments,
            hidden: spec.hidden.clone(),
            events,
        }))
    }

    pub(super) fn set_level(&self, level: u32) {
        match self {
            Self::Gate { gate, .. } => gate.set_level(level),
            Self::Restart(restart) => restart.set_level(level),
        }
    }

    /// Every function as often as the others; without the gate there is only one.
    pub(super) fn set_evenly(&self, evenly: bool) {
        if let Self::Gate { gate, .. } = self {
            gate.set_evenly(evenly);
        }
    }

    /// k6 has read it and made all its VUs of it: a run that is killed leaves no file behind.
    pub(super) fn forget_wrapper(&mut self) {
        if let Self::Gate { wrapper, .. } = self {
            *wrapper = None;
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            Self::Gate { k6, .. } => k6.pid,
            Self::Restart(restart) => restart.pid(),
        }
    }

    /// Waits until there is no k6 that should be there.
    pub(super) async fn lost(&mut self) -> EngineError {
        match self {
            Self::Gate { k6, .. } => ended(&k6.ended().await),
            Self::Restart(restart) => match restart.lost().await {
                Lost::Ended(how) => ended(&how),
                Lost::NotStarted(why) => EngineError::Start(format!("k6 did not start: {why}")),
            },
        }
    }

    pub(super) fn halt(&mut self) {
        match self {
            Self::Gate { k6, .. } => k6.end(),
            Self::Restart(restart) => restart.set_level(0),
        }
    }

    pub(super) async fn stop(mut self) {
        self.halt();
        match self {
            // The gate stays open until k6 is gone: nobody shall take its end for an accident.
            Self::Gate { gate, mut k6, .. } => {
                k6.ended().await;
                drop(gate);
            }
            Self::Restart(restart) => restart.stop().await,
        }
    }
}

/// What each `k6 run` is told.
pub(super) fn arguments(spec: &K6Spec) -> Vec<String> {
    let mut out: Vec<String> = ["run", "--quiet", "--no-thresholds"]
        .map(str::to_owned)
        .into();
    out.push(spec.version.no_summary().to_owned());
    // No REST interface: nobody but us tells it what to do, and two of them are not in each other's
    // way.
    let values = [
        ("--address", ""),
        ("--out", "json=-"),
        ("--system-tags", TAGS),
    ];
    let networks = (spec.blacklist.iter()).map(|network| ("--blacklist-ip", network.as_str()));
    for (flag, value) in values.into_iter().chain(networks) {
        out.extend([flag.to_owned(), value.to_owned()]);
    }
    out.extend(spec.arguments.iter().cloned());
    out
}

fn not_started(spec: &K6Spec, why: &str) -> EngineError {
    EngineError::Start(format!("{} did not start: {why}", spec.binary.display()))
}

fn ended(how: &process::Ended) -> EngineError {
    if how.is_unfit() {
        EngineError::Unfit(how.text())
    } else {
        EngineError::Stopped(how.text())
    }
}
