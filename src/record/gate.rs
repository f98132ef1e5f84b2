//! The gate: whether a run showed that its target carries the load that is required of it.

use serde::Serialize;

use super::{Ending, RunRecord};
use crate::measure::Level;

/// What was required of a run, and how it came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoadGate {
    /// The load required, in the run's unit.
    pub required: u32,
    /// How it came out.
    pub outcome: LoadOutcome,
    /// Why, one sentence.
    pub sentence: String,
    /// How much more than required it carries; `None` without a breakpoint.
    pub headroom: Option<Headroom>,
}

/// How a gate came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LoadOutcome {
    /// The whole interval lies at or above what is required.
    Passed,
    /// The whole interval lies below it.
    ShownBelow,
    /// The interval reaches below it: the target may carry it, but that was not shown.
    NotShown,
    /// The run has no answer; its exit code says why.
    NoAnswer,
}

impl LoadOutcome {
    /// The word in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::ShownBelow => "failed",
            Self::NotShown => "failed, not proven",
            Self::NoAnswer => "not judged",
        }
    }
}

/// Breakpoint over required load, minus 1; an end is `None` where the interval has none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Headroom {
    /// Of the lower end of the interval.
    pub low: Option<f64>,
    /// Of the best estimate.
    pub estimate: Option<f64>,
    /// Of the upper end.
    pub high: Option<f64>,
}

impl RunRecord {
    /// The gate of this run; `None` where nothing is required.
    pub fn gate(&self) -> Option<LoadGate> {
        let required = self.plan.required?;
        let outcome = self.outcome(required);
        Some(LoadGate {
            required,
            outcome,
            sentence: self.sentence(required, outcome),
            headroom: self.headroom(required),
        })
    }

    /// No data is never a pass: without an interval, or a level that held, nothing is shown.
    fn outcome(&self, required: u32) -> LoadOutcome {
        let a = &self.answer;
        let held = a.last_held.as_ref().map(|v| v.level.get());
        match a.ending {
            Ending::Found | Ending::Bracketed if a.ci_low.is_some_and(|low| low >= required) => {
                LoadOutcome::Passed
            }
            Ending::Found | Ending::Bracketed if a.ci_high.is_some_and(|high| high < required) => {
                LoadOutcome::ShownBelow
            }
            Ending::NeverBroke if held.is_some_and(|held| held >= required) => LoadOutcome::Passed,
            Ending::Found | Ending::Bracketed | Ending::NeverBroke => LoadOutcome::NotShown,
            Ending::BrokeAtMinimum if self.plan.min_level <= required => LoadOutcome::ShownBelow,
            Ending::BrokeAtMinimum
            | Ending::TimeDriven
            | Ending::Hysteresis
            | Ending::Bimodal
            | Ending::Undecided
            | Ending::GeneratorLimited
            | Ending::DataUsedUp
            | Ending::TargetDown
            | Ending::Interrupted
            | Ending::Aborted => LoadOutcome::NoAnswer,
        }
    }

    fn sentence(&self, required: u32, outcome: LoadOutcome) -> String {
        let count = |level: u32| self.plan.unit.count(Level(level));
        let a = &self.answer;
        let needed = count(required);
        match (outcome, a.ending) {
            (LoadOutcome::Passed, Ending::NeverBroke) => {
                format!("{needed} are required; the SLO held at every level up to the maximum")
            }
            (LoadOutcome::Passed, _) => {
                let low = a.ci_low.map_or_else(String::new, count);
                format!("{needed} are required; the interval starts at {low}")
            }
            (LoadOutcome::ShownBelow, Ending::BrokeAtMinimum) => format!(
                "{needed} are required; the SLO broke even at {}",
                count(self.plan.min_level)
            ),
            (LoadOutcome::ShownBelow, _) => {
                let high = a.ci_high.map_or_else(String::new, count);
                format!("below the required {needed}: the interval ends at {high}")
            }
            (LoadOutcome::NotShown, Ending::NeverBroke) => format!(
                "not proven to reach the required {needed}: the SLO held, but no level above {} \
                 was visited",
                count(a.last_held.as_ref().map_or(0, |v| v.level.get()))
            ),
            (LoadOutcome::NotShown, _) => match a.ci_low {
                Some(low) => format!(
                    "not proven to reach the required {needed}: the interval starts at {}; more \
                     time narrows it",
                    count(low)
                ),
                None => format!("not proven to reach the required {needed}"),
            },
            (LoadOutcome::NoAnswer, _) => {
                format!(
                    "{needed} are required; the run ended without an answer, which is not a pass"
                )
            }
        }
    }

