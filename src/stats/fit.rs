//! The breakpoint from many visits: a curve fitted to what each visit showed, inverted at the
//! objective's bound.
//!
//! One visit is one observation, because the requests inside it are strongly correlated. Of visit
//! `i` at level `N_i` the statistic is `y_i = probit(bad_i / total_i)`, modelled as
//!
//! ```text
//! y_i ~ Normal(mu_i, sigma^2)
//! mu_i = sqrt(1 + sigma^2) (z_alpha + offset_i)
//! offset_i = (exp(g s_i) - 1) / g        s_i = kappa (N_i / N* - 1)
//! ```
//!
//! With `y` normal, `E[Phi(y)] = Phi(mu / sqrt(1 + sigma^2))`: the factor makes `N*` the level
//! where the *mean* share of violations is `alpha`, although most visits show less (violations come
//! in bursts). `g` bends the curve, `kappa` is its steepness, `sigma` the spread between visits. A
//! visit without any violation is censored from below, one far above the bound from above. The
//! posterior is computed on a grid, flat in `ln N*`, `ln kappa` and `g`, log-normal in `sigma`; it
//! has no convergence to fail.
//!
//! Where only a ratio to the bound is known (a mean latency) `y` is its logarithm and `z_alpha` is
//! 0; where only the side is known (a counter, a crash) every visit is censored at 0.

use super::blocks::student_t_quantile;

mod dependence;
mod grid;
mod link;

pub use link::{Link, Observation};

use dependence::{GROUPS, independence, jackknife_se};
use grid::Grid;

/// One visit's contribution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// The level, VUs.
    pub vus: f64,
    /// What it showed.
    pub observed: Observation,
}

/// What a fit rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// One statistic per visit: this module.
    Visits,
    /// The visits' whole latency tails: [`crate::stats::tail`].
    Tails,
    /// The capacity alone, where levels are rates and nothing else limits them.
    Capacity,
    /// A law that all visits obey exactly: that of a clock ([`crate::stats::tail`]) or of a hard
    /// limit.
    Law,
    /// Nothing but a level that held and one that broke.
    Bracket,
    /// Events that come by chance, by the time at each level: [`crate::stats::events`].
    Events,
}

/// What a fit came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// What it rests on.
    pub basis: Basis,
    /// Posterior median of the breakpoint, VUs.
    pub estimate: f64,
    /// Lower end of the interval, VUs.
    pub low: f64,
    /// Upper end of the interval, VUs.
    pub high: f64,
    /// Posterior mean steepness: how much the statistic moves per unit of `N / N* - 1`, on a log
    /// scale.
    pub kappa: f64,
    /// Posterior mean curvature.
    pub curvature: f64,
    /// Posterior mean spread between visits, on a log scale.
    pub sigma: f64,
    /// Posterior of the breakpoint: (VUs, probability at or below), ascending.
    pub distribution: Vec<(f64, f64)>,
    /// How much further than its own error [`Fit::distribution`] reaches down, and less far up, as
    /// a fraction: for what was not seen and can only lower the breakpoint.
    pub downside_skew: f64,
    /// Visits used.
    pub visits: usize,
    /// Visits whose statistic was seen exactly; few of them means that the crossing is a step.
    pub exact: usize,
    /// How a level moves the tail of latencies, where the fit is one of tails.
    pub shift: Option<Shift>,
}

/// How a level moves the tail of latencies: by so much of a limit per level away from the
/// breakpoint.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shift {
    /// Adds a time: a line has formed (Little's law).
    Adds(f64),
    /// Stretches all times: there is spare capacity.
    Stretches(f64),
}

impl Fit {
    /// No more than an interval.
    pub fn unknown(estimate: f64, low: f64, high: f64) -> Self {
        Self {
            basis: Basis::Bracket,
            estimate,
            low,
            high,
            kappa: 0.0,
            curvature: 0.0,
            sigma: 0.0,
            distribution: Vec::new(),
            downside_skew: 0.0,
            visits: 0,
            exact: 0,
            shift: None,
        }
    }

    /// Half-width of the interval as a fraction of the estimate.
    pub fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0 / self.estimate
    }

    /// The level at which the statistic is predicted to stand `offset` above its crossing value.
    pub fn level_at(&self, offset: f64) -> f64 {
        let g = self.curvature;
        let s = if g.abs() < 1e-6 {
            offset
        } else {
            (1.0 + g * offset).max(LEVELLED).ln() / g
        };
        self.estimate * (1.0 + s / self.kappa)
    }

    /// The level that the breakpoint lies below with a probability of `p`.
    pub fn quantile(&self, p: f64) -> f64 {
        let swapped: Vec<(f64, f64)> = self.distribution.iter().map(|(v, p)| (*p, *v)).collect();
        interpolate(&swapped, p)
    }

    /// Probability that the breakpoint is at or below `vus`.
    pub fn probability_at_or_below(&self, vus: f64) -> f64 {
        interpolate(&self.distribution, vus)
    }
}

