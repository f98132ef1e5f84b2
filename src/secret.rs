//! Secrets: where they come from, and how an address is shown without them.
//!
//! A text takes them as `{{ env.NAME }}` or `{{ file("/run/secrets/name") }}`. Who looks them up is
//! the business of others.

mod markup;
mod words;

use core::net::IpAddr;
use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;
use std::ops::Range;

mod spelling;

pub use markup::markup_masked;
pub use spelling::spellings;

pub use words::{is_credential, line_masked, named_values_masked, parts_of_cookie};

/// Parts of names of query parameters whose values are nobody's business.
const NAMES: &[&str] = &[
    "auth",
    "bearer",
    "credential",
    "jwt",
    "key",
    "pass",
    "pwd",
    "secret",
    "sig",
    "token",
];
/// What stands in a secret's place.
pub const MASK: &str = "***";

/// A secret shorter than this is left where it comes up: a word that happens to be the same would
/// be masked as well.
const LEAST_HIDDEN: usize = 4;

/// Secrets that were given to another program, whose words must not repeat them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Hidden(Vec<String>);

impl Hidden {
    /// Of these values; those of less than four bytes cannot be hidden.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let values = values.into_iter();
        let mut values: Vec<String> = values.filter(|v| v.len() >= LEAST_HIDDEN).collect();
        // One that holds another goes first.
        values.sort_by_key(|v| std::cmp::Reverse(v.len()));
        Self(values)
    }

    /// Whether one of them is in a text.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.iter().any(|secret| text.contains(secret))
    }

    /// A text without them.
    pub fn in_text(&self, text: &str) -> String {
        let all = self.0.iter();
        all.fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
    }

    /// The same of a text that was cut: a secret may begin at its end and have no end.
    pub fn in_cut_text(&self, text: &str) -> String {
        let text = self.in_text(text);
        let begins = |secret: &String| {
            let lengths = LEAST_HIDDEN..secret.len().min(text.len() + 1);
            let cuts = lengths.rev().filter(|n| secret.is_char_boundary(*n));
            cuts.map(|n| &secret[..n])
                .find(|cut| text.ends_with(cut))
                .map(str::len)
        };
        match self.0.iter().filter_map(begins).max() {
            Some(cut) => format!("{}{MASK}", &text[..text.len() - cut]),
            None => text,
        }
    }

    /// The same of bytes, which are left alone where there is nothing to hide.
    pub fn in_bytes<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        if self.0.is_empty() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(self.in_text(&String::from_utf8_lossy(text)).into_bytes())
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

/// Where a secret is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// A variable of the environment.
    Env(&'a str),
    /// A file, whose last line break does not count.
    File(&'a str),
}

/// Looks a secret up; `None` where it is not there.
pub type Lookup<'a> = dyn Fn(Place<'_>) -> Option<String> + 'a;

impl<'a> Place<'a> {
    /// The place that the inside of a `{{ }}` names, if it names one.
    fn read(inside: &'a str) -> Option<Self> {
        let inside = inside.trim();
        let file = || {
            let argument = inside.strip_prefix("file(")?.strip_suffix(')')?.trim();
            let quoted = |q: char| argument.strip_prefix(q)?.strip_suffix(q);
            quoted('"').or_else(|| quoted('\'')).map(Self::File)
        };
        inside.strip_prefix("env.").map(Self::Env).or_else(file)
    }

    fn missing(self) -> String {
        match self {
            Self::Env(name) => format!(
                "environment variable `{name}` is not set; `export {name}=...` before the run"
            ),
            Self::File(path) => {
                format!("the file `{path}` cannot be read, or is not text of at most 64 KiB")
            }
        }
    }

    fn name(self) -> String {
        match self {
            Self::Env(name) => format!("environment variable `{name}`"),
            Self::File(path) => format!("the file `{path}`"),
        }
    }
}

/// The places that a text takes secrets from, as people name them.
pub fn places(text: &str) -> impl Iterator<Item = String> + '_ {
    let placeholders = text.split("{{").skip(1);
    let insides = placeholders.filter_map(|p| p.split_once("}}").map(|(inside, _)| inside));
    insides.filter_map(|inside| Some(Place::read(inside)?.name()))
}

/// The host of an address that may have placeholders, with its port; nothing of a text that is no
/// address.
pub fn host_of(address: &str) -> &str {
    let who = who_asks_in_template(address);
    let begin = match (&who, address.find("://")) {
        (Some(who), _) => who.end + 1,
        (None, Some(scheme)) => scheme + 3,
        (None, None) => return "",
    };
    let rest = &address[begin..];
    &rest[..outside(rest, &['/', '?', '#']).unwrap_or(rest.len())]
}

