//! An example of what a schema allows: its own, its default, the first of an enumeration, else one
//! that is made.

use serde_json::{Map, Number, Value};

use super::document::Document;

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
            _ => Value::String(text(schema)),
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

fn whole(schema: &Value) -> i64 {
    let of = |key: &str| schema.get(key).and_then(Value::as_i64);
    let above = of("exclusiveMinimum").map(|n| n.saturating_add(1));
    let least = of("minimum").or(above);
    let most = of("maximum").or(of("exclusiveMaximum").map(|n| n.saturating_sub(1)));
    let value = least.unwrap_or(1).max(least.unwrap_or(i64::MIN));
    most.map_or(value, |most| value.min(most))
}

fn number(schema: &Value) -> Value {
    let of = |key: &str| schema.get(key).and_then(Value::as_f64);
    let above = of("exclusiveMinimum").map(|x| x + 1.0);
    let least = of("minimum").or(above).unwrap_or(1.5);
    let value = of("maximum").map_or(least, |most| least.min(most));
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
