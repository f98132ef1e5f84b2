//! A request whose answer is a stream that the step itself reads: where the answer begins and ends.
//! Pure.

use serde::Deserialize;

use super::event::{EventMatch, EventSpec};
use super::template::Template;

/// `stream = true`, or with what ends the answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(
    untagged,
    expecting = "`stream` is true, or a table { until, first, fail } such as { until = \"[DONE]\" }"
)]
pub enum StreamSpec {
    /// Whether the answer is a stream; it ends with the stream.
    Whole(bool),
    /// The same with more.
    Table(Box<StreamTable>),
}

/// `{ until = "[DONE]", first = "/choices/0/delta/content", fail = { match = { "/error" = "present"
/// } } }`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StreamTable {
    /// The event that ends the answer; the end of the stream does when absent.
    pub until: Option<UntilSpec>,
    /// The event with which the answer begins to be seen; the first of all when absent.
    pub first: Option<FirstSpec>,
    /// Events that fail the step.
    pub fail: Option<EventSpec>,
}

/// The event that ends an answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(
    untagged,
    expecting = "`until` is the data of an event, or a table { event, data, contains, matches, \
        match }"
)]
pub enum UntilSpec {
    /// The one with this data.
    Data(String),
    /// The first of these.
    Event(EventSpec),
}

/// The event with which an answer begins to be seen.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(
    untagged,
    expecting = "`first` is a place at which something stands, such as \"/text\", or a table { \
        event, data, contains, matches, match }"
)]
pub enum FirstSpec {
    /// The one that has something at this place, and no empty text.
    Place(String),
    /// The first of these.
    Event(EventSpec),
}

/// How a streamed answer is read.
#[derive(Debug, Clone, Default)]
pub struct AnswerStream {
    /// The event that ends it; the stream's end where there is none.
    pub until: Option<EventMatch>,
    /// The event with which it begins to be seen.
    pub first: Option<EventMatch>,
    /// Events that fail the step.
    pub fail: Option<EventMatch>,
}

impl AnswerStream {
    /// Compiles how a streamed answer is read; `None` where it is none. `template` compiles a text.
    ///
    /// # Errors
    /// Says what cannot be read.
    pub(super) fn compile(
        spec: Option<&StreamSpec>,
        template: impl Fn(&str) -> Result<Template, String>,
    ) -> Result<Option<Self>, String> {
        let table = match spec {
            None | Some(StreamSpec::Whole(false)) => return Ok(None),
            Some(StreamSpec::Whole(true)) => return Ok(Some(Self::default())),
            Some(StreamSpec::Table(table)) => table,
        };
        let until = table.until.as_ref().map(|until| match until {
            UntilSpec::Data(text) => EventMatch::of_data(text, &template),
            UntilSpec::Event(spec) => EventMatch::compile(spec, &template),
        });
        let first = table.first.as_ref().map(|first| match first {
            FirstSpec::Place(place) => EventMatch::with_something_at(place),
            FirstSpec::Event(spec) => EventMatch::compile(spec, &template),
        });
        let fail = table
            .fail
            .as_ref()
            .map(|spec| EventMatch::compile(spec, &template));
        let part = |name: &str, found: Option<Result<EventMatch, String>>| {
            let found = found.transpose();
            found.map_err(|why| format!("`stream`: `{name}`: {why}"))
        };
        Ok(Some(Self {
            until: part("until", until)?,
            first: part("first", first)?,
            fail: part("fail", fail)?,
        }))
    }
}
