//! What engines share that watch their own health: what bears on this machine, and what a process
//! takes of it.
//!
//! The machine's counters are read once per window.

mod process;
mod quota;

use std::time::Instant;

pub(super) use self::process::ProcessWatch;
use self::quota::Periods;
use crate::measure::GeneratorHealth;

/// Reads what bears on the whole machine, by the growth of the kernel's counters.
pub(super) struct HostWatch {
    at: Instant,
    tcp: Option<(u64, u64)>,
    stalled_us: Option<u64>,
    cpu: Option<(u64, u64)>,
    quota: Periods,
}

impl HostWatch {
    pub(super) fn new() -> Self {
        Self {
            at: Instant::now(),
            tcp: clocks::tcp_segments(),
            stalled_us: clocks::stalled_us(),
            cpu: clocks::stolen_of_all(),
            quota: Periods::now(),
        }
    }

    /// What happened since the last sample.
    #[expect(
        clippy::cast_precision_loss,
        reason = "counters of a second are far below 2^52"
    )]
    pub(super) fn sample(&mut self) -> GeneratorHealth {
        let now = Self::new();
        let grown = |after: u64, before: u64| after.saturating_sub(before);
        let both = |after: Option<(u64, u64)>, before: Option<(u64, u64)>| {
            let (after, before) = after.zip(before)?;
            Some((grown(after.0, before.0), grown(after.1, before.1)))
        };
        let tcp = both(now.tcp, self.tcp);
        let passed_us = now.at.saturating_duration_since(self.at).as_secs_f64() * 1e6;
        let stalled = now.stalled_us.zip(self.stalled_us);
        let health = GeneratorHealth {
            segments_out: tcp.map(|(out, _)| out),
            retransmits: tcp.map(|(_, again)| again),
            cpu_pressure: stalled
                .filter(|_| passed_us > 0.0)
                .map(|(after, before)| (grown(after, before) as f64 / passed_us).min(1.0)),
            cpu_steal: both(now.cpu, self.cpu)
                .filter(|(_, all)| *all > 0)
                .map(|(stolen, all)| stolen as f64 / all as f64),
            held_back: now.quota.held_back_since(&self.quota),
            ..GeneratorHealth::default()
        };
        *self = now;
        health
    }
}

#[cfg(target_os = "linux")]
mod clocks {
    use procfs::{Current as _, CurrentSI as _};

    /// TCP segments that the network namespace sent, and that it sent again.
    pub(super) fn tcp_segments() -> Option<(u64, u64)> {
        let snmp = procfs::net::snmp().ok()?;
        Some((snmp.tcp_out_segs, snmp.tcp_retrans_segs))
    }

    /// Microseconds in which some task waited for a CPU; `None` where the kernel does not count
    /// them.
    pub(super) fn stalled_us() -> Option<u64> {
        Some(procfs::CpuPressure::current().ok()?.some.total)
    }

    /// Ticks that the hypervisor gave to others, and all ticks.
    pub(super) fn stolen_of_all() -> Option<(u64, u64)> {
        let t = procfs::KernelStats::current().ok()?.total;
        let stolen = t.steal?;
        let idle = t.idle + t.iowait.unwrap_or(0);
        let interrupts = t.irq.unwrap_or(0) + t.softirq.unwrap_or(0);
        Some((
            stolen,
            t.user + t.nice + t.system + idle + interrupts + stolen,
        ))
    }
}

#[cfg(not(target_os = "linux"))]
mod clocks {
    pub(super) fn tcp_segments() -> Option<(u64, u64)> {
        None
    }

    pub(super) fn stalled_us() -> Option<u64> {
        None
    }

    pub(super) fn stolen_of_all() -> Option<(u64, u64)> {
        None
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_sends_is_known() {
        let around = HostWatch::new().sample();
        assert!(around.segments_out.is_some() && around.retransmits.is_some());
    }
}
