//! Ctrl-C and SIGTERM: the first finishes the record, the second ends the program at once.

use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::run::Interrupt;

/// Whether the user wants to stop, for loops that check and for waits that must be broken off.
#[derive(Debug, Clone, Default)]
pub(super) struct Signals {
    /// For the run's loop.
    pub(super) interrupt: Interrupt,
}

impl Signals {
    /// Waits until the user wants to stop.
    pub(super) async fn wait(&self) {
        self.interrupt.wait().await;
    }
}

/// Listens from now on.
pub(super) fn listen(runtime: &Handle) -> Signals {
    let signals = Signals::default();
    let told = signals.clone();
    runtime.spawn(async move {
        ended().await;
        told.interrupt.set();
        ended().await;
        end_now();
    });
    signals
}

/// Waits for one Ctrl-C or SIGTERM.
pub(super) async fn ended() {
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                terminate.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        caught = tokio::signal::ctrl_c() => if caught.is_err() {
            // Without a handler the system's own way of ending still works.
            std::future::pending::<()>().await;
        },
        () = terminate => {}
    }
}

#[expect(
    clippy::exit,
    reason = "the user asked twice: nothing may be waited for"
)]
fn end_now() {
    std::process::exit(Exit::Interrupted.code().into());
}
