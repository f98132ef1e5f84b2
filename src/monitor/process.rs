//! A process, by the file that holds its id, with the processes that it started, and its control
//! group if that has a memory limit.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::cgroup::{self, Folders, GroupTracker};
use super::counter::{Changes, Rate, float};
use super::kernel::TcpTroubles;
use super::{MonitorError, Sample};
use crate::{bounded, excerpt};

/// Descriptors that are looked at to count sockets; of more, evenly spread ones stand for the
/// others.
const MOST_LINKS: usize = 1000;
/// Threads that are looked at for the busiest one.
const MOST_THREADS: usize = 500;
/// Processes that are looked at below one: a service has a worker for each CPU or a few more.
const MOST_PROCESSES: usize = 200;
/// Nanoseconds in a second, the unit of `schedstat`.
const NANOS: f64 = 1e9;

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

    /// Those of some processes that live, the largest first: the service among its init and
    /// helpers.
    pub(super) fn all(pids: &[u32]) -> Vec<Self> {
        let mut all: Vec<Self> = pids.iter().filter_map(|pid| Self::look(*pid)).collect();
        all.sort_by_key(|alive| std::cmp::Reverse(alive.stat.rss_pages));
        all.truncate(MOST_PROCESSES);
        all
    }

    fn identity(&self) -> String {
        format!("{}@{}", self.pid, self.stat.start)
    }

    /// The control group it is in, other than the root.
    pub(super) fn folders(&self) -> Option<Folders> {
        let text = std::fs::read_to_string(format!("/proc/{}/cgroup", self.pid)).ok()?;
        Folders::of_process(&text, Path::new(cgroup::ROOT))
    }

    /// The process and all that descend from it, itself first: the workers of a master.
    pub(super) fn tree(self) -> Vec<Self> {
        let mut all = vec![self];
        let mut next = 0;
        while next < all.len() && all.len() < MOST_PROCESSES {
            let children = all[next].children();
            let room = MOST_PROCESSES - all.len();
            all.extend(children.into_iter().filter_map(Self::look).take(room));
            next += 1;
        }
        all
    }

    /// Processes that it started, by whichever of its threads.
    fn children(&self) -> Vec<u32> {
        let of =
            |id: u32| std::fs::read_to_string(format!("/proc/{}/task/{id}/children", self.pid));
        let texts = self.thread_ids().into_iter().filter_map(|id| of(id).ok());
        let ids = |text: String| -> Vec<u32> {
            let words = text.split_ascii_whitespace();
            words.filter_map(|id| id.parse().ok()).collect()
        };
        texts.flat_map(ids).collect()
    }

    fn thread_ids(&self) -> Vec<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid));
        let id = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.ok()?.file_name().to_str()?.parse::<u32>().ok()
        };
        tasks.into_iter().flatten().filter_map(id).collect()
    }

    /// Its threads with their numbers.
    fn threads(&self) -> Vec<Thread> {
        let thread = |id: u32| {
            let folder = format!("/proc/{}/task/{id}", self.pid);
            let text = std::fs::read_to_string(format!("{folder}/stat")).ok()?;
            let waited = std::fs::read_to_string(format!("{folder}/schedstat")).ok();
            Some(Thread {
                id,
                stat: Stat::parse(&text)?,
                waited_s: waited.as_deref().and_then(waited_s),
            })
        };
        let ids = self.thread_ids().into_iter().take(MOST_THREADS);
        ids.filter_map(thread).collect()
    }

    /// How many descriptors are open, and how many of them are sockets, of which at most so many
    /// are looked at.
    fn descriptors(&self, most_links: usize) -> Option<(f64, f64)> {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", self.pid)).ok()?;
        let paths: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        let is_socket = |path: &&PathBuf| {
            let link = std::fs::read_link(path);
            link.is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
        };
        let step = paths.len().div_ceil(most_links.max(1)).max(1);
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

/// Seconds that a thread waited for a CPU: the second number of its `schedstat`, nanoseconds.
fn waited_s(schedstat: &str) -> Option<f64> {
    let wait = schedstat.split_ascii_whitespace().nth(1)?;
    Some(float(wait.parse().ok()?) / NANOS)
}

/// A thread's numbers now.
#[derive(Debug, Clone, Copy)]
struct Thread {
    id: u32,
    stat: Stat,
    /// Seconds that it could have run and had no CPU; `None` where the kernel does not tell.
    waited_s: Option<f64>,
}

/// Rates of a process, and of those below it, that may be replaced by others.
#[derive(Debug, Default)]
pub(super) struct ProcessTracker {
    /// By process.
    each: HashMap<u32, Tracked>,
    children: Children,
    tcp: TcpTroubles,
}

/// Rates of one process.
#[derive(Debug, Default)]
struct Tracked {
    cpu: Rate,
    threads: Threads,
}

/// The CPU of every thread of one process.
#[derive(Debug, Default)]
struct Threads {
    /// CPU used and waited for, by thread.
    rates: HashMap<u32, (Rate, Rate)>,
}

/// What the threads of one process did since the last sample, in cores.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Busy {
    main: Option<f64>,
    main_wait: Option<f64>,
    busiest: Option<f64>,
    /// Of all threads together.
    wait: Option<f64>,
}

