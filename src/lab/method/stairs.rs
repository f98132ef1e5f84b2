//! Stairs: 2.5 % more VUs every minute until a step breaks; the answer is the step before.
//!
//! From one VU that takes hours, so its user is taken to know where to begin: it starts at 60 % of
//! the truth.

use super::super::system::System;
use super::super::trial::Bench;
use crate::measure::Level;

const STEP_S: u32 = 60;
const GROWTH: f64 = 1.025;
const START: f64 = 0.6;

pub(super) fn search(bench: &mut Bench<'_>, system: &System, truth: Option<u32>) -> Option<Level> {
    let mut level = Level::nearest(START * f64::from(truth.unwrap_or(system.max.get())));
    let mut held = None;
    loop {
        bench.go_to(level, 0);
        if !bench.measure(STEP_S).passes() {
            return held;
        }
        held = Some(level);
        if level >= system.max {
            return held;
        }
        let next = Level::nearest(GROWTH * f64::from(level.get()));
        level = next.max(Level(level.get() + 1)).min(system.max);
    }
}
