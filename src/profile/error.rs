//! Errors of a profile: the file, the line, what is underlined, and the way out.

use std::fmt;
use std::ops::Range;

use crate::excerpt;

/// Longest part of a line that is quoted, characters: two or three lines of a terminal.
const MOST_LINE: usize = 200;
/// How much of a longer one is quoted before the place that is underlined, characters.
const BEFORE: usize = 40;
/// Stands for what is left out before it.
const DOTS: &str = "\u{2026}";
/// Longest message, characters: it may quote a value, and a file of another may have any.
const MOST_MESSAGE: usize = 600;

/// A profile's text, to quote from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What messages call the file.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// Something wrong in a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileError {
    /// The file.
    pub file: String,
    /// Where in it; `None` when no line is to blame.
    pub place: Option<Box<Place>>,
    /// What is wrong.
    pub message: String,
    /// Short advice, shown beside the underline.
    pub label: Option<String>,
    /// What to do, shown below.
    pub help: Option<String>,
}

/// A quoted line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Line number, from 1.
    pub line: usize,
    /// Column of the underline's first character, from 1.
    pub column: usize,
    /// The underline's length in characters, at least 1.
    pub width: usize,
    /// The line.
    pub text: String,
}

impl std::error::Error for ProfileError {}

impl Place {
    /// As much of the line as is shown, with how many characters lie before the underline in it,
    /// and how long that is.
    fn window(&self) -> (String, usize, usize) {
        let before = self.column - 1;
        let skipped = if self.text.chars().count() > MOST_LINE {
            before.saturating_sub(BEFORE)
        } else {
            0
        };
        let rest: String = self.text.chars().skip(skipped).collect();
        let dots = if skipped > 0 { DOTS } else { "" };
        let text = format!("{dots}{}", excerpt::cut(&rest, MOST_LINE));
        let before = before - skipped + dots.chars().count();
        // One character more for the sign that more was there.
        let room = (text.chars().count() + 1).saturating_sub(before).max(1);
        (text, before, self.width.min(room))
    }
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = excerpt::cut(&self.message, MOST_MESSAGE);
        let Some(place) = &self.place else {
            write!(f, "{}: {message}", self.file)?;
            return match &self.help {
                Some(help) => write!(f, "\n  = {help}"),
                None => Ok(()),
            };
        };
        let number = place.line.to_string();
        let gutter = " ".repeat(number.len());
        writeln!(f, "{}:{}: {message}", self.file, place.line)?;
        writeln!(f, "{gutter} |")?;
        let (text, before, width) = place.window();
        writeln!(f, "{number} | {text}")?;
        let indent = " ".repeat(before);
        let carets = "^".repeat(width);
        write!(f, "{gutter} | {indent}{carets}")?;
        if let Some(label) = &self.label {
            write!(f, " {}", excerpt::cut(label, MOST_MESSAGE))?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n{gutter} = {help}")?;
        }
        Ok(())
    }
}

impl ProfileError {
    /// Adds what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Adds short advice beside the underline.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }
}

impl Source {
    /// An error at a span of bytes of this text, such as those that the scenario's compiler gives.
    pub fn error(&self, span: Option<Range<usize>>, message: impl Into<String>) -> ProfileError {
        ProfileError {
            file: self.file.clone(),
            place: span.map(|span| Box::new(self.place(&span))),
            message: message.into(),
            label: None,
            help: None,
        }
    }

    /// The line at a span; a span over several lines is cut at the first one's end.
    fn place(&self, span: &Range<usize>) -> Place {
        let start = self.floor(span.start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |at| at + 1);
        let rest = &self.text[line_start..];
        let text = rest.lines().next().unwrap_or_default();
        let line_end = line_start + text.len();
        let end = self.floor(span.end).clamp(start, line_end.max(start));
        Place {
            line: self.text[..line_start].matches('\n').count() + 1,
            column: self.text[line_start..start].chars().count() + 1,
            width: self.text[start..end].chars().count().max(1),
            // A tab would shift the underline below it.
            text: text.replace('\t', " "),
        }
    }

    /// The last character boundary at or before a byte.
    fn floor(&self, byte: usize) -> usize {
        let mut at = byte.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        at
    }

    /// An error of the TOML reader, with the nearest valid key for an unknown one.
    pub(super) fn toml_error(&self, error: &toml::de::Error) -> ProfileError {
        let message = error.message().trim();
        let out = self.error(error.span(), message);
        if let Some((unknown, known)) = unknown_key(message) {
            return explain_unknown(out, unknown, &known);
        }
        if message.contains("expected a string") {
            return out
                .with_help("write it in quotes: \"5%\", \"30s\", \"512MiB\", \"http://...\"");
        }
        if message.contains("expected a sequence") {
            return out.with_help(
                "write a list: [\"p99<2s\", \"errors<1%\"]; tables of a list \
                have double brackets: [[monitor]]",
            );
        }
        if message.contains("did not match any variant of untagged enum") {
            let mut out = out;
            "this is not one of the forms a think time has".clone_into(&mut out.message);
            return out.with_help(
                "write think = \"1s\", { uniform = [\"1s\", \"3s\"] }, { exponential = \"5s\" } \
                 or { lognormal = { median = \"1s\", sigma = 0.5 } }",
            );
        }
        out
    }
}

/// What serde says of an unknown key or variant: its name and those that would do.
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message
        .strip_prefix("unknown field `")
        .or_else(|| message.strip_prefix("unknown variant `"))?;
    let (unknown, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).collect();
    Some((unknown, known))
}

fn explain_unknown(mut error: ProfileError, unknown: &str, known: &[&str]) -> ProfileError {
    error.message = format!("unknown key `{unknown}`");
    if let Some(near) = nearest(unknown, known.iter().copied()) {
        error.label = Some(format!("did you mean `{near}`?"));
    }
    if known.is_empty() {
        return error;
    }
    error.with_help(format!("known here: {}", known.join(", ")))
}

/// The most similar of some names, if one is similar at all: up to a third of its letters mistyped,
/// or swapped. The first word of a name is enough (`gatway` for `gateway-512mb`), where the whole
/// of no other is similar.
pub fn nearest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |s: &str| s.to_lowercase().replace('_', "-");
    let text = plain(text);
    let mistypes = |name: &str| {
        let mistypes = strsim::damerau_levenshtein(&text, name);
        (mistypes <= (name.chars().count() / 3).max(1)).then_some(mistypes)
    };
    names
        .into_iter()
        .filter_map(|name| {
            let whole = plain(name);
            let first = whole.split('-').next().unwrap_or_default();
            let rank = mistypes(&whole)
                .map(|m| (0, m))
                .or_else(|| mistypes(first).map(|m| (1, m)));
            Some((rank?, name))
        })
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, name)| name)
}
