//! Connections to Redis servers whose answers have an end. The crate reads whatever a server claims
//! to send into memory; so what arrives is followed before it gets there.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionAddr, ErrorKind, RedisError, RedisResult};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::timeout;

use crate::scenario::Allowed;

/// Bytes that the answers to all that is asked at once may have: a list of 35 000 subscribers.
const BYTES: u64 = 12 << 20;
/// Values in them. What is asked for has some dozens, for lists of clients are texts.
const VALUES: u64 = 10_000;
/// Values within values.
const DEPTH: usize = 16;
/// The longest number or line that is no text of its own: the kind and the length of what follows,
/// or an error.
const LINE: usize = 4 << 10;

/// Why a server is not listened to any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnreadableReply {
    /// More than anybody asked for.
    #[error("it answers more than {} MiB, or {VALUES} values; the rest is ignored", BYTES >> 20)]
    TooMuch,
    /// Something else than a Redis server.
    #[error("it does not speak the Redis protocol")]
    Foreign,
}

/// Follows values of RESP (2 and 3,
/// <https://redis.io/docs/latest/develop/reference/protocol-spec/>) as they arrive, and keeps of
/// them no more than where they end.
#[derive(Debug, Default)]
pub(super) struct ValueFollower {
    bytes: u64,
    values: u64,
    /// How many values are still to come, within the value within which, and so on.
    open: Vec<u64>,
    state: ParseState,
}

#[derive(Debug, Default)]
enum ParseState {
    /// Before the first byte of a value.
    #[default]
    Begin,
    /// Within the line that begins a value of this kind.
    Line(u8, Vec<u8>),
    /// Within a text and the line break behind it, of which so much is left.
    Text(u64),
}

impl ValueFollower {
    /// What was asked before is answered: there is room for the next answers.
    pub(super) fn renew(&mut self) {
        (self.bytes, self.values) = (0, 0);
    }

    /// Takes what arrived next.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<(), UnreadableReply> {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        if self.bytes > BYTES {
            return Err(UnreadableReply::TooMuch);
        }
        while let Some((first, rest)) = bytes.split_first() {
            match &mut self.state {
                ParseState::Begin => {
                    self.state = ParseState::Line(*first, Vec::new());
                    bytes = rest;
                }
                ParseState::Line(kind, line) => {
                    let end = bytes.iter().position(|b| *b == b'\n');
                    let piece = &bytes[..end.unwrap_or(bytes.len())];
                    if line.len() + piece.len() > LINE {
                        return Err(UnreadableReply::TooMuch);
                    }
                    line.extend_from_slice(piece);
                    bytes = &bytes[piece.len()..];
                    if end.is_some() {
                        bytes = &bytes[1..];
                        let (kind, line) = (*kind, std::mem::take(line));
                        self.state = ParseState::Begin;
                        self.line(kind, &line)?;
                    }
                }
                ParseState::Text(left) => {
                    let piece = bytes
                        .len()
                        .min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= piece as u64;
                    bytes = &bytes[piece..];
                    if *left == 0 {
                        self.state = ParseState::Begin;
                        self.ended();
                    }
                }
            }
        }
        Ok(())
    }

    /// A line that begins a value, without its end.
    fn line(&mut self, kind: u8, line: &[u8]) -> Result<(), UnreadableReply> {
        self.values += 1;
        if self.values > VALUES {
            return Err(UnreadableReply::TooMuch);
        }
        let number = || {
            let text = std::str::from_utf8(line).ok()?;
            text.trim().parse::<i64>().ok()
        };
        match kind {
            b'+' | b'-' | b':' | b'_' | b'#' | b',' | b'(' => self.ended(),
            b'$' | b'=' | b'!' => match u64::try_from(number().ok_or(UnreadableReply::Foreign)?) {
                Ok(length) if length > BYTES => return Err(UnreadableReply::TooMuch),
                Ok(length) => self.state = ParseState::Text(length + 2),
                // None at all.
                Err(_) => self.ended(),
            },
            b'*' | b'~' | b'>' | b'%' | b'|' => {
                let Ok(count) = u64::try_from(number().ok_or(UnreadableReply::Foreign)?) else {
                    self.ended();
                    return Ok(());
                };
                let count = match kind {
                    b'%' => count.saturating_mul(2),
                    // With the value that the attributes are of.
                    b'|' => count.saturating_mul(2).saturating_add(1),
                    _ => count,
                };
                if count > VALUES - self.values || self.open.len() >= DEPTH {
                    return Err(UnreadableReply::TooMuch);
                }
                if count == 0 {
                    self.ended();
                } else {
                    self.open.push(count);
                }
            }
            _ => return Err(UnreadableReply::Foreign),
        }
        Ok(())
    }

    /// A value is whole, and with it perhaps those that it is the last of.
    fn ended(&mut self) {
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return;
            }
            self.open.pop();
        }
    }
}

