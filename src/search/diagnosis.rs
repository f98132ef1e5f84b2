//! Whether the answer is one number at all: a breakpoint that moves with time, depends on where the load came from, or has
//! two values must be named, not averaged.
//!
//! Every rule compares visits with one another and needs no model to fit: the *own breakpoint* of a visit is the level that it
//! points to by itself, by Little's law from the latency at which its share of violations is the one allowed.

use super::Visit;
use super::bounds::{self, Side};
use crate::measure::Level;
use crate::record::Ending;
use crate::stats::tail::Tail;

/// A named behaviour and what shows it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Diagnosis {
    pub(super) ending: Ending,
    pub(super) reason: String,
}

/// How far the two sides of a comparison must stand apart, as a share of the level: more than visits of one level differ.
const APART: f64 = 1.03;
/// Seconds for which a higher level must have carried on where a lower one crashed, unless the crash came sooner.
const SURVIVED_S: f64 = 60.0;
/// A crash in the first seconds says nothing of how long others need.
const LEAST_SURVIVED_S: f64 = 20.0;
/// Ratio of throughput per VU from which the cycles after an overload are longer than those from rest.
const SLOWER: f64 = 1.06;
/// Visits after an overload that a comparison of directions needs, and visits from rest.
const AFTER_OVERLOAD: usize = 3;
const FROM_REST: usize = 2;
/// Fewest visits of a trend, its t statistic, and its least change over the search.
const TREND: (usize, f64, f64) = (8, 4.5, 0.05);
/// Two modes: fewest visits of each, least distance of their own breakpoints as a share of the estimate, and least ratio of
/// throughput per VU.
const MODES: (usize, f64, f64) = (2, 0.10, 1.12);

/// What the visits say of the service beyond a number; `estimate` is the breakpoint so far and `objective` the binding one.
pub(super) fn diagnose(
    visits: &[Visit],
    objective: usize,
    alpha: Option<f64>,
    estimate: f64,
) -> Option<Diagnosis> {
    crashes(visits).or_else(|| {
        let own = own_breakpoints(visits, objective, alpha?, estimate);
        direction(&own, estimate)
            .or_else(|| modes(&own, estimate))
            .or_else(|| trend(&own))
    })
}

/// Whether a visit from rest at the estimate would tell if the breakpoint depends on the direction: some visit from rest held
/// where all that came after an overload say that it should have broken.
pub(super) fn wants_rest(
    visits: &[Visit],
    objective: usize,
    alpha: Option<f64>,
    estimate: f64,
) -> bool {
    let Some(alpha) = alpha else { return false };
    let own = own_breakpoints(visits, objective, alpha, estimate);
    sides(&own, estimate).is_some_and(|(rest, _)| rest.len() < FROM_REST)
}

/// Where the load came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Past {
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
    past: Past,
    began_s: f64,
    /// Requests per second and VU.
    per_vu: f64,
}

fn own_breakpoints(visits: &[Visit], objective: usize, alpha: f64, estimate: f64) -> Vec<Own> {
    let mut past = Past::Rest;
    let mut out = Vec::new();
    for visit in visits.iter().filter(|v| v.valid) {
        if visit.from == Level::ZERO {
            past = Past::Rest;
        }
        let vus = f64::from(visit.level.vus());
        let tail = visit.tails.get(objective).and_then(Option::as_ref);
        if let Some(tail) = tail.filter(|t| !visit.left_early && t.requests() > 0.0)
            && (0.7..1.3).contains(&(vus / estimate))
        {
            let per_s = tail.requests() / visit.hold_s;
            let (ratio, bound) = ratio_at(tail, alpha);
            out.push(Own {
                vus,
                breakpoint: vus + per_s * tail.limit_s * (1.0 - ratio),
                bound,
                held: bounds::side(visit) == Some(Side::Held),
                past,
                began_s: visit.began_s,
                per_vu: per_s / vus,
            });
        }
        if visit.left_early || bounds::side(visit) == Some(Side::Broke) {
            past = Past::Overload;
        }
    }
    out
}

