//! A Locust cluster as the engine of a session, and the plug-in for it.

use super::signals::Signals;
use super::{Exit, Refusal, session};
use crate::crypto::{Trust, TrustSpec};
use crate::engine::locust::{LocustEngine, LocustSpec, PLUGIN};
use crate::plan::{LocustPlan, Plan};
use crate::term::Terminal;

/// Prints the plug-in.
pub(super) fn print_plugin(terminal: &Terminal) -> Exit {
    terminal.print_own(PLUGIN);
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
        trust: trust(locust)?,
        resolve: locust.connect.resolve.clone(),
        allowed: locust.connect.allowed.clone(),
        pace_per_s: plan.pace_per_s,
        names: plan.named_steps(),
        // The first level that is visited anyway.
        look_users: plan.search.start.get().min(plan.search.max.get()),
        climbs,
    };
    let started = LocustEngine::start(spec, signals.wait()).await;
    started.map_err(|error| session::not_started(error, signals, "stopping the Locust test"))
}

/// Whom the connection to the master's page trusts; nobody where no TLS is spoken.
fn trust(locust: &LocustPlan) -> Result<Option<Trust>, Refusal> {
    let tls = locust
        .url
        .get(..6)
        .is_some_and(|s| s.eq_ignore_ascii_case("https:"));
    let trust = tls.then(|| Trust::read(&TrustSpec::from(&locust.connect)));
    trust.transpose().map_err(|e| Refusal::new(Exit::Usage, e))
}
