//! The first screen of a comparison: what the breakpoint did, and what a reader asks next.

use super::super::{Fact, Mark, Number};
use crate::measure::Level;
use crate::record::{
    Change, ChangeVerdict, CompareRecord, Comparison, Ending, GateOutcome, Scaling,
};
use crate::report::compare::{self, count};
use crate::report::view;

/// The comparison in one line.
pub(super) fn headline(record: &CompareRecord) -> String {
    if let Some(scaling) = &record.scaling {
        return compare::scaling_heading(record, scaling);
    }
    match record.comparisons.as_slice() {
        [only] => {
            let change = only
                .breakpoint()
                .map(|c| compare::change_sentence(record, c));
            let change = change.map_or_else(String::new, |c| format!(": breakpoint {c}"));
            format!("{}{change}", compare::heading(only))
        }
        many => format!("{} candidates compared to {}", many.len(), base(many)),
    }
}

pub(super) fn number(record: &CompareRecord) -> Number {
    if let Some(scaling) = &record.scaling {
        return forecast(record, scaling);
    }
    match record.comparisons.as_slice() {
        [only] => of_one(record, only),
        many => of_many(many),
    }
}

fn base(comparisons: &[Comparison]) -> &str {
    comparisons.first().map_or("", |c| &c.base)
}

/// The law's answer, never without its band.
fn forecast(record: &CompareRecord, scaling: &Scaling) -> Number {
    let point = &scaling.forecast;
    Number {
        label: format!("Forecast for size {}", compare::size(point.size)),
        value: count(point.estimate),
        unit: record.unit.name().to_owned(),
        note: format!(
            "{} % band {} – {}",
            view::percent(record.confidence),
            count(point.low),
            count(point.high)
        ),
    }
}

/// The ratio with its interval; the verdict stands below it.
fn of_one(record: &CompareRecord, comparison: &Comparison) -> Number {
    let level = view::percent(record.confidence);
    let times = |v: f64| format!("{v:.2} times");
    let change = comparison.breakpoint();
    let style = change.map_or(compare::Style::Percent, compare::Style::of);
    let moved = |v| style.text(v);
    let ends = change.map_or((None, None, None), |c| (c.ratio, c.low, c.high));
    let (value, note) = match ends {
        (Some(ratio), Some(low), Some(high)) => {
            let note = format!("{level} % CI {} to {}", moved(low), moved(high));
            (moved(ratio), note)
        }
        (None, Some(low), Some(high)) => {
            (format!("{} to {}", moved(low), moved(high)), String::new())
        }
        (_, Some(low), None) => (
            format!("≥ {}", times(low)),
            format!("at least, at {level} % confidence"),
        ),
        (_, None, Some(high)) => (
            format!("≤ {}", times(high)),
            format!("at most, at {level} % confidence"),
        ),
        (_, None, None) => ("inconclusive".to_owned(), String::new()),
    };
    Number {
        label: "Change of the breakpoint".to_owned(),
        value,
        unit: String::new(),
        note,
    }
}

/// Of several candidates no one's change is the answer.
fn of_many(comparisons: &[Comparison]) -> Number {
    let shown = |verdict| {
        let changes = comparisons.iter().filter_map(Comparison::breakpoint);
        changes.filter(|c| c.verdict == verdict).count()
    };
    let (rises, falls) = (shown(ChangeVerdict::Rise), shown(ChangeVerdict::Fall));
    Number {
        label: "Candidates whose breakpoint changed".to_owned(),
        value: format!("{} of {}", rises + falls, comparisons.len()),
        unit: String::new(),
        note: format!(
            "evidence of a rise: {rises}, of a fall: {falls}; against {}",
            base(comparisons)
        ),
    }
}

