//! The machine that this program runs on, as its kernel sees it: where the target runs here too,
//! its accept queue overflows here, and in no log of its own.

use std::path::PathBuf;

use tokio::time::Instant;

use super::counter::{Counter, Rate, float};
use super::kernel::{TcpTroubles, in_line, pressure, value_of};
use super::{MonitorError, Sample};

/// The monitor of this machine.
#[derive(Debug)]
pub(super) struct Host {
    /// Where the kernel tells.
    proc: PathBuf,
    tcp: TcpTroubles,
    swap_in: Counter,
    swap_out: Counter,
    cpu: Rate,
}

impl Default for Host {
    fn default() -> Self {
        Self::at("/proc")
    }
}

impl Host {
    fn at(proc: impl Into<PathBuf>) -> Self {
        Self {
            proc: proc.into(),
            tcp: TcpTroubles::default(),
            swap_in: Counter::default(),
            swap_out: Counter::default(),
            cpu: Rate::default(),
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "as every source's sample")]
    pub(super) fn sample(&mut self) -> Result<Sample, MonitorError> {
        let mut sample = Sample::default();
        let proc = self.proc.clone();
        let read = |path: &str| std::fs::read_to_string(proc.join(path)).ok();
        let some = |path: &str, value: fn(&str) -> Option<u64>| value(&read(path)?);
        let stat = read("stat").unwrap_or_default();
        if let Some((busy_s, cpus)) = busy(&stat) {
            sample.put("cpu", self.cpu.update("boot", Instant::now(), busy_s));
            sample.limit("cpu", Some(cpus));
        }
        let cpu = read("pressure/cpu");
        sample.put("cpu_pressure", cpu.as_deref().and_then(pressure));
        let available = some("meminfo", |t| value_of(t, "MemAvailable"));
        sample.put("memory_available", available.map(|kib| float(kib * 1024)));
        let vmstat = read("vmstat").unwrap_or_default();
        let pages = |name: &str, counter: &mut Counter| {
            value_of(&vmstat, name).map(|n| counter.update("boot", float(n)))
        };
        sample.put("swap_in", pages("pswpin", &mut self.swap_in));
        sample.put("swap_out", pages("pswpout", &mut self.swap_out));
        let net = proc.join("net");
        self.tcp.add(&mut sample, &net.to_string_lossy(), "boot");
        let waiting = some("net/sockstat", |t| in_line(t, "TCP:", "tw"));
        sample.put("time_wait", waiting.map(float));
        Ok(sample)
    }
}

/// Seconds that all CPUs have been busy since the machine started, and how many there are, from
/// `/proc/stat`. Waiting for a disk is not busy, and what a hypervisor gave to others is not this
/// machine's.
fn busy(stat: &str) -> Option<(f64, f64)> {
    let all = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = (all.split_ascii_whitespace())
        .map_while(|n| n.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal: guests are counted in user already.
    let [user, nice, system, _, _, irq, softirq, ..] = ticks[..] else {
        return None;
    };
    let numbered = |l: &&str| {
        let number = l.strip_prefix("cpu");
        number.is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()))
    };
    let cpus = stat.lines().filter(numbered).count();
    let busy = float(user + nice + system + irq + softirq) / float(procfs::ticks_per_second());
    Some((busy, float(u64::try_from(cpus).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::monitor::Field;

    /// What a machine of 16 GiB reads that has so much memory left and has swapped so many pages in
    /// and out, kiB and pages.
    fn proc(at: &std::path::Path, available_kib: u64, pages: u64) {
        let file = |name: &str, text: String| std::fs::write(at.join(name), text).unwrap();
        file(
            "meminfo",
            format!("MemTotal: 16777216 kB\nMemAvailable: {available_kib} kB\n"),
        );
        file(
            "vmstat",
            format!("pgpgin 7\npswpin {pages}\npswpout {pages}\n"),
        );
    }

    #[test]
    fn a_machine_that_swaps_or_runs_out_of_memory_shows_in_what_its_kernel_tells() {
        use crate::measure::Reading;
        use crate::safety::Machine;
        let folder = tempfile::tempdir().unwrap();
        let mut host = Host::at(folder.path());
        let mut machine = Machine::new("host", Some(16 << 30));
        let mut look = |available_kib, pages| {
            proc(folder.path(), available_kib, pages);
            let sample = host.sample().unwrap();
            let reading = |(field, value): (Field, f64)| Reading {
                monitor: "host".to_owned(),
                field: field.into_owned(),
                value: Some(value),
            };
            let readings: Vec<Reading> = sample.values.into_iter().map(reading).collect();
            // A monitor reads once a second, the look is taken four times.
            let mut looks = std::iter::repeat_with(|| machine.look(&readings)).take(4);
            looks.find_map(|said| said)
        };
        let before = look(8 << 20, 1_000_000);
        assert_eq!(before, None, "what was before does not count");
        let mut plenty = (1..6).chain([5; 6]);
        assert!(plenty.all(|n| look(8 << 20, 1_000_000 + 400 * n).is_none()));
        let said = (6..12).find_map(|n| look(1 << 20, 1_000_000 + 400 * n));
        assert!(said.unwrap().starts_with("is swapping: "));
        let said = look(100_000, 1_004_800).unwrap();
        assert!(
            said.starts_with("has 98 MiB of memory left of 16 GiB"),
            "{said}"
        );
    }

    #[test]
    fn what_all_cpus_did_is_summed_without_waiting_and_stolen_time() {
        let stat = "cpu  1000 200 300 9999 888 10 20 777 5 0\ncpu0 1 2\ncpu1 3 4\nintr 5\n";
        let (busy_s, cpus) = busy(stat).unwrap();
        assert!((busy_s * float(procfs::ticks_per_second()) - 1530.0).abs() < 1e-6);
        assert!((cpus - 2.0).abs() < 1e-9);
        assert_eq!(busy("cpu  1 2 x\n"), None);
        assert_eq!(busy(""), None);
    }
}
