//! A text that a pattern of a schema matches. Simple patterns only, and what is made is tried.

use regex::Regex;
use regex_syntax::hir::{Class, ClassUnicodeRange, Hir, HirKind};

/// Longest pattern that is read.
const MOST_PATTERN: usize = 500;
/// Longest text that is made.
const MOST_LENGTH: usize = 1_000;
/// Repetitions more than a pattern asks for, which a least length may take.
const MOST_MORE: u32 = 64;
/// Letters and digits that are taken where a class has them: what people write.
const PLAIN: [char; 4] = ['a', 'A', '1', '-'];

/// A text of so many signs at least and at most that a pattern matches; `None` where none is found.
pub(super) fn example(pattern: &str, least: usize, most: usize) -> Option<String> {
    if pattern.len() > MOST_PATTERN {
        return None;
    }
    let regex = Regex::new(pattern).ok()?;
    let hir = regex_syntax::parse(pattern).ok()?;
    (0..=MOST_MORE).find_map(|more| {
        let mut text = String::new();
        write(&hir, more, &mut text)?;
        let length = text.chars().count();
        ((least..=most).contains(&length) && regex.is_match(&text)).then_some(text)
    })
}

/// Writes what a part matches, with so many repetitions more than it asks for.
fn write(hir: &Hir, more: u32, out: &mut String) -> Option<()> {
    if out.len() > MOST_LENGTH {
        return None;
    }
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => out.push_str(std::str::from_utf8(&literal.0).ok()?),
        HirKind::Class(Class::Unicode(class)) => {
            let has = |c: char| {
                class
                    .ranges()
                    .iter()
                    .any(|r| r.start() <= c && c <= r.end())
            };
            let plain = PLAIN.into_iter().find(|c| has(*c));
            out.push(plain.or_else(|| class.ranges().first().map(ClassUnicodeRange::start))?);
        }
        HirKind::Class(Class::Bytes(_)) => return None,
        HirKind::Repetition(repeated) => {
            let most = repeated.max.unwrap_or(u32::MAX);
            for _ in 0..repeated.min.saturating_add(more).min(most) {
                write(&repeated.sub, more, out)?;
            }
        }
        HirKind::Capture(capture) => write(&capture.sub, more, out)?,
        HirKind::Concat(parts) => {
            for part in parts {
                write(part, more, out)?;
            }
        }
        HirKind::Alternation(ways) => write(ways.first()?, more, out)?,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_matches_and_is_as_long_as_it_must_be() {
        for (pattern, least, most) in [
            ("^[a-z]{3}-[0-9]+$", 0, 100),
            ("^[A-Z]{2}\\d{6}$", 0, 8),
            ("^(draft|paid)$", 0, 100),
            ("^\\+[1-9]\\d{1,14}$", 9, 16),
            ("[a-f0-9]*", 12, 12),
            ("^[\\w.-]+@[\\w-]+\\.[a-z]{2,}$", 0, 100),
        ] {
            let made = example(pattern, least, most).expect(pattern);
            assert!(Regex::new(pattern).unwrap().is_match(&made), "{made}");
            assert!((least..=most).contains(&made.len()), "{pattern}: {made}");
        }
    }

    #[test]
    fn what_cannot_be_made_is_none_and_does_not_take_long() {
        for (pattern, least, most) in [
            ("^(?=.*\\d).{8,}$", 0, 100),
            ("^a{3}$", 5, 9),
            ("(((a{30}){30}){30}){30}", 0, usize::MAX),
            ("[", 0, 9),
            ("\\b\\B", 0, 9),
        ] {
            assert_eq!(example(pattern, least, most), None, "{pattern}");
        }
    }
}
