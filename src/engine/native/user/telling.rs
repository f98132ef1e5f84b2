//! What a VU tells of itself: of a failed step why it failed and what was said, and of a cycle that
//! is looked at everything.
//!
//! Nothing of this is made for a request that succeeds, but for a clone of the generator of random
//! values: with it the request of a failed step can be written again as it was sent.

use std::time::Duration;

use http::header::LOCATION;
use http::{HeaderMap, StatusCode};

use super::body::Body;
use super::{Connection, Encoding, FailureKind, Head, RequestTemplate, ScenarioUser, VuRng, why};
use crate::engine::native::http::Version;
use crate::engine::native::kind::Kind;
use crate::engine::native::recorder::Way;
use crate::engine::native::why::Words;
use crate::engine::trace::{Mark, Trace};
use crate::excerpt::{self, Masks};
use crate::measure::{Exchange, Failure, status_text};
use crate::scenario::sse::Event;
use crate::scenario::{
    Action, Awaited, Expect, ExtractFrom, Http, Scenario, Step, Values, Wait, is_redirect,
};
use crate::secret;
use crate::units;

/// How long the body of a refusal is waited for that did not come with its head. Those are mostly
/// sent in a second piece at once.
const BODY_GRACE: Duration = Duration::from_millis(50);
/// Bytes of a whole exchange that is kept.
pub(in crate::engine::native) const EXCHANGE: usize = 1024;
/// Characters of an event or a value that a trace shows.
const SHOWN: usize = 300;

/// The answer that a failed step got.
pub(super) struct FailedAnswer {
    version: Version,
    status: u16,
    /// Whether the status is what the step failed at.
    to_blame: bool,
    headers: HeaderMap,
    body: Body,
}

impl FailedAnswer {
    /// `encoding` is that of these bytes, which may have been decoded already.
    pub(super) fn new(head: &Head, body: &[u8], encoding: Encoding, to_blame: bool) -> Self {
        Self {
            version: head.version,
            status: head.status.as_u16(),
            to_blame,
            headers: head.headers.clone(),
            body: Body::read(&head.headers, body, encoding),
        }
    }

    pub(super) fn is_to_blame(&self) -> bool {
        self.to_blame
    }

    /// Where it points, where it is one that does.
    fn points_to(&self, masks: &Masks) -> Option<String> {
        let to = self.headers.get(LOCATION)?;
        let is_one = self.to_blame && StatusCode::from_u16(self.status).is_ok_and(is_redirect);
        let shown = secret::line_masked(&masks.header(LOCATION.as_str(), to.as_bytes()));
        is_one.then(|| excerpt::line(&shown))
    }
}

/// A step that failed, as far as it is told of.
struct Failed<'a> {
    action: &'a Action,
    /// Its place among the scenario's own.
    index: usize,
    way: Way,
    seen: Option<&'a FailedAnswer>,
    /// Why, where that is no status.
    words: Option<&'a Words>,
}

impl Failed<'_> {
    /// The beginning of the answer, where that may be told.
    fn excerpt(&self, may: bool, masks: &Masks) -> String {
        let seen = self.seen.filter(|_| may);
        seen.map(|s| s.body.shown(masks)).unwrap_or_default()
    }
}

