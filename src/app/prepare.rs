//! From a plan to something that can run: feeders read, scenario compiled, limits of this machine
//! checked.

use std::io;
use std::net::IpAddr;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::leaving::{self, Leaving};
use super::populations::{self, Compiled, Other};
use super::{CommandError, guard, secrets};
use crate::bounded;
use crate::crypto::{Trust, TrustSpec};
use crate::engine::Network;
use crate::exit::Exit;
use crate::measure::{Level, LevelUnit, StepTable};
use crate::plan::{LoadPlan, MonitorPlan, Plan, ScenarioSource, TargetKind, VuCost};
use crate::preflight::{self, Fit, HostLimits, PerVu, TooHigh};
use crate::ramp::Stages;
use crate::scenario::spec::ScenarioSpec;
use crate::scenario::{Feeder, FeederFormat, Files, MOST_FEEDERS, Scenario};
use crate::search::SearchSpec;

/// Stands in for the demo's address until it listens.
const DEMO_PLACEHOLDER: &str = "http://127.0.0.1:1";

/// A plan that fits this machine, with its scenario.
pub(super) struct Ready {
    pub(super) plan: Plan,
    /// Compiled against the target's address; for the demo, whose address is not known yet, a
    /// trial. `None` where the engine has files of its own.
    pub(super) scenarios: Option<Compiled>,
    pub(super) host: HostLimits,
    /// Whether the level moves while it is measured.
    pub(super) climbs: bool,
    /// What a reader must know.
    pub(super) warnings: Vec<String>,
    /// How connections are made.
    pub(super) network: Network,
    /// Where the names of the target lead.
    pub(super) found: Vec<(String, Vec<IpAddr>)>,
    /// Secrets that go to others.
    pub(super) leaving: Vec<Leaving>,
    feeders: AllFiles,
}

impl Ready {
    /// The scenarios for a target at this address.
    pub(super) fn scenarios_at(&self, base: &str) -> Result<Compiled, CommandError> {
        if self.plan.target.up.is_some() {
            // It may have written them.
            let feeders = read_all_files(&self.plan, Missing::Refused, &mut Vec::new())?;
            return compile_all(&self.plan, base, &feeders);
        }
        compile_all(&self.plan, base, &self.feeders)
    }
}

/// The rows of every population's feeders.
struct AllFiles {
    users: Files,
    others: Vec<Files>,
}

/// Makes a search ready.
pub(super) fn prepare(plan: Plan, host: &HostLimits) -> Result<Ready, CommandError> {
    plan.slo
        .check_bounds_users()
        .map_err(|e| CommandError::new(Exit::Usage, e))?;
    ready(plan, host, |too_high| too_high)
}

/// Makes a ramp ready: its highest stage must fit this machine.
pub(super) fn prepare_ramp(
    mut plan: Plan,
    host: &HostLimits,
    stages: &Stages,
) -> Result<Ready, CommandError> {
    // A script's own stages may be rates.
    if plan.search.unit.is_open() && plan.engine.facts().arrivals().is_none() {
        let message = "the profile searches over arrivals per second (`rate` in its [search]), but \
            the stages of a ramp are VUs; remove `rate`, or use `breakpoint find`";
        return Err(CommandError::new(Exit::Usage, message));
    }
    let able = plan.engine.facts().abilities().ramp;
    able.map_err(|why| CommandError::new(Exit::Usage, why))?;
    if let Some(lasts) = plan.search.warm_up.filter(|d| !d.is_zero()) {
        let lasts = lasts.as_secs_f64();
        let message = format!(
            "a warm-up of {lasts} s is set (`warm-up` in the profile's [search], or --warm-up), \
             but a ramp runs only its stages; make it the first stage (--stages {}:{lasts}s,...) \
             with --warm-up 0, or use `breakpoint find`",
            plan.search.start.get()
        );
        return Err(CommandError::new(Exit::Usage, message));
    }
    plan.search = SearchSpec {
        min: Level::ZERO,
        max: stages.highest(),
        budget: Duration::from_secs_f64(stages.total_s()),
        // They follow a search alone.
        reference_holds: false,
        ..plan.search
    };
    plan.max_is_explicit = true;
    // A ramp has no interval, so nothing of it can be a gate.
    plan.required = None;
    plan.pace_per_s = stages.pace_per_s();
    plan.engine.facts_mut().follows_stages();
    let ready = ready(plan, host, |too_high| TooHigh {
        less: format!("stages of {} VUs at most", too_high.highest.get()),
        ..too_high
    })?;
    Ok(Ready {
        climbs: true,
        ..ready
    })
}

