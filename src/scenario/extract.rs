//! Values that a step takes from an answer or an event: where they stand, and how they are found
//! there.

use std::fmt;

use http::header::HeaderName;
use rand::{Rng, RngExt as _};
use regex::Regex;
use scraper::Selector;
use serde_json_path::JsonPath;

use super::answer::Answer;
use super::template::Value;
use crate::secret::{is_secret_header, names_a_secret};

/// A value to take from an answer or an event.
#[derive(Debug, Clone)]
pub struct Extract {
    /// Where it goes; see [`Values::set`](super::Values::set).
    pub slot: usize,
    /// Where it stands.
    pub from: ExtractFrom,
    /// Which one, where several stand there.
    pub pick: Pick,
    /// What it is where nothing stands there; without it the step fails.
    pub default: Option<Value>,
    /// What of the value is taken: the first group of a regular expression, or its whole match.
    pub part: Option<Box<Regex>>,
}

/// Which of several values is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pick {
    /// The first.
    #[default]
    First,
    /// The last.
    Last,
    /// Any, drawn with the run's seed.
    Random,
}

/// Where a value stands in an answer.
#[derive(Debug, Clone)]
pub enum ExtractFrom {
    /// JSON pointer into the body or the event's data (RFC 6901).
    Json(String),
    /// `JSONPath` into the same (RFC 9535).
    JsonPath(Box<JsonPath>),
    /// The first group of a regular expression in the body or the event's data; the whole match
    /// where it has none.
    Regex(Box<Regex>),
    /// An element of an HTML page: its text, or one of its attributes.
    Css(Box<CssPlace>),
    /// A response header.
    Header(HeaderName),
    /// A cookie that the answer sets.
    Cookie(String),
    /// The status.
    Status,
    /// The whole body, or the event's data.
    Body,
}

/// An element of an HTML page.
#[derive(Debug, Clone)]
pub struct CssPlace {
    text: String,
    selector: Selector,
    attribute: Option<String>,
}

