//! An example of what a schema allows: its own, its default, the first of an enumeration, else one
//! that is made.

use serde_json::{Map, Number, Value};

use super::document::Document;
use super::pattern;

/// Levels of objects and lists within one another; a schema may hold itself.
const MOST_DEPTH: usize = 8;
/// Values of one example.
const MOST_VALUES: usize = 2_000;
/// Longest text that is made.
const MOST_LENGTH: u64 = 1_000;

/// An example of a schema.
pub(super) fn of_schema(document: &Document, schema: &Value) -> Value {
    let mut left = MOST_VALUES;
    Maker {
        document,
        left: &mut left,
    }
    .make(schema, MOST_DEPTH)
}

struct Maker<'a> {
    document: &'a Document,
    left: &'a mut usize,
}

impl Maker<'_> {
    fn make(&mut self, schema: &Value, depth: usize) -> Value {
        let schema = self.document.resolved(schema);
        if depth == 0 || *self.left == 0 {
            return Value::Null;
        }
        *self.left -= 1;
        if let Some(given) = given(schema) {
            return given;
        }
        if let Some(all) = schema.get("allOf").and_then(Value::as_array) {
            return self.all_of(schema, all, depth);
        }
        for key in ["oneOf", "anyOf"] {
            let choices = schema.get(key).and_then(Value::as_array);
            // Null is what a value may be where it is left out.
            let mut choices = choices.into_iter().flatten().take(50);
            let chosen = choices.find(|c| kind(self.document.resolved(c)) != "null");
            if let Some(choice) = chosen {
                return self.make(choice, depth - 1);
            }
        }
        match kind(schema) {
            "object" => Value::Object(self.object(schema, depth)),
            "array" => {
                let items = schema.get("items").unwrap_or(&Value::Null);
                let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(1);
                let count = usize::try_from(least.clamp(1, 5)).unwrap_or(1);
                (0..count).map(|_| self.make(items, depth - 1)).collect()
            }
            "integer" => Value::from(whole(schema)),
            "number" => number(schema),
            "boolean" => Value::Bool(true),
            "null" => Value::Null,
            _ => Value::String(self.text(schema)),
        }
    }

    fn all_of(&mut self, schema: &Value, all: &[Value], depth: usize) -> Value {
        let mut fields = Map::new();
        let mut other = Value::Null;
        for part in all.iter().take(50) {
            match self.make(part, depth - 1) {
                Value::Object(more) => fields.extend(more),
                value => other = value,
            }
        }
        if schema.get("properties").is_some() {
            fields.extend(self.object(schema, depth));
        }
        if fields.is_empty() {
            other
        } else {
            Value::Object(fields)
        }
    }

    /// A text; one that a pattern is not met by is noted for the reader.
    fn text(&self, schema: &Value) -> String {
        let Some(pattern) = schema.get("pattern").and_then(Value::as_str) else {
            return text(schema);
        };
        let length = |key: &str, default| {
            let given = schema.get(key).and_then(Value::as_u64).unwrap_or(default);
            usize::try_from(given.min(MOST_LENGTH)).unwrap_or(0)
        };
        let own = text(schema);
        if regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(&own)) {
            return own;
        }
        let (least, most) = (length("minLength", 0), length("maxLength", MOST_LENGTH));
        pattern::example(pattern, least, most).unwrap_or_else(|| {
            self.document.note_unmet(pattern);
            own
        })
    }

    /// Fields that must be there; all of them where none must.
    fn object(&mut self, schema: &Value, depth: usize) -> Map<String, Value> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let required = schema.get("required").and_then(Value::as_array);
        let is_required =
            |name: &str| required.is_none_or(|all| all.iter().any(|r| r.as_str() == Some(name)));
        let mut fields = Map::new();
        for (name, property) in properties.into_iter().flatten() {
            let property = self.document.resolved(property);
            let read_only = property.get("readOnly").and_then(Value::as_bool) == Some(true);
            if !read_only && is_required(name) && *self.left > 0 {
                fields.insert(name.clone(), self.make(property, depth - 1));
            }
        }
        fields
    }
}

/// What the schema itself says a value may be.
fn given(schema: &Value) -> Option<Value> {
    let first = |key: &str| match schema.get(key) {
        Some(Value::Array(all)) => all.first(),
        _ => None,
    };
    let example = schema.get("example").or_else(|| first("examples"));
    let example = example
        .or_else(|| schema.get("default"))
        .or_else(|| schema.get("const"));
    let example = example.or_else(|| first("enum"));
    example.filter(|e| !e.is_null()).cloned()
}

/// The type; of several the first that is not null, and without one what its keys say.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str);
            kinds.find(|k| *k != "null").unwrap_or("null")
        }
        _ if schema.get("properties").is_some() => "object",
        _ if schema.get("items").is_some() => "array",
        _ => "string",
    }
}

/// The bounds of a number: its least and its greatest value, each with whether the value itself is
/// left out. `OpenAPI` 3.0 says that with a truth value, 3.1 with the bound itself.
fn bounds(schema: &Value) -> [Option<(f64, bool)>; 2] {
    let stricter: [fn(f64, f64) -> bool; 2] =
        [|own, bound| own >= bound, |own, bound| own <= bound];
    let names = [
        ("minimum", "exclusiveMinimum"),
        ("maximum", "exclusiveMaximum"),
    ];
    [0, 1].map(|side| {
        let (with, without) = names[side];
        let bound = schema.get(with).and_then(Value::as_f64);
        let exclusive = schema.get(without);
        let own = exclusive.and_then(Value::as_f64);
        let left_out = exclusive.and_then(Value::as_bool) == Some(true);
        match (bound, own) {
            (Some(bound), Some(own)) if !stricter[side](own, bound) => Some((bound, false)),
            (_, Some(own)) => Some((own, true)),
            (Some(bound), None) => Some((bound, left_out)),
            (None, None) => None,
        }
    })
}

