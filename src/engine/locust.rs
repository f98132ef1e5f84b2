//! An existing Locust cluster as the load engine: levels are its users, windows are made of what
//! its master tells.
//!
//! With the plug-in (`breakpoint locust-plugin`) a window is a second whose latencies are exact to
//! 0.1 %; without it, three seconds whose latencies are known as far as the master's own
//! percentiles tell (`page`). What a step is in a scenario is here a name of requests; there are no
//! cycles, and what stands in their place is all requests.

mod exact;
#[cfg(any(test, fuzzing))]
pub(crate) use self::page::fuzz;
#[cfg(any(test, fuzzing))]
pub(crate) use self::wire::fuzz as fuzz_wire;
mod message;
mod page;
mod second;
mod start;
mod tally;
mod ways;
mod web;
mod wire;
pub mod worker;

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use self::exact::Exact;
use self::page::Coarse;
pub use self::second::{StepSecond, WorkerSecond};
pub(super) use self::start::start;
use self::web::{Trouble, Web};
use super::requests::{self, MOST_NAMES, MOST_TOLD, few};
use super::{Canary, Ended, Engine, EngineError, EngineInfo, Reply};
use crate::crypto::Trust;
use crate::measure::{FailureKind, Level, StepTable, StepWindow, Window};
use crate::scenario::{Allowed, Resolve};

/// The plug-in's text, a file of Python that `locust -f test.py,bp.py` loads.
pub const PLUGIN: &str = include_str!("locust/plugin.py");
/// Of what is sent between the plug-in and this program.
pub const PROTOCOL: u32 = 1;

/// How long workers may take to be there.
const GATHER: Duration = Duration::from_secs(10);
/// How often it is looked meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How long the master takes to see that a worker is dead, and some more.
const UNTIL_MISSED: Duration = Duration::from_secs(8);
/// Seconds of the look around before a run: at least, at most, and without a name that is new.
const LOOK_S: (f64, f64, f64) = (5.0, 20.0, 4.0);
/// Engine time that a canary waits for one answer.
const CANARY_S: f64 = 20.0;
/// And for another one to pass after one that failed.
const ANOTHER_S: f64 = 3.0;
/// Engine time for which a cluster that says it has spawned all users may have too few: its figures
/// are up to 3 s old, and workers that come or go are given theirs within some seconds.
const STUCK_S: f64 = 10.0;
/// Engine time in which users that are to go are gone.
const LEAVE_S: f64 = 15.0;

/// Which cluster, and how it is driven.
#[derive(Debug, Clone)]
pub struct LocustSpec {
    /// Address of the master's web page, with its base path.
    pub url: String,
    /// Sent with every request to it: a cookie of who is logged in, an authorization.
    pub headers: Vec<(String, String)>,
    /// Whom its connection trusts, where the address is one of https.
    pub trust: Option<Trust>,
    /// Addresses in place of what a name server would say.
    pub resolve: Resolve,
    /// Whom the master may be, beside this machine.
    pub allowed: Allowed,
    /// Users started or stopped per second.
    pub pace_per_s: f64,
    /// Names of requests that objectives ask for.
    pub names: Vec<String>,
    /// Users of the look around before the run, which finds the names of the requests.
    pub look_users: u32,
    /// Whether the level moves while it is measured.
    pub climbs: bool,
}

/// A cluster that is driven.
#[derive(Debug)]
pub struct LocustEngine {
    web: Web,
    spec: LocustSpec,
    source: Source,
    level: Level,
    /// What the users load, as far as the master knows.
    host: Option<String>,
    names: Vec<String>,
    /// Mean time that a user lets pass between two requests, seconds.
    think_s: f64,
    /// Workers that carry the level.
    workers: BTreeSet<String>,
    /// Whether one of them was silent in the last window.
    lost_some: bool,
    /// Users that are too few for the level and do not become more, and for how many seconds.
    stuck: Option<(u32, f64)>,
    notes: Notes,
}

/// Where windows come from.
#[derive(Debug)]
enum Source {
    Exact(Exact),
    Coarse(Coarse),
}

impl Source {
    /// Whether the master says that it has started all users that it will.
    fn has_spawned(&self) -> bool {
        match self {
            Self::Exact(exact) => exact.has_spawned(),
            Self::Coarse(coarse) => coarse.has_spawned(),
        }
    }
}

