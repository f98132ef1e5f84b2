//! How a search ends: with a number, with an interval and no number, or with the reason why there
//! is neither.

use super::bounds::{self, Side};
use super::reasons::FULL_HOLDS;
use super::{Estimate, Order, Search, Step, Visit, diagnosis, growth};
use crate::measure::Level;
use crate::record::{Curve, Ending, Noticed, NoticedKind};
use crate::stats::fit::{Basis, Fit};
use crate::units;

/// How a search ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Conclusion {
    /// The kind of ending.
    pub ending: Ending,
    /// Why, one sentence.
    pub reason: String,
    /// Whether the interval is surely as narrow as was asked.
    pub as_narrow_as_asked: bool,
    /// The estimate, when there is one.
    pub estimate: Option<Estimate>,
    /// Index into the visits: the highest visited level at or below the breakpoint that held.
    pub last_held: Option<usize>,
    /// Index into the visits: the lowest visited level above the breakpoint that broke.
    pub first_broke: Option<usize>,
    /// What was noticed beside the number, in order of time.
    pub noticed: Vec<Noticed>,
    /// What a search of this length cannot know.
    pub unseen: Option<String>,
    /// The curves that were fitted.
    pub curves: Vec<Curve>,
}

/// An interval whose ends are so many times apart is no answer.
const NO_BRACKET: f64 = 8.0;
/// How much of a bracket without any estimate to trust: the levels of short holds, and a quarter
/// beyond.
const BEYOND: f64 = 1.25;
/// Seconds near the breakpoint after which what comes every five minutes has come, with a
/// probability of 98 % (`exp(-4)`).
const SEEN_S: f64 = 1_200.0;
/// Fewest chance events from which their rate is known well enough to call an interval precise.
const EVENTS_KNOWN: usize = 8;
/// A level is near the breakpoint from this share of it: there an event of its own would show in
/// the SLO.
const NEAR: f64 = 0.8;

impl Search {
    /// The end of a search whose interval is narrow enough.
    pub(super) fn found(&self) -> Step {
        let reason = self.estimate.as_ref().map_or_else(String::new, |e| {
            let reached = e.half_width() * 100.0;
            format!(
                "precision reached: ±{reached:.1} % ({})",
                self.against_asked(e)
            )
        });
        self.done(Ending::Found, reason)
    }

    /// Nothing was visited, and the budget is too short for the first visit.
    pub(super) fn no_room(&self, order: &Order) -> Step {
        let budget = units::format_seconds(self.spec.budget.as_secs_f64());
        let first = units::format_seconds((self.overhead_of(order) + order.hold_s).ceil());
        let level = order.level;
        let minutes = self.minutes_to_decide();
        let reason = format!(
            "no level was visited: the first visit, to {}, takes {first} with settling, more than \
             the budget of {budget}; allow about {minutes} more minutes (--budget)",
            self.spec.unit.count(level)
        );
        self.done(Ending::Undecided, reason)
    }

    pub(super) fn out_of_budget(&self) -> Step {
        let budget = units::format_seconds(self.spec.budget.as_secs_f64());
        if let Some(reason) = self.grew_too_late() {
            return self.done(Ending::Undecided, reason);
        }
        let Some(estimate) = self.interval() else {
            let minutes = self.minutes_to_decide();
            return self.done(
                Ending::Undecided,
                format!(
                    "the budget of {budget} ran out before the breakpoint was bracketed; allow \
                    about {minutes} more minutes (--budget)"
                ),
            );
        };
        if !self.ceiling_is_firm() {
            let minutes = self.minutes_to_decide();
            let above = match self.broken_levels() {
                0 => "a short hold that was too close to call".to_owned(),
                1 => "a short hold that broke by a small margin, as any level may".to_owned(),
                n => {
                    format!("short holds that broke at {n} levels, none of them conclusively")
                }
            };
            return self.done(
                Ending::Undecided,
                format!(
                    "the budget of {budget} ran out with no firm upper bound, only {above}; \
                    allow about {minutes} more minutes (--budget)"
                ),
            );
        }
        if let Some(reason) = self
            .ceiling_is_contradicted()
            .or_else(|| self.ceiling_is_refuted(&estimate))
            .or_else(|| self.served_more_above(&estimate))
        {
            return self.done(Ending::Undecided, reason);
        }
        if let Some(reason) = self.nothing_breaks_clearly(&estimate) {
            return self.done(Ending::Undecided, reason);
        }
        let half_width = estimate.half_width();
        if estimate.high > NO_BRACKET * estimate.low {
            let minutes = self.minutes_to_decide();
            return self.done(
                Ending::Undecided,
                format!(
                    "the budget of {budget} ran out with an interval of ±{:.0} %; allow about \
                    {minutes} more minutes (--budget)",
                    half_width * 100.0
                ),
            );
        }
        if let Some(why) = self.no_number(&estimate) {
            return self.done(
                Ending::Bracketed,
                format!("{budget} is too short for a single number: {why}"),
            );
        }
        let text = format!(
            "the budget of {budget} is spent: reached ±{:.1} % ({})",
            half_width * 100.0,
            self.against_asked(&estimate)
        );
        self.done(Ending::Found, text)
    }

    /// The estimate, or what the bracket alone says.
    fn interval(&self) -> Option<Estimate> {
        self.estimate.clone().or_else(|| self.bracket_alone())
    }

    /// Between two levels, with nothing to say where.
    fn bracket_alone(&self) -> Option<Estimate> {
        let bounds = bounds::relevant(&self.visits);
        let low = f64::from(bounds.held?.get()) / BEYOND;
        let high = f64::from(bounds.broke?.get()) * BEYOND;
        let vus = (low * high).sqrt();
        let objectives = 0..self.links.len();
        let binding = objectives.clone().find(|i| self.breaks(*i)).unwrap_or(0);
        Some(Estimate {
            binding,
            vus,
            low,
            high,
            fit: Fit::unknown(vus, low, high),
        })
    }

