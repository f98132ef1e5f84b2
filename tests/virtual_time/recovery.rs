//! What happens between probes, in virtual time: the very loop that `find` uses, an engine whose
//! single cycles take what a test says, and surroundings that tell what was asked of them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use breakpoint::engine::sim::{SimEngine, SystemSpec};
use breakpoint::engine::{Canary, Engine, EngineInfo, Reply};
use breakpoint::measure::{Level, Reading, StepTable, Window};
use breakpoint::record::{Ending, HoldEnd, Purpose, RunRecord};
use breakpoint::run::{self, Interrupt, RunEnvironment, RunSpec, SimulatedUsers};
use breakpoint::search::SearchSpec;
use breakpoint::slo::{Slo, Verdict};

/// What a run asked of the world, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// A level above zero.
    Load,
    /// No load.
    Stop,
    /// A window passed without load.
    Idle,
    Reset,
    Canary,
}

type Log = Arc<Mutex<Vec<Asked>>>;

/// A simulated system whose `n`-th single cycle takes what `takes` says.
struct Scripted<F> {
    sim: SimEngine,
    takes: F,
    tried: usize,
    level: Level,
    log: Log,
}

impl<F: FnMut(usize) -> Duration + Send> Engine for Scripted<F> {
    fn describe(&self) -> EngineInfo {
        self.sim.describe()
    }

    fn set_level(&mut self, level: Level) -> Reply<'_, ()> {
        Box::pin(async move {
            self.level = level;
            let loads = level > Level::ZERO;
            let asked = if loads { Asked::Load } else { Asked::Stop };
            self.log.lock().unwrap().push(asked);
            self.sim.set_level(level).await
        })
    }

    fn next_window(&mut self) -> Reply<'_, Window> {
        Box::pin(async move {
            if self.level == Level::ZERO {
                self.log.lock().unwrap().push(Asked::Idle);
            }
            self.sim.next_window().await
        })
    }

    fn canary(&mut self) -> Reply<'_, Canary> {
        Box::pin(async move {
            self.log.lock().unwrap().push(Asked::Canary);
            self.tried += 1;
            Ok(Canary::Passed((self.takes)(self.tried)))
        })
    }
}

/// Monitors that read what a test says, and resets that are noted and go as it says.
struct ScriptedEnvironment<R> {
    reads: R,
    reset: Result<(), String>,
    log: Log,
}

impl<R: FnMut(&[Asked]) -> Vec<Reading> + Send> RunEnvironment for ScriptedEnvironment<R> {
    fn readings(&mut self) -> Vec<Reading> {
        (self.reads)(&self.log.lock().unwrap())
    }

    fn reset(&mut self) -> impl Future<Output = Result<(), String>> + Send + 'static {
        let (log, outcome) = (Arc::clone(&self.log), self.reset.clone());
        async move {
            log.lock().unwrap().push(Asked::Reset);
            outcome
        }
    }

    fn time_of_day(&self) -> String {
        "1970-01-01T00:00:00Z".to_owned()
    }
}

/// Never busy, but every request fails while more than 50 VUs run.
fn cliff() -> SystemSpec {
    let text = "name = 'test'\ntitle = 'a test'\nslo = ['errors<1%']\ncliff = { above_vus = 50 }\npace_per_s = 50\n\
                [think]\nkind = 'exponential'\nmean = '1s'\n\
                [service]\nservers = 20\nkind = 'exponential'\nmean = '50ms'\n";
    SystemSpec::from_toml(text).unwrap()
}

fn spec(system: &SystemSpec) -> RunSpec {
    let search = SearchSpec {
        budget: Duration::from_secs(600),
        max: Level(400),
        seed: 5,
        ..SearchSpec::default()
    };
    let users = SimulatedUsers {
        think_s: system.think_s(),
        pace_per_s: system.pace_per_s,
    };
    let slo = Slo::parse(["errors<1%"]).unwrap();
    let steps = StepTable::of_cycle(["request".to_owned()], Some(0));
    RunSpec {
        drain_timeout: Duration::from_secs(20),
        canary_timeout: Duration::from_secs(30),
        canary_cycles: 2,
        ..RunSpec::simulated("sim", slo, steps, search, users)
    }
}

/// A search over the cliff, and what it asked of the world.
fn search(
    change: impl FnOnce(&mut RunSpec),
    takes: impl FnMut(usize) -> Duration + Send,
    reads: impl FnMut(&[Asked]) -> Vec<Reading> + Send,
) -> (RunRecord, Vec<Asked>) {
    search_with_resets(Ok(()), change, takes, reads)
}

fn search_with_resets(
    reset: Result<(), String>,
    change: impl FnOnce(&mut RunSpec),
    takes: impl FnMut(usize) -> Duration + Send,
    reads: impl FnMut(&[Asked]) -> Vec<Reading> + Send,
) -> (RunRecord, Vec<Asked>) {
    search_of(cliff(), reset, change, takes, reads)
}

