//! The HTTP client of the load path: connect, send, read. All that is known of sockets, TLS and
//! HTTP's versions stands here.
//!
//! A connection is driven by whoever uses it, inside the VU's own task: no task, lock, timer or
//! hand-over per request, one write and one read where request and answer are small, and (HTTP/1.1)
//! no buffer of its own while nothing is half read. What exchanges a request for an answer is a
//! [`Transport`], one for each version of HTTP.

mod answer;
mod channel;
mod connect;
mod decode;
#[cfg(any(test, fuzzing))]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the fuzzer makes inputs of its own")
)]
mod fuzz;
mod http1;
mod http2;
mod kept;
mod strange;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::Method;

use self::connect::Reached;
#[cfg(any(test, fuzzing))]
pub(crate) use self::decode::fuzz as fuzz_body;
#[cfg(any(test, fuzzing))]
pub(crate) use self::fuzz::door as fuzz_answer;
use self::http1::Http1;
use self::http2::Http2;
use super::addresses::Load;
use super::socket::Arrivals;
use super::why;
use crate::excerpt;
use crate::measure::FailureKind;
use crate::scenario::Expect;

#[doc(hidden)]
pub use self::answer::length_of_answer;
pub(super) use self::answer::{Head, Version};
pub(super) use self::channel::Channel;
pub(super) use self::connect::{Connector, Means, NOT_ALLOWED};
pub(super) use self::decode::{Encoding, beginning};

/// Most that one read takes.
const READ_SIZE: usize = 64 * 1024;
/// Longest body that is kept for an extraction, and the most that one piece of a stream may be
/// decoded to.
const MAX_BODY: usize = 1 << 20;
/// Where a connection ended.
const IN_BODY: &str = "in the middle of the body";

/// What the sender of a request wants of its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Want<'a> {
    pub(super) method: &'a Method,
    /// Whether the headers of a success are needed; those of a refusal always are.
    pub(super) headers: bool,
    /// What is kept of the body; the rest is read and dropped.
    pub(super) body: Keep,
    /// Which statuses are a success; of another's body the beginning is kept.
    pub(super) expect: &'a Expect,
    /// Whether status 101 may come: what follows its head is then another protocol.
    pub(super) upgrades: bool,
}

impl Want<'_> {
    /// In what encoding a whole body is that was read so: what is kept whole is decoded.
    pub(super) fn read_in(&self, head: &Head) -> Encoding {
        match self.body {
            Keep::All(_) => Encoding::Identity,
            Keep::Nothing | Keep::Beginning => head.encoding,
        }
    }
}

/// How the reading of a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamEnd {
    /// All of it came.
    Body,
    /// Whoever took it wanted no more.
    Enough,
    /// It cannot be read on.
    Failed(FailureKind),
}

/// How much of a body is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Nothing,
    /// What an excerpt may show.
    Beginning,
    /// All, up to so many bytes, decoded: what an extraction or a check may look at.
    All(usize),
}

/// Why a request failed.
pub(super) struct SendError {
    pub(super) kind: FailureKind,
    /// The connection ended before any byte of an answer, and so soon that its end may have been on
    /// its way when the request was sent: the server had closed it while it was idle.
    pub(super) closed_while_idle: bool,
    /// The connection ended before any byte of an answer.
    pub(super) unanswered: bool,
    /// The server said that it did nothing of what was asked (HTTP/2), so that it may be asked
    /// again whatever it is.
    pub(super) not_processed: bool,
}

/// What it may take beyond a round trip until an end that came is read.
const READ_LATE: Duration = Duration::from_millis(5);

/// One open connection.
pub(super) struct Connection {
    transport: Transport,
    /// Of the network, microseconds.
    round_trip_us: u32,
    /// How long the handshake of TLS took, microseconds.
    handshake_us: u32,
    /// Who is at its other end.
    remote: SocketAddr,
    /// When the last request was handed over to be written.
    sent: Instant,
    /// Requests that were sent on it.
    requests: u64,
    /// Where requests are counted.
    load: Rc<Load>,
}

/// What exchanges a request for an answer.
///
/// Both speak of requests as they are written in HTTP/1.1: that is how a scenario renders them, a
/// redirect changes them and a failure shows them.
enum Transport {
    Http1(Http1),
    Http2(Box<Http2>),
}

/// Asks whichever it is; the compiler sees both, so that nothing is boxed or looked up on the way.
macro_rules! either {
    ($transport:expr, $it:ident => $what:expr) => {
        match $transport {
            Transport::Http1($it) => $what,
            Transport::Http2($it) => $what,
        }
    };
}

impl Connection {
    fn new(transport: Transport, reached: &Reached) -> Self {
        Self {
            transport,
            round_trip_us: micros(reached.round_trip),
            handshake_us: micros(reached.handshake),
            remote: reached.address,
            sent: Instant::now(),
            requests: 0,
            load: Rc::clone(&reached.load),
        }
    }

