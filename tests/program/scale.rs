//! `breakpoint scale` from outside: a real server that `up` starts, whose capacity follows the
//! size.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_breakpoint");

/// A folder with a profile whose `up` starts the demo with 40 answers per second for each unit.
fn place() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let demo = include_str!("../../profiles/demo.toml");
    let (scenario, _) = demo.split_once("[search]").unwrap();
    let up = format!(
        "up = \"{PROGRAM} demo --listen 127.0.0.1:{port} --workers {{{{ size }}}} \
         --answers-per-s $((40 * BREAKPOINT_SIZE)) >/dev/null 2>&1 & echo $! > pid; sleep 0.5\"\n\
         down = \"kill $(cat pid)\""
    );
    let profile = scenario
        .replace("name = \"demo\"", "name = \"sized\"")
        .replace("p99(answer)<2s", "p99(answer)<500ms")
        .replace(
            "demo = true",
            &format!("url = \"http://127.0.0.1:{port}\"\n{up}"),
        );
    let search = "[search]\nstart-vus = 40\nmax-vus = 600\nbudget = \"80s\"\nhold-min = \"2s\"\n\
        hold-max = \"3s\"\nsettle-max = \"3s\"\npace = 400\n\
        [[monitor]]\nname = \"server\"\ninstances = 1\npid-file = \"pid\"\n";
    fs::write(
        folder.path().join("sized.toml"),
        format!("{profile}{search}"),
    )
    .unwrap();
    folder
}

fn program(folder: &Path, args: &[&str]) -> Command {
    let mut program = Command::new(PROGRAM);
    program.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    program.env("CI", "true").current_dir(folder).args(args);
    program
}

fn run(folder: &Path, args: &[&str]) -> Output {
    program(folder, args).output().unwrap()
}

fn sizing(folder: &Path) -> PathBuf {
    let all = fs::read_dir(folder.join("reports/scale")).unwrap();
    let all: Vec<PathBuf> = all.flatten().map(|e| e.path()).collect();
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

fn runs(folder: &Path) -> usize {
    fs::read_dir(folder.join("reports/sized")).map_or(0, Iterator::count)
}

/// What the sizing says of its sizes must follow the server's.
fn check(folder: &Path) {
    let dir = sizing(folder);
    let record: Value = serde_json::from_slice(&fs::read(dir.join("scale.json")).unwrap()).unwrap();
    let sizes = record["sizes"].as_array().unwrap();
    let found = |i: usize| sizes[i]["breakpoint"].as_f64().unwrap();
    assert_eq!(
        (sizes[0]["label"].as_str(), sizes[1]["label"].as_str()),
        (Some("1"), Some("2"))
    );
    let ratio = found(1) / found(0);
    assert!(
        (1.3..3.0).contains(&ratio),
        "twice the workers carry {ratio} times the users"
    );
    assert_eq!(record["target"]["level"], 60);
    for file in [
        "report.html",
        "report.md",
        "junit.xml",
        "scale.csv",
        "scale.png",
    ] {
        assert!(dir.join(file).is_file(), "{file}");
    }
    let again = run(folder, &["report", dir.to_str().unwrap(), "--format", "md"]);
    let text = String::from_utf8_lossy(&again.stdout);
    assert!(
        text.contains("## Sizes") && text.contains("sized, sizes 1, 2"),
        "{text}"
    );
}

#[test]
fn a_server_is_brought_up_at_each_size_and_sized() {
    let folder = place();
    let args = [
        "scale",
        "sized.toml",
        "--sizes",
        "1,2",
        "--yes",
        "--target-vus",
        "60",
        "--cost",
        "12/month",
        "--require",
        "units(1)<=1",
    ];
    let output = run(folder.path(), &args);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        text.contains("size 2: ") && text.contains("/month per 1 000"),
        "{text}"
    );
    assert!(text.contains("units(1)<=1: passed"), "{text}");
    check(folder.path());
    assert_eq!(runs(folder.path()), 2);
}

#[test]
fn a_sizing_that_was_killed_goes_on_where_it_was() {
    let folder = place();
    let args = [
        "scale",
        "sized.toml",
        "--sizes",
        "1,2",
        "--yes",
        "--target-vus",
        "60",
        "--quiet",
    ];
    let mut child = program(folder.path(), &args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(120);
    while runs(folder.path()) < 2 {
        assert!(Instant::now() < until, "no second search");
        std::thread::sleep(Duration::from_millis(100));
    }
    std::thread::sleep(Duration::from_secs(5));
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had started is still there.
    let pid = fs::read_to_string(folder.path().join("pid")).unwrap();
    let _ = Command::new("kill").arg(pid.trim()).status();
    let dir = sizing(folder.path());
    let output = run(folder.path(), &["resume", dir.to_str().unwrap(), "--yes"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    check(folder.path());
    assert_eq!(
        runs(folder.path()),
        2,
        "what was begun goes on in its own folder"
    );
}

#[test]
fn sizes_that_make_no_sense_are_refused() {
    let folder = place();
    for (sizes, says) in [
        ("1,512m", "one unit"),
        ("0", "not a size"),
        ("a", "not a size"),
    ] {
        let output = run(
            folder.path(),
            &["scale", "sized.toml", "--sizes", sizes, "--yes"],
        );
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{text}");
        assert!(text.contains(says), "{text}");
    }
    // A profile that uses the size and has none.
    let output = run(folder.path(), &["find", "sized.toml", "--yes"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("--size 1"), "{text}");
}
