//! The command line for the record, so that a report says how to run it again.

use super::observers::TOKEN;
use crate::confidential;
use crate::import::secrets_of_text;
use crate::secret::{
    MASK, is_credential, is_secret_header, line_masked, masked, names_a_secret, of_address,
};

/// A flag whose values may be secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SecretFlag {
    /// `NAME: VALUE`, for the target.
    Header,
    /// The same for Locust.
    LocustHeader,
    /// `NAME=VALUE` for a script.
    Variable,
    /// `NAME:PASSWORD`.
    User,
    /// `NAME=VALUE; NAME=VALUE`.
    Cookie,
    /// What is sent.
    Body,
    /// A command of curl, in which all of that may be.
    Command,
}

/// Those flags, by their long names and letters.
const HIDDEN: [(&str, Option<char>, SecretFlag); 10] = [
    ("--locust-header", None, SecretFlag::LocustHeader),
    ("--k6-env", None, SecretFlag::Variable),
    ("--env", Some('e'), SecretFlag::Variable),
    ("--header", Some('H'), SecretFlag::Header),
    ("--user", Some('u'), SecretFlag::User),
    ("--cookie", Some('b'), SecretFlag::Cookie),
    ("--data", Some('d'), SecretFlag::Body),
    ("--json", None, SecretFlag::Body),
    ("--form", Some('F'), SecretFlag::Body),
    ("--from-curl", None, SecretFlag::Command),
];
/// The other letters that have a value, which may be letters of these flags.
const OTHERS: [char; 1] = ['X'];

/// Headers whose values everybody may read.
const PLAIN_HEADERS: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "content-type",
    "host",
    "origin",
    "pragma",
    "range",
    "user-agent",
    "x-requested-with",
];

/// An argument in two: what is shown as it is, and a value of a kind.
#[derive(Debug, PartialEq, Eq)]
struct Argument<'a> {
    before: &'a str,
    value: &'a str,
    kind: Option<SecretFlag>,
}

/// The arguments as clap reads them: `--flag value`, `--flag=value`, `-Hvalue`, `-kH value`.
fn arguments(typed: &[String]) -> Vec<Argument<'_>> {
    let mut expected = None;
    let mut read = |typed: &'_ String| -> (usize, Option<SecretFlag>) {
        if let Some(kind) = expected.take() {
            return (0, kind);
        }
        if typed.starts_with("--") {
            let (flag, value) = typed
                .split_once('=')
                .map_or((typed.as_str(), None), |(f, v)| (f, Some(v)));
            let hidden = HIDDEN.iter().find(|(name, ..)| *name == flag);
            let kind = hidden.map(|(.., kind)| *kind);
            if value.is_none() {
                expected = kind.map(Some);
                return (typed.len(), None);
            }
            return (if kind.is_some() { flag.len() + 1 } else { 0 }, kind);
        }
        let letters = typed.strip_prefix('-').unwrap_or_default();
        for (at, letter) in letters.char_indices() {
            let hidden = HIDDEN.iter().find(|(_, l, _)| *l == Some(letter));
            let kind = hidden.map(|(.., kind)| *kind);
            if kind.is_none() && !OTHERS.contains(&letter) {
                continue;
            }
            let from = 1 + at + letter.len_utf8();
            let from = from + usize::from(typed[from..].starts_with('='));
            if from == typed.len() {
                expected = Some(kind);
                return (from, None);
            }
            return (if kind.is_some() { from } else { 0 }, kind);
        }
        (0, None)
    };
    typed
        .iter()
        .map(|argument| {
            let (from, kind) = read(argument);
            let (before, value) = argument.split_at(from);
            Argument {
                before,
                value,
                kind,
            }
        })
        .collect()
}

/// Notes the secrets that were typed.
pub(super) fn know_typed() {
    let typed = std::env::args_os().skip(1);
    let typed: Vec<String> = typed.map(|a| a.to_string_lossy().into_owned()).collect();
    confidential::know(secrets_of(&typed));
    confidential::know(std::env::var(TOKEN).ok());
}

/// Passwords and the like in addresses, and the values of flags that have secrets.
fn secrets_of(typed: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for argument in arguments(typed) {
        let value = argument.value;
        let address = match argument.kind {
            None => value.split_once('=').filter(|(f, _)| f.starts_with("--")),
            Some(_) => None,
        };
        found.extend(of_address(address.map_or(value, |(_, address)| address)));
        found.extend(
            argument
                .kind
                .map(|kind| secrets_in(kind, value))
                .into_iter()
                .flatten(),
        );
    }
    found.retain(|secret| !secret.is_empty() && !secret.contains("{{"));
    found
}

