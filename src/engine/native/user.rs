//! A user of a scenario: goes through its steps over HTTP/1.1, with connections of its own.
//!
//! Latencies run from a step's intended start and hold no think time. A failed cycle closes the
//! user's connections.

mod answer;
mod asking;
mod body;
mod branch;
mod follow;
mod opening;
mod telling;
mod waiting;
mod websocket;

use std::cell::RefMut;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use http::StatusCode;
use http::header::RETRY_AFTER;
use rand::RngExt as _;

pub(super) use self::body::Body;
pub(super) use self::telling::{EXCHANGE, body_lines, fit, head_lines, message_line};
use self::telling::{FailedAnswer, Look};
use self::waiting::{Came, awaited};
use super::back_off::retry_after;
use super::client::{Client, Exchanged};
use super::http::{Connection, Encoding, Head, Keep, Want};
use super::jar::Jar;
use super::kind::Kind;
use super::limit::TimeLimit;
use super::recorder::{Ending, Recorder};
use super::stream::Stream;
use super::vu::{CycleEnd, Stop, User, VuState};
use super::websocket::WebSocket;
use super::why;
use crate::engine::EngineError;
use crate::engine::trace::Mark;
use crate::measure::{Failure, FailureKind, StepParts};
use crate::scenario::{
    Action, Answer, Awaited, CookiesSpec, Extract, LimitOf, Origin, Rendered, RequestTemplate,
    Scenario, Step, Think, Values, VuRng, Wait, vu_rng,
};

/// A VU that wakes later than this after its think time, or after its arrival was due, is late: its
/// step is measured from the intended start.
pub(super) const LATE: Duration = Duration::from_millis(2);

/// The VU that a canary asks as: the first that any level has, so that what it asks for is there,
/// with its feeder row.
pub(super) const CANARY: u32 = 0;
/// Its random values are those of a VU that no level reaches: what the first VU is to draw and to
/// create must not be there yet.
const CANARY_DRAWS: u32 = u32::MAX;

/// Sets the draws of the lives of a VU apart: the odd number next to 2^64 over the square root
/// of 2.
const LIFE: u64 = 0xb504_f333_f9de_6485;

/// One user, and what is his own.
pub(super) struct ScenarioUser<'a> {
    scenario: &'a Scenario,
    /// What it does in a cycle.
    steps: &'a [Step],
    kind: &'a Kind,
    state: &'a VuState,
    rng: VuRng,
    values: Values,
    /// Its connections, but for those of streams.
    client: Client<'a>,
    jar: Jar,
    streams: Vec<Option<Stream>>,
    /// By the same numbers as streams.
    sockets: Vec<Option<WebSocket>>,
    /// Whether a WebSocket was closed that the start steps open.
    lost: bool,
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
    /// The parts of the present step, where it is a streamed answer, and when its clock began.
    streaming: Option<(StepParts, Instant)>,
    /// Whether the next cycle's values were drawn already, for the start before it.
    drawn: bool,
    /// Whether no cycle was completed since the start.
    fresh: bool,
    /// The answer that the step fails at.
    seen: Option<Box<FailedAnswer>>,
    /// Of one who only looks: how the cycle failed.
    failure: Option<Box<Failure>>,
}

impl<'a> ScenarioUser<'a> {
    pub(super) fn new(kind: &'a Kind, state: &'a VuState, id: u32) -> Self {
        let scenario = &*kind.scenario;
        Self {
            rng: draws(kind, id),
            values: scenario.values(id),
            client: Client::new(kind, id),
            jar: Jar::default(),
            streams: (0..scenario.streams()).map(|_| None).collect(),
            sockets: (0..scenario.streams()).map(|_| None).collect(),
            lost: false,
            rendered: String::new(),
            starts: vec![None; scenario.table().whole()],
            intended: None,
            last: Instant::now(),
            now: Instant::now(),
            streaming: None,
            drawn: false,
            fresh: false,
            seen: None,
            failure: None,
            steps: if kind.visits {
                scenario.visit()
            } else {
                scenario.steps()
            },
            scenario,
            kind,
            state,
        }
    }

