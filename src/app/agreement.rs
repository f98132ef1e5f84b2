//! What must be agreed to, and by which it is known again.

use std::fmt::Write as _;

/// Something that must be agreed to.
pub(super) struct ConsentRequest {
    /// What, as it is shown.
    pub(super) shown: String,
    /// By which it is known again.
    pub(super) mark: String,
}

/// By which something is known again: its kind, and the content of each of its parts.
pub(super) fn mark(kind: &str, parts: &[&[u8]]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        // Its length before it: no two lists of parts are one text.
        context.update(&part.len().to_le_bytes());
        context.update(part);
    }
    let mut mark = format!("{kind} ");
    for byte in context.finish().as_ref() {
        // Writing to a string cannot fail.
        write!(mark, "{byte:02x}").ok();
    }
    mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_of_every_part_and_of_nothing_else() {
        assert_eq!(mark("consent", &[b"a"]), mark("consent", &[b"a"]));
        let marks = [
            mark("consent", &[b"a"]),
            mark("consent", &[b"a "]),
            mark("contact", &[b"a"]),
            mark("contact", &[b"a", b"b"]),
            mark("contact", &[b"ab", b""]),
            mark("contact", &[b"", b"ab"]),
        ];
        for (i, mark) in marks.iter().enumerate() {
            assert!(!marks[..i].contains(mark));
        }
    }
}
