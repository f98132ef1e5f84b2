//! Credentials of what was recorded: a profile takes them from the environment.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine as _;
use regex::Regex;
use serde_json::Value;

use super::call::{Body, Call, PartContent, escaped, identifier, literal};
use super::visit::{Place, visit};
use crate::secret::{Hidden, is_credential, is_secret_header, is_secret_parameter, names_a_secret};

/// Variables that a shell has, whose values nobody means here.
const TAKEN: &[&str] = &["HOME", "LANG", "PATH", "PWD", "SHELL", "TERM", "USER"];
/// Shortest value that is taken for the same secret elsewhere.
const LEAST_REPEATED: usize = 6;
/// The same of one that stands in a text.
const LEAST_IN_TEXT: usize = 4;
/// Bytes of a text from which on it is not looked at as JSON or a form.
const MOST_TEXT: usize = 1 << 20;

/// A name and its value in JSON with placeholders in it, and in XML.
static NAMED: LazyLock<[Option<Regex>; 2]> = LazyLock::new(|| {
    [
        r#""([^"\\]+)"\s*:\s*"([^"\\]+)""#,
        r"<([\w:.-]+)[^<>]*>([^<>]+)</",
    ]
    .map(|pattern| Regex::new(pattern).ok())
});

/// What was put into variables.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// Names of the variables.
    pub(super) names: Vec<String>,
    /// The values, which nobody may repeat.
    pub(super) values: Vec<String>,
    by_value: BTreeMap<String, String>,
}

impl Moved {
    /// A text without them.
    pub(super) fn without(&self, text: &str) -> String {
        Hidden::new(self.values.iter().cloned()).in_text(&crate::secret::masked(text))
    }

    /// The placeholder in place of a value.
    fn put(&mut self, name: &str, value: &str) -> String {
        if let Some(known) = self.by_value.get(value) {
            return format!("{{{{ env.{known} }}}}");
        }
        let mut base = identifier(name).to_ascii_uppercase();
        if TAKEN.contains(&base.as_str()) {
            base.push_str("_VALUE");
        }
        let mut name = base.clone();
        let mut number = 2;
        while self.names.contains(&name) {
            name = format!("{base}_{number}");
            number += 1;
        }
        self.names.push(name.clone());
        self.values.push(value.to_owned());
        self.by_value.insert(value.to_owned(), name.clone());
        format!("{{{{ env.{name} }}}}")
    }

    /// Notes variables that are named already, whose values nobody knows.
    fn note_named(&mut self, calls: &[Call]) {
        for name in calls.iter().flat_map(named) {
            if !self.names.contains(&name) {
                self.names.push(name);
            }
        }
    }
}

/// Puts every credential of the calls into a variable of the environment.
pub(super) fn hide(calls: &mut [Call]) -> Moved {
    let mut moved = Moved::default();
    // What is named already is somebody else's value.
    moved.note_named(calls);
    for call in calls.iter_mut() {
        authorization(call, &mut moved);
        if let Some((_, password)) = &mut call.basic
            && let Some(said) = literal(password).filter(|p| !p.is_empty())
        {
            *password = moved.put("password", &said);
        }
        visit(call, &mut |place, name, value| {
            let secret = match place {
                Place::Header => is_secret_header(name) || is_credential(value),
                Place::Query => is_secret_parameter(name) || is_credential(value),
                Place::Field => names_a_secret(name) || is_credential(value),
                Place::Segment => is_credential(value),
                // Of numbers and truth values only what a name says.
                Place::Plain => is_pin(name),
            };
            let name = if place == Place::Segment {
                "path token"
            } else {
                name
            };
            secret.then(|| moved.put(name, value))
        });
        if let Body::Text(text) = &mut call.body
            && text.len() <= MOST_TEXT
        {
            *text = text_without(text, &mut moved);
        }
    }
    // The same value in a place whose name says nothing is the same secret.
    let again = moved.by_value.clone();
    for call in calls.iter_mut() {
        visit(call, &mut |_, _, value| {
            let name = again.get(value).filter(|_| value.len() >= LEAST_REPEATED)?;
            Some(format!("{{{{ env.{name} }}}}"))
        });
    }
    moved
}

/// Only the variables that the calls name already.
pub(super) fn noted(calls: &[Call]) -> Moved {
    let mut moved = Moved::default();
    moved.note_named(calls);
    moved
}

fn is_pin(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["pin", "otp", "cvv", "cvc", "passcode", "password"].contains(&name.as_str())
}

