//! The report of a comparison.

mod answer;
mod scaling;

use super::{Cell, Chart, Column, Mark, Page, Part, Section, Table};
use crate::record::{Change, CompareRecord, ComparedRun, Comparison};
use crate::report::compare::{self, count};
use crate::report::{CompareFormat, chart, summary, view};
use crate::units;

pub(in crate::report) fn of_comparison(record: &CompareRecord) -> Page {
    let headline = answer::headline(record);
    let mut sections = Vec::new();
    if !record.comparisons.is_empty() {
        sections.push(section("Every change", Part::Table(changes(record))));
        sections.push(section("Other differences", differences(record)));
    }
    if record.comparisons.len() > 1 {
        sections.push(section("Bottleneck", Part::Table(gave_way(record))));
    }
    sections.extend(record.scaling.iter().map(|s| scaling::section(record, s)));
    let picture = Part::Charts(vec![picture(record, &headline)]);
    sections.push(section("Chart", picture));
    sections.push(section("The runs", Part::Table(runs(record))));
    if !record.notes.is_empty() {
        sections.push(section("Notes", Part::List(record.notes.clone())));
    }
    sections.push(Section {
        title: "How it is computed",
        parts: vec![
            Part::Words(method(record)),
            Part::Words("To regenerate all files in this folder from its record:".to_owned()),
            Part::Lines(vec!["breakpoint report DIR".to_owned()]),
        ],
    });
    Page {
        title: headline,
        subject: format!("comparison, {}", view::day_and_time(&record.made_at)),
        number: answer::number(record),
        facts: answer::facts(record),
        sections,
        foot: format!(
            "Compared by breakpoint {}, schema {}. No evidence of a change is not evidence of no \
             change: the interval shows what is still possible.",
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

/// The candidate's name as a first column, where there are several; short, for a table has little
/// room.
fn of_candidate(record: &CompareRecord, comparison: &Comparison) -> Option<Cell> {
    let several = record.comparisons.len() > 1;
    several.then(|| Cell::name(compare::short_name(record, &comparison.candidate)))
}

fn candidate_column(record: &CompareRecord) -> Vec<Column> {
    let several = record.comparisons.len() > 1;
    several
        .then(|| Column::text("candidate"))
        .into_iter()
        .collect()
}

/// A row per candidate and metric.
fn changes(record: &CompareRecord) -> Table {
    let mut head = candidate_column(record);
    head.push(Column::text("metric"));
    head.extend(["base", "candidate"].map(Column::number));
    head.push(Column::text("at"));
    head.push(Column::number("change"));
    head.push(Column::text(format!(
        "{} % interval",
        view::percent(record.confidence)
    )));
    head.extend([Column::number("p"), Column::text("verdict")]);
    head.push(Column::text("details"));
    let of = |c: &Comparison| -> Vec<Vec<Cell>> {
        let rows = c.changes.iter();
        rows.map(|change| {
            of_candidate(record, c)
                .into_iter()
                .chain(cells(record, change))
        })
        .map(Iterator::collect)
        .collect()
    };
    Table {
        caption: "Changes, one per metric".to_owned(),
        head,
        rows: record.comparisons.iter().flat_map(of).collect(),
    }
}

fn cells(record: &CompareRecord, change: &Change) -> Vec<Cell> {
    let metric = change.metric;
    let style = compare::Style::of(change);
    let value = |v| Cell::maybe(v, |v| compare::value(metric, v));
    let unit = compare::unit(record, metric);
    let known = (!change.reason.is_empty()).then(|| change.reason.clone());
    let known: Vec<String> = compare::would_be_seen(change)
        .into_iter()
        .chain(known)
        .collect();
    vec![
        Cell::text(format!("{},{unit}", metric.name()).replace(", (", " (")),
        value(change.base),
        value(change.candidate),
        Cell::text(compare::at(record, change).unwrap_or_default()),
        Cell::maybe(change.ratio, |v| style.text(v)),
        Cell::text(interval(change)),
        Cell::maybe(change.p_value, |_| {
            let text = compare::p_text(change).unwrap_or_default();
            text.trim_start_matches("p = ").replace("p <= ", "<= ")
        }),
        Cell::mark(Mark::of_change(change.metric, change.verdict)),
        Cell::text(known.join("; ")),
    ]
}

/// `+13.4 % to +27.0 %`, or the end that is known.
fn interval(change: &Change) -> String {
    let style = compare::Style::of(change);
    let text = |end: Option<f64>| end.map(|v| style.text(v));
    match (text(change.low), text(change.high)) {
        (Some(low), Some(high)) => format!("{low} to {high}"),
        (Some(low), None) => format!("at least {low}"),
        (None, Some(high)) => format!("at most {high}"),
        (None, None) => String::new(),
    }
}

/// What besides the system could explain it.
fn differences(record: &CompareRecord) -> Part {
    let all = record.comparisons.iter();
    let rows: Vec<Vec<Cell>> = all
        .flat_map(|c| {
            c.differences.iter().map(move |d| {
                let texts = [
                    &d.what[..],
                    compare::or_dash(&d.base),
                    compare::or_dash(&d.candidate),
                ];
                let cells = texts.map(Cell::text);
                of_candidate(record, c).into_iter().chain(cells).collect()
            })
        })
        .collect();
    if rows.is_empty() {
        let words = "The records show no other difference: profile, machine, and version are the \
            same.";
        return Part::Words(words.to_owned());
    }
    let mut head = candidate_column(record);
    head.extend(["what", "in the base", "in the candidate"].map(Column::text));
    Part::Table(Table {
        caption: "Other differences between base and candidate".to_owned(),
        head,
        rows,
    })
}

/// What limited each candidate, before and now.
fn gave_way(record: &CompareRecord) -> Table {
    let row = |c: &Comparison| {
        vec![
            Cell::name(compare::short_name(record, &c.candidate)),
            Cell::text(compare::limited(c.limited_before.as_ref())),
            Cell::text(compare::limited(c.limited_now.as_ref())),
        ]
    };
    Table {
        caption: "Bottleneck of the base and of each candidate".to_owned(),
        head: ["candidate", "before", "now"].map(Column::text).into(),
        rows: record.comparisons.iter().map(row).collect(),
    }
}

fn picture(record: &CompareRecord, headline: &str) -> Chart {
    let (title, what) = if record.scaling.is_some() {
        let what = "Breakpoint by size, the scaling law with its band, and the forecast";
        ("The scaling law", what)
    } else {
        let what = "Change of each metric with its interval, compared to no change";
        ("What changed", what)
    };
    Chart {
        file: CompareFormat::Chart.file_name(),
        title,
        about: format!("{what}; {headline}"),
        scene: chart::compared(record),
    }
}

/// What each run found.
fn runs(record: &CompareRecord) -> Table {
    let compared = !record.comparisons.is_empty();
    let sized = record.runs.iter().any(|r| r.size.is_some());
    let mut head = vec![Column::text("run")];
    head.extend(compared.then(|| Column::text("as")));
    head.extend(sized.then(|| Column::number("size")));
    head.extend(["profile", "started"].map(Column::text));
    head.push(Column::number(record.unit.name()));
    head.extend(["interval", "ended", "bottleneck"].map(Column::text));
    let row = |(i, run): (usize, &ComparedRun)| {
        let mut cells = vec![Cell::name(&run.name)];
        cells.extend(compared.then(|| Cell::text(role(record, i))));
        cells.extend(sized.then(|| Cell::maybe(run.size, compare::size)));
        cells.extend([
            Cell::text(&run.profile),
            Cell::text(view::day_and_time(&run.started_at)),
            Cell::maybe(run.breakpoint.map(f64::from), count),
            Cell::text(run_interval(run)),
            Cell::text(run.ending.name().replace('_', " ")),
            Cell::text(
                run.limiting_resource
                    .as_ref()
                    .map_or_else(String::new, summary::finding),
            ),
        ]);
        cells
    };
    Table {
        caption: "Compared runs".to_owned(),
        head,
        rows: record.runs.iter().enumerate().map(row).collect(),
    }
}

/// `base`, `candidate`, `base of pair 2`.
fn role(record: &CompareRecord, run: usize) -> String {
    let pairs = record.comparisons.iter().flat_map(|c| {
        let several = c.pairs.len() > 1;
        c.pairs
            .iter()
            .enumerate()
            .map(move |(i, pair)| (several, i, pair))
    });
    let roles = pairs.filter_map(|(several, i, (base, candidate))| {
        let word = match run {
            r if r == *base => "base",
            r if r == *candidate => "candidate",
            _ => return None,
        };
        Some(if several {
            format!("{word} of pair {}", i + 1)
        } else {
            word.to_owned()
        })
    });
    roles.take(1).collect()
}

fn run_interval(run: &ComparedRun) -> String {
    let count = |level: u32| units::format_count(level.into());
    match (run.ci_low.map(count), run.ci_high.map(count)) {
        (Some(low), Some(high)) => format!("{low} – {high}"),
        (Some(low), None) => format!("at least {low}"),
        (None, Some(high)) => format!("at most {high}"),
        (None, None) => String::new(),
    }
}

fn method(record: &CompareRecord) -> String {
    let pairs = record.comparisons.iter().any(|c| c.pairs.len() > 1);
    let how = match &record.scaling {
        Some(scaling) => format!(
            "The Universal Scalability Law is fitted to the breakpoints by weighted least squares; \
             its intervals are percentiles of {} fits to breakpoints resampled from each run's \
             uncertainty.",
            units::format_count(scaling.resamples.into())
        ),
        None if pairs => "The pairs' log ratios are pooled; the run-to-run spread is estimated \
            from the pairs themselves. A change counts as evidence when its interval excludes no \
            change."
            .to_owned(),
        None => "The ratio's distribution combines each run's own uncertainty with an assumed \
            run-to-run spread. A change counts as evidence when its interval excludes no change."
            .to_owned(),
    };
    format!("{how} docs/compare.md has the details and the error rates.")
}
