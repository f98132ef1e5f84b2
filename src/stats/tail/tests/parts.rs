//! The parts of the fit against numerical derivatives and sums by hand.

use super::super::counts::{Counts, LIMIT, RATIOS, kept};
use super::super::curve::{D, KNOTS, Normal, Parameters, Psi, SLOPES, step_sd};
use super::super::law::ETA_SD;
use super::super::model::{Block, long_run};
use super::made_up::{ALPHA, SERVICE, assert_near, differences, ladder, some_theta};
use crate::stats::normal::{cdf, probit};

const ETA_PRIOR: Normal = Normal {
    mean: 0.0,
    sd: ETA_SD,
};

#[test]
fn the_curve_passes_the_share_allowed_at_the_limit_and_falls_without_a_jump() {
    for seed in 0..20 {
        let theta = some_theta(seed);
        let y = |tau: f64| theta.psi(tau, probit(ALPHA)).y;
        assert_near(y(0.0), probit(ALPHA), 1e-12, "at the limit");
        let steps: Vec<f64> = (-400..=400).map(|i| f64::from(i) * 0.004).collect();
        for pair in steps.windows(2) {
            let fall = y(pair[0]) - y(pair[1]);
            // The steepest slope drawn is e^1.6 = 4.95, the flattest e^0.7 = 2.01.
            assert!(
                (0.004 * 2.0..0.004 * 5.0).contains(&fall),
                "from {} by {fall}",
                pair[0]
            );
        }
    }
}

#[test]
fn with_one_slope_at_all_knots_the_curve_is_a_line() {
    let theta = Parameters([1.3; D]);
    for tau in [-1.5, -0.75, -0.1, 0.0, 0.3, 0.9] {
        let Psi { y, slope, .. } = theta.psi(tau, -2.0);
        assert_near(y, -2.0 - 1.3f64.exp() * tau, 1e-9, "y");
        assert_near(slope, -1.3f64.exp(), 1e-9, "slope");
    }
}

#[test]
fn the_curves_derivatives_are_those_of_differences() {
    for seed in 0..20 {
        let theta = some_theta(seed);
        for tau in [-1.2, -0.7, -0.45, -0.1, 0.1, 0.4, 0.8] {
            let at = theta.psi(tau, probit(ALPHA));
            let want = differences(&theta, |t| t.psi(tau, probit(ALPHA)).y);
            for k in 0..KNOTS.len() {
                assert_near(at.by_log_slope[k], want[SLOPES + k], 1e-6, "by a log slope");
            }
            let h = 1e-5;
            let by_tau = (theta.psi(tau + h, 0.0).y - theta.psi(tau - h, 0.0).y) / (2.0 * h);
            // The curve is a quadrature of the slope.
            assert_near(at.slope, by_tau, 5e-3, "by tau");
        }
    }
}

#[test]
fn the_gradient_is_that_of_the_likelihood_and_of_the_prior() {
    let visits = SERVICE.correlated(&ladder(SERVICE.truth, 2), 3_000, 30.0, 5);
    let model = visits.model();
    for seed in 0..10 {
        let theta = some_theta(seed);
        let mut gradient = theta.prior_derivatives(ETA_PRIOR).0;
        let prior = differences(&theta, |t| t.ln_prior(ETA_PRIOR));
        for k in 0..D {
            assert_near(gradient[k], prior[k], 1e-5, "the prior's");
        }
        for visit in &model.visits {
            let (g, _) = model.derivatives(&theta, visit);
            for k in 0..D {
                gradient[k] += 0.25 * g[k];
            }
        }
        let want = differences(&theta, |t| model.objective(t, 0.25));
        for k in 0..D {
            assert_near(gradient[k], want[k], 1e-4, "the objective's");
        }
    }
}

#[test]
fn the_curve_walks_at_random_from_knot_to_knot() {
    // The variance of a step grows with the distance: 0.3 per 0.3 limits.
    for (k, pair) in KNOTS.windows(2).enumerate() {
        let variance = 0.09 * (pair[1] - pair[0]) / 0.3;
        assert!((step_sd(k).powi(2) / variance - 1.0).abs() < 1e-9, "{k}");
    }
}

#[test]
fn the_climb_ends_where_the_objective_is_flat() {
    // So few requests that the prior counts as much as they do.
    let visits = SERVICE.correlated(&ladder(SERVICE.truth, 1), 600, 20.0, 2);
    let model = visits.model();
    for weight in [1.0, 0.1, 0.01] {
        let mut theta = Parameters::guess(290.0_f64.ln(), 0.0);
        let start = theta;
        model.climb(&mut theta, weight).unwrap();
        let steep = |at: &Parameters| {
            let slopes = differences(at, |t| model.objective(t, weight));
            slopes.iter().fold(0.0, |most, d| f64::max(most, d.abs()))
        };
        assert!(model.objective(&theta, weight) > model.objective(&start, weight));
        assert!(
            steep(&theta) < 0.05,
            "{} after {}",
            steep(&theta),
            steep(&start)
        );
    }
}

#[test]
fn the_weight_of_the_counts_is_one_over_the_design_effect() {
    let visits = SERVICE.correlated(&ladder(SERVICE.truth, 2), 3_000, 80.0, 9);
    let model = visits.model();
    let (theta, sandwich) = model.maximise(SERVICE.truth).unwrap();
    let steep = |weight: f64| {
        let slopes = differences(&theta, |t| model.objective(t, weight));
        slopes.iter().fold(0.0, |most, d| f64::max(most, d.abs()))
    };
    assert!(sandwich.deff > 10.0);
    let (right, wrong) = (steep(1.0 / sandwich.deff), steep(10.0 / sandwich.deff));
    assert!(right < 0.1 * wrong, "{right} {wrong}");
}

