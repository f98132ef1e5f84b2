//! Control groups, version 1 and 2: memory, CPU, kills by the kernel.

use std::path::{Path, PathBuf};

use tokio::time::Instant;

use super::counter::{Counter, Rate, float};
use super::kernel::{pressure, value_of};
use super::{MonitorError, Sample};
use crate::bounded;

/// Where the kernel shows control groups.
pub(super) const ROOT: &str = "/sys/fs/cgroup";

/// Memory limits from here on stand for "none" (version 1 shows 2^63 rounded down to a page).
const NO_LIMIT: u64 = 1 << 60;

/// The folders of one control group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Folders {
    /// Version 1: one folder per controller.
    V1 {
        memory: PathBuf,
        cpu: Option<PathBuf>,
        cpuacct: Option<PathBuf>,
    },
    /// Version 2: one for all.
    V2(PathBuf),
}

/// What one look at a control group saw; `None` where it does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Look {
    /// Bytes in use, without the page cache that the kernel would give back first.
    pub(super) memory: Option<u64>,
    pub(super) memory_limit: Option<u64>,
    /// The most bytes that ever were in use, page cache included.
    pub(super) memory_peak: Option<u64>,
    /// Share of the last ten seconds in which some process waited for memory.
    pub(super) memory_pressure: Option<f64>,
    /// Share of the last ten seconds in which some process waited for a CPU.
    pub(super) cpu_pressure: Option<f64>,
    pub(super) oom_kills: Option<u64>,
    /// CPU time used, seconds.
    pub(super) cpu_s: Option<f64>,
    /// Cores allowed.
    pub(super) cpu_limit: Option<f64>,
    /// Time throttled, seconds.
    pub(super) throttled_s: Option<f64>,
    /// Periods of its quota in which it was throttled, and all of them.
    pub(super) periods: Option<(u64, u64)>,
}

impl Folders {
    /// The folders of a process, from the text of its `/proc/PID/cgroup`; `None` when it is in none
    /// but the root.
    pub(super) fn of_process(proc_cgroup: &str, root: &Path) -> Option<Self> {
        if let Some((_, path)) = controller(proc_cgroup, "memory") {
            let memory = folder(root, "memory", path)?;
            let sub = |name| {
                let (hierarchy, path) = controller(proc_cgroup, name)?;
                folder(root, name, path).or_else(|| folder(root, hierarchy, path))
            };
            return Some(Self::V1 {
                memory,
                cpu: sub("cpu"),
                cpuacct: sub("cpuacct"),
            });
        }
        let path = proc_cgroup.lines().find_map(|l| l.strip_prefix("0::"))?;
        folder(root, "", path).map(Self::V2)
    }

    /// The folders for one that the user named; for version 1 any controller's folder will do.
    pub(super) fn of_dir(dir: &Path, root: &Path) -> Self {
        if dir.join("cgroup.controllers").exists() || dir.join("memory.current").exists() {
            return Self::V2(dir.to_owned());
        }
        let below = dir
            .strip_prefix(root)
            .ok()
            .and_then(|rest| {
                let mut parts = rest.components();
                parts.next()?;
                Some(parts.as_path().to_owned())
            })
            .filter(|path| !path.as_os_str().is_empty());
        let sibling = |name: &str| {
            let path = root.join(name).join(below.as_ref()?);
            path.is_dir().then_some(path)
        };
        Self::V1 {
            memory: sibling("memory").unwrap_or_else(|| dir.to_owned()),
            cpu: sibling("cpu"),
            cpuacct: sibling("cpuacct"),
        }
    }

    /// The folder that names the group.
    pub(super) fn memory(&self) -> &Path {
        match self {
            Self::V1 { memory, .. } => memory,
            Self::V2(dir) => dir,
        }
    }

    /// Whether the group, and not just the root that everything is in, accounts for CPU.
    fn has_cpu(&self) -> bool {
        match self {
            Self::V1 { cpuacct, .. } => cpuacct.is_some(),
            Self::V2(_) => true,
        }
    }

    /// The processes in it; `None` when it is gone.
    pub(super) fn processes(&self) -> Option<Vec<u32>> {
        let text = read(&self.memory().join("cgroup.procs"))?;
        Some(text.lines().filter_map(|l| l.trim().parse().ok()).collect())
    }

