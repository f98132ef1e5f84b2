//! How long a visit takes: its hold, its settle, and what the budget leaves for it.

use super::bounds;
use super::{Search, Step, Visit};
use crate::measure::Level;
use crate::record::Purpose;
use crate::stats::fit::Link;

/// Cycles that a hold near the breakpoint lasts.
pub(super) const HOLD_CYCLES: f64 = 12.0;
/// Most of the budget that one short hold may take for the sake of a long limit.
const SHARE_FOR_LIMIT: f64 = 0.07;
/// Longest hold for the sake of a backlog, seconds.
const LONGEST_BACKLOG_S: f64 = 180.0;
/// Mean latency, in limits, that is expected where a percentile reaches the limit, for the first
/// look between two bounds. Rather low: a service that breaks by bursts does so before it is
/// saturated.
pub(super) const AT_BREAKPOINT: f64 = 0.25;

/// A probe that the search asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Order {
    /// The level.
    pub level: Level,
    /// Why.
    pub purpose: Purpose,
    /// How long to hold once settled.
    pub hold_s: f64,
    /// Whether the target is to be drained and reset first.
    pub from_rest: bool,
    /// Shortest settle, seconds.
    pub settle_min_s: f64,
    /// Shortest settle in cycles; the probe knows how long one takes.
    pub settle_cycles: f64,
    /// Seconds that the budget leaves for all of it.
    pub within_s: f64,
}

impl Search {
    /// The probe as the budget allows it: a last hold near the breakpoint may be shorter than
    /// planned.
    pub(super) fn within_budget(&self, order: Order, left_s: f64) -> Option<Order> {
        let spare = left_s - self.overhead_of(&order);
        let least = match order.purpose {
            Purpose::Refine | Purpose::Compare => {
                order.hold_s.min(self.spec.hold_min.as_secs_f64())
            }
            Purpose::WarmUp
            | Purpose::Bracket
            | Purpose::Narrow
            | Purpose::Confirm
            | Purpose::Reference => order.hold_s,
        };
        (spare >= least).then(|| Order {
            hold_s: order.hold_s.min(spare.floor()),
            within_s: left_s,
            ..order
        })
    }

    pub(super) fn probe(&self, level: Level, purpose: Purpose) -> Step {
        let level = level.clamp(self.spec.min, self.spec.max);
        let cycle = self.cycle_s();
        let hold_s = match purpose {
            // It is as long as was asked, and is ordered by itself.
            Purpose::WarmUp => self.spec.warm_up.unwrap_or_default().as_secs_f64(),
            Purpose::Bracket => cycle.clamp(6.0, 30.0).max(self.shows_limit_s()),
            Purpose::Narrow => (2.0 * cycle).clamp(15.0, 40.0),
            Purpose::Refine | Purpose::Compare | Purpose::Confirm | Purpose::Reference => {
                self.full_hold_s(cycle)
            }
        };
        // Far below the breakpoint nothing lingers; near it a line takes its time.
        let settle_cycles = match purpose {
            Purpose::Bracket => 1.0,
            _ => 1.5,
        };
        let longest = self.spec.hold_max.as_secs_f64().max(2.0 * cycle);
        // A level that gave no data gets a longer hold the next time.
        let silent = bounds::visits_at(&self.visits, level)
            .filter(|v| v.counts() && bounds::side(v).is_none())
            .count();
        #[expect(clippy::cast_precision_loss, reason = "a handful of retries")]
        let hold_s = hold_s.min(longest) * (1.0 + silent as f64);
        Step::Probe(Order {
            level,
            purpose,
            from_rest: false,
            hold_s: hold_s.ceil(),
            settle_min_s: (settle_cycles * cycle).max(3.0).ceil(),
            settle_cycles,
            within_s: f64::INFINITY,
        })
    }

    /// Seconds until a service that hangs altogether shows it by the age of what is in flight, a
    /// settle of some seconds included. A shorter hold says nothing of a long limit.
    fn shows_limit_s(&self) -> f64 {
        let most_s = SHARE_FOR_LIMIT * self.spec.budget.as_secs_f64();
        self.model.limit_s.unwrap_or(0.0).min(most_s)
    }

    /// A hold that expects about five violations at the breakpoint and lasts a dozen cycles, within
    /// the limits and at least two cycles: what closed users do in one cycle resembles what they
    /// did in the last, and each move costs a settle.
    fn full_hold_s(&self, cycle: f64) -> f64 {
        let alpha = match self.estimate.as_ref().map(|e| self.links[e.binding]) {
            Some(Link::Share { alpha }) => alpha,
            _ => 0.01,
        };
        let rate = self.last_throughput().unwrap_or(1.0).max(0.1);
        let (min, max) = (
            self.spec.hold_min.as_secs_f64(),
            self.spec.hold_max.as_secs_f64(),
        );
        let hold_s = (5.0 / (alpha * rate))
            .max(HOLD_CYCLES * cycle)
            .clamp(min, max.max(min))
            .max(2.0 * cycle);
        if self.spec.unit.is_open() {
            hold_s.max(max).max(self.backlog_s(self.spec.precision))
        } else {
            hold_s
        }
    }

    /// Seconds until arrivals above the capacity by a share have piled up a wait as long as the
    /// limit, twice over: a shorter hold calls that steady.
    fn backlog_s(&self, share: f64) -> f64 {
        (2.0 * self.model.limit_s.unwrap_or(0.0) / share).min(LONGEST_BACKLOG_S)
    }

    /// Visits that held to their end, the latest first.
    pub(super) fn complete_visits(&self) -> impl Iterator<Item = &Visit> {
        self.visits
            .iter()
            .rev()
            .filter(|v| v.counts() && !v.left_early)
    }

    pub(super) fn last_throughput(&self) -> Option<f64> {
        self.complete_visits()
            .find_map(|v| v.throughput.filter(|t| *t > 0.0))
    }

    /// Cycle time by Little's law from the last visit that completed anything, else from the model.
    pub(super) fn cycle_s(&self) -> f64 {
        let limit_s = self.model.limit_s.unwrap_or(10.0);
        if self.spec.unit.is_open() {
            // As many cycles begin as end: how long one takes is for the latencies to say, and near
            // the breakpoint that is a good part of the limit.
            return self.model.think_s + (AT_BREAKPOINT * limit_s).max(0.5);
        }
        self.complete_visits()
            .find_map(|v| {
                let throughput = v.throughput.filter(|t| *t > 0.0)?;
                Some(f64::from(v.level.get()) / throughput)
            })
            .unwrap_or(self.model.think_s + 0.5)
            // A target that hangs completes next to nothing: its cycle time means nothing.
            .min(self.model.think_s + 3.0 * limit_s)
    }

    /// What a probe will take beside its hold: what the recent ones took.
    pub(super) fn overhead_of(&self, order: &Order) -> f64 {
        let recent = self.visits.iter().rev().take(4);
        recent
            .map(|v| v.cost_s - v.hold_s)
            .fold(order.settle_min_s, f64::max)
    }
}
