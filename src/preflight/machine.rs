//! What a capacity report tells of the machine. Its name is left out: a report is passed on.

use std::fs;

/// The CPUs' model; `None` where the system does not name it.
pub(super) fn cpu_model() -> Option<String> {
    model_in(&fs::read_to_string("/proc/cpuinfo").ok()?)
}

/// The machine's memory, bytes.
pub(super) fn memory() -> Option<u64> {
    total_in(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn model_in(cpuinfo: &str) -> Option<String> {
    // Not every architecture has the line.
    let line = cpuinfo.lines().find(|l| l.starts_with("model name"))?;
    let name = line.split_once(':')?.1.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

fn total_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_does_not_say_is_left_out() {
        let info = "processor\t: 0\nmodel name\t: Some CPU @ 2.50GHz\nmodel name\t: Some CPU\n";
        assert_eq!(model_in(info).as_deref(), Some("Some CPU @ 2.50GHz"));
        assert_eq!(model_in("processor : 0\nmodel name :\n"), None);
        assert_eq!(model_in(""), None);
        assert_eq!(
            total_in("MemTotal:  4006000 kB\nMemFree: 1 kB\n"),
            Some(4_102_144_000)
        );
        assert_eq!(total_in("MemTotal: many kB"), None);
        assert_eq!(total_in("MemTotal: 18446744073709551615 kB"), None);
    }
}
