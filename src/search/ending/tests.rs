//! How searches with these visits end.

use super::super::estimate::RESERVE;
use super::super::tests::{at, search_of, seconds};
use super::*;
use crate::record::Purpose::{self, Bracket, Refine};
use crate::search::Flow;
use crate::slo::Verdict::{Broke, Held};
use crate::slo::{Evidence, Verdict};
use crate::stats::tail;

fn estimate(low: f64, high: f64) -> Estimate {
    let vus = f64::midpoint(low, high);
    let fit = Fit {
        basis: Basis::Tails,
        visits: 20,
        ..Fit::unknown(vus, low, high)
    };
    Estimate {
        binding: 0,
        vus,
        low,
        high,
        fit,
    }
}

fn search(visits: &[(u32, Purpose, Verdict)]) -> Search {
    search_of(visits.iter().map(|v| at(v.0, v.1, v.2)).collect())
}

fn ended(step: Step) -> Conclusion {
    match step {
        Step::Done(end) => *end,
        Step::Probe(order) => panic!("{order:?}"),
    }
}

#[test]
fn a_bracket_without_an_estimate_is_an_interval_with_something_beyond_its_levels() {
    let visits = [(640, Bracket, Held), (1_280, Bracket, Broke)];
    let end = ended(search(&visits).out_of_budget());
    assert_eq!(end.ending, Ending::Bracketed);
    let found = end.estimate.unwrap();
    assert_eq!(
        (found.low, found.high),
        (512.0 / RESERVE, 1_600.0 * RESERVE)
    );
    assert!(!end.as_narrow_as_asked);
    assert!(
        end.reason
            .contains("too short for a single number: no curve fits"),
        "{}",
        end.reason
    );
    assert_eq!((end.last_held, end.first_broke), (Some(0), Some(1)));
    // Nor is one where a short hold was broken by a little.
    let mut rough = search(&visits);
    rough.visits[1].left_early = false;
    rough.visits[1].evidence = vec![Evidence::Share {
        bad: 100.0,
        total: 1_000.0,
        alpha: 0.01,
    }];
    let end = ended(rough.out_of_budget());
    assert_eq!((end.ending, end.estimate), (Ending::Undecided, None));
    assert!(
        end.reason.contains("broke by a small margin"),
        "{}",
        end.reason
    );
    // What was undecided did not break.
    rough.visits[1].verdict = Verdict::Undecided;
    let end = ended(rough.out_of_budget());
    assert!(
        end.reason.contains("a short hold that was too close"),
        "{}",
        end.reason
    );
    // At two levels it is no longer by chance.
    let mut twice = search(&[visits[0], visits[1], (2_000, Bracket, Broke)]);
    for visit in &mut twice.visits[1..] {
        visit.left_early = false;
        visit.evidence.clone_from(&rough.visits[1].evidence);
    }
    let end = ended(twice.out_of_budget());
    assert!(
        end.reason.contains("short holds that broke at 2 levels"),
        "{}",
        end.reason
    );
    // Its ends too far apart, or one missing: no answer.
    for visits in [
        [(100, Bracket, Held), (1_280, Bracket, Broke)],
        [(100, Bracket, Held), (200, Bracket, Held)],
    ] {
        let end = ended(search(&visits).out_of_budget());
        assert_eq!((end.ending, end.estimate), (Ending::Undecided, None));
        assert!(end.reason.contains("--budget"), "{}", end.reason);
    }
    // It is part of no other answer.
    let stopped = search(&visits).ended(Ending::Interrupted, String::new());
    assert_eq!(stopped.estimate, None);
}

#[test]
fn a_ceiling_of_a_short_hold_that_the_last_full_one_contradicts_is_none() {
    // At 100 VUs and 50 a second the allowed share takes a tenth of 2 s: by Little's law 90 VUs
    // more are carried.
    let light = |vus: u32| {
        let mut counts = tail::Counts::default();
        counts[tail::RATIOS.len()] = 1_500.0;
        Visit {
            tails: vec![Some(tail::Tail {
                limit_s: 2.0,
                blocks: vec![counts],
                failed: 0.0,
                residence: None,
            })],
            ..at(vus, Refine, Held)
        }
    };
    let ends = |broke: (u32, Purpose)| {
        let visits = vec![
            at(80, Bracket, Held),
            at(broke.0, broke.1, Broke),
            light(100),
        ];
        ended(search_of(visits).out_of_budget())
    };
    let end = ends((120, Bracket));
    assert_eq!((end.ending, end.estimate), (Ending::Undecided, None));
    assert!(
        end.reason.contains("120 VUs, where a short one broke"),
        "{}",
        end.reason
    );
    // A full hold that broke is one to believe, and so is a level that the law does not reach.
    assert_eq!(ends((120, Refine)).ending, Ending::Bracketed);
    assert_eq!(ends((400, Bracket)).ending, Ending::Bracketed);
}

