//! Faults of the target, each met by a whole search of the program over real sockets: it ends in
//! time and in bounded memory, and its record says what happened.
//!
//! What was seen is the table of `docs/faults.md`. After a change on purpose,
//! `UPDATE_GOLDEN=1 cargo test --test program faults` writes it again; read the difference before
//! committing it. `FAULTS=Refuses,Stream` takes those only whose names hold one of these words, and
//! leaves the table alone.

use std::fmt::{self, Write as _};
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use breakpoint::measure::FailureKind;
use breakpoint::record::{Ending, RampEnding};
use breakpoint::slo::Verdict;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

mod certificates;
mod fault;
mod http2;
mod search;
mod sockets;
mod target;
mod trial;

use certificates::Certificates;
use fault::{Answer, Facts, Fault, Outcome, Strike, When, never_answers};
use target::Onset;
use trial::{RAMP_VUS, Trial, TrialOutcome, all_failures};

use crate::starved::{Starved, repeated, starved, starved_ramp};

/// Most memory that the program may have in use. With nothing but its reports it is less than half
/// of that.
const MEMORY: u64 = 128 << 20;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/faults.md");
const BEGIN: &str = "<!-- written by tests/program/faults.rs -->\n";
const END: &str = "<!-- end of what is written -->\n";

/// A fault and what came of it: beyond the load that the target carries, and from the first request
/// on.
struct Row {
    fault: Fault,
    loaded: Option<Outcome>,
    at_once: Option<Outcome>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_of_the_target_ends_as_the_document_says() {
    let wanted = std::env::var("FAULTS").ok();
    let mut rows: Vec<Row> = Fault::ALL
        .into_iter()
        .filter(|fault| is_wanted(*fault, wanted.as_deref()))
        .map(|fault| Row {
            fault,
            loaded: None,
            at_once: None,
        })
        .collect();
    let certificates = Arc::new(Certificates::new());
    let mut trials = Vec::new();
    // Those that take longest are the last of the table.
    for (row, fault) in rows.iter().map(|r| r.fault).enumerate().rev() {
        for onset in onsets(&fault.facts()) {
            let trial = Trial {
                fault,
                onset: *onset,
                certificates: Arc::clone(&certificates),
            };
            trials.push((row, trial));
        }
    }
    let mut missed = Vec::new();
    for at_once in ROUNDS {
        missed = round(trials, at_once, &mut rows).await;
        let wrong = missed.iter().filter(|m| matches!(m.why, Why::Wrong(_)));
        if missed.is_empty() || wrong.count() > FEW {
            break;
        }
        trials = missed.iter().map(|m| (m.row, m.trial.clone())).collect();
    }
    let missed: Vec<String> = missed.iter().map(Missed::to_string).collect();
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    if wanted.is_none() {
        compare(&table(&rows));
    }
}

#[test]
fn a_restart_breaks_its_stage_of_a_ramp_and_all_users_come_back() {
    let runtime = Runtime::new().unwrap();
    let (record, ended) = repeated(|| {
        let (record, ended) = runtime.block_on(trial::ramp_with_a_restart()).unwrap();
        starved_ramp(&record).map_or(Ok((record, ended)), Err)
    });
    let said = &ended.said;
    assert_eq!(record.ending, RampEnding::Complete, "{said}");
    assert_eq!(ended.code, Some(0), "{said}");
    let stage = &record.stages[1];
    let cycle = stage.steps.last().unwrap();
    let down = [
        FailureKind::ConnectRefused,
        FailureKind::Reset,
        FailureKind::Eof,
    ];
    let failed: u64 = cycle.failed.iter().map(|(_, n)| n).sum();
    // Everybody meets it; who does waits for a second and tries again, a little later each time.
    let users = u64::from(RAMP_VUS);
    assert!((users..users * 5).contains(&failed), "{:?}", cycle.failed);
    assert!(
        cycle.failed.iter().all(|(kind, _)| down.contains(kind)),
        "{:?}",
        cycle.failed
    );
    let last = &stage.seconds.last().unwrap().seen;
    let cycle = last.steps.last().unwrap();
    assert_eq!((last.vus, cycle.failed), (RAMP_VUS, 0), "{said}");
    // Eight users with a cycle of some 220 ms.
    assert!(cycle.completed >= 8, "{} of them", cycle.completed);
    assert!(record.breach.is_some(), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_waits_for_no_target_that_hangs() {
    let (record, ended) = trial::interrupted_while_it_hangs().await.unwrap();
    assert_eq!(ended.code, Some(130), "{}", ended.said);
    assert_eq!(record.answer.ending, Ending::Interrupted, "{}", ended.said);
}

impl Row {
    fn note(&mut self, onset: Onset, outcome: Outcome) {
        match onset {
            Onset::Beyond => self.loaded = Some(outcome),
            Onset::AtOnce => self.at_once = Some(outcome),
        }
    }
}

/// A trial that did not show what it must.
struct Missed {
    row: usize,
    trial: Trial,
    why: Why,
}

/// Why it did not.
enum Why {
    /// Something else came of it.
    Wrong(String),
    /// The machine had no time for it: nothing came of it.
    Starved(Starved),
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (fault, onset) = (self.trial.fault, self.trial.onset);
        match &self.why {
            Why::Wrong(what) => write!(f, "{fault:?}, {onset:?}: {what}"),
            Why::Starved(Starved(why)) => write!(f, "{fault:?}, {onset:?}, too busy: {why}"),
        }
    }
}

/// Searches that run at once: first all, then what missed, which more and more CPU is left for.
const ROUNDS: [usize; 3] = [32, 6, 2];
/// More than so many that are wrong are not for want of CPU, and are not tried again.
const FEW: usize = 4;
/// The time between the beginnings of two: a program that starts takes a core for a moment, and all
/// of them together would leave the targets none.
const APART: Duration = Duration::from_millis(300);

/// Makes trials, so many at once, and notes what came of them; those that missed.
#[expect(clippy::print_stderr, reason = "how far it is, and what missed")]
async fn round(trials: Vec<(usize, Trial)>, at_once: usize, rows: &mut [Row]) -> Vec<Missed> {
    let turns = Arc::new(Turns::new(at_once));
    let mut running = JoinSet::new();
    for (row, trial) in trials {
        let turns = Arc::clone(&turns);
        running.spawn(async move {
            let _turn = turns.take().await;
            let outcome = outcome(&trial).await;
            (row, trial, outcome)
        });
    }
    let began = Instant::now();
    let mut missed = Vec::new();
    while let Some(done) = running.join_next().await {
        let (row, trial, outcome) = done.unwrap();
        let (fault, onset) = (trial.fault, trial.onset);
        let after = began.elapsed().as_secs();
        eprintln!("{fault:?}, {onset:?}, after {after} s");
        match outcome {
            Ok(outcome) => rows[row].note(onset, outcome),
            Err(why) => {
                let miss = Missed { row, trial, why };
                eprintln!("among {at_once}: {miss}");
                missed.push(miss);
            }
        }
    }
    missed
}

/// Runs a trial; what came of it, if it was right.
async fn outcome(trial: &Trial) -> Result<Outcome, Why> {
    let seen = trial.run().await.map_err(Why::Wrong)?;
    match check(trial.fault, trial.onset, &seen) {
        Ok(()) => Ok(seen.outcome),
        Err(wrong) => Err(starved(&seen.record).map_or(Why::Wrong(wrong), Why::Starved)),
    }
}

/// Who may begin.
struct Turns {
    running: Arc<Semaphore>,
    door: Mutex<()>,
}

impl Turns {
    fn new(at_once: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(at_once)),
            door: Mutex::new(()),
        }
    }

