//! The profile: one TOML file that names target, scenario, SLO, search limits and monitors.
//!
//! This module knows the file's shape; what the values mean, and what is assumed where one is
//! missing, is decided in [`crate::plan`]. It reads no file: [`crate::locate`] does.

pub mod builtin;
mod error;
pub mod llm;
mod most;
mod size;
pub mod template;

pub use error::{Place, ProfileError, Source, nearest};
pub use size::Instances;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use crate::scenario::spec::ScenarioSpec;

/// A profile as it was written, with where each value stood.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The name that reports and messages use: the key `name`, else the file's name.
    pub name: String,
    /// The folder that relative paths and commands start from.
    pub dir: PathBuf,
    /// The text, to point into.
    pub source: Arc<Source>,
    /// `slo`.
    pub slo: Option<Vec<Spanned<String>>>,
    /// `[target]`.
    pub target: Option<Spanned<TargetSpec>>,
    /// `[scenario]`.
    pub scenario: Option<ScenarioSpec>,
    /// `[[population]]`.
    pub populations: Vec<Spanned<PopulationSpec>>,
    /// `[search]`.
    pub search: SearchSection,
    /// `[[monitor]]`.
    pub monitors: Vec<Spanned<MonitorSpec>>,
    /// `excerpts`.
    pub excerpts: Option<bool>,
    /// `[engine]`.
    pub engine: Option<Spanned<EngineSpec>>,
}

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    name: Option<Spanned<String>>,
    #[serde(default, deserialize_with = "most::objectives")]
    slo: Option<Vec<Spanned<String>>>,
    target: Option<Spanned<TargetSpec>>,
    scenario: Option<ScenarioSpec>,
    #[serde(default, rename = "population", deserialize_with = "most::populations")]
    populations: Vec<Spanned<PopulationSpec>>,
    #[serde(default)]
    search: SearchSection,
    #[serde(default, rename = "monitor", deserialize_with = "most::monitors")]
    monitors: Vec<Spanned<MonitorSpec>>,
    engine: Option<Spanned<EngineSpec>>,
    excerpts: Option<bool>,
}

/// `[engine]`: what makes the load.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct EngineSpec {
    /// `native` (this program), `script` (so too, with a k6 script), `locust` (a cluster that is
    /// there) or `k6` (k6 itself, with a script).
    pub kind: Option<Spanned<String>>,
    /// Address of the web page of the Locust master.
    pub url: Option<Spanned<String>>,
    /// Sent with every request to it.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The k6 script that says what VUs do.
    pub script: Option<Spanned<String>>,
    /// What the script's `__ENV` has.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The k6 program.
    pub binary: Option<Spanned<String>>,
    /// How k6 is brought to a level: `gate`, the only way that there is.
    pub mode: Option<Spanned<String>>,
    /// Which functions of the script the VUs run, with their weights.
    pub exec: Option<Spanned<BTreeMap<String, i64>>>,
    /// Further arguments of `k6 run`.
    pub arguments: Option<Vec<Spanned<String>>>,
    /// File of the certificates that are trusted, in place of the system's.
    pub ca: Option<Spanned<String>>,
    /// File of the client certificate.
    pub cert: Option<Spanned<String>>,
    /// File of its key.
    pub key: Option<Spanned<String>>,
    /// Whether any certificate is accepted.
    pub insecure: Option<Spanned<bool>>,
    /// The name that a certificate must be for.
    pub server_name: Option<Spanned<String>>,
    /// Where names lead: `HOST:PORT:ADDRESS`.
    pub resolve: Option<Vec<Spanned<String>>>,
}

