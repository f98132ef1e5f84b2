//! One virtual user: a closed loop over the scenario's steps, with its own connections.
//!
//! Latencies run from a step's intended start and hold no think time. A failed cycle closes the VU's connections and
//! backs off; a shed one waits as long as the target asks.

mod body;
mod follow;
mod telling;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use rand::RngExt as _;

use self::follow::Answer;
use self::telling::Seen;
use super::arrivals::{Bell, Pool};
use super::back_off::{back_off, retry_after};
use super::http::{Connection, Connector, Encoding, Head, Keep, Want};
use super::idle::IdleLimit;
use super::limit::TimeLimit;
use super::recorder::{Ending, Recorder};
use super::stream::Stream;
use super::why;
use crate::engine::Canary;
use crate::engine::trace::{Mark, Trace};
use crate::excerpt::Masks;
use crate::measure::{Failure, FailureKind};
use crate::scenario::{
    Action, Extract, ExtractFrom, Origin, Rendered, RequestTemplate, Scenario, Step, Template,
    Think, Values, VuRng, Wait, json_text, vu_rng,
};

/// A VU that wakes later than this after its think time, or after its arrival was due, is late: its step is measured from the
/// intended start.
const LATE: Duration = Duration::from_millis(2);
/// Longest stagger of a VU's first cycle.
const LONGEST_STAGGER: Duration = Duration::from_secs(30);

/// What all VUs of one thread share.
pub(super) struct Shared {
    pub(super) scenario: Arc<Scenario>,
    pub(super) seed: u64,
    pub(super) connector: Connector,
    pub(super) recorder: RefCell<Recorder>,
    /// Next row of each sequential feeder, over all threads.
    pub(super) next_rows: Arc<[AtomicU64]>,
    /// How long each origin keeps a connection that nobody uses.
    pub(super) idle_limits: Vec<IdleLimit>,
    /// Whether VUs think; one who only looks does not.
    pub(super) thinks: bool,
    /// Whether anything of the answers of failed requests is told.
    pub(super) excerpts: bool,
    /// Where a cycle that is looked at is told of.
    pub(super) trace: Option<Trace>,
    /// Whether VUs begin their first cycles at random moments.
    pub(super) staggers: bool,
    /// In the open model: who takes the next arrival.
    pub(super) pool: Option<Pool>,
}

impl Shared {
    /// What a look uses in place of a thread's own: its counts go nowhere and it does not think. What it sees goes to the user's own
    /// terminal.
    pub(super) fn for_look(own: &Self, trace: Option<Trace>) -> Self {
        Self {
            scenario: Arc::clone(&own.scenario),
            seed: own.seed,
            connector: own.connector.apart(),
            recorder: RefCell::new(Recorder::new(own.scenario.table().rows().len())),
            next_rows: Arc::clone(&own.next_rows),
            idle_limits: idle_limits(&own.scenario),
            thinks: false,
            excerpts: own.excerpts || trace.is_some(),
            trace,
            staggers: false,
            pool: None,
        }
    }
}

/// Nothing is known of any origin yet.
pub(super) fn idle_limits(scenario: &Scenario) -> Vec<IdleLimit> {
    let origins = scenario.origins().iter();
    origins.map(|_| IdleLimit::default()).collect()
}

/// What a VU is doing, as its thread sees it when it cuts a window or asks the VU to leave.
#[derive(Default)]
pub(super) struct VuState {
    /// Finish the step and return.
    pub(super) leaving: Cell<bool>,
    phase: Cell<Phase>,
    step: Cell<Option<(usize, Instant)>>,
    cycle: Cell<Option<CycleClock>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    /// Waiting to begin its first cycle; in the open model, for its next arrival.
    #[default]
    Waiting,
    /// Thinking, backing off or obeying a `Retry-After`: may leave at once.
    Pausing,
    /// Within a step.
    Working,
}

/// The clock of a cycle, which stands still while the VU thinks.
#[derive(Debug, Clone, Copy)]
struct CycleClock {
    start: Instant,
    thought: Duration,
    thinking_since: Option<Instant>,
}

