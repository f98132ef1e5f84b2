//! What the target could do, block by block: where requests queue, throughput is the capacity, and
//! it is known far better than any tail of latencies. Capacity that moves with time, or that stands
//! at one of two values, shows here first.

use super::super::{Flow, Visit};
use super::{least, mean, most};
use crate::measure::Level;
use crate::stats::tail::Served;

/// Seconds of a block.
const BLOCK_S: f64 = 15.0;
/// Completions that it needs to say a rate within a tenth or better.
const BLOCK_DONE: f64 = 150.0;
/// Completions from which the mean latency of a visit is believed.
const FEWEST: f64 = 100.0;
/// Requests queue when this many times as many are in flight as would be at the least latency seen.
const QUEUED: f64 = 4.0;
/// Levels that are compared, as shares of the estimate: further away other laws hold.
const NEAR: (f64, f64) = (0.6, 1.5);
/// Blocks that failed more than this share tell of failures and not of capacity.
const FAILED: f64 = 0.05;
/// Two groups of blocks count as two when their means stand this many standard deviations (of a
/// block within its group) apart: a normal distribution cut in halves gives 2.7, a uniform one, as
/// of a drift, 3.5.
const APART_SD: f64 = 4.0;
/// Least ratio of the capacities of two modes; what differs less lies within the intervals of the
/// usual answer.
const MODE_RATIO: f64 = 1.12;
/// The same for what an overload leaves behind, which coming from rest and repetition prove
/// besides.
const PAST_RATIO: f64 = 1.06;
/// Levels count as equal within this share.
const LEVEL: f64 = 0.03;
/// Seconds of the spell that a moment falls into, for a mode: the longest hold. What passes sooner
/// every visit meets, and it is averaged; visits of a mode are wholly in it.
const SPELL_S: f64 = 90.0;
/// Seconds that a return to speed lasts at least, as a hold does.
const RETURN_S: f64 = 60.0;
/// Most looks of either kind.
const LOOKS: usize = 2;
/// Requests in flight are counted once a second: what they reached in between exceeds the count by
/// up to this share.
const BETWEEN_SECONDS: f64 = 0.1;
/// Fewest blocks that a drift rests on.
const DRIFT_BLOCKS: usize = 12;
/// Share of the blocks near the estimate that must be queued throughout for one.
const DRIFT_QUEUED: f64 = 0.75;
/// Its least t statistic.
const DRIFT_T: f64 = 4.0;
/// Standard deviation of the elasticity of throughput where requests queue throughout: none but for
/// what a level does to caches.
const ELASTICITY_SD: f64 = 0.02;
/// Neighbouring blocks whose correlation is kept: a visit's.
const LAGS: usize = 5;

/// Some seconds at one level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Block {
    pub(super) vus: f64,
    /// Its middle, seconds of searching.
    at_s: f64,
    seconds: f64,
    per_s: f64,
    /// Requests queue on average.
    queued: bool,
    /// Requests queue throughout.
    pressed: bool,
    /// Fewest requests in flight.
    fewest: f64,
    /// Most in flight since the queue was last empty: before the block, and with it.
    peak_before: f64,
    peak: f64,
    /// How often the target had been brought to rest before.
    rests: usize,
    failed: f64,
    crashed: bool,
}

