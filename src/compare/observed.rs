//! Throughput, knee and latency of a run, with what the spread of blocks says of them.
//!
//! The unit of observation is a block of seconds, never the request: a queue's successive latencies
//! are nearly one number. A standard error is the largest of those that blocks of one, two and four
//! times the length give, so that dependence between neighbours widens it.

use super::run_estimate::RunEstimate;
use crate::measure::{Histogram, Level};
use crate::record::{Plateau, ProbeRecord, Purpose, RunRecord, SecondRecord};
use crate::slo::Verdict;
use crate::stats::Spread;
use crate::stats::permutation::{self, Block, Interval};

/// Fewest blocks whose spread means anything.
const FEWEST_BLOCKS: usize = 4;
/// Most blocks that a set of holds is cut into.
const MOST_BLOCKS: f64 = 20.0;
/// Shortest block for a throughput where cycles arrive at a rate of their own, seconds.
const OPEN_BLOCK_S: f64 = 5.0;
/// Shortest block for a median where hardly anybody waits, seconds.
const QUIET_BLOCK_S: f64 = 1.0;
/// The same for a tail, which rare pauses make: blocks of a second showed evidence in 22 of 100
/// equal pairs of `stalls`.
const TAIL_BLOCK_S: f64 = 2.0;
/// From this quantile on it is a tail.
const TAIL: f64 = 0.9;
/// Hardly anybody waits where the median is at most this many times that of the lowest level.
const QUIET: f64 = 1.5;
/// The lowest level is one at which nobody waits, if it is at most this share of the knee.
const NOBODY_WAITS: f64 = 0.5;
/// Standard errors by which a knee that was not reached is told lower than the throughput says: it
/// is the highest of many.
const ONE_SIDED: f64 = 2.0;
/// Requests beyond the quantile that a run needs.
const BEYOND_QUANTILE: f64 = 8.0;

/// Probes that settled and ran to their end.
fn whole(record: &RunRecord) -> impl Iterator<Item = &ProbeRecord> {
    record.probes.iter().filter(|p| p.whole())
}

fn vus(probe: &ProbeRecord) -> f64 {
    f64::from(probe.level.get())
}

/// Where throughput stopped growing, or how far it had grown; of others than the users who are
/// searched their levels say nothing of it.
fn so_far(record: &RunRecord) -> Option<Plateau<'_>> {
    let plan = &record.plan;
    let searched = plan.users_are_searched();
    searched.then(|| Plateau::so_far(plan, &record.probes))?
}

const STILL_GROWS: &str = "throughput was still growing at the highest level that settled";
const TOO_SHORT: &str = "its holds are too short for an interval";

/// The highest throughput, cycles per second, where it does not grow any more.
pub(super) fn throughput(record: &RunRecord) -> RunEstimate {
    let Some(Plateau { peak, .. }) = so_far(record).filter(|p| !p.may_grow()) else {
        return match record.answer.peak_throughput_per_s {
            Some(peak) => RunEstimate::Bare(peak, STILL_GROWS.to_owned()),
            None => RunEstimate::Nothing("no throughput was measured".to_owned()),
        };
    };
    let value = peak.rate().unwrap_or_default();
    spread_or_bare(value, rate_error(record, peak))
}

/// The highest throughput as a lower bound of what the target could do, where it still grew.
pub(super) fn throughput_or_more(record: &RunRecord) -> RunEstimate {
    let growing = so_far(record).filter(Plateau::may_grow);
    let bound = growing.and_then(|plateau| {
        let error = rate_error(record, plateau.peak)?;
        Some(plateau.peak.rate()? * (-ONE_SIDED * error.se).exp())
    });
    bound.map_or_else(|| throughput(record), RunEstimate::AtLeast)
}

/// The highest throughputs that were seen, whether or not they still grew: `50.0 -> 100.0`.
pub(super) fn most_seen(base: &RunRecord, candidate: &RunRecord) -> Option<String> {
    let (a, b) = (
        base.answer.peak_throughput_per_s?,
        candidate.answer.peak_throughput_per_s?,
    );
    let rate = base.plan.counted().rate();
    Some(format!(
        "the highest measured, still growing: {a:.1} -> {b:.1} {rate}"
    ))
}

/// Throughput at a level, cycles per second, over the longest hold there.
pub(super) fn throughput_at(record: &RunRecord, level: Level) -> RunEstimate {
    let holds = whole(record).filter(|p| p.level == level);
    let longest = holds.max_by(|a, b| a.hold_s.total_cmp(&b.hold_s));
    match longest.and_then(|p| Some((p, p.rate()?))) {
        Some((probe, rate)) => spread_or_bare(rate, rate_error(record, probe)),
        None => RunEstimate::Nothing("no throughput was measured there".to_owned()),
    }
}

