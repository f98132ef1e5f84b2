//! A process, by the file that holds its id, and its control group if that has a memory limit.

use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::cgroup::{self, Folders, Tracker};
use super::counter::{Changes, Rate, float};
use super::{MonitorError, Sample};

/// What a process or container tells. `cpu` is that of all threads; a Node server whose `main_thread_cpu` is near one
/// core has a busy event loop.
pub(super) const FIELDS: &[&str] = &[
    "up",
    "memory",
    "rss",
    "cpu",
    "main_thread_cpu",
    "descriptors",
    "restarts",
    "oom_kills",
    "throttled_s",
];

/// What `/proc/PID/stat` says, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    state: char,
    /// User and system time, ticks.
    cpu_ticks: u64,
    /// Start, ticks since boot; together with the id it names a process for ever.
    start: u64,
    rss_pages: u64,
}

impl Stat {
    /// Reads the one line. The name in brackets may hold anything, brackets and spaces included.
    fn parse(text: &str) -> Option<Self> {
        let rest = text.get(text.rfind(')')? + 1..)?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            state: fields.first()?.chars().next()?,
            cpu_ticks: number(11)? + number(12)?,
            start: number(19)?,
            rss_pages: number(21)?,
        })
    }

    fn cpu_s(self) -> f64 {
        float(self.cpu_ticks) / float(procfs::ticks_per_second())
    }

    fn rss(self) -> u64 {
        self.rss_pages * procfs::page_size()
    }

    fn is_dead(self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x')
    }
}

/// A living process' own numbers.
#[derive(Debug, Clone)]
pub(super) struct Alive {
    pub(super) pid: u32,
    pub(super) stat: Stat,
}

impl Alive {
    /// Looks at a process; `None` when it is gone or a zombie.
    pub(super) fn look(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let stat = Stat::parse(&text).filter(|s| !s.is_dead())?;
        Some(Self { pid, stat })
    }

    /// The largest of some processes: the service among its init and helpers.
    pub(super) fn largest(pids: &[u32]) -> Option<Self> {
        pids.iter()
            .filter_map(|pid| Self::look(*pid))
            .max_by_key(|alive| alive.stat.rss_pages)
    }

    fn identity(&self) -> String {
        format!("{}@{}", self.pid, self.stat.start)
    }

    /// The control group it is in, other than the root.
    pub(super) fn folders(&self) -> Option<Folders> {
        let text = std::fs::read_to_string(format!("/proc/{}/cgroup", self.pid)).ok()?;
        Folders::of_process(&text, Path::new(cgroup::ROOT))
    }

    fn main_thread(&self) -> Option<Stat> {
        let path = format!("/proc/{0}/task/{0}/stat", self.pid);
        Stat::parse(&std::fs::read_to_string(path).ok()?)
    }

    fn descriptors(&self) -> Option<f64> {
        let count = std::fs::read_dir(format!("/proc/{}/fd", self.pid))
            .ok()?
            .count();
        u32::try_from(count).ok().map(f64::from)
    }

    fn descriptor_limit(&self) -> Option<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/limits", self.pid)).ok()?;
        open_files(&text)
    }
}