    /// Reads everything.
    pub(super) fn look(&self) -> Look {
        match self {
            Self::V1 {
                memory,
                cpu,
                cpuacct,
            } => {
                let usage = number(memory, "memory.usage_in_bytes");
                let cache = key(memory, "memory.stat", "total_inactive_file");
                let in_cpu = |f: fn(&Path) -> Option<f64>| cpu.as_deref().and_then(f);
                Look {
                    memory: used(usage, cache),
                    memory_limit: number(memory, "memory.limit_in_bytes").filter(|l| *l < NO_LIMIT),
                    memory_peak: number(memory, "memory.max_usage_in_bytes"),
                    // Version 1 has no pressure per group.
                    memory_pressure: None,
                    cpu_pressure: None,
                    oom_kills: key(memory, "memory.oom_control", "oom_kill"),
                    cpu_s: cpuacct
                        .as_deref()
                        .and_then(|dir| number(dir, "cpuacct.usage"))
                        .map(|ns| float(ns) / 1e9),
                    cpu_limit: in_cpu(|dir| {
                        let quota = number(dir, "cpu.cfs_quota_us")?;
                        let period = number(dir, "cpu.cfs_period_us")?;
                        (period > 0).then(|| float(quota) / float(period))
                    }),
                    throttled_s: in_cpu(|dir| {
                        key(dir, "cpu.stat", "throttled_time").map(|ns| float(ns) / 1e9)
                    }),
                    periods: cpu.as_deref().and_then(periods),
                }
            }
            Self::V2(dir) => Look {
                memory: used(
                    number(dir, "memory.current"),
                    key(dir, "memory.stat", "inactive_file"),
                ),
                // Without a limit it reads `max`, which is no number.
                memory_limit: number(dir, "memory.max"),
                memory_peak: number(dir, "memory.peak"),
                memory_pressure: pressure_in(dir, "memory.pressure"),
                cpu_pressure: pressure_in(dir, "cpu.pressure"),
                oom_kills: key(dir, "memory.events", "oom_kill"),
                cpu_s: key(dir, "cpu.stat", "usage_usec").map(|us| float(us) / 1e6),
                cpu_limit: read(&dir.join("cpu.max")).and_then(|text| cpu_max(&text)),
                throttled_s: key(dir, "cpu.stat", "throttled_usec").map(|us| float(us) / 1e6),
                periods: periods(dir),
            },
        }
    }
}

/// The hierarchy's name and the path of a version 1 controller in `/proc/PID/cgroup`:
/// `4:cpu,cpuacct:/path`.
fn controller<'a>(proc_cgroup: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    proc_cgroup.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (hierarchy, path) = (parts.next()?, parts.next()?);
        hierarchy
            .split(',')
            .any(|c| c == name)
            .then_some((hierarchy, path))
    })
}

/// The folder of a path below a mount; `None` for the root, which holds everything, and when it is
/// not there.
fn folder(root: &Path, hierarchy: &str, path: &str) -> Option<PathBuf> {
    let path = path.trim_start_matches('/');
    if path.is_empty() {
        return None;
    }
    Some(root.join(hierarchy).join(path)).filter(|p| p.is_dir())
}

fn read(path: &Path) -> Option<String> {
    // A profile names the folder: what lies there need not be the kernel's.
    bounded::text(path, bounded::WRITTEN).ok()
}

fn number(dir: &Path, file: &str) -> Option<u64> {
    read(&dir.join(file))?.trim().parse().ok()
}

fn key(dir: &Path, file: &str, key: &str) -> Option<u64> {
    value_of(&read(&dir.join(file))?, key)
}

/// Throttled periods and all of them. Without a quota there are none.
fn periods(dir: &Path) -> Option<(u64, u64)> {
    let of = |name| key(dir, "cpu.stat", name);
    Some((of("nr_throttled")?, of("nr_periods")?))
}

fn pressure_in(dir: &Path, file: &str) -> Option<f64> {
    pressure(&read(&dir.join(file))?)
}

/// `QUOTA PERIOD` in microseconds as cores; none for `max PERIOD`.
fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.parse().ok()?);
    (period > 0).then(|| float(quota) / float(period))
}