    /// When the last request was handed over to be written: all that its user did before it, and
    /// that others did on this thread, is over then.
    pub(super) fn sent_at(&self) -> Instant {
        self.sent
    }

    /// Who is at its other end.
    pub(super) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// How long connecting and the handshake of TLS took, where they were made for the last
    /// request.
    pub(super) fn made_for_it(&self) -> Option<(Duration, Duration)> {
        let made = [self.round_trip_us, self.handshake_us];
        let [tcp, tls] = made.map(|us| Duration::from_micros(us.into()));
        (self.requests <= 1).then_some((tcp, tls))
    }

    /// How long nothing had come at a time.
    pub(super) fn idle_at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.arrivals().at)
    }

    /// How long the server keeps it when nobody uses it, as it said; and what a request takes to
    /// get there.
    pub(super) fn limits(&self) -> (Option<Duration>, Duration) {
        let round_trip = Duration::from_micros(self.round_trip_us.into());
        let told = match &self.transport {
            Transport::Http1(http1) => http1.idle_limit(),
            Transport::Http2(_) => None,
        };
        (told, round_trip)
    }

    /// Whether the connection can take another request; a target that closed it meanwhile is
    /// noticed here.
    pub(super) async fn is_usable(&mut self) -> bool {
        match &mut self.transport {
            Transport::Http1(http1) => http1.is_usable().await,
            Transport::Http2(http2) => http2.is_usable(),
        }
    }

    /// Whether the last answer left it to be used again.
    pub(super) fn may_go_on(&self) -> bool {
        either!(&self.transport, it => it.may_go_on())
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: &[u8], want: Want<'_>) -> Result<Head, SendError> {
        self.load.requested();
        let before = self.received();
        let began = Instant::now();
        self.sent = began;
        self.requests += 1;
        let answer = either!(&mut self.transport, it => it.exchange(request, want).await);
        // An end that comes later is of a server that had the request, and may have done what it
        // asks.
        let crossing = Duration::from_micros(self.round_trip_us.into()) + READ_LATE;
        answer.map_err(|kind| {
            let unanswered =
                matches!(kind, FailureKind::Eof | FailureKind::Reset) && self.received() == before;
            SendError {
                kind,
                unanswered,
                closed_while_idle: unanswered && began.elapsed() <= crossing,
                not_processed: match &self.transport {
                    Transport::Http1(_) => false,
                    Transport::Http2(http2) => http2.was_not_processed(),
                },
            }
        })
    }

    /// Which HTTP is spoken on it.
    pub(super) fn version(&self) -> Version {
        match &self.transport {
            Transport::Http1(_) => Version::One,
            Transport::Http2(_) => Version::Two,
        }
    }

    fn received(&self) -> u64 {
        either!(&self.transport, it => it.received())
    }

    /// Reads the rest of an answer's body; gives what of it was to be kept.
    pub(super) async fn body(&mut self) -> Result<Vec<u8>, FailureKind> {
        either!(&mut self.transport, it => it.body().await)
    }

    /// What was kept of the body so far.
    pub(super) fn beginning(&self) -> &[u8] {
        let kept = either!(&self.transport, it => it.kept());
        &kept[..kept.len().min(excerpt::BODY)]
    }

    /// Reads on until something of a body is there, or its end.
    pub(super) async fn begin_body(&mut self) -> Result<(), FailureKind> {
        either!(&mut self.transport, it => it.begin_body().await)
    }

    /// Hands the pieces of a kept body on, each with the time at which it came, until it ends or
    /// `take` has enough.
    pub(super) async fn stream(
        &mut self,
        take: impl FnMut(&[u8], Instant) -> Result<(), StreamEnd>,
    ) -> StreamEnd {
        either!(&mut self.transport, it => it.stream(take).await)
    }

    /// Reads what is left of a body of which nobody wants more.
    pub(super) async fn finish(&mut self) -> Result<(), FailureKind> {
        either!(&mut self.transport, it => it.finish().await)
    }

    /// What is below it, once it speaks another protocol, and what of that came already; nothing
    /// over HTTP/2, where a connection does not change what it speaks.
    pub(super) fn upgraded(self) -> Option<(Channel, Vec<u8>)> {
        match self.transport {
            Transport::Http1(http1) => Some(http1.upgraded()),
            Transport::Http2(_) => None,
        }
    }

    /// When the last bytes of an answer came, and how much later they were read.
    pub(super) fn arrivals(&self) -> Arrivals {
        either!(&self.transport, it => it.arrivals())
    }
}

/// The kind of an error that ended a connection somewhere.
pub(super) fn cut_off(error: &io::Error, place: &str, detail: &str) -> FailureKind {
    let kind = why::kind_of(error);
    let text = match kind {
        // TLS says in many words that the end was not announced.
        FailureKind::Eof => format!("the connection was closed {place}"),
        FailureKind::Reset => format!("the connection was reset {place}: {}", why::chain(error)),
        _ => why::chain(error),
    };
    why::note_with(kind, text, detail)
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
