//! The HTTP/1.1 client seam: connect, send, read. All that is known of hyper and TLS stands here.
//!
//! A connection is driven by whoever uses it, inside the VU's own task: no task, lock or hand-over per request.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::measure::FailureKind;
use crate::scenario::Origin;

/// Largest head of an answer, and largest piece of a body, that is held at once.
const MAX_BUFFER: usize = 64 * 1024;
/// How long an address that a name led to is used again.
const NAME_LIFE: Duration = Duration::from_secs(10);

/// The TLS settings of all connections: the system's certificates, ring's ciphers.
pub(super) fn tls_config() -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Opens connections to the scenario's origins; one per thread.
#[derive(Clone)]
pub(super) struct Connector {
    tls: Option<Arc<ClientConfig>>,
    names: RefCell<HashMap<String, (Instant, Vec<IpAddr>)>>,
}

impl Connector {
    pub(super) fn new(tls: Option<Arc<ClientConfig>>) -> Self {
        Self {
            tls,
            names: RefCell::default(),
        }
    }

    /// Opens a connection and makes the TLS and HTTP handshakes.
    pub(super) async fn connect(&self, origin: &Origin) -> Result<Connection, FailureKind> {
        let tcp = self.connect_tcp(origin).await?;
        tcp.set_nodelay(true).map_err(|e| of_io(&e))?;
        let transport = if origin.tls {
            Transport::Tls(Box::new(self.handshake(origin, tcp).await?))
        } else {
            Transport::Plain(tcp)
        };
        let reads = Rc::new(Reads::default());
        let io = Watched {
            transport,
            reads: Rc::clone(&reads),
        };
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(MAX_BUFFER)
            .handshake(TokioIo::new(io))
            .await
            .map_err(|e| of_hyper(&e))?;
        Ok(Connection {
            sender,
            driver: Some(Box::pin(driver)),
            reads,
        })
    }

    async fn connect_tcp(&self, origin: &Origin) -> Result<TcpStream, FailureKind> {
        if let Ok(address) = origin.host.parse::<IpAddr>() {
            let address = SocketAddr::new(address, origin.port);
            return TcpStream::connect(address).await.map_err(|e| of_io(&e));
        }
        let mut last = FailureKind::Dns;
        for (i, address) in self.resolve(origin).await?.into_iter().enumerate() {
            match TcpStream::connect(SocketAddr::new(address, origin.port)).await {
                Ok(tcp) => {
                    if i > 0 {
                        self.prefer(&origin.host, address);
                    }
                    return Ok(tcp);
                }
                Err(e) => last = of_io(&e),
            }
        }
        Err(last)
    }

    async fn resolve(&self, origin: &Origin) -> Result<Vec<IpAddr>, FailureKind> {
        if let Some((at, addresses)) = self.names.borrow().get(&origin.host)
            && at.elapsed() < NAME_LIFE
        {
            return Ok(addresses.clone());
        }
        let found = tokio::net::lookup_host((origin.host.as_str(), origin.port))
            .await
            .map_err(|e| match of_io(&e) {
                FailureKind::NoDescriptors => FailureKind::NoDescriptors,
                _ => FailureKind::Dns,
            })?;
        let addresses: Vec<IpAddr> = found.map(|a| a.ip()).collect();
        let entry = (Instant::now(), addresses.clone());
        self.names.borrow_mut().insert(origin.host.clone(), entry);
        Ok(addresses)
    }

    /// Tries the address that answered first the next time (`localhost` is `::1` and `127.0.0.1`).
    fn prefer(&self, host: &str, good: IpAddr) {
        if let Some((_, addresses)) = self.names.borrow_mut().get_mut(host) {
            addresses.sort_by_key(|a| *a != good);
        }
    }

    async fn handshake(
        &self,
        origin: &Origin,
        tcp: TcpStream,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, FailureKind> {
        let config = self.tls.as_ref().ok_or(FailureKind::Tls)?;
        let name = ServerName::try_from(origin.host.clone()).map_err(|_| FailureKind::Tls)?;
        // Whatever ends a connection within the handshake is a failure of the handshake.
        TlsConnector::from(Arc::clone(config))
            .connect(name, tcp)
            .await
            .map_err(|_| FailureKind::Tls)
    }
}

/// The head of an answer.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// When its last byte came.
    pub(super) at: Instant,
    pub(super) body: Incoming,
}

/// Why a request failed.
pub(super) struct SendError {
    pub(super) kind: FailureKind,
    /// The connection ended before any byte of an answer: perhaps the server had closed it while it was idle.
    pub(super) unanswered: bool,
}

/// One open connection.
pub(super) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// `None` once the connection has ended.
    driver: Option<Pin<Box<Driver>>>,
    reads: Rc<Reads>,
}

type Driver = http1::Connection<TokioIo<Watched>, Full<Bytes>>;

impl Connection {
    /// Whether the connection can take another request; a target that closed it meanwhile is noticed here.
    pub(super) async fn is_usable(&mut self) -> bool {
        std::future::poll_fn(|cx| {
            self.poll_driver(cx);
            Poll::Ready(self.driver.is_some() && !self.sender.is_closed())
        })
        .await
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&mut self, request: Request<Bytes>) -> Result<Head, SendError> {
        let before = self.reads.bytes.get();
        let answer = self.send_inner(request).await;
        answer.map_err(|e| SendError {
            kind: of_hyper(&e),
            unanswered: self.reads.bytes.get() == before,
        })
    }

