//! `compare`: recorded runs beside each other, or searches of two profiles in turn and then beside
//! each other.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::find;
use super::github;
use super::observers::Observers;
use super::prepare::{self, Ready};
use super::script;
use super::session;
use super::signals;
use super::{CommandError, Exit, consent, plan_of, runtime};
use crate::cli::CompareArgs;
use crate::compare::{self, Design, Named};
use crate::locate;
use crate::plan::FindFlags;
use crate::preflight;
use crate::record::{Ending, RunRecord};
use crate::scenario::Allowed;
use crate::store;
use crate::term::Terminal;

/// Where reports go unless asked otherwise.
const OUT: &str = "reports";
/// Seed of the first search unless asked otherwise, as for `find`.
const SEED: u64 = 1;

pub(super) fn compare(args: &CompareArgs, terminal: &mut Terminal) -> Result<Exit, CommandError> {
    if let Some(repeats) = args.repeat {
        return repeated(args, repeats, terminal);
    }
    if !args.sizes.is_empty() && args.sizes.len() != args.runs.len() {
        let message = format!(
            "--sizes has {} sizes for {} runs; give one per run, in the same order",
            args.sizes.len(),
            args.runs.len()
        );
        return Err(CommandError::new(Exit::Usage, message));
    }
    let mut notes = Vec::new();
    let mut runs = Vec::new();
    for (i, name) in args.runs.iter().enumerate() {
        let (dir, note) = chosen(Path::new(name))?;
        let record = store::read_record(&dir).map_err(|e| CommandError::new(Exit::Usage, e))?;
        notes.extend(note);
        runs.push(Named {
            name: dir.display().to_string(),
            record,
            size: args.sizes.get(i).copied(),
        });
    }
    let design = if args.sizes.is_empty() {
        Design::EachWithFirst
    } else {
        Design::Sizes
    };
    conclude(args, &runs, &design, notes, terminal)
}

/// The run that a path means, and what a reader must know of the choice.
fn chosen(path: &Path) -> Result<(PathBuf, Option<String>), CommandError> {
    let usage = |message: String| CommandError::new(Exit::Usage, message);
    if store::read_ramp(path).is_ok_and(|ramp| ramp.is_some()) {
        let path = path.display();
        return Err(usage(format!(
            "{path} is a ramp, which has no breakpoint; use runs of `breakpoint find`"
        )));
    }
    let runs = store::runs_in(path);
    match runs.first() {
        Some(newest) if !store::is_run(path) => {
            let name = newest.file_name().unwrap_or_default().to_string_lossy();
            let note = (runs.len() > 1).then(|| {
                format!(
                    "{}: of its {} runs, only the newest is used, {name}; runs are not pooled",
                    path.display(),
                    runs.len()
                )
            });
            Ok((newest.clone(), note))
        }
        _ => Ok((path.to_owned(), None)),
    }
}

/// Compares, writes, prints.
fn conclude(
    args: &CompareArgs,
    runs: &[Named],
    design: &Design,
    notes: Vec<String>,
    terminal: &Terminal,
) -> Result<Exit, CommandError> {
    let made = Timestamp::now();
    let mut record = compare::compare(runs, design, &args.fail_if, session::to_second(made))
        .map_err(|e| CommandError::new(Exit::Usage, e))?;
    record.notes.extend(notes);
    let out = args.out.as_deref().unwrap_or(Path::new(OUT));
    let dir = store::write_comparison(out, &record, made)
        .map_err(|e| CommandError::new(Exit::Failure, e))?;
    terminal.print_result(&record);
    terminal.print_written(&dir);
    github::tell(&record, terminal);
    Ok(Exit::from(&record))
}

/// One search of those that are made in turn.
struct Turn {
    pair: usize,
    /// 0 the base, 1 the candidate.
    side: usize,
    ready: Ready,
}

