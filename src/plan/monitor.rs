//! The monitors of a plan.

use std::collections::BTreeMap;
use std::path::PathBuf;

use toml::Spanned;

use super::connect::{self, ConnectKeys, ConnectPlan};
use super::{LogMatch, PlanError, Series, value};
use crate::measure::fields;
use crate::profile::{MonitorSpec, Profile, ProfileError, Source};
use crate::secret;
use crate::units;

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
    /// How the page or the server that it reads is connected to.
    pub connect: ConnectPlan,
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

impl MonitorSource {
    /// Whether it is read over HTTP.
    pub fn reads_pages(&self) -> bool {
        matches!(self, Self::Prometheus(..) | Self::PromQl(..))
    }

    /// The address that it asks, where it asks one.
    pub fn address(&self) -> Option<&str> {
        match self {
            Self::Redis(url) | Self::Prometheus(url, _) | Self::PromQl(url, _) => Some(url),
            Self::Docker(_)
            | Self::PidFile(_)
            | Self::DockerOrPidFile(..)
            | Self::Cgroup(_)
            | Self::Host => None,
        }
    }
}

/// The name of the monitor of the machine that this program runs on.
pub const HOST: &str = "host";

/// The monitor that is there without being asked for.
pub(super) fn host() -> MonitorPlan {
    MonitorPlan {
        name: HOST.to_owned(),
        source: MonitorSource::Host,
        memory_limit: None,
        log: None,
        log_match: LogMatch::default(),
        connect: ConnectPlan::default(),
    }
}

/// `of_target` is how the target is connected to: a monitor that says nothing of its own does the
/// same.
pub(super) fn resolve(
    profile: &Profile,
    of_target: &ConnectPlan,
) -> Result<Vec<MonitorPlan>, PlanError> {
    let mut plans = vec![host()];
    for spec in &profile.monitors {
        let name = name(&profile.source, spec)?;
        if plans.iter().any(|p| p.name == name) {
            let span = spec.as_ref().name.as_ref().map(Spanned::span);
            let message = if name == HOST {
                format!("`{HOST}` is the built-in monitor of this machine; choose another name")
            } else {
                format!("there are two monitors named `{name}`")
            };
            return Err(profile.source.error(span, message).into());
        }
        plans.extend(monitor(profile, spec, &name, of_target)?);
    }
    Ok(plans)
}

/// A plan for each source of one monitor; log and memory limit belong to the first.
fn monitor(
    profile: &Profile,
    spec: &Spanned<MonitorSpec>,
    name: &str,
    of_target: &ConnectPlan,
) -> Result<Vec<MonitorPlan>, PlanError> {
    let source = &profile.source;
    let monitor = spec.as_ref();
    let path = |p: &Spanned<String>| profile.dir.join(p.as_ref());
    let mut memory_limit = match &monitor.memory_limit {
        Some(limit) => Some(memory_limit(source, limit)?),
        None => None,
    };
    let mut log = monitor.log.as_ref().map(path);
    let log_match = log_match(source, monitor)?;
    let from = from(profile, spec, name)?;
    if ConnectKeys::from(monitor).any() && !from.iter().any(MonitorSource::reads_pages) {
        let message = format!("monitor `{name}` reads no page over HTTP");
        let help = "ca, cert, key, insecure, server-name and resolve are for prometheus and \
            prometheus-server";
        return Err(source
            .error(Some(spec.span()), message)
            .with_help(help)
            .into());
    }
    let connect = connect::own_or(monitor, profile, of_target)?;
    let from = from.into_iter();
    Ok(from
        .map(|from| MonitorPlan {
            name: name.to_owned(),
            memory_limit: memory_limit.take(),
            log: log.take(),
            log_match: log_match.clone(),
            connect: connect.clone(),
            source: from,
        })
        .collect())
}

/// The sources of a monitor: one that watches the service from outside, or what it says of itself,
/// or both.
fn from(
    profile: &Profile,
    spec: &Spanned<MonitorSpec>,
    name: &str,
) -> Result<Vec<MonitorSource>, ProfileError> {
    let source = &profile.source;
    let monitor = spec.as_ref();
    let path = |p: &Spanned<String>| profile.dir.join(p.as_ref());
    let text = |t: &Spanned<String>| t.as_ref().clone();
    let mut sources = Vec::new();
    match (&monitor.docker, &monitor.pid_file) {
        (Some(docker), Some(pid)) => {
            sources.push(MonitorSource::DockerOrPidFile(text(docker), path(pid)));
        }
        (Some(docker), None) => sources.push(MonitorSource::Docker(text(docker))),
        (None, Some(pid)) => sources.push(MonitorSource::PidFile(path(pid))),
        (None, None) => {}
    }
    if let Some(cgroup) = &monitor.cgroup {
        sources.push(MonitorSource::Cgroup(path(cgroup)));
    }
    if let Some(redis) = &monitor.redis {
        sources.push(MonitorSource::Redis(redis_url(source, redis)?));
    }
    let watched = sources.len();
    if let Some(url) = together(
        source,
        ("prometheus", &monitor.prometheus),
        ("metrics", &monitor.metrics),
    )? {
        if watched > 0 {
            distinct(source, url.1)?;
        }
        let metrics = fields(source, url.1, Series::parse)?;
        sources.push(MonitorSource::Prometheus(url.0, metrics));
    }
    if let Some(server) = together(
        source,
        ("prometheus-server", &monitor.prometheus_server),
        ("queries", &monitor.queries),
    )? {
        if watched > 0 {
            distinct(source, server.1)?;
        }
        let queries = fields(source, server.1, |text| Ok(text.to_owned()))?;
        sources.push(MonitorSource::PromQl(server.0, queries));
    }
    if sources.is_empty() {
        return Err(source
            .error(Some(spec.span()), format!("monitor `{name}` has no source"))
            .with_help(
                "add one of docker, pid-file, cgroup, redis, prometheus, prometheus-server",
            ));
    }
    if watched > 1 || sources.len() - watched > 1 {
        return Err(source
            .error(
                Some(spec.span()),
                format!("monitor `{name}` has several sources"),
            )
            .with_help(
                "docker and pid-file can be combined, and either of them, cgroup, or redis with \
                 prometheus or prometheus-server; use separate monitors for the others",
            ));
    }
    Ok(sources)
}

