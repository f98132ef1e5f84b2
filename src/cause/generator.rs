//! Whose doing it was that the generator spoiled probes. A generator that others on its machine
//! kept waiting, at levels that held as well, says nothing about the service: that is a warning,
//! and no finding.

use super::{Case, ObservedProbe, cpu};
use crate::measure::{FailureKind, Second};
use crate::record::{CauseKind, LimitingResource, NO_FINDING, Sureness};

/// CPU of the busiest load thread, in cores, from which the generator itself may be what was late:
/// it had half of a core.
const AT_WORK: f64 = 0.475;
/// Share of the periods of a CPU quota in which the generator was held back that tells.
const HELD_BACK: f64 = 0.1;
/// Share of the machine's CPU that its hypervisor gave to others that tells.
const STOLEN: f64 = 0.25;
/// Share of this machine's CPUs that those take whom nobody watches, from which it is they who fill
/// it.
const BY_OTHERS: f64 = 0.5;

/// What a run's spoiled probes come to.
#[derive(Debug, Clone, PartialEq)]
pub enum Spoiled {
    /// A finding: the generator was the limit.
    Generator(LimitingResource),
    /// A warning: others were. How full the machine was, and what it is compared with.
    Others(String),
}

/// Whose doing a probe that says nothing is. `case` is that probe beside all others of its run,
/// `reason` why it says nothing.
pub fn spoiled(case: &Case<'_>, reason: &str) -> Spoiled {
    let generator = |sureness| {
        Spoiled::Generator(LimitingResource {
            kind: Some(CauseKind::Generator),
            resource: "the load generator".to_owned(),
            evidence: reason.to_owned(),
            sureness,
        })
    };
    let machine = cpu::Machine::of(case);
    if stolen(case) {
        return Spoiled::Others("the hypervisor stole its CPU".to_owned());
    }
    if its_own_doing(case) || !machine.is_filled() {
        return generator(Sureness::Certain);
    }
    let held: Vec<&ObservedProbe> = case.seen.iter().filter(|s| s.held()).collect();
    let full = |s: &&&ObservedProbe| cpu::Machine::of(&case.of_seen(s)).is_filled();
    let full = held.iter().filter(full).count();
    let told = machine.told();
    if held.is_empty() && machine.unwatched() >= BY_OTHERS {
        return Spoiled::Others(told);
    }
    if !held.is_empty() && 2 * full >= held.len() {
        return Spoiled::Others(format!("{told}, and was as saturated where the SLO held"));
    }
    // It filled up with the load, or so it seems; by whom, nobody watches.
    generator(Sureness::Possible)
}

/// Whether it worked, lacked something of its own, or has a CPU quota.
fn its_own_doing(case: &Case<'_>) -> bool {
    let hold = &case.measurement.hold;
    let lag = |s: &&Second| s.window.generator.lag_p99_s.unwrap_or(0.0);
    let latest = (hold.iter()).max_by(|a, b| lag(a).total_cmp(&lag(b)));
    let worked = latest.is_some_and(|s| {
        let health = &s.window.generator.health;
        health
            .thread_cpu
            .or(health.process_cpu)
            .is_some_and(|cpu| cpu >= AT_WORK)
    });
    let held_back = |s: &Second| s.window.generator.health.held_back.unwrap_or(0.0);
    let of_workers = |s: &Second| {
        let health = &s.window.generator.health;
        health.workers > 0 || health.workers_lost > 0
    };
    let lacked = |s: &Second| {
        let kinds = [FailureKind::NoDescriptors, FailureKind::NoPorts];
        (s.window.steps.iter()).any(|step| kinds.iter().any(|kind| step.failed.get(*kind) > 0))
    };
    worked
        || hold
            .iter()
            .any(|s| held_back(s) >= HELD_BACK || lacked(s) || of_workers(s))
}

fn stolen(case: &Case<'_>) -> bool {
    let hold = case.measurement.hold.iter();
    let steal = super::case::mean(hold.filter_map(|s| s.window.generator.health.cpu_steal));
    steal.is_some_and(|share| share >= STOLEN)
}

/// What a reader is told of probes that others spoiled: how many of how many, and how full the
/// machine was.
pub fn spoiled_by_others(count: usize, all: usize, how: &str) -> String {
    let plural = if all == 1 { "" } else { "s" };
    let say = if count == 1 { "s" } else { "" };
    format!(
        "{count} of {all} probe{plural} give{say} no finding: other processes kept the generator \
         waiting for a CPU ({how}). {NO_FINDING}, it was measured on a busy machine: run on a \
         quiet one, or allow more time (--budget)"
    )
}
