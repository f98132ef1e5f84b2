//! What every kind of run does around its load: the target up, monitors and engine started, and all of it down again.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::prepare::Ready;
use super::signals::Signals;
use super::{Exit, Refusal};
use crate::engine::native::{LoadModel, NativeEngine, NativeSpec};
use crate::event::Event;
use crate::measure::Reading;
use crate::monitor::MonitorHub;
use crate::plan::{LoadPlan, Plan};
use crate::record::PlanRecord;
use crate::report::Recorded;
use crate::run::Surroundings;
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

/// Brings the target up, unless the user stops that.
pub(super) async fn bring_up(
    ready: &Ready,
    signals: &Signals,
    terminal: &mut Terminal,
) -> Result<Target, TargetError> {
    for warning in &ready.warnings {
        terminal.warning(warning);
    }
    terminal.on(&Event::Doing("bringing the target up".to_owned()));
    tokio::select! {
        up = Target::up(&ready.plan) => up,
        () = signals.wait() => Err(TargetError::Interrupted),
    }
}

/// Takes it down again; what goes wrong then spoils nothing that was measured.
pub(super) async fn take_down(target: Target, terminal: &Terminal) {
    if let Err(error) = target.down().await {
        terminal.warning(&error.to_string());
    }
}

/// Everything that runs beside a target that is up.
pub(super) struct Session {
    pub(super) scenario: Arc<Scenario>,
    pub(super) hub: MonitorHub,
    pub(super) engine: NativeEngine,
    /// What a reader must know: of the plan, and of the monitors.
    pub(super) warnings: Vec<String>,
}

impl Session {
    /// Starts monitors and engine.
    pub(super) async fn start(
        ready: &Ready,
        target: &Target,
        terminal: &Terminal,
    ) -> Result<Self, Refusal> {
        let plan = &ready.plan;
        let scenario = Arc::new(ready.scenario_at(target.url())?);
        let hub = MonitorHub::start(plan.monitors.clone());
        hub.warm_up(WARM_UP).await;
        for problem in hub.problems() {
            terminal.warning(&problem);
        }
        let mut warnings = ready.warnings.clone();
        warnings.extend(hub.problems());
        let engine = NativeEngine::start(engine_spec(ready, &scenario));
        match engine {
            Ok(engine) => Ok(Self {
                scenario,
                hub,
                engine,
                warnings,
            }),
            Err(error) => Err(Refusal::new(Exit::Failure, error)),
        }
    }

    /// Ends monitors and engine.
    pub(super) async fn stop(self) {
        self.engine.stop().await;
        self.hub.stop().await;
    }
}

fn engine_spec(ready: &Ready, scenario: &Arc<Scenario>) -> NativeSpec {
    let plan = &ready.plan;
    NativeSpec {
        scenario: Arc::clone(scenario),
        load: match plan.load {
            LoadPlan::Closed if ready.climbs => LoadModel::climbing(plan.pace_per_s),
            LoadPlan::Closed => LoadModel::closed(plan.pace_per_s),
            LoadPlan::Open(open) => LoadModel::Open {
                arrivals: open.arrivals,
                most_vus: open.most_vus,
            },
        },
        window: WINDOW,
        threads: plan.threads.unwrap_or_else(cores),
        seed: plan.seed,
        sources: plan.local_addresses.clone(),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// Monitors and resets of a real run.
pub(super) struct World<'a> {
    pub(super) hub: &'a MonitorHub,
    pub(super) target: &'a Target,
}

impl Surroundings for World<'_> {
    fn readings(&mut self) -> Vec<Reading> {
        self.hub.snapshot()
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
    scenario: &Scenario,
    url: &str,
    limits: Vec<Reading>,
) -> PlanRecord {
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

/// Writes the reports and says where they are.
pub(super) fn write(
    store: &Store,
    record: &impl Recorded,
    terminal: &mut Terminal,
) -> Result<(), Refusal> {
    let written = store
        .finish(record)
        .map_err(|e: StoreError| Refusal::new(Exit::Failure, e))?;
    if let Some(trouble) = &written.trouble {
        terminal.warning(&trouble.to_string());
    }
    terminal.on(&Event::Written(written.dir));
    Ok(())
}
