//! A script as the load: `setup` and a look around before it, the load itself, and `teardown` after
//! it.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{Function, MakesVus, ScriptTable, ScriptWork, Seen};
use crate::engine::native::{LoadModel, NativeEngine, NativeSpec, Number, PopulationSpec};
use crate::engine::requests::few;
use crate::engine::trace::Trace;
use crate::engine::{Canary, Ended, Engine, EngineError, EngineInfo, Reply};
use crate::k6::MetricRow;
use crate::measure::{Level, LoadedAddress, Mix, Window};
use crate::scenario::Scenario;

/// What records call it.
const NAME: &str = "script";
/// Iterations of each function in the look around: at least, at most, and without a name that is
/// new.
const LOOK: (u32, u32, u32) = (1, 12, 3);
/// How long the look around may go on once each function had its turn.
const LOOK_LASTS: Duration = Duration::from_secs(10);
/// How long `teardown` may take.
const TEARDOWN: Duration = Duration::from_secs(60);
/// Texts of what iterations threw that are told.
const MOST_TOLD: usize = 3;

/// Which script, and how it is run.
pub struct ScriptSpec {
    /// Who makes its VUs.
    pub vus: Arc<dyn MakesVus>,
    /// The script as it was named.
    pub shown: String,
    /// The functions that VUs run, with their parts of the VUs; never empty.
    pub functions: Vec<(String, u32)>,
    /// How long `setup` may take, where there is one.
    pub setup: Option<Duration>,
    /// Whether there is a `teardown`.
    pub has_teardown: bool,
    /// Whether connections are closed after each iteration.
    pub closes_each_cycle: bool,
    /// Whether answers that shed count as failures.
    pub sheds_fail: bool,
    /// Names of requests that objectives ask for.
    pub names: Vec<String>,
    /// The script's own metrics that objectives ask for.
    pub metrics: Vec<(String, MetricRow)>,
    /// What is never shown: values that the script was given.
    pub hidden: Vec<String>,
    /// What a level means.
    pub load: LoadModel,
    /// Seed of all random values.
    pub seed: u64,
    /// How the engine runs; its populations are left empty.
    pub native: NativeSpec,
}

impl ScriptSpec {
    fn work(&self, table: ScriptTable) -> ScriptWork {
        ScriptWork {
            closes_each_cycle: self.closes_each_cycle,
            sheds_fail: self.sheds_fail,
            ..ScriptWork::new(
                Arc::clone(&self.vus),
                &self.functions,
                table,
                self.hidden.clone(),
            )
        }
    }

    fn engine(&self, work: &Arc<ScriptWork>) -> Result<NativeEngine, EngineError> {
        let users = PopulationSpec {
            scenario: Arc::new(Scenario::of_script(work.table.steps())),
            script: Some(Arc::clone(work)),
            load: self.load,
            number: Number::Level,
            seed: self.seed,
        };
        NativeEngine::start(NativeSpec {
            populations: vec![users],
            ..self.native.clone()
        })
    }

    /// Runs `setup`, and iterations one after the other until no new name comes up. Where it ends
    /// there, `teardown` undoes what `setup` did.
    async fn look_around(&self, work: &Arc<ScriptWork>) -> Result<Around, EngineError> {
        let mut engine = self.engine(work)?;
        let looked = match self.set_up(&mut engine, work, None).await {
            Ok(data) => {
                let looked = self.looks(&mut engine, work, data).await;
                if looked.is_err() {
                    self.tear_down(work, None).await;
                }
                looked
            }
            Err(error) => Err(error),
        };
        engine.stop().await;
        looked
    }

    /// Runs `teardown`, where there is one, on threads of its own: those of the load may have ended
    /// for an error. What goes wrong there spoils nothing that was measured.
    async fn tear_down(&self, work: &Arc<ScriptWork>, trace: Option<Trace>) {
        if !self.has_teardown {
            return;
        }
        let Ok(mut engine) = self.engine(work) else {
            return;
        };
        let teardown = engine.look_at(Function::Teardown, 0, trace);
        let _ = tokio::time::timeout(TEARDOWN, teardown).await;
        engine.stop().await;
    }