    /// Goes through the steps, as far as it comes.
    async fn pass(&mut self, limit: &mut TimeLimit) -> CycleEnd {
        if !std::mem::take(&mut self.drawn) && !self.draw_values() {
            return CycleEnd::Left;
        }
        self.starts.fill(None);
        self.last = Instant::now();
        let goals = self.scenario.goals().len();
        self.state
            .begin_cycle(self.intended.unwrap_or(self.last), goals);
        self.take(self.steps, limit).await
    }

    /// The values that the next cycle has; those of the first are there while the user starts.
    /// Where there are none left the load is over.
    fn draw_values(&mut self) -> bool {
        self.values.now_ms = now_ms();
        let next_rows = &self.kind.next_rows;
        let drawn = (self.scenario).begin_cycle(&mut self.values, &mut self.rng, |feeder| {
            next_rows[feeder].fetch_add(1, Ordering::Relaxed)
        });
        let over = drawn.map_err(|why| {
            let why = EngineError::UsedUp(why.to_string());
            self.kind.thread.over.replace(Some(why))
        });
        over.is_ok()
    }

    /// Takes some steps in order.
    async fn take(&mut self, steps: &'a [Step], limit: &mut TimeLimit) -> CycleEnd {
        for step in steps {
            for _ in 0..step.repeat {
                if self.state.leaving.get() {
                    return CycleEnd::Left;
                }
                if !self.meets(step) {
                    break;
                }
                match (&step.action, step.measured) {
                    (Action::Think(think), _) => self.think(*think).await,
                    (Action::Close(stream), _) => self.close_stream(*stream),
                    (Action::Group(_) | Action::Choose(_), _) => {
                        let within = self.way(step);
                        // Room for it is there only while it is taken.
                        match Box::pin(self.take(within, limit)).await {
                            CycleEnd::Completed => {}
                            end => return end,
                        }
                    }
                    (_, None) => {}
                    (_, Some(index)) => {
                        if let Err(stop) = self.measured(step, index, limit).await {
                            return CycleEnd::Stopped(stop);
                        }
                    }
                }
            }
        }
        CycleEnd::Completed
    }

