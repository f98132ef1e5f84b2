//! Means and maxima of latencies. A pass that never completed took its time too: neither may get
//! better when slow users time out or hang.

use super::{
    BLOCKS, Evidence, FEWEST_BAD, HOPELESS_AFTER, HOPELESS_SHARE, Measurement, Objective, Outcome,
    Patience, VERDICT_CONFIDENCE, Verdict, count, failed_on_the_way, no_data, outcome, side, stats,
    sum,
};
use crate::measure::{FailureKind, Passage, StepTable, Window};

/// The passes of a step whose times are judged.
pub(super) struct Passes<'a> {
    m: &'a Measurement,
    /// The step with those whose failures keep a cycle from passing it.
    way: Passage<'a>,
    /// Whether it is a kind of request with one time limit, and not a cycle with pauses or several
    /// kinds together.
    alike: bool,
}

/// What a pass counts with whose time is not known, seconds.
struct Failed {
    /// One that timed out, by the step of the way where it did.
    timeout_s: Vec<f64>,
    /// Any other.
    other_s: f64,
}

impl<'a> Passes<'a> {
    pub(super) fn of(m: &'a Measurement, steps: &'a StepTable, step: usize) -> Self {
        Self {
            m,
            way: steps.passage(step),
            alike: !steps.is_whole(step),
        }
    }

    fn step(&self) -> usize {
        self.way.step
    }

    fn windows(&self) -> impl Iterator<Item = &'a Window> + use<'a> {
        self.m.hold.iter().map(|s| &s.window)
    }

    fn completed(&self) -> f64 {
        let steps = self.windows().filter_map(|w| w.steps.get(self.step()));
        count(steps.map(crate::measure::StepWindow::completed).sum())
    }

    fn failed(&self) -> u64 {
        let whole = |w: &&Window| w.steps.len() > self.step();
        let windows = self.windows().filter(whole);
        windows.map(|w| failed_on_the_way(w, self.way)).sum()
    }

    fn timed_out(&self) -> u64 {
        let of = |w: &Window| -> u64 {
            let rows = self.way.rows().map(|row| &w.step(row).failed);
            rows.map(|failed| failed.get(FailureKind::Timeout)).sum()
        };
        self.windows().map(of).sum()
    }

    /// The longest that anything was seen to take or wait at a step, seconds. A step's time limit
    /// is no shorter.
    fn longest_s(&self, step: usize) -> f64 {
        self.windows()
            .chain(&self.m.before)
            .filter_map(|w| w.steps.get(step))
            .flat_map(|s| [s.latency.max_s(), s.in_flight.max_s()])
            .flatten()
            .fold(0.0, f64::max)
    }

    /// What failed passes took at least: a timeout its time limit, and nobody who failed was
    /// answered within the bound.
    fn at_least(&self, bound: f64) -> Failed {
        let limit = |step| {
            if self.alike {
                self.longest_s(step)
            } else {
                0.0
            }
        };
        Failed {
            timeout_s: self.way.rows().map(|s| limit(s).max(bound)).collect(),
            other_s: bound,
        }
    }

    /// What they must be thought to have taken before the others may pass: as the slowest that was
    /// seen, and as what is hopeless.
    fn at_worst(&self, bound: f64) -> Failed {
        let seen = self.way.rows().map(|s| self.longest_s(s));
        let slowest = seen.fold(Patience::Much.means() * bound, f64::max);
        Failed {
            timeout_s: vec![slowest; self.way.rows().count()],
            other_s: slowest,
        }
    }

    /// Per window: seconds that passes took, and passes.
    fn taken(&self, failed: &Failed) -> Vec<(f64, f64)> {
        let of = |w: &Window| {
            let step = w.steps.get(self.step())?;
            let completed = count(step.completed());
            let mut taken = (
                step.latency.mean_s().unwrap_or(0.0) * completed,
                completed + count(failed_on_the_way(w, self.way)),
            );
            for (row, timeout_s) in self.way.rows().zip(&failed.timeout_s) {
                let s = w.step(row);
                let timeouts = s.failed.get(FailureKind::Timeout);
                let others = s.failed.of_target() - timeouts;
                taken.0 += timeout_s * count(timeouts) + failed.other_s * count(others);
            }
            Some(taken)
        };
        self.windows().filter_map(of).collect()
    }

    /// Seconds that those in flight at the end have waited, less what those in flight at the start
    /// had waited by then.
    fn waited_in_flight(&self) -> f64 {
        let waited = |w: Option<&Window>| {
            w.and_then(|w| w.steps.get(self.step())).map_or(0.0, |s| {
                s.in_flight.mean_s().unwrap_or(0.0) * count(s.in_flight.count())
            })
        };
        let last = self.m.hold.last().map(|s| &s.window);
        // Those that failed meanwhile took their waiting along; it must not make the others look
        // faster.
        (waited(last) - waited(self.m.before.as_ref())).max(0.0)
    }

