//! What a virtual user and its driver say to each other.
//!
//! The driver takes the user on with what happened since it last ran, and gets a [`Turn`]: what the
//! script began meanwhile, and what it waits for.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

/// Something that a script has begun and that the driver carries out. Numbers are the VU's own,
/// from 1, and never used twice in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// What the driver does next.
#[derive(Debug, Default)]
pub struct Turn {
    /// Begun since the last turn, in order.
    pub begun: Vec<(OpId, Op)>,
    /// No longer wanted: what comes of these is not waited for.
    pub dropped: Vec<OpId>,
    /// Measured since the last turn.
    pub samples: Vec<Sample>,
    /// Printed since the last turn.
    pub printed: Vec<Printed>,
    /// When it goes on.
    pub until: Until,
}

impl Turn {
    /// An operation is no longer wanted; one of this turn never begins.
    pub(crate) fn drop_op(&mut self, id: OpId) {
        match self.begun.iter().position(|(own, _)| *own == id) {
            Some(at) => {
                self.begun.remove(at);
            }
            None => self.dropped.push(id),
        }
    }
}

/// When a script goes on.
#[derive(Debug, Default)]
pub enum Until {
    /// This has ended: a call that blocks the script. What else happens meanwhile is kept by the
    /// driver, which brings it along in order.
    Ended(Vec<OpId>),
    /// Anything happened: the script waits in its event loop.
    #[default]
    Anything,
    /// The function has ended, with all that it began.
    Over(End),
}

/// How a call of one of the script's functions ended.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// It returned; what it returned as JSON, where it has any and was asked for.
    Returned(Option<String>),
    /// It threw.
    Threw(Thrown),
    /// `test.abort()`, with its reason.
    Aborted(String),
}

/// What a script threw and did not catch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thrown {
    /// What it says.
    pub message: String,
    /// The innermost place of the script, as `file:line:column`, where there is one.
    pub place: Option<String>,
    /// The calls that led there, a line each.
    pub stack: String,
    /// Why it was thrown, as far as the host has a word for it.
    pub kind: ThrownKind,
}

/// Why something was thrown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrownKind {
    /// By the script, or by a library of its.
    Script,
    /// `fail()`.
    Fail,
    /// It ran on without waiting for longer than it may.
    Endless,
    /// It holds more memory than it may.
    Memory,
    /// Calls within calls, too deep.
    Stack,
}

/// What a script begins.
#[derive(Debug)]
pub enum Op {
    /// One request and its answer, redirects not followed: whoever wants them asks again.
    Http(Box<HttpRequest>),
    /// Wait. `sleep()` is think time; a timer is not.
    Wait {
        /// How long.
        time: Duration,
        /// It is the user who waits.
        is_think_time: bool,
    },
    /// Open a WebSocket.
    OpenSocket(Box<SocketRequest>),
    /// Open a stream of server-sent events.
    OpenStream(Box<HttpRequest>),
    /// Send on a socket that is open; happens as [`Happened::Sent`].
    Send(OpId, Message),
    /// Close a socket or stream, with a code for sockets.
    Close(OpId, u16, String),
}

/// A request, complete but for what belongs to the connection.
#[derive(Debug, Clone)]
pub struct HttpRequest {
    /// Its method, in capitals.
    pub method: String,
    /// Its address, absolute.
    pub url: String,
    /// Its headers in order, `Content-Type` and `Cookie` included; `Host`, `Content-Length`,
    /// `User-Agent` and `Connection` only where the script set them.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Option<Arc<[u8]>>,
    /// The whole exchange must end within this.
    pub timeout: Duration,
    /// What becomes of the answer's body.
    pub body_use: BodyUse,
    /// What it is called, for the rows of results.
    pub name: RequestName,
    /// Its tags, those of its group and scenario included.
    pub tags: Arc<Tags>,
    /// Which statuses are no failure; all where the script judges none.
    pub expected: Expected,
    /// Whether the connection may be one that was kept, and is kept.
    pub keeps_connection: bool,
    /// The largest answer that is taken, bytes after unpacking.
    pub max_bytes: usize,
}

/// What becomes of an answer's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyUse {
    /// Unpacked, and given to the script.
    Kept,
    /// Read and dropped.
    Discarded,
}

