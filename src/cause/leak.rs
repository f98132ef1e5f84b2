//! Memory that time fills and not load: it grows in a straight line while the level stands still.

use super::Case;
use super::case::mean;
use crate::measure::{LevelUnit, Reading, Second};
use crate::record::{CauseKind, LimitingResource, ProbeRecord, Sureness};
use crate::units::{format_bytes, format_seconds};

/// Fields that a leak fills.
const FIELDS: [&str; 2] = ["memory", "heap"];
/// Samples at a constant level from which a line can be told from chance.
const SAMPLES: usize = 8;
/// Share of the scatter that a leak's line explains.
const FIT: f64 = 0.9;
/// Share of the limit that must have come at a constant level: in one probe, or in all together.
const GROWTH: f64 = 0.2;
const GROWTH_IN_ALL: f64 = 0.15;
/// Samples of a hold, its line's fit, and how many holds must agree, where several are looked at
/// together.
const HOLD_SAMPLES: usize = 5;
const HOLD_FIT: f64 = 0.7;
const HOLDS: usize = 3;
const AGREE: f64 = 0.8;

/// A straight line through points (seconds, bytes).
#[derive(Debug, Clone, Copy, PartialEq)]
struct MemoryLine {
    /// Bytes per second.
    rate: f64,
    /// Share of the scatter that it explains (R squared).
    explained: f64,
    /// What it grew over the points, bytes.
    grown: f64,
}

impl MemoryLine {
    /// Least squares; `None` where there is no line to fit.
    fn fit(points: &[(f64, f64)]) -> Option<Self> {
        let mean_t = mean(points.iter().map(|p| p.0))?;
        let mean_v = mean(points.iter().map(|p| p.1))?;
        let sum = |f: &dyn Fn(f64, f64) -> f64| -> f64 {
            points.iter().map(|(t, v)| f(t - mean_t, v - mean_v)).sum()
        };
        let (tt, tv, vv) = (sum(&|t, _| t * t), sum(&|t, v| t * v), sum(&|_, v| v * v));
        let rate = tv / tt;
        (tt > 0.0 && vv > 0.0).then(|| Self {
            rate,
            explained: tv * tv / (tt * vv),
            grown: rate * (points[points.len() - 1].0 - points[0].0),
        })
    }
}

/// What one probe shows of a leak.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leak {
    /// `memory` or `heap`.
    pub(super) field: &'static str,
    pub(super) evidence: String,
    /// Share of its limit that it had reached.
    pub(super) share: f64,
}

/// A leak of a monitor within one probe, up to a second of it.
pub(super) fn in_probe(case: &Case<'_>, monitor: &str, until: f64) -> Option<Leak> {
    FIELDS.into_iter().find_map(|field| {
        let limit = limit_of(case, monitor, field)?;
        let samples = at_rest(case, monitor, field, until);
        let line = MemoryLine::fit(&samples)?;
        let leaks = samples.len() >= SAMPLES
            && line.explained >= FIT
            && line.grown >= GROWTH * limit
            && line.rate > 0.0;
        let start = case.measurement.reading_before(monitor, field);
        leaks.then(|| Leak {
            field,
            share: case.highest(monitor, field).unwrap_or(0.0) / limit,
            evidence: format!(
                "it grows by {}/s at a constant {}: {} from a fresh start to its limit of {}",
                format_bytes(line.rate),
                case.unit.count(case.measurement.level),
                format_seconds((limit - start.unwrap_or(0.0)).max(0.0) / line.rate),
                format_bytes(limit),
            ),
        })
    })
}

fn limit_of(case: &Case<'_>, monitor: &str, field: &str) -> Option<f64> {
    match field {
        "heap" => case.heap_limit(monitor),
        _ => case.limit(monitor, field),
    }
}

/// Samples from when every VU at the level has been through a cycle of its own: until then more VUs
/// hold something each second, and memory that follows the level looks as if it followed the time.
fn at_rest(case: &Case<'_>, monitor: &str, field: &str, until: f64) -> Vec<(f64, f64)> {
    // In a ramp the level never stands still, and memory that grows with it is no leak.
    let stands = |s: &Second| s.window.at_level && s.window.level == case.measurement.level;
    let first = |wanted: &dyn Fn(f64, &Second) -> bool| {
        case.seconds()
            .find(|(at, s)| wanted(*at, s))
            .map_or(f64::INFINITY, |(at, _)| at)
    };
    let reached = first(&|_, s| stands(s));
    let left = first(&|at, s| at > reached && !stands(s));
    let cycle_s = case
        .baseline
        .map_or(case.think_s, |b| b.level / b.throughput.max(1e-9));
    let from = reached + case.think_s + cycle_s.max(case.think_s);
    let mut series = case.series(monitor, field);
    series.retain(|(at, _)| *at >= from && *at < until && *at < left);
    series
}