/// Whatever arrives, in any pieces: nothing panics, and what is kept has an end.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    let (mut whole, mut pieces) = (ValueFollower::default(), ValueFollower::default());
    let said = whole.push(data);
    let said_of_pieces = data.chunks(7).try_for_each(|piece| pieces.push(piece));
    assert_eq!(said.is_ok(), said_of_pieces.is_ok());
    assert!(whole.open.len() <= DEPTH);
    if let ParseState::Line(_, line) = &whole.state {
        assert!(line.len() <= LINE);
    }
}

/// What a connection and who asks over it know of each other.
#[derive(Debug, Default)]
struct ConnectionState {
    follower: ValueFollower,
    refused: Option<UnreadableReply>,
}

fn lock(shared: &Mutex<ConnectionState>) -> std::sync::MutexGuard<'_, ConnectionState> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that is followed.
#[derive(Debug, Clone)]
pub(crate) struct RedisConnection {
    inner: MultiplexedConnection,
    shared: Arc<Mutex<ConnectionState>>,
}

impl RedisConnection {
    /// Connects, and says who asks. A server that is not this machine's must be allowed.
    pub(crate) async fn open(
        url: &str,
        allowed: &Allowed,
        connect: Duration,
        answer: Option<Duration>,
    ) -> RedisResult<Self> {
        let client = redis::Client::open(url)?;
        let info = client.get_connection_info();
        let shared = Arc::new(Mutex::new(ConnectionState::default()));
        let config = AsyncConnectionConfig::new().set_response_timeout(answer);
        let opened = async {
            let stream: Box<dyn ByteStream> = match info.addr() {
                ConnectionAddr::Tcp(host, port) => Box::new(tcp(host, *port, allowed).await?),
                ConnectionAddr::Unix(path) => Box::new(UnixStream::connect(path).await?),
                _ => return Err((ErrorKind::InvalidClientConfig, "no TLS is spoken here").into()),
            };
            let shared = Arc::clone(&shared);
            let stream = Followed { stream, shared };
            MultiplexedConnection::new_with_config(info.redis_settings(), stream, config).await
        };
        let opened = match timeout(connect, opened).await {
            Ok(opened) => opened,
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        };
        let (inner, driver) = opened.map_err(|error| why(&shared, error))?;
        tokio::spawn(driver);
        Ok(Self { inner, shared })
    }

    /// All that was asked is answered: there is room for the next answers.
    pub(crate) fn renew(&self) {
        lock(&self.shared).follower.renew();
    }

    /// Asks.
    pub(crate) async fn ask<T: redis::FromRedisValue>(
        &self,
        command: &redis::Cmd,
    ) -> RedisResult<T> {
        let asked = command.query_async(&mut self.inner.clone()).await;
        asked.map_err(|error| why(&self.shared, error))
    }
}

/// Why the connection was ended says more than that it was.
fn why(shared: &Mutex<ConnectionState>, error: RedisError) -> RedisError {
    match lock(shared).refused {
        Some(refused) => io::Error::new(io::ErrorKind::ConnectionAborted, refused).into(),
        None => error,
    }
}

