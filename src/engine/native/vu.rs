//! The life of a virtual user: it starts, goes through one cycle after the other until it is asked
//! to leave, and backs off after those that fail. What it does in a cycle is its [`User`]'s.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::arrivals::{Bell, Pool};
use super::back_off::back_off;
use super::goals::Misses;
use super::limit::TimeLimit;
use crate::engine::Canary;
use crate::measure::{Failure, FailureKind};

/// Longest stagger of a VU's first cycle.
const LONGEST_STAGGER: Duration = Duration::from_secs(30);

/// Whoever goes through cycles.
pub(super) trait User {
    /// What is done once, before the first cycle.
    async fn start(&mut self, limit: &mut TimeLimit) -> CycleEnd;

    /// Whether what the start gave it was lost with the last cycle, and it starts anew before the
    /// next.
    fn must_start_again(&mut self) -> bool;

    /// Counts the cycle of an arrival whose user could not start.
    fn could_not_start(&mut self, stop: &Stop);

    /// One cycle, which is counted where it is not broken off; what it opened for itself is closed
    /// after it.
    async fn cycle(&mut self, limit: &mut TimeLimit) -> CycleEnd;

    /// The next cycle was meant to begin at a time that has just come.
    fn due(&mut self, at: Instant);

    /// How long a cycle's think times are on average.
    fn mean_think(&self) -> Duration;

    /// A random number of its own.
    fn draw(&mut self, range: Range<f64>) -> f64;

    /// How the last cycle failed, where it was one of somebody who only looks.
    fn take_failure(&mut self) -> Option<Box<Failure>>;
}

/// Why a step did not complete.
pub(super) enum Stop {
    Failed(FailureKind),
    /// Refused by design; come back after this long.
    Shed(Duration),
    /// What the user was given when it started has ended: it starts anew, and goes through the
    /// cycle once more.
    Again,
}

impl From<FailureKind> for Stop {
    fn from(kind: FailureKind) -> Self {
        Self::Failed(kind)
    }
}

/// How a cycle ended.
pub(super) enum CycleEnd {
    Completed,
    /// In the middle, because its VU was asked to leave.
    Left,
    Stopped(Stop),
}

/// What a VU is doing, as its thread sees it when it cuts a window or asks the VU to leave.
#[derive(Default)]
pub(super) struct VuState {
    /// Finish the step and return.
    pub(super) leaving: Cell<bool>,
    /// It has not come to its first cycle, and is not counted as being there.
    starting: Cell<bool>,
    phase: Cell<Phase>,
    step: Cell<Option<(usize, Instant)>>,
    /// The part of a streamed answer in flight.
    part: Cell<Option<(usize, Instant)>>,
    /// Requests in flight of one who may send several at once.
    flights: RefCell<Vec<Flying>>,
    /// The goals that its cycle can no longer meet.
    pub(super) misses: Misses,
    cycle: Cell<Option<CycleClock>>,
}

/// A request in flight: its rows, and since when.
type Flying = (u64, Rows, Instant);

/// The rows of a request: its own, that of all, and those of its tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) own: Option<usize>,
    pub(super) all: usize,
    pub(super) tagged: Vec<usize>,
}

impl Rows {
    pub(super) fn each(&self) -> impl Iterator<Item = usize> + '_ {
        let tagged = self.tagged.iter().copied();
        self.own.into_iter().chain([self.all]).chain(tagged)
    }
}

/// Keeps a request in flight until it is dropped.
pub(super) struct Flight<'a> {
    state: &'a VuState,
    number: u64,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut all = self.state.flights.borrow_mut();
        all.retain(|(number, ..)| *number != self.number);
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    /// Waiting to begin its first cycle; in the open model, for its next arrival.
    #[default]
    Waiting,
    /// Thinking, backing off or obeying a `Retry-After`: may leave at once.
    Pausing,
    /// Within a step.
    Working,
}

