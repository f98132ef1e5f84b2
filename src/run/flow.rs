//! What the search learns of a probe beside its verdict: moments of latencies, and its seconds.

use crate::measure::{Histogram, StepTable};
use crate::probe::Probe;
use crate::search::{Flow, Moments};

/// The first two moments of latencies; `None` without any.
pub(super) fn moments(latency: &Histogram) -> Option<Moments> {
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    let sums = latency
        .iter()
        .fold((0.0, 0.0, 0.0), |(n, one, two), (s, k)| {
            let k = k as f64;
            (n + k, one + k * s, two + k * s * s)
        });
    (sums.0 > 0.0).then(|| Moments {
        n: sums.0,
        mean_s: sums.1 / sums.0,
        mean_square: sums.2 / sums.0,
    })
}

/// A probe's seconds, as the search compares them.
pub(super) fn flow(probe: &Probe, steps: &StepTable) -> Vec<Flow> {
    let seconds = probe.before.iter().chain(&probe.measurement.hold);
    let mut passed = 0.0;
    let mut out = Vec::new();
    for window in seconds.map(|s| &s.window) {
        let cycle = window.step(steps.whole());
        let main = window.step(steps.main());
        #[expect(clippy::cast_precision_loss, reason = "counts per second")]
        out.push(Flow {
            at_level: passed >= probe.ramp_s - 1e-6,
            completed: cycle.completed() as f64,
            failed: cycle.failed.of_target() as f64,
            in_flight: main.in_flight.count() as f64,
            waited_s: main.latency.mean_s().unwrap_or(0.0) * main.completed() as f64,
        });
        passed += window.span.as_secs_f64();
    }
    out
}
