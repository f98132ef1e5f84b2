//! Memory: kernel kills, exhausted heaps, collectors that never rest, leaks.

use super::{Case, Cause};
use crate::measure::Second;
use crate::record::{CauseKind, Sureness};
use crate::units::{format_bytes, format_seconds};

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
/// Samples at a constant level from which a line can be told from chance.
const LEAK_SAMPLES: usize = 8;
/// Share of the scatter that a leak's line explains.
const LEAK_FIT: f64 = 0.9;
/// Share of the limit that must have come at a constant level.
const LEAK_GROWTH: f64 = 0.2;

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
            (Some((at, line)), _) => (at, format!("it said: {}", line.text)),
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

/// The limit of a runtime's heap, by the monitor's own word or by what the runtime says beside the heap.
fn heap_limit(case: &Case<'_>, monitor: &str) -> Option<f64> {
    let told = case.limit(monitor, "heap");
    told.or_else(|| case.highest(monitor, "heap_limit"))
        .filter(|l| *l > 0.0)
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
        let limit = heap_limit(case, monitor)?;
        let used = case.highest(monitor, "heap")?;
        let busy = case
            .mean(monitor, "cpu")
            .is_some_and(|cpu| cpu >= COLLECTING)
            || case
                .mean(monitor, "eventloop_utilization")
                .is_some_and(|busy| busy >= COLLECTING);
        let evidence = format!(
            "{} of {} in use and the process busy: its collector finds no rest",
            format_bytes(used),
            format_bytes(limit)
        );
        (busy && used >= HEAP_FULL * limit)
            .then(|| Cause::new(CauseKind::HeapThrash, format!("{monitor} heap"), evidence))
    };
    case.monitors().iter().filter_map(thrash).collect()
}

/// At its memory limit, but alive.
pub(super) fn used_up(case: &Case<'_>) -> Vec<Cause> {
    let full = |monitor: &&str| {
        let limit = case.limit(monitor, "memory")?;
        let used = case.highest(monitor, "memory")?;
        let evidence = format!("{} of {}", format_bytes(used), format_bytes(limit));
        (used >= USED_UP * limit).then(|| {
            Cause::new(
                CauseKind::MemoryLimit,
                format!("{monitor} memory"),
                evidence,
            )
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

/// Memory that grows in a straight line although the level stands still: it is time that fills it, not VUs.
pub(super) fn leak(case: &Case<'_>) -> Vec<Cause> {
    let leaks = |monitor: &&str| {
        ["memory", "heap"]
            .iter()
            .find_map(|field| leak_of(case, monitor, field))
    };
    case.monitors().iter().filter_map(leaks).collect()
}

fn leak_of(case: &Case<'_>, monitor: &str, field: &str) -> Option<Cause> {
    let limit = match field {
        "heap" => heap_limit(case, monitor)?,
        _ => case.limit(monitor, field)?,
    };
    let samples = at_rest(case, monitor, field);
    let line = Line::fit(&samples)?;
    let grown = line.rate * (samples.last()?.0 - samples.first()?.0);
    if samples.len() < LEAK_SAMPLES || line.explained < LEAK_FIT || grown < LEAK_GROWTH * limit {
        return None;
    }
    let died = went_down(case, monitor);
    let start = case
        .measurement
        .reading_before(monitor, field)
        .unwrap_or(0.0);
    let evidence = format!(
        "its memory grows by {}/s at a constant {}: {} from a fresh start to its limit of {}",
        format_bytes(line.rate),
        case.unit.count(case.measurement.level),
        format_seconds((limit - start).max(0.0) / line.rate),
        format_bytes(limit),
    );
    // Who died of it leaves no other reading; else it is a forecast.
    let sureness = match died {
        Some(_) => Sureness::Certain,
        None => Sureness::Likely,
    };
    Some(
        Cause::new(CauseKind::Leak, format!("{monitor} memory"), evidence)
            .sure(sureness)
            .at(died),
    )
}

/// Samples from when every VU at the level has been through a cycle of its own: until then more VUs hold something each
/// second, and memory that follows the level looks as if it followed the time.
fn at_rest(case: &Case<'_>, monitor: &str, field: &str) -> Vec<(f64, f64)> {
    // In a ramp the level never stands still, and memory that grows with it is no leak.
    let stands = |s: &Second| s.window.at_level && s.window.level == case.measurement.level;
    let reached = case
        .seconds()
        .find(|(_, s)| stands(s))
        .map_or(f64::INFINITY, |(at, _)| at);
    let left = case
        .seconds()
        .find(|(at, s)| *at > reached && !stands(s))
        .map_or(f64::INFINITY, |(at, _)| at);
    let cycle_s = case
        .baseline
        .map_or(case.think_s, |b| b.level / b.throughput.max(1e-9));
    let from = reached + case.think_s + cycle_s.max(case.think_s);
    let mut series = case.series(monitor, field);
    // The end of a dying process is no sample of its life.
    let alive = went_down(case, monitor).unwrap_or(f64::INFINITY);
    series.retain(|(at, _)| *at >= from && *at < alive && *at < left);
    series
}

/// A straight line through points.
struct Line {
    /// Per second.
    rate: f64,
    /// Share of the scatter that it explains (R squared).
    explained: f64,
}

impl Line {
    /// Least squares; `None` where there is no line to fit.
    fn fit(points: &[(f64, f64)]) -> Option<Self> {
        let mean_t = super::case::mean(points.iter().map(|p| p.0))?;
        let mean_v = super::case::mean(points.iter().map(|p| p.1))?;
        let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
            points.iter().map(|(t, v)| f(t - mean_t, v - mean_v)).sum()
        };
        let (tt, tv, vv) = (sum(&|t, _| t * t), sum(&|t, v| t * v), sum(&|_, v| v * v));
        (tt > 0.0 && vv > 0.0).then(|| Self {
            rate: tv / tt,
            explained: tv * tv / (tt * vv),
        })
    }
}
