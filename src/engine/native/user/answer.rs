//! A streamed answer: when its first event came, how long the next ones were waited for, and when
//! the last one did.

use std::time::{Duration, Instant};

use super::ScenarioUser;
use super::follow::OpenAnswer;
use super::telling::Look;
use crate::engine::native::http::StreamEnd;
use crate::engine::native::kind::Kind;
use crate::engine::native::recorder::Ending;
use crate::engine::native::stream::{is_event_stream, too_large};
use crate::engine::native::vu::{Stop, VuState};
use crate::engine::native::why;
use crate::engine::trace::Mark;
use crate::excerpt;
use crate::measure::{FailureKind, StepParts};
use crate::scenario::sse::{Event, Parser};
use crate::scenario::{Answer, AnswerStream, LimitOf, RequestTemplate, Sought};
use crate::units;

/// How long the rest of a stream is waited for behind the event that ended the answer, so that its
/// connection can be used again. It mostly comes at once.
const REST: Duration = Duration::from_millis(100);

impl ScenarioUser<'_> {
    /// Reads a streamed answer; returns when its last event came.
    pub(super) async fn streamed(
        &mut self,
        template: &RequestTemplate,
        stream: &AnswerStream,
        answer: OpenAnswer,
    ) -> Result<Instant, Stop> {
        let Some((parts, start)) = self.streaming else {
            return Err(FailureKind::Protocol.into());
        };
        let OpenAnswer {
            mut connection,
            head,
            keep,
            asked: _,
        } = answer;
        if !is_event_stream(&head.headers) {
            return Err(self.no_stream(&head, &connection).into());
        }
        let answer = Answer::new(head.status.as_u16(), &head.headers, &[]);
        self.extract(template.extract(), &answer)?;
        let (scenario, values) = (self.scenario, &self.values);
        let rng = &mut self.rng;
        let mut render = |template: &_| scenario.render(template, values, rng);
        let mut parser = Parser::default();
        let mut counting = Counting {
            until: stream.until.as_ref().map(|m| m.filled(&mut render)),
            first: stream.first.as_ref().map(|m| m.filled(&mut render)),
            fail: stream.fail.as_ref().map(|m| m.filled(&mut render)),
            look: Look::of(self.kind, scenario, values),
            kind: self.kind,
            state: self.state,
            parts,
            start,
            seen: None,
            last: start,
            over: None,
        };
        let end = connection
            .stream(|bytes, at| {
                counting.read_late(at.elapsed());
                let fed = parser.feed(bytes, |event| counting.came(&event, at));
                fed.map_err(|_| StreamEnd::Failed(too_large()))?;
                counting.over.map_or(Ok(()), Err)
            })
            .await;
        let last = counting.ended(end)?;
        self.state.in_part(None);
        self.arrival(&connection);
        let rest = connection.finish();
        let is_whole = matches!(tokio::time::timeout(REST, rest).await, Ok(Ok(())));
        why::clear();
        if let Some(origin) = keep.filter(|_| is_whole) {
            self.client.keep(origin, connection);
        }
        Ok(last)
    }
}

/// What has come of an answer.
struct Counting<'a> {
    until: Option<Sought<'a>>,
    first: Option<Sought<'a>>,
    fail: Option<Sought<'a>>,
    look: Look<'a>,
    kind: &'a Kind,
    state: &'a VuState,
    parts: StepParts,
    start: Instant,
    /// What was seen from the first event on.
    seen: Option<SeenEvents>,
    /// When the last event came, whatever it was.
    last: Instant,
    /// Why no more is taken.
    over: Option<StreamEnd>,
}

/// The events of an answer from its first on; the one that ends it is none of them.
struct SeenEvents {
    first: Instant,
    last: Instant,
    count: u32,
    longest: Duration,
}

