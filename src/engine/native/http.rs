//! The HTTP/1.1 client of the load path: connect, send, read. All that is known of sockets and TLS stands here.
//!
//! A connection is driven by whoever uses it, inside the VU's own task: no task, lock, timer or hand-over per request, one
//! write and one read where request and answer are small, and no buffer of its own while nothing is half read.

mod answer;
#[cfg(any(test, fuzzing))]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the fuzzer makes inputs of its own")
)]
mod fuzz;
#[cfg(any(test, fuzzing))]
pub(crate) use self::fuzz::door as fuzz_answer;

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::Method;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio_rustls::TlsConnector;

use self::answer::{Body, NotHttp};
use super::names::Names;
use super::socket::{Arrivals, Socket};
use super::sources::Sources;
use super::{watch, why};
use crate::excerpt;
use crate::measure::FailureKind;
use crate::scenario::{Allowed, Expect, Origin};

pub(super) use self::answer::Head;
#[doc(hidden)]
pub use self::answer::length_of_answer;

/// Most that one read takes.
const READ_SIZE: usize = 64 * 1024;
/// Longest body that is kept for an extraction.
const MAX_BODY: usize = 1 << 20;

/// The TLS settings of all connections: the system's certificates, ring's ciphers.
pub(super) fn tls_config() -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Opens connections to the scenario's origins; one per thread.
#[derive(Clone)]
pub(super) struct Connector {
    tls: Option<Arc<ClientConfig>>,
    sources: Sources,
    allowed: Allowed,
    names: Names,
}

impl Connector {
    pub(super) fn new(tls: Option<Arc<ClientConfig>>, sources: Sources, allowed: Allowed) -> Self {
        Self {
            tls,
            sources,
            allowed,
            names: Names::default(),
        }
    }

    /// Opens a connection of a VU and makes the TLS handshake.
    pub(super) async fn connect(
        &self,
        origin: &Origin,
        vu: u32,
    ) -> Result<Connection, FailureKind> {
        let (socket, round_trip) = self.connect_tcp(origin, vu).await?;
        let transport = if origin.tls {
            Transport::Tls(Box::new(self.handshake(origin, socket).await?))
        } else {
            Transport::Plain(socket)
        };
        Ok(Connection::new(transport, round_trip))
    }

    /// A socket, and how long it took to connect: a round trip of the network.
    async fn connect_tcp(
        &self,
        origin: &Origin,
        vu: u32,
    ) -> Result<(Socket, Duration), FailureKind> {
        if let Ok(address) = origin.host.parse::<IpAddr>() {
            // The scenario's own origins were checked before: an answer led here.
            if !self.allowed.permits(&origin.host, address) {
                let text = format!("an answer led to {}, which may not be loaded", origin.host);
                return Err(why::note(FailureKind::Protocol, text));
            }
            return self.connect_to(address, origin.port, vu).await;
        }
        let mut last = FailureKind::Dns;
        for (i, address) in self.resolve(origin).await?.into_iter().enumerate() {
            match self.connect_to(address, origin.port, vu).await {
                Ok(tcp) => {
                    if i > 0 {
                        self.names.prefer(&origin.host, address);
                        why::clear();
                    }
                    return Ok(tcp);
                }
                Err(kind) => last = kind,
            }
        }
        Err(last)
    }

    async fn connect_to(
        &self,
        to: IpAddr,
        port: u16,
        vu: u32,
    ) -> Result<(Socket, Duration), FailureKind> {
        let began = Instant::now();
        let socket = Socket::connect(SocketAddr::new(to, port), self.sources.of(vu)).await;
        let socket = socket.map_err(|e| of_io(&e))?;
        Ok((socket, began.elapsed()))
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
        addresses.retain(|a| self.allowed.permits(&origin.host, *a));
        let known = !addresses.is_empty();
        addresses.retain(|a| self.sources.reach(*a));
        if known && addresses.is_empty() {
            // No address from which the target can be reached is the generator's shortage, not the target's failure.
            return Err(FailureKind::NoPorts);
        }
        self.names.keep(&origin.host, &addresses);
        Ok(addresses)
    }

    async fn handshake(
        &self,
        origin: &Origin,
        socket: Socket,
    ) -> Result<tokio_rustls::client::TlsStream<Socket>, FailureKind> {
        let config = self.tls.as_ref().ok_or(FailureKind::Tls)?;
        let name = ServerName::try_from(origin.host.clone()).map_err(|_| FailureKind::Tls)?;
        // Whatever ends a connection within the handshake is a failure of the handshake.
        TlsConnector::from(Arc::clone(config))
            .connect(name, socket)
            .await
            .map_err(|_| FailureKind::Tls)
    }
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
}

/// How much of a body is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Nothing,
    /// What an excerpt may show.
    Beginning,
    /// All, up to what an extraction may look at.
    All,
}

/// Why a request failed.
pub(super) struct SendError {
    pub(super) kind: FailureKind,
    /// The connection ended before any byte of an answer, and so soon that its end may have been on its way when the request was
    /// sent: the server had closed it while it was idle.
    pub(super) closed_while_idle: bool,
}

/// What it may take beyond a round trip until an end that came is read.
const READ_LATE: Duration = Duration::from_millis(5);

/// One open connection.
pub(super) struct Connection {
    transport: Transport,
    reading: Reading,
    /// Of the network, microseconds.
    round_trip_us: u32,
}

/// How much of a request was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    All,
    /// An answer came while the target took no more of it.
    Part,
}

