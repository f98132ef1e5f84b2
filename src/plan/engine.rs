//! What makes the load of a plan: this program, with a script or without one, a cluster that is
//! there already, or k6.
//!
//! Each has a file of its own, which answers what the rest of the program asks ([`EngineFacts`]);
//! nobody else asks which one it is.

mod facts;
mod k6;
mod locust;
mod native;
mod script;

use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use super::connect::{self, ConnectKeys};
use super::value::{self, Flag, Reader};
use super::{FindFlags, LoadPlan, PlanError};
use crate::k6::Function;
use crate::profile::{EngineSpec, Profile, nearest};
pub use facts::{
    Abilities, Ability, EngineFacts, EngineWords, PageFacts, ScriptFacts, Secrets, VuCost,
};
pub use k6::K6Plan;
pub use locust::LocustPlan;
pub use native::NativePlan;
pub use script::{KindPlan, ScriptPlan, ScriptPopulationPlan};

/// The values of `--engine` and of `kind`.
const KINDS: [&str; 4] = ["native", "script", "locust", "k6"];

/// Who makes the load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnginePlan {
    /// This program.
    Native(NativePlan),
    /// This program, with a k6 script of the user's.
    Script(ScriptPlan),
    /// A Locust cluster that is there.
    Locust(LocustPlan),
    /// k6, with a script of the user's.
    K6(K6Plan),
}

impl Default for EnginePlan {
    fn default() -> Self {
        Self::Native(NativePlan)
    }
}

impl EnginePlan {
    /// What runs a script that nobody was asked about: k6, where its program is named.
    pub fn of_script(script: &Path, binary: Option<&Path>) -> Self {
        match binary {
            Some(binary) => Self::K6(K6Plan {
                script: script.to_owned(),
                binary: binary.to_owned(),
                ..K6Plan::default()
            }),
            None => Self::Script(ScriptPlan {
                script: script.to_owned(),
                shown: script.display().to_string(),
                functions: vec![Function::by_default()],
                ..ScriptPlan::default()
            }),
        }
    }

    /// What is known of it before it has started.
    pub fn facts(&self) -> &dyn EngineFacts {
        match self {
            Self::Native(plan) => plan,
            Self::Script(plan) => plan,
            Self::Locust(plan) => plan,
            Self::K6(plan) => plan,
        }
    }

    /// The same, to be added to.
    pub fn facts_mut(&mut self) -> &mut dyn EngineFacts {
        match self {
            Self::Native(plan) => plan,
            Self::Script(plan) => plan,
            Self::Locust(plan) => plan,
            Self::K6(plan) => plan,
        }
    }

    /// The script, where k6 makes the load.
    #[cfg(test)]
    pub(crate) fn k6(&self) -> Option<&K6Plan> {
        match self {
            Self::K6(k6) => Some(k6),
            Self::Native(_) | Self::Script(_) | Self::Locust(_) => None,
        }
    }
}

pub(super) fn resolve(
    profile: Option<&Profile>,
    flags: &FindFlags,
    reader: &Reader<'_>,
) -> Result<EnginePlan, PlanError> {
    let empty = EngineSpec::default();
    let spec = profile.and_then(|p| p.engine.as_ref());
    let spec = spec.map_or(&empty, Spanned::as_ref);
    let flag = Flag("--engine", flags.engine.clone());
    let named = reader.pick(flag, spec.kind.as_ref(), "", |t| kind(t))?;
    let url = reader.pick(
        Flag("--locust-url", flags.locust_url.clone()),
        spec.url.as_ref(),
        locust::DEFAULT_URL.to_owned(),
        |url| value::url(url).map(|_| url.clone()),
    )?;
    let headers = locust::headers(spec, flags)?;
    let connect = connect::of_engine(profile, spec, flags)?;
    // Who names a script means it, by flag whatever the profile says; and who says how k6 is run
    // means k6.
    let by_flag = flags.engine.is_none() && flags.script.is_some();
    let by_profile = named.is_default() && url.is_default() && spec.script.is_some();
    let of_k6 = k6::first_flag(flags).is_some() || k6::is_meant(spec);
    if named.value == "k6" || ((by_flag || by_profile) && of_k6) {
        return k6::resolve(profile, spec, flags).map(EnginePlan::K6);
    }
    if named.value == "script" || by_flag || by_profile {
        script::check_unused(profile, spec, flags)?;
        return script::resolve(profile, spec, flags).map(EnginePlan::Script);
    }
    k6::check_unused(spec, flags, reader)?;
    check_keys(profile, spec, named.value == "locust" || !url.is_default())?;
    // Who gives the address of a cluster means it.
    let locust = named.value == "locust" || (named.is_default() && !url.is_default());
    if locust {
        return Ok(EnginePlan::Locust(LocustPlan {
            url: url.value,
            headers,
            connect,
        }));
    }
    // Who asks for this program by flag knows what the profile says.
    if !url.is_default() && flags.engine.is_none() {
        let why = "the native engine has no address; remove it, or use the engine `locust`";
        return Err(reader.blame(&[&url], why.to_owned()));
    }
    Ok(EnginePlan::Native(NativePlan))
}

