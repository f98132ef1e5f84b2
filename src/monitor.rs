//! Monitors: what the target's containers, processes, Redis and metrics say of themselves, once a
//! second, and what they log.
//!
//! Each source polls in a task of its own with a deadline of its own, so that a slow one delays
//! neither the load nor the others. A sample that failed or is late is a gap, never a zero.

mod cgroup;
mod counter;
mod docker;
mod host;
mod kernel;
mod log;
mod process;
mod prometheus;
mod redis;
mod web;

#[cfg(any(test, fuzzing))]
pub(crate) use self::redis::{fuzz as fuzz_redis, fuzz_wire as fuzz_redis_wire};
#[cfg(any(test, fuzzing))]
pub(crate) use docker::fuzz as fuzz_docker;
#[cfg(any(test, fuzzing))]
pub(crate) use prometheus::fuzz as fuzz_prometheus;

pub(crate) use self::redis::RedisConnection;

use std::borrow::Cow;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::measure::fields::{self, MonitorField};
use crate::measure::{LogLine, Reading};
use crate::plan::{MonitorPlan, MonitorSource};
pub(crate) use docker::DockerEngine;
use log::{Inbox, LogFollower};

/// Time between two samples.
const PERIOD: Duration = Duration::from_secs(1);
/// Time that one sample may take.
const DEADLINE: Duration = Duration::from_millis(1900);
/// Age at which a sample counts as late.
const STALE: Duration = Duration::from_millis(2500);

/// Why a sample failed.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// A file could not be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// What was read is not what was expected.
    #[error("{0}")]
    Unexpected(String),
    /// The service that is asked does not answer.
    #[error("{0}")]
    NoAnswer(String),
    /// The sample took too long.
    #[error("no answer within {:.1} s", DEADLINE.as_secs_f64())]
    Late,
}

/// The name of a field: one of a source's own, or one that a profile gives.
type Field = Cow<'static, str>;

/// What one sample saw.
#[derive(Debug, Clone, Default, PartialEq)]
struct Sample {
    /// Field and value; a field that is not here is a gap.
    values: Vec<(Field, f64)>,
    /// Field and limit.
    limits: Vec<(Field, f64)>,
    /// What is wrong although there are values.
    problem: Option<String>,
}

impl Sample {
    fn put(&mut self, field: impl Into<Field>, value: Option<f64>) {
        if let Some(value) = value.filter(|v| v.is_finite()) {
            self.values.push((field.into(), value));
        }
    }

    fn limit(&mut self, field: impl Into<Field>, limit: Option<f64>) {
        if let Some(limit) = limit.filter(|l| l.is_finite() && *l > 0.0) {
            self.limits.push((field.into(), limit));
        }
    }
}

/// What is known of one monitor now.
#[derive(Debug)]
struct Latest {
    name: String,
    fields: Vec<Field>,
    memory_limit: Option<u64>,
    sample: Sample,
    taken: Option<Instant>,
    /// When the last sample that has ended, well or not, began.
    asked: Option<Instant>,
    problem: Option<String>,
    inbox: Inbox,
}

type SharedLatest = Arc<Mutex<Latest>>;

/// All monitors of a run.
#[derive(Debug)]
pub struct MonitorHub {
    monitors: Vec<SharedLatest>,
    tasks: Vec<JoinHandle<()>>,
}

impl MonitorHub {
    /// Starts to poll; needs a tokio runtime to run on. Connections are opened now, before the
    /// load.
    pub fn start(plans: Vec<MonitorPlan>) -> Self {
        let mut monitors = Vec::new();
        let mut tasks = Vec::new();
        for plan in plans {
            let inbox = Inbox::new(plan.log_match.clone());
            if let Some(path) = &plan.log {
                let follower = LogFollower::new(path);
                // Where the service may run in a container, the file is that of the process that it
                // else would be.
                let must_exist = container(&plan.source).is_none();
                let following = log::follow(follower, inbox.clone(), must_exist);
                tasks.push(tokio::spawn(following));
            }
            if let Some(name) = container(&plan.source) {
                tasks.push(tokio::spawn(docker::events(name.to_owned(), inbox.clone())));
                tasks.push(tokio::spawn(docker::log(name.to_owned(), inbox.clone())));
            }
            let source = Source::new(&plan, &inbox);
            let shared = Arc::new(Mutex::new(Latest {
                name: plan.name,
                fields: source.fields(),
                memory_limit: plan.memory_limit,
                sample: Sample::default(),
                taken: None,
                asked: None,
                problem: None,
                inbox,
            }));
            tasks.push(tokio::spawn(poll(source, Arc::clone(&shared))));
            monitors.push(shared);
        }
        Self { monitors, tasks }
    }

