//! The breakpoint from whole latency tails: one curve for all visits, shifted by Little's law, or
//! stretched by the spare capacity where no line has formed or users do not wait for each other.
//!
//! The share of violations of a visit (`x` of `n` above the limit `L`) throws most of what was seen
//! away: a visit that stayed at 0.9 `L` and one that stayed at 0.3 `L` both show no violation. This
//! fit uses the shares above several thresholds `t` around the limit. With `y = probit(P(latency >=
//! t | N))` it says
//!
//! ```text
//! y = psi(tau)      tau = t / L - 1 - eta (N - N*) / (X L)      psi(0) = probit(alpha)
//! ```
//!
//! `N*` is the breakpoint, `X` the throughput near it, and `psi` one falling curve for all levels:
//! its slope is piecewise exponential between knots with a random-walk prior, so that it is smooth
//! but of any shape. The shift is Little's law: where a line has formed, `dN` more users make
//! everybody wait `dN / X` longer, so `eta` is near 1; a log-normal prior says so and leaves it
//! free (a service that queues only now and then has less). Little's law is about the whole cycle.
//! Where only a part of what a longer line adds falls to the step that is judged, that part is
//! where `eta` is expected; where less than half of it does, the line stands elsewhere, and no law
//! moves this step's tail.
//!
//! Requests of one visit are correlated, so the likelihood of the counts is only a score to be
//! maximised: it is weighted by `1 / deff`, and the variance is the sandwich one over blocks of the
//! holds, with the correlation of neighbouring blocks kept (Newey and West, 1987). The design
//! effect `deff` is the trace of the sandwich over all directions of the parameters and not that of
//! the breakpoint alone: it is then estimated from everything that was seen, and a run that
//! happened to see few bursts does not also think that bursts are small.

use super::fit::{Fit, Shift};
use super::normal::density;

mod capacity;
mod clockwork;
mod counts;
mod curve;
mod law;
mod model;
mod queue_share;
mod reach;

pub use capacity::{CapacityEdge, Served, at_capacity_edge};
pub use counts::{Counts, RATIOS, Residence, Tail};
pub(crate) use law::is_idle;
pub use law::latency_s;
pub use reach::half_width;

use counts::LEAST_SHARE;
use law::Law;
use model::Model;
use queue_share::queue_share;
use reach::{Reach, assemble};

/// One complete visit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TailVisit<'a> {
    /// The level, VUs.
    pub vus: f64,
    /// Requests per second.
    pub per_s: f64,
    /// What was counted.
    pub tail: &'a Tail,
}

/// What a fit is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FitRequest {
    /// Where requests come from.
    pub users: Users,
    /// Share of violations that is allowed.
    pub alpha: f64,
    /// A first guess of the breakpoint.
    pub around: f64,
    /// Confidence of the interval, 0..1.
    pub confidence: f64,
    /// Half the sum of the squared coefficients of variation of gaps and services, for arrivals at
    /// a rate where it is known.
    pub variability: Option<f64>,
}

/// Where requests come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Users {
    /// Users who ask again when they have their answer: levels are their number.
    Closed,
    /// Arrivals: levels are how many come per second.
    Open,
}

/// Levels worth visiting, as shares of the estimate. Levels that lie near show the tail that is
/// asked for with the least help from the model; a wider ladder only measures the model's own
/// parameters better (compared in the lab).
pub const LADDER: [f64; 4] = [0.95, 0.98, 1.02, 1.05];
/// Levels further away than this share of the breakpoint are another regime.
pub(crate) const NEAR: f64 = 0.3;
/// Prior standard deviation of the logarithm of half the sum of the squared coefficients of
/// variation of gaps and services.
const VARIABILITY_SD: f64 = 0.7;
/// The same where it was measured: a long tail shows little of its variance in some hundred
/// requests.
const KNOWN_VARIABILITY_SD: f64 = 0.5;
/// Usual design effect of arrivals, per squared request that waits when the wait is the limit:
/// twice the requests of one relaxation time of an M/M/1 queue, `4 mu / (mu - lambda)^2` with `mu -
/// lambda = ln(100) / L`.
const DEFF_PER_QUEUE: f64 = 0.38;
/// Part of a longer line that must wait in the step that is judged for its tail to move with the
/// line.
const LINE_ELSEWHERE: f64 = 0.5;
/// What few visits make the sandwich too small by (measured in the lab over unlike systems).
const FEW_VISITS: f64 = 1.8;
/// A fit whose own count of violations is this many standard errors off is not believed.
const MISFIT: f64 = 3.5;
/// Failures, as a share of the violations allowed, from which tails do not tell the breakpoint: a
/// failed request has no latency, so its share is not shifted by Little's law as a tail is. It
/// counts from where a threshold's share does.
const FAILED: f64 = LEAST_SHARE;

