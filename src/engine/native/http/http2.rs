//! A connection that speaks HTTP/2 (RFC 9113), by the `h2` crate, on which hyper stands.
//!
//! Whoever has a connection alone moves its frames while it waits, within its own task: a turn is
//! one read, what its frames made of the connection, and a look at the answer. So an answer that is
//! complete has the time of the read that completed it. A connection that several share is moved by
//! a task of its own ([`shared`]), a turn at a time.

mod request;
pub(super) mod shared;
mod trouble;
mod wire;

use std::cell::RefCell;
use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes as Piece;
use h2::RecvStream;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;

use self::request::Writer;
use self::shared::Lease;
use self::trouble::{Told, Trouble};
use self::wire::{Bytes, Wire};
use super::answer::{Body, Head, MAX_HEAD, Version};
use super::decode::Encoding;
use super::kept::{Decoding, Kept};
use super::{Channel, IN_BODY, Keep, StreamEnd, Want};
use crate::engine::native::socket::Arrivals;
use crate::engine::native::why;
use crate::measure::FailureKind;
use crate::scenario::Origin;

/// What a stream, and a connection, may bring before it is read: more waits at the server.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 4 << 20;
/// Turns after which others come to theirs, however much there is to read.
const TURNS: u32 = 32;
/// How long a connection may be idle whose end is not looked for before it is used again.
const IDLE: Duration = Duration::from_millis(20);
/// Where a connection ended.
const IN_HEAD: &str = "without an answer";

/// A connection, or one's part of it.
pub(super) struct Http2 {
    link: Link,
    send: SendRequest<Piece>,
    bytes: Rc<Bytes>,
    writer: Writer,
    answer: Answer,
    kept: Kept,
    encoding: Encoding,
    /// When the last of the answer came.
    arrived: Arrivals,
    /// Bytes of its body that came.
    length: u64,
    not_processed: bool,
}

/// Who moves the frames.
enum Link {
    Own(Box<Own>),
    Shared(Lease),
}

/// A connection that one has alone.
struct Own {
    connection: Connection<Wire, Piece>,
    /// How it ended.
    ended: Option<Result<(), h2::Error>>,
}

/// What of an answer is still to come.
enum Answer {
    /// Nothing.
    Done,
    Head(ResponseFuture),
    Body(RecvStream),
    /// Nobody knows: it failed.
    Failed,
}

/// Makes a connection of a channel on which HTTP/2 is to be spoken.
async fn open(
    channel: Channel,
) -> Result<(SendRequest<Piece>, Connection<Wire, Piece>, Rc<Bytes>), FailureKind> {
    let (wire, bytes) = Wire::new(channel);
    let most_head = u32::try_from(MAX_HEAD).unwrap_or(u32::MAX);
    let mut builder = Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(most_head);
    let mut handshake = Box::pin(builder.handshake(wire));
    let opened = poll_fn(|cx| {
        bytes.begin_turn(cx.waker());
        handshake.as_mut().poll(cx)
    });
    let opened = opened.await;
    let (send, connection) = opened.map_err(|error| {
        let place = "while HTTP/2 was begun";
        note(&told(&error, None, &bytes, place))
    })?;
    Ok((send, connection, bytes))
}

fn told(error: &h2::Error, connection: Option<&h2::Error>, bytes: &Bytes, place: &str) -> Told {
    Trouble {
        error,
        connection,
        first: &bytes.first(),
        place,
    }
    .told()
}

fn note(told: &Told) -> FailureKind {
    why::note_with(told.kind, told.text.clone(), told.detail.clone())
}

