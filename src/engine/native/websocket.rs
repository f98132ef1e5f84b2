//! One open WebSocket of a VU (RFC 6455): read all the time, so that no message and no end is seen
//! late, and answering pings while the VU thinks.
//!
//! A task of its own reads, and writes what it answers. The VU writes too: whoever has something to
//! send puts whole frames behind those that wait, and what the kernel does not take at once is
//! written by the task.

mod frames;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use tokio::task::AbortHandle;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use self::frames::{Broken, Incoming, Reader, append, close_payload};
use super::http::{Channel, StreamEnd, cut_off};
use super::inbox::{self, Arrived, Ended, Inbox};
use super::{watch, why};
use crate::measure::FailureKind;
use crate::scenario::Reply;

pub(super) use self::frames::Message;
#[cfg(any(test, fuzzing))]
pub(crate) use self::frames::fuzz;

/// Bytes of answers that wait to be written at which nothing more is read: a server that does not
/// read must not fill the memory.
const MOST_ANSWERS: usize = 64 * 1024;
/// Bytes of room for frames that are kept.
const KEPT: usize = 256;
/// What is put behind the client's key (RFC 6455, section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of a read behind which there may be more.
const MUCH: usize = 4096;
/// Nothing is wrong (RFC 6455, section 7.4.1).
const NORMAL: u16 = 1000;
/// Where a connection ended.
const PLACE: &str = "while the WebSocket was open";

/// The WebSocket. Dropping it closes it, without waiting for the server.
pub(super) struct WebSocket {
    shared: Rc<Shared>,
    task: AbortHandle,
}

struct Shared {
    inbox: RefCell<Inbox<Message>>,
    wire: RefCell<Option<Wire>>,
}

/// What is written, and what waits for that.
struct Wire {
    channel: Channel,
    /// Whole frames that were not written yet.
    out: Vec<u8>,
    /// How many bytes of them were.
    written: usize,
    /// How many bytes of answers were put there since all was written.
    answers: usize,
    /// Whether all is on its way, and nothing is held back by TLS.
    flushed: bool,
    /// The task that reads: it writes on when the kernel takes more.
    task: Option<Waker>,
    /// The VU, while it waits for what is no message.
    vu: Option<Waker>,
    /// The number of the last ping that was answered, and when.
    pong: Option<(u64, Instant)>,
    pings: u64,
    replies: Arc<[Reply]>,
    /// When the server closed it.
    closed: Option<Instant>,
    /// The code that it gave.
    code: Option<u16>,
    /// Whether the server was told that it ends.
    told: bool,
}

/// What goes out.
#[derive(Debug, Clone, Copy)]
pub(super) enum Outgoing<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
}

/// A new key of a handshake.
pub(super) fn key() -> String {
    BASE64_STANDARD.encode(rand::random::<[u8; 16]>())
}

/// A request with the key of its handshake, which is another one each time.
pub(super) fn with_key(request: &[u8], key: &str) -> Vec<u8> {
    let end = request.len().saturating_sub(2);
    let mut out = Vec::with_capacity(request.len() + 48);
    out.extend_from_slice(&request[..end]);
    for part in ["sec-websocket-key: ", key, "\r\n\r\n"] {
        out.extend_from_slice(part.as_bytes());
    }
    out
}

/// Whether an answer with status 101 opens the WebSocket that was asked for (RFC 6455, section
/// 4.1).
pub(super) fn check_opening(
    headers: &HeaderMap,
    key: &str,
    subprotocols: &[String],
) -> Result<(), String> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .map(str::trim)
    };
    let upgrades = text(UPGRADE).is_some_and(|v| v.eq_ignore_ascii_case("websocket"));
    let connection = text(CONNECTION).unwrap_or_default().split(',');
    let mut connection = connection.map(str::trim);
    if !upgrades || !connection.any(|v| v.eq_ignore_ascii_case("upgrade")) {
        return Err("the response has status 101, but upgrades to no WebSocket".to_owned());
    }
    if text(SEC_WEBSOCKET_ACCEPT) != Some(accept(key).as_str()) {
        return Err(
            "the response does not accept this WebSocket: its sec-websocket-accept is not that \
             of the request's key"
                .to_owned(),
        );
    }
    if text(SEC_WEBSOCKET_EXTENSIONS).is_some_and(|v| !v.is_empty()) {
        return Err("the server uses an extension that was not offered".to_owned());
    }
    match text(SEC_WEBSOCKET_PROTOCOL) {
        Some(chosen) if !subprotocols.iter().any(|p| p == chosen) => Err(format!(
            "the server chose the subprotocol `{chosen}`, which was not offered"
        )),
        None if !subprotocols.is_empty() => Err(format!(
            "the server chose none of the subprotocols that were offered: {}",
            subprotocols.join(", ")
        )),
        _ => Ok(()),
    }
}

