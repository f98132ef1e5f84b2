//! One twin, searched by the program, and what is made of its answer.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use breakpoint::record::{Ending, NoticedKind, RunRecord};
use breakpoint::report;
use tempfile::TempDir;

use super::server::Server;
use super::twin::{Facts, Silence, Truth};

/// Searches a twin with the program: its record, and what it said.
///
/// # Panics
/// When it leaves no record; with what it said.
pub(crate) fn search(facts: &Facts) -> (RunRecord, String) {
    let server = Server::start(facts.limit, facts.work);
    run(&profile(facts, &format!("http://{}", server.address)))
}

/// Runs the program with a profile: its record, and what it said.
///
/// # Panics
/// As [`search`].
pub(crate) fn run(text: &str) -> (RunRecord, String) {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("twin.toml"), text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_breakpoint"))
        .args(["find", "twin.toml", "--no-reference-holds", "--out", "out"])
        .current_dir(dir.path())
        .env("XDG_STATE_HOME", dir.path())
        .env("CI", "true")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let folder = only_folder(dir.path().join("out"));
    let file = folder.and_then(only_folder).map(|f| f.join("result.json"));
    let bytes = file.and_then(|file| fs::read(file).ok());
    let record = report::read(&bytes.expect(&said)).expect(&said);
    (record, said)
}

fn profile(facts: &Facts, url: &str) -> String {
    let Facts {
        name,
        slo,
        think,
        budget,
        rate,
        canaries,
        ..
    } = facts;
    let think = think.map_or(String::new(), |think| {
        format!("[[scenario.steps]]\nthink = {think}\n")
    });
    let rate = rate.map_or(String::new(), |rate| format!("rate = \"{rate}\"\n"));
    format!(
        "name = \"{name}\"\nslo = [\"{slo}\"]\n[target]\nurl = \"{url}\"\ncanary-cycles = {canaries}\n[[scenario.steps]]\nname = \"ask\"\nget = \"/\"\n{think}\
         [search]\nbudget = \"{budget}\"\n{rate}"
    )
}

fn only_folder(dir: PathBuf) -> Option<PathBuf> {
    let mut entries = fs::read_dir(dir).ok()?.flatten();
    entries.next().map(|e| e.path())
}

/// The answer beside the truth.
pub(crate) fn told(facts: &Facts, truth: Truth, record: &RunRecord) -> String {
    let answer = &record.answer;
    let (low, high) = (answer.ci_low, answer.ci_high);
    let ends = |end: Option<u32>| end.map_or("-".to_owned(), |n| n.to_string());
    let width = answer
        .precision_reached
        .map_or("-".to_owned(), |p| format!("{:.1} %", p * 100.0));
    let mut text = format!(
        "{}: {}, {} ({} to {}, +-{width}) in {:.0} s; truth {} to {}\n  reason: {}\n",
        facts.name,
        answer.ending.name(),
        ends(answer.breakpoint),
        ends(low),
        ends(high),
        answer.search_s,
        truth.low,
        truth.high,
        answer.reason,
    );
    for noticed in &answer.noticed {
        writeln!(
            text,
            "  noticed: {}: {}",
            noticed.kind.label(),
            noticed.text
        )
        .unwrap();
    }
    if let Some(unseen) = &answer.unseen {
        writeln!(text, "  unseen: {unseen}").unwrap();
    }
    text
}

/// Whether the answer is one that the twin allows.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(facts: &Facts, truth: Truth, record: &RunRecord) -> Result<(), String> {
    let answer = &record.answer;
    match (answer.ending, facts.silence) {
        (Ending::Found | Ending::Bracketed, _) => {}
        (Ending::Undecided, Silence::Undecided) => return Ok(()),
        (Ending::Undecided, Silence::AfterGrowth) if grew(record) => return Ok(()),
        (ending, _) => return Err(format!("{}: {}", ending.name(), answer.reason)),
    }
    let low = answer.ci_low.unwrap_or(0);
    let high = answer.ci_high.unwrap_or(u32::MAX);
    if low <= truth.high && truth.low <= high {
        return Ok(());
    }
    Err(format!(
        "{low} to {high} does not hold {} to {}",
        truth.low, truth.high
    ))
}

/// Whether the answer says that capacity grew.
fn grew(record: &RunRecord) -> bool {
    let kind = NoticedKind::Grew;
    let noticed = record.answer.noticed.iter().any(|n| n.kind == kind);
    noticed || record.answer.reason.starts_with(kind.label())
}