impl Busy {
    /// Of several processes the busiest main thread and thread, and the waits of all.
    fn beside(self, other: Self) -> Self {
        let full = |b: &Self| b.main.unwrap_or(0.0) + b.main_wait.unwrap_or(0.0);
        let busier = if full(&other) > full(&self) || self.main.is_none() {
            other
        } else {
            self
        };
        Self {
            main: busier.main,
            main_wait: busier.main_wait,
            busiest: most(self.busiest, other.busiest),
            wait: sum(self.wait, other.wait),
        }
    }
}

fn most(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    [a, b].into_iter().flatten().reduce(f64::max)
}

fn sum(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    [a, b].into_iter().flatten().reduce(|a, b| a + b)
}

impl Threads {
    /// Takes the threads that there are now.
    fn update(&mut self, pid: u32, now: Instant, threads: &[Thread]) -> Busy {
        self.rates
            .retain(|id, _| threads.iter().any(|t| t.id == *id));
        let mut out = Busy::default();
        for Thread { id, stat, waited_s } in threads {
            let (cpu, wait) = self.rates.entry(*id).or_default();
            // A thread's number may be given again: its start tells them apart.
            let source = stat.start.to_string();
            let busy = cpu.update(&source, now, stat.cpu_s());
            let waited = waited_s.and_then(|s| wait.update(&source, now, s));
            if *id == pid {
                (out.main, out.main_wait) = (busy, waited);
            }
            out.busiest = most(out.busiest, busy);
            out.wait = sum(out.wait, waited);
        }
        out
    }
}

/// The processes below one, by number and start.
#[derive(Debug, Default)]
struct Children {
    known: Vec<(u32, u64)>,
    /// How many of them ended while the one above them lived.
    ended: u32,
}

impl Children {
    /// Takes a tree, the one above all first, as it is now.
    fn update(&mut self, tree: &[Alive]) -> u32 {
        let now: Vec<(u32, u64)> = tree.iter().map(|a| (a.pid, a.stat.start)).collect();
        // Those of another master before it ended with that.
        if self.known.first() == now.first() {
            let gone = self.known.iter().filter(|known| !now.contains(known));
            self.ended += u32::try_from(gone.count()).unwrap_or(0);
        }
        self.known = now;
        self.ended
    }
}

