//! Throughput, knee and latency of a run, with what the spread of blocks says of them.
//!
//! The unit of observation is a block of at least one cycle, never the request: what closed users do in one cycle resembles what
//! they did in the last, and a queue's successive latencies are nearly one number.

use super::known::Known;
use crate::measure::{Histogram, Level};
use crate::record::{HoldEnd, ProbeRecord, RunRecord, SecondRecord};
use crate::stats::Spread;

/// Fewest blocks whose spread means anything.
const FEWEST_BLOCKS: usize = 4;
/// Most blocks that a set of holds is cut into.
const MOST_BLOCKS: f64 = 20.0;
/// Shortest block where cycles arrive at a rate of their own, seconds.
const OPEN_BLOCK_S: f64 = 5.0;
/// A knee is only told when some level beyond it by this factor was visited, as in the run's own answer.
const BEYOND_KNEE: f64 = 1.2;
/// Levels this near to each other, as a ratio, stand in for a common one.
const NEAR_LEVEL: f64 = 1.1;
/// Requests beyond the quantile that a block needs.
const BEYOND_QUANTILE: f64 = 2.0;

/// Probes that settled and ran to their end.
fn whole(record: &RunRecord) -> impl Iterator<Item = &ProbeRecord> {
    let probes = record.probes.iter();
    probes.filter(|p| p.end == HoldEnd::Complete && p.settled)
}

fn rate(probe: &ProbeRecord) -> Option<f64> {
    probe.throughput_per_s.filter(|x| x.is_finite() && *x > 0.0)
}

fn vus(probe: &ProbeRecord) -> f64 {
    f64::from(probe.level.get())
}

/// The probe of the highest throughput and that of the lowest level, where throughput stopped growing.
fn plateau(record: &RunRecord) -> Option<(&ProbeRecord, &ProbeRecord)> {
    let with_rate = || whole(record).filter_map(|p| Some((p, rate(p)?)));
    let (peak, most) = with_rate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let (lowest, slow) = with_rate().min_by(|a, b| vus(a.0).total_cmp(&vus(b.0)))?;
    let highest = with_rate().map(|(p, _)| vus(p)).fold(0.0, f64::max);
    (highest >= BEYOND_KNEE * most * vus(lowest) / slow).then_some((peak, lowest))
}

const STILL_GROWS: &str = "throughput still grew at the highest level that settled";
const TOO_SHORT: &str = "its holds are too short for an interval (fewer than four cycles)";

/// The highest throughput, cycles per second, where it does not grow any more.
pub(super) fn throughput(record: &RunRecord) -> Known {
    let Some((peak, _)) = plateau(record) else {
        return match record.answer.peak_throughput_per_s {
            Some(peak) => Known::Bare(peak, STILL_GROWS.to_owned()),
            None => Known::Nothing("no throughput was measured".to_owned()),
        };
    };
    let value = rate(peak).unwrap_or_default();
    spread_or_bare(value, rate_error(record, peak))
}

/// Where throughput stops growing, by the asymptotic bounds of a closed system: peak throughput times the time of a cycle at the
/// lowest level.
pub(super) fn knee(record: &RunRecord) -> Known {
    let Some(knee) = record.answer.knee else {
        return Known::Nothing(format!("no knee was seen: {STILL_GROWS}"));
    };
    let value = f64::from(knee);
    let errors = plateau(record).and_then(|(peak, lowest)| {
        let (a, b) = (rate_error(record, peak)?, rate_error(record, lowest)?);
        // The logarithm of a product of independent factors; Welch and Satterthwaite's degrees of freedom.
        let se = a.se.hypot(b.se);
        let freedom = if se > 0.0 {
            se.powi(4) / (a.se.powi(4) / a.freedom + b.se.powi(4) / b.freedom)
        } else {
            a.freedom + b.freedom
        };
        Some(Error { se, freedom })
    });
    spread_or_bare(value, errors)
}

fn spread_or_bare(value: f64, error: Option<Error>) -> Known {
    match error.and_then(|e| Spread::student(value, e.se, e.freedom)) {
        Some(spread) => Known::Spread { value, spread },
        None => Known::Bare(value, TOO_SHORT.to_owned()),
    }
}

/// Standard error of a logarithm, and its degrees of freedom.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Error {
    se: f64,
    freedom: f64,
}

