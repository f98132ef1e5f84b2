//! A k6 process: how it is started and ended, and what it says.

use std::collections::VecDeque;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::points::{Event, Reader};
use super::tool::speaks_to_nobody;
use crate::children::Group;
use crate::k6::said;
use crate::secret::Hidden;

/// How long k6 may take to end after each of these: at the first it stops its VUs and runs
/// `teardown`, at the second that too is broken off.
const ENDINGS: [(Signal, Duration); 2] = [
    (Signal::SIGINT, Duration::from_secs(15)),
    (Signal::SIGTERM, Duration::from_secs(5)),
];
/// Lines of its messages that are kept, and bytes of each.
const TAIL_LINES: usize = 5;
const TAIL_BYTES: usize = 600;
/// A longer line of its output is no point.
const LONGEST_LINE: usize = 1 << 20;
/// How long what it wrote last may take to be read when it has ended.
const LAST_OUTPUT: Duration = Duration::from_secs(5);
/// What of the environment would change the load that k6 is told to make, or where it says what
/// went wrong; and proxies, which connect to targets in its place, allowed or not.
const NOT_INHERITED: [&str; 14] = [
    "K6_OUT",
    "K6_LOG_OUTPUT",
    "K6_VUS",
    "K6_DURATION",
    "K6_ITERATIONS",
    "K6_STAGES",
    "K6_RPS",
    "K6_PAUSED",
    "K6_EXECUTION_SEGMENT",
    "K6_EXECUTION_SEGMENT_SEQUENCE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "http_proxy",
    "https_proxy",
];

/// How k6 ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    /// Its exit code; `None` when a signal ended it.
    pub(super) code: Option<i32>,
    /// What it said at last.
    tail: Vec<String>,
}

impl Ended {
    /// Whether the script, or what was asked of k6, has to be changed.
    pub(super) fn is_unfit(&self) -> bool {
        matches!(self.code, Some(100 | 101 | 104 | 107 | 108 | 110 | 255))
    }

    /// As one text.
    pub(super) fn text(&self) -> String {
        let what = match self.code {
            None => "k6 was killed by a signal".to_owned(),
            Some(code) => match meaning(code) {
                Some(meaning) => meaning.to_owned(),
                None => format!("k6 exited on its own (exit code {code})"),
            },
        };
        if self.tail.is_empty() {
            return what;
        }
        format!("{what}: {}", self.tail.join(" / "))
    }
}

/// What k6 means by an exit code.
fn meaning(code: i32) -> Option<&'static str> {
    Some(match code {
        0 => "k6 ended although nothing stopped it",
        99 => "k6 ended because a threshold of the script failed",
        100 => "k6 ended because the script's `setup` took too long",
        101 => "k6 ended because the script's `teardown` took too long",
        103 => "k6 was stopped over its REST interface",
        104 => "k6 does not accept the options of the script",
        105 => "k6 was stopped by a signal that did not come from breakpoint",
        106 => "k6 could not open its REST interface",
        107 => "the script threw an exception",
        108 => "the script ended the test itself (test.abort)",
        109 => "k6 itself failed (it panicked)",
        110 => "the script marked the test as failed (test.fail)",
        _ => return None,
    })
}

/// A k6 that runs.
#[derive(Debug)]
pub(super) struct Process {
    /// Its number for the system.
    pub(super) pid: Option<u32>,
    end: Option<oneshot::Sender<()>>,
    ended: watch::Receiver<Option<Ended>>,
}

