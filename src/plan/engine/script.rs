//! A k6 script that this program runs itself, as the engine of a plan.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::k6::{functions, name_of, no_script};
use super::{Abilities, EngineFacts, EngineWords, ScriptFacts, Secrets, VuCost, refuse};
use crate::k6::{Function, MetricRow, OwnScript, ScriptInfo, ScriptUsers, shares};
use crate::measure::{Arrivals, Level, LevelUnit};
use crate::plan::{Amount, FindFlags, PlanError};
use crate::profile::{EngineSpec, Profile};
use crate::secret::{Hidden, MASK};

/// Memory of a VU with a small script, where it was not measured.
const VU_MEMORY: u64 = 320 << 10;
/// What a VU takes beside its interpreter as it is after its init code: its stack, its connections,
/// and what an iteration holds.
const BESIDE: u64 = 128 << 10;
/// Connections of a VU to one service; a batch takes more.
const CONNECTIONS: u64 = 1;

/// A script, and what it is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScriptPlan {
    /// The script.
    pub script: PathBuf,
    /// The script as it was named.
    pub shown: String,
    /// The functions that the VUs run; never empty.
    pub functions: Vec<Function>,
    /// Whether they were asked for, and are not those of the script's scenarios.
    pub asked: bool,
    /// The scenario that is searched while the others keep their number; `None` where all of them
    /// share the level.
    pub population: Option<String>,
    /// What `__ENV` has; values may have `{{ env.NAME }}`.
    pub env: Vec<(String, String)>,
    /// Whether it has the environment of this program too.
    pub includes_environment: bool,
    /// What of these is a secret, once it was filled in.
    pub hidden: Hidden,
    /// The secrets themselves.
    pub secrets: Vec<String>,
    /// What it says of itself, once it was looked at.
    pub own: OwnScript,
    /// The script's own metrics that its thresholds are about.
    pub metrics: Vec<(String, MetricRow)>,
    /// Options of the script that decide on the load and are left out for that, by name.
    pub left_out: Vec<String>,
    /// What a reader must know of what becomes of the script.
    pub notes: Vec<String>,
    /// Checksum of all its files, once it was looked at.
    pub crc32: Option<u32>,
}

/// Users of a script who share a level, or have a number of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptPopulationPlan {
    /// The name of those who have a number of their own; empty for those who are searched.
    pub name: String,
    /// How many there are.
    pub amount: Amount,
    /// The kinds of them; never empty.
    pub kinds: Vec<KindPlan>,
}

/// A kind of users of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindPlan {
    /// The exported function that they run.
    pub function: String,
    /// The scenario whose users they are; empty where a function was asked for.
    pub scenario: String,
    /// Their part of those who share a level.
    pub share: u32,
}

impl KindPlan {
    fn of(users: &ScriptUsers) -> Self {
        Self {
            function: users.function.clone(),
            scenario: users.name.clone(),
            share: users.share,
        }
    }
}

/// How many there are of a scenario's users who are not searched.
fn fixed(users: &ScriptUsers) -> Amount {
    let number = Level(users.size.whole());
    if users.size.is_rate() {
        Amount::PerSecond(number)
    } else {
        Amount::Vus(number)
    }
}

pub(super) fn resolve(
    profile: Option<&Profile>,
    spec: &EngineSpec,
    flags: &FindFlags,
) -> Result<ScriptPlan, PlanError> {
    let dir = profile.map_or(Path::new("."), |p| p.dir.as_path());
    let (shown, script) = match (&flags.script, &spec.script) {
        (Some(path), _) => (path.display().to_string(), path.clone()),
        (None, Some(path)) => (path.as_ref().clone(), dir.join(path.as_ref())),
        (None, None) => return Err(no_script(profile, spec, "script")),
    };
    let functions = functions(profile, spec, flags)?;
    Ok(ScriptPlan {
        population: population(profile, flags, !functions.is_empty())?,
        shown,
        script,
        asked: !functions.is_empty(),
        functions: if functions.is_empty() {
            vec![Function::by_default()]
        } else {
            functions
        },
        env: variables(spec, flags)?,
        includes_environment: flags.include_system_env_vars,
        ..ScriptPlan::default()
    })
}

