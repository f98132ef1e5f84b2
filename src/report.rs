//! Reports: one [`RunRecord`], [`RampRecord`] or [`CompareRecord`] in, the bytes of files out.
//!
//! Nothing here opens a file, reads a clock or sees an engine, so that every report can be made
//! again from a recorded run, next year, in a new format.

use crate::measure::LevelUnit;
use crate::record::{CompareRecord, RampRecord, RunRecord, ScaleRecord};

mod chart;
mod compare;
mod compare_format;
mod escape;
mod failures;
mod github;
mod html;
mod json;
mod json_summary;
mod junit;
pub mod lab;
mod markdown;
mod output_format;
mod page;
mod ramp;
mod scale;
mod scale_format;
mod streamed;
mod summary;
mod table;
mod view;

use markdown::Pictures;

pub use compare::summary as compare_summary;
pub use compare_format::CompareFormat;
pub use github::MOST_SUMMARY_BYTES;
pub use output_format::OutputFormat;
pub use ramp::summary as ramp_summary;
pub(crate) use ramp::{from_to, headline as ramp_headline, stages_text};
pub use scale::summary as scale_summary;
pub use scale_format::ScaleFormat;
pub use summary::summary;
pub(crate) use view::{error_text, headline, observed_text, span};

/// Why a report could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The record could not be written as JSON.
    #[error("the record cannot be written as JSON: {0}")]
    Json(serde_json::Error),
    /// The record holds a number that is not finite where one is needed.
    #[error(
        "the record has no finite value for `{0}`; this is a bug in breakpoint, please report it"
    )]
    NotFinite(String),
    /// A table could not be written.
    #[error("the table cannot be written: {0}")]
    Csv(String),
    /// A chart could not be drawn.
    #[error("the chart cannot be drawn: {0}")]
    Chart(String),
    /// The file ends in the middle.
    #[error("the result is incomplete (line {line}): it was cut off or is still being written")]
    Truncated {
        /// Where it ends.
        line: usize,
    },
    /// The file is no result of this program.
    #[error("this is not a breakpoint result: {}", crate::excerpt::cut(&.0.to_string(), 300))]
    NotAResult(serde_json::Error),
    /// The file was written by another version of the program.
    #[error("the result has schema version {found}, and this breakpoint reads versions {oldest} to \
        {newest}; use the breakpoint that wrote it{}", .written_by.as_ref().map(|v| format!(" ({v})")).unwrap_or_default())]
    SchemaVersion {
        /// The version found.
        found: u64,
        /// The oldest that is read.
        oldest: u32,
        /// The newest that is read.
        newest: u32,
        /// The program's version that wrote it, when it says so.
        written_by: Option<String>,
    },
}

/// A format of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The record itself.
    Json,
    /// The whole report as a page.
    Html,
    /// The same as Markdown.
    Markdown,
    /// The answer and the gate as tests.
    Junit,
    /// One row per probe.
    Holds,
    /// The same, as spreadsheets like it.
    Excel,
    /// One row per second.
    Samples,
    /// One row per line that a service logged; only where there are any.
    Log,
    /// Latency against levels.
    LatencyChart,
    /// The search over time.
    SearchChart,
    /// Throughput, errors and sheds against levels.
    ThroughputChart,
    /// Resources against levels.
    ResourcesChart,
}

impl Format {
    /// Every format, the record first: it is what the others can be made from.
    pub const ALL: [Self; 12] = [
        Self::Json,
        Self::Html,
        Self::Markdown,
        Self::Junit,
        Self::Holds,
        Self::Excel,
        Self::Samples,
        Self::Log,
        Self::LatencyChart,
        Self::SearchChart,
        Self::ThroughputChart,
        Self::ResourcesChart,
    ];

