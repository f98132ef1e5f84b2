//! The HTTP/1.1 client of the load path: connect, send, read. All that is known of sockets and TLS stands here.
//!
//! A connection is driven by whoever uses it, inside the VU's own task: no task, lock, timer or hand-over per request, one
//! write and one read where request and answer are small, and no buffer of its own while nothing is half read.

mod answer;
mod decode;
#[cfg(any(test, fuzzing))]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the fuzzer makes inputs of its own")
)]
mod fuzz;
#[cfg(any(test, fuzzing))]
pub(crate) use self::decode::fuzz as fuzz_body;
#[cfg(any(test, fuzzing))]
pub(crate) use self::fuzz::door as fuzz_answer;
mod strange;

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::Method;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio_rustls::TlsConnector;

use self::answer::{Body, NotHttp};
use self::decode::Decoder;
use super::addresses::{AddressBook, Load};
use super::names::Names;
use super::socket::{Arrivals, Socket};
use super::sources::Sources;
use super::{watch, why};
use crate::crypto::{Refused, Trust};
use crate::excerpt;
use crate::measure::{FailureKind, LoadedAddress};
use crate::scenario::{Addresses, Allowed, Expect, Origin, Resolve};

pub(super) use self::answer::Head;
#[doc(hidden)]
pub use self::answer::length_of_answer;
pub(super) use self::decode::{Encoding, beginning};

/// Most that one read takes.
const READ_SIZE: usize = 64 * 1024;
/// Longest body that is kept for an extraction, and the most that one piece of a stream may be decoded to.
const MAX_BODY: usize = 1 << 20;
/// Where a connection ended.
const IN_BODY: &str = "in the middle of the body";
/// Bytes of a stream that are decoded at once: deflate makes at most 1 032 of one, which is less than that most.
const DECODED_AT_ONCE: usize = 512;

/// How a thread's connections are made.
#[derive(Debug, Clone, Default)]
pub(super) struct Means {
    pub(super) trust: Option<Trust>,
    pub(super) sources: Sources,
    pub(super) allowed: Allowed,
    pub(super) resolve: Resolve,
}

/// Opens connections to the scenario's origins; one per thread.
pub(super) struct Connector {
    means: Means,
    names: Names,
    book: AddressBook,
}

impl Connector {
    pub(super) fn new(means: Means, addresses: Addresses) -> Self {
        Self {
            means,
            names: Names::default(),
            book: AddressBook::new(addresses),
        }
    }

    /// One that does the same, and whose connections are counted nowhere.
    pub(super) fn apart(&self) -> Self {
        Self {
            means: self.means.clone(),
            names: self.names.clone(),
            book: self.book.apart(),
        }
    }

    /// How the load fell on the addresses since this was last asked.
    pub(super) fn cut(&self) -> Vec<LoadedAddress> {
        self.book.cut()
    }

    /// Opens a connection of a VU and makes the TLS handshake.
    pub(super) async fn connect(
        &self,
        origin: &Origin,
        vu: u32,
    ) -> Result<Connection, FailureKind> {
        let (socket, reached) = self.connect_tcp(origin, vu).await?;
        let transport = if origin.tls {
            Transport::Tls(Box::new(self.handshake(origin, socket).await?))
        } else {
            Transport::Plain(socket)
        };
        Ok(Connection::new(transport, reached))
    }

    /// A socket, how long it took to connect, and where what is sent there is counted.
    async fn connect_tcp(
        &self,
        origin: &Origin,
        vu: u32,
    ) -> Result<(Socket, Reached), FailureKind> {
        let addresses = self.addresses(origin, vu).await?;
        let mut last = FailureKind::Dns;
        let several = addresses.len() > 1;
        for address in addresses {
            match self.connect_to(origin, address, vu).await {
                Ok(tcp) => {
                    // That another address let nobody in is got over.
                    why::clear();
                    return Ok(tcp);
                }
                Err(kind) => last = kind,
            }
            if several {
                self.book.pass_over(address, origin.port);
            }
        }
        Err(last)
    }