    fn headroom(&self, required: u32) -> Option<Headroom> {
        let a = &self.answer;
        let has_ends = matches!(
            a.ending,
            Ending::Found | Ending::Bracketed | Ending::NeverBroke
        );
        if !has_ends {
            return None;
        }
        let over = |level: u32| f64::from(level) / f64::from(required.max(1)) - 1.0;
        // What held up to the maximum has at least the headroom of the level that held.
        let held = a.last_held.as_ref().map(|v| v.level.get());
        let low = match a.ending {
            Ending::NeverBroke => held,
            _ => a.ci_low,
        };
        let headroom = Headroom {
            low: low.map(over),
            estimate: a.breakpoint.map(over),
            high: a.ci_high.map(over),
        };
        (headroom.low.is_some() || headroom.estimate.is_some()).then_some(headroom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn outcome(mut record: RunRecord, required: u32) -> (LoadOutcome, String) {
        record.plan.required = Some(required);
        let gate = record.gate().unwrap();
        (gate.outcome, gate.sentence)
    }

    #[test]
    fn the_lower_end_of_the_interval_decides() {
        // 1 184, 1 150 to 1 215.
        let of = |required| outcome(samples::found(), required);
        assert_eq!(of(1150).0, LoadOutcome::Passed);
        assert_eq!(of(1151).0, LoadOutcome::NotShown);
        assert_eq!(of(1184).0, LoadOutcome::NotShown);
        assert_eq!(of(1215).0, LoadOutcome::NotShown);
        let (below, sentence) = of(1216);
        assert_eq!(below, LoadOutcome::ShownBelow);
        assert_eq!(
            sentence,
            "below the required 1 216 VUs: the interval ends at 1 215 VUs"
        );
        assert!(
            of(1200)
                .1
                .contains("not proven to reach the required 1 200 VUs")
        );
        assert_eq!(samples::found().gate(), None);
    }

    #[test]
    fn an_interval_without_a_number_is_judged_by_its_ends() {
        // 59 to 83.
        let of = |required| outcome(samples::bracketed(), required);
        assert_eq!(of(59).0, LoadOutcome::Passed);
        assert_eq!(of(60).0, LoadOutcome::NotShown);
        assert_eq!(of(83).0, LoadOutcome::NotShown);
        assert_eq!(of(84).0, LoadOutcome::ShownBelow);
        assert!(
            of(84).1.contains("the interval ends at 83 VUs"),
            "{}",
            of(84).1
        );
        let mut record = samples::bracketed();
        record.plan.required = Some(50);
        let headroom = record.gate().unwrap().headroom.unwrap();
        assert!((headroom.low.unwrap() - 0.18).abs() < 1e-9);
        assert_eq!(headroom.estimate, None);
        assert!((headroom.high.unwrap() - 0.66).abs() < 1e-9);
    }

    #[test]
    fn what_never_broke_passes_up_to_the_level_that_held() {
        let of = |required| outcome(samples::never_broke(), required).0;
        assert_eq!(of(5000), LoadOutcome::Passed);
        assert_eq!(of(5001), LoadOutcome::NotShown);
        let mut silent = samples::never_broke();
        silent.answer.last_held = None;
        assert_eq!(outcome(silent, 1).0, LoadOutcome::NotShown);
    }

    #[test]
    fn no_answer_is_never_a_pass() {
        for (name, record) in samples::all() {
            let answered = matches!(
                record.answer.ending,
                Ending::Found | Ending::Bracketed | Ending::NeverBroke
            );
            let (outcome, _) = outcome(record, 1);
            assert_eq!(outcome == LoadOutcome::Passed, answered, "{name}");
        }
        let mut bare = samples::found();
        (bare.answer.ci_low, bare.answer.ci_high) = (None, None);
        assert_eq!(outcome(bare, 1).0, LoadOutcome::NotShown);
        let (below, sentence) = outcome(samples::broke_at_minimum(), 10);
        assert_eq!(below, LoadOutcome::ShownBelow);
        assert!(sentence.contains("broke even at 10 VUs"), "{sentence}");
    }

    #[test]
    fn headroom_is_told_with_its_interval() {
        let mut record = samples::found();
        record.plan.required = Some(1000);
        let headroom = record.gate().unwrap().headroom.unwrap();
        assert!((headroom.low.unwrap() - 0.15).abs() < 1e-9);
        assert!((headroom.estimate.unwrap() - 0.184).abs() < 1e-9);
        assert!((headroom.high.unwrap() - 0.215).abs() < 1e-9);
        let mut record = samples::never_broke();
        record.plan.required = Some(4000);
        let headroom = record.gate().unwrap().headroom.unwrap();
        assert!((headroom.low.unwrap() - 0.25).abs() < 1e-9);
        assert_eq!(headroom.high, None);
    }
}
