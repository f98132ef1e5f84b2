//! From a plan to an engine for all of its populations.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::{LoadModel, MixPart, NativeEngine, NativeSpec, Number, PopulationSpec};
use crate::engine::{EngineError, EngineInfo, Order, Started};
use crate::measure::{Arrivals, Level, Mix};
use crate::plan::{Amount, LoadPlan, Plan};
use crate::scenario::Scenario;

/// Length of a window.
pub const WINDOW: Duration = Duration::from_secs(1);
/// How long a cycle of a population with a rate may take before its arrivals wait, and how many VUs
/// that makes at least and at most.
const RATE_PATIENCE_S: u32 = 10;
const RATE_VUS: Range<u32> = 10..5_000;

/// What the scenarios of a profile say, compiled.
pub struct Work {
    /// Everybody who loads the target, the users last.
    pub populations: Vec<CompiledPopulation>,
    /// What all of them do.
    pub info: EngineInfo,
}

/// Users of one kind.
pub struct CompiledPopulation {
    /// How many there are.
    pub amount: Amount,
    /// What each of them does.
    pub scenario: Scenario,
}

/// Starts what loads the target.
pub(in crate::engine) fn start(order: Order<'_>) -> Result<Started, EngineError> {
    let Some(work) = order.work else {
        return Err(EngineError::Start("there is no scenario".to_owned()));
    };
    let plan = order.plan;
    // The users, who are last, draw from the seed itself.
    let others = u64::try_from(work.populations.len().saturating_sub(1)).unwrap_or(u64::MAX);
    let seeds = (1..=others).chain([0]);
    let shares: Vec<u32> = (work.populations.iter())
        .filter_map(|each| each.amount.share())
        .collect();
    let mut parts = mix_parts(&shares).into_iter();
    let populations = seeds
        .zip(work.populations)
        .map(|(index, each)| PopulationSpec {
            load: load_of(each.amount, plan, order.climbs),
            number: match each.amount {
                Amount::Searched => Number::Level,
                Amount::Share(_) => parts.next().map_or(Number::Level, Number::Part),
                Amount::Vus(level) | Amount::PerSecond(level) => Number::Fixed(level),
            },
            scenario: Arc::new(each.scenario),
            script: None,
            // Of its own draws: populations that draw alike would march in step.
            seed: plan.seed.wrapping_add(index),
        });
    let engine = NativeEngine::start(NativeSpec {
        populations: populations.collect(),
        window: WINDOW,
        threads: plan.threads.unwrap_or_else(cores),
        sources: plan.local_addresses.clone(),
        allowed: plan.target.allowed.clone(),
        network: order.network.clone(),
        excerpts: plan.excerpts,
    })?;
    Ok(Started {
        engine: Box::new(engine.described(work.info)),
        warnings: Vec::new(),
    })
}

/// The parts of the kinds of a mix, in order.
fn mix_parts(shares: &[u32]) -> Vec<MixPart> {
    if shares.is_empty() {
        return Vec::new();
    }
    let (mix, arrived) = (Arc::new(Mix::new(shares)), Arc::new(AtomicU64::new(0)));
    let part = |kind| MixPart {
        mix: Arc::clone(&mix),
        kind,
        arrived: Arc::clone(&arrived),
    };
    (0..shares.len()).map(part).collect()
}

/// VUs that a population with such a rate may have at once.
pub fn vus_of(rate: Level) -> u32 {
    let vus = rate.get().saturating_mul(RATE_PATIENCE_S);
    vus.clamp(RATE_VUS.start, RATE_VUS.end)
}

/// Cores of this machine: so many threads make the load when nothing else is said.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// How a population comes to its level.
pub(super) fn load_of(amount: Amount, plan: &Plan, climbs: bool) -> LoadModel {
    let closed = if climbs {
        LoadModel::climbing(plan.pace_per_s)
    } else {
        LoadModel::closed(plan.pace_per_s)
    };
    match (amount, plan.load) {
        (Amount::Vus(_), _) | (Amount::Searched | Amount::Share(_), LoadPlan::Closed) => closed,
        (Amount::Searched | Amount::Share(_), LoadPlan::Open(open)) => LoadModel::Open {
            arrivals: open.arrivals,
            most_vus: open.most_vus,
        },
        (Amount::PerSecond(rate), _) => LoadModel::Open {
            arrivals: Arrivals::Constant,
            most_vus: vus_of(rate),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::FindFlags;

    fn plan(rate: Option<&str>) -> Plan {
        let flags = FindFlags {
            url: Some("http://127.0.0.1:1/".to_owned()),
            slo: vec!["p99<1s".to_owned()],
            rate: rate.map(str::to_owned),
            ..FindFlags::default()
        };
        Plan::resolve(None, &flags).unwrap()
    }

    #[test]
    fn who_is_searched_follows_the_plan_and_the_others_their_own_model() {
        let is_open = |amount, rate| {
            let load = load_of(amount, &plan(rate), false);
            matches!(load, LoadModel::Open { .. })
        };
        for rate in [None, Some("poisson")] {
            assert_eq!(is_open(Amount::Searched, rate), rate.is_some());
            assert!(!is_open(Amount::Vus(Level(3)), rate));
            assert!(is_open(Amount::PerSecond(Level(3)), rate));
        }
        let climbing = load_of(Amount::Searched, &plan(None), true);
        assert!(matches!(
            climbing,
            LoadModel::Closed {
                staggered: false,
                ..
            }
        ));
    }

    #[test]
    fn a_rate_has_vus_for_ten_seconds_within_bounds() {
        assert_eq!([1, 30, 9_999].map(|n| vus_of(Level(n))), [10, 300, 5_000]);
    }
}
