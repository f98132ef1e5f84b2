//! A script's thresholds, as typed values.

use std::fmt;

use thiserror::Error;

use crate::exchange::MetricKind;

#[cfg(test)]
mod tests;

/// The longest text of a threshold or metric, bytes.
const MAX_TEXT: usize = 4_096;

/// Why a text is not a threshold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ThresholdError {
    /// The text is too long.
    #[error("it is longer than 4096 bytes")]
    TooLong,
    /// There is no comparison in it.
    #[error("`{0}` has no comparison; write it as `p(95)<500`")]
    NoOperator(String),
    /// What is compared is unknown.
    #[error("`{0}` is not a value of a metric; use avg, min, max, med, p(N), count, rate or value")]
    Aggregation(String),
    /// What it is compared with is not a number.
    #[error("`{0}` is not a number")]
    Bound(String),
    /// The metric does not have what is compared.
    #[error("`{metric}` has no `{aggregation}`; use {known}")]
    Unfit {
        /// The metric.
        metric: String,
        /// What is compared.
        aggregation: String,
        /// What it has.
        known: &'static str,
    },
    /// The metric cannot be read.
    #[error("`{0}` is not a metric; write it as `http_req_duration{{name:login}}`")]
    Metric(String),
}

/// A threshold: of a metric's values that have these tags, this must compare so.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// The metric, without tags.
    pub metric: String,
    /// The tags that its values must have; all of them where there are none.
    pub tags: Vec<(String, String)>,
    /// What of the values is compared.
    pub aggregation: Aggregation,
    /// How.
    pub operator: Operator,
    /// With what.
    pub bound: f64,
}

/// What of a metric's values is compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aggregation {
    /// `count`.
    Count,
    /// `rate`: per second of a counter, the share of a rate.
    Rate,
    /// `value`.
    Value,
    /// `avg`.
    Average,
    /// `min`.
    Minimum,
    /// `max`.
    Maximum,
    /// `med`.
    Median,
    /// `p(N)`, in percent.
    Percentile(f64),
}

/// How values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<`.
    Less,
    /// `<=`.
    AtMost,
    /// `>`.
    More,
    /// `>=`.
    AtLeast,
    /// `==` and `===`.
    Equal,
    /// `!=`.
    NotEqual,
}

impl Operator {
    /// Whether a value passes.
    #[expect(clippy::float_cmp, reason = "`==` is what the script asks for")]
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Less => value < bound,
            Self::AtMost => value <= bound,
            Self::More => value > bound,
            Self::AtLeast => value >= bound,
            Self::Equal => value == bound,
            Self::NotEqual => value != bound,
        }
    }
}

/// The operators, the longer ones first.
const OPERATORS: [(&str, Operator); 7] = [
    ("===", Operator::Equal),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<=", Operator::AtMost),
    (">=", Operator::AtLeast),
    ("<", Operator::Less),
    (">", Operator::More),
];

/// k6's own metrics. `true`: their values are times in milliseconds.
const METRICS: [(&str, MetricKind, bool); 32] = [
    ("vus", MetricKind::Gauge, false),
    ("vus_max", MetricKind::Gauge, false),
    ("iterations", MetricKind::Counter, false),
    ("iteration_duration", MetricKind::Trend, true),
    ("dropped_iterations", MetricKind::Counter, false),
    ("data_received", MetricKind::Counter, false),
    ("data_sent", MetricKind::Counter, false),
    ("checks", MetricKind::Rate, false),
    ("group_duration", MetricKind::Trend, true),
    ("http_reqs", MetricKind::Counter, false),
    ("http_req_failed", MetricKind::Rate, false),
    ("http_req_duration", MetricKind::Trend, true),
    ("http_req_blocked", MetricKind::Trend, true),
    ("http_req_connecting", MetricKind::Trend, true),
    ("http_req_tls_handshaking", MetricKind::Trend, true),
    ("http_req_sending", MetricKind::Trend, true),
    ("http_req_waiting", MetricKind::Trend, true),
    ("http_req_receiving", MetricKind::Trend, true),
    ("ws_sessions", MetricKind::Counter, false),
    ("ws_msgs_sent", MetricKind::Counter, false),
    ("ws_msgs_received", MetricKind::Counter, false),
    ("ws_ping", MetricKind::Trend, true),
    ("ws_session_duration", MetricKind::Trend, true),
    ("ws_connecting", MetricKind::Trend, true),
    ("grpc_req_duration", MetricKind::Trend, true),
    ("grpc_streams", MetricKind::Counter, false),
    ("grpc_streams_msgs_sent", MetricKind::Counter, false),
    ("grpc_streams_msgs_received", MetricKind::Counter, false),
    ("browser_http_req_duration", MetricKind::Trend, true),
    ("browser_http_req_failed", MetricKind::Rate, false),
    ("browser_data_sent", MetricKind::Counter, false),
    ("browser_data_received", MetricKind::Counter, false),
];

/// What kind of metric one of k6's own is.
pub fn kind_of(metric: &str) -> Option<MetricKind> {
    METRICS
        .iter()
        .find(|(name, ..)| *name == metric)
        .map(|(_, kind, _)| *kind)
}

/// Whether the values of one of k6's own metrics are times in milliseconds.
pub fn is_time(metric: &str) -> bool {
    METRICS
        .iter()
        .any(|(name, _, is_time)| *name == metric && *is_time)
}