impl Process {
    /// Starts k6 with these arguments, of which some are secrets that it shall not repeat. What it
    /// measures goes to `events`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(super) fn start(
        binary: &Path,
        arguments: &[String],
        hidden: &Hidden,
        events: UnboundedSender<Vec<Event>>,
    ) -> std::io::Result<Self> {
        let mut command = Command::new(binary);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for name in NOT_INHERITED {
            command.env_remove(name);
        }
        speaks_to_nobody(&mut command);
        // A group of its own: a Ctrl-C on the terminal is ours alone, and we end it.
        let (mut child, group) = Group::start(&mut command)?;
        let pid = child.id();
        let tail = Tail::new(hidden.clone());
        let points = child.stdout.take().map(|out| {
            let reader = PointReader::new(hidden.clone(), events);
            tokio::spawn(reader.read(out))
        });
        let said = child.stderr.take().map(|err| {
            let tail = tail.clone();
            tokio::spawn(async move { tail.read(err).await })
        });
        let readers = [points, said].into_iter().flatten().collect();
        let (end, asked) = oneshot::channel();
        let (tell, ended) = watch::channel(None);
        tokio::spawn(supervise((child, group), asked, readers, tail, tell));
        Ok(Self {
            pid,
            end: Some(end),
            ended,
        })
    }

    /// Waits until it has ended, by itself or not.
    pub(super) async fn ended(&mut self) -> Ended {
        let ended = self.ended.wait_for(Option::is_some).await;
        let ended = ended.ok().and_then(|ended| ended.clone());
        // Only at the end of this program is nobody there who tells.
        ended.unwrap_or(Ended {
            code: None,
            tail: Vec::new(),
        })
    }

    /// Ends it; its VUs stop at once.
    pub(super) fn end(&mut self) {
        if let Some(end) = self.end.take() {
            // One that has ended already needs not be told.
            let _ = end.send(());
        }
    }
}

/// Waits for the end of k6, and brings it about when it is asked for or nobody is there any more
/// who could ask.
async fn supervise(
    (mut child, mut group): (Child, Group),
    asked: oneshot::Receiver<()>,
    readers: Vec<JoinHandle<()>>,
    tail: Tail,
    tell: watch::Sender<Option<Ended>>,
) {
    let status = tokio::select! {
        status = child.wait() => status,
        _ = asked => end(&mut child).await,
    };
    group.forget();
    let read = async {
        for reader in readers {
            let _ = reader.await;
        }
    };
    // Somebody else may still hold the other end of its output.
    let _ = tokio::time::timeout(LAST_OUTPUT, read).await;
    tell.send_replace(Some(Ended {
        code: status.ok().and_then(|status| status.code()),
        tail: tail.lines(),
    }));
}

async fn end(child: &mut Child) -> std::io::Result<ExitStatus> {
    for (signal, patience) in ENDINGS {
        if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended this moment.
            let _ = kill(Pid::from_raw(pid), signal);
        }
        if let Ok(status) = tokio::time::timeout(patience, child.wait()).await {
            return status;
        }
    }
    child.kill().await?;
    child.wait().await
}

/// Reads the points that k6 writes.
struct PointReader {
    reader: Reader,
    hidden: Hidden,
    events: UnboundedSender<Vec<Event>>,
}

impl PointReader {
    fn new(hidden: Hidden, events: UnboundedSender<Vec<Event>>) -> Self {
        Self {
            reader: Reader::default(),
            hidden,
            events,
        }
    }

    async fn read(mut self, mut out: impl AsyncRead + Unpin) {
        let mut text = Vec::with_capacity(128 * 1024);
        // What is read to the end keeps k6 from hanging in the middle of its last words.
        while out.read_buf(&mut text).await.is_ok_and(|n| n > 0) {
            let Some(end) = text.iter().rposition(|b| *b == b'\n') else {
                if text.len() > LONGEST_LINE {
                    text.clear();
                }
                continue;
            };
            self.take(&text[..end]);
            text.drain(..=end);
        }
        self.take(&[]);
    }

    /// Takes whole lines.
    fn take(&mut self, lines: &[u8]) {
        let mut events = Vec::new();
        for line in self.hidden.in_bytes(lines).split(|b| *b == b'\n') {
            self.reader.line(line, &mut events);
        }
        if lines.is_empty() {
            self.reader.close(&mut events);
        }
        if !events.is_empty() {
            // Without a receiver the run is over.
            let _ = self.events.send(events);
        }
    }
}

