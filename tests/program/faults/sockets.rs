//! What a server of a WebSocket may do. A closed set.

use breakpoint::measure::FailureKind;

use super::fault::{Answer, Facts, Strike, Users, When, fails};

/// What comes once a WebSocket is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frames {
    /// First.
    pub(crate) first: &'static [u8],
    pub(crate) then: Then,
}

/// And what comes then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    Silence,
    Close,
    Reset,
    /// The same again and again.
    Again(&'static [u8]),
}

/// A fault of a server of a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SocketFault {
    HandshakeHangs,
    HandshakeWithoutEnd,
    WrongAccept,
    HugeFrame,
    FragmentsWithoutEnd,
    Compressed,
    NotUtf8,
    PingFlood,
    Flood,
    Silent,
    Closes,
    Resets,
}

const HEAD: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
                    connection: upgrade\r\n";
const WRONG: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
                     connection: upgrade\r\nsec-websocket-accept: bm8=\r\n\r\n";
/// A frame of this kind with as much in it as a ping may have.
const fn full(first: u8) -> [u8; 127] {
    let mut frame = [b'x'; 127];
    frame[0] = first;
    frame[1] = 125;
    frame
}
const PING: [u8; 127] = full(0x89);
const TEXT: [u8; 127] = full(0x81);
const PIECE: [u8; 127] = full(0x00);

impl SocketFault {
    pub(crate) fn facts(self) -> Facts {
        use FailureKind as Kind;
        let of = |name, does, answer, kind| Facts {
            name,
            does,
            strike: Strike::Answer(answer),
            users: Users::Socket,
            tls: false,
            when: When::Beyond,
            slo: "errors<2%",
            outcome: fails(kind),
        };
        let frames = |name, does, first, then, kind| {
            of(name, does, Answer::Frames(Frames { first, then }), kind)
        };
        match self {
            Self::HandshakeHangs => of(
                "WebSocket handshake that hangs",
                "reads the handshake and never answers",
                Answer::Silence,
                Kind::Timeout,
            ),
            Self::HandshakeWithoutEnd => of(
                "WebSocket handshake without end",
                "answers 101, then header after header",
                Answer::WithoutEnd(HEAD, "x-more: and more\r\n"),
                Kind::Protocol,
            ),
            Self::WrongAccept => of(
                "WebSocket that accepts another",
                "answers 101 for another key",
                Answer::HalfThenSilence(WRONG),
                Kind::Protocol,
            ),
            Self::HugeFrame => frames(
                "WebSocket frame of 1 TiB",
                "says so, and begins to send it",
                b"\x82\x7f\x00\x00\x01\x00\x00\x00\x00\x00",
                Then::Again(b"more and more"),
                Kind::Protocol,
            ),
            Self::FragmentsWithoutEnd => frames(
                "WebSocket message without end",
                "sends piece after piece of one message",
                b"\x01\x01x",
                Then::Again(&PIECE),
                Kind::Protocol,
            ),
            Self::Compressed => frames(
                "WebSocket that compresses",
                "sends a message that unpacks to much, though nobody agreed on that",
                b"\xc2\x08\xec\xc1\x01\x01\x00\x00\x00\x80",
                Then::Silence,
                Kind::Protocol,
            ),
            Self::NotUtf8 => frames(
                "invalid UTF-8 in a message",
                "sends a text message with bytes that are no UTF-8",
                b"\x81\x02\xff\xfe",
                Then::Silence,
                Kind::Protocol,
            ),
            Self::PingFlood => frames(
                "WebSocket ping flood",
                "sends pings without end, each of which is answered",
                b"",
                Then::Again(&PING),
                Kind::Timeout,
            ),
            Self::Flood => frames(
                "WebSocket flood",
                "sends messages without end, none of which is the one awaited",
                b"",
                Then::Again(&TEXT),
                Kind::Timeout,
            ),
            Self::Silent => frames(
                "WebSocket silence",
                "opens the WebSocket and sends nothing",
                b"",
                Then::Silence,
                Kind::Timeout,
            ),
            Self::Closes => frames(
                "WebSocket close",
                "closes the WebSocket with 1011 before the message",
                b"\x88\x02\x03\xf3",
                Then::Close,
                Kind::Eof,
            ),
            Self::Resets => frames(
                "WebSocket reset",
                "resets the connection before the message",
                b"",
                Then::Reset,
                Kind::Reset,
            ),
        }
    }
}
