//! Process groups that this program starts and ends: none of them outlives it, however it ends by itself.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Those that run.
static RUNNING: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// A process group that is killed when this value goes away, unless it was forgotten.
#[derive(Debug)]
pub struct Group(Option<i32>);

impl Group {
    /// That of a child which was started at the head of one.
    pub fn of(child: Option<u32>) -> Self {
        let id = child.and_then(|id| i32::try_from(id).ok());
        // 1 is everybody.
        let id = id.filter(|id| *id > 1);
        running(|all| all.extend(id));
        Self(id)
    }

    /// What it left behind may live on: its head has ended.
    pub fn forget(&mut self) {
        if let Some(id) = self.0.take() {
            running(|all| all.retain(|other| *other != id));
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

/// Ends all that run, before this program ends without waiting for anything.
pub fn end_all() {
    running(|all| std::mem::take(all).into_iter().for_each(end));
}

fn end(id: i32) {
    // It may have ended this moment.
    let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
}

fn running(change: impl FnOnce(&mut BTreeSet<i32>)) {
    change(&mut RUNNING.lock().unwrap_or_else(PoisonError::into_inner));
}
