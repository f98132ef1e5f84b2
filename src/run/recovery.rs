//! What happens between probes: the load stops, the target drains, is reset, and must be well
//! before it is loaded again.

use std::time::Duration;

use super::{Run, RunEnvironment, canary};
use crate::engine::{Engine, EngineError};
use crate::event::Event;
use crate::measure::Level;

impl<S: RunEnvironment> Run<'_, S> {
    /// Whether a part of the target is down that a reset would bring back: the SLO may hold without
    /// it, but what is measured then is another service.
    pub(super) fn is_dead(&mut self) -> bool {
        let revived = &self.spec.revived;
        let mut readings = self.surroundings.readings().into_iter();
        readings.any(|r| r.field == "up" && r.value == Some(0.0) && revived.contains(&r.monitor))
    }

    /// Drains the target, resets it and waits until it is well again.
    pub(super) async fn recover(&mut self) -> Result<Result<(), String>, EngineError> {
        let began = self.now;
        (self.sink)(Event::Doing("draining and resetting the target".to_owned()));
        self.drain().await?;
        let reset = tokio::spawn(self.surroundings.reset());
        while !reset.is_finished() {
            pass_window(&mut *self.engine, &mut self.now).await?;
            // An engine in virtual time never waits: let the reset have its turn.
            tokio::task::yield_now().await;
        }
        let outcome = reset.await;
        let well = match outcome {
            Ok(Ok(())) => {
                let well = self.canaries(self.spec.canary_timeout, None).await?;
                well.map(drop).map_err(|unwell| unwell.why)
            }
            Ok(Err(why)) => Err(why),
            Err(panic) => Err(panic.to_string()),
        };
        self.search
            .add_cost(self.now.saturating_sub(began).as_secs_f64());
        Ok(well)
    }

    /// Stops the load and waits until nothing is in flight and the monitors read what the profile
    /// asks of a target that has drained, up to a deadline.
    pub(super) async fn drain(&mut self) -> Result<(), EngineError> {
        self.engine.set_level(Level::ZERO).await?;
        self.level = Level::ZERO;
        let deadline = self.now + self.spec.drain_timeout;
        while !self.interrupt.is_set() {
            let idle = tokio::select! {
                biased;
                () = self.interrupt.wait() => {
                    self.engine.halt().await?;
                    break;
                }
                vus = pass_window(&mut *self.engine, &mut self.now) => vus? == 0,
            };
            if self.now >= deadline {
                self.tell_if_not_drained();
                break;
            }
            if idle && self.unmet().is_none() {
                break;
            }
        }
        Ok(())
    }

    /// What the monitors do not read yet of a target that has drained.
    fn unmet(&mut self) -> Option<String> {
        let readings = self.surroundings.readings();
        self.spec.drained_when.unmet(&readings)
    }

    /// Says once in a run that the target had not drained at the deadline, and why.
    fn tell_if_not_drained(&mut self) {
        let Some(why) = self.unmet().filter(|_| !self.told_not_drained) else {
            return;
        };
        self.told_not_drained = true;
        let warning = format!(
            "the target did not drain within {} s: {why}; leftover work may affect the next probe. \
             Raise `drain-timeout`, or add a `reset` that clears it",
            self.spec.drain_timeout.as_secs_f64()
        );
        (self.sink)(Event::Note(warning.clone()));
        self.warnings.push(warning);
    }

    /// Waits until enough cycles in a row pass, up to a deadline; after a recovery they must be
    /// about as fast as those before the search, whose slowest this gives.
    pub(super) async fn canaries(
        &mut self,
        limit: Duration,
        definite_after: Option<Duration>,
    ) -> Result<Result<Option<Duration>, canary::Unwell>, EngineError> {
        let wait = canary::Wait {
            cycles: self.spec.canary_cycles,
            unloaded: self.unloaded,
            limit,
            definite_after,
            interrupt: self.interrupt,
        };
        canary::pass(&mut *self.engine, &mut self.now, &wait, &mut *self.sink).await
    }
}

/// Lets a window pass outside any probe; returns the VUs that still run.
async fn pass_window(engine: &mut dyn Engine, now: &mut Duration) -> Result<u32, EngineError> {
    let window = engine.next_window().await?;
    *now = window.start + window.span;
    Ok(window.vus)
}
