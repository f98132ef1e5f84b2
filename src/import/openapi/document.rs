//! A description as a tree, with its references.

use std::cell::RefCell;

use serde_json::Value;

use super::example;

/// Bytes of a description that is read.
const MOST_BYTES: usize = 32 << 20;
/// Patterns of one request that are noted.
const MOST_UNMET: usize = 20;
/// Signs of one that are shown.
const MOST_SHOWN: usize = 100;
/// References that lead to one another.
const MOST_REFERENCES: usize = 32;

/// A description.
pub(super) struct Document {
    root: Value,
    /// Patterns for which no example could be made.
    unmet: RefCell<Vec<String>>,
}

impl Document {
    /// Reads JSON, else YAML.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if text.len() > MOST_BYTES {
            return Err("it is longer than 32 MiB".to_owned());
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let root = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|e| format!("it is not JSON: {e}"))?
        } else {
            // It counts what aliases make of a text, and ends where that is too much.
            serde_saphyr::from_str(text).map_err(|e| {
                let why = e.to_string();
                let first = why.lines().next().unwrap_or_default();
                format!("it is neither JSON nor YAML that can be read: {first}")
            })?
        };
        Ok(Self {
            root,
            unmet: RefCell::default(),
        })
    }

    /// Notes that no example could be made that this pattern matches.
    pub(super) fn note_unmet(&self, pattern: &str) {
        let mut unmet = self.unmet.borrow_mut();
        let shown: String = pattern.chars().take(MOST_SHOWN).collect();
        if unmet.len() < MOST_UNMET && !unmet.contains(&shown) {
            unmet.push(shown);
        }
    }

    /// What was noted since it was asked last.
    pub(super) fn take_unmet(&self) -> Vec<String> {
        self.unmet.take()
    }

    /// All of it.
    pub(super) fn root(&self) -> &Value {
        &self.root
    }

    /// What a value stands for, where it is a reference; a circle ends somewhere on it.
    pub(super) fn resolved<'a>(&'a self, value: &'a Value) -> &'a Value {
        let mut value = value;
        for _ in 0..MOST_REFERENCES {
            let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
                return value;
            };
            let pointer = super::super::call::decoded(reference.strip_prefix('#').unwrap_or("/?"));
            match self.root.pointer(&pointer) {
                Some(target) => value = target,
                None => return &Value::Null,
            }
        }
        &Value::Null
    }

    /// A value that a schema allows.
    pub(super) fn example(&self, schema: &Value) -> Value {
        example::of_schema(self, schema)
    }

    /// The example of a parameter or a body, else one of its schema.
    pub(super) fn example_of(&self, holder: &Value) -> Value {
        if let Some(example) = holder.get("example") {
            return example.clone();
        }
        let examples = holder.get("examples");
        let first = match examples {
            Some(Value::Object(all)) => all.values().next(),
            Some(Value::Array(all)) => all.first(),
            _ => None,
        };
        if let Some(first) = first {
            let first = self.resolved(first);
            return first.get("value").unwrap_or(first).clone();
        }
        // A parameter of Swagger 2 is its own schema.
        self.example(holder.get("schema").unwrap_or(holder))
    }

    /// Whether a schema is that of a file, or of a list of files.
    pub(super) fn is_file(&self, schema: &Value) -> bool {
        let schema = self.resolved(schema);
        let schema = self.resolved(schema.get("items").unwrap_or(schema));
        let text = |key: &str| schema.get(key).and_then(Value::as_str);
        text("format") == Some("binary") || text("contentMediaType").is_some()
    }

    /// Names of the fields of an object.
    pub(super) fn fields(&self, schema: &Value) -> Vec<String> {
        match self.example(schema) {
            Value::Object(fields) => fields.keys().cloned().collect(),
            _ => Vec::new(),
        }
    }
}
