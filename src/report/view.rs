//! What the reports read out of a record: its metric, its words, the range near the crossing.

use crate::measure::Level;
use crate::measure::{FailureKind, StepTable};
use crate::record::{
    Answer, Ending, LoadGate, ObjectiveRecord, PlanRecord, ProbeRecord, RampRecord, RunRecord,
    StepRecord,
};
use crate::slo::Verdict;
use crate::slo::{Objective, Slo};
use crate::units;

/// The latency that the charts show.
pub(super) struct MainMetric {
    /// Its name with the step: `p99(answer)`.
    pub(super) name: String,
    /// The objective behind it; `None` when the SLO has none on latency.
    pub(super) objective: Option<Objective>,
    /// The index of its step in every probe.
    pub(super) step: usize,
}

impl MainMetric {
    /// The first latency objective of the SLO, else p99 of the main step.
    pub(super) fn of(slo: &[String], plan: &PlanRecord) -> Self {
        let steps = step_names(plan);
        let objective = objectives(slo)
            .into_iter()
            .find(|o| o.latency_limit().is_some());
        match objective {
            Some(o) => Self {
                name: o.metric_name(&steps),
                step: steps.index(o.step()).unwrap_or(steps.main()),
                objective: Some(o),
            },
            None => Self {
                name: p99_name(plan),
                step: steps.main(),
                objective: None,
            },
        }
    }

    /// What a probe showed, seconds; `None` when nothing completed.
    pub(super) fn observed(&self, probe: &ProbeRecord) -> Option<f64> {
        let value = match &self.objective {
            Some(o) => probe
                .objectives
                .iter()
                .find(|r| r.objective == o.text)
                .and_then(|r| r.observed),
            None => self.quantile(probe, 0.99),
        };
        value.filter(|v| v.is_finite() && *v > 0.0)
    }

    /// The quantile and its limit, seconds, where it is a quantile of this step: other metrics are
    /// not kept for every second.
    pub(super) fn quantile_of(&self, step: usize) -> Option<(f64, f64)> {
        let objective = self.objective.as_ref().filter(|_| self.step == step)?;
        Some((objective.quantile()?, objective.bound))
    }

    /// A quantile of its step in a probe.
    pub(super) fn quantile(&self, probe: &ProbeRecord, q: f64) -> Option<f64> {
        probe.steps.get(self.step)?.latency.quantile_s(q)
    }
}

/// `p99(answer)`, of the main step.
pub(super) fn p99_name(plan: &PlanRecord) -> String {
    let steps = step_names(plan);
    format!("p99({})", steps.name(steps.main()))
}

/// The label of a latency limit in a chart: `SLO 2 s`.
pub(super) fn slo_label(bound_s: f64) -> String {
    let time = units::format_seconds(bound_s).replace(".00 ", " ");
    format!("SLO {time}")
}

/// The objectives of a record, those left out that this version cannot read.
pub(super) fn objectives(slo: &[String]) -> Vec<Objective> {
    slo.iter()
        .filter_map(|text| Slo::parse([text]).ok())
        .flat_map(|slo| slo.objectives().to_vec())
        .collect()
}

/// Whether an objective is on the share of failed cycles, which a chart shows.
pub(super) fn is_of_failed_cycles(objective: &str) -> bool {
    let parsed = objectives(std::slice::from_ref(&objective.to_owned()));
    parsed.iter().any(Objective::is_of_failed_cycles)
}

/// Whether failed cycles alone are what the SLO asks for: reports show them first then.
pub(super) fn errors_first(slo: &[String]) -> bool {
    !slo.is_empty() && slo.iter().all(|text| is_of_failed_cycles(text))
}

/// The steps' names.
pub(super) fn step_names(plan: &PlanRecord) -> StepTable {
    StepTable::of_record(&plan.steps, plan.main_step)
}

