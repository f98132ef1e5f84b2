//! The search of `breakpoint find`: the very loop, settle detector, verdicts and stop rules, in
//! virtual time.

use super::super::named::{named_as_expected, without_reserve};
use super::super::seed;
use super::super::system::{SimulatedEnvironment, System};
use super::super::trial::runtime;
use super::{MethodOptions, MethodOutcome};
use crate::record::{Answer, RunRecord};
use crate::report::lab::Interval;
use crate::run::{self, Interrupt, RunSpec, SimulatedUsers};
use crate::search::SearchSpec;

/// One whole search with its every probe, and the holds after it.
pub fn record(system: &System, asked: &MethodOptions, seed: u64) -> RunRecord {
    run(system, &run_spec(system, asked, seed), seed)
}

fn run(system: &System, spec: &RunSpec, seed: u64) -> RunRecord {
    let mut engine = system.engine(seed);
    let mut environment = SimulatedEnvironment::of(&engine);
    runtime().block_on(run::run(
        spec,
        &mut engine,
        &mut environment,
        &Interrupt::default(),
        &mut |_| {},
    ))
}

pub(super) fn search(system: &System, asked: &MethodOptions, seed: u64) -> MethodOutcome {
    let mut spec = run_spec(system, asked, seed);
    // They come after the answer.
    spec.search.reference_holds = false;
    let record = run(system, &spec, seed);
    let answer = &record.answer;
    MethodOutcome {
        ending: answer.ending.name(),
        vus: answer.breakpoint,
        interval: interval(answer),
        cost_s: answer.search_s,
        visits: u32::try_from(record.probes.len()).unwrap_or(u32::MAX),
        named_as_expected: Some(named_as_expected(answer, system.expect)),
        without_reserve: without_reserve(answer),
    }
}

fn interval(answer: &Answer) -> Option<Interval> {
    let low = answer.ci_low?;
    let half_width = answer.precision_reached.filter(|w| w.is_finite());
    Some(Interval {
        low,
        high: answer.ci_high,
        half_width,
        as_asked: answer.as_narrow_as_asked,
    })
}

fn run_spec(system: &System, asked: &MethodOptions, seed: u64) -> RunSpec {
    let search = SearchSpec {
        precision: asked.precision,
        budget: asked.budget.unwrap_or(system.limits.budget),
        // Not the seed of the system: the order of visits must not depend on its draws.
        seed: seed::mixed(&[seed, 1]),
        ..system.limits.clone()
    };
    let users = SimulatedUsers {
        think_s: system.think_s,
        pace_per_s: system.pace_per_s,
    };
    let (slo, steps) = (system.slo.clone(), system.steps.clone());
    RunSpec::simulated(&system.name, slo, steps, search, users)
}
