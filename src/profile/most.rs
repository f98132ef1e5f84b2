//! How much of a kind a profile may have: each step, monitor and field takes memory for every
//! second of a run, and a profile may be anybody's.

use serde::de::{Deserialize, Deserializer};
use toml::Spanned;

use super::{MonitorSpec, Profile, ProfileError};
use crate::scenario::most::{STEPS, at_most, too_many};
use crate::scenario::spec::ScenarioSpec;

/// Monitors.
const MONITORS: usize = 64;
/// Fields that monitors take from pages and queries together, each with a value for every second.
const FIELDS: usize = 500;
/// Objectives.
const OBJECTIVES: usize = 100;

/// Populations, each of which has steps.
pub(super) fn populations<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    input: D,
) -> Result<Vec<T>, D::Error> {
    at_most::<T, D, STEPS>(input, "populations")
}

pub(super) fn monitors<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    input: D,
) -> Result<Vec<T>, D::Error> {
    at_most::<T, D, MONITORS>(input, "monitors")
}

pub(super) fn objectives<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<Vec<T>>, D::Error> {
    at_most::<T, D, OBJECTIVES>(input, "objectives").map(Some)
}

/// What several tables may have together.
pub(super) fn check(profile: &Profile) -> Result<(), ProfileError> {
    let others = profile.populations.iter();
    let scenarios = profile.scenario.iter();
    let scenarios = scenarios.chain(others.map(|p| &p.get_ref().scenario));
    let mut left = STEPS;
    for step in scenarios.flat_map(ScenarioSpec::all_steps) {
        left = left.checked_sub(1).ok_or_else(|| {
            let message = too_many("steps", STEPS);
            profile.source.error(Some(step.span()), message)
        })?;
    }
    let mut left = FIELDS;
    for monitor in &profile.monitors {
        left = left.checked_sub(fields(monitor)).ok_or_else(|| {
            let message = too_many("fields of monitors", FIELDS);
            profile.source.error(Some(monitor.span()), message)
        })?;
    }
    Ok(())
}

fn fields(monitor: &Spanned<MonitorSpec>) -> usize {
    let tables = [&monitor.get_ref().metrics, &monitor.get_ref().queries];
    let tables = tables.into_iter().flatten();
    tables.map(|table| table.get_ref().len()).sum()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use super::*;

    fn parsed(text: &str) -> Result<Profile, ProfileError> {
        Profile::parse(text, "p.toml", Path::new("."))
    }

    /// So many pieces.
    fn times(n: usize, piece: impl Fn(usize) -> String) -> String {
        (0..n).fold(String::new(), |mut all, i| {
            write!(all, "{}", piece(i)).unwrap();
            all
        })
    }

    /// A text with so many of something.
    type Text<'a> = &'a dyn Fn(usize) -> String;

    #[test]
    fn a_profile_has_so_much_of_everything_that_takes_memory_and_no_more() {
        let steps = |n| times(n, |_| "{ get = '/' },".to_owned());
        let fields = |n| times(n, |i| format!("f{i} = 'x',"));
        let texts: [(&str, usize, Text); 6] = [
            ("steps", STEPS, &|n| {
                format!("[scenario]\nsteps = [{}]", steps(n))
            }),
            // Those of two populations count together.
            ("steps", STEPS, &|n| {
                let one = steps(n / 2);
                let other = steps(n - n / 2);
                format!("[[population]]\nscenario.steps = [{one}]\n[scenario]\nsteps = [{other}]")
            }),
            ("populations", STEPS, &|n| {
                times(n, |_| {
                    "[[population]]\nscenario.steps = [{ get = '/' }]\n".to_owned()
                })
            }),
            ("monitors", MONITORS, &|n| {
                times(n, |i| format!("[[monitor]]\nname = 'm{i}'\n"))
            }),
            ("fields of monitors", FIELDS, &|n| {
                let (one, other) = (fields(n / 2), fields(n - n / 2));
                format!("[[monitor]]\nmetrics = {{ {one} }}\n[[monitor]]\nqueries = {{ {other} }}")
            }),
            ("objectives", OBJECTIVES, &|n| {
                format!("slo = [{}]", times(n, |_| "'errors<1%',".to_owned()))
            }),
        ];
        for (what, most, text) in texts {
            assert!(parsed(&text(most)).is_ok(), "{what}");
            let error = parsed(&text(most + 1)).unwrap_err().to_string();
            let told = format!("a profile may have at most {most} {what}");
            assert!(error.contains(&told), "{what}: {error}");
        }
    }
}