fn ready(
    mut plan: Plan,
    host: &HostLimits,
    way_down: impl Fn(TooHigh) -> TooHigh,
) -> Result<Ready, CommandError> {
    guard::check_stop_file(&plan)?;
    let leaving = leaving::of(&plan)?;
    secrets::fill(&mut plan)?;
    leaving::check(&plan)?;
    if !plan.engine.facts().abilities().runs_scenarios {
        let ready = elsewhere(plan, host, way_down)?;
        return Ok(Ready { leaving, ..ready });
    }
    let files = match plan.target.up {
        Some(_) => Missing::ToCome,
        None => Missing::Refused,
    };
    let mut warnings = unchecked(&plan);
    let feeders = read_all_files(&plan, files, &mut warnings)?;
    let base = match &plan.target.kind {
        TargetKind::External { url } => url.clone(),
        TargetKind::Demo => DEMO_PLACEHOLDER.to_owned(),
        TargetKind::OfTheEngine => String::new(),
    };
    let scenarios = compile_all(&plan, &base, &feeders)?;
    scenarios.check_names()?;
    plan.check_slo(&scenarios.steps())
        .map_err(|e| CommandError::new(Exit::Usage, e))?;
    let origins = scenarios.all().flat_map(Scenario::origins);
    let found = preflight::check_targets(
        scenarios.all().flat_map(Scenario::origins),
        &plan.target.allowed,
        &plan.target.connect.resolve,
    )
    .map_err(|e| CommandError::new(Exit::Usage, e))?;
    let network = network(&plan, scenarios.all())?;
    let hosts = origins.map(|o| o.host.as_str());
    preflight::check_sources(&plan.local_addresses, hosts)
        .map_err(|e| CommandError::new(Exit::Usage, e))?;
    let host = host.with_sources(plan.local_addresses.len());
    let (vus, connections) = scenarios.beside();
    if plan.search.unit.is_open() {
        plan.search.unit = scenarios.unit_of_rate();
    }
    let left = host.beside(vus, connections);
    let per_vu =
        PerVu::with_connections(scenarios.connections_per_vu()).speaking(plan.target.protocol);
    warnings.extend(fitted(&mut plan, per_vu, &left, way_down)?);
    Ok(Ready {
        plan,
        scenarios: Some(scenarios),
        host,
        climbs: false,
        warnings,
        network,
        found,
        leaving,
        feeders,
    })
}

/// How the connections of scenarios are made, with the files that were named for it.
pub(super) fn network<'a>(
    plan: &Plan,
    scenarios: impl IntoIterator<Item = &'a Scenario>,
) -> Result<Network, CommandError> {
    let mut scenarios = scenarios.into_iter();
    let connect = &plan.target.connect;
    let spec = TrustSpec::from(connect);
    // The system's certificates are read where they are needed.
    let needed = scenarios.any(|s| s.origins().iter().any(|o| o.tls));
    let trust = (needed || spec != TrustSpec::default()).then(|| Trust::read(&spec));
    Ok(Network {
        trust: trust
            .transpose()
            .map_err(|e| CommandError::new(Exit::Usage, e))?,
        resolve: connect.resolve.clone(),
        addresses: plan.target.addresses,
        protocol: plan.target.protocol,
    })
}

/// Whose certificates nobody checks.
fn unchecked(plan: &Plan) -> Vec<String> {
    let engine = plan.engine.facts();
    let own = engine.abilities().own_connections;
    let target = (own && plan.target.connect.insecure).then(|| "the target".to_owned());
    let page = engine.page().filter(|page| page.connect.insecure);
    let page = page.map(|page| page.of.to_owned());
    let reads = |m: &&MonitorPlan| m.source.reads_pages() && m.connect.insecure;
    let monitors = plan.monitors.iter().filter(reads);
    let monitors = monitors.map(|m| format!("the monitor `{}`", m.name));
    let who: Vec<String> = target.into_iter().chain(page).chain(monitors).collect();
    if who.is_empty() {
        return Vec::new();
    }
    let who = who.join(" and ");
    vec![format!(
        "the certificate of {who} is not checked (insecure): any server could have answered"
    )]
}

