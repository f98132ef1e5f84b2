//! `--fail-if 'breakpoint<-5%'`: a comparison as a gate.

use std::str::FromStr;

use crate::record::{Change, ChangeVerdict, ComparedMetric, Comparison, Gate, GateOutcome};
use crate::units;

/// A condition under which the gate fails.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// As it was typed.
    pub text: String,
    /// What is looked at.
    pub metric: ComparedMetric,
    /// How much is too much.
    pub bound: Bound,
}

/// How much a metric may change, as a fraction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// It may fall by this much: `<-5%`.
    Fall(f64),
    /// It may rise by this much: `>+20%`.
    Rise(f64),
}

/// Why a condition cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// It has another form.
    #[error(
        "`{0}` is not a condition; write what must not happen as METRIC<-5% or METRIC>+20%, in \
         quotes"
    )]
    Form(String),
    /// There is no such metric.
    #[error("`{0}` is not a compared metric; use breakpoint, knee, throughput, p50, or p99")]
    Metric(String),
    /// The bound cannot be read.
    #[error("`{text}`: {why}")]
    Bound {
        /// As it was typed.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// The sign does not fit the direction.
    #[error(
        "`{0}`: use `<` with a fall, such as -5%, and `>` with a rise, such as +20%; a gate fails \
         on a change that happened, not on one that did not"
    )]
    Sign(String),
}

impl FromStr for Condition {
    type Err = GateError;

    fn from_str(text: &str) -> Result<Self, GateError> {
        let text = text.trim();
        let at = text
            .find(['<', '>'])
            .ok_or_else(|| GateError::Form(text.to_owned()))?;
        let name = text[..at].trim();
        let metric = ComparedMetric::ALL
            .into_iter()
            .find(|m| m.name() == name)
            .ok_or_else(|| GateError::Metric(name.to_owned()))?;
        let bound = text[at + 1..].trim();
        let (negative, size) = match bound.strip_prefix('-') {
            Some(size) => (true, size),
            None => (false, bound.strip_prefix('+').unwrap_or(bound)),
        };
        let share = units::parse_ratio(size).map_err(|e| GateError::Bound {
            text: text.to_owned(),
            why: e.to_string(),
        })?;
        let bound = match (&text[at..=at], negative) {
            ("<", true) if share < 1.0 => Bound::Fall(share),
            ("<", false) if share == 0.0 => Bound::Fall(0.0),
            (">", false) => Bound::Rise(share),
            _ => return Err(GateError::Sign(text.to_owned())),
        };
        Ok(Self {
            text: text.to_owned(),
            metric,
            bound,
        })
    }
}

/// Every condition against every candidate.
pub(super) fn judge(conditions: &[Condition], comparisons: &[Comparison]) -> Vec<Gate> {
    let each = conditions
        .iter()
        .flat_map(|c| comparisons.iter().map(move |comparison| (c, comparison)));
    each.filter_map(|(condition, comparison)| {
        let change = comparison
            .changes
            .iter()
            .find(|c| c.metric == condition.metric)?;
        let (outcome, reason) = outcome(condition.bound, change);
        Some(Gate {
            condition: condition.text.clone(),
            candidate: comparison.candidate.clone(),
            outcome,
            reason,
        })
    })
    .collect()
}

fn outcome(bound: Bound, change: &Change) -> (GateOutcome, String) {
    if change.verdict == ChangeVerdict::CannotSay {
        return (GateOutcome::CannotSay, change.reason.clone());
    }
    // Seen from the side that is feared: a fall as a rise of the inverse.
    let inverted = |v: Option<f64>| v.map(f64::recip);
    let (feared, limit, worst, seen, least) = match bound {
        Bound::Fall(share) => (
            ChangeVerdict::Fall,
            (1.0 - share).recip(),
            inverted(change.low),
            inverted(change.ratio),
            inverted(change.high),
        ),
        Bound::Rise(share) => (
            ChangeVerdict::Rise,
            1.0 + share,
            change.high,
            change.ratio,
            change.low,
        ),
    };
    let (word, percent): (_, fn(f64) -> f64) = match bound {
        Bound::Fall(_) => ("fall", |v| 100.0 * (1.0 - v.recip())),
        Bound::Rise(_) => ("rise", |v| 100.0 * (v - 1.0)),
    };
    if change.verdict == feared {
        // Where only a bound is known, it is the change that is known.
        let known = seen.or(least).unwrap_or(1.0);
        if known > limit {
            let reason = format!("evidence of a {word} of {:.1} %", percent(known));
            return (GateOutcome::Failed, reason);
        }
        if seen.is_none() {
            let reason = format!("a {word} of at least {:.1} %, size unknown", percent(known));
            return (GateOutcome::CannotSay, reason);
        }
    }
    match worst {
        None => (
            GateOutcome::CannotSay,
            format!("a {word} of any size is possible"),
        ),
        Some(worst) if worst > 1.0 => {
            let reason = format!("a {word} of up to {:.1} % is possible", percent(worst));
            (GateOutcome::Passed, reason)
        }
        Some(_) => (GateOutcome::Passed, format!("a {word} is excluded")),
    }
}
