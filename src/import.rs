//! Profiles from what people have: a curl line, a recording of a browser, a description of an API,
//! a collection of requests.
//!
//! Each format has a reader that makes [`Call`]s of a text. What follows is the same for all: calls
//! to hosts that are not this machine
//! are left out, values that come back become extractions, credentials become variables of the
//! environment, and one writer makes the
//! profile. Text in, text out: nothing here touches a file or a socket.

mod body;
mod call;
mod curl;
mod flags;
mod har;
mod hosts;
mod link;
mod multipart;
mod openapi;
mod postman;
mod secrets;
mod sound;
mod visit;
mod write;

pub use call::{Body, Call, Part, PartContent};
pub use flags::{Data, RequestFlags};
pub use secrets::of_text as secrets_of_text;
pub use write::scenario;

/// Most steps of one profile, pauses included.
const MOST_STEPS: usize = 100;
/// Bytes of a profile that is still read.
const MOST_BYTES: usize = 500 << 10;
/// Most lines about what was left out; the rest is counted.
const MOST_TOLD: usize = 40;

/// What a profile is made of.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// A command line of curl.
    Curl(&'a str),
    /// A recording: HTTP Archive 1.2.
    Har(&'a [u8]),
    /// A description of an API: `OpenAPI` 3 or Swagger 2, as JSON or YAML.
    OpenApi(&'a str),
    /// A collection of Postman, v2.0 or v2.1.
    Postman(&'a [u8]),
}

impl Source<'_> {
    /// The flag that names it.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Curl(_) => "--from-curl",
            Self::Har(_) => "--from-har",
            Self::OpenApi(_) => "--from-openapi",
            Self::Postman(_) => "--from-postman",
        }
    }
}

/// What is asked of an import.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Hosts other than this machine that may be loaded.
    pub allowed: Vec<String>,
    /// Where the calls go, in place of the host that they were recorded for.
    pub url: Option<String>,
    /// Whether images, scripts, styles and fonts are loaded too.
    pub with_assets: bool,
    /// What leads from the profile's folder to the one in which files of `-F` were named, such as
    /// `../`.
    pub way: String,
    /// The operations of an API: `get /items`, or their ids; all GETs where there are none.
    pub operations: Vec<String>,
}

/// A profile that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The profile.
    pub profile: String,
    /// What is not in it, and what must be known of it.
    pub told: Vec<String>,
    /// Variables of the environment that it needs.
    pub variables: Vec<String>,
    /// Files that it sends, as it names them.
    pub files: Vec<String>,
    /// The values that stand in those variables' place, which nobody may repeat.
    pub secrets: Vec<String>,
}

/// Why no profile can be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ImportError(String);

impl ImportError {
    fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// What a reader makes of a text.
#[derive(Debug, Default)]
struct Reading {
    calls: Vec<Call>,
    /// What was left out, and what must be known.
    told: Vec<String>,
    /// Keys of `[target]` about connections: the key, and its text.
    target: Vec<(&'static str, String)>,
}

impl Reading {
    fn tell(&mut self, line: impl Into<String>) {
        let line = line.into();
        if !self.told.contains(&line) {
            self.told.push(line);
        }
    }
}

/// Makes a profile.
///
/// # Errors
/// When the text cannot be read, or nothing in it may be loaded.
pub fn import(source: Source<'_>, wishes: &Wishes) -> Result<Imported, ImportError> {
    let mut reading = match source {
        Source::Curl(line) => curl::read(line)?,
        Source::Har(bytes) => har::read(bytes, wishes)?,
        Source::OpenApi(text) => openapi::read(text, wishes)?,
        Source::Postman(bytes) => postman::read(bytes)?,
    };
    // Of a description the reader knows what stands before its paths.
    let rebased = matches!(source, Source::OpenApi(_));
    hosts::choose(&mut reading, wishes, rebased)?;
    sound::keep(&mut reading);
    let fits = fitting(&reading.calls);
    if reading.calls.len() > fits {
        let more = reading.calls.len() - fits;
        reading.calls.truncate(fits);
        reading.tell(format!("left out: {more} requests after the first {fits}"));
    }
    if reading.calls.is_empty() {
        let why = reading
            .told
            .first()
            .map_or_else(String::new, |t| format!(" ({t})"));
        return Err(ImportError::new(format!("there is no request in it{why}")));
    }
    link::link(&mut reading);
    tell_gaps(&mut reading);
    if matches!(source, Source::Curl(_)) {
        multipart::lead_to_files(&mut reading, &wishes.way);
    }
    made(reading, source.flag(), wishes)
}

/// Tells what of the calls is still to be written.
fn tell_gaps(reading: &mut Reading) {
    let mut lines = Vec::new();
    for call in &reading.calls {
        // What follows it may be a secret.
        let path = call.path.split('?').next().unwrap_or_default();
        let path: String = path.chars().take(sound::MOST_SHOWN).collect();
        let gaps = call.gaps.iter();
        lines.extend(gaps.map(|gap| format!("{} {path}: {gap}", call.method)));
    }
    for line in lines {
        reading.tell(line);
    }
}

/// How many calls there is room for, with the pauses between them.
fn fitting(calls: &[Call]) -> usize {
    let mut steps = 0;
    calls
        .iter()
        .take_while(|call| {
            steps += 1 + usize::from(call.think_s.is_some());
            steps <= MOST_STEPS
        })
        .count()
}

/// A profile of one call that was typed as flags.
///
/// # Errors
/// When the flags make no request.
pub fn of_flags(
    url: &str,
    flags: &RequestFlags,
    target: Vec<(&'static str, String)>,
    allowed: &[String],
    way: &str,
) -> Result<Imported, ImportError> {
    let call = flags.call(url).map_err(|(flag, why)| {
        ImportError::new(if flag.is_empty() {
            why
        } else {
            format!("{flag}: {why}")
        })
    })?;
    let mut reading = Reading {
        calls: vec![call],
        told: Vec::new(),
        target,
    };
    multipart::lead_to_files(&mut reading, way);
    let wishes = Wishes {
        allowed: allowed.to_vec(),
        ..Wishes::default()
    };
    made(reading, "--url", &wishes)
}

fn made(mut reading: Reading, flag: &str, wishes: &Wishes) -> Result<Imported, ImportError> {
    let hidden = if flag == Source::OpenApi("").flag() {
        // Its examples are made up.
        secrets::noted(&reading.calls)
    } else {
        secrets::hide(&mut reading.calls)
    };
    let more = reading.told.len().saturating_sub(MOST_TOLD);
    reading.told.truncate(MOST_TOLD);
    if more > 0 {
        reading.told.push(format!("and {more} more of this kind"));
    }
    // What is told goes into the file too, and quotes addresses.
    for line in &mut reading.told {
        *line = hidden.without(line);
    }
    let profile = write::profile(&reading, &hidden.names, flag, wishes);
    if profile.len() > MOST_BYTES {
        return Err(ImportError::new(format!(
            "its requests make a profile of {} KiB, and more than {} KiB are not read; leave \
            some out",
            profile.len() >> 10,
            MOST_BYTES >> 10
        )));
    }
    Ok(Imported {
        files: multipart::files(&reading.calls),
        profile,
        told: reading.told,
        variables: hidden.names,
        secrets: hidden.values,
    })
}

#[cfg(test)]
mod tests;