    async fn take(&self) -> OwnedSemaphorePermit {
        let turn = Arc::clone(&self.running).acquire_owned().await.unwrap();
        let _through = self.door.lock().await;
        tokio::time::sleep(APART).await;
        turn
    }
}

fn is_wanted(fault: Fault, words: Option<&str>) -> bool {
    let name = format!("{fault:?}");
    words.is_none_or(|words| words.split(',').any(|word| name.contains(word)))
}

/// When a fault is tried. One that fails no single cycle keeps no search from beginning.
fn onsets(facts: &Facts) -> &'static [Onset] {
    match (facts.when, facts.outcome.kind) {
        (When::Beyond, Some(_)) => &[Onset::Beyond, Onset::AtOnce],
        (When::Always, _) => &[Onset::AtOnce],
        _ => &[Onset::Beyond],
    }
}

/// What must come of a fault.
fn expected(facts: &Facts, onset: Onset) -> Outcome {
    match (onset, facts.outcome.kind) {
        (Onset::AtOnce, Some(kind)) => never_answers(kind),
        _ => facts.outcome,
    }
}

fn check(fault: Fault, onset: Onset, seen: &TrialOutcome) -> Result<(), String> {
    let facts = fault.facts();
    let expected = expected(&facts, onset);
    let failures = all_failures(&seen.record);
    let told = || {
        let probes = seen.record.probes.iter();
        let probes: Vec<_> = probes
            .map(|p| (p.level.get(), p.verdict, &p.reason, p.end))
            .collect();
        format!("{failures:?}, {probes:?}, it said:\n{}", seen.ended.said)
    };
    // A short search may come to an interval and no number: as good an answer.
    let ending = match seen.outcome.ending {
        Ending::Bracketed => Ending::Found,
        ending => ending,
    };
    let outcome = Outcome {
        ending,
        ..seen.outcome
    };
    if outcome != expected {
        return Err(format!("{outcome:?} instead of {expected:?}; {}", told()));
    }
    if seen.ended.code != Some(i32::from(expected.exit.code())) {
        return Err(format!("exit code {:?}; {}", seen.ended.code, told()));
    }
    if let Some((kind, _)) = failures.iter().find(|(kind, _)| kind.is_generator_fault()) {
        return Err(format!("{kind:?} is no fault of the target; {}", told()));
    }
    if seen.ended.peak == 0 || seen.ended.peak > MEMORY {
        let mib = seen.ended.peak >> 20;
        return Err(format!("it had {mib} MiB in use; {}", told()));
    }
    if is_read_without_end(&facts) && onset == Onset::Beyond && seen.sent < 2 * MEMORY {
        let mib = seen.sent >> 20;
        return Err(format!("{mib} MiB would fit into memory: it shows nothing"));
    }
    Ok(())
}