    async fn looks(
        &self,
        engine: &mut NativeEngine,
        work: &Arc<ScriptWork>,
        data: Option<Arc<str>>,
    ) -> Result<Around, EngineError> {
        let began = tokio::time::Instant::now();
        let kinds = Mix::new(&self.shares());
        for kind in 0..kinds.kinds() {
            let (least, most, still) = LOOK;
            let (mut known, mut quiet) = (work.seen().late.names().len(), 0);
            for looked in 0..most {
                let enough = quiet >= still || began.elapsed() >= LOOK_LASTS;
                if looked >= least && enough {
                    break;
                }
                engine
                    .look_at(Function::Iteration, kinds.number(kind, 0), None)
                    .await?;
                let now = work.seen().late.names().len();
                quiet = if now == known { quiet + 1 } else { 0 };
                known = now;
            }
        }
        self.around(&work.seen(), data)
    }

    /// Runs `setup`, where there is one; gives what it returned.
    async fn set_up(
        &self,
        engine: &mut NativeEngine,
        work: &Arc<ScriptWork>,
        trace: Option<Trace>,
    ) -> Result<Option<Arc<str>>, EngineError> {
        let Some(limit) = self.setup else {
            return Ok(None);
        };
        let went = tokio::time::timeout(limit, engine.look_at(Function::Setup, 0, trace));
        let went = went.await.map_err(|_| {
            let limit = limit.as_secs_f64();
            EngineError::Unfit(format!("setup() of {} took over {limit} s", self.shown))
        })?;
        // Only what it throws fails it.
        if let Canary::Failed(failure) = went? {
            let why = &failure.message;
            let text = format!("setup() of {} failed: {why}", self.shown);
            return Err(EngineError::Unfit(text));
        }
        let data: Option<Arc<str>> = work.seen().returned.take().map(Into::into);
        if let Some(data) = &data {
            // The first that is set stays.
            let _ = work.data.set(Arc::clone(data));
        }
        Ok(data)
    }

    /// Runs `setup`, one iteration of a VU and `teardown`, and tells of them line by line.
    ///
    /// # Errors
    /// When `setup` fails, or the script ends the run.
    pub async fn look(&self, vu: u32, trace: Trace) -> Result<Canary, EngineError> {
        let table = ScriptTable::new(BTreeSet::new(), &self.names, self.metrics.clone());
        let work = Arc::new(self.work(table));
        let mut engine = self.engine(&work)?;
        let set_up = self.set_up(&mut engine, &work, Some(trace.clone())).await;
        let went = match set_up {
            Ok(_) => {
                let look = engine.look_at(Function::Iteration, vu, Some(trace.clone()));
                let went = look.await;
                self.tear_down(&work, Some(trace)).await;
                went
            }
            Err(error) => Err(error),
        };
        engine.stop().await;
        went
    }

    fn shares(&self) -> Vec<u32> {
        self.functions.iter().map(|(_, share)| *share).collect()
    }

    fn around(&self, seen: &Seen, data: Option<Arc<str>>) -> Result<Around, EngineError> {
        let threw: u64 = seen.threw.values().sum();
        if threw > 0 && threw >= seen.iterations {
            let why = seen.threw.keys().next().map_or("", String::as_str);
            return Err(EngineError::Unfit(format!(
                "every iteration of {0} threw: {why}; look at one with `breakpoint try --script \
                 {0}`",
                self.shown
            )));
        }
        if seen.late.names().is_empty() {
            return Err(EngineError::Unfit(format!(
                "{} made no HTTP request in {} iterations, and nothing else is measured",
                self.shown, seen.iterations
            )));
        }
        let iterations = u32::try_from(seen.iterations).unwrap_or(u32::MAX).max(1);
        Ok(Around {
            names: seen.late.names().clone(),
            data,
            think: seen.thought / iterations,
            requests: seen.requests / u64::from(iterations),
        })
    }
}