/// Failures that the target is to blame for.
pub(super) fn failed(step: &StepRecord) -> u64 {
    step.failed
        .iter()
        .filter(|(kind, _)| !kind.is_generator_fault())
        .map(|(_, n)| n)
        .sum()
}

/// Failures of one kind.
pub(super) fn failed_by(step: &StepRecord, kind: FailureKind) -> u64 {
    step.failed
        .iter()
        .filter(|(k, _)| *k == kind)
        .map(|(_, n)| n)
        .sum()
}

/// Failed cycles of all that ended but were not shed; `None` without any.
pub(super) fn error_ratio(probe: &ProbeRecord) -> Option<f64> {
    errors_of(probe.overall()?)
}

/// Shed cycles of all that ended; `None` without any.
pub(super) fn shed_ratio(probe: &ProbeRecord) -> Option<f64> {
    sheds_of(probe.overall()?)
}

/// Failed ones of all that ended but were not shed; `None` without any.
pub(super) fn errors_of(step: &StepRecord) -> Option<f64> {
    ratio(failed(step), failed(step) + step.completed)
}

/// Shed ones of all that ended; `None` without any.
pub(super) fn sheds_of(step: &StepRecord) -> Option<f64> {
    ratio(step.shed, step.shed + failed(step) + step.completed)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// When a probe ended, seconds of engine time.
pub(super) fn end_s(probe: &ProbeRecord) -> f64 {
    probe.start_s + probe.ramp_s + probe.settle_s + probe.hold_s
}

/// Seconds spent in holds, settles and ramps.
pub(super) fn under_load_s(record: &RunRecord) -> f64 {
    record
        .probes
        .iter()
        .map(|p| p.ramp_s + p.settle_s + p.hold_s)
        .sum()
}

/// How long the run took from its beginning to the end of its last hold, beside what was told
/// before it: `14 min 3 s of at most 25 min 42 s`; `None` where nothing was told or measured.
pub(super) fn whole_time(record: &RunRecord) -> Option<String> {
    took_of(&record.plan, end_s(record.probes.last()?))
}

/// The same of a ramp, to the end of its last stage.
pub(super) fn whole_time_of_ramp(record: &RampRecord) -> Option<String> {
    let last = record.stages.iter().rev().find_map(|s| s.seconds.last())?;
    took_of(&record.plan, last.seen.t_s)
}

fn took_of(plan: &PlanRecord, took_s: f64) -> Option<String> {
    let longest_s = plan.longest_s?;
    Some(format!(
        "{} of at most {}",
        span(took_s),
        span(longest_s.ceil())
    ))
}

/// A level of the run with its unit.
pub(super) fn level(record: &RunRecord, level: u32) -> String {
    record.plan.unit.count(Level(level))
}

/// `95 % CI 1 150 – 1 215`; `None` without an interval.
pub(super) fn interval(answer: &Answer) -> Option<String> {
    let level = format!("{} % CI", percent(answer.confidence));
    let low = answer.ci_low.map(|v| units::format_count(v.into()));
    let high = answer.ci_high.map(|v| units::format_count(v.into()));
    match (low, high) {
        (Some(low), Some(high)) => Some(format!("{level} {low} – {high}")),
        (Some(low), None) => Some(format!("{level} at least {low}")),
        (None, Some(high)) => Some(format!("{level} at most {high}")),
        (None, None) => None,
    }
}

/// Where the breakpoint lies, in words: `between 59 and 83 VUs`.
pub(super) fn between(record: &RunRecord) -> String {
    let unit = record.plan.unit.name();
    match (record.answer.ci_low, record.answer.ci_high) {
        (Some(low), Some(high)) => {
            let low = units::format_count(low.into());
            format!("between {low} and {}", level(record, high))
        }
        (Some(low), None) => format!("at least {}", level(record, low)),
        (None, Some(high)) => format!("at most {}", level(record, high)),
        (None, None) => format!("in an unknown range of {unit}"),
    }
}

/// How much more than required the target carries: `18 % above the 1 000 VUs required (95 % CI
/// +15 % to +22 %)`.
pub(super) fn headroom(record: &RunRecord, gate: &LoadGate) -> Option<String> {
    let headroom = gate.headroom?;
    let required = level(record, gate.required);
    let side = |share: f64| {
        let side = if share < 0.0 { "below" } else { "above" };
        format!(
            "{:.0} % {side} the {required} required",
            share.abs() * 100.0
        )
    };
    let signed = |share: f64| format!("{:+.0} %", share * 100.0);
    let Some(estimate) = headroom.estimate else {
        return match (headroom.low, headroom.high) {
            (Some(low), Some(high)) => Some(format!(
                "{} to {} relative to the {required} required",
                signed(low),
                signed(high)
            )),
            (low, _) => Some(format!("at least {}", side(low?))),
        };
    };
    let text = side(estimate);
    let confidence = percent(record.answer.confidence);
    Some(match (headroom.low, headroom.high) {
        (Some(low), Some(high)) => format!(
            "{text} ({confidence} % CI {} to {})",
            signed(low),
            signed(high)
        ),
        (Some(low), None) => format!("{text} ({confidence} % CI at least {})", signed(low)),
        (None, _) => text,
    })
}

/// A number with at most two decimals.
pub(super) fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `2026-11-22 17:44 UTC` of RFC 3339; what is not of that form stays as it is.
pub(super) fn day_and_time(rfc3339: &str) -> String {
    match (rfc3339.get(..10), rfc3339.get(11..16)) {
        (Some(day), Some(time)) if rfc3339.ends_with('Z') && rfc3339.starts_with('2') => {
            format!("{day} {time} UTC")
        }
        _ => rfc3339.to_owned(),
    }
}

/// The last line of a report.
pub(super) fn made_by(version: &str) -> String {
    format!(
        "Measured by breakpoint {version}. A probe is one visit to one level: it settles, then \
         holds. The interval comes from the spread between probes, not between requests. Missing \
         data never counts as a pass."
    )
}

/// A share in percent with at most two decimals.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The answer in one line, for the title of a chart.
pub(crate) fn headline(record: &RunRecord) -> String {
    let a = &record.answer;
    let number = a.breakpoint.map(|b| level(record, b));
    let interval = interval(a).map(|i| format!(" ({i})")).unwrap_or_default();
    match (a.ending, number) {
        (Ending::Found, Some(n)) => format!("breakpoint {n}{interval}"),
        (Ending::Found, None) => format!("breakpoint found{interval}"),
        (Ending::Bracketed, _) => format!(
            "breakpoint {} ({} % CI)",
            between(record),
            percent(a.confidence)
        ),
        (Ending::NeverBroke, _) => format!(
            "did not break up to {}",
            level(record, record.plan.max_level)
        ),
        (Ending::BrokeAtMinimum, _) => {
            format!(
                "broke at the minimum, {}",
                level(record, record.plan.min_level)
            )
        }
        (Ending::TimeDriven, _) => "breaks over time, not at a level".to_owned(),
        (Ending::Hysteresis, Some(n)) => {
            format!("hysteresis, {n}{interval} after an overload")
        }
        (Ending::Hysteresis, None) => "hysteresis".to_owned(),
        (Ending::Bimodal, _) => "bimodal, two breakpoints".to_owned(),
        (Ending::Undecided, None) => format!("undecided{interval}"),
        (Ending::Undecided, Some(n)) => format!("undecided, near {n}{interval}"),
        (Ending::GeneratorLimited, _) => "undecided, the generator was the bottleneck".to_owned(),
        (Ending::DataUsedUp, None) => "a feeder's rows were used up before an answer".to_owned(),
        (Ending::DataUsedUp, Some(n)) => {
            format!("a feeder's rows were used up, near {n}{interval}")
        }
        (Ending::TargetDown, _) => "no answer, the target was down".to_owned(),
        (Ending::Interrupted, None) => "interrupted before an answer".to_owned(),
        (Ending::Interrupted, Some(n)) => format!("interrupted, near {n}{interval}"),
        (Ending::Aborted, None) => "aborted before an answer".to_owned(),
        (Ending::Aborted, Some(n)) => format!("aborted, near {n}{interval}"),
    }
}

/// The levels near the crossing when they would be a lump on the whole range; `None` when nothing
/// is gained.
pub(super) fn near_crossing(record: &RunRecord) -> Option<(f64, f64)> {
    let levels: Vec<f64> = record.probes.iter().map(|p| p.level.0.into()).collect();
    let all = levels.iter().copied().fold(0.0, f64::max);
    let mut near: Vec<f64> = [record.answer.ci_low, record.answer.ci_high]
        .into_iter()
        .flatten()
        .map(f64::from)
        .collect();
    let &[low, high] = near.as_slice() else {
        return None;
    };
    // Visits within twice the interval's width of it belong to the picture.
    let reach = 2.0 * (high - low).max(high * 0.02);
    near.extend(
        levels
            .iter()
            .filter(|l| (low - reach..=high + reach).contains(*l)),
    );
    let low = near.iter().copied().fold(f64::INFINITY, f64::min);
    let high = near.iter().copied().fold(0.0, f64::max);
    let pad = (high - low).max(2.0) * 0.08;
    let range = ((low - pad).max(0.0), high + pad);
    let gained = near.len() >= 2 + 5 && range.1 - range.0 < 0.45 * all;
    gained.then_some(range)
}

/// Whole seconds, or minutes above two of them.
pub(crate) fn span(seconds: f64) -> String {
    if seconds < 120.0 {
        format!("{seconds:.0} s")
    } else {
        let minutes = (seconds / 60.0).floor();
        match (seconds - minutes * 60.0).round() {
            rest if rest >= 1.0 => format!("{minutes:.0} min {rest:.0} s"),
            _ => format!("{minutes:.0} min"),
        }
    }
}

/// The share of failed cycles and, when there were any, of sheds: `errors 0.4 %`; `None` when no
/// cycle ended.
pub(crate) fn error_text(cycle: Option<&StepRecord>) -> Option<String> {
    let errors = format!("errors {} %", percent(errors_of(cycle?)?));
    Some(match sheds_of(cycle?).filter(|s| *s > 0.0) {
        Some(shed) => format!("{errors}  shed {} %", percent(shed)),
        None => errors,
    })
}

/// The part of an objective before its comparison.
fn metric_text(objective: &str) -> &str {
    let end = objective
        .find(['<', '>', '=', ':'])
        .or_else(|| {
            [".lt.", ".le.", ".gt.", ".ge."]
                .iter()
                .find_map(|op| objective.find(op))
        })
        .unwrap_or(objective.len());
    objective[..end].trim()
}

/// What was seen of the first objective (or the first that decided the verdict):
/// `p99(answer) 1.82 s`.
pub(crate) fn observed_text(objectives: &[ObjectiveRecord], verdict: Verdict) -> Option<String> {
    let shown = objectives
        .iter()
        .filter(|o| o.verdict == verdict)
        .find(|o| Slo::parse([&o.objective]).is_ok())
        .or(objectives.first())?;
    Some(seen_text(shown))
}

/// What was seen of one objective: `p99(answer) 1.82 s`.
pub(super) fn seen_text(objective: &ObjectiveRecord) -> String {
    let name = metric_text(&objective.objective);
    let value = match (objective.observed, Slo::parse([&objective.objective]).ok()) {
        (None, _) => "no data".to_owned(),
        (Some(v), Some(slo)) => slo.objectives()[0].format_value(v),
        (Some(v), None) => format!("{v}"),
    };
    format!("{name} {value}")
}
