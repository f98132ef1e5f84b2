//! The frames of a WebSocket (RFC 6455, section 5): bytes in, messages out; bytes may be cut
//! anywhere. Pure.
//!
//! Headers are read and written by `tungstenite`. What is put together of them is not, because its
//! reader takes a buffer per connection: here all connections of a thread share one, and one that
//! is idle has none.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::engine::native::inbox::Waited;
use crate::scenario::sse::MAX_EVENT_BYTES;

/// Longest message that is taken; of a longer one nothing is kept.
pub(super) const MAX_MESSAGE: usize = MAX_EVENT_BYTES;
/// Longest payload of a ping, a pong or a close (RFC 6455, section 5.5).
pub(super) const MAX_CONTROL: usize = 125;

/// A whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine::native) struct Message {
    pub(in crate::engine::native) is_binary: bool,
    /// Of a binary one what of it is text.
    pub(in crate::engine::native) text: String,
    /// All of a binary one that is not text.
    pub(in crate::engine::native) bytes: Option<Box<[u8]>>,
}

impl Waited for Message {
    fn size(&self) -> usize {
        self.text.len() + self.bytes.as_ref().map_or(0, |bytes| bytes.len())
    }
}

/// What a server sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming<'a> {
    Message(Message),
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    /// With its code and reason, where it has them.
    Close(Option<(u16, &'a str)>),
}

/// Why what a server sends is no WebSocket any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    Masked,
    Compressed,
    Opcode,
    Control,
    Continues,
    Interrupted,
    NotText,
    TooLarge,
    Close,
}

impl Broken {
    /// The code that a server is told with the end (RFC 6455, section 7.4.1).
    pub(super) fn code(self) -> u16 {
        match self {
            Self::NotText => 1007,
            Self::TooLarge => 1009,
            _ => 1002,
        }
    }

    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Masked => "the server sent a masked frame, which only a client may",
            Self::Compressed => {
                "the server sent a frame with a reserved bit, as of a compressed message, and \
                 no extension was agreed on"
            }
            Self::Opcode => "the server sent a frame of an unknown kind",
            Self::Control => "the server sent a ping, pong or close that is in pieces or too long",
            Self::Continues => "the server sent the rest of a message that it had not begun",
            Self::Interrupted => "the server began a message before it had ended the last one",
            Self::NotText => "the server sent a text message that is not UTF-8",
            Self::TooLarge => "the server sent a message of more than 1 MiB",
            Self::Close => "the server closed the WebSocket with a code that is not valid",
        }
    }
}

/// Puts messages together.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// A frame that is not complete.
    held: Vec<u8>,
    /// The pieces of a message so far, and whether it is binary.
    message: Option<(bool, Vec<u8>)>,
}

