//! Many drawn systems: what all searches of them came to together, by kind and by budget, as CSV
//! and as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::found::{LabRun, LabTruth};
use super::summary::{CONFIDENCE, count, mean, quantile, ratio};
use super::table::{columns, failed, number, whole};
use crate::report::ReportError;
use crate::report::escape;
use crate::stats;

/// Everything that one call found out about drawn systems.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomReport {
    /// The systems by their numbers.
    pub systems: Vec<RandomSystem>,
    /// Why draws were thrown away, and how many.
    pub rejected: Vec<(&'static str, u32)>,
    /// Numbers for which no draw was of use.
    pub left_out: u32,
    /// Seed of the draws.
    pub seed: u64,
}

/// One drawn system and the searches of it.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomSystem {
    /// Its number; even ones are to calibrate by, odd ones to judge by.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its dominant trait.
    pub kind: &'static str,
    /// Everything that its truth depends on.
    pub parameters: String,
    /// The objectives.
    pub slo: Vec<String>,
    /// Where it breaks.
    pub truth: LabTruth,
    /// Seconds between the rarest of the events that break it now and then, where it has any.
    pub events_every_s: Option<f64>,
    /// The searches.
    pub runs: Vec<RandomRun>,
}

/// One search and what it was given.
#[derive(Debug, Clone, PartialEq)]
pub struct RandomRun {
    /// Seconds that it had.
    pub budget_s: f64,
    /// What it came to.
    pub run: LabRun,
}

/// A coverage below this in one system is worth a look.
const WEAK: f64 = 0.85;
/// Seconds between events above which a search need not have met one: it may be right about what it
/// saw and miss the truth.
const RARE_S: f64 = 300.0;
/// Systems shown as the worst.
const WORST: usize = 15;

/// What some searches came to together.
#[derive(Debug, Clone, Default, PartialEq)]
struct Pool {
    runs: u32,
    intervals: u32,
    held: u32,
    below: u32,
    above: u32,
    /// Runs that named a breakpoint, and those that did it without reserve.
    named: u32,
    without_reserve: u32,
    far_off: u32,
    /// Runs that said to be as narrow as asked, and those of them whose interval held the truth.
    claimed: u32,
    claimed_right: u32,
    /// Per cent, in no order until they are sorted.
    errors_pct: Vec<f64>,
    widths_pct: Vec<f64>,
    cost_s: f64,
}

impl RandomSystem {
    /// Whether what breaks it comes so seldom that a search may not meet it.
    fn is_rare(&self) -> bool {
        self.events_every_s.is_some_and(|s| s > RARE_S)
    }
}

impl Pool {
    fn of<'a>(runs: impl Iterator<Item = (&'a LabTruth, &'a RandomRun)>) -> Self {
        let mut pool = Self::default();
        for (truth, run) in runs {
            if let Some(truth) = truth.vus {
                pool.add(truth, &run.run);
            }
        }
        pool.errors_pct.sort_by(f64::total_cmp);
        pool.widths_pct.sort_by(f64::total_cmp);
        pool
    }

    fn add(&mut self, truth: u32, run: &LabRun) {
        self.runs += 1;
        self.cost_s += run.cost_s;
        self.named += u32::from(run.ending == "found" && run.vus.is_some());
        self.without_reserve += u32::from(run.without_reserve);
        self.far_off += u32::from(run.is_far_off(truth));
        self.errors_pct.extend(run.error(truth).map(|e| 100.0 * e));
        let Some(interval) = run.interval else { return };
        self.intervals += 1;
        self.held += u32::from(interval.holds(truth));
        self.below += u32::from(interval.is_below(truth));
        self.above += u32::from(interval.low > truth);
        self.claimed += u32::from(interval.as_asked);
        self.claimed_right += u32::from(interval.as_asked && interval.holds(truth));
        self.widths_pct
            .extend(interval.half_width.map(|w| 100.0 * w));
    }

    fn coverage(&self) -> Option<f64> {
        ratio(self.held, self.intervals)
    }

    /// The cells of a line of the printed tables.
    fn cells(&self) -> Vec<String> {
        let share = |part, of| {
            ratio(part, of).map_or("-".to_owned(), |share| format!("{:.1} %", 100.0 * share))
        };
        let middle = |sorted: &[f64]| {
            quantile(sorted, 0.5).map_or("-".to_owned(), |value| format!("{value:.1} %"))
        };
        vec![
            self.runs.to_string(),
            self.intervals.to_string(),
            share(self.held, self.intervals),
            share(self.below, self.intervals),
            share(self.above, self.intervals),
            middle(&self.errors_pct),
            mean(self.errors_pct.iter().map(|e| e.abs()))
                .map_or("-".to_owned(), |e| format!("{e:.1} %")),
            middle(&self.widths_pct),
            share(self.named, self.runs),
            share(self.claimed, self.runs),
            share(self.claimed_right, self.claimed),
            share(self.far_off, self.without_reserve),
        ]
    }
}