/// Fields of a page or of queries that the same monitor's process, container, group or Redis has
/// already.
fn distinct(source: &Source, table: &Table) -> Result<(), ProfileError> {
    let taken = (table.iter()).find(|(field, _)| fields::is_watched(field));
    let Some((field, text)) = taken else {
        return Ok(());
    };
    Err(source
        .error(
            Some(text.span()),
            format!("`{field}` is a field that this monitor's other source has"),
        )
        .with_help("give it another name here"))
}

/// A table of fields as it stands in a profile.
type Table = BTreeMap<String, Spanned<String>>;

/// An address and the table that says what to ask it for: neither is of use without the other.
fn together<'a>(
    source: &Source,
    (key, url): (&str, &Option<Spanned<String>>),
    (of, table): (&str, &'a Option<Spanned<Table>>),
) -> Result<Option<(String, &'a Table)>, ProfileError> {
    match (url, table) {
        (None, None) => Ok(None),
        (Some(url), Some(table)) if !table.as_ref().is_empty() => {
            let address = without_secrets(url.as_ref());
            value::url(&address).map_err(|why| source.error(Some(url.span()), why))?;
            Ok(Some((url.as_ref().clone(), table.as_ref())))
        }
        (Some(url), _) => Err(source
            .error(Some(url.span()), format!("`{key}` without `{of}`"))
            .with_help(format!(
                "add {of} = {{ FIELD = \"...\" }} to name its fields"
            ))),
        (None, Some(table)) => Err(source
            .error(Some(table.span()), format!("`{of}` without `{key}`"))
            .with_help(format!("add {key} = \"http://...\" to say where to read"))),
    }
}

/// An address as it could be with its secrets filled in, of which nothing is known yet.
fn without_secrets(address: &str) -> String {
    // A name, a port and a password can all be this.
    secret::fill(address, &|_| Some("1".to_owned())).unwrap_or_else(|_| address.to_owned())
}

/// The fields of a table, each with what it is read from.
fn fields<T>(
    source: &Source,
    table: &Table,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<(String, T)>, ProfileError> {
    let field = |(name, text): (&String, &Spanned<String>)| {
        let value = field_name(name).and_then(|()| read(text.as_ref()));
        let value = value.map_err(|why| source.error(Some(text.span()), why))?;
        Ok((name.clone(), value))
    };
    table.iter().map(field).collect()
}

/// Whether an objective can name a field, and it means nothing else already.
fn field_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || !name.chars().all(fits) {
        return Err(format!(
            "`{name}` is not a valid name of a field; use letters, digits, `-` and `_`"
        ));
    }
    if name == "scrape_s" || fields::is_counter(name) {
        return Err(format!(
            "`{name}` is the name of a field of another kind; choose another name"
        ));
    }
    Ok(())
}

fn log_match(source: &Source, monitor: &MonitorSpec) -> Result<LogMatch, ProfileError> {
    let Some(text) = &monitor.log_match else {
        return Ok(LogMatch::default());
    };
    if monitor.log.is_none() && monitor.docker.is_none() {
        return Err(source
            .error(Some(text.span()), "there is no log whose lines could match")
            .with_help("add log = \"service.log\"; a container's log is followed without asking"));
    }
    LogMatch::parse(text.as_ref()).map_err(|why| {
        source
            .error(
                Some(text.span()),
                format!("not a regular expression: {why}"),
            )
            .with_help(
                "write it in single quotes, so that TOML leaves backslashes alone: \
                '(?i)error|refused'",
            )
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
        let message = format!(
            "`{text}` is not a valid name of a monitor; use letters, digits, `-` \
            and `_`"
        );
        return Err(source.error(Some(name.span()), message));
    }
    Ok(text.clone())
}

fn redis_url(source: &Source, url: &Spanned<String>) -> Result<String, ProfileError> {
    let text = url.as_ref();
    let known = ["redis://", "redis+unix://", "unix://"];
    let help = "write it as redis://127.0.0.1:6379";
    if !known.iter().any(|scheme| text.starts_with(scheme)) {
        return Err(source
            .error(Some(url.span()), "not the address of a Redis server")
            .with_help(help));
    }
    value::redis_url(&without_secrets(text))
        .map_err(|why| source.error(Some(url.span()), why).with_help(help))?;
    Ok(text.clone())
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
