//! `--script`: k6 as the engine, over real processes and sockets.
//!
//! The k6 here is a stand-in, `tests/k6/k6` (a script for Node 20): what these tests need of k6,
//! and not k6. With the path of a real one in `BREAKPOINT_TEST_K6` that is driven instead. Without
//! Node the tests say that they are skipped, but in CI they fail.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use breakpoint::record::{Ending, HoldEnd, RampRecord, RunRecord};
use breakpoint::report;
use breakpoint::slo::Verdict;
use tempfile::TempDir;

use crate::places::PLACES;

/// The k6 that is driven, if there is one.
fn k6() -> Option<PathBuf> {
    if let Some(real) = std::env::var_os("BREAKPOINT_TEST_K6") {
        return Some(real.into());
    }
    let stand_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/k6/k6");
    let works = Command::new(&stand_in).arg("version").output();
    if works.is_ok_and(|output| output.status.success()) {
        return Some(stand_in);
    }
    let ci = std::env::var_os("CI").is_some_and(|v| !v.is_empty() && v != "false");
    assert!(!ci, "Node 20 is not here, and CI must have it");
    println!("skipped: no Node");
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

/// A service that answers one request after the other and writes down what it was asked.
struct Service {
    address: String,
    asked: Arc<Mutex<Vec<String>>>,
    /// Of the requests for `/maybe`, every so manieth is never answered; 0 is none.
    hangs: Arc<AtomicU32>,
}

impl Service {
    /// Each request takes so long, and nothing else is done meanwhile.
    fn start(takes: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let service = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            asked: Arc::default(),
            hangs: Arc::default(),
        };
        let (asked, hangs) = (Arc::clone(&service.asked), Arc::clone(&service.hangs));
        let place = Arc::new(Mutex::new(()));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, hangs, place) =
                    (Arc::clone(&asked), Arc::clone(&hangs), Arc::clone(&place));
                std::thread::spawn(move || answer(stream, &asked, &hangs, &place, takes));
            }
        });
        service
    }

    fn count(&self, path: &str) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|p| *p == path).count()
    }
}

/// Answers the requests of one connection, none of which has a body, until it is closed.
fn answer(
    mut stream: TcpStream,
    asked: &Mutex<Vec<String>>,
    hangs: &AtomicU32,
    place: &Mutex<()>,
    takes: Duration,
) -> Option<()> {
    let mut head = Vec::new();
    let mut piece = [0; 4096];
    loop {
        while !head.ends_with(b"\r\n\r\n") {
            let n = stream.read(&mut piece).ok().filter(|n| *n > 0)?;
            head.extend_from_slice(&piece[..n]);
        }
        let text = String::from_utf8_lossy(&head);
        let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
        let before = {
            let mut asked = asked.lock().unwrap();
            asked.push(path.clone());
            asked.iter().filter(|p| **p == path).count()
        };
        let every = usize::try_from(hangs.load(Ordering::Relaxed)).unwrap();
        if path == "/maybe" && every > 0 && before % every == 0 {
            // Until the client gives up.
            while stream.read(&mut piece).is_ok_and(|n| n > 0) {}
            return None;
        }
        let busy = place.lock().unwrap();
        std::thread::sleep(takes);
        drop(busy);
        let answer = if path == "/bad" {
            "HTTP/1.1 500 no\r\ncontent-length: 2\r\n\r\nno"
        } else {
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
        };
        stream.write_all(answer.as_bytes()).ok()?;
        head.clear();
    }
}

/// A script of k6 with a service, in a folder of its own.
struct Case {
    dir: TempDir,
    k6: PathBuf,
    service: Service,
}

const IMPORTS: &str = "\
import http from 'k6/http';
import { sleep } from 'k6';
import exec from 'k6/execution';
const base = __ENV.BASE;
";

impl Case {
    fn new(k6: &Path, takes_ms: u64, script: &str) -> Self {
        let case = Self {
            dir: TempDir::new().unwrap(),
            k6: k6.to_owned(),
            service: Service::start(Duration::from_millis(takes_ms)),
        };
        fs::create_dir(case.scripts()).unwrap();
        fs::write(case.script(), format!("{IMPORTS}{script}")).unwrap();
        case
    }

    fn scripts(&self) -> PathBuf {
        self.dir.path().join("scripts")
    }

