//! The target of a plan.

use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;

use super::connect;
use super::protocol;
use super::reset;
use super::value::{self, Flag, Reader};
use super::{ConnectPlan, EngineFacts, FindFlags, PlanError, ResetWhen, TargetKind, TargetPlan};
use crate::profile::{Profile, ProfileError, TargetSpec};
use crate::scenario::{Addresses, Allowed, Protocol};
use crate::slo::Condition;

/// Time that the command `up` may take: it may have to build an image first.
const DEFAULT_UP_TIMEOUT: Duration = Duration::from_secs(120);
/// Time that the command `reset` may take.
const DEFAULT_RESET_TIMEOUT: Duration = Duration::from_secs(120);
/// Time that the drain after a probe may take.
const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Cycles that must succeed before the next probe.
const DEFAULT_CANARY_CYCLES: u32 = 3;

impl Default for TargetPlan {
    fn default() -> Self {
        Self {
            kind: TargetKind::Demo,
            dir: PathBuf::from("."),
            size: None,
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
            unasked: Vec::new(),
            connect: ConnectPlan::default(),
            addresses: Addresses::default(),
            protocol: Protocol::default(),
        }
    }
}

pub(super) fn resolve(
    profile: &Profile,
    flags: &FindFlags,
    reader: &Reader<'_>,
    monitors: &[String],
    engine: &dyn EngineFacts,
) -> Result<TargetPlan, PlanError> {
    let empty = TargetSpec::default();
    let spec = profile.target.as_ref().map_or(&empty, Spanned::as_ref);
    let kind = target_kind(profile, spec, flags, reader, engine)?;
    let defaults = TargetPlan::default();
    let time = |key: &Option<Spanned<String>>, default| {
        reader
            .pick(Flag::none(), key.as_ref(), default, |t| value::duration(t))
            .map(|d| d.value)
    };
    let command = |key: &Option<Spanned<String>>| key.as_ref().map(|c| c.as_ref().clone());
    let protocol = protocol::resolve(Some(profile), flags, reader, (&kind, engine))?;
    Ok(TargetPlan {
        protocol,
        kind,
        allowed: connect::allowed(Some(profile), flags),
        unasked: connect::unasked(profile, flags),
        connect: connect::of_target(Some(profile), flags)?,
        addresses: reader
            .pick(
                Flag::none(),
                spec.addresses.as_ref(),
                defaults.addresses,
                |t| value::addresses(t),
            )?
            .value,
        dir: profile.dir.clone(),
        // Known to whoever filled it in.
        size: None,
        up: command(&spec.up),
        reset: command(&spec.reset),
        restarts: reset::restarts(profile)?,
        flushes: reset::flushes(profile)?,
        down: command(&spec.down),
        reset_when: reader
            .pick(
                Flag::none(),
                spec.reset_when.as_ref(),
                defaults.reset_when,
                |t| value::reset_when(t),
            )?
            .value,
        up_timeout: time(&spec.up_timeout, defaults.up_timeout)?,
        reset_timeout: time(&spec.reset_timeout, defaults.reset_timeout)?,
        drained_when: drained_when(profile, spec, monitors)?,
        drain_timeout: time(&spec.drain_timeout, defaults.drain_timeout)?,
        canary_cycles: reader
            .pick(
                Flag::none(),
                spec.canary_cycles.as_ref(),
                defaults.canary_cycles,
                |n| value::canary_cycles(*n),
            )?
            .value,
    })
}

fn drained_when(
    profile: &Profile,
    spec: &TargetSpec,
    monitors: &[String],
) -> Result<Condition, ProfileError> {
    let mut condition = Condition::default();
    for text in spec.drained_when.iter().flatten() {
        let added = condition.add(text.as_ref(), monitors);
        added.map_err(|e| profile.source.error(Some(text.span()), e.to_string()))?;
    }
    Ok(condition)
}

fn target_kind(
    profile: &Profile,
    spec: &TargetSpec,
    flags: &FindFlags,
    reader: &Reader<'_>,
    engine: &dyn EngineFacts,
) -> Result<TargetKind, PlanError> {
    let is_demo = spec.demo.as_ref().is_some_and(|d| *d.as_ref());
    if let (Some(url), true) = (&spec.url, is_demo) {
        return Err(profile
            .source
            .error(
                Some(url.span()),
                "a target has either `url` or `demo = true`",
            )
            .into());
    }
    let url = reader.pick(
        Flag("--url", flags.url.clone()),
        spec.url.as_ref(),
        String::new(),
        |url| value::url(url).map(|_| url.clone()),
    )?;
    if !url.value.is_empty() {
        return Ok(TargetKind::External { url: url.value });
    }
    if let (Some(demo), true, Some((who, how))) = (&spec.demo, is_demo, engine.words().demo) {
        let what = format!("the built-in demo takes a free port, which {who} does not know");
        return Err(profile
            .source
            .error(Some(demo.span()), what)
            .with_help(format!(
                "start `breakpoint demo --listen 127.0.0.1:18080` and pass that address to {how}"
            ))
            .into());
    }
    if is_demo {
        return Ok(TargetKind::Demo);
    }
    if !engine.abilities().runs_scenarios {
        return Ok(TargetKind::OfTheEngine);
    }
    let span = profile.target.as_ref().map(Spanned::span);
    Err(profile
        .source
        .error(span, "the profile names no target")
        .with_help("add to [target]: url = \"http://127.0.0.1:8080\", or give --url")
        .into())
}
