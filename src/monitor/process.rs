//! A process, by the file that holds its id, and its control group if that has a memory limit.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::cgroup::{self, Folders, Tracker};
use super::counter::{Changes, Rate, float};
use super::kernel::TcpTroubles;
use super::{MonitorError, Sample};

/// What a process or container tells. `cpu` is that of all threads; a Node server whose `main_thread_cpu` is near one
/// core has a busy event loop.
pub(super) const FIELDS: &[&str] = &[
    "up",
    "memory",
    "rss",
    "cpu",
    "main_thread_cpu",
    "busiest_thread_cpu",
    "descriptors",
    "sockets",
    "restarts",
    "oom_kills",
    "throttled_s",
    "throttled_share",
    "memory_peak",
    "memory_pressure",
    "cpu_pressure",
    "listen_overflows",
    "listen_drops",
    "retransmits",
];

/// Descriptors that are looked at to count sockets; of more, evenly spread ones stand for the others.
const MOST_LINKS: usize = 1000;
/// Threads that are looked at for the busiest one.
const MOST_THREADS: usize = 500;

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

    /// Its threads with their numbers.
    fn threads(&self) -> Vec<(u32, Stat)> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid));
        let ids = tasks.into_iter().flatten().filter_map(|entry| {
            let name = entry.ok()?.file_name();
            name.to_str()?.parse::<u32>().ok()
        });
        let stat = |id: u32| {
            let path = format!("/proc/{}/task/{id}/stat", self.pid);
            let text = std::fs::read_to_string(path).ok()?;
            Some((id, Stat::parse(&text)?))
        };
        ids.take(MOST_THREADS).filter_map(stat).collect()
    }

    /// How many descriptors are open, and how many of them are sockets.
    fn descriptors(&self) -> Option<(f64, f64)> {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", self.pid)).ok()?;
        let paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        let is_socket = |path: &&PathBuf| {
            let link = std::fs::read_link(path);
            link.is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
        };
        let step = paths.len().div_ceil(MOST_LINKS).max(1);
        let looked_at = paths.len().div_ceil(step);
        let sockets = paths.iter().step_by(step).filter(is_socket).count();
        let count = |n: usize| u32::try_from(n).ok().map(f64::from);
        let all = count(paths.len())?;
        let share = count(sockets)? / count(looked_at)?.max(1.0);
        Some((all, (all * share).round()))
    }

    /// Whether it has another network than this process: a container's own.
    fn has_own_network(&self) -> bool {
        let of = |who: &str| std::fs::read_link(format!("/proc/{who}/ns/net")).ok();
        let own = of(&self.pid.to_string());
        own.is_some() && own != of("self")
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
    threads: Threads,
    tcp: TcpTroubles,
}

/// The CPU of every thread of one process.
#[derive(Debug, Default)]
struct Threads {
    rates: HashMap<u32, Rate>,
}

impl Threads {
    /// Takes the threads that there are now; gives the main one's CPU and the busiest one's, in cores.
    fn update(&mut self, pid: u32, now: Instant, threads: &[(u32, Stat)]) -> [Option<f64>; 2] {
        self.rates
            .retain(|id, _| threads.iter().any(|(t, _)| t == id));
        let mut main = None;
        let mut busiest: Option<f64> = None;
        for (id, stat) in threads {
            let rate = self.rates.entry(*id).or_default();
            // A thread's number may be given again: its start tells them apart.
            let busy = rate.update(&stat.start.to_string(), now, stat.cpu_s());
            if *id == pid {
                main = busy;
            }
            busiest = [busiest, busy].into_iter().flatten().reduce(f64::max);
        }
        [main, busiest]
    }
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
        let [main, busiest] = self.threads.update(alive.pid, now, &alive.threads());
        sample.put("main_thread_cpu", main);
        sample.put("busiest_thread_cpu", busiest);
        if let Some((all, sockets)) = alive.descriptors() {
            sample.put("descriptors", Some(all));
            sample.put("sockets", Some(sockets));
        }
        if alive.has_own_network() {
            let folder = format!("/proc/{}/net", alive.pid);
            self.tcp.add(sample, &folder, &identity);
        }
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
    fn the_busiest_thread_is_found_and_a_new_one_is_no_jump() {
        let stat = |cpu_ticks, start| Stat {
            state: 'S',
            cpu_ticks,
            start,
            rss_pages: 0,
        };
        let ticks = procfs::ticks_per_second();
        let begin = Instant::now();
        let at = |s| begin + std::time::Duration::from_secs(s);
        let mut threads = Threads::default();
        let first = [(7, stat(0, 1)), (8, stat(0, 1))];
        assert_eq!(threads.update(7, at(0), &first), [None, None]);
        let then = [
            (7, stat(ticks / 4, 1)),
            (8, stat(ticks / 2, 1)),
            (9, stat(ticks * 50, 2)),
        ];
        assert_eq!(threads.update(7, at(1), &then), [Some(0.25), Some(0.5)]);
        let again = [(7, stat(ticks / 4, 1)), (8, stat(ticks * 9, 5))];
        assert_eq!(threads.update(7, at(2), &again), [Some(0.0), Some(0.0)]);
    }

    #[test]
    fn sockets_among_descriptors_are_counted() {
        let own = Alive::look(std::process::id()).unwrap();
        let (_, before) = own.descriptors().unwrap();
        let open: Vec<_> = (0..40)
            .map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap())
            .collect();
        let (all, after) = own.descriptors().unwrap();
        // Other tests of this process open and close some meanwhile.
        assert!(
            after >= before.min(20.0) && after <= all,
            "{before} {after} {all}"
        );
        assert!(after >= 40.0 - 1.0, "{after}");
        assert!(!own.has_own_network());
        drop(open);
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