impl CycleClock {
    fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
            .saturating_sub(self.thought)
            .saturating_sub(
                self.thinking_since
                    .map_or(Duration::ZERO, |since| now.saturating_duration_since(since)),
            )
    }
}

impl VuState {
    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// The measured step in flight and its age. A thinking VU is in flight for its cycle, not for a step.
    pub(super) fn step_age(&self, now: Instant) -> Option<(usize, Duration)> {
        let (step, start) = self.step.get()?;
        Some((step, now.saturating_duration_since(start)))
    }

    /// Age of the cycle in flight, think time left out. A VU that backs off is not in a cycle.
    pub(super) fn cycle_age(&self, now: Instant) -> Option<Duration> {
        self.cycle.get().map(|c| c.age(now))
    }
}

/// Why a step did not complete.
enum Stop {
    Failed(FailureKind),
    /// Refused by design; come back after this long.
    Shed(Duration),
}

impl From<FailureKind> for Stop {
    fn from(kind: FailureKind) -> Self {
        Self::Failed(kind)
    }
}

enum CycleEnd {
    Completed,
    Left,
    Stopped(Stop),
}

/// The VU that a canary asks as: the first that any level has, so that what it asks for is there, with its feeder row.
pub(super) const CANARY: u32 = 0;
/// Its random values are those of a VU that no level reaches: what the first VU is to draw and to create must not be there yet.
const CANARY_DRAWS: u32 = u32::MAX;

/// Runs one cycle without think times, as a VU of this number does its first.
pub(super) async fn look(shared: Rc<Shared>, id: u32) -> Canary {
    let state = VuState::default();
    let mut vu = Vu::new(&shared, &state, id);
    if shared.trace.is_none() {
        vu.rng = vu_rng(shared.seed, CANARY_DRAWS);
    }
    let began = Instant::now();
    match vu.cycle(&mut TimeLimit::new()).await {
        CycleEnd::Completed | CycleEnd::Left => Canary::Passed(began.elapsed()),
        CycleEnd::Stopped(Stop::Shed(_)) => Canary::Shed,
        CycleEnd::Stopped(Stop::Failed(kind)) => match vu.failure.take() {
            Some(failure) => Canary::Failed(failure),
            None => Canary::failed(kind),
        },
    }
}

/// Runs VU `id` until it is asked to leave.
pub(super) async fn run(shared: Rc<Shared>, state: Rc<VuState>, id: u32) {
    let mut vu = Vu::new(&shared, &state, id);
    if shared.staggers {
        vu.stagger().await;
    }
    let mut limit = TimeLimit::new();
    let mut failures_in_a_row = 0;
    while !state.leaving.get() {
        state.phase.set(Phase::Working);
        let end = vu.cycle(&mut limit).await;
        vu.end_cycle(&end);
        let pause = match end {
            CycleEnd::Left => return,
            CycleEnd::Completed => {
                failures_in_a_row = 0;
                continue;
            }
            CycleEnd::Stopped(Stop::Shed(after)) => {
                failures_in_a_row = 0;
                after.mul_f64(vu.rng.random_range(1.0..1.5))
            }
            CycleEnd::Stopped(Stop::Failed(_)) => {
                failures_in_a_row += 1;
                back_off(failures_in_a_row).mul_f64(vu.rng.random_range(0.5..1.5))
            }
        };
        if !state.leaving.get() {
            state.phase.set(Phase::Pausing);
            tokio::time::sleep(pause).await;
        }
    }
}

/// Runs VU `id` of the open model: a cycle for every arrival that it takes, from `first` on.
///
/// Each arrival is another user, so nobody backs off: who was refused does not come again, and the next does not know.
pub(super) async fn serve(shared: Rc<Shared>, state: Rc<VuState>, id: u32, first: Instant) {
    let Some(pool) = &shared.pool else {
        return;
    };
    let bell = Rc::new(Bell::default());
    let mut vu = Vu::new(&shared, &state, id);
    let mut limit = TimeLimit::new();
    let mut arrival = first;
    loop {
        state.phase.set(Phase::Working);
        vu.intend(arrival);
        let end = vu.cycle(&mut limit).await;
        vu.end_cycle(&end);
        vu.intended = None;
        if matches!(end, CycleEnd::Left) || state.leaving.get() {
            return;
        }
        state.phase.set(Phase::Waiting);
        arrival = pool.next(&bell).await;
    }
}