    /// The name of its file, in a run whose levels have this unit.
    pub fn file_name(self, unit: LevelUnit) -> &'static str {
        match self {
            Self::Json => "result.json",
            Self::Html => "report.html",
            Self::Markdown => "report.md",
            Self::Junit => "junit.xml",
            Self::Holds => "holds.csv",
            Self::Excel => "holds-excel.csv",
            Self::Samples => "samples.csv",
            Self::Log => "log.csv",
            Self::LatencyChart if unit.is_open() => "latency-vs-rate.png",
            Self::LatencyChart => "latency-vs-vus.png",
            Self::SearchChart => "search.png",
            Self::ThroughputChart if unit.is_open() => "throughput-vs-rate.png",
            Self::ThroughputChart => "throughput-vs-vus.png",
            Self::ResourcesChart => "resources.png",
        }
    }

    /// The formats that a record has something for.
    pub fn of(record: &RunRecord) -> impl Iterator<Item = Self> {
        let logged = record.probes.iter().any(|p| !p.log.is_empty());
        Self::ALL
            .into_iter()
            .filter(move |format| logged || *format != Self::Log)
    }

    /// The bytes of its file. The same record gives the same bytes.
    ///
    /// # Errors
    /// When the record holds a number that is not finite where one is needed, or an encoder fails.
    pub fn render(self, record: &RunRecord) -> Result<Vec<u8>, ReportError> {
        match self {
            Self::Json => json::write(record),
            Self::Html => Ok(html::write(&page::of_run(record))),
            Self::Markdown => {
                let text = markdown::write(&page::of_run(record), Pictures::Beside);
                Ok(text.into_bytes())
            }
            Self::Junit => Ok(junit::of_run(record)),
            Self::Holds => table::holds(record),
            Self::Excel => table::excel(&table::holds(record)?),
            Self::Samples => table::samples(record),
            Self::Log => {
                let probes = record.probes.iter();
                table::log("probe", probes.map(|p| (p.index, &*p.log)))
            }
            Self::LatencyChart => chart::latency(record).to_png(),
            Self::SearchChart => chart::search(record).to_png(),
            Self::ThroughputChart => chart::throughput(record).to_png(),
            Self::ResourcesChart => chart::resources(record).to_png(),
        }
    }
}

/// A format of a ramp's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RampFormat {
    /// The record itself.
    Json,
    /// The whole report as a page.
    Html,
    /// The same as Markdown.
    Markdown,
    /// Whether it ran, as a test.
    Junit,
    /// One row per stage.
    Stages,
    /// The same, as spreadsheets like it.
    Excel,
    /// One row per second.
    Seconds,
    /// One row per line that a service logged; only where there are any.
    Log,
    /// Everything over time.
    Chart,
}

impl RampFormat {
    /// Every format, the record first.
    pub const ALL: [Self; 9] = [
        Self::Json,
        Self::Html,
        Self::Markdown,
        Self::Junit,
        Self::Stages,
        Self::Excel,
        Self::Seconds,
        Self::Log,
        Self::Chart,
    ];

    /// The name of its file.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Json => "ramp.json",
            Self::Html => "report.html",
            Self::Markdown => "report.md",
            Self::Junit => "junit.xml",
            Self::Stages => "stages.csv",
            Self::Excel => "stages-excel.csv",
            Self::Seconds => "seconds.csv",
            Self::Log => "log.csv",
            Self::Chart => "ramp.png",
        }
    }

    /// The formats that a record has something for.
    pub fn of(record: &RampRecord) -> impl Iterator<Item = Self> {
        let logged = record.stages.iter().any(|s| !s.log.is_empty());
        Self::ALL
            .into_iter()
            .filter(move |format| logged || *format != Self::Log)
    }

    /// The bytes of its file. The same record gives the same bytes.
    ///
    /// # Errors
    /// When the record holds a number that is not finite where one is needed, or an encoder fails.
    pub fn render(self, record: &RampRecord) -> Result<Vec<u8>, ReportError> {
        match self {
            Self::Json => json::write_ramp(record),
            Self::Html => Ok(html::write(&page::of_ramp(record))),
            Self::Markdown => {
                let text = markdown::write(&page::of_ramp(record), Pictures::Beside);
                Ok(text.into_bytes())
            }
            Self::Junit => Ok(junit::of_ramp(record)),
            Self::Stages => table::stages(record),
            Self::Excel => table::excel(&table::stages(record)?),
            Self::Seconds => table::seconds(record),
            Self::Log => {
                let stages = record.stages.iter();
                table::log("stage", stages.map(|s| (s.index, &*s.log)))
            }
            Self::Chart => chart::ramp(record).to_png(),
        }
    }
}

/// A file's name and its content, or why there is none.
pub type File = (&'static str, Result<Vec<u8>, ReportError>);

/// A record that becomes files.
pub trait Recorded {
    /// The profile's name.
    fn profile(&self) -> &str;
    /// The file that holds the record itself.
    fn own_file(&self) -> &'static str;
    /// Its files, the record first; each is rendered when it is asked for.
    fn files(&self) -> impl Iterator<Item = File>;
}

/// A record whose answer is told beyond its files: on stdout, and to the runner of a CI system.
pub trait RenderedRecord: Recorded {
    /// What `--format` prints.
    ///
    /// # Errors
    /// As [`Format::render`].
    fn output(&self, format: OutputFormat) -> Result<Vec<u8>, ReportError>;
    /// Its annotations for GitHub Actions, a command of the runner on each line.
    fn annotations(&self) -> String;
    /// The report for the summary of a step of GitHub Actions, at most [`MOST_SUMMARY_BYTES`] long.
    fn step_summary(&self) -> String;
}

impl Recorded for RunRecord {
    fn profile(&self) -> &str {
        &self.profile
    }

    fn own_file(&self) -> &'static str {
        Format::Json.file_name(self.plan.unit)
    }

    fn files(&self) -> impl Iterator<Item = File> {
        Format::of(self).map(|f| (f.file_name(self.plan.unit), f.render(self)))
    }
}

