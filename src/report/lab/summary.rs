//! From single runs to one row per system and method.

use super::found::{LabReport, LabRun, LabSystem};
use crate::stats;

/// The endings that have a column of their own; what is none of them is counted as `other`.
pub(super) const ENDINGS: [&str; 9] = [
    "found",
    "none",
    "never_broke",
    "broke_at_minimum",
    "undecided",
    "time_driven",
    "depends_on_direction",
    "bimodal",
    "bracketed",
];
/// Confidence of the interval around the coverage.
pub(super) const CONFIDENCE: f64 = 0.95;

/// What all runs of one method against one system came to. What nothing is known of is `None`.
#[derive(Debug, Clone, PartialEq)]
pub struct LabRow {
    /// The system.
    pub system: String,
    /// The method.
    pub method: &'static str,
    /// Number of runs.
    pub runs: u32,
    /// The truth, VUs.
    pub truth_vus: Option<u32>,
    /// Its standard error, per cent.
    pub truth_se_pct: Option<f64>,
    /// Runs that gave an interval.
    pub intervals: u32,
    /// Share of the intervals that held the truth.
    pub coverage: Option<f64>,
    /// Wilson's 95 % interval of it.
    pub coverage_interval: Option<stats::Ends>,
    /// Share of the intervals that lay wholly below the truth.
    pub miss_below: Option<f64>,
    /// Share of the intervals that lay wholly above the truth.
    pub miss_above: Option<f64>,
    /// Runs that named a number of VUs.
    pub found_runs: u32,
    /// Their errors in per cent of the truth, ascending.
    pub errors_pct: Vec<f64>,
    /// Median half-width of the intervals, per cent of the estimate.
    pub half_width_pct: Option<f64>,
    /// Share of all runs whose interval was as narrow as asked.
    pub precision_reached: Option<f64>,
    /// Coverage among those.
    pub precision_reached_coverage: Option<f64>,
    /// Largest half-width among those, per cent.
    pub precision_reached_widest_pct: Option<f64>,
    /// Mean simulated seconds of a run.
    pub cost_s: Option<f64>,
    /// Seconds that a run of ours had.
    pub budget_s: f64,
    /// Mean processor time of a run, milliseconds.
    pub cpu_ms_per_run: Option<f64>,
    /// Share of the runs that named the system's kind.
    pub named_as_expected: Option<f64>,
    /// Runs that named a number without reserve.
    pub without_reserve: u32,
    /// Those of them whose number was off by more than a quarter.
    pub far_off: Option<u32>,
    /// Runs per ending, in the order of the columns; the last is `other`.
    pub endings: Vec<u32>,
}

impl LabRow {
    /// The `q` quantile of the errors, per cent.
    pub fn error_quantile_pct(&self, q: f64) -> Option<f64> {
        quantile(&self.errors_pct, q)
    }

    /// The mean of the errors without their signs, per cent.
    pub fn mean_abs_error_pct(&self) -> Option<f64> {
        mean(self.errors_pct.iter().map(|e| e.abs()))
    }
}

/// One row per system, budget and method, in the report's order.
pub fn rows(report: &LabReport) -> Vec<LabRow> {
    report.systems.iter().flat_map(rows_of).collect()
}

/// The rows of one system with one budget.
pub(super) fn rows_of(system: &LabSystem) -> Vec<LabRow> {
    let methods = system.methods().into_iter();
    methods
        .map(|method| {
            let runs: Vec<&LabRun> = system.runs.iter().filter(|r| r.method == method).collect();
            row(system, method, &runs)
        })
        .collect()
}

