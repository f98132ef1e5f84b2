//! Secrets in pages and XML: a hidden field, a password, an element that is named like one.

use std::borrow::Cow;
use std::ops::Range;

use super::{MASK, names_a_secret};

/// Attributes that say what a field or an element holds.
const NAMING: [&str; 6] = ["name", "id", "property", "itemprop", "type", "autocomplete"];
/// Attributes that hold it.
const HOLDING: [&str; 3] = ["value", "content", "data-value"];
/// Parts of names that say so wherever they stand, written together as in `csrfmiddlewaretoken`.
const PARTS: [&str; 6] = ["csrf", "xsrf", "token", "passwor", "passwd", "secret"];

/// A text without what pages and XML hold under a name that says that it is secret.
pub fn markup_masked(text: &str) -> Cow<'_, str> {
    if !text.contains('<') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at + 1);
        out.push_str(before);
        let (tag, behind) = tag.split_at(tag_end(tag));
        push_tag(&mut out, tag);
        rest = behind;
        if let Some(content) = behind.strip_prefix('>')
            && says_secret(name_of(tag))
        {
            let end = content.find('<').unwrap_or(content.len());
            out.push('>');
            if !content[..end].trim().is_empty() {
                out.push_str(MASK);
            }
            rest = &content[end..];
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The name of an element at the beginning of its tag; nothing for one that ends or is none.
fn name_of(tag: &str) -> &str {
    let end = tag.find(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | ':')));
    let name = &tag[..end.unwrap_or(tag.len())];
    name.rsplit(':').next().unwrap_or(name)
}

/// Where a tag ends: at `>` outside of quotes, or with the text where it was cut.
fn tag_end(tag: &str) -> usize {
    let mut quote = None;
    let end = tag.find(|c: char| {
        match (quote, c) {
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        quote.is_none() && c == '>'
    });
    // A quote that is never closed is none: nothing behind it may be taken for part of the tag.
    end.or_else(|| tag.find('>')).unwrap_or(tag.len())
}

fn push_tag(out: &mut String, tag: &str) {
    let all = attributes(tag);
    let naming = |name: &str| NAMING.iter().any(|n| name.eq_ignore_ascii_case(n));
    let holding = |name: &str| HOLDING.iter().any(|n| name.eq_ignore_ascii_case(n));
    let is_secret = all
        .iter()
        .any(|(name, value)| naming(name) && says_secret(&tag[value.clone()]));
    let mut from = 0;
    for (_, value) in all
        .iter()
        .filter(|(name, value)| is_secret && holding(name) && !value.is_empty())
    {
        out.push_str(&tag[from..value.start]);
        out.push_str(MASK);
        from = value.end;
    }
    out.push_str(&tag[from..]);
}

/// Names of attributes and where their values stand, without quotes.
fn attributes(tag: &str) -> Vec<(&str, Range<usize>)> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(equal) = tag[at..].find('=').map(|e| at + e) {
        let before = tag[at..equal].trim_end();
        let name = before
            .rsplit(|c: char| c.is_whitespace() || "\"'/".contains(c))
            .next();
        let blanks = tag[equal + 1..].len() - tag[equal + 1..].trim_start().len();
        let start = equal + 1 + blanks;
        let quote = tag[start..]
            .chars()
            .next()
            .filter(|c| matches!(c, '"' | '\''));
        let start = start + quote.map_or(0, char::len_utf8);
        let ends = |c: char| match quote {
            Some(quote) => c == quote,
            None => c.is_whitespace(),
        };
        let end = tag[start..].find(ends).map_or(tag.len(), |e| start + e);
        found.push((name.unwrap_or_default(), start..end));
        at = (end + quote.map_or(0, char::len_utf8)).min(tag.len());
    }
    found
}

fn says_secret(name: &str) -> bool {
    let small = name.to_ascii_lowercase();
    names_a_secret(name) || PARTS.iter().any(|part| small.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_elements_that_are_named_like_secrets_lose_their_values() {
        for (text, masked) in [
            (
                r#"<input type="hidden" name="csrfmiddlewaretoken" value="aB3dE6">"#,
                r#"<input type="hidden" name="csrfmiddlewaretoken" value="***">"#,
            ),
            (
                "<INPUT VALUE=aB3dE6 NAME=_csrf TYPE=hidden>x",
                "<INPUT VALUE=*** NAME=_csrf TYPE=hidden>x",
            ),
            (
                r"<meta content='aB3dE6' name='csrf-token'/>",
                r"<meta content='***' name='csrf-token'/>",
            ),
            (
                r#"<input type="password" name="p" value="hunter2">"#,
                r#"<input type="password" name="p" value="***">"#,
            ),
            (
                "<a:token>aB3dE6</a:token><name>Ann</name>",
                "<a:token>***</a:token><name>Ann</name>",
            ),
            (
                r#"<input name="token" value="aB3dE"#,
                r#"<input name="token" value="***"#,
            ),
        ] {
            assert_eq!(markup_masked(text), masked);
        }
    }

    #[test]
    fn other_markup_and_text_stay() {
        for text in [
            r#"<input name="q" value="shoes"><p class="x">a < b</p>"#,
            "1 < 2 and 3 > 2",
            "<",
            "<a href=\"/x?a='b\">it's</a>",
            "<p title=\"never closed>text",
            "<ü=ö ä=\"ß\">",
        ] {
            assert_eq!(markup_masked(text), text);
        }
    }
}
