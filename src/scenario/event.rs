//! Which events of a stream are meant, and what must be true of one. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;

use super::answer::Answer;
use super::check::OneOrMany;
use super::extract::{ExtractFrom, last_line};
use super::sse::Event;
use super::template::Template;
use crate::excerpt;

/// Which events are meant: `{ event = "answer", data = "[DONE]", contains = "..", matches = "..",
/// match = { "/id" = "7" } }`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EventSpec {
    /// The event's name; any when absent. What has none is called `message`.
    pub event: Option<String>,
    /// All of its data; a template.
    pub data: Option<String>,
    /// Texts that must all stand in the data; templates.
    #[serde(default)]
    pub contains: OneOrMany,
    /// Regular expressions that must all match somewhere in the data.
    #[serde(default)]
    pub matches: OneOrMany,
    /// Place in the data = what must stand there: a template, `"absent"` or `"present"`.
    #[serde(default, rename = "match")]
    pub matching: BTreeMap<String, String>,
}

/// Which events are meant, ready to be looked for.
#[derive(Debug, Clone, Default)]
pub struct EventMatch {
    event: Option<String>,
    data: Option<Template>,
    contains: Vec<Template>,
    matches: Vec<Regex>,
    conditions: Conditions,
}

/// What must stand at places of an event's data.
#[derive(Debug, Clone, Default)]
pub struct Conditions(Vec<Condition>);

#[derive(Debug, Clone)]
struct Condition {
    /// The place as it is written.
    at: String,
    from: ExtractFrom,
    wanted: Wanted<Template>,
}

/// What must stand at a place.
#[derive(Debug, Clone, PartialEq)]
enum Wanted<T> {
    Absent,
    Present,
    /// A text that is not empty.
    Something,
    Text(T),
}

impl EventMatch {
    /// Compiles which events are meant; `template` compiles a text.
    ///
    /// # Errors
    /// Says what cannot be read, and how it is written.
    pub(super) fn compile(
        spec: &EventSpec,
        template: impl Fn(&str) -> Result<Template, String>,
    ) -> Result<Self, String> {
        let texts = spec.contains.all().iter().map(|t| template(t));
        let regexes = spec.matches.all().iter().map(|text| {
            Regex::new(text).map_err(|e| {
                let why = last_line(&e);
                format!("`matches`: `{text}` is not a valid regular expression: {why}")
            })
        });
        Ok(Self {
            event: spec.event.clone(),
            data: spec.data.as_deref().map(&template).transpose()?,
            contains: texts.collect::<Result<_, _>>()?,
            matches: regexes.collect::<Result<_, _>>()?,
            conditions: Conditions::compile(&spec.matching, template)?,
        })
    }

    /// Those whose data is this text.
    ///
    /// # Errors
    /// When the text is not a template.
    pub(super) fn of_data(
        text: &str,
        template: impl Fn(&str) -> Result<Template, String>,
    ) -> Result<Self, String> {
        Ok(Self {
            data: Some(template(text)?),
            ..Self::default()
        })
    }

    /// Those that have something at a place, and no empty text.
    ///
    /// # Errors
    /// When the place cannot be read.
    pub(super) fn with_something_at(place: &str) -> Result<Self, String> {
        let condition = Condition::new(place, Wanted::Something)?;
        Ok(Self {
            conditions: Conditions(vec![condition]),
            ..Self::default()
        })
    }

    /// In words, behind "an event".
    pub fn shown(&self) -> String {
        let name = match &self.event {
            Some(name) => format!(" `{name}`"),
            None => String::new(),
        };
        let asks = self.data.is_some()
            || !(self.contains.is_empty() && self.matches.is_empty() && self.conditions.is_empty());
        match self.data.as_ref().and_then(Template::constant) {
            Some(text) => format!("{name} with the data `{text}`"),
            None if asks => format!("{name} with what is looked for"),
            None => name,
        }
    }

