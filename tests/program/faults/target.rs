//! A target that carries so many requests a second and shows its fault beyond that, for a moment,
//! to everybody.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::fault::{Answer, Door, Handshake, Strike};
use super::http2;
use super::sockets::{Frames, Then};

/// Requests that the target carries in a second.
pub(crate) const CARRIES: usize = 15;
/// How long it shows its fault once it had more: longer than a user waits, so that nobody is only
/// served late, and so long that most of twice the load fails.
const STRUCK: Duration = Duration::from_secs(2);
/// What an answer takes, and an event of a stream.
const WORK: Duration = Duration::from_millis(20);
/// What it takes beyond that where it has a long way, or is sent again.
const LATE: Duration = Duration::from_millis(1200);
/// Pieces of what has no end, and the pause between them: as much per second as an engine that kept
/// it would not hide.
const PIECE: usize = 256 * 1024;
const PAUSE: Duration = Duration::from_millis(5);
/// Between two bytes of a slow answer.
const DRIP: Duration = Duration::from_millis(100);

const OK: &str = "HTTP/1.1 200 OK\r\nx-mark: m\r\ncontent-length: 12\r\n\r\n{\"ok\": true}";
const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
const EVENT: &str = "event: tick\ndata: {\"ok\": true}\n\n";

/// When the fault shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Onset {
    /// From the first request on.
    AtOnce,
    /// When there is more load than the target carries.
    Beyond,
}

/// The load of the last second.
#[derive(Default)]
struct Load {
    served: VecDeque<Instant>,
    struck_until: Option<Instant>,
}

impl Load {
    /// Whether the target shows its fault at this moment.
    fn is_struck(&mut self, now: Instant) -> bool {
        self.struck_until.is_some_and(|until| now < until)
    }

    /// Counts one more request; whether it meets the fault.
    fn strikes(&mut self, now: Instant) -> bool {
        if self.is_struck(now) {
            return true;
        }
        let second = Duration::from_secs(1);
        while self.served.front().is_some_and(|at| now - *at >= second) {
            self.served.pop_front();
        }
        if self.served.len() >= CARRIES {
            self.served.clear();
            self.struck_until = Some(now + STRUCK);
            return true;
        }
        self.served.push_back(now);
        false
    }
}

/// What all connections of a target share.
struct Shared {
    strike: Strike,
    onset: Onset,
    /// Streams of events, or answers.
    streams: bool,
    load: Mutex<Load>,
    /// Requests that came.
    asked: AtomicU64,
    sent: AtomicU64,
    /// Whether the target is up.
    up: watch::Sender<bool>,
}

/// A target that runs until it is dropped.
pub(crate) struct Target {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    _serving: Task,
}

impl Target {
    /// Begins to serve on a free port of 127.0.0.1.
    pub(crate) fn start(
        strike: Strike,
        onset: Onset,
        streams: bool,
        tls: Option<Arc<ServerConfig>>,
    ) -> Self {
        let listener = listen(0);
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            strike,
            onset,
            streams,
            load: Mutex::default(),
            asked: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            up: watch::Sender::new(true),
        });
        let acceptor = tls.map(TlsAcceptor::from);
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared), acceptor));
        Self {
            port,
            shared,
            _serving: Task(serving),
        }
    }

    /// Bytes that the target got rid of while it showed its fault.
    pub(crate) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// Requests that came.
    pub(crate) fn asked(&self) -> u64 {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// Ends all connections with a reset and listens no more, or listens again.
    pub(crate) fn set_up(&self, up: bool) {
        self.shared.up.send_replace(up);
    }
}

/// A task that ends with this.
pub(crate) struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Gives every connection to the next of two ports, and resets it where nobody listens there.
/// Returns its own port.
pub(crate) fn balance(ports: [u16; 2]) -> (u16, Task) {
    let listener = listen(0);
    let own = listener.local_addr().unwrap().port();
    let balancing = tokio::spawn(async move {
        // They end with this task.
        let mut connections = JoinSet::new();
        for port in ports.into_iter().cycle() {
            if let Ok((client, _)) = listener.accept().await {
                connections.spawn(pass_on(client, port));
            }
            while connections.try_join_next().is_some() {}
        }
    });
    (own, Task(balancing))
}

async fn pass_on(mut client: TcpStream, port: u16) {
    match TcpStream::connect(("127.0.0.1", port)).await {
        Ok(mut instance) => {
            let _ = tokio::io::copy_bidirectional(&mut client, &mut instance).await;
        }
        Err(_) => client.cut(),
    }
}

/// A listener on a port of 127.0.0.1 that may have been used just before.
pub(crate) fn listen(port: u16) -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(([127, 0, 0, 1], port).into()).unwrap();
    socket.listen(128).unwrap()
}

