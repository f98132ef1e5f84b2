//! Where the users' cycles spend their time, by Little's law: what is in flight over what is
//! completed per second.

use crate::measure::{Measurement, Role, StepTable};
use crate::stats::tail::Residence;

/// How long a cycle of the users stays in `step` and in all steps, on average over a hold. `None`
/// when nothing was completed, or for a step of others. What stands for a mix is the sum of its
/// kinds.
pub(super) fn of(measurement: &Measurement, steps: &StepTable, step: usize) -> Option<Residence> {
    let per_s = measurement.throughput(steps.main()).filter(|x| *x > 0.0)?;
    let rows = steps.rows();
    let main = rows.get(steps.main())?;
    let is_users = |population: usize| match main.pooled.as_slice() {
        [] => population == main.population,
        kinds => kinds
            .iter()
            .any(|kind| rows[*kind].population == population),
    };
    let time_in = |from: usize, to: usize, population: Option<usize>| {
        let parts = rows.iter().enumerate().skip(from).take(to + 1 - from);
        let parts = parts.filter(|(_, row)| {
            let own = population.map_or_else(|| is_users(row.population), |p| p == row.population);
            own && row.role == Role::Step
        });
        let at_once = parts.map(|(row, _)| in_flight(measurement, row));
        at_once.sum::<f64>() / per_s
    };
    if rows.get(step)?.role == Role::Part {
        return Some(Residence {
            step_s: in_flight(measurement, step) / per_s,
            cycle_s: time_in(0, rows.len(), None),
        });
    }
    // A VU is in one step at a time: a wait that counts from an earlier step is in flight from the
    // beginning of that one on.
    let time_of = |step: usize| {
        let row = rows.get(step)?;
        let begins = if row.role.is_whole() {
            0
        } else {
            row.latency_from.min(step)
        };
        is_users(row.population).then(|| time_in(begins, step, Some(row.population)))
    };
    let step_s = match rows.get(step)?.pooled.as_slice() {
        [] => time_of(step)?,
        parts => parts.iter().filter_map(|part| time_of(*part)).sum(),
    };
    Some(Residence {
        step_s,
        cycle_s: time_in(0, rows.len(), None),
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

    /// Two seconds of 20 cycles/s; of others, `open`, `ask`, `answer`, the cycle (which counts who
    /// thinks too).
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
            arriving: Vec::new(),
            readings_before: Vec::new(),
            hold: vec![second(10, 4), second(14, 8)],
            settled: true,
        }
    }

    /// The answer counts from `since` of the users' steps.
    fn table(since: usize) -> StepTable {
        let abusers = StepTable::of_cycle([], None);
        let names = ["open", "ask", "answer"].map(str::to_owned);
        let mut users = StepTable::of_cycle(names, Some(2));
        users.count_from(2, since);
        StepTable::of_populations(&[("abusers", &abusers)], &users, None)
    }

    #[test]
    fn a_wait_that_counts_from_an_earlier_step_is_in_flight_from_there_on() {
        let (m, since_ask) = (measurement(), table(1));
        let close = |a: Option<Residence>, step_s: f64, cycle_s: f64| {
            let a = a.expect("cycles were completed");
            assert!(
                (a.step_s - step_s).abs() < 1e-12 && (a.cycle_s - cycle_s).abs() < 1e-12,
                "{a:?}"
            );
        };
        // On average 2, 12 and 6 in flight at 20 per second.
        close(of(&m, &since_ask, 3), 0.9, 1.0);
        close(of(&m, &since_ask, 2), 0.6, 1.0);
        close(of(&m, &since_ask, 4), 1.0, 1.0);
        close(of(&m, &table(2), 3), 0.3, 1.0);
    }

    #[test]
    fn nothing_is_known_of_others_or_without_completions() {
        let (mut m, table) = (measurement(), table(1));
        assert_eq!(of(&m, &table, 0), None);
        for second in &mut m.hold {
            second.window.steps[3].latency = Histogram::default();
        }
        assert_eq!(of(&m, &table, 3), None);
    }
}
