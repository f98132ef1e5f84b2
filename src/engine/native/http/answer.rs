//! Answers of HTTP/1.1 taken apart (RFC 9112): heads, and bodies of every framing. Pure; bytes may
//! be cut anywhere.

use std::mem::MaybeUninit;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use http::{Method, StatusCode};

use super::decode::Encoding;

/// Largest head, and largest trailer, that is taken.
pub(super) const MAX_HEAD: usize = 64 * 1024;
/// Fields of a head for which there is room at once: most have a handful, and the room is not
/// cleared for each head.
const USUAL_FIELDS: usize = 128;
/// Most fields of a head: the shortest takes four bytes.
const MOST_FIELDS: usize = MAX_HEAD / 4;

/// What came is not HTTP/1.1, or larger than is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotHttp;

/// A version of HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine::native) enum Version {
    /// 1.1, or 1.0.
    One,
    /// 2.
    Two,
}

impl Version {
    /// As it stands in a status line.
    pub(in crate::engine::native) fn shown(self) -> &'static str {
        match self {
            Self::One => "HTTP/1.1",
            Self::Two => "HTTP/2",
        }
    }
}

/// The head of a final answer.
#[derive(Debug, PartialEq)]
pub(in crate::engine::native) struct Head {
    pub(in crate::engine::native) version: Version,
    pub(in crate::engine::native) status: StatusCode,
    /// Of a success whose headers nobody asked for only those that set cookies.
    pub(in crate::engine::native) headers: HeaderMap,
    /// Whether the connection may take another request after the body.
    pub(super) keeps_alive: bool,
    /// How long the server keeps it when nobody uses it, as it says.
    pub(super) idle_limit: Option<Duration>,
    pub(in crate::engine::native) encoding: Encoding,
    pub(super) body: Body,
}

/// Reads a head; `None` while it is not complete. The number is that of the bytes it takes, interim
/// answers (1xx) included.
///
/// # Errors
/// When it is no HTTP/1 head, is too large, or says contradictory things about its body.
pub(super) fn head(
    bytes: &[u8],
    method: &Method,
    wants_headers: bool,
) -> Result<Option<(Head, usize)>, NotHttp> {
    head_of(bytes, method, wants_headers, false)
}

/// The same of an answer that may switch to another protocol (status 101): all behind such a head
/// is that protocol's.
///
/// # Errors
/// As [`head`].
pub(super) fn head_of(
    bytes: &[u8],
    method: &Method,
    wants_headers: bool,
    upgrades: bool,
) -> Result<Option<(Head, usize)>, NotHttp> {
    with_room(
        bytes,
        (method, upgrades),
        wants_headers,
        &mut [const { MaybeUninit::uninit() }; USUAL_FIELDS],
    )
    .or_else(|refused| match refused {
        Refused::TooManyFields => {
            let mut room = vec![MaybeUninit::uninit(); MOST_FIELDS];
            with_room(bytes, (method, upgrades), wants_headers, &mut room)
        }
        Refused::NotHttp => Err(Refused::NotHttp),
    })
    .map_err(|_| NotHttp)
}

/// Why a head was not read.
enum Refused {
    NotHttp,
    TooManyFields,
}

impl From<NotHttp> for Refused {
    fn from(_: NotHttp) -> Self {
        Self::NotHttp
    }
}

fn with_room<'b>(
    bytes: &'b [u8],
    (method, upgrades): (&Method, bool),
    wants_headers: bool,
    fields: &mut [MaybeUninit<httparse::Header<'b>>],
) -> Result<Option<(Head, usize)>, Refused> {
    let mut interim = 0;
    loop {
        let mut answer = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut answer,
            &bytes[interim..],
            fields,
        );
        let used = match parsed {
            // As large in one piece as in many: what is taken must not depend on how it was cut.
            // Interim answers count, because they are kept until the final one is there.
            Ok(httparse::Status::Complete(used)) if interim + used <= MAX_HEAD => used,
            Ok(httparse::Status::Partial) if bytes.len() < MAX_HEAD => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(Refused::TooManyFields),
            Ok(_) | Err(_) => return Err(Refused::NotHttp),
        };
        let status = answer.code.ok_or(NotHttp)?;
        let status = StatusCode::from_u16(status).map_err(|_| NotHttp)?;
        match status.as_u16() {
            // Nobody asked to switch to another protocol.
            101 if !upgrades => return Err(Refused::NotHttp),
            100 | 102..200 => interim += used,
            number => {
                let http_1_1 = answer.version == Some(1);
                let mut head = final_head(status, http_1_1, answer.headers, method, wants_headers)?;
                if number == 101 {
                    head.body = Body::UntilClosed;
                }
                return Ok(Some((head, interim + used)));
            }
        }
    }
}

