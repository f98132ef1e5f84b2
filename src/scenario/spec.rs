//! A scenario as it stands in a profile: plain serde types, nothing checked beyond their shape.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use super::check::{CheckSpec, OneOrMany};
use super::event::EventSpec;
use super::extract::Pick;
use super::most;
use super::streamed::StreamSpec;
use super::websocket::{ReplySpec, SendSpec, SubprotocolSpec};

/// `[scenario]`: the cycle of every VU.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ScenarioSpec {
    /// Name of the step that a bare `p99` means; the whole cycle when absent.
    pub main: Option<Spanned<String>>,
    /// Whether connections live longer than a cycle.
    #[serde(default)]
    pub connections: ConnectionsSpec,
    /// How long a VU keeps the cookies that it is given.
    #[serde(default)]
    pub cookies: CookiesSpec,
    /// How many redirects of one request are followed; none when absent.
    pub redirects: Option<Spanned<i64>>,
    /// Time limit of steps that have none of their own; `30s` when absent.
    pub timeout: Option<Spanned<String>>,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Spanned<String>>,
    /// Values drawn anew at the start of each cycle: name = template.
    #[serde(default)]
    pub vars: BTreeMap<String, Spanned<String>>,
    /// CSV feeders by name; `{{ NAME.column }}` takes a column of the cycle's row.
    #[serde(default)]
    pub feeders: BTreeMap<String, Spanned<FeederSpec>>,
    /// Steps that each VU takes once, before its first cycle: a login, a token.
    #[serde(default, deserialize_with = "most::steps")]
    pub start: Vec<Spanned<StepSpec>>,
    /// Statuses of the cycle's requests after which a VU takes the start steps anew: a session that
    /// has ended.
    #[serde(default)]
    pub again_when: Vec<u16>,
    /// The steps in order.
    #[serde(deserialize_with = "most::steps")]
    pub steps: Vec<Spanned<StepSpec>>,
}

impl ScenarioSpec {
    /// Every step, those of the start first, and those within others behind them.
    pub fn all_steps(&self) -> impl Iterator<Item = &Spanned<StepSpec>> {
        let mut all = Vec::new();
        let mut left: Vec<&Spanned<StepSpec>> = self.steps.iter().rev().collect();
        left.extend(self.start.iter().rev());
        while let Some(step) = left.pop() {
            all.push(step);
            left.extend(step.get_ref().inner().rev());
        }
        all.into_iter()
    }
}

/// Whether a VU keeps its connections from cycle to cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectionsSpec {
    /// Kept as long as the target keeps them.
    #[default]
    KeepAlive,
    /// Closed at the end of every cycle.
    PerCycle,
}

/// How long a VU keeps the cookies that it is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CookiesSpec {
    /// For as long as it runs, as a browser that stays open does.
    #[default]
    Vu,
    /// Until the end of the cycle: the next one is another user.
    Cycle,
    /// Not at all: what answers set is not sent back.
    Off,
}

/// A file whose rows feed the cycles: CSV, or JSON lines (`.jsonl`, `.ndjson`).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FeederSpec {
    /// Path, relative to the profile's folder; the first row of a CSV file names the columns.
    pub file: String,
    /// Which row a cycle gets.
    #[serde(default)]
    pub order: FeederOrder,
}

/// Which row of a feeder a cycle gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeederOrder {
    /// The next one, over all VUs, from the start again after the last.
    #[default]
    Sequential,
    /// Any one, drawn with the run's seed.
    Random,
    /// The next one, over all VUs, each only once: when all were used, the run ends.
    Unique,
    /// Always the same one per VU: row `vu` modulo the number of rows.
    PerVu,
}

