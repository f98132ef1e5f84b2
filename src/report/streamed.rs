//! How streamed answers flowed: the first event, the gaps, and events per second.

use std::fmt::Write as _;

use super::view;
use crate::measure::StepParts;
use crate::record::{ProbeRecord, RunRecord, StepRecord};
use crate::units::format_seconds;

/// A line for each step that is a streamed answer, at the highest level that held, else at the
/// first that broke.
pub(super) fn lines(record: &RunRecord) -> Vec<String> {
    let a = &record.answer;
    let visit = a.last_held.as_ref().or(a.first_broke.as_ref());
    let probe = visit.and_then(|visit| record.probes.get(visit.probe));
    let Some(probe) = probe else {
        return Vec::new();
    };
    let level = view::level(record, probe.level.0);
    let steps = record.plan.steps.iter();
    steps
        .filter_map(|step| Some(format!("{step} at {level}: {}", flow(probe, step)?)))
        .collect()
}

/// What the parts of a step showed; `None` where it has none, or nothing came.
fn flow(probe: &ProbeRecord, step: &str) -> Option<String> {
    let [first, gap, per_event] = StepParts::NAMES.map(|part| {
        let name = format!("{step}.{part}");
        probe.steps.iter().find(|row| row.step == name)
    });
    let (first, gap, per_event) = (first?, gap?, per_event?);
    let at = |row: &StepRecord, q| row.latency.quantile_s(q).map(format_seconds);
    let mut text = format!(
        "first event p50 {}, p99 {}",
        at(first, 0.5)?,
        at(first, 0.99)?
    );
    if let (Some(p99), Some(longest)) = (at(gap, 0.99), gap.latency.max_s()) {
        let _ = write!(text, "; gap p99 {p99}, longest {}", format_seconds(longest));
    }
    // What all came at once has no rate.
    let pace = per_event.latency.quantile_s(0.5);
    if let Some(pace) = pace.filter(|s| *s > AT_ONCE_S) {
        let _ = write!(text, "; {:.1} events/s per answer", 1.0 / pace);
    }
    Some(text)
}

/// Mean time between the events of an answer that came in one piece: the least that a histogram
/// tells apart.
const AT_ONCE_S: f64 = 1e-5;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::Histogram;
    use crate::samples;

    #[test]
    fn a_streamed_answer_is_told_by_its_first_event_its_gaps_and_its_rate() {
        let mut run = samples::found();
        assert_eq!(lines(&run), Vec::<String>::new());
        let rows = [
            ("x", 900),
            ("x.first", 250),
            ("x.gap", 20),
            ("x.per-event", 20),
        ];
        for probe in &mut run.probes {
            let like = probe.steps[0].clone();
            let row = |(name, ms): &(&str, u64)| StepRecord {
                step: (*name).to_owned(),
                latency: Histogram::of([Duration::from_millis(*ms)]),
                ..like.clone()
            };
            probe.steps = rows.iter().map(row).collect();
        }
        run.plan.steps = rows.iter().map(|(name, _)| (*name).to_owned()).collect();
        let told = lines(&run);
        assert_eq!(told.len(), 1, "{told:?}");
        for part in [
            "x at ",
            "first event p50 250 ms",
            "gap p99 20",
            "events/s per answer",
        ] {
            assert!(told[0].contains(part), "no `{part}`: {}", told[0]);
        }
    }
}
