//! What a script begins, carried out: requests over the user's connections, and waiting.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::time::{Duration, Instant};

use breakpoint_script::exchange::{
    Answer, BodyUse, Expected, Failed, Happened, HttpRequest, Op, OpId, Printed, RequestName,
    Sample, Timings,
};
use http::header::RETRY_AFTER;
use http::{Method, StatusCode};

use super::channels::Channels;
use super::running::Next;
use super::tagged::{self, Tagged};
use super::telling::Told;
use super::wire::{self, Connecting, Place};
use super::{Counted, Function, ScriptThread, ending_of};
use crate::engine::EngineError;
use crate::engine::native::client::Client;
use crate::engine::native::http::{Connection, Encoding, Head, Keep, NOT_ALLOWED, Version, Want};
use crate::engine::native::idle::IdleLimit;
use crate::engine::native::kind::Kind;
use crate::engine::native::limit::TimeLimit;
use crate::engine::native::recorder::Ending;
use crate::engine::native::vu::{Rows, VuState};
use crate::engine::native::why::{self, Words};
use crate::engine::trace::Mark;
use crate::measure::{Failure, FailureKind};
use crate::scenario::{Expect, Origin, same_origin, text_of};
use crate::secret::masked;
use crate::units;

/// Addresses that are known without being read again, names that have no row, and the longest wait:
/// a script makes as many and as long ones as it likes.
const MOST_PLACES: usize = 1_000;
const MOST_LATE: usize = 1_000;
pub(super) const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Connections of one user to one origin that are kept.
const MOST_KEPT: usize = 32;

/// What was learned on one thread.
#[derive(Default)]
pub(in crate::engine::native) struct Kept {
    places: RefCell<HashMap<String, Rc<Known>>>,
    idle: RefCell<Vec<(Origin, Rc<IdleLimit>)>>,
    late: RefCell<HashSet<String>>,
}

/// An address that was asked for before.
pub(super) struct Known {
    pub(super) place: Place,
    idle: Rc<IdleLimit>,
    /// By method what its requests are called where the script does not say, and where they are
    /// counted.
    named: RefCell<Vec<(String, Rc<Named>)>>,
}

/// What a request is called, and where it is counted.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) row: Option<usize>,
}

impl Kept {
    pub(super) fn known(&self, url: &str) -> Result<Rc<Known>, String> {
        if let Some(known) = self.places.borrow().get(url) {
            return Ok(Rc::clone(known));
        }
        let place = Place::read(url)?;
        let known = Rc::new(Known {
            idle: self.idle_of(&place.origin),
            place,
            named: RefCell::default(),
        });
        let mut places = self.places.borrow_mut();
        if places.len() >= MOST_PLACES {
            places.clear();
        }
        places.insert(url.to_owned(), Rc::clone(&known));
        Ok(known)
    }

    fn idle_of(&self, origin: &Origin) -> Rc<IdleLimit> {
        let mut all = self.idle.borrow_mut();
        if let Some((_, idle)) = all.iter().find(|(known, _)| same_origin(known, origin)) {
            return Rc::clone(idle);
        }
        if all.len() >= MOST_PLACES {
            all.clear();
        }
        let idle = Rc::new(IdleLimit::default());
        all.push((origin.clone(), Rc::clone(&idle)));
        idle
    }
}

/// Where one user's operations are carried out.
pub(super) struct Desk<'a> {
    pub(super) kind: &'a Kind,
    pub(super) script: &'a ScriptThread,
    pub(super) state: &'a VuState,
    pub(super) client: Client<'a>,
    /// Connections that nobody uses just now.
    connections: RefCell<Vec<(Origin, Box<Connection>)>>,
    limits: RefCell<Vec<TimeLimit>>,
    /// When the iteration began.
    began: Cell<Instant>,
    /// When the last thing that the iteration waited for was there.
    pub(super) last: Cell<Instant>,
    /// Requests of this iteration that passed, and that failed.
    went: Cell<(u32, u32)>,
    thought: Cell<Duration>,
    pub(super) failure: RefCell<Option<Box<Failure>>>,
    /// Sockets and streams that are open.
    pub(super) channels: Channels,
}

/// An answer as it came.
pub(super) struct Came {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
    pub(super) encoding: Encoding,
    pub(super) timings: Timings,
    pub(super) connection: Option<Box<Connection>>,
}

/// Why there is none.
pub(super) struct Missing {
    pub(super) kind: FailureKind,
    pub(super) words: Option<Words>,
}

