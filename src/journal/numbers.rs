//! The numbers of a journal before a search goes on with them: whoever wrote the file may have put
//! anything there. (A record is only shown, whatever its numbers are.)

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Ends of the names of times and spans, which are seconds.
const SECONDS: &str = "_s";
/// Longest time that is believed, seconds: three thousand years. What is recorded is far below, the
/// time of day of a metric included, and a clock still reckons with it.
const MOST_SECONDS: f64 = 1e11;

/// Looks at every number of a JSON text and keeps nothing of it.
///
/// # Errors
/// When a time is beyond all sense, or the text is no JSON.
pub(super) fn check(json: &[u8]) -> Result<(), serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    WithinBounds { key: "" }.deserialize(&mut deserializer)?;
    deserializer.end()
}

/// A value, and the key that it or the array around it stands at.
#[derive(Clone, Copy)]
struct WithinBounds<'k> {
    key: &'k str,
}

impl WithinBounds<'_> {
    fn number<E: Error>(self, value: f64) -> Result<(), E> {
        if self.key.ends_with(SECONDS) && value.abs() > MOST_SECONDS {
            let key = self.key;
            return Err(E::custom(format!(
                "`{key}` is {value:e}, which is not a time"
            )));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for WithinBounds<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

#[expect(clippy::cast_precision_loss, reason = "compared with what is no time")]
impl<'de> Visitor<'de> for WithinBounds<'_> {
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
            map.next_value_seed(WithinBounds { key: &key })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_beyond_all_sense_are_told_wherever_they_stand() {
        for json in [
            r#"{"judged_s": 1e308}"#,
            r#"{"a": [{"b": {"at_s": -1e12}}]}"#,
            r#"{"a": {"spans_s": [1, 2, 18446744073709551615]}}"#,
        ] {
            let error = check(json.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("is not a time"), "{error}");
        }
        for json in [
            r#"{"judged_s": 1.5, "rss": 1e308, "last_s": 1.8e9, "name": "1e308", "x": [true, null]}"#,
            "[]",
        ] {
            check(json.as_bytes()).unwrap();
        }
        check(b"{} {}").unwrap_err();
    }
}
