//! What bore on the generator in one window.

use serde::{Deserialize, Serialize};

/// What could keep the generator from sending on time, in one window. What is not known is `None`;
/// records of older versions know nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GeneratorHealth {
    /// CPU of the busiest load thread, in cores: at 1.0 it has none left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_cpu: Option<f64>,
    /// CPU of a generator that is another process, as a share of all the cores that it may use: at
    /// 1.0 it has none left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process_cpu: Option<f64>,
    /// 99th percentile of how late VUs and the threads' own ticks woke, seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub woke_late_p99_s: Option<f64>,
    /// 99th percentile of how long answers lay in the kernel before they were read, seconds. No
    /// latency holds it; what the VU sends next is late by as much.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_late_p99_s: Option<f64>,
    /// Requests that were sent.
    pub sends: u64,
    /// Those of them that the kernel did not take at once: the target, or the network, took them
    /// more slowly.
    pub sends_held_up: u64,
    /// Open model: arrivals that waited for a free VU at the window's end.
    #[serde(skip_serializing_if = "is_zero")]
    pub arrivals_waiting: u64,
    /// Workers of a distributed engine that told of the window; 0 where the engine is this process
    /// alone.
    #[serde(skip_serializing_if = "is_zero")]
    pub workers: u64,
    /// Workers that should have told of it and did not: they are dead, or were held up.
    #[serde(skip_serializing_if = "is_zero")]
    pub workers_lost: u64,
    /// TCP segments that the network namespace sent, retransmitted ones not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segments_out: Option<u64>,
    /// TCP segments that it sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retransmits: Option<u64>,
    /// Share of the time in which some task of this machine waited for a CPU, 0..1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_pressure: Option<f64>,
    /// Share of the machine's CPU time that its hypervisor gave to others, 0..1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_steal: Option<f64>,
    /// Share of the periods of its own CPU quota in which the generator was held back, 0..1; `None`
    /// without a quota.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_back: Option<f64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl GeneratorHealth {
    /// Whether nothing is known: an engine in virtual time, or a record of an older version.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}
