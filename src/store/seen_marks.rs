//! What was seen before, over all runs of a user: commands that were agreed to, and what was loaded
//! already.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The file below the folder of a user's states.
const FILE: &str = "breakpoint/seen";

/// Why nothing can be remembered.
#[derive(Debug, thiserror::Error)]
pub enum SeenError {
    /// There is no folder for it.
    #[error("neither XDG_STATE_HOME nor HOME names a folder in which to remember what was seen")]
    NoFolder,
    /// The file cannot be written.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Marks of what was seen, each a line of a file.
#[derive(Debug, Clone, Default)]
pub struct SeenMarks {
    path: Option<PathBuf>,
    marks: BTreeSet<String>,
}

impl SeenMarks {
    /// Reads what this user has seen; without a file, or a folder for it, nothing.
    pub fn of_user() -> Self {
        let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
        let absolute = |path: &PathBuf| path.is_absolute();
        let own = folder("XDG_STATE_HOME").map(PathBuf::from).filter(absolute);
        let home = || folder("HOME").map(|home| Path::new(&home).join(".local/state"));
        match own.or_else(home) {
            Some(folder) => Self::at(folder.join(FILE)),
            None => Self::default(),
        }
    }

    fn at(path: PathBuf) -> Self {
        let text = fs::read(&path).unwrap_or_default();
        let marks = String::from_utf8_lossy(&text);
        Self {
            marks: marks
                .lines()
                .filter(|l| !l.is_empty())
                .map(str::to_owned)
                .collect(),
            path: Some(path),
        }
    }

    /// Whether there is such a mark.
    pub fn has(&self, mark: &str) -> bool {
        self.marks.contains(mark)
    }

    /// Adds a mark. It counts for this run also where it cannot be written.
    ///
    /// # Errors
    /// When it cannot be kept for the next run.
    pub fn add(&mut self, mark: &str) -> Result<(), SeenError> {
        self.marks.insert(mark.to_owned());
        let path = self.path.clone().ok_or(SeenError::NoFolder)?;
        append(&path, mark).map_err(|error| SeenError::Write { path, error })
    }
}

fn append(path: &Path, mark: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    // One write: marks of two runs at once do not mix. A line that was torn before is ended.
    file.write_all(format!("\n{mark}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_outlive_a_run_and_one_that_cannot_be_kept_counts_for_this_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/breakpoint/seen");
        let mut seen = SeenMarks::at(path.clone());
        assert!(!seen.has("a"));
        seen.add("a").unwrap();
        seen.add("b").unwrap();
        let again = SeenMarks::at(path.clone());
        assert!(again.has("a") && again.has("b") && !again.has("c"));
        // A torn line spoils none that comes after it.
        OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap()
            .write_all(b"torn")
            .unwrap();
        SeenMarks::at(path.clone()).add("c").unwrap();
        assert!(SeenMarks::at(path.clone()).has("c"));
        let mut nowhere = SeenMarks::at(path.join("below-a-file"));
        let error = nowhere.add("d").unwrap_err().to_string();
        assert!(error.starts_with("cannot write "), "{error}");
        assert!(nowhere.has("d"));
        let error = SeenMarks::default().add("e").unwrap_err().to_string();
        assert!(error.contains("XDG_STATE_HOME"), "{error}");
    }
}
