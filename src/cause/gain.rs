//! Whether throughput and waits follow the level, beside other levels of the run.

use super::{CLEARLY_MORE, Case};

/// Growth of throughput per growth of the level below which throughput counts as flat.
pub(super) const FLAT_GAIN: f64 = 0.25;
/// Share of another throughput from which one counts as kept: a limit serves as much as it did, an
/// overload does not.
pub(super) const NOT_COLLAPSED: f64 = 0.75;
/// By how much more than so many times as long a wait must be at least, seconds: below that a busy
/// machine alone makes the difference.
const LONGER_AT_LEAST_S: f64 = 0.02;

/// A share of a count.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(super) fn part(n: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { n as f64 / of as f64 }
}

/// A level beside that of a broken probe, by which it is seen whether throughput follows the level.
pub(super) struct Beside {
    pub(super) level: f64,
    pub(super) throughput: f64,
    /// Growth of throughput per growth of the level, from the lower one to the higher one.
    pub(super) gain: f64,
}

/// Growth of throughput per growth of the level, from one level with its throughput to a clearly
/// higher one.
pub(super) fn gain((a, x): (f64, f64), (b, y): (f64, f64)) -> Option<f64> {
    (x > 0.0 && b > a * CLEARLY_MORE).then(|| (y / x - 1.0) / (b / a - 1.0))
}

/// The level beside that shows the flattest throughput: the highest clearly lower one that held, or
/// any clearly other one that broke with about the same throughput.
pub(super) fn flat_beside(case: &Case<'_>) -> Option<Beside> {
    let (level, here) = (case.level(), case.throughput()?);
    let beside = |other: f64, throughput: f64| {
        let (there, here) = ((other, throughput), (level, here));
        let gain = if other < level {
            gain(there, here)
        } else {
            gain(here, there)
        };
        Some(Beside {
            level: other,
            throughput,
            gain: gain?,
        })
    };
    // What falls at the higher level is no fixed rate.
    let alike = |x: f64| x >= NOT_COLLAPSED * here && here >= NOT_COLLAPSED * x;
    let broken = (case.seen.iter().filter(|s| s.broke()))
        .filter_map(|s| Some((s.level, s.throughput.filter(|x| alike(*x))?)));
    let held = case.baseline.map(|b| (b.level, b.throughput));
    let both = broken.chain(held).filter_map(|(l, x)| beside(l, x));
    both.min_by(|a, b| a.gain.total_cmp(&b.gain))
}

/// Whether those who are served wait so many times longer than at the lower level that held.
pub(super) fn waits_grew(case: &Case<'_>, times: f64) -> bool {
    let main = case.measurement.step_total(case.steps.main());
    let was = case.baseline.and_then(|b| b.median_s);
    was.zip(main.latency.quantile_s(0.5))
        .is_some_and(|(was, is)| is >= times * was + LONGER_AT_LEAST_S)
}