impl ProcessTracker {
    /// Adds the numbers of a process and of those below it, itself first, to `sample`; their `cpu`
    /// only where nothing better is there yet.
    pub(super) fn add(&mut self, sample: &mut Sample, tree: &[Alive], with_cpu: bool) {
        let Some(master) = tree.first() else {
            return;
        };
        let now = Instant::now();
        self.each
            .retain(|pid, _| tree.iter().any(|a| a.pid == *pid));
        let (mut cpu, mut busy, mut most_threads) = (None, Busy::default(), 0.0_f64);
        for alive in tree {
            let tracked = self.each.entry(alive.pid).or_default();
            let used = tracked
                .cpu
                .update(&alive.identity(), now, alive.stat.cpu_s());
            cpu = sum(cpu, used);
            let threads = alive.threads();
            busy = busy.beside(tracked.threads.update(alive.pid, now, &threads));
            most_threads = most_threads.max(float(threads.len() as u64));
        }
        if with_cpu {
            sample.put("cpu", cpu);
        }
        sample.put("rss", Some(rss(tree)));
        sample.put("cpu_wait", busy.wait);
        sample.put("main_thread_cpu", busy.main);
        sample.put("main_thread_wait", busy.main_wait);
        sample.put("busiest_thread_cpu", busy.busiest);
        sample.put("processes", Some(float(tree.len() as u64)));
        sample.put("threads", Some(most_threads));
        sample.put("children_ended", Some(self.children.update(tree).into()));
        add_descriptors(sample, tree);
        if master.has_own_network() {
            let folder = format!("/proc/{}/net", master.pid);
            self.tcp.add(sample, &folder, &master.identity());
        }
    }
}

/// Memory of some processes, bytes; what they share is counted with each.
fn rss(tree: &[Alive]) -> f64 {
    tree.iter().map(|a| float(a.stat.rss())).sum()
}

/// Descriptors of the process that is nearest to its own limit, which is what one runs into, and
/// the sockets of all.
fn add_descriptors(sample: &mut Sample, tree: &[Alive]) {
    let links = MOST_LINKS / tree.len().max(1);
    let mut nearest: Option<(f64, Option<f64>)> = None;
    let mut sockets = None;
    let share = |(all, limit): (f64, Option<f64>)| all / limit.unwrap_or(f64::INFINITY);
    for alive in tree {
        let Some((all, of_sockets)) = alive.descriptors(links) else {
            continue;
        };
        sockets = sum(sockets, Some(of_sockets));
        let here = (all, alive.descriptor_limit());
        if nearest.is_none_or(|n| share(here) > share(n)) {
            nearest = Some(here);
        }
    }
    sample.put("descriptors", nearest.map(|(all, _)| all));
    sample.limit("descriptors", nearest.and_then(|(_, limit)| limit));
    sample.put("sockets", sockets);
}

/// A monitor of one process, by the file that holds its id.
#[derive(Debug)]
pub(super) struct Process {
    pid_file: PathBuf,
    /// The group of the process, or of the one before: it keeps telling of the kill after the
    /// process died.
    group: Option<Folders>,
    group_tracker: GroupTracker,
    tracker: ProcessTracker,
    restarts: Changes,
}

impl Process {
    pub(super) fn new(pid_file: &Path) -> Self {
        Self {
            pid_file: pid_file.to_owned(),
            group: None,
            group_tracker: GroupTracker::default(),
            tracker: ProcessTracker::default(),
            restarts: Changes::default(),
        }
    }