    /// Where a VU connects to for an origin, the first to be tried first.
    async fn addresses(&self, origin: &Origin, vu: u32) -> Result<Vec<IpAddr>, FailureKind> {
        let permitted = |a: &IpAddr| self.means.allowed.permits(&origin.host, *a);
        // What was given for a name was checked before the load, and so were the scenario's own addresses: an answer led here.
        if let Some(given) = self.means.resolve.of(&origin.host, origin.port) {
            let given: Vec<_> = given.iter().copied().filter(permitted).collect();
            self.book.note(&origin.host, &given);
            let order = self.book.order(given, origin.port, vu);
            return some(order, FailureKind::Protocol);
        }
        if let Ok(address) = origin.host.parse::<IpAddr>() {
            let one = Some(address).filter(permitted).into_iter().collect();
            return some(one, FailureKind::Protocol);
        }
        let found = self.resolve(origin).await?;
        Ok(self.book.order(found, origin.port, vu))
    }

    async fn connect_to(
        &self,
        origin: &Origin,
        to: IpAddr,
        vu: u32,
    ) -> Result<(Socket, Reached), FailureKind> {
        let began = Instant::now();
        let to = SocketAddr::new(to, origin.port);
        let socket = Socket::connect(to, self.means.sources.of(vu)).await;
        let socket = socket.map_err(|e| why::note_connecting(why::kind_of(&e), why::chain(&e)))?;
        let round_trip = began.elapsed();
        let load = self.book.load(&origin.host, to.ip());
        load.connected(round_trip);
        Ok((socket, Reached { round_trip, load }))
    }

    async fn resolve(&self, origin: &Origin) -> Result<Vec<IpAddr>, FailureKind> {
        if let Some(known) = self.names.known(&origin.host) {
            return Ok(known);
        }
        let (host, port) = (origin.host.clone(), origin.port);
        let ask = || async move {
            let found = tokio::net::lookup_host((host, port)).await?;
            Ok(found.map(|a| a.ip()).collect())
        };
        let mut addresses: Vec<IpAddr> = self.names.look_up(&origin.host, ask).await?;
        // A name may lead elsewhere than when it was checked before the load.
        addresses.retain(|a| self.means.allowed.permits(&origin.host, *a));
        let known = !addresses.is_empty();
        addresses.retain(|a| self.means.sources.reach(*a));
        if known && addresses.is_empty() {
            // No address from which the target can be reached is the generator's shortage, not the target's failure.
            return Err(FailureKind::NoPorts);
        }
        self.names.keep(&origin.host, &addresses);
        self.book.note(&origin.host, &addresses);
        Ok(addresses)
    }

    async fn handshake(
        &self,
        origin: &Origin,
        socket: Socket,
    ) -> Result<tokio_rustls::client::TlsStream<Socket>, FailureKind> {
        let trust = self.means.trust.as_ref().ok_or(FailureKind::Tls)?;
        let name = trust.name_of(&origin.host).ok_or(FailureKind::Tls)?;
        // Whatever ends a connection within the handshake is a failure of the handshake.
        TlsConnector::from(Arc::clone(trust.config()))
            .connect(name, socket)
            .await
            .map_err(|error| why::note(FailureKind::Tls, trust.reason(&error).to_string()))
    }

    /// Notes why the first request on a new connection was not answered: with TLS 1.3 a server tells only then that it wants a
    /// client certificate.
    pub(super) fn note_end(&self, origin: &Origin, kind: FailureKind) {
        let ended = matches!(
            kind,
            FailureKind::Tls | FailureKind::Eof | FailureKind::Reset
        );
        let lacks = |trust: &Trust| trust.lacks_certificate();
        if origin.tls && ended && self.means.trust.as_ref().is_some_and(lacks) {
            why::note(kind, Refused::WantsClientCertificate.to_string());
        }
    }
}

fn some(addresses: Vec<IpAddr>, otherwise: FailureKind) -> Result<Vec<IpAddr>, FailureKind> {
    if addresses.is_empty() {
        let text = "a response led to a host that is not allowed (--allow-target)";
        return Err(why::note(otherwise, text));
    }
    Ok(addresses)
}

/// What is known of the way to a server when it is connected to.
pub(super) struct Reached {
    /// How long connecting took: a round trip of the network.
    round_trip: Duration,
    load: Rc<Load>,
}

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
    /// The connection ended before any byte of an answer, and so soon that its end may have been on its way when the request was
    /// sent: the server had closed it while it was idle.
    pub(super) closed_while_idle: bool,
    /// The connection ended before any byte of an answer.
    pub(super) unanswered: bool,
}

/// What it may take beyond a round trip until an end that came is read.
const READ_LATE: Duration = Duration::from_millis(5);

