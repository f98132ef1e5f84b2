//! Where a redirect leads, and the request that is sent there (RFC 9110, section 15.4). Pure.

use http::header::{
    AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST,
    PROXY_AUTHORIZATION,
};
use http::{Method, StatusCode};

use super::{BadRequest, Origin};

/// The request that follows a redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// Where it goes.
    pub origin: Origin,
    /// Its method.
    pub method: Method,
    /// Head and body, as they are sent.
    pub request: Vec<u8>,
}

/// Whether an answer of this status says where to go instead.
pub fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

impl Redirect {
    /// The request to send after `sent` was answered by `origin` with `status` and this `Location`.
    ///
    /// # Errors
    /// When the location cannot be read or is of another scheme than http and https.
    pub fn after(
        sent: &[u8],
        origin: &Origin,
        method: &Method,
        status: StatusCode,
        location: &str,
    ) -> Result<Self, BadRequest> {
        let sent = Sent::read(sent)?;
        let to = resolve(origin, sent.target, location)?;
        Ok(sent.again(origin, to, next_method(status, method)))
    }

    /// The request `sent` where its target is a whole address, or one that is relative to the root
    /// of `origin`: one that an answer gave.
    ///
    /// # Errors
    /// When the address cannot be read or is of another scheme than http and https.
    pub fn to_link(sent: &[u8], origin: &Origin, method: &Method) -> Result<Self, BadRequest> {
        let sent = Sent::read(sent)?;
        if sent.target.is_empty() {
            return Err(BadRequest);
        }
        let to = resolve(origin, "/", sent.target)?;
        Ok(sent.again(origin, to, method.clone()))
    }
}

/// A request as it was sent.
struct Sent<'a> {
    method: &'a str,
    target: &'a str,
    /// Name and value of each header.
    fields: Vec<(&'a str, &'a str)>,
    body: &'a [u8],
}

impl<'a> Sent<'a> {
    fn read(sent: &'a [u8]) -> Result<Self, BadRequest> {
        let end = sent.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, body) = sent.split_at(end.ok_or(BadRequest)?);
        let head = std::str::from_utf8(head).map_err(|_| BadRequest)?;
        let mut lines = head.split("\r\n");
        let mut line = lines.next().unwrap_or_default().split(' ');
        let method = line.next().ok_or(BadRequest)?;
        let target = line.next().ok_or(BadRequest)?;
        let fields = lines.map(|field| field.split_once(": ").ok_or(BadRequest));
        Ok(Self {
            method,
            target,
            fields: fields.collect::<Result<_, _>>()?,
            body: &body[4..],
        })
    }

    /// The same to another place.
    fn again(&self, origin: &Origin, (to, target): (Origin, String), method: Method) -> Redirect {
        let keeps_body = method.as_str() == self.method;
        let same = same_origin(origin, &to);
        let mut request = format!("{method} {target} HTTP/1.1\r\n");
        for (name, value) in self.fields.iter().copied() {
            let value = match name {
                n if HOST == n && !same => &to.authority,
                n if is_secret(n) && !same => continue,
                n if is_of_body(n) && !keeps_body => continue,
                _ => value,
            };
            for part in [name, ": ", value, "\r\n"] {
                request.push_str(part);
            }
        }
        request.push_str("\r\n");
        let mut request = request.into_bytes();
        if keeps_body {
            request.extend_from_slice(self.body);
        }
        Redirect {
            origin: to,
            method,
            request,
        }
    }
}

/// 303 asks for a look at something else; of 301 and 302 that is what clients have always made of a
/// POST.
fn next_method(status: StatusCode, method: &Method) -> Method {
    match (status.as_u16(), method) {
        (_, &Method::HEAD) => Method::HEAD,
        (303, _) | (301 | 302, &Method::POST) => Method::GET,
        _ => method.clone(),
    }
}

/// Headers meant for the origin that they were first sent to.
fn is_secret(name: &str) -> bool {
    [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION]
        .iter()
        .any(|secret| secret == name)
}

/// Headers that say something of a body.
fn is_of_body(name: &str) -> bool {
    [CONTENT_LENGTH, CONTENT_TYPE, CONTENT_ENCODING]
        .iter()
        .any(|of_body| of_body == name)
}

/// Whether two origins are the same place, however they are written.
pub fn same_origin(a: &Origin, b: &Origin) -> bool {
    a.tls == b.tls && a.port == b.port && a.host.eq_ignore_ascii_case(&b.host)
}

/// A location read relative to what was asked for (RFC 3986, section 5.2): its origin and its
/// target.
fn resolve(origin: &Origin, asked: &str, location: &str) -> Result<(Origin, String), BadRequest> {
    let location = location.trim().split('#').next().unwrap_or_default();
    let scheme = location.split(['/', '?']).next().unwrap_or_default();
    let absolute = if location.starts_with("//") {
        let scheme = if origin.tls { "https:" } else { "http:" };
        Some(format!("{scheme}{location}"))
    } else if scheme.contains(':') {
        Some(location.to_owned())
    } else {
        None
    };
    let (to, target) = match &absolute {
        Some(absolute) => {
            let (to, rest) = Origin::split(absolute).map_err(|_| BadRequest)?;
            (to, rest.to_owned())
        }
        None => (origin.clone(), relative(asked, location)),
    };
    let target = if target.starts_with('/') {
        target
    } else {
        format!("/{target}")
    };
    // What cannot stand in a request line must not get into one.
    if !target.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(BadRequest);
    }
    Ok((to, target))
}