impl Counting<'_> {
    /// Something was read so long after it came: what is read late may have the stamp of what came
    /// after it.
    fn read_late(&self, late: Duration) {
        self.kind.thread.recorder.borrow_mut().read_late(late);
    }

    /// An event came.
    fn came(&mut self, event: &Event, at: Instant) {
        if self.over.is_some() {
            return;
        }
        self.look.came(event);
        if self.fail.as_ref().is_some_and(|fail| fail.is(event)) {
            let data = excerpt::line(&event.data);
            let text = format!("the stream has an event that fails the step: {data}");
            self.over = Some(StreamEnd::Failed(why::note(FailureKind::Check, text)));
            return;
        }
        self.last = at;
        if self.until.as_ref().is_some_and(|until| until.is(event)) {
            self.over = Some(StreamEnd::Enough);
            return;
        }
        match self.seen.take() {
            Some(seen) => self.seen = Some(self.next(&seen, at)),
            None if self.first.as_ref().is_none_or(|first| first.is(event)) => {
                self.part(
                    self.parts.first,
                    at.saturating_duration_since(self.start),
                    at,
                );
                self.waits_since(at);
                self.seen = Some(SeenEvents {
                    first: at,
                    last: at,
                    count: 1,
                    longest: Duration::ZERO,
                });
            }
            None => {}
        }
    }

    /// One more event: what comes in one segment comes at once, and nobody waited between.
    fn next(&self, seen: &SeenEvents, at: Instant) -> SeenEvents {
        let gap = at.saturating_duration_since(seen.last);
        if !gap.is_zero() {
            self.part(self.parts.gap, gap, at);
            self.waits_since(at);
        }
        SeenEvents {
            last: at,
            count: seen.count + 1,
            longest: seen.longest.max(gap),
            first: seen.first,
        }
    }

    /// The next event is waited for.
    fn waits_since(&self, at: Instant) {
        let row = self.kind.first_row + self.parts.gap;
        self.state.in_part(Some((row, at)));
    }

    /// Counts a part of the answer.
    fn part(&self, part: usize, took: Duration, until: Instant) {
        let row = self.kind.first_row + part;
        let mut recorder = self.kind.thread.recorder.borrow_mut();
        recorder.count(row, Ending::Completed(took));
        let goals = self.kind.scenario.goals();
        self.state
            .misses
            .took(goals, LimitOf::Row(part), took, until);
    }

    /// The answer is over; says when its last event came.
    fn ended(&self, end: StreamEnd) -> Result<Instant, FailureKind> {
        match (end, &self.seen) {
            (StreamEnd::Failed(kind), _) => Err(kind),
            (StreamEnd::Body, _) if self.until.is_some() => {
                let text = "the stream ended before the event that ends the answer (`until`)";
                Err(why::note(FailureKind::Eof, text))
            }
            (_, None) => {
                let text = if self.first.is_some() {
                    "the answer ended without an event as `first` wants it"
                } else {
                    "the answer ended without an event"
                };
                Err(why::note(FailureKind::Protocol, text))
            }
            (_, Some(seen)) => {
                let span = seen.last.saturating_duration_since(seen.first);
                if seen.count > 1 {
                    self.part(self.parts.per_event, span / (seen.count - 1), seen.last);
                }
                self.tell(seen, span);
                Ok(self.last)
            }
        }
    }

    fn tell(&self, seen: &SeenEvents, span: Duration) {
        let Some(trace) = &self.kind.trace else {
            return;
        };
        let shown = |span: Duration| units::format_seconds(span.as_secs_f64());
        let first = shown(seen.first.saturating_duration_since(self.start));
        let rate = match span.as_secs_f64() {
            span if span > 0.0 => format!(", {:.1} events/s", f64::from(seen.count - 1) / span),
            _ => String::new(),
        };
        let text = format!(
            "first event after {first}, {} events, longest gap {}{rate}",
            seen.count,
            shown(seen.longest)
        );
        trace.say(Mark::Note, &text);
    }
}
