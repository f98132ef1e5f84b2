//! Which levels held and broke, when visits contradict one another.

use super::Visit;
use crate::measure::Level;
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

/// The side of a visit: above when the target crashed, else its verdict, or, when that is undecided, where its evidence
/// stands. `None` without evidence.
pub(super) fn side(visit: &Visit) -> Option<Side> {
    match visit.verdict {
        _ if visit.crashed_after_s.is_some() => Some(Side::Broke),
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
    visits.iter().filter(move |v| v.valid && v.level == level)
}

/// Each level's latest side: a later visit overrules an earlier one of the same level.
fn latest(visits: &[Visit]) -> Vec<(Level, Side)> {
    let mut latest: Vec<(Level, Side)> = Vec::new();
    for visit in visits.iter().filter(|v| v.valid) {
        let Some(side) = side(visit) else { continue };
        match latest.iter_mut().find(|(level, _)| *level == visit.level) {
            Some(entry) => entry.1 = side,
            None => latest.push((visit.level, side)),
        }
    }
    latest
}

fn levels(latest: &[(Level, Side)], of: Side) -> impl Iterator<Item = Level> {
    (latest.iter()).filter_map(move |(level, side)| (*side == of).then_some(*level))
}

/// The lowest level that broke, and the highest below it that held: after a contradiction the pessimistic bound wins.
pub(super) fn relevant(visits: &[Visit]) -> Bounds {
    let latest = latest(visits);
    let broke = levels(&latest, Side::Broke).min();
    let held = levels(&latest, Side::Held)
        .filter(|level| broke.is_none_or(|b| *level < b))
        .max();
    Bounds { held, broke }
}

/// The lowest level that broke above every one that held: after a contradiction the optimistic bound.
pub(super) fn carried(visits: &[Visit]) -> Option<Level> {
    let latest = latest(visits);
    let held = levels(&latest, Side::Held).max()?;
    levels(&latest, Side::Broke)
        .filter(|level| *level > held)
        .min()
}

/// Indices of the visits that the answer names: the highest at or below `vus` with the verdict held, and the lowest
/// above it with the verdict broke; of several visits of that level the latest.
pub(super) fn around(visits: &[Visit], vus: f64) -> (Option<usize>, Option<usize>) {
    let with = |verdict: Verdict| {
        visits
            .iter()
            .enumerate()
            .filter(move |(_, v)| v.valid && v.verdict == verdict)
    };
    let held = with(Verdict::Held)
        .filter(|(_, v)| f64::from(v.level.get()) <= vus)
        .max_by_key(|(i, v)| (v.level, *i));
    let broke = with(Verdict::Broke)
        .filter(|(_, v)| f64::from(v.level.get()) > vus)
        .min_by_key(|(i, v)| (v.level, usize::MAX - *i));
    (held.map(|(i, _)| i), broke.map(|(i, _)| i))
}