/// Where who asks stands in an address that may have placeholders, without its `@`.
fn who_asks_in_template(address: &str) -> Option<Range<usize>> {
    let begin = address.find("://")? + 3;
    let rest = &address[begin..];
    let end = outside(rest, &['/', '?', '#']).unwrap_or(rest.len());
    let mut last = None;
    let mut from = 0;
    while let Some(at) = outside(&rest[from..end], &['@']) {
        last = Some(from + at);
        from += at + 1;
    }
    last.map(|last| begin..begin + last)
}

/// Where one of these signs stands first outside of placeholders.
fn outside(text: &str, signs: &[char]) -> Option<usize> {
    let mut from = 0;
    loop {
        let rest = &text[from..];
        let open = rest.find("{{").unwrap_or(rest.len());
        if let Some(at) = rest[..open].find(signs) {
            return Some(from + at);
        }
        from += open + rest[open..].find("}}")? + 2;
    }
}

/// The same of an address: what stands for who asks may have any signs, for there they are encoded.
///
/// # Errors
/// As [`fill`].
pub fn fill_address(address: &str, lookup: &Lookup<'_>) -> Result<String, String> {
    let Some(who) = who_asks_in_template(address) else {
        return fill(address, lookup);
    };
    let encoded = |place: Place<'_>| {
        let value = lookup(place)?;
        let ends = |c: char| c.is_ascii_graphic() && !"/?#@[]\\\"<>^`{|}".contains(c);
        Some(value.chars().fold(String::new(), |mut out, c| {
            if ends(c) {
                out.push(c);
            } else {
                push_percent_encoded(&mut out, c.encode_utf8(&mut [0; 4]));
            }
            out
        }))
    };
    let (before, behind) = (&address[..who.start], &address[who.end..]);
    let who = fill(&address[who.clone()], &encoded)?;
    Ok(format!(
        "{}{who}{}",
        fill(before, lookup)?,
        fill(behind, lookup)?
    ))
}

/// Replaces `{{ env.NAME }}` and `{{ file("PATH") }}` by what is found there; other placeholders
/// stay.
///
/// The value is the author's text as if it had been written there; braces in it are not looked into
/// again.
///
/// # Errors
/// Names the place where nothing was found, or what cannot stand in a template; never a value.
pub fn fill(text: &str, lookup: &Lookup<'_>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        let inside = &rest[open + 2..];
        let Some(close) = inside.find("}}") else {
            // Told of the text as it was written: later it has values in it.
            return Err(format!("`{{{{` without `}}}}` in \"{text}\""));
        };
        let (before, after) = (&rest[..open], &inside[close + 2..]);
        out.push_str(before);
        if let Some(place) = Place::read(&inside[..close]) {
            let value = lookup(place).ok_or_else(|| place.missing())?;
            if value.contains("{{") {
                return Err(format!(
                    "{} contains `{{{{`, which a template cannot hold",
                    place.name()
                ));
            }
            out.push_str(&value);
        } else {
            out.push_str(&rest[open..open + 2 + close + 2]);
        }
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// An address (or any text) without the secrets of an address in it: who asks (`user:password@`),
/// and secret parameters.
pub fn masked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for secret in secrets_at(text) {
        out.push_str(&text[from..secret.start]);
        out.push_str(MASK);
        from = secret.end;
    }
    out.push_str(&text[from..]);
    out
}

/// The secrets of an address themselves: as they are written there, and as they are meant where
/// they are percent-encoded.
pub fn of_address(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for secret in secrets_at(text) {
        let whole = &text[secret];
        // Of who asks the name is no secret, unless it stands alone.
        let password = whole
            .split_once(':')
            .map_or(whole, |(_, password)| password);
        for part in [whole, password] {
            let meant = percent_decoded(part);
            found.extend([part.to_owned(), meant]);
        }
    }
    found.retain(|secret| !secret.is_empty() && !secret.contains("{{"));
    found.sort_unstable();
    found.dedup();
    found
}

/// The secrets of every address in the texts of a profile.
pub fn of_texts(profile: &str) -> Vec<String> {
    let texts = profile.split(['"', '\'', '\n']);
    texts
        .filter(|t| t.contains("://"))
        .flat_map(of_address)
        .collect()
}

