//! k6 as the engine of a plan.

// `core`, not `std`: an address is a value here.
use core::net::IpAddr;
use std::path::{Path, PathBuf};

use toml::Spanned;

use super::{Abilities, EngineFacts, EngineWords, ScriptFacts, Secrets, VuCost, refuse};
use crate::k6::{DEFAULT_BINARY, Function, ScriptInfo, blocked, check_arguments};
use crate::measure::Level;
use crate::plan::value::Reader;
use crate::plan::{FindFlags, PlanError};
use crate::profile::{EngineSpec, Profile};
use crate::secret::{Hidden, MASK, masked};

/// Memory of a VU of k6, with what k6 takes for itself. Measured with a small script (500 VUs 126
/// MB, 2 000 VUs 385 MB): scripts that hold data take more.
const VU_MEMORY: u64 = 256 << 10;
/// Memory of a VU with a browser: its processes. Reckoned, not measured.
const BROWSER_MEMORY: u64 = 256 << 20;
/// Connections of a VU of k6: one to the target at least, and one on which it asks whether it shall
/// run, which ends in this program.
const CONNECTIONS: u64 = 2;
/// Highest level when nothing else is said: it makes all of them in the beginning, and each takes
/// memory.
const DEFAULT_MAX: Level = Level(2_000);
/// The same with browsers.
const BROWSER_MAX: Level = Level(20);

/// A script of k6, and how it is run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct K6Plan {
    /// The k6 program; a bare name is looked for where a shell would.
    pub binary: PathBuf,
    /// The script.
    pub script: PathBuf,
    /// The script as it was named.
    pub shown: String,
    /// The functions that the VUs run; never empty.
    pub functions: Vec<Function>,
    /// Further arguments of `k6 run`; values may have `{{ env.NAME }}`.
    pub arguments: Vec<String>,
    /// What of these is a secret, once it was filled in.
    pub hidden: Hidden,
    /// Networks (CIDR) that the script does not connect to by its own wish.
    pub blocked: Vec<String>,
    /// Options of the script that decide on the load and are left out for that, by name.
    pub left_out: Vec<String>,
    /// What a reader must know of what becomes of the script.
    pub notes: Vec<String>,
    /// Checksum of the script's text, once it was looked at.
    pub crc32: Option<u32>,
    /// Whether something that is run comes from the profile: whoever runs it must have agreed to
    /// that.
    pub of_profile: bool,
    /// Whether its VUs have browsers, once it was looked at.
    pub has_browser: bool,
    /// Whether the functions were asked for, and are not those of the script's scenarios.
    pub asked: bool,
}

pub(super) fn resolve(
    profile: Option<&Profile>,
    spec: &EngineSpec,
    flags: &FindFlags,
) -> Result<K6Plan, PlanError> {
    let dir = profile.map_or(Path::new("."), |p| p.dir.as_path());
    let (shown, script) = match (&flags.script, &spec.script) {
        (Some(path), _) => (path.display().to_string(), path.clone()),
        (None, Some(path)) => (path.as_ref().clone(), dir.join(path.as_ref())),
        (None, None) => return Err(no_script(profile, spec, "k6")),
    };
    check_mode(profile, spec, flags)?;
    let functions = functions(profile, spec, flags)?;
    Ok(K6Plan {
        binary: binary(dir, spec, flags),
        shown,
        script,
        asked: !functions.is_empty(),
        functions: if functions.is_empty() {
            vec![Function::by_default()]
        } else {
            functions
        },
        arguments: arguments(profile, spec, flags)?,
        of_profile: flags.script.is_none() || spec.binary.is_some() || spec.arguments.is_some(),
        ..K6Plan::default()
    })
}

/// One process is led through all levels. A k6 for each of them, which profiles and runs of before
/// may ask for, there is no more.
fn check_mode(
    profile: Option<&Profile>,
    spec: &EngineSpec,
    flags: &FindFlags,
) -> Result<(), PlanError> {
    let (mode, span) = match (&flags.k6_mode, &spec.mode) {
        (Some(typed), _) => (typed, None),
        (None, Some(own)) => (own.as_ref(), Some(own.span())),
        (None, None) => return Ok(()),
    };
    let why = match mode.as_str() {
        "gate" => return Ok(()),
        "restart" => {
            "k6 is no longer started anew for each level; remove this, and put the script in a \
             folder that can be written"
        }
        _ => "there is only `gate`; remove this",
    };
    Err(refuse(profile, "--k6-mode", mode.clone(), span, why))
}

