//! Descriptors and the queue of new connections.

use super::{Case, Cause};
use crate::record::{CauseKind, Sureness};
use crate::units::format_count;

/// Share of the limit from which descriptors count as used up: a server opens and closes some all the time.
const DESCRIPTORS_FULL: f64 = 0.98;
/// What a process says that has no descriptor left.
const DESCRIPTOR_LINES: &[&str] = &["too many open files", "emfile"];
/// New connections turned away from which it is no accident.
const OVERFLOWS: f64 = 20.0;

/// A process has as many files and sockets open as it may.
pub(super) fn descriptors(case: &Case<'_>) -> Vec<Cause> {
    let full = |monitor: &&str| {
        let told = case.line(Some(monitor), DESCRIPTOR_LINES);
        let limit = case.limit(monitor, "descriptors");
        let used = case.highest(monitor, "descriptors");
        let at_limit = used
            .zip(limit)
            .filter(|(used, limit)| *used >= DESCRIPTORS_FULL * limit);
        let evidence = match (at_limit, told) {
            (Some((used, limit)), _) => format!("{used:.0} of {limit:.0} in use"),
            (None, Some((_, line))) => format!("it said: {}", line.text),
            (None, None) => return None,
        };
        let sureness = match told {
            Some(_) => Sureness::Certain,
            None => Sureness::Likely,
        };
        Some(
            Cause::new(
                CauseKind::Descriptors,
                format!("{monitor} descriptors"),
                evidence,
            )
            .sure(sureness)
            .strength(at_limit.map_or(1.0, |(used, limit)| used / limit))
            .at(told.map(|(at, _)| at)),
        )
    };
    case.monitors().iter().filter_map(full).collect()
}

/// The kernel turned new connections away because nobody took those before: the service that should accept is late.
pub(super) fn accept_queue(case: &Case<'_>) -> Vec<Cause> {
    let overflows = |monitor: &&str| {
        let (n, at) = case.growth(monitor, "listen_overflows")?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count"
        )]
        let count = format_count(n as u64);
        let evidence =
            format!("{count} new connections turned away by the kernel, from {at:.0} s on");
        let sureness = if n >= OVERFLOWS {
            Sureness::Likely
        } else {
            Sureness::Possible
        };
        let cause = Cause::new(CauseKind::AcceptQueue, "accept queue", evidence);
        Some(
            cause
                .sure(sureness)
                .strength(case.per_cycle(n))
                .at(Some(at)),
        )
    };
    case.monitors().iter().filter_map(overflows).collect()
}
