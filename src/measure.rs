//! What one probe saw: levels, windows and their histograms. Values only; no clock, no socket.
//!
//! An [`Engine`](crate::engine::Engine) produces [`Window`]s; a probe folds those of its hold into
//! one [`Measurement`], which the SLO judges and the search learns from.

mod failure;
pub mod fields;
mod fold;
mod health;
mod histogram;
mod mix;
mod steps;

pub use failure::{
    Exchange, Failure, FailureWay, FailureWays, MOST_EXCHANGES, MOST_WAYS, status_text,
};
pub use fold::folded;
pub use health::GeneratorHealth;
pub use histogram::{Histogram, HistogramError};
pub use mix::{MOST_SHARE, Mix};
pub use steps::{Passage, Role, StepParts, StepRow, StepTable};

use std::sync::LazyLock;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A load level: how many virtual users (VUs) run at once, or in the open model how many cycles
/// begin per second ([`LevelUnit`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Level(pub u32);

impl Level {
    /// Nobody: the level of a drain.
    pub const ZERO: Self = Self(0);

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The nearest level to a real number, at least 1.
    pub fn nearest(level: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to the range of u32 first; a NaN becomes 1"
        )]
        Self(level.round().max(1.0).min(f64::from(u32::MAX)) as u32)
    }
}

/// An address that a name of the target led to, and how much of the load went there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedAddress {
    /// The host as the scenario names it.
    pub host: String,
    /// Where it led.
    pub address: String,
    /// Connections that were opened to it.
    pub connections: u64,
    /// Requests that were sent to it.
    pub requests: u64,
    /// What the fastest of these connections took to be made, microseconds: a round trip of the
    /// network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_us: Option<u64>,
    /// Connections on which HTTP/1.1 was spoken although HTTP/2 could have been.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub http1_connections: u64,
    /// Connections on which HTTP/2 was spoken.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub http2_connections: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl LoadedAddress {
    /// A round trip of the network to the farthest of some addresses, seconds; `None` where none
    /// was measured.
    pub fn farthest_s(all: &[Self]) -> Option<f64> {
        let farthest = all.iter().filter_map(|a| a.round_trip_us).max()?;
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a connection")]
        Some(farthest as f64 / 1e6)
    }

    /// Adds what went to addresses to what went there before.
    pub fn add(all: &mut Vec<Self>, more: Vec<Self>) {
        for more in more {
            let same = |a: &&mut Self| (&a.host, &a.address) == (&more.host, &more.address);
            match all.iter_mut().find(same) {
                Some(known) => {
                    known.connections += more.connections;
                    known.requests += more.requests;
                    known.http1_connections += more.http1_connections;
                    known.http2_connections += more.http2_connections;
                    let both = known.round_trip_us.into_iter().chain(more.round_trip_us);
                    known.round_trip_us = both.min();
                }
                None => all.push(more),
            }
        }
    }
}

/// What a level counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LevelUnit {
    /// Virtual users that run at once: the closed model, where a slow target is asked less often.
    #[default]
    Vus,
    /// Requests that begin per second: the open model, where a cycle has one request.
    RequestsPerS,
    /// Cycles that begin per second: the open model, where a cycle has several requests.
    CyclesPerS,
}

impl LevelUnit {
    /// As read after a number.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vus => "VUs",
            Self::RequestsPerS => "requests/s",
            Self::CyclesPerS => "cycles/s",
        }
    }

    /// As the name of a column.
    pub fn column(self) -> &'static str {
        match self {
            Self::Vus => "vus",
            Self::RequestsPerS => "requests_per_s",
            Self::CyclesPerS => "cycles_per_s",
        }
    }

    /// As the title of an axis.
    pub fn title(self) -> &'static str {
        match self {
            Self::Vus => "virtual users (VUs)",
            Self::RequestsPerS => "requests started per second",
            Self::CyclesPerS => "cycles started per second",
        }
    }

    /// Whether load arrives at a rate of its own, however slow the target is.
    pub fn is_open(self) -> bool {
        self != Self::Vus
    }

    /// A level with its unit: `1 040 VUs`.
    pub fn count(self, level: Level) -> String {
        let number = crate::units::format_count(level.0.into());
        format!("{number} {}", self.name())
    }
}