impl Own {
    /// Takes turns until something is there.
    fn poll<T>(
        &mut self,
        bytes: &Bytes,
        cx: &mut Context<'_>,
        mut ready: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        // Whatever becomes of a stream becomes of it in a turn: nobody need be woken but by the
        // socket.
        let quiet = &mut Context::from_waker(Waker::noop());
        for _ in 0..TURNS {
            bytes.begin_turn(cx.waker());
            self.turn(quiet);
            if let Poll::Ready(there) = ready(quiet) {
                return Poll::Ready(there);
            }
            if !bytes.had_read() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn turn(&mut self, cx: &mut Context<'_>) {
        if self.ended.is_none()
            && let Poll::Ready(ended) = Pin::new(&mut self.connection).poll(cx)
        {
            self.ended = Some(ended);
        }
    }
}

impl Link {
    fn poll<T>(
        &mut self,
        bytes: &Bytes,
        cx: &mut Context<'_>,
        mut ready: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        match self {
            Self::Own(own) => own.poll(bytes, cx, ready),
            Self::Shared(_) => ready(cx),
        }
    }
}

impl Http2 {
    /// One that nobody else uses.
    pub(super) async fn alone(channel: Channel, origin: &Origin) -> Result<Self, FailureKind> {
        let (send, connection, bytes) = open(channel).await?;
        let link = Link::Own(Box::new(Own {
            connection,
            ended: None,
        }));
        Ok(Self::new(link, send, bytes, origin))
    }

    fn new(link: Link, send: SendRequest<Piece>, bytes: Rc<Bytes>, origin: &Origin) -> Self {
        Self {
            link,
            send,
            writer: Writer::new(origin),
            answer: Answer::Done,
            kept: Kept::default(),
            encoding: Encoding::Identity,
            arrived: bytes.arrivals(),
            length: 0,
            not_processed: false,
            bytes,
        }
    }

    pub(super) fn may_go_on(&self) -> bool {
        matches!(self.answer, Answer::Done)
    }

    /// Whether it can take another request; what came meanwhile is read, where it was idle for a
    /// while. What comes later is read before anything is sent, and then nothing was sent.
    pub(super) fn is_usable(&mut self) -> bool {
        if !self.may_go_on() {
            return false;
        }
        let quiet = &mut Context::from_waker(Waker::noop());
        if let Link::Own(own) = &mut self.link {
            if self.arrived.at.elapsed() > IDLE {
                self.bytes.begin_turn(Waker::noop());
                own.turn(quiet);
            }
            if own.ended.is_some() {
                return false;
            }
        }
        !matches!(self.send.poll_ready(quiet), Poll::Ready(Err(_)))
    }

    pub(super) fn received(&self) -> u64 {
        self.bytes.received()
    }

    /// Whether the server said that it did nothing of what failed.
    pub(super) fn was_not_processed(&self) -> bool {
        self.not_processed
    }

    pub(super) fn kept(&self) -> &[u8] {
        &self.kept.bytes
    }

    /// When the last of the answer came; of a connection without one, the last that came at all.
    pub(super) fn arrivals(&self) -> Arrivals {
        self.arrived
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn exchange(
        &mut self,
        request: &[u8],
        want: Want<'_>,
    ) -> Result<Head, FailureKind> {
        self.answer = Answer::Failed;
        self.not_processed = false;
        self.bytes.sending();
        poll_fn(|cx| self.poll_room(cx)).await?;
        // What is waited in holds nothing large: it is moved about whenever a step begins.
        self.begin(request)?;
        let head = poll_fn(|cx| self.poll_head(cx)).await?;
        self.kept.bytes.clear();
        self.kept.begin(&want, head.status);
        Ok(head)
    }

    /// Puts a request where the next turn writes it.
    fn begin(&mut self, request: &[u8]) -> Result<(), FailureKind> {
        let (request, body) = self.writer.write(request).map_err(|_| {
            let text = "the request cannot be sent over HTTP/2";
            why::note(FailureKind::Protocol, text)
        })?;
        let sent = self.send.send_request(request, body.is_empty());
        let (answer, mut rest) = sent.map_err(|e| self.failed(&e, IN_HEAD))?;
        if !body.is_empty() {
            let sent = rest.send_data(body, true);
            sent.map_err(|e| self.failed(&e, IN_HEAD))?;
        }
        self.answer = Answer::Head(answer);
        Ok(())
    }

    /// Waits until the server allows another stream.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), FailureKind>> {
        let send = &mut self.send;
        let quiet = &mut Context::from_waker(Waker::noop());
        let room = match send.poll_ready(quiet) {
            Poll::Pending => self.link.poll(&self.bytes, cx, |cx| send.poll_ready(cx)),
            room @ Poll::Ready(_) => room,
        };
        let room = ready!(room);
        Poll::Ready(room.map_err(|e| self.failed(&e, IN_HEAD)))
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, FailureKind>> {
        let Answer::Head(answer) = &mut self.answer else {
            return Poll::Ready(Err(FailureKind::Protocol));
        };
        let polled = (self.link).poll(&self.bytes, cx, |cx| Pin::new(&mut *answer).poll(cx));
        let answer = match ready!(polled) {
            Ok(answer) => answer,
            Err(e) => return Poll::Ready(Err(self.failed(&e, IN_HEAD))),
        };
        self.arrived = self.bytes.arrivals();
        self.length = 0;
        let (head, body) = answer.into_parts();
        self.encoding = encoding(&head.headers);
        self.answer = if body.is_end_stream() {
            Answer::Done
        } else {
            Answer::Body(body)
        };
        Poll::Ready(Ok(Head {
            version: Version::Two,
            status: head.status,
            headers: head.headers,
            keeps_alive: true,
            idle_limit: None,
            encoding: self.encoding,
            body: Body::Done,
        }))
    }

    /// The next piece of the body, until there is none.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Piece>, FailureKind>> {
        let body = match &mut self.answer {
            Answer::Body(body) => body,
            Answer::Done => return Poll::Ready(Ok(None)),
            Answer::Head(_) | Answer::Failed => {
                return Poll::Ready(Err(FailureKind::Protocol));
            }
        };
        // What came with the last read comes first.
        let quiet = &mut Context::from_waker(Waker::noop());
        let polled = match body.poll_data(quiet) {
            Poll::Pending => self.link.poll(&self.bytes, cx, |cx| body.poll_data(cx)),
            there @ Poll::Ready(_) => there,
        };
        let piece = match ready!(polled) {
            Some(Ok(piece)) => Some(piece),
            None => None,
            Some(Err(e)) => return Poll::Ready(Err(self.failed(&e, IN_BODY))),
        };
        self.arrived = self.bytes.arrivals();
        if let Some(piece) = &piece {
            self.length += piece.len() as u64;
            // Its window is the server's again; where it is not, there is no server.
            let _ = body.flow_control().release_capacity(piece.len());
        }
        if piece.is_none() || body.is_end_stream() {
            self.answer = Answer::Done;
        }
        Poll::Ready(Ok(piece))
    }

    async fn piece(&mut self) -> Result<Option<Piece>, FailureKind> {
        poll_fn(|cx| self.poll_piece(cx)).await
    }

    /// Reads the rest of an answer's body; gives what of it was to be kept.
    pub(super) async fn body(&mut self) -> Result<Vec<u8>, FailureKind> {
        while let Some(piece) = self.piece().await? {
            self.kept.add(&piece);
            self.kept.check()?;
        }
        self.kept.take(self.encoding)
    }

    /// Reads on until something of a body is there, or its end.
    pub(super) async fn begin_body(&mut self) -> Result<(), FailureKind> {
        while self.kept.bytes.is_empty()
            && let Some(piece) = self.piece().await?
        {
            self.kept.add(&piece);
            self.kept.check()?;
        }
        Ok(())
    }

    /// Hands the pieces of a body on, each with the time at which it came.
    pub(super) async fn stream(
        &mut self,
        take: impl FnMut(&[u8], Instant) -> Result<(), StreamEnd>,
    ) -> StreamEnd {
        self.kept.keep = Keep::Nothing;
        let mut decoding = match Decoding::new(self.encoding, take) {
            Ok(decoding) => decoding,
            Err(end) => return end,
        };
        loop {
            let passed = match self.piece().await {
                Ok(Some(piece)) => decoding.pass(&piece, self.arrived.at),
                Ok(None) => return StreamEnd::Body,
                Err(kind) => return StreamEnd::Failed(kind),
            };
            if let Err(end) = passed {
                return end;
            }
        }
    }

    /// Reads what is left of a body of which nobody wants more.
    pub(super) async fn finish(&mut self) -> Result<(), FailureKind> {
        while self.piece().await?.is_some() {}
        Ok(())
    }

    fn failed(&mut self, error: &h2::Error, place: &str) -> FailureKind {
        self.answer = Answer::Failed;
        let shared = match &self.link {
            Link::Own(_) => None,
            Link::Shared(lease) => Some(lease.ended()),
        };
        let ended = match &self.link {
            Link::Own(own) => own.ended.as_ref(),
            Link::Shared(_) => None,
        };
        let ended = ended.and_then(|ended| ended.as_ref().err());
        let shared = shared.as_ref().map(|ended| ended.borrow());
        let of_shared = shared.as_ref().and_then(|ended| ended.as_ref());
        let of_shared = of_shared.and_then(|ended| ended.as_ref().err());
        let mut told = told(error, ended.or(of_shared), &self.bytes, place);
        if place == IN_BODY && told.detail.is_empty() {
            told.detail = format!("after {} bytes", self.length);
        }
        // What ended before a byte of the request was written is no matter of the request.
        let alone = matches!(self.link, Link::Own(_));
        self.not_processed = told.not_processed || alone && self.bytes.wrote_nothing();
        note(&told)
    }
}

/// In what encoding a body is; several one over the other are none of those that are known.
fn encoding(headers: &HeaderMap) -> Encoding {
    let mut said = headers.get_all(CONTENT_ENCODING).iter();
    match (said.next(), said.next()) {
        (None, _) => Encoding::Identity,
        (Some(one), None) => Encoding::of(one.as_bytes()),
        (Some(_), Some(_)) => Encoding::Unknown,
    }
}

/// How a connection ended that several share; nothing while it is there.
type SharedEnd = Rc<RefCell<Option<Result<(), h2::Error>>>>;
