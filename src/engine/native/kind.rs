//! What users have in common: those of one thread, and those of one kind among them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::http::Connector;
use super::idle::IdleLimit;
use super::recorder::Recorder;
use super::script::{Function, ScriptThread};
use crate::engine::EngineError;
use crate::engine::trace::Trace;
use crate::scenario::Scenario;

/// What all VUs of one thread share.
pub(super) struct Thread {
    pub(super) connector: Connector,
    pub(super) recorder: RefCell<Recorder>,
    /// Why the load cannot go on, once it cannot.
    pub(super) over: Rc<RefCell<Option<EngineError>>>,
}

/// What all users of one kind have in common on one thread.
pub(super) struct Kind {
    pub(super) thread: Rc<Thread>,
    pub(super) scenario: Arc<Scenario>,
    /// The script that its users run in place of the steps of that.
    pub(super) script: Option<Rc<ScriptThread>>,
    /// What of it one who looks runs.
    pub(super) function: Function,
    /// The row of the recorder that counts its first step; its others follow.
    pub(super) first_row: usize,
    pub(super) seed: u64,
    /// Whether a cycle is a visit: each arrival of the open model is another user, who is gone
    /// after what he came for.
    pub(super) visits: bool,
    /// Next row of each sequential feeder, over all threads.
    pub(super) next_rows: Arc<[AtomicU64]>,
    /// How long each origin keeps a connection that nobody uses.
    pub(super) idle_limits: Vec<IdleLimit>,
    /// How many users it has had on this thread, by number: a new one with a number draws anew.
    pub(super) lives: Rc<RefCell<HashMap<u32, u64>>>,
    /// Whether VUs think; one who only looks does not.
    pub(super) thinks: bool,
    /// Whether anything of the answers of failed requests is told.
    pub(super) excerpts: bool,
    /// Where a cycle that is looked at is told of.
    pub(super) trace: Option<Trace>,
    /// What came on a connection that the present step of one who is looked at holds.
    pub(super) came: RefCell<CameLately>,
}

/// Events or messages that came to a step, for one who looks.
#[derive(Debug, Default)]
pub(super) struct CameLately {
    pub(super) count: u32,
    /// The last of them, fit to be shown.
    pub(super) last: String,
}

impl Kind {
    /// What a look uses in place of a thread's own: its counts go nowhere and it does not think.
    /// What it sees goes to the user's own terminal.
    pub(super) fn for_look(own: &Self, trace: Option<Trace>, function: Function) -> Self {
        let rows = own.scenario.table().rows().len();
        Self {
            thread: Rc::new(Thread {
                connector: own.thread.connector.apart(),
                recorder: RefCell::new(Recorder::new(rows)),
                over: Rc::clone(&own.thread.over),
            }),
            scenario: Arc::clone(&own.scenario),
            script: own.script.clone(),
            function,
            first_row: 0,
            seed: own.seed,
            visits: false,
            next_rows: Arc::clone(&own.next_rows),
            idle_limits: idle_limits(&own.scenario),
            lives: Rc::clone(&own.lives),
            thinks: false,
            excerpts: own.excerpts || trace.is_some(),
            trace,
            came: RefCell::default(),
        }
    }

    /// Which life this is of a number, from 0.
    pub(super) fn next_life(&self, number: u32) -> u64 {
        let mut lives = self.lives.borrow_mut();
        let next = lives.entry(number).or_default();
        let life = *next;
        *next += 1;
        life
    }

    /// The row that counts the first step of the cycle.
    pub(super) fn first_step_row(&self) -> usize {
        let first = match &self.script {
            // Which of them comes first is not known.
            Some(script) => script.all_row(),
            None => self.scenario.table().first_step(),
        };
        self.first_row + first
    }

    /// The row that counts the first part of that step, where it is a streamed answer.
    pub(super) fn first_part_row(&self) -> Option<usize> {
        let parts = self.scenario.parts(self.scenario.table().first_step())?;
        Some(self.first_row + parts.first)
    }

    /// The row that counts the whole cycle.
    pub(super) fn cycle_row(&self) -> usize {
        let whole = match &self.script {
            Some(script) => script.iteration_row(),
            None => self.scenario.table().whole(),
        };
        self.first_row + whole
    }
}

/// Nothing is known of any origin yet.
pub(super) fn idle_limits(scenario: &Scenario) -> Vec<IdleLimit> {
    let origins = scenario.origins().iter();
    origins.map(|_| IdleLimit::default()).collect()
}