impl Shared {
    /// Counts one more request, or connection; whether it meets the fault.
    fn strikes(&self) -> bool {
        self.onset == Onset::AtOnce || self.load.lock().unwrap().strikes(Instant::now())
    }

    /// Whether the target shows its fault at this moment.
    fn is_struck(&self) -> bool {
        self.onset == Onset::AtOnce || self.load.lock().unwrap().is_struck(Instant::now())
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>, acceptor: Option<TlsAcceptor>) {
    let port = listener.local_addr().unwrap().port();
    let mut listener = Some(listener);
    let mut up = shared.up.subscribe();
    // They end with this task.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let is_up = *up.borrow_and_update();
        let shut = match shared.strike {
            Strike::Door(door) => shared.is_struck().then_some(door),
            Strike::Handshake(_) | Strike::Answer(_) | Strike::Never => None,
        };
        if !is_up || shut == Some(Door::Shut) {
            // The port is nobody's for a while.
            listener = None;
        }
        if !is_up || shut.is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
            continue;
        }
        let accepting = listener.get_or_insert_with(|| listen(port));
        let accepted = tokio::select! {
            accepted = accepting.accept() => accepted,
            _ = up.changed() => continue,
        };
        let Ok((tcp, _)) = accepted else {
            continue;
        };
        if matches!(shared.strike, Strike::Door(_)) {
            shared.strikes();
        }
        connections.spawn(connection(tcp, Arc::clone(&shared), acceptor.clone()));
    }
}

/// Serves a connection for as long as the target is up.
async fn connection(mut tcp: TcpStream, shared: Arc<Shared>, acceptor: Option<TlsAcceptor>) {
    let Some(acceptor) = acceptor else {
        let mut up = shared.up.subscribe();
        let went_down = tokio::select! {
            () = talk(&mut tcp, &shared) => false,
            _ = up.wait_for(|up| !up) => true,
        };
        if went_down {
            tcp.cut();
        }
        return;
    };
    if let Strike::Handshake(how) = shared.strike
        && shared.strikes()
    {
        spoil_handshake(&mut tcp, how).await;
        return;
    }
    // A client that does not trust the certificate ends the handshake.
    if let Ok(mut tls) = acceptor.accept(tcp).await {
        talk(&mut tls, &shared).await;
    }
}

async fn spoil_handshake(tcp: &mut TcpStream, how: Handshake) {
    match how {
        Handshake::Plain => {
            let _ = tcp.write_all(OK.as_bytes()).await;
            drain(tcp).await;
        }
        Handshake::Hangs => drain(tcp).await,
        Handshake::Cut => {
            let _ = tcp.read(&mut [0; 64]).await;
        }
    }
}

/// What a connection is in the end: something that can be cut off.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin {
    /// Ends the connection with a reset, or without the goodbye of TLS.
    fn cut(&mut self);
}

impl Wire for TcpStream {
    fn cut(&mut self) {
        let _ = self.set_zero_linger();
    }
}

impl Wire for tokio_rustls::server::TlsStream<TcpStream> {
    // Dropped as it is: TCP ends, TLS was never told.
    fn cut(&mut self) {}
}

async fn talk(wire: &mut impl Wire, shared: &Shared) {
    while let Some(request) = read_request(wire).await {
        shared.asked.fetch_add(1, Ordering::Relaxed);
        let is_http2 = request.starts_with("PRI * HTTP/2.0");
        if is_http2 && http2::read_head(wire).await.is_none() {
            return;
        }
        if let Strike::Answer(answer) = shared.strike
            && shared.strikes()
        {
            if spoil(wire, answer, &request, shared).await.is_none() {
                drain(wire).await;
            }
            return;
        }
        if let Some(opening) = opening(&request) {
            message(wire, &opening).await;
            return;
        }
        let answered = if is_http2 {
            tokio::time::sleep(WORK).await;
            // Each connection takes one request, and is ended by whoever asked.
            say(wire, &http2::answer()).await;
            drain(wire).await;
            return;
        } else if shared.streams {
            event(wire).await
        } else {
            tokio::time::sleep(WORK).await;
            say(wire, OK.as_bytes()).await
        };
        if answered.is_none() {
            return;
        }
    }
}

async fn event(wire: &mut impl Wire) -> Option<()> {
    say(wire, STREAM.as_bytes()).await?;
    tokio::time::sleep(WORK).await;
    say(wire, EVENT.as_bytes()).await
}