fn row(system: &LabSystem, method: &'static str, runs: &[&LabRun]) -> LabRow {
    let truth = system.truth.vus;
    let intervals: Vec<_> = runs.iter().filter_map(|r| r.interval).collect();
    let narrow: Vec<_> = intervals.iter().copied().filter(|i| i.as_asked).collect();
    // Against a truth that does not exist an interval is neither right nor wrong.
    let share = |of: &[super::Interval], what: &dyn Fn(&super::Interval, u32) -> bool| {
        let truth = truth?;
        ratio(count(of.iter().filter(|i| what(i, truth))), count(of))
    };
    let holds = |i: &super::Interval, truth: u32| i.holds(truth);
    let held = truth.map(|t| count(intervals.iter().filter(|i| i.holds(t))));
    let mut widths: Vec<f64> = percent(intervals.iter().filter_map(|i| i.half_width));
    widths.sort_by(f64::total_cmp);
    let mut errors_pct: Vec<f64> = runs
        .iter()
        .filter_map(|r| Some(100.0 * r.error(truth?)?))
        .collect();
    errors_pct.sort_by(f64::total_cmp);
    let named: Vec<bool> = runs.iter().filter_map(|r| r.named_as_expected).collect();
    LabRow {
        system: system.name.clone(),
        method,
        runs: count(runs),
        truth_vus: truth,
        truth_se_pct: truth.map(|_| system.truth.se_pct),
        intervals: count(&intervals),
        coverage: share(&intervals, &holds),
        coverage_interval: held.and_then(|h| stats::wilson(h, count(&intervals), CONFIDENCE)),
        miss_below: share(&intervals, &|i, t| i.is_below(t)),
        miss_above: share(&intervals, &|i, t| i.low > t),
        found_runs: count(runs.iter().filter(|r| r.vus.is_some())),
        errors_pct,
        half_width_pct: quantile(&widths, 0.5),
        precision_reached: if intervals.is_empty() {
            None
        } else {
            ratio(count(&narrow), count(runs))
        },
        precision_reached_coverage: share(&narrow, &holds),
        precision_reached_widest_pct: percent(narrow.iter().filter_map(|i| i.half_width))
            .into_iter()
            .max_by(f64::total_cmp),
        cost_s: mean(runs.iter().map(|r| r.cost_s)),
        budget_s: system.budget_s,
        cpu_ms_per_run: mean(runs.iter().map(|r| r.cpu_ms)),
        named_as_expected: ratio(count(named.iter().filter(|n| **n)), count(&named)),
        without_reserve: count(runs.iter().filter(|r| r.without_reserve)),
        far_off: truth.map(|t| count(runs.iter().filter(|r| r.is_far_off(t)))),
        endings: endings(runs),
    }
}

fn endings(runs: &[&LabRun]) -> Vec<u32> {
    let mut counts: Vec<u32> = ENDINGS
        .iter()
        .map(|name| count(runs.iter().filter(|r| r.ending == *name)))
        .collect();
    counts.push(count(runs) - counts.iter().sum::<u32>());
    counts
}

pub(super) fn count<T>(of: impl IntoIterator<Item = T>) -> u32 {
    u32::try_from(of.into_iter().count()).unwrap_or(u32::MAX)
}

pub(super) fn ratio(part: u32, whole: u32) -> Option<f64> {
    (whole > 0).then(|| f64::from(part) / f64::from(whole))
}

fn percent(fractions: impl Iterator<Item = f64>) -> Vec<f64> {
    fractions.map(|f| 100.0 * f).collect()
}

pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut n, mut sum) = (0_u32, 0.0);
    for value in values {
        n += 1;
        sum += value;
    }
    (n > 0).then(|| sum / f64::from(n))
}

/// A quantile of ascending values, interpolated between neighbours.
pub(super) fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    #[expect(clippy::cast_precision_loss, reason = "a number of runs")]
    let at = q.clamp(0.0, 1.0) * last as f64;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and the last index"
    )]
    let below = at.floor() as usize;
    let part = at - at.floor();
    let above = sorted[(below + 1).min(last)];
    Some(sorted[below] + part * (above - sorted[below]))
}

#[cfg(test)]
mod tests {
    use super::super::found::{Interval, LabTruth};
    use super::*;

