//! From a probe and its judgement to its record.

use std::time::Duration;

use crate::measure::{
    FailureCounts, FailureKind, Histogram, Level, Reading, Second, StepNames, StepWindow,
};
use crate::probe::Probe;
use crate::record::{LimitingResource, ProbeRecord, SecondRecord, StepRecord, StepSecond};
use crate::search::Order;
use crate::slo::Judgement;

/// What a record is made of.
pub(super) struct Parts<'a> {
    pub(super) index: usize,
    pub(super) order: &'a Order,
    pub(super) from: Level,
    /// Engine time at which the search began.
    pub(super) began: Duration,
    pub(super) probe: &'a Probe,
    pub(super) judgement: &'a Judgement,
    pub(super) steps: &'a StepNames,
    pub(super) causes: Vec<LimitingResource>,
    pub(super) estimate: Option<(f64, f64, f64)>,
}

pub(super) fn probe_record(parts: &Parts<'_>) -> ProbeRecord {
    let Parts { probe, steps, .. } = *parts;
    let m = &probe.measurement;
    let second = |s: &Second, hold: bool| second_record(s, hold, steps, parts.began);
    ProbeRecord {
        index: parts.index,
        purpose: parts.order.purpose,
        level: m.level,
        arrived_from: parts.from,
        start_s: rounded(probe.start.saturating_sub(parts.began).as_secs_f64()),
        ramp_s: rounded(probe.ramp_s),
        settle_s: rounded(probe.settle_s),
        hold_s: rounded(m.hold_s()),
        settled: m.settled,
        end: probe.hold_end,
        verdict: parts.judgement.verdict,
        reason: parts.judgement.reason.clone(),
        objectives: parts
            .judgement
            .outcomes
            .iter()
            .map(|o| o.record.clone())
            .collect(),
        throughput_per_s: m.throughput(steps.cycle()),
        steps: steps
            .iter()
            .enumerate()
            .map(|(i, name)| step_record(name, m.step_total(i)))
            .collect(),
        seconds: probe
            .before
            .iter()
            .map(|s| second(s, false))
            .chain(m.hold.iter().map(|s| second(s, true)))
            .collect(),
        limiting_resource: parts.causes.first().cloned(),
        other_causes: parts.causes.iter().skip(1).cloned().collect(),
        estimate: parts.estimate,
    }
}

/// Totals of one step.
pub(super) fn step_record(name: &str, total: StepWindow) -> StepRecord {
    StepRecord {
        step: name.to_owned(),
        completed: total.completed(),
        failed: kinds(&total.failed),
        shed: total.shed,
        in_flight: total.in_flight.count(),
        oldest_in_flight_s: total.in_flight.max_s(),
        latency: total.latency,
    }
}

fn kinds(failed: &FailureCounts) -> Vec<(FailureKind, u64)> {
    failed.iter().filter(|(_, n)| *n > 0).collect()
}

/// One second; `began` is the engine time that its own time counts from.
pub(super) fn second_record(
    second: &Second,
    hold: bool,
    steps: &StepNames,
    began: Duration,
) -> SecondRecord {
    let window = &second.window;
    let end = (window.start + window.span).saturating_sub(began);
    let step = |w: &StepWindow| StepSecond {
        completed: w.completed(),
        failed: w.failed.iter().map(|(_, n)| n).sum(),
        shed: w.shed,
        in_flight: w.in_flight.count(),
        oldest_in_flight_s: w.in_flight.max_s(),
        p50_s: w.latency.quantile_s(0.5),
        p99_s: w.latency.quantile_s(0.99),
    };
    SecondRecord {
        t_s: rounded(end.as_secs_f64()),
        span_s: rounded(window.span.as_secs_f64()),
        hold,
        vus: window.vus,
        steps: window.steps.iter().map(step).collect(),
        main_latency: if hold {
            window.steps[steps.main()].latency.clone()
        } else {
            Histogram::default()
        },
        generator: window.generator,
        readings: second.readings.iter().map(short).collect(),
    }
}

/// A reading to six significant digits: more is noise, and most of the file's size.
fn short(reading: &Reading) -> Reading {
    let value = reading.value.map(|v| {
        if v == 0.0 || !v.is_finite() {
            return v;
        }
        let scale = 10_f64.powf(5.0 - v.abs().log10().floor());
        (v * scale).round() / scale
    });
    Reading {
        value,
        ..reading.clone()
    }
}

/// To a millisecond: what is below that in a time axis is noise in the files.
pub(super) fn rounded(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}
