//! From a script's file to VUs that run it, and from a plan to an engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use breakpoint_script::exchange::{Happened, MetricKind, OpId, Tags, Turn};
use breakpoint_script::options;
use breakpoint_script::{
    Call, CallKind, Files, Given, LoadError, Program, ScenarioFacts, Vu, VuIdentity,
    refused_imports,
};

use super::{
    Called, Function, MakesVus, ScriptEngine, ScriptKind, ScriptPopulation, ScriptSpec, Talks,
};
use crate::bounded;
use crate::engine::native::NativeSpec;
use crate::engine::native::start::{WINDOW, cores, load_of};
use crate::engine::trace::Trace;
use crate::engine::{Canary, EngineError, Order, Started};
use crate::k6::{
    DEFAULT_FUNCTION, Declared, DeclaredKind, ITERATION, OwnScript, Runner, Script, ScriptInfo,
    ScriptUsers, row_of, variables,
};
use crate::plan::{K6Plan, KindPlan, ScriptPlan, ScriptPopulationPlan};

/// Largest file that a script may open or import, bytes.
const MOST_FILE: u64 = 256 << 20;

/// The files that a script may read: those below its folder, and below the one that this program
/// runs in.
struct Below {
    folders: Vec<PathBuf>,
}

impl Below {
    fn of(script: &Path) -> Self {
        let folder = script
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folders = [folder.unwrap_or(Path::new(".")), Path::new(".")];
        let folders = folders
            .iter()
            .filter_map(|folder| folder.canonicalize().ok());
        Self {
            folders: folders.collect(),
        }
    }

    /// All files, for a script that k6 runs with the permissions of the user.
    fn root() -> Self {
        Self {
            folders: vec![PathBuf::from("/")],
        }
    }
}

impl Files for Below {
    fn read(&self, path: &Path) -> Result<Vec<u8>, String> {
        let whole = path.canonicalize().map_err(|e| e.to_string())?;
        if !self.folders.iter().any(|folder| whole.starts_with(folder)) {
            return Err(format!(
                "{} lies neither below the script's folder nor below the one that breakpoint \
                 runs in; move it there",
                path.display()
            ));
        }
        bounded::file(&whole, MOST_FILE).map_err(|e| e.to_string())
    }

    fn remote(&self, address: &str) -> Result<Vec<u8>, String> {
        Err(format!(
            "modules are not fetched from the network; save {address} beside the script, and \
             import it as './NAME.js'"
        ))
    }
}

/// Reads a script and runs its init code once.
fn load(own: &ScriptPlan) -> Result<Program, LoadError> {
    let mut env = BTreeMap::new();
    if own.includes_environment {
        env.extend(environment());
    }
    env.extend(own.env.iter().cloned());
    let given = Given {
        env,
        ..Given::default()
    };
    Program::load(&own.script, &Below::of(&own.script), &given)
}

