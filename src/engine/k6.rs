//! k6 as the load engine: it runs the user's own script, and levels are its VUs.
//!
//! One k6 runs from the beginning to the end with as many VUs as the run may need.
//! A wrapper beside the script (`wrapper.js`) has them ask this program over HTTP whether they
//! shall run (`gate`, `fleet`). What they do is read from what k6 writes (`points`) and put into
//! seconds (`window`). A second is known when a *mark* was read that is later than its end; a VU of
//! its own writes them. What stands in place of a cycle is all requests.

mod drive;
mod fleet;
mod gate;
mod points;
mod process;
mod start;
mod tool;
mod window;
mod wrapper;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use self::drive::Drive;
use self::points::Event;
#[cfg(any(test, fuzzing))]
pub(crate) use self::points::fuzz;
pub(super) use self::start::start;
use self::window::{Fold, SECOND, Slice};
use super::host::{HostWatch, ProcessWatch};
use super::requests::{self, MOST_NAMES, few};
use super::{Canary, Ended, Engine, EngineError, EngineInfo, Reply};
use crate::k6::{ITERATION, Version};
use crate::measure::{
    FailureKind, GeneratorHealth, GeneratorWindow, Level, StepTable, StepWindow, Window,
};
use crate::secret::{Hidden, masked};

/// How long k6 may take until its VUs run: it makes them all, and runs the script's `setup`.
const BEGINS: Duration = Duration::from_secs(300);
/// How long it may tell nothing.
const SILENT: Duration = Duration::from_secs(15);
/// Seconds of the look around before a run: at least, at most, without a name that is new, and at
/// most where not every VU has come to the end of an iteration.
const LOOK_S: (u32, u32, u32, u32) = (5, 20, 4, 60);
/// Seconds that a canary waits for one answer.
const CANARY_S: u32 = 20;
/// Seconds in which VUs that are to leave have come to the end of their iterations.
const LEAVE_S: u32 = 60;
/// Texts of what iterations threw that are told, and that are kept.
const MOST_THREW: (usize, usize) = (3, 100);

/// Which script, and how it is driven.
#[derive(Debug, Clone)]
pub struct K6Spec {
    /// The k6 program.
    pub binary: PathBuf,
    /// Its version.
    pub version: Version,
    /// The user's script.
    pub script: PathBuf,
    /// The script as it was named.
    pub shown: String,
    /// Exported functions and their weights; `default` alone where there is no other wish.
    pub functions: Vec<(String, f64)>,
    /// Further arguments of `k6 run`, such as `-e` and `A=B`.
    pub arguments: Vec<String>,
    /// Networks (CIDR) that k6 shall not connect to.
    pub blacklist: Vec<String>,
    /// VUs started or stopped per second.
    pub pace_per_s: f64,
    /// Names of requests that objectives ask for.
    pub names: Vec<String>,
    /// VUs of the look around before the run, which finds the names of the requests.
    pub look_vus: u32,
    /// The most VUs of the run.
    pub max_vus: u32,
    /// How long the whole run may take at most.
    pub longest: Duration,
    /// Options of the script that decide on the load, and are left out for that (`stages`, `rps`).
    pub left_out: Vec<String>,
    /// Secrets among the arguments, which nothing that k6 says may repeat.
    pub hidden: Hidden,
}

/// A k6 that is driven.
#[derive(Debug)]
pub struct K6Engine {
    spec: K6Spec,
    drive: Drive,
    slices: UnboundedReceiver<Slice>,
    recorder: JoinHandle<()>,
    /// Time of the beginning of the first second, nanoseconds since 1970.
    zero: i64,
    level: Level,
    /// When it was asked for, nanoseconds since 1970.
    ordered_at: i64,
    /// VUs at the beginning of the last second, and at its end.
    running: (u32, u32),
    names: Vec<String>,
    /// Mean time that a VU lets pass between two requests, seconds.
    think_s: f64,
    health: HealthWatch,
    notes: Notes,
    /// No requests are measured: iterations stand for them.
    iterations_only: bool,
    /// Number of the next second; from when k6 was ended on nothing happens in them.
    next: u64,
    halted: bool,
}

/// The generator's own health.
struct HealthWatch {
    k6: ProcessWatch,
    own: ProcessWatch,
    host: HostWatch,
    cores: f64,
}

/// What a reader must know in the end.
#[derive(Debug, Default)]
struct Notes {
    /// Names that came up after the steps were discovered.
    late_names: BTreeSet<String>,
    requests: u64,
    late: u64,
    partial: u64,
    iterations: u64,
    threw: BTreeMap<String, u64>,
}

