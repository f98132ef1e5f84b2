//! How much memory this process may still take: what the machine has left, or less where a control
//! group allows less.

use std::fs;
use std::path::Path;

/// Bytes; `None` where neither the machine nor a control group says.
pub(super) fn available() -> Option<u64> {
    let machine = read("/proc/meminfo").and_then(|text| of_meminfo(&text));
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let rooms = folders(&groups).into_iter().filter_map(|f| room(&f));
    rooms.chain(machine).min()
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn of_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

/// Where the limits of a process stand, from `/proc/self/cgroup`: its own group and all above it,
/// each of which limits it. A container sees only the part of the tree below it: there the root is
/// its own.
fn folders(groups: &str) -> Vec<String> {
    let mut out = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let root = match controllers {
            "" => "/sys/fs/cgroup",
            c if c.split(',').any(|c| c == "memory") => "/sys/fs/cgroup/memory",
            _ => continue,
        };
        let mut path = path.trim_end_matches('/');
        while let Some(above) = path.rfind('/') {
            out.push(format!("{root}{path}"));
            path = &path[..above];
        }
        out.push(root.to_owned());
    }
    out
}

/// What a group may still take; its page cache can be had back.
fn room(folder: &str) -> Option<u64> {
    let file = |name: &str| read(Path::new(folder).join(name));
    let number = |name: &str| file(name)?.trim().parse::<u64>().ok();
    // The second version of control groups, then the first. A group without a limit says `max` or a
    // number beyond all memory.
    let limit = number("memory.max").or_else(|| number("memory.limit_in_bytes"))?;
    let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
    let cache = file("memory.stat").and_then(|text| inactive_file(&text));
    Some(limit.saturating_sub(used.saturating_sub(cache.unwrap_or(0))))
}

fn inactive_file(stat: &str) -> Option<u64> {
    let of = |name: &str| {
        let line = stat.lines().find_map(|l| l.strip_prefix(name));
        line.and_then(|n| n.trim().parse().ok())
    };
    of("total_inactive_file ").or_else(|| of("inactive_file "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_memory_is_what_it_calls_available() {
        let meminfo = "MemTotal:  100 kB\nMemAvailable:   2048 kB\n";
        assert_eq!(of_meminfo(meminfo), Some(2 << 20));
        assert_eq!(of_meminfo("MemTotal: 100 kB\n"), None);
    }

    #[test]
    fn a_groups_folders_follow_from_its_lines() {
        let text = "5:memory,cpu:/a/b\n3:cpuset:/\n0::/c\n";
        assert_eq!(
            folders(text),
            [
                "/sys/fs/cgroup/memory/a/b",
                "/sys/fs/cgroup/memory/a",
                "/sys/fs/cgroup/memory",
                "/sys/fs/cgroup/c",
                "/sys/fs/cgroup"
            ]
        );
    }

    #[test]
    fn a_group_has_room_for_its_limit_less_what_it_uses_and_cannot_give_back() {
        let group = tempfile::TempDir::new().unwrap();
        let write = |name: &str, text: &str| fs::write(group.path().join(name), text).unwrap();
        let folder = group.path().to_str().unwrap();
        assert_eq!(room(folder), None, "no files");
        write("memory.max", "max\n");
        write("memory.current", "700\n");
        assert_eq!(room(folder), None, "no limit");
        write("memory.max", "1000\n");
        assert_eq!(room(folder), Some(300));
        write("memory.stat", "anon 5\ninactive_file 200\n");
        assert_eq!(room(folder), Some(500));
    }
}
