//! JSON whose members keep their order, and whose parts are shared instead of copied.

use std::fmt;
use std::rc::Rc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// The longest text that is made of a value, bytes.
const MAX_TEXT: usize = 64 << 20;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(Rc<str>),
    /// An array.
    Array(Rc<Vec<Json>>),
    /// An object: its members in order, as often as they were written.
    Object(Rc<Vec<(Rc<str>, Json)>>),
}

impl Json {
    /// Reads a document.
    ///
    /// # Errors
    /// Why it is not JSON.
    pub fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|e| e.to_string())
    }

    /// Reads several documents, one after the other, as an array.
    ///
    /// # Errors
    /// Why one of them is not JSON.
    pub fn parse_lines(text: &str) -> Result<Self, String> {
        let documents = serde_json::Deserializer::from_str(text).into_iter();
        let all: Result<Vec<Self>, _> = documents.collect();
        all.map(|all| Self::Array(Rc::new(all)))
            .map_err(|e| e.to_string())
    }

    /// A count as a number.
    pub(super) fn count(count: usize) -> Self {
        Self::Number(Number::from(count))
    }

    /// Its text without spaces, unless that is too long.
    pub fn text(&self) -> Option<String> {
        let mut out = String::new();
        self.write(&mut out)?;
        Some(out)
    }

    fn write(&self, out: &mut String) -> Option<()> {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(number) => out.push_str(&number.to_string()),
            Self::String(text) => quote(text, out)?,
            Self::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(out)?;
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (i, (name, value)) in members.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    quote(name, out)?;
                    out.push(':');
                    value.write(out)?;
                }
                out.push('}');
            }
        }
        (out.len() <= MAX_TEXT).then_some(())
    }
}

/// Writes a string with its quotes.
fn quote(text: &str, out: &mut String) -> Option<()> {
    if out.len() + text.len() > MAX_TEXT {
        return None;
    }
    out.push_str(&serde_json::to_string(text).ok()?);
    Some(())
}

impl From<&serde_json::Value> for Json {
    fn from(value: &serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(is) => Self::Bool(*is),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::String(text.as_str().into()),
            Value::Array(items) => Self::Array(Rc::new(items.iter().map(Self::from).collect())),
            Value::Object(members) => Self::Object(Rc::new(
                members
                    .iter()
                    .map(|(name, value)| (name.as_str().into(), Self::from(value)))
                    .collect(),
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, is: bool) -> Result<Json, E> {
        Ok(Json::Bool(is))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Number::from_f64(number).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(Rc::new(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            members.push((Rc::from(name), value));
        }
        Ok(Json::Object(Rc::new(members)))
    }
}
