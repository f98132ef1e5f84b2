//! Whether the generator, and not the target, made a probe what it is. docs/engine.md says why the
//! limits are these.

use std::fmt::Write as _;

use crate::cause::{FAR_S, FEW_LOST, LOSSY};
use crate::measure::{GeneratorHealth, Measurement, Second};
use crate::record::SecondRecord;
use crate::slo::{Judgement, Verdict};
use crate::units::format_seconds;

/// Share of the latency limit that the generator's own delay may reach.
const LAG_SHARE: f64 = 0.1;
/// A delay that timers and schedulers show on an idle machine too, seconds.
const TIMER_LAG_S: f64 = 0.005;
/// CPU of a load thread, in cores, from which it has none left.
const THREAD_FULL: f64 = 0.95;
/// CPU of a worker of a distributed engine, in cores of its busiest thread, beyond which it has too
/// little left.
const WORKER_FULL: f64 = 0.9;
/// Share of all cores beyond which a generator that is another process has too few left.
const PROCESS_FULL: f64 = 0.9;
/// Delay of a full thread as a share of a cycle: by so much fewer requests are sent than were asked
/// for.
const LOST_SHARE: f64 = 0.01;
/// Delay below which a full thread still sends on time, seconds.
const FULL_LAG_S: f64 = 0.010;
/// Share of a hold's seconds in which the generator may be late: a pause of the machine is no lack
/// of it.
const LATE_SECONDS: f64 = 0.1;
/// Share of the machine's CPU that its hypervisor may give to others before a probe says nothing.
const GROSS_STEAL: f64 = 0.25;

/// Means over a hold from which a reader is told.
const TOLD_STEAL: f64 = 0.05;
const TOLD_PRESSURE: f64 = 0.75;
const TOLD_HELD_BACK: f64 = 0.1;
const TOLD_RETRANSMITS: f64 = 0.01;
const TOLD_HELD_UP: f64 = 0.05;
/// Fewer retransmitted segments, or sends that were held up, than this are chance.
const FEW: u64 = 20;

/// Why a probe says nothing about the target, if so. `limit_s` is the tightest latency limit,
/// `cycle` the cycle's step.
pub(super) fn fault(
    m: &Measurement,
    cycle: usize,
    limit_s: Option<f64>,
    judgement: &Judgement,
) -> Option<String> {
    shortage(m)
        .or_else(|| lost(m))
        .or_else(|| saturated(m))
        .or_else(|| exhausted(m))
        .or_else(|| late(m, limit_s.unwrap_or(1.0), judgement))
        .or_else(|| full(m, cycle, judgement))
        .or_else(|| stolen(m))
}

/// A worker of a distributed engine was not there: its users were not, or nobody saw what they did.
fn lost(m: &Measurement) -> Option<String> {
    let seconds = m.hold.iter().map(|s| &s.window.generator.health);
    let lost: Vec<&GeneratorHealth> = seconds.filter(|s| s.workers_lost > 0).collect();
    let worst = lost.iter().max_by_key(|s| s.workers_lost)?;
    let (most, all) = (worst.workers_lost, worst.workers_lost + worst.workers);
    Some(format!(
        "{most} of {all} workers did not report {} of {} seconds: they are dead or stalled, and \
         the load was not as requested",
        lost.len(),
        m.hold.len()
    ))
}

/// A worker of a distributed engine had no CPU left. How late that makes what it measures is not
/// known, so a breach does not count either.
fn saturated(m: &Measurement) -> Option<String> {
    let cpu = |s: &&Second| s.window.generator.health.thread_cpu.unwrap_or(0.0);
    let is_full = |s: &&Second| s.window.generator.health.workers > 0 && cpu(s) > WORKER_FULL;
    let full: Vec<&Second> = m.hold.iter().filter(is_full).collect();
    let worst = full.iter().map(cpu).fold(0.0, f64::max);
    too_many(full.len(), m.hold.len()).then(|| {
        format!(
            "the busiest worker used {:.0} % of a core, more than {:.0} % in {} of {} seconds: \
             start more workers",
            worst * 100.0,
            WORKER_FULL * 100.0,
            full.len(),
            m.hold.len()
        )
    })
}

