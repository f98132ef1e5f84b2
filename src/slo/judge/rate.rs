//! Least throughputs. Users who wait for answers ask no more often than they are answered: how many
//! of them there are bounds what they can bring, and below that a low rate says nothing of the
//! target.

use super::{
    BLOCKS, Evidence, Measurement, Objective, Outcome, VERDICT_CONFIDENCE, Verdict, count,
    failed_on_the_way, no_data, outcome, side, stats,
};
use crate::measure::{StepTable, Window};

/// A rate that is reached holds. One that is not broke only where that much was asked for, which
/// failed, was shed or piles up; else nothing is known: a hold cannot tell too few users from a
/// target that is full.
pub(super) fn at_least(
    objective: &Objective,
    step: usize,
    m: &Measurement,
    steps: &StepTable,
) -> Outcome {
    let Some(rate) = m.throughput(step) else {
        return no_data(objective);
    };
    if objective.comparison.holds(rate, objective.bound) {
        return side(objective, Some(rate));
    }
    let begun = begun(m, steps, step);
    let excesses: Vec<f64> = stats::in_blocks(&begun, BLOCKS)
        .iter()
        .map(|(begun, seconds)| begun - objective.bound * seconds)
        .collect();
    let asked = stats::sign_of_mean(&excesses, VERDICT_CONFIDENCE);
    if asked == Some(std::cmp::Ordering::Greater) {
        return side(objective, Some(rate));
    }
    let (passes, seconds) = super::sum(&begun);
    let none = outcome(
        objective,
        Some(rate),
        None,
        Verdict::Undecided,
        Evidence::None,
    );
    Outcome {
        abstains: true,
        ..none.because(format!(
            "level {} offered {} at most",
            m.level.get(),
            objective.format_value((passes / seconds).max(rate))
        ))
    }
}

/// Per window: passes of a step that began, or would have but for a failure before it, and seconds.
fn begun(m: &Measurement, steps: &StepTable, step: usize) -> Vec<(f64, f64)> {
    let way = steps.passage(step);
    let in_flight = |w: &Window| count(w.step(step).in_flight.count());
    let mut before = m.before.as_ref().map(in_flight);
    m.hold
        .iter()
        .map(|s| &s.window)
        .filter(|w| w.steps.len() > step)
        .map(|w| {
            let now = in_flight(w);
            // Without a window before the first nobody knows what grew in it.
            let grown = now - before.replace(now).unwrap_or(now);
            let shed: u64 = way.rows().map(|row| w.step(row).shed).sum();
            let ended = w.step(step).completed() + failed_on_the_way(w, way) + shed;
            (count(ended) + grown, w.span.as_secs_f64())
        })
        .collect()
}