    fn recorder(&self) -> RefMut<'_, Recorder> {
        self.kind.thread.recorder.borrow_mut()
    }

    fn end_cycle(&mut self, end: &CycleEnd) {
        let clock = self.state.end_cycle();
        let ending = match end {
            // A cancelled cycle says nothing about the target.
            CycleEnd::Left | CycleEnd::Stopped(Stop::Again) => None,
            CycleEnd::Completed => clock.map(|c| Ending::Completed(c.age(self.last))),
            CycleEnd::Stopped(Stop::Failed(kind)) => Some(Ending::Failed(*kind)),
            CycleEnd::Stopped(Stop::Shed(_)) => Some(Ending::Shed),
        };
        if let Some(ending) = ending {
            self.count_cycle(ending);
        }
        self.streams.fill_with(|| None);
        let is_again = matches!(end, CycleEnd::Stopped(Stop::Again));
        let failed = matches!(end, CycleEnd::Stopped(Stop::Failed(_)));
        self.close_sockets(failed);
        if failed || self.scenario.closes_each_cycle() {
            self.client.close();
        }
        // A session that ends later than in the first cycle after a start is begun anew; one that
        // does not hold even for that would be begun for ever.
        self.fresh &= is_again;
        if self.is_another_user_next() {
            self.forget_cookies();
        }
        if matches!(end, CycleEnd::Stopped(_)) {
            self.intended = None;
        }
        if is_again {
            // The same cycle once more, with what it was to send.
            self.drawn = true;
        } else {
            self.values.cycle += 1;
        }
    }

    /// Counts a cycle, and for each goal whether it met that.
    fn count_cycle(&self, ending: Ending) {
        let kind = self.kind;
        let goals = kind.scenario.goals();
        let misses = &self.state.misses;
        if let Ending::Completed(took) = ending {
            misses.took(goals, LimitOf::Cycle, took, self.last);
        }
        let mut recorder = self.recorder();
        recorder.count(kind.cycle_row(), ending);
        for (number, goal) in goals.iter().enumerate() {
            let ending = match ending {
                Ending::Completed(_) if misses.has_missed(number) => {
                    Ending::Failed(FailureKind::Check)
                }
                ending => ending,
            };
            recorder.count(kind.first_row + goal.row, ending);
        }
    }

    /// Whether the next cycle is that of somebody to whom nothing was given.
    fn is_another_user_next(&self) -> bool {
        let of_visit = self.kind.visits && self.scenario.start().is_empty();
        of_visit || self.scenario.cookies() == CookiesSpec::Cycle
    }

    async fn think(&mut self, think: Think) {
        if !self.kind.thinks {
            self.say(Mark::Note, |_| {
                let mean = crate::units::format_seconds(think.mean_s());
                format!("{mean} of think time skipped")
            });
            return;
        }
        let since = self.intended.take().unwrap_or_else(Instant::now);
        let until = since + think.draw(&mut self.rng);
        self.state.begin_to_think(since);
        tokio::time::sleep_until(until.into()).await;
        let woke = self.intend(until);
        self.last = woke;
        self.state.has_thought(since, woke);
    }

    /// Notes that the next step was meant to begin at a time that has just come. Returns when it is
    /// said to begin: a delay that timers and schedulers always show is not charged to the target.
    fn intend(&mut self, at: Instant) -> Instant {
        let now = Instant::now();
        let late = now.saturating_duration_since(at);
        self.recorder().lag(late);
        self.intended = (late > LATE).then_some(at);
        if late > LATE { at } else { now }
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
        let since = step.action.since().and_then(|since| self.starts[since]);
        let start = since.unwrap_or(begun);
        let row = self.kind.first_row + index;
        self.state.in_step(Some((row, start)));
        self.streaming = self.scenario.parts(index).map(|parts| (parts, start));
        if let Some((parts, start)) = self.streaming {
            let first = self.kind.first_row + parts.first;
            self.state.in_part(Some((first, start)));
        }
        self.nothing_seen();
        // A failed request can be written again as it was sent.
        let before = self.rng.clone();
        self.say_step(step, index);
        let until = now + step.timeout;
        let result = match (self.at_once(&step.action), &step.action) {
            (Some(result), _) => Some(result),
            // What waits for a message is small, and moved about faster than what asks and opens.
            (None, Action::Socket(socket)) => limit.within(until, self.on_socket(socket)).await,
            (None, action) => limit.within(until, self.act(action)).await,
        };
        self.state.in_step(None);
        let part = self.state.in_part(None);
        let result = result.unwrap_or_else(|| Err(self.too_late().into()));
        self.say_ending(&result, start);
        let ending = match &result {
            Ok(at) => {
                self.last = *at;
                let took = at.saturating_duration_since(start);
                let goals = self.scenario.goals();
                let misses = &self.state.misses;
                misses.took(goals, LimitOf::Row(index), took, *at);
                Ending::Completed(took)
            }
            Err(Stop::Failed(kind)) => {
                self.tell_failure(step, index, *kind, before);
                Ending::Failed(*kind)
            }
            Err(Stop::Shed(_)) => Ending::Shed,
            Err(Stop::Again) => return Err(Stop::Again),
        };
        let mut recorder = self.recorder();
        recorder.count(row, ending);
        if let (Some((part, _)), Some((parts, _)), Err(_)) = (part, self.streaming, &result) {
            recorder.count(part, ending);
            // An answer that breaks off has no mean gap either.
            if part == self.kind.first_row + parts.gap {
                recorder.count(self.kind.first_row + parts.per_event, ending);
            }
        }
        drop(recorder);
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
            Err(Stop::Again) => self.say(Mark::Note, |_| {
                "what the start steps were given has ended: they are taken anew".to_owned()
            }),
            Err(Stop::Shed(after)) => self.say(Mark::Failed, |_| {
                let after = crate::units::format_seconds(after.as_secs_f64());
                format!("refused by design: retry after {after}")
            }),
        }
    }

    /// Does what a measured step says; returns when its last byte came.
    async fn act(&mut self, action: &Action) -> Result<Instant, Stop> {
        match action {
            Action::Request(request) => self.request(request).await,
            Action::Open(request, opened) => self.open(request, *opened).await,
            Action::Wait(wait) => self.wait(wait).await,
            Action::Socket(_)
            | Action::Think(_)
            | Action::Close(_)
            | Action::Group(_)
            | Action::Choose(_) => Ok(Instant::now()),
        }
    }

    /// The next cycle is that of another user, to whom no cookie was given.
    fn forget_cookies(&mut self) {
        self.jar.clear();
        let names = self.scenario.cookie_names();
        self.jar.fill_in(names, &mut self.values);
    }

    async fn wait(&mut self, wait: &Wait) -> Result<Instant, Stop> {
        let (scenario, values) = (self.scenario, &self.values);
        let rng = &mut self.rng;
        let sought = wait.events.filled(|t| scenario.render(t, values, rng));
        let expect = wait.expect.filled(|t| scenario.render(t, values, rng));
        let stream = self.streams[wait.stream].as_ref().ok_or(FailureKind::Eof)?;
        let look = Look::of(self.kind, scenario, values);
        let arrived = awaited(wait.awaited, stream, |event| {
            look.came(event);
            wait.awaited != Awaited::End && sought.is(event)
        });
        let arrived = match arrived.await {
            Ok(Came::Event(arrived)) => arrived,
            Ok(Came::End(at)) => return Ok(at),
            Err(ended) => return Err(ended.failure().into()),
        };
        if let Some(text) = expect.unmet(&arrived.event.data) {
            return Err(why::note(FailureKind::WrongEvent, text).into());
        }
        let answer = Answer::of_event(&arrived.event.data);
        self.extract(&wait.extract, &answer)?;
        Ok(arrived.at)
    }

    fn extract(&mut self, wanted: &[Extract], answer: &Answer<'_>) -> Result<(), FailureKind> {
        for extract in wanted {
            let value = extract.find(answer, &mut self.rng).map_err(|missing| {
                let name = self.scenario.slot_name(extract.slot);
                let text = format!("nothing to extract for `{name}`: {missing}");
                why::note(FailureKind::Protocol, text)
            })?;
            self.values.set(extract.slot, value);
            self.say_extracted(extract.slot, &extract.from);
        }
        Ok(())
    }
}

