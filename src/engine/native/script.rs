//! A user of a script: what its virtual user begins is done over this engine's connections, and
//! what comes of it goes back into the script.
//!
//! JavaScript runs on the load thread. It is paid for by nobody's latency: a request's clock begins
//! right before it is written and ends with the kernel's stamp of its last byte.

mod channels;
mod desk;
mod engine;
#[cfg(test)]
pub(super) mod fake;
mod load;
mod running;
mod table;
mod tagged;
mod telling;
mod wire;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use breakpoint_script::exchange::{End, Happened, OpId, Sample, Tags, Thrown, Turn, Until};
use rand::RngExt as _;

use self::desk::Desk;
pub(super) use self::desk::Kept;
pub use self::engine::{ScriptEngine, ScriptPopulation, ScriptSpec};
pub(in crate::engine) use self::load::{inspect, inspect_for_k6, one, start};
use self::running::Running;
use self::table::LateNames;
pub use self::table::ScriptTable;
use super::kind::Kind;
use super::limit::TimeLimit;
use super::recorder::Ending;
use super::user::{LATE, draws};
use super::vu::{CycleEnd, Stop, User, VuState};
use crate::engine::EngineError;
use crate::k6::MetricRow;
use crate::measure::{Failure, FailureKind, Mix};
use crate::scenario::VuRng;

/// Different texts of what iterations threw that are kept.
const MOST_THREW: usize = 100;

/// One virtual user of a script: it is told what happened, and says what it began and what it waits
/// for.
pub trait Talks {
    /// Calls one of the script's functions; the first [`Self::turn`] begins it.
    fn call(&mut self, called: &Called<'_>);

    /// Takes the call on with what happened since.
    fn turn(&mut self, happened: Vec<(OpId, Happened)>) -> Turn;

    /// Ends the call in the middle, so that another may follow.
    fn break_off(&mut self);

    /// The tags of everything at this point of the script.
    fn tags(&self) -> Arc<Tags>;
}

/// A call of one of a script's functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Called<'a> {
    /// The exported function.
    pub function: &'a str,
    /// As what it is called.
    pub of: Function,
    /// What `setup` returned, as JSON.
    pub data: Option<&'a Arc<str>>,
}

/// Makes virtual users, each on the thread that it lives on.
pub trait MakesVus: Send + Sync {
    /// The VU of a number, from 1, that is of a kind; 0 runs `setup` and `teardown`.
    ///
    /// # Errors
    /// What the script throws while it is loaded.
    fn make(&self, number: u32, kind: &ScriptKind) -> Result<Box<dyn Talks>, String>;
}

/// A kind of users of a script.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScriptKind {
    /// The exported function that they run.
    pub function: String,
    /// The scenario whose users they are; empty where a function was asked for, and no scenario.
    pub scenario: String,
    /// Their part of all who share a level.
    pub share: u32,
}

impl ScriptKind {
    /// Users who run a function and are not of a scenario.
    pub fn of_function(function: &str, share: u32) -> Self {
        Self {
            function: function.to_owned(),
            scenario: String::new(),
            share,
        }
    }
}

/// What all users of a script who share a level have in common, on all threads.
pub struct ScriptWork {
    /// Who makes them.
    pub vus: Arc<dyn MakesVus>,
    /// The kinds of them; never empty.
    pub kinds: Vec<ScriptKind>,
    /// Of which of these a VU is.
    pub mix: Mix,
    /// How many VUs of others have lower numbers.
    pub numbers_before: u32,
    /// What is counted where.
    pub table: ScriptTable,
    /// What `setup` returned, once it has.
    pub data: OnceLock<Arc<str>>,
    /// Mean think time of an iteration.
    pub mean_think: Duration,
    /// Whether connections are closed after each iteration.
    pub closes_each_cycle: bool,
    /// Whether answers that shed count as failures, as k6's own thresholds mean it.
    pub sheds_fail: bool,
    /// What is never shown: values that the script was given.
    pub hidden: Vec<String>,
    seen: Mutex<Seen>,
}

