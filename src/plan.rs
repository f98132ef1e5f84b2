//! Profile, flags and defaults resolved into one plan: the only place with defaults and validation.
//!
//! Flags beat the profile, the profile beats the defaults. What is below this module takes parts of
//! a [`Plan`] and never asks where a value came from.

mod connect;
mod engine;
mod error;
mod flags;
mod local;
mod log;
mod monitor;
mod objectives;
mod population;
mod protocol;
mod request;
mod reset;
mod safety;
mod search;
mod series;
mod size;
mod target;
mod value;

// `core`, not `std`: an address is a value here.
use core::net::IpAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml::Spanned;

use crate::k6::{Script, ScriptInfo};
use crate::measure::{Arrivals, Level};
use crate::profile::{self, Profile, ProfileError, Source};
pub use crate::scenario::Http;
use crate::scenario::spec::ScenarioSpec;
use crate::scenario::{Addresses, Allowed, Protocol};
use crate::search::SearchSpec;
use crate::slo::{Condition, Objective, Slo};
pub use connect::ConnectPlan;
pub use engine::{
    Abilities, Ability, EngineFacts, EnginePlan, EngineWords, K6Plan, KindPlan, LocustPlan,
    NativePlan, PageFacts, ScriptFacts, ScriptPlan, ScriptPopulationPlan, Secrets, VuCost,
};
pub use error::PlanError;
pub use flags::FindFlags;
pub use log::LogMatch;
pub use monitor::{HOST, MonitorPlan, MonitorSource};
pub use population::{Amount, PopulationPlan, Populations, USERS};
pub use reset::{FlushPlan, MemoryAtRest, ResetWhen, RestartPlan, RestartWhen};
pub use safety::SafetyPlan;
pub use series::Series;
use value::{Flag, Reader};

/// VUs started or stopped per second when nothing else is said.
const DEFAULT_PACE_PER_S: f64 = 50.0;
/// Folder of the reports.
const DEFAULT_OUT: &str = "reports";

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
    /// Whether reports show anything of the answers of failed requests.
    pub excerpts: bool,
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
    /// The size that it has, which the commands are told.
    pub size: Option<String>,
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
    /// Those of them who are not this machine and whom the profile alone names: nobody at this
    /// machine has.
    pub unasked: Vec<String>,
    /// How connections are made.
    pub connect: ConnectPlan,
    /// Which of a name's addresses are loaded.
    pub addresses: Addresses,
    /// Which HTTP is spoken, and how many share a connection.
    pub protocol: Protocol,
}

