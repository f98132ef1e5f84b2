//! Why a request over HTTP/2 failed: which kind of failure it is, and its words.

use h2::{Error, Reason};

use crate::engine::native::why;
use crate::excerpt;
use crate::measure::FailureKind;

/// What is known of a failure.
pub(super) struct Trouble<'a> {
    /// What the stream met.
    pub(super) error: &'a Error,
    /// What ended the connection, where it did.
    pub(super) connection: Option<&'a Error>,
    /// The first bytes that the server sent.
    pub(super) first: &'a [u8],
    /// Where the answer was then: "without an answer".
    pub(super) place: &'a str,
}

/// A failure, told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) kind: FailureKind,
    pub(super) text: String,
    pub(super) detail: String,
    /// Whether the server did nothing of the request, by its own word: it may be asked again
    /// whatever it is (RFC 9113, section 8.7).
    pub(super) not_processed: bool,
}

impl Trouble<'_> {
    pub(super) fn told(&self) -> Told {
        if let Some(text) = speaks_else(self.first) {
            return told(FailureKind::Protocol, text);
        }
        // The stream says only that the connection has ended; the connection may know why.
        let of_connection = self.connection.filter(|_| self.error.is_io());
        let error = of_connection.unwrap_or(self.error);
        match error.reason() {
            Some(reason) if error.is_remote() && error.is_reset() => self.reset(reason),
            Some(reason) if error.is_remote() => self.gone(reason, error, of_connection.is_none()),
            Some(reason) => {
                let what = said(reason, error.is_reset());
                let text = format!("the response is not valid HTTP/2: {}{what}", name(reason));
                told(FailureKind::Protocol, text)
            }
            None => self.ended(error, of_connection.is_some()),
        }
    }

    /// The server ended the stream.
    fn reset(&self, reason: Reason) -> Told {
        let text = format!(
            "the server reset the stream {} (RST_STREAM): {}",
            self.place,
            name(reason)
        );
        let advice = match reason {
            Reason::HTTP_1_1_REQUIRED => "; set `http = \"1.1\"`",
            _ => "",
        };
        Told {
            not_processed: reason == Reason::REFUSED_STREAM,
            ..told(FailureKind::Reset, format!("{text}{advice}"))
        }
    }

    /// The server ended the connection and said so.
    fn gone(&self, reason: Reason, error: &Error, not_processed: bool) -> Told {
        let text = format!(
            "the server ended the connection {} (GOAWAY): {}",
            self.place,
            name(reason)
        );
        Told {
            detail: debug_data(error),
            not_processed,
            ..told(FailureKind::Reset, text)
        }
    }

    /// The connection ended, and nobody said why.
    fn ended(&self, error: &Error, of_connection: bool) -> Told {
        match error.get_io() {
            // What `h2` says of streams whose connection was closed.
            Some(io) if of_connection || io.raw_os_error().is_some() => {
                let kind = why::kind_of(io);
                let text = match kind {
                    FailureKind::Eof => format!("the connection was closed {}", self.place),
                    FailureKind::Reset => {
                        let chain = why::chain(io);
                        format!("the connection was reset {}: {chain}", self.place)
                    }
                    _ => why::chain(io),
                };
                told(kind, text)
            }
            Some(_) => {
                let text = format!("the connection was closed {}", self.place);
                told(FailureKind::Eof, text)
            }
            None => told(FailureKind::Protocol, why::chain(error)),
        }
    }
}

fn told(kind: FailureKind, text: String) -> Told {
    Told {
        kind,
        text,
        detail: String::new(),
        not_processed: false,
    }
}

/// What a server speaks that does not speak HTTP/2.
fn speaks_else(first: &[u8]) -> Option<String> {
    match first {
        [b'H', b'T', b'T', b'P', b'/', ..] => {
            let line = why::first_line(first);
            Some(format!(
                "the server does not speak HTTP/2 on this port, its response begins with `{line}`; \
                 set `http = \"1.1\"`"
            ))
        }
        // TLS: an alert or a handshake.
        [0x15 | 0x16, 3, 0..=4, ..] => Some(why::not_http(first)),
        _ => None,
    }
}