/// Of a curve that levels off above the crossing the rest of its rise that is not worth going for:
/// levels further up show its ceiling and tell nothing of the crossing.
const LEVELLED: f64 = 0.3;
/// Fewest visits with an exact statistic for the jackknife to mean anything: it needs a smooth
/// estimator.
const JACKKNIFE_EXACT: usize = 6;

/// Fits the breakpoint to visits in the order in which they were made.
///
/// `around` is a first guess, VUs; the grid follows the data from there. `None` when the visits do
/// not enclose a crossing: the posterior then leans on the grid's edge and means nothing.
pub fn fit(points: &[Point], link: Link, around: f64, confidence: f64) -> Option<Fit> {
    let mut centre = around;
    let mut half_log_range = 0.47;
    for _ in 0..20 {
        let grid = Grid::around(centre, half_log_range, link);
        let used: Vec<Point> = near(points, centre);
        if used.len() < 2 {
            return None;
        }
        let posterior = grid.posterior(&used, 1.0);
        let (low, mid, high) = (
            posterior.quantile(0.000_5),
            posterior.quantile(0.5),
            posterior.quantile(0.999_5),
        );
        let (first, last) = posterior.ends();
        // A median in the outer parts of the grid: follow it, as long as data reach that far.
        let position = (mid / first).ln() / (last / first).ln();
        if !(0.15..=0.85).contains(&position) {
            if !(0.2..=5.0).contains(&(mid / around)) {
                return None;
            }
            centre = mid;
            half_log_range = (half_log_range * 1.5).min(0.47);
            continue;
        }
        let wanted = ((high / low).ln() / 2.0 * 1.15).clamp(0.002, 0.47);
        if half_log_range > wanted * 2.0 {
            centre = (low * high).sqrt();
            half_log_range = wanted;
            continue;
        }
        return finish(&used, link, &grid, confidence);
    }
    None
}

/// Visits near enough to the centre for a local curve: within -30 % and +40 %.
fn near(points: &[Point], centre: f64) -> Vec<Point> {
    points
        .iter()
        .copied()
        .filter(|p| (0.7..=1.4).contains(&(p.vus / centre)))
        .collect()
}

fn finish(points: &[Point], link: Link, grid: &Grid, confidence: f64) -> Option<Fit> {
    let plain = grid.posterior(points, 1.0);
    let weight = independence(points, link, &plain);
    let posterior = if weight < 1.0 {
        grid.posterior(points, weight)
    } else {
        plain
    };
    let tail = (1.0 - confidence) / 2.0;
    let estimate = posterior.quantile(0.5);
    let mut low = posterior.quantile(tail);
    let mut high = posterior.quantile(1.0 - tail);
    let exact = points
        .iter()
        .filter(|p| matches!(p.observed, Observation::Exactly(_)))
        .count();
    if exact >= JACKKNIFE_EXACT
        && let Some(se) = jackknife_se(points, grid)
    {
        #[expect(clippy::cast_precision_loss, reason = "eight groups")]
        let freedom = (GROUPS - 1) as f64;
        let margin = student_t_quantile(1.0 - tail, freedom) * se;
        low = low.min(estimate * (-margin).exp());
        high = high.max(estimate * margin.exp());
    }
    (low.is_finite() && high.is_finite() && low > 0.0).then(|| Fit {
        basis: Basis::Visits,
        estimate,
        low,
        high,
        kappa: posterior.kappa,
        curvature: posterior.curvature,
        sigma: posterior.sigma,
        distribution: posterior.distribution(),
        downside_skew: 0.0,
        visits: points.len(),
        exact,
        shift: None,
    })
}

/// `(exp(g s) - 1) / g`, monotone in `s` for every `g`: how far the statistic stands from its
/// crossing, with `s = kappa (N / N* - 1)`.
pub fn offset(s: f64, g: f64) -> f64 {
    if g.abs() < 1e-9 {
        s
    } else {
        ((g * s).clamp(-50.0, 50.0).exp() - 1.0) / g
    }
}

/// Linear interpolation in an ascending table, flat beyond its ends.
fn interpolate(table: &[(f64, f64)], x: f64) -> f64 {
    let after = table.partition_point(|(at, _)| *at < x);
    match (after.checked_sub(1).map(|i| table[i]), table.get(after)) {
        (Some((x0, y0)), Some(&(x1, y1))) => y0 + (x - x0) / (x1 - x0) * (y1 - y0),
        (None, Some(&(_, y))) | (Some((_, y)), None) => y,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests;