#[test]
fn the_information_is_the_curvature_of_what_is_expected() {
    let visits = SERVICE.noiseless(&[290.0, 300.0, 310.0], 3_000.0);
    let model = visits.model();
    let theta = some_theta(3);
    let (mut before, mut counts) = (0.0, Vec::new());
    for k in 0..=model.ratios.len() {
        let share = (model.ratios.get(k)).map_or(1.0, |r| cdf(model.y(&theta, 305.0, *r)));
        counts.push(1_000.0 * (share - before));
        before = share;
    }
    let block = Block {
        vus: 305.0,
        counts,
        total: 1_000.0,
    };
    let (score, information) = model.derivatives(&theta, &block);
    for (a, row) in information.iter().enumerate() {
        assert!(
            score[a].abs() < 1e-6,
            "the score is zero where it expects what is seen"
        );
        let want = differences(&theta, |t| -model.derivatives(t, &block).0[a]);
        for (b, got) in row.iter().enumerate() {
            assert_near(*got, want[b], 1e-4, "information");
        }
    }
    let (_, prior) = theta.prior_derivatives(ETA_PRIOR);
    for (a, row) in prior.iter().enumerate() {
        let want = differences(&theta, |t| -t.prior_derivatives(ETA_PRIOR).0[a]);
        for (b, got) in row.iter().enumerate() {
            assert_near(*got, want[b], 1e-5, "the prior's");
        }
    }
}

#[test]
fn the_long_run_covariance_has_bartletts_weights() {
    let score = |a: f64, b: f64| {
        let mut s = [0.0; D];
        (s[0], s[1]) = (a, b);
        s
    };
    let scores = [score(1.0, 0.0), score(2.0, -1.0), score(4.0, 3.0)];
    let at = |lags: usize, a: usize, b: usize| long_run(&scores, lags)[a][b];
    // By hand: squares 21; products of neighbours 2 + 8, of the outer two 4.
    assert_near(at(0, 0, 0), 21.0, 1e-12, "no lag");
    assert_near(at(1, 0, 0), 21.0 + 0.5 * 20.0, 1e-12, "one lag");
    assert_near(
        at(2, 0, 0),
        21.0 + 2.0 / 3.0 * 20.0 + 8.0 / 3.0,
        1e-12,
        "two",
    );
    // Across: -2 + 12 in place; (1 x -1 + 0 x 2) + (2 x 3 + -1 x 4) between neighbours.
    assert_near(at(1, 0, 1), 10.0 + 0.5 * (-1.0 + 2.0), 1e-12, "across");
    assert_near(at(1, 1, 0), at(1, 0, 1), 1e-12, "symmetric");
}

#[test]
fn the_limit_is_kept_and_so_are_thresholds_of_the_tail_far_enough_apart() {
    // Shares at or above: 0.1 %, 0.2, 0.3, 1, 1.1, 1.2, 3, 4, 10, 30, 60, 80, 90 %.
    let at_or_above = [
        1.0, 2.0, 3.0, 10.0, 11.0, 12.0, 30.0, 40.0, 100.0, 300.0, 600.0, 800.0, 900.0,
    ];
    let mut counts = Counts::default();
    let mut before = 0.0;
    for (entry, share) in counts.iter_mut().zip(at_or_above) {
        *entry = share - before;
        before = share;
    }
    counts[RATIOS.len()] = 1_000.0 - before;
    // 0.1 % and 0.2 % are not above a fifth of 1 %; 1.1 % is too near to 1 %; 1.2 % is the limit's
    // own; 4 % is too near to 3 %; from 60 % on it is the body.
    assert_eq!(kept(&counts, ALPHA), [2, 3, 5, 6, 8, 9]);
    // One within 15 % of the limit gives way to it.
    counts[3] += 1.0;
    counts[5] -= 1.0;
    assert_eq!(kept(&counts, ALPHA), [2, 5, 6, 8, 9]);
}

#[test]
fn blocks_keep_every_request_in_order() {
    let mut visits = SERVICE.noiseless(&[290.0, 300.0, 310.0], 3_000.0);
    visits.tails[1].1.blocks[2] = SERVICE.expected(300.0, 500.0);
    let model = visits.model();
    let totals: Vec<f64> = model.blocks.iter().map(|b| b.total).collect();
    let want = [
        1_000., 1_000., 1_000., 1_000., 1_000., 500., 1_000., 1_000., 1_000.,
    ];
    for (got, want) in totals.iter().zip(want) {
        assert_near(*got, want, 1e-9, "a block");
    }
    assert_near(model.visits[1].total, 2_500.0, 1e-9, "a visit");
    // Whatever thresholds are kept, those at or above the limit are those counted.
    let late: f64 = visits.tails[1]
        .1
        .blocks
        .iter()
        .flat_map(|b| &b[..=LIMIT])
        .sum();
    let merged: f64 = model.visits[1].counts[..=model.limit].iter().sum();
    assert_near(merged, late, 1e-9, "late");
    assert_near(model.ratios[model.limit], 1.0, 1e-12, "the limit");
    assert_eq!(model.lags, 3);
    assert_near(model.per_s, SERVICE.per_s, 1e-9, "throughput");
}
