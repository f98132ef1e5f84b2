//! What this process knows and nobody else shall read: every secret that it was given, and texts
//! and records without them.
//!
//! Whoever looks a secret up, or is given one, notes it here; whoever writes, prints or serves asks
//! here. So it makes no difference who repeats it: a service's log, a failing command, a server
//! that echoes. What the statistics need (numbers, histograms, closed sets) is left alone.

mod hushed;

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::secret::{Hidden, spellings};

static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());
static HIDDEN: RwLock<Option<Hidden>> = RwLock::new(None);

/// A record that cannot be written without its secrets, and is not written with them.
#[derive(Debug, thiserror::Error)]
#[error("the results cannot be written because they contain a secret: {0}")]
pub struct Unwritable(#[from] serde_json::Error);

/// Notes secrets; from now on nobody repeats them.
pub fn know(secrets: impl IntoIterator<Item = String>) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    let before = known.len();
    for secret in secrets.into_iter().flat_map(|s| spellings(&s)) {
        if !known.contains(&secret) {
            known.push(secret);
        }
    }
    if known.len() > before {
        let hidden = Hidden::new(known.iter().cloned());
        *HIDDEN.write().unwrap_or_else(PoisonError::into_inner) = Some(hidden);
    }
}

/// A text without them.
pub fn text(text: &str) -> Cow<'_, str> {
    with(|hidden| match hidden {
        Some(hidden) if hidden.is_in(text) => Cow::Owned(hidden.in_text(text)),
        _ => Cow::Borrowed(text),
    })
}

/// A line without them that may have been cut off after so many bytes: a secret may begin at its
/// end and have no end.
///
/// Whoever shows less of a line than was read asks here before it is made shorter, which would cut
/// a secret in two.
pub fn line(text: &str, read: usize) -> Cow<'_, str> {
    // What is no UTF-8 is longer as text, and never shorter.
    if text.len() < read {
        return self::text(text);
    }
    with(|hidden| match hidden {
        Some(hidden) => Cow::Owned(hidden.in_cut_text(text)),
        None => Cow::Borrowed(text),
    })
}

/// A value as JSON, without them.
///
/// # Errors
/// When it has no form in JSON.
pub fn json(value: &impl Serialize) -> Result<serde_json::Value, serde_json::Error> {
    with(|hidden| match hidden {
        Some(hidden) => hushed::to_value(value, hidden),
        None => serde_json::to_value(value),
    })
}

/// The same value without them.
///
/// # Errors
/// When it cannot be read again without them.
pub fn without<T: Serialize + DeserializeOwned + Clone>(
    value: &T,
) -> Result<Cow<'_, T>, Unwritable> {
    with(|hidden| {
        let Some(hidden) = hidden else {
            return Ok(Cow::Borrowed(value));
        };
        let (hushed, plain) = (
            hushed::to_value(value, hidden)?,
            serde_json::to_value(value)?,
        );
        if hushed == plain {
            return Ok(Cow::Borrowed(value));
        }
        Ok(Cow::Owned(serde_json::from_value(hushed)?))
    })
}

fn with<T>(f: impl FnOnce(Option<&Hidden>) -> T) -> T {
    let hidden = HIDDEN.read().unwrap_or_else(PoisonError::into_inner);
    f(hidden.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RunRecord;
    use crate::samples;

    #[test]
    fn what_is_known_is_hidden_however_it_is_written_and_records_stay_readable() {
        // All tests of this process know it from now on.
        let secret = "zq7/x\"9?kw";
        know([secret.to_owned()]);
        for written in [
            secret,
            "zq7/x\\\"9?kw",
            "zq7%2Fx%229%3Fkw",
            "zq7%2fx%229%3fkw",
            "enE3L3giOT9rdw",
        ] {
            assert_eq!(text(&format!("a {written} b")), "a *** b");
        }
        assert_eq!(line("said zq7/x\"9", 12), "said ***");
        assert_eq!(line("said zq7/x\"9", 13), "said zq7/x\"9");
        let mut record: RunRecord = samples::found();
        assert!(matches!(without(&record), Ok(Cow::Borrowed(_))));
        record.warnings.push(format!("it says {secret}"));
        let hushed = without(&record).unwrap().into_owned();
        assert_eq!(hushed.warnings.last().unwrap(), "it says ***");
        record.warnings.pop();
        assert_eq!(hushed.probes, record.probes);
        assert_eq!(json(&secret).unwrap(), "***");
    }
}
