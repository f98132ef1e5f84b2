//! The format of a system file: what a simulated system is made of. docs/lab-systems.md explains
//! every key.

use serde::{Deserialize, Serialize};

pub use super::quantity::{Positive, Share, Size, Span};
use crate::measure::{Arrivals, LevelUnit};

/// A simulated system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemSpec {
    /// Short name, as on the command line.
    pub name: String,
    /// One line about it.
    pub title: String,
    /// The objectives.
    pub slo: Vec<String>,
    /// Highest level of a search.
    #[serde(default = "default_max_vus", alias = "max_rate")]
    pub max_vus: u32,
    /// First level of a search.
    #[serde(default = "default_start_vus", alias = "start_rate")]
    pub start_vus: u32,
    /// VUs started per second.
    #[serde(default = "default_pace")]
    pub pace_per_s: f64,
    /// What a search should find.
    #[serde(default)]
    pub expect: Expect,
    /// Limits of a search, where they differ from the defaults.
    #[serde(default, skip_serializing_if = "SearchLimits::is_empty")]
    pub search: SearchLimits,
    /// The closed model: what a VU does between two requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub think: Option<ThinkSpec>,
    /// The open model: levels are requests per second, and each request comes from another user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrivals: Option<ArrivalsSpec>,
    /// The servers.
    pub service: ServiceSpec,
    /// Further kinds of requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub population: Vec<PopulationSpec>,
    /// Further kinds of users, who share the level; the others think and ask as above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UsersSpec>,
    /// Stop-the-world pauses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pauses: Option<PausesSpec>,
    /// A neighbour that takes CPU from time to time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neighbour: Option<NeighbourSpec>,
    /// A slow change of the speed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drift: Option<DriftSpec>,
    /// A system that stays slow once it was full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hysteresis: Option<HysteresisSpec>,
    /// Two modes of speed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modes: Option<ModesSpec>,
    /// A memory limit above which the process is killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemorySpec>,
    /// Memory that is never given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leak: Option<LeakSpec>,
    /// Failures of a long queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<ErrorsSpec>,
    /// Refusals by design of a long queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shed: Option<ShedSpec>,
    /// Clients that give up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<TimeoutSpec>,
    /// A level above which everything fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cliff: Option<CliffSpec>,
    /// A process that is slow until it served enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<WarmUpSpec>,
    /// Servers that are added while the present ones are busy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growth: Option<GrowthSpec>,
    /// A limit of the rate of requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_bucket: Option<TokenBucketSpec>,
    /// A limit of the requests in the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<ConcurrencySpec>,
    /// A limit of the connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<ConnectionsSpec>,
    /// Times in which nobody answers, such as a failover.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outages: Option<OutagesSpec>,
}

fn default_max_vus() -> u32 {
    5_000
}

fn default_start_vus() -> u32 {
    10
}

fn default_pace() -> f64 {
    50.0
}

/// What a search should find in a system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// A breakpoint.
    #[default]
    Breakpoint,
    /// The SLO holds up to `max_vus`.
    NeverBroke,
    /// What the system carries changes with time (a leak, a drift), so there is no one breakpoint.
    TimeDriven,
    /// The way up finds another breakpoint than the way down.
    #[serde(rename = "depends_on_direction")]
    Hysteresis,
    /// The system has two breakpoints and changes between them.
    Bimodal,
}

/// How requests arrive in the open model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrivalsSpec {
    /// When they begin.
    pub kind: Arrivals,
}

/// Limits of a search where they differ from the search's defaults.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchLimits {
    /// Time that the search may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Span>,
    /// Shortest hold near the breakpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_min: Option<Span>,
    /// Longest hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold_max: Option<Span>,
    /// Longest settle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settle_max: Option<Span>,
}