impl From<FailureKind> for Missing {
    /// Of one whose words were noted just now.
    fn from(kind: FailureKind) -> Self {
        Self {
            kind,
            words: why::take(kind),
        }
    }
}

impl<'a> Desk<'a> {
    pub(super) fn new(
        kind: &'a Kind,
        script: &'a ScriptThread,
        state: &'a VuState,
        id: u32,
    ) -> Self {
        Self {
            kind,
            script,
            state,
            client: Client::new(kind, id),
            connections: RefCell::default(),
            limits: RefCell::default(),
            began: Cell::new(Instant::now()),
            last: Cell::new(Instant::now()),
            went: Cell::default(),
            thought: Cell::default(),
            failure: RefCell::default(),
            channels: Channels::default(),
        }
    }

    /// An iteration begins.
    pub(super) fn begin(&self, now: Instant) {
        self.began.set(now);
        self.last.set(now);
        self.went.set((0, 0));
        self.failure.take();
    }

    /// How long the iteration took, sleeps included.
    pub(super) fn lasted(&self) -> Duration {
        self.last().saturating_duration_since(self.began.get())
    }

    /// When the last thing that the iteration waited for was there.
    pub(super) fn last(&self) -> Instant {
        self.last.get()
    }

    /// Counts what a script measured itself, and shows it and what it printed to one who looks.
    pub(super) fn note(&self, samples: &[Sample], printed: &[Printed]) {
        if !samples.is_empty() {
            let table = &self.script.work.table;
            let mut recorder = self.kind.thread.recorder.borrow_mut();
            for sample in samples {
                for (row, as_row) in table.metrics(&sample.metric, tagged::is_of(&sample.tags)) {
                    let row = self.kind.first_row + row;
                    match ending_of(sample, as_row) {
                        Counted::One(ending) => recorder.count(row, ending),
                        Counted::Many(passes) => recorder.count_many(row, passes),
                    }
                }
            }
        }
        self.say_noted(samples, printed);
    }

    /// The load cannot go on.
    pub(super) fn end_load(&self, why: EngineError) {
        self.kind.thread.over.borrow_mut().get_or_insert(why);
    }

    /// How many requests of this iteration have ended.
    pub(super) fn requests(&self) -> u32 {
        let (passed, failed) = self.went.get();
        passed + failed
    }

    /// Whether more requests of this iteration passed than failed.
    pub(super) fn answers(&self) -> bool {
        let (passed, failed) = self.went.get();
        passed > failed
    }

    /// Think time that was skipped.
    pub(super) fn take_thought(&self) -> Duration {
        self.thought.take()
    }

    /// How the target failed one who looks: not where most of his requests passed, unless he sees
    /// all of them.
    pub(super) fn take_failure(&self) -> Option<Box<Failure>> {
        let (passed, failed) = self.went.get();
        let failure = self.failure.take();
        failure.filter(|_| failed > passed || self.kind.trace.is_some())
    }

    /// Closes the connections that nobody uses.
    pub(super) fn close(&self) {
        self.connections.borrow_mut().clear();
    }

