//! What gave way first: rules over what a broken probe showed, each with its evidence. Pure.
//!
//! A first set of rules, from the surest to the vaguest; the first that fits speaks.

use crate::measure::{LevelUnit, Measurement, Reading, StepNames};
use crate::record::{LimitingResource, Sureness};
use crate::units::{format_bytes, format_count};

/// Share of a limit from which a resource counts as used up.
const USED_UP: f64 = 0.95;
/// CPU, in cores, from which a single-threaded process has no time left.
const ONE_CORE: f64 = 0.9;
/// Growth of throughput per growth of the level below which throughput counts as flat.
const FLAT_GAIN: f64 = 0.25;

/// What a lower level that held showed, for comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Baseline {
    /// Its level.
    pub vus: f64,
    /// Its throughput, cycles per second.
    pub throughput: f64,
}

/// Names what gave way in a broken probe, if the evidence says so. `limits` are the monitors' limits.
pub fn limiting_resource(
    m: &Measurement,
    steps: &StepNames,
    limits: &[Reading],
    baseline: Option<Baseline>,
    unit: LevelUnit,
) -> Option<LimitingResource> {
    let monitors = names(m);
    killed(m, &monitors, limits)
        .or_else(|| redis_refuses(m, &monitors, limits))
        .or_else(|| gone(m, &monitors))
        .or_else(|| memory_used_up(m, &monitors, limits))
        .or_else(|| sheds(m, steps))
        .or_else(|| cpu_used_up(m, &monitors))
        .or_else(|| throughput_flat(m, steps, baseline, unit))
}

fn names(m: &Measurement) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for reading in m
        .hold
        .iter()
        .flat_map(|s| &s.readings)
        .chain(&m.readings_before)
    {
        if !names.contains(&reading.monitor) {
            names.push(reading.monitor.clone());
        }
    }
    names
}

fn growth(m: &Measurement, monitor: &str, field: &str) -> f64 {
    let last = m.readings(monitor, field).last().unwrap_or(0.0);
    last - m.reading_before(monitor, field).unwrap_or(0.0)
}

fn highest(m: &Measurement, monitor: &str, field: &str) -> Option<f64> {
    let before = m.reading_before(monitor, field);
    m.readings(monitor, field)
        .chain(before)
        .max_by(f64::total_cmp)
}

fn limit(limits: &[Reading], monitor: &str, field: &str) -> Option<f64> {
    limits
        .iter()
        .find(|r| r.monitor == monitor && r.field == field)
        .and_then(|r| r.value)
        .filter(|v| *v > 0.0)
}

fn times(n: f64) -> String {
    match n {
        n if n <= 1.0 => "once".to_owned(),
        n if n <= 2.0 => "twice".to_owned(),
        n => format!("{n:.0} times"),
    }
}

/// The kernel killed it at its memory limit.
fn killed(m: &Measurement, monitors: &[String], limits: &[Reading]) -> Option<LimitingResource> {
    let monitor = monitors
        .iter()
        .find(|monitor| growth(m, monitor, "oom_kills") > 0.0)?;
    let kills = growth(m, monitor, "oom_kills");
    let evidence = match limit(limits, monitor, "memory") {
        Some(limit) => format!(
            "OOM-killed {} at its limit of {}",
            times(kills),
            format_bytes(limit)
        ),
        None => format!("OOM-killed {}", times(kills)),
    };
    Some(LimitingResource {
        resource: format!("{monitor} memory"),
        evidence,
        sureness: Sureness::Certain,
    })
}

/// Redis refused writes for memory, or clients for their number.
fn redis_refuses(
    m: &Measurement,
    monitors: &[String],
    limits: &[Reading],
) -> Option<LimitingResource> {
    for monitor in monitors {
        let refused = growth(m, monitor, "oom_errors");
        if refused > 0.0 {
            let limit = limit(limits, monitor, "memory").map_or(String::new(), |l| {
                format!(" at maxmemory {}", format_bytes(l))
            });
            return Some(LimitingResource {
                resource: format!("{monitor} memory"),
                evidence: format!("{refused:.0} writes refused (OOM){limit}"),
                sureness: Sureness::Certain,
            });
        }
        let rejected = growth(m, monitor, "rejected_connections");
        if rejected > 0.0 {
            return Some(LimitingResource {
                resource: format!("{monitor} clients"),
                evidence: format!("{rejected:.0} connections rejected"),
                sureness: Sureness::Certain,
            });
        }
    }
    None
}