/// Usage without the inactive page cache, as the docker client shows it.
fn used(usage: Option<u64>, inactive_file: Option<u64>) -> Option<u64> {
    Some(usage?.saturating_sub(inactive_file.unwrap_or(0)))
}

/// Turns looks into samples: rates and counters that outlive the group.
#[derive(Debug, Default)]
pub(super) struct GroupTracker {
    cpu: Rate,
    oom_kills: Counter,
    throttled: Counter,
    periods: Option<(String, u64, u64)>,
}

impl GroupTracker {
    /// Adds to `sample` what a look saw. `source` names the group's incarnation where it is known
    /// to change.
    pub(super) fn add(&mut self, sample: &mut Sample, look: &Look, source: &str) {
        sample.put("memory", look.memory.map(float));
        sample.put("memory_peak", look.memory_peak.map(float));
        sample.put("memory_pressure", look.memory_pressure);
        sample.put("cpu_pressure", look.cpu_pressure);
        sample.put("throttled_share", self.throttled_share(source, look));
        let now = Instant::now();
        if let Some(cpu_s) = look.cpu_s {
            sample.put("cpu", self.cpu.update(source, now, cpu_s));
        }
        if let Some(kills) = look.oom_kills {
            self.oom_kills.update(source, float(kills));
        }
        if let Some(throttled) = look.throttled_s {
            self.throttled.update(source, throttled);
        }
        sample.put("oom_kills", self.oom_kills.total());
        sample.put("throttled_s", self.throttled.total());
        sample.limit("memory", look.memory_limit.map(float));
        sample.limit("cpu", look.cpu_limit);
    }

    /// The share of the quota's periods since the last look in which the group was throttled.
    fn throttled_share(&mut self, source: &str, look: &Look) -> Option<f64> {
        let (throttled, all) = look.periods?;
        let last = self.periods.replace((source.to_owned(), throttled, all));
        let (last_source, throttled_then, all_then) = last?;
        let passed = all.checked_sub(all_then).filter(|n| *n > 0)?;
        let held = throttled.checked_sub(throttled_then)?;
        (last_source == source).then(|| float(held) / float(passed))
    }

    /// Whether the group tells of CPU at all.
    pub(super) fn tells_cpu(folders: &Folders, look: &Look) -> bool {
        folders.has_cpu() && look.cpu_s.is_some()
    }
}

/// A monitor of one control group, by its folder.
#[derive(Debug)]
pub(super) struct Group {
    dir: PathBuf,
    tracker: GroupTracker,
}

