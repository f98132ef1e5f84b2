//! The compiled scenario: the cycle of steps that every VU goes through.
//!
//! Pure: reading the profile's files and running the steps happen elsewhere.

mod address;
mod allowed;
mod answer;
mod check;
mod compile;
mod condition;
mod event;
mod extract;
mod feeder;
mod files;
mod goal;
pub mod most;
mod multipart;
mod protocol;
mod redirect;
mod request;
mod resolve;
pub mod spec;
pub mod sse;
mod streamed;
mod template;
mod think;
pub mod websocket;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use rand::{Rng, RngExt as _, SeedableRng as _};

pub use address::{check_port, normal as normal_address};
pub use allowed::Allowed;
pub use answer::{Answer, text_of};
pub use check::{Check, CheckSpec};
pub use condition::Condition;
pub use event::{Conditions, EventMatch, Sought};
#[cfg(any(test, fuzzing))]
pub(crate) use extract::fuzz as fuzz_extract;
pub use extract::{Extract, ExtractFrom, Pick};
pub use feeder::{Feeder, FeederError, FeederFormat, MOST as MOST_FEEDERS};
pub use files::Files;
pub use goal::{Goal, GoalLimit, LimitOf};
pub use protocol::{Http, Protocol};
pub use redirect::{Redirect, is_redirect, same_origin};
pub use request::{BadRequest, Expect, Origin, Rendered, RequestTemplate};
pub use resolve::{Addresses, Resolve};
pub use spec::{CookiesSpec, FeederOrder};
pub use streamed::{AnswerStream, FirstSpec, StreamSpec, StreamTable, UntilSpec};
#[cfg(any(test, fuzzing))]
pub(crate) use template::fuzz as fuzz_template;
pub use template::{Template, Value, Values};
pub use think::Think;
pub use websocket::{Reply, SocketStep};

use crate::excerpt::Masks;
use crate::measure::{LevelUnit, Role, StepParts, StepTable};
use crate::secret::{is_credential, names_a_secret, parts_of_cookie};

/// The generator of a VU's random values; the same seed gives the same values on every machine.
pub type VuRng = rand::rngs::Xoshiro256PlusPlus;

/// The random values of one VU: they depend on the run's seed and the VU's number alone.
pub fn vu_rng(seed: u64, vu: u32) -> VuRng {
    // An odd multiplier (2^64 / golden ratio) sets neighbouring VUs far apart before the seeding's
    // own mixing.
    VuRng::seed_from_u64(seed ^ (u64::from(vu) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Time limit of steps whose profile names none.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// What is wrong with a scenario, and where in the profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScenarioError {
    /// Bytes of the profile that are to blame, where known.
    pub span: Option<Range<usize>>,
    /// What is wrong and the way out.
    pub message: String,
}

impl From<String> for ScenarioError {
    /// Of a place that is not known yet.
    fn from(message: String) -> Self {
        Self {
            span: None,
            message,
        }
    }
}

/// No row of a feeder is left that no cycle has had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "feeder `{feeder}` has no rows left after {rows} cycles (`order = \"unique\"`); add rows or use \
     `order = \"random\"`"
)]
pub struct UsedUp {
    feeder: String,
    rows: usize,
}

/// A feeder and which of its rows a cycle gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeederUse {
    /// Its name.
    pub name: String,
    /// The rows.
    pub feeder: Arc<Feeder>,
    /// Which row a cycle gets.
    pub order: FeederOrder,
}

/// One step of the cycle.
#[derive(Debug, Clone)]
pub struct Step {
    /// Index in [`StepTable`] of a measured step; thinking and closing are not measured.
    pub measured: Option<usize>,
    /// Time limit of a measured step, connecting included.
    pub timeout: Duration,
    /// What to do.
    pub action: Action,
    /// How often, one time after the other.
    pub repeat: u32,
    /// Whether to do it at all, asked before each time: where it does not hold, the next step
    /// follows.
    pub condition: Option<Condition>,
}

