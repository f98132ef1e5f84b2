//! What the load itself shows: refusals by design, throughput that no longer grows.

use std::collections::BTreeMap;

use super::{Baseline, CLEARLY_MORE, Case, Cause, cpu};
use crate::measure::{FailureKind, StepWindow};
use crate::record::{CauseKind, Sureness};
use crate::units::{format_count, format_seconds};

/// Growth of throughput per growth of the level below which throughput counts as flat.
pub(super) const FLAT_GAIN: f64 = 0.25;
/// Share of what its level would bring without waiting that a throughput may fall behind, where a queue grew too: the lower
/// level was below the knee then, and some of what was added was served.
const FALLS_BEHIND: f64 = 0.75;
/// Share of what those who are served wait longer that is spent in one queue where that is what they wait for.
const MOST_OF_THE_WAIT: f64 = 0.5;
/// What a throughput is called that no monitor's queue gives a name.
pub(super) const UNNAMED: &str = "a fixed throughput";
/// Share of the cycles that are refused from which a limit is looked for: fewer fail for many reasons.
const REFUSED: f64 = 0.01;
/// Share of the failures that are of one way where a limit makes them.
const ONE_WAY: f64 = 0.9;
/// Share of another throughput from which one counts as kept: a limit serves as much as it did, an overload does not.
pub(super) const NOT_COLLAPSED: f64 = 0.75;
/// Times the median latency of the lower level from which those who are served count as waiting for what serves them, and up to which
/// they count as not waiting; and by how much more at least, seconds: below that a busy machine alone makes the difference.
const LONGER: f64 = 2.0;
const AS_LONG: f64 = 1.3;
const LONGER_AT_LEAST_S: f64 = 0.02;
/// Share of sheds from which an admission limit is at work.
const SHEDS: f64 = 0.05;
/// Growth of a queue over the probe from which it is said to be where the load waits.
const QUEUE_GROWTH: f64 = 5.0;
/// A queue whose length moves by less than this share of its mean is kept at that length by whoever fills it.
const CAPPED: f64 = 0.1;

/// Most refusals were by design.
pub(super) fn sheds(case: &Case<'_>) -> Vec<Cause> {
    let cycle = case.measurement.step_total(case.steps.cycle());
    let (refused, failed) = (cycle.shed, cycle.failed.of_target());
    let all = cycle.completed() + failed + refused;
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let many = all > 0 && refused as f64 > SHEDS * all as f64 && refused > failed;
    let evidence = format!(
        "{} of {} cycles shed",
        format_count(refused),
        format_count(all)
    );
    many.then(|| Cause::new(CauseKind::AdmissionLimit, "admission limit", evidence))
        .into_iter()
        .collect()
}

/// What was refused of all cycles, and how.
pub(super) struct Refused {
    /// Cycles refused or dropped.
    count: u64,
    /// All cycles.
    all: u64,
    /// In what way, as it is told.
    pub(super) how: &'static str,
    /// Whether the way itself says that it was by design.
    by_design: bool,
}

/// How a hold's cycles were refused, where nearly all failures are of one way that a limit has. `statuses` are the failures by
/// status code, where they are known.
pub(super) fn refused(cycle: &StepWindow, statuses: &[(u16, u64)]) -> Option<Refused> {
    let failed = cycle.failed.of_target();
    let most = |n: u64| n > 0 && part(n, failed + cycle.shed) >= ONE_WAY;
    let of = |kind| cycle.failed.get(kind);
    let by_status = |code: u16| {
        statuses
            .iter()
            .find(|(s, _)| *s == code)
            .map_or(0, |(_, n)| *n)
    };
    // A connection that is closed is reset or ends, as it happens.
    let closed = of(FailureKind::Reset) + of(FailureKind::Eof);
    let (how, by_design) = if most(cycle.shed) {
        ("with Retry-After", true)
    } else if most(by_status(429)) {
        ("with status 429", true)
    } else if most(by_status(503)) {
        ("with status 503", true)
    } else if most(of(FailureKind::Status)) && statuses.is_empty() {
        ("with an error status", false)
    } else if most(of(FailureKind::ConnectRefused)) {
        ("as new connections", false)
    } else if most(closed) {
        ("by closing their connections", false)
    } else {
        return None;
    };
    let count = failed + cycle.shed;
    let all = cycle.completed() + count;
    let many = part(count, all) >= REFUSED && cycle.completed() > 0;
    many.then_some(Refused {
        count,
        all,
        how,
        by_design,
    })
}

