//! Windows without the plug-in: three seconds, as workers report, with the latencies as far as the
//! percentiles tell that the master's page offers for download.
//!
//! Each percentile is one of the sorted latencies, rounded to two digits. So of every latency it is
//! known between which two of them it lies: what the fastest and the slowest are that it can have
//! been, and what is likely. The statistics of the master are reset for each window; who looks at
//! its page sees the last three seconds.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::web::{Page, PageError, Trouble, Web};
use super::{EngineError, UnplacedWindow, stopped, ways};
use crate::measure::{
    Bounds, FailureKind, FailureWay, GeneratorHealth, GeneratorWindow, Histogram, Level,
    StepWindow, Window,
};

/// How often workers report, which is as long as a window is: a shorter one would hold the reports
/// of some workers only.
const SPAN: Duration = Duration::from_secs(3);
/// How often a question is asked again whose answer does not come.
const TRIES: u32 = 4;
/// Pause before that.
const PAUSE: Duration = Duration::from_secs(1);

/// What was seen of the cluster so far.
#[derive(Debug)]
pub(super) struct Coarse {
    web: Web,
    zero: Option<Instant>,
    last_end: Option<Instant>,
    /// Since when the users were seen to be as many as asked for.
    reached: Option<Instant>,
    /// Whether the master said last that it has started all users that it will.
    spawned: bool,
}

impl Coarse {
    pub(super) fn new(web: Web) -> Self {
        Self {
            web,
            zero: None,
            last_end: None,
            reached: None,
            spawned: false,
        }
    }

    /// Whether the master says that it has started all users that it will.
    pub(super) fn has_spawned(&self) -> bool {
        self.spawned
    }

    /// A level was asked for just now.
    pub(super) fn ordered(&mut self) {
        self.reached = None;
        self.spawned = false;
    }

    /// The next three seconds.
    pub(super) async fn next(
        &mut self,
        level: Level,
        names: &[String],
        workers: &BTreeSet<String>,
    ) -> Result<UnplacedWindow, EngineError> {
        let start = self.begin().await?;
        tokio::time::sleep_until((start + SPAN).into()).await;
        let (text, page) = self.read().await?;
        let end = Instant::now();
        self.last_end = Some(end);
        self.spawned = page.state == "running";
        let rows = rows(&text).map_err(EngineError::Stopped)?;
        let (steps, late_names) = together(&rows, names, &page.errors);
        // A report tells of up to three seconds, and they must all be of this level.
        let at_level = self.reached.is_some_and(|since| since + SPAN <= start);
        if page.user_count == level.get() {
            self.reached.get_or_insert(end);
        } else {
            self.reached = None;
        }
        let zero = *self.zero.get_or_insert(start);
        let window = Window {
            start: start.saturating_duration_since(zero),
            span: end.saturating_duration_since(start),
            level,
            vus: page.user_count,
            at_level,
            steps,
            generator: generator(&page, workers),
        };
        Ok(UnplacedWindow {
            window,
            late_names,
            ended: 0,
            unseen: 0,
        })
    }

    /// When the window begins: where the last one ended, or now, with nothing counted yet.
    async fn begin(&mut self) -> Result<Instant, EngineError> {
        if let Some(end) = self.last_end
            && end.elapsed() < SPAN
        {
            return Ok(end);
        }
        self.web.reset().await.map_err(stopped)?;
        Ok(Instant::now())
    }