/// One of the ways that a cycle may go at a place.
#[derive(Debug, Clone)]
pub struct Choice {
    /// How often it is taken, against the weights of the others.
    pub weight: u32,
    /// Its steps.
    pub steps: Vec<Step>,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Send a request and read the whole answer.
    Request(RequestTemplate),
    /// Open an event stream; its number is the place among the scenario's streams.
    Open(RequestTemplate, Opened),
    /// Wait for an event.
    Wait(Wait),
    /// Pause.
    Think(Think),
    /// Do something with a WebSocket.
    Socket(SocketStep),
    /// Close the stream of this number.
    Close(usize),
    /// Take these steps.
    Group(Vec<Step>),
    /// Take the steps of one of these.
    Choose(Vec<Choice>),
}

impl Step {
    /// The steps within it.
    fn inner(&self) -> Box<dyn Iterator<Item = &Self> + '_> {
        match &self.action {
            Action::Group(steps) => Box::new(steps.iter()),
            Action::Choose(choices) => Box::new(choices.iter().flat_map(|c| &c.steps)),
            Action::Request(_)
            | Action::Open(..)
            | Action::Wait(_)
            | Action::Socket(_)
            | Action::Think(_)
            | Action::Close(_) => Box::new(std::iter::empty()),
        }
    }

    /// How many requests it sends, where that is always the same.
    fn requests(&self) -> Option<u32> {
        let once = match &self.action {
            Action::Request(_) | Action::Open(..) => Some(1),
            Action::Socket(step) => Some(u32::from(step.request().is_some())),
            Action::Wait(_) | Action::Think(_) | Action::Close(_) => Some(0),
            Action::Group(steps) => Self::requests_of(steps),
            Action::Choose(choices) => {
                let mut each = choices.iter().map(|c| Self::requests_of(&c.steps));
                let first = each.next()?;
                each.all(|one| one == first).then_some(first)?
            }
        };
        match (once, &self.condition) {
            (Some(0), _) => Some(0),
            (once, None) => once?.checked_mul(self.repeat),
            (_, Some(_)) => None,
        }
    }

    fn requests_of(steps: &[Self]) -> Option<u32> {
        steps
            .iter()
            .try_fold(0_u32, |sum, step| sum.checked_add(step.requests()?))
    }

    /// How long it thinks, on average, seconds; what depends on a condition is counted as if it
    /// held.
    fn think_s(&self) -> f64 {
        let once = match &self.action {
            Action::Think(think) => think.mean_s(),
            Action::Group(steps) => Scenario::think_s(steps),
            Action::Choose(choices) => {
                let all: f64 = choices.iter().map(|c| f64::from(c.weight)).sum();
                let each = choices.iter();
                let sum: f64 = each
                    .map(|c| f64::from(c.weight) * Scenario::think_s(&c.steps))
                    .sum();
                sum / all
            }
            Action::Request(_)
            | Action::Open(..)
            | Action::Wait(_)
            | Action::Socket(_)
            | Action::Close(_) => 0.0,
        };
        once * f64::from(self.repeat)
    }
}

/// How a stream is opened.
#[derive(Debug, Clone, Copy)]
pub struct Opened {
    /// Its number among the scenario's streams.
    pub stream: usize,
    /// Whether it is opened again when it ends.
    pub reconnect: bool,
}

/// Which of the events of a stream that match a VU waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// This many of them; the latency is that of the last.
    Events(u32),
    /// The last before a clean end of the stream.
    Last,
    /// None: a clean end of the stream.
    End,
}

impl Action {
    /// The step from whose start it counts, where that is not its own.
    pub fn since(&self) -> Option<usize> {
        match self {
            Self::Wait(wait) => wait.since,
            Self::Socket(step) => step.since(),
            Self::Request(_)
            | Self::Open(..)
            | Self::Think(_)
            | Self::Close(_)
            | Self::Group(_)
            | Self::Choose(_) => None,
        }
    }
}

