//! The engine's books against the server's log.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use anyhow::Context as _;
use breakpoint::measure::{FailureCounts, FailureKind, StepTable, StepWindow, Window};
use serde::{Deserialize, Serialize};

/// What the server says came to it and what it did with it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Log {
    pub(crate) opens: Fates,
    pub(crate) questions: Fates,
    /// Answers that were written to a stream.
    pub(crate) answers: u64,
    /// Questions that were accepted and are never answered.
    pub(crate) unanswered: u64,
}

/// Requests of one kind, by what became of them. What is not in the others has no answer yet.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Fates {
    pub(crate) received: u64,
    pub(crate) well: u64,
    pub(crate) failed: u64,
    pub(crate) shed: u64,
    pub(crate) dropped: u64,
}

impl Fates {
    fn pending(&self) -> u64 {
        self.received - self.well - self.failed - self.shed - self.dropped
    }
}

/// One step over all windows so far.
#[derive(Debug, Clone, Copy, Default)]
struct Account {
    completed: u64,
    failed: FailureCounts,
    shed: u64,
    in_flight: u64,
}

impl Account {
    fn add(&mut self, step: &StepWindow) {
        self.completed += step.completed();
        self.failed.merge(&step.failed);
        self.shed += step.shed;
        self.in_flight = step.in_flight.count();
    }

    fn all_failed(&self) -> u64 {
        self.failed.of_target() + self.failed.of_generator()
    }

    /// What was begun.
    fn all(&self) -> u64 {
        self.completed + self.all_failed() + self.shed + self.in_flight
    }

    fn broken_off(&self) -> u64 {
        self.failed.get(FailureKind::Eof) + self.failed.get(FailureKind::Reset)
    }
}

/// What the engine said, added up.
#[derive(Debug)]
pub(crate) struct Ledger {
    sent: u64,
    opens: Account,
    questions: Account,
    answers: Account,
    places: [usize; 3],
}

/// How many VUs are in the middle of a step at a window's end.
pub(crate) fn in_flight(window: &Window) -> u64 {
    let steps = window.steps.iter().take(window.steps.len() - 1);
    steps.map(|s| s.in_flight.count()).sum()
}

/// How many steps ended in a window, well or not.
pub(crate) fn ended(window: &Window) -> u64 {
    let of =
        |s: &StepWindow| s.completed() + s.failed.of_target() + s.failed.of_generator() + s.shed;
    window.steps.iter().map(of).sum()
}

impl Ledger {
    pub(crate) fn new(names: &StepTable) -> anyhow::Result<Self> {
        let place = |name| {
            names
                .index(Some(name))
                .with_context(|| format!("no step `{name}`"))
        };
        Ok(Self {
            sent: 0,
            opens: Account::default(),
            questions: Account::default(),
            answers: Account::default(),
            places: [place("open")?, place("ask")?, place("answer")?],
        })
    }

    pub(crate) fn add(&mut self, window: &Window) {
        self.sent += window.generator.health.sends;
        let [open, ask, answer] = self.places;
        self.opens.add(window.step(open));
        self.questions.add(window.step(ask));
        self.answers.add(window.step(answer));
    }

    /// Writes both sides of each equation and whether all hold.
    pub(crate) fn compare(
        &self,
        log: &Log,
        at: Duration,
        out: &mut impl Write,
    ) -> anyhow::Result<bool> {
        let (o, q, a) = (&self.opens, &self.questions, &self.answers);
        let rows = [
            (
                "requests sent = received",
                self.sent,
                log.opens.received + log.questions.received,
            ),
            ("streams asked for", o.all(), log.opens.received),
            ("  opened", o.completed, log.opens.well),
            (
                "  failed: status",
                o.failed.get(FailureKind::Status),
                log.opens.failed,
            ),
            ("  shed", o.shed, log.opens.shed),
            ("  in flight", o.in_flight, log.opens.pending()),
            ("questions asked", q.all(), log.questions.received),
            ("  accepted", q.completed, log.questions.well),
            (
                "  failed: status",
                q.failed.get(FailureKind::Status),
                log.questions.failed,
            ),
            (
                "  failed: connection dropped",
                q.broken_off(),
                log.questions.dropped,
            ),
            ("  shed", q.shed, log.questions.shed),
            ("  in flight", q.in_flight, log.questions.pending()),
            ("answers waited for", a.all(), log.questions.well),
            ("  received", a.completed, log.answers),
            (
                "  failed: time-out, or in flight",
                a.all_failed() + a.in_flight,
                log.questions.well - log.answers,
            ),
            (
                "failures of any other kind",
                o.all_failed() + q.all_failed() + a.all_failed(),
                log.opens.failed
                    + log.questions.failed
                    + log.questions.dropped
                    + a.failed.get(FailureKind::Timeout),
            ),
        ];
        let mut agree = true;
        writeln!(
            out,
            "after {} s{:>38} {:>10}",
            at.as_secs(),
            "engine",
            "server"
        )?;
        for (what, ours, theirs) in rows {
            let sign = if ours == theirs { "" } else { "  DIFFERS" };
            agree &= ours == theirs;
            writeln!(out, "  {what:<34} {ours:>10} {theirs:>10}{sign}")?;
        }
        Ok(agree)
    }

    pub(crate) fn total(&self) -> impl fmt::Display {
        let sum = |of: fn(&Account) -> u64| of(&self.opens) + of(&self.questions);
        format!(
            "{} requests sent = {} completed + {} failed + {} shed + {} in flight; {} answers",
            self.sent,
            sum(|a| a.completed),
            sum(Account::all_failed),
            sum(|a| a.shed),
            sum(|a| a.in_flight),
            self.answers.completed
        )
    }
}