/// Where throughput stops growing: the peak throughput times the time of a cycle at the lowest
/// level. While it still grows the knee is at least that.
pub(super) fn knee(record: &RunRecord) -> RunEstimate {
    let Some(plateau) = so_far(record) else {
        return RunEstimate::Nothing("no throughput was measured at a level of users".to_owned());
    };
    if vus(plateau.lowest) > NOBODY_WAITS * plateau.knee {
        let why = "its lowest level is too close to the knee to show a cycle without queueing";
        return RunEstimate::Bare(plateau.knee, why.to_owned());
    }
    let errors = rate_error(record, plateau.peak).zip(cycle_error(&plateau));
    let error = errors.map(|(a, b)| a.and(b));
    match error {
        Some(error) if plateau.may_grow() => {
            RunEstimate::AtLeast(plateau.knee * (-ONE_SIDED * error.se).exp())
        }
        None if plateau.may_grow() => {
            RunEstimate::Nothing(format!("knee not reached: {STILL_GROWS}"))
        }
        error => spread_or_bare(plateau.knee, error),
    }
}

fn spread_or_bare(value: f64, error: Option<Error>) -> RunEstimate {
    match error.and_then(|e| Spread::student(value, e.se, e.freedom)) {
        Some(spread) => RunEstimate::Spread { value, spread },
        None => RunEstimate::Bare(value, TOO_SHORT.to_owned()),
    }
}

/// Standard error of a logarithm, and its degrees of freedom.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Error {
    se: f64,
    freedom: f64,
}

impl Error {
    /// Of the product of two quantities that know nothing of each other; Welch and Satterthwaite's
    /// degrees of freedom.
    fn and(self, other: Self) -> Self {
        let se = self.se.hypot(other.se);
        let freedom = if se > 0.0 {
            let share = |of: Self| (of.se / se).powi(4) / of.freedom;
            (share(self) + share(other)).recip()
        } else {
            self.freedom + other.freedom
        };
        Self { se, freedom }
    }
}

/// Of the time of a cycle at the lowest level, whose think times are known. Each second counts as
/// one observation, however many cycles ended in it, and is taken to spread as widely as single
/// cycles do.
fn cycle_error(plateau: &Plateau) -> Option<Error> {
    let target = &plateau.lowest.overall()?.latency;
    let mean = target.mean_s()?;
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let (seen, weight) = (target.count() as f64, |n: u64| n as f64);
    let squares = target.iter().map(|(s, n)| weight(n) * (s - mean).powi(2));
    let variance = squares.sum::<f64>() / (seen - 1.0);
    let observations = plateau.lowest.hold_s.floor().min(seen);
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let enough = observations >= FEWEST_BLOCKS as f64;
    enough.then(|| Error {
        se: (variance / observations).sqrt() / plateau.cycle_s,
        freedom: observations - 1.0,
    })
}

/// The widest of batches (E. J. Chen, W. D. Kelton 2006) of so many blocks, half and a quarter as
/// many: `logs` gives the logarithms of a number of blocks.
fn widest(blocks: usize, logs: impl Fn(usize) -> Option<Vec<f64>>) -> Option<Error> {
    [blocks, blocks / 2, blocks / 4]
        .into_iter()
        .filter_map(|n| of_blocks(&logs(n)?))
        .max_by(|a, b| a.se.total_cmp(&b.se))
}

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
    let cycle_s = probe.rate().map_or(f64::INFINITY, |x| vus(probe) / x);
    let block_s = if record.plan.unit.is_open() {
        OPEN_BLOCK_S
    } else {
        cycle_s.max(1.0)
    };
    let log = |block: &[&SecondRecord]| {
        let cycles: u64 = block
            .iter()
            .filter_map(|s| Some(s.overall()?.completed))
            .sum();
        let time: f64 = block.iter().map(|s| s.span_s).sum();
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let rate = cycles as f64 / time;
        rate.ln()
    };
    widest(few(probe.hold_s / block_s), |n| {
        Some(cut(&seconds, n).map(log).collect())
    })
}

/// A number of blocks, cut to a few.
fn few(blocks: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "cut to a few"
    )]
    let few = blocks.floor().clamp(0.0, MOST_BLOCKS) as usize;
    few
}

/// Successive items in so many parts of nearly equal length.
fn cut<T>(items: &[T], parts: usize) -> impl Iterator<Item = &[T]> {
    let parts = parts.min(items.len());
    (0..parts).map(move |i| &items[i * items.len() / parts..(i + 1) * items.len() / parts])
}

/// The level at which latency and throughput of two runs are compared: the highest that both held
/// after their search to be compared there; else the highest that both visited and where hardly
/// anybody waits. Both must have held it below their breakpoints: above one a line grows for as
/// long as a hold lasts. Where a line stands, one visit is one observation of it, however long. Two
/// levels that are nearly the same are two levels: what lies between them is no change of the
/// service.
pub(super) fn common_level(base: &RunRecord, candidate: &RunRecord) -> Option<Level> {
    let highest = |levels: fn(&RunRecord) -> Vec<Level>| {
        let of_candidate = levels(candidate);
        let common = levels(base).into_iter();
        common.filter(|l| of_candidate.contains(l)).max()
    };
    highest(references).or_else(|| highest(quiet))
}

