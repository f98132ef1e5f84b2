//! What must be true of an answer whose status is right: a service that is broken may well
//! answer 200.

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;
use serde_json_path::JsonPath;

use super::answer::Answer;
use super::extract::{json_path, last_line, pointer};
use super::template::{Template, Value};
use crate::excerpt;

/// `check = { contains = "ok", matches = "^\\d+$", json = { "/errors" = "absent" }, max-bytes =
/// 1000 }`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CheckSpec {
    /// Texts that must all stand in the body; templates.
    #[serde(default)]
    pub contains: OneOrMany,
    /// Texts none of which may stand in the body; templates.
    #[serde(default)]
    pub lacks: OneOrMany,
    /// Regular expressions that must all match somewhere in the body.
    #[serde(default)]
    pub matches: OneOrMany,
    /// JSON pointer or `JSONPath` = what must stand there: a value (a template), `"absent"` or
    /// `"present"`.
    #[serde(default)]
    pub json: BTreeMap<String, toml::Value>,
    /// Most bytes that the body may have, decoded.
    pub max_bytes: Option<u64>,
    /// Fewest.
    pub min_bytes: Option<u64>,
    /// The statuses of which the answer must have one: another way to write `expect`.
    pub status: Option<Statuses>,
}

impl CheckSpec {
    /// Whether it asks for anything beside a status.
    pub(super) fn is_about_a_body(&self) -> bool {
        let but_the_status = Self {
            status: None,
            ..self.clone()
        };
        self.status.is_none() || but_the_status != Self::default()
    }
}

/// One status, or several.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a status such as 200 or a list of them")]
pub enum Statuses {
    /// One.
    One(u16),
    /// Several.
    Many(Vec<u16>),
}

impl Statuses {
    /// All of them.
    pub fn all(&self) -> &[u16] {
        match self {
            Self::One(status) => std::slice::from_ref(status),
            Self::Many(statuses) => statuses,
        }
    }
}

/// One text, or several.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a text or a list of texts")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl OneOrMany {
    /// All of them.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// A check, ready to be made.
#[derive(Debug, Clone, Default)]
pub struct Check {
    contains: Vec<Template>,
    lacks: Vec<Template>,
    matches: Vec<Regex>,
    json: Vec<(JsonPlace, Wanted)>,
    bytes: (Option<u64>, Option<u64>),
}

#[derive(Debug, Clone)]
enum JsonPlace {
    Pointer(String),
    Path(Box<JsonPath>),
}

#[derive(Debug, Clone)]
enum Wanted {
    Absent,
    Present,
    /// This value, of this type.
    Exactly(serde_json::Value),
    /// A value that reads so.
    Text(Template),
}

impl Check {
    /// Reads a check; `template` compiles a text.
    ///
    /// # Errors
    /// Says what cannot be read, and how it is written.
    pub(super) fn compile(
        spec: &CheckSpec,
        template: impl Fn(&str) -> Result<Template, String>,
    ) -> Result<Self, String> {
        let texts = |all: &OneOrMany| {
            all.all()
                .iter()
                .map(|t| match t.as_str() {
                    "" => Err(
                        "a text to look for is empty, which every body contains; write what \
                        must stand there"
                            .to_owned(),
                    ),
                    t => template(t),
                })
                .collect::<Result<_, _>>()
        };
        let regex = |text: &String| {
            Regex::new(text).map_err(|e| {
                format!(
                    "`matches`: `{text}` is not a valid regular expression: {}",
                    last_line(&e)
                )
            })
        };
        let mut json = Vec::new();
        for (at, wanted) in &spec.json {
            let place = if at.starts_with('$') {
                JsonPlace::Path(Box::new(json_path(at)?))
            } else {
                JsonPlace::Pointer(pointer(at)?)
            };
            let wanted = match wanted {
                toml::Value::Datetime(at) => Wanted::Text(template(&at.to_string())?),
                toml::Value::String(text) if text == "absent" => Wanted::Absent,
                toml::Value::String(text) if text == "present" => Wanted::Present,
                toml::Value::String(text) => Wanted::Text(template(text)?),
                other => Wanted::Exactly(
                    serde_json::to_value(other).map_err(|e| format!("`{at}`: {e}"))?,
                ),
            };
            json.push((place, wanted));
        }
        Ok(Self {
            contains: texts(&spec.contains)?,
            lacks: texts(&spec.lacks)?,
            matches: spec
                .matches
                .all()
                .iter()
                .map(regex)
                .collect::<Result<_, _>>()?,
            json,
            bytes: (spec.min_bytes, spec.max_bytes),
        })
    }

    /// Most bytes that the body may have.
    pub(super) fn max_bytes(&self) -> Option<u64> {
        self.bytes.1
    }

