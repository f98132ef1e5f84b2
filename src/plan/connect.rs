//! How connections are made: whom they trust, who they say they are, where names lead.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::protocol;
use super::value::{Flag, Reader};
use super::{FindFlags, PlanError};
use crate::profile::{EngineSpec, MonitorSpec, Profile, TargetSpec};
use crate::scenario::{Allowed, Resolve};

/// How connections to one service are made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectPlan {
    /// File of the certificates that are trusted, in place of the system's.
    pub ca: Option<PathBuf>,
    /// File of the client certificate.
    pub cert: Option<PathBuf>,
    /// File of its key; without one it is in the certificate's.
    pub key: Option<PathBuf>,
    /// Whether any certificate is accepted.
    pub insecure: bool,
    /// The name that a certificate must be for, in place of the address's host.
    pub server_name: Option<String>,
    /// Addresses in place of what a name server would say.
    pub resolve: Resolve,
    /// Whom it may be, beside this machine: those whom the load may reach.
    pub allowed: Allowed,
}

/// Whom a profile and the flags allow.
pub(super) fn allowed(profile: Option<&Profile>, flags: &FindFlags) -> Allowed {
    let target = profile.and_then(|p| p.target.as_ref());
    let of_profile = target.and_then(|t| t.as_ref().allow.as_ref());
    let of_profile = of_profile.into_iter().flatten();
    Allowed::new(of_profile.chain(&flags.allow_target).cloned())
}

/// Whom the profile alone allows, beside this machine: its author, who may be anybody.
pub(super) fn unasked(profile: &Profile, flags: &FindFlags) -> Vec<String> {
    let target = profile.target.as_ref();
    let of_profile = target.and_then(|t| t.as_ref().allow.as_ref());
    let typed = Allowed::new(flags.allow_target.iter().cloned());
    let is_here = |host: &str| {
        let address = host.parse().ok();
        address.is_some_and(|address| Allowed::default().permits(host, address))
    };
    let others = of_profile.into_iter().flatten();
    let others = others.filter(|host| !typed.names(host) && !is_here(host));
    others.cloned().collect()
}

/// The keys of one table.
#[derive(Clone, Copy)]
pub(super) struct ConnectKeys<'a> {
    ca: Option<&'a Spanned<String>>,
    cert: Option<&'a Spanned<String>>,
    key: Option<&'a Spanned<String>>,
    insecure: Option<&'a Spanned<bool>>,
    server_name: Option<&'a Spanned<String>>,
    resolve: Option<&'a Vec<Spanned<String>>>,
}

macro_rules! keys_of {
    ($spec:ty) => {
        impl<'a> From<&'a $spec> for ConnectKeys<'a> {
            fn from(spec: &'a $spec) -> Self {
                Self {
                    ca: spec.ca.as_ref(),
                    cert: spec.cert.as_ref(),
                    key: spec.key.as_ref(),
                    insecure: spec.insecure.as_ref(),
                    server_name: spec.server_name.as_ref(),
                    resolve: spec.resolve.as_ref(),
                }
            }
        }
    };
}

keys_of!(TargetSpec);
keys_of!(EngineSpec);
keys_of!(MonitorSpec);

impl ConnectKeys<'_> {
    /// Whether a table says anything of it.
    pub(super) fn any(&self) -> bool {
        self.ca.is_some()
            || self.cert.is_some()
            || self.key.is_some()
            || self.insecure.is_some()
            || self.server_name.is_some()
            || self.resolve.is_some()
    }
}

/// What the flags say, over what the profile's `[target]` does.
pub(super) fn of_target(
    profile: Option<&Profile>,
    flags: &FindFlags,
) -> Result<ConnectPlan, PlanError> {
    let empty = TargetSpec::default();
    let spec = profile.and_then(|p| p.target.as_ref());
    let spec = spec.map_or(&empty, Spanned::as_ref);
    let dir = profile.map_or(Path::new("."), |p| &p.dir);
    let reader = Reader {
        source: profile.map(|p| &*p.source),
    };
    let plan = resolve(ConnectKeys::from(spec), flags, &reader, dir)?;
    Ok(ConnectPlan {
        allowed: allowed(profile, flags),
        ..plan
    })
}

/// What a table says of its own, else what is said of the target.
pub(super) fn own_or<'a>(
    keys: impl Into<ConnectKeys<'a>>,
    profile: &Profile,
    of_target: &ConnectPlan,
) -> Result<ConnectPlan, PlanError> {
    let keys = keys.into();
    if !keys.any() {
        return Ok(of_target.clone());
    }
    let reader = Reader {
        source: Some(&profile.source),
    };
    let plan = resolve(keys, &FindFlags::default(), &reader, &profile.dir)?;
    Ok(ConnectPlan {
        allowed: of_target.allowed.clone(),
        ..plan
    })
}

/// For the page of a Locust master.
pub(super) fn of_engine(
    profile: Option<&Profile>,
    spec: &EngineSpec,
    flags: &FindFlags,
) -> Result<ConnectPlan, PlanError> {
    match profile {
        Some(profile) if ConnectKeys::from(spec).any() => {
            let reader = Reader {
                source: Some(&profile.source),
            };
            let plan = resolve(ConnectKeys::from(spec), flags, &reader, &profile.dir)?;
            Ok(ConnectPlan {
                allowed: allowed(Some(profile), flags),
                ..plan
            })
        }
        _ => of_target(profile, flags),
    }
}

/// The first flag about connections that was given, with its value.
pub(super) fn first_flag(flags: &FindFlags) -> Option<(&'static str, String)> {
    let file =
        |name, path: &Option<PathBuf>| path.as_ref().map(|path| (name, path.display().to_string()));
    file("--cacert", &flags.cacert)
        .or_else(|| file("--cert", &flags.cert))
        .or_else(|| file("--key", &flags.key))
        .or_else(|| flags.insecure.then(|| ("--insecure", String::new())))
        .or_else(|| flags.resolve.first().map(|r| ("--resolve", r.clone())))
        .or_else(|| {
            let http = flags.http.map(protocol::flag);
            http.map(|flag| (flag, String::new()))
        })
}

fn resolve(
    keys: ConnectKeys<'_>,
    flags: &FindFlags,
    reader: &Reader<'_>,
    dir: &Path,
) -> Result<ConnectPlan, PlanError> {
    // A flag's path starts where it was typed.
    let file = |flag: &Option<PathBuf>, key: Option<&Spanned<String>>| {
        flag.clone().or_else(|| key.map(|k| dir.join(k.as_ref())))
    };
    let insecure = reader.pick(
        Flag("--insecure", flags.insecure.then_some(true)),
        keys.insecure,
        false,
        |yes| Ok(*yes),
    )?;
    let mut resolve = Resolve::default();
    for text in keys.resolve.into_iter().flatten() {
        let with = |t: &String| resolve.clone().with(t);
        resolve = reader
            .pick(Flag::none(), Some(text), resolve.clone(), with)?
            .value;
    }
    for text in &flags.resolve {
        let with = |t: &String| resolve.clone().with(t);
        let flag = Flag("--resolve", Some(text.clone()));
        resolve = reader.pick(flag, None, resolve.clone(), with)?.value;
    }
    Ok(ConnectPlan {
        ca: file(&flags.cacert, keys.ca),
        cert: file(&flags.cert, keys.cert),
        // A flag's certificate brings its own key.
        key: file(&flags.key, keys.key.filter(|_| flags.cert.is_none())),
        insecure: insecure.value,
        server_name: keys.server_name.map(|n| n.as_ref().clone()),
        resolve,
        allowed: Allowed::default(),
    })
}
