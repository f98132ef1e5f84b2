//! Ctrl-C, SIGTERM, and SIGHUP of a terminal that is gone: the first ends the load and finishes the
//! record, the second ends the program at once, and so does SIGQUIT (Ctrl-\\).

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::children;
use crate::exit::Exit;
use crate::run::Interrupt;

/// Whether the user wants to stop, or something else ends the run.
#[derive(Debug, Clone, Default)]
pub(super) struct Signals {
    /// For the run's loop, and for waits that must be broken off.
    pub(super) interrupt: Interrupt,
}

impl Signals {
    /// Waits until the run is to end.
    pub(super) async fn wait(&self) {
        self.interrupt.wait().await;
    }
}

/// Signals that come together are one wish.
const ONE_WISH: Duration = Duration::from_millis(100);

/// Listens from now on.
pub(super) fn listen(runtime: &Handle) -> Signals {
    let signals = Signals::default();
    let interrupt = signals.interrupt.clone();
    // What handles a signal is there before anything is loaded.
    let _inside = runtime.enter();
    let mut wishes = Wishes::new();
    let mut quit = signal(SignalKind::quit()).ok();
    runtime.spawn(async move {
        caught(&mut quit).await;
        end_now();
    });
    runtime.spawn(async move {
        wishes.next().await;
        interrupt.set();
        // `timeout` signals a program and then its group: that is one wish.
        let again = tokio::time::Instant::now() + ONE_WISH;
        loop {
            wishes.next().await;
            if tokio::time::Instant::now() >= again {
                break;
            }
        }
        end_now();
    });
    signals
}

/// Waits for one of them.
pub(super) async fn ended() {
    Wishes::new().next().await;
}

/// The signals by which a user ends a program. Without a handler the system's own way of ending
/// still works.
struct Wishes {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hang_up: Option<Signal>,
}

impl Wishes {
    fn new() -> Self {
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
            // `nohup` has it ignored, so that a run outlives its terminal.
            hang_up: (!ignores_hang_up())
                .then(|| signal(SignalKind::hangup()).ok())
                .flatten(),
        }
    }

    async fn next(&mut self) {
        tokio::select! {
            () = caught(&mut self.interrupt) => {}
            () = caught(&mut self.terminate) => {}
            () = caught(&mut self.hang_up) => {}
        }
    }
}

/// Whether whoever started this program has told the system to ignore SIGHUP, which is signal 1
/// (POSIX.1).
fn ignores_hang_up() -> bool {
    let status = procfs::process::Process::myself().and_then(|myself| myself.status());
    status.is_ok_and(|status| status.sigign & 1 != 0)
}

async fn caught(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

#[expect(
    clippy::exit,
    reason = "the user asked twice, or by SIGQUIT: nothing may be waited for"
)]
fn end_now() {
    // What runs of `down` would go on with nobody to tell how it went.
    children::end_all();
    std::process::exit(Exit::Interrupted.code().into());
}
