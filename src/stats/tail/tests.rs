//! The tail fit against made-up visits whose breakpoint is known in closed form, and its parts
//! against numerical derivatives.

use proptest::prelude::*;

use super::counts::LIMIT;
use super::curve::BREAKPOINT;
use super::*;
use crate::stats::fit::Basis;
use crate::stats::normal::probit;
use made_up::{ALPHA, SERVICE, Service, Visits, asked, assert_near, ladder, mean, median};

mod made_up;
mod parts;
mod reach;

// ---- the estimate ----

#[test]
fn the_estimate_is_right_on_the_models_own_data() {
    let services = [
        SERVICE,
        Service {
            truth: 1_040.0,
            per_s: 160.0,
            spread: 0.12,
            ..SERVICE
        },
        Service {
            eta: 0.5,
            spread: 0.35,
            ..SERVICE
        },
    ];
    for service in services {
        let fit = service
            .noiseless(&ladder(service.truth, 3), 3e6)
            .fit(service.truth * 1.04)
            .unwrap();
        assert_near(fit.estimate / service.truth, 1.0, 1e-3, "estimate");
        assert!(fit.low < service.truth && service.truth < fit.high);
        // The steepness: probits per unit of N / N* - 1.
        let kappa =
            service.eta * service.truth / (service.per_s * service.limit_s * service.spread);
        assert_near(fit.kappa / kappa, 1.0, 0.05, "steepness");
        assert_eq!(fit.basis, Basis::Tails);
        assert_eq!((fit.visits, fit.exact), (12, 12));
    }
}

#[test]
fn the_breakpoint_lies_beyond_the_visits_when_their_tails_say_so() {
    // All visits are below it, and hardly anything is late: the rest of the tail tells where it
    // would be.
    let levels = [255.0, 265.0, 275.0, 280.0, 270.0, 260.0];
    let fit = SERVICE.noiseless(&levels, 3e6).fit(270.0).unwrap();
    assert_near(fit.estimate / SERVICE.truth, 1.0, 0.02, "estimate");
}

#[test]
fn the_estimate_moves_with_the_units() {
    let visits = SERVICE.correlated(&ladder(SERVICE.truth, 3), 6_000, 60.0, 11);
    let plain = visits.fit(300.0).unwrap();
    // Seconds three times as long: nothing changes.
    let mut slower = visits.clone();
    slower.per_s /= 3.0;
    for (_, tail) in &mut slower.tails {
        tail.limit_s *= 3.0;
    }
    let same = slower.fit(300.0).unwrap();
    assert_near(same.estimate, plain.estimate, 1e-9, "estimate");
    assert_near(same.low, plain.low, 1e-9, "low");
    assert_near(same.high, plain.high, 1e-9, "high");
    // Twice the users who are served twice as fast. What is usual for a design effect grows with
    // the users, and with it the weight of the prior, so the agreement is not exact.
    let mut doubled = visits.clone();
    doubled.per_s *= 2.0;
    for (vus, _) in &mut doubled.tails {
        *vus *= 2.0;
    }
    let twice = doubled.fit(600.0).unwrap();
    assert_near(twice.estimate / plain.estimate, 2.0, 1e-3, "doubled");
}

#[test]
fn the_order_of_time_does_not_matter_to_the_estimate() {
    let visits = SERVICE.correlated(&ladder(SERVICE.truth, 3), 6_000, 200.0, 3);
    let mut reversed = visits.clone();
    reversed.tails.reverse();
    for (_, tail) in &mut reversed.tails {
        tail.blocks.reverse();
    }
    let (forth, back) = (visits.fit(300.0).unwrap(), reversed.fit(300.0).unwrap());
    assert_near(back.estimate, forth.estimate, 1e-6, "estimate");
    assert_near(back.low, forth.low, 1e-6, "low");
}

#[test]
fn the_first_guess_does_not_matter() {
    let visits = SERVICE.correlated(&ladder(SERVICE.truth, 4), 6_000, 60.0, 8);
    let fits = [270.0, 300.0, 330.0].map(|around| visits.fit(around).unwrap().estimate);
    for estimate in fits {
        assert_near(estimate / fits[1], 1.0, 2e-3, "estimate");
    }
}

// ---- the interval ----

