//! What a run needs of its own machine, and whether that is there: descriptors, ports, memory.
//!
//! Arithmetic, and one thin reader of the machine's limits.

mod machine;
mod memory;
mod sources;
mod targets;

use std::net::IpAddr;
use std::path::Path;

use crate::measure::Level;
use crate::plan::{EngineFacts, LoadPlan, Plan, VuCost};
use crate::record::Environment;
use crate::scenario::{Http, Protocol};
use crate::units;

pub use sources::{SourceError, check_sources};
pub use targets::{Stranger, Unresolved, check_targets, resolve_allowed};

/// Descriptors of the generator itself: files, monitors, its runtime.
const OWN_DESCRIPTORS: u64 = 64;
/// Memory of the generator itself, and of a VU and each of its connections, the kernel's part
/// included. Measured (release build, 1 000 and 5 000 VUs; docs/engine.md has the figures): 12 MiB,
/// 6 KiB and 5 to 6 KiB; the rest is for what a run records and for data in flight.
const OWN_MEMORY: u64 = 64 << 20;
const VU_MEMORY: u64 = 8 << 10;
const CONNECTION_MEMORY: u64 = 12 << 10;
/// What a connection of HTTP/2, and a stream of it, take beside that.
const HTTP2_MEMORY: u64 = 40 << 10;
const HTTP2_STREAM_MEMORY: u64 = 2 << 10;
/// Linux' range of local ports where it cannot be read.
const DEFAULT_PORTS: u64 = 28_232;

/// What this machine allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostLimits {
    /// Descriptors that this process may open.
    pub descriptors: u64,
    /// How many it was allowed before the limit was raised.
    pub descriptors_before: u64,
    /// How far this process could raise that by itself.
    pub descriptors_hard: u64,
    /// Local ports for connections to one address, over all source addresses.
    pub ports: u64,
    /// Memory that may still be taken, bytes; `None` where unknown.
    pub memory: Option<u64>,
}

/// What a level needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Descriptors of the generator.
    pub descriptors: u64,
    /// Local ports.
    pub ports: u64,
    /// Memory of the generator, bytes, roughly.
    pub memory: u64,
}

/// What one VU needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerVu {
    sockets: u64,
    memory: u64,
    /// How many VUs have these sockets together.
    share: u64,
}

impl PerVu {
    /// A VU of an engine that does not run scenarios of the profile.
    pub fn of_engine(engine: &dyn EngineFacts) -> Self {
        match engine.vu_cost() {
            VuCost::Fixed {
                connections,
                memory,
            } => Self {
                sockets: connections,
                memory,
                share: 1,
            },
            VuCost::OfScenario | VuCost::Nothing => Self::with_connections(0),
        }
    }

    /// A VU of this program that holds up to so many connections at once.
    pub fn with_connections(connections: usize) -> Self {
        let connections = u64::try_from(connections).unwrap_or(u64::MAX);
        Self {
            sockets: connections,
            memory: VU_MEMORY.saturating_add(connections.saturating_mul(CONNECTION_MEMORY)),
            share: 1,
        }
    }

    /// The same over another HTTP: a connection of HTTP/2 has buffers and tables of its own, and
    /// several VUs may share it.
    #[must_use]
    pub fn speaking(self, protocol: Protocol) -> Self {
        if protocol.http == Http::One {
            return self;
        }
        let share = u64::from(protocol.streams_per_connection.max(1));
        let streams = self.sockets.saturating_mul(HTTP2_STREAM_MEMORY);
        let connections = self.sockets.saturating_mul(HTTP2_MEMORY) / share;
        Self {
            memory: self
                .memory
                .saturating_add(streams)
                .saturating_add(connections),
            share,
            ..self
        }
    }

    /// Sockets of so many VUs.
    fn sockets_of(self, vus: u64) -> u64 {
        vus.div_ceil(self.share.max(1)).saturating_mul(self.sockets)
    }
}

/// How the highest level fits this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// All of it.
    Fits,
    /// The default does not: the search goes up to this level only, and why.
    Capped {
        /// The highest level that fits.
        max: Level,
        /// What a reader must know.
        warning: String,
    },
}

/// The highest level that was asked for does not fit this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} VUs need {needed}, but {have}. {way_out}{}", .asked.0, self.or_less())]
pub struct TooHigh {
    /// The level asked for.
    pub asked: Level,
    /// What runs out, and how much of it would be needed: `2066 descriptors`.
    pub needed: String,
    /// How much there is: `2064 are allowed here`.
    pub have: String,
    /// What to do.
    pub way_out: String,
    /// The highest level that fits.
    pub highest: Level,
    /// How to ask for that.
    pub less: String,
}