/// A generator that is another process had no CPU left; the same holds for it.
fn exhausted(m: &Measurement) -> Option<String> {
    let share = |s: &&Second| s.window.generator.health.process_cpu.unwrap_or(0.0);
    let full: Vec<f64> = m.hold.iter().map(|s| share(&s)).collect();
    let worst = full.iter().copied().fold(0.0, f64::max);
    let full = full.iter().filter(|share| **share > PROCESS_FULL).count();
    too_many(full, m.hold.len()).then(|| {
        format!(
            "the load generator used {:.0} % of the cores available to it, more than {:.0} % in \
             {full} of {} seconds: give it more cores, or use a lighter script",
            worst * 100.0,
            PROCESS_FULL * 100.0,
            m.hold.len()
        )
    })
}

fn shortage(m: &Measurement) -> Option<String> {
    use crate::measure::FailureKind::{NoDescriptors, NoPorts};
    let count = |kind| -> u64 {
        let steps = m.hold.iter().flat_map(|s| &s.window.steps);
        steps.map(|s| s.failed.get(kind)).sum()
    };
    let (descriptors, ports) = (count(NoDescriptors), count(NoPorts));
    let (what, n, way_out) = match (descriptors, ports) {
        (0, 0) => return None,
        (0, n) => (
            "local ports",
            n,
            "add local addresses (--local-addr) or widen the port range",
        ),
        (n, 0) => ("descriptors", n, "raise the limit (ulimit -n)"),
        (n, m) => (
            "descriptors and local ports",
            n + m,
            "raise the limits (ulimit -n, --local-addr)",
        ),
    };
    Some(format!(
        "the generator ran out of {what} ({n} times): {way_out}"
    ))
}

/// Its own delay is a share of the limit that latencies could not be told from.
fn late(m: &Measurement, limit_s: f64, judgement: &Judgement) -> Option<String> {
    let limit = (LAG_SHARE * limit_s).max(TIMER_LAG_S);
    let lag = |s: &&Second| s.window.generator.lag_p99_s.unwrap_or(0.0);
    let late: Vec<&Second> = m.hold.iter().filter(|s| lag(s) > limit).collect();
    let worst = m.hold.iter().map(|s| lag(&s)).fold(0.0, f64::max);
    if !too_many(late.len(), m.hold.len()) || breach_beyond(judgement, worst) {
        return None;
    }
    let above = |of: fn(&GeneratorHealth) -> Option<f64>| {
        worst_of(&late, of).is_some_and(|worst| worst > limit)
    };
    let what = match (above(|s| s.woke_late_p99_s), above(|s| s.read_late_p99_s)) {
        (true, true) => "requests were sent and answers read",
        (true, false) => "requests were sent",
        (false, true) => "answers were read",
        (false, false) => "it was",
    };
    Some(format!(
        "{}: {what} more than {} late in {} of {} seconds (by {} at worst){}",
        who(&late),
        format_seconds(limit),
        late.len(),
        m.hold.len(),
        format_seconds(worst),
        circumstances(&late)
    ))
}

/// Whether it used its CPU up itself, or had to wait for others: the way out is another one.
fn who(late: &[&Second]) -> &'static str {
    match worst_of(late, |s| s.thread_cpu.or(s.process_cpu)) {
        _ if worst_of(late, |s| s.held_back).is_some_and(|share| share >= TOLD_HELD_BACK) => {
            "the generator was throttled by its own CPU quota"
        }
        Some(cores) if cores < THREAD_FULL / 2.0 => {
            "other processes kept the generator waiting for a CPU"
        }
        _ => "the generator ran out of CPU",
    }
}

