//! Pairs of searches in rows: how often a comparison saw a change, and how often there was none.

use std::fmt::Write as _;

use crate::record::{Change, ChangeVerdict, ComparedMetric};
use crate::report::ReportError;
use crate::report::escape;
use crate::stats;

/// Confidence of the interval around a share of pairs.
const CONFIDENCE: f64 = 0.95;

/// All pairs of one system.
#[derive(Debug, Clone, PartialEq)]
pub struct LabPairs {
    /// The system.
    pub name: String,
    /// The changes of capacity that were tried, as fractions, with the true ratio of the
    /// breakpoints where it is known.
    pub changes: Vec<(f64, Option<f64>)>,
    /// Seconds that a search had.
    pub budget_s: f64,
    /// Every pair.
    pub pairs: Vec<LabPair>,
}

/// One pair of searches, compared.
#[derive(Debug, Clone, PartialEq)]
pub struct LabPair {
    /// Capacity that the candidate has more, as a fraction.
    pub change: f64,
    /// Index of the pair, from 0.
    pub pair: u32,
    /// What the comparison says, one of each metric.
    pub changes: Vec<Change>,
}

/// The pairs of one system, change and metric.
#[derive(Debug, Clone, PartialEq)]
pub struct PairRow {
    /// The system.
    pub system: String,
    /// Capacity that the candidate has more, as a fraction.
    pub change: f64,
    /// The metric.
    pub metric: ComparedMetric,
    /// Pairs that ran.
    pub pairs: u32,
    /// Pairs that could be compared.
    pub compared: u32,
    /// Those with evidence of a rise.
    pub rises: u32,
    /// Those with evidence of a fall.
    pub falls: u32,
    /// Wilson's interval of the share with evidence, among those that could be compared.
    pub evidence: Option<stats::Ends>,
    /// The true ratio of the breakpoints, where it is known.
    pub true_ratio: Option<f64>,
    /// Share of the intervals that held it.
    pub held: Option<f64>,
    /// Median of the ratios.
    pub median_ratio: Option<f64>,
    /// Median of the smallest rise that could have been seen, as a fraction.
    pub detectable: Option<f64>,
    /// Seconds that a search had.
    pub budget_s: f64,
}

/// One row per system, change and metric.
pub fn pair_rows(systems: &[LabPairs]) -> Vec<PairRow> {
    let mut rows = Vec::new();
    for system in systems {
        for change in &system.changes {
            for metric in ComparedMetric::ALL {
                rows.push(row(system, *change, metric));
            }
        }
    }
    rows
}

#[expect(clippy::float_cmp, reason = "the very numbers that were asked for")]
fn row(system: &LabPairs, (asked, truth): (f64, Option<f64>), metric: ComparedMetric) -> PairRow {
    let all: Vec<&Change> = (system.pairs.iter())
        .filter(|p| p.change == asked)
        .filter_map(|p| p.changes.iter().find(|c| c.metric == metric))
        .collect();
    let with = |verdict| count(all.iter().filter(|c| c.verdict == verdict));
    let compared = count(&all) - with(ChangeVerdict::CannotSay);
    let (rises, falls) = (with(ChangeVerdict::Rise), with(ChangeVerdict::Fall));
    // Equal systems are equal in everything; what else a change of capacity changes is not known.
    let known = metric == ComparedMetric::Breakpoint || asked == 0.0;
    let truth = truth.filter(|_| known);
    let intervals: Vec<(f64, f64)> = all.iter().filter_map(|c| Some((c.low?, c.high?))).collect();
    let held = truth.filter(|_| !intervals.is_empty()).map(|t| {
        let held = count(
            intervals
                .iter()
                .filter(|(low, high)| *low <= t && t <= *high),
        );
        f64::from(held) / f64::from(count(&intervals))
    });
    PairRow {
        system: system.name.clone(),
        change: asked,
        metric,
        pairs: count(&all),
        compared,
        rises,
        falls,
        evidence: stats::wilson(rises + falls, compared, CONFIDENCE),
        true_ratio: truth,
        held,
        median_ratio: median(all.iter().filter_map(|c| c.ratio)),
        detectable: median(all.iter().filter_map(|c| c.detectable)),
        budget_s: system.budget_s,
    }
}