    /// Whether some visit broke this objective.
    fn breaks(&self, objective: usize) -> bool {
        let evidence = |v: &Visit| v.evidence.get(objective).copied();
        (self.visits.iter().filter(|v| v.counts()))
            .filter(|v| bounds::side(v) == Some(Side::Broke))
            .any(|v| evidence(v).is_some_and(|e| e.is_violated()))
    }

    pub(super) fn first_seen_s(&self) -> f64 {
        self.visits.first().map_or(0.0, |v| v.began_s)
    }

    /// Seconds at levels where what breaks the SLO now and then would have shown.
    fn near_s(&self, estimate: &Estimate) -> f64 {
        (self.visits.iter().filter(|v| v.counts()))
            .filter(|v| f64::from(v.level.get()) >= NEAR * estimate.low)
            .map(|v| v.flow.iter().filter(|f| f.at_level).count())
            .map(|n| u32::try_from(n).map_or(0.0, f64::from))
            .sum()
    }

    /// Whether the interval can be called as narrow as asked: by its width, by full holds on both
    /// sides of the answer, and because the search lasted long enough to have met what comes now
    /// and then.
    pub(super) fn is_sure(&self, estimate: &Estimate) -> bool {
        let events = diagnosis::chance_events(&self.visits);
        let known = events.is_none_or(|e| e.count >= EVENTS_KNOWN);
        self.precise_enough(estimate)
            && bounds::full(&self.visits, Side::Held).count() >= FULL_HOLDS
            && bounds::full(&self.visits, Side::Broke).count() >= FULL_HOLDS
            && self.near_s(estimate) >= SEEN_S
            && known
    }

    /// What was noticed beside the number.
    pub(super) fn noticed(&self) -> Vec<Noticed> {
        let mut from_s = self.first_seen_s();
        let mut out: Vec<Noticed> = Vec::new();
        for growth in &self.growths {
            out.push(growth.noticed(from_s));
            from_s = growth::Growth::after_s(growth);
        }
        out.extend(diagnosis::chance_events(&self.visits).map(|e| Noticed {
            kind: NoticedKind::ChanceEvents,
            text: e.text(self.spec.unit),
            from_s: e.first_s,
            to_s: e.last_s,
        }));
        out
    }

    /// What a search of this length cannot know.
    fn unseen(&self, estimate: &Estimate) -> Option<String> {
        let near_s = self.near_s(estimate);
        (near_s > 0.0).then(|| {
            // Of what comes every third of the time, one in twenty searches sees nothing: exp(-3).
            let gap_s = near_s / 3.0;
            format!(
                "events rarer than about one every {} (a pause, a failover, a slow phase) may not \
                 have occurred in the {} near the breakpoint",
                about(gap_s),
                about(near_s),
            )
        })
    }

    pub(super) fn done(&self, ending: Ending, reason: String) -> Step {
        Step::Done(Box::new(self.conclude(ending, reason)))
    }

    pub(super) fn conclude(&self, ending: Ending, reason: String) -> Conclusion {
        let (ending, reason) = match self.named(ending) {
            Some(named) => (named.ending, named.reason),
            None => (ending, reason),
        };
        let estimate = self.interval();
        let at = match (&estimate, ending) {
            (_, Ending::NeverBroke) => f64::INFINITY,
            (_, Ending::BrokeAtMinimum) => 0.0,
            (Some(e), _) => e.vus,
            (None, _) => bounds::relevant(&self.visits)
                .held
                .map_or(0.0, |l: Level| f64::from(l.get())),
        };
        let (last_held, first_broke) = bounds::around(&self.visits, at);
        let meaningful = matches!(
            ending,
            Ending::Found
                | Ending::Bracketed
                | Ending::Hysteresis
                | Ending::Interrupted
                | Ending::Aborted
                | Ending::GeneratorLimited
                | Ending::DataUsedUp
                | Ending::TargetDown
        );
        // A bracket without an estimate is an answer of its own and no part of another.
        let estimate = match estimate.filter(|_| meaningful) {
            Some(estimate) if ending == Ending::Bracketed => Some(estimate.as_bracket()),
            other => other.filter(|e| e.fit.basis != Basis::Bracket),
        };
        Conclusion {
            ending,
            reason,
            as_narrow_as_asked: estimate.as_ref().is_some_and(|e| self.is_sure(e)),
            last_held,
            first_broke,
            noticed: self.noticed(),
            unseen: estimate.as_ref().and_then(|e| self.unseen(e)),
            curves: self.curves(),
            estimate,
        }
    }

    /// What the search names instead of a number, if the visits show that one number would be
    /// wrong.
    fn named(&self, ending: Ending) -> Option<diagnosis::Diagnosis> {
        let estimate = self.estimate.as_ref()?;
        matches!(
            ending,
            Ending::Found | Ending::Bracketed | Ending::Undecided
        )
        .then(|| {
            diagnosis::diagnose(
                &self.visits,
                estimate.binding,
                self.alpha(estimate),
                estimate.vus,
                self.spec.unit,
            )
        })
        .flatten()
    }
}

/// A time in words, roughly.
fn about(seconds: f64) -> String {
    if seconds < 120.0 {
        format!("{:.0} s", (seconds / 10.0).ceil() * 10.0)
    } else {
        format!("{:.0} min", seconds / 60.0)
    }
}

#[cfg(test)]
mod tests;
