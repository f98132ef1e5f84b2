//! Bodies that were compressed (`content-encoding`), decoded where something is read from them.
//! What comes out is bounded, whatever a few bytes would become.

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Room of the brotli decoder between its input and ours, as its documentation has it.
const BROTLI_BUFFER: usize = 4096;
/// Largest window that a zstd frame may ask for, as a power of two: 8 MiB, which RFC 9659 sets for
/// HTTP.
const ZSTD_WINDOW_LOG: u32 = 23;

/// How gzip begins (RFC 1952, section 2.3.1).
const GZIP: &[u8] = &[0x1f, 0x8b];

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::engine::native) enum Encoding {
    #[default]
    Identity,
    Gzip,
    /// Zlib by the standard, bare deflate by some.
    Deflate,
    Brotli,
    Zstd,
    /// Something else, or several one over the other.
    Unknown,
}

impl Encoding {
    /// Of the value of a `content-encoding` (RFC 9110, section 8.4).
    pub(super) fn of(value: &[u8]) -> Self {
        let is = |name: &str| value.trim_ascii().eq_ignore_ascii_case(name.as_bytes());
        match value {
            _ if is("") || is("identity") => Self::Identity,
            _ if is("gzip") || is("x-gzip") => Self::Gzip,
            _ if is("deflate") => Self::Deflate,
            _ if is("br") => Self::Brotli,
            _ if is("zstd") => Self::Zstd,
            _ => Self::Unknown,
        }
    }
}

impl Encoding {
    /// As it is called.
    pub(in crate::engine::native) fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Unknown => "another encoding",
        }
    }
}

/// Why a body cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undecoded {
    /// It is in an encoding that is not known, or in several.
    Unknown,
    /// It is not what it is said to be.
    Broken,
    /// It is more than is taken.
    TooLarge,
    /// It has no end.
    CutShort,
}

impl Undecoded {
    /// In words, of a body in this encoding of which so many bytes are kept.
    pub(super) fn why(self, encoding: Encoding, most: usize) -> String {
        let name = encoding.name();
        match self {
            Self::Unknown => "the body's content-encoding is unknown, or there are several \
                (supported: gzip, deflate, br, and zstd)"
                .to_owned(),
            Self::Broken => format!(
                "the body is not valid {name}, although its content-encoding \
                says so"
            ),
            Self::TooLarge => format!(
                "the body is compressed ({name}) and larger than {} MiB when decoded, the most that is \
                 kept for `extract` and `check`; allow more with `check = {{ max-bytes = N }}`",
                most >> 20
            ),
            Self::CutShort => format!("the body is compressed ({name}) and truncated"),
        }
    }
}

/// Decodes a body piece by piece.
pub(super) struct Decoder(Option<Kind>);

enum Kind {
    Gzip(MultiGzDecoder<Sink>),
    /// Its first bytes say which of the two it is.
    DeflateAhead(Vec<u8>),
    Zlib(ZlibDecoder<Sink>),
    Deflate(DeflateDecoder<Sink>),
    Brotli(Box<DecompressorWriter<Sink>>),
    Zstd(zstd::stream::write::Decoder<'static, Sink>),
}

impl Decoder {
    /// For a body of this encoding.
    pub(super) fn new(encoding: Encoding) -> Result<Self, Undecoded> {
        Ok(Self(Some(match encoding {
            Encoding::Identity => return Ok(Self(None)),
            Encoding::Gzip => Kind::Gzip(MultiGzDecoder::new(Sink::default())),
            Encoding::Deflate => Kind::DeflateAhead(Vec::new()),
            Encoding::Brotli => Kind::Brotli(Box::new(DecompressorWriter::new(
                Sink::default(),
                BROTLI_BUFFER,
            ))),
            Encoding::Zstd => {
                let decoder = zstd::stream::write::Decoder::new(Sink::default());
                let mut decoder = decoder.map_err(|_| Undecoded::Broken)?;
                let limited = decoder.window_log_max(ZSTD_WINDOW_LOG);
                limited.map_err(|_| Undecoded::Broken)?;
                Kind::Zstd(decoder)
            }
            Encoding::Unknown => return Err(Undecoded::Unknown),
        })))
    }

