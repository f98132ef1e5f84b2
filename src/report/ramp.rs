//! A ramp as text: a table with a row per stage, and what a ramp concludes.

use std::fmt::Write as _;

use super::failures;
use super::summary::{self, Lines};
use super::view::{self, objectives, percent, span};
use crate::measure::fields::is_counter;
use crate::measure::{Level, LevelUnit, Reading};
use crate::record::{
    Breach, HoldEnd, ObjectiveRecord, READING_S, RampEnding, RampRecord, ReferenceRun, StageRecord,
    StageSpan, Sureness,
};
use crate::slo::{Slo, Verdict};
use crate::units;

/// The ramp as aligned lines, each with an end of line.
pub fn summary(record: &RampRecord) -> String {
    let mut lines = Lines::default();
    let slo = record.slo.join(", ");
    lines.add("ramp", format!("{}     (SLO {slo})", headline(record)));
    if let Some((label, text)) = unusual_end(record) {
        lines.add(label, text);
    }
    if !record.stages.is_empty() {
        table(record, &mut lines.0);
        lines.add("first breach", reading(record));
        if let Some(reference) = &record.reference_run {
            lines.add("find run", reference_text(record, reference));
        }
        lines.add("caveat", cannot_say(record));
    }
    if let Some(text) = view::whole_time_of_ramp(record) {
        lines.add("time", text);
    }
    if let Some(addresses) = summary::addresses(&record.plan) {
        lines.add("addresses", &addresses);
    }
    if let Some(way) = summary::way(&record.plan) {
        lines.add("network", &way);
    }
    for warning in &record.warnings {
        lines.add("warning", warning);
    }
    lines.0
}

/// `0 -> 100 -> 300 VUs in 45 s`.
pub(crate) fn headline(record: &RampRecord) -> String {
    stages_text(&record.asked, record.plan.unit)
}

/// What stages ask, in one line.
pub(crate) fn stages_text(asked: &[StageSpan], unit: LevelUnit) -> String {
    let total_s = asked.last().map_or(0.0, |s| s.start_s + s.lasts_s);
    let levels: Vec<String> = StageSpan::path(asked).into_iter().map(number).collect();
    format!(
        "{} {} in {}",
        levels.join(" -> "),
        unit.name(),
        span(total_s)
    )
}

fn number(level: Level) -> String {
    units::format_count(level.get().into())
}

/// `100 -> 300`.
pub(crate) fn from_to(asked: &StageSpan) -> String {
    format!("{} -> {}", number(asked.from), number(asked.to))
}

pub(super) fn unusual_end(record: &RampRecord) -> Option<(&'static str, String)> {
    let reason = record.reason.trim_end_matches('.');
    match record.ending {
        RampEnding::Complete => None,
        RampEnding::GeneratorLimited => Some((
            "invalid",
            format!("the load generator or its host was the bottleneck: {reason}"),
        )),
        RampEnding::DataUsedUp => Some(("rows used up", format!("{reason}; results kept"))),
        RampEnding::TargetDown => Some(("no answer", reason.to_owned())),
        RampEnding::Interrupted => Some(("interrupted", reason.to_owned())),
        RampEnding::Aborted => Some(("aborted", reason.to_owned())),
    }
}

/// A row per stage, and below it what gave way and the monitors' peaks.
fn table(record: &RampRecord, out: &mut String) {
    let rows: Vec<[String; 9]> = record
        .stages
        .iter()
        .map(|stage| row(record, stage))
        .collect();
    let rate = record.plan.counted().rate();
    let head = [
        "stage",
        "VUs requested",
        "reached",
        rate,
        "p50",
        "p99",
        "errors",
        "shed",
        "SLO",
    ];
    let head = head.map(str::to_owned);
    let all = || [&head].into_iter().chain(&rows);
    let widths: [usize; 9] =
        std::array::from_fn(|i| all().map(|r| r[i].chars().count()).max().unwrap_or(0));
    line(out, &head, &widths);
    for (cells, stage) in rows.iter().zip(&record.stages) {
        line(out, cells, &widths);
        let indent = widths[0] + 2;
        for (label, text) in notes(record, stage) {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{:indent$}{label}: {text}", "");
        }
    }
}

/// Numbers stand at the right of their columns, words at the left.
fn line(out: &mut String, cells: &[String; 9], widths: &[usize; 9]) {
    let mut text = String::new();
    for (i, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let _ = match i {
            0 | 8 => write!(text, "{cell:<width$}  "),
            _ => write!(text, "{cell:>width$}  "),
        };
    }
    out.push_str(text.trim_end());
    out.push('\n');
}

