//! Where the wrapped script asks what it shall do: HTTP on this machine only, for those who know
//! its secret path.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::fleet::{Fleet, Reply};
use super::points::{Event, What};
use super::wall_clock;

/// How long a VU may wait for an answer; then it asks again. Shorter than the wrapper's patience.
const LONGEST_WAIT: Duration = Duration::from_secs(25);
/// For how long a VU that was told to run need not ask again.
const LEASE: Duration = Duration::from_secs(1);

/// The endpoint; without it the wrapped script ends its k6.
#[derive(Debug)]
pub(super) struct VuGate {
    shared: Arc<Shared>,
    address: SocketAddr,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Debug)]
struct Shared {
    /// `/` and the secret.
    root: String,
    /// What requests must call this machine.
    host: String,
    functions: Vec<String>,
    zero: Instant,
    state: Mutex<GateState>,
    /// The level was changed.
    changed: Notify,
}

#[derive(Debug)]
struct GateState {
    fleet: Fleet,
    /// Those who wait, by seat.
    waiting: HashMap<usize, Parked>,
    /// How many ran when it was told last.
    told_running: u32,
    events: UnboundedSender<Vec<Event>>,
}

#[derive(Debug)]
struct Parked {
    vu: u32,
    /// Gets the number of the function.
    run: oneshot::Sender<usize>,
}

impl VuGate {
    /// Opens it for the functions with their weights; who runs goes to `events`.
    ///
    /// # Errors
    /// When this machine has no port for it.
    pub(super) async fn open(
        functions: &[(String, f64)],
        pace_per_s: f64,
        events: UnboundedSender<Vec<Event>>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let weights = functions.iter().map(|(_, weight)| *weight).collect();
        let shared = Arc::new(Shared {
            root: format!("/{:032x}", rand::random::<u128>()),
            host: address.to_string(),
            functions: functions.iter().map(|(name, _)| name.clone()).collect(),
            zero: Instant::now(),
            state: Mutex::new(GateState {
                fleet: Fleet::new(weights, pace_per_s),
                waiting: HashMap::new(),
                told_running: 0,
                events,
            }),
            changed: Notify::new(),
        });
        let tasks = [
            tokio::spawn(accept(listener, Arc::clone(&shared))),
            tokio::spawn(let_in(Arc::clone(&shared))),
        ];
        Ok(Self {
            shared,
            address,
            tasks,
        })
    }

    /// Where it is, with its secret.
    pub(super) fn url(&self) -> String {
        format!("http://{}{}", self.address, self.shared.root)
    }

    /// Asks for a level. VUs come in at the pace, and leave when they ask again.
    pub(super) fn set_level(&self, level: u32) {
        let now = self.shared.zero.elapsed();
        self.shared.state().fleet.set_level(level, now);
        self.shared.changed.notify_one();
    }

    /// Every function as often as the others, or by their weights.
    pub(super) fn set_evenly(&self, evenly: bool) {
        self.shared.state().fleet.set_evenly(evenly);
    }
}

impl Drop for VuGate {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a VU is to do; it may take a while.
    async fn turn(&self, vu: u32) -> Option<usize> {
        let waits = {
            let now = self.zero.elapsed();
            let mut state = self.state();
            let reply = state.fleet.ask(vu, now);
            let mut news = Vec::new();
            let waits = match reply {
                Reply::Run(function) => {
                    news.push(told(vu));
                    Err(function)
                }
                Reply::Wait(seat) => {
                    let (run, waits) = oneshot::channel();
                    state.waiting.insert(seat, Parked { vu, run });
                    Ok(waits)
                }
            };
            state.tell(news);
            waits
        };
        match waits {
            Err(function) => Some(function),
            // One that was let in this very moment asks again, and is answered at once.
            Ok(waits) => tokio::time::timeout(LONGEST_WAIT, waits).await.ok()?.ok(),
        }
    }

