//! What a journal holds, cut off and damaged; and made-up lines for other tests.

use super::*;
use crate::measure::Level;
use crate::record::Purpose;
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
        purpose: Purpose::Bracket,
        verdict: Verdict::Held,
        valid: true,
        left_early: false,
        // A value of nothing over its bound.
        evidence: vec![Evidence::LogRatio(f64::NEG_INFINITY), Evidence::None],
        tails: vec![None, None],
        throughput: Some(0.1),
        hold_s: 30.0,
        cost_s: 41.25,
        flow: Vec::new(),
    };
    Entry {
        told: Told {
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