/// Keys about connections are for the page of a Locust master.
fn check_keys(
    profile: Option<&Profile>,
    spec: &EngineSpec,
    has_page: bool,
) -> Result<(), PlanError> {
    match profile {
        Some(profile) if ConnectKeys::from(spec).any() && !has_page => {
            let span = profile.engine.as_ref().map(Spanned::span);
            let message = "ca, cert, key, insecure, server-name and resolve in [engine] are for \
                           the web UI of a Locust master";
            let help = "those of the target belong in [target]";
            Err(profile.source.error(span, message).with_help(help).into())
        }
        _ => Ok(()),
    }
}

fn kind(text: &str) -> Result<&'static str, String> {
    if let Some(kind) = KINDS.into_iter().find(|k| *k == text) {
        return Ok(kind);
    }
    let hint = match nearest(text, KINDS) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "it is `native` (this program makes the load), `script` (so it does, with a k6 \
                 script), `locust` (a Locust cluster does) or `k6` (k6 itself does)"
            .to_owned(),
    };
    Err(format!("there is no engine `{text}`; {hint}"))
}

/// What the engine cannot do must not have been asked for.
pub(super) fn check(
    engine: &EnginePlan,
    profile: Option<&Profile>,
    flags: &FindFlags,
    load: LoadPlan,
) -> Result<(), PlanError> {
    let facts = engine.facts();
    let can = facts.abilities();
    if load != LoadPlan::Closed {
        let span = profile.and_then(|p| p.search.rate.as_ref().map(Spanned::span));
        let span = span.filter(|_| flags.rate.is_none());
        let given = flags.rate.clone().unwrap_or_default();
        able(can.open_model, |why| {
            refuse(profile, "--rate", given, span, why)
        })?;
    }
    if let Some(first) = profile.and_then(|p| p.populations.first()) {
        let (given, span) = (facts.name().to_owned(), Some(first.span()));
        able(can.populations, |why| {
            refuse(profile, "--engine", given, span, why)
        })?;
    }
    if let Some(given) = flags.population.clone()
        && facts.populations().is_empty()
    {
        let why = "this is for the scenarios of a script that this program runs; in a profile, \
                   write `population` in [search]";
        return Err(refuse(profile, "--population", given, None, why));
    }
    if let Some(threads) = flags.threads {
        let given = threads.to_string();
        able(can.threads, |why| {
            refuse(profile, "--threads", given, None, why)
        })?;
    }
    if let Some(address) = flags.local_addr.first() {
        let given = address.clone();
        able(can.local_addresses, |why| {
            refuse(profile, "--local-addr", given, None, why)
        })?;
    }
    if let Some((flag, given)) = connect::first_flag(flags) {
        able(can.connection_flags, |why| {
            refuse(profile, flag, given, None, why)
        })?;
    }
    facts.check(profile, flags)
}

/// Whether it can do something; what it cannot is refused.
fn able(ability: Ability, refuse: impl FnOnce(&str) -> PlanError) -> Result<(), PlanError> {
    ability.map_err(|why| refuse(&why))
}

/// An error in the profile where it is to blame, else about a flag.
fn refuse(
    profile: Option<&Profile>,
    flag: &'static str,
    value: String,
    span: Option<Range<usize>>,
    why: &str,
) -> PlanError {
    match (profile, span) {
        (Some(profile), Some(span)) => profile.source.error(Some(span), why).into(),
        _ => PlanError::Flag {
            flag,
            value,
            why: why.to_owned(),
        },
    }
}