/// A threshold on a metric, such as `http_req_duration{name:login}` and `p(95)<500`.
///
/// # Errors
/// Why it is none.
pub fn threshold(metric: &str, expression: &str) -> Result<Threshold, ThresholdError> {
    if metric.len() > MAX_TEXT || expression.len() > MAX_TEXT {
        return Err(ThresholdError::TooLong);
    }
    let (metric, tags) = name_and_tags(metric)?;
    let no_operator = || ThresholdError::NoOperator(expression.trim().to_owned());
    let at = expression
        .find(['<', '>', '=', '!'])
        .ok_or_else(no_operator)?;
    let (what, rest) = expression.split_at(at);
    let sign = |(sign, _): &&(&str, Operator)| rest.starts_with(sign);
    let (sign, operator) = OPERATORS.iter().find(sign).ok_or_else(no_operator)?;
    let bound = rest[sign.len()..].trim();
    let bound = number(bound).ok_or_else(|| ThresholdError::Bound(bound.to_owned()))?;
    let aggregation =
        aggregation(what).ok_or_else(|| ThresholdError::Aggregation(what.trim().to_owned()))?;
    if let Some(kind) = kind_of(&metric)
        && !aggregation.fits(kind)
    {
        let aggregation = what.trim().to_owned();
        return Err(ThresholdError::Unfit {
            metric,
            aggregation,
            known: known_of(kind),
        });
    }
    Ok(Threshold {
        metric,
        tags,
        aggregation,
        operator: *operator,
        bound,
    })
}

/// Digits with a sign, a point and an exponent: no words such as `inf`.
fn number(text: &str) -> Option<f64> {
    let is_number = text
        .chars()
        .all(|c| c.is_ascii_digit() || "+-.eE".contains(c));
    text.parse()
        .ok()
        .filter(|number: &f64| is_number && number.is_finite())
}

fn aggregation(text: &str) -> Option<Aggregation> {
    Some(match text.trim() {
        "count" => Aggregation::Count,
        "rate" => Aggregation::Rate,
        "value" => Aggregation::Value,
        "avg" => Aggregation::Average,
        "min" => Aggregation::Minimum,
        "max" => Aggregation::Maximum,
        "med" => Aggregation::Median,
        other => Aggregation::Percentile(percentile(other)?),
    })
}

/// The N of `p(N)`, 0 to 100.
pub(crate) fn percentile(text: &str) -> Option<f64> {
    let inner = text.trim().strip_prefix('p')?.trim_start();
    let inner = inner.strip_prefix('(')?.strip_suffix(')')?;
    number(inner.trim()).filter(|percent| (0.0..=100.0).contains(percent))
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count => f.write_str("count"),
            Self::Rate => f.write_str("rate"),
            Self::Value => f.write_str("value"),
            Self::Average => f.write_str("avg"),
            Self::Minimum => f.write_str("min"),
            Self::Maximum => f.write_str("max"),
            Self::Median => f.write_str("med"),
            Self::Percentile(percent) => write!(f, "p({percent})"),
        }
    }
}

impl Aggregation {
    /// Whether a kind of metric has it.
    pub fn fits(self, kind: MetricKind) -> bool {
        match kind {
            MetricKind::Counter => matches!(self, Self::Count | Self::Rate),
            MetricKind::Gauge => matches!(self, Self::Value),
            MetricKind::Rate => matches!(self, Self::Rate),
            MetricKind::Trend => !matches!(self, Self::Count | Self::Rate | Self::Value),
        }
    }
}

fn known_of(kind: MetricKind) -> &'static str {
    match kind {
        MetricKind::Counter => "count or rate",
        MetricKind::Gauge => "value",
        MetricKind::Rate => "rate",
        MetricKind::Trend => "avg, min, max, med or p(N)",
    }
}

/// A metric's name, and tags with their values.
type Named = (String, Vec<(String, String)>);

/// A metric's name, and the tags in braces behind it.
fn name_and_tags(text: &str) -> Result<Named, ThresholdError> {
    let wrong = || ThresholdError::Metric(text.to_owned());
    let trimmed = text.trim();
    let (name, tags) = match trimmed.split_once('{') {
        Some((name, tags)) => (name.trim(), tags.strip_suffix('}').ok_or_else(wrong)?),
        None => (trimmed, ""),
    };
    let is_named = |c: char| c.is_alphanumeric() || c == '_' || c == '.' || c == '-';
    if name.is_empty() || !name.chars().all(is_named) {
        return Err(wrong());
    }
    let mut pairs = Vec::new();
    for tag in split(tags) {
        if tag.trim().is_empty() {
            continue;
        }
        let (key, value) = pair(tag).ok_or_else(wrong)?;
        pairs.push((key, value));
    }
    Ok((name.to_owned(), pairs))
}

/// Cut at commas outside of quotes.
fn split(tags: &str) -> Vec<&str> {
    let (mut parts, mut from, mut quote) = (Vec::new(), 0, None);
    for (at, c) in tags.char_indices() {
        match quote {
            Some(open) => quote = Some(open).filter(|open| c != *open),
            // A quote within a word is an apostrophe.
            None if (c == '"' || c == '\'') && tags[from..at].trim_end().ends_with(':') => {
                quote = Some(c);
            }
            None if c == ',' => {
                parts.push(&tags[from..at]);
                from = at + 1;
            }
            None => {}
        }
    }
    parts.push(&tags[from..]);
    parts
}

/// A tag and its value: the first colon is between them.
fn pair(tag: &str) -> Option<(String, String)> {
    let (key, value) = tag.split_once(':')?;
    let key = bare(key);
    (!key.is_empty()).then(|| (key.to_owned(), bare(value).to_owned()))
}

fn bare(text: &str) -> &str {
    let text = text.trim();
    for quote in ['"', '\''] {
        let inner = text
            .strip_prefix(quote)
            .and_then(|text| text.strip_suffix(quote));
        if let Some(inner) = inner {
            return inner;
        }
    }
    text
}
