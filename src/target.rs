//! The service under load: bringing it up, resetting it, taking it down, and the embedded demo
//! target.

pub mod control;
pub mod demo;
mod process;
mod reset;

use std::future::Future;
use std::sync::{Arc, PoisonError};

use tokio::sync::Mutex;

use self::control::{ControlError, Said, run_command};
use self::process::DemoProcess;
use crate::monitor::MonitorError;
use crate::plan::{Plan, TargetKind, TargetPlan};

/// Why a target is not where it should be.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// A command of the profile failed.
    #[error(transparent)]
    Command(#[from] ControlError),
    /// The demo's process could not be started.
    #[error("the demo target did not start: {0}")]
    Demo(String),
    /// A container could not be restarted.
    #[error("cannot restart the container `{container}`: {error}")]
    Restart {
        /// The container.
        container: String,
        /// What Docker says.
        error: MonitorError,
    },
    /// A Redis server could not be emptied.
    #[error("cannot flush the Redis server of the monitor `{monitor}`: {why}")]
    Flush {
        /// The monitor that watches it.
        monitor: String,
        /// Why.
        why: String,
    },
    /// The user stopped the program meanwhile.
    #[error("interrupted while the target started")]
    Interrupted,
}

impl TargetError {
    /// Whether `up` was ended in the middle by this program, and not by itself.
    pub fn was_broken_off(&self) -> bool {
        matches!(
            self,
            Self::Interrupted | Self::Command(ControlError::TimedOut { .. })
        )
    }
}

/// A target that was brought up.
#[derive(Debug)]
pub struct Target {
    plan: TargetPlan,
    url: String,
    demo: Option<Arc<Mutex<DemoProcess>>>,
    /// What `up` and every `reset` printed: whoever they left running writes there still.
    said: Arc<std::sync::Mutex<Vec<(&'static str, Said)>>>,
}

impl Target {
    /// Brings a plan's target up.
    ///
    /// # Errors
    /// When its command fails or takes too long, or the demo's process does not listen.
    pub async fn up(plan: &Plan) -> Result<Self, TargetError> {
        let target = plan.target.clone();
        let mut said = Vec::new();
        if let Some(command) = &target.up {
            let printed = run_command(command, target.place(), target.up_timeout).await?;
            said.push(("up", printed));
        }
        let (url, demo) = match &target.kind {
            TargetKind::External { url } => (url.clone(), None),
            TargetKind::OfTheEngine => (String::new(), None),
            TargetKind::Demo => {
                let demo = DemoProcess::start(plan.seed).await?;
                (demo.url(), Some(Arc::new(Mutex::new(demo))))
            }
        };
        Ok(Self {
            plan: target,
            url,
            demo,
            said: Arc::new(std::sync::Mutex::new(said)),
        })
    }

    /// The last lines that `up` (or the last `reset`) printed, and what it left running, to be put
    /// behind a message.
    pub fn last_words(&self) -> Option<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last = said.iter().rev().map(|(name, said)| (name, said.lines()));
        last.find(|(_, lines)| !lines.is_empty())
            .map(|(command, lines)| {
                format!(
                    "; last output of `{command}` and of what it left running:\n    {}",
                    lines.join("\n    ")
                )
            })
    }

    /// The last lines that `up` printed by now, and what it left running.
    pub fn said_by_up(&self) -> Vec<String> {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let of_up = said.iter().find(|(name, _)| *name == "up");
        of_up.map(|(_, said)| said.lines()).unwrap_or_default()
    }

    /// Whether what `up` left running, as far as it can be seen, has ended by now.
    pub fn is_deserted(&self) -> bool {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.iter()
            .any(|(name, said)| *name == "up" && said.is_deserted())
    }

    /// Its base address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Puts it back into its initial state: a demo that has died is started again, containers are
    /// restarted where that is due (`bloated` are the monitors that read too much memory), Redis
    /// servers emptied; last the profile's command.
    ///
    /// # Errors
    /// When a part fails or takes too long.
    pub fn reset(
        &self,
        bloated: Vec<String>,
    ) -> impl Future<Output = Result<(), TargetError>> + Send + use<> {
        let (plan, demo) = (self.plan.clone(), self.demo.clone());
        let said = Arc::clone(&self.said);
        async move {
            if let Some(demo) = demo {
                demo.lock().await.revive().await?;
            }
            reset::restart(&plan.restarts, &bloated, plan.reset_timeout).await?;
            for flush in &plan.flushes {
                reset::flush(flush, &plan.allowed, plan.reset_timeout).await?;
            }
            if let Some(command) = &plan.reset {
                let printed = run_command(command, plan.place(), plan.reset_timeout).await?;
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.push(("reset", printed));
            }
            Ok(())
        }
    }

    /// Takes away what an `up` has begun that was broken off: containers, say, of which half are
    /// there.
    ///
    /// # Errors
    /// As [`Target::down`].
    pub async fn clear(plan: &TargetPlan) -> Result<(), TargetError> {
        if let (Some(_), Some(command)) = (&plan.up, &plan.down) {
            run_command(command, plan.place(), plan.up_timeout).await?;
        }
        Ok(())
    }

    /// Takes it down.
    ///
    /// # Errors
    /// When the profile's command fails or takes too long.
    pub async fn down(self) -> Result<(), TargetError> {
        if let Some(command) = &self.plan.down {
            run_command(command, self.plan.place(), self.plan.up_timeout).await?;
        }
        if let Some(demo) = self.demo {
            demo.lock().await.stop().await;
        }
        Ok(())
    }
}
