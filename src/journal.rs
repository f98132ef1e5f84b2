//! The journal of a search: what was judged, so that a search that was cut off can go on.
//!
//! Lines of text. Each is eight hexadecimal digits of a checksum (CRC-32, as in gzip and PNG), a
//! space, and JSON, over which the checksum is. The first line is the [`Head`], every other one an
//! [`Entry`]. Only the last line can be torn, by a crash in the middle of its writing: it is left
//! out. Anything else that does not fit its checksum is damage, and told.

use serde::{Deserialize, Serialize};

use crate::excerpt;
use crate::record::ProbeRecord;
use crate::report::{self, ReportError};
use crate::search::Visit;

/// Version of the format.
pub const JOURNAL_VERSION: u32 = 1;
/// Digits of the checksum.
const DIGITS: usize = 8;

/// What a search was asked, to ask it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// [`JOURNAL_VERSION`] of the program that began it.
    pub journal_version: u32,
    /// Version of that program.
    pub breakpoint_version: String,
    /// The profile's name.
    pub profile: String,
    /// When the run began, RFC 3339 UTC.
    pub started_at: String,
    /// The folder in which the command was typed.
    pub folder: String,
    /// What was typed after the program's name.
    pub command: Vec<String>,
    /// Checksum of the profile's text; `None` without a profile.
    pub profile_crc32: Option<u32>,
    /// Checksum of the text of the script that k6 runs; `None` without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script_crc32: Option<u32>,
}

/// One judged probe, with its input to the search.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its input to the search.
    pub input: SearchInput,
    /// The probe.
    pub probe: ProbeRecord,
}

/// What the search learned of a probe, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchInput {
    /// Seconds of searching at which the probe was asked for.
    pub asked_s: f64,
    /// Seconds of searching at which it had been judged.
    pub judged_s: f64,
    /// What was learned.
    pub visit: Visit,
    /// What a reader of the report must know, as it was learned by then.
    pub warnings: Vec<String>,
}

/// As it is on the disk.
#[derive(Deserialize)]
struct Written {
    #[serde(rename = "told")]
    input: SearchInput,
    probe: ProbeRecord,
}

/// A journal that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Journal {
    /// What was asked.
    pub head: Head,
    /// What was judged, in order.
    pub entries: Vec<Entry>,
    /// How many bytes from the beginning are whole lines.
    pub whole: usize,
    /// Whether the last line was torn.
    pub torn: bool,
}

/// Why a journal cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// It ends before its first line does: nothing was judged.
    #[error(
        "it has no complete line: nothing was judged before the run was cut off. Start over with \
         `breakpoint find`"
    )]
    Empty,
    /// A line that is not the last does not fit its checksum.
    #[error(
        "line {line} does not match its checksum: the file is damaged. Truncate it before that \
         line (`head -n {}`) to continue from there",
        line - 1
    )]
    Damaged {
        /// 1-based.
        line: usize,
    },
    /// A line fits its checksum and cannot stand where it does.
    #[error(
        "line {line} {why}: the file was edited or put together. None of it is used; truncate it \
         before that line (`head -n {}`) to continue from there",
        line - 1
    )]
    Misplaced {
        /// 1-based.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
    /// A line fits its checksum and is not what it should be.
    #[error("line {line}: {why}. It was written by breakpoint {version}, this is {}", env!("CARGO_PKG_VERSION"))]
    Unknown {
        /// 1-based.
        line: usize,
        /// What the parser said.
        why: String,
        /// Who wrote it.
        version: String,
    },
}

/// The checksum of a text.
pub fn crc32(text: &[u8]) -> u32 {
    crc32fast::hash(text)
}

/// The first line, its end included.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn head_line(head: &Head) -> Result<Vec<u8>, ReportError> {
    let json = serde_json::to_vec(head).map_err(ReportError::Json)?;
    Ok(line(&json))
}

