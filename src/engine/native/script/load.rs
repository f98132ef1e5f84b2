//! From a script's file to VUs that run it, and from a plan to an engine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use breakpoint_script::exchange::{Happened, MetricKind, OpId, Tags, Turn};
use breakpoint_script::{
    Call, CallKind, Files, Given, LoadError, Program, ScenarioFacts, Vu, VuIdentity,
};
use serde_json::{Map, Value};

use super::{Called, Function, MakesVus, ScriptEngine, ScriptSpec, Talks};
use crate::bounded;
use crate::engine::native::NativeSpec;
use crate::engine::native::start::{WINDOW, cores, load_of};
use crate::engine::trace::Trace;
use crate::engine::{Canary, EngineError, Order, Started};
use crate::k6::{Declared, DeclaredKind, ITERATION, OwnScript, Script, ScriptInfo, row_of};
use crate::plan::{Amount, ScriptPlan};

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
        let all = std::env::vars_os();
        env.extend(all.filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }));
    }
    env.extend(own.env.iter().cloned());
    let given = Given {
        env,
        ..Given::default()
    };
    Program::load(&own.script, &Below::of(&own.script), &given)
}

/// Why a script cannot be run, with the place once and without secrets.
fn told(own: &ScriptPlan, error: &LoadError) -> String {
    own.hidden
        .in_text(&format!("cannot run {}: {error}", own.shown))
}

/// Asks a script what it says of itself.
///
/// # Errors
/// When it cannot be run.
pub(in crate::engine) fn inspect(own: &ScriptPlan) -> Result<ScriptInfo, String> {
    let program = load(own).map_err(|error| told(own, &error))?;
    let declared = program.metrics().iter().map(|metric| Declared {
        name: metric.name.to_string(),
        kind: match metric.kind {
            MetricKind::Trend => DeclaredKind::Trend,
            MetricKind::Rate => DeclaredKind::Rate,
            MetricKind::Counter => DeclaredKind::Counter,
            MetricKind::Gauge => DeclaredKind::Gauge,
        },
    });
    let options = options_of(&program);
    let functions = program.functions().to_vec();
    let mut said = OwnScript::new(functions, declared.collect(), &options);
    let crc32 = checksum(&program);
    let mut first =
        Vu::new(&Arc::new(program), VuIdentity::default()).map_err(|error| told(own, &error))?;
    said.vu_memory = u64::try_from(first.memory()).ok();
    let script = Script::of_own(&options, said);
    Ok(ScriptInfo {
        version: None,
        script: script.map_err(|why| own.hidden.in_text(&why.to_string()))?,
        crc32,
    })
}

fn options_of(program: &Program) -> Map<String, Value> {
    program.options().as_object().cloned().unwrap_or_default()
}

/// Of all files that belong to a script.
fn checksum(program: &Program) -> u32 {
    let mut all: Vec<String> = (program.sources().iter())
        .map(|source| format!("{} {}\n", source.name, source.crc32))
        .collect();
    all.sort_unstable();
    crc32fast::hash(all.concat().as_bytes())
}

/// Texts by name.
fn pairs(all: Option<&Value>) -> BTreeMap<String, String> {
    let all = all.and_then(Value::as_object).into_iter().flatten();
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    all.map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

/// Makes the VUs of a script.
struct Loaded {
    /// The tags of the whole test.
    tags: BTreeMap<String, String>,
    program: Arc<Program>,
    /// By function.
    scenarios: BTreeMap<String, (Arc<ScenarioFacts>, Arc<AtomicU64>)>,
    zero: Instant,
}

impl Loaded {
    fn new(program: Program) -> Self {
        let mut scenarios = BTreeMap::new();
        let options = options_of(&program);
        let tags = pairs(options.get("tags"));
        let all = options.get("scenarios").and_then(Value::as_object);
        for (name, scenario) in all.into_iter().flatten() {
            let text = |key: &str| scenario.get(key).and_then(Value::as_str);
            let mut own_tags = tags.clone();
            own_tags.extend(pairs(scenario.get("tags")));
            let facts = ScenarioFacts {
                name: name.clone(),
                executor: text("executor").unwrap_or_default().to_owned(),
                started: Duration::ZERO,
                env: pairs(scenario.get("env")),
                tags: own_tags,
            };
            let function = text("exec").unwrap_or(crate::k6::DEFAULT_FUNCTION);
            let begun = Arc::new(AtomicU64::new(0));
            scenarios
                .entry(function.to_owned())
                .or_insert_with(|| (Arc::new(facts), begun));
        }
        Self {
            program: Arc::new(program),
            scenarios,
            tags,
            zero: Instant::now(),
        }
    }

    fn scenario(&self, function: &str) -> (Arc<ScenarioFacts>, Arc<AtomicU64>) {
        let known = self.scenarios.get(function).cloned();
        known.unwrap_or_else(|| {
            let facts = ScenarioFacts {
                name: "default".to_owned(),
                tags: self.tags.clone(),
                ..ScenarioFacts::default()
            };
            (Arc::new(facts), Arc::default())
        })
    }
}

impl MakesVus for Loaded {
    fn make(&self, number: u32, function: &str) -> Result<Box<dyn Talks>, String> {
        let identity = VuIdentity {
            id: number.into(),
            id_in_instance: number.into(),
        };
        let vu = Vu::new(&self.program, identity).map_err(|error| error.to_string())?;
        let (scenario, begun) = self.scenario(function);
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
    let mut metrics = own.metrics.clone();
    let mut names = plan.named_steps();
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
    ScriptSpec {
        vus: Arc::new(Loaded::new(program)),
        shown: own.shown.clone(),
        functions: own
            .functions
            .iter()
            .map(|f| (f.name.clone(), f.weight))
            .collect(),
        setup: own.own.has("setup").then(|| own.setup_timeout()),
        has_teardown: own.own.has("teardown"),
        closes_each_cycle: own.own.closes_each_cycle,
        names,
        metrics,
        hidden: own.secrets.clone(),
        load: load_of(Amount::Searched, plan, order.climbs),
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
