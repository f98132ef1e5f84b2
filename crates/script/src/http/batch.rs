//! `http.batch()`: requests side by side, so many at a time, and so many per host.

use std::collections::{BTreeMap, HashMap};

use rquickjs::{Array, Ctx, Exception, Result, Value};

use super::exchange::Exchange;
use super::request;
use crate::exchange::{OpId, Until};
use crate::host::Host;

/// The most requests of one batch.
const MOST_REQUESTS: usize = 10_000;

/// Runs requests, each `[method, url, body, params]`; gives their outcomes in the same order.
pub(super) fn run<'js>(ctx: &Ctx<'js>, host: &Host, requests: &Array<'js>) -> Result<Array<'js>> {
    if requests.len() > MOST_REQUESTS {
        let words = format!("a batch has up to {MOST_REQUESTS} requests");
        return Err(Exception::throw_range(ctx, &words));
    }
    let mut waiting = Vec::new();
    for (index, request) in requests.iter::<Array<'js>>().enumerate() {
        let request = request?;
        let method: String = request.get(0)?;
        let [url, body, params] = [1, 2, 3].map(|part| request.get::<Value<'js>>(part));
        let exchange = request::build(ctx, host, &method, &url?, &body?, &params?)?;
        waiting.push((index, exchange));
    }
    host.go_on(ctx)?;
    let outcomes = Array::new(ctx.clone())?;
    let mut queue = Queue::new(host, waiting);
    loop {
        queue.begin(host);
        if queue.running.is_empty() {
            return Ok(outcomes);
        }
        let ids = queue.running.keys().copied().collect();
        // Whoever waits for a place takes it as soon as any request has ended.
        let until = if queue.waiting.is_empty() {
            Until::Ended(ids)
        } else {
            Until::Anything
        };
        host.wait(ctx, until)?;
        queue.take(host, ctx, &outcomes)?;
    }
}

/// What is running and what waits for a place.
struct Queue {
    waiting: Vec<(usize, Exchange)>,
    running: BTreeMap<OpId, (usize, Exchange)>,
    per_host: HashMap<String, usize>,
    most: usize,
    most_per_host: usize,
}

impl Queue {
    fn new(host: &Host, waiting: Vec<(usize, Exchange)>) -> Self {
        let settings = host.http.borrow();
        Self {
            waiting,
            running: BTreeMap::new(),
            per_host: HashMap::new(),
            most: settings.batch,
            most_per_host: settings.batch_per_host,
        }
    }

    /// Begins as many as may run.
    fn begin(&mut self, host: &Host) {
        let mut at = 0;
        while at < self.waiting.len() && self.running.len() < self.most {
            let place = place(&self.waiting[at].1);
            if self
                .per_host
                .get(&place)
                .is_some_and(|there| *there >= self.most_per_host)
            {
                at += 1;
                continue;
            }
            let (index, mut exchange) = self.waiting.remove(at);
            let op = exchange.next_op(host);
            *self.per_host.entry(place).or_default() += 1;
            self.running.insert(host.begin(op), (index, exchange));
        }
    }

    /// Takes what happened to those that run.
    fn take<'js>(&mut self, host: &Host, ctx: &Ctx<'js>, outcomes: &Array<'js>) -> Result<()> {
        let ids: Vec<OpId> = self.running.keys().copied().collect();
        for id in ids {
            let Some(happened) = host.take_of(id) else {
                continue;
            };
            let Some((index, mut exchange)) = self.running.remove(&id) else {
                continue;
            };
            if let Some(there) = self.per_host.get_mut(&place(&exchange)) {
                *there -= 1;
            }
            match exchange.take(host, happened) {
                Some(op) => {
                    *self.per_host.entry(place(&exchange)).or_default() += 1;
                    self.running.insert(host.begin(op), (index, exchange));
                }
                None => outcomes.set(index, exchange.outcome(ctx)?)?,
            }
        }
        Ok(())
    }
}

/// Whose limit a request counts for.
fn place(exchange: &Exchange) -> String {
    exchange
        .url
        .as_ref()
        .map(|url| url[..url::Position::BeforePath].to_owned())
        .unwrap_or_default()
}