const HEAD: [&str; 13] = [
    "",
    "runs",
    "intervals",
    "held truth",
    "too low",
    "too high",
    "median error",
    "mean |error|",
    "half-width",
    "named",
    "claimed",
    "of them right",
    "far off",
];

/// The files: a table of the systems and one of the runs.
///
/// # Errors
/// Never in practice: it writes to memory.
pub fn random_files(report: &RandomReport) -> Result<Vec<(String, Vec<u8>)>, ReportError> {
    Ok(vec![
        ("lab-random.csv".to_owned(), systems_csv(report)?),
        ("lab-random-runs.csv".to_owned(), runs_csv(report)?),
    ])
}

const SYSTEM_COLUMNS: [&str; 25] = [
    "system",
    "index",
    "half",
    "kind",
    "slo",
    "truth",
    "truth_se_pct",
    "truth_how",
    "events_every_s",
    "runs",
    "intervals",
    "coverage",
    "miss_below",
    "miss_above",
    "median_error_pct",
    "mean_abs_error_pct",
    "half_width_pct",
    "named",
    "without_reserve",
    "far_off",
    "precision_claimed",
    "precision_claimed_right",
    "cost_s",
    "unit",
    "parameters",
];

fn systems_csv(report: &RandomReport) -> Result<Vec<u8>, ReportError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer
        .write_record(SYSTEM_COLUMNS)
        .map_err(|e| failed(&e))?;
    for system in &report.systems {
        let pool = of_system(system);
        let share = |part| number(ratio(part, pool.intervals), 4);
        let record = [
            escape::cell(&system.name),
            system.index.to_string(),
            half(system.index).to_owned(),
            system.kind.to_owned(),
            escape::cell(&system.slo.join(" ")),
            whole(system.truth.vus),
            number(Some(system.truth.se_pct), 3),
            system.truth.how.clone(),
            number(system.events_every_s, 0),
            pool.runs.to_string(),
            pool.intervals.to_string(),
            share(pool.held),
            share(pool.below),
            share(pool.above),
            number(quantile(&pool.errors_pct, 0.5), 3),
            number(mean(pool.errors_pct.iter().map(|e| e.abs())), 3),
            number(quantile(&pool.widths_pct, 0.5), 3),
            pool.named.to_string(),
            pool.without_reserve.to_string(),
            pool.far_off.to_string(),
            pool.claimed.to_string(),
            pool.claimed_right.to_string(),
            number(
                (pool.runs > 0).then(|| pool.cost_s / f64::from(pool.runs)),
                1,
            ),
            system.truth.unit.name().to_owned(),
            system.parameters.clone(),
        ];
        writer.write_record(record).map_err(|e| failed(&e))?;
    }
    bytes(writer)
}

const RUN_COLUMNS: [&str; 17] = [
    "system",
    "index",
    "kind",
    "run",
    "seed",
    "budget_s",
    "ending",
    "vus",
    "low",
    "high",
    "truth",
    "half_width_pct",
    "as_asked",
    "without_reserve",
    "cost_s",
    "visits",
    "cpu_ms",
];

