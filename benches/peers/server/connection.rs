//! One connection of the server: requests in, answers out.

use std::io::{self, IoSliceMut};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;
use tokio::sync::mpsc::unbounded_channel;

use super::{HOLD, SLEEP, State, lock, now_us};

const GOT: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello";
const POSTED: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 11\r\n\r\n{\"ok\":true}";
const ASKED: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: \
     11\r\n\r\n{\"ok\":true}";
const SESSION: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
    set-cookie: sid=0c6ad7f16b0e4f5d; Path=/; HttpOnly; SameSite=Lax\r\ncontent-length: 87\r\n\r\n\
    {\"ok\":true,\"items\":[{\"id\":\"a1\",\"price\":3},{\"id\":\"a2\",\"price\":5},{\"id\":\"a3\",\"price\":4}]}";
const UNKNOWN: &[u8] = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
const STREAM: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

/// Events of an answer, and the time from one to the next: a model that writes 100 words a second.
const TOKENS: u32 = 50;
const TOKEN_GAP: Duration = Duration::from_millis(10);
const TOKEN: &[u8] = b"33\r\ndata: {\"choices\":[{\"delta\":{\"content\":\" word\"}}]}\n\n\r\n";
const LAST_TOKEN: &[u8] = b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";

enum Route {
    Get,
    Post,
    Session,
    Tokens,
    Hold,
    Sleep,
    Stream(String),
    Ask,
    Unknown,
}

struct Request {
    route: Route,
    /// Where its body begins and the request ends.
    body: usize,
    end: usize,
}

#[derive(Deserialize)]
struct Asked {
    id: String,
    user: String,
}

pub(super) async fn serve(mut stream: TcpStream, state: &Arc<State>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if state.args.stamps {
        setsockopt(&stream, sockopt::ReceiveTimestampns, &true)?;
    }
    let mut buffer = Vec::new();
    let mut answered = false;
    loop {
        let came_us = receive(&mut stream, &mut buffer, state.args.stamps).await?;
        while let Some(request) = take(&buffer)? {
            let answer = match request.route {
                Route::Post => POSTED,
                Route::Session => SESSION,
                Route::Tokens => {
                    write_tokens(&mut stream).await?;
                    LAST_TOKEN
                }
                Route::Unknown => UNKNOWN,
                // The first answer shows that the VU is there; then it waits.
                Route::Hold if answered => {
                    state.requests.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(HOLD).await;
                    GOT
                }
                Route::Get | Route::Hold => GOT,
                Route::Sleep => {
                    tokio::time::sleep(SLEEP).await;
                    if let Some(came_us) = came_us {
                        let now_us = now_us();
                        let took = u32::try_from(now_us.saturating_sub(came_us));
                        lock(&state.log_us).push((now_us, took.unwrap_or(u32::MAX)));
                    }
                    GOT
                }
                Route::Ask => {
                    ask(&buffer[request.body..request.end], state)?;
                    ASKED
                }
                Route::Stream(user) => return hold_stream(stream, user, state).await,
            };
            stream.write_all(answer).await?;
            state.requests.fetch_add(1, Ordering::Relaxed);
            if !answered && state.args.expect > 0 && !matches!(request.route, Route::Ask) {
                state.count_towards_all(&state.served);
            }
            answered = true;
            buffer.drain(..request.end);
        }
    }
}

/// Waits for bytes; returns when the kernel got the last of them, if that was asked for.
async fn receive(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    stamps: bool,
) -> io::Result<Option<u64>> {
    let (read, came) = if stamps {
        receive_stamped(stream, buffer).await?
    } else {
        (stream.read_buf(buffer).await?, None)
    };
    if read == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(came)
}

async fn receive_stamped(
    stream: &TcpStream,
    buffer: &mut Vec<u8>,
) -> io::Result<(usize, Option<u64>)> {
    let mut piece = [0; 4096];
    let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
    let got = stream
        .async_io(Interest::READABLE, || {
            let mut pieces = [IoSliceMut::new(&mut piece)];
            let flags = MsgFlags::empty();
            let message =
                recvmsg::<()>(stream.as_raw_fd(), &mut pieces, Some(&mut control), flags)?;
            let came = message.cmsgs()?.find_map(|c| match c {
                ControlMessageOwned::ScmTimestampns(at) => {
                    u64::try_from(Duration::from(at).as_micros()).ok()
                }
                _ => None,
            });
            Ok((message.bytes, came))
        })
        .await?;
    buffer.extend_from_slice(&piece[..got.0]);
    Ok(got)
}

/// The first request in the buffer, once it is complete.
fn take(buffer: &[u8]) -> io::Result<Option<Request>> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(body)) = request.parse(buffer) else {
        return Ok(None);
    };
    let length = request
        .headers
        .iter()
        .find(|h| h.name.eq_ignore_ascii_case("content-length"))
        .map_or(Some(0), |h| {
            std::str::from_utf8(h.value).ok()?.trim().parse().ok()
        })
        .ok_or(io::ErrorKind::InvalidData)?;
    let end = body + length;
    let path = request.path.unwrap_or_default();
    let route = match path {
        "/get" => Route::Get,
        "/post" => Route::Post,
        "/session" => Route::Session,
        "/tokens" => Route::Tokens,
        "/hold" => Route::Hold,
        "/sleep" => Route::Sleep,
        "/questions" => Route::Ask,
        _ if path.starts_with("/get?") => Route::Get,
        _ => match path.strip_prefix("/sse?user=") {
            Some(user) => Route::Stream(user.to_owned()),
            None => Route::Unknown,
        },
    };
    Ok((buffer.len() >= end).then_some(Request { route, body, end }))
}

/// Writes the events of an answer, all but the last one, each in its time.
async fn write_tokens(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(STREAM).await?;
    let mut ticks = tokio::time::interval(TOKEN_GAP);
    for _ in 0..TOKENS {
        ticks.tick().await;
        stream.write_all(TOKEN).await?;
    }
    Ok(())
}

/// Sends the answer to the user's stream when its time has come.
fn ask(body: &[u8], state: &Arc<State>) -> io::Result<()> {
    let question: Asked = serde_json::from_slice(body)?;
    state.count_towards_all(&state.asked);
    let state = Arc::clone(state);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(state.args.answer_after_ms)).await;
        if let Some((_, stream)) = lock(&state.streams).get(&question.user) {
            // A stream that was closed meanwhile needs no answer.
            let _ = stream.send(question.id);
        }
    });
    Ok(())
}

async fn hold_stream(mut stream: TcpStream, user: String, state: &Arc<State>) -> io::Result<()> {
    let (sender, mut answers) = unbounded_channel();
    let number = state.next_stream.fetch_add(1, Ordering::Relaxed);
    lock(&state.streams).insert(user.clone(), (number, sender));
    let held = async {
        stream.write_all(STREAM).await?;
        let mut unread = [0; 64];
        loop {
            tokio::select! {
                answer = answers.recv() => {
                    let Some(id) = answer else { return Ok(()) };
                    let event = format!("event: answer\ndata: {{\"id\":\"{id}\",\"text\":\"the \
                        disk\"}}\n\n");
                    let chunk = format!("{:x}\r\n{event}\r\n", event.len());
                    stream.write_all(chunk.as_bytes()).await?;
                    state.cycles.fetch_add(1, Ordering::Relaxed);
                }
                read = stream.read(&mut unread) => {
                    if read? == 0 {
                        return Ok(());
                    }
                }
            }
        }
    };
    let result = held.await;
    let mut streams = lock(&state.streams);
    // The user may have opened the next one already.
    if streams.get(&user).is_some_and(|(n, _)| *n == number) {
        streams.remove(&user);
    }
    result
}
