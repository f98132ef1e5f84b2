//! Which levels held and broke, when visits contradict one another.

use super::Visit;
use crate::measure::Level;
use crate::record::Purpose;
use crate::slo::{Evidence, Verdict};

/// The side that a visit points to. It steers the search; it is not a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// At or below the bound.
    Held,
    /// Above it.
    Broke,
}

/// The relevant bracket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) held: Option<Level>,
    pub(super) broke: Option<Level>,
}

/// The side of a visit: above when the target crashed, else its verdict, or, when that is
/// undecided, where its evidence stands. `None` without evidence.
pub(super) fn side(visit: &Visit) -> Option<Side> {
    match visit.verdict {
        _ if visit.crashed_after_s.is_some() || visit.overflows => Some(Side::Broke),
        Verdict::Held => Some(Side::Held),
        Verdict::Broke => Some(Side::Broke),
        Verdict::Undecided => leaning(visit),
    }
}

/// Violations from which an undecided hold counts as leaning to broke.
const FEWEST_BAD: f64 = 3.0;

fn leaning(visit: &Visit) -> Option<Side> {
    let mut known = false;
    for evidence in &visit.evidence {
        let over = match *evidence {
            // A violation or two in a short hold are chance.
            Evidence::Share { bad, total, alpha } => bad > alpha * total && bad >= FEWEST_BAD,
            Evidence::LogRatio(y) => y > 0.0,
            Evidence::Side { broke } => broke,
            Evidence::None => continue,
        };
        if over {
            return Some(Side::Broke);
        }
        known = true;
    }
    known.then_some(Side::Held)
}

/// Valid visits at a level, in order.
pub(super) fn visits_at(visits: &[Visit], level: Level) -> impl Iterator<Item = &Visit> {
    visits
        .iter()
        .filter(move |v| v.counts() && v.level == level)
}

/// How much a visit's side weighs against others that contradict it, 1 for a full hold with a firm
/// verdict.
///
/// A short hold steers: at the breakpoint itself one of 5 to 10 s passes nine times in ten, and one
/// that broke may have met a burst, a cold start or a service that has grown since. So a short one
/// weighs a third, and a side that it merely leans to half of that: two full holds outvote any one
/// short hold, and one full hold does where no other short one agrees with it.
fn weight(visit: &Visit) -> f64 {
    let length = if is_full(visit) { 1.0 } else { SHORT };
    let firm = visit.crashed_after_s.is_some() || visit.verdict != Verdict::Undecided;
    length * if firm { 1.0 } else { LEANS }
}

/// What a short hold weighs beside a full one.
const SHORT: f64 = 0.35;
/// What a hold that leans to a side weighs beside one with a verdict.
const LEANS: f64 = 0.5;

/// Whether a visit was a full hold, or was left because it was hopeless by the strict measure of
/// one: what binds an answer.
pub(super) fn is_full(visit: &Visit) -> bool {
    !matches!(visit.purpose, Purpose::Bracket | Purpose::Narrow)
}

/// Where the visits contradict one another least: the level up to which they held, and from which
/// they broke. Of several such places the lowest, so that one hold against one of the same weight
/// is settled for the lower.
///
/// This is the step function of the level that is fitted best (isotonic regression of the sides by
/// least weighted error).
pub(super) fn relevant(visits: &[Visit]) -> Bounds {
    let mut sides: Vec<(Level, Side, f64)> = visits
        .iter()
        .filter(|v| v.counts())
        .filter_map(|v| Some((v.level, side(v)?, weight(v))))
        .collect();
    sides.sort_by_key(|(level, _, _)| *level);
    // Below the first level: all that held contradicts.
    let mut cost: f64 = (sides.iter())
        .filter(|(_, side, _)| *side == Side::Held)
        .map(|(_, _, w)| w)
        .sum();
    let (mut best, mut up_to) = (cost, None);
    let mut at = 0;
    while at < sides.len() {
        let level = sides[at].0;
        while let Some((_, side, w)) = sides.get(at).filter(|s| s.0 == level) {
            cost += if *side == Side::Held { -w } else { *w };
            at += 1;
        }
        if cost < best - 1e-9 {
            (best, up_to) = (cost, Some(level));
        }
    }
    let of = |wanted: Side| {
        let levels = sides.iter().filter(move |(_, side, _)| *side == wanted);
        levels.map(|(level, _, _)| *level)
    };
    Bounds {
        held: up_to.and_then(|up_to| of(Side::Held).filter(|l| *l <= up_to).max()),
        broke: of(Side::Broke)
            .filter(|l| up_to.is_none_or(|up_to| *l > up_to))
            .min(),
    }
}

/// Full visits of a side, in order.
pub(super) fn full(visits: &[Visit], of: Side) -> impl Iterator<Item = &Visit> {
    (visits.iter()).filter(move |v| v.counts() && is_full(v) && side(v) == Some(of))
}

/// The lowest level that broke above every one that held: after a contradiction the optimistic
/// bound.
pub(super) fn carried(visits: &[Visit]) -> Option<Level> {
    let of = |wanted: Side| {
        (visits.iter())
            .filter(move |v| v.counts() && side(v) == Some(wanted))
            .map(|v| v.level)
    };
    let held = of(Side::Held).max()?;
    of(Side::Broke).filter(|level| *level > held).min()
}

