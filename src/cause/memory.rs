//! Memory: kernel kills, exhausted heaps, collectors that never rest, leaks.

use super::{Case, Cause, leak};
use crate::record::{CauseKind, Sureness};
use crate::units::format_bytes;

/// Share of a limit from which memory counts as used up.
const USED_UP: f64 = 0.95;
/// Share of its limit from which a JavaScript heap leaves its collector no rest.
const HEAP_FULL: f64 = 0.85;
/// CPU, in cores, that a collector at work takes: V8 marks on helper threads beside the main one.
const COLLECTING: f64 = 0.9;
/// What the resource of a process that ended is called, behind its monitor's name.
pub(super) const PROCESS: &str = " process";
/// What a process says that ran out of heap.
const HEAP_LINES: &[&str] = &[
    "heap out of memory",
    "reached heap limit",
    "java.lang.outofmemoryerror",
];
/// Exit code of an aborted process: V8 aborts when its heap is full.
const ABORTED: f64 = 134.0;
const ABORTED_LINE: &str = "exit code 134";

fn times(n: f64) -> String {
    match n {
        n if n <= 1.0 => "once".to_owned(),
        n if n <= 2.0 => "twice".to_owned(),
        n => format!("{n:.0} times"),
    }
}

/// The kernel killed it at its memory limit.
pub(super) fn killed(case: &Case<'_>) -> Vec<Cause> {
    let kill = |monitor: &&str| {
        let (kills, at) = case.growth(monitor, "oom_kills")?;
        let limit = case.limit(monitor, "memory").map_or_else(String::new, |l| {
            format!(" at its limit of {}", format_bytes(l))
        });
        let evidence = format!(
            "OOM-killed {}{limit}, {at:.0} s into the probe",
            times(kills)
        );
        Some(
            Cause::new(CauseKind::MemoryKill, format!("{monitor} memory"), evidence)
                .sure(Sureness::Certain)
                .strength(case.rate(kills))
                .at(Some(at)),
        )
    };
    case.monitors().iter().filter_map(kill).collect()
}

/// The runtime gave up for want of heap, below the kernel's limit.
pub(super) fn heap_exhausted(case: &Case<'_>) -> Vec<Cause> {
    let exhausted = |monitor: &&str| {
        let told = case.line(Some(monitor), HEAP_LINES);
        let aborted = aborted(case, monitor);
        let (at, evidence) = match (told, aborted) {
            (Some((at, line)), _) => (at, format!("it logged: {}", line.text)),
            (None, Some(at)) => (at, "it aborted (exit code 134)".to_owned()),
            (None, None) => return None,
        };
        let sureness = if told.is_some() {
            Sureness::Certain
        } else {
            Sureness::Likely
        };
        Some(
            Cause::new(CauseKind::HeapLimit, format!("{monitor} heap"), evidence)
                .sure(sureness)
                .at(Some(at)),
        )
    };
    case.monitors().iter().filter_map(exhausted).collect()
}

/// When it was seen to end by an abort.
fn aborted(case: &Case<'_>, monitor: &str) -> Option<f64> {
    went_down(case, monitor)?;
    let code = case.series(monitor, "exit_code");
    let code = code.iter().find(|(_, code)| *code == ABORTED);
    let line = case.line(Some(monitor), &[ABORTED_LINE]);
    code.map(|(at, _)| *at).or(line.map(|(at, _)| at))
}

/// The heap is nearly full and the process burns CPU: it collects garbage instead of serving.
pub(super) fn heap_thrash(case: &Case<'_>) -> Vec<Cause> {
    let thrash = |monitor: &&str| {
        let limit = case.heap_limit(monitor)?;
        let used = case.highest(monitor, "heap")?;
        let busy = ["cpu", "eventloop_utilization"];
        let busy = busy.into_iter().filter_map(|of| case.mean(monitor, of));
        let busy = busy.reduce(f64::max)?;
        let evidence = format!(
            "{} of {} in use and the process busy: garbage collection never stops",
            format_bytes(used),
            format_bytes(limit)
        );
        (busy >= COLLECTING && used >= HEAP_FULL * limit).then(|| {
            Cause::new(CauseKind::HeapThrash, format!("{monitor} heap"), evidence)
                .strength(used / limit * busy.min(1.0))
        })
    };
    case.monitors().iter().filter_map(thrash).collect()
}

