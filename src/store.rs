//! The only writer of files: the folder of a run, the probes (or a ramp's stages) as they are
//! judged, and the reports at the end.
//!
//! Nothing measured is lost: every judged probe or stage is on the disk before the next begins (a
//! search's in a journal, from which it can go on), files appear whole or not at all, and when the
//! folder can no longer be written the reports go to the system's folder for temporary files.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::bounded;
use crate::journal::{self, Entry, Head, Journal, JournalError};
use crate::measure::LevelUnit;
use crate::record::{CompareRecord, RampRecord, RunRecord, ScaleRecord, StageRecord};
use crate::report::{self, CompareFormat, Format, RampFormat, Recorded, ReportError, ScaleFormat};

mod folder;
pub mod seen_marks;

use folder::Folder;

/// What a search was asked and every probe that was judged: [`crate::journal`]. It stays, so that a
/// search that ended can go on too.
const JOURNAL: &str = "journal.jsonl";
/// One judged stage of a ramp a line, kept until the result is safely written.
const STAGES: &str = "stages.jsonl";
/// How the folders of ramps begin; those of searches begin with the year.
const RAMP: &str = "ramp-";
/// What a sizing was asked and which searches were begun.
const SCALE_LOG: &str = "scale.jsonl";
/// The folder of sizings: each has a folder, and its runs lie where those of their profile do.
const SCALE: &str = "scale";
/// The folder of comparisons: of no one profile.
const COMPARISONS: &str = "comparisons";
/// How often a folder that is in use is tried again, and how long after.
const LOCK_TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Why a file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The report folder cannot be made or written.
    #[error("cannot write reports to {}: {source}; choose another folder with `--out DIR`", .path.display())]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A recorded run could not be read.
    #[error("cannot read {}: {source}; give a folder with a result.json, a ramp.json, or a \
        compare.json", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A recorded run is not one.
    #[error("{}: {source}", .path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ReportError,
    },
    /// There is no journal to go on from.
    #[error("{}: {why}", .dir.display())]
    NothingToResume {
        /// The folder.
        dir: PathBuf,
        /// Why not.
        why: String,
    },
    /// A journal that cannot be gone on from.
    #[error("{}: {source}", .path.display())]
    Journal {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: JournalError,
    },
    /// Another process writes to the folder.
    #[error("{} is in use: another breakpoint is writing to it. Wait for it to end, or stop it \
        first", .dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder is not any more where it was when the run began.
    #[error("{} was moved or replaced during the run: the reports are in the original folder, {}", .path.display(), .now.display())]
    Moved {
        /// Where it was.
        path: PathBuf,
        /// Where it is.
        now: PathBuf,
    },
    /// A report could not be made.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Neither the run's folder nor the one for temporary files could be written.
    #[error("{first}; and the fallback failed too: {second}")]
    Nowhere {
        /// What went wrong in the run's folder.
        first: Box<StoreError>,
        /// What went wrong in the fallback.
        second: Box<StoreError>,
    },
}

/// Where the reports of a run went.
#[derive(Debug)]
pub struct Written {
    /// The folder.
    pub dir: PathBuf,
    /// Set when it is not the folder that was asked for, or some report is missing: what went
    /// wrong.
    pub trouble: Option<StoreError>,
}

/// The folder of one run. No other process can write to it for as long as this lives.
#[derive(Debug)]
pub struct Store {
    folder: Folder,
    /// The name of the file of the lines.
    journal: &'static str,
    /// That file, locked.
    file: File,
    /// The lines so far, kept here too in case the folder vanishes.
    lines: Vec<u8>,
    /// How many bytes of them are on the disk.
    written: usize,
}

impl Store {
    /// Makes `out/<profile>/<UTC time>/` for a search, begins its journal and makes sure that the
    /// folder can be written.
    ///
    /// # Errors
    /// When it cannot; the error names `--out`.
    pub fn create(out: &Path, head: &Head, started: Timestamp) -> Result<Self, StoreError> {
        let mut store = Self::new(out, &head.profile, "", started, JOURNAL)?;
        // That there is such a folder and file must outlast a power cut too.
        store.folder.sync();
        let dir = store.dir().to_owned();
        if let Some(parent) = dir.parent() {
            let _ = File::open(parent).and_then(|dir| dir.sync_all());
        }
        store
            .append(journal::head_line(head)?)
            .map_err(|e| match e {
                StoreError::Write { source, .. } => StoreError::NotWritable { path: dir, source },
                other => other,
            })?;
        Ok(store)
    }

