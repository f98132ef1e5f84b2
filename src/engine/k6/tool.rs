//! The k6 program itself: whether it is there, and what it says of a script.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

use crate::k6::{Script, ScriptError, ScriptInfo, Version, VersionError, for_inspect, said};
use crate::plan::K6Plan;

/// How long k6 may take to look at a script, whose beginning may read large files.
const LOOK: Duration = Duration::from_secs(60);
/// Most that is read of what it prints, bytes.
const MOST_OUTPUT: usize = 4 << 20;
/// Most that is kept of what it says, bytes: the end of it.
const MOST_SAID: usize = 16 << 10;
/// Exit code of k6 for a script that threw while it was read.
const EXCEPTION: i32 = 107;
/// What of its own accord k6 tells others or asks of them, and how it is told not to: extensions
/// that a script imports, how it is used. Whoever wants that sets it.
const OF_ITS_OWN: [(&str, &str); 2] = [
    ("K6_AUTO_EXTENSION_RESOLUTION", "false"),
    ("K6_NO_USAGE_REPORT", "true"),
];

/// Why k6 said nothing that can be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::engine) enum ToolError {
    /// There is no such program.
    #[error(
        "k6 was not found (`{}`). To install it, see \
         https://grafana.com/docs/k6/latest/set-up/install-k6/ ; if it is elsewhere, set `--k6 \
         PATH`, or `binary = \"PATH\"` in the profile's [engine]",
        .0.display()
    )]
    Missing(PathBuf),
    /// It cannot be started.
    #[error("`{}` cannot be run as k6: {error}; set another one with `--k6 PATH`", binary.display())]
    Start {
        /// The program.
        binary: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is another program, or an old one.
    #[error(
        "`{}` cannot be used: {error}. To install a newer one, see \
         https://grafana.com/docs/k6/latest/set-up/install-k6/ ; set it with `--k6 PATH`",
        binary.display()
    )]
    Unfit {
        /// The program.
        binary: PathBuf,
        /// Why.
        error: VersionError,
    },
    /// It did not end.
    #[error(
        "`{what}` did not end within {} s and was stopped; the script's init code must be short{}",
        LOOK.as_secs(), quoted(said)
    )]
    TimedOut {
        /// What was asked of it.
        what: String,
        /// The end of what it said.
        said: Vec<String>,
    },
    /// It ended with an error.
    #[error("{what}{}", quoted(said))]
    Failed {
        /// What failed, and how.
        what: String,
        /// The end of what it said.
        said: Vec<String>,
    },
    /// It printed more than any script has options.
    #[error("`k6 inspect {}` printed more than {} MiB; this is not a k6 script", .0.display(), MOST_OUTPUT >> 20)]
    TooMuch(PathBuf),
    /// What it printed cannot be used.
    #[error("{}: {error}", script.display())]
    Script {
        /// The script.
        script: PathBuf,
        /// Why.
        error: ScriptError,
    },
}

fn quoted(said: &[String]) -> String {
    match said {
        [] => String::new(),
        lines => format!("\n    {}", lines.join("\n    ")),
    }
}

/// Asks the k6 of a plan what its script says.
pub(in crate::engine) async fn inspect(plan: &K6Plan, crc32: u32) -> Result<ScriptInfo, ToolError> {
    let arguments = for_inspect(&plan.arguments);
    let tool = Tool::find(&plan.binary).await?;
    Ok(ScriptInfo {
        script: tool.inspect(&plan.script, &arguments).await?,
        version: Some(tool.version()),
        crc32,
    })
}

/// A k6 that is there.
#[derive(Debug, Clone)]
struct Tool {
    binary: PathBuf,
    version: Version,
}

