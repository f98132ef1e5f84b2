//! What read the same where the SLO held cannot have broken it: the gate that every finding has to
//! pass.

use super::{Case, Cause, ObservedProbe, Rule, gain};
use crate::record::{CauseKind, Sureness};

/// Share of what a broken probe showed from which a level that held showed the same. A reading that
/// follows the load is at most 1/1.1 of it at a level clearly below ([`super::CLEARLY_MORE`]).
const SAME: f64 = 0.9;

/// Times a level from which another shows whether throughput grew: over less, a few percent of
/// noise look like growth.
const MUCH_HIGHER: f64 = 1.25;

/// What the rules say of the levels that held, for comparison.
pub(super) struct Contrast {
    /// For each probe that is looked at, its findings.
    held: Vec<Vec<Cause>>,
    /// The same for this machine's CPU.
    machine: Vec<Vec<Cause>>,
}

impl Contrast {
    /// Asks the rules of the held probes that a broken one is compared with.
    pub(super) fn of(case: &Case<'_>, rules: &[Rule]) -> Self {
        let findings = |seen: &ObservedProbe| {
            let held = case.of_seen(seen);
            rules.iter().flat_map(|rule| rule(&held)).collect()
        };
        let of = |alike: Alike| compared(case, alike).map(findings).collect();
        Self {
            held: of(Alike::WhereItGrew),
            machine: of(Alike::AlsoBeforeACollapse),
        }
    }

    /// Whether a finding read the same in most of the probes that held: then it is none.
    pub(super) fn read_the_same(&self, cause: &Cause) -> bool {
        let held = match cause.kind {
            CauseKind::Host => &self.machine,
            _ => &self.held,
        };
        let same = |held: &&Vec<Cause>| held.iter().any(|c| is_same(c, cause));
        let count = held.iter().filter(same).count();
        count > 0 && 2 * count >= held.len()
    }
}

/// Whether a held probe's finding is as strong as a broken one's.
fn is_same(held: &Cause, broken: &Cause) -> bool {
    // What turns users away in one probe is called an error in another, where less is known to
    // compare with.
    let away = |c: &Cause| matches!(c.kind, CauseKind::AdmissionLimit | CauseKind::ServiceErrors);
    let alike = held.kind == broken.kind && held.resource == broken.resource;
    (alike || away(held) && away(broken))
        && held.strength >= SAME * broken.strength
        && (broken.sureness < Sureness::Certain || held.sureness == Sureness::Certain)
}

/// Which of the levels that held are looked at.
#[derive(Clone, Copy, PartialEq)]
enum Alike {
    /// Those from which throughput still grew.
    WhereItGrew,
    /// The best of them too, where the broken level fell far behind it: a service that used this
    /// machine up and still held serves as much a little above; one that fell down had something
    /// else happen to it.
    AlsoBeforeACollapse,
}

/// The held probes of the lower half of the levels that held clearly below, from which throughput
/// still grew: a resource that is used up long before the users notice is used up at the upper ones
/// too, which serve no less than the broken one, and is the cause all the same.
fn compared<'a>(case: &Case<'a>, alike: Alike) -> impl Iterator<Item = &'a ObservedProbe> {
    let below = case.level();
    let fell_from = best_that_held(case).filter(|(_, x)| {
        let here = case.throughput();
        alike == Alike::AlsoBeforeACollapse && here.is_some_and(|y| y < gain::NOT_COLLAPSED * x)
    });
    let is_top =
        |s: &ObservedProbe| fell_from.is_some_and(|(level, _)| level.total_cmp(&s.level).is_eq());
    let mut levels: Vec<f64> = (case.seen.iter())
        .filter(|s| s.held() && s.is_below(below))
        .filter(|s| is_top(s) || grew_from(case, s))
        .map(|s| s.level)
        .collect();
    levels.sort_by(f64::total_cmp);
    levels.dedup();
    let highest = levels
        .get(levels.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(f64::NEG_INFINITY);
    (case.seen.iter()).filter(move |s| s.held() && s.level <= highest)
}

/// Whether throughput grew from a held level to the broken one, or to one between; from what is not
/// known it may have. What fell down at the broken level says nothing of that, and what is far
/// above a knee grew by little although it grew up to there.
fn grew_from(case: &Case<'_>, held: &ObservedProbe) -> bool {
    let Some((from, here)) = held.throughput.zip(case.throughput()) else {
        return true;
    };
    let gain = |level: f64, x: f64| gain::gain((held.level, from), (level, x));
    let between = (case.seen.iter()).filter(|s| {
        (held.level * MUCH_HIGHER..case.level()).contains(&s.level) && (s.held() || s.broke())
    });
    let mut gains = between.filter_map(|s| gain(s.level, s.throughput?));
    gain(case.level(), here).is_none_or(|it| it >= gain::FLAT_GAIN)
        || gains.any(|it| it >= gain::FLAT_GAIN)
}

/// The level and the throughput of the held probe clearly below that served most.
fn best_that_held(case: &Case<'_>) -> Option<(f64, f64)> {
    let held = case
        .seen
        .iter()
        .filter(|s| s.held() && s.is_below(case.level()));
    held.filter_map(|s| Some((s.level, s.throughput?)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
}