fn accept(key: &str) -> String {
    let text = format!("{key}{GUID}");
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    BASE64_STANDARD.encode(digest)
}

impl WebSocket {
    /// Begins to read a connection on which the head of status 101 was read.
    pub(super) fn start(
        (channel, first): (Channel, Vec<u8>),
        replies: &Arc<[Reply]>,
        keep: usize,
    ) -> Self {
        let at = channel.arrivals().at;
        let wire = Wire {
            channel,
            out: Vec::new(),
            written: 0,
            answers: 0,
            flushed: true,
            task: None,
            vu: None,
            pong: None,
            pings: 0,
            replies: Arc::clone(replies),
            closed: None,
            code: None,
            told: false,
        };
        let shared = Rc::new(Shared {
            inbox: RefCell::new(Inbox::keeping(keep)),
            wire: RefCell::new(Some(wire)),
        });
        let task = tokio::task::spawn_local(read(Rc::clone(&shared), first, at));
        Self {
            shared,
            task: task.abort_handle(),
        }
    }

    /// Waits for the first message that `wanted` accepts and takes it; the others stay for later
    /// waits.
    pub(super) async fn find(
        &self,
        wanted: impl FnMut(&Message) -> bool,
    ) -> Result<Arrived<Message>, Ended> {
        inbox::find(&self.shared.inbox, wanted).await
    }

    /// Sends a message; whether the kernel has taken all of it. Else it is [`WebSocket::written`]
    /// later.
    pub(super) fn send(&self, message: Outgoing<'_>) -> Result<bool, FailureKind> {
        let (kind, payload) = match message {
            Outgoing::Text(text) => (Data::Text, text.as_bytes()),
            Outgoing::Binary(bytes) => (Data::Binary, bytes),
        };
        watch::sending();
        let written = self.write(OpCode::Data(kind), payload)?;
        if !written {
            watch::held_up();
        }
        Ok(written)
    }

    /// Done when the kernel has taken all that was sent.
    pub(super) async fn written(&self) -> Result<Instant, FailureKind> {
        self.waits(|wire| wire.flushed.then(Instant::now)).await
    }

    /// Sends a ping; done when its pong has come.
    pub(super) async fn ping(&self) -> Result<Instant, FailureKind> {
        let number = {
            let mut wire = self.shared.wire.borrow_mut();
            let wire = wire.as_mut().ok_or_else(|| self.ending())?;
            wire.pings += 1;
            wire.pings
        };
        self.write(OpCode::Control(Control::Ping), &number.to_be_bytes())?;
        self.waits(|wire| wire.pong.filter(|(n, _)| *n >= number).map(|(_, at)| at))
            .await
    }

    /// Sends a close; done when the server has closed too.
    pub(super) async fn close(&self) -> Result<Instant, FailureKind> {
        self.close_with(NORMAL).await
    }

    /// The same with a code.
    pub(super) async fn close_with(&self, code: u16) -> Result<Instant, FailureKind> {
        self.write(OpCode::Control(Control::Close), &close_payload(code))?;
        self.waits(|wire| wire.closed).await
    }

    /// The code with which the server closed it, once it has.
    pub(super) fn closed_with(&self) -> Option<u16> {
        self.shared.wire.borrow().as_ref()?.code
    }

    /// Nothing more is waited for: whoever waits for a message is told that it has ended.
    pub(super) fn give_up(&self) {
        let mut inbox = self.shared.inbox.borrow_mut();
        if inbox.ending().is_none() {
            inbox.end(Ended::noted(StreamEnd::Enough, Instant::now()));
        }
        why::clear();
    }

    fn ending(&self) -> FailureKind {
        self.shared
            .inbox
            .borrow()
            .ending()
            .unwrap_or(FailureKind::Eof)
    }

    /// Puts a frame behind those that wait, and writes what can be written at once; whether that is
    /// all.
    fn write(&self, opcode: OpCode, payload: &[u8]) -> Result<bool, FailureKind> {
        let mut wire = self.shared.wire.borrow_mut();
        let ended = self.shared.inbox.borrow().ending();
        let wire = wire.as_mut().filter(|_| ended.is_none());
        let wire = wire.ok_or_else(|| ended.unwrap_or(FailureKind::Eof))?;
        wire.told |= opcode == OpCode::Control(Control::Close);
        wire.append(opcode, payload);
        // The task is told when it cannot be written at once, and then waits for the kernel itself.
        // How it failed is for the task to find: what came before the end is read first.
        let mut nobody = Context::from_waker(Waker::noop());
        let written = matches!(wire.flush(&mut nobody), Poll::Ready(Ok(())));
        if !written {
            wire.wake_task();
        }
        Ok(written)
    }

