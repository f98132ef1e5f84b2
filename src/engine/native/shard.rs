//! One thread of the engine: its VUs, their pace, and the windows it cuts.
//!
//! VU `id` lives on thread `id % threads`. Every thread follows the same ramp, or takes its own share of the arrivals, so they
//! need not talk to each other.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinSet, LocalSet};

use super::alarm::Alarm;
use super::arrivals::{Clock, Pool};
use super::http::{Connector, Means};
use super::recorder::Recorder;
use super::vu::{self, Phase, Shared, VuState};
use super::watch::{ThreadWatch, ThreadWindow};
use super::{LONG_GRACE, LoadModel};
use crate::engine::Canary;
use crate::engine::trace::Trace;
use crate::measure::{LoadedAddress, StepWindow};
use crate::scenario::{Addresses, Scenario, vu_rng};

/// How often a thread moves its VUs in and out; also its own measure of how late it wakes.
const TICK: Duration = Duration::from_millis(20);
/// The random numbers of the arrivals are those of VUs that no level reaches (the highest of all runs the canary).
const ARRIVALS: u32 = u32::MAX - 1;

pub(super) struct ShardSpec {
    pub(super) index: u32,
    pub(super) shards: u32,
    pub(super) scenario: Arc<Scenario>,
    pub(super) load: LoadModel,
    pub(super) window: Duration,
    pub(super) seed: u64,
    pub(super) means: Means,
    pub(super) addresses: Addresses,
    pub(super) excerpts: bool,
    pub(super) next_rows: Arc<[AtomicU64]>,
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
    /// Where it is told of line by line.
    pub(super) trace: Option<Trace>,
    pub(super) reply: oneshot::Sender<Canary>,
}

/// A new level, and when it was asked for: all threads ramp from that instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct SetLevel {
    pub(super) level: u32,
    pub(super) at: Instant,
}

/// One thread's part of a window, or why the thread cannot go on.
pub(super) type Report = Result<ShardWindow, String>;

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
        Err(e) => drop(reports.send(Err(format!("no runtime for a load thread: {e}")))),
    }
}

/// The straight line from one level to the next; level 0 is reached at once.
#[derive(Debug, Clone, Copy)]
struct Ramp {
    from: u32,
    to: u32,
    since: Instant,
    pace_per_s: f64,
}

impl Ramp {
    /// VUs with numbers below this should run.
    fn frontier(&self, now: Instant) -> u32 {
        // Nobody at all means that the load is to stop, not to fade.
        if self.to == 0 {
            return 0;
        }
        let seconds = now.saturating_duration_since(self.since).as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative; a cast of a float saturates"
        )]
        let moved = ((seconds * self.pace_per_s) as u32).saturating_add(1);
        if self.from <= self.to {
            self.to.min(self.from.saturating_add(moved))
        } else {
            self.to.max(self.from.saturating_sub(moved))
        }
    }
}

/// How VUs come and go.
enum Drive {
    /// The closed model: VUs with a number below the ramp's frontier run.
    Closed { ramp: Ramp, frontier: u32 },
    /// The open model: an arrival takes a free VU or starts another one.
    Open(Open),
}

struct Open {
    clock: Clock,
    /// VUs that this thread may have at once.
    most: usize,
    /// Places that VUs have left.
    vacant: Vec<u32>,
}

struct Running {
    state: Rc<VuState>,
    task: AbortHandle,
    /// When it is cancelled, if it is leaving.
    leave_by: Option<Instant>,
}

struct Shard {
    spec: ShardSpec,
    shared: Rc<Shared>,
    reports: UnboundedSender<Report>,
    /// By VU number over the number of threads.
    vus: Vec<Option<Running>>,
    tasks: JoinSet<()>,
    ids: HashMap<tokio::task::Id, u32>,
    drive: Drive,
    level: u32,
    orders: u64,
    /// Whether the load was cut off: then nobody starts.
    halted: bool,
    /// Since when no VU is to start or to leave.
    settled: Option<Instant>,
    windows_cut: u64,
    window_start: Instant,
    watch: ThreadWatch,
}

