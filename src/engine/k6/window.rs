//! What happened in k6, second by second. Values only.

use std::collections::{BTreeMap, HashMap};

use super::points::{Event, Outcome, Request, What};
use crate::excerpt::{self, Masks};
use crate::measure::{FailureCounts, FailureKind, FailureWay, FailureWays, Histogram, StepWindow};

/// A second, nanoseconds.
pub(super) const SECOND: i64 = 1_000_000_000;
/// How much older than a mark that was read everything is that has been written before it,
/// nanoseconds.
const MARK_MARGIN: i64 = 400_000_000;
/// Names of requests that are kept apart in a second. Beyond that they are most likely addresses
/// with a number in each.
const MOST_NAMES: usize = 1000;
/// Different texts of what iterations threw that are kept in a second.
const MOST_MESSAGES: usize = 20;

/// A second of which everything is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Slice {
    /// Its number, from 0.
    pub(super) index: u64,
    /// Requests by name.
    pub(super) names: BTreeMap<String, StepWindow>,
    /// All requests.
    pub(super) requests: StepWindow,
    /// Iterations of the user's functions, think times included.
    pub(super) iterations: StepWindow,
    /// VUs that run at its end, leaving ones included.
    pub(super) running: u32,
    /// 99th percentile of the time from the answer that let a VU run until it did, seconds.
    pub(super) lag_p99_s: Option<f64>,
    /// A request that k6 did not send, and why.
    pub(super) forbidden: Option<(String, String)>,
    /// Requests of which it is not known how long they waited for a connection.
    pub(super) partial: u64,
    /// Requests that were told too late for the second in which they ended.
    pub(super) late: u64,
    /// What iterations threw, and how often.
    pub(super) threw: BTreeMap<String, u64>,
}

/// What a VU does.
#[derive(Debug, Clone, Copy, Default)]
struct Vu {
    /// When it began the iteration in which it is.
    begun: Option<i64>,
    /// End of its last request, or when it began.
    last: i64,
    /// When it was told to run, if it has not begun since.
    told: Option<i64>,
    /// Whether the iteration threw.
    threw: bool,
}

/// Puts events into seconds.
#[derive(Debug)]
pub(super) struct Fold {
    /// Time of the beginning of the first second, nanoseconds since 1970.
    zero: i64,
    /// Number of the next second that is given out.
    next: u64,
    /// Events that belong to later seconds, in no order.
    waiting: Vec<Event>,
    /// Time of the latest mark.
    mark: Option<i64>,
    vus: HashMap<u32, Vu>,
    running: u32,
    /// The longest time that a VU let pass without a request within an iteration, nanoseconds.
    longest_pause: i64,
    /// Whether an iteration has ended: before, the longest pause may still be to come.
    ended: bool,
}

/// Requests or iterations of a second.
#[derive(Debug, Default)]
struct Tally {
    ok_us: Vec<u64>,
    failed: FailureCounts,
    ways: FailureWays,
}

/// A second that is being put together.
#[derive(Debug, Default)]
struct Open {
    slice: Slice,
    names: BTreeMap<String, Tally>,
    requests: Tally,
    iterations: Tally,
    lags_us: Vec<u64>,
}

impl Fold {
    /// Begins with the second that begins at `zero`, nanoseconds since 1970.
    pub(super) fn new(zero: i64) -> Self {
        Self {
            zero,
            next: 0,
            waiting: Vec::new(),
            mark: None,
            vus: HashMap::new(),
            running: 0,
            longest_pause: 0,
            ended: false,
        }
    }

    /// Takes an event.
    pub(super) fn add(&mut self, event: Event) {
        if event.what == What::Mark {
            self.mark = self.mark.max(Some(event.at));
        } else {
            self.waiting.push(event);
        }
    }

    /// The next second if everything is known up to its end, because a mark says so.
    pub(super) fn close(&mut self) -> Option<Slice> {
        let known = self.mark?.saturating_sub(MARK_MARGIN);
        let begin = self.zero + i64::try_from(self.next).ok()?.checked_mul(SECOND)?;
        let end = begin + SECOND;
        if known < end {
            return None;
        }
        let (mut due, later): (Vec<Event>, _) =
            (std::mem::take(&mut self.waiting).into_iter()).partition(|event| event.at < end);
        self.waiting = later;
        due.sort_by_key(|event| event.at);
        let mut open = Open::default();
        open.slice.index = self.next;
        for event in due {
            self.apply(event, begin, &mut open);
        }
        self.next += 1;
        Some(self.finish(open, end))
    }