fn secrets_in(kind: SecretFlag, value: &str) -> Vec<String> {
    match kind {
        SecretFlag::Header | SecretFlag::LocustHeader => {
            let Some((name, value)) = value.split_once(':') else {
                return Vec::new();
            };
            let value = value.trim();
            let secret = (is_secret_header(name) || is_credential(value)) && !value.contains("{{");
            // The scheme of an `authorization` is none, and what follows it may be said alone.
            let behind = value.split_once(' ').map(|(_, behind)| behind.trim());
            let all = [Some(value), behind].into_iter().flatten();
            all.filter(|_| secret).map(str::to_owned).collect()
        }
        SecretFlag::Variable => value
            .split_once('=')
            .filter(|(name, _)| names_a_secret(name))
            .map(|(_, secret)| secret.trim().to_owned())
            .into_iter()
            .collect(),
        SecretFlag::User => {
            let password = value.split_once(':').map(|(_, password)| password);
            let both = password.map(|_| value);
            both.into_iter()
                .chain(password)
                .map(str::to_owned)
                .collect()
        }
        SecretFlag::Cookie => {
            let pairs = value
                .split(';')
                .filter_map(|pair| pair.trim().split_once('='));
            // A short one without a telling name may be any word of a report.
            let secret = |(name, value): &(&str, &str)| {
                names_a_secret(name) || is_credential(value) || value.len() >= 8
            };
            pairs
                .filter(secret)
                .map(|(_, value)| value.to_owned())
                .collect()
        }
        SecretFlag::Body => {
            let fields = secrets_of_text(value);
            fields.into_iter().map(|(_, value)| value).collect()
        }
        // What is taken out of it is known when it was read.
        SecretFlag::Command => Vec::new(),
    }
}

/// What was typed after the program's name, with secrets masked: a report is passed on.
pub(super) fn as_typed() -> Vec<String> {
    let typed = std::env::args_os().skip(1);
    let typed: Vec<String> = typed.map(|a| a.to_string_lossy().into_owned()).collect();
    let masked = all_masked(&typed).into_iter();
    masked
        .map(|a| confidential::text(&a).into_owned())
        .collect()
}

fn all_masked(typed: &[String]) -> Vec<String> {
    let shown = arguments(typed).into_iter().map(|argument| {
        let value = match argument.kind {
            None => masked(argument.value),
            Some(kind) => shown(kind, argument.value),
        };
        format!("{}{value}", argument.before)
    });
    shown.collect()
}

fn shown(kind: SecretFlag, value: &str) -> String {
    match kind {
        SecretFlag::Header => masked_header_of_target(value),
        SecretFlag::LocustHeader => masked_header(value),
        SecretFlag::Variable => masked_variable(value),
        SecretFlag::User => match value.split_once(':') {
            Some((_, password)) if is_filled_in(password) => value.to_owned(),
            Some((user, _)) => format!("{user}:{MASK}"),
            None => value.to_owned(),
        },
        SecretFlag::Cookie => {
            let pairs = value.split(';').map(|pair| match pair.split_once('=') {
                Some((_, value)) if is_filled_in(value) => pair.trim().to_owned(),
                Some((name, _)) => format!("{}={MASK}", name.trim()),
                None => MASK.to_owned(),
            });
            pairs.collect::<Vec<_>>().join("; ")
        }
        SecretFlag::Body => {
            let mut out = line_masked(value);
            for (_, secret) in secrets_of_text(value) {
                if secret.len() >= 4 && !secret.contains("{{") {
                    out = out.replace(&secret, MASK);
                }
            }
            out
        }
        SecretFlag::Command => MASK.to_owned(),
    }
}

/// Whether a value is nothing but placeholders, behind a word such as `Bearer`.
fn is_filled_in(value: &str) -> bool {
    let Some((before, rest)) = value.split_once("{{") else {
        return false;
    };
    let Some((_, behind)) = rest.rsplit_once("}}") else {
        return false;
    };
    let scheme = before.trim().to_ascii_lowercase();
    ["", "basic", "bearer", "token"].contains(&scheme.as_str()) && behind.trim().is_empty()
}

/// A header whose value is harmless, or is taken from elsewhere; of others the name alone.
fn masked_header_of_target(header: &str) -> String {
    // A file, whose name is none.
    if header.starts_with('@') {
        return header.to_owned();
    }
    match header.split_once(':') {
        Some((name, value)) => {
            let name = name.trim();
            let plain = PLAIN_HEADERS.iter().any(|p| name.eq_ignore_ascii_case(p));
            if is_filled_in(value) || value.trim().is_empty() || (plain && !is_credential(value)) {
                masked(header)
            } else {
                format!("{name}: {MASK}")
            }
        }
        None if header.ends_with(';') => header.to_owned(),
        None => MASK.to_owned(),
    }
}

