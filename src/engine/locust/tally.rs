//! What our VUs did, in the words of a Locust worker's report and in those of the plug-in. Values
//! only.

use std::collections::BTreeMap;

use rmpv::Value;

use super::PROTOCOL;
use super::message::map;
use super::second::{StepSecond, WorkerSecond};
use super::ways::WayData;
use crate::measure::{StepTable, StepWindow, Window};

/// The type that stands beside a step's name on Locust's page.
const METHOD: &str = "step";

/// Counts of the steps since the last report.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    names: Vec<String>,
    steps: Vec<Entry>,
    /// (step, what went wrong) -> how often.
    errors: BTreeMap<(usize, &'static str), u64>,
    /// Time of day at which it began, seconds.
    since: f64,
}

/// One row of Locust's page.
#[derive(Debug, Clone, Default)]
struct Entry {
    requests: u64,
    /// Failed ones: their time is not known, only that they ended.
    without_time: u64,
    failures: u64,
    total_ms: f64,
    min_ms: Option<f64>,
    max_ms: f64,
    last: Option<f64>,
    times: BTreeMap<u64, u64>,
    per_s: BTreeMap<u64, u64>,
    failed_per_s: BTreeMap<u64, u64>,
}

impl Tally {
    /// For the measured steps of a scenario; the cycle is none of them, for Locust adds all of them
    /// up.
    pub(super) fn new(names: &StepTable, now: f64) -> Self {
        let steps: Vec<String> = names.step_names().map(str::to_owned).collect();
        Self {
            steps: vec![Entry::default(); steps.len()],
            names: steps,
            errors: BTreeMap::new(),
            since: now,
        }
    }

    /// Adds a window that ended at a time of day.
    pub(super) fn add(&mut self, window: &Window, end: f64) {
        for (index, step) in window.steps.iter().take(self.names.len()).enumerate() {
            self.steps[index].add(step, end);
            for (kind, n) in step.failed.iter().filter(|(_, n)| *n > 0) {
                *self.errors.entry((index, kind.name())).or_default() += n;
            }
            if step.shed > 0 {
                *self.errors.entry((index, "shed")).or_default() += step.shed;
            }
        }
    }

    /// The report for the master, and nothing is left.
    pub(super) fn take(&mut self, classes: &[(String, u64)], now: f64) -> Value {
        let mut total = Entry::default();
        for step in &self.steps {
            total.merge(step);
        }
        let rows = self.names.iter().zip(&self.steps);
        let rows: Vec<Value> = rows
            .filter(|(_, entry)| entry.requests > 0)
            .map(|(name, entry)| entry.value(name, METHOD, self.since))
            .collect();
        let errors = self.errors.iter().map(|(&(step, kind), &n)| {
            let name = &self.names[step];
            let error = map([
                ("name", name.as_str().into()),
                ("method", METHOD.into()),
                ("error", kind.into()),
                ("occurrences", n.into()),
                ("first_seen", self.since.into()),
                ("last_seen", now.into()),
            ]);
            (format!("{METHOD}.{name}.{kind}").into(), error)
        });
        let report = map([
            ("stats", Value::Array(rows)),
            ("stats_total", total.value("Aggregated", "", self.since)),
            ("errors", Value::Map(errors.collect())),
            ("user_classes_count", class_counts(classes)),
            ("user_count", users(classes).into()),
        ]);
        self.steps.fill(Entry::default());
        self.errors.clear();
        self.since = now;
        report
    }
}

/// How many users there are, by class.
pub(super) fn class_counts(classes: &[(String, u64)]) -> Value {
    let entries = classes
        .iter()
        .map(|(name, n)| (name.as_str().into(), (*n).into()));
    Value::Map(entries.collect())
}

/// How many users there are.
pub(super) fn users(classes: &[(String, u64)]) -> u64 {
    classes.iter().map(|(_, n)| n).sum()
}

