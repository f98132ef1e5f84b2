//! What a journal holds, cut off and damaged; and made-up lines for other tests.

use proptest::prelude::*;

use super::*;
use crate::measure::Level;
use crate::samples;
use crate::slo::{Evidence, Verdict};

pub(crate) fn head(profile: &str) -> Head {
    Head {
        journal_version: JOURNAL_VERSION,
        breakpoint_version: "0.1.0".to_owned(),
        profile: profile.to_owned(),
        started_at: "2026-11-26T00:00:00Z".to_owned(),
        folder: "/srv".to_owned(),
        command: vec!["find".to_owned(), "gateway".to_owned()],
        profile_crc32: Some(7),
        script_crc32: None,
    }
}

pub(crate) fn entry(probe: ProbeRecord) -> Entry {
    let visit = Visit {
        probe: probe.index,
        level: probe.level,
        from: Level::ZERO,
        began_s: 1.5,
        crashed_after_s: None,
        purpose: probe.purpose,
        verdict: Verdict::Held,
        valid: true,
        left_early: false,
        // A value of nothing over its bound.
        evidence: vec![Evidence::LogRatio(f64::NEG_INFINITY), Evidence::None],
        tails: vec![None, None],
        throughput: Some(0.1),
        latency: None,
        hold_s: 30.0,
        cost_s: 41.25,
        flow: Vec::new(),
        outgrown: false,
        earlier: false,
        overflows: false,
    };
    Entry {
        input: SearchInput {
            asked_s: 0.1 + 0.2,
            judged_s: 43.0,
            visit,
            warnings: vec!["a \"note\"\n".to_owned()],
        },
        probe,
    }
}

fn journal() -> (Vec<u8>, Vec<Entry>) {
    let entries: Vec<Entry> = samples::found().probes.into_iter().map(entry).collect();
    let mut bytes = head_line(&head("gateway")).unwrap();
    for e in &entries {
        bytes.extend(entry_line(e).unwrap());
    }
    (bytes, entries)
}

#[test]
fn a_journal_reads_back_exactly() {
    let (bytes, entries) = journal();
    let journal = read(&bytes).unwrap();
    assert_eq!(journal.head, head("gateway"));
    assert_eq!(journal.entries, entries);
    assert_eq!((journal.whole, journal.torn), (bytes.len(), false));
}

#[test]
fn cut_off_anywhere_it_gives_every_whole_line() {
    let (bytes, entries) = journal();
    let ends: Vec<usize> = (0..bytes.len()).filter(|i| bytes[*i] == b'\n').collect();
    let step = (bytes.len() / 400).max(1);
    for cut in (0..bytes.len()).step_by(step).chain([bytes.len() - 1]) {
        let lines = ends.iter().filter(|end| **end < cut).count();
        match read(&bytes[..cut]) {
            Ok(journal) => {
                assert_eq!(journal.entries, entries[..lines - 1]);
                assert_eq!(journal.whole, ends[lines - 1] + 1);
                assert_eq!(journal.torn, journal.whole != cut);
            }
            Err(error) => assert_eq!((error, lines), (JournalError::Empty, 0)),
        }
    }
}

#[test]
fn a_changed_byte_is_told_with_its_line() {
    let (bytes, _) = journal();
    let second = bytes.iter().position(|b| *b == b'\n').unwrap() + 1;
    for at in [3, second + 2, second + 400] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        let line = if at < second { 1 } else { 2 };
        assert_eq!(read(&damaged), Err(JournalError::Damaged { line }), "{at}");
    }
}

