//! The k6 program itself: whether it is there, and which.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::k6::{Version, VersionError};

/// How long k6 may take to say which version it is.
const LONGEST: Duration = Duration::from_secs(60);
/// Most that is read of what it prints, bytes.
const MOST_OUTPUT: u64 = 64 << 10;
/// What of its own accord k6 tells others or asks of them, and how it is told not to: extensions
/// that a script imports, how it is used. Whoever wants that sets it.
const OF_ITS_OWN: [(&str, &str); 2] = [
    ("K6_AUTO_EXTENSION_RESOLUTION", "false"),
    ("K6_NO_USAGE_REPORT", "true"),
];

/// Why there is no k6 that can be driven.
#[derive(Debug, thiserror::Error)]
pub(super) enum ToolError {
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
    #[error("`{} version` did not end within {} s; set another k6 with `--k6 PATH`", .0.display(), LONGEST.as_secs())]
    TimedOut(PathBuf),
}

/// Asks the program for its version.
///
/// # Errors
/// When there is none, it is no k6, or one that is too old.
pub(super) async fn version(binary: &Path) -> Result<Version, ToolError> {
    let start = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => ToolError::Missing(binary.to_owned()),
        _ => ToolError::Start {
            binary: binary.to_owned(),
            error,
        },
    };
    let mut command = Command::new(binary);
    command
        .arg("version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    speaks_to_nobody(&mut command);
    let mut child = command.spawn().map_err(start)?;
    let mut printed = Vec::new();
    let read = async {
        if let Some(out) = child.stdout.take() {
            out.take(MOST_OUTPUT).read_to_end(&mut printed).await?;
        }
        Ok(())
    };
    match tokio::time::timeout(LONGEST, read).await {
        Ok(read) => read.map_err(start)?,
        Err(_) => return Err(ToolError::TimedOut(binary.to_owned())),
    }
    Version::read(&String::from_utf8_lossy(&printed)).map_err(|error| ToolError::Unfit {
        binary: binary.to_owned(),
        error,
    })
}

/// Keeps k6 from asking and telling others of its own accord.
pub(super) fn speaks_to_nobody(command: &mut Command) {
    for (name, value) in OF_ITS_OWN {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
}
