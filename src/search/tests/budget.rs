//! What the budget has room for, and what more of it would bring.

use super::*;

#[test]
fn no_probe_is_begun_that_would_pass_the_budget() {
    for seconds in [30, 60, 100, 200, 300, 450, 600, 900] {
        let driven = drive(with_budget(seconds, spec(1, 5_000, 10)), SHARE, |o| {
            cliff(o, 700)
        });
        let spent: f64 = driven.search.visits().iter().map(|v| v.cost_s).sum();
        assert!(spent <= seconds as f64, "{spent} of {seconds}");
        match driven.end.ending {
            Ending::Found => {
                let held = driven.visit(driven.end.last_held).level.get();
                let broke = driven.visit(driven.end.first_broke).level.get();
                assert!(held <= 700 && 700 < broke, "{held} {broke}");
            }
            Ending::Bracketed => {
                let estimate = driven.end.estimate.as_ref().unwrap();
                assert!(
                    estimate.low <= 700.0 && 700.0 <= estimate.high,
                    "{estimate:?}"
                );
                assert!(!driven.end.as_narrow_as_asked);
                let reason = &driven.end.reason;
                assert!(
                    reason.contains("is too short for a single number"),
                    "{reason}"
                );
                assert!(reason.contains("full hold"), "{reason}");
            }
            Ending::Undecided => {
                let reason = &driven.end.reason;
                assert!(reason.contains("more minutes (--budget)"), "{reason}");
                assert!(reason.contains("--budget"), "{reason}");
                assert!(driven.end.estimate.is_none());
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_budget_that_ends_early_is_undecided_later_a_bracket_and_in_the_end_a_number() {
    let ending = |seconds| {
        let spec = with_budget(seconds, spec(1, 5_000, 10));
        drive(spec, SHARE, |o| cliff(o, 700)).end.ending
    };
    assert_eq!(ending(100), Ending::Undecided);
    assert_eq!(ending(200), Ending::Bracketed);
    assert_eq!(ending(900), Ending::Found);
}

#[test]
fn an_interruption_keeps_what_is_known() {
    let mut search = Search::new(spec(1, 5_000, 10), MODEL, vec![SHARE]);
    assert_eq!(
        search.ended(Ending::Interrupted, String::new()).last_held,
        None
    );
    for _ in 0..9 {
        let Step::Probe(order) = search.next(0.0) else {
            panic!("ended")
        };
        search.record(cliff(&order, 700));
    }
    let end = search.ended(Ending::Interrupted, String::new());
    assert_eq!(end.ending, Ending::Interrupted);
    assert_eq!(search.visits()[end.last_held.unwrap()].level, Level(640));
    assert_eq!(search.visits()[end.first_broke.unwrap()].level, Level(905));
}

fn told(driven: &Driven) -> Option<Outlook> {
    driven.search.outlook(driven.end.estimate.as_ref()?)
}

#[test]
fn a_step_promises_a_visit_between_its_sides_and_nothing_when_it_moves() {
    // Whoever has what was asked for is promised nothing; this one is asked for more than it can
    // reach.
    let budget = |seconds| SearchSpec {
        precision: 1e-6,
        ..with_budget(seconds, spec(1, 5_000, 10))
    };
    let long = drive(budget(5_000), SHARE, |o| cliff(o, 700));
    let mut promised = 0;
    for seconds in (450..900).step_by(50) {
        let driven = drive(budget(seconds), SHARE, |o| cliff(o, 700));
        let Some(outlook) = told(&driven) else {
            continue;
        };
        let Outlook::Visit {
            level,
            takes_s,
            held,
            broke,
        } = outlook
        else {
            panic!("{outlook:?}")
        };
        promised += 1;
        let levels = |verdict: Verdict| {
            let visits = driven.search.visits().iter();
            visits
                .filter(move |v| v.verdict == verdict)
                .map(|v| v.level)
        };
        assert_eq!(Some(held), levels(Verdict::Held).max());
        assert_eq!(Some(broke), levels(Verdict::Broke).min());
        assert!(held < level && level < broke && takes_s > 10.0);
        // A search with more time does what was promised.
        assert_eq!(long.levels()[driven.orders.len()], level.get(), "{seconds}");
    }
    assert!(promised > 1, "{promised}");
    // The crash comes now at 700, now at 600: who promised to halve the gap would be wrong.
    let mut visits = 0;
    let driven = drive(budget(700), SHARE, |o| {
        visits += 1;
        cliff(
            o,
            if visits > 9 && visits % 2 == 0 {
                600
            } else {
                1_000
            },
        )
    });
    let contradicted = driven.search.visits().iter().any(|v| {
        v.verdict == Verdict::Held
            && driven
                .end
                .first_broke
                .is_some_and(|i| v.level >= driven.search.visits()[i].level)
    });
    if contradicted {
        assert_eq!(told(&driven), None);
    }
}

#[test]
fn time_promises_the_less_the_more_was_held_already() {
    let promised = |seconds| {
        let spec = SearchSpec {
            precision: 1e-6,
            ..with_budget(seconds, spec(1, 10_000, 10))
        };
        let driven = drive(spec, SHARE, |o| soft(o, 4_000.0, 0.0));
        let estimate = driven.end.estimate.as_ref().expect("found");
        match told(&driven) {
            Some(Outlook::Time {
                more_s,
                half_width,
                asked_in_s,
            }) => {
                assert!((more_s - 300.0).abs() < 1e-9);
                assert!(asked_in_s.is_some_and(|s| s > 0.0), "{asked_in_s:?}");
                half_width / estimate.half_width()
            }
            other => panic!("{other:?}"),
        }
    };
    let (short, long) = (promised(900), promised(7_200));
    assert!(short < long && long < 1.0, "{short} {long}");
}

#[test]
fn a_warm_up_comes_first_and_nothing_rests_on_it() {
    let asked = |warm_up| SearchSpec {
        warm_up,
        ..spec(1, 5_000, 10)
    };
    // Cold, it breaks at once and answers nothing; warm, it is well up to 700.
    let target = |order: &Order| {
        if order.purpose == Purpose::WarmUp {
            Visit {
                crashed_after_s: Some(3.0),
                ..visit(order, Verdict::Broke, Evidence::Side { broke: true })
            }
        } else {
            cliff(order, 700)
        }
    };
    let two_minutes = Some(Duration::from_secs(120));
    let warmed = drive_unchecked(asked(two_minutes), target);
    let first = warmed.orders[0];
    assert_eq!(
        (first.purpose, first.level, first.hold_s),
        (Purpose::WarmUp, Level(10), 120.0)
    );
    let cold = drive_unchecked(asked(Some(Duration::ZERO)), target);
    assert_eq!(warmed.orders[1..], cold.orders, "the same search follows");
    let told = |driven: &Driven| (driven.end.ending, driven.end.estimate.clone());
    assert_eq!(told(&warmed), told(&cold));
    let visits = warmed.search.visits();
    assert!(visits.iter().all(|v| v.purpose != Purpose::WarmUp));
    assert_eq!(cold.orders[0].purpose, Purpose::Bracket);
    assert_eq!(drive_unchecked(asked(None), target).orders, cold.orders);
}

#[test]
fn a_warm_up_is_part_of_the_budget() {
    let spec = SearchSpec {
        warm_up: Some(Duration::from_secs(120)),
        budget: Duration::from_secs(150),
        ..spec(1, 5_000, 10)
    };
    let mut search = Search::new(spec, MODEL, vec![SHARE]);
    let Step::Probe(order) = search.next(0.0) else {
        panic!("it begins");
    };
    search.record(visit(&order, Verdict::Undecided, Evidence::None));
    assert_eq!(search.last().map(|v| v.purpose), Some(Purpose::WarmUp));
    let Step::Probe(next) = search.next(120.0) else {
        panic!("there is room for a first look");
    };
    assert_eq!(next.purpose, Purpose::Bracket);
    assert!(next.within_s <= 30.0, "{next:?}");
    assert!(matches!(search.next(149.0), Step::Done(_)));
}

#[test]
fn an_interval_without_a_number_keeps_its_estimate() {
    let driven = drive(spec(1, 5_000, 10), SHARE, |o| cliff(o, 700));
    let ended = |ending| driven.search.ended(ending, String::new()).estimate;
    assert!(ended(Ending::Bracketed).is_some());
    assert!(ended(Ending::Undecided).is_none());
}

/// As [`drive`], for orders that need not settle.
fn drive_unchecked(spec: SearchSpec, target: impl Fn(&Order) -> Visit) -> Driven {
    let mut search = Search::new(spec, MODEL, vec![SHARE]);
    let mut orders = Vec::new();
    loop {
        match search.next(0.0) {
            Step::Done(end) => {
                return Driven {
                    search,
                    orders,
                    end: *end,
                };
            }
            Step::Probe(order) => {
                assert!(orders.len() < MOST, "does not end: {orders:?}");
                search.record(target(&order));
                // What one probe leaves in the budget is not asked here.
                orders.push(Order {
                    within_s: 0.0,
                    ..order
                });
            }
        }
    }
}

#[test]
fn a_budget_without_room_for_the_first_visit_says_so() {
    let mut search = Search::new(
        SearchSpec {
            budget: Duration::from_secs(4),
            ..spec(1, 5000, 10)
        },
        MODEL,
        vec![SHARE],
    );
    let Step::Done(end) = search.next(0.0) else {
        panic!("there is room for a visit");
    };
    assert_eq!(end.ending, Ending::Undecided);
    for part in [
        "no level was visited",
        "to 10 VUs",
        "the budget of 4",
        "(--budget)",
    ] {
        assert!(end.reason.contains(part), "{}", end.reason);
    }
    assert!(!end.reason.contains("ended"), "{}", end.reason);
}