    fn run(method: &'static str, vus: Option<u32>, interval: Option<(u32, u32)>) -> LabRun {
        LabRun {
            method,
            run: 0,
            seed: 1,
            ending: if vus.is_some() { "found" } else { "none" },
            vus,
            interval: interval.map(|(low, high)| Interval {
                low,
                high: Some(high),
                half_width: Some(f64::from(high - low) / 2.0 / 100.0),
                as_asked: high - low <= 10,
            }),
            cost_s: 60.0,
            visits: 3,
            named_as_expected: interval.map(|_| true),
            without_reserve: vus.is_some(),
            cpu_ms: 1.0,
        }
    }

    fn report(truth: Option<u32>, runs: Vec<LabRun>) -> LabReport {
        LabReport {
            systems: vec![LabSystem {
                name: "A".to_owned(),
                title: "a queue".to_owned(),
                slo: vec!["p99<2s".to_owned()],
                truth: LabTruth {
                    unit: crate::measure::LevelUnit::Vus,
                    vus: truth,
                    from_above_vus: None,
                    se_pct: 0.0,
                    how: "exact".to_owned(),
                },
                budget_s: 900.0,
                runs,
            }],
            precision: 0.05,
        }
    }

    fn close(value: Option<f64>, want: f64) {
        assert!(
            (value.unwrap() - want).abs() < 1e-9,
            "{value:?}, not {want}"
        );
    }

    #[test]
    fn an_interval_holds_the_truth_or_misses_it_on_one_side() {
        let runs = vec![
            run("ours", Some(100), Some((95, 105))),
            run("ours", Some(90), Some((80, 99))),
            run("ours", Some(110), Some((101, 120))),
            run("ours", Some(100), Some((100, 104))),
        ];
        let rows = rows(&report(Some(100), runs));
        let row = &rows[0];
        close(row.coverage, 0.5);
        close(row.miss_below, 0.25);
        close(row.miss_above, 0.25);
        close(row.precision_reached, 0.5);
        close(row.precision_reached_coverage, 1.0);
        close(row.precision_reached_widest_pct, 5.0);
        close(row.half_width_pct, 7.25);
        close(row.mean_abs_error_pct(), 5.0);
        close(row.error_quantile_pct(0.5), 0.0);
        close(row.named_as_expected, 1.0);
    }

    #[test]
    fn a_number_without_reserve_that_is_off_by_more_than_a_quarter_is_counted() {
        let mut runs: Vec<LabRun> = [100, 124, 126, 74, 300]
            .map(|vus| run("ours", Some(vus), None))
            .to_vec();
        runs[4].without_reserve = false;
        runs.push(run("ours", None, None));
        let row = &rows(&report(Some(100), runs.clone()))[0];
        assert_eq!((row.without_reserve, row.far_off), (4, Some(2)));
        assert_eq!(rows(&report(None, runs))[0].far_off, None);
    }

    #[test]
    fn a_method_without_an_interval_has_no_coverage_rather_than_none_of_it() {
        let runs = vec![run("bisect", Some(104), None), run("bisect", None, None)];
        let rows = rows(&report(Some(100), runs));
        let row = &rows[0];
        assert_eq!((row.coverage, row.precision_reached), (None, None));
        assert_eq!((row.coverage_interval, row.half_width_pct), (None, None));
        assert_eq!((row.runs, row.found_runs), (2, 1));
        close(row.mean_abs_error_pct(), 4.0);
        assert_eq!(row.endings[..2], [1, 1]);
        assert_eq!(row.named_as_expected, None);
    }

    #[test]
    fn where_nothing_breaks_no_number_is_right_or_wrong() {
        let rows = rows(&report(None, vec![run("ours", Some(9), Some((5, 12)))]));
        assert_eq!((rows[0].coverage, rows[0].miss_below), (None, None));
        assert!(rows[0].errors_pct.is_empty());
        assert_eq!(rows[0].found_runs, 1);
    }
}
