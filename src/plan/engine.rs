//! What makes the load of a plan: this program, a cluster that is there already, or k6 with a script.

mod k6;

use std::ops::Range;

use toml::Spanned;

use super::connect::{self, Keys};
use super::value::{self, Flag, Reader};
use super::{EnginePlan, FindFlags, LoadPlan, LocustPlan, PlanError};
use crate::profile::{EngineSpec, Profile, nearest};
use crate::secret::MASK;

/// The values of `--engine` and of `kind`.
const KINDS: [&str; 3] = ["native", "locust", "k6"];
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
    let connect = connect::of_engine(profile, spec, flags)?;
    // Who names a script means k6, by flag whatever the profile says.
    let by_flag = flags.engine.is_none() && flags.script.is_some();
    let by_profile = named.is_default() && url.is_default() && spec.script.is_some();
    if named.value == "k6" || by_flag || by_profile {
        return k6::resolve(profile, spec, flags, reader).map(EnginePlan::K6);
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
    Ok(EnginePlan::Native)
}

/// Keys about connections are for the page of a Locust master.
fn check_keys(
    profile: Option<&Profile>,
    spec: &EngineSpec,
    has_page: bool,
) -> Result<(), PlanError> {
    match profile {
        Some(profile) if Keys::from(spec).any() && !has_page => {
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
        None => "it is `native` (this program makes the load), `locust` (a Locust cluster does) or `k6` (k6 does, with a script)"
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

/// What an engine elsewhere has of its own, for the messages that refuse what it cannot be told.
struct Elsewhere {
    name: &'static str,
    rate: &'static str,
    populations: &'static str,
    threads: &'static str,
}

const LOCUST: Elsewhere = Elsewhere {
    name: "locust",
    rate: "a Locust cluster has users, not arrivals; remove the rate",
    populations: "a Locust cluster has the users of its own files; give them classes and weights there",
    threads: "set this on the workers (breakpoint worker has it too)",
};

const K6: Elsewhere = Elsewhere {
    name: "k6",
    rate: "levels are VUs of k6, not arrivals; remove the rate",
    populations: "k6 has the users of its script; several functions with weights are for `exec` in [engine]",
    threads: "k6 uses all cores and has no such setting (to use fewer, set GOMAXPROCS in the \
        environment)",
};

/// What goes with this program's own load only.
pub(super) fn check(
    engine: &EnginePlan,
    profile: Option<&Profile>,
    flags: &FindFlags,
    load: LoadPlan,
) -> Result<(), PlanError> {
    let elsewhere = match engine {
        EnginePlan::Native => return Ok(()),
        EnginePlan::Locust(_) => LOCUST,
        EnginePlan::K6(_) => K6,
    };
    let refuse = |flag, value: String, span, why: &str| refuse(profile, flag, value, span, why);
    if load != LoadPlan::Closed {
        let span = profile.and_then(|p| p.search.rate.as_ref().map(Spanned::span));
        let span = span.filter(|_| flags.rate.is_none());
        let given = flags.rate.clone().unwrap_or_default();
        return Err(refuse("--rate", given, span, elsewhere.rate));
    }
    if let Some(first) = profile.and_then(|p| p.populations.first()) {
        return Err(refuse(
            "--engine",
            elsewhere.name.to_owned(),
            Some(first.span()),
            elsewhere.populations,
        ));
    }
    if let Some(threads) = flags.threads {
        let threads = threads.to_string();
        return Err(refuse("--threads", threads, None, elsewhere.threads));
    }
    if let Some(address) = flags.local_addr.first() {
        let why = match engine {
            EnginePlan::K6(_) => {
                "k6 chooses where its connections come from; give `localIPs` in the options of the script"
            }
            _ => elsewhere.threads,
        };
        return Err(refuse("--local-addr", address.clone(), None, why));
    }
    match engine {
        EnginePlan::K6(_) => {
            if let Some((flag, value)) = connect::first_flag(flags) {
                let why = "k6 makes its own connections; give `insecureSkipTLSVerify`, `tlsAuth` or `hosts` in the options of the \
                           script (SSL_CERT_FILE in the environment names a CA)";
                return Err(refuse(flag, value, None, why));
            }
            k6::check(profile, flags)
        }
        _ => Ok(()),
    }
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
