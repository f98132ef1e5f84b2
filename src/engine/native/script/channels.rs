//! `WebSocket`s and event streams that a script opens: read all the time, as those of a profile
//! are, and handed to the script one message after the other.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use breakpoint_script::exchange::{
    Answer, BodyUse, Expected, Happened, HttpRequest, Message, OpId, SocketRequest, StreamEvent,
};
use http::StatusCode;

use super::desk::{Came, Desk, Known, LONGEST, Missing, answer_of, failed, too_late};
use super::running::Next;
use super::telling::Told;
use super::wire::{self, Connecting};
use crate::engine::native::http::{Connection, Encoding, Head, Keep, Want};
use crate::engine::native::limit::TimeLimit;
use crate::engine::native::recorder::Ending;
use crate::engine::native::stream::{Stream, is_event_stream};
use crate::engine::native::vu::Rows;
use crate::engine::native::websocket::{self, Outgoing, WebSocket, check_opening};
use crate::engine::native::why;
use crate::engine::trace::Mark;
use crate::measure::FailureKind;
use crate::scenario::Expect;
use crate::scenario::websocket::MOST_KEPT;

/// How long the server may take to answer a close.
const CLOSE: Duration = Duration::from_secs(3);
/// How a WebSocket ended that was not closed (RFC 6455, section 7.1.5).
const ABNORMAL: u16 = 1006;
const NORMAL: u16 = 1000;

/// What a VU has open.
#[derive(Default)]
pub(super) struct Channels(RefCell<HashMap<OpId, Rc<Socket>>>);

/// An open WebSocket.
struct Socket {
    wire: WebSocket,
    /// The code with which the script closes it.
    closes: Cell<Option<u16>>,
}

impl Channels {
    fn get(&self, id: OpId) -> Option<Rc<Socket>> {
        self.0.borrow().get(&id).cloned()
    }

    /// Closes all.
    pub(super) fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}

