//! What a script of k6 says of itself, and what becomes of it here: thresholds are objectives,
//! scenarios are functions with weights. And what k6 says.
//!
//! Texts in, values out: who runs k6 is the business of others. All of it is text of others, so
//! nothing of it may panic, and nothing is kept without a bound.

mod arguments;
mod blocked;
mod own;
mod said;
mod scenarios;
mod script;
mod template;
mod threshold;
mod users;

use std::fmt;

pub use arguments::{check_arguments, variables};
pub use blocked::blocked;
pub use own::{Declared, DeclaredKind, MetricRow, OwnScript, Part};
pub use said::said;
pub use script::{LineOf, Runner, Script, ScriptError};
pub use template::{Named, profile};
pub use threshold::{ITERATION, ITERATION_DURATION, Selector, row_of};
pub use users::{ScriptUsers, Size, shares, users};

/// The function of a script that is run when nothing else is said.
pub const DEFAULT_FUNCTION: &str = "default";
/// The program unless another one is named: what a shell would find.
pub const DEFAULT_BINARY: &str = "k6";
/// The oldest version whose scripts can tell one VU from another in their metrics.
const OLDEST: Version = Version {
    major: 0,
    minor: 45,
    patch: 0,
};
/// Longest name of a function, in characters.
const MOST_NAME: usize = 100;
/// Highest weight of a function; beyond that one of them is as good as alone.
const MOST_WEIGHT: u32 = 1_000_000;

/// A function that a script exports, and how many of the VUs run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its part of the VUs, beside those of the others; at least 1.
    pub weight: u32,
}

impl Function {
    /// A function with its weight.
    ///
    /// # Errors
    /// When no script can export such a name, or the weight is none.
    pub fn new(name: &str, weight: u64) -> Result<Self, String> {
        check_name(name)?;
        let fits = |w: &u32| (1..=MOST_WEIGHT).contains(w);
        let weight = u32::try_from(weight).ok().filter(fits);
        Ok(Self {
            name: name.to_owned(),
            weight: weight.ok_or_else(|| {
                format!("the weight of `{name}` must be between 1 and {MOST_WEIGHT}")
            })?,
        })
    }

    /// The function that is run when nothing else is said.
    pub fn by_default() -> Self {
        Self {
            name: DEFAULT_FUNCTION.to_owned(),
            weight: 1,
        }
    }

    /// Reads `browse=3,buy=1`.
    ///
    /// # Errors
    /// When that is not what it says.
    pub fn list(text: &str) -> Result<Vec<Self>, String> {
        let mut all: Vec<Self> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let wrong =
                || format!("`{part}` is not a function with its weight; write browse=3,buy=1");
            let (name, weight) = part.split_once('=').ok_or_else(wrong)?;
            let weight = weight.trim().parse().map_err(|_| wrong())?;
            let function = Self::new(name.trim(), weight)?;
            if all.iter().any(|f| f.name == function.name) {
                return Err(format!("`{}` is given twice", function.name));
            }
            all.push(function);
        }
        Ok(all)
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.weight)
    }
}

/// Whether a script can export something of this name.
fn check_name(name: &str) -> Result<(), String> {
    let begins = |c: char| c.is_alphabetic() || c == '_' || c == '$';
    let goes_on = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let fits = name.starts_with(begins) && name.chars().all(goes_on);
    if fits && name.chars().count() <= MOST_NAME {
        Ok(())
    } else {
        let shown: String = name.chars().take(MOST_NAME).collect();
        Err(format!(
            "`{shown}` is not a valid name of an exported function"
        ))
    }
}

/// What was learned of a script before it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptInfo {
    /// What the script says of itself.
    pub script: Script,
    /// Checksum of the script's text for k6, and of all its files where this program runs it.
    pub crc32: u32,
}

/// A version of k6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

/// Why a program is not a k6 that can be driven.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// It is another program.
    #[error("it does not identify itself as k6 but says: {0}")]
    NotK6(String),
    /// It is too old.
    #[error("it is k6 {0}, but {OLDEST} or later is required")]
    TooOld(Version),
}

impl Version {
    /// Reads what `k6 version` prints: `k6 v2.2.1 (commit/0123456789, go1.24, linux/amd64)`.
    ///
    /// # Errors
    /// When that is not of k6, or of one that is too old.
    pub fn read(text: &str) -> Result<Self, VersionError> {
        let version = text.lines().find_map(Self::of_line).ok_or_else(|| {
            let first = text.lines().map(str::trim).find(|line| !line.is_empty());
            let shown: String = first.unwrap_or("nothing").chars().take(120).collect();
            VersionError::NotK6(shown)
        })?;
        if version < OLDEST {
            return Err(VersionError::TooOld(version));
        }
        Ok(version)
    }

    /// How it is told to sum nothing up in the end: what the script says of that would be run for
    /// each level.
    pub fn no_summary(self) -> &'static str {
        // The first flag is gone with version 2, and the second came late in version 1.
        if self.major < 2 {
            "--no-summary"
        } else {
            "--summary-mode=disabled"
        }
    }

    fn of_line(line: &str) -> Option<Self> {
        // It calls itself what its file is called: `my-k6 v1.8.1`.
        let mut words = line.split_whitespace();
        let is_k6 = words.next()?.to_ascii_lowercase().contains("k6");
        let number = words.next()?.strip_prefix('v').filter(|_| is_k6)?;
        // A release candidate is one of what it will be.
        let number = number.split(['-', '+']).next()?;
        let mut parts = number.split('.').map(|part| part.parse().ok());
        Some(Self {
            major: parts.next()??,
            minor: parts.next()??,
            patch: parts.next().flatten().unwrap_or_default(),
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests;
