//! The native load engine: VUs on one thread per core, measured in windows of real time. Either a
//! level of them runs in closed loops, or a level of cycles begins per second and takes as many of
//! them as that needs.
//!
//! The lag of a window is how late VUs woke from thinking and how late each thread's own 20 ms tick
//! came, so that a scenario without think time has one too. It knows scenarios and windows;
//! objectives and levels to come are none of its business.

mod addresses;
mod alarm;
mod arrivals;
mod back_off;
mod client;
mod goals;
mod http;
mod idle;
mod inbox;
mod jar;
#[cfg(any(test, fuzzing))]
pub(crate) use self::http::{fuzz_answer, fuzz_body};
#[cfg(any(test, fuzzing))]
pub(crate) use self::websocket::fuzz as fuzz_websocket;
mod kind;
mod limit;
mod names;
mod recorder;
pub mod script;
mod shard;
mod socket;
mod sources;
mod start;
mod stream;
mod user;
mod vu;
mod watch;
mod websocket;
mod why;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use self::http::Means;
#[doc(hidden)]
pub use self::http::length_of_answer;
use self::script::{Function, ScriptWork};
use self::shard::{Command, Look, Report, SetLevel, ShardSpec, ShardWindow};
use self::sources::Sources;
pub(super) use self::start::start;
pub use self::start::{CompiledPopulation, WINDOW, Work, cores, vus_of};
use self::watch::Watched;
use super::host::{HostWatch, ProcessWatch};
use super::trace::Trace;
use super::{Canary, Ended, Engine, EngineError, EngineInfo, Network, Reply};
use crate::crypto::{Trust, TrustSpec};
use crate::measure::{
    Arrivals, GeneratorWindow, Histogram, Level, LoadedAddress, Mix, StepWindow, Window,
};
use crate::scenario::{Allowed, Scenario};

/// What records call it.
const NAME: &str = "native";
/// How long a leaving VU may take to finish its step between levels that are held.
const GRACE: Duration = Duration::from_secs(2);
/// The same for what is measured meanwhile, and for arrivals, which pile up at a target that cannot
/// follow: who is cut off there leaves his work behind.
const LONG_GRACE: Duration = Duration::from_secs(30);
/// How long the threads may take to close their connections when the engine stops.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// One kind of users.
#[derive(Debug, Clone)]
pub struct PopulationSpec {
    /// What each VU does.
    pub scenario: Arc<Scenario>,
    /// The script that it runs in place of the steps of that, which has its rows alone.
    pub script: Option<Arc<ScriptWork>>,
    /// What a level means.
    pub load: LoadModel,
    /// How many there are of it.
    pub number: Number,
    /// Seed of all random values. Populations that draw alike would march in step.
    pub seed: u64,
}

/// How many there are of a population.
#[derive(Debug, Clone)]
pub enum Number {
    /// As many as the level says.
    Level,
    /// As many as a mix gives it of the level.
    Part(MixPart),
    /// So many while there is any load at all.
    Fixed(Level),
}

impl Number {
    /// Whether the level is about it.
    pub fn is_searched(&self) -> bool {
        !matches!(self, Self::Fixed(_))
    }
}

/// One kind of users of a mix.
#[derive(Debug, Clone)]
pub struct MixPart {
    /// Who is of which kind.
    pub mix: Arc<Mix>,
    /// Which of the kinds it is.
    pub kind: usize,
    /// How many have arrived in the open model, of all kinds and on all threads.
    pub arrived: Arc<AtomicU64>,
}

impl PopulationSpec {
    /// Users who are searched.
    pub fn users(scenario: Arc<Scenario>, load: LoadModel, seed: u64) -> Self {
        Self {
            scenario,
            script: None,
            load,
            number: Number::Level,
            seed,
        }
    }

    /// What they do where nobody is beside them.
    fn describe(&self) -> EngineInfo {
        EngineInfo {
            think_s: self.load.think_s(&self.scenario),
            ..EngineInfo::new(NAME, self.scenario.table().clone())
        }
    }
}

/// How the native engine runs.
#[derive(Debug, Clone)]
pub struct NativeSpec {
    /// Everybody who loads the target, in the order of the rows of a window; the last are the
    /// users, of whom a canary is one.
    pub populations: Vec<PopulationSpec>,
    /// Length of a window.
    pub window: Duration,
    /// How many threads make the load, at least one.
    pub threads: usize,
    /// Addresses of this machine that connections come from, by VU in turn; none leaves the choice
    /// to the kernel.
    pub sources: Vec<IpAddr>,
    /// Whom connections may reach; any other fails as `protocol`, or `dns` where a name leads
    /// nowhere else.
    pub allowed: Allowed,
    /// How connections are made.
    pub network: Network,
    /// Whether anything of the answers of failed requests is told.
    pub excerpts: bool,
}

