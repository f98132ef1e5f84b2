//! The lines of options in a script's text.

/// A step into an option's value.
#[derive(Debug, PartialEq, Eq)]
enum Step<'p> {
    Key(&'p str),
    Index(usize),
}

/// The line of an option such as `scenarios.login.stages[2].target` in a script's text, from 1; the
/// line of what it is a part of where only that is written there as it is. It is told for people: a
/// text that makes its options of other values has none.
pub fn line(text: &str, place: &str) -> Option<usize> {
    let begin = begin(text)?;
    let steps = steps(place);
    let mut found = None;
    let mut scan = Scan {
        text,
        at: begin,
        depth: 0,
    };
    for step in &steps {
        match scan.enter(step) {
            Some(at) => found = Some(at),
            None => break,
        }
    }
    found.map(|at| text[..at].matches('\n').count() + 1)
}

/// Behind the first `options` that is given a value.
fn begin(text: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let found = text.match_indices("options").find(|(at, word)| {
        let rest = text[at + word.len()..].trim_start();
        // A type of TypeScript may stand between.
        let is_given = rest.starts_with('=') || rest.starts_with(": Options =");
        is_given && !rest.starts_with("==") && !text[..*at].ends_with(is_part)
    });
    let (at, _) = found?;
    text[at..].find('=').map(|equals| at + equals + 1)
}

/// A name of an option may have points in it, such as that of a tag: it is then cut there, and the
/// first piece is looked for.
fn steps(place: &str) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    let mut rest = place;
    while !rest.is_empty() {
        if let Some((index, behind)) = rest.strip_prefix('[').and_then(|r| r.split_once(']'))
            && let Ok(index) = index.parse()
        {
            steps.push(Step::Index(index));
            rest = behind;
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        // A name with a tag holds everything up to its brace.
        let end = match rest.find(['.', '[', '{']) {
            Some(brace) if rest[brace..].starts_with('{') => rest[brace..]
                .find('}')
                .map_or(rest.len(), |close| brace + close + 1),
            Some(end) => end.max(1),
            None => rest.len(),
        };
        let end = (end..rest.len()).find(|at| rest.is_char_boundary(*at));
        let (key, behind) = rest.split_at(end.unwrap_or(rest.len()));
        steps.push(Step::Key(key));
        rest = behind;
    }
    steps
}

/// Goes through a text of JavaScript, as far as literals have it.
struct Scan<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

/// What stands in the text.
enum Token<'t> {
    Open,
    Close,
    Comma,
    Name(&'t str),
    Other,
}

impl<'t> Scan<'t> {
    /// Goes to a part of the value that begins here; gives where that part is.
    fn enter(&mut self, step: &Step<'_>) -> Option<usize> {
        let (outer, mut commas) = (self.depth, 0);
        loop {
            let (at, token) = self.next()?;
            let is_here = self.depth == outer + 1;
            match token {
                Token::Close | Token::Comma if self.depth <= outer => return None,
                Token::Comma if is_here => commas += 1,
                Token::Name(name) if is_here => {
                    let is_key = self.text[self.at..].trim_start().starts_with(':');
                    if is_key && *step == Step::Key(name) {
                        return Some(at);
                    }
                }
                _ => {}
            }
            if let Step::Index(index) = step
                && is_here
                && commas == *index
                && !self.rest_of_line_is_over()
            {
                return Some(self.at);
            }
        }
    }

    /// Goes over blanks and comments; whether nothing is left.
    fn rest_of_line_is_over(&mut self) -> bool {
        loop {
            let rest = &self.text[self.at..];
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            let end = match trimmed {
                line if line.starts_with("//") => line.find('\n'),
                block if block.starts_with("/*") => block.find("*/").map(|end| end + 2),
                other => return other.is_empty(),
            };
            self.at += end.unwrap_or(trimmed.len());
        }
    }

    fn next(&mut self) -> Option<(usize, Token<'t>)> {
        if self.rest_of_line_is_over() {
            return None;
        }
        let at = self.at;
        let rest = &self.text[at..];
        let first = rest.chars().next()?;
        self.at += first.len_utf8();
        let token = match first {
            '{' | '[' | '(' => {
                self.depth += 1;
                Token::Open
            }
            '}' | ']' | ')' => {
                self.depth = self.depth.saturating_sub(1);
                Token::Close
            }
            ',' => Token::Comma,
            ';' if self.depth == 0 => return None,
            '"' | '\'' | '`' => {
                let inner = &rest[1..];
                let mut escaped = false;
                let end = inner.find(|c| {
                    let ends = c == first && !escaped;
                    escaped = c == '\\' && !escaped;
                    ends
                })?;
                self.at = at + end + 2;
                Token::Name(&inner[..end])
            }
            c if c.is_alphanumeric() || c == '_' || c == '$' => {
                let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
                let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
                self.at = at + end;
                Token::Name(&rest[..end])
            }
            _ => Token::Other,
        };
        Some((at, token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "import http from 'k6/http';
const optionsOf = 1;
export const options = {
  // vus: 3,
  scenarios: {
    a: { executor: 'constant-vus', vus: 2 },
    'b-c': {
      stages: [
        { target: 1, duration: '1s' },
        { target: 2,
          duration: '1x' },
      ],
    },
  },
  thresholds: {
    'http_req_duration{name:a.b}': ['p(95)<1', // {
      'p(99)<x'],
    checks: [{ threshold: 'rate>1' }],
  },
  vus: 7,
};
export default function () { const x = { rps: 1 }; }
";

    #[test]
    fn an_option_has_the_line_where_it_is_written() {
        for (place, wanted) in [
            ("vus", Some(20)),
            ("scenarios.a.vus", Some(6)),
            ("scenarios.b-c.stages[1].duration", Some(11)),
            ("scenarios.b-c.stages[1].target", Some(10)),
            ("scenarios.b-c.stages[0]", Some(9)),
            ("thresholds.http_req_duration{name:a.b}[0]", Some(16)),
            ("thresholds.http_req_duration{name:a.b}[1]", Some(17)),
            ("thresholds.checks[0].threshold", Some(18)),
            // What it is a part of.
            ("scenarios.a.exec", Some(6)),
            ("rps", None),
            ("options", None),
            ("", None),
        ] {
            assert_eq!(line(TEXT, place), wanted, "{place}");
        }
        let typed = "export const options: Options = {\n  rps: 5 }";
        assert_eq!(line(typed, "rps"), Some(2));
        for none in [
            "",
            "options",
            "export { options } from './o.js'",
            "options = f(`",
        ] {
            assert_eq!(line(none, "rps"), None, "{none}");
        }
    }
}
