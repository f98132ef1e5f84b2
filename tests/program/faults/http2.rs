//! What a server of HTTP/2 may do. A closed set. Frames are written byte by byte (RFC 9113), since
//! no server that behaves would.

use breakpoint::measure::FailureKind;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::fault::{Answer, Facts, Strike, Users, When, fails};
use super::sockets::{Frames, Then};

/// A fault of a server of HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Http2Fault {
    Silent,
    SpeaksOne,
    GoesAway,
    GoesAwayAngry,
    ResetsStream,
    Closes,
    Resets,
    ClosesInBody,
    HeadWithoutEnd,
    HeadThatUnpacks,
    InterimFlood,
    PingFlood,
    SettingsFlood,
    EmptyDataFlood,
    BodyWithoutEnd,
    Pushes,
    FrameTooLarge,
    WindowOverflow,
    WrongLength,
    NoWindow,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:status: 200`, of the static table of HPACK.
const STATUS_200: &[u8] = b"\x88";
/// `:status: 103`, as a literal.
const STATUS_103: &[u8] = b"\x08\x03103";

/// A frame.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags, 0, 0, 0, stream]].concat();
    [&head, payload].concat()
}

/// The frames behind the server's SETTINGS; there are few of them, and they are for the whole test.
fn behind_settings(frames: &[Vec<u8>]) -> &'static [u8] {
    let all = [vec![frame(SETTINGS, 0, 0, b"")], frames.to_vec()].concat();
    Box::leak(all.concat().into_boxed_slice())
}

fn one(frame: Vec<u8>) -> &'static [u8] {
    Box::leak(frame.into_boxed_slice())
}

/// What a server that behaves answers on the first stream of a connection.
pub(crate) fn answer() -> Vec<u8> {
    let head = frame(HEADERS, END_HEADERS, 1, STATUS_200);
    [
        frame(SETTINGS, 0, 0, b""),
        head,
        frame(DATA, END_STREAM, 1, b"{\"ok\": true}"),
    ]
    .concat()
}

/// Reads from behind `PRI * HTTP/2.0` to the head of the first request; `None` at the end of the
/// connection.
pub(crate) async fn read_head(wire: &mut (impl AsyncRead + Unpin)) -> Option<()> {
    wire.read_exact(&mut [0; 6]).await.ok()?;
    loop {
        let mut head = [0; 9];
        wire.read_exact(&mut head).await.ok()?;
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        wire.read_exact(&mut vec![0; length]).await.ok()?;
        if head[3] == HEADERS {
            return Some(());
        }
    }
}

/// A head that is small as it comes, and 48 MiB when its table is looked up.
fn unpacks() -> Vec<u8> {
    // `x: aaa...`, which goes into the table, and then the table's newest entry again and again.
    let literal = [b"\x40\x01x\x7f\xa1\x1e".as_slice(), &[b'a'; 4000]].concat();
    [STATUS_200, &literal, &[0xbe; 12_000]].concat()
}

/// A head of 103 with a field of a kilobyte: what comes fast is to be many bytes and not many
/// frames, which would only be work.
fn interim() -> Vec<u8> {
    [STATUS_103, b"\x00\x01x\x7f\xe9\x06", &[b'a'; 1000]].concat()
}

impl Http2Fault {
    pub(crate) const ALL: [Self; 20] = [
        Self::Silent,
        Self::SpeaksOne,
        Self::GoesAway,
        Self::GoesAwayAngry,
        Self::ResetsStream,
        Self::Closes,
        Self::Resets,
        Self::ClosesInBody,
        Self::HeadWithoutEnd,
        Self::HeadThatUnpacks,
        Self::InterimFlood,
        Self::PingFlood,
        Self::SettingsFlood,
        Self::EmptyDataFlood,
        Self::BodyWithoutEnd,
        Self::Pushes,
        Self::FrameTooLarge,
        Self::WindowOverflow,
        Self::WrongLength,
        Self::NoWindow,
    ];

    /// What comes, what comes then, and as what it counts.
    fn frames(self) -> (&'static [u8], Then, FailureKind) {
        use FailureKind as Kind;
        let flood = |piece| (behind_settings(&[]), Then::Again(one(piece)), Kind::Timeout);
        let wrong = |frames: &[Vec<u8>]| (behind_settings(frames), Then::Silence, Kind::Protocol);
        let last = |frames: &[Vec<u8>], then, kind| (behind_settings(frames), then, kind);
        let head = frame(HEADERS, END_HEADERS, 1, STATUS_200);
        match self {
            Self::Silent => (b"", Then::Silence, Kind::Timeout),
            Self::SpeaksOne => {
                let text = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
                (text, Then::Close, Kind::Protocol)
            }
            Self::GoesAway => {
                let away = frame(GOAWAY, 0, 0, &[0; 8]);
                last(&[away], Then::Close, Kind::Reset)
            }
            Self::GoesAwayAngry => {
                let calm = b"\0\0\0\x01\0\0\0\x0btoo_many_requests";
                last(&[frame(GOAWAY, 0, 0, calm)], Then::Close, Kind::Reset)
            }
            Self::ResetsStream => {
                let cancel = frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]);
                last(&[cancel], Then::Silence, Kind::Reset)
            }
            Self::Closes => last(&[], Then::Close, Kind::Eof),
            Self::Resets => last(&[], Then::Reset, Kind::Reset),
            Self::ClosesInBody => {
                let half = frame(DATA, 0, 1, b"half of it");
                last(&[head, half], Then::Close, Kind::Eof)
            }
            Self::HeadWithoutEnd => {
                let begin = frame(HEADERS, 0, 1, STATUS_200);
                let more = frame(CONTINUATION, 0, 1, b"\x00\x01x\x01y");
                let first = behind_settings(&[begin]);
                (first, Then::Again(one(more)), Kind::Protocol)
            }
            Self::HeadThatUnpacks => wrong(&[frame(HEADERS, END_HEADERS, 1, &unpacks())]),
            Self::InterimFlood => flood(frame(HEADERS, END_HEADERS, 1, &interim())),
            Self::PingFlood => flood(frame(PING, 0, 0, &[7; 8])),
            Self::SettingsFlood => flood(frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100].repeat(200))),
            Self::EmptyDataFlood => {
                let first = behind_settings(&[head]);
                let empty = frame(DATA, 0, 1, b"");
                (first, Then::Again(one(empty)), Kind::Protocol)
            }
            Self::BodyWithoutEnd => {
                let first = behind_settings(&[head]);
                let piece = frame(DATA, 0, 1, &[b'x'; 1000]);
                (first, Then::Again(one(piece)), Kind::Timeout)
            }
            Self::Pushes => {
                let promise = [b"\0\0\0\x02".as_slice(), b"\x82\x86\x84\x41\x01a"].concat();
                wrong(&[frame(PUSH_PROMISE, END_HEADERS, 1, &promise)])
            }
            Self::FrameTooLarge => wrong(&[frame(DATA, 0, 1, &vec![0; 20_000])]),
            Self::WindowOverflow => wrong(&[frame(WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255])]),
            Self::WrongLength => {
                let head = [STATUS_200, b"\x0f\x0d\x01\x35"].concat();
                wrong(&[
                    frame(HEADERS, END_HEADERS, 1, &head),
                    frame(DATA, END_STREAM, 1, b"no"),
                ])
            }
            Self::NoWindow => {
                let closed = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
                last(&[closed], Then::Silence, Kind::Timeout)
            }
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Silent => (
                "HTTP/2 silence",
                "reads the request and sends nothing, not even SETTINGS",
            ),
            Self::SpeaksOne => ("HTTP/1.1 in place of 2", "answers HTTP/2 with HTTP/1.1"),
            Self::GoesAway => (
                "GOAWAY at once",
                "says on every connection that it is going, and took no request",
            ),
            Self::GoesAwayAngry => (
                "GOAWAY with an error",
                "took the request, and ends the connection with ENHANCE_YOUR_CALM",
            ),
            Self::ResetsStream => ("RST_STREAM", "resets every stream (CANCEL)"),
            Self::Closes => (
                "HTTP/2 close",
                "ends the connection without GOAWAY or an answer",
            ),
            Self::Resets => ("HTTP/2 reset", "resets the connection (TCP)"),
            Self::ClosesInBody => (
                "HTTP/2 close in the body",
                "sends half of a body and ends the connection",
            ),
            Self::HeadWithoutEnd => (
                "CONTINUATION flood",
                "sends a head that goes on without end",
            ),
            Self::HeadThatUnpacks => (
                "HPACK bomb",
                "sends a head of 16 KiB that unpacks to 48 MiB",
            ),
            Self::InterimFlood => ("HTTP/2 interim answers", "sends 103 again and again"),
            Self::PingFlood => (
                "HTTP/2 PING flood",
                "sends PING without end, each of which is answered",
            ),
            Self::SettingsFlood => (
                "SETTINGS flood",
                "sends SETTINGS without end, each of which is acknowledged",
            ),
            Self::EmptyDataFlood => (
                "empty DATA flood",
                "sends DATA without anything in it, and without end",
            ),
            Self::BodyWithoutEnd => (
                "HTTP/2 body without end",
                "sends a body without end, of which nobody wants anything",
            ),
            Self::Pushes => ("PUSH_PROMISE", "pushes, though that was switched off"),
            Self::FrameTooLarge => (
                "frame that is too large",
                "sends a frame of more than 16 KiB",
            ),
            Self::WindowOverflow => (
                "window that overflows",
                "opens the connection's window beyond 2 GiB",
            ),
            Self::WrongLength => (
                "HTTP/2 length that is wrong",
                "says a content-length of 5 and sends 2",
            ),
            Self::NoWindow => (
                "window that stays shut",
                "never lets the body of a request be sent",
            ),
        }
    }

    pub(crate) fn facts(self) -> Facts {
        let ((name, does), (first, then, kind)) = (self.words(), self.frames());
        let users = match self {
            Self::NoWindow => Users::PostTwo,
            _ => Users::GetTwo,
        };
        Facts {
            name,
            does,
            strike: Strike::Answer(Answer::Http2(Frames { first, then })),
            users,
            tls: false,
            when: When::Beyond,
            slo: "errors<2%",
            outcome: fails(kind),
        }
    }
}
