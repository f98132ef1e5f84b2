//! The first screen of a search's report: the number, its interval, and what a reader asks next.

use super::{Fact, Mark, Number};
use crate::record::{Ending, LoadGate, LoadOutcome, RunRecord};
use crate::report::{summary, view};

/// The number, or in its place the word for why there is none.
pub(super) fn number(record: &RunRecord) -> Number {
    let a = &record.answer;
    let plan = &record.plan;
    let count = |level: u32| crate::units::format_count(level.into());
    let interval = view::interval(a).unwrap_or_default();
    let (label, value, unit, note) = match a.ending {
        Ending::Found => {
            let value = a.breakpoint.map_or_else(|| "?".to_owned(), count);
            ("Breakpoint", value, plan.unit.name(), interval)
        }
        Ending::Bracketed => {
            let ends = (a.ci_low.map(count), a.ci_high.map(count));
            let (label, value) = match ends {
                (Some(low), Some(high)) => ("Breakpoint between", format!("{low} – {high}")),
                (Some(low), None) => ("Breakpoint at least", low),
                (None, Some(high)) => ("Breakpoint at most", high),
                (None, None) => ("Breakpoint", "?".to_owned()),
            };
            let confidence = view::percent(a.confidence);
            let note = format!("{confidence} % CI; the search was too short for a single number");
            (label, value, plan.unit.name(), note)
        }
        Ending::NeverBroke => {
            let note = "the SLO held at every level up to the maximum".to_owned();
            let value = format!("> {}", count(plan.max_level));
            ("Breakpoint above", value, plan.unit.name(), note)
        }
        Ending::BrokeAtMinimum => {
            let note = "the SLO broke even at the minimum".to_owned();
            let value = format!("< {}", count(plan.min_level));
            ("Breakpoint below", value, plan.unit.name(), note)
        }
        other => {
            let (value, note) = without(other, record.probes.is_empty());
            ("No answer", value.to_owned(), "", note.to_owned())
        }
    };
    Number {
        label: label.to_owned(),
        value,
        unit: unit.to_owned(),
        note,
    }
}

/// What stands in a number's place.
fn without(ending: Ending, at_once: bool) -> (&'static str, &'static str) {
    match ending {
        Ending::Found | Ending::Bracketed | Ending::NeverBroke | Ending::BrokeAtMinimum => ("", ""),
        Ending::TimeDriven => ("time-driven", "it breaks over time, not at a level"),
        Ending::Hysteresis => (
            "hysteresis",
            "it carries more from rest than after an overload",
        ),
        Ending::Bimodal => ("bimodal", "two breakpoints: it switches between two modes"),
        Ending::Undecided => ("undecided", "no reliable answer"),
        Ending::GeneratorLimited => (
            "undecided",
            "the load generator or its host was the bottleneck, not the target",
        ),
        Ending::DataUsedUp => ("rows used up", "a feeder has no rows left; results kept"),
        Ending::TargetDown if at_once => ("not measured", "the first request failed"),
        Ending::TargetDown => ("target down", "it did not recover after a probe"),
        Ending::Interrupted => ("interrupted", "stopped before an answer; results kept"),
        Ending::Aborted => ("aborted", "stopped by a safety limit; results kept"),
    }
}

/// What belongs beside the number.
pub(super) fn facts(record: &RunRecord) -> Vec<Fact> {
    let a = &record.answer;
    let mut facts = vec![Fact::code("SLO", record.slo.clone())];
    let so_far = a.breakpoint.map(|b| view::level(record, b));
    let answered = a.ending.is_answer();
    if !answered {
        let parts: Vec<String> = so_far.into_iter().chain(view::interval(a)).collect();
        if !parts.is_empty() {
            facts.push(Fact::new("So far", parts.join(", ")));
        }
    }
    if let Some(gate) = record.gate() {
        facts.extend(gate_facts(record, &gate));
    }
    if let Some(cause) = &a.limiting_resource {
        facts.push(Fact::new("Bottleneck", summary::finding(cause)));
    }
    facts.extend(summary::unknown(record).map(|text| Fact::new("Bottleneck", text)));
    for cause in a.other_causes.iter().take(summary::OTHER_CAUSES) {
        facts.push(Fact::new("Also seen", summary::finding(cause)));
    }
    if let Some(objective) = a.broken_objective.as_ref().filter(|_| record.slo.len() > 1) {
        facts.push(Fact::new("First to break", objective.clone()));
    }
    if let Some(knee) = summary::knee(record) {
        facts.push(Fact::new("Knee", knee));
    }
    if let Some(load) = summary::populations(&record.plan) {
        facts.push(Fact::new("Load", load));
    }
    let label = if answered { "Stopped" } else { "Why" };
    let reason = summary::sentence(&a.reason);
    if !reason.is_empty() {
        facts.push(Fact::new(label, reason));
    }
    if let Some(outlook) = &a.outlook {
        facts.push(Fact::new(
            "With more time",
            summary::more_time(record, outlook),
        ));
    }
    for noticed in &a.noticed {
        facts.push(Fact::new("Noticed", summary::noticed_text(noticed)));
    }
    if let Some(unseen) = &a.unseen {
        facts.push(Fact::new("Not covered", summary::sentence(unseen)));
    }
    if !record.warnings.is_empty() {
        let text = match record.warnings.len() {
            1 => "1, see below".to_owned(),
            n => format!("{n}, see below"),
        };
        facts.push(Fact::new("Warnings", text));
    }
    facts
}

fn gate_facts(record: &RunRecord, gate: &LoadGate) -> Vec<Fact> {
    let mark = match gate.outcome {
        LoadOutcome::Passed => Mark::Passed,
        LoadOutcome::ShownBelow | LoadOutcome::NotShown => Mark::Failed,
        LoadOutcome::NoAnswer => Mark::NotJudged,
    };
    let mut facts = vec![Fact::new("Gate", gate.sentence.clone()).marked(mark)];
    if let Some(text) = view::headroom(record, gate) {
        facts.push(Fact::new("Headroom", text));
    }
    facts
}
