//! The faults: what the target does, what the users do, and what must come of it. A closed set.

use breakpoint::exit::Exit;
use breakpoint::measure::FailureKind;
use breakpoint::record::Ending;
use breakpoint::slo::Verdict;

use super::http2::Http2Fault;
use super::sockets::{Frames, SocketFault};

/// What a target does instead of what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strike {
    /// To connections before they are accepted.
    Door(Door),
    /// To the handshake of TLS.
    Handshake(Handshake),
    /// To requests.
    Answer(Answer),
    /// None by itself: it is taken down from outside.
    Never,
}

/// What becomes of a connection that nobody accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Nobody listens.
    Shut,
    /// The kernel takes it, the target does not.
    Unattended,
}

/// What comes instead of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// An answer without TLS.
    Plain,
    /// Nothing.
    Hangs,
    /// The end of the connection.
    Cut,
}

/// What comes instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Silence,
    Reset,
    Close,
    HalfThenSilence(&'static str),
    HalfThenReset(&'static str),
    HalfThenClose(&'static str),
    /// The target sends no more, and waits for what the client still says.
    HalfThenHalfClose(&'static str),
    Whole(&'static [u8]),
    /// The answer, a byte at a time.
    Drip,
    /// A beginning, and then the same again and again.
    WithoutEnd(&'static str, &'static str),
    /// Large events that nobody waits for, again and again.
    Flood,
    /// The answer, as late as a packet that has a long way.
    Late,
    /// Every second answer as late as a packet that was lost and sent again.
    Lossy,
    /// A WebSocket opens, and these come.
    Frames(Frames),
    /// These come over HTTP/2.
    Http2(Frames),
}

/// When a fault shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// Beyond the load that the target carries.
    Beyond,
    /// From the first request on, and always: there is no target to search.
    Always,
    /// Always, and cycles pass all the same.
    Throughout,
    /// By turns, whatever the load.
    ByTurns,
    /// Once, in the middle of the first hold, for a moment.
    OnceInAHold,
    /// From the middle of the first hold on, to one of two instances behind a balancer.
    ToOneOfTwo,
}

/// What a user does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Users {
    /// One request.
    Get,
    /// One request, of whose body a value is taken.
    GetJson,
    /// One request, of which three redirects are followed.
    Follow,
    /// An event stream is opened and an event awaited.
    Stream,
    /// A WebSocket is opened and a message awaited.
    Socket,
    /// One request over HTTP/2.
    GetTwo,
    /// The same with a body.
    PostTwo,
}

/// What comes of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// As what it counts; `None` is no failure.
    pub(crate) kind: Option<FailureKind>,
    /// The verdict on the probe that saw most of it; `None` where the search did not begin.
    pub(crate) verdict: Option<Verdict>,
    pub(crate) ending: Ending,
    pub(crate) exit: Exit,
}

/// A fault of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Refuses,
    AcceptsNothing,
    HangsAfterAccept,
    Resets,
    ResetsMidAnswer,
    Closes,
    HalfCloses,
    GoesSilent,
    SlowLoris,
    EndlessHeaders,
    EndlessInterim,
    EndlessBody,
    EndlessKeptBody,
    EndlessTrailers,
    WrongChunks,
    LengthTooLong,
    LengthTooShort,
    TwoLengths,
    NotHttp,
    BodyNotUtf8,
    ErrorStatus,
    RedirectLoop,
    RedirectToNoName,
    StreamLineWithoutEnd,
    StreamEventWithoutEnd,
    StreamFlood,
    StreamSilent,
    StreamEnds,
    StreamResets,
    StreamWrongChunks,
    StreamNotUtf8,
    StreamIsNone,
    Socket(SocketFault),
    Http2(Http2Fault),
    TlsPlain,
    TlsHangs,
    TlsCut,
    TlsTruncated,
    TlsStranger,
    NoName,
    Delay,
    Loss,
    Flaps,
    RestartsInAHold,
    OneOfTwoDies,
}

