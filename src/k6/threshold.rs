//! A threshold of k6 as an objective of ours.

use std::fmt::Write as _;

use breakpoint_script::threshold::{Aggregation, Operator, Threshold};

use super::{DeclaredKind, MetricRow, OwnScript, Part};
use crate::slo::Slo;

/// The kind that stands for a pass of the user's function.
pub const ITERATION: &str = "iteration";
/// k6's metric of such passes, sleeps included.
pub const ITERATION_DURATION: &str = "iteration_duration";

/// The row of all requests.
const REQUESTS: &str = "requests";
/// k6's metric of how many requests there were, however they ended.
const COUNTED: &str = "http_reqs";

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
        _ => return Err(unmeasured(name)),
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

/// Which values of a metric a row has: `http_req_waiting{role:user}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// The metric.
    pub metric: String,
    tags: Vec<(String, String)>,
}

impl Selector {
    /// Reads one; `None` where the tags cannot be read.
    pub fn read(text: &str) -> Option<Self> {
        let bare = |text: &str| text.trim().trim_matches(['"', '\'']).to_owned();
        let Some((metric, tags)) = text.split_once('{') else {
            return Some(Self {
                metric: text.trim().to_owned(),
                tags: Vec::new(),
            });
        };
        let tags = tags.trim_end().strip_suffix('}')?;
        let pair = |part: &str| {
            let (tag, value) = part.split_once(':')?;
            Some((bare(tag), bare(value))).filter(|(tag, _)| !tag.is_empty())
        };
        let tags: Option<Vec<(String, String)>> = match tags.trim() {
            "" => Some(Vec::new()),
            tags => tags.split(',').map(pair).collect(),
        };
        Some(Self {
            metric: metric.trim().to_owned(),
            tags: tags?,
        })
    }

    /// Whether values are among these of which `has` says whether a tag of them has a value.
    pub fn takes(&self, has: impl Fn(&str, &str) -> bool) -> bool {
        self.tags.iter().all(|(tag, value)| has(tag, value))
    }

    /// The same of another metric, as the name of a row.
    fn of(&self, metric: &str) -> String {
        let tags: Vec<String> = (self.tags.iter())
            .map(|(tag, value)| format!("{tag}:{value}"))
            .collect();
        if tags.is_empty() {
            metric.to_owned()
        } else {
            format!("{metric}{{{}}}", tags.join(","))
        }
    }
}

/// How values are counted in a row of this name, which an objective gives; `None` where that is the
/// name of requests.
pub fn row_of(own: &OwnScript, name: &str) -> Option<MetricRow> {
    let selector = Selector::read(name)?;
    let has_tags = !selector.tags.is_empty();
    let metric = selector.metric.as_str();
    match (metric, own.kind_of(metric)) {
        (REQUESTS, _) if has_tags => Some(MetricRow::Requests),
        (COUNTED, _) => Some(MetricRow::Counted),
        (ITERATION, _) if has_tags => Some(MetricRow::Iterations),
        ("checks", _) => Some(MetricRow::PassIsOne),
        (_, Some(DeclaredKind::Trend | DeclaredKind::Gauge)) => Some(MetricRow::Time),
        (_, Some(DeclaredKind::Rate)) => Some(MetricRow::PassIsZero),
        (_, Some(DeclaredKind::Counter)) => Some(MetricRow::Sum),
        (_, None) => Part::of_metric(metric).map(MetricRow::Part),
    }
}

/// The objective's text for a threshold of a script that this program runs itself. Values with
/// tags, of the script's own metrics and of parts of a request are counted in a row of their own;
/// `rows` has how each is counted, which no second threshold changes.
///
/// # Errors
/// Why there is none.
pub(super) fn of_own(
    threshold: &Threshold,
    own: &OwnScript,
    rows: &mut Vec<(String, MetricRow)>,
) -> Result<String, String> {
    let selector = Selector {
        metric: threshold.metric.clone(),
        tags: threshold.tags.clone(),
    };
    let name = selector.metric.as_str();
    let compared = (threshold.aggregation, sign(threshold)?, threshold.bound);
    let (what, sign, bound) = compared;
    let is_plain = selector.tags.is_empty();
    let (row, step, text) = match (name, own.kind_of(name)) {
        (_, Some(kind)) => {
            let step = selector.of(name);
            let (row, text) = of_kind(kind, &step, compared)?;
            (row, step, text)
        }
        ("http_req_failed", _) if !is_plain => {
            let step = selector.of(REQUESTS);
            let text = of_failed(&step, compared)?;
            (MetricRow::Requests, step, text)
        }
        (COUNTED, _) if !is_plain => {
            let step = selector.of(COUNTED);
            let text = sum(&step, compared)?;
            (MetricRow::Counted, step, text)
        }
        ("iterations", _) if !is_plain => {
            let step = selector.of(ITERATION);
            let text = sum(&step, compared)?;
            (MetricRow::Iterations, step, text)
        }
        _ => match Part::of_metric(name) {
            Some(part) => {
                let step = selector.of(name);
                let text = format!("{}({step}){sign}{bound}ms", latency(what)?);
                (MetricRow::Part(part), step, text)
            }
            None if is_plain => {
                return objective(threshold).map_err(|why| of_unmeasured(name, why));
            }
            None => return Err(of_unmeasured(name, unmeasured(name))),
        },
    };
    let text = checked(&text, Some(&step))?;
    match rows.iter().find(|(name, _)| *name == step) {
        Some((_, known)) if *known == row => {}
        Some(_) => return Err("it has thresholds in both directions".to_owned()),
        None => rows.push((step, row)),
    }
    Ok(text)
}

