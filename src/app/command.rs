//! The command line for the record, so that a report says how to run it again.

/// Parts of names of query parameters whose values are nobody's business.
const SECRET: &[&str] = &["auth", "key", "pass", "pwd", "secret", "sig", "token"];
/// What stands in their place.
const MASK: &str = "***";

/// The flag whose value is a header, which may be a secret as a whole.
const HEADER: &str = "--locust-header";

/// What was typed after the program's name, with secrets masked: a report is passed on.
pub(super) fn as_typed() -> Vec<String> {
    let typed = std::env::args_os().skip(1);
    let typed: Vec<String> = typed.map(|a| a.to_string_lossy().into_owned()).collect();
    all_masked(&typed)
}

fn all_masked(typed: &[String]) -> Vec<String> {
    let before = std::iter::once("").chain(typed.iter().map(String::as_str));
    let pairs = before.zip(typed);
    let shown = pairs.map(|(before, argument)| match argument.strip_prefix(HEADER) {
        _ if before == HEADER => masked_header(argument),
        Some(value) if value.starts_with('=') => format!("{HEADER}{}", masked_header(value)),
        _ => masked(argument),
    });
    shown.collect()
}

/// A header without its value, unless that is taken from the environment.
fn masked_header(header: &str) -> String {
    match header.split_once(':') {
        Some((_, value)) if value.contains("{{") => header.to_owned(),
        Some((name, _)) => format!("{name}: {MASK}"),
        None => MASK.to_owned(),
    }
}

/// An argument without the secrets of an address in it: who asks (`user:password@`), and secret parameters.
pub(super) fn masked(argument: &str) -> String {
    let Some((scheme, rest)) = argument.split_once("://") else {
        return argument.to_owned();
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

fn masked_query(query: &str) -> String {
    let pairs = query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret(name) => format!("{name}={MASK}"),
        _ => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join("&")
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|part| name.contains(part))
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
            shown(&["find", HEADER, "cookie: s=1"]),
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
            ("http://me:secret@host?sig=1", "http://***@host?sig=***"),
            ("http://host/a@b", "http://host/a@b"),
        ] {
            assert_eq!(masked(typed), shown);
        }
    }
}
