//! The users of one kind on one thread: who of them is there, and how they come and go.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::{AbortHandle, Id, JoinSet};

use super::super::arrivals::{Clock, Dealer, Pool};
use super::super::kind::Kind;
use super::super::recorder::Recorder;
use super::super::script::ScriptUser;
use super::super::user::ScenarioUser;
use super::super::vu::{self, Phase, VuState};
use super::super::{LONG_GRACE, LoadModel, Number};
use super::ramp::Ramp;
use crate::scenario::{LimitOf, vu_rng};

/// The random numbers of the arrivals are those of VUs that no level reaches (the highest of all
/// runs the canary).
const ARRIVALS: u32 = u32::MAX - 1;

/// The tasks of a thread, and which VU each is.
#[derive(Default)]
pub(super) struct Tasks {
    pub(super) all: JoinSet<()>,
    /// The population and the VU's number.
    of: HashMap<Id, (usize, u32)>,
}

impl Tasks {
    fn spawn(
        &mut self,
        (population, id): (usize, u32),
        life: impl Future<Output = ()> + 'static,
    ) -> AbortHandle {
        let task = self.all.spawn_local(life);
        self.of.insert(task.id(), (population, id));
        task
    }

    /// Whose task it was; `None` for one of nobody who is counted.
    pub(super) fn ended(&mut self, task: Id) -> Option<(usize, u32)> {
        self.of.remove(&task)
    }
}

/// Which of all threads this one is: VU `id` lives on thread `id % threads`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub(super) index: u32,
    pub(super) threads: u32,
}

impl Share {
    fn has(self, id: u32) -> bool {
        id % self.threads == self.index
    }

    fn slot_of(self, id: u32) -> usize {
        usize::try_from(id / self.threads).expect("32 bits fit in a usize")
    }

    fn id_of(self, slot: usize) -> u32 {
        let slot = u32::try_from(slot).expect("as many VUs as a level");
        slot * self.threads + self.index
    }

    /// This thread's part of so many.
    fn part_of(self, all: u32) -> u32 {
        (all + self.threads - 1 - self.index) / self.threads
    }
}

/// How VUs come and go.
enum Drive {
    /// The closed model: VUs with a number below the ramp's frontier run.
    Closed {
        ramp: Ramp,
        frontier: u32,
        staggers: bool,
    },
    /// The open model: an arrival takes a free VU or starts another one.
    Open(Open),
}

struct Open {
    /// Where its arrivals come from, with those of the other kinds of a mix.
    dealer: Rc<RefCell<Dealer>>,
    /// How many more VUs this thread may have, of all these kinds.
    room: Rc<Cell<u32>>,
    /// Places that VUs have left.
    vacant: Vec<usize>,
    /// Who takes the next arrival.
    pool: Rc<Pool>,
}

struct Running {
    state: Rc<VuState>,
    task: AbortHandle,
    /// When it is cancelled, if it is leaving.
    leave_by: Option<Instant>,
}

/// The users of one kind on one thread.
pub(super) struct Population {
    /// Its place among all.
    index: usize,
    share: Share,
    kind: Rc<Kind>,
    number: Number,
    /// How long a leaving VU may take to finish its step.
    grace: Duration,
    /// By VU number over the number of threads.
    vus: Vec<Option<Running>>,
    drive: Drive,
    level: u32,
    /// Whether the load was cut off: then nobody starts.
    halted: bool,
    /// Since when no VU is to start or to leave.
    settled: Option<Instant>,
}

/// Where the arrivals of the kinds of a mix come from, and how many more VUs they may have
/// together.
pub(super) type Line = (Rc<RefCell<Dealer>>, Rc<Cell<u32>>);

/// What a population is made of.
pub(super) struct PopulationPart {
    pub(super) index: usize,
    pub(super) share: Share,
    pub(super) kind: Rc<Kind>,
    pub(super) number: Number,
    pub(super) load: LoadModel,
    /// What the kinds of a mix share in the open model, once the first of them has made it.
    pub(super) line: Option<Line>,
    pub(super) zero: Instant,
}

