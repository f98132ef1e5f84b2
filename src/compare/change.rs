//! The change of one metric, and whether it is evidence.

use super::run_estimate::{self, RunEstimate};
use super::{main_step, observed, steps};
use crate::measure::Level;
use crate::record::{Change, ChangeVerdict, ComparedMetric, RunRecord};
use crate::stats::Spread;
use crate::stats::permutation::Interval;
use crate::stats::ratio::{self, Ratio};

/// The change of a metric over pairs of runs, base first.
pub(super) fn of(
    metric: ComparedMetric,
    pairs: &[(&RunRecord, &RunRecord)],
    confidence: f64,
) -> Change {
    let seen: Vec<PairEstimate> = pairs
        .iter()
        .map(|(a, b)| see(metric, a, b, confidence))
        .collect();
    let usable: Vec<&PairEstimate> = seen
        .iter()
        .filter(|s| s.trouble(metric).is_none())
        .collect();
    let shown = seen.first().and_then(|s| s.levels);
    let mut change = Change {
        metric,
        base: mean(seen.iter().map(|s| s.base.value())),
        candidate: mean(seen.iter().map(|s| s.candidate.value())),
        levels: shown,
        ratio: None,
        low: None,
        high: None,
        p_value: None,
        detectable: None,
        pairs: u32::try_from(usable.len()).unwrap_or(u32::MAX),
        verdict: ChangeVerdict::CannotSay,
        reason: String::new(),
    };
    if usable.is_empty() {
        let why = seen.iter().find_map(|s| s.trouble(metric));
        change.reason = why.unwrap_or_else(|| "there are no pairs of runs".to_owned());
        return change;
    }
    fill(&mut change, &usable, confidence);
    if change.verdict == ChangeVerdict::NoEvidence
        && let Some(why) = usable.iter().find_map(|s| s.without_knee(metric))
    {
        // A bound that shows nothing is no knee to compare with, which is something else than no
        // evidence.
        (change.low, change.high, change.p_value) = (None, None, None);
        change.verdict = ChangeVerdict::CannotSay;
        change.reason = why;
    } else if change.verdict != ChangeVerdict::CannotSay {
        let notes = usable.iter().find_map(|s| s.note.clone());
        change.reason = notes.unwrap_or_default();
    }
    if usable.len() < seen.len() {
        let why = seen
            .iter()
            .find_map(|s| s.trouble(metric))
            .unwrap_or_default();
        let left = seen.len() - usable.len();
        let text = format!("{left} of {} pairs are excluded: {why}", seen.len());
        change.reason = if change.reason.is_empty() {
            text
        } else {
            format!("{text}; {}", change.reason)
        };
    }
    change
}

/// What both runs of a pair say.
struct PairEstimate {
    base: RunEstimate,
    candidate: RunEstimate,
    levels: Option<(Level, Level)>,
    /// Why they cannot be held beside each other, whatever either says.
    apart: Option<String>,
    /// What a reader must know beside the change.
    note: Option<String>,
    /// The logarithm of their ratio, where it comes from both at once.
    together: Option<Interval>,
}

impl PairEstimate {
    /// What each run says by itself.
    fn of(base: RunEstimate, candidate: RunEstimate) -> Self {
        Self {
            base,
            candidate,
            levels: None,
            apart: None,
            note: None,
            together: None,
        }
    }

    /// Nothing that could be held beside each other.
    fn apart(why: &str) -> Self {
        let nothing = || RunEstimate::Nothing(why.to_owned());
        Self {
            apart: Some(why.to_owned()),
            ..Self::of(nothing(), nothing())
        }
    }

    fn trouble(&self, metric: ComparedMetric) -> Option<String> {
        let of =
            |side: &str, known: &RunEstimate| known.trouble().map(|why| format!("{side}: {why}"));
        (self.apart.clone())
            .or_else(|| of("base", &self.base))
            .or_else(|| of("candidate", &self.candidate))
            .or_else(|| match (&self.base, &self.candidate) {
                (RunEstimate::AtLeast(a), RunEstimate::AtLeast(b))
                if metric == ComparedMetric::Knee => Some(format!(
                    "neither run reached its knee, because the SLO broke before throughput stopped \
                     growing: the knees are at least {a:.0} and at least {b:.0}"
                )),
                (RunEstimate::AtLeast(a), RunEstimate::AtLeast(b)) => Some(format!(
                    "both are known only to be at least {a:.0} and at least {b:.0}; raise the \
                     highest level"
                )),
                (RunEstimate::AtMost(a), RunEstimate::AtMost(b)) => Some(format!(
                    "both are known only to be at most {a:.0} and at most {b:.0}; lower the lowest \
                     level"
                )),
                _ => None,
            })
    }

