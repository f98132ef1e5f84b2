//! Whether the target is alive and well: cycles outside any measurement.

use std::time::Duration;

use super::Interrupt;
use crate::engine::{Canary, Engine, EngineError};
use crate::event::Event;

/// How long to wait for the target, and for what.
pub(super) struct Wait<'a> {
    /// Cycles that must pass in a row.
    pub(super) cycles: u32,
    /// How long that may take, in engine time.
    pub(super) limit: Duration,
    pub(super) interrupt: &'a Interrupt,
}

/// Waits until enough cycles in a row pass, up to a deadline; says why they did not. `now` is the engine's time, which goes on.
pub(super) async fn pass<E: Engine>(
    engine: &mut E,
    now: &mut Duration,
    wait: &Wait<'_>,
    sink: &mut (dyn FnMut(Event) + Send),
) -> Result<Result<(), String>, EngineError> {
    let mut passed = 0;
    let mut told = false;
    let mut spent = Duration::ZERO;
    loop {
        let why = match engine.canary().await? {
            Canary::Passed(_) => {
                passed += 1;
                if passed >= wait.cycles {
                    return Ok(Ok(()));
                }
                continue;
            }
            Canary::Shed => "it sheds even a single user".to_owned(),
            Canary::Failed(kind) => {
                format!("a single cycle fails with `{}`", kind.name())
            }
        };
        passed = 0;
        if spent >= wait.limit || wait.interrupt.is_set() {
            return Ok(Err(why));
        }
        if !std::mem::replace(&mut told, true) {
            sink(Event::Doing(format!("waiting for the target: {why}")));
        }
        let before = *now;
        let window = engine.next_window().await?;
        *now = window.start + window.span;
        spent += now.saturating_sub(before).max(Duration::from_millis(100));
    }
}