/// One `[[scenario.steps]]` table. Exactly one of the action keys (`get` ... `delete`, `open`,
/// `wait`, `think`, `close`) must be there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StepSpec {
    /// The step's name; needed for measured steps.
    pub name: Option<String>,
    /// `GET` this path or address.
    pub get: Option<String>,
    /// `HEAD` this path or address.
    pub head: Option<String>,
    /// `POST` to this path or address.
    pub post: Option<String>,
    /// `PUT` to this path or address.
    pub put: Option<String>,
    /// `PATCH` this path or address.
    pub patch: Option<String>,
    /// `DELETE` this path or address.
    pub delete: Option<String>,
    /// The method of a request to `url`, or of `open`; `GET` when absent.
    pub method: Option<String>,
    /// Send a request of any `method` to this path or address.
    pub url: Option<String>,
    /// Open an event stream (SSE) at this path or address; the stream has the step's name.
    pub open: Option<String>,
    /// Whether a stream that ends is opened again, where its last event was.
    #[serde(default)]
    pub reconnect: bool,
    /// Open a WebSocket at this path or address; it has the step's name.
    pub connect: Option<String>,
    /// What a WebSocket may speak, of which the server chooses one.
    pub subprotocol: Option<SubprotocolSpec>,
    /// Texts on a WebSocket that are answered as soon as they come.
    #[serde(default)]
    pub replies: Vec<ReplySpec>,
    /// Messages on a WebSocket that are kept until somebody waits for them; 1 024 when absent.
    pub keep: Option<i64>,
    /// Send a message on an open WebSocket.
    pub send: Option<SendSpec>,
    /// Send a ping on the WebSocket of this name and wait for its pong.
    pub ping: Option<String>,
    /// Wait for an event on an open stream, or for a message on an open WebSocket.
    pub wait: Option<WaitSpec>,
    /// Think: a pause that is never part of a latency.
    pub think: Option<ThinkSpec>,
    /// Close the stream or the WebSocket of this name.
    pub close: Option<String>,
    /// Take these steps, as one.
    #[serde(default, deserialize_with = "most::some_steps")]
    pub steps: Option<Vec<Spanned<StepSpec>>>,
    /// Take the steps of one of these, drawn by weight.
    #[serde(default, deserialize_with = "most::choices")]
    pub choose: Option<Vec<ChoiceSpec>>,
    /// Take the step so many times.
    pub repeat: Option<i64>,
    /// Take it only where this holds: `{{ a }}`, `{{ a }} == b` or `{{ a }} != b`.
    #[serde(rename = "if")]
    pub condition: Option<String>,
    /// Headers of the request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What is put behind the address: name = value, or a list of values; templates.
    #[serde(default)]
    pub query: BTreeMap<String, toml::Value>,
    /// `{ user = "...", password = "..." }`, sent as HTTP's basic authentication; templates.
    pub basic_auth: Option<BasicAuthSpec>,
    /// Fields of a form, sent as `application/x-www-form-urlencoded`: name = value, or a list of
    /// values; templates.
    pub form: Option<BTreeMap<String, toml::Value>>,
    /// JSON body; strings in it are templates.
    pub json: Option<toml::Value>,
    /// Text body, a template.
    pub body: Option<String>,
    /// A file that is the body, as it is; relative to the profile's folder.
    pub body_file: Option<String>,
    /// The parts of a form with files, sent as `multipart/form-data`.
    #[serde(default, deserialize_with = "most::parts")]
    pub multipart: Option<Vec<MultipartSpec>>,
    /// Statuses that count as success; any 2xx when absent.
    pub expect: Option<Vec<u16>>,
    /// What must be true of the answer beside its status.
    pub check: Option<CheckSpec>,
    /// Values to take from the answer or the event: name = where it stands
    /// ([`super::ExtractFrom`]), or a table.
    #[serde(default)]
    pub extract: BTreeMap<String, ExtractSpec>,
    /// Whether the answer is a stream of events that the step reads to its end.
    pub stream: Option<StreamSpec>,
    /// Time limit of the step.
    pub timeout: Option<String>,
}

/// One of the ways that a cycle may go.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ChoiceSpec {
    /// How often it is taken, against the weights of the others.
    pub weight: i64,
    /// Its steps; none is a way too.
    #[serde(deserialize_with = "most::steps")]
    pub steps: Vec<Spanned<StepSpec>>,
}

/// One part of a form with files.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MultipartSpec {
    /// The field's name.
    pub name: String,
    /// A file that is its content, as it is; relative to the profile's folder.
    pub file: Option<String>,
    /// A text that is its content, a template.
    pub text: Option<String>,
    /// Its media type.
    #[serde(rename = "type")]
    pub media_type: Option<String>,
    /// What the file is said to be called; its own name when absent.
    pub filename: Option<String>,
}

/// A user name and a password; templates.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct BasicAuthSpec {
    /// The user's name.
    pub user: String,
    /// The password; may be empty.
    #[serde(default)]
    pub password: String,
}

/// Where a value stands, with what else is to be known.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "where the value stands (\"/token\", \"$.items[0].id\", \"regex:...\", \
        \"css:...\", \"header:NAME\", \"cookie:NAME\", \"status\", \"body\"), or a table { from, \
        pick, default }"
)]
pub enum ExtractSpec {
    /// Where it stands.
    Place(String),
    /// The same with more.
    Table(ExtractTable),
}