/// Median over made-up searches of ln(high / low) with `change` made to what was seen, relative to
/// no change.
fn width_after(change: impl Fn(&Visits) -> Visits) -> f64 {
    let ratios: Vec<f64> = (0..15)
        .map(|seed| {
            let visits = SERVICE.correlated(&ladder(SERVICE.truth, 3), 3_000, 60.0, 100 + seed);
            let width = |v: &Visits| {
                let fit = v.fit(SERVICE.truth).unwrap();
                (fit.high / fit.low).ln()
            };
            width(&change(&visits)) / width(&visits)
        })
        .collect();
    median(ratios)
}

#[test]
fn the_same_data_twice_are_not_twice_the_data() {
    let twice = |visits: &Visits| {
        let mut out = visits.clone();
        for (_, tail) in &mut out.tails {
            tail.blocks = tail.blocks.iter().flat_map(|b| [*b, *b]).collect();
        }
        out
    };
    let copied = width_after(twice);
    // Twice the independent data would give 0.71. Below the usual design effect half of what is
    // seen on a logarithmic scale is believed, so a doubled one gives 2^-1/4 = 0.84 and the prior's
    // part a little more.
    assert!((0.8..0.9).contains(&copied), "{copied}");
    // Each request counted twice in place.
    let weighty = width_after(|visits| {
        let mut out = visits.clone();
        for n in out
            .tails
            .iter_mut()
            .flat_map(|(_, t)| &mut t.blocks)
            .flatten()
        {
            *n *= 2.0;
        }
        out
    });
    assert!((0.8..0.9).contains(&weighty), "{weighty}");
    let more = width_after(|visits| {
        let mut out = visits.clone();
        let others = SERVICE.correlated(&ladder(SERVICE.truth, 3), 3_000, 60.0, 999);
        out.tails.extend(others.tails);
        out
    });
    assert!((0.6..0.85).contains(&more), "{more}");
}

#[test]
fn the_interval_reaches_further_down_than_up() {
    let reach = Reach {
        se: 0.03,
        visits: 20,
        unseen: 0.0,
    };
    let fit = assemble(1_000.0, reach, 12.0, 0.95);
    // Student's t with 20 degrees of freedom: 2.086.
    assert_near((fit.low / 1_000.0).ln(), -2.086 * 0.03 * 1.25, 1e-3, "low");
    assert_near((fit.high / 1_000.0).ln(), 2.086 * 0.03 * 0.75, 1e-3, "high");
    assert_near(fit.probability_at_or_below(1_000.0), 0.5, 1e-6, "median");
    assert_near(fit.probability_at_or_below(fit.low), 0.025, 2e-3, "low");
    assert_near(fit.sigma, 0.36, 1e-9, "spread on the probit scale");
    assert!(
        fit.distribution
            .is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1)
    );
}

#[test]
fn the_interval_is_the_sandwichs_widened_for_few_visits_and_long_phases() {
    let mut seen = Vec::new();
    for memory in [2.0, 80.0, 600.0] {
        let visits = SERVICE.correlated(&ladder(SERVICE.truth, 3), 3_000, memory, 6);
        let fit = visits.fit(SERVICE.truth).unwrap();
        let (theta, sandwich) = visits.model().maximise(SERVICE.truth).unwrap();
        let usual = 0.7 * theta.breakpoint();
        let times = sandwich.deff / usual;
        // Below what is usual half of it is believed to be luck; above it, there were fewer phases
        // than visits.
        let widened = if times > 1.0 {
            1.8 * sandwich.deff * times.sqrt()
        } else {
            1.8 * (sandwich.deff * usual).sqrt()
        };
        let variance = sandwich.naive_variance * widened + sandwich.prior_variance;
        assert_near(fit.sigma / fit.kappa / variance.sqrt(), 1.0, 0.01, "se");
        assert!(sandwich.prior_variance > 0.001 * variance);
        // The share's slope on a log scale, and half of it times the variance that was seen.
        let slope = fit.kappa * density(probit(ALPHA)) / ALPHA;
        let likely = (sandwich.deff * usual).sqrt();
        let variance = sandwich.naive_variance * likely + sandwich.prior_variance;
        let lowered = theta.breakpoint().ln() - fit.estimate.ln();
        assert_near(lowered / (slope * variance / 2.0), 1.0, 1e-6, "lowered");
        seen.push(times);
    }
    assert!(
        seen[0] < 0.08 && (0.08..1.0).contains(&seen[1]) && seen[2] > 1.2,
        "{seen:?}"
    );
}