fn row(record: &RampRecord, stage: &StageRecord) -> [String; 9] {
    let main = stage.steps.get(record.plan.main_step);
    let cycle = stage.overall();
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let quantile = |q| {
        let value = main.and_then(|s| s.latency.quantile_s(q));
        or_none(value.map(units::format_seconds))
    };
    let share = |value: Option<f64>| or_none(value.map(|v| format!("{} %", percent(v))));
    [
        (stage.index + 1).to_string(),
        from_to(&stage.asked),
        units::format_count(stage.vus_reached.into()),
        or_none(stage.throughput_per_s.map(|t| format!("{t:.1}"))),
        quantile(0.5),
        quantile(0.99),
        share(cycle.and_then(view::errors_of)),
        share(cycle.and_then(view::sheds_of)),
        verdict(stage),
    ]
}

/// Whether the SLO held in a stage, and what broke.
pub(super) fn verdict(stage: &StageRecord) -> String {
    let cut = match stage.end {
        HoldEnd::Interrupted => format!(", cut short after {}", span(stage.measured_s)),
        HoldEnd::Invalid | HoldEnd::Complete | HoldEnd::LeftEarly => String::new(),
    };
    let text = match (stage.end, stage.verdict) {
        (HoldEnd::Invalid, _) => format!("invalid: {}", stage.reason),
        (_, Verdict::Held) => "held".to_owned(),
        (_, Verdict::Undecided) => format!("undecided: {}", stage.reason),
        (_, Verdict::Broke) => format!("broke: {}", broken_text(&stage.objectives)),
    };
    format!("{text}{cut}")
}

/// The objectives that broke, with what was seen:
/// `p99<2s (p99 2.77 s), errors<1% (errors 11.70 %)`.
fn broken_text(objectives: &[ObjectiveRecord]) -> String {
    let broken = objectives.iter().filter(|o| o.verdict == Verdict::Broke);
    let texts: Vec<String> = broken
        .map(|o| format!("{} ({})", o.objective, breach_of(o)))
        .collect();
    texts.join(", ")
}

/// What broke an objective. A percentile of what completed looks well where most failed: then the
/// share is told.
fn breach_of(objective: &ObjectiveRecord) -> String {
    let parsed = Slo::parse([&objective.objective]).ok();
    let quantile = parsed.and_then(|slo| slo.objectives()[0].quantile());
    let looks_well = quantile.is_some() && objective.observed.is_none_or(|v| v < objective.bound);
    match (objective.bad, objective.total) {
        (Some(bad), Some(total)) if looks_well && total > 0.0 => {
            format!("{} % failed or were late", percent(bad / total))
        }
        _ => view::seen_text(objective),
    }
}

pub(super) fn notes(record: &RampRecord, stage: &StageRecord) -> Vec<(&'static str, String)> {
    let mut notes = Vec::new();
    if let Some(cause) = &stage.limiting_resource {
        let sure = match cause.sureness {
            Sureness::Possible => "possible",
            Sureness::Likely => "likely",
            Sureness::Certain => "certain",
        };
        let text = format!("{}: {} ({sure})", cause.resource, cause.evidence);
        notes.push(("bottleneck", text));
    }
    if let Some(failed) = failures::in_short(&stage.steps) {
        notes.push(("failed", failed));
    }
    let peaks = peaks(record, stage);
    if !peaks.is_empty() {
        notes.push(("peak", peaks.join(", ")));
    }
    notes
}

/// Of every monitor the most memory and CPU, and the counters that grew.
fn peaks(record: &RampRecord, stage: &StageRecord) -> Vec<String> {
    let mut fields: Vec<(&str, &str)> = Vec::new();
    for reading in stage.seconds.iter().flat_map(|s| &s.seen.readings) {
        let field = (reading.monitor.as_str(), reading.field.as_str());
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    fields
        .into_iter()
        .filter_map(|(monitor, field)| peak(record, stage, monitor, field))
        .collect()
}

fn peak(record: &RampRecord, stage: &StageRecord, monitor: &str, field: &str) -> Option<String> {
    let most = values(stage, monitor, field).reduce(f64::max)?;
    match field {
        "memory" => {
            let limit = limit(&record.plan.limits, monitor, field);
            let of = limit.map_or(String::new(), |l| format!(" of {}", units::format_bytes(l)));
            Some(format!(
                "{monitor} memory {}{of}",
                units::format_bytes(most)
            ))
        }
        "cpu" => Some(format!("{monitor} CPU {most:.2} cores")),
        counter if is_counter(counter) => {
            let first = values(stage, monitor, field).next()?;
            let grown = most - before(record, stage, monitor, field).unwrap_or(first);
            let name = counter.replace('_', " ");
            (grown > 0.0).then(|| format!("{monitor} {name} +{}", view::short(grown)))
        }
        _ => None,
    }
}

fn values<'a>(
    stage: &'a StageRecord,
    monitor: &'a str,
    field: &'a str,
) -> impl DoubleEndedIterator<Item = f64> + 'a {
    let readings = stage.seconds.iter().flat_map(|s| &s.seen.readings);
    readings
        .filter(move |r| r.monitor == monitor && r.field == field)
        .filter_map(|r| r.value)
}

/// A counter's value at the end of the stage before.
fn before(record: &RampRecord, stage: &StageRecord, monitor: &str, field: &str) -> Option<f64> {
    let mut earlier = record.stages.iter().rev().filter(|s| s.index < stage.index);
    earlier.find_map(|s| values(s, monitor, field).next_back())
}

