//! What one probe told the search.

use serde::{Deserialize, Serialize};

use crate::measure::Level;
use crate::record::Purpose;
use crate::slo::{Evidence, Verdict};
use crate::stats::tail::Tail;

/// What one probe told the search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own that was found out on its own"
)]
pub struct Visit {
    /// Index of the probe.
    pub probe: usize,
    /// The level visited.
    pub level: Level,
    /// The level before; zero when the target was at rest.
    pub from: Level,
    /// Seconds of searching at which it began.
    pub began_s: f64,
    /// Seconds after which the target stopped answering altogether, if it did.
    pub crashed_after_s: Option<f64>,
    /// Why it was visited.
    pub purpose: Purpose,
    /// The probe's verdict.
    pub verdict: Verdict,
    /// Whether the probe says something about the target; false after a generator fault.
    pub valid: bool,
    /// Whether it was left early as hopeless: its rates then mean nothing.
    pub left_early: bool,
    /// Per objective, in the SLO's order.
    pub evidence: Vec<Evidence>,
    /// Per objective: latencies around its limit, where it has one.
    pub tails: Vec<Option<Tail>>,
    /// Completed cycles per second.
    pub throughput: Option<f64>,
    /// Latencies of the main step in the hold.
    #[serde(default)]
    pub latency: Option<Moments>,
    /// Seconds held.
    pub hold_s: f64,
    /// Seconds that the probe took in all, with ramp, settle, drain and reset.
    pub cost_s: f64,
    /// What went through in each second of ramp, settle and hold.
    pub flow: Vec<Flow>,
    /// Whether the service has grown since and this broke the smaller one. The search finds it out
    /// from the visits, so that it is not written down.
    #[serde(skip)]
    pub outgrown: bool,
    /// Whether the service has grown since: what held then a larger one holds too, and how long it
    /// took says nothing of it.
    #[serde(skip)]
    pub earlier: bool,
    /// Whether what waited grew throughout at a rate of arrivals: more came than was served, and
    /// the limit is only a matter of time. Found out from `flow`.
    #[serde(skip)]
    pub overflows: bool,
}

impl Visit {
    /// Whether it left the target in no state for the next visit: hopelessly behind, or crashed,
    /// and what has just restarted is cold and meets all users at once.
    pub fn overran(&self) -> bool {
        self.left_early || self.crashed_after_s.is_some()
    }

    /// Whether it says something of the service as it is now.
    pub fn counts(&self) -> bool {
        self.valid && !self.outgrown
    }
}

/// The first two moments of some latencies.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// How many.
    pub n: f64,
    /// Their mean, seconds.
    pub mean_s: f64,
    /// The mean of their squares, seconds squared.
    pub mean_square: f64,
}

/// One second of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// Whether the level had been reached.
    pub at_level: bool,
    /// Cycles completed.
    pub completed: f64,
    /// Cycles that the target failed.
    pub failed: f64,
    /// Requests in flight at its end.
    pub in_flight: f64,
    /// Latencies of the completed requests, all together, seconds.
    pub waited_s: f64,
}