    /// Does what a script began.
    pub(super) async fn carry_out(&self, id: OpId, op: Op) -> Next<'_> {
        match op {
            Op::Http(request) => self.http(*request).await.into(),
            Op::Wait {
                time,
                is_think_time,
            } => self.wait(time, is_think_time).await.into(),
            Op::OpenSocket(request) => self.open_socket(id, *request).await,
            Op::OpenStream(request) => self.open_stream(id, *request).await,
            Op::Send(to, message) => self.send(to, message).await,
            Op::Close(of, code, _) => self.close_channel(of, code).await.into(),
        }
    }

    async fn wait(&self, time: Duration, is_think_time: bool) -> Happened {
        let time = time.min(LONGEST);
        let since = Instant::now();
        let until = since + time;
        if !is_think_time || self.kind.function != Function::Iteration {
            tokio::time::sleep_until(until.into()).await;
        } else if self.kind.thinks {
            self.state.begin_to_think(since);
            tokio::time::sleep_until(until.into()).await;
            let woke = Instant::now();
            let late = woke.saturating_duration_since(until);
            self.kind.thread.recorder.borrow_mut().lag(late);
            self.state.has_thought(since, woke);
            self.last.set(woke);
        } else {
            self.thought.set(self.thought.get() + time);
            self.say(Mark::Note, |_| {
                let time = units::format_seconds(time.as_secs_f64());
                format!("{time} of sleep skipped")
            });
        }
        Happened::Waited
    }

    /// One request and its answer.
    async fn http(&self, request: HttpRequest) -> Happened {
        let known = match self.script.kept.known(&request.url) {
            Ok(known) => known,
            Err(why) => return self.unsent(&request, 1020, why).await,
        };
        let (method, bytes) = match wire::render(&request, &known.place, Connecting::AsAsked) {
            Ok(rendered) => rendered,
            Err(why) => return self.unsent(&request, 1000, why).await,
        };
        let named = self.named(&request, &known);
        self.say_sent(&named.name, &request.url, &bytes);
        let now = Instant::now();
        let all = self.kind.first_row + self.script.work.table.all();
        let row = named.row.map(|row| self.kind.first_row + row);
        let tagged = Tagged::new(&named.name, &request);
        let rows = Rows {
            own: row,
            all,
            tagged: self.in_flight(&tagged),
        };
        let _flight = self.state.takes_off(rows.clone(), now);
        let mut limit = self
            .limits
            .borrow_mut()
            .pop()
            .unwrap_or_else(TimeLimit::new);
        let timeout = request.timeout.min(LONGEST);
        let exchange = self.exchange((&known, &request), now, &method, &bytes);
        let went = limit.within(now + timeout, exchange).await;
        self.limits.borrow_mut().push(limit);
        let went = went.unwrap_or_else(|| Err(too_late(timeout)));
        let ending = match &went {
            Ok(came) => self.judged(&request.expected, came),
            Err(missing) => Ending::Failed(missing.kind),
        };
        self.count(&rows, ending);
        self.count_tagged(tagged, &went, ending);
        let has_failed = !matches!(ending, Ending::Completed(_));
        if has_failed && matches!(&went, Ok(came) if is_an_answer(&came.head)) {
            self.is_answered();
        }
        let told = Told {
            named: &named,
            row: row.unwrap_or(all),
            url: &request.url,
            method: &request.method,
            sent: &bytes,
        };
        self.tell(&told, &went, ending);
        match went {
            Ok(came) => self.answered(came, &request),
            Err(missing) => {
                // One that fails at once, such as one that is not allowed, waits for nothing.
                tokio::task::yield_now().await;
                self.unanswered(&missing, &known.place, &request)
            }
        }
    }

    /// How an answer counts.
    fn judged(&self, expected: &Expected, came: &Came) -> Ending {
        let status = came.head.status;
        // Whoever has to connect waits for that too.
        let timings = &came.timings;
        let took = timings.connecting + timings.tls_handshaking + timings.duration();
        let is_expected = match expected {
            Expected::Unjudged => true,
            Expected::Statuses(all) => all.iter().any(|range| range.contains(&status.as_u16())),
        };
        let may_shed = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        let says_when = came.head.headers.contains_key(RETRY_AFTER);
        if is_expected {
            Ending::Completed(took)
        } else if may_shed && says_when && !self.script.work.sheds_fail {
            // When to come again is for the script to follow.
            Ending::Shed
        } else {
            Ending::Failed(FailureKind::Status)
        }
    }

    /// A request that cannot be sent as the script has it is one that failed.
    async fn unsent(&self, request: &HttpRequest, code: u16, why: String) -> Happened {
        let all = self.kind.first_row + self.script.work.table.all();
        let name = match &request.name {
            RequestName::Given(name) => name.to_string(),
            RequestName::Address => format!("{} {}", request.method, masked(&request.url)),
        };
        let named = Named { name, row: None };
        self.say_sent(&named.name, &request.url, b"");
        let ending = Ending::Failed(FailureKind::Protocol);
        let rows = Rows {
            all,
            ..Rows::default()
        };
        self.count(&rows, ending);
        let told = Told {
            named: &named,
            row: all,
            url: &request.url,
            method: &request.method,
            sent: b"",
        };
        let went = Err(Missing {
            kind: FailureKind::Protocol,
            words: Some(Words::from(why.clone())),
        });
        self.count_tagged(Tagged::new(&named.name, request), &went, ending);
        self.tell(&told, &went, ending);
        tokio::task::yield_now().await;
        failed(code, why)
    }

    /// Counts a request in its own row and in that of all.
    pub(super) fn count(&self, rows: &Rows, ending: Ending) {
        let mut recorder = self.kind.thread.recorder.borrow_mut();
        for row in rows.own.into_iter().chain([rows.all]) {
            recorder.count(row, ending);
        }
        let (passed, failed) = self.went.get();
        self.went.set(match ending {
            Ending::Completed(_) => (passed + 1, failed),
            Ending::Failed(_) | Ending::Shed => (passed, failed + 1),
        });
    }

    /// To one who looks, the request that was counted as failed just now was answered, whatever the
    /// script expected.
    fn is_answered(&self) {
        let (passed, failed) = self.went.get();
        self.went.set((passed + 1, failed.saturating_sub(1)));
    }

    async fn exchange(
        &self,
        (known, request): (&Known, &HttpRequest),
        now: Instant,
        method: &Method,
        bytes: &[u8],
    ) -> Result<Came, Missing> {
        let origin = &known.place.origin;
        let want = Want {
            method,
            headers: true,
            body: match request.body_use {
                BodyUse::Kept => Keep::All(request.max_bytes),
                BodyUse::Discarded => Keep::Beginning,
            },
            expect: &Expect::Success,
            upgrades: false,
        };
        let kept = self.kept_to(origin).filter(|_| request.keeps_connection);
        let to = (origin, &*known.idle);
        let exchanged = self.client.exchange_on(kept, to, now, bytes, want).await;
        let (mut connection, head) = exchanged?;
        let sent = connection.sent_at();
        let (connecting, tls_handshaking) = connection.made_for_it().unwrap_or_default();
        let first = connection.arrivals().at;
        let body = connection.body().await?;
        let arrivals = connection.arrivals();
        self.kind
            .thread
            .recorder
            .borrow_mut()
            .read_late(arrivals.read_late);
        self.last.set(arrivals.at);
        let timings = Timings {
            // What it waited for before there was a connection: its turn, and the address.
            blocked: (sent.saturating_duration_since(now))
                .saturating_sub(connecting + tls_handshaking),
            connecting,
            tls_handshaking,
            waiting: first.saturating_duration_since(sent),
            receiving: arrivals.at.saturating_duration_since(first),
            ..Timings::default()
        };
        Ok(Came {
            encoding: want.read_in(&head),
            head,
            body,
            timings,
            connection: Some(connection),
        })
    }

    /// A connection to an origin that nobody uses.
    fn kept_to(&self, origin: &Origin) -> Option<Box<Connection>> {
        let mut all = self.connections.borrow_mut();
        // The one that was used last is the least likely to have been closed.
        let at = all
            .iter()
            .rposition(|(known, _)| same_origin(known, origin))?;
        Some(all.remove(at).1)
    }

    fn keep(&self, origin: &Origin, connection: Box<Connection>) {
        let mut all = self.connections.borrow_mut();
        if connection.may_go_on() && all.len() < MOST_KEPT {
            all.push((origin.clone(), connection));
        }
    }

    fn answered(&self, came: Came, request: &HttpRequest) -> Happened {
        let Came {
            head,
            body,
            timings,
            connection,
            ..
        } = came;
        let remote = connection.as_ref().map(|connection| connection.remote());
        if let Some(connection) = connection.filter(|_| request.keeps_connection)
            && let Ok(known) = self.script.kept.known(&request.url)
        {
            self.keep(&known.place.origin, connection);
        }
        Happened::Answered(Box::new(Answer {
            body: (request.body_use == BodyUse::Kept).then_some(body),
            remote,
            timings,
            ..answer_of(&head)
        }))
    }

    pub(super) fn unanswered(
        &self,
        missing: &Missing,
        place: &Place,
        request: &HttpRequest,
    ) -> Happened {
        self.last.set(Instant::now());
        let text = missing.words.as_ref().map(Words::whole).unwrap_or_default();
        if text == NOT_ALLOWED {
            let why = not_allowed(request, place);
            self.end_load(EngineError::NotAllowed(why.clone()));
            let is_name = place.origin.host.parse::<std::net::IpAddr>().is_err();
            return failed(if is_name { 1111 } else { 1110 }, why);
        }
        let (code, words) = code_of(missing.kind, missing.words.as_ref());
        let message = match text.as_str() {
            "" => words.to_owned(),
            text => format!("{words}: {text}"),
        };
        failed(code, message)
    }

    /// What a request is called.
    pub(super) fn named(&self, request: &HttpRequest, known: &Known) -> Rc<Named> {
        if let RequestName::Given(name) = &request.name {
            return self.row_of(name);
        }
        let by_method = known.named.borrow();
        if let Some((_, named)) = by_method.iter().find(|(m, _)| *m == request.method) {
            return Rc::clone(named);
        }
        drop(by_method);
        let named = self.row_of(&format!("{} {}", request.method, known.place.path));
        let mut by_method = known.named.borrow_mut();
        if by_method.len() < MOST_KEPT {
            by_method.push((request.method.clone(), Rc::clone(&named)));
        }
        named
    }

    fn row_of(&self, name: &str) -> Rc<Named> {
        let row = self.script.work.table.row(name);
        let mut late = self.script.kept.late.borrow_mut();
        let is_one = self.kind.function == Function::Iteration;
        if is_one && row.is_none() && late.len() < MOST_LATE && late.insert(name.to_owned()) {
            self.script.work.seen().late.add(name);
        }
        Rc::new(Named {
            name: name.to_owned(),
            row,
        })
    }
}

