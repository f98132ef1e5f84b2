//! Limits that a cycle must meet all at once to be a good one. Pure.

use std::time::Duration;

/// A goal: the row that counts the cycles that meet it, and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    /// The row of the scenario's table.
    pub row: usize,
    /// All must be met.
    pub limits: Vec<GoalLimit>,
}

/// The most that something may take in a cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoalLimit {
    /// What may.
    pub of: LimitOf,
    /// How long.
    pub most: Duration,
    /// Whether it may take just so long.
    pub inclusive: bool,
}

/// What a limit is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitOf {
    /// Every passage of this row of the scenario's table.
    Row(usize),
    /// The whole cycle.
    Cycle,
}

impl GoalLimit {
    /// Whether what took so long is within it.
    pub fn is_met_by(&self, took: Duration) -> bool {
        took < self.most || (self.inclusive && took == self.most)
    }
}
