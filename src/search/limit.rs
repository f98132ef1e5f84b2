//! Hard limits by their law: an admission, connection or rate limit lets through what it lets
//! through.
//!
//! Below the limit each user gets the same throughput `x`, and nobody waits longer than when alone;
//! above it the throughput of what is served stays at `C`, whatever is asked for, and the rest is
//! turned away. So the limit lies where `N x = C`, and a share of `alpha` is turned away at `N* =
//! N_limit / (1 - alpha / k)`, with `k` from the visits above: of `(N - N_limit) / N` of the users,
//! `k` times as much of the requests fail. A rate of arrivals has `x = 1`.

use super::bounds::{self, Side};
use super::{Search, Visit};
use crate::slo::Evidence;
use crate::stats::fit::{Basis, Fit, Link};

/// Throughputs above a limit, and those per user below it, that differ by less than this and their
/// counting error are one.
const SAME: f64 = 0.02;
/// The limit must have been approached to this share of it with nothing turned away.
const APPROACHED: f64 = 0.9;
/// Nobody waits: a user's answer takes at most this many times what it took at the lightest level.
const WAITS: f64 = 1.15;
/// Least relative error of a limit: rates are counted in whole cycles of whole users.
const LEAST_ERROR: f64 = 0.008;
/// Completions below which a visit's throughput is too rough.
const FEWEST: f64 = 60.0;

/// A visit as far as a limit is concerned.
struct LimitVisit {
    vus: f64,
    /// Throughput, cycles per second, and its relative counting error.
    per_s: f64,
    error: f64,
    /// Share turned away.
    bad: f64,
    /// Mean latency, seconds.
    latency_s: f64,
    full: bool,
}

impl Search {
    /// The fit of a hard limit; `None` where the visits do not obey its law.
    pub(super) fn fit_limit(&self, objective: usize, confidence_t: f64) -> Option<Fit> {
        let Link::Share { alpha } = self.links[objective] else {
            return None;
        };
        let seen = |visit: &Visit| Self::seen(visit, objective);
        let of = |side: Side| {
            let visits = self
                .visits
                .iter()
                .filter(|v| v.counts() && v.crashed_after_s.is_none());
            visits
                .filter(move |v| bounds::side(v) == Some(side))
                .filter_map(seen)
        };
        let above: Vec<LimitVisit> = of(Side::Broke).filter(|s| s.bad > 2.0 * alpha).collect();
        let below: Vec<LimitVisit> = of(Side::Held).filter(|s| s.bad <= alpha / 2.0).collect();
        let lightest_s = (below.iter().map(|s| s.latency_s)).fold(f64::INFINITY, f64::min);
        let (served, served_error) = common(above.iter().map(|s| (s.per_s, s.error)))?;
        let highest = below
            .iter()
            .filter(|s| s.full)
            .map(|s| s.vus)
            .fold(0.0, f64::max);
        let near = || below.iter().filter(|s| s.vus >= APPROACHED / 2.0 * highest);
        if above.len() < 2 || near().any(|s| s.latency_s > WAITS * lightest_s) {
            return None;
        }
        let (per_user, user_error) = if self.spec.unit.is_open() {
            (1.0, 0.0)
        } else {
            common(near().map(|s| (s.per_s / s.vus, s.error)))?
        };
        let limit = served / per_user;
        let lowest = above.iter().min_by(|a, b| a.vus.total_cmp(&b.vus))?;
        let error = served_error.hypot(user_error).max(LEAST_ERROR);
        let reach = (confidence_t * error).exp();
        if highest < APPROACHED * limit / reach
            || lowest.vus * reach < limit
            || highest > limit * reach
        {
            return None;
        }
        // Where some are turned away below it the load comes in bursts, and what they meet is no
        // step.
        let early =
            |s: &LimitVisit| s.full && s.vus < limit * (1.0 - LEAST_ERROR) && s.bad > alpha / 2.0;
        if of(Side::Held).chain(of(Side::Broke)).any(|s| early(&s)) {
            return None;
        }
        let beyond = ((lowest.vus - limit) / lowest.vus).max(0.002);
        let fails = (lowest.bad / beyond).clamp(0.2, 50.0);
        let by_law = limit / (1.0 - (alpha / fails).min(0.5));
        // What was carried whole and what turned some away were visited: the limit lies between
        // them, whatever the law says.
        let (mut low, mut high) = (by_law / reach, by_law * reach);
        if lowest.vus > highest {
            low = low.clamp(highest, lowest.vus);
            high = high.clamp(highest, lowest.vus);
        }
        if high - low < 2.0 * LEAST_ERROR * by_law {
            let middle = f64::midpoint(low, high);
            (low, high) = (middle * (1.0 - LEAST_ERROR), middle * (1.0 + LEAST_ERROR));
        }
        let estimate = by_law.clamp(low, high);
        Some(Fit {
            basis: Basis::Law,
            estimate,
            low,
            high,
            kappa: fails / alpha,
            curvature: 0.0,
            sigma: 0.0,
            distribution: vec![(low, 0.025), (estimate, 0.5), (high, 0.975)],
            downside_skew: 0.0,
            visits: above.len() + near().count(),
            exact: above.len(),
            shift: None,
        })
    }