    /// With the values of a VU; `render` fills a template in.
    pub fn filled(&self, mut render: impl FnMut(&Template) -> String) -> Sought<'_> {
        let mut text = |template| fill(template, &mut render);
        Sought {
            of: self,
            data: self.data.as_ref().map(&mut text),
            contains: self.contains.iter().map(&mut text).collect(),
            conditions: self.conditions.filled(render),
        }
    }
}

fn fill<'t>(template: &'t Template, render: &mut impl FnMut(&Template) -> String) -> Cow<'t, str> {
    match template.constant() {
        Some(text) => Cow::Borrowed(text),
        None => Cow::Owned(render(template)),
    }
}

/// Which events a VU looks for, with its values.
#[derive(Debug)]
pub struct Sought<'a> {
    of: &'a EventMatch,
    data: Option<Cow<'a, str>>,
    contains: Vec<Cow<'a, str>>,
    conditions: Met<'a>,
}

impl Sought<'_> {
    /// Whether this text is one of them, whose JSON is this part of it.
    pub fn is_text(&self, text: &str, json: fn(&str) -> &str) -> bool {
        self.has_text(text)
            && (self.conditions.is_empty() || self.conditions.unmet(json(text)).is_none())
    }

    fn has_text(&self, data: &str) -> bool {
        self.data.as_ref().is_none_or(|whole| *whole == data)
            && self.contains.iter().all(|part| data.contains(&**part))
            && self.of.matches.iter().all(|regex| regex.is_match(data))
    }

    /// Whether this is one of them.
    pub fn is(&self, event: &Event) -> bool {
        let data = event.data.as_str();
        self.of
            .event
            .as_ref()
            .is_none_or(|name| *name == event.name)
            && self.has_text(data)
            && self.conditions.unmet(data).is_none()
    }
}

impl Conditions {
    /// Compiles a table of places and what must stand there.
    ///
    /// # Errors
    /// When a place or a text cannot be read.
    pub(super) fn compile(
        table: &BTreeMap<String, String>,
        template: impl Fn(&str) -> Result<Template, String>,
    ) -> Result<Self, String> {
        let conditions = table.iter().map(|(at, text)| {
            let wanted = match text.as_str() {
                "absent" => Wanted::Absent,
                "present" => Wanted::Present,
                text => Wanted::Text(template(text)?),
            };
            Condition::new(at, wanted)
        });
        conditions.collect::<Result<_, _>>().map(Self)
    }

    /// Whether nothing is asked.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// With the values of a VU.
    pub fn filled(&self, mut render: impl FnMut(&Template) -> String) -> Met<'_> {
        let each = self.0.iter().map(|condition| {
            let wanted = match &condition.wanted {
                Wanted::Absent => Wanted::Absent,
                Wanted::Present => Wanted::Present,
                Wanted::Something => Wanted::Something,
                Wanted::Text(template) => Wanted::Text(fill(template, &mut render)),
            };
            (condition, wanted)
        });
        Met(each.collect())
    }
}

/// Conditions with a VU's values.
#[derive(Debug)]
pub struct Met<'a>(Vec<(&'a Condition, Wanted<Cow<'a, str>>)>);

impl Met<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first condition that an event's data does not meet, in words; `None` where it meets all.
    pub fn unmet(&self, data: &str) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let answer = Answer::of_event(data);
        self.0.iter().find_map(|(condition, wanted)| {
            let is = condition.from.first(&answer);
            let is = is.as_ref().map(super::Value::as_str);
            let meets = match wanted {
                Wanted::Absent => is.is_none(),
                Wanted::Present => is.is_some(),
                Wanted::Something => is.is_some_and(|text| !text.is_empty()),
                Wanted::Text(wanted) => is == Some(&**wanted),
            };
            (!meets).then(|| why_unmet(&condition.at, is, wanted))
        })
    }
}

