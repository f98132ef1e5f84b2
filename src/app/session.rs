//! What every kind of run does around its load: the target up, monitors and engine started, and all of it down again.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::audience::Audience;
use super::command;
use super::github;
use super::populations::Compiled;
use super::prepare::Ready;
use super::signals::Signals;
use super::{Exit, Refusal};
use crate::engine::native::NativeEngine;
use crate::engine::populations::Populations;
use crate::event::{Event, Subject};
use crate::journal::Entry;
use crate::measure::{Level, LogLine, Reading, StepNames};
use crate::monitor::MonitorHub;
use crate::plan::{LoadPlan, MemoryAtRest, Plan};
use crate::record::PlanRecord;
use crate::report::Told;
use crate::run::{self, Surroundings};
use crate::scenario::Scenario;
use crate::slo::Slo;
use crate::store::{Store, StoreError};
use crate::target::{Target, TargetError};

/// How long a target that should run already may take to answer.
const ARRIVAL: Duration = Duration::from_secs(10);
/// How long the monitors may take to give their first reading.
const WARM_UP: Duration = Duration::from_secs(3);

/// Brings the target up, unless the user stops that.
pub(super) async fn bring_up(
    ready: &Ready,
    signals: &Signals,
    audience: &mut Audience<'_>,
) -> Result<Target, TargetError> {
    for warning in &ready.warnings {
        audience.warning(warning);
    }
    audience.on(&Event::Doing("bringing the target up".to_owned()));
    tokio::select! {
        up = Target::up(&ready.plan) => up,
        () = signals.wait() => Err(TargetError::Interrupted),
    }
}

/// Takes it down again; what goes wrong then spoils nothing that was measured.
pub(super) async fn take_down(target: Target, audience: &Audience<'_>) {
    if let Err(error) = target.down().await {
        audience.warning(&error.to_string());
    }
}

/// Everything that runs beside a target that is up.
pub(super) struct Session {
    /// The measured steps of all populations.
    pub(super) steps: StepNames,
    /// Those of the population that is searched.
    pub(super) searched: Range<usize>,
    /// For each of those, the one with whose beginning its latency begins.
    pub(super) begins: Vec<usize>,
    /// For the record.
    pub(super) plan: PlanRecord,
    pub(super) hub: MonitorHub,
    pub(super) engine: Populations<NativeEngine>,
    /// What a reader must know: of the plan, and of the monitors.
    pub(super) warnings: Vec<String>,
}

impl Session {
    /// Starts monitors and engine.
    pub(super) async fn start(
        ready: &Ready,
        target: &Target,
        audience: &Audience<'_>,
    ) -> Result<Self, Refusal> {
        let plan = &ready.plan;
        let scenarios = ready.scenarios_at(target.url())?;
        let hub = MonitorHub::start(plan.monitors.clone());
        hub.warm_up(WARM_UP).await;
        for problem in hub.problems() {
            audience.warning(&problem);
        }
        let mut warnings = ready.warnings.clone();
        warnings.extend(hub.problems());
        Ok(Self {
            steps: scenarios.steps(),
            searched: scenarios.searched_steps(),
            begins: scenarios.begins(),
            plan: plan_record(plan, &scenarios, target.url(), hub.limits()),
            engine: scenarios.start(plan, ready.climbs)?,
            hub,
            warnings,
        })
    }

    /// Ends monitors and engine.
    pub(super) async fn stop(self) {
        for engine in self.engine.into_engines() {
            engine.stop().await;
        }
        self.hub.stop().await;
    }
}

/// Monitors and resets of a real run.
pub(super) struct World<'a> {
    hub: &'a MonitorHub,
    target: &'a Target,
    /// From the readings before the first probe on.
    at_rest: MemoryAtRest,
    /// Where judged probes are kept.
    store: Option<&'a mut Store>,
}

impl<'a> World<'a> {
    pub(super) fn new(
        hub: &'a MonitorHub,
        target: &'a Target,
        store: Option<&'a mut Store>,
    ) -> Self {
        Self {
            hub,
            target,
            at_rest: MemoryAtRest::default(),
            store,
        }
    }
}

