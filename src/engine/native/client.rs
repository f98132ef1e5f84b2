//! The connections of one user: a request goes out on the one that was kept to its origin, or on a
//! new one.

use std::time::{Duration, Instant};

use http::Method;

use super::http::{Connection, Head, Want};
use super::idle::IdleLimit;
use super::kind::Kind;
use super::why;
use crate::engine::trace::Mark;
use crate::measure::FailureKind;
use crate::scenario::{Http, Origin};

/// A head with the connection that it came on, from which its body is still to be read.
pub(super) type Exchanged = (Box<Connection>, Head);

/// How often a request is sent again that a server did not take from a connection which VUs share.
const REPEATS: u32 = 3;

/// Why there is no answer from a new connection.
struct Unanswered {
    kind: FailureKind,
    /// The server said that it did nothing of the request.
    not_processed: bool,
}

impl From<FailureKind> for Unanswered {
    /// A connection that was not made.
    fn from(kind: FailureKind) -> Self {
        Self {
            kind,
            not_processed: false,
        }
    }
}

/// The connections of one user.
pub(super) struct Client<'a> {
    kind: &'a Kind,
    /// Whose they are.
    vu: u32,
    /// The one that is kept to each origin.
    kept: Vec<Option<Box<Connection>>>,
}

impl<'a> Client<'a> {
    pub(super) fn new(kind: &'a Kind, vu: u32) -> Self {
        Self {
            kept: kind.scenario.origins().iter().map(|_| None).collect(),
            kind,
            vu,
        }
    }

    /// Sends a request on the kept connection or a new one.
    ///
    /// A kept connection that ends at once was perhaps closed by the target while it was idle: the
    /// request is then sent once more, on a new connection, and the clock runs on.
    pub(super) async fn exchange(
        &mut self,
        origin: usize,
        now: Instant,
        request: &[u8],
        want: Want<'_>,
    ) -> Result<Exchanged, FailureKind> {
        let limit = &self.kind.idle_limits[origin];
        let kept = self.kept[origin].take();
        let to = &self.kind.scenario.origins()[origin];
        self.exchange_on(kept, (to, limit), now, request, want)
            .await
    }

    /// The same on a connection that somebody else kept.
    pub(super) async fn exchange_on(
        &self,
        kept: Option<Box<Connection>>,
        (origin, limit): (&Origin, &IdleLimit),
        now: Instant,
        request: &[u8],
        want: Want<'_>,
    ) -> Result<Exchanged, FailureKind> {
        if let Some(mut kept) = kept
            && let Some(idle) = still_usable(&mut kept, now, limit).await
        {
            match kept.send(request, want).await {
                Ok(head) => {
                    limit.survived(idle);
                    return Ok((kept, head));
                }
                Err(e) => {
                    if e.unanswered {
                        limit.ended(idle);
                    }
                    // What may have been worked on is not sent twice, unless it asks for nothing to
                    // be done.
                    let may_repeat = e.closed_while_idle && is_idempotent(want.method);
                    if !(may_repeat || e.not_processed) {
                        return Err(e.kind);
                    }
                    why::clear();
                    self.note(|| {
                        if e.not_processed {
                            "the server did not take the request; retrying".to_owned()
                        } else {
                            "the kept connection was closed; retrying".to_owned()
                        }
                    });
                }
            }
        }
        self.exchange_anew(origin, request, want).await
    }

    /// Sends a request on a connection of its own.
    ///
    /// A connection that others share may end, for all that was sent since the last request that
    /// the server took: whom it did not take asks on the next one, where that was said (RFC 9113,
    /// section 6.8).
    pub(super) async fn exchange_anew(
        &self,
        origin: &Origin,
        request: &[u8],
        want: Want<'_>,
    ) -> Result<Exchanged, FailureKind> {
        let shares = self.kind.thread.connector.shares();
        let mut left = if shares { REPEATS } else { 0 };
        loop {
            match self.exchange_once(origin, request, want).await {
                Err(e) if e.not_processed && left > 0 => {
                    left -= 1;
                    why::clear();
                    self.note(|| "the server did not take the request; retrying".to_owned());
                }
                Err(e) => return Err(e.kind),
                Ok(exchanged) => return Ok(exchanged),
            }
        }
    }

    /// Connecting takes room for names and TLS, which no user needs that has a connection: it gets
    /// that room when it needs it.
    async fn exchange_once(
        &self,
        origin: &Origin,
        request: &[u8],
        want: Want<'_>,
    ) -> Result<Exchanged, Unanswered> {
        self.note(|| format!("connecting to {origin}"));
        let connector = &self.kind.thread.connector;
        let mut connection = Box::new(if want.upgrades {
            Box::pin(connector.connect_to_upgrade(origin, self.vu)).await?
        } else {
            Box::pin(connector.connect(origin, self.vu)).await?
        });
        if connector.http() != Http::One {
            self.note(|| format!("connected, speaking {}", connection.version().shown()));
        }
        let head = connection.send(request, want).await.map_err(|e| {
            connector.note_end(origin, e.kind);
            Unanswered {
                kind: e.kind,
                not_processed: e.not_processed,
            }
        })?;
        Ok((connection, head))
    }

    /// Keeps a connection whose answer was read for the next request to an origin.
    pub(super) fn keep(&mut self, origin: usize, connection: Box<Connection>) {
        self.kept[origin] = Some(connection);
    }

    /// Closes all.
    pub(super) fn close(&mut self) {
        self.kept.fill_with(|| None);
    }

    fn note(&self, text: impl FnOnce() -> String) {
        if let Some(trace) = &self.kind.trace {
            trace.say(Mark::Note, &text());
        }
    }
}

/// How long a kept connection was idle that can take another request; `None` where it has ended, or
/// is about to.
async fn still_usable(kept: &mut Connection, now: Instant, limit: &IdleLimit) -> Option<Duration> {
    let idle = kept.idle_at(now);
    let (told, round_trip) = kept.limits();
    if limit.is_over(idle, told, round_trip) {
        return None;
    }
    if kept.is_usable().await {
        return Some(idle);
    }
    if kept.may_go_on() {
        limit.ended(idle);
    }
    None
}

/// Whether a request may be sent again where nobody knows whether it was worked on (RFC 9110,
/// section 9.2.2).
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS | Method::TRACE
    )
}
