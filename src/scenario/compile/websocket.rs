//! The steps of each `WebSocket`, from a profile's tables.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Method, StatusCode};

use super::{Compiler, fill_in};
use crate::scenario::event::EventSpec;
use crate::scenario::spec::EventPick;
use crate::scenario::spec::{StepSpec, WaitSpec};
use crate::scenario::template::{Escape, Template};
use crate::scenario::websocket::{
    Connect, MOST_KEPT, Payload, Receive, Reply, ReplySpec, Send, SendSpec, SendTable, SocketStep,
    is_of_handshake, of_hex,
};
use crate::scenario::{Conditions, EventMatch, Expect, nearest};

/// Most texts that a WebSocket answers by itself: each is compared with every message.
const MOST_REPLIES: usize = 16;

impl<'a> Compiler<'a> {
    pub(super) fn connect(&mut self, step: &'a StepSpec, path: &str) -> Result<SocketStep, String> {
        let of_all = self.spec.headers.keys();
        if let Some(name) = of_all
            .chain(step.headers.keys())
            .find(|n| is_of_handshake(n))
        {
            return Err(format!(
                "header `{name}` is part of every handshake and sent automatically; remove it \
                 (`subprotocol` names what a WebSocket speaks)"
            ));
        }
        let subprotocols = match &step.subprotocol {
            Some(spec) => subprotocols(spec.names())?,
            None => Vec::new(),
        };
        let mut own: Vec<(HeaderName, String)> = vec![
            (CONNECTION, "Upgrade".to_owned()),
            (UPGRADE, "websocket".to_owned()),
            (SEC_WEBSOCKET_VERSION, "13".to_owned()),
        ];
        if !subprotocols.is_empty() {
            own.push((SEC_WEBSOCKET_PROTOCOL, subprotocols.join(", ")));
        }
        let mut request = self.request(step, Method::GET, path, &own)?;
        if request.needs_body() {
            return Err(
                "a WebSocket's handshake has no body to `extract` from; take it from a message \
                 with `wait`, or use `header:NAME`"
                    .to_owned(),
            );
        }
        request.expect = Expect::OneOf(vec![StatusCode::SWITCHING_PROTOCOLS]);
        let replies = self.replies(&step.replies)?;
        let stream = self.opened(step)?;
        self.sockets.push(stream);
        Ok(SocketStep::Connect(Connect {
            request,
            stream,
            subprotocols,
            replies: replies.into(),
            keep: kept(step.keep)?,
        }))
    }

    fn replies(&self, specs: &[ReplySpec]) -> Result<Vec<Reply>, String> {
        if specs.len() > MOST_REPLIES {
            return Err(format!("`replies` may have at most {MOST_REPLIES} entries"));
        }
        let constant = |text: &str| match self.template(text, Escape::None)?.constant() {
            Some(text) => Ok(text.to_owned()),
            None => Err(format!(
                "`replies`: `{text}` cannot vary; answer it with `wait` and `send` instead"
            )),
        };
        let replies = specs.iter().map(|spec| {
            Ok(Reply {
                on: constant(&spec.on)?,
                send: constant(&spec.send)?,
            })
        });
        replies.collect()
    }

    pub(super) fn send(&self, spec: &SendSpec) -> Result<SocketStep, String> {
        let whole;
        let table = match spec {
            SendSpec::Text(text) => {
                whole = SendTable {
                    text: Some(text.clone()),
                    ..SendTable::default()
                };
                &whole
            }
            SendSpec::Table(table) => table,
        };
        let stream = match &table.on {
            Some(name) => self.open_socket(name)?,
            None => self.only_socket()?,
        };
        let payload = self.payload(table).map_err(|m| format!("`send`: {m}"))?;
        Ok(SocketStep::Send(Send { stream, payload }))
    }