fn final_head(
    status: StatusCode,
    http_1_1: bool,
    fields: &[httparse::Header<'_>],
    method: &Method,
    wants_headers: bool,
) -> Result<Head, NotHttp> {
    let mut length = None;
    let mut chunked = None;
    let (mut close, mut keep) = (false, false);
    let mut idle_limit = None;
    let mut encoding = None;
    for field in fields {
        if field.name.eq_ignore_ascii_case("content-length") {
            length = Some(agreed_length(length, field.value)?);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            chunked = Some(last_is_chunked(field.value));
        } else if field.name.eq_ignore_ascii_case("connection") {
            close |= names(field.value, "close");
            keep |= names(field.value, "keep-alive");
        } else if field.name.eq_ignore_ascii_case("keep-alive") {
            idle_limit = timeout(field.value);
        } else if field.name.eq_ignore_ascii_case("content-encoding") {
            // Several one over the other are none of those that are known.
            encoding =
                Some(encoding.map_or_else(|| Encoding::of(field.value), |_| Encoding::Unknown));
        }
    }
    let bodiless = *method == Method::HEAD
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED;
    let (body, framed) = match (chunked, length) {
        _ if bodiless => (Body::Done, true),
        // Both at once is what smuggling looks like (RFC 9112, section 6.3): one of two readers is
        // misled.
        (Some(_), Some(_)) => return Err(NotHttp),
        (Some(true), None) => (Body::Chunks(Chunk::start()), true),
        (Some(false) | None, None) => (Body::UntilClosed, false),
        (None, Some(0)) => (Body::Done, true),
        (None, Some(length)) => (Body::Rest(length), true),
    };
    let headers = if wants_headers || !status.is_success() {
        header_map(fields)?
    } else {
        cookies(fields)?
    };
    Ok(Head {
        version: Version::One,
        status,
        headers,
        keeps_alive: framed && !close && (http_1_1 || keep),
        idle_limit,
        encoding: encoding.unwrap_or_default(),
        body,
    })
}

/// The fields that set cookies: they are for the next requests, whoever asked for this one.
fn cookies(fields: &[httparse::Header<'_>]) -> Result<HeaderMap, NotHttp> {
    let sets = |field: &&httparse::Header<'_>| field.name.eq_ignore_ascii_case("set-cookie");
    if !fields.iter().any(|field| sets(&field)) {
        return Ok(HeaderMap::new());
    }
    let mut map = HeaderMap::new();
    for field in fields.iter().filter(sets) {
        let value = HeaderValue::from_bytes(field.value).map_err(|_| NotHttp)?;
        map.append(SET_COOKIE, value);
    }
    Ok(map)
}

/// Whether a list of tokens names one.
fn names(value: &[u8], token: &str) -> bool {
    value
        .split(|b| *b == b',')
        .any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// The `timeout` of a `keep-alive` field, in seconds.
fn timeout(value: &[u8]) -> Option<Duration> {
    let parts = std::str::from_utf8(value).ok()?.split(',');
    let pairs = parts.filter_map(|part| part.split_once('='));
    let mut timeouts = pairs.filter(|(name, _)| name.trim().eq_ignore_ascii_case("timeout"));
    let seconds: u32 = timeouts.next()?.1.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.into()))
}

fn last_is_chunked(value: &[u8]) -> bool {
    let last = value.rsplit(|b| *b == b',').next().unwrap_or_default();
    last.trim_ascii().eq_ignore_ascii_case(b"chunked")
}

/// A length, repeated or listed, must always be the same (RFC 9112, section 6.3).
fn agreed_length(before: Option<u64>, value: &[u8]) -> Result<u64, NotHttp> {
    let mut agreed = before;
    for part in value.split(|b| *b == b',') {
        let digits = part.trim_ascii();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(NotHttp);
        }
        let text = std::str::from_utf8(digits).map_err(|_| NotHttp)?;
        let length: u64 = text.parse().map_err(|_| NotHttp)?;
        if agreed.is_some_and(|a| a != length) {
            return Err(NotHttp);
        }
        agreed = Some(length);
    }
    agreed.ok_or(NotHttp)
}

