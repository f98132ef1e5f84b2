//! The limits of a plan's search.

use toml::Spanned;

use super::value::{self, Flag, Reader, Sourced};
use super::{FindFlags, PlanError};
use crate::measure::Level;
use crate::profile;
use crate::search::SearchSpec;

/// The search's limits, and whether the highest level was asked for.
pub(super) fn resolve(
    section: &profile::SearchSection,
    flags: &FindFlags,
    reader: &Reader<'_>,
) -> Result<(SearchSpec, bool), PlanError> {
    let defaults = SearchSpec::default();
    let levels = levels(section, flags, reader, &defaults)?;
    let precision = reader.pick(
        Flag("--precision", flags.precision.clone()),
        section.precision.as_ref(),
        defaults.precision,
        |t| value::precision(t),
    )?;
    let confidence = reader.pick(
        Flag("--confidence", flags.confidence.clone()),
        section.confidence.as_ref(),
        defaults.confidence,
        |t| value::confidence(t),
    )?;
    let seed = reader.pick(
        Flag("--seed", flags.seed.map(i128::from)),
        section
            .seed
            .as_ref()
            .map(|s| Spanned::new(s.span(), i128::from(*s.as_ref())))
            .as_ref(),
        defaults.seed,
        |n| value::seed(*n),
    )?;
    let times = times(section, flags, reader, &defaults)?;
    let spec = SearchSpec {
        min: levels.min,
        max: levels.max.value,
        start: levels.start,
        precision: precision.value,
        confidence: confidence.value,
        seed: seed.value,
        ..times
    };
    Ok((spec, !levels.max.is_default()))
}

/// The levels between which the search goes.
struct Levels {
    min: Level,
    max: Sourced<Level>,
    start: Level,
}

fn levels(
    section: &profile::SearchSection,
    flags: &FindFlags,
    reader: &Reader<'_>,
    defaults: &SearchSpec,
) -> Result<Levels, PlanError> {
    let pick = |name, flag: Option<u32>, key: &Option<Spanned<i64>>, default| {
        reader.pick(
            Flag(name, flag.map(i64::from)),
            key.as_ref(),
            default,
            |n| value::level(*n),
        )
    };
    let min = pick("--min-vus", flags.min_vus, &section.min_vus, defaults.min)?;
    let max = pick("--max-vus", flags.max_vus, &section.max_vus, defaults.max)?;
    let start = pick(
        "--start-vus",
        flags.start_vus,
        &section.start_vus,
        defaults.start,
    )?;
    let (low, high) = (min.value.vus(), max.value.vus());
    if low > high {
        let why = if max.is_default() {
            format!("min-vus {low} is above max-vus, {high} by default; give max-vus too")
        } else {
            format!("min-vus {low} is above max-vus {high}")
        };
        return Err(reader.blame(&[&min, &max], why));
    }
    let first = start.value.vus();
    if !start.is_default() && !(low..=high).contains(&first) {
        let why = format!("start-vus {first} lies outside min-vus {low} to max-vus {high}");
        return Err(reader.blame(&[&start, &min, &max], why));
    }
    Ok(Levels {
        start: start.value.clamp(min.value, max.value),
        min: min.value,
        max,
    })
}

/// The times of the search; those that are not given shrink with the budget.
fn times(
    section: &profile::SearchSection,
    flags: &FindFlags,
    reader: &Reader<'_>,
    defaults: &SearchSpec,
) -> Result<SearchSpec, PlanError> {
    let time = |key: &Option<Spanned<String>>, default| {
        reader.pick(Flag::none(), key.as_ref(), default, |t| value::duration(t))
    };
    let budget = reader.pick(
        Flag("--budget", flags.budget.clone()),
        section.budget.as_ref(),
        defaults.budget,
        |t| value::duration(t),
    )?;
    let mut hold_min = time(
        &section.hold_min,
        defaults.hold_min.min(budget.value.div_f64(4.0)),
    )?;
    let mut hold_max = time(
        &section.hold_max,
        defaults.hold_max.min(budget.value.div_f64(2.0)),
    )?;
    let settle_max = time(
        &section.settle_max,
        defaults.settle_max.min(budget.value.div_f64(2.0)),
    )?;
    if hold_min.value > hold_max.value {
        if hold_max.is_default() {
            hold_max.value = hold_min.value;
        } else if hold_min.is_default() {
            hold_min.value = hold_max.value;
        } else {
            let why = format!(
                "hold-min {:?} is above hold-max {:?}",
                hold_min.value, hold_max.value
            );
            return Err(reader.blame(&[&hold_min, &hold_max], why));
        }
    }
    if hold_min.value > budget.value {
        let why = format!(
            "a budget of {:?} has no room for one hold of {:?} (hold-min)",
            budget.value, hold_min.value
        );
        return Err(reader.blame(&[&budget, &hold_min], why));
    }
    Ok(SearchSpec {
        budget: budget.value,
        hold_min: hold_min.value,
        hold_max: hold_max.value,
        settle_max: settle_max.value,
        ..defaults.clone()
    })
}
