//! Who follows a run from outside. `--serve`: a small page that draws the run live, and the same
//! state as JSON and as metrics for Prometheus; `--remote-write` (`push.rs`) sends the metrics.
//!
//! Read only. On an address of this machine it asks for no token, but only answers requests that
//! are addressed to this machine by such a name: a page of another site that resolves its own name
//! to 127.0.0.1 gets nothing. On any other address every request needs the token. On both a request
//! that a page of another site makes (its `Origin`) is refused.

mod places;
mod push;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderMap,
    HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::channel::{Channel, Sender};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use self::places::{Doing, Place, Places, WATCHERS};
pub use self::push::{PushError, RemoteWrite};
use crate::confidential;
use crate::live::{Live, metrics};

/// The page, with its style and script.
const PAGE: &str = include_str!("serve/page.html");
/// Time that a request may take to arrive.
const HEAD: Duration = Duration::from_secs(5);
/// Time that an answer which ends may take to be read.
const ANSWER: Duration = Duration::from_secs(15);
/// Time that an event may wait for who watches; a state that is older helps nobody.
const UNREAD: Duration = Duration::from_secs(30);
/// Characters that a token must have at least: nobody tries them all.
const TOKEN: usize = 16;
/// What says that an answer is a stream of events.
const EVENTS: &str = "text/event-stream";
/// Time for the last state to reach those who watch.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// States that may wait for a slow reader; what comes meanwhile is told together.
const WAITING: usize = 1;
/// A comment keeps a silent connection open, and tells when the reader is gone.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Why the page cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("--serve {address}: {source}; use another port, or 0 for a free one")]
pub struct ServeError {
    address: SocketAddr,
    source: std::io::Error,
}

/// What a request must carry on an address that is not this machine's alone.
#[derive(Debug, Clone)]
pub struct Token {
    text: String,
    /// Whether the user has it already, and it must be shown nowhere.
    is_given: bool,
}

impl Token {
    /// One that the user chose.
    ///
    /// # Errors
    /// When it is one that somebody could guess.
    pub fn given(text: String) -> Result<Self, String> {
        let fits = text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
        if text.chars().count() < TOKEN || !fits {
            return Err(format!(
                "is not a valid token: use at least {TOKEN} characters, only letters, digits, and \
                 `-._~`, as from `openssl rand -hex 16`"
            ));
        }
        Ok(Self {
            text,
            is_given: true,
        })
    }

    /// One that was made for this page and is told with its address.
    pub fn made(text: String) -> Self {
        Self {
            text,
            is_given: false,
        }
    }
}

/// A page that is served.
#[derive(Debug)]
pub struct LivePage {
    shared: Arc<PageState>,
    address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

/// What those who watch are woken for.
#[derive(Debug, Clone, Copy)]
enum News {
    /// There is a new state.
    State,
    /// There will be no other.
    End,
}

#[derive(Debug)]
struct PageState {
    live: Mutex<Live>,
    /// Changes with every state; those who watch wait for it.
    news: watch::Sender<News>,
    /// What a request must carry; `None` on an address of this machine.
    token: Option<Token>,
    /// Places of those who watch.
    watchers: Arc<Semaphore>,
}

impl LivePage {
    /// Starts to serve.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(asked: SocketAddr, token: Token) -> Result<Self, ServeError> {
        let bound = async {
            let listener = TcpListener::bind(asked).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = bound.await.map_err(|source| ServeError {
            address: asked,
            source,
        })?;
        let shared = Arc::new(PageState {
            live: Mutex::default(),
            news: watch::Sender::new(News::State),
            token: (!address.ip().is_loopback()).then_some(token),
            watchers: Arc::new(Semaphore::new(WATCHERS)),
        });
        Ok(Self {
            server: tokio::spawn(accept(listener, Arc::clone(&shared))),
            shared,
            address,
        })
    }

    /// Where it is, with the token where one is needed that nobody has yet.
    pub fn url(&self) -> String {
        let token = self.shared.token.as_ref().filter(|t| !t.is_given);
        let query = token.map_or(String::new(), |t| format!("?token={}", t.text));
        format!("http://{}/{query}", self.address)
    }

    /// Whether a request must carry the token that was given.
    pub fn wants_given_token(&self) -> bool {
        self.shared.token.as_ref().is_some_and(|t| t.is_given)
    }

