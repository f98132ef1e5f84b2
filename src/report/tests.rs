//! Records of others with any number anywhere: every report of them is made, or they are refused.

use serde_json::Value;

use super::{CompareFormat, Format, RampFormat};
use crate::report;
use crate::samples;

/// Every number of a record by where it stands, the first of those that differ by an index alone.
fn places(value: &Value, at: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Number(_) => {
            let kind: String = at.chars().filter(|c| !c.is_ascii_digit()).collect();
            if found.iter().all(|(k, _)| *k != kind) {
                found.push((kind, at.to_owned()));
            }
        }
        Value::Array(items) => {
            let kind: String = at.chars().filter(|c| !c.is_ascii_digit()).collect();
            let kind = format!("{kind}/[]");
            if found.iter().all(|(k, _)| *k != kind) {
                found.push((kind, at.to_owned()));
            }
            for (i, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{i}"), found);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                places(item, &format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

/// What a number may be instead. A sample of them for each place, so that all are met over all
/// places.
const EXTREMES: [&str; 8] = [
    "1e308",
    "-1e308",
    "-1",
    "0",
    "18446744073709551615",
    "4294967295",
    "1e-320",
    "1e11",
];

fn each_number_extreme(json: &[u8], per_place: usize, mut read: impl FnMut(&[u8])) {
    let whole: Value = serde_json::from_slice(json).unwrap();
    let mut found = Vec::new();
    places(&whole, "", &mut found);
    assert!(found.len() > 10, "{}", found.len());
    for (i, (kind, at)) in found.iter().enumerate() {
        // A list may be empty.
        let lists = kind.ends_with("/[]");
        for n in 0..if lists { 1 } else { per_place } {
            let extreme = if lists {
                "[]"
            } else {
                EXTREMES[(i + n) % EXTREMES.len()]
            };
            let mut changed = whole.clone();
            *changed.pointer_mut(at).unwrap() = serde_json::from_str(extreme).unwrap();
            let bytes = serde_json::to_vec(&changed).unwrap();
            let went = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read(&bytes)));
            assert!(went.is_ok(), "{at} = {extreme}");
        }
    }
}

/// Whether every extreme is tried at every place, in pictures too: for a look after a change.
fn all() -> bool {
    std::env::var_os("BREAKPOINT_TEST_EXTREMES").is_some()
}

fn per_place() -> usize {
    if all() { EXTREMES.len() } else { 1 }
}

#[test]
fn no_number_of_a_record_of_another_breaks_a_report() {
    let run = Format::Json.render(&samples::found()).unwrap();
    each_number_extreme(&run, per_place(), |bytes| {
        if let Ok(record) = report::read(bytes) {
            drop(report::summary(&record));
            let formats = Format::of(&record);
            // The page has the same charts as the pictures.
            let text = |f: &Format| all() || !f.file_name(record.plan.unit).ends_with("png");
            for format in formats.filter(text) {
                drop(format.render(&record));
            }
        }
    });
    let ramp = RampFormat::Json.render(&samples::ramp()).unwrap();
    each_number_extreme(&ramp, per_place(), |bytes| {
        if let Ok(record) = report::read_ramp(bytes) {
            let text = |f: &RampFormat| all() || !f.file_name().ends_with("png");
            for format in RampFormat::of(&record).filter(text) {
                drop(format.render(&record));
            }
        }
    });
    let comparison = include_bytes!("../../tests/upgrades/compare-schema-1.json");
    each_number_extreme(comparison, per_place(), |bytes| {
        if let Ok(record) = report::read_comparison(bytes) {
            let text = |f: &CompareFormat| all() || !f.file_name().ends_with("png");
            for format in CompareFormat::of(&record).filter(text) {
                drop(format.render(&record));
            }
        }
    });
}