/// What came up while a script runs.
#[derive(Debug, Default)]
struct Seen {
    late: LateNames,
    iterations: u64,
    threw: HashMap<String, u64>,
    /// Think time of iterations that were only looked at, and requests that passed or failed.
    thought: Duration,
    requests: u64,
    /// What a function returned that was not an iteration.
    returned: Option<String>,
}

impl fmt::Debug for ScriptWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not what it was given: that may be secret.
        f.debug_struct("ScriptWork")
            .field("kinds", &self.kinds)
            .finish_non_exhaustive()
    }
}

impl ScriptWork {
    /// Nothing has come up yet.
    pub fn new(
        vus: Arc<dyn MakesVus>,
        kinds: &[ScriptKind],
        table: ScriptTable,
        hidden: Vec<String>,
    ) -> Self {
        let shares: Vec<u32> = kinds.iter().map(|kind| kind.share).collect();
        Self {
            vus,
            kinds: kinds.to_vec(),
            mix: Mix::new(&shares),
            numbers_before: 0,
            table,
            data: OnceLock::new(),
            mean_think: Duration::ZERO,
            closes_each_cycle: false,
            sheds_fail: false,
            hidden,
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // What is in it is whole after every change.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What users of a script on one thread share.
pub(super) struct ScriptThread {
    pub(super) work: Arc<ScriptWork>,
    /// The VUs of those who are not there, by number: who comes again goes on with what the script
    /// kept.
    resting: RefCell<HashMap<u32, Box<dyn Talks>>>,
    kept: Kept,
}

impl ScriptThread {
    pub(super) fn new(work: &Arc<ScriptWork>) -> Self {
        Self {
            work: Arc::clone(work),
            resting: RefCell::default(),
            kept: Kept::default(),
        }
    }

    /// What was learned of addresses.
    fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The row of the iterations.
    pub(super) fn iteration_row(&self) -> usize {
        self.work.table.iteration()
    }

    /// The row of all requests.
    pub(super) fn all_row(&self) -> usize {
        self.work.table.all()
    }
}

/// As what a function is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Function {
    /// An iteration of the VU.
    #[default]
    Iteration,
    /// What is called once before the load.
    Setup,
    /// What is called once after it.
    Teardown,
}

/// One user, and what is his own.
pub(super) struct ScriptUser<'a> {
    kind: &'a Kind,
    script: &'a Rc<ScriptThread>,
    state: &'a VuState,
    /// Its number, under which its VU rests.
    place: u32,
    /// The script's own number of it, from 1.
    number: u32,
    vu: Option<Box<dyn Talks>>,
    desk: Desk<'a>,
    rng: VuRng,
    intended: Option<Instant>,
    failure: Option<Box<Failure>>,
}

impl<'a> ScriptUser<'a> {
    pub(super) fn new(
        kind: &'a Kind,
        script: &'a Rc<ScriptThread>,
        state: &'a VuState,
        id: u32,
    ) -> Self {
        let looks = !kind.thinks;
        let number = match kind.function {
            Function::Iteration => id.saturating_add(1),
            Function::Setup | Function::Teardown => 0,
        };
        Self {
            kind,
            script,
            state,
            // Who only looks is somebody else than the user of his number.
            place: if looks { u32::MAX - number } else { id },
            number,
            vu: None,
            desk: Desk::new(kind, script, state, id),
            rng: draws(kind, id),
            intended: None,
            failure: None,
        }
    }

    /// Of which kind it is.
    fn own_kind(&self) -> &'a ScriptKind {
        let work = &self.script.work;
        let own = work.mix.kind(self.number.saturating_sub(1).into());
        // The mix is of these kinds.
        &work.kinds[own]
    }

