//! Events that come by chance: crashes, and pauses in which nothing gets done. Each is one observation, however many seconds are
//! quiet around it.

use super::own_crashes;
use crate::measure::LevelUnit;
use crate::search::{Flow, Visit};

/// Cycles per second from which a second without any is no chance: `exp(-12)`.
const BUSY: f64 = 12.0;

/// What came by chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::search) struct ChanceEvents {
    /// How many.
    pub(in crate::search) count: usize,
    /// Those of them that were crashes.
    crashes: usize,
    /// Seconds of the search at the first and at the last.
    pub(in crate::search) first_s: f64,
    pub(in crate::search) last_s: f64,
    /// Seconds at a level in all.
    under_load_s: f64,
}

impl ChanceEvents {
    pub(in crate::search) fn text(&self, unit: LevelUnit) -> String {
        let pauses = self.count - self.crashes;
        let what = match (self.crashes, pauses) {
            (0, 1) => "one pause in which nothing was served".to_owned(),
            (0, n) => format!("{n} pauses in which nothing was served"),
            (1, 0) => "one crash that other visits as high did not meet".to_owned(),
            (n, 0) => format!("{n} crashes that other visits as high did not meet"),
            (crashes, pauses) => format!("{crashes} crashes and {pauses} pauses"),
        };
        let levels = if unit.is_open() { "rates" } else { "levels" };
        format!(
            "{what} in {:.0} minutes under load; they come by chance, and how often at which {levels} so few of them tell roughly",
            (self.under_load_s / 60.0).max(1.0)
        )
    }
}

/// The events of a search; none where there was none. A crash counts when a level as high lasted: else the level is what kills.
pub(in crate::search) fn chance_events(visits: &[Visit]) -> Option<ChanceEvents> {
    let mut times: Vec<f64> = Vec::new();
    for crash in own_crashes(visits) {
        let lasted = |v: &&Visit| {
            v.counts()
                && v.crashed_after_s.is_none()
                && !v.left_early
                && v.level >= crash.visit.level
        };
        if visits.iter().any(|v| lasted(&v)) {
            times.push(crash.visit.began_s + crash.visit.crashed_after_s.unwrap_or(0.0));
        }
    }
    let crashes = times.len();
    let mut under_load_s = 0.0;
    for visit in visits.iter().filter(|v| v.valid) {
        let ramp = visit.flow.iter().take_while(|f| !f.at_level).count();
        let level = &visit.flow[ramp..];
        under_load_s += count(level.len());
        if visit.crashed_after_s.is_none() {
            times.extend(pauses(level).map(|s| visit.began_s + count(ramp + s)));
        }
    }
    let first_s = times.iter().copied().fold(f64::INFINITY, f64::min);
    let last_s = times.iter().copied().fold(0.0, f64::max);
    (!times.is_empty()).then_some(ChanceEvents {
        count: times.len(),
        crashes,
        first_s,
        last_s,
        under_load_s,
    })
}

/// The seconds at which pauses began: nothing was completed although users waited, before and after it much was.
fn pauses(level: &[Flow]) -> impl Iterator<Item = usize> {
    let done: f64 = level.iter().map(|f| f.completed).sum();
    let busy = done >= BUSY * count(level.len());
    let still = |f: &Flow| f.completed <= 0.0 && f.in_flight > 0.0;
    (1..level.len().saturating_sub(1))
        .filter(move |i| busy && still(&level[*i]) && !still(&level[*i - 1]))
        .filter(|i| level[i + 1..].iter().any(|f| f.completed > 0.0))
}

/// Whether what is in flight grows from one end of the time at a level to the other: each fifth has clearly more than the one before,
/// and in the end there is half as much again as in the middle of the first.
pub(in crate::search) fn line_grows(flow: &[Flow]) -> bool {
    let ramp = flow.iter().take_while(|f| !f.at_level).count();
    let level = &flow[ramp..];
    if level.len() < FIFTHS * 3 {
        return false;
    }
    let means: Vec<f64> = (0..FIFTHS)
        .map(|i| &level[i * level.len() / FIFTHS..(i + 1) * level.len() / FIFTHS])
        .map(|part| part.iter().map(|f| f.in_flight).sum::<f64>() / count(part.len()))
        .collect();
    let grew = means[FIFTHS - 1] - means[0];
    let steps = means.windows(2).map(|pair| pair[1] - pair[0]);
    // A line that wanders grows now and then; one that is fed too much does so evenly.
    let even = grew / count(FIFTHS - 1) / 3.0;
    means[FIFTHS - 1] > GROWS * means[0].max(LEAST_LINE)
        && steps.into_iter().all(|step| step > even)
}

/// Parts of a visit whose lines are compared.
const FIFTHS: usize = 5;
/// How much longer the line is in the end.
const GROWS: f64 = 1.5;
/// Requests in flight below which a line is none.
const LEAST_LINE: f64 = 5.0;

#[expect(clippy::cast_precision_loss, reason = "a count of seconds")]
fn count(n: usize) -> f64 {
    n as f64
}