    /// Where only one run has a knee: what the other knows of its own.
    fn without_knee(&self, metric: ComparedMetric) -> Option<String> {
        let (side, least) = match (&self.base, &self.candidate) {
            _ if metric != ComparedMetric::Knee => return None,
            (RunEstimate::AtLeast(least), _) => ("base", least),
            (_, RunEstimate::AtLeast(least)) => ("candidate", least),
            _ => return None,
        };
        Some(format!(
            "the {side} did not reach its knee, throughput was still growing: it is at least \
             {least:.0}"
        ))
    }

    /// What the pair alone says; `None` where a side is only bounded.
    fn ratio(&self, confidence: f64) -> Option<Ratio> {
        let of_sides = || {
            let (base, candidate) = self.spreads()?;
            Some(ratio::of_pair(base, candidate, confidence))
        };
        let together = self
            .together
            .map(|seen| ratio::of_blocks(&seen, confidence));
        together.or_else(of_sides)
    }

    /// The same as one of several.
    fn effect(&self, confidence: f64) -> Option<ratio::Effect> {
        let of_sides = || {
            let (base, candidate) = self.spreads()?;
            Some(ratio::effect(base, candidate, confidence))
        };
        let together = self
            .together
            .map(|seen| ratio::effect_of_blocks(&seen, confidence));
        together.or_else(of_sides)
    }

    fn spreads(&self) -> Option<(&Spread, &Spread)> {
        match (&self.base, &self.candidate) {
            (RunEstimate::Spread { spread: a, .. }, RunEstimate::Spread { spread: b, .. }) => {
                Some((a, b))
            }
            _ => None,
        }
    }
}

fn see(
    metric: ComparedMetric,
    base: &RunRecord,
    candidate: &RunRecord,
    confidence: f64,
) -> PairEstimate {
    let both = |of: fn(&RunRecord) -> RunEstimate| PairEstimate::of(of(base), of(candidate));
    match metric {
        ComparedMetric::Breakpoint => both(run_estimate::breakpoint),
        ComparedMetric::Knee => both(observed::knee),
        ComparedMetric::Throughput => see_throughput(base, candidate),
        ComparedMetric::P50 => see_latency(base, candidate, 0.5, confidence),
        ComparedMetric::P99 => see_latency(base, candidate, 0.99, confidence),
    }
}

/// The highest throughputs, where they stopped growing in both runs. Where it stopped in one alone,
/// a highest one of the other that is beyond it is a change already. Else throughput is compared at
/// a level that both held, and the highest ones are told beside.
fn see_throughput(base: &RunRecord, candidate: &RunRecord) -> PairEstimate {
    let metric = ComparedMetric::Throughput;
    let of = |of: fn(&RunRecord) -> RunEstimate| PairEstimate::of(of(base), of(candidate));
    let peaks = of(observed::throughput);
    if peaks.trouble(metric).is_none() {
        return peaks;
    }
    let note = observed::most_seen(base, candidate);
    let bounded = of(observed::throughput_or_more);
    let beyond = match (&bounded.base, &bounded.candidate) {
        (RunEstimate::Spread { value, .. }, RunEstimate::AtLeast(least))
        | (RunEstimate::AtLeast(least), RunEstimate::Spread { value, .. }) => least > value,
        _ => false,
    };
    if beyond {
        return PairEstimate { note, ..bounded };
    }
    let common = observed::common_level(base, candidate).map(|level| PairEstimate {
        levels: Some((level, level)),
        note,
        ..PairEstimate::of(
            observed::throughput_at(base, level),
            observed::throughput_at(candidate, level),
        )
    });
    let usable = common.filter(|seen| seen.trouble(metric).is_none());
    usable.unwrap_or(peaks)
}

fn see_latency(base: &RunRecord, candidate: &RunRecord, q: f64, confidence: f64) -> PairEstimate {
    if main_step(&steps(base)) != main_step(&steps(candidate)) {
        return PairEstimate::apart("the candidate measures another step");
    }
    match observed::common_level(base, candidate) {
        None => PairEstimate::apart(
            "the runs have no held level in common that is low enough for queues not \
                to form",
        ),
        Some(level) => {
            let seen = observed::latencies(base, candidate, level, q, confidence);
            PairEstimate {
                levels: Some((level, level)),
                together: seen.ratio,
                ..PairEstimate::of(seen.base, seen.candidate)
            }
        }
    }
}

