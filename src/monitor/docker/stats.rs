//! The Docker Engine's own statistics of a container, for where its control group cannot be read
//! from here: the engine runs in another mount namespace or a virtual machine. One stream per
//! container: a single call takes one to two seconds.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::api::DockerEngine;
use crate::monitor::MonitorError;
use crate::monitor::counter::float;
use crate::monitor::log::Splitter;

/// Age from which on statistics are too old.
const STALE: Duration = Duration::from_millis(2500);
/// The longest statistics that are read.
const LONGEST: usize = 1 << 20;
/// Time until a stream that ended is opened again.
const AGAIN: Duration = Duration::from_secs(1);

/// What statistics say, as far as it matters here. A container that does not run has empty ones.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Raw {
    #[serde(rename = "cpu_stats")]
    now: Cpu,
    #[serde(rename = "precpu_stats")]
    before: Cpu,
    #[serde(rename = "memory_stats")]
    memory: Memory,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct Cpu {
    #[serde(rename = "cpu_usage")]
    used: Used,
    /// CPU time of the whole machine, nanoseconds.
    system_cpu_usage: Option<u64>,
    online_cpus: Option<u32>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct Used {
    total_usage: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Memory {
    usage: Option<u64>,
    #[serde(default)]
    stats: MemoryStats,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
struct MemoryStats {
    /// Version 1 of control groups.
    total_inactive_file: Option<u64>,
    /// Version 2.
    inactive_file: Option<u64>,
}

/// What is made of them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in crate::monitor) struct Stats {
    /// Bytes in use, as the docker client shows them.
    pub(in crate::monitor) memory: Option<f64>,
    /// Cores in use.
    pub(in crate::monitor) cpu: Option<f64>,
}

impl Stats {
    fn parse(text: &str) -> Option<Self> {
        let raw: Raw = serde_json::from_str(text).ok()?;
        let cache = &raw.memory.stats;
        let inactive = cache.total_inactive_file.or(cache.inactive_file);
        let usage = raw.memory.usage;
        Some(Self {
            memory: usage.map(|u| float(u.saturating_sub(inactive.unwrap_or(0)))),
            cpu: cores(&raw.before, &raw.now),
        })
    }
}

/// Cores used between two looks; the first of a stream has none before it.
fn cores(before: &Cpu, now: &Cpu) -> Option<f64> {
    let all = now
        .system_cpu_usage?
        .checked_sub(before.system_cpu_usage?)?;
    let own = now.used.total_usage.checked_sub(before.used.total_usage)?;
    let cpus = f64::from(now.online_cpus?);
    (all > 0).then(|| float(own) / float(all) * cpus)
}

/// The latest statistics of one container.
#[derive(Debug)]
pub(in crate::monitor) struct Statistics {
    latest: Arc<Mutex<Option<(Instant, Stats)>>>,
    task: JoinHandle<()>,
}

impl Statistics {
    /// Opens the stream on a task of its own.
    pub(in crate::monitor) fn start(name: &str) -> Self {
        let latest = Arc::new(Mutex::new(None));
        let (name, shared) = (name.to_owned(), Arc::clone(&latest));
        let task = tokio::spawn(async move {
            loop {
                // A gap while there is none.
                read(&name, &shared).await.ok();
                tokio::time::sleep(AGAIN).await;
            }
        });
        Self { latest, task }
    }

    pub(in crate::monitor) fn latest(&self) -> Stats {
        let latest = *self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = latest.filter(|(at, _)| at.elapsed() <= STALE);
        fresh.map(|(_, stats)| stats).unwrap_or_default()
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(name: &str, latest: &Mutex<Option<(Instant, Stats)>>) -> Result<(), MonitorError> {
    let path = format!("containers/{name}/stats");
    let mut answer = DockerEngine::new()?
        .stream(name, &path, &[("stream", "1")])
        .await?;
    let mut splitter = Splitter::new(LONGEST);
    while let Ok(Some(bytes)) = answer.chunk().await {
        splitter.push(&bytes, |line| {
            if let Some(stats) = Stats::parse(line) {
                let seen = Some((Instant::now(), stats));
                *latest.lock().unwrap_or_else(PoisonError::into_inner) = seen;
            }
        });
    }
    Ok(())
}

#[cfg(any(test, fuzzing))]
pub(super) fn fuzz(data: &[u8]) {
    Stats::parse(&String::from_utf8_lossy(data));
}

#[cfg(test)]
mod tests {
    use super::*;

    // Recorded from Docker 20.10 on control groups of version 1, shortened.
    const V1: &str = r#"{"read":"2026-11-25T17:50:46Z","cpu_stats":{"cpu_usage":{"total_usage":1022219636},
        "system_cpu_usage":4428510000000,"online_cpus":2},"precpu_stats":{"cpu_usage":{"total_usage":22219636},
        "system_cpu_usage":4426510000000,"online_cpus":2},"memory_stats":{"usage":88870912,"max_usage":99000000,
        "stats":{"cache":35000320,"inactive_file":1,"total_inactive_file":33554432},"limit":536870912}}"#;

    #[test]
    fn statistics_are_read_as_the_docker_client_does() {
        let stats = Stats::parse(V1).unwrap();
        assert_eq!(stats.memory, Some(55_316_480.0));
        assert_eq!(stats.cpu, Some(1.0));
        let v2 = V1.replace("total_inactive_file", "file_mapped");
        assert_eq!(Stats::parse(&v2).unwrap().memory, Some(88_870_911.0));
    }

    #[test]
    fn what_statistics_do_not_tell_is_a_gap() {
        // The first of a stream, and those of a container that ended.
        let first = r#"{"cpu_stats":{"cpu_usage":{"total_usage":5},"system_cpu_usage":9,"online_cpus":2},
            "precpu_stats":{"cpu_usage":{"total_usage":0}},"memory_stats":{"usage":7}}"#;
        let stats = Stats::parse(first).unwrap();
        assert_eq!((stats.cpu, stats.memory), (None, Some(7.0)));
        let ended = r#"{"cpu_stats":{"cpu_usage":{"total_usage":0}},"precpu_stats":{"cpu_usage":{"total_usage":0}},"memory_stats":{}}"#;
        assert_eq!(Stats::parse(ended), Some(Stats::default()));
        assert_eq!(Stats::parse("{}"), None);
    }
}
