//! What a service's log says only where the SLO broke: kinds of lines that are new there, whatever
//! they mean.

use std::collections::BTreeMap;

use super::{Case, Cause, ObservedProbe};
use crate::measure::{LogLine, OTHER_LINES, folded};
use crate::record::{CauseKind, Sureness};

/// Chance with which a line that came once per so many cycles would be missing from all held
/// probes, from which it is taken for new: chatter that grows with the load is found here by luck
/// once in a hundred kinds of line.
const BY_LUCK: f64 = 0.01;
/// Words by which the line that says why is told from those that come with it (a traceback); of no
/// account for whether a kind of line is new.
const TELLING: &[&str] = &[
    "error",
    "warn",
    "crit",
    "alert",
    "fatal",
    "limit",
    "exceed",
    "reached",
    "exhaust",
    "full",
    "refus",
    "reject",
    "timeout",
    "timed out",
    "too many",
];

/// A kind of line that came only in the broken probe.
pub(super) struct New<'a> {
    pub(super) monitor: &'a str,
    /// How often it came, as far as it was kept.
    pub(super) count: u64,
    /// The first of them.
    pub(super) text: &'a str,
    /// Seconds into the probe at which that came.
    pub(super) at: f64,
}

impl New<'_> {
    /// As it stands in evidence.
    pub(super) fn quoted(&self) -> String {
        let times = match self.count {
            1 => "once".to_owned(),
            n => format!("{n} times"),
        };
        format!(
            "the log of {} has this only where the SLO broke, {times}: \"{}\"",
            self.monitor, self.text
        )
    }

    fn tells(&self) -> usize {
        let text = self.text.to_lowercase();
        TELLING.iter().filter(|word| text.contains(*word)).count()
    }
}

/// The kind of line that is new in a broken probe and says most.
pub(super) fn new_words<'a>(case: &Case<'a>) -> Option<New<'a>> {
    let held: Vec<&ObservedProbe> = case.seen.iter().filter(|s| s.held()).collect();
    let passed: f64 = held.iter().map(|s| case.of_seen(s).tried()).sum();
    let here = case.tried();
    if passed <= 0.0 || here <= 0.0 {
        return None;
    }
    // Older records know the lines that matter only.
    let are_counted = case.lines.iter().any(|(_, l)| l.tally.is_some());
    let said = (case.lines.iter()).filter(|(_, l)| l.tally.is_some() == are_counted && is_said(l));
    let mut kinds: BTreeMap<(&str, String), New<'a>> = BTreeMap::new();
    for (at, line) in said {
        let kind = (line.monitor.as_str(), folded(&line.text));
        let new = kinds.entry(kind).or_insert(New {
            monitor: &line.monitor,
            count: 0,
            text: &line.text,
            at: *at,
        });
        new.count += line.tally.unwrap_or(1);
    }
    for (_, line) in held.iter().flat_map(|s| &s.lines) {
        if line.text == OTHER_LINES {
            // It has no kinds of lines, so that none of them is new.
            kinds.retain(|(monitor, _), _| *monitor != line.monitor);
        }
        kinds.remove(&(line.monitor.as_str(), folded(&line.text)));
    }
    // Of lines that come with cycles alike, each falls into the broken probe with this probability.
    let share = here / (here + passed);
    let is_no_luck =
        |new: &New<'_>| share.powi(i32::try_from(new.count).unwrap_or(i32::MAX)) <= BY_LUCK;
    (kinds.into_values().filter(is_no_luck)).max_by(|a, b| {
        let by = |n: &New<'_>| (n.tells(), n.count);
        by(a).cmp(&by(b)).then(b.at.total_cmp(&a.at))
    })
}

/// A finding of its own, where nothing else says more.
pub(super) fn said(new: &New<'_>) -> Cause {
    let resource = format!("{} log", new.monitor);
    Cause::new(CauseKind::Log, resource, new.quoted())
        .sure(Sureness::Possible)
        .at(Some(new.at))
}

/// Whether a line is one of the service, and not how many were left out.
fn is_said(line: &LogLine) -> bool {
    !line.text.starts_with(OTHER_LINES) && !line.text.is_empty()
}