    /// Whether what comes is what is read.
    pub(super) fn is_identity(&self) -> bool {
        self.0.is_none()
    }

    /// What the next bytes become, `most` of it at most.
    pub(super) fn feed(&mut self, bytes: &[u8], most: usize) -> Result<Vec<u8>, Undecoded> {
        if let Some(Kind::DeflateAhead(ahead)) = &mut self.0 {
            ahead.extend_from_slice(bytes);
            let [first, second, ..] = ahead[..] else {
                return Ok(Vec::new());
            };
            let ahead = std::mem::take(ahead);
            self.0 = Some(if is_zlib(first, second) {
                Kind::Zlib(ZlibDecoder::new(Sink::default()))
            } else {
                Kind::Deflate(DeflateDecoder::new(Sink::default()))
            });
            return self.feed(&ahead, most);
        }
        match &mut self.0 {
            None => Ok(bytes.to_vec()),
            Some(Kind::DeflateAhead(_)) => Ok(Vec::new()),
            Some(Kind::Gzip(d)) => through(d, MultiGzDecoder::get_mut, bytes, most),
            Some(Kind::Zlib(d)) => through(d, ZlibDecoder::get_mut, bytes, most),
            Some(Kind::Deflate(d)) => through(d, DeflateDecoder::get_mut, bytes, most),
            Some(Kind::Brotli(d)) => through(&mut **d, DecompressorWriter::get_mut, bytes, most),
            Some(Kind::Zstd(d)) => through(d, |d| d.get_mut(), bytes, most),
        }
    }
}

impl Decoder {
    /// Whether what came has an end, where its encoding tells.
    fn is_whole(&mut self) -> bool {
        match &mut self.0 {
            Some(Kind::Gzip(d)) => d.try_finish().is_ok(),
            Some(Kind::Brotli(d)) => d.close().is_ok(),
            Some(Kind::DeflateAhead(_)) => false,
            // Those of zlib and zstd say nothing of it.
            None | Some(Kind::Zlib(_) | Kind::Deflate(_) | Kind::Zstd(_)) => true,
        }
    }

    /// What came out so far and was not taken.
    fn rest(&mut self) -> Vec<u8> {
        let sink = match &mut self.0 {
            None | Some(Kind::DeflateAhead(_)) => return Vec::new(),
            Some(Kind::Gzip(d)) => d.get_mut(),
            Some(Kind::Zlib(d)) => d.get_mut(),
            Some(Kind::Deflate(d)) => d.get_mut(),
            Some(Kind::Brotli(d)) => d.get_mut(),
            Some(Kind::Zstd(d)) => d.get_mut(),
        };
        std::mem::take(&mut sink.out)
    }
}

/// A whole body decoded.
pub(super) fn whole(bytes: &[u8], encoding: Encoding, most: usize) -> Result<Vec<u8>, Undecoded> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    // What is shorter than a head of gzip would be taken for one that was cut.
    if encoding == Encoding::Gzip && !GZIP.starts_with(&bytes[..bytes.len().min(GZIP.len())]) {
        return Err(Undecoded::Broken);
    }
    let mut decoder = Decoder::new(encoding)?;
    let decoded = decoder.feed(bytes, most)?;
    if decoder.is_whole() {
        Ok(decoded)
    } else {
        Err(Undecoded::CutShort)
    }
}

