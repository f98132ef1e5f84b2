//! Which lines of a log matter.

use regex::Regex;

/// What the lines have in common that services write when they give way. `room` is no `oom`,
/// `cheap` no `heap`.
const DEFAULT: &str = r"(?i)error|fatal|warn|panic|\boom|out of memory|killed|refused|overflow|overcoming of output buffer limits|max number of clients|too many open files|\bheap|exit code [1-9]";

/// A regular expression that lines worth keeping match.
#[derive(Debug, Clone)]
pub struct LogMatch(Regex);

impl LogMatch {
    /// Reads a regular expression.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        match Regex::new(text) {
            Ok(regex) => Ok(Self(regex)),
            // The last line of the message says what; those before show where, under the text.
            Err(error) => Err(error.to_string().lines().last().map_or_else(
                || "not a regular expression".to_owned(),
                |line| line.trim_start_matches("error: ").to_owned(),
            )),
        }
    }

    /// Whether a line matters.
    pub fn matches(&self, line: &str) -> bool {
        self.0.is_match(line)
    }
}

impl Default for LogMatch {
    fn default() -> Self {
        #[expect(clippy::unwrap_used, reason = "a constant, tested below")]
        Self(Regex::new(DEFAULT).unwrap())
    }
}

impl PartialEq for LogMatch {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Eq for LogMatch {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_what_services_write_when_they_give_way_matters() {
        let matters = LogMatch::default();
        for line in [
            "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
            "Client id=7 scheduled to be closed ASAP for overcoming of output buffer limits.",
            "Error: connect ECONNREFUSED 127.0.0.1:16379",
            "OOM command not allowed when used memory > 'maxmemory'.",
            "Memory cgroup out of memory: Killed process 12 (node)",
            "accept4(): Too many open files",
            "ERR max number of clients reached",
            "gateway ended with exit code 134",
            "oom_kill",
        ] {
            assert!(matters.matches(line), "{line}");
        }
        for line in [
            "Ready to accept connections",
            "naive gateway on http://127.0.0.1:18080, pid 7",
            "a room for cheap talk",
            "redis ended with exit code 0",
        ] {
            assert!(!matters.matches(line), "{line}");
        }
    }

    #[test]
    fn a_wrong_expression_is_told_in_one_line() {
        let why = LogMatch::parse("a(b").unwrap_err();
        assert_eq!(why, "unclosed group");
    }
}