impl Needs {
    /// What `level` needs.
    pub fn of(level: Level, per_vu: PerVu) -> Self {
        let vus = u64::from(level.get());
        let sockets = per_vu.sockets_of(vus);
        Self {
            descriptors: sockets.saturating_add(OWN_DESCRIPTORS),
            ports: sockets,
            memory: vus.saturating_mul(per_vu.memory).saturating_add(OWN_MEMORY),
        }
    }
}

impl Needs {
    /// With so many other VUs, which hold so many connections in all.
    #[must_use]
    pub fn and_beside(self, (vus, connections): (u64, u64)) -> Self {
        let memory = vus
            .saturating_mul(VU_MEMORY)
            .saturating_add(connections.saturating_mul(CONNECTION_MEMORY));
        Self {
            descriptors: self.descriptors.saturating_add(connections),
            ports: self.ports.saturating_add(connections),
            memory: self.memory.saturating_add(memory),
        }
    }
}

impl HostLimits {
    /// How far the limit of descriptors was raised, where that says more than the limit itself.
    pub fn raised(&self) -> String {
        if self.descriptors < self.descriptors_hard {
            format!(
                " (raising the limit to the hard limit of {} failed)",
                self.descriptors_hard
            )
        } else if self.descriptors_before < self.descriptors {
            format!(
                " (already raised from {} to the hard limit)",
                self.descriptors_before
            )
        } else {
            " (the hard limit)".to_owned()
        }
    }

    /// The limits of a load that comes from this many addresses; 0 is the kernel's choice, one.
    #[must_use]
    pub fn with_sources(self, addresses: usize) -> Self {
        let addresses = u64::try_from(addresses.max(1)).unwrap_or(u64::MAX);
        Self {
            ports: self.ports.saturating_mul(addresses),
            ..self
        }
    }

    /// What is left beside so many other VUs with so many connections in all.
    #[must_use]
    pub fn beside(self, vus: u64, connections: u64) -> Self {
        let taken = Needs::default().and_beside((vus, connections));
        Self {
            descriptors: self.descriptors.saturating_sub(taken.descriptors),
            ports: self.ports.saturating_sub(taken.ports),
            memory: self.memory.map(|free| free.saturating_sub(taken.memory)),
            ..self
        }
    }

    /// The highest level that fits.
    pub fn highest(&self, per_vu: PerVu) -> Level {
        let sockets = self
            .descriptors
            .saturating_sub(OWN_DESCRIPTORS)
            .min(self.ports);
        let by_memory = self.memory.map_or(u64::MAX, |free| {
            free.saturating_sub(OWN_MEMORY) / per_vu.memory.max(1)
        });
        let by_sockets = (sockets / per_vu.sockets.max(1)).saturating_mul(per_vu.share.max(1));
        let vus = by_sockets.min(by_memory);
        Level(u32::try_from(vus).unwrap_or(u32::MAX))
    }
}

/// Whether a plan fits this machine. A highest level that was asked for is refused when it does
/// not; a default is capped.
///
/// # Errors
/// When the highest level was asked for, or not even the lowest fits.
pub fn fit(plan: &Plan, per_vu: PerVu, host: &HostLimits) -> Result<Fit, TooHigh> {
    let (least, most, asked_for, what) = match plan.load {
        LoadPlan::Closed => (
            plan.search.min,
            plan.search.max,
            plan.max_is_explicit,
            "the highest level is",
        ),
        LoadPlan::Open(open) => (
            Level(1),
            Level(open.most_vus),
            open.most_is_explicit,
            "the number of concurrent VUs is at most",
        ),
    };
    let highest = host.highest(per_vu);
    if most <= highest {
        return Ok(Fit::Fits);
    }
    let error = too_high(most, per_vu, host);
    if highest < least {
        let less = format!("--min-vus {0} --max-vus {0}", highest.get());
        return Err(TooHigh { less, ..error });
    }
    if asked_for {
        return Err(error);
    }
    let closed = plan.load == LoadPlan::Closed;
    if let Some(required) = plan.required.filter(|r| closed && highest < *r) {
        // A gate above what fits could never pass.
        return Err(too_high(required, per_vu, host));
    }
    let warning = format!(
        "{what} {} instead of {}: {error}",
        highest.get(),
        most.get()
    );
    Ok(Fit::Capped {
        max: highest,
        warning,
    })
}