/// What a level means, and how it is reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LoadModel {
    /// A level is a number of VUs, each of which begins its next cycle when it has ended the last.
    Closed {
        /// How many VUs start or leave per second.
        pace_per_s: f64,
        /// Whether a VU begins its first cycle at a random moment within its mean think time, so
        /// that VUs with a constant one do not march in step. A level that climbs bit by bit
        /// spreads its VUs itself, and would be reached late.
        staggered: bool,
        /// How long a leaving VU may take to finish its step; then it is cut off, and counted
        /// nowhere.
        grace: Duration,
    },
    /// A level is a number of cycles that begin per second, whether or not those before have ended.
    Open {
        /// When they begin.
        arrivals: Arrivals,
        /// How many VUs there may be at once. An arrival that finds none free waits, which is the
        /// generator's delay.
        most_vus: u32,
    },
}

impl LoadModel {
    /// Think time within the cycle as the load goes through it, seconds.
    fn think_s(self, scenario: &Scenario) -> f64 {
        match self {
            Self::Closed { .. } => scenario.mean_think_s(),
            Self::Open { .. } => Scenario::think_s(scenario.visit()),
        }
    }

    /// VUs for levels that are held: on the way from one to the next nothing is measured.
    pub fn closed(pace_per_s: f64) -> Self {
        Self::Closed {
            pace_per_s,
            staggered: true,
            grace: GRACE,
        }
    }

    /// VUs for a level that moves while it is measured: who leaves has time, so that those who hang
    /// are not cut off before they count.
    pub fn climbing(pace_per_s: f64) -> Self {
        Self::Closed {
            pace_per_s,
            staggered: false,
            grace: LONG_GRACE,
        }
    }
}

/// The VUs of this process.
pub struct NativeEngine {
    shards: Vec<ShardHandle>,
    info: EngineInfo,
    steps: usize,
    zero: Instant,
    /// Number of the first slice of time that no window has covered yet, from 1.
    next: u64,
    last_end: Instant,
    level: Level,
    /// How often the level was changed.
    orders: u64,
    own: OwnProcess,
    addresses: Vec<LoadedAddress>,
}

struct ShardHandle {
    commands: UnboundedSender<Command>,
    reports: UnboundedReceiver<Report>,
    pending: VecDeque<ShardWindow>,
    thread: JoinHandle<()>,
}

impl NativeEngine {
    /// Starts the threads, at level 0.
    ///
    /// # Errors
    /// When a thread cannot be started, the pace is not above zero, or TLS cannot be set up for a
    /// scenario that needs it.
    pub fn start(spec: NativeSpec) -> Result<Self, EngineError> {
        let NativeSpec {
            populations,
            window,
            threads,
            sources,
            allowed,
            network,
            excerpts,
        } = spec;
        let threads = u32::try_from(threads.max(1))
            .map_err(|_| EngineError::Start("too many threads".to_owned()))?;
        let works = |population: &PopulationSpec| match population.load {
            LoadModel::Closed { pace_per_s, .. } => pace_per_s > 0.0,
            LoadModel::Open { most_vus, .. } => most_vus > 0,
        };
        let users = populations.last().filter(|_| populations.iter().all(works));
        let Some(users) = users.filter(|_| !window.is_zero()) else {
            return Err(EngineError::Start(
                "there must be users, and the pace, the VUs and the window above zero".to_owned(),
            ));
        };
        let info = users.describe();
        let means = Means {
            protocol: network.protocol,
            trust: trust(network.trust, &populations)?,
            sources: Sources::new(sources),
            allowed,
            resolve: network.resolve,
        };
        let zero = Instant::now();
        let tables = populations.iter().map(|p| p.scenario.table());
        let steps = tables.map(|table| table.rows().len()).sum();
        let next_rows = |population: &PopulationSpec| {
            let feeders = population.scenario.feeders().iter();
            feeders.map(|_| AtomicU64::new(0)).collect()
        };
        let populations: Vec<(PopulationSpec, Arc<[AtomicU64]>)> = (populations.into_iter())
            .map(|population| {
                let rows = next_rows(&population);
                (population, rows)
            })
            .collect();
        let mut shards = Vec::new();
        for index in 0..threads {
            shards.push(ShardHandle::spawn(ShardSpec {
                index,
                shards: threads,
                populations: populations.clone(),
                window,
                means: means.clone(),
                addresses: network.addresses,
                excerpts,
                zero,
            })?);
        }
        Ok(Self {
            shards,
            info,
            steps,
            zero,
            next: 1,
            last_end: zero,
            level: Level::ZERO,
            orders: 0,
            own: OwnProcess::new(),
            addresses: Vec::new(),
        })
    }

