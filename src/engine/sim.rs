//! A load engine in virtual time: an event simulation of a queueing network, closed or open,
//! described by a system file.
//!
//! N VUs think and then wait for one of the servers, or requests arrive at a rate of N a second;
//! what else may happen to them is a table of the file each (docs/lab-systems.md). With exponential
//! times and nothing else the system is M/M/c//N, whose exact answer is known in closed form. An
//! hour of searching takes well under a second, so that a search can be tried thousands of times.
//!
//! # Layout
//!
//! - `spec`, `quantity`, `check`, `error`: the file, and what can be wrong in it; `times`: the laws
//!   of its random times; `variant`: systems made of it
//! - `kinds`: the kinds of users who share a level; `vus`: who runs, and who asks next; `station`:
//!   the queue and the servers
//! - `effects`: what changes the speed; `limits`: who is let in, and how many servers there are;
//!   `clock`: work time, in which a changed speed moves all completions at once
//! - `law`: random times; `shipped`: the systems that come with the program
//! - here: what happens in which order, and the windows

mod check;
mod clock;
mod effects;
mod error;
mod kinds;
mod law;
mod limits;
mod quantity;
mod shipped;
mod spec;
mod station;
mod times;
mod variant;
mod vus;

pub use error::SystemError;
pub use shipped::shipped;
pub use spec::{
    ArrivalsSpec, CliffSpec, ConcurrencySpec, ConnectionsSpec, Discipline, DriftSpec, ErrorsSpec,
    Expect, GrowthSpec, HysteresisSpec, LeakSpec, MemorySpec, ModesSpec, NeighbourSpec,
    OutagesSpec, PauseKind, PausesSpec, PopulationSpec, Positive, Refuse, SearchLimits,
    ServiceSpec, Share, ShedSpec, Size, Span, SystemSpec, ThinkSpec, TimeShape, TimeoutSpec,
    TokenBucketSpec, UsersSpec, WarmUpSpec, WorkSpec,
};

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{Canary, Engine, EngineInfo, Reply};
use crate::measure::{
    FailureCounts, FailureKind, GeneratorWindow, Histogram, Level, StepTable, StepWindow, Window,
};
use crate::scenario::{GoalLimit, LimitOf};
use effects::Effects;
use limits::{ServerGrowth, TokenBucket};
use station::{Client, Station, Ticket};
use vus::{Users, Vus};

/// Length of a window, seconds.
const WINDOW_S: f64 = 1.0;

/// The simulation.
#[derive(Debug)]
pub struct SimEngine {
    spec: SystemSpec,
    rng: SmallRng,
    now: f64,
    vus: Vus,
    station: Station,
    effects: Effects,
    bucket: Option<TokenBucket>,
    growth: Option<ServerGrowth>,
    /// Requests whose client gives up, in the order in which it does.
    patience: VecDeque<(f64, Ticket)>,
    /// When the process started.
    up_since: f64,
    /// While it is away: when it is back.
    back_at: Option<f64>,
    /// Per kind of users.
    tallies: Vec<Tally>,
    /// The rows of a window.
    steps: StepTable,
    /// Room for the ages in flight of one window, kept from window to window.
    ages_us: Vec<u64>,
    /// What good requests are, each by a name of its own.
    good: Vec<(String, Vec<GoalLimit>)>,
    reset: ResetHandle,
}

/// What happened in the present window.
#[derive(Debug, Default)]
struct Tally {
    latencies_us: Vec<u64>,
    failed: FailureCounts,
    shed: u64,
}

impl Tally {
    /// The requests of a window that met all limits; the others failed, and of those in flight some
    /// have missed one already.
    fn good(&self, limits: &[GoalLimit], latencies_us: &[u64], ages_us: &[u64]) -> StepWindow {
        let meets = |us: &&u64| {
            let took = Duration::from_micros(**us);
            limits.iter().all(|limit| limit.is_met_by(took))
        };
        let mut good: Vec<u64> = latencies_us.iter().filter(meets).copied().collect();
        let late = latencies_us.len() - good.len();
        let mut failed = self.failed;
        failed.add_n(FailureKind::Check, u64::try_from(late).unwrap_or(u64::MAX));
        let tightest = limits.iter().map(|limit| limit.most).min();
        let tightest_us = tightest.map_or(0, |t| u64::try_from(t.as_micros()).unwrap_or(u64::MAX));
        let missed = ages_us.iter().filter(|us| !meets(us));
        let mut missed: Vec<u64> = missed.map(|us| us.saturating_sub(tightest_us)).collect();
        StepWindow {
            latency: Histogram::of_micros(&mut good),
            failed,
            shed: self.shed,
            in_flight: Histogram::of_micros(&mut missed),
            ..StepWindow::default()
        }
    }
}

