//! `breakpoint init`: a profile of an address, of what flags say is sent there, or of what people
//! have.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use super::{CommandError, Exit, script, typed};
use crate::cli::InitArgs;
use crate::import::{Imported, Source, Wishes};
use crate::profile::llm::Llm;
use crate::term::Terminal;
use crate::{bounded, confidential, excerpt, init, secret};

/// Most bytes of a recording, a description or a collection.
const MOST: u64 = 256 << 20;
/// Most bytes of a command line that is read from a file.
const MOST_LINE: u64 = 4 << 20;

/// Writes it, and says what comes next.
pub(super) fn write(args: &InitArgs, terminal: &Terminal) -> Result<Exit, CommandError> {
    let usage = |e: &dyn std::fmt::Display| CommandError::new(Exit::Usage, e);
    let imported = imported(args)?;
    let text = match (&imported, &args.from_k6) {
        (Some(imported), _) => Ok(imported.profile.clone()),
        (None, Some(script)) => {
            let info = script::look_at(script, args.k6.as_deref())?;
            init::of_script(script, args.k6.as_deref(), &info, &args.out)
        }
        (None, None) => match &args.llm {
            Some(url) => init::of_llm(Llm {
                url,
                model: &args.model,
                has_key: std::env::var_os("OPENAI_API_KEY").is_some_and(|key| !key.is_empty()),
            }),
            None => init::of_url(args.url.as_deref().unwrap_or_default()),
        },
    };
    let text = text.map_err(|e| usage(&e))?;
    init::write(&text, &args.out).map_err(|e| usage(&e))?;
    let file = excerpt::word(&args.out.display().to_string());
    let mut out = format!("wrote {file}\n");
    if let Some(imported) = &imported {
        out.push_str(&told(imported));
        for missing in init::missing(imported, &args.out) {
            let missing = excerpt::word(&missing);
            writeln!(out, "put beside the profile: {missing}").ok();
        }
    }
    // k6 alone knows what it sends.
    let look = match args.k6 {
        Some(_) => String::new(),
        None => format!("see one cycle:         breakpoint try {file}\n"),
    };
    // Writing to a string cannot fail.
    write!(
        out,
        "see what it would do:  breakpoint plan {file}\n{look}run it:                breakpoint \
        find {file}\n"
    )
    .ok();
    terminal.print(&out);
    Ok(Exit::Answer)
}

/// What is not in the profile, and what must be set for it.
fn told(imported: &Imported) -> String {
    let mut out = String::new();
    for line in &imported.told {
        writeln!(out, "note: {}", excerpt::long_line(line)).ok();
    }
    if !imported.variables.is_empty() {
        let set = imported.variables.iter();
        let set: Vec<String> = set.map(|name| format!("export {name}=...")).collect();
        writeln!(out, "set before a run:      {}", set.join("; ")).ok();
    }
    out
}

fn imported(args: &InitArgs) -> Result<Option<Imported>, CommandError> {
    let usage = |why: String| CommandError::new(Exit::Usage, why);
    let wishes = Wishes {
        allowed: args.allow_target.clone(),
        url: args.url.clone(),
        with_assets: args.with_assets,
        operations: args.operations.clone(),
        way: init::way(&args.out),
    };
    let file = |flag: &str, path: &Path| {
        let read = bounded::file(path, MOST);
        read.map_err(|e| {
            usage(format!(
                "{flag} {}: cannot read the file: {e}",
                path.display()
            ))
        })
    };
    let mut request = args.request.flags();
    let made = if let Some(line) = &args.from_curl {
        let line = command_line(line)?;
        init::of_source(Source::Curl(&line), "", &wishes, &args.out)
    } else if let Some(path) = &args.from_har {
        let bytes = file("--from-har", path)?;
        init::of_source(
            Source::Har(&bytes),
            &path.display().to_string(),
            &wishes,
            &args.out,
        )
    } else if let Some(path) = &args.from_openapi {
        let bytes = file("--from-openapi", path)?;
        let text = String::from_utf8_lossy(&bytes);
        init::of_source(
            Source::OpenApi(&text),
            &path.display().to_string(),
            &wishes,
            &args.out,
        )
    } else if let Some(path) = &args.from_postman {
        let bytes = file("--from-postman", path)?;
        init::of_source(
            Source::Postman(&bytes),
            &path.display().to_string(),
            &wishes,
            &args.out,
        )
    } else {
        let connects = init::connect_keys(&args.connect, &args.out);
        let secret = !secret::of_address(args.url.as_deref().unwrap_or_default()).is_empty();
        let plain = request.first().is_none()
            && connects.is_empty()
            && args.allow_target.is_empty()
            && !secret;
        if plain || args.from_k6.is_some() {
            return only_with_an_address(&request, args.from_k6.is_some()).map(|()| None);
        }
        typed::read(&mut request)?;
        let url = args.url.as_deref().unwrap_or_default();
        let made = init::of_flags(url, &request, connects, &args.allow_target, &args.out);
        return known(made).map(Some);
    };
    only_with_an_address(&request, true)?;
    known(made).map(Some)
}

/// Nobody repeats the secrets that were taken out.
fn known(made: Result<Imported, init::InitError>) -> Result<Imported, CommandError> {
    let imported = made.map_err(|e| CommandError::new(Exit::Usage, e))?;
    confidential::know(imported.secrets.iter().cloned());
    Ok(imported)
}

/// What is imported says itself what is sent.
fn only_with_an_address(
    request: &crate::import::RequestFlags,
    imports: bool,
) -> Result<(), CommandError> {
    match request.first().filter(|_| imports) {
        Some(flag) => Err(CommandError::new(
            Exit::Usage,
            format!(
                "{flag}: it says what is sent to --url alone; change the profile that is written"
            ),
        )),
        None => Ok(()),
    }
}

/// The command line itself, or what is in a file: there no other user of this machine sees it.
fn command_line(given: &str) -> Result<String, CommandError> {
    let wrong = |e: &dyn std::fmt::Display| {
        CommandError::new(
            Exit::Usage,
            format!("--from-curl: cannot read the command: {e}"),
        )
    };
    if given == "-" {
        let mut text = String::new();
        let stdin = std::io::stdin().lock();
        stdin
            .take(MOST_LINE)
            .read_to_string(&mut text)
            .map_err(|e| wrong(&e))?;
        return Ok(text);
    }
    match given.strip_prefix('@') {
        Some(path) => bounded::text(Path::new(path), MOST_LINE).map_err(|e| wrong(&e)),
        None => Ok(given.to_owned()),
    }
}
