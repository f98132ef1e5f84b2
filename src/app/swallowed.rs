//! What the shell makes of a bound that stands without quotes.

/// What to add to an error about an objective without a bound: the file that the shell just made of
/// it. `--slo rps>100` unquoted sends our output to a new file `100`.
pub(super) fn bound() -> Option<String> {
    // Linux names what the standard output is; elsewhere there is nothing to read and nothing to
    // add.
    let target = std::fs::read_link("/proc/self/fd/1").ok()?;
    let is_file = std::fs::metadata(&target).is_ok_and(|m| m.is_file() && m.len() == 0);
    let name = target.file_name()?.to_str()?;
    (is_file && looks_like_a_bound(name)).then(|| {
        format!(
            "The output goes to a new, empty file `{name}`, which the shell probably made from \
             the bound; delete it"
        )
    })
}

/// `100`, `=2s`, `1%`.
fn looks_like_a_bound(name: &str) -> bool {
    let text = name.trim_start_matches('=');
    text.starts_with(|c: char| c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".%/".contains(c))
        && text.chars().filter(char::is_ascii_alphabetic).count() <= 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_the_shell_made_of_a_bound_is_recognised() {
        for name in ["100", "=2s", "1%", "500ms", "0.5"] {
            assert!(looks_like_a_bound(name), "{name}");
        }
        for name in ["answer.txt", "2026-report", "out", ""] {
            assert!(!looks_like_a_bound(name), "{name}");
        }
        // The tests' own output is not such a file.
        assert_eq!(bound(), None);
    }
}
