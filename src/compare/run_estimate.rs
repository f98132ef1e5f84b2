//! What one run says of one quantity.

use crate::record::{Answer, Ending, RunRecord};
use crate::stats::Spread;

/// Degrees of freedom of an interval of which nothing else is known: a normal distribution.
const MANY: f64 = 1e6;

/// What one run says of one quantity.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RunEstimate {
    /// A value and its distribution.
    Spread {
        /// The value as the run tells it.
        value: f64,
        /// Its distribution.
        spread: Spread,
    },
    /// It lies within an interval and is no single value: only the ends of this distribution are
    /// used.
    Within(Spread),
    /// It is at least this.
    AtLeast(f64),
    /// It is at most this.
    AtMost(f64),
    /// A value whose sureness only shows beside that of the other run.
    Beside(f64),
    /// A value without a word on how sure it is, and why.
    Bare(f64, String),
    /// Nothing, and why.
    Nothing(String),
}

impl RunEstimate {
    /// A value to show.
    pub(super) fn value(&self) -> Option<f64> {
        match self {
            Self::Spread { value, .. } | Self::Beside(value) | Self::Bare(value, _) => Some(*value),
            Self::Within(_) | Self::AtLeast(_) | Self::AtMost(_) | Self::Nothing(_) => None,
        }
    }

    /// Why there is nothing to compare with; `None` where there is.
    pub(super) fn trouble(&self) -> Option<&str> {
        match self {
            Self::Bare(_, why) | Self::Nothing(why) => Some(why),
            Self::Spread { .. }
            | Self::Within(_)
            | Self::Beside(_)
            | Self::AtLeast(_)
            | Self::AtMost(_) => None,
        }
    }
}

/// What a run says of its breakpoint.
pub(super) fn breakpoint(record: &RunRecord) -> RunEstimate {
    let answer = &record.answer;
    match answer.ending {
        Ending::Found => found(answer),
        Ending::Bracketed => bracketed(answer),
        Ending::NeverBroke => RunEstimate::AtLeast(record.plan.max_level.into()),
        Ending::BrokeAtMinimum => RunEstimate::AtMost(record.plan.min_level.into()),
        Ending::TimeDriven => nothing("it breaks over time, not at a level", answer),
        Ending::Hysteresis => nothing(
            "it has hysteresis: its breakpoint depends on the direction of the load",
            answer,
        ),
        Ending::Bimodal => nothing("it is bimodal: it has two breakpoints", answer),
        Ending::Undecided => nothing("it is undecided", answer),
        Ending::GeneratorLimited => {
            nothing("the load generator or its host was the bottleneck", answer)
        }
        Ending::DataUsedUp => nothing("a feeder had no rows left", answer),
        Ending::TargetDown => nothing("the target was down", answer),
        Ending::Interrupted => nothing("it was interrupted", answer),
        Ending::Aborted => nothing("it was stopped by a safety limit", answer),
    }
}

fn nothing(what: &str, answer: &Answer) -> RunEstimate {
    let reason = answer.reason.trim().trim_end_matches('.');
    RunEstimate::Nothing(if reason.is_empty() {
        what.to_owned()
    } else {
        format!("{what} ({reason})")
    })
}

fn found(answer: &Answer) -> RunEstimate {
    let ends = (answer.ci_low, answer.ci_high);
    let (Some(value), (Some(low), high)) = (answer.breakpoint, ends) else {
        return nothing("its breakpoint has no interval", answer);
    };
    let (value, low) = (f64::from(value), f64::from(low));
    let Some(high) = high.map(f64::from) else {
        return RunEstimate::AtLeast(low);
    };
    let spread = match Spread::of_table(&answer.distribution) {
        Some(spread) => {
            let told = spread.at_least_as_wide(low, high, answer.confidence);
            Some(told.skewed(answer.downside_skew))
        }
        None => of_interval(low, high, answer.confidence),
    };
    match spread {
        Some(spread) => RunEstimate::Spread { value, spread },
        None => nothing("its interval is too wide to use", answer),
    }
}

/// An interval without a number in it: where in it the breakpoint lies is not told, so no ratio of
/// two values is either.
fn bracketed(answer: &Answer) -> RunEstimate {
    match (answer.ci_low.map(f64::from), answer.ci_high.map(f64::from)) {
        (Some(low), Some(high)) => match of_interval(low, high, answer.confidence) {
            Some(spread) => RunEstimate::Within(spread),
            None => nothing("its interval is too wide to use", answer),
        },
        (Some(low), None) => RunEstimate::AtLeast(low),
        (None, Some(high)) => RunEstimate::AtMost(high),
        (None, None) => nothing("its breakpoint has no interval", answer),
    }
}

/// A log-normal distribution with this interval.
fn of_interval(low: f64, high: f64, confidence: f64) -> Option<Spread> {
    let z = crate::stats::normal::probit(f64::midpoint(1.0, confidence));
    Spread::student((low * high).sqrt(), (high / low).ln() / (2.0 * z), MANY)
}