pub(super) fn no_script(profile: Option<&Profile>, spec: &EngineSpec, kind: &str) -> PlanError {
    let span = spec.kind.as_ref().map(Spanned::span);
    let why = format!(
        "the engine `{kind}` needs a script; set it with `--script FILE`, or `script = \"FILE\"` \
         in the profile's [engine]"
    );
    refuse(profile, "--engine", kind.to_owned(), span, &why)
}

/// Whether a profile says how k6 itself is run.
pub(super) fn is_meant(spec: &EngineSpec) -> bool {
    let has_arguments = spec.arguments.as_ref().is_some_and(|all| !all.is_empty());
    spec.kind.as_ref().is_some_and(|kind| kind.as_ref() == "k6")
        || spec.binary.is_some()
        || spec.mode.is_some()
        || has_arguments
}

/// The first flag that says how k6 itself is run.
pub(super) fn first_flag(flags: &FindFlags) -> Option<(&'static str, String)> {
    let path = |p: &Option<PathBuf>| p.as_ref().map(|p| p.display().to_string());
    let given = [
        ("--k6", path(&flags.k6)),
        ("--k6-mode", flags.k6_mode.clone()),
        ("--k6-exec", flags.k6_exec.clone()),
        ("--k6-env", flags.k6_env.first().map(|_| MASK.to_owned())),
    ];
    given
        .into_iter()
        .find_map(|(flag, value)| Some((flag, value?)))
}

/// What a run of a script is called where nothing else names it.
pub(super) fn name_of(script: &Path) -> String {
    let stem = script.file_stem().unwrap_or_default();
    let fits = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    let stem = stem.to_string_lossy();
    stem.chars()
        .map(|c| if fits(c) { c } else { '-' })
        .collect()
}

/// One of the flag as it was typed; one of the profile from its folder, unless it is a bare name,
/// which is for the shell's path.
fn binary(dir: &Path, spec: &EngineSpec, flags: &FindFlags) -> PathBuf {
    match (&flags.k6, &spec.binary) {
        (Some(path), _) => path.clone(),
        (None, Some(name)) if name.as_ref().contains('/') => dir.join(name.as_ref()),
        (None, Some(name)) => PathBuf::from(name.as_ref()),
        (None, None) => PathBuf::from(DEFAULT_BINARY),
    }
}

/// The functions that were asked for; none where that is left to the script.
pub(super) fn functions(
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

/// Those of the profile, and behind them those of the flags, which k6 takes where both say
/// something.
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
    let variables = flags.k6_env.iter().chain(&flags.env);
    let of_flags = variables.flat_map(|pair| ["-e", pair]);
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
    let unused = |(flag, value): (&'static str, String), why: &str| PlanError::Flag {
        flag,
        value,
        why: why.to_owned(),
    };
    if let Some(given) = first_flag(flags) {
        let why = "only the engine `k6` supports this; select it with `--engine k6 --script FILE`, \
                   or remove this";
        return Err(unused(given, why));
    }
    let script = flags.script.as_ref().map(|path| path.display().to_string());
    let script = script.map(|script| ("--script", script));
    let env = flags.env.first().map(|_| ("--env", MASK.to_owned()));
    if let Some(given) = script.or(env) {
        let why = "only the engines `script` and `k6` support this; select one with `--script \
                   FILE`, or remove this";
        return Err(unused(given, why));
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
            let why = "only the engines `script` and `k6` support this; remove it, or write kind \
                       = \"script\" (or \"k6\")";
            Err(source.error(Some(span), why).into())
        }
        _ => Ok(()),
    }
}

impl K6Plan {
    /// How k6 is run with it, as far as the profile says it.
    fn command(&self) -> String {
        let words = [
            self.binary.display().to_string(),
            "run".to_owned(),
            self.shown.clone(),
        ];
        let arguments = self.arguments.iter().map(|a| masked(a));
        words
            .into_iter()
            .chain(arguments)
            .collect::<Vec<_>>()
            .join(" ")
    }
}