fn search_of(
    system: SystemSpec,
    reset: Result<(), String>,
    change: impl FnOnce(&mut RunSpec),
    takes: impl FnMut(usize) -> Duration + Send,
    reads: impl FnMut(&[Asked]) -> Vec<Reading> + Send,
) -> (RunRecord, Vec<Asked>) {
    let mut spec = spec(&system);
    change(&mut spec);
    let log = Log::default();
    let mut engine = Scripted {
        sim: SimEngine::new(system, 5),
        takes,
        tried: 0,
        level: Level::ZERO,
        log: Arc::clone(&log),
    };
    let mut environment = ScriptedEnvironment {
        reads,
        reset,
        log: Arc::clone(&log),
    };
    let record = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(run::run(
            &spec,
            &mut engine,
            &mut environment,
            &Interrupt::default(),
            &mut |_| {},
        ));
    let log = log.lock().unwrap().clone();
    (record, log)
}

fn half_a_second(_: usize) -> Duration {
    Duration::from_millis(500)
}

fn nothing(_: &[Asked]) -> Vec<Reading> {
    Vec::new()
}

/// What was asked from the first reset's drain to the next load.
fn first_recovery(log: &[Asked]) -> &[Asked] {
    let reset = log.iter().position(|a| *a == Asked::Reset).unwrap();
    let from = log[..reset].iter().rposition(|a| *a == Asked::Stop);
    let to = log[reset..].iter().position(|a| *a == Asked::Load);
    &log[from.unwrap()..reset + to.unwrap_or(log.len() - reset)]
}

#[test]
fn the_target_drains_is_reset_and_passes_its_canaries_in_this_order() {
    let (record, log) = search(|_| {}, half_a_second, nothing);
    assert_eq!(record.answer.ending, Ending::Found);
    let mut order = first_recovery(&log).to_vec();
    order.dedup();
    let is_reset = |a: &Asked| *a == Asked::Reset;
    let at = order.iter().position(is_reset).unwrap();
    assert_eq!(order[..at], [Asked::Stop, Asked::Idle]);
    // A window may pass while the reset runs.
    let after: Vec<Asked> = (order[at + 1..].iter().copied())
        .filter(|a| *a != Asked::Idle)
        .collect();
    assert_eq!(after, [Asked::Canary]);
}

/// Slow until it has served so many requests.
fn cold(requests: u32) -> SystemSpec {
    let text = format!(
        "name = 'test'\ntitle = 'a test'\nslo = ['p99<1s']\npace_per_s = 50\n\
         [warm_up]\nspeed = 0.3\nrequests = {requests}\n\
         [think]\nkind = 'exponential'\nmean = '2s'\n\
         [service]\nservers = 4\nkind = 'exponential'\nmean = '50ms'\n"
    );
    SystemSpec::from_toml(&text).unwrap()
}

#[test]
fn a_service_that_has_grown_is_drained_and_not_started_anew() {
    let overruns_and_resets = |requests: u32| {
        let latency = |spec: &mut RunSpec| {
            spec.slo = Slo::parse(["p99<1s"]).unwrap();
            spec.search.budget = Duration::from_secs(900);
        };
        let (record, log) = search_of(cold(requests), Ok(()), latency, half_a_second, nothing);
        let grown_s = record.answer.noticed.last().map(|n| n.to_s);
        let since = |s: f64| {
            let left = record.probes.iter().filter(|p| p.end == HoldEnd::LeftEarly);
            left.filter(|p| p.start_s > s).count()
        };
        let looks = record
            .probes
            .iter()
            .filter(|p| p.purpose == Purpose::Compare && p.arrived_from == Level::ZERO);
        let resets = log.iter().filter(|a| **a == Asked::Reset).count() - looks.count();
        (grown_s.map(since), since(0.0), resets)
    };
    let (since, all, resets) = overruns_and_resets(1);
    assert!(
        since.is_none() && all > 0,
        "{since:?}, {all}: it was warm from the beginning"
    );
    assert!(
        resets >= all,
        "{resets} resets after {all} levels that were left early"
    );
    let (since, all, resets) = overruns_and_resets(4_000);
    let since = since.unwrap();
    assert!(since > 0, "some level was left early when it was warm");
    assert_eq!(resets, all - since);
}

#[test]
fn a_target_that_is_slow_after_a_recovery_and_then_well_is_waited_for() {
    let late = |tried| {
        // The third and the three after it are those after the first recovery.
        let slow = (3..7).contains(&tried);
        Duration::from_millis(if slow { 3_200 } else { 500 })
    };
    let (record, log) = search(|_| {}, late, nothing);
    assert_eq!(
        record.answer.ending,
        Ending::Found,
        "{}",
        record.answer.reason
    );
    let canaries = |of: &[Asked]| of.iter().filter(|a| **a == Asked::Canary).count();
    assert_eq!(
        canaries(first_recovery(&log)),
        6,
        "four slow ones, two good ones"
    );
}

