//! `breakpoint resume`: a search that was cut off goes on, or one that ended gets a longer budget.

use std::path::{Path, PathBuf};

use clap::Parser as _;

use super::prepare::{self, Ready};
use super::{CommandError, Exit, another, begun, consent, find, load_run, plans, scale};
use crate::cli::{Cli, Command, FindArgs, RequestArgs, ResumeArgs};
use crate::excerpt;
use crate::journal::{self, Head, Journal};
use crate::preflight;
use crate::record::Ending;
use crate::run::ResumeState;
use crate::secret::MASK as MASKED;
use crate::store::{self, Store};
use crate::term::Terminal;

pub(super) fn resume(args: &ResumeArgs, terminal: &mut Terminal) -> Result<Exit, CommandError> {
    let args = &from_here(args);
    let dir = std::fs::canonicalize(&args.dir).unwrap_or_else(|_| args.dir.clone());
    if Store::is_scale(&dir) {
        return scale::go_on(&dir, args, terminal);
    }
    let (store, journal) = Store::reopen(&dir).map_err(|e| CommandError::new(Exit::Usage, e))?;
    if journal.torn {
        terminal.warning(
            "the last line of the journal is incomplete and is ignored: its probe is repeated",
        );
    }
    check_unfinished(args, &dir)?;
    let ready = ready(args, &journal.head, begun::is_ours(&store), terminal)?;
    check_objectives(&journal, ready.plan.slo.objectives().len())?;
    consent::obtain([&ready], args.safety.yes, terminal)?;
    let record = load_run::observed(
        terminal,
        &args.watch,
        &ready.plan.target.allowed,
        async |signals, observers| {
            find::search_on(&ready, past(journal), store, signals, observers).await
        },
    )?;
    Ok(Exit::from(&record))
}

/// Names of files start from the folder that this was typed in, not from the one that the search
/// was begun in.
fn from_here(args: &ResumeArgs) -> ResumeArgs {
    let mut args = args.clone();
    let (load, connect) = (&mut args.load, &mut args.connect);
    let files = [
        &mut args.safety.stop_file,
        &mut load.script.script,
        &mut connect.cacert,
        &mut connect.cert,
        &mut connect.key,
        &mut args.profile,
    ];
    for file in files.into_iter().flatten() {
        *file = absolute(file);
    }
    let request = &mut args.request;
    let data = [&mut request.headers, &mut request.data, &mut request.json];
    for text in data.into_iter().flatten() {
        if let Some(file) = text.strip_prefix('@') {
            *text = format!("@{}", absolute(Path::new(file)).display());
        }
    }
    // A bare name is looked for as a shell does.
    let is_path = |k6: &&mut PathBuf| k6.components().count() > 1;
    if let Some(k6) = load.k6.as_mut().filter(is_path) {
        *k6 = absolute(k6);
    }
    args
}

fn absolute(file: &Path) -> PathBuf {
    std::path::absolute(file).unwrap_or_else(|_| file.to_owned())
}

pub(super) fn past(journal: Journal) -> ResumeState {
    ResumeState {
        head: Some(journal.head),
        entries: journal.entries,
    }
}

/// A search that ended by itself ends at once again, unless it is given more.
fn check_unfinished(args: &ResumeArgs, dir: &Path) -> Result<(), CommandError> {
    let Ok(record) = store::read_record(dir) else {
        return Ok(());
    };
    let was_cut_off = matches!(
        record.answer.ending,
        Ending::Interrupted
            | Ending::Aborted
            | Ending::TargetDown
            | Ending::GeneratorLimited
            | Ending::DataUsedUp
    );
    if was_cut_off || args.budget.is_some() || args.precision.is_some() {
        return Ok(());
    }
    Err(CommandError::new(
        Exit::Usage,
        format!(
            "this search has ended ({}). To continue it, raise its total time (`--budget 30m`; it \
             had {}) or request a narrower interval (`--precision 2%`); `breakpoint report {}` \
             renders it again",
            record.answer.reason,
            crate::units::format_seconds(record.plan.budget_s),
            excerpt::word(&args.dir.display().to_string()),
        ),
    ))
}

