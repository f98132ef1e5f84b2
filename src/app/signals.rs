//! Ctrl-C and SIGTERM: the first ends the load and finishes the record, the second ends the program at once.

use tokio::runtime::Handle;
use tokio::signal::unix::{Signal, SignalKind, signal};

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

/// Listens from now on.
pub(super) fn listen(runtime: &Handle) -> Signals {
    let signals = Signals::default();
    let interrupt = signals.interrupt.clone();
    // What handles a signal is there before anything is loaded.
    let _inside = runtime.enter();
    let mut wishes = Wishes::new();
    runtime.spawn(async move {
        wishes.next().await;
        interrupt.set();
        wishes.next().await;
        end_now();
    });
    signals
}

/// Waits for one Ctrl-C or SIGTERM.
pub(super) async fn ended() {
    Wishes::new().next().await;
}

/// The signals by which a user ends a program. Without a handler the system's own way of ending still works.
struct Wishes {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
}

impl Wishes {
    fn new() -> Self {
        Self {
            interrupt: signal(SignalKind::interrupt()).ok(),
            terminate: signal(SignalKind::terminate()).ok(),
        }
    }

    async fn next(&mut self) {
        tokio::select! {
            () = caught(&mut self.interrupt) => {}
            () = caught(&mut self.terminate) => {}
        }
    }
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
    reason = "the user asked twice: nothing may be waited for"
)]
fn end_now() {
    std::process::exit(Exit::Interrupted.code().into());
}
