//! What can be wrong in a system file.

use toml::de::{DeTable, DeValue};

/// Why a system file cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SystemError {
    /// Not TOML, an unknown or missing key, or a value of the wrong kind; the message quotes the
    /// line.
    #[error("{}", .0.to_string().trim_end())]
    Unreadable(toml::de::Error),
    /// A value that makes no sense.
    #[error("{}`{key}`: {message}", line.map(|line| format!("line {line}: ")).unwrap_or_default())]
    Invalid {
        /// Its line, or that of its table.
        line: Option<usize>,
        /// The key, with its table: `service.cv2`.
        key: String,
        /// What is wrong, and the way out.
        message: String,
    },
}

/// A value that makes no sense, before its line is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    pub(super) key: String,
    pub(super) message: String,
}

impl Fault {
    pub(super) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            message: message.into(),
        }
    }

    /// The error with the key's line in the text.
    pub(super) fn place(self, text: &str) -> SystemError {
        SystemError::Invalid {
            line: line_of(text, &self.key),
            key: self.key,
            message: self.message,
        }
    }
}

/// The line of a dotted key, or of the nearest table around it that is there.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let mut table = root.get_ref();
    let mut at = None;
    for part in key.split('.') {
        let Some(value) = table.get(part) else { break };
        at = Some(value.span().start);
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    Some(text[..at?].matches('\n').count() + 1)
}

/// Refuses a value that makes no sense.
pub(super) fn require(holds: bool, key: &str, message: &str) -> Result<(), Fault> {
    if holds {
        Ok(())
    } else {
        Err(Fault::new(key, message))
    }
}