fn unmeasured(name: &str) -> String {
    format!("`{name}` is not a metric that is measured here")
}

/// Why a metric of k6 is not measured.
fn of_unmeasured(name: &str, why: String) -> String {
    match name {
        "http_req_sending" => {
            "the kernel takes a request at once, and nobody sees when it was sent; use \
             http_req_waiting"
                .to_owned()
        }
        "data_sent" | "data_received" => {
            "bytes on the wire are not counted; watch those of the target's host with a [[monitor]]"
                .to_owned()
        }
        _ => why,
    }
}

/// What is compared, how, and with which number.
type Compared = (Aggregation, &'static str, f64);

/// Of requests in a row of their own.
fn of_failed(row: &str, (what, sign, bound): Compared) -> Result<String, String> {
    if what != Aggregation::Rate {
        return Err(format!("`{what}` of `{row}` is not measured here"));
    }
    if sign == "==" && bound == 0.0 {
        return Ok(format!("errors({row})<=0%"));
    }
    Ok(format!("errors({row}){sign}{}", percent(bound)))
}

/// Of something that is counted: a search holds levels as long as it needs, so that only a rate, or
/// that there is none at all, means the same in all of them.
fn sum(row: &str, (what, sign, bound): Compared) -> Result<String, String> {
    let is_none = matches!((sign, bound), ("==" | "<=", 0.0)) || sign == "<" && bound <= 1.0;
    match what {
        Aggregation::Rate => Ok(format!("rps({row}){sign}{bound}")),
        Aggregation::Count if is_none && bound >= 0.0 => Ok(format!("rps({row})<=0")),
        Aggregation::Count => Err(
            "a total grows with the time that a level is held; compare its `rate`, which is per \
             second"
                .to_owned(),
        ),
        _ => Err(format!("`{what}` of `{row}` is not measured here")),
    }
}

/// Of a metric of the script's own, or of its checks: how its values are counted, and the
/// objective.
fn of_kind(
    kind: DeclaredKind,
    row: &str,
    (what, sign, bound): Compared,
) -> Result<(MetricRow, String), String> {
    match kind {
        DeclaredKind::Trend => {
            let text = format!("{}({row}){sign}{bound}ms", latency(what)?);
            Ok((MetricRow::Time, text))
        }
        DeclaredKind::Counter => Ok((MetricRow::Sum, sum(row, (what, sign, bound))?)),
        // Many VUs set it: the last value is anybody's, the largest is what all of them kept to.
        DeclaredKind::Gauge if what == Aggregation::Value && sign.starts_with('<') => {
            Ok((MetricRow::Time, format!("max({row}){sign}{bound}ms")))
        }
        DeclaredKind::Gauge if what == Aggregation::Value => Err(
            "many VUs set a Gauge, and only their largest value is kept; write `value<N`"
                .to_owned(),
        ),
        DeclaredKind::Rate if what == Aggregation::Rate => {
            let (counted, sign, most) = match sign {
                "<" | "<=" => (MetricRow::PassIsZero, sign, bound),
                ">" => (MetricRow::PassIsOne, "<", 1.0 - bound),
                ">=" => (MetricRow::PassIsOne, "<=", 1.0 - bound),
                _ if bound <= 0.0 => (MetricRow::PassIsZero, "<=", 0.0),
                _ if bound >= 1.0 => (MetricRow::PassIsOne, "<=", 0.0),
                _ => return Err("a share is not measured so exactly".to_owned()),
            };
            // None fails is all that `> 1` can mean, and more than all that pass nobody has.
            let sign = if most <= 0.0 { "<=" } else { sign };
            Ok((counted, format!("errors({row}){sign}{}", percent(most))))
        }
        DeclaredKind::Rate | DeclaredKind::Gauge => {
            Err(format!("`{what}` of `{row}` is not measured here"))
        }
    }
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