impl Desk<'_> {
    /// Opens a WebSocket; its messages follow.
    pub(super) async fn open_socket(&self, id: OpId, asked: SocketRequest) -> Next<'_> {
        let request = HttpRequest {
            method: "GET".to_owned(),
            // `ws:` and `wss:` are opened over HTTP.
            url: asked.url.replacen("ws", "http", 1),
            headers: asked.headers,
            body: None,
            timeout: asked.timeout,
            body_use: BodyUse::Kept,
            name: asked.name,
            tags: asked.tags,
            expected: Expected::Statuses(Arc::new([101..=101])),
            keeps_connection: false,
            max_bytes: 1 << 20,
        };
        let (head, connection, key) = match self.begin_channel(&request, true).await {
            Ok(opened) => opened,
            Err(happened) => return happened.into(),
        };
        let offered = request.headers.iter();
        let offered =
            offered.filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-protocol"));
        let offered: Vec<String> = offered
            .flat_map(|(_, value)| value.split(','))
            .map(|name| name.trim().to_owned())
            .collect();
        let answer = answer_of(&head);
        if head.status != StatusCode::SWITCHING_PROTOCOLS {
            let code = 1000 + head.status.as_u16();
            return failed(code, format!("bad handshake: status {}", answer.status)).into();
        }
        if let Err(why) = check_opening(&head.headers, &key, &offered) {
            return failed(1000, format!("bad handshake: {why}")).into();
        }
        let Some(opened) = connection.upgraded() else {
            return failed(1000, "bad handshake: no HTTP/1.1".to_owned()).into();
        };
        let socket = Rc::new(Socket {
            wire: WebSocket::start(opened, &Arc::default(), MOST_KEPT),
            closes: Cell::default(),
        });
        self.channels.0.borrow_mut().insert(id, Rc::clone(&socket));
        Next {
            of: None,
            happened: Happened::Opened(Box::new(answer)),
            then: Some(Box::pin(self.next_message(id, socket))),
        }
    }

    /// Opens a stream of events, which follow.
    pub(super) async fn open_stream(&self, id: OpId, request: HttpRequest) -> Next<'_> {
        let (head, mut connection, _) = match self.begin_channel(&request, false).await {
            Ok(opened) => opened,
            Err(happened) => return happened.into(),
        };
        if is_event_stream(&head.headers) {
            let stream = Rc::new(Stream::start(connection, None));
            return Next {
                of: None,
                happened: Happened::Answered(Box::new(answer_of(&head))),
                then: Some(Box::pin(self.next_event(id, stream))),
            };
        }
        // Whoever asked sees what it is instead.
        let mut limit = TimeLimit::new();
        let until = Instant::now() + request.timeout.min(LONGEST);
        let body = limit.within(until, connection.body()).await;
        why::clear();
        let answer = Answer {
            body: body.and_then(Result::ok),
            ..answer_of(&head)
        };
        Next {
            of: None,
            happened: Happened::Answered(Box::new(answer)),
            then: Some(Box::pin(async {
                Happened::Closed(0, String::new()).into()
            })),
        }
    }

    /// Asks for what stays open, and counts how long the answer took to begin.
    async fn begin_channel(
        &self,
        request: &HttpRequest,
        upgrades: bool,
    ) -> Result<(Head, Box<Connection>, String), Happened> {
        let kept = self.script.kept();
        let known = kept.known(&request.url).map_err(|why| failed(1020, why))?;
        let connecting = if upgrades {
            Connecting::Upgrades
        } else {
            Connecting::AsAsked
        };
        let rendered = wire::render(request, &known.place, connecting);
        let (method, bytes) = rendered.map_err(|why| failed(1000, why))?;
        let key = websocket::key();
        let bytes = if upgrades {
            websocket::with_key(&bytes, &key)
        } else {
            bytes
        };
        let named = self.named(request, &known);
        self.say_sent(&named.name, &request.url, &bytes);
        let now = Instant::now();
        let all = self.kind.first_row + self.script.all_row();
        let row = named.row.map(|row| self.kind.first_row + row);
        let rows = Rows {
            own: row,
            all,
            tagged: Vec::new(),
        };
        let _flight = self.state.takes_off(rows.clone(), now);
        let want = Want {
            method: &method,
            headers: true,
            body: Keep::All(request.max_bytes),
            expect: &Expect::Success,
            upgrades,
        };
        let timeout = request.timeout.min(LONGEST);
        let exchange = self.client.exchange_anew(&known.place.origin, &bytes, want);
        let went = TimeLimit::new().within(now + timeout, exchange).await;
        let went = match went {
            Some(Ok(opened)) => Ok(opened),
            Some(Err(kind)) => Err(Missing::from(kind)),
            None => Err(too_late(timeout)),
        };
        let opened = match went {
            Ok((connection, head)) => Ok((connection, head)),
            Err(missing) => Err(missing),
        };
        let ending = ending_of(&opened, request);
        self.count(&rows, ending);
        let told = Told {
            named: &named,
            row: row.unwrap_or(all),
            url: &request.url,
            method: &request.method,
            sent: &bytes,
        };
        self.opened(opened, &told, ending, (&known, request))
            .map(|(connection, head)| (head, connection, key))
    }

    /// Tells of what was opened, or was not.
    fn opened(
        &self,
        opened: Result<(Box<Connection>, Head), Missing>,
        told: &Told<'_>,
        ending: Ending,
        (known, request): (&Known, &HttpRequest),
    ) -> Result<(Box<Connection>, Head), Happened> {
        match opened {
            Ok((connection, head)) => {
                self.last.set(connection.arrivals().at);
                let came = Ok(Came {
                    body: connection.beginning().to_vec(),
                    encoding: Encoding::Identity,
                    timings: breakpoint_script::exchange::Timings::default(),
                    connection: None,
                    head,
                });
                self.tell(told, &came, ending);
                let head = came.map(|came| came.head);
                match head {
                    Ok(head) => Ok((connection, head)),
                    Err(_) => Err(failed(1000, String::new())),
                }
            }
            Err(missing) => {
                let went = Err(missing);
                self.tell(told, &went, ending);
                match went {
                    Err(missing) => Err(self.unanswered(&missing, &known.place, request)),
                    Ok(_) => Err(failed(1000, String::new())),
                }
            }
        }
    }

    /// Waits for the next message of a WebSocket, or its end.
    async fn next_message(&self, id: OpId, socket: Rc<Socket>) -> Next<'_> {
        let found = socket.wire.find(|_| true).await;
        let now = Instant::now();
        match found {
            Ok(arrived) => {
                self.last.set(arrived.at);
                self.read_late(now.saturating_duration_since(arrived.at));
                let message = arrived.event;
                self.say(Mark::Came, |masks| websocket_line(&message.text, masks));
                let message = match message.bytes {
                    Some(bytes) => Message::Binary(bytes.into()),
                    None if message.is_binary => Message::Binary(message.text.into_bytes().into()),
                    None => Message::Text(message.text),
                };
                Next {
                    of: None,
                    happened: Happened::Came(message),
                    then: Some(Box::pin(self.next_message(id, socket))),
                }
            }
            Err(ended) => {
                self.channels.0.borrow_mut().remove(&id);
                self.last.set(ended.at);
                let own = socket.closes.get();
                let code = socket.wire.closed_with().or(own).unwrap_or(ABNORMAL);
                self.say(Mark::Came, |_| format!("close {code}"));
                Happened::Closed(code, String::new()).into()
            }
        }
    }

    /// Waits for the next event of a stream, or its end.
    async fn next_event(&self, id: OpId, stream: Rc<Stream>) -> Next<'_> {
        match stream.find(|_| true).await {
            Ok(arrived) => {
                self.last.set(arrived.at);
                self.read_late(arrived.at.elapsed());
                let event = arrived.event;
                self.say(Mark::Came, |masks| websocket_line(&event.data, masks));
                let event = StreamEvent {
                    // One without a name is called so.
                    name: Some(event.name)
                        .filter(|name| name != "message")
                        .unwrap_or_default(),
                    data: event.data,
                    ..StreamEvent::default()
                };
                Next {
                    of: None,
                    happened: Happened::Event(event),
                    then: Some(Box::pin(self.next_event(id, stream))),
                }
            }
            Err(ended) if ended.is_clean() => Happened::Closed(0, String::new()).into(),
            Err(ended) => failed(1000, why_of(ended.failure())).into(),
        }
    }

    fn read_late(&self, late: Duration) {
        self.kind.thread.recorder.borrow_mut().read_late(late);
    }

    /// Sends on a WebSocket.
    pub(super) async fn send(&self, to: OpId, message: Message) -> Next<'_> {
        let Some(socket) = self.channels.get(to) else {
            return failed(1000, "the WebSocket is closed".to_owned()).into();
        };
        let outgoing = match &message {
            Message::Text(text) => {
                self.say(Mark::Sent, |masks| websocket_line(text, masks));
                Outgoing::Text(text)
            }
            Message::Binary(bytes) => {
                self.say(Mark::Sent, |_| format!("{} bytes, binary", bytes.len()));
                Outgoing::Binary(bytes)
            }
            Message::Ping => {
                self.say(Mark::Sent, |_| "ping".to_owned());
                return Next {
                    of: None,
                    happened: Happened::Sent,
                    then: Some(Box::pin(async move {
                        match socket.wire.ping().await {
                            Ok(_) => Next {
                                of: Some(to),
                                ..Happened::Came(Message::Pong).into()
                            },
                            // The end is told where messages are waited for.
                            Err(_) => Happened::Sent.into(),
                        }
                    })),
                };
            }
            // Nobody asked for it: pings are answered by themselves.
            Message::Pong => return Happened::Sent.into(),
        };
        let went = match socket.wire.send(outgoing) {
            Ok(true) => Ok(()),
            Ok(false) => socket.wire.written().await.map(|_| ()),
            Err(kind) => Err(kind),
        };
        match went {
            Ok(()) => Happened::Sent.into(),
            Err(kind) => failed(1000, why_of(kind)).into(),
        }
    }

    /// Closes a WebSocket, and waits a while for its server to do so too.
    pub(super) async fn close_channel(&self, of: OpId, code: u16) -> Happened {
        let Some(socket) = self.channels.get(of) else {
            return Happened::Sent;
        };
        let code = if (1000..5000).contains(&code) {
            code
        } else {
            NORMAL
        };
        socket.closes.set(Some(code));
        self.say(Mark::Sent, |_| format!("close {code}"));
        let closing = socket.wire.close_with(code);
        let _ = tokio::time::timeout(CLOSE, closing).await;
        why::clear();
        socket.wire.give_up();
        Happened::Sent
    }
}

/// How the opening of something counts.
fn ending_of(opened: &Result<(Box<Connection>, Head), Missing>, request: &HttpRequest) -> Ending {
    let (connection, head) = match opened {
        Ok((connection, head)) => (connection, head),
        Err(missing) => return Ending::Failed(missing.kind),
    };
    let status = head.status.as_u16();
    let is_expected = match &request.expected {
        Expected::Unjudged => true,
        Expected::Statuses(all) => all.iter().any(|range| range.contains(&status)),
    };
    if !is_expected {
        return Ending::Failed(FailureKind::Status);
    }
    let (connecting, handshake) = connection.made_for_it().unwrap_or_default();
    let waited = connection
        .arrivals()
        .at
        .saturating_duration_since(connection.sent_at());
    Ending::Completed(connecting + handshake + waited)
}

fn why_of(kind: FailureKind) -> String {
    let words = Missing::from(kind).words;
    words.map_or_else(|| kind.name().to_owned(), |words| words.whole())
}

/// A message on one line.
fn websocket_line(text: &str, masks: &crate::excerpt::Masks) -> String {
    crate::engine::native::user::message_line(text, masks)
}
