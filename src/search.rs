//! Which level next, and when to stop. A value with `next` and `record`; it never sees a clock, a socket or an engine.

use std::time::Duration;

use crate::measure::Level;

/// The limits of a search, resolved in the plan.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchSpec {
    /// Lowest level; the search says "broke at the minimum" when the SLO breaks here.
    pub min: Level,
    /// Highest level; the search says "never broke" when the SLO holds here.
    pub max: Level,
    /// First level visited.
    pub start: Level,
    /// Half-width of the interval asked for, as a fraction of the breakpoint.
    pub precision: f64,
    /// Confidence of the interval, 0..1.
    pub confidence: f64,
    /// Time that the search may take, everything included.
    pub budget: Duration,
    /// Shortest hold near the breakpoint.
    pub hold_min: Duration,
    /// Longest hold.
    pub hold_max: Duration,
    /// Longest settle before a level counts as not settled.
    pub settle_max: Duration,
    /// Seed of the random visiting order.
    pub seed: u64,
}

impl Default for SearchSpec {
    fn default() -> Self {
        Self {
            min: Level(1),
            max: Level(5_000),
            start: Level(10),
            precision: 0.05,
            confidence: 0.95,
            budget: Duration::from_secs(900),
            hold_min: Duration::from_secs(30),
            hold_max: Duration::from_secs(90),
            settle_max: Duration::from_secs(60),
            seed: 1,
        }
    }
}
