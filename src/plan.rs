//! Profile, flags and defaults resolved into one plan: the only place with defaults and validation.
//!
//! Flags beat the profile, the profile beats the defaults. What is below this module takes parts of a [`Plan`] and never
//! asks where a value came from.

mod engine;
mod local;
mod log;
mod monitor;
mod population;
mod reset;
mod safety;
mod search;
mod series;
mod target;
mod value;

// `core`, not `std`: an address is a value here.
use core::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use crate::measure::{Arrivals, Level, StepNames};
use crate::profile::{self, Profile, ProfileError, Source};
use crate::scenario::Allowed;
use crate::scenario::spec::ScenarioSpec;
use crate::search::SearchSpec;
use crate::slo::{Condition, Objective, Slo, SloError};
pub use log::LogMatch;
pub use monitor::{HOST, HOST_FIELDS, SCRAPE_FIELDS, WATCHED_FIELDS};
pub use reset::{FlushPlan, MemoryAtRest, RestartPlan, RestartWhen};
pub use safety::SafetyPlan;
pub use series::Series;
use value::{Flag, Reader};

/// VUs started or stopped per second when nothing else is said.
const DEFAULT_PACE_PER_S: f64 = 50.0;
/// Time that the command `up` may take: it may have to build an image first.
const DEFAULT_UP_TIMEOUT: Duration = Duration::from_secs(120);
/// Time that the command `reset` may take.
const DEFAULT_RESET_TIMEOUT: Duration = Duration::from_secs(120);
/// Time that the drain after a probe may take.
const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Cycles that must succeed before the next probe.
const DEFAULT_CANARY_CYCLES: u32 = 3;
/// Folder of the reports.
const DEFAULT_OUT: &str = "reports";

/// What was typed, as far as it changes the plan. Quantities are still text, so that a flag and a key of the profile are
/// read by the same code.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FindFlags {
    /// `--url`.
    pub url: Option<String>,
    /// `--slo`, each.
    pub slo: Vec<String>,
    /// `--min-vus`.
    pub min_vus: Option<u32>,
    /// `--max-vus`.
    pub max_vus: Option<u32>,
    /// `--start-vus`.
    pub start_vus: Option<u32>,
    /// `--rate`.
    pub rate: Option<String>,
    /// `--min-rate`.
    pub min_rate: Option<u32>,
    /// `--max-rate`.
    pub max_rate: Option<u32>,
    /// `--start-rate`.
    pub start_rate: Option<u32>,
    /// `--require-vus`.
    pub require_vus: Option<u32>,
    /// `--require-rate`.
    pub require_rate: Option<u32>,
    /// `--precision`.
    pub precision: Option<String>,
    /// `--confidence`.
    pub confidence: Option<String>,
    /// `--budget`.
    pub budget: Option<String>,
    /// `--no-reference-holds`.
    pub no_reference_holds: bool,
    /// `--pace`.
    pub pace: Option<f64>,
    /// `--seed`.
    pub seed: Option<u64>,
    /// `--out`.
    pub out: Option<PathBuf>,
    /// `--threads`.
    pub threads: Option<usize>,
    /// `--local-addr`, each.
    pub local_addr: Vec<String>,
    /// Hosts that may be loaded although they are not this machine.
    pub allow_target: Vec<String>,
    /// `--engine`.
    pub engine: Option<String>,
    /// `--locust-url`.
    pub locust_url: Option<String>,
    /// `--locust-header`, each.
    pub locust_header: Vec<String>,
    /// `--stop-file`.
    pub stop_file: Option<PathBuf>,
    /// `--abort-if`, each.
    pub abort_if: Vec<String>,
    /// `--max-time`.
    pub max_time: Option<String>,
}

/// Everything that a run needs to know.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The profile's name, or the address's host for a run without one.
    pub name: String,
    /// What is loaded, and how it is brought up, reset and taken down.
    pub target: TargetPlan,
    /// What a VU does.
    pub scenario: ScenarioSource,
    /// Who loads the target beside them.
    pub populations: Populations,
    /// What must hold.
    pub slo: Slo,
    /// The limits of the search.
    pub search: SearchSpec,
    /// Whether the highest level was asked for, by flag or profile, and is not just the default.
    pub max_is_explicit: bool,
    /// The load that the target must carry: the gate.
    pub required: Option<Level>,
    /// Who makes the load.
    pub engine: EnginePlan,
    /// What the load is: VUs, or arrivals.
    pub load: LoadPlan,
    /// VUs started or stopped per second.
    pub pace_per_s: f64,
    /// Threads of the load generator; `None` leaves it to the engine.
    pub threads: Option<usize>,
    /// Addresses of this machine that the load comes from; none leaves the choice to the kernel.
    pub local_addresses: Vec<IpAddr>,
    /// Folder of the reports.
    pub out: PathBuf,
    /// What is watched beside the load.
    pub monitors: Vec<MonitorPlan>,
    /// What stops a run before it is done.
    pub safety: SafetyPlan,
    /// Seed of every random draw.
    pub seed: u64,
    /// Folder that the profile's relative paths (feeders) start from.
    pub dir: PathBuf,
    /// The profile's text, so that later findings (the scenario's compiler) can point into it.
    pub source: Option<Arc<Source>>,
    /// Per objective where it stands in the profile; `None` for those given by flag.
    slo_spans: SloSpans,
}

