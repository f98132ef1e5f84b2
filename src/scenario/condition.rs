//! `if`: whether a step is taken.

use super::Template;

/// When a step is taken.
#[derive(Debug, Clone)]
pub struct Condition {
    left: Template,
    holds: Holds,
}

#[derive(Debug, Clone)]
enum Holds {
    /// Where the text says something.
    Said,
    /// Where both texts are the same.
    Same(Template),
    /// Where they are not.
    Other(Template),
}

/// Texts that say no, beside the empty one.
const NO: [&str; 3] = ["false", "0", "null"];

impl Condition {
    /// Reads `{{ a }}`, `{{ a }} == b` or `{{ a }} != b`; `template` compiles a side.
    ///
    /// # Errors
    /// When a side is empty or no template.
    pub(super) fn parse(
        text: &str,
        template: impl Fn(&str) -> Result<Template, String>,
    ) -> Result<Self, String> {
        let side = |text: &str| match text.trim() {
            "" => Err(
                "`if` compares with nothing; write `{{ a }}`, `{{ a }} == b` or `{{ a }} != b`"
                    .to_owned(),
            ),
            text => template(text).map_err(|m| format!("`if`: {m}")),
        };
        if let Some(sign) = outside(text, &['<', '>']) {
            return Err(format!(
                "`if = \"{text}\"` has `{sign}`, and texts are only compared by `==` and `!=`"
            ));
        }
        let (left, holds) = match comparison(text) {
            None => (text, Holds::Said),
            Some((at, equal)) => {
                let right = side(&text[at + 2..])?;
                let holds = if equal { Holds::Same } else { Holds::Other };
                (&text[..at], holds(right))
            }
        };
        let left = side(left)?;
        let is_constant = |t: &Template| t.constant().is_some();
        let always = match &holds {
            Holds::Said => is_constant(&left),
            Holds::Same(right) | Holds::Other(right) => is_constant(&left) && is_constant(right),
        };
        if always {
            return Err(format!(
                "`if = \"{text}\"` is always the same; use a value such as `{{{{ name }}}}`"
            ));
        }
        Ok(Self { left, holds })
    }

    /// Whether it holds; `render` gives the text of a side.
    pub fn holds(&self, mut render: impl FnMut(&Template) -> String) -> bool {
        let left = render(&self.left);
        let left = left.trim();
        match &self.holds {
            Holds::Said => !left.is_empty() && !NO.contains(&left),
            Holds::Same(right) => left == render(right).trim(),
            Holds::Other(right) => left != render(right).trim(),
        }
    }
}

/// One of these signs, where it stands outside of any placeholder.
fn outside(text: &str, signs: &[char]) -> Option<char> {
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once("{{") {
        if let Some(sign) = before.chars().find(|c| signs.contains(c)) {
            return Some(sign);
        }
        rest = inside.split_once("}}").map_or("", |(_, behind)| behind);
    }
    rest.chars().find(|c| signs.contains(c))
}

/// Where a comparison stands outside of any placeholder, and whether it is `==`.
fn comparison(text: &str) -> Option<(usize, bool)> {
    let mut within = false;
    let bytes = text.as_bytes();
    for (at, two) in bytes.windows(2).enumerate() {
        match two {
            b"{{" => within = true,
            b"}}" => within = false,
            b"==" | b"!=" if !within => return Some((at, two == b"==")),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::template::{Escape, Names};

    fn holds(text: &str, value: &str) -> bool {
        let names = Names {
            slots: vec![("a", 0)],
            ..Names::default()
        };
        let condition = Condition::parse(text, |t| Template::parse(t, &names, Escape::None));
        let render = |t: &Template| t.constant().map_or_else(|| value.to_owned(), str::to_owned);
        condition.unwrap().holds(render)
    }

    #[test]
    fn a_text_that_says_something_holds() {
        for value in ["x", "true", "1", " yes "] {
            assert!(holds("{{ a }}", value), "{value}");
        }
        for value in ["", "  ", "false", "0", "null"] {
            assert!(!holds("{{ a }}", value), "{value}");
        }
    }

    #[test]
    fn texts_are_compared_without_the_blanks_around_them() {
        assert!(holds("{{ a }} == done", "done"));
        assert!(!holds("{{ a }}==done", "do"));
        assert!(holds("done != {{ a }}", "do"));
        assert!(!holds("{{ a }} != done", " done"));
    }

    #[test]
    fn what_decides_nothing_is_refused() {
        let parse = |text| {
            Condition::parse(text, |t| {
                Template::parse(t, &Names::default(), Escape::None)
            })
            .map(|_| ())
            .unwrap_err()
        };
        assert!(parse("a == a").contains("always the same"));
        assert!(parse("yes").contains("always the same"));
        assert!(parse("{{ vu }} ==").contains("compares with nothing"));
        assert!(parse("").contains("compares with nothing"));
        assert!(parse("{{ vu }} > 3").contains("only compared by"));
    }
}
