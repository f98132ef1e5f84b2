//! The grammar of an objective.

use std::time::Duration;

use super::{Comparison, Limit, Metric, Objective};
use crate::units;

/// Why a text is not an objective.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SloError {
    /// No objective at all.
    #[error("an SLO needs at least one objective, such as --slo 'p99<2s'")]
    Empty,
    /// A metric without a bound: most likely the shell took the rest.
    #[error(
        "`{0}` has no bound. The shell probably took `<...` or `>...` for a redirection. Quote \
         it: --slo '{0}{bound}', or write --slo {0}{unquoted}",
        bound = example(.0).0, unquoted = example(.0).1
    )]
    NoBound(String),
    /// The metric is not known.
    #[error(
        "`{text}`: unknown metric `{metric}`; use p50 ... p99.9, avg, max, errors, shed, rps (a \
         step in brackets: p99(answer)), good(STEP<LIMIT,..) or MONITOR.FIELD"
    )]
    UnknownMetric {
        /// The whole text.
        text: String,
        /// What stood where the metric should.
        metric: String,
    },
    /// The bound cannot be read.
    #[error("`{text}`: cannot read the bound: {why}")]
    Bound {
        /// The whole text.
        text: String,
        /// Why.
        why: String,
    },
    /// The comparison makes no sense for the metric.
    #[error("`{text}`: {why}")]
    Comparison {
        /// The whole text.
        text: String,
        /// Why, and what to write instead.
        why: &'static str,
    },
    /// The step is not one of the scenario's.
    #[error("`{objective}`: the scenario has no measured step `{step}`; there are: {known}")]
    UnknownStep {
        /// The objective.
        objective: String,
        /// The step it names.
        step: String,
        /// Those that exist.
        known: String,
    },
    /// The monitor is not one of the profile's.
    #[error("`{objective}`: the profile has no monitor `{monitor}`; there are: {known}")]
    UnknownMonitor {
        /// The objective.
        objective: String,
        /// The monitor it names.
        monitor: String,
        /// Those that exist.
        known: String,
    },
    /// Nothing that too many users would break.
    #[error(
        "`{objectives}` alone does not limit the number of users: a minimum throughput is missed \
         when there are too few users, and met by more of them however slow the responses are; \
         add what a user must see, such as --slo 'p99<2s', or hold levels of your choice with \
         `breakpoint ramp --stages`"
    )]
    RatesOnly {
        /// The objectives.
        objectives: String,
    },
    /// A condition on readings that is about something else.
    #[error(
        "`{objective}` is not about a monitor's field; write what a monitor must read, such as \
         ai.queue==0"
    )]
    NoReading {
        /// The objective.
        objective: String,
    },
}

/// Spellings of the comparisons, longest first so that `<=` is not read as `<`. `:` is "at most".
const SPELLINGS: [(&str, Comparison); 11] = [
    ("<=", Comparison::Le),
    (">=", Comparison::Ge),
    ("==", Comparison::Eq),
    ("<", Comparison::Lt),
    (">", Comparison::Gt),
    (":", Comparison::Le),
    (".lt.", Comparison::Lt),
    (".le.", Comparison::Le),
    (".gt.", Comparison::Gt),
    (".ge.", Comparison::Ge),
    (".eq.", Comparison::Eq),
];

/// How an objective on a metric of a script's own begins.
const OF_METRIC: &str = "metric(";

/// How an objective on cycles begins that meet several limits at once.
const GOOD: &str = "good(";

