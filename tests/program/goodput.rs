//! Joint goodput from end to end: runs with `good(..)` objectives are recorded, killed, resumed and
//! compared.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use breakpoint::journal;
use breakpoint::record::{ChangeVerdict, CompareRecord, ComparedMetric, RunRecord};
use breakpoint::report;

const GOOD: &str = "good(answer<900ms,cycle<2s)>95%";

/// The demo's own profile with short holds and an objective on both at once.
fn profile() -> String {
    let demo = include_str!("../../profiles/demo.toml");
    let demo = demo.replace("name = \"demo\"", "name = \"good\"");
    let (scenario, _) = demo.split_once("[search]").unwrap();
    let scenario: Vec<&str> = scenario.lines().filter(|l| !l.starts_with("slo")).collect();
    format!(
        "slo = [\"{GOOD}\"]\n{}\n[search]\nstart-vus = 60\nmax-vus = 600\nbudget = \"30s\"\n\
         hold-min = \"2s\"\nhold-max = \"3s\"\nsettle-max = \"3s\"\npace = 400\n\
         reference-holds = false\n",
        scenario.join("\n")
    )
}

fn program(folder: &Path, args: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
    program
        .args(args)
        .current_dir(folder)
        .env("XDG_STATE_HOME", folder.join("state"))
        .stdin(Stdio::null());
    program
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

fn runs(out: &Path) -> Vec<PathBuf> {
    let runs = fs::read_dir(out.join("good")).into_iter().flatten();
    runs.flatten().map(|e| e.path()).collect()
}

fn record(run: &Path) -> RunRecord {
    report::read(&fs::read(run.join("result.json")).unwrap()).unwrap()
}

fn begin(folder: &Path, out: &str) -> Child {
    let mut find = program(folder, &["find", "good.toml", "--quiet", "--out", out]);
    find.stdout(Stdio::null()).stderr(Stdio::null());
    find.spawn().unwrap()
}

/// The folder of a search once a probe was judged, while most of its budget is left.
fn judged(out: &Path) -> PathBuf {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        let run = runs(out).pop();
        let lines = run
            .as_ref()
            .and_then(|r| fs::read(r.join("journal.jsonl")).ok());
        let journal = lines.and_then(|bytes| journal::read(&bytes).ok());
        if let (Some(run), Some(journal)) = (run, journal)
            && !journal.entries.is_empty()
        {
            return run;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("no probe was judged within a minute");
}

/// The row of the good cycles counts in every probe, and is what the run is judged by.
fn counts_good_cycles(record: &RunRecord) {
    assert_eq!(record.slo, [GOOD]);
    for probe in &record.probes {
        let row = probe.steps.iter().find(|s| s.step.starts_with("good("));
        let row = row.unwrap_or_else(|| panic!("probe {} has no row", probe.index));
        let cycle = probe.steps.iter().find(|s| s.step == "cycle").unwrap();
        let missed: u64 = row.failed.iter().map(|(_, n)| n).sum();
        let failed: u64 = cycle.failed.iter().map(|(_, n)| n).sum();
        // Every cycle is good or missed a limit.
        assert_eq!(row.completed + missed, cycle.completed + failed);
        assert_eq!(probe.objectives.len(), 1);
    }
}

#[test]
fn runs_that_are_judged_by_good_cycles_are_resumed_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("good.toml"), profile()).unwrap();
    let mut find = begin(folder.path(), "one");
    let first = judged(&folder.path().join("one"));
    find.kill().unwrap();
    find.wait().unwrap();
    let had = fs::read(first.join("journal.jsonl")).unwrap();
    let had = journal::read(&had).unwrap().entries;
    let path = first.display().to_string();
    let resumed = program(folder.path(), &["resume", &path]).output().unwrap();
    assert!(
        matches!(resumed.status.code(), Some(0 | 3)),
        "{}",
        said(&resumed)
    );
    let one = record(&first);
    let before: Vec<_> = had.into_iter().map(|entry| entry.probe).collect();
    assert_eq!(one.probes[..before.len()], before);
    assert!(one.probes.len() > before.len(), "{}", said(&resumed));
    counts_good_cycles(&one);

    let find = ["find", "good.toml", "--quiet", "--out", "two"];
    program(folder.path(), &find).output().unwrap();
    let second = runs(&folder.path().join("two")).pop().expect("a run");
    let two = record(&second);
    counts_good_cycles(&two);
    let again = second.display().to_string();
    let compare = ["compare", &path, &again, "--out", "compared"];
    let compared = program(folder.path(), &compare).output().unwrap();
    assert!(
        matches!(compared.status.code(), Some(0 | 3)),
        "{}",
        said(&compared)
    );
    let all = fs::read_dir(folder.path().join("compared/comparisons")).unwrap();
    let made = all.flatten().next().unwrap().path();
    let made = fs::read(made.join("compare.json")).unwrap();
    let made: CompareRecord = report::read_comparison(&made).unwrap();
    assert_eq!(made.slo, [GOOD]);
    let changes = &made.comparisons[0].changes;
    let change = changes
        .iter()
        .find(|c| c.metric == ComparedMetric::Breakpoint);
    let change = change.expect("the breakpoints are compared");
    // The same service twice; on a busy machine one may be undecided, which is said.
    let both = [&one, &two].map(|record| record.answer.breakpoint.is_some());
    if both == [true, true] {
        assert_ne!(
            change.verdict,
            ChangeVerdict::CannotSay,
            "{}",
            change.reason
        );
    }

    // Another limit is another question, and no comparison.
    let other = profile().replace("answer<900ms", "answer<800ms");
    fs::write(folder.path().join("good.toml"), other).unwrap();
    let refused = program(folder.path(), &["resume", &path, "--budget", "60s"]);
    let refused = { refused }.output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("has changed"), "{}", said(&refused));
}