/// Indices of the visits that the answer names: the highest at or below `vus` with the verdict
/// held, and the lowest above it with the verdict broke; of several visits of that level the
/// latest.
pub(super) fn around(visits: &[Visit], vus: f64) -> (Option<usize>, Option<usize>) {
    let with = |verdict: Verdict| {
        visits
            .iter()
            .enumerate()
            .filter(move |(_, v)| v.counts() && v.verdict == verdict)
    };
    let held = with(Verdict::Held)
        .filter(|(_, v)| f64::from(v.level.get()) <= vus)
        .max_by_key(|(i, v)| (v.level, *i));
    let broke = with(Verdict::Broke)
        .filter(|(_, v)| f64::from(v.level.get()) > vus)
        .min_by_key(|(i, v)| (v.level, usize::MAX - *i));
    (held.map(|(i, _)| i), broke.map(|(i, _)| i))
}

#[cfg(test)]
mod tests {
    use super::super::tests::at;
    use super::*;
    use Purpose::{Bracket, Refine};
    use Verdict::{Broke, Held, Undecided};

    fn bounds(visits: &[(u32, Purpose, Verdict)]) -> (Option<u32>, Option<u32>) {
        let visits: Vec<Visit> = visits.iter().map(|v| at(v.0, v.1, v.2)).collect();
        let bounds = relevant(&visits);
        (bounds.held.map(Level::get), bounds.broke.map(Level::get))
    }

    #[test]
    fn visits_that_agree_have_their_step_between_them() {
        assert_eq!(bounds(&[]), (None, None));
        assert_eq!(
            bounds(&[(10, Bracket, Held), (20, Bracket, Held)]),
            (Some(20), None)
        );
        assert_eq!(bounds(&[(10, Bracket, Broke)]), (None, Some(10)));
        let agree = [
            (40, Refine, Broke),
            (10, Bracket, Held),
            (30, Bracket, Broke),
            (20, Refine, Held),
        ];
        assert_eq!(bounds(&agree), (Some(20), Some(30)));
    }

    #[test]
    fn a_full_hold_outvotes_a_short_one_whichever_came_later() {
        let mut visits = [
            (100, Bracket, Broke),
            (120, Refine, Held),
            (150, Refine, Broke),
        ];
        assert_eq!(bounds(&visits), (Some(120), Some(150)));
        visits.reverse();
        assert_eq!(bounds(&visits), (Some(120), Some(150)));
        // And one that held by chance, far above a full one that broke.
        let visits = [
            (80, Refine, Held),
            (100, Refine, Broke),
            (200, Bracket, Held),
        ];
        assert_eq!(bounds(&visits), (Some(80), Some(100)));
        // Three short ones that agree outvote it.
        let visits = [
            (100, Bracket, Broke),
            (105, Bracket, Broke),
            (110, Bracket, Broke),
            (120, Refine, Held),
        ];
        assert_eq!(bounds(&visits), (None, Some(100)));
    }

    #[test]
    fn of_two_that_weigh_the_same_the_lower_wins_and_two_full_holds_outvote_one() {
        let tie = [(100, Refine, Broke), (120, Refine, Held)];
        assert_eq!(bounds(&tie), (None, Some(100)));
        let twice = [tie[0], tie[1], (130, Refine, Held)];
        assert_eq!(bounds(&twice), (Some(130), None));
        let level = [
            (80, Bracket, Held),
            (100, Refine, Held),
            (100, Refine, Broke),
        ];
        assert_eq!(bounds(&level), (Some(80), Some(100)));
        let level = [level[0], level[1], level[1], level[2]];
        assert_eq!(bounds(&level), (Some(100), None));
    }

    #[test]
    fn what_merely_leans_to_a_side_weighs_half_and_what_says_nothing_not_at_all() {
        let leaning = |bad: f64| Visit {
            evidence: vec![Evidence::Share {
                bad,
                total: 1_000.0,
                alpha: 0.01,
            }],
            ..at(100, Refine, Undecided)
        };
        assert_eq!(side(&leaning(9.0)), Some(Side::Held));
        assert_eq!(side(&leaning(12.0)), Some(Side::Broke));
        assert_eq!(side(&at(100, Refine, Undecided)), None);
        let visits = [leaning(12.0), at(120, Refine, Held)];
        assert_eq!(relevant(&visits).held, Some(Level(120)));
        // A crash is firm whatever the verdict.
        let crashed = Visit {
            crashed_after_s: Some(3.0),
            ..leaning(0.0)
        };
        assert_eq!(relevant(&[crashed, at(120, Refine, Held)]).held, None);
        let gone = Visit {
            outgrown: true,
            ..at(100, Refine, Broke)
        };
        let invalid = Visit {
            valid: false,
            ..at(100, Refine, Broke)
        };
        assert_eq!(
            relevant(&[gone, invalid, at(120, Bracket, Held)]).held,
            Some(Level(120))
        );
    }
}
