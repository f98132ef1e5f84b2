//! The rows as CSV and as text.

use std::fmt::Write as _;

use super::found::{LabReport, LabSystem};
use super::summary::{ENDINGS, LabRow, rows_of};
use crate::report::ReportError;
use crate::report::escape;
use crate::units;

/// The first columns of `lab.csv`, in this order; more follow.
const COLUMNS: [&str; 32] = [
    "system",
    "method",
    "runs",
    "truth_vus",
    "coverage",
    "coverage_low",
    "coverage_high",
    "miss_below",
    "miss_above",
    "median_error_pct",
    "mean_abs_error_pct",
    "half_width_pct",
    "precision_reached",
    "cost_s",
    "truth_se_pct",
    "p5_error_pct",
    "p95_error_pct",
    "intervals",
    "found_runs",
    "named_as_expected",
    "precision_reached_coverage",
    "precision_reached_widest_pct",
    "budget_s",
    // The endings.
    "found",
    "none",
    "never_broke",
    "broke_at_minimum",
    "undecided",
    "time_driven",
    "depends_on_direction",
    "bimodal",
    "bracketed",
];
/// The last columns: what is no ending above, and what depends on the machine.
const LAST_COLUMNS: [&str; 4] = ["other", "without_reserve", "far_off", "cpu_ms_per_run"];

const RUN_COLUMNS: [&str; 12] = [
    "system",
    "method",
    "run",
    "seed",
    "ending",
    "vus",
    "low",
    "high",
    "half_width_pct",
    "cost_s",
    "visits",
    "cpu_ms",
];

/// One line per system and method.
///
/// # Errors
/// Never in practice: it writes to memory.
pub fn csv(rows: &[LabRow]) -> Result<Vec<u8>, ReportError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let head = COLUMNS.iter().chain(&LAST_COLUMNS);
    writer.write_record(head).map_err(|e| failed(&e))?;
    for row in rows {
        writer.write_record(fields(row)).map_err(|e| failed(&e))?;
    }
    writer
        .into_inner()
        .map_err(|e| ReportError::Csv(e.to_string()))
}

fn fields(row: &LabRow) -> Vec<String> {
    let mut fields = vec![
        escape::cell(&row.system),
        row.method.to_owned(),
        row.runs.to_string(),
        whole(row.truth_vus),
        number(row.coverage, 4),
        number(row.coverage_interval.map(|i| i.low), 4),
        number(row.coverage_interval.map(|i| i.high), 4),
        number(row.miss_below, 4),
        number(row.miss_above, 4),
        number(row.error_quantile_pct(0.5), 3),
        number(row.mean_abs_error_pct(), 3),
        number(row.half_width_pct, 3),
        number(row.precision_reached, 4),
        number(row.cost_s, 1),
        number(row.truth_se_pct, 3),
        number(row.error_quantile_pct(0.05), 3),
        number(row.error_quantile_pct(0.95), 3),
        row.intervals.to_string(),
        row.found_runs.to_string(),
        number(row.named_as_expected, 4),
        number(row.precision_reached_coverage, 4),
        number(row.precision_reached_widest_pct, 3),
        number(Some(row.budget_s), 0),
    ];
    fields.extend(row.endings.iter().map(u32::to_string));
    fields.push(row.without_reserve.to_string());
    fields.push(whole(row.far_off));
    fields.push(number(row.cpu_ms_per_run, 1));
    fields
}

/// One line per run.
///
/// # Errors
/// Never in practice: it writes to memory.
pub fn runs_csv(report: &LabReport) -> Result<Vec<u8>, ReportError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(RUN_COLUMNS).map_err(|e| failed(&e))?;
    for system in &report.systems {
        for run in &system.runs {
            let interval = run.interval;
            let record = [
                escape::cell(&system.name),
                run.method.to_owned(),
                run.run.to_string(),
                run.seed.to_string(),
                run.ending.to_owned(),
                whole(run.vus),
                whole(interval.map(|i| i.low)),
                whole(interval.and_then(|i| i.high)),
                number(interval.and_then(|i| i.half_width).map(|w| 100.0 * w), 3),
                number(Some(run.cost_s), 1),
                run.visits.to_string(),
                number(Some(run.cpu_ms), 1),
            ];
            writer.write_record(record).map_err(|e| failed(&e))?;
        }
    }
    writer
        .into_inner()
        .map_err(|e| ReportError::Csv(e.to_string()))
}