/// The latency, in limits, that a share of `alpha` reaches; the second is true where even the lowest threshold is above it.
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

/// A crash at a lower level than one that lasted: the level is not what kills it.
fn crashes(visits: &[Visit]) -> Option<Diagnosis> {
    let valid = || visits.iter().filter(|v| v.valid);
    let contradicted = valid().filter_map(|crash| {
        let needed = crash.crashed_after_s?.clamp(LEAST_SURVIVED_S, SURVIVED_S);
        let above = f64::from(crash.level.vus()) * APART;
        let better = valid()
            .filter(|v| f64::from(v.level.vus()) >= above)
            .filter(|v| v.crashed_after_s.unwrap_or(v.hold_s) >= needed)
            .max_by_key(|v| v.level)?;
        Some((crash, better))
    });
    let (crash, better) = contradicted.min_by_key(|(crash, _)| crash.level)?;
    Some(Diagnosis {
        ending: Ending::TimeDriven,
        reason: format!(
            "it crashed at {} although {} had not crashed it: time or chance does, not the level; look for a leak",
            crash.level, better.level
        ),
    })
}

/// The visits from rest that held and those after an overload, when all of the first stand above all of the second.
///
/// A visit from rest that broke at the estimate refutes that: whoever comes from rest then breaks there too, and asking again
/// would only spend the budget.
fn sides(own: &[Own], estimate: f64) -> Option<(Vec<&Own>, Vec<&Own>)> {
    let refutes = |o: &Own| o.past == Past::Rest && !o.held && o.vus <= APART * estimate;
    if own.iter().any(refutes) {
        return None;
    }
    let after: Vec<&Own> = own.iter().filter(|o| o.past == Past::Overload).collect();
    let highest = most(after.iter().map(|o| o.breakpoint));
    let rest: Vec<&Own> = (own.iter())
        .filter(|o| o.past == Past::Rest && o.held)
        // Far below, a visit only says that the breakpoint is higher than that.
        .filter(|o| !o.bound || o.breakpoint > APART * highest)
        .collect();
    let lowest = least(rest.iter().map(|o| o.breakpoint));
    // Rare bursts move the tail alone. What an overload left behind makes every cycle longer, also at a lower level.
    let reached = most(rest.iter().map(|o| o.vus));
    let rate = least(rest.iter().map(|o| o.per_vu));
    let slower = (after.iter()).any(|o| o.vus <= reached && o.per_vu * SLOWER < rate);
    (!rest.is_empty() && after.len() >= AFTER_OVERLOAD && lowest > APART * highest && slower)
        .then_some((rest, after))
}

fn direction(own: &[Own], estimate: f64) -> Option<Diagnosis> {
    let (rest, _) = sides(own, estimate)?;
    if rest.len() < FROM_REST {
        return None;
    }
    let held = most(rest.iter().map(|o| o.vus));
    Some(Diagnosis {
        ending: Ending::DependsOnDirection,
        reason: format!(
            "from rest it carries {} at least, but after an overload only {}: once overloaded it stays slow until it is drained",
            Level::nearest(held),
            Level::nearest(estimate),
        ),
    })
}

