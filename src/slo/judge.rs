//! From what a probe saw to a verdict, and to the evidence that the search learns from.

use serde::{Deserialize, Serialize};

use super::{
    Comparison, Measurement, Metric, Objective, ObjectiveRecord, Patience, Slo, StepTable, Verdict,
    stats, stats::tail,
};
use crate::measure::{FailureKind, Passage, Second, StepWindow, Window};

mod monitor;
mod rate;
mod waiting;

use waiting::Passes;

/// One-sided confidence at which a single probe's share is called held or broke. It only steers the
/// search: an interval from one probe is approximate (blocks of one hold are not independent).
const VERDICT_CONFIDENCE: f64 = 0.80;
/// Violations, or failures, below which no share is called broke: one or two are chance.
const FEWEST_BAD: f64 = 3.0;
/// Blocks that a hold is cut into to see how far its share varies.
const BLOCKS: usize = 10;

/// What a probe tells the search about one objective.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Evidence {
    /// `bad` of `total` requests violated; at the breakpoint the share is `alpha`.
    Share {
        /// Requests that violated the limit.
        bad: f64,
        /// Requests that counted.
        total: f64,
        /// The share that the objective allows.
        alpha: f64,
    },
    /// Logarithm of value over bound: below zero is held.
    LogRatio(#[serde(with = "or_infinite")] f64),
    /// Only the side is known.
    Side {
        /// Whether the objective broke.
        broke: bool,
    },
    /// Nothing.
    None,
}

/// A number that may be infinite, which JSON has no word for: a value of nothing is infinitely far
/// below its bound.
mod or_infinite {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Number(f64),
        Text(String),
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "what serde calls it with"
    )]
    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        let written = if value.is_finite() {
            Written::Number(*value)
        } else {
            Written::Text(value.to_string())
        };
        written.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        match Written::deserialize(from)? {
            Written::Number(value) => Ok(value),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl Evidence {
    /// Whether anything counted against the objective, however little.
    pub fn is_violated(&self) -> bool {
        match *self {
            Self::Share { bad, .. } => bad > 0.0,
            Self::LogRatio(y) => y > 0.0,
            Self::Side { broke } => broke,
            Self::None => false,
        }
    }
}

/// One objective's outcome in one probe.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// For the record.
    pub record: ObjectiveRecord,
    /// For the search.
    pub evidence: Evidence,
    /// For the search: latencies around the limit; only where the objective is a latency quantile.
    pub tail: Option<tail::Tail>,
    /// Whether it leaves the verdict to the other objectives: it is undecided because the load did
    /// not ask enough of the target, which is no doubt about the target.
    pub abstains: bool,
    /// Why, where the observed value does not tell.
    pub why: Option<String>,
}

impl Outcome {
    fn because(self, why: String) -> Self {
        Self {
            why: Some(why),
            ..self
        }
    }
}

/// The SLO's outcome in one probe.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The worst verdict over the objectives.
    pub verdict: Verdict,
    /// Why, one line.
    pub reason: String,
    /// Per objective, in the SLO's order.
    pub outcomes: Vec<Outcome>,
}

pub(super) fn judge(slo: &Slo, m: &Measurement, steps: &StepTable) -> Judgement {
    let bounds = m.bounds();
    let outcomes: Vec<Outcome> = slo
        .objectives()
        .iter()
        .map(|o| {
            let likeliest = judge_objective(o, m, steps);
            match &bounds {
                None => likeliest,
                Some((fastest, slowest)) => within(
                    likeliest,
                    judge_objective(o, fastest, steps).record.verdict,
                    judge_objective(o, slowest, steps).record.verdict,
                ),
            }
        })
        .collect();
    let (verdict, reason) = overall(slo, &outcomes, m.settled);
    Judgement {
        verdict,
        reason,
        outcomes,
    }
}

/// An outcome whose latencies are not known exactly: what the fastest and the slowest that there
/// can have been do not agree on is undecided.
fn within(likeliest: Outcome, fastest: Verdict, slowest: Verdict) -> Outcome {
    let verdict = if fastest == slowest {
        slowest
    } else {
        Verdict::Undecided
    };
    Outcome {
        record: ObjectiveRecord {
            verdict,
            ..likeliest.record
        },
        ..likeliest
    }
}

