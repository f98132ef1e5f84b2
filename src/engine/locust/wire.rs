//! The wire between a Locust master and its workers: ZMTP 3.0 (<https://rfc.zeromq.org/spec/23/>)
//! without a login, as far as a worker needs it. Who claims to send more than a message of Locust
//! has is not listened to: libraries believe the length and take the memory.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Most bytes of one frame: orders for some thousand classes of users.
const MOST_FRAME: usize = 1 << 20;
/// Most frames of one message, of which a master of Locust sends one.
const MOST_FRAMES: usize = 16;
/// Bytes that are read at once.
const PIECE: usize = 16 << 10;
/// The first bytes of both sides: a mark, the version, how it is proved who asks (not at all), and
/// who is the server.
const GREETING: usize = 64;
/// Where the version stands in it.
const VERSION: usize = 10;

/// What of a frame's first byte says that another one of the same message follows, that its length
/// has eight bytes, that it is for ZMTP itself.
const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// How the command begins by which a side says that it is ready.
const READY: &[u8] = b"\x05READY";

/// Why nothing more is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    /// Something else than a Locust master.
    #[error("the other side does not speak Locust's protocol (ZMTP 3)")]
    Foreign,
    /// More than a message has.
    #[error("it sent a message longer than {} MiB, the limit for Locust", MOST_FRAME >> 20)]
    TooLong,
}

/// One frame.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Frame {
    flags: u8,
    body: Vec<u8>,
}

/// Takes what arrives apart.
#[derive(Debug, Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// Whether both sides have greeted.
    greeted: bool,
    /// Frames of the message that is not whole yet, and the first of them.
    begun: usize,
    first: Vec<u8>,
}

impl Frames {
    /// Takes what arrived next.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether both sides have greeted.
    fn greeted(&mut self) -> Result<bool, WireError> {
        if self.greeted {
            return Ok(true);
        }
        let Some(greeting) = self.bytes.get(..GREETING) else {
            // What begins otherwise is told at once.
            return match self.bytes.first() {
                None | Some(0xff) => Ok(false),
                Some(_) => Err(WireError::Foreign),
            };
        };
        if greeting[0] != 0xff || greeting[9] & 1 == 0 || greeting[VERSION] < 3 {
            return Err(WireError::Foreign);
        }
        self.bytes.drain(..GREETING);
        self.greeted = true;
        Ok(true)
    }

    /// Whether the other side said that it is ready, with its first frame.
    fn ready(&mut self) -> Result<bool, WireError> {
        if !self.greeted()? {
            return Ok(false);
        }
        match self.frame()? {
            None => Ok(false),
            Some(f) if f.flags & COMMAND != 0 && f.body.starts_with(READY) => Ok(true),
            Some(_) => Err(WireError::Foreign),
        }
    }

    /// The first frame of the next message, if that is whole.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, WireError> {
        if !self.greeted()? {
            return Ok(None);
        }
        while let Some(frame) = self.frame()? {
            if frame.flags & COMMAND != 0 {
                continue;
            }
            self.begun += 1;
            if self.begun > MOST_FRAMES {
                return Err(WireError::TooLong);
            }
            if self.begun == 1 {
                self.first = frame.body;
            }
            if frame.flags & MORE == 0 {
                self.begun = 0;
                return Ok(Some(std::mem::take(&mut self.first)));
            }
        }
        Ok(None)
    }

    fn frame(&mut self) -> Result<Option<Frame>, WireError> {
        let Some((&flags, rest)) = self.bytes.split_first() else {
            return Ok(None);
        };
        let (head, length) = if flags & LONG == 0 {
            (2, rest.first().map(|length| u64::from(*length)))
        } else {
            let length = rest.first_chunk().map(|length| u64::from_be_bytes(*length));
            (9, length)
        };
        let Some(length) = length else {
            return Ok(None);
        };
        // Before any of it is waited for.
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= MOST_FRAME);
        let end = head + length.ok_or(WireError::TooLong)?;
        let Some(body) = self.bytes.get(head..end) else {
            return Ok(None);
        };
        let body = body.to_vec();
        self.bytes.drain(..end);
        Ok(Some(Frame { flags, body }))
    }
}

/// Whatever arrives, in any pieces: nothing panics, and no more is kept than one frame and what
/// came with it.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    let read = |size: usize| {
        let (mut frames, mut messages) = (Frames::default(), 0_u32);
        for piece in data.chunks(size) {
            frames.push(piece);
            loop {
                match frames.next() {
                    Ok(Some(message)) => {
                        assert!(message.len() <= MOST_FRAME);
                        messages += 1;
                    }
                    Ok(None) => break,
                    Err(error) => return (messages, Err(error)),
                }
            }
            assert!(frames.bytes.len() <= MOST_FRAME + GREETING + size);
        }
        (messages, Ok(()))
    };
    assert_eq!(read(7), read(data.len().max(1)));
}

/// A frame as it is sent.
fn framed(flags: u8, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(9 + body.len());
    if let Ok(length) = u8::try_from(body.len()) {
        out.extend([flags, length]);
    } else {
        out.push(flags | LONG);
        out.extend((body.len() as u64).to_be_bytes());
    }
    out.extend_from_slice(body);
    out
}