/// Lowers a highest level that nobody asked for to what this machine allows, and says so.
fn fitted(
    plan: &mut Plan,
    per_vu: PerVu,
    host: &HostLimits,
    way_down: impl Fn(TooHigh) -> TooHigh,
) -> Result<Option<String>, CommandError> {
    match preflight::fit(plan, per_vu, host) {
        Ok(Fit::Fits) => Ok(None),
        Ok(Fit::Capped { max, warning }) => {
            match &mut plan.load {
                LoadPlan::Closed => {
                    plan.search.max = max;
                    plan.search.start = plan.search.start.min(max);
                }
                LoadPlan::Open(open) => open.most_vus = max.get(),
            }
            Ok(Some(warning))
        }
        Err(too_high) => Err(CommandError::new(Exit::HostLimit, way_down(too_high))),
    }
}

/// What an engine elsewhere does and needs is known when it runs; here only what the objectives ask
/// of monitors, and what it takes of this machine and may reach.
fn elsewhere(
    mut plan: Plan,
    host: &HostLimits,
    way_down: impl Fn(TooHigh) -> TooHigh,
) -> Result<Ready, CommandError> {
    let steps = StepTable::of_requests(plan.named_steps());
    plan.check_slo(&steps)
        .map_err(|e| CommandError::new(Exit::Usage, e))?;
    let mut warnings = unchecked(&plan);
    if plan.search.unit.is_open() {
        plan.search.unit = LevelUnit::CyclesPerS;
    }
    if plan.engine.facts().vu_cost() != VuCost::Nothing {
        let per_vu = PerVu::of_engine(plan.engine.facts());
        let (vus, connections) = populations::beside_of_engine(plan.engine.facts());
        let left = host.beside(vus, connections);
        warnings.extend(fitted(&mut plan, per_vu, &left, way_down)?);
    }
    if plan.engine.facts().abilities().is_confined {
        let allowed = preflight::resolve_allowed(&plan.target.allowed)
            .map_err(|e| CommandError::new(Exit::Usage, e))?;
        plan.engine.facts_mut().confine(&allowed);
    }
    warnings.extend(plan.engine.facts_mut().take_notes());
    let network = if plan.engine.facts().abilities().own_connections {
        network(&plan, [])?
    } else {
        Network::default()
    };
    Ok(Ready {
        plan,
        scenarios: None,
        host: *host,
        climbs: false,
        warnings,
        network,
        found: Vec::new(),
        leaving: Vec::new(),
        feeders: AllFiles {
            users: Files::default(),
            others: Vec::new(),
        },
    })
}

/// The users' scenario at an address, whatever this machine allows.
pub(super) fn scenario_at(plan: &Plan, base: &str) -> Result<Scenario, CommandError> {
    let feeders = read_all_files(plan, Missing::Refused, &mut Vec::new())?;
    Ok(compile_all(plan, base, &feeders)?.users)
}

fn compile_all(plan: &Plan, base: &str, feeders: &AllFiles) -> Result<Compiled, CommandError> {
    let mut users = match &plan.scenario {
        ScenarioSource::Spec(spec) => compile(plan, spec, base, &feeders.users)?,
        ScenarioSource::SingleGet(url) => {
            Scenario::single_get(url).map_err(|e| of_scenario(plan, e.span, &e.message))?
        }
        ScenarioSource::OfTheEngine => return Err(no_scenario()),
    };
    let counted = match plan.populations.users.share() {
        Some(_) => plan.count_good_of_kind(&mut users, &plan.populations.name),
        None => plan.count_good(&mut users),
    };
    counted.map_err(|e| CommandError::new(Exit::Usage, e))?;
    let others = (plan.populations.others.iter().zip(&feeders.others))
        .map(|(other, feeders)| {
            let mut scenario = compile(plan, &other.scenario, base, feeders)?;
            // Of a mix the cycles of every kind are counted.
            if other.amount.share().is_some() {
                plan.count_good_of_kind(&mut scenario, &other.name)
                    .map_err(|e| CommandError::new(Exit::Usage, e))?;
            }
            Ok(Other {
                scenario,
                plan: other.clone(),
            })
        })
        .collect::<Result<_, CommandError>>()?;
    Ok(Compiled {
        name: plan.populations.name.clone(),
        amount: plan.populations.users,
        users,
        others,
    })
}