/// Where the secrets of addresses stand in a text, from left to right.
fn secrets_at(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut scheme = text.find("://");
    if scheme.is_none() {
        in_address(text, 0..text.len(), Scheme::Unsaid, &mut found);
    }
    while let Some(at) = scheme {
        let begin = at + "://".len();
        let next = text[begin..].find("://").map(|next| begin + next);
        let is_web = ["http", "https"].iter().any(|web| {
            let before = &text.as_bytes()[..at];
            let scheme = before.len().checked_sub(web.len()).map(|n| &before[n..]);
            scheme.is_some_and(|s| s.eq_ignore_ascii_case(web.as_bytes()))
        });
        let kind = if is_web { Scheme::Web } else { Scheme::Other };
        in_address(text, begin..next.unwrap_or(text.len()), kind, &mut found);
        scheme = next;
    }
    // One may hold another: a token with an address in it.
    found.sort_by_key(|secret| secret.start);
    let mut apart: Vec<Range<usize>> = Vec::new();
    for secret in found {
        match apart.last_mut() {
            Some(last) if secret.start <= last.end => last.end = last.end.max(secret.end),
            _ => apart.push(secret),
        }
    }
    apart
}

/// What is known of an address by its scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    /// HTTP: an `@` may stand in its path.
    Web,
    /// Of another service: there is no path that one could stand in.
    Other,
    /// None is written: perhaps it was forgotten, or the text is the part behind a host, or no
    /// address at all.
    Unsaid,
}

/// The secrets of the address that stands there, before the next one in the text begins.
fn in_address(text: &str, place: Range<usize>, kind: Scheme, found: &mut Vec<Range<usize>>) {
    let begin = place.start;
    // Where no port stands behind the host it is a password, which may have anything in it.
    let rest = if no_port(&text[place.clone()]) {
        &text[begin..]
    } else {
        &text[place.clone()]
    };
    let who = who_asks(rest, kind);
    if let Some(end) = who {
        found.push(begin..begin + end);
    }
    let behind = (begin + who.unwrap_or(0)).min(place.end);
    let from = text[behind..place.end].find(['?', '#', ';']);
    // A word that has no address in it has no parameters either: `token_bucket.rate==0`.
    let Some(from) = from.map(|from| behind + from) else {
        return;
    };
    let mut at = from;
    for piece in text[from..place.end].split(['?', '#', '&', ';']) {
        if let Some((name, value)) = piece.split_once('=')
            && !value.is_empty()
            && (is_secret_parameter(name) || is_secret_value(value))
        {
            let start = at + name.len() + 1;
            // A value may have `?`, and whole addresses, in it.
            let ends = |c: char| c.is_whitespace() || matches!(c, '&' | ';');
            // Blanks within a placeholder end no value.
            let inside = text[start..].strip_prefix("{{").and_then(|v| v.find("}}"));
            let passed = start + inside.map_or(0, |at| at + 4);
            let end = passed - start + text[passed..].find(ends).unwrap_or(text.len() - passed);
            found.push(start..start + end);
        }
        at += piece.len() + 1;
    }
}

/// How long the part of an address is that says who asks, without its `@`. A password may have
/// signs in it that would end the host: what is no host for sure, and has an `@` behind it, is
/// taken for one.
fn who_asks(rest: &str, kind: Scheme) -> Option<usize> {
    let word = rest.find(char::is_whitespace).unwrap_or(rest.len());
    // Blanks within a placeholder end no address.
    let word = if rest[..word].contains("{{") {
        rest.len()
    } else {
        word
    };
    let last = rest[..word].rfind('@')?;
    let host = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    let is_who = match kind {
        Scheme::Web => host.contains('@') || (host.contains(':') && !is_certain(host)),
        Scheme::Other => true,
        Scheme::Unsaid => rest[..last].contains(':') && host.contains(':') && !is_certain(host),
    };
    is_who.then_some(last)
}

/// Whether a host is followed by something that is no port.
fn no_port(address: &str) -> bool {
    let host = &address[..address.find(['/', '?', '#', '@']).unwrap_or(address.len())];
    let port = host.split_once(':').filter(|_| !host.starts_with('['));
    port.is_some_and(|(_, port)| port.bytes().any(|b| !b.is_ascii_digit()))
}

/// Whether this can be nothing but a host with a port: an address of this kind is not who asks.
fn is_certain(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(inner) => inner.split_once(']').unwrap_or((inner, "")),
        None => host.split_once(':').unwrap_or((host, "")),
    };
    let port = port.strip_prefix(':').unwrap_or(port);
    let is_host = name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok();
    is_host && port.bytes().all(|b| b.is_ascii_digit())
}

/// Parameters of addresses whose values prove who asks, by their whole names; as parts of other
/// names they are too common.
const PARAMETERS: &[&str] = &[
    "assertion",
    "code",
    "cookie",
    "cred",
    "creds",
    "csrf",
    "hmac",
    "jsessionid",
    "magic",
    "mfa",
    "nonce",
    "otp",
    "pat",
    "phpsessid",
    "pin",
    "psw",
    "pw",
    "refresh",
    "samlrequest",
    "samlresponse",
    "sess",
    "sid",
    "ticket",
    "tok",
    "totp",
    "xsrf",
];

