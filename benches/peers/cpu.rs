//! What a process and its children take of the machine.

use procfs::process::Process;

/// CPU time, user and system, of a process and all below it, seconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "clock ticks are far fewer than 2^52"
)]
pub(crate) fn seconds(pid: u32) -> f64 {
    let mut ticks = 0;
    each(pid, &mut |process| {
        if let Ok(stat) = process.stat() {
            // What ended children took is counted by their parent.
            let ended = stat.cutime.max(0) + stat.cstime.max(0);
            ticks += stat.utime + stat.stime + ended.unsigned_abs();
        }
    });
    ticks as f64 / procfs::ticks_per_second() as f64
}

/// Resident memory of a process and all below it, KiB.
#[expect(clippy::cast_precision_loss, reason = "KiB are far fewer than 2^52")]
pub(crate) fn resident_kib(pid: u32) -> f64 {
    let mut kib = 0;
    each(pid, &mut |process| {
        if let Ok(status) = process.status() {
            kib += status.vmrss.unwrap_or(0);
        }
    });
    kib as f64
}

fn each(pid: u32, found: &mut impl FnMut(&Process)) {
    let Some(process) = i32::try_from(pid).ok().and_then(|p| Process::new(p).ok()) else {
        return;
    };
    found(&process);
    for task in process.tasks().into_iter().flatten().flatten() {
        for child in task.children().unwrap_or_default() {
            each(child, found);
        }
    }
}
