//! What more time would bring to a search that ended, and how long one will take that has not
//! begun.
//!
//! The standard error of `ln N*` falls with the root of the time `T` held near the breakpoint:
//!
//! ```text
//! se = sqrt(1.14 c / (0.2 (T + 90 c))) / kappa
//! ```
//!
//! with `c` the time of a cycle, 90 cycles for what the fit takes for granted, and `kappa` how many
//! probits of the share of violations a unit of `ln N` is worth. The document docs/statistics.md
//! derives it in its section "How long it takes". A search that has an estimate knows `se` and `T`
//! and needs only the root; before a search both kinds of service are told: `kappa` is large where
//! the service is saturated when it breaks, small where it breaks by bursts before it is.

use super::pacing::HOLD_CYCLES;
use super::refine::middle;
use super::stop_rule::{MIN_VISITS_TAILS, STOP_MARGIN, StopRule};
use super::{CycleModel, Estimate, NARROW, Search, SearchSpec, Step, Visit};
use crate::measure::Level;
use crate::record::{Outlook, Purpose};
use crate::slo::Verdict;
use crate::stats::fit::Basis;
use crate::stats::student_t_quantile;
use crate::stats::tail;

/// Cycles of holding that what the fit takes for granted (the shape of the curve and Little's law)
/// is worth. A compromise fitted to two systems of the lab, `a` and `b`: half-widths from 15
/// minutes to an hour ask for about 165, those from 10 to 15 minutes for fewer.
const AHEAD_CYCLES: f64 = 90.0;
/// Seconds whose use an outlook tells.
const MORE_S: f64 = 300.0;

impl Search {
    /// Seconds held by the visits that an estimate rests on.
    pub fn held_s(&self, estimate: &Estimate) -> f64 {
        self.rests_on(estimate).map(|v| v.hold_s).sum()
    }

    /// What more time would bring to an estimate; `None` where that cannot be said.
    pub fn outlook(&self, estimate: &Estimate) -> Option<Outlook> {
        if estimate.is_step() {
            return self.next_visit(estimate);
        }
        let held_s = self.held_s(estimate);
        let pace = self.held_share(estimate)?;
        let half_width = estimate.half_width();
        // Degrees of freedom grow with the visits.
        let visits = count(estimate.fit.visits);
        let ahead_s = AHEAD_CYCLES * self.cycle_s();
        let after = |more_s: f64| {
            let more_held_s = more_s * pace;
            let narrower = (1.0 + more_held_s / (ahead_s + held_s)).sqrt();
            let more_visits = visits * (1.0 + more_held_s / held_s);
            if estimate.fit.basis == Basis::Tails {
                // What few visits leave out, and phases that did not come, go faster than the root.
                let width = |se: f64, visits: f64, held_s: f64| {
                    let visits =
                        usize::try_from(Level::nearest(visits).get()).unwrap_or(usize::MAX);
                    tail::half_width(se, visits, held_s, self.spec.confidence)
                };
                let se = estimate.fit.sigma / estimate.fit.kappa;
                let now = width(se, visits, held_s);
                // A bound that full holds have not borne out yet is, by the next ones.
                let left = (held_s / (held_s + more_held_s)).powi(3);
                let wider = 1.0 + (half_width / now - 1.0).max(0.0) * left;
                let narrower_by_itself = (half_width / now).min(1.0);
                return width(se / narrower, more_visits, held_s + more_held_s)
                    * wider
                    * narrower_by_itself;
            }
            half_width * self.t(more_visits) / self.t(visits) / narrower
        };
        if !half_width.is_finite() || held_s <= 0.0 {
            return None;
        }
        Some(Outlook::Time {
            more_s: MORE_S,
            half_width: after(MORE_S),
            asked_in_s: (!self.precise_enough(estimate)).then(|| {
                let rule = StopRule::of(estimate);
                let asked = self.asked_vus(estimate) / estimate.vus / rule.margin;
                let missing = count(rule.visits.saturating_sub(estimate.fit.visits));
                let visit_s = held_s / visits.max(1.0) / pace;
                first_within(asked, after).max(missing * visit_s)
            }),
        })
    }