    async fn send_inner(&mut self, request: Request<Bytes>) -> hyper::Result<Head> {
        std::future::poll_fn(|cx| {
            self.poll_driver(cx);
            self.sender.poll_ready(cx)
        })
        .await?;
        let answer = self.sender.send_request(request.map(Full::new));
        let mut answer = pin!(answer);
        let answer = std::future::poll_fn(|cx| {
            self.poll_driver(cx);
            answer.as_mut().poll(cx)
        })
        .await?;
        let (head, body) = answer.into_parts();
        Ok(Head {
            status: head.status,
            headers: head.headers,
            at: self.reads.at.get(),
            body,
        })
    }

    /// The next piece of an answer's body, `None` at its end.
    pub(super) async fn chunk(
        &mut self,
        body: &mut Incoming,
    ) -> Option<Result<Bytes, FailureKind>> {
        std::future::poll_fn(|cx| {
            loop {
                // The body asks for data first, then the driver reads, then the body takes it.
                let mut frame = Pin::new(&mut *body).poll_frame(cx);
                if frame.is_pending() {
                    self.poll_driver(cx);
                    frame = Pin::new(&mut *body).poll_frame(cx);
                }
                return match frame {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(None) => Poll::Ready(None),
                    Poll::Ready(Some(Err(e))) => Poll::Ready(Some(Err(of_hyper(&e)))),
                    Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                        Ok(data) => Poll::Ready(Some(Ok(data))),
                        Err(_trailers) => continue,
                    },
                };
            }
        })
        .await
    }

    /// When the last bytes came.
    pub(super) fn last_read(&self) -> Instant {
        self.reads.at.get()
    }

    fn poll_driver(&mut self, cx: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && driver.as_mut().poll(cx).is_ready()
        {
            self.driver = None;
        }
    }
}

/// What was read from a connection so far.
struct Reads {
    bytes: Cell<u64>,
    at: Cell<Instant>,
}

impl Default for Reads {
    fn default() -> Self {
        Self {
            bytes: Cell::new(0),
            at: Cell::new(Instant::now()),
        }
    }
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

/// A transport that notes how much was read and when.
struct Watched {
    transport: Transport,
    reads: Rc<Reads>,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = match &mut self.transport {
            Transport::Plain(s) => Pin::new(s).poll_read(cx, buf),
            Transport::Tls(s) => Pin::new(s).poll_read(cx, buf),
        };
        let read = buf.filled().len() - before;
        if read > 0 {
            let total = self.reads.bytes.get() + u64::try_from(read).unwrap_or(u64::MAX);
            self.reads.bytes.set(total);
            self.reads.at.set(Instant::now());
        }
        result
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(s) => Pin::new(s).poll_write(cx, buf),
            Transport::Tls(s) => Pin::new(s).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(s) => Pin::new(s).poll_write_vectored(cx, bufs),
            Transport::Tls(s) => Pin::new(s).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self.transport, Transport::Plain(_))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(s) => Pin::new(s).poll_flush(cx),
            Transport::Tls(s) => Pin::new(s).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(s) => Pin::new(s).poll_shutdown(cx),
            Transport::Tls(s) => Pin::new(s).poll_shutdown(cx),
        }
    }
}

fn of_io(error: &io::Error) -> FailureKind {
    match error.raw_os_error() {
        Some(libc::EMFILE | libc::ENFILE) => return FailureKind::NoDescriptors,
        Some(libc::EADDRNOTAVAIL) => return FailureKind::NoPorts,
        _ => {}
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => FailureKind::ConnectRefused,
        io::ErrorKind::UnexpectedEof => FailureKind::Eof,
        io::ErrorKind::TimedOut => FailureKind::Timeout,
        io::ErrorKind::InvalidData => FailureKind::Tls,
        // Resets, broken pipes, and rarer ends such as an unreachable host: the connection is gone.
        _ => FailureKind::Reset,
    }
}

fn of_hyper(error: &hyper::Error) -> FailureKind {
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        if let Some(io) = inner.downcast_ref::<io::Error>() {
            return of_io(io);
        }
        source = inner.source();
    }
    if error.is_parse() || error.is_parse_too_large() || error.is_user() {
        return FailureKind::Protocol;
    }
    // Incomplete messages, and requests that a closed connection never took.
    FailureKind::Eof
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generators_own_shortages_are_told_apart() {
        for (code, kind) in [
            (libc::EMFILE, FailureKind::NoDescriptors),
            (libc::ENFILE, FailureKind::NoDescriptors),
            (libc::EADDRNOTAVAIL, FailureKind::NoPorts),
            (libc::ECONNREFUSED, FailureKind::ConnectRefused),
            (libc::ECONNRESET, FailureKind::Reset),
            (libc::EPIPE, FailureKind::Reset),
            (libc::ETIMEDOUT, FailureKind::Timeout),
        ] {
            let error = io::Error::from_raw_os_error(code);
            assert_eq!(of_io(&error), kind, "{error}");
        }
    }
}
