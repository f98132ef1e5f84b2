//! From the profile's tables to a [`Scenario`]: every check that needs no running target.

mod action;
mod body;
mod branch;
mod request;
mod table;
mod target;
mod waiting;
mod websocket;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use http::header::ACCEPT;
use http::{Method, StatusCode};

use self::action::{ActionKey, only_action, refuse_foreign_keys};
use super::extract::{Pick, regex};
use super::spec::{ConnectionsSpec, CookiesSpec, ExtractSpec, ScenarioSpec, StepSpec};
use super::template::{Escape, Names, Template};
use super::websocket::SocketStep;
use super::{
    Action, AnswerStream, DEFAULT_TIMEOUT, Extract, ExtractFrom, FeederUse, Files, Opened, Origin,
    Scenario, ScenarioError, Step, Think, Value, nearest,
};
use crate::measure::StepTable;
use crate::secret::{self, Lookup};
use crate::units::parse_duration;

/// What our requests call themselves.
const AGENT: &str = concat!("breakpoint/", env!("CARGO_PKG_VERSION"));
/// Names that mean something in a template.
const RESERVED: [&str; 4] = ["vu", "cycle", "env", "cookie"];
/// Most redirects of one request that may be followed: more is a loop.
const MOST_REDIRECTS: u32 = 20;

impl Scenario {
    /// Compiles a profile's scenario against a target's address. `files` holds the rows of every
    /// feeder and the bodies that the scenario names; `secrets` looks up environment variables and
    /// files.
    ///
    /// # Errors
    /// When the scenario cannot run as it stands; the error names the place and the way out.
    pub fn compile(
        spec: &ScenarioSpec,
        base: &str,
        files: &Files,
        secrets: &Lookup<'_>,
    ) -> Result<Self, ScenarioError> {
        let found = RefCell::new(Vec::new());
        let noted = |place: secret::Place<'_>| {
            let value = secrets(place)?;
            found.borrow_mut().push(value.clone());
            Some(value)
        };
        let mut compiler = Compiler::new(spec, base, files, &noted)?;
        let vars = compiler.vars()?;
        let timeout = match &spec.timeout {
            None => DEFAULT_TIMEOUT,
            Some(text) => time_limit(text.get_ref()).map_err(|m| at(&text.span(), m))?,
        };
        let start = compiler.steps(&spec.start, timeout, Compiler::start_step)?;
        compiler.started = compiler.measured.len();
        compiler.start_streams = compiler.streams.len();
        let steps = compiler.steps(&spec.steps, timeout, Compiler::step)?;
        let main = compiler.main()?;
        let again_when = compiler.again_when()?;
        compiler.check_cookies()?;
        if compiler.measured.len() == compiler.started {
            return Err(ScenarioError {
                span: None,
                message: "the scenario sends nothing; add a step such as `{ name = \"home\", get \
                    = \"/\" }`"
                    .to_owned(),
            });
        }
        let measured = (&compiler.measured[..], compiler.started);
        let mut table = table::of(measured, main, (&start, &steps));
        let parts = compiler.streamed.iter();
        let parts = parts.map(|step| (*step, table.add_parts(*step))).collect();
        Ok(Self {
            table,
            parts,
            goals: Vec::new(),
            start,
            again_when,
            steps,
            vars,
            slots: compiler
                .slot_names
                .iter()
                .map(|n| (*n).to_owned())
                .collect(),
            secrets: found.borrow().clone(),
            feeders: compiler.feeders.into_iter().map(|(_, f)| f).collect(),
            origins: compiler.origins,
            streams: compiler.streams.len(),
            start_streams: compiler.start_streams,
            streams_at_once: compiler.streams_at_once,
            per_cycle: spec.connections == ConnectionsSpec::PerCycle,
            cookies: spec.cookies,
            cookie_names: compiler.cookies.into_inner(),
            redirects: redirects(spec)?,
        })
    }

    /// One step, `request`: a `GET` of this address.
    ///
    /// # Errors
    /// When the address cannot be read.
    pub fn single_get(url: &str) -> Result<Self, ScenarioError> {
        let step = StepSpec {
            name: Some("request".to_owned()),
            get: Some(String::new()),
            ..StepSpec::default()
        };
        let spec = ScenarioSpec {
            main: Some(toml::Spanned::new(0..0, "request".to_owned())),
            connections: ConnectionsSpec::KeepAlive,
            cookies: CookiesSpec::default(),
            redirects: None,
            timeout: None,
            headers: BTreeMap::new(),
            vars: BTreeMap::new(),
            feeders: BTreeMap::new(),
            start: Vec::new(),
            again_when: Vec::new(),
            steps: vec![toml::Spanned::new(0..0, step)],
        };
        Self::compile(&spec, url, &Files::default(), &|_| None)
            .map_err(|e| ScenarioError { span: None, ..e })
    }
}

