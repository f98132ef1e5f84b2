//! One run of `find`: target up, load, search, target down, files.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::prepare::Ready;
use super::signals::Signals;
use super::{Exit, Refusal};
use crate::engine::native::{LoadModel, NativeEngine, NativeSpec};
use crate::event::Event;
use crate::measure::{LogLine, Reading};
use crate::monitor::MonitorHub;
use crate::plan::{LoadPlan, Plan, ResetWhen};
use crate::preflight;
use crate::record::{Answer, Ending, PlanRecord, RunRecord, SCHEMA_VERSION};
use crate::run::{self, RunSpec, Surroundings};
use crate::scenario::Scenario;
use crate::store::{Store, StoreError};
use crate::target::{Target, TargetError};
use crate::term::Terminal;

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(1);
/// How long a target that should run already may take to answer.
const ARRIVAL: Duration = Duration::from_secs(10);
/// How long the monitors may take to give their first reading.
const WARM_UP: Duration = Duration::from_secs(3);

pub(super) async fn find(
    ready: Ready,
    signals: &Signals,
    terminal: &mut Terminal,
) -> Result<Exit, Refusal> {
    let plan = &ready.plan;
    let began = Timestamp::now();
    let mut store =
        Store::create(&plan.out, &plan.name, began).map_err(|e| Refusal::new(Exit::Usage, e))?;
    for warning in &ready.warnings {
        terminal.warning(warning);
    }
    terminal.on(&Event::Doing("bringing the target up".to_owned()));
    let up = tokio::select! {
        up = Target::up(plan) => up,
        () = signals.wait() => Err(TargetError::Interrupted),
    };
    let record = match up {
        Ok(target) => {
            let record = with_target(&ready, &target, signals, &mut store, terminal).await;
            if let Err(error) = target.down().await {
                terminal.warning(&error.to_string());
            }
            record?
        }
        Err(error) => {
            let record = not_up(&ready, &error, began);
            terminal.on(&Event::RunFinished(Box::new(record.clone())));
            record
        }
    };
    write(&store, &record, terminal)?;
    Ok(record.answer.ending.into())
}

/// Everything between the target's coming up and its going down.
async fn with_target(
    ready: &Ready,
    target: &Target,
    signals: &Signals,
    store: &mut Store,
    terminal: &mut Terminal,
) -> Result<RunRecord, Refusal> {
    let plan = &ready.plan;
    let scenario = Arc::new(ready.scenario_at(target.url())?);
    let hub = MonitorHub::start(plan.monitors.clone());
    hub.warm_up(WARM_UP).await;
    for problem in hub.problems() {
        terminal.warning(&problem);
    }
    let mut spec = run_spec(ready, &scenario, target.url(), hub.limits());
    spec.warnings.extend(hub.problems());
    let engine = NativeEngine::start(NativeSpec {
        scenario: Arc::clone(&scenario),
        load: match plan.load {
            LoadPlan::Closed => LoadModel::Closed {
                pace_per_s: plan.pace_per_s,
            },
            LoadPlan::Open(open) => LoadModel::Open {
                arrivals: open.arrivals,
                most_vus: open.most_vus,
            },
        },
        window: WINDOW,
        threads: plan.threads.unwrap_or_else(cores),
        seed: plan.seed,
        sources: plan.local_addresses.clone(),
    });
    let mut engine = match engine {
        Ok(engine) => engine,
        Err(error) => return Err(Refusal::new(Exit::Failure, error)),
    };
    terminal.on(&started(&spec));
    let mut world = World { hub: &hub, target };
    let record = {
        let mut sink = |event: Event| {
            terminal.on(&event);
            if let Event::ProbeJudged(probe) = &event
                && let Err(error) = store.append_probe(probe)
            {
                terminal.warning(&error.to_string());
            }
        };
        run::run(
            &spec,
            &mut engine,
            &mut world,
            &signals.interrupt,
            &mut sink,
        )
        .await
    };
    engine.stop().await;
    hub.stop().await;
    Ok(record)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Monitors and resets of a real run.
struct World<'a> {
    hub: &'a MonitorHub,
    target: &'a Target,
}

