//! One run of `ramp`.

use std::path::Path;

use jiff::Timestamp;

use super::load_run::{self, LoadRun};
use super::look;
use super::observers::Observers;
use super::prepare::{self, Ready};
use super::script;
use super::session::{self, LiveEnvironment, NotUp, Session};
use super::signals::Signals;
use super::typed;
use super::{CommandError, Exit, consent};
use crate::cli::RampArgs;
use crate::confidential;
use crate::event::Event;
use crate::k6::ScriptInfo;
use crate::locate;
use crate::preflight;
use crate::ramp::{self, Stages};
use crate::record::{RAMP_SCHEMA_VERSION, RampRecord, ReferenceRun, StageRecord};
use crate::run::{self, RampSpec};
use crate::store::{self, Store};
use crate::target::Target;
use crate::term::Terminal;

/// What is asked of one ramp.
struct PreparedRamp {
    ready: Ready,
    stages: Stages,
    reference_run: Option<ReferenceRun>,
}

pub(super) fn ramp(args: &RampArgs, terminal: &mut Terminal) -> Result<Exit, CommandError> {
    let host = preflight::read_host();
    let named = args.profile.as_deref();
    let profile = named.map(|name| locate::by_name(name, Path::new(".")));
    let profile = profile
        .transpose()
        .map_err(|e| CommandError::new(Exit::Usage, e))?;
    let mut flags = args.flags();
    typed::read(&mut flags.request)?;
    let info = script::look(profile.as_ref(), &flags, args.safety.yes, terminal)?;
    let plan = super::plan_of(profile.as_ref(), &flags, info.as_ref())?;
    let stages = stages(args, info.as_ref(), plan.searched_name().as_deref())?;
    let ready = prepare::prepare_ramp(plan, &host, &stages)?;
    consent::obtain([&ready], args.safety.yes, terminal)?;
    let asked = PreparedRamp {
        reference_run: reference_run(args.beside.as_deref(), &ready)?,
        stages,
        ready,
    };
    let allowed = asked.ready.plan.target.allowed.clone();
    load_run::observed(
        terminal,
        &args.watch,
        &allowed,
        async |signals, observers| run_one(asked, signals, observers).await,
    )
}

/// Those that were typed, else those of the script.
fn stages(
    args: &RampArgs,
    info: Option<&ScriptInfo>,
    searched: Option<&str>,
) -> Result<Stages, CommandError> {
    if let Some(stages) = &args.stages {
        return Ok(stages.clone());
    }
    let of_script = info.and_then(|info| info.script.own.stages(searched));
    let Some(text) = of_script else {
        let message = "a ramp needs stages, and no script gives them; add `--stages \
                       100:30s,500:1m,0:30s`, or --population NAME where a script has several \
                       scenarios with stages";
        return Err(CommandError::new(Exit::Usage, message));
    };
    text.parse().map_err(|why| {
        let message = format!("the stages of the script: {why}; give others with --stages");
        CommandError::new(Exit::Usage, message)
    })
}

/// What `find` found: of the run that was named, which must fit, or of the newest one that does.
fn reference_run(
    asked: Option<&Path>,
    ready: &Ready,
) -> Result<Option<ReferenceRun>, CommandError> {
    let plan = &ready.plan;
    let (slo, unit) = (plan.slo.texts(), plan.search.unit);
    if let Some(dir) = asked {
        let record = store::read_record(dir).map_err(|e| CommandError::new(Exit::Usage, e))?;
        return ramp::reference_run(&record, &slo, unit)
            .map(Some)
            .map_err(|why| {
                let dir = dir.display();
                CommandError::new(
                    Exit::Usage,
                    format!(
                        "--beside {dir}: {why}; use a finished run of the same SLO, or omit it"
                    ),
                )
            });
    }
    let found = store::searches(&plan.out, &plan.name).into_iter();
    let mut found = found.filter_map(|dir| store::read_record(&dir).ok());
    Ok(found.find_map(|record| ramp::reference_run(&record, &slo, unit).ok()))
}