    /// The folder of a search that was cut off, or ended, with its journal. A torn last line is cut
    /// off.
    ///
    /// # Errors
    /// When there is no journal, it is damaged, or another process writes to it.
    pub fn reopen(dir: &Path) -> Result<(Self, Journal), StoreError> {
        let path = dir.join(JOURNAL);
        let nothing = |why: &str| StoreError::NothingToResume {
            dir: dir.to_owned(),
            why: why.to_owned(),
        };
        let opened = Folder::open(dir).and_then(|f| f.reopen(JOURNAL).map(|file| (f, file)));
        let (folder, mut file) = opened.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => {
                nothing("no search of this version was started here (there is no journal.jsonl)")
            }
            _ => StoreError::Write {
                path: path.clone(),
                source,
            },
        })?;
        lock(&file, dir)?;
        let failed = |source| StoreError::Read {
            path: path.clone(),
            source,
        };
        let mut bytes = bounded::record(&mut file).map_err(failed)?;
        let journal = journal::read(&bytes).map_err(|source| StoreError::Journal {
            path: path.clone(),
            source,
        })?;
        bytes.truncate(journal.whole);
        let mut store = Self {
            folder,
            journal: JOURNAL,
            file,
            written: journal.whole,
            lines: bytes,
        };
        store.repair()?;
        Ok((store, journal))
    }

    /// The folder of a ramp: `out/<profile>/ramp-<UTC time>/`.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create_ramp(out: &Path, profile: &str, started: Timestamp) -> Result<Self, StoreError> {
        Self::new(out, profile, RAMP, started, STAGES)
    }

    /// The folder of a sizing: `out/scale/<UTC time>/`, with the first line of its journal.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub fn create_scale(out: &Path, head: &[u8], started: Timestamp) -> Result<Self, StoreError> {
        let mut store = Self::new(out, SCALE, "", started, SCALE_LOG)?;
        store.append(head.to_owned())?;
        Ok(store)
    }

    /// Whether a folder is that of a sizing.
    pub fn is_scale(dir: &Path) -> bool {
        dir.join(SCALE_LOG).is_file()
    }

    /// The folder of a sizing that was cut off, with the whole lines of its journal.
    ///
    /// # Errors
    /// When it cannot be read, or another process writes to it.
    pub fn reopen_scale(dir: &Path) -> Result<(Self, Vec<String>), StoreError> {
        let failed = |source| StoreError::Read {
            path: dir.join(SCALE_LOG),
            source,
        };
        let opened = Folder::open(dir).and_then(|f| f.reopen(SCALE_LOG).map(|file| (f, file)));
        let (folder, mut file) = opened.map_err(failed)?;
        lock(&file, dir)?;
        let mut bytes = bounded::record(&mut file).map_err(failed)?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
        bytes.truncate(whole);
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().map(str::to_owned).collect();
        let mut store = Self {
            folder,
            journal: SCALE_LOG,
            file,
            written: whole,
            lines: bytes,
        };
        store.repair()?;
        Ok((store, lines))
    }

    /// Adds a line to the journal of a sizing. What cannot be written now is written with the next
    /// one; a search that is not noted is only made again.
    pub fn append_line(&mut self, line: Option<Vec<u8>>) {
        if let Some(line) = line {
            let _ = self.append(line);
        }
    }

    fn new(
        out: &Path,
        profile: &str,
        prefix: &str,
        started: Timestamp,
        journal: &'static str,
    ) -> Result<Self, StoreError> {
        let parent = path_safe(profile);
        let not_writable = |path: &Path, source| StoreError::NotWritable {
            path: path.to_owned(),
            source,
        };
        let name = folder_name(prefix, started);
        let folder = Folder::make(out)
            .and_then(|out| out.below(&parent)?.new_below(&name))
            .map_err(|e| not_writable(&out.join(&parent), e))?;
        // The file of the lines is made at once: it shows that files can be made here, not only
        // folders.
        let file = folder
            .create(journal)
            .map_err(|e| not_writable(folder.path(), e))?;
        lock(&file, folder.path())?;
        Ok(Self {
            folder,
            journal,
            file,
            lines: Vec::new(),
            written: 0,
        })
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// The first line of a search's journal, its end included: what was asked.
    pub fn head_line(&self) -> &[u8] {
        let mut lines = self.lines.split_inclusive(|b| *b == b'\n');
        lines.next().unwrap_or_default()
    }

    /// Adds a judged probe to the journal and waits until the disk has it.
    ///
    /// # Errors
    /// When it cannot be written. It is kept in memory all the same, the run can go on, and the
    /// next one brings it along.
    pub fn append_entry(&mut self, entry: &Entry) -> Result<(), StoreError> {
        self.append(journal::entry_line(entry)?)
    }

    /// Adds a judged stage to `stages.jsonl` and waits until the disk has it.
    ///
    /// # Errors
    /// As [`Store::append_entry`].
    pub fn append_stage(&mut self, stage: &StageRecord) -> Result<(), StoreError> {
        let mut line = report::stage_json(stage)?;
        line.push(b'\n');
        self.append(line)
    }

    /// Adds a line, its end included, and whatever could not be written before.
    fn append(&mut self, line: Vec<u8>) -> Result<(), StoreError> {
        self.lines.extend(line);
        self.repair()?;
        let rest = &self.lines[self.written..];
        let written = self
            .file
            .write_all(rest)
            .and_then(|()| self.file.sync_data());
        written.map_err(|source| self.write_error(source))?;
        self.written = self.lines.len();
        Ok(())
    }

    /// Cuts off what an attempt to write has left of a line.
    fn repair(&mut self) -> Result<(), StoreError> {
        let whole = u64::try_from(self.written).unwrap_or(u64::MAX);
        let cut = self.file.metadata().and_then(|now| {
            // A file that was removed can be written and is gone with this process.
            if now.nlink() == 0 {
                Err(io::ErrorKind::NotFound.into())
            } else if now.len() > whole {
                self.file.set_len(whole)
            } else {
                Ok(())
            }
        });
        cut.map_err(|source| self.write_error(source))
    }

    fn write_error(&self, source: io::Error) -> StoreError {
        let path = self.dir().join(self.journal);
        StoreError::Write { path, source }
    }

    /// Writes every report. The lines of a ramp are removed then, since the record holds them; the
    /// journal of a search stays.
    ///
    /// When the folder cannot be written any more, the reports go to a new folder in the system's
    /// folder for temporary files, and [`Written::trouble`] says so.
    ///
    /// # Errors
    /// When the reports could be written nowhere.
    pub fn finish(&self, record: &impl Recorded) -> Result<Written, StoreError> {
        let first = match self.write_all(&self.folder, record) {
            Ok(trouble) => {
                let path = self.dir().to_owned();
                let (dir, moved) = match self.folder.moved_to() {
                    Some(now) => (now.clone(), Some(StoreError::Moved { path, now })),
                    None => (path, None),
                };
                return Ok(Written {
                    dir,
                    trouble: trouble.map(StoreError::Report).or(moved),
                });
            }
            Err(e) => e,
        };
        match self.fall_back(record) {
            Ok(dir) => Ok(Written {
                dir,
                trouble: Some(first),
            }),
            Err(second) => Err(StoreError::Nowhere {
                first: Box::new(first),
                second: Box::new(second),
            }),
        }
    }

    fn fall_back(&self, record: &impl Recorded) -> Result<PathBuf, StoreError> {
        let parent = std::env::temp_dir();
        let name = format!("breakpoint-{}", path_safe(record.profile()));
        let folder = Folder::open(&parent).and_then(|parent| parent.new_below(&name));
        let folder = folder.map_err(|source| StoreError::NotWritable {
            path: parent,
            source,
        })?;
        self.write_all(&folder, record)?;
        Ok(folder.path().to_owned())
    }

    /// Writes the reports into a folder, and the bare lines where not even the record can be
    /// rendered.
    fn write_all(
        &self,
        folder: &Folder,
        record: &impl Recorded,
    ) -> Result<Option<ReportError>, StoreError> {
        let trouble = write_artifacts(folder, record)?;
        let ended = folder.has(record.own_file());
        if ended && self.journal == STAGES {
            // Duplicate data by now; that it cannot be removed harms nobody.
            let _ = folder.remove(self.journal);
        } else if !ended && !folder.has(self.journal) {
            replace(folder, self.journal, &self.lines)?;
        }
        Ok(trouble)
    }
}

