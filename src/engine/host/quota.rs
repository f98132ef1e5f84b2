//! Whether a CPU quota of the generator's own control group, or of one above it, holds it back: the
//! kernel then lets it wait beside CPUs that are idle, which no reading of the machine tells from a
//! machine that others fill.

use std::path::{Path, PathBuf};

/// Where the kernel shows control groups.
const ROOT: &str = "/sys/fs/cgroup";

/// Periods of the quotas above this process so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Periods {
    /// Of each group with a quota: those in which it was held back, and all.
    groups: Vec<(u64, u64)>,
}

impl Periods {
    /// Reads them now; none where there is no quota, or the kernel does not tell.
    pub(super) fn now() -> Self {
        let text = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self::of(&text, Path::new(ROOT))
    }

    fn of(proc_cgroup: &str, root: &Path) -> Self {
        let Some((mounts, path)) = cpu_controller(proc_cgroup) else {
            return Self::default();
        };
        let mounts = mounts.into_iter().map(|mount| root.join(mount));
        let Some(mount) = mounts.into_iter().find(|mount| mount.is_dir()) else {
            return Self::default();
        };
        // Seen from within a container the path may be one of its host: then the mount itself is
        // the group.
        let path = path.trim_start_matches('/');
        let own = mount.join(path);
        let groups: Vec<PathBuf> = if own.is_dir() {
            let above = own.ancestors().take_while(|dir| dir.starts_with(&mount));
            above.map(Path::to_path_buf).collect()
        } else {
            vec![mount]
        };
        Self {
            groups: groups.iter().filter_map(|dir| periods(dir)).collect(),
        }
    }

    /// The share of the periods since an earlier look in which this process was held back: that of
    /// the group where it is largest.
    #[expect(clippy::cast_precision_loss, reason = "ten periods a second")]
    pub(super) fn held_back_since(&self, before: &Self) -> Option<f64> {
        if self.groups.len() != before.groups.len() {
            // It was moved to another group.
            return None;
        }
        let share = |(now, then): (&(u64, u64), &(u64, u64))| {
            let (held, all) = (now.0.checked_sub(then.0)?, now.1.checked_sub(then.1)?);
            (all > 0).then(|| held as f64 / all as f64)
        };
        let shares = self.groups.iter().zip(&before.groups).filter_map(share);
        shares.reduce(f64::max)
    }
}

/// The names below which the CPU controller of a process may be mounted, and its path there, from
/// `/proc/PID/cgroup`: `4:cpu,cpuacct:/path` in version 1, `0::/path` in version 2.
fn cpu_controller(proc_cgroup: &str) -> Option<(Vec<String>, &str)> {
    let lines = || {
        proc_cgroup
            .lines()
            .filter_map(|l| l.splitn(3, ':').skip(1).collect::<Vec<_>>().try_into().ok())
    };
    let is_cpu = |[names, _]: &[&str; 2]| names.split(',').any(|name| name == "cpu");
    if let Some([names, path]) = lines().find(is_cpu) {
        return Some((vec!["cpu".to_owned(), names.to_owned()], path));
    }
    let [_, path] = lines().find(|[names, _]| names.is_empty())?;
    Some((vec![String::new()], path))
}

/// Periods in which a group was held back, and all of them; `None` where it has no quota.
fn periods(dir: &Path) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(dir.join("cpu.stat")).ok()?;
    let of = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once(' '));
        let (_, value) = lines.find(|(name, _)| *name == key)?;
        value.trim().parse().ok()
    };
    Some((of("nr_throttled")?, of("nr_periods")?)).filter(|(_, all)| *all > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, stat: &str) {
        std::fs::create_dir_all(dir).unwrap();
        std::fs::write(dir.join("cpu.stat"), stat).unwrap();
    }

    #[test]
    fn the_tightest_quota_at_or_above_the_own_group_counts_in_both_versions() {
        let root = std::env::temp_dir().join(format!("breakpoint-quota-{}", std::process::id()));
        for (mount, text) in [
            ("v1/cpu", "3:memory:/x\n2:cpu,cpuacct:/pod/me\n"),
            ("v2", "0::/pod/me\n"),
        ] {
            let mount = root.join(mount);
            let base = if mount.ends_with("cpu") {
                root.join("v1")
            } else {
                mount.clone()
            };
            // The root has no quota, and the kernel then counts no periods.
            write(&mount, "nr_periods 0\nnr_throttled 0\n");
            write(&mount.join("pod"), "nr_periods 100\nnr_throttled 10\n");
            write(&mount.join("pod/me"), "nr_periods 50\nnr_throttled 50\n");
            let then = Periods::of(text, &base);
            assert_eq!(then.groups.len(), 2, "{then:?}");
            write(&mount.join("pod"), "nr_periods 110\nnr_throttled 18\n");
            write(&mount.join("pod/me"), "nr_periods 60\nnr_throttled 51\n");
            let now = Periods::of(text, &base);
            assert_eq!(now.held_back_since(&then), Some(0.8));
            assert_eq!(now.held_back_since(&now), None, "no period has passed");
            assert_eq!(now.held_back_since(&Periods::default()), None, "moved");
            // A container that sees its host's path, and its own group as the root.
            write(&mount, "nr_periods 7\nnr_throttled 3\n");
            let inside = Periods::of(&text.replace("pod/me", "host/of/it"), &base);
            assert_eq!(inside.groups, [(3, 7)]);
        }
        assert_eq!(Periods::of("", &root), Periods::default());
        std::fs::remove_dir_all(&root).unwrap();
    }
}
