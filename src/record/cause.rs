//! What gave way first, as a record says it.

use serde::{Deserialize, Serialize};

/// What gave way first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LimitingResource {
    /// Which rule speaks; records of older versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<CauseKind>,
    /// The resource in short: `gateway memory`.
    pub resource: String,
    /// What was seen: `511 of 512 MiB, OOM-killed once`.
    pub evidence: String,
    /// How sure the rule is.
    pub sureness: Sureness,
}

/// What can give way; one for each rule of [`crate::cause`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// The kernel killed a process at its memory limit.
    MemoryKill,
    /// Memory at its limit, the process alive.
    MemoryLimit,
    /// A runtime ended for want of heap.
    HeapLimit,
    /// A runtime collects garbage without rest below its heap's limit.
    HeapThrash,
    /// Memory that time fills, not load.
    Leak,
    /// Redis refused writes at `maxmemory`.
    RedisMemory,
    /// Redis gave up keys at `maxmemory`.
    RedisEvictions,
    /// Redis refused clients at `maxclients`.
    RedisClients,
    /// Redis closed a subscriber that read too slowly.
    RedisOutputBuffer,
    /// A process had no descriptor left.
    Descriptors,
    /// The kernel turned new connections away: nobody accepted those before.
    AcceptQueue,
    /// The network on the way to the target lost what was sent.
    Network,
    /// An event loop or another single thread had no time left.
    SingleThread,
    /// A CPU quota was used up.
    CpuLimit,
    /// The machine's CPUs were used up by all together.
    Host,
    /// A service behind answers at a fixed rate.
    Downstream,
    /// The target refuses by design.
    AdmissionLimit,
    /// The service answered with errors, and nothing says why.
    ServiceErrors,
    /// The load generator was the limit.
    Generator,
    /// A process ended and nothing says why.
    ProcessEnded,
    /// A log said something only where the SLO broke, and no other rule says more.
    Log,
}

impl CauseKind {
    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::MemoryKill => "memory_kill",
            Self::MemoryLimit => "memory_limit",
            Self::HeapLimit => "heap_limit",
            Self::HeapThrash => "heap_thrash",
            Self::Leak => "leak",
            Self::RedisMemory => "redis_memory",
            Self::RedisEvictions => "redis_evictions",
            Self::RedisClients => "redis_clients",
            Self::RedisOutputBuffer => "redis_output_buffer",
            Self::Descriptors => "descriptors",
            Self::AcceptQueue => "accept_queue",
            Self::Network => "network",
            Self::SingleThread => "single_thread",
            Self::CpuLimit => "cpu_limit",
            Self::Host => "host",
            Self::Downstream => "downstream",
            Self::AdmissionLimit => "admission_limit",
            Self::ServiceErrors => "service_errors",
            Self::Generator => "generator",
            Self::ProcessEnded => "process_ended",
            Self::Log => "log",
        }
    }
}

/// What a warning says that rules a cause out, which is how a report knows one.
pub const RULED_OUT: &str = "this is not the cause";

/// What a warning says of probes that others on the machine spoiled.
pub const NO_FINDING: &str = "This says nothing about the target";

/// What records of older versions say in place of [`RULED_OUT`].
pub const RULED_OUT_BEFORE: &str = "it is not what broke it";

/// What records of older versions say in place of [`NO_FINDING`].
pub const NO_FINDING_BEFORE: &str = "That is no finding about the target";

/// How sure a cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sureness {
    /// The evidence fits, others fit too.
    Possible,
    /// The evidence fits better than any other.
    Likely,
    /// The evidence leaves no other reading (a kernel kill).
    Certain,
}

impl Sureness {
    /// The word in files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Possible => "possible",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}