    /// The process that the file names now, if it lives.
    pub(super) fn alive(&self) -> Option<Alive> {
        let text = bounded::text(&self.pid_file, bounded::VALUE).ok()?;
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
            cpu_told = GroupTracker::tells_cpu(group, &look);
            let name = group.memory().display().to_string();
            self.group_tracker.add(&mut sample, &look, &name);
        }
        if let Some(alive) = &alive {
            self.restarts.update(&alive.identity());
            let tree = alive.clone().tree();
            if self.group.is_none() {
                sample.put("memory", Some(rss(&tree)));
            }
            self.tracker.add(&mut sample, &tree, !cpu_told);
        }
        sample.put("restarts", self.restarts.count());
        Ok(sample)
    }

    fn not_there(&self) -> MonitorError {
        match bounded::text(&self.pid_file, bounded::VALUE) {
            Err(error) => MonitorError::Read {
                path: self.pid_file.display().to_string(),
                error,
            },
            Ok(text) => MonitorError::Unexpected(format!(
                "{} names process `{}`, which is not running",
                self.pid_file.display(),
                excerpt::line(&text)
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
        let thread = |id, stat, waited_s| Thread { id, stat, waited_s };
        let mut threads = Threads::default();
        let first = [
            thread(7, stat(0, 1), Some(0.0)),
            thread(8, stat(0, 1), Some(3.0)),
        ];
        assert_eq!(threads.update(7, at(0), &first), Busy::default());
        let then = [
            thread(7, stat(ticks / 4, 1), Some(0.5)),
            thread(8, stat(ticks / 2, 1), Some(3.25)),
            thread(9, stat(ticks * 50, 2), None),
        ];
        let busy = Busy {
            main: Some(0.25),
            main_wait: Some(0.5),
            busiest: Some(0.5),
            wait: Some(0.75),
        };
        assert_eq!(threads.update(7, at(1), &then), busy);
        let again = [
            thread(7, stat(ticks / 4, 1), None),
            thread(8, stat(ticks * 9, 5), None),
        ];
        let idle = Busy {
            main: Some(0.0),
            busiest: Some(0.0),
            ..Busy::default()
        };
        assert_eq!(threads.update(7, at(2), &again), idle);
        // Of two processes the busier main thread, with its own wait.
        let other = Busy {
            main: Some(0.1),
            main_wait: Some(0.8),
            busiest: Some(0.1),
            wait: Some(1.0),
        };
        let both = Busy {
            busiest: Some(0.5),
            wait: Some(1.75),
            ..other
        };
        assert_eq!(busy.beside(other), both);
        assert_eq!(Busy::default().beside(busy), busy);
    }

    #[test]
    fn the_wait_for_a_cpu_is_the_second_number_of_schedstat() {
        assert_eq!(waited_s("123456789 2500000000 1804\n"), Some(2.5));
        assert_eq!(waited_s("123456789"), None);
        assert_eq!(waited_s(""), None);
    }

    #[test]
    fn the_processes_below_a_master_are_watched_with_it() {
        use std::io::{BufRead as _, BufReader, Write as _};
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("master.pid");
        // A master of two workers, of which one has a limit of 40 descriptors and opens most of
        // them.
        let script = "(ulimit -n 40; i=3; while [ $i -lt 34 ]; do eval \"exec $i</dev/null\" || exit; i=$((i+1)); done; \
                      exec sleep 60) & sleep 60 & echo up; read end; kill %2; read end; kill %1";
        let mut master = std::process::Command::new("bash")
            .args(["-c", &format!("set -m; {script}")])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::fs::write(&file, master.id().to_string()).unwrap();
        let mut line = String::new();
        BufReader::new(master.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let mut process = Process::new(&file);
        let value = |sample: &Sample, field: &str| super::super::find(&sample.values, field);
        let mut until = |field: &str, done: &dyn Fn(f64) -> bool| {
            let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
            loop {
                let sample = process.sample().unwrap();
                if value(&sample, field).is_some_and(done) {
                    return sample;
                }
                assert!(std::time::Instant::now() < end, "{field}: {sample:?}");
                std::thread::yield_now();
            }
        };
        let seen = until("descriptors", &|n| n >= 34.0);
        assert_eq!(value(&seen, "processes"), Some(3.0));
        assert_eq!(value(&seen, "threads"), Some(1.0));
        let limit = super::super::find(&seen.limits, "descriptors");
        assert_eq!(limit, Some(40.0), "that of the worker that is near it");
        let own = Alive::look(master.id()).unwrap().stat.rss();
        assert!(value(&seen, "rss").unwrap() > float(own), "all of them");
        assert_eq!(value(&seen, "children_ended"), Some(0.0));
        let mut stdin = master.stdin.take().unwrap();
        stdin.write_all(b"\n").unwrap();
        let seen = until("children_ended", &|n| n > 0.0);
        assert_eq!(value(&seen, "children_ended"), Some(1.0));
        assert_eq!(value(&seen, "up"), Some(1.0));
        stdin.write_all(b"\n").unwrap();
        drop(stdin);
        master.wait().unwrap();
    }

    #[test]
    fn sockets_among_descriptors_are_counted() {
        let own = Alive::look(std::process::id()).unwrap();
        let (_, before) = own.descriptors(MOST_LINKS).unwrap();
        let open: Vec<_> = (0..40)
            .map(|_| std::net::UdpSocket::bind("127.0.0.1:0").unwrap())
            .collect();
        let (all, after) = own.descriptors(MOST_LINKS).unwrap();
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