/// Per objective where it stands in the profile.
type SloSpans = Vec<Option<Range<usize>>>;

/// Who makes the load.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum EnginePlan {
    /// This program.
    #[default]
    Native,
    /// A Locust cluster that is there.
    Locust(LocustPlan),
}

/// A Locust cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocustPlan {
    /// Address of its master's web page.
    pub url: String,
    /// Sent with every request to it; values may have `{{ env.NAME }}`.
    pub headers: Vec<(String, String)>,
}

/// What the load is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadPlan {
    /// The closed model: levels are VUs, each in a loop.
    Closed,
    /// The open model: levels are cycles that begin per second.
    Open(OpenPlan),
}

/// The open model's part of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenPlan {
    /// When cycles begin.
    pub arrivals: Arrivals,
    /// VUs that there may be at once.
    pub most_vus: u32,
    /// Whether that was asked for, and is not just the default.
    pub most_is_explicit: bool,
}

/// Everybody who loads the target.
#[derive(Debug, Clone, Default)]
pub struct Populations {
    /// How many there are of the users of `[scenario]`.
    pub users: Amount,
    /// The others; at most one of all is searched, and exactly one when the users are not.
    pub others: Vec<PopulationPlan>,
}

/// Users of another kind than those of `[scenario]`.
#[derive(Debug, Clone)]
pub struct PopulationPlan {
    /// Their name in objectives and files.
    pub name: String,
    /// How many there are.
    pub amount: Amount,
    /// What each of them does.
    pub scenario: Box<ScenarioSpec>,
}

/// How many there are of a population.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Amount {
    /// As many as the search asks for: the level.
    #[default]
    Searched,
    /// So many VUs, each in a loop.
    Vus(Level),
    /// So many cycles begin per second, evenly spaced, however slow the target is.
    PerSecond(Level),
}

/// What a VU does, not yet compiled.
#[derive(Debug, Clone)]
pub enum ScenarioSource {
    /// The steps of a profile.
    Spec(Box<ScenarioSpec>),
    /// One GET of this address per cycle.
    SingleGet(String),
    /// What the engine's own files say.
    OfTheEngine,
}

/// The target of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetPlan {
    /// Which service it is.
    pub kind: TargetKind,
    /// Folder in which the commands run.
    pub dir: PathBuf,
    /// Command that brings it up.
    pub up: Option<String>,
    /// Command that brings it back to a fresh state.
    pub reset: Option<String>,
    /// Containers that a reset restarts before that command, in this order.
    pub restarts: Vec<RestartPlan>,
    /// Redis servers that it empties then.
    pub flushes: Vec<FlushPlan>,
    /// Command that takes it down.
    pub down: Option<String>,
    /// When to reset.
    pub reset_when: ResetWhen,
    /// How long `up` may take; `down` too.
    pub up_timeout: Duration,
    /// How long `reset` may take.
    pub reset_timeout: Duration,
    /// What monitors must read when it has drained.
    pub drained_when: Condition,
    /// How long the drain after a probe may take.
    pub drain_timeout: Duration,
    /// Cycles that must succeed before the next probe.
    pub canary_cycles: u32,
    /// Whom the load may reach.
    pub allowed: Allowed,
}

impl TargetPlan {
    /// The monitors of what a reset brings back when it is dead.
    pub fn revived(&self) -> Vec<String> {
        self.restarts.iter().map(|r| r.monitor.clone()).collect()
    }

    /// Whether it is reset after every probe.
    pub fn resets_always(&self) -> bool {
        let always = |restart: &RestartPlan| restart.when == RestartWhen::Always;
        self.reset_when == ResetWhen::Always || self.restarts.iter().any(always)
    }
}

/// Which service is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetKind {
    /// A service at this address.
    External {
        /// Base address.
        url: String,
    },
    /// The demo target that is built in, run as a process of its own.
    Demo,
    /// What the engine's own files load.
    OfTheEngine,
}

