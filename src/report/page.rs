//! A report as a list of parts, which `html.rs` and `markdown.rs` write each in its own way.

mod answer;
mod compare;
mod context;
mod ramp;
mod run;
mod scale;

use super::chart::Scene;
use super::compare::verdict;
use crate::record::{ChangeVerdict, ComparedMetric, HoldEnd};
use crate::slo::Verdict;

pub(super) use compare::of_comparison;
pub(super) use ramp::of_ramp;
pub(super) use run::of_run;
pub(super) use scale::of_scale;

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
    /// Evidence of a change, and whether that is for the better.
    Changed {
        rose: bool,
        better: bool,
    },
    NoEvidence,
    CannotSay,
}

impl Mark {
    pub(super) fn of_change(metric: ComparedMetric, verdict: ChangeVerdict) -> Self {
        let changed = |rose: bool| Self::Changed {
            rose,
            better: rose == metric.more_is_better(),
        };
        match verdict {
            ChangeVerdict::Rise => changed(true),
            ChangeVerdict::Fall => changed(false),
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
            Self::Changed { rose, better } => match (rose, better) {
                (true, true) => "evidence of a rise (better)",
                (true, false) => "evidence of a rise (worse)",
                (false, true) => "evidence of a fall (better)",
                (false, false) => "evidence of a fall (worse)",
            },
            Self::NoEvidence => verdict(ChangeVerdict::NoEvidence),
            Self::CannotSay => verdict(ChangeVerdict::CannotSay),
        }
    }

    /// The shapes of the charts' legends.
    pub(super) fn shape(self) -> char {
        match self {
            Self::Held | Self::Changed { better: true, .. } => '●',
            Self::Undecided | Self::NotJudged | Self::NoEvidence => '◆',
            Self::Broke | Self::Changed { better: false, .. } => '▲',
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
    /// Whether it is a name, which may be long and break.
    pub(super) name: bool,
}

impl Cell {
    /// A name, which may be long.
    pub(super) fn name(text: impl Into<String>) -> Self {
        Self {
            name: true,
            ..Self::text(text)
        }
    }

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
            ..Self::default()
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
            mark: Some(mark),
            ..Self::default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_that_rises_is_for_the_worse() {
        use ChangeVerdict::{Fall, Rise};
        use ComparedMetric::{Breakpoint, Knee, P50, P99, Throughput};
        for (metric, verdict, want) in [
            (Breakpoint, Rise, "evidence of a rise (better)"),
            (Knee, Fall, "evidence of a fall (worse)"),
            (Throughput, Rise, "evidence of a rise (better)"),
            (P50, Fall, "evidence of a fall (better)"),
            (P99, Rise, "evidence of a rise (worse)"),
        ] {
            let mark = Mark::of_change(metric, verdict);
            assert_eq!(mark.word(), want);
            // The shape tells it too, for those who see no colours.
            assert_eq!(mark.shape() == '●', want.contains("better"));
        }
    }
}