impl ExtractFrom {
    /// Reads where a value stands: `/token`, `$.items[0].id`, `regex:id=(\d+)`,
    /// `css:input[name=csrf]@value`, `header:location`, `cookie:sid`, `status` or `body`.
    ///
    /// # Errors
    /// Says what cannot be read, and how it is written.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "header" => HeaderName::try_from(rest.trim())
                .map(Self::Header)
                .map_err(|_| format!("`{rest}` is not the name of a header")),
            "cookie" if !rest.trim().is_empty() => Ok(Self::Cookie(rest.trim().to_owned())),
            "regex" => regex(rest).map(|regex| Self::Regex(Box::new(regex))),
            "css" => css(rest),
            "status" if text == kind => Ok(Self::Status),
            "body" if text == kind => Ok(Self::Body),
            _ if text.starts_with('$') => {
                json_path(text).map(|path| Self::JsonPath(Box::new(path)))
            }
            _ => pointer(text).map(Self::Json),
        }
    }

    /// Whether what stands there proves who asks.
    pub fn is_secret(&self) -> bool {
        match self {
            Self::Json(at) => names_a_secret(at.rsplit('/').next().unwrap_or_default()),
            Self::JsonPath(path) => {
                let path = path.to_string();
                let words = path.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'));
                words.into_iter().any(names_a_secret)
            }
            Self::Header(name) => is_secret_header(name.as_str()),
            Self::Css(place) => {
                let mut words = place
                    .text
                    .split(|c: char| !(c.is_alphanumeric() || c == '_'));
                words.any(names_a_secret)
            }
            Self::Cookie(_) => true,
            Self::Regex(_) | Self::Status | Self::Body => false,
        }
    }

    /// Whether the body must be kept for it.
    pub fn needs_body(&self) -> bool {
        !matches!(self, Self::Header(_) | Self::Cookie(_) | Self::Status)
    }

    /// Whether the headers must be kept for it; those that set cookies always are.
    pub fn needs_headers(&self) -> bool {
        matches!(self, Self::Header(_))
    }

    /// Whether it stands in JSON.
    pub fn is_of_json(&self) -> bool {
        matches!(self, Self::Json(_) | Self::JsonPath(_))
    }

    /// Whether an event has such a place, which is its data alone.
    pub(super) fn is_of_events(&self) -> bool {
        self.needs_body()
    }

    /// What stands there first.
    pub(super) fn first(&self, answer: &Answer<'_>) -> Option<Value> {
        self.all(answer).into_iter().next()
    }

    /// Everything that stands there, in order.
    fn all(&self, answer: &Answer<'_>) -> Vec<Value> {
        let json = |found: Option<&serde_json::Value>| found.and_then(Value::of_json);
        match self {
            Self::Json(at) => {
                let found = answer.json().and_then(|j| j.pointer(at));
                match found {
                    // A list is picked from where one of several is wanted.
                    Some(serde_json::Value::Array(items)) => [json(found)]
                        .into_iter()
                        .flatten()
                        .chain(items.iter().filter_map(Value::of_json))
                        .collect(),
                    _ => json(found).into_iter().collect(),
                }
            }
            Self::JsonPath(path) => {
                let all = answer
                    .json()
                    .map(|j| path.query(j).all())
                    .unwrap_or_default();
                all.into_iter().filter_map(Value::of_json).collect()
            }
            Self::Regex(regex) => {
                let text = answer.text();
                let all = regex.captures_iter(&text);
                // A group that took no part has no value.
                let wanted = usize::from(regex.captures_len() > 1);
                all.filter_map(|c| c.get(wanted))
                    .map(|m| Value::Text(m.as_str().to_owned()))
                    .collect()
            }
            Self::Css(place) => place.all(&answer.text()),
            Self::Header(name) => answer.headers(name).map(Value::Text).collect(),
            Self::Cookie(name) => answer.cookies(name).map(Value::Text).collect(),
            Self::Status => answer.status().map(Value::Json).into_iter().collect(),
            Self::Body => vec![Value::Text(answer.text().into_owned())],
        }
    }

    /// Why nothing was found there.
    fn missing(&self, answer: &Answer<'_>) -> String {
        let null = |is_null: bool, at: &str| {
            let is = if is_null { "is null at" } else { "has no" };
            format!("the JSON {is} `{at}`")
        };
        match self {
            Self::Json(at) => null(answer.json().is_some_and(|j| j.pointer(at).is_some()), at),
            Self::JsonPath(path) => {
                let nulls = answer
                    .json()
                    .is_some_and(|j| !path.query(j).all().is_empty());
                null(nulls, &path.to_string())
            }
            Self::Regex(regex) => format!("nothing in the body matches `{regex}`"),
            Self::Css(place) => place.missing(&answer.text()),
            Self::Header(name) => format!("the answer has no header `{name}`"),
            Self::Cookie(name) => format!("the answer sets no cookie `{name}`"),
            Self::Status | Self::Body => "there is no answer".to_owned(),
        }
    }
}

impl fmt::Display for ExtractFrom {
    /// Where it stands, in words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(at) => write!(f, "`{at}` of the JSON"),
            Self::JsonPath(path) => write!(f, "`{path}` of the JSON"),
            Self::Regex(regex) => write!(f, "what matches `{regex}`"),
            Self::Css(place) => write!(f, "`{}` of the page", place.text),
            Self::Header(name) => write!(f, "the header `{name}`"),
            Self::Cookie(name) => write!(f, "the cookie `{name}`"),
            Self::Status => f.write_str("the status"),
            Self::Body => f.write_str("the body"),
        }
    }
}

impl Extract {
    /// The value that an answer has for it.
    ///
    /// # Errors
    /// Says what is missing, where there is no default.
    pub fn find<R: Rng>(&self, answer: &Answer<'_>, rng: &mut R) -> Result<Value, String> {
        let mut all = self.from.all(answer);
        if let Some(regex) = &self.part {
            all = all
                .iter()
                .filter_map(|value| part_of(regex, value.as_str()))
                .collect();
        }
        let is_list = matches!(self.from, ExtractFrom::Json(_)) && all.len() > 1;
        if is_list && self.pick != Pick::First {
            // The first is the list as a whole.
            all.remove(0);
        }
        let found = match self.pick {
            _ if all.is_empty() => None,
            Pick::First => Some(all.swap_remove(0)),
            Pick::Last => all.pop(),
            Pick::Random => {
                let at = rng.random_range(0..all.len());
                Some(all.swap_remove(at))
            }
        };
        match (found, &self.default) {
            (Some(value), _) => Ok(value),
            (None, Some(default)) => Ok(default.clone()),
            (None, None) => Err(match &self.part {
                Some(regex) if !self.from.all(answer).is_empty() => {
                    format!("nothing in {} matches `{regex}`", self.from)
                }
                _ => self.from.missing(answer),
            }),
        }
    }
}

