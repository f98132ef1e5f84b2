//! What makes the load of a plan: this program, or a cluster that is there already.

use toml::Spanned;

use super::value::{self, Flag, Reader};
use super::{EnginePlan, FindFlags, LoadPlan, LocustPlan, PlanError};
use crate::profile::{EngineSpec, Profile, nearest};
use crate::secret::MASK;

/// The values of `--engine` and of `kind`.
const KINDS: [&str; 2] = ["native", "locust"];
/// Where a Locust master has its web page unless it is told otherwise.
const DEFAULT_LOCUST_URL: &str = "http://127.0.0.1:8089";

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
        DEFAULT_LOCUST_URL.to_owned(),
        |url| value::url(url).map(|_| url.clone()),
    )?;
    let headers = headers(spec, flags)?;
    // Who gives the address of a cluster means it.
    let locust = named.value == "locust" || (named.is_default() && !url.is_default());
    if locust {
        return Ok(EnginePlan::Locust(LocustPlan {
            url: url.value,
            headers,
        }));
    }
    // Who asks for this program by flag knows what the profile says.
    if !url.is_default() && flags.engine.is_none() {
        let why = "the native engine has no address; leave it out, or choose the engine `locust`";
        return Err(reader.blame(&[&url], why.to_owned()));
    }
    Ok(EnginePlan::Native)
}

fn kind(text: &str) -> Result<&'static str, String> {
    if let Some(kind) = KINDS.into_iter().find(|k| *k == text) {
        return Ok(kind);
    }
    let hint = match nearest(text, KINDS) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "it is `native` (this program makes the load) or `locust` (a Locust cluster does)"
            .to_owned(),
    };
    Err(format!("there is no engine `{text}`; {hint}"))
}

/// Those of the profile, and over them those of the flags.
fn headers(spec: &EngineSpec, flags: &FindFlags) -> Result<Vec<(String, String)>, PlanError> {
    let mut out: Vec<(String, String)> = spec
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .collect();
    for text in &flags.locust_header {
        let Some((name, value)) = text.split_once(':') else {
            return Err(PlanError::Flag {
                flag: "--locust-header",
                // It may be a secret as a whole.
                value: MASK.to_owned(),
                why: "write NAME: VALUE, such as 'cookie: {{ env.LOCUST_COOKIE }}'".to_owned(),
            });
        };
        let name = name.trim().to_ascii_lowercase();
        out.retain(|(n, _)| *n != name);
        out.push((name, value.trim().to_owned()));
    }
    Ok(out)
}

/// What goes with this program's own load only.
pub(super) fn check(
    engine: &EnginePlan,
    profile: Option<&Profile>,
    flags: &FindFlags,
    load: LoadPlan,
) -> Result<(), PlanError> {
    let EnginePlan::Locust(_) = engine else {
        return Ok(());
    };
    let source = profile.map(|p| &p.source);
    let refuse = |flag: &'static str, value: String, span, why: &str| match (source, span) {
        (Some(source), Some(span)) => PlanError::from(source.error(Some(span), why)),
        _ => PlanError::Flag {
            flag,
            value,
            why: why.to_owned(),
        },
    };
    if load != LoadPlan::Closed {
        let span = profile.and_then(|p| p.search.rate.as_ref().map(Spanned::span));
        let span = span.filter(|_| flags.rate.is_none());
        let given = flags.rate.clone().unwrap_or_default();
        let why = "a Locust cluster has users, not arrivals; leave the rate out";
        return Err(refuse("--rate", given, span, why));
    }
    if let Some(first) = profile.and_then(|p| p.populations.first()) {
        let why =
            "a Locust cluster has the users of its own files; give them classes and weights there";
        return Err(refuse(
            "--engine",
            "locust".to_owned(),
            Some(first.span()),
            why,
        ));
    }
    let on_workers = "that is for the workers to be told (breakpoint worker has it too)";
    if let Some(threads) = flags.threads {
        return Err(refuse("--threads", threads.to_string(), None, on_workers));
    }
    if let Some(address) = flags.local_addr.first() {
        return Err(refuse("--local-addr", address.clone(), None, on_workers));
    }
    Ok(())
}