impl K6Engine {
    /// Starts k6 and looks around with a few VUs: what the requests are called, and how long the
    /// script thinks. When the user stops that, which is when `told` is ready, k6 is ended.
    ///
    /// # Errors
    /// When there is no k6, the script fails or cannot be driven so, or its target is not allowed.
    pub async fn start(spec: K6Spec, told: impl Future<Output = ()>) -> Result<Self, EngineError> {
        let (events, seen) = unbounded_channel();
        let (tell, slices) = unbounded_channel();
        let zero = wall_clock();
        let drive = Drive::start(&spec, events).await?;
        let mut engine = Self {
            drive,
            slices,
            recorder: tokio::spawn(record(Fold::new(zero), seen, tell)),
            zero,
            level: Level::ZERO,
            ordered_at: zero,
            running: (0, 0),
            names: Vec::new(),
            think_s: 0.0,
            health: HealthWatch::new(),
            notes: Notes::default(),
            iterations_only: false,
            next: 0,
            halted: false,
            spec,
        };
        let looked = tokio::select! {
            looked = engine.discover_steps() => looked,
            () = told => Err(EngineError::Start("interrupted".to_owned())),
        };
        match looked {
            Ok(()) => Ok(engine),
            Err(error) => {
                engine.end().await;
                Err(error)
            }
        }
    }

    /// What a reader must know before anything is measured.
    pub fn warnings(&self) -> Vec<String> {
        let mut out = Vec::new();
        if !self.spec.left_out.is_empty() {
            out.push(format!(
                "options of the script are ignored because they set the load: {}",
                self.spec.left_out.join(", ")
            ));
        }
        if self.iterations_only {
            out.push(
                "the script makes no request that k6 measures (HTTP, gRPC or in a browser), so \
                 its iterations stand for requests: a bare `p95` or `errors` is about them"
                    .to_owned(),
            );
        }
        out
    }

    /// Ends k6 and waits until it has ended.
    async fn end(self) {
        self.drive.stop().await;
        self.recorder.abort();
    }

    /// Lets a few VUs run until no new name comes up.
    async fn discover_steps(&mut self) -> Result<(), EngineError> {
        self.wait_until_there().await?;
        // Each function must have its turn.
        let functions = u32::try_from(self.spec.functions.len()).unwrap_or(1);
        let vus = self.spec.look_vus.max(functions).min(self.spec.max_vus);
        self.drive.set_evenly(true);
        self.order(Level(vus.max(1)));
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let (mut passed, mut idle, mut quiet, mut vu_s) = (0, 0, 0, 0.0);
        let (mut all, mut iterations) = (StepWindow::default(), StepWindow::default());
        let mut threw = None;
        loop {
            let slice = self.next().await?;
            if slice.running == 0 {
                idle += 1;
                if idle > seconds(BEGINS) {
                    return Err(EngineError::Start(format!(
                        "k6 started no VU within {idle} s"
                    )));
                }
                continue;
            }
            (passed, quiet) = (passed + 1, quiet + 1);
            vu_s += f64::from(slice.running);
            all.merge_shard(&slice.requests);
            iterations.merge_shard(&slice.iterations);
            threw = threw.or_else(|| slice.threw.keys().next().cloned());
            for name in slice.names.into_keys() {
                if seen.insert(name) {
                    quiet = 0;
                }
            }
            let ended = iterations.completed() + iterations.failed.of_target();
            if is_enough(passed, quiet, ended >= u64::from(vus)) {
                break;
            }
        }
        if let Some(threw) = threw.filter(|_| iterations.completed() == 0) {
            return Err(EngineError::Unfit(format!(
                "every iteration of the script threw: {threw}; try it with k6 alone (k6 run -i 1 \
                 {})",
                self.spec.script.display()
            )));
        }
        if seen.is_empty() && iterations.completed() == 0 {
            return Err(EngineError::Unfit(format!(
                "the script made no request that k6 measures and came to no end of an iteration \
                 within {passed} s"
            )));
        }
        self.iterations_only = seen.is_empty();
        // Names that mean something else would be taken for that.
        let taken = [StepTable::REQUESTS, ITERATION];
        self.names = requests::rows(seen, &self.spec.names, &taken);
        self.think_s = requests::think_s(vu_s, &all);
        self.order(Level::ZERO);
        self.wait_until_gone().await?;
        self.drive.set_evenly(false);
        Ok(())
    }

    /// Waits until k6 has made its VUs, which it has when it tells of the first second.
    async fn wait_until_there(&mut self) -> Result<(), EngineError> {
        match self.next_within(BEGINS).await {
            Ok(slice) => {
                self.drive.forget_wrapper();
                check(&slice)
            }
            Err(EngineError::Stopped(why)) => Err(EngineError::Start(why)),
            Err(error) => Err(error),
        }
    }

