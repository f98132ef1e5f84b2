//! The command line for the record, so that a report says how to run it again.

use super::audience::TOKEN;
use crate::confidential;
use crate::secret::{MASK, is_secret_header, masked, names_a_secret, of_address};

/// A flag whose values may be secrets: how one is shown.
type Shown = fn(&str) -> String;
/// Those flags.
const HIDDEN: [(&str, Shown); 2] = [
    ("--locust-header", masked_header),
    ("--k6-env", masked_variable),
];

/// Notes the secrets that were typed.
pub(super) fn know_typed() {
    let typed = std::env::args_os().skip(1);
    let typed: Vec<String> = typed.map(|a| a.to_string_lossy().into_owned()).collect();
    confidential::know(secrets_of(&typed));
    confidential::know(std::env::var(TOKEN).ok());
}

/// Passwords and the like in addresses, and the values of flags that have secrets.
fn secrets_of(typed: &[String]) -> Vec<String> {
    let before = std::iter::once("").chain(typed.iter().map(String::as_str));
    let mut found = Vec::new();
    for (before, argument) in before.zip(typed) {
        let (flag, value) = match argument.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, value),
            _ => (before, argument.as_str()),
        };
        found.extend(of_address(value));
        let named = match flag {
            "--locust-header" => value
                .split_once(':')
                .filter(|(name, _)| is_secret_header(name)),
            "--k6-env" => value
                .split_once('=')
                .filter(|(name, _)| names_a_secret(name)),
            _ => None,
        };
        let secret = named.map(|(_, secret)| secret.trim().to_owned());
        found.extend(secret.filter(|secret| !secret.contains("{{")));
    }
    found
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
    let before = std::iter::once("").chain(typed.iter().map(String::as_str));
    let pairs = before.zip(typed);
    let shown = pairs.map(|(before, argument)| {
        if let Some((_, show)) = HIDDEN.iter().find(|(flag, _)| *flag == before) {
            return show(argument);
        }
        let with_flag = |(flag, show): &(&str, Shown)| {
            let value = argument.strip_prefix(*flag)?.strip_prefix('=')?;
            Some(format!("{flag}={}", show(value)))
        };
        let hidden = HIDDEN.iter().find_map(with_flag);
        hidden.unwrap_or_else(|| masked(argument))
    });
    shown.collect()
}

/// A variable without its value, unless that is taken from the environment, or is an address and no secret.
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
}
