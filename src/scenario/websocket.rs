//! What a VU does with a WebSocket: the steps as they stand in a profile, and as they are taken.

use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Answer, Conditions, EventMatch, Extract, RequestTemplate, Template};

/// Most events of a stream, or messages of a WebSocket, that are kept until somebody waits for
/// them.
pub const MOST_KEPT: usize = 1024;

/// `subprotocol = "graphql-transport-ws"`, or several of which the server chooses one.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "a name, or a list of names")]
pub enum SubprotocolSpec {
    /// One.
    One(String),
    /// In the order in which they are preferred.
    Several(Vec<String>),
}

impl SubprotocolSpec {
    /// The names.
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// `{ on = "2", send = "3" }`: a text that is answered as soon as it comes, also while the VU
/// thinks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReplySpec {
    /// The whole text of the server's message.
    pub on: String,
    /// What is sent then.
    pub send: String,
}

/// `send = "text"`, or a table that says what and on which WebSocket.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "a text, or a table { on, text | json | hex | base64 }"
)]
pub enum SendSpec {
    /// A text, a template.
    Text(String),
    /// The same with more.
    Table(SendTable),
}

/// `{ on = "chat", json = { .. } }`; exactly one of `text`, `json`, `hex` and `base64`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SendTable {
    /// Name of the connect step; may be left out when just one WebSocket is open.
    pub on: Option<String>,
    /// A text, a template.
    pub text: Option<String>,
    /// A text that is this JSON; strings in it are templates.
    pub json: Option<toml::Value>,
    /// A binary message, two digits a byte.
    pub hex: Option<String>,
    /// A binary message.
    pub base64: Option<String>,
}

/// A text that is answered as soon as it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The whole text of the server's message.
    pub on: String,
    /// What is sent then.
    pub send: String,
}

/// A step on a WebSocket. Its number is its place among the scenario's streams.
#[derive(Debug, Clone)]
pub enum SocketStep {
    /// Open one.
    Connect(Connect),
    /// Send a message.
    Send(Send),
    /// Wait for a message.
    Receive(Receive),
    /// Send a ping and wait for its pong.
    Ping(usize),
    /// Close and wait until the server has closed too.
    Close(usize),
}

/// The handshake of a WebSocket.
#[derive(Debug, Clone)]
pub struct Connect {
    /// The request, but for its key.
    pub request: RequestTemplate,
    /// Its number.
    pub stream: usize,
    /// What the server may choose of; nothing for none.
    pub subprotocols: Vec<String>,
    /// What is answered at once.
    pub replies: Arc<[Reply]>,
    /// Messages that nobody has waited for yet and that are kept.
    pub keep: usize,
}

/// A message to send.
#[derive(Debug, Clone)]
pub struct Send {
    /// On which WebSocket.
    pub stream: usize,
    /// What.
    pub payload: Payload,
}

/// What a message has in it.
#[derive(Debug, Clone)]
pub enum Payload {
    /// A text.
    Text(Template),
    /// Bytes.
    Binary(Vec<u8>),
}

/// Which message a VU waits for: one that meets all that is said, or it is passed over.
#[derive(Debug, Clone)]
pub struct Receive {
    /// On which WebSocket.
    pub stream: usize,
    /// Whether it is binary; either when `None`.
    pub binary: Option<bool>,
    /// What the text must be, have in it, or hold.
    pub events: EventMatch,
    /// What the matching message must hold, or the step fails.
    pub expect: Conditions,
    /// Index of the measured step whose start is the clock's zero; the wait's own start when
    /// `None`.
    pub since: Option<usize>,
    /// Values to take from the message.
    pub extract: Vec<Extract>,
}

impl SocketStep {
    /// The request of one that sends one.
    pub fn request(&self) -> Option<&RequestTemplate> {
        match self {
            Self::Connect(connect) => Some(&connect.request),
            Self::Send(_) | Self::Receive(_) | Self::Ping(_) | Self::Close(_) => None,
        }
    }