impl EngineFacts for K6Plan {
    fn name(&self) -> &'static str {
        "k6"
    }

    fn abilities(&self) -> Abilities {
        let no = |why: &str| Err(why.to_owned());
        Abilities {
            runs_scenarios: false,
            own_connections: false,
            is_confined: true,
            open_model: no("levels are VUs of k6, not arrivals; remove the rate"),
            populations: no(
                "k6 has the users of its script; several functions with weights are for `exec` in \
                 [engine]",
            ),
            good_cycles: no(
                "k6 does not say how long each step of an iteration took, so the iterations that \
                 meet all limits cannot be counted; give each limit an objective of its own, such \
                 as p99(STEP)<500ms",
            ),
            ramp: Ok(()),
            one_cycle: Err(format!(
                "k6 makes this profile's load with {0}, so its requests cannot be shown here; to \
                 see one iteration: k6 run --vus 1 --iterations 1 --http-debug=full {0}",
                self.shown
            )),
            threads: no(
                "k6 uses all cores and has no such setting (to use fewer, set GOMAXPROCS in the \
                 environment)",
            ),
            local_addresses: no(
                "k6 chooses where its connections come from; give `localIPs` in the options of \
                 the script",
            ),
            connection_flags: no(
                "k6 makes its own connections; give `insecureSkipTLSVerify`, `tlsAuth` or `hosts` \
                 in the options of the script \
                 (SSL_CERT_FILE in the environment names a CA)",
            ),
        }
    }

    fn words(&self) -> EngineWords {
        let functions: Vec<String> = self.functions.iter().map(ToString::to_string).collect();
        EngineWords {
            loads: "what the script of k6 loads",
            outline: vec![
                ("engine", format!("k6 with {}", self.shown)),
                ("functions", functions.join("  ")),
            ],
            by: Some("k6"),
            requests: Some("as defined by the script"),
            broken_off: Some("stopping k6"),
            demo: Some(("the script of k6", "the script (--k6-env BASE=...)")),
        }
    }

    fn vu_cost(&self) -> VuCost {
        VuCost::Fixed {
            connections: CONNECTIONS,
            memory: if self.has_browser {
                BROWSER_MEMORY
            } else {
                VU_MEMORY
            },
        }
    }

    fn highest_level(&self) -> Option<Level> {
        Some(if self.has_browser {
            BROWSER_MAX
        } else {
            DEFAULT_MAX
        })
    }

    fn target(&self) -> Option<&str> {
        Some(&self.shown)
    }

    fn run_name(&self) -> Result<Option<String>, PlanError> {
        Ok(Some(format!("k6-{}", name_of(&self.script))))
    }

    fn script(&self) -> Option<ScriptFacts<'_>> {
        Some(ScriptFacts {
            file: &self.script,
            shown: &self.shown,
            crc32: self.crc32,
            runs: vec![&self.binary, &self.script],
            command: self.command(),
            of_profile: self.of_profile,
        })
    }

    /// What a script says itself.
    fn check(&self, profile: Option<&Profile>, flags: &FindFlags) -> Result<(), PlanError> {
        if let Some(url) = &flags.url {
            let why = "the script sets the address of the service; if it reads a variable, set \
                       it with `--k6-env BASE=http://...`";
            return Err(refuse(profile, "--url", url.clone(), None, why));
        }
        let Some(scenario) = profile.and_then(|p| p.scenario.as_ref()) else {
            return Ok(());
        };
        let span = scenario.steps.first().map(Spanned::span);
        let why = "the k6 script says what a VU does; remove [scenario], or the script";
        Err(refuse(profile, "--engine", "k6".to_owned(), span, why))
    }

    fn learn(&mut self, info: &ScriptInfo) -> Result<(), PlanError> {
        let script = &info.script;
        if !self.asked {
            self.functions.clone_from(&script.functions);
        }
        self.has_browser = script.own.has_browser;
        self.blocked.clone_from(&script.blocked);
        self.left_out.clone_from(&script.left_out);
        self.notes.clone_from(&script.notes);
        if self.has_browser {
            self.notes.push(
                "the script has browsers, of which k6 may start one for each VU up to --max-vus in \
                 the beginning"
                    .to_owned(),
            );
        }
        self.crc32 = Some(info.crc32);
        Ok(())
    }

    fn fill(&mut self, secrets: &Secrets<'_>) -> Result<(), String> {
        let mut hidden = Vec::new();
        for argument in &mut self.arguments {
            let name = argument.split('=').next().unwrap_or_default();
            let value = secrets(argument, &format!("`{name}` for k6"))?;
            if value != *argument {
                let secret = value
                    .split_once('=')
                    .map_or(value.as_str(), |(_, secret)| secret);
                hidden.push(secret.to_owned());
            }
            *argument = value;
        }
        self.hidden = Hidden::new(hidden);
        Ok(())
    }

    fn confine(&mut self, allowed: &[IpAddr]) {
        self.blocked.extend(blocked(allowed));
    }

    fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }
}