    async fn wait_until_gone(&mut self) -> Result<(), EngineError> {
        for _ in 0..LEAVE_S {
            if self.next().await?.running == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Asks for a level from now on.
    fn order(&mut self, level: Level) {
        self.drive.set_level(level.get());
        self.level = level;
        self.ordered_at = wall_clock();
    }

    /// The next second of which nothing lies before the last order.
    async fn next(&mut self) -> Result<Slice, EngineError> {
        loop {
            let slice = self.next_second().await?;
            if self.begin_of(&slice) >= self.ordered_at {
                return Ok(slice);
            }
        }
    }

    async fn next_second(&mut self) -> Result<Slice, EngineError> {
        let mut slice = self.next_within(SILENT).await?;
        self.running = (self.running.1, slice.running);
        check(&slice)?;
        if self.iterations_only {
            slice.requests = slice.iterations.clone();
        }
        Ok(slice)
    }

    async fn next_within(&mut self, limit: Duration) -> Result<Slice, EngineError> {
        let silent = || {
            EngineError::Stopped(format!(
                "no output from k6 for {} s: it hung, or the system clock changed",
                limit.as_secs()
            ))
        };
        tokio::select! {
            biased;
            slice = self.slices.recv() => slice.ok_or_else(silent),
            lost = self.drive.lost() => Err(lost),
            () = tokio::time::sleep(limit) => Err(silent()),
        }
    }

    fn begin_of(&self, slice: &Slice) -> i64 {
        let index = i64::try_from(slice.index).unwrap_or(i64::MAX);
        self.zero.saturating_add(index.saturating_mul(SECOND))
    }

    fn window(&mut self, slice: Slice) -> Window {
        let begun = self.begin_of(&slice) >= self.ordered_at;
        let level = self.level.get();
        // Every VU there was at its beginning, and is still there at its end.
        let at_level = begun && self.running == (level, level);
        self.next = slice.index + 1;
        self.notes.add(&slice, &self.names);
        let pid = self.drive.pid();
        let mut names = slice.names;
        let rows = self.names.iter();
        let mut steps: Vec<StepWindow> = rows
            .map(|name| names.remove(name).unwrap_or_default())
            .collect();
        steps.extend([slice.iterations, slice.requests]);
        Window {
            start: Duration::from_secs(slice.index),
            span: Duration::from_secs(1),
            level: self.level,
            vus: slice.running,
            at_level,
            steps,
            generator: self.health.sample(pid, slice.lag_p99_s),
        }
    }
}

/// A request that k6 was not allowed to send ends the run: without it the script does not do what
/// it is meant to.
fn check(slice: &Slice) -> Result<(), EngineError> {
    let Some((name, said)) = &slice.forbidden else {
        return Ok(());
    };
    let uri = name.parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(http::Uri::host).unwrap_or("HOST");
    Err(EngineError::Unfit(format!(
        "the script's request `{}` would go to an address that is not this machine's ({said}). If \
         you are allowed to load it, add `--allow-target {host}`, or `allow = [\"{host}\"]` in \
         the profile's [target]. It was not sent",
        masked(name)
    )))
}

/// Whether a look around has seen enough.
fn is_enough(passed: u32, quiet: u32, iterated: bool) -> bool {
    let (least, most, still, longest) = LOOK_S;
    passed >= longest || iterated && (passed >= most || passed >= least && quiet >= still)
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

impl Engine for K6Engine {
    fn describe(&self) -> EngineInfo {
        let requests = self.names.iter().cloned();
        let steps = StepTable::of_requests(requests.chain([ITERATION.to_owned()]));
        EngineInfo {
            think_s: self.think_s,
            target: self.spec.shown.clone(),
            ..EngineInfo::new("k6", steps)
        }
    }

    fn stop(self: Box<Self>) -> Ended {
        Box::pin(self.end())
    }

    fn set_level(&mut self, level: Level) -> Reply<'_, ()> {
        Box::pin(async move {
            if level != self.level && !self.halted {
                self.order(level);
            }
            Ok(())
        })
    }

    fn next_window(&mut self) -> Reply<'_, Window> {
        Box::pin(async move {
            let slice = if self.halted {
                tokio::time::sleep(Duration::from_secs(1)).await;
                Slice {
                    index: self.next,
                    ..Slice::default()
                }
            } else {
                self.next_second().await?
            };
            Ok(self.window(slice))
        })
    }

    /// Its VUs stop at once; the script's `teardown` may take longer and is waited for in the end.
    fn halt(&mut self) -> Reply<'_, ()> {
        Box::pin(async move {
            self.drive.halt();
            self.level = Level::ZERO;
            self.running = (0, 0);
            self.halted = true;
            Ok(())
        })
    }