fn header_map(fields: &[httparse::Header<'_>]) -> Result<HeaderMap, NotHttp> {
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| NotHttp)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| NotHttp)?;
        map.append(name, value);
    }
    Ok(map)
}

/// What is still to come of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// This many bytes.
    Rest(u64),
    /// Chunks, up to one of no length.
    Chunks(Chunk),
    /// Whatever comes before the connection ends.
    UntilClosed,
    /// Nothing.
    Done,
}

impl Body {
    /// Takes the next bytes of the connection, hands those of the body on, and returns how many
    /// belong to the answer.
    ///
    /// # Errors
    /// When a chunk is not framed as one.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        mut piece: impl FnMut(&[u8]),
    ) -> Result<usize, NotHttp> {
        match self {
            Self::Done => Ok(0),
            Self::UntilClosed => {
                piece(bytes);
                Ok(bytes.len())
            }
            Self::Rest(left) => {
                let take = up_to(*left, bytes.len());
                piece(&bytes[..take]);
                *left -= take as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(take)
            }
            Self::Chunks(chunk) => {
                let used = chunk.feed(bytes, piece)?;
                if chunk.at == At::End {
                    *self = Self::Done;
                }
                Ok(used)
            }
        }
    }

    /// Whether the body is complete when the connection ends now.
    pub(super) fn may_end(self) -> bool {
        matches!(self, Self::Done | Self::UntilClosed)
    }
}

fn up_to(left: u64, available: usize) -> usize {
    usize::try_from(left).map_or(available, |left| left.min(available))
}

/// Where in the chunks a body stands (RFC 9112, section 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunk {
    at: At,
    /// Bytes of the chunk still to come, or its size so far.
    left: u64,
    /// Digits of the size, or bytes of extensions and trailers: neither may go on for ever.
    count: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Size,
    Extension,
    SizeEnd,
    Data,
    DataEnd,
    DataEndLf,
    /// At the start of a trailer line.
    Trailer,
    InTrailer,
    LastLf,
    End,
}

impl Chunk {
    fn start() -> Self {
        Self {
            at: At::Size,
            left: 0,
            count: 0,
        }
    }

    fn feed(&mut self, bytes: &[u8], mut piece: impl FnMut(&[u8])) -> Result<usize, NotHttp> {
        let mut used = 0;
        while used < bytes.len() && self.at != At::End {
            if self.at == At::Data {
                let take = up_to(self.left, bytes.len() - used);
                piece(&bytes[used..used + take]);
                self.left -= take as u64;
                used += take;
                if self.left == 0 {
                    self.at = At::DataEnd;
                }
                continue;
            }
            self.at = self.step(bytes[used])?;
            used += 1;
        }
        Ok(used)
    }

