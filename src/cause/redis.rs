//! Redis: refused writes and clients, evictions, subscribers that were cut off.

use super::{Case, Cause};
use crate::record::{CauseKind, Sureness};
use crate::units::{format_bytes, format_count};

/// What Redis logs when it closes a client whose output it can no longer hold.
const OUTPUT_BUFFER_LINE: &str = "overcoming of output buffer limits";
/// Bytes of output waiting for subscribers from which a lost subscriber is put down to them.
const MUCH_OUTPUT: f64 = 1e6;

/// Redis refused writes for memory.
pub(super) fn refuses_writes(case: &Case<'_>) -> Vec<Cause> {
    let refuses = |monitor: &&str| {
        let (refused, at) = case.growth(monitor, "oom_errors")?;
        let limit = case.limit(monitor, "memory").map_or_else(String::new, |l| {
            format!(" at maxmemory {}", format_bytes(l))
        });
        let evidence = format!("{refused:.0} writes refused (OOM){limit}, from {at:.0} s on");
        Some(
            Cause::new(
                CauseKind::RedisMemory,
                format!("{monitor} memory"),
                evidence,
            )
            .sure(Sureness::Certain)
            .strength(case.per_cycle(refused))
            .at(Some(at)),
        )
    };
    case.monitors().iter().filter_map(refuses).collect()
}

/// Redis gave up keys to make room: what was stored for users is gone.
pub(super) fn evicts(case: &Case<'_>) -> Vec<Cause> {
    let evicted = |monitor: &&str| {
        let (keys, at) = case.growth(monitor, "evicted_keys")?;
        let limit = case.limit(monitor, "memory").map_or_else(String::new, |l| {
            format!(" at maxmemory {}", format_bytes(l))
        });
        let evidence = format!("{keys:.0} keys evicted{limit}, from {at:.0} s on");
        Some(
            Cause::new(
                CauseKind::RedisEvictions,
                format!("{monitor} memory"),
                evidence,
            )
            .strength(case.per_cycle(keys))
            .at(Some(at)),
        )
    };
    case.monitors().iter().filter_map(evicted).collect()
}

/// Redis refused clients for their number.
pub(super) fn refuses_clients(case: &Case<'_>) -> Vec<Cause> {
    let rejects = |monitor: &&str| {
        let (rejected, at) = case.growth(monitor, "rejected_connections")?;
        let limit = case
            .limit(monitor, "clients")
            .map_or_else(String::new, |l| format!(" at maxclients {l:.0}"));
        let evidence = format!("{rejected:.0} connections rejected{limit}, from {at:.0} s on");
        Some(
            Cause::new(
                CauseKind::RedisClients,
                format!("{monitor} clients"),
                evidence,
            )
            .sure(Sureness::Certain)
            .strength(case.per_cycle(rejected))
            .at(Some(at)),
        )
    };
    case.monitors().iter().filter_map(rejects).collect()
}

/// Redis closed a subscriber that read too slowly: whatever was published meanwhile is lost, and no
/// request fails of it.
pub(super) fn output_buffer(case: &Case<'_>) -> Vec<Cause> {
    let cut_off = |monitor: &&str| {
        let counted = case.growth(monitor, "output_buffer_kills");
        let told = case.line(Some(monitor), &[OUTPUT_BUFFER_LINE]);
        let lost = lost_subscriber(case, monitor);
        let (at, what, sureness) = match (counted, told, lost) {
            (Some((n, at)), _, _) => (at, format!("{n:.0} clients closed"), Sureness::Certain),
            (None, Some((at, _)), _) => (at, "a client was closed".to_owned(), Sureness::Certain),
            (None, None, Some(at)) => (at, "a subscriber was lost".to_owned(), Sureness::Likely),
            (None, None, None) => return None,
        };
        let peak = case
            .highest(monitor, "output_buffers")
            .map_or_else(String::new, |b| {
                format!(" with up to {} unread", format_bytes(b))
            });
        let evidence = format!("{what}{peak}, {at:.0} s into the probe{}", hanging(case));
        Some(
            Cause::new(
                CauseKind::RedisOutputBuffer,
                format!("{monitor} output buffer"),
                evidence,
            )
            .sure(sureness)
            .strength(case.per_cycle(counted.map_or(1.0, |(n, _)| n)))
            .at(Some(at)),
        )
    };
    case.monitors().iter().filter_map(cut_off).collect()
}

/// When a subscriber was first missing while much output waited.
fn lost_subscriber(case: &Case<'_>, monitor: &str) -> Option<f64> {
    let before = case.measurement.reading_before(monitor, "pubsub_clients")?;
    let much = case.highest(monitor, "output_buffers")? >= MUCH_OUTPUT;
    let series = case.series(monitor, "pubsub_clients");
    let (at, _) = series.iter().find(|(_, clients)| *clients < before)?;
    much.then_some(*at)
}

/// Users who wait for what was lost: in flight without an error.
fn hanging(case: &Case<'_>) -> String {
    let main = case.measurement.step_total(case.steps.main());
    let failed = main.failed.of_target();
    if main.in_flight.count() == 0 || failed > main.in_flight.count() {
        return String::new();
    }
    format!(
        "; {} users wait for an answer, {} failed",
        format_count(main.in_flight.count()),
        format_count(failed)
    )
}
