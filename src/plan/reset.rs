//! Resets that need no command: containers that are restarted, Redis servers that are emptied.

use std::collections::BTreeMap;

use toml::Spanned;

use super::value;
use crate::measure::Reading;
use crate::profile::{MonitorSpec, Profile, ProfileError, Source};

/// When the target is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetWhen {
    /// After a probe that broke, or a target that does not pass its canary cycle.
    Broken,
    /// After every probe.
    Always,
}

/// A container is bloated from so many times the memory on that it had before the load.
const BLOATED: f64 = 1.3;

/// A container that is restarted when the target is reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartPlan {
    /// The monitor that watches it.
    pub monitor: String,
    /// Its name.
    pub container: String,
    /// When.
    pub when: RestartWhen,
}

/// When a reset restarts a container; each case includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RestartWhen {
    /// When it does not run.
    Dead,
    /// When it has much more memory than before the load.
    Bloated,
    /// At every reset, and the target is then reset after every probe.
    Always,
}

/// A Redis server that is emptied when the target is reset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlushPlan {
    /// The monitor that watches it.
    pub monitor: String,
    /// Its address.
    pub url: String,
}

/// The memory of every monitor before the load came.
#[derive(Debug, Clone, Default)]
pub struct MemoryAtRest(BTreeMap<String, f64>);

impl MemoryAtRest {
    /// Takes readings; the first value of each monitor is kept.
    pub fn note(&mut self, readings: &[Reading]) {
        for (monitor, memory) in memory(readings) {
            if !self.0.contains_key(monitor) {
                self.0.insert(monitor.to_owned(), memory);
            }
        }
    }

    /// The monitors that read much more memory now.
    pub fn bloated(&self, readings: &[Reading]) -> Vec<String> {
        memory(readings)
            .filter(|(monitor, now)| self.0.get(*monitor).is_some_and(|was| *now > was * BLOATED))
            .map(|(monitor, _)| monitor.to_owned())
            .collect()
    }
}

/// Every monitor's memory, where it is known.
fn memory(readings: &[Reading]) -> impl Iterator<Item = (&str, f64)> {
    let memory = readings.iter().filter(|r| r.field == "memory");
    memory.filter_map(|r| Some((r.monitor.as_str(), r.value?)))
}

/// The containers that are restarted, in the profile's order.
pub(super) fn restarts(profile: &Profile) -> Result<Vec<RestartPlan>, ProfileError> {
    let mut plans = Vec::new();
    for spec in profile.monitors.iter().map(Spanned::as_ref) {
        let Some(when) = &spec.restart else { continue };
        let read = value::restart_when(when.as_ref());
        let read = read.map_err(|why| profile.source.error(Some(when.span()), why))?;
        let Some(container) = &spec.docker else {
            return Err(no_container(&profile.source, spec, when));
        };
        plans.push(RestartPlan {
            monitor: name(spec),
            container: container.as_ref().clone(),
            when: read,
        });
    }
    Ok(plans)
}

fn no_container(source: &Source, spec: &MonitorSpec, when: &Spanned<String>) -> ProfileError {
    let (message, help) = match &spec.pid_file {
        Some(_) => (
            "a process is restarted by the profile's reset command",
            "add to [target]: reset = \"./restart.sh\", or name the container here: docker = \
             \"NAME\"",
        ),
        None => (
            "there is no container to restart",
            "name it here: docker = \"NAME\"; anything else is restarted by the profile's reset \
             command",
        ),
    };
    source.error(Some(when.span()), message).with_help(help)
}

/// The Redis servers that are emptied, in the profile's order.
pub(super) fn flushes(profile: &Profile) -> Result<Vec<FlushPlan>, ProfileError> {
    let mut plans = Vec::new();
    for spec in profile.monitors.iter().map(Spanned::as_ref) {
        let Some(flush) = spec.flush.as_ref().filter(|f| *f.as_ref()) else {
            continue;
        };
        let Some(url) = &spec.redis else {
            return Err(profile
                .source
                .error(Some(flush.span()), "there is no Redis server to flush")
                .with_help("name it here: redis = \"redis://127.0.0.1:6379\""));
        };
        plans.push(FlushPlan {
            monitor: name(spec),
            url: url.as_ref().clone(),
        });
    }
    Ok(plans)
}

/// A monitor's name; that it has one was checked with the monitors.
fn name(spec: &MonitorSpec) -> String {
    spec.name
        .as_ref()
        .map_or_else(String::new, |name| name.as_ref().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory_of(monitor: &str, value: Option<f64>) -> Reading {
        Reading {
            monitor: monitor.to_owned(),
            field: "memory".to_owned(),
            value,
        }
    }

    #[test]
    fn bloated_is_what_has_much_more_memory_than_at_first() {
        let mut at_rest = MemoryAtRest::default();
        let first = [memory_of("a", Some(100.0)), memory_of("b", None)];
        at_rest.note(&first);
        // The one was known already; of the other this is the first.
        at_rest.note(&[memory_of("a", Some(900.0)), memory_of("b", Some(10.0))]);
        let bloated = |a, b| at_rest.bloated(&[memory_of("a", a), memory_of("b", b)]);
        assert_eq!(bloated(Some(130.0), Some(13.0)), Vec::<String>::new());
        assert_eq!(bloated(Some(131.0), Some(14.0)), ["a", "b"]);
        assert_eq!(bloated(None, Some(14.0)), ["b"], "a gap is no bloat");
        assert!(at_rest.bloated(&[memory_of("c", Some(1e9))]).is_empty());
    }
}
