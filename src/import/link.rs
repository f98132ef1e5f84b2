//! Values that come back: what an answer gave and a later request sends again becomes an
//! extraction, or the value of a cookie.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use scraper::{Html, Selector};
use serde_json::Value;

use super::Reading;
use super::call::{Answer, Call, decoded, identifier};
use super::visit::{Place, visit};
use crate::secret::{is_credential, names_a_secret};

/// Values of all answers that are remembered.
const MOST_VALUES: usize = 200_000;
/// Longest value that is looked for; tokens are shorter.
const MOST_LENGTH: usize = 4096;
/// Bytes of a page that is read as HTML.
const MOST_PAGE: usize = 2 << 20;
/// Values that are looked for in the text of answers, where they stand in no field of them.
const MOST_SEARCHED: usize = 64;
/// Shortest value that is taken for one that was drawn.
const LEAST_DRAWN: usize = 8;
/// Signs before a value by which it is found again in a text.
const BEFORE: usize = 24;

/// Where a value stood first.
#[derive(Debug, Clone)]
struct Found {
    call: usize,
    /// As an extraction says it; `cookie:NAME` is the jar's, `decoded:NAME` the same without
    /// its percent encoding.
    place: String,
    /// The field's name.
    name: String,
}

/// Makes extractions of what comes back.
pub(super) fn link(reading: &mut Reading) {
    let mut found: HashMap<String, Found> = HashMap::new();
    let mut sent: HashMap<String, usize> = HashMap::new();
    let mut names = Names::default();
    let mut searched = 0;
    for index in 0..reading.calls.len() {
        let mut call = std::mem::take(&mut reading.calls[index]);
        let earlier = &mut reading.calls[..index];
        let mut wanted: Vec<(String, String, Found)> = Vec::new();
        visit(&mut call, &mut |place, name, value| {
            let (scheme, value) = scheme_of(place, name, value);
            let known = found.get(value).filter(|_| value.len() <= MOST_LENGTH);
            let own = sent.get(value).copied();
            let known = known.filter(|f| own.is_none_or(|sent| sent > f.call));
            let fits = known.filter(|f| is_drawn(value) || is_id(&f.name, name, value));
            let from = match fits.cloned() {
                Some(from) => Some(from),
                None if known.is_none() && own.is_none() && is_random(value) => {
                    searched += 1;
                    let look = searched <= MOST_SEARCHED;
                    look.then(|| in_text(earlier, name, value)).flatten()
                }
                None => None,
            };
            let Some(from) = from else {
                sent.entry(value.to_owned()).or_insert(index);
                return None;
            };
            let placeholder = names.of(value, &from, earlier, &mut wanted);
            Some(format!("{scheme}{placeholder}"))
        });
        for (value, name, from) in wanted {
            earlier[from.call].extract.push((name, from.place.clone()));
            found.insert(value, from);
        }
        if let Some(answer) = &call.answer {
            remember(answer, index, &mut found);
        }
        reading.calls[index] = call;
    }
}

/// The scheme of an `authorization` is not part of the value.
fn scheme_of<'a>(place: Place, name: &str, value: &'a str) -> (&'a str, &'a str) {
    if place != Place::Header || name != "authorization" {
        return ("", value);
    }
    match value.find(' ') {
        Some(at) => value.split_at(at + 1),
        None => ("", value),
    }
}

/// The names that values were given.
#[derive(Debug, Default)]
struct Names {
    by_value: BTreeMap<String, String>,
    taken: Vec<String>,
}

impl Names {
    fn of(
        &mut self,
        value: &str,
        from: &Found,
        earlier: &[Call],
        wanted: &mut Vec<(String, String, Found)>,
    ) -> String {
        if let Some(cookie) = from.place.strip_prefix("cookie:") {
            return format!("{{{{ cookie.{cookie} }}}}");
        }
        if let Some(cookie) = from.place.strip_prefix("decoded:") {
            return format!("{{{{ decoded(cookie.{cookie}) }}}}");
        }
        if let Some(known) = self.by_value.get(value) {
            return format!("{{{{ {known} }}}}");
        }
        let mut base = identifier(&from.name);
        if base == "id" {
            base = format!("{}_id", of_what(&earlier[from.call]));
        }
        if ["vu", "cycle", "env", "cookie"].contains(&base.as_str()) {
            base.push_str("_value");
        }
        let mut name = base.clone();
        let mut number = 2;
        while self.taken.contains(&name) {
            name = format!("{base}_{number}");
            number += 1;
        }
        self.taken.push(name.clone());
        self.by_value.insert(value.to_owned(), name.clone());
        wanted.push((value.to_owned(), name.clone(), from.clone()));
        format!("{{{{ {name} }}}}")
    }
}

/// What a call is about: the last word of its path.
fn of_what(call: &Call) -> String {
    let path = call.path.split('?').next().unwrap_or_default();
    let words = path.rsplit('/').filter(|w| !w.contains("{{"));
    let word = words
        .map(identifier)
        .find(|w| w != "value" && !w.starts_with('v'));
    word.map_or_else(
        || "item".to_owned(),
        |w| w.strip_suffix('s').unwrap_or(&w).to_owned(),
    )
}