pub(super) fn failed(error: &csv::Error) -> ReportError {
    ReportError::Csv(error.to_string())
}

/// What is not known is empty, never zero.
pub(super) fn whole(value: Option<u32>) -> String {
    value.map_or(String::new(), |v| v.to_string())
}

pub(super) fn number(value: Option<f64>, decimals: usize) -> String {
    value
        .filter(|v| v.is_finite())
        .map_or(String::new(), |v| format!("{:.decimals$}", v + 0.0))
}

/// The table for the terminal: a block per system, a line per method.
pub fn text(report: &LabReport) -> String {
    let mut out = String::new();
    let several = report.budgets().len() > 1;
    for system in &report.systems {
        block(&mut out, system, &rows_of(system), several);
    }
    out
}

const HEAD: [&str; 9] = [
    "method",
    "runs",
    "named",
    "held truth",
    "95 % CI",
    "median error",
    "mean |error|",
    "half-width",
    "cost",
];

fn block(out: &mut String, system: &LabSystem, rows: &[LabRow], with_budget: bool) {
    let budget = if with_budget {
        format!("  budget {:.0} s", system.budget_s)
    } else {
        String::new()
    };
    let _ = writeln!(
        out,
        "{}  {}  SLO {}{budget}\n  truth {}",
        system.name,
        system.title,
        system.slo.join(", "),
        system.truth.text(),
    );
    let mut lines = vec![HEAD.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| line(row).to_vec()));
    columns(out, &lines);
    for row in rows {
        if let Some(note) = other_endings(row) {
            let _ = writeln!(out, "  {}: {note}", row.method);
        }
    }
    out.push('\n');
}

/// Lines of cells in columns: the first to the left, the others to the right.
pub(super) fn columns(out: &mut String, lines: &[Vec<String>]) {
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|l| Some(l.get(column)?.chars().count()))
            .max()
            .unwrap_or(0)
    };
    let most = lines.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..most).map(width).collect();
    for line in lines {
        for (column, (cell, w)) in line.iter().zip(&widths).enumerate() {
            let _ = match column {
                0 => write!(out, "  {cell:<w$}"),
                _ => write!(out, "  {cell:>w$}"),
            };
        }
        out.push('\n');
    }
}

fn line(row: &LabRow) -> [String; HEAD.len()] {
    let signed = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:+.1} %"));
    let plain = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:.1} %"));
    let share = |v: Option<f64>| plain(v.map(|v| 100.0 * v));
    [
        row.method.to_owned(),
        row.runs.to_string(),
        row.found_runs.to_string(),
        share(row.coverage),
        row.coverage_interval.map_or("-".to_owned(), |share| {
            let percent = share.times(100.0);
            format!("{:.1} – {:.1} %", percent.low, percent.high)
        }),
        signed(row.error_quantile_pct(0.5)),
        plain(row.mean_abs_error_pct()),
        plain(row.half_width_pct),
        row.cost_s.map_or("-".to_owned(), |s| {
            format!(
                "{} s",
                units::format_count(crate::measure::Level::nearest(s).get().into())
            )
        }),
    ]
}

/// `undecided 3, never_broke 1`; `None` when every run found a number.
fn other_endings(row: &LabRow) -> Option<String> {
    let names = ENDINGS.iter().chain(&["other"]);
    let parts: Vec<String> = names
        .zip(&row.endings)
        .filter(|(name, n)| **n > 0 && **name != "found")
        .map(|(name, n)| format!("{name} {n} of {}", row.runs))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