/// Every probe tells of each objective.
fn check_objectives(journal: &Journal, objectives: usize) -> Result<(), CommandError> {
    let of_others = |e: &journal::Entry| !e.input.visit.is_of(objectives);
    match journal.entries.iter().position(of_others) {
        None => Ok(()),
        Some(i) => {
            let message = format!(
                "line {} of the journal does not have the {objectives} objectives of the search: \
                 it was started with others, or the file was edited",
                i + 2
            );
            Err(CommandError::new(Exit::Usage, message))
        }
    }
}

/// The search that was asked then, made ready again. `ours` is whether this user began it on this
/// machine.
fn ready(
    args: &ResumeArgs,
    head: &Head,
    ours: bool,
    terminal: &Terminal,
) -> Result<Ready, CommandError> {
    let usage = |message: String| CommandError::new(Exit::Usage, message);
    let mut theirs = typed_then(head)?;
    if !ours {
        another::check(args, &theirs, head, terminal)?;
        theirs.threads = None;
    }
    if ours || (another::names_a_profile(&theirs) && args.profile.is_none()) {
        std::env::set_current_dir(&head.folder).map_err(|e| {
            usage(format!(
                "the run was started in {}, which cannot be entered: {e}; give the profile's \
                 current location with `--profile FILE`",
                excerpt::line(&head.folder)
            ))
        })?;
    }
    let find = asked(args, theirs)?;
    let plan = plans(&find, terminal)?
        .into_iter()
        .find(|p| p.name == head.profile);
    let plan = plan.ok_or_else(|| {
        usage(format!(
            "`{}` no longer names a profile `{}`",
            excerpt::line(&head.command.join(" ")),
            excerpt::line(&head.profile)
        ))
    })?;
    let text = plan.profile_text().map(|t| journal::crc32(t.as_bytes()));
    if text != head.profile_crc32 {
        return Err(usage(format!(
            "the profile `{}` has changed since {}: the earlier results belong to another search. \
             Restore it, or start over",
            excerpt::line(&head.profile),
            excerpt::line(&head.started_at)
        )));
    }
    let script = plan.engine.facts().script();
    if script.as_ref().and_then(|s| s.crc32) != head.script_crc32 {
        return Err(usage(format!(
            "the script {} has changed since {}: the earlier results belong to another load. \
             Restore it, or start over",
            script.map_or("of then", |script| script.shown),
            excerpt::line(&head.started_at)
        )));
    }
    prepare::prepare(plan, &preflight::read_host())
}

/// The flags that the search was begun with.
fn typed_then(head: &Head) -> Result<FindArgs, CommandError> {
    let typed = ["breakpoint".to_owned()];
    let cli = Cli::try_parse_from(typed.iter().chain(&head.command));
    if let Ok(Command::Find(find)) = cli.map(|cli| cli.command) {
        return Ok(find);
    }
    let message = format!(
        "it was not started with `breakpoint find` but with `{}`, which cannot be resumed",
        excerpt::line(&head.command.join(" "))
    );
    Err(CommandError::new(Exit::Usage, message))
}