    /// Per window: waiting done, and passes. By Little's law those in flight have waited too.
    fn waited(&self, failed: &Failed) -> Vec<(f64, f64)> {
        let mut windows = self.taken(failed);
        if let Some(last) = windows.last_mut() {
            last.0 += self.waited_in_flight();
        }
        windows
    }
}

/// Which side of a bound the mean of (sum, number) pairs is on, where their blocks tell.
fn side_of(windows: &[(f64, f64)], bound: f64) -> Option<std::cmp::Ordering> {
    let excesses: Vec<f64> = stats::in_blocks(windows, BLOCKS)
        .iter()
        .map(|(sum, n)| sum - bound * n)
        .collect();
    stats::sign_of_mean(&excesses, VERDICT_CONFIDENCE)
}

/// The mean by Little's law: the waiting done in the hold over what ended in it. It broke where
/// what is known of failed passes is enough, and held where the worst that may be thought of them
/// is not.
pub(super) fn mean(objective: &Objective, passes: &Passes<'_>) -> Outcome {
    use std::cmp::Ordering::{Greater, Less};
    let bound = objective.bound;
    let completed = passes.completed();
    if completed <= 0.0 {
        return without_completions(objective, passes);
    }
    let least = passes.waited(&passes.at_least(bound));
    let (waited, all) = sum(&least);
    let failed = all - completed;
    let mean = waited / all;
    if failed >= FEWEST_BAD && failed > all * HOPELESS_SHARE {
        let evidence = Evidence::Side { broke: true };
        let observed = Some(mean).filter(|mean| *mean > bound);
        return outcome(objective, observed, None, Verdict::Broke, evidence)
            .because(format!("{failed:.0} of {all:.0} failed"));
    }
    let evidence = Evidence::LogRatio((mean / bound).ln());
    let told = |verdict, evidence| outcome(objective, Some(mean), None, verdict, evidence);
    let known = side_of(&least, bound);
    match side_of(&passes.waited(&passes.at_worst(bound)), bound) {
        _ if known == Some(Greater) => told(Verdict::Broke, evidence),
        Some(Less) => told(Verdict::Held, evidence),
        // But for its failures it would have held: which side it is on hangs on times that nobody
        // knows.
        _ if known == Some(Less) => told(Verdict::Undecided, Evidence::None).because(format!(
            "{} or more: {failed:.0} of {all:.0} failed and may have taken longer",
            objective.format_value(mean)
        )),
        _ => told(Verdict::Undecided, evidence),
    }
}

/// Whether enough passes took so many bounds on average that the end of the hold need not be
/// awaited. Of those in flight only who is older than that counts, with what it waited in the hold:
/// of the others nothing is known yet.
pub(super) fn mean_is_hopeless(bound: f64, passes: &Passes<'_>, patience: Patience) -> bool {
    let most = patience.means() * bound;
    let (mut waited, mut all) = sum(&passes.taken(&passes.at_least(bound)));
    let last = passes.windows().last();
    let in_flight = last.and_then(|w| w.steps.get(passes.step()));
    let old = in_flight.into_iter().flat_map(|s| s.in_flight.iter());
    for (age_s, n) in old.filter(|(age_s, _)| *age_s > most) {
        waited += age_s.min(passes.m.hold_s()) * count(n);
        all += count(n);
    }
    all >= HOPELESS_AFTER.1 && waited > most * all
}

/// The largest latency. Whoever failed was not answered within any bound, as for a quantile.
pub(super) fn max(objective: &Objective, passes: &Passes<'_>) -> Outcome {
    let total = passes.m.step_total(passes.step());
    let Some(completed) = total.latency.max_s() else {
        return without_completions(objective, passes);
    };
    let largest = completed.max(total.in_flight.max_s().unwrap_or(0.0));
    let (failed, timed_out) = (passes.failed(), passes.timed_out());
    if failed == 0 || !objective.comparison.holds(largest, objective.bound) {
        return side(objective, Some(largest));
    }
    let evidence = Evidence::Side { broke: true };
    outcome(objective, None, None, Verdict::Broke, evidence).because(if timed_out > 0 {
        format!("{timed_out} timed out")
    } else {
        format!("{failed} failed")
    })
}

/// A latency of nothing: broke when passes failed or are in flight for longer than the bound, else
/// no data.
fn without_completions(objective: &Objective, passes: &Passes<'_>) -> Outcome {
    let total = passes.m.step_total(passes.step());
    let oldest = total
        .in_flight
        .max_s()
        .filter(|age| !objective.comparison.holds(*age, objective.bound));
    if oldest.is_none() && passes.failed() == 0 {
        return no_data(objective);
    }
    let evidence = Evidence::Side { broke: true };
    outcome(objective, oldest, None, Verdict::Broke, evidence)
}