fn too_high(asked: Level, per_vu: PerVu, host: &HostLimits) -> TooHigh {
    let needs = Needs::of(asked, per_vu);
    let highest = host.highest(per_vu);
    let (needed, have, way_out) = if needs.descriptors > host.descriptors {
        let needed = needs.descriptors;
        (
            format!("{needed} descriptors"),
            format!(
                "only {} are allowed here{}",
                host.descriptors,
                host.raised()
            ),
            format!(
                "Raise the limit (ulimit -n {needed}, as root above the hard limit; in a \
                 container: docker run --ulimit nofile={needed})"
            ),
        )
    } else if let Some(free) = host.memory.filter(|free| needs.memory > *free) {
        (
            format!("about {} of memory", bytes(needs.memory)),
            format!("only {} is free here", bytes(free)),
            "Free some memory, raise the limit (in a container: docker run --memory), run the load \
             elsewhere"
                .to_owned(),
        )
    } else {
        (
            format!("{} local ports", needs.ports),
            format!("only {} are allowed here", host.ports),
            "Widen the range (sysctl -w net.ipv4.ip_local_port_range='1024 65535'), use more local \
             addresses of this machine (--local-addr ADDRESS, repeatable; on the loopback \
             127.0.0.2, 127.0.0.3, ...)"
                .to_owned(),
        )
    };
    TooHigh {
        asked,
        needed,
        have,
        way_out,
        highest,
        less: format!("--max-vus {}", highest.get()),
    }
}

impl TooHigh {
    /// What to ask for instead, where anything fits.
    fn or_less(&self) -> String {
        match self.highest {
            Level::ZERO => "; as is, not even one VU fits".to_owned(),
            _ => format!(", or request fewer: {}", self.less),
        }
    }
}

/// Raises the limit of open descriptors as far as it goes and reads what this machine allows.
pub fn read_host() -> HostLimits {
    let limits = rlimit::Resource::NOFILE.get();
    let (soft, hard) = limits.unwrap_or((1024, 1024));
    let raised = rlimit::increase_nofile_limit(rlimit::INFINITY);
    let ports = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    HostLimits {
        descriptors: raised.unwrap_or(soft),
        descriptors_before: soft,
        descriptors_hard: hard,
        ports: ports
            .ok()
            .and_then(|text| port_count(&text))
            .unwrap_or(DEFAULT_PORTS),
        memory: memory::available(),
    }
}

/// Where the load comes from, for the record.
pub fn environment(host: &HostLimits, sources: &[IpAddr]) -> Environment {
    let read = |file: &str| {
        let text = std::fs::read_to_string(Path::new("/proc/sys/kernel").join(file));
        text.map_or_else(|_| String::new(), |t| t.trim().to_owned())
    };
    let kernel = format!("{} {}", read("ostype"), read("osrelease"));
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    Environment {
        kernel: kernel.trim().to_owned(),
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        descriptor_limit: host.descriptors,
        local_addresses: sources.iter().map(ToString::to_string).collect(),
        platform: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        cpu_model: machine::cpu_model(),
        memory_bytes: machine::memory(),
    }
}

/// `32768 60999` as a number of ports.
fn port_count(range: &str) -> Option<u64> {
    let mut ends = range.split_ascii_whitespace();
    let low: u64 = ends.next()?.parse().ok()?;
    let high: u64 = ends.next()?.parse().ok()?;
    (high + 1).checked_sub(low).filter(|count| *count > 0)
}

