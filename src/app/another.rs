//! A search that was begun by somebody else, or elsewhere: of its journal only numbers and
//! objectives count. What it would load, run, read or trust must be named by whoever resumes it.

use std::path::{Path, PathBuf};

use super::{CommandError, Exit};
use crate::cli::{ConnectArgs, EngineArgs, FindArgs, RequestArgs, ResumeArgs};
use crate::excerpt;
use crate::journal::Head;
use crate::term::Terminal;

/// Characters of a text that somebody reads before agreeing to it; paths may have four thousand.
const LONGEST: usize = 4096;

/// A flag and the values that were given with it.
type Flag = (&'static str, Vec<String>);

/// Lets a search go on when all that its journal asks for was typed now, or is agreed to now.
pub(super) fn check(
    args: &ResumeArgs,
    theirs: &FindArgs,
    head: &Head,
    terminal: &Terminal,
) -> Result<(), CommandError> {
    let mut asked = Vec::new();
    let mut to_type = Vec::new();
    if names_a_profile(theirs) && args.profile.is_none() && !args.safety.yes {
        asked.push(format!(
            "the profile `{}` that is named there ({}), in {}",
            whole("profile", &head.profile)?,
            whole("profile", &profiles(theirs).join(", "))?,
            whole("folder", &head.folder)?
        ));
        to_type.push("--yes".to_owned());
    }
    let typed = of_resume(args);
    for ((flag, values), (_, now)) in of_find(theirs).into_iter().zip(typed) {
        if !now.is_empty() {
            continue;
        }
        for value in values {
            let words = match value.as_str() {
                "" => flag.to_owned(),
                value => format!("{flag} {}", excerpt::word(&whole(flag, value)?)),
            };
            asked.push(words.clone());
            to_type.push(words);
        }
    }
    if asked.is_empty() {
        return Ok(());
    }
    let shown = format!(
        "you did not start this search on this machine, so what it loads, runs, reads, and trusts \
         counts only if you name it. It needs\n    {}",
        asked.join("\n    ")
    );
    if terminal.ask(&format!("{shown}\nContinue? [y/N] ")) == Some(true) {
        return Ok(());
    }
    let folder = excerpt::word(&whole("folder", &args.dir.display().to_string())?);
    Err(CommandError::new(
        Exit::Usage,
        format!(
            "{shown}\nNothing was run and nothing was sent. To continue: breakpoint resume \
             {folder} {}",
            to_type.join(" ")
        ),
    ))
}

/// A text that is agreed to, or typed again: whole, with what hides in it as what it is. Half of it
/// would be another one.
fn whole(what: &str, text: &str) -> Result<String, CommandError> {
    let shown = excerpt::visible(text);
    if shown.chars().count() <= LONGEST {
        return Ok(shown.replace('\n', "\\n").replace('\t', "\\t"));
    }
    Err(CommandError::new(
        Exit::Usage,
        format!(
            "you did not start this search on this machine, and what it needs ({what}: {}) is too \
             long to show. Nothing was run and nothing was sent. Start a new search",
            excerpt::line(text)
        ),
    ))
}

/// Whether the command names a profile, whose file lies in the folder in which it was typed.
pub(super) fn names_a_profile(theirs: &FindArgs) -> bool {
    !profiles(theirs).is_empty()
}

fn profiles(theirs: &FindArgs) -> Vec<String> {
    let files = theirs.files.iter().map(|f| f.display().to_string());
    theirs.profiles.iter().cloned().chain(files).collect()
}

/// What a command line reaches beyond this program. Whatever a new flag brings is decided here:
/// every field is named.
fn of_find(find: &FindArgs) -> Vec<Flag> {
    let FindArgs {
        url,
        allow_target,
        local_addr,
        request,
        connect,
        load,
        // Asked for above, with its folder.
        profiles: _,
        files: _,
        // Numbers, and conditions on what is measured; a size goes into commands that are agreed
        // to.
        size: _,
        slo: _,
        min_vus: _,
        max_vus: _,
        start_vus: _,
        rate: _,
        min_rate: _,
        max_rate: _,
        start_rate: _,
        require_vus: _,
        require_rate: _,
        // A scenario of a script that must be named itself.
        population: _,
        precision: _,
        confidence: _,
        budget: _,
        warm_up: _,
        no_reference_holds: _,
        pace: _,
        seed: _,
        // The run's folder is there already, and how many threads this machine has is not theirs to
        // say: neither is taken over.
        out: _,
        threads: _,
        // A file that is looked for, and never opened; consent is never taken from a journal.
        safety: _,
        // Given anew.
        watch: _,
    } = find;
    let mut all = sent(request);
    all.extend(reached(
        url.as_deref(),
        allow_target,
        local_addr,
        connect,
        load,
    ));
    all
}

fn of_resume(args: &ResumeArgs) -> Vec<Flag> {
    let ResumeArgs {
        url,
        allow_target,
        local_addr,
        request,
        connect,
        load,
        ..
    } = args;
    let mut all = sent(request);
    all.extend(reached(
        url.as_deref(),
        allow_target,
        local_addr,
        connect,
        load,
    ));
    all
}

/// What is sent: files and variables of whoever resumes among it.
fn sent(request: &RequestArgs) -> Vec<Flag> {
    let RequestArgs {
        headers,
        request,
        data,
        json,
        form,
        multipart,
        user,
        cookie,
    } = request;
    let text = |text: &Option<String>| text.clone().into_iter().collect();
    vec![
        ("--header", headers.clone()),
        ("--request", text(request)),
        ("--data", data.clone()),
        ("--json", json.clone()),
        ("--form", form.clone()),
        ("-F", multipart.clone()),
        ("--user", text(user)),
        ("--cookie", cookie.clone()),
    ]
}

fn reached(
    url: Option<&str>,
    allow_target: &[String],
    local_addr: &[String],
    connect: &ConnectArgs,
    load: &EngineArgs,
) -> Vec<Flag> {
    let text = |text: Option<&str>| text.map(str::to_owned).into_iter().collect();
    let path = |path: &Option<PathBuf>| {
        let path = path.as_deref().map(Path::display);
        path.map(|p| p.to_string()).into_iter().collect()
    };
    let EngineArgs {
        engine,
        locust_url,
        locust_header,
        script,
        k6,
        k6_env,
        // How a script is run that must be named itself.
        k6_mode: _,
        k6_exec: _,
    } = load;
    let ConnectArgs {
        cacert,
        cert,
        key,
        insecure,
        resolve,
        http2,
        http2_prior_knowledge,
    } = connect;
    let bare = |is: bool| is.then(String::new).into_iter().collect();
    vec![
        ("--url", text(url)),
        ("--allow-target", allow_target.to_vec()),
        ("--local-addr", local_addr.to_vec()),
        ("--engine", text(engine.as_deref())),
        ("--locust-url", text(locust_url.as_deref())),
        ("--locust-header", locust_header.clone()),
        ("--script", path(&script.script)),
        ("--env", script.env.clone()),
        (
            "--include-system-env-vars",
            bare(script.include_system_env_vars),
        ),
        ("--k6", path(k6)),
        ("--k6-env", k6_env.clone()),
        ("--cacert", path(cacert)),
        ("--cert", path(cert)),
        ("--key", path(key)),
        (
            "--insecure",
            insecure.then(String::new).into_iter().collect(),
        ),
        ("--resolve", resolve.clone()),
        ("--http2", bare(*http2)),
        ("--http2-prior-knowledge", bare(*http2_prior_knowledge)),
    ]
}