#[test]
fn levels_of_another_regime_change_nothing() {
    let visits = SERVICE.correlated(&ladder(SERVICE.truth, 3), 3_000, 60.0, 4);
    let mut more = visits.clone();
    let mut slow = Counts::default();
    slow[0] = 3_000.0;
    for vus in [150.0, 600.0] {
        let tail = Tail {
            limit_s: SERVICE.limit_s,
            blocks: vec![slow; 3],
            failed: 0.0,
            residence: None,
        };
        more.tails.push((vus, tail));
    }
    assert_eq!(more.fit(300.0), visits.fit(300.0));
}

#[test]
fn failures_have_no_latency_to_fit() {
    let mut visits = SERVICE.correlated(&ladder(SERVICE.truth, 3), 3_000, 60.0, 4);
    let with = |visits: &mut Visits, share: f64| {
        for (_, tail) in &mut visits.tails {
            tail.failed = share * tail.requests();
        }
        visits.fit(300.0)
    };
    assert!(with(&mut visits, 0.9 * FAILED * ALPHA).is_some());
    assert_eq!(with(&mut visits, 1.1 * FAILED * ALPHA), None);
}

#[test]
fn an_answer_that_could_be_anything_is_none() {
    // So flat a curve that users hardly matter to it, and phases as long as a visit.
    let flat = Service {
        per_s: 150.0,
        spread: 0.4,
        ..SERVICE
    };
    let fits: Vec<Option<Fit>> = (0..30)
        .map(|seed| {
            let visits = flat.correlated(&ladder(flat.truth, 1), 3_000, 3_000.0, seed);
            visits.fit(300.0)
        })
        .collect();
    assert!(fits.iter().any(Option::is_none));
    for fit in fits.into_iter().flatten() {
        let se = fit.sigma / fit.kappa;
        assert!(se < 0.5, "{se}");
    }
}

#[test]
fn phases_longer_than_usual_widen_the_interval_beyond_their_own_weight() {
    let width = |memory: f64| {
        let widths: Vec<f64> = (0..15)
            .filter_map(|seed| {
                let visits = SERVICE.correlated(&ladder(SERVICE.truth, 3), 3_000, memory, seed);
                let fit = visits.fit(SERVICE.truth)?;
                Some((fit.high / fit.low).ln())
            })
            .collect();
        median(widths)
    };
    let (short, long, longest) = (width(20.0), width(80.0), width(800.0));
    // Both are short of the usual, and half of the difference is taken for luck.
    assert!(long > 1.25 * short, "{long} {short}");
    assert!(longest > 1.5 * long, "{longest} {long}");
}

#[test]
fn the_interval_holds_the_truth_of_correlated_requests_as_often_as_it_says() {
    let runs = 200;
    let fits: Vec<Fit> = (0..runs)
        .filter_map(|seed| {
            let visits = SERVICE.correlated(&ladder(SERVICE.truth, 3), 3_000, 120.0, 1_000 + seed);
            visits.fit(SERVICE.truth * 1.03)
        })
        .collect();
    assert!(fits.len() >= 190, "{} of {runs} gave a fit", fits.len());
    let held = fits
        .iter()
        .filter(|f| (f.low..=f.high).contains(&SERVICE.truth))
        .count();
    assert!(held * 100 >= 90 * fits.len(), "{held} of {}", fits.len());
    let errors: Vec<f64> = (fits.iter())
        .map(|f| (f.estimate / SERVICE.truth).ln())
        .collect();
    let spread = mean(&errors.iter().map(|e| e * e).collect::<Vec<_>>()).sqrt();
    let half_width = median(fits.iter().map(Fit::half_width).collect());
    // An interval of 95 % is 2 standard errors to either side, a little more for what few visits do
    // not show; four times the error would be no use.
    assert!(
        (2.2..3.5).contains(&(half_width / spread)),
        "{half_width} for an error of {spread}"
    );
    // The median is right: the correction for few violations has the right sign and size.
    let bias = median(errors);
    assert!(bias.abs() < 0.01, "{bias}");
}

// ---- no answer ----

#[test]
fn visits_that_do_not_enclose_a_crossing_give_none() {
    let counted = |levels: &[f64], counts: Counts| SERVICE.visits(levels, |_| vec![counts; 3]);
    let levels = [290.0, 295.0, 300.0, 305.0, 310.0];
    // Everything far below the limit.
    let mut fast = Counts::default();
    fast[RATIOS.len()] = 1_000.0;
    assert_eq!(counted(&levels, fast).fit(300.0), None);
    // A tail, but nothing at the limit.
    let mut near = fast;
    near[LIMIT + 1] = 30.0;
    near[LIMIT + 3] = 200.0;
    assert_eq!(counted(&levels, near).fit(300.0), None);
    // Everything far above it.
    let mut slow = Counts::default();
    slow[0] = 1_000.0;
    assert_eq!(counted(&levels, slow).fit(300.0), None);
    let high = [400.0, 410.0, 420.0, 430.0, 440.0];
    assert_eq!(SERVICE.noiseless(&high, 3_000.0).fit(420.0), None);
}

