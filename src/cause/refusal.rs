//! Who is turned away: refusals by design, limits that show by what is not served, and failures of
//! the service itself.

use std::collections::BTreeMap;

use super::gain::{FLAT_GAIN, NOT_COLLAPSED, flat_beside, part, waits_grew};
use super::{Case, Cause};
use crate::excerpt;
use crate::measure::{FailureKind, FailureWay, FailureWays, Second, StepWindow};
use crate::record::{CauseKind, Sureness};
use crate::units::format_count;

/// Times the median latency of the lower level up to which those who are served count as not
/// waiting.
const AS_LONG: f64 = 1.3;
/// Share of the cycles that are refused from which a limit is looked for: fewer fail for many
/// reasons.
pub(super) const REFUSED: f64 = 0.01;
/// Share of the failures that are of one way where a limit makes them.
const ONE_WAY: f64 = 0.9;
/// Share of the failures that are answers where the service is said to fail by itself.
const MOSTLY: f64 = 0.5;
/// Share of the failures from which a way is named among several.
const NAMED: f64 = 0.1;
/// Share of sheds from which an admission limit is at work.
const SHEDS: f64 = 0.05;
/// How a server of HTTP/2 says that it failed by itself (RFC 9113, section 7), as messages have it.
const ITS_OWN_ERROR: &str = ": INTERNAL_ERROR";
/// Characters of an answer that evidence quotes.
const QUOTED: usize = 100;

/// Most refusals were by design.
pub(super) fn sheds(case: &Case<'_>) -> Vec<Cause> {
    let cycle = case.measurement.step_total(case.steps.whole());
    let (refused, failed) = (cycle.shed, cycle.failed.of_target());
    let all = cycle.completed() + failed + refused;
    let many = part(refused, all) > SHEDS && refused > failed;
    let evidence = format!(
        "{} of {} cycles shed",
        format_count(refused),
        format_count(all)
    );
    many.then(|| Cause::new(CauseKind::AdmissionLimit, "admission limit", evidence))
        .into_iter()
        .collect()
}

/// What a way of failing says by itself of who made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// A limit by design: it says so.
    ByDesign,
    /// A limit, or whatever else turns users away.
    Limit,
    /// A service that fails just as well: only a throughput that stays where it is tells a limit
    /// from it.
    Failure,
}

/// What was refused of all cycles, and how.
pub(super) struct Refused {
    /// Cycles refused or dropped.
    count: u64,
    /// All cycles.
    all: u64,
    /// In what way, as it is told.
    pub(super) how: String,
    pub(super) sign: Sign,
}

/// What is known of failures beyond their kinds.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Those by status code, the most frequent first; empty where statuses are not known.
    pub(super) statuses: Vec<(u16, u64)>,
    /// Streams that the server reset for an error of its own, as HTTP/2 has it.
    pub(super) internal: u64,
}

impl Known {
    fn of(ways: &FailureWays) -> Self {
        let mut by_status: BTreeMap<u16, u64> = BTreeMap::new();
        for way in ways.iter() {
            if let Some(status) = way.status {
                *by_status.entry(status).or_default() += way.count;
            }
        }
        let mut statuses: Vec<(u16, u64)> = by_status.into_iter().collect();
        statuses.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let internal = ways
            .iter()
            .filter(|way| way.kind == FailureKind::Reset && way.message.contains(ITS_OWN_ERROR));
        Self {
            statuses,
            internal: internal.map(|way| way.count).sum(),
        }
    }
}

/// How a hold's cycles were refused, where nearly all failures are of ways that a limit has.
pub(super) fn refused(cycle: &StepWindow, known: &Known) -> Option<Refused> {
    let failed = cycle.failed.of_target();
    let (how, sign) = way(cycle, known, failed + cycle.shed)?;
    let count = failed + cycle.shed;
    let all = cycle.completed() + count;
    let many = part(count, all) >= REFUSED && cycle.completed() > 0;
    many.then_some(Refused {
        count,
        all,
        how,
        sign,
    })
}