/// Whether a target that says so is there: whoever asked for the wrong thing, or is to come again,
/// got an answer, and a script may well want that.
fn is_an_answer(head: &Head) -> bool {
    head.status.is_client_error() || head.headers.contains_key(RETRY_AFTER)
}

/// An answer without its body.
pub(super) fn answer_of(head: &Head) -> Answer {
    let headers = head.headers.iter();
    let headers = headers.map(|(name, value)| {
        let value = text_of(value.as_bytes());
        (name.as_str().to_owned(), value)
    });
    let reason = head.status.canonical_reason().unwrap_or_default();
    Answer {
        status: head.status.as_u16(),
        status_text: reason.to_owned(),
        protocol: match head.version {
            Version::One => "HTTP/1.1",
            Version::Two => "HTTP/2.0",
        },
        headers: headers.collect(),
        ..Answer::default()
    }
}

pub(super) fn failed(code: u16, message: String) -> Happened {
    Happened::Failed(Failed { code, message })
}

pub(super) fn too_late(timeout: Duration) -> Missing {
    why::clear();
    let limit = units::format_seconds(timeout.as_secs_f64());
    Missing {
        kind: FailureKind::Timeout,
        words: Some(Words::from(format!("no whole answer within {limit}"))),
    }
}

fn not_allowed(request: &HttpRequest, place: &Place) -> String {
    let host = &place.origin.host;
    let shown = masked(&request.url);
    format!(
        "the script's request `{} {shown}` would go to an address that is not this machine's; if \
         you are allowed to load it, add `--allow-target {host}`, or `allow = [\"{host}\"]` in the \
         profile's [target]. It was not sent",
        request.method
    )
}