#[test]
fn a_target_that_stays_slow_ends_the_search_with_what_was_measured() {
    let late = |tried| Duration::from_millis(if tried > 2 { 3_200 } else { 500 });
    let (record, _) = search(|_| {}, late, nothing);
    let answer = &record.answer;
    assert_eq!(answer.ending, Ending::TargetDown);
    let wanted = "did not recover: a single cycle takes 3.20 s, compared to 500 ms before the \
        search";
    assert!(answer.reason.contains(wanted), "{}", answer.reason);
    assert!(answer.last_held.is_some() && answer.first_broke.is_some());
    assert!(!record.probes.is_empty());
}

#[test]
fn without_canary_cycles_nothing_is_compared() {
    let (record, log) = search(|spec| spec.canary_cycles = 0, half_a_second, nothing);
    assert_eq!(record.answer.ending, Ending::Found);
    assert!(!log.contains(&Asked::Canary));
    assert!(log.contains(&Asked::Reset));
}

/// A backlog of the AI that is there until so many windows have passed without load.
fn backlog(for_windows: usize) -> impl FnMut(&[Asked]) -> Vec<Reading> + Send {
    move |log| {
        let idle = log.iter().rev().take_while(|a| **a == Asked::Idle).count();
        vec![Reading {
            monitor: "ai".to_owned(),
            field: "queue".to_owned(),
            value: Some(if idle < for_windows { 12.0 } else { 0.0 }),
        }]
    }
}

fn when_the_queue_is_empty(spec: &mut RunSpec) {
    let monitors = ["ai".to_owned()];
    spec.drained_when.add("ai.queue==0", &monitors).unwrap();
}

/// Windows of the first drain. One more passes before the reset, in its own task, has its turn.
fn windows_of_the_first_drain(log: &[Asked]) -> usize {
    let idle = first_recovery(log).iter().skip(1);
    idle.take_while(|a| **a == Asked::Idle).count() - 1
}

#[test]
fn the_drain_lasts_until_the_monitors_read_what_the_profile_asks() {
    let (plain, log) = search(|_| {}, half_a_second, backlog(9));
    assert_eq!(plain.answer.ending, Ending::Found);
    let short = windows_of_the_first_drain(&log);
    assert!(short < 9, "nobody asked for it");
    let (record, log) = search(when_the_queue_is_empty, half_a_second, backlog(9));
    assert_eq!(record.answer.ending, Ending::Found);
    assert_eq!(windows_of_the_first_drain(&log), 9);
    assert!(record.warnings.is_empty(), "{:?}", record.warnings);
}

#[test]
fn a_target_that_never_drains_is_reset_at_the_deadline_and_told_of_once() {
    let (record, log) = search(when_the_queue_is_empty, half_a_second, backlog(usize::MAX));
    assert_eq!(record.answer.ending, Ending::Found);
    // One window a second, of twenty.
    assert_eq!(windows_of_the_first_drain(&log), 20);
    assert!(log.iter().filter(|a| **a == Asked::Reset).count() > 1);
    assert_eq!(record.warnings.len(), 1, "{:?}", record.warnings);
    let warning = &record.warnings[0];
    assert!(
        warning.contains("did not drain within 20 s: ai.queue==0: 12;"),
        "{warning}"
    );
}

/// A gateway that is down from the first load on until it is reset.
fn dies_at_once(log: &[Asked]) -> Vec<Reading> {
    let up = !log.contains(&Asked::Load) || log.contains(&Asked::Reset);
    vec![Reading {
        monitor: "gateway".to_owned(),
        field: "up".to_owned(),
        value: Some(if up { 1.0 } else { 0.0 }),
    }]
}

#[test]
fn a_dead_part_that_a_reset_revives_is_revived_although_the_probe_held() {
    let revived = |spec: &mut RunSpec| spec.revived = vec!["gateway".to_owned()];
    let (record, log) = search(revived, half_a_second, dies_at_once);
    let [first, second, third] = &record.probes[..3] else {
        panic!("{} probes", record.probes.len());
    };
    assert_eq!(first.verdict, Verdict::Held);
    assert_eq!(second.arrived_from, Level::ZERO, "it was reset between");
    assert_eq!(third.arrived_from, second.level, "and not once more");
    let order = first_recovery(&log);
    let (reset, canary) = (Asked::Reset, Asked::Canary);
    assert!(order.contains(&reset) && order.last() == Some(&canary));
    let (record, _) = search(|_| {}, half_a_second, dies_at_once);
    let second = &record.probes[1];
    assert_eq!(
        second.arrived_from, record.probes[0].level,
        "no reset helps"
    );
}

#[test]
fn a_reset_that_fails_ends_the_search_with_what_was_measured() {
    let fails = Err("cannot restart the container `gw`: Docker answered 500".to_owned());
    let (record, log) = search_with_resets(fails, |_| {}, half_a_second, nothing);
    let answer = &record.answer;
    assert_eq!(answer.ending, Ending::TargetDown);
    let wanted = "did not recover: cannot restart the container `gw`: Docker answered 500";
    assert!(answer.reason.contains(wanted), "{}", answer.reason);
    assert!(answer.last_held.is_some() && answer.first_broke.is_some());
    assert_eq!(log.iter().filter(|a| **a == Asked::Reset).count(), 1);
}
