//! k6 as the engine of a session: its script is looked at before there is a plan, and it is started.

use std::path::Path;

use super::signals::Signals;
use super::{Exit, Refusal, contact, runtime, secrets, session};
use crate::bounded;
use crate::engine::k6::tool::{Tool, ToolError};
use crate::engine::k6::{K6Engine, K6Spec};
use crate::journal;
use crate::k6::{ITERATION, Looked, for_inspect};
use crate::plan::{FindFlags, K6Plan, Plan};
use crate::profile::Profile;
use crate::term::Terminal;

/// Largest script that is read, bytes; bundles of whole libraries are smaller.
const MOST_SCRIPT: u64 = 32 << 20;

/// Asks k6 what the script of a plan says, where it has one. Whoever runs it agrees first to what the profile runs, for the script's
/// code is a part of that. `yes` is the consent.
pub(super) fn look(
    profile: Option<&Profile>,
    flags: &FindFlags,
    yes: bool,
    terminal: &Terminal,
) -> Result<Option<Looked>, Refusal> {
    let ahead = Plan::ahead(profile, flags).map_err(|e| Refusal::new(Exit::Usage, e))?;
    let Some(ahead) = ahead else { return Ok(None) };
    let text = read(&ahead.k6)?;
    contact::before_script(&ahead, &text, yes, terminal)?;
    ask(&ahead.k6, &ahead.dir, &text).map(Some)
}

/// What a script says that nobody was asked about: whoever typed its name wants that.
pub(super) fn look_at(script: &Path, binary: &Path) -> Result<Looked, Refusal> {
    let k6 = K6Plan {
        script: script.to_owned(),
        binary: binary.to_owned(),
        ..K6Plan::default()
    };
    ask(&k6, Path::new("."), &read(&k6)?)
}

fn read(k6: &K6Plan) -> Result<Vec<u8>, Refusal> {
    let script = &k6.script;
    bounded::file(script, MOST_SCRIPT).map_err(|error| {
        let message = format!(
            "cannot read the script {}: {error}; set it with `--script FILE`, or `script` in the \
             profile's [engine]",
            script.display()
        );
        Refusal::new(Exit::Usage, message)
    })
}

fn ask(k6: &K6Plan, dir: &Path, text: &[u8]) -> Result<Looked, Refusal> {
    let (arguments, hidden) = secrets::of_arguments(&k6.arguments, dir)?;
    let arguments = for_inspect(&arguments);
    let looked: Result<Looked, ToolError> = runtime()?.block_on(async {
        let tool = Tool::find(&k6.binary).await?;
        Ok(Looked {
            script: tool.inspect(&k6.script, &arguments).await?,
            version: tool.version(),
            crc32: journal::crc32(text),
        })
    });
    looked.map_err(|error| Refusal::new(Exit::Usage, hidden.in_text(&error.to_string())))
}

/// Starts k6 and looks around, unless the user stops that.
pub(super) async fn start(
    plan: &Plan,
    k6: &K6Plan,
    climbs: bool,
    signals: &Signals,
) -> Result<K6Engine, Refusal> {
    let mut names = plan.named_steps();
    // The engine has that one of its own.
    names.retain(|name| name != ITERATION);
    let weights = k6.functions.iter();
    let spec = K6Spec {
        binary: k6.binary.clone(),
        version: k6.version,
        script: k6.script.clone(),
        mode: k6.mode,
        functions: weights.map(|f| (f.name.clone(), f.weight.into())).collect(),
        arguments: k6.arguments.clone(),
        blacklist: k6.blocked.clone(),
        pace_per_s: plan.pace_per_s,
        names,
        // The first level that is visited anyway.
        look_vus: plan.search.start.get().min(plan.search.max.get()),
        max_vus: plan.search.max.get(),
        climbs,
        longest: plan.longest_run(),
        left_out: k6.left_out.clone(),
        hidden: k6.hidden.clone(),
    };
    let started = K6Engine::start(spec, signals.wait()).await;
    started.map_err(|error| session::not_started(error, signals, "stopping k6"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_is_a_script() {
        let dir = tempfile::tempdir().unwrap();
        let of = |script: &Path| K6Plan {
            script: script.to_owned(),
            ..K6Plan::default()
        };
        for (path, part) in [
            ("none.js", "No such file"),
            (".", "it is a folder, not a file"),
        ] {
            let error = read(&of(&dir.path().join(path))).unwrap_err().message;
            assert!(
                error.contains(part) && error.contains("--script FILE"),
                "{error}"
            );
        }
    }
}