impl Population {
    pub(super) fn new(part: PopulationPart) -> Self {
        Self {
            drive: Drive::new(&part),
            grace: match part.load {
                LoadModel::Closed { grace, .. } => grace,
                LoadModel::Open { .. } => LONG_GRACE,
            },
            index: part.index,
            share: part.share,
            kind: part.kind,
            number: part.number,
            vus: Vec::new(),
            level: 0,
            halted: false,
            settled: Some(part.zero),
        }
    }

    /// Whether a level is about it.
    pub(super) fn is_searched(&self) -> bool {
        self.number.is_searched()
    }

    /// Whether it is one kind of a mix.
    pub(super) fn is_of_mix(&self) -> bool {
        matches!(self.number, Number::Part(_))
    }

    /// What it shares with the other kinds of a mix in the open model.
    pub(super) fn line(&self) -> Option<Line> {
        match (&self.drive, &self.number) {
            (Drive::Open(open), Number::Part(_)) => {
                Some((Rc::clone(&open.dealer), Rc::clone(&open.room)))
            }
            _ => None,
        }
    }

    /// The number that the VU in a place has among all who share the level.
    pub(super) fn number_of(&self, id: u32) -> u32 {
        match &self.number {
            Number::Part(part) => part.mix.number(part.kind, id),
            Number::Level | Number::Fixed(_) => id,
        }
    }