/// Two groups of visits that neither level nor direction tells apart: slower ones that took longer over a cycle than others
/// did at a level as high.
fn modes(own: &[Own], estimate: f64) -> Option<Diagnosis> {
    let (fewest, distance, ratio) = MODES;
    let contradicts = |slow: &Own, fast: &Own| {
        fast.vus >= slow.vus * 0.97
            && fast.per_vu > ratio * slow.per_vu
            && fast.breakpoint > slow.breakpoint + distance * estimate
    };
    let slow: Vec<&Own> = (own.iter())
        .filter(|s| own.iter().any(|f| contradicts(s, f)))
        .collect();
    let fast: Vec<&Own> = (own.iter())
        .filter(|f| own.iter().any(|s| contradicts(s, f)))
        .collect();
    if slow.len() < fewest || fast.len() < fewest {
        return None;
    }
    let level = |of: &[&Own]| Level::nearest(mean(of.iter().map(|o| o.breakpoint)));
    let least = if fast.iter().any(|o| o.bound) {
        " or more"
    } else {
        ""
    };
    Some(Diagnosis {
        ending: Ending::Bimodal,
        reason: format!(
            "it has two modes: {} visits point to {}, {} to {}{least}; the worse one is what it carries for sure",
            slow.len(),
            level(&slow),
            fast.len(),
            level(&fast),
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
    let (fewest, t_needed, least_change) = TREND;
    if points.len() < fewest {
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
    if slope.abs() < t_needed * error || change.abs() < least_change {
        return None;
    }
    Some(Diagnosis {
        ending: Ending::TimeDriven,
        reason: format!(
            "the breakpoint moved by {:+.0} % in {:.0} minutes of searching: it drifts with time",
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
            hold_s: 70.0,
            cost_s: 80.0,
        }
    }

    #[test]
    fn a_crash_below_a_level_that_lasted_is_not_the_levels() {
        let named = diagnose(
            &[visit(1_000, None), visit(900, Some(40.0))],
            0,
            None,
            950.0,
        );
        assert_eq!(named.unwrap().ending, Ending::TimeDriven);
        // The same crash above everything that lasted, or hardly below it, is what a limit looks like.
        for crash in [1_050, 985] {
            let visits = [visit(1_000, None), visit(crash, Some(40.0))];
            assert_eq!(diagnose(&visits, 0, None, 1_000.0), None);
        }
    }

    fn own(vus: f64, breakpoint: f64, past: Past, per_vu: f64) -> Own {
        Own {
            vus,
            breakpoint,
            bound: false,
            held: past == Past::Rest,
            past,
            began_s: 0.0,
            per_vu,
        }
    }

    #[test]
    fn a_direction_shows_in_the_breakpoint_and_in_the_cycle() {
        let visits = |slow: f64| {
            let after = |vus| own(vus, 890.0, Past::Overload, slow);
            let mut all = vec![after(870.0), after(890.0), after(920.0)];
            all.extend([own(905.0, 1_040.0, Past::Rest, 0.175); 2]);
            all
        };
        assert_eq!(
            direction(&visits(0.155), 890.0).unwrap().ending,
            Ending::DependsOnDirection
        );
        // Longer tails without longer cycles are bursts.
        assert_eq!(direction(&visits(0.174), 890.0), None);
        // Who breaks at the estimate from rest as well depends on no direction.
        let mut refuted = visits(0.155);
        refuted.push(Own {
            held: false,
            ..own(895.0, 880.0, Past::Rest, 0.155)
        });
        assert_eq!(direction(&refuted, 890.0), None);
        assert_eq!(
            sides(&refuted[..4], 890.0).map(|(rest, _)| rest.len()),
            Some(1)
        );
        assert!(sides(&[&refuted[..4], &refuted[5..]].concat(), 890.0).is_none());
        // One visit from rest is too few.
        assert_eq!(direction(&visits(0.155)[..4], 890.0), None);
    }

    #[test]
    fn two_slow_and_two_fast_visits_are_two_modes() {
        let fast = own(1_000.0, 1_040.0, Past::Rest, 0.155);
        let slow = own(990.0, 785.0, Past::Overload, 0.121);
        assert_eq!(
            modes(&[fast, slow, fast, slow], 900.0).unwrap().ending,
            Ending::Bimodal
        );
        assert_eq!(
            modes(&[fast, fast, fast, slow], 900.0).map(|d| d.ending),
            None
        );
    }

    #[test]
    fn a_breakpoint_that_falls_with_every_visit_drifts() {
        let at = |i: u32| Own {
            began_s: f64::from(i) * 100.0,
            ..own(1_000.0, 1_000.0 - 10.0 * f64::from(i), Past::Rest, 0.15)
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
