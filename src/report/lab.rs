//! Reports of `breakpoint lab`: many whole searches against systems whose truth is known, in rows
//! and pictures.

pub(super) mod found;
mod pairs;
mod random;
pub(super) mod summary;
mod table;

pub use found::{Interval, LabReport, LabRun, LabSystem, LabTruth};
pub use pairs::{LabPair, LabPairs, PairRow, pair_files, pair_rows, pair_text};
pub use random::{RandomReport, RandomRun, RandomSystem, random_files, random_text};
pub use summary::{LabRow, rows};
pub use table::{csv, runs_csv, text};

use super::ReportError;
use super::chart;

/// The files of a report with their bytes: two tables, and pictures.
///
/// # Errors
/// When a table or picture cannot be made.
pub fn files(report: &LabReport) -> Result<Vec<(String, Vec<u8>)>, ReportError> {
    let rows = rows(report);
    let mut files = vec![
        ("lab.csv".to_owned(), csv(&rows)?),
        ("lab-runs.csv".to_owned(), runs_csv(report)?),
    ];
    // With several budgets a line of a chart would not say which it is of.
    if report.budgets().len() == 1 {
        for (name, scene) in chart::lab(report, &rows) {
            files.push((name, scene.to_png()?));
        }
    }
    Ok(files)
}
