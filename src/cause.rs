//! What gave way first: rules over what a broken probe showed, each with its evidence. Pure.
//!
//! Every rule looks on its own and several may fit; [`causes`] ranks them. A rule calls itself
//! *certain* only where its evidence leaves no other reading (the kernel counted a kill, Redis
//! counted a refused write), *likely* where a resource was seen at its limit, and *possible* where
//! the shape of the load fits that and other causes. docs/causes.md has a line for each rule and
//! how often it was right.
//!
//! Whatever a rule finds must differ between the levels that held and the level that broke
//! (`differs.rs`): one gate for all.

mod case;
mod cpu;
mod differs;
mod gain;
mod generator;
mod leak;
mod load;
mod memory;
mod network;
mod observed_probe;
mod redis;
mod refusal;
mod words;

pub use case::{Baseline, Case};
pub use generator::{Spoiled, spoiled, spoiled_by_others};
pub use leak::leaks;
pub(crate) use network::{FAR_S, FEW_LOST, LOSSY};
pub use observed_probe::ObservedProbe;

use crate::record::{CauseKind, LimitingResource, RULED_OUT, Sureness};
use differs::Contrast;

/// Levels nearer to each other than this factor cannot show whether more VUs bring more throughput.
pub(crate) const CLEARLY_MORE: f64 = 1.1;

/// Finds what fits a case; every rule is one.
type Rule = fn(&Case<'_>) -> Vec<Cause>;

/// From the root of a trouble to its consequences: of two that are equally sure, and of which
/// neither was seen earlier, the one that is further up explains the other.
const RULES: [Rule; 20] = [
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
    refusal::sheds,
    refusal::refusals,
    cpu::limited,
    cpu::one_thread,
    network::accept_queue,
    network::loss,
    cpu::machine,
    memory::ended,
    memory::workers_ended,
    refusal::failures,
];

/// One finding of a rule.
#[derive(Debug, Clone, PartialEq)]
struct Cause {
    kind: CauseKind,
    resource: String,
    evidence: String,
    sureness: Sureness,
    /// How much of it there was, in a measure of the rule's own that grows with it (a share of a
    /// limit, events per second): what is as strong where the SLO held is no cause.
    strength: f64,
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
            strength: 1.0,
            seen_s: None,
        }
    }

    fn sure(mut self, sureness: Sureness) -> Self {
        self.sureness = sureness;
        self
    }

    fn strength(mut self, strength: f64) -> Self {
        self.strength = strength;
        self
    }

    fn at(mut self, seen_s: Option<f64>) -> Self {
        self.seen_s = seen_s;
        self
    }
}

/// What a broken probe showed, weighed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Explained {
    /// What gave way, the surest first; of equally sure events the earliest first. Empty when no
    /// rule fits.
    pub causes: Vec<LimitingResource>,
    /// What looks like a cause and read the same where the SLO held: it is none.
    pub ruled_out: Vec<LimitingResource>,
}

/// What gave way in a broken probe, and what did not.
pub fn explain(case: &Case<'_>) -> Explained {
    let all: Vec<Cause> = RULES.iter().flat_map(|rule| rule(case)).collect();
    let contrast = Contrast::of(case, &RULES);
    let (ruled_out, found): (Vec<Cause>, Vec<Cause>) =
        all.into_iter().partition(|c| contrast.read_the_same(c));
    // That a service fails is what every other cause looks like from outside.
    let (failing, mut found): (Vec<Cause>, Vec<Cause>) = found
        .into_iter()
        .partition(|c| c.kind == CauseKind::ServiceErrors);
    // Throughput that no longer grows is what the others look like from outside: it says something
    // new only without them. A full machine says less than a service whose queue grew, and more
    // than that something has a fixed rate.
    let weaker = |c: &Cause| c.sureness == Sureness::Possible || c.kind == CauseKind::Host;
    if found.iter().all(weaker)
        && let Some(flat) = load::downstream(case)
    {
        let unnamed = flat.resource == load::UNNAMED;
        let host =
            |c: &Cause| c.kind == CauseKind::Host && !(unnamed && c.sureness == Sureness::Likely);
        let before = found.iter().position(host);
        found.insert(before.unwrap_or(found.len()), flat);
    }
    add_words(case, &mut found);
    // A machine that is busy makes no answers.
    let says_less = |c: &Cause| c.kind == CauseKind::Host && c.sureness == Sureness::Possible;
    if found.iter().all(says_less) {
        found.splice(0..0, failing);
    }
    // Of a limit and of failures that both read the same one is told.
    let is_told_twice = |c: &Cause| {
        c.kind == CauseKind::ServiceErrors
            && ruled_out
                .iter()
                .any(|o| o.kind == CauseKind::AdmissionLimit)
    };
    let out = ruled_out.iter().filter(|c| !is_told_twice(c));
    Explained {
        causes: ranked(found),
        ruled_out: out.cloned().map(LimitingResource::from).collect(),
    }
}

/// What gave way in a broken probe, the surest first.
pub fn causes(case: &Case<'_>) -> Vec<LimitingResource> {
    explain(case).causes
}

/// What looked like a cause in broken probes and was none, as a reader is told of it.
pub fn ruled_out<'a>(explained: impl Iterator<Item = &'a Explained>) -> Vec<String> {
    let mut told: Vec<&LimitingResource> = Vec::new();
    for cause in explained.flat_map(|e| &e.ruled_out) {
        let is_told = |c: &&LimitingResource| c.kind == cause.kind && c.resource == cause.resource;
        if !told.iter().any(is_told) {
            told.push(cause);
        }
    }
    let tell = |cause: &&LimitingResource| {
        let (what, evidence) = (&cause.resource, &cause.evidence);
        if cause.kind == Some(CauseKind::Host) {
            return format!(
                "the {what} was as saturated where the SLO held as where it broke ({evidence}): \
                 {RULED_OUT}, but this was measured on a busy machine, and the target may carry \
                 more on a quiet one"
            );
        }
        format!("{what} read the same where the SLO held ({evidence}): {RULED_OUT}")
    };
    told.iter().map(tell).collect()
}

/// Adds what the logs say only here: to a finding that tells the shape of a limit and not what it
/// is, which is surer then; or as a finding of its own.
fn add_words(case: &Case<'_>, found: &mut Vec<Cause>) {
    // What is certain needs no quote.
    if found.iter().any(|c| c.sureness == Sureness::Certain) {
        return;
    }
    let Some(new) = words::new_words(case) else {
        return;
    };
    let has_no_name = |c: &&mut Cause| {
        c.kind == CauseKind::AdmissionLimit
            || c.kind == CauseKind::Downstream && c.resource == load::UNNAMED
    };
    match found.iter_mut().find(has_no_name) {
        Some(shape) => {
            shape.evidence = format!("{}; {}", shape.evidence, new.quoted());
            shape.sureness = shape.sureness.max(Sureness::Likely);
        }
        None => found.push(words::said(&new)),
    }
}

impl From<Cause> for LimitingResource {
    fn from(cause: Cause) -> Self {
        Self {
            kind: Some(cause.kind),
            resource: cause.resource,
            evidence: cause.evidence,
            sureness: cause.sureness,
        }
    }
}

/// The surest first, and each trouble once.
fn ranked(mut found: Vec<Cause>) -> Vec<LimitingResource> {
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
        // A kernel kill and a full memory are one trouble; so are the kill and the end of the
        // process.
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
            causes.push(cause.into());
        }
    }
    causes
}

#[cfg(test)]
mod tests;
