//! How a search ends: with a number, with an interval and no number, or with the reason why there is neither.

use std::collections::BTreeSet;

use super::bounds::{self, Side};
use super::{Conclusion, Estimate, MIN_VISITS, Order, Search, Step, Visit, diagnosis, growth};
use crate::measure::Level;
use crate::record::{Ending, Noticed, NoticedKind};
use crate::slo::{Evidence, Verdict};
use crate::stats::fit::{Basis, Fit};
use crate::units;

/// A half-width from which an interval names no number: its middle would be a guess.
const NUMBER: f64 = 0.25;
/// Fewest full holds that a number rests on.
const FULL_HOLDS: usize = 2;
/// An interval whose ends are so many times apart is no answer.
const NO_BRACKET: f64 = 8.0;
/// How much of a bracket without any estimate to trust: the levels of short holds, and a quarter beyond.
const BEYOND: f64 = 1.25;
/// By how much a bracket reaches beyond what its curve, or its levels, say to either side. Where full holds do not stand on both sides
/// yet, the curve's shape is still that of the prior and a short hold may have met a cold start: of 320 brackets of systems drawn at
/// random 87 % held the truth and 92 % of them with this, while numbers, which rest on more, came to 94 % by themselves
/// (the calibration half of seed 77).
const RESERVE: f64 = 1.35;
/// Levels above an estimate up to which one must have been seen to break clearly, as multiples of it, and how clearly: standard
/// deviations of a count above what is allowed.
const CLEARLY: (f64, f64) = (2.2, 3.0);
/// Share of the requests of a short hold that are bad beyond doubt.
const FIRM: f64 = 0.15;
/// Seconds near the breakpoint after which what comes every five minutes has come, with a probability of 98 % (`exp(-4)`).
const SEEN_S: f64 = 1_200.0;
/// Fewest chance events from which their rate is known well enough to call an interval precise.
const EVENTS_KNOWN: usize = 8;
/// How much more a level that held is served than one that broke below it, for them to be of two services: as much as makes a growth
/// ([`super::growth`]).
const SERVED_MORE: f64 = 1.3;
/// A level is near the breakpoint from this share of it: there an event of its own would show in the SLO.
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

    /// What a half-width is beside the one asked for, in words.
    fn against_asked(&self, estimate: &Estimate) -> String {
        let asked = self.spec.precision * 100.0;
        if self.is_sure(estimate) {
            format!("requested ±{asked:.1} %")
        } else if estimate.half_width() <= self.spec.precision {
            format!("requested ±{asked:.1} %, not yet certain")
        } else {
            format!("requested ±{asked:.1} %")
        }
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

    /// Whether some level above was broken by a full hold, or by a short one beyond doubt. A few bad requests in a few seconds say
    /// nothing where some requests are always late.
    fn ceiling_is_firm(&self) -> bool {
        let beyond_doubt = |v: &Visit| {
            v.overran()
                || v.overflows
                || v.evidence.iter().any(|e| match *e {
                    Evidence::Share { bad, total, .. } => bad > FIRM * total,
                    Evidence::LogRatio(_) | Evidence::Side { .. } => e.is_violated(),
                    Evidence::None => false,
                })
        };
        (self.visits.iter().filter(|v| v.counts()))
            .filter(|v| bounds::side(v) == Some(Side::Broke))
            .any(|v| bounds::is_full(v) || beyond_doubt(v))
    }

    /// At how many levels a hold broke; what only leaned to it did not.
    fn broken_levels(&self) -> usize {
        let leaned = |v: &&Visit| v.verdict == Verdict::Undecided;
        let broken = (self.visits.iter())
            .filter(|v| v.counts() && bounds::side(v) == Some(Side::Broke))
            .filter(|v| !leaned(v))
            .map(|v| v.level);
        broken.collect::<BTreeSet<Level>>().len()
    }

    /// Why the upper bound is none, where only a short hold broke it and the last full hold below held so well that the breakpoint
    /// must lie above it: it met a cold start, or a service that has grown since.
    fn ceiling_is_contradicted(&self) -> Option<String> {
        let broke = bounds::relevant(&self.visits).broke?;
        let full: Vec<&Visit> = (self.visits.iter())
            .filter(|v| v.counts() && bounds::is_full(v))
            .collect();
        self.is_far_below(&full, broke).then(|| {
            format!(
                "the budget of {} ran out before a full hold at {}, where a short one broke: the \
                 holds below it were so fast that the breakpoint must be higher by now; allow \
                 about {} more minutes (--budget)",
                units::format_seconds(self.spec.budget.as_secs_f64()),
                self.spec.unit.count(broke),
                self.minutes_to_decide(),
            )
        })
    }

    /// Why there is no upper bound, where full holds held at every level that ever broke: what broke it then came by chance or is gone,
    /// and nothing that was visited is too much.
    fn ceiling_is_refuted(&self, estimate: &Estimate) -> Option<String> {
        if matches!(estimate.fit.basis, Basis::Events | Basis::Law) {
            // These weigh what came by chance, or know the limit by more than the levels that broke.
            return None;
        }
        let broken = |v: &&Visit| v.counts() && bounds::side(v) == Some(Side::Broke);
        let highest = self.visits.iter().filter(broken).map(|v| v.level).max()?;
        let held = bounds::full(&self.visits, Side::Held)
            .map(|v| v.level)
            .max()?;
        (held >= highest).then(|| {
            format!(
                "the budget of {} ran out with no level that reliably breaks: {} broke, but {} \
                 held for a full hold; allow about {} more minutes (--budget)",
                units::format_seconds(self.spec.budget.as_secs_f64()),
                self.spec.unit.count(highest),
                self.spec.unit.count(held),
                self.minutes_to_decide(),
            )
        })
    }

    /// Why the interval is none, where a level above it held and was served more than what broke in between: that broke a slower
    /// service than the one that held, such as one that had just been started anew, and nobody knows yet which of them stays.
    pub(super) fn served_more_above(&self, estimate: &Estimate) -> Option<String> {
        if matches!(estimate.fit.basis, Basis::Events) {
            return None;
        }
        let counts = || self.visits.iter().filter(|v| v.counts());
        let above = |v: &&Visit| f64::from(v.level.get()) > estimate.high;
        let best = counts()
            .filter(above)
            .filter(|v| v.verdict == Verdict::Held)
            .max_by(|a, b| {
                a.throughput
                    .unwrap_or(0.0)
                    .total_cmp(&b.throughput.unwrap_or(0.0))
            })?;
        let broke = counts()
            .filter(|v| v.verdict == Verdict::Broke && v.level <= best.level)
            .filter(|v| f64::from(v.level.get()) > estimate.vus)
            .filter_map(|v| Some((v.throughput?, v.level)))
            .max_by(|a, b| a.0.total_cmp(&b.0))?;
        let per_s = best.throughput?;
        (per_s > SERVED_MORE * broke.0).then(|| {
            format!(
                "{} held at {per_s:.1} cycles/s, but {} broke at {:.1}: the service was slower \
                 then, or is slower now; allow about {} more minutes (--budget)",
                self.spec.unit.count(best.level),
                self.spec.unit.count(broke.1),
                broke.0,
                self.minutes_to_decide(),
            )
        })
    }

    /// Why there is no answer where no level above it, and not far off, was clearly more than the SLO allows. Where some requests are
    /// bad at any load, nearly as many as are allowed, any level breaks now and then, and a crossing is where chance puts it.
    pub(super) fn nothing_breaks_clearly(&self, estimate: &Estimate) -> Option<String> {
        let alpha = self.alpha(estimate)?;
        let above = estimate.vus..=estimate.vus * CLEARLY.0 + 1.0;
        let (mut bad, mut allowed) = (0.0, 0.0);
        for visit in self.visits.iter().filter(|v| v.counts()) {
            if visit.crashed_after_s.is_some() || visit.overflows {
                return None;
            }
            if let Some(Evidence::Share { bad: b, total, .. }) =
                visit.evidence.get(estimate.binding)
                && above.contains(&f64::from(visit.level.get()))
            {
                bad += b;
                allowed += alpha * total;
            }
        }
        let unclear = allowed > 0.0 && bad - allowed < CLEARLY.1 * allowed.max(1.0).sqrt();
        unclear.then(|| {
            let shares = bad / allowed * alpha * 100.0;
            format!(
                "the budget of {} ran out with no level that clearly breaks: {shares:.2} % of the \
                 requests are bad above {} ({:.2} % are allowed), and nearly as many at lower \
                 levels; allow about {} more minutes (--budget)",
                units::format_seconds(self.spec.budget.as_secs_f64()),
                self.spec.unit.count(Level::nearest(estimate.vus)),
                alpha * 100.0,
                self.minutes_to_decide(),
            )
        })
    }

    /// Whether some visit broke this objective.
    fn breaks(&self, objective: usize) -> bool {
        let evidence = |v: &Visit| v.evidence.get(objective).copied();
        (self.visits.iter().filter(|v| v.counts()))
            .filter(|v| bounds::side(v) == Some(Side::Broke))
            .any(|v| evidence(v).is_some_and(|e| e.is_violated()))
    }

    /// Why the interval names no number, if it does not.
    fn no_number(&self, estimate: &Estimate) -> Option<String> {
        let full = |of: Side| bounds::full(&self.visits, of).count();
        let (held, broke) = (full(Side::Held), full(Side::Broke));
        if estimate.fit.basis == Basis::Bracket {
            return Some("no curve fits the visits yet".to_owned());
        }
        if held + broke < FULL_HOLDS {
            return Some(match held + broke {
                0 => "no full hold fit in".to_owned(),
                _ => "only one full hold fit in".to_owned(),
            });
        }
        let (named_held, named_broke) = bounds::around(&self.visits, estimate.vus);
        if held > 0 && broke > 0 && (named_held.is_none() || named_broke.is_none()) {
            return Some("one side of it has no firm verdict yet".to_owned());
        }
        match (held, broke) {
            (0, _) => Some("no full hold has held yet".to_owned()),
            (_, 0) => Some("no full hold has broken yet".to_owned()),
            _ => (estimate.half_width() > NUMBER).then(|| {
                let Estimate { low, high, .. } = bracket(estimate);
                let half_width = (high - low) / (high + low) * 100.0;
                format!("the interval is ±{half_width:.0} %")
            }),
        }
    }

    /// Why there is no answer where the service grew and was not seen to break since.
    fn grew_too_late(&self) -> Option<String> {
        let growth = self.growths.last()?;
        let breaks = bounds::full(&self.visits, Side::Broke).next().is_some();
        let holds = bounds::full(&self.visits, Side::Held).next().is_some();
        (!breaks || !holds).then(|| {
            let noticed = growth.noticed(self.first_seen_s());
            format!(
                "{}; the budget of {} ran out before the new breakpoint was found (raise --budget)",
                noticed.text,
                units::format_seconds(self.spec.budget.as_secs_f64())
            )
        })
    }

    fn first_seen_s(&self) -> f64 {
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

    /// Whether the interval can be called as narrow as asked: by its width, by full holds on both sides of the answer, and
    /// because the search lasted long enough to have met what comes now and then.
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
    fn noticed(&self) -> Vec<Noticed> {
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

    /// A rough forecast: the doublings still to make and a minimal set of visits.
    fn minutes_to_decide(&self) -> u32 {
        let highest = self
            .visits
            .iter()
            .map(|v| v.level.get())
            .max()
            .unwrap_or(1)
            .max(1);
        let doublings = if bounds::relevant(&self.visits).broke.is_some() {
            0.0
        } else {
            (f64::from(self.spec.max.get()) / f64::from(highest))
                .log2()
                .max(0.0)
                .ceil()
        };
        let near = self.estimate.as_ref().map_or(0, |e| e.fit.visits);
        #[expect(clippy::cast_precision_loss, reason = "a handful of visits")]
        let visits = (MIN_VISITS.saturating_sub(near)).max(1) as f64 + doublings;
        let cost = self
            .visits
            .iter()
            .rev()
            .take(4)
            .map(|v| v.cost_s)
            .fold(20.0, f64::max);
        Level::nearest((visits * cost / 60.0).ceil()).get()
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
                | Ending::DependsOnDirection
                | Ending::Interrupted
                | Ending::Aborted
                | Ending::GeneratorLimited
                | Ending::TargetDown
        );
        // A bracket without an estimate is an answer of its own and no part of another.
        let estimate = match estimate.filter(|_| meaningful) {
            Some(estimate) if ending == Ending::Bracketed => Some(bracket(&estimate)),
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
}

/// The interval of an answer that names no number.
fn bracket(estimate: &Estimate) -> Estimate {
    Estimate {
        low: estimate.low / RESERVE,
        high: estimate.high * RESERVE,
        ..estimate.clone()
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
mod tests {
    use super::super::tests::{at, search_of, seconds};
    use super::*;
    use crate::record::Purpose::{self, Bracket, Refine};
    use crate::search::Flow;
    use crate::slo::Verdict::{Broke, Held};
    use crate::stats::tail;

    fn estimate(low: f64, high: f64) -> Estimate {
        let vus = f64::midpoint(low, high);
        let fit = Fit {
            basis: Basis::Tails,
            visits: 20,
            ..Fit::unknown(vus, low, high)
        };
        Estimate {
            binding: 0,
            vus,
            low,
            high,
            fit,
        }
    }

    fn search(visits: &[(u32, Purpose, Verdict)]) -> Search {
        search_of(visits.iter().map(|v| at(v.0, v.1, v.2)).collect())
    }

    fn ended(step: Step) -> Conclusion {
        match step {
            Step::Done(end) => *end,
            Step::Probe(order) => panic!("{order:?}"),
        }
    }

    #[test]
    fn a_bracket_without_an_estimate_is_an_interval_with_something_beyond_its_levels() {
        let visits = [(640, Bracket, Held), (1_280, Bracket, Broke)];
        let end = ended(search(&visits).out_of_budget());
        assert_eq!(end.ending, Ending::Bracketed);
        let found = end.estimate.unwrap();
        assert_eq!(
            (found.low, found.high),
            (512.0 / RESERVE, 1_600.0 * RESERVE)
        );
        assert!(!end.as_narrow_as_asked);
        assert!(
            end.reason
                .contains("too short for a single number: no curve fits"),
            "{}",
            end.reason
        );
        assert_eq!((end.last_held, end.first_broke), (Some(0), Some(1)));
        // Nor is one where a short hold was broken by a little.
        let mut rough = search(&visits);
        rough.visits[1].left_early = false;
        rough.visits[1].evidence = vec![Evidence::Share {
            bad: 100.0,
            total: 1_000.0,
            alpha: 0.01,
        }];
        let end = ended(rough.out_of_budget());
        assert_eq!((end.ending, end.estimate), (Ending::Undecided, None));
        assert!(
            end.reason.contains("broke by a small margin"),
            "{}",
            end.reason
        );
        // What was undecided did not break.
        rough.visits[1].verdict = Verdict::Undecided;
        let end = ended(rough.out_of_budget());
        assert!(
            end.reason.contains("a short hold that was too close"),
            "{}",
            end.reason
        );
        // At two levels it is no longer by chance.
        let mut twice = search(&[visits[0], visits[1], (2_000, Bracket, Broke)]);
        for visit in &mut twice.visits[1..] {
            visit.left_early = false;
            visit.evidence.clone_from(&rough.visits[1].evidence);
        }
        let end = ended(twice.out_of_budget());
        assert!(
            end.reason.contains("short holds that broke at 2 levels"),
            "{}",
            end.reason
        );
        // Its ends too far apart, or one missing: no answer.
        for visits in [
            [(100, Bracket, Held), (1_280, Bracket, Broke)],
            [(100, Bracket, Held), (200, Bracket, Held)],
        ] {
            let end = ended(search(&visits).out_of_budget());
            assert_eq!((end.ending, end.estimate), (Ending::Undecided, None));
            assert!(end.reason.contains("--budget"), "{}", end.reason);
        }
        // It is part of no other answer.
        let stopped = search(&visits).ended(Ending::Interrupted, String::new());
        assert_eq!(stopped.estimate, None);
    }

    #[test]
    fn a_ceiling_of_a_short_hold_that_the_last_full_one_contradicts_is_none() {
        // At 100 VUs and 50 a second the allowed share takes a tenth of 2 s: by Little's law 90 VUs more are carried.
        let light = |vus: u32| {
            let mut counts = tail::Counts::default();
            counts[tail::RATIOS.len()] = 1_500.0;
            Visit {
                tails: vec![Some(tail::Tail {
                    limit_s: 2.0,
                    blocks: vec![counts],
                    failed: 0.0,
                    residence: None,
                })],
                ..at(vus, Refine, Held)
            }
        };
        let ends = |broke: (u32, Purpose)| {
            let visits = vec![
                at(80, Bracket, Held),
                at(broke.0, broke.1, Broke),
                light(100),
            ];
            ended(search_of(visits).out_of_budget())
        };
        let end = ends((120, Bracket));
        assert_eq!((end.ending, end.estimate), (Ending::Undecided, None));
        assert!(
            end.reason.contains("120 VUs, where a short one broke"),
            "{}",
            end.reason
        );
        // A full hold that broke is one to believe, and so is a level that the law does not reach.
        assert_eq!(ends((120, Refine)).ending, Ending::Bracketed);
        assert_eq!(ends((400, Bracket)).ending, Ending::Bracketed);
    }

    #[test]
    fn a_level_that_broke_and_is_outdone_by_full_holds_is_no_upper_bound() {
        let visits = [(50, Bracket, Held), (51, Refine, Held), (62, Refine, Broke)];
        let end = ended(search(&visits).out_of_budget());
        assert_eq!(end.ending, Ending::Bracketed);
        let refuted = |held: u32| {
            let visits = [visits[0], visits[1], visits[2], (held, Refine, Held)];
            let end = ended(search(&visits).out_of_budget());
            assert_eq!((end.ending, end.estimate), (Ending::Undecided, None));
            let wanted = format!("62 VUs broke, but {held} VUs held");
            assert!(end.reason.contains(&wanted), "{}", end.reason);
        };
        refuted(62);
        refuted(70);
        // Something above that breaks is one again.
        let above = [&visits[..], &[(62, Refine, Held), (124, Bracket, Broke)]].concat();
        let end = ended(search(&above).out_of_budget());
        assert_eq!(end.ending, Ending::Bracketed);
    }

    #[test]
    fn a_level_above_that_held_and_was_served_more_belongs_to_another_service() {
        let served = |vus: u32, purpose: Purpose, verdict: Verdict, per_s: f64| Visit {
            throughput: Some(per_s),
            ..at(vus, purpose, verdict)
        };
        let ends = |per_s: f64| {
            let visits = vec![
                served(500, Refine, Held, 200.0),
                served(1_280, Bracket, Held, per_s),
                served(550, Refine, Held, 210.0),
                served(600, Refine, Broke, 240.0),
                served(640, Refine, Broke, 238.0),
                served(1_500, Refine, Broke, 230.0),
            ];
            ended(search_of(visits).out_of_budget())
        };
        let end = ends(520.0);
        assert_eq!((end.ending, end.estimate), (Ending::Undecided, None));
        let wanted = "1 280 VUs held at 520.0 cycles/s, but 600 VUs broke at 240.0";
        assert!(end.reason.contains(wanted), "{}", end.reason);
        // No more than what broke: it held by chance.
        assert_eq!(ends(300.0).ending, Ending::Bracketed);
    }

    #[test]
    fn a_crossing_of_shares_that_hardly_exceed_what_is_allowed_is_where_chance_puts_it() {
        let shares = |vus: u32, bad: f64| Visit {
            evidence: vec![Evidence::Share {
                bad,
                total: 2_000.0,
                alpha: 0.01,
            }],
            ..at(vus, Refine, if bad > 20.0 { Broke } else { Held })
        };
        let why = |above: &[(u32, f64)]| {
            let mut visits = vec![shares(50, 18.0), shares(90, 19.0)];
            visits.extend(above.iter().map(|(vus, bad)| shares(*vus, *bad)));
            search_of(visits).nothing_breaks_clearly(&estimate(95.0, 105.0))
        };
        let reason = why(&[(110, 26.0), (120, 30.0)]).unwrap();
        assert!(
            reason.contains("1.40 % of the requests are bad above 100 VUs (1.00 % are allowed)"),
            "{reason}"
        );
        // 39 more than the 40 that two visits allow is six standard deviations.
        assert_eq!(why(&[(110, 39.0), (120, 40.0)]), None);
        // Far above is another place; nothing seen above says nothing.
        assert!(why(&[(110, 26.0), (230, 2_000.0)]).is_some());
        assert_eq!(why(&[(110, 26.0), (220, 2_000.0)]), None);
        assert_eq!(why(&[]), None);
    }

    #[test]
    fn a_number_needs_full_holds_on_both_sides_and_a_narrow_interval() {
        let why = |visits: &[(u32, Purpose, Verdict)], low: f64, high: f64| {
            search(visits).no_number(&estimate(low, high))
        };
        let (held, broke) = ((98, Refine, Held), (103, Refine, Broke));
        let says = |visits: &[(u32, Purpose, Verdict)], expected: &str| {
            assert_eq!(why(visits, 95.0, 105.0).as_deref(), Some(expected));
        };
        says(
            &[(90, Bracket, Held), (110, Bracket, Broke)],
            "no full hold fit in",
        );
        says(&[held], "only one full hold fit in");
        says(
            &[held, held, (110, Bracket, Broke)],
            "no full hold has broken yet",
        );
        says(
            &[broke, broke, (90, Bracket, Held)],
            "no full hold has held yet",
        );
        assert_eq!(why(&[held, broke], 95.0, 105.0), None);
        assert_eq!(why(&[held, broke], 76.0, 124.0), None);
        assert_eq!(
            why(&[held, broke], 70.0, 130.0).as_deref(),
            Some("the interval is ±54 %")
        );
        let unknown = Estimate {
            fit: Fit::unknown(100.0, 95.0, 105.0),
            ..estimate(95.0, 105.0)
        };
        let unfitted = search(&[held, broke]).no_number(&unknown);
        assert_eq!(unfitted.as_deref(), Some("no curve fits the visits yet"));
    }

    /// Two full holds on each side, so many seconds each.
    fn held_for(seconds_each: usize) -> Vec<Visit> {
        [(98, Held), (98, Held), (103, Broke), (103, Broke)]
            .into_iter()
            .map(|(vus, verdict)| Visit {
                flow: seconds(seconds_each, 50.0, 10.0, 0.2),
                ..at(vus, Refine, verdict)
            })
            .collect()
    }

    #[test]
    fn an_interval_is_sure_only_after_twenty_minutes_near_the_breakpoint() {
        let narrow = estimate(98.0, 102.0);
        assert!(search_of(held_for(300)).is_sure(&narrow));
        assert!(!search_of(held_for(299)).is_sure(&narrow));
        assert!(!search_of(held_for(300)).is_sure(&estimate(90.0, 110.0)));
        assert!(
            !search_of(held_for(400)[..3].to_vec()).is_sure(&narrow),
            "one broke"
        );
        assert!(
            !search_of(held_for(400)[1..].to_vec()).is_sure(&narrow),
            "one held"
        );
        // Time far below tells nothing of it.
        let mut far = held_for(250);
        far.push(Visit {
            level: Level(78),
            ..far[0].clone()
        });
        assert!(!search_of(far.clone()).is_sure(&narrow));
        far[4].level = Level(79);
        assert!(search_of(far).is_sure(&narrow));
    }

    #[test]
    fn one_chance_event_tells_no_rate_to_be_sure_of() {
        let mut visits = held_for(400);
        let still = Flow {
            completed: 0.0,
            waited_s: 0.0,
            ..visits[0].flow[0]
        };
        visits[0].flow[100] = still;
        let narrow = estimate(98.0, 102.0);
        assert!(!search_of(visits.clone()).is_sure(&narrow));
        // Eight do.
        for second in (120..260).step_by(20) {
            visits[0].flow[second] = still;
        }
        assert!(search_of(visits).is_sure(&narrow));
    }

    #[test]
    fn the_reason_says_whether_a_narrow_interval_is_sure() {
        let reason = |visits: Vec<Visit>, low: f64, high: f64| {
            let mut search = search_of(visits);
            search.estimate = Some(estimate(low, high));
            ended(search.found()).reason
        };
        assert_eq!(
            reason(held_for(300), 98.0, 102.0),
            "precision reached: ±2.0 % (requested ±5.0 %)"
        );
        assert_eq!(
            reason(held_for(100), 98.0, 102.0),
            "precision reached: ±2.0 % (requested ±5.0 %, not yet certain)"
        );
        assert_eq!(
            reason(held_for(300), 90.0, 110.0),
            "precision reached: ±10.0 % (requested ±5.0 %)"
        );
    }

    #[test]
    fn what_may_not_have_come_is_told_by_the_time_held_near_the_breakpoint() {
        let narrow = estimate(98.0, 102.0);
        let text = search_of(held_for(75)).unseen(&narrow).unwrap();
        assert!(text.contains("rarer than about one every 100 s"), "{text}");
        assert!(text.contains("in the 5 min near the breakpoint"), "{text}");
        assert_eq!(search(&[(98, Refine, Held)]).unseen(&narrow), None);
    }
}
