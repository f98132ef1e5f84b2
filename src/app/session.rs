//! What every kind of run does around its load: the target up, monitors and engine started, and all
//! of it down again.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::command;
use super::github;
use super::guard::Guard;
use super::observers::Observers;
use super::populations;
use super::prepare::Ready;
use super::signals::Signals;
use super::{CommandError, Exit};
use crate::confidential::{self, Unwritable};
use crate::engine::{self, Engine, EngineError, EngineInfo, Order};
use crate::event::{Event, Subject};
use crate::journal::Entry;
use crate::measure::{Level, LogLine, Reading, StepTable};
use crate::monitor::MonitorHub;
use crate::plan::{LoadPlan, MemoryAtRest, Plan, TargetKind};
use crate::preflight;
use crate::record::{Ending, PlanRecord, RampEnding};
use crate::report::RenderedRecord;
use crate::run::{self, Halt, RunEnvironment};
use crate::secret::masked;
use crate::slo::Slo;
use crate::store::{Store, StoreError};
use crate::target::{Target, TargetError};
use crate::term::output;

/// How long the monitors may take to give their first reading.
const WARM_UP: Duration = Duration::from_secs(3);

/// Brings the target up, unless the user stops that.
pub(super) async fn bring_up(
    ready: &Ready,
    signals: &Signals,
    observers: &mut Observers<'_>,
) -> Result<Target, TargetError> {
    for warning in &ready.warnings {
        observers.warning(warning);
    }
    observers.on(&Event::Doing("starting the target".to_owned()));
    let up = tokio::select! {
        up = Target::up(&ready.plan) => up,
        () = signals.wait() => Err(TargetError::Interrupted),
    };
    if let Err(error) = &up
        && error.was_broken_off()
        && let Err(error) = Target::clear(&ready.plan.target).await
    {
        observers.warning(&error.to_string());
    }
    up
}

/// Takes it down again; what goes wrong then spoils nothing that was measured.
pub(super) async fn take_down(target: Target, observers: &Observers<'_>) {
    if let Err(error) = target.down().await {
        observers.warning(&error.to_string());
    }
}

/// Everything that runs beside a target that is up.
pub(super) struct Session {
    /// What the engine does.
    pub(super) info: EngineInfo,
    /// For the record.
    pub(super) plan: PlanRecord,
    pub(super) hub: MonitorHub,
    pub(super) engine: Box<dyn Engine>,
    /// What a reader must know: of the plan, and of the monitors.
    pub(super) warnings: Vec<String>,
}

impl Session {
    /// Starts monitors and engine.
    pub(super) async fn start(
        ready: &Ready,
        target: &Target,
        guard: &mut Guard,
        signals: &Signals,
        observers: &Observers<'_>,
    ) -> Result<Self, CommandError> {
        let plan = &ready.plan;
        let hub = MonitorHub::start(plan.monitors.clone());
        hub.warm_up(WARM_UP).await;
        let environment = preflight::environment(&ready.host, &plan.local_addresses);
        guard.watch(plan, &hub, environment.memory_bytes);
        for problem in hub.problems() {
            observers.warning(&problem);
        }
        let mut warnings = ready.warnings.clone();
        warnings.extend(hub.problems());
        let work = match &ready.scenarios {
            Some(_) => Some(ready.scenarios_at(target.url())?.into_work(plan)),
            None => None,
        };
        let started = engine::start(Order {
            plan,
            climbs: ready.climbs,
            work,
            network: &ready.network,
            stopped: Box::pin(signals.wait()),
        });
        let started = started.await.map_err(|e| not_started(e, plan, signals))?;
        let info = started.engine.describe();
        for warning in started.warnings {
            observers.warning(&warning);
            warnings.push(warning);
        }
        let url = Some(target.url()).filter(|url| !url.is_empty());
        let url = url.unwrap_or(&info.target);
        Ok(Self {
            plan: plan_record(ready, &info, url, hub.limits()),
            info,
            engine: started.engine,
            hub,
            warnings,
        })
    }

    /// Ends monitors and engine.
    pub(super) async fn stop(self) {
        self.engine.stop().await;
        self.hub.stop().await;
    }
}

/// Why an engine was not started: what ended the run while it was looked at says more than that it
/// was ended.
fn not_started(error: EngineError, plan: &Plan, signals: &Signals) -> CommandError {
    let Some(then) = plan.engine.facts().words().broken_off else {
        return CommandError::new(Exit::Failure, error);
    };
    let said = format!("before the first probe; {then}");
    match (signals.interrupt.why(), error) {
        (None, EngineError::Unfit(why) | EngineError::NotAllowed(why)) => {
            CommandError::new(Exit::Usage, why)
        }
        (None, EngineError::Aborted(why)) => CommandError::new(Exit::Gate, why),
        (None, error) => CommandError::new(Exit::HostLimit, error),
        (Some(Halt::User), _) => {
            CommandError::new(Exit::Interrupted, format!("interrupted {said}"))
        }
        (Some(halt), _) => {
            CommandError::new(halt.ending().into(), format!("{} {said}", halt.reason()))
        }
    }
}

/// Monitors and resets of a real run.
pub(super) struct LiveEnvironment<'a> {
    hub: &'a MonitorHub,
    target: &'a Target,
    /// From the readings before the first probe on.
    at_rest: MemoryAtRest,
    /// Where judged probes are kept.
    store: Option<&'a mut Store>,
}

