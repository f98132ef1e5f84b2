//! The numbers of a record or a journal before anything is reckoned with them: whoever wrote the file may have put anything there.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Ends of the names of times and spans, which are seconds.
const SECONDS: &str = "_s";
/// Longest time that is believed, seconds: three thousand years. What is recorded is far below, the time of day of a metric included,
/// and a clock still reckons with it.
const MOST_SECONDS: f64 = 1e11;

/// Looks at every number of a JSON text and keeps nothing of it.
///
/// # Errors
/// When a time is beyond all sense, or the text is no JSON.
pub(crate) fn check(json: &[u8]) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    Looked { key: "" }.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// A value, and the key that it or the array around it stands at.
#[derive(Clone, Copy)]
struct Looked<'k> {
    key: &'k str,
}

impl Looked<'_> {
    fn number<E: Error>(self, value: f64) -> Result<(), E> {
        if self.key.ends_with(SECONDS) && value.abs() > MOST_SECONDS {
            let key = self.key;
            return Err(E::custom(format!("`{key}` is {value:e}, which is no time")));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Looked<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

#[expect(clippy::cast_precision_loss, reason = "compared with what is no time")]
impl<'de> Visitor<'de> for Looked<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number(value as f64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number(value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.number(value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<Cow<'_, str>>()? {
            map.next_value_seed(Looked { key: &key })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::report::{self, CompareFormat, Format, RampFormat};
    use crate::samples;

    #[test]
    fn times_beyond_all_sense_are_told_wherever_they_stand() {
        for json in [
            r#"{"judged_s": 1e308}"#,
            r#"{"a": [{"b": {"at_s": -1e12}}]}"#,
            r#"{"a": {"spans_s": [1, 2, 18446744073709551615]}}"#,
        ] {
            let error = check(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("is no time"), "{error}");
        }
        for json in [
            r#"{"judged_s": 1.5, "rss": 1e308, "last_s": 1.8e9, "name": "1e308", "x": [true, null]}"#,
            "[]",
        ] {
            check(json.as_bytes()).unwrap();
        }
        check(b"{} {}").unwrap_err();
    }

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

    /// What a number may be instead. A sample of them for each place, so that all are met over all places.
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
}