#[test]
fn another_version_is_told() {
    let other = line(br#"{"journal_version":9,"breakpoint_version":"7.0.0"}"#);
    let error = read(&other).unwrap_err().to_string();
    assert!(
        error.contains("its format is 9") && error.contains("breakpoint 7.0.0"),
        "{error}"
    );
    let (mut bytes, _) = journal();
    bytes.extend(line(b"{}"));
    let error = read(&bytes).unwrap_err().to_string();
    assert!(error.contains("missing field"), "{error}");
}

/// The journal with its lines in this order, 0 the head.
fn reordered(lines: &[usize]) -> Result<Journal, JournalError> {
    let (bytes, _) = journal();
    let whole: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').collect();
    let chosen: Vec<&[u8]> = lines.iter().map(|i| whole[*i]).collect();
    read(&chosen.concat())
}

#[test]
fn lines_that_are_there_twice_swapped_or_left_out_are_told_and_not_counted() {
    for (lines, line) in [
        (&[0, 1, 2, 2, 3][..], 4),
        (&[0, 1, 1], 3),
        (&[0, 2, 1], 2),
        (&[0, 1, 3], 3),
        (&[0, 1, 2, 1, 2], 4),
    ] {
        let told = reordered(lines);
        let here = matches!(&told, Err(JournalError::Misplaced { line: l, .. }) if *l == line);
        assert!(here, "{lines:?}: {told:?}");
    }
    assert_eq!(reordered(&[0, 1, 2]).unwrap().entries.len(), 2);
    // A head again is no probe.
    let error = reordered(&[0, 1, 0]).unwrap_err();
    assert!(
        matches!(error, JournalError::Unknown { line: 3, .. }),
        "{error}"
    );
}

type Change = fn(&mut Entry);

#[test]
fn a_line_that_tells_of_another_probe_or_of_no_time_is_told() {
    let (_, entries) = journal();
    let told = |change: Change| {
        let mut second = entries[1].clone();
        change(&mut second);
        let lines = [&entries[0], &second].map(|e| entry_line(e).unwrap());
        read(&[head_line(&head("p")).unwrap(), lines.concat()].concat())
    };
    told(|_| {}).unwrap();
    let changes: [(Change, &str); 10] = [
        (
            |e| e.input.visit.evidence[0] = Evidence::LogRatio(f64::NAN),
            "no probe shows",
        ),
        (
            |e| {
                e.input.visit.evidence[0] = Evidence::Share {
                    bad: 2.0,
                    total: 1.0,
                    alpha: 0.01,
                }
            },
            "no probe shows",
        ),
        (|e| e.input.visit.throughput = Some(-1.0), "no probe shows"),
        (|e| e.input.visit.cost_s = -1.0, "no probe shows"),
        (|e| e.input.visit.level = Level(7), "another probe"),
        (|e| e.input.visit.probe = 0, "another probe"),
        (|e| e.input.judged_s = 42.0, "before the line above"),
        (|e| e.input.judged_s = 1e308, "which is not a time"),
        (|e| e.input.asked_s = -1.0, "before the line above"),
        (|e| e.probe.hold_s = -1e300, "which is not a time"),
    ];
    for (change, part) in changes {
        let error = told(change).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains(part), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 60, ..ProptestConfig::default() })]

    /// Whatever was typed and told, and whatever byte is lost, added or changed: what is read was
    /// written, in order from the first.
    #[test]
    fn damage_makes_up_no_line(
        command in prop::collection::vec(".{0,20}", 0..4),
        warnings in prop::collection::vec(".{0,20}", 0..3),
        times in (0.0..1e9_f64, 0.0..1e9_f64),
        at in any::<prop::sample::Index>(),
        change in prop_oneof![Just(None), any::<u8>().prop_map(Some)],
        adds in any::<bool>(),
    ) {
        let (_, mut entries) = journal();
        for entry in &mut entries {
            entry.input.warnings.clone_from(&warnings);
            (entry.input.asked_s, entry.input.judged_s) = times;
        }
        let head = Head { command, ..head("gateway") };
        let mut bytes = head_line(&head).unwrap();
        for entry in &entries {
            bytes.extend(entry_line(entry).unwrap());
        }
        prop_assert_eq!(&read(&bytes).unwrap().entries, &entries);
        let at = at.index(bytes.len());
        match (change, adds) {
            (Some(byte), true) => bytes.insert(at, byte),
            (Some(byte), false) => bytes[at] = byte,
            (None, _) => drop(bytes.remove(at)),
        }
        match read(&bytes) {
            Ok(journal) => {
                prop_assert_eq!(journal.head, head);
                prop_assert!(entries.starts_with(&journal.entries));
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