    /// The same engine where several populations are more than its users: what all of them do.
    #[must_use]
    pub fn described(self, info: EngineInfo) -> Self {
        Self { info, ..self }
    }

    /// Runs one cycle without think times as a VU of this number does its first, and tells of it
    /// line by line. It is counted in no window.
    ///
    /// # Errors
    /// When a load thread has ended.
    pub async fn look(&mut self, vu: u32, trace: Option<Trace>) -> Result<Canary, EngineError> {
        self.look_at(Function::Iteration, vu, trace).await
    }

    /// The same of one of the functions of a script.
    async fn look_at(
        &mut self,
        function: Function,
        vu: u32,
        trace: Option<Trace>,
    ) -> Result<Canary, EngineError> {
        let (reply, answer) = oneshot::channel();
        let shard = self.shards.first().ok_or_else(ended)?;
        let look = Look {
            vu,
            function,
            trace,
            reply,
        };
        let asked = shard.commands.send(Command::Look(look));
        asked.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }

    /// Cancels all VUs, closes their connections and ends the threads.
    pub async fn stop(self) {
        let threads: Vec<_> = self
            .shards
            .into_iter()
            .map(|shard| {
                drop(shard.commands);
                shard.thread
            })
            .collect();
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // A thread that panicked has ended too.
                let _ = thread.join();
            }
        });
        // A thread that hangs is left to the end of the process.
        let _ = tokio::time::timeout(STOP_LIMIT, joined).await;
    }

    /// Waits until every thread has reported the same slice of time; returns its number.
    async fn gather(&mut self) -> Result<u64, EngineError> {
        let mut target = self.next;
        loop {
            let mut reached = target;
            for shard in &mut self.shards {
                reached = reached.max(shard.report_of(target).await?);
            }
            if reached == target {
                return Ok(target);
            }
            target = reached;
        }
    }
}

impl Engine for NativeEngine {
    fn describe(&self) -> EngineInfo {
        self.info.clone()
    }

    fn stop(self: Box<Self>) -> Ended {
        Box::pin((*self).stop())
    }

    fn set_level(&mut self, level: Level) -> Reply<'_, ()> {
        Box::pin(async move {
            if level == self.level {
                return Ok(());
            }
            self.level = level;
            let order = SetLevel {
                level: level.get(),
                at: Instant::now(),
            };
            self.orders += 1;
            for shard in &self.shards {
                let order = Command::SetLevel(order);
                shard.commands.send(order).map_err(|_| ended())?;
            }
            Ok(())
        })
    }

    fn halt(&mut self) -> Reply<'_, ()> {
        Box::pin(async move {
            self.level = Level::ZERO;
            self.orders += 1;
            for shard in &self.shards {
                shard.commands.send(Command::Halt).map_err(|_| ended())?;
            }
            Ok(())
        })
    }

    fn next_window(&mut self) -> Reply<'_, Window> {
        Box::pin(async move {
            let index = self.gather().await?;
            let mut merged = Merged::new(self.steps);
            for shard in &mut self.shards {
                let mut last = None;
                while let Some(mut part) = shard.take_up_to(index) {
                    LoadedAddress::add(&mut self.addresses, std::mem::take(&mut part.addresses));
                    last = Some(merged.add_flows(part));
                }
                merged.watched.thread_done();
                if let Some(last) = last {
                    merged.add_state(&last, self.orders);
                }
            }
            let start = self.last_end;
            let end = merged.end.unwrap_or(start).max(start);
            self.last_end = end;
            self.next = index + 1;
            let span = end.saturating_duration_since(start);
            self.info.steps.pool(&mut merged.steps);
            let around = self.own.host.sample();
            let (cpu_cores, descriptors) = self.own.usage.sample(None);
            Ok(Window {
                start: start.saturating_duration_since(self.zero),
                span,
                level: Level(merged.level),
                vus: merged.vus,
                at_level: merged.at_level,
                steps: merged.steps,
                generator: GeneratorWindow {
                    cpu_cores,
                    descriptors,
                    ..merged.watched.window(span.as_secs_f64(), around)
                },
            })
        })
    }

    fn canary(&mut self) -> Reply<'_, Canary> {
        Box::pin(async move {
            let answer = self.look(user::CANARY, None).await?;
            // What passed meanwhile becomes part of the next window, so that engine time has not
            // stood still.
            let mut passed = u64::MAX;
            for shard in &mut self.shards {
                passed = passed.min(shard.last_reported()?.unwrap_or(0));
            }
            self.next = self.next.max(passed);
            Ok(answer)
        })
    }

    fn addresses(&self) -> Vec<LoadedAddress> {
        self.addresses.clone()
    }
}

