//! One thread of the engine: its VUs, their pace, and the windows it cuts.
//!
//! VU `id` of a population lives on thread `id % threads`. Every thread follows the same ramp, or
//! takes its own share of the arrivals, so they need not talk to each other.

mod population;
mod ramp;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use self::population::{InFlight, Population, PopulationPart, Share, Tasks};
use super::alarm::Alarm;
use super::http::{Connector, Means};
use super::kind::{Kind, Thread, idle_limits};
use super::recorder::Recorder;
use super::script::{Function, ScriptThread, ScriptUser};
use super::user::ScenarioUser;
use super::vu::{self, VuState};
use super::watch::{ThreadWatch, ThreadWindow};
use super::{LoadModel, PopulationSpec};
use crate::engine::Canary;
use crate::engine::EngineError;
use crate::engine::trace::Trace;
use crate::measure::{LoadedAddress, StepWindow};
use crate::scenario::Addresses;

/// How often a thread moves its VUs in and out; also its own measure of how late it wakes.
const TICK: Duration = Duration::from_millis(20);

pub(super) struct ShardSpec {
    pub(super) index: u32,
    pub(super) shards: u32,
    /// Everybody, with the next row of each of their sequential feeders over all threads; the last
    /// are the users.
    pub(super) populations: Vec<(PopulationSpec, Arc<[AtomicU64]>)>,
    pub(super) window: Duration,
    pub(super) means: Means,
    pub(super) addresses: Addresses,
    pub(super) excerpts: bool,
    /// When the first window begins.
    pub(super) zero: Instant,
}

/// What the engine asks of a thread.
pub(super) enum Command {
    /// Go to this level.
    SetLevel(SetLevel),
    /// Go to level 0 and cut everybody off in the middle of what he does.
    Halt,
    /// Run one cycle apart from all VUs and say how it went.
    Look(Look),
}

/// A cycle that no window counts.
pub(super) struct Look {
    /// The VU whose values it has.
    pub(super) vu: u32,
    /// What of a script it runs.
    pub(super) function: Function,
    /// Where it is told of line by line.
    pub(super) trace: Option<Trace>,
    pub(super) reply: oneshot::Sender<Result<Canary, EngineError>>,
}

/// A new level, and when it was asked for: all threads ramp from that instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct SetLevel {
    pub(super) level: u32,
    pub(super) at: Instant,
}

/// One thread's part of a window, or why the thread cannot go on.
pub(super) type Report = Result<ShardWindow, EngineError>;

pub(super) struct ShardWindow {
    /// Number of the last slice of time that it covers; more than one when the thread was held up.
    pub(super) index: u64,
    pub(super) end: Instant,
    /// The level asked for and how many times it was changed.
    pub(super) level: u32,
    pub(super) orders: u64,
    pub(super) at_level: bool,
    pub(super) vus: u32,
    pub(super) steps: Vec<StepWindow>,
    pub(super) watch: ThreadWindow,
    /// How the load fell on the target's addresses.
    pub(super) addresses: Vec<LoadedAddress>,
}

/// The thread's body: runs until `commands` is closed.
pub(super) fn run(
    spec: ShardSpec,
    commands: UnboundedReceiver<Command>,
    reports: UnboundedSender<Report>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let local = LocalSet::new();
            runtime.block_on(local.run_until(Shard::new(spec, reports).run(commands)));
            drop(local);
            // A name lookup that hangs must not keep the program from ending.
            runtime.shutdown_background();
        }
        // The engine may be gone already; then nobody needs to know.
        Err(e) => {
            let why = format!("no runtime for a load thread: {e}");
            drop(reports.send(Err(EngineError::Stopped(why))));
        }
    }
}

struct Shard {
    spec: ShardSpec,
    thread: Rc<Thread>,
    reports: UnboundedSender<Report>,
    populations: Vec<Population>,
    tasks: Tasks,
    level: u32,
    orders: u64,
    windows_cut: u64,
    window_start: Instant,
    watch: ThreadWatch,
}