/// Takes a folder for this process, until the file is closed: also by a kill, whose victim may need
/// a moment to be gone.
fn lock(file: &File, dir: &Path) -> Result<(), StoreError> {
    let mut tries = 0;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if tries < LOCK_TRIES => {
                tries += 1;
                std::thread::sleep(BETWEEN_TRIES);
            }
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    dir: dir.to_owned(),
                });
            }
            // Some network file systems have no locks; that is no reason to measure nothing.
            Ok(()) | Err(TryLockError::Error(_)) => return Ok(()),
        }
    }
}

/// Writes every report of a record into an existing folder.
///
/// # Errors
/// When a report cannot be made or written.
pub fn write_report(dir: &Path, record: &impl Recorded) -> Result<(), StoreError> {
    let folder = Folder::open(dir).map_err(|source| StoreError::Write {
        path: dir.to_owned(),
        source,
    })?;
    written(&folder, record)
}

fn written(folder: &Folder, record: &impl Recorded) -> Result<(), StoreError> {
    match write_artifacts(folder, record)? {
        Some(trouble) => Err(StoreError::Report(trouble)),
        None => Ok(()),
    }
}

/// Reads the record of a run from its folder, or from a `result.json` itself.
///
/// # Errors
/// When there is none, or it is not one that this program can read.
pub fn read_record(path: &Path) -> Result<RunRecord, StoreError> {
    let path = if path.is_dir() {
        path.join(Format::Json.file_name(LevelUnit::Vus))
    } else {
        path.to_owned()
    };
    match read_file(&path) {
        Ok(bytes) => report::read(&bytes).map_err(|source| StoreError::Record { path, source }),
        Err(source) => Err(StoreError::Read { path, source }),
    }
}

