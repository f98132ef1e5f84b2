//! Secrets: where they come from, and how an address is shown without them.
//!
//! A text takes them as `{{ env.NAME }}` or `{{ file("/run/secrets/name") }}`. Who looks them up is the business of others.

use std::borrow::Cow;
use std::fmt;
use std::fmt::Write as _;

/// Parts of names of query parameters whose values are nobody's business.
const NAMES: &[&str] = &["auth", "key", "pass", "pwd", "secret", "sig", "token"];
/// What stands in a secret's place.
pub const MASK: &str = "***";

/// A secret shorter than this is left where it comes up: a word that happens to be the same would be masked as well.
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
            Self::File(path) => format!("the file `{path}` cannot be read, or is no text"),
        }
    }

    fn name(self) -> String {
        match self {
            Self::Env(name) => format!("environment variable `{name}`"),
            Self::File(path) => format!("the file `{path}`"),
        }
    }
}

/// Replaces `{{ env.NAME }}` and `{{ file("PATH") }}` by what is found there; other placeholders stay.
///
/// The value is the author's text as if it had been written there; braces in it are not looked into again.
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

/// An address (or any text) without the secrets of an address in it: who asks (`user:password@`), and secret parameters.
pub fn masked(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else {
        return without_scheme(text);
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let authority = match authority.rsplit_once('@') {
        Some((_, host)) => format!("{MASK}@{host}"),
        None => authority.to_owned(),
    };
    let path = match path.split_once('?') {
        Some((path, query)) => format!("{path}?{}", masked_query(query)),
        None => path.to_owned(),
    };
    format!("{scheme}://{authority}{path}")
}

/// Perhaps an address whose scheme was forgotten, or the part of one behind the host.
fn without_scheme(text: &str) -> String {
    let end = text.find(['/', '?', '#']).unwrap_or(text.len());
    let text = match text[..end].rsplit_once('@') {
        Some((who, _)) if who.contains(':') => format!("{MASK}{}", &text[who.len()..]),
        _ => text.to_owned(),
    };
    match text.split_once('?') {
        Some((path, query)) => format!("{path}?{}", masked_query(query)),
        None => text,
    }
}

fn masked_query(query: &str) -> String {
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if names_a_secret(name) => format!("{name}={MASK}"),
        _ => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join("&")
}

/// Headers whose values prove who asks, beside those whose names say so.
const HEADERS: &[&str] = &["cookie", "set-cookie"];

/// Whether the value of a header is nobody's business.
pub fn is_secret_header(name: &str) -> bool {
    HEADERS.iter().any(|h| name.eq_ignore_ascii_case(h)) || names_a_secret(name)
}

/// A text without the values that stand behind a name which says that they are secret: `"token": "..."` of JSON, `token=...` of a form.
pub fn named_values_masked(text: &str) -> String {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(from) = rest.find(is_name) {
        let (before, named) = rest.split_at(from);
        let (name, after) = named.split_at(named.find(|c| !is_name(c)).unwrap_or(named.len()));
        out.push_str(before);
        out.push_str(name);
        rest = after;
        if !names_a_secret(name) {
            continue;
        }
        if let Some((sign, value)) = value_behind(after) {
            out.push_str(&after[..sign]);
            out.push_str(MASK);
            rest = &after[sign + value..];
        }
    }
    out.push_str(rest);
    out
}

/// The length of what stands between a name and its value, and that of the value; `None` where none follows.
fn value_behind(after: &str) -> Option<(usize, usize)> {
    let sign = after
        .strip_prefix("\\\"")
        .or(after.strip_prefix('"'))
        .unwrap_or(after);
    let value = sign.trim_start().strip_prefix([':', '='])?.trim_start();
    let (value, ends): (&str, fn(char) -> bool) = match value.strip_prefix('"') {
        Some(quoted) => (quoted, |c| c == '"'),
        None => (value, |c| c.is_whitespace() || "&,;}]<\"".contains(c)),
    };
    let mut escaped = false;
    let end = value.find(|c| {
        let ends = !escaped && ends(c);
        escaped = c == '\\' && !escaped;
        ends
    });
    Some((after.len() - value.len(), end.unwrap_or(value.len())))
}

/// Appends a text as one piece of an address: everything but the unreserved characters of RFC 3986, section 2.3, is encoded.
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
    fn values_behind_the_name_of_a_secret_are_masked() {
        for (text, shown) in [
            (
                r#"{"user":"ann","password" : "a\"b","n":1}"#,
                r#"{"user":"ann","password" : "***","n":1}"#,
            ),
            (r#"{"api_key":12,"n":[1]}"#, r#"{"api_key":***,"n":[1]}"#),
            ("user=ann&password=x&n=1", "user=ann&password=***&n=1"),
            ("the token is missing", "the token is missing"),
            (r#"{"error":"no token"}"#, r#"{"error":"no token"}"#),
            (r#"{"token":"cut"#, r#"{"token":"***"#),
            ("token", "token"),
            ("ü token=ü", "ü token=***"),
        ] {
            assert_eq!(named_values_masked(text), shown, "{text}");
        }
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
            ("me@host", "me@host"),
        ] {
            assert_eq!(masked(typed), shown);
        }
    }
}
