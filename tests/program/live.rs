//! A search as it is followed while it goes on: on a terminal of 80x24, without one, and over
//! `--serve`.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use breakpoint::report;
use breakpoint::slo::Verdict;
use nix::pty::{Winsize, openpty};
use serde_json::Value;
use tempfile::TempDir;

use crate::starved::{Starved, repeated};

const ROWS: u16 = 24;
const COLUMNS: u16 = 80;

/// A short search of the demo that is built in.
fn search(out: &TempDir, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
    command
        .args([
            "find",
            "--slo",
            "p99<2s",
            "--budget",
            "45s",
            "--start-vus",
            "20",
        ])
        .args(["--max-vus", "60", "--out"])
        .arg(out.path())
        .args(more)
        .env_remove("CI")
        .env_remove("NO_COLOR")
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

/// Why a search below this folder shows nothing, if so: the demo carries its first level with ease.
fn spoilt(out: &TempDir) -> Option<Starved> {
    let mut runs = out.path().join("demo").read_dir().unwrap();
    let file = runs.next().unwrap().unwrap().path().join("result.json");
    let record = report::read(&fs::read(file).unwrap()).unwrap();
    let first = record.probes.first().filter(|p| p.verdict != Verdict::Held);
    first.map(|p| Starved(p.reason.clone()))
}

/// What a terminal showed: its screen after every piece of output, what scrolled through it, and
/// the program's stdout.
struct TerminalCapture {
    screens: Vec<String>,
    last: String,
    answer: String,
}

fn on_a_terminal(mut command: Command) -> TerminalCapture {
    let size = Winsize {
        ws_row: ROWS,
        ws_col: COLUMNS,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(Some(&size), None).unwrap();
    command.stderr(Stdio::from(pty.slave));
    let mut child = command.spawn().unwrap();
    // The command holds the other end open as long as it lives.
    drop(command);
    let mut terminal = vt100::Parser::new(ROWS, COLUMNS, 0);
    let mut master = File::from(pty.master);
    let mut screens: Vec<String> = Vec::new();
    let mut bytes = [0; 4096];
    // A terminal whose other end is closed gives an error, not an end.
    while let Ok(n @ 1..) = master.read(&mut bytes) {
        terminal.process(&bytes[..n]);
        let screen = terminal.screen().contents();
        if screens.last() != Some(&screen) {
            screens.push(screen);
        }
    }
    let mut answer = String::new();
    let mut out = child.stdout.take().unwrap();
    out.read_to_string(&mut answer).unwrap();
    child.wait().unwrap();
    TerminalCapture {
        last: terminal.screen().contents(),
        screens,
        answer,
    }
}

#[test]
fn a_terminal_of_80x24_shows_the_search_and_is_left_clean() {
    let shown = repeated(|| {
        let out = tempfile::tempdir().unwrap();
        let shown = on_a_terminal(search(&out, &[]));
        spoilt(&out).map_or(Ok(shown), Err)
    });
    let seen = |parts: &[&str]| {
        let mut screens = shown.screens.iter();
        let all = |s: &&String| parts.iter().all(|p| s.contains(p));
        assert!(
            screens.any(|s| all(&s)),
            "no screen has all of {parts:?}; the last: {}",
            shown.last
        );
    };
    seen(&["demo  SLO p99<2s", "at most"]);
    seen(&["probe 0", "20 VUs", "settling"]);
    seen(&[
        "probe 0",
        "holding",
        "[=",
        "p99(answer)",
        " of 2.00 s",
        "cycles/s   errors 0.0 %",
    ]);
    // Once a probe is judged its line stays above the panel of the next one.
    seen(&[
        "probe 0   bracket      20 VUs  held",
        "bracket     held 20   none broke yet",
        "probe 1",
    ]);
    // A panel that was drawn twice would stand there twice.
    for screen in &shown.screens {
        assert!(screen.matches("cycles/s   errors").count() <= 1, "{screen}");
    }
    assert!(shown.last.contains("probe 0   bracket"), "{}", shown.last);
    assert!(
        !shown.last.contains("holding") && !shown.last.contains("bracket     held"),
        "{}",
        shown.last
    );
    assert!(
        shown.answer.contains("files  ") && !shown.answer.contains('\u{1b}'),
        "{}",
        shown.answer
    );
}

#[test]
fn without_a_terminal_there_are_plain_lines() {
    let out = tempfile::tempdir().unwrap();
    let output = search(&out, &[]).stderr(Stdio::piped()).output().unwrap();
    let lines = String::from_utf8(output.stderr).unwrap();
    assert!(
        !lines.contains('\u{1b}') && !lines.contains('\r'),
        "{lines}"
    );
    assert!(
        // Which probe is seen holding depends on when its seconds fall.
        lines.contains("probe 0   bracket      20 VUs  ") && lines.contains(" VUs  holding"),
        "{lines}"
    );
    assert!(lines.contains("p99(answer)"), "{lines}");
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The body of an answer over a connection of its own.
fn get(address: &str, path: &str) -> String {
    let mut tcp = TcpStream::connect(address).unwrap();
    write!(
        tcp,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// A search, and every state that its page shows until it ends.
fn states_of_a_page() -> Result<Vec<Value>, Starved> {
    let out = tempfile::tempdir().unwrap();
    let mut command = search(&out, &["--quiet", "--serve", "127.0.0.1:0"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut running = Running(child);
    let mut line = String::new();
    errors.read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("note: live at http://").unwrap();
    let address = address.strip_suffix('/').unwrap();
    assert!(get(address, "/").contains("<!doctype html>"));
    // Every event until the program ends.
    let mut tcp = TcpStream::connect(address).unwrap();
    write!(tcp, "GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let lines = BufReader::new(tcp).lines().map_while(Result::ok);
    let states = lines.filter_map(|l| l.strip_prefix("data: ").map(str::to_owned));
    let states: Vec<Value> = states.map(|s| serde_json::from_str(&s).unwrap()).collect();
    running.0.wait().unwrap();
    spoilt(&out).map_or(Ok(states), Err)
}

#[test]
fn the_page_tells_of_the_run_from_its_beginning_to_its_answer() {
    let states = repeated(states_of_a_page);
    let last = states.last().unwrap();
    assert_eq!(last["profile"], "demo");
    assert!(
        last["finished"]["summary"]
            .as_str()
            .unwrap()
            .contains("SLO p99<2s"),
        "{last}"
    );
    assert_eq!(last["visits"][0]["verdict"], "held");
    let phase = |wanted: &str| states.iter().any(|s| s["probe"]["phase"] == wanted);
    assert!(phase("settle") && phase("hold"));
    // What is told once is not told again, and nothing is left out.
    let seconds: Vec<f64> = states
        .iter()
        .flat_map(|s| s["seconds"].as_array().unwrap())
        .map(|s| s["t_s"].as_f64().unwrap())
        .collect();
    assert!(seconds.len() > 10, "{seconds:?}");
    assert!(seconds.windows(2).all(|w| w[0] < w[1]), "{seconds:?}");
    let all = states
        .iter()
        .all(|s| s["limit_s"] == 2.0 || s["profile"] == "");
    assert!(all);
}

#[test]
fn an_address_that_cannot_be_served_is_told_before_anything_runs() {
    let out = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = search(&out, &["--serve", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.contains("--serve") && error.contains("another port"),
        "{error}"
    );
    let output = search(&out, &["--remote-write", "nowhere"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        out.path().read_dir().unwrap().count(),
        0,
        "nothing was begun"
    );
}