fn relative(asked: &str, location: &str) -> String {
    let path = asked.split('?').next().unwrap_or_default();
    if location.is_empty() {
        return asked.to_owned();
    }
    if location.starts_with('?') {
        return format!("{path}{location}");
    }
    let (place, query) = match location.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (location, None),
    };
    let whole = if place.starts_with('/') {
        place.to_owned()
    } else {
        let folder = path.rfind('/').map_or("/", |at| &path[..=at]);
        format!("{folder}{place}")
    };
    let mut target = without_dots(&whole);
    if let Some(query) = query {
        target.push('?');
        target.push_str(query);
    }
    target
}

/// A path without `.` and `..` (RFC 3986, section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_in_folder = false;
    for part in path.split('/').skip(1) {
        ends_in_folder = matches!(part, "." | "..");
        match part {
            "." => {}
            ".." => drop(kept.pop()),
            part => kept.push(part),
        }
    }
    if ends_in_folder {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        Origin::split(url).unwrap().0
    }

    fn follow(
        method: &Method,
        status: u16,
        location: &str,
    ) -> Result<(String, String), BadRequest> {
        let sent = format!(
            "{method} /a/b?q=1 HTTP/1.1\r\nhost: h:81\r\nauthorization: Bearer t\r\n\
             content-type: text/plain\r\ncontent-length: 4\r\n\r\nbody"
        );
        let status = StatusCode::from_u16(status).unwrap();
        let from = origin("http://h:81");
        let next = Redirect::after(sent.as_bytes(), &from, method, status, location)?;
        let request = String::from_utf8(next.request).unwrap();
        let scheme = if next.origin.tls { "https" } else { "http" };
        assert!(request.starts_with(&format!("{} /", next.method)));
        Ok((format!("{scheme}://{}", next.origin.authority), request))
    }

    #[test]
    fn methods_change_as_the_status_says() {
        for (status, method, then) in [
            (303, Method::POST, Method::GET),
            (303, Method::PUT, Method::GET),
            (303, Method::HEAD, Method::HEAD),
            (301, Method::POST, Method::GET),
            (302, Method::POST, Method::GET),
            (302, Method::PUT, Method::PUT),
            (301, Method::GET, Method::GET),
            (307, Method::POST, Method::POST),
            (308, Method::POST, Method::POST),
        ] {
            let (_, request) = follow(&method, status, "/c").unwrap();
            let line = format!("{then} /c HTTP/1.1\r\n");
            assert!(request.starts_with(&line), "{status} {method}: {request}");
            let keeps_body = then == method;
            assert_eq!(request.ends_with("\r\n\r\nbody"), keeps_body, "{request}");
            assert_eq!(request.contains("content-length: 4"), keeps_body);
            assert_eq!(request.contains("content-type"), keeps_body);
        }
        assert!(is_redirect(StatusCode::FOUND));
        assert!(!is_redirect(StatusCode::NOT_MODIFIED));
        assert!(!is_redirect(StatusCode::OK));
    }

    #[test]
    fn locations_are_read_relative_to_what_was_asked_for() {
        for (location, to, target) in [
            ("/c", "http://h:81", "/c"),
            ("c", "http://h:81", "/a/c"),
            ("../c/./d?x=../y", "http://h:81", "/c/d?x=../y"),
            ("..", "http://h:81", "/"),
            ("?y", "http://h:81", "/a/b?y"),
            ("", "http://h:81", "/a/b?q=1"),
            ("/c#part", "http://h:81", "/c"),
            ("//other/c", "http://other", "/c"),
            ("https://other", "https://other", "/"),
            ("http://h:82?z", "http://h:82", "/?z"),
            ("/to?u=http://x", "http://h:81", "/to?u=http://x"),
        ] {
            let (origin, request) = follow(&Method::GET, 302, location).unwrap();
            let line = format!("GET {target} HTTP/1.1\r\n");
            assert!(request.starts_with(&line), "{location}: {request}");
            assert_eq!(origin, to, "{location}");
        }
        for bad in ["ftp://h/x", "mailto:a@b", "/a b", "/a\r\nx: y", "http://"] {
            assert_eq!(follow(&Method::GET, 302, bad), Err(BadRequest), "{bad:?}");
        }
    }

    #[test]
    fn secrets_stay_with_the_origin_that_they_were_meant_for() {
        let (_, request) = follow(&Method::GET, 307, "http://H:81/c").unwrap();
        assert!(request.contains("authorization: Bearer t\r\n"), "{request}");
        assert!(request.contains("host: h:81\r\n"), "{request}");
        let (_, request) = follow(&Method::GET, 307, "http://other/c").unwrap();
        assert!(!request.contains("authorization"), "{request}");
        assert!(request.contains("host: other\r\n"), "{request}");
    }
}
