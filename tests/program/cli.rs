//! The program as its users meet it: exit codes, messages, files.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::starved::{Starved, answered, repeated};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
    command.env("CI", "true").stdin(Stdio::null());
    // What was seen before is that of the tests.
    command.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

fn run(args: &[&str]) -> Output {
    program().args(args).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs, checks the code, returns (stdout, stderr).
fn expect(code: i32, args: &[&str]) -> (String, String) {
    let output = run(args);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
    (out, err)
}

/// The one run folder below `out`.
fn run_folder(out: &Path, profile: &str) -> PathBuf {
    let mut runs = fs::read_dir(out.join(profile)).unwrap();
    let only = runs.next().unwrap().unwrap().path();
    assert!(runs.next().is_none());
    only
}

fn result(folder: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(folder.join("result.json")).unwrap()).unwrap()
}

/// Arguments of a short search of the demo: it carries 40 VUs with ease.
fn short(out: &Path) -> Vec<String> {
    let out = out.to_str().unwrap();
    [
        "find",
        "--slo",
        "p99<2s",
        "--start-vus",
        "20",
        "--max-vus",
        "40",
        "--budget",
        "3m",
        "--out",
        out,
    ]
    .map(str::to_owned)
    .to_vec()
}

/// A process that is ended with the test, also when that fails.
struct Running(Child);