/// `[target]`: where the load goes, and how to bring that service up, back to a fresh state, and
/// down.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TargetSpec {
    /// Base address; the scenario's paths are added to it.
    pub url: Option<Spanned<String>>,
    /// Use the demo target that is built in.
    pub demo: Option<Spanned<bool>>,
    /// The size it is brought up at, for `{{ size }}`.
    pub size: Option<Spanned<String>>,
    /// Command that brings the target up.
    pub up: Option<Spanned<String>>,
    /// Command that brings it back to a fresh state between two probes.
    pub reset: Option<Spanned<String>>,
    /// Command that takes it down.
    pub down: Option<Spanned<String>>,
    /// When to reset: `broken` (after a probe that broke) or `always`.
    pub reset_when: Option<Spanned<String>>,
    /// How long `up` may take.
    pub up_timeout: Option<Spanned<String>>,
    /// How long `reset` may take.
    pub reset_timeout: Option<Spanned<String>>,
    /// What monitors must read when the target has drained.
    pub drained_when: Option<Vec<Spanned<String>>>,
    /// How long the drain after a probe may take.
    pub drain_timeout: Option<Spanned<String>>,
    /// Cycles that must succeed before the next probe; 0 for none.
    pub canary_cycles: Option<Spanned<i64>>,
    /// Hosts that may be loaded although they are not this machine.
    pub allow: Option<Vec<String>>,
    /// Which addresses of a name are loaded: `all` or `first`.
    pub addresses: Option<Spanned<String>>,
    /// Which HTTP is spoken: `1.1`, `auto` or `2`.
    pub http: Option<Spanned<String>>,
    /// How many VUs of a thread share a connection of HTTP/2.
    pub streams_per_connection: Option<Spanned<i64>>,
    /// File of the certificates that are trusted, in place of the system's.
    pub ca: Option<Spanned<String>>,
    /// File of the client certificate.
    pub cert: Option<Spanned<String>>,
    /// File of its key.
    pub key: Option<Spanned<String>>,
    /// Whether any certificate is accepted.
    pub insecure: Option<Spanned<bool>>,
    /// The name that a certificate must be for.
    pub server_name: Option<Spanned<String>>,
    /// Where names lead: `HOST:PORT:ADDRESS`.
    pub resolve: Option<Vec<Spanned<String>>>,
}

/// One `[[population]]`: users of another kind, who load the target beside those of `[scenario]`,
/// or one kind of a mix.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PopulationSpec {
    /// The name in objectives (`errors(abusers)<50%`) and files.
    pub name: Option<Spanned<String>>,
    /// How many of them there are, each in a loop.
    pub vus: Option<Spanned<i64>>,
    /// How many of their cycles begin per second, however slow the target is.
    pub rate: Option<Spanned<i64>>,
    /// Their part of the level, beside that of the other kinds of a mix.
    pub share: Option<Spanned<i64>>,
    /// What each of them does.
    pub scenario: ScenarioSpec,
}

/// `[search]`: the limits of the search.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SearchSection {
    /// The population whose VUs are the levels; those of `[scenario]` without it.
    pub population: Option<Spanned<String>>,
    /// How many VUs of `[scenario]` there are while another population is searched.
    pub users: Option<Spanned<i64>>,
    /// Lowest level.
    pub min_vus: Option<Spanned<i64>>,
    /// Highest level.
    pub max_vus: Option<Spanned<i64>>,
    /// First level visited.
    pub start_vus: Option<Spanned<i64>>,
    /// How cycles arrive in the open model, where levels are rates; without it levels are VUs.
    pub rate: Option<Spanned<String>>,
    /// Lowest rate.
    pub min_rate: Option<Spanned<i64>>,
    /// Highest rate.
    pub max_rate: Option<Spanned<i64>>,
    /// First rate visited.
    pub start_rate: Option<Spanned<i64>>,
    /// VUs that the target must carry.
    pub require_vus: Option<Spanned<i64>>,
    /// The rate that it must carry.
    pub require_rate: Option<Spanned<i64>>,
    /// Half-width of the interval asked for.
    pub precision: Option<Spanned<String>>,
    /// Confidence of the interval.
    pub confidence: Option<Spanned<String>>,
    /// Time that the search may take.
    pub budget: Option<Spanned<String>>,
    /// Shortest hold near the breakpoint.
    pub hold_min: Option<Spanned<String>>,
    /// Longest hold.
    pub hold_max: Option<Spanned<String>>,
    /// Longest settle.
    pub settle_max: Option<Spanned<String>>,
    /// How long the first level is held before the search begins.
    pub warm_up: Option<Spanned<String>>,
    /// Whether levels below the breakpoint are held after the search.
    pub reference_holds: Option<bool>,
    /// VUs started or stopped per second.
    pub pace: Option<Spanned<f64>>,
    /// Addresses of this machine that the load comes from.
    pub local_addr: Option<Vec<Spanned<String>>>,
    /// Seed of every random draw.
    pub seed: Option<Spanned<i64>>,
    /// The run ends when this file is there.
    pub stop_file: Option<String>,
    /// The run ends when monitors read any of this.
    pub abort_if: Option<Vec<Spanned<String>>>,
    /// The longest time of a whole run.
    pub max_time: Option<Spanned<String>>,
}