    /// The function that it runs.
    fn function(&self) -> &'a str {
        match self.kind.function {
            Function::Setup => "setup",
            Function::Teardown => "teardown",
            Function::Iteration => &self.own_kind().function,
        }
    }

    /// What the script calls it: nobody beside it has the same number.
    fn number_for_script(&self) -> u32 {
        match self.kind.function {
            Function::Setup | Function::Teardown => 0,
            Function::Iteration => (self.number).saturating_add(self.script.work.numbers_before),
        }
    }

    /// Runs one of the script's functions to its end; `None` where it does not come to that.
    async fn iterate(&mut self) -> Option<End> {
        let called = Called {
            function: self.function(),
            of: self.kind.function,
            data: self.script.work.data.get(),
        };
        let (desk, state) = (&self.desk, self.state);
        // It stays where it is, so that whoever is cut off in the middle leaves it behind.
        let vu = self.vu.as_mut()?;
        vu.call(&called);
        let mut running = Running::default();
        let mut happened = Vec::new();
        let mut has_waited = false;
        loop {
            let turn = vu.turn(std::mem::take(&mut happened));
            desk.note(&turn.samples, &turn.printed);
            for id in turn.dropped {
                running.drop_op(id);
            }
            for (id, op) in turn.begun {
                running.begin(id, Box::pin(desk.carry_out(id, op)));
            }
            let goes_on = match turn.until {
                Until::Over(end) => {
                    if !has_waited {
                        // An iteration of JavaScript alone leaves the thread to others.
                        tokio::task::yield_now().await;
                    }
                    return Some(end);
                }
                Until::Ended(all) => running.ended(&all, &mut happened).await,
                Until::Anything => {
                    let one = running.next().await;
                    happened.extend(one);
                    !happened.is_empty()
                }
            };
            if !goes_on {
                // No script can bring that about, and it would wait for ever.
                let why = "the script waits for something that it never began";
                desk.end_load(EngineError::Stopped(why.to_owned()));
                return None;
            }
            has_waited = true;
            // What ends at once, again and again, leaves the thread to others too.
            tokio::task::coop::consume_budget().await;
            if state.leaving.get() {
                return None;
            }
        }
    }

    /// Counts an iteration; says how it went.
    fn end_iteration(&mut self, end: Option<End>) -> CycleEnd {
        let clock = self.state.end_cycle();
        self.desk.channels.clear();
        if self.script.work.closes_each_cycle {
            self.desk.close();
        }
        let went = match end {
            None => return CycleEnd::Left,
            Some(End::Returned(value)) if self.kind.function != Function::Iteration => {
                self.script.work.seen().returned = value;
                return CycleEnd::Completed;
            }
            Some(End::Returned(_)) => {
                Ok(clock.map_or(Duration::ZERO, |clock| clock.age(self.desk.last())))
            }
            Some(End::Threw(thrown)) => Err(thrown),
            Some(End::Aborted(why)) => {
                self.desk.end_load(EngineError::Aborted(aborted(&why)));
                return CycleEnd::Left;
            }
        };
        let row = self.kind.first_row + self.script.work.table.iteration();
        let is_one = self.kind.function == Function::Iteration;
        self.script.work.seen().iterations += u64::from(is_one);
        let tags = match &self.vu {
            Some(vu) if self.script.work.table.wants_iterations() => Some(vu.tags()),
            _ => None,
        };
        if let Some(tags) = tags {
            let whole = went.is_ok().then(|| self.desk.lasted());
            let ending = match &went {
                Ok(took) => Ending::Completed(*took),
                Err(_) => Ending::Failed(FailureKind::Protocol),
            };
            self.desk.count_iteration(&tags, ending, whole);
        }
        match went {
            Ok(took) => {
                let recorder = &self.kind.thread.recorder;
                recorder.borrow_mut().count(row, Ending::Completed(took));
                self.of_one_who_looks()
            }
            Err(thrown) => {
                let failure = self.desk.threw(&thrown, row);
                if is_one {
                    self.note_thrown(&thrown);
                }
                let looks = !self.kind.thinks && self.kind.trace.is_none();
                if is_one && looks && self.desk.answers() {
                    // The target answers, which is what is asked; what the script throws now and
                    // then is counted in the load.
                    return CycleEnd::Completed;
                }
                self.failure = Some(failure);
                CycleEnd::Stopped(Stop::Failed(FailureKind::Protocol))
            }
        }
    }

    fn note_thrown(&self, thrown: &Thrown) {
        let mut seen = self.script.work.seen();
        let text = telling::sentence_of(thrown);
        if seen.threw.len() < MOST_THREW || seen.threw.contains_key(&text) {
            *seen.threw.entry(text).or_default() += 1;
        }
    }

    /// One who looks says whether the target answers: it does where most requests passed.
    fn of_one_who_looks(&mut self) -> CycleEnd {
        if self.kind.thinks {
            return CycleEnd::Completed;
        }
        let (thought, requests) = (self.desk.take_thought(), self.desk.requests());
        let mut seen = self.script.work.seen();
        seen.thought += thought;
        seen.requests += u64::from(requests);
        drop(seen);
        match self.desk.take_failure() {
            Some(failure) => {
                let kind = failure.kind;
                self.failure = Some(failure);
                CycleEnd::Stopped(Stop::Failed(kind))
            }
            None => CycleEnd::Completed,
        }
    }
}

