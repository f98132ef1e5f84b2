//! `breakpoint lab`: systems, their truths, runs, tables and charts.

mod random;

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::signals::{self, Signals};
use super::{CommandError, Exit, runtime};
use crate::bounded;
use crate::cli::LabArgs;
use crate::lab::method::MethodOptions;
use crate::lab::pairs;
use crate::lab::runner::{self, LabPlan};
use crate::lab::system::System;
use crate::lab::truth::{self, Accuracy, KnownTruths, TruthError};
use crate::report::lab::{self, LabReport, LabSystem, LabTruth};
use crate::store;
use crate::term::Terminal;

/// The file of the cache.
const TRUTHS: &str = "truths.csv";
/// Most bytes of it: some hundred thousand systems.
const MOST_TRUTHS: u64 = 16 << 20;

pub(super) fn lab(args: &LabArgs, terminal: &mut Terminal) -> Result<Exit, CommandError> {
    let systems = systems(&args.systems)?;
    let runtime = runtime()?;
    let signals = signals::listen(runtime.handle());
    let threads = args.threads.map_or_else(cores, usize::from);
    if let Some(systems) = args.random {
        return random::random(args, systems, threads, &signals, terminal);
    }
    if !args.compare.is_empty() {
        return pairs(args, &systems, threads, &signals, terminal);
    }
    let cache = Cache::open(args.cache.clone(), terminal);
    let mut known = Vec::new();
    for system in systems {
        match truth(&system, &cache, threads, &signals, terminal) {
            Ok(truth) => known.push((system, truth)),
            Err(TruthError::Interrupted { .. }) => return Ok(Exit::Interrupted),
            Err(error) => return Err(CommandError::new(Exit::Usage, error)),
        }
    }
    let systems = search(args, &known, threads, &signals, terminal);
    terminal.clear();
    let report = LabReport {
        systems,
        precision: args.precision,
    };
    let files = lab::files(&report).map_err(|e| CommandError::new(Exit::Failure, e))?;
    store::write_files(&args.out, &files).map_err(|e| CommandError::new(Exit::Usage, e))?;
    terminal.print(&lab::text(&report));
    terminal.print_written(&args.out);
    runtime.shutdown_background();
    Ok(if signals.interrupt.is_set() {
        Exit::Interrupted
    } else {
        Exit::Answer
    })
}

/// All searches: of each system with each budget.
fn search(
    args: &LabArgs,
    known: &[(System, LabTruth)],
    threads: usize,
    signals: &Signals,
    terminal: &mut Terminal,
) -> Vec<LabSystem> {
    let methods = args.chosen();
    let budgets: Vec<Option<Duration>> = match args.budgets.as_slice() {
        [] => vec![None],
        some => some.iter().copied().map(Some).collect(),
    };
    let of_one = known.len() * methods.len() * args.runs as usize;
    let mut systems = Vec::new();
    for (index, budget) in budgets.iter().enumerate() {
        let plan = LabPlan {
            methods: methods.clone(),
            runs: args.runs,
            seed: args.seed,
            asked: MethodOptions {
                precision: args.precision,
                budget: *budget,
                truth: None,
            },
            threads,
        };
        let ran = runner::run_all(&plan, known, &signals.interrupt, &mut |done| {
            terminal.progress("searches", index * of_one + done, budgets.len() * of_one);
        });
        systems.extend(ran);
    }
    systems
}

