//! Between a level that held and one that broke: where the next visit tells the most.

use rand::seq::SliceRandom;

use super::bounds::{self, Side};
use super::bracket::{CLIMB, MAX_RETRIES};
use super::diagnosis::{self, Look};
use super::pacing::AT_BREAKPOINT;
use super::{Estimate, Order, Search, Step, Visit};
use crate::measure::Level;
use crate::record::Purpose;
use crate::slo::Verdict;
use crate::stats::fit::{Basis, Link};
use crate::stats::tail;

/// Levels worth visiting where events break it, as quantiles of the breakpoint's posterior: each
/// visit halves what is left.
const EVENT_LADDER: [f64; RUNGS] = [0.3, 0.5, 0.5, 0.75];
/// Levels worth visiting where all visits obey a law, as parts of the interval.
const LAW_LADDER: [f64; RUNGS] = [0.25, 0.5, 0.5, 0.75];
/// Levels of one pass around the estimate.
const RUNGS: usize = 4;
/// Full holds in a row on one side of a bound after which the bound is tried itself.
const ONE_SIDED: usize = 3;
/// The same where no full hold stands on the other side: half of what the answer rests on is
/// missing.
const ONE_SIDED_ALL: usize = 2;
/// A level this far above the estimate is another regime, not an overload to come back from.
const OVERLOAD: f64 = 1.2;
/// A visited level this near to one that the answer names stands for it, as a share: less than
/// visits of one level differ by.
const NEARBY: f64 = 0.03;
/// Where a rate is looked at first between two bounds, as a share of the capacity.
const NEAR_CAPACITY: f64 = 0.9;
/// A level nearer to a bound than this ratio would tell little that the bound has not told.
const CLEAR_OF_BOUNDS: f64 = 1.05;

impl Search {
    /// Whether the estimate points to the breakpoint from the first visit on.
    pub(super) fn points_by_tails(&self) -> bool {
        (self.estimate.as_ref())
            .is_some_and(|e| matches!(e.fit.basis, Basis::Tails | Basis::Capacity | Basis::Law))
    }

    /// Where to look between a level that held and one that broke: from the throughput of the
    /// broken one (by Little's law, where levels are VUs), which is the capacity where it was
    /// overload that broke it, else in the middle.
    pub(super) fn between(&self, held: Level, broke: Level) -> Level {
        let by_capacity = || {
            let last = bounds::visits_at(&self.visits, broke).last()?;
            let vus = if self.spec.unit.is_open() {
                NEAR_CAPACITY * last.throughput?
            } else {
                last.throughput? * (self.model.think_s + AT_BREAKPOINT * self.model.limit_s?)
            };
            let inside = f64::from(held.get()) * CLEAR_OF_BOUNDS < vus
                && vus * CLEAR_OF_BOUNDS < f64::from(broke.get());
            inside.then(|| Level::nearest(vus))
        };
        let inside = |level: &Level| *level > held && *level < broke;
        by_capacity()
            .filter(inside)
            .unwrap_or_else(|| middle(held, broke))
    }

    /// A bound that full holds do not bear out: the last of them all stayed on one side of it, and
    /// it was set by a short hold, by chance, or by a service that has grown since. A bracket hold
    /// steers; what binds the answer are full holds.
    pub(super) fn unproven(&self, held: Level, broke: Level) -> Option<Level> {
        let full: Vec<&Visit> = (self.visits.iter())
            .filter(|v| v.counts() && bounds::is_full(v))
            .collect();
        let surprised = self.has_grown() || self.is_far_below(&full, broke);
        let lately = |of: Side| {
            let other = full.iter().any(|v| bounds::side(v) != Some(of));
            let patience = match (surprised, other) {
                (true, _) => 1,
                (false, true) => ONE_SIDED,
                (false, false) => ONE_SIDED_ALL,
            };
            let run = full
                .iter()
                .rev()
                .take_while(|v| bounds::side(v) == Some(of));
            run.count() >= patience
        };
        let proven = |of: Side, level: Level| {
            bounds::full(&self.visits, of)
                .filter(|v| v.level == level)
                .count()
                >= 2
        };
        if lately(Side::Held) && !proven(Side::Broke, broke) {
            let highest = full.iter().map(|v| v.level).max()?.max(held);
            let near = self.within((f64::from(highest.get()) * CLIMB).ceil());
            return Some(near.min(broke));
        }
        if lately(Side::Broke) && !proven(Side::Held, held) {
            let lowest = full.iter().map(|v| v.level).min()?.min(broke);
            let near = self.within((f64::from(lowest.get()) / CLIMB).floor());
            return Some(near.max(held));
        }
        None
    }

    /// Whether the last full hold held so well that Little's law puts its breakpoint above the
    /// level that only a short hold broke.
    pub(super) fn is_far_below(&self, full: &[&Visit], broke: Level) -> bool {
        let binding = self.estimate.as_ref().map_or(0, |e| e.binding);
        let Some(Link::Share { alpha }) = self.links.get(binding) else {
            return false;
        };
        let short = !full.iter().any(|v| bounds::side(v) == Some(Side::Broke));
        let points_to = full.last().and_then(|last| {
            let tail = last.tails.get(binding)?.as_ref()?;
            (bounds::side(last) == Some(Side::Held)).then(|| {
                diagnosis::own_breakpoint(f64::from(last.level.get()), last.hold_s, tail, *alpha)
            })
        });
        short
            && !self.spec.unit.is_open()
            && points_to.is_some_and(|vus| vus > f64::from(broke.get()))
    }