impl Entry {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts of seconds, and times of day"
    )]
    fn add(&mut self, step: &StepWindow, end: f64) {
        let failed: u64 = step.failed.iter().map(|(_, n)| n).sum::<u64>() + step.shed;
        let ended = step.completed() + failed;
        if ended == 0 {
            return;
        }
        // The second that the window was, not the one in which it ended.
        let second = (end - 0.5) as u64;
        self.requests += ended;
        self.without_time += failed;
        self.failures += failed;
        self.last = Some(end);
        *self.per_s.entry(second).or_default() += ended;
        if failed > 0 {
            *self.failed_per_s.entry(second).or_default() += failed;
        }
        for (seconds, n) in step.latency.iter() {
            let ms = seconds * 1e3;
            self.total_ms += ms * n as f64;
            self.min_ms = Some(self.min_ms.map_or(ms, |min| min.min(ms)));
            self.max_ms = self.max_ms.max(ms);
            *self.times.entry(rounded(ms)).or_default() += n;
        }
    }

    fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.without_time += other.without_time;
        self.failures += other.failures;
        self.total_ms += other.total_ms;
        self.max_ms = self.max_ms.max(other.max_ms);
        self.min_ms = match (self.min_ms, other.min_ms) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        self.last = match (self.last, other.last) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        for (into, from) in [
            (&mut self.times, &other.times),
            (&mut self.per_s, &other.per_s),
            (&mut self.failed_per_s, &other.failed_per_s),
        ] {
            for (key, n) in from {
                *into.entry(*key).or_default() += n;
            }
        }
    }

    fn value(&self, name: &str, method: &str, since: f64) -> Value {
        let counts = |counts: &BTreeMap<u64, u64>| {
            Value::Map(
                counts
                    .iter()
                    .map(|(k, n)| ((*k).into(), (*n).into()))
                    .collect(),
            )
        };
        map([
            ("name", name.into()),
            ("method", method.into()),
            (
                "last_request_timestamp",
                self.last.map_or(Value::Nil, Value::from),
            ),
            ("start_time", since.into()),
            ("num_requests", self.requests.into()),
            ("num_none_requests", self.without_time.into()),
            ("num_failures", self.failures.into()),
            ("total_response_time", self.total_ms.into()),
            ("max_response_time", self.max_ms.into()),
            (
                "min_response_time",
                self.min_ms.map_or(Value::Nil, Value::from),
            ),
            ("total_content_length", 0.into()),
            ("response_times", counts(&self.times)),
            ("num_reqs_per_sec", counts(&self.per_s)),
            ("num_fail_per_sec", counts(&self.failed_per_s)),
        ])
    }
}

/// A latency as Locust counts it: to about two digits, milliseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a latency is not negative, and at most an hour"
)]
fn rounded(ms: f64) -> u64 {
    let step = match ms {
        _ if ms < 100.0 => 1.0,
        _ if ms < 1_000.0 => 10.0,
        _ if ms < 10_000.0 => 100.0,
        _ => 1_000.0,
    };
    ((ms / step).round_ties_even() * step) as u64
}

/// A window in the plug-in's words, which are exact.
pub(super) fn second(window: &Window, names: &StepTable, number: u64, users: u64) -> WorkerSecond {
    let steps = names.step_names().zip(&window.steps);
    WorkerSecond {
        protocol: PROTOCOL,
        second: number,
        users: u32::try_from(users).unwrap_or(u32::MAX),
        cpu: window.generator.cpu_cores.unwrap_or(0.0),
        cpu_share: window.generator.health.thread_cpu.unwrap_or(0.0),
        lag_p99_s: window.generator.lag_p99_s,
        steps: steps
            .map(|(name, step)| (name.to_owned(), step_second(step)))
            .collect(),
    }
}

fn step_second(step: &StepWindow) -> StepSecond {
    let failed = step.failed.iter().filter(|(_, n)| *n > 0);
    StepSecond {
        ok: step.latency.buckets().to_vec(),
        failed: failed.map(|(k, n)| (k.name().to_owned(), n)).collect(),
        shed: step.shed,
        unseen: 0,
        in_flight: step.in_flight.buckets().to_vec(),
        ways: step.ways.iter().map(WayData::of).collect(),
    }
}