    /// Shows a new state.
    pub fn show(&self, live: &Live) {
        self.shared.live().clone_from(live);
        self.shared.news.send_replace(News::State);
    }

    /// Ends it, once those who watch had time to read the last state.
    pub async fn stop(self) {
        // Streams that are cut off in the middle would be an error to their readers.
        self.shared.news.send_replace(News::End);
        tokio::time::sleep(LAST_WORDS).await;
        self.server.abort();
    }
}

impl PageState {
    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, shared: Arc<PageState>) {
    let mut places = Places::default();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => {
                    if places.make_room() {
                        let place = Place::default();
                        let task = connection(tcp, Arc::clone(&shared), place.clone());
                        let task = connections.spawn(task);
                        places.taken(peer.ip(), place, task);
                    }
                }
                // Out of descriptors, or the peer is gone already: neither ends the page.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn connection(tcp: TcpStream, shared: Arc<PageState>, place: Place) {
    let (watches, mut watching) = watch::channel(false);
    let service = service_fn(move |request| {
        let (shared, place, watches) = (Arc::clone(&shared), place.clone(), watches.clone());
        async move {
            let answer = answer(&request, &shared);
            let is_stream = answer
                .headers()
                .get(CONTENT_TYPE)
                .is_some_and(|t| t == EVENTS);
            place.now(if is_stream {
                Doing::Watching
            } else {
                Doing::Answered
            });
            watches.send_replace(is_stream);
            Ok::<_, Infallible>(answer)
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        // Each question has its own place, which nobody keeps when it is answered.
        .keep_alive(false)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(tcp), service);
    let late = async {
        tokio::time::sleep(HEAD + ANSWER).await;
        if *watching.borrow_and_update() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        // A connection that ends with an error is the peer's affair.
        _ = served => {}
        () = late => {}
    }
}

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

fn answer(request: &Request<Incoming>, shared: &Arc<PageState>) -> Response<Body> {
    if let Some(refused) = refusal(request, shared) {
        return refused;
    }
    match request.uri().path() {
        "/" => text("text/html; charset=utf-8", PAGE),
        "/live.json" => {
            let live = shared.live();
            match confidential::json(&*live) {
                Ok(json) => text("application/json", json.to_string()),
                Err(_) => plain(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the state cannot be written as \
                    text\n",
                ),
            }
        }
        "/events" => events(shared),
        "/metrics" => {
            let samples = samples(&shared.live());
            let format = "text/plain; version=0.0.4; charset=utf-8";
            text(format, metrics::exposition(&samples))
        }
        _ => plain(
            StatusCode::NOT_FOUND,
            "not found; available: /, /live.json, /events, and /metrics\n",
        ),
    }
}

/// The state as metrics, whose labels have no secrets.
fn samples(live: &Live) -> Vec<metrics::Samples> {
    let mut all = metrics::samples(live);
    let labels = all.iter_mut().flat_map(|s| &mut s.values);
    for (_, value) in labels.flat_map(|(labels, _)| labels) {
        *value = confidential::text(value).into_owned();
    }
    all
}

/// What may not be answered.
fn refusal(request: &Request<Incoming>, shared: &PageState) -> Option<Response<Body>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refused = plain(StatusCode::METHOD_NOT_ALLOWED, "read only\n");
        refused
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Some(refused);
    }
    if !of_this_page(request.headers()) {
        return Some(plain(
            StatusCode::FORBIDDEN,
            "requests from other sites are not allowed\n",
        ));
    }
    match &shared.token {
        None if !addressed_to_this_machine(request.headers()) => Some(plain(
            StatusCode::FORBIDDEN,
            "this page is only for this machine: use 127.0.0.1 or localhost\n",
        )),
        Some(token) if !carries(request, &token.text) => Some(plain(
            StatusCode::UNAUTHORIZED,
            "missing token: add ?token=..., or the header Authorization: Bearer ...\n",
        )),
        _ => None,
    }
}

/// Whether nobody says where the request comes from, as a browser does for a page of another site,
/// or it is this very page. A page that is served here knows no TLS; what stands before it may.
fn of_this_page(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(HeaderValue::as_bytes);
    let Some(origin) = text(ORIGIN) else {
        return true;
    };
    let authority = origin
        .strip_prefix(b"http://")
        .or_else(|| origin.strip_prefix(b"https://"));
    authority.is_some_and(|a| text(HOST).is_some_and(|host| host.eq_ignore_ascii_case(a)))
}

/// Whether the `Host` names this machine by an address that no other site can take for itself.
fn addressed_to_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(HOST).and_then(|h| h.to_str().ok());
    let Some(authority) = host.and_then(|h| h.parse::<http::uri::Authority>().ok()) else {
        return false;
    };
    let name = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

fn carries(request: &Request<Incoming>, token: &str) -> bool {
    let header = request.headers().get(AUTHORIZATION);
    let header = header.and_then(|h| h.to_str().ok()?.strip_prefix("Bearer "));
    let mut pairs = request.uri().query().unwrap_or_default().split('&');
    let query = pairs.find_map(|pair| pair.strip_prefix("token="));
    [header, query]
        .into_iter()
        .flatten()
        .any(|given| same(given, token))
}

/// Whether two texts are the same, in a time that does not tell how much of them is.
fn same(given: &str, token: &str) -> bool {
    let pairs = given.bytes().zip(token.bytes());
    given.len() == token.len() && pairs.fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

/// The state now, and again with every change: first with all seconds, then with the new ones.
fn events(shared: &Arc<PageState>) -> Response<Body> {
    let Ok(place) = Arc::clone(&shared.watchers).try_acquire_owned() else {
        let words = "too many viewers; /live.json has the current state\n";
        return plain(StatusCode::SERVICE_UNAVAILABLE, words);
    };
    let (sender, body) = Channel::new(WAITING);
    let told = tell(Arc::clone(shared), sender);
    tokio::spawn(async move {
        told.await;
        drop(place);
    });
    let mut answer = Response::new(body.boxed());
    common_headers(answer.headers_mut(), EVENTS);
    answer
}

async fn tell(shared: Arc<PageState>, mut sender: Sender<Bytes>) {
    let mut news = shared.news.subscribe();
    let mut sent = SentSoFar::default();
    loop {
        let last = matches!(*news.borrow_and_update(), News::End);
        let event = sent.event(&shared.live());
        let sent = sender.send_data(Bytes::from(event));
        let is_read = tokio::time::timeout(UNREAD, sent).await;
        if !matches!(is_read, Ok(Ok(()))) || last {
            return;
        }
        while tokio::time::timeout(HEARTBEAT, news.changed())
            .await
            .is_err()
        {
            let heartbeat = sender.send_data(Bytes::from_static(b":\n\n"));
            let is_read = tokio::time::timeout(UNREAD, heartbeat).await;
            if !matches!(is_read, Ok(Ok(()))) {
                return;
            }
        }
    }
}

/// What a reader knows already.
#[derive(Default)]
struct SentSoFar {
    /// Profile and the last second.
    last: Option<(String, f64)>,
}

impl SentSoFar {
    /// The state as an event; `more` says that its seconds are to be added to those before.
    fn event(&mut self, live: &Live) -> String {
        let mut state = live.clone();
        let last = live.seconds.back().map_or(-1.0, |s| s.t_s);
        let known = self
            .last
            .take()
            .filter(|(profile, t_s)| *profile == live.profile && *t_s <= last);
        if let Some((_, t_s)) = &known {
            state.seconds.retain(|s| s.t_s > *t_s);
        }
        self.last = Some((live.profile.clone(), last));
        let mut json = confidential::json(&state).unwrap_or(Value::Null);
        if let Value::Object(fields) = &mut json {
            fields.insert("more".to_owned(), Value::Bool(known.is_some()));
        }
        format!("data: {json}\n\n")
    }
}

fn text(content_type: &'static str, text: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::new(Full::new(text.into()).boxed());
    common_headers(answer.headers_mut(), content_type);
    answer
}

fn plain(status: StatusCode, words: &'static str) -> Response<Body> {
    let mut answer = text("text/plain; charset=utf-8", words);
    *answer.status_mut() = status;
    answer
}

fn common_headers(headers: &mut HeaderMap, content_type: &'static str) {
    const CSP: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                       connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'";
    let all: [(HeaderName, &'static str); 5] = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-store"),
        (CONTENT_SECURITY_POLICY, CSP),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in all {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests;
