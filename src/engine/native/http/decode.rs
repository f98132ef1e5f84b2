//! Bodies that were compressed (`content-encoding`), decoded where something is read from them. What comes out is bounded, whatever a
//! few bytes would become.

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

use super::answer::NotHttp;

/// Room of the brotli decoder between its input and ours, as its documentation has it.
const BROTLI_BUFFER: usize = 4096;
/// Largest window that a zstd frame may ask for, as a power of two: 8 MiB, which RFC 9659 sets for HTTP.
const ZSTD_WINDOW_LOG: u32 = 23;

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
    pub(super) fn new(encoding: Encoding) -> Result<Self, NotHttp> {
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
                let mut decoder = decoder.map_err(|_| NotHttp)?;
                let limited = decoder.window_log_max(ZSTD_WINDOW_LOG);
                limited.map_err(|_| NotHttp)?;
                Kind::Zstd(decoder)
            }
            Encoding::Unknown => return Err(NotHttp),
        })))
    }

    /// Whether what comes is what is read.
    pub(super) fn is_identity(&self) -> bool {
        self.0.is_none()
    }

    /// What the next bytes become, `most` of it at most.
    pub(super) fn feed(&mut self, bytes: &[u8], most: usize) -> Result<Vec<u8>, NotHttp> {
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

/// A whole body decoded.
pub(super) fn whole(bytes: &[u8], encoding: Encoding, most: usize) -> Result<Vec<u8>, NotHttp> {
    Decoder::new(encoding)?.feed(bytes, most)
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
) -> Result<Vec<u8>, NotHttp> {
    sink(decoder).most = most;
    decoder
        .write_all(bytes)
        .and_then(|()| decoder.flush())
        .map_err(|_| NotHttp)?;
    Ok(std::mem::take(&mut sink(decoder).out))
}

/// What came out, up to a limit.
#[derive(Debug, Default)]
struct Sink {
    out: Vec<u8>,
    most: usize,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.out.len() + bytes.len() > self.most {
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

    /// The text in every encoding. Brotli is what Node.js' zlib makes of it; bare deflate is what some servers send.
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
            assert!(whole(&bytes, encoding, MOST).is_err(), "{encoding:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_comes_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..80, byte: u8) {
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