impl Running {
    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([name, &self.0.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A demo target on a port of its own; returns its address.
fn demo(args: &[&str]) -> (Running, String) {
    let mut child = program()
        .arg("demo")
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.trim().rsplit_once("http://").unwrap().1.to_owned();
    (Running(child), address)
}

#[test]
fn zero_an_answer_with_all_its_files() {
    let (out, output) = repeated(|| {
        let out = TempDir::new().unwrap();
        let mut search = program();
        search.args(short(out.path())).env("NO_COLOR", "1");
        let output = search.args(["--require-vus", "40"]).output().unwrap();
        answered(output).map(|output| (out, output))
    });
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{stdout}\n{stderr}");
    assert!(stdout.contains("40 VUs"), "{stdout}");
    assert!(stdout.contains("gate            passed: "), "{stdout}");
    assert!(
        !stdout.contains('\u{1b}') && !stderr.contains('\u{1b}'),
        "colour without being asked"
    );
    assert!(
        stderr.contains("probe 0"),
        "progress goes to stderr: {stderr}"
    );
    assert!(!stdout.contains("probe 0 "), "{stdout}");

    let folder = run_folder(out.path(), "demo");
    let record = result(&folder);
    assert_eq!(record["schema_version"], 3);
    assert_eq!(record["answer"]["ending"], "never_broke");
    assert_eq!(record["answer"]["last_held"]["level"], 40);
    for key in ["profile", "slo", "probes"] {
        assert!(!record[key].is_null(), "{key}");
    }
    for key in [
        "breakpoint",
        "ci_low",
        "ci_high",
        "confidence",
        "first_broke",
        "broken_objective",
        "limiting_resource",
    ] {
        assert!(record["answer"].get(key).is_some(), "{key}");
    }
    assert!(
        !folder.join("probes.jsonl").exists(),
        "the journal ends with the result"
    );

    // The same files come out of the record again.
    let names = [
        "result.json",
        "report.html",
        "report.md",
        "junit.xml",
        "holds.csv",
        "holds-excel.csv",
        "samples.csv",
        "latency-vs-vus.png",
        "search.png",
        "throughput-vs-vus.png",
        "resources.png",
    ];
    let before: Vec<Vec<u8>> = names
        .iter()
        .map(|n| fs::read(folder.join(n)).unwrap())
        .collect();
    for name in &names[1..] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    let (again, _) = expect(0, &["report", folder.to_str().unwrap()]);
    assert_eq!(again.lines().next(), stdout.lines().next());
    let after: Vec<Vec<u8>> = names
        .iter()
        .map(|n| fs::read(folder.join(n)).unwrap())
        .collect();
    assert!(before == after, "rendered again, byte for byte");
}

#[test]
fn two_a_bound_that_the_shell_took() {
    let (_, err) = expect(2, &["find", "--slo", "p99"]);
    assert!(
        err.contains("has no bound") && err.contains("--slo 'p99<2s'") && err.contains("p99:2s"),
        "{err}"
    );
}

#[test]
fn two_an_address_without_an_slo() {
    let (_, err) = expect(2, &["find", "--url", "http://127.0.0.1:1/"]);
    assert!(err.contains("--slo"), "{err}");
}

#[test]
fn two_a_least_throughput_alone_is_no_slo_of_a_search() {
    for command in ["find", "plan"] {
        let (_, err) = expect(2, &[command, "--slo", "rps>20"]);
        for part in [
            "`rps>20` alone",
            "does not limit the number of users",
            "--slo 'p99<2s'",
            "ramp",
        ] {
            assert!(err.contains(part), "{command}: {err}");
        }
    }
}

#[test]
fn two_a_wrong_profile_shows_the_line_and_the_nearest_key() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("mine.toml");
    let profile =
        "slo = [\"p99<1s\"]\n[target]\nurl = \"http://127.0.0.1:1\"\n[search]\nprecison = \"5%\"\n";
    fs::write(&path, profile).unwrap();
    for command in ["find", "plan"] {
        let (_, err) = expect(2, &[command, "--profile", path.to_str().unwrap()]);
        assert!(
            err.contains("mine.toml:5")
                && err.contains("precison = \"5%\"")
                && err.contains("`precision`"),
            "{err}"
        );
    }
}

#[test]
fn two_a_profile_that_does_not_exist() {
    let (_, err) = expect(2, &["find", "gatway-512mb"]);
    assert!(err.contains("gateway-512mb"), "{err}");
}

#[test]
fn two_an_objective_on_a_step_that_does_not_exist() {
    let (_, err) = expect(2, &["plan", "demo", "--slo", "p99(anser)<2s"]);
    assert!(err.contains("anser") && err.contains("answer"), "{err}");
}

#[test]
fn two_a_report_folder_that_cannot_be_written() {
    let dir = TempDir::new().unwrap();
    // A file in the way stops root too.
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let (_, err) = expect(
        2,
        &["find", "--slo", "p99<2s", "--out", file.to_str().unwrap()],
    );
    assert!(
        err.contains("cannot write reports") && err.contains("--out DIR"),
        "{err}"
    );
}

#[test]
fn two_a_folder_without_a_record() {
    let dir = TempDir::new().unwrap();
    let (_, err) = expect(2, &["report", dir.path().to_str().unwrap()]);
    assert!(err.contains("result.json"), "{err}");
}

#[test]
fn four_a_maximum_beyond_descriptors_and_ports() {
    let (_, err) = expect(4, &["find", "--slo", "p99<2s", "--max-vus", "900000"]);
    assert!(
        err.contains("900000 VUs need") && err.contains("--max-vus"),
        "{err}"
    );
}

#[test]
fn four_names_the_way_out_where_descriptors_are_few() {
    // A shell with few descriptors: the limit is for this process alone.
    let script = r#"ulimit -n 256; exec "$0" find --slo 'p99<2s' --max-vus 900"#;
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_breakpoint")])
        .output()
        .unwrap();
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{err}");
    for word in ["900 VUs need", "256 are allowed", "ulimit -n", "--max-vus"] {
        assert!(err.contains(word), "{word}: {err}");
    }
}

#[test]
fn five_an_address_where_nobody_listens() {
    let out = TempDir::new().unwrap();
    let folder = out.path().to_str().unwrap();
    let args = [
        "find",
        "--url",
        "http://127.0.0.1:1/",
        "--slo",
        "p99<1s",
        "--out",
        folder,
    ];
    let (stdout, stderr) = expect(5, &args);
    assert!(stdout.contains("the target does not answer"), "{stdout}");
    assert!(stderr.contains("waiting for the target"), "{stderr}");
}

#[test]
fn five_a_target_that_does_not_answer() {
    let out = TempDir::new().unwrap();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("gone.toml");
    // Nobody listens on port 1; a short deadline for the canary keeps the test short.
    let profile =
        "slo = [\"p99<1s\"]\n[target]\nurl = \"http://127.0.0.1:1\"\nreset-timeout = \"1s\"\n";
    fs::write(&path, profile).unwrap();
    let (stdout, _) = expect(
        5,
        &[
            "find",
            path.to_str().unwrap(),
            "--out",
            out.path().to_str().unwrap(),
        ],
    );
    assert!(stdout.contains("connect_refused"), "{stdout}");
    let record = result(&run_folder(out.path(), "gone"));
    assert_eq!(record["answer"]["ending"], "target_down");
}

#[test]
fn five_a_target_whose_command_fails() {
    let out = TempDir::new().unwrap();
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("broken.toml");
    let profile = "slo = [\"p99<1s\"]\n[target]\nurl = \"http://127.0.0.1:1\"\nup = \"echo no \
        such image; exit 3\"\n";
    fs::write(&path, profile).unwrap();
    let (stdout, _) = expect(
        5,
        &[
            "find",
            path.to_str().unwrap(),
            "--yes",
            "--out",
            out.path().to_str().unwrap(),
        ],
    );
    assert!(stdout.contains("no such image"), "{stdout}");
}

#[test]
fn five_an_slo_that_breaks_at_the_minimum() {
    let out = TempDir::new().unwrap();
    let out = out.path().to_str().unwrap();
    // A single answer takes 80 ms on average.
    let args = [
        "find",
        "--slo",
        "p99<5ms",
        "--start-vus",
        "1",
        "--budget",
        "5m",
        "-q",
        "--out",
        out,
    ];
    let output = repeated(|| answered(run(&args)));
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(5), "{stdout}\n{stderr}");
    assert!(stdout.contains("minimum"), "{stdout}");
    assert_eq!(stderr, "", "-q prints the answer alone");
}

#[test]
fn ctrl_c_ends_with_130_and_keeps_what_was_measured() {
    let out = TempDir::new().unwrap();
    repeated(|| interrupted(out.path()));
    let record = result(&run_folder(out.path(), "demo"));
    assert_eq!(record["answer"]["ending"], "interrupted");
    assert!(!record["probes"].as_array().unwrap().is_empty());
}

/// Interrupts a search once its first probe was judged. Where the machine had no time for one it
/// ends by itself, and leaves nothing.
fn interrupted(out: &Path) -> Result<(), Starved> {
    let child = program()
        .args(short(out))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Running(child);
    let mut stderr = BufReader::new(running.0.stderr.take().unwrap());
    let (mut said, mut line) = (String::new(), String::new());
    // Plain lines: the first probe's verdict says that something was measured.
    while !(line.contains("probe 0") && (line.contains("held") || line.contains("undecided"))) {
        line.clear();
        if stderr.read_line(&mut line).unwrap() == 0 {
            let status = running.0.wait().unwrap();
            assert!(matches!(status.code(), Some(3 | 4)), "{status}: {said}");
            std::fs::remove_dir_all(out.join("demo")).unwrap();
            return Err(Starved(said));
        }
        said.push_str(&line);
    }
    running.signal("-INT");
    let drained = std::thread::spawn(move || stderr.read_to_string(&mut String::new()));
    let status = running.0.wait().unwrap();
    drained.join().unwrap().unwrap();
    assert_eq!(status.code(), Some(130));
    Ok(())
}

#[test]
fn the_demo_dies_at_its_memory_limit_like_a_killed_process() {
    let (mut running, address) = demo(&["--memory-limit", "100KiB"]);
    let mut streams = Vec::new();
    // 64 KiB a stream: the second passes the limit.
    for user in 0..2 {
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(
            stream,
            "GET /sse?user={user} HTTP/1.1\r\nhost: demo\r\n\r\n"
        )
        .unwrap();
        streams.push(stream);
    }
    let deadline = Instant::now() + Duration::from_secs(20);
    let status = loop {
        if let Some(status) = running.0.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "it lives on");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(status.code(), Some(137));
}

/// 0.0.0.0 leads to this machine and is no loopback address: whoever connects to it all the same is
/// seen here.
#[test]
fn a_target_that_is_not_this_machine_is_refused_before_anything_is_sent() {
    let out = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("http://far.test:{port}/");
    let leads = format!("far.test:{port}:0.0.0.0");
    let dir = out.path().to_str().unwrap();
    for command in [
        &["find", "--slo", "p99<1s", "--out", dir][..],
        &["ramp", "--stages", "5:1s", "--slo", "p99<1s", "--out", dir],
        &["plan", "--slo", "p99<1s"],
    ] {
        let there = ["--url", &url, "--resolve", &leads];
        let (_, err) = expect(2, &[command, &there].concat());
        assert!(
            err.contains("would load far.test (0.0.0.0), which is not this machine"),
            "{err}"
        );
        assert!(err.contains("--allow-target far.test"), "{err}");
    }
    listener.set_nonblocking(true).unwrap();
    let nobody = listener.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(
        fs::read_dir(out.path()).unwrap().count(),
        0,
        "no folder either"
    );
    expect(
        0,
        &[
            "plan",
            "--slo",
            "p99<1s",
            "--url",
            &url,
            "--allow-target",
            "0.0.0.0",
        ],
    );
}

#[test]
fn plan_sends_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/api", listener.local_addr().unwrap());
    let (out, _) = expect(0, &["plan", "--url", &url, "--slo", "p99<200ms"]);
    for word in ["levels", "descriptors", "ports", "time"] {
        assert!(out.contains(word), "{word}: {out}");
    }
    assert!(listener.accept().is_err(), "somebody connected");
}