/// The number of k6's for what was wrong with a request, 0 where nothing was.
pub(super) fn error_code(went: &Result<Came, Missing>) -> u16 {
    match went {
        Ok(came) => match came.head.status.as_u16() {
            status @ 400.. => status.saturating_add(1000),
            _ => 0,
        },
        Err(missing) => code_of(missing.kind, missing.words.as_ref()).0,
    }
}

/// k6's number for a failure, and its words, as its documents list them.
fn code_of(kind: FailureKind, words: Option<&Words>) -> (u16, &'static str) {
    let connecting = words.is_some_and(|words| words.connecting);
    let says = |part: &str| words.is_some_and(|words| words.text.contains(part));
    match kind {
        FailureKind::Timeout if connecting => (1211, "dial: i/o timeout"),
        FailureKind::Timeout => (1050, "request timeout"),
        FailureKind::Dns => (1101, "lookup: no such host"),
        FailureKind::ConnectRefused => (1212, "dial: connection refused"),
        FailureKind::Reset if connecting => (1210, "dial"),
        FailureKind::Reset => (1220, "read: connection reset by peer"),
        FailureKind::Tls if says("unknown issuer") || says("self-signed") => {
            (1310, "x509: unknown authority")
        }
        FailureKind::Tls if says("wrong name") => {
            (1311, "x509: certificate doesn't match hostname")
        }
        FailureKind::Tls => (1300, "tls"),
        FailureKind::NoDescriptors | FailureKind::NoPorts => (1200, "no connection was left"),
        FailureKind::Eof => (1000, "EOF"),
        FailureKind::Protocol if says("compressed") || says("content-encoding") => {
            (1701, "response decompression failed")
        }
        FailureKind::Protocol | FailureKind::Status => (1000, "malformed HTTP response"),
        FailureKind::WrongEvent | FailureKind::Check => (1000, "generic error"),
    }
}