/// From the logarithms of blocks: batch means (E. J. Chen, W. D. Kelton 2006).
fn of_blocks(logs: &[f64]) -> Option<Error> {
    if logs.len() < FEWEST_BLOCKS || logs.iter().any(|x| !x.is_finite()) {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "a handful of blocks")]
    let n = logs.len() as f64;
    let mean = logs.iter().sum::<f64>() / n;
    let variance = logs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    Some(Error {
        se: (variance / n).sqrt(),
        freedom: n - 1.0,
    })
}

/// Of the throughput of a probe.
fn rate_error(record: &RunRecord, probe: &ProbeRecord) -> Option<Error> {
    let seconds: Vec<&SecondRecord> = probe.seconds.iter().filter(|s| s.hold).collect();
    let blocks = block_count(record, &[probe]);
    let logs: Vec<f64> = cut(&seconds, blocks)
        .map(|block| {
            let cycles: u64 = block
                .iter()
                .filter_map(|s| Some(s.steps.last()?.completed))
                .sum();
            let time: f64 = block.iter().map(|s| s.span_s).sum();
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
            let rate = cycles as f64 / time;
            rate.ln()
        })
        .collect();
    of_blocks(&logs)
}

/// How many blocks of at least a cycle probes of one level have together.
fn block_count(record: &RunRecord, probes: &[&ProbeRecord]) -> usize {
    let held: f64 = probes.iter().map(|p| p.hold_s).sum();
    let cycle_s = probes
        .first()
        .and_then(|p| Some(vus(p) / rate(p)?))
        .unwrap_or(f64::INFINITY);
    let block_s = if record.plan.unit.is_open() {
        OPEN_BLOCK_S
    } else {
        cycle_s.max(1.0)
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of blocks, cut to a few"
    )]
    let blocks = (held / block_s).floor().clamp(0.0, MOST_BLOCKS) as usize;
    blocks
}

/// Successive items in so many parts of nearly equal length.
fn cut<T>(items: &[T], parts: usize) -> impl Iterator<Item = &[T]> {
    let parts = parts.min(items.len());
    (0..parts).map(move |i| &items[i * items.len() / parts..(i + 1) * items.len() / parts])
}

/// The levels at which the latency of two runs is compared: the highest that both visited, else the nearest pair within 10 %.
pub(super) fn common_level(base: &RunRecord, candidate: &RunRecord) -> Option<(Level, Level)> {
    let pairs = whole(base).flat_map(|a| whole(candidate).map(move |b| (a.level, b.level)));
    let apart = |(a, b): &(Level, Level)| {
        let (a, b) = (f64::from(a.get().max(1)), f64::from(b.get().max(1)));
        (a / b).ln().abs()
    };
    let near = pairs.filter(|pair| apart(pair) <= NEAR_LEVEL.ln());
    near.min_by(|a, b| apart(a).total_cmp(&apart(b)).then(b.0.cmp(&a.0)))
}

/// A quantile of the main step's latency at a level, seconds, over all of its visits.
pub(super) fn latency(record: &RunRecord, level: Level, q: f64) -> Known {
    let probes: Vec<&ProbeRecord> = whole(record).filter(|p| p.level == level).collect();
    let seconds: Vec<&SecondRecord> = probes
        .iter()
        .flat_map(|p| p.seconds.iter().filter(|s| s.hold))
        .collect();
    let all = sum(&seconds);
    let Some(value) = all.quantile_s(q).filter(|v| *v > 0.0) else {
        return Known::Nothing("no latency was measured there".to_owned());
    };
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let enough = all.count() as f64 * (1.0 - q) / BEYOND_QUANTILE;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of blocks, cut to a few"
    )]
    let enough = enough.floor().clamp(0.0, MOST_BLOCKS) as usize;
    let blocks = block_count(record, &probes).min(enough);
    if enough < FEWEST_BLOCKS {
        return Known::Bare(value, "too few requests for an interval".to_owned());
    }
    let logs: Option<Vec<f64>> = cut(&seconds, blocks)
        .map(|block| Some(sum(block).quantile_s(q)?.ln()))
        .collect();
    spread_or_bare(value, logs.and_then(|logs| of_blocks(&logs)))
}

fn sum(seconds: &[&SecondRecord]) -> Histogram {
    Histogram::sum(seconds.iter().map(|s| &s.main_latency))
}
