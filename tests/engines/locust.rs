//! `--engine locust` and `breakpoint worker` against real Locust clusters, over real sockets.
//!
//! Locust is looked for in `target/locust` (`python3 -m venv target/locust && target/locust/bin/pip
//! install locust==2.47.0`) or where `BREAKPOINT_LOCUST` says. Without it the tests say that they
//! are skipped, but in CI they fail.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use breakpoint::engine::locust::PLUGIN;
use breakpoint::measure::Histogram;
use breakpoint::record::{Ending, HoldEnd, RunRecord};
use breakpoint::report;
use serde_json::Value;
use tempfile::TempDir;

use crate::places::PLACES;

/// The folder of Locust's programs, if it is there.
fn locust() -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/locust/bin");
    let bin = std::env::var_os("BREAKPOINT_LOCUST").map_or(here, PathBuf::from);
    if bin.join("locust").exists() {
        return Some(bin);
    }
    let ci = std::env::var_os("CI").is_some_and(|v| !v.is_empty() && v != "false");
    assert!(
        !ci,
        "Locust is not in {}, and CI must have it",
        bin.display()
    );
    println!("skipped: no Locust in {}", bin.display());
    None
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A service with four places that takes 50 ms for each request; returns its address.
fn service() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let free = Arc::new((Mutex::new(4), Condvar::new()));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let free = Arc::clone(&free);
            std::thread::spawn(move || answer(stream, &free));
        }
    });
    address
}

/// Answers the requests of one connection, none of which has a body, until it is closed.
fn answer(mut stream: TcpStream, (free, freed): &(Mutex<u32>, Condvar)) -> Option<()> {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    loop {
        while !head.ends_with(b"\r\n\r\n") {
            let n = stream.read(&mut piece).ok().filter(|n| *n > 0)?;
            head.extend_from_slice(&piece[..n]);
        }
        let mut places = free.lock().unwrap();
        while *places == 0 {
            places = freed.wait(places).unwrap();
        }
        *places -= 1;
        drop(places);
        std::thread::sleep(Duration::from_millis(50));
        *free.lock().unwrap() += 1;
        freed.notify_one();
        let text = if head.starts_with(b"GET /bad") {
            "HTTP/1.1 500 no\r\ncontent-length: 2\r\n\r\nno"
        } else if head.starts_with(b"GET /none") {
            "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno"
        } else {
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        };
        stream.write_all(text.as_bytes()).ok()?;
        head.clear();
    }
}

const USERS: &str = "\
from locust import FastHttpUser, task, constant

class Web(FastHttpUser):
    wait_time = constant(0.2)

    @task(3)
    def work(self):
        self.client.get('/work')

    @task(1)
    def shop(self):
        self.client.get('/cart', name='put into cart')
";

const SHAPE: &str = "
from locust import LoadTestShape

class Steps(LoadTestShape):
    def tick(self):
        return (1, 1) if self.get_run_time() < 5 else None
";

