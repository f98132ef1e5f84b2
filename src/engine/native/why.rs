//! Why the last failure of this thread happened, in words.
//!
//! A failure travels as its kind, which is all that is counted of most of them. Its words lie here until whoever counts it takes them:
//! it is told of in the same turn of the same thread, so nothing can come in between that is not cleared.

use std::cell::RefCell;
use std::error::Error;
use std::fmt::Write as _;

use crate::measure::FailureKind;

/// Bytes that are quoted of what is no answer.
const QUOTED: usize = 40;

thread_local! {
    static WHY: RefCell<Option<(FailureKind, String)>> = const { RefCell::new(None) };
}

/// Notes the words of a failure, and gives its kind back.
pub(super) fn note(kind: FailureKind, why: impl Into<String>) -> FailureKind {
    WHY.set(Some((kind, why.into())));
    kind
}

/// Takes the words of a failure of this kind.
pub(super) fn take(kind: FailureKind) -> Option<String> {
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
            "the answer is one of TLS: this port speaks TLS; write the address with https://".to_owned()
        }
        // A frame of HTTP/2 (RFC 9113, section 4.1): its length, its type (SETTINGS or GOAWAY), and the stream 0.
        [0, _, _, 4 | 7, _, 0, 0, 0, 0, ..] => {
            "the answer is one of HTTP/2, and this program speaks HTTP/1.1 alone: let the server speak that too, or put a proxy before it"
                .to_owned()
        }
        // Only the first line: behind it are headers, which may hold secrets.
        _ if bytes.starts_with(b"HTTP/") => {
            format!(
                "the head of the answer is not one that HTTP/1.1 allows; it begins with `{}`",
                first_line(bytes)
            )
        }
        _ => {
            let first = first_line(bytes);
            format!("the answer is not one of HTTP/1.1; it begins with `{first}`")
        }
    }
}

fn first_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(QUOTED)]);
    crate::excerpt::line(text.lines().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_failure_are_taken_once_and_by_its_own_kind() {
        note(FailureKind::Reset, "gone");
        assert_eq!(take(FailureKind::Reset).as_deref(), Some("gone"));
        assert_eq!(take(FailureKind::Reset), None);
        note(FailureKind::Reset, "gone");
        assert_eq!(take(FailureKind::Eof), None, "of another");
        assert_eq!(take(FailureKind::Reset), None, "it was not the last");
    }

    #[test]
    fn what_speaks_something_else_is_recognised() {
        for (bytes, part) in [
            (&[0x15, 3, 3, 0, 2, 2, 70][..], "https://"),
            (&[0, 0, 18, 4, 0, 0, 0, 0, 0, 0, 3], "HTTP/2"),
            (
                b"HTTP/1.1 200 OK\r\nset-cookie: s3cr3t\x1b",
                "it begins with `HTTP/1.1 200 OK`",
            ),
            (b"SSH-2.0-OpenSSH_9\r\n", "begins with `SSH-2.0-OpenSSH_9`"),
        ] {
            assert!(not_http(bytes).contains(part), "{}", not_http(bytes));
        }
    }
}