/// A text that is no form and no JSON may hold both: what is named there like a secret goes.
fn text_without(text: &str, moved: &mut Moved) -> String {
    let mut out = text.to_owned();
    // With placeholders in it, the text is read as it is written.
    let said = literal(text);
    let is_template = said.is_none();
    for (name, value) in of_text(said.as_deref().unwrap_or(text)) {
        if is_template && value.contains("{{") {
            continue;
        }
        let written = if is_template {
            value.clone()
        } else {
            escaped(&value)
        };
        if value.len() >= LEAST_IN_TEXT && out.contains(&written) {
            let placeholder = moved.put(&name, &value);
            out = out.replace(&written, &placeholder);
        }
    }
    out
}

/// `authorization` in its parts: a user's name is no secret, and neither is the scheme.
fn authorization(call: &mut Call, moved: &mut Moved) {
    let Some(value) = call.header("authorization") else {
        return;
    };
    let Some(value) = literal(value) else {
        return;
    };
    let (scheme, rest) = value.split_once(' ').unwrap_or(("", &value));
    let rest = rest.trim();
    call.take_header("authorization");
    if scheme.eq_ignore_ascii_case("basic")
        && let Some((user, password)) = basic(rest)
    {
        let password = moved.put("password", &password);
        moved.values.push(rest.to_owned());
        call.basic = Some((escaped(&user), password));
        return;
    }
    let made = match scheme {
        "" => moved.put("authorization", rest),
        scheme => format!("{} {}", escaped(scheme), moved.put("token", rest)),
    };
    call.headers.push(("authorization".to_owned(), made));
}

/// User name and password of HTTP's basic authentication.
fn basic(encoded: &str) -> Option<(String, String)> {
    let bytes = base64::prelude::BASE64_STANDARD.decode(encoded).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// Variables that the templates of a call name already: those of a description or a collection.
fn named(call: &Call) -> Vec<String> {
    let mut texts: Vec<String> = call.headers.iter().map(|(_, v)| v.clone()).collect();
    texts.push(call.path.clone());
    if let Some((user, password)) = &call.basic {
        texts.extend([user.clone(), password.clone()]);
    }
    match &call.body {
        Body::Empty => {}
        Body::Text(text) => texts.push(text.clone()),
        Body::Form(fields) => texts.extend(fields.iter().map(|(_, v)| v.clone())),
        Body::Json(value) => texts.push(super::body::as_text(value)),
        Body::Multipart(parts) => texts.extend(parts.iter().filter_map(|p| match &p.content {
            PartContent::Text(text) => Some(text.clone()),
            PartContent::File(_) => None,
        })),
    }
    let mut names = Vec::new();
    for text in texts {
        for placeholder in text.split("{{ env.").skip(1) {
            let name = placeholder.split("}}").next().unwrap_or_default().trim();
            names.push(name.to_owned());
        }
    }
    names
}

/// Names and values of what in a body is named like a secret, or looks like one: fields of JSON or
/// of a form.
pub fn of_text(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if text.len() > MOST_TEXT {
        return found;
    }
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        fields(&value, "", &mut found);
        return found;
    }
    let mut note = |name: &str, value: &str| {
        let value = value.trim();
        if !value.is_empty() && (is_secret_parameter(name) || is_credential(value)) {
            found.push((name.to_owned(), value.to_owned()));
        }
    };
    if text.starts_with("--") {
        parts(text, &mut note);
        return found;
    }
    for captures in NAMED.iter().flatten().flat_map(|r| r.captures_iter(text)) {
        note(&captures[1], &captures[2]);
    }
    for pair in text.split(['&', '\n']) {
        if let Some((name, value)) = pair.split_once('=') {
            note(&super::call::decoded(name.trim()), value);
        }
    }
    found
}

/// Parts of a multipart form, whose first line is what stands between them.
fn parts(text: &str, note: &mut impl FnMut(&str, &str)) {
    let boundary = text.lines().next().unwrap_or_default();
    for part in text.split(boundary) {
        let Some((head, value)) = part
            .split_once("\r\n\r\n")
            .or_else(|| part.split_once("\n\n"))
        else {
            continue;
        };
        let name = head
            .split("name=\"")
            .nth(1)
            .and_then(|n| n.split('"').next());
        note(name.unwrap_or_default(), value);
    }
}

fn fields(value: &Value, name: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) if !text.is_empty() => {
            if names_a_secret(name) || is_credential(text) {
                found.push((name.to_owned(), text.clone()));
            }
        }
        Value::Number(n) if is_pin(name) => found.push((name.to_owned(), n.to_string())),
        Value::Array(items) => items.iter().for_each(|item| fields(item, name, found)),
        Value::Object(all) => {
            for (name, item) in all {
                fields(item, name, found);
            }
        }
        Value::String(_) | Value::Number(_) | Value::Null | Value::Bool(_) => {}
    }
}
