//! Whether the target is alive and well: cycles outside any measurement.

use std::time::Duration;

use super::Interrupt;
use crate::engine::{Canary, Engine, EngineError};
use crate::event::Event;
use crate::units;

/// A cycle after a recovery may take so many times what one took before the search.
const TIMES_UNLOADED: u32 = 3;
/// Or so much longer, where cycles are so short that a hiccup is many of them.
const HICCUP: Duration = Duration::from_millis(100);

/// How long to wait for the target, and for what.
pub(super) struct Wait<'a> {
    /// Cycles that must pass in a row.
    pub(super) cycles: u32,
    /// What one of them took before the search; `None` while that is not known.
    pub(super) unloaded: Option<Duration>,
    /// How long that may take, in engine time.
    pub(super) limit: Duration,
    pub(super) interrupt: &'a Interrupt,
}

impl Wait<'_> {
    /// Why a cycle that passed in this time is not a good one.
    fn too_slow(&self, took: Duration) -> Option<String> {
        let unloaded = self.unloaded?;
        let limit = (unloaded * TIMES_UNLOADED).max(unloaded + HICCUP);
        let text = |time: Duration| units::format_seconds(time.as_secs_f64());
        (took > limit).then(|| {
            format!(
                "a single cycle takes {}, {} before the search",
                text(took),
                text(unloaded)
            )
        })
    }
}

/// Waits until enough cycles in a row pass, up to a deadline, and gives the time of the slowest of them, or says why they did
/// not. `now` is the engine's time, which goes on.
pub(super) async fn pass<E: Engine>(
    engine: &mut E,
    now: &mut Duration,
    wait: &Wait<'_>,
    sink: &mut (dyn FnMut(Event) + Send),
) -> Result<Result<Option<Duration>, String>, EngineError> {
    let mut passed = 0;
    let mut slowest = None;
    let mut told = false;
    let mut spent = Duration::ZERO;
    while passed < wait.cycles {
        let tried = tokio::select! {
            biased;
            () = wait.interrupt.wait() => {
                engine.halt().await?;
                return Ok(Err("it was not waited for".to_owned()));
            }
            tried = engine.canary() => tried?,
        };
        let why = match tried {
            Canary::Passed(took) => match wait.too_slow(took) {
                None => {
                    passed += 1;
                    slowest = slowest.max(Some(took));
                    continue;
                }
                Some(why) => why,
            },
            Canary::Shed => "it sheds even a single user".to_owned(),
            Canary::Failed(kind) => {
                let why = engine
                    .why()
                    .map_or_else(String::new, |why| format!(": {why}"));
                format!("a single cycle fails with `{}`{why}", kind.name())
            }
        };
        (passed, slowest) = (0, None);
        if spent >= wait.limit || wait.interrupt.is_set() {
            return Ok(Err(why));
        }
        if !std::mem::replace(&mut told, true) {
            sink(Event::Doing(format!("waiting for the target: {why}")));
        }
        let before = *now;
        let window = tokio::select! {
            biased;
            () = wait.interrupt.wait() => continue,
            window = engine.next_window() => window?,
        };
        *now = window.start + window.span;
        spent += now.saturating_sub(before).max(Duration::from_millis(100));
    }
    Ok(Ok(slowest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{Level, Window};

    /// An engine whose target never answers.
    struct Hanging;

    impl Engine for Hanging {
        async fn set_level(&mut self, _: Level) -> Result<(), EngineError> {
            Ok(())
        }

        async fn next_window(&mut self) -> Result<Window, EngineError> {
            std::future::pending().await
        }

        async fn canary(&mut self) -> Result<Canary, EngineError> {
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn a_cycle_that_hangs_is_not_waited_for_when_the_user_wants_to_stop() {
        let interrupt = Interrupt::default();
        let wait = Wait {
            cycles: 1,
            unloaded: None,
            limit: Duration::from_secs(3600),
            interrupt: &interrupt,
        };
        let (mut engine, mut now) = (Hanging, Duration::ZERO);
        let mut sink = |_: Event| {};
        let passing = pass(&mut engine, &mut now, &wait, &mut sink);
        let stop = async {
            tokio::task::yield_now().await;
            interrupt.set();
        };
        let both = async { tokio::join!(passing, stop) };
        let (outcome, ()) = tokio::time::timeout(Duration::from_secs(20), both)
            .await
            .expect("it does not hang");
        assert!(outcome.unwrap().is_err());
    }

    #[test]
    fn a_cycle_is_slow_when_it_is_far_from_the_unloaded_one() {
        let too_slow = |unloaded_ms: Option<u64>, took_ms| {
            let interrupt = Interrupt::default();
            let wait = Wait {
                cycles: 3,
                unloaded: unloaded_ms.map(Duration::from_millis),
                limit: Duration::ZERO,
                interrupt: &interrupt,
            };
            wait.too_slow(Duration::from_millis(took_ms))
        };
        assert_eq!(
            too_slow(Some(500), 3200).as_deref(),
            Some("a single cycle takes 3.20 s, 500 ms before the search")
        );
        assert_eq!(too_slow(Some(500), 1500), None, "three times as long");
        assert!(too_slow(Some(500), 1501).is_some());
        assert_eq!(too_slow(Some(1), 101), None, "a hiccup");
        assert!(too_slow(Some(1), 102).is_some());
        assert_eq!(too_slow(None, 60_000), None, "nothing to compare with");
    }
}
