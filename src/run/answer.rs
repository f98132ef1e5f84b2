//! From the search's conclusion to the answer that people read.

use super::RunSpec;
use crate::cause;
use crate::measure::StepTable;
use crate::record::{
    Answer, CauseKind, Ending, HoldEnd, LimitingResource, Plateau, ProbeRecord, Purpose,
    StepRecord, Sureness, VisitSummary,
};
use crate::search::{Conclusion, Estimate, Search};
use crate::slo::{Metric, Slo, Verdict};

/// Points of the breakpoint's distribution that are kept for charts.
const DISTRIBUTION_POINTS: usize = 60;

pub(super) fn assemble(
    spec: &RunSpec,
    search: &Search,
    conclusion: &Conclusion,
    probes: &[ProbeRecord],
    search_s: f64,
    generator: Option<LimitingResource>,
) -> Answer {
    let estimate = conclusion.estimate.as_ref();
    let (low, high) = estimate.map_or((None, None), |e| {
        (Some(whole(e.low.floor())), Some(whole(e.high.ceil())))
    });
    let named = estimate.map(|e| named(e, conclusion.ending));
    let first_broke = conclusion.first_broke.map(|i| search.visits()[i].probe);
    let last_held = conclusion.last_held.map(|i| search.visits()[i].probe);
    let binding = binding_objective(spec, estimate, first_broke.map(|i| &probes[i]));
    let summary = |probe: usize| visit_summary(&spec.slo, &spec.steps, &probes[probe], binding);
    let mut causes = causes(spec, conclusion, estimate, probes, generator).into_iter();
    let search_s = (search_s * 1e3).round() / 1e3;
    Answer {
        ending: conclusion.ending,
        reason: conclusion.reason.clone(),
        breakpoint: named.and_then(|(number, _)| number),
        ci_low: low,
        ci_high: high,
        confidence: spec.search.confidence,
        precision_asked: spec.search.precision,
        precision_reached: named.map(|(_, half_width)| half_width),
        as_narrow_as_asked: estimate.is_some() && conclusion.as_narrow_as_asked,
        last_held: last_held.map(summary),
        first_broke: first_broke.map(summary),
        references: (probes.iter())
            .filter(|p| p.purpose == Purpose::Reference && p.end == HoldEnd::Complete)
            .map(|p| summary(p.index))
            .collect(),
        broken_objective: binding
            .zip(first_broke)
            .map(|(binding, broke)| broken_objective(&spec.slo, binding, &probes[broke])),
        limiting_resource: causes.next(),
        other_causes: causes.collect(),
        knee: if spec.steps.users_are_searched() {
            Plateau::of(&spec.plan, probes).map(|p| whole(p.knee))
        } else {
            None
        },
        peak_throughput_per_s: probes
            .iter()
            .filter(|p| p.purpose != Purpose::WarmUp)
            .filter_map(|p| p.throughput_per_s)
            .max_by(f64::total_cmp),
        visits: u32::try_from(estimate.map_or(0, |e| e.fit.visits)).unwrap_or(u32::MAX),
        rests_on_s: estimate.map_or(0.0, |e| search.held_s(e)),
        outlook: estimate.and_then(|e| search.outlook(e)),
        search_s,
        distribution: estimate.map_or_else(Vec::new, |e| thinned(&e.fit.distribution)),
        downside_skew: estimate.map_or(0.0, |e| e.fit.downside_skew),
        noticed: conclusion.noticed.clone(),
        unseen: conclusion.unseen.clone(),
        curves: conclusion.curves.clone(),
    }
}

fn whole(vus: f64) -> u32 {
    crate::measure::Level::nearest(vus).get()
}

/// The breakpoint, and the half-width as a fraction of it. Of an interval without a number it is a
/// fraction of the middle.
fn named(estimate: &Estimate, ending: Ending) -> (Option<u32>, f64) {
    if ending == Ending::Bracketed {
        let (low, high) = (estimate.low, estimate.high);
        return (None, (high - low) / (high + low));
    }
    (Some(whole(estimate.vus.floor())), estimate.half_width())
}

fn thinned(distribution: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let step = distribution.len().div_ceil(DISTRIBUTION_POINTS).max(1);
    distribution.iter().copied().step_by(step).collect()
}

/// The objective that the estimate binds to, or the worst one of the first broken probe.
fn binding_objective(
    spec: &RunSpec,
    estimate: Option<&Estimate>,
    broke: Option<&ProbeRecord>,
) -> Option<usize> {
    estimate.map(|e| e.binding).or_else(|| {
        broke?
            .objectives
            .iter()
            .enumerate()
            .filter(|(i, o)| o.verdict == Verdict::Broke && *i < spec.slo.objectives().len())
            .map(|(i, _)| i)
            .next()
    })
}

