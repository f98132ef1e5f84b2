//! Which file a profile's name means, and reading it.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::bounded;
use crate::confidential;
use crate::profile::{Profile, ProfileError, builtin, nearest};
use crate::secret;

/// Why a profile could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// The file cannot be read.
    #[error("cannot read the profile {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// No profile has this name.
    #[error(
        "there is no profile `{name}`{near}; available: {known}. A path must end in .toml: \
         ./{name}.toml"
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// "; did you mean ..." or nothing.
        near: String,
        /// Those that exist.
        known: String,
    },
    /// It is an address, and no profile.
    #[error("that is an address, not the name of a profile: use --url {0}")]
    Address(String),
    /// It is not a profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
}

/// The profiles that were asked for, by name and then by path; a single `None` when there are none,
/// which is the demo or the address given.
///
/// # Errors
/// When one of them does not exist or is no profile. Nothing is run before all are read.
pub fn selected(
    names: &[String],
    files: &[PathBuf],
    cwd: &Path,
) -> Result<Vec<Option<Profile>>, LocateError> {
    let mut profiles = Vec::new();
    for name in names {
        profiles.push(Some(by_name(name, cwd)?));
    }
    for file in files {
        profiles.push(Some(by_path(file, cwd)?));
    }
    if profiles.is_empty() {
        profiles.push(None);
    }
    Ok(profiles)
}

/// Loads what `find NAME` means: a path if it ends in `.toml` or exists, else `profiles/NAME.toml`
/// under `cwd`, else a profile that comes with the program.
///
/// # Errors
/// When there is no such profile, or it cannot be read.
pub fn by_name(name: &str, cwd: &Path) -> Result<Profile, LocateError> {
    let direct = cwd.join(name);
    let has_extension = Path::new(name).extension().is_some_and(|e| e == "toml");
    if has_extension || direct.is_file() {
        return by_path(Path::new(name), cwd);
    }
    let in_folder = Path::new("profiles").join(format!("{name}.toml"));
    if cwd.join(&in_folder).is_file() {
        return by_path(&in_folder, cwd);
    }
    if let Some(found) = builtin::ALL.iter().find(|b| b.name == name) {
        // Its commands, if any, are those of a checkout; they start from where the profile would
        // lie there.
        let dir = cwd.join("profiles");
        let dir = if dir.is_dir() { dir } else { cwd.to_owned() };
        return Ok(Profile::parse(found.text, found.name, &dir)?);
    }
    if is_address(name) {
        let url = if name.contains("://") {
            name.to_owned()
        } else {
            format!("http://{name}")
        };
        return Err(LocateError::Address(secret::masked(&url)));
    }
    let known = names(cwd);
    let near = nearest(name, known.iter().map(String::as_str))
        .map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    Err(LocateError::Unknown {
        name: name.to_owned(),
        near,
        known: known.join(", "),
    })
}

/// Whether a name is rather an address, with or without its scheme.
fn is_address(name: &str) -> bool {
    let host = name.split(['/', '?']).next().unwrap_or_default();
    let has_port = host.rsplit_once(':').is_some_and(|(host, port)| {
        !host.is_empty() && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit())
    });
    name.contains("://") || has_port || host == "localhost" || host.parse::<IpAddr>().is_ok()
}

/// Loads the profile in a file; `path` may be relative to `cwd`.
///
/// # Errors
/// When it cannot be read or is not a profile.
pub fn by_path(path: &Path, cwd: &Path) -> Result<Profile, LocateError> {
    let full = cwd.join(path);
    let text = bounded::text(&full, bounded::WRITTEN).map_err(|error| LocateError::Read {
        path: path.to_owned(),
        error,
    })?;
    // Before anybody quotes a line of it.
    confidential::know(secret::of_texts(&text));
    // Absolute, because the commands run in this folder and the monitors' paths are opened from
    // another one.
    let full = full.canonicalize().unwrap_or(full);
    let dir = full.parent().unwrap_or(cwd);
    Ok(Profile::parse(&text, &path.display().to_string(), dir)?)
}

/// Every profile's name that [`by_name`] would find under `cwd`.
pub fn names(cwd: &Path) -> Vec<String> {
    let mut names: Vec<String> = builtin::ALL.iter().map(|b| b.name.to_owned()).collect();
    let files = std::fs::read_dir(cwd.join("profiles"));
    for entry in files.into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|e| e == "toml")
            && let Some(stem) = path.file_stem()
        {
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_where_a_profile_belongs_is_told_as_one() {
        let dir = tempfile::tempdir().unwrap();
        for (name, url) in [
            ("localhost:80/ok", "http://localhost:80/ok"),
            ("https://h/?token=abc", "https://h/?token=***"),
            ("127.0.0.1", "http://127.0.0.1"),
        ] {
            let why = by_name(name, dir.path()).unwrap_err().to_string();
            assert!(why.ends_with(&format!("--url {url}")), "{why}");
        }
        let why = by_name("folder/x", dir.path()).unwrap_err().to_string();
        assert!(why.starts_with("there is no profile `folder/x`"), "{why}");
    }

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn a_name_is_a_path_then_a_file_under_profiles_then_a_builtin() {
        let text = "slo = [\"p99<1s\"]\n[target]\ndemo = true\n";
        let dir = folder(&[("mine.toml", text), ("profiles/demo.toml", text)]);
        let mine = by_name("mine.toml", dir.path()).unwrap();
        assert_eq!(mine.name, "mine");
        assert_eq!(mine.dir, dir.path().canonicalize().unwrap());
        let demo = by_name("demo", dir.path()).unwrap();
        assert!(demo.dir.ends_with("profiles"));
        assert!(demo.scenario.is_none(), "the file, not the builtin");
        let builtin = by_name("gateway-512mb", dir.path()).unwrap();
        assert_eq!(builtin.name, "gateway-512mb");
        let names = ["demo".to_owned()];
        let both = selected(&names, &["mine.toml".into()], dir.path()).unwrap();
        let both: Vec<String> = both.into_iter().flatten().map(|p| p.name).collect();
        assert_eq!(both, ["demo", "mine"]);
        let none = selected(&[], &[], dir.path()).unwrap();
        assert!(matches!(none[..], [None]), "one run, without a profile");
    }

    #[test]
    fn an_unknown_name_lists_what_exists_and_the_nearest() {
        let dir = folder(&[("profiles/shop.toml", "")]);
        let error = by_name("gatway-512mb", dir.path()).unwrap_err().to_string();
        assert!(error.contains("did you mean `gateway-512mb`?"), "{error}");
        assert!(
            error.contains("demo, gateway-512mb, llm-stream, redis-512mb, shop"),
            "{error}"
        );
        let error = by_name("./no.toml", dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("cannot read the profile ./no.toml"),
            "{error}"
        );
    }
}