/// Which event a VU waits for.
#[derive(Debug, Clone)]
pub struct Wait {
    /// The stream to listen on.
    pub stream: usize,
    /// Which events are meant; others are passed over.
    pub events: EventMatch,
    /// Which of them.
    pub awaited: Awaited,
    /// What the event must have, or the step fails.
    pub expect: Conditions,
    /// Index of the measured step whose start is the clock's zero; the wait's own start when
    /// `None`.
    pub since: Option<usize>,
    /// Values to take from the event.
    pub extract: Vec<Extract>,
}

/// A cycle of steps, ready to run.
#[derive(Debug, Clone)]
pub struct Scenario {
    table: StepTable,
    start: Vec<Step>,
    again_when: Vec<StatusCode>,
    steps: Vec<Step>,
    origins: Vec<Origin>,
    vars: Vec<(usize, Template)>,
    /// Names of the values that are set while it runs, by slot.
    slots: Vec<String>,
    /// What was filled in from the environment and from files.
    secrets: Vec<String>,
    feeders: Vec<FeederUse>,
    streams: usize,
    /// How many of them are opened by the start steps, and stay open.
    start_streams: usize,
    streams_at_once: usize,
    per_cycle: bool,
    cookies: CookiesSpec,
    /// Names of the cookies that requests take values from.
    cookie_names: Vec<String>,
    redirects: u32,
    /// The rows of the parts of steps that are streamed answers, by step.
    parts: Vec<(usize, StepParts)>,
    goals: Vec<Goal>,
}

impl Scenario {
    /// One without steps of its own, whose users run a script: what is counted, and that answers
    /// may lead anywhere.
    pub fn of_script(table: StepTable) -> Self {
        Self {
            table,
            start: Vec::new(),
            again_when: Vec::new(),
            steps: Vec::new(),
            origins: Vec::new(),
            vars: Vec::new(),
            slots: Vec::new(),
            secrets: Vec::new(),
            feeders: Vec::new(),
            streams: 0,
            start_streams: 0,
            streams_at_once: 0,
            per_cycle: false,
            cookies: CookiesSpec::default(),
            cookie_names: Vec::new(),
            redirects: 1,
            parts: Vec::new(),
            goals: Vec::new(),
        }
    }

    /// The measured steps.
    pub fn table(&self) -> &StepTable {
        &self.table
    }

    /// The rows of the parts of a measured step, where it is a streamed answer.
    pub fn parts(&self, step: usize) -> Option<StepParts> {
        let found = self.parts.iter().find(|(of, _)| *of == step);
        found.map(|(_, parts)| *parts)
    }

    /// What cycles are counted by that meet several limits at once.
    pub fn goals(&self) -> &[Goal] {
        &self.goals
    }

    /// Lets cycles be counted that meet all of these limits, each of a row by its name, in a row of
    /// this name.
    ///
    /// # Errors
    /// Names the row that there is not, or that is of no cycle.
    pub fn add_goal(
        &mut self,
        name: &str,
        limits: &[(String, Duration, bool)],
    ) -> Result<(), String> {
        if self.table.names().any(|known| known == name) {
            return Ok(());
        }
        let limit = |(of, most, inclusive): &(String, Duration, bool)| {
            let row = self.table.rows().iter().position(|row| row.name == *of);
            let role = row.map(|row| self.table.rows()[row].role);
            let of = match (row, role) {
                (Some(row), Some(Role::Step | Role::Part)) => LimitOf::Row(row),
                (Some(_), Some(Role::Cycle)) => LimitOf::Cycle,
                (Some(_), Some(Role::Start)) => {
                    return Err(format!("`{of}` is a start step and not part of a cycle"));
                }
                _ => {
                    let names = self.table.rows().iter();
                    let names: Vec<&str> = names
                        .filter(|row| !matches!(row.role, Role::Start | Role::Good))
                        .map(|row| row.name.as_str())
                        .collect();
                    let known = names.join(", ");
                    return Err(format!(
                        "a cycle of the users has no measured step `{of}`; there are: {known}"
                    ));
                }
            };
            Ok(GoalLimit {
                of,
                most: *most,
                inclusive: *inclusive,
            })
        };
        let limits = limits.iter().map(limit).collect::<Result<_, String>>()?;
        let row = self.table.add_good(name);
        self.goals.push(Goal { row, limits });
        Ok(())
    }

