//! An answer, or an event, as extractions and checks see it. Pure.

use std::borrow::Cow;
use std::cell::OnceCell;

use http::HeaderMap;
use http::header::{HeaderName, SET_COOKIE};

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
        let read = || serde_json::from_slice(self.body).ok();
        self.json.get_or_init(read).as_ref()
    }

    /// The body as text.
    pub fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.body)
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
        all.filter_map(|value| value.to_str().ok().map(str::to_owned))
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