impl SearchLimits {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The shape of a random time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeShape {
    /// Memoryless.
    Exponential,
    /// Always the same.
    Constant,
    /// Anything between two bounds alike.
    Uniform,
    /// With a long tail.
    Lognormal,
    /// Many short ones and a few long ones.
    Hyperexponential,
}

/// What a VU does between two requests.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThinkSpec {
    /// The shape.
    pub kind: TimeShape,
    /// The mean, for every kind but `uniform`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Span>,
    /// Coefficient of variation of `lognormal` and `hyperexponential`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cv: Option<Positive>,
    /// Lower bound of `uniform`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<Span>,
    /// Upper bound of `uniform`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<Span>,
}

/// In which order requests are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Discipline {
    /// One line; a server serves one request at a time.
    #[default]
    Fifo,
    /// All at once; `n` requests share the `servers`, none gets more than one.
    ProcessorSharing,
}

/// The servers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    /// How many.
    pub servers: u32,
    /// The order of service.
    #[serde(default)]
    pub discipline: Discipline,
    /// The shape of the service time.
    pub kind: TimeShape,
    /// Its mean at speed 1, for every kind but `uniform`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Span>,
    /// Squared coefficient of variation of `lognormal` and `hyperexponential`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cv2: Option<Positive>,
    /// Lower bound of `uniform`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<Span>,
    /// Upper bound of `uniform`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<Span>,
}

/// A further kind of users: a share of the VUs, or of the arrivals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsersSpec {
    /// Its name in rows and objectives.
    pub name: String,
    /// Its share, in hundredths of all users.
    pub share: u32,
    /// The closed model: what they do between two requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub think: Option<ThinkSpec>,
    /// What their requests take of a server.
    pub service: WorkSpec,
}

/// What a request takes of a server.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkSpec {
    /// The shape of the service time.
    pub kind: TimeShape,
    /// As in [`ServiceSpec`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Span>,
    /// As in [`ServiceSpec`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cv2: Option<Positive>,
    /// As in [`ServiceSpec`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<Span>,
    /// As in [`ServiceSpec`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<Span>,
}

/// A further kind of requests, with a service time of its own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PopulationSpec {
    /// Share of the requests.
    pub share: Share,
    /// The shape of the service time.
    pub kind: TimeShape,
    /// As in [`ServiceSpec`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Span>,
    /// As in [`ServiceSpec`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cv2: Option<Positive>,
    /// As in [`ServiceSpec`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub low: Option<Span>,
    /// As in [`ServiceSpec`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<Span>,
}

/// Whether pauses are all alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseKind {
    /// All as long.
    #[default]
    Constant,
    /// Exponential.
    Exponential,
}

/// Stop-the-world pauses: nothing is served.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PausesSpec {
    /// Mean of the exponential gap from one pause's end to the next one's start.
    pub every: Span,
    /// Length, or its mean.
    pub length: Span,
    /// The shape of the length.
    #[serde(default)]
    pub kind: PauseKind,
}

/// A neighbour that takes CPU from time to time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeighbourSpec {
    /// Speed while it does.
    pub speed: Positive,
    /// Mean of the exponential time that it does.
    pub slow_for: Span,
    /// Mean time from one start to the next.
    pub every: Span,
}

/// A slow change of the speed with the time since the engine started.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftSpec {
    /// A service takes `1 + slower_per_hour * hours` as long; below zero the speed is `1 -
    /// slower_per_hour * hours`.
    pub slower_per_hour: f64,
}

/// A system that becomes slow when full and stays so until it is nearly empty.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HysteresisSpec {
    /// Slow from more than this many in the system.
    pub above: u32,
    /// Until fewer than this many.
    pub below: u32,
    /// Speed while slow.
    pub speed: Positive,
}

/// Two modes of speed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModesSpec {
    /// Speed in the slow mode.
    pub speed: Positive,
    /// Probability of the slow mode, whenever the mode is drawn.
    pub share: Share,
    /// Mean of the exponential time between two draws.
    pub dwell: Span,
}

