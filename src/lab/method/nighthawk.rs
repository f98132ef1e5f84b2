//! Nighthawk's adaptive load controller with its exponential search: doubling until a step breaks,
//! bisection to 1 %, and a testing stage at the middle of the last bracket, which is the answer and
//! which was not measured before.

use super::super::system::System;
use super::super::trial::Bench;
use super::{halfway, near};
use crate::measure::Level;

/// Seconds until the users that start at once have spread over their think times.
const START_S: u32 = 3;
const STEP_S: u32 = 10;
const TESTING_S: u32 = 30;

pub(super) fn search(bench: &mut Bench<'_>, system: &System) -> Option<Level> {
    let mut low = Level::ZERO;
    let mut level = system.start;
    let mut high = loop {
        if !passes(bench, level) {
            break level;
        }
        low = level;
        if level >= system.max {
            return Some(level);
        }
        level = Level(level.get().saturating_mul(2)).min(system.max);
    };
    if low == Level::ZERO {
        // It calls a search doomed whose first step breaks.
        return None;
    }
    while !near(low, high) {
        let middle = halfway(low, high);
        if passes(bench, middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    let found = halfway(low, high);
    bench.drain();
    bench.go_to(found, START_S);
    // The testing stage is reported; whether it passes decides nothing.
    bench.measure(TESTING_S);
    Some(found)
}

/// Every step is an execution of its own: the load before it has ended, its users start at once.
fn passes(bench: &mut Bench<'_>, level: Level) -> bool {
    bench.drain();
    bench.go_to(level, START_S);
    bench.measure(STEP_S).passes()
}