/// The failures of all steps by status code; empty where windows tell them apart by kind only.
fn statuses(case: &Case<'_>) -> Vec<(u16, u64)> {
    let mut counted: BTreeMap<u16, u64> = BTreeMap::new();
    let windows = case.measurement.hold.iter().map(|s| &s.window);
    for way in windows.flat_map(|w| &w.steps).flat_map(|s| s.ways.iter()) {
        if let Some(status) = way.status {
            *counted.entry(status).or_default() += way.count;
        }
    }
    counted.into_iter().collect()
}

/// A share of a count.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn part(n: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { n as f64 / of as f64 }
}

/// So much is served however much more is asked for, and the rest is turned away at once: a limit on requests or connections.
pub(super) fn refusals(case: &Case<'_>) -> Vec<Cause> {
    admission(case).into_iter().collect()
}

fn admission(case: &Case<'_>) -> Option<Cause> {
    let cycle = case.measurement.step_total(case.steps.cycle());
    let refused = refused(&cycle, &statuses(case))?;
    let served = case.throughput()?;
    // What collapses is overloaded or gone, and no limit that does its work.
    let best = (case.seen.iter().filter(|s| s.held()))
        .filter_map(|s| s.throughput)
        .reduce(f64::max);
    let collapsed = best.is_some_and(|best| served < NOT_COLLAPSED * best);
    // Where those who are served wait long too, it is what serves them that is slow.
    if collapsed || !refused.by_design && waits_grew(case, AS_LONG) {
        return None;
    }
    let flat = flat_beside(case).filter(|f| f.gain < FLAT_GAIN);
    let alike = flat.as_ref().map_or_else(String::new, |f| {
        format!(" (and {:.1}/s at {:.0})", f.throughput, f.level)
    });
    let evidence = format!(
        "{served:.1}/s are served at {:.0} {}{alike}, the others are refused {}: {} of {} cycles",
        case.level(),
        case.unit.name(),
        refused.how,
        format_count(refused.count),
        format_count(refused.all),
    );
    let sureness = match flat {
        Some(_) => Sureness::Likely,
        None => Sureness::Possible,
    };
    let cause = Cause::new(CauseKind::AdmissionLimit, "admission limit", evidence);
    let strength = part(refused.count, refused.all);
    Some(cause.sure(sureness).strength(strength))
}

/// A level beside that of a broken probe, by which it is seen whether throughput follows the level.
struct Beside {
    level: f64,
    throughput: f64,
    /// Growth of throughput per growth of the level, from the lower one to the higher one.
    gain: f64,
}

/// Growth of throughput per growth of the level, from one level with its throughput to a clearly higher one.
pub(super) fn gain((a, x): (f64, f64), (b, y): (f64, f64)) -> Option<f64> {
    (x > 0.0 && b > a * CLEARLY_MORE).then(|| (y / x - 1.0) / (b / a - 1.0))
}