    /// Waits for something that is no message.
    async fn waits(
        &self,
        mut done: impl FnMut(&Wire) -> Option<Instant>,
    ) -> Result<Instant, FailureKind> {
        std::future::poll_fn(|cx| {
            let mut wire = self.shared.wire.borrow_mut();
            let Some(wire) = wire.as_mut() else {
                return Poll::Ready(Err(self.ending()));
            };
            if let Some(at) = done(wire) {
                return Poll::Ready(Ok(at));
            }
            if let Some(kind) = self.shared.inbox.borrow().ending() {
                return Poll::Ready(Err(kind));
            }
            wire.vu = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Drop for WebSocket {
    fn drop(&mut self) {
        self.task.abort();
        let Some(mut wire) = self.shared.wire.take() else {
            return;
        };
        if wire.closed.is_none() && wire.flushed {
            wire.tell_end(NORMAL);
        }
    }
}

impl Wire {
    fn append(&mut self, opcode: OpCode, payload: &[u8]) {
        append(&mut self.out, opcode, payload);
        self.flushed = false;
    }

    fn wake_task(&mut self) {
        if let Some(task) = self.task.take() {
            task.wake();
        }
    }

    /// Writes what waits; ready when nothing does any more.
    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.out.len() {
            match ready!(self.channel.poll_write(cx, &self.out[self.written..])) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(written) => self.written += written,
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
        if !self.flushed {
            ready!(self.channel.poll_flush(cx))?;
            self.flushed = true;
            // One that is idle keeps no more room than a short message takes.
            if self.out.capacity() > KEPT {
                self.out = Vec::new();
            }
            self.out.clear();
            (self.written, self.answers) = (0, 0);
        }
        Poll::Ready(Ok(()))
    }

    /// Tells the server that it ends, as far as that can be written at once.
    fn tell_end(&mut self, code: u16) {
        if !std::mem::replace(&mut self.told, true) {
            self.append(OpCode::Control(Control::Close), &close_payload(code));
            let _ = self.flush(&mut Context::from_waker(Waker::noop()));
        }
    }

    /// Writes, then reads once: why it ended, where it did.
    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut Reader,
        inbox: &RefCell<Inbox<Message>>,
    ) -> Poll<Result<(), FailureKind>> {
        let waited = !self.flushed;
        match self.flush(cx) {
            Poll::Ready(Err(e)) => return Poll::Ready(Err(cut_off(&e, PLACE, ""))),
            Poll::Ready(Ok(())) if waited => self.wake_vu(),
            Poll::Ready(Ok(())) | Poll::Pending => {}
        }
        self.task = Some(cx.waker().clone());
        if self.answers > MOST_ANSWERS {
            return Poll::Pending;
        }
        let mut inbox = inbox.borrow_mut();
        let (channel, mut hands) = self.hands(&mut inbox);
        let read = channel.poll_read(cx, |bytes, at| hands.take(bytes, at, reader));
        let (ends, answers, woke) = (hands.ends, hands.answers, hands.woke);
        self.took(ends, answers);
        let went = ready!(read).map_err(|e| cut_off(&e, PLACE, "")).flatten();
        if woke && went.is_ok() {
            // Whoever waits looks at it before more is read: what is kept has an end.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(went)
    }

    /// Takes what came with the head.
    fn began(
        &mut self,
        first: &[u8],
        at: Instant,
        reader: &mut Reader,
        inbox: &RefCell<Inbox<Message>>,
    ) -> Result<(), FailureKind> {
        let mut inbox = inbox.borrow_mut();
        let (_, mut hands) = self.hands(&mut inbox);
        let went = hands.take(first, at, reader);
        let (ends, answers) = (hands.ends, hands.answers);
        self.took(ends, answers);
        went
    }

    fn hands<'a>(&'a mut self, inbox: &'a mut Inbox<Message>) -> (&'a mut Channel, Hands<'a>) {
        let hands = Hands {
            out: &mut self.out,
            pings: self.pings,
            pong: &mut self.pong,
            replies: &self.replies,
            woke: false,
            inbox,
            answers: 0,
            ends: None,
        };
        (&mut self.channel, hands)
    }

    /// What was read has been looked at.
    fn took(&mut self, ends: Option<Ends>, answers: usize) {
        self.answers += answers;
        self.flushed &= answers == 0;
        if self.pong.is_some() {
            self.wake_vu();
        }
        match ends {
            Some(Ends::Closed(code, at)) => {
                self.closed = Some(at);
                self.code = Some(code);
                self.tell_end(code);
            }
            Some(Ends::Broken(broken)) => self.tell_end(broken.code()),
            None => {}
        }
    }

    fn wake_vu(&mut self) {
        if let Some(vu) = self.vu.take() {
            vu.wake();
        }
    }
}

/// How a server's words end it.
#[derive(Debug, Clone, Copy)]
enum Ends {
    Closed(u16, Instant),
    Broken(Broken),
}

/// Where what was read goes.
struct Hands<'a> {
    out: &'a mut Vec<u8>,
    /// How many bytes of answers were put there.
    answers: usize,
    /// The number of the last ping that was sent.
    pings: u64,
    pong: &'a mut Option<(u64, Instant)>,
    replies: &'a [Reply],
    /// Whether somebody waited for what came, and more may have come behind it.
    woke: bool,
    inbox: &'a mut Inbox<Message>,
    ends: Option<Ends>,
}

impl Hands<'_> {
    fn take(&mut self, bytes: &[u8], at: Instant, reader: &mut Reader) -> Result<(), FailureKind> {
        if bytes.is_empty() {
            let text = "the connection was closed without a close frame of the WebSocket";
            return Err(why::note(FailureKind::Eof, text));
        }
        let mut closed = None;
        let mut came = false;
        let fed = reader.feed(bytes, |incoming| {
            if closed.is_some() {
                return;
            }
            match incoming {
                Incoming::Message(message) => came |= self.message(message, at),
                Incoming::Ping(payload) => {
                    self.answer(OpCode::Control(Control::Pong), payload);
                }
                Incoming::Pong(payload) if payload == self.pings.to_be_bytes() => {
                    *self.pong = Some((self.pings, at));
                }
                // Of nobody's ping, or of one that was given up.
                Incoming::Pong(_) => {}
                Incoming::Close(with) => {
                    closed = Some(with.map(|(code, reason)| (code, reason.to_owned())));
                }
            }
        });
        self.woke = came && self.inbox.wake() && bytes.len() >= MUCH;
        if let Some(with) = closed {
            let code = with.as_ref().map_or(NORMAL, |(code, _)| *code);
            self.ends = Some(Ends::Closed(code, at));
            return Err(closed_by_server(with));
        }
        fed.map_err(|broken| {
            self.ends = Some(Ends::Broken(broken));
            why::note(FailureKind::Protocol, broken.why())
        })
    }

    fn answer(&mut self, opcode: OpCode, payload: &[u8]) {
        let before = self.out.len();
        append(self.out, opcode, payload);
        self.answers += self.out.len() - before;
    }

    /// Keeps a message, or answers it; gives whether it was kept.
    fn message(&mut self, message: Message, at: Instant) -> bool {
        let known = |reply: &&Reply| !message.is_binary && reply.on == message.text;
        let replies = self.replies;
        if let Some(reply) = replies.iter().find(known) {
            self.answer(OpCode::Data(Data::Text), reply.send.as_bytes());
            return false;
        }
        self.inbox.push(message, at);
        true
    }
}

/// The end of a WebSocket that its server closed, in words.
fn closed_by_server(with: Option<(u16, String)>) -> FailureKind {
    let Some((code, reason)) = with else {
        return why::note(FailureKind::Eof, "the server closed the WebSocket");
    };
    let means = match CloseCode::from(code) {
        CloseCode::Normal => "normal closure",
        CloseCode::Away => "going away",
        CloseCode::Protocol => "protocol error",
        CloseCode::Unsupported => "unsupported data",
        CloseCode::Invalid => "invalid data",
        CloseCode::Policy => "policy violation",
        CloseCode::Size => "message too big",
        CloseCode::Extension => "extension missing",
        CloseCode::Error => "internal error",
        CloseCode::Restart => "service restart",
        CloseCode::Again => "try again later",
        _ => "a code of its own",
    };
    let text = format!("the server closed the WebSocket with {code}, {means}");
    why::note_with(FailureKind::Eof, text, reason)
}

/// Reads until it ends. `first` came with the head.
async fn read(shared: Rc<Shared>, first: Vec<u8>, at: Instant) {
    let mut reader = Reader::default();
    let mut first = Some(first).filter(|bytes| !bytes.is_empty());
    let ended = std::future::poll_fn(|cx| {
        let mut wire = shared.wire.borrow_mut();
        let Some(wire) = wire.as_mut() else {
            return Poll::Ready(FailureKind::Eof);
        };
        if let Some(first) = first.take()
            && let Err(kind) = wire.began(&first, at, &mut reader, &shared.inbox)
        {
            return Poll::Ready(kind);
        }
        loop {
            match wire.turn(cx, &mut reader, &shared.inbox) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(kind)) => return Poll::Ready(kind),
            }
        }
    })
    .await;
    let ended = Ended::noted(StreamEnd::Failed(ended), Instant::now());
    shared.inbox.borrow_mut().end(ended);
    if let Some(wire) = shared.wire.borrow_mut().as_mut() {
        wire.wake_vu();
    }
}
