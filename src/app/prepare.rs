//! From a plan to something that can run: feeders read, scenario compiled, limits of this machine checked.

use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use super::Refusal;
use crate::exit::Exit;
use crate::measure::Level;
use crate::plan::{LoadPlan, Plan, ScenarioSource, TargetKind};
use crate::preflight::{self, Fit, HostLimits, TooHigh};
use crate::ramp::Stages;
use crate::scenario::{Feeder, Scenario};
use crate::search::SearchSpec;

/// Stands in for the demo's address until it listens.
const DEMO_PLACEHOLDER: &str = "http://127.0.0.1:1";

/// A plan that fits this machine, with its scenario.
pub(super) struct Ready {
    pub(super) plan: Plan,
    /// Compiled against the target's address; for the demo, whose address is not known yet, a trial.
    pub(super) scenario: Scenario,
    pub(super) host: HostLimits,
    /// Whether the level moves while it is measured.
    pub(super) climbs: bool,
    /// What a reader must know.
    pub(super) warnings: Vec<String>,
    feeders: BTreeMap<String, Arc<Feeder>>,
}

impl Ready {
    /// Connections that a VU holds at most.
    pub(super) fn connections(&self) -> usize {
        self.scenario.connections_per_vu()
    }

    /// The scenario for a target at this address.
    pub(super) fn scenario_at(&self, base: &str) -> Result<Scenario, Refusal> {
        compile(&self.plan, base, &self.feeders)
    }
}

/// Makes a search ready.
pub(super) fn prepare(plan: Plan, host: &HostLimits) -> Result<Ready, Refusal> {
    ready(plan, host, |too_high| too_high)
}

/// Makes a ramp ready: its highest stage must fit this machine.
pub(super) fn prepare_ramp(
    mut plan: Plan,
    host: &HostLimits,
    stages: &Stages,
) -> Result<Ready, Refusal> {
    if plan.search.unit.is_open() {
        let message = "the profile searches over arrivals per second (`rate` in its [search]), and the stages of a ramp are \
                       VUs; leave `rate` out, or use `breakpoint find`";
        return Err(Refusal::new(Exit::Usage, message));
    }
    plan.search = SearchSpec {
        min: Level::ZERO,
        max: stages.highest(),
        budget: Duration::from_secs_f64(stages.total_s()),
        ..plan.search
    };
    plan.max_is_explicit = true;
    plan.pace_per_s = stages.pace_per_s();
    let ready = ready(plan, host, |too_high| TooHigh {
        less: format!("stages of {} VUs at most", too_high.highest.get()),
        ..too_high
    })?;
    Ok(Ready {
        climbs: true,
        ..ready
    })
}

fn ready(
    mut plan: Plan,
    host: &HostLimits,
    way_down: impl Fn(TooHigh) -> TooHigh,
) -> Result<Ready, Refusal> {
    let feeders = read_feeders(&plan)?;
    let base = match &plan.target.kind {
        TargetKind::External { url } => url.clone(),
        TargetKind::Demo => DEMO_PLACEHOLDER.to_owned(),
    };
    let scenario = compile(&plan, &base, &feeders)?;
    plan.check_slo(scenario.names())
        .map_err(|e| Refusal::new(Exit::Usage, e))?;
    let hosts = scenario.origins().iter().map(|o| o.host.as_str());
    preflight::check_sources(&plan.local_addresses, hosts)
        .map_err(|e| Refusal::new(Exit::Usage, e))?;
    let host = host.with_sources(plan.local_addresses.len());
    let mut warnings = Vec::new();
    if plan.search.unit.is_open() {
        plan.search.unit = scenario.unit_of_rate();
    }
    match preflight::fit(&plan, scenario.connections_per_vu(), &host) {
        Ok(Fit::Fits) => {}
        Ok(Fit::Capped { max, warning }) => {
            match &mut plan.load {
                LoadPlan::Closed => {
                    plan.search.max = max;
                    plan.search.start = plan.search.start.min(max);
                }
                LoadPlan::Open(open) => open.most_vus = max.get(),
            }
            warnings.push(warning);
        }
        Err(too_high) => return Err(Refusal::new(Exit::HostLimit, way_down(too_high))),
    }
    Ok(Ready {
        plan,
        scenario,
        host,
        climbs: false,
        warnings,
        feeders,
    })
}

fn compile(
    plan: &Plan,
    base: &str,
    feeders: &BTreeMap<String, Arc<Feeder>>,
) -> Result<Scenario, Refusal> {
    let compiled = match &plan.scenario {
        ScenarioSource::Spec(spec) => {
            Scenario::compile(spec, base, feeders, &|name| std::env::var(name).ok())
        }
        ScenarioSource::SingleGet(url) => Scenario::single_get(url),
    };
    compiled.map_err(|e| Refusal::new(Exit::Usage, plan.scenario_error(e.span, &e.message)))
}

fn read_feeders(plan: &Plan) -> Result<BTreeMap<String, Arc<Feeder>>, Refusal> {
    let ScenarioSource::Spec(spec) = &plan.scenario else {
        return Ok(BTreeMap::new());
    };
    spec.feeders
        .iter()
        .map(|(name, feeder)| {
            let path = plan.dir.join(&feeder.get_ref().file);
            let wrong = |why: &dyn std::fmt::Display| {
                let message = format!("feeder `{name}`: {}: {why}", path.display());
                Refusal::new(
                    Exit::Usage,
                    plan.scenario_error(Some(feeder.span()), &message),
                )
            };
            let file = File::open(&path).map_err(|e| wrong(&e))?;
            let rows = Feeder::parse(file).map_err(|e| wrong(&e))?;
            Ok((name.clone(), Arc::new(rows)))
        })
        .collect()
}
