//! The search alone, fed with made-up visits: no engine, no clock, no noise but that of a test's own making.

#![expect(clippy::cast_precision_loss, reason = "counts of a test")]
#![expect(clippy::needless_pass_by_value, reason = "builders of a test")]

use proptest::prelude::*;

use super::*;
use crate::record::Outlook;

const MODEL: CycleModel = CycleModel {
    think_s: 1.0,
    limit_s: Some(2.0),
};
const SHARE: Link = Link::Share { alpha: 0.01 };

fn spec(min: u32, max: u32, start: u32) -> SearchSpec {
    SearchSpec {
        min: Level(min),
        max: Level(max),
        start: Level(start),
        // Ample: whoever tests the budget's end says so.
        budget: Duration::from_secs(1_000_000),
        ..SearchSpec::default()
    }
}

fn visit(order: &Order, verdict: Verdict, evidence: Evidence) -> Visit {
    Visit {
        probe: 0,
        level: order.level,
        from: Level(1),
        began_s: 0.0,
        crashed_after_s: None,
        purpose: order.purpose,
        verdict,
        valid: true,
        left_early: verdict == Verdict::Broke,
        evidence: vec![evidence],
        tails: Vec::new(),
        // No knee: throughput grows with the level.
        throughput: Some(f64::from(order.level.get()) / 1.5),
        latency: None,
        hold_s: order.hold_s,
        cost_s: order.hold_s + 10.0,
        flow: Vec::new(),
        outgrown: false,
        earlier: false,
        overflows: false,
    }
}

/// A visit of 30 s that was made for this and came to that, and showed nothing else.
pub(super) fn at(vus: u32, purpose: Purpose, verdict: Verdict) -> Visit {
    let order = Order {
        level: Level(vus),
        purpose,
        hold_s: 30.0,
        from_rest: false,
        settle_min_s: 3.0,
        settle_cycles: 1.0,
        within_s: 1_000.0,
    };
    visit(&order, verdict, Evidence::None)
}

/// A search that is about the share of failures, with these visits.
pub(super) fn search_of(visits: Vec<Visit>) -> Search {
    let mut search = Search::new(spec(1, 5_000, 10), MODEL, vec![SHARE]);
    search.visits = visits;
    search
}

/// So many seconds at a level, each with as many completed and in flight, at this latency.
pub(super) fn seconds(n: usize, per_s: f64, in_flight: f64, latency_s: f64) -> Vec<Flow> {
    let second = Flow {
        at_level: true,
        completed: per_s,
        failed: 0.0,
        in_flight,
        waited_s: per_s * latency_s,
    };
    vec![second; n]
}

fn verdict_of(broke: bool) -> Verdict {
    if broke { Verdict::Broke } else { Verdict::Held }
}

/// A target that is well up to `last_good` VUs and fails everything beyond.
fn cliff(order: &Order, last_good: u32) -> Visit {
    let broke = order.level.get() > last_good;
    let evidence = Evidence::Share {
        bad: if broke { 1_000.0 } else { 0.0 },
        total: 1_000.0,
        alpha: 0.01,
    };
    visit(order, verdict_of(broke), evidence)
}

/// The same, told by a side alone.
fn edge(order: &Order, last_good: u32) -> Visit {
    let broke = order.level.get() > last_good;
    visit(order, verdict_of(broke), Evidence::Side { broke })
}

/// A visit that saw nothing.
fn silent(order: &Order) -> Visit {
    Visit {
        throughput: Some(0.0),
        ..visit(order, Verdict::Undecided, Evidence::None)
    }
}

struct Driven {
    search: Search,
    orders: Vec<Order>,
    end: Conclusion,
}

impl Driven {
    fn levels(&self) -> Vec<u32> {
        self.orders.iter().map(|o| o.level.get()).collect()
    }

    fn visit(&self, index: Option<usize>) -> &Visit {
        &self.search.visits()[index.expect("the conclusion names a visit")]
    }
}

/// More probes than any search may need.
const MOST: usize = 400;

fn drive(spec: SearchSpec, link: Link, mut target: impl FnMut(&Order) -> Visit) -> Driven {
    let (min, max) = (spec.min, spec.max);
    let mut search = Search::new(spec, MODEL, vec![link]);
    let mut orders = Vec::new();
    let mut elapsed_s = 0.0;
    loop {
        match search.next(elapsed_s) {
            Step::Done(end) => {
                return Driven {
                    search,
                    orders,
                    end: *end,
                };
            }
            Step::Probe(order) => {
                assert!(order.level >= min && order.level <= max, "{order:?}");
                assert!(order.hold_s > 0.0 && order.settle_min_s > 0.0, "{order:?}");
                assert!(orders.len() < MOST, "does not end: {orders:?}");
                let visit = Visit {
                    probe: orders.len(),
                    ..target(&order)
                };
                elapsed_s += visit.cost_s;
                orders.push(order);
                search.record(visit);
            }
        }
    }
}

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
    // Eight workers of 50 ms serve 160 cycles a second at most, users think for 1 s: the knee is near 168.
    let saturating = |o: &Order| Visit {
        throughput: Some((f64::from(o.level.get()) / 1.05).min(160.0)),
        ..cliff(o, 2_900)
    };
    let driven = drive(spec(1, 5_000, 100), SHARE, saturating);
    // 400 is twice 200 and did not raise the throughput: 160 x (1 + 0.85 x 2) = 432, but at least an eighth more.
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
    // 640 held, 1280 broke. Little's law: capacity x (1 s of thinking + a quarter of the limit of 2 s).
    assert_eq!(at(500.0), [1_280, 750]);
    // A capacity that points out of the bracket, or to its very end, tells nothing: the geometric mean.
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

    // The same where there are lower levels to close in to: it ends, and not as a level that is carried.
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

