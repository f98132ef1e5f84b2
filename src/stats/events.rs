//! The breakpoint where events break the SLO that come by chance, the oftener the higher the level:
//! crashes, and what is like them.
//!
//! One event is one observation, and the exposure is the time at a level; the quiet seconds of a
//! visit are no independent proofs. Events are a Poisson process whose rate depends on the level in
//! one of two ways:
//!
//! ```text
//! smooth:  rate(N) = r (N / N*)^beta             a queue that now and then outgrows the memory
//! step:    rate(N) = 0 up to N*, h above          a limit that a level reaches or does not
//! ```
//!
//! `r` is the rate that the SLO allows: with `alpha` of the requests allowed to be bad, `X`
//! requests per second and `B` bad ones per event, `r = alpha X / B`. `B` is seen in a few events
//! only, so `r` is known within a factor of two or so. The posterior is computed on a grid over `ln
//! N*`, `ln beta` and `ln h`, flat in each, with odds of two to one for a step.

use std::ops::Range;

use super::fit::{Basis, Fit};

/// A visit as far as events are concerned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exposure {
    /// The level.
    pub vus: f64,
    /// Seconds at the level, until the event where there was one.
    pub seconds: f64,
    /// Whether an event ended it.
    pub event: bool,
}

/// Standard deviation of the logarithm of the rate that is allowed.
const RATE_SD: f64 = 0.8;
/// Nodes and weights of a normal distribution's quadrature (Gauss-Hermite, three nodes).
const NODES: [(f64, f64); 3] = [
    (-1.732_050_8, 1.0 / 6.0),
    (0.0, 2.0 / 3.0),
    (1.732_050_8, 1.0 / 6.0),
];
/// Range of the exponent: at 6 a tenth more load doubles the rate nearly, at 600 a hundredth does a
/// thousandfold.
const BETA: Range<f64> = 6.0..600.0;
/// Range of the rate above a step, per second: what comes after 200 s or within a tenth of one.
const ABOVE: Range<f64> = 0.005..10.0;
/// An event below a step: somebody else's doing, once a day.
const BACKGROUND: f64 = 1e-5;
/// How far below the lowest level with an event the interval reaches at least: what looks like a
/// step in visits of a minute may set in gradually, and what is allowed is far rarer than what they
/// see.
const GRADUAL: f64 = 0.96;
/// Prior odds of a step: most crashes are limits (memory per user, descriptors), few are queues
/// that now and then outgrow one.
const STEP_ODDS: f64 = 2.0;
/// Points of the axis around each level that was visited: whole numbers of users lie between them.
const NEAR_LEVEL: [f64; 4] = [-0.75, -0.25, 0.25, 0.75];
/// Points of the breakpoint's axis.
const POINTS: usize = 241;
/// Points of the others.
const OTHER_POINTS: usize = 24;

/// The posterior of the breakpoint; `allowed` is the rate of events that the SLO allows, per
/// second. `None` without an event, or where nothing bounds the breakpoint from below.
pub fn fit(exposures: &[Exposure], allowed: f64, confidence: f64) -> Option<Fit> {
    let events = || exposures.iter().filter(|e| e.event).map(|e| e.vus);
    let lowest_event = events().fold(f64::INFINITY, f64::min);
    let quiet = exposures.iter().filter(|e| !e.event).map(|e| e.vus);
    let highest_quiet = quiet.clone().fold(0.0, f64::max);
    if !lowest_event.is_finite() || highest_quiet <= 0.0 || allowed <= 0.0 {
        return None;
    }
    let highest = events().fold(highest_quiet, f64::max);
    let lowest = lowest_event.min(highest_quiet);
    let axis = axis(lowest * 0.45, highest * 1.25, exposures);
    let (weights, beta) = posterior(&axis, exposures, allowed);
    let total: f64 = weights.iter().sum();
    if !(total.is_finite() && total > 0.0) {
        return None;
    }
    let mut below = 0.0;
    let distribution: Vec<(f64, f64)> = (axis.iter().zip(&weights))
        .map(|(vus, weight)| {
            below += weight / total;
            (*vus, below)
        })
        .collect();
    let at = |p: f64| quantile(&distribution, p);
    let tail = (1.0 - confidence) / 2.0;
    Some(Fit {
        basis: Basis::Events,
        estimate: at(0.5),
        low: at(tail).min(lowest_event * GRADUAL),
        // Between what carried on and what fell no level is likelier than another.
        high: at(1.0 - tail).max(lowest_event),
        kappa: beta,
        curvature: 0.0,
        sigma: 1.0,
        distribution,
        downside_skew: 0.0,
        visits: exposures.len(),
        exact: exposures.len(),
        shift: None,
    })
}

