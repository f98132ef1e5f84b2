//! The demo target as a process of its own: this very program, started again.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::TargetError;

/// How long the process may take to listen.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A running demo target. It ends with its parent, however that ends: its standard input closes
/// then.
#[derive(Debug)]
pub(super) struct DemoProcess {
    child: Child,
    address: SocketAddr,
    seed: u64,
}

impl DemoProcess {
    /// Starts it on a free port of the loopback interface.
    pub(super) async fn start(seed: u64) -> Result<Self, TargetError> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), seed).await
    }

    async fn start_at(listen: SocketAddr, seed: u64) -> Result<Self, TargetError> {
        let failed = |e: &dyn std::fmt::Display| TargetError::Demo(e.to_string());
        let program = std::env::current_exe().map_err(|e| failed(&e))?;
        let mut child = Command::new(program)
            .args(["demo", "--end-with-stdin", "--listen", &listen.to_string()])
            .args(["--seed", &seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C is for the parent, which still needs its target to stop in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| failed(&e))?;
        let stdout = child.stdout.take().ok_or_else(|| failed(&"no output"))?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START_LIMIT, lines.next_line())
            .await
            .map_err(|_| failed(&"it did not listen in time"))?
            .map_err(|e| failed(&e))?
            .ok_or_else(|| failed(&"it ended at once"))?;
        let address = line
            .trim()
            .rsplit_once("://")
            .and_then(|(_, address)| address.parse().ok())
            .ok_or_else(|| failed(&format!("it said `{line}`")))?;
        Ok(Self {
            child,
            address,
            seed,
        })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts it again at the same address if it has died.
    pub(super) async fn revive(&mut self) -> Result<(), TargetError> {
        if matches!(self.child.try_wait(), Ok(None)) {
            return Ok(());
        }
        *self = Self::start_at(self.address, self.seed).await?;
        Ok(())
    }

    /// Ends it.
    pub(super) async fn stop(&mut self) {
        // A process that has ended already is what was wanted.
        let _ = self.child.kill().await;
    }
}
