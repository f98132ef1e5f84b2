//! A connection that speaks HTTP/1.1 (RFC 9112): what is written to it, and what was read from it.

use std::io;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::answer::{self, Body, Head, NotHttp};
use super::channel::Channel;
use super::decode::Encoding;
use super::kept::{Decoding, Kept};
use super::{IN_BODY, Keep, StreamEnd, Want, cut_off, strange};
use crate::engine::native::socket::Arrivals;
use crate::engine::native::{watch, why};
use crate::measure::FailureKind;

/// One open connection.
pub(super) struct Http1 {
    channel: Channel,
    reading: Reading,
}

/// How much of a request was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    All,
    /// An answer came while the target took no more of it.
    Part,
}
impl Http1 {
    pub(super) fn new(channel: Channel) -> Self {
        Self {
            channel,
            reading: Reading::default(),
        }
    }

    /// How long the server keeps it when nobody uses it, as it said.
    pub(super) fn idle_limit(&self) -> Option<Duration> {
        self.reading.idle_limit
    }

    /// Bytes that were read.
    pub(super) fn received(&self) -> u64 {
        self.reading.received
    }

    pub(super) async fn is_usable(&mut self) -> bool {
        if !self.reading.may_go_on() {
            return false;
        }
        // Nothing may come unasked, not even the end.
        let channel = &mut self.channel;
        std::future::poll_fn(|cx| Poll::Ready(channel.poll_read(cx, |_, _| ()).is_pending())).await
    }

    /// Whether the last answer left it to be used again.
    pub(super) fn may_go_on(&self) -> bool {
        self.reading.may_go_on()
    }

