//! A k6 for each level, for scripts that cannot be wrapped.

use std::path::PathBuf;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::points::{Event, What};
use super::process::{Ended, Process};
use super::wall_clock;
use crate::secret::Hidden;

/// What is known of the k6 that runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Now {
    /// Its number for the system, while there is one.
    pub(super) pid: Option<u32>,
    /// How one ended that should not have, or why none could be started.
    pub(super) lost: Option<Lost>,
}

/// Why no k6 is there that should be.
#[derive(Debug, Clone)]
pub(super) enum Lost {
    /// It ended by itself.
    Ended(Ended),
    /// It could not be started.
    NotStarted(String),
}

/// One k6 after the other.
#[derive(Debug)]
pub(super) struct Restart {
    level: watch::Sender<u32>,
    now: watch::Receiver<Now>,
    task: JoinHandle<()>,
}

/// What is the same for all of them.
pub(super) struct Launch {
    pub(super) binary: PathBuf,
    /// Arguments but for the number of VUs.
    pub(super) arguments: Vec<String>,
    /// Secrets among them.
    pub(super) hidden: Hidden,
    pub(super) events: UnboundedSender<Vec<Event>>,
}

impl Restart {
    /// At level 0, where there is no k6.
    pub(super) fn new(launch: Launch) -> Self {
        let (level, wanted) = watch::channel(0);
        let (tell, now) = watch::channel(Now::default());
        let task = tokio::spawn(follow(launch, wanted, tell));
        Self { level, now, task }
    }

    /// Ends the k6 that runs, if any, and then starts one with so many VUs.
    pub(super) fn set_level(&self, level: u32) {
        self.level.send_replace(level);
    }

    /// The process that runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.now.borrow().pid
    }

    /// Waits until one is lost.
    pub(super) async fn lost(&mut self) -> Lost {
        let lost = self.now.wait_for(|now| now.lost.is_some()).await;
        let lost = lost.ok().and_then(|now| now.lost.clone());
        lost.unwrap_or_else(|| Lost::NotStarted("nobody is there to start it".to_owned()))
    }

    /// Ends it and waits until it is gone.
    pub(super) async fn stop(self) {
        drop(self.level);
        // A task that panicked has ended too.
        let _ = self.task.await;
    }
}

/// Goes from level to level until nobody can ask for another.
async fn follow(launch: Launch, mut wanted: watch::Receiver<u32>, tell: watch::Sender<Now>) {
    loop {
        let level = *wanted.borrow_and_update();
        let went = if level == 0 {
            wanted.changed().await.map_err(|_| None)
        } else {
            visit(&launch, level, &mut wanted, &tell).await
        };
        if let Err(lost) = went {
            tell.send_replace(Now { pid: None, lost });
            return;
        }
    }
}

/// One k6 until another level is wanted; `Err` when none will be, and why.
async fn visit(
    launch: &Launch,
    level: u32,
    wanted: &mut watch::Receiver<u32>,
    tell: &watch::Sender<Now>,
) -> Result<(), Option<Lost>> {
    let vus = ["-u".to_owned(), level.to_string()];
    let arguments: Vec<String> = (launch.arguments.iter().cloned()).chain(vus).collect();
    let events = launch.events.clone();
    let started = Process::start(
        &launch.binary,
        &arguments,
        &launch.hidden,
        Some(level),
        events,
    );
    let mut k6 = started.map_err(|e| Some(Lost::NotStarted(e.to_string())))?;
    let pid = k6.pid;
    tell.send_modify(|now| now.pid = pid);
    let (went, ended) = tokio::select! {
        ended = k6.ended() => (Err(Some(Lost::Ended(ended.clone()))), Some(ended)),
        changed = wanted.changed() => (changed.map_err(|_| None), None),
    };
    if ended.is_none() {
        k6.end();
        k6.ended().await;
    }
    tell.send_modify(|now| now.pid = None);
    let gone = [What::Gone, What::Running(0)].map(|what| Event {
        at: wall_clock(),
        vu: 0,
        what,
    });
    // Without a receiver the run is over.
    let _ = launch.events.send(gone.into());
    went
}