    /// Waits until every monitor has a sample, or has failed once, or the time is up.
    pub async fn warm_up(&self, at_most: Duration) {
        let end = Instant::now() + at_most;
        let ready = |m: &SharedLatest| {
            let latest = lock(m);
            latest.taken.is_some() || latest.problem.is_some()
        };
        while !self.monitors.iter().all(ready) && Instant::now() < end {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until every monitor was asked anew and has answered or failed: what it reads then is
    /// not from before.
    pub fn asked_again(&self) -> impl Future<Output = ()> + Send + use<> {
        let monitors = self.monitors.clone();
        async move {
            let from = Instant::now();
            let asked = |m: &SharedLatest| lock(m).asked.is_some_and(|asked| asked >= from);
            // It ends: every monitor is polled once a second with a deadline.
            while !monitors.iter().all(asked) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// The latest readings of every field of every monitor, gaps included. Returns at once.
    pub fn snapshot(&self) -> Vec<Reading> {
        snapshot(&self.monitors)
    }

    /// What somebody else may read beside the run.
    pub fn view(&self) -> View {
        View(self.monitors.clone())
    }

    /// The limits of those fields that have one, as far as they are known by now.
    pub fn limits(&self) -> Vec<Reading> {
        let mut readings = Vec::new();
        for monitor in &self.monitors {
            let latest = lock(monitor);
            let mut limits = latest.sample.limits.clone();
            if find(&limits, "memory").is_none()
                && let Some(bytes) = latest.memory_limit
            {
                limits.push(("memory".into(), counter::float(bytes)));
            }
            readings.extend(limits.into_iter().map(|(field, limit)| Reading {
                monitor: latest.name.clone(),
                field: field.into_owned(),
                value: Some(limit),
            }));
        }
        readings
    }

    /// What the services logged since the last time. Returns at once.
    pub fn lines(&self) -> Vec<LogLine> {
        let of = |m: &SharedLatest| {
            let latest = lock(m);
            latest.inbox.fetch(&latest.name)
        };
        self.monitors.iter().flat_map(of).collect()
    }

    /// The monitors whose last sample failed or whose log cannot be followed, each with why.
    pub fn problems(&self) -> Vec<String> {
        let texts = |m: &SharedLatest| {
            let latest = lock(m);
            let both = latest.problem.clone().into_iter();
            let both = both.chain(latest.inbox.problem());
            both.map(|problem| format!("monitor {}: {problem}", latest.name))
                .collect::<Vec<_>>()
        };
        self.monitors.iter().flat_map(texts).collect()
    }

    /// Ends the polling.
    pub async fn stop(mut self) {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            // An aborted task ends with an error by design.
            task.await.ok();
        }
    }
}

impl Drop for MonitorHub {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// The readings of all monitors of a run, for whoever looks beside it.
#[derive(Debug, Clone)]
pub struct View(Vec<SharedLatest>);

impl View {
    /// As [`MonitorHub::snapshot`].
    pub fn snapshot(&self) -> Vec<Reading> {
        snapshot(&self.0)
    }
}

fn snapshot(monitors: &[SharedLatest]) -> Vec<Reading> {
    let now = Instant::now();
    let mut readings = Vec::new();
    for monitor in monitors {
        let latest = lock(monitor);
        let fresh = latest.taken.is_some_and(|t| now - t <= STALE);
        readings.extend(latest.fields.iter().map(|field| Reading {
            monitor: latest.name.clone(),
            field: field.clone().into_owned(),
            value: fresh.then(|| find(&latest.sample.values, field)).flatten(),
        }));
    }
    readings
}

/// The name of the container that a source may be.
fn container(source: &MonitorSource) -> Option<&str> {
    match source {
        MonitorSource::Docker(name) | MonitorSource::DockerOrPidFile(name, _) => Some(name),
        _ => None,
    }
}

fn lock(shared: &SharedLatest) -> MutexGuard<'_, Latest> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn find(values: &[(Field, f64)], field: &str) -> Option<f64> {
    values.iter().find(|(f, _)| *f == field).map(|(_, v)| *v)
}

async fn poll(mut source: Source, shared: SharedLatest) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let asked = Instant::now();
        let sampled = tokio::time::timeout(DEADLINE, source.sample()).await;
        let mut latest = lock(&shared);
        latest.asked = Some(asked);
        match sampled.unwrap_or(Err(MonitorError::Late)) {
            Ok(mut sample) => {
                // A limit, once read, outlives the container that it was read from.
                for (field, limit) in &latest.sample.limits {
                    if find(&sample.limits, field).is_none() {
                        sample.limits.push((field.clone(), *limit));
                    }
                }
                latest.problem = sample.problem.take();
                latest.sample = sample;
                latest.taken = Some(Instant::now());
            }
            Err(error) => {
                latest.sample.values.clear();
                latest.problem = Some(error.to_string());
            }
        }
    }
}

/// Where samples come from. Files under `/proc` and `/sys` are read in place: they never block and
/// take 0.2 ms.
#[derive(Debug)]
enum Source {
    Cgroup(cgroup::Group),
    Process(process::Process),
    Docker(docker::Container),
    DockerOrProcess(Box<docker::ContainerOrProcess>),
    Redis(redis::Server),
    Prometheus(prometheus::Page),
    PromQl(prometheus::Queries),
    Host(host::Host),
}

impl Source {
    /// `has_log` is whether a file is followed, whose lines `inbox` hears.
    fn new(plan: &MonitorPlan, inbox: &Inbox) -> Self {
        match &plan.source {
            MonitorSource::Cgroup(dir) => Self::Cgroup(cgroup::Group::new(dir)),
            MonitorSource::PidFile(path) => Self::Process(process::Process::new(path)),
            MonitorSource::Docker(name) => Self::Docker(docker::Container::new(name)),
            MonitorSource::DockerOrPidFile(name, path) => {
                Self::DockerOrProcess(Box::new(docker::ContainerOrProcess::new(name, path)))
            }
            MonitorSource::Redis(url) => {
                let log = plan.log.is_some().then(|| inbox.clone());
                Self::Redis(redis::Server::new(url, &plan.connect.allowed, log))
            }
            MonitorSource::Prometheus(url, metrics) => {
                Self::Prometheus(prometheus::Page::new(url, metrics, &plan.connect))
            }
            MonitorSource::PromQl(server, queries) => {
                Self::PromQl(prometheus::Queries::new(server, queries, &plan.connect))
            }
            MonitorSource::Host => Self::Host(host::Host::default()),
        }
    }

