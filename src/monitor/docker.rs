//! Containers, over the Docker Engine's API on its Unix socket.
//!
//! Its own statistics take a second or two a call; what it knows best is who the container's
//! process is, how it ended and whether the kernel killed it. Memory and CPU come from the control
//! group where that can be read.
//!
//! No crate for Docker (bollard): it brings a second HTTP client and some hundred generated types,
//! for four calls of which a few fields are read. reqwest, which is here for other reasons, speaks
//! over Unix sockets too.

mod api;
mod follow;
mod stats;

pub(super) use follow::{events, log};

/// Reads bytes as each of the answers and streams of the Docker Engine, in any pieces.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(data: &[u8]) {
    api::fuzz(data);
    follow::fuzz(data);
    stats::fuzz(data);
}

use std::path::Path;

use super::cgroup::GroupTracker;
use super::counter::{Counter, float};
use super::process::{Alive, Process, ProcessTracker};
use super::{MonitorError, Sample};
pub(crate) use api::DockerEngine;
use api::{Inspect, Restarts};
pub(super) use stats::Statistics;

/// A monitor of one container, by name.
#[derive(Debug)]
pub(super) struct Container {
    name: String,
    engine: Option<DockerEngine>,
    /// The engine's statistics, where the control group cannot be read.
    stats: Option<Statistics>,
    group_tracker: GroupTracker,
    tracker: ProcessTracker,
    restarts: Restarts,
    kills: Kills,
}

/// Kernel kills of a container. Its control group counts them but vanishes with its last process;
/// the engine remembers one, until the next start. The larger of the two is right for each start.
#[derive(Debug, Default)]
struct Kills {
    counter: Counter,
    incarnation: String,
    seen: f64,
}

impl Kills {
    fn update(&mut self, incarnation: &str, in_group: Option<u64>, oom_killed: bool) -> f64 {
        if self.incarnation != incarnation {
            incarnation.clone_into(&mut self.incarnation);
            self.seen = 0.0;
        }
        let told = if oom_killed { 1.0 } else { 0.0 };
        self.seen = self.seen.max(in_group.map_or(0.0, float)).max(told);
        self.counter.update(incarnation, self.seen)
    }
}

impl Container {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            engine: None,
            stats: None,
            group_tracker: GroupTracker::default(),
            tracker: ProcessTracker::default(),
            restarts: Restarts::default(),
            kills: Kills::default(),
        }
    }

    async fn inspect(&mut self) -> Result<Inspect, MonitorError> {
        let engine = match &self.engine {
            Some(engine) => engine,
            None => self.engine.insert(DockerEngine::new()?),
        };
        engine.inspect(&self.name).await
    }

    pub(super) async fn sample(&mut self) -> Result<Sample, MonitorError> {
        let inspect = self.inspect().await?;
        Ok(self.fold(&inspect))
    }

    /// The sample of an answer, with what the container's control group says.
    fn fold(&mut self, inspect: &Inspect) -> Sample {
        let mut sample = Sample::default();
        let state = &inspect.state;
        let incarnation = inspect.incarnation();
        sample.put("up", Some(if state.running { 1.0 } else { 0.0 }));
        sample.put("restarts", Some(self.restarts.update(inspect)));
        if !state.running {
            sample.put("exit_code", Some(f64::from(state.exit_code)));
        }
        let healthy = inspect.healthy().filter(|_| state.running);
        sample.put("healthy", healthy.map(|h| if h { 1.0 } else { 0.0 }));
        let init = Alive::look(state.pid).filter(|_| state.running && state.pid > 0);
        // A process id of another machine, a virtual one, may be anybody here: the group's name
        // tells.
        let group = init.as_ref().and_then(Alive::folders);
        let group = group.filter(|g| g.memory().to_string_lossy().contains(&inspect.id));
        let mut kills = None;
        if let Some(group) = &group {
            self.stats = None;
            let mut look = group.look();
            let cpu_told = GroupTracker::tells_cpu(group, &look);
            // Counted below, where the engine's word is heard too.
            kills = look.oom_kills.take();
            self.group_tracker.add(&mut sample, &look, &incarnation);
            let all = group.processes().map(|all| Alive::all(&all));
            let all = all.filter(|all| !all.is_empty());
            let all = all.or(init.map(|init| vec![init])).unwrap_or_default();
            self.tracker.add(&mut sample, &all, !cpu_told);
        } else if state.running {
            let stream = self
                .stats
                .get_or_insert_with(|| Statistics::start(&self.name));
            let stats = stream.latest();
            sample.put("memory", stats.memory);
            sample.put("cpu", stats.cpu);
        } else {
            self.stats = None;
        }
        let total = self.kills.update(&incarnation, kills, state.oom_killed);
        sample.put("oom_kills", Some(total));
        let host = &inspect.host_config;
        if super::find(&sample.limits, "memory").is_none() {
            sample.limit("memory", Some(float(host.memory)));
        }
        if super::find(&sample.limits, "cpu").is_none() {
            sample.limit("cpu", Some(float(host.nano_cpus) / 1e9));
        }
        sample
    }
}

