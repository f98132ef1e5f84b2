//! Shares of bad requests at a level, in batches.

use std::collections::BTreeMap;

use super::super::runner::parallel;
use super::super::seed;
use super::super::system::System;
use super::super::trial::runtime;
use super::Pace;
use crate::engine::Engine as _;
use crate::engine::sim::SimEngine;
use crate::measure::{Level, Window};
use crate::run::Interrupt;
use crate::slo::{Metric, Objective};
use crate::stats::normal;

/// How a level is reached and how long it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// One long stay, its beginning left out.
    Steady,
    /// Many stays of a probe's length, each in a new system reached from below.
    FromBelow,
    /// The same, reached from a level that overloads it.
    FromAbove,
}

/// A level of arrivals is hopeless when this many seconds of them wait.
const OVERRUN_S: u64 = 100;
/// Seconds that are then looked at: nothing will change.
const OVERRUN_BATCH_S: u32 = 10;
/// Settle and hold of a stay reached from one side, seconds.
const PROBE_S: (u32, u32) = (20, 60);
/// How far above the level the one from above comes, and for how long.
const OVERLOAD: (f64, u32) = (1.3, 60);
/// Fewest batches that a standard error may rest on.
const FEWEST_BATCHES: usize = 20;
/// Jobs per level and round, so that every core has one.
const STREAMS: u64 = 2;

/// Bad and counted requests of each batch.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Share {
    batches: Vec<(f64, f64)>,
}

impl Share {
    fn totals(&self) -> (f64, f64) {
        self.batches
            .iter()
            .fold((0.0, 0.0), |(a, b), (bad, all)| (a + bad, b + all))
    }

    /// The share, kept off 0 and 1 so that it has a probit.
    fn value(&self) -> f64 {
        let (bad, all) = self.totals();
        (bad + 0.5) / (all + 1.0)
    }

    pub(super) fn probit(&self) -> f64 {
        normal::probit(self.value())
    }

    /// Standard error on the probit scale (delta method).
    pub(super) fn probit_se(&self) -> f64 {
        let z = self.probit();
        self.se() / normal::density(z)
    }

    /// Standard error of the ratio: the largest over batches of 1, 2, 4, ... times the length, so
    /// that dependence between neighbours widens it.
    fn se(&self) -> f64 {
        let (bad, all) = self.totals();
        let share = if all > 0.0 { bad / all } else { 0.0 };
        let mut batches = self.batches.clone();
        let mut worst: f64 = 0.0;
        while batches.len() >= FEWEST_BATCHES {
            #[expect(clippy::cast_precision_loss, reason = "a number of batches")]
            let n = batches.len() as f64;
            let squares: f64 = batches.iter().map(|(b, a)| (b - share * a).powi(2)).sum();
            worst = worst.max((squares * n / (n - 1.0)).sqrt() / all);
            batches = batches
                .chunks_exact(2)
                .map(|pair| (pair[0].0 + pair[1].0, pair[0].1 + pair[1].1))
                .collect();
        }
        if worst > 0.0 { worst } else { f64::INFINITY }
    }
}

/// Samples levels on all cores and keeps what it has seen of each.
pub(super) struct Sampler<'a> {
    system: &'a System,
    protocol: Protocol,
    pace: Pace,
    threads: usize,
    interrupt: &'a Interrupt,
    kept: BTreeMap<Level, Vec<Share>>,
    kept_s: f64,
    round: u64,
}

impl<'a> Sampler<'a> {
    pub(super) fn new(
        system: &'a System,
        protocol: Protocol,
        pace: Pace,
        threads: usize,
        interrupt: &'a Interrupt,
    ) -> Self {
        Self {
            system,
            protocol,
            pace,
            threads,
            interrupt,
            kept: BTreeMap::new(),
            kept_s: 0.0,
            round: 0,
        }
    }

    /// Forgets what was seen: the levels change.
    pub(super) fn forget(&mut self) {
        self.kept.clear();
        self.kept_s = 0.0;
    }