impl Surroundings for World<'_> {
    fn readings(&mut self) -> Vec<Reading> {
        let readings = self.hub.snapshot();
        self.at_rest.note(&readings);
        readings
    }

    fn lines(&mut self) -> Vec<LogLine> {
        self.hub.lines()
    }

    fn reset(&mut self) -> impl Future<Output = Result<(), String>> + Send + 'static {
        let bloated = self.at_rest.bloated(&self.hub.snapshot());
        let reset = self.target.reset(bloated);
        let asked_again = self.hub.asked_again();
        async move {
            reset.await.map_err(|e| e.to_string())?;
            // The next probe begins with what the target reads now: a restart, and memory that is gone, are not of its making.
            asked_again.await;
            Ok(())
        }
    }

    fn keep(&mut self, entry: &Entry) -> Result<(), String> {
        match &mut self.store {
            Some(store) => store.append_entry(entry).map_err(|e| e.to_string()),
            None => Ok(()),
        }
    }

    fn time_of_day(&self) -> String {
        to_second(Timestamp::now())
    }
}

/// RFC 3339 UTC without a fraction.
pub(super) fn to_second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What this program brought up may still be starting; what should run already need not be waited for as long.
pub(super) fn arrival_timeout(plan: &Plan) -> Duration {
    let target = &plan.target;
    match target.up {
        Some(_) => target.reset_timeout,
        None => target.reset_timeout.min(ARRIVAL),
    }
}

/// The address of a target that is not up.
pub(super) fn planned_url(plan: &Plan) -> &str {
    plan.target.kind.url().unwrap_or("the demo target")
}

pub(super) fn plan_record(
    plan: &Plan,
    scenarios: &Compiled,
    url: &str,
    limits: Vec<Reading>,
) -> PlanRecord {
    let steps = scenarios.steps();
    PlanRecord {
        target: url.to_owned(),
        engine: "native".to_owned(),
        steps: steps.iter().map(str::to_owned).collect(),
        main_step: steps.main(),
        think_s: think_s(plan, &scenarios.users),
        unit: plan.search.unit,
        arrivals: match plan.load {
            LoadPlan::Closed => None,
            LoadPlan::Open(open) => Some(open.arrivals),
        },
        populations: scenarios.records(plan),
        min_level: plan.search.min.get(),
        max_level: plan.search.max.get(),
        budget_s: plan.search.budget.as_secs_f64(),
        pace_per_s: plan.pace_per_s,
        seed: plan.seed,
        limits,
        required: plan.required.map(Level::get),
        command: command::as_typed(),
    }
}

/// What a run loads, for whoever shows it.
pub(super) fn subject(profile: &str, plan: &PlanRecord, slo: &Slo, steps: &StepNames) -> Subject {
    Subject {
        profile: profile.to_owned(),
        target: plan.target.clone(),
        slo: slo.texts(),
        unit: plan.unit,
        latency: run::shown_latency(slo, steps),
        limits: plan.limits.clone(),
    }
}

/// Think time within the cycle as the load goes through it.
fn think_s(plan: &Plan, scenario: &Scenario) -> f64 {
    match plan.load {
        LoadPlan::Closed => scenario.mean_think_s(),
        LoadPlan::Open(_) => Scenario::think_s(scenario.visit()),
    }
}

/// Writes the reports, and says and returns where they are.
pub(super) fn write(
    store: &Store,
    record: &impl Told,
    audience: &mut Audience<'_>,
) -> Result<PathBuf, Refusal> {
    let written = store
        .finish(record)
        .map_err(|e: StoreError| Refusal::new(Exit::Failure, e))?;
    if let Some(trouble) = &written.trouble {
        audience.warning(&trouble.to_string());
    }
    audience.on(&Event::Written(written.dir.clone()));
    github::tell(record, audience.terminal());
    Ok(written.dir)
}