/// The clock of a cycle, which stands still while the VU thinks.
#[derive(Debug, Clone, Copy)]
pub(super) struct CycleClock {
    start: Instant,
    thought: Duration,
    thinking_since: Option<Instant>,
}

impl CycleClock {
    fn from(start: Instant) -> Self {
        Self {
            start,
            thought: Duration::ZERO,
            thinking_since: None,
        }
    }

    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.start)
            .saturating_sub(self.thought)
            .saturating_sub(
                self.thinking_since
                    .map_or(Duration::ZERO, |since| now.saturating_duration_since(since)),
            )
    }
}

impl VuState {
    pub(super) fn phase(&self) -> Phase {
        if self.starting.get() {
            return Phase::Waiting;
        }
        self.phase.get()
    }

    /// The row of the step in flight and its age. A thinking VU is in flight for its cycle, not for
    /// a step.
    pub(super) fn step_age(&self, now: Instant) -> Option<(usize, Duration)> {
        let (row, start) = self.step.get()?;
        Some((row, now.saturating_duration_since(start)))
    }

    /// The row of the part of a streamed answer in flight, and its age.
    pub(super) fn part_age(&self, now: Instant) -> Option<(usize, Duration)> {
        let (row, start) = self.part.get()?;
        Some((row, now.saturating_duration_since(start)))
    }

    /// A request of these rows is in flight from now on, beside others.
    pub(super) fn takes_off(&self, rows: Rows, start: Instant) -> Flight<'_> {
        let mut all = self.flights.borrow_mut();
        let number = all.last().map_or(0, |(number, ..)| number + 1);
        all.push((number, rows, start));
        Flight {
            state: self,
            number,
        }
    }

    /// Hands on row and age of every request in flight.
    pub(super) fn flight_ages(&self, now: Instant, mut take: impl FnMut(usize, Duration)) {
        for (_, rows, start) in &*self.flights.borrow() {
            let age = now.saturating_duration_since(*start);
            rows.each().for_each(|row| take(row, age));
        }
    }

    /// Age of the cycle in flight, think time left out. A VU that backs off is not in a cycle.
    pub(super) fn cycle_age(&self, now: Instant) -> Option<Duration> {
        self.cycle.get().map(|c| c.age(now))
    }

    /// A step of this row began, or none is in flight any more.
    pub(super) fn in_step(&self, step: Option<(usize, Instant)>) {
        self.step.set(step);
    }

    /// A part of a streamed answer began, or none is in flight any more; returns the one before.
    pub(super) fn in_part(&self, part: Option<(usize, Instant)>) -> Option<(usize, Instant)> {
        self.part.replace(part)
    }

    /// A cycle begins, with so many goals.
    pub(super) fn begin_cycle(&self, start: Instant, goals: usize) {
        self.misses.begin(goals);
        self.cycle.set(Some(CycleClock::from(start)));
    }

    /// The cycle is over; gives its clock.
    pub(super) fn end_cycle(&self) -> Option<CycleClock> {
        self.cycle.take()
    }

    /// The VU thinks: the clock of its cycle stands still.
    pub(super) fn begin_to_think(&self, since: Instant) {
        self.set_clock(|c| c.thinking_since = Some(since));
        self.phase.set(Phase::Pausing);
    }

    /// It has thought since a time until another, and goes on.
    pub(super) fn has_thought(&self, since: Instant, until: Instant) {
        self.set_clock(|c| {
            c.thinking_since = None;
            c.thought += until.saturating_duration_since(since);
        });
        self.phase.set(Phase::Working);
    }

    fn set_clock(&self, change: impl FnOnce(&mut CycleClock)) {
        let mut clock = self.cycle.get();
        if let Some(clock) = &mut clock {
            change(clock);
        }
        self.cycle.set(clock);
    }
}