/// The blocks of all visits in order of time.
pub(super) fn blocks(visits: &[Visit]) -> Vec<Block> {
    let least_latency = least(visits.iter().filter_map(|v| {
        let done: f64 = v.flow.iter().map(|f| f.completed).sum();
        let waited: f64 = v.flow.iter().map(|f| f.waited_s).sum();
        (done >= FEWEST && waited > 0.0).then(|| waited / done)
    }));
    if !least_latency.is_finite() {
        return Vec::new();
    }
    let queue = |per_s: f64| QUEUED * (per_s * least_latency).max(1.0);
    let fastest = most(
        visits
            .iter()
            .filter_map(|v| v.throughput.filter(|_| !v.flow.is_empty())),
    );
    let empty_below = queue(fastest.max(0.0));
    let (mut peak, mut rests) = (0.0, 0);
    let mut out = Vec::new();
    for visit in visits.iter().filter(|v| v.counts()) {
        if visit.from == Level::ZERO {
            (peak, rests) = (0.0, rests + 1);
        }
        let (moving, level) = visit.flow.split_at(ramp(visit));
        let mut pass = |flow: &Flow| {
            peak = if flow.in_flight < empty_below {
                0.0
            } else {
                f64::max(peak, flow.in_flight)
            };
            peak
        };
        let mut before = moving.iter().map(&mut pass).last();
        let mut at_s = visit.began_s + count(moving.len());
        for part in parts(level) {
            let seconds = count(part.len());
            let per_s = part.iter().map(|f| f.completed).sum::<f64>() / seconds;
            let failed: f64 = part.iter().map(|f| f.failed).sum();
            let in_flight = || part.iter().map(|f| f.in_flight);
            let peaks: Vec<f64> = part.iter().map(&mut pass).collect();
            out.push(Block {
                vus: f64::from(visit.level.get()),
                at_s: at_s + seconds / 2.0,
                seconds,
                per_s,
                queued: mean(in_flight()) >= queue(per_s),
                pressed: least(in_flight()) >= queue(per_s),
                fewest: least(in_flight()),
                peak_before: before.unwrap_or(0.0),
                peak: most(peaks.iter().copied()),
                rests,
                failed: failed / (failed + per_s * seconds).max(1.0),
                crashed: visit.crashed_after_s.is_some(),
            });
            before = peaks.last().copied();
            at_s += seconds;
        }
    }
    out
}

/// Fewest blocks that a capacity may rest on.
const FEWEST_PRESSED: usize = 4;
/// Requests queue throughout for a capacity when they wait at least this share of the limit.
const WAITS: f64 = 0.25;

/// What gets done per second while the target is never without a line that takes a good part of
/// `limit_s` seconds to serve; `None` where too few blocks say so.
pub(in super::super) fn served_at_most(visits: &[Visit], limit_s: f64) -> Option<Served> {
    let pressed: Vec<Block> = blocks(visits)
        .into_iter()
        .filter(|b| b.pressed && !b.crashed && b.failed <= FAILED)
        .filter(|b| b.fewest >= WAITS * b.per_s * limit_s)
        .collect();
    if pressed.len() < FEWEST_PRESSED {
        return None;
    }
    let seconds: f64 = pressed.iter().map(|b| b.seconds).sum();
    let per_s = pressed.iter().map(|b| b.per_s * b.seconds).sum::<f64>() / seconds;
    let square = |b: &Block| (b.seconds * (b.per_s - per_s)).powi(2);
    let n = count(pressed.len());
    Some(Served {
        per_s,
        se: (pressed.iter().map(square).sum::<f64>() * n / (n - 1.0)).sqrt() / seconds,
        blocks: pressed.len(),
    })
}

/// Seconds until the level was reached.
pub(super) fn ramp_s(visit: &Visit) -> f64 {
    count(ramp(visit))
}

fn ramp(visit: &Visit) -> usize {
    visit.flow.iter().take_while(|f| !f.at_level).count()
}

/// Equal parts, each long enough to tell a rate.
fn parts(level: &[Flow]) -> impl Iterator<Item = &[Flow]> {
    let done: f64 = level.iter().map(|f| f.completed).sum();
    let wanted = BLOCK_S.max(BLOCK_DONE * count(level.len()) / done.max(1.0));
    let mut n = 1;
    while count(n + 1) * wanted <= count(level.len()) {
        n += 1;
    }
    (0..n)
        .map(move |i| &level[i * level.len() / n..(i + 1) * level.len() / n])
        .filter(|part| !part.is_empty())
}

/// Two groups of blocks that the level does not tell apart, each in order of time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Groups {
    slow: Vec<Block>,
    pub(super) fast: Vec<Block>,
    /// All of them in spells: whether slow, and the blocks.
    spells: Vec<(bool, Vec<Block>)>,
}

