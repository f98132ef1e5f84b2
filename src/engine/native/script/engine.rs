//! A script as the load: `setup` and a look around before it, the load itself, and `teardown` after
//! it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{Function, MakesVus, ScriptKind, ScriptTable, ScriptWork, Seen};
use crate::engine::native::{LoadModel, NativeEngine, NativeSpec, Number, PopulationSpec, vus_of};
use crate::engine::requests::few;
use crate::engine::trace::Trace;
use crate::engine::{Canary, Ended, Engine, EngineError, EngineInfo, Reply};
use crate::k6::MetricRow;
use crate::measure::{Level, LoadedAddress, StepTable, Window};
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
    /// Everybody who loads the target, those who are searched last; never empty.
    pub populations: Vec<ScriptPopulation>,
    /// How long `setup` may take, where there is one.
    pub setup: Option<Duration>,
    /// Whether there is a `teardown`.
    pub has_teardown: bool,
    /// Whether connections are closed after each iteration.
    pub closes_each_cycle: bool,
    /// Whether answers that shed count as failures.
    pub sheds_fail: bool,
    /// What is never shown: values that the script was given.
    pub hidden: Vec<String>,
    /// Seed of all random values.
    pub seed: u64,
    /// How the engine runs; its populations are left empty.
    pub native: NativeSpec,
}

/// Users of a script who share a level, or have a number of their own.
pub struct ScriptPopulation {
    /// The name of those who have a number of their own, which their rows have too; empty for those
    /// who are searched.
    pub name: String,
    /// The kinds of them; never empty.
    pub kinds: Vec<ScriptKind>,
    /// What a level of them means.
    pub load: LoadModel,
    /// How many there are; `None` where the level says it.
    pub fixed: Option<Level>,
    /// Names of requests that objectives ask for.
    pub names: Vec<String>,
    /// The script's own metrics that objectives ask for.
    pub metrics: Vec<(String, MetricRow)>,
}

impl ScriptPopulation {
    fn table(&self, seen: BTreeSet<String>) -> ScriptTable {
        ScriptTable::new(seen, &self.names, self.metrics.clone())
    }

    /// VUs that it may have, where the level does not say it.
    fn vus(&self) -> u32 {
        match (self.fixed, self.load) {
            (None, _) => 0,
            (Some(vus), LoadModel::Closed { .. }) => vus.get(),
            (Some(rate), LoadModel::Open { .. }) => vus_of(rate),
        }
    }
}

impl ScriptSpec {
    /// One for each population, whose rows `tables` are.
    fn works(&self, tables: Vec<ScriptTable>) -> Vec<Arc<ScriptWork>> {
        let mut numbers_before: u32 = 0;
        let each = self.populations.iter().zip(tables);
        each.map(|(population, table)| {
            let before = numbers_before;
            numbers_before = before.saturating_add(population.vus());
            let vus = Arc::clone(&self.vus);
            Arc::new(ScriptWork {
                closes_each_cycle: self.closes_each_cycle,
                sheds_fail: self.sheds_fail,
                numbers_before: before,
                ..ScriptWork::new(vus, &population.kinds, table, self.hidden.clone())
            })
        })
        .collect()
    }

    /// An engine with some of them: the first of these is `first`, and the last is one who looks.
    fn engine(&self, first: usize, works: &[Arc<ScriptWork>]) -> Result<NativeEngine, EngineError> {
        // Those who are searched, who are last, draw from the seed itself.
        let others = u64::try_from(self.populations.len().saturating_sub(1)).unwrap_or(u64::MAX);
        let seeds = (1..=others).chain([0]);
        let all = self.populations.iter().zip(seeds).skip(first);
        let populations = all
            .zip(works)
            .map(|((population, seed), work)| PopulationSpec {
                scenario: Arc::new(Scenario::of_script(work.table.steps())),
                script: Some(Arc::clone(work)),
                load: population.load,
                number: population.fixed.map_or(Number::Level, Number::Fixed),
                // Populations that draw alike would march in step.
                seed: self.seed.wrapping_add(seed),
            });
        NativeEngine::start(NativeSpec {
            populations: populations.collect(),
            ..self.native.clone()
        })
    }

    /// Runs `setup`, and then iterations of each kind one after the other until no new name comes
    /// up. What it finds is for each population in order.
    async fn look_around(&self) -> Result<Vec<Around>, EngineError> {
        // Nothing has a row yet, so that all names are new.
        let nothing = |_: &ScriptPopulation| ScriptTable::new(BTreeSet::new(), &[], Vec::new());
        let works = self.works(self.populations.iter().map(nothing).collect());
        let mut all = Vec::new();
        for (index, work) in works.iter().enumerate() {
            let mut engine = self.engine(index, std::slice::from_ref(work))?;
            let data = match all.first() {
                None => self.set_up(&mut engine, work, None).await?,
                Some(Around { data, .. }) => {
                    // It runs once for all. The first that is set stays.
                    let _ = data.clone().map(|data| work.data.set(data));
                    data.clone()
                }
            };
            let looked = self.looks(&mut engine, work, data).await;
            engine.stop().await;
            if looked.is_err() {
                self.tear_down(index, work, None).await;
            }
            all.push(looked?);
        }
        Ok(all)
    }

