//! `breakpoint lab --random`: systems that are drawn, their truths, searches, tables.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::{Cache, CommandError, Exit, MOST_TRUTHS, Signals};
use crate::bounded;
use crate::cli::LabArgs;
use crate::lab::random::Rejected;
use crate::lab::random::run::{self, BUDGETS, Found, Memory, RandomLabPlan};
use crate::lab::system::System;
use crate::lab::truth::KnownTruths;
use crate::report::lab::{self, LabTruth, RandomReport};
use crate::store;
use crate::term::Terminal;

/// The file of the cache: these truths are less accurate than those of files.
const TRUTHS: &str = "truths-random.csv";
/// How a line of the cache begins that tells why a draw is of no use.
const REJECTED: &str = "rejected: ";
/// The folder of the drawn files.
const SYSTEMS: &str = "systems";

pub(super) fn random(
    args: &LabArgs,
    systems: u32,
    threads: usize,
    signals: &Signals,
    terminal: &mut Terminal,
) -> Result<Exit, CommandError> {
    let has = |index: &u32| args.half.is_none_or(|half| half.has(*index));
    let plan = RandomLabPlan {
        indices: (0..systems).filter(has).collect(),
        runs: args.runs,
        seed: args.seed,
        precision: args.precision,
        budgets: if args.budgets.is_empty() {
            BUDGETS.to_vec()
        } else {
            args.budgets.clone()
        },
        threads,
    };
    let kept = Kept::open(Cache::open(args.cache.clone(), terminal).dir);
    let asked = plan.indices.len();
    let (found, rejected) = run::find_all(&plan, &kept, &signals.interrupt, &mut |done| {
        terminal.progress("truths", done, asked);
    });
    if signals.interrupt.is_set() {
        return Ok(Exit::Interrupted);
    }
    let total = found.len() * plan.runs as usize;
    let searched = run::run_all(&plan, &found, &signals.interrupt, &mut |done| {
        terminal.progress("searches", done, total);
    });
    terminal.clear();
    let report = RandomReport {
        left_out: u32::try_from(asked - found.len()).unwrap_or(u32::MAX),
        systems: searched,
        rejected: counted(&rejected),
        seed: plan.seed,
    };
    let files = lab::random_files(&report).map_err(|e| CommandError::new(Exit::Failure, e))?;
    store::write_files(&args.out, &files).map_err(|e| CommandError::new(Exit::Usage, e))?;
    store::write_files(&args.out.join(SYSTEMS), &drawn(&found))
        .map_err(|e| CommandError::new(Exit::Usage, e))?;
    terminal.print(&lab::random_text(&report));
    terminal.print_written(&args.out);
    Ok(if signals.interrupt.is_set() {
        Exit::Interrupted
    } else {
        Exit::Answer
    })
}

/// The drawn systems as files, so that one can be looked at by itself.
fn drawn(found: &[Found]) -> Vec<(String, Vec<u8>)> {
    let file = |f: &Found| {
        (
            format!("{}.toml", f.system.name),
            f.text.clone().into_bytes(),
        )
    };
    found.iter().map(file).collect()
}

fn counted(rejected: &[Rejected]) -> Vec<(&'static str, u32)> {
    let mut counts = BTreeMap::new();
    for why in rejected {
        *counts.entry(*why).or_insert(0) += 1;
    }
    counts.into_iter().map(|(why, n)| (why.text(), n)).collect()
}

/// What is known of drawn systems, in memory and, where there is a folder, in its file. A file that
/// cannot be written costs time at the next call and nothing else.
struct Kept {
    dir: Option<PathBuf>,
    known: Mutex<KnownTruths>,
}

impl Kept {
    fn open(dir: Option<PathBuf>) -> Self {
        let read = |dir: &PathBuf| {
            KnownTruths::read(&bounded::file(&dir.join(TRUTHS), MOST_TRUTHS).ok()?).ok()
        };
        let known = dir.as_ref().and_then(read).unwrap_or_default();
        Self {
            dir,
            known: Mutex::new(known),
        }
    }
}

impl Memory for Kept {
    fn of(&self, system: &System) -> Option<Result<LabTruth, Rejected>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let truth = known.of(system)?;
        Some(match truth.how.strip_prefix(REJECTED) {
            None => Ok(truth),
            Some(why) => Err(Rejected::ALL.into_iter().find(|r| r.text() == why)?),
        })
    }

    fn keep(&self, system: &System, known: &Result<LabTruth, Rejected>) {
        let truth = known.clone().unwrap_or_else(|why| LabTruth {
            unit: system.limits.unit,
            vus: None,
            from_above_vus: None,
            se_pct: 0.0,
            how: format!("{REJECTED}{}", why.text()),
        });
        let mut all = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(system, &truth);
        if let (Some(dir), Ok(bytes)) = (&self.dir, all.bytes()) {
            let _ = store::write_files(dir, &[(TRUTHS.to_owned(), bytes)]);
        }
    }
}
