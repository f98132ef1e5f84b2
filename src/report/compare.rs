//! A comparison as text.

use std::fmt::Write as _;

use super::summary::{Lines, finding};
use super::view::percent;
use crate::measure::{Level, LevelUnit};
use crate::record::{
    Bounds, Change, ChangeVerdict, CompareRecord, ComparedMetric, Comparison, ForecastPoint, Gate,
    GateOutcome, LimitingResource, Scaling,
};
use crate::units;

/// From this ratio on (or its inverse) a change is told as a factor.
const AS_FACTOR: f64 = 2.0;
/// The label of what differs beside the numbers.
const OTHER_CHANGES: &str = "other changes";
/// Where nothing but the system could explain a change.
pub(super) const NOTHING_DIFFERS: &str = "none in profile, machine, or version";

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
        lines.add("gate", gate_text(record, gate));
    }
    for note in &record.notes {
        lines.add("note", note);
    }
    lines.0
}

/// `breakpoint<-5% of B: FAILED: a fall of 14.8 %, and that is evidence`.
pub(super) fn gate_text(record: &CompareRecord, gate: &Gate) -> String {
    let word = match gate.outcome {
        GateOutcome::Passed => "passed",
        GateOutcome::Failed => "FAILED",
        GateOutcome::CannotSay => "inconclusive",
    };
    format!("{}: {word}: {}", condition(record, gate), gate.reason)
}

/// A gate's condition, with its candidate where there are several.
pub(super) fn condition(record: &CompareRecord, gate: &Gate) -> String {
    if record.comparisons.len() > 1 {
        format!("{} of {}", gate.condition, gate.candidate)
    } else {
        gate.condition.clone()
    }
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
    let (before, now) = (&comparison.limited_before, &comparison.limited_now);
    lines.add(
        "bottleneck",
        format!("before: {}", limited(before.as_ref())),
    );
    lines.add("", format!("now:    {}", limited(now.as_ref())));
    if comparison.differences.is_empty() {
        lines.add(OTHER_CHANGES, NOTHING_DIFFERS);
    }
    for (i, difference) in comparison.differences.iter().enumerate() {
        let text = format!(
            "{}: {} -> {}",
            difference.what,
            or_dash(&difference.base),
            or_dash(&difference.candidate)
        );
        lines.add(if i == 0 { OTHER_CHANGES } else { "" }, text);
    }
}

/// What limited a run.
pub(super) fn limited(cause: Option<&LimitingResource>) -> String {
    cause.map_or_else(|| "none identified".to_owned(), finding)
}

/// What differs is shown also where one side has nothing.
pub(super) fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

/// `1 019 -> 1 121 VUs   +10.0 % (95 % CI +4.1 to +16.3 %)   evidence of a rise (p = 0.002)`.
fn change_text(record: &CompareRecord, change: &Change) -> String {
    let mut text = values(record, change).map_or_else(String::new, |v| format!("{v}   "));
    text.push_str(&ratio_text(change, record.confidence));
    if !change.reason.is_empty() && change.verdict != ChangeVerdict::CannotSay {
        let _ = write!(text, "; {}", change.reason);
    }
    text
}

/// `1 019 -> 1 121 VUs`, `5 ms -> 7 ms (answer) at 800 VUs`; `None` where one side is not known.
pub(super) fn values(record: &CompareRecord, change: &Change) -> Option<String> {
    let (base, candidate) = (change.base?, change.candidate?);
    let of = |v| value(change.metric, v);
    let unit = unit(record, change.metric);
    let level = at(record, change).map_or_else(String::new, |l| format!(" at {l}"));
    Some(format!("{} -> {}{unit}{level}", of(base), of(candidate)))
}

/// The level of a latency: `800 VUs`.
pub(super) fn at(record: &CompareRecord, change: &Change) -> Option<String> {
    let (a, b) = change.levels?;
    Some(if a == b {
        record.unit.count(a)
    } else {
        format!("{} and {}", a.get(), record.unit.count(b))
    })
}

