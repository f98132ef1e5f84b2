//! How a run is stopped: nothing new is sent once it is, and what was measured stays.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::target_server::Server;
use breakpoint::record::{Ending, RampEnding, RampRecord, RunRecord};

/// By then no request may begin any more.
const STOPPED: Duration = Duration::from_secs(1);
/// How long anything may take that is waited for.
const LONG: Duration = Duration::from_secs(60);

/// Users who hold a stream, wait for slow answers, and ask quick questions between them.
fn profile(server: &Server, more: &str) -> String {
    format!(
        "name = 'p'\nslo = ['errors<50%']\n[target]\nurl = '{}'\n{more}\n\
         [scenario]\ntimeout = '30s'\n\
         [[scenario.steps]]\nname = 'open'\nopen = '/sse'\n\
         [[scenario.steps]]\nname = 'quick'\nget = '/quick'\n\
         [[scenario.steps]]\nname = 'slow'\nget = '/slow'\n\
         [[scenario.steps]]\nname = 'last'\nget = '/quick'\n\
         [search]\nstart-vus = 150\nmax-vus = 3000\nbudget = '10m'\nhold-min = '1s'\nhold-max = '2s'\n\
         settle-max = '2s'\npace = 1000\n",
        server.url()
    )
}

struct Run {
    child: Child,
    folder: tempfile::TempDir,
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Run {
    fn start(profile: &str, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
        command.args(args).args(["--quiet", "--out", "reports"]);
        Self::by(&mut command, profile)
    }

    fn by(command: &mut Command, profile: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("p.toml"), profile).unwrap();
        let log = fs::File::create(folder.path().join("stderr")).unwrap();
        command
            .current_dir(folder.path())
            .env("XDG_STATE_HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn().unwrap();
        Self { child, folder }
    }

    fn find(profile: &str, more: &[&str]) -> Self {
        Self::start(profile, &[&["find", "p.toml"], more].concat())
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success());
    }