impl Shard {
    fn new(spec: ShardSpec, reports: UnboundedSender<Report>) -> Self {
        let tables = spec.populations.iter().map(|(p, _)| p.scenario.table());
        let rows = tables.map(|table| table.rows().len()).sum();
        let thread = Rc::new(Thread {
            connector: Connector::new(spec.means.clone(), spec.addresses),
            recorder: RefCell::new(Recorder::new(rows)),
            over: Rc::default(),
        });
        Self {
            populations: populations(&spec, &thread),
            thread,
            reports,
            tasks: Tasks::default(),
            level: 0,
            orders: 0,
            windows_cut: 0,
            window_start: spec.zero,
            watch: ThreadWatch::new(),
            spec,
        }
    }

    /// Serves until `commands` is closed, or tells why it cannot.
    async fn run(self, commands: UnboundedReceiver<Command>) {
        let reports = self.reports.clone();
        if let Err(e) = self.serve(commands).await {
            // The engine may be gone already; then nobody needs to know.
            let why = format!("no timer for a load thread: {e}");
            drop(reports.send(Err(EngineError::Stopped(why))));
        }
    }

    async fn serve(mut self, mut commands: UnboundedReceiver<Command>) -> std::io::Result<()> {
        let mut alarm = Alarm::new()?;
        let mut next_tick = Instant::now() + TICK;
        loop {
            let arrivals = self.populations.iter().map(Population::next_arrival);
            let arrival = arrivals.flatten().min();
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::SetLevel(order)) => self.set_level(order),
                    Some(Command::Halt) => self.halt(),
                    Some(Command::Look(look)) => self.start_look(look),
                    None => break,
                },
                () = tokio::time::sleep_until(self.window_end().into()) => {
                    self.move_vus();
                    if self.cut().is_err() {
                        break;
                    }
                }
                rung = alarm.ring(arrival) => {
                    rung?;
                    self.take_arrivals();
                }
                () = tokio::time::sleep_until(next_tick.into()) => {
                    let late = Instant::now().saturating_duration_since(next_tick);
                    self.thread.recorder.borrow_mut().lag(late);
                    self.move_vus();
                    next_tick = Instant::now() + TICK;
                }
                Some(ended) = self.tasks.all.join_next_with_id(), if !self.tasks.all.is_empty() => {
                    if self.vu_ended(ended).is_err() {
                        break;
                    }
                }
            }
        }
        self.tasks.all.shutdown().await;
        Ok(())
    }

    /// Runs a cycle of the users that no window counts.
    fn start_look(&mut self, look: Look) {
        let kinds: Vec<(Kind, u32)> = (self.who_looks())
            .map(|p| {
                (
                    Kind::for_look(p.kind(), look.trace.clone(), look.function),
                    p.number_of(look.vu),
                )
            })
            .collect();
        self.tasks.all.spawn_local(async move {
            let mut took = Duration::ZERO;
            for (kind, vu) in &kinds {
                match look_at(kind, *vu).await {
                    Ok(Canary::Passed(time)) => took += time,
                    other => {
                        let _ = look.reply.send(other);
                        return;
                    }
                }
            }
            // An engine that no longer waits for the answer does not need it.
            let _ = look.reply.send(Ok(Canary::Passed(took)));
        });
    }

    /// Whose cycles say that the target is well: one of each kind of a mix, else one of the users.
    fn who_looks(&self) -> impl Iterator<Item = &Population> {
        let (users, others) = match self.populations.split_last() {
            Some((users, others)) => (Some(users), others),
            None => (None, &self.populations[..]),
        };
        others.iter().filter(|p| p.is_of_mix()).chain(users)
    }

    fn set_level(&mut self, order: SetLevel) {
        self.orders += 1;
        self.level = order.level;
        for population in &mut self.populations {
            population.set_level(order.level, order.at);
        }
        self.move_vus();
    }

    /// Canaries too: a request that is begun from now on would be one too many.
    fn halt(&mut self) {
        self.orders += 1;
        self.level = 0;
        let now = Instant::now();
        for population in &mut self.populations {
            population.halt(now);
        }
        self.move_vus();
        self.tasks.all.abort_all();
    }

    fn move_vus(&mut self) {
        for population in &mut self.populations {
            population.move_vus(&mut self.tasks);
        }
    }

    fn take_arrivals(&mut self) {
        for population in &mut self.populations {
            population.take_arrivals(&mut self.tasks);
        }
    }

    fn vu_ended(
        &mut self,
        ended: Result<(tokio::task::Id, ()), tokio::task::JoinError>,
    ) -> Result<(), ()> {
        let task = match &ended {
            Ok((task, ())) => *task,
            Err(e) => e.id(),
        };
        if let Some((population, id)) = self.tasks.ended(task) {
            self.populations[population].has_left(id, &mut self.tasks);
        }
        match ended {
            Err(e) if e.is_panic() => {
                // The engine may be gone already; then nobody needs to know.
                let _ =
                    (self.reports).send(Err(EngineError::Stopped(format!("a VU panicked: {e}"))));
                Err(())
            }
            _ => Ok(()),
        }
    }

    fn slices(&self, count: u64) -> Duration {
        self.spec.window.mul_f64(count_f64(count))
    }

    fn window_end(&self) -> Instant {
        self.spec.zero + self.slices(self.windows_cut + 1)
    }

    /// Ends the window; one that the thread was too late for is part of it.
    fn cut(&mut self) -> Result<(), ()> {
        let now = Instant::now();
        self.windows_cut += 1;
        while self.window_end() <= now {
            self.windows_cut += 1;
        }
        let mut recorder = self.thread.recorder.borrow_mut();
        let (mut vus, mut waiting) = (0, 0);
        for population in &self.populations {
            let there: InFlight = population.in_flight(now, &mut recorder);
            // A level is about whom it moves; in a drain everybody is waited for.
            if population.is_searched() || self.level == 0 {
                vus += there.vus;
            }
            waiting += there.waiting;
        }
        let (steps, lateness) = recorder.cut();
        let mut settled = self.populations.iter();
        let window = ShardWindow {
            index: self.windows_cut,
            end: now,
            level: self.level,
            orders: self.orders,
            at_level: settled.all(|p| p.has_settled_by(self.window_start)),
            vus,
            steps,
            watch: self.watch.cut(lateness, waiting),
            addresses: self.thread.connector.cut(),
        };
        self.window_start = now;
        self.reports.send(Ok(window)).map_err(|_| ())?;
        // What was done before nothing was left is told first.
        match self.thread.over.borrow_mut().take() {
            Some(why) => (self.reports.send(Err(why))).map_err(|_| ()).and(Err(())),
            None => Ok(()),
        }
    }
}

