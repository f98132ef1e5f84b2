//! How k6 is brought to a level: one process, whose VUs ask at the gate.

use tokio::sync::mpsc::UnboundedSender;

use super::K6Spec;
use super::gate::VuGate;
use super::points::Event;
use super::process::{self, Process};
use super::wrapper::Wrapper;
use crate::engine::EngineError;

/// Tags of k6's own that its points shall have.
const TAGS: &str = "name,status,error,error_code,expected_response,scenario,vu,service,method,url";

/// A k6 that runs, and where its VUs ask.
#[derive(Debug)]
pub(super) struct Drive {
    gate: VuGate,
    k6: Process,
    /// Until k6 has read it.
    wrapper: Option<Wrapper>,
}

impl Drive {
    /// Starts k6.
    ///
    /// # Errors
    /// When it cannot be started, or the script that drives it cannot be written.
    pub(super) async fn start(
        spec: &K6Spec,
        events: UnboundedSender<Vec<Event>>,
    ) -> Result<Self, EngineError> {
        let gate = VuGate::open(&spec.functions, spec.pace_per_s, events.clone());
        let gate = gate
            .await
            .map_err(|e| EngineError::Start(format!("no local port for k6 to connect to: {e}")))?;
        let wrapper = Wrapper::write(spec, &gate.url()).map_err(|e| {
            EngineError::Unfit(format!(
                "cannot write next to {}, where the script that drives it must be: {e}; move the \
                 script to a folder that can be written",
                spec.script.display()
            ))
        })?;
        let mut arguments = arguments(spec);
        arguments.push(wrapper.path().display().to_string());
        let k6 = Process::start(&spec.binary, &arguments, &spec.hidden, events).map_err(|e| {
            EngineError::Start(format!("{} did not start: {e}", spec.binary.display()))
        })?;
        Ok(Self {
            gate,
            k6,
            wrapper: Some(wrapper),
        })
    }

    pub(super) fn set_level(&self, level: u32) {
        self.gate.set_level(level);
    }

    /// Every function as often as the others, or by their weights.
    pub(super) fn set_evenly(&self, evenly: bool) {
        self.gate.set_evenly(evenly);
    }

    /// k6 has read it and made all its VUs of it: a run that is killed leaves no file behind.
    pub(super) fn forget_wrapper(&mut self) {
        self.wrapper = None;
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.k6.pid
    }

    /// Waits until there is no k6 that should be there.
    pub(super) async fn lost(&mut self) -> EngineError {
        let how: process::Ended = self.k6.ended().await;
        if how.is_unfit() {
            EngineError::Unfit(how.text())
        } else {
            EngineError::Stopped(how.text())
        }
    }

    pub(super) fn halt(&mut self) {
        self.k6.end();
    }

    pub(super) async fn stop(mut self) {
        self.halt();
        // The gate stays open until k6 is gone: nobody shall take its end for an accident.
        self.k6.ended().await;
        drop(self.gate);
    }
}

/// What `k6 run` is told.
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
