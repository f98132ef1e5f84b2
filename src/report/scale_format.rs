//! What a sizing is written as.

use super::markdown::Pictures;
use super::{
    File, OutputFormat, Recorded, RenderedRecord, ReportError, chart, github, html, json, junit,
    markdown, page, scale, table,
};
use crate::record::ScaleRecord;

/// A format of a sizing's report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScaleFormat {
    /// The record itself.
    Json,
    /// The whole report as a page.
    Html,
    /// The same as Markdown.
    Markdown,
    /// Whether every size has a breakpoint, and the gates, as tests.
    Junit,
    /// One row per size, point of the curve, and need.
    Csv,
    /// The same, as spreadsheets like it.
    Excel,
    /// Capacity against size.
    Chart,
}

impl ScaleFormat {
    /// Every format, the record first.
    pub const ALL: [Self; 7] = [
        Self::Json,
        Self::Html,
        Self::Markdown,
        Self::Junit,
        Self::Csv,
        Self::Excel,
        Self::Chart,
    ];

    /// The name of its file.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Json => "scale.json",
            Self::Html => "report.html",
            Self::Markdown => "report.md",
            Self::Junit => "junit.xml",
            Self::Csv => "scale.csv",
            Self::Excel => "scale-excel.csv",
            Self::Chart => "scale.png",
        }
    }

    /// The bytes of its file. The same record gives the same bytes.
    ///
    /// # Errors
    /// When the record holds a number that is not finite where one is needed, or an encoder fails.
    pub fn render(self, record: &ScaleRecord) -> Result<Vec<u8>, ReportError> {
        match self {
            Self::Json => json::write_scale(record),
            Self::Html => Ok(html::write(&page::of_scale(record))),
            Self::Markdown => {
                let text = markdown::write(&page::of_scale(record), Pictures::Beside);
                Ok(text.into_bytes())
            }
            Self::Junit => Ok(junit::of_scale(record)),
            Self::Csv => table::scale(record),
            Self::Excel => table::excel(&table::scale(record)?),
            Self::Chart => chart::scale(record).to_png(),
        }
    }
}

impl Recorded for ScaleRecord {
    fn profile(&self) -> &'static str {
        "scale"
    }

    fn own_file(&self) -> &'static str {
        ScaleFormat::Json.file_name()
    }

    fn files(&self) -> impl Iterator<Item = File> {
        let all = ScaleFormat::ALL.into_iter();
        all.map(|f| (f.file_name(), f.render(self)))
    }
}

impl RenderedRecord for ScaleRecord {
    fn output(&self, format: OutputFormat) -> Result<Vec<u8>, ReportError> {
        let format = match format {
            OutputFormat::Summary => return Ok(scale::summary(self).into_bytes()),
            OutputFormat::Github => {
                let page = page::of_scale(self);
                return Ok(github::on_log(&self.annotations(), &page).into_bytes());
            }
            OutputFormat::Json => ScaleFormat::Json,
            OutputFormat::Markdown => ScaleFormat::Markdown,
            OutputFormat::Html => ScaleFormat::Html,
            OutputFormat::Junit => ScaleFormat::Junit,
            OutputFormat::Csv => ScaleFormat::Csv,
            OutputFormat::Excel => ScaleFormat::Excel,
        };
        format.render(self)
    }

    fn annotations(&self) -> String {
        github::of_scale(self)
    }

    fn step_summary(&self) -> String {
        github::summary(&page::of_scale(self))
    }
}