struct Vu<'a> {
    scenario: &'a Scenario,
    /// What it does in a cycle.
    steps: &'a [Step],
    shared: &'a Shared,
    state: &'a VuState,
    rng: VuRng,
    values: Values,
    /// The kept connection to each origin.
    idle: Vec<Option<Box<Connection>>>,
    streams: Vec<Option<Stream>>,
    /// Room for requests with values in them.
    rendered: String,
    /// When each measured step of this cycle began.
    starts: Vec<Option<Instant>>,
    /// When the next step was meant to begin, where the VU woke late from thinking.
    intended: Option<Instant>,
    /// When the last step ended.
    last: Instant,
    /// When the present one began.
    now: Instant,
    /// The answer that the step fails at.
    seen: Option<Box<Seen>>,
    /// Of one who only looks: how the cycle failed.
    failure: Option<Box<Failure>>,
}

impl<'a> Vu<'a> {
    fn new(shared: &'a Shared, state: &'a VuState, id: u32) -> Self {
        let scenario = &*shared.scenario;
        Self {
            rng: vu_rng(shared.seed, id),
            values: scenario.values(id),
            idle: scenario.origins().iter().map(|_| None).collect(),
            streams: (0..scenario.streams()).map(|_| None).collect(),
            rendered: String::new(),
            starts: vec![None; scenario.table().whole()],
            intended: None,
            last: Instant::now(),
            now: Instant::now(),
            seen: None,
            failure: None,
            steps: match shared.pool {
                Some(_) => scenario.visit(),
                None => scenario.steps(),
            },
            scenario,
            shared,
            state,
        }
    }