    /// Takes what was counted, and the state of the workers.
    async fn read(&self) -> Result<(String, Page), EngineError> {
        let mut tries = 0;
        loop {
            match self.try_read().await {
                Ok(read) => return Ok(read),
                Err(trouble) if tries + 1 >= TRIES => return Err(stopped(trouble)),
                Err(_) => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn try_read(&self) -> Result<(String, Page), Trouble> {
        let page = self.web.page().await?;
        let text = self.web.percentiles().await?;
        self.web.reset().await?;
        Ok((text, page))
    }
}

/// Requests that no cluster makes between two looks: their sums are counted without care.
const MOST_REQUESTS: u64 = 1_000_000_000_000;
/// Of how many latencies those are made up that lie between two known ones.
const MOST_PARTS: u64 = 1_000;

/// What the master says of one name.
#[derive(Debug, Clone, PartialEq, Default)]
struct Row {
    method: String,
    name: String,
    /// Requests, failed ones among them.
    requests: u64,
    failures: u64,
    /// Milliseconds, exactly.
    min_ms: f64,
    max_ms: f64,
    /// (share, milliseconds to two digits), ascending.
    percentiles: Vec<(f64, f64)>,
}

/// The rows of the download; those of one name with several methods stay apart. The last is about
/// all.
fn rows(text: &str) -> Result<Vec<Row>, String> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let wrong = |what: &str| {
        format!(
            "the Locust master's statistics cannot be read ({what}); this version of Locust is not \
             supported"
        )
    };
    let headers = reader.headers().map_err(|e| wrong(&e.to_string()))?.clone();
    let column = |name: &str| {
        let at = headers.iter().position(|h| h == name);
        at.ok_or_else(|| wrong(&format!("no column `{name}`")))
    };
    let (name, requests, failures) = (
        column("Name")?,
        column("Request Count")?,
        column("Failure Count")?,
    );
    let method = column("Type")?;
    let (min, max) = (column("Min Response Time")?, column("Max Response Time")?);
    let percent = |h: &str| {
        let share = h.strip_suffix('%')?.parse::<f64>().ok()? / 100.0;
        (0.0..=1.0).contains(&share).then_some(share)
    };
    let percents: Vec<(usize, f64)> = headers
        .iter()
        .enumerate()
        .filter_map(|(at, h)| Some((at, percent(h)?)))
        .collect();
    let mut out = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| wrong(&e.to_string()))?;
        let text = |at: usize| record.get(at).unwrap_or_default();
        let number = |at: usize| text(at).parse::<f64>().ok().filter(|n| n.is_finite());
        let count = |at: usize| text(at).parse::<u64>().unwrap_or(0);
        let (requests, min_ms) = (count(requests), number(min).unwrap_or(0.0));
        let max_ms = number(max).unwrap_or(0.0);
        if requests > MOST_REQUESTS || min_ms > max_ms {
            let told = format!("{requests} requests in a few seconds, of {min_ms} to {max_ms} ms");
            return Err(wrong(&told));
        }
        out.push(Row {
            method: text(method).to_owned(),
            name: text(name).to_owned(),
            requests,
            failures: count(failures),
            min_ms,
            max_ms,
            percentiles: percents
                .iter()
                .filter_map(|&(at, share)| Some((share, number(at)?)))
                .collect(),
        });
    }
    if out.is_empty() {
        return Err(wrong("no rows"));
    }
    Ok(out)
}

/// The edges between which a value lies that Locust rounded to this one, milliseconds: it rounds to
/// 1 below 100, to 10 below 1 000, to 100 below 10 000 and to 1 000 beyond, by the size before
/// rounding.
fn edges(rounded_ms: f64) -> (f64, f64) {
    let step = |ms: f64| match ms {
        _ if ms < 100.0 => 1.0,
        _ if ms < 1_000.0 => 10.0,
        _ if ms < 10_000.0 => 100.0,
        _ => 1_000.0,
    };
    let below = step(rounded_ms - 0.001);
    (
        (rounded_ms - below / 2.0).max(0.0),
        rounded_ms + step(rounded_ms) / 2.0,
    )
}

/// A latency of which the place among the sorted ones is known.
#[derive(Debug, Clone, Copy, PartialEq)]
struct RankedLatency {
    /// From 1.
    rank: u64,
    low_ms: f64,
    high_ms: f64,
}

impl Row {
    /// Those latencies of which more is known than that they lie between two others, ascending.
    fn known(&self) -> Vec<RankedLatency> {
        let n = self.requests;
        let mut out = vec![RankedLatency {
            rank: 1,
            low_ms: self.min_ms,
            high_ms: self.min_ms,
        }];
        for &(share, value) in &self.percentiles {
            let rank = rank(n, share);
            let (low, high) = edges(value);
            let low_ms = low.clamp(self.min_ms, self.max_ms);
            let high_ms = high.clamp(self.min_ms, self.max_ms);
            if rank > out[out.len() - 1].rank && rank < n {
                out.push(RankedLatency {
                    rank,
                    low_ms,
                    high_ms,
                });
            }
        }
        if n > 1 {
            out.push(RankedLatency {
                rank: n,
                low_ms: self.max_ms,
                high_ms: self.max_ms,
            });
        }
        out
    }