/// The last things that k6 said.
#[derive(Debug, Clone, Default)]
struct Tail {
    lines: Arc<Mutex<VecDeque<Vec<u8>>>>,
    hidden: Hidden,
}

impl Tail {
    fn new(hidden: Hidden) -> Self {
        Self {
            hidden,
            ..Self::default()
        }
    }

    async fn read(&self, err: impl AsyncRead + Unpin) {
        let mut err = BufReader::new(err);
        let mut line = Vec::new();
        while let Ok(true) = next_line(&mut err, &mut line).await {
            // Of each request that fails there is a warning; what ended k6 is none.
            let is_warning = String::from_utf8_lossy(&line).contains("level=warning");
            if !is_warning && !line.is_empty() {
                self.push(self.hidden.in_bytes(&line).into_owned());
            }
        }
    }

    fn push(&self, line: Vec<u8>) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == TAIL_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn lines(&self) -> Vec<String> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<Vec<u8>> = lines.drain(..).collect();
        said(&lines.join(&b'\n'))
    }
}

/// Reads a line, of which no more than the beginning is kept; `false` at the end.
async fn next_line(
    from: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> std::io::Result<bool> {
    line.clear();
    loop {
        let piece = from.fill_buf().await?;
        if piece.is_empty() {
            return Ok(!line.is_empty());
        }
        let end = piece.iter().position(|b| *b == b'\n');
        let text = &piece[..end.unwrap_or(piece.len())];
        line.extend(text.iter().take(TAIL_BYTES.saturating_sub(line.len())));
        let used = end.map_or(piece.len(), |end| end + 1);
        from.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::points::What;
    use super::*;

    #[test]
    fn an_end_is_told_with_what_k6_said() {
        let ended = Ended {
            code: Some(108),
            tail: vec!["test aborted: enough".to_owned()],
        };
        assert!(ended.is_unfit());
        assert_eq!(
            ended.text(),
            "the script ended the test itself (test.abort): test aborted: enough"
        );
        let killed = Ended {
            code: None,
            tail: Vec::new(),
        };
        assert_eq!(killed.text(), "k6 was killed by a signal");
    }

    const LINE: &str = r#"{"metric":"bp_begin","type":"Point","data":{"time":"1970-01-01T00:00:01Z","value":1,"tags":{"scenario":"default","vu":"1"}}}"#;

    async fn run(script: &str) -> (Process, Vec<Event>) {
        let (events, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let args = ["-c".to_owned(), script.to_owned()];
        let mut process =
            Process::start(Path::new("/bin/sh"), &args, &Hidden::default(), events).unwrap();
        process.ended().await;
        let mut all = Vec::new();
        while let Some(batch) = seen.recv().await {
            all.extend(batch);
        }
        (process, all)
    }

    #[tokio::test]
    async fn what_it_writes_is_read_to_the_end() {
        let script =
            format!("echo '{LINE}'; echo 'time=x msg=\"bye\"' >&2; printf '%s' '{LINE}'; exit 7");
        let (mut process, events) = run(&script).await;
        let whats: Vec<&What> = events.iter().map(|e| &e.what).collect();
        // The last line has no end: it was cut off.
        assert_eq!(whats, [&What::Begin]);
        let ended = process.ended().await;
        assert_eq!(ended.text(), "k6 exited on its own (exit code 7): bye");
    }

    #[tokio::test]
    async fn one_that_ends_at_a_signal_is_not_killed() {
        let (events, mut seen) = tokio::sync::mpsc::unbounded_channel();
        // A shell whose parent ignores SIGINT, as those in the background do, cannot catch it: then
        // the second signal does it.
        let script =
            format!("trap 'exit 105' INT TERM; echo '{LINE}'; while :; do sleep 0.05; done");
        let args = ["-c".to_owned(), script];
        let mut process =
            Process::start(Path::new("/bin/sh"), &args, &Hidden::default(), events).unwrap();
        // What it wrote says that the trap is set.
        assert!(seen.recv().await.is_some());
        process.end();
        assert_eq!(process.ended().await.code, Some(105));
    }
}
