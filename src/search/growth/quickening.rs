//! A service that answers faster than it did at levels as high: it warmed up or was scaled out,
//! although no line was ever long enough to show its capacity.

use super::{Growth, Rise, count, sum};
use crate::measure::Level;
use crate::search::Visit;
use crate::stats::student_t_quantile;

/// Completions from which a visit's mean latency is believed, and the share of failures up to which
/// it is of the service.
const BELIEVED: (f64, f64) = (50.0, 0.05);
/// Levels that are compared with a later one, as shares of it.
const AS_HIGH: std::ops::RangeInclusive<f64> = 0.7..=1.15;
/// Of those the nearest, and what is no farther off than this besides (a difference of logarithms).
const AS_NEAR: f64 = 0.03;
/// Least standard deviation of a visit's logarithm that is believed: of two or three visits that
/// agree by chance it is nothing.
const LEAST_SD: f64 = 0.15;
/// Fewest visits before and after.
const FEWEST: usize = 2;
/// Seconds held after, at least: one lucky moment is no faster service.
const HELD_S: f64 = 40.0;
/// A level that takes this share of the time that it took.
const FASTER: f64 = 0.7;
/// How sure it must be (one-sided, per place at which the visits are cut in two).
const SURE: f64 = 0.998;

/// One visit's latency.
struct LevelLatency {
    visit: usize,
    vus: f64,
    latency_s: f64,
    per_s: f64,
    began_s: f64,
    held_s: f64,
    from_rest: bool,
}

/// The time since which all visits were answered faster than those before them at levels as high;
/// `None` where no cut of the visits in two tells that beyond chance (Student's t of the logarithms
/// of the mean latencies, pooled variance). Visits before `since` are of an earlier service. What
/// follows a rest is none: a rest cures what an overload left behind.
pub(super) fn quickening(visits: &[Visit], since: usize) -> Option<Growth> {
    let seen = seen(visits, since);
    (FEWEST..seen.len())
        .filter_map(|cut| {
            let (t, growth) = compare(&seen[..cut], &seen[cut..])?;
            Some((t, seen[cut].from_rest, growth))
        })
        .max_by(|(a, ..), (b, ..)| a.total_cmp(b))
        .filter(|(_, from_rest, _)| !from_rest)
        .map(|(.., growth)| growth)
}

fn seen(visits: &[Visit], since: usize) -> Vec<LevelLatency> {
    let mut out = Vec::new();
    for (index, visit) in visits.iter().enumerate().skip(since) {
        if !visit.valid || visit.overran() {
            continue;
        }
        let ramp = visit.flow.iter().take_while(|f| !f.at_level).count();
        let level = &visit.flow[ramp..];
        let done = sum(level, |f| f.completed);
        let waited_s = sum(level, |f| f.waited_s);
        if done < BELIEVED.0 || sum(level, |f| f.failed) > BELIEVED.1 * done || waited_s <= 0.0 {
            continue;
        }
        out.push(LevelLatency {
            visit: index,
            vus: f64::from(visit.level.get()),
            latency_s: waited_s / done,
            per_s: done / count(level.len()),
            began_s: visit.began_s,
            held_s: count(level.len()),
            from_rest: visit.from == Level::ZERO,
        });
    }
    out
}

/// How surely the visits of `after` were faster than those of `before`, if they were: Student's t
/// over the one that is needed, and what to call it.
fn compare(before: &[LevelLatency], after: &[LevelLatency]) -> Option<(f64, Growth)> {
    let light_s = (before.iter().map(|a| a.latency_s)).fold(f64::INFINITY, f64::min);
    let pairs: Vec<Pair> = (after.iter())
        .filter_map(|b| Pair::of(before, b, light_s))
        .collect();
    let held_s: f64 = pairs.iter().map(|p| p.held_s).sum();
    let with = before
        .iter()
        .filter(|a| pairs.iter().any(|p| p.with.contains(&a.visit)))
        .count();
    if with < FEWEST || pairs.len() < FEWEST || held_s < HELD_S {
        return None;
    }
    let n = count(pairs.len());
    let mean = |of: fn(&Pair) -> f64| pairs.iter().map(of).sum::<f64>() / n;
    let (was, is) = (mean(|p| p.was_ln_s), mean(|p| p.ln_s));
    let change = is - was;
    let squares: f64 = (pairs.iter())
        .map(|p| (p.ln_s - p.was_ln_s - change).powi(2))
        .sum();
    let sd = (squares / (n - 1.0)).sqrt().max(LEAST_SD);
    let t = -change / (sd * (1.0 / n + 1.0 / count(with)).sqrt());
    let over = t / student_t_quantile(SURE, n + count(with) - 2.0);
    let (last, first) = (before.last()?, after.first()?);
    (change < FASTER.ln() && over >= 1.0).then(|| {
        let growth = Growth {
            rise: Rise::Latency {
                before_s: was.exp(),
                after_s: is.exp(),
            },
            from_s: last.began_s + last.held_s,
            to_s: first.began_s,
            first: first.visit,
        };
        (over, growth)
    })
}