/// The worst objective decides, of those that do not abstain. A hold that did not settle can break
/// but not pass.
fn overall(slo: &Slo, outcomes: &[Outcome], settled: bool) -> (Verdict, String) {
    let named = || outcomes.iter().zip(slo.objectives());
    let (abstaining, deciding): (Vec<_>, Vec<_>) = named().partition(|(o, _)| o.abstains);
    let worst = |of: &[(&Outcome, &Objective)]| {
        let worst = of.iter().max_by_key(|(o, _)| o.record.verdict)?;
        Some((worst.0.record.verdict, reason(worst.1, worst.0)))
    };
    let Some((verdict, said)) = worst(&deciding).or_else(|| worst(&abstaining)) else {
        return (Verdict::Undecided, "no objective".to_owned());
    };
    if verdict == Verdict::Held && !settled {
        return (
            Verdict::Undecided,
            "the level did not settle before the deadline".to_owned(),
        );
    }
    let said = match (verdict, abstaining.first()) {
        (Verdict::Held, None) => "every objective held".to_owned(),
        (Verdict::Held, Some((outcome, objective))) => {
            format!("every other objective held; {}", reason(objective, outcome))
        }
        _ => said,
    };
    (verdict, said)
}

/// What one objective's outcome comes from.
fn reason(objective: &Objective, outcome: &Outcome) -> String {
    let observed = outcome.record.observed.map(|v| objective.format_value(v));
    match (outcome.record.verdict, &outcome.why, observed) {
        (_, Some(why), _) => format!("{objective}: {why}"),
        (Verdict::Undecided, None, None) => format!("{objective}: no data"),
        (Verdict::Undecided, None, Some(v)) if is_too_few(outcome) => {
            let seen = counted(objective, outcome);
            format!("{objective}: too few {seen} to tell, {v} so far")
        }
        (Verdict::Undecided, None, Some(v)) => format!("{objective}: {v} is too close to call"),
        (_, None, Some(v)) => format!("{objective}: {v}"),
        (_, None, None) => format!("{objective}: nothing completed"),
    }
}

/// Whether a share is undecided for want of what it is a share of: nothing violated it, and nothing
/// was to be expected to.
fn is_too_few(outcome: &Outcome) -> bool {
    matches!(
        outcome.evidence,
        Evidence::Share { bad, total, alpha } if bad <= 0.0 && !is_enough(total, alpha)
    )
}

/// What an objective's share is of: whole cycles, or what a step of theirs was asked.
fn counted(objective: &Objective, outcome: &Outcome) -> String {
    let total = outcome.record.total.unwrap_or_default();
    let what = match &objective.metric {
        Metric::Errors { step: None } | Metric::Shed { step: None } | Metric::Good { .. } => {
            "cycles"
        }
        _ => "requests",
    };
    format!("{what} ({total:.0})")
}

/// Seconds and requests below which a hold is too young to be called hopeless.
const HOPELESS_AFTER: (f64, f64) = (5.0, 30.0);
/// Seconds below which failures may be of an outage that the next seconds end, where a slow phase
/// is part of what is measured: a failover or a restart takes some seconds, and of fifteen half
/// must have failed.
const OUTAGE_S: f64 = 15.0;
/// Share of violations from which a hold is hopeless.
const HOPELESS_SHARE: f64 = 0.5;

pub(super) fn is_hopeless(
    slo: &Slo,
    m: &Measurement,
    steps: &StepTable,
    patience: Patience,
) -> bool {
    if m.hold_s() < HOPELESS_AFTER.0 {
        return false;
    }
    if let Some((fastest, _)) = m.bounds() {
        return is_hopeless(slo, &fastest, steps, patience);
    }
    nobody_starts(m, steps)
        || (slo.objectives().iter())
            .any(|objective| objective_is_hopeless(objective, m, steps, patience))
}

