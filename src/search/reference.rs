//! Which levels are held after the search, so that runs can be compared there.
//!
//! The visits of two searches lie where each of them looked, and those far below the breakpoint are
//! too short for a tail. After the search two levels are held that searches of about the same
//! breakpoint share: doublings of the start level. Two, for the breakpoints of two runs may lie on
//! either side of a power of two: runs whose breakpoints are less than two times apart have at
//! least one of them in common.

use super::{Conclusion, Order, Search, SearchSpec};
use crate::measure::Level;
use crate::record::{Ending, Purpose};

/// Reference levels are at most this share of the breakpoint's lower end: a line hardly forms
/// there, so that seconds tell of each other's latencies little.
const AT_MOST: f64 = 0.6;
/// The same for a load that the target must carry: it is what its user wants to know, though a line
/// may form.
const REQUIRED_AT_MOST: f64 = 0.9;
/// How many levels are held.
const LEVELS: usize = 2;
/// A hold, as a share of the time that the search took: all of it comes on top. Rare pauses want
/// time, not requests.
const OF_SEARCH: f64 = 0.1;
/// A hold shorter than this says nothing of a tail, seconds; a search too short for one is a first
/// look.
const SHORTEST_S: f64 = 30.0;
/// A longer hold is not worth its time, seconds.
const LONGEST_S: f64 = 90.0;

/// An interval so many times as wide as asked leaves no time for holds below it.
const TWICE: f64 = 2.0;

impl Search {
    /// The holds after a search that ended so after `searched_s` seconds, the highest level first;
    /// none where there is no breakpoint to be below, or too little time.
    pub fn references(
        &self,
        conclusion: &Conclusion,
        searched_s: f64,
        required: Option<Level>,
    ) -> Vec<Order> {
        let Some(longest_s) = longest_s(&self.spec) else {
            return Vec::new();
        };
        let hold_s = (OF_SEARCH * searched_s).clamp(SHORTEST_S, longest_s);
        let below = match (conclusion.ending, &conclusion.estimate) {
            // An interval that is still twice as wide as asked is worth the time more.
            (Ending::Found, Some(estimate))
                if estimate.half_width() <= TWICE * self.spec.precision =>
            {
                estimate.low
            }
            (Ending::NeverBroke, _) => f64::from(self.spec.max.get()),
            _ => return Vec::new(),
        };
        let levels = levels(&self.spec, below, required);
        let order = |level| self.reference(level, hold_s);
        levels.into_iter().map(order).collect()
    }

    fn reference(&self, level: Level, hold_s: f64) -> Order {
        let cycle_s = self.cycle_s();
        Order {
            level,
            purpose: Purpose::Reference,
            hold_s: hold_s.ceil(),
            from_rest: false,
            settle_min_s: (1.5 * cycle_s).max(3.0).ceil(),
            settle_cycles: 1.5,
            within_s: f64::INFINITY,
        }
    }
}

impl SearchSpec {
    /// The longest time that the holds after the search may take with all that is around them,
    /// seconds; they come on top of the budget.
    pub fn references_s(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "two")]
        let holds = LEVELS as f64;
        longest_s(self).map_or(0.0, |hold_s| {
            holds * (hold_s + self.settle_max.as_secs_f64())
        })
    }
}

/// The longest hold, seconds; `None` where there is no time for one.
fn longest_s(spec: &SearchSpec) -> Option<f64> {
    let of_budget = OF_SEARCH * spec.budget.as_secs_f64();
    let longest_s = LONGEST_S.min(of_budget);
    (spec.reference_holds && longest_s >= SHORTEST_S).then_some(longest_s)
}

/// The levels to hold below a breakpoint, the highest first.
fn levels(spec: &SearchSpec, below: f64, required: Option<Level>) -> Vec<Level> {
    let start = f64::from(spec.start.max(spec.min).get());
    let highest = (AT_MOST * below / start).log2().floor();
    let doublings = [0.0, 1.0]
        .map(|down| Level::nearest(start * (highest - down).exp2()))
        .into_iter()
        .filter(|level| f64::from(level.get()) <= AT_MOST * below);
    let required = required.filter(|r| f64::from(r.get()) <= REQUIRED_AT_MOST * below);
    let mut levels: Vec<Level> = (required.into_iter().chain(doublings))
        .filter(|level| (spec.min..=spec.max).contains(level))
        .collect();
    levels.dedup();
    levels.truncate(LEVELS);
    levels.sort_by(|a, b| b.cmp(a));
    levels
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(spec: &SearchSpec, below: f64, required: Option<u32>) -> Vec<u32> {
        let levels = levels(spec, below, required.map(Level));
        levels.into_iter().map(Level::get).collect()
    }

    #[test]
    fn two_doublings_of_the_start_level_lie_clearly_below_the_breakpoint() {
        let spec = SearchSpec::default();
        assert_eq!(at(&spec, 1_040.0, None), [320, 160]);
        assert_eq!(at(&spec, 88.0, None), [40, 20]);
        // Below the start level it goes on downward.
        assert_eq!(at(&spec, 12.0, None), [5, 3]);
        assert_eq!(at(&spec, 2.0, None), [1]);
        assert_eq!(at(&spec, 1.0, None), [0_u32; 0]);
    }

    #[test]
    fn runs_less_than_two_times_apart_share_a_level() {
        let spec = SearchSpec::default();
        for low in 20..400_u32 {
            for high in low..2 * low {
                let (a, b) = (at(&spec, low.into(), None), at(&spec, high.into(), None));
                assert!(a.iter().any(|level| b.contains(level)), "{low} {high}");
            }
        }
    }

    #[test]
    fn the_load_that_must_be_carried_is_held_where_it_is() {
        let spec = SearchSpec::default();
        assert_eq!(at(&spec, 1_040.0, Some(900)), [900, 320]);
        assert_eq!(at(&spec, 1_040.0, Some(320)), [320, 160]);
        assert_eq!(at(&spec, 1_040.0, Some(100)), [320, 100]);
        assert_eq!(at(&spec, 1_040.0, Some(1_000)), [320, 160], "too near");
    }

    #[test]
    fn a_short_search_holds_none() {
        let minutes = |m: u64| SearchSpec {
            budget: Duration::from_secs(60 * m),
            ..SearchSpec::default()
        };
        assert_eq!(longest_s(&minutes(4)), None);
        assert!(minutes(4).references_s() < 1e-9);
        assert_eq!(longest_s(&minutes(6)), Some(36.0));
        assert_eq!(longest_s(&minutes(30)), Some(90.0));
        assert!((minutes(30).references_s() - 300.0).abs() < 1e-9);
        let without = SearchSpec {
            reference_holds: false,
            ..minutes(30)
        };
        assert_eq!(longest_s(&without), None);
    }
}
