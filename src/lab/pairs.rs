//! Pairs of searches: of a system and of the same again, or with more capacity, compared as
//! `breakpoint compare` does it.
//!
//! Pairs of equal systems count false alarms, the others how often a change is seen.

use super::method::{MethodOptions, ours};
use super::runner::parallel;
use super::seed;
use super::system::System;
use super::truth;
use crate::compare::{self, Design, Named};
use crate::record::RunRecord;
use crate::report::lab::{LabPair, LabPairs};
use crate::run::Interrupt;

/// What is to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct PairsPlan {
    /// Pairs of each change.
    pub pairs: u32,
    /// Capacity that the candidate has more, as fractions; 0 is an equal system.
    pub changes: Vec<f64>,
    /// Seed of all of them.
    pub seed: u64,
    /// What is asked of a search.
    pub asked: MethodOptions,
    /// Threads to use.
    pub threads: usize,
}

/// Runs everything and tells after every pair how many are done. The changes of one pair share its
/// base.
pub fn run_all(
    plan: &PairsPlan,
    systems: &[System],
    interrupt: &Interrupt,
    done: &mut dyn FnMut(usize),
) -> Vec<LabPairs> {
    let jobs: Vec<(usize, u32)> = (0..plan.pairs)
        .flat_map(|pair| (0..systems.len()).map(move |system| (system, pair)))
        .collect();
    let one = |job: &(usize, u32)| of_pair(plan, &systems[job.0], job.1);
    let results = parallel(plan.threads, &jobs, &one, interrupt, done);
    let mut all: Vec<LabPairs> = systems.iter().map(|s| nothing_yet(plan, s)).collect();
    for ((system, _), pairs) in jobs.iter().zip(results) {
        all[*system].pairs.extend(pairs.into_iter().flatten());
    }
    all
}

fn nothing_yet(plan: &PairsPlan, system: &System) -> LabPairs {
    let budget = plan.asked.budget.unwrap_or(system.limits.budget);
    LabPairs {
        name: system.name.clone(),
        changes: plan
            .changes
            .iter()
            .map(|change| (*change, true_ratio(system, *change)))
            .collect(),
        budget_s: budget.as_secs_f64(),
        pairs: Vec::new(),
    }
}

/// By how much the breakpoint differs, where that is known without a long simulation.
fn true_ratio(system: &System, change: f64) -> Option<f64> {
    if change == 0.0 {
        return Some(1.0);
    }
    let (before, now) = (
        truth::exact(system)?,
        truth::exact(&system.with_more_capacity(change))?,
    );
    let inside = before.max(now) < system.max.get();
    inside.then(|| f64::from(now) / f64::from(before))
}

/// One pair for each change.
fn of_pair(plan: &PairsPlan, system: &System, pair: u32) -> Vec<LabPair> {
    let seed =
        |which: u64| seed::mixed(&[plan.seed, seed::of_text(&system.name), pair.into(), which]);
    let base = named("base", ours::record(system, &plan.asked, seed(0)));
    (1..)
        .zip(&plan.changes)
        .filter_map(|(which, change)| {
            let candidate = system.with_more_capacity(*change);
            let record = ours::record(&candidate, &plan.asked, seed(which));
            let runs = [base.clone(), named("candidate", record)];
            let compared =
                compare::compare(&runs, &Design::EachWithFirst, &[], String::new()).ok()?;
            let changes = compared.comparisons.into_iter().next()?.changes;
            Some(LabPair {
                change: *change,
                pair,
                changes,
            })
        })
        .collect()
}

fn named(name: &str, record: RunRecord) -> Named {
    Named {
        name: name.to_owned(),
        record,
        size: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shipped(name: &str) -> System {
        let all = System::shipped();
        all.into_iter().find(|s| s.name == name).unwrap()
    }

    #[test]
    fn more_capacity_scales_what_binds() {
        for (name, wanted) in [
            ("cliff", "\"above_vus\":1210"),
            // 100 MiB and 1.1 times the 412 MiB above them.
            ("oom", "\"580072243B\""),
            ("a", "\"0.045454545s\""),
            ("shedding", "\"above_queue\":66"),
        ] {
            let system = shipped(name);
            let more = system.with_more_capacity(0.1).canonical();
            assert!(more.contains(wanted), "{name}: {more}");
            assert_eq!(
                system.with_more_capacity(0.0).canonical(),
                system.canonical()
            );
        }
    }

    #[test]
    fn the_true_ratio_is_known_where_there_is_a_formula() {
        let ratio = true_ratio(&shipped("a"), 0.1).unwrap();
        assert!((1.09..1.12).contains(&ratio), "{ratio}");
        assert_eq!(true_ratio(&shipped("c"), 0.0), Some(1.0));
        assert_eq!(true_ratio(&shipped("c"), 0.1), None);
        assert_eq!(true_ratio(&shipped("roomy"), 0.1), None, "it never breaks");
    }
}
