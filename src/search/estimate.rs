//! The estimate: every objective is fitted to all visits by what breaks it, and the lowest
//! breakpoint binds.

use super::bounds::{self, Side};
use super::{Search, Visit, diagnosis};
use crate::measure::{Level, LevelUnit};
use crate::record::Band;
use crate::slo::Evidence;
use crate::stats::fit::{self, Basis, Fit, Link, Observation, Point};
use crate::stats::tail::{self, TailVisit, Users};
use crate::stats::{Ends, events, student_t_quantile};

/// How far below the highest level that held the interval reaches at least, by how many full holds
/// held.
const UNPROVEN: [f64; 3] = [1.35, 1.12, 1.0];
/// Degrees of freedom of a limit's throughput: a handful of visits agree on it.
const LIMIT_FREEDOM: f64 = 6.0;
/// How far an interval may lie off the levels that held and broke.
const GROSSLY: f64 = 1.15;
/// Requests that each user loses to a crash, at least: the one in flight, and tries until the
/// service is back.
const LOST_PER_USER: f64 = 2.0;
/// Visits with a magnitude below which the crossing counts as a step.
const FEW_EXACT: usize = 4;
/// By how much a bracket reaches beyond what its curve, or its levels, say to either side. Where
/// full holds do not stand on both sides yet, the curve's shape is still that of the prior and a
/// short hold may have met a cold start: of 320 brackets of systems drawn at random 87 % held the
/// truth and 92 % of them with this, while numbers, which rest on more, came to 94 % by themselves
/// (the calibration half of seed 77).
pub(super) const RESERVE: f64 = 1.35;

/// The estimate over all objectives.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// Index of the binding objective: the one that breaks at the lowest level.
    pub binding: usize,
    /// The breakpoint, VUs.
    pub vus: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Fit of the binding objective.
    pub fit: Fit,
}

impl Estimate {
    /// Half-width as a fraction of the estimate.
    pub fn half_width(&self) -> f64 {
        (self.high - self.low) / 2.0 / self.vus
    }

    /// Whether the crossing is a step (a crash, a refused client): visits tell a side and hardly
    /// any a magnitude.
    pub(super) fn is_step(&self) -> bool {
        match self.fit.basis {
            Basis::Events => true,
            Basis::Visits => self.fit.exact < FEW_EXACT,
            Basis::Tails | Basis::Capacity | Basis::Law | Basis::Bracket => false,
        }
    }

    /// It with its interval.
    pub fn band(&self) -> Band {
        Band {
            low: self.low,
            estimate: self.vus,
            high: self.high,
        }
    }

    /// The interval of an answer that names no number.
    pub(super) fn as_bracket(&self) -> Self {
        Self {
            low: self.low / RESERVE,
            high: self.high * RESERVE,
            ..self.clone()
        }
    }
}

impl Search {
    /// Fits every objective that ever stood above its bound and takes the one that breaks first.
    pub(super) fn fit(&self) -> Option<Estimate> {
        let bounds = bounds::relevant(&self.visits);
        let (held, broke) = (bounds.held?, bounds.broke?);
        let around = self.estimate.as_ref().map_or(
            (f64::from(held.get()) * f64::from(broke.get())).sqrt(),
            |e| self.in_bracket(e.vus),
        );
        let middle = (f64::from(held.get()) * f64::from(broke.get())).sqrt();
        // What contradicts the visits grossly was fitted to the wrong part of them. Near the
        // breakpoint sides are rough: most visits of a level that is a little too high hold; and at
        // the edge of a capacity they say how a line grows, not that it stays.
        let possible = |f: &Fit| {
            f.basis == Basis::Capacity
                || (f.high * GROSSLY >= f64::from(held.get())
                    && f.low <= f64::from(broke.get()) * GROSSLY)
        };
        let fits: Vec<(usize, Fit)> = (0..self.links.len())
            .filter_map(|i| {
                let fit = self.fit_objective(i, around).filter(possible);
                Some((
                    i,
                    fit.or_else(|| self.fit_objective(i, middle).filter(possible))?,
                ))
            })
            .collect();
        let (binding, fit) = fits
            .iter()
            .min_by(|(_, a), (_, b)| a.estimate.total_cmp(&b.estimate))?
            .clone();
        let step = fit.basis == Basis::Visits && fit.exact < FEW_EXACT;
        // The least of several breakpoints lies below the least upper end, and hardly below the
        // least lower end.
        let low = fits
            .iter()
            .map(|(_, f)| f.low)
            .fold(f64::INFINITY, f64::min);
        let high = fits
            .iter()
            .map(|(_, f)| f.high)
            .fold(f64::INFINITY, f64::min);
        let (mut low, mut high) = (low.min(fit.estimate), high.max(fit.estimate));
        if step {
            // Between the two sides of a step no level is likelier than another, nor where they
            // contradict each other.
            low = low.min(f64::from(held.get()));
            let carried = bounds::carried(&self.visits).unwrap_or(broke);
            high = high.max(f64::from(broke.max(carried).get()));
        }
        if !matches!(fit.basis, Basis::Law | Basis::Capacity) {
            let fitted = Ends { low, high };
            Ends { low, high } = self.as_far_as_proven(fitted, held, broke);
        }
        Some(Estimate {
            binding,
            vus: fit.estimate,
            low,
            high,
            fit,
        })
    }