impl ScenarioUser<'_> {
    /// A step begins, of which nothing was seen yet.
    pub(super) fn nothing_seen(&mut self) {
        if !self.kind.thinks {
            self.seen = None;
            self.kind.came.take();
        }
    }

    /// Notes of one who looks, or of a canary, that an answer began: whatever goes wrong now,
    /// somebody answered.
    pub(super) fn answered(&mut self, head: &Head, connection: &Connection) {
        if !self.kind.thinks {
            let body = connection.beginning();
            self.seen = Some(Box::new(FailedAnswer::new(
                head,
                body,
                head.encoding,
                false,
            )));
        }
    }

    /// Notes the answer that a step fails at, and waits a moment for the body where that comes
    /// apart from the head.
    pub(super) async fn refused_by(&mut self, head: &Head, connection: &mut Connection) {
        let seen = |connection: &Connection| {
            let body = connection.beginning();
            Some(Box::new(FailedAnswer::new(head, body, head.encoding, true)))
        };
        self.seen = seen(connection);
        let wants = self.kind.excerpts && connection.beginning().is_empty();
        if wants
            && tokio::time::timeout(BODY_GRACE, connection.begin_body())
                .await
                .is_ok()
        {
            self.seen = seen(connection);
        }
        // Whatever became of the body: it is the status that the step fails at.
        why::clear();
    }

    /// Counts how a step failed, and keeps what was said.
    #[cold]
    #[inline(never)]
    pub(super) fn tell_failure(
        &mut self,
        step: &Step,
        index: usize,
        kind: FailureKind,
        before: VuRng,
    ) {
        let seen = self.seen.take();
        let words = match kind {
            FailureKind::Timeout => {
                let limit = units::format_seconds(step.timeout.as_secs_f64());
                let text = format!("not done within {limit} (`timeout`)");
                Some(Words {
                    detail: self.what_came(step),
                    ..Words::from(text)
                })
            }
            // The words quote the event.
            FailureKind::WrongEvent if !self.kind.excerpts => None,
            _ => why::take(kind),
        };
        let blamed = seen.as_deref().filter(|s| s.to_blame);
        let raw = match (&words, blamed) {
            (None, Some(seen)) if self.kind.excerpts => seen.body.folded(),
            (Some(words), _) => words.text.clone(),
            (None, _) => String::new(),
        };
        let way = Way {
            step: self.kind.first_row + index,
            kind,
            status: blamed.map(|s| s.status),
            message: raw,
        };
        let failed = Failed {
            action: &step.action,
            index,
            way,
            seen: seen.as_deref(),
            words: words.as_ref(),
        };
        self.describe(&failed, before);
        if !self.kind.thinks {
            self.failure = Some(Box::new(self.failure_of(&failed)));
        }
    }

    /// Counts a failure, and writes down what of it is not known yet.
    fn describe(&self, failed: &Failed<'_>, before: VuRng) {
        let way = &failed.way;
        let wanted = self.recorder().failed(way);
        let exchange = wanted.exchange && self.kind.excerpts;
        if !wanted.words && !exchange {
            return;
        }
        let masks = self.scenario.masks(&self.values, true);
        let excerpt = failed.excerpt(self.kind.excerpts, &masks);
        let message = match failed.words {
            Some(words) => excerpt::line(&masks.text(&words.text)),
            None => excerpt::folded(&excerpt),
        };
        let mut recorder = self.recorder();
        recorder.describe(way, |shown| {
            shown.message = message;
            shown.request = request_of(failed.action).map(|r| r.shown().to_owned());
            shown.excerpt = excerpt::line(&excerpt);
        });
        if exchange {
            let exchange = Exchange {
                step: self.step_name(failed.index),
                kind: way.kind,
                status: way.status,
                text: self.exchange_text(failed, before, &masks),
            };
            recorder.keep(way, exchange);
        }
    }

    /// What a canary, or one who looks, is told. Of a canary it goes into the record, of one who
    /// looks to the user's own terminal.
    fn failure_of(&self, failed: &Failed<'_>) -> Failure {
        let published = self.kind.trace.is_none();
        let masks = self.scenario.masks(&self.values, published);
        let request = request_of(failed.action).map(|r| {
            let origin = &self.scenario.origins()[r.origin()];
            let (method, path) = r.shown().split_once(' ').unwrap_or(("", r.shown()));
            if path.contains("://") || r.is_link() {
                format!("{method} {path}")
            } else {
                format!("{method} {origin}{path}")
            }
        });
        let words = failed.words.map(Words::whole).unwrap_or_default();
        let excerpt = failed.excerpt(self.kind.excerpts, &masks);
        let seen = failed.seen;
        let waits = waits(failed.action);
        Failure {
            kind: failed.way.kind,
            step: Some(self.step_name(failed.index)),
            request,
            status: failed.way.status,
            answered: seen.filter(|s| !s.to_blame).map(|s| s.status),
            // Who waits has a stream that was opened.
            waited: waits,
            connected: waits || failed.words.is_some_and(|w| !w.connecting),
            points_to: seen.and_then(|s| s.points_to(&masks)),
            redirects: self.scenario.redirects(),
            message: excerpt::long_line(&masks.text(&words)),
            excerpt: excerpt::line(&excerpt),
        }
    }

    /// What one who looks saw come to a step that was not done in time; empty for all others.
    fn what_came(&self, step: &Step) -> String {
        let streams = matches!(&step.action, Action::Request(r) if r.stream().is_some());
        if self.kind.trace.is_none() || !(streams || waits(&step.action)) {
            return String::new();
        }
        let came = self.kind.came.borrow();
        match came.count {
            0 => "nothing came while it waited".to_owned(),
            1 => format!("1 came that was not what it waits for: {}", came.last),
            n => format!(
                "{n} came that were not what it waits for, the last: {}",
                came.last
            ),
        }
    }

    /// An event or a message came to one who looks.
    pub(super) fn say_message(&self, text: &str) {
        self.say(Mark::Came, |masks| {
            let line = message_line(text, masks);
            note_came(self.kind, &line);
            line
        });
    }

    fn step_name(&self, index: usize) -> String {
        self.scenario.table().name(index).to_owned()
    }

    /// What was sent and what came.
    fn exchange_text(&self, failed: &Failed<'_>, before: VuRng, masks: &Masks) -> String {
        let signed = |sign: &str, lines: Vec<String>| -> Vec<String> {
            lines.into_iter().map(|l| format!("{sign} {l}")).collect()
        };
        let mut sent = Vec::new();
        if let Some(template) = request_of(failed.action) {
            let mut rng = before;
            let request = template.render(self.scenario, &self.values, &mut rng, String::new());
            if let Ok(request) = &request {
                sent.extend(signed(">", self.request_lines(request, masks)));
                let body = excerpt::head_of(request).1;
                sent.extend(body_lines(&masks.body(body), "> "));
            }
        }
        let mut came = Vec::new();
        if let Some(seen) = failed.seen {
            let head = head_lines(seen.version, seen.status, &seen.headers, masks);
            came.extend(signed("<", head));
            came.extend(body_lines(&seen.body.shown(masks), "< "));
        }
        came.extend((failed.words).map(|w| format!("* {}", masks.text(&w.whole()))));
        let shown = |lines: &[String]| excerpt::visible(&lines.join("\n"));
        // A long request leaves room for its answer.
        let sent = fit(&shown(&sent), EXCHANGE / 2);
        let whole = format!("{sent}\n{}", shown(&came));
        fit(whole.trim(), EXCHANGE)
    }

    /// Says something to whoever looks; it is not even written where nobody does.
    #[inline]
    pub(super) fn say(&self, mark: Mark, text: impl FnOnce(&Masks) -> String) {
        if let Some(trace) = &self.kind.trace {
            self.say_to(trace, mark, text);
        }
    }

    /// Kept out of the way of those who are not looked at.
    #[cold]
    #[inline(never)]
    fn say_to(&self, trace: &Trace, mark: Mark, text: impl FnOnce(&Masks) -> String) {
        trace.say(mark, &text(&self.scenario.masks(&self.values, false)));
    }

    pub(super) fn say_step(&self, step: &Step, index: usize) {
        let within = || units::format_seconds(step.timeout.as_secs_f64());
        self.say(Mark::Step, |_| {
            let by = match &step.action {
                Action::Request(r) => format!(
                    "{}; passes with {}{}{}",
                    r.shown(),
                    expected(r.expect()) + &streamed(r),
                    if r.check().is_some() {
                        ", what `check` asks for"
                    } else {
                        ""
                    },
                    wanted(self, r.extract())
                ),
                Action::Open(r, _) => format!(
                    "{}; passes with {} and content-type text/event-stream",
                    r.shown(),
                    expected(r.expect())
                ),
                Action::Wait(wait) => format!(
                    "wait; passes with {}{}",
                    awaited(wait),
                    wanted(self, &wait.extract)
                ),
                Action::Socket(step) => self.socket_words(step),
                Action::Think(_) | Action::Close(_) | Action::Group(_) | Action::Choose(_) => {
                    String::new()
                }
            };
            format!("{}: {by}, within {}", self.step_name(index), within())
        });
    }

    /// The lines of a request; which HTTP they are sent in is only known of one that can be but
    /// one.
    fn request_lines(&self, request: &[u8], masks: &Masks) -> Vec<String> {
        let mut lines = masks.request_lines(request);
        if self.kind.thread.connector.http() != Http::One
            && let Some(first) = lines.first_mut()
            && let Some(known) = first.strip_suffix(" HTTP/1.1")
        {
            *first = known.to_owned();
        }
        lines
    }

    pub(super) fn say_sent(&self, request: &[u8]) {
        self.say(Mark::Sent, |masks| {
            let mut lines = self.request_lines(request, masks);
            lines.extend(body_lines(&masks.body(excerpt::head_of(request).1), ""));
            lines.join("\n")
        });
    }

    pub(super) fn say_head(&self, head: &Head) {
        self.say(Mark::Came, |masks| {
            head_lines(head.version, head.status.as_u16(), &head.headers, masks).join("\n")
        });
    }

    /// `encoding` is that of these bytes, which may have been decoded already.
    pub(super) fn say_body(&self, headers: &HeaderMap, body: &[u8], encoding: Encoding) {
        if self.kind.trace.is_none() || body.is_empty() {
            return;
        }
        self.say(Mark::Came, |masks| {
            let mut lines = body_lines(&Body::read(headers, body, encoding).shown(masks), "");
            if body.len() >= excerpt::BODY {
                lines.push("(the first kilobyte)".to_owned());
            }
            lines.join("\n")
        });
    }

    pub(super) fn say_extracted(&self, slot: usize, from: &ExtractFrom) {
        self.say(Mark::Note, |masks| {
            let name = self.scenario.slot_name(slot);
            let value = excerpt::cut(&masks.text(self.values.get(slot)), SHOWN);
            format!("{name} = {value}   (from {from})")
        });
    }
}