/// The same without columns: `1 019 -> 1 121 VUs, +10.0 % (95 % CI +4.1 to +16.3 %), evidence of a
/// rise, p = 0.002`.
pub(super) fn change_sentence(record: &CompareRecord, change: &Change) -> String {
    let verdict = verdict(change.verdict).to_owned();
    let parts: Vec<String> = (values(record, change).into_iter())
        .chain(extent(change, record.confidence))
        .chain([verdict])
        .chain(known(change))
        .collect();
    parts.join(", ")
}

/// The change of the breakpoint in one line, for the title of a chart: its numbers, its interval,
/// what it is evidence of.
pub(super) fn headline(record: &CompareRecord, comparison: &Comparison) -> String {
    let Some(change) = comparison.breakpoint() else {
        return heading(comparison);
    };
    let parts: Vec<String> = (values(record, change).into_iter())
        .chain(extent(change, record.confidence))
        .chain([verdict(change.verdict).to_owned()])
        .collect();
    format!("breakpoint {}", parts.join(", "))
}

/// What is to be known of a change beyond its numbers and its verdict.
pub(super) fn known(change: &Change) -> impl Iterator<Item = String> {
    let reason = (!change.reason.is_empty()).then(|| change.reason.clone());
    p_text(change)
        .into_iter()
        .chain(would_be_seen(change))
        .chain(reason)
}

/// The change with its interval, and what it is evidence of.
pub(super) fn ratio_text(change: &Change, confidence: f64) -> String {
    let mut text = extent(change, confidence).map_or_else(String::new, |e| format!("{e}   "));
    text.push_str(verdict(change.verdict));
    if change.verdict == ChangeVerdict::CannotSay {
        let _ = write!(text, ": {}", change.reason);
        return text;
    }
    if let Some(p) = p_text(change) {
        let _ = write!(text, " ({p})");
    }
    if let Some(seen) = would_be_seen(change) {
        let _ = write!(text, "; {seen}");
    }
    text
}

/// `+20.0 % (95 % CI +13.4 % to +27.0 %)`, or the end that is known.
pub(super) fn extent(change: &Change, confidence: f64) -> Option<String> {
    let level = percent(confidence);
    let style = Style::of(change);
    let moved = |v| style.text(v);
    match (change.ratio, change.low, change.high) {
        (Some(ratio), Some(low), Some(high)) => Some(format!(
            "{} ({level} % CI {} to {})",
            moved(ratio),
            moved(low),
            moved(high)
        )),
        (None, Some(low), Some(high)) => {
            Some(format!("between {} and {}", moved(low), moved(high)))
        }
        (_, Some(low), None) => Some(format!("at least {low:.2} times ({level} %)")),
        (_, None, Some(high)) => Some(format!("at most {high:.2} times ({level} %)")),
        (_, None, None) => None,
    }
}

pub(super) fn verdict(verdict: ChangeVerdict) -> &'static str {
    match verdict {
        ChangeVerdict::Rise => "evidence of a rise",
        ChangeVerdict::Fall => "evidence of a fall",
        ChangeVerdict::NoEvidence => "no evidence of a change",
        ChangeVerdict::CannotSay => "cannot be compared",
    }
}

/// `p = 0.002`; the tables of the runs reach down to 0.001.
pub(super) fn p_text(change: &Change) -> Option<String> {
    let p = change.p_value?;
    Some(if p <= 0.001 {
        "p <= 0.001".to_owned()
    } else {
        format!("p = {p:.3}")
    })
}

/// What no evidence leaves possible.
pub(super) fn would_be_seen(change: &Change) -> Option<String> {
    let detectable = change.detectable?;
    // The interval is on the scale of logarithms: the fall is the inverse of the rise.
    let (rise, fall) = (1.0 + detectable, (1.0 + detectable).recip());
    let text = match Style::of(change) {
        Style::Percent => format!(
            "a rise of {:.1} % or a fall of {:.1} %",
            100.0 * detectable,
            100.0 * (1.0 - fall)
        ),
        Style::Times => format!("a rise to {rise:.2} times or a fall to {fall:.2} times"),
    };
    (change.verdict == ChangeVerdict::NoEvidence)
        .then(|| format!("{text} would have been detected with 80 % probability"))
}

