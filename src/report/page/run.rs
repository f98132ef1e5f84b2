//! The report of a search.

use super::context::{self, Context};
use super::{Cell, Chart, Column, Fact, Mark, Page, Part, Section, Table, answer};
use crate::record::{
    Band, CauseKind, HoldEnd, LimitingResource, ProbeRecord, Purpose, RunRecord, VisitSummary,
};
use crate::report::summary::{self, Logged};
use crate::report::view::{self, MainMetric};
use crate::report::{Format, chart, failures};
use crate::units;

/// Lines of logs that a report shows.
pub(super) const MOST_LINES: usize = 20;

pub(in crate::report) fn of_run(record: &RunRecord) -> Page {
    let mut sections = Vec::new();
    let visits = visits(record);
    if !visits.rows.is_empty() {
        sections.push(Section {
            title: "Last held, first broke",
            parts: vec![Part::Table(visits)],
        });
    }
    sections.extend(cause(record));
    sections.extend(failures::of_run(record));
    if !record.probes.is_empty() {
        sections.push(Section {
            title: "Charts",
            parts: vec![Part::Charts(charts(record))],
        });
        sections.push(Section {
            title: "Every probe",
            parts: vec![
                Part::Words(format!("Based on {}.", summary::rests_on(record))),
                Part::Table(probes(record)),
            ],
        });
    }
    sections.extend(context_of(record).sections(asked(record)));
    Page {
        title: format!("{}: {}", record.profile, view::headline(record)),
        subject: format!(
            "{}, {}",
            record.profile,
            view::day_and_time(&record.started_at)
        ),
        number: answer::number(record),
        facts: answer::facts(record),
        sections,
        foot: view::made_by(&record.breakpoint_version),
    }
}

fn asked(record: &RunRecord) -> Vec<Fact> {
    let a = &record.answer;
    let percent = view::percent;
    let mut interval = format!(
        "±{} % at {} % confidence",
        percent(a.precision_asked),
        percent(a.confidence)
    );
    if let Some(reached) = a.precision_reached {
        interval = format!("{interval}; reached ±{:.1} %", reached * 100.0);
    }
    let mut facts = vec![
        Fact::new("Levels", context::range(&record.plan)),
        Fact::new("Interval", interval),
    ];
    let budget = view::span(record.plan.budget_s);
    let took = view::span(a.search_s.round());
    facts.push(Fact::new(
        "Budget",
        format!("{budget}; the search took {took}"),
    ));
    facts.extend(view::whole_time(record).map(|text| Fact::new("Time", text)));
    facts
}

fn context_of(record: &RunRecord) -> Context<'_> {
    let plan = &record.plan;
    let what = if plan.unit.is_open() { "rate" } else { "vus" };
    let mut rebuilt = vec!["find".to_owned(), record.profile.clone()];
    rebuilt.extend(plan.arrivals.map(|a| format!("--rate={}", a.name())));
    rebuilt.extend(slo_flags(&record.slo));
    rebuilt.extend([format!("--min-{what}"), plan.min_level.to_string()]);
    rebuilt.extend([format!("--max-{what}"), plan.max_level.to_string()]);
    rebuilt.extend(["--budget".to_owned(), format!("{:.0}s", plan.budget_s)]);
    rebuilt.extend(["--seed".to_owned(), plan.seed.to_string()]);
    Context {
        plan,
        environment: &record.environment,
        version: &record.breakpoint_version,
        schema: record.schema_version,
        times: (&record.started_at, &record.finished_at),
        warnings: &record.warnings,
        generator: (!record.probes.is_empty()).then(|| summary::limits(record)),
        rebuilt,
    }
}