fn runs_csv(report: &RandomReport) -> Result<Vec<u8>, ReportError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(RUN_COLUMNS).map_err(|e| failed(&e))?;
    for system in &report.systems {
        for RandomRun { budget_s, run } in &system.runs {
            let interval = run.interval;
            let record = [
                escape::cell(&system.name),
                system.index.to_string(),
                system.kind.to_owned(),
                run.run.to_string(),
                run.seed.to_string(),
                number(Some(*budget_s), 0),
                run.ending.to_owned(),
                whole(run.vus),
                whole(interval.map(|i| i.low)),
                whole(interval.and_then(|i| i.high)),
                whole(system.truth.vus),
                number(interval.and_then(|i| i.half_width).map(|w| 100.0 * w), 3),
                interval.map_or(String::new(), |i| i.as_asked.to_string()),
                run.without_reserve.to_string(),
                number(Some(run.cost_s), 1),
                run.visits.to_string(),
                number(Some(run.cpu_ms), 1),
            ];
            writer.write_record(record).map_err(|e| failed(&e))?;
        }
    }
    bytes(writer)
}

fn bytes(writer: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, ReportError> {
    writer
        .into_inner()
        .map_err(|e| ReportError::Csv(e.to_string()))
}

fn half(index: u32) -> &'static str {
    if index.is_multiple_of(2) {
        "calibrate"
    } else {
        "judge"
    }
}

fn of_system(system: &RandomSystem) -> Pool {
    Pool::of(system.runs.iter().map(|run| (&system.truth, run)))
}

/// What it came to, for the terminal.
pub fn random_text(report: &RandomReport) -> String {
    let mut out = String::new();
    let all = || {
        report
            .systems
            .iter()
            .flat_map(|s| s.runs.iter().map(move |run| (s, run)))
    };
    let total = Pool::of(all().map(|(s, run)| (&s.truth, run)));
    headline(&mut out, report, &total);
    let met = Pool::of((all().filter(|(s, _)| !s.is_rare())).map(|(s, run)| (&s.truth, run)));
    without_rare(&mut out, report, &met);
    let mut by_kind: BTreeMap<&str, Vec<(&LabTruth, &RandomRun)>> = BTreeMap::new();
    let mut by_budget: BTreeMap<u64, Vec<(&LabTruth, &RandomRun)>> = BTreeMap::new();
    for (system, run) in all() {
        let of_kind = by_kind.entry(system.kind).or_default();
        of_kind.push((&system.truth, run));
        let budget = Duration::from_secs_f64(run.budget_s).as_secs();
        by_budget
            .entry(budget)
            .or_default()
            .push((&system.truth, run));
    }
    let kinds = by_kind.iter().map(|(kind, runs)| {
        let systems = count(report.systems.iter().filter(|s| s.kind == *kind));
        (
            format!("{kind} ({systems})"),
            Pool::of(runs.iter().copied()),
        )
    });
    table(&mut out, "kind (systems)", kinds);
    let budgets = by_budget
        .iter()
        .map(|(seconds, runs)| (format!("{seconds} s"), Pool::of(runs.iter().copied())));
    table(
        &mut out,
        "budget",
        budgets.chain([("all".to_owned(), total.clone())]),
    );
    worst(&mut out, report);
    out
}

fn headline(out: &mut String, report: &RandomReport, total: &Pool) {
    let systems = count(&report.systems);
    let _ = write!(out, "{systems} systems drawn with seed {}", report.seed);
    if report.left_out > 0 {
        let _ = write!(
            out,
            ", {} more left out after too many draws",
            report.left_out
        );
    }
    out.push('\n');
    let rejected: Vec<String> = report
        .rejected
        .iter()
        .map(|(why, n)| format!("{n} {why}"))
        .collect();
    if !rejected.is_empty() {
        let _ = writeln!(out, "redrawn: {}", rejected.join("; "));
    }
    coverage(out, total, "");
    weak(out, report.systems.iter(), "");
    out.push('\n');
}

/// The same without the systems whose events come too seldom to be met, where there are any.
fn without_rare(out: &mut String, report: &RandomReport, met: &Pool) {
    let rare = count(report.systems.iter().filter(|s| s.is_rare()));
    if rare == 0 {
        return;
    }
    let _ = writeln!(
        out,
        "without the {rare} systems whose events occur less than once per {:.0} minutes:",
        RARE_S / 60.0
    );
    coverage(out, met, "  ");
    weak(out, report.systems.iter().filter(|s| !s.is_rare()), "  ");
    out.push('\n');
}