#[test]
fn no_visit_near_the_guess_gives_none_and_one_a_wide_interval() {
    let all = SERVICE.correlated(&ladder(SERVICE.truth, 2), 3_000, 20.0, 1);
    let some = |n: usize| Visits {
        tails: all.tails[..n].to_vec(),
        ..all.clone()
    };
    assert_eq!(some(0).fit(300.0), None);
    let width = |fit: Fit| (fit.high / fit.low).ln();
    let eight = width(some(8).fit(300.0).unwrap());
    let one = (some(1).fit(300.0)).map_or(f64::INFINITY, width);
    assert!(one > 4.0 * eight, "{one} {eight}");
    // The same visits seen from a guess that is too far away.
    assert_eq!(some(8).fit(300.0 * 1.6), None);
    // Visits in which nothing was asked are no visits.
    let mut empty = some(8);
    for (_, tail) in &mut empty.tails {
        tail.blocks.fill(Counts::default());
    }
    assert_eq!(empty.fit(300.0), None);
}

#[test]
fn a_curve_that_does_not_describe_the_violations_is_noticed() {
    let visits = SERVICE.correlated(&ladder(SERVICE.truth, 3), 3_000, 60.0, 4);
    let model = visits.model();
    let (theta, sandwich) = model.maximise(SERVICE.truth).unwrap();
    assert!(model.misfit(&theta, sandwich.deff) < 1.0);
    let mut moved = theta;
    moved.0[BREAKPOINT] += 0.1;
    assert!(model.misfit(&moved, sandwich.deff) > MISFIT);
}

proptest! {
    #[test]
    fn any_counts_give_none_or_an_interval(
        seen in prop::collection::vec(
            (
                1_u32..400,
                prop::collection::vec(prop::collection::vec(0_u32..400, RATIOS.len() + 1), 0..4),
            ),
            0..12,
        ),
        sparse in prop::collection::vec(any::<bool>(), RATIOS.len() + 1),
        alpha in prop::sample::select(vec![0.5, 0.1, 0.05, 0.01, 0.001]),
        per_s in prop::sample::select(vec![0.0, 1e-6, 0.3, 50.0, 1e6, f64::NAN]),
        around in 1.0..500.0_f64,
    ) {
        let tails: Vec<(f64, Tail)> = seen
            .iter()
            .map(|(vus, blocks)| {
                let counts = |block: &Vec<u32>| {
                    let mut counts = Counts::default();
                    for ((entry, n), keep) in counts.iter_mut().zip(block).zip(&sparse) {
                        *entry = if *keep { f64::from(*n) } else { 0.0 };
                    }
                    counts
                };
                let blocks = blocks.iter().map(counts).collect();
                (f64::from(*vus), Tail { limit_s: 2.0, blocks, failed: 0.0, residence: None })
            })
            .collect();
        let visits: Vec<TailVisit> = tails
            .iter()
            .map(|(vus, tail)| TailVisit { vus: *vus, per_s, tail })
            .collect();
        if let Some(fit) = fit(&visits, &asked(alpha, around)) {
            prop_assert!(fit.low.is_finite() && fit.high.is_finite());
            prop_assert!(0.0 < fit.low && fit.low <= fit.estimate && fit.estimate <= fit.high);
        }
    }

    #[test]
    fn tails_around_a_crossing_give_none_or_an_interval(
        counts in prop::collection::vec(
                prop::collection::vec(0.3..3.0_f64, RATIOS.len() + 1),
                3..14,
            ),
        levels in prop::collection::vec(0.75..1.25_f64, 14),
        n in 30.0..30_000.0_f64,
        around in 0.8..1.2_f64,
    ) {
        let visits = Visits {
            per_s: SERVICE.per_s,
            tails: counts.iter().zip(levels).map(|(factors, level)| {
                let vus = SERVICE.truth * level;
                let mut counts = SERVICE.expected(vus, n);
                for (entry, factor) in counts.iter_mut().zip(factors) {
                    *entry = (*entry * factor).round();
                }
                let (limit_s, blocks) = (SERVICE.limit_s, vec![counts]);
                (vus, Tail { limit_s, blocks, failed: 0.0, residence: None })
            }).collect(),
        };
        if let Some(fit) = visits.fit(SERVICE.truth * around) {
            prop_assert!(fit.low.is_finite() && fit.high.is_finite());
            prop_assert!(0.0 < fit.low && fit.low <= fit.estimate && fit.estimate <= fit.high);
        }
    }
}