impl TargetKind {
    /// The address, where it is known before the target is up.
    pub fn url(&self) -> Option<&str> {
        match self {
            Self::External { url } => Some(url),
            Self::Demo | Self::OfTheEngine => None,
        }
    }
}

/// When the target is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetWhen {
    /// After a probe that broke, or a target that does not pass its canary cycle.
    Broken,
    /// After every probe.
    Always,
}

/// One monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MonitorPlan {
    /// Its name in objectives and charts.
    pub name: String,
    /// Where its readings come from.
    pub source: MonitorSource,
    /// Memory limit in bytes to show when none can be read.
    pub memory_limit: Option<u64>,
    /// A log file to follow.
    pub log: Option<PathBuf>,
    /// Which lines of its log matter.
    pub log_match: LogMatch,
}

/// Where a monitor's readings come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MonitorSource {
    /// A container, by name.
    Docker(String),
    /// A process, by the file that holds its id.
    PidFile(PathBuf),
    /// The container while it runs, else the process.
    DockerOrPidFile(String, PathBuf),
    /// A control group, by its folder.
    Cgroup(PathBuf),
    /// A Redis server, by address.
    Redis(String),
    /// A page of metrics, by address; fields and what they show.
    Prometheus(String, Vec<(String, Series)>),
    /// A Prometheus server, by address; fields and the queries for them.
    PromQl(String, Vec<(String, String)>),
    /// The machine that this program runs on.
    Host,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Something in the profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A flag's value.
    #[error("{flag} {}: {why}", crate::secret::masked(value))]
    Flag {
        /// The flag.
        flag: &'static str,
        /// What was given.
        value: String,
        /// What is wrong with it.
        why: String,
    },
    /// An objective given by flag.
    #[error("--slo: {0}")]
    Slo(#[from] SloError),
    /// Nothing says what must hold.
    #[error(
        "nothing says what must hold; add an objective, in quotes: --slo 'p99<2s'  (several are allowed: --slo 'errors<1%')"
    )]
    NoSlo,
}

impl Plan {
    /// The text of the profile that it came from.
    pub fn profile_text(&self) -> Option<&str> {
        self.source.as_ref().map(|source| source.text.as_str())
    }

    /// Resolves a plan. Without a profile and without `--url` it is that of the demo.
    ///
    /// # Errors
    /// When a value is impossible, or the target or the SLO is missing.
    pub fn resolve(profile: Option<&Profile>, flags: &FindFlags) -> Result<Self, PlanError> {
        let source = profile.map(|p| &*p.source);
        let engine = engine::resolve(profile, flags, &Reader { source })?;
        let plan = match (profile, &flags.url, &engine) {
            (Some(profile), _, _) => Self::of_profile(profile, flags, &engine),
            (None, None, EnginePlan::Locust(locust)) => Self::of_locust(locust, flags),
            (None, Some(url), EnginePlan::Locust(_)) => Err(PlanError::Flag {
                flag: "--url",
                value: url.clone(),
                why: "the address of the service is for Locust to be told (--host, or the locustfile)"
                    .to_owned(),
            }),
            (None, Some(url), EnginePlan::Native) => Self::of_url(url, flags),
            (None, None, EnginePlan::Native) => Self::of_profile(&demo_profile()?, flags, &engine),
        }?;
        engine::check(&engine, profile, flags, plan.load)?;
        Ok(Self { engine, ..plan })
    }

    fn of_profile(
        profile: &Profile,
        flags: &FindFlags,
        engine: &EnginePlan,
    ) -> Result<Self, PlanError> {
        let reader = Reader {
            source: Some(&profile.source),
        };
        let monitors = monitor::resolve(profile)?;
        let target = target::resolve(profile, flags, &reader, &monitor_names(&monitors), engine)?;
        let scenario = match (&profile.scenario, &target.kind) {
            _ if *engine != EnginePlan::Native => ScenarioSource::OfTheEngine,
            (_, TargetKind::OfTheEngine) => ScenarioSource::OfTheEngine,
            (Some(spec), _) => ScenarioSource::Spec(Box::new(spec.clone())),
            (None, TargetKind::External { url }) => ScenarioSource::SingleGet(url.clone()),
            (None, TargetKind::Demo) => {
                let demo = demo_profile()?;
                let spec = demo.scenario.ok_or_else(|| missing_scenario(profile))?;
                ScenarioSource::Spec(Box::new(spec))
            }
        };
        let (slo, slo_spans) = slo(Some(profile), flags)?;
        let populations = population::resolve(profile)?;
        let base = Self::base(&profile.search, flags, &reader)?;
        let safety = safety::resolve(&profile.search, flags, &reader, &profile.dir, &monitors)?;
        Ok(base.build(BuildParts {
            safety,
            name: profile.name.clone(),
            dir: profile.dir.clone(),
            source: Some(Arc::clone(&profile.source)),
            target,
            scenario,
            populations,
            slo,
            slo_spans,
            monitors,
        }))
    }