/// The objective to name as broken. A latency objective whose percentile looks well, or is missing,
/// broke through failures: then the objective on errors says more, if there is one.
fn broken_objective(slo: &Slo, binding: usize, broke: &ProbeRecord) -> String {
    let objectives = slo.objectives();
    let seen = &broke.objectives[binding];
    let looks_well = seen
        .observed
        .is_none_or(|value| objectives[binding].is_met_by(value));
    let errors = objectives.iter().zip(&broke.objectives).find(|(o, seen)| {
        matches!(o.metric, Metric::Errors { .. }) && seen.verdict == Verdict::Broke
    });
    match errors {
        Some((errors, _)) if looks_well => errors.text.clone(),
        _ => objectives[binding].text.clone(),
    }
}

fn visit_summary(
    slo: &Slo,
    steps: &StepTable,
    probe: &ProbeRecord,
    binding: Option<usize>,
) -> VisitSummary {
    // A latency says most; errors and sheds stand beside it anyway.
    let latency = slo
        .objectives()
        .iter()
        .position(|o| o.latency_limit().is_some());
    let index = latency.or(binding).unwrap_or(0);
    let objective = &slo.objectives()[index];
    let name = objective.metric_name(steps);
    let observed = match probe.objectives.get(index).and_then(|o| o.observed) {
        Some(value) => format!("{name} {}", objective.format_value(value)),
        None => format!("{name} no data"),
    };
    let (error_ratio, shed_ratio) = probe.overall().map_or((0.0, 0.0), ratios);
    VisitSummary {
        probe: probe.index,
        level: probe.level,
        observed,
        error_ratio,
        shed_ratio,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn ratios(cycle: &StepRecord) -> (f64, f64) {
    let failed: u64 = cycle
        .failed
        .iter()
        .filter(|(k, _)| !k.is_generator_fault())
        .map(|(_, n)| n)
        .sum();
    let all = cycle.completed + failed;
    let with_sheds = all + cycle.shed;
    let ratio = |n: u64, of: u64| if of == 0 { 0.0 } else { n as f64 / of as f64 };
    (ratio(failed, all), ratio(cycle.shed, with_sheds))
}

/// What gave way, over the broken probes nearest above the breakpoint: the surest first; of equally
/// sure causes the one that most of these probes show, and of those the one of the lowest level.
fn causes(
    spec: &RunSpec,
    conclusion: &Conclusion,
    estimate: Option<&Estimate>,
    probes: &[ProbeRecord],
    generator: Option<LimitingResource>,
) -> Vec<LimitingResource> {
    match conclusion.ending {
        Ending::NeverBroke => return Vec::new(),
        Ending::GeneratorLimited => {
            // What was wrong with the last probe says more than that probes were invalid. One that
            // others spoiled is no finding.
            if probes.last().is_none_or(|p| p.end != HoldEnd::Invalid) {
                return vec![the_generator(&conclusion.reason)];
            }
            if let Some(generator) = generator
                .as_ref()
                .filter(|g| g.sureness == Sureness::Certain)
            {
                return vec![generator.clone()];
            }
        }
        _ => {}
    }
    // One that may have been the limit stands beside what broken probes show.
    let generator = generator.filter(|_| conclusion.ending == Ending::GeneratorLimited);
    let near = estimate.map_or(f64::INFINITY, |e| e.high * 1.3);
    let mut broken: Vec<&ProbeRecord> = probes
        .iter()
        .filter(|p| p.limiting_resource.is_some() && f64::from(p.level.get()) <= near)
        // What gives way after the search at a level that held in it is another matter.
        .filter(|p| p.purpose != Purpose::Reference)
        .collect();
    broken.sort_by_key(|p| p.level);
    let of = |p: &'_ ProbeRecord| -> Vec<LimitingResource> {
        p.limiting_resource
            .iter()
            .chain(&p.other_causes)
            .cloned()
            .collect()
    };
    let mut found: Vec<(LimitingResource, usize)> = Vec::new();
    for probe in broken {
        for cause in of(probe) {
            let same = |(c, _): &&mut (LimitingResource, usize)| {
                c.kind == cause.kind && c.resource == cause.resource
            };
            match found.iter_mut().find(same) {
                Some((known, seen)) => {
                    *seen += 1;
                    if cause.sureness > known.sureness {
                        *known = cause;
                    }
                }
                None => found.push((cause, 1)),
            }
        }
    }
    found.extend(generator.map(|generator| (generator, 0)));
    // Stable: within a probe, the rules' own order stays.
    found.sort_by(|(a, in_a), (b, in_b)| b.sureness.cmp(&a.sureness).then(in_b.cmp(in_a)));
    let found = found.into_iter().map(|(cause, _)| cause).collect();
    with_leaks(
        conclusion.ending == Ending::TimeDriven,
        found,
        cause::leaks(probes, &spec.plan.limits, spec.plan.unit),
    )
}

/// Adds what leaks over the whole run. A leak comes before the limit that it reached, and first
/// where time broke the SLO; one that reached nothing is told behind what gave way.
fn with_leaks(
    time_driven: bool,
    mut found: Vec<LimitingResource>,
    leaks: Vec<LimitingResource>,
) -> Vec<LimitingResource> {
    for mut leak in leaks {
        let monitor = monitor_of(&leak).to_owned();
        let of_it = |c: &LimitingResource| monitor_of(c) == monitor;
        // One probe may have shown it already, more surely.
        let known = (found.iter()).position(|c| c.kind == Some(CauseKind::Leak) && of_it(c));
        if let Some(known) = known.map(|at| found.remove(at))
            && known.sureness > leak.sureness
        {
            leak = known;
        }
        let reached = found.iter().find(|c| is_memory_limit(c) && of_it(c));
        let reached = reached.map(|c| c.sureness);
        leak.sureness = reached.map_or(leak.sureness, |s| s.max(leak.sureness));
        if time_driven || reached.is_some() || leak.sureness == Sureness::Certain {
            found.insert(0, leak);
        } else {
            found.push(leak);
        }
    }
    found
}

/// The monitor that a resource belongs to: the first word of its name.
fn monitor_of(cause: &LimitingResource) -> &str {
    cause.resource.split(' ').next().unwrap_or_default()
}

fn is_memory_limit(cause: &LimitingResource) -> bool {
    use CauseKind::{HeapLimit, HeapThrash, MemoryKill, MemoryLimit};
    matches!(
        cause.kind,
        Some(MemoryKill | MemoryLimit | HeapLimit | HeapThrash)
    )
}

fn the_generator(reason: &str) -> LimitingResource {
    LimitingResource {
        kind: Some(CauseKind::Generator),
        resource: "the load generator".to_owned(),
        evidence: reason.to_owned(),
        sureness: Sureness::Certain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::fit::Fit;
    use CauseKind::{HeapLimit, Leak, SingleThread};
    use Sureness::{Certain, Likely};

    fn cause(kind: CauseKind, resource: &str, sureness: Sureness) -> LimitingResource {
        LimitingResource {
            kind: Some(kind),
            resource: resource.to_owned(),
            evidence: String::new(),
            sureness,
        }
    }

    #[test]
    fn an_interval_without_a_number_names_none() {
        let estimate = Estimate {
            binding: 0,
            vus: 64.9,
            low: 59.0,
            high: 83.0,
            fit: Fit::unknown(64.9, 59.0, 83.0),
        };
        let (number, reached) = named(&estimate, Ending::Bracketed);
        assert_eq!(number, None);
        assert!((reached - 24.0 / 142.0).abs() < 1e-12, "{reached}");
        let (number, reached) = named(&estimate, Ending::Found);
        assert_eq!(number, Some(64));
        assert!((reached - 12.0 / 64.9).abs() < 1e-12, "{reached}");
    }

    #[test]
    fn a_leak_comes_before_the_limit_that_it_reached_and_costs_no_other_finding() {
        let heap = cause(HeapLimit, "gateway heap", Certain);
        let cpu = cause(SingleThread, "ai CPU", Likely);
        let leak = |of: &str, sureness| cause(Leak, of, sureness);
        let found = with_leaks(
            false,
            vec![heap.clone(), cpu.clone()],
            vec![leak("gateway heap", Likely), leak("ai memory", Likely)],
        );
        // Both leaks are there; that of the AI server reached nothing.
        let wanted = [
            leak("gateway heap", Certain),
            heap.clone(),
            cpu.clone(),
            leak("ai memory", Likely),
        ];
        assert_eq!(found, wanted);
        // A probe that died of it said so more surely, and its kill is not told apart.
        let seen = vec![leak("gateway memory", Certain), cpu.clone()];
        let found = with_leaks(false, seen.clone(), vec![leak("gateway heap", Likely)]);
        assert_eq!(found, seen);
        let found = with_leaks(true, vec![cpu.clone()], vec![leak("ai memory", Likely)]);
        assert_eq!(
            found,
            [leak("ai memory", Likely), cpu],
            "time broke the SLO"
        );
    }
}
