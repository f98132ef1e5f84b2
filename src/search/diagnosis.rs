//! Whether the answer is one number at all: a breakpoint that moves with time, depends on where the
//! load came from, or has two values must be named, not averaged.
//!
//! Every rule compares visits with one another and needs no model to fit: the *own breakpoint* of a
//! visit is the level that it points to by itself, by Little's law from the latency at which its
//! share of violations is the one allowed.

mod capacity;
mod chance;

pub(super) use capacity::Look;

use super::Visit;
use super::bounds::{self, Side};
use crate::measure::{Level, LevelUnit};
use crate::record::{Ending, Purpose};
use crate::stats::events::Exposure;
use crate::stats::tail::{self, Tail};
use capacity::Groups;
pub(super) use capacity::served_at_most;
pub(super) use chance::{chance_events, line_grows};

/// A named behaviour and what shows it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Diagnosis {
    pub(super) ending: Ending,
    pub(super) reason: String,
}

/// How far the two sides of a comparison must stand apart, as a share of the level: more than
/// visits of one level differ.
const APART: f64 = 1.03;
/// Seconds for which a higher level must have carried on where a lower one crashed, unless the
/// crash came sooner.
const SURVIVED_S: f64 = 60.0;
/// A crash in the first seconds says nothing of how long others need.
const LEAST_SURVIVED_S: f64 = 20.0;
/// Crashes come regularly when the times from start to crash agree within this share, and span more
/// than so many holds.
const REGULAR: f64 = 0.1;
const REGULAR_VISITS: f64 = 1.5;
/// Seconds since the start of the service from which a single crash may be time's doing.
const LATE_S: f64 = 240.0;
/// A crash within this share of that time, at no level beyond this ratio, says that it needs none.
const SOONER: f64 = 0.5;
const OTHER_LEVEL: f64 = 1.1;
/// Ratio of throughput per VU from which the cycles after an overload are longer than those from
/// rest.
const SLOWER: f64 = 1.06;
/// Visits after an overload that a comparison with rest needs, and visits from rest.
const AFTER_OVERLOAD: usize = 3;
const FROM_REST: usize = 2;
/// Visits after an overload before a search looks from rest.
const BEFORE_A_LOOK: usize = 2;
/// Fewest visits of a trend.
const TREND_VISITS: usize = 8;
/// Its least t statistic.
const TREND_T: f64 = 6.0;
/// Its least change over the search, as a logarithm.
const TREND_CHANGE: f64 = 0.05;

/// What the visits say of the service beyond a number; `estimate` is the breakpoint so far and
/// `objective` the binding one.
pub(super) fn diagnose(
    visits: &[Visit],
    objective: usize,
    alpha: Option<f64>,
    estimate: f64,
    unit: LevelUnit,
) -> Option<Diagnosis> {
    if let Some(named) = crashes(visits, unit) {
        return Some(named);
    }
    if unit.is_open() {
        // The rest compares capacities by what closed users get done; at a rate of arrivals as much
        // ends as begins.
        return None;
    }
    let own = alpha.map_or_else(Vec::new, |alpha| {
        own_breakpoints(visits, objective, alpha, estimate)
    });
    let blocks = capacity::blocks(visits);
    if let Some(groups) = capacity::Groups::of(&blocks, estimate) {
        // What stands at one of two values has no slope.
        return modes(&groups, &own, estimate).or_else(|| hysteresis(&own, estimate));
    }
    hysteresis(&own, estimate)
        .or_else(|| drift(&blocks, estimate))
        .or_else(|| trend(&own))
}