/// The soft limit in the line `Max open files  1024  20000  files`.
fn open_files(limits: &str) -> Option<f64> {
    let line = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Rates of a process that may be replaced by another one.
#[derive(Debug, Default)]
pub(super) struct ProcessTracker {
    cpu: Rate,
    main_thread: Rate,
}

impl ProcessTracker {
    /// Adds a living process' numbers to `sample`; its `cpu` only where nothing better is there yet.
    pub(super) fn add(&mut self, sample: &mut Sample, alive: &Alive, with_cpu: bool) {
        let now = Instant::now();
        let identity = alive.identity();
        sample.put("rss", Some(float(alive.stat.rss())));
        let cpu = self.cpu.update(&identity, now, alive.stat.cpu_s());
        if with_cpu {
            sample.put("cpu", cpu);
        }
        if let Some(main) = alive.main_thread() {
            let busy = self.main_thread.update(&identity, now, main.cpu_s());
            sample.put("main_thread_cpu", busy);
        }
        sample.put("descriptors", alive.descriptors());
        sample.limit("descriptors", alive.descriptor_limit());
    }
}

/// A monitor of one process, by the file that holds its id.
#[derive(Debug)]
pub(super) struct Process {
    pid_file: PathBuf,
    /// The group of the process, or of the one before: it keeps telling of the kill after the process died.
    group: Option<Folders>,
    group_tracker: Tracker,
    tracker: ProcessTracker,
    restarts: Changes,
}

impl Process {
    pub(super) fn new(pid_file: &Path) -> Self {
        Self {
            pid_file: pid_file.to_owned(),
            group: None,
            group_tracker: Tracker::default(),
            tracker: ProcessTracker::default(),
            restarts: Changes::default(),
        }
    }

    /// The process that the file names now, if it lives.
    pub(super) fn alive(&self) -> Option<Alive> {
        let text = std::fs::read_to_string(&self.pid_file).ok()?;
        Alive::look(text.trim().parse().ok()?)
    }

    pub(super) fn sample(&mut self) -> Result<Sample, MonitorError> {
        let alive = self.alive();
        if alive.is_none() && self.restarts.count().is_none() {
            // Never seen: a wrong path is no service that is down.
            return Err(self.not_there());
        }
        if let Some(group) = alive.as_ref().and_then(Alive::folders)
            && group.look().memory_limit.is_some()
        {
            self.group = Some(group);
        }
        let mut sample = Sample::default();
        sample.put("up", Some(if alive.is_some() { 1.0 } else { 0.0 }));
        let mut cpu_told = false;
        if let Some(group) = &self.group {
            let look = group.look();
            cpu_told = Tracker::tells_cpu(group, &look);
            let name = group.memory().display().to_string();
            self.group_tracker.add(&mut sample, &look, &name);
        }
        if let Some(alive) = &alive {
            self.restarts.update(&alive.identity());
            if self.group.is_none() {
                sample.put("memory", Some(float(alive.stat.rss())));
            }
            self.tracker.add(&mut sample, alive, !cpu_told);
        }
        sample.put("restarts", self.restarts.count());
        Ok(sample)
    }

    fn not_there(&self) -> MonitorError {
        match std::fs::read_to_string(&self.pid_file) {
            Err(error) => MonitorError::Read {
                path: self.pid_file.display().to_string(),
                error,
            },
            Ok(text) => MonitorError::Unexpected(format!(
                "{} names process `{}`, which does not run",
                self.pid_file.display(),
                text.trim()
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_behind_the_name() {
        // Recorded from a Node server; the name was changed to a hard one.
        let text = "4711 (a (b) c) S 1 4711 4711 0 -1 4194304 21212 0 3 0 \
                    132 18 0 0 20 0 11 0 99333 1130483712 15104 18446744073709551615 1 1 0 0 0\n";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(
            stat,
            Stat {
                state: 'S',
                cpu_ticks: 150,
                start: 99333,
                rss_pages: 15104,
            }
        );
        assert!(!stat.is_dead());
        assert_eq!(Stat::parse("4711 (x"), None);
        assert_eq!(Stat::parse(""), None);
    }

    #[test]
    fn the_limit_of_open_files_is_the_soft_one() {
        let text = "Limit   Soft Limit  Hard Limit  Units\n\
                    Max open files            1024                 20000                files     \n";
        assert_eq!(open_files(text), Some(1024.0));
        let text = "Max open files            unlimited            unlimited            files\n";
        assert_eq!(open_files(text), None);
    }

    #[test]
    fn a_process_is_sampled_and_its_restart_and_end_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.pid");
        let mut process = Process::new(&file);
        assert!(process.sample().is_err(), "never seen is no zero");
        let start = || {
            let child = std::process::Command::new("sleep")
                .arg("60")
                .spawn()
                .unwrap();
            std::fs::write(&file, format!("{}\n", child.id())).unwrap();
            child
        };
        let value = |sample: &Sample, field| super::super::find(&sample.values, field);
        let mut first = start();
        let seen = process.sample().unwrap();
        assert_eq!(value(&seen, "up"), Some(1.0));
        // The kernel counts a small process' pages late: it may be a zero here.
        assert!(value(&seen, "memory").is_some());
        assert_eq!(value(&seen, "cpu"), None, "a rate needs two samples");
        let seen = process.sample().unwrap();
        assert!(value(&seen, "main_thread_cpu").is_some());
        first.kill().unwrap();
        // Not waited for yet: a zombie is dead.
        while process.alive().is_some() {
            std::thread::yield_now();
        }
        let seen = process.sample().unwrap();
        assert_eq!(value(&seen, "up"), Some(0.0));
        assert_eq!(value(&seen, "rss"), None, "a gap, not a zero");
        first.wait().unwrap();
        let mut second = start();
        let seen = process.sample().unwrap();
        assert_eq!(value(&seen, "up"), Some(1.0));
        assert_eq!(value(&seen, "restarts"), Some(1.0));
        second.kill().unwrap();
        second.wait().unwrap();
    }
}
