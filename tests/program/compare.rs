//! `breakpoint compare` from outside: recorded runs, gates and their exit codes, files, what is
//! refused, and searches in turn.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::{contains, starts_with};
use serde_json::Value;
use tempfile::TempDir;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
    command.env("CI", "true");
    command
}

fn compare(out: &Path, runs: &[&Path]) -> Command {
    let mut command = program();
    command.arg("compare").args(runs).arg("--out").arg(out);
    command
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/example")
}

/// The example's run with a change, in a folder of its own.
fn altered(dir: &Path, change: impl FnOnce(&mut Value)) -> PathBuf {
    let text = fs::read(example().join("result.json")).unwrap();
    let mut record: Value = serde_json::from_slice(&text).unwrap();
    change(&mut record);
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("result.json"), record.to_string()).unwrap();
    dir.to_owned()
}

/// The breakpoint with its interval and distribution times a factor.
fn scaled(dir: &Path, factor: f64) -> PathBuf {
    altered(dir, |record| {
        let answer = &mut record["answer"];
        for key in ["breakpoint", "ci_low", "ci_high"] {
            let moved = answer[key].as_f64().unwrap() * factor;
            answer[key] = format!("{moved:.0}").parse::<u32>().unwrap().into();
        }
        for point in answer["distribution"].as_array_mut().unwrap() {
            point[0] = (point[0].as_f64().unwrap() * factor).into();
        }
    })
}

/// The one comparison below `out`.
fn folder(out: &Path) -> PathBuf {
    let mut all = fs::read_dir(out.join("comparisons")).unwrap();
    let only = all.next().unwrap().unwrap().path();
    assert!(all.next().is_none());
    only
}

