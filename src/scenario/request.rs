//! Requests of a scenario: where they go, what is in them, what is expected and taken from the
//! answer.

use std::fmt;
use std::sync::Arc;

use http::header::HeaderName;
use http::{Method, StatusCode};
use rand::Rng;

use super::address::check_port;
use super::check::Check;
use super::extract::Extract;
use super::{AnswerStream, Scenario, Template, Values};
use crate::secret::masked;

/// Scheme, host and port of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// `https`.
    pub tls: bool,
    /// Host name or address, IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Value of the `Host` header.
    pub authority: String,
}

impl fmt::Display for Origin {
    /// As the beginning of an address: `https://example.com:8443`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

impl Origin {
    /// Splits an address into its origin and what follows (`/path?query`, may be empty).
    pub(super) fn split(address: &str) -> Result<(Self, &str), String> {
        let (scheme, rest) = address.split_once("://").ok_or_else(|| {
            let shown = masked(address);
            format!(
                "`{shown}` is not an address; write it with its scheme, as in \
                `http://127.0.0.1:8080`"
            )
        })?;
        let tls = match scheme {
            "http" => false,
            "https" => true,
            _ => {
                return Err(format!(
                    "`{scheme}` is not a known scheme; use http or https"
                ));
            }
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains("{{") {
            return Err(format!(
                "the host in `{}` cannot vary; put templates only after it",
                masked(address)
            ));
        }
        let shown = || masked(&format!("{scheme}://{authority}"));
        check_port(authority).map_err(|why| format!("`{}`: {why}", shown()))?;
        let parsed: http::uri::Authority = authority.parse().map_err(|e| {
            let shown = shown();
            format!("`{shown}` has no host with an optional port: {e}")
        })?;
        if authority.contains('@') {
            return Err(format!(
                "`{}` carries a user name; send it as an `authorization` header instead",
                masked(address)
            ));
        }
        let origin = Self {
            tls,
            host: parsed.host().trim_matches(['[', ']']).to_owned(),
            port: parsed.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            authority: authority.to_owned(),
        };
        Ok((origin, path))
    }
}

/// Which statuses count as success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Any 2xx.
    Success,
    /// One of these.
    OneOf(Vec<StatusCode>),
}

impl Expect {
    /// Whether a status counts as success.
    pub fn holds(&self, status: StatusCode) -> bool {
        match self {
            Self::Success => status.is_success(),
            Self::OneOf(statuses) => statuses.contains(&status),
        }
    }
}

/// A value filled into an address or a header made it invalid (a line break in a header, say).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a value made the request invalid")]
pub struct BadRequest;

/// A request whose constant parts are rendered.
#[derive(Debug, Clone)]
pub struct RequestTemplate {
    pub(super) method: Method,
    pub(super) origin: usize,
    pub(super) target: Part,
    /// Whether that is a whole address, or a path, which an answer gave.
    pub(super) is_link: bool,
    /// In the order in which they are sent.
    pub(super) headers: Vec<(HeaderName, Part)>,
    pub(super) body: Body,
    pub(super) expect: Expect,
    pub(super) check: Option<Box<Check>>,
    pub(super) extract: Vec<Extract>,
    /// Where the answer is a stream that the step reads.
    pub(super) stream: Option<Box<AnswerStream>>,
    /// Method and path as the profile has them.
    pub(super) shown: String,
    /// The whole request, when it is the same for all.
    pub(super) constant: Option<Vec<u8>>,
}

/// A part of a request: the same for all, or rendered each time.
#[derive(Debug, Clone)]
pub(super) enum Part {
    Constant(String),
    Varying(Template),
}

impl Part {
    pub(super) fn new(template: Template) -> Self {
        match template.constant() {
            Some(text) => Self::Constant(text.to_owned()),
            None => Self::Varying(template),
        }
    }

