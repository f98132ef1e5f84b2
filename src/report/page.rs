//! A report as a list of parts, which `html.rs` and `markdown.rs` write each in its own way.

mod answer;
mod around;
mod compare;
mod ramp;
mod run;

use super::chart::Scene;
use super::compare::verdict;
use crate::record::{ChangeVerdict, HoldEnd};
use crate::slo::Verdict;

pub(super) use compare::of_comparison;
pub(super) use ramp::of_ramp;
pub(super) use run::of_run;

/// A whole report.
pub(super) struct Page {
    /// Names the report: profile and answer in one line.
    pub(super) title: String,
    /// Of whom and when.
    pub(super) subject: String,
    /// The number, as large as it can be.
    pub(super) number: Number,
    /// What else belongs on the first screen.
    pub(super) facts: Vec<Fact>,
    pub(super) sections: Vec<Section>,
    /// What made it.
    pub(super) foot: String,
}

/// The answer: `Breakpoint`, `1 019`, `VUs`, `95 % CI 1 003 – 1 029`.
pub(super) struct Number {
    pub(super) label: String,
    pub(super) value: String,
    pub(super) unit: String,
    pub(super) note: String,
}

/// A label and what is to be said.
pub(super) struct Fact {
    pub(super) label: &'static str,
    pub(super) text: Text,
    pub(super) mark: Option<Mark>,
}

impl Fact {
    pub(super) fn new(label: &'static str, text: impl Into<String>) -> Self {
        Self {
            label,
            text: Text::Plain(text.into()),
            mark: None,
        }
    }

    pub(super) fn code(label: &'static str, texts: Vec<String>) -> Self {
        Self {
            label,
            text: Text::Code(texts),
            mark: None,
        }
    }

    pub(super) fn marked(self, mark: Mark) -> Self {
        Self {
            mark: Some(mark),
            ..self
        }
    }
}

/// Words, or what was or could be typed.
pub(super) enum Text {
    Plain(String),
    Code(Vec<String>),
}

/// A word with a shape and a colour of its own, so that none of them stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Held,
    Undecided,
    Broke,
    /// The generator was at fault.
    Invalid,
    Passed,
    Failed,
    NotJudged,
    Rise,
    Fall,
    NoEvidence,
    CannotSay,
}

impl Mark {
    pub(super) fn of_change(verdict: ChangeVerdict) -> Self {
        match verdict {
            ChangeVerdict::Rise => Self::Rise,
            ChangeVerdict::Fall => Self::Fall,
            ChangeVerdict::NoEvidence => Self::NoEvidence,
            ChangeVerdict::CannotSay => Self::CannotSay,
        }
    }

    pub(super) fn of(end: HoldEnd, verdict: Verdict) -> Self {
        match (end, verdict) {
            (HoldEnd::Invalid, _) => Self::Invalid,
            (_, Verdict::Held) => Self::Held,
            (_, Verdict::Undecided) => Self::Undecided,
            (_, Verdict::Broke) => Self::Broke,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Undecided => "undecided",
            Self::Broke => "broke",
            Self::Invalid => "invalid",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::NotJudged => "not judged",
            Self::Rise => verdict(ChangeVerdict::Rise),
            Self::Fall => verdict(ChangeVerdict::Fall),
            Self::NoEvidence => verdict(ChangeVerdict::NoEvidence),
            Self::CannotSay => verdict(ChangeVerdict::CannotSay),
        }
    }

    /// The shapes of the charts' legends.
    pub(super) fn shape(self) -> char {
        match self {
            Self::Held | Self::Rise => '●',
            Self::Undecided | Self::NotJudged | Self::NoEvidence => '◆',
            Self::Broke | Self::Fall => '▲',
            Self::Invalid | Self::Failed | Self::CannotSay => '✕',
            Self::Passed => '✓',
        }
    }
}

pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) parts: Vec<Part>,
}

pub(super) enum Part {
    Words(String),
    Facts(Vec<Fact>),
    Table(Table),
    Charts(Vec<Chart>),
    /// Lines as they are.
    Lines(Vec<String>),
    List(Vec<String>),
}

pub(super) struct Table {
    /// What it shows, for those who do not see it.
    pub(super) caption: String,
    pub(super) head: Vec<Column>,
    pub(super) rows: Vec<Vec<Cell>>,
}

pub(super) struct Column {
    pub(super) name: String,
    pub(super) numeric: bool,
}

impl Column {
    pub(super) fn text(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            numeric: false,
        }
    }

    pub(super) fn number(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            numeric: true,
        }
    }
}

/// One cell; an empty one says that nothing is known.
#[derive(Default)]
pub(super) struct Cell {
    pub(super) text: String,
    /// What it is sorted by, where that is a number.
    pub(super) key: Option<f64>,
    pub(super) mark: Option<Mark>,
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    pub(super) fn number(value: impl Into<f64>, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            key: Some(value.into()),
            mark: None,
        }
    }

    /// Empty without a value.
    pub(super) fn maybe(value: Option<f64>, text: impl Fn(f64) -> String) -> Self {
        let value = value.filter(|v| v.is_finite());
        value.map_or_else(Self::default, |v| Self::number(v, text(v)))
    }

    pub(super) fn mark(mark: Mark) -> Self {
        Self {
            text: mark.word().to_owned(),
            key: None,
            mark: Some(mark),
        }
    }
}

/// A chart: as a file beside the report, and drawn within it.
pub(super) struct Chart {
    pub(super) file: &'static str,
    pub(super) title: &'static str,
    /// What it shows, for those who do not see it.
    pub(super) about: String,
    pub(super) scene: Scene,
}