    /// A VU runs until the first of its requests has ended.
    fn canary(&mut self) -> Reply<'_, Canary> {
        Box::pin(async move {
            if self.level != Level::ZERO {
                self.order(Level::ZERO);
                self.wait_until_gone().await?;
            }
            self.order(Level(1));
            let canary_s = if self.iterations_only {
                LOOK_S.3
            } else {
                CANARY_S
            };
            let (mut passed, mut idle) = (0, 0);
            let found = loop {
                let slice = self.next().await?;
                if let Some(canary) = requests::canary_of(&slice.requests) {
                    break requests::told(canary, &slice.names);
                }
                let waits = if slice.running > 0 {
                    &mut passed
                } else {
                    &mut idle
                };
                *waits += 1;
                if passed >= canary_s || idle > seconds(BEGINS) {
                    break Canary::failed(FailureKind::Timeout);
                }
            };
            self.order(Level::ZERO);
            self.wait_until_gone().await?;
            Ok(found)
        })
    }

    fn notes(&self) -> Vec<String> {
        self.notes.texts()
    }
}

/// Puts events into seconds and gives each when a mark says that it is known.
async fn record(
    mut fold: Fold,
    mut events: UnboundedReceiver<Vec<Event>>,
    slices: UnboundedSender<Slice>,
) {
    while let Some(batch) = events.recv().await {
        for event in batch {
            fold.add(event);
        }
        while let Some(slice) = fold.close() {
            // Without a receiver the run is over.
            if slices.send(slice).is_err() {
                return;
            }
        }
    }
}

/// Nanoseconds since 1970 by the clock that k6 reads too.
fn wall_clock() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
}

impl std::fmt::Debug for HealthWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HealthWatch").finish_non_exhaustive()
    }
}

impl HealthWatch {
    fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            k6: ProcessWatch::default(),
            own: ProcessWatch::default(),
            host: HostWatch::new(),
            cores: u32::try_from(cores).map_or(1.0, f64::from),
        }
    }

    /// Of the time since the last sample; `pid` is k6's.
    fn sample(&mut self, pid: Option<u32>, lag_p99_s: Option<f64>) -> GeneratorWindow {
        let (own, _) = self.own.sample(None);
        let (k6, descriptors) = match pid {
            Some(pid) => self.k6.sample(Some(pid)),
            None => (None, None),
        };
        // What reads k6's output takes its part.
        let cpu_cores = k6.map(|k6| k6 + own.unwrap_or(0.0));
        GeneratorWindow {
            lag_p99_s,
            cpu_cores,
            descriptors,
            health: GeneratorHealth {
                process_cpu: cpu_cores.map(|cores| cores / self.cores),
                woke_late_p99_s: lag_p99_s,
                ..self.host.sample()
            },
        }
    }
}

impl Notes {
    fn add(&mut self, slice: &Slice, names: &[String]) {
        let ended = |step: &StepWindow| step.completed() + step.failed.of_target();
        self.requests += ended(&slice.requests);
        self.iterations += ended(&slice.iterations);
        self.late += slice.late;
        self.partial += slice.partial;
        for name in slice.names.keys().filter(|n| !names.contains(n)) {
            if self.late_names.len() <= MOST_NAMES {
                self.late_names.insert(name.clone());
            }
        }
        for (message, n) in &slice.threw {
            if self.threw.len() < MOST_THREW.1 || self.threw.contains_key(message) {
                *self.threw.entry(message.clone()).or_default() += n;
            }
        }
    }

    fn texts(&self) -> Vec<String> {
        let mut out = Vec::new();
        if !self.late_names.is_empty() {
            out.push(format!(
                "requests named {} have no row of their own, because they first appeared during \
                 the run (or there are too many names); they count only in the totals. Give \
                 related requests one name in the script (tags: {{ name: '...' }})",
                few(&self.late_names)
            ));
        }
        if self.late > 0 {
            out.push(format!(
                "k6 reported {} of {} requests too late: they are counted in the following second",
                self.late, self.requests
            ));
        }
        if self.partial > 0 {
            out.push(format!(
                "for {} of {} requests, k6 did not report how long they waited for a connection: \
                 their latencies exclude it",
                self.partial, self.requests
            ));
        }
        let threw: u64 = self.threw.values().sum();
        if threw > 0 {
            let mut most: Vec<(&String, &u64)> = self.threw.iter().collect();
            most.sort_by(|a, b| b.1.cmp(a.1));
            let most: Vec<String> = (most.iter().take(MOST_THREW.0))
                .map(|(message, n)| format!("{message} ({n})"))
                .collect();
            out.push(format!(
                "{threw} of {} iterations threw: {}",
                self.iterations,
                most.join("; ")
            ));
        }
        out
    }
}

#[cfg(test)]
mod tests;
