//! What the policies of other tools share: a simulated system under load, and trials of so many
//! seconds at a level.
//!
//! The system goes on between trials as a real one does: a backlog carries over. As those tools do,
//! a trial looks at the requests that *completed* in it, which flatters a system whose slow users
//! are still waiting. Kinder to the tools than most are to themselves: failed requests count as
//! slow ones, and a trial in which nothing completed does not pass.

use crate::engine::Engine as _;
use crate::engine::sim::SimEngine;
use crate::lab::system::System;
#[cfg(test)]
use crate::measure::Histogram;
use crate::measure::{Level, StepWindow, Window};
use crate::slo::{Metric, Objective};

/// Longest wait for a level to be reached, seconds.
const MOST_WAIT_S: u32 = 180;

/// A system under load.
pub(super) struct Bench<'a> {
    system: &'a System,
    engine: SimEngine,
    runtime: tokio::runtime::Runtime,
    /// Simulated seconds so far.
    spent_s: f64,
    visits: u32,
}

impl<'a> Bench<'a> {
    pub(super) fn new(system: &'a System, seed: u64) -> Self {
        Self {
            system,
            engine: system.engine(seed),
            runtime: runtime(),
            spent_s: 0.0,
            visits: 0,
        }
    }

    /// Simulated seconds so far.
    pub(super) fn spent_s(&self) -> f64 {
        self.spent_s
    }

    /// How often a level was set for a trial.
    pub(super) fn visits(&self) -> u32 {
        self.visits
    }

    /// Asks for a level without waiting for it.
    pub(super) fn ask_for(&mut self, level: Level) {
        let set = self.runtime.block_on(self.engine.set_level(level));
        debug_assert!(set.is_ok(), "a simulation takes any level");
    }

    /// Moves to a level at the system's pace and lets `settle_s` seconds pass there. Those that
    /// leave have their last request served.
    pub(super) fn go_to(&mut self, level: Level, settle_s: u32) {
        self.ask_for(level);
        self.visits += 1;
        // Leaving VUs finish their requests first; in an overloaded system that takes long, and no
        // tool waits for ever.
        for _ in 0..MOST_WAIT_S {
            if self.window().is_none_or(|w| w.at_level) {
                break;
            }
        }
        for _ in 0..settle_s {
            self.window();
        }
    }

    /// Ends the load and waits, for a minute at most, until nobody waits for an answer any more.
    pub(super) fn drain(&mut self) {
        self.ask_for(Level::ZERO);
        for _ in 0..60 {
            if self.window().is_none_or(|w| w.vus == 0) {
                break;
            }
        }
    }

    /// Measures for so many seconds at the present level.
    pub(super) fn measure(&mut self, seconds: u32) -> Trial<'a> {
        let mut trial = Trial::new(self.system);
        for _ in 0..seconds {
            let Some(window) = self.window() else { break };
            trial.add(&window);
        }
        trial
    }

    /// Lets a second pass.
    pub(super) fn window(&mut self) -> Option<Window> {
        let window = self.runtime.block_on(self.engine.next_window()).ok()?;
        self.spent_s += window.span.as_secs_f64();
        Some(window)
    }
}

/// A runtime for one thread; the simulation never waits.
pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without input, output and timers needs nothing from the system")
}

/// What a tool saw in one trial.
pub(super) struct Trial<'a> {
    system: &'a System,
    /// Per step; in-flight ages are not looked at.
    totals: Vec<StepWindow>,
    seconds: f64,
}

impl<'a> Trial<'a> {
    pub(super) fn new(system: &'a System) -> Self {
        Self {
            system,
            totals: vec![StepWindow::default(); system.steps.rows().len()],
            seconds: 0.0,
        }
    }

    pub(super) fn add(&mut self, window: &Window) {
        self.seconds += window.span.as_secs_f64();
        for (total, step) in self.totals.iter_mut().zip(&window.steps) {
            total.latency.merge(&step.latency);
            total.failed.merge(&step.failed);
            total.shed += step.shed;
        }
    }

    /// Whether every objective holds over what completed.
    pub(super) fn passes(&self) -> bool {
        let objectives = self.system.slo.objectives();
        objectives.iter().all(|o| self.holds(o) == Some(true))
    }