impl Surroundings for World<'_> {
    fn readings(&mut self) -> Vec<Reading> {
        self.hub.snapshot()
    }

    fn lines(&mut self) -> Vec<LogLine> {
        self.hub.lines()
    }

    fn reset(&mut self) -> impl Future<Output = Result<(), String>> + Send + 'static {
        let reset = self.target.reset();
        async move { reset.await.map_err(|e| e.to_string()) }
    }

    fn time_of_day(&self) -> String {
        to_second(Timestamp::now())
    }
}

/// RFC 3339 UTC without a fraction.
fn to_second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn run_spec(ready: &Ready, scenario: &Scenario, url: &str, limits: Vec<Reading>) -> RunSpec {
    let plan = &ready.plan;
    RunSpec {
        profile: plan.name.clone(),
        slo: plan.slo.clone(),
        steps: scenario.names().clone(),
        search: plan.search.clone(),
        plan: plan_record(plan, scenario, url, limits),
        environment: preflight::environment(&ready.host, &plan.local_addresses),
        warnings: ready.warnings.clone(),
        reset_always: plan.target.reset_when == ResetWhen::Always,
        drain_timeout: plan.target.drain_timeout,
        arrival_timeout: arrival_timeout(plan),
        canary_timeout: plan.target.reset_timeout,
        canary_cycles: plan.target.canary_cycles,
    }
}

/// What this program brought up may still be starting; what should run already need not be waited for as long.
fn arrival_timeout(plan: &Plan) -> Duration {
    let target = &plan.target;
    match target.up {
        Some(_) => target.reset_timeout,
        None => target.reset_timeout.min(ARRIVAL),
    }
}

fn plan_record(plan: &Plan, scenario: &Scenario, url: &str, limits: Vec<Reading>) -> PlanRecord {
    PlanRecord {
        target: url.to_owned(),
        engine: "native".to_owned(),
        steps: scenario.names().iter().map(str::to_owned).collect(),
        main_step: scenario.names().main(),
        think_s: think_s(plan, scenario),
        unit: plan.search.unit,
        arrivals: match plan.load {
            LoadPlan::Closed => None,
            LoadPlan::Open(open) => Some(open.arrivals),
        },
        min_level: plan.search.min.get(),
        max_level: plan.search.max.get(),
        budget_s: plan.search.budget.as_secs_f64(),
        pace_per_s: plan.pace_per_s,
        seed: plan.seed,
        limits,
    }
}

/// Think time within the cycle as the load goes through it.
fn think_s(plan: &Plan, scenario: &Scenario) -> f64 {
    match plan.load {
        LoadPlan::Closed => scenario.mean_think_s(),
        LoadPlan::Open(_) => Scenario::think_s(scenario.visit()),
    }
}

fn started(spec: &RunSpec) -> Event {
    Event::RunStarted {
        profile: spec.profile.clone(),
        target: spec.plan.target.clone(),
        slo: spec.slo.texts(),
        range: (spec.search.min, spec.search.max),
        unit: spec.search.unit,
        budget_s: spec.search.budget.as_secs_f64(),
    }
}

/// The record of a run whose target never came up.
fn not_up(ready: &Ready, error: &TargetError, began: Timestamp) -> RunRecord {
    let plan = &ready.plan;
    let ending = match error {
        TargetError::Interrupted => Ending::Interrupted,
        _ => Ending::TargetDown,
    };
    let url = plan.target.kind.url().unwrap_or("the demo target");
    RunRecord {
        schema_version: SCHEMA_VERSION,
        breakpoint_version: env!("CARGO_PKG_VERSION").to_owned(),
        profile: plan.name.clone(),
        started_at: to_second(began),
        finished_at: to_second(Timestamp::now()),
        slo: plan.slo.texts(),
        answer: Answer::unmeasured(
            ending,
            error.to_string(),
            plan.search.confidence,
            plan.search.precision,
        ),
        plan: plan_record(plan, &ready.scenario, url, Vec::new()),
        environment: preflight::environment(&ready.host, &plan.local_addresses),
        warnings: ready.warnings.clone(),
        probes: Vec::new(),
    }
}

fn write(store: &Store, record: &RunRecord, terminal: &mut Terminal) -> Result<(), Refusal> {
    let written = store
        .finish(record)
        .map_err(|e: StoreError| Refusal::new(Exit::Failure, e))?;
    if let Some(trouble) = &written.trouble {
        terminal.warning(&trouble.to_string());
    }
    terminal.on(&Event::Written(written.dir));
    Ok(())
}
