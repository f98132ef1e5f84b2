//! Capacity that grows while it is searched: a service that warms up (compilation, caches, pools)
//! or that is scaled out.
//!
//! Where requests queue, throughput is the capacity. A later throughput that is clearly more than
//! everything that was seen under a queue before cannot have been carried by the service of that
//! time. What broke before then broke another service.

use super::{Flow, Visit};
use crate::measure::Level;
use crate::record::{Noticed, NoticedKind};
use crate::units;

mod quickening;

/// How much more a later throughput must be than the capacity before: more than modes, neighbours
/// and what an overload leaves behind make (the laboratory's have 1.11 to 1.25), less than one
/// instance of a few that is added.
const GROWN: f64 = 1.3;
/// Seconds of a block.
const BLOCK_S: f64 = 15.0;
/// Completions that it needs: a rate within a tenth.
const BLOCK_DONE: f64 = 100.0;
/// Requests queue when they take this many times as long as the fastest so far.
const QUEUED: f64 = 3.0;
/// Seconds under a queue that a capacity rests on: one pause is not a small service.
const SEEN_S: f64 = 20.0;
/// Seconds from which it may have been seen, where so many blocks in a row then do more.
const GLIMPSED_S: f64 = 8.0;
const IN_A_ROW: usize = 3;
/// A service became faster when its fastest answers take this share of what they took before.
const FASTER: f64 = 0.7;

/// A time at which the capacity grew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Growth {
    /// What was seen of it.
    pub(super) rise: Rise,
    /// Seconds of the search at which the smaller service was last seen.
    pub(super) from_s: f64,
    /// Seconds of the search at which the larger one was first seen.
    pub(super) to_s: f64,
    /// Index of the first visit that met the grown service from its beginning.
    pub(super) first: usize,
}

/// What tells that a service has grown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rise {
    /// More got done than the capacity was.
    Capacity {
        /// Cycles per second before.
        before_per_s: f64,
        /// The least that it was seen to be after.
        after_per_s: f64,
        /// Whether requests that wait for nobody became faster too.
        warmed_up: bool,
    },
    /// Levels as high were answered faster than before.
    Latency {
        /// Mean latency before, seconds, and after.
        before_s: f64,
        after_s: f64,
    },
}

/// Some seconds of a visit.
struct RateBlock {
    visit: usize,
    /// Whether it is the visit's first.
    first: bool,
    at_s: f64,
    seconds: f64,
    done: f64,
    /// Mean latency, seconds.
    latency_s: f64,
}

impl RateBlock {
    fn per_s(&self) -> f64 {
        self.done / self.seconds
    }

    /// How far the rate may be from the mean rate, as a fraction: two standard deviations of a
    /// count.
    fn error(&self) -> f64 {
        2.0 / self.done.max(1.0).sqrt()
    }
}

/// Every growth, in order of time: of the capacity, and after the last of those of the speed at
/// levels as high.
pub(super) fn growths(visits: &[Visit]) -> Vec<Growth> {
    let mut out = capacity_growths(visits);
    let first = out.last().map_or(0, |g| g.first);
    out.extend(quickening::quickening(visits, first));
    out
}

/// Growths of the capacity. A capacity that comes down again did not grow: it moves to and fro.
fn capacity_growths(visits: &[Visit]) -> Vec<Growth> {
    let blocks = blocks(visits);
    let mut out: Vec<Growth> = Vec::new();
    let mut turned = f64::NAN;
    let mut fastest_s = f64::INFINITY;
    let (mut seen, mut seen_s, mut seen_until) = (0.0_f64, 0.0, 0.0);
    let mut fastest_of_era = f64::INFINITY;
    let mut in_a_row = 0;
    for block in &blocks {
        let (rate, error) = (block.per_s(), block.error());
        let more = seen_s >= GLIMPSED_S && rate * (1.0 - error) > GROWN * seen;
        in_a_row = if more { in_a_row + 1 } else { 0 };
        if more && (seen_s >= SEEN_S || in_a_row >= IN_A_ROW) {
            turned = (seen * rate).sqrt();
            out.push(Growth {
                rise: Rise::Capacity {
                    before_per_s: seen,
                    after_per_s: rate,
                    warmed_up: block.latency_s < FASTER * fastest_of_era,
                },
                from_s: seen_until,
                to_s: block.at_s,
                first: block.visit + usize::from(!block.first),
            });
            (seen, seen_s, in_a_row) = (0.0, 0.0, 0);
            fastest_of_era = f64::INFINITY;
        }
        let queued = block.latency_s >= QUEUED * fastest_s;
        if queued {
            if rate * (1.0 + error) < turned {
                return Vec::new();
            }
            seen = seen.max(rate);
            seen_s += block.seconds;
            seen_until = block.at_s + block.seconds;
        }
        fastest_s = fastest_s.min(block.latency_s);
        fastest_of_era = fastest_of_era.min(block.latency_s);
    }
    out
}

