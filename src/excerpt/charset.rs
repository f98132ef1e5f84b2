//! Bytes as text, in the charset that is said of them. UTF-8, UTF-16 and Latin-1 are known, which
//! is what servers send.

/// Share of the signs from which bytes without a charset that are no UTF-8 are taken for Latin-1:
/// text has few signs beyond ASCII.
const MOSTLY_ASCII: usize = 2;

/// A body as text by the value of its `content-type`; `None` where it is no text.
pub(super) fn text(bytes: &[u8], content_type: Option<&[u8]>) -> Option<String> {
    let charset = content_type.and_then(charset_of).unwrap_or_default();
    match charset.as_str() {
        "utf-16" | "utf16" | "unicode" => Some(utf_16(bytes, bytes.starts_with(&[0xff, 0xfe]))),
        "utf-16le" => Some(utf_16(bytes, true)),
        "utf-16be" => Some(utf_16(bytes, false)),
        "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "iso-8859-15" | "windows-1252"
        | "cp1252" | "l1" => Some(latin_1(bytes)),
        _ => of_unsaid(bytes, content_type),
    }
}

/// The name in small letters behind `charset=`.
fn charset_of(content_type: &[u8]) -> Option<String> {
    let value = String::from_utf8_lossy(content_type).to_ascii_lowercase();
    let parameters = value.split(';').skip(1);
    let mut charsets = parameters.filter_map(|p| p.trim().strip_prefix("charset="));
    Some(charsets.next()?.trim_matches(['"', '\'', ' ']).to_owned())
}

fn of_unsaid(bytes: &[u8], content_type: Option<&[u8]>) -> Option<String> {
    match bytes {
        [0xff, 0xfe, ..] => return Some(utf_16(bytes, true)),
        [0xfe, 0xff, ..] => return Some(utf_16(bytes, false)),
        _ => {}
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.trim_start_matches('\u{feff}').to_owned()),
        // A character that was cut in two is no sign of anything else.
        Err(e) if bytes.len() - e.valid_up_to() < 4 && e.error_len().is_none() => {
            Some(String::from_utf8_lossy(&bytes[..e.valid_up_to()]).into_owned())
        }
        Err(_) => {
            let is_said = content_type.is_some_and(|t| {
                let t = t.to_ascii_lowercase();
                t.starts_with(b"text/") || t.windows(4).any(|w| w == b"json" || w == b"html")
            });
            let plain = |b: &&u8| matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~');
            let plain = bytes.iter().filter(plain).count();
            let is_like = !bytes.contains(&0) && plain * MOSTLY_ASCII >= bytes.len();
            (is_like && (is_said || plain + 8 >= bytes.len())).then(|| latin_1(bytes))
        }
    }
}

/// Two bytes a sign, as many as are whole; a mark of the order of bytes is no sign.
fn utf_16(bytes: &[u8], little: bool) -> String {
    let units = bytes.chunks_exact(2).map(|pair| {
        let pair = [pair[0], pair[1]];
        if little {
            u16::from_le_bytes(pair)
        } else {
            u16::from_be_bytes(pair)
        }
    });
    let signs = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER));
    signs.filter(|c| *c != '\u{feff}').collect()
}

/// A sign each, whose numbers are those of Unicode.
fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_in_its_charset() {
        let wanted = "Fehler: läuft nicht, Größe";
        let latin: Vec<u8> = wanted.chars().map(|c| u8::try_from(c).unwrap()).collect();
        let units: Vec<u16> = wanted.encode_utf16().collect();
        let big: Vec<u8> = units.iter().flat_map(|u| u.to_be_bytes()).collect();
        let little: Vec<u8> = units.iter().flat_map(|u| u.to_le_bytes()).collect();
        let marked = [&[0xff, 0xfe], little.as_slice()].concat();
        for (bytes, content_type) in [
            (wanted.as_bytes(), None),
            (wanted.as_bytes(), Some("text/plain; charset=utf-8")),
            (&latin, Some("text/plain; charset=latin-1")),
            (&latin, Some("text/html; Charset=\"ISO-8859-1\"")),
            (&latin, Some("text/plain")),
            (&latin, None),
            (&big, Some("text/plain; charset=utf-16")),
            (&big, Some("application/json;charset=UTF-16BE")),
            (&marked, Some("text/plain; charset=utf-16")),
            (&marked, None),
            (&little, Some("text/plain; charset=utf-16le")),
        ] {
            let read = text(bytes, content_type.map(str::as_bytes));
            assert_eq!(read.as_deref(), Some(wanted), "{content_type:?}");
        }
        assert_eq!(
            text(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xfe\xfd", None),
            None
        );
        assert_eq!(text(b"\xff\xfd\xfc\xfb\xfa", None), None);
        assert_eq!(text(&"ü".as_bytes()[..1], None).as_deref(), Some(""));
        assert_eq!(
            text(b"a\xc3(", Some(b"text/plain")).as_deref(),
            Some("a\u{c3}(")
        );
    }
}
