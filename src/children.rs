//! Process groups that this program starts and ends: none of them outlives it, however it ends by
//! itself.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// Those that run.
static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// A process group that is killed when this value goes away, unless it was forgotten.
#[derive(Debug)]
pub struct Group(Option<i32>);

impl Group {
    /// Starts a child at the head of one. [`end_all`] waits until it is known, and so misses none.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> io::Result<(Child, Self)> {
        let mut all = running();
        let child = command.process_group(0).spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        // 1 is everybody.
        let id = id.filter(|id| *id > 1);
        all.extend(id);
        Ok((child, Self(id)))
    }

    /// What it left behind may live on: its head has ended.
    pub fn forget(&mut self) {
        if let Some(id) = self.0.take() {
            running().remove(&id);
        }
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(id) = self.0 {
            end(id);
        }
        self.forget();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ends all that run, before this program ends without waiting for anything. Whoever would start
/// one now waits for that end.
pub fn end_all() {
    let all = running();
    all.iter().copied().for_each(end);
    std::mem::forget(all);
}

fn end(id: i32) {
    // It may have ended this moment.
    let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
}

fn running() -> MutexGuard<'static, BTreeSet<i32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
