//! The command line for the record, so that a report says how to run it again.

/// Parts of names of query parameters whose values are nobody's business.
const SECRET: &[&str] = &["auth", "key", "pass", "pwd", "secret", "sig", "token"];
/// What stands in their place.
const MASK: &str = "***";

/// What was typed after the program's name, with secrets in addresses masked: a report is passed on.
pub(super) fn as_typed() -> Vec<String> {
    let typed = std::env::args_os().skip(1);
    typed.map(|a| masked(&a.to_string_lossy())).collect()
}

/// An argument without the secrets of an address in it: who asks (`user:password@`), and secret parameters.
fn masked(argument: &str) -> String {
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