    /// The visit that would come next, where it lies between the highest level that held and the
    /// lowest that broke: a step that stays where it is lies between them, and that visit narrows
    /// the gap. Where visits contradict one another the step moves, and nothing is promised.
    fn next_visit(&self, estimate: &Estimate) -> Option<Outlook> {
        let level = self
            .gap(estimate)
            .map(|(held, broke)| (middle(held, broke), held, broke));
        let (level, held, broke) = level?;
        // What is promised is what the search would do.
        let Step::Probe(next) = self.clone().wanted() else {
            return None;
        };
        let recent: Vec<f64> = (self.visits.iter().rev().take(4))
            .map(|v| v.cost_s)
            .collect();
        (next.level == level).then(|| Outlook::Visit {
            level,
            takes_s: recent.iter().sum::<f64>() / count(recent.len()),
            held,
            broke,
        })
    }

    /// The highest level that held and the lowest that broke of a step that no visit contradicts,
    /// where another fits between them. Where a short hold proves little the estimate may lie below
    /// both; the step lies between them all the same.
    pub(super) fn gap(&self, estimate: &Estimate) -> Option<(Level, Level)> {
        let of = |verdict: Verdict| {
            let visits = self.visits.iter().filter(|v| v.counts());
            visits
                .filter(move |v| v.verdict == verdict)
                .map(|v| v.level)
        };
        let (held, broke) = (of(Verdict::Held).max()?, of(Verdict::Broke).min()?);
        (estimate.is_step() && held < broke && broke.get() - held.get() > 1)
            .then_some((held, broke))
    }

    fn rests_on<'a>(&'a self, estimate: &Estimate) -> impl Iterator<Item = &'a Visit> {
        let (vus, basis) = (estimate.vus, estimate.fit.basis);
        self.visits.iter().filter(move |v| {
            let near = (f64::from(v.level.get()) / vus - 1.0).abs() < tail::NEAR;
            v.counts()
                && near
                && (!v.left_early || !matches!(basis, Basis::Tails | Basis::Capacity))
        })
    }

    /// Share of the time near the breakpoint that is held and counts; the rest is moving, settling,
    /// drain and reset.
    fn held_share(&self, estimate: &Estimate) -> Option<f64> {
        let refining = |v: &&Visit| {
            matches!(
                v.purpose,
                Purpose::Refine | Purpose::Compare | Purpose::Confirm
            )
        };
        let mut held: f64 = self
            .rests_on(estimate)
            .filter(refining)
            .map(|v| v.hold_s)
            .sum();
        let mut cost: f64 = self.visits.iter().filter(refining).map(|v| v.cost_s).sum();
        if held <= 0.0 {
            held = self.held_s(estimate);
            cost = self.rests_on(estimate).map(|v| v.cost_s).sum();
        }
        (held > 0.0 && cost > 0.0).then(|| (held / cost).min(1.0))
    }

    fn t(&self, visits: f64) -> f64 {
        student_t_quantile(0.5 + self.spec.confidence / 2.0, visits)
    }
}

/// The first time, seconds, at which a falling width is at most `asked`.
fn first_within(asked: f64, width_after: impl Fn(f64) -> f64) -> f64 {
    let (mut before, mut after) = (0.0, MORE_S);
    if width_after(before) <= asked {
        return 0.0;
    }
    while width_after(after) > asked && after < LONGEST_S {
        (before, after) = (after, after * 2.0);
    }
    for _ in 0..40 {
        let middle = f64::midpoint(before, after);
        if width_after(middle) > asked {
            before = middle;
        } else {
            after = middle;
        }
    }
    after
}

/// A month: nobody waits longer.
const LONGEST_S: f64 = 30.0 * 86_400.0;