#[test]
fn init_writes_a_profile_that_plan_accepts_and_overwrites_none() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("mine.toml");
    let file = file.to_str().unwrap();
    expect(
        0,
        &["init", "--url", "http://127.0.0.1:8080/api", "--out", file],
    );
    let (out, _) = expect(0, &["plan", "--profile", file]);
    assert!(out.contains("http://127.0.0.1:8080"), "{out}");
    let before = fs::read(file).unwrap();
    let (_, err) = expect(2, &["init", "--url", "http://127.0.0.1:9/", "--out", file]);
    assert!(err.contains(file), "{err}");
    assert_eq!(fs::read(file).unwrap(), before);
}

#[test]
fn help_names_every_command_and_the_exit_codes() {
    let (out, _) = expect(0, &["--help"]);
    for word in [
        "find",
        "ramp",
        "plan",
        "init",
        "demo",
        "report",
        "Exit codes",
    ] {
        assert!(out.contains(word), "{word}");
    }
}

#[test]
fn a_local_address_that_the_machine_lacks_is_named_before_the_load() {
    let url = "http://127.0.0.1:9/";
    let (_, err) = expect(
        2,
        &[
            "find",
            "--url",
            url,
            "--slo",
            "p99<1s",
            "--local-addr",
            "192.0.2.77",
        ],
    );
    assert!(err.contains("--local-addr 192.0.2.77: "), "{err}");
    let both = ["--local-addr", "127.0.0.2", "--local-addr", "127.0.0.3"];
    let (out, _) = expect(
        0,
        &[&["plan", "--url", url, "--slo", "p99<1s"][..], &both].concat(),
    );
    assert!(out.contains(" allowed from 2 addresses\n"), "{out}");
}