/// The ratio from what can be used: one pair, several, or bounds alone.
fn fill(change: &mut Change, usable: &[&PairEstimate], confidence: f64) {
    let ratio = if let [only] = usable {
        only.ratio(confidence)
    } else {
        let effects: Option<Vec<_>> = usable.iter().map(|s| s.effect(confidence)).collect();
        effects.and_then(|effects| ratio::pooled(&effects, confidence))
    };
    if let Some(Ratio {
        estimate,
        low,
        high,
        p_value,
        detectable,
    }) = ratio
    {
        change.ratio = Some(estimate);
        change.low = Some(low);
        change.high = Some(high);
        change.p_value = Some(p_value);
        change.detectable = Some(detectable);
    } else {
        let bounds: Vec<_> = usable.iter().map(|s| bound(s, confidence)).collect();
        // Each holds for its own pair; the loosest holds for all.
        let lows: Option<Vec<f64>> = bounds.iter().map(|b| b.0).collect();
        let highs: Option<Vec<f64>> = bounds.iter().map(|b| b.1).collect();
        change.low = lows.and_then(|l| l.into_iter().min_by(f64::total_cmp));
        change.high = highs.and_then(|h| h.into_iter().max_by(f64::total_cmp));
        if let [only] = bounds.as_slice() {
            change.p_value = only.2;
        }
    }
    change.verdict = verdict(change, confidence);
    if change.verdict == ChangeVerdict::CannotSay {
        "some pairs give a lower bound of the change and others an upper bound"
            .clone_into(&mut change.reason);
    }
}

/// Lower and upper end of a pair's ratio, and the p-value of no change, where one side is only
/// bounded.
fn bound(seen: &PairEstimate, confidence: f64) -> (Option<f64>, Option<f64>, Option<f64>) {
    let tail = (1.0 - confidence) / 2.0;
    let below = |spread: &Spread, at: f64| ratio::at_or_below_with_between(spread, at);
    let p = |share: f64| Some((2.0 * share).clamp(0.001, 1.0));
    let quantile = ratio::quantile_with_between;
    if let Some(r) = seen.ratio(confidence) {
        return (Some(r.low), Some(r.high), Some(r.p_value));
    }
    match (&seen.base, &seen.candidate) {
        // One of them is an interval without a number: the ends are what is known, and a change is
        // only told where the intervals leave each other out.
        (
            RunEstimate::Spread { spread: base, .. } | RunEstimate::Within(base),
            RunEstimate::Spread { spread: now, .. } | RunEstimate::Within(now),
        ) => (
            Some(quantile(now, tail) / quantile(base, 1.0 - tail)),
            Some(quantile(now, 1.0 - tail) / quantile(base, tail)),
            None,
        ),
        (
            RunEstimate::Spread { spread, .. } | RunEstimate::Within(spread),
            RunEstimate::AtLeast(most),
        ) => {
            let base = quantile(spread, 1.0 - tail);
            (Some(most / base), None, p(1.0 - below(spread, *most)))
        }
        (
            RunEstimate::Spread { spread, .. } | RunEstimate::Within(spread),
            RunEstimate::AtMost(least),
        ) => {
            let base = quantile(spread, tail);
            (None, Some(least / base), p(below(spread, *least)))
        }
        (
            RunEstimate::AtLeast(most),
            RunEstimate::Spread { spread, .. } | RunEstimate::Within(spread),
        ) => {
            let now = quantile(spread, 1.0 - tail);
            (None, Some(now / most), p(1.0 - below(spread, *most)))
        }
        (
            RunEstimate::AtMost(least),
            RunEstimate::Spread { spread, .. } | RunEstimate::Within(spread),
        ) => {
            let now = quantile(spread, tail);
            (Some(now / least), None, p(below(spread, *least)))
        }
        (RunEstimate::AtMost(least), RunEstimate::AtLeast(most)) => {
            (Some(most / least), None, None)
        }
        (RunEstimate::AtLeast(most), RunEstimate::AtMost(least)) => {
            (None, Some(least / most), None)
        }
        _ => (None, None, None),
    }
}

/// Whether a change is evidence, by its interval and, once that was corrected for several tests,
/// its p-value.
pub(super) fn verdict(change: &Change, confidence: f64) -> ChangeVerdict {
    let significant = change.p_value.is_none_or(|p| p <= 1.0 - confidence + 1e-9);
    match (change.low, change.high) {
        (None, None) => ChangeVerdict::CannotSay,
        (Some(low), _) if low > 1.0 && significant => ChangeVerdict::Rise,
        (_, Some(high)) if high < 1.0 && significant => ChangeVerdict::Fall,
        _ => ChangeVerdict::NoEvidence,
    }
}

/// The geometric mean of those that there are.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let logs: Vec<f64> = values.flatten().filter(|v| *v > 0.0).map(f64::ln).collect();
    #[expect(clippy::cast_precision_loss, reason = "a handful of runs")]
    let n = logs.len() as f64;
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / n).exp())
}