async fn tcp(host: &str, port: u16, allowed: &Allowed) -> RedisResult<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in lookup_host((host, port)).await? {
        let ip: IpAddr = address.ip();
        if !allowed.permits(host, ip) {
            let text = format!("{host} ({ip}) is not this machine, and was not allowed");
            last = io::Error::new(io::ErrorKind::PermissionDenied, text);
            continue;
        }
        match TcpStream::connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last.into())
}

trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> ByteStream for S {}

/// A stream of which nothing is read that nobody asked for.
struct Followed {
    stream: Box<dyn ByteStream>,
    shared: Arc<Mutex<ConnectionState>>,
}

impl AsyncRead for Followed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        std::task::ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let mut shared = lock(&self.shared);
        let followed = shared.follower.push(&buffer.filled()[before..]);
        Poll::Ready(followed.map_err(|refused| {
            shared.refused = Some(refused);
            io::Error::new(io::ErrorKind::ConnectionAborted, refused)
        }))
    }
}

impl AsyncWrite for Followed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn whole_answers_are_followed_to_their_end_whatever_their_cuts() {
        let answers = b"+OK\r\n$5\r\nhello\r\n*3\r\n:1\r\n$-1\r\n*2\r\n+a\r\n*0\r\n%1\r\n+k\r\n,1.5\r\n|1\r\n+a\r\n+b\r\n#t\r\n-ERR no\r\n_\r\n";
        for size in 1..answers.len() {
            let mut follower = ValueFollower::default();
            for piece in answers.chunks(size) {
                follower.push(piece).unwrap();
            }
            assert!(follower.open.is_empty() && matches!(follower.state, ParseState::Begin));
            assert_eq!(follower.values, 17);
        }
    }

    #[test]
    fn what_never_ends_is_refused_before_it_is_read() {
        let nested = "*1\r\n".repeat(DEPTH + 1);
        let line = format!("+{}", "x".repeat(LINE + 1));
        let many = "_\r\n".repeat(10_001);
        for claim in [
            "$5900000000\r\n",
            "$9223372036854775807\r\n",
            "*2147483647\r\n",
            "%9223372036854775807\r\n",
            "|9223372036854775807\r\n",
            &nested,
            &line,
            &many,
        ] {
            let said = ValueFollower::default().push(claim.as_bytes());
            assert_eq!(
                said,
                Err(UnreadableReply::TooMuch),
                "{}",
                &claim[..claim.len().min(20)]
            );
        }
        for foreign in ["HTTP/1.1 200 OK\r\n", "$x\r\n", "*\r\n"] {
            let said = ValueFollower::default().push(foreign.as_bytes());
            assert_eq!(said, Err(UnreadableReply::Foreign), "{foreign}");
        }
        // What is asked later has room of its own.
        let mut follower = ValueFollower::default();
        let big = format!("${}\r\n{}\r\n", 8 << 20, "x".repeat(8 << 20));
        follower.push(big.as_bytes()).unwrap();
        follower.renew();
        follower.push(big.as_bytes()).unwrap();
        assert_eq!(follower.push(big.as_bytes()), Err(UnreadableReply::TooMuch));
    }

    #[tokio::test]
    async fn a_server_that_answers_without_end_is_left_and_that_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut asked = [0; 4096];
                    while let Ok(read @ 1..) = stream.read(&mut asked).await {
                        let is_info =
                            String::from_utf8_lossy(&asked[..read]).contains("\r\nINFO\r\n");
                        let answer = if is_info {
                            "$5900000000\r\n"
                        } else {
                            "+OK\r\n+OK\r\n"
                        };
                        if stream.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        let second = Duration::from_secs(1);
        let nobody = Allowed::default();
        let connection = RedisConnection::open(&url, &nobody, second, Some(second))
            .await
            .unwrap();
        let error = connection
            .ask::<String>(&redis::cmd("INFO"))
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("answers more than 12 MiB"),
            "{error}"
        );
        let elsewhere =
            RedisConnection::open("redis://192.0.2.1", &nobody, second, Some(second)).await;
        let error = elsewhere.unwrap_err().to_string();
        assert!(error.contains("was not allowed"), "{error}");
    }
}
