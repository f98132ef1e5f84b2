//! The script that k6 runs in place of the user's, and which runs that one.

use std::path::{Path, PathBuf};

use super::K6Spec;

/// Its text, with two places for what is known when it is written.
const TEXT: &str = include_str!("wrapper.js");
const SCRIPT: &str = "\"__BREAKPOINT_SCRIPT__\"";
const CONFIG: &str = "\"__BREAKPOINT_CONFIG__\"";
/// Options of the user's script that would decide on the load.
pub(super) const WITHOUT: [&str; 10] = [
    "stages",
    "vus",
    "duration",
    "iterations",
    "thresholds",
    "scenarios",
    "rps",
    "paused",
    "executionSegment",
    "executionSegmentSequence",
];

/// The file, which is gone when this is.
#[derive(Debug)]
pub(super) struct Wrapper(PathBuf);

impl Wrapper {
    /// Writes it beside the user's script: what that one opens and imports is looked for in this
    /// folder. `url` is where the wrapper asks what to do.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(super) fn write(spec: &K6Spec, url: &str) -> std::io::Result<Self> {
        let name = format!(".breakpoint-{:016x}.js", rand::random::<u64>());
        let folder = spec.script.parent().unwrap_or(Path::new(""));
        let path = folder.join(name);
        // Nobody else's file is written over, and no link is followed.
        let mut file = std::fs::File::create_new(&path)?;
        let written = Self(path);
        std::io::Write::write_all(&mut file, text(spec, url).as_bytes())?;
        Ok(written)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Wrapper {
    fn drop(&mut self) {
        // The user may have deleted it himself.
        let _ = std::fs::remove_file(&self.0);
    }
}

fn text(spec: &K6Spec, url: &str) -> String {
    let name = spec.script.file_name().unwrap_or_default();
    let script = format!("./{}", name.to_string_lossy());
    let functions: Vec<&str> = spec
        .functions
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let config = serde_json::json!({
        "url": url,
        "vus": spec.max_vus.max(1),
        "duration": format!("{}s", spec.longest.as_secs().max(1)),
        "functions": functions,
        "without": WITHOUT,
    });
    TEXT.replace(SCRIPT, &serde_json::Value::from(script).to_string())
        .replace(CONFIG, &config.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::k6::tests::spec;

    #[test]
    fn it_lies_beside_the_script_and_is_gone_in_the_end() {
        let folder = tempfile::TempDir::new().unwrap();
        let script = folder.path().join("it's \"mine\".js");
        let wrapper = Wrapper::write(&spec(script), "http://127.0.0.1:1/secret").unwrap();
        let text = std::fs::read_to_string(wrapper.path()).unwrap();
        assert_eq!(wrapper.path().parent(), Some(folder.path()));
        assert!(text.starts_with("// Written by breakpoint"));
        assert!(text.contains(r#"from "./it's \"mine\".js";"#), "{text}");
        assert!(text.contains(r#""url":"http://127.0.0.1:1/secret""#));
        assert!(text.contains(r#""duration":"90s""#) && text.contains(r#""vus":7"#));
        assert!(!text.contains("__BREAKPOINT_"));
        drop(wrapper);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let spec = spec(PathBuf::from("/nowhere/at/all.js"));
        assert!(Wrapper::write(&spec, "").is_err());
    }
}