    /// An interval as the visits bear it out. Where no full hold held, the lower bound is a short
    /// one's, and of those a level well above the breakpoint passes many; where none broke, the
    /// upper bound is the level that a short one broke.
    pub(super) fn as_far_as_proven(&self, fitted: Ends, held: Level, broke: Level) -> Ends {
        let on = |side: Side| bounds::full(&self.visits, side).count();
        let down = UNPROVEN[on(Side::Held).min(UNPROVEN.len() - 1)];
        let low = fitted.low.min(f64::from(held.get()) / down);
        let high = match on(Side::Broke) {
            0 => fitted.high.max(f64::from(broke.get())),
            _ => fitted.high,
        };
        Ends { low, high }
    }

    /// Crashes and whatever else breaks it are competing risks: each has its own breakpoint, and
    /// the lower one binds.
    pub(super) fn fit_objective(&self, objective: usize, around: f64) -> Option<Fit> {
        let by_load = self.fit_load(objective, around);
        match (self.fit_crashes(objective), by_load) {
            (Some(crash), Some(load)) => {
                let low = crash.low.min(load.low);
                let lower = if crash.estimate <= load.estimate {
                    crash
                } else {
                    load
                };
                Some(Fit { low, ..lower })
            }
            (crash, load) => crash.or(load),
        }
    }

    /// The fit of what breaks the objective without a crash.
    fn fit_load(&self, objective: usize, around: f64) -> Option<Fit> {
        let link = self.links[objective];
        let points: Vec<Point> = (self.visits.iter())
            .filter(|v| v.counts() && v.crashed_after_s.is_none())
            .filter_map(|v| {
                Some(Point {
                    vus: f64::from(v.level.get()),
                    observed: observe(link, v.evidence.get(objective)?)?,
                })
            })
            .collect();
        if !points.iter().any(|p| is_over(link, p.observed)) {
            return None;
        }
        let t = student_t_quantile(0.5 + self.spec.confidence / 2.0, LIMIT_FREEDOM);
        self.fit_limit(objective, t)
            .or_else(|| self.fit_capacity_edge(objective))
            .or_else(|| self.fit_tail(objective, around))
            .or_else(|| fit::fit(&points, link, around, self.spec.confidence))
    }

    /// The fit of crashes, where some counted against the objective.
    fn fit_crashes(&self, objective: usize) -> Option<Fit> {
        let counts_against = |v: &&Visit| {
            let evidence = v.evidence.get(objective);
            v.counts() && v.crashed_after_s.is_some() && evidence.is_some_and(Evidence::is_violated)
        };
        let crashed: Vec<&Visit> = self.visits.iter().filter(counts_against).collect();
        let last = crashed.last()?;
        let bad = crashed
            .iter()
            .filter_map(|v| match v.evidence.get(objective) {
                Some(Evidence::Share { bad, .. }) => Some(*bad),
                _ => None,
            });
        let users = f64::from(last.level.get());
        // Everybody loses what is in flight, and tries again until it is back.
        let bad = bad.fold(users * LOST_PER_USER, f64::max);
        let allowed = match self.links[objective] {
            Link::Share { alpha } => alpha * self.last_throughput()? / ((1.0 - alpha) * bad),
            // None is allowed; what is not seen in the longest hold is not seen.
            Link::LogRatio | Link::Side => 1.0 / self.spec.hold_max.as_secs_f64(),
        };
        events::fit(
            &diagnosis::exposures(&self.visits),
            allowed,
            self.spec.confidence,
        )
    }

