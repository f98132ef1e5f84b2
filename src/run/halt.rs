//! What ends a run from outside, at once: the user, a stop file, or a limit that must not be
//! passed.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;

use crate::engine::EngineError;
use crate::record::{Ending, RampEnding};
use crate::units;

/// Why a run ends before it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// Ctrl-C or SIGTERM.
    User,
    /// The file of `--stop-file` is there; its path.
    StopFile(String),
    /// A monitor reads what `--abort-if` names; which, and what.
    Condition(String),
    /// The machine that makes the load is at its end; how that shows.
    GeneratorHost(String),
    /// A feeder whose rows are used once each has none left; which, and the way out.
    UsedUp(String),
    /// The load itself ended it, as a script may; why.
    Load(String),
    /// The target's machine is; how that shows.
    TargetHost(String),
    /// The run takes longer than it may at most.
    TooLong(Duration),
}

impl Halt {
    /// How a search ends by it.
    pub fn ending(&self) -> Ending {
        match self {
            Self::User | Self::StopFile(_) => Ending::Interrupted,
            Self::GeneratorHost(_) => Ending::GeneratorLimited,
            Self::UsedUp(_) => Ending::DataUsedUp,
            Self::Condition(_) | Self::Load(_) | Self::TargetHost(_) | Self::TooLong(_) => {
                Ending::Aborted
            }
        }
    }

    /// How a ramp ends by it.
    pub fn ramp_ending(&self) -> RampEnding {
        match self {
            Self::User | Self::StopFile(_) => RampEnding::Interrupted,
            Self::GeneratorHost(_) => RampEnding::GeneratorLimited,
            Self::UsedUp(_) => RampEnding::DataUsedUp,
            Self::Condition(_) | Self::Load(_) | Self::TargetHost(_) | Self::TooLong(_) => {
                RampEnding::Aborted
            }
        }
    }

    /// One sentence for the reader.
    pub fn reason(&self) -> String {
        match self {
            Self::User => "interrupted by the user".to_owned(),
            Self::StopFile(path) => format!("stopped: the stop file {path} exists"),
            Self::Condition(met) => format!("stopped by abort-if {met}"),
            Self::GeneratorHost(how) => format!("emergency stop: this machine {how}"),
            Self::UsedUp(why) | Self::Load(why) => why.clone(),
            Self::TargetHost(how) => format!("emergency stop: the target's machine {how}"),
            Self::TooLong(limit) => format!(
                "stopped: the whole run took longer than {} (max-time)",
                units::format_seconds(limit.as_secs_f64())
            ),
        }
    }
}

/// How a run ends whose engine cannot go on, and why.
pub(super) fn of_error(error: &EngineError) -> (Ending, RampEnding, String) {
    let halt = match error {
        EngineError::UsedUp(which) => Halt::UsedUp(which.clone()),
        // A script that wants what it may not is no matter of the generator.
        EngineError::Aborted(why) | EngineError::NotAllowed(why) => Halt::Load(why.clone()),
        other => {
            let (search, ramp) = (Ending::GeneratorLimited, RampEnding::GeneratorLimited);
            return (search, ramp, other.to_string());
        }
    };
    (halt.ending(), halt.ramp_ending(), halt.reason())
}

/// Whether a run is to end, for loops that check and for waits that must be broken off. Only the
/// first reason counts.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<Flag>);

#[derive(Debug, Default)]
struct Flag {
    why: OnceLock<Halt>,
    told: Notify,
}

impl Interrupt {
    /// Asks the run to stop its load, finish its record and end, because the user wants that.
    pub fn set(&self) {
        self.halt(Halt::User);
    }

    /// Asks for it because of something else.
    pub fn halt(&self, why: Halt) {
        if self.0.why.set(why).is_ok() {
            self.0.told.notify_waiters();
        }
    }

    /// Whether it was asked.
    pub fn is_set(&self) -> bool {
        self.0.why.get().is_some()
    }

    /// Why, if it was asked.
    pub fn why(&self) -> Option<&Halt> {
        self.0.why.get()
    }

    /// Returns when it is asked.
    pub fn wait(&self) -> impl Future<Output = ()> + Send + use<> {
        let flag = Arc::clone(&self.0);
        async move {
            loop {
                let told = flag.told.notified();
                if flag.why.get().is_some() {
                    return;
                }
                told.await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_counts_and_wakes_all_who_wait_also_those_who_come_late() {
        let interrupt = Interrupt::default();
        let waiting = tokio::spawn(interrupt.wait());
        tokio::task::yield_now().await;
        assert!(!interrupt.is_set());
        interrupt.halt(Halt::StopFile("stop".to_owned()));
        interrupt.set();
        waiting.await.unwrap();
        interrupt.wait().await;
        assert_eq!(interrupt.why(), Some(&Halt::StopFile("stop".to_owned())));
    }

    #[test]
    fn who_asked_for_the_end_is_interrupted_and_a_limit_aborts() {
        let text = || "redis.memory>900MiB: 912 MiB".to_owned();
        for (halt, ending, ramp) in [
            (Halt::User, Ending::Interrupted, RampEnding::Interrupted),
            (
                Halt::StopFile(text()),
                Ending::Interrupted,
                RampEnding::Interrupted,
            ),
            (
                Halt::Condition(text()),
                Ending::Aborted,
                RampEnding::Aborted,
            ),
            (
                Halt::GeneratorHost(text()),
                Ending::GeneratorLimited,
                RampEnding::GeneratorLimited,
            ),
            (
                Halt::UsedUp(text()),
                Ending::DataUsedUp,
                RampEnding::DataUsedUp,
            ),
            (
                Halt::TargetHost(text()),
                Ending::Aborted,
                RampEnding::Aborted,
            ),
        ] {
            assert_eq!((halt.ending(), halt.ramp_ending()), (ending, ramp));
            let shown = halt == Halt::User || halt.reason().contains(&text());
            assert!(shown, "{}", halt.reason());
        }
        let too_long = Halt::TooLong(Duration::from_secs(3600));
        assert_eq!(too_long.ending(), Ending::Aborted);
        assert!(too_long.reason().contains("max-time"));
    }
}
