//! The ways to search for a breakpoint: ours, and those of other tools.
//!
//! Each policy was written from its published description, not from its code; docs/lab.md says what
//! it was taken from and how near it comes. All drive the same kind of system with the same seeds.

mod bisect;
mod mlr;
mod nighthawk;
pub mod ours;
mod perf_analyzer;
mod ramp;
mod stairs;

use std::time::Duration;

use super::system::System;
use super::trial::Bench;
use crate::measure::Level;
use crate::report::lab::Interval;

/// A way to search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The search of `breakpoint find`.
    Ours,
    /// Bisection with one trial of 30 s a level.
    Bisect,
    /// RFC 2544, section 26.1: bisection with trials of 60 s.
    Rfc2544,
    /// Steps of 2.5 % a minute, upwards until one breaks.
    Stairs,
    /// A linear ramp of 20 minutes with a threshold on windows of 10 s.
    Ramp,
    /// The same ramp with the threshold on everything since its start.
    RampCumulative,
    /// Triton's `perf_analyzer --binary-search`.
    PerfAnalyzer,
    /// Nighthawk's adaptive load: doubling, bisection, testing stage.
    Nighthawk,
    /// `MLRsearch` with trials of 10 s and 63 s a level.
    Mlr,
    /// `MLRsearch` with trials of 30 s and 210 s a level.
    MlrLong,
}

/// What the methods need to know.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MethodOptions {
    /// Half-width of our interval, as a fraction.
    pub precision: f64,
    /// Time that our search may take, unless the system says; the policies of others take what they
    /// take.
    pub budget: Option<Duration>,
    /// The truth, for the policies that have to be told where to look.
    pub truth: Option<u32>,
}

/// What one run of a method came to.
#[derive(Debug, Clone, PartialEq)]
pub struct MethodOutcome {
    /// How it ended.
    pub ending: &'static str,
    /// The number of VUs.
    pub vus: Option<u32>,
    /// Its interval.
    pub interval: Option<Interval>,
    /// Simulated seconds.
    pub cost_s: f64,
    /// Levels visited.
    pub visits: u32,
    /// Whether the answer named the system's kind.
    pub named_as_expected: Option<bool>,
    /// Whether it named a number and said nothing that qualifies it.
    pub without_reserve: bool,
}

impl Method {
    /// All of them, ours first.
    pub const ALL: [Self; 10] = [
        Self::Ours,
        Self::Bisect,
        Self::Rfc2544,
        Self::Stairs,
        Self::Ramp,
        Self::RampCumulative,
        Self::PerfAnalyzer,
        Self::Nighthawk,
        Self::Mlr,
        Self::MlrLong,
    ];

    /// Its name in flags and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Bisect => "bisect",
            Self::Rfc2544 => "rfc2544",
            Self::Stairs => "stairs",
            Self::Ramp => "ramp",
            Self::RampCumulative => "ramp-cumulative",
            Self::PerfAnalyzer => "perf-analyzer",
            Self::Nighthawk => "nighthawk",
            Self::Mlr => "mlr",
            Self::MlrLong => "mlr-long",
        }
    }

    /// Runs it once.
    pub fn run(self, system: &System, asked: &MethodOptions, seed: u64) -> MethodOutcome {
        if self == Self::Ours {
            return ours::search(system, asked, seed);
        }
        let system = &match self {
            Self::Nighthawk | Self::PerfAnalyzer => system.all_at_once(),
            _ => system.clone(),
        };
        let mut bench = Bench::new(system, seed);
        let found = self.policy(&mut bench, system, asked);
        MethodOutcome {
            ending: if found.is_some() { "found" } else { "none" },
            vus: found.map(Level::get),
            interval: None,
            cost_s: bench.spent_s(),
            visits: bench.visits(),
            named_as_expected: None,
            without_reserve: found.is_some(),
        }
    }

    /// The policies of others.
    fn policy(
        self,
        bench: &mut Bench<'_>,
        system: &System,
        asked: &MethodOptions,
    ) -> Option<Level> {
        let top = asked.top(system);
        match self {
            Self::Ours => None,
            Self::Bisect => bisect::search(bench, top, &bisect::ONE_TRIAL),
            Self::Rfc2544 => bisect::search(bench, top, &bisect::RFC_2544),
            Self::Stairs => stairs::search(bench, system, asked.truth),
            Self::Ramp => ramp::search(bench, system, asked.truth, ramp::Threshold::Window),
            Self::RampCumulative => {
                ramp::search(bench, system, asked.truth, ramp::Threshold::Cumulative)
            }
            Self::PerfAnalyzer => perf_analyzer::search(bench, top),
            Self::Nighthawk => nighthawk::search(bench, system),
            Self::Mlr => mlr::search(bench, top, &mlr::SHORT),
            Self::MlrLong => mlr::search(bench, top, &mlr::LONG),
        }
    }
}

/// Where a policy that has to be told a range begins to look: its user is taken to know the order
/// of magnitude.
const TOP: f64 = 3.0;

impl MethodOptions {
    /// The upper end of the range of a policy that has to be told one.
    fn top(&self, system: &System) -> Level {
        let told = self.truth.map(|t| Level::nearest(TOP * f64::from(t)));
        told.map_or(system.max, |t| t.min(system.max))
    }
}

/// The level in the middle of two.
fn halfway(low: Level, high: Level) -> Level {
    Level(low.get() + (high.get() - low.get()) / 2)
}

/// Whether two levels are as near to each other as these policies go: 1 % or one VU.
fn near(low: Level, high: Level) -> bool {
    let gap = f64::from(high.get().saturating_sub(low.get()));
    gap <= (0.01 * f64::from(low.get())).max(1.0)
}