    /// One byte of framing.
    fn step(&mut self, byte: u8) -> Result<At, NotHttp> {
        self.count += 1;
        if self.count > MAX_HEAD {
            return Err(NotHttp);
        }
        match (self.at, byte) {
            (At::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if self.count <= 16 => {
                let digit = char::from(byte).to_digit(16).ok_or(NotHttp)?;
                self.left = self.left * 16 + u64::from(digit);
                Ok(At::Size)
            }
            (At::Size, b';' | b' ' | b'\t') if self.count > 1 => Ok(At::Extension),
            (At::Size, b'\r') if self.count > 1 => Ok(At::SizeEnd),
            (At::Size, b'\n') if self.count > 1 => Ok(self.size_ended()),
            (At::Extension, b'\r') => Ok(At::SizeEnd),
            (At::Extension | At::SizeEnd, b'\n') => Ok(self.size_ended()),
            (At::Extension, _) => Ok(At::Extension),
            (At::DataEnd, b'\r') => Ok(At::DataEndLf),
            (At::DataEnd | At::DataEndLf, b'\n') => {
                *self = Self::start();
                Ok(At::Size)
            }
            (At::Trailer, b'\r') => Ok(At::LastLf),
            (At::Trailer | At::LastLf, b'\n') => Ok(At::End),
            (At::InTrailer, b'\n') => Ok(At::Trailer),
            (At::Trailer | At::InTrailer, _) => Ok(At::InTrailer),
            _ => Err(NotHttp),
        }
    }

    fn size_ended(&mut self) -> At {
        self.count = 0;
        if self.left == 0 {
            At::Trailer
        } else {
            At::Data
        }
    }
}

/// Takes a whole answer apart: the length of its body. For `benches/hot.rs`, which cannot see the
/// rest of this module.
#[doc(hidden)]
pub fn length_of_answer(bytes: &[u8]) -> Option<usize> {
    let (mut head, used) = head(bytes, &Method::GET, false).ok().flatten()?;
    let mut length = 0;
    head.body
        .feed(&bytes[used..], |piece| length += piece.len())
        .ok()?;
    (head.body == Body::Done).then_some(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads whole answers to GETs from a connection's bytes, cut into pieces of these lengths,
    /// until it ends.
    fn read(bytes: &[u8], cuts: &[usize]) -> Result<Vec<(u16, Vec<u8>, bool)>, NotHttp> {
        let mut answers = Vec::new();
        let mut waiting: Vec<u8> = Vec::new();
        let mut current: Option<(Head, Vec<u8>)> = None;
        let mut cuts = cuts
            .iter()
            .copied()
            .chain(std::iter::repeat(7))
            .map(|n| n.max(1));
        let mut rest = bytes;
        while !rest.is_empty() {
            let n = cuts.next().unwrap_or(1).min(rest.len());
            waiting.extend_from_slice(&rest[..n]);
            rest = &rest[n..];
            loop {
                let (head, body) = match &mut current {
                    Some(current) => (&mut current.0, &mut current.1),
                    None => match head(&waiting, &Method::GET, false)? {
                        None => break,
                        Some((head, used)) => {
                            waiting.drain(..used);
                            let current = current.insert((head, Vec::new()));
                            (&mut current.0, &mut current.1)
                        }
                    },
                };
                let used = head.body.feed(&waiting, |p| body.extend_from_slice(p))?;
                waiting.drain(..used);
                if head.body != Body::Done {
                    break;
                }
                let (head, body) = current.take().ok_or(NotHttp)?;
                answers.push((head.status.as_u16(), body, head.keeps_alive));
            }
        }
        if let Some((head, body)) = current
            && head.body.may_end()
        {
            answers.push((head.status.as_u16(), body, head.keeps_alive));
        }
        Ok(answers)
    }

    fn one(text: &str) -> (u16, String, bool) {
        let mut all = read(text.as_bytes(), &[]).unwrap();
        assert_eq!(all.len(), 1, "{text:?}: {all:?}");
        let (status, body, keeps) = all.remove(0);
        (status, String::from_utf8(body).unwrap(), keeps)
    }

    #[test]
    fn every_framing_of_a_body_is_read_to_its_end() {
        for (text, status, body, keeps) in [
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
                200,
                "ok",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
                200,
                "ok",
                true,
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true),
            (
                "HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n",
                304,
                "",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\n\r\nto the end",
                200,
                "to the end",
                false,
            ),
            (
                "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
                200,
                "ok",
                false,
            ),
            (
                "HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 2\r\n\r\nok",
                200,
                "ok",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nconnection: x, close\r\ncontent-length: 2\r\n\r\nok",
                200,
                "ok",
                false,
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
                200,
                "ok",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, \
                 Chunked\r\n\r\nA;x=\"1\"\r\n0123456789\r\n00\r\nt: 1\r\nu: 2\r\n\r\n",
                200,
                "0123456789",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\nok\n0\n\n",
                200,
                "ok",
                true,
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: \
                 </a>\r\n\r\nHTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n",
                201,
                "",
                true,
            ),
        ] {
            assert_eq!(one(text), (status, body.to_owned(), keeps), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_answer_is_told() {
        for text in [
            "SSH-2.0-OpenSSH_9.2\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok",
            "HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: \
             chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\ncontent-length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nx: one\r\n two\r\ncontent-length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\nx : 1\r\ncontent-length: 2\r\n\r\nok",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nok",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\r\nok",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-2\r\nok",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokay\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n11111111111111111\r\nok",
        ] {
            assert_eq!(read(text.as_bytes(), &[]), Err(NotHttp), "{text:?}");
        }
        let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "y".repeat(MAX_HEAD));
        assert_eq!(head(endless.as_bytes(), &Method::GET, false), Err(NotHttp));
        let in_one_piece = format!("{endless}\r\n\r\n");
        assert_eq!(
            head(in_one_piece.as_bytes(), &Method::GET, false),
            Err(NotHttp)
        );
        let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX_HEAD / 20);
        assert_eq!(head(interim.as_bytes(), &Method::GET, false), Err(NotHttp));
        let trailers = format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: {}",
            "y".repeat(MAX_HEAD)
        );
        assert_eq!(read(trailers.as_bytes(), &[4096; 40]), Err(NotHttp));
    }

    #[test]
    fn an_answer_to_head_has_no_body_and_headers_come_when_asked_for() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-a: 1\r\n\r\n";
        let (answer, used) = head(text, &Method::HEAD, true).unwrap().unwrap();
        assert_eq!((answer.body, used), (Body::Done, text.len()));
        assert_eq!(answer.headers["x-a"], "1");
        let (answer, _) = head(text, &Method::GET, false).unwrap().unwrap();
        assert!(answer.headers.is_empty());
        let refusal = b"HTTP/1.1 503 Busy\r\nretry-after: 3\r\ncontent-length: 0\r\n\r\n";
        let (answer, _) = head(refusal, &Method::GET, false).unwrap().unwrap();
        assert_eq!(answer.headers["retry-after"], "3");
    }