#[test]
fn two_a_gate_that_could_never_pass_or_fits_no_level() {
    for command in ["plan", "find"] {
        let (_, err) = expect(2, &[command, "demo", "--require-vus", "2001"]);
        assert!(
            err.contains("2001 can never be proven: no level above max-vus 2000"),
            "{err}"
        );
        let (_, err) = expect(2, &[command, "demo", "--rate", "--require-vus", "20"]);
        assert!(err.contains("levels are rates here"), "{err}");
    }
    let (out, _) = expect(0, &["plan", "demo", "--require-vus", "200"]);
    assert!(
        out.contains(
            "gate         exit code 99 unless the interval's lower bound is at least 200 VUs"
        ),
        "{out}"
    );
}

#[test]
fn a_warm_up_is_planned_refused_where_it_does_not_fit_and_no_part_of_a_ramp() {
    let (out, _) = expect(0, &["plan", "demo", "--warm-up", "40s"]);
    assert!(
        out.contains("warm-up      40 s at 100 VUs, not judged"),
        "{out}"
    );
    let (out, _) = expect(0, &["plan", "demo", "--warm-up", "0"]);
    assert!(out.contains("warm-up      none\n"), "{out}");
    let (out, _) = expect(0, &["plan", "demo"]);
    assert!(!out.contains("warm-up"), "{out}");
    for (value, why) in [
        ("2h", "is too short for a warm-up"),
        ("2", "or 0 for none"),
        ("soon", "write it as 30s or 2m"),
    ] {
        let (_, err) = expect(2, &["find", "demo", "--warm-up", value]);
        assert!(err.contains("--warm-up ") && err.contains(why), "{err}");
    }
    let (_, err) = expect(2, &["ramp", "demo", "--stages", "5:1s", "--warm-up", "20s"]);
    assert!(
        err.contains("a ramp runs only its stages") && err.contains("--stages 100:20s,..."),
        "{err}"
    );
}

