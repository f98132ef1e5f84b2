//! What the load itself shows: refusals by design, throughput that no longer grows.

use super::{Baseline, CLEARLY_MORE, Case, Cause};
use crate::record::{CauseKind, Sureness};
use crate::units::{format_count, format_seconds};

/// Growth of throughput per growth of the level below which throughput counts as flat.
const FLAT_GAIN: f64 = 0.25;
/// Share of what its level would bring without waiting that a throughput may fall behind, where a queue grew too: the lower
/// level was below the knee then, and some of what was added was served.
const FALLS_BEHIND: f64 = 0.75;
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

/// A service behind answers more slowly than it is asked.
pub(super) fn downstream(case: &Case<'_>) -> Option<Cause> {
    match case.baseline {
        Some(base) => flat(case, base),
        None => waiting(case),
    }
}

/// More load brings no more throughput: something behind answers at a fixed rate X, and the rest waits. By Little's law
/// (VUs = X x time of a cycle) it is worth X times the time of a cycle without waiting in VUs.
fn flat(case: &Case<'_>, base: Baseline) -> Option<Cause> {
    let throughput = case.throughput()?;
    if case.level() <= base.level * CLEARLY_MORE || base.throughput <= 0.0 {
        return None;
    }
    let gain = (throughput / base.throughput - 1.0) / (case.level() / base.level - 1.0);
    let queue = longest_queue(case);
    let keeps_up = throughput / base.throughput / (case.level() / base.level);
    if gain >= FLAT_GAIN && (queue.is_none() || keeps_up >= FALLS_BEHIND) {
        return None;
    }
    let resource = queue.as_ref().map_or_else(
        || "a fixed throughput".to_owned(),
        |(monitor, _)| format!("{monitor} throughput"),
    );
    let mut evidence = vec![compared(case, base, throughput, gain)];
    let main = case.measurement.step_total(case.steps.main());
    if let Some((was, is)) = base.median_s.zip(main.latency.quantile_s(0.5)) {
        let (was, is) = (format_seconds(was), format_seconds(is));
        evidence.push(format!("median {was} there, {is} here"));
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
    let sureness = match queue {
        Some(_) => Sureness::Likely,
        None => Sureness::Possible,
    };
    Some(Cause::new(CauseKind::Downstream, resource, evidence.join("; ")).sure(sureness))
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

/// The throughput here beside that of the lower level.
fn compared(case: &Case<'_>, base: Baseline, throughput: f64, gain: f64) -> String {
    format!(
        "{throughput:.1} cycles/s at {:.0} {}, {:.1}/s at {:.0}: {}",
        case.level(),
        case.unit.name(),
        base.throughput,
        base.level,
        if !case.users_are_searched {
            "the others take what the users had"
        } else if case.unit.is_open() {
            "more come than are served"
        } else if gain < FLAT_GAIN {
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
