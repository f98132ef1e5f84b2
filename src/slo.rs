//! The SLO: objectives, their grammar, and the verdict of one probe.
//!
//! An objective is `metric op bound`: `p99<2s`, `p(99)<2000` (k6's spelling, milliseconds),
//! `p95(answer)<=300ms`, `avg<100ms`, `max<5s`, `errors<1%`, `shed<5%`, `rps>50`,
//! `good(answer.first<500ms,answer.gap<100ms)>99%`, `gateway.oom_kills==0`. Because a shell takes
//! an unquoted `<` for itself, `p99:2s` (at most) and `p99.lt.2s` are accepted too.
//!
//! The verdict of one probe only steers the search and labels the probe; the answer's interval
//! comes from [`crate::search`], over all visits.

use std::fmt;
use std::time::Duration;

use crate::measure::{Measurement, StepTable};
use crate::record::ObjectiveRecord;
use crate::stats;
use crate::stats::fit::Link;
use crate::units;

mod condition;
mod judge;
mod parse;

pub use condition::Condition;
pub(crate) use judge::PRESENT;
pub use judge::{Evidence, Judgement, Outcome};
pub use parse::SloError;

/// It is written down with a probe, so that it lives with the record.
pub use crate::record::Verdict;

/// How soon a hold may be called hopeless for its latencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// When most requests are past the limit: the level is only to be told from better ones.
    Little,
    /// When most are three times past it. Near the breakpoint a slow phase of a service that
    /// recovers is part of what is measured: who leaves then keeps the good phases only, and the
    /// estimate leans high.
    Much,
}

impl Patience {
    /// How many limits long a request is that counts as hopeless.
    fn limits(self) -> f64 {
        match self {
            Self::Little => 1.0,
            Self::Much => 3.0,
        }
    }

    /// How many bounds long a mean is that counts as hopeless. One just above its bound is what a
    /// level near the breakpoint looks like, so that even little patience asks for twice.
    fn means(self) -> f64 {
        match self {
            Self::Little => 2.0,
            Self::Much => 3.0,
        }
    }
}

/// What an objective measures.
#[derive(Debug, Clone, PartialEq)]
pub enum Metric {
    /// A latency quantile of a step (`None`: the main one), 0 < q < 1.
    Quantile {
        /// The quantile, 0.99 for p99.
        q: f64,
        /// The step.
        step: Option<String>,
    },
    /// The mean latency of a step.
    Mean {
        /// The step.
        step: Option<String>,
    },
    /// The largest latency of a step.
    Max {
        /// The step.
        step: Option<String>,
    },
    /// The share of failed passes of a step (`None`: the whole cycle). Sheds are not failures.
    Errors {
        /// The step.
        step: Option<String>,
    },
    /// The share of passes of a step that were shed (`None`: the whole cycle).
    Shed {
        /// The step.
        step: Option<String>,
    },
    /// The share of cycles that meet several limits at once; a failed cycle does not.
    Good {
        /// The row that counts them: `good(answer.first<500ms,answer.gap<100ms)`.
        row: String,
        /// The limits.
        limits: Vec<Limit>,
    },
    /// Completed passes of a step per second (`None`: the main one).
    Rps {
        /// The step.
        step: Option<String>,
    },
    /// A field of a monitor: a counter's growth over the probe, else its worst value in the hold.
    Monitor {
        /// The monitor's name in the profile.
        monitor: String,
        /// The field.
        field: String,
    },
}

/// The most that a step, a part of it or the cycle may take in a good cycle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The row by its name: `answer.first`, `cycle`.
    pub step: String,
    /// How long it may take.
    pub most: Duration,
    /// Whether it may take just so long: `<=`.
    pub inclusive: bool,
}

/// How the metric must stand to the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Below.
    Lt,
    /// At most.
    Le,
    /// Above.
    Gt,
    /// At least.
    Ge,
    /// Exactly.
    Eq,
}

impl Comparison {
    fn symbol(self) -> &'static str {
        match self {
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::Eq => "==",
        }
    }

    /// Whether `value` meets `bound`.
    #[expect(
        clippy::float_cmp,
        reason = "`==` is only accepted for counts, which are exact"
    )]
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Lt => value < bound,
            Self::Le => value <= bound,
            Self::Gt => value > bound,
            Self::Ge => value >= bound,
            Self::Eq => value == bound,
        }
    }
}