/// Runs one cycle outside any measurement.
pub(super) async fn look(mut user: impl User) -> Canary {
    let mut limit = TimeLimit::new();
    let started = user.start(&mut limit).await;
    let began = Instant::now();
    let end = match started {
        CycleEnd::Completed => user.cycle(&mut limit).await,
        stopped => stopped,
    };
    match end {
        CycleEnd::Completed | CycleEnd::Left => Canary::Passed(began.elapsed()),
        CycleEnd::Stopped(Stop::Shed(_)) => Canary::Shed,
        CycleEnd::Stopped(Stop::Again) => Canary::failed(FailureKind::Status),
        CycleEnd::Stopped(Stop::Failed(kind)) => match user.take_failure() {
            Some(failure) => Canary::Failed(failure),
            None => Canary::failed(kind),
        },
    }
}

/// Runs a VU of the closed model until it is asked to leave. Whoever staggers begins at a random
/// moment within its mean think time: without it VUs with a constant one would march in step.
pub(super) async fn run(mut user: impl User, state: &VuState, staggers: bool) {
    if staggers {
        let wait = user.mean_think().min(LONGEST_STAGGER);
        let wait = wait.mul_f64(user.draw(0.0..1.0));
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
    let mut limit = TimeLimit::new();
    let mut failures_in_a_row = 0;
    let mut has_started = false;
    state.starting.set(true);
    while !state.leaving.get() {
        state.phase.set(Phase::Working);
        let end = if has_started {
            user.cycle(&mut limit).await
        } else {
            user.start(&mut limit).await
        };
        let pause = match end {
            CycleEnd::Left => return,
            CycleEnd::Completed => {
                failures_in_a_row = 0;
                has_started = true;
                state.starting.set(false);
                continue;
            }
            CycleEnd::Stopped(Stop::Again) => {
                has_started = false;
                continue;
            }
            CycleEnd::Stopped(Stop::Shed(after)) => {
                failures_in_a_row = 0;
                after.mul_f64(user.draw(1.0..1.5))
            }
            CycleEnd::Stopped(Stop::Failed(_)) => {
                has_started &= !user.must_start_again();
                failures_in_a_row += 1;
                back_off(failures_in_a_row).mul_f64(user.draw(0.5..1.5))
            }
        };
        if !state.leaving.get() {
            state.phase.set(Phase::Pausing);
            tokio::time::sleep(pause).await;
        }
    }
}

/// Runs a VU of the open model: a cycle for every arrival that it takes, from `first` on.
///
/// Each arrival is another user, so nobody backs off: who was refused does not come again, and the
/// next does not know.
pub(super) async fn serve(mut user: impl User, state: &VuState, pool: &Pool, first: Instant) {
    let bell = Rc::new(Bell::default());
    let mut limit = TimeLimit::new();
    let mut arrival = first;
    let mut has_started = false;
    let mut again = false;
    loop {
        state.phase.set(Phase::Working);
        if !has_started {
            match user.start(&mut limit).await {
                CycleEnd::Completed => has_started = true,
                CycleEnd::Left => return,
                CycleEnd::Stopped(stop) => user.could_not_start(&stop),
            }
            // What starting took belongs to no cycle; starting anew in the middle of one does.
            if !again {
                arrival = arrival.max(Instant::now());
            }
        }
        again = false;
        if has_started && !state.leaving.get() {
            user.due(arrival);
            match user.cycle(&mut limit).await {
                CycleEnd::Left => return,
                CycleEnd::Stopped(Stop::Again) => (has_started, again) = (false, true),
                CycleEnd::Completed | CycleEnd::Stopped(_) => {
                    has_started = !user.must_start_again();
                }
            }
        }
        if state.leaving.get() {
            return;
        }
        if !again {
            state.phase.set(Phase::Waiting);
            arrival = pool.next(&bell).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_a_cycle_stands_still_while_the_vu_thinks() {
        let start = Instant::now();
        let s = Duration::from_secs;
        let mut clock = CycleClock {
            start,
            thought: s(2),
            thinking_since: None,
        };
        assert_eq!(clock.age(start + s(5)), s(3));
        clock.thinking_since = Some(start + s(5));
        assert_eq!(clock.age(start + s(60)), s(3));
    }
}