#[test]
fn a_level_that_broke_and_is_outdone_by_full_holds_is_no_upper_bound() {
    let visits = [(50, Bracket, Held), (51, Refine, Held), (62, Refine, Broke)];
    let end = ended(search(&visits).out_of_budget());
    assert_eq!(end.ending, Ending::Bracketed);
    let refuted = |held: u32| {
        let visits = [visits[0], visits[1], visits[2], (held, Refine, Held)];
        let end = ended(search(&visits).out_of_budget());
        assert_eq!((end.ending, end.estimate), (Ending::Undecided, None));
        let wanted = format!("62 VUs broke, but {held} VUs held");
        assert!(end.reason.contains(&wanted), "{}", end.reason);
    };
    refuted(62);
    refuted(70);
    // Something above that breaks is one again.
    let above = [&visits[..], &[(62, Refine, Held), (124, Bracket, Broke)]].concat();
    let end = ended(search(&above).out_of_budget());
    assert_eq!(end.ending, Ending::Bracketed);
}

#[test]
fn a_level_above_that_held_and_was_served_more_belongs_to_another_service() {
    let served = |vus: u32, purpose: Purpose, verdict: Verdict, per_s: f64| Visit {
        throughput: Some(per_s),
        ..at(vus, purpose, verdict)
    };
    let ends = |per_s: f64| {
        let visits = vec![
            served(500, Refine, Held, 200.0),
            served(1_280, Bracket, Held, per_s),
            served(550, Refine, Held, 210.0),
            served(600, Refine, Broke, 240.0),
            served(640, Refine, Broke, 238.0),
            served(1_500, Refine, Broke, 230.0),
        ];
        ended(search_of(visits).out_of_budget())
    };
    let end = ends(520.0);
    assert_eq!((end.ending, end.estimate), (Ending::Undecided, None));
    let wanted = "1 280 VUs held at 520.0 cycles/s, but 600 VUs broke at 240.0";
    assert!(end.reason.contains(wanted), "{}", end.reason);
    // No more than what broke: it held by chance.
    assert_eq!(ends(300.0).ending, Ending::Bracketed);
}

#[test]
fn a_crossing_of_shares_that_hardly_exceed_what_is_allowed_is_where_chance_puts_it() {
    let shares = |vus: u32, bad: f64| Visit {
        evidence: vec![Evidence::Share {
            bad,
            total: 2_000.0,
            alpha: 0.01,
        }],
        ..at(vus, Refine, if bad > 20.0 { Broke } else { Held })
    };
    let why = |above: &[(u32, f64)]| {
        let mut visits = vec![shares(50, 18.0), shares(90, 19.0)];
        visits.extend(above.iter().map(|(vus, bad)| shares(*vus, *bad)));
        search_of(visits).nothing_breaks_clearly(&estimate(95.0, 105.0))
    };
    let reason = why(&[(110, 26.0), (120, 30.0)]).unwrap();
    assert!(
        reason.contains("1.40 % of the requests are bad above 100 VUs (1.00 % are allowed)"),
        "{reason}"
    );
    // 39 more than the 40 that two visits allow is six standard deviations.
    assert_eq!(why(&[(110, 39.0), (120, 40.0)]), None);
    // Far above is another place; nothing seen above says nothing.
    assert!(why(&[(110, 26.0), (230, 2_000.0)]).is_some());
    assert_eq!(why(&[(110, 26.0), (220, 2_000.0)]), None);
    assert_eq!(why(&[]), None);
}

