//! Successive visits resemble each other: how much less they say for that.

use super::grid::{Grid, Posterior};
use super::{Link, Observation, Point, offset};

/// Groups of successive visits that the jackknife leaves out in turn.
pub(super) const GROUPS: usize = 8;
/// Fewest residuals whose correlation means anything, and the farthest lag that is looked at.
const FEWEST_RESIDUALS: usize = 8;
const LAGS: usize = 4;

/// Standard error of `ln N*` from leaving out groups of successive visits (delete-a-group
/// jackknife): needs no independence between neighbouring visits.
pub(super) fn jackknife_se(points: &[Point], grid: &Grid) -> Option<f64> {
    if points.len() < GROUPS + 2 {
        return None;
    }
    let grid = grid.widened();
    let all = grid.log_likelihoods(points);
    let estimates: Vec<f64> = (0..GROUPS)
        .map(|group| {
            let out: Vec<Point> = points
                .iter()
                .enumerate()
                .filter(|(i, _)| i * GROUPS / points.len() == group)
                .map(|(_, p)| *p)
                .collect();
            let out = grid.log_likelihoods(&out);
            let left = all.iter().zip(&out).map(|(all, out)| all - out).collect();
            grid.marginals(left).quantile(0.5).ln()
        })
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "eight groups")]
    let groups = GROUPS as f64;
    let mean = estimates.iter().sum::<f64>() / groups;
    let sum: f64 = estimates.iter().map(|e| (e - mean).powi(2)).sum();
    Some(((groups - 1.0) / groups * sum).sqrt())
}

/// How much of the likelihood to believe when successive visits resemble each other: `1 / (1 + 2
/// sum rho)` from the residuals' autocorrelation, 1 when there is none worth the name.
pub(super) fn independence(points: &[Point], link: Link, posterior: &Posterior) -> f64 {
    let crossing = link.crossing();
    let estimate = posterior.quantile(0.5);
    let residuals: Vec<f64> = points
        .iter()
        .filter_map(|p| match p.observed {
            Observation::Exactly(y) => Some(
                y - link.inflation(posterior.sigma)
                    * (crossing
                        + offset(
                            posterior.kappa * (p.vus / estimate - 1.0),
                            posterior.curvature,
                        )),
            ),
            _ => None,
        })
        .collect();
    let n = residuals.len();
    if n < FEWEST_RESIDUALS {
        return 1.0;
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of visits")]
    let count = n as f64;
    let mean = residuals.iter().sum::<f64>() / count;
    let variance: f64 = residuals.iter().map(|r| (r - mean).powi(2)).sum();
    if variance <= 0.0 {
        return 1.0;
    }
    let rho = |lag: usize| {
        residuals
            .iter()
            .zip(&residuals[lag..])
            .map(|(a, b)| (a - mean) * (b - mean))
            .sum::<f64>()
            / variance
    };
    let threshold = 1.0 / count.sqrt();
    if rho(1) <= threshold {
        return 1.0;
    }
    let sum: f64 = (1..=LAGS.min(n - 2))
        .map(rho)
        .take_while(|r| *r > 0.0)
        .sum();
    1.0 / (1.0 + 2.0 * sum)
}