async fn run_one(
    mut asked: PreparedRamp,
    signals: &Signals,
    observers: &mut Observers<'_>,
) -> Result<Exit, CommandError> {
    let plan = &asked.ready.plan;
    let began = Timestamp::now();
    let store = Store::create_ramp(&plan.out, &plan.name, began)
        .map_err(|e| CommandError::new(Exit::Usage, e))?;
    let (record, _) = load_run::all_of(&mut asked, began, signals, store, observers).await?;
    Ok(record.ending.into())
}

impl LoadRun for PreparedRamp {
    type Record = RampRecord;

    fn ready(&self) -> &Ready {
        &self.ready
    }

    async fn load(
        &mut self,
        session: &mut Session,
        target: &Target,
        signals: &Signals,
        store: &mut Store,
        observers: &mut Observers<'_>,
    ) -> RampRecord {
        let spec = spec(self, session);
        observers.on(&started(&spec));
        let mut environment = LiveEnvironment::new(&session.hub, target, None);
        let mut sink = |event: Event| {
            observers.on(&event);
            if let Event::StageJudged(stage) = &event
                && let Err(error) = keep(store, stage)
            {
                observers.warning(&error);
            }
        };
        run::ramp(
            &spec,
            &mut *session.engine,
            &mut environment,
            &signals.interrupt,
            &mut sink,
        )
        .await
    }

    fn not_up(&self, why: NotUp, began: Timestamp) -> Result<RampRecord, CommandError> {
        Ok(not_up(self, why, began))
    }

    fn finished(record: &RampRecord) -> Event {
        Event::RampFinished(Box::new(record.clone()))
    }
}

fn keep(store: &mut Store, stage: &StageRecord) -> Result<(), String> {
    let stage = confidential::without(stage).map_err(|e| e.to_string())?;
    store.append_stage(&stage).map_err(|e| e.to_string())
}

fn spec(asked: &PreparedRamp, session: &Session) -> RampSpec {
    let ready = &asked.ready;
    let plan = &ready.plan;
    RampSpec {
        profile: plan.name.clone(),
        slo: plan.slo.clone(),
        steps: session.info.steps.clone(),
        stages: asked.stages.clone(),
        plan: session.plan.clone(),
        environment: preflight::environment(&ready.host, &plan.local_addresses),
        warnings: session.warnings.clone(),
        arrival_timeout: plan.arrival_timeout(),
        canary_cycles: plan.target.canary_cycles,
        first_contact: look::first_contact(plan),
        reference_run: asked.reference_run.clone(),
    }
}

fn started(spec: &RampSpec) -> Event {
    Event::RampStarted {
        subject: session::subject(&spec.profile, &spec.plan, &spec.slo, &spec.steps),
        asked: spec.stages.spans().to_vec(),
    }
}

/// The record of a ramp whose target never came up.
fn not_up(asked: &PreparedRamp, why: NotUp, began: Timestamp) -> RampRecord {
    let ready = &asked.ready;
    let plan = &ready.plan;
    let url = session::planned_url(plan);
    RampRecord {
        schema_version: RAMP_SCHEMA_VERSION,
        breakpoint_version: env!("CARGO_PKG_VERSION").to_owned(),
        profile: plan.name.clone(),
        started_at: session::to_second(began),
        finished_at: session::to_second(Timestamp::now()),
        slo: plan.slo.texts(),
        ending: why.ramp_ending,
        reason: why.reason,
        breach: None,
        reference_run: asked.reference_run.clone(),
        plan: session::plan_record(ready, &session::planned(ready), url, Vec::new()),
        environment: preflight::environment(&ready.host, &plan.local_addresses),
        warnings: ready.warnings.clone(),
        asked: asked.stages.spans().to_vec(),
        stages: Vec::new(),
    }
}
