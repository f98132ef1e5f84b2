//! From the start level to one that held below one that broke: doublings up, quarters down, and
//! what the lowest and the highest level have to show before the search stops at them.

use super::bounds::{self, Side};
use super::growth;
use super::{Order, Search, Step, Visit};
use crate::measure::Level;
use crate::record::{Ending, Purpose};
use crate::slo::Verdict;

/// Most of the budget that goes into a service that becomes faster at the first level.
const WARM_UP_SHARE: f64 = 0.1;
/// Farthest step towards such a bound.
pub(super) const CLIMB: f64 = 1.2;
/// Visits without an answer at one level after which the search gives up there.
pub(super) const MAX_RETRIES: usize = 3;
/// A doubling that raises throughput by less than this has passed the knee.
const KNEE_GAIN: f64 = 1.2;
/// Cycles that a throughput must rest on to tell a knee from chance: a tenth of it is then one
/// standard deviation.
const KNEE_CYCLES: f64 = 100.0;

impl Search {
    /// The warm-up, where one of a certain length was asked for and nothing has been visited yet.
    pub(super) fn warming_up(&self) -> Option<Order> {
        let lasts = self.spec.warm_up.filter(|d| !d.is_zero())?;
        self.last().is_none().then(|| Order {
            level: self.spec.start.max(self.spec.min),
            purpose: Purpose::WarmUp,
            hold_s: lasts.as_secs_f64(),
            from_rest: false,
            // A target that is not warm does not settle, and all of it is discarded anyway.
            settle_min_s: 0.0,
            settle_cycles: 0.0,
            within_s: f64::INFINITY,
        })
    }

    /// Whether the first level, which is the lightest, is still being answered faster as time goes
    /// on: caches fill, code is compiled, pools open. It is held again until it is not, for a tenth
    /// of the budget at most.
    pub(super) fn is_warming_up(&self) -> bool {
        let Some(first) = self.visits.first() else {
            return false;
        };
        let spent_s: f64 = self.visits.iter().map(|v| v.cost_s).sum();
        let only_first = self.visits.iter().all(|v| v.level == first.level);
        self.spec.warm_up.is_none()
            && only_first
            && spent_s < WARM_UP_SHARE * self.spec.budget.as_secs_f64()
            && self
                .visits
                .last()
                .is_some_and(|v| growth::becomes_faster(&v.flow))
    }

    /// Nothing broke yet.
    pub(super) fn step_up(&mut self) -> Step {
        let Some(highest) = self
            .visits
            .iter()
            .filter(|v| v.counts())
            .max_by_key(|v| v.level)
        else {
            return self.probe(self.spec.start.max(self.spec.min), Purpose::Bracket);
        };
        let level = highest.level;
        let silent = bounds::visits_at(&self.visits, level)
            .filter(|v| bounds::side(v).is_none())
            .count();
        if bounds::side(highest).is_none()
            && silent == bounds::visits_at(&self.visits, level).count()
        {
            if silent >= MAX_RETRIES {
                return self.done(
                    Ending::Undecided,
                    format!(
                        "{silent} probes at {} produced no data; check that the hold is longer \
                         than a cycle and that the main step completes",
                        self.spec.unit.count(level)
                    ),
                );
            }
            return self.probe(level, Purpose::Bracket);
        }
        if level < self.spec.max && self.outvoted() {
            // Full holds disagreed with a ceiling: what it was about is not far above, unless the
            // service has grown. The more of them held above it, the less it was about.
            let next = Level::nearest((f64::from(level.get()) * self.climb()).ceil());
            return self.probe(next, Purpose::Confirm);
        }
        if level < self.spec.max {
            let next = self.step_from(level);
            return self.probe(next, Purpose::Bracket);
        }
        self.at_maximum()
    }

    /// Whether some visit broke, others outvote it, and the service has not grown meanwhile.
    fn outvoted(&self) -> bool {
        let near = |v: &Visit| !self.has_grown() && !self.is_far_below(&[v], v.level);
        let holds =
            |v: &&Visit| v.counts() && bounds::is_full(v) && bounds::side(v) == Some(Side::Held);
        self.visits.iter().rfind(holds).is_some_and(near) && self.breaks_somewhere()
    }

    /// The step above a ceiling that full holds outvoted: it grows with those that held above all
    /// that ever broke, up to a doubling.
    pub(super) fn climb(&self) -> f64 {
        let broke = (self.visits.iter())
            .filter(|v| v.counts() && bounds::side(v) == Some(Side::Broke))
            .map(|v| v.level)
            .max();
        let above = bounds::full(&self.visits, Side::Held)
            .filter(|v| Some(v.level) > broke)
            .count();
        #[expect(clippy::cast_precision_loss, reason = "a count of visits")]
        let steps = (above + 1) as f64;
        CLIMB.powf(steps).min(2.0)
    }

