//! A load engine in virtual time: an event simulation of a closed queueing network with a known breakpoint.
//!
//! N VUs think for an exponential time and then wait for one of `servers` FIFO servers with exponential service: the
//! M/M/c//N model, whose exact answer is known in closed form. An optional cliff fails every request while more
//! than so many VUs run, as a killed process does. An hour of searching takes well under a second, so that the search can be tried
//! thousands of times.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{Canary, Engine, EngineError};
use crate::measure::{FailureKind, GeneratorWindow, Histogram, Level, StepWindow, Window};

/// A simulated system.
#[derive(Debug, Clone, PartialEq)]
pub struct SimSpec {
    /// Number of servers.
    pub servers: usize,
    /// Mean service time, seconds.
    pub service_s: f64,
    /// Mean think time, seconds.
    pub think_s: f64,
    /// While more VUs than this run, every request fails.
    pub cliff: Option<u32>,
    /// VUs started or stopped per second.
    pub pace_per_s: f64,
    /// Seed of every draw.
    pub seed: u64,
}

/// The simulation.
#[derive(Debug)]
pub struct SimEngine {
    spec: SimSpec,
    rng: SmallRng,
    now: f64,
    /// (time, sequence number, event); the sequence number keeps equal times in order.
    events: BinaryHeap<Reverse<(Time, u64, Happening)>>,
    sequence: u64,
    /// Level asked for; VUs with an index at or above it leave.
    level: Level,
    /// Per VU: whether it takes part.
    running: Vec<bool>,
    /// Per VU: how often it started; the think time of a VU that left and came again must not end twice.
    incarnation: Vec<u32>,
    /// How many take part.
    active: u32,
    /// VUs asked to start that wait for their turn at the pace.
    next_start: f64,
    queue: VecDeque<(usize, f64)>,
    /// Per VU in the system: when it asked.
    asked: Vec<Option<f64>>,
    busy: usize,
    latencies: Vec<Duration>,
    failures: u64,
}

/// A finite time, ordered.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Time(f64);

impl Eq for Time {}
impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Time {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// A VU of this incarnation ends its think time and asks.
    Ask(usize, u32),
    /// A server finishes this VU's request.
    Served(usize),
}

impl SimEngine {
    /// An idle system.
    pub fn new(spec: SimSpec) -> Self {
        Self {
            rng: SmallRng::seed_from_u64(spec.seed),
            spec,
            now: 0.0,
            events: BinaryHeap::new(),
            sequence: 0,
            level: Level::ZERO,
            running: Vec::new(),
            incarnation: Vec::new(),
            active: 0,
            next_start: 0.0,
            queue: VecDeque::new(),
            asked: Vec::new(),
            busy: 0,
            latencies: Vec::new(),
            failures: 0,
        }
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        let u: f64 = self.rng.random();
        -mean * (1.0 - u).ln()
    }

    fn schedule(&mut self, at: f64, what: Happening) {
        self.sequence += 1;
        self.events.push(Reverse((Time(at), self.sequence, what)));
    }

    fn think(&mut self, vu: usize) {
        let pause = self.exponential(self.spec.think_s);
        self.schedule(self.now + pause, Happening::Ask(vu, self.incarnation[vu]));
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Ask(vu, incarnation) if incarnation == self.incarnation[vu] => self.ask(vu),
            Happening::Ask(..) => {}
            Happening::Served(vu) => self.served(vu),
        }
    }

    fn ask(&mut self, vu: usize) {
        if self.spec.cliff.is_some_and(|cliff| self.active > cliff) {
            self.failures += 1;
            // The back-off of a failed VU.
            self.schedule(self.now + 1.0, Happening::Ask(vu, self.incarnation[vu]));
            return;
        }
        self.asked[vu] = Some(self.now);
        if self.busy < self.spec.servers {
            self.serve(vu);
        } else {
            self.queue.push_back((vu, self.now));
        }
    }

    fn serve(&mut self, vu: usize) {
        self.busy += 1;
        let service = self.exponential(self.spec.service_s);
        self.schedule(self.now + service, Happening::Served(vu));
    }

    fn served(&mut self, vu: usize) {
        self.busy -= 1;
        if let Some(asked) = self.asked[vu].take() {
            self.latencies
                .push(Duration::from_secs_f64(self.now - asked));
        }
        if let Some((next, _)) = self.queue.pop_front() {
            self.serve(next);
        }
        if vu >= self.level.vus() as usize {
            self.leave(vu);
        } else {
            self.think(vu);
        }
    }

    fn leave(&mut self, vu: usize) {
        self.running[vu] = false;
        self.incarnation[vu] += 1;
        self.active -= 1;
    }

    fn cut(&mut self, start: f64, at_level: bool) -> Window {
        let latency = Histogram::of(self.latencies.drain(..));
        let in_flight = Histogram::of(
            self.asked
                .iter()
                .flatten()
                .map(|asked| Duration::from_secs_f64(self.now - asked)),
        );
        let mut step = StepWindow {
            latency,
            in_flight,
            ..StepWindow::default()
        };
        step.failed
            .add_n(FailureKind::Eof, std::mem::take(&mut self.failures));
        Window {
            start: Duration::from_secs_f64(start),
            span: Duration::from_secs_f64(self.now - start),
            level: self.level,
            vus: self.active,
            at_level,
            // One step, and the cycle, which here is the same.
            steps: vec![step.clone(), step],
            generator: GeneratorWindow::default(),
        }
    }
}

impl Engine for SimEngine {
    async fn set_level(&mut self, level: Level) -> Result<(), EngineError> {
        self.level = level;
        let wanted = level.vus() as usize;
        if self.running.len() < wanted {
            self.running.resize(wanted, false);
            self.asked.resize(wanted, None);
            self.incarnation.resize(wanted, 0);
        }
        // Thinking VUs leave at once, waiting ones when they are served.
        for vu in wanted..self.running.len() {
            if self.running[vu] && self.asked[vu].is_none() {
                self.leave(vu);
            }
        }
        self.next_start = self.next_start.max(self.now);
        for vu in 0..wanted {
            if !self.running[vu] {
                self.running[vu] = true;
                self.active += 1;
                self.next_start += 1.0 / self.spec.pace_per_s;
                let pause = self.exponential(self.spec.think_s);
                let at = self.next_start + pause;
                self.schedule(at, Happening::Ask(vu, self.incarnation[vu]));
            }
        }
        Ok(())
    }

    async fn next_window(&mut self) -> Result<Window, EngineError> {
        let start = self.now;
        let end = start + 1.0;
        let at_level = self.next_start <= start && self.active == self.level.vus();
        while let Some(Reverse((Time(at), _, what))) = self.events.peek().copied() {
            if at > end {
                break;
            }
            self.events.pop();
            self.now = at;
            self.happen(what);
        }
        self.now = end;
        Ok(self.cut(start, at_level))
    }

    async fn canary(&mut self) -> Result<Canary, EngineError> {
        Ok(Canary::Passed(Duration::from_secs_f64(self.spec.service_s)))
    }
}
