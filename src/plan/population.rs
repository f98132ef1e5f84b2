//! The populations of a plan: who loads the target beside the users of `[scenario]`, and whose VUs are the levels.

use toml::Spanned;

use super::value;
use super::{Amount, PopulationPlan, Populations};
use crate::measure::Level;
use crate::profile::{PopulationSpec, Profile, ProfileError, Source, nearest};

pub(super) fn resolve(profile: &Profile) -> Result<Populations, ProfileError> {
    let source = &profile.source;
    let searched = searched(profile)?;
    let mut others: Vec<PopulationPlan> = Vec::new();
    for (index, spec) in profile.populations.iter().enumerate() {
        let name = name(source, spec)?;
        if others.iter().any(|p| p.name == name) {
            let span = spec.as_ref().name.as_ref().map(Spanned::span);
            let message = format!("there are two populations named `{name}`");
            return Err(source.error(span, message));
        }
        others.push(PopulationPlan {
            amount: amount(source, spec, &name, searched == Some(index))?,
            name,
            scenario: Box::new(spec.as_ref().scenario.clone()),
        });
    }
    Ok(Populations {
        users: users(profile, searched.is_some())?,
        others,
    })
}

/// Which of the populations is searched; `None` when it is that of `[scenario]`.
fn searched(profile: &Profile) -> Result<Option<usize>, ProfileError> {
    let Some(wanted) = &profile.search.population else {
        return Ok(None);
    };
    let names: Vec<&str> = (profile.populations.iter())
        .filter_map(|p| Some(p.as_ref().name.as_ref()?.as_ref().as_str()))
        .collect();
    let found = (profile.populations.iter()).position(|p| {
        (p.as_ref().name.as_ref()).is_some_and(|name| name.as_ref() == wanted.as_ref())
    });
    if found.is_none() {
        let message = format!("there is no population `{}`", wanted.as_ref());
        let error = profile.source.error(Some(wanted.span()), message);
        return Err(match nearest(wanted.as_ref(), names.iter().copied()) {
            Some(near) => error.with_help(format!("did you mean `{near}`?")),
            None => error.with_help("add a [[population]] with this name"),
        });
    }
    Ok(found)
}

/// The users of `[scenario]`: searched, or a fixed number beside the population that is.
fn users(profile: &Profile, other_is_searched: bool) -> Result<Amount, ProfileError> {
    let source = &profile.source;
    match (&profile.search.users, other_is_searched) {
        (None, false) => Ok(Amount::Searched),
        (Some(users), true) => Ok(Amount::Vus(level(source, users)?)),
        (None, true) => Err(source
            .error(
                profile.search.population.as_ref().map(Spanned::span),
                "another population is searched, but the number of users of [scenario] is not set",
            )
            .with_help("add users = 100 to [search]")),
        (Some(users), false) => Err(source
            .error(
                Some(users.span()),
                "the number of users of [scenario] is what is searched",
            )
            .with_help("`users` goes with `population`, which names another population to search")),
    }
}

fn amount(
    source: &Source,
    spec: &Spanned<PopulationSpec>,
    name: &str,
    searched: bool,
) -> Result<Amount, ProfileError> {
    let population = spec.as_ref();
    match (&population.vus, &population.rate, searched) {
        (None, None, true) => Ok(Amount::Searched),
        (Some(vus), None, false) => Ok(Amount::Vus(level(source, vus)?)),
        (None, Some(rate), false) => Ok(Amount::PerSecond(level(source, rate)?)),
        (Some(_), Some(rate), _) => Err(source
            .error(
                Some(rate.span()),
                format!("population `{name}` has both vus and rate"),
            )
            .with_help(
                "vus is a number of users that loop, rate is a number of cycles started per second",
            )),
        (None, None, false) => Err(source
            .error(
                Some(spec.span()),
                format!("the size of population `{name}` is not set"),
            )
            .with_help("add vus = 5 or rate = 100 (cycles started per second)")),
        (Some(given), None, true) | (None, Some(given), true) => Err(source
            .error(
                Some(given.span()),
                format!("population `{name}` is searched: its number is the result"),
            )
            .with_help("remove this; min-vus and max-vus of [search] are its limits")),
    }
}

fn level(source: &Source, number: &Spanned<i64>) -> Result<Level, ProfileError> {
    value::level(*number.as_ref()).map_err(|why| source.error(Some(number.span()), why))
}

fn name(source: &Source, spec: &Spanned<PopulationSpec>) -> Result<String, ProfileError> {
    let Some(name) = &spec.as_ref().name else {
        return Err(source
            .error(Some(spec.span()), "a population needs a name")
            .with_help("add name = \"abusers\"; objectives then read errors(abusers)<50%"));
    };
    let text = name.as_ref();
    let fits = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    if text.is_empty() || !text.chars().all(fits) {
        let message = format!(
            "`{text}` is not a valid name of a population; use letters, digits, `-` and \
                `_`"
        );
        return Err(source.error(Some(name.span()), message));
    }
    Ok(text.clone())
}