impl Shard {
    fn new(spec: ShardSpec, reports: UnboundedSender<Report>) -> Self {
        let shared = Rc::new(Shared {
            scenario: Arc::clone(&spec.scenario),
            seed: spec.seed,
            connector: Connector::new(spec.means.clone(), spec.addresses),
            recorder: RefCell::new(Recorder::new(spec.scenario.table().rows().len())),
            next_rows: Arc::clone(&spec.next_rows),
            idle_limits: vu::idle_limits(&spec.scenario),
            thinks: true,
            excerpts: spec.excerpts,
            trace: None,
            staggers: matches!(
                spec.load,
                LoadModel::Closed {
                    staggered: true,
                    ..
                }
            ),
            pool: match spec.load {
                LoadModel::Closed { .. } => None,
                LoadModel::Open { .. } => Some(Pool::default()),
            },
        });
        Self {
            shared,
            reports,
            vus: Vec::new(),
            tasks: JoinSet::new(),
            ids: HashMap::new(),
            drive: Drive::new(&spec),
            level: 0,
            orders: 0,
            halted: false,
            settled: Some(spec.zero),
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
            drop(reports.send(Err(format!("no timer for a load thread: {e}"))));
        }
    }

    async fn serve(mut self, mut commands: UnboundedReceiver<Command>) -> std::io::Result<()> {
        let mut alarm = Alarm::new()?;
        let mut next_tick = Instant::now() + TICK;
        loop {
            let arrival = self.drive.next_arrival();
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
                    self.shared.recorder.borrow_mut().lag(late);
                    self.move_vus();
                    next_tick = Instant::now() + TICK;
                }
                Some(ended) = self.tasks.join_next_with_id(), if !self.tasks.is_empty() => {
                    if self.vu_ended(ended).is_err() {
                        break;
                    }
                }
            }
        }
        self.tasks.shutdown().await;
        Ok(())
    }

    /// Runs a cycle that no window counts.
    fn start_look(&mut self, look: Look) {
        let shared = Rc::new(Shared::for_look(&self.shared, look.trace));
        self.tasks.spawn_local(async move {
            // An engine that no longer waits for the answer does not need it.
            let _ = look.reply.send(vu::look(shared, look.vu).await);
        });
    }

    fn set_level(&mut self, order: SetLevel) {
        self.orders += 1;
        self.level = order.level;
        self.halted = false;
        self.settled = None;
        match &mut self.drive {
            Drive::Closed { ramp, .. } => {
                *ramp = Ramp {
                    from: ramp.frontier(order.at),
                    to: order.level,
                    since: order.at,
                    ..*ramp
                };
            }
            Drive::Open(open) => open.clock.set_rate(order.level.into(), order.at),
        }
        self.move_vus();
    }

    /// Canaries too: a request that is begun from now on would be one too many.
    fn halt(&mut self) {
        self.set_level(SetLevel {
            level: 0,
            at: Instant::now(),
        });
        self.halted = true;
        self.tasks.abort_all();
    }

    /// Starts and dismisses VUs, and cancels those whose grace is over.
    fn move_vus(&mut self) {
        let now = Instant::now();
        let on_the_way = match &self.drive {
            Drive::Closed { .. } => self.follow_ramp(now),
            Drive::Open(_) if self.level == 0 => self.send_home(now),
            Drive::Open(open) => open.clock.level_at() > now,
        };
        if self.settled.is_some() {
            return;
        }
        let closed = matches!(self.drive, Drive::Closed { .. });
        let mut moving = on_the_way;
        for vu in self.vus.iter().flatten() {
            let waits = closed && vu.state.phase() == Phase::Waiting;
            moving |= waits || vu.leave_by.is_some();
            if vu.leave_by.is_some_and(|by| by <= now) {
                vu.task.abort();
            }
        }
        if !moving {
            self.settled = Some(now);
        }
    }

    /// Starts and dismisses the VUs that the ramp has passed; returns whether it is still on its way.
    fn follow_ramp(&mut self, now: Instant) -> bool {
        let Drive::Closed { ramp, mut frontier } = self.drive else {
            return false;
        };
        let target = ramp.frontier(now);
        while frontier < target {
            let id = frontier;
            frontier += 1;
            self.drive = Drive::Closed { ramp, frontier };
            if self.is_ours(id) {
                self.start(id, None);
            }
        }
        while frontier > target {
            frontier -= 1;
            self.drive = Drive::Closed { ramp, frontier };
            if self.is_ours(frontier) {
                self.dismiss(frontier, now);
            }
        }
        frontier != ramp.to
    }

    /// Ends the open model's load; returns whether anybody is still there.
    fn send_home(&mut self, now: Instant) -> bool {
        if let Some(pool) = &self.shared.pool {
            pool.clear();
        }
        let mut anybody = false;
        for slot in 0..self.vus.len() {
            if self.vus[slot].is_some() {
                anybody = true;
                let slot = u32::try_from(slot).expect("as many VUs as a level");
                self.dismiss(slot * self.spec.shards + self.spec.index, now);
            }
        }
        anybody
    }

    /// Gives every arrival that is due to a VU: a free one, else a new one, else the next that gets free.
    fn take_arrivals(&mut self) {
        let now = Instant::now();
        let (Drive::Open(open), Some(pool)) = (&mut self.drive, &self.shared.pool) else {
            return;
        };
        while let Some(arrival) = open.clock.pop(now) {
            if !pool.give(arrival) {
                pool.keep(arrival);
            }
        }
        self.start_for_waiting();
    }

    fn start_for_waiting(&mut self) {
        loop {
            let (Drive::Open(open), Some(pool)) = (&mut self.drive, &self.shared.pool) else {
                return;
            };
            if open.vacant.is_empty() && self.vus.len() >= open.most {
                return;
            }
            let Some(arrival) = pool.take_waiting() else {
                return;
            };
            let slot = open
                .vacant
                .pop()
                .unwrap_or_else(|| u32::try_from(self.vus.len()).expect("as many VUs as a level"));
            self.start(slot * self.spec.shards + self.spec.index, Some(arrival));
        }
    }

    fn is_ours(&self, id: u32) -> bool {
        id % self.spec.shards == self.spec.index
    }

    fn slot(&mut self, id: u32) -> &mut Option<Running> {
        let slot = usize::try_from(id / self.spec.shards).expect("32 bits fit in a usize");
        if self.vus.len() <= slot {
            self.vus.resize_with(slot + 1, || None);
        }
        &mut self.vus[slot]
    }

    /// Starts a VU, unless its predecessor of the same number is still leaving: then it follows when that has left.
    ///
    /// `arrival` is the first that a VU of the open model takes.
    fn start(&mut self, id: u32, arrival: Option<Instant>) {
        if self.halted || self.slot(id).is_some() {
            return;
        }
        let state = Rc::new(VuState::default());
        let (shared, own) = (Rc::clone(&self.shared), Rc::clone(&state));
        let task = match arrival {
            None => self.tasks.spawn_local(vu::run(shared, own, id)),
            Some(first) => self.tasks.spawn_local(vu::serve(shared, own, id, first)),
        };
        self.ids.insert(task.id(), id);
        *self.slot(id) = Some(Running {
            state,
            task,
            leave_by: None,
        });
    }

    fn dismiss(&mut self, id: u32, now: Instant) {
        let grace = match self.spec.load {
            LoadModel::Closed { grace, .. } => grace,
            LoadModel::Open { .. } => LONG_GRACE,
        };
        if let Some(vu) = self.slot(id)
            && vu.leave_by.is_none()
        {
            vu.state.leaving.set(true);
            vu.leave_by = Some(now + grace);
            if vu.state.phase() != Phase::Working {
                vu.task.abort();
            }
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
        if let Some(id) = self.ids.remove(&task) {
            *self.slot(id) = None;
            let place = id / self.spec.shards;
            match &mut self.drive {
                Drive::Closed { frontier, .. } if id < *frontier => self.start(id, None),
                Drive::Closed { .. } => {}
                Drive::Open(open) => {
                    open.vacant.push(place);
                    self.start_for_waiting();
                }
            }
        }
        match ended {
            Err(e) if e.is_panic() => {
                // The engine may be gone already; then nobody needs to know.
                let _ = self.reports.send(Err(format!("a VU panicked: {e}")));
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
        let cycle = self.spec.scenario.table().whole();
        let mut recorder = self.shared.recorder.borrow_mut();
        let mut vus = 0;
        for vu in self.vus.iter().flatten() {
            vus += u32::from(vu.state.phase() != Phase::Waiting);
            if let Some((step, age)) = vu.state.step_age(now) {
                recorder.in_flight(step, age);
            }
            if let Some(age) = vu.state.cycle_age(now) {
                recorder.in_flight(cycle, age);
            }
        }
        let mut waiting = 0;
        if let Some(pool) = &self.shared.pool {
            // Who waits for a VU has come: the clocks of the cycle and of its first step run.
            for arrival in pool.waiting() {
                waiting += 1;
                let age = now.saturating_duration_since(arrival);
                recorder.in_flight(0, age);
                recorder.in_flight(cycle, age);
                recorder.lag(age);
                vus += 1;
            }
        }
        let (steps, lateness) = recorder.cut();
        let window = ShardWindow {
            index: self.windows_cut,
            end: now,
            level: self.level,
            orders: self.orders,
            at_level: self.settled.is_some_and(|s| s <= self.window_start),
            vus,
            steps,
            watch: self.watch.cut(lateness, waiting),
            addresses: self.shared.connector.cut(),
        };
        self.window_start = now;
        self.reports.send(Ok(window)).map_err(|_| ())
    }
}

impl Drive {
    fn new(spec: &ShardSpec) -> Self {
        match spec.load {
            LoadModel::Closed { pace_per_s, .. } => Self::Closed {
                ramp: Ramp {
                    from: 0,
                    to: 0,
                    since: spec.zero,
                    pace_per_s,
                },
                frontier: 0,
            },
            LoadModel::Open { arrivals, most_vus } => {
                let (index, shards) = (spec.index, spec.shards);
                let rng = vu_rng(spec.seed, ARRIVALS - index);
                let share = (most_vus + shards - 1 - index) / shards;
                Self::Open(Open {
                    clock: Clock::new(arrivals, (index, shards), spec.zero, rng),
                    most: usize::try_from(share.max(1)).expect("32 bits fit in a usize"),
                    vacant: Vec::new(),
                })
            }
        }
    }

    fn next_arrival(&self) -> Option<Instant> {
        match self {
            Self::Closed { .. } => None,
            Self::Open(open) => open.clock.next(),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "windows of a run are far fewer than 2^52"
)]
fn count_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ramp_moves_at_its_pace_and_stops_at_its_level() {
        let since = Instant::now();
        let up = Ramp {
            from: 10,
            to: 20,
            since,
            pace_per_s: 5.0,
        };
        let s = Duration::from_secs_f64;
        assert_eq!(up.frontier(since), 11);
        assert_eq!(up.frontier(since + s(1.01)), 16);
        assert_eq!(up.frontier(since + s(60.0)), 20);
        let down = Ramp { to: 3, ..up };
        assert_eq!(down.frontier(since + s(0.5)), 7);
        assert_eq!(down.frontier(since + s(60.0)), 3);
        let stopped = Ramp { to: 0, ..up };
        assert_eq!(stopped.frontier(since), 0);
        let still = Ramp { to: 10, ..up };
        assert_eq!(still.frontier(since + s(60.0)), 10);
    }
}