/// Whether a run held a level below its breakpoint, the interval in which that lies, or all that
/// broke.
fn held_below(record: &RunRecord, level: Level) -> bool {
    let broke = record.probes.iter().filter(|p| p.verdict == Verdict::Broke);
    let lowest_broken = || broke.clone().map(|p| p.level.get()).min();
    let answer = &record.answer;
    let limit = answer.breakpoint.or(answer.ci_low).or_else(lowest_broken);
    // Short holds of few cycles are undecided where a longer one held.
    let held = whole(record).any(|p| p.level == level && p.verdict == Verdict::Held);
    held && limit.is_none_or(|limit| level.get() < limit) && broke.clone().all(|p| p.level != level)
}

/// The levels that were held after the search. The load that the target must carry may be so near
/// the breakpoint that a line forms: then its hold is one observation, however many blocks it has.
fn references(record: &RunRecord) -> Vec<Level> {
    let quiet = quiet(record);
    let may_wait = |level| record.plan.required == Some(Level::get(level));
    let held = whole(record).filter(|p| p.purpose == Purpose::Reference);
    held.map(|p| p.level)
        .filter(|level| !may_wait(*level) || quiet.contains(level))
        .filter(|level| held_below(record, *level))
        .collect()
}

/// The levels below the breakpoint where hardly anybody waits, in no order.
fn quiet(record: &RunRecord) -> Vec<Level> {
    let medians: Vec<(Level, f64)> = whole(record)
        .filter_map(|p| {
            let main = p.steps.get(record.plan.main_step)?;
            Some((p.level, main.latency.quantile_s(0.5)?))
        })
        .collect();
    let lowest = medians.iter().min_by_key(|(level, _)| *level);
    let most = lowest.map_or(0.0, |(_, median)| QUIET * median);
    let fit = medians.iter().filter(|(_, median)| *median <= most);
    fit.map(|(level, _)| *level)
        .filter(|level| held_below(record, *level))
        .collect()
}

/// A quantile of the main step's latency at a level over all of its visits: seconds, of base and
/// candidate, and the interval of their ratio.
pub(super) struct Latencies {
    pub(super) base: RunEstimate,
    pub(super) candidate: RunEstimate,
    pub(super) ratio: Option<Interval>,
}

/// That quantile of two runs at a level that both held.
pub(super) fn latencies(
    base: &RunRecord,
    candidate: &RunRecord,
    level: Level,
    q: f64,
    confidence: f64,
) -> Latencies {
    let held = [held_at(base, level), held_at(candidate, level)];
    let ratio = ratio_of(&held, q, confidence);
    let [base, candidate] = held.map(|held| match held.quantile(q) {
        None => RunEstimate::Nothing("no latency was measured there".to_owned()),
        Some(value) if ratio.is_some() => RunEstimate::Beside(value),
        Some(value) if held.beyond(q) < BEYOND_QUANTILE => {
            RunEstimate::Bare(value, "too few requests for an interval".to_owned())
        }
        Some(value) => RunEstimate::Bare(value, TOO_SHORT.to_owned()),
    });
    Latencies {
        base,
        candidate,
        ratio,
    }
}

/// The holds at a level, in order.
struct Held<'a>(Vec<&'a SecondRecord>);

fn held_at(record: &RunRecord, level: Level) -> Held<'_> {
    let probes = whole(record).filter(|p| p.level == level);
    Held(
        probes
            .flat_map(|p| p.seconds.iter().filter(|s| s.hold))
            .collect(),
    )
}

impl Held<'_> {
    fn quantile(&self, q: f64) -> Option<f64> {
        sum(&self.0).quantile_s(q).filter(|v| *v > 0.0)
    }

    /// Requests beyond the quantile.
    fn beyond(&self, q: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let all = sum(&self.0).count() as f64;
        all * (1.0 - q)
    }

    fn seconds(&self) -> f64 {
        self.0.iter().map(|s| s.span_s).sum()
    }

    /// Blocks of about so many seconds.
    fn blocks(&self, seconds: f64) -> Vec<Block> {
        cut(&self.0, few(self.seconds() / seconds))
            .map(block)
            .collect()
    }
}

fn block(seconds: &[&SecondRecord]) -> Block {
    let latencies = sum(seconds);
    latencies.iter().map(|(s, n)| (s.ln(), n)).collect()
}

/// The widest interval that blocks of one, two and four times the length give, so that neighbours
/// that resemble each other widen it.
fn ratio_of([base, candidate]: &[Held<'_>; 2], q: f64, confidence: f64) -> Option<Interval> {
    if base.beyond(q).min(candidate.beyond(q)) < BEYOND_QUANTILE {
        return None;
    }
    let shortest_s = if q >= TAIL {
        TAIL_BLOCK_S
    } else {
        QUIET_BLOCK_S
    };
    let held_s = base.seconds().max(candidate.seconds());
    let block_s = shortest_s.max(held_s / MOST_BLOCKS);
    [1.0, 2.0, 4.0]
        .into_iter()
        .filter_map(|times| {
            let (a, b) = (
                base.blocks(times * block_s),
                candidate.blocks(times * block_s),
            );
            permutation::of_quantiles(&a, &b, q, confidence)
        })
        .reduce(Interval::and)
}

fn sum(seconds: &[&SecondRecord]) -> Histogram {
    Histogram::sum(seconds.iter().map(|s| &s.main_latency))
}