impl Reader {
    /// Takes what was read; calls `take` for everything that it completes.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(Incoming<'_>),
    ) -> Result<(), Broken> {
        if self.held.is_empty() {
            let used = self.frames(bytes, &mut take)?;
            // No more room than it takes: it is there for as long as the rest does not come.
            self.held.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let used = self.frames(&held, &mut take)?;
        if used < held.len() {
            held.drain(..used);
            self.held = held;
        }
        Ok(())
    }

    /// Takes the complete frames at the beginning; gives how many bytes they have.
    fn frames(
        &mut self,
        bytes: &[u8],
        take: &mut impl FnMut(Incoming<'_>),
    ) -> Result<usize, Broken> {
        let mut used = 0;
        loop {
            let rest = &bytes[used..];
            let mut cursor = Cursor::new(rest);
            let header = FrameHeader::parse(&mut cursor).map_err(|_| Broken::Opcode)?;
            let Some((header, length)) = header else {
                return Ok(used);
            };
            self.check(&header, length)?;
            let begin = usize::try_from(cursor.position()).map_err(|_| Broken::TooLarge)?;
            let length = usize::try_from(length).map_err(|_| Broken::TooLarge)?;
            let Some(payload) = rest.get(begin..begin + length) else {
                return Ok(used);
            };
            self.frame(&header, payload, take)?;
            used += begin + length;
        }
    }

    /// What is wrong with a frame is known by its head: of one that is too large nothing is kept.
    fn check(&self, header: &FrameHeader, length: u64) -> Result<(), Broken> {
        if header.mask.is_some() {
            return Err(Broken::Masked);
        }
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Broken::Compressed);
        }
        match header.opcode {
            OpCode::Control(_) if !header.is_final || length > MAX_CONTROL as u64 => {
                return Err(Broken::Control);
            }
            OpCode::Data(Data::Continue) if self.message.is_none() => {
                return Err(Broken::Continues);
            }
            OpCode::Data(Data::Text | Data::Binary) if self.message.is_some() => {
                return Err(Broken::Interrupted);
            }
            OpCode::Control(_) | OpCode::Data(_) => {}
        }
        let before = self.message.as_ref().map_or(0, |(_, pieces)| pieces.len());
        if length > (MAX_MESSAGE - before) as u64 {
            return Err(Broken::TooLarge);
        }
        Ok(())
    }

    fn frame(
        &mut self,
        header: &FrameHeader,
        payload: &[u8],
        take: &mut impl FnMut(Incoming<'_>),
    ) -> Result<(), Broken> {
        match header.opcode {
            OpCode::Control(Control::Ping) => take(Incoming::Ping(payload)),
            OpCode::Control(Control::Pong) => take(Incoming::Pong(payload)),
            OpCode::Control(_) => take(Incoming::Close(closing(payload)?)),
            OpCode::Data(Data::Continue) => return self.piece(header, payload, take),
            OpCode::Data(kind) if header.is_final => {
                let message = message(kind == Data::Binary, payload.to_vec())?;
                take(Incoming::Message(message));
            }
            OpCode::Data(kind) => {
                self.message = Some((kind == Data::Binary, payload.to_vec()));
            }
        }
        Ok(())
    }

    fn piece(
        &mut self,
        header: &FrameHeader,
        payload: &[u8],
        take: &mut impl FnMut(Incoming<'_>),
    ) -> Result<(), Broken> {
        let (is_binary, mut pieces) = self.message.take().ok_or(Broken::Continues)?;
        pieces.extend_from_slice(payload);
        if header.is_final {
            take(Incoming::Message(message(is_binary, pieces)?));
        } else {
            self.message = Some((is_binary, pieces));
        }
        Ok(())
    }

    /// Bytes held of what is not complete.
    #[cfg(any(test, fuzzing))]
    fn kept(&self) -> usize {
        let pieces = self.message.as_ref().map_or(0, |(_, pieces)| pieces.len());
        self.held.len() + pieces
    }
}

fn message(is_binary: bool, bytes: Vec<u8>) -> Result<Message, Broken> {
    let (text, bytes) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(bytes) if is_binary => {
            let text = String::from_utf8_lossy(bytes.as_bytes()).into_owned();
            (text, Some(bytes.into_bytes().into()))
        }
        Err(_) => return Err(Broken::NotText),
    };
    Ok(Message {
        is_binary,
        text,
        bytes,
    })
}

/// What a close frame says (RFC 6455, section 5.5.1).
fn closing(payload: &[u8]) -> Result<Option<(u16, &str)>, Broken> {
    let (code, reason) = match payload {
        [] => return Ok(None),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        [_] => return Err(Broken::Close),
    };
    let reason = std::str::from_utf8(reason).map_err(|_| Broken::NotText)?;
    match code {
        // What stands for an end without a code is never sent.
        1005 | 1006 | 1015 => Err(Broken::Close),
        1000..=4999 => Ok(Some((code, reason))),
        _ => Err(Broken::Close),
    }
}

