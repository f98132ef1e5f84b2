//! What no request can have is left out before the profile is written: a recording may be
//! anybody's.

use http::header::{HeaderName, HeaderValue};
use http::uri::Authority;
use http::{Method, Uri};

use super::Reading;
use super::call::Call;

/// Redirects of one request that a scenario follows.
const MOST_REDIRECTS: u32 = 20;
/// Longest path that a line about it quotes.
pub(super) const MOST_SHOWN: usize = 80;

/// Leaves out what cannot be sent, and says so.
pub(super) fn keep(reading: &mut Reading) {
    let calls = std::mem::take(&mut reading.calls);
    for mut call in calls {
        call.path = encoded(&call.path);
        match why_not(&call) {
            None => {
                call.redirects = call.redirects.min(MOST_REDIRECTS);
                headers(&mut call, reading);
                reading.calls.push(call);
            }
            Some(why) => {
                let path: String = call.path.chars().take(MOST_SHOWN).collect();
                reading.tell(format!("left out: {} {path}: {why}", call.method));
            }
        }
    }
}

fn why_not(call: &Call) -> Option<&'static str> {
    match Method::from_bytes(call.method.as_bytes()) {
        Ok(Method::CONNECT) | Err(_) => return Some("its method is not one of a request"),
        Ok(_) => {}
    }
    let authority = call.origin.split_once("://").map_or("", |(_, a)| a);
    let known = authority.parse::<Authority>();
    if !has_valid_port(authority) || known.map_or(true, |a| a.host().is_empty()) {
        return Some("its host or port is not valid");
    }
    // What is filled in is checked when it is.
    let path = without_placeholders(&call.path);
    if !path.starts_with('/') || path.parse::<Uri>().is_err() {
        return Some("its path is not valid");
    }
    let colon = |(user, _): &(String, String)| user.contains(':');
    call.basic
        .as_ref()
        .is_some_and(colon)
        .then_some("its user name has a colon")
}

/// Whether nothing stands behind the host, or a port that somebody can listen on.
fn has_valid_port(authority: &str) -> bool {
    let behind = match authority.strip_prefix('[') {
        Some(inner) => inner.split_once(']').map_or(":", |(_, behind)| behind),
        None => authority.find(':').map_or("", |at| &authority[at..]),
    };
    let digits = behind.strip_prefix(':');
    let digits = digits.filter(|p| p.bytes().all(|b| b.is_ascii_digit()));
    behind.is_empty() || digits.is_some_and(|p| p.parse::<u16>().is_ok_and(|p| p > 0))
}

fn without_placeholders(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        out.push_str(&rest[..open]);
        out.push('x');
        rest = rest[open..].split_once("}}").map_or("", |(_, after)| after);
    }
    out.push_str(rest);
    out
}

/// A path with what no address has percent-encoded, outside of placeholders.
fn encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(open) = rest.find("{{") {
        encode(&rest[..open], &mut out);
        let end = rest[open..]
            .find("}}")
            .map_or(rest.len(), |at| open + at + 2);
        // The sign `{{` itself is no placeholder.
        match &rest[open..end] {
            "{{ \"{{\" }}" => out.push_str("%7B%7B"),
            "{{ \"{\" }}" => out.push_str("%7B"),
            placeholder => out.push_str(placeholder),
        }
        rest = &rest[end..];
    }
    encode(rest, &mut out);
    out
}

fn encode(text: &str, out: &mut String) {
    for c in text.chars() {
        if c.is_ascii_graphic() && !"\"<>\\^`{|}#".contains(c) {
            out.push(c);
        } else {
            crate::secret::push_percent_encoded(out, c.encode_utf8(&mut [0; 4]));
        }
    }
}

fn headers(call: &mut Call, reading: &mut Reading) {
    let fits = |(name, value): &(String, String)| {
        let value = without_placeholders(value);
        let made = ["content-length", "transfer-encoding"].contains(&name.as_str());
        !made && HeaderName::try_from(name.as_str()).is_ok() && HeaderValue::try_from(value).is_ok()
    };
    let before = call.headers.len();
    call.headers.retain(fits);
    let lost = before - call.headers.len();
    if lost > 0 {
        let path: String = call.path.chars().take(MOST_SHOWN).collect();
        reading.tell(format!(
            "left out: {lost} headers of {} {path}, which no request can have",
            call.method
        ));
    }
}