impl RenderedRecord for RunRecord {
    fn output(&self, format: OutputFormat) -> Result<Vec<u8>, ReportError> {
        match format {
            OutputFormat::Summary => Ok(summary(self).into_bytes()),
            OutputFormat::Json => json_summary::of_run(self),
            OutputFormat::Markdown => Format::Markdown.render(self),
            OutputFormat::Html => Format::Html.render(self),
            OutputFormat::Junit => Format::Junit.render(self),
            OutputFormat::Github => {
                Ok(github::on_log(&self.annotations(), &page::of_run(self)).into_bytes())
            }
            OutputFormat::Csv => Format::Holds.render(self),
            OutputFormat::Excel => Format::Excel.render(self),
        }
    }

    fn annotations(&self) -> String {
        github::of_run(self)
    }

    fn step_summary(&self) -> String {
        github::summary(&page::of_run(self))
    }
}

impl Recorded for RampRecord {
    fn profile(&self) -> &str {
        &self.profile
    }

    fn own_file(&self) -> &'static str {
        RampFormat::Json.file_name()
    }

    fn files(&self) -> impl Iterator<Item = File> {
        let all = RampFormat::of(self);
        all.map(|f| (f.file_name(), f.render(self)))
    }
}

impl RenderedRecord for RampRecord {
    fn output(&self, format: OutputFormat) -> Result<Vec<u8>, ReportError> {
        match format {
            OutputFormat::Summary => Ok(ramp_summary(self).into_bytes()),
            OutputFormat::Json => json_summary::of_ramp(self),
            OutputFormat::Markdown => RampFormat::Markdown.render(self),
            OutputFormat::Html => RampFormat::Html.render(self),
            OutputFormat::Junit => RampFormat::Junit.render(self),
            OutputFormat::Github => {
                Ok(github::on_log(&self.annotations(), &page::of_ramp(self)).into_bytes())
            }
            OutputFormat::Csv => RampFormat::Stages.render(self),
            OutputFormat::Excel => RampFormat::Excel.render(self),
        }
    }

    fn annotations(&self) -> String {
        github::of_ramp(self)
    }

    fn step_summary(&self) -> String {
        github::summary(&page::of_ramp(self))
    }
}

/// One file of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// The file's name.
    pub name: &'static str,
    /// Its content.
    pub bytes: Vec<u8>,
}

/// Renders every format that the record has something for.
///
/// # Errors
/// As [`Format::render`].
pub fn render(record: &RunRecord) -> Result<Vec<Artifact>, ReportError> {
    Format::of(record)
        .map(|format| {
            Ok(Artifact {
                name: format.file_name(record.plan.unit),
                bytes: format.render(record)?,
            })
        })
        .collect()
}

/// Reads a record back from `result.json`.
///
/// # Errors
/// When it was cut off, is no result, or has a schema version that this program cannot read.
pub fn read(json: &[u8]) -> Result<RunRecord, ReportError> {
    json::read(json)
}

/// Reads the record of a ramp back from `ramp.json`.
///
/// # Errors
/// As [`read`].
pub fn read_ramp(json: &[u8]) -> Result<RampRecord, ReportError> {
    json::read_ramp(json)
}

/// Reads the record of a comparison back from `compare.json`.
///
/// # Errors
/// As [`read`].
pub fn read_comparison(json: &[u8]) -> Result<CompareRecord, ReportError> {
    json::read_comparison(json)
}

/// Reads the record of a sizing back from `scale.json`.
///
/// # Errors
/// As [`read`].
pub fn read_scale(json: &[u8]) -> Result<ScaleRecord, ReportError> {
    json::read_scale(json)
}

/// One probe as one line of JSON without the line's end, for the file that survives a crash.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn probe_line(probe: &crate::record::ProbeRecord) -> Result<Vec<u8>, ReportError> {
    serde_json::to_vec(&json::finite_probe(probe.clone())).map_err(ReportError::Json)
}

/// The same for a stage of a ramp.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn stage_json(stage: &crate::record::StageRecord) -> Result<Vec<u8>, ReportError> {
    serde_json::to_vec(&json::finite_stage(stage.clone())).map_err(ReportError::Json)
}

#[cfg(test)]
mod tests;
