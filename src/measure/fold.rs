//! Lines of a log without what changes from one to the next: what is left is the kind of line.

/// A line with its numbers, identifiers and times out: every run of letters and digits (and of what
/// joins them in numbers, addresses, versions and identifiers) that has a digit becomes `#`, and
/// neighbors of that kind become one.
///
/// ```
/// use breakpoint::measure::folded;
/// assert_eq!(
///     folded("2026-11-29T17:29:13Z [error] 812#0: *77 limiting, excess: 50.300 by zone \"one\""),
///     folded("2026-11-29T17:29:14Z [error] 813#0: *9041 limiting, excess: 0.040 by zone \"one\""),
/// );
/// ```
pub fn folded(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut word = String::new();
    for c in line.chars() {
        if joins(c) {
            word.push(c);
        } else {
            put(&mut out, &mut word);
            // Blanks between two numbers are no difference between lines: `12  ms` is `1234 ms`.
            if !(c.is_whitespace() && out.ends_with(' ')) {
                out.push(if c.is_whitespace() { ' ' } else { c });
            }
        }
    }
    put(&mut out, &mut word);
    out.trim().to_owned()
}

/// Whether a character holds together what is one number, time, address or identifier.
fn joins(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | ':' | '-' | '_' | '+' | '/' | '#' | '*' | '%' | '@')
}

/// Ends a word: as it is, or `#` where it has a digit.
fn put(out: &mut String, word: &mut String) {
    if !word.chars().any(|c| c.is_ascii_digit()) {
        out.push_str(word);
    } else if !out.ends_with("# ") {
        out.push('#');
        // What ends a sentence or a name is no part of a number.
        if let Some(end) = word.chars().last().filter(|c| matches!(c, '.' | ':')) {
            out.push(end);
        }
    }
    word.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_differ_in_numbers_ids_and_times_are_of_one_kind() {
        for (a, b) in [
            (
                "Nov 29 17:29:13 host gunicorn[812]: [CRITICAL] WORKER TIMEOUT (pid:77)",
                "Nov 30 01:02:03 host gunicorn[9]: [CRITICAL] WORKER TIMEOUT (pid:78123)",
            ),
            (
                "request 0b6f6a1e-9f3a-4e50-8a29-1d4a4ea6c001 of 10.0.0.7:51234 took 1.203s",
                "request 77aa0000-9f3a-4e50-8a29-000000000002 of 127.0.0.1:9 took 14ms",
            ),
            (
                "GET /items/17?user=u12 200 35",
                "GET /items/2?user=u999 200 1",
            ),
        ] {
            assert_eq!(folded(a), folded(b));
        }
    }

    #[test]
    fn lines_that_differ_in_words_are_not() {
        let kinds = [
            "limiting requests, excess: 50.3 by zone \"one\"",
            "limiting connections by zone \"one\"",
            "accept4() failed (24: Too many open files)",
            "accept4() failed (23: Too many open files in system)",
        ];
        for (i, a) in kinds.iter().enumerate() {
            for b in &kinds[i + 1..] {
                assert_ne!(folded(a), folded(b));
            }
        }
        assert_eq!(folded(""), "");
    }
}
