//! The report of a sizing.

use super::{Cell, Chart, Column, Fact, Mark, Number, Page, Part, Section, Table};
use crate::record::{GateOutcome, ScaleRecord, ScaleRun, ScaleSize};
use crate::report::scale::{self, count};
use crate::report::{ScaleFormat, chart, view};

pub(in crate::report) fn of_scale(record: &ScaleRecord) -> Page {
    let headline = scale::headline(record);
    let mut sections = vec![section("Sizes", Part::Table(sizes(record)))];
    if !record.laws.is_empty() {
        sections.push(section("How it grows", Part::Table(laws(record))));
    }
    let picture = Chart {
        file: ScaleFormat::Chart.file_name(),
        title: "Capacity against size",
        about: format!("Breakpoint by size with the band over all laws; {headline}"),
        scene: chart::scale(record),
    };
    sections.push(section("Chart", Part::Charts(vec![picture])));
    sections.push(section("The runs", Part::Table(runs(record))));
    if !record.notes.is_empty() {
        sections.push(section("Notes", Part::List(record.notes.clone())));
    }
    sections.push(Section {
        title: "How it is computed",
        parts: vec![
            Part::Words(
                "Every law is weighed by its likelihood with the known errors; bands are quantiles \
                 over all of them. docs/scale.md has the details and the error rates."
                    .to_owned(),
            ),
            Part::Words("To regenerate all files in this folder from its record:".to_owned()),
            Part::Lines(vec!["breakpoint report DIR".to_owned()]),
        ],
    });
    Page {
        title: headline,
        subject: format!("sizing, {}", view::day_and_time(&record.made_at)),
        number: number(record),
        facts: facts(record),
        sections,
        foot: format!(
            "Made by breakpoint {}, schema {}. A limit that no size has met is in no band.",
            record.breakpoint_version, record.schema_version
        ),
    }
}

fn section(title: &'static str, part: Part) -> Section {
    Section {
        title,
        parts: vec![part],
    }
}

/// What the target needs, else what the largest size carries.
fn number(record: &ScaleRecord) -> Number {
    if let Some(target) = &record.target {
        let value = scale::reach_number(&target.needed);
        return Number {
            label: format!(
                "Size needed for {}",
                record.unit.count(crate::measure::Level(target.level))
            ),
            value: value.map_or_else(|| "not known".to_owned(), |v| scale::size(record, v)),
            unit: String::new(),
            note: scale::reach_text(record, &target.needed),
        };
    }
    let last = record.sizes.iter().rfind(|s| s.breakpoint.is_some());
    Number {
        label: last.map_or_else(String::new, |s| format!("Breakpoint at size {}", s.label)),
        value: last
            .and_then(|s| s.breakpoint)
            .map_or_else(String::new, count),
        unit: record.unit.name().to_owned(),
        note: last.map_or_else(String::new, |s| scale::found(record, s)),
    }
}

fn facts(record: &ScaleRecord) -> Vec<Fact> {
    let mut facts = vec![Fact::code("SLO", record.slo.clone())];
    if !record.laws.is_empty() {
        facts.push(Fact::new("Law", scale::laws_text(&record.laws)));
    }
    let forecast = record.forecast.iter();
    facts.extend(forecast.map(|p| Fact::new("Forecast", scale::forecast_text(record, p))));
    let lost = record.one_lost.iter();
    facts.extend(lost.map(|p| Fact::new("One unit lost", scale::forecast_text(record, p))));
    facts.push(Fact::new("Helps up to", scale::helps_text(record)));
    for (label, text) in scale::target_texts(record) {
        let label = match label {
            "target" => "Target",
            "cost" => "Cost",
            _ => "With one lost",
        };
        facts.push(Fact::new(label, text));
    }
    facts.extend(record.gates.iter().map(|gate| {
        let mark = match gate.outcome {
            GateOutcome::Passed => Mark::Passed,
            GateOutcome::Failed => Mark::Failed,
            GateOutcome::CannotSay => Mark::NotJudged,
        };
        Fact::new("Gate", scale::gate_text(gate)).marked(mark)
    }));
    facts
}

fn sizes(record: &ScaleRecord) -> Table {
    let priced = record.cost.is_some();
    let mut head = vec![
        Column::number("size"),
        Column::number(record.unit.name()),
        Column::text("interval"),
        Column::number(scale::per_unit_name(record)),
        Column::text("efficiency"),
    ];
    head.extend(priced.then(|| Column::number("cost of 1 000")));
    head.push(Column::text("bottleneck"));
    let row = |size: &ScaleSize| {
        let mut cells = vec![
            Cell::number(size.number, &size.label),
            Cell::maybe(size.breakpoint, count),
            Cell::text(scale::interval(size).unwrap_or_default()),
            Cell::text(scale::per_unit(record, size).unwrap_or_default()),
            Cell::text(scale::efficiency(size).unwrap_or_default()),
        ];
        cells.extend(priced.then(|| Cell::text(scale::cost(record, size).unwrap_or_default())));
        cells.push(Cell::text(scale::limited(size)));
        cells
    };
    Table {
        caption: "What each size carries".to_owned(),
        head,
        rows: record.sizes.iter().map(row).collect(),
    }
}

fn laws(record: &ScaleRecord) -> Table {
    let row = |law: &crate::record::ScaleLaw| {
        let word = if law.supported { "yes" } else { "no" };
        vec![
            Cell::text(scale::law_name(&law.name)),
            Cell::number(law.weight, format!("{:.0} %", 100.0 * law.weight)),
            Cell::text(word),
        ]
    };
    Table {
        caption: "The laws that capacity may follow, and what speaks for each".to_owned(),
        head: vec![
            Column::text("law"),
            Column::number("probability"),
            Column::text("supported"),
        ],
        rows: record.laws.iter().map(row).collect(),
    }
}

fn runs(record: &ScaleRecord) -> Table {
    let row = |run: &ScaleRun| {
        let cause = run.limiting_resource.as_ref();
        vec![
            Cell::name(&run.name),
            Cell::number(run.size, scale::size(record, run.size)),
            Cell::text(view::day_and_time(&run.started_at)),
            Cell::maybe(run.breakpoint.map(f64::from), count),
            Cell::text(run.ending.name().replace('_', " ")),
            Cell::text(cause.map_or_else(String::new, crate::report::summary::finding)),
        ]
    };
    let head = vec![
        Column::text("run"),
        Column::number("size"),
        Column::text("started"),
        Column::number(record.unit.name()),
        Column::text("ended"),
        Column::text("bottleneck"),
    ];
    Table {
        caption: "The runs".to_owned(),
        head,
        rows: record.runs.iter().map(row).collect(),
    }
}