fn with_budget(seconds: u64, spec: SearchSpec) -> SearchSpec {
    SearchSpec {
        budget: Duration::from_secs(seconds),
        ..spec
    }
}

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

/// Killed beyond `last_good` VUs soon after the level was reached; how much fails depends on when it is back.
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

/// A smooth crossing: one in a hundred late at `n_star`, more above; `shift` moves this visit's share (probit scale).
fn soft(order: &Order, n_star: f64, shift: f64) -> Visit {
    let y = crate::stats::normal::probit(0.01)
        + 4.0 * (f64::from(order.level.get()) / n_star - 1.0)
        + shift;
    let total = 2_000.0;
    let bad = (total * crate::stats::normal::log_cdf(y).exp()).round();
    let verdict = match bad {
        b if b > 26.0 => Verdict::Broke,
        b if b < 14.0 => Verdict::Held,
        _ => Verdict::Undecided,
    };
    visit(
        order,
        verdict,
        Evidence::Share {
            bad,
            total,
            alpha: 0.01,
        },
    )
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

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn it_ends_whatever_the_visits_say(
        verdicts in proptest::collection::vec((0..3_u8, 0..12_u8), 1..60),
        (min, max, start) in (1..200_u32, 0..3_000_u32, 0..3_000_u32)
            .prop_map(|(min, range, start)| (min, min + range, min + start.min(range))),
        budget in 60..2_000_u64,
    ) {
        let mut told = verdicts.iter().cycle();
        let driven = drive(with_budget(budget, spec(min, max, start)), SHARE, |o| {
            let (verdict, kind) = told.next().copied().unwrap_or_default();
            let verdict = [Verdict::Held, Verdict::Undecided, Verdict::Broke][usize::from(verdict)];
            match kind {
                0 => silent(o),
                1 => Visit { valid: false, ..silent(o) },
                _ => {
                    let bad = f64::from(kind - 2) * 8.0;
                    visit(o, verdict, Evidence::Share { bad, total: 2_000.0, alpha: 0.01 })
                }
            }
        });
        if driven.end.ending == Ending::Found {
            let estimate = driven.end.estimate.as_ref().unwrap();
            prop_assert!(estimate.low <= estimate.vus && estimate.vus <= estimate.high);
            let held = driven.visit(driven.end.last_held);
            let broke = driven.visit(driven.end.first_broke);
            prop_assert!(held.verdict == Verdict::Held && f64::from(held.level.get()) <= estimate.vus);
            prop_assert!(broke.verdict == Verdict::Broke && f64::from(broke.level.get()) > estimate.vus);
        }
    }
}

fn told(driven: &Driven) -> Option<Outlook> {
    driven.search.outlook(driven.end.estimate.as_ref()?)
}

#[test]
fn a_step_promises_a_visit_between_its_sides_and_nothing_when_it_moves() {
    // Whoever has what was asked for is promised nothing; this one is asked for more than it can reach.
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

/// A search that was told these visits: level, why it was made, whether it broke.
fn told_of(visits: &[(u32, Purpose, bool)]) -> Search {
    let seen = |v: &(u32, Purpose, bool)| at(v.0, v.1, verdict_of(v.2));
    search_of(visits.iter().map(seen).collect())
}

#[test]
fn an_interval_reaches_as_far_as_full_holds_bear_it_out() {
    use Purpose::{Bracket, Refine};
    let between = |visits: &[(u32, Purpose, bool)]| {
        told_of(visits).as_far_as_proven(98.0, 102.0, Level(95), Level(110))
    };
    let short = [(95, Bracket, false), (110, Bracket, true)];
    let held = (95, Refine, false);
    let broke = (105, Refine, true);
    assert_eq!(between(&short), (95.0 / 1.35, 110.0));
    assert_eq!(between(&[short[0], short[1], held]), (95.0 / 1.12, 110.0));
    assert_eq!(between(&[short[1], held, held]), (95.0, 110.0));
    assert_eq!(between(&[short[1], held, held, held, broke]), (95.0, 102.0));
    // It is never made narrower than the fit has it.
    let wide = told_of(&[held, held, broke]).as_far_as_proven(80.0, 120.0, Level(95), Level(110));
    assert_eq!(wide, (80.0, 120.0));
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

#[test]
fn an_answer_whose_levels_stay_undecided_is_not_confirmed_for_ever() {
    // Where the interval ends, shares lie so near to what is allowed that no hold there is a firm verdict.
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