    /// The sorted latencies: as fast as they can have been, as is likely, as slow as they can have
    /// been.
    fn latencies(&self) -> [Sorted; 3] {
        let mut out = [const { Sorted(Vec::new()) }; 3];
        if self.requests == 0 {
            return out;
        }
        let known = self.known();
        let middle = |k: RankedLatency| ((k.low_ms.max(0.001)) * k.high_ms.max(0.001)).sqrt();
        let [fastest, likely, slowest] = &mut out;
        for pair in known.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            fastest.push(a.low_ms, b.rank - a.rank);
            likely.push(middle(a), 1);
            slowest.push(a.high_ms, 1);
            let between = b.rank - a.rank - 1;
            slowest.push(b.high_ms, between);
            // A few stand for many: in parts of which each is nearly one latency.
            let parts = between.min(MOST_PARTS);
            for part in 0..parts {
                let (from, to) = (share(between, part, parts), share(between, part + 1, parts));
                let way = fraction(from + to + 1, 2 * (between + 1));
                likely.push(middle(a).powf(1.0 - way) * middle(b).powf(way), to - from);
            }
        }
        if let Some(last) = known.last() {
            fastest.push(last.low_ms, 1);
            likely.push(middle(*last), 1);
            slowest.push(last.high_ms, 1);
        }
        out
    }

    /// Which latencies were those of failed requests is not told: the slowest for those as fast as
    /// can be, the fastest for those as slow as can be, and evenly many for the likely ones.
    fn step(&self, errors: &[&PageError]) -> StepWindow {
        let [fastest, likely, slowest] = self.latencies();
        let failed = self.failures.min(self.requests);
        let ok = self.requests - failed;
        let mut out = StepWindow {
            latency: likely.thinned(ok, self.requests).histogram(),
            bounds: Some(Box::new(Bounds {
                fastest: fastest.between(0, ok).histogram(),
                slowest: slowest.between(failed, self.requests).histogram(),
            })),
            ..StepWindow::default()
        };
        let mut left = self.failures;
        for error in errors {
            let n = error.occurrences.min(left);
            out.failed.add_n(kind_of_text(&error.error), n);
            left -= n;
        }
        out.failed.add_n(kind_of(errors), left);
        out
    }

    /// What the master says of its failures.
    fn errors<'a>(&self, errors: &'a [PageError]) -> Vec<&'a PageError> {
        let is_of = |e: &&PageError| {
            e.name == self.name && (e.method.is_empty() || e.method == self.method)
        };
        errors.iter().filter(is_of).collect()
    }
}

/// Latencies in ascending order, milliseconds, each with how many there are of it.
#[derive(Debug, Clone, PartialEq)]
struct Sorted(Vec<(f64, u64)>);

impl Sorted {
    fn push(&mut self, ms: f64, times: u64) {
        if times > 0 {
            self.0.push((ms, times));
        }
    }

    /// Of each latency as many as `places` gives, of the place before its first and of that of its
    /// last.
    fn kept(&self, places: impl Fn(u64) -> u64) -> Self {
        let mut out = Self(Vec::new());
        let mut place = 0;
        for &(ms, times) in &self.0 {
            let before = places(place);
            place += times;
            out.push(ms, places(place) - before);
        }
        out
    }

    /// Those from one place to another.
    fn between(&self, from: u64, to: u64) -> Self {
        self.kept(|place| place.clamp(from, to) - from)
    }

    /// `part` of `all`, evenly.
    fn thinned(&self, part: u64, all: u64) -> Self {
        self.kept(|place| share(place, part, all))
    }

    fn histogram(&self) -> Histogram {
        Histogram::of_buckets(self.0.iter().map(|&(ms, times)| (micros(ms), times)))
    }
}

/// `part` of `all` of a number, rounded up.
fn share(of: u64, part: u64, all: u64) -> u64 {
    let exact = (u128::from(of) * u128::from(part)).div_ceil(u128::from(all.max(1)));
    u64::try_from(exact).unwrap_or(u64::MAX)
}

/// Which of the sorted values a percentile is: Locust takes the largest with at most so many below
/// it.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank within a count of a few seconds"
)]
fn rank(n: u64, share: f64) -> u64 {
    ((n as f64 * share) as u64 + 1).min(n)
}

#[expect(clippy::cast_precision_loss, reason = "ranks within a few seconds")]
fn fraction(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a time that is not negative; a cast of a float saturates"
)]
fn micros(ms: f64) -> u64 {
    (ms * 1e3) as u64
}