fn blocks(visits: &[Visit]) -> Vec<RateBlock> {
    let mut out = Vec::new();
    for (index, visit) in visits.iter().enumerate() {
        if !visit.valid || visit.crashed_after_s.is_some() || visit.level == Level::ZERO {
            continue;
        }
        let ramp = visit.flow.iter().take_while(|f| !f.at_level).count();
        let level = &visit.flow[ramp..];
        let done = sum(level, |f| f.completed);
        let parts = (count(level.len()) / BLOCK_S)
            .min(done / BLOCK_DONE)
            .floor()
            .max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at least one, and fewer than there are seconds"
        )]
        let parts = parts as usize;
        for part in 0..parts {
            let (from, to) = (part * level.len() / parts, (part + 1) * level.len() / parts);
            let seconds = &level[from..to];
            let done = sum(seconds, |f| f.completed);
            if done < BLOCK_DONE / 2.0 || sum(seconds, |f| f.failed) > 0.05 * done {
                continue;
            }
            out.push(RateBlock {
                visit: index,
                first: part == 0,
                at_s: visit.began_s + count(ramp + from),
                seconds: count(seconds.len()),
                done,
                latency_s: sum(seconds, |f| f.waited_s) / done,
            });
        }
    }
    out
}

impl Growth {
    /// Seconds of the search from which on the service was the larger one.
    pub(super) fn after_s(&self) -> f64 {
        self.to_s
    }

    /// In words.
    pub(super) fn noticed(&self, from_s: f64) -> Noticed {
        let (what, kind) = match self.rise {
            Rise::Capacity {
                before_per_s,
                after_per_s,
                warmed_up,
            } => {
                let by =
                    format!("from about {before_per_s:.0} to {after_per_s:.0} cycles/s or more");
                if warmed_up {
                    let text = format!("the service warmed up: its capacity rose {by}");
                    (text, NoticedKind::WarmedUp)
                } else {
                    (format!("capacity grew {by}"), NoticedKind::Grew)
                }
            }
            Rise::Latency { before_s, after_s } => {
                let text = format!(
                    "the service became faster: comparable levels took {} on average, then {},",
                    units::format_seconds(before_s),
                    units::format_seconds(after_s)
                );
                (text, NoticedKind::Grew)
            }
        };
        Noticed {
            kind,
            text: format!(
                "{what} between minute {:.0} and {:.0} of the search",
                (self.from_s / 60.0).floor(),
                (self.to_s / 60.0).ceil(),
            ),
            from_s,
            to_s: self.to_s,
        }
    }
}

/// Whether answers in the second half of a visit took clearly less time than in the first.
pub(super) fn becomes_faster(flow: &[Flow]) -> bool {
    let (before, after) = flow.split_at(flow.len() / 2);
    let done = |half: &[Flow]| sum(half, |f| f.completed);
    let mean_s = |half: &[Flow]| sum(half, |f| f.waited_s) / done(half);
    done(before) >= BLOCK_DONE / 2.0
        && done(after) >= BLOCK_DONE / 2.0
        && mean_s(after) < FASTER * mean_s(before)
}

fn sum(seconds: &[Flow], of: impl Fn(&Flow) -> f64) -> f64 {
    seconds.iter().map(of).sum()
}