/// The flags of then, with those of now in their place. Consent is that of now alone.
fn asked(args: &ResumeArgs, then: FindArgs) -> Result<FindArgs, CommandError> {
    let mut find = then;
    if let Some(profile) = &args.profile {
        find.profiles = Vec::new();
        find.files = vec![profile.clone()];
    }
    take(&mut find.url, args.url.as_ref());
    take_all(&mut find.allow_target, &args.allow_target);
    take_all(&mut find.local_addr, &args.local_addr);
    let (load, now) = (&mut find.load, &args.load);
    take(&mut load.engine, now.engine.as_ref());
    take(&mut load.locust_url, now.locust_url.as_ref());
    take_all(&mut load.locust_header, &now.locust_header);
    take(&mut load.script.script, now.script.script.as_ref());
    take_all(&mut load.script.env, &now.script.env);
    load.script.include_system_env_vars |= now.script.include_system_env_vars;
    take(&mut load.k6, now.k6.as_ref());
    take(&mut load.k6_mode, now.k6_mode.as_ref());
    take(&mut load.k6_exec, now.k6_exec.as_ref());
    take_all(&mut load.k6_env, &now.k6_env);
    let (connect, now) = (&mut find.connect, &args.connect);
    take(&mut connect.cacert, now.cacert.as_ref());
    take(&mut connect.cert, now.cert.as_ref());
    take(&mut connect.key, now.key.as_ref());
    connect.insecure |= now.insecure;
    connect.http2 |= now.http2;
    connect.http2_prior_knowledge |= now.http2_prior_knowledge;
    take_all(&mut connect.resolve, &now.resolve);
    take_request(&mut find.request, &args.request);
    check_masked(&find.request)?;
    if find.url.as_deref().is_some_and(|url| url.contains(MASKED)) {
        let message = "the address contained a secret, which is not recorded; give it again with \
            `--url`";
        return Err(CommandError::new(Exit::Usage, message));
    }
    if find
        .load
        .locust_header
        .iter()
        .any(|header| header.contains(MASKED))
    {
        let message = "a header for Locust contained a secret, which is not recorded; to be able \
            to resume, take it from the environment, as in `--locust-header 'cookie: {{ \
            env.LOCUST_COOKIE }}'`";
        return Err(CommandError::new(Exit::Usage, message));
    }
    let mut variables = find.load.k6_env.iter().chain(&find.load.script.env);
    if variables.any(|pair| pair.contains(MASKED)) {
        let message = "a variable for the script may have been a secret and is not recorded; give \
            all of them again (`breakpoint resume DIR -e NAME=VALUE`), or take them from the \
            environment the next time, as in `-e 'TOKEN={{ env.TOKEN }}'`";
        return Err(CommandError::new(Exit::Usage, message));
    }
    take(&mut find.budget, args.budget.as_ref());
    take(&mut find.precision, args.precision.as_ref());
    take(&mut find.safety.stop_file, args.safety.stop_file.as_ref());
    take(&mut find.safety.max_time, args.safety.max_time.as_ref());
    find.safety.yes = args.safety.yes;
    find.safety
        .abort_if
        .extend(args.safety.abort_if.iter().cloned());
    Ok(find)
}

/// What is sent: a header takes the place of that of its name, a body that of the body.
fn take_request(then: &mut RequestArgs, now: &RequestArgs) {
    let name = |header: &String| {
        let name = header.split([':', ';']).next().unwrap_or_default();
        name.trim().to_ascii_lowercase()
    };
    let given: Vec<String> = now.headers.iter().map(name).collect();
    then.headers.retain(|header| !given.contains(&name(header)));
    then.headers.extend(now.headers.iter().cloned());
    let has_body = |r: &RequestArgs| !(r.data.is_empty() && r.json.is_empty() && r.form.is_empty());
    if has_body(now) {
        then.data.clone_from(&now.data);
        then.json.clone_from(&now.json);
        then.form.clone_from(&now.form);
    }
    take(&mut then.request, now.request.as_ref());
    take(&mut then.user, now.user.as_ref());
    take_all(&mut then.cookie, &now.cookie);
}

/// What was a secret is not recorded, and must be typed again: all of it is named at once.
fn check_masked(request: &RequestArgs) -> Result<(), CommandError> {
    let masked = |texts: &[String]| texts.iter().any(|t| t.contains(MASKED));
    let mut missing: Vec<String> = Vec::new();
    for header in request.headers.iter().filter(|h| h.contains(MASKED)) {
        let name = header.split(':').next().unwrap_or_default();
        missing.push(format!("--header '{}: ...'", excerpt::line(name)));
    }
    missing.extend(
        request
            .user
            .as_ref()
            .filter(|u| u.contains(MASKED))
            .map(|_| "--user NAME:PASSWORD".to_owned()),
    );
    let lists = [
        ("--cookie", &request.cookie),
        ("--data", &request.data),
        ("--json", &request.json),
        ("--form", &request.form),
    ];
    let lists = lists.into_iter().filter(|(_, texts)| masked(texts));
    missing.extend(lists.map(|(flag, _)| format!("{flag} ...")));
    if missing.is_empty() {
        return Ok(());
    }
    let message = format!(
        "what it sent contained secrets, which are not recorded; give them again: {} (a value such \
         as '{{{{ env.NAME }}}}' is recorded as it is, and needs no repeating)",
        missing.join(" ")
    );
    Err(CommandError::new(Exit::Usage, message))
}

/// What was typed now, if anything, in place of what was typed then.
fn take<T: Clone>(then: &mut Option<T>, now: Option<&T>) {
    if let Some(now) = now {
        *then = Some(now.clone());
    }
}

fn take_all(then: &mut Vec<String>, now: &[String]) {
    if !now.is_empty() {
        now.clone_into(then);
    }
}