/// The head that opens the WebSocket of a handshake.
fn opening(request: &str) -> Option<String> {
    let mut lines = request.lines();
    let key = lines.find_map(|l| l.strip_prefix("sec-websocket-key: "))?;
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
         sec-websocket-accept: {accept}\r\n\r\n"
    ))
}

/// Opens a WebSocket, sends the message, and answers the close.
async fn message(wire: &mut impl Wire, opening: &str) -> Option<()> {
    say(wire, opening.as_bytes()).await?;
    tokio::time::sleep(WORK).await;
    say(wire, b"\x81\x0c{\"ok\": true}").await?;
    let _ = wire.read(&mut [0; 64]).await;
    say(wire, b"\x88\x02\x03\xe8").await
}

/// Reads one request, which has no body; `None` at the end of the connection.
pub(crate) async fn read_request(wire: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        match wire.read(&mut byte).await {
            Ok(1) => text.push(byte[0]),
            _ => return None,
        }
    }
    String::from_utf8(text).ok()
}

/// Reads until the other side has gone.
async fn drain(wire: &mut (impl AsyncRead + Unpin)) {
    let mut into = [0; 4096];
    while matches!(wire.read(&mut into).await, Ok(1..)) {}
}

/// Writes; `None` when the other side does not want it any more.
async fn say(wire: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Option<()> {
    wire.write_all(bytes).await.ok()?;
    wire.flush().await.ok()
}

/// Writes a piece again and again for as long as the other side takes it.
async fn without_end(wire: &mut impl Wire, shared: &Shared, first: &[u8], piece: &[u8]) {
    let block = piece.repeat(PIECE.div_ceil(piece.len()));
    if say(wire, first).await.is_none() {
        return;
    }
    while say(wire, &block).await.is_some() {
        shared.sent.fetch_add(block.len() as u64, Ordering::Relaxed);
        tokio::time::sleep(PAUSE).await;
    }
}

async fn late(wire: &mut impl Wire) -> Option<()> {
    tokio::time::sleep(LATE).await;
    say(wire, OK.as_bytes()).await
}

/// Shows the fault. `Some` ends the connection, `None` leaves it to the other side to end it.
async fn spoil(wire: &mut impl Wire, answer: Answer, request: &str, shared: &Shared) -> Option<()> {
    match answer {
        Answer::Silence => None,
        Answer::Reset => {
            wire.cut();
            Some(())
        }
        Answer::Close => Some(()),
        Answer::HalfThenSilence(text) => {
            say(wire, text.as_bytes()).await?;
            None
        }
        Answer::HalfThenReset(text) => {
            say(wire, text.as_bytes()).await?;
            // What was sent is to arrive first.
            tokio::time::sleep(Duration::from_millis(20)).await;
            wire.cut();
            Some(())
        }
        Answer::HalfThenClose(text) => {
            say(wire, text.as_bytes()).await?;
            Some(())
        }
        Answer::HalfThenHalfClose(text) => {
            say(wire, text.as_bytes()).await?;
            wire.shutdown().await.ok()?;
            None
        }
        Answer::Whole(bytes) => {
            say(wire, bytes).await?;
            None
        }
        Answer::Drip => {
            for byte in OK.bytes() {
                say(wire, &[byte]).await?;
                tokio::time::sleep(DRIP).await;
            }
            None
        }
        Answer::Flood => {
            let event = format!("event: other\ndata: {}\n\n", "x".repeat(8000));
            without_end(wire, shared, STREAM.as_bytes(), event.as_bytes()).await;
            Some(())
        }
        Answer::Late => late(wire).await,
        Answer::Lossy => {
            if shared.asked.load(Ordering::Relaxed).is_multiple_of(2) {
                late(wire).await
            } else {
                say(wire, OK.as_bytes()).await
            }
        }
        Answer::WithoutEnd(first, piece) => {
            without_end(wire, shared, first.as_bytes(), piece.as_bytes()).await;
            Some(())
        }
        Answer::Frames(Frames { first, then }) => {
            let first = [opening(request)?.as_bytes(), first].concat();
            frames(wire, shared, &first, then).await
        }
        Answer::Http2(Frames { first, then }) => frames(wire, shared, first, then).await,
    }
}

/// Sends frames, and does then what the fault says.
async fn frames(wire: &mut impl Wire, shared: &Shared, first: &[u8], then: Then) -> Option<()> {
    if let Then::Again(piece) = then {
        without_end(wire, shared, first, piece).await;
        return Some(());
    }
    say(wire, first).await?;
    match then {
        Then::Silence | Then::Again(_) => return None,
        Then::Close => {}
        Then::Reset => {
            // What was sent is to arrive first.
            tokio::time::sleep(Duration::from_millis(20)).await;
            wire.cut();
        }
    }
    Some(())
}