/// How ratios are told: all of one line, or of one axis, in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// `+10.0 %`.
    Percent,
    /// `2.10 times`.
    Times,
}

impl Style {
    /// That of a change: factors where its estimate or an end of its interval is one.
    pub(super) fn of(change: &Change) -> Self {
        // With one end alone it is told as a factor, whatever it is.
        if change.low.is_some() != change.high.is_some() {
            return Self::Times;
        }
        Self::of_all(
            [change.ratio, change.low, change.high]
                .into_iter()
                .flatten(),
        )
    }

    /// The same of some ratios.
    pub(super) fn of_all(mut ratios: impl Iterator<Item = f64>) -> Self {
        let small = |ratio: f64| (1.0 / AS_FACTOR..AS_FACTOR).contains(&ratio);
        if ratios.all(small) {
            Self::Percent
        } else {
            Self::Times
        }
    }

    /// A ratio as a change: `+10.0 %`, `2.10 times`.
    pub(super) fn text(self, ratio: f64) -> String {
        match self {
            Self::Times => format!("{ratio:.2} times"),
            Self::Percent => {
                let text = format!("{:+.1} %", 100.0 * (ratio - 1.0));
                if text == "-0.0 %" {
                    "+0.0 %".to_owned()
                } else {
                    text
                }
            }
        }
    }
}

pub(super) fn value(metric: ComparedMetric, value: f64) -> String {
    match metric {
        ComparedMetric::Breakpoint | ComparedMetric::Knee => count(value),
        ComparedMetric::Throughput => format!("{value:.1}"),
        ComparedMetric::P50 | ComparedMetric::P99 => units::format_seconds(value),
    }
}

pub(super) fn unit(record: &CompareRecord, metric: ComparedMetric) -> String {
    match metric {
        ComparedMetric::Breakpoint | ComparedMetric::Knee => format!(" {}", record.unit.name()),
        ComparedMetric::Throughput => format!(" {}", record.counted.rate()),
        ComparedMetric::P50 | ComparedMetric::P99 => format!(" ({})", record.step),
    }
}

