//! The fit against visits that are drawn from its own law, and against shapes that services have.

use super::*;
use crate::stats::normal::{cdf, probit};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

fn noisy_visits(truth: f64, kappa: f64, sigma: f64, n: usize, seed: u64) -> Vec<Point> {
    let mut rng = SmallRng::seed_from_u64(seed);
    let ladder = Link::Share { alpha: 0.01 }.ladder();
    (0..n)
        .map(|i| {
            let vus = (truth * (1.0 + ladder[i % 4] / kappa)).round();
            let mu = (1.0f64 + sigma * sigma).sqrt() * (probit(0.01) + kappa * (vus / truth - 1.0));
            let normal = probit(rng.random_range(1e-9..1.0 - 1e-9));
            let share = cdf(mu + sigma * normal);
            Point {
                vus,
                observed: Link::observe_share(0.01, share * 5_000.0, 5_000.0),
            }
        })
        .collect()
}

#[test]
fn the_interval_holds_the_truth_of_its_own_model_about_as_often_as_it_says() {
    let (truth, mut held, runs) = (1_000.0, 0, 100);
    for seed in 0..runs {
        let points = noisy_visits(truth, 12.0, 0.5, 16, seed);
        let fit = fit(&points, Link::Share { alpha: 0.01 }, 950.0, 0.95).unwrap();
        if (fit.low..=fit.high).contains(&truth) {
            held += 1;
        }
    }
    // 95 % of 100 is 95 with a standard deviation of 2.2; the union with the jackknife only adds.
    assert!(held >= 89, "{held} of {runs}");
}

#[test]
fn a_sharp_step_is_enclosed_by_the_visits_on_either_side() {
    let mut points = Vec::new();
    for vus in [800.0, 900.0, 1_000.0, 1_010.0] {
        points.push(Point {
            vus,
            observed: Link::observe_share(0.01, 0.0, 900.0),
        });
    }
    for vus in [1_250.0, 1_100.0, 1_040.0] {
        points.push(Point {
            vus,
            observed: Link::observe_share(0.01, 700.0, 900.0),
        });
    }
    let fit = fit(&points, Link::Share { alpha: 0.01 }, 1_000.0, 0.95).unwrap();
    assert!((1_005.0..1_045.0).contains(&fit.estimate), "{fit:?}");
    assert!(
        fit.low > 985.0 && fit.high < 1_065.0,
        "{} {}",
        fit.low,
        fit.high
    );
}

#[test]
fn without_a_crossing_there_is_no_fit() {
    let held: Vec<Point> = [100.0, 200.0, 400.0]
        .into_iter()
        .map(|vus| Point {
            vus,
            observed: Observation::Below(-2.6),
        })
        .collect();
    assert_eq!(fit(&held, Link::Share { alpha: 0.01 }, 400.0, 0.95), None);
    assert_eq!(fit(&[], Link::Side, 10.0, 0.95), None);
}

#[test]
fn sides_alone_give_an_interval_between_them() {
    let points: Vec<Point> = [
        (900.0, false),
        (1_000.0, false),
        (1_030.0, true),
        (1_015.0, false),
        (1_200.0, true),
        (1_022.0, true),
    ]
    .into_iter()
    .map(|(vus, broke)| Point {
        vus,
        observed: if broke {
            Observation::Above(0.0)
        } else {
            Observation::Below(0.0)
        },
    })
    .collect();
    let fit = fit(&points, Link::Side, 1_000.0, 0.95).unwrap();
    assert!(
        (1_010.0..1_030.0).contains(&fit.estimate),
        "{}",
        fit.estimate
    );
    assert!(
        fit.low > 900.0 && fit.high < 1_150.0,
        "{} {}",
        fit.low,
        fit.high
    );
}

#[test]
fn a_share_with_a_ceiling_just_above_what_is_allowed_is_followed() {
    // One in twenty fails while a line is long: 5 % at most where 1 % is allowed.
    let (truth, kappa, sigma) = (1_000.0, 15.0, 0.2);
    let mut rng = SmallRng::seed_from_u64(3);
    let points: Vec<Point> = (0..40)
        .map(|i| {
            let vus = 940.0 + 4.0 * f64::from(i * 7 % 40);
            let at = probit(0.01) + offset(kappa * (vus / truth - 1.0), -1.5);
            let normal = probit(rng.random_range(1e-9..1.0 - 1e-9));
            let share = cdf((1.0f64 + sigma * sigma).sqrt() * at + sigma * normal);
            Point {
                vus,
                observed: Link::observe_share(0.01, share * 10_000.0, 10_000.0),
            }
        })
        .collect();
    let fit = fit(&points, Link::Share { alpha: 0.01 }, 1_050.0, 0.95).unwrap();
    assert!(fit.low < truth && truth < fit.high, "{fit:?}");
    assert!((fit.estimate / truth - 1.0).abs() < 0.01, "{fit:?}");
    assert!(fit.curvature < -0.7 && fit.half_width() < 0.02, "{fit:?}");
    // Levels on the ceiling are not worth going for.
    assert!(fit.level_at(1.0) < 1.1 * truth, "{}", fit.level_at(1.0));
}

#[test]
fn levels_worth_visiting_follow_the_curve() {
    let points = noisy_visits(1_000.0, 12.0, 0.3, 40, 7);
    let fit = fit(&points, Link::Share { alpha: 0.01 }, 1_000.0, 0.95).unwrap();
    assert!((fit.level_at(0.0) - fit.estimate).abs() < 1e-9);
    assert!(fit.level_at(-0.35) < fit.estimate && fit.level_at(1.0) > fit.level_at(0.5));
    assert!((fit.probability_at_or_below(fit.estimate) - 0.5).abs() < 0.02);
}