/// A process ended or was started anew during the probe.
fn gone(m: &Measurement, monitors: &[String]) -> Option<LimitingResource> {
    let monitor = monitors.iter().find(|monitor| {
        let was_up = m.reading_before(monitor, "up") == Some(1.0);
        was_up && m.readings(monitor, "up").any(|up| up < 1.0)
    })?;
    Some(LimitingResource {
        resource: format!("{monitor} process"),
        evidence: "it ended during the probe".to_owned(),
        sureness: Sureness::Likely,
    })
}

fn memory_used_up(
    m: &Measurement,
    monitors: &[String],
    limits: &[Reading],
) -> Option<LimitingResource> {
    monitors.iter().find_map(|monitor| {
        let limit = limit(limits, monitor, "memory")?;
        let used = highest(m, monitor, "memory")?;
        (used >= USED_UP * limit).then(|| LimitingResource {
            resource: format!("{monitor} memory"),
            evidence: format!("{} of {}", format_bytes(used), format_bytes(limit)),
            sureness: Sureness::Likely,
        })
    })
}

/// Most refusals were by design.
fn sheds(m: &Measurement, steps: &StepNames) -> Option<LimitingResource> {
    let cycle = m.step_total(steps.cycle());
    let refused = cycle.shed;
    let all = cycle.completed() + cycle.failed.of_target() + refused;
    (all > 0 && refused * 20 > all && refused > cycle.failed.of_target()).then(|| {
        LimitingResource {
            resource: "admission limit".to_owned(),
            evidence: format!(
                "{} of {} cycles shed",
                format_count(refused),
                format_count(all)
            ),
            sureness: Sureness::Likely,
        }
    })
}

/// A process whose main thread, or which as a whole where threads are unknown, keeps one core busy.
fn cpu_used_up(m: &Measurement, monitors: &[String]) -> Option<LimitingResource> {
    monitors.iter().find_map(|monitor| {
        let (field, what) = if m.readings(monitor, "main_thread_cpu").next().is_some() {
            ("main_thread_cpu", "main thread")
        } else {
            ("cpu", "process")
        };
        let values: Vec<f64> = m.readings(monitor, field).collect();
        #[expect(clippy::cast_precision_loss, reason = "seconds of a hold")]
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        (mean >= ONE_CORE).then(|| LimitingResource {
            resource: format!("{monitor} CPU"),
            evidence: format!("its {what} used {:.0} % of one core", mean * 100.0),
            sureness: Sureness::Likely,
        })
    })
}

/// Levels nearer to each other than this factor cannot show whether more VUs bring more throughput.
pub(crate) const CLEARLY_MORE: f64 = 1.1;

/// More load brings no more throughput: something behind answers at a fixed rate, and the rest waits.
fn throughput_flat(
    m: &Measurement,
    steps: &StepNames,
    baseline: Option<Baseline>,
    unit: LevelUnit,
) -> Option<LimitingResource> {
    let base = baseline?;
    let throughput = m.throughput(steps.cycle())?;
    let vus = f64::from(m.level.get());
    if vus <= base.vus * CLEARLY_MORE || base.throughput <= 0.0 {
        return None;
    }
    let gain = (throughput / base.throughput - 1.0) / (vus / base.vus - 1.0);
    (gain < FLAT_GAIN).then(|| LimitingResource {
        resource: "a fixed throughput".to_owned(),
        evidence: format!(
            "{throughput:.1} cycles/s at {vus:.0} {}, {:.1}/s at {:.0}: {}",
            unit.name(),
            base.throughput,
            base.vus,
            if unit.is_open() {
                "more come than are served"
            } else {
                "more VUs wait, none is served more"
            }
        ),
        sureness: Sureness::Possible,
    })
}