/// One cycle of somebody who only looks.
async fn look_at(kind: &Kind, vu: u32) -> Result<Canary, EngineError> {
    let state = VuState::default();
    let Some(script) = &kind.script else {
        return Ok(vu::look(ScenarioUser::new(kind, &state, vu)).await);
    };
    let went = vu::look(ScriptUser::new(kind, script, &state, vu)).await;
    // Why the load cannot go on says more than how the iteration ended.
    let over = kind.thread.over.borrow_mut().take();
    over.map_or(Ok(went), Err)
}

/// Everybody on a thread; their rows stand one behind the other.
fn populations(spec: &ShardSpec, thread: &Rc<Thread>) -> Vec<Population> {
    let share = Share {
        index: spec.index,
        threads: spec.shards,
    };
    let mut first_row = 0;
    let mut out: Vec<Population> = Vec::with_capacity(spec.populations.len());
    for (index, (population, next_rows)) in spec.populations.iter().enumerate() {
        let scenario = &population.scenario;
        let kind = Kind {
            thread: Rc::clone(thread),
            scenario: Arc::clone(scenario),
            script: population
                .script
                .as_ref()
                .map(|work| Rc::new(ScriptThread::new(work))),
            function: Function::default(),
            first_row,
            seed: population.seed,
            visits: matches!(population.load, LoadModel::Open { .. }),
            next_rows: Arc::clone(next_rows),
            idle_limits: idle_limits(scenario),
            lives: Rc::default(),
            thinks: true,
            excerpts: spec.excerpts,
            trace: None,
            came: RefCell::default(),
        };
        first_row += scenario.table().rows().len();
        out.push(Population::new(PopulationPart {
            index,
            share,
            kind: Rc::new(kind),
            number: population.number.clone(),
            load: population.load,
            line: out.iter().rev().find_map(Population::line),
            zero: spec.zero,
        }));
    }
    out
}

#[expect(
    clippy::cast_precision_loss,
    reason = "windows of a run are far fewer than 2^52"
)]
fn count_f64(count: u64) -> f64 {
    count as f64
}