/// What one who looks shows of the events of a stream.
pub(super) struct Look<'a>(Option<(&'a Trace, &'a Kind, Masks)>);

impl<'a> Look<'a> {
    pub(super) fn of(kind: &'a Kind, scenario: &Scenario, values: &Values) -> Self {
        let trace = kind.trace.as_ref();
        Self(trace.map(|trace| (trace, kind, scenario.masks(values, false))))
    }

    /// An event came.
    pub(super) fn came(&self, event: &Event) {
        if let Some((trace, kind, masks)) = &self.0 {
            let line = event_line(&event.name, &event.data, masks);
            note_came(kind, &line);
            trace.say(Mark::Came, &line);
        }
    }
}

/// Whether a step waits on a connection that an earlier one opened.
fn waits(action: &Action) -> bool {
    match action {
        Action::Wait(_) => true,
        Action::Socket(step) => step.request().is_none(),
        _ => false,
    }
}

fn note_came(kind: &Kind, line: &str) {
    let mut came = kind.came.borrow_mut();
    came.count += 1;
    line.clone_into(&mut came.last);
}

/// An event, on one line.
fn event_line(name: &str, data: &str, masks: &Masks) -> String {
    excerpt::cut(
        &format!("event {name}: {}", excerpt::line(&masks.text(data))),
        SHOWN,
    )
}