/// The two levels that the answer names.
fn visits(record: &RunRecord) -> Table {
    let unit = record.plan.unit.name();
    let head = vec![
        Column::text("visit"),
        Column::number(unit),
        Column::text("seen"),
        Column::number("errors"),
        Column::number("shed"),
        Column::number(record.plan.counted().rate()),
        Column::number("probe"),
    ];
    let row = |mark: Mark, name: &str, visit: &VisitSummary| {
        let probe = record.probes.get(visit.probe);
        let level = visit.level.get();
        vec![
            Cell {
                text: name.to_owned(),
                key: None,
                mark: Some(mark),
                ..Cell::default()
            },
            Cell::number(level, units::format_count(level.into())),
            Cell::text(&visit.observed),
            share(Some(visit.error_ratio)),
            share(Some(visit.shed_ratio)),
            per_s(probe.and_then(|p| p.throughput_per_s)),
            index(visit.probe),
        ]
    };
    let a = &record.answer;
    let held = a.last_held.iter();
    let broke = a.first_broke.iter();
    let below = a.references.iter();
    let verdict = |visit: &VisitSummary| {
        let probe = record.probes.get(visit.probe);
        probe.map_or(Mark::NotJudged, |p| Mark::of(p.end, p.verdict))
    };
    let mut caption = "Highest level that held and lowest level that broke".to_owned();
    if !a.references.is_empty() {
        caption.push_str("; reference: levels held again after the search");
    }
    Table {
        caption,
        head,
        rows: held
            .map(|v| row(Mark::Held, "last held", v))
            .chain(broke.map(|v| row(Mark::Broke, "first broke", v)))
            .chain(below.map(|v| row(verdict(v), "reference", v)))
            .collect(),
    }
}

fn charts(record: &RunRecord) -> Vec<Chart> {
    let unit = record.plan.unit;
    let name = unit.name();
    let answer = view::headline(record);
    let chart = |format: Format, title, what: &str, scene| Chart {
        file: format.file_name(unit),
        title,
        about: format!("{what}; {answer}"),
        scene,
    };
    let latency = chart(
        Format::LatencyChart,
        "Latency",
        &format!(
            "Latency of every probe against {name}, with the SLO, the breakpoint and its interval"
        ),
        chart::latency(record),
    );
    let errors_first = view::errors_first(&record.slo);
    let title = if errors_first {
        "Errors, sheds and throughput"
    } else {
        "Throughput, errors and sheds"
    };
    let throughput = chart(
        Format::ThroughputChart,
        title,
        &format!("{title} of every probe against {name}"),
        chart::throughput(record),
    );
    let (first, second) = if errors_first {
        (throughput, latency)
    } else {
        (latency, throughput)
    };
    vec![
        first,
        second,
        chart(
            Format::ResourcesChart,
            "Resources",
            &format!("Peak use of each resource per hold against {name}, with limits"),
            chart::resources(record),
        ),
        chart(
            Format::SearchChart,
            "The search",
            "Levels visited over time, their verdicts, and how the estimate narrowed",
            chart::search(record),
        ),
    ]
}

/// A row per probe.
fn probes(record: &RunRecord) -> Table {
    let metric = MainMetric::of(&record.slo, &record.plan);
    let mut head = vec![
        Column::number("probe"),
        Column::text("purpose"),
        Column::number(record.plan.unit.name()),
        Column::text("verdict"),
    ];
    let rate = record.plan.counted().rate();
    let latencies = [metric.name.as_str(), "median"];
    let shares = ["errors", "shed"];
    let columns = if view::errors_first(&record.slo) {
        [shares, latencies]
    } else {
        [latencies, shares]
    };
    let columns = columns.into_iter().flatten().chain([rate]);
    head.extend(columns.map(Column::number));
    head.extend(["settle", "hold"].map(Column::number));
    head.push(Column::text("estimate"));
    head.push(Column::text("why"));
    Table {
        caption: "Every probe in order".to_owned(),
        head,
        rows: (record.probes.iter())
            .map(|p| probe(&metric, p, view::errors_first(&record.slo)))
            .collect(),
    }
}