/// Which visit would tell whether there is hysteresis: from rest, where some visit from rest held
/// although all that came after an overload say that it should have broken, or where the capacity
/// asks for it.
pub(super) fn wanted_look(
    visits: &[Visit],
    objective: usize,
    alpha: Option<f64>,
    estimate: f64,
) -> Option<Look> {
    let own = own_breakpoints(visits, objective, alpha?, estimate);
    if sides(&own, estimate).is_some_and(|(rest, _)| rest.len() < FROM_REST) {
        return Some(Look::FromRest);
    }
    // What an overload left shows at the estimate: the visit after it is a usual one.
    if visits.last().is_some_and(|v| v.purpose == Purpose::Compare) {
        return None;
    }
    let after = own
        .iter()
        .filter(|o| o.history == LoadHistory::Overload)
        .count();
    let made = |from_rest: bool| {
        let looks = visits.iter().filter(|v| v.purpose == Purpose::Compare);
        looks
            .filter(|v| (v.from == Level::ZERO) == from_rest)
            .count()
    };
    (after >= BEFORE_A_LOOK)
        .then(|| {
            capacity::wanted_look(&capacity::blocks(visits), estimate, made(true), made(false))
        })
        .flatten()
}

/// Where the load came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LoadHistory {
    /// Only levels that held since the target was at rest.
    Rest,
    /// Some level broke since.
    Overload,
}

/// What one visit points to by itself.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Own {
    vus: f64,
    /// Its own breakpoint, or a lower bound of it where hardly anything came near the limit.
    breakpoint: f64,
    bound: bool,
    held: bool,
    history: LoadHistory,
    began_s: f64,
    /// Requests per second and VU.
    per_vu: f64,
}

fn own_breakpoints(visits: &[Visit], objective: usize, alpha: f64, estimate: f64) -> Vec<Own> {
    let mut history = LoadHistory::Rest;
    let mut out = Vec::new();
    for visit in visits.iter().filter(|v| v.counts()) {
        if visit.from == Level::ZERO {
            history = LoadHistory::Rest;
        }
        let vus = f64::from(visit.level.get());
        let tail = visit.tails.get(objective).and_then(Option::as_ref);
        if let Some(tail) = tail.filter(|t| !visit.left_early && t.requests() > 0.0)
            && (0.7..1.3).contains(&(vus / estimate))
            && let per_s = tail.requests() / visit.hold_s
            // Little's law, which takes a visit to its breakpoint here, is not that of an idle
            // service.
            && !tail::is_idle(vus, per_s, tail.limit_s, alpha)
        {
            let (_, bound) = ratio_at(tail, alpha);
            out.push(Own {
                vus,
                breakpoint: own_breakpoint(vus, visit.hold_s, tail, alpha),
                bound,
                held: bounds::side(visit) == Some(Side::Held),
                history,
                began_s: visit.began_s,
                per_vu: per_s / vus,
            });
        }
        if visit.left_early || bounds::side(visit) == Some(Side::Broke) {
            history = LoadHistory::Overload;
        }
    }
    out
}

/// The level that a visit points to by itself: `N + X L (1 - r)` by Little's law, `r` being the
/// latency, in limits, that a share of `alpha` reaches.
pub(super) fn own_breakpoint(vus: f64, hold_s: f64, tail: &Tail, alpha: f64) -> f64 {
    vus + tail.requests() / hold_s * tail.limit_s * (1.0 - ratio_at(tail, alpha).0)
}

/// The latency, in limits, that a share of `alpha` reaches; the second is true where even the
/// lowest threshold is above it.
fn ratio_at(tail: &Tail, alpha: f64) -> (f64, bool) {
    let shares = tail.shares();
    let mut before: Option<(f64, f64)> = None;
    for (ratio, share) in shares {
        if share >= alpha {
            return match before {
                // Between two thresholds on a logarithmic scale of shares.
                Some((higher, less)) if less > 0.0 => {
                    let part = (alpha / less).ln() / (share / less).ln();
                    (higher + (ratio - higher) * part, false)
                }
                Some((higher, _)) => (f64::midpoint(higher, ratio), false),
                None => (ratio, false),
            };
        }
        before = Some((ratio, share));
    }
    (before.map_or(1.0, |(ratio, _)| ratio), true)
}

/// A visit in which the target stopped answering.
struct Crash<'a> {
    visit: &'a Visit,
    /// Seconds at the level by then.
    after_s: f64,
    /// Seconds since the target was started, by a reset or after the crash before.
    uptime_s: f64,
}