/// How a service breaks, for what is expected of a search before it is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakKind {
    /// It is saturated when it breaks: all workers busy, a line that grows with every user.
    Saturated,
    /// It breaks by bursts before it is saturated: the line comes and goes. Systems of the lab with
    /// pauses, long service times or failures came to half-widths 1.2 to 2.8 times those told for
    /// this kind.
    Bursts,
}

impl BreakKind {
    /// Probits of the share of violations per unit of `ln N`, fitted to the half-widths of the
    /// lab's `a` and `b`.
    fn kappa(self) -> f64 {
        match self {
            Self::Saturated => 19.5,
            Self::Bursts => 5.3,
        }
    }
}

/// What to expect of a search before it is begun.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// Seconds until the search stops because the interval is as narrow as asked, if the budget
    /// allowed it.
    pub asked_s: f64,
    /// Half-width, as a fraction, after the whole budget; `None` when it ends before there is an
    /// interval.
    pub half_width: Option<f64>,
}

/// What to expect of a search against a service of this kind with a latency quantile in its SLO.
pub fn expected(
    spec: &SearchSpec,
    model: &CycleModel,
    pace_per_s: f64,
    kind: BreakKind,
) -> Expected {
    let limit_s = model.limit_s.unwrap_or(1.0);
    // Near the breakpoint: a percentile at the limit goes with a mean of about half of it.
    let cycle = model.think_s + LATENCY * limit_s;
    let (min, max) = (spec.hold_min.as_secs_f64(), spec.hold_max.as_secs_f64());
    let hold = (HOLD_CYCLES * cycle)
        .clamp(min, max.max(min))
        .max(2.0 * cycle);
    let visit = hold + settle_s(1.5 * cycle);
    let bracket = bracket_s(spec, model.think_s, cycle, pace_per_s);
    let tail = 0.5 + spec.confidence / 2.0;
    let half_width = |visits: f64| {
        let se =
            (1.14 * cycle / (0.2 * (visits * hold + AHEAD_CYCLES * cycle))).sqrt() / kind.kappa();
        let few = UNSEEN * (-visits / SEEN_VISITS).exp();
        (student_t_quantile(tail, visits) * se).hypot(few)
    };
    let mut visits = count(MIN_VISITS_TAILS);
    while half_width(visits) * STOP_MARGIN > spec.precision && visits * visit < LONGEST_S {
        visits = (visits * 1.02).max(visits + 1.0);
    }
    let in_budget = (spec.budget.as_secs_f64() - bracket) / visit;
    Expected {
        asked_s: bracket + visits * visit,
        half_width: (in_budget >= FEWEST_VISITS).then(|| half_width(in_budget)),
    }
}

/// What few visits leave open beside their own spread: bounds that no full hold has borne out yet,
/// and phases that did not come. As a fraction of the breakpoint, and the visits in which it falls
/// by the factor `e`; fitted to the half-widths of the lab's `a` and `b` after 8 to 15 minutes.
const UNSEEN: f64 = 0.3;
const SEEN_VISITS: f64 = 3.4;
/// Visits below which there is no interval to speak of.
const FEWEST_VISITS: f64 = 2.0;
/// Mean latency near the breakpoint as a share of the limit.
const LATENCY: f64 = 0.5;
/// Longest step of the settle detector's least window.
const SETTLE_S: f64 = 6.0;

fn settle_s(asked: f64) -> f64 {
    asked.max(SETTLE_S)
}

/// Doublings from the start, then halvings of the last one until it is narrow. Where between start
/// and maximum it breaks is not known: the middle of the doublings stands for it.
fn bracket_s(spec: &SearchSpec, think_s: f64, cycle: f64, pace_per_s: f64) -> f64 {
    let (start, max) = (f64::from(spec.start.get()), f64::from(spec.max.get()));
    let breaks = (start * max).sqrt();
    let doublings = (breaks / start).max(1.0).log2().ceil() + 1.0;
    let short = think_s.max(1.0);
    let step_up = settle_s(short) + short.clamp(6.0, 30.0);
    let halvings = (2.0_f64.ln() / NARROW.ln()).log2().ceil().max(0.0);
    let narrow = settle_s(1.5 * cycle) + (2.0 * cycle).clamp(15.0, 40.0);
    doublings * step_up + halvings * narrow + 2.0 * breaks / pace_per_s
}

