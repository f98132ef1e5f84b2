//! A folder that is held: whatever happens to its path meanwhile, files are made in the folder that
//! was opened, and never through a link.
//!
//! Its path may become that of another folder while it is written to, and names in it may be links
//! that somebody planted. So the folder is opened once, names are looked up in what was opened
//! (`openat` and its kin, POSIX.1-2008), and a file is always a new one.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

/// Folders of one profile and second that are tried before giving up.
const MOST_ALIKE: u32 = 1000;
/// How often a name that somebody takes again and again is made free.
const MOST_TAKEN: u32 = 16;
/// What others may do with it is left to the umask.
const FILE_MODE: Mode = Mode::from_bits_truncate(0o666);
const FOLDER_MODE: Mode = Mode::from_bits_truncate(0o777);

/// A folder that was opened.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    dir: File,
}

impl Folder {
    /// The folder of a path that the user named: there a link is as good as a folder.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            dir: opened(path)?,
        })
    }

    /// The same, made where it is missing. A bare name, as the default `reports` is, may be a link
    /// that whoever made this folder has planted: such a link must be named as a path.
    pub(super) fn make(path: &Path) -> io::Result<Self> {
        let mut parts = path.components();
        if let (Some(Component::Normal(name)), None) = (parts.next(), parts.next())
            && let Some(name) = name.to_str()
        {
            let made = Self::open(Path::new("."))?.below(name)?;
            return Ok(Self {
                path: path.to_owned(),
                ..made
            });
        }
        fs::create_dir_all(path)?;
        Self::open(path)
    }

    /// A folder in this one, made where it is missing; a link of this name is refused.
    pub(super) fn below(&self, name: &str) -> io::Result<Self> {
        match mkdirat(&self.dir, name, FOLDER_MODE) {
            Ok(()) | Err(Errno::EEXIST) => self.enter(name),
            Err(e) => Err(e.into()),
        }
    }

    /// A new folder in this one: `name`, else `name-2`, `name-3` and so on.
    pub(super) fn new_below(&self, name: &str) -> io::Result<Self> {
        for n in 1..=MOST_ALIKE {
            let name = match n {
                1 => name.to_owned(),
                n => format!("{name}-{n}"),
            };
            match mkdirat(&self.dir, name.as_str(), FOLDER_MODE) {
                Ok(()) => return self.enter(&name),
                Err(Errno::EEXIST) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn enter(&self, name: &str) -> io::Result<Self> {
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let dir = openat(&self.dir, name, flags, Mode::empty()).map_err(|e| match e {
            Errno::ENOTDIR | Errno::ELOOP => io::Error::other(format!(
                "`{name}` is a link, or not a folder (a link is followed only as part of a \
                     path, as in `--out ./{name}`)"
            )),
            e => e.into(),
        })?;
        Ok(Self {
            path: self.path.join(name),
            dir: dir.into(),
        })
    }

    /// The path by which it was opened.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A new file, to which lines are added.
    pub(super) fn create(&self, name: &str) -> io::Result<File> {
        self.create_with(OsStr::new(name), OFlag::O_APPEND)
    }

    fn create_with(&self, name: &OsStr, more: OFlag) -> io::Result<File> {
        let new = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
        let flags = new | OFlag::O_WRONLY | OFlag::O_CLOEXEC | more;
        Ok(openat(&self.dir, name, flags, FILE_MODE)?.into())
    }

    /// A file that is there, to be read and added to; a link to another one is refused, and what is
    /// no file.
    pub(super) fn reopen(&self, name: &str) -> io::Result<File> {
        // A pipe would be waited for without the last one.
        let careful = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let flags = OFlag::O_RDWR | OFlag::O_APPEND | careful;
        let linked = || {
            io::Error::other(
                "it is a link to another file, which is not overwritten; replace it with a copy",
            )
        };
        let file: File = match openat(&self.dir, name, flags, Mode::empty()) {
            Ok(file) => file.into(),
            Err(Errno::ELOOP) => return Err(linked()),
            Err(e) => return Err(e.into()),
        };
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        if found.nlink() > 1 {
            return Err(linked());
        }
        Ok(file)
    }

    /// Writes one file whole: a reader sees the old one or the new one, never a part.
    pub(super) fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let part = format!("{name}.part");
        let written = self.fresh(&part).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            // A link of that name is replaced, and not followed.
            Ok(renameat(&self.dir, part.as_str(), &self.dir, name)?)
        });
        if written.is_err() {
            let _ = self.remove(&part);
        }
        written
    }

    /// A new file of a name that one which was cut off, or somebody else, may have taken.
    fn fresh(&self, name: &str) -> io::Result<File> {
        for _ in 0..MOST_TAKEN {
            match self.create_with(OsStr::new(name), OFlag::empty()) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => self.remove(name)?,
                made => return made,
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Takes a name away; where it is a link, what that leads to stays.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match unlinkat(&self.dir, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Whether there is such a file, and no link.
    pub(super) fn has(&self, name: &str) -> bool {
        let found = fstatat(&self.dir, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        found.is_ok_and(|f| SFlag::from_bits_truncate(f.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG)
    }

    /// Makes sure that the names in it outlast a power cut; where a file system cannot do that,
    /// nothing is lost by it.
    pub(super) fn sync(&self) {
        let _ = self.dir.sync_all();
    }

    /// Where it is now, unless that is where it was opened.
    pub(super) fn moved_to(&self) -> Option<PathBuf> {
        let held = self.dir.metadata().ok()?;
        let same = |other: fs::Metadata| (other.dev(), other.ino()) == (held.dev(), held.ino());
        if fs::metadata(&self.path).is_ok_and(same) {
            return None;
        }
        fs::read_link(format!("/proc/self/fd/{}", self.dir.as_raw_fd())).ok()
    }
}

fn opened(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(nix::fcntl::open(path, flags, Mode::empty())?.into())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_planted_link_is_replaced_and_what_it_leads_to_stays() {
        let place = tempfile::tempdir().unwrap();
        let precious = place.path().join("precious");
        fs::write(&precious, "mine").unwrap();
        let dir = place.path().join("run");
        fs::create_dir(&dir).unwrap();
        for (name, hard) in [("a", false), ("a.part", false), ("b.part", true)] {
            let link = dir.join(name);
            let made = if hard {
                fs::hard_link(&precious, link)
            } else {
                symlink(&precious, link)
            };
            made.unwrap();
        }
        symlink(place.path().join("nowhere"), dir.join("c.part")).unwrap();
        let folder = Folder::open(&dir).unwrap();
        for name in ["a", "b", "c"] {
            folder.replace(name, b"new").unwrap();
            let made = fs::symlink_metadata(dir.join(name)).unwrap();
            assert!(made.is_file(), "{name}");
            assert_eq!(fs::read(dir.join(name)).unwrap(), b"new");
        }
        assert_eq!(fs::read(&precious).unwrap(), b"mine");
        assert_eq!(fs::metadata(&precious).unwrap().nlink(), 1);
        assert!(!place.path().join("nowhere").exists());
        let names = fs::read_dir(&dir).unwrap().count();
        assert_eq!(names, 3, "no part is left over");
        // What cannot be taken away is told, and stays.
        fs::create_dir(dir.join("d.part")).unwrap();
        folder.replace("d", b"new").unwrap_err();
        assert!(!dir.join("d").exists());
    }

    #[test]
    fn lines_are_added_to_files_alone() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        fs::write(place.path().join("other"), "x").unwrap();
        symlink("other", place.path().join("link")).unwrap();
        fs::hard_link(place.path().join("other"), place.path().join("second")).unwrap();
        fs::create_dir(place.path().join("folder")).unwrap();
        nix::unistd::mkfifo(&place.path().join("pipe"), Mode::S_IRWXU).unwrap();
        for (name, part) in [
            ("link", "is a link"),
            ("second", "is a link"),
            ("pipe", "not a file"),
            ("folder", "irectory"),
        ] {
            let error = folder.reopen(name).unwrap_err().to_string();
            assert!(error.contains(part), "{name}: {error}");
            assert!(folder.create(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_folder_that_was_swapped_is_still_the_one_that_is_written_to() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::write(home.join("a"), "mine").unwrap();
        let dir = place.path().join("run");
        let folder = Folder::make(&dir).unwrap();
        assert_eq!(folder.moved_to(), None);
        let aside = place.path().join("aside");
        fs::rename(&dir, &aside).unwrap();
        symlink(&home, &dir).unwrap();
        folder.replace("a", b"new").unwrap();
        folder.create("b").unwrap();
        assert_eq!(fs::read(home.join("a")).unwrap(), b"mine");
        assert!(!home.join("b").exists());
        assert_eq!(fs::read(aside.join("a")).unwrap(), b"new");
        let there = folder.moved_to().unwrap();
        assert_eq!(there, aside.canonicalize().unwrap());
        // Nor is a link taken for a folder that is to be made.
        let parent = Folder::open(place.path()).unwrap();
        let error = parent.below("run").unwrap_err().to_string();
        assert!(error.contains("is a link"), "{error}");
        assert!(parent.new_below("run").unwrap().path().ends_with("run-2"));
    }
}
