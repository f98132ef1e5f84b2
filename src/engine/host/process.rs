//! What a process that makes load takes of the machine.

use std::time::Instant;

use procfs::process::Process;

/// Watches one process at a time.
#[derive(Debug, Default)]
pub(in crate::engine) struct ProcessWatch {
    /// The last sample: of which process, when, and the CPU that it had used by then, seconds.
    last: Option<(Option<u32>, Instant, f64)>,
}

impl ProcessWatch {
    /// CPU since the last sample, in cores, and open descriptors. `None` is this process.
    pub(in crate::engine) fn sample(&mut self, pid: Option<u32>) -> (Option<f64>, Option<u64>) {
        let process = process(pid);
        let now = Instant::now();
        let cpu = process.as_ref().and_then(cpu_s);
        let cores = match (self.last, cpu) {
            (Some((before, then, used)), Some(cpu)) if before == pid && now > then => {
                Some((cpu - used) / (now - then).as_secs_f64())
            }
            _ => None,
        };
        self.last = cpu.map(|cpu| (pid, now, cpu));
        let descriptors = process.and_then(|p| u64::try_from(p.fd_count().ok()?).ok());
        (cores, descriptors)
    }
}

fn process(pid: Option<u32>) -> Option<Process> {
    match pid {
        None => Process::myself().ok(),
        Some(pid) => Process::new(i32::try_from(pid).ok()?).ok(),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "clock ticks are far fewer than 2^52"
)]
fn cpu_s(process: &Process) -> Option<f64> {
    let stat = process.stat().ok()?;
    Some((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64)
}
