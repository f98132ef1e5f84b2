//! The server, which answers most requests well and keeps the log of all.

use std::cell::RefCell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use http_body_util::channel::Channel;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{LocalSet, spawn_local};

use super::ledger::Log;

/// What it can be told.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Order {
    /// Requests are taken and logged, but nothing is answered.
    StandStill,
    GoOn,
    Tell,
}

/// Of every so many requests of a kind these fail, are shed, dropped, never answered.
const OF: u64 = 1_000;
const OPENS: Shares = Shares {
    failed: 3,
    shed: 3,
    dropped: 0,
    unanswered: 0,
};
const QUESTIONS: Shares = Shares {
    failed: 10,
    shed: 10,
    dropped: 5,
    unanswered: 2,
};
/// An answer comes after this and up to four times as long.
const ANSWER_AFTER: Duration = Duration::from_millis(100);

struct Shares {
    failed: u64,
    shed: u64,
    dropped: u64,
    unanswered: u64,
}

enum Fate {
    Well,
    Failed,
    Shed,
    Dropped,
    Unanswered,
}

impl Shares {
    /// The fate of the nth, spread evenly.
    fn fate(&self, n: u64) -> Fate {
        // A step that shares no divisor with the whole visits every place once.
        let place = n.wrapping_mul(373) % OF;
        let mut until = self.failed;
        if place < until {
            return Fate::Failed;
        }
        until += self.shed;
        if place < until {
            return Fate::Shed;
        }
        until += self.dropped;
        if place < until {
            return Fate::Dropped;
        }
        until += self.unanswered;
        if place < until {
            Fate::Unanswered
        } else {
            Fate::Well
        }
    }
}

type Body = UnsyncBoxBody<Bytes, Infallible>;

struct State {
    log: RefCell<Log>,
    streams: RefCell<HashMap<String, mpsc::UnboundedSender<Bytes>>>,
    still: watch::Sender<bool>,
}

#[derive(Deserialize)]
struct Asked {
    id: String,
    user: String,
}

pub(crate) async fn serve() -> anyhow::Result<()> {
    LocalSet::new().run_until(listen()).await
}

async fn listen() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .context("cannot listen")?;
    println!("{}", listener.local_addr()?);
    let state = Rc::new(State {
        log: RefCell::default(),
        streams: RefCell::default(),
        still: watch::channel(false).0,
    });
    let accepting = spawn_local(accept(listener, Rc::clone(&state)));
    let mut orders = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = orders.next_line().await? {
        match serde_json::from_str(&line)? {
            Order::StandStill => state.still.send_replace(true),
            Order::GoOn => state.still.send_replace(false),
            Order::Tell => {
                println!("{}", serde_json::to_string(&*state.log.borrow())?);
                true
            }
        };
    }
    accepting.abort();
    Ok(())
}

async fn accept(listener: TcpListener, state: Rc<State>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptor is free: one will be.
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        spawn_local(connection(stream, Rc::clone(&state)));
    }
}

async fn connection(stream: TcpStream, state: Rc<State>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let state = Rc::clone(&state);
        async move { state.answer(request).await }
    });
    // One that the server drops, or the generator closes, is no news.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Ends the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("dropped")]
struct Drop;

impl State {
    async fn moving(&self) {
        let mut still = self.still.subscribe();
        // The sender lives as long as the state.
        let _ = still.wait_for(|still| !still).await;
    }

    async fn answer(self: Rc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Drop> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/sse") => Ok(self.open(&request).await),
            (&Method::POST, "/questions") => self.question(request).await,
            _ => Ok(plain(StatusCode::NOT_FOUND)),
        }
    }

    async fn open(&self, request: &Request<Incoming>) -> Response<Body> {
        let fate = {
            let mut log = self.log.borrow_mut();
            log.opens.received += 1;
            OPENS.fate(log.opens.received)
        };
        self.moving().await;
        let mut log = self.log.borrow_mut();
        match fate {
            Fate::Failed => {
                log.opens.failed += 1;
                plain(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Fate::Shed => {
                log.opens.shed += 1;
                shed()
            }
            Fate::Well | Fate::Dropped | Fate::Unanswered => {
                log.opens.well += 1;
                let query = request.uri().query().unwrap_or_default();
                let user = query.strip_prefix("user=").unwrap_or_default().to_owned();
                let (events, mut to_come) = mpsc::unbounded_channel();
                self.streams.borrow_mut().insert(user, events);
                let (mut body_end, body) = Channel::<Bytes, Infallible>::new(4);
                spawn_local(async move {
                    while let Some(event) = to_come.recv().await {
                        // The VU has closed its stream.
                        if body_end.send_data(event).await.is_err() {
                            break;
                        }
                    }
                });
                let mut response = Response::new(body.boxed_unsync());
                let headers = response.headers_mut();
                headers.insert(
                    CONTENT_TYPE,
                    http::HeaderValue::from_static("text/event-stream"),
                );
                response
            }
        }
    }

    async fn question(self: Rc<Self>, request: Request<Incoming>) -> Result<Response<Body>, Drop> {
        let body = request
            .into_body()
            .collect()
            .await
            .map_err(|_| Drop)?
            .to_bytes();
        let asked: Asked = serde_json::from_slice(&body).map_err(|_| Drop)?;
        let fate = {
            let mut log = self.log.borrow_mut();
            log.questions.received += 1;
            QUESTIONS.fate(log.questions.received)
        };
        self.moving().await;
        if matches!(fate, Fate::Dropped) {
            self.log.borrow_mut().questions.dropped += 1;
            // In the middle of its work: who drops what he has not begun may not have had it.
            tokio::time::sleep(ANSWER_AFTER).await;
            return Err(Drop);
        }
        let mut log = self.log.borrow_mut();
        match fate {
            Fate::Failed => {
                log.questions.failed += 1;
                return Ok(plain(StatusCode::INTERNAL_SERVER_ERROR));
            }
            Fate::Shed => {
                log.questions.shed += 1;
                return Ok(shed());
            }
            Fate::Unanswered => log.unanswered += 1,
            Fate::Well | Fate::Dropped => {
                let after =
                    ANSWER_AFTER * u32::try_from(1 + log.questions.received % 4).unwrap_or(1);
                spawn_local(Rc::clone(&self).answer_later(asked, after));
            }
        }
        log.questions.well += 1;
        Ok(plain(StatusCode::ACCEPTED))
    }

    async fn answer_later(self: Rc<Self>, asked: Asked, after: Duration) {
        tokio::time::sleep(after).await;
        self.moving().await;
        let event = format!("event: answer\ndata: {{\"id\":\"{}\"}}\n\n", asked.id);
        let streams = self.streams.borrow();
        let written = streams
            .get(&asked.user)
            .is_some_and(|s| s.send(event.into()).is_ok());
        self.log.borrow_mut().answers += u64::from(written);
    }
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")).boxed_unsync());
    *response.status_mut() = status;
    response
}

fn shed() -> Response<Body> {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE);
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, http::HeaderValue::from_static("1"));
    response
}
