//! What one thread's VUs did since the last window was cut. Counting takes no lock: the recorder
//! never leaves its thread.

use std::time::Duration;

use hdrhistogram::Histogram as Hdr;

use super::watch::Lateness;
use crate::measure::{
    Exchange, FailureCounts, FailureKind, FailureWay, FailureWays, Histogram, MOST_EXCHANGES,
    MOST_WAYS, StepWindow,
};

/// How a measured step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Completed(Duration),
    Failed(FailureKind),
    Shed,
}

/// Whole exchanges of one way of failing that a thread tells of in a run.
const ALIKE: usize = 2;

/// One way of failing, as it is recognised before any of its words are made fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    pub(super) step: usize,
    pub(super) kind: FailureKind,
    pub(super) status: Option<u16>,
    pub(super) message: String,
}

/// What is wanted of a failure that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Its words, for all of its way in this window.
    pub(super) words: bool,
    /// The whole exchange.
    pub(super) exchange: bool,
}

struct StepRecorder {
    latency: Hdr<u64>,
    in_flight: Hdr<u64>,
    failed: FailureCounts,
    shed: u64,
    /// How the failed did so, and what is shown of it once it is known.
    ways: Vec<(Way, FailureWay)>,
    exchanges: Vec<Exchange>,
}

pub(super) struct Recorder {
    steps: Vec<StepRecorder>,
    /// What exchanges this thread told of in this run.
    told: Vec<Way>,
    woke: Hdr<u64>,
    read: Hdr<u64>,
}

impl Recorder {
    pub(super) fn new(steps: usize) -> Self {
        let step = || StepRecorder {
            latency: Histogram::recorder(),
            in_flight: Histogram::recorder(),
            failed: FailureCounts::default(),
            shed: 0,
            ways: Vec::new(),
            exchanges: Vec::new(),
        };
        Self {
            told: Vec::new(),
            steps: (0..steps).map(|_| step()).collect(),
            woke: Histogram::recorder(),
            read: Histogram::recorder(),
        }
    }

    pub(super) fn count(&mut self, step: usize, ending: Ending) {
        let step = &mut self.steps[step];
        match ending {
            Ending::Completed(latency) => Histogram::record_into(&mut step.latency, latency),
            Ending::Failed(kind) => step.failed.add(kind),
            Ending::Shed => step.shed += 1,
        }
    }

    /// Counts so many passes at once, of something that takes no time.
    pub(super) fn count_many(&mut self, step: usize, passes: u64) {
        self.steps[step].latency.saturating_record_n(1, passes);
    }

    /// Counts one way in which a step failed, and says what is wanted of it.
    pub(super) fn failed(&mut self, way: &Way) -> Wanted {
        let ways = &mut self.steps[way.step].ways;
        // One row more takes all that are not told apart.
        let known = ways.iter().position(|(known, _)| known == way);
        let words = known.is_none() && ways.len() < MOST_WAYS;
        match known {
            Some(at) => ways[at].1.count += 1,
            None => ways.push((
                way.clone(),
                FailureWay {
                    count: 1,
                    kind: way.kind,
                    status: way.status,
                    message: String::new(),
                    request: None,
                    excerpt: String::new(),
                },
            )),
        }
        if known.is_none() && !words {
            self.fold_last(way.step);
        }
        let alike = self.told.iter().filter(|told| *told == way).count();
        Wanted {
            words,
            exchange: alike < ALIKE && self.told.len() < MOST_EXCHANGES,
        }
    }

    /// Counts the last way of a step with all those that are not told apart.
    fn fold_last(&mut self, step: usize) {
        let ways = &mut self.steps[step].ways;
        let Some((mut way, mut shown)) = ways.pop() else {
            return;
        };
        (way.status, way.message) = (None, FailureWays::OTHERS.to_owned());
        (shown.status, shown.message) = (None, FailureWays::OTHERS.to_owned());
        match ways.iter_mut().find(|(known, _)| *known == way) {
            Some((_, known)) => known.count += shown.count,
            None => ways.push((way, shown)),
        }
    }