/// The crashes that are the visit's own: one on the way down from a higher level is a remnant of
/// that.
fn own_crashes(visits: &[Visit]) -> Vec<Crash<'_>> {
    let mut started_s = 0.0;
    let mut out = Vec::new();
    for visit in visits.iter().filter(|v| v.counts()) {
        if visit.from == Level::ZERO {
            started_s = visit.began_s;
        }
        let Some(crashed_s) = visit.crashed_after_s else {
            continue;
        };
        let after_s = crashed_s - capacity::ramp_s(visit);
        let at_s = visit.began_s + crashed_s;
        if after_s > 0.0 || visit.from < visit.level {
            out.push(Crash {
                visit,
                after_s,
                uptime_s: at_s - started_s,
            });
        }
        started_s = at_s;
    }
    out
}

/// How long a visit lasted at its level.
fn lasted_s(visit: &Visit) -> f64 {
    match visit.crashed_after_s {
        Some(crashed) => crashed - capacity::ramp_s(visit),
        None => visit.hold_s,
    }
}

/// Crashes that come after the same time since the start, whatever was visited meanwhile, although
/// a level as high lasted: time kills it. A crash that merely contradicts a higher level that
/// lasted comes by chance, and the fit of events knows how to weigh that
/// ([`crate::stats::events`]).
fn crashes(visits: &[Visit], unit: LevelUnit) -> Option<Diagnosis> {
    let own = own_crashes(visits);
    let spans_visits = |c: &Crash| c.uptime_s > REGULAR_VISITS * c.visit.hold_s;
    // All that came agree: of many by chance some two do.
    let regular = |c: &Crash| {
        let others = || {
            (own.iter())
                .filter(|other| !std::ptr::eq(c.visit, other.visit))
                .filter(|other| spans_visits(other))
        };
        let agrees = |other: &Crash| (c.uptime_s / other.uptime_s - 1.0).abs() < REGULAR;
        spans_visits(c) && others().next().is_some() && others().all(agrees)
    };
    // One that came when the service had been up for longer than ever, at a level that it had
    // carried with more to spare.
    let longest_s = most(own.iter().map(|c| c.uptime_s));
    let sooner = |c: &Crash| {
        own.iter().any(|other| {
            other.uptime_s < SOONER * c.uptime_s
                && f64::from(other.visit.level.get()) < OTHER_LEVEL * f64::from(c.visit.level.get())
        })
    };
    let late = |c: &Crash| c.uptime_s >= LATE_S && c.uptime_s >= longest_s;
    let contradicted = own.iter().filter(|c| !sooner(c)).filter_map(|crash| {
        let apart = match (regular(crash), late(crash)) {
            (true, _) => 1.0,
            (false, true) => APART,
            (false, false) => return None,
        };
        let above = f64::from(crash.visit.level.get()) * apart;
        let needed = crash.after_s.clamp(LEAST_SURVIVED_S, SURVIVED_S);
        let better = (visits.iter().filter(|v| v.counts()))
            .filter(|v| f64::from(v.level.get()) >= above)
            .filter(|v| lasted_s(v) >= needed)
            .max_by_key(|v| v.level)?;
        Some((crash, better)).filter(|(crash, better)| !std::ptr::eq(crash.visit, *better))
    });
    let (crash, better) = contradicted.min_by_key(|(crash, _)| crash.visit.level)?;
    let when = if regular(crash) {
        "each time about as long after its start: time causes it, not the level; look for a leak"
            .to_owned()
    } else {
        format!(
            "after {:.0} minutes without a restart: time or chance caused it, not the level",
            crash.uptime_s / 60.0
        )
    };
    Some(Diagnosis {
        ending: Ending::TimeDriven,
        reason: format!(
            "it crashed at {} although it had survived {}, {when}",
            unit.count(crash.visit.level),
            unit.count(better.level)
        ),
    })
}

