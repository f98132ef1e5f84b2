//! Whether what was printed, and the files, arrived: an answer that nobody can read is none.

use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::sync::{Mutex, PoisonError};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{fstat, stat};

/// What did not arrive. A program has one standard output.
static LOST: Mutex<Option<Lost>> = Mutex::new(None);

/// Something that did not arrive where it was wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// What is to be said of it; `None` where it was said already.
    pub why: Option<String>,
}

/// What did not arrive by now, the first of it.
pub fn lost() -> Option<Lost> {
    LOST.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Notes that something did not arrive, which was said already.
pub fn lose() {
    note(Lost { why: None });
}

/// Prints bytes as they are.
pub(super) fn write(bytes: &[u8]) {
    let mut stdout = io::stdout().lock();
    arrived(stdout.write_all(bytes).and_then(|()| stdout.flush()));
}

/// Prints text, without colors where they do not belong.
pub(super) fn print(text: &str) {
    let mut stdout = anstream::stdout().lock();
    let written = stdout.write_all(text.as_bytes());
    arrived(written.and_then(|()| stdout.flush()));
}

/// Notes how a print to the standard output went. A reader that closed its pipe has seen enough.
pub fn arrived(written: io::Result<()>) {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => note(Lost {
            why: Some(format!(
                "cannot write to standard output: {error}; the output is missing or incomplete"
            )),
        }),
        _ => {}
    }
}

/// Notes a standard output that was closed before this program began, for one that does nothing but
/// print.
///
/// Rust opens `/dev/null` in its place, for reading and writing. Some programs (Python's `DEVNULL`)
/// give the same to a child whose output they do not want; whoever runs a command that only prints
/// wants its output.
pub fn must_be_open() {
    let stdout = io::stdout();
    let is_null = match (fstat(stdout.as_fd()), stat("/dev/null")) {
        (Ok(out), Ok(null)) => (out.st_mode, out.st_rdev) == (null.st_mode, null.st_rdev),
        _ => false,
    };
    let flags = fcntl(stdout.as_fd(), FcntlArg::F_GETFL).map(OFlag::from_bits_retain);
    let to_read = flags.is_ok_and(|f| f & OFlag::O_ACCMODE == OFlag::O_RDWR);
    if is_null && to_read {
        note(Lost {
            why: Some("standard output is closed: nothing was printed".to_owned()),
        });
    }
}

fn note(lost: Lost) {
    LOST.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert(lost);
}
