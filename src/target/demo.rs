//! The demo target: a small real HTTP server whose breakpoint is known from queueing theory.
//!
//! Its shape is that of a chat service: users hold an event stream open (`GET /sse?user=U`), post
//! questions (`POST /questions`), and an "AI" of a fixed total rate answers them on the stream.
//! `GET /work` goes through the same workers and answers directly; `GET /health` and `GET /metrics`
//! tell how the server is.
//!
//! Departures are computed, not slept: a worker's next free instant is its last one plus a service
//! time, so that a late timer delays one answer but never takes capacity away.

mod queue;

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

pub use self::queue::ServiceTime;
use self::queue::Workers;

/// Largest question that is read.
const MAX_QUESTION: usize = 64 * 1024;
/// How long connections may take to end after the server was told to.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// What the demo target is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DemoSpec {
    /// Answers per second that all workers give together.
    pub answers_per_s: f64,
    /// How many questions are worked on at once.
    pub workers: u32,
    /// Distribution of the service times; their mean is `workers / answers_per_s`.
    pub service: ServiceTime,
    /// Most questions that wait for a worker; further ones are shed with 503. `None`: no limit.
    pub queue_limit: Option<usize>,
    /// Memory, bytes, beyond which the server ends as if the kernel had killed it. `None`: no
    /// limit.
    pub memory_limit: Option<u64>,
    /// Memory that an open stream is said to take, bytes.
    pub memory_per_stream: u64,
    /// Memory that a question is said to take until it is answered, bytes.
    pub memory_per_question: u64,
    /// Seed of the service times.
    pub seed: u64,
}

impl Default for DemoSpec {
    fn default() -> Self {
        Self {
            answers_per_s: 100.0,
            workers: 8,
            service: ServiceTime::Exponential,
            queue_limit: Some(10_000),
            memory_limit: Some(512 << 20),
            memory_per_stream: 64 << 10,
            memory_per_question: 16 << 10,
            seed: 1,
        }
    }
}

/// Why the demo target ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The specification cannot be served.
    #[error("the demo target needs at least one worker and a rate above zero")]
    Spec,
    /// The socket failed.
    #[error("the demo target cannot accept connections: {0}")]
    Io(#[from] io::Error),
    /// The memory limit was passed; the process ends with [`DemoError::KILLED`], as after an OOM
    /// kill.
    #[error("the demo target took {used} bytes of {limit} and was killed")]
    OutOfMemory {
        /// Bytes taken.
        used: u64,
        /// Bytes allowed.
        limit: u64,
    },
}

impl DemoError {
    /// Exit code of a process that the kernel killed for its memory (128 + SIGKILL).
    pub const KILLED: u8 = 137;
}

/// Serves until `shutdown` completes.
///
/// # Errors
/// When the specification is impossible, the socket fails, or the memory limit is passed.
pub async fn serve(
    listener: TcpListener,
    spec: DemoSpec,
    shutdown: impl Future<Output = ()>,
) -> Result<(), DemoError> {
    let workers = Workers::new(&spec).ok_or(DemoError::Spec)?;
    let (killed, mut kill) = watch::channel(None);
    let server = Arc::new(Server {
        spec,
        state: Mutex::new(DemoState::new(workers)),
        killed,
    });
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    let ended = loop {
        tokio::select! {
            () = &mut shutdown => break Ok(()),
            used = killed_at(&mut kill) => {
                let limit = spec.memory_limit.unwrap_or(u64::MAX);
                break Err(DemoError::OutOfMemory { used, limit });
            }
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) => { connections.spawn(connection(Arc::clone(&server), tcp)); }
                // Out of descriptors, or the peer is gone already: neither ends a server.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    };
    // A killed process closes nothing in order; neither does this one.
    let _ = tokio::time::timeout(STOP_LIMIT, connections.shutdown()).await;
    ended
}

async fn killed_at(kill: &mut watch::Receiver<Option<u64>>) -> u64 {
    loop {
        if let Some(used) = *kill.borrow_and_update() {
            return used;
        }
        if kill.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

async fn connection(server: Arc<Server>, tcp: TcpStream) {
    // Without it answers wait for the peer's delayed acknowledgement; a socket that refuses is
    // gone.
    if tcp.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| {
        let server = Arc::clone(&server);
        async move { Ok::<_, Infallible>(server.answer(request).await) }
    });
    // A connection that ends with an error is the peer's affair.
    let _ = hyper::server::conn::http1::Builder::new()
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(tcp), service)
        .await;
}

struct Server {
    spec: DemoSpec,
    state: Mutex<DemoState>,
    killed: watch::Sender<Option<u64>>,
}

struct DemoState {
    workers: Workers,
    /// Open streams by user; a user may have several.
    streams: HashMap<String, Vec<(u64, mpsc::Sender<Bytes>)>>,
    next_stream: u64,
    open_streams: u64,
    in_system: u64,
    counts: Counts,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    questions: u64,
    answers: u64,
    shed: u64,
    undelivered: u64,
}

/// A question was taken in; it leaves when this is dropped.
struct Admitted {
    server: Arc<Server>,
    departure: Instant,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.server.state().in_system -= 1;
    }
}