/// One open connection.
pub(super) struct Connection {
    transport: Transport,
    reading: Reading,
    /// Of the network, microseconds.
    round_trip_us: u32,
    /// Where requests are counted.
    load: Rc<Load>,
}

/// How much of a request was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    All,
    /// An answer came while the target took no more of it.
    Part,
}

impl Connection {
    fn new(transport: Transport, reached: Reached) -> Self {
        Self {
            transport,
            reading: Reading::default(),
            round_trip_us: u32::try_from(reached.round_trip.as_micros()).unwrap_or(u32::MAX),
            load: reached.load,
        }
    }

    /// How long nothing had come at a time.
    pub(super) fn idle_at(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.arrivals().at)
    }

    /// How long the server keeps it when nobody uses it, as it said; and what a request takes to get there.
    pub(super) fn limits(&self) -> (Option<Duration>, Duration) {
        let round_trip = Duration::from_micros(self.round_trip_us.into());
        (self.reading.idle_limit, round_trip)
    }

    /// Whether the connection can take another request; a target that closed it meanwhile is noticed here.
    pub(super) async fn is_usable(&mut self) -> bool {
        if !self.reading.may_go_on() {
            return false;
        }
        // Nothing may come unasked, not even the end.
        let transport = &mut self.transport;
        std::future::poll_fn(|cx| Poll::Ready(transport.poll_read(cx, |_, _| ()).is_pending()))
            .await
    }

    /// Whether the last answer left it to be used again.
    pub(super) fn may_go_on(&self) -> bool {
        self.reading.may_go_on()
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: &[u8], want: Want<'_>) -> Result<Head, SendError> {
        self.load.requested();
        let before = self.reading.received;
        let began = Instant::now();
        let answer = self.exchange(request, want).await;
        // An end that comes later is of a server that had the request, and may have done what it asks.
        let crossing = Duration::from_micros(self.round_trip_us.into()) + READ_LATE;
        answer.map_err(|kind| SendError {
            kind,
            unanswered: matches!(kind, FailureKind::Eof | FailureKind::Reset)
                && self.reading.received == before,
            closed_while_idle: matches!(kind, FailureKind::Eof | FailureKind::Reset)
                && self.reading.received == before
                && began.elapsed() <= crossing,
        })
    }

    async fn exchange(&mut self, request: &[u8], want: Want<'_>) -> Result<Head, FailureKind> {
        let written = self.write(request).await;
        let head = match (self.head(want).await, &written) {
            (Ok(head), _) => head,
            // What ended the writing says more than the end that the reading then met.
            (Err(_), Err(e)) => return Err(cut_off(e, "while the request was sent", "")),
            (Err(kind), Ok(_)) => return Err(kind),
        };
        // Who answered before the whole request was there will not read the rest of it.
        self.reading.keeps_alive &= matches!(written, Ok(Sent::All));
        Ok(head)
    }

    async fn write(&mut self, request: &[u8]) -> io::Result<Sent> {
        let Self {
            transport, reading, ..
        } = self;
        let mut left = request;
        watch::sending();
        let mut held_up = false;
        let mut hold_up = || {
            if !std::mem::replace(&mut held_up, true) {
                watch::held_up();
            }
        };
        std::future::poll_fn(|cx| {
            while !left.is_empty() {
                match transport.poll_write(cx, left) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(written)) => left = &left[written..],
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Pending => {
                        hold_up();
                        let early = transport.poll_read(cx, |bytes, _| reading.keep(bytes));
                        return early.map_ok(|()| Sent::Part);
                    }
                }
            }
            // TLS takes a request at once and holds it back here.
            let flushed = transport.poll_flush(cx);
            if flushed.is_pending() {
                hold_up();
            }
            flushed.map_ok(|()| Sent::All)
        })
        .await
    }

    async fn head(&mut self, want: Want<'_>) -> Result<Head, FailureKind> {
        let Self {
            transport, reading, ..
        } = self;
        if let Some(head) = reading.head_so_far(want)? {
            return Ok(head);
        }
        loop {
            let read = std::future::poll_fn(|cx| {
                transport.poll_read(cx, |bytes, _| reading.take_head(bytes, want))
            });
            let read = read
                .await
                .map_err(|e| cut_off(&e, reading.where_in_head(), ""))?;
            if let Some(head) = read? {
                return Ok(head);
            }
        }
    }

    /// Reads the rest of an answer's body; gives what of it was to be kept.
    pub(super) async fn body(&mut self) -> Result<Vec<u8>, FailureKind> {
        let Self {
            transport, reading, ..
        } = self;
        reading.check()?;
        while reading.body != Body::Done {
            let read = std::future::poll_fn(|cx| {
                transport.poll_read(cx, |bytes, _| reading.take_body(bytes))
            });
            let fed: Result<(), FailureKind> = read.await.map_err(|e| reading.cut_off(&e))?;
            fed?;
        }
        let kept = std::mem::take(&mut reading.kept);
        let Keep::All(most) = reading.keep else {
            return Ok(kept);
        };
        if reading.encoding == Encoding::Identity {
            return Ok(kept);
        }
        decode::whole(&kept, reading.encoding, most)
            .map_err(|e| why::note(FailureKind::Protocol, e.why(reading.encoding, most)))
    }

    /// What was kept of the body so far.
    pub(super) fn beginning(&self) -> &[u8] {
        let kept = &self.reading.kept;
        &kept[..kept.len().min(excerpt::BODY)]
    }

    /// Reads on until something of a body is there, or its end.
    pub(super) async fn begin_body(&mut self) -> Result<(), FailureKind> {
        let Self {
            transport, reading, ..
        } = self;
        while reading.kept.is_empty() && reading.body != Body::Done {
            let read = std::future::poll_fn(|cx| {
                transport.poll_read(cx, |bytes, _| reading.take_body(bytes))
            });
            let fed: Result<(), FailureKind> = read.await.map_err(|e| reading.cut_off(&e))?;
            fed?;
        }
        Ok(())
    }

    /// Hands the pieces of a kept body on, each with the time at which it came, until it ends or `take` has enough.
    pub(super) async fn stream(
        &mut self,
        mut take: impl FnMut(&[u8], Instant) -> Result<(), StreamEnd>,
    ) -> StreamEnd {
        let at = self.arrivals().at;
        let Self {
            transport, reading, ..
        } = self;
        let mut decoder = match Decoder::new(reading.encoding) {
            Ok(decoder) => decoder,
            Err(e) => {
                let kind = why::note(FailureKind::Protocol, e.why(reading.encoding, MAX_BODY));
                return StreamEnd::Failed(kind);
            }
        };
        let encoding = reading.encoding;
        let mut take = move |bytes: &[u8], at| {
            if decoder.is_identity() {
                return take(bytes, at);
            }
            // What is read is decoded in small pieces, so that it can only become so much at a time.
            for piece in bytes.chunks(DECODED_AT_ONCE) {
                let decoded = decoder.feed(piece, MAX_BODY);
                let decoded = decoded.map_err(|e| {
                    StreamEnd::Failed(why::note(FailureKind::Protocol, e.why(encoding, MAX_BODY)))
                })?;
                take(&decoded, at)?;
            }
            Ok(())
        };
        let begun = take(&std::mem::take(&mut reading.kept), at);
        let mut went = begun.and_then(|()| reading.check().map_err(StreamEnd::Failed));
        // What comes from now on is passed on, and none of it kept.
        reading.keep = Keep::Nothing;
        loop {
            match went {
                Err(end) => return end,
                Ok(()) if reading.body == Body::Done => return StreamEnd::Body,
                Ok(()) => {}
            }
            let read = std::future::poll_fn(|cx| {
                transport.poll_read(cx, |bytes, at| {
                    reading.pass_on(bytes, |piece| take(piece, at))
                })
            });
            let read = read.await;
            went = read.unwrap_or_else(|e| Err(StreamEnd::Failed(reading.cut_off(&e))));
        }
    }

    /// Reads what is left of a body of which nobody wants more.
    pub(super) async fn finish(&mut self) -> Result<(), FailureKind> {
        let Self {
            transport, reading, ..
        } = self;
        reading.keep = Keep::Nothing;
        while reading.body != Body::Done {
            let read = std::future::poll_fn(|cx| {
                transport.poll_read(cx, |bytes, _| reading.take_body(bytes))
            });
            let fed: Result<(), FailureKind> = read.await.map_err(|e| reading.cut_off(&e))?;
            fed?;
        }
        Ok(())
    }

    /// What is below it, once it speaks another protocol, and what of that came already.
    pub(super) fn upgraded(self) -> (Transport, Vec<u8>) {
        (self.transport, self.reading.kept)
    }

    /// When the last bytes came, and how much later they were read.
    pub(super) fn arrivals(&self) -> Arrivals {
        self.transport.arrivals()
    }
}

