//! The breakpoint of arrivals where only the capacity limits them: what is held shows how a line
//! grows, not how long it gets.

use super::reach::{Reach, assemble};
use super::{DEFF_PER_QUEUE, KNOWN_VARIABILITY_SD, VARIABILITY_SD};
use crate::stats::fit::{Basis, Fit};

/// What is served per second, as it was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Served {
    /// Requests per second.
    pub per_s: f64,
    /// Their standard error.
    pub se: f64,
    /// Blocks that they rest on.
    pub blocks: usize,
}

/// What is known of a target that only its capacity limits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CapacityEdge {
    /// What is served while a line waits.
    pub served: Served,
    /// As in [`super::FitRequest`].
    pub variability: Option<f64>,
    /// Squared coefficient of variation of the latencies where they are longest.
    pub in_line: f64,
    /// The limit, seconds.
    pub limit_s: f64,
    /// Length of a hold, seconds.
    pub hold_s: f64,
}

/// The breakpoint of arrivals where only the edge of the capacity breaks the limit: there a line
/// takes longer to find its length than anybody holds, and what is held shows how it grows, not how
/// long it gets.
///
/// With spare capacity `C - lambda` the wait's tail is `exp(-(C - lambda) t / v)` in heavy traffic,
/// `v` being half the sum of the squared coefficients of variation of gaps and services (Kingman,
/// 1962), so that a share of `alpha` waits longer than `L` at `lambda = C - v ln(1 / alpha) / L`.
/// `v` is 1 for an M/M/c queue and not known here: the prior of [`super::fit`] stands for it.
///
/// `None` where the line finds its length within a third of a hold, so that tails can be believed.
pub fn at_capacity_edge(edge: &CapacityEdge, alpha: f64, confidence: f64) -> Option<Fit> {
    let CapacityEdge {
        served, limit_s, ..
    } = *edge;
    let capacity = served.per_s;
    // 4 mu / (mu - lambda)^2, the relaxation time of an M/M/1 queue.
    let relaxation_s = DEFF_PER_QUEUE / 2.0 * capacity * limit_s * limit_s;
    if relaxation_s < edge.hold_s / 3.0 {
        return None;
    }
    let (v, v_sd) = match edge.variability {
        Some(v) => (v, KNOWN_VARIABILITY_SD),
        None => (1.0, VARIABILITY_SD),
    };
    let spare = v * -alpha.ln() / limit_s;
    let estimate = capacity - spare;
    if estimate <= 0.5 * capacity {
        return None;
    }
    let se = (served.se / estimate).hypot(v_sd * spare / estimate);
    let reach = Reach {
        se,
        visits: served.blocks,
        unseen: unfinished(edge.in_line),
    };
    Some(Fit {
        basis: Basis::Capacity,
        ..assemble(estimate, reach, capacity / spare, confidence)
    })
}

/// How far below the capacity that was seen the true one may lie, as a logarithm: where everybody
/// gets a fair share of the servers and a few requests are most of the work, those are still in
/// progress at the end of a hold, and more requests get done in it than for ever. `in_line` is the
/// squared coefficient of variation of the latencies where they are longest: at most 1 in order of
/// arrival and for exponential services. Of drawn systems with 1.9 to 4.6 the capacity read 5 to 20
/// % too high, whatever the number.
fn unfinished(in_line: f64) -> f64 {
    UNFINISHED * (in_line - 1.0).clamp(0.0, 1.0)
}

const UNFINISHED: f64 = 0.13;
