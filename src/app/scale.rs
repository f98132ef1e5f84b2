//! `scale`: searches at several sizes of one target in turn, and how many units carry what.
//!
//! Each search is a `find` with `--size` and is stored as a run of its own. The folder of the
//! sizing has a journal of what was typed and which runs were begun, from which it goes on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Parser as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::compare::Stop;
use super::observers::Observers;
use super::prepare::{self, Ready};
use super::signals::{self, Signals};
use super::{CommandError, Exit, begun, command, consent, find, github, plans, resume, runtime};
use crate::cli::{Cli, Command, FindArgs, ResumeArgs, ScaleArgs};
use crate::compare::Named;
use crate::compare::scale::{self, ScaleAsk, SizedRun};
use crate::excerpt;
use crate::journal;
use crate::preflight;
use crate::record::{Ending, RunRecord};
use crate::scenario::Allowed;
use crate::store::{self, Store};
use crate::term::Terminal;
use crate::units::Size;

/// Version of the journal's format.
const VERSION: u32 = 1;

/// The first line of the journal.
#[derive(Debug, Serialize, Deserialize)]
struct ScaleHead {
    scale_version: u32,
    folder: String,
    command: Vec<String>,
    started_at: String,
}

/// Each further line: a search that was begun.
#[derive(Debug, Serialize, Deserialize)]
struct Begun {
    place: usize,
    run: PathBuf,
}

pub(super) fn scale(args: &ScaleArgs, terminal: &mut Terminal) -> Result<Exit, CommandError> {
    let usage = |e: String| CommandError::new(Exit::Usage, e);
    let turns = turns(args, terminal)?;
    consent::obtain(turns.iter().map(|t| &t.ready), args.safety.yes, terminal)?;
    let now = Timestamp::now();
    let folder = std::env::current_dir().unwrap_or_default();
    let head = ScaleHead {
        scale_version: VERSION,
        folder: folder.to_string_lossy().into_owned(),
        command: command::as_typed(),
        started_at: super::session::to_second(now),
    };
    let out = args.out.as_deref().unwrap_or(Path::new("reports"));
    let store = Store::create_scale(out, &line(&head)?, now).map_err(|e| usage(e.to_string()))?;
    begun::remember(&store, terminal);
    searched(args, turns, &BTreeMap::new(), store, terminal)
}

/// Goes on with a sizing that was cut off: what has ended is read, what was cut off is resumed.
pub(super) fn go_on(
    dir: &Path,
    now: &ResumeArgs,
    terminal: &mut Terminal,
) -> Result<Exit, CommandError> {
    let usage = |e: String| CommandError::new(Exit::Usage, e);
    let (store, lines) = Store::reopen_scale(dir).map_err(|e| usage(e.to_string()))?;
    let damaged = || usage(format!("{}: the journal is damaged", dir.display()));
    let head = lines.first().ok_or_else(damaged)?;
    let head: ScaleHead = serde_json::from_str(head).map_err(|_| damaged())?;
    if head.scale_version != VERSION {
        return Err(usage("another version of breakpoint began this".to_owned()));
    }
    if !begun::is_ours(&store) {
        let message = "this sizing was not started by you on this machine; run `breakpoint scale` \
            again, or `breakpoint compare --sizes` on its runs";
        return Err(usage(message.to_owned()));
    }
    let mut done = BTreeMap::new();
    for text in lines.iter().skip(1) {
        let begun: Begun = serde_json::from_str(text).map_err(|_| damaged())?;
        done.insert(begun.place, begun.run);
    }
    std::env::set_current_dir(&head.folder).map_err(|e| {
        usage(format!(
            "it was started in {}, which cannot be entered: {e}",
            excerpt::line(&head.folder)
        ))
    })?;
    let typed = ["breakpoint".to_owned()];
    let cli = Cli::try_parse_from(typed.iter().chain(&head.command));
    let Ok(Command::Scale(mut args)) = cli.map(|cli| cli.command) else {
        return Err(damaged());
    };
    // Consent is that of now alone.
    args.safety.yes = now.safety.yes;
    let turns = turns(&args, terminal)?;
    consent::obtain(turns.iter().map(|t| &t.ready), args.safety.yes, terminal)?;
    searched(&args, turns, &done, store, terminal)
}

fn line(value: &impl Serialize) -> Result<Vec<u8>, CommandError> {
    let text = serde_json::to_vec(value);
    let mut text = text.map_err(|e| CommandError::new(Exit::Failure, e))?;
    text.push(b'\n');
    Ok(text)
}

/// One search of those that are made in turn.
struct Turn {
    size: Size,
    command: Vec<String>,
    ready: Ready,
}

/// Every search made ready; nothing is run before all of them make sense.
fn turns(args: &ScaleArgs, terminal: &Terminal) -> Result<Vec<Turn>, CommandError> {
    let usage = |e: String| CommandError::new(Exit::Usage, e);
    Size::unit_of_all(&args.sizes).map_err(|e| usage(format!("--sizes: {e}")))?;
    let host = preflight::read_host();
    let turn = |(place, size): (usize, usize)| {
        let size = args.sizes[size].clone();
        let command = args.search(&size, place);
        let mut find = find_args(&command)?;
        find.safety.yes = args.safety.yes;
        let [plan] = <[_; 1]>::try_from(plans(&find, terminal)?)
            .map_err(|_| usage("a sizing is of one profile".to_owned()))?;
        let ready = prepare::prepare(plan, &host)?;
        Ok(Turn {
            size,
            command,
            ready,
        })
    };
    args.order().into_iter().enumerate().map(turn).collect()
}