    fn fields(&self) -> Vec<Field> {
        let own = |tables: &[&'static [MonitorField]]| {
            let names = tables.iter().copied().flat_map(fields::names);
            names.map(Field::Borrowed).collect()
        };
        match self {
            Self::Cgroup(_) => own(&[fields::CONTROL_GROUP]),
            Self::Process(_) => own(&[fields::PROCESS]),
            Self::Docker(_) | Self::DockerOrProcess(_) => {
                own(&[fields::PROCESS, fields::CONTAINER])
            }
            Self::Redis(_) => own(&[fields::REDIS]),
            Self::Host(_) => own(&[fields::HOST]),
            Self::Prometheus(page) => page.fields(),
            Self::PromQl(queries) => queries.fields(),
        }
    }

    async fn sample(&mut self) -> Result<Sample, MonitorError> {
        match self {
            Self::Cgroup(group) => group.sample(),
            Self::Process(process) => process.sample(),
            Self::Docker(container) => container.sample().await,
            Self::DockerOrProcess(either) => either.sample().await,
            Self::Redis(server) => server.sample().await,
            Self::Prometheus(page) => page.sample().await,
            Self::PromQl(queries) => queries.sample().await,
            Self::Host(host) => host.sample(),
        }
    }
}

#[cfg(test)]
mod tests;
