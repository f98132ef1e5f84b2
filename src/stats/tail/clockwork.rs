//! The breakpoint of a service that works like a clock: everybody waits about as long, and the tail
//! is a step.
//!
//! With as many requests per second at all levels (`X`) Little's law says how long everybody stays,
//! `R = N / X - Z`, and where next to nothing separates the tail from the mean it says the same of
//! the tail. Each visit then points to the breakpoint by itself, `N + X L (1 - r)`, with `r` the
//! latency, in limits, that the allowed share reaches. `r` is known between two thresholds; the
//! breakpoint lies where all visits agree.

use super::{TailVisit, Users, mean};
use crate::stats::Ends;
use crate::stats::fit::{Basis, Fit, Shift};

/// Most that may lie between mean and tail, in limits: what does can change with the level.
const SPREAD: f64 = 0.15;
/// Throughputs that differ by less are one.
const SAME: f64 = 0.03;
/// How far visits may contradict one another, as a share of the breakpoint: clocks are read to
/// this.
const TOLERANCE: f64 = 0.01;
/// Share of the visits that must agree: one may have met a disturbance.
const AGREE: f64 = 0.75;

/// The fit; `near` are complete visits near the breakpoint. `None` where the service is no such
/// clock, or visits contradict one another.
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
    let mut pointed: Vec<Ends> = Vec::new();
    for visit in near {
        let Some(Ends {
            low: above,
            high: below,
        }) = reached(visit, alpha)
        else {
            continue;
        };
        let stays = visit.tail.residence?.step_s / limit_s;
        // The tail lies between the two thresholds; of a median the mean may lie above both.
        let spread = (below - stays)
            .max(0.0)
            .min((above - stays).max(0.0) + (below - above))
            .max(stays - above);
        if spread > SPREAD {
            return None;
        }
        let points_to = |ratio: f64| visit.vus + per_s * limit_s * (1.0 - ratio);
        // What lies between mean and tail may change on the way from the visit to the breakpoint.
        let away = (points_to(f64::midpoint(above, below)) / visit.vus - 1.0).abs();
        let loose = (TOLERANCE + spread * away) * visit.vus;
        pointed.push(Ends {
            low: points_to(below) - loose,
            high: points_to(above.max(stays.min(below))) + loose,
        });
    }
    let used = pointed.len();
    let (Ends { low, high }, agree) = most_agree(&pointed)?;
    if used < 2 || count(agree) < AGREE * count(used) {
        return None;
    }
    let estimate = f64::midpoint(low, high);
    // Between the ends no level is likelier than another; the interval holds all of it, whatever
    // confidence is asked.
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
        downside_skew: 0.0,
        visits: used,
        exact: used,
        shift: Some(Shift::Adds(1.0 / (per_s * limit_s))),
    })
}

/// Where most of the ranges overlap, and how many do.
fn most_agree(ranges: &[Ends]) -> Option<(Ends, usize)> {
    let at = |x: f64| ranges.iter().filter(move |s| (s.low..=s.high).contains(&x));
    let most = ranges.iter().map(|s| at(s.low).count()).max()?;
    let low = (ranges.iter().map(|s| s.low))
        .filter(|low| at(*low).count() == most)
        .fold(f64::INFINITY, f64::min);
    let high = at(low).map(|s| s.high).fold(f64::INFINITY, f64::min);
    Some((Ends { low, high }, most))
}

#[expect(clippy::cast_precision_loss, reason = "a count of visits")]
fn count(n: usize) -> f64 {
    n as f64
}

