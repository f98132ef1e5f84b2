//! Where the answer lies, and how far its interval reaches.

use super::*;
use crate::stats::Ends;

/// Ends, thresholds and starts: the corners and a spread between them.
fn ranges() -> Vec<(u32, u32, u32)> {
    let mut out = Vec::new();
    for max in [2, 3, 10, 100, 5_000, 60_000] {
        for share in [0.0, 0.01, 0.1, 0.33, 0.5, 0.77, 0.98, 1.0] {
            let last_good = Level::nearest(f64::from(max - 1) * share)
                .get()
                .min(max - 1);
            for start in [1, 10, max] {
                out.push((max, last_good, start.min(max)));
            }
        }
    }
    out
}

#[test]
fn a_step_is_found_wherever_it_is() {
    for (max, last_good, start) in ranges() {
        for (link, target) in [
            (SHARE, cliff as fn(&Order, u32) -> Visit),
            (Link::Side, edge),
        ] {
            let name = format!("max {max}, last good {last_good}, start {start}, {link:?}");
            let driven = drive(spec(1, max, start), link, |o| target(o, last_good));
            assert_eq!(
                driven.end.ending,
                Ending::Found,
                "{name}: {:?}",
                driven.levels()
            );
            let held = driven.visit(driven.end.last_held);
            let broke = driven.visit(driven.end.first_broke);
            assert!(held.level.get() <= last_good, "{name}");
            assert!(last_good < broke.level.get(), "{name}");
            assert_eq!(
                (held.verdict, broke.verdict),
                (Verdict::Held, Verdict::Broke)
            );
            let estimate = driven.end.estimate.as_ref().unwrap();
            let truth = f64::from(last_good);
            assert!(
                estimate.low.floor() <= truth && truth <= estimate.high.ceil(),
                "{name}: {} to {}",
                estimate.low,
                estimate.high
            );
            assert!(
                estimate.low <= estimate.vus && estimate.vus <= estimate.high,
                "{name}"
            );
            let most = 2.0 * f64::from(max).log2() + 20.0;
            assert!(
                (driven.orders.len() as f64) <= most,
                "{name}: {} probes: {:?}",
                driven.orders.len(),
                driven.levels()
            );
        }
    }
}

/// Killed beyond `last_good` VUs soon after the level was reached; how much fails depends on when
/// it is back.
fn killed(order: &Order, last_good: u32, failed: f64) -> Visit {
    let killed = order.level.get() > last_good;
    let evidence = Evidence::Share {
        bad: if killed { 1_000.0 * failed } else { 0.0 },
        total: 1_000.0,
        alpha: 0.01,
    };
    Visit {
        left_early: false,
        crashed_after_s: killed.then_some(5.0),
        ..visit(order, verdict_of(killed), evidence)
    }
}

#[test]
fn a_crash_tells_a_side_however_much_of_the_hold_it_cost() {
    for seed in 0..20 {
        let mut shares = [0.49, 0.55, 0.03, 0.81, 0.1, 0.3, 0.02, 0.66]
            .into_iter()
            .cycle()
            .skip(seed);
        let driven = drive(spec(1, 400, 40), SHARE, |o| {
            killed(o, 114, shares.next().unwrap())
        });
        assert_eq!(driven.end.ending, Ending::Found, "{:?}", driven.levels());
        let estimate = driven.end.estimate.as_ref().unwrap();
        assert!(
            estimate.low <= 115.0 && 114.0 <= estimate.high && estimate.half_width() < 0.05,
            "{} to {}: {:?}",
            estimate.low,
            estimate.high,
            driven.levels()
        );
        // Nobody is sent far down by a crash near the breakpoint.
        let near = driven.levels().into_iter().skip(4);
        assert!(
            near.min().unwrap() > 100,
            "seed {seed}: {:?}",
            driven.levels()
        );
    }
}