    /// A visit that tells whether the breakpoint depends on where the load comes from, when one is
    /// missing.
    pub(super) fn look(&self, estimate: &Estimate) -> Option<Order> {
        if self.spec.unit.is_open() || self.has_grown() {
            return None;
        }
        let alpha = self.alpha(estimate);
        let look = diagnosis::wanted_look(&self.visits, estimate.binding, alpha, estimate.vus)?;
        let level = match look {
            Look::FromRest => estimate.vus,
            Look::FromOverload => self.overload_of(estimate),
        };
        match self.probe(self.within(level), Purpose::Compare) {
            Step::Probe(order) => Some(Order {
                from_rest: look == Look::FromRest,
                ..order
            }),
            Step::Done(_) => None,
        }
    }

    /// A level near the estimate that is surely too high: the highest that broke without being
    /// hopeless, where there is one.
    fn overload_of(&self, estimate: &Estimate) -> f64 {
        let most = OVERLOAD * estimate.vus;
        (self.visits.iter())
            .filter(|v| v.counts() && !v.overran() && v.verdict == Verdict::Broke)
            .map(|v| f64::from(v.level.get()))
            .filter(|vus| *vus <= most)
            .fold(estimate.vus * tail::LADDER[RUNGS - 1], f64::max)
    }

    /// Refining has begun: a contradiction later does not throw the search back to bisecting.
    pub(super) fn narrowed(&self) -> bool {
        self.visits.iter().any(|v| {
            matches!(
                v.purpose,
                Purpose::Refine | Purpose::Compare | Purpose::Confirm
            ) && v.counts()
        }) && self.estimate.is_some()
    }

    /// A level that the answer would name without having visited it.
    pub(super) fn unconfirmed(&self, estimate: &Estimate) -> Option<Level> {
        let (held, broke) = bounds::around(&self.visits, estimate.vus);
        // The ends move with every visit: whoever tried one nearby has tried it.
        let tried = |level: Level| {
            let is_low = |l: Level| f64::from(l.get()) <= estimate.vus;
            let nearby =
                |l: Level| (f64::from(l.get()) / f64::from(level.get()) - 1.0).abs() <= NEARBY;
            (self.visits.iter())
                .filter(|v| v.counts() && v.purpose == Purpose::Confirm)
                .filter(|v| is_low(v.level) == is_low(level) && nearby(v.level))
                .count()
                >= MAX_RETRIES
        };
        let low = self.within(estimate.low.floor());
        let high = self.within(estimate.high.ceil().max(estimate.vus.floor() + 1.0));
        let near_low =
            |v: usize| f64::from(self.visits[v].level.get()) >= estimate.low * (1.0 - NEARBY) - 1.0;
        let near_high = |v: usize| {
            f64::from(self.visits[v].level.get()) <= estimate.high * (1.0 + NEARBY) + 1.0
        };
        if !held.is_some_and(near_low) && !tried(low) {
            return Some(low);
        }
        if !broke.is_some_and(near_high) && !tried(high) {
            return Some(high);
        }
        None
    }

    /// The next level of the ladder around the estimate, in random order.
    pub(super) fn ladder_level(&mut self, estimate: &Estimate) -> Level {
        let rung = self.rungs.pop().unwrap_or_else(|| {
            self.rungs = (0..RUNGS).collect();
            self.rungs.shuffle(&mut self.rng);
            self.rungs.pop().unwrap_or(0)
        });
        let wanted = match estimate.fit.basis {
            Basis::Tails | Basis::Capacity => estimate.vus * tail::LADDER[rung],
            Basis::Law => estimate.low + (estimate.high - estimate.low) * LAW_LADDER[rung],
            Basis::Events => estimate.fit.quantile(EVENT_LADDER[rung]),
            Basis::Visits | Basis::Bracket => {
                let offset = self.links[estimate.binding].ladder()[rung];
                let level = estimate.fit.level_at(offset);
                self.in_bracket(level.clamp(estimate.vus * 0.8, estimate.vus * 1.25))
            }
        };
        self.within(if wanted < estimate.vus {
            wanted.floor()
        } else {
            wanted.ceil()
        })
    }

    /// A rate, if it is one, within the bracket: a share that is flat far below the capacity and
    /// steep near it bends a curve through both away from either.
    pub(super) fn in_bracket(&self, level: f64) -> f64 {
        let bounds = bounds::relevant(&self.visits);
        match (bounds.held, bounds.broke) {
            (Some(held), Some(broke)) if self.spec.unit.is_open() && held < broke => {
                level.clamp(held.get().into(), broke.get().into())
            }
            _ => level,
        }
    }

    fn within(&self, vus: f64) -> Level {
        Level::nearest(vus).clamp(self.spec.min, self.spec.max)
    }
}

pub(super) fn middle(held: Level, broke: Level) -> Level {
    let mean = (f64::from(held.get()) * f64::from(broke.get())).sqrt();
    if broke.get() - held.get() <= 1 {
        return held;
    }
    Level::nearest(mean).clamp(Level(held.get() + 1), Level(broke.get() - 1))
}