/// The line of a judged probe, its end included.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn entry_line(entry: &Entry) -> Result<Vec<u8>, ReportError> {
    let input = serde_json::to_vec(&entry.input).map_err(ReportError::Json)?;
    let probe = report::probe_line(&entry.probe)?;
    Ok(line(
        &[b"{\"told\":", &*input, b",\"probe\":", &*probe, b"}"].concat(),
    ))
}

fn line(json: &[u8]) -> Vec<u8> {
    let mut line = format!("{:08x} ", crc32(json)).into_bytes();
    line.extend_from_slice(json);
    line.push(b'\n');
    line
}

/// Reads a journal.
///
/// # Errors
/// When it is damaged, or of another version.
pub fn read(bytes: &[u8]) -> Result<Journal, JournalError> {
    let mut jsons = Vec::new();
    let mut whole = 0;
    let mut torn = false;
    for piece in bytes.split_inclusive(|b| *b == b'\n') {
        match checked(piece) {
            Some(json) => jsons.push(json),
            None if whole + piece.len() == bytes.len() => {
                torn = true;
                break;
            }
            None => {
                return Err(JournalError::Damaged {
                    line: jsons.len() + 1,
                });
            }
        }
        whole += piece.len();
    }
    let (first, rest) = jsons.split_first().ok_or(JournalError::Empty)?;
    let head = head_of(first)?;
    let entry = |(i, json): (usize, &&[u8])| {
        let read = numbers::check(json).and_then(|()| serde_json::from_slice(json));
        let written: Written = read.map_err(|e| JournalError::Unknown {
            line: i + 2,
            why: excerpt::line(&e.to_string()),
            version: head.breakpoint_version.clone(),
        })?;
        Ok(Entry {
            input: written.input,
            probe: written.probe,
        })
    };
    let entries = rest
        .iter()
        .enumerate()
        .map(entry)
        .collect::<Result<Vec<Entry>, _>>()?;
    check_order(&entries)?;
    Ok(Journal {
        head,
        entries,
        whole,
        torn,
    })
}

/// Every probe once, in its place, and time goes on: a line that is there twice or was swapped
/// would count twice, or for another level.
fn check_order(entries: &[Entry]) -> Result<(), JournalError> {
    let mut last_s = 0.0;
    for (i, Entry { input, probe }) in entries.iter().enumerate() {
        let visit = &input.visit;
        let of_another =
            (visit.probe, visit.level, visit.purpose) != (probe.index, probe.level, probe.purpose);
        let why = if probe.index != i {
            format!("has probe {}, but {i} is expected there", probe.index)
        } else if of_another {
            "gives the search another probe than it has".to_owned()
        } else if !visit.makes_sense() {
            "gives the search what no probe shows".to_owned()
        } else if input.judged_s < last_s || input.asked_s < 0.0 {
            "was judged before the line above it".to_owned()
        } else {
            last_s = input.judged_s;
            continue;
        };
        return Err(JournalError::Misplaced { line: i + 2, why });
    }
    Ok(())
}

/// The JSON of a line that ends and fits its checksum.
fn checked(line: &[u8]) -> Option<&[u8]> {
    let line = line.strip_suffix(b"\n")?;
    let (digits, rest) = line.split_at_checked(DIGITS)?;
    let json = rest.strip_prefix(b" ")?;
    let told = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    (crc32(json) == told).then_some(json)
}

fn head_of(json: &[u8]) -> Result<Head, JournalError> {
    let unknown = |why: String, version: String| JournalError::Unknown {
        line: 1,
        why: excerpt::line(&why),
        version: excerpt::line(&version),
    };
    let value: serde_json::Value =
        serde_json::from_slice(json).map_err(|e| unknown(e.to_string(), "?".to_owned()))?;
    let version = value["breakpoint_version"]
        .as_str()
        .unwrap_or("?")
        .to_owned();
    let format = &value["journal_version"];
    if *format != JOURNAL_VERSION {
        let why = format!("its format is {format}, but this program reads {JOURNAL_VERSION}");
        return Err(unknown(why, version));
    }
    serde_json::from_value(value).map_err(|e| unknown(e.to_string(), version))
}

mod numbers;
#[cfg(test)]
pub(crate) mod tests;