#[test]
fn crashes_bound_a_breakpoint_as_far_as_what_carried_on_bears_it_out() {
    let interval = |hold_s: f64, levels: &[u32]| {
        let mut search = Search::new(spec(1, 4_000, 1_000), MODEL, vec![SHARE]);
        let Step::Probe(order) = search.next(0.0) else {
            panic!("a search begins with a probe");
        };
        for vus in levels {
            let well = [1_000, 1_020, 1_025, 1_030, 1_050].contains(vus);
            let order = Order {
                level: Level(*vus),
                hold_s,
                purpose: Purpose::Refine,
                ..order
            };
            search.record(killed(&order, if well { *vus } else { 0 }, 0.3));
        }
        let estimate = search.estimate().unwrap();
        (estimate.low, estimate.high)
    };
    // Killed at 1 040 again and again.
    let levels = [1_000, 1_100, 1_030, 1_040, 1_020, 1_040, 1_025, 1_040];
    let (low, high) = interval(90.0, &levels);
    assert!((990.0..=1_030.0).contains(&low), "{low} to {high}");
    assert!((1_040.0..1_050.0).contains(&high), "{low} to {high}");
    // Seconds that carried on are hardly any proof of what may come once in minutes.
    let (low, high) = interval(6.0, &levels);
    assert!(low < 700.0, "{low} to {high}");
    assert!((1_040.0..1_050.0).contains(&high), "{low} to {high}");
    // Once well at 1 050 for long, so that it may be chance that kills it, at lower levels too.
    let (low, high) = interval(90.0, &[&levels[..], &[1_050]].concat());
    assert!(low < 900.0 && high >= 1_040.0, "{low} to {high}");
}

#[test]
fn the_same_seed_gives_the_same_search_and_another_seed_another_order() {
    let levels = |seed| {
        let spec = SearchSpec {
            seed,
            ..spec(1, 5_000, 10)
        };
        drive(spec, SHARE, |o| soft(o, 700.0, 0.0)).levels()
    };
    assert_eq!(levels(1), levels(1));
    assert!((2..6).any(|seed| levels(seed) != levels(1)));
}

#[test]
fn a_smooth_crossing_is_found_to_the_precision_asked() {
    for (n_star, seed) in [(40.0, 1), (250.0, 2), (1_040.0, 3), (4_000.0, 4)] {
        let spec = SearchSpec {
            seed,
            ..spec(1, 10_000, 10)
        };
        let driven = drive(spec, SHARE, |o| soft(o, n_star, 0.0));
        assert_eq!(driven.end.ending, Ending::Found);
        let estimate = driven.end.estimate.as_ref().unwrap();
        assert!(
            estimate.low.floor() <= n_star && n_star <= estimate.high.ceil(),
            "{n_star}: {estimate:?}"
        );
        assert!((estimate.high - estimate.low) / 2.0 <= (0.05 * estimate.vus).max(1.0));
        assert!(
            (estimate.vus / n_star - 1.0).abs() < 0.05,
            "{n_star}: {}",
            estimate.vus
        );
        // The levels named were visited, and within reach of the interval.
        let held = f64::from(driven.visit(driven.end.last_held).level.get());
        let broke = f64::from(driven.visit(driven.end.first_broke).level.get());
        assert!(held <= estimate.vus && estimate.vus < broke, "{n_star}");
        // The visits near the answer are not in order of their levels.
        let refined: Vec<u32> = driven
            .orders
            .iter()
            .filter(|o| o.purpose == Purpose::Refine)
            .map(|o| o.level.get())
            .collect();
        assert!(
            !refined.is_sorted() && !refined.iter().rev().is_sorted(),
            "{refined:?}"
        );
    }
}

#[test]
fn the_objective_that_breaks_first_binds() {
    let mut search = Search::new(spec(1, 5_000, 10), MODEL, vec![SHARE, Link::Side]);
    let mut elapsed_s = 0.0;
    let end = loop {
        match search.next(elapsed_s) {
            Step::Done(end) => break end,
            Step::Probe(order) => {
                let (a, b) = (cliff(&order, 900), edge(&order, 400));
                let visit = Visit {
                    verdict: a.verdict.max(b.verdict),
                    evidence: vec![a.evidence[0], b.evidence[0]],
                    ..a
                };
                elapsed_s += visit.cost_s;
                search.record(visit);
            }
        }
    };
    let estimate = end.estimate.unwrap();
    assert_eq!(estimate.binding, 1);
    assert!(
        estimate.low.floor() <= 400.0 && 400.0 <= estimate.high.ceil(),
        "{estimate:?}"
    );
}