/// A memory limit above which the process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemorySpec {
    /// The limit.
    pub limit: Size,
    /// What the process takes by itself.
    pub base: Size,
    /// What each VU takes that asked since the process started and has not left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_vu: Option<Size>,
    /// What each request takes that waits or is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_request: Option<Size>,
    /// How long the process is away after it was killed.
    pub restart: Span,
}

/// Memory that is never given back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeakSpec {
    /// Growth per second since the process started.
    pub bytes_per_s: Size,
    /// A service takes `1 + slower_per_gib * leaked GiB` as long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slower_per_gib: Option<Positive>,
}

/// Failures of a long queue.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorsSpec {
    /// While more than this many wait.
    pub above_queue: u32,
    /// Share of the requests that fail at once.
    pub share: Share,
}

/// Refusals by design of a long queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShedSpec {
    /// While more than this many wait.
    pub above_queue: u32,
}

/// Clients that give up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeoutSpec {
    /// After this time.
    pub after: Span,
    /// Whether the server works on a request that nobody waits for any more.
    pub wasted_work: bool,
}

/// A level above which everything fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CliffSpec {
    /// While more than this many VUs run.
    pub above_vus: u32,
}

/// A process that is slow until it served enough requests: caches to fill, code to compile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmUpSpec {
    /// Speed until then.
    pub speed: Positive,
    /// Requests to be served until it is warm.
    pub requests: u32,
    /// Whether a process that started anew is cold again.
    #[serde(default = "yes")]
    pub again: bool,
}

fn yes() -> bool {
    true
}

/// Servers that are added while the present ones are busy, as an autoscaler does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrowthSpec {
    /// Grows when the share of busy servers was above this ...
    pub above: Share,
    /// ... in the mean over this time ...
    pub after: Span,
    /// ... and this long after that was seen.
    pub delay: Span,
    /// By this factor.
    #[serde(default = "twice")]
    pub factor: u32,
    /// Most servers.
    pub most: u32,
    /// Shrinks by the factor when the share of busy servers was below this; without it never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub below: Option<Share>,
    /// In the mean over this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_for: Option<Span>,
}

fn twice() -> u32 {
    2
}

impl GrowthSpec {
    /// The servers after one step of growth.
    pub fn more(&self, servers: u32) -> u32 {
        servers.saturating_mul(self.factor).min(self.most)
    }

    /// The number of servers from which the last step of growth leads to `most`, from so many at
    /// the start.
    pub fn before_last(&self, start: u32) -> u32 {
        let mut servers = start;
        while self.more(servers) < self.most {
            servers = self.more(servers);
        }
        servers
    }
}

/// What a request gets that a limit turns away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refuse {
    /// A failure (`status`).
    #[default]
    Error,
    /// A refusal by design.
    Shed,
}

/// A limit of the rate of requests: each takes a token or is refused.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenBucketSpec {
    /// Tokens that come per second.
    pub per_s: Positive,
    /// Most tokens that are kept.
    pub burst: u32,
    /// Tokens at the start; `burst` where it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_start: Option<u32>,
    /// What a request without a token gets.
    #[serde(default)]
    pub refuse: Refuse,
}

/// A limit of the requests that wait or are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConcurrencySpec {
    /// Most of them.
    pub most: u32,
    /// What one more gets.
    #[serde(default)]
    pub refuse: Refuse,
}

/// A limit of the connections: a VU keeps its own until it leaves or the process starts anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionsSpec {
    /// Most of them; VUs beyond fail.
    pub most: u32,
}

/// Times in which nobody answers, such as a failover.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutagesSpec {
    /// Mean of the exponential gap from one's end to the next one's start.
    pub every: Span,
    /// Length.
    pub length: Span,
}

impl SystemSpec {
    /// What a level counts.
    pub fn unit(&self) -> LevelUnit {
        match self.arrivals {
            None => LevelUnit::Vus,
            Some(_) => LevelUnit::RequestsPerS,
        }
    }
}