impl Groups {
    /// The blocks near the estimate in two groups, if they fall into two: slow ones queue, so that
    /// their throughput is their capacity, and fast ones do more at a level as high.
    pub(super) fn of(blocks: &[Block], estimate: f64) -> Option<Self> {
        let mut among = near(blocks, estimate);
        loop {
            let bound = halves(&among)?;
            let is_slow = |b: &Block| b.queued && b.per_s <= bound;
            let is_fast = |b: &Block| b.per_s > bound;
            let highest = most(among.iter().filter(|b| is_fast(b)).map(|b| b.vus));
            let lowest = least(among.iter().filter(|b| is_slow(b)).map(|b| b.vus));
            let told_by_level = |b: &Block| {
                (is_slow(b) && b.vus > highest * (1.0 + LEVEL))
                    || (is_fast(b) && b.vus < lowest * (1.0 - LEVEL))
            };
            let before = among.len();
            among.retain(|b| !told_by_level(b));
            if among.len() == before {
                among.retain(|b| is_slow(b) || is_fast(b));
                return Self::apart(&among, bound);
            }
        }
    }

    fn apart(among: &[Block], bound: f64) -> Option<Self> {
        let (slow, fast): (Vec<Block>, Vec<Block>) =
            among.iter().copied().partition(|b| b.per_s <= bound);
        let (low, high) = (rate(&slow), rate(&fast));
        // Where nothing queues the level sets the throughput: the spread of those says nothing.
        let queued = || among.iter().filter(|b| b.queued);
        let left = queued().map(|b| (b.per_s - if b.per_s <= bound { low } else { high }).powi(2));
        let freedom = queued().count().checked_sub(2).filter(|n| *n > 0)?;
        let sd = (left.sum::<f64>() / count(freedom)).sqrt();
        let mut spells: Vec<(bool, Vec<Block>)> = Vec::new();
        for block in among {
            let is_slow = block.per_s <= bound;
            match spells.last_mut() {
                Some((slow, spell)) if *slow == is_slow => spell.push(*block),
                _ => spells.push((is_slow, vec![*block])),
            }
        }
        (high - low > APART_SD * sd && high > PAST_RATIO * low).then_some(Self {
            slow,
            fast,
            spells,
        })
    }

    /// Capacity of the fast over that of the slow.
    fn ratio(&self) -> f64 {
        rate(&self.fast) / rate(&self.slow)
    }

    /// Cycles per second of the slow and of the fast.
    pub(super) fn per_s(&self) -> (f64, f64) {
        (rate(&self.slow), rate(&self.fast))
    }

    /// How long the spell lasts that a moment falls into.
    fn spell_s(&self, slow: bool) -> f64 {
        let lengths = || {
            (self.spells.iter())
                .filter(move |s| s.0 == slow)
                .map(|s| s.1.iter().map(|b| b.seconds).sum::<f64>())
        };
        lengths().map(|s| s * s).sum::<f64>() / lengths().sum::<f64>()
    }

    /// Whether the past may be what makes it slow: an overload, until it has been empty. Then
    /// nothing is fast after clearly more in flight than made it slow at another time, and who is
    /// slow under a queue that does not end stays so.
    fn past_explains(&self) -> bool {
        // One block alone is chance, and the first may be part of both.
        let long = |s: &&(bool, Vec<Block>)| s.1.len() > 1;
        let spells = |slow: bool| self.spells.iter().filter(long).filter(move |s| s.0 == slow);
        let turned = least(spells(true).map(|s| s.1[0].peak));
        let stayed = most(spells(false).flat_map(|s| &s.1[1..]).map(|b| b.peak_before));
        stayed < turned * (1.0 + BETWEEN_SECONDS)
            && !(self.spells.windows(2)).any(|pair| recovered(&pair[0].1, &pair[1].1))
    }

    /// How often one kind of spell followed the other: within the time since a rest, or after one.
    fn changes(&self, to_slow: bool, after_rest: bool) -> usize {
        (self.spells.windows(2))
            .filter(|pair| pair[1].0 == to_slow)
            .filter(|pair| (pair[1].1[0].rests > pair[0].1[0].rests) == after_rest)
            .count()
    }