/// A master with workers.
struct Cluster {
    dir: TempDir,
    bin: PathBuf,
    web: u16,
    join: u16,
    host: String,
    files: String,
    master: Option<Running>,
    workers: Vec<Running>,
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Cluster {
    /// A master alone, whose test is these files of Python.
    fn start(bin: &Path, files: &[(&str, &str)]) -> Self {
        let dir = TempDir::new().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        let mut cluster = Self {
            dir,
            bin: bin.to_owned(),
            web: free_port(),
            join: free_port(),
            host: service(),
            files: names.join(","),
            master: None,
            workers: Vec::new(),
        };
        let (web, join) = (cluster.web.to_string(), cluster.join.to_string());
        let master = cluster.locust(&[
            "--master",
            "--web-host",
            "127.0.0.1",
            "--web-port",
            &web,
            "--master-bind-host",
            "127.0.0.1",
            "--master-bind-port",
            &join,
        ]);
        cluster.master = Some(master);
        cluster.wait("the page of the master", |c| {
            c.get("/stats/requests").is_some()
        });
        cluster
    }

    fn locust(&self, args: &[&str]) -> Running {
        let child = Command::new(self.bin.join("locust"))
            .args(["-f", &self.files, "--host", &self.host])
            .args(args)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Running(child)
    }

    fn add_worker(&mut self) {
        let join = self.join.to_string();
        let worker = self.locust(&[
            "--worker",
            "--master-host",
            "127.0.0.1",
            "--master-port",
            &join,
        ]);
        self.workers.push(worker);
        let n = self.workers.len();
        self.wait("a worker", |c| c.workers() >= n);
    }

    /// Our own engine as a worker.
    fn add_our_worker(&mut self, path: &str) {
        let profile = format!(
            "slo = ['p99<9s']\n[target]\nurl = '{}'\n[scenario]\n[[scenario.steps]]\nname = 'look'\nget = '{path}'\n\
             [[scenario.steps]]\nthink = '200ms'\n",
            self.host
        );
        let file = self.dir.path().join("ours.toml");
        fs::write(&file, profile).unwrap();
        let child = program()
            .args(["worker", file.to_str().unwrap(), "--threads", "1"])
            .args(["--master", &format!("127.0.0.1:{}", self.join)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.workers.push(Running(child));
        let n = self.workers.len();
        self.wait("our worker", |c| c.workers() >= n);
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.web)
    }

    /// The body of a page of the master.
    fn get(&self, path: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.web)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        write!(
            stream,
            "GET {path} HTTP/1.0\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n"
        )
        .ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        let (_, body) = text.split_once("\r\n\r\n")?;
        serde_json::from_str(body).ok()
    }

    fn page(&self) -> Value {
        self.get("/stats/requests").unwrap_or_default()
    }

    fn users(&self) -> u64 {
        self.page()["user_count"].as_u64().unwrap_or(0)
    }

    fn workers(&self) -> usize {
        let page = self.page();
        let workers = page["workers"].as_array();
        workers.map_or(0, |all| {
            all.iter().filter(|w| w["state"] != "missing").count()
        })
    }

    fn wait(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is(self) {
            assert!(Instant::now() < deadline, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = program();
        command
            .args(args)
            .args(["--locust-url", &self.url(), "--out"])
            .arg(self.dir.path().join("reports"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The folder of the only run there is.
    fn folder(&self) -> PathBuf {
        let only = |dir: PathBuf| {
            let mut entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
            let first = entries.next().unwrap();
            assert_eq!(entries.next(), None);
            first
        };
        only(only(self.dir.path().join("reports")))
    }

    fn record(&self) -> RunRecord {
        report::read(&fs::read(self.folder().join("result.json")).unwrap()).unwrap()
    }

    /// Nothing of a run is left behind.
    fn is_idle(&self) {
        self.wait("the test to be stopped", |c| {
            let page = c.page();
            page["user_count"] == 0 && (page["state"] == "stopped" || page["state"] == "ready")
        });
    }
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
    command.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.env("CI", "true").stdin(Stdio::null());
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A search that ends at its highest level: the SLO is generous, also to a machine that is busy.
const SEARCH: [&str; 12] = [
    "find",
    "--start-vus",
    "3",
    "--max-vus",
    "6",
    "--budget",
    "70s",
    "--slo",
    "p99(put into cart)<30s",
    "--slo",
    "errors<1%",
    "--quiet",
];

#[test]
#[ignore = "long: drives Locust"]
fn the_plug_in_gives_exact_windows_by_name_and_the_test_is_stopped() {
    let _place = PLACES.take();
    let Some(bin) = locust() else { return };
    let mut cluster = Cluster::start(&bin, &[("users.py", USERS), ("bp.py", PLUGIN)]);
    cluster.add_worker();
    cluster.add_worker();
    let output = cluster.run(&SEARCH);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let record = cluster.record();
    assert_eq!(record.answer.ending, Ending::NeverBroke);
    assert_eq!(record.plan.engine, "locust");
    assert_eq!(record.plan.target, cluster.host);
    assert_eq!(record.plan.steps, ["put into cart", "/work", "requests"]);
    assert_eq!(record.plan.main_step, 2);
    // Users that wait 200 ms between requests of at least 50 ms.
    assert!(
        (0.15..0.4).contains(&record.plan.think_s),
        "{}",
        record.plan.think_s
    );
    let held = record.probes.iter().find(|p| p.end == HoldEnd::Complete);
    let held = held.unwrap();
    let completed: Vec<u64> = held.steps.iter().map(|s| s.completed).collect();
    assert!(
        completed[0] > 0 && completed[1] > completed[0],
        "{completed:?}"
    );
    assert_eq!(completed[2], completed[0] + completed[1]);
    let fastest = held.steps[2].latency.quantile_s(0.0).unwrap();
    assert!((0.050..0.5).contains(&fastest), "{fastest}");
    // A user is in flight a fifth of the time: over all probes some are at the end of a second.
    let mut all = record.probes.iter().flat_map(|p| &p.seconds);
    assert!(all.any(|s| s.steps[2].in_flight > 0));
    let seconds = &held.seconds;
    assert!(seconds.iter().all(|s| (s.span_s - 1.0).abs() < 1e-9));
    let vus: Vec<u32> = seconds.iter().filter(|s| s.hold).map(|s| s.vus).collect();
    assert!(vus.iter().all(|n| *n == held.level.get()), "{vus:?}");
    let generator = seconds.last().unwrap().generator;
    assert_eq!(generator.health.workers, 2);
    assert!(generator.cpu_cores.unwrap() > 0.0);
    cluster.is_idle();
}

#[test]
#[ignore = "long: drives Locust"]
fn without_the_plug_in_latencies_are_bounds_and_that_is_told() {
    let _place = PLACES.take();
    let Some(bin) = locust() else { return };
    let mut cluster = Cluster::start(&bin, &[("users.py", USERS)]);
    cluster.add_worker();
    let output = cluster.run(&SEARCH);
    let record = cluster.record();
    assert_eq!(record.plan.engine, "locust without plug-in");
    let told = record.warnings.iter().any(|w| w.contains("1.95 to 2.05 s"));
    assert!(told, "{:?}", record.warnings);
    assert_eq!(record.plan.steps, ["put into cart", "/work", "requests"]);
    let probe = record
        .probes
        .first()
        .unwrap_or_else(|| panic!("{}", said(&output)));
    let counted = probe.steps[2].completed;
    // Three users at four requests a second at most.
    assert!(counted > 5 && counted < 400, "{counted}");
    let p50 = probe.steps[2].latency.quantile_s(0.5).unwrap();
    assert!((0.045..1.0).contains(&p50), "{p50}");
    cluster.is_idle();
    let output = cluster.run(&["ramp", "--stages", "2:2s", "--slo", "p99<9s"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("load the plug-in"),
        "{}",
        said(&output)
    );
}

#[test]
#[ignore = "long: drives Locust"]
fn our_workers_join_a_master_and_mix_with_those_in_python() {
    let _place = PLACES.take();
    let Some(bin) = locust() else { return };
    let mut cluster = Cluster::start(&bin, &[("users.py", USERS), ("bp.py", PLUGIN)]);
    cluster.add_worker();
    cluster.add_our_worker("/look");
    let args = [
        "ramp",
        "--stages",
        "4:0s,4:8s",
        "--slo",
        "p99(look)<30s",
        "--quiet",
    ];
    let output = cluster.run(&args);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // Its rows are on the master's page, with times that Locust made percentiles of.
    let page = cluster.page();
    let rows = page["stats"].as_array().unwrap();
    let row = rows.iter().find(|r| r["name"] == "look").unwrap();
    assert_eq!(row["method"], "step");
    assert!(row["num_requests"].as_u64().unwrap() > 5, "{row}");
    assert!(row["response_time_percentile_0.99"].as_f64().unwrap() >= 50.0);
    let text = fs::read(cluster.folder().join("ramp.json")).unwrap();
    let record = report::read_ramp(&text).unwrap();
    assert_eq!(
        record.plan.steps,
        ["look", "/work", "put into cart", "requests"]
    );
    let stage = record.stages.last().unwrap();
    let completed: Vec<u64> = stage.steps.iter().map(|s| s.completed).collect();
    // Half of the users are ours.
    assert!(completed[0] > 0 && completed[1] > 0, "{completed:?}");
    let last = stage.seconds.last().unwrap();
    assert_eq!(last.seen.vus, 4);
    assert_eq!(last.seen.generator.health.workers, 2);
    cluster.is_idle();
    assert_eq!(cluster.workers(), 2, "it is there for the next run");
    // Sent home with the master.
    let quit = Command::new("kill")
        .args([
            "-TERM",
            &cluster.master.as_ref().unwrap().0.id().to_string(),
        ])
        .status();
    assert!(quit.unwrap().success());
    let ours = &mut cluster.workers[1].0;
    let deadline = Instant::now() + Duration::from_secs(30);
    let status = loop {
        if let Some(status) = ours.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < deadline, "our worker did not go home");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(status.code(), Some(0));
}

#[test]
#[ignore = "long: drives Locust"]
fn a_worker_killed_in_a_hold_makes_it_invalid() {
    let _place = PLACES.take();
    let Some(bin) = locust() else { return };
    let mut cluster = Cluster::start(&bin, &[("users.py", USERS), ("bp.py", PLUGIN)]);
    cluster.add_worker();
    cluster.add_worker();
    let args = [
        "ramp",
        "--stages",
        "6:0s,6:14s",
        "--slo",
        "p99<30s",
        "--quiet",
    ];
    let running = cluster.command(&args).spawn().unwrap();
    cluster.wait("the trial", |c| c.users() == 6);
    cluster.wait("its end", |c| c.users() < 2);
    cluster.wait("the stage", |c| c.users() == 6);
    std::thread::sleep(Duration::from_secs(2));
    drop(cluster.workers.remove(0));
    let output = running.wait_with_output().unwrap();
    let text = fs::read(cluster.folder().join("ramp.json")).unwrap();
    let record = report::read_ramp(&text).unwrap();
    let stage = record.stages.last().unwrap();
    assert_eq!(stage.end, HoldEnd::Invalid, "{}", said(&output));
    assert!(
        stage.reason.contains("1 of 2 workers did not report"),
        "{}",
        stage.reason
    );
    assert!(record.breach.is_none());
    let told = record
        .warnings
        .iter()
        .any(|w| w.contains("workers were lost"));
    assert!(told, "{:?}", record.warnings);
    cluster.is_idle();
}

#[test]
#[ignore = "long: drives Locust"]
fn ctrl_c_stops_the_test() {
    let _place = PLACES.take();
    let Some(bin) = locust() else { return };
    let mut cluster = Cluster::start(&bin, &[("users.py", USERS), ("bp.py", PLUGIN)]);
    cluster.add_worker();
    let running = cluster.command(&SEARCH).spawn().unwrap();
    cluster.wait("the trial", |c| c.users() == 3);
    cluster.wait("its end", |c| c.users() < 2);
    cluster.wait("the first probe", |c| c.users() == 3);
    let told = Command::new("kill")
        .args(["-INT", &running.id().to_string()])
        .status();
    assert!(told.unwrap().success());
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    cluster.is_idle();
    assert_eq!(cluster.record().answer.ending, Ending::Interrupted);
}

#[test]
#[ignore = "long: drives Locust"]
fn a_breakpoint_that_dies_leaves_no_load_behind() {
    let _place = PLACES.take();
    let Some(bin) = locust() else { return };
    let mut cluster = Cluster::start(&bin, &[("users.py", USERS), ("bp.py", PLUGIN)]);
    cluster.add_worker();
    let mut running = Running(cluster.command(&SEARCH).spawn().unwrap());
    cluster.wait("the trial", |c| c.users() == 3);
    running.0.kill().unwrap();
    // The plug-in waits for half a minute.
    cluster.is_idle();
}

#[test]
#[ignore = "long: drives Locust"]
fn what_cannot_be_driven_is_refused_with_the_way_out() {
    let _place = PLACES.take();
    let Some(bin) = locust() else { return };
    let refused = |output: &Output, code: i32, part: &str| {
        let text = said(output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains(part), "`{part}` is not in: {text}");
    };
    let nobody = format!("http://127.0.0.1:{}", free_port());
    let out = TempDir::new().unwrap();
    let output = program()
        .args(["find", "--slo", "p99<1s", "--locust-url", &nobody, "--out"])
        .arg(out.path())
        .output()
        .unwrap();
    refused(&output, 4, "does not answer");

    let shaped = format!("{USERS}{SHAPE}");
    let mut cluster = Cluster::start(&bin, &[("users.py", &shaped), ("bp.py", PLUGIN)]);
    let search = ["find", "--slo", "p99<1s"];
    refused(&cluster.run(&search), 2, "LoadTestShape `Steps`");
    drop(cluster.master.take());

    cluster = Cluster::start(&bin, &[("users.py", USERS), ("bp.py", PLUGIN)]);
    refused(&cluster.run(&search), 4, "no worker is connected");
    cluster.files = "users.py".to_owned();
    cluster.add_worker();
    refused(&cluster.run(&search), 4, "do not report to the plug-in");
}

#[test]
#[ignore = "long: drives Locust"]
fn the_plug_in_counts_in_our_buckets_and_knows_why_requests_fail() {
    let Some(bin) = locust() else { return };
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("bp.py"), PLUGIN).unwrap();
    let script = r#"
import json, sys
import bp
values = json.loads(sys.argv[1])
class Answer:
    def __init__(self, status, headers=None):
        self.status_code, self.headers = status, headers or {}
inner = ConnectionRefusedError(111, "refused")
outer = RuntimeError("wrapped")
outer.__cause__ = inner
full = RuntimeError("wrapped", OSError(24, "Too many open files"))
kinds = [
    bp.kind(outer, None),
    bp.kind(full, None),
    bp.kind(TimeoutError(), None),
    bp.kind(RuntimeError("500"), 500),
    bp.kind(RuntimeError("not what was asked for"), 200),
    bp.kind("a text", None),
]
sheds = [
    bp.is_shed(Answer(503, {"Retry-After": "1"}), 503),
    bp.is_shed(Answer(503), 503),
    bp.is_shed(Answer(200, {"retry-after": "1"}), 200),
    bp.is_shed(None, None),
]
bp.COUNTS.on = True
for said in ["gone", "gone", *map(str, range(20))]:
    bp.COUNTS.completed("/a", "GET", 1, Answer(404), RuntimeError(said))
ways = bp.COUNTS.cut()["/a"]["ways"]
print(json.dumps([[bp.bucket(v) for v in values], kinds, sheds, bp.label("http://host/a/b?x=1"), bp.label("/c"), ways]))
"#;
    let mut values: Vec<u64> = (0..3_000).step_by(7).collect();
    values.extend((11..40).flat_map(|bit| {
        let power = 1_u64 << bit;
        [power - 1, power, power + 1, power + power / 3]
    }));
    let output = Command::new(bin.join("python"))
        .args(["-c", script, &serde_json::to_string(&values).unwrap()])
        .current_dir(dir.path())
        .output()
        .unwrap();
    let answer: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    for (value, bucket) in values.iter().zip(answer[0].as_array().unwrap()) {
        let ours = Histogram::of_micros(&mut [*value]);
        assert_eq!(ours.buckets()[0].0, bucket.as_u64().unwrap(), "{value}");
    }
    assert_eq!(
        answer[1],
        serde_json::json!([
            "connect_refused",
            "no_descriptors",
            "timeout",
            "status",
            "wrong_event",
            "protocol"
        ])
    );
    assert_eq!(answer[2], serde_json::json!([true, false, false, false]));
    assert_eq!(answer[3], "/a/b?x=1");
    assert_eq!(answer[4], "/c");
    let ways = answer[5].as_array().unwrap();
    assert_eq!(
        ways[0],
        serde_json::json!({"kind": "status", "status": 404, "message": "gone", "request": "GET /a", "count": 2})
    );
    assert_eq!(ways.len(), 17, "and the rest together");
    let all = ways.iter().map(|way| way["count"].as_u64().unwrap());
    assert_eq!(all.sum::<u64>(), 22, "none is lost");
}

#[test]
fn a_worker_without_a_master_or_a_service_says_what_is_missing() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("none.toml");
    fs::write(
        &file,
        "slo = ['p99<1s']\n[engine]\nkind = 'locust'\n[scenario]\n[[scenario.steps]]\nname = \
         'a'\nget = '/'\n",
    )
    .unwrap();
    let args = |master: &str| {
        program()
            .args(["worker", file.to_str().unwrap(), "--master", master])
            .output()
            .unwrap()
    };
    for (master, part) in [
        ("127.0.0.1:1", "names no target"),
        ("http://127.0.0.1:8089/", "write HOST:PORT"),
    ] {
        let output = args(master);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        let either = said(&output);
        assert!(
            either.contains(part) || either.contains("names no target"),
            "{either}"
        );
    }
}

/// A cluster whose users are a fixed number has said so before half of the budget is spent, by
/// either way of asking it.
#[test]
#[ignore = "long: drives Locust"]
fn a_level_that_the_cluster_cannot_reach_ends_the_search_and_is_told() {
    let Some(bin) = locust() else { return };
    let _place = PLACES.take();
    let fixed = USERS.replace("    wait_time", "    fixed_count = 4\n    wait_time");
    let plugin: &[(&str, &str)] = &[("users.py", &fixed), ("bp.py", PLUGIN)];
    let plain: &[(&str, &str)] = &[("users.py", &fixed)];
    for files in [plugin, plain] {
        let mut cluster = Cluster::start(&bin, files);
        cluster.add_worker();
        let began = Instant::now();
        let output = cluster.run(&[
            "find",
            "--start-vus",
            "3",
            "--max-vus",
            "12",
            "--budget",
            "120s",
            "--slo",
            "errors<1%",
        ]);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(4), "{told}");
        assert!(began.elapsed() < Duration::from_secs(150), "{told}");
        assert!(
            told.contains("the Locust cluster runs 4 of the 6 requested users"),
            "{told}"
        );
        assert!(told.contains("--max-vus 4"), "{told}");
        let record = cluster.record();
        assert_eq!(record.answer.ending, Ending::GeneratorLimited);
        let held: Vec<u32> = record.probes.iter().map(|p| p.level.get()).collect();
        assert_eq!(held, [3], "what was measured below is kept: {told}");
        cluster.is_idle();
    }
}

/// What cannot be found is no target that is down, by either way of asking the cluster; and what
/// fails in a search has its name.
#[test]
#[ignore = "long: drives Locust"]
fn a_cluster_whose_requests_fail_tells_the_status_and_of_what() {
    failures_are_told(true);
}

#[test]
#[ignore = "long: drives Locust"]
fn so_does_one_without_the_plug_in() {
    failures_are_told(false);
}

fn failures_are_told(plugin: bool) {
    let Some(bin) = locust() else { return };
    let _place = PLACES.take();
    let gone = USERS
        .replace("'/work'", "'/none?token=abcdef'")
        .replace("'/cart'", "'/none'");
    let some = USERS.replace("'/cart'", "'/bad'");
    for (users, is_gone) in [(&gone, true), (&some, false)] {
        let both = [("users.py", users.as_str()), ("bp.py", PLUGIN)];
        let mut cluster = Cluster::start(&bin, &both[..=usize::from(plugin)]);
        cluster.add_worker();
        let began = Instant::now();
        let args = [
            "--max-vus",
            "3",
            "--budget",
            "40s",
            "--slo",
            "errors<90%",
            "--min-vus",
            "3",
        ];
        let output = cluster.run(&[&["find"], &args[..]].concat());
        let told = said(&output);
        let record = cluster.record();
        if is_gone {
            assert_eq!(record.answer.ending, Ending::TargetDown, "{told}");
            assert!(told.contains("was answered with 404"), "{told}");
            assert!(
                !told.contains("abcdef") && !told.contains("does not answer"),
                "{told}"
            );
            assert!(began.elapsed() < Duration::from_secs(60), "{told}");
        } else {
            let failed = record
                .probes
                .iter()
                .flat_map(|p| &p.steps)
                .flat_map(|s| &s.failures);
            let ways: Vec<_> = failed
                .map(|w| (w.status, w.request.as_deref(), &*w.message))
                .collect();
            let want = (Some(500), Some("GET put into cart"), "");
            assert!(ways.contains(&want), "{ways:?} {told}");
        }
        cluster.is_idle();
    }
}
