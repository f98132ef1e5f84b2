//! What a slow cycle costs a search that begins low.

use crate::measure::Level;
use crate::search::SearchSpec;
use crate::units;

/// Seconds of a cycle from which each step up waits for cycles rather than for its shortest hold.
const SLOW_S: f64 = 8.0;
/// Doublings up to the highest level below which a higher start saves little.
const FEW_STEPS: u32 = 4;
/// Nobody begins a search of many users as low as this but by default.
const LOW: Level = Level(10);
/// A step up settles for a cycle and holds for another.
const CYCLES_A_STEP: f64 = 2.0;

/// Says that a higher first level would save time, where a cycle is slow and the search begins with
/// few VUs.
pub fn slow_start(search: &SearchSpec, cycle_s: f64) -> Option<String> {
    let steps = (search.max.get() / search.start.get().max(1)).checked_ilog2()?;
    let low = !search.unit.is_open() && search.start <= LOW && steps >= FEW_STEPS;
    let step_s = CYCLES_A_STEP * cycle_s;
    (low && cycle_s >= SLOW_S && cycle_s.is_finite()).then(|| {
        format!(
            "a cycle takes about {cycle_s:.0} s, so each doubling from {} takes {} or more; if the \
             service surely carries more, start higher with `--start-vus`",
            search.unit.count(search.start),
            units::format_seconds(step_s).replace(".00 s", " s"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::LevelUnit;

    #[test]
    fn only_a_slow_cycle_that_begins_low_is_told() {
        let spec = |start, max| SearchSpec {
            start: Level(start),
            max: Level(max),
            ..SearchSpec::default()
        };
        let told = slow_start(&spec(10, 5000), 10.0).unwrap();
        assert!(
            told.contains("about 10 s") && told.contains("from 10 VUs takes 20 s or more"),
            "{told}"
        );
        assert_eq!(slow_start(&spec(10, 5000), 5.0), None);
        assert_eq!(slow_start(&spec(200, 5000), 10.0), None);
        assert_eq!(slow_start(&spec(10, 40), 10.0), None);
        let rate = SearchSpec {
            unit: LevelUnit::CyclesPerS,
            ..spec(10, 5000)
        };
        assert_eq!(slow_start(&rate, 10.0), None);
    }
}