/// Which scenario is searched.
fn population(
    profile: Option<&Profile>,
    flags: &FindFlags,
    asks_functions: bool,
) -> Result<Option<String>, PlanError> {
    let of_profile = profile.and_then(|p| p.search.population.as_ref());
    let span = of_profile.map(Spanned::span);
    let Some(name) = (flags.population.as_ref()).or(of_profile.map(Spanned::as_ref)) else {
        return Ok(None);
    };
    if asks_functions {
        let why = "`exec` in [engine] says which functions are searched together; remove one of \
                   them";
        let span = span.filter(|_| flags.population.is_none());
        return Err(refuse(profile, "--population", name.clone(), span, why));
    }
    Ok(Some(name.clone()))
}

/// Those of the profile, and over them those of the flags.
fn variables(spec: &EngineSpec, flags: &FindFlags) -> Result<Vec<(String, String)>, PlanError> {
    let of_profile = spec.env.iter();
    let mut out: Vec<(String, String)> = of_profile
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    for pair in &flags.env {
        let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(PlanError::Flag {
                flag: "--env",
                // It may be a secret as a whole.
                value: MASK.to_owned(),
                why: "write NAME=VALUE, such as BASE=http://127.0.0.1:8080 or 'TOKEN={{ \
                      env.TOKEN }}'"
                    .to_owned(),
            });
        };
        out.retain(|(known, _)| known != name);
        out.push((name.to_owned(), value.to_owned()));
    }
    Ok(out)
}

/// What is for k6 alone, where this program was asked to run the script.
pub(super) fn check_unused(
    profile: Option<&Profile>,
    spec: &EngineSpec,
    flags: &FindFlags,
) -> Result<(), PlanError> {
    let keys = [&spec.binary, &spec.mode].map(|key| key.as_ref().map(Spanned::span));
    let argument = spec.arguments.iter().flatten().next().map(Spanned::span);
    let span = keys.into_iter().flatten().next().or(argument);
    if let (Some(span), None) = (span, &flags.engine) {
        let why = "this is for k6 itself; remove it, or write kind = \"k6\"";
        let kind = "script".to_owned();
        return Err(refuse(profile, "--engine", kind, Some(span), why));
    }
    match super::k6::first_flag(flags) {
        Some((flag, value)) => Err(PlanError::Flag {
            flag,
            value,
            why: "this is for k6 itself, but the engine is `script`; remove one of them".to_owned(),
        }),
        None => Ok(()),
    }
}

impl ScriptPlan {
    /// How long its `setup` may take.
    pub fn setup_timeout(&self) -> Duration {
        self.own.setup_timeout.unwrap_or(Duration::from_secs(60))
    }

    /// Everybody who loads the target, those who are searched last.
    pub fn populations(&self) -> Vec<ScriptPopulationPlan> {
        let is_searched = |users: &&ScriptUsers| match &self.population {
            Some(name) => users.name == *name,
            None => true,
        };
        let all = self.own.users.iter();
        let (searched, beside): (Vec<_>, Vec<_>) = all.partition(is_searched);
        let mut kinds: Vec<KindPlan> = searched.into_iter().map(KindPlan::of).collect();
        if self.asked || kinds.is_empty() {
            let weights: Vec<u64> = self.functions.iter().map(|f| f.weight.into()).collect();
            let functions = self.functions.iter().zip(shares(&weights));
            kinds = functions
                .map(|(function, share)| KindPlan {
                    function: function.name.clone(),
                    scenario: String::new(),
                    share,
                })
                .collect();
        }
        let beside = beside.into_iter().map(|users| ScriptPopulationPlan {
            name: users.name.clone(),
            amount: fixed(users),
            kinds: vec![KindPlan::of(users)],
        });
        let searched = ScriptPopulationPlan {
            name: String::new(),
            amount: Amount::Searched,
            kinds,
        };
        beside.chain([searched]).collect()
    }

    /// Those who are searched.
    fn searched(&self) -> impl Iterator<Item = &ScriptUsers> {
        let all = self.own.users.iter();
        all.filter(|users| {
            let named = self.population.as_deref();
            named.is_none_or(|name| name == users.name)
        })
    }

