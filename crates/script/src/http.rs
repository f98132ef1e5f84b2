//! `k6/http`: what a script asks becomes requests, one for each hop, and their answers what it
//! gets.

mod batch;
mod digest;
mod exchange;
mod jar;
mod params;
mod request;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use breakpoint_coroutine::buffer;
use rquickjs::{Array, ArrayBuffer, Ctx, Exception, Function, Object, Result, Value};
use serde_json::Value as Json;

pub(crate) use self::exchange::{Exchange, lines};
pub(crate) use self::jar::Jars;
pub(crate) use self::params::tags_of;
pub(crate) use self::request::build as exchange_of;
use crate::exchange::{Expected, Happened, OpId};
use crate::host::Host;

/// What the event loop waits for.
pub(crate) enum Pending {
    /// A timer of the script's.
    Timer,
    /// A request that the script did not wait for.
    Exchange(Box<Exchange>),
    /// A socket or stream.
    Channel,
    /// What the script does not hear of.
    Ignored,
}

/// What holds for all requests of a VU.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "options of a script, each on or off"
)]
pub(crate) struct Settings {
    max_redirects: u32,
    batch: usize,
    batch_per_host: usize,
    discards: bool,
    pub(crate) throws: bool,
    user_agent: Option<String>,
    keeps_connection: bool,
    keeps_cookies: bool,
    expected: Expected,
    timeout: Duration,
}

impl Settings {
    /// As the script's options have it.
    pub(crate) fn of(options: &Json) -> Self {
        let flag = |name: &str| options.get(name).and_then(Json::as_bool).unwrap_or(false);
        let count =
            |name: &str, default: u64| options.get(name).and_then(Json::as_u64).unwrap_or(default);
        let limit = |name: &str, default| match count(name, default) {
            // 0 is "no limit".
            0 => usize::MAX,
            limit => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        Self {
            max_redirects: u32::try_from(count("maxRedirects", 10)).unwrap_or(u32::MAX),
            batch: limit("batch", 20),
            batch_per_host: limit("batchPerHost", 6),
            discards: flag("discardResponseBodies"),
            throws: flag("throw"),
            user_agent: options
                .get("userAgent")
                .and_then(Json::as_str)
                .map(str::to_owned),
            keeps_connection: !flag("noConnectionReuse"),
            keeps_cookies: flag("noCookiesReset"),
            expected: Expected::Statuses(Arc::from([200..=399])),
            timeout: Duration::from_secs(60),
        }
    }

    /// Whether cookies are kept from one iteration to the next.
    pub(crate) fn keeps_cookies(&self) -> bool {
        self.keeps_cookies
    }
}

/// Host functions for `k6/http`.
pub(crate) fn install<'js>(ctx: &Ctx<'js>, host: &Rc<Host>, to: &Object<'js>) -> Result<()> {
    let own = Rc::clone(host);
    let request = move |ctx: Ctx<'js>, method: String, url, body, params| {
        let mut exchange = request::build(&ctx, &own, &method, &url, &body, &params)?;
        own.go_on(&ctx)?;
        let mut op = Some(exchange.next_op(&own));
        while let Some(hop) = op.take() {
            let id = own.begin(hop);
            let happened = own.wait_for(&ctx, id)?;
            op = exchange.take(&own, happened);
        }
        exchange.outcome(&ctx)
    };
    to.set("request", Function::new(ctx.clone(), request)?)?;

    let own = Rc::clone(host);
    let begin = move |ctx: Ctx<'js>, method: String, url, body, params| -> Result<f64> {
        let mut exchange = request::build(&ctx, &own, &method, &url, &body, &params)?;
        own.go_on(&ctx)?;
        if own.call.borrow().is_none() {
            let words = "init code cannot make requests";
            return Err(Exception::throw_message(&ctx, words));
        }
        own.begins_one_more(&ctx)?;
        let op = exchange.next_op(&own);
        let id = own.begin_pending(op, Pending::Exchange(Box::new(exchange)));
        Ok(number(id))
    };
    to.set("beginRequest", Function::new(ctx.clone(), begin)?)?;

    let own = Rc::clone(host);
    let batch = move |ctx: Ctx<'js>, requests: Array<'js>| batch::run(&ctx, &own, &requests);
    to.set("batch", Function::new(ctx.clone(), batch)?)?;

    let own = Rc::clone(host);
    let judge = move |ctx: Ctx<'js>, callback: Value<'js>| -> Result<()> {
        let expected = params::expected(&ctx, &callback)?;
        own.http.borrow_mut().expected = expected;
        Ok(())
    };
    to.set("setResponseCallback", Function::new(ctx.clone(), judge)?)?;
    texts(ctx, to)?;
    let throws = host.http.borrow().throws;
    to.set("throws", throws)?;
    jar::install(ctx, host, to)
}

/// Host functions that make values of bodies.
fn texts<'js>(ctx: &Ctx<'js>, to: &Object<'js>) -> Result<()> {
    let select = |ctx: Ctx<'js>, body: String, selector: String| -> Result<Value<'js>> {
        match crate::gjson::select_text(&body, &selector) {
            Ok(Some(found)) => ctx.json_parse(found),
            Ok(None) => Ok(Value::new_undefined(ctx)),
            Err(error) => Err(Exception::throw_message(&ctx, &error.to_string())),
        }
    };
    to.set("select", Function::new(ctx.clone(), select)?)?;
    let text = |ctx: Ctx<'js>, buffer: ArrayBuffer<'js>| match buffer::bytes(&buffer) {
        Some(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        None => Err(Exception::throw_type(&ctx, "the buffer was detached")),
    };
    to.set("text", Function::new(ctx.clone(), text)?)?;
    let join = |ctx: Ctx<'js>, base: String, to: String| -> Result<String> {
        let joined = url::Url::parse(&base).and_then(|base| base.join(&to));
        joined.map(Into::into).map_err(|_| {
            Exception::throw_type(&ctx, &format!("`{to}` of `{base}` is not an address"))
        })
    };
    to.set("join", Function::new(ctx.clone(), join)?)?;
    let bytes_of = |ctx: Ctx<'js>, text: String| ArrayBuffer::new_copy(ctx, text.as_bytes());
    to.set("bytesOf", Function::new(ctx.clone(), bytes_of)?)
}

/// Takes on a request that the script did not wait for; gives its outcome once it has one.
pub(crate) fn take_on<'js>(
    ctx: &Ctx<'js>,
    host: &Host,
    mut exchange: Box<Exchange>,
    happened: Happened,
    first: OpId,
) -> Result<Option<(OpId, Array<'js>)>> {
    let first = exchange.first.unwrap_or(first);
    exchange.first = Some(first);
    match exchange.take(host, happened) {
        Some(op) => {
            host.begin_pending(op, Pending::Exchange(exchange));
            Ok(None)
        }
        None => exchange.outcome(ctx).map(|outcome| Some((first, outcome))),
    }
}

/// An operation's number as scripts see it.
#[expect(clippy::cast_precision_loss, reason = "nobody begins 2^53 operations")]
pub(crate) fn number(id: OpId) -> f64 {
    id.0 as f64
}