/// One objective of an SLO.
#[derive(Debug, Clone, PartialEq)]
pub struct Objective {
    /// What is measured.
    pub metric: Metric,
    /// How it must compare.
    pub comparison: Comparison,
    /// The bound in the metric's base unit: seconds, ratio, per second, or the monitor's unit.
    pub bound: f64,
    /// The objective as text, without spaces.
    pub text: String,
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Objective {
    /// The metric's name with its step: `p99(answer)`.
    pub fn metric_name(&self, steps: &StepTable) -> String {
        let with_step = |name: &str, step: Option<&str>, default: usize| {
            let index = step.map_or(Some(default), |s| steps.index(Some(s)));
            let step = index.map_or("?", |row| steps.name(row));
            format!("{name}({step})")
        };
        match &self.metric {
            Metric::Quantile { q, step } => {
                let percent = format!("{:.3}", q * 100.0);
                let percent = percent.trim_end_matches('0').trim_end_matches('.');
                with_step(&format!("p{percent}"), step.as_deref(), steps.main())
            }
            Metric::Mean { step } => with_step("avg", step.as_deref(), steps.main()),
            Metric::Max { step } => with_step("max", step.as_deref(), steps.main()),
            Metric::Rps { step } => with_step("rps", step.as_deref(), steps.main()),
            Metric::Errors { step } => with_step("errors", step.as_deref(), steps.whole()),
            Metric::Shed { step } => with_step("shed", step.as_deref(), steps.whole()),
            Metric::Good { row, .. } => row.clone(),
            Metric::Monitor { monitor, field } => format!("{monitor}.{field}"),
        }
    }

    /// A value of the metric in the unit people read.
    pub fn format_value(&self, value: f64) -> String {
        match &self.metric {
            Metric::Quantile { .. } | Metric::Mean { .. } | Metric::Max { .. } => {
                units::format_seconds(value)
            }
            Metric::Errors { .. } | Metric::Shed { .. } | Metric::Good { .. } => {
                format!("{:.2} %", value * 100.0)
            }
            Metric::Rps { .. } => format!("{value:.1}/s"),
            Metric::Monitor { field, .. }
                if field.contains("memory") && !field.contains("pressure") =>
            {
                units::format_bytes(value)
            }
            Metric::Monitor { .. } => format!("{value}"),
        }
    }

    /// The quantile that it bounds, if it is one of latency: 0.99 for p99.
    pub fn quantile(&self) -> Option<f64> {
        match self.metric {
            Metric::Quantile { q, .. } => Some(q),
            _ => None,
        }
    }

    /// The step whose name the metric gives, if any.
    pub fn step(&self) -> Option<&str> {
        match &self.metric {
            Metric::Quantile { step, .. }
            | Metric::Mean { step }
            | Metric::Max { step }
            | Metric::Errors { step }
            | Metric::Shed { step }
            | Metric::Rps { step } => step.as_deref(),
            Metric::Good { row, .. } => Some(row),
            Metric::Monitor { .. } => None,
        }
    }

    /// Whether the monitor that it names, if any, exists.
    fn check_monitor(&self, monitors: &[String]) -> Result<(), SloError> {
        match &self.metric {
            Metric::Monitor { monitor, .. } if !monitors.contains(monitor) => {
                Err(SloError::UnknownMonitor {
                    objective: self.text.clone(),
                    monitor: monitor.clone(),
                    known: if monitors.is_empty() {
                        "none; add a [[monitor]] to the profile".to_owned()
                    } else {
                        monitors.join(", ")
                    },
                })
            }
            _ => Ok(()),
        }
    }

    /// How the objective's evidence relates to its bound.
    fn link(&self) -> Link {
        match &self.metric {
            Metric::Quantile { q, .. } => Link::Share { alpha: 1.0 - q },
            Metric::Errors { .. } | Metric::Shed { .. } if self.bound > 0.0 => {
                Link::Share { alpha: self.bound }
            }
            Metric::Good { .. } if self.bound < 1.0 => Link::Share {
                alpha: 1.0 - self.bound,
            },
            Metric::Mean { .. } => Link::LogRatio,
            Metric::Good { .. }
            | Metric::Errors { .. }
            | Metric::Shed { .. }
            | Metric::Max { .. }
            | Metric::Rps { .. }
            | Metric::Monitor { .. } => Link::Side,
        }
    }

    /// Whether it is on the share of failed cycles: `errors<1%`, of no single step.
    pub fn is_of_failed_cycles(&self) -> bool {
        matches!(self.metric, Metric::Errors { step: None })
    }

    /// Whether a value meets its bound.
    pub fn is_met_by(&self, value: f64) -> bool {
        self.comparison.holds(value, self.bound)
    }

    /// The limits that a good cycle meets, and the row that counts those; `None` of another
    /// objective.
    pub fn good(&self) -> Option<(&str, &[Limit])> {
        match &self.metric {
            Metric::Good { row, limits } => Some((row, limits)),
            _ => None,
        }
    }

    /// The tightest limit on a time that it has.
    fn tightest(&self) -> Option<Duration> {
        let limits = self.good().map(|(_, limits)| limits).unwrap_or_default();
        let of_good = limits.iter().map(|limit| limit.most);
        of_good.chain(self.latency_limit()).min()
    }

    /// The latency limit of a latency objective.
    pub fn latency_limit(&self) -> Option<Duration> {
        match self.metric {
            Metric::Quantile { .. } | Metric::Mean { .. } | Metric::Max { .. } => {
                Duration::try_from_secs_f64(self.bound).ok()
            }
            _ => None,
        }
    }
}

/// The objectives of a run; never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Slo {
    objectives: Vec<Objective>,
}