#[test]
fn an_interval_reaches_as_far_as_full_holds_bear_it_out() {
    use Purpose::{Bracket, Refine};
    let ends = |low, high| Ends { low, high };
    let between = |visits: &[(u32, Purpose, bool)]| {
        told_of(visits).as_far_as_proven(ends(98.0, 102.0), Level(95), Level(110))
    };
    let short = [(95, Bracket, false), (110, Bracket, true)];
    let held = (95, Refine, false);
    let broke = (105, Refine, true);
    assert_eq!(between(&short), ends(95.0 / 1.35, 110.0));
    assert_eq!(
        between(&[short[0], short[1], held]),
        ends(95.0 / 1.12, 110.0)
    );
    assert_eq!(between(&[short[1], held, held]), ends(95.0, 110.0));
    assert_eq!(
        between(&[short[1], held, held, held, broke]),
        ends(95.0, 102.0)
    );
    // It is never made narrower than the fit has it.
    let wide =
        told_of(&[held, held, broke]).as_far_as_proven(ends(80.0, 120.0), Level(95), Level(110));
    assert_eq!(wide, ends(80.0, 120.0));
}

#[test]
fn a_bound_that_full_holds_do_not_bear_out_is_tried_itself() {
    use Purpose::{Bracket, Refine};
    let next = |visits: &[(u32, Purpose, bool)], held: u32, broke: u32| {
        let level = told_of(visits).unproven(Level(held), Level(broke));
        level.map(Level::get)
    };
    let held = [
        (150, Bracket, true),
        (160, Refine, true),
        (100, Refine, false),
        (105, Refine, false),
        (110, Refine, false),
    ];
    // Not farther than a fifth beyond what full holds visited, nor than the bound.
    assert_eq!(next(&held, 110, 150), Some(150));
    assert_eq!(next(&held, 110, 120), Some(120));
    assert_eq!(next(&held[..4], 105, 150), None, "two may be luck");
    // Two will do where no full hold broke.
    let alone = [held[0], held[2], held[3]];
    assert_eq!(next(&alone, 105, 150), Some(126));
    assert_eq!(next(&alone[..2], 100, 150), None);
    let mut proven = held.to_vec();
    proven.splice(0..2, [(150, Refine, true), (150, Refine, true)]);
    assert_eq!(next(&proven, 110, 150), None);
    proven.remove(0);
    assert_eq!(next(&proven, 110, 150), Some(150), "once is not enough");

    let broke = [
        (100, Bracket, false),
        (120, Refine, false),
        (200, Refine, true),
        (190, Refine, true),
        (180, Refine, true),
    ];
    assert_eq!(next(&broke, 90, 180), Some(100));
    assert_eq!(next(&broke, 160, 180), Some(160));
    assert_eq!(next(&broke[..4], 100, 190), None, "two may be luck");
    let alone = [broke[0], broke[2], broke[3]];
    assert_eq!(next(&alone, 100, 190), Some(158));
    // One that held in between is no run.
    let mixed = [broke[1], broke[2], (170, Refine, false), broke[3], broke[4]];
    assert_eq!(next(&mixed, 170, 180), None);
}

#[test]
fn an_answer_whose_levels_stay_undecided_is_not_confirmed_for_ever() {
    // Where the interval ends, shares lie so near to what is allowed that no hold there is a firm
    // verdict.
    let spec = SearchSpec {
        seed: 4,
        ..spec(1, 10_000, 10)
    };
    let driven = drive(spec, SHARE, |o| soft(o, 4_000.0, 0.0));
    let confirming = driven.orders.iter().rev();
    let confirming = confirming
        .take_while(|o| o.purpose == Purpose::Confirm)
        .count();
    assert!(confirming <= 2 * MAX_RETRIES, "{:?}", driven.levels());
}

#[test]
fn latencies_in_line_are_those_of_the_slowest_visit_that_ran_to_its_end() {
    let with = |mean_s: f64, cv2: f64, n: f64| Visit {
        latency: Some(Moments {
            n,
            mean_s,
            mean_square: (1.0 + cv2) * mean_s * mean_s,
        }),
        ..at(100, Purpose::Refine, Verdict::Held)
    };
    let of = |visits: Vec<Visit>| search_of(visits).variability_in_line();
    let close = |got: f64, want: f64| assert!((got - want).abs() < 1e-9, "{got}");
    close(of(vec![with(0.1, 8.0, 500.0), with(1.0, 0.3, 500.0)]), 0.3);
    close(of(vec![with(0.1, 8.0, 500.0), with(1.0, 0.3, 49.0)]), 8.0);
    let left = Visit {
        left_early: true,
        ..with(1.0, 0.3, 500.0)
    };
    close(of(vec![with(0.1, 8.0, 500.0), left]), 8.0);
    close(of(Vec::new()), 0.0);
}