/// One `[[monitor]]`: a name and where its readings come from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MonitorSpec {
    /// The name in objectives (`gateway.oom_kills==0`) and charts.
    pub name: Option<Spanned<String>>,
    /// How many of it there are: a number, or `{{ size }}`.
    pub instances: Option<Spanned<Instances>>,
    /// Name of a container.
    pub docker: Option<Spanned<String>>,
    /// File that holds a process id.
    pub pid_file: Option<Spanned<String>>,
    /// Folder of a control group.
    pub cgroup: Option<Spanned<String>>,
    /// Address of a Redis server.
    pub redis: Option<Spanned<String>>,
    /// A log file to follow.
    pub log: Option<Spanned<String>>,
    /// Which lines of the log matter, as a regular expression.
    pub log_match: Option<Spanned<String>>,
    /// Address of a page of metrics in Prometheus' text format.
    pub prometheus: Option<Spanned<String>>,
    /// Which of its metrics become which fields.
    pub metrics: Option<Spanned<BTreeMap<String, Spanned<String>>>>,
    /// Address of a Prometheus server.
    pub prometheus_server: Option<Spanned<String>>,
    /// Which queries to it become which fields.
    pub queries: Option<Spanned<BTreeMap<String, Spanned<String>>>>,
    /// Memory limit to chart when none can be read.
    pub memory_limit: Option<Spanned<String>>,
    /// When a reset restarts the container: `dead`, `bloated` or `always`.
    pub restart: Option<Spanned<String>>,
    /// Whether a reset empties the Redis server.
    pub flush: Option<Spanned<bool>>,
    /// File of the certificates that are trusted, in place of the system's.
    pub ca: Option<Spanned<String>>,
    /// File of the client certificate.
    pub cert: Option<Spanned<String>>,
    /// File of its key.
    pub key: Option<Spanned<String>>,
    /// Whether any certificate is accepted.
    pub insecure: Option<Spanned<bool>>,
    /// The name that a certificate must be for.
    pub server_name: Option<Spanned<String>>,
    /// Where names lead: `HOST:PORT:ADDRESS`.
    pub resolve: Option<Vec<Spanned<String>>>,
}

impl Profile {
    /// Reads a profile from its text. `file` is what messages call it; relative paths start from
    /// `dir`.
    ///
    /// # Errors
    /// When it is not TOML, or has an unknown key or a value of a wrong type.
    pub fn parse(text: &str, file: &str, dir: &Path) -> Result<Self, ProfileError> {
        let source = Arc::new(Source {
            file: file.to_owned(),
            text: text.to_owned(),
        });
        let parsed: File = toml::from_str(text).map_err(|e| source.toml_error(&e))?;
        let name = match parsed.name {
            Some(name) => source.checked_name(name)?,
            None => name_of(file),
        };
        let profile = Self {
            name,
            dir: dir.to_owned(),
            source,
            slo: parsed.slo,
            target: parsed.target,
            scenario: parsed.scenario,
            populations: parsed.populations,
            search: parsed.search,
            monitors: parsed.monitors,
            engine: parsed.engine,
            excerpts: parsed.excerpts,
        };
        most::check(&profile)?;
        Ok(profile)
    }
}

impl Source {
    /// A profile's name becomes a folder's name under `reports/`.
    fn checked_name(&self, name: Spanned<String>) -> Result<String, ProfileError> {
        let fits = |c: char| c.is_alphanumeric() || "-_.".contains(c);
        let text = name.as_ref();
        if text.is_empty() || text.starts_with('.') || !text.chars().all(fits) {
            return Err(self
                .error(
                    Some(name.span()),
                    format!("`{text}` is not a valid name for a folder of reports"),
                )
                .with_help("use letters, digits, `-`, `_` and `.` (not as the first)"));
        }
        Ok(name.into_inner())
    }
}

/// The file's name without folder and `.toml`.
fn name_of(file: &str) -> String {
    Path::new(file).file_stem().map_or_else(
        || "profile".to_owned(),
        |stem| stem.to_string_lossy().into_owned(),
    )
}

#[cfg(test)]
mod tests;