impl Connection {
    fn new(transport: Transport, round_trip: Duration) -> Self {
        Self {
            transport,
            reading: Reading::default(),
            round_trip_us: u32::try_from(round_trip.as_micros()).unwrap_or(u32::MAX),
        }
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

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: &[u8], want: Want<'_>) -> Result<Head, SendError> {
        let before = self.reading.received;
        let began = Instant::now();
        let answer = self.exchange(request, want).await;
        // An end that comes later is of a server that had the request, and may have done what it asks.
        let crossing = Duration::from_micros(self.round_trip_us.into()) + READ_LATE;
        answer.map_err(|kind| SendError {
            kind,
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
            (Err(_), Err(e)) => return Err(of_io(e)),
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
            if let Some(head) = read.await.map_err(|e| of_io(&e))?? {
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
            let fed: Result<(), FailureKind> = read.await.map_err(|e| of_io(&e))?;
            fed?;
        }
        Ok(std::mem::take(&mut reading.kept))
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
            let fed: Result<(), FailureKind> = read.await.map_err(|e| of_io(&e))?;
            fed?;
        }
        Ok(())
    }

    /// Hands the pieces of a kept body on, each with the time at which it came, until it ends. Returns why it ended.
    pub(super) async fn stream(
        &mut self,
        mut take: impl FnMut(&[u8], Instant) -> Result<(), FailureKind>,
    ) -> FailureKind {
        let at = self.arrivals().at;
        let Self {
            transport, reading, ..
        } = self;
        let mut went = take(&std::mem::take(&mut reading.kept), at).and_then(|()| reading.check());
        loop {
            match went {
                Err(kind) => return kind,
                Ok(()) if reading.body == Body::Done => return FailureKind::Eof,
                Ok(()) => {}
            }
            let read = std::future::poll_fn(|cx| {
                transport.poll_read(cx, |bytes, at| {
                    reading.pass_on(bytes, |piece| take(piece, at))
                })
            });
            went = read.await.map_err(|e| of_io(&e)).flatten();
        }
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
            return Err(why::note(FailureKind::Eof, self.ended_early()));
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
        let found = answer::head(bytes, want.method, want.headers);
        let found = found.map_err(|e| why::note(e.into(), why::not_http(bytes)))?;
        let Some((head, used)) = found else {
            return Ok(None);
        };
        self.body = head.body;
        self.keeps_alive = head.keeps_alive;
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

    /// Where an answer stood when its connection ended before it began, or in its head.
    fn ended_early(&self) -> &'static str {
        if self.kept.is_empty() {
            "the connection was closed without an answer"
        } else {
            "the connection was closed in the middle of the answer's head"
        }
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
            Keep::All => kept.extend_from_slice(piece),
        });
        let used =
            fed.map_err(|e| why::note(e.into(), "a chunk of the body is not framed as one"))?;
        // Nobody asked for more than one answer.
        self.keeps_alive &= used == bytes.len();
        if self.kept.len() > MAX_BODY {
            let text = "the body is larger than 1 MiB, the most that is kept for an extraction";
            return Err(why::note(FailureKind::Protocol, text));
        }
        Ok(())
    }

    /// The connection ended.
    fn end(&mut self) -> Result<(), FailureKind> {
        self.keeps_alive = false;
        if !self.body.may_end() {
            return Err(why::note(
                FailureKind::Eof,
                "the connection was closed in the middle of the body",
            ));
        }
        self.body = Body::Done;
        Ok(())
    }

    fn pass_on(
        &mut self,
        bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), FailureKind>,
    ) -> Result<(), FailureKind> {
        self.count(bytes);
        if bytes.is_empty() {
            return self.end();
        }
        let mut taken = Ok(());
        self.body.feed(bytes, |piece| {
            if taken.is_ok() {
                taken = take(piece);
            }
        })?;
        taken
    }
}

enum Transport {
    Plain(Socket),
    Tls(Box<tokio_rustls::client::TlsStream<Socket>>),
}

thread_local! {
    /// What one read may bring: a thread reads from one connection at a time.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_SIZE].into_boxed_slice());
}

impl Transport {
    fn arrivals(&self) -> Arrivals {
        match self {
            Self::Plain(socket) => socket.arrivals(),
            Self::Tls(tls) => tls.get_ref().0.arrivals(),
        }
    }

    /// Reads once, hands on what came (nothing is the end) and when.
    fn poll_read<T>(
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

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_send(cx, bytes),
            Self::Tls(tls) => Pin::new(tls).poll_write(cx, bytes),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
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

/// The kind of an error, whose words are noted.
pub(super) fn of_io(error: &io::Error) -> FailureKind {
    why::note(kind_of(error), why::chain(error))
}

fn kind_of(error: &io::Error) -> FailureKind {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => return FailureKind::NoDescriptors,
        Some(libc::EADDRNOTAVAIL) => return FailureKind::NoPorts,
        _ => {}
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => FailureKind::ConnectRefused,
        io::ErrorKind::UnexpectedEof => FailureKind::Eof,
        io::ErrorKind::TimedOut => FailureKind::Timeout,
        io::ErrorKind::InvalidData => FailureKind::Tls,
        // Resets, broken pipes, and rarer ends such as an unreachable host: the connection is gone.
        _ => FailureKind::Reset,
    }
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

    #[test]
    fn the_generators_own_shortages_are_told_apart() {
        for (code, kind) in [
            (libc::EMFILE, FailureKind::NoDescriptors),
            (libc::ENFILE, FailureKind::NoDescriptors),
            (libc::EADDRNOTAVAIL, FailureKind::NoPorts),
            (libc::ECONNREFUSED, FailureKind::ConnectRefused),
            (libc::ECONNRESET, FailureKind::Reset),
            (libc::EPIPE, FailureKind::Reset),
            (libc::ETIMEDOUT, FailureKind::Timeout),
        ] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(of_io(&error), kind, "{error}");
        }
    }
}