/// A variable without its value, unless that is taken from the environment, or is an address and no
/// secret.
fn masked_variable(pair: &str) -> String {
    match pair.split_once('=') {
        Some((_, value)) if value.contains("{{") => pair.to_owned(),
        Some((name, value)) if value.contains("://") && !names_a_secret(name) => {
            format!("{name}={}", masked(value))
        }
        Some((name, _)) => format!("{name}={MASK}"),
        None => MASK.to_owned(),
    }
}

/// A header without its value, unless that is taken from the environment.
fn masked_header(header: &str) -> String {
    match header.split_once(':') {
        Some((_, value)) if value.contains("{{") => header.to_owned(),
        Some((name, _)) => format!("{name}: {MASK}"),
        None => MASK.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_shown_only_where_its_value_comes_from_the_environment() {
        let shown = |typed: &[&str]| {
            let typed: Vec<String> = typed.iter().map(|t| (*t).to_owned()).collect();
            all_masked(&typed).join(" ")
        };
        assert_eq!(
            shown(&["find", "--locust-header", "cookie: s=1"]),
            "find --locust-header cookie: ***"
        );
        assert_eq!(
            shown(&["--locust-header=cookie: s=1"]),
            "--locust-header=cookie: ***"
        );
        let named = ["--locust-header", "cookie: {{ env.COOKIE }}"];
        assert_eq!(shown(&named), named.join(" "));
    }

    #[test]
    fn a_variable_is_shown_where_it_comes_from_the_environment_or_is_an_address() {
        for (typed, wanted) in [
            ("TOKEN=abc", "TOKEN=***"),
            ("USERS=50", "USERS=***"),
            ("abc", "***"),
            ("TOKEN={{ env.TOKEN }}", "TOKEN={{ env.TOKEN }}"),
            ("BASE=http://127.0.0.1:1/a", "BASE=http://127.0.0.1:1/a"),
            (
                "BASE=http://me:abc@h/?key=abc",
                "BASE=http://***@h/?key=***",
            ),
            ("API_KEY=http://h/abc", "API_KEY=***"),
        ] {
            let flag = "--k6-env";
            let apart = all_masked(&[flag.to_owned(), typed.to_owned()]);
            assert_eq!(apart, [flag, wanted]);
            assert_eq!(
                all_masked(&[format!("{flag}={typed}")]),
                [format!("{flag}={wanted}")]
            );
        }
    }

    #[test]
    fn what_is_sent_is_shown_without_its_secrets_however_it_was_typed() {
        for (typed, wanted) in [
            (&["-H", "x-tenant: abc"][..], "-H x-tenant: ***"),
            (&["-Hauthorization: Bearer abc"], "-Hauthorization: ***"),
            (&["-kH", "cookie: a=b"], "-kH cookie: ***"),
            (
                &["--header=accept: text/html"],
                "--header=accept: text/html",
            ),
            (
                &["-H", "authorization: Bearer {{ env.T }}"],
                "-H authorization: Bearer {{ env.T }}",
            ),
            (
                &["-H", "authorization: Bearer abc{{ vu }}"],
                "-H authorization: ***",
            ),
            (&["-H", "@headers.txt"], "-H @headers.txt"),
            (&["-u", "me:hunter2"], "-u me:***"),
            (&["-ume:{{ env.PW }}"], "-ume:{{ env.PW }}"),
            (&["-b", "sid=abc; theme=dark"], "-b sid=***; theme=***"),
            (
                &["-d", "user=ann&password=hunter2"],
                "-d user=ann&password=***",
            ),
            (
                &["--json", r#"{"api_key": "abcdef", "n": 1}"#],
                r#"--json {"api_key": "***", "n": 1}"#,
            ),
            (&["-X", "-u", "me"], "-X -u me"),
            (&["-XPUT", "-q"], "-XPUT -q"),
            (&["--from-curl", "curl -u a:b h"], "--from-curl ***"),
        ] {
            let typed: Vec<String> = typed.iter().map(|t| (*t).to_owned()).collect();
            assert_eq!(all_masked(&typed).join(" "), wanted);
        }
    }

    #[test]
    fn what_is_sent_is_known_however_it_was_typed() {
        for (typed, wanted) in [
            (
                &["-H", "authorization: Bearer abcd"][..],
                &["Bearer abcd", "abcd"][..],
            ),
            (&["-qHx-api-key:k"], &["k"]),
            (&["-u", "me:hunter2"], &["me:hunter2", "hunter2"]),
            (&["--cookie=sid=12345678; a=b"], &["12345678"]),
            (&["-d", "password=hunter2"], &["hunter2"]),
            (&["-H", "authorization: {{ env.A }}"], &[]),
            (&["-H", "accept: text/html"], &[]),
        ] {
            let typed: Vec<String> = typed.iter().map(|t| (*t).to_owned()).collect();
            assert_eq!(secrets_of(&typed), wanted, "{typed:?}");
        }
    }
}