/// The visits as far as crashes are concerned: how long each lasted at its level, and whether a
/// crash of its own ended it.
pub(super) fn exposures(visits: &[Visit]) -> Vec<Exposure> {
    let own = own_crashes(visits);
    let of = |visit: &Visit| {
        let crash = own.iter().find(|c| std::ptr::eq(c.visit, visit));
        let at_level = visit.flow.iter().filter(|f| f.at_level).count();
        #[expect(clippy::cast_precision_loss, reason = "a count of seconds")]
        let seconds = match crash {
            Some(crash) => crash.after_s.max(0.5),
            // A remnant of a higher level says nothing.
            None if visit.crashed_after_s.is_some() => return None,
            None => (at_level as f64).max(visit.hold_s),
        };
        Some(Exposure {
            vus: f64::from(visit.level.get()),
            seconds,
            event: crash.is_some(),
        })
    };
    visits
        .iter()
        .filter(|v| v.counts())
        .filter_map(of)
        .collect()
}

/// The visits from rest that held and those after an overload, when all of the first stand above
/// all of the second.
///
/// A visit from rest that broke at the estimate refutes that: whoever comes from rest then breaks
/// there too, and asking again would only spend the budget.
fn sides(own: &[Own], estimate: f64) -> Option<(Vec<&Own>, Vec<&Own>)> {
    let refutes = |o: &Own| o.history == LoadHistory::Rest && !o.held && o.vus <= APART * estimate;
    if own.iter().any(refutes) {
        return None;
    }
    let after: Vec<&Own> = own
        .iter()
        .filter(|o| o.history == LoadHistory::Overload)
        .collect();
    let highest = most(after.iter().map(|o| o.breakpoint));
    let rest: Vec<&Own> = (own.iter())
        .filter(|o| o.history == LoadHistory::Rest && o.held)
        // Far below, a visit only says that the breakpoint is higher than that.
        .filter(|o| !o.bound || o.breakpoint > APART * highest)
        .collect();
    let lowest = least(rest.iter().map(|o| o.breakpoint));
    // Rare bursts move the tail alone. What an overload left behind makes every cycle longer, also
    // at a lower level.
    let reached = most(rest.iter().map(|o| o.vus));
    let rate = least(rest.iter().map(|o| o.per_vu));
    let slower = (after.iter()).any(|o| o.vus <= reached && o.per_vu * SLOWER < rate);
    (!rest.is_empty() && after.len() >= AFTER_OVERLOAD && lowest > APART * highest && slower)
        .then_some((rest, after))
}

/// A number of VUs in words.
fn closed(vus: f64) -> String {
    LevelUnit::Vus.count(Level::nearest(vus))
}

fn hysteresis(own: &[Own], estimate: f64) -> Option<Diagnosis> {
    let (rest, _) = sides(own, estimate)?;
    if rest.len() < FROM_REST {
        return None;
    }
    let carried = most(rest.iter().map(|o| o.vus));
    Some(name_hysteresis(carried, estimate))
}

fn name_hysteresis(carried: f64, estimate: f64) -> Diagnosis {
    Diagnosis {
        ending: Ending::Hysteresis,
        reason: format!(
            "it carries at least {} from idle, but only {} after an overload: once overloaded, it \
             stays slow until drained",
            closed(carried),
            closed(estimate),
        ),
    }
}

/// Two capacities that neither level nor time nor history tells apart, or one before an overload
/// and another after it.
fn modes(groups: &Groups, own: &[Own], estimate: f64) -> Option<Diagnosis> {
    if groups.shows_hysteresis() {
        let carried = most(groups.fast.iter().map(|b| b.vus));
        return Some(name_hysteresis(carried, estimate));
    }
    let (slow, fast) = groups.per_s();
    groups.are_modes().then(|| {
        let held = |of: f64| {
            let by_visit = own.iter().filter(|o| !o.bound);
            let near =
                by_visit.filter(|o| (o.per_vu * o.vus / of).ln().abs() < (fast / slow).ln() / 3.0);
            mean(near.map(|o| o.breakpoint))
        };
        let point = match (held(slow), held(fast)) {
            (low, high) if low.is_finite() && high.is_finite() => {
                format!(" ({} and {})", closed(low), closed(high))
            }
            _ => String::new(),
        };
        Diagnosis {
            ending: Ending::Bimodal,
            reason: format!(
                "it has two modes: the same load is served at {slow:.1} cycles/s at times and at \
                 {fast:.1} at others{point}; rely only on the slower one",
            ),
        }
    })
}

