//! The search of `breakpoint find`: the very loop, settle detector, verdicts and stop rules, in
//! virtual time.

use std::time::Duration;

use super::super::named::{named_as_expected, without_reserve};
use super::super::seed;
use super::super::system::{System, World};
use super::super::trial::runtime;
use super::{Asked, MethodOutcome};
use crate::record::{Answer, Environment, PlanRecord, RunRecord};
use crate::report::lab::Interval;
use crate::run::{self, FirstContact, Interrupt, RunSpec};
use crate::search::SearchSpec;

/// One whole search with its every probe, and the holds after it.
pub fn record(system: &System, asked: &Asked, seed: u64) -> RunRecord {
    run(system, &run_spec(system, asked, seed), seed)
}

fn run(system: &System, spec: &RunSpec, seed: u64) -> RunRecord {
    let mut engine = system.engine(seed);
    let mut world = World::of(&engine);
    runtime().block_on(run::run(
        spec,
        &mut engine,
        &mut world,
        &Interrupt::default(),
        &mut |_| {},
    ))
}

pub(super) fn search(system: &System, asked: &Asked, seed: u64) -> MethodOutcome {
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

fn run_spec(system: &System, asked: &Asked, seed: u64) -> RunSpec {
    let search = SearchSpec {
        precision: asked.precision,
        budget: asked.budget.unwrap_or(system.limits.budget),
        // Not the seed of the system: the order of visits must not depend on its draws.
        seed: seed::mixed(&[seed, 1]),
        ..system.limits.clone()
    };
    RunSpec {
        profile: system.name.clone(),
        slo: system.slo.clone(),
        steps: system.steps.clone(),
        plan: PlanRecord {
            target: "simulated".to_owned(),
            engine: "sim".to_owned(),
            steps: system
                .steps
                .recorded()
                .map(|(_, name)| name.to_owned())
                .collect(),
            main_step: system.steps.recorded_main(),
            think_s: system.think_s,
            unit: search.unit,
            arrivals: None,
            populations: Vec::new(),
            min_level: search.min.get(),
            max_level: search.max.get(),
            budget_s: search.budget.as_secs_f64(),
            longest_s: None,
            pace_per_s: system.pace_per_s,
            seed: search.seed,
            limits: Vec::new(),
            required: None,
            command: Vec::new(),
            insecure: false,
            http: None,
            streams_per_connection: None,
            addresses: Vec::new(),
        },
        search,
        environment: Environment::default(),
        warnings: Vec::new(),
        reset_always: false,
        revived: Vec::new(),
        drained_when: crate::slo::Condition::default(),
        drain_timeout: Duration::from_secs(30),
        arrival_timeout: Duration::from_secs(10),
        canary_timeout: Duration::from_secs(120),
        canary_cycles: 3,
        first_contact: FirstContact::default(),
    }
}
