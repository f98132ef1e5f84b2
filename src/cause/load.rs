//! What the load itself shows: throughput that no longer grows.

use super::gain::{Beside, FLAT_GAIN, NOT_COLLAPSED, flat_beside, part, waits_grew};
use super::refusal::{self, REFUSED};
use super::{Baseline, CLEARLY_MORE, Case, Cause, cpu};
use crate::record::{CauseKind, Sureness};
use crate::units::format_seconds;

/// Share of what its level would bring without waiting that a throughput may fall behind, where a
/// queue grew too: the lower level was below the knee then, and some of what was added was served.
const FALLS_BEHIND: f64 = 0.75;
/// Share of what those who are served wait longer that is spent in one queue where that is what
/// they wait for.
const MOST_OF_THE_WAIT: f64 = 0.5;
/// What a throughput is called that no monitor's queue gives a name.
pub(super) const UNNAMED: &str = "throughput limit";
/// Times the median latency of the lower level from which those who are served count as waiting for
/// what serves them.
const LONGER: f64 = 2.0;
/// Share of what the level grew by that waits grow by at least where a fixed throughput makes them
/// wait: by Little's law it is all of it, without thinking.
const WAITS_WITH_LEVEL: f64 = 0.3;
/// Growth of a queue over the probe from which it is said to be where the load waits.
const QUEUE_GROWTH: f64 = 5.0;
/// A queue whose length moves by less than this share of its mean is kept at that length by whoever
/// fills it.
const CAPPED: f64 = 0.1;

/// Whether users are turned away and those who are served wait no longer than at the lower level:
/// then it is no queue that keeps the throughput where it is.
fn nobody_waits(case: &Case<'_>, base: Baseline) -> bool {
    let cycle = case.measurement.step_total(case.steps.whole());
    let away = cycle.failed.of_target() + cycle.shed;
    if part(away, cycle.completed() + away) < REFUSED {
        return false;
    }
    let main = case.measurement.step_total(case.steps.main());
    let (was, is) = (base.median_s, main.latency.quantile_s(0.5));
    let grew = was
        .zip(is)
        .map(|(was, is)| is / was.max(f64::EPSILON) - 1.0);
    grew.is_some_and(|grew| grew < WAITS_WITH_LEVEL * (case.level() / base.level - 1.0))
}

/// A service behind answers more slowly than it is asked.
pub(super) fn downstream(case: &Case<'_>) -> Option<Cause> {
    match case.baseline {
        Some(base) => flat(case, base),
        None => waiting(case),
    }
}

/// Whether a service that seems slow may only be short of CPU: the machine is full, and the service
/// does not say that it has enough, or it is not known which one it is: nobody may watch it. `None`
/// of a service that surely is.
fn may_be_short_of_cpu(case: &Case<'_>, service: Option<&str>) -> Option<bool> {
    let is_short = cpu::is_short_of_cpu(case, service);
    let has_enough = service.is_some() && is_short == Some(false);
    (is_short != Some(true)).then(|| !has_enough && cpu::machine_is_full(case))
}

/// More load brings no more throughput: something behind answers at a fixed rate X, and the rest
/// waits. By Little's law (VUs = X x time of a cycle) it is worth X times the time of a cycle
/// without waiting in VUs.
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
    if queue.is_none() && nobody_waits(case, base) {
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
        let (level, served) = lightest(case, base);
        let equivalent = throughput * level / served;
        evidence.push(format!(
            "{throughput:.1}/s equals {equivalent:.0} VUs without queueing"
        ));
    }
    if let Some((_, length)) = &queue {
        evidence.push(format!("{length:.0} wait in its queue"));
    }
    // Some waits end: whoever waits too long is turned away.
    evidence.extend(refusal::failing(case));
    let sureness = if queue.is_some() || is_flat && !doubtful && waits_grew(case, LONGER) {
        Sureness::Likely
    } else {
        Sureness::Possible
    };
    Some(Cause::new(CauseKind::Downstream, resource, evidence.join("; ")).sure(sureness))
}

/// The lowest level that held and its throughput: the higher one that a broken level is compared
/// with may queue already.
fn lightest(case: &Case<'_>, base: Baseline) -> (f64, f64) {
    let held = case.seen.iter().filter(|seen| seen.held());
    let served = held.filter_map(|seen| Some((seen.level, seen.throughput.filter(|x| *x > 0.0)?)));
    let all = served.chain([(base.level, base.throughput)]);
    let first = all.min_by(|a, b| a.0.total_cmp(&b.0));
    first.unwrap_or((base.level, base.throughput))
}

/// Whether the time that is spent in a service's queue, by Little's law its length by what is
/// served, makes up most of what those who are served wait longer than at the lower level.
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

/// No lower level held, so that throughput has nothing to be compared with: where others load the
/// target too, not even the lowest may. A queue that is long all through the hold tells all the
/// same.
fn waiting(case: &Case<'_>) -> Option<Cause> {
    let (monitor, longest) = longest_queue(case)?;
    let mean = case.mean(&monitor, "queue")?;
    if mean < QUEUE_GROWTH {
        return None;
    }
    let evidence = format!(
        "{mean:.0} wait in its queue on average, {longest:.0} at most; no lower level held to \
         compare its rate to"
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
            "the other populations take the users' share"
        } else if case.unit.is_open() {
            "arrivals exceed what is served"
        } else if is_flat {
            "extra VUs only queue"
        } else {
            "most of the extra VUs only queue"
        }
    )
}

/// The monitor whose queue holds the line up, and how long it was at most.
fn longest_queue(case: &Case<'_>) -> Option<(String, f64)> {
    // Who lets only so many through to the next keeps a line of their own for it: the one that
    // always has that many waiting is the slow one, however much longer the line before it is. Were
    // it the other way round, its queue would be empty.
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