    /// The lines of `plan` about scenarios.
    fn outlined(&self) -> Vec<(&'static str, String)> {
        let all = &self.own.users;
        if self.asked || all.len() < 2 {
            let functions: Vec<String> = self.functions.iter().map(ToString::to_string).collect();
            return vec![("functions", functions.join("  "))];
        }
        let shares: u32 = all.iter().map(|users| users.share).sum();
        let told = |users: &ScriptUsers| match (&self.population, fixed(users)) {
            (None, _) => format!("{} of {shares} of the level", users.share),
            (Some(name), _) if *name == users.name => "set by the level".to_owned(),
            (_, Amount::PerSecond(rate)) => LevelUnit::CyclesPerS.count(rate),
            (_, amount) => LevelUnit::Vus.count(amount.fixed().unwrap_or(Level::ZERO)),
        };
        let line = |users: &ScriptUsers| {
            let text = format!("{} ({}): {}", users.name, users.function, told(users));
            ("scenario", text)
        };
        all.iter().map(line).collect()
    }

    /// What a reader must know of how many users its scenarios have.
    fn note_users(&mut self) {
        let all = &self.own.users;
        let by_rate = all.iter().filter(|users| users.size.is_rate()).count();
        let mut notes = Vec::new();
        if self.asked {
            return;
        }
        if self.population.is_none() && by_rate > 0 && by_rate < all.len() {
            notes.push(
                "the script has scenarios of VUs and of rates; here all of them run in loops, with \
                 shares by their VUs; to search one and keep the others as they are, add \
                 --population NAME"
                    .to_owned(),
            );
        }
        if self.arrivals().is_some() {
            notes.push(
                "the scenarios have arrival rates, so levels are iterations per second (as with \
                 --rate), and `maxVUs` is no limit (--max-vus is); for levels of VUs, add \
                 --start-vus N"
                    .to_owned(),
            );
        }
        for users in all {
            let is_beside = (self.population.as_ref()).is_some_and(|name| *name != users.name);
            if is_beside && !users.size.is_whole() {
                notes.push(format!(
                    "the rate of the script's scenario `{}` is rounded to {} per second",
                    users.name,
                    users.size.whole()
                ));
            }
        }
        if self.population.is_some() && all.len() > 1 {
            notes.push(
                "objectives without a name, and the script's thresholds, are about the users who \
                 are searched; p95(NAME) is about those of scenario NAME"
                    .to_owned(),
            );
        }
        self.notes.extend(notes);
    }

    /// Functions that are run must be there.
    fn check_functions(&self) -> Result<(), PlanError> {
        let known = &self.own.functions;
        let wanted = self.populations().into_iter().flat_map(|p| p.kinds);
        let mut missing = wanted.filter(|kind| !known.contains(&kind.function));
        let Some(missing) = missing.next() else {
            return Ok(());
        };
        Err(PlanError::Flag {
            flag: "--script",
            value: self.shown.clone(),
            why: format!(
                "it exports no function `{}`; exported: {}",
                missing.function,
                known.join(", ")
            ),
        })
    }

    /// The scenario that is searched must be there.
    fn check_population(&self) -> Result<(), PlanError> {
        let Some(name) = &self.population else {
            return Ok(());
        };
        let all: Vec<&str> = self.own.users.iter().map(|u| u.name.as_str()).collect();
        if all.contains(&name.as_str()) {
            return Ok(());
        }
        Err(PlanError::Flag {
            flag: "--population",
            value: name.clone(),
            why: format!(
                "the script has no such scenario; it has: {}",
                all.join(", ")
            ),
        })
    }
}