fn probe(metric: &MainMetric, probe: &ProbeRecord, errors_first: bool) -> Vec<Cell> {
    let level = probe.level.get();
    let count = |v: f64| units::format_count(crate::measure::Level::nearest(v).get().into());
    let latencies = [
        Cell::maybe(metric.observed(probe), units::format_seconds),
        Cell::maybe(metric.quantile(probe, 0.5), units::format_seconds),
    ];
    let shares = [
        share(view::error_ratio(probe)),
        share(view::shed_ratio(probe)),
    ];
    let seen = if errors_first {
        [shares, latencies]
    } else {
        [latencies, shares]
    };
    let mut cells = vec![
        index(probe.index),
        Cell::text(probe.purpose.name()),
        Cell::number(level, units::format_count(level.into())),
        Cell::mark(match probe.purpose {
            Purpose::WarmUp => Mark::NotJudged,
            _ => Mark::of(probe.end, probe.verdict),
        }),
    ];
    cells.extend(seen.into_iter().flatten());
    cells.extend([
        per_s(probe.throughput_per_s),
        Cell::number(probe.settle_s, view::span(probe.settle_s)),
        Cell::number(probe.hold_s, view::span(probe.hold_s)),
        match probe.estimate {
            Some(Band {
                low,
                estimate,
                high,
            }) => Cell::number(
                estimate,
                format!("{} ({} – {})", count(estimate), count(low), count(high)),
            ),
            None => Cell::default(),
        },
        Cell::text(why(probe)),
    ]);
    cells
}

/// What gave way, or why the verdict is what it is.
fn why(probe: &ProbeRecord) -> String {
    let early = if probe.end == HoldEnd::LeftEarly {
        "left early; "
    } else {
        ""
    };
    match (&probe.limiting_resource, probe.verdict) {
        (Some(cause), _) => format!("{early}{}", summary::finding(cause)),
        (None, crate::slo::Verdict::Held) => String::new(),
        (None, _) => format!("{early}{}", summary::sentence(&probe.reason)),
    }
}

/// What gave way with its evidence, what else fits, and what the services logged.
fn cause(record: &RunRecord) -> Option<Section> {
    let a = &record.answer;
    let mut parts = Vec::new();
    let causes: Vec<&LimitingResource> =
        a.limiting_resource.iter().chain(&a.other_causes).collect();
    if !causes.is_empty() {
        let head = ["resource", "certainty", "rule", "evidence"];
        let rows = causes.iter().map(|cause| {
            vec![
                Cell::text(&cause.resource),
                Cell::text(cause.sureness.name()),
                // Records of older versions do not say.
                Cell::text(cause.kind.map_or("-", CauseKind::name)),
                Cell::text(&cause.evidence),
            ]
        });
        parts.push(Part::Table(Table {
            caption: "Bottlenecks, most certain first".to_owned(),
            head: head.map(Column::text).into_iter().collect(),
            rows: rows.collect(),
        }));
    }
    parts.extend(
        summary::near_break(record, MOST_LINES)
            .into_iter()
            .flat_map(logged),
    );
    (!parts.is_empty()).then_some(Section {
        title: "Bottleneck",
        parts,
    })
}

/// Lines of logs around the moment in which something broke.
pub(super) fn logged(logged: Logged) -> [Part; 2] {
    [
        Part::Words(format!("Logged {}", logged.when)),
        Part::Lines(logged.lines),
    ]
}

pub(super) fn slo_flags(slo: &[String]) -> impl Iterator<Item = String> {
    let flags = slo.iter().map(|o| ["--slo".to_owned(), o.clone()]);
    flags.flatten()
}

pub(super) fn index(index: usize) -> Cell {
    Cell::number(u32::try_from(index).unwrap_or(u32::MAX), index.to_string())
}

pub(super) fn share(value: Option<f64>) -> Cell {
    Cell::maybe(value, |v| format!("{} %", view::percent(v)))
}

pub(super) fn per_s(value: Option<f64>) -> Cell {
    Cell::maybe(value, |v| format!("{v:.1}"))
}