/// As much of a body's beginning as comes out of these first bytes of it, `most` at most; `None`
/// where nothing does.
pub(in crate::engine::native) fn beginning(
    bytes: &[u8],
    encoding: Encoding,
    most: usize,
) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(encoding).ok()?;
    let mut out = Vec::new();
    // What is broken is so from somewhere on: byte by byte all comes out that stands before.
    for byte in bytes.chunks(1) {
        let fed = decoder.feed(byte, most - out.len());
        let ended = fed.is_err();
        out.extend(fed.unwrap_or_else(|_| decoder.rest()));
        if ended || out.len() >= most {
            break;
        }
    }
    (!out.is_empty()).then_some(out)
}

/// Whether these two bytes begin a stream of zlib (RFC 1950, section 2.2).
fn is_zlib(first: u8, second: u8) -> bool {
    first & 0x0f == 8 && (u16::from(first) << 8 | u16::from(second)) % 31 == 0
}

fn through<D: Write>(
    decoder: &mut D,
    sink: impl Fn(&mut D) -> &mut Sink,
    bytes: &[u8],
    most: usize,
) -> Result<Vec<u8>, Undecoded> {
    sink(decoder).most = most;
    let fed = decoder.write_all(bytes).and_then(|()| decoder.flush());
    let sink = sink(decoder);
    match fed {
        Ok(()) => Ok(std::mem::take(&mut sink.out)),
        Err(_) if sink.is_full => Err(Undecoded::TooLarge),
        Err(_) => Err(Undecoded::Broken),
    }
}

