//! Runs the profile's commands that bring the target up, reset it and take it down.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::Command;

use crate::children::Group;
use crate::confidential;
use crate::secret;

/// Lines of output that an error quotes.
const TAIL_LINES: usize = 12;
/// What tells the commands the size of the target.
const SIZE: &str = "BREAKPOINT_SIZE";
/// Longest line that is kept, characters.
const LINE_LIMIT: usize = 300;
/// The same in bytes: no character has more than four.
const LINE_BYTES: usize = 4 * LINE_LIMIT;
/// Time for the last output to arrive after the command has ended. A service that it started may
/// hold the pipe open for ever, so its end is not waited for.
const LAST_OUTPUT: Duration = Duration::from_millis(200);

/// Why a command of the profile failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// There is no shell, or no such folder.
    #[error("cannot run `{command}` in {dir}: {error}")]
    Start {
        /// The command.
        command: String,
        /// The folder.
        dir: String,
        /// Why.
        error: io::Error,
    },
    /// It ended with an error.
    #[error("`{command}` {how}; {advice}{}", quoted(output))]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        how: String,
        /// What to do.
        advice: String,
        /// The last lines of its output.
        output: Vec<String>,
    },
    /// It took too long.
    #[error(
        "`{command}` did not end within {} s and was stopped; allow it more time in the profile's \
         [target]{}",
        limit.as_secs_f64(), quoted(output)
    )]
    TimedOut {
        /// The command.
        command: String,
        /// The time it had.
        limit: Duration,
        /// The last lines of its output.
        output: Vec<String>,
    },
}

fn quoted(output: &[String]) -> String {
    use std::fmt::Write as _;
    if output.is_empty() {
        return "; it printed nothing".to_owned();
    }
    let mut text = ". Its last output:".to_owned();
    for line in output {
        // Writing to a string cannot fail.
        write!(text, "\n    {line}").ok();
    }
    text
}

/// What a command printed, and what it left behind prints still.
#[derive(Debug)]
pub struct Said {
    tail: Tail,
    /// A service that the command started may hold the pipe, and would end by a signal if nobody
    /// read what it writes.
    readers: Vec<Reader>,
    /// Whether one did so when the command itself had ended.
    was_held: bool,
}

impl Said {
    /// The last lines by now.
    pub fn lines(&self) -> Vec<String> {
        self.tail.lines()
    }

    /// Whether what the command left running, and which wrote where the command did, has ended by
    /// now.
    pub fn is_deserted(&self) -> bool {
        self.was_held && self.readers.iter().all(|r| r.0.is_finished())
    }
}

/// Runs `command` by `sh -c` in `dir`, with the target's size in its environment, and waits for its
/// end, not for that of the services it leaves behind. When `timeout` passes, or the caller goes
/// away, it and all it started in its process group are killed.
///
/// # Errors
/// When it cannot be started, ends with an error, or takes too long.
pub async fn run_command(
    command: &str,
    (dir, size): (&Path, Option<&str>),
    timeout: Duration,
) -> Result<Said, ControlError> {
    let start_error = |error| ControlError::Start {
        command: secret::line_masked(command),
        dir: dir.display().to_string(),
        error,
    };
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .envs(size.map(|size| (SIZE, size)));
    // A group of its own: it can be killed as a whole, and a Ctrl-C on the terminal is ours alone.
    let (mut child, mut group) = Group::start(&mut shell).map_err(start_error)?;
    let tail = Tail::default();
    let readers = [
        child.stdout.take().map(|out| tail.read(out)),
        child.stderr.take().map(|err| tail.read(err)),
    ];
    let mut readers: Vec<Reader> = readers.into_iter().flatten().collect();
    let ended = tokio::time::timeout(timeout, child.wait()).await;
    if ended.is_ok() {
        group.forget();
    } else {
        group.kill();
        // Collects the killed shell; it cannot take long.
        child.wait().await.ok();
    }
    tokio::time::timeout(LAST_OUTPUT, async {
        for reader in &mut readers {
            (&mut reader.0).await.ok();
        }
    })
    .await
    .ok();
    match ended {
        Ok(Ok(status)) if status.success() => Ok(Said {
            tail,
            was_held: readers.iter().any(|r| !r.0.is_finished()),
            readers,
        }),
        Ok(Ok(status)) => Err(failed(command, dir, status, tail.lines())),
        Ok(Err(error)) => Err(start_error(error)),
        Err(_) => Err(ControlError::TimedOut {
            command: secret::line_masked(command),
            limit: timeout,
            output: tail.lines(),
        }),
    }
}

fn failed(command: &str, dir: &Path, status: ExitStatus, output: Vec<String>) -> ControlError {
    let (how, advice) = match status.code() {
        Some(code @ (126 | 127)) => (
            format!("ended with exit code {code}"),
            format!(
                "it or a program it needs was not found; paths are relative to the profile's \
                 folder, {}",
                dir.display()
            ),
        ),
        Some(code) => (
            format!("ended with exit code {code}"),
            format!("try it manually in {}", dir.display()),
        ),
        None => (
            format!("was killed by a signal ({status})"),
            format!("try it manually in {}", dir.display()),
        ),
    };
    ControlError::Failed {
        command: secret::line_masked(command),
        how,
        advice,
        output,
    }
}

