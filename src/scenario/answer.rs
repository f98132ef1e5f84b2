//! An answer, or an event, as extractions and checks see it. Pure.

use std::borrow::Cow;
use std::cell::OnceCell;

use http::HeaderMap;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, SET_COOKIE};

use crate::excerpt;

/// What came, taken apart no further than is asked for.
pub struct Answer<'a> {
    status: Option<u16>,
    headers: Option<&'a HeaderMap>,
    body: &'a [u8],
    json: OnceCell<Option<serde_json::Value>>,
}

impl<'a> Answer<'a> {
    /// An answer with its body, decoded.
    pub fn new(status: u16, headers: &'a HeaderMap, body: &'a [u8]) -> Self {
        Self {
            status: Some(status),
            headers: Some(headers),
            body,
            json: OnceCell::new(),
        }
    }

    /// An event, of which there is nothing but its data.
    pub fn of_event(data: &'a str) -> Self {
        Self {
            status: None,
            headers: None,
            body: data.as_bytes(),
            json: OnceCell::new(),
        }
    }

    /// Says what it is as JSON, where that is not the whole of its body.
    pub(super) fn read_as(&self, json: Option<serde_json::Value>) {
        // Nobody has asked yet.
        let _ = self.json.set(json);
    }

    /// The body as JSON, if it is that.
    pub fn json(&self) -> Option<&serde_json::Value> {
        let read = || match serde_json::from_slice(self.body) {
            Ok(json) => Some(json),
            // In another charset that is said, or behind a mark of the order of bytes: JSON is
            // UTF-8 else.
            Err(_) if self.says_charset() => serde_json::from_str(&self.decoded()?).ok(),
            Err(_) => None,
        };
        self.json.get_or_init(read).as_ref()
    }

    /// The body as text, in the charset that is said of it.
    pub fn text(&self) -> Cow<'a, str> {
        match self.decoded() {
            Some(text) => Cow::Owned(text),
            None => String::from_utf8_lossy(self.body),
        }
    }

    /// The body where it is not plain UTF-8 but text.
    fn decoded(&self) -> Option<String> {
        if !self.says_charset() && std::str::from_utf8(self.body).is_ok() {
            return None;
        }
        excerpt::of_body(self.body, self.media_type())
    }

    fn media_type(&self) -> Option<&[u8]> {
        let value = self.headers.and_then(|h| h.get(CONTENT_TYPE));
        value.map(HeaderValue::as_bytes)
    }

    /// Whether it says which charset it is in: in its head, or by a mark of the order of bytes.
    fn says_charset(&self) -> bool {
        const MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
        let says = |t: &[u8]| t.windows(8).any(|w| w.eq_ignore_ascii_case(b"charset="));
        self.media_type().is_some_and(says) || MARKS.iter().any(|m| self.body.starts_with(m))
    }

    /// The body.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The status as a number; none of an event.
    pub(super) fn status(&self) -> Option<String> {
        self.status.map(|status| status.to_string())
    }

    /// The values of a header.
    pub(super) fn headers(&self, name: &HeaderName) -> impl Iterator<Item = String> {
        let all = self.headers.into_iter().flat_map(|h| h.get_all(name));
        all.map(|value| text_of(value.as_bytes()))
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// The values that the answer sets a cookie to.
    pub(super) fn cookies(&self, name: &str) -> impl Iterator<Item = String> {
        let set = self.headers(&SET_COOKIE).filter_map(|field| {
            let pair = field.split(';').next()?.to_owned();
            let (known, value) = pair.split_once('=')?;
            (known.trim() == name).then(|| value.trim().to_owned())
        });
        set.collect::<Vec<_>>().into_iter()
    }
}

/// The value of a header: UTF-8, else Latin-1, which is what servers send that know no better (RFC
/// 9110, section 5.5).
pub fn text_of(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().copied().map(char::from).collect(),
    }
}