fn way(cycle: &StepWindow, known: &Known, all: u64) -> Option<(String, Sign)> {
    let statuses = known.statuses.as_slice();
    let most = |n: u64| n > 0 && part(n, all) >= ONE_WAY;
    let of = |kind| cycle.failed.get(kind);
    let with_most = statuses.iter().find(|(_, n)| most(*n));
    // A connection that is closed is reset or ends, as it happens.
    let closed = of(FailureKind::Reset) + of(FailureKind::Eof);
    let unfit = of(FailureKind::Protocol) + of(FailureKind::WrongEvent) + of(FailureKind::Check);
    let told = |text: &str, sign| Some((text.to_owned(), sign));
    if most(cycle.shed) {
        return told("with Retry-After", Sign::ByDesign);
    }
    if let Some((status, _)) = with_most {
        return told(&format!("with status {status}"), sign_of(*status));
    }
    if most(of(FailureKind::Status)) && statuses.is_empty() {
        return told("with an error status", Sign::Limit);
    }
    if most(of(FailureKind::ConnectRefused)) {
        return told("as new connections", Sign::Limit);
    }
    if most(known.internal) {
        return told(
            "by resetting their streams as INTERNAL_ERROR",
            Sign::Failure,
        );
    }
    if most(closed) {
        return told("by closing their connections", Sign::Limit);
    }
    if most(unfit) {
        return told("with an unexpected response", Sign::Failure);
    }
    let mut ways: Vec<(String, u64)> = Vec::new();
    let of_status = of(FailureKind::Status);
    if statuses.is_empty() {
        ways.push(("an error status".to_owned(), of_status));
    } else {
        ways.extend(statuses.iter().map(|(s, n)| (format!("status {s}"), *n)));
    }
    ways.extend([
        ("Retry-After".to_owned(), cycle.shed),
        ("closed connections".to_owned(), closed),
        (
            "refused connections".to_owned(),
            of(FailureKind::ConnectRefused),
        ),
        ("unexpected responses".to_owned(), unfit),
    ]);
    if !most(of_status + cycle.shed + closed + of(FailureKind::ConnectRefused) + unfit) {
        return None;
    }
    ways.retain(|(_, n)| part(*n, all) >= NAMED);
    ways.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let names: Vec<String> = ways.into_iter().map(|(name, _)| name).collect();
    Some((
        format!("in several ways: {}", names.join(", ")),
        Sign::Failure,
    ))
}

fn sign_of(status: u16) -> Sign {
    match status {
        429 | 503 => Sign::ByDesign,
        500..=599 => Sign::Failure,
        _ => Sign::Limit,
    }
}

/// The ways of failing of all steps; none where windows tell them apart by kind only.
fn ways(case: &Case<'_>) -> FailureWays {
    let mut all = FailureWays::default();
    let windows = case.measurement.hold.iter().map(|s| &s.window);
    for step in windows.flat_map(|w| &w.steps) {
        all.merge(&step.ways);
    }
    all
}

/// What the most frequent answer that was a failure says, to be put behind evidence.
fn quoted(ways: &FailureWays) -> String {
    let answered = |way: &&FailureWay| {
        let by_answer = matches!(
            way.kind,
            FailureKind::Status
                | FailureKind::Protocol
                | FailureKind::WrongEvent
                | FailureKind::Check
        );
        by_answer && !(way.excerpt.is_empty() && way.message.is_empty())
    };
    let most = ways.iter().filter(answered).max_by_key(|way| way.count);
    let Some(way) = most else {
        return String::new();
    };
    let cut = |text: &str| excerpt::cut(text, QUOTED);
    match (way.kind, way.excerpt.as_str(), way.message.as_str()) {
        (FailureKind::Status, "", message) => format!("; it says \"{}\"", cut(message)),
        (FailureKind::Status, body, _) => format!("; it says \"{}\"", cut(body)),
        (_, "", message) => format!(" ({})", cut(message)),
        (_, body, message) => format!(" ({}); it says \"{}\"", cut(message), cut(body)),
    }
}

/// So much is served however much more is asked for, and the rest is turned away at once: a limit
/// on requests or connections.
pub(super) fn refusals(case: &Case<'_>) -> Vec<Cause> {
    admission(case).into_iter().collect()
}