/// All about a fault.
pub(crate) struct Facts {
    /// In a few words.
    pub(crate) name: &'static str,
    pub(crate) does: &'static str,
    pub(crate) strike: Strike,
    pub(crate) users: Users,
    pub(crate) tls: bool,
    pub(crate) when: When,
    pub(crate) slo: &'static str,
    pub(crate) outcome: Outcome,
}

/// The outcome of a fault that is a failure of this kind.
pub(crate) const fn fails(kind: FailureKind) -> Outcome {
    Outcome {
        kind: Some(kind),
        verdict: Some(Verdict::Broke),
        ending: Ending::Found,
        exit: Exit::Answer,
    }
}

/// The outcome of one that is there at any load.
const fn breaks_at_once(kind: FailureKind) -> Outcome {
    Outcome {
        ending: Ending::BrokeAtMinimum,
        exit: Exit::Target,
        ..fails(kind)
    }
}

/// The outcome of one that no cycle passes.
pub(crate) const fn never_answers(kind: FailureKind) -> Outcome {
    Outcome {
        kind: Some(kind),
        verdict: None,
        ending: Ending::TargetDown,
        exit: Exit::Target,
    }
}

/// The outcome of a fault that is none to an HTTP client.
const HARMLESS: Outcome = Outcome {
    kind: None,
    verdict: Some(Verdict::Held),
    ending: Ending::NeverBroke,
    exit: Exit::Answer,
};

const HALF: &str = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf of it";
const EVENTS: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
/// One of each of the loops.
const LOOP: &[u8] =
    b"HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

impl Fault {
    pub(crate) const ALL: [Self; 75] = [
        Self::Refuses,
        Self::AcceptsNothing,
        Self::HangsAfterAccept,
        Self::Resets,
        Self::ResetsMidAnswer,
        Self::Closes,
        Self::HalfCloses,
        Self::GoesSilent,
        Self::SlowLoris,
        Self::EndlessHeaders,
        Self::EndlessInterim,
        Self::EndlessBody,
        Self::EndlessKeptBody,
        Self::EndlessTrailers,
        Self::WrongChunks,
        Self::LengthTooLong,
        Self::LengthTooShort,
        Self::TwoLengths,
        Self::NotHttp,
        Self::BodyNotUtf8,
        Self::ErrorStatus,
        Self::RedirectLoop,
        Self::RedirectToNoName,
        Self::StreamLineWithoutEnd,
        Self::StreamEventWithoutEnd,
        Self::StreamFlood,
        Self::StreamSilent,
        Self::StreamEnds,
        Self::StreamResets,
        Self::StreamWrongChunks,
        Self::StreamNotUtf8,
        Self::StreamIsNone,
        Self::Socket(SocketFault::HandshakeHangs),
        Self::Socket(SocketFault::HandshakeWithoutEnd),
        Self::Socket(SocketFault::WrongAccept),
        Self::Socket(SocketFault::HugeFrame),
        Self::Socket(SocketFault::FragmentsWithoutEnd),
        Self::Socket(SocketFault::Compressed),
        Self::Socket(SocketFault::NotUtf8),
        Self::Socket(SocketFault::PingFlood),
        Self::Socket(SocketFault::Flood),
        Self::Socket(SocketFault::Silent),
        Self::Socket(SocketFault::Closes),
        Self::Socket(SocketFault::Resets),
        Self::Http2(Http2Fault::ALL[0]),
        Self::Http2(Http2Fault::ALL[1]),
        Self::Http2(Http2Fault::ALL[2]),
        Self::Http2(Http2Fault::ALL[3]),
        Self::Http2(Http2Fault::ALL[4]),
        Self::Http2(Http2Fault::ALL[5]),
        Self::Http2(Http2Fault::ALL[6]),
        Self::Http2(Http2Fault::ALL[7]),
        Self::Http2(Http2Fault::ALL[8]),
        Self::Http2(Http2Fault::ALL[9]),
        Self::Http2(Http2Fault::ALL[10]),
        Self::Http2(Http2Fault::ALL[11]),
        Self::Http2(Http2Fault::ALL[12]),
        Self::Http2(Http2Fault::ALL[13]),
        Self::Http2(Http2Fault::ALL[14]),
        Self::Http2(Http2Fault::ALL[15]),
        Self::Http2(Http2Fault::ALL[16]),
        Self::Http2(Http2Fault::ALL[17]),
        Self::Http2(Http2Fault::ALL[18]),
        Self::Http2(Http2Fault::ALL[19]),
        Self::TlsPlain,
        Self::TlsHangs,
        Self::TlsCut,
        Self::TlsTruncated,
        Self::TlsStranger,
        Self::NoName,
        Self::Delay,
        Self::Loss,
        Self::Flaps,
        Self::RestartsInAHold,
        Self::OneOfTwoDies,
    ];