    /// Without it VUs with a constant think time would march in step.
    async fn stagger(&mut self) {
        let mean = self
            .scenario
            .mean_think_s()
            .min(LONGEST_STAGGER.as_secs_f64());
        let wait = Duration::from_secs_f64(mean * self.rng.random::<f64>());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    async fn cycle(&mut self, limit: &mut TimeLimit) -> CycleEnd {
        let next_rows = &self.shared.next_rows;
        self.scenario
            .begin_cycle(&mut self.values, &mut self.rng, |feeder| {
                next_rows[feeder].fetch_add(1, Ordering::Relaxed)
            });
        self.starts.fill(None);
        self.last = Instant::now();
        self.state.cycle.set(Some(CycleClock {
            start: self.intended.unwrap_or(self.last),
            thought: Duration::ZERO,
            thinking_since: None,
        }));
        for step in self.steps {
            if self.state.leaving.get() {
                return CycleEnd::Left;
            }
            match (&step.action, step.measured) {
                (Action::Think(think), _) => self.think(*think).await,
                (Action::Close(stream), _) => self.streams[*stream] = None,
                (_, None) => {}
                (_, Some(index)) => {
                    if let Err(stop) = self.measured(step, index, limit).await {
                        return CycleEnd::Stopped(stop);
                    }
                }
            }
        }
        CycleEnd::Completed
    }

    fn end_cycle(&mut self, end: &CycleEnd) {
        let clock = self.state.cycle.take();
        let ending = match end {
            // A cancelled cycle says nothing about the target.
            CycleEnd::Left => None,
            CycleEnd::Completed => clock.map(|c| Ending::Completed(c.age(self.last))),
            CycleEnd::Stopped(Stop::Failed(kind)) => Some(Ending::Failed(*kind)),
            CycleEnd::Stopped(Stop::Shed(_)) => Some(Ending::Shed),
        };
        if let Some(ending) = ending {
            let cycle = self.scenario.table().whole();
            self.shared.recorder.borrow_mut().count(cycle, ending);
        }
        self.streams.fill_with(|| None);
        let failed = matches!(end, CycleEnd::Stopped(Stop::Failed(_)));
        if failed || self.scenario.closes_each_cycle() {
            self.idle.fill_with(|| None);
        }
        if matches!(end, CycleEnd::Stopped(_)) {
            self.intended = None;
        }
        self.values.cycle += 1;
    }

    async fn think(&mut self, think: Think) {
        if !self.shared.thinks {
            self.say(Mark::Note, |_| {
                let mean = crate::units::format_seconds(think.mean_s());
                format!("{mean} of thinking are left out")
            });
            return;
        }
        let since = self.intended.take().unwrap_or_else(Instant::now);
        let until = since + think.draw(&mut self.rng);
        self.set_clock(|c| c.thinking_since = Some(since));
        self.state.phase.set(Phase::Pausing);
        tokio::time::sleep_until(until.into()).await;
        self.state.phase.set(Phase::Working);
        let woke = self.intend(until);
        self.last = woke;
        self.set_clock(|c| {
            c.thinking_since = None;
            c.thought += woke.saturating_duration_since(since);
        });
    }

    /// Notes that the next step was meant to begin at a time that has just come. Returns when it is said to begin: a
    /// delay that timers and schedulers always show is not charged to the target.
    fn intend(&mut self, at: Instant) -> Instant {
        let now = Instant::now();
        let late = now.saturating_duration_since(at);
        self.shared.recorder.borrow_mut().lag(late);
        self.intended = (late > LATE).then_some(at);
        if late > LATE { at } else { now }
    }

    fn set_clock(&self, change: impl FnOnce(&mut CycleClock)) {
        let mut clock = self.state.cycle.get();
        if let Some(clock) = &mut clock {
            change(clock);
        }
        self.state.cycle.set(clock);
    }

    /// One measured step: its clock, its time limit, its count.
    async fn measured(
        &mut self,
        step: &Step,
        index: usize,
        limit: &mut TimeLimit,
    ) -> Result<(), Stop> {
        let now = Instant::now();
        self.now = now;
        let begun = self.intended.take().unwrap_or(now);
        self.starts[index] = Some(begun);
        let start = match &step.action {
            Action::Wait(Wait {
                since: Some(since), ..
            }) => self.starts[*since].unwrap_or(begun),
            _ => begun,
        };
        self.state.step.set(Some((index, start)));
        self.nothing_seen();
        // A failed request can be written again as it was sent.
        let before = self.rng.clone();
        self.say_step(step, index);
        let result = limit
            .within(now + step.timeout, self.act(&step.action))
            .await;
        self.state.step.set(None);
        let result = result.unwrap_or_else(|| Err(self.too_late().into()));
        self.say_ending(&result, start);
        let ending = match &result {
            Ok(at) => {
                self.last = *at;
                Ending::Completed(at.saturating_duration_since(start))
            }
            Err(Stop::Failed(kind)) => {
                self.tell_failure(step, index, *kind, before);
                Ending::Failed(*kind)
            }
            Err(Stop::Shed(_)) => Ending::Shed,
        };
        self.shared.recorder.borrow_mut().count(index, ending);
        result.map(|_| ())
    }

    /// What a step whose time is over failed at: a status that was refused before it was.
    fn too_late(&self) -> FailureKind {
        match &self.seen {
            Some(seen) if seen.is_to_blame() => FailureKind::Status,
            _ => FailureKind::Timeout,
        }
    }

    fn say_ending(&self, result: &Result<Instant, Stop>, start: Instant) {
        let took = |at: Instant| {
            let seconds = at.saturating_duration_since(start).as_secs_f64();
            crate::units::format_seconds(seconds)
        };
        match result {
            Ok(at) => self.say(Mark::Passed, |_| format!("passed in {}", took(*at))),
            Err(Stop::Failed(kind)) => self.say(Mark::Failed, |_| {
                format!(
                    "failed with `{}` after {}",
                    kind.name(),
                    took(Instant::now())
                )
            }),
            Err(Stop::Shed(after)) => self.say(Mark::Failed, |_| {
                let after = crate::units::format_seconds(after.as_secs_f64());
                format!("refused by design: it is to come again after {after}")
            }),
        }
    }

    /// What one who looks wants of every answer, else what the step needs.
    fn want<'t>(&self, template: &'t RequestTemplate, headers: bool, body: Keep) -> Want<'t> {
        let looks = self.shared.trace.is_some();
        Want {
            method: template.method(),
            headers: headers || looks,
            body: match body {
                Keep::Nothing if looks => Keep::Beginning,
                body => body,
            },
            expect: template.expect(),
        }
    }

    /// Does what a measured step says; returns when its last byte came.
    async fn act(&mut self, action: &Action) -> Result<Instant, Stop> {
        match action {
            Action::Request(request) => self.request(request).await,
            Action::Open(request, stream) => self.open(request, *stream).await,
            Action::Wait(wait) => self.wait(wait).await,
            Action::Think(_) | Action::Close(_) => Ok(Instant::now()),
        }
    }

    async fn request(&mut self, template: &RequestTemplate) -> Result<Instant, Stop> {
        let keep = if template.needs_body() {
            Keep::All
        } else {
            Keep::Nothing
        };
        let want = self.want(template, template.needs_headers(), keep);
        let request = self.render(template)?;
        let (connection, head) = self.exchange(template.origin(), &request, want).await?;
        let answer = Answer {
            connection,
            head,
            keep: Some(template.origin()),
        };
        let answer = self.arrived(template, &request, want, answer).await?;
        self.rendered = request.into_buffer();
        let Answer {
            mut connection,
            head,
            keep,
        } = answer;
        let refusal = refusal(template, &head);
        if let Some(Stop::Failed(kind)) = refusal {
            Box::pin(self.refused_by(&head, &mut connection)).await;
            self.say_body(&head.headers, connection.beginning(), head.encoding);
            return Err(kind.into());
        }
        self.answered(&head, &connection);
        let body = connection.body().await?;
        let encoding = want.read_in(&head);
        self.say_body(&head.headers, &body, encoding);
        let at = self.arrival(&connection);
        if let Some(origin) = keep {
            self.idle[origin] = Some(connection);
        }
        if let Some(shed) = refusal {
            return Err(shed);
        }
        if !template.extract().is_empty() {
            let json = (want.body == Keep::All).then(|| serde_json::from_slice(&body).ok());
            let json = json.flatten();
            let extracted = self.extract(template.extract(), Some(&head.headers), json.as_ref());
            if let Err(kind) = extracted {
                if json.is_none() && template.needs_body() {
                    body::note_no_json(kind, &body, head.encoding);
                }
                self.seen = Some(Box::new(Seen::new(&head, &body, encoding, false)));
                return Err(kind.into());
            }
        }
        Ok(at)
    }

    /// The answer after any redirects. Most scenarios follow none, and keep no room for it.
    async fn arrived(
        &mut self,
        template: &RequestTemplate,
        sent: &[u8],
        want: Want<'_>,
        answer: Answer,
    ) -> Result<Answer, Stop> {
        if self.scenario.redirects() == 0 {
            return Ok(answer);
        }
        Box::pin(self.follow(template, sent, want, answer)).await
    }

    /// Sends a request on the kept connection or a new one.
    ///
    /// A kept connection that ends at once was perhaps closed by the target while it was idle: the request is then sent once
    /// more, on a new connection, and the clock runs on.
    async fn exchange(
        &mut self,
        origin: usize,
        request: &[u8],
        want: Want<'_>,
    ) -> Result<(Box<Connection>, Head), Stop> {
        let limit = &self.shared.idle_limits[origin];
        self.say_sent(request);
        if let Some(mut kept) = self.idle[origin].take()
            && let Some(idle) = still_usable(&mut kept, self.now, limit).await
        {
            match kept.send(request, want).await {
                Ok(head) => {
                    limit.survived(idle);
                    self.say_head(&head);
                    return Ok((kept, head));
                }
                Err(e) => {
                    if e.unanswered {
                        limit.ended(idle);
                    }
                    // What may have been worked on is not sent twice, unless it asks for nothing to be done.
                    if !(e.closed_while_idle && is_idempotent(want.method)) {
                        return Err(e.kind.into());
                    }
                    why::clear();
                    self.say(Mark::Note, |_| {
                        "the kept connection was closed; once more".to_owned()
                    });
                }
            }
        }
        let origin = &self.scenario.origins()[origin];
        self.exchange_with(origin, request, want).await
    }

    /// Sends a request on a connection of its own.
    async fn exchange_anew(
        &self,
        origin: &Origin,
        request: &[u8],
        want: Want<'_>,
    ) -> Result<(Box<Connection>, Head), Stop> {
        self.say_sent(request);
        self.exchange_with(origin, request, want).await
    }

    /// Connecting takes room for names and TLS, which no VU needs that has a connection: it gets that room when it needs it.
    async fn exchange_with(
        &self,
        origin: &Origin,
        request: &[u8],
        want: Want<'_>,
    ) -> Result<(Box<Connection>, Head), Stop> {
        self.say(Mark::Note, |_| {
            format!("connecting to {}", telling::address(origin))
        });
        let connecting = self.shared.connector.connect(origin, self.values.vu);
        let mut connection = Box::new(Box::pin(connecting).await?);
        let head = connection.send(request, want).await.map_err(|e| {
            self.shared.connector.note_end(origin, e.kind);
            e.kind
        })?;
        self.say_head(&head);
        Ok((connection, head))
    }

    /// When the last bytes came; that they were read later is the generator's own delay.
    fn arrival(&self, connection: &Connection) -> Instant {
        let arrivals = connection.arrivals();
        let mut recorder = self.shared.recorder.borrow_mut();
        recorder.read_late(arrivals.read_late);
        arrivals.at
    }

    fn render<'t>(&mut self, template: &'t RequestTemplate) -> Result<Rendered<'t>, FailureKind> {
        let buffer = std::mem::take(&mut self.rendered);
        template
            .render(self.scenario, &self.values, &mut self.rng, buffer)
            .map_err(|e| why::note(FailureKind::Protocol, e.to_string()))
    }

    /// A stream takes a connection of its own for as long as it is open.
    async fn open(&mut self, template: &RequestTemplate, stream: usize) -> Result<Instant, Stop> {
        let want = self.want(template, true, Keep::All);
        let request = self.render(template)?;
        let origin = &self.scenario.origins()[template.origin()];
        let (connection, head) = self.exchange_anew(origin, &request, want).await?;
        let answer = Answer {
            connection,
            head,
            keep: None,
        };
        let answer = self.arrived(template, &request, want, answer).await?;
        self.rendered = request.into_buffer();
        let Answer {
            mut connection,
            head,
            ..
        } = answer;
        if let Some(stop) = refusal(template, &head) {
            if matches!(stop, Stop::Failed(_)) {
                Box::pin(self.refused_by(&head, &mut connection)).await;
                self.say_body(&head.headers, connection.beginning(), head.encoding);
            }
            return Err(stop);
        }
        let is_event_stream = head
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|t| t.as_bytes().starts_with(b"text/event-stream"));
        if !is_event_stream {
            let beginning = connection.beginning();
            self.seen = Some(Box::new(Seen::new(&head, beginning, head.encoding, false)));
            let is = head
                .headers
                .get(CONTENT_TYPE)
                .map(|v| String::from_utf8_lossy(v.as_bytes()));
            let is = is.map_or_else(|| "missing".to_owned(), |is| format!("`{is}`"));
            let text = format!(
                "the answer is no event stream: its content-type is {is}, not text/event-stream"
            );
            return Err(why::note(FailureKind::Protocol, text).into());
        }
        self.extract(template.extract(), Some(&head.headers), None)?;
        let at = self.arrival(&connection);
        self.streams[stream] = Some(Stream::start(*connection));
        Ok(at)
    }

    async fn wait(&mut self, wait: &Wait) -> Result<Instant, Stop> {
        let matching = self.conditions(&wait.matching);
        let expect = self.conditions(&wait.expect);
        let stream = self.streams[wait.stream].as_ref().ok_or(FailureKind::Eof)?;
        let mut json = None;
        let (trace, masks) = match &self.shared.trace {
            Some(trace) => (Some(trace), self.scenario.masks(&self.values, false)),
            None => (None, Masks::default()),
        };
        let needs_json = !(matching.is_empty() && expect.is_empty() && wait.extract.is_empty());
        let arrived = stream
            .find(|event| {
                if let Some(trace) = trace {
                    trace.say(
                        Mark::Came,
                        &telling::event_line(&event.name, &event.data, &masks),
                    );
                }
                if wait.event.as_ref().is_some_and(|name| *name != event.name) {
                    return false;
                }
                json = needs_json
                    .then(|| serde_json::from_str(&event.data).ok())
                    .flatten();
                holds(&matching, json.as_ref())
            })
            .await?;
        if !holds(&expect, json.as_ref()) {
            let text = unmet(&expect, json.as_ref());
            return Err(why::note(FailureKind::WrongEvent, text).into());
        }
        self.extract(&wait.extract, None, json.as_ref())?;
        Ok(arrived.at)
    }

    fn conditions<'w>(&mut self, conditions: &'w [(String, Template)]) -> Vec<(&'w str, String)> {
        conditions
            .iter()
            .map(|(at, text)| {
                let text = self.scenario.render(text, &self.values, &mut self.rng);
                (at.as_str(), text)
            })
            .collect()
    }

    fn extract(
        &mut self,
        wanted: &[Extract],
        headers: Option<&HeaderMap>,
        json: Option<&serde_json::Value>,
    ) -> Result<(), FailureKind> {
        for extract in wanted {
            let found = match &extract.from {
                ExtractFrom::Json(at) => json.and_then(|j| j.pointer(at)).and_then(json_text),
                ExtractFrom::Header(name) => headers
                    .and_then(|h| h.get(name))
                    .and_then(|v| v.to_str().ok())
                    .map(str::to_owned),
            };
            let found = found.ok_or_else(|| {
                let name = self.scenario.slot_name(extract.slot);
                let text = match &extract.from {
                    ExtractFrom::Json(at) => {
                        let is_null = json.is_some_and(|j| j.pointer(at).is_some());
                        let is = if is_null {
                            format!("is null at `{at}`")
                        } else {
                            format!("has no `{at}`")
                        };
                        format!("nothing to extract for `{name}`: the JSON {is}")
                    }
                    ExtractFrom::Header(header) => format!(
                        "nothing to extract for `{name}`: the answer has no header `{header}`"
                    ),
                };
                why::note(FailureKind::Protocol, text)
            })?;
            self.values.set(extract.slot, found);
            self.say_extracted(extract.slot, &extract.from);
        }
        Ok(())
    }
}