/// What was read of answers, and what is still to come.
struct Reading {
    /// Bytes read from the connection.
    received: u64,
    /// The beginning of a head that is not complete, or what is kept of a body.
    kept: Vec<u8>,
    keep: Keep,
    body: Body,
    keeps_alive: bool,
    encoding: Encoding,
    /// Bytes that the body was said to have.
    whole: u64,
    /// How long the server keeps the connection when nobody uses it, as it said last.
    idle_limit: Option<Duration>,
    /// What is wrong with the part of the body that came with the head. The head counts first, as it does where they come
    /// apart: a status that was not expected is not a matter of its body.
    failed: Option<FailureKind>,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            received: 0,
            kept: Vec::new(),
            keep: Keep::Nothing,
            body: Body::Done,
            keeps_alive: true,
            encoding: Encoding::Identity,
            whole: 0,
            idle_limit: None,
            failed: None,
        }
    }
}

impl Reading {
    fn may_go_on(&self) -> bool {
        self.keeps_alive && self.body == Body::Done
    }

    fn check(&self) -> Result<(), FailureKind> {
        self.failed.map_or(Ok(()), Err)
    }

    fn count(&mut self, bytes: &[u8]) {
        self.received += bytes.len() as u64;
    }

    /// Keeps what came before the request was written.
    fn keep(&mut self, bytes: &[u8]) {
        self.count(bytes);
        self.kept.extend_from_slice(bytes);
    }