/// The level beside that shows the flattest throughput: the highest clearly lower one that held, or any clearly other one that
/// broke with about the same throughput.
fn flat_beside(case: &Case<'_>) -> Option<Beside> {
    let (level, here) = (case.level(), case.throughput()?);
    let beside = |other: f64, throughput: f64| {
        let (there, here) = ((other, throughput), (level, here));
        let gain = if other < level {
            gain(there, here)
        } else {
            gain(here, there)
        };
        Some(Beside {
            level: other,
            throughput,
            gain: gain?,
        })
    };
    // What falls at the higher level is no fixed rate.
    let alike = |x: f64| x >= NOT_COLLAPSED * here && here >= NOT_COLLAPSED * x;
    let broken = (case.seen.iter().filter(|s| s.broke()))
        .filter_map(|s| Some((s.level, s.throughput.filter(|x| alike(*x))?)));
    let held = case.baseline.map(|b| (b.level, b.throughput));
    let both = broken.chain(held).filter_map(|(l, x)| beside(l, x));
    both.min_by(|a, b| a.gain.total_cmp(&b.gain))
}

/// Whether those who are served wait so many times longer than at the lower level that held.
fn waits_grew(case: &Case<'_>, times: f64) -> bool {
    let main = case.measurement.step_total(case.steps.main());
    let was = case.baseline.and_then(|b| b.median_s);
    was.zip(main.latency.quantile_s(0.5))
        .is_some_and(|(was, is)| is >= times * was + LONGER_AT_LEAST_S)
}

/// A service behind answers more slowly than it is asked.
pub(super) fn downstream(case: &Case<'_>) -> Option<Cause> {
    match case.baseline {
        Some(base) => flat(case, base),
        None => waiting(case),
    }
}

/// Whether a service that seems slow may only be short of CPU: the machine is full, and the service does not say that it has enough,
/// or it is not known which one it is: nobody may watch it. `None` of a service that surely is.
fn may_be_short_of_cpu(case: &Case<'_>, service: Option<&str>) -> Option<bool> {
    let is_short = cpu::is_short_of_cpu(case, service);
    let has_enough = service.is_some() && is_short == Some(false);
    (is_short != Some(true)).then(|| !has_enough && cpu::machine_is_full(case))
}

/// More load brings no more throughput: something behind answers at a fixed rate X, and the rest waits. By Little's law
/// (VUs = X x time of a cycle) it is worth X times the time of a cycle without waiting in VUs.
fn flat(case: &Case<'_>, base: Baseline) -> Option<Cause> {
    let throughput = case.throughput()?;
    if case.level() <= base.level * CLEARLY_MORE || base.throughput <= 0.0 {
        return None;
    }
    let beside = flat_beside(case)?;
    let queue = longest_queue(case);
    let doubtful = may_be_short_of_cpu(case, queue.as_ref().map(|(monitor, _)| monitor.as_str()))?;
    let keeps_up = throughput / base.throughput / (case.level() / base.level);
    // What fell down serves at no rate.
    let fell = throughput < NOT_COLLAPSED * beside.throughput.max(base.throughput);
    let is_flat = beside.gain < FLAT_GAIN && !fell;
    // A queue that grew is also what waiting for a CPU looks like.
    let waits_there = |(monitor, _): &(String, f64)| {
        keeps_up < FALLS_BEHIND || explains_waits(case, base, monitor)
    };
    if !is_flat && (doubtful || !queue.as_ref().is_some_and(waits_there)) {
        return None;
    }
    let resource = queue.as_ref().map_or_else(
        || UNNAMED.to_owned(),
        |(monitor, _)| format!("{monitor} throughput"),
    );
    let mut evidence = vec![compared(case, &beside, throughput, is_flat)];
    let main = case.measurement.step_total(case.steps.main());
    if let Some((was, is)) = base.median_s.zip(main.latency.quantile_s(0.5)) {
        let (was, is) = (format_seconds(was), format_seconds(is));
        evidence.push(format!("median {was} at {:.0}, {is} here", base.level));
    }
    if !case.unit.is_open() && case.users_are_searched {
        let equivalent = throughput * base.level / base.throughput;
        evidence.push(format!(
            "{throughput:.1}/s is worth {equivalent:.0} VUs that do not wait"
        ));
    }
    if let Some((_, length)) = &queue {
        evidence.push(format!("{length:.0} wait in its queue"));
    }
    let sureness = if queue.is_some() || is_flat && !doubtful && waits_grew(case, LONGER) {
        Sureness::Likely
    } else {
        Sureness::Possible
    };
    Some(Cause::new(CauseKind::Downstream, resource, evidence.join("; ")).sure(sureness))
}