#[expect(clippy::cast_precision_loss, reason = "counts of visits")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn spec(budget_s: u64, precision: f64) -> SearchSpec {
        SearchSpec {
            budget: Duration::from_secs(budget_s),
            precision,
            ..SearchSpec::default()
        }
    }

    /// What `breakpoint lab` measured with 30 searches each, in % of the breakpoint: `a` (8
    /// servers, 50 ms, think 5 s) is saturated when it breaks, `b` (1 server, 100 ms, think 10 s)
    /// breaks by bursts; both below p99 of 2 s.
    const MEASURED: [(u64, f64, f64); 5] = [
        (480, 9.1, 20.7),
        (600, 5.8, 15.7),
        (900, 2.6, 9.5),
        (1_800, 1.5, 6.2),
        (3_600, 1.1, 5.2),
    ];

    fn model(think_s: f64) -> CycleModel {
        CycleModel {
            think_s,
            limit_s: Some(2.0),
        }
    }

    #[test]
    fn the_expected_widths_are_those_of_the_laboratory() {
        for (budget_s, a, b) in MEASURED {
            for (kind, think_s, measured) in
                [(BreakKind::Saturated, 5.0, a), (BreakKind::Bursts, 10.0, b)]
            {
                let expected = expected(&spec(budget_s, 0.05), &model(think_s), 50.0, kind);
                let told = 100.0 * expected.half_width.unwrap_or(f64::INFINITY);
                println!("{kind:?} {budget_s} s: told +-{told:.1} %, measured +-{measured} %");
                assert!(
                    (told / measured).ln().abs() < 0.4,
                    "{kind:?} {budget_s}: {told}"
                );
            }
        }
    }

    /// Seconds to a precision in the same laboratory, the budget aside.
    const TOOK: [(BreakKind, f64, f64, f64); 3] = [
        (BreakKind::Saturated, 5.0, 0.05, 749.0),
        (BreakKind::Saturated, 5.0, 0.02, 3_670.0),
        (BreakKind::Bursts, 10.0, 0.05, 18_518.0),
    ];

    #[test]
    fn the_expected_times_are_those_of_the_laboratory() {
        for (kind, think_s, precision, took_s) in TOOK {
            let told_s = expected(&spec(900, precision), &model(think_s), 50.0, kind).asked_s;
            println!("{kind:?} {precision}: told {told_s:.0} s, took {took_s} s");
            assert!(
                (told_s / took_s).ln().abs() < 0.4,
                "{kind:?} {precision}: {told_s}"
            );
        }
    }

    #[test]
    fn more_precision_takes_longer_and_no_budget_gives_nothing() {
        let of = |precision| {
            expected(&spec(900, precision), &model(5.0), 50.0, BreakKind::Bursts).asked_s
        };
        assert!(of(0.01) > of(0.02) && of(0.02) > of(0.05) && of(0.05) > of(0.2));
        // Even the coarsest rests on the fewest visits.
        assert!((of(0.5) - of(0.9)).abs() < 1e-9);
        let short = expected(&spec(60, 0.05), &model(5.0), 50.0, BreakKind::Saturated);
        assert_eq!(short.half_width, None);
    }

    #[test]
    fn a_width_is_reached_where_its_curve_crosses_it() {
        let width = |more_s: f64| 0.1 / (1.0 + more_s / 100.0).sqrt();
        assert!((first_within(0.05, width) - 300.0).abs() < 1.0);
        assert!(first_within(0.2, width).abs() < 1e-9);
        assert!(first_within(0.0, width) >= LONGEST_S, "never");
    }
}
