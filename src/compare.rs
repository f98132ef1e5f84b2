//! Runs beside each other: recorded runs in, a [`CompareRecord`] out.
//!
//! What is estimated and how is in docs/compare.md. A comparison is made of the runs' records
//! alone, so that it can be made again from the files.

mod change;
mod differences;
mod gate;
mod observed;
mod run_estimate;
pub mod scale;
mod scale_gate;
mod scaling;

pub use gate::{Bound, Condition, GateError};

use crate::measure::StepTable;
use crate::record::{
    COMPARE_SCHEMA_VERSION, Change, CompareRecord, ComparedMetric, ComparedRun, Comparison,
    RunRecord,
};
use crate::stats::ratio;

/// A run with the name by which it is told.
#[derive(Debug, Clone)]
pub struct Named {
    /// Where it lies, as it was named.
    pub name: String,
    /// What was recorded.
    pub record: RunRecord,
    /// Size of the system, where it was told.
    pub size: Option<f64>,
}

/// What is held against what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Design {
    /// Every further run against the first.
    EachWithFirst,
    /// Two sides, run in turn: pairs of indices, base first.
    Pairs(Vec<(usize, usize)>),
    /// The breakpoint against the size.
    Sizes,
}

/// Why runs cannot be compared at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// There is nothing to compare with.
    #[error("a comparison needs at least two runs")]
    TooFew,
    /// They were judged by different objectives.
    #[error(
        "the runs have different SLOs, so their breakpoints are not comparable: {base} \
         ({base_slo}), {other} ({other_slo}); run one of them again with the SLO of the other \
         (`breakpoint find --slo`)"
    )]
    Slo {
        /// The first run.
        base: String,
        /// Its objectives.
        base_slo: String,
        /// The one that differs.
        other: String,
        /// Its objectives.
        other_slo: String,
    },
    /// Their levels count different things.
    #[error(
        "the levels of {base} are {base_unit} and those of {other} are {other_unit}: they cannot \
         be compared"
    )]
    Unit {
        /// The first run.
        base: String,
        /// What its levels are.
        base_unit: String,
        /// The one that differs.
        other: String,
        /// What its levels are.
        other_unit: String,
    },
    /// The scaling cannot be fitted.
    #[error("--sizes: {0}")]
    Sizes(String),
}

/// Compares runs.
///
/// # Errors
/// When they are fewer than two, have different SLOs or units, or a scaling cannot be fitted.
pub fn compare(
    runs: &[Named],
    design: &Design,
    conditions: &[Condition],
    made_at: String,
) -> Result<CompareRecord, CompareError> {
    let first = comparable(runs)?;
    let confidence = (runs.iter())
        .map(|r| r.record.answer.confidence)
        .fold(first.record.answer.confidence, f64::max);
    let mut notes = Vec::new();
    if runs.iter().any(|r| r.record.answer.confidence < confidence) {
        notes.push(format!(
            "the runs have different confidences; {:.0} % is used for all",
            100.0 * confidence
        ));
    }
    notes.extend(runs.iter().flat_map(beside_number));
    let comparisons = match design {
        Design::Sizes => Vec::new(),
        Design::Pairs(pairs) => vec![comparison(runs, pairs, confidence)],
        Design::EachWithFirst => {
            let each = (1..runs.len()).map(|i| comparison(runs, &[(0, i)], confidence));
            let mut each: Vec<Comparison> = each.collect();
            correct(&mut each, confidence);
            each
        }
    };
    if comparisons.len() > 1 {
        notes.push(format!(
            "{} candidates are compared to one base: the p-values are corrected for that (Holm), \
             the intervals are not",
            comparisons.len()
        ));
    }
    let scaling = match design {
        Design::Sizes => Some(scaling::fit(runs, confidence).map_err(CompareError::Sizes)?),
        _ => None,
    };
    let steps = steps(&first.record);
    Ok(CompareRecord {
        schema_version: COMPARE_SCHEMA_VERSION,
        breakpoint_version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at,
        slo: first.record.slo.clone(),
        unit: first.record.plan.unit,
        counted: steps.counted(),
        step: main_step(&steps).to_owned(),
        confidence,
        runs: runs.iter().map(compared).collect(),
        gates: gate::judge(conditions, &comparisons),
        comparisons,
        scaling,
        notes,
    })
}