/// What is counted as a whole: throughput and shares of errors are of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Cycles of a scenario.
    #[default]
    Cycles,
    /// Requests, where an engine knows no cycles.
    Requests,
}

impl Counted {
    /// Several of them.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cycles => "cycles",
            Self::Requests => "requests",
        }
    }

    /// How fast they go through, as the name of a column.
    pub fn rate(self) -> &'static str {
        match self {
            Self::Cycles => "cycles/s",
            Self::Requests => "requests/s",
        }
    }
}

/// When the cycles of an open model begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// Independently of each other, as the requests of many users do.
    Poisson,
    /// Evenly spaced.
    Constant,
}

impl Arrivals {
    /// The name in flags and profiles.
    pub fn name(self) -> &'static str {
        match self {
            Self::Poisson => "poisson",
            Self::Constant => "constant",
        }
    }
}

/// How a step failed. A shed (429/503 with `Retry-After`) is not a failure and is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// Nobody listens on the target's port.
    ConnectRefused,
    /// The connection was reset while connecting or in use.
    Reset,
    /// The connection or stream ended before the answer was complete.
    Eof,
    /// The step's time limit passed (connecting included).
    Timeout,
    /// The answer had a status that the step does not expect.
    Status,
    /// The awaited event came but did not have the expected content.
    WrongEvent,
    /// The TLS handshake failed.
    Tls,
    /// The target's name could not be resolved.
    Dns,
    /// The answer was not valid HTTP or not an event stream, or an extraction found nothing.
    Protocol,
    /// The generator had no descriptor left (EMFILE, ENFILE): our fault, never a breach.
    NoDescriptors,
    /// The generator had no port left (EADDRNOTAVAIL): our fault, never a breach.
    NoPorts,
    /// The answer had a status that is a success, and what the step checks is not true of it.
    Check,
}

impl FailureKind {
    /// Every kind, in the order of the columns of the CSV files.
    pub const ALL: [Self; 12] = [
        Self::ConnectRefused,
        Self::Reset,
        Self::Eof,
        Self::Timeout,
        Self::Status,
        Self::WrongEvent,
        Self::Tls,
        Self::Dns,
        Self::Protocol,
        Self::NoDescriptors,
        Self::NoPorts,
        Self::Check,
    ];

    /// The name in files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConnectRefused => "connect_refused",
            Self::Reset => "reset",
            Self::Eof => "eof",
            Self::Timeout => "timeout",
            Self::Status => "status",
            Self::WrongEvent => "wrong_event",
            Self::Tls => "tls",
            Self::Dns => "dns",
            Self::Protocol => "protocol",
            Self::NoDescriptors => "no_descriptors",
            Self::NoPorts => "no_ports",
            Self::Check => "check",
        }
    }

    /// Whether the generator, not the target, is to blame.
    pub fn is_generator_fault(self) -> bool {
        matches!(self, Self::NoDescriptors | Self::NoPorts)
    }
}

/// Failures counted by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FailureCounts([u64; FailureKind::ALL.len()]);

impl FailureCounts {
    /// Counts one more failure of `kind`.
    pub fn add(&mut self, kind: FailureKind) {
        self.add_n(kind, 1);
    }

    /// Counts `n` more failures of `kind`.
    pub fn add_n(&mut self, kind: FailureKind, n: u64) {
        self.0[kind as usize] += n;
    }

    /// How many failures of `kind` there were.
    pub fn get(&self, kind: FailureKind) -> u64 {
        self.0[kind as usize]
    }

    /// Failures that the target is to blame for.
    pub fn of_target(&self) -> u64 {
        self.iter()
            .filter(|(k, _)| !k.is_generator_fault())
            .map(|(_, n)| n)
            .sum()
    }

    /// Failures that the generator is to blame for.
    pub fn of_generator(&self) -> u64 {
        self.iter()
            .filter(|(k, _)| k.is_generator_fault())
            .map(|(_, n)| n)
            .sum()
    }