    /// The quantile of the first latency objective over what completed, seconds; the 99th
    /// percentile without one.
    pub(super) fn latency_s(&self) -> Option<f64> {
        let objectives = self.system.slo.objectives();
        let found = objectives.iter().find_map(|o| match &o.metric {
            Metric::Quantile { q, step } => Some((*q, self.step(step.as_deref(), false)?)),
            _ => None,
        });
        let (q, total) = found.or_else(|| Some((0.99, self.step(None, false)?)))?;
        quantile_with_failures(total, q)
    }

    /// Completed cycles per second.
    pub(super) fn throughput(&self) -> f64 {
        let cycles = self.totals.last().map_or(0, StepWindow::completed);
        if self.seconds > 0.0 {
            count(cycles) / self.seconds
        } else {
            0.0
        }
    }

    /// Whether one objective holds; `None` when nothing can be said.
    fn holds(&self, objective: &Objective) -> Option<bool> {
        let bound = objective.bound;
        match &objective.metric {
            Metric::Quantile { q, step } => {
                let total = self.step(step.as_deref(), false)?;
                Some(quantile_with_failures(total, *q)? < bound)
            }
            Metric::Mean { step } => {
                Some(self.step(step.as_deref(), false)?.latency.mean_s()? < bound)
            }
            Metric::Max { step } => {
                Some(self.step(step.as_deref(), false)?.latency.max_s()? < bound)
            }
            Metric::Errors { step } => {
                let total = self.step(step.as_deref(), true)?;
                let failed = count(total.failed.of_target());
                share(failed, failed + count(total.completed())).map(|s| s < bound)
            }
            Metric::Shed { step } => {
                let total = self.step(step.as_deref(), true)?;
                let shed = count(total.shed);
                let all = shed + count(total.failed.of_target()) + count(total.completed());
                share(shed, all).map(|s| s < bound)
            }
            Metric::Good { row, .. } => {
                let total = self.step(Some(row), true)?;
                let good = count(total.completed());
                let share = share(good, good + count(total.failed.of_target()));
                share.map(|s| objective.is_met_by(s))
            }
            Metric::Rps { .. } => Some(self.throughput() > bound),
            // A simulated system has no monitors.
            Metric::Monitor { .. } => None,
        }
    }

    fn step(&self, name: Option<&str>, whole_cycle: bool) -> Option<&StepWindow> {
        let steps = &self.system.steps;
        let index = match name {
            None if whole_cycle => Some(steps.whole()),
            name => steps.index(name),
        };
        self.totals.get(index?)
    }
}

/// The quantile over what ended, failures as infinitely slow; `None` when nothing ended.
fn quantile_with_failures(total: &StepWindow, q: f64) -> Option<f64> {
    let (completed, failed) = (count(total.completed()), count(total.failed.of_target()));
    if completed + failed <= 0.0 {
        return None;
    }
    let rank = q * (completed + failed) / completed;
    if rank > 1.0 {
        return Some(f64::INFINITY);
    }
    total.latency.quantile_s(rank)
}

fn share(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn count(n: u64) -> f64 {
    n as f64
}

/// The latency of a whole trial as a histogram of one step, for tests.
#[cfg(test)]
pub(super) fn of_latencies(
    system: &System,
    latencies: impl IntoIterator<Item = std::time::Duration>,
    failed: u64,
) -> Trial<'_> {
    let mut trial = Trial::new(system);
    let mut step = StepWindow {
        latency: Histogram::of(latencies),
        ..StepWindow::default()
    };
    step.failed.add_n(crate::measure::FailureKind::Eof, failed);
    trial.totals.fill(step);
    trial.seconds = 1.0;
    trial
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_trial_passes_on_what_completed_and_failures_are_slow() {
        let system = &System::shipped()[0];
        let latencies = |slow: usize| {
            (0..1000).map(move |i| Duration::from_millis(if i < slow { 3000 } else { 100 }))
        };
        assert!(of_latencies(system, latencies(9), 0).passes());
        assert!(!of_latencies(system, latencies(11), 0).passes());
        assert!(!of_latencies(system, latencies(0), 11).passes());
        assert!(!of_latencies(system, [], 0).passes(), "no data is no pass");
    }
}