/// At its memory limit, but alive.
pub(super) fn used_up(case: &Case<'_>) -> Vec<Cause> {
    let full = |monitor: &&str| {
        let limit = case.limit(monitor, "memory")?;
        let used = case.highest(monitor, "memory")?;
        let evidence = format!("{} of {}", format_bytes(used), format_bytes(limit));
        // A cache is always full: what was so before the load came is not of the load.
        let before = case.measurement.reading_before(monitor, "memory");
        let was_full = before.is_some_and(|b| b >= USED_UP * limit);
        let (sureness, told) = if was_full {
            (Sureness::Possible, ", as before the load")
        } else {
            (Sureness::Likely, "")
        };
        (used >= USED_UP * limit).then(|| {
            Cause::new(
                CauseKind::MemoryLimit,
                format!("{monitor} memory"),
                evidence + told,
            )
            .sure(sureness)
            .strength(used / limit)
        })
    };
    case.monitors().iter().filter_map(full).collect()
}

/// When a monitor that was up was first seen down.
fn went_down(case: &Case<'_>, monitor: &str) -> Option<f64> {
    if case.measurement.reading_before(monitor, "up") != Some(1.0) {
        return None;
    }
    let series = case.series(monitor, "up");
    series.iter().find(|(_, up)| *up < 1.0).map(|(at, _)| *at)
}

/// A process ended, and nothing that was watched says why.
pub(super) fn ended(case: &Case<'_>) -> Vec<Cause> {
    let gone = |monitor: &&str| {
        let at = went_down(case, monitor)?;
        let code = case.series(monitor, "exit_code");
        let code = code
            .last()
            .map_or_else(String::new, |(_, c)| format!(" with exit code {c:.0}"));
        let evidence = format!("it ended{code}, {at:.0} s into the probe");
        Some(
            Cause::new(
                CauseKind::ProcessEnded,
                format!("{monitor}{PROCESS}"),
                evidence,
            )
            .sure(Sureness::Possible)
            .at(Some(at)),
        )
    };
    case.monitors().iter().filter_map(gone).collect()
}

/// Processes below the one that is watched ended, and it lives: workers that crash or are killed
/// and started again.
pub(super) fn workers_ended(case: &Case<'_>) -> Vec<Cause> {
    let ended = |monitor: &&str| {
        let (n, at) = case.growth(monitor, "children_ended")?;
        let evidence = format!("{n:.0} of its processes ended, from {at:.0} s on");
        let cause = Cause::new(
            CauseKind::ProcessEnded,
            format!("{monitor}{PROCESS}"),
            evidence,
        );
        let cause = cause.sure(Sureness::Possible).at(Some(at));
        // A server that starts a process for each request ends one with each.
        Some(cause.strength(case.per_cycle(n)))
    };
    case.monitors().iter().filter_map(ended).collect()
}

/// Memory that grows in a straight line although the level stands still: it is time that fills it,
/// not VUs.
pub(super) fn leak(case: &Case<'_>) -> Vec<Cause> {
    let leaks = |monitor: &&str| {
        let died = went_down(case, monitor);
        // The end of a dying process is no sample of its life.
        let leak = leak::in_probe(case, monitor, died.unwrap_or(f64::INFINITY))?;
        // Who died of it leaves no other reading; else it is a forecast.
        let sureness = match died {
            Some(_) => Sureness::Certain,
            None => Sureness::Likely,
        };
        let resource = format!("{monitor} {}", leak.field);
        let cause = Cause::new(CauseKind::Leak, resource, leak.evidence);
        Some(cause.sure(sureness).strength(leak.share).at(died))
    };
    case.monitors().iter().filter_map(leaks).collect()
}