    /// Why an answer does not pass, with the value that was seen; `None` where it does. `render`
    /// fills a template in.
    pub fn failure(
        &self,
        answer: &Answer<'_>,
        mut render: impl FnMut(&Template) -> String,
    ) -> Option<String> {
        let length = answer.body().len() as u64;
        match self.bytes {
            (Some(min), _) if length < min => {
                return Some(format!("the body has {length} bytes, fewer than {min}"));
            }
            (_, Some(max)) if length > max => {
                return Some(format!("the body has {length} bytes, more than {max}"));
            }
            _ => {}
        }
        if !(self.contains.is_empty() && self.lacks.is_empty() && self.matches.is_empty()) {
            let text = answer.text();
            for wanted in self.contains.iter().map(&mut render) {
                if !text.contains(&wanted) {
                    return Some(format!(
                        "the body does not contain `{}`",
                        excerpt::line(&wanted)
                    ));
                }
            }
            for unwanted in self.lacks.iter().map(&mut render) {
                if text.contains(&unwanted) {
                    return Some(format!("the body contains `{}`", excerpt::line(&unwanted)));
                }
            }
            if let Some(regex) = self.matches.iter().find(|r| !r.is_match(&text)) {
                return Some(format!("nothing in the body matches `{regex}`"));
            }
        }
        if !self.json.is_empty() && answer.json().is_none() {
            return Some("the body is not JSON".to_owned());
        }
        let mut json = self.json.iter();
        json.find_map(|(place, wanted)| wanted.failure(place, answer, &mut render))
    }
}

impl JsonPlace {
    fn name(&self) -> String {
        match self {
            Self::Pointer(at) => at.clone(),
            Self::Path(path) => path.to_string(),
        }
    }

    fn first<'v>(&self, json: &'v serde_json::Value) -> Option<&'v serde_json::Value> {
        match self {
            Self::Pointer(at) => json.pointer(at),
            Self::Path(path) => path.query(json).first(),
        }
    }
}

impl Wanted {
    fn failure(
        &self,
        place: &JsonPlace,
        answer: &Answer<'_>,
        render: &mut impl FnMut(&Template) -> String,
    ) -> Option<String> {
        let found = answer.json().and_then(|json| place.first(json));
        // As for an extraction, null is nothing.
        let found = found.filter(|value| !value.is_null());
        let at = place.name();
        let seen = |found: Option<&serde_json::Value>| match found {
            Some(value) => format!(
                "the JSON has `{}` at `{at}`",
                excerpt::line(&value.to_string())
            ),
            None => format!("the JSON has nothing at `{at}`"),
        };
        let differs =
            |wanted: &str| Some(format!("{}, not `{}`", seen(found), excerpt::line(wanted)));
        match self {
            Self::Absent => found.map(|_| format!("{}, where nothing may stand", seen(found))),
            Self::Present => found.is_none().then(|| seen(None)),
            Self::Exactly(wanted) if found.is_some_and(|found| is_same(found, wanted)) => None,
            Self::Exactly(wanted) => differs(&wanted.to_string()),
            Self::Text(template) => {
                let wanted = render(template);
                let is = found.and_then(Value::of_json);
                let same = is.is_some_and(|is| is.as_str() == wanted);
                if same { None } else { differs(&wanted) }
            }
        }
    }
}

/// Whether two values are the same; a number is, however it is written.
fn is_same(a: &serde_json::Value, b: &serde_json::Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(x), Some(y)) if a.is_f64() != b.is_f64() => x.to_bits() == y.to_bits(),
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::scenario::template::{Escape, Names};

    fn failure(toml: &str, body: &str) -> Option<String> {
        let spec: CheckSpec = toml::from_str(toml).unwrap();
        let template = |text: &str| Template::parse(text, &Names::default(), Escape::None);
        let check = Check::compile(&spec, template).unwrap();
        let headers = HeaderMap::new();
        let answer = Answer::new(200, &headers, body.as_bytes());
        check.failure(&answer, |t| t.constant().unwrap().to_owned())
    }

    #[test]
    fn what_is_as_it_should_be_passes_and_what_is_not_says_what_it_is() {
        let graph = r#"{"data": null, "errors": [{"message": "no"}], "n": 1, "ok": true}"#;
        for (toml, passes) in [
            (
                "json = { '/errors' = 'present', '/n' = 1, '/ok' = true }",
                true,
            ),
            ("json = { '/n' = '1', '$.errors[0].message' = 'no' }", true),
            (
                "contains = ['data', 'errors']\nlacks = 'fatal'\nmatches = '\"n\": \\d'",
                true,
            ),
            ("min-bytes = 10\nmax-bytes = 100", true),
            ("json = { '/data' = 'absent', '/gone' = 'absent' }", true),
            ("json = { '/errors' = 'absent' }", false),
        ] {
            assert_eq!(failure(toml, graph).is_none(), passes, "{toml}");
        }
        for (toml, body, part) in [
            (
                "json = { '/errors' = 'absent' }",
                graph,
                "has `[{\"message\":\"no\"}]` at `/errors`, where nothing may",
            ),
            ("json = { '/n' = 2 }", graph, "has `1` at `/n`, not `2`"),
            (
                "json = { '/gone' = 'x' }",
                graph,
                "nothing at `/gone`, not `x`",
            ),
            (
                "json = { '/gone' = 'present' }",
                graph,
                "nothing at `/gone`",
            ),
            ("json = { '/a' = 1 }", "<html>", "not JSON"),
            ("contains = 'paid'", "refused", "does not contain `paid`"),
            ("lacks = 'error'", "an error", "contains `error`"),
            ("matches = '^ok$'", "okay", "matches `^ok$`"),
            ("max-bytes = 3", "four", "4 bytes, more than 3"),
            ("min-bytes = 5", "four", "4 bytes, fewer than 5"),
        ] {
            let why = failure(toml, body).unwrap_or_default();
            assert!(why.contains(part), "{toml}: {why}");
        }
    }
}