    fn apply(&mut self, event: Event, begin: i64, open: &mut Open) {
        let (at, number) = (event.at, event.vu);
        match event.what {
            What::Request(request) => {
                if request.of_vu {
                    open.slice.late += u64::from(at < begin);
                    self.request(at, number, &request);
                }
                open.request(&request);
            }
            What::Running(n) => self.running = n,
            What::Told => self.vu(number).told = Some(at),
            What::Begin => {
                let told = self.vu(number).told;
                open.lags_us.extend(told.map(|told| micros(at - told)));
                *self.vu(number) = Vu::begun_at(at);
            }
            What::Threw(message) => {
                self.vu(number).threw = true;
                open.threw(message);
            }
            What::End => {
                self.end(at, number, open);
                self.vu(number).begun = None;
            }
            What::Mark => {}
        }
    }

    fn vu(&mut self, number: u32) -> &mut Vu {
        self.vus.entry(number).or_default()
    }

    fn request(&mut self, at: i64, number: u32, request: &Request) {
        let vu = self.vu(number);
        if vu.begun.is_some() {
            let pause = request.begin(at) - vu.last;
            vu.last = vu.last.max(at);
            self.longest_pause = self.longest_pause.max(pause);
        }
    }

    fn end(&mut self, at: i64, number: u32, open: &mut Open) {
        let vu = *self.vu(number);
        let Some(begun) = vu.begun else { return };
        self.longest_pause = self.longest_pause.max(at - vu.last);
        self.ended = true;
        if vu.threw {
            // A script that does not get along with what it was answered.
            open.iterations.failed.add(FailureKind::Protocol);
        } else {
            open.iterations.ok_us.push(micros(at - begun));
        }
    }

    /// What is true at the end of a second is added to what happened in it.
    fn finish(&self, open: Open, end: i64) -> Slice {
        let Open {
            mut slice,
            names,
            requests,
            iterations,
            mut lags_us,
        } = open;
        slice.names = names.into_iter().map(|(n, t)| (n, t.step())).collect();
        slice.requests = requests.step();
        slice.iterations = iterations.step();
        slice.running = self.running;
        slice.lag_p99_s = Histogram::of_micros(&mut lags_us).quantile_s(0.99);
        let inside = || {
            self.vus
                .values()
                .filter_map(|vu| Some((vu.begun?, vu.last)))
        };
        let mut iterating: Vec<u64> = inside().map(|(begun, _)| micros(end - begun)).collect();
        slice.iterations.in_flight = Histogram::of_micros(&mut iterating);
        slice.requests.in_flight = self.hanging(end, inside().map(|(_, last)| last));
        slice
    }

    /// Ages of requests that are surely in flight, of VUs that were last heard of at these times.
    ///
    /// k6 tells of a request when it has ended. A VU of which nothing was heard for longer than any
    /// VU has ever paused between two requests waits for an answer, and has done so for the
    /// difference at least. So ages are too short rather than too long, and those of quick requests
    /// are not seen at all; but VUs that a target lets hang do count.
    fn hanging(&self, end: i64, heard: impl Iterator<Item = i64>) -> Histogram {
        let ages = heard.map(|last| end - last - self.longest_pause);
        let sure = ages.filter(|age| self.ended && *age > 0);
        let mut ages: Vec<u64> = sure.map(micros).collect();
        Histogram::of_micros(&mut ages)
    }
}

impl Vu {
    fn begun_at(at: i64) -> Self {
        Self {
            begun: Some(at),
            last: at,
            ..Self::default()
        }
    }
}

impl Open {
    fn request(&mut self, request: &Request) {
        if let Outcome::Forbidden(said) = &request.outcome {
            let forbidden = (request.name.clone(), said.clone());
            self.slice.forbidden.get_or_insert(forbidden);
        }
        if !request.of_vu {
            return;
        }
        self.slice.partial += u64::from(!request.whole);
        self.requests.add(request);
        // All together have no ways of their own: they would be told twice.
        if self.names.len() < MOST_NAMES || self.names.contains_key(&request.name) {
            let kind = self.names.entry(request.name.clone()).or_default();
            kind.add(request);
            kind.tell(request);
        }
    }