/// Whether the time that is spent in a service's queue, by Little's law its length by what is served, makes up most of what those who
/// are served wait longer than at the lower level.
fn explains_waits(case: &Case<'_>, base: Baseline, monitor: &str) -> bool {
    let main = case.measurement.step_total(case.steps.main());
    let longer = (main.latency.quantile_s(0.5).zip(base.median_s)).map(|(is, was)| is - was);
    let served = case.throughput().filter(|x| *x > 0.0);
    let there = case.mean(monitor, "queue").zip(served).map(|(n, x)| n / x);
    waits_grew(case, LONGER)
        && there
            .zip(longer)
            .is_some_and(|(there, longer)| there >= MOST_OF_THE_WAIT * longer)
}

/// No lower level held, so that throughput has nothing to be compared with: where others load the target too, not even the lowest
/// may. A queue that is long all through the hold tells all the same.
fn waiting(case: &Case<'_>) -> Option<Cause> {
    let (monitor, longest) = longest_queue(case)?;
    let mean = case.mean(&monitor, "queue")?;
    if mean < QUEUE_GROWTH {
        return None;
    }
    let evidence = format!(
        "{mean:.0} wait in its queue on average, {longest:.0} at most; no lower level held that its rate could be compared with"
    );
    let resource = format!("{monitor} throughput");
    Some(Cause::new(CauseKind::Downstream, resource, evidence).sure(Sureness::Likely))
}

/// The throughput here beside that of another level.
fn compared(case: &Case<'_>, beside: &Beside, throughput: f64, is_flat: bool) -> String {
    format!(
        "{throughput:.1} cycles/s at {:.0} {}, {:.1}/s at {:.0}: {}",
        case.level(),
        case.unit.name(),
        beside.throughput,
        beside.level,
        if !case.users_are_searched {
            "the others take what the users had"
        } else if case.unit.is_open() {
            "more come than are served"
        } else if is_flat {
            "more VUs wait, none is served more"
        } else {
            "most of the VUs that were added wait"
        }
    )
}

/// The monitor whose queue holds the line up, and how long it was at most.
fn longest_queue(case: &Case<'_>) -> Option<(String, f64)> {
    // Who lets only so many through to the next keeps a line of their own for it: the one that always has that many waiting is
    // the slow one, however much longer the line before it is. Were it the other way round, its queue would be empty.
    let capped = queues(case)
        .filter(|(monitor, _)| is_capped(case, monitor))
        .min_by(|a, b| a.1.total_cmp(&b.1));
    capped.or_else(|| queues(case).max_by(|a, b| a.1.total_cmp(&b.1)))
}

/// Whether a queue is long all through the hold, and of one length.
fn is_capped(case: &Case<'_>, monitor: &str) -> bool {
    let lengths = || case.measurement.readings(monitor, "queue");
    let (least, most) = lengths().fold((f64::INFINITY, 0.0_f64), |(a, b), v| (a.min(v), b.max(v)));
    let mean = super::case::mean(lengths()).unwrap_or(0.0);
    least >= QUEUE_GROWTH && most - least <= CAPPED * mean
}

/// The monitors whose queues grew during the probe, and how long they were at most.
fn queues<'a>(case: &'a Case<'_>) -> impl Iterator<Item = (String, f64)> + 'a {
    case.monitors().into_iter().filter_map(|monitor| {
        let longest = case.highest(monitor, "queue")?;
        let before = case
            .measurement
            .reading_before(monitor, "queue")
            .unwrap_or(0.0);
        (longest - before >= QUEUE_GROWTH).then(|| (monitor.to_owned(), longest))
    })
}
