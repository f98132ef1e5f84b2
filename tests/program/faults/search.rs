//! Short searches of a target by the program itself, watched from outside: how long they take, how
//! much memory, what they say.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// How a run of the program ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    /// What it said.
    pub(crate) said: String,
    /// The most memory that it had in use, bytes.
    pub(crate) peak: u64,
    /// The folder of its report.
    pub(crate) folder: Option<PathBuf>,
}

impl Ended {
    /// What it wrote down, of its report's files.
    ///
    /// # Errors
    /// When it wrote nothing; what it said.
    pub(crate) fn record(&self, file: &str) -> Result<Vec<u8>, String> {
        let bytes = (self.folder.as_ref()).and_then(|folder| fs::read(folder.join(file)).ok());
        bytes.ok_or_else(|| format!("no {file}; it said: {}", self.said))
    }
}

/// The program at work in a folder.
pub(crate) struct Running {
    child: Child,
    dir: PathBuf,
}

impl Running {
    /// Begins a command, with its report below `out`.
    pub(crate) fn start(dir: &Path, args: &[&str], certificates: &Path) -> Self {
        let said = fs::File::create(dir.join(SAID)).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_breakpoint"))
            .args(args)
            .args(["--out", "out"])
            .current_dir(dir)
            .env("CI", "true")
            .env("SSL_CERT_FILE", certificates)
            .env_remove("SSL_CERT_DIR")
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let dir = dir.to_owned();
        Self { child, dir }
    }

    /// Presses Ctrl-C.
    pub(crate) async fn interrupt(&self) {
        let pid = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().await;
        assert!(sent.unwrap().success());
    }

    /// Waits for the end, but not longer than this.
    ///
    /// # Errors
    /// When it has not ended by then; what it said.
    pub(crate) async fn end(mut self, limit: Duration) -> Result<Ended, String> {
        let ended = watch(&mut self.child, Instant::now() + limit).await;
        let said = fs::read_to_string(self.dir.join(SAID)).unwrap();
        let Some((code, peak)) = ended else {
            return Err(format!("it had not ended after {limit:?} and said: {said}"));
        };
        let profile = only_folder(&self.dir.join("out"));
        Ok(Ended {
            code,
            said,
            peak,
            folder: profile.and_then(|profile| only_folder(&profile)),
        })
    }
}

/// Where the program's output goes.
const SAID: &str = "said.txt";

/// Waits for a process, up to a deadline: its exit code and the most memory that was seen in use.
async fn watch(child: &mut Child, deadline: Instant) -> Option<(Option<i32>, u64)> {
    let status = format!("/proc/{}/status", child.id()?);
    let mut peak = 0;
    while Instant::now() < deadline {
        if let Some(ended) = child.try_wait().unwrap() {
            return Some((ended.code(), peak));
        }
        peak = peak.max(high_water(&fs::read_to_string(&status).unwrap_or_default()));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child.kill().await.unwrap();
    None
}

/// The kernel's own high-water mark of a process' memory in use, bytes.
fn high_water(status: &str) -> u64 {
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().strip_suffix(" kB"));
    kib.and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1024
}

fn only_folder(dir: &Path) -> Option<PathBuf> {
    let mut entries = fs::read_dir(dir).ok()?.flatten();
    entries.next().map(|e| e.path())
}

/// What a run shows live when it has measured the first second of a hold.
pub(crate) const HOLDS: &str = "\"phase\":\"hold\"";
/// The same of a ramp in its second stage; only a stage and a probe have an index, and a ramp has
/// no probes.
pub(crate) const SECOND_STAGE: &str = "\"index\":1}";

/// Waits until the run that is shown live at this address (`--serve`) shows this.
pub(crate) async fn shows(live: SocketAddr, what: &str) {
    loop {
        let state = page(live).await.unwrap_or_default();
        if state.contains(what) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn page(live: SocketAddr) -> Option<String> {
    let mut tcp = TcpStream::connect(live).await.ok()?;
    let request = format!("GET /live.json HTTP/1.1\r\nhost: {live}\r\nconnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).await.ok()?;
    let mut text = String::new();
    tcp.read_to_string(&mut text).await.ok()?;
    Some(text)
}