    fn is_constant(&self) -> bool {
        matches!(self, Self::Constant(_))
    }
}

/// The body of a request.
#[derive(Debug, Clone)]
pub(super) enum Body {
    /// One text.
    Text(Part),
    /// Texts and the contents of files, one behind the other.
    Pieces(Vec<Piece>),
}

/// A piece of a body.
#[derive(Debug, Clone)]
pub(super) enum Piece {
    Text(Part),
    File(Arc<[u8]>),
}

impl Body {
    /// The texts in it.
    fn texts(&self) -> impl Iterator<Item = &Part> {
        let (one, pieces) = match self {
            Self::Text(text) => (Some(text), &[][..]),
            Self::Pieces(pieces) => (None, pieces.as_slice()),
        };
        let among = pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text),
            Piece::File(_) => None,
        });
        one.into_iter().chain(among)
    }
}

/// A request as it is sent, head and body.
#[derive(Debug)]
pub enum Rendered<'a> {
    /// The same for all.
    Constant(&'a [u8]),
    /// With values filled in.
    Varying(String),
    /// The same with the contents of files.
    WithFiles(Vec<u8>),
}

/// Bytes of a body that are kept where a check allows no more.
const BODY: usize = 1 << 20;
/// Bytes of a body that are kept at most: each VU may keep so many.
const LARGEST_BODY: usize = 64 << 20;

/// A buffer of one large request is not kept for the next.
const KEEP_BUFFER: usize = 4096;

impl Rendered<'_> {
    /// The buffer, for the next request.
    pub fn into_buffer(self) -> String {
        match self {
            Self::Varying(buffer) if buffer.capacity() <= KEEP_BUFFER => buffer,
            Self::Varying(_) | Self::Constant(_) | Self::WithFiles(_) => String::new(),
        }
    }
}

impl std::ops::Deref for Rendered<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Constant(bytes) => bytes,
            Self::Varying(text) => text.as_bytes(),
            Self::WithFiles(bytes) => bytes,
        }
    }
}

impl RequestTemplate {
    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Index of the origin.
    pub fn origin(&self) -> usize {
        self.origin
    }

    /// Whether it goes where an answer says: see [`Redirect::to_link`](super::Redirect::to_link).
    pub fn is_link(&self) -> bool {
        self.is_link
    }

    /// Method and path as the profile has them, without secrets: `GET /users/{{ vu }}`.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// Which statuses count as success.
    pub fn expect(&self) -> &Expect {
        &self.expect
    }

    /// Values to take from the answer.
    pub fn extract(&self) -> &[Extract] {
        &self.extract
    }

    /// How the answer is read, where it is a stream.
    pub fn stream(&self) -> Option<&AnswerStream> {
        self.stream.as_deref()
    }

    /// Whether it is not the same for all.
    pub fn varies(&self) -> bool {
        self.constant.is_none()
    }

    /// Whether something is taken from the JSON of the answer.
    pub fn wants_json(&self) -> bool {
        self.extract.iter().any(|e| e.from.is_of_json())
    }

    /// What must be true of the answer beside its status.
    pub fn check(&self) -> Option<&Check> {
        self.check.as_deref()
    }

    /// Whether the answer's body must be kept, for an extraction or a check.
    pub fn needs_body(&self) -> bool {
        self.check.is_some() || self.extract.iter().any(|e| e.from.needs_body())
    }

    /// Most bytes of a body that are kept for these, decoded: what is larger fails.
    pub fn most_body(&self) -> usize {
        let asked = self.check.as_ref().and_then(|check| check.max_bytes());
        let asked = asked.and_then(|bytes| usize::try_from(bytes).ok());
        // One more, so that the check itself says what is too large.
        asked.map_or(BODY, |bytes| {
            (bytes.saturating_add(1)).clamp(BODY, LARGEST_BODY)
        })
    }

    /// Whether a header of the answer is needed for an extraction.
    pub fn needs_headers(&self) -> bool {
        self.extract.iter().any(|e| e.from.needs_headers())
    }

    /// The cookies whose values it takes.
    pub fn cookies(&self) -> impl Iterator<Item = usize> {
        let templates = self.parts().filter_map(|part| match part {
            Part::Constant(_) => None,
            Part::Varying(template) => Some(template),
        });
        templates.flat_map(Template::cookies)
    }

