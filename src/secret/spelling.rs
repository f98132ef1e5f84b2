//! How a secret may be written by whoever repeats it.

use std::fmt::Write as _;

use base64::Engine as _;

use super::{push_percent_encoded, with_small_digits};

/// Words that come from the environment too and are nobody's secret.
const PLAIN: &[&str] = &["127.0.0.1", "false", "http", "https", "localhost", "true"];
/// A piece of a longer secret that is one itself: a line of a key, a word of a header.
const LEAST_PIECE: usize = 8;
/// Every text is searched for all of them: a whole book as a secret would stop the show.
const MOST_PIECES: usize = 64;

/// A secret as it may be repeated: as it is, within JSON, in an address, in base64 (which is how
/// HTTP has passwords), and its longer pieces, for logs are lines and headers are words.
pub fn spellings(secret: &str) -> Vec<String> {
    if PLAIN.contains(&secret) {
        return Vec::new();
    }
    let ends = |c: char| c.is_whitespace() || matches!(c, ';' | ',' | '=' | '"');
    let pieces = secret.lines().chain(secret.split(ends));
    let pieces = pieces.filter(|piece| piece.len() >= LEAST_PIECE);
    let pieces = pieces.take(MOST_PIECES);
    let mut out = Vec::new();
    for secret in [secret].into_iter().chain(pieces) {
        let json = serde_json::Value::String(secret.to_owned()).to_string();
        let mut encoded = String::new();
        push_percent_encoded(&mut encoded, secret);
        let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
        out.extend([
            json[1..json.len() - 1].to_owned(),
            with_small_digits(&encoded),
            encoded,
            base64,
            secret.to_owned(),
        ]);
    }
    out.extend(rarer_spellings(secret));
    out.sort_unstable();
    out.dedup();
    out
}

/// How else programs write a secret that they repeat: with the `/` of JSON escaped (PHP),
/// percent-encoded as forms are, in hexadecimal, in capitals or small letters, and within something
/// longer in base64, as the password of `user:password` is. Short ones would be found in words.
fn rarer_spellings(secret: &str) -> Vec<String> {
    if secret.len() < LEAST_PIECE {
        return Vec::new();
    }
    let json = serde_json::Value::String(secret.to_owned()).to_string();
    let mut encoded = String::new();
    push_percent_encoded(&mut encoded, secret);
    let mut hex = String::new();
    for byte in secret.bytes() {
        // Writing to a string cannot fail.
        write!(hex, "{byte:02x}").ok();
    }
    let mut out = vec![
        json[1..json.len() - 1].replace('/', "\\/"),
        encoded.replace("%20", "+"),
        hex.to_uppercase(),
        hex,
    ];
    // One of letters alone may be a word of everybody.
    if !secret.chars().all(char::is_alphabetic) {
        out.extend([secret.to_uppercase(), secret.to_lowercase()]);
    }
    // Three bytes are encoded at a time, so that a text looks otherwise behind one or two others;
    // what it shares with them is left out.
    for before in 0..3 {
        let text = ["\0".repeat(before).as_bytes(), secret.as_bytes()].concat();
        let whole = text.len() / 3 * 3;
        let encoded = base64::engine::general_purpose::STANDARD_NO_PAD.encode(&text[..whole]);
        let shared = if before == 0 { 0 } else { 4 };
        if let Some(own) = encoded.get(shared..).filter(|own| own.len() >= LEAST_PIECE) {
            out.extend([own.to_owned(), own.replace('+', "-").replace('/', "_")]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_however_programs_write_it() {
        let secret = "Gh0st/word+9 x";
        let all = spellings(secret);
        let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        for written in [
            secret.to_owned(),
            "Gh0st%2Fword%2B9%20x".to_owned(),
            "gh0st/word+9 x".to_owned(),
            "GH0ST/WORD+9 X".to_owned(),
            r"Gh0st\/word+9 x".to_owned(),
            "Gh0st%2Fword%2B9+x".to_owned(),
            "47683073742f776f72642b392078".to_owned(),
            base64(secret),
            base64(&format!("u:{secret}")),
            base64(&format!("me:{secret}")),
            base64(&format!("you:{secret}!")),
            base64(&format!("{{\"p\":\"{secret}\"}}"))
                .replace('+', "-")
                .replace('/', "_"),
        ] {
            let is_in = all.iter().any(|spelling| written.contains(spelling));
            assert!(is_in, "{written}");
        }
        // Nor is a word hidden in small letters where it is a secret by accident.
        let word = spellings("Production");
        assert!(!word.iter().any(|w| w == "production"));
    }
}