/// The environment of this program, as far as it is text.
fn environment() -> impl Iterator<Item = (String, String)> {
    let all = std::env::vars_os();
    all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Why a script cannot be run, with the place once and without secrets. Of imports that have no
/// counterpart all are told.
fn told(own: &ScriptPlan, error: &LoadError) -> String {
    let entry = own.script.to_string_lossy();
    let refused = refused_imports(&entry, &text(&own.script));
    let is_refused = refused.iter().any(|one| one.message == error.message);
    let all: Vec<String> = if is_refused {
        refused.iter().map(ToString::to_string).collect()
    } else {
        vec![error.to_string()]
    };
    let text = format!("cannot run {}: {}", own.shown, all.join("\n    "));
    own.hidden.in_text(&text)
}

/// The text of a script, for the lines of what it says; empty where it cannot be read.
fn text(script: &Path) -> String {
    let bytes = bounded::file(script, MOST_FILE).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Asks a script what it says of itself.
///
/// # Errors
/// When it cannot be run.
pub(in crate::engine) fn inspect(own: &ScriptPlan) -> Result<ScriptInfo, String> {
    let program = load(own).map_err(|error| told(own, &error))?;
    let script = says(&program, &own.script, &own.shown, Runner::Own);
    let mut script = script.map_err(|why| own.hidden.in_text(&why))?;
    let crc32 = checksum(&program);
    let mut first =
        Vu::new(&Arc::new(program), VuIdentity::default()).map_err(|error| told(own, &error))?;
    script.own.vu_memory = u64::try_from(first.memory()).ok();
    Ok(ScriptInfo { script, crc32 })
}

/// Asks a script that k6 will run what it says of itself, without k6: its init code runs here, and
/// what only k6 has does nothing in it. `crc32` is that of its text.
///
/// # Errors
/// When its init code cannot be run, or its options cannot be read.
pub(in crate::engine) fn inspect_for_k6(own: &K6Plan, crc32: u32) -> Result<ScriptInfo, String> {
    let mut env: BTreeMap<String, String> = environment().collect();
    env.extend(variables(&own.arguments));
    let given = Given {
        env,
        stand_ins: true,
        ..Given::default()
    };
    let shown = &own.shown;
    let script = Program::load(&own.script, &Below::root(), &given)
        .map_err(|error| format!("cannot read the options of {shown}: {error}"))
        .and_then(|program| says(&program, &own.script, shown, Runner::K6));
    let script = script.map_err(|why| own.hidden.in_text(&why))?;
    Ok(ScriptInfo { script, crc32 })
}

/// What a script says, with the lines of what has no counterpart.
fn says(program: &Program, file: &Path, shown: &str, runner: Runner) -> Result<Script, String> {
    let text = text(file);
    let options = options::options(program.options()).map_err(|error| {
        let line = options::line(&text, &error.place);
        let line = line.map_or_else(String::new, |line| format!(":{line}"));
        format!("{shown}{line}: the script's option {error}")
    })?;
    let own = OwnScript::new(program.functions().to_vec(), declared(program), &options);
    let line_of = |place: &str| options::line(&text, place);
    Script::of_own(&options, own, runner, &line_of).map_err(|why| format!("{shown}: {why}"))
}

fn declared(program: &Program) -> Vec<Declared> {
    let kind = |kind: MetricKind| match kind {
        MetricKind::Trend => DeclaredKind::Trend,
        MetricKind::Rate => DeclaredKind::Rate,
        MetricKind::Counter => DeclaredKind::Counter,
        MetricKind::Gauge => DeclaredKind::Gauge,
    };
    let metrics = program.metrics().iter();
    metrics
        .map(|metric| Declared {
            name: metric.name.to_string(),
            kind: kind(metric.kind),
        })
        .collect()
}

/// Of all files that belong to a script.
fn checksum(program: &Program) -> u32 {
    let mut all: Vec<String> = (program.sources().iter())
        .map(|source| format!("{} {}\n", source.name, source.crc32))
        .collect();
    all.sort_unstable();
    crc32fast::hash(all.concat().as_bytes())
}

/// Makes the VUs of a script.
struct Loaded {
    program: Arc<Program>,
    scenarios: Vec<LoadedScenario>,
    /// Of those whom no scenario is about.
    without: LoadedScenario,
    zero: Instant,
}

/// What the VUs of a scenario have in common.
#[derive(Clone, Default)]
struct LoadedScenario {
    function: String,
    facts: Arc<ScenarioFacts>,
    /// Iterations that all of them have begun.
    begun: Arc<AtomicU64>,
}

impl Loaded {
    fn new(program: Program, users: &[ScriptUsers]) -> Self {
        let of = |users: &ScriptUsers| LoadedScenario {
            function: users.function.clone(),
            facts: Arc::new(ScenarioFacts {
                name: users.name.clone(),
                executor: users.executor.to_owned(),
                started: Duration::ZERO,
                env: users.env.iter().cloned().collect(),
                tags: users.tags.iter().cloned().collect(),
            }),
            begun: Arc::default(),
        };
        Self {
            program: Arc::new(program),
            scenarios: users.iter().map(of).collect(),
            without: LoadedScenario {
                facts: Arc::new(ScenarioFacts {
                    name: DEFAULT_FUNCTION.to_owned(),
                    ..ScenarioFacts::default()
                }),
                ..LoadedScenario::default()
            },
            zero: Instant::now(),
        }
    }

    /// The scenario of a kind of users: the one that it names, else the first that runs what they
    /// run.
    fn scenario(&self, kind: &ScriptKind) -> LoadedScenario {
        let is_named = |s: &&LoadedScenario| s.facts.name == kind.scenario;
        let runs = |s: &&LoadedScenario| s.function == kind.function;
        let named = self.scenarios.iter().find(is_named);
        let found = named.or_else(|| self.scenarios.iter().find(runs));
        found.unwrap_or(&self.without).clone()
    }
}

impl MakesVus for Loaded {
    fn make(&self, number: u32, kind: &ScriptKind) -> Result<Box<dyn Talks>, String> {
        let identity = VuIdentity {
            id: number.into(),
            id_in_instance: number.into(),
        };
        let vu = Vu::new(&self.program, identity).map_err(|error| error.to_string())?;
        let LoadedScenario {
            facts: scenario,
            begun,
            ..
        } = self.scenario(kind);
        Ok(Box::new(Running {
            vu,
            zero: self.zero,
            scenario,
            begun,
            iterations: 0,
        }))
    }
}

/// A VU, and what it is told of each call.
struct Running {
    vu: Vu,
    zero: Instant,
    scenario: Arc<ScenarioFacts>,
    /// Iterations that all VUs of the scenario have begun.
    begun: Arc<AtomicU64>,
    iterations: u64,
}

impl Talks for Running {
    fn call(&mut self, called: &Called<'_>) {
        let kind = match called.of {
            Function::Iteration => CallKind::Iteration,
            Function::Setup => CallKind::Setup,
            Function::Teardown => CallKind::Teardown,
        };
        let call = Call {
            function: called.function.to_owned(),
            kind,
            data: called.data.cloned(),
            ..Call::default()
        };
        self.vu.call(match called.of {
            Function::Iteration => {
                let iteration = self.iterations;
                self.iterations += 1;
                Call {
                    scenario: Arc::clone(&self.scenario),
                    iteration,
                    iteration_in_scenario: iteration,
                    scenario_iteration: self.begun.fetch_add(1, Ordering::Relaxed),
                    ..call
                }
            }
            Function::Setup | Function::Teardown => call,
        });
    }

    fn turn(&mut self, happened: Vec<(OpId, Happened)>) -> Turn {
        self.vu.turn(self.zero.elapsed(), happened)
    }

    fn tags(&self) -> Arc<Tags> {
        self.vu.tags()
    }

    fn break_off(&mut self) {
        self.vu.break_off();
    }
}

/// Starts a script: reads it once more, runs its `setup`, and looks around.
pub(in crate::engine) async fn start(
    own: &ScriptPlan,
    order: Order<'_>,
) -> Result<Started, EngineError> {
    let program = load(own).map_err(|error| EngineError::Unfit(told(own, &error)))?;
    if own.crc32.is_some_and(|known| known != checksum(&program)) {
        let why = format!(
            "{} has changed since it was looked at; run it again",
            own.shown
        );
        return Err(EngineError::Unfit(why));
    }
    let spec = spec(own, &order, program);
    Ok(Started {
        engine: Box::new(ScriptEngine::start(spec, order.stopped).await?),
        warnings: Vec::new(),
    })
}

/// Runs `setup`, one iteration and `teardown`, and tells of them line by line.
pub(in crate::engine) async fn one(
    own: &ScriptPlan,
    order: Order<'_>,
    vu: u32,
    trace: Trace,
) -> Result<Canary, EngineError> {
    let program = load(own).map_err(|error| EngineError::Unfit(told(own, &error)))?;
    let mut spec = spec(own, &order, program);
    spec.native.threads = 1;
    spec.native.excerpts = true;
    spec.look(vu, trace).await
}

fn spec(own: &ScriptPlan, order: &Order<'_>, program: Program) -> ScriptSpec {
    let plan = order.plan;
    let populations = own.populations();
    let all: Vec<&str> = populations.iter().map(|p| p.name.as_str()).collect();
    let named = plan.named_steps();
    ScriptSpec {
        vus: Arc::new(Loaded::new(program, &own.own.users)),
        shown: own.shown.clone(),
        populations: populations
            .iter()
            .map(|population| {
                let names = names_of(&population.name, &all, &named);
                of_plan(population, own, order, names)
            })
            .collect(),
        setup: own.own.has("setup").then(|| own.setup_timeout()),
        has_teardown: own.own.has("teardown"),
        closes_each_cycle: own.own.closes_each_cycle,
        sheds_fail: plan.slo.texts().iter().any(|o| own.own.failed.contains(o)),
        hidden: own.secrets.clone(),
        seed: plan.seed,
        native: NativeSpec {
            populations: Vec::new(),
            window: WINDOW,
            threads: plan.threads.unwrap_or_else(cores),
            sources: plan.local_addresses.clone(),
            allowed: plan.target.allowed.clone(),
            network: order.network.clone(),
            excerpts: plan.excerpts,
        },
    }
}

/// Of the names in objectives those of one population, as it calls them itself: those of the others
/// begin with a name of theirs.
fn names_of(population: &str, all: &[&str], named: &[String]) -> Vec<String> {
    let of = |name: &str, one: &str| {
        let rest = name.strip_prefix(one)?;
        let own = rest.strip_prefix('.').map(str::to_owned);
        // A population's own name is all of its requests.
        own.or_else(|| rest.is_empty().then(String::new))
    };
    let others: Vec<&&str> = all.iter().filter(|one| !one.is_empty()).collect();
    let mine = named.iter().filter_map(|name| match population {
        "" => {
            let is_other = others.iter().any(|one| of(name, one).is_some());
            (!is_other).then(|| name.clone())
        }
        one => of(name, one),
    });
    mine.filter(|name| !name.is_empty()).collect()
}

fn of_plan(
    population: &ScriptPopulationPlan,
    own: &ScriptPlan,
    order: &Order<'_>,
    mut names: Vec<String>,
) -> ScriptPopulation {
    let mut metrics = if population.name.is_empty() {
        own.metrics.clone()
    } else {
        Vec::new()
    };
    // The engine has rows of these itself.
    let bare = |name: &str| -> String { name.split_whitespace().collect() };
    names.retain(|name| {
        let is_known = metrics.iter().any(|(known, _)| bare(known) == bare(name));
        name != ITERATION && !is_known
    });
    names.retain(|name| match row_of(&own.own, name) {
        Some(row) => {
            metrics.push((name.clone(), row));
            false
        }
        None => true,
    });
    ScriptPopulation {
        name: population.name.clone(),
        kinds: population.kinds.clone().into_iter().map(kind).collect(),
        load: load_of(population.amount, order.plan, order.climbs),
        fixed: population.amount.fixed(),
        names,
        metrics,
    }
}

fn kind(of: KindPlan) -> ScriptKind {
    ScriptKind {
        function: of.function,
        scenario: of.scenario,
        share: of.share,
    }
}