/// A thread without CPU left sends later than asked, also where a generous SLO hides it: the level
/// is not that asked for.
fn full(m: &Measurement, cycle: usize, judgement: &Judgement) -> Option<String> {
    let limit = FULL_LAG_S.max(LOST_SHARE * cycle_s(m, cycle)?);
    let lag = |s: &&Second| s.window.generator.lag_p99_s.unwrap_or(0.0);
    let is_full = |s: &&Second| {
        let cpu = s.window.generator.health.thread_cpu;
        cpu.is_some_and(|cores| cores >= THREAD_FULL) && lag(s) > limit
    };
    let full: Vec<&Second> = m.hold.iter().filter(is_full).collect();
    let worst = full.iter().map(lag).fold(0.0, f64::max);
    if !too_many(full.len(), m.hold.len()) || breach_beyond(judgement, worst) {
        return None;
    }
    Some(format!(
        "the generator ran out of CPU: a load thread was saturated and more than {} late in {} of \
         {} seconds, so it sent fewer requests than required{}",
        format_seconds(limit),
        full.len(),
        m.hold.len(),
        circumstances(&full)
    ))
}

/// The machine was another one than the plan meant.
fn stolen(m: &Measurement) -> Option<String> {
    let share = mean(m.hold.iter().map(|s| s.window.generator.health.cpu_steal))?;
    (share >= GROSS_STEAL).then(|| {
        format!(
            "the hypervisor stole {:.0} % of this machine's CPU: run on a machine with dedicated \
             CPUs",
            share * 100.0
        )
    })
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a hold")]
fn too_many(bad: usize, all: usize) -> bool {
    bad as f64 > LATE_SECONDS * all as f64
}

/// Mean time of a cycle, by Little's law; `None` where none completed.
fn cycle_s(m: &Measurement, cycle: usize) -> Option<f64> {
    let cycles = m.step_total(cycle).completed();
    let vu_seconds = |s: &Second| f64::from(s.window.vus) * s.window.span.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a count of cycles")]
    (cycles > 0).then(|| m.hold.iter().map(vu_seconds).sum::<f64>() / cycles as f64)
}

/// Whether something broke that the generator's own delay, which can only lengthen latencies and
/// lower the load, does not explain.
fn breach_beyond(judgement: &Judgement, lag_s: f64) -> bool {
    judgement.outcomes.iter().any(|outcome| {
        let record = &outcome.record;
        let excess = record.observed.map(|value| value - record.bound);
        record.verdict == Verdict::Broke && excess.is_none_or(|excess| excess > lag_s)
    })
}

/// What a reader needs to know where the CPU went.
fn circumstances(seconds: &[&Second]) -> String {
    let mut out = String::new();
    for (what, share) in [
        (
            "of a core used by the busiest load thread",
            worst_of(seconds, |s| s.thread_cpu),
        ),
        (
            "of the available cores used by the load generator",
            worst_of(seconds, |s| s.process_cpu),
        ),
        (
            "of the time, tasks on this machine waited for a CPU",
            worst_of(seconds, |s| s.cpu_pressure),
        ),
        (
            "of the CPU stolen by the hypervisor",
            worst_of(seconds, |s| s.cpu_steal).filter(|share| *share >= TOLD_STEAL),
        ),
        (
            "of its CPU quota periods throttled",
            worst_of(seconds, |s| s.held_back).filter(|share| *share >= TOLD_HELD_BACK),
        ),
    ] {
        if let Some(share) = share {
            // Writing to a string cannot fail.
            let _ = write!(out, ", {:.0} % {what}", share * 100.0);
        }
    }
    let waiting = seconds
        .iter()
        .map(|s| s.window.generator.health.arrivals_waiting);
    if let Some(most) = waiting.max().filter(|n| *n > 0) {
        // Writing to a string cannot fail.
        let _ = write!(out, ", {most} arrivals without a free VU: raise --max-vus");
    }
    out
}

fn worst_of(seconds: &[&Second], of: impl Fn(&GeneratorHealth) -> Option<f64>) -> Option<f64> {
    let values = seconds.iter().map(|s| &s.window.generator.health);
    values.filter_map(of).reduce(f64::max)
}

fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let known: Vec<f64> = values.flatten().collect();
    #[expect(clippy::cast_precision_loss, reason = "seconds of a hold")]
    (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
}

/// What the network does to the latencies, where the target is not on this machine; `round_trip_s`
/// is that of the way there.
pub(super) fn network(parts: &[Vec<GeneratorHealth>], round_trip_s: Option<f64>) -> Option<String> {
    let round_trip_s = round_trip_s.filter(|s| *s >= FAR_S)?;
    let all: Vec<GeneratorHealth> = parts.concat();
    let lost = resent(&all, FEW_LOST).filter(|share| *share >= LOSSY)?;
    Some(format!(
        "the network to the target drops packets: {:.2} % of our TCP segments were retransmitted \
         (round trip {}), each adding 200 ms or more to a latency; a high percentile may break \
         because of the network, not the service",
        lost * 100.0,
        format_seconds(round_trip_s)
    ))
}

/// The share of segments that were sent again; `None` where they were fewer than this.
fn resent(strains: &[GeneratorHealth], few: u64) -> Option<f64> {
    let count = |of: fn(&GeneratorHealth) -> Option<u64>| strains.iter().filter_map(of).sum();
    let again = count(|s| s.retransmits);
    (again >= few).then(|| part(again, count(|s| s.segments_out)))
}

/// What bore on the generator without making a part of the run invalid: one line for each kind. A
/// part is a probe's hold or a stage, and `name` says which.
pub(super) fn warnings(parts: &[Vec<GeneratorHealth>], name: &str) -> Vec<String> {
    type Of = fn(&[GeneratorHealth]) -> Option<f64>;
    let kinds: [(Of, f64, &str); 4] = [
        (
            |s| mean(s.iter().map(|s| s.cpu_pressure)),
            TOLD_PRESSURE,
            "of the time, tasks on this machine waited for a CPU, which slows everything on it, \
             the target included",
        ),
        (
            |s| mean(s.iter().map(|s| s.cpu_steal)),
            TOLD_STEAL,
            "of this machine's CPU was stolen by the hypervisor",
        ),
        (
            |s| resent(s, FEW),
            TOLD_RETRANSMITS,
            "of our TCP segments were retransmitted: the network dropped them, or the target's \
             accept queue was full; each adds 200 ms or more to a latency",
        ),
        (
            |s| {
                let held_up = s.iter().map(|s| s.sends_held_up).sum();
                share(held_up, s.iter().map(|s| s.sends).sum())
            },
            TOLD_HELD_UP,
            "of the requests could not be written at once: the target or the network accepted them \
             too slowly",
        ),
    ];
    let line = |(of, limit, what): (Of, f64, &str)| {
        let above = parts.iter().filter_map(|s| of(s)).filter(|v| *v >= limit);
        let (n, worst) = above.fold((0, 0.0_f64), |(n, worst), v| (n + 1, worst.max(v)));
        let plural = if n == 1 { "" } else { "s" };
        (n > 0).then(|| format!("in {n} {name}{plural}, up to {:.0} % {what}", worst * 100.0))
    };
    kinds.into_iter().filter_map(line).collect()
}

/// What bore on the generator in the measured ones of some seconds.
pub(super) fn strains<'a>(
    seconds: impl IntoIterator<Item = &'a SecondRecord>,
) -> Vec<GeneratorHealth> {
    let held = seconds.into_iter().filter(|s| s.hold);
    held.map(|s| s.generator.health).collect()
}

fn share(some: u64, all: u64) -> Option<f64> {
    (some >= FEW && all > 0).then(|| part(some, all))
}

#[expect(clippy::cast_precision_loss, reason = "counts of a hold")]
fn part(some: u64, all: u64) -> f64 {
    some as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests;
