//! The machine that this program runs on, as its kernel sees it: where the target runs here too, its accept queue overflows
//! here, and in no log of its own.

use tokio::time::Instant;

use super::counter::{Counter, Rate, float};
use super::kernel::{TcpTroubles, in_line, pressure, value_of};
use super::{MonitorError, Sample};

/// What the kernel tells. Where it does not (no Linux), the fields are gaps.
pub(super) const FIELDS: &[&str] = &[
    "cpu",
    "cpu_pressure",
    "memory_available",
    "swap_out",
    "listen_overflows",
    "listen_drops",
    "retransmits",
    "time_wait",
];

/// The monitor of this machine.
#[derive(Debug, Default)]
pub(super) struct Host {
    tcp: TcpTroubles,
    swap_out: Counter,
    cpu: Rate,
}

impl Host {
    #[expect(clippy::unnecessary_wraps, reason = "as every source's sample")]
    pub(super) fn sample(&mut self) -> Result<Sample, MonitorError> {
        let mut sample = Sample::default();
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let some = |path: &str, value: fn(&str) -> Option<u64>| value(&read(path)?);
        let stat = read("/proc/stat").unwrap_or_default();
        if let Some((busy_s, cpus)) = busy(&stat) {
            sample.put("cpu", self.cpu.update("boot", Instant::now(), busy_s));
            sample.limit("cpu", Some(cpus));
        }
        let cpu = read("/proc/pressure/cpu");
        sample.put("cpu_pressure", cpu.as_deref().and_then(pressure));
        let available = some("/proc/meminfo", |t| value_of(t, "MemAvailable"));
        sample.put("memory_available", available.map(|kib| float(kib * 1024)));
        let pages = some("/proc/vmstat", |t| value_of(t, "pswpout"));
        let pages = pages.map(|n| self.swap_out.update("boot", float(n)));
        sample.put("swap_out", pages);
        self.tcp.add(&mut sample, "/proc/net", "boot");
        let waiting = some("/proc/net/sockstat", |t| in_line(t, "TCP:", "tw"));
        sample.put("time_wait", waiting.map(float));
        Ok(sample)
    }
}

/// Seconds that all CPUs have been busy since the machine started, and how many there are, from `/proc/stat`. Waiting for a disk
/// is not busy, and what a hypervisor gave to others is not this machine's.
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
