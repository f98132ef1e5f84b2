//! Runs for which the machine had no time. They show nothing, so a test neither passes nor fails by them: it makes them again.

use breakpoint::record::{Ending, HoldEnd, RunRecord};

/// Times that a run is made before a test gives up, and fails.
const TRIES: usize = 3;

/// Why a run shows nothing.
pub(crate) struct Starved(pub(crate) String);

/// What the first of a few runs showed for which the machine had time.
#[track_caller]
pub(crate) fn repeated<T>(mut run: impl FnMut() -> Result<T, Starved>) -> T {
    let mut why = Vec::new();
    for _ in 0..TRIES {
        match run() {
            Ok(shown) => return shown,
            Err(Starved(reason)) => why.push(reason),
        }
    }
    panic!("the machine was too busy, {TRIES} times: {why:#?}");
}

/// Why a search whose target has a breakpoint shows nothing, if so.
pub(crate) fn starved(record: &RunRecord) -> Option<Starved> {
    let answer = &record.answer;
    let without_cpu = matches!(answer.ending, Ending::Undecided | Ending::GeneratorLimited);
    let invalid = || record.probes.iter().find(|p| p.end == HoldEnd::Invalid);
    if without_cpu {
        return Some(Starved(answer.reason.clone()));
    }
    invalid().map(|probe| Starved(probe.reason.clone()))
}