/// What a value of one of the script's own metrics counts as.
enum Counted {
    One(Ending),
    /// So many passes.
    Many(u64),
}

/// The most that is added to a Counter at once.
const MOST_ADDED: f64 = 1e12;

fn ending_of(sample: &Sample, row: MetricRow) -> Counted {
    let passes = match row {
        MetricRow::Sum => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it lies between these"
            )]
            let added = sample.value.clamp(0.0, MOST_ADDED).round() as u64;
            return Counted::Many(added);
        }
        MetricRow::Time => {
            // Whether or not the script says that they are times, thresholds are in its unit.
            let time = Duration::try_from_secs_f64((sample.value / 1e3).max(0.0));
            return Counted::One(Ending::Completed(time.unwrap_or(Duration::MAX)));
        }
        MetricRow::PassIsOne => sample.value.abs() > 0.0,
        MetricRow::PassIsZero => sample.value.abs() <= 0.0,
        // No values of a metric are counted there.
        MetricRow::Requests | MetricRow::Counted | MetricRow::Part(_) | MetricRow::Iterations => {
            return Counted::Many(0);
        }
    };
    Counted::One(if passes {
        Ending::Completed(Duration::ZERO)
    } else {
        Ending::Failed(FailureKind::Check)
    })
}

fn aborted(why: &str) -> String {
    let why = if why.is_empty() {
        "no reason given"
    } else {
        why
    };
    format!("the script ended the run with test.abort(): {why}")
}

impl User for ScriptUser<'_> {
    async fn start(&mut self, _limit: &mut TimeLimit) -> CycleEnd {
        if self.vu.is_some() {
            return CycleEnd::Completed;
        }
        let resting = self.script.resting.borrow_mut().remove(&self.place);
        let made = if let Some(vu) = resting {
            Ok(vu)
        } else {
            let number = self.number_for_script();
            self.script.work.vus.make(number, self.own_kind())
        };
        match made {
            Ok(vu) => {
                self.vu = Some(vu);
                CycleEnd::Completed
            }
            Err(why) => {
                self.desk.end_load(EngineError::Unfit(why));
                CycleEnd::Left
            }
        }
    }

    fn must_start_again(&mut self) -> bool {
        false
    }

    fn could_not_start(&mut self, _stop: &Stop) {}

    async fn cycle(&mut self, _limit: &mut TimeLimit) -> CycleEnd {
        let now = Instant::now();
        self.desk.begin(now);
        self.state
            .begin_cycle(self.intended.take().unwrap_or(now), 0);
        let end = self.iterate().await;
        self.end_iteration(end)
    }

    fn due(&mut self, at: Instant) {
        let late = at.elapsed();
        self.kind.thread.recorder.borrow_mut().lag(late);
        self.intended = (late > LATE).then_some(at);
    }

    fn mean_think(&self) -> Duration {
        self.script.work.mean_think
    }

    fn draw(&mut self, range: Range<f64>) -> f64 {
        self.rng.random_range(range)
    }

    fn take_failure(&mut self) -> Option<Box<Failure>> {
        self.failure.take()
    }
}

impl Drop for ScriptUser<'_> {
    /// Whoever leaves may come again, and begins an iteration anew then.
    fn drop(&mut self) {
        if let Some(mut vu) = self.vu.take() {
            vu.break_off();
            self.script.resting.borrow_mut().insert(self.place, vu);
        }
    }
}