/// Whether one objective cannot be met any more. This is asked every second, so a quantile counts
/// its violations only and does not sum the histograms for a value that nobody sees.
fn objective_is_hopeless(
    objective: &Objective,
    m: &Measurement,
    steps: &StepTable,
    patience: Patience,
) -> bool {
    if patience == Patience::Much && m.hold_s() < OUTAGE_S && may_be_an_outage(m, steps) {
        return false;
    }
    let evidence = match &objective.metric {
        Metric::Quantile { q, step } => {
            let step = steps_index(steps, step.as_deref(), steps.main());
            let (Some(step), Some(limit)) = (step, objective.latency_limit()) else {
                return false;
            };
            let late = violations(steps.passage(step), limit.mul_f64(patience.limits()), m);
            share(objective, None, &late, 1.0 - q).evidence
        }
        Metric::Mean { step } => {
            let step = steps_index(steps, step.as_deref(), steps.main());
            return step.is_some_and(|step| {
                let passes = Passes::of(m, steps, step);
                waiting::mean_is_hopeless(objective.bound, &passes, patience)
            });
        }
        Metric::Errors { .. } | Metric::Shed { .. } | Metric::Good { .. } => {
            judge_objective(objective, m, steps).evidence
        }
        // A side may change with the next second, and is no measure of how far it is.
        Metric::Max { .. } | Metric::Rps { .. } | Metric::Monitor { .. } => Evidence::None,
    };
    let Evidence::Share { bad, total, alpha } = evidence else {
        return false;
    };
    total >= HOPELESS_AFTER.1 && bad > total * HOPELESS_SHARE.max(alpha.sqrt())
}

fn steps_index(steps: &StepTable, step: Option<&str>, default: usize) -> Option<usize> {
    step.map_or(Some(default), |name| steps.index(Some(name)))
}

pub(super) fn is_failing(m: &Measurement, steps: &StepTable) -> bool {
    let cycles = || {
        m.hold
            .iter()
            .filter_map(|s| s.window.steps.get(steps.whole()))
    };
    let failed = count(cycles().map(|w| w.failed.of_target()).sum());
    let total = failed + count(cycles().map(StepWindow::completed).sum());
    m.hold_s() >= HOPELESS_AFTER.0
        && (total >= HOPELESS_AFTER.1 && failed > total * HOPELESS_SHARE || nobody_starts(m, steps))
}

/// Share of a level that must be there for it to count as reached.
pub(crate) const PRESENT: f64 = 0.98;
/// Failed attempts to start that count as none being let in: of each user who is missing, and at
/// least. Whoever fails backs off, so few users make few attempts.
const ATTEMPTS: (f64, f64) = (1.5, 3.0);

/// Whether users are missing of whom none got in, because their start steps failed again and again.
fn nobody_starts(m: &Measurement, steps: &StepTable) -> bool {
    let windows = || m.hold.iter().map(|s| &s.window);
    let (Some(first), Some(last)) = (windows().next(), windows().next_back()) else {
        return false;
    };
    let (level, there) = (f64::from(m.level.get()), f64::from(last.vus));
    if last.at_level || there >= PRESENT * level || last.vus > first.vus {
        return false;
    }
    let rows = (0..steps.rows().len()).filter(|row| steps.is_start(*row));
    let failed = rows.map(|row| {
        windows()
            .map(|w| w.step(row).failed.of_target())
            .sum::<u64>()
    });
    let wanted = (ATTEMPTS.0 * (level - there)).max(ATTEMPTS.1);
    count(failed.sum()) >= wanted.min(HOPELESS_AFTER.1)
}

/// Whether most cycles fail at once, as while a service fails over. Whose time limit passes has
/// waited for long: that is no moment.
fn may_be_an_outage(m: &Measurement, steps: &StepTable) -> bool {
    let cycle = m.step_total(steps.whole());
    let at_once = cycle.failed.of_target() - cycle.failed.get(FailureKind::Timeout);
    let all = cycle.failed.of_target() + cycle.completed();
    count(at_once) > count(all) * HOPELESS_SHARE
}