    fn script(&self) -> PathBuf {
        self.scripts().join("script.js")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
        command
            .args(args)
            .arg("--script")
            .arg(self.script())
            .arg("--k6")
            .arg(&self.k6)
            .args(["--k6-env", &format!("BASE={}", self.service.address)])
            .args(["--quiet", "--out"])
            .arg(self.dir.path().join("reports"))
            .env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"))
            .env("CI", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// The file of the only run there is.
    fn file(&self, name: &str) -> Vec<u8> {
        let only = |dir: PathBuf| {
            let mut entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
            let first = entries.next().unwrap();
            assert_eq!(entries.next(), None);
            first
        };
        fs::read(only(only(self.dir.path().join("reports"))).join(name)).unwrap()
    }

    fn record(&self) -> RunRecord {
        report::read(&self.file("result.json")).unwrap()
    }

    fn ramp(&self) -> RampRecord {
        report::read_ramp(&self.file("ramp.json")).unwrap()
    }

    /// Processes that run something in the script's folder.
    fn processes(&self) -> usize {
        let folder = self.scripts().display().to_string();
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let lines = entries.filter_map(|e| fs::read(e.path().join("cmdline")).ok());
        lines
            .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
            .filter(|line| line.contains(" run ") && line.contains(&folder))
            .count()
    }

    /// Waits until something is so.
    fn wait(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !is(self) {
            assert!(Instant::now() < deadline, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Nothing of a run is left: no process, and no file beside the script.
    fn is_clean(&self) {
        self.wait("k6 to end", |case| case.processes() == 0);
        let files = fs::read_dir(self.scripts()).unwrap();
        let names: Vec<_> = files.map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["script.js"]);
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn refused(case: &Case, args: &[&str], code: i32, parts: &[&str]) {
    let output = case.run(args);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    case.is_clean();
}

const RAMP: [&str; 5] = ["ramp", "--stages", "4:0s,4:6s", "--slo", "p99<30s"];

#[test]
fn a_search_brackets_what_theory_says() {
    let _place = PLACES.take();
    let Some(k6) = k6() else { return };
    // Twenty requests per second, of users who think half a second: a line forms from 11 VUs on,
    // and with 20 a request takes 0.5 s.
    let script = "export default function () { http.get(`${base}/work`, { tags: { name: 'work' } \
        }); sleep(0.5); }";
    let case = Case::new(&k6, 50, script);
    let args = [
        "find",
        "--start-vus",
        "16",
        "--max-vus",
        "32",
        "--budget",
        "32s",
        "--slo",
        "p90(work)<500ms",
    ];
    let output = case.run(&args);
    let record = case.record();
    assert_eq!(record.plan.engine, "k6");
    assert_eq!(record.plan.steps, ["work", "iteration", "requests"]);
    assert_eq!(record.plan.main_step, 2);
    let judged = |verdict: Verdict| {
        let probes = record.probes.iter().filter(move |p| p.verdict == verdict);
        probes.map(|p| p.level.get()).collect::<Vec<u32>>()
    };
    let (held, broke) = (judged(Verdict::Held), judged(Verdict::Broke));
    assert!(!held.is_empty() && !broke.is_empty(), "{}", said(&output));
    assert!(held.iter().all(|level| *level < 28), "{held:?}");
    assert!(broke.iter().all(|level| *level > 10), "{broke:?}");
    let probe = record.probes.iter().find(|p| p.end == HoldEnd::Complete);
    let probe = probe.unwrap();
    let vus: Vec<u32> = (probe.seconds.iter().filter(|s| s.hold))
        .map(|s| s.vus)
        .collect();
    assert!(vus.iter().all(|n| *n == probe.level.get()), "{vus:?}");
    let completed: Vec<u64> = probe.steps.iter().map(|s| s.completed).collect();
    assert_eq!(completed[0], completed[2]);
    assert!(completed[1].abs_diff(completed[0]) <= u64::from(probe.level.get()));
    let fastest = |step: usize| probe.steps[step].latency.quantile_s(0.0).unwrap();
    assert!((0.05..1.0).contains(&fastest(2)), "{}", fastest(2));
    assert!(fastest(1) >= 0.55, "with the think time: {}", fastest(1));
    let generator = probe.seconds.last().unwrap().generator;
    assert!(generator.cpu_cores.unwrap() > 0.0);
    assert!(generator.health.process_cpu.unwrap() > 0.0);
    case.is_clean();
}

#[test]
fn functions_have_their_weights_and_setup_runs_once() {
    let _place = PLACES.take();
    let Some(k6) = k6() else { return };
    let script = "\
export const options = { rps: 1, discardResponseBodies: true, thresholds: { http_req_failed: ['rate<0.01'] } };
export function setup() { http.get(`${base}/setup`); return { word: 'known' }; }
export function teardown(data) { http.get(`${base}/teardown-${data.word}`); }
export function browse(data) { http.get(`${base}/browse-${data.word}`, { tags: { name: 'browse' } }); sleep(0.2); }
export async function buy() { http.get(`${base}/buy`, { tags: { name: 'buy' } }); sleep(0.2); throw new Error('sold out'); }
";
    let case = Case::new(&k6, 5, script);
    let args = [&RAMP[..], &["--k6-exec", "browse=3,buy=1"]].concat();
    let output = case.run(&args);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(case.service.count("/setup"), 1);
    assert_eq!(case.service.count("/teardown-known"), 1);
    let record = case.ramp();
    assert_eq!(
        record.plan.steps,
        ["browse", "buy", "iteration", "requests"]
    );
    let stage = record.stages.last().unwrap();
    let completed: Vec<u64> = stage.steps.iter().map(|s| s.completed).collect();
    // Three VUs and one; `setup` is in none of them.
    assert!(completed[1] > 0, "{completed:?}");
    assert!(
        (2..=4).contains(&(completed[0] / completed[1])),
        "{completed:?}"
    );
    assert_eq!(completed[3], completed[0] + completed[1]);
    let failed = stage.steps[2].failed.iter().map(|(_, n)| n).sum::<u64>();
    assert!(failed.abs_diff(completed[1]) <= 2, "{failed} {completed:?}");
    assert_eq!(stage.seconds.last().unwrap().seen.vus, 4);
    let told = |part: &str| record.warnings.iter().any(|w| w.contains(part));
    assert!(told("iterations threw: sold out"), "{:?}", record.warnings);
    assert!(told("rps"), "{:?}", record.warnings);
    case.is_clean();
}

#[test]
fn a_script_that_cannot_run_is_refused_with_what_it_says() {
    let _place = PLACES.take();
    let Some(k6) = k6() else { return };
    let throws = "export default function () { http.get(base); sleep(0.1); throw new Error('never \
        works'); }";
    let aborts =
        "export default function () { http.get(base); sleep(0.2); exec.test.abort('enough'); }";
    std::thread::scope(|scope| {
        for (script, parts) in [
            (
                throws,
                ["every iteration of the script threw", ": never works"],
            ),
            (aborts, ["the script ended the test itself", "enough"]),
        ] {
            let k6 = &k6;
            scope.spawn(move || {
                let case = Case::new(k6, 5, script);
                refused(&case, &RAMP, 2, &parts);
            });
        }
    });
}

#[test]
fn what_only_k6_has_is_measured() {
    let _place = PLACES.take();
    let Some(k6) = k6() else { return };
    let grpc = "import grpc from 'k6/net/grpc';
const client = new grpc.Client();
export default function () { client.invoke('hello.Greeter/SayHello', {}); sleep(0.1); }";
    let extension = "import { work } from 'k6/x/thing';
export default function () { work(); sleep(0.1); }";
    let ramp = ["ramp", "--stages", "2:0s,2:4s", "--slo", "p99<30s"];
    let run = |script: &str| {
        let case = Case::new(&k6, 5, script);
        let output = case.run(&ramp);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        case.is_clean();
        case.ramp()
    };
    std::thread::scope(|scope| {
        let of_grpc = scope.spawn(|| run(grpc));
        let of_extension = run(extension);
        let of_grpc = of_grpc.join().unwrap();
        let steps = ["hello.Greeter/SayHello", "iteration", "requests"];
        assert_eq!(of_grpc.plan.steps, steps);
        let stage = of_grpc.stages.last().unwrap();
        let completed: Vec<u64> = stage.steps.iter().map(|s| s.completed).collect();
        assert!(completed[0] > 10, "{completed:?}");
        assert_eq!(completed[0], completed[2]);
        assert_eq!(of_extension.plan.steps, ["iteration", "requests"]);
        let stage = of_extension.stages.last().unwrap();
        assert!(stage.steps[1].completed > 10);
        assert_eq!(stage.steps[0].completed, stage.steps[1].completed);
        let told = |w: &String| w.contains("iterations stand for requests");
        assert!(
            of_extension.warnings.iter().any(told),
            "{:?}",
            of_extension.warnings
        );
    });
}

/// An address of this machine that others can reach; nothing is sent to learn it.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

#[test]
fn who_is_not_allowed_is_sent_nothing() {
    let _place = PLACES.take();
    let Some(k6) = k6() else { return };
    let Some(address) = own_address() else {
        println!("skipped: this machine has only its loopback");
        return;
    };
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    listener.set_nonblocking(true).unwrap();
    let script = format!(
        "export default function () {{ http.get(base); http.get('http://{address}:{port}/x'); \
         sleep(0.2); }}"
    );
    let case = Case::new(&k6, 5, &script);
    refused(&case, &RAMP, 2, &[&format!("`--allow-target {address}`")]);
    assert!(case.service.count("/") > 0, "the others are allowed");
    let connected = listener.accept();
    assert_eq!(
        connected.unwrap_err().kind(),
        std::io::ErrorKind::WouldBlock
    );
}

#[test]
fn a_breakpoint_that_dies_leaves_no_load_behind() {
    let _place = PLACES.take();
    let Some(k6) = k6() else { return };
    let script = "export default function () { http.get(`${base}/work`); sleep(0.1); }";
    let dies = |lives_on: bool| {
        let case = Case::new(&k6, 5, script);
        let mut command = case.command(&["ramp", "--stages", "4:0s,4:60s", "--slo", "p99<30s"]);
        if lives_on {
            // It does not die of a broken pipe, so that the wrapper has to end it.
            command.env("K6_STAND_IN_LIVES_ON", "1");
        }
        let mut running = Running(command.spawn().unwrap());
        case.wait("the load", |case| case.service.count("/work") > 50);
        running.0.kill().unwrap();
        case.is_clean();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| dies(true));
        dies(false);
    });
}

#[test]
fn ctrl_c_ends_k6() {
    let _place = PLACES.take();
    let Some(k6) = k6() else { return };
    let script = "\
export default function () { http.get(`${base}/work`); sleep(0.1); }
export function teardown() { http.get(`${base}/teardown`); }
";
    let case = Case::new(&k6, 5, script);
    let args = ["ramp", "--stages", "4:0s,4:60s", "--slo", "p99<30s"];
    // Once in the look around, and once in the stage.
    for (n, requests) in [(1, 3), (2, 150)] {
        let before = case.service.count("/work");
        let running = case.command(&args).spawn().unwrap();
        case.wait("load", |case| {
            case.service.count("/work") > before + requests
        });
        let told = Command::new("kill")
            .args(["-INT", &running.id().to_string()])
            .status();
        assert!(told.unwrap().success());
        let output = running.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130), "{}", said(&output));
        assert_eq!(case.processes(), 0);
        assert_eq!(case.service.count("/teardown"), n);
        case.is_clean();
    }
}

#[test]
fn a_target_that_lets_some_hang_is_never_held() {
    let _place = PLACES.take();
    let Some(k6) = k6() else { return };
    let script = "export default function () { http.get(`${base}/maybe`, { tags: { name: 'maybe' \
        } }); sleep(0.2); }";
    let case = Case::new(&k6, 5, script);
    let args = [
        "find",
        "--start-vus",
        "8",
        "--max-vus",
        "12",
        "--budget",
        "20s",
        "--slo",
        "p99<3s",
    ];
    let running = case.command(&args).spawn().unwrap();
    // The look around and the canaries pass.
    case.wait("the first probe", |case| case.service.count("/maybe") > 250);
    // A few of a hundred: two or three VUs wait for ever, and the rest go on.
    case.service.hangs.store(40, Ordering::Relaxed);
    let output = running.wait_with_output().unwrap();
    let record = case.record();
    assert!(!record.probes.is_empty(), "{}", said(&output));
    let held = record.probes.iter().find(|p| p.verdict == Verdict::Held);
    assert!(held.is_none(), "{}", said(&output));
    let mut seconds = record.probes.iter().flat_map(|p| &p.seconds);
    assert!(seconds.any(|s| s.steps.last().unwrap().in_flight > 0));
    assert_ne!(record.answer.ending, Ending::NeverBroke);
    case.is_clean();
}