/// What belongs beside the number.
pub(super) fn facts(record: &CompareRecord) -> Vec<Fact> {
    let mut facts = Vec::new();
    match record.comparisons.as_slice() {
        [only] => facts.extend(one_facts(record, only)),
        many => facts.extend(many.iter().filter_map(|c| candidate(record, c))),
    }
    facts.push(Fact::code("SLO", record.slo.clone()));
    facts.extend(record.gates.iter().map(|gate| {
        let mark = match gate.outcome {
            GateOutcome::Passed => Mark::Passed,
            GateOutcome::Failed => Mark::Failed,
            GateOutcome::CannotSay => Mark::NotJudged,
        };
        let condition = compare::condition(record, gate);
        Fact::new("Gate", format!("{condition}: {}", gate.reason)).marked(mark)
    }));
    if let [only] = record.comparisons.as_slice() {
        let limited = compare::limited;
        facts.push(Fact::new(
            "Bottleneck before",
            limited(only.limited_before.as_ref()),
        ));
        facts.push(Fact::new(
            "Bottleneck now",
            limited(only.limited_now.as_ref()),
        ));
        facts.push(Fact::new("Other changes", differs(only)));
    }
    if let Some(scaling) = &record.scaling {
        let found = compare::scaling_heading(record, scaling);
        facts.push(Fact::new("Found", found));
        let peak = compare::peak_text(&scaling.peak_size);
        facts.push(Fact::new("Scales up to", peak));
        facts.push(Fact::new("Model fit", compare::law_text(record, scaling)));
    }
    if !record.notes.is_empty() {
        let text = format!("{}, see below", record.notes.len());
        facts.push(Fact::new("Notes", text));
    }
    facts
}

fn one_facts(record: &CompareRecord, comparison: &Comparison) -> Vec<Fact> {
    let change = comparison.breakpoint();
    let mut facts: Vec<Fact> = change.map(verdict).into_iter().collect();
    let side = |pick: fn(&(usize, usize)) -> usize, name: &str, value: Option<f64>| {
        let runs: Vec<usize> = comparison.pairs.iter().map(pick).collect();
        format!("{name}: {}", found(record, &runs, value))
    };
    let base = side(|p| p.0, &comparison.base, change.and_then(|c| c.base));
    let now = change.and_then(|c| c.candidate);
    let candidate = side(|p| p.1, &comparison.candidate, now);
    facts.push(Fact::new("Base", base));
    facts.push(Fact::new("Candidate", candidate));
    facts
}

/// The words, the p-value, and what was too small to be seen.
fn verdict(change: &Change) -> Fact {
    let texts: Vec<String> = compare::known(change).collect();
    Fact::new("Verdict", texts.join("; ")).marked(Mark::of_change(change.metric, change.verdict))
}

/// The number of one run with its interval, or the mean of several.
fn found(record: &CompareRecord, runs: &[usize], value: Option<f64>) -> String {
    let unit = record.unit;
    if let [only] = runs {
        let Some(run) = record.runs.get(*only) else {
            return String::new();
        };
        if run.ending == Ending::Bracketed {
            return format!("within {} {}", super::run_interval(run), unit.name());
        }
        let Some(level) = run.breakpoint else {
            return format!("no breakpoint ({})", run.ending.name().replace('_', " "));
        };
        let interval = super::run_interval(run);
        let interval = if interval.is_empty() {
            interval
        } else {
            // The run's own, whose confidence may be another one.
            format!(" ({interval})")
        };
        return format!("{}{interval}", unit.count(Level(level)));
    }
    match value {
        Some(mean) => format!(
            "{}, the geometric mean of {} runs",
            unit.count(Level::nearest(mean)),
            runs.len()
        ),
        None => format!("{} runs", runs.len()),
    }
}

/// A candidate of several: `B: 1 019 -> 1 121 VUs, +10.0 % (95 % CI ...), p = 0.002`.
fn candidate(record: &CompareRecord, comparison: &Comparison) -> Option<Fact> {
    let change = comparison.breakpoint()?;
    let parts: Vec<String> = (compare::values(record, change).into_iter())
        .chain(compare::extent(change, record.confidence))
        .chain(compare::known(change))
        .collect();
    let text = format!("{}: {}", comparison.candidate, parts.join(", "));
    Some(Fact::new("Candidate", text).marked(Mark::of_change(change.metric, change.verdict)))
}

fn differs(comparison: &Comparison) -> String {
    match comparison.differences.as_slice() {
        [] => compare::NOTHING_DIFFERS.to_owned(),
        [one] => format!("{}, see below", one.what),
        many => {
            let names: Vec<&str> = many.iter().map(|d| &d.what[..]).collect();
            format!(
                "{} differences, see below: {}",
                many.len(),
                names.join(", ")
            )
        }
    }
}
