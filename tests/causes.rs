//! The rules of `cause` on runs that were recorded while `stack/provoke/run` broke the reference stack: what was named there is
//! named again from the record, on machines that have neither the stack nor control groups.
//!
//! A file of `tests/causes/` is a run's `result.json` with the broken probe that was nearest above the breakpoint, the probe before it
//! and the one that it is compared with (`stack/provoke/record` makes it).
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use breakpoint::cause::{Baseline, Case, causes};
use breakpoint::measure::{
    FailureCounts, FailureKind, Histogram, LogLine, Measurement, Second, StepNames, StepWindow,
    Window,
};
use breakpoint::record::{
    LimitingResource, ProbeRecord, RunRecord, SecondRecord, StepSecond, Sureness,
};
use breakpoint::slo::Verdict;

/// Levels nearer than this are not compared.
const CLEARLY_MORE: f64 = 1.1;

fn recorded() -> Vec<(String, RunRecord)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/causes");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let json = std::fs::read(path).unwrap();
        (name, breakpoint::report::read(&json).unwrap())
    };
    files.into_iter().map(read).collect()
}

/// The broken probe that the file is about: the last.
fn broken(record: &RunRecord) -> &ProbeRecord {
    let probe = record.probes.last().expect("a probe");
    assert_eq!(probe.verdict, Verdict::Broke);
    probe
}

/// So many requests that took as long as the middle one did.
fn times(n: u64, each_s: Option<f64>) -> Histogram {
    let each = Duration::from_secs_f64(each_s.unwrap_or(0.0));
    Histogram::of(vec![each; usize::try_from(n).unwrap()])
}

fn step(second: &StepSecond) -> StepWindow {
    let mut failed = FailureCounts::default();
    failed.add_n(FailureKind::Status, second.failed);
    StepWindow {
        latency: times(second.completed, second.p50_s),
        failed,
        shed: second.shed,
        in_flight: times(second.in_flight, second.oldest_in_flight_s),
        ..StepWindow::default()
    }
}

fn second(record: &SecondRecord, probe: &ProbeRecord) -> Second {
    let span = Duration::from_secs_f64(record.span_s);
    Second {
        window: Window {
            start: Duration::from_secs_f64((record.t_s - record.span_s).max(0.0)),
            span,
            level: probe.level,
            vus: record.vus,
            at_level: true,
            steps: record.steps.iter().map(step).collect(),
            generator: record.generator,
        },
        readings: record.readings.clone(),
    }
}

fn named_again(record: &RunRecord) -> Vec<LimitingResource> {
    let probe = broken(record);
    let before_it = record
        .probes
        .len()
        .checked_sub(2)
        .map(|i| &record.probes[i]);
    let last_before = before_it.and_then(|p| p.seconds.last());
    let seconds = |hold| {
        let of = probe.seconds.iter().filter(move |s| s.hold == hold);
        of.map(|s| second(s, probe)).collect::<Vec<_>>()
    };
    let (before, mut hold) = (seconds(false), seconds(true));
    if hold.is_empty() {
        hold.clone_from(&before);
    }
    let measurement = Measurement {
        level: probe.level,
        before: None,
        readings_before: last_before.map_or_else(Vec::new, |s| s.readings.clone()),
        hold,
        settled: probe.settled,
    };
    let plan = &record.plan;
    let (_, parts) = plan.steps.split_last().expect("the cycle is always there");
    let main = Some(plan.main_step).filter(|m| *m < parts.len());
    let steps = StepNames::new(parts.to_vec(), main);
    let baseline = (record.probes.iter())
        .filter(|p| p.verdict == Verdict::Held)
        .filter(|p| f64::from(p.level.get()) * CLEARLY_MORE < f64::from(probe.level.get()))
        .max_by_key(|p| p.level)
        .map(|p| Baseline {
            level: p.level.get().into(),
            throughput: p.throughput_per_s.unwrap(),
            median_s: p.steps[steps.main()].latency.quantile_s(0.5),
        });
    let lines: Vec<(f64, LogLine)> = (probe.log.iter())
        .filter(|l| l.at_s > probe.start_s)
        .map(|l| {
            let line = LogLine {
                monitor: l.monitor.clone(),
                text: l.text.clone(),
                more: 0,
            };
            (l.at_s - probe.start_s, line)
        })
        .collect();
    causes(&Case {
        measurement: &measurement,
        before: &before,
        lines: &lines,
        steps: &steps,
        limits: &plan.limits,
        baseline,
        unit: plan.unit,
        users_are_searched: plan.users_are_searched(),
        think_s: plan.think_s,
        cpus: record.environment.cpus,
    })
}

type Named = (String, String, Sureness);

fn named(cause: &LimitingResource) -> Named {
    let kind = cause.kind.expect("a kind").name();
    (kind.to_owned(), cause.resource.clone(), cause.sureness)
}

#[test]
fn what_was_named_then_is_named_again_from_the_record() {
    let all = recorded();
    assert!(all.len() >= 15, "one of each fault, not {}", all.len());
    for (fault, record) in all {
        let probe = broken(&record);
        let then = probe.limiting_resource.as_ref().expect("a cause");
        let now = named_again(&record);
        let first = now
            .first()
            .unwrap_or_else(|| panic!("{fault}: nothing is named"));
        assert_eq!(named(first), named(then), "{fault}: {now:?}");
    }
}

#[test]
fn without_what_the_monitors_read_the_same_runs_name_nothing_for_certain() {
    for (fault, mut record) in recorded() {
        for probe in &mut record.probes {
            probe.log.clear();
            for second in &mut probe.seconds {
                second.readings.clear();
            }
        }
        let now = named_again(&record);
        let certain = now.iter().find(|c| c.sureness == Sureness::Certain);
        assert_eq!(certain, None, "{fault}");
    }
}
