//! Readers of what comes from outside, each with an end: files that may be devices or pipes, and
//! answers that may never stop.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that the bodies of all answers that are being read may have together, whoever sends them:
/// many monitors that all answer without end must not add up.
const ALL_ANSWERS: usize = 40 << 20;

/// Most bytes of a file that holds one value, such as a secret or a process's number.
pub const VALUE: u64 = 64 << 10;
/// Most bytes of a file that a person writes: a profile, a simulated system.
pub const WRITTEN: u64 = 512 << 10;
/// Most bytes of a file of certificates; those of all authorities together are a quarter of a
/// megabyte.
pub const CERTIFICATES: u64 = 4 << 20;

/// The whole content of a file.
///
/// # Errors
/// When it cannot be read, is no file, or is longer than `most` bytes.
pub fn file(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    rest_of(&mut open(path)?, most)
}

/// The same of a file of text.
///
/// # Errors
/// As [`file()`], and when it is no UTF-8.
pub fn text(path: &Path, most: u64) -> io::Result<String> {
    let bytes = file(path, most)?;
    String::from_utf8(bytes).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "it is not text: it has bytes that are not UTF-8",
        )
    })
}

/// Opens a file to read. A pipe, which would wait for its writer, and a device, which may never
/// end, are none.
///
/// # Errors
/// When it cannot be opened or is no file.
pub fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        // Without waiting: of what was opened is asked what it is, not of what had the name before.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    is_file(&file)?;
    Ok(file)
}

/// What is left of a file that is open.
///
/// # Errors
/// As [`file()`].
pub fn rest_of(file: &mut File, most: u64) -> io::Result<Vec<u8>> {
    is_file(file)?;
    let told = file.metadata()?.len();
    if told > most {
        return Err(too_long(most));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(told).unwrap_or(0));
    // Files of the kernel say that they are empty, and others may grow.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(too_long(most));
    }
    Ok(bytes)
}

/// Most bytes of a record or a journal: a search of two hours with ten steps and a dozen monitors,
/// or of four with fewer.
const RECORD: u64 = 16 << 20;
/// Most texts, lists and tables in one, each of which takes several times the memory of the three
/// bytes that it can be written with; a search of an hour has some fifty thousand.
const PARTS: usize = 600_000;
/// Most values of any kind: numbers take four times their place.
const VALUES: usize = 2_000_000;

/// A record or a journal, which may be anybody's: not longer than one that is read can be, and not
/// of more parts.
///
/// # Errors
/// As [`file()`].
pub fn record(file: &mut File) -> io::Result<Vec<u8>> {
    let bytes = rest_of(file, RECORD)?;
    let (parts, values) = parts_of(&bytes);
    if parts > PARTS || values > VALUES {
        let text = format!("it has more than {VALUES} values, the limit for such a file");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

/// How many texts (but for names of fields), lists and tables a text of JSON has, and how many
/// values of any kind, as far as that can be told without reading it.
fn parts_of(json: &[u8]) -> (usize, usize) {
    let (mut parts, mut values) = (0, 0);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                parts += 1;
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'[' | b'{' => parts += 1,
            b',' => values += 1,
            // What stood before it was a name.
            b':' => parts -= 1_usize.min(parts),
            _ => {}
        }
    }
    (parts, values)
}

fn is_file(file: &File) -> io::Result<()> {
    let kind = file.metadata()?.file_type();
    if kind.is_file() {
        return Ok(());
    }
    let what = if kind.is_dir() {
        "a folder"
    } else {
        "a pipe or a device"
    };
    Err(io::Error::other(format!("it is {what}, not a file")))
}

fn too_long(most: u64) -> io::Error {
    let text = format!(
        "it is longer than {}, the limit for such a file",
        size(most)
    );
    io::Error::new(io::ErrorKind::FileTooLarge, text)
}

fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 {
        format!("{} MiB", bytes >> 20)
    } else {
        format!("{} KiB", bytes >> 10)
    }
}

/// Why a body was not read to its end.
#[derive(Debug)]
pub enum BodyError {
    /// The connection, or the message on it.
    Broken(reqwest::Error),
    /// It is longer than so many bytes.
    TooLong(usize),
    /// All that is being read is longer than memory is given to.
    TooMuch,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(error) => error.fmt(f),
            Self::TooLong(most) => write!(f, "the response is longer than {}", size(*most as u64)),
            Self::TooMuch => write!(
                f,
                "the responses being read are longer than {} in total",
                size(ALL_ANSWERS as u64)
            ),
        }
    }
}

/// The body of an answer, of at most so many bytes.
///
/// # Errors
/// When it cannot be read, or is longer.
pub async fn body(answer: &mut reqwest::Response, most: usize) -> Result<Vec<u8>, BodyError> {
    // Who says that it is too long is believed.
    if answer
        .content_length()
        .is_some_and(|length| length > most as u64)
    {
        return Err(BodyError::TooLong(most));
    }
    let mut taken = Taken(0);
    let mut bytes = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(BodyError::Broken)? {
        if bytes.len() + piece.len() > most {
            return Err(BodyError::TooLong(most));
        }
        taken.more(piece.len())?;
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// A share of the memory for answers, given back when the answer was read.
struct Taken(usize);

static TAKEN: AtomicUsize = AtomicUsize::new(0);

impl Taken {
    fn more(&mut self, bytes: usize) -> Result<(), BodyError> {
        let before = TAKEN.fetch_add(bytes, Ordering::Relaxed);
        self.0 += bytes;
        if before + bytes > ALL_ANSWERS {
            return Err(BodyError::TooMuch);
        }
        Ok(())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        TAKEN.fetch_sub(self.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_record_are_counted_and_names_are_none() {
        let json = br#"{"a": ["x,[", "\"{", 1, 2], "b": {"c": "d"}}"#;
        assert_eq!(parts_of(json), (6, 4));
        assert_eq!(parts_of(br"["), (1, 0));
        assert_eq!(parts_of(br#"":::"#), (1, 0));
        assert_eq!(parts_of(b"::"), (0, 0));
    }

    #[test]
    fn only_files_are_read_and_only_so_much_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("four"), "four").unwrap();
        assert_eq!(text(&path("four"), 4).unwrap(), "four");
        let why = |path: &Path| text(path, 3).unwrap_err().to_string();
        assert!(why(&path("four")).starts_with("it is longer than"));
        // A hole of a terabyte takes no place, and no time.
        File::create(path("hole"))
            .unwrap()
            .set_len(1 << 40)
            .unwrap();
        assert!(why(&path("hole")).starts_with("it is longer than"));
        // Nobody writes to it, and nobody waits.
        let made = std::process::Command::new("mkfifo")
            .arg(path("pipe"))
            .status();
        assert!(made.unwrap().success());
        for (path, what) in [
            (path("pipe"), "a pipe or a device"),
            ("/dev/zero".into(), "a pipe or a device"),
            (dir.path().to_owned(), "a folder"),
        ] {
            assert_eq!(why(&path), format!("it is {what}, not a file"));
        }
        // Files of the kernel have no length.
        assert!(
            !text(Path::new("/proc/self/stat"), VALUE)
                .unwrap()
                .is_empty()
        );
        assert!(why(Path::new("/proc/self/stat")).starts_with("it is longer than"));
        std::fs::write(path("bytes"), [0xff]).unwrap();
        assert!(why(&path("bytes")).starts_with("it is not text"));
    }
}
