//! `breakpoint resume`: a search that was cut off goes on, or one that ended gets a longer budget.

use std::path::Path;

use clap::Parser as _;

use super::audience::Audience;
use super::prepare::{self, Ready};
use super::{Exit, Refusal, contact, find, plans, runtime, signals};
use crate::cli::{Cli, Command, FindArgs, ResumeArgs};
use crate::journal::{self, Head, Journal};
use crate::preflight;
use crate::record::Ending;
use crate::run::Past;
use crate::secret::MASK as MASKED;
use crate::store::{self, Store};
use crate::term::Terminal;

pub(super) fn resume(args: &ResumeArgs, terminal: &mut Terminal) -> Result<Exit, Refusal> {
    let mut args = args.clone();
    // Of the folder that this was typed in, not of the one that the search was begun in.
    args.safety.stop_file = args
        .safety
        .stop_file
        .map(|file| std::path::absolute(&file).unwrap_or(file));
    let args = &args;
    let dir = std::fs::canonicalize(&args.dir).unwrap_or_else(|_| args.dir.clone());
    let (store, journal) = Store::reopen(&dir).map_err(|e| Refusal::new(Exit::Usage, e))?;
    if journal.torn {
        terminal.warning(
            "the last line of the journal was torn by the end of the run and is left out: its probe is made again",
        );
    }
    check_unfinished(args, &dir)?;
    let (ready, yes) = ready(args, &journal.head, terminal)?;
    contact::make([&ready], yes, terminal)?;
    let runtime = runtime()?;
    let signals = signals::listen(runtime.handle());
    let record = runtime.block_on(async {
        let mut audience = Audience::gather(
            terminal,
            args.watch.serve,
            args.watch.remote_write.as_deref(),
            &ready.plan.target.allowed,
        )
        .await?;
        let past = past(journal);
        let record = find::search_on(&ready, past, store, &signals, &mut audience).await;
        audience.dismiss().await;
        record
    })?;
    runtime.shutdown_background();
    Ok(Exit::from(&record))
}

fn past(journal: Journal) -> Past {
    Past {
        head: Some(journal.head),
        entries: journal.entries,
    }
}

/// A search that ended by itself ends at once again, unless it is given more.
fn check_unfinished(args: &ResumeArgs, dir: &Path) -> Result<(), Refusal> {
    let Ok(record) = store::read_record(dir) else {
        return Ok(());
    };
    let was_cut_off = matches!(
        record.answer.ending,
        Ending::Interrupted | Ending::Aborted | Ending::TargetDown | Ending::GeneratorLimited
    );
    if was_cut_off || args.budget.is_some() || args.precision.is_some() {
        return Ok(());
    }
    Err(Refusal::new(
        Exit::Usage,
        format!(
            "this search has ended ({}). Give it more time in all (`--budget 30m`; it had {}) or ask for a narrower interval \
             (`--precision 2%`) to go on from there; `breakpoint report {}` renders it again",
            record.answer.reason,
            crate::units::format_seconds(record.plan.budget_s),
            args.dir.display(),
        ),
    ))
}

/// The search that was asked then, made ready again.
///
/// With whether its commands were agreed to by `--yes`.
fn ready(args: &ResumeArgs, head: &Head, terminal: &Terminal) -> Result<(Ready, bool), Refusal> {
    let usage = |message: String| Refusal::new(Exit::Usage, message);
    std::env::set_current_dir(&head.folder).map_err(|e| {
        usage(format!(
            "the run was begun in {}, which cannot be entered: {e}",
            head.folder
        ))
    })?;
    let find = asked(args, head)?;
    let plan = plans(&find, terminal)?
        .into_iter()
        .find(|p| p.name == head.profile);
    let plan = plan.ok_or_else(|| {
        usage(format!(
            "`{}` no longer names a profile `{}`",
            head.command.join(" "),
            head.profile
        ))
    })?;
    let text = plan.profile_text().map(|t| journal::crc32(t.as_bytes()));
    if text != head.profile_crc32 {
        return Err(usage(format!(
            "the profile `{}` has changed since {}: what was measured then is of another search. Put it back, or begin anew",
            head.profile, head.started_at
        )));
    }
    let script = plan.engine.k6();
    if script.and_then(|k6| k6.crc32) != head.script_crc32 {
        return Err(usage(format!(
            "the script {} has changed since {}: what was measured then is of another load. Put it back, or begin anew",
            script.map_or("of k6", |k6| &k6.shown),
            head.started_at
        )));
    }
    let ready = prepare::prepare(plan, &preflight::read_host())?;
    Ok((ready, find.safety.yes))
}

/// The flags of then, with those of now in place of what only concerns the watching, the time and the precision.
fn asked(args: &ResumeArgs, head: &Head) -> Result<FindArgs, Refusal> {
    let typed = ["breakpoint".to_owned()];
    let cli = Cli::try_parse_from(typed.iter().chain(&head.command));
    let Ok(Command::Find(mut find)) = cli.map(|cli| cli.command) else {
        let message = format!(
            "it was not begun with `breakpoint find` but with `{}`: that cannot go on by parts",
            head.command.join(" ")
        );
        return Err(Refusal::new(Exit::Usage, message));
    };
    if let Some(url) = &args.url {
        find.url = Some(url.clone());
    }
    if find.url.as_deref().is_some_and(|url| url.contains(MASKED)) {
        let message = "the address had a secret, which is not recorded; give it again with `--url`";
        return Err(Refusal::new(Exit::Usage, message));
    }
    if find
        .load
        .locust_header
        .iter()
        .any(|header| header.contains(MASKED))
    {
        let message = "a header for Locust had a secret, which is not recorded; begin with one from the environment, as in \
                       `--locust-header 'cookie: {{ env.LOCUST_COOKIE }}'`, to be able to go on";
        return Err(Refusal::new(Exit::Usage, message));
    }
    if find.load.k6_env.iter().any(|pair| pair.contains(MASKED)) {
        let message = "a variable for the script of k6 may have been a secret, and is not recorded; begin with one from the environment, as in \
                       `--k6-env 'TOKEN={{ env.TOKEN }}'`, or with `arguments` in the profile's [engine], to be able to go on";
        return Err(Refusal::new(Exit::Usage, message));
    }
    find.budget = args.budget.clone().or(find.budget);
    find.precision = args.precision.clone().or(find.precision);
    find.safety.stop_file = args.safety.stop_file.clone().or(find.safety.stop_file);
    find.safety.max_time = args.safety.max_time.clone().or(find.safety.max_time);
    find.safety.yes |= args.safety.yes;
    find.safety
        .abort_if
        .extend(args.safety.abort_if.iter().cloned());
    Ok(find)
}