/// Pairs of searches, compared.
fn pairs(
    args: &LabArgs,
    systems: &[System],
    threads: usize,
    signals: &Signals,
    terminal: &mut Terminal,
) -> Result<Exit, CommandError> {
    let plan = pairs::PairsPlan {
        pairs: args.runs,
        changes: args.compare.clone(),
        seed: args.seed,
        asked: MethodOptions {
            precision: args.precision,
            budget: args.budgets.first().copied(),
            truth: None,
        },
        threads,
    };
    let total = systems.len() * args.runs as usize;
    let all = pairs::run_all(&plan, systems, &signals.interrupt, &mut |done| {
        terminal.progress("pairs", done, total);
    });
    terminal.clear();
    let files = lab::pair_files(&all).map_err(|e| CommandError::new(Exit::Failure, e))?;
    store::write_files(&args.out, &files).map_err(|e| CommandError::new(Exit::Usage, e))?;
    terminal.print(&lab::pair_text(&all));
    terminal.print_written(&args.out);
    Ok(if signals.interrupt.is_set() {
        Exit::Interrupted
    } else {
        Exit::Answer
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// The systems by name or path; nothing is run before all of them make sense.
fn systems(asked: &[String]) -> Result<Vec<System>, CommandError> {
    let shipped = System::shipped();
    if asked.is_empty() {
        return Ok(shipped);
    }
    let mut systems: Vec<System> = Vec::new();
    for name in asked {
        let system = system(name, &shipped)?;
        if let Some(twin) = systems.iter().find(|s| s.name == system.name) {
            let message = format!(
                "two systems are named `{}`; give each its own name",
                twin.name
            );
            return Err(CommandError::new(Exit::Usage, message));
        }
        systems.push(system);
    }
    Ok(systems)
}

fn system(name: &str, shipped: &[System]) -> Result<System, CommandError> {
    if let Some(system) = shipped.iter().find(|s| s.name == name) {
        return Ok(system.clone());
    }
    let usage = |message: String| CommandError::new(Exit::Usage, message);
    let text = match bounded::text(Path::new(name), bounded::WRITTEN) {
        Ok(text) => text,
        Err(error) => {
            let names: Vec<&str> = shipped.iter().map(|s| s.name.as_str()).collect();
            return Err(usage(format!(
                "`{name}` is neither a shipped system ({}) nor a readable file: {error}",
                names.join(", ")
            )));
        }
    };
    System::from_toml(&text).map_err(|e| usage(format!("{name}: {e}")))
}

/// The truth of a system: committed, cached, or computed now and then cached.
fn truth(
    system: &System,
    cache: &Cache,
    threads: usize,
    signals: &Signals,
    terminal: &mut Terminal,
) -> Result<LabTruth, TruthError> {
    let committed = KnownTruths::shipped().ok().and_then(|k| k.of(system));
    if let Some(truth) = committed.or_else(|| cache.read().of(system)) {
        return Ok(truth);
    }
    let tell = &mut |what: String| terminal.doing(&what);
    let truth = truth::find(
        system,
        Accuracy::default(),
        threads,
        &signals.interrupt,
        tell,
    )?;
    cache.add(system, &truth, terminal);
    Ok(truth)
}

/// Where computed truths are kept. A cache that cannot be used costs time and nothing else.
struct Cache {
    dir: Option<PathBuf>,
}

impl Cache {
    fn open(asked: Option<PathBuf>, terminal: &Terminal) -> Self {
        let var = |name| {
            std::env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
        };
        let dir = asked
            .or_else(|| Some(var("XDG_CACHE_HOME")?.join("breakpoint")))
            .or_else(|| Some(var("HOME")?.join(".cache/breakpoint")));
        if dir.is_none() {
            terminal.warning("no cache folder for computed truths; set one with --cache DIR");
        }
        Self { dir }
    }

    fn read(&self) -> KnownTruths {
        let read = |dir: &Path| {
            KnownTruths::read(&bounded::file(&dir.join(TRUTHS), MOST_TRUTHS).ok()?).ok()
        };
        self.dir.as_deref().and_then(read).unwrap_or_default()
    }

    fn add(&self, system: &System, truth: &LabTruth, terminal: &Terminal) {
        let Some(dir) = &self.dir else { return };
        // Read again: another laboratory may have added to it meanwhile.
        let mut known = self.read();
        known.insert(system, truth);
        let written = known.bytes().map_err(|e| e.to_string()).and_then(|bytes| {
            store::write_files(dir, &[(TRUTHS.to_owned(), bytes)]).map_err(|e| e.to_string())
        });
        if let Err(error) = written {
            terminal.warning(&format!(
                "cannot cache the truth of {}: {error}",
                system.name
            ));
        }
    }
}