/// The breakpoint's axis: evenly spaced, and finely around every level that was visited, since a
/// step may lie between two neighbours.
fn axis(low: f64, high: f64, exposures: &[Exposure]) -> Vec<f64> {
    let mut axis = log_spaced(low, high, POINTS);
    let near = exposures
        .iter()
        .flat_map(|e| NEAR_LEVEL.map(|by| e.vus + by));
    axis.extend(near.filter(|vus| (low..=high).contains(vus)));
    axis.sort_by(f64::total_cmp);
    axis.dedup();
    axis
}

/// The weight of each point of the axis, not normalised, and the mean exponent of the smooth kind.
fn posterior(axis: &[f64], exposures: &[Exposure], allowed: f64) -> (Vec<f64>, f64) {
    let betas = log_spaced(BETA.start, BETA.end, OTHER_POINTS);
    let rates = log_spaced(ABOVE.start, ABOVE.end, OTHER_POINTS);
    let smooth = grid(axis, &betas, |at, beta| {
        let likelihood =
            |shift: f64| ln_smooth(exposures, at, beta, allowed * (shift * RATE_SD).exp());
        ln_sum(&NODES.map(|(node, weight)| likelihood(node) + f64::ln(weight)))
    });
    let step = grid(axis, &rates, |at, rate| ln_step(exposures, at, rate));
    let all = smooth.iter().chain(&step).flatten().copied();
    let best = all.fold(f64::NEG_INFINITY, f64::max);
    let (mut by_beta, mut of_smooth) = (0.0, 0.0);
    let weights = (0..axis.len())
        .map(|i| {
            // What a point stands for: half of the way to either neighbour, on the logarithmic
            // axis.
            let (before, after) = (axis[i.saturating_sub(1)], axis[(i + 1).min(axis.len() - 1)]);
            let width = (after / before).ln() / 2.0;
            let p: Vec<f64> = smooth[i].iter().map(|ln| (ln - best).exp()).collect();
            by_beta += width * p.iter().zip(&betas).map(|(p, beta)| p * beta).sum::<f64>();
            let p: f64 = p.iter().sum();
            of_smooth += width * p;
            width * (p + STEP_ODDS * step[i].iter().map(|ln| (ln - best).exp()).sum::<f64>())
        })
        .collect();
    let beta = if of_smooth > 0.0 {
        by_beta / of_smooth
    } else {
        BETA.end
    };
    (weights, beta)
}

fn ln_smooth(exposures: &[Exposure], at: f64, beta: f64, allowed: f64) -> f64 {
    let one = |e: &Exposure| {
        let ln_rate = allowed.ln() + beta * (e.vus / at).ln();
        let rate = ln_rate.min(20.0).exp();
        -rate * e.seconds + if e.event { ln_rate.min(20.0) } else { 0.0 }
    };
    exposures.iter().map(one).sum()
}

fn ln_step(exposures: &[Exposure], at: f64, above: f64) -> f64 {
    let one = |e: &Exposure| {
        let rate = if e.vus > at { above } else { BACKGROUND };
        -rate * e.seconds + if e.event { rate.ln() } else { 0.0 }
    };
    exposures.iter().map(one).sum()
}

fn grid(axis: &[f64], other: &[f64], of: impl Fn(f64, f64) -> f64) -> Vec<Vec<f64>> {
    axis.iter()
        .map(|at| other.iter().map(|x| of(*at, *x)).collect())
        .collect()
}

fn ln_sum(terms: &[f64]) -> f64 {
    let best = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    best + terms.iter().map(|t| (t - best).exp()).sum::<f64>().ln()
}