/// The first group of a match, or the whole where there is none.
fn part_of(regex: &Regex, text: &str) -> Option<Value> {
    let found = regex.captures(text)?;
    let found = found.get(usize::from(regex.captures_len() > 1))?;
    Some(Value::Text(found.as_str().to_owned()))
}

/// How deep elements may stand in each other. Reading a page takes the square of that, and nothing
/// else of a thread's VUs runs meanwhile.
const DEEPEST: usize = 1_000;

/// Whether a page nests deeper than any that is made for people: every tag that opens and none that
/// closes counts.
fn is_too_deep(page: &str) -> bool {
    let mut depth = 0_usize;
    for tag in page.split('<').skip(1) {
        depth = match tag.as_bytes().first() {
            Some(b'/') => depth.saturating_sub(1),
            Some(b) if b.is_ascii_alphabetic() && !is_single(tag) => depth + 1,
            _ => depth,
        };
        if depth > DEEPEST {
            return true;
        }
    }
    false
}

/// Whether a tag is of an element that needs no end (WHATWG HTML, sections 13.1.2 and 13.1.2.4).
fn is_single(tag: &str) -> bool {
    const SINGLE: [&str; 25] = [
        "area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link",
        "meta", "optgroup", "option", "p", "param", "source", "tbody", "td", "th", "thead", "tr",
        "track", "wbr",
    ];
    let end = tag
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(tag.len());
    let name = tag[..end].to_ascii_lowercase();
    SINGLE.contains(&name.as_str())
}

impl CssPlace {
    fn all(&self, text: &str) -> Vec<Value> {
        if is_too_deep(text) {
            return Vec::new();
        }
        let page = scraper::Html::parse_document(text);
        let found = page
            .select(&self.selector)
            .filter_map(|element| match &self.attribute {
                Some(name) => element.attr(name).map(str::to_owned),
                None => Some(element.text().collect::<String>().trim().to_owned()),
            });
        found.map(Value::Text).collect()
    }

    fn missing(&self, text: &str) -> String {
        let page = scraper::Html::parse_document(text);
        match (&self.attribute, page.select(&self.selector).next()) {
            (Some(name), Some(_)) => {
                format!("the page's `{}` has no attribute `{name}`", self.text)
            }
            _ => format!("the page has no `{}`", self.text),
        }
    }
}

fn css(text: &str) -> Result<ExtractFrom, String> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == ':')
    };
    let (selector, attribute) = match text.rsplit_once('@') {
        // Names of attributes are written in small letters by whoever reads a page.
        Some((selector, name)) if is_name(name.trim()) => {
            (selector, Some(name.trim().to_ascii_lowercase()))
        }
        _ => (text, None),
    };
    let selector = selector.trim();
    let parsed = Selector::parse(selector).map_err(|_| {
        format!(
            "`{selector}` is not a valid CSS selector; write one as in `css:input[name=csrf]@value`"
        )
    })?;
    Ok(ExtractFrom::Css(Box::new(CssPlace {
        text: selector.to_owned(),
        selector: parsed,
        attribute,
    })))
}

/// Most descents (`..`) of a `JSONPath`: each multiplies the places that are looked at by all that
/// there are.
const MOST_DESCENTS: usize = 2;

/// Reads a `JSONPath` (RFC 9535).
pub(super) fn json_path(text: &str) -> Result<JsonPath, String> {
    if text.matches("..").count() > MOST_DESCENTS {
        return Err(format!(
            "`{text}` descends (`..`) more than {MOST_DESCENTS} times, which can take minutes per \
             answer; name the way"
        ));
    }
    JsonPath::parse(text).map_err(|e| format!("`{text}` is not a valid JSONPath: {e}"))
}

/// Checks a JSON pointer (RFC 6901).
pub(super) fn pointer(text: &str) -> Result<String, String> {
    if text.is_empty() || text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err(format!(
        "`{text}` is not a JSON pointer; write `/{}`",
        text.trim_start_matches(['$', '.']).replace('.', "/")
    ))
}

/// Reads a regular expression.
pub(super) fn regex(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|e| {
        format!(
            "`{text}` is not a valid regular expression: {}",
            last_line(&e)
        )
    })
}

/// What a regular expression lacks; the lines before it draw where.
pub(super) fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default();
    last.trim_start_matches("error: ").to_owned()
}

