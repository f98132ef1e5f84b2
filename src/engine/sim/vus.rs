//! The virtual users: who runs, who is about to start, and who asks next. In the open model each
//! request is another user, who starts, asks and leaves.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use rand::RngExt as _;
use rand::rngs::SmallRng;

use super::kinds::UserKinds;
use super::station::{key, names, time};
use crate::measure::{Arrivals, Level};

/// How long a VU stays away after a failure or a refusal, seconds.
const BACK_OFF_S: f64 = 1.0;

#[derive(Debug, Clone, Copy, Default)]
struct Vu {
    running: bool,
    /// Waits for its turn to start at the pace.
    starting: bool,
    /// Has a request in the system.
    waits: bool,
    /// How often it left; the think time of a VU that left and came again must not end twice.
    left: u32,
    /// The process to which it is connected.
    process: u32,
    /// Its kind of users.
    kind: usize,
}

/// Where requests come from.
#[derive(Debug)]
pub(super) enum Users {
    /// VUs that think between two requests.
    Closed,
    /// Arrivals at a rate, the places of VUs that have left, and how many have arrived.
    Open(Arrivals, Vec<u32>, u64),
}

/// All VUs.
#[derive(Debug)]
pub(super) struct Vus {
    users: Users,
    kinds: UserKinds,
    pace_per_s: f64,
    /// Level asked for; VUs with an index at or above it leave.
    level: u32,
    all: Vec<Vu>,
    running: u32,
    starting: VecDeque<u32>,
    /// When the first of those that are starting does.
    next_start: f64,
    /// Who asks next.
    asks: BinaryHeap<Reverse<u128>>,
    /// The process that VUs connect to when they ask; counted up when it starts anew.
    process: u32,
    connected: u32,
}

impl Vus {
    pub(super) fn new(users: Users, kinds: UserKinds, pace_per_s: f64) -> Self {
        Self {
            users,
            kinds,
            pace_per_s,
            level: 0,
            all: Vec::new(),
            running: 0,
            starting: VecDeque::new(),
            next_start: f64::INFINITY,
            asks: BinaryHeap::new(),
            process: 1,
            connected: 0,
        }
    }

    pub(super) fn level(&self) -> Level {
        Level(self.level)
    }

    pub(super) fn running(&self) -> u32 {
        self.running
    }

    /// The kinds of users.
    pub(super) fn kinds(&self) -> &UserKinds {
        &self.kinds
    }

    /// The kind of a VU that runs.
    pub(super) fn kind(&self, vu: u32) -> usize {
        self.all[vu as usize].kind
    }

    /// VUs that asked since the process started and have not left.
    pub(super) fn connected(&self) -> u32 {
        self.connected
    }

    /// Whether nobody is still to start or to leave.
    pub(super) fn at_level(&self) -> bool {
        match self.users {
            Users::Closed => self.starting.is_empty() && self.running == self.level,
            Users::Open(..) => self.level > 0 || self.running == 0,
        }
    }

    /// VUs start at the pace; those that think leave at once, those that wait when they are served.
    pub(super) fn set_level(&mut self, now: f64, level: u32, rng: &mut SmallRng) {
        self.level = level;
        if let Users::Open(arrivals, ..) = self.users {
            self.next_start = now + gap(arrivals, level, rng);
            return;
        }
        let wanted = level as usize;
        if self.all.len() < wanted {
            self.all.resize(wanted, Vu::default());
        }
        self.starting.retain(|vu| *vu < level);
        for vu in level..u32::try_from(self.all.len()).unwrap_or(u32::MAX) {
            let state = &self.all[vu as usize];
            if state.running && !state.waits {
                self.leave(vu);
            }
            self.all[vu as usize].starting = false;
        }
        let nobody = self.starting.is_empty();
        for vu in 0..level {
            let state = &mut self.all[vu as usize];
            if !state.running && !state.starting {
                state.starting = true;
                self.starting.push_back(vu);
            }
        }
        // In order of their numbers, so that a lower level takes those at the back.
        self.starting.make_contiguous().sort_unstable();
        if self.starting.is_empty() {
            self.next_start = f64::INFINITY;
        } else if nobody {
            self.next_start = now + 1.0 / self.pace_per_s;
        }
    }

