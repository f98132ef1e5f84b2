//! From a plan to a cluster that is driven.

use super::{LocustEngine, LocustSpec};
use crate::crypto::{Trust, TrustSpec};
use crate::engine::{EngineError, Order, Started};
use crate::plan::LocustPlan;

/// Connects to the cluster and looks around, unless the user stops that.
pub(in crate::engine) async fn start(
    own: &LocustPlan,
    order: Order<'_>,
) -> Result<Started, EngineError> {
    let engine = LocustEngine::start(spec(own, &order)?, order.stopped).await?;
    Ok(Started {
        warnings: engine.warnings(),
        engine: Box::new(engine),
    })
}

fn spec(own: &LocustPlan, order: &Order<'_>) -> Result<LocustSpec, EngineError> {
    let plan = order.plan;
    Ok(LocustSpec {
        url: own.url.clone(),
        headers: own.headers.clone(),
        trust: trust(own)?,
        resolve: own.connect.resolve.clone(),
        allowed: own.connect.allowed.clone(),
        pace_per_s: plan.pace_per_s,
        names: plan.named_steps(),
        // The first level that is visited anyway.
        look_users: plan.search.start.get().min(plan.search.max.get()),
        climbs: order.climbs,
    })
}

/// Whom the connection to the master's page trusts; nobody where no TLS is spoken.
fn trust(own: &LocustPlan) -> Result<Option<Trust>, EngineError> {
    let tls = own
        .url
        .get(..6)
        .is_some_and(|s| s.eq_ignore_ascii_case("https:"));
    let trust = tls.then(|| Trust::read(&TrustSpec::from(&own.connect)));
    trust
        .transpose()
        .map_err(|e| EngineError::Unfit(e.to_string()))
}