pub(super) fn count(value: f64) -> String {
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
    let whole = |v: f64| record.unit.count(Level::nearest(v));
    lines.add("per unit", of_one(record, scaling));
    lines.add("contention", contention(scaling));
    lines.add("coherency", coherency(scaling));
    lines.add("scales up to", peak_text(&scaling.peak_size));
    lines.add(
        "forecast",
        forecast_text(record.unit, &scaling.forecast, record.confidence),
    );
    lines.add("model fit", law_text(record, scaling));
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

/// What size 1 carries by the law.
pub(super) fn of_one(record: &CompareRecord, scaling: &Scaling) -> String {
    let carried = bounded(&scaling.lambda, count, record.unit.name());
    format!("{carried} at size 1")
}

/// The part of the work that only one at a time can do.
pub(super) fn contention(scaling: &Scaling) -> String {
    let share = |v: f64| format!("{:.2} %", 100.0 * v);
    bounded(&scaling.contention, share, "")
}

/// What each pair costs to agree.
pub(super) fn coherency(scaling: &Scaling) -> String {
    let share = |v: f64| format!("{:.4} %", 100.0 * v);
    bounded(&scaling.coherency, share, "")
}

/// Whether the sizes follow the law.
pub(super) fn law_text(record: &CompareRecord, scaling: &Scaling) -> String {
    match (scaling.freedom, scaling.fits_p) {
        (0, _) => "three sizes fit three parameters exactly: the data cannot test the scaling law \
            that the forecast depends on"
            .to_owned(),
        (_, Some(p)) if p < 1.0 - record.confidence => format!(
            "the sizes do not follow the scaling law (p = {p:.3}): do not rely on the forecast"
        ),
        (_, Some(p)) => format!("the sizes are consistent with the scaling law (p = {p:.2})"),
        (_, None) => "the scaling law was not tested".to_owned(),
    }
}

pub(super) fn size(size: f64) -> String {
    let text = format!("{size:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn bounded(bounds: &Bounds, text: impl Fn(f64) -> String, unit: &str) -> String {
    let estimate = bounds.estimate.map_or_else(|| "-".to_owned(), &text);
    let high = bounds.high.map_or_else(|| "no limit".to_owned(), &text);
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
            "size {estimate:.1} ({:.1} – {high:.1}); beyond that, adding more makes it worse",
            peak.low
        ),
        (Some(estimate), None) => format!(
            "size {estimate:.1} (at least {:.1}; there may be no limit)",
            peak.low
        ),
        (None, _) => format!("no limit seen; at least size {:.1}", peak.low),
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

/// A run's name without the folders that all runs lie in; in full it stands on the first screen.
pub(super) fn short_name<'a>(record: &CompareRecord, name: &'a str) -> &'a str {
    let folders = |n: &str| n.rfind('/').map_or(0, |at| at + 1);
    let others = record.runs.iter().map(|r| &r.name[..folders(&r.name)]);
    let shared = others.fold(&name[..folders(name)], |shared, other| {
        let same = shared.split_inclusive('/').zip(other.split_inclusive('/'));
        let same = same.take_while(|(a, b)| a == b);
        &shared[..same.map(|(a, _)| a.len()).sum()]
    });
    &name[shared.len()..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{self, Design, Named};
    use crate::samples;

    #[test]
    fn a_table_names_a_run_by_what_tells_it_from_the_others() {
        let names = ["reports/a/1", "reports/b/1", "reports/b/2"];
        let runs = names.map(|name| Named {
            name: name.to_owned(),
            record: samples::found(),
            size: None,
        });
        let made = String::new();
        let record = compare::compare(&runs, &Design::EachWithFirst, &[], made).unwrap();
        assert_eq!(short_name(&record, "reports/b/2"), "b/2");
        assert_eq!(short_name(&record, "/elsewhere/2"), "/elsewhere/2");
        assert_eq!(short_name(&record, "é"), "é");
    }

    fn change(ratio: f64, low: f64, high: f64) -> Change {
        Change {
            metric: ComparedMetric::Breakpoint,
            base: None,
            candidate: None,
            levels: None,
            ratio: Some(ratio),
            low: Some(low),
            high: Some(high),
            p_value: None,
            detectable: Some(0.25),
            pairs: 1,
            verdict: ChangeVerdict::NoEvidence,
            reason: String::new(),
        }
    }

    #[test]
    fn ratios_and_percentages_do_not_stand_in_one_line() {
        let wide = extent(&change(2.09, 1.923, 2.27), 0.95).unwrap();
        assert_eq!(wide, "2.09 times (95 % CI 1.92 times to 2.27 times)");
        let narrow = extent(&change(1.2, 0.9, 1.5), 0.95).unwrap();
        assert_eq!(narrow, "+20.0 % (95 % CI -10.0 % to +50.0 %)");
        // The rest of the line is told in the same way.
        let text = ratio_text(&change(1.2, 0.9, 1.5), 0.95);
        assert!(text.contains("a rise of 25.0 % or "), "{text}");
        let text = ratio_text(&change(1.2, 0.9, 2.5), 0.95);
        assert!(text.contains("a rise to 1.25 times or "), "{text}");
        assert!(
            !text.replace("95 %", "").replace("80 %", "").contains('%'),
            "{text}"
        );
    }

    #[test]
    fn what_could_have_been_seen_is_told_of_a_fall_too() {
        let seen = would_be_seen(&change(0.9, 0.7, 1.2)).unwrap();
        assert_eq!(
            seen,
            "a rise of 25.0 % or a fall of 20.0 % would have been detected with 80 % probability"
        );
        let seen = would_be_seen(&change(1.0, 0.4, 2.5)).unwrap();
        assert_eq!(
            seen,
            "a rise to 1.25 times or a fall to 0.80 times would have been detected with 80 % \
             probability"
        );
        let evidence = Change {
            verdict: ChangeVerdict::Rise,
            ..change(1.2, 1.1, 1.3)
        };
        assert_eq!(would_be_seen(&evidence), None);
    }
}
