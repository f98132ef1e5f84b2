//! How far an interval reaches.

use super::super::reach::SLOW_PHASE;
use super::super::*;
use super::made_up::SERVICE;

#[test]
fn few_visits_reach_further_and_further_down_than_up() {
    let reach = |visits| Reach {
        se: 0.02,
        visits,
        unseen: 0.0,
    };
    // In standard errors of Student's t.
    let ends = |visits: usize| {
        let reach = reach(visits);
        let t = reach.t(0.975);
        let at = |p: f64| (reach.at(100.0, p, 0.95) / 100.0).ln() / (reach.se * t);
        (-at(0.025), at(0.975))
    };
    let close = |a: (f64, f64), b: (f64, f64)| {
        assert!(
            (a.0 - b.0).abs() < 1e-9 && (a.1 - b.1).abs() < 1e-9,
            "{a:?} and not {b:?}"
        );
    };
    // 1 + DOWNSIDE_SKEW and 1 - DOWNSIDE_SKEW with many visits.
    close(ends(7), (1.25, 0.75));
    close(ends(40), (1.25, 0.75));
    close(ends(4), (1.25 * 1.6, 0.75 * 1.4));
    close(ends(1), (1.25 * 2.0, 0.75 * 1.2));
    let below: Vec<f64> = (1..=8).map(|n| ends(n).0).collect();
    assert!(
        below.is_sorted_by(|few, more| *few >= more - 1e-9),
        "{below:?}"
    );
}

#[test]
fn a_slow_phase_that_was_not_met_lowers_the_lower_end_alone_and_less_with_time() {
    let tail = |held_s: f64| Tail {
        limit_s: 2.0,
        blocks: vec![SERVICE.expected(300.0, held_s * SERVICE.per_s)],
        failed: 0.0,
        residence: None,
    };
    let reach = |held_s: f64| {
        let tail = tail(held_s / 2.0);
        let visit = TailVisit {
            vus: 300.0,
            per_s: SERVICE.per_s,
            tail: &tail,
        };
        Reach::new(1e-9, &[visit, visit])
    };
    let low = |held_s: f64| reach(held_s).at(100.0, 0.025, 0.95);
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-3, "{a} and not {b}");
    close(low(60.0), 100.0 * f64::exp(-SLOW_PHASE));
    close(low(250.0), 100.0 * f64::exp(-SLOW_PHASE));
    close(low(425.0), 100.0 * f64::exp(-SLOW_PHASE / 2.0));
    close(low(600.0), 100.0);
    close(low(5_000.0), 100.0);
    close(reach(60.0).at(100.0, 0.975, 0.95), 100.0);
    close(reach(60.0).at(100.0, 0.5, 0.95), 100.0);
}

#[test]
fn a_line_in_which_latencies_stay_unlike_leaves_work_unfinished() {
    let low = |in_line: f64| {
        let edge = CapacityEdge {
            served: Served {
                per_s: 1_000.0,
                se: 2.0,
                blocks: 12,
            },
            variability: Some(2.0),
            in_line,
            limit_s: 2.0,
            hold_s: 90.0,
        };
        at_capacity_edge(&edge, 0.01, 0.95).unwrap().low
    };
    // In order of arrival, or exponential: nothing is taken off.
    assert!((low(0.2) / low(1.0) - 1.0).abs() < 1e-9);
    assert!(
        (low(2.0) / low(1.0) - 0.88).abs() < 0.01,
        "{}",
        low(2.0) / low(1.0)
    );
    assert!(
        (low(20.0) / low(2.0) - 1.0).abs() < 1e-9,
        "no more than that"
    );
    assert!(low(1.5) < low(1.0) && low(1.5) > low(2.0));
}
