//! Every value of a request that may be somebody's: a segment of its path, a parameter, a header, a
//! field.

use serde_json::Value;

use super::call::{Body, Call, PartContent, decoded, literal};

/// Where a value of a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A segment of the path; its name is the segment before it.
    Segment,
    /// A parameter of the query.
    Query,
    /// A header.
    Header,
    /// A field of a form or of JSON.
    Field,
    /// A number or truth value of JSON.
    Plain,
}

/// Goes over the values of a call, each with its name; what `change` returns takes the value's
/// place.
pub(super) fn visit(call: &mut Call, change: &mut impl FnMut(Place, &str, &str) -> Option<String>) {
    // What is filled in is nobody's value any more.
    let change = &mut |place: Place, name: &str, value: &str| {
        let said = literal(value).filter(|said| !said.is_empty())?;
        change(place, name, &said)
    };
    call.path = path(&call.path, change);
    for (name, value) in &mut call.headers {
        if let Some(other) = change(Place::Header, name, value) {
            *value = other;
        }
    }
    match &mut call.body {
        Body::Empty | Body::Text(_) => {}
        Body::Form(fields) => {
            for (name, value) in fields {
                if let Some(other) = change(Place::Field, name, value) {
                    *value = other;
                }
            }
        }
        Body::Multipart(parts) => {
            for part in parts {
                if let PartContent::Text(text) = &mut part.content
                    && let Some(other) = change(Place::Field, &part.name, text)
                {
                    *text = other;
                }
            }
        }
        Body::Json(value) => {
            let whole = super::body::as_toml(value).is_some();
            json(value, "", whole, change);
        }
    }
}

fn path(text: &str, change: &mut impl FnMut(Place, &str, &str) -> Option<String>) -> String {
    // The name of a file has signs that are none of the address.
    if text.contains("{{ file(") {
        return text.to_owned();
    }
    let (segments, query) = match text.split_once('?') {
        Some((segments, query)) => (segments, Some(query)),
        None => (text, None),
    };
    let mut before = String::new();
    let mut made = Vec::new();
    for segment in segments.split('/') {
        let meant = decoded(segment);
        let other = (!segment.is_empty()).then(|| change(Place::Segment, &before, &meant));
        made.push(other.flatten().unwrap_or_else(|| segment.to_owned()));
        before = meant;
    }
    let mut out = made.join("/");
    if let Some(query) = query {
        let pairs = query.split('&').map(|pair| {
            let Some((name, value)) = pair.split_once('=') else {
                return pair.to_owned();
            };
            let meant = decoded(&value.replace('+', " "));
            match change(Place::Query, &decoded(name), &meant) {
                Some(other) => format!("{name}={other}"),
                None => pair.to_owned(),
            }
        });
        let pairs: Vec<String> = pairs.collect();
        out = format!("{out}?{}", pairs.join("&"));
    }
    out
}

/// `typed` is whether a placeholder in place of a number keeps its type, which it does in the
/// tables of a profile.
fn json(
    value: &mut Value,
    name: &str,
    typed: bool,
    change: &mut impl FnMut(Place, &str, &str) -> Option<String>,
) {
    match value {
        Value::String(text) => {
            if let Some(other) = change(Place::Field, name, text) {
                *text = other;
            }
        }
        Value::Number(number) => {
            let shown = number.to_string();
            if let Some(other) = change(Place::Plain, name, &shown) {
                // In a text nothing else says that it is no text.
                *value = Value::String(if typed {
                    other
                } else {
                    super::body::bare(&other)
                });
            }
        }
        Value::Array(items) => {
            for item in items {
                json(item, name, typed, change);
            }
        }
        Value::Object(fields) => {
            for (name, item) in fields {
                json(item, name, typed, change);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}