#[test]
fn report_prints_any_format_of_a_recorded_run_and_writes_nothing() {
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/reports/example");
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("result.json");
    fs::copy(format!("{example}/result.json"), file).unwrap();
    let folder = dir.path().to_str().unwrap();
    for (format, begins) in [
        ("summary", "breakpoint      1 019 VUs"),
        ("json", "{\n  \"schema_version\": 3"),
        ("md", "# gateway-512mb: breakpoint 1 019 VUs"),
        ("html", "<!DOCTYPE html>"),
        ("junit", "<?xml version=\"1.0\""),
        (
            "github",
            "::notice title=breakpoint gateway-512mb::breakpoint 1 019 VUs",
        ),
        ("csv", "profile,probe,purpose,vus,"),
        ("excel", "\u{feff}profile,probe,purpose,vus,"),
    ] {
        let (out, err) = expect(0, &["report", folder, "--format", format]);
        assert!(out.starts_with(begins), "{format}: {out}");
        assert_eq!(err, "", "{format}");
    }
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "nothing is written"
    );
    let (out, _) = expect(0, &["report", folder, "--format", "json"]);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["answer"]["breakpoint"], 1019);
    assert!(value["gate"].is_null() && value["probes"][0].get("seconds").is_none());
    assert!(value["probes"][0]["steps"][0]["p99_s"].is_number(), "{out}");
    assert!(out.len() < 100_000, "{} bytes", out.len());
    let (_, err) = expect(2, &["report", folder, "--format", "pdf"]);
    assert!(err.contains("github") && err.contains("html"), "{err}");
}

#[test]
fn a_step_of_github_actions_gets_its_summary_and_annotations() {
    let out = TempDir::new().unwrap();
    let summary = out.path().join("summary.md");
    fs::write(&summary, "from the step before\n").unwrap();
    let run = |on: &str| {
        program()
            .args([
                "find",
                "--url",
                "http://127.0.0.1:1/?token=abc",
                "--slo",
                "p99<1s",
            ])
            .args(["--require-vus", "5", "--format", "json", "--out"])
            .arg(out.path())
            .env("GITHUB_ACTIONS", on)
            .env("GITHUB_STEP_SUMMARY", &summary)
            .output()
            .unwrap()
    };
    let output = run("true");
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(5), "{stdout}\n{stderr}");
    let answer: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(answer["gate"]["outcome"], "no_answer");
    let command = answer["plan"]["command"].to_string();
    assert!(
        command.contains("token=***") && !command.contains("abc"),
        "{command}"
    );
    assert!(
        stderr
            .lines()
            .any(|l| l.starts_with("::error title=breakpoint ")),
        "{stderr}"
    );
    let written = fs::read_to_string(&summary).unwrap();
    let added = written.strip_prefix("from the step before\n").unwrap();
    assert!(
        added.starts_with("# ") && added.contains("not a pass"),
        "{added}"
    );
    assert!(!added.contains(".png"), "no picture lies there: {added}");

    let output = run("false");
    assert!(!text(&output.stderr).contains("::error"));
    assert_eq!(fs::read_to_string(&summary).unwrap(), written);
}