/// The container while it runs, else the process.
#[derive(Debug)]
pub(super) struct ContainerOrProcess {
    container: Container,
    process: Process,
    in_use: Option<WatchedKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WatchedKind {
    Container,
    Process,
}

impl ContainerOrProcess {
    pub(super) fn new(name: &str, pid_file: &Path) -> Self {
        Self {
            container: Container::new(name),
            process: Process::new(pid_file),
            in_use: None,
        }
    }

    pub(super) async fn sample(&mut self) -> Result<Sample, MonitorError> {
        let container = match self.in_use {
            // A process that lives needs no look for a container.
            Some(WatchedKind::Process) if self.process.alive().is_some() => None,
            _ => Some(self.container.inspect().await),
        };
        let kind = match &container {
            Some(Ok(inspect)) if inspect.state.running => WatchedKind::Container,
            None => WatchedKind::Process,
            Some(answer) => match self.in_use {
                _ if self.process.alive().is_some() => WatchedKind::Process,
                Some(kind) => kind,
                None if answer.is_ok() => WatchedKind::Container,
                None => WatchedKind::Process,
            },
        };
        self.in_use = Some(kind);
        match (kind, container) {
            (WatchedKind::Container, Some(answer)) => answer.map(|a| self.container.fold(&a)),
            (_, answer) => self.process.sample().map_err(|error| match answer {
                Some(Err(docker)) => MonitorError::Unexpected(format!("{docker}; {error}")),
                _ => error,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Recorded from Docker 20.10, shortened.
    const KILLED: &str = r#"{"Id":"0b56","Created":"2026-11-22T10:00:00Z","State":{"Status":"exited","Running":false,
        "Paused":false,"Restarting":false,"OOMKilled":true,"Dead":false,"Pid":0,"ExitCode":137,"Error":"",
        "StartedAt":"2026-11-22T10:00:01Z","FinishedAt":"2026-11-22T10:01:00Z"},"RestartCount":0,
        "HostConfig":{"Memory":536870912,"NanoCpus":0,"Init":true}}"#;

    #[test]
    fn an_answer_is_read() {
        let inspect: Inspect = serde_json::from_str(KILLED).unwrap();
        assert!(!inspect.state.running && inspect.state.oom_killed);
        assert_eq!(inspect.host_config.memory, 536_870_912);
        let sample = Container::new("x").fold(&inspect);
        let value = |field| super::super::find(&sample.values, field);
        assert_eq!(value("up"), Some(0.0));
        assert_eq!(value("exit_code"), Some(137.0));
        assert_eq!(value("memory"), None, "a container that is gone has a gap");
        assert_eq!(
            value("oom_kills"),
            Some(0.0),
            "a kill before the monitor came is not this run's"
        );
        assert_eq!(sample.limits, [("memory".into(), 536_870_912.0)]);
    }

    #[test]
    fn a_kill_is_counted_once_whoever_tells_of_it() {
        let mut kills = Kills::default();
        let seen: Vec<f64> = [
            ("a", Some(0), false),
            // The group told first, then it vanished and the engine told.
            ("a", Some(1), false),
            ("a", None, true),
            ("b", Some(0), false),
            // Here only the engine told.
            ("b", None, true),
            ("b", None, true),
            ("c", Some(0), false),
        ]
        .into_iter()
        .map(|(start, group, told)| kills.update(start, group, told))
        .collect();
        assert_eq!(seen, [0.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
    }
}