#[expect(clippy::cast_precision_loss, reason = "a count of seconds")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, seconds};
    use super::*;
    use crate::record::Purpose;
    use crate::slo::Verdict;

    /// Visits one after the other, of so many seconds each: how many cycles a second at which
    /// latency.
    fn visits(of: &[&[(usize, f64, f64)]]) -> Vec<Visit> {
        let mut began_s = 0.0;
        of.iter()
            .map(|parts| {
                let flow: Vec<Flow> = (parts.iter())
                    .flat_map(|(n, per_s, latency_s)| seconds(*n, *per_s, 50.0, *latency_s))
                    .collect();
                let visit = Visit {
                    began_s,
                    flow,
                    ..at(100, Purpose::Narrow, Verdict::Held)
                };
                began_s += count(visit.flow.len());
                visit
            })
            .collect()
    }

    /// Nobody waits.
    const LIGHT: &[(usize, f64, f64)] = &[(30, 50.0, 0.05)];
    /// A line at 200 a second.
    const FULL: &[(usize, f64, f64)] = &[(30, 200.0, 1.0)];

    #[test]
    fn twice_the_throughput_under_a_line_is_capacity_that_grew() {
        let doubled: &[(usize, f64, f64)] = &[(30, 400.0, 1.0)];
        let found = growths(&visits(&[LIGHT, FULL, doubled]));
        let [growth] = found.as_slice() else {
            panic!("{found:?}")
        };
        let Rise::Capacity {
            before_per_s,
            after_per_s,
            ..
        } = growth.rise
        else {
            panic!("{growth:?}")
        };
        assert_eq!((before_per_s, after_per_s), (200.0, 400.0));
        assert_eq!((growth.from_s, growth.to_s, growth.first), (60.0, 60.0, 2));
        let noticed = growth.noticed(0.0);
        assert_eq!(noticed.kind, NoticedKind::Grew);
        assert!(
            noticed
                .text
                .starts_with("capacity grew from about 200 to 400"),
            "{}",
            noticed.text
        );
        // Within a visit: the one after it is the first that met the grown service alone.
        let within: &[(usize, f64, f64)] = &[(15, 200.0, 1.0), (30, 400.0, 1.0)];
        let found = growths(&visits(&[LIGHT, FULL, within, doubled]));
        assert_eq!(
            found.iter().map(|g| (g.first, g.to_s)).collect::<Vec<_>>(),
            [(3, 75.0)]
        );
        // Twice.
        let again: &[(usize, f64, f64)] = &[(30, 800.0, 1.0)];
        let found = growths(&visits(&[LIGHT, FULL, doubled, again]));
        assert_eq!(found.iter().map(|g| g.first).collect::<Vec<_>>(), [2, 3]);
    }

    #[test]
    fn a_little_more_or_more_without_a_line_before_is_no_growth() {
        let more: &[(usize, f64, f64)] = &[(30, 240.0, 1.0)];
        assert_eq!(growths(&visits(&[LIGHT, FULL, more])), []);
        // More load alone.
        let loaded: &[(usize, f64, f64)] = &[(30, 400.0, 0.05)];
        assert_eq!(growths(&visits(&[LIGHT, loaded, &[(30, 800.0, 0.05)]])), []);
        // A crash is none of the capacity.
        let mut crashed = visits(&[LIGHT, FULL, &[(30, 400.0, 1.0)]]);
        crashed[1].crashed_after_s = Some(10.0);
        assert_eq!(growths(&crashed), []);
    }

    #[test]
    fn a_pause_is_no_small_service() {
        let pause: &[(usize, f64, f64)] = &[(15, 20.0, 3.0), (30, 200.0, 1.0)];
        assert_eq!(growths(&visits(&[LIGHT, FULL, pause, FULL])), []);
        // Neither where it comes before anything else was seen under a line, if no more than a
        // moment follows it.
        assert_eq!(
            growths(&visits(&[LIGHT, &[(15, 20.0, 3.0), (30, 200.0, 0.05)]])),
            []
        );
    }

    #[test]
    fn a_capacity_that_comes_down_again_moves_to_and_fro() {
        let doubled: &[(usize, f64, f64)] = &[(30, 400.0, 1.0)];
        assert_eq!(growths(&visits(&[LIGHT, FULL, doubled, FULL])), []);
        // A light load afterwards is no sign of it.
        assert_eq!(growths(&visits(&[LIGHT, FULL, doubled, LIGHT])).len(), 1);
    }

    #[test]
    fn a_service_whose_lone_answers_became_faster_too_warmed_up() {
        let warm: &[(usize, f64, f64)] = &[(30, 400.0, 0.02)];
        let found = growths(&visits(&[LIGHT, FULL, warm]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].noticed(0.0).kind, NoticedKind::WarmedUp);
    }

    #[test]
    fn a_level_becomes_faster_when_its_second_half_takes_clearly_less() {
        let halves = |before: f64, after: f64, per_s: f64| {
            let mut flow = seconds(10, per_s, 1.0, before);
            flow.extend(seconds(10, per_s, 1.0, after));
            becomes_faster(&flow)
        };
        assert!(halves(0.1, 0.06, 20.0));
        assert!(!halves(0.1, 0.08, 20.0));
        assert!(!halves(0.06, 0.1, 20.0));
        assert!(!halves(0.1, 0.06, 4.0), "forty answers are too few");
        assert!(!becomes_faster(&[]));
    }
}
