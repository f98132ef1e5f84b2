//! Measured figures as rows of a CSV file.

use std::path::Path;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use super::tool::Tool;
use super::work::Work;

/// What a figure says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Metric {
    /// Requests per second of the generator's CPU time; for streams, cycles.
    PerCpuS,
    /// Requests or cycles per second, whatever else the machine did meanwhile.
    PerS,
    /// Resident memory over the number of VUs, KiB.
    KibPerVu,
    /// From the start of the process until every VU had its first answer, seconds.
    StartS,
    /// Reported p50 minus the server's own, milliseconds.
    P50ErrorMs,
    /// Reported p99 minus the server's own, milliseconds.
    P99ErrorMs,
    /// The server's own p50, milliseconds.
    TrueP50Ms,
    /// The server's own p99, milliseconds.
    TrueP99Ms,
}

/// One figure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) work: Work,
    pub(crate) vus: u32,
    pub(crate) tool: Tool,
    pub(crate) repeat: u32,
    pub(crate) metric: Metric,
    pub(crate) value: f64,
}

pub(crate) fn write(path: &Path, samples: &[Sample]) -> anyhow::Result<()> {
    let mut writer =
        csv::Writer::from_path(path).with_context(|| format!("cannot write {}", path.display()))?;
    for sample in samples {
        let value = (sample.value * 1e4).round() / 1e4;
        writer.serialize(Sample { value, ..*sample })?;
    }
    Ok(writer.flush()?)
}

/// Rows of several runs as those of one: repeats are numbered on, so that figures are paired within
/// their own run only.
pub(crate) fn joined(runs: impl IntoIterator<Item = Vec<Sample>>) -> Vec<Sample> {
    let mut all: Vec<Sample> = Vec::new();
    for run in runs {
        let before = all.iter().map(|s| s.repeat).max().unwrap_or(0);
        all.extend(run.into_iter().map(|s| Sample {
            repeat: before + s.repeat,
            ..s
        }));
    }
    all
}

pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Sample>> {
    let mut reader =
        csv::Reader::from_path(path).with_context(|| format!("cannot read {}", path.display()))?;
    let rows: Result<Vec<Sample>, _> = reader.deserialize().collect();
    rows.with_context(|| format!("{} is no file of this comparison", path.display()))
}
