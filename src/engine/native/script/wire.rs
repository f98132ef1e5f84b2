//! A script's request as it is sent, where it goes, and what it is called.

use http::Method;
use http::header::HeaderName;
use url::Url;

use crate::scenario::Origin;
use breakpoint_script::exchange::HttpRequest;

/// What a request says of its sender where the script says nothing.
const AGENT: &str = concat!("breakpoint/", env!("CARGO_PKG_VERSION"));
/// Longest part of a path that has digits and letters of no word and is still taken for a name.
const SHORT: usize = 8;

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) origin: Origin,
    /// Path and query, as they stand in the request line.
    pub(super) target: String,
    /// The path with what differs from user to user folded.
    pub(super) path: String,
}

impl Place {
    /// Reads an address.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub(super) fn read(address: &str) -> Result<Self, String> {
        let url = Url::parse(address).map_err(|e| format!("invalid URL: {e}"))?;
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            other => return Err(format!("unsupported protocol scheme `{other}`")),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| "invalid URL: it has no host".to_owned())?;
        let port = url.port_or_known_default();
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        Ok(Self {
            origin: Origin {
                tls,
                host: host.trim_matches(['[', ']']).to_owned(),
                port: port.unwrap_or(if tls { 443 } else { 80 }),
                authority: match url.port() {
                    Some(port) => format!("{host}:{port}"),
                    None => host.to_owned(),
                },
            },
            target,
            path: folded(url.path()),
        })
    }
}

/// A path in whose parts numbers and ids stand as `#`, so that all users' requests of a kind have
/// one name.
fn folded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for (at, part) in path.split('/').enumerate() {
        if at > 0 {
            out.push('/');
        }
        out.push_str(if is_id(part) { "#" } else { part });
    }
    out
}

/// Whether a part of a path is the number or the id of something.
fn is_id(part: &str) -> bool {
    let digits = part.bytes().filter(u8::is_ascii_digit).count();
    let hex = |c: char| c.is_ascii_hexdigit() || matches!(c, '-' | '_');
    let is_number = digits > 0
        && part
            .chars()
            .all(|c| c.is_ascii_digit() || "-.,".contains(c));
    let is_hex = digits > 0 && part.len() >= SHORT && part.chars().all(hex);
    // A mix of letters and digits as long as that is no word.
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_token = digits > 0 && part.len() > 2 * SHORT && part.chars().all(word);
    is_number || is_hex || is_token
}

/// What becomes of the connection of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connecting {
    /// It is kept or closed, as the request says.
    AsAsked,
    /// It becomes a WebSocket.
    Upgrades,
}

/// The bytes of a request, as HTTP/1.1 writes it.
///
/// # Errors
/// Says what of it cannot be sent.
pub(super) fn render(
    request: &HttpRequest,
    place: &Place,
    connection: Connecting,
) -> Result<(Method, Vec<u8>), String> {
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|_| format!("invalid method `{}`", request.method))?;
    let body = request.body.as_deref().unwrap_or_default();
    let mut out = Vec::with_capacity(256 + body.len());
    let given = |wanted: &str| {
        let mut names = request.headers.iter().map(|(name, _)| name);
        names.any(|name| name.eq_ignore_ascii_case(wanted))
    };
    let mut put = |parts: &[&str]| {
        for part in parts {
            out.extend_from_slice(part.as_bytes());
        }
    };
    put(&[method.as_str(), " ", &place.target, " HTTP/1.1\r\n"]);
    if !given("host") {
        put(&["host: ", &place.origin.authority, "\r\n"]);
    }
    if !given("user-agent") {
        put(&["user-agent: ", AGENT, "\r\n"]);
    }
    for (name, value) in &request.headers {
        let fits = |b: u8| b == b'\t' || (b >= b' ' && b != 0x7f);
        if HeaderName::from_bytes(name.as_bytes()).is_err() || !value.bytes().all(fits) {
            return Err(format!("invalid header `{name}`"));
        }
        // How long the body is and whether the connection is kept is not for the script to say.
        let framing = [
            "content-length",
            "transfer-encoding",
            "connection",
            "upgrade",
            "sec-websocket-key",
            "sec-websocket-version",
        ];
        if !framing.iter().any(|own| name.eq_ignore_ascii_case(own)) {
            put(&[name, ": ", value, "\r\n"]);
        }
    }
    match connection {
        Connecting::Upgrades => {
            put(&["connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"]);
        }
        Connecting::AsAsked if request.keeps_connection => {}
        Connecting::AsAsked => put(&["connection: close\r\n"]),
    }
    let says_length = matches!(method, Method::POST | Method::PUT | Method::PATCH);
    if says_length || !body.is_empty() {
        put(&["content-length: ", &body.len().to_string(), "\r\n"]);
    }
    put(&["\r\n"]);
    out.extend_from_slice(body);
    Ok((method, out))
}

#[cfg(test)]
mod tests {
    use super::super::fake::get;
    use super::*;

    #[test]
    fn what_differs_from_user_to_user_is_folded_in_names() {
        for (path, name) in [
            ("/", "/"),
            ("/api/v1/users/42/orders", "/api/v1/users/#/orders"),
            ("/users/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "/users/#"),
            ("/o/507f1f77bcf86cd799439011/x", "/o/#/x"),
            ("/oauth2/token", "/oauth2/token"),
            ("/pi.php", "/pi.php"),
            ("/crocodiles/", "/crocodiles/"),
            ("/deadbeef", "/deadbeef"),
            ("/t/eyJ0eXAi0iJKV1Qi78LCJhbGc", "/t/#"),
            (
                "/blog/ten-ways-to-win-10-friends",
                "/blog/ten-ways-to-win-10-friends",
            ),
        ] {
            assert_eq!(folded(path), name);
        }
    }

    #[test]
    fn an_address_is_read_as_a_browser_does_and_what_is_none_says_so() {
        let place = Place::read("HTTP://Example.com:8080/a b?q=1&r=\u{fc}#x").unwrap();
        assert_eq!(place.target, "/a%20b?q=1&r=%C3%BC");
        assert_eq!(place.origin.authority, "example.com:8080");
        assert_eq!(Place::read("https://h").unwrap().origin.port, 443);
        assert_eq!(Place::read("http://[::1]:1/").unwrap().origin.host, "::1");
        for wrong in [
            "",
            "/path",
            "ftp://h/",
            "http://",
            "http://h:99999/",
            "http://a b/",
        ] {
            assert!(Place::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_header_cannot_become_two_and_framing_is_ours() {
        let mut request = get("http://h/");
        let place = Place::read(&request.url).unwrap();
        request.headers = vec![
            ("Content-Length".to_owned(), "7".to_owned()),
            ("X-A".to_owned(), "1".to_owned()),
        ];
        request.method = "POST".to_owned();
        request.body = Some(b"ab"[..].into());
        request.keeps_connection = false;
        let (_, bytes) = render(&request, &place, Connecting::AsAsked).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("POST / HTTP/1.1\r\nhost: h\r\nuser-agent: breakpoint/"));
        assert!(
            head.ends_with("X-A: 1\r\nconnection: close\r\ncontent-length: 2"),
            "{head}"
        );
        assert_eq!(body, "ab");
        for (name, value) in [("X-A", "1\r\nX-B: 2"), ("X A", "1"), ("", "1")] {
            request.headers = vec![(name.to_owned(), value.to_owned())];
            assert!(render(&request, &place, Connecting::AsAsked).is_err());
        }
    }
}