/// `{ from = "$.items[*].id", pick = "random", default = "1" }`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ExtractTable {
    /// Where it stands.
    pub from: String,
    /// Which one, where several stand there.
    #[serde(default)]
    pub pick: Pick,
    /// A regular expression whose first group, or whole match, is taken of the value that stands
    /// there.
    pub regex: Option<String>,
    /// What it is where nothing stands there; without it the step fails.
    pub default: Option<toml::Value>,
}

impl StepSpec {
    /// The files whose content it sends.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let parts = self.multipart.iter().flatten();
        let parts = parts.filter_map(|part| part.file.as_deref());
        self.body_file.as_deref().into_iter().chain(parts)
    }

    /// The steps within this one.
    pub fn inner(&self) -> impl DoubleEndedIterator<Item = &Spanned<StepSpec>> {
        let chosen = self.choose.iter().flatten().flat_map(|c| &c.steps);
        self.steps.iter().flatten().chain(chosen)
    }

    /// The method and the address of a step that sends a request.
    pub fn request(&self) -> Option<(&str, &str)> {
        let of_url = self.method.as_deref().unwrap_or("GET");
        let all = [
            ("GET", &self.get),
            ("HEAD", &self.head),
            ("POST", &self.post),
            ("PUT", &self.put),
            ("PATCH", &self.patch),
            ("DELETE", &self.delete),
            (of_url, &self.open),
            ("GET", &self.connect),
            (of_url, &self.url),
        ];
        all.into_iter()
            .find_map(|(method, address)| Some((method, address.as_deref()?)))
    }
}

/// `wait = { event = "answer", match = { "/id" = "{{ id }}" }, since = "ask" }`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WaitSpec {
    /// Name of the open or connect step whose stream to listen on; may be left out when there is
    /// just one.
    pub on: Option<String>,
    /// The event's name; any when absent. Of a WebSocket's messages `text` or `binary`.
    pub event: Option<String>,
    /// All of the event's data, or the whole text of a message, a template; others are passed over.
    #[serde(alias = "text")]
    pub data: Option<String>,
    /// Texts that must all stand in the data, templates; other events are passed over.
    #[serde(default)]
    pub contains: OneOrMany,
    /// Regular expressions that must all match in the data; other events are passed over.
    #[serde(default)]
    pub matches: OneOrMany,
    /// Place in the data = template: values that the event must have; other events are passed over.
    #[serde(default, rename = "match")]
    pub matching: BTreeMap<String, String>,
    /// Which of the events that match.
    #[serde(default)]
    pub pick: EventPick,
    /// Wait for the end of the stream instead, which must be a clean one.
    #[serde(default)]
    pub end: bool,
    /// Place = template: values that the matching event must have, else the step fails with
    /// `wrong_event`.
    #[serde(default)]
    pub expect: BTreeMap<String, String>,
    /// Name of the earlier step whose start is the clock's zero; the wait's own start when absent.
    pub since: Option<String>,
}

impl WaitSpec {
    /// Which events are waited for.
    pub fn events(&self) -> EventSpec {
        EventSpec {
            event: self.event.clone(),
            data: self.data.clone(),
            contains: self.contains.clone(),
            matches: self.matches.clone(),
            matching: self.matching.clone(),
        }
    }
}

/// Which of the events that match a wait is for: `"first"`, `"last"`, or a number.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    untagged,
    expecting = "`pick` is \"first\", \"last\" or a number such as 3"
)]
pub enum EventPick {
    /// The first or the last.
    Named(EventPickName),
    /// The n-th, from 1 on.
    Number(u32),
}

impl Default for EventPick {
    fn default() -> Self {
        Self::Named(EventPickName::First)
    }
}

/// `"first"` or `"last"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventPickName {
    /// The first that has come since the last wait, or comes.
    First,
    /// The last before the end of the stream.
    Last,
}

/// `think = "1s"` or one of the tables.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum ThinkSpec {
    /// Always this long.
    Fixed(String),
    /// Drawn from a distribution.
    Drawn(DrawnThinkSpec),
}

/// A random think time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum DrawnThinkSpec {
    /// Uniform between two durations: `{ uniform = ["1s", "3s"] }`.
    Uniform([String; 2]),
    /// Exponential with this mean: `{ exponential = "5s" }`.
    Exponential(String),
    /// Log-normal: `{ lognormal = { median = "1s", sigma = 0.5 } }`.
    Lognormal(LognormalSpec),
}

/// Parameters of a log-normal think time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LognormalSpec {
    /// The median.
    pub median: String,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
}
