//! What others sent, made fit to be shown: without secrets, cut, and with nothing in it that acts
//! on a terminal or a page.
//!
//! Reports are attached to public threads, and the text of an answer is written by whoever runs the
//! target, or attacks it.

mod charset;

use std::fmt::Write as _;

use crate::secret::{self, Hidden};

/// Bytes of an answer's body that are looked at.
pub const BODY: usize = 1024;
/// Characters of an excerpt in a sentence or a table.
const LINE: usize = 200;
/// The same where one failure alone is told, with the way out.
const LONG_LINE: usize = 480;
/// Characters of the message that failures are told apart by.
const MESSAGE: usize = 120;

/// Whether a character acts on whatever shows it, hides, or turns or swallows what stands beside
/// it. Line breaks and tabs do not.
pub fn is_hidden(c: char) -> bool {
    let acts = c.is_control() && !matches!(c, '\n' | '\t');
    let hides = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{fffe}' | '\u{ffff}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    acts || hides
}

/// A text in which nothing hides and nothing acts: such characters are written as what they are
/// (`\u{1b}`). Line breaks and tabs stay.
pub fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        if is_hidden(c) {
            // Writing to a string cannot fail.
            write!(out, "{}", c.escape_unicode()).ok();
        } else {
            out.push(c);
        }
    }
    out
}

/// A text as it may be printed, whoever wrote it: nothing in it acts on a terminal, and no line of
/// it is a command to whoever runs this program and reads its log (`::error::`, `##[error]`,
/// `##vso[`, `##teamcity[`).
pub fn printed(text: &str) -> String {
    without_commands(&visible(text), "\\u{3a}", "\\u{23}")
}

/// A text without commands to a runner; `colon` and `hash` are how these signs are written where
/// they would begin one.
pub fn without_commands(text: &str, colon: &str, hash: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        // GitHub's runner skips blanks before it looks.
        let begin = line.len() - line.trim_start().len();
        let (blank, line) = line.split_at(begin);
        out.push_str(blank);
        let line = match line.strip_prefix("::") {
            Some(rest) => {
                out.push_str(colon);
                out.push(':');
                rest
            }
            None => line,
        };
        push_without_hashes(&mut out, line, hash);
    }
    out
}

/// Commands of older runners and of others begin with `##` and a bracket, anywhere in a line.
fn push_without_hashes(out: &mut String, line: &str, hash: &str) {
    let mut rest = line;
    while let Some(at) = rest.find("##") {
        let behind = &rest[at + 2..];
        let word = behind.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
        out.push_str(&rest[..=at]);
        if word.starts_with('[') {
            out.push_str(hash);
            rest = behind;
        } else {
            rest = &rest[at + 1..];
        }
    }
    out.push_str(rest);
}

/// The same on one line of bounded length: what a sentence or a cell can hold.
pub fn line(text: &str) -> String {
    cut(&on_one_line(text), LINE)
}

/// The same with room for a way out.
pub fn long_line(text: &str) -> String {
    cut(&on_one_line(text), LONG_LINE)
}

fn on_one_line(text: &str) -> String {
    let visible = visible(text);
    let words: Vec<&str> = visible.split_whitespace().collect();
    words.join(" ")
}

/// The beginning of a body as text, by the value of its `content-type`; `None` where it is no text.
pub fn of_body(bytes: &[u8], content_type: Option<&[u8]>) -> Option<String> {
    charset::text(&bytes[..bytes.len().min(BODY)], content_type)
}

/// A word as a POSIX shell takes it, whole: half of a quoted word would have the shell read what
/// follows it as commands.
pub fn word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// At most so many characters; a sign says where more was.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}\u{2026}", &text[..at]),
        None => text.to_owned(),
    }
}

/// What a failure says, without what differs between two of a kind: words with a digit in them
/// (numbers, ids, times) become `#`.
pub fn folded(text: &str) -> String {
    let first = text.lines().map(str::trim).find(|l| !l.is_empty());
    let text = match first {
        // Of a page only the title says something.
        Some(page) if page.starts_with('<') => title(text).unwrap_or_default(),
        Some(line) => line,
        None => "",
    };
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain([' ']) {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        let is_id = word.chars().any(|c| c.is_ascii_digit());
        out.push_str(if is_id { "#" } else { &word });
        word.clear();
        out.push(c);
    }
    cut(&line(&out), MESSAGE)
}

fn title(page: &str) -> Option<&str> {
    // ASCII letters only change, so that places stay the same.
    let lower = page.to_ascii_lowercase();
    let from = lower.find("<title>")? + "<title>".len();
    let to = from + lower[from..].find("</title>")?;
    Some(page[from..to].trim())
}

/// What must not be shown of a user's traffic.
#[derive(Debug, Clone, Default)]
pub struct Masks(Hidden);

