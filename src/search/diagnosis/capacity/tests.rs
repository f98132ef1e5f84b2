use super::*;
use crate::record::Purpose;
use crate::slo::Verdict;
use crate::stats::normal::probit;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// A visit of 90 s after a move of 3 s that serves `per_s(second)` with `in_flight` requests in it.
fn visit(began_s: f64, from: u32, vus: u32, in_flight: f64, per_s: impl Fn(f64) -> f64) -> Visit {
    let flow = (0..93)
        .map(|i| {
            let second = f64::from(i);
            let noise = if i % 2 == 0 { 1.05 } else { 0.95 };
            let completed = per_s(began_s + second) * noise;
            Flow {
                at_level: i >= 3,
                completed,
                failed: 0.0,
                in_flight,
                waited_s: 0.05 * completed,
            }
        })
        .collect();
    Visit {
        probe: 0,
        level: Level(vus),
        from: Level(from),
        began_s,
        crashed_after_s: None,
        purpose: Purpose::Refine,
        verdict: Verdict::Held,
        valid: true,
        left_early: false,
        evidence: Vec::new(),
        tails: Vec::new(),
        throughput: Some(per_s(began_s)),
        latency: None,
        hold_s: 90.0,
        cost_s: 93.0,
        flow,
        outgrown: false,
        earlier: false,
        overflows: false,
    }
}

/// Ten visits in a row at about 1 000 VUs, with many requests waiting; `per_s` by time.
fn search(per_s: impl Fn(f64) -> f64 + Copy) -> Vec<Visit> {
    (0..10u32)
        .map(|i| visit(f64::from(i) * 93.0, 1_000, 990 + 5 * (i % 4), 250.0, per_s))
        .collect()
}

fn groups(visits: &[Visit]) -> Option<Groups> {
    Groups::of(&blocks(visits), 1_000.0)
}

/// Slow or fast, changed every so many seconds.
fn switching(every_s: f64, slow: f64) -> impl Fn(f64) -> f64 + Copy {
    move |at| {
        if (at / every_s).rem_euclid(2.0) < 1.0 {
            160.0
        } else {
            slow
        }
    }
}

#[test]
fn two_capacities_for_minutes_under_the_same_load_are_modes() {
    let found = groups(&search(switching(186.0, 120.0))).unwrap();
    assert!(found.are_modes() && !found.shows_hysteresis());
    assert!((found.ratio() - 160.0 / 120.0).abs() < 0.02);
}

#[test]
fn what_passes_within_a_visit_is_averaged() {
    let found = groups(&search(switching(31.0, 120.0)));
    assert!(found.is_none_or(|g| !g.are_modes()));
}

#[test]
fn a_plain_system_does_not_look_like_two_however_long_it_is_watched() {
    // One server of 10 per second, exponential: a block of 150 completions varies by 8 %.
    let mut rng = SmallRng::seed_from_u64(1);
    let mut noisy = |n: u32| -> Vec<Visit> {
        (0..n)
            .map(|i| {
                let rates: Vec<f64> = (0..7)
                    .map(|_| 10.0 * (1.0 + 0.08 * probit(rng.random_range(1e-9..1.0 - 1e-9))))
                    .collect();
                let began_s = 93.0 * f64::from(i);
                visit(began_s, 1_000, 990 + 5 * (i % 4), 250.0, move |at| {
                    let block = rates
                        .iter()
                        .zip(1..)
                        .find(|(_, end)| at - began_s < 15.0 * f64::from(*end));
                    *block.unwrap().0
                })
            })
            .collect()
    };
    assert!((0..20).all(|_| groups(&noisy(400)).is_none()));
}

#[test]
fn modes_that_hardly_differ_are_within_the_interval() {
    let found = groups(&search(switching(186.0, 147.0)));
    assert!(found.is_none_or(|g| !g.are_modes()));
}

#[test]
fn a_capacity_that_a_level_explains_is_no_mode() {
    let by_level: Vec<Visit> = (0..10u32)
        .map(|i| {
            let (vus, per_s) = if i % 2 == 0 {
                (800, 160.0)
            } else {
                (1_000, 120.0)
            };
            visit(f64::from(i) * 93.0, 900, vus, 250.0, move |_| per_s)
        })
        .collect();
    assert_eq!(groups(&by_level), None);
}

#[test]
fn what_is_slow_from_overload_to_rest_depends_on_direction() {
    let fast = |at, from| visit(at, from, 990, 150.0, |_| 160.0);
    let slow = |at| visit(at, 990, 1_000, 400.0, |_| 136.0);
    let visits = [
        fast(0.0, 0),
        slow(93.0),
        slow(186.0),
        fast(279.0, 0),
        slow(372.0),
    ];
    let found = groups(&visits).unwrap();
    assert!(found.shows_hysteresis() && !found.are_modes());
    // Without the return there is something to look for, and not for ever.
    let once = blocks(&visits[..3]);
    assert!(!Groups::of(&once, 1_000.0).unwrap().shows_hysteresis());
    let wanted = |rests| wanted_look(&once, 1_000.0, rests, 0);
    assert_eq!((wanted(0), wanted(LOOKS)), (Some(Look::FromRest), None));
    // Far below the slow levels a look says nothing.
    assert_eq!(wanted_look(&once, 900.0, 0, 0), None);
    // Who began slowly and was fast after a rest must become slow again after an overload.
    let begun_slowly = blocks(&[slow(0.0), slow(93.0), fast(186.0, 0)]);
    assert_eq!(
        wanted_look(&begun_slowly, 1_000.0, 1, 0),
        Some(Look::FromOverload)
    );
    let turned = [slow(0.0), slow(93.0), fast(186.0, 0), slow(279.0)];
    assert!(groups(&turned).unwrap().shows_hysteresis());
    // Fast again under the same load: no history explains it.
    let relieved = [
        fast(0.0, 0),
        slow(93.0),
        slow(186.0),
        fast(279.0, 1_000),
        slow(372.0),
    ];
    let found = groups(&relieved).unwrap();
    assert!(found.are_modes() && !found.shows_hysteresis());
}

#[test]
fn a_capacity_that_falls_steadily_drifts_and_one_that_stays_does_not() {
    let falling = search(|at| 160.0 * (1.0 - 0.05 * at / 930.0));
    let found = drift(&blocks(&falling), 1_000.0).unwrap();
    assert!((found.change + 0.05).abs() < 0.01, "{found:?}");
    assert_eq!(drift(&blocks(&search(|_| 160.0)), 1_000.0), None);
    // A wave that comes and goes has no slope, though its blocks resemble their neighbours.
    let wave = search(|at| 160.0 * (1.0 + 0.05 * (at / 100.0).sin()));
    assert_eq!(drift(&blocks(&wave), 1_000.0), None);
    // Where hardly anything waits, throughput is not the capacity.
    let idle: Vec<Visit> = falling
        .iter()
        .map(|v| {
            let mut v = v.clone();
            v.flow.iter_mut().for_each(|f| f.in_flight = 9.0);
            v
        })
        .collect();
    assert_eq!(drift(&blocks(&idle), 1_000.0), None);
}