impl<'a> LiveEnvironment<'a> {
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

impl RunEnvironment for LiveEnvironment<'_> {
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
            // The next probe begins with what the target reads now: a restart, and memory that is
            // gone, are not of its making.
            asked_again.await;
            Ok(())
        }
    }

    fn keep(&mut self, entry: &Entry) -> Result<(), String> {
        let Some(store) = &mut self.store else {
            return Ok(());
        };
        let without = |entry: &Entry| {
            Ok::<_, Unwritable>(Entry {
                input: confidential::without(&entry.input)?.into_owned(),
                probe: confidential::without(&entry.probe)?.into_owned(),
            })
        };
        let entry = without(entry).map_err(|e| e.to_string())?;
        store.append_entry(&entry).map_err(|e| e.to_string())
    }

    fn last_words(&self) -> String {
        self.target.last_words().unwrap_or_default()
    }

    fn time_of_day(&self) -> String {
        to_second(Timestamp::now())
    }
}

/// RFC 3339 UTC without a fraction.
pub(super) fn to_second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Why the target did not come up: what ended the run says more than that it was ended.
pub(super) fn not_up(error: &TargetError, signals: &Signals) -> NotUp {
    match (error, signals.interrupt.why()) {
        (TargetError::Interrupted, Some(halt)) => NotUp {
            ending: halt.ending(),
            ramp_ending: halt.ramp_ending(),
            reason: match halt {
                Halt::User => error.to_string(),
                other => other.reason(),
            },
        },
        _ => NotUp {
            ending: Ending::TargetDown,
            ramp_ending: RampEnding::TargetDown,
            reason: error.to_string(),
        },
    }
}

/// How a run ends whose target never came up.
pub(super) struct NotUp {
    pub(super) ending: Ending,
    pub(super) ramp_ending: RampEnding,
    pub(super) reason: String,
}

/// The address of a target that is not up.
pub(super) fn planned_url(plan: &Plan) -> &str {
    match &plan.target.kind {
        TargetKind::External { url } => url,
        TargetKind::Demo => "the demo target",
        TargetKind::OfTheEngine => plan.engine.facts().words().loads,
    }
}

/// What an engine does that has not started.
pub(super) fn planned(ready: &Ready) -> EngineInfo {
    match &ready.scenarios {
        Some(scenarios) => scenarios.describe(&ready.plan),
        None => EngineInfo::new(
            ready.plan.engine.facts().name(),
            StepTable::of_requests(ready.plan.named_steps()),
        ),
    }
}

pub(super) fn plan_record(
    ready: &Ready,
    info: &EngineInfo,
    url: &str,
    limits: Vec<Reading>,
) -> PlanRecord {
    let plan = &ready.plan;
    let populations = match &ready.scenarios {
        Some(all) => all.records(plan),
        None => (plan.engine.facts().populations().iter())
            .map(|(name, amount)| populations::record(plan, name, *amount))
            .collect(),
    };
    let protocol = plan.target.protocol;
    PlanRecord {
        target: masked(url),
        engine: info.name.to_owned(),
        steps: info
            .steps
            .recorded()
            .map(|(_, name)| name.to_owned())
            .collect(),
        main_step: info.steps.recorded_main(),
        think_s: info.think_s,
        unit: plan.search.unit,
        arrivals: match plan.load {
            LoadPlan::Closed => None,
            LoadPlan::Open(open) => Some(open.arrivals),
        },
        populations,
        min_level: plan.search.min.get(),
        max_level: plan.search.max.get(),
        budget_s: plan.search.budget.as_secs_f64(),
        longest_s: Some(plan.longest_run().as_secs_f64()),
        pace_per_s: plan.pace_per_s,
        seed: plan.seed,
        limits,
        required: plan.required.map(Level::get),
        command: command::as_typed(),
        insecure: plan.target.connect.insecure,
        http: (protocol.http != crate::scenario::Http::One)
            .then(|| protocol.http.name().to_owned()),
        streams_per_connection: Some(protocol.streams_per_connection).filter(|n| *n > 1),
        addresses: Vec::new(),
    }
}

/// What a run loads, for whoever shows it.
pub(super) fn subject(profile: &str, plan: &PlanRecord, slo: &Slo, steps: &StepTable) -> Subject {
    Subject {
        profile: profile.to_owned(),
        target: plan.target.clone(),
        slo: slo.texts(),
        unit: plan.unit,
        counted: steps.counted(),
        latency: run::shown_latency(slo, steps),
        share: run::shown_share(slo),
        limits: plan.limits.clone(),
    }
}

/// Writes the reports, and says and returns where they are.
pub(super) fn write(
    store: &Store,
    record: &(impl RenderedRecord + Serialize + DeserializeOwned + Clone),
    observers: &mut Observers<'_>,
) -> Result<PathBuf, CommandError> {
    let record = confidential::without(record).map_err(|e| CommandError::new(Exit::Failure, e))?;
    let record = &*record;
    let written = store
        .finish(record)
        .map_err(|e: StoreError| CommandError::new(Exit::Failure, e))?;
    if let Some(trouble) = &written.trouble {
        observers.warning(&trouble.to_string());
        // Who looks for them where they were wanted does not find them.
        output::lose();
    }
    observers.on(&Event::Written(written.dir.clone()));
    github::tell(record, observers.terminal());
    Ok(written.dir)
}
