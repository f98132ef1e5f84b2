//! What gave way, named once more when all of a run is known: the first probe that broke had little
//! to be compared with.

use super::{Run, RunEnvironment};
use crate::cause::{self, Explained, ObservedProbe, Spoiled};
use crate::record::{HoldEnd, LimitingResource, Sureness};
use crate::slo::Verdict;

/// What comes of looking at a whole run once more.
#[derive(Debug, Default)]
pub(super) struct Explaining {
    /// What looked like a cause and was none, and that others on the machine spoiled probes.
    pub(super) warnings: Vec<String>,
    /// The generator as a finding, where its last spoiled probe makes it one.
    pub(super) generator: Option<LimitingResource>,
}

impl<S: RunEnvironment> Run<'_, S> {
    /// Names the causes of every broken probe. One that says nothing of latencies and errors, as
    /// the generator was late, names what is certain however late it was: a kill that the kernel
    /// counted.
    pub(super) fn explain_again(&mut self) -> Explaining {
        let explain = |seen: &ObservedProbe| {
            cause::explain(&self.case(&seen.measurement, &seen.before, &seen.lines))
        };
        let of = |verdict: Verdict, end: HoldEnd| match (verdict, end) {
            (_, HoldEnd::Invalid) => Some(Sureness::Certain),
            (Verdict::Broke, _) => Some(Sureness::Possible),
            _ => None,
        };
        let all: Vec<(usize, Sureness, Explained)> = (self.seen.iter().zip(&self.probes))
            .enumerate()
            .filter_map(|(i, (seen, p))| Some((i, of(p.verdict, p.end)?, explain(seen))))
            .collect();
        let broken = all
            .iter()
            .filter(|(i, ..)| self.probes[*i].end != HoldEnd::Invalid);
        let mut explaining = Explaining {
            warnings: cause::ruled_out(broken.map(|(_, _, explained)| explained)),
            generator: None,
        };
        self.spoiled(&mut explaining);
        for (i, least, explained) in all {
            let causes = explained.causes.into_iter();
            let mut causes = causes.filter(|cause| cause.sureness >= least);
            self.probes[i].limiting_resource = causes.next();
            self.probes[i].other_causes = causes.collect();
        }
        explaining
    }

    /// Whose doing the spoiled probes are.
    fn spoiled(&self, explaining: &mut Explaining) {
        let both = self.seen.iter().zip(&self.probes);
        let spoiled: Vec<Spoiled> = both
            .filter(|(_, probe)| probe.end == HoldEnd::Invalid)
            .map(|(seen, probe)| {
                let case = self.case(&seen.measurement, &seen.before, &seen.lines);
                cause::spoiled(&case, &probe.reason)
            })
            .collect();
        let by_others = |s: &&Spoiled| matches!(s, Spoiled::Others(_));
        let count = spoiled.iter().filter(by_others).count();
        if let Some(Spoiled::Others(how)) = spoiled.iter().rfind(by_others) {
            let all = self.probes.len();
            (explaining.warnings).push(cause::spoiled_by_others(count, all, how));
        }
        if let Some(Spoiled::Generator(finding)) = spoiled.last() {
            explaining.generator = Some(finding.clone());
        }
    }
}
