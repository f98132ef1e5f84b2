//! What gave way first: rules over what a broken probe showed, each with its evidence. Pure.
//!
//! Every rule looks on its own and several may fit; [`causes`] ranks them. A rule calls itself *certain* only where its
//! evidence leaves no other reading (the kernel counted a kill, Redis counted a refused write), *likely* where a resource
//! was seen at its limit, and *possible* where the shape of the load fits that and other causes. docs/causes.md has a line
//! for each rule and how often it was right.

mod case;
mod cpu;
mod leak;
mod load;
mod memory;
mod network;
mod redis;

pub use case::{Baseline, Case};
pub use leak::leaks;

use crate::record::{CauseKind, LimitingResource, Sureness};

/// Levels nearer to each other than this factor cannot show whether more VUs bring more throughput.
pub(crate) const CLEARLY_MORE: f64 = 1.1;

/// Finds what fits a case; every rule is one.
type Rule = fn(&Case<'_>) -> Vec<Cause>;

/// From the root of a trouble to its consequences: of two that are equally sure, and of which neither was seen earlier, the
/// one that is further up explains the other.
const RULES: [Rule; 16] = [
    memory::leak,
    memory::killed,
    memory::heap_exhausted,
    redis::output_buffer,
    redis::refuses_writes,
    redis::refuses_clients,
    network::descriptors,
    memory::heap_thrash,
    redis::evicts,
    memory::used_up,
    load::sheds,
    cpu::limited,
    cpu::one_thread,
    network::accept_queue,
    cpu::machine,
    memory::ended,
];

/// One finding of a rule.
#[derive(Debug, Clone, PartialEq)]
struct Cause {
    kind: CauseKind,
    resource: String,
    evidence: String,
    sureness: Sureness,
    /// Seconds into the probe at which it was first seen, where it is an event.
    seen_s: Option<f64>,
}

impl Cause {
    fn new(kind: CauseKind, resource: impl Into<String>, evidence: impl Into<String>) -> Self {
        Self {
            kind,
            resource: resource.into(),
            evidence: evidence.into(),
            sureness: Sureness::Likely,
            seen_s: None,
        }
    }

    fn sure(mut self, sureness: Sureness) -> Self {
        self.sureness = sureness;
        self
    }

    fn at(mut self, seen_s: Option<f64>) -> Self {
        self.seen_s = seen_s;
        self
    }
}

/// What gave way in a broken probe, the surest first; of equally sure events the earliest first. Empty when no rule fits.
pub fn causes(case: &Case<'_>) -> Vec<LimitingResource> {
    let mut found: Vec<Cause> = RULES.iter().flat_map(|rule| rule(case)).collect();
    // Throughput that no longer grows is what all of these look like from outside: it says something new only without them.
    if found.iter().all(|c| c.sureness == Sureness::Possible) {
        found.extend(load::downstream(case));
    }
    found.sort_by(|a, b| {
        let when = |c: &Cause| c.seen_s.unwrap_or(f64::NEG_INFINITY);
        (b.sureness.cmp(&a.sureness)).then(if a.sureness == Sureness::Certain {
            when(a).total_cmp(&when(b))
        } else {
            std::cmp::Ordering::Equal
        })
    });
    let mut causes: Vec<LimitingResource> = Vec::new();
    for cause in found {
        // A kernel kill and a full memory are one trouble; so are the kill and the end of the process.
        let ended = cause.resource.strip_suffix(memory::PROCESS);
        let explains = |c: &LimitingResource, monitor: &str| {
            [" memory", " heap"]
                .iter()
                .any(|what| c.resource.strip_suffix(what) == Some(monitor))
        };
        let told = |c: &LimitingResource| {
            c.resource == cause.resource || ended.is_some_and(|monitor| explains(c, monitor))
        };
        if !causes.iter().any(told) {
            causes.push(LimitingResource {
                kind: Some(cause.kind),
                resource: cause.resource,
                evidence: cause.evidence,
                sureness: cause.sureness,
            });
        }
    }
    causes
}

#[cfg(test)]
mod tests;