impl User for ScenarioUser<'_> {
    async fn start(&mut self, limit: &mut TimeLimit) -> CycleEnd {
        if self.scenario.start().is_empty() {
            return CycleEnd::Completed;
        }
        if !std::mem::replace(&mut self.drawn, true) && !self.draw_values() {
            return CycleEnd::Left;
        }
        // Whoever has just started is not sent back to do so again.
        self.fresh = true;
        self.intended = None;
        let end = self.take(self.scenario.start(), limit).await;
        if matches!(end, CycleEnd::Stopped(_)) {
            self.client.close();
            self.close_sockets(true);
        }
        self.intended = None;
        end
    }

    fn must_start_again(&mut self) -> bool {
        std::mem::take(&mut self.lost)
    }

    fn could_not_start(&mut self, stop: &Stop) {
        let ending = match stop {
            Stop::Failed(kind) => Ending::Failed(*kind),
            Stop::Shed(_) | Stop::Again => Ending::Shed,
        };
        self.state.misses.begin(self.scenario.goals().len());
        self.count_cycle(ending);
    }

    async fn cycle(&mut self, limit: &mut TimeLimit) -> CycleEnd {
        let end = self.pass(limit).await;
        self.end_cycle(&end);
        end
    }

    fn due(&mut self, at: Instant) {
        self.intend(at);
    }

    fn mean_think(&self) -> Duration {
        Duration::try_from_secs_f64(self.scenario.mean_think_s()).unwrap_or(Duration::MAX)
    }

    fn draw(&mut self, range: Range<f64>) -> f64 {
        self.rng.random_range(range)
    }

    fn take_failure(&mut self) -> Option<Box<Failure>> {
        self.failure.take()
    }
}

/// The random numbers of a user.
pub(super) fn draws(kind: &Kind, id: u32) -> VuRng {
    // A canary's draws are its own.
    let is_canary = !kind.thinks && kind.trace.is_none();
    let draws = if is_canary { CANARY_DRAWS } else { id };
    // Who looks sees the first life, however often it looks.
    let life = match kind.trace {
        Some(_) => 0,
        None => kind.next_life(draws),
    };
    vu_rng(kind.seed.wrapping_add(LIFE.wrapping_mul(life)), draws)
}

/// The time of day, milliseconds since 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |t| u64::try_from(t.as_millis()).unwrap_or(u64::MAX))
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