/// What values of a number are multiples of.
fn step_of(schema: &Value) -> Option<f64> {
    let step = schema.get("multipleOf").and_then(Value::as_f64);
    step.filter(|step| *step > 0.0 && step.is_finite())
}

/// The first multiple of a step within bounds, as near to a wanted value as may be.
fn multiple(wanted: f64, step: f64, [least, most]: [Option<(f64, bool)>; 2]) -> f64 {
    let fits = |value: f64| {
        least.is_none_or(|(least, out)| value > least || value >= least && !out)
            && most.is_none_or(|(most, out)| value < most || value <= most && !out)
    };
    let least = least.map_or(wanted, |(least, _)| wanted.max(least));
    let first = (least / step).ceil();
    let mut all = [0.0, 1.0, -1.0]
        .into_iter()
        .map(|more| (first + more) * step);
    all.find(|value| fits(*value)).unwrap_or(first * step)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a whole number that a float holds exactly, or a bound beyond all of them"
)]
fn whole(schema: &Value) -> i64 {
    // Bounds that are whole numbers are read as such: a float is not exact beyond 2^53.
    let exact = |key: &str| schema.get(key).and_then(Value::as_i64);
    let [least, most] = bounds(schema);
    if let Some(step) = step_of(schema) {
        return multiple(1.0, step.max(1.0), [least, most]) as i64;
    }
    let least = match least {
        Some((bound, true)) => Some((bound.floor() as i64).saturating_add(1)),
        Some((bound, false)) => exact("minimum").or(Some(bound.ceil() as i64)),
        None => None,
    };
    let most = match most {
        Some((bound, true)) => Some((bound.ceil() as i64).saturating_sub(1)),
        Some((bound, false)) => exact("maximum").or(Some(bound.floor() as i64)),
        None => None,
    };
    let value = least.unwrap_or(1);
    most.map_or(value, |most| value.min(most))
}

fn number(schema: &Value) -> Value {
    let [least, most] = bounds(schema);
    let value = match (step_of(schema), least, most) {
        (Some(step), ..) => multiple(1.0, step, [least, most]),
        (None, Some((least, false)), _) => least,
        (None, Some((least, true)), Some((most, _))) => f64::midpoint(least, most),
        (None, Some((least, true)), None) => least + 1.0,
        (None, None, Some((most, false))) => most.min(1.5),
        (None, None, Some((most, true))) => (most - 1.0).min(1.5),
        (None, None, None) => 1.5,
    };
    Number::from_f64(value).map_or(Value::from(1), Value::Number)
}

fn text(schema: &Value) -> String {
    let format = schema
        .get("format")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let made = match format {
        "date" => "2026-01-31",
        "date-time" => "2026-01-31T12:00:00Z",
        "time" => "12:00:00",
        "email" => "user@example.com",
        "uuid" => "3f2b1c84-5d6e-4f70-8a91-b2c3d4e5f607",
        "uri" | "url" => "http://example.com/",
        "hostname" => "example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "byte" => "dGV4dA==",
        _ => "",
    };
    if !made.is_empty() {
        return made.to_owned();
    }
    let of = |key: &str| schema.get(key).and_then(Value::as_u64);
    let mut text = "text".to_owned();
    if let Some(least) = of("minLength") {
        while (text.len() as u64) < least.min(MOST_LENGTH) {
            text.push('x');
        }
    }
    if let Some(most) = of("maxLength") {
        text.truncate(usize::try_from(most.min(MOST_LENGTH)).unwrap_or(0));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_keep_to_their_bounds_and_steps() {
        for (schema, wanted) in [
            (json!({ "minimum": 5, "exclusiveMinimum": true }), 6),
            (json!({ "exclusiveMinimum": 0 }), 1),
            (json!({ "exclusiveMinimum": 0.5 }), 1),
            (json!({ "maximum": 0, "exclusiveMaximum": true }), -1),
            (json!({ "exclusiveMaximum": -3 }), -4),
            (json!({ "multipleOf": 25 }), 25),
            (
                json!({ "multipleOf": 10, "minimum": 11, "maximum": 20 }),
                20,
            ),
            (json!({ "multipleOf": 10, "exclusiveMinimum": 20 }), 30),
            (
                json!({ "minimum": 9_007_199_254_740_993_i64 }),
                9_007_199_254_740_993,
            ),
        ] {
            assert_eq!(whole(&schema), wanted, "{schema}");
        }
        for (schema, wanted) in [
            (json!({ "exclusiveMinimum": 0, "exclusiveMaximum": 1 }), 0.5),
            (json!({ "exclusiveMinimum": 0 }), 1.0),
            (json!({ "exclusiveMaximum": 1 }), 0.0),
            (json!({ "multipleOf": 0.25, "exclusiveMinimum": 2 }), 2.25),
            (json!({ "minimum": 2.5 }), 2.5),
        ] {
            assert_eq!(number(&schema), json!(wanted), "{schema}");
        }
    }
}