/// How many of the intervals held the truth.
fn coverage(out: &mut String, pool: &Pool, indent: &str) {
    if let (Some(coverage), Some(ends)) = (
        pool.coverage(),
        stats::wilson(pool.held, pool.intervals, CONFIDENCE),
    ) {
        let _ = writeln!(
            out,
            "{indent}{:.1} % of {} intervals contained the true breakpoint (95 % CI {:.1} – {:.1} \
             %)",
            100.0 * coverage,
            pool.intervals,
            100.0 * ends.low,
            100.0 * ends.high
        );
    }
}

/// How many of the systems fare badly.
fn weak<'a>(out: &mut String, systems: impl Iterator<Item = &'a RandomSystem>, indent: &str) {
    let with: Vec<f64> = systems.filter_map(|s| of_system(s).coverage()).collect();
    let weak = count(with.iter().filter(|c| **c < WEAK));
    if let Some(share) = ratio(weak, count(&with)) {
        let _ = writeln!(
            out,
            "{indent}{:.1} % of the systems ({weak} of {}) have a coverage below {:.0} %",
            100.0 * share,
            with.len(),
            100.0 * WEAK
        );
    }
}

fn table(out: &mut String, title: &str, rows: impl Iterator<Item = (String, Pool)>) {
    let mut lines = vec![HEAD.map(str::to_owned).to_vec()];
    title.clone_into(&mut lines[0][0]);
    for (name, pool) in rows {
        let mut line = vec![name];
        line.extend(pool.cells());
        lines.push(line);
    }
    columns(out, &lines);
    out.push('\n');
}

/// The systems with the lowest coverage, among equals those with the largest errors.
fn worst(out: &mut String, report: &RandomReport) {
    let mut pools: Vec<(&RandomSystem, Pool, f64)> = report
        .systems
        .iter()
        .map(|s| {
            let pool = of_system(s);
            let error = mean(pool.errors_pct.iter().map(|e| e.abs())).unwrap_or(0.0);
            (s, pool, error)
        })
        .collect();
    pools.sort_by(|a, b| {
        let coverage = |pool: &Pool| pool.coverage().unwrap_or(1.0);
        let by_coverage = coverage(&a.1).total_cmp(&coverage(&b.1));
        by_coverage.then(b.2.total_cmp(&a.2))
    });
    let head = [
        "worst",
        "kind",
        "SLO",
        "truth",
        "intervals",
        "held",
        "median error",
        "half-width",
        "far off",
    ];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    let percent = |v: Option<f64>| v.map_or("-".to_owned(), |v| format!("{v:+.1} %"));
    for (system, pool, _) in pools.iter().take(WORST) {
        lines.push(vec![
            system.name.clone(),
            system.kind.to_owned(),
            escape::cell(&system.slo.join(" ")),
            whole(system.truth.vus),
            pool.intervals.to_string(),
            pool.held.to_string(),
            percent(quantile(&pool.errors_pct, 0.5)),
            percent(quantile(&pool.widths_pct, 0.5)),
            pool.far_off.to_string(),
        ]);
    }
    columns(out, &lines);
}

#[cfg(test)]
mod tests {
    use super::super::found::Interval;
    use super::*;
    use crate::measure::LevelUnit;

    /// A search that named a number and an interval of this half-width around it, VUs.
    fn run(budget_s: f64, vus: u32, half: u32) -> RandomRun {
        RandomRun {
            budget_s,
            run: LabRun {
                method: "ours",
                run: 0,
                seed: 1,
                ending: "found",
                vus: Some(vus),
                interval: Some(Interval {
                    low: vus - half,
                    high: Some(vus + half),
                    half_width: Some(f64::from(half) / f64::from(vus)),
                    as_asked: half <= 5,
                }),
                cost_s: budget_s,
                visits: 3,
                named_as_expected: Some(true),
                without_reserve: true,
                cpu_ms: 1.0,
            },
        }
    }

