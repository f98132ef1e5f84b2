//! GitHub Actions: annotations of a step, and the report for its summary.

use std::fmt::Write as _;

use super::escape::one_line;
use super::markdown::{self, Pictures};
use super::page::Page;
use super::{compare, ramp, scale, summary as text, view};
use crate::excerpt;
use crate::record::{
    ChangeVerdict, CompareRecord, Comparison, Ending, GateOutcome, LoadOutcome, RampEnding,
    RampRecord, RunRecord, ScaleRecord,
};

/// GitHub takes at most so many bytes of a step's summary.
pub const MOST_SUMMARY_BYTES: usize = 1024 * 1024;
/// GitHub shows at most so many annotations of a kind per step; the answer needs one.
const MOST_WARNINGS: usize = 9;
/// The same of notices, one of which may be the answer.
const MOST_NOTICES: usize = 9;

/// What an annotation says of its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AnnotationLevel {
    Notice,
    Warning,
    Error,
}

impl AnnotationLevel {
    fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// The report as it goes into the summary of a step, where no pictures lie beside it.
pub(super) fn summary(page: &Page) -> String {
    let text = markdown::write(page, Pictures::None);
    cut(&without_commands(&text), MOST_SUMMARY_BYTES)
}

/// What a step prints on its log: annotations, then the report.
pub(super) fn on_log(annotations: &str, page: &Page) -> String {
    format!("{annotations}{}", summary(page))
}

/// Whole lines that fit.
fn cut(text: &str, most: usize) -> String {
    const MORE: &str = "\n(truncated: GitHub accepts no more; report.md has everything)\n";
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most.saturating_sub(MORE.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let end = text[..end].rfind('\n').map_or(end, |at| at + 1);
    format!("{}{MORE}", &text[..end])
}

/// A line of a log must not command the runner.
fn without_commands(text: &str) -> String {
    // Both are written so that Markdown shows them as they were, outside of code.
    excerpt::without_commands(text, "&#58;", "# ")
}

pub(super) fn of_run(record: &RunRecord) -> String {
    let headline = view::headline(record);
    let because = format!("{headline}: {}", record.answer.reason);
    let gate = record.gate();
    let answer = match (record.answer.ending, &gate) {
        (Ending::Found | Ending::Bracketed | Ending::NeverBroke, Some(gate))
            if gate.outcome != LoadOutcome::Passed =>
        {
            (
                AnnotationLevel::Error,
                format!("{headline}; {}", gate.sentence),
            )
        }
        (Ending::Found | Ending::Bracketed | Ending::NeverBroke, Some(gate)) => (
            AnnotationLevel::Notice,
            format!("{headline}; {}", gate.sentence),
        ),
        (Ending::Found | Ending::Bracketed | Ending::NeverBroke, None) => {
            (AnnotationLevel::Notice, headline)
        }
        (Ending::BrokeAtMinimum | Ending::TargetDown, _) => (AnnotationLevel::Error, because),
        (
            Ending::TimeDriven
            | Ending::Hysteresis
            | Ending::Bimodal
            | Ending::Undecided
            | Ending::GeneratorLimited
            | Ending::DataUsedUp
            | Ending::Interrupted
            | Ending::Aborted,
            Some(gate),
        ) => (
            AnnotationLevel::Error,
            format!("{because} {}", gate.sentence),
        ),
        (
            Ending::TimeDriven
            | Ending::Hysteresis
            | Ending::Bimodal
            | Ending::Undecided
            | Ending::GeneratorLimited
            | Ending::DataUsedUp
            | Ending::Interrupted
            | Ending::Aborted,
            None,
        ) => (AnnotationLevel::Warning, because),
    };
    let mut out = lines(&record.profile, answer, &record.warnings);
    let title = format!("breakpoint {}", record.profile);
    for note in text::beside_number(&record.answer)
        .iter()
        .take(MOST_NOTICES)
    {
        annotation(&mut out, AnnotationLevel::Notice, &title, note);
    }
    out
}

pub(super) fn of_ramp(record: &RampRecord) -> String {
    let headline = ramp::headline(record);
    let answer = match record.ending {
        RampEnding::Complete => (
            AnnotationLevel::Notice,
            format!("{headline}; first breach: {}", ramp::reading(record)),
        ),
        RampEnding::TargetDown => (AnnotationLevel::Error, record.reason.clone()),
        RampEnding::GeneratorLimited
        | RampEnding::DataUsedUp
        | RampEnding::Interrupted
        | RampEnding::Aborted => (AnnotationLevel::Warning, record.reason.clone()),
    };
    lines(&record.profile, answer, &record.warnings)
}

/// The gates first: of many annotations GitHub shows a part.
pub(super) fn of_comparison(record: &CompareRecord) -> String {
    let gates = record.gates.iter().map(|gate| {
        let kind = match gate.outcome {
            GateOutcome::Passed => AnnotationLevel::Notice,
            GateOutcome::Failed | GateOutcome::CannotSay => AnnotationLevel::Error,
        };
        (kind, format!("gate {}", compare::gate_text(record, gate)))
    });
    let changes = record.comparisons.iter();
    let changes = changes.filter_map(|comparison| change(record, comparison));
    let scaling = record.scaling.iter().map(|scaling| {
        let found = compare::scaling_heading(record, scaling);
        let forecast = compare::forecast_text(record.unit, &scaling.forecast, record.confidence);
        (
            AnnotationLevel::Notice,
            format!("{found}; forecast {forecast}"),
        )
    });
    let mut out = String::new();
    for (kind, text) in gates.chain(changes).chain(scaling).take(MOST_WARNINGS + 1) {
        annotation(&mut out, kind, "breakpoint comparison", &text);
    }
    out
}

pub(super) fn of_scale(record: &ScaleRecord) -> String {
    let gates = record.gates.iter().map(|gate| {
        let kind = match gate.outcome {
            GateOutcome::Passed => AnnotationLevel::Notice,
            GateOutcome::Failed | GateOutcome::CannotSay => AnnotationLevel::Error,
        };
        (kind, format!("gate {}", scale::gate_text(gate)))
    });
    let notes = record.notes.iter();
    let notes = notes.map(|note| (AnnotationLevel::Warning, note.clone()));
    let found = (AnnotationLevel::Notice, scale::headline(record));
    let mut out = String::new();
    for (kind, text) in gates.chain([found]).chain(notes).take(MOST_WARNINGS + 1) {
        annotation(&mut out, kind, "breakpoint scale", &text);
    }
    out
}

/// What the breakpoint of a candidate did. Nobody required anything of it: that is what gates are
/// for.
fn change(record: &CompareRecord, comparison: &Comparison) -> Option<(AnnotationLevel, String)> {
    let change = comparison.breakpoint()?;
    let kind = match change.verdict {
        ChangeVerdict::Rise | ChangeVerdict::Fall | ChangeVerdict::NoEvidence => {
            AnnotationLevel::Notice
        }
        ChangeVerdict::CannotSay => AnnotationLevel::Warning,
    };
    let text = compare::change_sentence(record, change);
    let heading = compare::heading(comparison);
    Some((kind, format!("{heading}: breakpoint {text}")))
}

fn lines(profile: &str, (kind, text): (AnnotationLevel, String), warnings: &[String]) -> String {
    let mut out = String::new();
    let title = format!("breakpoint {profile}");
    annotation(&mut out, kind, &title, &text);
    for warning in warnings.iter().take(MOST_WARNINGS) {
        annotation(&mut out, AnnotationLevel::Warning, &title, warning);
    }
    out
}

fn annotation(out: &mut String, kind: AnnotationLevel, title: &str, text: &str) {
    let _ = writeln!(
        out,
        "::{} title={}::{}",
        kind.name(),
        property(title),
        data(text)
    );
}

/// The escapes of a command's message.
fn data(text: &str) -> String {
    excerpt::without_commands(&one_line(text), ":", "# ")
        .replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Those of its properties.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn an_annotation_says_how_it_ended_and_is_escaped() {
        let mut record = samples::found();
        record.profile = "a:b,c%".to_owned();
        record.warnings = vec!["50 %\n::error::not mine".to_owned()];
        assert_eq!(
            of_run(&record),
            "::notice title=breakpoint a%3Ab%2Cc%25::breakpoint 1 184 VUs (95 %25 CI 1 150 – 1 215)\n\
             ::warning title=breakpoint a%3Ab%2Cc%25::50 %25 ::error::not mine\n"
        );
        record.plan.required = Some(1150);
        assert!(of_run(&record).starts_with("::notice "));
        record.plan.required = Some(1151);
        assert!(of_run(&record).starts_with("::error "));
        assert!(of_run(&samples::small()).starts_with("::warning "));
        assert!(of_run(&samples::empty()).starts_with("::error "));
    }

    #[test]
    fn what_was_noticed_is_a_notice_behind_the_answer_and_the_warnings() {
        let mut record = samples::fitted();
        record.warnings = vec!["the host was busy".to_owned()];
        let text = of_run(&record);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2 + 5 + 1, "{text}");
        assert!(lines[1].ends_with("::the host was busy"), "{text}");
        assert!(
            lines[2].starts_with("::notice ") && lines[2].contains("warmed up (0 s to 95 s)"),
            "{text}"
        );
        assert!(lines[7].contains("a pause of 3 s every 15 min"), "{text}");
    }

    #[test]
    fn an_interval_without_a_number_is_an_answer_that_a_gate_judges() {
        let mut record = samples::bracketed();
        let begins = |record: &RunRecord, with: &str| {
            let text = of_run(record);
            assert!(text.starts_with(with), "{text}");
            assert!(text.contains("breakpoint between 59 and 83 VUs"), "{text}");
        };
        begins(&record, "::notice ");
        record.plan.required = Some(59);
        begins(&record, "::notice ");
        record.plan.required = Some(60);
        begins(&record, "::error ");
    }

    #[test]
    fn a_summary_stays_below_the_limit_and_ends_with_a_whole_line() {
        assert_eq!(cut("one\ntwo\n", 100), "one\ntwo\n");
        let text = "é line\n".repeat(50);
        let short = cut(&text, 200);
        assert!(short.len() <= 200, "{}", short.len());
        assert!(
            short.ends_with("has everything)\n") && short.contains("é line\n\n(truncated"),
            "{short}"
        );
        assert_eq!(without_commands("x ##[error]y"), "x ## [error]y");
    }
}