/// What a reader must know in the end.
#[derive(Debug, Default)]
struct Notes {
    /// Names that came up after the steps were discovered.
    late_names: BTreeSet<String>,
    /// Requests that ended, and those of them whose client does not say when it begins one.
    ended: u64,
    unseen: u64,
    /// The most workers that were lost at once.
    lost: u64,
}

/// A window before it has a place in time.
struct UnplacedWindow {
    window: Window,
    late_names: BTreeSet<String>,
    ended: u64,
    unseen: u64,
}

impl LocustEngine {
    /// Connects, waits for workers and looks around with a few users: what their requests are
    /// called, and how long they think. When the user stops that, which is when `told` is ready,
    /// the test is stopped.
    ///
    /// # Errors
    /// When there is no master, no worker, a login that is missing, a test that runs already or has
    /// a `LoadTestShape`, workers without the plug-in that the master has, or a plug-in of another
    /// version.
    pub async fn start(
        spec: LocustSpec,
        told: impl Future<Output = ()>,
    ) -> Result<Self, EngineError> {
        let web = Web::new(&spec)?;
        let mut told = std::pin::pin!(told);
        let cluster = tokio::select! {
            cluster = gather(&web) => cluster?,
            () = &mut told => return Err(interrupted()),
        };
        let (source, workers, host) = match cluster {
            Cluster::WithPlugin { workers, host } => {
                (Source::Exact(Exact::new(web.clone())), workers, host)
            }
            Cluster::Plain { .. } if spec.climbs => {
                return Err(EngineError::Unfit(format!(
                    "a ramp changes the level every second, but {} reports its latencies every \
                     three seconds; load the plug-in: breakpoint locust-plugin > bp.py, then -f \
                     locustfile.py,bp.py on master and workers",
                    web.shown()
                )));
            }
            Cluster::Plain { workers } => (Source::Coarse(Coarse::new(web.clone())), workers, None),
        };
        let mut engine = Self {
            names: Vec::new(),
            think_s: 0.0,
            level: Level::ZERO,
            lost_some: false,
            stuck: None,
            notes: Notes::default(),
            web,
            spec,
            source,
            workers,
            host,
        };
        let looked = tokio::select! {
            looked = engine.discover_steps() => looked,
            () = told => Err(interrupted()),
        };
        match looked {
            Ok(()) => Ok(engine),
            Err(error) => {
                engine.end().await;
                Err(error)
            }
        }
    }

    /// What a reader must know before anything is measured.
    pub fn warnings(&self) -> Vec<String> {
        let mut out = Vec::new();
        if matches!(self.source, Source::Coarse(_)) {
            out.push(
                "Locust runs without breakpoint's plug-in: latencies are rounded to two digits, as \
                 in its percentiles (2 s means 1.95 to 2.05 s). A probe whose verdict depends on \
                 that is undecided, the interval does not include this error, refusals by design \
                 count as errors, and hanging requests are not seen. `breakpoint locust-plugin` \
                 prints the plug-in"
                    .to_owned(),
            );
        }
        out
    }

    /// Stops the test and leaves the master.
    async fn end(self) {
        // A master that is gone has nothing left to stop.
        let _ = self.web.stop().await;
        if matches!(self.source, Source::Exact(_)) {
            let _ = self.web.leave().await;
        }
    }

    /// Lets a few users run until no new name comes up.
    async fn discover_steps(&mut self) -> Result<(), EngineError> {
        // A class of users that nobody is of has requests that nobody sees.
        let classes = self.web.user_classes().await.unwrap_or(1);
        let users = u32::try_from(classes).unwrap_or(1);
        self.order(Level(self.spec.look_users.max(users).max(1)))
            .await?;
        let mut seen: BTreeSet<String> = BTreeSet::new();
        let (mut passed, mut quiet, mut user_s) = (0.0, 0.0, 0.0);
        let mut all = StepWindow::default();
        while passed < LOOK_S.0 || (quiet < LOOK_S.2 && passed < LOOK_S.1) {
            let next = self.next().await?;
            let span = next.window.span.as_secs_f64();
            passed += span;
            quiet += span;
            user_s += f64::from(next.window.vus) * span;
            if let Some(whole) = next.window.steps.last() {
                all.merge_shard(whole);
            }
            for name in next.late_names {
                if seen.insert(name) {
                    quiet = 0.0;
                }
            }
        }
        // One with the name of all of them would be taken for these.
        self.names = requests::rows(seen, &self.spec.names, &[StepTable::REQUESTS]);
        self.think_s = requests::think_s(user_s, &all);
        self.order(Level::ZERO).await?;
        self.wait_until_gone().await
    }

