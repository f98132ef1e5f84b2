//! What differs between two runs besides what was measured: only that is worth a line.

use crate::measure::Reading;
use crate::record::{Difference, PopulationRecord, RunRecord};
use crate::units;

/// Everything of profile, environment and program that differs. Seeds and times of day are meant
/// to.
pub(super) fn between(base: &RunRecord, candidate: &RunRecord) -> Vec<Difference> {
    let (a, b) = (facts(base), facts(candidate));
    let mut found: Vec<Difference> = a
        .iter()
        .zip(&b)
        .filter(|((_, x), (_, y))| x != y)
        .map(|((what, x), (_, y))| difference((*what).to_owned(), x.clone(), y.clone()))
        .collect();
    found.extend(limits(&base.plan.limits, &candidate.plan.limits));
    found
}

fn difference(what: String, base: String, candidate: String) -> Difference {
    Difference {
        what,
        base,
        candidate,
    }
}

/// What a run's profile, machine and program are, in the order in which it is told.
fn facts(record: &RunRecord) -> Vec<(&'static str, String)> {
    let (plan, env, answer) = (&record.plan, &record.environment, &record.answer);
    let share = |s: f64| format!("{:.4} %", 100.0 * s);
    vec![
        ("profile", record.profile.clone()),
        ("target", plan.target.clone()),
        ("engine", plan.engine.clone()),
        ("HTTP", plan.http_words()),
        ("steps", plan.steps.join(", ")),
        (
            "main step",
            plan.steps.get(plan.main_step).cloned().unwrap_or_default(),
        ),
        ("think time", units::format_seconds(plan.think_s)),
        (
            "arrivals",
            plan.arrivals.map_or("closed", |a| a.name()).to_owned(),
        ),
        ("populations", populations(&plan.populations)),
        ("lowest level", plan.min_level.to_string()),
        ("highest level", plan.max_level.to_string()),
        ("budget", units::format_seconds(plan.budget_s)),
        ("pace", format!("{}/s", plan.pace_per_s)),
        ("requested precision", share(answer.precision_asked)),
        ("confidence", share(answer.confidence)),
        ("kernel", env.kernel.clone()),
        ("CPUs", env.cpus.to_string()),
        ("descriptor limit", env.descriptor_limit.to_string()),
        ("local addresses", env.local_addresses.join(", ")),
        ("platform", env.platform.clone()),
        ("breakpoint version", record.breakpoint_version.clone()),
    ]
}

fn populations(populations: &[PopulationRecord]) -> String {
    let one = |p: &PopulationRecord| match (p.level, p.share) {
        (Some(level), _) => format!("{} of {}", p.unit.count(level), p.name),
        (None, Some(share)) => format!("share {share} of {}", p.name),
        (None, None) => format!("{} searched", p.name),
    };
    let all: Vec<String> = populations.iter().map(one).collect();
    if all.is_empty() {
        "users only".to_owned()
    } else {
        all.join(", ")
    }
}

/// Limits of monitored resources: those of the base in its order, then those that only the
/// candidate has.
fn limits(base: &[Reading], candidate: &[Reading]) -> Vec<Difference> {
    let of = |among: &[Reading], like: &Reading| {
        let same = |r: &&Reading| r.monitor == like.monitor && r.field == like.field;
        among.iter().find(same).and_then(|r| r.value)
    };
    let only_now = candidate.iter().filter(|r| of(base, r).is_none());
    base.iter()
        .chain(only_now)
        .filter_map(|reading| {
            let (a, b) = (of(base, reading), of(candidate, reading));
            let field: &str = &reading.field;
            let text = |v: Option<f64>| v.map_or_else(|| "none".to_owned(), |v| value(field, v));
            let (a, b) = (text(a), text(b));
            let what = format!("limit {}.{field}", reading.monitor);
            (a != b).then(|| difference(what, a, b))
        })
        .collect()
}

/// A limit as people read it: memory in bytes, else a plain number.
fn value(field: &str, value: f64) -> String {
    if field.contains("memory") || field.contains("heap") {
        units::format_bytes(value)
    } else {
        format!("{value}")
    }
}
