//! Runs, methods and systems on all cores. What comes out does not depend on how many there are.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Instant;

use super::method::{Method, MethodOptions};
use super::seed;
use super::system::System;
use crate::report::lab::{LabRun, LabSystem, LabTruth};
use crate::run::Interrupt;

/// What is to be run.
#[derive(Debug, Clone, PartialEq)]
pub struct LabPlan {
    /// The methods, in the order of the table.
    pub methods: Vec<Method>,
    /// Runs of each against each system.
    pub runs: u32,
    /// Seed of all of them.
    pub seed: u64,
    /// What is asked of a run; the truth is filled in per system.
    pub asked: MethodOptions,
    /// Threads to use.
    pub threads: usize,
}

/// Runs everything and tells after every run how many are done. Runs that were not begun when the
/// user interrupted are left out.
pub fn run_all(
    plan: &LabPlan,
    systems: &[(System, LabTruth)],
    interrupt: &Interrupt,
    done: &mut dyn FnMut(usize),
) -> Vec<LabSystem> {
    // One run of all methods after the other, so that an interrupted laboratory has something of
    // each.
    let jobs: Vec<(usize, u32, Method)> = (0..systems.len())
        .flat_map(|system| (0..plan.runs).map(move |run| (system, run)))
        .flat_map(|(system, run)| plan.methods.iter().map(move |m| (system, run, *m)))
        .collect();
    let one = |job: &(usize, u32, Method)| {
        let (system, truth) = &systems[job.0];
        let asked = MethodOptions {
            truth: truth.vus,
            ..plan.asked
        };
        single(job.2, system, &asked, plan.seed, job.1)
    };
    let mut results = parallel(plan.threads, &jobs, &one, interrupt, done);
    systems
        .iter()
        .enumerate()
        .map(|(index, (system, truth))| LabSystem {
            name: system.name.clone(),
            title: system.title.clone(),
            slo: system.slo.texts(),
            truth: truth.clone(),
            budget_s: plan
                .asked
                .budget
                .unwrap_or(system.limits.budget)
                .as_secs_f64(),
            runs: taken(&mut results, &jobs, index, &plan.methods),
        })
        .collect()
}

/// The runs of one system, method after method.
fn taken(
    results: &mut [Option<LabRun>],
    jobs: &[(usize, u32, Method)],
    system: usize,
    methods: &[Method],
) -> Vec<LabRun> {
    let mut runs = Vec::new();
    for method in methods {
        for (job, result) in jobs.iter().zip(results.iter_mut()) {
            if job.0 == system && job.2 == *method {
                runs.extend(result.take());
            }
        }
    }
    runs
}

pub(super) fn single(
    method: Method,
    system: &System,
    asked: &MethodOptions,
    base: u64,
    run: u32,
) -> LabRun {
    // All methods meet the same draws as long as they do the same; the others are no less
    // independent for it.
    let seed = seed::mixed(&[base, seed::of_text(&system.name), run.into()]);
    let before = CpuClock::now();
    let outcome = method.run(system, asked, seed);
    LabRun {
        method: method.name(),
        run,
        seed,
        ending: outcome.ending,
        vus: outcome.vus,
        interval: outcome.interval,
        cost_s: outcome.cost_s,
        visits: outcome.visits,
        named_as_expected: outcome.named_as_expected,
        without_reserve: outcome.without_reserve,
        cpu_ms: before.elapsed_ms(),
    }
}

/// Does all jobs on some threads; the results stand in the jobs' order, `None` where it was
/// interrupted before.
pub(super) fn parallel<J: Sync, R: Send>(
    threads: usize,
    jobs: &[J],
    one: &(dyn Fn(&J) -> R + Sync),
    interrupt: &Interrupt,
    done: &mut dyn FnMut(usize),
) -> Vec<Option<R>> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut results: Vec<Option<R>> = jobs.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, jobs.len().max(1)) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while !interrupt.is_set() {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(index) else { break };
                    if sender.send((index, one(job))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for (n, (index, result)) in receiver.iter().enumerate() {
            results[index] = Some(result);
            done(n + 1);
        }
    });
    results
}

/// Processor time of this thread, where the system tells it, else the time of day.
struct CpuClock {
    cpu_ns: Option<f64>,
    began: Instant,
}

impl CpuClock {
    fn now() -> Self {
        Self {
            cpu_ns: thread_cpu_ns(),
            began: Instant::now(),
        }
    }

    fn elapsed_ms(&self) -> f64 {
        match (self.cpu_ns, thread_cpu_ns()) {
            (Some(before), Some(after)) => (after - before) / 1e6,
            _ => self.began.elapsed().as_secs_f64() * 1e3,
        }
    }
}

/// The first field of Linux' `schedstat`: nanoseconds on a processor.
fn thread_cpu_ns() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_jobs_on_any_number_of_threads() {
        let jobs: Vec<u32> = (0..50).collect();
        for threads in [1, 3] {
            let mut told = Vec::new();
            let interrupt = Interrupt::default();
            let squares = parallel(threads, &jobs, &|j| j * j, &interrupt, &mut |n| {
                told.push(n);
            });
            let want: Vec<Option<u32>> = jobs.iter().map(|j| Some(j * j)).collect();
            assert_eq!(squares, want);
            assert_eq!(told, (1..=50).collect::<Vec<_>>());
        }
    }

    #[test]
    fn an_interrupt_leaves_what_was_not_begun() {
        let interrupt = Interrupt::default();
        interrupt.set();
        let results = parallel(2, &[1, 2], &|j| *j, &interrupt, &mut |_| {});
        assert_eq!(results, [None, None]);
    }
}