/// The ramp in a folder, or in a `ramp.json` itself; `None` where it is no ramp's.
///
/// # Errors
/// When it is one that this program cannot read.
pub fn read_ramp(path: &Path) -> Result<Option<RampRecord>, StoreError> {
    read_one(path, RampFormat::Json.file_name(), report::read_ramp)
}

/// The comparison in a folder, or in a `compare.json` itself; `None` where it is none.
///
/// # Errors
/// When it is one that this program cannot read.
pub fn read_comparison(path: &Path) -> Result<Option<CompareRecord>, StoreError> {
    let name = CompareFormat::Json.file_name();
    read_one(path, name, report::read_comparison)
}

/// The sizing in a folder, or in a `scale.json` itself; `None` where it is none.
///
/// # Errors
/// When it is one that this program cannot read.
pub fn read_scale(path: &Path) -> Result<Option<ScaleRecord>, StoreError> {
    read_one(path, ScaleFormat::Json.file_name(), report::read_scale)
}

/// Makes `out/comparisons/<UTC time>/` and writes every report of a comparison into it.
///
/// # Errors
/// When the folder cannot be made, or a report cannot be made or written.
pub fn write_comparison(
    out: &Path,
    record: &CompareRecord,
    made: Timestamp,
) -> Result<PathBuf, StoreError> {
    let name = folder_name("", made);
    let folder = Folder::make(out)
        .and_then(|out| out.below(COMPARISONS)?.new_below(&name))
        .map_err(|source| StoreError::NotWritable {
            path: out.join(COMPARISONS),
            source,
        })?;
    written(&folder, record)?;
    Ok(folder.path().to_owned())
}