fn judge_objective(objective: &Objective, m: &Measurement, steps: &StepTable) -> Outcome {
    let named = objective.step().and_then(|name| steps.index(Some(name)));
    if let Some(row) = named.filter(|row| steps.is_start(*row)) {
        return judge_start(objective, row, m, steps);
    }
    judge_cycles(objective, m, steps)
}

/// What users do once is judged over the whole way to the level. Where nobody started, as on a way
/// down, nothing is asked of it.
fn judge_start(objective: &Objective, row: usize, m: &Measurement, steps: &StepTable) -> Outcome {
    let total = m.step_total(row);
    let anybody = total.completed() + total.failed.of_target() + total.shed;
    if anybody == 0 && total.in_flight.is_empty() {
        return Outcome {
            abstains: true,
            ..no_data(objective).because("nobody started".to_owned())
        };
    }
    let all = m.all_windows().map(|window| Second {
        window: window.clone(),
        readings: Vec::new(),
    });
    let whole = Measurement {
        hold: all.collect(),
        arriving: Vec::new(),
        ..m.clone()
    };
    let outcome = judge_cycles(objective, &whole, steps);
    Outcome {
        // Its latency is no matter of the level alone: it is compared level by level.
        tail: None,
        // Each user starts once: few of them prove nothing, which is no doubt about the cycles.
        abstains: outcome.record.verdict == Verdict::Undecided,
        ..outcome
    }
}

fn judge_cycles(objective: &Objective, m: &Measurement, steps: &StepTable) -> Outcome {
    let step_or =
        |step: &Option<String>, default: usize| steps_index(steps, step.as_deref(), default);
    match &objective.metric {
        Metric::Quantile { q, step } => match step_or(step, steps.main()) {
            Some(step) => quantile(objective, *q, steps.passage(step), m),
            None => no_data(objective),
        },
        Metric::Mean { step } => match step_or(step, steps.main()) {
            Some(step) => waiting::mean(objective, &Passes::of(m, steps, step)),
            None => no_data(objective),
        },
        Metric::Max { step } => match step_or(step, steps.main()) {
            Some(step) => waiting::max(objective, &Passes::of(m, steps, step)),
            None => no_data(objective),
        },
        Metric::Errors { step } => match step_or(step, steps.whole()) {
            Some(step) => share_of(objective, m, |w| step_errors(w.step(step))),
            None => no_data(objective),
        },
        Metric::Shed { step } => match step_or(step, steps.whole()) {
            Some(step) => share_of(objective, m, |w| step_sheds(w.step(step))),
            None => no_data(objective),
        },
        Metric::Good { row, .. } => match steps.index(Some(row)) {
            Some(row) => good(objective, row, m),
            None => no_data(objective),
        },
        Metric::Rps { step } => match step_or(step, steps.main()) {
            Some(step) if matches!(objective.comparison, Comparison::Lt | Comparison::Le) => {
                side(objective, m.throughput(step))
            }
            Some(step) => rate::at_least(objective, step, m, steps),
            None => no_data(objective),
        },
        Metric::Monitor { monitor, field } => monitor::field(objective, (monitor, field), m),
    }
}

fn outcome(
    objective: &Objective,
    observed: Option<f64>,
    share: Option<(f64, f64)>,
    verdict: Verdict,
    evidence: Evidence,
) -> Outcome {
    Outcome {
        record: ObjectiveRecord {
            objective: objective.text.clone(),
            observed,
            bound: objective.bound,
            bad: share.map(|(bad, _)| bad),
            total: share.map(|(_, total)| total),
            verdict,
        },
        evidence,
        tail: None,
        abstains: false,
        why: None,
    }
}

/// No data is never a pass.
fn no_data(objective: &Objective) -> Outcome {
    outcome(objective, None, None, Verdict::Undecided, Evidence::None)
}

/// `pQ < L` is `P(latency >= L or failed) <= 1 - Q`: the share of violations is judged, not the
/// percentile of what completed, which improves when the slow users hang for ever.
fn quantile(objective: &Objective, q: f64, way: Passage<'_>, m: &Measurement) -> Outcome {
    let step = way.step;
    let Some(limit) = objective.latency_limit() else {
        return no_data(objective);
    };
    let observed = m.step_total(step).latency.quantile_s(q);
    Outcome {
        tail: Some(tail_counts(m, way, limit)),
        ..share(objective, observed, &violations(way, limit, m), 1.0 - q)
    }
}

