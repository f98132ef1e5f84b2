//! Host functions for sockets and streams.

use std::rc::Rc;
use std::sync::Arc;

use breakpoint_coroutine::buffer;
use rquickjs::{Array, ArrayBuffer, Ctx, Exception, Function, IntoJs as _, Object, Result, Value};

use crate::exchange::{Answer, Happened, Message, Op, OpId, SocketRequest, Until};
use crate::host::Host;
use crate::http::{Pending, exchange_of, lines, number};

/// Puts them into `to`.
pub(crate) fn install<'js>(ctx: &Ctx<'js>, host: &Rc<Host>, to: &Object<'js>) -> Result<()> {
    let own = Rc::clone(host);
    let open = move |ctx: Ctx<'js>, kind: u8, method: String, url: String, body, params| {
        own.go_on(&ctx)?;
        if own.call.borrow().is_none() {
            return Err(Exception::throw_message(
                &ctx,
                "init code cannot open connections",
            ));
        }
        own.begins_one_more(&ctx)?;
        let op = match kind {
            0 => socket(&ctx, &own, &url, &params)?,
            _ => stream(&ctx, &own, &method, &url, &body, &params)?,
        };
        Ok(number(own.begin_pending(op, Pending::Channel)))
    };
    to.set("openChannel", Function::new(ctx.clone(), open)?)?;

    let own = Rc::clone(host);
    let send = move |ctx: Ctx<'js>, id: f64, kind: u8, data: Value<'js>| -> Result<()> {
        own.go_on(&ctx)?;
        let message = message(&ctx, kind, &data)?;
        own.begins_one_more(&ctx)?;
        own.take_room(
            &ctx,
            match &message {
                Message::Text(text) => text.len(),
                Message::Binary(bytes) => bytes.len(),
                Message::Ping | Message::Pong => 0,
            },
        )?;
        own.begin_pending(Op::Send(op_id(id), message), Pending::Ignored);
        Ok(())
    };
    to.set("sendTo", Function::new(ctx.clone(), send)?)?;

    let own = Rc::clone(host);
    let close = move |ctx: Ctx<'js>, id: f64, code: u16, why: String| -> Result<()> {
        own.go_on(&ctx)?;
        own.begin(Op::Close(op_id(id), code, why));
        Ok(())
    };
    to.set("closeChannel", Function::new(ctx.clone(), close)?)?;

    // Waits until something happens to one of these; all else is left to the event loop.
    let own = Rc::clone(host);
    let next = move |ctx: Ctx<'js>, ids: Vec<f64>| -> Result<Array<'js>> {
        let ids: Vec<OpId> = ids.into_iter().map(op_id).collect();
        loop {
            own.forget_ignored();
            if let Some((id, happened)) = own.take_of_any(&ids) {
                if ends(&happened) {
                    own.pending.borrow_mut().remove(&id);
                }
                return event(&ctx, id, happened);
            }
            own.wait(&ctx, Until::Anything)?;
        }
    };
    to.set("next", Function::new(ctx.clone(), next)?)?;
    Ok(())
}

/// Whether nothing more happens to an operation.
pub(crate) fn ends(happened: &Happened) -> bool {
    !matches!(
        happened,
        Happened::Opened(_) | Happened::Came(_) | Happened::Event(_) | Happened::Answered(_)
    )
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "casts saturate"
)]
fn op_id(id: f64) -> OpId {
    OpId(id as u64)
}

fn socket<'js>(ctx: &Ctx<'js>, host: &Host, url: &str, params: &Value<'js>) -> Result<Op> {
    // The request that opens it is one of HTTP.
    let plain = match url.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("ws") => format!("http://{rest}"),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("wss") => format!("https://{rest}"),
        _ => {
            let words = format!("`{url}` is not the address of a WebSocket (`ws://..`)");
            return Err(Exception::throw_type(ctx, &words));
        }
    };
    let request = request(
        ctx,
        host,
        "GET",
        &plain,
        &Value::new_null(ctx.clone()),
        params,
    )?;
    let scheme = if request.url.starts_with("https") {
        "wss"
    } else {
        "ws"
    };
    let rest = request.url.split_once("://").map_or("", |(_, rest)| rest);
    Ok(Op::OpenSocket(Box::new(SocketRequest {
        url: format!("{scheme}://{rest}"),
        headers: request.headers,
        timeout: request.timeout,
        name: request.name,
        tags: request.tags,
    })))
}

