//! Bodies of requests, read by what their `content-type` says, and JSON as the texts of a profile.

use serde_json::Value;

use super::call::{Body, Call, decoded, escaped};
use super::multipart;

/// The type of a form.
pub(super) const FORM: &str = "application/x-www-form-urlencoded";
/// Levels of JSON that become tables of a profile; a reader of TOML has its own end.
const MOST_DEPTH: usize = 40;
/// Begins a text of JSON that is written without quotes: a placeholder in place of a number. No
/// recorded text has it.
const BARE: char = '\u{e002}';

/// A placeholder that is written without quotes where JSON is a text.
pub(super) fn bare(placeholder: &str) -> String {
    format!("{BARE}{placeholder}")
}

/// Gives a call a recorded body, in the form that says most: fields of a form, JSON, else text.
pub(super) fn give(call: &mut Call, text: &str) {
    if text.is_empty() {
        return;
    }
    let said = call.header("content-type").unwrap_or_default().to_owned();
    let mime = mime(&said);
    if mime == multipart::FORM_DATA
        && let Some(parts) = multipart::of_body(&said, text)
    {
        return multipart::give(call, parts);
    }
    let body = match mime.as_str() {
        FORM => form(text),
        other if is_json(other) => json(text),
        _ => None,
    };
    call.body = match body {
        Some(body) => {
            // The body's kind says it, unless something else stands there.
            let own = match body {
                Body::Form(_) => FORM,
                _ => "application/json",
            };
            if mime == own {
                call.take_header("content-type");
            }
            body
        }
        None => Body::Text(escaped(text)),
    };
}

/// A value of `content-type` without its parameters.
pub(super) fn mime(value: &str) -> String {
    let mime = value.split(';').next().unwrap_or_default();
    mime.trim().to_ascii_lowercase()
}

/// Whether a type is JSON's.
pub(super) fn is_json(mime: &str) -> bool {
    mime == "application/json" || mime.ends_with("+json")
}

/// Fields of a form, where they say the same when they are written again.
fn form(text: &str) -> Option<Body> {
    let text = text.trim_end_matches(['\r', '\n']);
    let fields = text.split('&').map(|pair| {
        let (name, value) = pair.split_once('=')?;
        let meant = |part: &str| escaped(&decoded(&part.replace('+', " ")));
        (!name.is_empty()).then(|| (meant(name), meant(value)))
    });
    fields.collect::<Option<Vec<_>>>().map(Body::Form)
}

fn json(text: &str) -> Option<Body> {
    let value: Value = serde_json::from_str(text).ok()?;
    Some(Body::Json(as_template(value)))
}

/// JSON whose texts are templates that say the same.
pub(super) fn as_template(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(escaped(&text.replace(BARE, ""))),
        Value::Array(items) => items.into_iter().map(as_template).collect(),
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (escaped(&name), as_template(value)))
            .collect(),
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => plain,
    }
}

/// JSON as a value of a profile; `None` where TOML has no such value (null, numbers beyond 64
/// bits).
pub(super) fn as_toml(value: &Value) -> Option<toml::Value> {
    within(value, MOST_DEPTH)
}

fn within(value: &Value, depth: usize) -> Option<toml::Value> {
    let depth = depth.checked_sub(1)?;
    Some(match value {
        Value::Null => return None,
        Value::Bool(yes) => toml::Value::Boolean(*yes),
        Value::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(n), _) => toml::Value::Integer(n),
            (None, Some(x)) if n.is_f64() && x.is_finite() => toml::Value::Float(x),
            _ => return None,
        },
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Array(items) => {
            let items = items.iter().map(|item| within(item, depth));
            toml::Value::Array(items.collect::<Option<_>>()?)
        }
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, v)| Some((name.clone(), within(v, depth)?)));
            toml::Value::Table(fields.collect::<Option<_>>()?)
        }
    })
}

/// JSON as a text that is a template: what stands in `{{ }}` is left as it is.
pub(super) fn as_text(value: &Value) -> String {
    let mut out = String::new();
    push(&mut out, value);
    out
}

fn push(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => push_string(out, text),
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                push(out, item);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            // A space: `{` beside a placeholder would be read as part of it.
            out.push_str("{ ");
            for (i, (name, item)) in fields.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                push_string(out, name);
                out.push(':');
                push(out, item);
            }
            out.push('}');
        }
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => {
            out.push_str(&plain.to_string());
        }
    }
}

fn push_string(out: &mut String, template: &str) {
    if let Some(placeholder) = template.strip_prefix(BARE) {
        return out.push_str(placeholder);
    }
    out.push('"');
    let mut rest = template;
    while let Some(open) = rest.find("{{") {
        push_escaped(out, &rest[..open]);
        let end = rest[open..]
            .find("}}")
            .map_or(rest.len(), |at| open + at + 2);
        out.push_str(&rest[open..end]);
        rest = &rest[end..];
    }
    push_escaped(out, rest);
    out.push('"');
}

fn push_escaped(out: &mut String, text: &str) {
    let quoted = Value::String(text.to_owned()).to_string();
    let inside = quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"'));
    out.push_str(inside.unwrap_or_default());
}
