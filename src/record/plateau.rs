//! Where the throughput of a run stopped growing.

use super::{HoldEnd, PlanRecord, ProbeRecord, Purpose};
use crate::measure::Level;

/// Throughput has stopped growing when some level beyond the knee by this factor was visited.
const BEYOND_KNEE: f64 = 1.2;

/// A throughput that does not grow any more, and what shows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plateau<'a> {
    /// The hold with the highest throughput.
    pub peak: &'a ProbeRecord,
    /// The hold at the lowest level.
    pub lowest: &'a ProbeRecord,
    /// Seconds of a cycle at the lowest level, its think times included; of arrivals one second,
    /// for their levels are rates.
    pub cycle_s: f64,
    /// The knee: the level at which throughput stops growing by the asymptotic bounds of a closed
    /// system, the highest throughput times the time of a cycle in which nobody waits.
    pub knee: f64,
    /// The highest level of a hold.
    pub highest: Level,
}

impl<'a> Plateau<'a> {
    /// Of probes under a plan; `None` while throughput may still grow at the highest level that
    /// settled.
    pub fn of(plan: &PlanRecord, probes: &'a [ProbeRecord]) -> Option<Self> {
        Self::so_far(plan, probes).filter(|p| !p.may_grow())
    }

    /// The same, whether or not throughput may still grow; then the knee is at least the one told.
    pub fn so_far(plan: &PlanRecord, probes: &'a [ProbeRecord]) -> Option<Self> {
        let holds = || {
            let whole = probes.iter().filter(|p| p.whole());
            whole.filter_map(|p| Some((p, p.rate()?)))
        };
        let (peak, most) = holds().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let (lowest, _) = holds().min_by_key(|(p, _)| p.level)?;
        let highest = holds().map(|(p, _)| p.level).max()?;
        let cycle_s = if plan.unit.is_open() {
            1.0
        } else {
            cycle_s(plan, lowest)?
        };
        Some(Self {
            peak,
            lowest,
            cycle_s,
            knee: most * cycle_s,
            highest,
        })
    }

    /// Whether no level beyond the knee was held.
    pub fn may_grow(&self) -> bool {
        f64::from(self.highest.get()) < BEYOND_KNEE * self.knee
    }
}

impl ProbeRecord {
    /// Whether it settled and ran to its end, with a target that was warm.
    pub fn whole(&self) -> bool {
        self.end == HoldEnd::Complete && self.settled && self.purpose != Purpose::WarmUp
    }

    /// Completed cycles per second, where there were any.
    pub fn rate(&self) -> Option<f64> {
        self.throughput_per_s.filter(|x| x.is_finite() && *x > 0.0)
    }
}

/// The mean time of a cycle: its think times, whose mean is known, and the time that the target
/// took. A short hold of a low level has a dozen cycles, so that the level over its throughput is
/// off by 10 to 25 %.
fn cycle_s(plan: &PlanRecord, probe: &ProbeRecord) -> Option<f64> {
    Some(plan.think_s + probe.overall()?.latency.mean_s()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::RunRecord;
    use crate::samples;

    /// The sample, whose highest throughput is 100 cycles a second, with think times of five
    /// seconds.
    fn thinking() -> RunRecord {
        let mut record = samples::found();
        record.plan.think_s = 5.0;
        record
    }

    fn knee(record: &RunRecord) -> Option<f64> {
        Plateau::of(&record.plan, &record.probes).map(|p| p.knee)
    }

    #[test]
    fn the_knee_is_the_peak_times_a_cycle_of_the_lowest_level() {
        let mut record = thinking();
        let before = knee(&record).unwrap();
        let plateau = Plateau::of(&record.plan, &record.probes).unwrap();
        let target = plateau.lowest.overall().unwrap().latency.mean_s();
        let want = plateau.peak.throughput_per_s.unwrap() * (5.0 + target.unwrap());
        assert!((before - want).abs() < 1e-9, "{before} {want}");
        // A dozen cycles: how many of them end in a short hold is chance.
        let lowest = plateau.lowest.index;
        record.probes[lowest].throughput_per_s = record.probes[lowest].rate().map(|x| 1.3 * x);
        assert_eq!(knee(&record), Some(before));
    }

    #[test]
    fn no_knee_is_told_of_what_may_still_grow() {
        let mut record = thinking();
        let highest = record.probes.iter().map(|p| p.level).max().unwrap();
        record.plan.think_s = f64::from(highest.get()) / 100.0;
        assert_eq!(knee(&record), None);
        record.probes.clear();
        assert_eq!(knee(&record), None);
    }
}
