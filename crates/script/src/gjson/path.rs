//! Paths cut into their parts.

/// A key of an object or an index of an array.
#[derive(Debug)]
pub(super) struct Key {
    /// Without its escapes.
    pub(super) plain: String,
    /// As it is written, for [`pattern`].
    pub(super) pattern: String,
    /// It has a `*` or `?` that stands for other characters.
    pub(super) has_wildcards: bool,
}

/// A part of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Glyph {
    /// `*`: any characters.
    Any,
    /// `?`: one character.
    One,
    /// This one.
    This(char),
}

/// The parts of a pattern.
pub(super) fn pattern(text: &str) -> Vec<Glyph> {
    let mut glyphs = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let glyph = match c {
            '*' => Glyph::Any,
            '?' => Glyph::One,
            '\\' => Glyph::This(chars.next().unwrap_or('\\')),
            other => Glyph::This(other),
        };
        // Two stars in a row say no more than one.
        if glyph != Glyph::Any || glyphs.last() != Some(&Glyph::Any) {
            glyphs.push(glyph);
        }
    }
    glyphs
}

/// The key at the start of a path, and the path after its `.` or `|`.
pub(super) fn key(path: &str) -> (Key, Option<&str>) {
    let mut plain = String::new();
    let mut has_wildcards = false;
    let mut end = path.len();
    let mut chars = path.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => plain.extend(chars.next().map(|(_, c)| c)),
            '.' | '|' => {
                end = at;
                break;
            }
            _ => {
                has_wildcards |= c == '*' || c == '?';
                plain.push(c);
            }
        }
    }
    let pattern = path[..end].to_owned();
    let key = Key {
        plain,
        pattern,
        has_wildcards,
    };
    (key, rest(&path[end..]))
}

/// The path after a `.` or `|`.
pub(super) fn rest(after: &str) -> Option<&str> {
    after.strip_prefix(['.', '|'])
}

/// The part after `"..."` at the start of a text, quotes included in the first.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut i = at + 1;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 2,
            b'"' => return i + 1,
            _ => i += 1,
        }
    }
    bytes.len()
}

/// What stands between the bracket at the start of a text and the one that closes it, and what
/// comes after that.
pub(super) fn enclosed(text: &str) -> Option<(&str, &str)> {
    let end = bracket_end(text.as_bytes(), 0)?;
    Some((&text[1..end - 1], &text[end..]))
}

/// Where the bracket at a place is closed: the place after it.
fn bracket_end(bytes: &[u8], at: usize) -> Option<usize> {
    let (mut depth, mut i) = (0_usize, at);
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 1,
            b'"' => {
                i = string_end(bytes, i);
                continue;
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(i + 1);
                }
            }
            _ => {}
        }
        i += 1;
    }
    None
}

/// A path up to the first `|` that is not within brackets or quotes, and what comes after that.
pub(super) fn split_pipe(path: &str) -> (&str, Option<&str>) {
    match find(path, b"|") {
        Some(at) => (&path[..at], Some(&path[at + 1..])),
        None => (path, None),
    }
}

/// Where one of these characters stands first, outside of brackets and quotes.
pub(super) fn find(path: &str, any_of: &[u8]) -> Option<usize> {
    let bytes = path.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 2,
            byte if any_of.contains(&byte) => return Some(i),
            b'"' => i = string_end(bytes, i),
            b'(' | b'[' | b'{' => i = bracket_end(bytes, i)?,
            _ => i += 1,
        }
    }
    None
}

/// The argument of a modifier or a literal: JSON, or all up to the next `|`; and the path after it.
pub(super) fn argument(text: &str) -> (&str, Option<&str>) {
    let bytes = text.as_bytes();
    let end = match bytes.first() {
        Some(b'"') => Some(string_end(bytes, 0)),
        Some(b'[' | b'{') => bracket_end(bytes, 0),
        _ => None,
    };
    match end {
        // A string without an end reaches to the end of the text.
        Some(end) if text.is_char_boundary(end.min(text.len())) => {
            let end = end.min(text.len());
            (&text[..end], rest(&text[end..]))
        }
        _ => match text.split_once('|') {
            Some((argument, after)) => (argument, Some(after)),
            None => (text, None),
        },
    }
}

/// The paths within `[..]` or `{..}` at the start of a path, and the path after them.
pub(super) fn multipath(path: &str) -> Option<(Vec<&str>, Option<&str>)> {
    let (mut inside, after) = enclosed(path)?;
    if !after.is_empty() && !after.starts_with(['.', '|']) {
        return None;
    }
    let mut parts = Vec::new();
    while let Some(at) = find(inside, b",") {
        parts.push(&inside[..at]);
        inside = &inside[at + 1..];
    }
    parts.push(inside);
    parts.retain(|part| !part.trim().is_empty());
    Some((parts, rest(after)))
}

/// The name that a part of a multipath gives, and its path.
pub(super) fn named(part: &str) -> (Option<String>, &str) {
    let part = part.trim();
    // The colon of a modifier comes before its argument.
    if part.starts_with(['@', '!']) {
        return (None, part);
    }
    match find(part, b":") {
        Some(at) => {
            let name = part[..at].trim();
            let quoted = serde_json::from_str(name).ok();
            let name = quoted.unwrap_or_else(|| name.trim_matches('"').to_owned());
            (Some(name), part[at + 1..].trim_start())
        }
        None => (None, part),
    }
}

/// The last name of a path, by which what it finds is called; `_` where that is not a plain one.
pub(super) fn last_name(path: &str) -> String {
    let mut last = path;
    while let Some(at) = find(last, b".|") {
        last = &last[at + 1..];
    }
    let is_plain = last.chars().all(|c| c >= ' ' && !"[]{}()#|!".contains(c));
    let name = if is_plain && !last.is_empty() {
        last
    } else {
        "_"
    };
    name.to_owned()
}
