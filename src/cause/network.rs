//! Descriptors, the queue of new connections, and what the network on the way loses.

use super::{Case, Cause};
use crate::record::{CauseKind, Sureness};
use crate::units::{format_count, format_seconds};

/// Share of the limit from which descriptors count as used up: a server opens and closes some all
/// the time.
const DESCRIPTORS_FULL: f64 = 0.98;
/// What a process says that has no descriptor left.
const DESCRIPTOR_LINES: &[&str] = &["too many open files", "emfile"];
/// New connections turned away from which it is no accident.
const OVERFLOWS: f64 = 20.0;

/// A round trip from which the way is one over a network, seconds: on one machine, and between
/// machines of one rack, it takes less.
pub(crate) const FAR_S: f64 = 0.001;
/// Share of the segments that are sent again from which a high percentile shows it, each being
/// 200 ms and more in one latency, and how many of them are no chance: the network that a run is
/// warned of.
pub(crate) const LOSSY: f64 = 0.001;
pub(crate) const FEW_LOST: u64 = 5;
/// Exponent that makes half as much loss as strong as `differs.rs` takes for the same: so few
/// segments are lost by chance.
const ALSO_HALF: f64 = 0.152;

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
            (None, Some((_, line))) => format!("it logged: {}", line.text),
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

/// The kernel turned new connections away because nobody took those before: the service that should
/// accept is late.
pub(super) fn accept_queue(case: &Case<'_>) -> Vec<Cause> {
    let overflows = |monitor: &&str| {
        let (n, at) = case.growth(monitor, "listen_overflows")?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count"
        )]
        let count = format_count(n as u64);
        let evidence = format!("{count} new connections dropped by the kernel, from {at:.0} s on");
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

/// The network on the way to the target loses segments. Those that it loses on the way back are
/// sent again by the target and not seen.
pub(super) fn loss(case: &Case<'_>) -> Vec<Cause> {
    let Some(round_trip_s) = case.round_trip_s.filter(|s| *s >= FAR_S) else {
        return Vec::new();
    };
    let strains = || {
        case.measurement
            .hold
            .iter()
            .map(|s| &s.window.generator.health)
    };
    let again: u64 = strains().filter_map(|s| s.retransmits).sum();
    let sent: u64 = strains().filter_map(|s| s.segments_out).sum();
    #[expect(clippy::cast_precision_loss, reason = "segments of a hold")]
    let share = again as f64 / sent.max(1) as f64;
    if again < FEW_LOST || share < LOSSY {
        return Vec::new();
    }
    let evidence = format!(
        "{:.2} % of our TCP segments, {} in total, were retransmitted on a path with a round trip \
         of {}; each adds 200 ms or more to a latency",
        share * 100.0,
        format_count(again),
        format_seconds(round_trip_s)
    );
    let cause = Cause::new(CauseKind::Network, "the network to the target", evidence);
    // A queue of new connections that is full over there looks the same from here.
    vec![
        cause
            .sure(Sureness::Possible)
            .strength(share.powf(ALSO_HALF)),
    ]
}