    fn of_url(url: &str, flags: &FindFlags) -> Result<Self, PlanError> {
        let reader = Reader { source: None };
        let uri = value::url(url).map_err(|why| PlanError::Flag {
            flag: "--url",
            value: url.to_owned(),
            why,
        })?;
        let (slo, slo_spans) = slo(None, flags)?;
        let (origin, _) = profile::template::split(url);
        let target = TargetPlan {
            kind: TargetKind::External {
                url: origin.to_owned(),
            },
            allowed: Allowed::new(flags.allow_target.iter().cloned()),
            ..TargetPlan::default()
        };
        let base = Self::base(&profile::SearchSection::default(), flags, &reader)?;
        let monitors = vec![monitor::host()];
        Ok(base.build(BuildParts {
            safety: without_profile(flags, &reader, &monitors)?,
            name: folder_name(&uri),
            dir: PathBuf::from("."),
            source: None,
            target,
            scenario: ScenarioSource::SingleGet(url.to_owned()),
            populations: Populations::default(),
            slo,
            slo_spans,
            monitors,
        }))
    }

    /// A cluster without a profile.
    fn of_locust(locust: &LocustPlan, flags: &FindFlags) -> Result<Self, PlanError> {
        let reader = Reader { source: None };
        let uri = value::url(&locust.url).map_err(|why| PlanError::Flag {
            flag: "--locust-url",
            value: locust.url.clone(),
            why,
        })?;
        let (slo, slo_spans) = slo(None, flags)?;
        let base = Self::base(&profile::SearchSection::default(), flags, &reader)?;
        let monitors = vec![monitor::host()];
        Ok(base.build(BuildParts {
            safety: without_profile(flags, &reader, &monitors)?,
            name: format!("locust-{}", folder_name(&uri)),
            dir: PathBuf::from("."),
            source: None,
            target: TargetPlan {
                kind: TargetKind::OfTheEngine,
                ..TargetPlan::default()
            },
            scenario: ScenarioSource::OfTheEngine,
            populations: Populations::default(),
            slo,
            slo_spans,
            monitors,
        }))
    }

    fn base(
        section: &profile::SearchSection,
        flags: &FindFlags,
        reader: &Reader<'_>,
    ) -> Result<Base, PlanError> {
        let search::Resolved {
            search,
            max_is_explicit,
            load,
            required,
        } = search::resolve(section, flags, reader)?;
        let pace = reader.pick(
            Flag("--pace", flags.pace),
            section.pace.as_ref(),
            DEFAULT_PACE_PER_S,
            |n| value::pace(*n),
        )?;
        if let Some(0) = flags.threads {
            return Err(PlanError::Flag {
                flag: "--threads",
                value: "0".to_owned(),
                why: "at least one thread is needed".to_owned(),
            });
        }
        Ok(Base {
            search,
            max_is_explicit,
            required,
            load,
            pace_per_s: pace.value,
            threads: flags.threads,
            local_addresses: local::resolve(section, flags, reader)?,
            out: flags
                .out
                .clone()
                .unwrap_or_else(|| PathBuf::from(DEFAULT_OUT)),
        })
    }