/// The objectives of a text: commas part them, but for those in brackets.
pub(super) fn objectives(text: &str) -> Vec<&str> {
    let (mut depth, mut from, mut out) = (0_usize, 0, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                out.push(&text[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    out.push(&text[from..]);
    out
}

pub(super) fn objective(text: &str) -> Result<Objective, SloError> {
    let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    if text.is_empty() {
        return Err(SloError::Empty);
    }
    let (metric, comparison, right) = if let Some(rest) = text.strip_prefix(GOOD) {
        good(rest, &text)?
    } else {
        let Some((left, comparison, right)) = compared(&text) else {
            return Err(match metric(&text, &text) {
                Ok(_) => SloError::NoBound(text),
                Err(error) => error,
            });
        };
        (metric(left, &text)?, comparison, right)
    };
    if right.is_empty() {
        return Err(SloError::NoBound(left_of(&metric, &text).to_owned()));
    }
    let left = left_of(&metric, &text).to_owned();
    let bound = bound(&metric, right).map_err(|why| SloError::Bound {
        text: text.clone(),
        why,
    })?;
    check(&metric, comparison, bound).map_err(|why| SloError::Comparison {
        text: text.clone(),
        why,
    })?;
    let text = format!("{left}{}{right}", comparison.symbol());
    Ok(Objective {
        metric,
        comparison,
        bound,
        text,
    })
}

/// What stands before the comparison, as it is written again.
fn left_of<'a>(metric: &'a Metric, text: &'a str) -> &'a str {
    if let Metric::Good { row, .. } = metric {
        return row;
    }
    compared(text).map_or(text, |(left, ..)| left)
}

/// What stands left and right of the comparison. The name of a step in brackets may hold anything:
/// `p95(requests{url:http://a/?b<c})<2s`.
fn compared(text: &str) -> Option<(&str, Comparison, &str)> {
    let behind = text.rfind(')').map_or(0, |at| at + 1);
    let from = |begin: usize| {
        SPELLINGS.iter().find_map(|(spelling, comparison)| {
            let at = begin + text[begin..].find(spelling)?;
            Some((&text[..at], *comparison, &text[at + spelling.len()..]))
        })
    };
    from(behind).or_else(|| from(0))
}

/// Reads what stands behind `good(`: limits, a comparison, and what is left of the text.
fn good<'a>(rest: &'a str, whole: &str) -> Result<(Metric, Comparison, &'a str), SloError> {
    let wrong = |why| SloError::Comparison {
        text: whole.to_owned(),
        why,
    };
    let Some((inside, behind)) = rest.split_once(')') else {
        return Err(wrong(
            "the limits have no closing bracket; write good(answer.first<500ms,cycle<2s)>99%",
        ));
    };
    let mut limits = Vec::new();
    let mut texts = Vec::new();
    for part in inside.split(',') {
        let found = SPELLINGS
            .iter()
            .find_map(|(s, comparison)| Some((part.split_once(s)?, *comparison)));
        let Some(((step, most), comparison)) = found else {
            return Err(wrong(
                "each limit in brackets is a step with the most that it may take, such as \
                 answer.first<500ms",
            ));
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if step.is_empty() || !step.chars().all(plain) {
            return Err(wrong(
                "a limit begins with the name of a step, of its part such as answer.first, or \
                 cycle",
            ));
        }
        if !matches!(comparison, Comparison::Lt | Comparison::Le) {
            return Err(wrong("a limit in brackets is an upper bound: `<` or `<=`"));
        }
        let parsed = units::parse_duration_or(most, Some(Duration::from_millis(1)));
        let most_time = parsed.map_err(|e| SloError::Bound {
            text: whole.to_owned(),
            why: e.to_string(),
        })?;
        if most_time.is_zero() {
            return Err(wrong("a latency bound must be above zero"));
        }
        limits.push(Limit {
            step: step.to_owned(),
            most: most_time,
            inclusive: comparison == Comparison::Le,
        });
        texts.push(format!("{step}{}{most}", comparison.symbol()));
    }
    let row = format!("{GOOD}{})", texts.join(","));
    let found = SPELLINGS
        .iter()
        .find_map(|(s, comparison)| Some((*comparison, behind.strip_prefix(s)?)));
    let Some((comparison, bound)) = found else {
        return Err(SloError::NoBound(row));
    };
    Ok((Metric::Good { row, limits }, comparison, bound))
}

/// A bound that would suit a metric: in quotes, and as a shell leaves it alone.
fn example(left: &str) -> (&'static str, &'static str) {
    if left.starts_with(GOOD) {
        return (">99%", ".gt.99%");
    }
    match metric(left, left) {
        Ok(Metric::Errors { .. } | Metric::Shed { .. }) => ("<1%", ":1%"),
        Ok(Metric::Rps { .. }) => (">50", ".gt.50"),
        Ok(Metric::Monitor { .. }) => ("==0", ".eq.0"),
        _ => ("<2s", ":2s"),
    }
}

/// Reads `p99`, `p(99)`, `p99(answer)`, `p(99)(answer)`, `errors`, `gateway.oom_kills`.
fn metric(left: &str, whole: &str) -> Result<Metric, SloError> {
    let unknown = || SloError::UnknownMetric {
        text: whole.to_owned(),
        metric: left.to_owned(),
    };
    if let Some(rest) = left.strip_prefix(OF_METRIC) {
        return of_metric(rest).ok_or_else(unknown);
    }
    let (name, step) = split_step(left).ok_or_else(unknown)?;
    match name.as_str() {
        "avg" | "mean" => return Ok(Metric::Mean { step }),
        "max" => return Ok(Metric::Max { step }),
        "med" => return Ok(Metric::Quantile { q: 0.5, step }),
        "errors" | "error_rate" => return Ok(Metric::Errors { step }),
        "shed" => return Ok(Metric::Shed { step }),
        "rps" => return Ok(Metric::Rps { step }),
        _ => {}
    }
    if let Some(percent) = name.strip_prefix('p').and_then(|p| p.parse::<f64>().ok()) {
        if percent > 0.0 && percent < 100.0 {
            return Ok(Metric::Quantile {
                q: percent / 100.0,
                step,
            });
        }
        return Err(unknown());
    }
    // Nothing that a comparison is spelt with: the text must read the same again.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match name.split_once('.') {
        Some((monitor, field))
            if step.is_none()
                && !monitor.is_empty()
                && !field.is_empty()
                && name.chars().all(plain) =>
        {
            Ok(Metric::Monitor {
                monitor: monitor.to_owned(),
                field: field.to_owned(),
            })
        }
        _ => Err(unknown()),
    }
}

/// Reads what stands behind `metric(` in `metric(login_time).p95`, a metric of a script's own: of a
/// Trend a latency, of a Counter `rate`, of a Gauge `value`, and of a Rate nothing.
fn of_metric(rest: &str) -> Option<Metric> {
    let (name, of) = rest.rsplit_once(')')?;
    let step = Some(name.to_owned()).filter(|name| !name.is_empty());
    step.as_ref()?;
    match of.strip_prefix('.') {
        None if of.is_empty() => Some(Metric::Errors { step }),
        Some("rate") => Some(Metric::Rps { step }),
        Some("value") => Some(Metric::Max { step }),
        Some(of) => match metric(of, of).ok()? {
            Metric::Quantile { q, step: None } => Some(Metric::Quantile { q, step }),
            Metric::Mean { step: None } => Some(Metric::Mean { step }),
            Metric::Max { step: None } => Some(Metric::Max { step }),
            _ => None,
        },
        None => None,
    }
}

/// Splits `p99(answer)` into `p99` and `answer`; k6's `p(99)` is `p99`.
fn split_step(left: &str) -> Option<(String, Option<String>)> {
    let (left, rest) = match left.strip_prefix("p(") {
        Some(tail) => {
            let (percent, rest) = tail.split_once(')')?;
            (format!("p{percent}"), rest.to_owned())
        }
        None => match left.find('(') {
            Some(at) => (left[..at].to_owned(), left[at..].to_owned()),
            None => (left.to_owned(), String::new()),
        },
    };
    if rest.is_empty() {
        return Some((left, None));
    }
    let step = rest.strip_prefix('(')?.strip_suffix(')')?;
    (!step.is_empty()).then(|| (left, Some(step.to_owned())))
}

fn bound(metric: &Metric, text: &str) -> Result<f64, String> {
    let number = |text: &str| {
        text.parse::<f64>()
            .ok()
            .filter(|n| n.is_finite())
            .ok_or_else(|| format!("`{text}` is not a number"))
    };
    match metric {
        Metric::Quantile { .. } | Metric::Mean { .. } | Metric::Max { .. } => {
            units::parse_duration_or(text, Some(Duration::from_millis(1)))
                .map(|d| d.as_secs_f64())
                .map_err(|e| e.to_string())
        }
        Metric::Errors { .. } | Metric::Shed { .. } | Metric::Good { .. } => {
            units::parse_ratio(text).map_err(|e| e.to_string())
        }
        Metric::Rps { .. } => number(text.trim_end_matches("/s")),
        Metric::Monitor { .. } => number(text)
            .or_else(|_| units::parse_ratio(text).map_err(|e| e.to_string()))
            .or_else(|_| units::parse_duration(text).map(|d| d.as_secs_f64()))
            .or_else(|_| {
                #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
                units::parse_bytes(text).map(|b| b as f64)
            })
            .map_err(|_| format!("`{text}` is not a number, size, share or duration")),
    }
}

fn check(metric: &Metric, comparison: Comparison, bound: f64) -> Result<(), &'static str> {
    let upper = matches!(comparison, Comparison::Lt | Comparison::Le);
    match metric {
        Metric::Quantile { .. } | Metric::Mean { .. } | Metric::Max { .. } if !upper => {
            Err("a latency objective needs an upper bound: `<` or `<=`")
        }
        Metric::Quantile { .. } | Metric::Mean { .. } | Metric::Max { .. } if bound <= 0.0 => {
            Err("a latency bound must be above zero")
        }
        Metric::Errors { .. } | Metric::Shed { .. } if !upper => {
            Err("a share of failures needs an upper bound: `<` or `<=`")
        }
        Metric::Errors { .. } | Metric::Shed { .. } if !(0.0..1.0).contains(&bound) => {
            Err("a share must be between 0 and 1 (0 % and 100 %)")
        }
        Metric::Errors { .. } | Metric::Shed { .. }
            if bound == 0.0 && comparison == Comparison::Lt =>
        {
            Err("a share below zero cannot be met; write `<=0` for none at all")
        }
        Metric::Good { .. } if !matches!(comparison, Comparison::Gt | Comparison::Ge) => {
            Err("a share of good cycles needs a lower bound: `>` or `>=`")
        }
        Metric::Good { .. } if !(bound > 0.0 && bound <= 1.0) => {
            Err("a share of good cycles must be above 0 and at most 1 (100 %)")
        }
        Metric::Good { .. } if bound >= 1.0 && comparison == Comparison::Gt => {
            Err("a share above 100 % cannot be met; write `>=100%` for all of them")
        }
        Metric::Rps { .. } if comparison == Comparison::Eq => {
            Err("a rate is never exact: it needs a lower bound (`>` or `>=`) or an upper bound")
        }
        Metric::Rps { step: None } if upper => {
            Err("a rate objective of all requests needs a lower bound: `>` or `>=`")
        }
        _ => Ok(()),
    }
}