/// What is said first: the greeting, and that we are ready.
fn hello(identity: &str) -> Vec<u8> {
    let mut out = vec![0; GREETING];
    (out[0], out[9], out[VERSION]) = (0xff, 0x7f, 3);
    out[VERSION + 2..][..4].copy_from_slice(b"NULL");
    let mut ready = READY.to_vec();
    for (name, value) in [("Socket-Type", "DEALER"), ("Identity", identity)] {
        // Both are short: the name of a host, and some digits.
        ready.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        ready.extend_from_slice(name.as_bytes());
        ready.extend(u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes());
        ready.extend_from_slice(value.as_bytes());
    }
    out.extend(framed(COMMAND, &ready));
    out
}

/// A connection to a master.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    frames: Frames,
    piece: Vec<u8>,
}

impl Wire {
    /// Connects to `host:port`, says who comes, and waits until the other side is ready: a message
    /// before that is none, and libzmq ends the connection.
    ///
    /// # Errors
    /// When nobody listens there, or something else does.
    pub(super) async fn connect(master: &str, identity: &str) -> io::Result<Self> {
        let mut stream = TcpStream::connect(master).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&hello(identity)).await?;
        let mut wire = Self {
            stream,
            frames: Frames::default(),
            piece: vec![0; PIECE],
        };
        while !wire.frames.ready().map_err(io::Error::other)? {
            wire.read().await?;
        }
        Ok(wire)
    }

    /// Sends one message.
    ///
    /// # Errors
    /// When the connection is broken.
    pub(super) async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        self.stream.write_all(&framed(0, message)).await
    }

    /// The next message. Whoever does not wait for its end loses nothing.
    ///
    /// # Errors
    /// When the connection ends, or what comes is no message.
    pub(super) async fn receive(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let next = self.frames.next();
            if let Some(message) = next.map_err(io::Error::other)? {
                return Ok(message);
            }
            self.read().await?;
        }
    }

    /// Takes what comes next.
    async fn read(&mut self) -> io::Result<()> {
        match self.stream.read(&mut self.piece).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                self.frames.push(&self.piece[..read]);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting() -> Vec<u8> {
        hello("")[..GREETING].to_vec()
    }

    fn read(bytes: &[u8]) -> Result<Vec<Vec<u8>>, WireError> {
        let mut frames = Frames::default();
        let mut messages = Vec::new();
        for piece in bytes.chunks(5) {
            frames.push(piece);
            while let Some(message) = frames.next()? {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    #[test]
    fn messages_are_read_whatever_their_cuts() {
        let long = vec![b'x'; 300];
        let mut bytes = greeting();
        bytes.extend(framed(COMMAND, b"\x05READY"));
        bytes.extend(framed(0, b"one"));
        bytes.extend(framed(MORE, b"first"));
        bytes.extend(framed(0, b"second"));
        bytes.extend(framed(0, &long));
        assert_eq!(
            read(&bytes).unwrap(),
            [b"one".to_vec(), b"first".to_vec(), long]
        );
    }

    #[test]
    fn what_claims_to_be_too_long_takes_no_memory() {
        for claim in [1_u64 << 62, u64::MAX, (MOST_FRAME + 1) as u64] {
            let mut bytes = greeting();
            bytes.push(LONG);
            bytes.extend(claim.to_be_bytes());
            assert_eq!(read(&bytes), Err(WireError::TooLong));
        }
        let mut endless = greeting();
        endless.extend(framed(MORE, b"").repeat(MOST_FRAMES + 1));
        assert_eq!(read(&endless), Err(WireError::TooLong));
        assert_eq!(
            read(b"HTTP/1.1 400 Bad Request\r\n"),
            Err(WireError::Foreign)
        );
        let mut old = greeting();
        old[VERSION] = 1;
        assert_eq!(read(&old), Err(WireError::Foreign));
    }

    #[tokio::test]
    async fn nothing_is_sent_before_the_other_side_is_ready() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let (said, begin) = (hello("me").len(), b"\x00\x05hello");
        let master = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(&greeting()).await.unwrap();
            let mut heard = vec![0; said];
            stream.read_exact(&mut heard).await.unwrap();
            let mut more = [0; 7];
            let early = tokio::time::timeout(
                std::time::Duration::from_millis(100),
                stream.read(&mut more),
            );
            assert!(early.await.is_err(), "a message came too early");
            // What comes with it is not lost.
            let mut answer = framed(COMMAND, READY);
            answer.extend(framed(0, b"welcome"));
            stream.write_all(&answer).await.unwrap();
            stream.read_exact(&mut more).await.unwrap();
            more
        });
        let mut wire = Wire::connect(&at, "me").await.unwrap();
        wire.send(b"hello").await.unwrap();
        assert_eq!(wire.receive().await.unwrap(), b"welcome");
        assert_eq!(&master.await.unwrap(), begin);
    }

    #[test]
    fn who_does_not_say_that_it_is_ready_is_no_master() {
        let after = |frame: Vec<u8>| {
            let mut frames = Frames::default();
            frames.push(&greeting());
            assert_eq!(frames.ready(), Ok(false));
            frames.push(&frame);
            frames.ready()
        };
        assert_eq!(after(framed(COMMAND, b"\x05READY")), Ok(true));
        assert_eq!(
            after(framed(COMMAND, b"\x05ERROR\x02no")),
            Err(WireError::Foreign)
        );
        assert_eq!(after(framed(0, b"message")), Err(WireError::Foreign));
    }
}
