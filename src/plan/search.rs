//! The limits of a plan's search.

use toml::Spanned;

use super::value::{self, Flag, Reader, Sourced};
use super::{EngineFacts, FindFlags, LoadPlan, OpenPlan, PlanError};
use crate::measure::{Arrivals, Level, LevelUnit};
use crate::profile;
use crate::search::SearchSpec;

/// What [`resolve`] found.
pub(super) struct ResolvedSearch {
    pub(super) search: SearchSpec,
    /// Whether the highest level was asked for.
    pub(super) max_is_explicit: bool,
    pub(super) load: LoadPlan,
    /// The load that the target must carry.
    pub(super) required: Option<Level>,
}

/// VUs that the open model may have at once when nothing else is said.
const DEFAULT_MOST_VUS: u32 = 5_000;
/// Highest rate when nothing else is said, per second.
const DEFAULT_MAX_RATE: Level = Level(20_000);

/// The search's limits, and what makes the load.
pub(super) fn resolve(
    section: &profile::SearchSection,
    flags: &FindFlags,
    reader: &Reader<'_>,
    engine: &dyn EngineFacts,
) -> Result<ResolvedSearch, PlanError> {
    let arrivals = arrivals(section, flags, reader, engine)?;
    let usual = SearchSpec::default();
    let defaults = match arrivals {
        None => SearchSpec {
            max: engine.highest_level().unwrap_or(usual.max),
            ..usual
        },
        // Whether a cycle is one request or several is known when the scenario is compiled.
        Some(_) => SearchSpec {
            unit: LevelUnit::RequestsPerS,
            max: DEFAULT_MAX_RATE,
            ..usual
        },
    };
    let keys = match arrivals {
        None => LevelKeys::of_vus(section, flags),
        Some(_) => LevelKeys::of_rates(section, flags),
    };
    keys.misplaced(arrivals)?;
    keys.misplaced_gate(reader)?;
    let levels = levels(&keys, reader, &defaults)?;
    let required = required(&keys, &levels, reader)?;
    let load = match arrivals {
        None => LoadPlan::Closed,
        Some(arrivals) => LoadPlan::Open(open(arrivals, section, flags, reader)?),
    };
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
        reference_holds: !flags.no_reference_holds && section.reference_holds.unwrap_or(true),
        ..times
    };
    Ok(ResolvedSearch {
        search: spec,
        max_is_explicit: !levels.max.is_default(),
        load,
        required,
    })
}

/// How cycles arrive in the open model; `None` for the closed one.
fn arrivals(
    section: &profile::SearchSection,
    flags: &FindFlags,
    reader: &Reader<'_>,
    engine: &dyn EngineFacts,
) -> Result<Option<Arrivals>, PlanError> {
    let flag = Flag("--rate", flags.rate.clone());
    // Who says that levels are VUs means it.
    let of_vus = [flags.min_vus, flags.start_vus, flags.require_vus];
    let keys = [&section.min_vus, &section.start_vus, &section.require_vus];
    let is_closed = flags.is_closed
        || of_vus.iter().any(Option::is_some)
        || keys.iter().any(|key| key.is_some());
    let default = engine.arrivals().filter(|_| !is_closed);
    let rate = reader.pick(flag, section.rate.as_ref(), default, |t| {
        value::arrivals(t).map(Some)
    })?;
    Ok(rate.value)
}

fn open(
    arrivals: Arrivals,
    section: &profile::SearchSection,
    flags: &FindFlags,
    reader: &Reader<'_>,
) -> Result<OpenPlan, PlanError> {
    let most = reader.pick(
        Flag("--max-vus", flags.max_vus.map(i64::from)),
        section.max_vus.as_ref(),
        Level(DEFAULT_MOST_VUS),
        |n| value::level(*n),
    )?;
    Ok(OpenPlan {
        arrivals,
        most_vus: most.value.get(),
        most_is_explicit: !most.is_default(),
    })
}

/// Where the levels stand: those of VUs or those of rates.
struct LevelKeys<'a> {
    min: Key<'a>,
    max: Key<'a>,
    start: Key<'a>,
    /// The gate.
    require: Key<'a>,
    /// The profile's key of the other kind of gate.
    strange_gate: Option<&'a Spanned<i64>>,
    /// Flags of the other kind that were given all the same.
    strangers: Vec<(&'static str, Option<u32>)>,
}

/// A flag's name, its value, and the profile's key.
struct Key<'a> {
    flag: &'static str,
    given: Option<u32>,
    in_profile: Option<&'a Spanned<i64>>,
}

impl<'a> LevelKeys<'a> {
    fn of_vus(section: &'a profile::SearchSection, flags: &FindFlags) -> Self {
        Self {
            min: Key::new("--min-vus", flags.min_vus, section.min_vus.as_ref()),
            max: Key::new("--max-vus", flags.max_vus, section.max_vus.as_ref()),
            start: Key::new("--start-vus", flags.start_vus, section.start_vus.as_ref()),
            require: Key::new(
                "--require-vus",
                flags.require_vus,
                section.require_vus.as_ref(),
            ),
            strange_gate: section.require_rate.as_ref(),
            strangers: vec![
                ("--require-rate", flags.require_rate),
                ("--min-rate", flags.min_rate),
                ("--max-rate", flags.max_rate),
                ("--start-rate", flags.start_rate),
            ],
        }
    }