    /// Sends a request and waits for the head of its answer.
    /// Sends a request and waits for the head of its answer.
    pub(super) async fn exchange(
        &mut self,
        request: &[u8],
        want: Want<'_>,
    ) -> Result<Head, FailureKind> {
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
            channel, reading, ..
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
                match channel.poll_write(cx, left) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(Ok(written)) => left = &left[written..],
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                    Poll::Pending => {
                        hold_up();
                        let early = channel.poll_read(cx, |bytes, _| reading.keep(bytes));
                        return early.map_ok(|()| Sent::Part);
                    }
                }
            }
            // TLS takes a request at once and holds it back here.
            let flushed = channel.poll_flush(cx);
            if flushed.is_pending() {
                hold_up();
            }
            flushed.map_ok(|()| Sent::All)
        })
        .await
    }

    async fn head(&mut self, want: Want<'_>) -> Result<Head, FailureKind> {
        let Self {
            channel, reading, ..
        } = self;
        if let Some(head) = reading.head_so_far(want)? {
            return Ok(head);
        }
        loop {
            let read = std::future::poll_fn(|cx| {
                channel.poll_read(cx, |bytes, _| reading.take_head(bytes, want))
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
            channel, reading, ..
        } = self;
        reading.check()?;
        while reading.body != Body::Done {
            let read = std::future::poll_fn(|cx| {
                channel.poll_read(cx, |bytes, _| reading.take_body(bytes))
            });
            let fed: Result<(), FailureKind> = read.await.map_err(|e| reading.cut_off(&e))?;
            fed?;
        }
        reading.kept.take(reading.encoding)
    }

    /// What was kept of the body so far.
    pub(super) fn kept(&self) -> &[u8] {
        &self.reading.kept.bytes
    }

    /// Reads on until something of a body is there, or its end.
    pub(super) async fn begin_body(&mut self) -> Result<(), FailureKind> {
        let Self {
            channel, reading, ..
        } = self;
        while reading.kept.bytes.is_empty() && reading.body != Body::Done {
            let read = std::future::poll_fn(|cx| {
                channel.poll_read(cx, |bytes, _| reading.take_body(bytes))
            });
            let fed: Result<(), FailureKind> = read.await.map_err(|e| reading.cut_off(&e))?;
            fed?;
        }
        Ok(())
    }

    /// Hands the pieces of a kept body on, each with the time at which it came, until it ends or
    /// `take` has enough.
    pub(super) async fn stream(
        &mut self,
        take: impl FnMut(&[u8], Instant) -> Result<(), StreamEnd>,
    ) -> StreamEnd {
        let at = self.arrivals().at;
        let Self {
            channel, reading, ..
        } = self;
        let mut decoding = match Decoding::new(reading.encoding, take) {
            Ok(decoding) => decoding,
            Err(end) => return end,
        };
        let begun = decoding.pass(&std::mem::take(&mut reading.kept.bytes), at);
        let mut went = begun.and_then(|()| reading.check().map_err(StreamEnd::Failed));
        // What comes from now on is passed on, and none of it kept.
        reading.kept.keep = Keep::Nothing;
        loop {
            match went {
                Err(end) => return end,
                Ok(()) if reading.body == Body::Done => return StreamEnd::Body,
                Ok(()) => {}
            }
            let read = std::future::poll_fn(|cx| {
                channel.poll_read(cx, |bytes, at| {
                    reading.pass_on(bytes, |piece| decoding.pass(piece, at))
                })
            });
            let read = read.await;
            went = read.unwrap_or_else(|e| Err(StreamEnd::Failed(reading.cut_off(&e))));
        }
    }

    /// Reads what is left of a body of which nobody wants more.
    pub(super) async fn finish(&mut self) -> Result<(), FailureKind> {
        let Self {
            channel, reading, ..
        } = self;
        reading.kept.keep = Keep::Nothing;
        while reading.body != Body::Done {
            let read = std::future::poll_fn(|cx| {
                channel.poll_read(cx, |bytes, _| reading.take_body(bytes))
            });
            let fed: Result<(), FailureKind> = read.await.map_err(|e| reading.cut_off(&e))?;
            fed?;
        }
        Ok(())
    }

    /// What is below it, once it speaks another protocol, and what of that came already.
    pub(super) fn upgraded(self) -> (Channel, Vec<u8>) {
        (self.channel, self.reading.kept.bytes)
    }

    /// When the last bytes came, and how much later they were read.
    pub(super) fn arrivals(&self) -> Arrivals {
        self.channel.arrivals()
    }
}

/// What was read of answers, and what is still to come.
pub(super) struct Reading {
    /// Bytes read from the connection.
    received: u64,
    /// The beginning of a head that is not complete, or what is kept of a body.
    pub(super) kept: Kept,
    pub(super) body: Body,
    keeps_alive: bool,
    encoding: Encoding,
    /// Bytes that the body was said to have.
    whole: u64,
    /// How long the server keeps the connection when nobody uses it, as it said last.
    idle_limit: Option<Duration>,
    /// What is wrong with the part of the body that came with the head. The head counts first, as
    /// it does where they come apart: a status that was not expected is not a matter of its body.
    failed: Option<FailureKind>,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            received: 0,
            kept: Kept::default(),
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
    pub(super) fn may_go_on(&self) -> bool {
        self.keeps_alive && self.body == Body::Done
    }

    pub(super) fn check(&self) -> Result<(), FailureKind> {
        self.failed.map_or(Ok(()), Err)
    }

    fn count(&mut self, bytes: &[u8]) {
        self.received += bytes.len() as u64;
    }

    /// Keeps what came before the request was written.
    fn keep(&mut self, bytes: &[u8]) {
        self.count(bytes);
        self.kept.bytes.extend_from_slice(bytes);
    }

    fn head_so_far(&mut self, want: Want<'_>) -> Result<Option<Head>, FailureKind> {
        if self.kept.bytes.is_empty() {
            return Ok(None);
        }
        let bytes = std::mem::take(&mut self.kept.bytes);
        let found = self.find_head(&bytes, want)?;
        if found.is_none() {
            self.kept.bytes = bytes;
        }
        Ok(found)
    }

    pub(super) fn take_head(
        &mut self,
        bytes: &[u8],
        want: Want<'_>,
    ) -> Result<Option<Head>, FailureKind> {
        self.count(bytes);
        if bytes.is_empty() {
            let text = format!("the connection was closed {}", self.where_in_head());
            return Err(why::note(FailureKind::Eof, text));
        }
        // Nearly always a head comes in one piece, with all of its body: nothing is copied then.
        if self.kept.bytes.is_empty()
            && let Some(head) = self.find_head(bytes, want)?
        {
            return Ok(Some(head));
        }
        self.kept.bytes.extend_from_slice(bytes);
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
        self.kept.begin(&want, head.status);
        if let Err(kind) = self.feed(&bytes[used..]) {
            self.keeps_alive = false;
            self.failed = Some(kind);
        }
        Ok(Some(head))
    }

    /// Where an answer stands before its body.
    fn where_in_head(&self) -> &'static str {
        if self.kept.bytes.is_empty() {
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

    pub(super) fn take_body(&mut self, bytes: &[u8]) -> Result<(), FailureKind> {
        self.count(bytes);
        if bytes.is_empty() {
            return self.end();
        }
        self.feed(bytes)
    }

    fn feed(&mut self, bytes: &[u8]) -> Result<(), FailureKind> {
        let kept = &mut self.kept;
        let fed = self.body.feed(bytes, |piece| kept.add(piece));
        let used =
            fed.map_err(|e| why::note(e.into(), "a chunk of the body is not framed as one"))?;
        // Nobody asked for more than one answer.
        self.keeps_alive &= used == bytes.len();
        self.kept.check()
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

    pub(super) fn pass_on(
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

impl From<NotHttp> for FailureKind {
    fn from(_: NotHttp) -> Self {
        Self::Protocol
    }
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::engine::native::http::READ_SIZE;
    use crate::scenario::Expect;

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
            assert_eq!(reading.kept.bytes.capacity(), 0);
        }
        assert!(reading.received > 1 << 30 && !reading.may_go_on());
        reading.take_body(b"\r\n0\r\n\r\n").unwrap();
        assert!(reading.may_go_on());
    }
}