/// Takes what stands behind the first line out of an answer, as the first line says.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz(text: &str) {
    let Some((place, body)) = text.split_once('\n') else {
        return;
    };
    let Ok(from) = ExtractFrom::parse(place) else {
        return;
    };
    let headers = http::HeaderMap::new();
    let answer = Answer::new(200, &headers, body.as_bytes());
    // The first is one of all, and nothing of it is drawn.
    let all = from.all(&answer);
    assert_eq!(from.first(&answer).as_ref(), all.first(), "{from}");
    assert_eq!(from.all(&answer), all, "{from}");
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use rand::SeedableRng as _;

    use super::*;
    use crate::scenario::VuRng;

    fn found(from: &str, pick: Pick, body: &str, headers: &HeaderMap) -> Result<String, String> {
        let extract = Extract {
            slot: 0,
            from: ExtractFrom::parse(from)?,
            pick,
            default: None,
            part: None,
        };
        let answer = Answer::new(201, headers, body.as_bytes());
        let value = extract.find(&answer, &mut VuRng::seed_from_u64(3))?;
        Ok(value.as_str().to_owned())
    }

    #[test]
    fn values_are_found_wherever_they_stand() {
        let mut headers = HeaderMap::new();
        headers.insert("location", "/orders/7".parse().unwrap());
        headers.append("set-cookie", "sid=abc; Path=/".parse().unwrap());
        headers.append("set-cookie", "csrf=\"x=y\"; HttpOnly".parse().unwrap());
        let json = r#"{"token": "t", "n": 42, "items": [{"id": 1}, {"id": "two"}], "ids": [7, 8]}"#;
        let page = "<form action='/pay'><input type=hidden name=csrf value='a&amp;b'><p> Hello \
            <b>you</b></p></form>";
        for (from, body, wanted) in [
            ("/token", json, "t"),
            ("/n", json, "42"),
            ("/items/1/id", json, "two"),
            ("/ids", json, "[7,8]"),
            ("", json, json),
            ("$.items[*].id", json, "1"),
            ("$..id", json, "1"),
            ("$.items[?@.id == 'two'].id", json, "two"),
            (r"regex:action='([^']+)'", page, "/pay"),
            (r"regex:action", page, "action"),
            ("css:input[name=csrf]@value", page, "a&b"),
            ("css: form @ action", page, "/pay"),
            ("css:p", page, "Hello you"),
            ("header:Location", "", "/orders/7"),
            ("cookie:sid", "", "abc"),
            ("cookie:csrf", "", "\"x=y\""),
            ("status", "", "201"),
            ("body", "plain", "plain"),
        ] {
            let value = found(from, Pick::First, body, &headers).unwrap();
            if from.is_empty() {
                let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
                assert_eq!(read(&value), read(wanted));
            } else {
                assert_eq!(value, wanted, "{from}");
            }
        }
        assert_eq!(found("$..id", Pick::Last, json, &headers).unwrap(), "two");
        assert_eq!(found("/ids", Pick::Last, json, &headers).unwrap(), "8");
        let any = found("/ids", Pick::Random, json, &headers).unwrap();
        assert!(["7", "8"].contains(&any.as_str()), "{any}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let none = HeaderMap::new();
        for (from, body, wanted) in [
            ("/a/b", r#"{"a": {}}"#, "the JSON has no `/a/b`"),
            ("/a", r#"{"a": null}"#, "the JSON is null at `/a`"),
            ("$.a[0]", "{}", "the JSON has no `$"),
            (
                "regex:id=(\\d+)",
                "id=x",
                "nothing in the body matches `id=(\\d+)`",
            ),
            ("css:#gone", "<p>", "the page has no `#gone`"),
            (
                "css:p@title",
                "<p>",
                "the page's `p` has no attribute `title`",
            ),
            ("header:location", "", "no header `location`"),
            ("cookie:sid", "", "sets no cookie `sid`"),
        ] {
            let why = found(from, Pick::First, body, &none).unwrap_err();
            assert!(why.contains(wanted), "{from}: {why}");
        }
    }

    #[test]
    fn places_that_cannot_be_read_say_how_they_are_written() {
        for (from, part) in [
            ("token", "write `/token`"),
            ("data.id", "write `/data/id`"),
            ("$[", "is not a valid JSONPath"),
            (
                "regex:(",
                "is not a valid regular expression: unclosed group",
            ),
            ("css:[[", "is not a valid CSS selector"),
            ("header:a b", "not the name of a header"),
        ] {
            let why = ExtractFrom::parse(from).unwrap_err();
            assert!(why.contains(part), "{from}: {why}");
        }
    }
}