/// What came out, up to a limit.
#[derive(Debug, Default)]
struct Sink {
    out: Vec<u8>,
    most: usize,
    /// Whether there was more than that.
    is_full: bool,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.most.saturating_sub(self.out.len());
        if bytes.len() > room {
            self.out.extend_from_slice(&bytes[..room]);
            self.is_full = true;
            return Err(io::Error::other("more than is taken"));
        }
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The first two bytes say which encoding it is and how long the pieces are.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    const MOST: usize = 1 << 16;
    const ALL: [&str; 4] = ["gzip", "deflate", "br", "zstd"];
    let [which, piece, body @ ..] = data else {
        return;
    };
    let encoding = Encoding::of(ALL[usize::from(*which) % ALL.len()].as_bytes());
    let read = |piece: usize| {
        let mut decoder = Decoder::new(encoding).ok()?;
        let mut out = Vec::new();
        for piece in body.chunks(piece.max(1)) {
            let came = decoder.feed(piece, MOST).ok()?;
            assert!(came.len() <= MOST);
            out.extend(came);
        }
        Some(out)
    };
    if let (Some(whole), Some(pieces)) = (read(body.len()), read(usize::from(*piece))) {
        assert_eq!(whole, pieces);
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = r#"{"id":"forty-two","more":"forty-two forty-two forty-two"}"#;
    const MOST: usize = 1 << 20;
    const BROTLI: &str = "GzgA+AXKbamOy1sotqyCQR7GQETsQBRRJiqZgQg2XI/VaUxl3agjnK0ctWE/";
    const BROTLI_BOMB: &str = "y///P/glYOKxQCD3/o///3/wSwDEYRGA7v0f////4JcAiMMCAN37P/7//8EvARCHBQC693/8//+DXwIgDgsAdO//+P//B78EQBwWAOje//H//w9+CYA4LADQvf/L//8//BIAcVgAoHv/Bw==";

    fn unbase64(text: &str) -> Vec<u8> {
        STANDARD.decode(text).unwrap()
    }

    /// The text in every encoding. Brotli is what Node.js' zlib makes of it; bare deflate is what
    /// some servers send.
    fn all(text: &str) -> Vec<(Encoding, Vec<u8>)> {
        let bytes = text.as_bytes();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(bytes).unwrap();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
        zlib.write_all(bytes).unwrap();
        let mut bare = DeflateEncoder::new(Vec::new(), Compression::default());
        bare.write_all(bytes).unwrap();
        vec![
            (Encoding::Identity, bytes.to_vec()),
            (Encoding::Gzip, gzip.finish().unwrap()),
            (Encoding::Deflate, zlib.finish().unwrap()),
            (Encoding::Deflate, bare.finish().unwrap()),
            (Encoding::Zstd, zstd::encode_all(bytes, 3).unwrap()),
        ]
    }

    #[test]
    fn every_encoding_is_decoded_however_it_is_cut() {
        let mut cases = all(TEXT);
        cases.push((Encoding::Brotli, unbase64(BROTLI)));
        for (encoding, bytes) in cases {
            for size in [1, 2, 7, 1000] {
                let mut decoder = Decoder::new(encoding).unwrap();
                let mut out = Vec::new();
                for piece in bytes.chunks(size) {
                    out.extend(decoder.feed(piece, MOST).unwrap());
                }
                assert_eq!(
                    String::from_utf8(out).unwrap(),
                    TEXT,
                    "{encoding:?} by {size}"
                );
            }
        }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for (value, encoding) in [
            ("gzip", Encoding::Gzip),
            (" GZip ", Encoding::Gzip),
            ("x-gzip", Encoding::Gzip),
            ("br", Encoding::Brotli),
            ("zstd", Encoding::Zstd),
            ("deflate", Encoding::Deflate),
            ("identity", Encoding::Identity),
            ("gzip, br", Encoding::Unknown),
            ("lzma", Encoding::Unknown),
        ] {
            assert_eq!(Encoding::of(value.as_bytes()), encoding, "{value}");
        }
        assert!(Decoder::new(Encoding::Unknown).is_err());
    }

    #[test]
    fn a_small_body_that_becomes_a_large_one_is_cut_off() {
        let large = "0".repeat(8 << 20);
        let mut bombs = all(&large);
        bombs.remove(0);
        // 64 MiB of zeros, by Node.js' zlib.
        bombs.push((Encoding::Brotli, unbase64(BROTLI_BOMB)));
        for (encoding, bytes) in bombs {
            assert!(bytes.len() < 200_000, "{encoding:?}: {}", bytes.len());
            let too_large = Err(Undecoded::TooLarge);
            assert_eq!(whole(&bytes, encoding, MOST), too_large, "{encoding:?}");
            let begins = beginning(&bytes, encoding, 1000).unwrap();
            assert_eq!(begins.len(), 1000, "{encoding:?}");
        }
    }

    #[test]
    fn a_body_that_was_cut_or_is_something_else_is_told_and_its_beginning_is_read() {
        let mut cases = all(&TEXT.repeat(20));
        cases.remove(0);
        cases.push((Encoding::Brotli, unbase64(BROTLI)));
        for (encoding, bytes) in cases {
            assert!(whole(&bytes, encoding, MOST).is_ok(), "{encoding:?}");
            let cut = &bytes[..bytes.len() - 3];
            if matches!(encoding, Encoding::Gzip | Encoding::Brotli) {
                assert_eq!(whole(cut, encoding, MOST), Err(Undecoded::CutShort));
            }
            let begins = beginning(cut, encoding, MOST).unwrap_or_default();
            // zstd gives whole blocks alone.
            if encoding != Encoding::Zstd {
                assert!(TEXT.as_bytes().starts_with(&begins[..20]), "{encoding:?}");
            }
            let lie = whole(b"{\"id\": 5, \"text\": \"plain\"}", encoding, MOST);
            assert!(lie.is_err(), "{encoding:?}");
        }
        let lie = whole(b"{\"id\":5}", Encoding::Gzip, MOST);
        assert_eq!(lie, Err(Undecoded::Broken));
        assert_eq!(whole(b"", Encoding::Gzip, MOST), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            at in 0usize..80,
            byte: u8,
        ) {
            let mut cases = all(TEXT);
            cases.push((Encoding::Brotli, unbase64(BROTLI)));
            for (encoding, mut good) in cases {
                let _ = whole(&bytes, encoding, MOST);
                if let Some(b) = good.get_mut(at) {
                    *b = byte;
                }
                let _ = whole(&good, encoding, MOST);
            }
        }
    }
}
