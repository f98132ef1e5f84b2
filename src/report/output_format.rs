//! What can be printed in place of the summary.

/// A format that `--format` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OutputFormat {
    /// The answer as a few lines of text.
    #[default]
    Summary,
    /// The answer, the plan and a line per probe, for programs; without seconds and histograms.
    Json,
    /// The report as Markdown.
    Markdown,
    /// The report as a page.
    Html,
    /// The answer and the gate as tests.
    Junit,
    /// Annotations and the report for GitHub Actions.
    Github,
    /// A row per probe, or per stage of a ramp.
    Csv,
    /// The same, as spreadsheets like it.
    Excel,
}

impl OutputFormat {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Summary,
        Self::Json,
        Self::Markdown,
        Self::Html,
        Self::Junit,
        Self::Github,
        Self::Csv,
        Self::Excel,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Summary => "summary",
            Self::Json => "json",
            Self::Markdown => "md",
            Self::Html => "html",
            Self::Junit => "junit",
            Self::Github => "github",
            Self::Csv => "csv",
            Self::Excel => "excel",
        }
    }

    /// The format of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.name() == name)
    }
}