    /// The names of steps in the objectives, each once; for an engine that does not know its steps before it runs.
    pub fn named_steps(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.slo.objectives().iter().filter_map(Objective::step) {
            if !names.iter().any(|n| n == name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// Whether every objective names a step and a monitor that exist; the steps are known once the scenario is compiled.
    ///
    /// # Errors
    /// Names the first one that does not, with where it stands.
    pub fn check_slo(&self, steps: &StepNames) -> Result<(), PlanError> {
        let monitors = monitor_names(&self.monitors);
        for (objective, span) in self.slo.objectives().iter().zip(&self.slo_spans) {
            let alone = Slo::parse([&objective.text])?;
            if let Err(error) = alone.check_names(steps, &monitors) {
                return Err(match (&self.source, span) {
                    (Some(source), Some(span)) => {
                        source.error(Some(span.clone()), error.to_string()).into()
                    }
                    _ => error.into(),
                });
            }
        }
        Ok(())
    }

    /// An error of the scenario's compiler, shown where it stands in the profile.
    pub fn scenario_error(&self, span: Option<Range<usize>>, message: &str) -> PlanError {
        match &self.source {
            Some(source) => source.error(span, message).into(),
            None => PlanError::Flag {
                flag: "--url",
                value: self.target.kind.url().unwrap_or_default().to_owned(),
                why: message.to_owned(),
            },
        }
    }
}

/// The parts of a plan that do not depend on where the target comes from.
struct Base {
    search: SearchSpec,
    max_is_explicit: bool,
    required: Option<Level>,
    load: LoadPlan,
    pace_per_s: f64,
    threads: Option<usize>,
    local_addresses: Vec<IpAddr>,
    out: PathBuf,
}

/// The other parts.
struct BuildParts {
    name: String,
    dir: PathBuf,
    source: Option<Arc<Source>>,
    target: TargetPlan,
    scenario: ScenarioSource,
    populations: Populations,
    slo: Slo,
    slo_spans: SloSpans,
    monitors: Vec<MonitorPlan>,
    safety: SafetyPlan,
}

impl Base {
    fn build(self, parts: BuildParts) -> Plan {
        Plan {
            name: parts.name,
            target: parts.target,
            scenario: parts.scenario,
            populations: parts.populations,
            slo: parts.slo,
            seed: self.search.seed,
            search: self.search,
            max_is_explicit: self.max_is_explicit,
            required: self.required,
            engine: EnginePlan::Native,
            load: self.load,
            pace_per_s: self.pace_per_s,
            threads: self.threads,
            local_addresses: self.local_addresses,
            out: self.out,
            monitors: parts.monitors,
            safety: parts.safety,
            dir: parts.dir,
            source: parts.source,
            slo_spans: parts.slo_spans,
        }
    }
}

impl Default for TargetPlan {
    fn default() -> Self {
        Self {
            kind: TargetKind::Demo,
            dir: PathBuf::from("."),
            up: None,
            reset: None,
            restarts: Vec::new(),
            flushes: Vec::new(),
            down: None,
            reset_when: ResetWhen::Broken,
            up_timeout: DEFAULT_UP_TIMEOUT,
            reset_timeout: DEFAULT_RESET_TIMEOUT,
            drained_when: Condition::default(),
            drain_timeout: DEFAULT_DRAIN_TIMEOUT,
            canary_cycles: DEFAULT_CANARY_CYCLES,
            allowed: Allowed::default(),
        }
    }
}

fn monitor_names(monitors: &[MonitorPlan]) -> Vec<String> {
    monitors.iter().map(|m| m.name.clone()).collect()
}

fn without_profile(
    flags: &FindFlags,
    reader: &Reader<'_>,
    monitors: &[MonitorPlan],
) -> Result<SafetyPlan, PlanError> {
    let none = profile::SearchSection::default();
    safety::resolve(&none, flags, reader, Path::new("."), monitors)
}

fn demo_profile() -> Result<Profile, ProfileError> {
    let demo = profile::builtin::DEMO;
    Profile::parse(demo.text, demo.name, &PathBuf::from("."))
}

fn missing_scenario(profile: &Profile) -> ProfileError {
    profile
        .source
        .error(None, "the profile has no [scenario]")
        .with_help("`breakpoint init --url URL` writes a profile to start from")
}

/// The folder under the reports for a run without a profile: the address's host and port.
fn folder_name(uri: &http::Uri) -> String {
    let host = uri.host().unwrap_or("target").trim_matches(['[', ']']);
    let name = match uri.port_u16() {
        Some(port) => format!("{host}-{port}"),
        None => host.to_owned(),
    };
    name.replace(':', "-")
}

/// The objectives, each with where it stands in the profile.
fn slo(profile: Option<&Profile>, flags: &FindFlags) -> Result<(Slo, SloSpans), PlanError> {
    if !flags.slo.is_empty() {
        let slo = Slo::parse(&flags.slo)?;
        let spans = vec![None; slo.objectives().len()];
        return Ok((slo, spans));
    }
    let Some(profile) = profile else {
        return Err(PlanError::NoSlo);
    };
    let texts = profile.slo.as_deref().unwrap_or_default();
    let mut spans = Vec::new();
    for text in texts {
        let one = Slo::parse([text.as_ref()])
            .map_err(|e| profile.source.error(Some(text.span()), e.to_string()))?;
        spans.extend(vec![Some(text.span()); one.objectives().len()]);
    }
    if texts.is_empty() {
        return Err(PlanError::NoSlo);
    }
    Ok((Slo::parse(texts.iter().map(Spanned::as_ref))?, spans))
}

#[cfg(test)]
mod tests;