/// The steps asked for, all requests last, and the names that were not asked for.
fn together(
    rows: &[Row],
    names: &[String],
    errors: &[PageError],
) -> (Vec<StepWindow>, BTreeSet<String>) {
    let mut steps = vec![StepWindow::default(); names.len() + 1];
    let mut late_names = BTreeSet::new();
    let Some((all, single)) = rows.split_last() else {
        return (steps, late_names);
    };
    for row in single.iter().filter(|r| r.requests > 0) {
        let errors = row.errors(errors);
        match names.iter().position(|n| *n == row.name) {
            Some(index) => {
                add(&mut steps[index], &row.step(&errors));
                for error in errors {
                    steps[index].ways.add(way_of(error));
                }
            }
            None => {
                late_names.insert(row.name.clone());
            }
        }
    }
    // Bounds of kinds of requests apart are closer than those of all of them in one.
    let whole = &mut steps[names.len()];
    if single.is_empty() {
        add(whole, &all.step(&errors.iter().collect::<Vec<_>>()));
    }
    for row in single.iter().filter(|r| r.requests > 0) {
        add(whole, &row.step(&row.errors(errors)));
    }
    (steps, late_names)
}

fn add(total: &mut StepWindow, step: &StepWindow) {
    total.merge_shard(step);
    if let Some(bounds) = &step.bounds {
        let all = total.bounds.get_or_insert_default();
        all.fastest.merge(&bounds.fastest);
        all.slowest.merge(&bounds.slowest);
    }
}

/// One error, as reports tell it.
fn way_of(error: &PageError) -> FailureWay {
    let (kind, status) = (kind_of_text(&error.error), ways::status_in(&error.error));
    let request = format!("{} {}", error.method, error.name);
    let said = ways::unquoted(&error.error);
    ways::way(kind, status, said, Some(request.trim()), error.occurrences)
}

/// How most of the failures since the last reset went, as far as their texts tell.
fn kind_of(errors: &[&PageError]) -> FailureKind {
    (errors.iter())
        .max_by_key(|e| e.occurrences)
        .map_or(FailureKind::Protocol, |e| kind_of_text(&e.error))
}

/// Parts of Locust's texts of errors, the most telling first.
const TEXTS: [(&str, FailureKind); 15] = [
    ("Too many open files", FailureKind::NoDescriptors),
    ("Cannot assign requested address", FailureKind::NoPorts),
    ("Name or service not known", FailureKind::Dns),
    ("name resolution", FailureKind::Dns),
    ("Connection refused", FailureKind::ConnectRefused),
    ("ConnectionRefused", FailureKind::ConnectRefused),
    ("SSL", FailureKind::Tls),
    ("imeout", FailureKind::Timeout),
    ("timed out", FailureKind::Timeout),
    ("RemoteDisconnected", FailureKind::Eof),
    ("IncompleteRead", FailureKind::Eof),
    ("Connection reset", FailureKind::Reset),
    ("HTTPError", FailureKind::Status),
    ("BadStatusCode(code=", FailureKind::Status),
    ("CatchResponseError", FailureKind::WrongEvent),
];

fn kind_of_text(text: &str) -> FailureKind {
    let found = TEXTS.iter().find(|(part, _)| text.contains(part));
    found.map_or(FailureKind::Protocol, |(_, kind)| *kind)
}

/// How the workers fare; their CPU is that of the last ten seconds.
fn generator(page: &Page, workers: &BTreeSet<String>) -> GeneratorWindow {
    let reported = page.workers.as_deref().unwrap_or_default();
    let there = || reported.iter().filter(|w| w.state != "missing");
    let cores = there().map(|w| w.cpu_usage / 100.0);
    let lost = workers.iter().filter(|id| !there().any(|w| w.id == **id));
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    GeneratorWindow {
        cpu_cores: Some(cores.clone().sum()),
        health: GeneratorHealth {
            thread_cpu: cores.reduce(f64::max),
            workers: count(there().count()),
            workers_lost: count(lost.count()),
            ..GeneratorHealth::default()
        },
        ..GeneratorWindow::default()
    }
}

/// Reads bytes as the master's download, as its page and as a message between it and its workers.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    if let Some(message) = super::message::Message::decode(data) {
        let again = super::message::Message::decode(&message.encode());
        assert!(again.is_some(), "what is written is read");
    }
    if let Ok(page) = serde_json::from_slice::<Page>(data) {
        let workers = page.workers.iter().flatten();
        let workers = workers.map(|w| w.id.clone()).collect();
        let _ = generator(&page, &workers);
        for error in &page.errors {
            let _ = way_of(error);
        }
    }
    let Some(Ok(rows)) = std::str::from_utf8(data).ok().map(rows) else {
        return;
    };
    for row in rows {
        let step = row.step(&[]);
        assert!(step.latency.count() <= row.requests);
    }
}

#[cfg(test)]
mod tests;
