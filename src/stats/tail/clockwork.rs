//! The breakpoint of a service that works like a clock: everybody waits about as long, and the tail is a step.
//!
//! With as many requests per second at all levels (`X`) Little's law says how long everybody stays, `R = N / X - Z`, and where next to
//! nothing separates the tail from the mean it says the same of the tail. Each visit then points to the breakpoint by
//! itself, `N + X L (1 - r)`, with `r` the latency, in limits, that the allowed share reaches. `r` is known between two
//! thresholds; the breakpoint lies where all visits agree.

use super::{TailVisit, Users, mean};
use crate::stats::fit::{Basis, Fit, Shift};

/// Most that may lie between mean and tail, in limits: what does can change with the level.
const SPREAD: f64 = 0.15;
/// Throughputs that differ by less are one.
const SAME: f64 = 0.03;
/// How far visits may contradict one another, as a share of the breakpoint: clocks are read to this.
const TOLERANCE: f64 = 0.01;
/// Share of the visits that must agree: one may have met a disturbance.
const AGREE: f64 = 0.75;

/// The fit; `near` are complete visits near the breakpoint. `None` where the service is no such clock, or visits contradict one
/// another.
pub(super) fn fit(near: &[TailVisit], users: Users, alpha: f64) -> Option<Fit> {
    let rates = || near.iter().map(|v| v.per_s);
    let (least, most) = (
        rates().fold(f64::INFINITY, f64::min),
        rates().fold(0.0, f64::max),
    );
    if users != Users::Closed || near.len() < 2 || most > least * (1.0 + SAME) {
        return None;
    }
    let per_s = mean(near, |v| v.per_s);
    let limit_s = near[0].tail.limit_s;
    let mut pointed: Vec<(f64, f64)> = Vec::new();
    for visit in near {
        let Some((above, below)) = reached(visit, alpha) else {
            continue;
        };
        let stays = visit.tail.residence?.step_s / limit_s;
        // The tail lies between the two thresholds, and not below the mean.
        let spread = (below - stays)
            .max(0.0)
            .min((above - stays).max(0.0) + (below - above));
        if spread > SPREAD {
            return None;
        }
        let points_to = |ratio: f64| visit.vus + per_s * limit_s * (1.0 - ratio);
        // What lies between mean and tail may change on the way from the visit to the breakpoint.
        let away = (points_to(f64::midpoint(above, below)) / visit.vus - 1.0).abs();
        let loose = (TOLERANCE + spread * away) * visit.vus;
        pointed.push((
            points_to(below) - loose,
            points_to(above.max(stays.min(below))) + loose,
        ));
    }
    let used = pointed.len();
    let (low, high, agree) = most_agree(&pointed)?;
    if used < 2 || agree < AGREE * count(used) {
        return None;
    }
    let estimate = f64::midpoint(low, high);
    // Between the ends no level is likelier than another; the interval holds all of it, whatever confidence is asked.
    let distribution = (0..=40)
        .map(|i| f64::from(i) / 40.0)
        .map(|p| (low + (high - low) * p, p))
        .collect();
    Some(Fit {
        basis: Basis::Law,
        estimate,
        low,
        high,
        kappa: estimate / (per_s * limit_s) / SPREAD,
        curvature: 0.0,
        sigma: 0.0,
        distribution,
        lean: 0.0,
        visits: used,
        exact: used,
        shift: Some(Shift::Adds(1.0 / (per_s * limit_s))),
    })
}

/// Where most of the ranges overlap, and how many do.
fn most_agree(ranges: &[(f64, f64)]) -> Option<(f64, f64, f64)> {
    let at = |x: f64| {
        ranges
            .iter()
            .filter(move |(low, high)| (*low..=*high).contains(&x))
    };
    let most = ranges.iter().map(|(low, _)| at(*low).count()).max()?;
    let low = (ranges.iter().map(|(low, _)| *low))
        .filter(|low| at(*low).count() == most)
        .fold(f64::INFINITY, f64::min);
    let high = at(low).map(|(_, high)| *high).fold(f64::INFINITY, f64::min);
    Some((low, high, count(most)))
}

#[expect(clippy::cast_precision_loss, reason = "a count of visits")]
fn count(n: usize) -> f64 {
    n as f64
}

/// The two thresholds, in limits, between which the latency lies that a share of `alpha` reaches; the lower one first.
fn reached(visit: &TailVisit, alpha: f64) -> Option<(f64, f64)> {
    let mut higher = None;
    for (ratio, share) in visit.tail.shares() {
        if share >= alpha {
            return higher.map(|above| (ratio, above));
        }
        higher = Some(ratio);
    }
    None
}
