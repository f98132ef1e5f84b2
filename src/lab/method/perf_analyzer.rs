//! `perf_analyzer --binary-search --latency-threshold`: a level counts when three windows in a row
//! agree within 10 % in throughput and latency; one that never gets stable counts as one that
//! broke.

use super::super::trial::Bench;
use super::{halfway, near};
use crate::measure::Level;

/// Its default `--measurement-interval`.
const WINDOW_S: u32 = 5;
/// Its default `--max-trials`.
const MOST_WINDOWS: usize = 10;
/// Its default `--stability-percentage`.
const STABILITY: f64 = 1.10;

pub(super) fn search(bench: &mut Bench<'_>, top: Level) -> Option<Level> {
    let (mut low, mut high) = (Level::ZERO, top);
    while !near(low, high) {
        let level = halfway(low, high);
        bench.go_to(level, 0);
        if is_stable_and_passes(bench) {
            low = level;
        } else {
            high = level;
        }
    }
    (low > Level::ZERO).then_some(low)
}

fn is_stable_and_passes(bench: &mut Bench<'_>) -> bool {
    let mut seen: Vec<(f64, f64, bool)> = Vec::new();
    for _ in 0..MOST_WINDOWS {
        let trial = bench.measure(WINDOW_S);
        let latency = trial.latency_s().unwrap_or(f64::INFINITY);
        seen.push((trial.throughput(), latency, trial.passes()));
        let [.., a, b, c] = seen.as_slice() else {
            continue;
        };
        if agree([a.0, b.0, c.0]) && agree([a.1, b.1, c.1]) {
            return a.2 && b.2 && c.2;
        }
    }
    false
}

fn agree(values: [f64; 3]) -> bool {
    let low = values.into_iter().fold(f64::INFINITY, f64::min);
    let high = values.into_iter().fold(0.0, f64::max);
    low > 0.0 && high / low <= STABILITY
}