/// The name of an error code, and its number.
fn name(reason: Reason) -> String {
    let name = match reason {
        Reason::NO_ERROR => "NO_ERROR",
        Reason::PROTOCOL_ERROR => "PROTOCOL_ERROR",
        Reason::INTERNAL_ERROR => "INTERNAL_ERROR",
        Reason::FLOW_CONTROL_ERROR => "FLOW_CONTROL_ERROR",
        Reason::SETTINGS_TIMEOUT => "SETTINGS_TIMEOUT",
        Reason::STREAM_CLOSED => "STREAM_CLOSED",
        Reason::FRAME_SIZE_ERROR => "FRAME_SIZE_ERROR",
        Reason::REFUSED_STREAM => "REFUSED_STREAM",
        Reason::CANCEL => "CANCEL",
        Reason::COMPRESSION_ERROR => "COMPRESSION_ERROR",
        Reason::CONNECT_ERROR => "CONNECT_ERROR",
        Reason::ENHANCE_YOUR_CALM => "ENHANCE_YOUR_CALM",
        Reason::INADEQUATE_SECURITY => "INADEQUATE_SECURITY",
        Reason::HTTP_1_1_REQUIRED => "HTTP_1_1_REQUIRED",
        other => return format!("error code {:#x}", u32::from(other)),
    };
    format!("{name} ({:#x})", u32::from(reason))
}

/// What was wrong, of what this client found wrong itself; of a stream alone, or of the whole
/// connection.
fn said(reason: Reason, of_stream: bool) -> &'static str {
    match reason {
        Reason::FLOW_CONTROL_ERROR => ", a window overflows or was not kept to",
        Reason::FRAME_SIZE_ERROR => ", a frame is larger or smaller than it may be",
        Reason::COMPRESSION_ERROR => ", its header fields cannot be decoded",
        Reason::ENHANCE_YOUR_CALM => ", it has too much of what costs memory",
        Reason::STREAM_CLOSED => ", a frame came on a stream that had ended",
        Reason::PROTOCOL_ERROR if of_stream => {
            ", its head is larger than 64 KiB (the limit) or malformed, or its length is not as \
             it says"
        }
        Reason::PROTOCOL_ERROR => ", a frame came that may not come there",
        _ => "",
    }
}

/// What a server said in words when it ended the connection.
fn debug_data(error: &Error) -> String {
    let text = error.to_string();
    let Some((_, data)) = text.split_once(" (b\"") else {
        return String::new();
    };
    let data = data.trim_end_matches("\")");
    let data: String = data.chars().take(200).collect();
    format!("it says: {}", excerpt::line(&data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(error: &Error, first: &[u8]) -> Told {
        let trouble = Trouble {
            error,
            connection: None,
            first,
            place: "without an answer",
        };
        trouble.told()
    }

    #[test]
    fn a_server_of_another_protocol_is_named() {
        let error = Error::from(Reason::FRAME_SIZE_ERROR);
        let http1 = of(&error, b"HTTP/1.1 400 Bad Request\r\n");
        assert_eq!(http1.kind, FailureKind::Protocol);
        assert!(
            http1.text.contains("`HTTP/1.1 400 Bad Request`"),
            "{}",
            http1.text
        );
        assert!(http1.text.contains("http = \"1.1\""), "{}", http1.text);
        let tls = of(&error, &[0x15, 3, 3, 0, 2, 2, 70]);
        assert!(tls.text.contains("https://"), "{}", tls.text);
        let none = of(&error, &[0, 0, 0, 4, 0, 0, 0, 0, 0]);
        assert!(
            none.text.contains("FRAME_SIZE_ERROR (0x6)"),
            "{}",
            none.text
        );
    }

    #[test]
    fn every_code_has_a_name_or_a_number() {
        assert_eq!(name(Reason::HTTP_1_1_REQUIRED), "HTTP_1_1_REQUIRED (0xd)");
        assert_eq!(name(Reason::from(0x77)), "error code 0x77");
    }
}
