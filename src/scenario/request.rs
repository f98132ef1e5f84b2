//! Requests of a scenario: where they go, what is in them, what is expected and taken from the answer.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use rand::Rng;

use super::{Scenario, Template, Values};

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

impl Origin {
    /// Splits an address into its origin and what follows (`/path?query`, may be empty).
    pub(super) fn split(address: &str) -> Result<(Self, &str), String> {
        let (scheme, rest) = address.split_once("://").ok_or_else(|| {
            format!("`{address}` is not an address; write it with its scheme, as in `http://127.0.0.1:8080`")
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
                "the host in `{address}` cannot vary; put templates behind it only"
            ));
        }
        let parsed: http::uri::Authority = authority
            .parse()
            .map_err(|e| format!("`{authority}` is not a host with an optional port: {e}"))?;
        if authority.contains('@') {
            return Err(format!(
                "`{address}` carries a user name; send it as an `authorization` header instead"
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

/// A value to take from an answer or an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extract {
    /// Where it goes; see [`Values::set`].
    pub slot: usize,
    /// Where it stands.
    pub from: ExtractFrom,
}

/// Where a value stands in an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtractFrom {
    /// JSON pointer into the body or the event's data.
    Json(String),
    /// A response header.
    Header(HeaderName),
}

/// A JSON value as a template fills it in: strings bare, the rest as JSON; `None` for null.
pub fn json_text(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => Some(value.to_string()),
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
    pub(super) target: Part<Uri>,
    pub(super) headers: HeaderMap,
    pub(super) varying_headers: Vec<(HeaderName, Template)>,
    pub(super) body: Part<Bytes>,
    pub(super) expect: Expect,
    pub(super) extract: Vec<Extract>,
}

/// A part of a request: the same for all, or rendered each time.
#[derive(Debug, Clone)]
pub(super) enum Part<T> {
    Constant(T),
    Varying(Template),
}

impl RequestTemplate {
    /// Index of the origin.
    pub fn origin(&self) -> usize {
        self.origin
    }

    /// Which statuses count as success.
    pub fn expect(&self) -> &Expect {
        &self.expect
    }

    /// Values to take from the answer.
    pub fn extract(&self) -> &[Extract] {
        &self.extract
    }

    /// Whether the answer's body must be kept for an extraction.
    pub fn needs_body(&self) -> bool {
        self.extract
            .iter()
            .any(|e| matches!(e.from, ExtractFrom::Json(_)))
    }

    /// The request with a VU's values; its address is the path and query alone.
    ///
    /// # Errors
    /// When a value cannot stand where it was filled in.
    pub fn build<R: Rng>(
        &self,
        scenario: &Scenario,
        values: &Values,
        rng: &mut R,
    ) -> Result<Request<Bytes>, BadRequest> {
        let body = match &self.body {
            Part::Constant(body) => body.clone(),
            Part::Varying(template) => Bytes::from(scenario.render(template, values, rng)),
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = match &self.target {
            Part::Constant(uri) => uri.clone(),
            Part::Varying(template) => scenario
                .render(template, values, rng)
                .try_into()
                .map_err(|_| BadRequest)?,
        };
        *request.headers_mut() = self.headers.clone();
        for (name, template) in &self.varying_headers {
            let value = scenario.render(template, values, rng);
            let value = HeaderValue::try_from(value).map_err(|_| BadRequest)?;
            request.headers_mut().insert(name.clone(), value);
        }
        Ok(request)
    }
}