/// Leaks that show over all holds of a run, the broken ones included: what each hold is too short
/// to tell, all of them tell together. `limits` are those of the monitors' fields, for a unit of
/// levels.
pub fn leaks(probes: &[ProbeRecord], limits: &[Reading], unit: LevelUnit) -> Vec<LimitingResource> {
    let of = |limit: &&Reading| FIELDS.contains(&limit.field.as_str());
    let mut found: Vec<(&str, f64, LimitingResource)> = (limits.iter().filter(of))
        .filter_map(|limit| {
            let (full_in_s, cause) = leak(probes, limit, unit)?;
            Some((limit.monitor.as_str(), full_in_s, cause))
        })
        .collect();
    // Memory and heap of one process are one leak: what is full first is where it hurts.
    found.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut seen: Vec<&str> = Vec::new();
    let mut first = |monitor| {
        let new = !seen.contains(&monitor);
        seen.push(monitor);
        new
    };
    (found.into_iter())
        .filter_map(|(monitor, _, cause)| first(monitor).then_some(cause))
        .collect()
}

/// A leak of one field, and the seconds from a fresh start to its limit.
fn leak(probes: &[ProbeRecord], of: &Reading, unit: LevelUnit) -> Option<(f64, LimitingResource)> {
    let limit = of.value.filter(|l| *l > 0.0)?;
    let holds: Vec<(&ProbeRecord, MemoryLine)> = (probes.iter())
        .filter_map(|p| Some((p, MemoryLine::fit(&held(p, of)?)?)))
        .collect();
    let grows =
        |(_, line): &&(&ProbeRecord, MemoryLine)| line.rate > 0.0 && line.explained >= HOLD_FIT;
    let growing = holds.iter().filter(grows).count();
    let grown: f64 = holds.iter().map(|(_, line)| line.grown).sum();
    #[expect(clippy::cast_precision_loss, reason = "a count of probes")]
    let agree = growing as f64 >= AGREE * holds.len() as f64;
    if growing < HOLDS || !agree || grown < GROWTH_IN_ALL * limit {
        return None;
    }
    // The fastest: where a cycle leaks, more VUs fill it sooner.
    let (probe, line) = (holds.iter()).max_by(|a, b| a.1.rate.total_cmp(&b.1.rate))?;
    let lowest = probes
        .iter()
        .filter_map(|p| first_reading(p, of))
        .min_by(f64::total_cmp)?;
    let full_in_s = (limit - lowest).max(0.0) / line.rate;
    let cause = LimitingResource {
        kind: Some(CauseKind::Leak),
        resource: format!("{} {}", of.monitor, of.field),
        evidence: format!(
            "it grows while the level is constant, in {growing} of {} holds, by {}/s at {}: {} \
             from {} to its limit of {}",
            holds.len(),
            format_bytes(line.rate),
            unit.count(probe.level),
            format_seconds(full_in_s),
            format_bytes(lowest),
            format_bytes(limit),
        ),
        sureness: Sureness::Likely,
    };
    Some((full_in_s, cause))
}

fn reading(readings: &[Reading], of: &Reading) -> Option<f64> {
    (readings.iter())
        .find(|r| r.monitor == of.monitor && r.field == of.field)
        .and_then(|r| r.value)
}

fn first_reading(probe: &ProbeRecord, of: &Reading) -> Option<f64> {
    probe.seconds.iter().find_map(|s| reading(&s.readings, of))
}

/// The samples of a settled hold, up to where the process ended, if enough.
fn held(probe: &ProbeRecord, of: &Reading) -> Option<Vec<(f64, f64)>> {
    if !probe.settled {
        return None;
    }
    let up = Reading {
        monitor: of.monitor.clone(),
        field: "up".to_owned(),
        value: None,
    };
    let samples: Vec<(f64, f64)> = (probe.seconds.iter())
        .filter(|s| s.hold)
        .take_while(|s| reading(&s.readings, &up) != Some(0.0))
        .filter_map(|s| Some((s.t_s, reading(&s.readings, of)?)))
        .collect();
    (samples.len() >= HOLD_SAMPLES).then_some(samples)
}