fn limit(limits: &[Reading], monitor: &str, field: &str) -> Option<f64> {
    let mut limits = limits.iter();
    let found = limits.find(|r| r.monitor == monitor && r.field == field)?;
    found.value.filter(|v| *v > 0.0)
}

/// What the ramp reads, with the rule.
pub(super) fn reading(record: &RampRecord) -> String {
    match &record.breach {
        Some(breach) => breach_text(record, breach),
        None => no_breach(record),
    }
}

fn breach_text(record: &RampRecord, breach: &Breach) -> String {
    let level = record.plan.unit.count(breach.level);
    let stage = record.asked.get(breach.stage);
    let place = stage.map_or(String::new(), |s| {
        let down = if s.to < s.from { ", ramping down" } else { "" };
        format!(", in stage {} ({}{down})", breach.stage + 1, from_to(s))
    });
    let mut text = format!(
        "{level} after {}, when the SLO first broke over the last {READING_S:.0} s: {}{place}",
        span(breach.t_s),
        broken_text(&breach.objectives),
    );
    let unsure = unsure_before(record, breach.stage);
    if !unsure.is_empty() {
        let _ = write!(text, "; undecided and not counted: {}", list(&unsure));
    }
    text
}

fn no_breach(record: &RampRecord) -> String {
    let seconds = record.stages.iter().flat_map(|s| &s.seconds);
    let measured_s: f64 = record.stages.iter().map(|s| s.measured_s).sum();
    if measured_s < READING_S - 0.5 {
        return format!("not judged: less than {READING_S:.0} s were measured");
    }
    let top = seconds.map(|s| s.level).max().unwrap_or(Level::ZERO);
    let level = record.plan.unit.count(top);
    let mut text = format!("none up to {level}: no window of {READING_S:.0} s broke the SLO");
    let unsure = unsure_before(record, usize::MAX);
    if !unsure.is_empty() {
        let _ = write!(text, "; undecided, which is not a pass: {}", list(&unsure));
    }
    text
}

/// The stages before one that could not tell, counted from 1.
fn unsure_before(record: &RampRecord, stage: usize) -> Vec<usize> {
    let unsure = record.stages.iter().filter(|s| {
        s.index < stage && (s.verdict == Verdict::Undecided || s.end == HoldEnd::Invalid)
    });
    unsure.map(|s| s.index + 1).collect()
}

/// `stage 2` or `stages 2, 4`.
fn list(stages: &[usize]) -> String {
    let numbers: Vec<String> = stages.iter().map(usize::to_string).collect();
    let plural = if stages.len() == 1 { "" } else { "s" };
    format!("stage{plural} {}", numbers.join(", "))
}

/// `1 019 VUs (1 003 – 1 029)`.
pub(super) fn found_text(record: &RampRecord, found: &ReferenceRun) -> String {
    let level = record.plan.unit.count(found.breakpoint);
    match (found.ci_low, found.ci_high) {
        (Some(low), Some(high)) => format!("{level} ({} – {})", number(low), number(high)),
        _ => level,
    }
}

pub(super) fn reference_text(record: &RampRecord, found: &ReferenceRun) -> String {
    let day = found.started_at.get(..10).unwrap_or(&found.started_at);
    let text = found_text(record, found);
    let Some(breach) = &record.breach else {
        return format!("`find` found {text} on {day}");
    };
    let reads = record.plan.unit.count(breach.level);
    let ratio = f64::from(breach.level.get()) / f64::from(found.breakpoint.get().max(1));
    let apart = match ((ratio - 1.0) * 100.0).round() {
        p if p > 0.0 => format!("{p:.0} % above"),
        p if p < 0.0 => format!("{:.0} % below", -p),
        _ => "the same as".to_owned(),
    };
    format!("the ramp broke at {reads}, {apart} the {text} that `find` found on {day}")
}

pub(super) fn cannot_say(record: &RampRecord) -> String {
    let climb = record
        .breach
        .as_ref()
        .and_then(|b| record.asked.get(b.stage));
    let slope = |s: &StageSpan| (f64::from(s.to.get()) - f64::from(s.from.get())) / s.lasts_s;
    let unit = record.plan.unit.name();
    let pace = match climb.map(slope) {
        None => String::new(),
        // How fast the stage before climbed says nothing of the moment either.
        Some(0.0) => " (this stage held a level that an earlier one climbed to)".to_owned(),
        Some(slope) => format!(" (here {slope:.1} {unit} per second)"),
    };
    let limit = objectives(&record.slo)
        .iter()
        .any(|o| o.latency_limit().is_some());
    let lags = if limit {
        "latencies lag behind the level"
    } else {
        "measurements lag behind the level"
    };
    format!(
        "this is not the breakpoint: {lags}, so the result depends on how fast the ramp \
         climbs{pace} and has no interval; `breakpoint find` gives both"
    )
}