    /// Simulated seconds of what is kept, over all levels.
    pub(super) fn kept_s(&self) -> f64 {
        self.kept_s
    }

    /// So many seconds more at each level; per level and objective everything seen since the last
    /// change. `None` when interrupted.
    pub(super) fn sample(&mut self, levels: &[Level], seconds: f64) -> Option<Vec<Vec<Share>>> {
        self.round += 1;
        let jobs: Vec<(Level, u64)> = levels
            .iter()
            .flat_map(|level| (0..STREAMS).map(move |stream| (*level, stream)))
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "a handful of streams")]
        let each = seconds / STREAMS as f64;
        let (system, protocol, round) = (self.system, self.protocol, self.round);
        let pace = self.pace;
        let one = |job: &(Level, u64)| {
            let seed = seed::mixed(&[round, job.0.get().into(), job.1, 0x7271]);
            match protocol {
                Protocol::Steady => steady(system, job.0, &pace, each, seed),
                Protocol::FromBelow | Protocol::FromAbove => {
                    stays(system, protocol, job.0, each, seed)
                }
            }
        };
        let seen = parallel(self.threads, &jobs, &one, self.interrupt, &mut |_| {});
        for (job, shares) in jobs.iter().zip(seen) {
            let kept = self.kept.entry(job.0).or_default();
            let shares = shares?;
            kept.resize(shares.len(), Share::default());
            for (all, new) in kept.iter_mut().zip(shares) {
                all.batches.extend(new.batches);
            }
            self.kept_s += each;
        }
        Some(levels.iter().map(|l| self.kept[l].clone()).collect())
    }
}

/// A system in which time passes.
struct Watched<'a> {
    system: &'a System,
    engine: SimEngine,
    runtime: tokio::runtime::Runtime,
}

impl<'a> Watched<'a> {
    fn new(system: &'a System, seed: u64) -> Self {
        Self {
            system,
            engine: system.engine(seed),
            runtime: runtime(),
        }
    }

    /// Moves to a level and waits until its VUs have started, and no longer than that takes.
    fn go_to(&mut self, level: Level) {
        let set = self.runtime.block_on(self.engine.set_level(level));
        debug_assert!(set.is_ok(), "a simulation takes any level");
        let mut patience = f64::from(self.system.max.get()) / self.system.pace_per_s + 10.0;
        while patience > 0.0 && self.window().is_some_and(|w| !w.at_level) {
            patience -= 1.0;
        }
    }

    fn window(&mut self) -> Option<Window> {
        self.runtime.block_on(self.engine.next_window()).ok()
    }

    fn pass(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.window();
        }
    }

    /// Passes the beginning of a stay; returns early when arrivals pile up without end, where
    /// waiting longer would show nothing new and cost ever more.
    fn is_overrun(&mut self, level: Level, warm_up_s: f64) -> bool {
        let most = u64::from(level.get()) * OVERRUN_S;
        let main = self.system.steps.main();
        for _ in 0..whole(warm_up_s) {
            let waiting = self.window().map_or(0, |w| w.steps[main].in_flight.count());
            if self.system.limits.unit.is_open() && waiting > most {
                return true;
            }
        }
        false
    }

    /// One batch: per objective the bad and the counted requests.
    fn batch(&mut self, seconds: u32) -> Vec<(f64, f64)> {
        let objectives = self.system.slo.objectives();
        let mut batch = vec![(0.0, 0.0); objectives.len()];
        for _ in 0..seconds {
            let Some(window) = self.window() else { break };
            for (total, objective) in batch.iter_mut().zip(objectives) {
                let (bad, all) = counted(self.system, objective, &window);
                total.0 += bad;
                total.1 += all;
            }
        }
        batch
    }
}

