//! The machine that this program runs on, as its kernel sees it: where the target runs here too, its accept queue overflows
//! here, and in no log of its own.

use super::counter::{Counter, float};
use super::kernel::{TcpTroubles, in_line, pressure, value_of};
use super::{MonitorError, Sample};

/// What the kernel tells. Where it does not (no Linux), the fields are gaps.
pub(super) const FIELDS: &[&str] = &[
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
}

impl Host {
    #[expect(clippy::unnecessary_wraps, reason = "as every source's sample")]
    pub(super) fn sample(&mut self) -> Result<Sample, MonitorError> {
        let mut sample = Sample::default();
        let read = |path: &str| std::fs::read_to_string(path).ok();
        let some = |path: &str, value: fn(&str) -> Option<u64>| value(&read(path)?);
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