impl Masks {
    /// These values, wherever they come up, however they are written.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let all = values.into_iter();
        Self(Hidden::new(all.flat_map(|v| secret::spellings(&v))))
    }

    /// A text without them, and without the values of what is named like a secret
    /// (`"token": "..."`, `password=...`).
    pub fn text(&self, text: &str) -> String {
        secret::named_values_masked(&secret::markup_masked(&self.0.in_cut_text(text)))
    }

    /// A body, which may be no text at all.
    pub fn body(&self, bytes: &[u8]) -> String {
        let bytes = &bytes[..bytes.len().min(BODY)];
        of_body(bytes, None).map_or_else(|| no_text(bytes), |text| self.text(&text))
    }

    /// The value of a header.
    pub fn header(&self, name: &str, value: &[u8]) -> String {
        if secret::is_secret_header(name) {
            return secret::MASK.to_owned();
        }
        self.text(&String::from_utf8_lossy(value))
    }

    /// The lines of a request as it was sent, without its body.
    pub fn request_lines(&self, request: &[u8]) -> Vec<String> {
        let text = String::from_utf8_lossy(head_of(request).0);
        let lines = text.split("\r\n").enumerate();
        lines
            .map(|(i, line)| match line.split_once(": ") {
                Some((name, value)) if i > 0 => {
                    format!("{name}: {}", self.header(name, value.as_bytes()))
                }
                _ => self.request_line(line),
            })
            .collect()
    }

    /// `GET /path?token=*** HTTP/1.1`.
    fn request_line(&self, line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(secret::masked).collect();
        self.0.in_text(&words.join(" "))
    }
}

/// What is shown of bytes that are no text.
pub fn no_text(bytes: &[u8]) -> String {
    format!("({} bytes that are not text)", bytes.len())
}

/// A message of HTTP/1 as it was sent: its head, and what follows.
pub fn head_of(message: &[u8]) -> (&[u8], &[u8]) {
    let end = message.windows(4).position(|w| w == b"\r\n\r\n");
    end.map_or((message, &[]), |at| (&message[..at], &message[at + 4..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_server_sends_acts_or_hides() {
        let hostile = "a\u{1b}[2Jb\u{202e}c\r\nd\u{200b}\0\u{7}";
        let shown = visible(hostile);
        assert_eq!(shown, "a\\u{1b}[2Jb\\u{202e}c\nd\\u{200b}\\u{0}\\u{7}");
        assert_eq!(line("a\n\n  b\tc"), "a b c");
        assert_eq!(line(&"x".repeat(500)).chars().count(), LINE + 1);
    }

    #[test]
    fn what_is_printed_commands_nobody() {
        for (text, shown) in [
            ("::error::x", "\\u{3a}:error::x"),
            (
                "a\n \t\u{a0}::set-env name=x::y",
                "a\n \t\u{a0}\\u{3a}:set-env name=x::y",
            ),
            ("a\r\n::x", "a\n\\u{3a}:x"),
            ("see ##[error]x", "see #\\u{23}[error]x"),
            ("##vso[task.x]", "#\\u{23}vso[task.x]"),
            ("###[x]", "##\\u{23}[x]"),
            ("\u{1b}]0;x\u{7}", "\\u{1b}]0;x\\u{7}"),
            ("a::b ## c [d]", "a::b ## c [d]"),
            ("\u{9b}31m\u{61c}", "\\u{9b}31m\\u{61c}"),
        ] {
            assert_eq!(printed(text), shown, "{text:?}");
        }
    }

    #[test]
    fn a_word_is_one_to_a_shell_whatever_it_holds() {
        for (text, shown) in [
            ("http://h:1/a=b", "http://h:1/a=b"),
            ("", "''"),
            ("a b", "'a b'"),
            ("x'; touch y; '", r"'x'\''; touch y; '\'''"),
            ("$(id)`id`", "'$(id)`id`'"),
            ("~/a", "'~/a'"),
        ] {
            assert_eq!(word(text), shown);
        }
    }

    #[test]
    fn what_differs_between_two_failures_of_a_kind_is_folded() {
        let of = |id: u32| format!("{{\"error\":\"no user u{id}\",\"at\":\"2026-11-{id}\"}}");
        assert_eq!(folded(&of(17)), folded(&of(29)));
        assert_eq!(
            folded(&of(17)),
            "{\"error\":\"no user #\",\"at\":\"#-#-#\"}"
        );
        assert_ne!(folded("queue full"), folded("out of memory"));
        let page = "<!DOCTYPE html>\n<html><TITLE>502 Bad Gateway</title>";
        assert_eq!(folded(page), "# Bad Gateway");
        assert_eq!(folded("<html>no title"), "");
        assert!(folded(&"word ".repeat(100)).chars().count() <= MESSAGE + 1);
    }

    #[test]
    fn secrets_are_masked_wherever_they_come_up() {
        let masks = Masks::new(["hunter2\"x".to_owned(), "abc".to_owned()]);
        let request = b"POST /a?token=t&p=hunter2%22x HTTP/1.1\r\nhost: h\r\nAuthorization: \
            Bearer z\r\nx-a: hunter2\"x\r\n\r\nbody";
        assert_eq!(
            masks.request_lines(request),
            [
                "POST /a?token=***&p=*** HTTP/1.1",
                "host: h",
                "Authorization: ***",
                "x-a: ***"
            ]
        );
        assert_eq!(head_of(request).1, b"body");
        let json = br#"{"who": "ann", "access_token":"eyJ.abc", "echo": "hunter2\"x"}"#;
        assert_eq!(
            masks.body(json),
            r#"{"who": "ann", "access_token":"***", "echo": "***"}"#
        );
        // One that was cut in two is masked as well.
        assert_eq!(masks.text("said hunter2"), "said ***");
        assert_eq!(masks.header("Set-Cookie", b"sid=1"), "***");
        assert_eq!(
            masks.body(b"\xff\xfd\xfc\xfb\xfa"),
            "(5 bytes that are not text)"
        );
        assert_eq!(masks.body("ü".as_bytes()), "ü");
        assert_eq!(masks.body(&"ü".as_bytes()[..1]), "");
    }
}