    /// Lets those in whose time has come; gives when the next one's does.
    fn let_in(&self) -> Option<Duration> {
        let now = self.zero.elapsed();
        let mut state = self.state();
        let mut news = Vec::new();
        for (seat, function) in state.fleet.due(now) {
            if let Some(parked) = state.waiting.remove(&seat) {
                news.push(told(parked.vu));
                // One that is gone asks again or never.
                let _ = parked.run.send(function);
            }
        }
        state.tell(news);
        state.fleet.next_due(now)
    }

    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let host = request.headers().get(HOST).map(http::HeaderValue::as_bytes);
        let path = request.uri().path().strip_prefix(&self.root);
        let path = path.filter(|_| request.method() == Method::GET);
        let Some(path) = path.filter(|_| host == Some(self.host.as_bytes())) else {
            return response(StatusCode::NOT_FOUND, "{}".to_owned());
        };
        if path == "/alive" {
            return response(StatusCode::OK, "{}".to_owned());
        }
        let vu = path.strip_prefix("/vu/").and_then(|vu| vu.parse().ok());
        let Some(vu) = vu else {
            return response(StatusCode::NOT_FOUND, "{}".to_owned());
        };
        let answer = match self.turn(vu).await.and_then(|f| self.functions.get(f)) {
            Some(function) => serde_json::json!({ "run": function, "ms": LEASE.as_millis() }),
            None => serde_json::json!({ "wait": true }),
        };
        response(StatusCode::OK, answer.to_string())
    }
}

impl GateState {
    /// Tells who was told to run, and how many run where that is another number now.
    fn tell(&mut self, mut news: Vec<Event>) {
        let running = self.fleet.running();
        if running != self.told_running {
            self.told_running = running;
            news.push(event(0, What::Running(running)));
        }
        if !news.is_empty() {
            // Without a receiver the run is over.
            let _ = self.events.send(news);
        }
    }
}

fn told(vu: u32) -> Event {
    event(vu, What::Told)
}

fn event(vu: u32, what: What) -> Event {
    let at = wall_clock();
    Event { at, vu, what }
}

fn response(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

async fn let_in(shared: Arc<Shared>) {
    loop {
        match shared.let_in() {
            Some(next) => tokio::select! {
                () = tokio::time::sleep_until(shared.zero + next) => {}
                () = shared.changed.notified() => {}
            },
            None => shared.changed.notified().await,
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, _)) => {
                    connections.spawn(connection(tcp, Arc::clone(&shared)));
                }
                // Out of descriptors, or the peer is gone already.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn connection(tcp: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(shared.answer(&request).await) }
    });
    // Small answers that wait for each other would be late.
    let _ = tcp.set_nodelay(true);
    // A connection that ends with an error is k6's affair.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(tcp), service)
        .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn gate(pace: f64) -> (VuGate, tokio::sync::mpsc::UnboundedReceiver<Vec<Event>>) {
        let (events, seen) = tokio::sync::mpsc::unbounded_channel();
        let functions = [("shop".to_owned(), 1.0)];
        (VuGate::open(&functions, pace, events).await.unwrap(), seen)
    }

    fn client() -> reqwest::Client {
        crate::crypto::install();
        let builder = reqwest::Client::builder().no_proxy();
        builder.tls_certs_only(std::iter::empty()).build().unwrap()
    }

    async fn get(url: String) -> (u16, String) {
        let response = client().get(url).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    #[tokio::test]
    async fn only_who_knows_the_secret_is_answered() {
        let (gate, _seen) = gate(10.0).await;
        let outside = format!("http://{}/", gate.address);
        assert_eq!(get(outside.clone()).await.0, 404);
        assert_eq!(get(format!("{outside}vu/1")).await.0, 404);
        assert_eq!(get(format!("{}/alive", gate.url())).await.0, 200);
        assert_eq!(get(format!("{}/other", gate.url())).await.0, 404);
        let named = gate.url().replace("127.0.0.1", "localhost");
        assert_eq!(get(format!("{named}/alive")).await.0, 404);
        let posted = client().post(format!("{}/alive", gate.url())).send();
        assert_eq!(posted.await.unwrap().status().as_u16(), 404);
    }

    #[tokio::test]
    async fn one_that_waits_is_let_in_when_the_level_rises() {
        let (gate, mut seen) = gate(1000.0).await;
        let waits = tokio::spawn(get(format!("{}/vu/7", gate.url())));
        // Its question must be there first: else it would not have waited.
        for _ in 0..2000 {
            if !gate.shared.state().waiting.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(gate.shared.state().waiting.len(), 1);
        gate.set_level(1);
        let (status, answer) = waits.await.unwrap();
        assert_eq!(
            (status, answer.as_str()),
            (200, r#"{"ms":1000,"run":"shop"}"#)
        );
        let whats: Vec<What> = (seen.recv().await.unwrap().into_iter())
            .map(|e| e.what)
            .collect();
        assert_eq!(whats, [What::Told, What::Running(1)]);
        let again = get(format!("{}/vu/7", gate.url())).await.1;
        assert!(again.contains("run"), "{again}");
    }
}