    fn seen(visit: &Visit, objective: usize) -> Option<LimitVisit> {
        let Some(Evidence::Share { bad, total, .. }) = visit.evidence.get(objective) else {
            return None;
        };
        let late = visit
            .tails
            .get(objective)?
            .as_ref()
            .is_some_and(|t| t.failed < 0.8 * bad);
        let per_s = visit.throughput?;
        let done = per_s * visit.hold_s;
        let hold: Vec<_> = visit.flow.iter().rev().take(whole(visit.hold_s)).collect();
        let completed: f64 = hold.iter().map(|f| f.completed).sum();
        let waited: f64 = hold.iter().map(|f| f.waited_s).sum();
        (!late && done >= FEWEST).then(|| LimitVisit {
            vus: f64::from(visit.level.get()),
            per_s,
            error: 1.0 / done.sqrt(),
            bad: bad / total,
            latency_s: waited / completed.max(1.0),
            full: bounds::is_full(visit),
        })
    }
}

/// The value that all agree on within their errors, weighted by them, and its relative error;
/// `None` where they do not.
fn common(values: impl Iterator<Item = (f64, f64)>) -> Option<(f64, f64)> {
    let values: Vec<(f64, f64)> = values.collect();
    let weight = |error: f64| error.powi(-2);
    let all: f64 = values.iter().map(|(_, e)| weight(*e)).sum();
    let mean = values.iter().map(|(v, e)| v * weight(*e)).sum::<f64>() / all;
    let agrees = |(v, e): &(f64, f64)| (v / mean - 1.0).abs() <= SAME + 2.0 * e;
    (!values.is_empty() && values.iter().all(agrees)).then(|| (mean, all.sqrt().recip()))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a small positive number of seconds"
)]
fn whole(seconds: f64) -> usize {
    seconds.round() as usize
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, search_of, seconds};
    use super::*;
    use crate::record::Purpose;
    use crate::slo::Verdict;

    /// Users who ask once a second each, of whom no more than `limit` are let in; answers take
    /// `latency_s`.
    fn seen(vus: u32, limit: f64, latency_s: f64) -> Visit {
        let asked = f64::from(vus);
        let served = asked.min(limit);
        let total = 100.0 * asked;
        let bad = 100.0 * (asked - served);
        let verdict = if bad > 0.0 {
            Verdict::Broke
        } else {
            Verdict::Held
        };
        Visit {
            evidence: vec![Evidence::Share {
                bad,
                total,
                alpha: 0.01,
            }],
            tails: vec![None],
            throughput: Some(served),
            hold_s: 100.0,
            flow: seconds(100, served, served * latency_s, latency_s),
            ..at(vus, Purpose::Refine, verdict)
        }
    }

    fn limited(levels: &[u32]) -> Vec<Visit> {
        levels.iter().map(|vus| seen(*vus, 1_000.0, 0.05)).collect()
    }

    fn fit(visits: Vec<Visit>) -> Option<Fit> {
        search_of(visits).fit_limit(0, 2.0)
    }

    const LEVELS: [u32; 6] = [100, 500, 940, 980, 1_100, 1_200];

    #[test]
    fn an_admission_limit_is_where_what_is_served_stops() {
        let found = fit(limited(&LEVELS)).unwrap();
        assert_eq!(found.basis, Basis::Law);
        // 1 % of the users is turned away at 1 010.
        assert!((found.estimate - 1_010.1).abs() < 1.0, "{found:?}");
        assert!(found.low < 1_000.0 && found.high > 1_012.0, "{found:?}");
        assert!(found.low >= 980.0 && found.high <= 1_100.0, "{found:?}");
        assert!(found.half_width() < 0.03, "{found:?}");
    }

    #[test]
    fn a_limit_lies_between_what_was_carried_whole_and_what_was_not() {
        // By its law alone it would reach from 994 to 1 027.
        let found = fit(limited(&[100, 500, 940, 1_000, 1_025, 1_200])).unwrap();
        assert!((found.estimate - 1_010.1).abs() < 1.0, "{found:?}");
        assert_eq!((found.low, found.high), (1_000.0, 1_025.0));
    }

    #[test]
    fn a_queue_that_builds_is_no_limit() {
        let mut queued = limited(&LEVELS);
        queued[3].flow = seconds(100, 980.0, 98.0, 0.1);
        assert_eq!(fit(queued), None);
        // Nor are requests that fail by being late.
        let mut late = limited(&LEVELS);
        for visit in &mut late {
            let blocks = vec![[0.0; 14]];
            visit.tails = vec![Some(crate::stats::tail::Tail {
                limit_s: 2.0,
                blocks,
                failed: 0.0,
                residence: None,
            })];
        }
        assert_eq!(fit(late), None);
    }

    #[test]
    fn some_turned_away_below_it_are_bursts_and_no_limit() {
        let share = |bad: f64| {
            let mut visits = limited(&LEVELS);
            visits[3].evidence = vec![Evidence::Share {
                bad,
                total: 98_000.0,
                alpha: 0.01,
            }];
            fit(visits)
        };
        assert!(share(480.0).is_some());
        assert_eq!(share(500.0), None);
    }

    #[test]
    fn what_contradicts_the_law_gives_no_limit() {
        // A full hold far above it was carried whole.
        let mut carried = limited(&LEVELS);
        carried.push(seen(1_150, 5_000.0, 0.05));
        assert_eq!(fit(carried), None);
        // What is served moves.
        let mut moved = limited(&LEVELS);
        moved[5] = seen(1_200, 1_100.0, 0.05);
        assert_eq!(fit(moved), None);
        // Users get less the more they are.
        let mut slower = limited(&LEVELS);
        slower[3].throughput = Some(900.0);
        assert_eq!(fit(slower), None);
        // One visit beyond it, or none near it from below, is too little.
        assert_eq!(fit(limited(&LEVELS[..5])), None);
        assert_eq!(fit(limited(&[100, 500, 1_100, 1_200])), None);
    }

    #[test]
    fn values_agree_within_their_errors_or_there_is_none() {
        let (mean, error) = common([(100.0, 0.01), (102.0, 0.02)].into_iter()).unwrap();
        assert!((mean - 100.4).abs() < 1e-9, "{mean}");
        assert!((error - 0.01 / 1.25_f64.sqrt()).abs() < 1e-9, "{error}");
        assert_eq!(common([(100.0, 0.001), (110.0, 0.001)].into_iter()), None);
        assert_eq!(common(std::iter::empty()), None);
    }
}
