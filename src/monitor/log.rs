//! Log lines: which are kept, how they are cleaned and bounded, and files followed as they grow.

use std::collections::BTreeMap;
use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::confidential;
use crate::measure::{LogLine, OTHER_LINES, folded};
use crate::plan::LogMatch;

/// Characters of a line that are kept: its start, and its end too, where Redis says why.
const LONGEST: usize = 300;
/// Of these, characters of the end.
const LONGEST_END: usize = 120;
/// Bytes of a log's line that are read.
const LONGEST_READ: usize = 4096;
/// Kinds of lines that are counted apart between two fetches: a log has some dozens, and one whose
/// lines cannot be told by kind has one for each line.
const MOST_KINDS: usize = 100;
/// Lines that wait to be fetched; what comes beyond is counted only. They are fetched once a
/// second.
const MOST_WAITING: usize = 200;
/// Time between two looks at a file.
const PERIOD: Duration = Duration::from_millis(250);
/// Bytes read from a file in one look.
const MOST_READ: u64 = 4 << 20;
/// What Redis writes when it closes a client that reads too slowly.
const BUFFER_KILL: &str = "overcoming of output buffer limits";

/// Where the lines of one monitor wait to be fetched.
#[derive(Debug, Clone)]
pub(super) struct Inbox(Arc<Mutex<Held>>);

#[derive(Debug)]
struct Held {
    wanted: LogMatch,
    /// Lines, each with how many were left out after it.
    lines: Vec<(String, u64)>,
    /// Every line by its kind: the first of it, and how many.
    kinds: BTreeMap<String, (String, u64)>,
    /// Clients that Redis closed because their output buffer was full.
    buffer_kills: u32,
    /// Whether there is a file and something in it.
    is_written: bool,
    /// Why the log cannot be followed.
    problem: Option<String>,
}

impl Inbox {
    pub(super) fn new(wanted: LogMatch) -> Self {
        Self(Arc::new(Mutex::new(Held {
            wanted,
            lines: Vec::new(),
            kinds: BTreeMap::new(),
            buffer_kills: 0,
            is_written: false,
            problem: None,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a line of a log, which is kept if it matters.
    pub(super) fn hear(&self, line: &str) {
        let line = confidential::line(line, LONGEST_READ);
        let line = clean(&line);
        let mut held = self.lock();
        if line.contains(BUFFER_KILL) {
            held.buffer_kills += 1;
        }
        if held.wanted.matches(&line) {
            held.keep(&line);
        }
        held.count(&line);
    }

    /// Takes what is known to matter.
    pub(super) fn note(&self, line: &str) {
        self.lock().keep(&clean(line));
    }

    /// The lines since the last time that matter, and how many of each kind there were.
    pub(super) fn fetch(&self, monitor: &str) -> Vec<LogLine> {
        let mut held = self.lock();
        let (lines, kinds) = (
            std::mem::take(&mut held.lines),
            std::mem::take(&mut held.kinds),
        );
        let line = |(text, more)| LogLine {
            monitor: monitor.to_owned(),
            text,
            more,
            tally: None,
        };
        let tally = |(text, n)| LogLine {
            tally: Some(n),
            ..line((text, 0))
        };
        let tallies = kinds.into_values().map(tally);
        lines.into_iter().map(line).chain(tallies).collect()
    }

    /// How many clients Redis said that it closed because their output buffer was full; `None`
    /// while nobody writes the log: what it does not hold is then no proof.
    pub(super) fn buffer_kills(&self) -> Option<u32> {
        let held = self.lock();
        held.is_written.then_some(held.buffer_kills)
    }

    pub(super) fn problem(&self) -> Option<String> {
        self.lock().problem.clone()
    }

    fn set_state(&self, is_written: bool, problem: Option<String>) {
        let mut held = self.lock();
        held.is_written = is_written;
        held.problem = problem;
    }
}

impl Held {
    fn count(&mut self, line: &str) {
        let kind = folded(line);
        if kind.is_empty() {
            return;
        }
        let room = self.kinds.len() < MOST_KINDS || self.kinds.contains_key(&kind);
        let (kind, text) = if room {
            (kind, line)
        } else {
            (OTHER_LINES.to_owned(), OTHER_LINES)
        };
        let (_, n) = (self.kinds.entry(kind)).or_insert_with(|| (shortened(text), 0));
        *n += 1;
    }

    fn keep(&mut self, line: &str) {
        let full = self.lines.len() >= MOST_WAITING;
        match self.lines.last_mut() {
            Some((_, more)) if full => *more += 1,
            _ => self.lines.push((shortened(line), 0)),
        }
    }
}

/// A line without escape sequences of terminals, carriage returns and control characters.
fn clean(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\t' => text.push(' '),
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    text.trim().to_owned()
}

/// Passes over what follows an ESC: `[31m` and other control sequences, `]0;title` up to a BEL, or
/// one character.
fn skip_escape(chars: &mut std::str::Chars<'_>) {
    match chars.next() {
        Some('[') => {
            chars.find(|c| ('@'..='~').contains(c));
        }
        Some(']') => {
            chars.find(|c| matches!(c, '\u{7}' | '\u{1b}'));
        }
        _ => {}
    }
}

fn shortened(line: &str) -> String {
    let chars: Vec<char> = line.chars().collect();
    if chars.len() <= LONGEST {
        return line.to_owned();
    }
    let (start, end) = (LONGEST - LONGEST_END - 1, chars.len() - LONGEST_END);
    let mut short: String = chars[..start].iter().collect();
    short.push('\u{2026}');
    short.extend(&chars[end..]);
    short
}

/// Cuts bytes that come in pieces into lines.
#[derive(Debug)]
pub(super) struct Splitter {
    line: Vec<u8>,
    longest: usize,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new(LONGEST_READ)
    }
}

impl Splitter {
    /// Of a longer line than `longest` bytes the rest is passed over.
    pub(super) fn new(longest: usize) -> Self {
        Self {
            line: Vec::new(),
            longest,
        }
    }

    /// Takes more bytes and gives every line that they complete.
    pub(super) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let (text, ends) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            let room = self.longest.saturating_sub(self.line.len());
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                each(&String::from_utf8_lossy(&self.line));
                self.line.clear();
            }
        }
    }
}

/// A file that is read as it grows, also when it is cut to nothing or another one takes its name.
#[derive(Debug)]
pub(super) struct LogFollower {
    path: PathBuf,
    open: Option<Open>,
    splitter: Splitter,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Device and number: what a name stands for.
    id: (u64, u64),
    read: u64,
}

impl LogFollower {
    /// From the file's end as it is now; one that is made later is read from its start.
    pub(super) fn new(path: &Path) -> Self {
        let open = open(path).ok().and_then(|mut open| {
            open.read = open.file.seek(SeekFrom::End(0)).ok()?;
            Some(open)
        });
        Self {
            path: path.to_owned(),
            open,
            splitter: Splitter::default(),
        }
    }

