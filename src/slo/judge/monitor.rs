//! Fields of monitors: counters by their growth over the probe, all others by their worst reading
//! of the hold.

use super::{
    Comparison, Evidence, Measurement, Objective, Outcome, Verdict, count, no_data, outcome, side,
};
use crate::measure::fields::is_counter;

/// Share of a hold's seconds that must have been read before a field may hold: of less than half
/// nobody can say that most of the hold was well.
const READ_SHARE: f64 = 0.5;
/// Readings from which their distance is known: that is two distances.
const SPACED_READINGS: usize = 3;

/// Judges a field. A breach that was read is one however few readings there are; only who was read
/// most of the time holds.
pub(super) fn field(objective: &Objective, name: (&str, &str), m: &Measurement) -> Outcome {
    let readings = of(name, m);
    let seconds = m.hold.len();
    let few = |read: usize| count(read as u64) < READ_SHARE * count(seconds as u64);
    let too_few = |read: usize| format!("{read} of {seconds} seconds read");
    if !is_counter(name.1) {
        let Some(worst) = worst(objective, &readings) else {
            return no_data(objective);
        };
        let holds = objective.comparison.holds(worst, objective.bound);
        return if holds && few(read_seconds(&readings, seconds)) {
            undecided(objective, worst, too_few(read_seconds(&readings, seconds)))
        } else {
            side(objective, Some(worst))
        };
    }
    let Some(grown) = growth(&readings, m.reading_before(name.0, name.1)) else {
        return no_data(objective);
    };
    // What came before a counter's last reading is in that reading; what came after it nobody
    // knows.
    let read = readings.last().map_or(0, |(second, _)| second + 1);
    let most = if few(read) { f64::INFINITY } else { grown.most };
    match decisive(objective, grown.least, most) {
        Some(value) => side(objective, Some(value)),
        None if few(read) => undecided(objective, grown.least, too_few(read)),
        None => undecided(
            objective,
            grown.least,
            "its value before the probe is unknown".to_owned(),
        ),
    }
}

fn undecided(objective: &Objective, seen: f64, why: String) -> Outcome {
    let verdict = Verdict::Undecided;
    outcome(objective, Some(seen), None, verdict, Evidence::None).because(why)
}

/// A field's readings with the seconds of the hold that they are from. What is no number is a gap.
fn of((monitor, field): (&str, &str), m: &Measurement) -> Vec<(usize, f64)> {
    let is_it = |r: &&crate::measure::Reading| r.monitor == monitor && r.field == field;
    let seconds = m.hold.iter().enumerate();
    seconds
        .filter_map(|(i, s)| Some((i, s.readings.iter().find(is_it)?.value?)))
        .filter(|(_, value)| !value.is_nan())
        .collect()
}

/// The reading that is worst for a comparison; for an equality the one that is farthest away, in
/// either direction.
fn worst(objective: &Objective, readings: &[(usize, f64)]) -> Option<f64> {
    let badness = |value: f64| match objective.comparison {
        Comparison::Lt | Comparison::Le => value,
        Comparison::Gt | Comparison::Ge => -value,
        Comparison::Eq => (value - objective.bound).abs(),
    };
    let values = readings.iter().map(|(_, value)| *value);
    values.max_by(|a, b| badness(*a).total_cmp(&badness(*b)))
}

/// Seconds of a hold for which its readings speak: those that were read, and where all of them are
/// farther apart than a second, as those of a monitor with an interval of its own, as many for each
/// as the nearest two are apart.
fn read_seconds(readings: &[(usize, f64)], seconds: usize) -> usize {
    let apart = readings.windows(2).map(|pair| pair[1].0 - pair[0].0).min();
    let interval = apart.filter(|_| readings.len() >= SPACED_READINGS);
    seconds.min(readings.len() * interval.unwrap_or(1))
}

/// How much a counter grew, within bounds.
struct Grown {
    least: f64,
    most: f64,
}

/// A counter's growth over the probe up to its last reading. It starts at zero with the run:
/// without a reading before the probe it grew by what it grew within the hold at least, and by all
/// of it at most.
fn growth(readings: &[(usize, f64)], before: Option<f64>) -> Option<Grown> {
    let first = readings.first()?.1;
    let last = readings.iter().map(|(_, v)| *v).fold(first, f64::max);
    Some(Grown {
        least: (last - before.unwrap_or(first)).max(0.0),
        most: (last - before.unwrap_or(0.0)).max(0.0),
    })
}

/// Of a value between two others the end that decides, where all that it may be is on one side of
/// the bound.
fn decisive(objective: &Objective, least: f64, most: f64) -> Option<f64> {
    let holds = |value| objective.comparison.holds(value, objective.bound);
    let (best, worst) = match objective.comparison {
        Comparison::Lt | Comparison::Le => (least, most),
        Comparison::Gt | Comparison::Ge => (most, least),
        Comparison::Eq => {
            let nearer_to_most = objective.bound - least > most - objective.bound;
            let farthest = if nearer_to_most { least } else { most };
            (objective.bound.clamp(least, most), farthest)
        }
    };
    if holds(worst) {
        return Some(worst);
    }
    Some(best).filter(|best| !holds(*best))
}