/// Whom the connections of some scenarios trust.
fn trust(
    given: Option<Trust>,
    populations: &[PopulationSpec],
) -> Result<Option<Trust>, EngineError> {
    let scenarios = || populations.iter().map(|p| &*p.scenario);
    let read = || Trust::read(&TrustSpec::default());
    if given.is_some() {
        return Ok(given);
    }
    if scenarios().any(|s| s.origins().iter().any(|o| o.tls)) {
        return read()
            .map(Some)
            .map_err(|e| EngineError::Start(e.to_string()));
    }
    // A redirect may lead to TLS; one that does fails where TLS cannot be set up.
    let follows = scenarios().any(|s| s.redirects() > 0);
    Ok(follows.then(read).and_then(Result::ok))
}

fn ended() -> EngineError {
    EngineError::Stopped("a load thread ended unexpectedly".to_owned())
}

impl ShardHandle {
    fn spawn(spec: ShardSpec) -> Result<Self, EngineError> {
        let (commands, orders) = unbounded_channel();
        let (sender, reports) = unbounded_channel();
        let thread = std::thread::Builder::new()
            .name(format!("load-{}", spec.index))
            .spawn(move || shard::run(spec, orders, sender))
            .map_err(|e| EngineError::Start(format!("cannot start a load thread: {e}")))?;
        Ok(Self {
            commands,
            reports,
            pending: VecDeque::new(),
            thread,
        })
    }

    /// The next report that is due, of those up to a slice of time.
    fn take_up_to(&mut self, slice: u64) -> Option<ShardWindow> {
        let due = self.pending.front().is_some_and(|w| w.index <= slice);
        due.then(|| self.pending.pop_front()).flatten()
    }

    /// Number of the last slice of time that was reported by now.
    fn last_reported(&mut self) -> Result<Option<u64>, EngineError> {
        while let Ok(report) = self.reports.try_recv() {
            self.pending.push_back(report?);
        }
        Ok(self.pending.back().map(|w| w.index))
    }

    /// Number of the first report at or after a slice of time. What came is kept, so a caller may
    /// give up waiting.
    async fn report_of(&mut self, slice: u64) -> Result<u64, EngineError> {
        loop {
            if let Some(window) = self.pending.iter().find(|w| w.index >= slice) {
                return Ok(window.index);
            }
            match self.reports.recv().await {
                Some(Ok(window)) => self.pending.push_back(window),
                Some(Err(why)) => return Err(why),
                None => return Err(ended()),
            }
        }
    }
}

/// The threads' parts of a window, put together.
struct Merged {
    steps: Vec<StepWindow>,
    watched: Watched,
    level: u32,
    vus: u32,
    at_level: bool,
    end: Option<Instant>,
    orders: u64,
}

/// What is true at a window's end, in distinction from what happened in it.
struct State {
    in_flight: Vec<Histogram>,
    level: u32,
    orders: u64,
    vus: u32,
}

impl Merged {
    fn new(steps: usize) -> Self {
        Self {
            steps: vec![StepWindow::default(); steps],
            watched: Watched::default(),
            level: 0,
            vus: 0,
            at_level: true,
            end: None,
            orders: 0,
        }
    }

    fn add_flows(&mut self, part: ShardWindow) -> State {
        let mut in_flight = Vec::with_capacity(part.steps.len());
        for (total, mut step) in self.steps.iter_mut().zip(part.steps) {
            in_flight.push(std::mem::take(&mut step.in_flight));
            total.merge_shard(&step);
        }
        self.watched.add(&part.watch);
        self.at_level &= part.at_level;
        self.end = self.end.max(Some(part.end));
        State {
            in_flight,
            level: part.level,
            orders: part.orders,
            vus: part.vus,
        }
    }

    fn add_state(&mut self, state: &State, orders: u64) {
        for (total, ages) in self.steps.iter_mut().zip(&state.in_flight) {
            total.in_flight.merge(ages);
        }
        self.vus += state.vus;
        // A window that was cut before the latest order is not at the level asked for now.
        self.at_level &= state.orders == orders;
        if state.orders >= self.orders {
            self.orders = state.orders;
            self.level = state.level;
        }
    }
}

/// What this process takes of the machine, and what bears on it.
struct OwnProcess {
    usage: ProcessWatch,
    host: HostWatch,
}

impl OwnProcess {
    fn new() -> Self {
        let mut usage = ProcessWatch::default();
        usage.sample(None);
        Self {
            usage,
            host: HostWatch::new(),
        }
    }
}

#[cfg(test)]
mod tests;