    pub(super) fn next_start(&self) -> f64 {
        self.next_start
    }

    /// Starts the next VU, which thinks first; in the open model it asks at once.
    pub(super) fn start(&mut self, now: f64, rng: &mut SmallRng) {
        if let Users::Open(arrivals, free, arrived) = &mut self.users {
            self.next_start = now + gap(*arrivals, self.level, rng);
            let vu = free.pop().unwrap_or_else(|| {
                self.all.push(Vu::default());
                u32::try_from(self.all.len() - 1).expect("memory ends first")
            });
            let state = &mut self.all[vu as usize];
            state.running = true;
            state.kind = self.kinds.of_number(*arrived);
            *arrived += 1;
            self.running += 1;
            self.ask_at(now, vu);
            return;
        }
        if let Some(vu) = self.starting.pop_front() {
            let state = &mut self.all[vu as usize];
            state.starting = false;
            state.running = true;
            state.kind = self.kinds.of_number(vu.into());
            let think = self.kinds.think(state.kind);
            self.running += 1;
            let pause = think.map_or(0.0, |law| law.first(rng));
            self.ask_at(now + pause, vu);
        }
        self.next_start = if self.starting.is_empty() {
            f64::INFINITY
        } else {
            now + 1.0 / self.pace_per_s
        };
    }

    fn ask_at(&mut self, at: f64, vu: u32) {
        let left = self.all[vu as usize].left;
        self.asks.push(Reverse(key(at, vu, left)));
    }

    /// When somebody asks next.
    pub(super) fn next_ask(&self) -> f64 {
        self.asks
            .peek()
            .map_or(f64::INFINITY, |Reverse(ask)| time(*ask))
    }

    /// Who asks next, if that VU is still there.
    pub(super) fn pop_ask(&mut self) -> Option<u32> {
        let Reverse(ask) = self.asks.pop()?;
        let (vu, left) = names(ask);
        (self.all[vu as usize].left == left).then_some(vu)
    }

    /// Whether the VU has a connection to the process.
    pub(super) fn is_connected(&self, vu: u32) -> bool {
        self.all[vu as usize].process == self.process
    }

    /// Notes that the VU has reached the process.
    pub(super) fn connect(&mut self, vu: u32) {
        let state = &mut self.all[vu as usize];
        if state.process != self.process {
            state.process = self.process;
            self.connected += 1;
        }
    }

    /// Notes that the VU's request is in the system.
    pub(super) fn wait(&mut self, vu: u32) {
        self.all[vu as usize].waits = true;
    }

    /// The VU was served.
    pub(super) fn served(&mut self, now: f64, vu: u32, rng: &mut SmallRng) {
        let think = self.kinds.think(self.kind(vu));
        let pause = think.map_or(0.0, |law| law.sample(rng));
        self.go_on(now + pause, vu);
    }

    /// The VU's request failed or was refused.
    pub(super) fn back_off(&mut self, now: f64, vu: u32) {
        self.go_on(now + BACK_OFF_S, vu);
    }

    fn go_on(&mut self, at: f64, vu: u32) {
        self.all[vu as usize].waits = false;
        if let Users::Open(_, free, _) = &mut self.users {
            free.push(vu);
            self.leave(vu);
        } else if vu >= self.level {
            self.leave(vu);
        } else {
            self.ask_at(at, vu);
        }
    }

    fn leave(&mut self, vu: u32) {
        let process = self.process;
        let state = &mut self.all[vu as usize];
        state.running = false;
        state.left = state.left.wrapping_add(1);
        if std::mem::take(&mut state.process) == process {
            self.connected -= 1;
        }
        self.running -= 1;
    }

    /// The process starts anew, without connections.
    pub(super) fn disconnect_all(&mut self) {
        self.process += 1;
        self.connected = 0;
    }
}

/// Seconds to the next arrival.
fn gap(arrivals: Arrivals, rate_per_s: u32, rng: &mut SmallRng) -> f64 {
    if rate_per_s == 0 {
        return f64::INFINITY;
    }
    let shape = match arrivals {
        Arrivals::Poisson => -f64::ln(1.0 - rng.random::<f64>()),
        Arrivals::Constant => 1.0,
    };
    shape / f64::from(rate_per_s)
}