fn at(span: &Range<usize>, message: String) -> ScenarioError {
    ScenarioError {
        span: Some(span.clone()),
        message,
    }
}

fn redirects(spec: &ScenarioSpec) -> Result<u32, ScenarioError> {
    let Some(wanted) = &spec.redirects else {
        return Ok(0);
    };
    let known = u32::try_from(*wanted.get_ref()).ok();
    known.filter(|n| *n <= MOST_REDIRECTS).ok_or_else(|| {
        let message =
            format!("`redirects` must be between 0 (a redirect is a failure) and {MOST_REDIRECTS}");
        at(&wanted.span(), message)
    })
}

fn time_limit(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(limit) if limit.is_zero() => Err("`timeout` must be above zero".to_owned()),
        Ok(limit) => Ok(limit),
        Err(e) => Err(format!("cannot read `timeout`: {e}")),
    }
}

/// What is known while the steps are gone through in order.
struct Compiler<'a> {
    spec: &'a ScenarioSpec,
    base: &'a str,
    secrets: &'a Lookup<'a>,
    /// The content of each file that is sent.
    bodies: &'a BTreeMap<String, Arc<[u8]>>,
    feeders: Vec<(&'a str, FeederUse)>,
    /// Names of the value slots, by slot; those of extractions are there once their step was
    /// compiled.
    slot_names: Vec<&'a str>,
    measured: Vec<&'a str>,
    /// How many of those each VU takes once.
    started: usize,
    /// Names of the streams opened so far, and whether they are open still.
    streams: Vec<(&'a str, bool)>,
    /// Which of them are a `WebSocket`.
    sockets: Vec<usize>,
    /// How many of them were opened by start steps.
    start_streams: usize,
    streams_at_once: usize,
    /// How many streams were opened in one branch and left open there.
    left_open: usize,
    /// Steps within steps, how deep.
    depth: usize,
    /// The waits by row: what each counts from.
    since: BTreeMap<usize, Option<usize>>,
    /// Those that are opened again when they end.
    reconnecting: Vec<usize>,
    /// Steps that are streamed answers.
    streamed: Vec<usize>,
    origins: Vec<Origin>,
    /// The cookies that templates take values from.
    cookies: RefCell<Vec<String>>,
}

impl<'a> Compiler<'a> {
    fn new(
        spec: &'a ScenarioSpec,
        base: &'a str,
        files: &'a Files,
        secrets: &'a Lookup<'a>,
    ) -> Result<Self, ScenarioError> {
        let mut feeders = Vec::new();
        for (name, feeder) in &spec.feeders {
            let loaded = files.feeders.get(name).ok_or_else(|| {
                at(
                    &feeder.span(),
                    format!("the rows of feeder `{name}` were not read"),
                )
            })?;
            let used = FeederUse {
                name: name.clone(),
                feeder: Arc::clone(loaded),
                order: feeder.get_ref().order,
            };
            feeders.push((name.as_str(), used));
        }
        Ok(Self {
            spec,
            base,
            secrets,
            bodies: &files.bodies,
            feeders,
            slot_names: Vec::new(),
            measured: Vec::new(),
            started: 0,
            streams: Vec::new(),
            sockets: Vec::new(),
            start_streams: 0,
            streams_at_once: 0,
            left_open: 0,
            depth: 0,
            since: BTreeMap::new(),
            reconnecting: Vec::new(),
            streamed: Vec::new(),
            origins: Vec::new(),
            cookies: RefCell::default(),
        })
    }

    /// Variables are filled in from built-in values and feeders, not from each other: the table has
    /// no order.
    fn vars(&mut self) -> Result<Vec<(usize, Template)>, ScenarioError> {
        let mut vars = Vec::new();
        for (slot, (name, text)) in self.spec.vars.iter().enumerate() {
            let reserved = RESERVED.contains(&name.as_str());
            if reserved || self.feeders.iter().any(|(n, _)| n == name) {
                let message =
                    format!("`{name}` already means something; give the variable another name");
                return Err(at(&text.span(), message));
            }
            let template = self
                .template(text.get_ref(), Escape::None)
                .map_err(|m| at(&text.span(), format!("variable `{name}`: {m}")))?;
            vars.push((slot, template));
        }
        self.slot_names = self.spec.vars.keys().map(String::as_str).collect();
        Ok(vars)
    }

    /// Cookies that nobody keeps have no values.
    fn check_cookies(&self) -> Result<(), ScenarioError> {
        match self.cookies.borrow().first() {
            Some(name) if self.spec.cookies == CookiesSpec::Off => Err(ScenarioError {
                span: None,
                message: format!(
                    "`{{{{ cookie.{name} }}}}` needs the cookies that `cookies = \"off\"` throws \
                     away; remove one of them"
                ),
            }),
            _ => Ok(()),
        }
    }

    fn main(&self) -> Result<Option<usize>, ScenarioError> {
        let Some(main) = &self.spec.main else {
            return Ok(None);
        };
        let name = main.get_ref().as_str();
        if name == StepTable::CYCLE {
            return Ok(None);
        }
        self.step_of_cycle(name)
            .map(Some)
            .map_err(|m| at(&main.span(), format!("`main`: {m}")))
    }

    /// A step that every cycle goes through.
    fn step_of_cycle(&self, name: &str) -> Result<usize, String> {
        let row = self.measured_step(name)?;
        if row < self.started {
            return Err(format!(
                "`{name}` is a start step and not part of a cycle; name one of `steps`"
            ));
        }
        Ok(row)
    }

    fn measured_step(&self, name: &str) -> Result<usize, String> {
        self.measured
            .iter()
            .position(|n| *n == name)
            .ok_or_else(|| {
                format!(
                    "no step called `{name}` comes before{}; the steps are {}",
                    nearest(name, self.measured.iter().copied()),
                    self.measured.join(", ")
                )
            })
    }

    fn names(&self) -> Names<'_> {
        Names {
            slots: self
                .slot_names
                .iter()
                .enumerate()
                .map(|(i, n)| (*n, i))
                .collect(),
            feeders: self.feeders.iter().map(|(n, f)| (*n, &*f.feeder)).collect(),
            cookies: Some(&self.cookies),
        }
    }

    fn template(&self, text: &str, escape: Escape) -> Result<Template, String> {
        Template::parse(&secret::fill(text, self.secrets)?, &self.names(), escape)
    }

    fn steps(
        &mut self,
        steps: &'a [toml::Spanned<StepSpec>],
        timeout: Duration,
        compile: fn(&mut Self, &'a StepSpec, Duration) -> Result<Step, ScenarioError>,
    ) -> Result<Vec<Step>, ScenarioError> {
        let mut out = Vec::with_capacity(steps.len());
        for step in steps {
            let compiled = compile(self, step.get_ref(), timeout).map_err(|error| {
                // What is wrong with a step within this one was found at its own place.
                if error.span.is_some() {
                    return error;
                }
                let name = step.get_ref().name.as_deref();
                let place = name.map_or_else(String::new, |n| format!("step `{n}`: "));
                at(&step.span(), format!("{place}{}", error.message))
            })?;
            out.push(compiled);
        }
        Ok(out)
    }

    /// A step that each VU takes once. A stream ends with the cycle, and so none is opened before
    /// it; a WebSocket that is opened before it stays open.
    fn start_step(&mut self, step: &'a StepSpec, timeout: Duration) -> Result<Step, ScenarioError> {
        let stream = [
            ("open", step.open.is_some()),
            ("wait", step.wait.is_some() && self.sockets.is_empty()),
            ("close", step.close.is_some()),
            ("stream", step.stream.is_some()),
        ];
        if let Some((key, _)) = stream.iter().find(|(_, there)| *there) {
            return Err(format!(
                "`{key}` does not belong among the start steps: a stream ends with its cycle; \
                 open it in one of `steps`"
            )
            .into());
        }
        if self.spec.cookies == CookiesSpec::Cycle {
            return Err(
                "`cookies = \"cycle\"` would throw away what the start steps are given; remove \
                 it, or make this a step of the cycle"
                    .to_owned()
                    .into(),
            );
        }
        self.step(step, timeout)
    }

    fn again_when(&self) -> Result<Vec<StatusCode>, ScenarioError> {
        let error = |message: String| ScenarioError {
            span: None,
            message,
        };
        if !self.spec.again_when.is_empty() && self.spec.start.is_empty() {
            let message = "`again-when` takes the start steps anew, and there are none; add \
                `[[scenario.start]]`";
            return Err(error(message.to_owned()));
        }
        if let Some(fine) = self
            .spec
            .again_when
            .iter()
            .find(|s| (200..300).contains(*s))
        {
            return Err(error(format!(
                "`again-when`: {fine} is a success, after which nothing is taken anew; name a \
                 status such as 401"
            )));
        }
        let statuses = self.spec.again_when.iter().copied().map(status);
        statuses
            .collect::<Result<_, _>>()
            .map_err(|m| error(format!("`again-when`: {m}")))
    }

    fn step(&mut self, step: &'a StepSpec, timeout: Duration) -> Result<Step, ScenarioError> {
        let before = self.streams_now();
        let key = only_action(step)?;
        refuse_foreign_keys(step, &key)?;
        let timeout = step.timeout.as_deref().map_or(Ok(timeout), time_limit)?;
        let action = match key {
            ActionKey::Request(method, path) => {
                let template = |text: &str| self.template(text, Escape::None);
                let stream = AnswerStream::compile(step.stream.as_ref(), template)?;
                let accepts = [(ACCEPT, "text/event-stream".to_owned())];
                let accepts = if stream.is_some() { &accepts[..] } else { &[] };
                let mut request = self.request(step, method, path, accepts)?;
                if stream.is_some() && request.needs_body() {
                    return Err(
                        "a streamed answer is not kept for `check` or `extract`; name events \
                         that fail the step with `stream = { fail = { .. } }`, or use \
                         `header:NAME`"
                            .to_owned()
                            .into(),
                    );
                }
                request.stream = stream.map(Box::new);
                Action::Request(request)
            }
            ActionKey::Open(method, path) => self.open(step, method, path)?,
            ActionKey::Connect(path) => Action::Socket(self.connect(step, path)?),
            ActionKey::Send(spec) => Action::Socket(self.send(spec)?),
            ActionKey::Ping(name) => Action::Socket(SocketStep::Ping(self.open_socket(name)?)),
            ActionKey::Wait(wait) => self.wait(step, wait)?,
            ActionKey::Think(think) => Action::Think(Think::parse(think)?),
            ActionKey::Group(steps) => Action::Group(self.group(steps, timeout)?),
            ActionKey::Choose(choices) => self.choice(choices, timeout)?,
            ActionKey::Close(name) => {
                let stream = self.open_stream(name)?;
                self.may_close(stream)?;
                self.streams[stream].1 = false;
                if step.name.is_some() && self.sockets.contains(&stream) {
                    Action::Socket(SocketStep::Close(stream))
                } else {
                    Action::Close(stream)
                }
            }
        };
        let measured = match &action {
            Action::Request(_) | Action::Open(..) | Action::Wait(_) | Action::Socket(_) => {
                Some(self.measure(step)?)
            }
            Action::Think(_) | Action::Close(_) | Action::Group(_) | Action::Choose(_) => None,
        };
        if let (Action::Request(request), Some(row)) = (&action, measured)
            && request.stream.is_some()
            && !self.streamed.contains(&row)
        {
            self.streamed.push(row);
        }
        if let (Some(row), Action::Wait(_) | Action::Socket(SocketStep::Receive(_))) =
            (measured, &action)
        {
            self.counts_from(row, action.since())?;
        }
        let condition = self.condition(step)?;
        if condition.is_some() {
            self.streams_after(&before, &[self.streams_now()]);
        }
        Ok(Step {
            measured,
            timeout,
            action,
            repeat: branch::repeat(step)?,
            condition,
        })
    }

    /// A step that opens a stream.
    fn open(
        &mut self,
        step: &'a StepSpec,
        method: Method,
        path: &str,
    ) -> Result<Action, ScenarioError> {
        let accepts = [(ACCEPT, "text/event-stream".to_owned())];
        let request = self.request(step, method, path, &accepts)?;
        if request.is_link() {
            return Err(
                "a stream is opened at an address of the profile, not at one from an answer"
                    .to_owned()
                    .into(),
            );
        }
        if request.needs_body() {
            return Err(
                "an open stream has no body to `extract` from; take it from an event with \
                `wait`, or use `header:NAME`"
                    .to_owned()
                    .into(),
            );
        }
        let opened = Opened {
            stream: self.opened(step)?,
            reconnect: step.reconnect,
        };
        self.reconnecting
            .extend(step.reconnect.then_some(opened.stream));
        Ok(Action::Open(request, opened))
    }

    fn measure(&mut self, step: &'a StepSpec) -> Result<usize, String> {
        let name = step
            .name
            .as_deref()
            .ok_or("every step that is measured needs a name; add `name = \"...\"` to it")?;
        if name == StepTable::CYCLE {
            return Err("`cycle` stands for the whole cycle; choose another name".to_owned());
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(plain) {
            return Err("a name is made of letters, digits, `-` and `_`".to_owned());
        }
        self.row(name)
    }

    fn open_stream(&self, name: &str) -> Result<usize, String> {
        match self.streams.iter().position(|(n, _)| *n == name) {
            Some(stream) if self.streams[stream].1 => Ok(stream),
            Some(_) => Err(format!(
                "stream `{name}` was closed by an earlier step, or is opened in one branch only"
            )),
            None => Err(format!(
                "no stream `{name}` is open here{}; open one with `open` in an earlier step",
                nearest(name, self.streams.iter().map(|(n, _)| *n))
            )),
        }
    }

    fn extractions(&mut self, step: &'a StepSpec) -> Result<Vec<Extract>, String> {
        let mut out = Vec::new();
        for (name, from) in &step.extract {
            if RESERVED.contains(&name.as_str()) {
                return Err(format!(
                    "`{name}` already means something; extract into another name"
                ));
            }
            let (from, pick, default, part) = match from {
                ExtractSpec::Place(place) => (place, Pick::First, None, None),
                ExtractSpec::Table(table) => {
                    let default = table.default.as_ref().map(default_value);
                    let part = table.regex.as_deref().map(regex).transpose()?;
                    (&table.from, table.pick, default.transpose()?, part)
                }
            };
            let from = ExtractFrom::parse(from).map_err(|m| format!("`extract`: {m}"))?;
            if step.wait.is_some() && !from.is_of_events() {
                return Err(format!(
                    "an event has no headers and no status, and so not {from}; extract with a \
                     JSON pointer such as `/id`"
                ));
            }
            let known = self.slot_names.iter().position(|n| n == name);
            let slot = known.unwrap_or_else(|| {
                self.slot_names.push(name);
                self.slot_names.len() - 1
            });
            out.push(Extract {
                slot,
                from,
                pick,
                default,
                part: part.map(Box::new),
            });
        }
        Ok(out)
    }
}

/// What a value is where none was found.
fn default_value(given: &toml::Value) -> Result<Value, String> {
    if let toml::Value::String(text) = given {
        if text.contains("{{") {
            return Err("`default` is taken as it stands; it cannot hold `{{ }}`".to_owned());
        }
        return Ok(Value::Text(text.clone()));
    }
    let json = serde_json::to_string(given).map_err(|e| format!("`default`: {e}"))?;
    Ok(match given {
        toml::Value::Datetime(at) => Value::Text(at.to_string()),
        _ => Value::Json(json),
    })
}

fn status(number: u16) -> Result<StatusCode, String> {
    StatusCode::from_u16(number)
        .map_err(|_| format!("`{number}` is not an HTTP status (100 to 999)"))
}

fn fill_in(value: &mut toml::Value, secrets: &Lookup<'_>) -> Result<(), String> {
    match value {
        toml::Value::String(text) => *text = secret::fill(text, secrets)?,
        toml::Value::Array(items) => {
            for item in items {
                fill_in(item, secrets)?;
            }
        }
        toml::Value::Table(table) => {
            for (_, item) in table.iter_mut() {
                fill_in(item, secrets)?;
            }
        }
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests;
