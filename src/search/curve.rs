//! The fitted curve with its band, for charts.

use std::ops::Range;

use super::Search;
use crate::record::{Band, Curve, CurvePoint, CurveScale};
use crate::stats::fit::{Fit, Link};
use crate::stats::normal::{cdf, probit};
use crate::stats::tail;

/// Range of a curve around the breakpoint, and points on it.
const AROUND: Range<f64> = 0.6..1.3;
const POINTS: u32 = 29;

impl Search {
    /// A curve per objective that has a fit: how the tail at the limit, or the share of violations,
    /// moves with the level. Its band is the same curve with the breakpoint at either end of its
    /// interval.
    pub(super) fn curves(&self) -> Vec<Curve> {
        let Some(estimate) = &self.estimate else {
            return Vec::new();
        };
        (0..self.links.len())
            .filter_map(|objective| {
                let fit = if objective == estimate.binding {
                    estimate.fit.clone()
                } else {
                    self.fit_objective(objective, estimate.vus)?
                };
                self.curve(objective, &fit)
            })
            .collect()
    }

    fn curve(&self, objective: usize, fit: &Fit) -> Option<Curve> {
        let (scale, at): (CurveScale, Box<dyn Fn(f64, f64) -> f64>) =
            match (fit.shift, self.links[objective]) {
                (Some(shift), _) => {
                    let limit_s = self.limit_s(objective)?;
                    (
                        CurveScale::Latency,
                        Box::new(move |level, breakpoint| {
                            tail::latency_s(shift, limit_s, level, breakpoint)
                        }),
                    )
                }
                (None, Link::Share { alpha }) if fit.kappa > 0.0 => {
                    let (kappa, bend) = (fit.kappa, fit.curvature);
                    (
                        CurveScale::Share,
                        Box::new(move |level, breakpoint| {
                            let offset =
                                crate::stats::fit::offset(kappa * (level / breakpoint - 1.0), bend);
                            cdf(probit(alpha) + offset)
                        }),
                    )
                }
                _ => return None,
            };
        let points = (0..POINTS)
            .map(|i| {
                let part = f64::from(i) / f64::from(POINTS - 1);
                let level = fit.estimate * (AROUND.start + (AROUND.end - AROUND.start) * part);
                let band = Band {
                    low: at(level, fit.high),
                    estimate: at(level, fit.estimate),
                    high: at(level, fit.low),
                };
                CurvePoint { level, band }
            })
            .filter(|p| p.band.low.is_finite() && p.band.high.is_finite() && p.band.low >= 0.0)
            .collect();
        Some(Curve {
            objective,
            scale,
            points,
        })
    }

    fn limit_s(&self, objective: usize) -> Option<f64> {
        let mut tails = self
            .visits
            .iter()
            .filter_map(|v| v.tails.get(objective)?.as_ref());
        tails.next().map(|t| t.limit_s)
    }
}
