//! What the laboratory found out: systems, their truths, and the runs against them.

use std::fmt::Write as _;

use crate::measure::{Level, LevelUnit};
use crate::units;

/// Everything that one call of the laboratory found out.
#[derive(Debug, Clone, PartialEq)]
pub struct LabReport {
    /// The systems in the order asked.
    pub systems: Vec<LabSystem>,
    /// Half-width that the searches were asked for, as a fraction.
    pub precision: f64,
}

impl LabReport {
    /// The budgets that one system was searched with, seconds.
    pub(super) fn budgets(&self) -> Vec<f64> {
        let name = self.systems.first().map(|s| &s.name);
        let of_first = self.systems.iter().filter(|s| Some(&s.name) == name);
        of_first.map(|s| s.budget_s).collect()
    }
}

/// One system with all runs against it.
#[derive(Debug, Clone, PartialEq)]
pub struct LabSystem {
    /// Its name.
    pub name: String,
    /// What it is, one line.
    pub title: String,
    /// The objectives.
    pub slo: Vec<String>,
    /// Where it breaks.
    pub truth: LabTruth,
    /// Seconds that one of our searches had.
    pub budget_s: f64,
    /// Every run, method after method.
    pub runs: Vec<LabRun>,
}

impl LabSystem {
    /// The methods in the order of their first run.
    pub fn methods(&self) -> Vec<&'static str> {
        let mut methods = Vec::new();
        for run in &self.runs {
            if !methods.contains(&run.method) {
                methods.push(run.method);
            }
        }
        methods
    }
}

/// Where a system breaks, as far as that is known.
#[derive(Debug, Clone, PartialEq)]
pub struct LabTruth {
    /// What a level counts.
    pub unit: LevelUnit,
    /// The largest level at which the SLO holds in the long run; `None` when it holds up to the
    /// maximum.
    pub vus: Option<u32>,
    /// The same when the level is reached from above, where that differs.
    pub from_above_vus: Option<u32>,
    /// Standard error of `vus`, per cent of it.
    pub se_pct: f64,
    /// How it was found: `exact`, `simulated` and so on.
    pub how: String,
}

impl LabTruth {
    /// The truth in words: `1 040 VUs (exact)`.
    pub fn text(&self) -> String {
        let Some(vus) = self.vus else {
            return "never breaks".to_owned();
        };
        let mut text = format!("{} ({}", self.unit.count(Level(vus)), self.how);
        if self.se_pct > 0.0 {
            let _ = write!(text, ", standard error {:.2} %", self.se_pct);
        }
        if let Some(above) = self.from_above_vus {
            let above = units::format_count(above.into());
            let _ = write!(text, ", {above} when approached from above");
        }
        text + ")"
    }
}

/// One run of one method against one system.
#[derive(Debug, Clone, PartialEq)]
pub struct LabRun {
    /// The method's name.
    pub method: &'static str,
    /// Index of the run, from 0.
    pub run: u32,
    /// Its seed.
    pub seed: u64,
    /// How it ended: the name of the answer's ending, or `none` for a method that gave no number.
    pub ending: &'static str,
    /// The number of VUs it named.
    pub vus: Option<u32>,
    /// Its interval.
    pub interval: Option<Interval>,
    /// Simulated seconds that it took, everything included.
    pub cost_s: f64,
    /// Levels visited.
    pub visits: u32,
    /// Whether the answer named the system's kind; `None` for methods that name none.
    pub named_as_expected: Option<bool>,
    /// Whether it named a number and said nothing that qualifies it.
    pub without_reserve: bool,
    /// Processor time that it took, milliseconds.
    pub cpu_ms: f64,
}

/// An interval of a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end, VUs.
    pub low: u32,
    /// Upper end, VUs; `None` is unbounded.
    pub high: Option<u32>,
    /// Half-width as a fraction of the estimate.
    pub half_width: Option<f64>,
    /// Whether it is as narrow as asked.
    pub as_asked: bool,
}

impl LabRun {
    /// Error of the number it named, as a fraction of the truth.
    pub fn error(&self, truth: u32) -> Option<f64> {
        Some(f64::from(self.vus?) / f64::from(truth) - 1.0)
    }

    /// Whether it named a number, without reserve, that is off by more than a quarter: what must
    /// not happen.
    pub fn is_far_off(&self, truth: u32) -> bool {
        self.without_reserve && self.error(truth).is_some_and(|e| e.abs() > FAR_OFF)
    }
}

/// An error beyond which a number that was named without reserve has misled, as a fraction.
const FAR_OFF: f64 = 0.25;

impl Interval {
    /// Whether it holds a number of VUs.
    pub fn holds(&self, vus: u32) -> bool {
        self.low <= vus && !self.is_below(vus)
    }

    /// Whether it lies wholly below a number of VUs.
    pub fn is_below(&self, vus: u32) -> bool {
        self.high.is_some_and(|high| high < vus)
    }
}
