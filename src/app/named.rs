//! The files that commands of a profile name: whoever agrees to a command agrees to what these
//! files hold.
//!
//! A shell's words are read well enough to find names of files, not to know what the command does:
//! one name too many costs a question, and one that a command makes up as it runs, or that a named
//! file names in turn, is not found.

use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use regex::Regex;

mod indirect;

/// Files that programs read without being told.
const IMPLIED: [(&str, &[&str]); 35] = [
    ("ant", &["build.xml"]),
    ("bun", &["package.json"]),
    ("bundle", &["Gemfile"]),
    ("cargo", &["Cargo.toml", "build.rs"]),
    ("cmake", &["CMakeLists.txt"]),
    ("deno", &["deno.json", "deno.jsonc"]),
    ("docker", &COMPOSE),
    ("docker-compose", &COMPOSE),
    ("fab", &["fabfile.py"]),
    ("foreman", &["Procfile", ".env"]),
    ("go", &["go.mod", "main.go"]),
    (
        "gradle",
        &["build.gradle", "build.gradle.kts", "settings.gradle"],
    ),
    (
        "gradlew",
        &["build.gradle", "build.gradle.kts", "settings.gradle"],
    ),
    ("honcho", &["Procfile", ".env"]),
    ("inv", &["tasks.py"]),
    ("invoke", &["tasks.py"]),
    ("just", &["justfile", "Justfile", ".justfile"]),
    ("make", &["GNUmakefile", "makefile", "Makefile"]),
    ("gmake", &["GNUmakefile", "makefile", "Makefile"]),
    ("mvn", &["pom.xml"]),
    ("nerdctl", &COMPOSE),
    ("ninja", &["build.ninja"]),
    ("node", &["package.json", "index.js"]),
    ("npm", &["package.json"]),
    ("npx", &["package.json"]),
    ("overmind", &["Procfile", ".env"]),
    ("pnpm", &["package.json"]),
    ("podman", &COMPOSE),
    ("podman-compose", &COMPOSE),
    ("rake", &["Rakefile", "rakefile", "Rakefile.rb"]),
    ("task", &["Taskfile.yml", "Taskfile.yaml"]),
    ("tilt", &["Tiltfile"]),
    ("tox", &["tox.ini"]),
    ("vagrant", &["Vagrantfile"]),
    ("yarn", &["package.json"]),
];
const COMPOSE: [&str; 6] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
    "Dockerfile",
    ".env",
];
/// Largest file whose content is read, bytes: a larger one, such as a data set, counts by its size
/// and the time of its last change.
const MOST_BYTES: u64 = 1 << 30;
/// Bytes read at once.
const CHUNK: usize = 1 << 16;

/// A file that a command names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    /// Without links.
    pub(super) path: PathBuf,
    /// A digest of what it holds.
    pub(super) content: Vec<u8>,
}

/// The files that these commands of a shell name, which runs them in `dir`; those that they write
/// themselves are left out.
pub(super) fn files<'a>(commands: impl Iterator<Item = &'a str>, dir: &Path) -> Vec<Named> {
    let commands: Vec<&str> = commands.collect();
    let mut words = CommandWords::default();
    for command in &commands {
        words.read(command);
    }
    let pieces: BTreeSet<String> = words.named.iter().flat_map(|w| pieces(w, dir)).collect();
    let mut bases = vec![dir.to_owned()];
    let folders = pieces.iter().map(|piece| dir.join(piece));
    bases.extend(folders.filter(|path| path.is_dir()));
    let implied = IMPLIED.iter().filter(|(program, _)| {
        let is_it = |piece: &String| Path::new(piece).file_name().is_some_and(|n| n == *program);
        pieces.iter().any(is_it)
    });
    let implied = implied.flat_map(|(_, files)| files.iter().map(|f| (*f).to_owned()));
    let names: BTreeSet<String> = pieces.iter().cloned().chain(implied).collect();
    let written: BTreeSet<PathBuf> = at(&words.written, &bases).collect();
    let mut found: BTreeSet<PathBuf> = at(&names, &bases).collect();
    found.retain(|path| !written.contains(path));
    found.extend(indirect::files(&commands, dir));
    found.iter().filter_map(|path| of(path)).collect()
}

/// A file and what it holds; `None` where it is none.
pub(super) fn of(path: &Path) -> Option<Named> {
    let path = path.canonicalize().ok()?;
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    // One that cannot be read cannot be read by the command either, unless that changes: then it is
    // another.
    let content = digest(&path).unwrap_or_default();
    Some(Named { path, content })
}

fn digest(path: &Path) -> io::Result<Vec<u8>> {
    let mut options = File::options();
    // What has become a pipe meanwhile is not waited for.
    let mut file = options
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.len() > MOST_BYTES {
        return Ok(outside(&found));
    }
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    let mut chunk = vec![0; CHUNK];
    let mut left = MOST_BYTES;
    loop {
        match file.read(&mut chunk)? {
            0 => break,
            n => {
                context.update(&chunk[..n]);
                // It may grow while it is read.
                left = left.saturating_sub(n as u64);
                if left == 0 {
                    break;
                }
            }
        }
    }
    Ok(context.finish().as_ref().to_vec())
}