    fn is_written(&self) -> bool {
        let length = self.open.as_ref().map(|open| open.file.metadata());
        length.is_some_and(|meta| meta.is_ok_and(|m| m.len() > 0))
    }

    /// Gives every line that was completed since the last time.
    fn poll(&mut self, mut each: impl FnMut(&str)) -> io::Result<()> {
        if let Some(open) = &mut self.open {
            // Also of one that has been moved away: its last lines tell most.
            open.read_on(&mut self.splitter, &mut each)?;
        }
        let now = std::fs::metadata(&self.path)?;
        if self.open.as_ref().is_none_or(|open| open.id != id(&now)) {
            self.splitter = Splitter::default();
            let open = self.open.insert(open(&self.path)?);
            open.read_on(&mut self.splitter, &mut each)?;
        }
        Ok(())
    }
}

fn id(meta: &Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

fn open(path: &Path) -> io::Result<Open> {
    // Asked before: to open a pipe would wait for its writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a file"));
    }
    let file = File::open(path)?;
    let id = id(&file.metadata()?);
    Ok(Open { file, id, read: 0 })
}

impl Open {
    fn read_on(&mut self, splitter: &mut Splitter, each: &mut impl FnMut(&str)) -> io::Result<()> {
        if self.file.metadata()?.len() < self.read {
            self.read = self.file.seek(SeekFrom::Start(0))?;
            *splitter = Splitter::default();
        }
        let mut bytes = Vec::new();
        let read = (&mut self.file).take(MOST_READ).read_to_end(&mut bytes)?;
        self.read += u64::try_from(read).unwrap_or(u64::MAX);
        splitter.push(&bytes, each);
        Ok(())
    }
}

/// Follows a file for ever. Read on a thread of its own: a file on a dead network disk would hold
/// up this one. That it cannot be read is a problem only where it `must_exist`.
pub(super) async fn follow(follower: LogFollower, inbox: Inbox, must_exist: bool) {
    let mut follower = follower;
    let path = follower.path.clone();
    loop {
        let told = inbox.clone();
        let look = tokio::task::spawn_blocking(move || {
            let outcome = follower.poll(|line| told.hear(line));
            (follower, outcome)
        });
        let Ok((back, outcome)) = look.await else {
            return;
        };
        follower = back;
        let problem = outcome.err().filter(|_| must_exist);
        let problem = problem.map(|error| format!("log {}: {error}", path.display()));
        inbox.set_state(follower.is_written(), problem);
        tokio::time::sleep(PERIOD).await;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    fn inbox() -> Inbox {
        Inbox::new(LogMatch::default())
    }

    fn texts(inbox: &Inbox) -> Vec<String> {
        let lines = inbox.fetch("it").into_iter();
        let shown = lines.filter(|l| l.tally.is_none());
        shown.map(|l| l.text).collect()
    }

    #[test]
    fn lines_are_cleaned_and_shortened() {
        for (line, want) in [
            ("\u{1b}[31mERROR\u{1b}[39m\tx\r", "ERROR x"),
            (
                "\u{1b}]0;title\u{7}a\u{8}b\u{1b}[1;31;40mc\u{1b}(Bd",
                "abcBd",
            ),
            ("  cut in an escape \u{1b}[3", "cut in an escape"),
        ] {
            assert_eq!(clean(line), want);
        }
        let long = shortened(&format!("{}why", "ä".repeat(400)));
        assert_eq!(long.chars().count(), LONGEST);
        assert!(long.starts_with("ää") && long.contains('\u{2026}') && long.ends_with("äwhy"));
    }

    #[test]
    fn pieces_become_lines_whatever_their_cuts() {
        let mut splitter = Splitter::default();
        let mut lines = Vec::new();
        for piece in ["one\ntw", "", "o\n\nthr"] {
            splitter.push(piece.as_bytes(), |l| lines.push(l.to_owned()));
        }
        assert_eq!(lines, ["one", "two", ""]);
        splitter.push(&vec![b'x'; 100_000], |_| panic!("no end yet"));
        splitter.push(b"\n", |l| assert_eq!(l.len(), LONGEST_READ));
    }

    #[test]
    fn a_flood_is_counted_and_a_quiet_line_passed_over() {
        let inbox = inbox();
        inbox.hear("all is well");
        for i in 0..1000 {
            inbox.hear(&format!("error {i}"));
        }
        inbox.note("die, exit code 137");
        let (lines, kinds): (Vec<LogLine>, Vec<LogLine>) =
            (inbox.fetch("it").into_iter()).partition(|l| l.tally.is_none());
        let counted: Vec<(&str, Option<u64>)> =
            kinds.iter().map(|l| (l.text.as_str(), l.tally)).collect();
        assert_eq!(
            counted,
            [("all is well", Some(1)), ("error 0", Some(1000))],
            "of every line, whether it matters or not"
        );
        assert_eq!(lines.len(), MOST_WAITING);
        assert_eq!(lines[0].text, "error 0");
        assert_eq!(lines.iter().map(|l| l.more).sum::<u64>(), 801);
        assert_eq!(inbox.fetch("it"), []);
        inbox.hear("# Client scheduled to be closed ASAP for overcoming of output buffer limits.");
        assert_eq!(inbox.buffer_kills(), None, "not from a file");
        inbox.set_state(true, None);
        assert_eq!(inbox.buffer_kills(), Some(1));
    }

    #[test]
    fn a_log_without_kinds_takes_no_room() {
        let inbox = inbox();
        let word = |i: u32| char::from_u32(0x4e00 + i).unwrap();
        for i in 0..1000 {
            inbox.hear(&format!("{} and {}", word(i), word(i + 1)));
        }
        let kinds = inbox.fetch("it");
        assert_eq!(kinds.len(), MOST_KINDS + 1);
        let other = kinds.iter().find(|l| l.text == OTHER_LINES);
        assert_eq!(other.and_then(|l| l.tally), Some(900));
    }

    #[test]
    fn a_file_is_followed_over_truncation_and_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("it.log");
        let append = |text: &str| {
            let mut options = fs::OpenOptions::new();
            let mut file = options.append(true).create(true).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        append("error of yesterday\n");
        let mut follower = LogFollower::new(&path);
        let inbox = inbox();
        let look = |follower: &mut LogFollower| {
            follower.poll(|l| inbox.hear(l)).unwrap();
            texts(&inbox)
        };
        assert_eq!(look(&mut follower), [""; 0]);
        append("error 1\nfine\nerr");
        assert_eq!(look(&mut follower), ["error 1"]);
        append("or 2\n");
        assert_eq!(look(&mut follower), ["error 2"]);
        fs::write(&path, "error 3\n").unwrap();
        assert_eq!(look(&mut follower), ["error 3"], "cut and written again");
        append("error 4\n");
        fs::rename(&path, dir.path().join("it.log.1")).unwrap();
        append("error 5\n");
        assert_eq!(look(&mut follower), ["error 4", "error 5"], "rotated");
        fs::remove_file(&path).unwrap();
        assert!(follower.poll(|_| {}).is_err());
        append("error 6\n");
        assert_eq!(look(&mut follower), ["error 6"], "made again");
    }

    #[test]
    fn what_is_no_file_is_an_error_and_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let mut follower = LogFollower::new(dir.path());
        assert!(follower.poll(|_| {}).is_err());
        let mut later = LogFollower::new(&dir.path().join("later.log"));
        assert!(later.poll(|_| {}).is_err());
        fs::write(dir.path().join("later.log"), "error at once\n").unwrap();
        let inbox = inbox();
        later.poll(|l| inbox.hear(l)).unwrap();
        assert_eq!(texts(&inbox), ["error at once"], "from its start");
    }
}