/// The two thresholds, in limits, between which the latency lies that a share of `alpha` reaches;
/// the lower one first.
fn reached(visit: &TailVisit, alpha: f64) -> Option<Ends> {
    let mut higher = None;
    for (ratio, share) in visit.tail.shares() {
        if share >= alpha {
            return higher.map(|high| Ends { low: ratio, high });
        }
        higher = Some(ratio);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::{Counts, RATIOS, Residence, Tail};
    use super::*;

    const LIMIT_S: f64 = 2.0;
    const ALPHA: f64 = 0.01;

    /// A hundred requests a second after 8 s of thinking, and everybody waits as long as the line
    /// is: the limit of 2 s at 1 000.
    fn stays_s(vus: f64) -> f64 {
        vus / 100.0 - 8.0
    }

    /// A visit whose requests take `tail_s`, while a cycle stays for `stays_s` on average.
    fn tail(stays_s: f64, tail_s: f64) -> Tail {
        let mut counts = Counts::default();
        counts[RATIOS.partition_point(|ratio| tail_s / LIMIT_S < *ratio)] = 6_000.0;
        Tail {
            limit_s: LIMIT_S,
            blocks: vec![counts],
            failed: 0.0,
            residence: Some(Residence {
                step_s: stays_s,
                cycle_s: stays_s,
            }),
        }
    }

    fn fit_of(visits: &[(f64, f64, Tail)], users: Users) -> Option<Fit> {
        let visits: Vec<TailVisit> = visits
            .iter()
            .map(|(vus, per_s, tail)| TailVisit {
                vus: *vus,
                per_s: *per_s,
                tail,
            })
            .collect();
        fit(&visits, users, ALPHA)
    }

    fn clock(levels: &[f64]) -> Vec<(f64, f64, Tail)> {
        let at = |vus: &f64| (*vus, 100.0, tail(stays_s(*vus), stays_s(*vus)));
        levels.iter().map(at).collect()
    }

    #[test]
    fn a_clock_is_read_exactly() {
        for levels in [
            &[960.0, 1_020.0][..],
            &[920.0, 935.0, 955.0],
            &[955.0, 985.0, 1_005.0, 1_040.0],
        ] {
            let fit = fit_of(&clock(levels), Users::Closed).unwrap();
            assert_eq!((fit.basis, fit.visits), (Basis::Law, levels.len()));
            assert!(
                fit.low <= 1_000.0 && 1_000.0 <= fit.high,
                "{levels:?}: {} to {}",
                fit.low,
                fit.high
            );
            assert!(
                fit.half_width() < 0.02,
                "{levels:?}: {} to {}",
                fit.low,
                fit.high
            );
            // One user more adds a hundredth of a second.
            assert_eq!(fit.shift, Some(Shift::Adds(1.0 / 200.0)));
        }
    }

    #[test]
    fn a_tail_far_from_the_mean_is_no_clock() {
        let mut spread = clock(&[960.0, 980.0, 1_020.0]);
        assert!(fit_of(&spread, Users::Closed).is_some());
        spread[1].2 = tail(0.6 * stays_s(980.0), stays_s(980.0));
        assert_eq!(fit_of(&spread, Users::Closed), None);
    }

    #[test]
    fn a_median_far_below_the_mean_is_no_clock() {
        let mut skew = clock(&[960.0, 980.0, 1_020.0]);
        for visit in &mut skew {
            visit.2 = tail(stays_s(visit.0), 0.6 * stays_s(visit.0));
        }
        assert_eq!(fit_of(&skew, Users::Closed), None);
    }

    #[test]
    fn visits_that_contradict_one_another_are_no_clock() {
        let mut visits = clock(&[960.0, 980.0, 1_000.0, 1_020.0]);
        // As if the breakpoint were 50 lower: one may have met a disturbance, two of four are no
        // clock.
        visits[1].2 = tail(stays_s(1_030.0), stays_s(1_030.0));
        let found = fit_of(&visits, Users::Closed).unwrap();
        assert!(
            found.low <= 1_000.0 && 1_000.0 <= found.high,
            "{} to {}",
            found.low,
            found.high
        );
        visits[2].2 = tail(stays_s(1_050.0), stays_s(1_050.0));
        assert_eq!(fit_of(&visits, Users::Closed), None);
    }

    #[test]
    fn arrivals_or_rates_that_move_or_a_single_visit_are_no_clock() {
        let mut visits = clock(&[960.0, 1_020.0]);
        assert_eq!(fit_of(&visits, Users::Open), None);
        assert_eq!(fit_of(&visits[..1], Users::Closed), None);
        visits[1].1 = 104.0;
        assert_eq!(fit_of(&visits, Users::Closed), None);
        // Nor where it is not known how long requests stay.
        let mut visits = clock(&[960.0, 1_020.0]);
        visits[0].2.residence = None;
        assert_eq!(fit_of(&visits, Users::Closed), None);
    }
}