fn outside(found: &Metadata) -> Vec<u8> {
    format!("{} {} {}", found.len(), found.mtime(), found.mtime_nsec()).into_bytes()
}

/// The paths of these names from any of these folders, without links, as far as there is something.
fn at<'a>(
    names: &'a BTreeSet<String>,
    bases: &'a [PathBuf],
) -> impl Iterator<Item = PathBuf> + use<'a> {
    names.iter().flat_map(move |name| {
        bases
            .iter()
            .flat_map(move |base| matching(&base.join(name)))
    })
}

/// The path itself, or what a pattern in its last part stands for.
fn matching(path: &Path) -> Vec<PathBuf> {
    if let Ok(path) = path.canonicalize() {
        return vec![path];
    }
    let pattern = path.file_name().and_then(|name| name.to_str());
    let (Some(pattern), Some(folder)) = (pattern, path.parent()) else {
        return Vec::new();
    };
    if !pattern.contains(['*', '?', '[']) {
        return Vec::new();
    }
    let Some(pattern) = glob(pattern) else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let fits = entries.filter(|e| pattern.is_match(&e.file_name().to_string_lossy()));
    fits.filter_map(|e| e.path().canonicalize().ok()).collect()
}

/// What a pattern of a shell stands for.
fn glob(pattern: &str) -> Option<Regex> {
    let text: String = pattern
        .chars()
        .map(|c| match c {
            '*' => ".*".to_owned(),
            // A class in brackets may stand for any character here: one file too many is no harm.
            '?' => ".".to_owned(),
            c => regex::escape(&c.to_string()),
        })
        .collect();
    let text = text.replace("\\[", "[").replace("\\]", "]");
    Regex::new(&format!("^(?s:{text})$")).ok()
}

/// What of a word may be the name of a file: the word, and its parts between what usually stands
/// around names.
fn pieces(word: &str, dir: &Path) -> Vec<String> {
    let word = expanded(word, dir);
    let around = |c: char| c.is_whitespace() || "=,:@;&|()<>'\"`{}".contains(c);
    let parts = word.split(around).map(str::to_owned);
    let mut pieces: Vec<String> = parts.chain([word.clone()]).collect();
    pieces.retain(|piece| !piece.is_empty() && piece != ".");
    pieces
}

/// With the variables of the environment, and `~`.
fn expanded(word: &str, dir: &Path) -> String {
    let value = |name: &str| match name {
        "PWD" => Some(dir.display().to_string()),
        name => std::env::var(name).ok(),
    };
    let word = match word.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            format!("{}{rest}", value("HOME").unwrap_or_default())
        }
        _ => word.to_owned(),
    };
    let mut out = String::new();
    let mut rest = word.as_str();
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let braced = after.strip_prefix('{').and_then(|a| a.split_once('}'));
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, left) = braced.unwrap_or_else(|| after.split_at(end.unwrap_or(after.len())));
        out.push_str(&value(name).unwrap_or_default());
        rest = left;
    }
    out.push_str(rest);
    out
}

/// The words of commands, and which of them are written to.
#[derive(Debug, Default)]
struct CommandWords {
    named: BTreeSet<String>,
    written: BTreeSet<String>,
}