/// The capacity against time.
fn drift(blocks: &[capacity::Block], estimate: f64) -> Option<Diagnosis> {
    let drift = capacity::drift(blocks, estimate)?;
    Some(Diagnosis {
        ending: Ending::TimeDriven,
        reason: format!(
            "its capacity changed by {:+.1} % during {:.0} minutes of search: the breakpoint \
             drifts over time",
            drift.change.exp_m1() * 100.0,
            drift.seconds / 60.0
        ),
    })
}

/// The visits' own breakpoints against time.
fn trend(own: &[Own]) -> Option<Diagnosis> {
    let points: Vec<(f64, f64)> = own
        .iter()
        .filter(|o| !o.bound)
        .map(|o| (o.began_s, o.breakpoint.max(1.0).ln()))
        .collect();
    if points.len() < TREND_VISITS {
        return None;
    }
    let (at, y) = (
        mean(points.iter().map(|p| p.0)),
        mean(points.iter().map(|p| p.1)),
    );
    let spread: f64 = points.iter().map(|p| (p.0 - at).powi(2)).sum();
    let slope = points.iter().map(|p| (p.0 - at) * (p.1 - y)).sum::<f64>() / spread;
    let left: f64 = points
        .iter()
        .map(|p| (p.1 - y - slope * (p.0 - at)).powi(2))
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "a count of visits")]
    let error = (left / (points.len() as f64 - 2.0) / spread).sqrt();
    let (first, last) = (points[0].0, points[points.len() - 1].0);
    let change = slope * (last - first);
    if slope.abs() < TREND_T * error || change.abs() < TREND_CHANGE {
        return None;
    }
    Some(Diagnosis {
        ending: Ending::TimeDriven,
        reason: format!(
            "the breakpoint moved by {:+.0} % during {:.0} minutes of search: it drifts over time",
            change.exp_m1() * 100.0,
            (last - first) / 60.0
        ),
    })
}

fn least(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::INFINITY, f64::min)
}

fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(f64::NEG_INFINITY, f64::max)
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut n) = (0.0, 0.0);
    for value in values {
        sum += value;
        n += 1.0;
    }
    sum / n
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Purpose;
    use crate::slo::Verdict;

    fn visit(vus: u32, crashed_after_s: Option<f64>) -> Visit {
        Visit {
            probe: 0,
            level: Level(vus),
            from: Level(1),
            began_s: 0.0,
            crashed_after_s,
            purpose: Purpose::Refine,
            verdict: if crashed_after_s.is_some() {
                Verdict::Broke
            } else {
                Verdict::Held
            },
            valid: true,
            left_early: false,
            evidence: Vec::new(),
            tails: Vec::new(),
            throughput: None,
            latency: None,
            hold_s: 70.0,
            cost_s: 80.0,
            flow: Vec::new(),
            outgrown: false,
            earlier: false,
            overflows: false,
        }
    }

    /// Visits one after the other, 80 s each; the target is restarted by its crash.
    fn in_a_row(visits: &[(u32, Option<f64>)]) -> Vec<Visit> {
        (0_u32..)
            .zip(visits)
            .map(|(i, (vus, crashed_after_s))| Visit {
                began_s: 80.0 * f64::from(i),
                ..visit(*vus, *crashed_after_s)
            })
            .collect()
    }

    fn named(visits: &[(u32, Option<f64>)]) -> Option<String> {
        let named = diagnose(&in_a_row(visits), 0, None, 1_000.0, LevelUnit::Vus)?;
        assert_eq!(named.ending, Ending::TimeDriven);
        Some(named.reason)
    }

    #[test]
    fn crashes_as_long_after_each_start_are_not_the_levels() {
        // After 130 s and after 125 s, although 1 000 VUs lasted.
        let leak = [
            (1_000, None),
            (900, Some(50.0)),
            (1_000, None),
            (900, Some(15.0)),
        ];
        let reason = named(&leak).unwrap();
        assert!(
            reason.contains("900 VUs") && reason.contains("look for a leak"),
            "{reason}"
        );
        // As irregular ones they come by chance, which is for the fit of events to weigh.
        let mut irregular = leak;
        irregular[3].1 = Some(60.0);
        assert_eq!(named(&irregular), None);
        // Nor is it time where nothing as high lasted: after 175 s and after 164 s.
        let limit = [
            (800, None),
            (800, None),
            (900, Some(15.0)),
            (800, None),
            (900, Some(19.0)),
        ];
        assert_eq!(named(&limit), None);
        let mut leak = limit;
        leak[0].0 = 900;
        assert!(named(&leak).is_some());
    }

    #[test]
    fn a_single_crash_below_a_level_that_lasted_comes_by_chance_but_after_the_longest_time() {
        let early = [(1_000, None), (900, Some(40.0))];
        assert_eq!(named(&early), None);
        let late = [(1_000, None), (900, None), (900, None), (900, Some(40.0))];
        let reason = named(&late).unwrap();
        assert!(
            reason.contains("after 5 minutes without a restart"),
            "{reason}"
        );
        // The same crash above everything that lasted, or hardly below it, is what a limit looks
        // like.
        for crash in [1_050, 985] {
            let mut visits = late;
            visits[3].0 = crash;
            assert_eq!(named(&visits), None, "{crash}");
        }
    }

    fn own(vus: f64, breakpoint: f64, history: LoadHistory, per_vu: f64) -> Own {
        Own {
            vus,
            breakpoint,
            bound: false,
            held: history == LoadHistory::Rest,
            history,
            began_s: 0.0,
            per_vu,
        }
    }

    #[test]
    fn hysteresis_shows_in_the_breakpoint_and_in_the_cycle() {
        let visits = |slow: f64| {
            let after = |vus| own(vus, 890.0, LoadHistory::Overload, slow);
            let mut all = vec![after(870.0), after(890.0), after(920.0)];
            all.extend([own(905.0, 1_040.0, LoadHistory::Rest, 0.175); 2]);
            all
        };
        assert_eq!(
            hysteresis(&visits(0.155), 890.0).unwrap().ending,
            Ending::Hysteresis
        );
        // Longer tails without longer cycles are bursts.
        assert_eq!(hysteresis(&visits(0.174), 890.0), None);
        // Who breaks at the estimate from rest as well has none.
        let mut refuted = visits(0.155);
        refuted.push(Own {
            held: false,
            ..own(895.0, 880.0, LoadHistory::Rest, 0.155)
        });
        assert_eq!(hysteresis(&refuted, 890.0), None);
        assert_eq!(
            sides(&refuted[..4], 890.0).map(|(rest, _)| rest.len()),
            Some(1)
        );
        assert!(sides(&[&refuted[..4], &refuted[5..]].concat(), 890.0).is_none());
        // One visit from rest is too few.
        assert_eq!(hysteresis(&visits(0.155)[..4], 890.0), None);
    }

    #[test]
    fn a_breakpoint_that_falls_with_every_visit_drifts() {
        let at = |i: u32| Own {
            began_s: f64::from(i) * 100.0,
            ..own(
                1_000.0,
                1_000.0 - 10.0 * f64::from(i),
                LoadHistory::Rest,
                0.15,
            )
        };
        let drifting: Vec<Own> = (0..10).map(at).collect();
        assert_eq!(trend(&drifting).unwrap().ending, Ending::TimeDriven);
        let level: Vec<Own> = drifting
            .iter()
            .enumerate()
            .map(|(i, o)| Own {
                breakpoint: 1_000.0 + if i % 2 == 0 { 20.0 } else { -20.0 },
                ..*o
            })
            .collect();
        assert_eq!(trend(&level), None);
    }
}
