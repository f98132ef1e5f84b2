//! What a VU does on its `WebSocket`s.

use std::time::Instant;

use super::telling::{FailedAnswer, message_line, wanted};
use super::{
    Action, Answer, FailureKind, Keep, Mark, ScenarioUser, Stop, Want, now_ms, refusal, why,
};
use crate::engine::native::websocket::{
    Message, Outgoing, WebSocket, check_opening, key, with_key,
};
use crate::scenario::websocket::{Connect, Payload, Receive, Send, SocketStep, json_part};

impl ScenarioUser<'_> {
    /// Takes a step; returns when it was done.
    pub(super) async fn on_socket(&mut self, step: &SocketStep) -> Result<Instant, Stop> {
        match step {
            // A handshake takes room that no other step needs.
            SocketStep::Connect(connect) => Box::pin(self.connect(connect)).await,
            // It was sent, but not all of it was taken at once.
            SocketStep::Send(send) => Ok(self.socket(send.stream)?.written().await?),
            SocketStep::Receive(receive) => self.receive(receive).await,
            SocketStep::Ping(socket) => {
                self.say(Mark::Sent, |_| "ping".to_owned());
                let at = self.socket(*socket)?.ping().await?;
                self.say(Mark::Came, |_| "pong".to_owned());
                Ok(at)
            }
            SocketStep::Close(socket) => {
                self.say(Mark::Sent, |_| "close 1000".to_owned());
                let at = self.socket(*socket)?.close().await?;
                self.say(Mark::Came, |_| "close".to_owned());
                self.sockets[*socket] = None;
                Ok(at)
            }
        }
    }

    /// Closes a stream or a WebSocket, without waiting for the server.
    pub(super) fn close_stream(&mut self, stream: usize) {
        self.streams[stream] = None;
        self.sockets[stream] = None;
    }

    /// The cycle has ended: its connections are closed, and where it failed those of the start too.
    pub(super) fn close_sockets(&mut self, failed: bool) {
        let kept = if failed {
            0
        } else {
            self.scenario.start_streams()
        };
        self.sockets[kept..].fill_with(|| None);
        self.lost = failed && self.scenario.start_streams() > 0;
    }

    fn socket(&self, socket: usize) -> Result<&WebSocket, FailureKind> {
        self.sockets[socket].as_ref().ok_or(FailureKind::Eof)
    }

    async fn connect(&mut self, connect: &Connect) -> Result<Instant, Stop> {
        let template = &connect.request;
        let want = Want {
            upgrades: true,
            ..self.want(template, true, Keep::All(template.most_body()))
        };
        let request = self.render(template)?;
        let key = key();
        let with_key = with_key(&request, &key);
        self.rendered = request.into_buffer();
        let origin = &self.scenario.origins()[template.origin()];
        let (mut connection, head) = self.exchange_anew(origin, &with_key, want).await?;
        if let Some(stop) = refusal(template, &head) {
            if matches!(stop, Stop::Failed(_)) {
                self.refused_by(&head, &mut connection).await;
                self.say_body(&head.headers, connection.beginning(), head.encoding);
            }
            return Err(stop);
        }
        if let Err(text) = check_opening(&head.headers, &key, &connect.subprotocols) {
            self.seen = Some(Box::new(FailedAnswer::new(
                &head,
                &[],
                head.encoding,
                false,
            )));
            return Err(why::note(FailureKind::Protocol, text).into());
        }
        let answer = Answer::new(head.status.as_u16(), &head.headers, &[]);
        self.extract(template.extract(), &answer)?;
        let at = self.arrival(&connection);
        // It was asked for over HTTP/1.1, the only one that changes to it.
        let opened = connection.upgraded().ok_or(FailureKind::Protocol)?;
        let socket = WebSocket::start(opened, &connect.replies, connect.keep);
        self.sockets[connect.stream] = Some(socket);
        Ok(at)
    }

    /// What of a step needs no waiting: a message that the kernel takes at once.
    #[inline]
    pub(super) fn at_once(&mut self, action: &Action) -> Option<Result<Instant, Stop>> {
        let Action::Socket(SocketStep::Send(send)) = action else {
            return None;
        };
        match self.send(send) {
            Ok(true) => Some(Ok(Instant::now())),
            // The rest is waited for.
            Ok(false) => None,
            Err(kind) => Some(Err(kind.into())),
        }
    }

    /// Sends a message; whether all of it is written.
    fn send(&mut self, send: &Send) -> Result<bool, FailureKind> {
        let text = match &send.payload {
            Payload::Binary(bytes) => {
                self.say(Mark::Sent, |_| format!("{} bytes, binary", bytes.len()));
                let message = Outgoing::Binary(bytes);
                return self.socket(send.stream)?.send(message);
            }
            Payload::Text(text) => text,
        };
        if let Some(constant) = text.constant() {
            self.say(Mark::Sent, |masks| message_line(constant, masks));
            let message = Outgoing::Text(constant);
            return self.socket(send.stream)?.send(message);
        }
        self.has_cookies(send.cookies())?;
        self.values.now_ms = now_ms();
        let mut rendered = std::mem::take(&mut self.rendered);
        rendered.clear();
        (self.scenario).render_into(text, &self.values, &mut self.rng, &mut rendered);
        self.say(Mark::Sent, |masks| message_line(&rendered, masks));
        let sent = self.socket(send.stream)?.send(Outgoing::Text(&rendered));
        // A buffer of one large message is not kept for the next.
        if rendered.capacity() <= KEPT {
            self.rendered = rendered;
        }
        sent
    }

    async fn receive(&mut self, receive: &Receive) -> Result<Instant, Stop> {
        let (scenario, values) = (self.scenario, &self.values);
        let rng = &mut self.rng;
        let sought = (receive.events).filled(|t| scenario.render(t, values, rng));
        let expect = (receive.expect).filled(|t| scenario.render(t, values, rng));
        let fits = |message: &Message| {
            self.say_message(&message.text);
            receive.binary.is_none_or(|b| b == message.is_binary)
                && sought.is_text(&message.text, json_part)
        };
        let arrived = self.socket(receive.stream)?.find(fits).await;
        let arrived = arrived.map_err(|ended| ended.failure())?;
        let text = &arrived.event.text;
        if !receive.expect.is_empty()
            && let Some(unmet) = expect.unmet(json_part(text))
        {
            return Err(why::note(FailureKind::WrongEvent, unmet).into());
        }
        if !receive.extract.is_empty() {
            let answer = Answer::of_message(text);
            self.extract(&receive.extract, &answer)?;
        }
        Ok(arrived.at)
    }

    /// What a step does and is judged by.
    pub(super) fn socket_words(&self, step: &SocketStep) -> String {
        match step {
            SocketStep::Connect(connect) => format!(
                "{}; passes with 101 and a WebSocket{}",
                connect.request.shown(),
                match &connect.subprotocols[..] {
                    [] => String::new(),
                    names => format!(" that speaks {}", names.join(" or ")),
                }
            ),
            SocketStep::Send(_) => "send; passes when the message is written".to_owned(),
            SocketStep::Receive(receive) => {
                let what = match receive.binary {
                    None => "a message",
                    Some(true) => "a binary message",
                    Some(false) => "a text message",
                };
                format!(
                    "wait; passes with {what}{}{}",
                    receive.events.shown(),
                    wanted(self, &receive.extract)
                )
            }
            SocketStep::Ping(_) => "ping; passes with its pong".to_owned(),
            SocketStep::Close(_) => "close; passes when the server has closed too".to_owned(),
        }
    }
}

/// Bytes of the buffer that is kept for the next request or message.
const KEPT: usize = 4096;
