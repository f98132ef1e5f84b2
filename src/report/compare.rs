//! A comparison as text.

use std::fmt::Write as _;

use super::summary::Lines;
use super::view::percent;
use crate::measure::{Level, LevelUnit};
use crate::record::{
    Bounds, Change, ChangeVerdict, CompareRecord, ComparedMetric, Comparison, ForecastPoint,
    GateOutcome, LimitingResource, Scaling,
};
use crate::units;

/// From this ratio on (or its inverse) a change is told as a factor.
const AS_FACTOR: f64 = 2.0;

/// The comparison as aligned lines, each with an end of line.
pub fn summary(record: &CompareRecord) -> String {
    let mut lines = Lines::default();
    let slo = record.slo.join(", ");
    for comparison in &record.comparisons {
        lines.add(
            "compare",
            format!("{}     (SLO {slo})", heading(comparison)),
        );
        one(record, comparison, &mut lines);
    }
    if let Some(scaling) = &record.scaling {
        lines.add(
            "scaling",
            format!("{}     (SLO {slo})", scaling_heading(record, scaling)),
        );
        scaled(record, scaling, &mut lines);
    }
    for gate in &record.gates {
        let word = match gate.outcome {
            GateOutcome::Passed => "passed",
            GateOutcome::Failed => "FAILED",
            GateOutcome::CannotSay => "cannot say",
        };
        let of = if record.comparisons.len() > 1 {
            format!(" of {}", gate.candidate)
        } else {
            String::new()
        };
        lines.add(
            "gate",
            format!("{}{of}: {word}: {}", gate.condition, gate.reason),
        );
    }
    for note in &record.notes {
        lines.add("note", note);
    }
    lines.0
}

/// `B against A, 3 pairs`.
pub(super) fn heading(comparison: &Comparison) -> String {
    let pairs = match comparison.pairs.len() {
        1 => String::new(),
        n => format!(", {n} pairs"),
    };
    format!(
        "{} against {}{pairs}",
        comparison.candidate, comparison.base
    )
}

fn one(record: &CompareRecord, comparison: &Comparison, lines: &mut Lines) {
    for change in &comparison.changes {
        lines.add(change.metric.name(), change_text(record, change));
    }
    let limited = |cause: &Option<LimitingResource>| {
        cause.as_ref().map_or_else(
            || "nothing was named".to_owned(),
            |c| format!("{}: {} ({})", c.resource, c.evidence, c.sureness.name()),
        )
    };
    lines.add(
        "gave way",
        format!("before: {}", limited(&comparison.limited_before)),
    );
    lines.add("", format!("now:    {}", limited(&comparison.limited_now)));
    if comparison.differences.is_empty() {
        lines.add("differs", "nothing in profile, machine or version");
    }
    for (i, difference) in comparison.differences.iter().enumerate() {
        let none = |text: &str| {
            if text.is_empty() {
                "-".to_owned()
            } else {
                text.to_owned()
            }
        };
        let text = format!(
            "{}: {} -> {}",
            difference.what,
            none(&difference.base),
            none(&difference.candidate)
        );
        lines.add(if i == 0 { "differs" } else { "" }, text);
    }
}

/// `1 019 -> 1 121 VUs   +10.0 % (95 % CI +4.1 to +16.3 %)   evidence of a rise (p = 0.002)`.
fn change_text(record: &CompareRecord, change: &Change) -> String {
    let mut text = String::new();
    if let (Some(base), Some(candidate)) = (change.base, change.candidate) {
        let of = |v| value(change.metric, v);
        let unit = unit(record, change.metric);
        let _ = write!(
            text,
            "{} -> {}{unit}{}   ",
            of(base),
            of(candidate),
            at(record, change)
        );
    }
    text.push_str(&ratio_text(change, record.confidence));
    if !change.reason.is_empty() && change.verdict != ChangeVerdict::CannotSay {
        let _ = write!(text, "; {}", change.reason);
    }
    text
}

/// The level of a latency: ` at 800 VUs`.
fn at(record: &CompareRecord, change: &Change) -> String {
    match change.levels {
        Some((a, b)) if a == b => format!(" at {}", record.unit.count(a)),
        Some((a, b)) => format!(" at {} and {}", a.get(), record.unit.count(b)),
        None => String::new(),
    }
}

/// The change with its interval, and what it is evidence of.
pub(super) fn ratio_text(change: &Change, confidence: f64) -> String {
    let level = percent(confidence);
    let mut text = match (change.ratio, change.low, change.high) {
        (Some(ratio), Some(low), Some(high)) => format!(
            "{} ({level} % CI {} to {})   ",
            moved(ratio),
            moved(low),
            moved(high)
        ),
        (None, Some(low), Some(high)) => format!("between {} and {}   ", moved(low), moved(high)),
        (_, Some(low), None) => format!("at least {low:.2} times ({level} %)   "),
        (_, None, Some(high)) => format!("at most {high:.2} times ({level} %)   "),
        _ => String::new(),
    };
    let p = change.p_value.map_or_else(String::new, |p| {
        if p <= 0.001 {
            " (p <= 0.001)".to_owned()
        } else {
            format!(" (p = {p:.3})")
        }
    });
    match change.verdict {
        ChangeVerdict::Rise => {
            let _ = write!(text, "evidence of a rise{p}");
        }
        ChangeVerdict::Fall => {
            let _ = write!(text, "evidence of a fall{p}");
        }
        ChangeVerdict::NoEvidence => {
            let _ = write!(text, "no evidence of a change{p}");
            if let Some(detectable) = change.detectable {
                let _ = write!(
                    text,
                    "; a rise of {:.1} % would have been seen four times in five",
                    100.0 * detectable
                );
            }
        }
        ChangeVerdict::CannotSay => {
            let _ = write!(text, "cannot be compared: {}", change.reason);
        }
    }
    text
}

