//! Whether a visit that was read from a file could have been made: whoever wrote the file may have
//! put any number anywhere.

use super::{Flow, Moments, Visit};
use crate::slo::Evidence;
use crate::stats::tail::Tail;

/// Most requests that are counted: up to there every whole number is exact.
const MOST: f64 = 9_007_199_254_740_992.0;
/// Longest time, seconds: three thousand years.
const LONGEST_S: f64 = 1e11;

impl Visit {
    /// Whether every number of it is one that a probe can tell: counts and times of no less than
    /// nothing, parts of no more than all.
    pub fn makes_sense(&self) -> bool {
        let evidence = self.evidence.iter().all(evidence);
        let tails = self.tails.iter().flatten().all(tail);
        let times = [self.began_s, self.hold_s, self.cost_s];
        evidence
            && tails
            && times.into_iter().all(seconds)
            && self.crashed_after_s.is_none_or(seconds)
            && self.throughput.is_none_or(count)
            && self.latency.is_none_or(moments)
            && self.flow.iter().all(flow)
    }

    /// Whether it tells of so many objectives.
    pub fn is_of(&self, objectives: usize) -> bool {
        self.evidence.len() == objectives && self.tails.len() == objectives
    }
}

fn count(n: f64) -> bool {
    (0.0..=MOST).contains(&n)
}

fn seconds(s: f64) -> bool {
    (0.0..=LONGEST_S).contains(&s)
}

fn evidence(evidence: &Evidence) -> bool {
    match *evidence {
        Evidence::Share { bad, total, alpha } => {
            count(bad) && count(total) && bad <= total && (0.0..=1.0).contains(&alpha)
        }
        Evidence::LogRatio(ratio) => !ratio.is_nan(),
        Evidence::Side { .. } | Evidence::None => true,
    }
}

fn tail(tail: &Tail) -> bool {
    let blocks = tail.blocks.iter().flatten().all(|n| count(*n));
    let residence = tail
        .residence
        .is_none_or(|r| seconds(r.step_s) && seconds(r.cycle_s));
    // A limit of nothing would be divided by.
    blocks && residence && count(tail.failed) && seconds(tail.limit_s) && tail.limit_s > 0.0
}

fn moments(of: Moments) -> bool {
    count(of.n) && seconds(of.mean_s) && (0.0..=LONGEST_S * LONGEST_S).contains(&of.mean_square)
}

fn flow(flow: &Flow) -> bool {
    let counts = [flow.completed, flow.failed, flow.in_flight];
    counts.into_iter().all(count) && seconds(flow.waited_s)
}
