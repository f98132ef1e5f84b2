//! One run of `find`.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::begun;
use super::command;
use super::load_run::{self, LoadRun};
use super::look;
use super::observers::Observers;
use super::prepare::Ready;
use super::session::{self, LiveEnvironment, NotUp, Session};
use super::signals::Signals;
use super::{CommandError, Exit};
use crate::event::Event;
use crate::journal::{self, Head, JOURNAL_VERSION};
use crate::plan::Plan;
use crate::preflight;
use crate::record::{Answer, RunRecord, SCHEMA_VERSION};
use crate::run::{self, ResumeState, RunSpec};
use crate::store::Store;
use crate::target::Target;

/// One run after the other, until the user stops one.
pub(super) async fn all(
    ready: Vec<Ready>,
    signals: &Signals,
    observers: &mut Observers<'_>,
) -> Result<Vec<Exit>, CommandError> {
    let mut exits = Vec::new();
    for ready in ready {
        let (record, _) = search(ready, signals, observers).await?;
        exits.push(Exit::from(&record));
        let halt = signals.interrupt.why();
        if halt.is_some_and(|halt| halt.ending() == record.answer.ending) {
            break;
        }
    }
    Ok(exits)
}

/// The run's record, and the folder that it was written to.
pub(super) async fn search(
    ready: Ready,
    signals: &Signals,
    observers: &mut Observers<'_>,
) -> Result<(RunRecord, PathBuf), CommandError> {
    Box::pin(search_as(ready, None, &mut |_| (), signals, observers)).await
}

/// The same as another command line than what was typed, by which it can be resumed; the folder is
/// told before anything is sent.
pub(super) async fn search_as(
    ready: Ready,
    command: Option<Vec<String>>,
    begun_in: &mut (dyn FnMut(&Path) + Send),
    signals: &Signals,
    observers: &mut Observers<'_>,
) -> Result<(RunRecord, PathBuf), CommandError> {
    let began = Timestamp::now();
    let mut head = head(&ready.plan, began);
    if let Some(command) = &command {
        head.command.clone_from(command);
    }
    let store = Store::create(&ready.plan.out, &head, began)
        .map_err(|e| CommandError::new(Exit::Usage, e))?;
    begun::remember(&store, observers.terminal());
    begun_in(store.dir());
    let mut run = FindRun {
        ready: &ready,
        command,
        past: ResumeState::default(),
    };
    load_run::all_of(&mut run, began, signals, store, observers).await
}

/// What is left of a search that was cut off: its record, written where it was begun.
pub(super) async fn search_on(
    ready: &Ready,
    past: ResumeState,
    store: Store,
    signals: &Signals,
    observers: &mut Observers<'_>,
) -> Result<RunRecord, CommandError> {
    let mut run = FindRun {
        ready,
        command: None,
        past,
    };
    let now = Timestamp::now();
    let (record, _) = load_run::all_of(&mut run, now, signals, store, observers).await?;
    Ok(record)
}

fn head(plan: &Plan, began: Timestamp) -> Head {
    let folder = std::env::current_dir().unwrap_or_default();
    Head {
        journal_version: JOURNAL_VERSION,
        breakpoint_version: env!("CARGO_PKG_VERSION").to_owned(),
        profile: plan.name.clone(),
        started_at: session::to_second(began),
        folder: folder.to_string_lossy().into_owned(),
        command: command::as_typed(),
        profile_crc32: plan.profile_text().map(|t| journal::crc32(t.as_bytes())),
        script_crc32: plan.engine.facts().script().and_then(|s| s.crc32),
    }
}

/// One search, from its beginning or from where it was cut off.
struct FindRun<'a> {
    ready: &'a Ready,
    /// What it is recorded as, where that was not typed.
    command: Option<Vec<String>>,
    past: ResumeState,
}

impl LoadRun for FindRun<'_> {
    type Record = RunRecord;

    fn ready(&self) -> &Ready {
        self.ready
    }

    async fn load(
        &mut self,
        session: &mut Session,
        target: &Target,
        signals: &Signals,
        store: &mut Store,
        observers: &mut Observers<'_>,
    ) -> RunRecord {
        let past = std::mem::take(&mut self.past);
        let mut spec = run_spec(self.ready, session);
        let then = past.head.as_ref().map(|head| &head.command);
        if let Some(command) = then.or(self.command.as_ref()) {
            spec.plan.command.clone_from(command);
        }
        observers.on(&started(&spec));
        let mut environment = LiveEnvironment::new(&session.hub, target, Some(store));
        let mut sink = |event: Event| observers.on(&event);
        run::resume(
            &spec,
            past,
            &mut *session.engine,
            &mut environment,
            &signals.interrupt,
            &mut sink,
        )
        .await
    }

    fn not_up(&self, why: NotUp, began: Timestamp) -> Result<RunRecord, CommandError> {
        if self.past.head.is_some() {
            let message = format!("{}. Results so far are kept", why.reason);
            return Err(CommandError::new(Exit::from(why.ending), message));
        }
        let mut record = not_up(self.ready, why, began);
        if let Some(command) = &self.command {
            record.plan.command.clone_from(command);
        }
        Ok(record)
    }

    fn finished(record: &RunRecord) -> Event {
        Event::RunFinished(Box::new(record.clone()))
    }
}

fn run_spec(ready: &Ready, session: &Session) -> RunSpec {
    let plan = &ready.plan;
    RunSpec {
        profile: plan.name.clone(),
        slo: plan.slo.clone(),
        steps: session.info.steps.clone(),
        search: plan.search.clone(),
        plan: session.plan.clone(),
        environment: preflight::environment(&ready.host, &plan.local_addresses),
        warnings: session.warnings.clone(),
        reset_always: plan.target.resets_always(),
        revived: plan.target.revived(),
        drained_when: plan.target.drained_when.clone(),
        drain_timeout: plan.target.drain_timeout,
        arrival_timeout: plan.arrival_timeout(),
        canary_timeout: plan.target.reset_timeout,
        canary_cycles: plan.target.canary_cycles,
        first_contact: look::first_contact(plan),
    }
}

fn started(spec: &RunSpec) -> Event {
    Event::RunStarted {
        subject: session::subject(&spec.profile, &spec.plan, &spec.slo, &spec.steps),
        range: (spec.search.min, spec.search.max),
        budget_s: spec.search.budget.as_secs_f64() + spec.search.references_s(),
    }
}

/// The record of a run whose target never came up.
fn not_up(ready: &Ready, why: NotUp, began: Timestamp) -> RunRecord {
    let plan = &ready.plan;
    let url = session::planned_url(plan);
    RunRecord {
        schema_version: SCHEMA_VERSION,
        breakpoint_version: env!("CARGO_PKG_VERSION").to_owned(),
        profile: plan.name.clone(),
        started_at: session::to_second(began),
        finished_at: session::to_second(Timestamp::now()),
        slo: plan.slo.texts(),
        answer: Answer::unmeasured(
            why.ending,
            why.reason,
            plan.search.confidence,
            plan.search.precision,
        ),
        plan: session::plan_record(ready, &session::planned(ready), url, Vec::new()),
        environment: preflight::environment(&ready.host, &plan.local_addresses),
        warnings: ready.warnings.clone(),
        probes: Vec::new(),
    }
}