/// A ratio as a change: `+10.0 %`, `2.10 times`.
pub(super) fn moved(ratio: f64) -> String {
    if (1.0 / AS_FACTOR..AS_FACTOR).contains(&ratio) {
        let text = format!("{:+.1} %", 100.0 * (ratio - 1.0));
        if text == "-0.0 %" {
            "+0.0 %".to_owned()
        } else {
            text
        }
    } else {
        format!("{ratio:.2} times")
    }
}

fn value(metric: ComparedMetric, value: f64) -> String {
    match metric {
        ComparedMetric::Breakpoint | ComparedMetric::Knee => count(value),
        ComparedMetric::Throughput => format!("{value:.1}"),
        ComparedMetric::P50 | ComparedMetric::P99 => units::format_seconds(value),
    }
}

fn unit(record: &CompareRecord, metric: ComparedMetric) -> String {
    match metric {
        ComparedMetric::Breakpoint | ComparedMetric::Knee => format!(" {}", record.unit.name()),
        ComparedMetric::Throughput => " cycles/s".to_owned(),
        ComparedMetric::P50 | ComparedMetric::P99 => format!(" ({})", record.step),
    }
}

fn count(value: f64) -> String {
    units::format_count(Level::nearest(value).get().into())
}

/// `1 -> 2 -> 4: 1 000, 1 850, 3 100 VUs`.
pub(super) fn scaling_heading(record: &CompareRecord, scaling: &Scaling) -> String {
    let sizes: Vec<String> = scaling.points.iter().map(|p| size(p.size)).collect();
    let found: Vec<String> = scaling.points.iter().map(|p| count(p.breakpoint)).collect();
    format!(
        "sizes {}: {} {}",
        sizes.join(", "),
        found.join(", "),
        record.unit.name()
    )
}

fn scaled(record: &CompareRecord, scaling: &Scaling, lines: &mut Lines) {
    let share = |v: f64| format!("{:.2} %", 100.0 * v);
    let whole = |v: f64| record.unit.count(Level::nearest(v));
    lines.add(
        "one",
        format!(
            "{} of size 1",
            bounded(&scaling.lambda, count, record.unit.name())
        ),
    );
    lines.add("contention", bounded(&scaling.contention, share, ""));
    lines.add(
        "coherency",
        bounded(&scaling.coherency, |v| format!("{:.4} %", 100.0 * v), ""),
    );
    lines.add("helps up to", peak_text(&scaling.peak_size));
    lines.add(
        "forecast",
        forecast_text(record.unit, &scaling.forecast, record.confidence),
    );
    let tested = match (scaling.freedom, scaling.fits_p) {
        (0, _) => "three sizes, three parameters: nothing here tests the law itself, and the forecast rests on it".to_owned(),
        (_, Some(p)) if p < 1.0 - record.confidence => format!(
            "the sizes do not follow the law (p = {p:.3}): the forecast is not to be relied on"
        ),
        (_, Some(p)) => format!("the sizes do not contradict the law (p = {p:.2})"),
        (_, None) => "the law was not tested".to_owned(),
    };
    lines.add("law", tested);
    for point in &scaling.points {
        let text = format!(
            "size {}: {} ({} – {})",
            size(point.size),
            whole(point.breakpoint),
            count(point.low),
            count(point.high)
        );
        lines.add("", text);
    }
}

fn size(size: f64) -> String {
    let text = format!("{size:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn bounded(bounds: &Bounds, text: impl Fn(f64) -> String, unit: &str) -> String {
    let estimate = bounds.estimate.map_or_else(|| "-".to_owned(), &text);
    let high = bounds.high.map_or_else(|| "no end".to_owned(), &text);
    let unit = if unit.is_empty() {
        String::new()
    } else {
        format!(" {unit}")
    };
    format!("{estimate}{unit} ({} – {high})", text(bounds.low))
}

/// The size past which adding more no longer helps.
pub(super) fn peak_text(peak: &Bounds) -> String {
    match (peak.estimate, peak.high) {
        (Some(estimate), Some(high)) => format!(
            "size {estimate:.1} ({:.1} – {high:.1}); past that more makes it worse",
            peak.low
        ),
        (Some(estimate), None) => format!(
            "size {estimate:.1} (from {:.1} up, no end: it may always help)",
            peak.low
        ),
        (None, _) => format!("no end was seen; at least size {:.1}", peak.low),
    }
}

/// A forecast, never without its band.
pub(super) fn forecast_text(unit: LevelUnit, point: &ForecastPoint, confidence: f64) -> String {
    format!(
        "size {}: {} ({} % band {} – {})",
        size(point.size),
        unit.count(Level::nearest(point.estimate)),
        percent(confidence),
        count(point.low),
        count(point.high)
    )
}