    /// The fit of a capacity, where levels are rates and only the capacity limits them.
    fn fit_capacity_edge(&self, objective: usize) -> Option<Fit> {
        let Link::Share { alpha } = self.links[objective] else {
            return None;
        };
        if !self.spec.unit.is_open() {
            return None;
        }
        let tail_of = |v: &Visit| {
            v.tails
                .get(objective)
                .and_then(Option::as_ref)
                .map(|t| t.limit_s)
        };
        let limit_s = self.visits.iter().find_map(tail_of)?;
        let edge = tail::CapacityEdge {
            served: diagnosis::served_at_most(&self.visits, limit_s)?,
            variability: self.variability(),
            in_line: self.variability_in_line(),
            limit_s,
            hold_s: self.spec.hold_max.as_secs_f64(),
        };
        tail::at_capacity_edge(&edge, alpha, self.spec.confidence)
    }

    /// The fit of whole tails, where the objective has them and enough visits ran to their end.
    fn fit_tail(&self, objective: usize, around: f64) -> Option<Fit> {
        let Link::Share { alpha } = self.links[objective] else {
            return None;
        };
        let visits: Vec<TailVisit> = self
            .visits
            .iter()
            .filter(|v| v.counts() && !v.earlier && !v.overran())
            .filter_map(|v| {
                let tail = v.tails.get(objective)?.as_ref()?;
                Some(TailVisit {
                    vus: f64::from(v.level.get()),
                    per_s: tail.requests() / v.hold_s,
                    tail,
                })
            })
            .collect();
        let users = match self.spec.unit {
            LevelUnit::Vus => Users::Closed,
            LevelUnit::RequestsPerS | LevelUnit::CyclesPerS => Users::Open,
        };
        let of = tail::FitRequest {
            users,
            alpha,
            around,
            confidence: self.spec.confidence,
            variability: self.variability(),
        };
        tail::fit(&visits, &of)
    }

    /// The share of violations that the binding objective allows, when it is about a share.
    pub(super) fn alpha(&self, estimate: &Estimate) -> Option<f64> {
        match self.links[estimate.binding] {
            Link::Share { alpha } => Some(alpha),
            Link::LogRatio | Link::Side => None,
        }
    }
}

/// A probe's evidence on the fit's scale.
fn observe(link: Link, evidence: &Evidence) -> Option<Observation> {
    let side = |broke: bool| {
        if broke {
            Observation::Above(0.0)
        } else {
            Observation::Below(0.0)
        }
    };
    match (link, evidence) {
        (Link::Share { alpha }, Evidence::Share { bad, total, .. }) => {
            Some(Link::observe_share(alpha, *bad, *total))
        }
        (Link::Side, Evidence::Share { bad, .. }) => Some(side(*bad > 0.0)),
        (Link::LogRatio, Evidence::LogRatio(y)) => Some(if *y > 1.0 {
            Observation::Above(1.0)
        } else {
            Observation::Exactly(*y)
        }),
        (Link::Side, Evidence::LogRatio(y)) => Some(side(*y > 0.0)),
        (Link::LogRatio | Link::Side, Evidence::Side { broke }) => Some(side(*broke)),
        // Nothing was seen, or something that this objective never gives.
        (_, Evidence::None)
        | (Link::Share { .. }, _)
        | (Link::LogRatio, Evidence::Share { .. }) => None,
    }
}

/// Whether what was observed stands above the crossing.
fn is_over(link: Link, observed: Observation) -> bool {
    let crossing = match link {
        Link::Share { alpha } => crate::stats::normal::probit(alpha),
        Link::LogRatio | Link::Side => 0.0,
    };
    match observed {
        Observation::Exactly(y) => y > crossing,
        Observation::Above(y) => y >= crossing,
        Observation::Below(_) => false,
    }
}