    /// Every kind with its count, zeros included.
    pub fn iter(&self) -> impl Iterator<Item = (FailureKind, u64)> + '_ {
        FailureKind::ALL.into_iter().map(|k| (k, self.get(k)))
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (kind, n) in other.iter() {
            self.add_n(kind, n);
        }
    }
}

/// What one step did in one window.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StepWindow {
    /// Latencies of the completed steps.
    pub latency: Histogram,
    /// Failed steps by kind.
    pub failed: FailureCounts,
    /// Refusals by design: 429/503 with `Retry-After`.
    pub shed: u64,
    /// Ages, at the end of the window, of the steps still in flight.
    pub in_flight: Histogram,
    /// Where the engine does not know the latencies exactly: what they lie between. `latency` is
    /// then the likeliest.
    pub bounds: Option<Box<Bounds>>,
    /// The failed told apart further, where the engine can; nothing without failures.
    pub ways: FailureWays,
    /// Some of the failed with all that was said.
    pub exchanges: Vec<Exchange>,
}

/// What latencies lie between that are not known exactly.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bounds {
    /// The fastest that they can have been.
    pub fastest: Histogram,
    /// The slowest.
    pub slowest: Histogram,
}

impl StepWindow {
    /// Steps that completed well.
    pub fn completed(&self) -> u64 {
        self.latency.count()
    }

    /// The same with other latencies, which are then taken for exact.
    fn with(&self, latency: &Histogram) -> Self {
        Self {
            latency: latency.clone(),
            bounds: None,
            ..self.clone()
        }
    }

    /// Adds what `other` counted. In-flight ages are states, not flows: those of `other` are added
    /// too, which is right when the two are shards of the same window and wrong for successive
    /// windows.
    pub fn merge_shard(&mut self, other: &Self) {
        self.latency.merge(&other.latency);
        self.failed.merge(&other.failed);
        self.shed += other.shed;
        self.in_flight.merge(&other.in_flight);
        self.ways.merge(&other.ways);
        self.exchanges.extend_from_slice(&other.exchanges);
    }
}

/// The generator's own health in one window.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct GeneratorWindow {
    /// 99th percentile of how late VUs woke and answers were read, seconds; `None` without either.
    pub lag_p99_s: Option<f64>,
    /// CPU used by the generator, in cores (1.0 = one core busy); `None` where unknown.
    pub cpu_cores: Option<f64>,
    /// Open descriptors; `None` where unknown.
    pub descriptors: Option<u64>,
    /// What bore on it.
    #[serde(
        rename = "strain",
        default,
        skip_serializing_if = "GeneratorHealth::is_unknown"
    )]
    pub health: GeneratorHealth,
}

/// One slice (1 s by default) of a run, as the engine saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    /// Start, in engine time since the engine was started.
    pub start: Duration,
    /// Length.
    pub span: Duration,
    /// The level asked for.
    pub level: Level,
    /// VUs that were really running at the end of the window, leaving ones included.
    pub vus: u32,
    /// Whether the level asked for was reached (no VU still to start or to leave) before this
    /// window began.
    pub at_level: bool,
    /// One entry per row of the [`StepTable`].
    pub steps: Vec<StepWindow>,
    /// The generator's own health.
    pub generator: GeneratorWindow,
}

/// What a row shows that a window does not have: it came up later.
static NOTHING: LazyLock<StepWindow> = LazyLock::new(StepWindow::default);

impl Window {
    /// What a row of the [`StepTable`] did; nothing, where the row came up after this window.
    pub fn step(&self, row: usize) -> &StepWindow {
        self.steps.get(row).unwrap_or(&NOTHING)
    }
}

/// One value of one monitor's field at one time; `value` is `None` where the sample failed: a gap,
/// never a zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// The monitor's name in the profile (`gateway`).
    pub monitor: String,
    /// The field (`memory`, `oom_kills`), in the base unit: bytes, cores, counts.
    pub field: String,
    /// The value, or a gap.
    pub value: Option<f64>,
}

/// Something that a monitor's source wrote to its log, or that happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogLine {
    /// The monitor's name in the profile.
    pub monitor: String,
    /// The line, cleaned and of bounded length.
    pub text: String,
    /// How many lines came right after it that were too many to keep.
    pub more: u64,
    /// Of what is no line to be shown but a count: how many lines of its kind ([`folded`]) came,
    /// whether they matter or not.
    pub tally: Option<u64>,
}

