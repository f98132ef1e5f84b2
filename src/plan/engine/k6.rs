//! k6 as the engine of a plan.

use std::path::{Path, PathBuf};

use toml::Spanned;

use super::refuse;
use crate::k6::{DEFAULT_BINARY, Function, Looked, Mode, check_arguments};
use crate::plan::value::{self, Flag, Reader};
use crate::plan::{FindFlags, K6Plan, PlanError};
use crate::profile::{EngineSpec, Profile};
use crate::secret::MASK;

pub(super) fn resolve(
    profile: Option<&Profile>,
    spec: &EngineSpec,
    flags: &FindFlags,
    reader: &Reader<'_>,
) -> Result<K6Plan, PlanError> {
    let dir = profile.map_or(Path::new("."), |p| p.dir.as_path());
    let (shown, script) = match (&flags.script, &spec.script) {
        (Some(path), _) => (path.display().to_string(), path.clone()),
        (None, Some(path)) => (path.as_ref().clone(), dir.join(path.as_ref())),
        (None, None) => return Err(no_script(profile, spec)),
    };
    let mode = reader.pick(
        Flag("--k6-mode", flags.k6_mode.clone()),
        spec.mode.as_ref(),
        Mode::default(),
        |t| mode(t),
    )?;
    let functions = functions(profile, spec, flags)?;
    let plan = K6Plan {
        binary: binary(dir, spec, flags),
        shown,
        script,
        mode: mode.value,
        asked: !functions.is_empty(),
        functions: if functions.is_empty() {
            vec![Function::by_default()]
        } else {
            functions
        },
        arguments: arguments(profile, spec, flags)?,
        of_profile: flags.script.is_none() || spec.binary.is_some() || spec.arguments.is_some(),
        ..K6Plan::default()
    };
    if plan.asked && plan.mode == Mode::Restart {
        let span = spec.exec.as_ref().map(Spanned::span);
        let span = span.filter(|_| flags.k6_exec.is_none());
        let given = flags.k6_exec.clone().unwrap_or_default();
        let why = "in mode `restart`, k6 runs only the function `default`; remove this, or use \
            mode `gate`";
        return Err(refuse(profile, "--k6-exec", given, span, why));
    }
    Ok(plan)
}

fn no_script(profile: Option<&Profile>, spec: &EngineSpec) -> PlanError {
    let span = spec.kind.as_ref().map(Spanned::span);
    let why = "k6 needs a script; set it with `--script FILE`, or `script = \"FILE\"` in the \
        profile's [engine]";
    refuse(profile, "--engine", "k6".to_owned(), span, why)
}

fn mode(text: &str) -> Result<Mode, String> {
    Mode::named(text).ok_or_else(|| value::unknown(text, &Mode::NAMES))
}

/// One of the flag as it was typed; one of the profile from its folder, unless it is a bare name, which is for the shell's path.
fn binary(dir: &Path, spec: &EngineSpec, flags: &FindFlags) -> PathBuf {
    match (&flags.k6, &spec.binary) {
        (Some(path), _) => path.clone(),
        (None, Some(name)) if name.as_ref().contains('/') => dir.join(name.as_ref()),
        (None, Some(name)) => PathBuf::from(name.as_ref()),
        (None, None) => PathBuf::from(DEFAULT_BINARY),
    }
}

/// The functions that were asked for; none where that is left to the script.
fn functions(
    profile: Option<&Profile>,
    spec: &EngineSpec,
    flags: &FindFlags,
) -> Result<Vec<Function>, PlanError> {
    if let Some(text) = &flags.k6_exec {
        return Function::list(text).map_err(|why| PlanError::Flag {
            flag: "--k6-exec",
            value: text.clone(),
            why,
        });
    }
    let Some(exec) = &spec.exec else {
        return Ok(Vec::new());
    };
    let all = exec.as_ref().iter();
    all.map(|(name, weight)| Function::new(name, u64::try_from(*weight).unwrap_or(0)))
        .collect::<Result<_, _>>()
        .map_err(|why| {
            refuse(
                profile,
                "--engine",
                "k6".to_owned(),
                Some(exec.span()),
                &why,
            )
        })
}