    fn head_so_far(&mut self, want: Want<'_>) -> Result<Option<Head>, FailureKind> {
        if self.kept.is_empty() {
            return Ok(None);
        }
        let bytes = std::mem::take(&mut self.kept);
        let found = self.find_head(&bytes, want)?;
        if found.is_none() {
            self.kept = bytes;
        }
        Ok(found)
    }

    fn take_head(&mut self, bytes: &[u8], want: Want<'_>) -> Result<Option<Head>, FailureKind> {
        self.count(bytes);
        if bytes.is_empty() {
            let text = format!("the connection was closed {}", self.where_in_head());
            return Err(why::note(FailureKind::Eof, text));
        }
        // Nearly always a head comes in one piece, with all of its body: nothing is copied then.
        if self.kept.is_empty()
            && let Some(head) = self.find_head(bytes, want)?
        {
            return Ok(Some(head));
        }
        self.kept.extend_from_slice(bytes);
        self.head_so_far(want)
    }

    fn find_head(&mut self, bytes: &[u8], want: Want<'_>) -> Result<Option<Head>, FailureKind> {
        let found = answer::head_of(bytes, want.method, want.headers, want.upgrades);
        let found = found.map_err(|e| why::note(e.into(), strange::why_no_head(bytes)))?;
        let Some((head, used)) = found else {
            return Ok(None);
        };
        self.body = head.body;
        self.whole = match head.body {
            Body::Rest(length) => length,
            _ => 0,
        };
        self.keeps_alive = head.keeps_alive;
        self.encoding = head.encoding;
        self.idle_limit = head.idle_limit;
        self.keep = match want.body {
            Keep::Nothing if !want.expect.holds(head.status) => Keep::Beginning,
            keep => keep,
        };
        if let Err(kind) = self.feed(&bytes[used..]) {
            self.keeps_alive = false;
            self.failed = Some(kind);
        }
        Ok(Some(head))
    }