    fn payload(&self, table: &SendTable) -> Result<Payload, String> {
        match (&table.text, &table.json, &table.hex, &table.base64) {
            (Some(text), None, None, None) => self.template(text, Escape::None).map(Payload::Text),
            (None, Some(json), None, None) => {
                let mut json = json.clone();
                fill_in(&mut json, self.secrets)?;
                Template::parse_json(&json, &self.names()).map(Payload::Text)
            }
            (None, None, Some(hex), None) => of_hex(hex).map(Payload::Binary),
            (None, None, None, Some(text)) => BASE64_STANDARD
                .decode(text)
                .map(Payload::Binary)
                .map_err(|e| format!("`{text}` is not base64: {e}")),
            _ => Err("a message is one of `text`, `json`, `hex` and `base64`".to_owned()),
        }
    }

    /// The only WebSocket that is open.
    fn only_socket(&self) -> Result<usize, String> {
        let mut open = self.sockets.iter().filter(|s| self.streams[**s].1);
        match (open.next(), open.next()) {
            (Some(socket), None) => Ok(*socket),
            (None, _) => Err(
                "no WebSocket is open here; open one with `connect` in an earlier step".to_owned(),
            ),
            (Some(_), Some(_)) => Err(
                "several WebSockets are open; say which with `send = { on = \"...\", .. }`"
                    .to_owned(),
            ),
        }
    }

    pub(super) fn open_socket(&self, name: &str) -> Result<usize, String> {
        let known = self.sockets.iter().map(|s| self.streams[*s].0);
        let stream = self.open_stream(name).map_err(|why| {
            if self.streams.iter().any(|(n, _)| *n == name) {
                return why;
            }
            format!(
                "no WebSocket `{name}` is open here{}; open one with `connect` in an earlier step",
                nearest(name, known)
            )
        })?;
        if !self.sockets.contains(&stream) {
            return Err(format!(
                "`{name}` is an event stream, on which nothing can be sent; open a WebSocket with \
                 `connect`"
            ));
        }
        Ok(stream)
    }

    /// A WebSocket that a start step opened is there in every cycle.
    pub(super) fn may_close(&self, stream: usize) -> Result<(), String> {
        if stream >= self.start_streams {
            return Ok(());
        }
        let name = self.streams[stream].0;
        Err(format!(
            "`{name}` was opened by a start step and stays open for all cycles; remove this step, \
             or open it in one of `steps`"
        ))
    }

    pub(super) fn receive(
        &mut self,
        step: &'a StepSpec,
        spec: &WaitSpec,
        stream: usize,
        since: Option<usize>,
    ) -> Result<SocketStep, String> {
        let binary = match spec.event.as_deref() {
            None => None,
            Some("text") => Some(false),
            Some("binary") => Some(true),
            Some(other) => {
                return Err(format!(
                    "`event`: a message of a WebSocket is `text` or `binary`, not `{other}`; look \
                     for what it has in it with `contains`, `matches` or `match`"
                ));
            }
        };
        if spec.end || spec.pick != EventPick::default() {
            return Err(
                "`end` and `pick` are for event streams, and this is a WebSocket; remove them"
                    .to_owned(),
            );
        }
        let template = |text: &str| self.template(text, Escape::None);
        // Whether it is a text is no name.
        let events = EventSpec {
            event: None,
            ..spec.events()
        };
        Ok(SocketStep::Receive(Receive {
            stream,
            binary,
            events: EventMatch::compile(&events, template)?,
            expect: Conditions::compile(&spec.expect, template)?,
            since,
            extract: self.extractions(step)?,
        }))
    }
}

fn kept(wanted: Option<i64>) -> Result<usize, String> {
    let Some(wanted) = wanted else {
        return Ok(MOST_KEPT);
    };
    let known = usize::try_from(wanted).ok();
    known
        .filter(|n| (1..=MOST_KEPT).contains(n))
        .ok_or_else(|| format!("`keep` must be between 1 and {MOST_KEPT} messages"))
}

/// Names of subprotocols are tokens (RFC 6455, section 4.1).
fn subprotocols(names: &[String]) -> Result<Vec<String>, String> {
    let is_token = |name: &&String| HeaderName::try_from(name.as_str()).is_ok();
    if names.is_empty() {
        return Err("`subprotocol` is empty; name one or remove it".to_owned());
    }
    match names.iter().find(|name| !is_token(name)) {
        Some(wrong) => Err(format!("`{wrong}` is not a valid name of a subprotocol")),
        None => Ok(names.to_vec()),
    }
}