impl Group {
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            tracker: GroupTracker::default(),
        }
    }

    pub(super) fn sample(&mut self) -> Result<Sample, MonitorError> {
        // The folder may be made later, or again: look for it each time.
        let folders = Folders::of_dir(&self.dir, Path::new(ROOT));
        let processes = folders.processes().ok_or_else(|| {
            MonitorError::Unexpected(format!("no control group at {}", self.dir.display()))
        })?;
        let mut sample = Sample::default();
        sample.put("up", Some(if processes.is_empty() { 0.0 } else { 1.0 }));
        self.tracker.add(&mut sample, &folders.look(), "group");
        Ok(sample)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    // Recorded from a container with 512 MiB on Linux 6.18, version 1.
    const V1: [(&str, &str); 8] = [
        ("memory/app/memory.usage_in_bytes", "88870912\n"),
        ("memory/app/memory.limit_in_bytes", "536870912\n"),
        (
            "memory/app/memory.stat",
            "cache 35000320\ninactive_file 1\ntotal_cache 35000320\ntotal_inactive_file 33554432\n",
        ),
        (
            "memory/app/memory.oom_control",
            "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        ),
        ("memory/app/memory.max_usage_in_bytes", "99000000\n"),
        ("cpuacct/app/cpuacct.usage", "1500000000\n"),
        (
            "cpu/app/cpu.stat",
            "nr_periods 10\nnr_throttled 3\nthrottled_time 250000000\n",
        ),
        ("cpu/app/cpu.cfs_quota_us", "-1\n"),
    ];

    const V2: [(&str, &str); 10] = [
        ("app/cgroup.controllers", "cpu memory\n"),
        ("app/memory.current", "88870912\n"),
        ("app/memory.max", "536870912\n"),
        (
            "app/memory.stat",
            "anon 54000000\nfile 35000320\ninactive_file 33554432\n",
        ),
        (
            "app/memory.events",
            "low 0\nhigh 0\nmax 731\noom 1\noom_kill 2\noom_group_kill 0\n",
        ),
        (
            "app/cpu.stat",
            "usage_usec 1500000\nuser_usec 1\nnr_periods 10\nnr_throttled 3\nthrottled_usec \
             250000\n",
        ),
        ("app/cpu.max", "150000 100000\n"),
        ("app/memory.peak", "99000000\n"),
        (
            "app/memory.pressure",
            "some avg10=2.50 avg60=1.00 avg300=0.10 total=9\nfull avg10=0.00 avg60=0.00 \
             avg300=0.00 total=0\n",
        ),
        (
            "app/cpu.pressure",
            "some avg10=40.00 avg60=1.00 avg300=0.10 total=9\n",
        ),
    ];

    const SEEN: Look = Look {
        memory: Some(88_870_912 - 33_554_432),
        memory_limit: Some(536_870_912),
        memory_peak: Some(99_000_000),
        memory_pressure: None,
        cpu_pressure: None,
        oom_kills: Some(2),
        cpu_s: Some(1.5),
        cpu_limit: None,
        throttled_s: Some(0.25),
        periods: Some((3, 10)),
    };

    #[test]
    fn version_1_is_read_from_one_folder_per_controller() {
        let root = tree(&V1);
        let text = "9:name=systemd:/\n4:memory:/app\n2:cpuacct:/app\n1:cpu:/app\n0::/\n";
        let folders = Folders::of_process(text, root.path()).unwrap();
        assert_eq!(folders.look(), SEEN);
        assert_eq!(
            Folders::of_dir(&root.path().join("memory/app"), root.path()),
            folders
        );
    }

    #[test]
    fn controllers_may_share_a_hierarchy() {
        let root = tree(&[
            ("memory/app/x", ""),
            ("cpu,cpuacct/app/cpuacct.usage", "2000000000\n"),
        ]);
        let text = "4:memory:/app\n2:cpu,cpuacct:/app\n";
        let folders = Folders::of_process(text, root.path()).unwrap();
        assert_eq!(folders.look().cpu_s, Some(2.0));
    }

    #[test]
    fn version_2_is_read_from_one_folder() {
        let root = tree(&V2);
        let folders = Folders::of_process("0::/app\n", root.path()).unwrap();
        let seen = Look {
            cpu_limit: Some(1.5),
            memory_pressure: Some(0.025),
            cpu_pressure: Some(0.4),
            ..SEEN
        };
        assert_eq!(folders.look(), seen);
        assert_eq!(
            Folders::of_dir(&root.path().join("app"), root.path()),
            folders
        );
    }

    #[test]
    fn the_share_of_throttled_periods_is_that_since_the_last_look() {
        let mut tracker = GroupTracker::default();
        let mut share = |source: &str, periods| {
            let look = Look {
                periods,
                ..Look::default()
            };
            tracker.throttled_share(source, &look)
        };
        assert_eq!(share("a", Some((3, 10))), None);
        assert_eq!(share("a", Some((5, 20))), Some(0.2));
        assert_eq!(share("a", Some((5, 20))), None, "no period passed");
        assert_eq!(share("b", Some((5, 30))), None, "another group");
        assert_eq!(share("b", None), None);
    }

    #[test]
    fn no_limit_is_none_and_the_root_is_no_group() {
        let root = tree(&[
            ("memory/app/memory.limit_in_bytes", "9223372036854771712\n"),
            ("app/memory.max", "max\n"),
            ("app/memory.current", "1\n"),
            ("app/cpu.max", "max 100000\n"),
        ]);
        let v1 = Folders::of_process("4:memory:/app\n", root.path()).unwrap();
        assert_eq!(v1.look(), Look::default());
        let v2 = Folders::of_process("0::/app\n", root.path()).unwrap();
        assert_eq!((v2.look().memory_limit, v2.look().cpu_limit), (None, None));
        assert_eq!(Folders::of_process("4:memory:/\n0::/\n", root.path()), None);
        assert_eq!(
            Folders::of_process("0::/gone\n", root.path()),
            None,
            "another namespace's path"
        );
    }
}
