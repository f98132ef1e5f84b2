//! The compiled scenario: the cycle of steps that every VU goes through.
//!
//! Pure: reading the profile's files and running the steps happen elsewhere.

mod address;
mod allowed;
mod answer;
mod check;
mod compile;
mod extract;
mod feeder;
pub mod most;
mod redirect;
mod request;
mod resolve;
pub mod spec;
pub mod sse;
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
pub use answer::Answer;
pub use check::{Check, CheckSpec};
pub use extract::{Extract, ExtractFrom, Pick};
pub use feeder::{Feeder, FeederError, MOST as MOST_FEEDERS};
pub use redirect::{Redirect, is_redirect, same_origin};
pub use request::{BadRequest, Expect, Origin, Rendered, RequestTemplate};
pub use resolve::{Addresses, Resolve};
pub use spec::{CookiesSpec, FeederOrder};
#[cfg(any(test, fuzzing))]
pub(crate) use template::fuzz as fuzz_template;
pub use template::{Template, Value, Values};
pub use think::Think;
pub use websocket::{Reply, SocketStep};

use crate::excerpt::Masks;
use crate::measure::{LevelUnit, StepTable};
use crate::secret::{is_credential, names_a_secret, parts_of_cookie};

/// The generator of a VU's random values; the same seed gives the same values on every machine.
pub type VuRng = rand::rngs::Xoshiro256PlusPlus;

/// The random values of one VU: they depend on the run's seed and the VU's number alone.
pub fn vu_rng(seed: u64, vu: u32) -> VuRng {
    // An odd multiplier (2^64 / golden ratio) sets neighbouring VUs far apart before the seeding's own mixing.
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

/// A feeder and which of its rows a cycle gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeederUse {
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
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Send a request and read the whole answer.
    Request(RequestTemplate),
    /// Open an event stream; its number is the place among the scenario's streams.
    Open(RequestTemplate, usize),
    /// Wait for an event.
    Wait(Wait),
    /// Pause.
    Think(Think),
    /// Do something with a WebSocket.
    Socket(SocketStep),
    /// Close the stream of this number.
    Close(usize),
}

impl Action {
    /// The step from whose start it counts, where that is not its own.
    pub fn since(&self) -> Option<usize> {
        match self {
            Self::Wait(wait) => wait.since,
            Self::Socket(step) => step.since(),
            Self::Request(_) | Self::Open(..) | Self::Think(_) | Self::Close(_) => None,
        }
    }
}

/// Which event a VU waits for.
#[derive(Debug, Clone)]
pub struct Wait {
    /// The stream to listen on.
    pub stream: usize,
    /// The event's name; any when `None`.
    pub event: Option<String>,
    /// JSON pointer and template: values that the event must have, or it is passed over.
    pub matching: Vec<(String, Template)>,
    /// JSON pointer and template: values that the matching event must have, or the step fails.
    pub expect: Vec<(String, Template)>,
    /// Index of the measured step whose start is the clock's zero; the wait's own start when `None`.
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
}

impl Scenario {
    /// The measured steps.
    pub fn table(&self) -> &StepTable {
        &self.table
    }

    /// The steps that each VU takes once, before its first cycle.
    pub fn start(&self) -> &[Step] {
        &self.start
    }

    /// Whether an answer with this status says that what the start steps were given has ended.
    pub fn starts_again(&self, status: StatusCode) -> bool {
        self.again_when.contains(&status)
    }

    fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.start.iter().chain(&self.steps)
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
        let requests = self
            .steps
            .iter()
            .filter(|s| matches!(s.action, Action::Request(_) | Action::Open(..)))
            .count();
        match requests {
            1 => LevelUnit::RequestsPerS,
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

    /// The steps of a user who comes once and leaves: those of a cycle but for thinking at its end, which only paces the next
    /// cycle.
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
        steps
            .iter()
            .map(|s| match &s.action {
                Action::Think(think) => think.mean_s(),
                Action::Request(_)
                | Action::Open(..)
                | Action::Wait(_)
                | Action::Socket(_)
                | Action::Close(_) => 0.0,
            })
            .sum()
    }

    /// Most connections that one VU holds at once: one per origin of its requests, one per open stream; where redirects are
    /// followed, one per origin at all and one for where they lead.
    pub fn connections_per_vu(&self) -> usize {
        let mut kept: Vec<usize> = self
            .all_steps()
            .filter_map(|s| match &s.action {
                Action::Request(request) => Some(request.origin()),
                Action::Open(..)
                | Action::Wait(_)
                | Action::Think(_)
                | Action::Socket(_)
                | Action::Close(_) => None,
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

    /// The secrets among a VU's values, and those of the profile: what is named like one, and what came from the environment and from
    /// files. With `extracted` also whatever was taken from an answer, and every row of a feeder: what is published holds neither. What was
    /// taken from a header or a place that holds secrets, or looks like one, is one in any case.
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
            Action::Think(_) | Action::Close(_) => &[],
        })
    }

    /// Draws the values of a new cycle. `next_row` gives the next number of a sequential feeder, over all VUs.
    pub fn begin_cycle(
        &self,
        values: &mut Values,
        rng: &mut VuRng,
        mut next_row: impl FnMut(usize) -> u64,
    ) {
        for (i, feeder) in self.feeders.iter().enumerate() {
            let rows = feeder.feeder.rows();
            values.rows[i] = match feeder.order {
                FeederOrder::Sequential => wrapped(next_row(i), rows),
                FeederOrder::Random => rng.random_range(0..rows),
                FeederOrder::PerVu => wrapped(u64::from(values.vu), rows),
            };
        }
        for (slot, template) in &self.vars {
            values.slots[*slot] = Value::Text(self.render(template, values, rng));
        }
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