/// An amount of memory in words.
pub fn bytes(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "only for showing")]
    units::format_bytes(bytes as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{FindFlags, K6Plan};

    const HOST: HostLimits = HostLimits {
        descriptors: 2064,
        descriptors_before: 1024,
        descriptors_hard: 2064,
        ports: 28_232,
        memory: Some(1 << 30),
    };

    fn k6() -> PerVu {
        PerVu::of_engine(&K6Plan::default())
    }

    fn two() -> PerVu {
        PerVu::with_connections(2)
    }

    fn plan(max: Option<u32>) -> Plan {
        let flags = FindFlags {
            url: Some("http://127.0.0.1:8080/".to_owned()),
            slo: vec!["p99<1s".to_owned()],
            max_vus: max,
            ..FindFlags::default()
        };
        Plan::resolve(None, &flags).unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn a_level_needs_its_connections_and_something_for_ourselves() {
        let needs = Needs::of(Level(1000), two());
        assert_eq!((needs.descriptors, needs.ports), (2064, 2000));
        assert_eq!(HOST.highest(two()), Level(1000));
        assert_eq!(HOST.highest(PerVu::with_connections(1)), Level(2000));
        let few_ports = HostLimits { ports: 500, ..HOST };
        assert_eq!(few_ports.highest(two()), Level(250));
    }

    #[test]
    fn vus_that_share_connections_of_http_2_need_fewer() {
        let one = PerVu::with_connections(1);
        let speaking = |http, streams_per_connection| {
            one.speaking(Protocol {
                http,
                streams_per_connection,
            })
        };
        assert_eq!(speaking(Http::One, 1), one);
        let needs = Needs::of(Level(1000), speaking(Http::Two, 8));
        assert_eq!(
            (needs.descriptors, needs.ports),
            (125 + OWN_DESCRIPTORS, 125)
        );
        assert_eq!(HOST.highest(speaking(Http::Two, 8)), Level(16_000));
        let memory = |each| Needs::of(Level(1000), each).memory;
        assert!(memory(speaking(Http::Two, 1)) > memory(speaking(Http::Two, 8)));
        assert!(memory(speaking(Http::Two, 8)) > memory(one));
    }

    #[test]
    fn a_maximum_that_was_asked_for_is_refused_with_the_way_out() {
        assert_eq!(fit(&plan(Some(1000)), two(), &HOST), Ok(Fit::Fits));
        let error = fit(&plan(Some(1001)), two(), &HOST)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("1001 VUs need 2066 descriptors, but only 2064 are allowed"),
            "{error}"
        );
        assert!(
            error.contains("already raised from 1024 to the hard limit"),
            "{error}"
        );
        for way_out in [
            "ulimit -n 2066",
            "docker run --ulimit nofile=2066",
            "--max-vus 1000",
        ] {
            assert!(error.contains(way_out), "{error}");
        }
        let few_ports = HostLimits { ports: 500, ..HOST };
        let error = fit(&plan(Some(300)), two(), &few_ports)
            .unwrap_err()
            .to_string();
        assert!(error.contains("600 local ports"), "{error}");
        assert!(error.contains("--local-addr ADDRESS"), "{error}");
        assert!(error.contains("--max-vus 250"), "{error}");
        let none = HostLimits {
            descriptors: 40,
            ..HOST
        };
        let error = fit(&plan(Some(300)), two(), &none).unwrap_err().to_string();
        assert!(!error.contains("--max-vus"), "{error}");
        assert!(error.contains("not even one VU fits"), "{error}");
        let mut at_least = plan(Some(300));
        at_least.search.min = Level(260);
        let error = fit(&at_least, two(), &few_ports).unwrap_err().to_string();
        assert!(error.contains("--min-vus 250 --max-vus 250"), "{error}");
        let from_two = few_ports.with_sources(2);
        assert_eq!(fit(&plan(Some(300)), two(), &from_two), Ok(Fit::Fits));
        assert_eq!(few_ports.with_sources(0), few_ports);
    }

    #[test]
    fn memory_is_reckoned_like_descriptors_and_ports_where_it_is_known() {
        let little = HostLimits {
            memory: Some(OWN_MEMORY + 100 * (VU_MEMORY + 2 * CONNECTION_MEMORY)),
            ..HOST
        };
        assert_eq!(fit(&plan(Some(100)), two(), &little), Ok(Fit::Fits));
        let error = fit(&plan(Some(900)), two(), &little)
            .unwrap_err()
            .to_string();
        assert!(error.contains("900 VUs need about "), "{error}");
        assert!(error.contains(" of memory, but "), "{error}");
        assert!(error.contains("--max-vus 100"), "{error}");
        let unknown = HostLimits {
            memory: None,
            ..HOST
        };
        assert_eq!(fit(&plan(Some(900)), two(), &unknown), Ok(Fit::Fits));
    }

    #[test]
    fn a_vu_of_k6_needs_more_memory_and_two_connections() {
        let needs = Needs::of(Level(2000), k6());
        assert_eq!((needs.descriptors, needs.ports), (4064, 4000));
        assert_eq!(needs.memory, OWN_MEMORY + 2000 * k6().memory);
        let little = HostLimits {
            memory: Some(OWN_MEMORY + 300 * k6().memory),
            ..HOST
        };
        assert_eq!(little.highest(k6()), Level(300));
    }

    #[test]
    fn a_default_maximum_is_capped_and_told() {
        match fit(&plan(None), two(), &HOST) {
            Ok(Fit::Capped { max, warning }) => {
                assert_eq!(max, Level(1000));
                assert!(warning.contains("ulimit -n"), "{warning}");
            }
            other => panic!("{other:?}"),
        }
        let none = HostLimits {
            descriptors: 64,
            ..HOST
        };
        assert!(
            fit(&plan(None), two(), &none).is_err(),
            "not even one VU fits"
        );
    }

    #[test]
    fn the_machines_limits_are_read() {
        assert_eq!(port_count("32768\t60999\n"), Some(28_232));
        assert_eq!(port_count("9 3"), None);
        let host = read_host();
        assert!(host.descriptors >= 64 && host.descriptors <= host.descriptors_hard);
        assert!(host.ports > 0);
        let environment = environment(&host, &[]);
        assert!(environment.cpus > 0 && environment.descriptor_limit == host.descriptors);
    }
}