impl CommandWords {
    /// Splits a command as a shell does.
    fn read(&mut self, command: &str) {
        let mut word = String::new();
        let (mut to_write, mut adds) = (false, false);
        let mut chars = command.chars();
        let mut quote = None;
        while let Some(c) = chars.next() {
            match (quote, c) {
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), c) if c == open => quote = None,
                // A line that goes on in the next one is one line.
                (None | Some('"'), '\\') => word.extend(chars.next().filter(|c| *c != '\n')),
                (None, c) if c.is_whitespace() || ";&|()<>`".contains(c) => {
                    if !word.is_empty() {
                        self.add(std::mem::take(&mut word), to_write, adds);
                        (to_write, adds) = (false, false);
                    }
                    // What follows `>` is written, also after `>|` and `>&`; after `>>` it keeps
                    // what it had.
                    adds = (c == '>' && to_write) || (adds && c.is_whitespace());
                    to_write = c == '>'
                        || (to_write && "|&".contains(c))
                        || (to_write && c.is_whitespace());
                }
                (_, c) => word.push(c),
            }
        }
        if !word.is_empty() {
            self.add(word, to_write, adds);
        }
    }

    /// What is only written counts as nothing, and so does what is written anew before it is read:
    /// its content is of the command.
    fn add(&mut self, word: String, to_write: bool, adds: bool) {
        if !to_write {
            self.named.insert(word);
        } else if !adds && !self.named.contains(&word) {
            self.written.insert(word);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// The files that are found, from a folder that has some.
    fn found(command: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("sub dir")).unwrap();
        fs::create_dir_all(root.join("sub/deep")).unwrap();
        for file in [
            "start.sh",
            "b.py",
            "log",
            "c.yaml",
            "sub/run",
            "sub/Makefile",
            "sub dir/x y",
            "compose.yaml",
        ] {
            fs::write(root.join(file), "").unwrap();
        }
        fs::write(root.join("sub/deep/go.sh"), "./in-turn.sh").unwrap();
        fs::write(root.join("in-turn.sh"), "").unwrap();
        for run in ["sub/run", "start.sh"] {
            let executable = fs::Permissions::from_mode(0o755);
            fs::set_permissions(root.join(run), executable).unwrap();
        }
        std::os::unix::fs::symlink("start.sh", root.join("link")).unwrap();
        let named = files([command].into_iter(), &root);
        let name = |n: Named| n.path.strip_prefix(&root).unwrap().display().to_string();
        named.into_iter().map(name).collect()
    }

    #[test]
    fn the_files_that_a_command_names_are_found_however_it_says_them() {
        for (command, wanted) in [
            ("./start.sh up", &["start.sh"][..]),
            ("sh 'start.sh'", &["start.sh"]),
            (". ./start.sh; true", &["start.sh"]),
            ("\"$PWD\"/start.sh", &["start.sh"]),
            ("${PWD}/start.sh&&true", &["start.sh"]),
            ("\"$(pwd)/start.sh\"", &["start.sh"]),
            (
                "cd sub && cd deep && ./go.sh",
                &["sub/deep/go.sh", "sub/run"],
            ),
            ("sh ./{start,x}.sh", &["start.sh"]),
            ("sh $'start.sh'", &["start.sh"]),
            ("sh ${X:-start.sh}", &["start.sh"]),
            ("x=start; sh $x.sh", &["start.sh"]),
            ("sh sta\\\nrt.sh", &["start.sh"]),
            ("sh */deep/go.sh", &["sub/deep/go.sh"]),
            ("sh */*/g*.sh", &["sub/deep/go.sh"]),
            ("python3 -m b", &["b.py"]),
            ("python3 -mb", &["b.py"]),
            ("run-parts sub", &["sub/run"]),
            (
                "find . -type f -exec {} +",
                &["b.py", "c.yaml", "compose.yaml", "start.sh"],
            ),
            // What a script names in turn.
            ("sh sub/deep/go.sh", &["in-turn.sh", "sub/deep/go.sh"]),
            (
                "sh -c './start.sh --config=c.yaml'",
                &["c.yaml", "start.sh"],
            ),
            ("python3 b.py </dev/null >log 2>&1 &", &["b.py"]),
            ("sh link", &["start.sh"]),
            ("cd sub && ./run", &["sub/run"]),
            ("make -C sub", &["sub/Makefile"]),
            ("docker compose up -d", &["compose.yaml"]),
            ("cat sub\\ dir/x\\ y", &["sub dir/x y"]),
            ("cat 'sub dir/x y'", &["sub dir/x y"]),
            ("sh *.sh; x=`cat c.yaml`", &["c.yaml", "start.sh"]),
            ("PATH=./sub:$PATH run", &["sub/run"]),
            ("true >> start.sh; ./start.sh", &["start.sh"]),
            ("./start.sh; : > start.sh", &["start.sh"]),
            ("curl --data @c.yaml http://127.0.0.1/start.sh", &["c.yaml"]),
        ] {
            let found = found(command);
            let is_found = |wanted: &&str| found.iter().any(|f| f == wanted);
            assert!(wanted.iter().all(is_found), "{command}: {found:?}");
        }
    }

    #[test]
    fn a_file_that_no_command_names_or_that_one_writes_is_none_of_them() {
        for (command, wanted) in [
            ("true", &[][..]),
            ("./start.sh up", &["start.sh"]),
            ("python3 b.py </dev/null >log 2>&1 &", &["b.py"]),
            ("./start.sh > log; cat log", &["start.sh"]),
            ("./start.sh >> log", &["start.sh"]),
            ("docker restart it", &["compose.yaml"]),
        ] {
            assert_eq!(found(command), wanted, "{command}");
        }
    }

    #[test]
    fn a_file_is_what_it_holds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("start.sh");
        let now = || files(["./start.sh"].into_iter(), dir.path());
        assert_eq!(now(), []);
        fs::write(&path, "a").unwrap();
        let first = now();
        assert_eq!(first.len(), 1);
        fs::write(&path, "b").unwrap();
        assert_ne!(now(), first);
        fs::write(&path, "a").unwrap();
        assert_eq!(now(), first);
        // Neither waited for nor read without end.
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(now(), []);
        fs::remove_file(&path).unwrap();
        let huge = File::create(&path).unwrap();
        huge.set_len(MOST_BYTES + 1).unwrap();
        assert_eq!(now().len(), 1);
    }
}