/// Whether the value of a parameter or a field of this name proves who asks.
pub fn is_secret_parameter(name: &str) -> bool {
    let name = percent_decoded(name);
    let name = name.rsplit(['/', '.', '[']).next().unwrap_or_default();
    let name = name.trim_end_matches(']').to_ascii_lowercase();
    let plain = name.replace(['-', '_'], "");
    names_a_secret(&name) || name.contains("session") || PARAMETERS.contains(&plain.as_str())
}

/// A value that nobody would write by hand: a JSON web token, an address that has secrets itself.
fn is_secret_value(value: &str) -> bool {
    let is_token = value.starts_with("eyJ") && value.len() >= 20;
    let meant = percent_decoded(value);
    is_token || (meant.contains("://") && meant != value && !secrets_at(&meant).is_empty())
}

/// A text with what is percent-encoded in it as it is meant; what is no UTF-8 then is left out.
pub fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = text.get(at + 1..at + 3).filter(|_| *byte == b'%');
        // A sign before a digit would be read as part of the number.
        let digits = digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        if let Some(meant) = digits.and_then(|d| u8::from_str_radix(d, 16).ok()) {
            out.push(meant);
            at += 3;
        } else {
            out.push(*byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Headers whose values prove who asks, beside those whose names say so.
const HEADERS: &[&str] = &["cookie", "set-cookie"];

/// Whether the value of a header is nobody's business.
pub fn is_secret_header(name: &str) -> bool {
    HEADERS.iter().any(|h| name.eq_ignore_ascii_case(h)) || names_a_secret(name)
}

/// Appends a text as one piece of an address: everything but the unreserved characters of RFC 3986,
/// section 2.3, is encoded.
pub fn push_percent_encoded(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            write!(out, "%{byte:02X}").ok();
        }
    }
}

/// What is percent-encoded with small letters, as some write it.
fn with_small_digits(encoded: &str) -> String {
    let mut digits = 0;
    let small = encoded.chars().map(|c| {
        digits = if c == '%' {
            3_usize
        } else {
            digits.saturating_sub(1)
        };
        if digits > 0 {
            c.to_ascii_lowercase()
        } else {
            c
        }
    });
    small.collect()
}