/// Whether nobody would type a value: it has digits, and is long enough.
fn is_drawn(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    is_credential(value)
        || (value.len() >= LEAST_DRAWN
            && digits >= 2
            && (letters >= 2 || value.len() >= 10)
            && !value.contains(' '))
}

/// The same, so sure that a text may be searched for it.
fn is_random(value: &str) -> bool {
    (16..=512).contains(&value.len()) && is_drawn(value)
}

/// Whether the name of a field says that its value names something, and the value could.
fn is_id(given_as: &str, sent_as: &str, value: &str) -> bool {
    let name = identifier(given_as);
    let says = name == "id"
        || name.ends_with("_id")
        || [
            "uuid", "guid", "csrf", "xsrf", "nonce", "ticket", "slug", "sku", "key", "etag",
        ]
        .iter()
        .any(|word| name.contains(word))
        || names_a_secret(&name)
        || (name == identifier(sent_as) && name.starts_with('_'));
    says && !["true", "false", "null", "0"].contains(&value)
}

fn remember(answer: &Answer, call: usize, found: &mut HashMap<String, Found>) {
    let mut note = |value: &str, place: String, name: &str| {
        let full = value.len() > MOST_LENGTH || found.len() >= MOST_VALUES;
        if value.is_empty() || place.is_empty() || full {
            return;
        }
        let name = name.to_owned();
        let first = Found { call, place, name };
        found.entry(value.to_owned()).or_insert(first);
    };
    for (name, value) in answer.cookies() {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if !name.is_empty() && name.chars().all(plain) {
            note(value, format!("cookie:{name}"), name);
            // Scripts send it back as it was before it was encoded (Laravel, Angular).
            let meant = decoded(value);
            if meant != value {
                note(&meant, format!("decoded:{name}"), name);
            }
        }
    }
    if super::body::is_json(&answer.mime)
        && let Ok(json) = serde_json::from_str::<Value>(&answer.body)
    {
        leaves(&json, &mut String::new(), "", &mut note);
    }
    if answer.mime == "text/html" && answer.body.len() <= MOST_PAGE {
        page(&answer.body, &mut note);
    }
    for (name, value) in &answer.headers {
        let lower = name.to_ascii_lowercase();
        let plain = lower
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if (lower.starts_with("x-") || lower == "etag") && plain && !value.contains('\n') {
            note(value, format!("header:{lower}"), &lower);
        }
    }
}

/// Every text and number of JSON, with its pointer.
fn leaves(value: &Value, at: &mut String, name: &str, note: &mut impl FnMut(&str, String, &str)) {
    let length = at.len();
    match value {
        Value::String(text) => note(text, at.clone(), name),
        Value::Number(number) => note(&number.to_string(), at.clone(), name),
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                // Writing to a string cannot fail.
                write!(at, "/{i}").ok();
                leaves(item, at, name, note);
                at.truncate(length);
            }
        }
        Value::Object(fields) => {
            for (name, item) in fields {
                at.push('/');
                at.push_str(&name.replace('~', "~0").replace('/', "~1"));
                leaves(item, at, name, note);
                at.truncate(length);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// The values of a page that forms and scripts send back: hidden inputs, and what its head says.
fn page(body: &str, note: &mut impl FnMut(&str, String, &str)) {
    let page = Html::parse_document(body);
    for (selector, attribute, value) in [
        ("input[type=hidden][name][value]", "name", "value"),
        ("meta[name][content]", "name", "content"),
    ] {
        let Ok(all) = Selector::parse(selector) else {
            continue;
        };
        let tag = selector.split('[').next().unwrap_or_default();
        for element in page.select(&all) {
            let element = element.value();
            let (Some(name), Some(text)) = (element.attr(attribute), element.attr(value)) else {
                continue;
            };
            if name.contains(['"', '\\', '\n']) {
                continue;
            }
            let place = format!("{tag}[name=\"{name}\"]");
            if Selector::parse(&place).is_ok() {
                note(text, format!("css:{place}@{value}"), name);
            }
        }
    }
}

/// Where a value stands in the text of an earlier answer, as a regular expression that finds it
/// there first.
fn in_text(earlier: &[Call], name: &str, value: &str) -> Option<Found> {
    for (call, answer) in earlier.iter().enumerate() {
        let Some(body) = answer.answer.as_ref().map(|a| a.body.as_str()) else {
            continue;
        };
        let Some(at) = body.find(value) else {
            continue;
        };
        let line = body[..at].rsplit('\n').next().unwrap_or_default();
        let begin = line.len().saturating_sub(BEFORE);
        let begin = (begin..=line.len()).find(|i| line.is_char_boundary(*i))?;
        let before = &line[begin..];
        if !before.chars().any(char::is_alphabetic) {
            continue;
        }
        let pattern = format!("{}([^\\s\"'<>&?#\\\\/]+)", regex::escape(before));
        let regex = regex::Regex::new(&pattern).ok()?;
        let first = regex.captures(body).and_then(|c| c.get(1));
        if first.is_some_and(|m| m.as_str() == value) {
            return Some(Found {
                call,
                place: format!("regex:{pattern}"),
                name: decoded(name),
            });
        }
    }
    None
}