/// A later visit beside the earlier ones at the nearest level.
struct Pair {
    /// Logarithm of its latency, and of what the earlier ones would have at its level, at least.
    ln_s: f64,
    was_ln_s: f64,
    held_s: f64,
    /// The earlier ones.
    with: Vec<usize>,
}

impl Pair {
    fn of(before: &[LevelLatency], later: &LevelLatency, light_s: f64) -> Option<Self> {
        let off = |a: &LevelLatency| (a.vus / later.vus).ln().abs();
        let as_high = |a: &&LevelLatency| AS_HIGH.contains(&(a.vus / later.vus));
        let nearest = before
            .iter()
            .filter(as_high)
            .map(off)
            .fold(f64::INFINITY, f64::min);
        let near: Vec<&LevelLatency> = before
            .iter()
            .filter(as_high)
            .filter(|a| off(a) <= nearest + AS_NEAR)
            .collect();
        let was: f64 = near.iter().map(|a| a.ln_s_at(later.vus, light_s)).sum();
        (!near.is_empty()).then(|| Self {
            ln_s: later.latency_s.ln(),
            was_ln_s: was / count(near.len()),
            held_s: later.held_s,
            with: near.iter().map(|a| a.visit).collect(),
        })
    }
}

impl LevelLatency {
    /// Logarithm of the latency that this visit would have had with so many users; a user more
    /// never shortens it, so that of a level above it is taken to be the same. The share of a
    /// latency `W` that is waited in line, `Q / W` with `Q = W - W0`, changes by `1 + X Q` per
    /// share of the load (exact for M/M/1 but for a factor of the utilisation; `X Q` are those who
    /// wait), and by Little's law all of `W` by no more than `N / (X W)`.
    fn ln_s_at(&self, vus: f64, light_s: f64) -> f64 {
        let line_s = (self.latency_s - light_s).max(0.0);
        let of_line = line_s / self.latency_s * (1.0 + self.per_s * line_s);
        let most = self.vus / (self.per_s * self.latency_s);
        let above = (self.vus / vus).ln().max(0.0);
        self.latency_s.ln() - of_line.min(most) * above
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Purpose;
    use crate::search::tests::{at, seconds};
    use crate::slo::Verdict;

    /// Visits of half a minute, one after the other: VUs and mean latency.
    fn visits(of: &[(u32, f64)]) -> Vec<Visit> {
        let mut began_s = 0.0;
        of.iter()
            .map(|(vus, latency_s)| {
                let visit = Visit {
                    began_s,
                    from: Level(1),
                    flow: seconds(30, 20.0, 5.0, *latency_s),
                    ..at(*vus, Purpose::Refine, Verdict::Held)
                };
                began_s += 40.0;
                visit
            })
            .collect()
    }

    fn since(of: &[(u32, f64)]) -> Option<usize> {
        quickening(&visits(of), 0).map(|g| g.first)
    }

    #[test]
    fn levels_as_high_that_take_half_as_long_as_before_are_a_faster_service() {
        let before = [(280, 0.40), (276, 0.42), (300, 0.41)];
        let after = [(277, 0.10), (294, 0.11), (296, 0.10)];
        let all: Vec<_> = before.iter().chain(&after).copied().collect();
        assert_eq!(since(&all), Some(3));
        let growth = quickening(&visits(&all), 0).unwrap();
        assert_eq!((growth.from_s, growth.to_s), (110.0, 120.0));
        assert_eq!(
            growth.noticed(0.0).text,
            "the service became faster: comparable levels took 408 ms on average, then 103 ms, \
             between minute 1 and 2 of the search"
        );
        // Of an earlier service nothing is compared.
        assert_eq!(quickening(&visits(&all), 3), None);
        let slower: Vec<_> = after.iter().chain(&before).copied().collect();
        assert_eq!(since(&slower), None);
    }

    #[test]
    fn a_lower_level_a_lucky_visit_or_noise_is_none() {
        // Fewer users wait less long.
        assert_eq!(
            since(&[(280, 0.4), (276, 0.42), (150, 0.1), (160, 0.1)]),
            None
        );
        assert_eq!(since(&[(280, 0.4), (276, 0.42), (290, 0.1)]), None);
        let noisy = [
            (100, 0.9),
            (100, 0.3),
            (100, 0.5),
            (100, 0.1),
            (100, 0.4),
            (100, 0.2),
        ];
        assert_eq!(since(&noisy), None);
        // It was slow again.
        assert_eq!(
            since(&[(100, 0.4), (100, 0.41), (100, 0.1), (100, 0.1), (100, 0.4)]),
            None
        );
        assert_eq!(
            since(&[(100, 0.40), (100, 0.41), (100, 0.35), (100, 0.35)]),
            None,
            "hardly faster"
        );
    }

    #[test]
    fn what_a_rest_cured_was_no_growth() {
        let mut all = visits(&[
            (280, 0.40),
            (276, 0.41),
            (280, 0.41),
            (280, 0.10),
            (280, 0.10),
            (281, 0.11),
        ]);
        assert!(quickening(&all, 0).is_some());
        all[3].from = Level::ZERO;
        assert_eq!(quickening(&all, 0), None);
    }
}