fn why_unmet(at: &str, is: Option<&str>, wanted: &Wanted<Cow<'_, str>>) -> String {
    // What stands there may be all of an event.
    let is = is.map(excerpt::line);
    match (is, wanted) {
        (Some(is), Wanted::Text(wanted)) => {
            format!("the event has `{is}` at `{at}`, not `{wanted}`")
        }
        (None, Wanted::Text(wanted)) => {
            format!("the event has nothing at `{at}`, and `{wanted}` was expected")
        }
        (Some(is), _) => format!("the event has `{is}` at `{at}`, where nothing may stand"),
        (None, _) => format!("the event has nothing at `{at}`"),
    }
}

impl Condition {
    fn new(at: &str, wanted: Wanted<Template>) -> Result<Self, String> {
        let from = ExtractFrom::parse(at)?;
        if !from.is_of_events() {
            return Err(format!(
                "an event has no headers and no status, and so not {from}; name a place in its \
                 data such as `/id`"
            ));
        }
        Ok(Self {
            at: at.to_owned(),
            from,
            wanted,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::template::{Escape, Names};

    fn template(text: &str) -> Result<Template, String> {
        Template::parse(text, &Names::default(), Escape::None)
    }

    fn is(toml: &str, name: &str, data: &str) -> bool {
        let spec: EventSpec = toml::from_str(toml).unwrap();
        let found = EventMatch::compile(&spec, template).unwrap();
        let sought = found.filled(|_| String::new());
        sought.is(&Event {
            name: name.to_owned(),
            data: data.to_owned(),
        })
    }

    #[test]
    fn an_event_is_known_by_its_name_and_its_content() {
        for (toml, data, wanted) in [
            ("", "anything", true),
            ("event = 'a'", "x", true),
            ("event = 'b'", "x", false),
            ("data = '[DONE]'", "[DONE]", true),
            ("data = '[DONE]'", "[DONE] ", false),
            ("contains = ['to', 'ken']", "a token", true),
            ("contains = ['to', 'kin']", "a token", false),
            ("matches = '^\\d+$'", "42", true),
            ("matches = '^\\d+$'", "4 2", false),
            ("match = { '/id' = '7' }", "{\"id\": 7}", true),
            ("match = { '/id' = '7' }", "{\"id\": 8}", false),
            ("match = { '/id' = '7' }", "no JSON", false),
            ("match = { '$.a[1]' = 'x' }", "{\"a\": [1, \"x\"]}", true),
            ("match = { 'regex:id=(\\d+)' = '7' }", "id=7", true),
            ("match = { 'body' = 'x' }", "x", true),
            ("match = { '/id' = 'absent' }", "{}", true),
            ("match = { '/id' = 'absent' }", "{\"id\": 1}", false),
            ("match = { '/id' = 'present' }", "{\"id\": 1}", true),
            ("match = { '/id' = 'present' }", "{\"id\": null}", false),
        ] {
            assert_eq!(is(toml, "a", data), wanted, "{toml}: {data}");
        }
    }

    #[test]
    fn a_first_token_is_not_the_chunk_with_the_role() {
        let found = EventMatch::with_something_at("/choices/0/delta/content").unwrap();
        let sought = found.filled(|_| String::new());
        let of = |delta: &str| Event {
            name: "message".to_owned(),
            data: format!("{{\"choices\":[{{\"delta\":{delta}}}]}}"),
        };
        assert!(!sought.is(&of("{\"role\":\"assistant\",\"content\":\"\"}")));
        assert!(!sought.is(&of("{\"role\":\"assistant\"}")));
        assert!(sought.is(&of("{\"content\":\" a\"}")));
    }

    #[test]
    fn what_an_event_does_not_have_is_refused() {
        let table = |at: &str| BTreeMap::from([(at.to_owned(), "x".to_owned())]);
        for (at, part) in [
            ("header:x", "an event has no headers"),
            ("status", "no status"),
            ("id", "write `/id`"),
            ("regex:(", "not a valid regular expression"),
        ] {
            let why = Conditions::compile(&table(at), template).unwrap_err();
            assert!(why.contains(part), "{at}: {why}");
        }
    }
}