#[expect(clippy::cast_precision_loss, reason = "a grid index")]
fn log_spaced(low: f64, high: f64, n: usize) -> Vec<f64> {
    let step = (high / low).ln() / (n - 1) as f64;
    (0..n).map(|i| low * (step * i as f64).exp()).collect()
}

fn quantile(distribution: &[(f64, f64)], p: f64) -> f64 {
    let after = distribution.partition_point(|(_, below)| *below < p);
    let (vus, below) = distribution[after.min(distribution.len() - 1)];
    match after.checked_sub(1).map(|i| distribution[i]) {
        Some((before, less)) if below > less => {
            before + (vus - before) * ((p - less) / (below - less)).clamp(0.0, 1.0)
        }
        _ => vus,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::SmallRng};

    fn quiet(vus: f64, seconds: f64) -> Exposure {
        Exposure {
            vus,
            seconds,
            event: false,
        }
    }

    fn event(vus: f64, seconds: f64) -> Exposure {
        Exposure {
            vus,
            seconds,
            event: true,
        }
    }

    #[test]
    fn a_step_lies_between_what_carried_on_and_what_fell_at_once() {
        let seen = [
            quiet(1_000.0, 45.0),
            quiet(1_045.0, 45.0),
            event(1_052.0, 1.0),
            event(1_100.0, 1.0),
        ];
        let seen_twice = seen
            .iter()
            .chain(&seen)
            .chain(&seen)
            .copied()
            .collect::<Vec<_>>();
        let one = fit(&seen, 1.0 / 3_000.0, 0.95).unwrap();
        let more = fit(&seen_twice, 1.0 / 3_000.0, 0.95).unwrap();
        assert!(
            one.low < more.low,
            "one pair of visits proves less: {} {}",
            one.low,
            more.low
        );
        for fit in [one, more] {
            assert!(
                (1_040.0..1_052.0).contains(&fit.estimate),
                "{}",
                fit.estimate
            );
            assert!(
                fit.low < 1_030.0 && fit.high > 1_049.0 && fit.high < 1_056.0,
                "{}",
                fit.high
            );
        }
    }

    #[test]
    fn quiet_minutes_prove_little_where_events_are_rare() {
        // Above the breakpoint events came after a minute or so; what is allowed is one an hour.
        let seen = [
            event(1_000.0, 60.0),
            quiet(980.0, 60.0),
            event(980.0, 30.0),
            quiet(950.0, 60.0),
            quiet(950.0, 60.0),
        ];
        let fit = fit(&seen, 1.0 / 3_600.0, 0.95).unwrap();
        assert!(
            fit.estimate < 940.0 && fit.low < 870.0,
            "{} {}",
            fit.low,
            fit.estimate
        );
    }

    #[test]
    fn without_an_event_or_without_quiet_there_is_no_fit() {
        assert_eq!(fit(&[quiet(100.0, 60.0)], 0.001, 0.95), None);
        assert_eq!(fit(&[event(100.0, 6.0)], 0.001, 0.95), None);
    }

    /// Coverage over searches of a known law: levels near the breakpoint, visits of 60 s.
    #[test]
    fn the_interval_holds_a_known_breakpoint() {
        let mut rng = SmallRng::seed_from_u64(11);
        for beta in [15.0, 60.0, 200.0] {
            let mut held = 0;
            for _ in 0..100 {
                let (truth, allowed): (f64, f64) = (900.0, 1.0 / 2_000.0);
                let mut level: f64 = 960.0;
                let mut seen = vec![quiet(700.0, 15.0), event(1_300.0, 1.0)];
                for _ in 0..8 {
                    let rate: f64 = allowed * (level / truth).powf(beta);
                    let after = -f64::ln(1.0 - rng.random::<f64>()) / rate;
                    seen.push(Exposure {
                        vus: level,
                        seconds: after.min(60.0),
                        event: after < 60.0,
                    });
                    let now = fit(&seen, allowed, 0.95).unwrap();
                    level = now.estimate * (1.0 + 0.05 * (rng.random::<f64>() - 0.3));
                }
                let fit = fit(&seen, allowed, 0.95).unwrap();
                held += u32::from(fit.low <= truth && truth <= fit.high);
            }
            assert!(held >= 85, "beta {beta}: {held} of 100");
        }
    }
}