    fn of_rates(section: &'a profile::SearchSection, flags: &FindFlags) -> Self {
        Self {
            min: Key::new("--min-rate", flags.min_rate, section.min_rate.as_ref()),
            max: Key::new("--max-rate", flags.max_rate, section.max_rate.as_ref()),
            start: Key::new(
                "--start-rate",
                flags.start_rate,
                section.start_rate.as_ref(),
            ),
            require: Key::new(
                "--require-rate",
                flags.require_rate,
                section.require_rate.as_ref(),
            ),
            strange_gate: section.require_vus.as_ref(),
            // The most VUs are a limit of the open model too.
            strangers: vec![
                ("--require-vus", flags.require_vus),
                ("--min-vus", flags.min_vus),
                ("--start-vus", flags.start_vus),
            ],
        }
    }

    /// A flag of the other model would be ignored in silence.
    fn misplaced(&self, arrivals: Option<Arrivals>) -> Result<(), PlanError> {
        let given = self
            .strangers
            .iter()
            .find_map(|(flag, value)| Some((*flag, (*value)?)));
        let Some((flag, value)) = given else {
            return Ok(());
        };
        let why = match arrivals {
            None => {
                "levels are VUs here; use --rate for rates (or `rate = \"poisson\"` in the \
                 profile's [search])"
            }
            Some(_) => {
                "levels are rates here; use --min-rate, --max-rate, --start-rate and --require-rate"
            }
        };
        Err(PlanError::Flag {
            flag,
            value: value.to_string(),
            why: why.to_owned(),
        })
    }
}

impl LevelKeys<'_> {
    /// A gate that is ignored would be one that always passes.
    fn misplaced_gate(&self, reader: &Reader<'_>) -> Result<(), PlanError> {
        let Some(key) = self.strange_gate.filter(|_| self.require.is_unset()) else {
            return Ok(());
        };
        let none = |n: &i64| value::level(*n);
        let placed = reader.pick(Flag::none(), Some(key), Level::ZERO, none)?;
        let why = format!(
            "this gate is for the other kind of level; use {} here",
            self.require.name()
        );
        Err(reader.blame(&[&placed], why))
    }
}

impl<'a> Key<'a> {
    fn is_unset(&self) -> bool {
        self.given.is_none() && self.in_profile.is_none()
    }

    fn new(flag: &'static str, given: Option<u32>, in_profile: Option<&'a Spanned<i64>>) -> Self {
        Self {
            flag,
            given,
            in_profile,
        }
    }

    /// As it is called in a profile.
    fn name(&self) -> &'static str {
        self.flag.trim_start_matches('-')
    }
}

/// The levels between which the search goes.
struct Levels {
    min: Level,
    max: Sourced<Level>,
    start: Level,
}

fn levels(
    keys: &LevelKeys<'_>,
    reader: &Reader<'_>,
    defaults: &SearchSpec,
) -> Result<Levels, PlanError> {
    let pick = |key: &Key<'_>, default| {
        let flag = Flag(key.flag, key.given.map(i64::from));
        reader.pick(flag, key.in_profile, default, |n| value::level(*n))
    };
    let min = pick(&keys.min, defaults.min)?;
    let max = pick(&keys.max, defaults.max)?;
    let start = pick(&keys.start, defaults.start)?;
    let (least, most) = (keys.min.name(), keys.max.name());
    let (low, high) = (min.value.get(), max.value.get());
    if low > high {
        let why = if max.is_default() {
            format!("{least} {low} is above {most}, {high} by default; set {most} too")
        } else {
            format!("{least} {low} is above {most} {high}")
        };
        return Err(reader.blame(&[&min, &max], why));
    }
    let first = start.value.get();
    if !start.is_default() && !(low..=high).contains(&first) {
        let first_key = keys.start.name();
        let why = format!("{first_key} {first} is outside {least} {low} to {most} {high}");
        return Err(reader.blame(&[&start, &min, &max], why));
    }
    Ok(Levels {
        start: start.value.clamp(min.value, max.value),
        min: min.value,
        max,
    })
}

/// The gate; one above the highest level could never pass.
fn required(
    keys: &LevelKeys<'_>,
    levels: &Levels,
    reader: &Reader<'_>,
) -> Result<Option<Level>, PlanError> {
    let key = &keys.require;
    let flag = Flag(key.flag, key.given.map(i64::from));
    let required = reader.pick(flag, key.in_profile, Level::ZERO, |n| value::level(*n))?;
    if required.is_default() {
        return Ok(None);
    }
    let (asked, highest) = (required.value.get(), levels.max.value.get());
    if asked > highest {
        let (name, most) = (key.name(), keys.max.name());
        let default = if levels.max.is_default() {
            ", the default"
        } else {
            ""
        };
        let why = format!(
            "{name} {asked} can never be proven: no level above {most} {highest}{default} is \
             visited; raise {most}"
        );
        return Err(reader.blame(&[&required, &levels.max], why));
    }
    Ok(Some(required.value))
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
    let warm_up = reader.pick(
        Flag("--warm-up", flags.warm_up.clone()),
        section.warm_up.as_ref(),
        None,
        |t| value::duration_or_none(t).map(Some),
    )?;
    let warms_up = warm_up.value.unwrap_or_default();
    if !warms_up.is_zero() && warms_up + hold_min.value > budget.value {
        let why = format!(
            "a budget of {:?} is too short for a warm-up of {warms_up:?} and one hold of {:?} \
             (hold-min)",
            budget.value, hold_min.value
        );
        return Err(reader.blame(&[&warm_up], why));
    }
    if hold_min.value > budget.value {
        let why = format!(
            "a budget of {:?} is too short for one hold of {:?} (hold-min)",
            budget.value, hold_min.value
        );
        return Err(reader.blame(&[&budget, &hold_min], why));
    }
    Ok(SearchSpec {
        budget: budget.value,
        hold_min: hold_min.value,
        hold_max: hold_max.value,
        settle_max: settle_max.value,
        warm_up: warm_up.value,
        ..defaults.clone()
    })
}
