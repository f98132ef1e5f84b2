//! The command line for the record, so that a report says how to run it again.

use crate::secret::{MASK, masked};

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
}
