//! What versions before this one wrote is read and rendered.
//!
//! `tests/upgrades/` has a file of each schema version as a release or commit of its time wrote it,
//! shortened to two seconds a probe. A file is never made anew: when a schema changes, one of the
//! version before is added.

use std::fs;
use std::path::PathBuf;

use breakpoint::journal::{self, JOURNAL_VERSION};
use breakpoint::record::{
    COMPARE_SCHEMA_VERSION, Ending, NoticedKind, OLDEST_SCHEMA_VERSION, ProbeRecord, Purpose,
    RAMP_SCHEMA_VERSION, RunRecord, SCHEMA_VERSION,
};
use breakpoint::report::{self, CompareFormat, Format, RampFormat};

fn fixture(name: &str) -> Vec<u8> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/upgrades");
    fs::read(dir.join(name)).unwrap()
}

/// Every recorded run, with the schema version that its file says.
fn runs() -> Vec<(u32, RunRecord)> {
    let names = [
        "run-schema-1.json",
        "run-schema-1-with-outlook.json",
        "run-schema-2.json",
        "run-schema-3.json",
    ];
    let read = |name: &&str| {
        let bytes = fixture(name);
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let version = u32::try_from(json["schema_version"].as_u64().unwrap()).unwrap();
        (version, report::read(&bytes).unwrap())
    };
    names.iter().map(read).collect()
}

#[test]
fn there_is_a_run_of_every_schema_version() {
    let versions: Vec<u32> = runs().iter().map(|(version, _)| *version).collect();
    for version in OLDEST_SCHEMA_VERSION..=SCHEMA_VERSION {
        assert!(versions.contains(&version), "{version} is in no fixture");
    }
}

#[test]
fn runs_of_every_version_say_what_they_said_in_every_format() {
    for (version, run) in runs() {
        let answer = &run.answer;
        assert_eq!(answer.ending, Ending::Found);
        // The real stack of 2026-11-22, as the README has it.
        assert_eq!(
            (answer.breakpoint, answer.ci_low, answer.ci_high),
            (Some(1019), Some(1003), Some(1029)),
            "schema {version}"
        );
        assert_eq!(run.probes.len(), 11);
        let summary = report::summary(&run);
        for part in ["1 019 VUs", "held", "broke", "bottleneck"] {
            assert!(summary.contains(part), "{part}: {summary}");
        }
        for format in Format::of(&run) {
            let bytes = format.render(&run).unwrap();
            assert!(!bytes.is_empty(), "{format:?} of schema {version}");
        }
    }
}

#[test]
fn what_a_version_did_not_know_yet_is_not_there_and_what_it_knew_is() {
    for (version, run) in runs() {
        let answer = &run.answer;
        let first = run.probes[0].purpose;
        let summary = report::summary(&run);
        if version < 3 {
            assert!(answer.noticed.is_empty() && answer.curves.is_empty());
            assert_eq!((&answer.unseen, first), (&None, Purpose::Bracket));
            continue;
        }
        assert_eq!(answer.noticed[0].kind, NoticedKind::WarmedUp);
        assert_eq!(answer.curves[0].points.len(), 3);
        assert_eq!(first, Purpose::WarmUp);
        assert!(summary.contains("warmed up (0 s to 40 s)"), "{summary}");
        assert!(
            summary.contains("not covered     a pause of 3 s"),
            "{summary}"
        );
        let broke = |p: &&ProbeRecord| !p.exchanges.is_empty();
        let broke = run.probes.iter().find(broke).unwrap();
        assert_eq!(broke.exchanges[0].text, "> POST /ask HTTP/1.1");
        assert_eq!(broke.log_kinds[0].count, 2);
        let ways: Vec<u64> = (broke.steps.iter())
            .flat_map(|s| &s.failures)
            .map(|way| way.count)
            .collect();
        assert_eq!(ways, [298]);
        assert_eq!(run.plan.longest_s, Some(1800.0));
    }
}

#[test]
fn ramps_comparisons_and_journals_of_every_version_are_read() {
    assert_eq!(RAMP_SCHEMA_VERSION, 1, "add a fixture of the one before");
    let ramp = report::read_ramp(&fixture("ramp-schema-1.json")).unwrap();
    assert_eq!(ramp.stages.len(), 5);
    for format in RampFormat::of(&ramp) {
        assert!(!format.render(&ramp).unwrap().is_empty(), "{format:?}");
    }
    assert_eq!(COMPARE_SCHEMA_VERSION, 1, "add a fixture of the one before");
    let comparison = report::read_comparison(&fixture("compare-schema-1.json")).unwrap();
    assert_eq!(comparison.runs.len(), 2);
    for format in CompareFormat::of(&comparison) {
        assert!(
            !format.render(&comparison).unwrap().is_empty(),
            "{format:?}"
        );
    }
    assert_eq!(JOURNAL_VERSION, 1, "add a fixture of the one before");
    let journal = journal::read(&fixture("journal-1.jsonl")).unwrap();
    assert!(!journal.torn && journal.entries.len() == 3);
    let indices = journal.entries.iter().map(|e| e.probe.index);
    assert!(indices.eq(0..journal.entries.len()));
}
