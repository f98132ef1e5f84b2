//! The fields of the monitors: one table for each source that has fields of its own. What a monitor
//! reads, what a plan lets conditions name, which fields only grow, and what docs/profile.md says
//! are all these.

/// A field of a monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonitorField {
    /// Its name in objectives and charts.
    pub name: &'static str,
    /// Whether it only grows: an objective on it judges its growth over the probe, not its value.
    pub grows: bool,
}

const fn value(name: &'static str) -> MonitorField {
    MonitorField { name, grows: false }
}

const fn counter(name: &'static str) -> MonitorField {
    MonitorField { name, grows: true }
}

/// Of a process by its id.
pub const PROCESS: &[MonitorField] = &[
    value("up"),
    value("memory"),
    value("rss"),
    value("cpu"),
    value("cpu_wait"),
    value("main_thread_cpu"),
    value("main_thread_wait"),
    value("busiest_thread_cpu"),
    value("processes"),
    value("threads"),
    counter("children_ended"),
    value("descriptors"),
    value("sockets"),
    counter("restarts"),
    counter("oom_kills"),
    counter("throttled_s"),
    value("throttled_share"),
    value("memory_peak"),
    value("memory_pressure"),
    value("cpu_pressure"),
    counter("listen_overflows"),
    counter("listen_drops"),
    counter("retransmits"),
];

/// Of a container, beside those of its process.
pub const CONTAINER: &[MonitorField] = &[value("exit_code"), value("healthy")];

/// Of a control group.
pub const CONTROL_GROUP: &[MonitorField] = &[
    value("up"),
    value("memory"),
    value("memory_peak"),
    value("memory_pressure"),
    value("cpu"),
    value("cpu_pressure"),
    counter("oom_kills"),
    counter("throttled_s"),
    value("throttled_share"),
];

/// Of a Redis server.
pub const REDIS: &[MonitorField] = &[
    value("up"),
    value("memory"),
    value("rss"),
    value("cpu"),
    value("clients"),
    value("blocked_clients"),
    value("pubsub_clients"),
    value("output_buffers"),
    value("output_buffer_max"),
    counter("output_buffer_kills"),
    value("ops_per_s"),
    value("latency_p99_s"),
    counter("slowlog"),
    counter("rejected_connections"),
    counter("evicted_keys"),
    counter("oom_errors"),
    counter("restarts"),
];

/// Of the machine that this program runs on. Where the kernel does not tell (no Linux), they are
/// gaps.
pub const HOST: &[MonitorField] = &[
    value("cpu"),
    value("cpu_pressure"),
    value("memory_available"),
    counter("swap_in"),
    counter("swap_out"),
    counter("listen_overflows"),
    counter("listen_drops"),
    counter("retransmits"),
    value("time_wait"),
];

/// What every page of metrics and every query tells of itself: a service that no longer gives its
/// metrics in time is in trouble.
pub const SCRAPE: &[MonitorField] = &[value("scrape_s"), counter("scrape_failed")];

const ALL: [&[MonitorField]; 6] = [PROCESS, CONTAINER, CONTROL_GROUP, REDIS, HOST, SCRAPE];

/// The names of a table.
pub fn names(table: &[MonitorField]) -> impl Iterator<Item = &str> {
    table.iter().map(|field| field.name)
}

/// Whether a field of this name only grows; the name means the same in every source.
pub fn is_counter(name: &str) -> bool {
    let grows = |table: &&[MonitorField]| table.iter().any(|f| f.grows && f.name == name);
    ALL.iter().any(grows)
}

/// Whether a process, a container, a control group or a Redis server may have a field of this name.
pub fn is_watched(name: &str) -> bool {
    let has = |table: &[MonitorField]| names(table).any(|n| n == name);
    [PROCESS, CONTAINER, CONTROL_GROUP, REDIS]
        .into_iter()
        .any(has)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use super::*;

    #[test]
    fn a_name_grows_in_every_source_or_in_none() {
        let mut known: HashMap<&str, bool> = HashMap::new();
        for field in ALL.into_iter().flatten() {
            let before = known.insert(field.name, field.grows);
            assert!(before.is_none_or(|b| b == field.grows), "{}", field.name);
        }
    }

    /// The names of a row of the document, and which of them are marked as growing.
    fn documented(source: &str) -> BTreeSet<(String, bool)> {
        let text = include_str!("../../docs/profile.md");
        let start = format!("| {source} | ");
        let row = text.lines().find_map(|line| line.strip_prefix(&start));
        let row = row.unwrap_or_else(|| panic!("no row of {source}"));
        let mut pieces = row.split('`').skip(1);
        let mut found = BTreeSet::new();
        while let (Some(name), Some(after)) = (pieces.next(), pieces.next()) {
            let is_field = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if name.chars().all(is_field) {
                found.insert((name.to_owned(), after.starts_with('+')));
            }
        }
        found
    }

    #[test]
    fn the_document_has_the_same_fields() {
        for (source, table) in [
            ("`pid-file`", PROCESS),
            ("`docker`", CONTAINER),
            ("`cgroup`", CONTROL_GROUP),
            ("`redis`", REDIS),
            ("`host`", HOST),
            ("`prometheus`, `prometheus-server`", SCRAPE),
        ] {
            let table = table.iter().map(|f| (f.name.to_owned(), f.grows));
            assert_eq!(documented(source), table.collect(), "{source}");
        }
    }
}