/// What a request is called in results.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RequestName {
    /// By its tag `name`, or `http.url`.
    Given(Arc<str>),
    /// By its method and address, with what differs from user to user folded by the driver.
    Address,
}

/// Names with values.
pub type Tags = Vec<(String, String)>;

/// Which statuses are no failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// These.
    Statuses(Arc<[RangeInclusive<u16>]>),
    /// Nothing is judged: no answer is a failure (`setResponseCallback(null)`).
    Unjudged,
}

/// A WebSocket that a script opens.
#[derive(Debug, Clone)]
pub struct SocketRequest {
    /// Its address, `ws:` or `wss:`.
    pub url: String,
    /// Its headers, `Cookie` and `Sec-WebSocket-Protocol` included.
    pub headers: Vec<(String, String)>,
    /// It must be open within this.
    pub timeout: Duration,
    /// What it is called, for the rows of results.
    pub name: RequestName,
    /// Its tags.
    pub tags: Arc<Tags>,
}

/// A message on a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Arc<[u8]>),
    /// A ping.
    Ping,
    /// An answer to a ping of ours.
    Pong,
}

/// What happened to something that a script began.
#[derive(Debug)]
pub enum Happened {
    /// An answer, whatever its status; ends an [`Op::Http`], opens an [`Op::OpenStream`].
    Answered(Box<Answer>),
    /// There is no answer; ends the operation.
    Failed(Failed),
    /// The time is over; ends an [`Op::Wait`].
    Waited,
    /// A socket is open.
    Opened(Box<Answer>),
    /// A message came.
    Came(Message),
    /// An event came on a stream.
    Event(StreamEvent),
    /// An [`Op::Send`] was sent.
    Sent,
    /// A socket or stream has ended, with the code of a socket's close; ends the operation.
    Closed(u16, String),
}

/// An answer.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// The words after it.
    pub status_text: String,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub protocol: &'static str,
    /// Its headers in order, names as they came.
    pub headers: Vec<(String, String)>,
    /// Its body, unpacked; `None` where it was discarded.
    pub body: Option<Vec<u8>>,
    /// Who answered.
    pub remote: Option<SocketAddr>,
    /// Where its time went.
    pub timings: Timings,
}

/// Where the time of a request went.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Timings {
    /// Waiting for a connection that others use.
    pub blocked: Duration,
    /// Connecting.
    pub connecting: Duration,
    /// The handshake of TLS.
    pub tls_handshaking: Duration,
    /// Sending.
    pub sending: Duration,
    /// From there to the first byte of the answer.
    pub waiting: Duration,
    /// From there to its last byte.
    pub receiving: Duration,
}

impl Timings {
    /// `http_req_duration`: sending, waiting and receiving.
    pub fn duration(&self) -> Duration {
        self.sending + self.waiting + self.receiving
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failed {
    /// k6's number for it (1000 and above), as its documents list them.
    pub code: u16,
    /// What it says.
    pub message: String,
}

/// An event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamEvent {
    /// Its id, empty where it has none.
    pub id: String,
    /// Its name, empty where it has none.
    pub name: String,
    /// Its data.
    pub data: String,
    /// Comments that came with it.
    pub comment: String,
}

/// A value of a metric of the script's own, or of a check.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric: `checks`, `group_duration`, `iteration_duration`, or the script's.
    pub metric: Arc<str>,
    /// What kind of metric it is.
    pub kind: MetricKind,
    /// Its values are times in milliseconds.
    pub is_time: bool,
    /// The value; 0 or 1 of a rate.
    pub value: f64,
    /// Its tags (`check`, `group`, the script's).
    pub tags: Arc<Tags>,
}

/// What kind of metric a sample belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// A sum.
    Counter,
    /// The last value.
    Gauge,
    /// The share of values that are not zero.
    Rate,
    /// A distribution.
    Trend,
}

/// A line of `console`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// How important it is.
    pub level: PrintLevel,
    /// The line.
    pub text: String,
}

/// How important a line of `console` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrintLevel {
    /// `console.debug`.
    Debug,
    /// `console.log` and `console.info`.
    Info,
    /// `console.warn`.
    Warn,
    /// `console.error`.
    Error,
}