    /// The steps that each VU takes once, before its first cycle.
    pub fn start(&self) -> &[Step] {
        &self.start
    }

    /// Whether an answer with this status says that what the start steps were given has ended.
    pub fn starts_again(&self, status: StatusCode) -> bool {
        self.again_when.contains(&status)
    }

    /// All that do something themselves, in order.
    fn all_steps(&self) -> impl Iterator<Item = &Step> {
        let mut left: Vec<&Step> = self.start.iter().chain(&self.steps).collect();
        left.reverse();
        std::iter::from_fn(move || {
            let step = left.pop()?;
            let behind = left.len();
            left.extend(step.inner());
            left[behind..].reverse();
            Some(step)
        })
    }

    /// The steps in order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Where the requests go; requests name an origin by its index.
    pub fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// The feeders, in the order of [`Scenario::begin_cycle`]'s rows.
    pub fn feeders(&self) -> &[FeederUse] {
        &self.feeders
    }

    /// What a level of the open model counts: requests where a cycle has just one.
    pub fn unit_of_rate(&self) -> LevelUnit {
        match Step::requests_of(&self.steps) {
            Some(1) => LevelUnit::RequestsPerS,
            _ => LevelUnit::CyclesPerS,
        }
    }

    /// How many streams a cycle opens in all.
    pub fn streams(&self) -> usize {
        self.streams
    }

    /// How many of them are opened once per VU; they are the first.
    pub fn start_streams(&self) -> usize {
        self.start_streams
    }

    /// Whether connections are closed at the end of every cycle.
    pub fn closes_each_cycle(&self) -> bool {
        self.per_cycle
    }

    /// How long a VU keeps the cookies that it is given.
    pub fn cookies(&self) -> CookiesSpec {
        self.cookies
    }

    /// The cookies that requests take values from, in the order of [`Values::set_cookie`].
    pub fn cookie_names(&self) -> &[String] {
        &self.cookie_names
    }

    /// The steps of a user who comes once and leaves: those of a cycle but for thinking at its end,
    /// which only paces the next cycle.
    pub fn visit(&self) -> &[Step] {
        let last = self
            .steps
            .iter()
            .rposition(|s| !matches!(s.action, Action::Think(_)));
        &self.steps[..last.map_or(0, |last| last + 1)]
    }

    /// How many redirects of one request are followed.
    pub fn redirects(&self) -> u32 {
        self.redirects
    }

    /// Mean think time of a cycle, seconds.
    pub fn mean_think_s(&self) -> f64 {
        Self::think_s(&self.steps)
    }

    /// Mean think time of some steps, seconds.
    pub fn think_s(steps: &[Step]) -> f64 {
        steps.iter().map(Step::think_s).sum()
    }

    /// Most connections that one VU holds at once: one per origin of its requests, one per open
    /// stream; where redirects are followed, one per origin at all and one for where they lead.
    pub fn connections_per_vu(&self) -> usize {
        let mut kept: Vec<usize> = self
            .all_steps()
            .filter_map(|s| match &s.action {
                Action::Request(request) => Some(request.origin()),
                Action::Open(..)
                | Action::Wait(_)
                | Action::Think(_)
                | Action::Socket(_)
                | Action::Close(_)
                | Action::Group(_)
                | Action::Choose(_) => None,
            })
            .collect();
        kept.sort_unstable();
        kept.dedup();
        let kept = match self.redirects {
            0 => kept.len().max(usize::from(self.streams_at_once == 0)),
            _ => self.origins.len() + 1,
        };
        kept + self.streams_at_once
    }

    /// Values of a VU before its first cycle.
    pub fn values(&self, vu: u32) -> Values {
        Values {
            vu,
            cycle: 0,
            slots: vec![Value::default(); self.slots.len()],
            now_ms: 0,
            cookies: vec![None; self.cookie_names.len()],
            rows: vec![0; self.feeders.len()],
        }
    }

