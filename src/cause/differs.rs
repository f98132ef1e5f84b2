//! What read the same where the SLO held cannot have broken it: the gate that every finding has to pass.

use super::{Case, Cause, Rule, Seen, load};
use crate::record::Sureness;

/// Share of what a broken probe showed from which a level that held showed the same. A reading that follows the load is at most
/// 1/1.1 of it at a level clearly below ([`super::CLEARLY_MORE`]).
const SAME: f64 = 0.9;

/// What the rules say of the levels that held, for comparison.
pub(super) struct Contrast {
    /// For each probe that is looked at, its findings.
    held: Vec<Vec<Cause>>,
}

impl Contrast {
    /// Asks the rules of the held probes that a broken one is compared with.
    pub(super) fn of(case: &Case<'_>, rules: &[Rule]) -> Self {
        let findings = |seen: &Seen| {
            let held = seen.case(case);
            rules.iter().flat_map(|rule| rule(&held)).collect()
        };
        Self {
            held: compared(case).map(findings).collect(),
        }
    }

    /// Whether a finding read the same in most of the probes that held: then it is none.
    pub(super) fn read_the_same(&self, cause: &Cause) -> bool {
        let same = |held: &&Vec<Cause>| held.iter().any(|c| is_same(c, cause));
        let count = self.held.iter().filter(same).count();
        count > 0 && 2 * count >= self.held.len()
    }
}

/// Whether a held probe's finding is as strong as a broken one's.
fn is_same(held: &Cause, broken: &Cause) -> bool {
    held.kind == broken.kind
        && held.resource == broken.resource
        && held.strength >= SAME * broken.strength
        && (broken.sureness < Sureness::Certain || held.sureness == Sureness::Certain)
}

/// The held probes of the lower half of the levels that held clearly below, where throughput still grew: a resource that is used up
/// long before the users notice is used up at the upper ones too, which serve no less than the broken one, and is the cause all
/// the same.
fn compared<'a>(case: &Case<'a>) -> impl Iterator<Item = &'a Seen> {
    let below = case.level();
    let grows = |s: &&Seen| {
        let gain = s.throughput.zip(case.throughput());
        let gain = gain.and_then(|(x, y)| load::gain((s.level, x), (below, y)));
        gain.is_none_or(|gain| gain >= load::FLAT_GAIN)
    };
    let mut levels: Vec<f64> = (case.seen.iter())
        .filter(|s| s.held() && s.is_below(below))
        .filter(grows)
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
