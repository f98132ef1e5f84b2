//! The populations of a plan: who loads the target beside the users of `[scenario]`, whose VUs are
//! the levels, and which kinds of users share a level.

use toml::Spanned;

use super::value;
use crate::measure::{Level, MOST_SHARE, StepTable};
use crate::profile::{PopulationSpec, Profile, ProfileError, Source, nearest};
use crate::scenario::spec::ScenarioSpec;

/// Everybody who loads the target.
#[derive(Debug, Clone)]
pub struct Populations {
    /// The name of the users in files and flags: of those of `[scenario]` [`USERS`], else of the
    /// last kind of a mix.
    pub name: String,
    /// How many of them there are.
    pub users: Amount,
    /// The others; at most one of all is searched, and exactly one when the users are not. The
    /// kinds of a mix come last, and the users are one of them.
    pub others: Vec<PopulationPlan>,
}

/// What the users of `[scenario]` are called.
pub const USERS: &str = "users";

impl Default for Populations {
    fn default() -> Self {
        Self {
            name: USERS.to_owned(),
            users: Amount::Searched,
            others: Vec::new(),
        }
    }
}

impl Populations {
    /// Everybody's name and number: the users first, or as the last kind of a mix last.
    pub fn amounts(&self) -> impl Iterator<Item = (&str, Amount)> {
        let users = Some((self.name.as_str(), self.users));
        let (first, last) = match self.users.share() {
            None => (users, None),
            Some(_) => (None, users),
        };
        let others = self.others.iter().map(|o| (o.name.as_str(), o.amount));
        first.into_iter().chain(others).chain(last)
    }

    /// The shares of the kinds of a mix, in the order in which they are run; nothing where there is
    /// none.
    pub fn shares(&self) -> Vec<u32> {
        let others = self.others.iter().map(|o| o.amount);
        others
            .chain([self.users])
            .filter_map(Amount::share)
            .collect()
    }
}

/// Users of another kind than those of `[scenario]`.
#[derive(Debug, Clone)]
pub struct PopulationPlan {
    /// Their name in objectives and files.
    pub name: String,
    /// How many there are.
    pub amount: Amount,
    /// What each of them does.
    pub scenario: Box<ScenarioSpec>,
}

/// How many there are of a population.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Amount {
    /// As many as the search asks for: the level.
    #[default]
    Searched,
    /// This part of the level, beside the parts of the other kinds of a mix.
    Share(u32),
    /// So many VUs, each in a loop.
    Vus(Level),
    /// So many cycles begin per second, evenly spaced, however slow the target is.
    PerSecond(Level),
}

impl Amount {
    /// Their number, or their rate; `None` where it is searched.
    pub fn fixed(self) -> Option<Level> {
        match self {
            Self::Searched | Self::Share(_) => None,
            Self::Vus(level) | Self::PerSecond(level) => Some(level),
        }
    }

    /// Its part of the level, where it is one kind of a mix.
    pub fn share(self) -> Option<u32> {
        match self {
            Self::Share(share) => Some(share),
            Self::Searched | Self::Vus(_) | Self::PerSecond(_) => None,
        }
    }

    /// Whether their number goes with the level.
    pub fn is_searched(self) -> bool {
        self.fixed().is_none()
    }
}

/// What [`resolve`] found.
pub(super) struct ResolvedPopulations {
    pub(super) populations: Populations,
    /// What the users do, where that is said by a population of a mix and not by `[scenario]`.
    pub(super) users: Option<Box<ScenarioSpec>>,
}

/// `runs_scenarios` is whether the populations are those of the profile, and not of a script.
pub(super) fn resolve(
    profile: &Profile,
    runs_scenarios: bool,
) -> Result<ResolvedPopulations, ProfileError> {
    if !runs_scenarios && profile.populations.is_empty() && profile.search.users.is_none() {
        return Ok(ResolvedPopulations {
            populations: Populations::default(),
            users: None,
        });
    }
    let source = &profile.source;
    let is_mix = check_mix(profile)?;
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
    if is_mix {
        return Ok(mixed(others));
    }
    Ok(ResolvedPopulations {
        populations: Populations {
            name: USERS.to_owned(),
            users: users(profile, searched.is_some())?,
            others,
        },
        users: None,
    })
}

/// Whether there are kinds of users who share the level; then they are all the users that there
/// are.
fn check_mix(profile: &Profile) -> Result<bool, ProfileError> {
    let source = &profile.source;
    let mut shares = (profile.populations.iter()).filter_map(|p| p.as_ref().share.as_ref());
    let Some(first) = shares.next() else {
        return Ok(false);
    };
    let refuse = |span, message: &str, help: &str| {
        Err(source.error(Some(span), message.to_owned()).with_help(help))
    };
    if profile.scenario.is_some() {
        return refuse(
            first.span(),
            "a mix is made of populations with a `share`, and [scenario] has none",
            "make [scenario] a [[population]] with a `share` too, or give this one `vus` or `rate`",
        );
    }
    if let Some(one) = &profile.search.population {
        return refuse(
            one.span(),
            "the kinds of a mix are searched together",
            "remove this, or give the populations `vus` or `rate` instead of `share`",
        );
    }
    if let Some(users) = &profile.search.users {
        return refuse(
            users.span(),
            "the number of users is what is searched",
            "`users` goes with `population`, which names another population to search",
        );
    }
    Ok(true)
}

/// The kinds of a mix stand behind those whose number is fixed, and the last of them are the users.
fn mixed(mut all: Vec<PopulationPlan>) -> ResolvedPopulations {
    all.sort_by_key(|population| population.amount.share().is_some());
    let last = all.pop();
    let (name, users, scenario) = match last {
        Some(last) => (last.name, last.amount, Some(last.scenario)),
        None => (USERS.to_owned(), Amount::Searched, None),
    };
    ResolvedPopulations {
        populations: Populations {
            name,
            users,
            others: all,
        },
        users: scenario,
    }
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
    if let Some(part) = &population.share {
        if let Some(number) = population.vus.as_ref().or(population.rate.as_ref()) {
            let message = format!("population `{name}` has both share and a number of its own");
            return Err(source
                .error(Some(number.span()), message)
                .with_help("share is its part of the level; vus and rate are fixed"));
        }
        return share(source, part).map(Amount::Share);
    }
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
            .with_help(
                "add share = 70 (its part of the level), vus = 5, or rate = 100 (cycles started \
                 per second)",
            )),
        (Some(given), None, true) | (None, Some(given), true) => Err(source
            .error(
                Some(given.span()),
                format!("population `{name}` is searched: its number is the result"),
            )
            .with_help("remove this; min-vus and max-vus of [search] are its limits")),
    }
}

fn share(source: &Source, part: &Spanned<i64>) -> Result<u32, ProfileError> {
    let known = u32::try_from(*part.as_ref()).ok();
    known
        .filter(|n| (1..=MOST_SHARE).contains(n))
        .ok_or_else(|| {
            let message = format!(
                "a share must be between 1 and {MOST_SHARE}; leave out a kind that has none"
            );
            source.error(Some(part.span()), message)
        })
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
    if text == StepTable::MAIN {
        let message = format!(
            "a population cannot be named `{text}`: that is the row of all users' main steps \
             together"
        );
        return Err((source.error(Some(name.span()), message))
            .with_help("give it another name, such as \"shoppers\""));
    }
    Ok(text.clone())
}