/// Visits of the reference stack with work that blocks the gateway's event loop (2026-11-25, 12 s
/// of think time, p99 of the answer below 2 s): VUs, counts of the whole hold at [`RATIOS`], and
/// where a cycle spent its time. Users wait for the stream to open; the answer comes as fast as
/// ever, but for the moments in which the loop is blocked.
#[rustfmt::skip]
const LINE_AT_THE_DOOR: [(f64, Counts, (f64, f64)); 7] = [
    (400.0, [0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 1., 446.], (0.48, 0.56)),
    (573.0, [0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 0., 7., 63., 1485.], (0.50, 1.05)),
    (692.0, [7., 3., 2., 1., 7., 16., 46., 86., 117., 163., 237., 272., 332., 2876.], (0.50, 3.15)),
    (615.0, [0., 0., 0., 0., 0., 0., 2., 0., 5., 24., 72., 127., 275., 3572.], (0.52, 1.95)),
    (590.0, [0., 0., 0., 1., 0., 1., 0., 1., 4., 8., 24., 73., 208., 3627.], (0.50, 1.42)),
    (635.0, [0., 1., 1., 1., 2., 0., 1., 2., 17., 35., 91., 181., 314., 3484.], (0.52, 2.04)),
    (668.0, [2., 2., 3., 0., 0., 4., 17., 19., 26., 59., 123., 226., 347., 3346.], (0.52, 2.63)),
];

#[test]
fn a_line_before_another_step_moves_no_tail_of_this_one() {
    let fit_with = |residence: fn((f64, f64)) -> Option<Residence>| {
        let tails: Vec<(f64, Tail)> = LINE_AT_THE_DOOR
            .iter()
            .map(|(vus, counts, stays)| {
                let tail = Tail {
                    limit_s: 2.0,
                    // Thirds of the hold, which were much alike.
                    blocks: vec![counts.map(|n| (n / 3.0).round()); 3],
                    failed: 0.0,
                    residence: residence(*stays),
                };
                (*vus, tail)
            })
            .collect();
        let visits: Vec<TailVisit> = (tails.iter())
            .map(|(vus, tail)| TailVisit {
                vus: *vus,
                per_s: 45.8,
                tail,
            })
            .collect();
        fit(&visits, &asked(0.01, 640.0))
    };
    let here = |(step_s, cycle_s)| Some(Residence { step_s, cycle_s });
    assert_eq!(fit_with(here), None);
    // Were the whole line in this step, or were it not known where it stands, Little's law would
    // do.
    let all_here = |(_, cycle_s)| {
        Some(Residence {
            step_s: cycle_s,
            cycle_s,
        })
    };
    let unknown = fit_with(|_| None);
    assert!(unknown.is_some());
    assert_eq!(fit_with(all_here), unknown);
}

#[test]
fn the_share_of_the_queue_is_that_of_the_longer_stay() {
    let share = |stays: &[(f64, f64)]| {
        let tails: Vec<Tail> = (stays.iter())
            .map(|(step_s, cycle_s)| Tail {
                limit_s: 2.0,
                blocks: Vec::new(),
                failed: 0.0,
                residence: Some(Residence {
                    step_s: *step_s,
                    cycle_s: *cycle_s,
                }),
            })
            .collect();
        let visits: Vec<TailVisit> = (tails.iter().zip([50.0, 100.0, 110.0]))
            .map(|(tail, vus)| TailVisit {
                vus,
                per_s: 10.0,
                tail,
            })
            .collect();
        queue_share(&visits, &visits[1..], Users::Closed)
    };
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} and not {b}");
    // 0.5 s of work each in two steps: 1.2 of the 1.6 s that a line adds wait in this one.
    close(share(&[(0.5, 1.0), (1.5, 2.4), (1.9, 2.8)]), 0.75);
    close(share(&[(0.5, 1.0), (0.5, 2.4), (0.5, 2.8)]), 0.0);
    close(share(&[(0.5, 0.5), (1.5, 1.5), (1.9, 1.9)]), 1.0);
    // No line to speak of.
    close(share(&[(0.5, 1.0), (0.5, 1.05), (0.5, 1.1)]), 1.0);
}
