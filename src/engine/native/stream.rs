//! One open event stream of a VU, read all the time so that no event and no end of the stream is
//! seen late.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use tokio::task::AbortHandle;

use super::http::{Connection, Head, Keep, StreamEnd, Want};
use super::inbox::{self, Arrived, Ended, Inbox, Waited};
use super::kind::Thread;
use super::why;
use crate::measure::FailureKind;
use crate::scenario::sse::{Event, Parser};
use crate::scenario::{Expect, Origin, Scenario};

/// How long a stream that ended is left before it is opened again, where it does not say so: what
/// browsers wait.
const RETRY: Duration = Duration::from_secs(3);
/// How short and how long that may be, whatever a stream says.
const RETRY_LIMITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(60));

/// Closing is dropping: the reading task and its connection go with it.
pub(super) struct Stream {
    inbox: Rc<RefCell<Inbox<Event>>>,
    reader: AbortHandle,
}

/// How a stream is opened again that ended.
pub(super) struct Again {
    pub(super) thread: Rc<Thread>,
    pub(super) scenario: Arc<Scenario>,
    /// Its number among the scenario's origins.
    pub(super) origin: usize,
    pub(super) vu: u32,
    pub(super) method: Method,
    /// As it was sent the first time.
    pub(super) request: Vec<u8>,
}

impl Stream {
    /// Begins to read a stream whose head was read from `connection`.
    pub(super) fn start(connection: Box<Connection>, again: Option<Again>) -> Self {
        let inbox = Rc::new(RefCell::new(Inbox::default()));
        let reading = Rc::clone(&inbox);
        let reader = match again {
            None => tokio::task::spawn_local(read_once(connection, reading)),
            Some(again) => tokio::task::spawn_local(read_on(connection, reading, again)),
        };
        Self {
            inbox,
            reader: reader.abort_handle(),
        }
    }

    /// Waits for the first event that `wanted` accepts and takes it; the others stay for later
    /// waits.
    pub(super) async fn find(
        &self,
        wanted: impl FnMut(&Event) -> bool,
    ) -> Result<Arrived<Event>, Ended> {
        inbox::find(&self.inbox, wanted).await
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Waited for Event {
    fn size(&self) -> usize {
        self.name.len() + self.data.len()
    }
}

/// Whether these are the headers of an event stream.
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(b"text/event-stream"))
}

/// What a stream fails with that holds what no event stream does.
pub(super) fn too_large() -> FailureKind {
    let text = "the stream holds a line or an event that is too large";
    why::note(FailureKind::Protocol, text)
}

async fn read_once(mut connection: Box<Connection>, inbox: Rc<RefCell<Inbox<Event>>>) {
    let mut parser = Parser::default();
    let ended = read(&mut connection, &mut parser, &inbox).await;
    inbox.borrow_mut().end(ended);
}

/// Reads events until the stream ends.
async fn read(
    connection: &mut Connection,
    parser: &mut Parser,
    inbox: &RefCell<Inbox<Event>>,
) -> Ended {
    let ended = connection
        .stream(|bytes, at| {
            let mut inbox = inbox.borrow_mut();
            let mut came = false;
            let fed = parser.feed(bytes, |event| {
                inbox.push(event, at);
                came = true;
            });
            if came {
                inbox.wake();
            }
            fed.map_err(|_| StreamEnd::Failed(too_large()))
        })
        .await;
    let came = connection.arrivals().at;
    // An end by which nothing came, such as a reset, is seen when it is read.
    let at = match ended {
        StreamEnd::Body => came,
        StreamEnd::Enough | StreamEnd::Failed(_) => Instant::now(),
    };
    Ended::noted(ended, at)
}

/// Reads events, and opens the stream again where it ends.
async fn read_on(mut connection: Box<Connection>, inbox: Rc<RefCell<Inbox<Event>>>, again: Again) {
    let mut parser = Parser::default();
    let mut retry = RETRY;
    loop {
        let ended = read(&mut connection, &mut parser, &inbox).await;
        if ended.kind() == FailureKind::Protocol {
            // What is no event stream does not become one.
            inbox.borrow_mut().end(ended);
            return;
        }
        why::clear();
        retry = parser.retry().unwrap_or(retry);
        let id = parser.last_id().to_owned();
        connection = loop {
            tokio::time::sleep(retry.clamp(RETRY_LIMITS.0, RETRY_LIMITS.1)).await;
            match again.open(&id).await {
                Ok(opened) => break opened,
                Err(Some(refused)) => {
                    inbox.borrow_mut().end(refused);
                    return;
                }
                // Whom nobody answers tries again.
                Err(None) => why::clear(),
            }
        };
        parser = Parser::after(id);
    }
}

impl Again {
    /// Opens the stream behind the event of this identifier; an error is why it is not to be tried
    /// again, or nothing.
    async fn open(&self, id: &str) -> Result<Box<Connection>, Option<Ended>> {
        let connector = &self.thread.connector;
        let origin: &Origin = &self.scenario.origins()[self.origin];
        let connected = Box::pin(connector.connect(origin, self.vu)).await;
        let mut connection = Box::new(connected.map_err(|_| None)?);
        let want = Want {
            method: &self.method,
            headers: true,
            // As it was opened at first; nothing of it is kept.
            body: Keep::All(crate::scenario::sse::MAX_EVENT_BYTES),
            expect: &Expect::Success,
            upgrades: false,
        };
        let request = with_last_id(&self.request, id);
        let head = connection.send(&request, want).await.map_err(|_| None)?;
        match refused(&head) {
            None => Ok(connection),
            Some((kind, text)) => {
                let kind = why::note(kind, text);
                let now = Instant::now();
                Err(Some(Ended::noted(StreamEnd::Failed(kind), now)))
            }
        }
    }
}

/// Why an answer does not go on with a stream (WHATWG HTML, section 9.2.3).
fn refused(head: &Head) -> Option<(FailureKind, String)> {
    let status = head.status;
    if status != StatusCode::OK {
        let text = format!("opening the stream again was answered with status {status}");
        return Some((FailureKind::Status, text));
    }
    (!is_event_stream(&head.headers)).then(|| {
        let text = "opening the stream again was answered with something else than a stream";
        (FailureKind::Protocol, text.to_owned())
    })
}

/// A request that says which event of a stream was the last.
fn with_last_id(request: &[u8], id: &str) -> Vec<u8> {
    const END: &[u8] = b"\r\n\r\n";
    let head = request.windows(END.len()).position(|part| part == END);
    let (Some(head), false) = (head, id.is_empty()) else {
        return request.to_vec();
    };
    let (head, rest) = request.split_at(head);
    [head, b"\r\nlast-event-id: ", id.as_bytes(), rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_event_stands_among_the_headers() {
        let request = b"POST /s HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n\r\n\r\n";
        let sent = with_last_id(request, "7");
        let wanted =
            b"POST /s HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\nlast-event-id: 7\r\n\r\n\r\n\r\n";
        assert_eq!(sent, wanted);
        assert_eq!(with_last_id(request, ""), request);
    }
}
