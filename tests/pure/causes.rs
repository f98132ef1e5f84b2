//! The rules of `cause` on runs that were recorded while `stack/provoke/run` broke the reference
//! stack: what was named there is named again from the record, on machines that have neither the
//! stack nor control groups.
//!
//! A file of `tests/causes/` is a run's `result.json` with the broken probe that was nearest above
//! the breakpoint, the probe before it and the one that it is compared with (`stack/provoke/record`
//! makes it).

use std::path::{Path, PathBuf};

use breakpoint::cause::{Baseline, Case, Explained, ObservedProbe, explain, ruled_out};
use breakpoint::measure::StepTable;
use breakpoint::record::{LimitingResource, ProbeRecord, RunRecord, Sureness};
use breakpoint::slo::Verdict;

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

/// What the rules say of the broken probe, beside the others of the record.
fn explained(record: &RunRecord) -> Explained {
    let plan = &record.plan;
    let steps = StepTable::of_record(&plan.steps, plan.main_step);
    let probes = &record.probes;
    let seen: Vec<ObservedProbe> = (0..probes.len())
        .map(|i| {
            let previous = i.checked_sub(1).map(|i| &probes[i]);
            ObservedProbe::of_probe(&probes[i], previous, &steps)
        })
        .collect();
    assert_eq!(broken(record).level, probes[probes.len() - 1].level);
    let it = &seen[seen.len() - 1];
    explain(&Case {
        measurement: &it.measurement,
        before: &it.before,
        lines: &it.lines,
        steps: &steps,
        limits: &plan.limits,
        baseline: Baseline::of(&seen, it.measurement.level),
        seen: &seen,
        unit: plan.unit,
        users_are_searched: plan.users_are_searched(),
        think_s: plan.think_s,
        cpus: record.environment.cpus,
        round_trip_s: plan.round_trip_s(),
    })
}

type Named = (String, String, Sureness);

fn named(cause: &LimitingResource) -> Named {
    let kind = cause.kind.expect("a kind").name();
    // What records of older versions call it.
    let resource = cause
        .resource
        .replace("a fixed throughput", "throughput limit");
    (kind.to_owned(), resource, cause.sureness)
}

#[test]
fn what_was_named_then_is_named_again_from_the_record() {
    let all = recorded();
    assert!(all.len() >= 15, "one of each fault, not {}", all.len());
    for (fault, record) in all {
        let then = broken(&record).limiting_resource.as_ref().map(named);
        let now = explained(&record).causes;
        assert_eq!(now.first().map(named), then, "{fault}: {now:?}");
    }
}

#[test]
fn a_machine_that_is_as_full_where_the_slo_held_is_a_warning_and_no_finding() {
    let all = recorded();
    let of = |name: &str| {
        let found = all.iter().find(|(fault, _)| fault == name);
        explained(&found.unwrap_or_else(|| panic!("no {name}")).1)
    };
    let it = of("host-cpu-of-this-machine");
    assert_eq!(it.causes, []);
    let told = ruled_out([&it].into_iter());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(
        told[0].starts_with("the CPU of this machine was as saturated where the SLO held"),
        "{told:?}"
    );
}

#[test]
fn without_what_the_monitors_read_the_same_runs_name_nothing_for_certain() {
    for (fault, mut record) in recorded() {
        for probe in &mut record.probes {
            probe.log.clear();
            probe.log_kinds.clear();
            for second in &mut probe.seconds {
                second.readings.clear();
            }
        }
        let now = explained(&record).causes;
        let certain = now.iter().find(|c| c.sureness == Sureness::Certain);
        assert_eq!(certain, None, "{fault}");
    }
}
