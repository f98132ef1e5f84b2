//! From the profile's tables to a [`Scenario`]: every check that needs no running target.

mod action;
mod body;
mod branch;
mod table;
mod websocket;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue,
    TRANSFER_ENCODING, USER_AGENT,
};
use http::{Method, StatusCode, Uri};

use self::action::{ActionKey, only_action, refuse_foreign_keys};
use super::address;
use super::check::Check;
use super::event::EventSpec;
use super::extract::{Pick, regex};
use super::request::Part;
use super::spec::{
    BasicAuthSpec, ConnectionsSpec, CookiesSpec, EventPick, EventPickName, ExtractSpec,
    ScenarioSpec, StepSpec, WaitSpec,
};
use super::template::{Escape, Names, Template};
use super::websocket::{SocketStep, request_address};
use super::{
    Action, AnswerStream, Awaited, Conditions, DEFAULT_TIMEOUT, EventMatch, Expect, Extract,
    ExtractFrom, FeederUse, Files, Opened, Origin, RequestTemplate, Scenario, ScenarioError, Step,
    Think, Value, Wait, nearest,
};
use crate::measure::StepTable;
use crate::secret::{self, Lookup, masked};
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

    fn wait(&mut self, step: &'a StepSpec, spec: &'a WaitSpec) -> Result<Action, String> {
        let stream = if let Some(name) = &spec.on {
            self.open_stream(name)?
        } else {
            let mut open = self.streams.iter().filter(|(_, open)| *open);
            match (open.next(), open.next()) {
                (Some((name, _)), None) => self.open_stream(name)?,
                (None, _) => {
                    return Err(
                        "no stream is open here; open one with `open` in an earlier step"
                            .to_owned(),
                    );
                }
                (Some(_), Some(_)) => {
                    return Err(
                        "several streams are open; say which with `on = \"...\"`".to_owned()
                    );
                }
            }
        };
        let since = spec
            .since
            .as_deref()
            .map(|name| {
                self.step_of_cycle(name)
                    .map_err(|m| format!("`since`: {m}"))
            })
            .transpose()?;
        if self.sockets.contains(&stream) {
            return self.receive(step, spec, stream, since).map(Action::Socket);
        }
        let template = |text: &str| self.template(text, Escape::None);
        let awaited = awaited(step, spec)?;
        let ends = matches!(awaited, Awaited::End | Awaited::Last);
        if ends && self.reconnecting.contains(&stream) {
            return Err(
                "the stream is opened again when it ends (`reconnect`), and so has no end to \
                 wait for; remove one of them"
                    .to_owned(),
            );
        }
        Ok(Action::Wait(Wait {
            stream,
            events: EventMatch::compile(&spec.events(), template)?,
            awaited,
            expect: Conditions::compile(&spec.expect, template)
                .map_err(|m| format!("`expect`: {m}"))?,
            since,
            extract: self.extractions(step)?,
        }))
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

    fn request(
        &mut self,
        step: &'a StepSpec,
        method: Method,
        path: &str,
        own: &[(HeaderName, String)],
    ) -> Result<RequestTemplate, String> {
        let filled = secret::fill(path, self.secrets)?;
        // An error quotes what is wrong: not what was filled in.
        let address = if step.connect.is_some() {
            request_address(&filled)
        } else {
            filled.clone()
        };
        let (origin, target) = self.target(&address, &step.query).map_err(|why| {
            if filled == path {
                return why;
            }
            format!("`{path}`, with its secrets filled in, is not a valid address of a request")
        })?;
        let shown = format!("{method} {}", masked(&self.shown_target(path)));
        let (body, body_type) = self.body(step)?;
        let authority = self.origins[origin].authority.as_str();
        HeaderValue::try_from(authority)
            .map_err(|e| format!("the host is not valid in a header: {e}"))?;
        let constant = |text: &str| Part::Constant(text.to_owned());
        let mut headers = vec![(HOST, constant(authority)), (USER_AGENT, constant(AGENT))];
        headers.extend(body_type.map(|body_type| (CONTENT_TYPE, constant(&body_type))));
        headers.extend(
            own.iter()
                .map(|(name, value)| (name.clone(), constant(value))),
        );
        for (name, value) in &self.spec.headers {
            self.header(&mut headers, name, value.get_ref())?;
        }
        if let Some(auth) = &step.basic_auth {
            headers.retain(|(name, _)| name != AUTHORIZATION);
            headers.push((AUTHORIZATION, self.basic(auth)?));
        }
        for (name, value) in &step.headers {
            self.header(&mut headers, name, value)?;
        }
        let request = RequestTemplate {
            method,
            origin,
            target,
            is_link: address::is_link(path),
            headers,
            body,
            expect: expected(step)?,
            check: self.check(step)?,
            extract: self.extractions(step)?,
            stream: None,
            shown,
            constant: None,
        };
        Ok(request.sealed())
    }

    /// Sets a header, in the place of one of the same name.
    fn header(
        &self,
        headers: &mut Vec<(HeaderName, Part)>,
        name: &str,
        value: &str,
    ) -> Result<(), String> {
        let header = HeaderName::try_from(name)
            .map_err(|_| format!("`{name}` is not the name of a header"))?;
        if [CONTENT_LENGTH, TRANSFER_ENCODING].contains(&header) {
            return Err(format!(
                "header `{name}`: the length of a body is sent automatically, and two lengths \
                 would make two requests of one; remove it"
            ));
        }
        let template = self
            .template(value, Escape::None)
            .map_err(|m| format!("header `{name}`: {m}"))?;
        if let Some(text) = template.constant() {
            HeaderValue::try_from(text).map_err(|_| {
                format!("header `{name}` has a value that is not allowed in a header")
            })?;
        }
        if header == USER_AGENT && template.constant() == Some("") {
            headers.retain(|(known, _)| *known != USER_AGENT);
            return Ok(());
        }
        let part = Part::new(template);
        match headers.iter_mut().find(|(known, _)| *known == header) {
            Some(known) => known.1 = part,
            None => headers.push((header, part)),
        }
        Ok(())
    }

    /// HTTP's basic authentication (RFC 7617): the first colon ends the name.
    fn basic(&self, auth: &BasicAuthSpec) -> Result<Part, String> {
        if auth.user.contains(':') {
            return Err("`basic-auth`: a user name has no colon".to_owned());
        }
        let both = self
            .template(&format!("{}:{}", auth.user, auth.password), Escape::None)
            .map_err(|m| format!("`basic-auth`: {m}"))?;
        Ok(Part::new(Template::basic(both)))
    }

    fn check(&self, step: &StepSpec) -> Result<Option<Box<Check>>, String> {
        // The status is looked at with every answer; the body only where something is asked of it.
        let Some(spec) = step.check.as_ref().filter(|check| check.is_about_a_body()) else {
            return Ok(None);
        };
        let check = Check::compile(spec, |text| self.template(text, Escape::None));
        let check = check.map_err(|m| format!("`check`: {m}"))?;
        Ok(Some(Box::new(check)))
    }

    /// `name=value` for each, behind one another; a list gives its name to each value.
    fn pairs(&self, table: &BTreeMap<String, toml::Value>) -> Result<Template, String> {
        let mut out = Template::parse("", &self.names(), Escape::Query)?;
        for (name, value) in table {
            let values = match value {
                toml::Value::Array(values) => values.as_slice(),
                one => std::slice::from_ref(one),
            };
            for value in values {
                let text = plain(value).ok_or_else(|| {
                    format!("`{name}` is a table; give it a text, a number, or a list of them")
                })?;
                if !out.is_empty() {
                    out.append(Template::parse("&", &self.names(), Escape::Url)?);
                }
                out.append(self.template(name, Escape::Query)?);
                out.append(Template::parse("=", &self.names(), Escape::Url)?);
                out.append(self.template(&text, Escape::Query)?);
            }
        }
        Ok(out)
    }

    fn target(
        &mut self,
        path: &str,
        query: &BTreeMap<String, toml::Value>,
    ) -> Result<(usize, Part), String> {
        if address::is_link(path) {
            return self.link(path, query);
        }
        let absolute = if address::is_whole(path) {
            path.to_owned()
        } else if self.base.is_empty() {
            return Err(format!(
                "`{path}` is a path, but the target has no address; write `url` under `[target]` \
                 or a whole address here"
            ));
        } else if path.is_empty() || path.starts_with('?') {
            format!("{}{path}", self.base)
        } else if path.starts_with('/') {
            format!("{}{path}", self.base.trim_end_matches('/'))
        } else {
            return Err(format!(
                "`{path}` must begin with `/`, `http://` or `https://`"
            ));
        };
        let absolute = address::normal(&absolute)?;
        let (origin, rest) = Origin::split(&absolute)?;
        let rest = rest.split('#').next().unwrap_or_default();
        let text = if rest.starts_with('/') {
            rest.to_owned()
        } else {
            format!("/{rest}")
        };
        let mut template = Template::parse(&text, &self.names(), Escape::Url)?;
        if !query.is_empty() {
            let sign = if text.contains('?') { "&" } else { "?" };
            template.append(Template::parse(sign, &self.names(), Escape::Url)?);
            template.append(self.pairs(query).map_err(|m| format!("`query`: {m}"))?);
        }
        if let Some(text) = template.constant() {
            text.parse::<Uri>()
                .map_err(|e| format!("`{text}` is not valid in an address: {e}"))?;
        }
        Ok((self.origin(origin), Part::new(template)))
    }

    /// The number of an origin.
    fn origin(&mut self, origin: Origin) -> usize {
        let known = self.origins.iter().position(|o| *o == origin);
        known.unwrap_or_else(|| {
            self.origins.push(origin);
            self.origins.len() - 1
        })
    }

    /// An address that an answer gave: read when it is there.
    fn link(
        &mut self,
        path: &str,
        query: &BTreeMap<String, toml::Value>,
    ) -> Result<(usize, Part), String> {
        if !query.is_empty() {
            return Err(
                "`query` does not go with a whole address from an answer; remove it".to_owned(),
            );
        }
        let (origin, _) = Origin::split(&address::normal(self.base)?)?;
        let template = Template::parse(path.trim(), &self.names(), Escape::Url)?;
        Ok((self.origin(origin), Part::new(template)))
    }

    /// The path of a request as it is written, behind that of the target's address where it has
    /// one.
    fn shown_target(&self, path: &str) -> String {
        if path.contains("://") || address::is_link(path) {
            return path.to_owned();
        }
        let base = Origin::split(self.base).map_or("", |(_, base)| base);
        let whole = format!("{}{path}", base.trim_end_matches('/'));
        if whole.starts_with('/') {
            whole
        } else {
            format!("/{whole}")
        }
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

/// Which of the events that match a wait is for.
fn awaited(step: &StepSpec, spec: &WaitSpec) -> Result<Awaited, String> {
    if spec.end {
        let more = spec.events() != EventSpec::default()
            || spec.pick != EventPick::default()
            || !spec.expect.is_empty()
            || !step.extract.is_empty();
        return if more {
            Err(
                "`end` waits for the end of the stream, which is no event; remove what says which \
                 event, and wait for that in a step before"
                    .to_owned(),
            )
        } else {
            Ok(Awaited::End)
        };
    }
    match spec.pick {
        EventPick::Named(EventPickName::First) => Ok(Awaited::Events(1)),
        EventPick::Named(EventPickName::Last) => Ok(Awaited::Last),
        EventPick::Number(0) => Err("`pick`: the first event is 1".to_owned()),
        EventPick::Number(n) => Ok(Awaited::Events(n)),
    }
}

/// A single value as text; `None` for a table.
fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(n) => Some(n.to_string()),
        toml::Value::Float(x) => Some(x.to_string()),
        toml::Value::Boolean(b) => Some(b.to_string()),
        toml::Value::Datetime(at) => Some(at.to_string()),
        toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

fn status(number: u16) -> Result<StatusCode, String> {
    StatusCode::from_u16(number)
        .map_err(|_| format!("`{number}` is not an HTTP status (100 to 999)"))
}

fn expected(step: &StepSpec) -> Result<Expect, String> {
    let checked = step.check.as_ref().and_then(|check| check.status.as_ref());
    let statuses = match (&step.expect, checked) {
        (None, None) => return Ok(Expect::Success),
        (Some(statuses), None) => statuses.as_slice(),
        (None, Some(statuses)) => statuses.all(),
        (Some(_), Some(_)) => {
            return Err("`expect` and the `status` of `check` say the same; keep one".to_owned());
        }
    };
    if statuses.is_empty() {
        return Err(
            "no status is allowed, so that no answer could succeed; add one to `expect` or \
             remove it"
                .to_owned(),
        );
    }
    statuses
        .iter()
        .copied()
        .map(status)
        .collect::<Result<_, _>>()
        .map(Expect::OneOf)
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