    fn ends_with(&mut self, code: i32) {
        let status = wait_for("the end", || self.child.try_wait().unwrap());
        assert_eq!(status.code(), Some(code), "{}", self.said());
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    fn dir(&self) -> Option<PathBuf> {
        let runs = fs::read_dir(self.folder.path().join("reports/p")).ok()?;
        runs.flatten().map(|e| e.path()).next()
    }

    /// Probes whose judgement a crash would not reach.
    fn judged(&self) -> usize {
        let lines = |dir: PathBuf| fs::read_to_string(dir.join("journal.jsonl")).ok();
        let text = self.dir().and_then(lines).unwrap_or_default();
        text.lines().count().saturating_sub(1)
    }

    fn record(&self) -> RunRecord {
        let file = self.dir().unwrap().join("result.json");
        breakpoint::report::read(&fs::read(file).unwrap()).unwrap()
    }

    fn ramp_record(&self) -> RampRecord {
        let file = self.dir().unwrap().join("ramp.json");
        serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
    }
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LONG;
    while Instant::now() < deadline {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{what} did not come within {LONG:?}");
}

fn busy(server: &Server) {
    wait_for("load", || {
        (server.streams() >= 100 && server.slow() >= 100).then_some(())
    });
}

/// No request was begun later than a second after the stop, and there were some before.
fn nothing_begun_after(server: &Server, stopped: Instant) {
    let begun = server.begun();
    assert!(begun.len() > 200, "{} requests", begun.len());
    let late = begun.iter().filter(|(at, _)| *at > stopped + STOPPED);
    let late: Vec<_> = late
        .map(|(at, path)| format!("{path} after {:?}", *at - stopped))
        .collect();
    assert!(late.is_empty(), "{late:?}");
    all_gone(server);
}

fn all_gone(server: &Server) {
    wait_for("the end of all connections", || {
        (server.streams() == 0 && server.slow() == 0).then_some(())
    });
}

#[test]
fn ctrl_c_ends_the_load_within_a_second_and_keeps_what_was_measured() {
    let server = Server::start();
    for load in [
        &[][..],
        &["--rate", "--start-rate", "80", "--max-rate", "9000"],
    ] {
        let mut run = Run::find(&profile(&server, ""), load);
        busy(&server);
        wait_for("a judged probe", || (run.judged() >= 1).then_some(()));
        busy(&server);
        // Not at the end of a window.
        std::thread::sleep(Duration::from_millis(300));
        let stopped = Instant::now();
        run.signal("-INT");
        run.ends_with(130);
        nothing_begun_after(&server, stopped);
        let record = run.record();
        assert_eq!(record.answer.ending, Ending::Interrupted);
        assert_eq!(record.answer.reason, "interrupted by the user");
        assert!(!record.probes.is_empty());
        assert!(record.probes.len() >= run.judged());
    }
}

#[test]
fn ctrl_c_ends_a_ramp_as_fast() {
    let server = Server::start();
    let ramp = ["ramp", "p.toml", "--stages", "200:1s,200:1m"];
    let mut run = Run::start(&profile(&server, ""), &ramp);
    busy(&server);
    std::thread::sleep(Duration::from_millis(1300));
    let stopped = Instant::now();
    run.signal("-TERM");
    run.ends_with(130);
    nothing_begun_after(&server, stopped);
    let record = run.ramp_record();
    assert_eq!(record.ending, RampEnding::Interrupted);
    assert!(!record.stages.is_empty());
}

#[test]
fn ctrl_c_does_not_wait_for_a_canary_cycle() {
    let server = Server::start();
    let mut run = Run::find(&profile(&server, "canary-cycles = 100"), &[]);
    wait_for("a canary", || (server.slow() == 1).then_some(()));
    let stopped = Instant::now();
    run.signal("-INT");
    run.ends_with(130);
    let begun = server.begun();
    assert!(begun.iter().all(|(at, _)| *at < stopped + STOPPED));
    all_gone(&server);
    assert_eq!(run.record().answer.ending, Ending::Interrupted);
}

#[test]
fn a_second_ctrl_c_ends_the_program_at_once() {
    let server = Server::start();
    let down = "up = 'true'\ndown = 'touch going-down; sleep 600'";
    let mut run = Run::find(&profile(&server, down), &["--yes"]);
    busy(&server);
    wait_for("a judged probe", || (run.judged() >= 1).then_some(()));
    run.signal("-INT");
    let going_down = run.folder.path().join("going-down");
    wait_for("the way down", || going_down.exists().then_some(()));
    let judged = run.judged();
    // What comes within a tenth of a second is the same wish: `timeout` signals twice.
    std::thread::sleep(Duration::from_millis(250));
    run.signal("-INT");
    // The command would take ten minutes.
    run.ends_with(130);
    assert_eq!(run.judged(), judged);
    nothing_runs_in(run.folder.path());
}

#[test]
fn what_an_up_has_begun_that_is_broken_off_is_taken_down() {
    let server = Server::start();
    let commands = "up = 'touch coming-up; sleep 600'\ndown = 'touch down'";
    let text = profile(&server, commands);
    let mut run = Run::find(&text, &["--yes"]);
    let is_there = |run: &Run, name: &str| run.folder.path().join(name).exists().then_some(());
    wait_for("the way up", || is_there(&run, "coming-up"));
    run.signal("-TERM");
    run.ends_with(130);
    assert_eq!(is_there(&run, "down"), Some(()));
    nothing_runs_in(run.folder.path());
    // It is the same when it takes too long.
    let hurried = text.replace("up = ", "up-timeout = '500ms'\nup = ");
    let mut run = Run::find(&hurried, &["--yes"]);
    run.ends_with(5);
    assert_eq!(is_there(&run, "down"), Some(()));
    // Whoever cannot wait for anything leaves nothing behind either.
    let mut run = Run::find(&text, &["--yes"]);
    wait_for("the way up", || is_there(&run, "coming-up"));
    run.signal("-QUIT");
    run.ends_with(130);
    assert_eq!(is_there(&run, "down"), None);
    nothing_runs_in(run.folder.path());
}

const QUEUE: &str = "[[monitor]]\nname = 'ai'\nmetrics = { queue = 'depth' }\nprometheus = ";

/// A profile with a monitor of a page that the test writes.
fn watched(server: &Server, search: &str) -> String {
    let page = format!("'{}/metrics'\n", server.url());
    format!("{}{search}\n{QUEUE}{page}", profile(server, ""))
}

/// When the monitor first read what the page says now.
fn next_scrape(server: &Server) -> Instant {
    let from = Instant::now();
    wait_for("a scrape", || {
        let begun = server.begun();
        let scrape = |(at, path): &&(Instant, String)| path == "/metrics" && *at > from;
        begun.iter().find(scrape).map(|(at, _)| *at)
    })
}

fn no_load_after(server: &Server, stopped: Instant) {
    let begun = server.begun();
    let late = |(at, path): &&(Instant, String)| path != "/metrics" && *at > stopped + STOPPED;
    assert_eq!(begun.iter().find(late), None);
    all_gone(server);
}

#[test]
fn a_stop_file_ends_a_run_like_ctrl_c_and_one_that_is_there_is_refused() {
    let server = Server::start();
    let args = ["--stop-file", "halt"];
    let mut run = Run::find(&profile(&server, ""), &args);
    busy(&server);
    wait_for("a judged probe", || (run.judged() >= 1).then_some(()));
    let stopped = Instant::now();
    fs::write(run.folder.path().join("halt"), "").unwrap();
    run.ends_with(130);
    nothing_begun_after(&server, stopped);
    let answer = run.record().answer;
    assert_eq!(answer.ending, Ending::Interrupted);
    assert_eq!(answer.reason, "stopped: the stop file halt exists");
    let before = server.begun().len();
    let dir = run.dir().unwrap();
    for command in [
        &["find", "p.toml"][..],
        &["ramp", "p.toml", "--stages", "9:1s"],
        &["resume", dir.to_str().unwrap()],
    ] {
        let mut refused = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
        refused
            .args(command)
            .args(args)
            .env("XDG_STATE_HOME", run.folder.path())
            .current_dir(run.folder.path());
        let refused = refused.output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("halt already exists"), "{said}");
    }
    assert_eq!(server.begun().len(), before, "nothing was sent");
}

#[test]
fn a_limit_of_a_monitor_stops_a_search_at_once_and_also_when_it_is_resumed() {
    let server = Server::start();
    server.put("/metrics", "depth 5\n");
    let text = watched(&server, "abort-if = ['ai.queue>100']");
    let mut run = Run::find(&text, &[]);
    busy(&server);
    wait_for("a judged probe", || (run.judged() >= 1).then_some(()));
    server.put("/metrics", "depth 250\n");
    let stopped = next_scrape(&server);
    run.ends_with(99);
    no_load_after(&server, stopped);
    let answer = run.record().answer;
    assert_eq!(answer.ending, Ending::Aborted);
    assert_eq!(
        answer.reason,
        "stopped by abort-if ai.queue>100: it reads 250"
    );
    let judged = run.judged();
    assert!(judged >= 1);
    let mut resume = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
    resume.arg("resume").arg(run.dir().unwrap()).arg("--quiet");
    resume.env("XDG_STATE_HOME", run.folder.path());
    let again = resume.output().unwrap();
    assert_eq!(again.status.code(), Some(99));
    assert_eq!(run.judged(), judged);
    assert_eq!(run.record().answer.ending, Ending::Aborted);
}

#[test]
fn a_limit_of_a_monitor_stops_a_ramp() {
    let server = Server::start();
    server.put("/metrics", "depth 5\n");
    let ramp = ["ramp", "p.toml", "--stages", "200:1s,200:1m"];
    let more = ["--abort-if", "ai.queue>100"];
    let mut run = Run::start(&watched(&server, ""), &[&ramp[..], &more].concat());
    busy(&server);
    server.put("/metrics", "depth 250\n");
    let stopped = next_scrape(&server);
    run.ends_with(99);
    no_load_after(&server, stopped);
    let record = run.ramp_record();
    assert_eq!(record.ending, RampEnding::Aborted);
    assert!(record.reason.contains("ai.queue>100"), "{}", record.reason);
    assert!(!record.stages.is_empty());
}

#[test]
fn a_target_whose_machine_has_no_memory_left_is_left_alone() {
    let server = Server::start();
    let page = |mib: u64| {
        let bytes = mib << 20;
        server.put("/metrics", &format!("MemAvailable {bytes}\nMemTotal 8e9\n"));
    };
    page(4000);
    let metrics = "metrics = { memory_available = 'MemAvailable', memory_total = 'MemTotal' }";
    let text = format!(
        "{}[[monitor]]\nname = 'db'\n{metrics}\nprometheus = '{}/metrics'\n",
        profile(&server, ""),
        server.url()
    );
    let mut run = Run::find(&text, &[]);
    busy(&server);
    page(100);
    let stopped = next_scrape(&server);
    run.ends_with(99);
    no_load_after(&server, stopped);
    let answer = run.record().answer;
    assert_eq!(answer.ending, Ending::Aborted);
    let said = "emergency stop: the target's machine (monitor `db`) has 100 MiB of memory left";
    assert!(answer.reason.starts_with(said), "{}", answer.reason);
}

#[test]
fn no_run_is_longer_than_it_may_be_at_most() {
    let server = Server::start();
    let mut run = Run::find(&profile(&server, ""), &["--max-time", "6s"]);
    run.ends_with(99);
    all_gone(&server);
    let answer = run.record().answer;
    assert_eq!(answer.ending, Ending::Aborted);
    assert!(answer.reason.contains("(max-time)"), "{}", answer.reason);
    // It is the whole run: a target that does not come up is not waited for either.
    let up = "up = 'sleep 600'\nup-timeout = '10m'";
    let args = ["--yes", "--max-time", "2s"];
    let mut run = Run::find(&profile(&server, up), &args);
    run.ends_with(99);
    assert!(run.record().answer.reason.contains("(max-time)"));
}

/// Nothing runs any more in a folder: what was started there did not outlive the program.
fn nothing_runs_in(folder: &Path) {
    let folder = folder.canonicalize().unwrap();
    wait_for("the end of what was started", || {
        let mut processes = fs::read_dir("/proc").unwrap().flatten();
        let there =
            |p: fs::DirEntry| fs::read_link(p.path().join("cwd")).is_ok_and(|c| c == folder);
        (!processes.any(there)).then_some(())
    });
}

#[test]
fn a_terminal_that_goes_away_ends_a_run_in_order_and_nohup_keeps_it() {
    let server = Server::start();
    let down = "up = 'true'\ndown = 'touch went-down'";
    let program = env!("CARGO_BIN_EXE_breakpoint");
    // Also where the tests themselves run under `nohup`, which children inherit.
    let hears = ["--default-signal=HUP", program, "find", "p.toml", "--yes"];
    let mut run = Run::by(
        Command::new("env")
            .args(hears)
            .args(["--quiet", "--out", "reports"]),
        &profile(&server, down),
    );
    busy(&server);
    run.signal("-HUP");
    run.ends_with(130);
    assert!(run.folder.path().join("went-down").exists());
    assert_eq!(run.record().answer.ending, Ending::Interrupted);
    all_gone(&server);

    let ignoring = format!("trap '' HUP; exec {program} find p.toml --quiet --out reports");
    let mut run = Run::by(
        Command::new("sh").args(["-c", &ignoring]),
        &profile(&server, ""),
    );
    busy(&server);
    run.signal("-HUP");
    let begun = server.begun().len();
    wait_for("more load", || {
        (server.begun().len() > begun + 500).then_some(())
    });
    assert!(run.child.try_wait().unwrap().is_none(), "{}", run.said());
    run.signal("-INT");
    run.ends_with(130);
}