/// Whether a name says that its value is a secret.
pub fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Result<String, String> {
        fill(text, &|place| match place {
            Place::Env("KEY") => Some("abc".to_owned()),
            Place::Env("BRACES") => Some("{{ vu }}".to_owned()),
            Place::File("/run/secrets/x") => Some("of a file".to_owned()),
            _ => None,
        })
    }

    #[test]
    fn secrets_come_from_the_environment_and_from_files() {
        assert_eq!(
            filled("a {{ env.KEY }} {{ vu }} {{env.KEY}}").unwrap(),
            "a abc {{ vu }} abc"
        );
        assert_eq!(
            filled("Bearer {{ file(\"/run/secrets/x\") }}!").unwrap(),
            "Bearer of a file!"
        );
        assert_eq!(
            filled("{{ file( '/run/secrets/x' ) }}").unwrap(),
            "of a file"
        );
        for as_it_is in ["{{ file(x) }}", "{{ uuid() }}", "}} {", ""] {
            assert_eq!(filled(as_it_is).unwrap(), as_it_is);
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        let why = filled("{{ env.NO }}").unwrap_err();
        assert!(why.contains("`NO` is not set"), "{why}");
        let why = filled("{{ file(\"/no\") }}").unwrap_err();
        assert!(why.contains("the file `/no` cannot be read"), "{why}");
        let why = filled("{{ env.KEY }} {{ env").unwrap_err();
        assert_eq!(why, "`{{` without `}}` in \"{{ env.KEY }} {{ env\"");
        let why = filled("{{ env.BRACES }}").unwrap_err();
        assert!(
            why.contains("`BRACES` contains") && !why.contains("vu"),
            "{why}"
        );
    }

    #[test]
    fn what_another_program_was_given_is_hidden_in_its_words() {
        let hidden = Hidden::new(["hunter2", "hunter2-long", "abc", ""].map(str::to_owned));
        assert_eq!(
            hidden.in_text("hunter2-long, hunter2: abc"),
            "***, ***: abc"
        );
        assert_eq!(*hidden.in_bytes(b"a hunter2"), *b"a ***");
        assert!(matches!(
            Hidden::default().in_bytes(b"x"),
            Cow::Borrowed(b"x")
        ));
        assert_eq!(format!("{hidden:?}"), "2 secrets");
    }

    #[test]
    fn a_secret_that_was_cut_is_hidden() {
        let hidden = Hidden::new(["hunter2-long".to_owned(), "straße-ü".to_owned()]);
        assert_eq!(hidden.in_cut_text("it is hunter2-l"), "it is ***");
        assert_eq!(hidden.in_cut_text("it is hun"), "it is hun");
        assert_eq!(hidden.in_cut_text("it is stra\u{df}e-"), "it is ***");
        assert_eq!(hidden.in_cut_text("hunter2-long!"), "***!");
    }

    #[test]
    fn secrets_in_addresses_are_masked_and_nothing_else() {
        for (typed, shown) in [
            ("find", "find"),
            ("p99<2s", "p99<2s"),
            (
                "http://127.0.0.1:8080/api?page=2",
                "http://127.0.0.1:8080/api?page=2",
            ),
            (
                "--url=https://host/?api_key=abc&n=1&Token=t",
                "--url=https://host/?api_key=***&n=1&Token=***",
            ),
            (
                "http://me:p@ss@127.0.0.1:9090/api/v1/write",
                "http://***@127.0.0.1:9090/api/v1/write",
            ),
            (
                "redis://:pass@127.0.0.1:6379/0",
                "redis://***@127.0.0.1:6379/0",
            ),
            ("http://me:secret@host?sig=1", "http://***@host?sig=***"),
            ("http://host/a@b", "http://host/a@b"),
            ("/sse?user=u1&token=abc", "/sse?user=u1&token=***"),
            ("me:secret@host:80/a", "***@host:80/a"),
            ("/a?token={{ of_user }}&n=1", "/a?token=***&n=1"),
            ("me@host", "me@host"),
            // Signs in a password that would end a host.
            (
                "redis://:a/b@127.0.0.1:6379/0",
                "redis://***@127.0.0.1:6379/0",
            ),
            ("redis://:a?b@h", "redis://***@h"),
            ("redis://a/b@h", "redis://***@h"),
            ("http://me:a#b@h:1/w?x=1", "http://***@h:1/w?x=1"),
            ("http://me:12/3@h/w", "http://***@h/w"),
            ("http://me:p@s/s@h/w", "http://***@h/w"),
            ("me:a/b@h:80", "***@h:80"),
            ("redis://:{{ file(\"/run/p\") }}@h/1", "redis://***@h/1"),
            (
                "http://127.0.0.1:8080/@me/a@b",
                "http://127.0.0.1:8080/@me/a@b",
            ),
            ("http://[::1]:80/@me", "http://[::1]:80/@me"),
            // Parameters by other names, anywhere behind the host.
            (
                "http://h/?jwt=a&session=b&n=1",
                "http://h/?jwt=***&session=***&n=1",
            ),
            ("http://h/cb?code=a&state=b", "http://h/cb?code=***&state=b"),
            (
                "http://h/#access_token=a&n=1",
                "http://h/#access_token=***&n=1",
            ),
            ("http://h/#/cb?id_token=a", "http://h/#/cb?id_token=***"),
            ("http://h/a;JSESSIONID=a?n=1", "http://h/a;JSESSIONID=***"),
            ("http://h/?to%6ben=a;sid=b", "http://h/?to%6ben=***;sid=***"),
            (
                "http://h/?country_code=de&zip=1",
                "http://h/?country_code=de&zip=1",
            ),
            (
                "http://h/?q=eyJhbGciOiJIUzI1NiJ9.e30.abc",
                "http://h/?q=***",
            ),
            (
                "http://h/?next=http%3A%2F%2Fme%3Apw%40h2%2F",
                "http://h/?next=***",
            ),
            (
                "http://h/ and redis://:pw@h2",
                "http://h/ and redis://***@h2",
            ),
            ("http://h/?token=a?b#c&n=1", "http://h/?token=***&n=1"),
            ("http://h/?token=a://b@c x", "http://h/?token=*** x"),
            ("http://me:a://b@h/w", "http://***@h/w"),
            ("token_bucket.rate==0", "token_bucket.rate==0"),
            ("errors{code=503}<1%", "errors{code=503}<1%"),
        ] {
            assert_eq!(masked(typed), shown);
        }
        assert_eq!(
            of_address("http://me:p%2Fq@h/?token=abc&n={{ vu }}"),
            ["abc", "me:p%2Fq", "me:p/q", "p%2Fq", "p/q"]
        );
        assert!(of_address("http://h:1/?key={{ env.KEY }}").is_empty());
    }
}