fn stream<'js>(
    ctx: &Ctx<'js>,
    host: &Host,
    method: &str,
    url: &str,
    body: &Value<'js>,
    params: &Value<'js>,
) -> Result<Op> {
    let mut request = request(ctx, host, method, url, body, params)?;
    if !request
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("accept"))
    {
        request
            .headers
            .push(("Accept".into(), "text/event-stream".into()));
    }
    Ok(Op::OpenStream(request))
}

fn request<'js>(
    ctx: &Ctx<'js>,
    host: &Host,
    method: &str,
    url: &str,
    body: &Value<'js>,
    params: &Value<'js>,
) -> Result<Box<crate::exchange::HttpRequest>> {
    let address = url.into_js(ctx)?;
    let mut exchange = exchange_of(ctx, host, method, &address, body, params)?;
    match exchange.next_op(host) {
        Op::Http(request) if exchange.url.is_some() => Ok(request),
        _ => Err(Exception::throw_type(
            ctx,
            &format!("`{url}` is not an absolute URL"),
        )),
    }
}

fn message<'js>(ctx: &Ctx<'js>, kind: u8, data: &Value<'js>) -> Result<Message> {
    match kind {
        2 => return Ok(Message::Ping),
        3 => return Ok(Message::Pong),
        _ => {}
    }
    if let Some(text) = data.as_string() {
        return Ok(Message::Text(text.to_string()?));
    }
    let own = data.as_object().cloned().and_then(ArrayBuffer::from_object);
    match own.as_ref().and_then(buffer::bytes) {
        Some(bytes) => Ok(Message::Binary(Arc::from(bytes))),
        None => Err(Exception::throw_type(
            ctx,
            "a message is a string or an ArrayBuffer",
        )),
    }
}

/// What happened, as scripts get it: `[id, kind, ..]`.
pub(crate) fn event<'js>(ctx: &Ctx<'js>, id: OpId, happened: Happened) -> Result<Array<'js>> {
    let to = Array::new(ctx.clone())?;
    to.set(0, number(id))?;
    match happened {
        Happened::Answered(answer) | Happened::Opened(answer) => {
            to.set(1, "open")?;
            opened(&to, &answer)?;
        }
        Happened::Failed(failed) => {
            to.set(1, "error")?;
            to.set(2, failed.message)?;
            to.set(3, failed.code)?;
        }
        Happened::Came(Message::Text(text)) => {
            to.set(1, "message")?;
            to.set(2, text)?;
        }
        Happened::Came(Message::Binary(bytes)) => {
            to.set(1, "binaryMessage")?;
            to.set(2, ArrayBuffer::new_copy(ctx.clone(), &*bytes)?)?;
        }
        Happened::Came(Message::Ping) => to.set(1, "ping")?,
        Happened::Came(Message::Pong) => to.set(1, "pong")?,
        Happened::Event(event) => {
            to.set(1, "event")?;
            to.set(2, event.id)?;
            to.set(3, event.name)?;
            to.set(4, event.data)?;
            to.set(5, event.comment)?;
        }
        Happened::Closed(code, why) => {
            to.set(1, "close")?;
            to.set(2, code)?;
            to.set(3, why)?;
        }
        Happened::Waited | Happened::Sent => to.set(1, "done")?,
    }
    Ok(to)
}

fn opened(to: &Array<'_>, answer: &Answer) -> Result<()> {
    to.set(2, answer.status)?;
    to.set(3, lines(&answer.headers))?;
    to.set(
        4,
        answer
            .body
            .as_ref()
            .map(|body| String::from_utf8_lossy(body).into_owned()),
    )
}