impl EngineFacts for ScriptPlan {
    fn name(&self) -> &'static str {
        "script"
    }

    fn abilities(&self) -> Abilities {
        let no = |why: &str| Err(why.to_owned());
        Abilities {
            runs_scenarios: false,
            own_connections: true,
            is_confined: true,
            populations: no(
                "a script has the users of its scenarios; several functions with weights are for \
                 `exec` in [engine]",
            ),
            good_cycles: no(
                "which requests an iteration makes is known when it has ended, so iterations that \
                 meet all limits cannot be counted; give each limit an objective of its own, such \
                 as p99(STEP)<500ms",
            ),
            ..Abilities::all()
        }
    }

    fn words(&self) -> EngineWords {
        let mut outline = vec![("engine", format!("this program with {}", self.shown))];
        outline.extend(self.outlined());
        let once = ["setup", "teardown"].into_iter();
        let calls: Vec<&str> = once.filter(|name| self.own.has(name)).collect();
        if !calls.is_empty() {
            outline.push(("once", calls.join(", ")));
        }
        EngineWords {
            loads: "what the script loads",
            outline,
            by: None,
            requests: Some("as defined by the script"),
            broken_off: Some("the script's look around was ended"),
            demo: Some(("the script", "the script (-e BASE=...)")),
        }
    }

    fn vu_cost(&self) -> VuCost {
        VuCost::Fixed {
            connections: CONNECTIONS,
            memory: self.own.vu_memory.map_or(VU_MEMORY, |own| own + BESIDE),
        }
    }

    fn arrivals(&self) -> Option<Arrivals> {
        let mut searched = self.searched().peekable();
        let any = searched.peek().is_some() && !self.asked;
        (any && searched.all(|users| users.size.is_rate())).then_some(Arrivals::Poisson)
    }

    fn populations(&self) -> Vec<(String, Amount)> {
        let Some(searched) = &self.population else {
            return Vec::new();
        };
        let all = Self::populations(self).into_iter();
        all.map(|population| match population.amount {
            Amount::Searched => (searched.clone(), population.amount),
            fixed => (population.name, fixed),
        })
        .collect()
    }

    fn target(&self) -> Option<&str> {
        Some(&self.shown)
    }

    fn run_name(&self) -> Result<Option<String>, PlanError> {
        Ok(Some(format!("script-{}", name_of(&self.script))))
    }

    fn script(&self) -> Option<ScriptFacts<'_>> {
        Some(ScriptFacts {
            file: &self.script,
            shown: &self.shown,
            crc32: self.crc32,
            runs: Vec::new(),
            command: String::new(),
            // It reads files of its own folder and sends requests to whom it is allowed to, and
            // nothing else: a profile needs no consent for it.
            of_profile: false,
        })
    }

    fn check(&self, profile: Option<&Profile>, flags: &FindFlags) -> Result<(), PlanError> {
        if let Some(url) = &flags.url {
            let why = "the script sets the address of the service; if it reads a variable, set \
                       it with `-e BASE=http://...`";
            return Err(refuse(profile, "--url", url.clone(), None, why));
        }
        let Some(scenario) = profile.and_then(|p| p.scenario.as_ref()) else {
            return Ok(());
        };
        let span = scenario.steps.first().map(Spanned::span);
        let why = "the script says what a VU does; remove [scenario], or the script";
        Err(refuse(profile, "--engine", "script".to_owned(), span, why))
    }

    fn learn(&mut self, info: &ScriptInfo) -> Result<(), PlanError> {
        let script = &info.script;
        if !self.asked {
            self.functions.clone_from(&script.functions);
        }
        self.own.clone_from(&script.own);
        self.check_population()?;
        self.check_functions()?;
        self.metrics.clone_from(&script.metrics);
        self.left_out.clone_from(&script.left_out);
        self.notes.clone_from(&script.notes);
        self.note_users();
        self.crc32 = Some(info.crc32);
        Ok(())
    }

    fn fill(&mut self, secrets: &Secrets<'_>) -> Result<(), String> {
        let mut hidden = Vec::new();
        for (name, value) in &mut self.env {
            let filled = secrets(value, &format!("`{name}` for the script"))?;
            if filled != *value {
                hidden.push(filled.clone());
            }
            *value = filled;
        }
        self.secrets.clone_from(&hidden);
        self.hidden = Hidden::new(hidden);
        Ok(())
    }

    fn hide_of_environment(&mut self, values: &[String]) -> bool {
        if self.includes_environment {
            self.secrets.extend_from_slice(values);
            self.hidden = Hidden::new(self.secrets.iter().cloned());
        }
        self.includes_environment
    }

    fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    fn follows_stages(&mut self) {
        self.left_out.clear();
    }

    fn take_notes(&mut self) -> Vec<String> {
        let left_out = std::mem::take(&mut self.left_out);
        if !left_out.is_empty() {
            self.notes.push(format!(
                "a search ignores the script's options that set the load: {}",
                left_out.join(", ")
            ));
        }
        std::mem::take(&mut self.notes)
    }
}
