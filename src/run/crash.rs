//! Whether the target crashed in a probe: it stopped answering altogether, and not for the blink of
//! a pause.

use crate::measure::{FailureKind, StepTable, StepWindow};
use crate::probe::Probe;
use crate::slo::Verdict;

/// Connections that must fail in a second in which nobody answers for it to count as dead: fewer
/// may be chance.
const CRASH_FAILURES: u64 = 5;
/// Dead seconds in a row that are a crash although the target came back: a pause for garbage takes
/// two.
const CRASH_SECONDS: u32 = 3;
/// Seconds that a target must be gone for at the end of a probe, when nobody knows whether it would
/// have come back.
const GONE_S: f64 = 2.0;

/// Seconds of a probe after which the target stopped answering altogether: connections failed, and
/// it did not come back within the probe, or not at once. A probe that held had no crash that
/// mattered.
pub(super) fn after_s(probe: &Probe, steps: &StepTable, verdict: Verdict) -> Option<f64> {
    if verdict == Verdict::Held {
        return None;
    }
    let mut passed = 0.0;
    let (mut since, mut dead) = (None, 0);
    let seconds = probe.before.iter().chain(&probe.measurement.hold);
    for window in seconds.map(|s| &s.window) {
        let cycle = window.steps.get(steps.whole())?;
        if answers(cycle) {
            (since, dead) = (None, 0);
        } else if cannot_connect(cycle) >= CRASH_FAILURES {
            since = since.or(Some(passed));
            dead += 1;
            if dead >= CRASH_SECONDS {
                return since;
            }
        }
        // A second in which nothing ends, as when everybody waits before the next try, says
        // neither.
        passed += window.span.as_secs_f64();
    }
    since.filter(|since| passed - since >= GONE_S)
}

/// Whether anything came back: whoever answers, with an error or a refusal, lives.
fn answers(cycle: &StepWindow) -> bool {
    let answered = [
        FailureKind::Status,
        FailureKind::WrongEvent,
        FailureKind::Protocol,
        FailureKind::Check,
    ];
    cycle.completed() > 0 || cycle.shed > 0 || answered.iter().any(|k| cycle.failed.get(*k) > 0)
}

/// Cycles that failed because there was nobody to connect to, or no longer.
fn cannot_connect(cycle: &StepWindow) -> u64 {
    let kinds = [
        FailureKind::ConnectRefused,
        FailureKind::Reset,
        FailureKind::Eof,
    ];
    kinds.iter().map(|kind| cycle.failed.get(*kind)).sum()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::{GeneratorWindow, Histogram, Level, Measurement, Second, Window};
    use crate::record::HoldEnd;

    fn steps() -> StepTable {
        StepTable::of_cycle(["request".to_owned()], Some(0))
    }

    /// A second of so many completed cycles and so many failures of a kind.
    fn second(completed: u64, failed: &[(FailureKind, u64)]) -> Second {
        let mut step = StepWindow {
            latency: Histogram::of((0..completed).map(|_| Duration::from_millis(10))),
            ..StepWindow::default()
        };
        for (kind, n) in failed {
            step.failed.add_n(*kind, *n);
        }
        Second {
            window: Window {
                start: Duration::ZERO,
                span: Duration::from_secs(1),
                level: Level(10),
                vus: 10,
                at_level: true,
                steps: vec![step.clone(), step],
                generator: GeneratorWindow::default(),
            },
            readings: Vec::new(),
        }
    }

    /// Seconds by letters: `.` answers, `x` refuses, `e` answers 503, `t` lets time out, ` ` is
    /// silent, `f` refuses too few.
    fn probe(seconds: &str) -> Probe {
        let of = |letter| match letter {
            '.' => second(20, &[]),
            'x' => second(
                0,
                &[(FailureKind::ConnectRefused, 3), (FailureKind::Reset, 2)],
            ),
            'e' => second(0, &[(FailureKind::Status, 20)]),
            't' => second(0, &[(FailureKind::Timeout, 20)]),
            'f' => second(0, &[(FailureKind::Eof, 4)]),
            _ => second(0, &[]),
        };
        let all: Vec<Second> = seconds.chars().map(of).collect();
        let (before, hold) = all.split_at(2);
        Probe {
            measurement: Measurement {
                level: Level(10),
                before: None,
                arriving: Vec::new(),
                readings_before: Vec::new(),
                hold: hold.to_vec(),
                settled: true,
            },
            before: before.to_vec(),
            start: Duration::ZERO,
            end: Duration::from_secs(all.len() as u64),
            ramp_s: 0.0,
            settle_s: 2.0,
            hold_end: HoldEnd::Complete,
            log: Vec::new(),
        }
    }

    fn after_s_of(seconds: &str, verdict: Verdict) -> Option<f64> {
        super::after_s(&probe(seconds), &steps(), verdict)
    }

    #[test]
    fn a_crash_is_nobody_to_connect_to_for_good_or_for_three_seconds() {
        for (seconds, crashed) in [
            ("......xxx.....", Some(6.0)),
            ("......xx......", None),
            ("......xx xx...", Some(6.0)),
            ("......x  x  x.", Some(6.0)),
            ("......xx.xx...", None),
            ("............xx", Some(12.0)),
            (".............x", None),
            ("...........x  ", Some(11.0)),
            ("......eeeeeeee", None),
            ("......xxexxe..", None),
            ("......tttttttt", None),
            ("......ffffffff", None),
            ("..............", None),
            ("xxxx..........", Some(0.0)),
        ] {
            assert_eq!(after_s_of(seconds, Verdict::Broke), crashed, "{seconds:?}");
            assert_eq!(
                after_s_of(seconds, Verdict::Undecided),
                crashed,
                "{seconds:?}"
            );
        }
    }

    #[test]
    fn a_probe_that_held_did_not_crash() {
        assert_eq!(after_s_of("xxxx..........", Verdict::Held), None);
    }

    #[test]
    fn a_refusal_by_design_is_an_answer() {
        let mut sheds = probe("......xxxxxx..");
        for second in &mut sheds.measurement.hold {
            for step in &mut second.window.steps {
                step.shed = 1;
            }
        }
        assert_eq!(super::after_s(&sheds, &steps(), Verdict::Broke), None);
    }
}
