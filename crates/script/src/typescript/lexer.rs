//! Tokens.

use super::{Fault, Parsed};

/// A token: a range of the source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) from: usize,
    pub(super) to: usize,
    /// A line ends between it and the token before.
    pub(super) after_line: bool,
}

/// What kind of token it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or keyword.
    Name,
    /// `#name`.
    Private,
    Number,
    String,
    /// The backtick that opens a template.
    Template,
    Regex,
    Sign,
    End,
}

/// The signs of several characters, the longer ones first. Those that begin with `>` are put
/// together by expressions, because a type ends with the first of them.
const SIGNS: [&str; 32] = [
    "...", "===", "!==", "**=", "<<=", "&&=", "||=", "??=", "=>", "==", "!=", "<=", "++", "--",
    "**", "<<", "&&", "||", "??", "?.", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "@", "#",
    "\\", ";",
];

pub(super) fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

fn begins_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == '$' || c == '\\' || (!c.is_ascii() && !is_space(c))
}

fn is_in_name(c: char) -> bool {
    begins_name(c) || c.is_ascii_digit()
}

fn is_space(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

/// Where the program begins: after a line that names who runs it.
pub(super) fn start(source: &str) -> usize {
    if source.starts_with("#!") {
        source.find('\n').unwrap_or(source.len())
    } else {
        0
    }
}

/// Skips spaces and comments; the place after them, and whether a line ended.
fn skip(source: &str, mut at: usize) -> Parsed<(usize, bool)> {
    let mut after_line = at == 0;
    loop {
        let rest = &source[at..];
        if rest.starts_with("//") {
            at += rest.find(is_line_end).unwrap_or(rest.len());
        } else if let Some(inside) = rest.strip_prefix("/*") {
            let end = inside.find("*/");
            let end = end.ok_or_else(|| Fault::at(at, "the comment has no end"))?;
            after_line |= inside[..end].contains(is_line_end);
            at += end + 4;
        } else {
            match rest.chars().next() {
                Some(c) if is_space(c) || is_line_end(c) => {
                    after_line |= is_line_end(c);
                    at += c.len_utf8();
                }
                _ => return Ok((at, after_line)),
            }
        }
    }
}

/// The token at a place; where a value is expected, `/` begins a regular expression.
pub(super) fn token(source: &str, at: usize, expects_value: bool) -> Parsed<Token> {
    let (from, after_line) = skip(source, at)?;
    let rest = &source[from..];
    let made = |kind, length| {
        Ok(Token {
            kind,
            from,
            to: from + length,
            after_line,
        })
    };
    let Some(first) = rest.chars().next() else {
        return made(Kind::End, 0);
    };
    if begins_name(first) {
        return made(Kind::Name, name(rest));
    }
    let second = rest[first.len_utf8()..].chars().next();
    match first {
        '#' if second.is_some_and(begins_name) => made(Kind::Private, 1 + name(&rest[1..])),
        '0'..='9' => made(Kind::Number, number(rest)),
        '.' if second.is_some_and(|c| c.is_ascii_digit()) => made(Kind::Number, number(rest)),
        '"' | '\'' => made(Kind::String, string(rest, first, from)?),
        '`' => made(Kind::Template, 1),
        '/' if expects_value => made(Kind::Regex, regex(rest, from)?),
        // A number after `?` is the middle of `? :`.
        '?' if rest.starts_with("?.") && rest[2..].starts_with(|c: char| c.is_ascii_digit()) => {
            made(Kind::Sign, 1)
        }
        _ => {
            let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
            made(Kind::Sign, sign.map_or(first.len_utf8(), |sign| sign.len()))
        }
    }
}

fn name(rest: &str) -> usize {
    let mut chars = rest.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            // `\u{61}`.
            if rest[at..].starts_with("\\u{") {
                for (_, c) in chars.by_ref() {
                    if c == '}' || is_line_end(c) {
                        break;
                    }
                }
            }
        } else if !is_in_name(c) {
            return at;
        }
    }
    rest.len()
}

fn number(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let digits = |mut at: usize| {
        while at < bytes.len() && (bytes[at].is_ascii_digit() || bytes[at] == b'_') {
            at += 1;
        }
        at
    };
    let is_based = bytes[0] == b'0'
        && bytes
            .get(1)
            .is_some_and(|b| matches!(b | 32, b'x' | b'o' | b'b'));
    if is_based {
        let is_part = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        return bytes
            .iter()
            .position(|b| !is_part(b))
            .unwrap_or(bytes.len());
    }
    let mut at = digits(0);
    if bytes.get(at) == Some(&b'.') {
        at = digits(at + 1);
    }
    if bytes.get(at).is_some_and(|b| b | 32 == b'e') {
        let sign = usize::from(bytes.get(at + 1).is_some_and(|b| matches!(b, b'+' | b'-')));
        if bytes.get(at + 1 + sign).is_some_and(u8::is_ascii_digit) {
            at = digits(at + 1 + sign);
        }
    }
    at + usize::from(bytes.get(at) == Some(&b'n'))
}

fn string(rest: &str, quote: char, from: usize) -> Parsed<usize> {
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == quote {
            return Ok(at + 1);
        }
        if c == '\\' {
            // The character after it, a line end too (two of them where they are `\r\n`).
            if chars.next().is_some_and(|(_, c)| c == '\r') && rest[at + 2..].starts_with('\n') {
                chars.next();
            }
        } else if c == '\n' || c == '\r' {
            break;
        }
    }
    Err(Fault::at(from, "the string has no end"))
}

fn regex(rest: &str, from: usize) -> Parsed<usize> {
    let mut in_class = false;
    let mut chars = rest.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if chars.next().is_none_or(|(_, c)| is_line_end(c)) => break,
            '\\' => {}
            '[' => in_class = true,
            ']' => in_class = false,
            '/' if !in_class => {
                let flags = rest[at + 1..].find(|c| !is_in_name(c));
                return Ok(flags.map_or(rest.len(), |flags| at + 1 + flags));
            }
            c if is_line_end(c) => break,
            _ => {}
        }
    }
    Err(Fault::at(from, "the regular expression has no end"))
}

/// The text of a template from a place on: where its next expression begins, or where it is over.
pub(super) fn template(source: &str, at: usize) -> Parsed<(usize, bool)> {
    let bytes = source.as_bytes();
    let mut i = at;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 1,
            b'`' => return Ok((i + 1, true)),
            b'$' if bytes.get(i + 1) == Some(&b'{') => return Ok((i + 2, false)),
            _ => {}
        }
        i += 1;
    }
    Err(Fault::at(at, "the template has no end"))
}