    fn threw(&mut self, message: String) {
        let threw = &mut self.slice.threw;
        if threw.len() < MOST_MESSAGES || threw.contains_key(&message) {
            *threw.entry(message).or_default() += 1;
        }
    }
}

impl Tally {
    fn add(&mut self, request: &Request) {
        match &request.outcome {
            Outcome::Ok => self.ok_us.push(micros(-request.begin(0))),
            Outcome::Failed(kind) => self.failed.add(*kind),
            // The run ends for it.
            Outcome::Forbidden(_) => {}
        }
    }

    /// Tells a failure apart from others of its kind.
    fn tell(&mut self, request: &Request) {
        let Outcome::Failed(kind) = request.outcome else {
            return;
        };
        let status = request.status.filter(|_| kind == FailureKind::Status);
        self.ways.add(FailureWay {
            count: 1,
            kind,
            status,
            message: excerpt::folded(&Masks::default().text(&request.said)),
            request: None,
            excerpt: String::new(),
        });
    }

    fn step(mut self) -> StepWindow {
        StepWindow {
            latency: Histogram::of_micros(&mut self.ok_us),
            failed: self.failed,
            ways: self.ways,
            ..StepWindow::default()
        }
    }
}

fn micros(nanos: i64) -> u64 {
    u64::try_from(nanos / 1000).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: i64 = 1_000_000;

    fn event(at_ms: i64, vu: u32, what: What) -> Event {
        let at = at_ms * MS;
        Event { at, vu, what }
    }

    fn request(at_ms: i64, vu: u32, took_ms: u32) -> Event {
        let request = Request {
            name: "/a".to_owned(),
            latency_s: f64::from(took_ms) / 1e3,
            whole: true,
            outcome: Outcome::Ok,
            status: Some(200),
            said: String::new(),
            of_vu: true,
        };
        event(at_ms, vu, What::Request(request))
    }

    fn slices(events: &[Event]) -> Vec<Slice> {
        let mut fold = Fold::new(0);
        let mut out = Vec::new();
        for event in events {
            fold.add(event.clone());
            while let Some(slice) = fold.close() {
                out.push(slice);
            }
        }
        out
    }

    fn close(h: &Histogram, want: &[f64]) {
        let seen: Vec<f64> = h.iter().map(|(s, _)| s).collect();
        assert_eq!(seen.len(), want.len(), "{seen:?}");
        for (seen, want) in seen.iter().zip(want) {
            assert!((seen - want).abs() < 0.002 * want + 1e-4, "{seen} {want}");
        }
    }

    #[test]
    fn a_second_is_given_when_a_mark_is_later_than_its_end() {
        let mut events = vec![request(100, 1, 20), request(1100, 1, 30)];
        events.push(event(1399, 0, What::Mark));
        assert!(slices(&events).is_empty());
        // Told late, but not too late.
        events.push(request(900, 1, 10));
        events.push(event(1400, 0, What::Mark));
        events.push(request(999, 1, 40));
        events.push(event(2500, 0, What::Mark));
        let seen = slices(&events);
        assert_eq!(seen.len(), 2);
        assert_eq!(seen[0].requests.completed(), 2);
        assert_eq!((seen[1].index, seen[1].requests.completed()), (1, 2));
        // It counts, in the next one.
        assert_eq!((seen[0].late, seen[1].late), (0, 1));
    }

    #[test]
    fn iterations_are_counted_with_what_they_threw() {
        let events = [
            event(0, 1, What::Told),
            event(10, 1, What::Begin),
            event(10, 2, What::Begin),
            event(310, 1, What::End),
            event(500, 2, What::Threw("no".to_owned())),
            event(510, 2, What::End),
            event(600, 2, What::Begin),
            event(700, 0, What::Running(2)),
            event(2000, 0, What::Mark),
        ];
        let seen = &slices(&events)[0];
        close(&seen.iterations.latency, &[0.3]);
        assert_eq!(seen.iterations.failed.get(FailureKind::Protocol), 1);
        close(&seen.iterations.in_flight, &[0.4]);
        assert_eq!(seen.threw, [("no".to_owned(), 1)].into());
        assert_eq!(seen.running, 2);
        assert!((seen.lag_p99_s.unwrap() - 0.01).abs() < 1e-4);
    }

    #[test]
    fn a_vu_that_is_silent_for_longer_than_any_pause_waits_for_an_answer() {
        let events = [
            event(0, 1, What::Begin),
            event(0, 2, What::Begin),
            // Pauses of 300 ms before its request, and of 400 ms after it.
            request(500, 1, 200),
            event(900, 1, What::End),
            event(901, 1, What::Begin),
            event(5000, 0, What::Mark),
        ];
        let seen = slices(&events);
        // VU 2 has been silent for 1 s, a pause may be 0.4 s; the other one has just begun.
        close(&seen[0].requests.in_flight, &[0.6]);
        close(&seen[1].requests.in_flight, &[0.699, 1.6]);
        assert_eq!(seen[0].names["/a"].in_flight.count(), 0);
    }

    #[test]
    fn before_an_iteration_has_ended_no_vu_is_taken_to_hang() {
        let events = [event(0, 1, What::Begin), event(5000, 0, What::Mark)];
        let seen = slices(&events);
        assert!(seen.iter().all(|s| s.requests.in_flight.is_empty()));
    }

    #[test]
    fn failures_are_told_apart_by_status_and_words() {
        let failing = |at_ms, status: u16, said: &str, kind| {
            let mut event = request(at_ms, 10, 1);
            if let What::Request(request) = &mut event.what {
                request.outcome = Outcome::Failed(kind);
                (request.status, request.said) = (Some(status), said.to_owned());
            }
            event
        };
        let refused = "dial tcp 127.0.0.1:1: connect: connection refused";
        let seen = slices(&[
            failing(100, 429, "", FailureKind::Status),
            failing(200, 429, "", FailureKind::Status),
            failing(300, 0, refused, FailureKind::ConnectRefused),
            event(5000, 0, What::Mark),
        ]);
        let ways = seen[0].names["/a"].ways.most(3);
        let told: Vec<_> = ways.iter().map(|w| (w.count, w.name())).collect();
        assert_eq!(
            told,
            [(2, "429".to_owned()), (1, "connect_refused".to_owned())]
        );
        assert_eq!(
            ways[1].message,
            "dial tcp #.#.#.#:#: connect: connection refused"
        );
        assert_eq!(seen[0].requests.ways.iter().count(), 0, "not told twice");
    }

    #[test]
    fn what_k6_did_not_send_is_told_and_not_counted() {
        let mut refused = request(100, 0, 1);
        if let What::Request(request) = &mut refused.what {
            request.outcome = Outcome::Forbidden("not there".to_owned());
            request.of_vu = false;
        }
        let seen = slices(&[refused, event(5000, 0, What::Mark)]);
        let told = seen[0].forbidden.clone().unwrap();
        assert_eq!(told, ("/a".to_owned(), "not there".to_owned()));
        assert_eq!(seen[0].requests, StepWindow::default());
    }

    proptest! {
        #[test]
        fn every_request_is_counted_once_whatever_the_order(
            mut all in proptest::collection::vec((0..5000_i64, 1..9_u32, 1..900_u32), 0..60),
            shuffled in any::<u64>(),
        ) {
            let events = all.iter().map(|(at, vu, took)| request(*at, *vu, *took));
            let events: Vec<Event> = events.collect();
            let end = event(9000, 0, What::Mark);
            let in_order = slices(&[events, vec![end.clone()]].concat());
            all.sort_by_key(|(at, vu, took)| (u64::try_from(*at).unwrap() ^ shuffled, *vu, *took));
            let events = all.iter().map(|(at, vu, took)| request(*at, *vu, *took));
            let events: Vec<Event> = events.collect();
            let other = slices(&[events, vec![end]].concat());
            let counted: u64 = in_order.iter().map(|s| s.requests.completed()).sum();
            prop_assert_eq!(counted, all.len() as u64);
            prop_assert_eq!(in_order.iter().map(|s| s.late).sum::<u64>(), 0);
            for (one, two) in in_order.iter().zip(&other) {
                prop_assert_eq!(&one.requests.latency, &two.requests.latency);
            }
        }
    }
}
