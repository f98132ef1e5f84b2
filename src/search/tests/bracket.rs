//! From the start to a level that held below one that broke.

use super::*;

#[test]
fn it_doubles_until_something_breaks_and_then_bisects() {
    let driven = drive(spec(1, 5_000, 10), SHARE, |o| cliff(o, 700));
    assert_eq!(driven.levels()[..8], [10, 20, 40, 80, 160, 320, 640, 1280]);
    assert!(
        driven.orders[..8]
            .iter()
            .all(|o| o.purpose == Purpose::Bracket)
    );
    // A geometric mean, until the bracket is within one and a half.
    assert_eq!(driven.orders[8].purpose, Purpose::Narrow);
    assert_eq!(driven.levels()[8], 905);
    assert!(
        driven.orders[9..]
            .iter()
            .all(|o| matches!(o.purpose, Purpose::Refine | Purpose::Confirm))
    );
}

#[test]
fn the_last_doubling_stops_at_the_maximum() {
    let driven = drive(spec(1, 100, 30), SHARE, |o| cliff(o, 95));
    assert_eq!(driven.levels()[..3], [30, 60, 100]);
}

#[test]
fn beyond_the_knee_it_jumps_by_littles_law() {
    // Eight workers of 50 ms serve 160 cycles a second at most, users think for 1 s: the knee is
    // near 168.
    let saturating = |o: &Order| Visit {
        throughput: Some((f64::from(o.level.get()) / 1.05).min(160.0)),
        ..cliff(o, 2_900)
    };
    let driven = drive(spec(1, 5_000, 100), SHARE, saturating);
    // 400 is twice 200 and did not raise the throughput: 160 x (1 + 0.85 x 2) = 432, but at least
    // an eighth more.
    assert_eq!(driven.levels()[..4], [100, 200, 400, 451]);
    // A level that tells nothing of a limit is doubled all the same.
    let mut search = Search::new(
        spec(1, 5_000, 100),
        CycleModel {
            limit_s: None,
            ..MODEL
        },
        vec![SHARE],
    );
    for level in [100, 200, 400] {
        let Step::Probe(order) = search.next(0.0) else {
            panic!("ended")
        };
        assert_eq!(order.level.get(), level);
        search.record(saturating(&order));
    }
    assert!(matches!(search.next(0.0), Step::Probe(o) if o.level.get() == 800));
}

#[test]
fn a_few_cycles_tell_no_knee() {
    // Too little was asked to tell 2.7 cycles a second from 3.2; the level is doubled all the same.
    let slow = |o: &Order| Visit {
        throughput: Some(if o.level.get() == 10 { 2.7 } else { 3.2 }),
        hold_s: 6.0,
        ..cliff(o, 2_900)
    };
    let driven = drive(spec(1, 5_000, 10), SHARE, slow);
    assert_eq!(driven.levels()[..3], [10, 20, 40]);
}

#[test]
fn between_two_bounds_it_looks_where_the_capacity_points_to() {
    let at = |capacity: f64| {
        let saturating = |o: &Order| Visit {
            throughput: Some((f64::from(o.level.get()) / 1.05).min(capacity)),
            ..cliff(o, 700)
        };
        drive(spec(1, 5_000, 10), SHARE, saturating).levels()[7..9].to_vec()
    };
    // 640 held, 1280 broke. Little's law: capacity x (1 s of thinking + a quarter of the limit of 2
    // s).
    assert_eq!(at(500.0), [1_280, 750]);
    // A capacity that points out of the bracket, or to its very end, tells nothing: the geometric
    // mean.
    assert_eq!(at(2_000.0), [1_280, 905]);
    assert_eq!(at(440.0), [1_280, 905]);
}

#[test]
fn it_steps_down_when_the_start_breaks() {
    let driven = drive(spec(1, 5_000, 1_000), SHARE, |o| cliff(o, 70));
    assert_eq!(driven.levels()[..3], [1_000, 250, 62]);
    assert_eq!(driven.end.ending, Ending::Found);
}

#[test]
fn broke_at_the_minimum_needs_two_broken_visits_there() {
    let driven = drive(spec(5, 5_000, 100), SHARE, |o| cliff(o, 1));
    assert_eq!(driven.end.ending, Ending::BrokeAtMinimum);
    assert_eq!(driven.levels(), [100, 25, 6, 5, 5]);
    assert_eq!(driven.visit(driven.end.first_broke).level, Level(5));
    assert_eq!(driven.end.last_held, None);
    assert!(driven.end.estimate.is_none());
    assert!(driven.end.reason.contains("5 VUs"), "{}", driven.end.reason);

    // One noisy visit does not decide: the second one held.
    let mut first = true;
    let driven = drive(spec(5, 5_000, 5), SHARE, |o| {
        let broke = std::mem::take(&mut first);
        cliff(o, if broke { 1 } else { 300 })
    });
    assert_eq!(driven.end.ending, Ending::Found);
    assert_eq!(driven.levels()[..2], [5, 5]);
}

#[test]
fn never_broke_needs_a_full_hold_at_the_maximum() {
    let driven = drive(spec(1, 300, 50), SHARE, |o| cliff(o, 10_000));
    assert_eq!(driven.end.ending, Ending::NeverBroke);
    assert_eq!(driven.levels(), [50, 100, 200, 300, 300]);
    let last = driven.orders.last().unwrap();
    assert_eq!(last.purpose, Purpose::Confirm);
    assert!(last.hold_s >= SearchSpec::default().hold_min.as_secs_f64());
    assert_eq!(driven.visit(driven.end.last_held).level, Level(300));
    assert_eq!(driven.end.first_broke, None);
    assert!(driven.end.estimate.is_none());

    // Full holds that neither hold nor break are no answer.
    let unsure = |o: &Order| Visit {
        verdict: if o.purpose == Purpose::Confirm {
            Verdict::Undecided
        } else {
            Verdict::Held
        },
        ..cliff(o, 10_000)
    };
    let driven = drive(spec(1, 300, 50), SHARE, unsure);
    assert_eq!(driven.end.ending, Ending::Undecided);
    assert!(
        driven.end.reason.contains("--max-vus"),
        "{}",
        driven.end.reason
    );
}