/// Appends a frame as a client sends it, with a mask of its own (RFC 6455, section 5.3).
pub(super) fn append(out: &mut Vec<u8>, opcode: OpCode, payload: &[u8]) {
    let mask: [u8; 4] = rand::random();
    let header = FrameHeader {
        opcode,
        mask: Some(mask),
        ..FrameHeader::default()
    };
    let length = payload.len() as u64;
    out.reserve_exact(header.len(length) + payload.len());
    header
        .format(length, out)
        .expect("memory takes what is written");
    let begin = out.len();
    out.extend_from_slice(payload);
    for piece in out[begin..].chunks_mut(mask.len()) {
        for (byte, mask) in piece.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
}

/// The payload of a close frame.
pub(super) fn close_payload(code: u16) -> [u8; 2] {
    code.to_be_bytes()
}

/// For the fuzzer: the first byte says how long the pieces are.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    let Some((first, stream)) = data.split_first() else {
        return;
    };
    let read = |piece: usize| {
        let (mut reader, mut came) = (Reader::default(), Vec::new());
        let mut pieces = stream.chunks(piece.max(1));
        let went = pieces.try_for_each(|piece| {
            let went = reader.feed(piece, |incoming| came.push(format!("{incoming:?}")));
            assert!(reader.kept() <= 2 * MAX_MESSAGE + piece.len() + 14);
            went
        });
        (came, went)
    };
    let whole = read(stream.len());
    assert_eq!(
        read(usize::from(*first)),
        whole,
        "the pieces change nothing"
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame as a server sends it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        match payload.len() {
            n @ ..126 => out.push(u8::try_from(n).unwrap()),
            n @ ..65_536 => {
                out.push(126);
                out.extend(u16::try_from(n).unwrap().to_be_bytes());
            }
            n => {
                out.push(127);
                out.extend((n as u64).to_be_bytes());
            }
        }
        out.extend_from_slice(payload);
        out
    }

    fn read(bytes: &[u8]) -> (Vec<String>, Result<(), Broken>) {
        let mut came = Vec::new();
        let went = Reader::default().feed(bytes, |i| came.push(format!("{i:?}")));
        (came, went)
    }

    fn text(text: &str) -> String {
        let message = message(false, text.as_bytes().to_vec()).unwrap();
        format!("{:?}", Incoming::Message(message))
    }

    #[test]
    fn messages_come_whole_in_pieces_and_with_pings_between_the_pieces() {
        let mut bytes = frame(0x81, "grüß".as_bytes());
        bytes.extend(frame(0x01, b"a"));
        bytes.extend(frame(0x89, b"ping"));
        bytes.extend(frame(0x00, b"b"));
        bytes.extend(frame(0x80, b"c"));
        bytes.extend(frame(0x82, &[0xff, b'x']));
        bytes.extend(frame(0x88, b"\x03\xe9bye"));
        let (came, went) = read(&bytes);
        assert_eq!(went, Ok(()));
        let ping = format!("{:?}", Incoming::Ping(b"ping"));
        let binary = message(true, vec![0xff, b'x']).unwrap();
        assert_eq!(binary.text, "\u{fffd}x");
        let binary = format!("{:?}", Incoming::Message(binary));
        let close = format!("{:?}", Incoming::Close(Some((1001, "bye"))));
        assert_eq!(came, [text("grüß"), ping, text("abc"), binary, close]);
    }

    #[test]
    fn what_breaks_the_rules_is_named() {
        let large = [&[0x82, 127][..], &(1_u64 << 20 | 1).to_be_bytes()].concat();
        let endless = [&[0x82, 127][..], &u64::MAX.to_be_bytes()].concat();
        for (bytes, broken) in [
            (vec![0x81, 0x81, 1, 2, 3, 4, 5], Broken::Masked),
            (frame(0xc1, b"x"), Broken::Compressed),
            (frame(0x83, b"x"), Broken::Opcode),
            (frame(0x8b, b"x"), Broken::Opcode),
            (frame(0x09, b"x"), Broken::Control),
            (frame(0x89, &[0; 126]), Broken::Control),
            (frame(0x80, b"x"), Broken::Continues),
            (
                [frame(0x01, b"x"), frame(0x81, b"y")].concat(),
                Broken::Interrupted,
            ),
            (frame(0x81, b"\xff"), Broken::NotText),
            (large, Broken::TooLarge),
            (endless, Broken::TooLarge),
            (frame(0x88, b"\x03"), Broken::Close),
            (frame(0x88, b"\x03\xee"), Broken::Close),
            (frame(0x88, b"\x00\x01"), Broken::Close),
        ] {
            assert_eq!(read(&bytes).1, Err(broken), "{bytes:?}");
            assert!(!broken.why().is_empty());
        }
    }

    #[test]
    fn a_message_in_endless_pieces_is_refused_before_it_is_kept() {
        let mut reader = Reader::default();
        let piece = frame(0x00, &vec![b'x'; 1 << 15]);
        reader.feed(&frame(0x01, b""), |_| ()).unwrap();
        let went = (0..40).try_for_each(|_| reader.feed(&piece, |_| ()));
        assert_eq!(went, Err(Broken::TooLarge));
        assert!(reader.kept() <= MAX_MESSAGE);
    }

    #[test]
    fn one_that_is_idle_keeps_no_room() {
        let mut reader = Reader::default();
        let long = frame(0x82, &vec![b'x'; 100_000]);
        for piece in long.chunks(1000) {
            reader.feed(piece, |_| ()).unwrap();
        }
        assert_eq!((reader.held.capacity(), &reader.message), (0, &None));
    }

    proptest! {
        #[test]
        fn what_a_client_sends_is_what_tungstenite_reads(
            payload in proptest::collection::vec(any::<u8>(), 0..70_000),
        ) {
            let mut out = Vec::new();
            append(&mut out, OpCode::Data(Data::Binary), &payload);
            let mut cursor = Cursor::new(&out);
            let (header, length) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
            let begin = usize::try_from(cursor.position()).unwrap();
            prop_assert_eq!(length, payload.len() as u64);
            let mask = header.mask.unwrap();
            let sent = out[begin..].iter().enumerate();
            let meant: Vec<u8> = sent.map(|(i, byte)| byte ^ mask[i % 4]).collect();
            prop_assert_eq!(meant, payload);
        }

        #[test]
        fn pieces_change_nothing(
            frames in proptest::collection::vec((any::<u8>(), "[a-zü]{0,200}"), 0..8),
            piece in 1_u8..=255,
        ) {
            let mut bytes = vec![piece];
            for (first, payload) in frames {
                bytes.extend(frame(first & 0x8f, payload.as_bytes()));
            }
            fuzz(&bytes);
        }

        #[test]
        fn nothing_that_comes_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            fuzz(&bytes);
        }
    }
}
