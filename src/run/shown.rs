//! What progress shows of a run.

use std::time::Duration;

use crate::event::{Phase, ShownLatency, ShownShare, Tick};
use crate::measure::{Second, StepTable};
use crate::slo::{Metric, Slo};

/// The latency that progress shows: that of the first objective on a latency quantile, else p99 of
/// the main step.
pub fn shown_latency(slo: &Slo, steps: &StepTable) -> ShownLatency {
    let mut objectives = slo.objectives().iter();
    let shown = objectives.find_map(|o| {
        Some(ShownLatency {
            name: o.metric_name(steps),
            q: o.quantile()?,
            step: steps.index(o.step())?,
            limit_s: Some(o.bound),
        })
    });
    shown.unwrap_or_else(|| ShownLatency {
        name: format!("p99({})", steps.name(steps.main())),
        q: 0.99,
        step: steps.main(),
        limit_s: None,
    })
}

/// The share that progress shows first: that of the first objective, where none is on a latency.
pub fn shown_share(slo: &Slo) -> Option<ShownShare> {
    let all = slo.objectives();
    if all.iter().any(|o| o.latency_limit().is_some()) {
        return None;
    }
    let share = |of_sheds, step: &Option<String>, bound| ShownShare {
        of_sheds,
        limit: step.is_none().then_some(bound),
    };
    all.iter().find_map(|o| match &o.metric {
        Metric::Errors { step } => Some(share(false, step, o.bound)),
        Metric::Shed { step } => Some(share(true, step, o.bound)),
        _ => None,
    })
}

/// Progress as one second shows it.
pub(super) fn tick(
    second: &Second,
    steps: &StepTable,
    latency: &ShownLatency,
    began: Duration,
    phase: Phase,
) -> Tick {
    let window = &second.window;
    let cycle = window.step(steps.whole());
    let end = window.start + window.span;
    Tick {
        elapsed_s: end.saturating_sub(began).as_secs_f64(),
        level: window.level,
        vus: window.vus,
        phase,
        span_s: window.span.as_secs_f64(),
        completed: cycle.completed(),
        failed: cycle.failed.of_target(),
        shed: cycle.shed,
        latency_s: window.step(latency.step).latency.quantile_s(latency.q),
        estimate: None,
        readings: second.readings.clone(),
    }
}