/// The first condition that an event does not meet.
fn unmet(conditions: &[(&str, String)], json: Option<&serde_json::Value>) -> String {
    let is = |at: &str| json.and_then(|j| j.pointer(at)).and_then(json_text);
    let first = conditions
        .iter()
        .find(|(at, want)| is(at).as_ref() != Some(want));
    let Some((at, want)) = first else {
        return String::new();
    };
    match is(at) {
        Some(is) => format!("the event has `{is}` at `{at}`, not `{want}`"),
        None => format!("the event has nothing at `{at}`, and `{want}` was expected"),
    }
}

fn holds(conditions: &[(&str, String)], json: Option<&serde_json::Value>) -> bool {
    conditions.iter().all(|(at, want)| {
        json.and_then(|j| j.pointer(at))
            .and_then(json_text)
            .is_some_and(|got| got == *want)
    })
}

/// How long a kept connection was idle that can take another request; `None` where it has ended, or is about to.
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

/// Whether a request may be sent again where nobody knows whether it was worked on (RFC 9110, section 9.2.2).
fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::PUT | Method::DELETE | Method::OPTIONS | Method::TRACE
    )
}

/// Why an answer is no success, if it is none.
fn refusal(template: &RequestTemplate, head: &Head) -> Option<Stop> {
    if template.expect().holds(head.status) {
        return None;
    }
    let may_shed = matches!(
        head.status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let after = head.headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok());
    match after {
        Some(after) if may_shed => Some(Stop::Shed(retry_after(after, SystemTime::now()))),
        _ => Some(Stop::Failed(FailureKind::Status)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_a_cycle_stands_still_while_the_vu_thinks() {
        let start = Instant::now();
        let s = Duration::from_secs;
        let mut clock = CycleClock {
            start,
            thought: s(2),
            thinking_since: None,
        };
        assert_eq!(clock.age(start + s(5)), s(3));
        clock.thinking_since = Some(start + s(5));
        assert_eq!(clock.age(start + s(60)), s(3));
    }
}
