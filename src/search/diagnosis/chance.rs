//! Events that come by chance: crashes, and pauses in which nothing gets done. Each is one
//! observation, however many seconds are quiet around it.

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
            (1, 0) => "one crash that other visits at that level or above survived".to_owned(),
            (n, 0) => format!("{n} crashes that other visits at that level or above survived"),
            (crashes, pauses) => format!("{crashes} crashes and {pauses} pauses"),
        };
        let levels = if unit.is_open() { "rates" } else { "levels" };
        format!(
            "{what} in {:.0} minutes under load; they occur at random, and so few show only \
             roughly how often at which {levels}",
            (self.under_load_s / 60.0).max(1.0)
        )
    }
}

/// The events of a search; none where there was none. A crash counts when a level as high lasted:
/// else the level is what kills.
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

/// The seconds at which pauses began: nothing was completed although users waited, before and after
/// it much was.
fn pauses(level: &[Flow]) -> impl Iterator<Item = usize> {
    let done: f64 = level.iter().map(|f| f.completed).sum();
    let busy = done >= BUSY * count(level.len());
    let still = |f: &Flow| f.completed <= 0.0 && f.in_flight > 0.0;
    (1..level.len().saturating_sub(1))
        .filter(move |i| busy && still(&level[*i]) && !still(&level[*i - 1]))
        .filter(|i| level[i + 1..].iter().any(|f| f.completed > 0.0))
}

/// Whether what is in flight grows from one end of the time at a level to the other: each fifth has
/// clearly more than the one before, and in the end there is half as much again as in the middle of
/// the first.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Level;
    use crate::record::Purpose;
    use crate::search::tests::{at, seconds};
    use crate::slo::Verdict;

    /// A visit of ten seconds' ramp and then these parts: seconds, cycles per second, requests in
    /// flight.
    fn visit(parts: &[(usize, f64, f64)]) -> Visit {
        let mut flow = seconds(10, 1.0, 5.0, 0.1);
        for second in &mut flow {
            second.at_level = false;
        }
        for (n, per_s, in_flight) in parts {
            flow.extend(seconds(*n, *per_s, *in_flight, 0.1));
        }
        Visit {
            began_s: 100.0,
            flow,
            ..at(1_000, Purpose::Refine, Verdict::Held)
        }
    }

    fn pauses_in(parts: &[(usize, f64, f64)]) -> Option<(usize, f64, f64)> {
        let events = chance_events(&[visit(parts)])?;
        Some((events.count, events.first_s, events.last_s))
    }

    #[test]
    fn seconds_in_which_nothing_is_served_though_users_wait_are_one_pause() {
        let (busy, still) = ((20, 50.0, 10.0), (3, 0.0, 40.0));
        assert_eq!(pauses_in(&[busy, still, busy]), Some((1, 130.0, 130.0)));
        assert_eq!(
            pauses_in(&[busy, still, busy, still, busy]),
            Some((2, 130.0, 153.0))
        );
        let events = chance_events(&[visit(&[busy, still, busy])]).unwrap();
        let text = events.text(LevelUnit::Vus);
        assert!(
            text.starts_with("one pause in which nothing was served in 1 minutes under load"),
            "{text}"
        );
    }

    #[test]
    fn a_silence_without_users_or_without_an_end_or_among_few_is_no_pause() {
        let busy = (20, 50.0, 10.0);
        assert_eq!(pauses_in(&[busy]), None);
        assert_eq!(
            pauses_in(&[busy, (3, 0.0, 0.0), busy]),
            None,
            "nobody waits"
        );
        assert_eq!(pauses_in(&[busy, (3, 0.0, 40.0)]), None, "it does not end");
        assert_eq!(pauses_in(&[(3, 0.0, 40.0), busy]), None, "it did not begin");
        assert_eq!(
            pauses_in(&[(20, 5.0, 2.0), (1, 0.0, 2.0), (20, 5.0, 2.0)]),
            None,
            "at random"
        );
    }

    #[test]
    fn a_crash_that_every_level_as_high_met_is_the_levels() {
        let crash = |vus: u32| Visit {
            level: Level(vus),
            crashed_after_s: Some(20.0),
            ..visit(&[(10, 50.0, 10.0)])
        };
        let lasted = |vus: u32| Visit {
            level: Level(vus),
            ..visit(&[(30, 50.0, 10.0)])
        };
        assert_eq!(
            chance_events(&[lasted(900), crash(1_000), crash(1_100)]),
            None
        );
        let events = chance_events(&[lasted(1_000), crash(1_000)]).unwrap();
        assert_eq!((events.count, events.crashes), (1, 1));
        assert!(
            events
                .text(LevelUnit::Vus)
                .starts_with("one crash that other visits")
        );
        let both = chance_events(&[
            lasted(1_000),
            crash(1_000),
            visit(&[(20, 50.0, 10.0), (3, 0.0, 40.0), (20, 50.0, 10.0)]),
        ])
        .unwrap();
        assert!(
            both.text(LevelUnit::Vus)
                .starts_with("1 crashes and 1 pauses in")
        );
        // One that was left early lasted for nobody knows how long.
        let left = Visit {
            left_early: true,
            ..lasted(1_000)
        };
        assert_eq!(chance_events(&[left, crash(1_000)]), None);
    }

    #[test]
    fn a_line_that_is_fed_too_much_grows_throughout() {
        let grows = |in_flight: &dyn Fn(f64) -> f64| {
            let mut visit = visit(&[(60, 50.0, 0.0)]);
            for (i, second) in visit.flow.iter_mut().skip(10).enumerate() {
                second.in_flight = in_flight(count(i));
            }
            line_grows(&visit.flow)
        };
        assert!(grows(&|i| 10.0 + 2.0 * i));
        assert!(!grows(&|_| 100.0));
        assert!(!grows(&|i| 300.0 + i), "hardly more in the end");
        assert!(!grows(&|i| 0.1 * i), "no line to speak of");
        assert!(
            !grows(&|i| if i < 30.0 { 10.0 + 4.0 * i } else { 130.0 }),
            "it found its length"
        );
        assert!(!grows(&|i| 100.0 + 90.0 * (i / 6.0).sin()), "it wanders");
        let short = visit(&[(7, 50.0, 10.0), (7, 50.0, 40.0)]);
        assert!(!line_grows(&short.flow));
    }
}