    async fn wait_until_gone(&mut self) -> Result<(), EngineError> {
        let mut passed = 0.0;
        while passed < LEAVE_S {
            let window = self.next().await?.window;
            passed += window.span.as_secs_f64();
            if window.vus == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Asks the master for a level.
    async fn order(&mut self, level: Level) -> Result<(), EngineError> {
        if self.lost_some {
            self.wait_until_missed().await?;
        }
        let answer = self.web.swarm(level.get(), self.spec.pace_per_s).await;
        let answer = answer.map_err(stopped)?;
        if !answer.success {
            return Err(EngineError::Stopped(format!(
                "the Locust master refused {} users: {}",
                level.get(),
                answer.message
            )));
        }
        if answer.message.contains("shape class") {
            return Err(shape("a LoadTestShape"));
        }
        self.host = answer.host.or_else(|| self.host.take());
        self.level = level;
        self.stuck = None;
        match &mut self.source {
            Source::Exact(exact) => exact.ordered(),
            Source::Coarse(coarse) => coarse.ordered(),
        }
        Ok(())
    }

    /// A dead worker is given users until the master has missed it.
    async fn wait_until_missed(&mut self) -> Result<(), EngineError> {
        let deadline = tokio::time::Instant::now() + UNTIL_MISSED;
        loop {
            let alive = alive(&self.web).await.map_err(stopped)?;
            let reporting = match &self.source {
                Source::Exact(exact) => exact.reporting().clone(),
                Source::Coarse(_) => alive.clone(),
            };
            if alive.is_subset(&reporting) || tokio::time::Instant::now() >= deadline {
                self.workers = alive;
                break;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        if self.workers.is_empty() {
            return Err(EngineError::Stopped(
                "no worker is left: start workers again (locust --worker), then run again"
                    .to_owned(),
            ));
        }
        self.lost_some = false;
        Ok(())
    }

    async fn next(&mut self) -> Result<UnplacedWindow, EngineError> {
        let seen = match &mut self.source {
            Source::Exact(exact) => exact.next(self.level, &self.names, &self.workers).await?,
            Source::Coarse(coarse) => coarse.next(self.level, &self.names, &self.workers).await?,
        };
        let lost = seen.window.generator.health.workers_lost;
        self.lost_some = lost > 0;
        Ok(seen)
    }

    /// Ends the run at a level that the cluster does not reach: classes of users with a
    /// `fixed_count` are as many as they are.
    fn check_reach(&mut self, window: &Window) -> Result<(), EngineError> {
        let short = window.vus > 0 && window.vus < self.level.get();
        let still = self.stuck.is_none_or(|(vus, _)| vus == window.vus);
        let lost = window.generator.health.workers_lost > 0;
        if !short || !still || lost || !self.source.has_spawned() {
            self.stuck = None;
            return Ok(());
        }
        let (_, since_s) = self.stuck.unwrap_or((window.vus, 0.0));
        let since_s = since_s + window.span.as_secs_f64();
        self.stuck = Some((window.vus, since_s));
        if since_s < STUCK_S {
            return Ok(());
        }
        Err(EngineError::Unfit(format!(
            "the Locust cluster runs {have} of the {} requested users and starts no more: classes \
             with a `fixed_count` in the locustfile never exceed it. Results below that level are \
             kept; search up to {have} (--max-vus {have}), or remove fixed_count",
            self.level.get(),
            have = window.vus
        )))
    }

    /// A window that counts: what is strange in it is told in the end.
    async fn counted(&mut self) -> Result<Window, EngineError> {
        let seen = self.next().await?;
        self.check_reach(&seen.window)?;
        self.notes.ended += seen.ended;
        self.notes.unseen += seen.unseen;
        self.notes.lost = (self.notes.lost).max(seen.window.generator.health.workers_lost);
        if self.notes.late_names.len() <= MOST_NAMES {
            self.notes.late_names.extend(seen.late_names);
        }
        Ok(seen.window)
    }
}

impl Engine for LocustEngine {
    fn describe(&self) -> EngineInfo {
        let name = match self.source {
            Source::Exact(_) => "locust",
            Source::Coarse(_) => "locust without plug-in",
        };
        let steps = StepTable::of_requests(self.names.iter().cloned());
        EngineInfo {
            think_s: self.think_s,
            // Else where the master is.
            target: self.host.clone().unwrap_or_else(|| self.web.shown()),
            ..EngineInfo::new(name, steps)
        }
    }

    fn stop(self: Box<Self>) -> Ended {
        Box::pin(self.end())
    }

    fn set_level(&mut self, level: Level) -> Reply<'_, ()> {
        Box::pin(async move {
            if level == self.level {
                return Ok(());
            }
            self.order(level).await
        })
    }

    fn next_window(&mut self) -> Reply<'_, Window> {
        Box::pin(async move { self.counted().await })
    }

    /// Whatever the last order was: it may have been broken off on its way.
    fn halt(&mut self) -> Reply<'_, ()> {
        Box::pin(async move {
            self.web.stop().await.map_err(stopped)?;
            self.level = Level::ZERO;
            Ok(())
        })
    }

    /// A new user runs until the first of its requests has passed, or a while after one has failed:
    /// of several tasks, one that always fails is for the objectives to judge, and its turn may
    /// come first.
    fn canary(&mut self) -> Reply<'_, Canary> {
        Box::pin(async move {
            if self.level != Level::ZERO {
                self.order(Level::ZERO).await?;
                self.wait_until_gone().await?;
            }
            self.order(Level(1)).await?;
            let (mut spent_s, mut until_s) = (0.0, CANARY_S);
            let mut found = Canary::failed(FailureKind::Timeout);
            while spent_s < until_s {
                let window = self.next().await?.window;
                spent_s += window.span.as_secs_f64();
                if let Some(canary) = window.steps.last().and_then(requests::canary_of) {
                    found = requests::told(canary, self.names.iter().zip(&window.steps));
                    if !matches!(found, Canary::Failed(_)) {
                        break;
                    }
                    until_s = until_s.min(spent_s + ANOTHER_S);
                }
            }
            self.order(Level::ZERO).await?;
            self.wait_until_gone().await?;
            Ok(found)
        })
    }

