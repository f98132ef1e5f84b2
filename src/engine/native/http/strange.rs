//! Why bytes are no head of an answer, in words: looked at again when they were refused.

use super::answer::MAX_HEAD;
use crate::engine::native::why;

/// Fields that are looked at: what has more is looked at no further.
const FIELDS: usize = 512;

/// Why what came is no head that is taken.
pub(super) fn why_no_head(bytes: &[u8]) -> String {
    if !bytes.starts_with(b"HTTP/") {
        return why::not_http(bytes);
    }
    let taken = &bytes[..bytes.len().min(MAX_HEAD)];
    let ends = |end: &[u8]| taken.windows(end.len()).any(|w| w == end);
    if bytes.len() >= MAX_HEAD && !ends(b"\r\n\r\n") && !ends(b"\n\n") {
        return format!(
            "the response head is larger than {} KiB, the limit",
            MAX_HEAD / 1024
        );
    }
    let first = why::first_line(bytes);
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut answer = httparse::Response::new(&mut fields);
    let wrong = match answer.parse(bytes) {
        Err(e) => format!("a part of it is not HTTP ({e})"),
        Ok(_) if answer.code == Some(101) => {
            return format!(
                "the server switches to another protocol, which was not requested: `{first}`"
            );
        }
        Ok(_) => of_framing(answer.headers),
    };
    format!("the response head is not valid HTTP/1.1, because {wrong}; it begins with `{first}`")
}

/// What two readers of a head would not read alike.
fn of_framing(fields: &[httparse::Header<'_>]) -> String {
    let of = |name: &str| {
        let named = fields.iter().filter(|f| f.name.eq_ignore_ascii_case(name));
        named.map(|f| f.value.trim_ascii()).collect::<Vec<_>>()
    };
    let lengths = of("content-length");
    if !lengths.is_empty() && !of("transfer-encoding").is_empty() {
        return "it has both content-length and transfer-encoding".to_owned();
    }
    let is_number = |value: &[u8]| {
        std::str::from_utf8(value)
            .is_ok_and(|v| v.bytes().all(|b| b.is_ascii_digit()) && v.parse::<u64>().is_ok())
    };
    match lengths.as_slice() {
        [first, rest @ ..] if rest.iter().any(|other| other != first) => {
            "it has more than one content-length, and they differ".to_owned()
        }
        [value, ..] if !is_number(value) => "its content-length is not a number".to_owned(),
        _ => "its first line or a field is malformed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_is_refused_says_what_is_wrong_with_it() {
        let large = [b"HTTP/1.1 200 OK\r\nx: ", vec![b'a'; MAX_HEAD].as_slice()].concat();
        for (bytes, part) in [
            (large.as_slice(), "larger than 64 KiB"),
            (
                b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n",
                "switches to another protocol",
            ),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
                "both content-length and transfer-encoding",
            ),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
                "they differ",
            ),
            (
                b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
                "is not a number",
            ),
            (
                b"HTTP/1.1 200 OK\r\nset-cookie: s3cr3t\x1b\r\n\r\n",
                "it begins with `HTTP/1.1 200 OK`",
            ),
            (b"SSH-2.0-OpenSSH_9\r\n", "begins with `SSH-2.0-OpenSSH_9`"),
        ] {
            let why = why_no_head(bytes);
            assert!(why.contains(part), "{why}");
            assert!(!why.contains("s3cr3t"), "{why}");
        }
    }
}
