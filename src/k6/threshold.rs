//! A threshold of k6 as an objective of ours.

use std::fmt::Write as _;

use breakpoint_script::threshold::{Aggregation, Operator, Threshold};

use super::{DeclaredKind, MetricRow};
use crate::slo::Slo;

/// The kind that stands for a pass of the user's function.
pub const ITERATION: &str = "iteration";
/// k6's metric of such passes, sleeps included.
pub const ITERATION_DURATION: &str = "iteration_duration";

/// What of a metric's values is compared.
#[derive(Debug, Clone, Copy)]
enum Of {
    Latency,
    Failures,
    Count,
}

/// The objective's text for a threshold on a metric of k6's, such as `http_req_duration{name:work}`
/// and `p(95)<500`.
///
/// # Errors
/// Why there is none.
pub(super) fn objective(threshold: &Threshold) -> Result<String, String> {
    let name = threshold.metric.as_str();
    let step = named(&threshold.tags)?;
    let (of, step) = match (name, step) {
        ("http_req_duration" | "grpc_req_duration" | "browser_http_req_duration", step) => {
            (Of::Latency, step)
        }
        ("http_req_failed" | "browser_http_req_failed", step) => (Of::Failures, step),
        ("http_reqs", step) => (Of::Count, step),
        ("iteration_duration", None) => (Of::Latency, Some(ITERATION)),
        ("iterations", None) => (Of::Count, Some(ITERATION)),
        ("iteration_duration" | "iterations", Some(_)) => {
            return Err("iterations have no names here".to_owned());
        }
        ("checks", _) => return Err("checks are not seen, only requests and iterations".to_owned()),
        _ => return Err(format!("`{name}` is not a metric that is measured here")),
    };
    let (sign, bound) = (sign(threshold)?, threshold.bound);
    let is_rate = threshold.aggregation == Aggregation::Rate;
    let (what, sign, bound) = match of {
        Of::Latency => (latency(threshold.aggregation)?, sign, format!("{bound}ms")),
        Of::Failures if is_rate && sign == "==" && bound == 0.0 => {
            ("errors".to_owned(), "<=", "0%".to_owned())
        }
        Of::Failures if is_rate => ("errors".to_owned(), sign, percent(bound)),
        Of::Count if is_rate => ("rps".to_owned(), sign, bound.to_string()),
        Of::Failures | Of::Count => {
            let what = threshold.aggregation;
            return Err(format!(
                "of `{name}`, only the rate is measured, not `{what}`"
            ));
        }
    };
    let mut text = what;
    if let Some(step) = step {
        // Writing to a string cannot fail.
        write!(text, "({step})").ok();
    }
    write!(text, "{sign}{bound}").ok();
    checked(&text, step)
}

/// The objective's text for a threshold on a metric of the script's own, or on its checks, whose
/// values are counted in a row of that name: what passes and what does not, or times. `rows` has
/// how each is counted, which no second threshold changes.
///
/// # Errors
/// Why there is none.
pub(super) fn of_own(
    threshold: &Threshold,
    kind: DeclaredKind,
    rows: &mut Vec<(String, MetricRow)>,
) -> Result<String, String> {
    let (metric, what) = (threshold.metric.as_str(), threshold.aggregation);
    let (sign, bound) = (sign(threshold)?, threshold.bound);
    let (row, text) = match kind {
        DeclaredKind::Trend => {
            let text = format!("{}({metric}){sign}{bound}ms", latency(what)?);
            (MetricRow::Time, text)
        }
        DeclaredKind::Rate if what == Aggregation::Rate => {
            let (row, sign, most) = match sign {
                "<" | "<=" => (MetricRow::PassIsZero, sign, bound),
                ">" => (MetricRow::PassIsOne, "<", 1.0 - bound),
                ">=" => (MetricRow::PassIsOne, "<=", 1.0 - bound),
                _ if bound <= 0.0 => (MetricRow::PassIsZero, "<=", 0.0),
                _ if bound >= 1.0 => (MetricRow::PassIsOne, "<=", 0.0),
                _ => return Err("a share is not measured so exactly".to_owned()),
            };
            // None fails is all that `> 1` can mean, and more than all that pass nobody has.
            let sign = if most <= 0.0 { "<=" } else { sign };
            (row, format!("errors({metric}){sign}{}", percent(most)))
        }
        DeclaredKind::Rate | DeclaredKind::Counter | DeclaredKind::Gauge => {
            return Err(format!("`{what}` of `{metric}` is not measured here"));
        }
    };
    let text = checked(&text, Some(metric))?;
    match rows.iter().find(|(name, _)| name == metric) {
        Some((_, known)) if *known == row => {}
        Some(_) => return Err("it has thresholds in both directions".to_owned()),
        None => rows.push((metric.to_owned(), row)),
    }
    Ok(text)
}

/// The text as the grammar writes it, once it is known to mean what was meant.
fn checked(text: &str, step: Option<&str>) -> Result<String, String> {
    let slo = Slo::parse([text]).map_err(|e| e.to_string())?;
    let bare = |name: &str| -> String { name.split_whitespace().collect() };
    match slo.objectives() {
        [one] if one.step().map(bare) == step.map(bare) => Ok(one.text.clone()),
        _ => Err("an objective cannot name these requests".to_owned()),
    }
}

/// The name of the requests where a threshold is about those alone.
fn named(tags: &[(String, String)]) -> Result<Option<&str>, String> {
    match tags {
        [] => Ok(None),
        [(tag, value)] if tag == "name" => Ok(Some(value.as_str()).filter(|v| !v.is_empty())),
        _ => Err("of tags, only `name` is supported, and only one of it".to_owned()),
    }
}

/// How a threshold compares.
fn sign(threshold: &Threshold) -> Result<&'static str, String> {
    match threshold.operator {
        Operator::Less => Ok("<"),
        Operator::AtMost => Ok("<="),
        Operator::More => Ok(">"),
        Operator::AtLeast => Ok(">="),
        Operator::Equal => Ok("=="),
        Operator::NotEqual => Err("no objective has `!=`".to_owned()),
    }
}

/// What of the latencies.
fn latency(what: Aggregation) -> Result<String, String> {
    match what {
        Aggregation::Average => Ok("avg".to_owned()),
        Aggregation::Maximum => Ok("max".to_owned()),
        Aggregation::Median => Ok("p50".to_owned()),
        Aggregation::Percentile(p) if p > 0.0 && p < 100.0 => Ok(format!("p{p}")),
        _ => Err(format!("`{what}` of a latency is not measured here")),
    }
}

/// A share in percent, without what its product with 100 is off.
fn percent(share: f64) -> String {
    format!("{}%", (share * 1e12).round() / 1e10)
}