    /// How often it was fast again after a rest that followed slowness.
    fn returns(&self) -> usize {
        self.changes(false, true)
    }

    /// How often it became slow without a rest in between.
    fn turns(&self) -> usize {
        self.changes(true, false)
    }

    /// Two modes: spells as long as a visit, and no history explains which it is in.
    pub(super) fn are_modes(&self) -> bool {
        self.ratio() >= MODE_RATIO
            && self.spell_s(true) >= SPELL_S
            && self.spell_s(false) >= SPELL_S
            && !self.past_explains()
    }

    /// Slow after an overload and until a rest: both changes were seen, in either order.
    pub(super) fn shows_hysteresis(&self) -> bool {
        self.looks_like_hysteresis()
            && self.returns() >= 1
            && self.turns() >= 1
            && self.spell_s(false) >= RETURN_S
    }

    fn looks_like_hysteresis(&self) -> bool {
        self.past_explains() && self.spell_s(true) >= SPELL_S
    }

    /// The visit that is missing from a comparison with rest.
    fn missing(&self) -> Option<Look> {
        if !self.looks_like_hysteresis() || self.shows_hysteresis() {
            return None;
        }
        let is_slow = self.spells.last().is_some_and(|s| s.0);
        Some(if is_slow {
            Look::FromRest
        } else {
            Look::FromOverload
        })
    }
}

/// Whether a slow spell gave way to a fast one by itself: no rest, no lower level, and requests
/// queued to its end.
fn recovered(slow: &[Block], fast: &[Block]) -> bool {
    let [.., pressed, last] = slow else {
        return false;
    };
    let (first, long) = (fast[0], fast.len() > 1);
    let bound = (rate(slow) * rate(fast)).sqrt();
    long && pressed.per_s < bound
        && rate(slow) < bound
        && first.per_s > bound
        && pressed.pressed
        && first.rests == last.rests
        && first.vus >= pressed.vus * (1.0 - LEVEL)
}

/// A visit that would tell whether the past matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::search) enum Look {
    /// At the estimate, after the target was brought to rest.
    FromRest,
    /// At a level that overloads it, so that the visits after it show what that leaves.
    FromOverload,
}

/// Which visit should look for what an overload leaves behind; `rests` looks were made from rest,
/// `overloads` with an overload.
///
/// Every search looks from rest once: where nothing but visits after an overload was made, nothing
/// could tell.
pub(super) fn wanted_look(
    blocks: &[Block],
    estimate: f64,
    rests: usize,
    overloads: usize,
) -> Option<Look> {
    // From rest at the estimate says nothing as long as it was slow only at higher levels.
    let low_enough = |b: &Block| b.queued && b.vus * (1.0 - LEVEL) <= estimate;
    if !near(blocks, estimate).iter().any(low_enough) {
        return None;
    }
    if rests == 0 {
        return Some(Look::FromRest);
    }
    let look = Groups::of(blocks, estimate)?.missing()?;
    let made = match look {
        Look::FromRest => rests,
        Look::FromOverload => overloads,
    };
    (made < LOOKS).then_some(look)
}

/// A change of capacity with time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Drift {
    /// Change of its logarithm over the search.
    pub(super) change: f64,
    /// Over so many seconds.
    pub(super) seconds: f64,
}

/// The capacity against time, where requests queue throughout; a step from one mode to another is
/// none.
pub(super) fn drift(blocks: &[Block], estimate: f64) -> Option<Drift> {
    let near = near(blocks, estimate);
    let at_estimate = |b: &&Block| (b.vus / estimate - 1.0).abs() < 0.15;
    let pressed: Vec<Block> = near.iter().copied().filter(|b| b.pressed).collect();
    let all = near.iter().filter(at_estimate).count();
    let of_them = pressed.iter().filter(at_estimate).count();
    if pressed.len() < DRIFT_BLOCKS || count(of_them) < DRIFT_QUEUED * count(all) {
        return None;
    }
    let (slope, error) = slope(&pressed)?;
    let seconds = pressed[pressed.len() - 1].at_s - pressed[0].at_s;
    (slope.abs() > DRIFT_T * error).then_some(Drift {
        change: slope * seconds,
        seconds,
    })
}

