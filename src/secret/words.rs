//! Secrets in the words of others, which are known by what stands before them or by what they look
//! like.

use std::borrow::Cow;

use super::{MASK, is_secret_value, masked, names_a_secret};

/// Names with a part that many secrets' names have, which are none.
const PLAIN: &[&str] = &[
    "author",
    "authority",
    "authorities",
    "authors",
    "bypass",
    "compass",
    "design",
    "keyboard",
    "keys",
    "keyspace",
    "monkey",
    "passed",
    "passes",
    "passing",
    "sigkill",
    "signal",
    "signals",
    "sigterm",
];
/// How the value of an `authorization` begins.
const SCHEMES: &[&str] = &["basic", "bearer", "digest", "negotiate", "token"];
/// How the keys begin that well-known services give out.
const KEYS: &[&str] = &[
    "AKIA",
    "ASIA",
    "AIza",
    "eyJ",
    "gho_",
    "ghp_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "pk_live_",
    "rk_live_",
    "sk-",
    "sk_live_",
    "sk_test_",
    "xoxa-",
    "xoxb-",
    "xoxp-",
    "ya29.",
];
/// Signs of the shortest of them.
const LEAST_KEY: usize = 16;
/// Signs from which a value of small and large letters and digits is taken for one that was drawn:
/// an identifier of a row is shorter, or has no large letters (UUIDs, digests).
const DRAWN: usize = 32;

/// A line that another program wrote, without the secrets that are known by their names, and
/// without those of addresses.
pub fn line_masked(line: &str) -> String {
    let words = line.split_inclusive(char::is_whitespace);
    let words = words.map(|word| {
        if word.contains("://") {
            masked(word)
        } else {
            word.to_owned()
        }
    });
    named_values_masked(&words.collect::<String>())
}

/// Whether a value looks like one that proves who asks, whatever it is called.
pub fn is_credential(value: &str) -> bool {
    let value = value.trim();
    let scheme = value.split_once(' ').map_or("", |(first, _)| first);
    if SCHEMES.iter().any(|s| scheme.eq_ignore_ascii_case(s)) || is_secret_value(value) {
        return true;
    }
    if value.contains("://") {
        return masked(value) != value;
    }
    let has = |class: fn(&char) -> bool| value.chars().any(|c| class(&c));
    let is_drawn = value.len() >= DRAWN
        && value.chars().all(|c| c.is_ascii_graphic())
        && has(char::is_ascii_uppercase)
        && has(char::is_ascii_lowercase)
        && has(char::is_ascii_digit)
        && !value.starts_with(['{', '[', '/', '<']);
    is_key(value) || is_drawn
}

/// Whether a word is a key of a well-known kind.
fn is_key(word: &str) -> bool {
    KEYS.iter().any(|k| word.starts_with(k))
        && word.len() >= LEAST_KEY
        && word.bytes().any(|b| b.is_ascii_digit())
}

/// A text without keys of well-known kinds.
fn without_keys(text: &str) -> Cow<'_, str> {
    if !KEYS.iter().any(|k| text.contains(k)) {
        return Cow::Borrowed(text);
    }
    let ends = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    let mut out = String::with_capacity(text.len());
    for piece in text.split_inclusive(ends) {
        let word = piece.trim_end_matches(ends);
        if is_key(word) {
            out.push_str(MASK);
            out.push_str(&piece[word.len()..]);
        } else {
            out.push_str(piece);
        }
    }
    Cow::Owned(out)
}

/// The first pair of a cookie's header, and the value of that: it is told on without its
/// attributes.
pub fn parts_of_cookie(value: &str) -> impl Iterator<Item = String> + use<> {
    let pair = value.split(';').next().unwrap_or_default().trim();
    let of_pair = pair.split_once('=').map(|(_, value)| value.to_owned());
    [pair.to_owned()].into_iter().chain(of_pair)
}