impl Slo {
    /// Reads objectives from their texts; a text may hold several, separated by commas.
    ///
    /// # Errors
    /// When a text is not an objective, or there is none at all.
    pub fn parse<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Result<Self, SloError> {
        let mut objectives = Vec::new();
        for text in texts {
            for part in parse::objectives(text.as_ref()) {
                objectives.push(parse::objective(part)?);
            }
        }
        if objectives.is_empty() {
            return Err(SloError::Empty);
        }
        Ok(Self { objectives })
    }

    /// The objectives in the order given.
    pub fn objectives(&self) -> &[Objective] {
        &self.objectives
    }

    /// The objectives as texts of the grammar, for records.
    pub fn texts(&self) -> Vec<String> {
        self.objectives.iter().map(ToString::to_string).collect()
    }

    /// The first objective that names a step or monitor that does not exist.
    ///
    /// # Errors
    /// Names it, with those that exist.
    pub fn check_names(&self, steps: &StepTable, monitors: &[String]) -> Result<(), SloError> {
        for objective in &self.objectives {
            if let Some(step) = objective.step()
                && steps.index(Some(step)).is_none()
            {
                return Err(SloError::UnknownStep {
                    objective: objective.text.clone(),
                    step: step.to_owned(),
                    known: steps.names().collect::<Vec<_>>().join(", "),
                });
            }
            if let Some((_, limits)) = objective.good() {
                let unknown = |limit: &&Limit| steps.index(Some(&limit.step)).is_none();
                if let Some(limit) = limits.iter().find(unknown) {
                    return Err(SloError::UnknownStep {
                        objective: objective.text.clone(),
                        step: limit.step.clone(),
                        known: steps.names().collect::<Vec<_>>().join(", "),
                    });
                }
            }
            objective.check_monitor(monitors)?;
        }
        Ok(())
    }

    /// Whether anything in it can break because there are too many users, as a search needs.
    ///
    /// # Errors
    /// When all objectives are least throughputs: fewer users always bring less, and more of them
    /// more until the target is full.
    pub fn check_bounds_users(&self) -> Result<(), SloError> {
        let is_least = |o: &Objective| matches!(o.comparison, Comparison::Gt | Comparison::Ge);
        let is_rate = |o: &Objective| matches!(o.metric, Metric::Rps { .. }) && is_least(o);
        if self.objectives.iter().all(is_rate) {
            return Err(SloError::RatesOnly {
                objectives: self.texts().join(","),
            });
        }
        Ok(())
    }

    /// Whether the hold so far is so bad that its end need not be awaited.
    pub fn is_hopeless(
        &self,
        measurement: &Measurement,
        steps: &StepTable,
        patience: Patience,
    ) -> bool {
        judge::is_hopeless(self, measurement, steps, patience)
    }

    /// Whether most cycles fail: the target is broken although the level has not settled.
    pub fn is_failing(&self, measurement: &Measurement, steps: &StepTable) -> bool {
        judge::is_failing(measurement, steps)
    }

    /// The tightest latency limit of the objectives, seconds.
    pub fn tightest_limit_s(&self) -> Option<f64> {
        self.objectives
            .iter()
            .filter_map(Objective::tightest)
            .map(|d| d.as_secs_f64())
            .min_by(f64::total_cmp)
    }

    /// How each objective's evidence relates to its bound, in order.
    pub fn links(&self) -> Vec<Link> {
        self.objectives.iter().map(Objective::link).collect()
    }

    /// Judges one probe.
    pub fn judge(&self, measurement: &Measurement, steps: &StepTable) -> Judgement {
        judge::judge(self, measurement, steps)
    }
}

#[cfg(test)]
mod tests;
