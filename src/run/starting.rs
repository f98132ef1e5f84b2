//! A level at which users cannot start: whoever is not let in asks nothing more, and those who are
//! there may well be served in time.

use crate::measure::{Second, StepTable};
use crate::probe::Probe;
use crate::slo::{Evidence, Judgement, PRESENT, Verdict};

/// Makes a hold broken in which too few users had started because their start steps failed or did
/// not end. One in which the level was only not reached yet is left alone.
pub(super) fn judge(probe: &Probe, steps: &StepTable, judgement: &mut Judgement) {
    let hold = &probe.measurement.hold;
    let Some(last) = hold.last().filter(|s| !s.window.at_level) else {
        return;
    };
    let Some(lacking) = lacking(probe, steps, last) else {
        return;
    };
    judgement.verdict = Verdict::Broke;
    judgement.reason = lacking;
    // What those showed who were let in says nothing of the level.
    for outcome in &mut judgement.outcomes {
        outcome.evidence = Evidence::None;
        outcome.tail = None;
    }
}

/// Says how many have not started, and at what.
fn lacking(probe: &Probe, steps: &StepTable, last: &Second) -> Option<String> {
    let hold = &probe.measurement.hold;
    let level = probe.measurement.level.get();
    let most = hold.iter().map(|s| s.window.vus).max()?;
    if f64::from(most) >= PRESENT * f64::from(level) {
        return None;
    }
    let seconds = || probe.before.iter().chain(hold);
    let rows = (0..steps.rows().len()).filter(|row| steps.is_start(*row));
    let troubles = rows.map(|row| {
        let failed = seconds().map(|s| s.window.step(row).failed.of_target());
        let hang = last.window.step(row).in_flight.count();
        (row, failed.sum::<u64>(), hang)
    });
    let (row, failed, hang) = troubles.max_by_key(|(_, failed, hang)| failed + hang)?;
    if failed + hang == 0 {
        return None;
    }
    let name = steps.name(row);
    let how = if failed > 0 {
        format!("`{name}` failed {failed} times")
    } else {
        format!("`{name}` of {hang} does not end")
    };
    Some(format!("only {most} of {level} VUs could start: {how}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::{
        FailureKind, GeneratorWindow, Histogram, Level, Measurement, StepWindow, Window,
    };
    use crate::record::HoldEnd;
    use crate::slo::Slo;

    fn table() -> StepTable {
        let mut table = StepTable::of_cycle(["login", "get"].map(str::to_owned), Some(1));
        table.started_by(1);
        table
    }

    /// Ten seconds at level 100, of whom so many are there.
    fn probe(vus: u32, login: &StepWindow) -> Probe {
        let get = StepWindow {
            latency: Histogram::of(vec![Duration::from_millis(50); 200]),
            ..StepWindow::default()
        };
        let second = |n| Second {
            window: Window {
                start: Duration::from_secs(n),
                span: Duration::from_secs(1),
                level: Level(100),
                vus,
                at_level: vus == 100,
                steps: vec![login.clone(), get.clone(), get.clone()],
                generator: GeneratorWindow::default(),
            },
            readings: Vec::new(),
        };
        Probe {
            start: Duration::ZERO,
            end: Duration::from_secs(10),
            before: Vec::new(),
            log: Vec::new(),
            ramp_s: 0.0,
            settle_s: 0.0,
            hold_end: HoldEnd::Complete,
            measurement: Measurement {
                level: Level(100),
                before: None,
                arriving: Vec::new(),
                readings_before: Vec::new(),
                hold: (0..10).map(second).collect(),
                settled: true,
            },
        }
    }

    fn judged(probe: &Probe) -> Judgement {
        let slo = Slo::parse(["p99<1s"]).unwrap();
        let mut judgement = slo.judge(&probe.measurement, &table());
        assert_eq!(judgement.verdict, Verdict::Held, "those who are there");
        judge(probe, &table(), &mut judgement);
        judgement
    }

    #[test]
    fn a_level_whose_users_cannot_log_in_has_broken() {
        let mut refused = StepWindow::default();
        refused.failed.add_n(FailureKind::Status, 4);
        let judgement = judged(&probe(60, &refused));
        assert_eq!(judgement.verdict, Verdict::Broke);
        assert_eq!(
            judgement.reason,
            "only 60 of 100 VUs could start: `login` failed 40 times"
        );
        let hanging = StepWindow {
            in_flight: Histogram::of(vec![Duration::from_secs(9); 40]),
            ..StepWindow::default()
        };
        let judgement = judged(&probe(60, &hanging));
        assert_eq!(
            judgement.reason,
            "only 60 of 100 VUs could start: `login` of 40 does not end"
        );
        assert!(judgement.outcomes.iter().all(|o| o.tail.is_none()));
    }

    #[test]
    fn a_level_that_is_there_or_only_on_its_way_is_judged_as_ever() {
        let mut refused = StepWindow::default();
        refused.failed.add_n(FailureKind::Status, 4);
        for probe in [
            probe(100, &refused),
            probe(99, &refused),
            probe(60, &StepWindow::default()),
        ] {
            assert_eq!(judged(&probe).verdict, Verdict::Held);
        }
    }
}
