//! What a comparison is written as.

use super::markdown::Pictures;
use super::{
    File, OutputFormat, Recorded, RenderedRecord, ReportError, chart, compare_summary, github,
    html, json, junit, markdown, page, table,
};
use crate::record::CompareRecord;

/// A format of a comparison's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompareFormat {
    /// The record itself.
    Json,
    /// The whole report as a page.
    Html,
    /// The same as Markdown.
    Markdown,
    /// Whether the runs can be compared, and the gates, as tests.
    Junit,
    /// One row per candidate and metric; only where candidates were compared.
    Changes,
    /// The same, as spreadsheets like it.
    ChangesExcel,
    /// One row per size; only where the scaling was fitted.
    Scaling,
    /// The same, as spreadsheets like it.
    ScalingExcel,
    /// What changed, or the breakpoint against the size.
    Chart,
}

impl CompareFormat {
    /// Every format, the record first.
    pub const ALL: [Self; 9] = [
        Self::Json,
        Self::Html,
        Self::Markdown,
        Self::Junit,
        Self::Changes,
        Self::ChangesExcel,
        Self::Scaling,
        Self::ScalingExcel,
        Self::Chart,
    ];

    /// The name of its file.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Json => "compare.json",
            Self::Html => "report.html",
            Self::Markdown => "report.md",
            Self::Junit => "junit.xml",
            Self::Changes => "compare.csv",
            Self::ChangesExcel => "compare-excel.csv",
            Self::Scaling => "scaling.csv",
            Self::ScalingExcel => "scaling-excel.csv",
            Self::Chart => "compare.png",
        }
    }

    /// The formats that a record has something for.
    pub fn of(record: &CompareRecord) -> impl Iterator<Item = Self> {
        let (compared, scaled) = (!record.comparisons.is_empty(), record.scaling.is_some());
        Self::ALL.into_iter().filter(move |format| match format {
            Self::Json | Self::Html | Self::Markdown | Self::Junit | Self::Chart => true,
            Self::Changes | Self::ChangesExcel => compared,
            Self::Scaling | Self::ScalingExcel => scaled,
        })
    }

    /// The bytes of its file. The same record gives the same bytes.
    ///
    /// # Errors
    /// When the record holds a number that is not finite where one is needed, or an encoder fails.
    pub fn render(self, record: &CompareRecord) -> Result<Vec<u8>, ReportError> {
        match self {
            Self::Json => json::write_comparison(record),
            Self::Html => Ok(html::write(&page::of_comparison(record))),
            Self::Markdown => {
                let text = markdown::write(&page::of_comparison(record), Pictures::Beside);
                Ok(text.into_bytes())
            }
            Self::Junit => Ok(junit::of_comparison(record)),
            Self::Changes => table::compared(record),
            Self::ChangesExcel => table::excel(&table::compared(record)?),
            Self::Scaling => table::scaled(record),
            Self::ScalingExcel => table::excel(&table::scaled(record)?),
            Self::Chart => chart::compared(record).to_png(),
        }
    }
}

impl Recorded for CompareRecord {
    fn profile(&self) -> &'static str {
        "comparison"
    }

    fn own_file(&self) -> &'static str {
        CompareFormat::Json.file_name()
    }

    fn files(&self) -> impl Iterator<Item = File> {
        CompareFormat::of(self).map(|f| (f.file_name(), f.render(self)))
    }
}

impl RenderedRecord for CompareRecord {
    fn output(&self, format: OutputFormat) -> Result<Vec<u8>, ReportError> {
        // With sizes there are no candidates: the table is that of the sizes.
        let scaled = self.scaling.is_some();
        let format = match format {
            OutputFormat::Summary => return Ok(compare_summary(self).into_bytes()),
            OutputFormat::Github => {
                let page = page::of_comparison(self);
                return Ok(github::on_log(&self.annotations(), &page).into_bytes());
            }
            // It holds no seconds and no histograms: it is short as it is.
            OutputFormat::Json => CompareFormat::Json,
            OutputFormat::Markdown => CompareFormat::Markdown,
            OutputFormat::Html => CompareFormat::Html,
            OutputFormat::Junit => CompareFormat::Junit,
            OutputFormat::Csv if scaled => CompareFormat::Scaling,
            OutputFormat::Csv => CompareFormat::Changes,
            OutputFormat::Excel if scaled => CompareFormat::ScalingExcel,
            OutputFormat::Excel => CompareFormat::ChangesExcel,
        };
        format.render(self)
    }

    fn annotations(&self) -> String {
        github::of_comparison(self)
    }

    fn step_summary(&self) -> String {
        github::summary(&page::of_comparison(self))
    }
}
