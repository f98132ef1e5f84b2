//! What is kept of a body, and how one that is streamed is handed on.

use std::time::Instant;

use http::StatusCode;

use super::decode::{self, Decoder, Encoding};
use super::{Keep, MAX_BODY, StreamEnd, Want};
use crate::engine::native::why;
use crate::excerpt;
use crate::measure::FailureKind;

/// Bytes of a stream that are decoded at once: deflate makes at most 1 032 of one, which is less
/// than what one piece may be decoded to.
const DECODED_AT_ONCE: usize = 512;

/// What is kept of a body.
pub(super) struct Kept {
    pub(super) bytes: Vec<u8>,
    pub(super) keep: Keep,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            keep: Keep::Nothing,
        }
    }
}

impl Kept {
    /// The head of an answer with this status was read.
    pub(super) fn begin(&mut self, want: &Want<'_>, status: StatusCode) {
        self.keep = match want.body {
            Keep::Nothing if !want.expect.holds(status) => Keep::Beginning,
            keep => keep,
        };
    }

    /// The next piece of the body.
    pub(super) fn add(&mut self, piece: &[u8]) {
        match self.keep {
            Keep::Nothing => {}
            Keep::Beginning => {
                let room = excerpt::BODY.saturating_sub(self.bytes.len());
                self.bytes
                    .extend_from_slice(&piece[..room.min(piece.len())]);
            }
            Keep::All(_) => self.bytes.extend_from_slice(piece),
        }
    }

    /// Whether it is no larger than it may be.
    pub(super) fn check(&self) -> Result<(), FailureKind> {
        let most = match self.keep {
            Keep::All(most) => most,
            Keep::Nothing | Keep::Beginning => MAX_BODY,
        };
        if self.bytes.len() <= most {
            return Ok(());
        }
        let most = format!("{} MiB", most >> 20);
        let text = format!(
            "the body is larger than {most}, the most that is kept for `extract` and `check`; allow more \
             with `check = {{ max-bytes = N }}`"
        );
        Err(why::note(FailureKind::Protocol, text))
    }

    /// All of it, decoded where it was kept whole.
    pub(super) fn take(&mut self, encoding: Encoding) -> Result<Vec<u8>, FailureKind> {
        let kept = std::mem::take(&mut self.bytes);
        let Keep::All(most) = self.keep else {
            return Ok(kept);
        };
        if encoding == Encoding::Identity {
            return Ok(kept);
        }
        decode::whole(&kept, encoding, most)
            .map_err(|e| why::note(FailureKind::Protocol, e.why(encoding, most)))
    }
}

/// Hands the pieces of a stream on, decoded.
pub(super) struct Decoding<F> {
    decoder: Decoder,
    encoding: Encoding,
    take: F,
}

impl<F: FnMut(&[u8], Instant) -> Result<(), StreamEnd>> Decoding<F> {
    pub(super) fn new(encoding: Encoding, take: F) -> Result<Self, StreamEnd> {
        let decoder = Decoder::new(encoding).map_err(|e| {
            let kind = why::note(FailureKind::Protocol, e.why(encoding, MAX_BODY));
            StreamEnd::Failed(kind)
        })?;
        Ok(Self {
            decoder,
            encoding,
            take,
        })
    }

    /// The next piece, and when it came.
    pub(super) fn pass(&mut self, bytes: &[u8], at: Instant) -> Result<(), StreamEnd> {
        if self.decoder.is_identity() {
            return (self.take)(bytes, at);
        }
        // What is read is decoded in small pieces, so that it can only become so much at a time.
        for piece in bytes.chunks(DECODED_AT_ONCE) {
            let decoded = self.decoder.feed(piece, MAX_BODY).map_err(|e| {
                let why = e.why(self.encoding, MAX_BODY);
                StreamEnd::Failed(why::note(FailureKind::Protocol, why))
            })?;
            (self.take)(&decoded, at)?;
        }
        Ok(())
    }
}