    #[test]
    fn a_connection_that_ends_early_leaves_its_body_open() {
        for text in [
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nok",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n",
        ] {
            assert_eq!(read(text.as_bytes(), &[]), Ok(Vec::new()), "{text:?}");
        }
    }

    fn framed() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
        let body = proptest::collection::vec(any::<u8>(), 0..60);
        (
            body,
            proptest::collection::vec(1_usize..20, 1..6),
            any::<bool>(),
        )
            .prop_map(|(body, sizes, chunked)| {
                let mut text = b"HTTP/1.1 200 OK\r\n".to_vec();
                if !chunked {
                    text.extend(format!("content-length: {}\r\n\r\n", body.len()).bytes());
                    text.extend(&body);
                    return (text, body);
                }
                text.extend(b"transfer-encoding: chunked\r\n\r\n");
                let mut rest = &body[..];
                for size in sizes.iter().cycle() {
                    if rest.is_empty() {
                        break;
                    }
                    let (piece, later) = rest.split_at((*size).min(rest.len()));
                    text.extend(format!("{:X}\r\n", piece.len()).bytes());
                    text.extend(piece);
                    text.extend(b"\r\n");
                    rest = later;
                }
                text.extend(b"0\r\n\r\n");
                (text, body)
            })
    }

    proptest! {
        #[test]
        fn answers_in_a_row_are_the_same_wherever_they_are_cut(
            answers in proptest::collection::vec(framed(), 1..4),
            cuts in proptest::collection::vec(1_usize..40, 0..40),
        ) {
            let bytes: Vec<u8> = answers.iter().flat_map(|(text, _)| text.clone()).collect();
            let read = read(&bytes, &cuts).unwrap();
            let bodies: Vec<Vec<u8>> = read.into_iter().map(|(_, body, _)| body).collect();
            let want: Vec<Vec<u8>> = answers.into_iter().map(|(_, body)| body).collect();
            prop_assert_eq!(bodies, want);
        }

        #[test]
        fn no_bytes_make_it_panic(
            start in prop_oneof![
                Just(&b""[..]),
                Just(&b"HTTP/1.1 200 OK\r\n"[..]),
                Just(&b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"[..]),
            ],
            rest in proptest::collection::vec(any::<u8>(), 0..300),
            cuts in proptest::collection::vec(1_usize..40, 0..40),
        ) {
            let bytes = [start, &rest].concat();
            let _ = read(&bytes, &cuts);
        }
    }
}