    /// Renders a request without any varying part once and for all.
    pub(super) fn sealed(mut self) -> Self {
        if self.parts().all(Part::is_constant) {
            let nothing = |_: &Template, _: &mut String| {};
            let written = self.write(String::new(), nothing).ok();
            self.constant = written.map(|written| written.to_vec());
        }
        self
    }

    /// Everything that may vary.
    fn parts(&self) -> impl Iterator<Item = &Part> {
        let headers = self.headers.iter().map(|(_, part)| part);
        headers.chain([&self.target]).chain(self.body.texts())
    }

    /// The request with a VU's values; `buffer` is emptied and used where it has any.
    ///
    /// # Errors
    /// When a value cannot stand where it was filled in.
    pub fn render<R: Rng>(
        &self,
        scenario: &Scenario,
        values: &Values,
        rng: &mut R,
        mut buffer: String,
    ) -> Result<Rendered<'_>, BadRequest> {
        if let Some(constant) = &self.constant {
            return Ok(Rendered::Constant(constant));
        }
        buffer.clear();
        self.write(buffer, |template, out| {
            scenario.render_into(template, values, rng, out);
        })
    }

    /// Writes head and body (RFC 9112, section 3); the length stands before the body, which is
    /// rendered first.
    fn write(
        &self,
        mut buffer: String,
        mut fill: impl FnMut(&Template, &mut String),
    ) -> Result<Rendered<'static>, BadRequest> {
        let out = &mut buffer;
        let mut part = |part: &Part, out: &mut String| match part {
            Part::Constant(text) => out.push_str(text),
            Part::Varying(template) => fill(template, out),
        };
        out.push_str(self.method.as_str());
        out.push(' ');
        checked(out, |out| part(&self.target, out), is_target)?;
        out.push_str(" HTTP/1.1\r\n");
        for (name, value) in &self.headers {
            out.push_str(name.as_str());
            out.push_str(": ");
            checked(out, |out| part(value, out), is_field_value)?;
            out.push_str("\r\n");
        }
        let body = match &self.body {
            Body::Text(text) => text,
            Body::Pieces(pieces) => {
                let body = joined(pieces, part);
                let line = format!("content-length: {}\r\n\r\n", body.len());
                buffer.push_str(&line);
                let mut all = buffer.into_bytes();
                all.extend_from_slice(&body);
                return Ok(Rendered::WithFiles(all));
            }
        };
        let head = out.len();
        part(body, out);
        let length = out.len() - head;
        if length > 0 || expects_body(&self.method) {
            let line = format!("content-length: {length}\r\n\r\n");
            out.insert_str(head, &line);
        } else {
            out.push_str("\r\n");
        }
        Ok(Rendered::Varying(buffer))
    }
}

/// A body of texts and files.
fn joined(pieces: &[Piece], mut part: impl FnMut(&Part, &mut String)) -> Vec<u8> {
    let mut body = Vec::new();
    let mut text = String::new();
    for piece in pieces {
        match piece {
            Piece::File(bytes) => body.extend_from_slice(bytes),
            Piece::Text(piece) => {
                text.clear();
                part(piece, &mut text);
                body.extend_from_slice(text.as_bytes());
            }
        }
    }
    body
}

/// Appends something and checks each byte of it.
fn checked(
    out: &mut String,
    append: impl FnOnce(&mut String),
    holds: impl Fn(u8) -> bool,
) -> Result<(), BadRequest> {
    let from = out.len();
    append(out);
    if out.as_bytes()[from..].iter().all(|b| holds(*b)) {
        Ok(())
    } else {
        Err(BadRequest)
    }
}

/// Bytes of a request's target: visible ones of ASCII (RFC 9112, section 3.2).
fn is_target(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

/// Bytes of a header's value: no control characters but the tab (RFC 9110, section 5.5).
fn is_field_value(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

/// Methods whose requests say so when their body is empty (RFC 9110, section 8.6).
fn expects_body(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}