/// What a look around saw.
struct Around {
    names: BTreeSet<String>,
    data: Option<Arc<str>>,
    /// Mean think time of an iteration.
    think: Duration,
    /// Requests of an iteration.
    requests: u64,
}

/// A script that makes the load.
pub struct ScriptEngine {
    inner: NativeEngine,
    work: Arc<ScriptWork>,
    spec: ScriptSpec,
}

impl ScriptEngine {
    /// Runs `setup` and looks around: what the requests are called, and how long the script
    /// thinks. That ends when `told` is ready, which is when the user stops it.
    ///
    /// # Errors
    /// When `setup` fails, every iteration throws, or the script sends nothing or goes where it is
    /// not allowed to.
    pub async fn start(
        spec: ScriptSpec,
        told: impl Future<Output = ()>,
    ) -> Result<Self, EngineError> {
        // Nothing has a row yet, so that all names are new.
        let work = spec.work(ScriptTable::new(BTreeSet::new(), &[], Vec::new()));
        let work = Arc::new(work);
        let around = tokio::select! {
            around = spec.look_around(&work) => around?,
            () = told => return Err(EngineError::Start("interrupted".to_owned())),
        };
        let table = ScriptTable::new(around.names, &spec.names, spec.metrics.clone());
        let work = Arc::new(ScriptWork {
            mean_think: around.think,
            data: around.data.map(OnceLock::from).unwrap_or_default(),
            ..spec.work(table)
        });
        let requests = u32::try_from(around.requests).unwrap_or(u32::MAX).max(1);
        let info = EngineInfo {
            think_s: (around.think / requests).as_secs_f64(),
            target: spec.shown.clone(),
            ..EngineInfo::new(NAME, work.table.steps())
        };
        Ok(Self {
            inner: spec.engine(&work)?.described(info),
            spec,
            work,
        })
    }

    async fn end(self) {
        self.inner.stop().await;
        self.spec.tear_down(&self.work, None).await;
    }
}

impl Engine for ScriptEngine {
    fn describe(&self) -> EngineInfo {
        self.inner.describe()
    }

    fn set_level(&mut self, level: Level) -> Reply<'_, ()> {
        self.inner.set_level(level)
    }

    fn next_window(&mut self) -> Reply<'_, Window> {
        self.inner.next_window()
    }

    fn canary(&mut self) -> Reply<'_, Canary> {
        self.inner.canary()
    }

    fn halt(&mut self) -> Reply<'_, ()> {
        self.inner.halt()
    }

    fn stop(self: Box<Self>) -> Ended {
        Box::pin(self.end())
    }

    fn addresses(&self) -> Vec<LoadedAddress> {
        self.inner.addresses()
    }

    fn notes(&self) -> Vec<String> {
        let seen = self.work.seen();
        let mut out = Vec::new();
        if !seen.late.names().is_empty() {
            out.push(format!(
                "requests named {} have no row of their own, because they first appeared during \
                 the run (or there are too many names); they count only in the totals. Give \
                 related requests one name in the script (tags: {{ name: '...' }})",
                few(seen.late.names())
            ));
        }
        let threw: u64 = seen.threw.values().sum();
        if threw > 0 {
            let mut most: Vec<(&String, &u64)> = seen.threw.iter().collect();
            most.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
            let most: Vec<String> = (most.iter().take(MOST_TOLD))
                .map(|(message, n)| format!("{message} ({n})"))
                .collect();
            out.push(format!(
                "{threw} of {} iterations of {} threw: {}",
                seen.iterations,
                self.spec.shown,
                most.join("; ")
            ));
        }
        out
    }
}
