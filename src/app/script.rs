//! A script that says what VUs do: it is read, agreed to and looked at before there is a plan.

use std::path::Path;

use super::{CommandError, Exit, consent, secrets};
use crate::bounded;
use crate::engine;
use crate::journal;
use crate::k6::ScriptInfo;
use crate::plan::{EnginePlan, FindFlags, Plan};
use crate::profile::Profile;
use crate::term::Terminal;

/// Largest script that is read, bytes; bundles of whole libraries are smaller.
const MOST_SCRIPT: u64 = 32 << 20;

/// Asks what the script of a plan says, where it has one. Whoever runs it agrees first to what the
/// profile runs, for the script's code is a part of that. `yes` is the consent.
pub(super) fn look(
    profile: Option<&Profile>,
    flags: &FindFlags,
    yes: bool,
    terminal: &Terminal,
) -> Result<Option<ScriptInfo>, CommandError> {
    let ahead = Plan::ahead(profile, flags).map_err(|e| CommandError::new(Exit::Usage, e))?;
    let Some(ahead) = ahead else { return Ok(None) };
    let text = read(&ahead.engine)?;
    consent::before_script(&ahead, &text, yes, terminal)?;
    ask(ahead.engine, &ahead.dir, &text)
}

/// What a script says that nobody was asked about: whoever typed its name wants that. `binary` is
/// the k6 that is asked, where that is wanted.
pub(super) fn look_at(script: &Path, binary: Option<&Path>) -> Result<ScriptInfo, CommandError> {
    let engine = EnginePlan::of_script(script, binary);
    let text = read(&engine)?;
    let info = ask(engine, Path::new("."), &text)?;
    info.ok_or_else(|| CommandError::new(Exit::Failure, "there is no script"))
}

/// The text of a script; empty where there is none.
fn read(engine: &EnginePlan) -> Result<Vec<u8>, CommandError> {
    let Some(script) = engine.facts().script() else {
        return Ok(Vec::new());
    };
    bounded::file(script.file, MOST_SCRIPT).map_err(|error| {
        let message = format!(
            "cannot read the script {}: {error}; set it with `--script FILE`, or `script` in \
             the profile's [engine]",
            script.file.display()
        );
        CommandError::new(Exit::Usage, message)
    })
}

fn ask(
    mut engine: EnginePlan,
    dir: &Path,
    text: &[u8],
) -> Result<Option<ScriptInfo>, CommandError> {
    secrets::of_engine(&mut engine, dir)?;
    let info = engine::inspect(&engine, journal::crc32(text));
    info.map_err(|why| CommandError::new(Exit::Usage, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_is_a_script() {
        let dir = tempfile::tempdir().unwrap();
        let of = |script: &Path| EnginePlan::of_script(script, None);
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
