//! Drawn systems, their truths, and searches of them on all cores.

use std::time::Duration;

use super::super::method::{Method, MethodOptions};
use super::super::runner::{parallel, single};
use super::super::system::System;
use super::super::truth::{self, TruthError};
use super::{Rejected, SE, SystemKind, draw};
use crate::report::lab::{LabTruth, RandomRun, RandomSystem};
use crate::run::Interrupt;

/// Budgets of the searches, in turn: what people give, from a pipeline's few minutes to half an
/// hour.
pub const BUDGETS: [Duration; 7] = [
    Duration::from_secs(3 * 60),
    Duration::from_secs(4 * 60),
    Duration::from_secs(6 * 60),
    Duration::from_secs(8 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(30 * 60),
];
/// Draws of one number after which it is left out.
const MOST_DRAWS: u32 = 100;
/// A standard error of a truth so many times the one that is aimed at is no truth.
const UNCERTAIN: f64 = 3.0;

/// What is to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomLabPlan {
    /// Numbers of the systems.
    pub indices: Vec<u32>,
    /// Searches of each.
    pub runs: u32,
    /// Seed of all draws.
    pub seed: u64,
    /// Half-width that a search is asked for, as a fraction.
    pub precision: f64,
    /// Budgets of the searches, in turn.
    pub budgets: Vec<Duration>,
    /// Threads to use.
    pub threads: usize,
}

/// Where truths and rejections that cost a simulation are kept.
pub trait Memory: Sync {
    /// What is known of a system.
    fn of(&self, system: &System) -> Option<Result<LabTruth, Rejected>>;
    /// Keeps it.
    fn keep(&self, system: &System, known: &Result<LabTruth, Rejected>);
}

/// A drawn system with its truth, and the draws before it that were thrown away.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its number.
    pub index: u32,
    /// Its dominant trait.
    pub kind: SystemKind,
    /// Its file.
    pub text: String,
    /// The system.
    pub system: System,
    /// Where it breaks.
    pub truth: LabTruth,
}

/// Draws all systems and finds their truths; tells after each how many are done. The second part
/// are the draws that were thrown away.
pub fn find_all(
    plan: &RandomLabPlan,
    memory: &dyn Memory,
    interrupt: &Interrupt,
    done: &mut dyn FnMut(usize),
) -> (Vec<Found>, Vec<Rejected>) {
    let one = |index: &u32| find(plan.seed, *index, memory, interrupt);
    let all = parallel(plan.threads, &plan.indices, &one, interrupt, done);
    let (mut found, mut rejected) = (Vec::new(), Vec::new());
    for (system, thrown_away) in all.into_iter().flatten() {
        found.extend(system);
        rejected.extend(thrown_away);
    }
    (found, rejected)
}

/// Draws a system until one has a truth.
fn find(
    seed: u64,
    index: u32,
    memory: &dyn Memory,
    interrupt: &Interrupt,
) -> (Option<Found>, Vec<Rejected>) {
    let mut rejected = Vec::new();
    for attempt in 0..MOST_DRAWS {
        let draw = match draw(seed, index, attempt) {
            Ok(draw) => draw,
            Err(why) => {
                rejected.push(why);
                continue;
            }
        };
        let Ok(system) = System::from_toml(&draw.text) else {
            // A test draws many and finds none such.
            rejected.push(Rejected::OutOfReach);
            continue;
        };
        let known = memory.of(&system).or_else(|| {
            let found = truth::find(&system, draw.accuracy, 1, interrupt, &mut |_| {});
            let known = judged(found)?;
            memory.keep(&system, &known);
            Some(known)
        });
        match known {
            None => return (None, rejected),
            Some(Err(why)) => rejected.push(why),
            Some(Ok(truth)) => {
                let (kind, text) = (draw.kind, draw.text);
                let found = Found {
                    index,
                    kind,
                    text,
                    system,
                    truth,
                };
                return (Some(found), rejected);
            }
        }
    }
    (None, rejected)
}

/// Whether a truth is of use; `None` when it was interrupted.
fn judged(found: Result<LabTruth, TruthError>) -> Option<Result<LabTruth, Rejected>> {
    Some(match found {
        Ok(truth) => match truth.vus {
            None => Err(Rejected::NeverBreaks),
            Some(0 | 1) => Err(Rejected::BreaksAtOnce),
            Some(_) if truth.se_pct > 100.0 * UNCERTAIN * SE => Err(Rejected::Uncertain),
            Some(_) => Ok(truth),
        },
        Err(TruthError::BreaksAtOne { .. }) => Err(Rejected::BreaksAtOnce),
        Err(TruthError::Uncertain { .. } | TruthError::Objective { .. }) => {
            Err(Rejected::Uncertain)
        }
        Err(TruthError::Interrupted { .. }) => return None,
    })
}

/// Searches every system; tells after each search how many are done.
pub fn run_all(
    plan: &RandomLabPlan,
    found: &[Found],
    interrupt: &Interrupt,
    done: &mut dyn FnMut(usize),
) -> Vec<RandomSystem> {
    let jobs: Vec<(usize, u32)> = (0..found.len())
        .flat_map(|system| (0..plan.runs).map(move |run| (system, run)))
        .collect();
    let one = |job: &(usize, u32)| {
        let budget = plan.budgets[job.1 as usize % plan.budgets.len()];
        let asked = MethodOptions {
            precision: plan.precision,
            budget: Some(budget),
            truth: None,
        };
        let system = &found[job.0].system;
        RandomRun {
            budget_s: budget.as_secs_f64(),
            run: single(Method::Ours, system, &asked, plan.seed, job.1),
        }
    };
    let results = parallel(plan.threads, &jobs, &one, interrupt, done);
    let mut systems: Vec<RandomSystem> = found.iter().map(without_runs).collect();
    for (job, result) in jobs.iter().zip(results) {
        systems[job.0].runs.extend(result);
    }
    systems
}

fn without_runs(found: &Found) -> RandomSystem {
    RandomSystem {
        index: found.index,
        name: found.system.name.clone(),
        kind: found.kind.name(),
        parameters: found.system.canonical(),
        slo: found.system.slo.texts(),
        truth: found.truth.clone(),
        events_every_s: found.system.events_every_s(),
        runs: Vec::new(),
    }
}