/// The last lines that a command printed, stdout and stderr together.
#[derive(Debug, Clone, Default)]
struct Tail(Arc<Mutex<VecDeque<String>>>);

/// A task that reads output; it ends with this value even where the pipe stays open.
#[derive(Debug)]
struct Reader(tokio::task::JoinHandle<()>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Tail {
    fn read(&self, from: impl AsyncRead + Send + Unpin + 'static) -> Reader {
        let tail = self.clone();
        Reader(tokio::spawn(async move {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while let Ok(bytes) = from.fill_buf().await {
                if bytes.is_empty() {
                    break;
                }
                let end = bytes.iter().position(|b| *b == b'\n');
                let taken = end.map_or(bytes.len(), |end| end + 1);
                // Of a line without end no more is kept than of others. Output need not be UTF-8.
                let room = LINE_BYTES.saturating_sub(line.len()).min(taken);
                line.extend_from_slice(&bytes[..room]);
                from.consume(taken);
                if end.is_some() {
                    tail.push(&String::from_utf8_lossy(&line));
                    line.clear();
                }
            }
            tail.push(&String::from_utf8_lossy(&line));
        }))
    }

    fn push(&self, line: &str) {
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == TAIL_LINES {
            lines.pop_front();
        }
        // Reports are passed on, and nobody said what a command prints.
        let line = secret::line_masked(&confidential::line(line, LINE_BYTES));
        lines.push_back(line.chars().take(LINE_LIMIT).collect());
    }

    fn lines(&self) -> Vec<String> {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(20);

    async fn error(command: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        run_command(command, (dir.path(), None), LONG)
            .await
            .expect_err(command)
            .to_string()
    }

    #[tokio::test]
    async fn a_command_runs_in_the_profiles_folder() {
        let dir = tempfile::tempdir().unwrap();
        run_command("pwd > where && ! read x", (dir.path(), None), LONG)
            .await
            .unwrap();
        let where_ = std::fs::read_to_string(dir.path().join("where")).unwrap();
        assert_eq!(Path::new(where_.trim()), dir.path().canonicalize().unwrap());
    }

    #[tokio::test]
    async fn a_failure_quotes_the_last_output_and_the_way_out() {
        let text =
            error("for i in $(seq 1 50); do echo line $i; done; echo boom >&2; exit 3").await;
        assert!(text.contains("ended with exit code 3"), "{text}");
        assert!(text.contains("boom") && text.contains("line 50"), "{text}");
        assert!(!text.contains("line 20\n"), "{text}");
        assert!(text.contains("try it manually in"), "{text}");
        let text = error("./no-such-thing up").await;
        assert!(
            text.contains("paths are relative to the profile's folder"),
            "{text}"
        );
        let text = error("kill -9 $$").await;
        assert!(text.contains("signal"), "{text}");
    }

    #[tokio::test]
    async fn what_a_command_prints_is_told_without_its_secrets() {
        let text = error(
            "PASSWORD=s3cr3t-1; echo \"password=s3cr3t-2 token: s3cr3t-3\"; \
             echo 'dial postgres://bob:s3cr3t-4@db/x' >&2; exit 3",
        )
        .await;
        assert!(!text.contains("s3cr3t"), "{text}");
        assert!(
            text.contains("password=*** token: ***") && text.contains("postgres://***@db/x"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn that_all_it_left_running_has_ended_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let said = run_command("(sleep 0.5; echo bye) &", (dir.path(), None), LONG);
        let said = said.await.unwrap();
        assert!(!said.is_deserted(), "it lives");
        for _ in 0..1000 {
            if said.is_deserted() {
                assert_eq!(said.lines(), ["bye"]);
                let quiet = run_command("echo done", (dir.path(), None), LONG)
                    .await
                    .unwrap();
                assert!(
                    !quiet.is_deserted(),
                    "it left nothing that could have ended"
                );
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it ended");
    }

    #[tokio::test]
    async fn a_daemon_that_holds_the_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let start = Instant::now();
        run_command("sleep 5 & echo $! > pid", (dir.path(), None), LONG)
            .await
            .unwrap();
        assert!(start.elapsed() < Duration::from_secs(4));
        let pid = std::fs::read_to_string(dir.path().join("pid")).unwrap();
        assert!(
            Path::new("/proc").join(pid.trim()).exists(),
            "what the command left behind lives on"
        );
    }

    #[tokio::test]
    async fn what_takes_too_long_is_killed_with_all_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let limit = Duration::from_millis(500);
        let text = run_command(
            "sleep 60 & echo $! > pid; echo waiting; wait",
            (dir.path(), None),
            limit,
        )
        .await
        .unwrap_err()
        .to_string();
        assert!(
            text.contains("within 0.5 s") && text.contains("waiting"),
            "{text}"
        );
        let pid = std::fs::read_to_string(dir.path().join("pid")).unwrap();
        let stat = Path::new("/proc").join(pid.trim()).join("stat");
        for _ in 0..200 {
            let state = std::fs::read_to_string(&stat).unwrap_or_default();
            if state.is_empty() || state.contains(") Z ") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the child lives on");
    }

    #[tokio::test]
    async fn a_folder_that_is_not_there_is_told() {
        let text = run_command("true", (Path::new("/no/such/folder"), None), LONG)
            .await
            .unwrap_err()
            .to_string();
        assert!(text.contains("/no/such/folder"), "{text}");
    }
}