/// What a run noticed beside its number, and what it cannot know: two numbers may differ for that
/// and for nothing else.
fn beside_number(run: &Named) -> impl Iterator<Item = String> {
    let answer = &run.record.answer;
    let noticed = (answer.noticed.iter()).map(|n| format!("{}: {}", n.kind.label(), n.text.trim()));
    let texts = noticed.chain(answer.unseen.clone());
    texts.map(|text| format!("{}: {}", run.name, text.trim_end_matches('.')))
}

/// The first run, once all fit it.
fn comparable(runs: &[Named]) -> Result<&Named, CompareError> {
    let [first, others @ ..] = runs else {
        return Err(CompareError::TooFew);
    };
    if others.is_empty() {
        return Err(CompareError::TooFew);
    }
    for other in others {
        if other.record.slo != first.record.slo {
            return Err(CompareError::Slo {
                base: first.name.clone(),
                base_slo: first.record.slo.join(", "),
                other: other.name.clone(),
                other_slo: other.record.slo.join(", "),
            });
        }
        let (base, unit) = (levels(&first.record), levels(&other.record));
        if base != unit {
            return Err(CompareError::Unit {
                base: first.name.clone(),
                base_unit: base,
                other: other.name.clone(),
                other_unit: unit,
            });
        }
    }
    Ok(first)
}

/// What the levels of a run count: `VUs`, or `VUs of abusers`.
fn levels(record: &RunRecord) -> String {
    let unit = record.plan.unit.name();
    match record.plan.populations.iter().find(|p| p.level.is_none()) {
        Some(searched) => format!("{unit} of {}", searched.name),
        None => unit.to_owned(),
    }
}

fn steps(record: &RunRecord) -> StepTable {
    StepTable::of_record(&record.plan.steps, record.plan.main_step)
}

fn main_step(steps: &StepTable) -> &str {
    steps.name(steps.main())
}

fn compared(run: &Named) -> ComparedRun {
    let (record, answer) = (&run.record, &run.record.answer);
    ComparedRun {
        name: run.name.clone(),
        profile: record.profile.clone(),
        started_at: record.started_at.clone(),
        ending: answer.ending,
        breakpoint: answer.breakpoint,
        ci_low: answer.ci_low,
        ci_high: answer.ci_high,
        size: run.size,
        limiting_resource: answer.limiting_resource.clone(),
    }
}

/// One candidate against the base, of one pair of runs or of several.
fn comparison(runs: &[Named], pairs: &[(usize, usize)], confidence: f64) -> Comparison {
    let records: Vec<(&RunRecord, &RunRecord)> = pairs
        .iter()
        .map(|(a, b)| (&runs[*a].record, &runs[*b].record))
        .collect();
    let changes = ComparedMetric::ALL.map(|m| change::of(m, &records, confidence));
    let name = |i: usize| {
        if pairs.len() > 1 {
            runs[i].record.profile.clone()
        } else {
            runs[i].name.clone()
        }
    };
    let first = pairs.first().copied().unwrap_or_default();
    let (base, candidate) = (&runs[first.0], &runs[first.1]);
    Comparison {
        base: name(first.0),
        candidate: name(first.1),
        pairs: pairs.to_vec(),
        changes: changes.to_vec(),
        limited_before: base.record.answer.limiting_resource.clone(),
        limited_now: candidate.record.answer.limiting_resource.clone(),
        differences: differences::between(&base.record, &candidate.record),
    }
}

/// Holm's correction over the candidates, per metric, and the verdicts that are left.
fn correct(comparisons: &mut [Comparison], confidence: f64) {
    for metric in 0..ComparedMetric::ALL.len() {
        let mut tested: Vec<&mut Change> = comparisons
            .iter_mut()
            .filter_map(|c| c.changes.get_mut(metric))
            .filter(|c| c.p_value.is_some())
            .collect();
        let p_values: Vec<f64> = tested.iter().filter_map(|c| c.p_value).collect();
        let corrected = ratio::holm(&p_values);
        for (change, p) in tested.iter_mut().zip(corrected) {
            change.p_value = Some(p);
            change.verdict = change::verdict(change, confidence);
        }
    }
}

#[cfg(test)]
mod tests;
