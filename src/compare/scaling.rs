//! How the breakpoint grows with the size of the system.

use super::Named;
use super::run_estimate::{self, RunEstimate};
use crate::record::{Bounds, ForecastPoint, Scaling, ScalingPoint};
use crate::stats::usl::{self, Law, Sized};
use crate::stats::{Ends, Spread};

/// Points of the curve that a chart draws.
const CURVE_POINTS: u32 = 40;
/// The law has so many parameters.
const PARAMETERS: usize = 3;

/// Fits the Universal Scalability Law to runs of known sizes.
///
/// # Errors
/// Says why not: a size is missing or senseless, fewer than three differ, or a run has no
/// breakpoint with an interval.
pub(super) fn fit(runs: &[Named], confidence: f64) -> Result<Scaling, String> {
    let spreads = runs.iter().map(sized).collect::<Result<Vec<_>, _>>()?;
    let sizes = usl::distinct_sizes(&spreads);
    if sizes.len() < PARAMETERS {
        return Err(format!(
            "only {} different sizes; the scaling law has three parameters and needs at least \
             three sizes",
            sizes.len()
        ));
    }
    let fitted = usl::fit(&spreads, confidence).ok_or(
        "the scaling law cannot be fitted to these \
            breakpoints",
    )?;
    let largest = sizes.iter().copied().fold(0.0, f64::max);
    let smallest = sizes.iter().copied().fold(f64::INFINITY, f64::min);
    let tail = (1.0 - confidence) / 2.0;
    let at = |size: f64| {
        let draws = fitted.draws.iter().map(|law| law.at(size)).collect();
        let Ends { low, high } = usl::interval(draws, tail);
        ForecastPoint {
            size,
            estimate: fitted.law.at(size),
            low,
            high,
        }
    };
    let bounds = |of: fn(&Law) -> f64| {
        let Ends { low, high } = usl::interval(fitted.draws.iter().map(of).collect(), tail);
        let estimate = Some(of(&fitted.law)).filter(|v| v.is_finite());
        Bounds {
            estimate,
            low: low.min(f64::MAX),
            high: Some(high).filter(|v| v.is_finite()),
        }
    };
    let curve = (0..=CURVE_POINTS).map(|i| {
        let part = f64::from(i) / f64::from(CURVE_POINTS);
        at(smallest * (2.0 * largest / smallest).powf(part))
    });
    Ok(Scaling {
        points: points(runs, &spreads, tail),
        lambda: bounds(|l| l.lambda),
        contention: bounds(|l| l.sigma),
        coherency: bounds(|l| l.kappa),
        peak_size: bounds(Law::peak_size),
        curve: curve.collect(),
        forecast: at(2.0 * largest),
        freedom: u32::try_from(sizes.len() - PARAMETERS).unwrap_or(u32::MAX),
        fits_p: fitted.fits_p,
        resamples: u32::try_from(fitted.draws.len()).unwrap_or(u32::MAX),
    })
}

fn sized(run: &Named) -> Result<Sized, String> {
    let size = run
        .size
        .filter(|s| s.is_finite() && *s > 0.0)
        .ok_or_else(|| format!("{} needs a size above zero", run.name))?;
    let spread: Spread = match run_estimate::breakpoint(&run.record) {
        RunEstimate::Spread { spread, .. } | RunEstimate::Within(spread) => spread,
        RunEstimate::AtLeast(_) => return Err(format!("{}: it never broke", run.name)),
        RunEstimate::AtMost(_) => {
            return Err(format!("{}: it broke even at the minimum", run.name));
        }
        RunEstimate::Beside(_) => {
            return Err(format!("{}: its breakpoint has no interval", run.name));
        }
        RunEstimate::Bare(_, why) | RunEstimate::Nothing(why) => {
            return Err(format!("{}: {why}", run.name));
        }
    };
    Ok(Sized { size, spread })
}

fn points(runs: &[Named], spreads: &[Sized], tail: f64) -> Vec<ScalingPoint> {
    let each = runs.iter().zip(spreads).enumerate();
    each.map(|(run, (named, sized))| ScalingPoint {
        run,
        size: sized.size,
        breakpoint: named
            .record
            .answer
            .breakpoint
            .map_or_else(|| sized.spread.quantile(0.5).exp(), f64::from),
        low: sized.spread.quantile(tail).exp(),
        high: sized.spread.quantile(1.0 - tail).exp(),
    })
    .collect()
}