/// Fits the breakpoint to complete visits in the order in which they were made; `around` is a first
/// guess, VUs.
///
/// `None` when there are too few visits near it, when none of them shows a violation, when the
/// estimate lies far outside the levels visited, when failures rather than latencies are a part of
/// the violations, or when the curve does not describe what was counted at the limit itself:
/// another fit must then do.
pub fn fit(visits: &[TailVisit], asked: &FitRequest) -> Option<Fit> {
    let FitRequest {
        users,
        alpha,
        around,
        confidence,
        variability,
    } = *asked;
    let reach = users.near(visits, alpha, around, variability);
    let near: Vec<TailVisit> = (visits.iter().copied())
        .filter(|v| (v.vus / around - 1.0).abs() < reach && v.tail.requests() > 0.0)
        .collect();
    if failed(&near) > FAILED * alpha {
        return None;
    }
    let share = queue_share(visits, &near, users);
    if share < LINE_ELSEWHERE {
        return None;
    }
    if let Some(fit) = clockwork::fit(&near, users, alpha) {
        return Some(fit);
    }
    let model = Model::new(&near, asked, share)?;
    let (theta, sandwich) = model.maximise(around)?;
    let centre = theta.breakpoint();
    let usual = model.usual_deff(centre);
    let deff = FEW_VISITS * cautious(sandwich.deff, usual);
    let information = sandwich.naive_variance * deff + sandwich.prior_variance;
    let se = information.sqrt();
    let (lowest, highest) = model.range();
    if !(se.is_finite() && se < 0.5 && centre > lowest * 0.75 && centre < highest * 1.3)
        || model.misfit(&theta, deff) > MISFIT
    {
        return None;
    }
    let kappa = theta.slope_at_limit() * theta.eta() * centre / model.shift_scale;
    // With k effective violations the share is distributed like a gamma variable of shape k, whose
    // median lies 1/(3k) below its mean: the estimate would lean high by as much over the slope of
    // ln share. Violations come in bursts of unlike sizes, which skews it more: half of 1/k is what
    // the lab's medians ask for.
    let z = model.crossing;
    let slope = kappa * density(z) / alpha;
    let likely = (sandwich.deff * usual).sqrt();
    let seen = sandwich.naive_variance * likely + sandwich.prior_variance;
    let estimate = centre * (-slope * seen / 2.0).max(-se).exp();
    let reach = Reach::new(se, &near);
    let per_level = theta.eta() / model.shift_scale;
    Some(Fit {
        shift: Some(match model.law {
            Law::Little => Shift::Adds(per_level),
            Law::Spare => Shift::Stretches(per_level),
        }),
        ..assemble(estimate, reach, kappa, confidence)
    })
}

/// The share of requests that failed at once.
fn failed(visits: &[TailVisit]) -> f64 {
    let failed: f64 = visits.iter().map(|v| v.tail.failed).sum();
    let all: f64 = visits.iter().map(|v| v.tail.requests()).sum();
    failed / all.max(1.0)
}

/// The design effect that an interval is to rest on. What is seen from a dozen visits is a noisy
/// estimate, within a factor of 1.6 or so. Far below the usual it is mostly luck and counts half on
/// a logarithmic scale. Above the usual it tells of phases longer than a cycle: fewer of them were
/// seen than visits were made, and it counts one and a half times.
fn cautious(deff: f64, usual: f64) -> f64 {
    deff * ((deff / usual).ln().abs() / 2.0).exp()
}

#[expect(clippy::cast_precision_loss, reason = "a count of visits")]
fn mean(visits: &[TailVisit], of: impl Fn(&TailVisit) -> f64) -> f64 {
    visits.iter().map(of).sum::<f64>() / visits.len() as f64
}

#[cfg(test)]
mod tests;