fn find_args(command: &[String]) -> Result<FindArgs, CommandError> {
    let typed = ["breakpoint".to_owned()];
    match Cli::try_parse_from(typed.iter().chain(command)) {
        Ok(Cli {
            command: Command::Find(find),
        }) => Ok(find),
        Ok(_) => Err(CommandError::new(Exit::Failure, "not a search")),
        Err(e) => Err(CommandError::new(Exit::Usage, e)),
    }
}

fn searched(
    args: &ScaleArgs,
    turns: Vec<Turn>,
    done: &BTreeMap<usize, PathBuf>,
    mut store: Store,
    terminal: &mut Terminal,
) -> Result<Exit, CommandError> {
    let total = turns.len();
    let runtime = runtime()?;
    let signals = signals::listen(runtime.handle());
    let mut runs = Vec::new();
    let mut stopped = None;
    for (i, turn) in turns.into_iter().enumerate() {
        let place = format!("search {} of {total}", i + 1);
        let size = turn.size.clone();
        terminal.note(&format!("{place}: size {}", size.label));
        let before = done.get(&i).map(PathBuf::as_path);
        let came = runtime.block_on(one((i, turn), before, &mut store, &signals, terminal));
        match came.map(|(record, dir)| (Stop::of(&record, &place), record, dir)) {
            Err(refusal) => stopped = Some(Stop::failed(&refusal, &place)),
            Ok((Some(stop), ..)) => stopped = Some(stop),
            Ok((None, record, dir)) => {
                let name = dir.display().to_string();
                let run = Named {
                    name,
                    record,
                    size: Some(size.number),
                };
                runs.push(SizedRun { size, run });
                if signals.interrupt.is_set() && i + 1 < total {
                    stopped = Some(Stop::interrupted());
                }
            }
        }
        if stopped.is_some() {
            break;
        }
    }
    runtime.shutdown_background();
    if let Some(stop) = stopped {
        let message = format!(
            "{}; {} of {total} searches are complete and kept. To go on: breakpoint resume {}",
            stop.why,
            runs.len(),
            excerpt::word(&store.dir().display().to_string())
        );
        return Err(CommandError::new(stop.exit, message));
    }
    conclude(args, &runs, &store, terminal)
}

/// One search: read where it has ended, resumed where it was cut off, else made.
async fn one(
    (place, turn): (usize, Turn),
    before: Option<&Path>,
    store: &mut Store,
    signals: &Signals,
    terminal: &mut Terminal,
) -> Result<(RunRecord, PathBuf), CommandError> {
    if let Some(dir) = before {
        match store::read_record(dir) {
            Ok(record) if !was_cut_off(record.answer.ending) => {
                return Ok((record, dir.to_owned()));
            }
            _ => {}
        }
    }
    let mut observers = Observers::open(terminal, None, None, &Allowed::default()).await?;
    if let Some(dir) = before
        && let Ok((run, journal)) = Store::reopen(dir)
    {
        let plan = &turn.ready.plan;
        let text = plan.profile_text().map(|t| journal::crc32(t.as_bytes()));
        if text != journal.head.profile_crc32 {
            let message = "the profile has changed since: the earlier results belong to another \
                search. Restore it, or start over";
            return Err(CommandError::new(Exit::Usage, message));
        }
        let past = resume::past(journal);
        let searched = find::search_on(&turn.ready, past, run, signals, &mut observers);
        let record = Box::pin(searched).await?;
        return Ok((record, dir.to_owned()));
    }
    let mut begun = |run: &Path| {
        let run = std::path::absolute(run).unwrap_or_else(|_| run.to_owned());
        store.append_line(line(&Begun { place, run }).ok());
    };
    let command = Some(turn.command);
    let searched = find::search_as(turn.ready, command, &mut begun, signals, &mut observers);
    Box::pin(searched).await
}

fn was_cut_off(ending: Ending) -> bool {
    matches!(
        ending,
        Ending::Interrupted | Ending::Aborted | Ending::TargetDown | Ending::DataUsedUp
    )
}

fn conclude(
    args: &ScaleArgs,
    runs: &[SizedRun],
    store: &Store,
    terminal: &Terminal,
) -> Result<Exit, CommandError> {
    let ask = ScaleAsk {
        target: args.target_vus.or(args.target_rate),
        cost: args.cost.clone(),
        gates: args.require.clone(),
    };
    let made = super::session::to_second(Timestamp::now());
    let record =
        scale::scale(runs, &ask, made).map_err(|e| CommandError::new(Exit::Undecided, e))?;
    let written = store.finish(&record);
    let written = written.map_err(|e| CommandError::new(Exit::Failure, e))?;
    if let Some(trouble) = &written.trouble {
        terminal.warning(&trouble.to_string());
    }
    terminal.print_result(&record);
    terminal.print_written(&written.dir);
    github::tell(&record, terminal);
    Ok(Exit::from(&record))
}
