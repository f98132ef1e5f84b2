//! Runs for which the machine had no time. They show nothing, so a test neither passes nor fails by
//! them: it makes them again.

use std::process::Output;

use breakpoint::exit::Exit;
use breakpoint::record::{Ending, HoldEnd, RampEnding, RampRecord, RunRecord};

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

/// Why a search whose target has a breakpoint, or none, shows nothing, if so.
pub(crate) fn without_answer(record: &RunRecord) -> Option<Starved> {
    let answer = &record.answer;
    let without = matches!(answer.ending, Ending::Undecided | Ending::GeneratorLimited);
    without.then(|| Starved(answer.reason.clone()))
}

/// The same where every probe counts.
pub(crate) fn starved(record: &RunRecord) -> Option<Starved> {
    let mut probes = record.probes.iter();
    let invalid = probes.find(|p| p.end == HoldEnd::Invalid);
    without_answer(record).or(invalid.map(|p| Starved(p.reason.clone())))
}

/// Why a ramp shows nothing, if so.
pub(crate) fn starved_ramp(record: &RampRecord) -> Option<Starved> {
    let limited = record.ending == RampEnding::GeneratorLimited;
    limited.then(|| Starved(record.reason.clone()))
}

/// What the program said, of a run that has an answer where the machine has time for it.
pub(crate) fn answered(output: Output) -> Result<Output, Starved> {
    let without = [Exit::Undecided, Exit::HostLimit].map(|exit| Some(i32::from(exit.code())));
    if without.contains(&output.status.code()) {
        let said = [output.stdout, output.stderr].concat();
        return Err(Starved(String::from_utf8_lossy(&said).into_owned()));
    }
    Ok(output)
}