    /// Where an answer stands before its body.
    fn where_in_head(&self) -> &'static str {
        if self.kept.is_empty() {
            "without an answer"
        } else {
            "in the middle of the answer's head"
        }
    }

    /// How much of the body there is.
    fn progress(&self) -> String {
        match self.body {
            Body::Rest(left) => {
                format!("after {} of {} bytes", self.whole - left, self.whole)
            }
            Body::Chunks(_) => "it comes in chunks, and the last one did not come".to_owned(),
            Body::UntilClosed | Body::Done => String::new(),
        }
    }

    /// Why no more of a body can be read.
    fn cut_off(&self, error: &io::Error) -> FailureKind {
        cut_off(error, IN_BODY, &self.progress())
    }

    fn take_body(&mut self, bytes: &[u8]) -> Result<(), FailureKind> {
        self.count(bytes);
        if bytes.is_empty() {
            return self.end();
        }
        self.feed(bytes)
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), FailureKind> {
        let (keep, kept) = (self.keep, &mut self.kept);
        let fed = self.body.feed(bytes, |piece| match keep {
            Keep::Nothing => {}
            Keep::Beginning => {
                let room = excerpt::BODY.saturating_sub(kept.len());
                kept.extend_from_slice(&piece[..room.min(piece.len())]);
            }
            Keep::All(_) => kept.extend_from_slice(piece),
        });
        let used =
            fed.map_err(|e| why::note(e.into(), "a chunk of the body is not framed as one"))?;
        // Nobody asked for more than one answer.
        self.keeps_alive &= used == bytes.len();
        let most = match self.keep {
            Keep::All(most) => most,
            Keep::Nothing | Keep::Beginning => MAX_BODY,
        };
        if self.kept.len() > most {
            let most = format!("{} MiB", most >> 20);
            let text = format!(
                "the body is larger than {most}, the most that is kept for `extract` and `check`; allow more \
                 with `check = {{ max-bytes = N }}`"
            );
            return Err(why::note(FailureKind::Protocol, text));
        }
        Ok(())
    }

    /// The connection ended.
    fn end(&mut self) -> Result<(), FailureKind> {
        self.keeps_alive = false;
        if !self.body.may_end() {
            let text = format!("the connection was closed {IN_BODY}");
            return Err(why::note_with(FailureKind::Eof, text, self.progress()));
        }
        self.body = Body::Done;
        Ok(())
    }

    fn pass_on(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), StreamEnd>,
    ) -> Result<(), StreamEnd> {
        self.count(bytes);
        if bytes.is_empty() {
            return self.end().map_err(StreamEnd::Failed);
        }
        let mut taken = Ok(());
        let fed = self.body.feed(bytes, |piece| {
            if taken.is_ok() {
                taken = take(piece);
            }
        });
        match fed {
            // Nobody asked for more than one answer.
            Ok(used) => self.keeps_alive &= used == bytes.len(),
            Err(e) => return Err(StreamEnd::Failed(e.into())),
        }
        taken
    }
}

/// What bytes go through.
pub(super) enum Transport {
    Plain(Socket),
    Tls(Box<tokio_rustls::client::TlsStream<Socket>>),
}

thread_local! {
    /// What one read may bring: a thread reads from one connection at a time.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_SIZE].into_boxed_slice());
}

impl Transport {
    pub(super) fn arrivals(&self) -> Arrivals {
        match self {
            Self::Plain(socket) => socket.arrivals(),
            Self::Tls(tls) => tls.get_ref().0.arrivals(),
        }
    }

    /// Reads once, hands on what came (nothing is the end) and when.
    pub(super) fn poll_read<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl FnOnce(&[u8], Instant) -> T,
    ) -> Poll<io::Result<T>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let read = match self {
                Self::Plain(socket) => ready!(socket.poll_receive(cx, scratch))?,
                Self::Tls(tls) => {
                    let mut buf = ReadBuf::new(scratch);
                    ready!(Pin::new(tls).poll_read(cx, &mut buf))?;
                    buf.filled().len()
                }
            };
            Poll::Ready(Ok(take(&scratch[..read], self.arrivals().at)))
        })
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_send(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }
}

impl From<NotHttp> for FailureKind {
    fn from(_: NotHttp) -> Self {
        Self::Protocol
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_nobody_wants_takes_no_memory() {
        let get = Method::GET;
        let want = Want {
            method: &get,
            headers: false,
            body: Keep::Nothing,
            expect: &Expect::Success,
            upgrades: false,
        };
        let mut reading = Reading::default();
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n40000000\r\n";
        assert!(reading.take_head(head, want).unwrap().is_some());
        let piece = vec![b'x'; READ_SIZE];
        // A chunk of 1 GiB.
        for _ in 0..(1 << 30) / READ_SIZE {
            reading.take_body(&piece).unwrap();
            assert_eq!(reading.kept.capacity(), 0);
        }
        assert!(reading.received > 1 << 30 && !reading.may_go_on());
        reading.take_body(b"\r\n0\r\n\r\n").unwrap();
        assert!(reading.may_go_on());
    }
}