/// A text without the values that stand behind a name which says that they are secret:
/// `"token": "..."` of JSON, `token=...` of a form, `authorization: Bearer ...`; and without keys
/// of well-known kinds, whatever stands before them.
pub fn named_values_masked(text: &str) -> String {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    let text = without_keys(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(from) = rest.find(is_name) {
        let (before, named) = rest.split_at(from);
        let (name, after) = named.split_at(named.find(|c| !is_name(c)).unwrap_or(named.len()));
        out.push_str(before);
        out.push_str(name);
        rest = after;
        let is_cookie = ["cookie", "set-cookie"]
            .iter()
            .any(|c| name.eq_ignore_ascii_case(c));
        if !is_cookie && !is_secret_name(name) {
            continue;
        }
        if let Some((sign, value)) = value_behind(after, is_cookie) {
            out.push_str(&after[..sign]);
            out.push_str(MASK);
            rest = &after[sign + value..];
        }
    }
    out.push_str(rest);
    out
}

fn is_secret_name(name: &str) -> bool {
    names_a_secret(name) && !PLAIN.iter().any(|p| name.eq_ignore_ascii_case(p))
}

/// The length of what stands between a name and its value, and that of the value; `None` where none
/// follows.
fn value_behind(after: &str, is_cookie: bool) -> Option<(usize, usize)> {
    let sign = after
        .strip_prefix("\\\"")
        .or(after.strip_prefix(['"', '\'']))
        .unwrap_or(after);
    let value = sign.trim_start().strip_prefix([':', '='])?;
    // `"\n` behind a name is the end of a line, and no value.
    let value = value.trim_start_matches([' ', '\t']);
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let value = match quote {
        Some(_) => &value[1..],
        None => scheme_passed(value),
    };
    let ends = |c: char| match quote {
        Some(quote) => c == quote,
        // All that stands behind the name of a cookie's header are cookies.
        None if is_cookie => matches!(c, '\n' | '"' | '\''),
        None => c.is_whitespace() || "&,;}]<\"'".contains(c),
    };
    let mut escaped = false;
    let end = value.find(|c| {
        let ends = !escaped && ends(c);
        escaped = c == '\\' && !escaped;
        ends
    });
    Some((after.len() - value.len(), end.unwrap_or(value.len())))
}

/// What follows the scheme of an `authorization`, which is no secret.
fn scheme_passed(value: &str) -> &str {
    match value.split_once(' ') {
        Some((first, rest)) if SCHEMES.iter().any(|s| first.eq_ignore_ascii_case(s)) => rest,
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_behind_the_name_of_a_secret_are_masked() {
        for (text, shown) in [
            (
                r#"{"user":"ann","password" : "a\"b","n":1}"#,
                r#"{"user":"ann","password" : "***","n":1}"#,
            ),
            (r#"{"api_key":12,"n":[1]}"#, r#"{"api_key":***,"n":[1]}"#),
            ("user=ann&password=x&n=1", "user=ann&password=***&n=1"),
            ("missing token", "missing token"),
            (r#"{"error":"no token"}"#, r#"{"error":"no token"}"#),
            (r#"{"token":"cut"#, r#"{"token":"***"#),
            ("token", "token"),
            ("ü token=ü", "ü token=***"),
            ("{'password': 'a b'}", "{'password': '***'}"),
            ("DB_PASSWORD='a b' ./run", "DB_PASSWORD='***' ./run"),
            (
                "Authorization: Bearer abc.def x",
                "Authorization: Bearer *** x",
            ),
            ("set-cookie: sid=abc; theme=dark", "set-cookie: ***"),
            ("cookie: 'a'", "cookie: '***'"),
            (
                r#"{"next":"eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.x-_1","n":1}"#,
                r#"{"next":"***","n":1}"#,
            ),
            ("used AKIAIOSFODNN7EXAMPLE.", "used ***"),
            (
                "class=\"sk-spinner-double-bounce\"",
                "class=\"sk-spinner-double-bounce\"",
            ),
            ("killed by signal: 9", "killed by signal: 9"),
            ("tests passed: 12", "tests passed: 12"),
        ] {
            assert_eq!(named_values_masked(text), shown, "{text}");
        }
    }

    #[test]
    fn a_line_of_another_program_loses_its_secrets_and_nothing_else() {
        for (text, shown) in [
            (
                "Traceback: postgres://bob:pw@db:5432/x?sslmode=off gone",
                "Traceback: postgres://***@db:5432/x?sslmode=off gone",
            ),
            (
                "password=hunter2 cannot bind 0.0.0.0:80",
                "password=*** cannot bind 0.0.0.0:80",
            ),
            ("token: abc", "token: ***"),
            (
                "GET http://h/?api_key=k&n=1 at 12:03",
                "GET http://h/?api_key=***&n=1 at 12:03",
            ),
            (
                "12:03:04 mail to a@b:c failed",
                "12:03:04 mail to a@b:c failed",
            ),
        ] {
            assert_eq!(line_masked(text), shown, "{text}");
        }
    }

    #[test]
    fn what_looks_like_a_credential_is_one_and_an_identifier_is_none() {
        for value in [
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx.abc",
            "Bearer x",
            "ghp_16C7e42F292c6912E7",
            "AKIAIOSFODNN7EXAMPLE",
            "dGhpcyBpcyBhIHNlc3Npb24gdG9rZW4gMTIz",
            "http://bob:pw@h/",
        ] {
            assert!(is_credential(value), "{value}");
        }
        for value in [
            "",
            "session-of-21",
            "42",
            "0b0c8c9e-9d4a-4a53-8d52-2f0f3ddc4f55",
            "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "http://h/a?page=2",
            "Basically fine",
            "{\"Id\":1234567890123456789012345678901234567890}",
        ] {
            assert!(!is_credential(value), "{value}");
        }
    }
}