    /// Runs `teardown`, where there is one, as the users of `population`, on threads of its own:
    /// those of the load may have ended for an error. What goes wrong there spoils nothing that was
    /// measured.
    async fn tear_down(&self, population: usize, work: &Arc<ScriptWork>, trace: Option<Trace>) {
        if !self.has_teardown {
            return;
        }
        let Ok(mut engine) = self.engine(population, std::slice::from_ref(work)) else {
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
        let kinds = &work.mix;
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
        let last = self.populations.len().saturating_sub(1);
        let table = |of: &ScriptPopulation| of.table(BTreeSet::new());
        let mut works = self.works(self.populations.iter().map(table).collect());
        let work = works.split_off(last).remove(0);
        let mut engine = self.engine(last, std::slice::from_ref(&work))?;
        let set_up = self.set_up(&mut engine, &work, Some(trace.clone())).await;
        let went = match set_up {
            Ok(_) => {
                let look = engine.look_at(Function::Iteration, vu, Some(trace.clone()));
                let went = look.await;
                self.tear_down(last, &work, Some(trace)).await;
                went
            }
            Err(error) => Err(error),
        };
        engine.stop().await;
        went
    }

    /// What all of them do: the rows of those who are searched are the last.
    fn info(&self, works: &[Arc<ScriptWork>], around: &[Around]) -> EngineInfo {
        let tables: Vec<StepTable> = works.iter().map(|work| work.table.steps()).collect();
        let named = self.populations.iter().zip(&tables);
        let mut named: Vec<(&str, &StepTable)> = named
            .map(|(population, table)| (population.name.as_str(), table))
            .collect();
        let users = named.pop().map(|(_, table)| table);
        let steps = users.map_or_else(
            || StepTable::of_requests([]),
            |users| StepTable::of_populations(&named, users, None),
        );
        let think_s = around.last().map_or(0.0, |around| {
            let requests = u32::try_from(around.requests).unwrap_or(u32::MAX).max(1);
            (around.think / requests).as_secs_f64()
        });
        EngineInfo {
            think_s,
            target: self.shown.clone(),
            ..EngineInfo::new(NAME, steps)
        }
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
    works: Vec<Arc<ScriptWork>>,
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
        let around = tokio::select! {
            around = spec.look_around() => around?,
            () = told => return Err(EngineError::Start("interrupted".to_owned())),
        };
        let tables = spec.populations.iter().zip(&around);
        let tables = tables.map(|(population, around)| population.table(around.names.clone()));
        let works = spec.works(tables.collect());
        let seen = works.into_iter().zip(&around);
        let works: Vec<Arc<ScriptWork>> = seen
            .filter_map(|(work, around)| {
                // Nobody else has it yet.
                let work = Arc::into_inner(work)?;
                let data = around.data.clone();
                Some(Arc::new(ScriptWork {
                    mean_think: around.think,
                    data: data.map(OnceLock::from).unwrap_or_default(),
                    ..work
                }))
            })
            .collect();
        let info = spec.info(&works, &around);
        Ok(Self {
            inner: spec.engine(0, &works)?.described(info),
            spec,
            works,
        })
    }

    async fn end(self) {
        self.inner.stop().await;
        if let Some(work) = self.works.last() {
            let last = self.works.len() - 1;
            self.spec.tear_down(last, work, None).await;
        }
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
        let mut out = Vec::new();
        let mut late = BTreeSet::new();
        let (mut threw, mut iterations) = (BTreeMap::<String, u64>::new(), 0);
        for work in &self.works {
            let seen = work.seen();
            late.extend(seen.late.names().iter().cloned());
            iterations += seen.iterations;
            for (text, count) in &seen.threw {
                *threw.entry(text.clone()).or_default() += count;
            }
        }
        if !late.is_empty() {
            out.push(format!(
                "requests named {} have no row of their own, because they first appeared during \
                 the run (or there are too many names); they count only in the totals. Give \
                 related requests one name in the script (tags: {{ name: '...' }})",
                few(&late)
            ));
        }
        let all: u64 = threw.values().sum();
        if all > 0 {
            let mut most: Vec<(&String, &u64)> = threw.iter().collect();
            most.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
            let most: Vec<String> = (most.iter().take(MOST_TOLD))
                .map(|(message, n)| format!("{message} ({n})"))
                .collect();
            out.push(format!(
                "{all} of {iterations} iterations of {} threw: {}",
                self.spec.shown,
                most.join("; ")
            ));
        }
        out
    }
}