impl WorkerSecond {
    /// For the plug-in.
    pub(super) fn value(&self) -> Value {
        let pairs = |pairs: &[(u64, u64)]| {
            let pair = |&(value, n): &(u64, u64)| Value::Array(vec![value.into(), n.into()]);
            Value::Array(pairs.iter().map(pair).collect())
        };
        let way = |way: &WayData| {
            let request = way.request.as_deref();
            map([
                ("count", way.count.into()),
                ("kind", way.kind.as_str().into()),
                ("status", way.status.map_or(Value::Nil, Value::from)),
                ("message", way.message.as_str().into()),
                ("request", request.map_or(Value::Nil, Value::from)),
            ])
        };
        let step = |step: &StepSecond| {
            let failed = step
                .failed
                .iter()
                .map(|(k, n)| (k.as_str().into(), (*n).into()));
            map([
                ("ok", pairs(&step.ok)),
                ("failed", Value::Map(failed.collect())),
                ("shed", step.shed.into()),
                ("unseen", step.unseen.into()),
                ("in_flight", pairs(&step.in_flight)),
                ("ways", Value::Array(step.ways.iter().map(way).collect())),
            ])
        };
        let steps = self.steps.iter().map(|(k, s)| (k.as_str().into(), step(s)));
        map([
            ("protocol", self.protocol.into()),
            ("second", self.second.into()),
            ("users", self.users.into()),
            ("cpu", self.cpu.into()),
            ("cpu_share", self.cpu_share.into()),
            ("lag_p99_s", self.lag_p99_s.map_or(Value::Nil, Value::from)),
            ("steps", Value::Map(steps.collect())),
        ])
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::message::get;
    use super::*;
    use crate::measure::{FailureKind, GeneratorWindow, Histogram, Level};

    fn names() -> StepTable {
        StepTable::of_cycle(["open", "ask"].map(str::to_owned), Some(1))
    }

    fn window() -> Window {
        let step = |ms: &[u64]| StepWindow {
            latency: Histogram::of(ms.iter().map(|ms| Duration::from_millis(*ms))),
            ..StepWindow::default()
        };
        let mut failing = step(&[147, 2_040, 2_040]);
        failing.failed.add_n(FailureKind::Eof, 2);
        let closed = WayData {
            count: 2,
            kind: "eof".to_owned(),
            message: "closed".to_owned(),
            ..WayData::default()
        };
        failing.ways.add(closed.way());
        failing.shed = 1;
        Window {
            start: Duration::ZERO,
            span: Duration::from_secs(1),
            level: Level(4),
            vus: 4,
            at_level: true,
            steps: vec![step(&[20]), failing, step(&[200])],
            generator: GeneratorWindow::default(),
        }
    }

    #[test]
    fn a_report_has_what_locust_adds_up_and_begins_anew() {
        let mut tally = Tally::new(&names(), 100.0);
        tally.add(&window(), 101.1);
        tally.add(&window(), 102.1);
        let classes = [("Web".to_owned(), 3), ("Shop".to_owned(), 1)];
        let report = tally.take(&classes, 103.0);
        let rows = get(&report, "stats").unwrap().as_array().unwrap();
        assert_eq!(rows.len(), 2, "the cycle is not a row");
        let count = |row: &Value, name: &str| get(row, name).unwrap().as_u64().unwrap();
        assert_eq!(count(&rows[1], "num_requests"), 12);
        assert_eq!(count(&rows[1], "num_failures"), 6);
        assert_eq!(count(&rows[1], "num_none_requests"), 6);
        let times = get(&rows[1], "response_times").unwrap().as_map().unwrap();
        let times: Vec<(u64, u64)> = times
            .iter()
            .map(|(k, n)| (k.as_u64().unwrap(), n.as_u64().unwrap()))
            .collect();
        assert_eq!(times, [(150, 2), (2_000, 4)]);
        let per_s = get(&rows[0], "num_reqs_per_sec").unwrap().as_map().unwrap();
        assert_eq!(per_s[0].0.as_u64(), Some(100));
        assert_eq!(
            count(get(&report, "stats_total").unwrap(), "num_requests"),
            14
        );
        assert_eq!(count(&report, "user_count"), 4);
        let errors = get(&report, "errors").unwrap().as_map().unwrap();
        assert_eq!(errors.len(), 2, "{errors:?}");
        let empty = tally.take(&classes, 104.0);
        assert_eq!(get(&empty, "stats").unwrap().as_array().unwrap().len(), 0);
    }

    #[test]
    fn a_second_keeps_every_bucket() {
        let window = window();
        let second = second(&window, &names(), 7, 4);
        assert_eq!(second.steps.len(), 2);
        let ask = &second.steps["ask"];
        assert_eq!(
            Histogram::of_buckets(ask.ok.iter().copied()),
            window.steps[1].latency
        );
        assert_eq!(ask.failed, [("eof".to_owned(), 2)].into());
        assert_eq!(ask.shed, 1);
        assert_eq!((ask.ways[0].count, ask.ways[0].status), (2, None));
        let value = second.value();
        let told = get(get(&value, "steps").unwrap(), "ask").unwrap();
        let told = &get(told, "ways").unwrap().as_array().unwrap()[0];
        assert_eq!(get(told, "message").unwrap().as_str(), Some("closed"));
        let steps = get(&value, "steps").unwrap();
        let ok = get(get(steps, "open").unwrap(), "ok").unwrap();
        assert_eq!(ok.as_array().unwrap().len(), 1);
    }

    #[test]
    fn rounding_is_that_of_locust() {
        for (ms, want) in [
            (2.5, 2),
            (99.6, 100),
            (147.0, 150),
            (3_432.0, 3_400),
            (58_760.0, 59_000),
        ] {
            assert_eq!(rounded(ms), want, "{ms}");
        }
    }
}