fn count<T>(of: impl IntoIterator<Item = T>) -> u32 {
    u32::try_from(of.into_iter().count()).unwrap_or(u32::MAX)
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

const COLUMNS: [&str; 16] = [
    "system",
    "capacity_change_pct",
    "metric",
    "pairs",
    "compared",
    "rises",
    "falls",
    "evidence",
    "evidence_low",
    "evidence_high",
    "true_change_pct",
    "held_true_change",
    "median_change_pct",
    "detectable_pct",
    "budget_s",
    "version",
];

const RUN_COLUMNS: [&str; 9] = [
    "system",
    "capacity_change_pct",
    "pair",
    "metric",
    "ratio",
    "low",
    "high",
    "p_value",
    "verdict",
];

/// The tables as files: `compare.csv`, a row per system, change and metric; `compare-pairs.csv`, a
/// row per pair and metric.
///
/// # Errors
/// Never in practice: it writes to memory.
pub fn pair_files(systems: &[LabPairs]) -> Result<Vec<(String, Vec<u8>)>, ReportError> {
    let rows = pair_rows(systems);
    let rows = rows.iter().map(fields);
    let pairs = systems.iter().flat_map(|system| {
        let each = system.pairs.iter();
        each.flat_map(move |pair| {
            pair.changes
                .iter()
                .map(move |change| pair_fields(&system.name, pair, change))
        })
    });
    Ok(vec![
        ("compare.csv".to_owned(), table(&COLUMNS, rows)?),
        ("compare-pairs.csv".to_owned(), table(&RUN_COLUMNS, pairs)?),
    ])
}

fn table(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Result<Vec<u8>, ReportError> {
    let failed = |e: csv::Error| ReportError::Csv(e.to_string());
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header).map_err(failed)?;
    for row in rows {
        writer.write_record(row).map_err(failed)?;
    }
    writer
        .into_inner()
        .map_err(|e| ReportError::Csv(e.to_string()))
}

fn fields(row: &PairRow) -> Vec<String> {
    let change = |ratio: Option<f64>| number(ratio.map(|r| 100.0 * (r - 1.0)), 2);
    vec![
        escape::cell(&row.system),
        number(Some(100.0 * row.change), 1),
        row.metric.name().to_owned(),
        row.pairs.to_string(),
        row.compared.to_string(),
        row.rises.to_string(),
        row.falls.to_string(),
        number(share(row), 4),
        number(row.evidence.map(|e| e.low), 4),
        number(row.evidence.map(|e| e.high), 4),
        change(row.true_ratio),
        number(row.held, 4),
        change(row.median_ratio),
        number(row.detectable.map(|d| 100.0 * d), 2),
        number(Some(row.budget_s), 0),
        env!("CARGO_PKG_VERSION").to_owned(),
    ]
}

fn pair_fields(system: &str, pair: &LabPair, change: &Change) -> Vec<String> {
    vec![
        system.to_owned(),
        number(Some(100.0 * pair.change), 1),
        pair.pair.to_string(),
        change.metric.name().to_owned(),
        number(change.ratio, 5),
        number(change.low, 5),
        number(change.high, 5),
        number(change.p_value, 4),
        change.verdict.name().to_owned(),
    ]
}

fn share(row: &PairRow) -> Option<f64> {
    (row.compared > 0).then(|| f64::from(row.rises + row.falls) / f64::from(row.compared))
}

fn number(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(String::new, |v| format!("{v:.digits$}"))
}

/// The rows as aligned text.
pub fn pair_text(systems: &[LabPairs]) -> String {
    let mut text = format!(
        "{:<11} {:>8} {:<10} {:>5} {:>8} {:>5} {:>5}  {:<24} {:>10} {:>10}\n",
        "system",
        "capacity",
        "metric",
        "pairs",
        "compared",
        "rise",
        "fall",
        "evidence (95 %)",
        "median",
        "could see"
    );
    let percent = |v: Option<f64>| v.map_or_else(String::new, |v| format!("{:+.1} %", 100.0 * v));
    for row in pair_rows(systems) {
        let evidence = share(&row)
            .zip(row.evidence)
            .map_or_else(String::new, |(s, ends)| {
                let percent = ends.times(100.0);
                format!(
                    "{:.1} % ({:.1} – {:.1})",
                    100.0 * s,
                    percent.low,
                    percent.high
                )
            });
        let _ = writeln!(
            text,
            "{:<11} {:>8} {:<10} {:>5} {:>8} {:>5} {:>5}  {evidence:<24} {:>10} {:>10}",
            row.system,
            percent(Some(row.change)),
            row.metric.name(),
            row.pairs,
            row.compared,
            row.rises,
            row.falls,
            percent(row.median_ratio.map(|r| r - 1.0)),
            percent(row.detectable),
        );
    }
    text
}