impl TargetPlan {
    /// Where the commands run, and the size that they are told.
    pub fn place(&self) -> (&Path, Option<&str>) {
        (&self.dir, self.size.as_deref())
    }

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
        Self::resolve_with(profile, flags, None)
    }

    /// Resolves a plan whose script was looked at, which is that of [`Self::ahead`].
    ///
    /// # Errors
    /// When a value is impossible, the target or the SLO is missing, or the script's scenarios
    /// cannot be run as it was asked.
    pub fn resolve_with(
        profile: Option<&Profile>,
        flags: &FindFlags,
        info: Option<&ScriptInfo>,
    ) -> Result<Self, PlanError> {
        let sized = size::filled(profile, flags)?;
        let profile = sized.as_ref().map(|s| &s.profile);
        let source = profile.map(|p| &*p.source);
        let mut engine = engine::resolve(profile, flags, &Reader { source })?;
        request::check(profile, flags, engine.facts())?;
        if let Some(info) = info {
            engine.facts_mut().learn(info)?;
        }
        let script = info.map(|l| &l.script);
        let asked = PlanInput {
            flags,
            engine: &engine,
            script,
        };
        let plan = match (profile, &flags.url) {
            (Some(profile), _) => Self::of_profile(profile, &asked),
            (None, Some(url)) => Self::of_url(url, &asked),
            (None, None) => match engine.facts().run_name()? {
                Some(name) => Self::of_engine(name, &asked),
                None => Self::of_profile(&demo_profile()?, &asked),
            },
        }?;
        engine::check(&engine, profile, flags, plan.load)?;
        let excerpts = profile.and_then(|p| p.excerpts).unwrap_or(true);
        let mut plan = Self {
            engine,
            excerpts,
            ..plan
        };
        plan.target.size = sized.as_ref().and_then(|s| s.label.clone());
        plan.note_thresholds(profile, flags, script);
        plan.target.connect.insecure |= script.is_some_and(|script| script.own.insecure);
        Ok(plan)
    }

    /// What is known of a plan before its script is looked at, where it has one: what must be
    /// agreed to first.
    ///
    /// # Errors
    /// When a value is impossible.
    pub fn ahead(profile: Option<&Profile>, flags: &FindFlags) -> Result<Option<Ahead>, PlanError> {
        let sized = size::filled(profile, flags)?;
        let profile = sized.as_ref().map(|s| &s.profile);
        let reader = Reader {
            source: profile.map(|p| &*p.source),
        };
        let engine = engine::resolve(profile, flags, &reader)?;
        // What does not go together is told before anybody is asked.
        engine::check(&engine, profile, flags, LoadPlan::Closed)?;
        if engine.facts().script().is_none() {
            return Ok(None);
        }
        let target = match profile {
            Some(profile) => {
                let connect = connect::of_target(Some(profile), flags)?;
                let monitors = monitor_names(&monitor::resolve(profile, &connect)?);
                target::resolve(profile, flags, &reader, &monitors, engine.facts())?
            }
            None => TargetPlan::default(),
        };
        let name = match profile {
            Some(profile) => profile.name.clone(),
            None => engine.facts().run_name()?.unwrap_or_default(),
        };
        Ok(Some(Ahead {
            name,
            dir: profile.map_or_else(|| PathBuf::from("."), |p| p.dir.clone()),
            source: profile.map(|p| Arc::clone(&p.source)),
            target,
            engine,
        }))
    }

    fn of_profile(profile: &Profile, asked: &PlanInput<'_>) -> Result<Self, PlanError> {
        let PlanInput { flags, engine, .. } = *asked;
        let reader = Reader {
            source: Some(&profile.source),
        };
        let connect = connect::of_target(Some(profile), flags)?;
        let monitors = monitor::resolve(profile, &connect)?;
        let names = monitor_names(&monitors);
        let target = target::resolve(profile, flags, &reader, &names, engine.facts())?;
        let runs_scenarios = engine.facts().abilities().runs_scenarios;
        let population::ResolvedPopulations { populations, users } =
            population::resolve(profile, runs_scenarios)?;
        let scenario = match (&profile.scenario, &target.kind) {
            _ if !engine.facts().abilities().runs_scenarios => ScenarioSource::OfTheEngine,
            (_, TargetKind::OfTheEngine) => ScenarioSource::OfTheEngine,
            (Some(spec), _) => ScenarioSource::Spec(Box::new(spec.clone())),
            (None, _) if users.is_some() => {
                users.map_or(ScenarioSource::OfTheEngine, ScenarioSource::Spec)
            }
            (None, TargetKind::External { url }) => ScenarioSource::SingleGet(url.clone()),
            (None, TargetKind::Demo) => {
                let demo = demo_profile()?;
                let spec = demo.scenario.ok_or_else(|| missing_scenario(profile))?;
                ScenarioSource::Spec(Box::new(spec))
            }
        };
        let (slo, slo_spans) = slo(Some(profile), asked)?;
        let base = Self::base(&profile.search, asked, &reader)?;
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

    fn of_url(url: &str, asked: &PlanInput<'_>) -> Result<Self, PlanError> {
        let flags = asked.flags;
        let reader = Reader { source: None };
        asked.engine.facts().check_url(url)?;
        let uri = value::url(url).map_err(|why| PlanError::Flag {
            flag: "--url",
            value: url.to_owned(),
            why,
        })?;
        let (slo, slo_spans) = slo(None, asked)?;
        let (origin, _) = profile::template::split(url);
        let kind = TargetKind::External {
            url: origin.to_owned(),
        };
        let target = TargetPlan {
            protocol: protocol::resolve(None, flags, &reader, (&kind, asked.engine.facts()))?,
            kind,
            allowed: Allowed::new(flags.allow_target.iter().cloned()),
            connect: connect::of_target(None, flags)?,
            ..TargetPlan::default()
        };
        let base = Self::base(&profile::SearchSection::default(), asked, &reader)?;
        let monitors = vec![monitor::host()];
        Ok(base.build(BuildParts {
            safety: without_profile(flags, &reader, &monitors)?,
            name: folder_name(&uri),
            dir: PathBuf::from("."),
            source: None,
            target,
            scenario: request::scenario(url, &flags.request)?,
            populations: Populations::default(),
            slo,
            slo_spans,
            monitors,
        }))
    }

    /// An engine that has files of its own, without a profile.
    fn of_engine(name: String, asked: &PlanInput<'_>) -> Result<Self, PlanError> {
        let flags = asked.flags;
        let reader = Reader { source: None };
        let (slo, slo_spans) = slo(None, asked)?;
        let base = Self::base(&profile::SearchSection::default(), asked, &reader)?;
        let monitors = vec![monitor::host()];
        let kind = TargetKind::OfTheEngine;
        let facts = asked.engine.facts();
        let target = if facts.abilities().own_connections {
            TargetPlan {
                protocol: protocol::resolve(None, flags, &reader, (&kind, facts))?,
                connect: connect::of_target(None, flags)?,
                ..TargetPlan::default()
            }
        } else {
            TargetPlan::default()
        };
        Ok(base.build(BuildParts {
            safety: without_profile(flags, &reader, &monitors)?,
            name,
            dir: PathBuf::from("."),
            source: None,
            target: TargetPlan {
                kind,
                allowed: Allowed::new(flags.allow_target.iter().cloned()),
                ..target
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
        asked: &PlanInput<'_>,
        reader: &Reader<'_>,
    ) -> Result<Base, PlanError> {
        let flags = asked.flags;
        let search::ResolvedSearch {
            search,
            max_is_explicit,
            load,
            required,
        } = search::resolve(section, flags, reader, asked.engine.facts())?;
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

    /// Tells what becomes of the thresholds of a script.
    fn note_thresholds(
        &mut self,
        profile: Option<&Profile>,
        flags: &FindFlags,
        script: Option<&Script>,
    ) {
        let Some(script) = script else { return };
        let engine = self.engine.facts_mut();
        let given = |p: &Profile| p.slo.as_ref().is_some_and(|slo| !slo.is_empty());
        let elsewhere = !flags.slo.is_empty() || profile.is_some_and(given);
        let all = script.objectives.len() + script.uncarried.len();
        if elsewhere && all > 0 {
            let texts = script.objectives.join(", ");
            let texts = if texts.is_empty() {
                "none can be an objective"
            } else {
                &texts
            };
            engine.note(format!(
                "the script's {all} thresholds are not used, because the SLO is given elsewhere \
                 (as objectives: {texts})"
            ));
            return;
        }
        for lost in &script.uncarried {
            engine.note(format!(
                "a threshold of the script cannot be an objective here: {lost}"
            ));
        }
    }

    /// The names of steps in the objectives, each once; for an engine that does not know its steps
    /// before it runs.
    pub fn named_steps(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.slo.objectives().iter().filter_map(Objective::step) {
            if !names.iter().any(|n| n == name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    /// The name of those who are searched, where the engine's own files have others beside them.
    pub fn searched_name(&self) -> Option<String> {
        let all = self.engine.facts().populations().into_iter();
        let mut searched = all.filter(|(_, amount)| amount.is_searched());
        searched.next().map(|(name, _)| name)
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

/// What a plan is made of beside its profile.
#[derive(Clone, Copy)]
struct PlanInput<'a> {
    flags: &'a FindFlags,
    engine: &'a EnginePlan,
    /// What was learned of the script, where there is one and it was looked at.
    script: Option<&'a Script>,
}

/// A plan whose script was not looked at yet.
#[derive(Debug, Clone)]
pub struct Ahead {
    /// The profile's name, or one of the script's for a run without one.
    pub name: String,
    /// Folder that the profile's relative paths start from.
    pub dir: PathBuf,
    /// The profile's text.
    pub source: Option<Arc<Source>>,
    /// What is done to the target around the load.
    pub target: TargetPlan,
    /// What the script is a part of.
    pub engine: EnginePlan,
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
            excerpts: true,
            seed: self.search.seed,
            search: self.search,
            max_is_explicit: self.max_is_explicit,
            required: self.required,
            engine: EnginePlan::default(),
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

/// The objectives, each with where it stands in the profile: those of the flags, else the
/// profile's, else the script's thresholds.
fn slo(profile: Option<&Profile>, asked: &PlanInput<'_>) -> Result<(Slo, SloSpans), PlanError> {
    let without_spans = |texts: &[String]| {
        let slo = Slo::parse(texts)?;
        let spans = vec![None; slo.objectives().len()];
        Ok((slo, spans))
    };
    if !asked.flags.slo.is_empty() {
        return without_spans(&asked.flags.slo);
    }
    let texts = profile.and_then(|p| p.slo.as_deref()).unwrap_or_default();
    let (Some(profile), false) = (profile, texts.is_empty()) else {
        return match asked.script {
            Some(script) if script.objectives.is_empty() => Err(no_threshold(script)),
            Some(script) => without_spans(&script.objectives),
            None => Err(PlanError::NoSlo),
        };
    };
    let mut spans = Vec::new();
    for text in texts {
        let one = Slo::parse([text.as_ref()])
            .map_err(|e| profile.source.error(Some(text.span()), e.to_string()))?;
        spans.extend(vec![Some(text.span()); one.objectives().len()]);
    }
    Ok((Slo::parse(texts.iter().map(Spanned::as_ref))?, spans))
}

fn no_threshold(script: &Script) -> PlanError {
    PlanError::NoThreshold(match script.uncarried.as_slice() {
        [] => "the script has no thresholds".to_owned(),
        lost => format!("no threshold of the script is one: {}", lost.join(", ")),
    })
}

#[cfg(test)]
mod tests;
