//! `breakpoint resume` on real searches of the demo: killed without a warning, locked, ended,
//! changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use breakpoint::journal::{self, Journal};
use breakpoint::record::{Ending, RunRecord};

/// The demo's own profile with short holds.
fn profile() -> String {
    let demo =
        include_str!("../../profiles/demo.toml").replace("name = \"demo\"", "name = \"quick\"");
    let (scenario, _) = demo.split_once("[search]").unwrap();
    format!(
        "{scenario}[search]\nstart-vus = 20\nmax-vus = 600\nbudget = \"40s\"\nhold-min = \"2s\"\n\
         hold-max = \"3s\"\nsettle-max = \"3s\"\npace = 400\n"
    )
}

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
    // Where it is known which searches were begun here.
    program.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    program
}

fn begin(folder: &Path) -> Child {
    fs::write(folder.join("quick.toml"), profile()).unwrap();
    let mut find = program();
    find.current_dir(folder)
        .args(["find", "quick.toml", "--quiet", "--out", "reports"]);
    find.stdout(Stdio::null()).stderr(Stdio::null());
    find.spawn().unwrap()
}

fn resume(dir: &Path, more: &[&str]) -> Output {
    let mut resume = program();
    resume.arg("resume").arg(dir).args(more);
    resume.output().unwrap()
}

fn run_folder(folder: &Path) -> Option<PathBuf> {
    let runs = fs::read_dir(folder.join("reports/quick")).ok()?;
    runs.flatten().map(|e| e.path()).next()
}

fn journal_of(dir: &Path) -> Option<Journal> {
    journal::read(&fs::read(dir.join("journal.jsonl")).ok()?).ok()
}

/// Waits until so many probes were judged.
fn judged(folder: &Path, probes: usize) -> (PathBuf, Journal) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        let dir = run_folder(folder);
        let journal = dir.as_deref().and_then(journal_of);
        if let (Some(dir), Some(journal)) = (dir, journal)
            && journal.entries.len() >= probes
        {
            return (dir, journal);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{probes} probes were not judged within a minute");
}

fn record(dir: &Path) -> RunRecord {
    breakpoint::report::read(&fs::read(dir.join("result.json")).unwrap()).unwrap()
}

fn says(output: &Output, part: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains(part), "{text}");
}

#[test]
fn a_killed_search_goes_on_with_what_it_had_and_an_ended_one_only_with_more_time() {
    let folder = tempfile::tempdir().unwrap();
    let mut find = begin(folder.path());
    let (dir, _) = judged(folder.path(), 2);
    let in_use = resume(&dir, &[]);
    assert_eq!(in_use.status.code(), Some(2));
    says(&in_use, "another breakpoint is writing to it");
    find.kill().unwrap();
    find.wait().unwrap();
    assert!(!dir.join("result.json").exists());
    let had = journal_of(&dir).unwrap();
    // As a crash in the middle of a line leaves it.
    let path = dir.join("journal.jsonl");
    let mut torn = fs::read(&path).unwrap();
    torn.extend_from_slice(b"01234567 {\"told\":");
    fs::write(&path, torn).unwrap();

    let resumed = resume(&dir, &["--quiet"]);
    assert!(matches!(resumed.status.code(), Some(0 | 3)), "{resumed:?}");
    says(&resumed, "is incomplete");
    let first = record(&dir);
    let probes: Vec<_> = had.entries.iter().map(|e| e.probe.clone()).collect();
    assert_eq!(first.probes[..probes.len()], probes);
    assert!(first.probes.len() > probes.len());
    assert_eq!(first.started_at, had.head.started_at);
    assert_eq!(first.plan.command[0], "find");
    assert!(first.warnings.iter().any(|w| w.starts_with("resumed at ")));

    let printed = String::from_utf8_lossy(&resumed.stdout);
    let undecided = first.answer.ending == Ending::Undecided;
    assert_eq!(
        printed.contains("continue        breakpoint resume "),
        undecided,
        "{printed}"
    );

    let ended = resume(&dir, &[]);
    assert_eq!(ended.status.code(), Some(2));
    says(&ended, "this search has ended");
    let longer = resume(&dir, &["--quiet", "--budget", "60s", "--precision", "0.5%"]);
    assert!(matches!(longer.status.code(), Some(0 | 3)), "{longer:?}");
    let second = record(&dir);
    assert_eq!(second.probes[..first.probes.len()], first.probes[..]);
    assert!(second.probes.len() > first.probes.len());
    assert!((second.plan.budget_s - 60.0).abs() < 1e-9);
    assert_ne!(second.answer.ending, Ending::Interrupted);
}

#[test]
fn a_changed_profile_and_a_folder_without_a_journal_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut find = begin(folder.path());
    let (dir, _) = judged(folder.path(), 1);
    find.kill().unwrap();
    find.wait().unwrap();
    let before = fs::read(dir.join("journal.jsonl")).unwrap();

    let changed = profile().replace("30s", "31s");
    fs::write(folder.path().join("quick.toml"), changed).unwrap();
    let refused = resume(&dir, &[]);
    assert_eq!(refused.status.code(), Some(2));
    says(&refused, "has changed since");

    let mut damaged = before.clone();
    damaged[20] ^= 1;
    fs::write(dir.join("journal.jsonl"), &damaged).unwrap();
    let refused = resume(&dir, &[]);
    assert_eq!(refused.status.code(), Some(2));
    says(&refused, "line 1 does not match its checksum");
    assert_eq!(
        fs::read(dir.join("journal.jsonl")).unwrap(),
        damaged,
        "left as it is"
    );

    let empty = resume(folder.path(), &[]);
    assert_eq!(empty.status.code(), Some(2));
    says(&empty, "no journal.jsonl");
}