#[test]
fn a_probe_that_broke_at_the_maximum_is_outvoted_and_told_or_there_is_no_answer() {
    // Which of the probes at the maximum break, in order.
    let drive_with = |broken: &'static [bool]| {
        let mut nth = 0;
        drive(spec(300, 300, 300), SHARE, move |o| {
            let broke = broken.get(nth).copied().unwrap_or(false);
            nth += 1;
            cliff(o, if broke { 1 } else { 10_000 })
        })
    };
    let once = drive_with(&[true]);
    assert_eq!(once.end.ending, Ending::NeverBroke);
    assert_eq!(once.orders.len(), 3, "one that broke, two that held");
    let told = "; 1 of 3 probes there broke before it held";
    assert!(once.end.reason.ends_with(told), "{}", once.end.reason);
    let never = drive_with(&[]);
    assert!(!never.end.reason.contains("probes"), "{}", never.end.reason);
    let by_turns = drive_with(&[true, false, true, false, true, false]);
    assert_eq!(by_turns.end.ending, Ending::BrokeAtMinimum);

    // The same where there are lower levels to close in to: it ends, and not as a level that is
    // carried.
    let mut at_maximum = 0;
    let above = drive(spec(1, 300, 150), SHARE, |o| {
        let is_there = o.level.get() == 300;
        at_maximum += u32::from(is_there);
        cliff(
            o,
            if is_there && at_maximum % 2 == 1 {
                1
            } else {
                10_000
            },
        )
    });
    assert_ne!(above.end.ending, Ending::NeverBroke, "{}", above.end.reason);
}

#[test]
fn three_invalid_probes_in_a_row_are_the_generators_limit() {
    let driven = drive(spec(1, 5_000, 10), SHARE, |o| Visit {
        valid: o.level.get() < 100,
        ..cliff(o, 10_000)
    });
    assert_eq!(driven.end.ending, Ending::GeneratorLimited);
    assert_eq!(driven.levels(), [10, 20, 40, 80, 160, 160, 160]);
    assert_eq!(driven.visit(driven.end.last_held).level, Level(80));

    // One or two are repeated and forgotten.
    let mut faults = 2;
    let driven = drive(spec(1, 5_000, 10), SHARE, |o| {
        let fault = o.level.get() == 160 && faults > 0;
        faults -= i32::from(fault);
        Visit {
            valid: !fault,
            // What an invalid visit shows means nothing.
            ..if fault { cliff(o, 1) } else { cliff(o, 700) }
        }
    });
    assert_eq!(driven.end.ending, Ending::Found);
    assert_eq!(driven.levels()[4..8], [160, 160, 160, 320]);
}

#[test]
fn a_level_without_data_is_held_longer_and_then_given_up() {
    let driven = drive(spec(1, 5_000, 10), SHARE, silent);
    assert_eq!(driven.end.ending, Ending::Undecided);
    assert_eq!(driven.levels(), [10, 10, 10]);
    let holds: Vec<f64> = driven.orders.iter().map(|o| o.hold_s).collect();
    assert!(holds[0] < holds[1] && holds[1] < holds[2], "{holds:?}");
    assert!(
        driven.end.reason.contains("no data"),
        "{}",
        driven.end.reason
    );

    let mut quiet = 2;
    let driven = drive(spec(1, 5_000, 10), SHARE, |o| {
        quiet -= 1;
        if quiet >= 0 { silent(o) } else { cliff(o, 700) }
    });
    assert_eq!(driven.end.ending, Ending::Found);
}

#[test]
fn levels_that_tell_nothing_between_the_bracket_do_not_last_for_ever() {
    // It holds below 100, breaks above 200, and says nothing in between.
    let driven = drive(spec(1, 5_000, 10), SHARE, |o| match o.level.get() {
        0..100 => cliff(o, 10_000),
        200.. => cliff(o, 1),
        _ => silent(o),
    });
    assert_ne!(driven.end.ending, Ending::Interrupted);
    if let Some(estimate) = &driven.end.estimate {
        assert!(
            estimate.low <= 100.0 && estimate.high >= 200.0,
            "{estimate:?}"
        );
    }
}

#[test]
fn the_step_above_a_ceiling_that_is_outvoted_grows_with_the_holds_above_it() {
    use Purpose::{Bracket, Confirm, Refine};
    let mut visits = vec![
        (20, Bracket, true),
        (18, Refine, false),
        (20, Confirm, false),
    ];
    let step = |visits: &[(u32, Purpose, bool)]| format!("{:.2}", told_of(visits).climb());
    assert_eq!(step(&visits), "1.20", "none above 20 VUs held yet");
    visits.push((24, Confirm, false));
    assert_eq!(step(&visits), "1.44");
    visits.push((35, Confirm, false));
    visits.push((61, Confirm, false));
    assert_eq!(step(&visits), "2.00", "never more than a doubling");
    let Step::Probe(next) = told_of(&visits).next(0.0) else {
        panic!("it goes on");
    };
    assert_eq!((next.level.get(), next.purpose), (122, Confirm));
    // What breaks higher up is a ceiling of its own.
    visits.push((122, Confirm, true));
    assert_eq!(step(&visits), "1.20");
}
