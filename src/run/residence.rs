//! Where the users' cycles spend their time, by Little's law: what is in flight over what is completed per second.

use crate::measure::{Measurement, StepNames};
use crate::stats::tail::Residence;

/// How long a cycle of the users stays in `step` and in all steps, on average over a hold. Their steps go from `first` to the
/// cycle, and `begins` names for each the one with whose beginning its latency begins. `None` when nothing was completed, or for a
/// step of others.
pub(super) fn of(
    measurement: &Measurement,
    steps: &StepNames,
    first: usize,
    begins: &[usize],
    step: usize,
) -> Option<Residence> {
    let per_s = measurement.throughput(steps.main()).filter(|x| *x > 0.0)?;
    // A VU is in one step at a time: a wait that counts from an earlier step is in flight from the beginning of that one on.
    let begins = *begins.get(step.checked_sub(first)?)?;
    let time_in = |from: usize, to: usize| {
        let parts = (from..=to).filter(|s| *s != steps.cycle());
        parts.map(|s| in_flight(measurement, s)).sum::<f64>() / per_s
    };
    Some(Residence {
        step_s: time_in(begins, step),
        cycle_s: time_in(first, steps.cycle()),
    })
}

/// How many are in a step at the ends of the hold's windows, on average.
fn in_flight(measurement: &Measurement, step: usize) -> f64 {
    let windows = measurement.hold.iter().map(|s| &s.window.steps);
    let counts = windows
        .filter_map(|s| s.get(step))
        .map(|s| s.in_flight.count());
    #[expect(clippy::cast_precision_loss, reason = "counts per second")]
    let mean = counts.sum::<u64>() as f64 / measurement.hold.len() as f64;
    mean
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::{GeneratorWindow, Histogram, Level, Second, StepWindow, Window};

    fn step(completed: usize, in_flight: usize) -> StepWindow {
        let times = |n| Histogram::of(vec![Duration::from_millis(100); n]);
        StepWindow {
            latency: times(completed),
            in_flight: times(in_flight),
            ..StepWindow::default()
        }
    }

    /// Two seconds of 20 cycles/s; of others, `open`, `ask`, `answer`, the cycle (which counts who thinks too).
    fn measurement() -> Measurement {
        let second = |ask, answer| Second {
            window: Window {
                start: Duration::ZERO,
                span: Duration::from_secs(1),
                level: Level(40),
                vus: 40,
                at_level: true,
                steps: vec![
                    step(7, 99),
                    step(20, 2),
                    step(20, ask),
                    step(20, answer),
                    step(20, 40),
                ],
                generator: GeneratorWindow::default(),
            },
            readings: Vec::new(),
        };
        Measurement {
            level: Level(40),
            before: None,
            readings_before: Vec::new(),
            hold: vec![second(10, 4), second(14, 8)],
            settled: true,
        }
    }

    fn names() -> StepNames {
        let names = ["abusers", "open", "ask", "answer"].map(str::to_owned);
        StepNames::new(names, Some(3))
    }

    #[test]
    fn a_wait_that_counts_from_an_earlier_step_is_in_flight_from_there_on() {
        let (m, names) = (measurement(), names());
        let close = |a: Option<Residence>, step_s: f64, cycle_s: f64| {
            let a = a.expect("cycles were completed");
            assert!(
                (a.step_s - step_s).abs() < 1e-12 && (a.cycle_s - cycle_s).abs() < 1e-12,
                "{a:?}"
            );
        };
        // On average 2, 12 and 6 in flight at 20 per second.
        let since = [1, 2, 2, 1];
        close(of(&m, &names, 1, &since, 3), 0.9, 1.0);
        close(of(&m, &names, 1, &since, 2), 0.6, 1.0);
        close(of(&m, &names, 1, &since, 4), 1.0, 1.0);
        close(of(&m, &names, 1, &[1, 2, 3, 1], 3), 0.3, 1.0);
    }

    #[test]
    fn nothing_is_known_of_others_or_without_completions() {
        let (mut m, names) = (measurement(), names());
        let since = [1, 2, 2, 1];
        assert_eq!(of(&m, &names, 1, &since, 0), None);
        for second in &mut m.hold {
            second.window.steps[3].latency = Histogram::default();
        }
        assert_eq!(of(&m, &names, 1, &since, 3), None);
    }
}