/// Searches of two profiles in turn: A B, B A, A B ..., so that what changes steadily with time
/// cancels out.
fn repeated(
    args: &CompareArgs,
    repeats: u32,
    terminal: &mut Terminal,
) -> Result<Exit, CommandError> {
    let turns = turns(args, repeats, terminal)?;
    consent::obtain(turns.iter().map(|t| &t.ready), args.yes, terminal)?;
    let total = turns.len();
    let runtime = runtime()?;
    let signals = signals::listen(runtime.handle());
    let mut runs: Vec<Named> = Vec::new();
    let mut found: Vec<[Option<usize>; 2]> = vec![[None; 2]; repeats as usize];
    let mut stopped = None;
    for (i, turn) in turns.into_iter().enumerate() {
        let what = ["base", "candidate"][turn.side];
        let name = turn.ready.plan.name.clone();
        let place = format!("search {} of {total}", i + 1);
        terminal.note(&format!("{place}: {what} {name}"));
        let searched = runtime.block_on(async {
            let mut observers = Observers::open(terminal, None, None, &Allowed::default()).await?;
            find::search(turn.ready, &signals, &mut observers).await
        });
        match searched.map(|(record, dir)| (Stop::of(&record, &place), record, dir)) {
            Err(refusal) => stopped = Some(Stop::failed(&refusal, &place)),
            Ok((Some(stop), ..)) => stopped = Some(stop),
            Ok((None, record, dir)) => {
                found[turn.pair][turn.side] = Some(runs.len());
                runs.push(Named {
                    name: dir.display().to_string(),
                    record,
                    size: None,
                });
                if signals.interrupt.is_set() && i + 1 < total {
                    stopped = Some(Stop::interrupted());
                }
            }
        }
        if stopped.is_some() {
            break;
        }
    }
    // Nothing may hold up the end: what still runs there is of no use any more.
    runtime.shutdown_background();
    let pairs: Vec<(usize, usize)> = found
        .iter()
        .filter_map(|[base, candidate]| Some(((*base)?, (*candidate)?)))
        .collect();
    let mut notes = Vec::new();
    if let Some(stop) = &stopped {
        if pairs.is_empty() {
            let why = &stop.why;
            let message = format!("{why}; no pair of searches is complete: nothing to compare");
            return Err(CommandError::new(stop.exit, message));
        }
        let done = pairs.len();
        let note = format!("{}; {done} of {repeats} pairs are complete", stop.why);
        terminal.warning(&note);
        notes.push(note);
    }
    if repeats == 1 {
        notes.push(
            "one pair cannot show the run-to-run spread; a standard deviation of 2 % is assumed; \
             use --repeat 3 or more to measure it"
                .to_owned(),
        );
    }
    let exit = conclude(args, &runs, &Design::Pairs(pairs), notes, terminal)?;
    Ok(stopped.map_or(exit, |stop| stop.exit))
}

/// What ended searches in turn before the last of them.
pub(super) struct Stop {
    pub(super) exit: Exit,
    pub(super) why: String,
}

impl Stop {
    /// What the record of a search says of those that were to come.
    pub(super) fn of(record: &RunRecord, place: &str) -> Option<Self> {
        let answer = &record.answer;
        match answer.ending {
            Ending::Interrupted => Some(Self::interrupted()),
            Ending::Aborted => Some(Self {
                exit: Exit::Gate,
                why: format!(
                    "{place} was {}; no more searches follow",
                    answer.reason.trim_end_matches('.')
                ),
            }),
            Ending::DataUsedUp => Some(Self {
                exit: Exit::Undecided,
                why: format!(
                    "{place} ended early ({}); no more searches follow",
                    answer.reason.trim_end_matches('.')
                ),
            }),
            Ending::TargetDown => Some(Self {
                exit: Exit::Target,
                why: format!(
                    "{place} ended with its target down ({}); no more searches follow",
                    answer.reason.trim_end_matches('.')
                ),
            }),
            _ => None,
        }
    }

    pub(super) fn failed(refusal: &CommandError, place: &str) -> Self {
        Self {
            exit: refusal.exit,
            why: format!(
                "{place} failed ({}); no more searches follow",
                refusal.message
            ),
        }
    }

    pub(super) fn interrupted() -> Self {
        Self {
            exit: Exit::Interrupted,
            why: "interrupted".to_owned(),
        }
    }
}

/// Every search made ready; nothing is run before all of them make sense.
fn turns(args: &CompareArgs, repeats: u32, terminal: &Terminal) -> Result<Vec<Turn>, CommandError> {
    let usage = |message: String| CommandError::new(Exit::Usage, message);
    let [base, candidate] = args.runs.as_slice() else {
        return Err(usage(format!(
            "--repeat takes two profiles, the base and the candidate, not {}",
            args.runs.len()
        )));
    };
    let profiles = [base, candidate].map(|name| locate::by_name(name, Path::new(".")));
    let [base, candidate] = profiles.map(|p| p.map_err(|e| CommandError::new(Exit::Usage, e)));
    let profiles = [base?, candidate?];
    let look = |profile| script::look(Some(profile), &flags(args, 0), args.yes, terminal);
    let info = [look(&profiles[0])?, look(&profiles[1])?];
    let host = preflight::read_host();
    let mut turns = Vec::new();
    for pair in 0..repeats as usize {
        let order = if pair.is_multiple_of(2) {
            [0, 1]
        } else {
            [1, 0]
        };
        for side in order {
            let flags = flags(args, turns.len());
            let plan = plan_of(Some(&profiles[side]), &flags, info[side].as_ref())?;
            let ready = prepare::prepare(plan, &host)?;
            turns.push(Turn { pair, side, ready });
        }
    }
    let slo = |side: usize| {
        let turn = turns.iter().find(|t| t.side == side);
        turn.map(|t| t.ready.plan.slo.texts().join(", "))
            .unwrap_or_default()
    };
    if slo(0) != slo(1) {
        return Err(usage(format!(
            "the profiles have different SLOs, so their breakpoints are not comparable: {} and {}; \
             set one for both with --slo",
            slo(0),
            slo(1)
        )));
    }
    Ok(turns)
}

/// What changes the plan of the search at this place: each has a seed of its own.
fn flags(args: &CompareArgs, place: usize) -> FindFlags {
    FindFlags {
        slo: args.slo.clone(),
        max_vus: args.max_vus,
        precision: args.precision.clone(),
        budget: args.budget.clone(),
        seed: Some(args.seed.unwrap_or(SEED).wrapping_add(place as u64)),
        out: args.out.clone(),
        ..FindFlags::default()
    }
}