/// Whether the program reads on for as long as its user waits.
fn is_read_without_end(facts: &Facts) -> bool {
    let endless = matches!(
        facts.strike,
        Strike::Answer(Answer::WithoutEnd(..) | Answer::Flood)
    );
    endless && facts.outcome.kind == Some(FailureKind::Timeout)
}

fn table(rows: &[Row]) -> String {
    let mut out = String::from(
        "| fault | what the target does | counts as | verdict | how the search ended | exit code | from the first request on |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let facts = row.fault.facts();
        let (name, does) = (facts.name, facts.does);
        let loaded = row.loaded.map_or("– | – | – | –".to_owned(), |o| {
            let (verdict, ending) = (o.verdict.map_or("–", verdict_name), ending(o.ending));
            let (kind, code) = (kind_name(o.kind), o.exit.code());
            format!("{kind} | {verdict} | {ending} | {code}")
        });
        let at_once = row.at_once.map_or("–".to_owned(), |o| {
            let (kind, code) = (kind_name(o.kind), o.exit.code());
            format!("{kind}, {}, exit code {code}", ending(o.ending))
        });
        writeln!(out, "| {name} | {does} | {loaded} | {at_once} |").unwrap();
    }
    out
}

fn kind_name(kind: Option<FailureKind>) -> String {
    kind.map_or("no failure".to_owned(), |kind| format!("`{}`", kind.name()))
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "held",
        Verdict::Undecided => "undecided",
        Verdict::Broke => "broke",
    }
}

/// A search this short ends with an interval, with a number in it or without: which of the two is
/// not the fault's doing.
fn ending(ending: Ending) -> String {
    match ending {
        Ending::Found | Ending::Bracketed => "`found` or `bracketed`".to_owned(),
        ending => format!("`{}`", ending.name()),
    }
}

/// Compares a table with that of the document, or writes it there.
fn compare(table: &str) {
    let text = fs::read_to_string(DOCUMENT).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("where the table begins");
    let (old, after) = rest.split_once(END).expect("where the table ends");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        let new = format!("{before}{BEGIN}{table}{END}{after}");
        fs::write(DOCUMENT, new).unwrap();
        return;
    }
    assert_eq!(
        table, old,
        "the table of docs/faults.md (left: as measured)"
    );
}