/// A message of a WebSocket, on one line.
pub(in crate::engine::native) fn message_line(text: &str, masks: &Masks) -> String {
    let line = excerpt::line(&masks.text(text));
    excerpt::cut(&format!("message: {line}"), SHOWN)
}

fn request_of(action: &Action) -> Option<&RequestTemplate> {
    match action {
        Action::Request(request) | Action::Open(request, _) => Some(request),
        Action::Socket(step) => step.request(),
        Action::Wait(_)
        | Action::Think(_)
        | Action::Close(_)
        | Action::Group(_)
        | Action::Choose(_) => None,
    }
}

pub(in crate::engine::native) fn head_lines(
    version: Version,
    status: u16,
    headers: &HeaderMap,
    masks: &Masks,
) -> Vec<String> {
    let first = format!("{} {}", version.shown(), status_text(status));
    let fields = headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", masks.header(name.as_str(), value.as_bytes())));
    [first].into_iter().chain(fields).collect()
}

/// Lines of a body behind an empty one; none of an empty body.
pub(in crate::engine::native) fn body_lines(body: &str, sign: &str) -> Vec<String> {
    if body.is_empty() {
        return Vec::new();
    }
    let lines = body.lines().map(|l| format!("{sign}{l}"));
    [sign.trim_end().to_owned()]
        .into_iter()
        .chain(lines)
        .collect()
}

/// At most so many bytes; a sign says where more was.
pub(in crate::engine::native) fn fit(text: &str, most: usize) -> String {
    const SIGN: &str = "\u{2026}";
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most - SIGN.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{SIGN}", &text[..end])
}

pub(super) fn expected(expect: &Expect) -> String {
    match expect {
        Expect::Success => "any 2xx".to_owned(),
        Expect::OneOf(statuses) => {
            let all: Vec<&str> = statuses.iter().map(http::StatusCode::as_str).collect();
            all.join(" or ")
        }
    }
}

pub(super) fn wanted(user: &ScenarioUser<'_>, extract: &[crate::scenario::Extract]) -> String {
    let each = extract.iter().map(|e| {
        let name = user.scenario.slot_name(e.slot);
        format!(", and {} for `{name}`", e.from)
    });
    each.collect()
}

/// What of a streamed answer is waited for, in words.
fn streamed(request: &RequestTemplate) -> String {
    let Some(stream) = request.stream() else {
        return String::new();
    };
    let until = match &stream.until {
        Some(until) => format!("an event{}", until.shown()),
        None => "its end".to_owned(),
    };
    let first = (stream.first.as_ref()).map_or_else(String::new, |first| {
        format!(", of which the first counted is an event{}", first.shown())
    });
    format!(" and an event stream (text/event-stream) that is read up to {until}{first}")
}

fn awaited(wait: &Wait) -> String {
    let which = wait.events.shown();
    match wait.awaited {
        Awaited::Events(1) => format!("an event{which}"),
        Awaited::Events(n) => format!("event {n} of those that match: an event{which}"),
        Awaited::Last => format!("the last event{which} before the stream's end"),
        Awaited::End => "the end of the stream".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_exchange_is_never_larger_than_it_may_be() {
        for text in ["\u{fc}".repeat(2000), "x".repeat(EXCHANGE + 1)] {
            let fitted = fit(&text, EXCHANGE);
            assert!(fitted.len() <= EXCHANGE && fitted.ends_with('\u{2026}'));
        }
        assert_eq!(fit("x", EXCHANGE), "x");
    }
}