    /// The step from whose start it counts.
    pub fn since(&self) -> Option<usize> {
        match self {
            Self::Receive(receive) => receive.since,
            Self::Connect(_) | Self::Send(_) | Self::Ping(_) | Self::Close(_) => None,
        }
    }

    /// Values that it takes.
    pub fn extract(&self) -> &[Extract] {
        match self {
            Self::Connect(connect) => connect.request.extract(),
            Self::Receive(receive) => &receive.extract,
            Self::Send(_) | Self::Ping(_) | Self::Close(_) => &[],
        }
    }
}

impl Send {
    /// The cookies whose values it takes.
    pub fn cookies(&self) -> impl Iterator<Item = usize> {
        let text = match &self.payload {
            Payload::Text(text) => Some(text),
            Payload::Binary(_) => None,
        };
        text.into_iter().flat_map(Template::cookies)
    }
}

/// The JSON of a message: all of it, or what begins at its first `{` or `[`, as messages of
/// Socket.IO have it (`42["name",{}]`); all of it too where there is none.
pub fn json_part(text: &str) -> &str {
    let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
    if is_json(text) {
        return text;
    }
    let part = text.find(['{', '[']).map(|begin| &text[begin..]);
    part.filter(|part| is_json(part)).unwrap_or(text)
}

impl<'a> Answer<'a> {
    /// A message of a WebSocket, of which there is nothing but its text.
    pub fn of_message(text: &'a str) -> Self {
        let answer = Self::of_event(text);
        answer.read_as(serde_json::from_str(json_part(text)).ok());
        answer
    }
}

/// Headers of a handshake that a profile must not set.
pub(super) fn is_of_handshake(name: &str) -> bool {
    let ours = [
        "connection",
        "upgrade",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
    ];
    ours.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The address of a handshake as that of its request: `ws` is `http`.
pub fn request_address(address: &str) -> String {
    for (socket, http) in [("ws://", "http://"), ("wss://", "https://")] {
        let scheme = address.get(..socket.len());
        if scheme.is_some_and(|s| s.eq_ignore_ascii_case(socket)) {
            return format!("{http}{}", &address[socket.len()..]);
        }
    }
    address.to_owned()
}

/// Two digits a byte; spaces may stand between them.
pub(super) fn of_hex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let wrong = || format!("`{text}` is not in hexadecimal, two digits a byte");
    if !digits.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let digit = |c: char| {
        c.to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
            .ok_or_else(wrong)
    };
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| Ok(digit(pair[0])? * 16 + digit(pair[1])?))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_json_of_a_message_may_stand_behind_a_number() {
        for (text, json) in [
            (r#"{"a":1}"#, Some(r#"{"a":1}"#)),
            (r#"42["answer",{"id":7}]"#, Some(r#"["answer",{"id":7}]"#)),
            (r#"0{"sid":"x"}"#, Some(r#"{"sid":"x"}"#)),
            (r#"42/admin,["a"]"#, Some(r#"["a"]"#)),
            ("40", Some("40")),
            ("hello {", None),
            ("hello", None),
            ("", None),
        ] {
            assert_eq!(json_part(text), json.unwrap_or(text), "{text}");
        }
    }

    #[test]
    fn the_address_of_a_handshake_is_that_of_its_request() {
        for (socket, request) in [
            ("ws://h:1/a", "http://h:1/a"),
            ("WSS://h/a", "https://h/a"),
            ("/a", "/a"),
            ("https://h/a", "https://h/a"),
            ("ü", "ü"),
        ] {
            assert_eq!(request_address(socket), request);
        }
    }

    proptest! {
        #[test]
        fn hexadecimal_is_read_as_it_is_written(
            bytes in proptest::collection::vec(any::<u8>(), 0..50),
        ) {
            let written = bytes.iter().map(|b| format!("{b:02x} "));
            let text = written.collect::<Vec<_>>().concat();
            prop_assert_eq!(of_hex(&text), Ok(bytes));
            for wrong in ["0", "0g"] {
                prop_assert!(of_hex(&(text.clone() + wrong)).is_err());
            }
        }
    }
}