/// The name of a folder: a time.
fn folder_name(prefix: &str, time: Timestamp) -> String {
    format!("{prefix}{}", time.strftime("%Y-%m-%dT%H-%M-%SZ"))
}

/// The record in a folder's file of this name, or in such a file itself; `None` where there is
/// none.
fn read_one<T>(
    path: &Path,
    name: &str,
    read_record: fn(&[u8]) -> Result<T, ReportError>,
) -> Result<Option<T>, StoreError> {
    let path = if path.is_dir() {
        path.join(name)
    } else {
        path.to_owned()
    };
    if !path.ends_with(name) || !path.is_file() {
        return Ok(None);
    }
    let read = |source| StoreError::Read {
        path: path.clone(),
        source,
    };
    let bytes = read_file(&path).map_err(read)?;
    let record = read_record(&bytes);
    record
        .map(Some)
        .map_err(|source| StoreError::Record { path, source })
}

/// A record, which anybody may have written.
fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    bounded::record(&mut bounded::open(path)?)
}

/// The folders of a profile's searches, the newest first.
pub fn searches(out: &Path, profile: &str) -> Vec<PathBuf> {
    runs_in(&out.join(path_safe(profile)))
}

/// Whether a folder is that of a search.
pub fn is_run(dir: &Path) -> bool {
    dir.join(Format::Json.file_name(LevelUnit::Vus)).is_file()
}

/// The folders of searches within a folder, the newest first.
pub fn runs_in(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir);
    let dirs = entries.into_iter().flatten().flatten().map(|e| e.path());
    let mut dirs: Vec<PathBuf> = dirs.filter(|dir| is_run(dir)).collect();
    // Their names are times.
    dirs.sort();
    dirs.reverse();
    dirs
}

fn replace(folder: &Folder, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let written = folder.replace(name, bytes);
    written.map_err(|source| StoreError::Write {
        path: folder.path().join(name),
        source,
    })
}

/// Writes files whole into a folder, which is made when it is missing.
///
/// # Errors
/// When the folder or a file cannot be written; the error names `--out`.
pub fn write_files(dir: &Path, files: &[(String, Vec<u8>)]) -> Result<(), StoreError> {
    let folder = Folder::make(dir).map_err(|source| StoreError::NotWritable {
        path: dir.to_owned(),
        source,
    })?;
    for (name, bytes) in files {
        replace(&folder, name, bytes)?;
    }
    Ok(())
}

/// Adds text to a file that others have begun, as far as it stays below a limit in all; what does
/// not fit is left out.
///
/// # Errors
/// When it cannot be written.
pub fn append_within(path: &Path, text: &str, most: usize) -> Result<bool, StoreError> {
    let taken = fs::metadata(path).map_or(0, |m| m.len());
    let text_bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    if taken.saturating_add(text_bytes) > u64::try_from(most).unwrap_or(u64::MAX) {
        return Ok(false);
    }
    let mut options = OpenOptions::new();
    options
        .append(true)
        .create(true)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| StoreError::Write {
            path: path.to_owned(),
            source,
        })?;
    Ok(true)
}

/// Writes what can be rendered, the record first; a format that cannot be is told and costs no
/// other one.
fn write_artifacts(
    folder: &Folder,
    record: &impl Recorded,
) -> Result<Option<ReportError>, StoreError> {
    let mut trouble = None;
    for (name, bytes) in record.files() {
        match bytes {
            Ok(bytes) => replace(folder, name, &bytes)?,
            Err(e) => trouble = trouble.or(Some(e)),
        }
    }
    Ok(trouble)
}

/// A profile's name as one path component that no system takes for anything else.
fn path_safe(name: &str) -> String {
    let safe: String = name
        .chars()
        .map(|c| match c {
            c if c.is_alphanumeric() => c,
            '-' | '_' | '.' => c,
            _ => '-',
        })
        .take(80)
        .collect();
    match safe.trim_matches(['.', '-']) {
        "" => "profile".to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

#[cfg(test)]
mod tests;