fn admission(case: &Case<'_>) -> Option<Cause> {
    let cycle = case.measurement.step_total(case.steps.whole());
    let ways = ways(case);
    let refused = refused(&cycle, &Known::of(&ways))?;
    let served = case.throughput()?;
    // What collapses is overloaded or gone, and no limit that does its work.
    let best = (case.seen.iter().filter(|s| s.held()))
        .filter_map(|s| s.throughput)
        .reduce(f64::max);
    let collapsed = best.is_some_and(|best| served < NOT_COLLAPSED * best);
    // Where those who are served wait long too, it is what serves them that is slow.
    if collapsed || has_gone(case) || refused.sign != Sign::ByDesign && waits_grew(case, AS_LONG) {
        return None;
    }
    let flat = flat_beside(case).filter(|f| f.gain < FLAT_GAIN);
    if flat.is_none() && refused.sign == Sign::Failure {
        return None;
    }
    let alike = flat.as_ref().map_or_else(String::new, |f| {
        format!(" (and {:.1}/s at {:.0})", f.throughput, f.level)
    });
    let evidence = format!(
        "{served:.1}/s are served at {:.0} {}{alike}, the rest are refused {}: {} of {} cycles{}",
        case.level(),
        case.unit.name(),
        refused.how,
        format_count(refused.count),
        format_count(refused.all),
        quoted(&ways),
    );
    let sureness = match flat {
        Some(_) => Sureness::Likely,
        None => Sureness::Possible,
    };
    let cause = Cause::new(CauseKind::AdmissionLimit, "admission limit", evidence);
    let strength = part(refused.count, refused.all);
    Some(cause.sure(sureness).strength(strength))
}

/// Seconds at the end of a hold in which nobody is served by what is gone.
const GONE_S: usize = 2;
/// Cycles that would have been served in them, from which it is no chance that hardly any was.
const GONE_CYCLES: f64 = 10.0;
/// What share of its goodput something still has that is gone: what was on its way.
const GONE: f64 = 0.1;

/// Whether hardly anything was served any more when the hold ended: on average over it that looks
/// like a limit.
fn has_gone(case: &Case<'_>) -> bool {
    let whole = case.steps.whole();
    let hold = &case.measurement.hold;
    let Some(last) = hold.len().checked_sub(GONE_S).filter(|last| *last > 0) else {
        return false;
    };
    let time = |seconds: &[Second]| {
        let spans = seconds.iter().map(|s| s.window.span.as_secs_f64());
        spans.sum::<f64>()
    };
    let served = |seconds: &[Second]| {
        let served = seconds.iter().map(|s| s.window.step(whole).completed());
        #[expect(clippy::cast_precision_loss, reason = "cycles of a hold")]
        let served = served.sum::<u64>() as f64;
        served
    };
    let (before, end) = hold.split_at(last);
    let due = served(before) / time(before).max(f64::MIN_POSITIVE) * time(end);
    due >= GONE_CYCLES && served(end) < GONE * due
}

/// How many cycles fail and how, where answers make up enough of it.
pub(super) fn failing(case: &Case<'_>) -> Option<String> {
    answered_with_errors(case).map(|(told, _)| told)
}

/// The service answers, and not what was asked for: what is left to say where no limit shows and
/// nothing else explains it.
pub(super) fn failures(case: &Case<'_>) -> Vec<Cause> {
    let found = answered_with_errors(case).map(|(evidence, share)| {
        let resource = "errors of the service itself";
        Cause::new(CauseKind::ServiceErrors, resource, evidence)
            .sure(Sureness::Possible)
            .strength(share)
    });
    found.into_iter().collect()
}

/// The failures that are answers, in words, and their share of all cycles.
fn answered_with_errors(case: &Case<'_>) -> Option<(String, f64)> {
    let cycle = case.measurement.step_total(case.steps.whole());
    let failed = cycle.failed.of_target() + cycle.shed;
    let of = |kind| cycle.failed.get(kind);
    let ways = ways(case);
    let known = Known::of(&ways);
    let answered = of(FailureKind::Status)
        + of(FailureKind::Protocol)
        + of(FailureKind::WrongEvent)
        + of(FailureKind::Check)
        + known.internal;
    let all = cycle.completed() + failed;
    if part(answered, all) < REFUSED || part(answered, failed) < MOSTLY {
        return None;
    }
    let how =
        way(&cycle, &known, failed).map_or_else(|| "in several ways".to_owned(), |(how, _)| how);
    let evidence = format!(
        "{} of {} cycles fail {how}{}",
        format_count(failed),
        format_count(all),
        quoted(&ways),
    );
    Some((evidence, part(answered, all)))
}
