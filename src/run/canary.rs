//! Whether the target is alive and well: cycles outside any measurement.

use std::time::Duration;

use super::{FirstContact, Interrupt};
use crate::engine::{Canary, Engine, EngineError};
use crate::event::Event;
use crate::measure::Failure;
use crate::units;

/// A cycle after a recovery may take so many times what one took before the search.
const TIMES_UNLOADED: u32 = 3;
/// Or so much longer, where cycles are so short that a hiccup is many of them.
const HICCUP: Duration = Duration::from_millis(100);

/// How often one who waits is told that it is still waited for.
const TELL_EVERY: Duration = Duration::from_secs(2);
/// How long a target that this program brought up may refuse a request for good: a proxy that is
/// there before the service behind it says 404 until that is there too. One that should run already
/// has no such time.
const PROXY_ALONE: Duration = Duration::from_secs(10);

/// Why a target is not well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unwell {
    /// In words.
    pub(super) why: String,
    /// Whether it answered at all.
    pub(super) answered: bool,
}

impl Unwell {
    fn new(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            answered: true,
        }
    }

    /// What a run says whose first contact it was.
    pub(super) fn of_first_contact(&self, contact: &FirstContact) -> String {
        let why = &self.why;
        let what = if self.answered {
            format!("the first request failed: {why}")
        } else {
            format!("the target does not answer: {why}")
        };
        match &contact.look {
            Some(look) => format!("{what}. To see the whole exchange: {look}"),
            None => what,
        }
    }
}

/// How long to wait for the target, and for what.
pub(super) struct Wait<'a> {
    /// Cycles that must pass in a row.
    pub(super) cycles: u32,
    /// What one of them took before the search; `None` while that is not known.
    pub(super) unloaded: Option<Duration>,
    /// How long that may take, in engine time.
    pub(super) limit: Duration,
    /// How long an answer that will not change is taken for one that may; `None` for as long as all
    /// others.
    pub(super) definite_after: Option<Duration>,
    pub(super) interrupt: &'a Interrupt,
}

/// How long a first contact may be refused for good.
pub(super) fn definite_after(contact: &FirstContact) -> Duration {
    if contact.brought_up {
        PROXY_ALONE
    } else {
        Duration::ZERO
    }
}

impl Wait<'_> {
    /// Whether it is of no use to wait on, after so long.
    fn is_over(&self, spent: Duration, failure: Option<&Failure>) -> bool {
        let definite = failure.is_some_and(Failure::is_definite);
        let limit = self.definite_after.filter(|_| definite);
        spent >= self.limit.min(limit.unwrap_or(self.limit)) || self.interrupt.is_set()
    }
    /// Why a cycle that passed in this time is not a good one.
    fn too_slow(&self, took: Duration) -> Option<String> {
        let unloaded = self.unloaded?;
        let limit = (unloaded * TIMES_UNLOADED).max(unloaded + HICCUP);
        let text = |time: Duration| units::format_seconds(time.as_secs_f64());
        (took > limit).then(|| {
            format!(
                "a single cycle takes {}, compared to {} before the search",
                text(took),
                text(unloaded)
            )
        })
    }
}

