//! `scale.csv`: a row per size, point of the curve, forecast, and need.

use super::{number, owned, write};
use crate::record::{ForecastPoint, Reach, ScaleRecord};
use crate::report::ReportError;

pub(in crate::report) fn scale(record: &ScaleRecord) -> Result<Vec<u8>, ReportError> {
    let header = owned(&[
        "kind",
        "label",
        "size",
        "breakpoint",
        "low",
        "high",
        "efficiency",
        "efficiency_low",
        "efficiency_high",
        "cost_per_1000",
        "limited_by",
    ]);
    let width = header.len();
    let padded = |mut cells: Vec<String>| {
        cells.resize(width, String::new());
        cells
    };
    let mut rows = Vec::new();
    for size in &record.sizes {
        let e = size.efficiency;
        let mut cells = vec!["size".to_owned(), size.label.clone()];
        cells.extend(
            [
                Some(size.number),
                size.breakpoint,
                size.low,
                size.high,
                e.map(|e| e.estimate),
                e.map(|e| e.low),
                e.map(|e| e.high),
                size.cost_per_thousand,
            ]
            .map(number),
        );
        cells.push(size.limited_by.join("; "));
        rows.push(cells);
    }
    let point = |kind: &str, p: &ForecastPoint| {
        let mut cells = vec![kind.to_owned(), String::new()];
        cells.extend([p.size, p.estimate, p.low, p.high].map(|v| number(Some(v))));
        padded(cells)
    };
    rows.extend(record.curve.iter().map(|p| point("law", p)));
    rows.extend(record.forecast.iter().map(|p| point("forecast", p)));
    rows.extend(record.one_lost.iter().map(|p| point("one_lost", p)));
    let reach = |kind: &str, level: Option<f64>, r: &Reach| {
        let mut cells = vec![kind.to_owned(), String::new()];
        cells.extend([r.estimate, level, r.low, r.high].map(number));
        padded(cells)
    };
    if let Some(target) = &record.target {
        let level = Some(f64::from(target.level));
        rows.push(reach("needed", level, &target.needed));
        let spare = target.with_one_lost.iter();
        rows.extend(spare.map(|r| reach("needed_with_one_lost", level, r)));
    }
    write(header, rows.into_iter())
}