    fn system(index: u32, kind: &'static str, runs: Vec<RandomRun>) -> RandomSystem {
        RandomSystem {
            index,
            name: format!("r{index:04}"),
            kind,
            parameters: "{}".to_owned(),
            slo: vec!["p99<2s".to_owned()],
            truth: LabTruth {
                unit: LevelUnit::Vus,
                vus: Some(100),
                from_above_vus: None,
                se_pct: 0.3,
                how: "simulated".to_owned(),
            },
            events_every_s: None,
            runs,
        }
    }

    fn report() -> RandomReport {
        let mut none = run(180.0, 100, 1);
        none.run.vus = None;
        none.run.interval = None;
        none.run.ending = "undecided";
        none.run.without_reserve = false;
        RandomReport {
            systems: vec![
                system(0, "plain", vec![run(180.0, 100, 5), run(900.0, 104, 5)]),
                system(
                    1,
                    "limit",
                    vec![run(180.0, 130, 20), run(900.0, 80, 4), none],
                ),
            ],
            rejected: vec![("never breaks", 2)],
            left_out: 1,
            seed: 7,
        }
    }

    #[test]
    fn searches_are_pooled_over_systems_kinds_and_budgets() {
        let report = report();
        let runs = |s: &RandomSystem| s.runs.clone();
        let of: Vec<(LabTruth, RandomRun)> = report
            .systems
            .iter()
            .flat_map(|s| runs(s).into_iter().map(|r| (s.truth.clone(), r)))
            .collect();
        let pool = Pool::of(of.iter().map(|(truth, run)| (truth, run)));
        assert_eq!((pool.runs, pool.intervals, pool.held), (5, 4, 2));
        assert_eq!((pool.below, pool.above), (1, 1));
        assert_eq!((pool.named, pool.without_reserve, pool.far_off), (4, 4, 1));
        assert_eq!((pool.claimed, pool.claimed_right), (3, 2));
        let text = random_text(&report);
        for wanted in [
            "2 systems drawn with seed 7, 1 more left out",
            "redrawn: 2 never breaks",
            "50.0 % of 4 intervals contained the true breakpoint (95 % CI 15.0",
            "50.0 % of the systems (1 of 2) have a coverage below 85 %",
            "limit (1)",
            "900 s",
        ] {
            assert!(text.contains(wanted), "{wanted} is not in\n{text}");
        }
        assert!(!text.contains("without the"), "{text}");
        // Of what comes every ten minutes a search need not have met one.
        let mut rare = report.clone();
        rare.systems[1].events_every_s = Some(600.0);
        let text = random_text(&rare);
        let wanted = "without the 1 systems whose events occur less than once per 5 minutes:\n  \
            100.0 % of 2 intervals";
        assert!(text.contains(wanted), "{text}");
        rare.systems[1].events_every_s = Some(300.0);
        assert!(!random_text(&rare).contains("without the"));
        let text = random_text(&report);
        // The worst comes first.
        let worst = text.split("worst").nth(1).unwrap();
        assert!(worst.find("r0001").unwrap() < worst.find("r0000").unwrap());
    }

    #[test]
    fn the_tables_have_a_row_per_system_and_per_run() {
        let files = random_files(&report()).unwrap();
        let text = |n: usize| String::from_utf8(files[n].1.clone()).unwrap();
        let systems = text(0);
        let rows: Vec<&str> = systems.lines().collect();
        assert_eq!(rows.len(), 3);
        assert!(rows[1].starts_with(
            "r0000,0,calibrate,plain,p99<2s,100,0.300,simulated,,2,2,1.0000,0.0000,0.0000,2.000,2.000,"
        ), "{}", rows[1]);
        assert!(rows[2].starts_with(
            "r0001,1,judge,limit,p99<2s,100,0.300,simulated,,3,2,0.0000,0.5000,0.5000,"
        ));
        let runs = text(1);
        let rows: Vec<&str> = runs.lines().collect();
        assert_eq!(rows.len(), 6);
        assert_eq!(
            rows[5],
            "r0001,1,limit,0,1,180,undecided,,,,100,,,false,180.0,3,1.0"
        );
    }
}
