//! Files that commands reach without a path from the profile's folder: in a folder that they go
//! into, by the name of a module, by a pattern within a path, by a word that the shell puts
//! together, or through a script that names them in turn.
//!
//! Of the files around the profile those count that somebody can run, and whose name, or what
//! stands before its last dot, is a word of a command, or of a script that a command reaches. A
//! folder that a command names counts with what lies in it.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{IMPLIED, glob};
use crate::bounded;

/// Files and folders that are looked at, those nearest to the profile first: more than a checkout
/// of this program has.
const MOST_ENTRIES: usize = 4096;
/// Largest script whose words are read, bytes.
const MOST_SCRIPT: u64 = 256 << 10;
/// Folders of others' code that nobody has written by hand.
const SKIPPED: [&str; 2] = [".git", "node_modules"];
/// How files are called that are run, or say what is run.
const CODE: [&str; 27] = [
    "awk", "bash", "cjs", "clj", "go", "groovy", "jar", "js", "ksh", "lua", "mjs", "mk", "nix",
    "php", "pl", "ps1", "py", "r", "rb", "service", "sh", "so", "tcl", "ts", "yaml", "yml", "zsh",
];
/// Those of them whose words are commands.
const SCRIPTS: [&str; 7] = ["bash", "ksh", "mk", "sh", "yaml", "yml", "zsh"];

/// A file that can be run.
struct Code {
    path: PathBuf,
    name: String,
    stem: String,
}

/// The files that these commands reach so, which are run in `dir`.
pub(super) fn files(commands: &[&str], dir: &Path) -> BTreeSet<PathBuf> {
    let mut left = tree(&root(commands, dir));
    let mut words = CandidateWords::default();
    for command in commands {
        words.read(command);
    }
    let folders = words.clone();
    let is_in = |code: &Code| {
        let folder = code.path.parent();
        let name = folder
            .and_then(Path::file_name)
            .map(|n| n.to_string_lossy());
        let is_named = name.is_some_and(|name| folders.all.contains(&*name));
        is_named || (folders.here && folder == Some(dir))
    };
    let mut found = BTreeSet::new();
    loop {
        let (reached, rest): (Vec<Code>, Vec<Code>) = left
            .into_iter()
            .partition(|code| words.reach(code) || is_in(code));
        if reached.is_empty() {
            return found;
        }
        for code in reached {
            if is_script(&code)
                && let Ok(text) = bounded::text(&code.path, MOST_SCRIPT)
            {
                words.read_script(&text, &code.path, dir);
            }
            found.insert(code.path);
        }
        left = rest;
    }
}

/// The folder from which on is looked: the profile's own, or one above it where a command climbs;
/// no more than two, and never all of a disk.
fn root(commands: &[&str], dir: &Path) -> PathBuf {
    let climbs = commands.iter().any(|command| command.contains(".."));
    let further = commands.iter().any(|command| command.contains("../.."));
    let above = usize::from(climbs) + usize::from(further);
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let fits = |path: &&Path| path.components().count() > 2 && home.as_deref() != Some(*path);
    let roots = dir.ancestors().take(above + 1);
    roots.filter(fits).last().unwrap_or(dir).to_owned()
}

/// All files below a folder that can be run, without what links lead to.
fn tree(root: &Path) -> Vec<Code> {
    let mut folders = VecDeque::from([root.to_owned()]);
    let mut left = MOST_ENTRIES;
    let mut found = Vec::new();
    while let Some(folder) = folders.pop_front() {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut entries: Vec<_> = entries.take(left).collect();
        left -= entries.len();
        // In the same order on every machine.
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let (path, name) = (
                entry.path(),
                entry.file_name().to_string_lossy().into_owned(),
            );
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() && !SKIPPED.contains(&name.as_str()) {
                folders.push_back(path);
            } else if meta.is_file() && is_code(&path, &name, &meta) {
                let stem = path.file_stem().unwrap_or_default();
                let stem = stem.to_string_lossy().into_owned();
                found.push(Code { path, name, stem });
            }
        }
    }
    found
}

fn extension(path: &Path) -> &str {
    path.extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default()
}

fn is_code(path: &Path, name: &str, meta: &Metadata) -> bool {
    let is_implied = IMPLIED.iter().any(|(_, files)| files.contains(&name));
    let may_run = meta.permissions().mode() & 0o111 != 0;
    is_implied || may_run || CODE.contains(&extension(path))
}

fn is_script(code: &Code) -> bool {
    let extension = extension(&code.path);
    extension.is_empty() || SCRIPTS.contains(&extension)
}

/// The words of commands and scripts that may be names, or parts of them.
#[derive(Clone, Default)]
struct CandidateWords {
    all: HashSet<String>,
    /// Whole names of files that scripts say, each with the folder in or below which it is meant:
    /// of their many words a part of a name says nothing.
    of_scripts: HashSet<(PathBuf, String)>,
    patterns: Vec<regex::Regex>,
    /// Whether the profile's own folder is named, as `.`.
    here: bool,
}

impl CandidateWords {
    fn read(&mut self, text: &str) {
        // A shell takes these away, and puts together what stands around them.
        let text = text.replace("\\\n", "").replace(['\\', '"', '\''], "");
        let mut begins = true;
        for word in text.split_whitespace() {
            // At the beginning of a command it reads another file.
            self.here |=
                !begins && matches!(word.trim_end_matches([';', '&', '|', ')']), "." | "./");
            begins = word.ends_with([';', '&', '|', '(']) || matches!(word, "then" | "do" | "else");
            let last = word.rsplit('/').next().unwrap_or_default();
            if last.contains(['*', '?', '[']) {
                self.patterns
                    .extend(glob(last.trim_end_matches([';', ')', '`'])));
            }
        }
        for (_, run) in runs(&text) {
            let bare = run.trim_matches(['.', '-']);
            let module = run.strip_prefix("-m");
            let pieces = bare.split('.').chain(bare.split('-'));
            let words = [run, bare].into_iter().chain(module).chain(pieces);
            for word in words.filter(|word| !word.is_empty()) {
                self.all.insert(word.to_owned());
            }
        }
    }

    fn read_script(&mut self, text: &str, script: &Path, dir: &Path) {
        // A script starts from its own folder, or from where it was called.
        let folders = [script.parent().unwrap_or(dir), dir];
        for (is_in_folder, run) in runs(text) {
            let bare = run.trim_start_matches('-').trim_end_matches('.');
            if is_in_folder || bare.contains('.') {
                for folder in folders {
                    self.of_scripts.insert((folder.to_owned(), bare.to_owned()));
                }
            }
        }
    }

    fn reach(&self, code: &Code) -> bool {
        self.all.contains(&code.name)
            || self.all.contains(&code.stem)
            || code.path.ancestors().skip(1).any(|folder| {
                let named = (folder.to_owned(), code.name.clone());
                self.of_scripts.contains(&named)
            })
            || self.patterns.iter().any(|p| p.is_match(&code.name))
    }
}

/// What of a text may be a name, and whether the sign of a folder stands before it.
fn runs(text: &str) -> impl Iterator<Item = (bool, &str)> {
    let part = |c: char| c.is_alphanumeric() || "._-".contains(c);
    let mut is_in_folder = false;
    let pieces = text.split_inclusive(move |c| !part(c));
    let runs = pieces.map(move |piece| {
        let before = std::mem::replace(&mut is_in_folder, piece.ends_with('/'));
        (before, piece.trim_end_matches(|c| !part(c)))
    });
    runs.filter(|(_, run)| !run.is_empty())
}