/// Per window: violations of a latency limit, and passes.
fn violations(way: Passage<'_>, limit: std::time::Duration, m: &Measurement) -> Vec<(f64, f64)> {
    let step = way.step;
    let of = |w: &Window| {
        let Some(s) = w.steps.get(step) else {
            return (0.0, 0.0);
        };
        let failed = count(failed_on_the_way(w, way));
        let slow = count(s.latency.count_at_or_above(limit));
        (slow + failed, count(s.completed()) + failed)
    };
    let mut blocks: Vec<(f64, f64)> = m.hold.iter().map(|s| of(&s.window)).collect();
    let crossing = in_flight_violations(m, step, limit);
    if let Some(last) = blocks.last_mut() {
        last.0 += crossing;
        last.1 += crossing;
    }
    blocks
}

/// Blocks of a hold whose latencies are counted apart.
const TAIL_BLOCKS: usize = 3;

/// Latencies of a step around its limit, block by block: completed ones, failed ones as the
/// slowest, and those in flight that are past a threshold already.
fn tail_counts(m: &Measurement, way: Passage<'_>, limit: std::time::Duration) -> tail::Tail {
    let step = way.step;
    let blocks = TAIL_BLOCKS.min(m.hold.len());
    let mut out: Vec<tail::Counts> = (0..blocks)
        .map(|b| {
            let mut counts = tail::Counts::default();
            let seconds = &m.hold[b * m.hold.len() / blocks..(b + 1) * m.hold.len() / blocks];
            for window in seconds.iter().map(|s| &s.window) {
                let Some(s) = window.steps.get(step) else {
                    continue;
                };
                counts[0] += count(failed_on_the_way(window, way));
                for (latency_s, n) in s.latency.iter() {
                    let ratio = latency_s / limit.as_secs_f64();
                    counts[tail::RATIOS.partition_point(|r| ratio < *r)] += count(n);
                }
            }
            counts
        })
        .collect();
    if let Some(last) = out.last_mut() {
        let mut above = 0.0;
        for (entry, ratio) in last.iter_mut().zip(tail::RATIOS) {
            let crossing = in_flight_violations(m, step, limit.mul_f64(ratio));
            *entry = (*entry + crossing - above).max(0.0);
            above = crossing;
        }
    }
    let windows = || m.hold.iter().map(|s| &s.window);
    tail::Tail {
        limit_s: limit.as_secs_f64(),
        blocks: out,
        failed: windows().map(|w| count(failed_at_once(w, way))).sum(),
        // Which steps are a cycle's is for the run to know.
        residence: None,
    }
}

/// Steps in flight that became violations during the hold although they have not completed: those
/// older than the limit at its end, less those that were older already at its start and completed
/// since (they were counted when they completed). One that was too old at the start and still hangs
/// at the end counts: its user waits for ever.
fn in_flight_violations(m: &Measurement, step: usize, limit: std::time::Duration) -> f64 {
    let at = |w: Option<&Window>, age| {
        w.and_then(|w| w.steps.get(step))
            .map_or(0.0, |s| count(s.in_flight.count_at_or_above(age)))
    };
    let last = m.hold.last().map(|s| &s.window);
    let hold = std::time::Duration::from_secs_f64(m.hold_s());
    let old_at_end = at(last, limit);
    let stuck = at(last, limit + hold);
    let old_at_start = at(m.before.as_ref(), limit);
    old_at_end - (old_at_start - stuck).max(0.0)
}

/// Failed cycles whose failure kept them from passing this step: at the step itself or before it.
fn failed_on_the_way(w: &Window, way: Passage<'_>) -> u64 {
    way.rows().map(|row| w.step(row).failed.of_target()).sum()
}