impl Tool {
    /// Asks the program for its version.
    ///
    /// # Errors
    /// When there is none, it is no k6, or one that is too old.
    async fn find(binary: &Path) -> Result<Self, ToolError> {
        let asked = ask(binary, &["version"]).await?;
        let printed = String::from_utf8_lossy(&asked.printed);
        let version = Version::read(&printed).map_err(|error| ToolError::Unfit {
            binary: binary.to_owned(),
            error,
        })?;
        Ok(Self {
            binary: binary.to_owned(),
            version,
        })
    }

    /// Its version.
    fn version(&self) -> Version {
        self.version
    }

    /// Asks what a script says of itself. The code of the script runs for that, but none of its
    /// functions does.
    ///
    /// # Errors
    /// When the script cannot be read or throws, or k6 takes too long.
    async fn inspect(&self, script: &Path, arguments: &[String]) -> Result<Script, ToolError> {
        let path = script.to_string_lossy();
        let mut all = vec!["inspect", "--include-system-env-vars"];
        all.extend(arguments.iter().map(String::as_str));
        all.push(&path);
        let asked = ask(&self.binary, &all).await?;
        if asked.code != Some(0) {
            return Err(failed(script, asked));
        }
        if asked.is_cut {
            return Err(ToolError::TooMuch(script.to_owned()));
        }
        Script::read(&asked.printed).map_err(|error| ToolError::Script {
            script: script.to_owned(),
            error,
        })
    }
}

fn failed(script: &Path, asked: ToolOutput) -> ToolError {
    let script = script.display();
    let what = match asked.code {
        Some(EXCEPTION) => format!("the script {script} cannot be run; k6 says:"),
        Some(code) => {
            format!("k6 could not inspect the script {script} (exit code {code}); it says:")
        }
        None => format!("k6 was killed while it inspected the script {script}"),
    };
    ToolError::Failed {
        what,
        said: asked.said,
    }
}

/// What came of asking k6.
struct ToolOutput {
    code: Option<i32>,
    printed: Vec<u8>,
    /// Whether more was printed than was kept.
    is_cut: bool,
    said: Vec<String>,
}

/// Keeps k6 from asking and telling others of its own accord.
pub(super) fn speaks_to_nobody(command: &mut Command) {
    for (name, value) in OF_ITS_OWN {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
}

async fn ask(binary: &Path, arguments: &[&str]) -> Result<ToolOutput, ToolError> {
    let start = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => ToolError::Missing(binary.to_owned()),
        _ => ToolError::Start {
            binary: binary.to_owned(),
            error,
        },
    };
    let mut command = Command::new(binary);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    speaks_to_nobody(&mut command);
    let mut child = command.spawn().map_err(start)?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (mut printed, mut told) = (Kept::new(MOST_OUTPUT), Kept::new(MOST_SAID));
    let ended = tokio::time::timeout(LOOK, async {
        tokio::join!(child.wait(), printed.read(out), told.read(err)).0
    })
    .await;
    let said = said(&told.bytes);
    match ended {
        Ok(status) => Ok(ToolOutput {
            code: status.map_err(start)?.code(),
            is_cut: printed.is_cut,
            printed: printed.bytes,
            said,
        }),
        Err(_) => Err(ToolError::TimedOut {
            what: format!("k6 {}", arguments.first().unwrap_or(&"")),
            said,
        }),
    }
}

/// The end of a stream, so much of it at most.
struct Kept {
    bytes: Vec<u8>,
    most: usize,
    is_cut: bool,
}

impl Kept {
    fn new(most: usize) -> Self {
        Self {
            bytes: Vec::new(),
            most,
            is_cut: false,
        }
    }

    /// Reads to the end: whoever writes must not be held up.
    async fn read(&mut self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(mut stream) = stream else { return };
        let mut chunk = vec![0; 64 << 10];
        while let Ok(n @ 1..) = stream.read(&mut chunk).await {
            self.bytes.extend_from_slice(&chunk[..n]);
            let over = self.bytes.len().saturating_sub(self.most);
            self.is_cut |= over > 0;
            self.bytes.drain(..over);
        }
    }
}