/// What stands for kinds of lines that were too many to be counted apart.
pub const OTHER_LINES: &str = "\u{2026}";

/// A window and what the monitors read at its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Second {
    /// The engine's window.
    pub window: Window,
    /// The monitors' readings; counters are cumulative since the monitor started.
    pub readings: Vec<Reading>,
}

/// What one probe saw: the settled hold, window by window.
#[derive(Debug, Clone, PartialEq)]
pub struct Measurement {
    /// The level held.
    pub level: Level,
    /// The last window before the hold: ages in flight at the hold's start. `None` when the hold
    /// began with the run.
    pub before: Option<Window>,
    /// What users did who started on the way to the level: the windows before the hold, in which
    /// the rows of the cycle count nothing. Empty where nobody does anything when it starts.
    pub arriving: Vec<Window>,
    /// What the monitors read when the move to the level began: counters are judged by their growth
    /// since then.
    pub readings_before: Vec<Reading>,
    /// The hold.
    pub hold: Vec<Second>,
    /// Whether the level settled before the hold began.
    pub settled: bool,
}

impl Measurement {
    /// The windows of the hold, behind those in which users started.
    pub fn all_windows(&self) -> impl Iterator<Item = &Window> {
        self.arriving
            .iter()
            .chain(self.hold.iter().map(|s| &s.window))
    }

    /// Length of the hold, seconds.
    pub fn hold_s(&self) -> f64 {
        self.hold.iter().map(|s| s.window.span.as_secs_f64()).sum()
    }

    /// The same measurement with the fastest and with the slowest latencies that there can have
    /// been; `None` where they are known exactly.
    pub fn bounds(&self) -> Option<(Self, Self)> {
        let inexact = |s: &Second| s.window.steps.iter().any(|s| s.bounds.is_some());
        self.hold.iter().any(inexact).then(|| {
            (
                self.with_latencies(|b| &b.fastest),
                self.with_latencies(|b| &b.slowest),
            )
        })
    }

    fn with_latencies(&self, of: impl Fn(&Bounds) -> &Histogram) -> Self {
        let mut out = self.clone();
        let steps = out.hold.iter_mut().flat_map(|s| &mut s.window.steps);
        for step in steps {
            if let Some(bounds) = step.bounds.take() {
                *step = step.with(of(&bounds));
            }
        }
        out
    }

    /// Totals of one step over the hold; `in_flight` is that at the hold's end.
    pub fn step_total(&self, step: usize) -> StepWindow {
        let windows = || self.all_windows().filter_map(|w| w.steps.get(step));
        let mut total = StepWindow {
            latency: Histogram::sum(windows().map(|w| &w.latency)),
            ..StepWindow::default()
        };
        for w in windows() {
            total.failed.merge(&w.failed);
            total.shed += w.shed;
            total.ways.merge(&w.ways);
        }
        if let Some(w) = self.hold.last().and_then(|s| s.window.steps.get(step)) {
            total.in_flight = w.in_flight.clone();
        }
        total
    }

    /// Completed steps per second over the hold; `None` for an empty hold.
    pub fn throughput(&self, step: usize) -> Option<f64> {
        let seconds = self.hold_s();
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        (seconds > 0.0).then(|| self.step_total(step).completed() as f64 / seconds)
    }

    /// What a monitor's field read when the move to the level began.
    pub fn reading_before(&self, monitor: &str, field: &str) -> Option<f64> {
        self.readings_before
            .iter()
            .find(|r| r.monitor == monitor && r.field == field)
            .and_then(|r| r.value)
    }

    /// The values of a monitor's field over the hold, gaps left out.
    pub fn readings<'a>(
        &'a self,
        monitor: &'a str,
        field: &'a str,
    ) -> impl Iterator<Item = f64> + 'a {
        self.hold
            .iter()
            .flat_map(|s| &s.readings)
            .filter(move |r| r.monitor == monitor && r.field == field)
            .filter_map(|r| r.value)
    }
}
