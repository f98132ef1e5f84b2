//! Latencies around a limit as they are counted in a hold.

use serde::{Deserialize, Serialize};

/// Thresholds whose shares are counted, as multiples of the limit, falling. Those further away say
/// little of the limit and bend the curve.
pub const RATIOS: [f64; 13] = [
    2.0, 1.6, 1.35, 1.18, 1.08, 1.0, 0.93, 0.86, 0.80, 0.74, 0.68, 0.62, 0.56,
];
/// The limit's place in [`RATIOS`].
pub(super) const LIMIT: usize = 5;

/// Requests of one block by latency: entry `i` counts those at or above `RATIOS[i]` times the limit
/// that entry `i - 1` does not count, the last those below all.
pub type Counts = [f64; RATIOS.len() + 1];

/// Latencies around a limit in one hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// The limit, seconds.
    pub limit_s: f64,
    /// Successive blocks of the hold.
    pub blocks: Vec<Counts>,
    /// How many of those above every threshold failed at once, without having waited: they have no
    /// latency.
    pub failed: f64,
    /// Where a cycle spent its time; `None` when that is not known.
    pub residence: Option<Residence>,
}

/// How long a cycle stays within the service, on average over a hold: by Little's law what is in
/// flight over what is completed per second. Think times are left out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Residence {
    /// In the step that is judged, seconds.
    pub step_s: f64,
    /// In all steps, seconds.
    pub cycle_s: f64,
}

impl Tail {
    /// Requests counted in all blocks.
    pub fn requests(&self) -> f64 {
        self.blocks.iter().flatten().sum()
    }

    /// Per threshold, from the highest: its multiple of the limit, and the share of requests at or
    /// above it.
    pub fn shares(&self) -> impl Iterator<Item = (f64, f64)> {
        let counts = sum(&self.blocks);
        let all = self.requests();
        let mut above = 0.0;
        RATIOS.into_iter().zip(counts).map(move |(ratio, n)| {
            above += n;
            (ratio, above / all)
        })
    }
}

/// The counts of all blocks together.
pub(super) fn sum(blocks: &[Counts]) -> Counts {
    let mut out = Counts::default();
    for block in blocks {
        for (out, n) in out.iter_mut().zip(block) {
            *out += n;
        }
    }
    out
}

/// Thresholds that half of the requests pass belong to the body, not to the tail.
const BODY: f64 = 0.5;
/// A threshold is kept when its share is this much larger than that of the one before it.
const SPACING: f64 = 1.6;
/// Least share above a threshold, as a share of the violations allowed, for the threshold to be
/// kept.
pub(super) const LEAST_SHARE: f64 = 0.2;

/// Thresholds worth keeping: shares from a fifth of `alpha` up to the body's, each clearly larger
/// than the one before; the limit always.
pub(super) fn kept(pooled: &Counts, alpha: f64) -> Vec<usize> {
    let all: f64 = pooled.iter().sum();
    let mut out: Vec<usize> = Vec::new();
    let (mut share, mut last) = (0.0, 0.0);
    for (i, n) in pooled[..RATIOS.len()].iter().enumerate() {
        share += n / all;
        if i == LIMIT {
            // One just above the limit gives way to it.
            if share < last * 1.15 {
                out.pop();
            }
            out.push(i);
            last = share;
        } else if share > alpha * LEAST_SHARE && share <= BODY && share >= last * SPACING {
            out.push(i);
            last = share;
        }
    }
    out
}
