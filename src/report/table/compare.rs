//! `compare.csv`: a row per candidate and metric; `scaling.csv`: a row per run, point of the curve,
//! and the forecast.

use super::{number, owned, write};
use crate::record::{Change, CompareRecord, Comparison};
use crate::report::ReportError;

/// A row per candidate and metric.
pub(in crate::report) fn compared(record: &CompareRecord) -> Result<Vec<u8>, ReportError> {
    let rows = record
        .comparisons
        .iter()
        .flat_map(|comparison| comparison.changes.iter().map(move |c| row(comparison, c)));
    let header = owned(&[
        "base",
        "candidate",
        "metric",
        "pairs",
        "base_value",
        "candidate_value",
        "base_level",
        "candidate_level",
        "ratio",
        "low",
        "high",
        "p_value",
        "detectable",
        "verdict",
        "reason",
    ]);
    write(header, rows)
}

fn row(comparison: &Comparison, change: &Change) -> Vec<String> {
    let level = |l: Option<crate::measure::Level>| l.map_or_else(String::new, |l| l.0.to_string());
    vec![
        comparison.base.clone(),
        comparison.candidate.clone(),
        change.metric.name().to_owned(),
        change.pairs.to_string(),
        number(change.base),
        number(change.candidate),
        level(change.levels.map(|l| l.0)),
        level(change.levels.map(|l| l.1)),
        number(change.ratio),
        number(change.low),
        number(change.high),
        number(change.p_value),
        number(change.detectable),
        change.verdict.name().to_owned(),
        change.reason.clone(),
    ]
}

/// The runs with their sizes, the law's curve, and the forecast.
pub(in crate::report) fn scaled(record: &CompareRecord) -> Result<Vec<u8>, ReportError> {
    let cells = |kind: &str, size: f64, [middle, low, high]: [f64; 3]| {
        let mut cells = owned(&[kind]);
        cells.extend([size, middle, low, high].map(|v| number(Some(v))));
        cells
    };
    let mut rows = Vec::new();
    if let Some(scaling) = &record.scaling {
        for p in &scaling.points {
            rows.push(cells("run", p.size, [p.breakpoint, p.low, p.high]));
        }
        for p in &scaling.curve {
            rows.push(cells("law", p.size, [p.estimate, p.low, p.high]));
        }
        let p = &scaling.forecast;
        rows.push(cells("forecast", p.size, [p.estimate, p.low, p.high]));
    }
    let header = owned(&["kind", "size", "breakpoint", "low", "high"]);
    write(header, rows.into_iter())
}
