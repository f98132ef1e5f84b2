//! The monitors of a plan.

use toml::Spanned;

use super::{LogMatch, MonitorPlan, MonitorSource};
use crate::profile::{MonitorSpec, Profile, ProfileError, Source};
use crate::units;

pub(super) fn resolve(profile: &Profile) -> Result<Vec<MonitorPlan>, ProfileError> {
    let mut plans: Vec<MonitorPlan> = Vec::new();
    for spec in &profile.monitors {
        let plan = monitor(profile, spec)?;
        if plans.iter().any(|p| p.name == plan.name) {
            let span = spec.as_ref().name.as_ref().map(Spanned::span);
            let message = format!("there are two monitors named `{}`", plan.name);
            return Err(profile.source.error(span, message));
        }
        plans.push(plan);
    }
    Ok(plans)
}

fn monitor(profile: &Profile, spec: &Spanned<MonitorSpec>) -> Result<MonitorPlan, ProfileError> {
    let source = &profile.source;
    let monitor = spec.as_ref();
    let name = name(source, spec)?;
    let path = |p: &Spanned<String>| profile.dir.join(p.as_ref());
    let text = |t: &Spanned<String>| t.as_ref().clone();
    let from = match (
        &monitor.docker,
        &monitor.pid_file,
        &monitor.cgroup,
        &monitor.redis,
    ) {
        (Some(docker), None, None, None) => MonitorSource::Docker(text(docker)),
        (None, Some(pid), None, None) => MonitorSource::PidFile(path(pid)),
        (Some(docker), Some(pid), None, None) => {
            MonitorSource::DockerOrPidFile(text(docker), path(pid))
        }
        (None, None, Some(cgroup), None) => MonitorSource::Cgroup(path(cgroup)),
        (None, None, None, Some(redis)) => MonitorSource::Redis(redis_url(source, redis)?),
        (None, None, None, None) => {
            return Err(source
                .error(Some(spec.span()), format!("monitor `{name}` has no source"))
                .with_help("add one of docker, pid-file, cgroup, redis"));
        }
        _ => {
            return Err(source
                .error(
                    Some(spec.span()),
                    format!("monitor `{name}` has several sources"),
                )
                .with_help("only docker and pid-file go together; make a monitor of each"));
        }
    };
    let memory_limit = match &monitor.memory_limit {
        Some(limit) => Some(memory_limit(source, limit)?),
        None => None,
    };
    Ok(MonitorPlan {
        name,
        memory_limit,
        log: monitor.log.as_ref().map(path),
        log_match: log_match(source, monitor)?,
        source: from,
    })
}

fn log_match(source: &Source, monitor: &MonitorSpec) -> Result<LogMatch, ProfileError> {
    let Some(text) = &monitor.log_match else {
        return Ok(LogMatch::default());
    };
    if monitor.log.is_none() && monitor.docker.is_none() {
        return Err(source
            .error(Some(text.span()), "there is no log to match lines of")
            .with_help("add log = \"service.log\"; a container's log is followed without asking"));
    }
    LogMatch::parse(text.as_ref()).map_err(|why| {
        source
            .error(
                Some(text.span()),
                format!("not a regular expression: {why}"),
            )
            .with_help("write it in single quotes, so that TOML leaves backslashes alone: '(?i)error|refused'")
    })
}

fn name(source: &Source, spec: &Spanned<MonitorSpec>) -> Result<String, ProfileError> {
    let Some(name) = &spec.as_ref().name else {
        return Err(source
            .error(Some(spec.span()), "a monitor needs a name")
            .with_help("add name = \"gateway\"; objectives then read gateway.oom_kills==0"));
    };
    let text = name.as_ref();
    let fits = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    if text.is_empty() || !text.chars().all(fits) {
        let message = format!("`{text}` cannot name a monitor; use letters, digits, `-` and `_`");
        return Err(source.error(Some(name.span()), message));
    }
    Ok(text.clone())
}

fn redis_url(source: &Source, url: &Spanned<String>) -> Result<String, ProfileError> {
    let text = url.as_ref();
    let known = ["redis://", "redis+unix://", "unix://"];
    if known.iter().any(|scheme| text.starts_with(scheme)) {
        return Ok(text.clone());
    }
    Err(source
        .error(Some(url.span()), "not the address of a Redis server")
        .with_help("write it as redis://127.0.0.1:6379"))
}

fn memory_limit(source: &Source, limit: &Spanned<String>) -> Result<u64, ProfileError> {
    match units::parse_bytes(limit.as_ref()) {
        Ok(0) => Err(source.error(Some(limit.span()), "a memory limit must be above zero")),
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(source
            .error(Some(limit.span()), error.to_string())
            .with_help("write it as 512MiB")),
    }
}