    fn notes(&self) -> Vec<String> {
        self.notes.texts(&self.names)
    }
}

impl Notes {
    fn texts(&self, names: &[String]) -> Vec<String> {
        let mut out = Vec::new();
        if !self.late_names.is_empty() {
            out.push(format!(
                "requests named {} have no row of their own, because they first appeared during \
                 the run (or there are too many names); they count only in the totals. Give \
                 related requests one name in the locustfile (name=...)",
                few(&self.late_names)
            ));
        }
        if self.unseen > 0 {
            out.push(format!(
                "{} of {} requests were made by a client whose requests in flight cannot be seen: \
                 those that hang forever do not count as late. Wrap them in \
                 events.request.measure, or report them to the plug-in (bp.begin, bp.end)",
                self.unseen, self.ended
            ));
        }
        if self.lost > 0 {
            out.push(format!(
                "up to {} workers were lost during the run; affected probes are invalid",
                self.lost
            ));
        }
        if names.is_empty() {
            out.push("no requests were seen in the trial before the run".to_owned());
        }
        out
    }
}

fn stopped(trouble: Trouble) -> EngineError {
    EngineError::Stopped(trouble.text())
}

fn interrupted() -> EngineError {
    EngineError::Start("interrupted".to_owned())
}

fn shape(name: &str) -> EngineError {
    EngineError::Unfit(format!(
        "the Locust test has {name}, which sets the number of users itself; start master and \
         workers without it (omit its file, or use --class-picker)"
    ))
}

/// What there is to drive.
enum Cluster {
    WithPlugin {
        workers: BTreeSet<String>,
        host: Option<String>,
    },
    Plain {
        workers: BTreeSet<String>,
    },
}

/// Waits until a cluster is there and idle, with workers.
async fn gather(web: &Web) -> Result<Cluster, EngineError> {
    let deadline = tokio::time::Instant::now() + GATHER;
    loop {
        let late = tokio::time::Instant::now() >= deadline;
        match look_at(web).await {
            Ok(cluster) => return Ok(cluster),
            Err(NotYet::Wait(why)) if late => return Err(EngineError::Start(why)),
            Err(NotYet::Never(error)) => return Err(error),
            Err(NotYet::Wait(_)) => tokio::time::sleep(LOOK_AGAIN).await,
        }
    }
}