impl DemoState {
    fn new(workers: Workers) -> Self {
        Self {
            workers,
            streams: HashMap::new(),
            next_stream: 0,
            open_streams: 0,
            in_system: 0,
            counts: Counts::default(),
        }
    }

    fn memory(&self, spec: &DemoSpec) -> u64 {
        self.open_streams * spec.memory_per_stream + self.in_system * spec.memory_per_question
    }
}

type DemoAnswer = Response<DemoBody>;

impl Server {
    fn state(&self) -> MutexGuard<'_, DemoState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> DemoAnswer {
        let path = request.uri().path();
        match (request.method(), path) {
            (&Method::GET, "/health") => text(StatusCode::OK, "ok\n"),
            (&Method::GET, "/metrics") => text(StatusCode::OK, self.metrics()),
            (&Method::GET, "/sse") => self.stream(request.uri().query()),
            (&Method::GET, "/work") => self.work().await,
            (&Method::POST, "/questions") => self.question(request).await,
            _ => text(StatusCode::NOT_FOUND, "no such page\n"),
        }
    }

    fn stream(self: Arc<Self>, query: Option<&str>) -> DemoAnswer {
        let user = query
            .unwrap_or_default()
            .split('&')
            .find_map(|pair| pair.strip_prefix("user="));
        let Some(user) = user.filter(|u| !u.is_empty()) else {
            return text(StatusCode::BAD_REQUEST, "which user? /sse?user=NAME\n");
        };
        let (sender, events) = mpsc::channel(64);
        let ready = format!("event: ready\ndata: {{\"user\":{}}}\n\n", json(user));
        // The channel was made just now and has room.
        let _ = sender.try_send(Bytes::from(ready));
        let mut state = self.state();
        let id = state.next_stream;
        state.next_stream += 1;
        state.open_streams += 1;
        let of_user = state.streams.entry(user.to_owned()).or_default();
        of_user.push((id, sender));
        self.check_memory(&state);
        drop(state);
        let mut answer = Response::new(DemoBody::Stream(OpenStream {
            server: Arc::clone(&self),
            user: user.to_owned(),
            id,
            events,
        }));
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        answer
    }

    async fn question(self: Arc<Self>, request: Request<Incoming>) -> DemoAnswer {
        let arrival = Instant::now();
        let body = match Limited::new(request.into_body(), MAX_QUESTION)
            .collect()
            .await
        {
            Ok(body) => body.to_bytes(),
            Err(_) => return text(StatusCode::BAD_REQUEST, "the question is too long\n"),
        };
        let question: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let field = |name: &str| question.as_ref()?.get(name).cloned();
        let (Some(id), Some(serde_json::Value::String(user))) = (field("id"), field("user")) else {
            return text(
                StatusCode::BAD_REQUEST,
                "a question is {\"id\": .., \"user\": \"..\"}\n",
            );
        };
        let Some(admitted) = self.admit(arrival) else {
            return shed();
        };
        tokio::spawn(async move {
            tokio::time::sleep_until(admitted.departure.into()).await;
            let event = format!("event: answer\ndata: {{\"id\":{id}}}\n\n");
            admitted.server.deliver(&user, &Bytes::from(event));
        });
        text(StatusCode::ACCEPTED, "")
    }

    async fn work(self: Arc<Self>) -> DemoAnswer {
        let Some(admitted) = self.admit(Instant::now()) else {
            return shed();
        };
        tokio::time::sleep_until(admitted.departure.into()).await;
        self.state().counts.answers += 1;
        text(StatusCode::OK, "done\n")
    }

    fn admit(self: &Arc<Self>, arrival: Instant) -> Option<Admitted> {
        let mut state = self.state();
        let waiting = state.workers.waiting(arrival);
        if self.spec.queue_limit.is_some_and(|limit| waiting >= limit) {
            state.counts.shed += 1;
            return None;
        }
        let departure = state.workers.serve(arrival);
        state.in_system += 1;
        state.counts.questions += 1;
        self.check_memory(&state);
        Some(Admitted {
            server: Arc::clone(self),
            departure,
        })
    }

    fn check_memory(&self, state: &DemoState) {
        let used = state.memory(&self.spec);
        if self.spec.memory_limit.is_some_and(|limit| used > limit) {
            self.killed.send_if_modified(|killed| {
                let first = killed.is_none();
                killed.get_or_insert(used);
                first
            });
        }
    }

    fn deliver(&self, user: &str, event: &Bytes) {
        let mut state = self.state();
        state.counts.answers += 1;
        let taken = state.streams.get(user).is_some_and(|streams| {
            // A stream that does not read loses events, as it would in a real service.
            let sent = streams
                .iter()
                .filter(|(_, s)| s.try_send(event.clone()).is_ok());
            sent.count() > 0
        });
        state.counts.undelivered += u64::from(!taken);
    }

    fn metrics(&self) -> String {
        let mut state = self.state();
        let waiting = state.workers.waiting(Instant::now());
        let (counts, spec) = (state.counts, &self.spec);
        let rows = [
            ("questions_total", "counter", counts.questions),
            ("answers_total", "counter", counts.answers),
            ("shed_total", "counter", counts.shed),
            ("undelivered_total", "counter", counts.undelivered),
            ("streams", "gauge", state.open_streams),
            ("in_system", "gauge", state.in_system),
            (
                "waiting",
                "gauge",
                u64::try_from(waiting).unwrap_or(u64::MAX),
            ),
            ("workers", "gauge", u64::from(spec.workers)),
            ("memory_bytes", "gauge", state.memory(spec)),
            (
                "memory_limit_bytes",
                "gauge",
                spec.memory_limit.unwrap_or(0),
            ),
        ];
        let mut out = String::new();
        for (name, kind, value) in rows {
            writeln!(out, "# TYPE demo_{name} {kind}\ndemo_{name} {value}")
                .expect("writing to a string cannot fail");
        }
        out
    }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::Value::String(text.to_owned())
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> DemoAnswer {
    let mut answer = Response::new(DemoBody::Whole(Full::new(text.into())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    answer
}

fn shed() -> DemoAnswer {
    let mut answer = text(StatusCode::SERVICE_UNAVAILABLE, "the queue is full\n");
    answer
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// The body of an answer: whole, or an event stream that goes on.
enum DemoBody {
    Whole(Full<Bytes>),
    Stream(OpenStream),
}

struct OpenStream {
    server: Arc<Server>,
    user: String,
    id: u64,
    events: mpsc::Receiver<Bytes>,
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut state = self.server.state();
        state.open_streams -= 1;
        if let Some(streams) = state.streams.get_mut(&self.user) {
            streams.retain(|(id, _)| *id != self.id);
            if streams.is_empty() {
                state.streams.remove(&self.user);
            }
        }
    }
}

impl Body for DemoBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx),
            Self::Stream(stream) => stream
                .events
                .poll_recv(cx)
                .map(|e| e.map(|e| Ok(Frame::data(e)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Stream(_) => hyper::body::SizeHint::default(),
        }
    }
}