fn steady(system: &System, level: Level, pace: &Pace, seconds: f64, seed: u64) -> Vec<Share> {
    let mut watched = Watched::new(system, seed);
    watched.go_to(level);
    if watched.is_overrun(level, pace.warm_up_s) {
        return gather(system, std::iter::once(watched.batch(OVERRUN_BATCH_S)));
    }
    let batches = whole(seconds / pace.batch_s).max(1);
    let batch_s = whole(pace.batch_s).max(1);
    gather(system, (0..batches).map(|_| watched.batch(batch_s)))
}

fn stays(system: &System, protocol: Protocol, level: Level, seconds: f64, seed: u64) -> Vec<Share> {
    let (settle, hold) = PROBE_S;
    let stays = whole(seconds / f64::from(settle + hold)).max(1);
    gather(
        system,
        (0..stays).map(|stay| {
            let mut watched = Watched::new(system, seed::mixed(&[seed, stay.into()]));
            if protocol == Protocol::FromAbove {
                watched.go_to(Level::nearest(OVERLOAD.0 * f64::from(level.get())));
                watched.pass(OVERLOAD.1);
            }
            watched.go_to(level);
            watched.pass(settle);
            watched.batch(hold)
        }),
    )
}

fn gather(system: &System, batches: impl Iterator<Item = Vec<(f64, f64)>>) -> Vec<Share> {
    let mut shares = vec![Share::default(); system.slo.objectives().len()];
    for batch in batches {
        for (share, one) in shares.iter_mut().zip(batch) {
            share.batches.push(one);
        }
    }
    shares
}

/// Bad and counted requests of a window, as the verdict of a probe counts them.
fn counted(system: &System, objective: &Objective, window: &Window) -> (f64, f64) {
    let steps = &system.steps;
    let step = |name: &Option<String>, default: usize| {
        let index = name
            .as_deref()
            .map_or(Some(default), |n| steps.index(Some(n)));
        index.and_then(|i| window.steps.get(i))
    };
    match &objective.metric {
        Metric::Quantile { step: name, .. } => {
            let (Some(s), Some(limit)) = (step(name, steps.main()), objective.latency_limit())
            else {
                return (0.0, 0.0);
            };
            let failed = count(s.failed.of_target());
            let slow = count(s.latency.count_at_or_above(limit));
            (slow + failed, count(s.completed()) + failed)
        }
        Metric::Errors { step: name } => step(name, steps.whole()).map_or((0.0, 0.0), |s| {
            let failed = count(s.failed.of_target());
            (failed, failed + count(s.completed()))
        }),
        Metric::Shed { step: name } => step(name, steps.whole()).map_or((0.0, 0.0), |s| {
            let (shed, failed) = (count(s.shed), count(s.failed.of_target()));
            (shed, shed + failed + count(s.completed()))
        }),
        Metric::Good { row, .. } => step(&Some(row.clone()), 0).map_or((0.0, 0.0), |s| {
            let failed = count(s.failed.of_target());
            (failed, failed + count(s.completed()))
        }),
        Metric::Mean { .. } | Metric::Max { .. } | Metric::Rps { .. } | Metric::Monitor { .. } => {
            (0.0, 0.0)
        }
    }
}

fn whole(value: f64) -> u32 {
    Level::nearest(value).get()
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependence_between_batches_widens_the_standard_error() {
        let share = |bad: &dyn Fn(usize) -> f64| Share {
            batches: (0..384).map(|i| (bad(i), 100.0)).collect(),
        };
        // Alternating batches cancel out, long runs of equal ones do not.
        let alternating = share(&|i| if i % 2 == 0 { 0.0 } else { 2.0 });
        let in_runs = share(&|i| if (i / 16) % 2 == 0 { 0.0 } else { 2.0 });
        assert!((alternating.value() - in_runs.value()).abs() < 1e-12);
        assert!(in_runs.se() > 2.0 * alternating.se());
        // Independent batches of 100 requests, 1 % bad: sqrt(variance of a batch / batches) / 100.
        assert!((alternating.se() - 0.01 / 384_f64.sqrt()).abs() < 1e-5);
        assert!(share(&|_| 0.0).se().is_infinite());
    }
}