/// Those of the profile, and behind them those of the flags, which k6 takes where both say something.
fn arguments(
    profile: Option<&Profile>,
    spec: &EngineSpec,
    flags: &FindFlags,
) -> Result<Vec<String>, PlanError> {
    let of_profile = spec.arguments.as_deref().unwrap_or_default();
    let texts: Vec<&str> = of_profile.iter().map(|a| a.as_ref().as_str()).collect();
    check_arguments(&texts).map_err(|(at, why)| {
        let span = of_profile.get(at).map(Spanned::span);
        refuse(profile, "--engine", "k6".to_owned(), span, &why)
    })?;
    let of_flags = flags.k6_env.iter().flat_map(|pair| ["-e", pair]);
    let of_flags: Vec<&str> = of_flags.collect();
    check_arguments(&of_flags).map_err(|_| PlanError::Flag {
        flag: "--k6-env",
        // It may be a secret as a whole.
        value: MASK.to_owned(),
        why: "write NAME=VALUE, such as BASE=http://127.0.0.1:8080 or 'TOKEN={{ env.TOKEN }}'"
            .to_owned(),
    })?;
    Ok(texts
        .into_iter()
        .chain(of_flags)
        .map(str::to_owned)
        .collect())
}

/// What another engine has no use for.
pub(super) fn check_unused(
    spec: &EngineSpec,
    flags: &FindFlags,
    reader: &Reader<'_>,
) -> Result<(), PlanError> {
    let path = |p: &Option<PathBuf>| p.as_ref().map(|p| p.display().to_string());
    let env = flags.k6_env.first().map(|_| MASK.to_owned());
    let given = [
        ("--script", path(&flags.script)),
        ("--k6", path(&flags.k6)),
        ("--k6-mode", flags.k6_mode.clone()),
        ("--k6-exec", flags.k6_exec.clone()),
        ("--k6-env", env),
    ];
    let why = "only the engine `k6` supports this; select it with `--script FILE`, or remove this";
    if let Some((flag, value)) = given.into_iter().find_map(|(f, v)| Some((f, v?))) {
        return Err(PlanError::Flag {
            flag,
            value,
            why: why.to_owned(),
        });
    }
    // Who asks for another engine by flag knows what the profile says.
    if flags.engine.is_some() || flags.locust_url.is_some() {
        return Ok(());
    }
    let argument = spec.arguments.iter().flatten().next();
    let keys = [&spec.script, &spec.binary, &spec.mode].map(|k| k.as_ref().map(Spanned::span));
    let keys = keys.into_iter().flatten();
    let mut keys = keys.chain(spec.exec.as_ref().map(Spanned::span));
    match (keys.next().or(argument.map(Spanned::span)), reader.source) {
        (Some(span), Some(source)) => {
            let why = "only the engine `k6` supports this; remove it, or write kind = \"k6\"";
            Err(source.error(Some(span), why).into())
        }
        _ => Ok(()),
    }
}

/// What a script says itself.
pub(super) fn check(profile: Option<&Profile>, flags: &FindFlags) -> Result<(), PlanError> {
    if let Some(url) = &flags.url {
        let why = "the script sets the address of the service; if it reads a variable, set it with \
            `--k6-env BASE=http://...`";
        return Err(refuse(profile, "--url", url.clone(), None, why));
    }
    let Some(scenario) = profile.and_then(|p| p.scenario.as_ref()) else {
        return Ok(());
    };
    let span = scenario.steps.first().map(Spanned::span);
    let why = "the k6 script says what a VU does; remove [scenario], or the script";
    Err(refuse(profile, "--engine", "k6".to_owned(), span, why))
}

impl K6Plan {
    /// With what was learned of the script.
    ///
    /// # Errors
    /// When the script's scenarios cannot be run so.
    pub(in crate::plan) fn with(mut self, looked: &Looked) -> Result<Self, PlanError> {
        let script = &looked.script;
        if !self.asked {
            self.functions.clone_from(&script.functions);
        }
        if self.mode == Mode::Restart && self.functions != [Function::by_default()] {
            let names = self.functions.iter().map(|f| f.name.as_str());
            return Err(PlanError::Flag {
                flag: "--k6-mode",
                value: "restart".to_owned(),
                why: format!(
                    "k6 then runs only the function `default`, but the scenarios of the script run \
                     {}; use mode `gate`",
                    names.collect::<Vec<_>>().join(", ")
                ),
            });
        }
        self.blocked.clone_from(&script.blocked);
        self.left_out.clone_from(&script.left_out);
        self.notes = script.told(self.mode);
        self.version = Some(looked.version);
        self.crc32 = Some(looked.crc32);
        Ok(self)
    }
}
