//! `breakpoint ramp` as its users meet it: against the demo over real sockets, its files, its exit
//! codes and messages.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use breakpoint::measure::Level;
use breakpoint::record::{HoldEnd, RampEnding, RampRecord};
use breakpoint::report::{self, RampFormat};
use breakpoint::slo::Verdict;
use tempfile::TempDir;

use crate::starved::{answered, repeated};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/reports/example");

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
    command.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.env("CI", "true").stdin(Stdio::null());
    command
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// Runs a command, checks its code, returns (stdout, stderr).
fn expect(code: i32, args: &[&str]) -> (String, String) {
    let output = program().args(args).output().unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
    (out, err)
}

/// The one folder of a ramp below `out`.
fn ramp_folder(out: &Path, profile: &str) -> PathBuf {
    let entries = fs::read_dir(out.join(profile)).unwrap();
    let dirs = entries.map(|e| e.unwrap().path());
    let is_ramp = |dir: &PathBuf| {
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("ramp-")
    };
    let ramps: Vec<PathBuf> = dirs.filter(is_ramp).collect();
    assert_eq!(ramps.len(), 1, "{ramps:?}");
    ramps[0].clone()
}

fn record(folder: &Path) -> RampRecord {
    report::read_ramp(&fs::read(folder.join("ramp.json")).unwrap()).unwrap()
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A demo target that answers 40 questions per second; returns its address.
fn slow_demo() -> (Running, String) {
    let mut child = program()
        .args(["demo", "--answers-per-s", "40"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let out = child.stdout.take().unwrap();
    BufReader::new(out).read_line(&mut line).unwrap();
    let url = line.trim().rsplit_once(' ').unwrap().1.to_owned();
    (Running(child), url)
}

#[test]
fn zero_a_ramp_whose_slo_breaks_with_all_its_files() {
    let (_demo, url) = slow_demo();
    let stages = "10:1s,10:8s,300:2s,300:9s,0:2s";
    let (out, output) = repeated(|| {
        let out = TempDir::new().unwrap();
        let mut ramp = program();
        ramp.args(["ramp", "demo", "--url", &url, "--stages", stages]);
        ramp.args(["--slo", "p99<2s", "--out"]).arg(out.path());
        answered(ramp.output().unwrap()).map(|output| (out, output))
    });
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}\n{stderr}");
    assert!(
        stderr.contains("stage 1 ") && stderr.contains("broke"),
        "{stderr}"
    );
    for word in [
        "0 -> 10 -> 300 -> 0 VUs in 22 s",
        "first breach ",
        "caveat ",
        "no interval",
    ] {
        assert!(stdout.contains(word), "{word}: {stdout}");
    }
    let folder = ramp_folder(out.path(), "demo");
    assert!(!folder.join("stages.jsonl").exists());
    let record = record(&folder);
    assert_eq!(record.ending, RampEnding::Complete, "{stdout}");
    assert_eq!(record.stages.len(), 5);
    // Seven times what it can serve.
    assert_eq!(record.stages[3].verdict, Verdict::Broke, "{stdout}");
    assert!(record.breach.is_some(), "{stdout}");
    // The level is followed: all VUs of a stage run at its end.
    let last = record.stages[3].seconds.last().unwrap();
    assert_eq!((last.level, last.seen.vus), (Level(300), 300));
    let rows = |name: &str| {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        text.lines().count() - 1
    };
    assert_eq!(rows("stages.csv"), 5);
    let seconds: usize = record.stages.iter().map(|s| s.seconds.len()).sum();
    assert_eq!(rows("seconds.csv"), seconds);

    // No log was followed, and so no file of logs is written.
    assert!(!folder.join(RampFormat::Log.file_name()).exists());
    let formats: Vec<_> = RampFormat::of(&record).collect();
    assert_eq!(formats.len(), RampFormat::ALL.len() - 1);
    let read = || {
        let files = formats.iter().map(|f| folder.join(f.file_name()));
        files.map(|f| fs::read(f).unwrap()).collect::<Vec<_>>()
    };
    let before = read();
    for format in &formats[1..] {
        fs::remove_file(folder.join(format.file_name())).unwrap();
    }
    let (again, _) = expect(0, &["report", folder.to_str().unwrap()]);
    assert_eq!(again, stdout);
    assert!(before == read(), "rendered again, byte for byte");
}

#[test]
fn ctrl_c_ends_with_130_and_find_stands_beside_what_was_measured() {
    let out = TempDir::new().unwrap();
    // A recorded search of the profile, as far as its folder says.
    let search = out.path().join("demo/2026-11-22T16-12-40Z");
    fs::create_dir_all(&search).unwrap();
    fs::copy(format!("{EXAMPLE}/result.json"), search.join("result.json")).unwrap();
    let child = program()
        .args(["ramp", "demo", "--stages", "20:2s,40:60s"])
        .args(["--out", out.path().to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let mut stderr = BufReader::new(running.0.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("stage 2") {
        line.clear();
        let read = stderr.read_line(&mut line).unwrap();
        assert!(read > 0, "it ended before its second stage");
    }
    let pid = running.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    let drained = std::thread::spawn(move || stderr.read_to_string(&mut String::new()));
    let mut stdout = String::new();
    let mut pipe = running.0.stdout.take().unwrap();
    pipe.read_to_string(&mut stdout).unwrap();
    let status = running.0.wait().unwrap();
    drained.join().unwrap().unwrap();
    assert_eq!(status.code(), Some(130), "{stdout}");
    assert!(
        stdout.contains("`find` found 1 019 VUs (1 003 – 1 029)"),
        "{stdout}"
    );
    let record = record(&ramp_folder(out.path(), "demo"));
    assert_eq!(record.ending, RampEnding::Interrupted);
    assert_eq!(record.stages.last().unwrap().end, HoldEnd::Interrupted);
}

#[test]
fn two_bad_stages_say_what_is_wrong_and_show_the_form() {
    for (stages, words) in [
        ("100", "a stage has a target and a time"),
        ("100:30s,200", "stage 2, `200`"),
        ("0->100:30s", "`0->100` is not a whole number"),
        ("100:30", "unknown unit"),
        ("0:30s", "no load"),
        ("", "nothing between the commas"),
    ] {
        let (_, err) = expect(2, &["ramp", "--slo", "p99<2s", "--stages", stages]);
        assert!(
            err.contains(words) && err.contains("TARGET:TIME, such as 100:30s,500:1m,0:30s"),
            "{stages}: {err}"
        );
    }
    let (_, err) = expect(2, &["ramp", "demo"]);
    assert!(err.contains("--stages"), "{err}");
}

#[test]
fn two_what_else_a_ramp_needs_is_named_before_any_load() {
    let url = "http://127.0.0.1:1/";
    let (_, err) = expect(2, &["ramp", "--url", url, "--stages", "10:5s"]);
    assert!(err.contains("--slo 'p99<2s'"), "{err}");
    let (_, err) = expect(2, &["ramp", "gatway-512mb", "--stages", "10:5s"]);
    assert!(err.contains("gateway-512mb"), "{err}");
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("rate.toml");
    let text = "slo = [\"p99<1s\"]\n[target]\nurl = \"http://127.0.0.1:1\"\n[search]\nrate = \
        \"poisson\"\n";
    fs::write(&path, text).unwrap();
    let (_, err) = expect(2, &["ramp", path.to_str().unwrap(), "--stages", "10:5s"]);
    assert!(err.contains("stages of a ramp are VUs"), "{err}");
    let beside = |dir: &str| {
        let args = [
            "ramp", "--stages", "10:5s", "--slo", "p99<2s", "--beside", dir,
        ];
        expect(2, &args).1
    };
    let err = beside(EXAMPLE);
    assert!(
        err.contains("p99(answer)<2s, errors<1%, this ramp by p99<2s"),
        "{err}"
    );
    let err = beside("/nowhere");
    assert!(err.contains("result.json"), "{err}");
}

#[test]
fn four_a_stage_that_does_not_fit_this_machine() {
    let args = ["ramp", "--slo", "p99<2s", "--stages", "900000:30s,0:5s"];
    let (_, err) = expect(4, &args);
    assert!(
        err.contains("900000 VUs need") && err.contains("stages of"),
        "{err}"
    );
    assert!(!err.contains("--max-vus"), "it has no such flag: {err}");
}

#[test]
fn five_an_address_where_nobody_listens() {
    let out = TempDir::new().unwrap();
    let dir = out.path().to_str().unwrap();
    let profile = out.path().join("gone.toml");
    let text =
        "slo = [\"p99<1s\"]\n[target]\nurl = \"http://127.0.0.1:1\"\nreset-timeout = \"1s\"\n";
    fs::write(&profile, text).unwrap();
    let path = profile.to_str().unwrap();
    let args = ["ramp", path, "--stages", "10:5s", "--out", dir];
    let (stdout, _) = expect(5, &args);
    assert!(stdout.contains("connect_refused"), "{stdout}");
    let record = record(&ramp_folder(out.path(), "gone"));
    assert_eq!(record.ending, RampEnding::TargetDown);
    assert!(record.stages.is_empty());
}