    /// The name of a value.
    pub fn slot_name(&self, slot: usize) -> &str {
        self.slots.get(slot).map_or("", String::as_str)
    }

    /// The secrets among a VU's values, and those of the profile: what is named like one, and what
    /// came from the environment and from files. With `extracted` also whatever was taken from an
    /// answer, and every row of a feeder: what is published holds neither. What was taken from a
    /// header or a place that holds secrets, or looks like one, is one in any case.
    pub fn masks(&self, values: &Values, extracted: bool) -> Masks {
        let mut hidden = self.secrets.clone();
        hidden.extend(values.cookies.iter().flatten().cloned());
        for (slot, value) in values.slots.iter().enumerate() {
            let value = value.as_str();
            let taken = || self.extractions().filter(|e| e.slot == slot);
            let hides = |e: &Extract| extracted || e.from.is_secret() || is_credential(value);
            if names_a_secret(&self.slots[slot]) || taken().any(hides) {
                hidden.extend(parts_of_cookie(value));
                hidden.push(value.to_owned());
            }
        }
        for (used, row) in self.feeders.iter().zip(&values.rows) {
            for (at, column) in used.feeder.columns().iter().enumerate() {
                if extracted || names_a_secret(column) {
                    hidden.push(used.feeder.cell(*row, at).to_owned());
                }
            }
        }
        Masks::new(hidden)
    }

    fn extractions(&self) -> impl Iterator<Item = &Extract> {
        self.all_steps().flat_map(|step| match &step.action {
            Action::Request(request) | Action::Open(request, _) => request.extract(),
            Action::Wait(wait) => &wait.extract,
            Action::Socket(step) => step.extract(),
            Action::Think(_) | Action::Close(_) | Action::Group(_) | Action::Choose(_) => &[],
        })
    }

    /// Draws the values of a new cycle. `next_row` gives the next number of a sequential or unique
    /// feeder, over all VUs.
    ///
    /// # Errors
    /// When a unique feeder has no row left.
    pub fn begin_cycle(
        &self,
        values: &mut Values,
        rng: &mut VuRng,
        mut next_row: impl FnMut(usize) -> u64,
    ) -> Result<(), UsedUp> {
        for (i, feeder) in self.feeders.iter().enumerate() {
            let rows = feeder.feeder.rows();
            values.rows[i] = match feeder.order {
                FeederOrder::Sequential => wrapped(next_row(i), rows),
                FeederOrder::Random => rng.random_range(0..rows),
                FeederOrder::Unique => {
                    let next = usize::try_from(next_row(i)).ok().filter(|row| *row < rows);
                    next.ok_or_else(|| UsedUp {
                        feeder: feeder.name.clone(),
                        rows,
                    })?
                }
                FeederOrder::PerVu => wrapped(u64::from(values.vu), rows),
            };
        }
        for (slot, template) in &self.vars {
            let text = self.render(template, values, rng);
            values.slots[*slot] = if template.is_number() {
                Value::Json(text)
            } else {
                Value::Text(text)
            };
        }
        Ok(())
    }

    /// A template's text with a VU's values.
    pub fn render<R: Rng>(&self, template: &Template, values: &Values, rng: &mut R) -> String {
        let mut out = String::new();
        self.render_into(template, values, rng, &mut out);
        out
    }

    /// Appends a template's text with a VU's values.
    pub fn render_into<R: Rng>(
        &self,
        template: &Template,
        values: &Values,
        rng: &mut R,
        out: &mut String,
    ) {
        template.render(&self.feeders, values, rng, out);
    }
}

fn wrapped(number: u64, rows: usize) -> usize {
    let rows = u64::try_from(rows).expect("a length fits in 64 bits");
    usize::try_from(number % rows).expect("below a length")
}

/// `; did you mean ...` for the known name nearest to a wrong one, or nothing.
fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(name, k), k))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or_else(String::new, |(_, k)| format!(" (did you mean `{k}`?)"))
}