/// Why a cluster cannot be driven.
enum NotYet {
    /// That may pass.
    Wait(String),
    Never(EngineError),
}

impl NotYet {
    fn never(why: String) -> Self {
        Self::Never(EngineError::Unfit(why))
    }
}

async fn look_at(web: &Web) -> Result<Cluster, NotYet> {
    match web.status().await {
        Ok(status) => with_plugin(web, status).await,
        Err(Trouble::Missing) => plain(web).await,
        Err(Trouble::Other(why)) => Err(NotYet::Wait(why)),
    }
}

async fn with_plugin(web: &Web, status: web::Status) -> Result<Cluster, NotYet> {
    if status.protocol != PROTOCOL {
        return Err(NotYet::never(format!(
            "the plug-in in the Locust master at {} (Locust {}) is from another version of \
             breakpoint: write it again with `breakpoint locust-plugin > bp.py`, and restart \
             master and workers",
            web.shown(),
            status.locust
        )));
    }
    if let Some(name) = &status.shape {
        return Err(NotYet::Never(shape(&format!("the LoadTestShape `{name}`"))));
    }
    idle(web, &status.state)?;
    let there: Vec<_> = (status.workers.iter())
        .filter(|w| w.state != "missing")
        .collect();
    some_workers(web, there.len())?;
    // Workers begin to report when somebody has asked.
    let silent: Vec<&str> = (there.iter())
        .filter(|w| w.reported_ago_s.is_none_or(|s| s > 3.0))
        .map(|w| w.id.as_str())
        .collect();
    if !silent.is_empty() {
        let _ = web.seconds_after(None).await;
        return Err(NotYet::Wait(format!(
            "{} of {} workers do not report to the plug-in ({}): start every worker with it too (-f locustfile.py,bp.py), or the master \
             without it",
            silent.len(),
            there.len(),
            silent[..silent.len().min(MOST_TOLD)].join(", ")
        )));
    }
    Ok(Cluster::WithPlugin {
        workers: there.iter().map(|w| w.id.clone()).collect(),
        host: status.host.filter(|h| !h.is_empty()),
    })
}

async fn plain(web: &Web) -> Result<Cluster, NotYet> {
    let page = web.page().await.map_err(|e| NotYet::Wait(e.text()))?;
    idle(web, &page.state)?;
    let Some(workers) = page.workers else {
        return Err(NotYet::never(format!(
            "{} is a single Locust process; start it as a master (--master) with workers \
             (--worker), so that their health is visible",
            web.shown()
        )));
    };
    let workers: BTreeSet<String> = (workers.into_iter())
        .filter(|w| w.state != "missing")
        .map(|w| w.id)
        .collect();
    some_workers(web, workers.len())?;
    Ok(Cluster::Plain { workers })
}

/// A test that somebody else runs is not to be changed.
fn idle(web: &Web, state: &str) -> Result<(), NotYet> {
    if matches!(state, "running" | "spawning" | "stopping" | "cleanup") {
        return Err(NotYet::Wait(format!(
            "a test is already running in the Locust cluster at {} ({state}): stop it first",
            web.shown()
        )));
    }
    Ok(())
}

fn some_workers(web: &Web, n: usize) -> Result<(), NotYet> {
    if n == 0 {
        return Err(NotYet::Wait(format!(
            "no worker is connected to the Locust master at {}: start some, such as locust -f locustfile.py --worker --master-host HOST, \
             or breakpoint worker PROFILE --master HOST:5557",
            web.shown()
        )));
    }
    Ok(())
}

/// Workers that are not missing.
async fn alive(web: &Web) -> Result<BTreeSet<String>, Trouble> {
    match web.status().await {
        Ok(status) => Ok((status.workers.into_iter())
            .filter(|w| w.state != "missing")
            .map(|w| w.id)
            .collect()),
        Err(Trouble::Missing) => {
            let workers = web.page().await?.workers.unwrap_or_default();
            Ok((workers.into_iter())
                .filter(|w| w.state != "missing")
                .map(|w| w.id)
                .collect())
        }
        Err(trouble) => Err(trouble),
    }
}

#[cfg(test)]
mod tests;
