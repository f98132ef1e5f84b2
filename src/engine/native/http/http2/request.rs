//! A request as HTTP/1.1 writes it, made one of HTTP/2 (RFC 9113, section 8.3).
//!
//! Fields that are about a connection of HTTP/1.1 have no meaning here and are left out; `host`
//! becomes `:authority`.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Request, Uri};

use crate::scenario::Origin;

/// Fields for which there is room at once.
const USUAL_FIELDS: usize = 32;
/// Most fields of a request.
const MOST_FIELDS: usize = 1024;

/// What is about a connection of HTTP/1.1 (RFC 9113, section 8.2.2).
const OF_CONNECTION: [&str; 6] = [
    "connection",
    "proxy-connection",
    "keep-alive",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// Writes requests to one origin.
pub(super) struct Writer {
    scheme: Scheme,
    authority: Option<Authority>,
    /// The last request, as it was written and as it was made of that: many are the same again and
    /// again.
    last: Option<(Vec<u8>, Request<()>, Bytes)>,
    /// How many were another than the one before.
    others: u32,
}

/// A request that is larger is not kept, and none where so many were others.
const KEPT: usize = 1024;
const OTHERS: u32 = 16;

/// It cannot be said in HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsayable;

impl Writer {
    pub(super) fn new(origin: &Origin) -> Self {
        Self {
            scheme: if origin.tls {
                Scheme::HTTPS
            } else {
                Scheme::HTTP
            },
            authority: origin.authority.parse().ok(),
            last: None,
            others: 0,
        }
    }

    /// The request of these bytes, and its body.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(Request<()>, Bytes), Unsayable> {
        if let Some((written, request, body)) = &self.last
            && written == bytes
        {
            return Ok((request.clone(), body.clone()));
        }
        let (request, body) = self.made(bytes)?;
        self.others = self.others.saturating_add(1);
        let kept = bytes.len() <= KEPT && self.others < OTHERS;
        self.last = kept.then(|| (bytes.to_vec(), request.clone(), body.clone()));
        Ok((request, body))
    }

    fn made(&mut self, bytes: &[u8]) -> Result<(Request<()>, Bytes), Unsayable> {
        let mut few = [httparse::EMPTY_HEADER; USUAL_FIELDS];
        let mut request = httparse::Request::new(&mut few);
        match request.parse(bytes) {
            Err(httparse::Error::TooManyHeaders) => {
                let mut many = vec![httparse::EMPTY_HEADER; MOST_FIELDS];
                let mut request = httparse::Request::new(&mut many);
                let parsed = request.parse(bytes);
                self.of_parsed(&request, parsed, bytes)
            }
            parsed => self.of_parsed(&request, parsed, bytes),
        }
    }

    fn of_parsed(
        &mut self,
        parsed: &httparse::Request<'_, '_>,
        status: httparse::Result<usize>,
        bytes: &[u8],
    ) -> Result<(Request<()>, Bytes), Unsayable> {
        let Ok(httparse::Status::Complete(head)) = status else {
            return Err(Unsayable);
        };
        let (Some(method), Some(path)) = (parsed.method, parsed.path) else {
            return Err(Unsayable);
        };
        let mut headers = HeaderMap::with_capacity(parsed.headers.len());
        for field in parsed.headers.iter() {
            if field.name.eq_ignore_ascii_case("host") {
                self.host(field.value)?;
            } else if is_said(field) {
                let name = HeaderName::from_bytes(field.name.as_bytes());
                let value = HeaderValue::from_bytes(field.value);
                headers.append(name.map_err(|_| Unsayable)?, value.map_err(|_| Unsayable)?);
            }
        }
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority.clone_from(&self.authority);
        parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(|_| Unsayable)?);
        let mut request = Request::new(());
        *request.method_mut() = Method::from_bytes(method.as_bytes()).map_err(|_| Unsayable)?;
        *request.uri_mut() = Uri::from_parts(parts).map_err(|_| Unsayable)?;
        *request.headers_mut() = headers;
        Ok((request, Bytes::copy_from_slice(&bytes[head..])))
    }

    /// Whom the request is for, as it says; mostly the origin.
    fn host(&mut self, value: &[u8]) -> Result<(), Unsayable> {
        let known = self.authority.as_ref();
        if known.is_none_or(|known| known.as_str().as_bytes() != value) {
            self.authority = Some(Authority::try_from(value).map_err(|_| Unsayable)?);
        }
        Ok(())
    }
}

/// Whether a field is sent.
fn is_said(field: &httparse::Header<'_>) -> bool {
    let is = |name: &str| field.name.eq_ignore_ascii_case(name);
    if is("te") {
        return field.value.eq_ignore_ascii_case(b"trailers");
    }
    !OF_CONNECTION.into_iter().any(is)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writer() -> Writer {
        Writer::new(&Origin {
            tls: true,
            host: "a.example".to_owned(),
            port: 8443,
            authority: "a.example:8443".to_owned(),
        })
    }

    #[test]
    fn what_is_about_a_connection_of_http_1_is_left_out() {
        let sent = b"POST /a?b=c HTTP/1.1\r\nhost: a.example:8443\r\nConnection: keep-alive, x\r\n\
            keep-alive: 5\r\nupgrade: h2c\r\ntransfer-encoding: chunked\r\nProxy-Connection: close\r\n\
            te: gzip\r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 4\r\n\r\nbody";
        let (request, body) = writer().write(sent).unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "https://a.example:8443/a?b=c");
        let fields: Vec<_> = (request.headers().iter())
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        assert_eq!(fields, ["x-a: 1", "x-a: 2", "content-length: 4"]);
        assert_eq!(&body[..], b"body");
    }

    #[test]
    fn another_host_is_said_as_it_is_and_trailers_may_come() {
        let mut writer = writer();
        let sent = b"GET / HTTP/1.1\r\nhost: b.example\r\nte: trailers\r\n\r\n";
        let (request, body) = writer.write(sent).unwrap();
        assert_eq!(request.uri(), "https://b.example/");
        assert_eq!(request.headers()["te"], "trailers");
        assert!(body.is_empty());
        let many = "x: y\r\n".repeat(USUAL_FIELDS + 1);
        let sent = format!("GET / HTTP/1.1\r\nhost: a.example:8443\r\n{many}\r\n");
        let (request, _) = writer.write(sent.as_bytes()).unwrap();
        assert_eq!(request.headers().len(), USUAL_FIELDS + 1);
        assert_eq!(request.uri().host(), Some("a.example"));
        assert!(writer.write(b"GET /").is_err());
    }

    #[test]
    fn a_request_that_comes_again_is_the_same_again_and_another_is_another() {
        let mut writer = writer();
        for number in 0..2 * OTHERS {
            let sent = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n{number}", number / 2);
            for _ in 0..2 {
                let (request, body) = writer.write(sent.as_bytes()).unwrap();
                assert_eq!(request.uri().path(), format!("/{}", number / 2));
                assert_eq!(body, number.to_string());
            }
        }
    }
}