#[test]
fn two_runs_are_compared_and_the_report_renders_again() {
    let dir = TempDir::new().unwrap();
    let after = scaled(&dir.path().join("after"), 1.2);
    let said = compare(dir.path(), &[&example(), &after])
        .assert()
        .success()
        .stdout(contains("evidence of a rise").and(contains("before: gateway memory")))
        .get_output()
        .stdout
        .clone();
    let folder = folder(dir.path());
    let record: Value =
        serde_json::from_slice(&fs::read(folder.join("compare.json")).unwrap()).unwrap();
    assert_eq!(record["schema_version"], 1);
    let change = &record["comparisons"][0]["changes"][0];
    assert_eq!(change["metric"], "breakpoint");
    assert_eq!(change["verdict"], "rise");
    let ratio = change["ratio"].as_f64().unwrap();
    assert!((ratio / 1.2 - 1.0).abs() < 0.01, "{ratio}");

    let table = fs::read_to_string(folder.join("compare.csv")).unwrap();
    assert!(
        table.starts_with("base,candidate,metric,pairs,base_value,"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 1 + 5);
    let chart = fs::read(folder.join("compare.png")).unwrap();
    assert!(chart.starts_with(b"\x89PNG"));

    fs::remove_file(folder.join("compare.csv")).unwrap();
    fs::remove_file(folder.join("compare.png")).unwrap();
    let again = program().arg("report").arg(&folder).assert().success();
    assert_eq!(again.get_output().stdout, said);
    assert_eq!(
        fs::read_to_string(folder.join("compare.csv")).unwrap(),
        table
    );
    assert_eq!(fs::read(folder.join("compare.png")).unwrap(), chart);
}

#[test]
fn a_comparison_is_told_in_every_format() {
    let dir = TempDir::new().unwrap();
    let fell = scaled(&dir.path().join("fell"), 0.8);
    let told = |format: &str| {
        let mut command = compare(dir.path(), &[&example(), &fell]);
        command.args(["--fail-if", "breakpoint<-5%", "--format", format]);
        let assert = command.assert().code(99).stderr(contains("files "));
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    let json: Value = serde_json::from_str(&told("json")).unwrap();
    assert_eq!(json["comparisons"][0]["changes"][0]["verdict"], "fall");
    assert_eq!(json["gates"][0]["outcome"], "failed");
    assert_eq!(
        json["runs"][0]["limiting_resource"]["resource"],
        "gateway memory"
    );
    let junit = told("junit");
    assert!(junit.starts_with("<?xml") && junit.contains("tests=\"2\" failures=\"1\""));

    let all: Vec<PathBuf> = fs::read_dir(dir.path().join("comparisons"))
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    let folder = &all[0];
    for file in ["report.html", "report.md", "junit.xml", "compare-excel.csv"] {
        assert!(folder.join(file).is_file(), "{file}");
    }
    let report = |format: &str| {
        let mut command = program();
        command.arg("report").arg(folder).args(["--format", format]);
        let assert = command.assert().success();
        assert.get_output().stdout.clone()
    };
    assert_eq!(
        report("md"),
        fs::read(folder.join("report.md")).unwrap(),
        "printed as it is written"
    );
    assert_eq!(report("junit"), fs::read(folder.join("junit.xml")).unwrap());
    assert_eq!(report("csv"), fs::read(folder.join("compare.csv")).unwrap());
}

#[test]
fn github_is_told_of_a_comparison() {
    let dir = TempDir::new().unwrap();
    let fell = scaled(&dir.path().join("fell"), 0.8);
    let summary = dir.path().join("summary.md");
    compare(dir.path(), &[&example(), &fell])
        .args(["--fail-if", "breakpoint<-5%"])
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", &summary)
        .assert()
        .code(99)
        .stderr(contains(
            "::error title=breakpoint comparison::gate breakpoint<-5%25: FAILED",
        ));
    let text = fs::read_to_string(summary).unwrap();
    assert!(
        text.contains("Change of the breakpoint") && !text.contains("!["),
        "{text}"
    );
}

#[test]
fn gates_end_with_their_own_codes() {
    let dir = TempDir::new().unwrap();
    let fell = scaled(&dir.path().join("fell"), 0.8);
    let same = scaled(&dir.path().join("same"), 1.0);
    let odd = altered(&dir.path().join("odd"), |record| {
        record["answer"]["ending"] = "time_driven".into();
    });
    let gate = |candidate: &Path, condition: &str| {
        let mut command = compare(dir.path(), &[&example(), candidate]);
        command.args(["--fail-if", condition]).assert()
    };
    gate(&fell, "breakpoint<-5%")
        .code(99)
        .stdout(contains("breakpoint<-5%: FAILED"));
    gate(&fell, "breakpoint<-30%").code(0);
    gate(&same, "breakpoint<-5%")
        .code(0)
        .stdout(contains("passed: a fall of up to"));
    gate(&odd, "breakpoint<-5%")
        .code(3)
        .stdout(contains("it breaks over time"));
    // Without a gate too: what cannot be compared is no answer.
    compare(dir.path(), &[&example(), &odd]).assert().code(3);
    compare(dir.path(), &[&example(), &fell]).assert().code(0);
}

#[test]
fn the_newest_run_of_a_profile_stands_for_it() {
    let dir = TempDir::new().unwrap();
    let profile = dir.path().join("after");
    scaled(&profile.join("2026-11-22T17-44-13Z"), 0.5);
    scaled(&profile.join("2026-11-23T17-44-13Z"), 1.2);
    compare(dir.path(), &[&example().join("result.json"), &profile])
        .assert()
        .success()
        .stdout(contains("evidence of a rise"))
        .stdout(contains(
            "of its 2 runs, only the newest is used, 2026-11-23T17-44-13Z",
        ));
}

#[test]
fn sizes_give_a_law_and_a_forecast() {
    let dir = TempDir::new().unwrap();
    let runs = [1.0, 1.9, 3.4].map(|f| scaled(&dir.path().join(format!("x{f}")), f));
    let runs: Vec<&Path> = runs.iter().map(PathBuf::as_path).collect();
    let mut command = compare(dir.path(), &runs);
    command
        .args(["--sizes", "1,2,4"])
        .assert()
        .success()
        .stdout(contains("contention").and(contains("forecast        size 8: ")))
        .stdout(contains("% band").and(contains("the data cannot test the scaling law")));
    let table = fs::read_to_string(folder(dir.path()).join("scaling.csv")).unwrap();
    assert!(
        table.starts_with("kind,size,breakpoint,low,high\nrun,1,"),
        "{table}"
    );
    assert!(
        table.lines().last().unwrap().starts_with("forecast,8,"),
        "{table}"
    );
}

#[test]
fn what_cannot_be_compared_is_refused_with_the_way_out() {
    let dir = TempDir::new().unwrap();
    let other = altered(&dir.path().join("other"), |record| {
        record["slo"] = vec!["p99<1s"].into();
    });
    let nothing = dir.path().join("nothing");
    let broken = dir.path().join("broken");
    fs::create_dir_all(&broken).unwrap();
    fs::write(broken.join("result.json"), "{\"schema_version\": 2").unwrap();
    for (run, wanted) in [
        (&other, "different SLOs"),
        (&nothing, "cannot read"),
        (&broken, "is incomplete (line 1)"),
    ] {
        compare(dir.path(), &[&example(), run])
            .assert()
            .code(2)
            .stderr(contains(wanted));
    }
    for (args, wanted) in [
        (&["--sizes", "1,2,4"][..], "3 sizes for 2 runs"),
        (&["--sizes", "1,2"], "at least three sizes"),
        (&["--fail-if", "p95<-5%"], "not a compared metric"),
        (&["--repeat", "1"], "no profile"),
    ] {
        compare(dir.path(), &[&example(), &example()])
            .args(args)
            .assert()
            .code(2)
            .stderr(contains(wanted));
    }
    assert!(
        !dir.path().join("comparisons").exists(),
        "nothing was written"
    );
}

/// The demo's profile with short holds, a highest level that it carries with ease, and these lines
/// for its target.
fn easy(dir: &Path, target: &str) -> PathBuf {
    let changed = [
        ("slo =", "slo = [\"p99(answer)<5s\"]"),
        ("demo = true", target),
        ("start-vus =", "start-vus = 20"),
        ("max-vus =", "max-vus = 20"),
        ("hold-min =", "hold-min = \"3s\""),
        ("hold-max =", "hold-max = \"5s\""),
        ("settle-max =", "settle-max = \"5s\""),
    ];
    let lines = breakpoint::profile::builtin::DEMO.text.lines().map(|line| {
        let new = changed.iter().find(|(key, _)| line.starts_with(key));
        new.map_or(line, |(_, new)| *new)
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let path = dir.join("easy.toml");
    fs::write(&path, text).unwrap();
    path
}

/// A program that is ended with the test, also when that fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A demo on a port of its own, and its address.
fn demo() -> (Running, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_breakpoint"));
    command.arg("demo").stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    let address = line.trim().rsplit_once("http://").unwrap().1.to_owned();
    (Running(child), address)
}

/// Searches in turn in which something happens once `line` was said: exit code, stdout, stderr.
fn repeated(
    dir: &Path,
    profile: &Path,
    line: &str,
    happens: impl FnOnce(&Running),
) -> (Option<i32>, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_breakpoint"));
    command.env("CI", "true").arg("compare");
    command.args([profile, profile]).arg("--out").arg(dir);
    command.args(["--repeat", "2", "--budget", "8s"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running(command.spawn().unwrap());
    let mut stdout = running.0.stdout.take().unwrap();
    let printed = std::thread::spawn(move || std::io::read_to_string(&mut stdout).unwrap());
    let mut happens = Some(happens);
    let mut told = String::new();
    for said in BufReader::new(running.0.stderr.take().unwrap()).lines() {
        let said = said.unwrap();
        if said.contains(line)
            && let Some(happens) = happens.take()
        {
            happens(&running);
        }
        told.push_str(&said);
        told.push('\n');
    }
    assert!(happens.is_none(), "{line} was never said: {told}");
    let code = running.0.wait().unwrap().code();
    (code, printed.join().unwrap(), told)
}

fn interrupt(running: &Running) {
    let pid = running.0.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &pid])
        .status();
    assert!(sent.unwrap().success());
}

/// The folders of the runs of a profile.
fn runs_of(dir: &Path, profile: &str) -> usize {
    fs::read_dir(dir.join(profile)).unwrap().count()
}

#[test]
fn ctrl_c_keeps_the_pairs_that_are_complete() {
    let dir = TempDir::new().unwrap();
    let profile = easy(dir.path(), "demo = true");
    let (code, printed, told) = repeated(dir.path(), &profile, "search 3 of 4", interrupt);
    assert_eq!(code, Some(130), "{printed}\n{told}");
    assert!(
        told.contains("interrupted; 1 of 2 pairs are complete"),
        "{told}"
    );
    assert!(!told.contains("search 4 of 4"), "{told}");
    let json = fs::read(folder(dir.path()).join("compare.json")).unwrap();
    let record: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        record["comparisons"][0]["pairs"],
        serde_json::json!([[0, 1]])
    );
    assert_eq!(record["notes"][0], "interrupted; 1 of 2 pairs are complete");
    assert_eq!(runs_of(dir.path(), "demo"), 3, "what was measured is kept");
}

#[test]
fn ctrl_c_before_a_pair_is_complete_compares_nothing() {
    let dir = TempDir::new().unwrap();
    let profile = easy(dir.path(), "demo = true");
    let (code, printed, told) = repeated(dir.path(), &profile, "search 2 of 4", interrupt);
    assert_eq!(code, Some(130), "{printed}\n{told}");
    assert!(
        told.contains("no pair of searches is complete: nothing to compare"),
        "{told}"
    );
    assert!(!dir.path().join("comparisons").exists());
    assert_eq!(runs_of(dir.path(), "demo"), 2, "what was measured is kept");
}

#[test]
fn a_target_that_dies_ends_the_turns_and_keeps_the_pairs_before() {
    let dir = TempDir::new().unwrap();
    let (target, address) = demo();
    let lines = format!("url = \"http://{address}\"\nreset-timeout = \"2s\"");
    let profile = easy(dir.path(), &lines);
    let (code, printed, told) = repeated(dir.path(), &profile, "search 3 of 4", move |_| {
        drop(target);
    });
    assert_eq!(code, Some(5), "{printed}\n{told}");
    assert!(
        told.contains("search 3 of 4 ended with its target down")
            && told.contains("1 of 2 pairs are complete"),
        "{told}"
    );
    assert!(!told.contains("search 4 of 4"), "{told}");
    let json = fs::read(folder(dir.path()).join("compare.json")).unwrap();
    let record: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        record["comparisons"][0]["pairs"],
        serde_json::json!([[0, 1]])
    );
    assert_eq!(runs_of(dir.path(), "demo"), 3);
}

#[test]
fn profiles_are_searched_in_turn() {
    // The budget is too small for a breakpoint: what is tested is the order and the files.
    let dir = TempDir::new().unwrap();
    let profile = easy(dir.path(), "demo = true");
    compare(dir.path(), &[&profile, &profile])
        .args(["--repeat", "1", "--budget", "12s", "--format", "csv"])
        .assert()
        .code(3)
        .stderr(contains("search 1 of 2: base demo").and(contains("search 2 of 2: candidate demo")))
        // The comparison alone, and not the runs before it.
        .stdout(starts_with("base,candidate,metric,"))
        .stdout(contains("base: it is undecided"));
    let runs = fs::read_dir(dir.path().join("demo")).unwrap().count();
    assert_eq!(runs, 2);
    let json = fs::read(folder(dir.path()).join("compare.json")).unwrap();
    let record: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(record["runs"].as_array().unwrap().len(), 2);
    assert_eq!(record["comparisons"][0]["pairs"][0][1], 1);
}
