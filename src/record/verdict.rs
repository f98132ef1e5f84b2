//! The verdict of a probe.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What one probe says of one objective, ordered from best to worst: the verdict of several is
/// their maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The objective held.
    Held,
    /// The probe cannot tell: no data, not settled, too close to the bound. Never a pass.
    Undecided,
    /// The objective broke.
    Broke,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Held => "held",
            Self::Undecided => "undecided",
            Self::Broke => "broke",
        })
    }
}
