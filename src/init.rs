//! `breakpoint init`: writes a commented profile, and never over one that exists.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::plan::{FindFlags, Plan, PlanError};
use crate::profile::{Profile, template};

/// Why no profile was written.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The address cannot be loaded.
    #[error("--url {url}: {why}")]
    Url {
        /// The address.
        url: String,
        /// Why.
        why: String,
    },
    /// There is a file of that name.
    #[error("{} exists and is left as it is; name another file: --out FILE", .0.display())]
    Exists(PathBuf),
    /// It cannot be written.
    #[error("cannot write {}: {error}; name another file: --out FILE", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Writes a profile for the service at `url`.
///
/// # Errors
/// When the address is none, or the file exists or cannot be written.
pub fn write(url: &str, path: &Path) -> Result<(), InitError> {
    let text = checked(url).map_err(|why| InitError::Url {
        url: url.to_owned(),
        why,
    })?;
    let write_error = |error| InitError::Write {
        path: path.to_owned(),
        error,
    };
    let mut file = match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(InitError::Exists(path.to_owned()));
        }
        Err(error) => return Err(write_error(error)),
    };
    file.write_all(text.as_bytes()).map_err(write_error)
}

/// The profile's text, once it is known to make a plan.
fn checked(url: &str) -> Result<String, String> {
    let flags = FindFlags {
        url: Some(url.to_owned()),
        slo: vec!["p99<1s".to_owned()],
        ..FindFlags::default()
    };
    match Plan::resolve(None, &flags) {
        Ok(_) => {}
        Err(PlanError::Flag { why, .. }) => return Err(why),
        Err(error) => return Err(error.to_string()),
    }
    let text = template::render(url);
    let profile = Profile::parse(&text, "profile", Path::new(".")).map_err(|e| e.to_string())?;
    match Plan::resolve(Some(&profile), &FindFlags::default()) {
        Ok(_) => Ok(text),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_written_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.toml");
        write("http://127.0.0.1:8080/api", &path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("get = \"/api\""), "{text}");
        let again = write("http://127.0.0.1:1/", &path).unwrap_err().to_string();
        assert!(again.contains("is left as it is"), "{again}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        let nowhere = dir.path().join("no/such/mine.toml");
        let error = write("http://h/", &nowhere).unwrap_err().to_string();
        assert!(error.contains("cannot write"), "{error}");
    }

    #[test]
    fn an_address_that_cannot_be_loaded_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.toml");
        let error = write("localhost:8080", &path).unwrap_err().to_string();
        assert!(error.starts_with("--url localhost:8080: "), "{error}");
        assert!(!path.exists());
    }
}