/// Waits until enough cycles in a row pass, up to a deadline, and gives the time of the slowest of
/// them, or says why they did not. `now` is the engine's time, which goes on.
pub(super) async fn pass(
    engine: &mut dyn Engine,
    now: &mut Duration,
    wait: &Wait<'_>,
    sink: &mut (dyn FnMut(Event) + Send),
) -> Result<Result<Option<Duration>, Unwell>, EngineError> {
    let mut passed = 0;
    let mut slowest = None;
    let mut last = LastMessage::default();
    let mut spent = Duration::ZERO;
    while passed < wait.cycles {
        let tried = tokio::select! {
            biased;
            () = wait.interrupt.wait() => {
                engine.halt().await?;
                return Ok(Err(Unwell::new("the wait was interrupted")));
            }
            tried = engine.canary() => tried?,
        };
        let (unwell, failure) = match tried {
            Canary::Passed(took) => match wait.too_slow(took) {
                None => {
                    passed += 1;
                    slowest = slowest.max(Some(took));
                    continue;
                }
                Some(why) => (Unwell::new(why), None),
            },
            Canary::Shed => (Unwell::new("it sheds even a single user"), None),
            Canary::Failed(failure) => {
                let (why, answered) = (failure.sentence(), failure.was_answered());
                (Unwell { why, answered }, Some(failure))
            }
        };
        (passed, slowest) = (0, None);
        if wait.is_over(spent, failure.as_deref()) {
            return Ok(Err(unwell));
        }
        if let Some(text) = last.due(spent, wait.limit, &unwell.why) {
            sink(Event::Doing(text));
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

/// What one who waits was told last.
#[derive(Debug, Default)]
struct LastMessage(Option<(Duration, String)>);

impl LastMessage {
    /// What to tell now: something new at once, the same now and then.
    fn due(&mut self, spent: Duration, limit: Duration, why: &str) -> Option<String> {
        let known = self.0.as_ref();
        if known.is_some_and(|(at, told)| told == why && spent < *at + TELL_EVERY) {
            return None;
        }
        self.0 = Some((spent, why.to_owned()));
        let text = |time: Duration| units::format_seconds(time.as_secs_f64());
        let so_far = if spent.is_zero() {
            format!("for at most {}", text(limit))
        } else {
            format!("{} of at most {}", text(spent), text(limit))
        };
        Some(format!("waiting for the target ({so_far}): {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{EngineInfo, Reply};
    use crate::measure::{Level, StepTable, Window};

    /// An engine whose target never answers.
    struct Hanging;

    impl Engine for Hanging {
        fn describe(&self) -> EngineInfo {
            EngineInfo::new("hanging", StepTable::of_requests([]))
        }

        fn set_level(&mut self, _: Level) -> Reply<'_, ()> {
            Box::pin(std::future::ready(Ok(())))
        }

        fn next_window(&mut self) -> Reply<'_, Window> {
            Box::pin(std::future::pending())
        }

        fn canary(&mut self) -> Reply<'_, Canary> {
            Box::pin(std::future::pending())
        }
    }

    #[tokio::test]
    async fn a_cycle_that_hangs_is_not_waited_for_when_the_user_wants_to_stop() {
        let interrupt = Interrupt::default();
        let wait = Wait {
            cycles: 1,
            unloaded: None,
            limit: Duration::from_secs(3600),
            definite_after: None,
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
    fn a_definite_refusal_is_waited_for_only_where_a_proxy_may_be_alone() {
        let interrupt = Interrupt::default();
        let refused = |status| Failure {
            status: Some(status),
            ..Failure::of(crate::measure::FailureKind::Status)
        };
        let wait = |definite_after| Wait {
            cycles: 3,
            unloaded: None,
            limit: Duration::from_secs(60),
            definite_after,
            interrupt: &interrupt,
        };
        let running = FirstContact::default();
        let brought_up = FirstContact {
            brought_up: true,
            look: None,
        };
        let s = Duration::from_secs;
        let is_over =
            |wait: &Wait<'_>, after, status| wait.is_over(s(after), Some(&refused(status)));
        assert!(is_over(&wait(Some(definite_after(&running))), 0, 404));
        assert!(!is_over(&wait(Some(definite_after(&running))), 0, 503));
        assert!(!is_over(&wait(Some(definite_after(&brought_up))), 9, 404));
        assert!(is_over(&wait(Some(definite_after(&brought_up))), 10, 404));
        assert!(!is_over(&wait(None), 59, 404), "after a reset");
        assert!(is_over(&wait(None), 60, 404));
    }

    #[test]
    fn who_waits_is_told_at_once_and_then_now_and_then() {
        let mut last = LastMessage::default();
        let mut due = |tenths, why| {
            last.due(
                Duration::from_millis(100_u64 * tenths),
                Duration::from_secs(10),
                why,
            )
        };
        assert_eq!(
            due(0, "a").as_deref(),
            Some("waiting for the target (for at most 10.00 s): a")
        );
        assert_eq!(due(10, "a"), None);
        assert!(due(11, "b").is_some(), "something new");
        assert_eq!(due(30, "b"), None);
        assert_eq!(
            due(31, "b").as_deref(),
            Some("waiting for the target (3.10 s of at most 10.00 s): b")
        );
    }

    #[test]
    fn a_cycle_is_slow_when_it_is_far_from_the_unloaded_one() {
        let too_slow = |unloaded_ms: Option<u64>, took_ms| {
            let interrupt = Interrupt::default();
            let wait = Wait {
                cycles: 3,
                unloaded: unloaded_ms.map(Duration::from_millis),
                limit: Duration::ZERO,
                definite_after: None,
                interrupt: &interrupt,
            };
            wait.too_slow(Duration::from_millis(took_ms))
        };
        assert_eq!(
            too_slow(Some(500), 3200).as_deref(),
            Some("a single cycle takes 3.20 s, compared to 500 ms before the search")
        );
        assert_eq!(too_slow(Some(500), 1500), None, "three times as long");
        assert!(too_slow(Some(500), 1501).is_some());
        assert_eq!(too_slow(Some(1), 101), None, "a hiccup");
        assert!(too_slow(Some(1), 102).is_some());
        assert_eq!(too_slow(None, 60_000), None, "nothing to compare with");
    }
}
