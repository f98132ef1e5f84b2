//! A Locust cluster as the engine of a session, and the plug-in for it.

use super::signals::Signals;
use super::{Exit, Refusal};
use crate::engine::EngineError;
use crate::engine::locust::{LocustEngine, LocustSpec, PLUGIN};
use crate::plan::{LocustPlan, Plan};
use crate::run::Halt;
use crate::term::Terminal;

/// Prints the plug-in.
pub(super) fn print_plugin(terminal: &Terminal) -> Exit {
    terminal.print(PLUGIN);
    Exit::Answer
}

/// Connects to the cluster of a plan and looks around, unless the user stops that.
pub(super) async fn start(
    plan: &Plan,
    locust: &LocustPlan,
    climbs: bool,
    signals: &Signals,
) -> Result<LocustEngine, Refusal> {
    let spec = LocustSpec {
        url: locust.url.clone(),
        headers: locust.headers.clone(),
        pace_per_s: plan.pace_per_s,
        names: plan.named_steps(),
        // The first level that is visited anyway.
        look_users: plan.search.start.get().min(plan.search.max.get()),
        climbs,
    };
    LocustEngine::start(spec, signals.wait())
        .await
        .map_err(|error| match error {
            error if signals.interrupt.why().is_none() => match error {
                EngineError::Unfit(why) => Refusal::new(Exit::Usage, why),
                error => Refusal::new(Exit::HostLimit, error),
            },
            _ => before_the_first_probe(signals),
        })
}

/// What ended the run while the cluster was looked at.
fn before_the_first_probe(signals: &Signals) -> Refusal {
    let said = "before the first probe; the Locust test is stopped";
    match signals.interrupt.why() {
        None | Some(Halt::User) => Refusal::new(Exit::Interrupted, format!("interrupted {said}")),
        Some(halt) => Refusal::new(halt.ending().into(), format!("{} {said}", halt.reason())),
    }
}
