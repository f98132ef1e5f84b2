//! A body as it is shown, and what is wrong with one in which nothing is found.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use super::{Encoding, FailureKind, why};
use crate::engine::native::http::beginning;
use crate::excerpt::{self, Masks};

/// The beginning of a body.
pub(in crate::engine::native) enum Body {
    /// What it says.
    Text(String),
    /// What it is instead.
    Other(String),
}

impl Body {
    /// Of its first bytes in this encoding, of which as much is decoded as is shown.
    pub(in crate::engine::native) fn read(
        headers: &HeaderMap,
        bytes: &[u8],
        encoding: Encoding,
    ) -> Self {
        let bytes = &bytes[..bytes.len().min(excerpt::BODY)];
        let content_type = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
        if encoding == Encoding::Identity || bytes.is_empty() {
            let text = excerpt::of_body(bytes, content_type);
            return text.map_or_else(|| Self::Other(excerpt::no_text(bytes)), Self::Text);
        }
        let Some(decoded) = beginning(bytes, encoding, excerpt::BODY) else {
            let said = headers.get(CONTENT_ENCODING);
            let said = said.map_or_else(
                || encoding.name().to_owned(),
                |v| excerpt::line(&String::from_utf8_lossy(v.as_bytes())),
            );
            let read = bytes.len();
            return Self::Other(format!(
                "({read} bytes with content-encoding {said} that cannot be decoded)"
            ));
        };
        let text = excerpt::of_body(&decoded, content_type);
        text.map_or_else(|| Self::Other(excerpt::no_text(&decoded)), Self::Text)
    }

    /// Without secrets, and with nothing in it that acts.
    pub(in crate::engine::native) fn shown(&self, masks: &Masks) -> String {
        match self {
            Self::Text(text) => excerpt::visible(&masks.text(text)),
            Self::Other(what) => what.clone(),
        }
    }

    /// What failures are told apart by.
    pub(in crate::engine::native) fn folded(&self) -> String {
        let (Self::Text(text) | Self::Other(text)) = self;
        excerpt::folded(text)
    }
}

/// Notes what is wrong with a body in which an extraction finds nothing; `encoding` is what it was
/// decoded from.
pub(super) fn note_no_json(kind: FailureKind, body: &[u8], encoding: Encoding) -> FailureKind {
    let unsaid = |name: &str| {
        format!(
            "the body is compressed ({name}), but the response has no content-encoding that says \
             so; remove `accept-encoding`, or have the server send it uncompressed"
        )
    };
    let (text, detail) = match body {
        [0x1f, 0x8b, ..] => (unsaid("gzip"), String::new()),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => (unsaid("zstd"), String::new()),
        [] => ("the response has no body".to_owned(), String::new()),
        _ => match serde_json::from_slice::<serde_json::Value>(body) {
            Ok(_) => return kind,
            Err(e) if e.is_eof() => {
                let text = if encoding == Encoding::Identity {
                    "the body's JSON is incomplete: it was cut short".to_owned()
                } else {
                    let name = encoding.name();
                    format!("the body's JSON is incomplete: it, or its {name}, was cut short")
                };
                (text, format!("after {} bytes", body.len()))
            }
            Err(e) => ("the body is not JSON".to_owned(), e.to_string()),
        },
    };
    why::note_with(kind, text, detail)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        let all = all.iter();
        all.map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                http::HeaderValue::from_static(value),
            )
        })
        .collect()
    }

    #[test]
    fn a_body_is_shown_decoded_in_its_charset_and_without_secrets() {
        let masks = Masks::default();
        let none = HeaderMap::new();
        let shown = |headers: &HeaderMap, body: &[u8], encoding| {
            Body::read(headers, body, encoding).shown(&masks)
        };
        assert_eq!(
            shown(&none, b"plain\x1b", Encoding::Identity),
            "plain\\u{1b}"
        );
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(b"{\"error\":\"expired\",\"token\":\"abc\"}")
            .unwrap();
        let gzip = gzip.finish().unwrap();
        let said = headers(&[("content-encoding", "gzip")]);
        let text = r#"{"error":"expired","token":"***"}"#;
        assert_eq!(shown(&said, &gzip, Encoding::Gzip), text);
        // Of one that was cut what came is shown, of one that is none what it is.
        assert!(shown(&said, &gzip[..30], Encoding::Gzip).starts_with("{\"err"));
        let lie = shown(&said, b"plain text", Encoding::Gzip);
        assert_eq!(
            lie,
            "(10 bytes with content-encoding gzip that cannot be decoded)"
        );
        let latin = headers(&[("content-type", "text/plain; charset=latin-1")]);
        assert_eq!(shown(&latin, b"l\xe4uft", Encoding::Identity), "läuft");
    }

    #[test]
    fn what_is_no_json_says_what_it_is() {
        for (body, encoding, part) in [
            (&[0x1f, 0x8b, 8][..], Encoding::Identity, "(gzip)"),
            (b"", Encoding::Identity, "no body"),
            (b"<html>", Encoding::Identity, "is not JSON (expected value"),
            (
                b"{\"a\": 1",
                Encoding::Identity,
                "cut short (after 7 bytes)",
            ),
            (b"{\"a\": 1", Encoding::Zstd, "its zstd, was cut short"),
        ] {
            note_no_json(FailureKind::Protocol, body, encoding);
            let words = why::take(FailureKind::Protocol).unwrap().whole();
            assert!(words.contains(part), "{words}");
        }
    }
}