#[test]
fn a_number_needs_full_holds_on_both_sides_and_a_narrow_interval() {
    let why = |visits: &[(u32, Purpose, Verdict)], low: f64, high: f64| {
        search(visits).no_number(&estimate(low, high))
    };
    let (held, broke) = ((98, Refine, Held), (103, Refine, Broke));
    let says = |visits: &[(u32, Purpose, Verdict)], expected: &str| {
        assert_eq!(why(visits, 95.0, 105.0).as_deref(), Some(expected));
    };
    says(
        &[(90, Bracket, Held), (110, Bracket, Broke)],
        "no full hold fit in",
    );
    says(&[held], "only one full hold fit in");
    says(
        &[held, held, (110, Bracket, Broke)],
        "no full hold has broken yet",
    );
    says(
        &[broke, broke, (90, Bracket, Held)],
        "no full hold has held yet",
    );
    assert_eq!(why(&[held, broke], 95.0, 105.0), None);
    assert_eq!(why(&[held, broke], 76.0, 124.0), None);
    assert_eq!(
        why(&[held, broke], 70.0, 130.0).as_deref(),
        Some("the interval is ±54 %")
    );
    let unknown = Estimate {
        fit: Fit::unknown(100.0, 95.0, 105.0),
        ..estimate(95.0, 105.0)
    };
    let unfitted = search(&[held, broke]).no_number(&unknown);
    assert_eq!(unfitted.as_deref(), Some("no curve fits the visits yet"));
}

/// Two full holds on each side, so many seconds each.
fn held_for(seconds_each: usize) -> Vec<Visit> {
    [(98, Held), (98, Held), (103, Broke), (103, Broke)]
        .into_iter()
        .map(|(vus, verdict)| Visit {
            flow: seconds(seconds_each, 50.0, 10.0, 0.2),
            ..at(vus, Refine, verdict)
        })
        .collect()
}

#[test]
fn an_interval_is_sure_only_after_twenty_minutes_near_the_breakpoint() {
    let narrow = estimate(98.0, 102.0);
    assert!(search_of(held_for(300)).is_sure(&narrow));
    assert!(!search_of(held_for(299)).is_sure(&narrow));
    assert!(!search_of(held_for(300)).is_sure(&estimate(90.0, 110.0)));
    assert!(
        !search_of(held_for(400)[..3].to_vec()).is_sure(&narrow),
        "one broke"
    );
    assert!(
        !search_of(held_for(400)[1..].to_vec()).is_sure(&narrow),
        "one held"
    );
    // Time far below tells nothing of it.
    let mut far = held_for(250);
    far.push(Visit {
        level: Level(78),
        ..far[0].clone()
    });
    assert!(!search_of(far.clone()).is_sure(&narrow));
    far[4].level = Level(79);
    assert!(search_of(far).is_sure(&narrow));
}

#[test]
fn one_chance_event_tells_no_rate_to_be_sure_of() {
    let mut visits = held_for(400);
    let still = Flow {
        completed: 0.0,
        waited_s: 0.0,
        ..visits[0].flow[0]
    };
    visits[0].flow[100] = still;
    let narrow = estimate(98.0, 102.0);
    assert!(!search_of(visits.clone()).is_sure(&narrow));
    // Eight do.
    for second in (120..260).step_by(20) {
        visits[0].flow[second] = still;
    }
    assert!(search_of(visits).is_sure(&narrow));
}

#[test]
fn the_reason_says_whether_a_narrow_interval_is_sure() {
    let reason = |visits: Vec<Visit>, low: f64, high: f64| {
        let mut search = search_of(visits);
        search.estimate = Some(estimate(low, high));
        ended(search.found()).reason
    };
    assert_eq!(
        reason(held_for(300), 98.0, 102.0),
        "precision reached: ±2.0 % (requested ±5.0 %)"
    );
    assert_eq!(
        reason(held_for(100), 98.0, 102.0),
        "precision reached: ±2.0 % (requested ±5.0 %, not yet certain)"
    );
    assert_eq!(
        reason(held_for(300), 90.0, 110.0),
        "precision reached: ±10.0 % (requested ±5.0 %)"
    );
}

#[test]
fn what_may_not_have_come_is_told_by_the_time_held_near_the_breakpoint() {
    let narrow = estimate(98.0, 102.0);
    let text = search_of(held_for(75)).unseen(&narrow).unwrap();
    assert!(text.contains("rarer than about one every 100 s"), "{text}");
    assert!(text.contains("in the 5 min near the breakpoint"), "{text}");
    assert_eq!(search(&[(98, Refine, Held)]).unseen(&narrow), None);
}
