//! Why the last failure of this thread happened, in words.
//!
//! A failure travels as its kind, which is all that is counted of most of them. Its words lie here
//! until whoever counts it takes them: it is told of in the same turn of the same thread, so
//! nothing can come in between that is not cleared.

use std::cell::RefCell;
use std::error::Error;
use std::fmt::Write as _;
use std::io;

use crate::measure::FailureKind;

/// Bytes that are quoted of what is no answer.
const QUOTED: usize = 40;

thread_local! {
    static WHY: RefCell<Option<(FailureKind, Words)>> = const { RefCell::new(None) };
}

/// What is said of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Words {
    /// Why, in words that all failures of a kind have in common: they are counted by them.
    pub(super) text: String,
    /// What differs between two of them; may be empty.
    pub(super) detail: String,
    /// Whether there was no connection yet.
    pub(super) connecting: bool,
}

impl Words {
    /// All that is said.
    pub(super) fn whole(&self) -> String {
        match self.detail.as_str() {
            "" => self.text.clone(),
            detail => format!("{} ({detail})", self.text),
        }
    }
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self {
            text,
            ..Self::default()
        }
    }
}

/// Notes the words of a failure, and gives its kind back.
pub(super) fn note(kind: FailureKind, why: impl Into<String>) -> FailureKind {
    note_words(kind, Words::from(why.into()))
}

/// The same with what differs between two failures of a kind.
pub(super) fn note_with(
    kind: FailureKind,
    why: impl Into<String>,
    detail: impl Into<String>,
) -> FailureKind {
    let (text, detail) = (why.into(), detail.into());
    note_words(
        kind,
        Words {
            text,
            detail,
            connecting: false,
        },
    )
}

/// The same of one before there was a connection.
pub(super) fn note_connecting(kind: FailureKind, why: impl Into<String>) -> FailureKind {
    note_words(
        kind,
        Words {
            text: why.into(),
            connecting: true,
            ..Words::default()
        },
    )
}

fn note_words(kind: FailureKind, words: Words) -> FailureKind {
    WHY.set(Some((kind, words)));
    kind
}

/// The kind of an error of the system, whose words are noted.
pub(super) fn of_io(error: &io::Error) -> FailureKind {
    note(kind_of(error), chain(error))
}

/// The kind of an error of the system.
pub(super) fn kind_of(error: &io::Error) -> FailureKind {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => return FailureKind::NoDescriptors,
        Some(libc::EADDRNOTAVAIL) => return FailureKind::NoPorts,
        _ => {}
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => FailureKind::ConnectRefused,
        io::ErrorKind::UnexpectedEof => FailureKind::Eof,
        io::ErrorKind::TimedOut => FailureKind::Timeout,
        io::ErrorKind::InvalidData => FailureKind::Tls,
        // Resets, broken pipes, and rarer ends such as an unreachable host: the connection is gone.
        _ => FailureKind::Reset,
    }
}

/// Takes the words of a failure of this kind.
pub(super) fn take(kind: FailureKind) -> Option<Words> {
    let (of, why) = WHY.take()?;
    (of == kind).then_some(why)
}

/// A failure was got over: its words are nobody's.
pub(super) fn clear() {
    WHY.set(None);
}

/// An error and what caused it, each once.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Many repeat what caused them.
        if !text.contains(&next) {
            // Writing to a string cannot fail.
            write!(text, ": {next}").ok();
        }
        cause = error.source();
    }
    text
}

/// What somebody seems to speak who does not speak HTTP/1.1.
pub(super) fn not_http(bytes: &[u8]) -> String {
    let alert_or_handshake = |first: u8| matches!(first, 0x15 | 0x16);
    match bytes {
        [first, 3, 0..=4, ..] if alert_or_handshake(*first) => {
            "the response is TLS: this port speaks TLS; write the address with https://".to_owned()
        }
        // A frame of HTTP/2 (RFC 9113, section 4.1): its length, its type (SETTINGS or GOAWAY), and
        // the stream 0.
        [0, _, _, 4 | 7, _, 0, 0, 0, 0, ..] => {
            "the response is HTTP/2, but HTTP/1.1 was asked for: set `http = \"2\"` in [target] (or \
             --http2-prior-knowledge)"
                .to_owned()
        }
        _ => {
            let first = first_line(bytes);
            format!("the response is not HTTP/1.1; it begins with `{first}`")
        }
    }
}

/// The first line of what came: behind it are headers, which may hold secrets.
pub(super) fn first_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(QUOTED)]);
    crate::excerpt::line(text.lines().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_failure_are_taken_once_and_by_its_own_kind() {
        note(FailureKind::Reset, "gone");
        assert_eq!(
            take(FailureKind::Reset),
            Some(Words::from("gone".to_owned()))
        );
        assert_eq!(take(FailureKind::Reset), None);
        note_with(FailureKind::Eof, "cut short", "after 10 of 100 bytes");
        let words = take(FailureKind::Eof).unwrap();
        assert_eq!(words.whole(), "cut short (after 10 of 100 bytes)");
        note(FailureKind::Reset, "gone");
        assert_eq!(take(FailureKind::Eof), None, "of another");
        assert_eq!(take(FailureKind::Reset), None, "it was not the last");
    }

    #[test]
    fn what_speaks_something_else_is_recognised() {
        for (bytes, part) in [
            (&[0x15, 3, 3, 0, 2, 2, 70][..], "https://"),
            (&[0, 0, 18, 4, 0, 0, 0, 0, 0, 0, 3], "HTTP/2"),
            (b"SSH-2.0-OpenSSH_9\r\n", "begins with `SSH-2.0-OpenSSH_9`"),
        ] {
            assert!(not_http(bytes).contains(part), "{}", not_http(bytes));
        }
    }

    #[test]
    fn the_generators_own_shortages_are_told_apart() {
        for (code, kind) in [
            (libc::EMFILE, FailureKind::NoDescriptors),
            (libc::ENFILE, FailureKind::NoDescriptors),
            (libc::EADDRNOTAVAIL, FailureKind::NoPorts),
            (libc::ECONNREFUSED, FailureKind::ConnectRefused),
            (libc::ECONNRESET, FailureKind::Reset),
            (libc::EPIPE, FailureKind::Reset),
            (libc::ETIMEDOUT, FailureKind::Timeout),
        ] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(of_io(&error), kind, "{error}");
        }
    }
}
