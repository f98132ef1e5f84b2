//! A k6 script that this program runs itself, as the engine of a plan.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::k6::{functions, name_of, no_script};
use super::{Abilities, EngineFacts, EngineWords, ScriptFacts, Secrets, VuCost, refuse};
use crate::k6::{Function, MetricRow, OwnScript, ScriptInfo};
use crate::plan::{FindFlags, PlanError};
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
    let binary = spec.binary.as_ref().map(Spanned::span);
    let argument = spec.arguments.iter().flatten().next().map(Spanned::span);
    let span = binary.or(argument);
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
        let functions: Vec<String> = self.functions.iter().map(ToString::to_string).collect();
        let mut outline = vec![
            ("engine", format!("this program with {}", self.shown)),
            ("functions", functions.join("  ")),
        ];
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
        let known = &script.own.functions;
        if let Some(missing) = self.functions.iter().find(|f| !known.contains(&f.name)) {
            return Err(PlanError::Flag {
                flag: "--script",
                value: self.shown.clone(),
                why: format!(
                    "it exports no function `{}`; exported: {}",
                    missing.name,
                    known.join(", ")
                ),
            });
        }
        self.own.clone_from(&script.own);
        self.metrics.clone_from(&script.metrics);
        self.left_out.clone_from(&script.left_out);
        self.notes.clone_from(&script.notes);
        if !self.left_out.is_empty() {
            self.notes.push(format!(
                "a search ignores the script's options that set the load: {}",
                self.left_out.join(", ")
            ));
        }
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

    fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }
}