/// Slope of `ln(throughput)` by time and its standard error, from weighted least squares with an
/// elasticity by level.
fn slope(blocks: &[Block]) -> Option<(f64, f64)> {
    let weight: f64 = blocks.iter().map(|b| b.seconds).sum();
    let weighted =
        |f: &dyn Fn(&Block) -> f64| blocks.iter().map(|b| b.seconds * f(b)).sum::<f64>() / weight;
    let centre = (
        weighted(&|b| b.at_s),
        weighted(&|b| b.vus.ln()),
        weighted(&|b| b.per_s.ln()),
    );
    let t = |b: &Block| b.at_s - centre.0;
    let n = |b: &Block| b.vus.ln() - centre.1;
    let y = |b: &Block| b.per_s.ln() - centre.2;
    let sum = |f: &dyn Fn(&Block) -> f64| weight * weighted(f);
    // The prior of the elasticity weighs as much as blocks of this variance would.
    let spread = sum(&|b| y(b).powi(2)) / count(blocks.len() - 1);
    let (tt, tn) = (sum(&|b| t(b).powi(2)), sum(&|b| t(b) * n(b)));
    let nn = sum(&|b| n(b).powi(2)) + spread / ELASTICITY_SD.powi(2);
    let (ty, ny) = (sum(&|b| t(b) * y(b)), sum(&|b| n(b) * y(b)));
    let det = tt * nn - tn * tn;
    if det <= 0.0 {
        return None;
    }
    let (slope, elasticity) = ((nn * ty - tn * ny) / det, (tt * ny - tn * ty) / det);
    let score: Vec<f64> = (blocks.iter())
        .map(|b| {
            let left = y(b) - slope * t(b) - elasticity * n(b);
            b.seconds * left * (nn * t(b) - tn * n(b)) / det
        })
        .collect();
    // Newey and West; what is correlated was met less often than blocks, and its size is known the
    // less (persistence).
    let alone: f64 = score.iter().map(|s| s * s).sum();
    let together: f64 = (1..=LAGS)
        .map(|lag| {
            let pairs: f64 = score.iter().zip(&score[lag..]).map(|(a, b)| a * b).sum();
            2.0 * (1.0 - count(lag) / count(LAGS + 1)) * pairs
        })
        .sum();
    let deff = (1.0 + together / alone).max(1.0);
    let few = count(blocks.len()) / count(blocks.len() - 3);
    Some((slope, (alone * few).sqrt() * deff))
}

fn near(blocks: &[Block], estimate: f64) -> Vec<Block> {
    (blocks.iter().copied())
        .filter(|b| (NEAR.0..NEAR.1).contains(&(b.vus / estimate)))
        .filter(|b| !b.crashed && b.failed <= FAILED && b.per_s > 0.0)
        .collect()
}

/// The throughput that parts the blocks into the two groups with the least spread within, by
/// Lloyd's rounds.
fn halves(blocks: &[Block]) -> Option<f64> {
    let queued = || blocks.iter().filter(|b| b.queued).map(|b| b.per_s);
    let (mut low, mut high) = (least(queued()), most(blocks.iter().map(|b| b.per_s)));
    for _ in 0..20 {
        let bound = (low * high).sqrt();
        low = mean(queued().filter(|x| *x <= bound));
        high = mean(blocks.iter().map(|b| b.per_s).filter(|x| *x > bound));
    }
    let bound = (low * high).sqrt();
    bound.is_finite().then_some(bound)
}

fn rate(blocks: &[Block]) -> f64 {
    mean(blocks.iter().map(|b| b.per_s))
}

#[expect(clippy::cast_precision_loss, reason = "a count of seconds or blocks")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests;
