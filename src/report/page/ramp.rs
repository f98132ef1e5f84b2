//! The report of a ramp.

use super::context::Context;
use super::run::{MOST_LINES, index, logged, per_s, share, slo_flags};
use super::{Cell, Chart, Column, Fact, Mark, Number, Page, Part, Section, Table};
use crate::record::{RampEnding, RampRecord, StageRecord};
use crate::report::{RampFormat, chart, failures, ramp, summary, view};
use crate::units;

pub(in crate::report) fn of_ramp(record: &RampRecord) -> Page {
    let mut sections = Vec::new();
    if !record.stages.is_empty() {
        sections.push(Section {
            title: "Every stage",
            parts: vec![Part::Table(stages(record)), Part::List(notes(record))],
        });
        sections.extend(failures::of_ramp(record));
        if let Some(lines) = summary::near_breach(record, MOST_LINES) {
            sections.push(Section {
                title: "Logs",
                parts: logged(lines).into(),
            });
        }
        sections.push(Section {
            title: "Chart",
            parts: vec![Part::Charts(vec![Chart {
                file: RampFormat::Chart.file_name(),
                title: "The ramp",
                about: format!(
                    "Level, latency, errors and resources over time; {}",
                    ramp::headline(record)
                ),
                scene: chart::ramp(record),
            }])],
        });
    }
    sections.extend(context_of(record).sections(Vec::new()));
    let headline = ramp::headline(record);
    Page {
        title: format!("{}: ramp {headline}", record.profile),
        subject: format!(
            "{}, {}",
            record.profile,
            view::day_and_time(&record.started_at)
        ),
        number: number(record),
        facts: facts(record),
        sections,
        foot: view::made_by(&record.breakpoint_version),
    }
}

/// What the ramp reads; that it is no breakpoint is said beside it.
fn number(record: &RampRecord) -> Number {
    let unit = record.plan.unit.name();
    let (value, unit, note) = match (&record.breach, record.ending) {
        (Some(breach), _) => (
            units::format_count(breach.level.get().into()),
            unit,
            "the level when the SLO first broke over the last 10 s".to_owned(),
        ),
        (None, ending) => {
            let word = match ending {
                // That it held would be more than what was judged says.
                RampEnding::Complete => "none",
                RampEnding::GeneratorLimited => "invalid",
                RampEnding::DataUsedUp => "rows used up",
                RampEnding::TargetDown => "target down",
                RampEnding::Interrupted => "interrupted",
                RampEnding::Aborted => "aborted",
            };
            (word.to_owned(), "", record.reason.clone())
        }
    };
    Number {
        label: "First breach".to_owned(),
        value,
        unit: unit.to_owned(),
        note,
    }
}

fn facts(record: &RampRecord) -> Vec<Fact> {
    let mut facts = vec![
        Fact::code("SLO", record.slo.clone()),
        Fact::new("Stages", ramp::headline(record)),
    ];
    if let Some((label, text)) = ramp::unusual_end(record) {
        facts.push(Fact::new("Ended", format!("{label}: {text}")));
    }
    if !record.stages.is_empty() {
        facts.push(Fact::new("First breach", ramp::reading(record)));
        if let Some(reference) = &record.reference_run {
            facts.push(Fact::new(
                "Find run",
                ramp::reference_text(record, reference),
            ));
        }
        facts.push(Fact::new("Caveat", ramp::cannot_say(record)));
    }
    facts.extend(view::whole_time_of_ramp(record).map(|text| Fact::new("Time", text)));
    facts
}

fn stages(record: &RampRecord) -> Table {
    let mut head = vec![
        Column::number("stage"),
        Column::text(format!("{} requested", record.plan.unit.name())),
        Column::number("reached"),
        Column::text("verdict"),
    ];
    let rate = record.plan.counted().rate();
    let columns = [rate, "median", "p99", "errors", "shed", "seconds"];
    head.extend(columns.map(Column::number));
    head.push(Column::text("why"));
    Table {
        caption: "Every stage in order".to_owned(),
        head,
        rows: record.stages.iter().map(|s| stage(record, s)).collect(),
    }
}

fn stage(record: &RampRecord, stage: &StageRecord) -> Vec<Cell> {
    let main = stage.steps.get(record.plan.main_step);
    let cycle = stage.overall();
    let quantile = |q| {
        let value = main.and_then(|s| s.latency.quantile_s(q));
        Cell::maybe(value, units::format_seconds)
    };
    let reached = stage.vus_reached;
    vec![
        index(stage.index + 1),
        Cell::text(ramp::from_to(&stage.asked)),
        Cell::number(reached, units::format_count(reached.into())),
        Cell::mark(Mark::of(stage.end, stage.verdict)),
        per_s(stage.throughput_per_s),
        quantile(0.5),
        quantile(0.99),
        share(cycle.and_then(view::errors_of)),
        share(cycle.and_then(view::sheds_of)),
        Cell::number(stage.measured_s, view::short(stage.measured_s)),
        Cell::text(what_broke(stage)),
    ]
}

/// What is to be said beyond the word of the verdict.
fn what_broke(stage: &StageRecord) -> String {
    let text = ramp::verdict(stage);
    let word = Mark::of(stage.end, stage.verdict).word();
    let rest = text.strip_prefix(word).unwrap_or(&text);
    rest.trim_start_matches([':', ',', ' ']).to_owned()
}

/// What gave way in each stage, and the monitors' peaks.
fn notes(record: &RampRecord) -> Vec<String> {
    let stages = record.stages.iter();
    let notes = stages.flat_map(|stage| {
        let notes = ramp::notes(record, stage).into_iter();
        notes.map(|(label, text)| format!("stage {}, {label}: {text}", stage.index + 1))
    });
    notes.collect()
}

fn context_of(record: &RampRecord) -> Context<'_> {
    let asked = record.asked.iter();
    let stages: Vec<String> = asked
        .map(|s| format!("{}:{:.0}s", s.to.get(), s.lasts_s))
        .collect();
    let mut rebuilt = vec!["ramp".to_owned(), record.profile.clone()];
    rebuilt.extend(["--stages".to_owned(), stages.join(",")]);
    rebuilt.extend(slo_flags(&record.slo));
    Context {
        plan: &record.plan,
        environment: &record.environment,
        version: &record.breakpoint_version,
        schema: record.schema_version,
        times: (&record.started_at, &record.finished_at),
        warnings: &record.warnings,
        generator: None,
        rebuilt,
    }
}