/// Those of them that did not wait until they timed out: a timeout is late, whatever else it is.
fn failed_at_once(w: &Window, way: Passage<'_>) -> u64 {
    way.rows()
        .map(|row| &w.step(row).failed)
        .map(|failed| failed.of_target() - failed.get(FailureKind::Timeout))
        .sum()
}

fn step_errors(s: &StepWindow) -> (f64, f64) {
    let failed = count(s.failed.of_target());
    (failed, failed + count(s.completed()))
}

fn step_sheds(s: &StepWindow) -> (f64, f64) {
    let shed = count(s.shed);
    (
        shed,
        shed + count(s.failed.of_target()) + count(s.completed()),
    )
}

fn share_of(objective: &Objective, m: &Measurement, of: impl Fn(&Window) -> (f64, f64)) -> Outcome {
    let blocks: Vec<(f64, f64)> = m.hold.iter().map(|s| of(&s.window)).collect();
    let (bad, total) = sum(&blocks);
    let observed = (total > 0.0).then(|| bad / total);
    share(objective, observed, &blocks, objective.bound)
}

/// The share of cycles that met all limits: the row counts the others as failed, and has in flight
/// those that missed one already.
fn good(objective: &Objective, row: usize, m: &Measurement) -> Outcome {
    let windows = m.hold.iter().map(|s| step_errors(s.window.step(row)));
    let mut blocks: Vec<(f64, f64)> = windows.collect();
    let missed = in_flight_violations(m, row, std::time::Duration::ZERO);
    if let Some(last) = blocks.last_mut() {
        last.0 += missed;
        last.1 += missed;
    }
    let (bad, total) = sum(&blocks);
    let observed = (total > 0.0).then(|| (1.0 - bad / total).clamp(0.0, 1.0));
    share(objective, observed, &blocks, 1.0 - objective.bound)
}

/// Judges a share of violations from its windows.
fn share(
    objective: &Objective,
    observed: Option<f64>,
    windows: &[(f64, f64)],
    alpha: f64,
) -> Outcome {
    let (bad, total) = sum(windows);
    let (bad, total) = (bad.max(0.0), total.max(0.0));
    if total <= 0.0 {
        return no_data(objective);
    }
    let verdict = share_verdict(windows, alpha);
    let evidence = Evidence::Share { bad, total, alpha };
    outcome(objective, observed, Some((bad, total)), verdict, evidence)
}

/// Whether so many requests without a violation say that the share is not above what is allowed:
/// half a one was to be expected.
fn is_enough(total: f64, alpha: f64) -> bool {
    total * alpha.max(0.001) >= 0.5
}

/// Compares the excess of violations over what is allowed, `bad - alpha total`, with its spread
/// between blocks.
fn share_verdict(windows: &[(f64, f64)], alpha: f64) -> Verdict {
    let blocks = stats::in_blocks(windows, BLOCKS);
    let excesses: Vec<f64> = blocks.iter().map(|(bad, n)| bad - alpha * n).collect();
    let (bad, total) = sum(windows);
    if bad <= 0.0 {
        // Without any violation the spread is unknown; ask for enough requests that one was to be
        // expected.
        return if is_enough(total, alpha) {
            Verdict::Held
        } else {
            Verdict::Undecided
        };
    }
    match stats::sign_of_mean(&excesses, VERDICT_CONFIDENCE) {
        Some(std::cmp::Ordering::Greater) if bad >= FEWEST_BAD || alpha == 0.0 => Verdict::Broke,
        Some(std::cmp::Ordering::Less) => Verdict::Held,
        _ => Verdict::Undecided,
    }
}

/// Judges a value that is exact in this probe.
fn side(objective: &Objective, value: Option<f64>) -> Outcome {
    let Some(value) = value else {
        return no_data(objective);
    };
    let broke = !objective.comparison.holds(value, objective.bound);
    let verdict = if broke { Verdict::Broke } else { Verdict::Held };
    outcome(
        objective,
        Some(value),
        None,
        verdict,
        Evidence::Side { broke },
    )
}

fn sum(pairs: &[(f64, f64)]) -> (f64, f64) {
    pairs
        .iter()
        .fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y))
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn count(n: u64) -> f64 {
    n as f64
}
