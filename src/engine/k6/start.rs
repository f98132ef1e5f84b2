//! From a plan to a k6 that runs.

use super::{K6Engine, K6Spec, tool};
use crate::engine::{EngineError, Order, Started};
use crate::k6::{ITERATION, Version};
use crate::plan::K6Plan;

/// Starts k6 and looks around, unless the user stops that.
pub(in crate::engine) async fn start(
    own: &K6Plan,
    order: Order<'_>,
) -> Result<Started, EngineError> {
    let version = tool::version(&own.binary).await;
    let version = version.map_err(|error| EngineError::Unfit(error.to_string()))?;
    let engine = K6Engine::start(spec(own, &order, version), order.stopped).await?;
    Ok(Started {
        warnings: engine.warnings(),
        engine: Box::new(engine),
    })
}

fn spec(own: &K6Plan, order: &Order<'_>, version: Version) -> K6Spec {
    let plan = order.plan;
    let mut names = plan.named_steps();
    // The engine has that one of its own.
    names.retain(|name| name != ITERATION);
    let weights = own.functions.iter();
    K6Spec {
        binary: own.binary.clone(),
        version,
        script: own.script.clone(),
        shown: own.shown.clone(),
        functions: weights.map(|f| (f.name.clone(), f.weight.into())).collect(),
        arguments: own.arguments.clone(),
        blacklist: own.blocked.clone(),
        pace_per_s: plan.pace_per_s,
        names,
        // The first level that is visited anyway.
        look_vus: plan.search.start.get().min(plan.search.max.get()),
        max_vus: plan.search.max.get(),
        longest: plan.longest_run(),
        left_out: own.left_out.clone(),
        hidden: own.hidden.clone(),
    }
}
