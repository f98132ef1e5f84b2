//! A condition on what monitors read now, in the grammar of objectives.

use super::{Metric, Objective, Slo, SloError};
use crate::measure::Reading;

/// What monitors must read now, all of it; without any part it always holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Condition {
    objectives: Vec<Objective>,
}

impl Condition {
    /// Adds what a text asks; it may hold several objectives, separated by commas.
    ///
    /// # Errors
    /// When it is no objective, not one of a monitor's field, or of a monitor that does not exist.
    pub fn add(&mut self, text: &str, monitors: &[String]) -> Result<(), SloError> {
        let no_reading = |objective: &str| SloError::NoReading {
            objective: objective.to_owned(),
        };
        let slo = Slo::parse([text]).map_err(|error| match error {
            SloError::Empty => no_reading(text),
            other => other,
        })?;
        for objective in slo.objectives {
            if !matches!(objective.metric, Metric::Monitor { .. }) {
                return Err(no_reading(&objective.text));
            }
            objective.check_monitor(monitors)?;
            self.objectives.push(objective);
        }
        Ok(())
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.objectives.is_empty()
    }

    /// Its parts as texts of the grammar.
    pub fn texts(&self) -> Vec<String> {
        self.objectives.iter().map(ToString::to_string).collect()
    }

    /// The monitors and fields that it is about.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.objectives.iter().filter_map(|o| match &o.metric {
            Metric::Monitor { monitor, field } => Some((monitor.as_str(), field.as_str())),
            _ => None,
        })
    }

    /// The first part that holds, with what is read; a gap holds nothing. A counter counts as it
    /// reads.
    pub fn met(&self, readings: &[Reading]) -> Option<String> {
        self.objectives.iter().find_map(|objective| {
            let Metric::Monitor { monitor, field } = &objective.metric else {
                return None;
            };
            let is_it = |r: &&Reading| r.monitor == *monitor && r.field == *field;
            let value = readings.iter().find(is_it).and_then(|r| r.value)?;
            let holds = objective.comparison.holds(value, objective.bound);
            holds.then(|| format!("{objective}: it reads {}", objective.format_value(value)))
        })
    }

    /// The first part that does not hold, with what is read instead; a gap holds nothing, unless
    /// its monitor reads that what it watches is down: nothing waits there any more. A counter
    /// counts as it reads.
    pub fn unmet(&self, readings: &[Reading]) -> Option<String> {
        let read = |monitor: &str, field: &str| {
            let is_it = |r: &&Reading| r.monitor == monitor && r.field == field;
            readings.iter().find(is_it).and_then(|r| r.value)
        };
        self.objectives.iter().find_map(|objective| {
            let Metric::Monitor { monitor, field } = &objective.metric else {
                return None;
            };
            match read(monitor, field) {
                Some(value) if objective.comparison.holds(value, objective.bound) => None,
                Some(value) => Some(format!("{objective}: {}", objective.format_value(value))),
                None if read(monitor, "up") == Some(0.0) => None,
                None => Some(format!("{objective}: no reading")),
            }
        })
    }
}