    #[expect(clippy::too_many_lines, reason = "a table")]
    pub(crate) fn facts(self) -> Facts {
        use FailureKind as Kind;
        let plain = |name, does, answer, users, kind| Facts {
            name,
            does,
            strike: Strike::Answer(answer),
            users,
            tls: false,
            when: When::Beyond,
            slo: "errors<2%",
            outcome: fails(kind),
        };
        let get = |name, does, answer, kind| plain(name, does, answer, Users::Get, kind);
        let stream = |name, does, answer, kind| plain(name, does, answer, Users::Stream, kind);
        let handshake = |name, does, how, kind| Facts {
            strike: Strike::Handshake(how),
            tls: true,
            ..get(name, does, Answer::Silence, kind)
        };
        let door = |name, does, door, kind| Facts {
            strike: Strike::Door(door),
            ..get(name, does, Answer::Silence, kind)
        };
        let late = |name, does, answer| Facts {
            slo: "p95<1s",
            when: When::Throughout,
            outcome: Outcome {
                kind: None,
                ..breaks_at_once(Kind::Timeout)
            },
            ..get(name, does, answer, Kind::Timeout)
        };
        let down = |name, does, when| Facts {
            strike: Strike::Never,
            when,
            ..get(name, does, Answer::Silence, Kind::ConnectRefused)
        };
        match self {
            Self::Refuses => door(
                "refuses",
                "nobody listens on its port",
                Door::Shut,
                Kind::ConnectRefused,
            ),
            Self::AcceptsNothing => door(
                "accepts nothing",
                "the kernel takes connections, the target does not",
                Door::Unattended,
                Kind::Timeout,
            ),
            Self::HangsAfterAccept => get(
                "hangs after accept",
                "reads the request and never answers",
                Answer::Silence,
                Kind::Timeout,
            ),
            Self::Resets => get(
                "resets",
                "answers a request with a TCP reset",
                Answer::Reset,
                Kind::Reset,
            ),
            Self::ResetsMidAnswer => get(
                "resets in the middle",
                "sends half of an answer, then a TCP reset",
                Answer::HalfThenReset(HALF),
                Kind::Reset,
            ),
            Self::Closes => get(
                "closes",
                "ends the connection instead of answering",
                Answer::Close,
                Kind::Eof,
            ),
            Self::HalfCloses => get(
                "half-closes",
                "sends half of an answer, ends its side and goes on reading",
                Answer::HalfThenHalfClose(HALF),
                Kind::Eof,
            ),
            Self::GoesSilent => get(
                "half-open connection",
                "sends half of an answer, then nothing, not even an end",
                Answer::HalfThenSilence(HALF),
                Kind::Timeout,
            ),
            Self::SlowLoris => get(
                "slow-loris answer",
                "sends its answer a byte every 100 ms",
                Answer::Drip,
                Kind::Timeout,
            ),
            Self::EndlessHeaders => get(
                "endless headers",
                "sends header after header",
                Answer::WithoutEnd("HTTP/1.1 200 OK\r\n", "x-more: and more\r\n"),
                Kind::Protocol,
            ),
            Self::EndlessInterim => get(
                "endless interim answers",
                "sends `100 Continue` again and again",
                Answer::WithoutEnd("", "HTTP/1.1 100 Continue\r\n\r\n"),
                Kind::Protocol,
            ),
            Self::EndlessBody => get(
                "endless body",
                "sends a body without end, of which nobody wants anything",
                Answer::WithoutEnd("HTTP/1.1 200 OK\r\n\r\n", "more and more "),
                Kind::Timeout,
            ),
            Self::EndlessKeptBody => plain(
                "endless body that is read",
                "the same, and a value of it is to be extracted",
                Answer::WithoutEnd("HTTP/1.1 200 OK\r\n\r\n[", "\"more and more\", "),
                Users::GetJson,
                Kind::Protocol,
            ),
            Self::EndlessTrailers => get(
                "endless trailers",
                "ends its chunks, then sends trailer after trailer",
                Answer::WithoutEnd(
                    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
                    "x-more: and more\r\n",
                ),
                Kind::Protocol,
            ),
            Self::WrongChunks => get(
                "wrong chunk sizes",
                "sends more bytes than the chunk's size says",
                Answer::HalfThenSilence(
                    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nfour\r\n0\r\n\r\n",
                ),
                Kind::Protocol,
            ),
            Self::LengthTooLong => get(
                "content length too long",
                "ends the connection before the body is as long as it said",
                Answer::HalfThenClose(HALF),
                Kind::Eof,
            ),
            Self::LengthTooShort => Facts {
                outcome: HARMLESS,
                ..get(
                    "content length too short",
                    "sends more than it said: the rest is thrown away with its connection",
                    Answer::HalfThenSilence("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokay"),
                    Kind::Protocol,
                )
            },
            Self::TwoLengths => get(
                "two content lengths",
                "says two lengths that differ",
                Answer::HalfThenSilence(
                    "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 4\r\n\r\nokay",
                ),
                Kind::Protocol,
            ),
            Self::NotHttp => get(
                "no HTTP",
                "speaks another protocol",
                Answer::HalfThenSilence("SSH-2.0-OpenSSH_9.2\r\n"),
                Kind::Protocol,
            ),
            Self::BodyNotUtf8 => plain(
                "invalid UTF-8 in a body",
                "sends JSON with bytes that are no UTF-8; a value of it is to be extracted",
                Answer::Whole(
                    b"HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{\"ok\": \"\xff\xfe\"}",
                ),
                Users::GetJson,
                Kind::Protocol,
            ),
            Self::ErrorStatus => get(
                "error status",
                "answers 500",
                Answer::Whole(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"),
                Kind::Status,
            ),
            Self::RedirectLoop => plain(
                "redirects in a loop",
                "answers 302 to itself; three are followed",
                Answer::Whole(LOOP),
                Users::Follow,
                Kind::Status,
            ),
            Self::RedirectToNoName => plain(
                "redirects to a name that does not resolve",
                "answers 302 to a name without an address",
                // A label of 64 letters is too long for a name, so nobody is asked for it.
                Answer::Whole(
                    b"HTTP/1.1 302 Found\r\nlocation: http://\
                      aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.invalid/\r\n\
                      content-length: 0\r\n\r\n",
                ),
                Users::Follow,
                Kind::Dns,
            ),
            Self::StreamLineWithoutEnd => stream(
                "SSE line without end",
                "sends a line of an event stream that never ends",
                Answer::WithoutEnd(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ",
                    "more and more ",
                ),
                Kind::Protocol,
            ),
            Self::StreamEventWithoutEnd => stream(
                "SSE event without end",
                "sends data line after data line, and never the blank one",
                Answer::WithoutEnd(EVENTS, "data: more and more\n"),
                Kind::Protocol,
            ),
            Self::StreamFlood => stream(
                "SSE flood",
                "sends events without end, none of which is the one awaited",
                Answer::Flood,
                Kind::Timeout,
            ),
            Self::StreamSilent => stream(
                "SSE silence",
                "opens the stream and sends no event",
                Answer::HalfThenSilence(EVENTS),
                Kind::Timeout,
            ),
            Self::StreamEnds => stream(
                "SSE end",
                "ends the stream before the event",
                Answer::HalfThenClose(EVENTS),
                Kind::Eof,
            ),
            Self::StreamResets => stream(
                "SSE reset",
                "resets the stream before the event",
                Answer::HalfThenReset(EVENTS),
                Kind::Reset,
            ),
            Self::StreamWrongChunks => stream(
                "SSE with wrong chunk sizes",
                "sends more bytes than the chunk's size says",
                Answer::HalfThenSilence(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                     transfer-encoding: chunked\r\n\r\n2\r\nevent: tick\n\n\r\n",
                ),
                Kind::Protocol,
            ),
            Self::StreamNotUtf8 => stream(
                "invalid UTF-8 in an event",
                "sends the event with bytes that are no UTF-8 in place of the value expected",
                Answer::Whole(
                    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n\
                      event: tick\ndata: {\"ok\": \"\xff\xfe\"}\n\n",
                ),
                Kind::WrongEvent,
            ),
            Self::StreamIsNone => stream(
                "no event stream",
                "answers with a page",
                Answer::HalfThenSilence(
                    "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 4\r\n\r\n<p/>",
                ),
                Kind::Protocol,
            ),
            Self::Socket(fault) => fault.facts(),
            Self::Http2(fault) => fault.facts(),
            Self::TlsPlain => handshake(
                "no TLS",
                "answers a TLS handshake with plain HTTP",
                Handshake::Plain,
                Kind::Tls,
            ),
            Self::TlsHangs => handshake(
                "TLS handshake that hangs",
                "accepts and never answers the handshake",
                Handshake::Hangs,
                Kind::Timeout,
            ),
            Self::TlsCut => handshake(
                "TLS handshake that is cut off",
                "ends the connection in the middle of the handshake",
                Handshake::Cut,
                Kind::Tls,
            ),
            Self::TlsTruncated => Facts {
                tls: true,
                ..get(
                    "TLS cut off in an answer",
                    "ends the connection in the middle of an answer, without the end that TLS has",
                    Answer::HalfThenClose(HALF),
                    Kind::Eof,
                )
            },
            Self::TlsStranger => Facts {
                strike: Strike::Never,
                tls: true,
                when: When::Always,
                outcome: never_answers(Kind::Tls),
                ..get(
                    "certificate of a stranger",
                    "has a certificate that nobody vouches for",
                    Answer::Silence,
                    Kind::Tls,
                )
            },
            Self::NoName => Facts {
                strike: Strike::Never,
                when: When::Always,
                outcome: never_answers(Kind::Dns),
                ..get(
                    "name that does not resolve",
                    "is nowhere",
                    Answer::Silence,
                    Kind::Dns,
                )
            },
            Self::Delay => late(
                "network delay",
                "answers reach the users 1.2 s late; the SLO is `p95<1s`",
                Answer::Late,
            ),
            Self::Loss => late(
                "network loss",
                "every second answer is lost and sent again 1.2 s later; the SLO is `p95<1s`",
                Answer::Lossy,
            ),
            Self::Flaps => Facts {
                outcome: breaks_at_once(Kind::ConnectRefused),
                ..down(
                    "flapping target",
                    "is up for 1 s, down for half a second, and so on",
                    When::ByTurns,
                )
            },
            Self::RestartsInAHold => Facts {
                outcome: Outcome {
                    kind: Some(Kind::ConnectRefused),
                    verdict: Some(Verdict::Broke),
                    ..HARMLESS
                },
                ..down(
                    "restart in the middle of a hold",
                    "is down for 2 s, once",
                    When::OnceInAHold,
                )
            },
            Self::OneOfTwoDies => Facts {
                outcome: breaks_at_once(Kind::Reset),
                ..down(
                    "one of two instances dies",
                    "the balancer before them resets every second connection, from a hold on",
                    When::ToOneOfTwo,
                )
            },
        }
    }
}