    fn breaks_somewhere(&self) -> bool {
        let broke = |v: &Visit| v.counts() && bounds::side(v) == Some(Side::Broke);
        self.visits.iter().any(broke)
    }

    /// The maximum was visited and nothing broke, or not the last time: full holds must confirm it,
    /// more of them than broke there. A restart of the target breaks a probe and no level, but what
    /// breaks every other probe is no level that is carried.
    fn at_maximum(&mut self) -> Step {
        let full: Vec<Verdict> = bounds::visits_at(&self.visits, self.spec.max)
            .filter(|v| v.purpose == Purpose::Confirm)
            .map(|v| v.verdict)
            .collect();
        let held = full.iter().filter(|v| **v == Verdict::Held).count();
        let broke = bounds::visits_at(&self.visits, self.spec.max)
            .filter(|v| v.verdict == Verdict::Broke || v.crashed_after_s.is_some())
            .count();
        if held > broke {
            return self.done(Ending::NeverBroke, self.carries_maximum(broke));
        }
        if full.len() >= MAX_RETRIES {
            let reason = self.cannot_tell_maximum(full.len(), held, broke);
            return self.done(Ending::Undecided, reason);
        }
        self.probe(self.spec.max, Purpose::Confirm)
    }

    fn carries_maximum(&self, broke: usize) -> String {
        let probes = bounds::visits_at(&self.visits, self.spec.max).count();
        let but = match broke {
            0 => String::new(),
            _ => format!("; {broke} of {probes} probes there broke before it held"),
        };
        let maximum = self.spec.unit.count(self.spec.max);
        format!("the SLO held at every level up to the maximum of {maximum}{but}")
    }

    fn cannot_tell_maximum(&self, full: usize, held: usize, broke: usize) -> String {
        let maximum = self.spec.unit.count(self.spec.max);
        if broke > 0 {
            return format!(
                "at the maximum of {maximum}, {held} of {full} full holds held and {broke} \
                 probes broke: something other than load breaks them"
            );
        }
        let flag = if self.spec.unit.is_open() {
            "--max-rate"
        } else {
            "--max-vus"
        };
        format!("{full} full holds at the maximum of {maximum} were undecided; raise {flag}")
    }

    /// The next level up: double, or by Little's law when the last doubling passed the knee.
    fn step_from(&self, level: Level) -> Level {
        let doubled = Level(level.get().saturating_mul(2));
        let next = match (self.beyond_knee(), self.model.limit_s) {
            (Some(throughput), Some(limit)) if !self.spec.unit.is_open() => {
                // VUs = throughput x (think + latency): the level whose latency would be near the
                // limit.
                let vus = throughput * (self.model.think_s + 0.85 * limit);
                let reached = level.get();
                Level::nearest(vus).clamp(Level(reached + reached / 8 + 1), doubled)
            }
            _ => doubled,
        };
        next.min(self.spec.max)
    }

    /// The throughput, when the last step up raised it by little.
    fn beyond_knee(&self) -> Option<f64> {
        let mut by_level: Vec<&Visit> = self.visits.iter().filter(|v| v.counts()).collect();
        by_level.sort_by_key(|v| v.level);
        let [.., before, last] = by_level.as_slice() else {
            return None;
        };
        let (a, b) = (before.throughput?, last.throughput?);
        let grown = f64::from(last.level.get()) / f64::from(before.level.get());
        let known = [(before, a), (last, b)]
            .iter()
            .all(|(visit, per_s)| per_s * visit.hold_s >= KNEE_CYCLES);
        (known && grown > 1.5 && b / a < KNEE_GAIN * grown / 2.0).then_some(b)
    }

    /// The lowest visited level broke: look below it.
    pub(super) fn step_down(&mut self, broke: Level) -> Step {
        if broke > self.spec.min {
            let lower = Level((broke.get() / 4).max(self.spec.min.get()));
            return self.probe(lower, Purpose::Bracket);
        }
        // One noisy probe must not decide.
        let broken = bounds::visits_at(&self.visits, broke)
            .filter(|v| bounds::side(v) == Some(Side::Broke))
            .count();
        if broken < 2 {
            return self.probe(broke, Purpose::Confirm);
        }
        let reason = format!(
            "the SLO breaks even at the minimum of {}",
            self.spec.unit.count(self.spec.min)
        );
        self.done(Ending::BrokeAtMinimum, reason)
    }
}