fn compile(
    plan: &Plan,
    spec: &ScenarioSpec,
    base: &str,
    files: &Files,
) -> Result<Scenario, CommandError> {
    Scenario::compile(spec, base, files, &secrets::lookup(&plan.dir))
        .map_err(|e| of_scenario(plan, e.span, &e.message))
}

fn no_scenario() -> CommandError {
    let message = "the engine is another program, and has its own scenario";
    CommandError::new(Exit::Failure, message)
}

fn of_scenario(plan: &Plan, span: Option<Range<usize>>, message: &str) -> CommandError {
    CommandError::new(Exit::Usage, plan.scenario_error(span, message))
}

/// What is done where a file is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Refused,
    /// The command `up` may write it.
    ToCome,
}

fn read_all_files(
    plan: &Plan,
    missing: Missing,
    warnings: &mut Vec<String>,
) -> Result<AllFiles, CommandError> {
    let mut left = MOST_FEEDERS;
    let users = match &plan.scenario {
        ScenarioSource::Spec(spec) => read_files(plan, spec, missing, warnings, &mut left)?,
        ScenarioSource::SingleGet(_) | ScenarioSource::OfTheEngine => Files::default(),
    };
    let others = plan.populations.others.iter();
    let others = others.map(|o| read_files(plan, &o.scenario, missing, warnings, &mut left));
    Ok(AllFiles {
        users,
        others: others.collect::<Result<_, _>>()?,
    })
}

fn read_files(
    plan: &Plan,
    spec: &ScenarioSpec,
    missing: Missing,
    warnings: &mut Vec<String>,
    left: &mut usize,
) -> Result<Files, CommandError> {
    let mut files = Files::default();
    for (name, feeder) in &spec.feeders {
        let path = plan.dir.join(&feeder.get_ref().file);
        let wrong = |why: &dyn std::fmt::Display| {
            let message = format!("feeder `{name}`: {}: {why}", path.display());
            of_scenario(plan, Some(feeder.span()), &message)
        };
        let opened = bounded::open(&path);
        let rows = match opened {
            Ok(file) => {
                let format = FeederFormat::of(&path);
                Feeder::parse_within(file, format, left).map_err(|e| wrong(&e))?
            }
            Err(e) if is_to_come(missing, &e) => {
                warnings.push(to_come(&format!("feeder `{name}`"), &path));
                Feeder::to_come()
            }
            Err(e) => return Err(wrong(&e)),
        };
        files.feeders.insert(name.clone(), Arc::new(rows));
    }
    for step in spec.all_steps() {
        for file in step.get_ref().files() {
            if files.bodies.contains_key(file) {
                continue;
            }
            let path = plan.dir.join(file);
            let content = match bounded::file(&path, u64::try_from(*left).unwrap_or(u64::MAX)) {
                Ok(content) => content,
                Err(e) if is_to_come(missing, &e) => {
                    warnings.push(to_come(&format!("file `{file}`"), &path));
                    Vec::new()
                }
                Err(e) => {
                    let message = format!("file `{file}`: {}: {e}", path.display());
                    return Err(of_scenario(plan, Some(step.span()), &message));
                }
            };
            *left -= content.len().min(*left);
            files.bodies.insert(file.to_owned(), content.into());
        }
    }
    Ok(files)
}

fn is_to_come(missing: Missing, error: &io::Error) -> bool {
    missing == Missing::ToCome && error.kind() == io::ErrorKind::NotFound
}

fn to_come(what: &str, path: &Path) -> String {
    let path = path.display();
    format!("{what}: {path} does not exist yet; it is read after `up` has run")
}