    /// Keeps the words of a way that was just counted.
    pub(super) fn describe(&mut self, way: &Way, words: impl FnOnce(&mut FailureWay)) {
        let ways = &mut self.steps[way.step].ways;
        if let Some((_, shown)) = ways.iter_mut().find(|(known, _)| known == way) {
            words(shown);
        }
    }

    /// Keeps a whole exchange.
    pub(super) fn keep(&mut self, way: &Way, exchange: Exchange) {
        self.told.push(way.clone());
        self.steps[way.step].exchanges.push(exchange);
    }

    /// Counts how late a VU, or the thread's own tick, woke.
    pub(super) fn lag(&mut self, late: Duration) {
        Histogram::record_into(&mut self.woke, late);
    }

    /// Counts how long an answer lay in the kernel before it was read.
    pub(super) fn read_late(&mut self, late: Duration) {
        Histogram::record_into(&mut self.read, late);
    }

    /// Counts the age of a step that is in flight while a window is cut.
    pub(super) fn in_flight(&mut self, step: usize, age: Duration) {
        Histogram::record_into(&mut self.steps[step].in_flight, age);
    }

    /// Takes what was counted and begins anew.
    pub(super) fn cut(&mut self) -> (Vec<StepWindow>, Lateness) {
        let steps = self
            .steps
            .iter_mut()
            .map(|s| StepWindow {
                latency: Histogram::drain(&mut s.latency),
                failed: std::mem::take(&mut s.failed),
                shed: std::mem::take(&mut s.shed),
                in_flight: Histogram::drain(&mut s.in_flight),
                bounds: None,
                ways: ways(std::mem::take(&mut s.ways)),
                exchanges: std::mem::take(&mut s.exchanges),
            })
            .collect();
        let lateness = Lateness {
            woke: Histogram::drain(&mut self.woke),
            read: Histogram::drain(&mut self.read),
        };
        (steps, lateness)
    }
}

/// As they are shown: two that were told apart may look the same without their secrets.
fn ways(counted: Vec<(Way, FailureWay)>) -> FailureWays {
    let mut ways = FailureWays::default();
    for (_, way) in counted {
        ways.add(way);
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(message: &str) -> Way {
        Way {
            step: 0,
            kind: FailureKind::Status,
            status: Some(500),
            message: message.to_owned(),
        }
    }

    #[test]
    fn a_server_with_ever_new_words_takes_no_more_memory() {
        let mut recorder = Recorder::new(1);
        let mut words = 0;
        for n in 0..5_000 {
            let way = way(&format!("random {n}"));
            let wanted = recorder.failed(&way);
            words += usize::from(wanted.words);
            if wanted.exchange {
                let text = "> GET /".to_owned();
                let step = "request".to_owned();
                recorder.keep(
                    &way,
                    Exchange {
                        step,
                        kind: way.kind,
                        status: way.status,
                        text,
                    },
                );
            }
        }
        assert_eq!(words, MOST_WAYS);
        let (steps, _) = recorder.cut();
        assert_eq!(steps[0].exchanges.len(), MOST_EXCHANGES);
        let all: u64 = steps[0].ways.iter().map(|w| w.count).sum();
        assert_eq!(all, 5_000, "none is lost");
        assert!(steps[0].ways.iter().count() <= MOST_WAYS + 1);
        assert!(
            !recorder.failed(&way("another")).exchange,
            "that was all for this run"
        );
    }

    #[test]
    fn the_words_of_a_way_are_asked_for_once_a_window() {
        let mut recorder = Recorder::new(1);
        let both = Wanted {
            words: true,
            exchange: true,
        };
        assert_eq!(recorder.failed(&way("a")), both);
        recorder.describe(&way("a"), |shown| "masked".clone_into(&mut shown.message));
        assert!(!recorder.failed(&way("a")).words);
        let (steps, _) = recorder.cut();
        let most = steps[0].ways.most(3);
        assert_eq!((most[0].count, most[0].message.as_str()), (2, "masked"));
        assert!(recorder.failed(&way("a")).words, "a new window");
    }
}