/// Restarts the simulated process, as the reset command of a real target does.
///
/// The process is back at once: what is in flight fails, the leak and the memory start anew,
/// hysteresis ends and the mode is drawn again. Pauses, outages, the neighbour, the drift, the
/// token bucket and servers that were added belong to the world around the process and go on.
#[derive(Debug, Clone, Default)]
pub struct ResetHandle(Arc<AtomicBool>);

impl ResetHandle {
    /// Asks for a restart; the engine makes it before its next window or canary.
    pub fn reset(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl SimEngine {
    /// An idle system. The same seed and the same levels give the same windows.
    ///
    /// # Panics
    /// When the system makes no sense, which [`SystemSpec::from_toml`] refuses.
    pub fn new(spec: SystemSpec, seed: u64) -> Self {
        if let Err(fault) = check::check(&spec) {
            panic!("`{}`: {}", fault.key, fault.message);
        }
        let mut rng = SmallRng::seed_from_u64(seed);
        let kinds = spec.user_kinds();
        let users = match spec.arrivals {
            Some(arrivals) => Users::Open(arrivals.kind, Vec::new(), 0),
            None => Users::Closed,
        };
        Self {
            now: 0.0,
            tallies: (0..kinds.count()).map(|_| Tally::default()).collect(),
            steps: kinds.steps(&[]),
            vus: Vus::new(users, kinds, spec.pace_per_s),
            station: Station::new(spec.service.servers, spec.service.discipline),
            effects: Effects::new(&spec, &mut rng),
            bucket: spec.token_bucket.map(TokenBucket::new),
            growth: spec
                .growth
                .map(|growth| ServerGrowth::new(growth, spec.service.servers)),
            patience: VecDeque::new(),
            up_since: 0.0,
            back_at: None,
            ages_us: Vec::new(),
            good: Vec::new(),
            reset: ResetHandle::default(),
            rng,
            spec,
        }
    }

    /// A handle with which the process can be restarted from elsewhere.
    pub fn reset_handle(&self) -> ResetHandle {
        self.reset.clone()
    }

    /// Lets everything happen up to a time.
    fn advance(&mut self, end: f64) {
        loop {
            let ask = self.vus.next_ask();
            let served = self.station.next_end();
            let rare = self.next_rare();
            let at = ask.min(served).min(rare);
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            if rare <= at {
                self.rare();
            } else if served <= at {
                self.served();
            } else if let Some(vu) = self.vus.pop_ask() {
                self.ask(vu);
            }
        }
        self.now = end;
    }

    /// When something happens that is neither a request nor an answer.
    fn next_rare(&self) -> f64 {
        let patience = self.patience.front().map_or(f64::INFINITY, |(at, _)| *at);
        let back = self.back_at.unwrap_or(f64::INFINITY);
        let effects = self.effects.next();
        self.vus.next_start().min(effects).min(patience).min(back)
    }

    fn rare(&mut self) {
        if self.back_at.is_some_and(|at| at <= self.now) {
            self.back_at = None;
            self.start_process();
        } else if self.effects.next() <= self.now {
            self.pass_effects();
        } else if self.vus.next_start() <= self.now {
            self.vus.start(self.now, &mut self.rng);
        } else if let Some((_, ticket)) = self.patience.pop_front() {
            self.give_up(ticket);
        }
    }

    fn pass_effects(&mut self) {
        let was_out = self.effects.is_out();
        self.effects.pass(self.now, &mut self.rng);
        if self.effects.is_out() && !was_out {
            self.lose_everything();
        }
        self.set_speed();
    }

    fn set_speed(&mut self) {
        self.station.set_speed(self.now, self.effects.speed());
    }

    fn ask(&mut self, vu: u32) {
        if self.is_away() {
            return self.fail(vu, FailureKind::ConnectRefused);
        }
        let full = |most: u32| self.vus.connected() >= most && !self.vus.is_connected(vu);
        if self.spec.connections.is_some_and(|c| full(c.most)) {
            return self.fail(vu, FailureKind::ConnectRefused);
        }
        self.vus.connect(vu);
        let running = self.vus.running();
        if self.spec.cliff.is_some_and(|c| running > c.above_vus) {
            return self.fail(vu, FailureKind::Eof);
        }
        if let Some(refuse) = self.limit() {
            return self.refuse(vu, refuse);
        }
        let waiting = self.station.waiting();
        if self.spec.shed.is_some_and(|s| waiting > s.above_queue) {
            return self.refuse(vu, Refuse::Shed);
        }
        if let Some(errors) = self.spec.errors
            && waiting > errors.above_queue
            && self.rng.random::<f64>() < errors.share.get()
        {
            return self.fail(vu, FailureKind::Status);
        }
        self.admit(vu);
    }

    /// Whether nobody answers: the process was killed, or there is an outage.
    fn is_away(&self) -> bool {
        self.back_at.is_some() || self.effects.is_out()
    }

    /// What a request gets that a limit of the rate or of the requests in the system turns away;
    /// `None` when it is let in.
    fn limit(&mut self) -> Option<Refuse> {
        if let Some(bucket) = &mut self.bucket
            && !bucket.take(self.now)
        {
            return self.spec.token_bucket.map(|b| b.refuse);
        }
        let inside = self.station.in_system();
        let concurrency = self.spec.concurrency?;
        (inside >= concurrency.most).then_some(concurrency.refuse)
    }

    /// What happened to the users of a VU's kind.
    fn tally(&mut self, vu: u32) -> &mut Tally {
        let kind = self.vus.kind(vu);
        &mut self.tallies[kind]
    }

    fn refuse(&mut self, vu: u32, refuse: Refuse) {
        match refuse {
            Refuse::Error => self.fail(vu, FailureKind::Status),
            Refuse::Shed => {
                self.tally(vu).shed += 1;
                self.vus.back_off(self.now, vu);
            }
        }
    }

    /// Takes a request into the system.
    fn admit(&mut self, vu: u32) {
        let kind = self.vus.kind(vu);
        let work = self.vus.kinds().work(kind, &mut self.rng);
        let ticket = self.station.arrive(self.now, vu, work);
        self.vus.wait(vu);
        if let Some(timeout) = self.spec.timeout {
            self.patience
                .push_back((self.now + timeout.after.s(), ticket));
        }
        self.count_crowd();
        self.check_memory();
    }

    fn served(&mut self) {
        if let Some(Client { vu, asked }) = self.station.end_next(self.now) {
            let latency_us = micros(self.now - asked);
            self.tally(vu).latencies_us.push(latency_us);
            self.vus.served(self.now, vu, &mut self.rng);
            if self.effects.served() {
                self.set_speed();
            }
        }
        self.count_crowd();
    }

    fn give_up(&mut self, ticket: Ticket) {
        let work_on = self.spec.timeout.is_some_and(|t| t.wasted_work);
        if let Some(client) = self.station.give_up(self.now, ticket, work_on) {
            self.fail(client.vu, FailureKind::Timeout);
            self.count_crowd();
        }
    }

    fn fail(&mut self, vu: u32, kind: FailureKind) {
        self.tally(vu).failed.add(kind);
        self.vus.back_off(self.now, vu);
    }

    fn count_crowd(&mut self) {
        if self.effects.crowd(self.station.in_system()) {
            self.set_speed();
        }
    }

    /// Kills the process when it takes more memory than it may.
    fn check_memory(&mut self) {
        let Some(memory) = self.spec.memory else {
            return;
        };
        let bytes = |size: Option<Size>| size.map_or(0.0, Size::bytes);
        let leak = bytes(self.spec.leak.map(|leak| leak.bytes_per_s));
        let taken = memory.base.bytes()
            + bytes(memory.per_vu) * f64::from(self.vus.connected())
            + bytes(memory.per_request) * f64::from(self.station.in_system())
            + leak * (self.now - self.up_since);
        if self.back_at.is_none() && taken > memory.limit.bytes() {
            self.back_at = Some(self.now + memory.restart.s());
            self.lose_everything();
        }
    }

    /// Everything in flight fails.
    fn lose_everything(&mut self) {
        for client in self.station.clear(self.now) {
            self.fail(client.vu, FailureKind::Eof);
        }
        self.patience.clear();
        self.vus.disconnect_all();
    }

    fn start_process(&mut self) {
        self.up_since = self.now;
        self.effects.restart(self.now, &mut self.rng);
        self.set_speed();
    }

    /// What is looked at once a window.
    fn tick(&mut self) {
        self.reset_if_asked();
        self.effects.tick(self.now, self.up_since);
        self.set_speed();
        self.look_at_growth();
        self.check_memory();
    }

    fn look_at_growth(&mut self) {
        let Some(growth) = &mut self.growth else {
            return;
        };
        let busy_s = self.station.busy_s(self.now);
        if let Some(servers) = growth.look(self.now, busy_s, self.station.servers()) {
            self.station.set_servers(self.now, servers);
        }
    }

    fn reset_if_asked(&mut self) {
        if self.reset.take() {
            self.back_at = None;
            self.lose_everything();
            self.start_process();
        }
    }

    /// Lets the requests be counted that meet all of these limits, in a row of this name: how long
    /// they may take, and whether just so long.
    pub fn count_good(&mut self, name: &str, limits: impl Iterator<Item = (Duration, bool)>) {
        // A cycle is one request.
        let limits = limits.map(|(most, inclusive)| GoalLimit {
            of: LimitOf::Cycle,
            most,
            inclusive,
        });
        self.good.push((name.to_owned(), limits.collect()));
        let names: Vec<&str> = self.good.iter().map(|(name, _)| name.as_str()).collect();
        self.steps = self.vus.kinds().steps(&names);
    }

    /// The rows of one kind of users, whose counts begin anew.
    fn rows_of(&mut self, kind: usize) -> Vec<StepWindow> {
        let (now, is_only) = (self.now, self.tallies.len() == 1);
        let tally = &mut self.tallies[kind];
        self.ages_us.clear();
        let clients = self.station.clients();
        let own = clients.filter(|client| is_only || self.vus.kind(client.vu) == kind);
        self.ages_us
            .extend(own.map(|client| micros(now - client.asked)));
        let mut latencies_us = std::mem::take(&mut tally.latencies_us);
        let good: Vec<StepWindow> = (self.good.iter())
            .map(|(_, limits)| tally.good(limits, &latencies_us, &self.ages_us))
            .collect();
        let latency = Histogram::of_micros(&mut latencies_us);
        latencies_us.clear();
        tally.latencies_us = latencies_us;
        let step = StepWindow {
            latency,
            failed: std::mem::take(&mut tally.failed),
            shed: std::mem::take(&mut tally.shed),
            in_flight: Histogram::of_micros(&mut self.ages_us),
            ..StepWindow::default()
        };
        // One step, and the cycle, which here is the same.
        [vec![step.clone()], good, vec![step]].concat()
    }

    fn cut(&mut self, start: f64, at_level: bool) -> Window {
        let kinds = self.tallies.len();
        let mut steps: Vec<StepWindow> = (0..kinds).flat_map(|kind| self.rows_of(kind)).collect();
        self.steps.pool(&mut steps);
        Window {
            start: Duration::from_secs_f64(start),
            span: Duration::from_secs_f64(self.now - start),
            level: self.vus.level(),
            vus: self.vus.running(),
            at_level,
            steps,
            generator: GeneratorWindow::default(),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and the histogram has bounds of its own"
)]
fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

impl Engine for SimEngine {
    fn describe(&self) -> EngineInfo {
        EngineInfo {
            think_s: self.spec.think_s(),
            ..EngineInfo::new("simulated", self.steps.clone())
        }
    }

    fn set_level(&mut self, level: Level) -> Reply<'_, ()> {
        Box::pin(async move {
            self.vus.set_level(self.now, level.get(), &mut self.rng);
            Ok(())
        })
    }

    fn next_window(&mut self) -> Reply<'_, Window> {
        Box::pin(async move {
            let start = self.now;
            self.tick();
            let at_level = self.vus.at_level();
            self.advance(start + WINDOW_S);
            Ok(self.cut(start, at_level))
        })
    }

    fn canary(&mut self) -> Reply<'_, Canary> {
        Box::pin(async move {
            self.reset_if_asked();
            Ok(if self.is_away() {
                Canary::failed(FailureKind::ConnectRefused)
            } else {
                Canary::Passed(Duration::from_secs_f64(self.spec.service_s()))
            })
        })
    }
}
