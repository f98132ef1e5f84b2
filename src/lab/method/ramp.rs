//! A linear ramp with a threshold that aborts it, as users of k6 do: the answer is how many VUs ran
//! when it was crossed.
//!
//! Its user is taken to know the order of magnitude: the ramp goes to twice the truth in 20
//! minutes.

use super::super::system::System;
use super::super::trial::{Bench, Trial};
use crate::measure::Level;

/// What the threshold looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Threshold {
    /// The last ten seconds.
    Window,
    /// Everything since the start, as k6 itself does.
    Cumulative,
}

const RAMP_S: u32 = 1_200;
const WINDOW_S: u32 = 10;

pub(super) fn search(
    bench: &mut Bench<'_>,
    system: &System,
    truth: Option<u32>,
    threshold: Threshold,
) -> Option<Level> {
    let top = truth.map_or(system.max.get(), |t| {
        t.saturating_mul(2).min(system.max.get())
    });
    let mut seen = Trial::new(system);
    for second in 1..=RAMP_S {
        let level = Level::nearest(f64::from(top) * f64::from(second) / f64::from(RAMP_S));
        bench.ask_for(level);
        if let Some(window) = bench.window() {
            seen.add(&window);
        }
        if second % WINDOW_S != 0 {
            continue;
        }
        // A window in which nothing completed crosses no threshold.
        if seen.latency_s().is_some() && !seen.passes() {
            return Some(level);
        }
        if threshold == Threshold::Window {
            seen = Trial::new(system);
        }
    }
    None
}