    /// How many of it there are where so many share the level.
    fn part_of(&self, all: u32) -> u32 {
        match &self.number {
            Number::Part(part) => part.mix.count(part.kind, all),
            Number::Level | Number::Fixed(_) => all,
        }
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Whether no VU is to start or to leave since a time.
    pub(super) fn has_settled_by(&self, time: Instant) -> bool {
        self.settled.is_some_and(|s| s <= time)
    }

    pub(super) fn next_arrival(&self) -> Option<Instant> {
        match &self.drive {
            Drive::Closed { .. } => None,
            Drive::Open(open) => open.dealer.borrow().next(),
        }
    }

    /// Goes to a level of the search, or keeps its own number while there is any.
    pub(super) fn set_level(&mut self, searched: u32, at: Instant) {
        let level = match self.number {
            Number::Fixed(fixed) if searched > 0 => fixed.get(),
            _ => searched,
        };
        if level == self.level && !self.halted {
            return;
        }
        self.level = level;
        self.halted = false;
        self.settled = None;
        match &mut self.drive {
            Drive::Closed { ramp, .. } => *ramp = ramp.towards(level, at),
            // Setting the same rate at the same time again, for another kind of a mix, changes
            // nothing.
            Drive::Open(open) => open.dealer.borrow_mut().set_rate(level.into(), at),
        }
    }

    /// A request that is begun from now on would be one too many.
    pub(super) fn halt(&mut self, at: Instant) {
        self.set_level(0, at);
        self.halted = true;
    }

    /// Starts and dismisses VUs, and cancels those whose grace is over.
    pub(super) fn move_vus(&mut self, tasks: &mut Tasks) {
        let now = Instant::now();
        let on_the_way = match &self.drive {
            Drive::Closed { .. } => self.follow_ramp(now, tasks),
            Drive::Open(_) if self.level == 0 => self.send_home(now),
            Drive::Open(open) => open.dealer.borrow().level_at() > now,
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

    /// Starts and dismisses the VUs that the ramp has passed; returns whether it is still on its
    /// way.
    fn follow_ramp(&mut self, now: Instant, tasks: &mut Tasks) -> bool {
        let Drive::Closed { ramp, .. } = self.drive else {
            return false;
        };
        // Of a mix, the ramp is that of all kinds together.
        let (target, last) = (self.part_of(ramp.frontier(now)), self.part_of(ramp.to));
        while self.frontier() < target {
            let id = self.move_frontier(1);
            if self.share.has(id) {
                self.start(id, None, tasks);
            }
        }
        while self.frontier() > target {
            self.move_frontier(-1);
            let id = self.frontier();
            if self.share.has(id) {
                self.dismiss(id, now);
            }
        }
        self.frontier() != last || target != last
    }

    fn frontier(&self) -> u32 {
        match self.drive {
            Drive::Closed { frontier, .. } => frontier,
            Drive::Open(_) => 0,
        }
    }

    /// Moves the frontier by one; gives where it was.
    fn move_frontier(&mut self, by: i32) -> u32 {
        match &mut self.drive {
            Drive::Closed { frontier, .. } => {
                let was = *frontier;
                *frontier = was.saturating_add_signed(by);
                was
            }
            Drive::Open(_) => 0,
        }
    }

    /// Ends the open model's load; returns whether anybody is still there.
    fn send_home(&mut self, now: Instant) -> bool {
        if let Drive::Open(open) = &self.drive {
            open.pool.clear();
        }
        let mut anybody = false;
        for slot in 0..self.vus.len() {
            if self.vus[slot].is_some() {
                anybody = true;
                self.dismiss(self.share.id_of(slot), now);
            }
        }
        anybody
    }

    /// Gives every arrival that is due to a VU: a free one, else a new one, else the next that gets
    /// free.
    pub(super) fn take_arrivals(&mut self, tasks: &mut Tasks) {
        let now = Instant::now();
        let Drive::Open(open) = &mut self.drive else {
            return;
        };
        let kind = match &self.number {
            Number::Part(part) => part.kind,
            Number::Level | Number::Fixed(_) => 0,
        };
        let mut dealer = open.dealer.borrow_mut();
        while let Some(arrival) = dealer.pop(kind, now) {
            if !open.pool.give(arrival) {
                open.pool.keep(arrival);
            }
        }
        drop(dealer);
        self.start_for_waiting(tasks);
    }

    fn start_for_waiting(&mut self, tasks: &mut Tasks) {
        loop {
            let Drive::Open(open) = &mut self.drive else {
                return;
            };
            let Some(room) = open.room.get().checked_sub(1) else {
                return;
            };
            let Some(arrival) = open.pool.take_waiting() else {
                return;
            };
            open.room.set(room);
            let slot = open.vacant.pop().unwrap_or(self.vus.len());
            self.start(self.share.id_of(slot), Some(arrival), tasks);
        }
    }

    fn slot(&mut self, id: u32) -> &mut Option<Running> {
        let slot = self.share.slot_of(id);
        if self.vus.len() <= slot {
            self.vus.resize_with(slot + 1, || None);
        }
        &mut self.vus[slot]
    }

    /// Starts a VU, unless its predecessor of the same number is still leaving: then it follows
    /// when that has left.
    ///
    /// `arrival` is the first that a VU of the open model takes.
    fn start(&mut self, id: u32, arrival: Option<Instant>, tasks: &mut Tasks) {
        let is_over = self.kind.thread.over.borrow().is_some();
        if self.halted || is_over || self.slot(id).is_some() {
            return;
        }
        let state = Rc::new(VuState::default());
        let (kind, own) = (Rc::clone(&self.kind), Rc::clone(&state));
        let place = (self.index, id);
        let number = self.number_of(id);
        let task = match (&self.drive, arrival) {
            (Drive::Open(open), Some(first)) => {
                let pool = Rc::clone(&open.pool);
                tasks.spawn(place, async move {
                    if let Some(script) = &kind.script {
                        let user = ScriptUser::new(&kind, script, &own, number);
                        vu::serve(user, &own, &pool, first).await;
                    } else {
                        let user = ScenarioUser::new(&kind, &own, number);
                        vu::serve(user, &own, &pool, first).await;
                    }
                })
            }
            (Drive::Open(_), None) => return,
            (Drive::Closed { staggers, .. }, _) => {
                let staggers = *staggers;
                tasks.spawn(place, async move {
                    if let Some(script) = &kind.script {
                        let user = ScriptUser::new(&kind, script, &own, number);
                        vu::run(user, &own, staggers).await;
                    } else {
                        let user = ScenarioUser::new(&kind, &own, number);
                        vu::run(user, &own, staggers).await;
                    }
                })
            }
        };
        *self.slot(id) = Some(Running {
            state,
            task,
            leave_by: None,
        });
    }

    fn dismiss(&mut self, id: u32, now: Instant) {
        let grace = self.grace;
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

    /// A VU has left: whoever waits for its place takes it.
    pub(super) fn has_left(&mut self, id: u32, tasks: &mut Tasks) {
        *self.slot(id) = None;
        let slot = self.share.slot_of(id);
        match &mut self.drive {
            Drive::Closed { frontier, .. } if id < *frontier => self.start(id, None, tasks),
            Drive::Closed { .. } => {}
            Drive::Open(open) => {
                open.vacant.push(slot);
                open.room.set(open.room.get() + 1);
                self.start_for_waiting(tasks);
            }
        }
    }

    /// Puts into the rows of goals for how long a cycle in flight has missed them: it will be no
    /// good one however it ends.
    fn missed_in_flight(&self, state: &VuState, now: Instant, recorder: &mut Recorder) {
        let goals = self.kind.scenario.goals();
        if goals.is_empty() {
            return;
        }
        let row = |(row, age): (usize, Duration)| (LimitOf::Row(row - self.kind.first_row), age);
        let steps = state.step_age(now).into_iter().chain(state.part_age(now));
        let cycle = state.cycle_age(now).map(|age| (LimitOf::Cycle, age));
        let running: Vec<_> = steps.map(row).chain(cycle).collect();
        for (number, goal) in goals.iter().enumerate() {
            if let Some(age) = state.misses.age((number, goal), &running, now) {
                recorder.in_flight(self.kind.first_row + goal.row, age);
            }
        }
    }

    /// Puts the ages of what is in flight into the recorder; gives how many VUs there are, and
    /// arrivals that wait for one.
    pub(super) fn in_flight(&self, now: Instant, recorder: &mut Recorder) -> InFlight {
        let mut seen = InFlight::default();
        let cycle = self.kind.cycle_row();
        for vu in self.vus.iter().flatten() {
            seen.vus += u32::from(vu.state.phase() != Phase::Waiting);
            if let Some((row, age)) = vu.state.step_age(now) {
                recorder.in_flight(row, age);
            }
            if let Some((row, age)) = vu.state.part_age(now) {
                recorder.in_flight(row, age);
            }
            vu.state
                .flight_ages(now, |row, age| recorder.in_flight(row, age));
            if let Some(age) = vu.state.cycle_age(now) {
                recorder.in_flight(cycle, age);
                self.missed_in_flight(&vu.state, now, recorder);
            }
        }
        if let Drive::Open(open) = &self.drive {
            // Who waits for a VU has come: the clocks of the cycle and of its first step run.
            for arrival in open.pool.waiting() {
                let age = now.saturating_duration_since(arrival);
                recorder.in_flight(self.kind.first_step_row(), age);
                if let Some(row) = self.kind.first_part_row() {
                    recorder.in_flight(row, age);
                }
                recorder.in_flight(cycle, age);
                recorder.lag(age);
                seen.waiting += 1;
                seen.vus += 1;
            }
        }
        seen
    }
}

/// How many are there at a window's end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct InFlight {
    pub(super) vus: u32,
    /// Arrivals that wait for a VU, who are counted among them.
    pub(super) waiting: u64,
}

impl Drive {
    fn new(part: &PopulationPart) -> Self {
        match part.load {
            LoadModel::Closed {
                pace_per_s,
                staggered,
                ..
            } => Self::Closed {
                ramp: Ramp::at_rest(part.zero, pace_per_s),
                frontier: 0,
                staggers: staggered,
            },
            LoadModel::Open { arrivals, most_vus } => {
                let Share { index, threads } = part.share;
                let rng = vu_rng(part.kind.seed, ARRIVALS - index);
                let clock = || Clock::new(arrivals, (index, threads), part.zero, rng);
                let mix = match &part.number {
                    Number::Part(part) => Some(part.clone()),
                    Number::Level | Number::Fixed(_) => None,
                };
                let (dealer, room) = part.line.clone().unwrap_or_else(|| {
                    let dealer = Dealer::new(clock(), mix);
                    let most = part.share.part_of(most_vus).max(1);
                    (Rc::new(RefCell::new(dealer)), Rc::new(Cell::new(most)))
                });
                Self::Open(Open {
                    dealer,
                    room,
                    vacant: Vec::new(),
                    pool: Rc::default(),
                })
            }
        }
    }
}
