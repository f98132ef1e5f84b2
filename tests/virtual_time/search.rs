//! Whole searches against simulated systems whose breakpoint is known exactly: the very loop,
//! settle detector, verdicts and stop rules that `find` uses, in virtual time.
#![expect(clippy::cast_precision_loss, reason = "counts of a simulation")]

use std::time::Duration;

use breakpoint::engine::sim::{Expect, SimEngine, SystemSpec, shipped};
use breakpoint::engine::{Canary, Engine, EngineInfo, Reply};
use breakpoint::event::Event;
use breakpoint::journal::{self, Entry, Head, JOURNAL_VERSION, Journal};
use breakpoint::measure::{
    FailureKind, GeneratorHealth, Level, Reading, StepTable, StepWindow, Window,
};
use breakpoint::record::{
    Answer, CauseKind, Ending, HoldEnd, NO_FINDING, Outlook, ProbeRecord, Purpose, RunRecord,
    Sureness,
};
use breakpoint::run::{
    self, Halt, Interrupt, NullEnvironment, ResumeState, RunEnvironment, RunSpec, SimulatedUsers,
};
use breakpoint::search::SearchSpec;
use breakpoint::slo::{Objective, Slo, Verdict};
use breakpoint::stats::queue::{ClosedQueue, mmc_threshold, mmcn_tail, mmcn_threshold};
use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// A system with a seed.
#[derive(Clone)]
struct Sim {
    system: SystemSpec,
    seed: u64,
}

impl Sim {
    fn shipped(name: &str, seed: u64) -> Self {
        let (_, text) = shipped().iter().find(|(n, _)| *n == name).unwrap();
        let system = SystemSpec::from_toml(text).unwrap();
        Self { system, seed }
    }

    fn start(&self) -> SimEngine {
        SimEngine::new(self.system.clone(), self.seed)
    }
}

/// M/M/8//N, service 50 ms, think 5 s.
fn system_a(seed: u64) -> Sim {
    Sim::shipped("a", seed)
}

/// M/M/1//N, service 100 ms, think 10 s: a handful of violations a minute at the breakpoint.
fn one_slow_server(seed: u64) -> Sim {
    Sim::shipped("b", seed)
}

fn exponential(servers: u32, service: &str, think: &str, rest: &str, seed: u64) -> Sim {
    let text = format!(
        "name = 'test'\ntitle = 'a test'\nslo = ['p99<2s']\n{rest}\n\
         [think]\nkind = 'exponential'\nmean = '{think}'\n\
         [service]\nservers = {servers}\nkind = 'exponential'\nmean = '{service}'\n"
    );
    let system = SystemSpec::from_toml(&text).unwrap();
    Sim { system, seed }
}

/// The shape of the built-in demo: M/M/8//N, service 80 ms, think 1 s.
fn demo(seed: u64) -> Sim {
    exponential(8, "80ms", "1s", "pace_per_s = 200", seed)
}

/// Never busy, but every request fails while more than 1 100 VUs run.
fn cliff(seed: u64) -> Sim {
    let rest = "cliff = { above_vus = 1100 }";
    exponential(200, "50ms", "5s", rest, seed)
}

/// Largest N with p99 < 2 s, by theory.
fn truth(sim: &Sim) -> f64 {
    f64::from(mmcn_threshold(&queue(sim), 0.99, 2.0, 20_000).unwrap())
}

fn queue(sim: &Sim) -> ClosedQueue {
    sim.system.closed_queue().unwrap()
}

fn spec(sim: &Sim, slo: &[&str], search: SearchSpec) -> RunSpec {
    let users = SimulatedUsers {
        think_s: sim.system.think_s(),
        pace_per_s: sim.system.pace_per_s,
    };
    let steps = sim.system.steps(&[]);
    RunSpec {
        drain_timeout: Duration::from_secs(60),
        canary_timeout: Duration::from_secs(30),
        canary_cycles: 1,
        ..RunSpec::simulated("sim", Slo::parse(slo).unwrap(), steps, search, users)
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn search(sim: &Sim, slo: &[&str], search: SearchSpec) -> RunRecord {
    let mut spec = spec(sim, slo, search);
    let mut engine = sim.start();
    for (row, limits) in spec.slo.objectives().iter().filter_map(Objective::good) {
        spec.steps.add_good(row);
        spec.plan.steps.insert(1, row.to_owned());
        engine.count_good(row, limits.iter().map(|l| (l.most, l.inclusive)));
    }
    block_on(run::run(
        &spec,
        &mut engine,
        &mut NullEnvironment,
        &Interrupt::default(),
        &mut |_| {},
    ))
}

#[test]
fn what_stops_a_search_from_outside_is_its_ending_and_its_reason() {
    let sim = system_a(1);
    for halt in [
        Halt::User,
        Halt::Condition("redis.memory>900MiB: it reads 912 MiB".to_owned()),
        Halt::GeneratorHost("has 50 MiB of memory left".to_owned()),
        Halt::TooLong(Duration::from_secs(3600)),
    ] {
        let spec = spec(&sim, &["p99<2s"], demo_limits(1));
        let mut engine = sim.start();
        let interrupt = Interrupt::default();
        let mut judged = 0;
        let mut seconds = 0;
        let mut sink = |event: Event| match event {
            Event::ProbeJudged(_) => judged += 1,
            Event::Tick(_) if judged == 2 => {
                seconds += 1;
                if seconds == 5 {
                    interrupt.halt(halt.clone());
                }
            }
            _ => {}
        };
        let record = block_on(run::run(
            &spec,
            &mut engine,
            &mut NullEnvironment,
            &interrupt,
            &mut sink,
        ));
        assert_eq!(record.answer.ending, halt.ending());
        assert_eq!(record.answer.reason, halt.reason());
        assert_eq!(record.probes.len(), 3, "what was measured is kept");
        assert_eq!(record.probes[2].end, HoldEnd::Interrupted);
        let limit = &record.answer.limiting_resource;
        if let Halt::GeneratorHost(_) = halt {
            let limit = limit.as_ref().unwrap();
            assert!(limit.evidence.contains("50 MiB of memory"), "{limit:?}");
        }
    }
}

fn budget(seconds: u64, seed: u64) -> SearchSpec {
    SearchSpec {
        budget: Duration::from_secs(seconds),
        seed,
        ..SearchSpec::default()
    }
}

/// The limits of profiles/demo.toml.
fn demo_limits(seed: u64) -> SearchSpec {
    SearchSpec {
        start: Level(100),
        max: Level(2_000),
        hold_min: Duration::from_secs(12),
        hold_max: Duration::from_secs(20),
        settle_max: Duration::from_secs(20),
        ..budget(225, seed)
    }
}

/// Searches with seeds 1..=runs, on both cores.
fn repeat(runs: u64, one: impl Fn(u64) -> RunRecord + Sync) -> Vec<RunRecord> {
    let half = runs / 2;
    std::thread::scope(|scope| {
        let one = &one;
        let first = scope.spawn(move || (1..=half).map(one).collect::<Vec<_>>());
        let mut rest: Vec<RunRecord> = (half + 1..=runs).map(one).collect();
        rest.extend(first.join().unwrap());
        rest
    })
}

/// Checks what every answer must be, and returns (intervals that held the truth, errors of numbers
/// in shares of it). One in ten may have an interval and no number: visits that bear out none say
/// so.
fn against(truth: f64, records: &[RunRecord]) -> (usize, Vec<f64>) {
    let mut held = 0;
    let mut errors = Vec::new();
    for record in records {
        let answer = &record.answer;
        let has_interval = matches!(answer.ending, Ending::Found | Ending::Bracketed);
        assert!(has_interval, "{}: {}", record.plan.seed, answer.reason);
        let (low, high) = (answer.ci_low.unwrap(), answer.ci_high.unwrap());
        if answer.ending == Ending::Bracketed {
            assert_eq!(answer.breakpoint, None);
            held += usize::from(f64::from(low) <= truth && truth <= f64::from(high));
            continue;
        }
        assert_eq!(answer.ending, Ending::Found, "{}", answer.reason);
        let vus = answer.breakpoint.unwrap();
        assert!(low <= vus && vus <= high, "{low} {vus} {high}");
        let (last_held, first_broke) = (answer.last_held.as_ref(), answer.first_broke.as_ref());
        let (last_held, first_broke) = (last_held.unwrap(), first_broke.unwrap());
        assert!(last_held.level.get() <= vus && vus < first_broke.level.get());
        // Both were visited, not interpolated.
        assert_eq!(record.probes[last_held.probe].level, last_held.level);
        assert_eq!(record.probes[first_broke.probe].level, first_broke.level);
        assert!(answer.search_s <= record.plan.budget_s + 60.0);
        held += usize::from(f64::from(low) <= truth && truth <= f64::from(high));
        errors.push(f64::from(vus) / truth - 1.0);
    }
    let without = records.len() - errors.len();
    assert!(without * 10 <= records.len(), "{without} without a number");
    errors.sort_by(f64::total_cmp);
    (held, errors)
}

/// The share of late answers at a level, over many batches of seconds: its mean and standard error.
/// A batch is far longer than the queue's memory, so that batches are independent although the
/// answers in one are not.
fn late_share(sim: &Sim, level: Level, batches: usize, batch_s: usize) -> (f64, f64) {
    let mut engine = sim.start();
    let shares: Vec<f64> = block_on(async {
        engine.set_level(level).await.unwrap();
        let mut shares = Vec::new();
        // The first batch is the way to the steady state.
        for _ in 0..=batches {
            let (mut late, mut all) = (0, 0);
            for _ in 0..batch_s {
                let window = engine.next_window().await.unwrap();
                let step = &window.steps[0];
                late += step.latency.count_at_or_above(Duration::from_secs(2));
                all += step.completed();
            }
            shares.push(late as f64 / all as f64);
        }
        shares.split_off(1)
    });
    let n = shares.len() as f64;
    let mean = shares.iter().sum::<f64>() / n;
    let variance = shares.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

#[test]
fn the_simulation_agrees_with_the_arrival_theorem() {
    for (sim, level, batch_s) in [(system_a(7), 1_040, 500), (demo(7), 255, 250)] {
        let theory = mmcn_tail(&queue(&sim), level, 2.0);
        let (share, error) = late_share(&sim, Level(level), 80, batch_s);
        let off = (share - theory) / error;
        // Beyond 3.5 standard errors once in 2 000 seeds; and the error is small enough to see a
        // wrong model.
        assert!(
            off.abs() < 3.5,
            "{level} VUs: {share} +- {error}, theory {theory}"
        );
        assert!(
            error < 0.12 * theory,
            "{level} VUs: {share} +- {error}, theory {theory}"
        );
    }
}

#[test]
fn the_interval_of_system_a_holds_the_truth() {
    let truth = truth(&system_a(0));
    assert!((truth - 1_040.0).abs() < 0.5);
    let runs = 24;
    let records = repeat(runs, |s| search(&system_a(s), &["p99<2s"], budget(900, s)));
    let (held, errors) = against(truth, &records);
    // With a true coverage of 95 %, 18 or fewer of 24 happen once in 4 000 times.
    assert!(held >= 19, "{held} of {runs}");
    let median = errors[errors.len() / 2];
    assert!(median.abs() < 0.02, "median error {median}");
    assert!(errors.iter().all(|e| e.abs() < 0.10), "{errors:?}");
}

#[test]
fn the_demo_search_holds_the_truth() {
    let truth = truth(&demo(0));
    assert!((truth - 255.0).abs() < 0.5);
    let runs = 40;
    let records = repeat(runs, |s| search(&demo(s), &["p99<2s"], demo_limits(s)));
    let (held, errors) = against(truth, &records);
    // With a true coverage of 95 %, 32 or fewer of 40 happen once in 2 000 times.
    assert!(held >= 33, "{held} of {runs}");
    let median = errors[errors.len() / 2];
    assert!(median.abs() < 0.03, "median error {median}");
}

#[test]
fn a_cliff_is_enclosed_by_the_levels_on_either_side() {
    let runs = 12;
    let records = repeat(runs, |s| {
        search(&cliff(s), &["p99<2s", "errors<1%"], budget(900, s))
    });
    let (held, errors) = against(1_100.0, &records);
    assert_eq!(held, 12);
    assert!(errors.iter().all(|e| e.abs() < 0.02), "{errors:?}");
    for record in &records {
        assert_eq!(record.answer.broken_objective.as_deref(), Some("errors<1%"));
        assert!(record.answer.precision_reached.unwrap() <= 0.05);
    }
}

#[test]
fn who_crashed_is_brought_back_to_rest_before_the_next_probe() {
    // Nothing but a kill breaks it, and some kills come late enough for the hold to run to its end.
    let records = repeat(8, |s| {
        search(
            &Sim::shipped("oom", s),
            &["p99<2s", "errors<1%"],
            budget(900, s),
        )
    });
    let after_a_kill = || {
        (records.iter().flat_map(|record| record.probes.windows(2)))
            .filter(|pair| pair[0].verdict == Verdict::Broke)
            .map(|pair| (pair[0].end, pair[1].arrived_from))
    };
    assert!(after_a_kill().any(|(end, _)| end == HoldEnd::Complete));
    for (end, arrived_from) in after_a_kill() {
        assert_eq!(arrived_from, Level::ZERO, "{end:?}");
    }
}

#[test]
fn every_shipped_system_ends_as_its_file_expects() {
    for (name, _) in shipped() {
        let sim = Sim::shipped(name, 3);
        let system = &sim.system;
        let limits = SearchSpec {
            start: Level(system.start_vus),
            max: Level(system.max_vus),
            ..budget(900, 3)
        };
        let slo: Vec<&str> = system.slo.iter().map(String::as_str).collect();
        let answer = search(&sim, &slo, limits).answer;
        println!(
            "{name}: {:?} {:?} [{:?}, {:?}] {}",
            answer.ending, answer.breakpoint, answer.ci_low, answer.ci_high, answer.reason
        );
        match system.expect {
            // It breaks within its limits; how well the search does is judged over many of them.
            Expect::Breakpoint => assert!(
                matches!(
                    answer.ending,
                    Ending::Found | Ending::Bracketed | Ending::Undecided
                ) && answer.last_held.is_some()
                    // One that grew near the end of the budget was not seen to break since.
                    && (answer.first_broke.is_some() || answer.reason.contains("new breakpoint")),
                "{name}: {:?}, {}",
                answer.ending,
                answer.reason
            ),
            Expect::NeverBroke => {
                assert_eq!(
                    answer.ending,
                    Ending::NeverBroke,
                    "{name}: {}",
                    answer.reason
                );
            }
            Expect::TimeDriven | Expect::Hysteresis | Expect::Bimodal => {}
        }
    }
}

#[test]
fn a_service_that_carries_the_maximum_never_broke() {
    let limits = SearchSpec {
        max: Level(300),
        ..budget(900, 3)
    };
    let record = search(&system_a(3), &["p99<2s"], limits);
    assert_eq!(record.answer.ending, Ending::NeverBroke);
    assert_eq!(record.answer.breakpoint, None);
    assert_eq!(record.answer.last_held.as_ref().unwrap().level, Level(300));
    assert_eq!(record.answer.limiting_resource, None);
}

#[test]
fn an_objective_that_no_level_meets_broke_at_the_minimum() {
    let record = search(&system_a(4), &["p99<1ms"], budget(900, 4));
    assert_eq!(record.answer.ending, Ending::BrokeAtMinimum);
    let broke = record.answer.first_broke.as_ref().unwrap();
    assert_eq!(broke.level, Level(1));
    assert!(record.probes.iter().filter(|p| p.level == Level(1)).count() >= 2);
}

#[test]
fn a_budget_that_is_too_short_is_undecided_and_says_how_much_more() {
    let record = search(&system_a(5), &["p99<2s"], budget(60, 5));
    assert_eq!(record.answer.ending, Ending::Undecided);
    assert!(
        record.answer.reason.contains("more minutes"),
        "{}",
        record.answer.reason
    );
    assert!(!record.probes.is_empty(), "what was measured is kept");
}

/// A search that is asked for more than it can reach uses its whole budget.
fn whole_budget(seconds: u64, seed: u64) -> SearchSpec {
    SearchSpec {
        precision: 0.001,
        ..budget(seconds, seed)
    }
}

#[test]
fn five_minutes_more_bring_what_the_answer_said() {
    let mut off = Vec::new();
    for (name, sim) in [("a", system_a as fn(u64) -> Sim), ("b", one_slow_server)] {
        let runs = 40;
        let of = |seconds| {
            let mut records = repeat(runs, |s| {
                search(&sim(s), &["p99<2s"], whole_budget(seconds, s))
            });
            records.sort_by_key(|r| r.plan.seed);
            records
        };
        let (short, long) = (of(600), of(900));
        let mut sums = (0.0, 0.0, 0.0, 0);
        for (short, long) in short.iter().zip(&long) {
            let told = match short.answer.outlook {
                Some(Outlook::Time {
                    half_width, more_s, ..
                }) => {
                    assert!((more_s - 300.0).abs() < 1e-9);
                    half_width
                }
                // An undecided search tells how much more would decide.
                _ => continue,
            };
            let (Some(before), Some(got)) = (
                short.answer.precision_reached,
                long.answer.precision_reached,
            ) else {
                continue;
            };
            sums = (sums.0 + before, sums.1 + told, sums.2 + got, sums.3 + 1);
        }
        let (before, told, got, n) = sums;
        println!(
            "{name}: 600 s +-{:.2} %, told for 900 s +-{:.2} %, got +-{:.2} %: {:.2} ({n} runs)",
            100.0 * before / f64::from(n),
            100.0 * told / f64::from(n),
            100.0 * got / f64::from(n),
            told / got
        );
        off.push(told / got);
    }
    assert!(off.iter().all(|r| (r - 1.0).abs() < 0.15), "{off:?}");
}

#[test]
fn budget_and_precision_mean_what_they_say() {
    for sim in [system_a as fn(u64) -> Sim, one_slow_server, cliff] {
        for seconds in [200, 400, 600, 1_500] {
            for (seed, precision) in [(1, 0.02), (2, 0.05), (3, 0.05), (4, 0.1)] {
                let limits = SearchSpec {
                    precision,
                    ..budget(seconds, seed)
                };
                let beside_s = limits.references_s();
                let record = search(&sim(seed), &["p99<2s", "errors<1%"], limits);
                let answer = &record.answer;
                let end_s = |p: &ProbeRecord| p.start_s + p.ramp_s + p.settle_s + p.hold_s;
                let mut probes = record.probes.iter();
                let last = probes.rfind(|p| p.purpose != Purpose::Reference).unwrap();
                let probed_s = end_s(last);
                // The holds after it come on top: a tenth of the budget each, and the way there.
                let all_s = end_s(record.probes.last().unwrap());
                assert!(all_s <= probed_s + beside_s + 60.0, "{all_s} {probed_s}");
                // What comes after the last probe is a drain and a reset at most.
                assert!(
                    probed_s <= record.plan.budget_s,
                    "{probed_s} of {seconds} s"
                );
                assert!(answer.search_s <= probed_s + 60.0 + 30.0);
                if answer.as_narrow_as_asked {
                    let vus = f64::from(answer.breakpoint.unwrap());
                    let least = 1.0 / vus;
                    assert!(answer.precision_reached.unwrap() <= precision.max(least));
                    assert!(answer.visits >= 6);
                }
            }
        }
    }
}

/// Users whose number stands still beside the population that is searched. Both ask alike, so the
/// truth is that of the whole system less the users; what is measured belongs to the users.
struct Beside {
    inner: SimEngine,
    users: u32,
}

impl Engine for Beside {
    fn describe(&self) -> EngineInfo {
        self.inner.describe()
    }

    fn set_level(&mut self, level: Level) -> Reply<'_, ()> {
        Box::pin(async move {
            let users = if level == Level::ZERO { 0 } else { self.users };
            self.inner.set_level(Level(level.get() + users)).await
        })
    }

    fn next_window(&mut self) -> Reply<'_, Window> {
        Box::pin(async move {
            let mut window = self.inner.next_window().await?;
            let users = self.users.min(window.level.get());
            window.level = Level(window.level.get() - users);
            window.vus = window.vus.saturating_sub(users);
            // The cycle of those who are searched, of which nothing is measured.
            window.steps.insert(0, StepWindow::default());
            Ok(window)
        })
    }

    fn canary(&mut self) -> Reply<'_, Canary> {
        self.inner.canary()
    }
}

#[test]
fn how_many_others_break_the_users_is_found_without_their_throughput() {
    const USERS: u32 = 100;
    let runs = 12;
    let (mut holds, mut halves) = (0, Vec::new());
    for seed in 1..=runs {
        let sim = demo(seed);
        let others = StepTable::of_cycle([], None);
        let users = StepTable::of_cycle(["request".to_owned()], Some(0));
        let spec = RunSpec {
            steps: StepTable::of_populations(&[("others", &others)], &users, Some(0)),
            ..spec(&sim, &["p99<2s"], budget(900, seed))
        };
        let mut engine = Beside {
            inner: sim.start(),
            users: USERS,
        };
        let record = block_on(run::run(
            &spec,
            &mut engine,
            &mut NullEnvironment,
            &Interrupt::default(),
            &mut |_| (),
        ));
        let answer = &record.answer;
        let has_interval = matches!(answer.ending, Ending::Found | Ending::Bracketed);
        assert!(has_interval, "{}", answer.reason);
        assert_eq!(
            answer.knee, None,
            "the users' throughput has no knee in the others' number"
        );
        let truth = truth(&sim) - f64::from(USERS);
        let (low, high) = (answer.ci_low.unwrap(), answer.ci_high.unwrap());
        holds += u32::from((f64::from(low)..=f64::from(high) + 1.0).contains(&truth));
        halves.push(answer.precision_reached.unwrap());
    }
    // 95 % of 12: ten or fewer happen in 2 of 100 such tests.
    assert!(holds >= 10, "{holds} of {runs} intervals hold the truth");
    halves.sort_by(f64::total_cmp);
    assert!(halves[halves.len() / 2] < 0.25, "{halves:?}");
}

#[test]
fn a_fixed_throughput_is_named_as_what_gave_way() {
    let record = search(&demo(6), &["p99<2s"], demo_limits(6));
    let cause = record.answer.limiting_resource.unwrap();
    assert_eq!(cause.resource, "throughput limit");
    assert_eq!(cause.sureness, Sureness::Possible);
    let knee = f64::from(record.answer.knee.unwrap());
    // Capacity 100/s, cycle without queueing 1.08 s.
    assert!((knee / 108.0 - 1.0).abs() < 0.1, "{knee}");
}

#[test]
fn the_same_seed_gives_the_same_record() {
    let one = |seed| search(&demo(seed), &["p99<2s"], demo_limits(seed));
    assert_eq!(one(9), one(9));
    assert_ne!(one(9).probes, one(10).probes);
}

#[test]
fn two_levels_below_are_held_after_the_search_and_leave_its_answer_alone() {
    let sim = system_a(5);
    let run = |reference_holds| {
        let limits = SearchSpec {
            reference_holds,
            ..budget(900, 5)
        };
        search(&sim, &["p99<2s"], limits)
    };
    let (without, with) = (run(false), run(true));
    let searched = without.probes.len();
    assert_eq!(with.probes[..searched], without.probes[..]);
    let below: Vec<(Purpose, Level)> = with.probes[searched..]
        .iter()
        .map(|p| (p.purpose, p.level))
        .collect();
    // Of 10, 20, 40, ... those that are at most 0.6 of some 1 000.
    let held = [320, 160].map(|n| (Purpose::Reference, Level(n)));
    assert_eq!(below, held);
    for probe in &with.probes[searched..] {
        assert!(probe.whole() && probe.verdict == Verdict::Held, "{probe:?}");
        let tenth = (0.1 * with.answer.search_s).clamp(30.0, 90.0);
        assert!(
            (probe.hold_s - tenth).abs() <= 1.0,
            "{} {tenth}",
            probe.hold_s
        );
    }
    let levels: Vec<Level> = with.answer.references.iter().map(|v| v.level).collect();
    assert_eq!(levels, [Level(320), Level(160)]);
    let same = Answer {
        references: Vec::new(),
        ..with.answer.clone()
    };
    assert_eq!(same, without.answer);
}

#[test]
fn an_interrupted_search_keeps_what_it_measured() {
    let sim = system_a(8);
    let spec = spec(&sim, &["p99<2s"], budget(900, 8));
    let interrupt = Interrupt::default();
    let mut judged = 0;
    let stop = interrupt.clone();
    let record = block_on(run::run(
        &spec,
        &mut sim.start(),
        &mut NullEnvironment,
        &interrupt,
        &mut |event| {
            if matches!(event, breakpoint::event::Event::ProbeJudged(_)) {
                judged += 1;
                if judged == 3 {
                    stop.set();
                }
            }
        },
    ));
    assert_eq!(record.answer.ending, Ending::Interrupted);
    assert_eq!(record.probes.len(), 3);
}

/// A simulated system whose generator is late above a level, by so much that nothing that broke is
/// beyond it.
struct Late {
    sim: SimEngine,
    above: Level,
    /// What bears on the generator at a level.
    health: fn(Level) -> GeneratorHealth,
}

impl Engine for Late {
    fn describe(&self) -> EngineInfo {
        self.sim.describe()
    }

    fn set_level(&mut self, level: Level) -> Reply<'_, ()> {
        self.sim.set_level(level)
    }

    fn next_window(&mut self) -> Reply<'_, Window> {
        Box::pin(async move {
            let mut window = self.sim.next_window().await?;
            window.generator.health = (self.health)(window.level);
            window.generator.lag_p99_s = (window.level > self.above).then_some(30.0);
            Ok(window)
        })
    }

    fn canary(&mut self) -> Reply<'_, Canary> {
        self.sim.canary()
    }
}

/// Who kept the generator waiting decides on whether it is named: others at every level are a
/// warning, its own quota is certain, and a machine that fills up with the load leaves both open.
#[test]
fn a_generator_that_others_keep_waiting_is_a_warning_and_its_own_limits_are_named() {
    fn busy() -> GeneratorHealth {
        GeneratorHealth {
            thread_cpu: Some(0.01),
            cpu_pressure: Some(0.95),
            ..GeneratorHealth::default()
        }
    }
    let named = |health| {
        let sim = demo(5);
        let limits = SearchSpec {
            start: Level(20),
            ..demo_limits(5)
        };
        let spec = spec(&sim, &["p99<2s"], limits);
        let mut engine = Late {
            sim: sim.start(),
            above: Level(30),
            health,
        };
        let interrupt = Interrupt::default();
        let record = block_on(run::run(
            &spec,
            &mut engine,
            &mut NullEnvironment,
            &interrupt,
            &mut |_| {},
        ));
        assert_eq!(
            record.answer.ending,
            Ending::GeneratorLimited,
            "{}",
            record.answer.reason
        );
        let warned = record.warnings.iter().any(|w| w.contains(NO_FINDING));
        let cause = record
            .answer
            .limiting_resource
            .map(|c| (c.kind.unwrap(), c.sureness));
        (cause, warned)
    };
    let generator = |sureness| Some((CauseKind::Generator, sureness));
    assert_eq!(named(|_| busy()), (None, true));
    let own = |_| GeneratorHealth {
        held_back: Some(0.9),
        ..busy()
    };
    assert_eq!(named(own), (generator(Sureness::Certain), false));
    let grows = |level| {
        if level > Level(30) {
            busy()
        } else {
            GeneratorHealth::default()
        }
    };
    assert_eq!(named(grows), (generator(Sureness::Possible), false));
}

/// A simulated system whose single cycles fail from some one on.
struct Dying {
    sim: SimEngine,
    /// Canary cycles that pass before it dies.
    lives: usize,
    tried: usize,
    /// Asked to stop after so many canary cycles.
    stop_after: Option<(usize, Interrupt)>,
}

impl Engine for Dying {
    fn describe(&self) -> EngineInfo {
        self.sim.describe()
    }

    fn set_level(&mut self, level: Level) -> Reply<'_, ()> {
        self.sim.set_level(level)
    }

    fn next_window(&mut self) -> Reply<'_, Window> {
        self.sim.next_window()
    }

    fn canary(&mut self) -> Reply<'_, Canary> {
        Box::pin(async move {
            self.tried += 1;
            if let Some((after, interrupt)) = &self.stop_after
                && self.tried >= *after
            {
                interrupt.set();
            }
            if self.tried <= self.lives {
                self.sim.canary().await
            } else {
                Ok(Canary::failed(FailureKind::ConnectRefused))
            }
        })
    }
}

fn dying(lives: usize, stop_after: Option<usize>) -> (RunRecord, usize) {
    let sim = system_a(11);
    let spec = spec(&sim, &["p99<2s"], budget(900, 11));
    let interrupt = Interrupt::default();
    let mut engine = Dying {
        sim: sim.start(),
        lives,
        tried: 0,
        stop_after: stop_after.map(|after| (after, interrupt.clone())),
    };
    let record = block_on(run::run(
        &spec,
        &mut engine,
        &mut NullEnvironment,
        &interrupt,
        &mut |_| {},
    ));
    (record, engine.tried)
}

#[test]
fn a_target_that_never_answers_is_given_up_before_the_first_probe() {
    let (record, tried) = dying(0, None);
    assert_eq!(record.answer.ending, Ending::TargetDown);
    let reason = &record.answer.reason;
    assert!(
        reason.contains("does not answer") && reason.contains("connect_refused"),
        "{reason}"
    );
    assert!(record.probes.is_empty());
    // Once a second for ten seconds.
    assert!((8..=13).contains(&tried), "{tried}");
}

#[test]
fn a_target_that_does_not_come_back_ends_the_run_with_what_was_measured() {
    let (record, _) = dying(1, None);
    assert_eq!(record.answer.ending, Ending::TargetDown);
    assert!(
        record.answer.reason.contains("did not recover"),
        "{}",
        record.answer.reason
    );
    let last = record.probes.last().expect("the probes are kept");
    assert_eq!(last.verdict, Verdict::Broke);
    assert!(record.answer.last_held.is_some() && record.answer.first_broke.is_some());
}

#[test]
fn who_stops_waiting_for_a_target_is_interrupted() {
    let (before, _) = dying(0, Some(3));
    assert_eq!(before.answer.ending, Ending::Interrupted);
    let (after, _) = dying(1, Some(4));
    assert_eq!(after.answer.ending, Ending::Interrupted);
    assert!(!after.probes.is_empty());
}

#[test]
fn rates_of_arrivals_are_found_near_and_on_the_brink_of_the_capacity() {
    for (name, off) in [("open", 0.06), ("brink", 0.03)] {
        let mut held = 0;
        for seed in 0..8 {
            let sim = Sim::shipped(name, seed);
            let queue = sim.system.open_queue().unwrap();
            let limit_s = if name == "open" { 0.3 } else { 2.0 };
            let truth = mmc_threshold(&queue, 0.99, limit_s, 5_000).unwrap();
            let spec = SearchSpec {
                unit: sim.system.unit(),
                precision: 0.01,
                ..budget(900, seed)
            };
            let slo: Vec<&str> = sim.system.slo.iter().map(String::as_str).collect();
            let answer = search(&sim, &slo, spec).answer;
            assert_eq!(answer.ending, Ending::Found, "{}", answer.reason);
            let (low, high) = (answer.ci_low.unwrap(), answer.ci_high.unwrap());
            held += u32::from(low <= truth && truth <= high);
            let error = f64::from(answer.breakpoint.unwrap()) / f64::from(truth) - 1.0;
            assert!(error.abs() < off, "{name} {seed}: {error:+.3}");
        }
        // Of 95 % intervals eight in eight hold, seldom seven; fewer than six once in 500 tries.
        assert!(held >= 6, "{name}: {held} of 8");
    }
}

#[test]
fn a_crash_at_a_rate_is_a_step() {
    let text = "name = 'test'\ntitle = 'a test'\nslo = ['p99<2s', 'errors<1%']\n\
        cliff = { above_vus = 40 }\n[arrivals]\nkind = 'constant'\n\
        [service]\nservers = 1000\nkind = 'constant'\nmean = '100ms'\n";
    let sim = Sim {
        system: SystemSpec::from_toml(text).unwrap(),
        seed: 1,
    };
    let spec = SearchSpec {
        unit: sim.system.unit(),
        ..budget(900, 1)
    };
    let answer = search(&sim, &["p99<2s", "errors<1%"], spec).answer;
    assert_eq!(answer.ending, Ending::Found, "{}", answer.reason);
    // 41 at once are those of 410 a second.
    let (low, high) = (answer.ci_low.unwrap(), answer.ci_high.unwrap());
    assert!(low <= 410 && 400 <= high, "{low} {high}");
}

#[test]
fn users_of_an_idle_service_are_found_although_nobody_makes_others_wait() {
    let (mut held, mut errors) = (0, Vec::new());
    for seed in 0..8 {
        // M/M/1//N, broken at 55 % of its capacity: a line forms now and then only.
        let sim = exponential(1, "10ms", "1s", "", seed);
        let truth = f64::from(mmcn_threshold(&queue(&sim), 0.99, 0.1, 5_000).unwrap());
        assert!((50.0..60.0).contains(&truth), "{truth}");
        let spec = SearchSpec {
            precision: 0.01,
            ..budget(900, seed)
        };
        let answer = search(&sim, &["p99<100ms"], spec).answer;
        if answer.ending == Ending::Undecided {
            // In the lab 3 of 100: nothing broke within the interval yet.
            continue;
        }
        assert_eq!(answer.ending, Ending::Found, "{}", answer.reason);
        let interval = f64::from(answer.ci_low.unwrap())..=f64::from(answer.ci_high.unwrap());
        held += usize::from(interval.contains(&truth));
        errors.push(f64::from(answer.breakpoint.unwrap()) / truth - 1.0);
    }
    let found = errors.len();
    let mean = errors.iter().map(|e| e.abs()).sum::<f64>() / found as f64;
    // Little's shift alone held it in half of the searches and was 6 % off.
    assert!(found >= 6 && mean < 0.04, "{found} of 8, {errors:?}");
    assert!(held + 1 >= found, "{held} of {found}");
}

/// Surroundings that keep what they are given, as the store does.
#[derive(Default)]
struct Keeping {
    entries: Vec<Entry>,
}

impl RunEnvironment for Keeping {
    fn readings(&mut self) -> Vec<Reading> {
        Vec::new()
    }

    fn reset(&mut self) -> impl Future<Output = Result<(), String>> + Send + 'static {
        std::future::ready(Ok(()))
    }

    fn keep(&mut self, entry: &Entry) -> Result<(), String> {
        self.entries.push(entry.clone());
        Ok(())
    }

    fn time_of_day(&self) -> String {
        "2026-11-26T00:00:00Z".to_owned()
    }
}

/// Long enough that hardly any search of the demo stays undecided.
fn long_limits(seed: u64) -> SearchSpec {
    SearchSpec {
        budget: Duration::from_secs(600),
        ..demo_limits(seed)
    }
}

/// A whole search of the demo with its journal.
fn journaled(seed: u64) -> (RunRecord, Vec<Entry>, Vec<u8>) {
    let sim = demo(seed);
    let spec = spec(&sim, &["p99<2s"], long_limits(seed));
    let mut kept = Keeping::default();
    let never = Interrupt::default();
    let record = block_on(run::run(
        &spec,
        &mut sim.start(),
        &mut kept,
        &never,
        &mut |_| {},
    ));
    let head = Head {
        journal_version: JOURNAL_VERSION,
        breakpoint_version: "0.1.0".to_owned(),
        profile: "demo".to_owned(),
        started_at: record.started_at.clone(),
        folder: "/".to_owned(),
        command: vec!["find".to_owned()],
        profile_crc32: None,
        script_crc32: None,
    };
    let mut bytes = journal::head_line(&head).unwrap();
    for entry in &kept.entries {
        bytes.extend(journal::entry_line(entry).unwrap());
    }
    (record, kept.entries, bytes)
}

/// What is left of a search of the demo, against a target that was brought up anew.
fn resumed(seed: u64, journal: Journal) -> (RunRecord, Vec<Entry>) {
    let sim = demo(seed + 1_000);
    let spec = spec(&sim, &["p99<2s"], long_limits(seed));
    let mut kept = Keeping::default();
    let past = ResumeState {
        head: Some(journal.head),
        entries: journal.entries,
    };
    let never = Interrupt::default();
    let mut engine = sim.start();
    let record = block_on(run::resume(
        &spec,
        past,
        &mut engine,
        &mut kept,
        &never,
        &mut |_| {},
    ));
    (record, kept.entries)
}

#[test]
fn a_search_that_is_cut_off_at_any_byte_goes_on_and_is_as_right() {
    const SEEDS: u64 = 10;
    const CUTS: usize = 20;
    let mut rng = SmallRng::seed_from_u64(7);
    let mut ends = Vec::new();
    for seed in 1..=SEEDS {
        let (whole, entries, bytes) = journaled(seed);
        assert_eq!(entries.len(), whole.probes.len());
        let head = bytes.iter().position(|b| *b == b'\n').unwrap();
        for _ in 0..CUTS {
            let cut = rng.random_range(head + 1..=bytes.len());
            let journal = journal::read(&bytes[..cut]).unwrap();
            let n = journal.entries.len();
            assert_eq!(journal.entries, entries[..n], "no probe is lost or made up");
            let (record, new) = resumed(seed, journal);
            assert_eq!(
                measured(&record.probes[..n]),
                measured(&whole.probes[..n]),
                "nor counted twice"
            );
            assert_eq!(new.len() + n, record.probes.len());
            assert_eq!(record.started_at, whole.started_at);
            assert!(record.probes.iter().enumerate().all(|(i, p)| p.index == i));
            // Its clock goes on: no second twice, and the budget is that of the whole search.
            assert!(record.probes.is_sorted_by(|a, b| a.start_s <= b.start_s));
            assert!(
                record.answer.search_s < 600.0 + 60.0,
                "{}",
                record.answer.search_s
            );
            // The search asks for what it would have asked for.
            if let (Some(next), Some(then)) = (record.probes.get(n), whole.probes.get(n)) {
                assert_eq!((next.level, next.purpose), (then.level, then.purpose));
            }
            assert_eq!(
                record.warnings.len(),
                usize::from(n > 0),
                "{:?}",
                record.warnings
            );
            ends.push(record);
        }
    }
    let found: Vec<RunRecord> = ends
        .into_iter()
        .filter(|r| matches!(r.answer.ending, Ending::Found | Ending::Bracketed))
        .collect();
    assert!(
        found.len() >= 190,
        "{} of 200 with an interval",
        found.len()
    );
    let (held, _) = against(truth(&demo(1)), &found);
    // 95 % of 200 independent ones are 190 +- 3; those of one seed share their beginning.
    assert!(held * 100 >= found.len() * 88, "{held} of {}", found.len());
}

/// Every number of a JSON value by where it stands, the first of those that differ by an index
/// alone.
fn places(value: &serde_json::Value, at: &str, found: &mut Vec<(String, String)>) {
    match value {
        serde_json::Value::Number(_) => {
            let kind: String = at.chars().filter(|c| !c.is_ascii_digit()).collect();
            if found.iter().all(|(k, _)| *k != kind) {
                found.push((kind, at.to_owned()));
            }
        }
        serde_json::Value::Array(items) => {
            let kind: String = at.chars().filter(|c| !c.is_ascii_digit()).collect();
            let kind = format!("{kind}/[]");
            if found.iter().all(|(k, _)| *k != kind) {
                found.push((kind, at.to_owned()));
            }
            for (i, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{i}"), found);
            }
        }
        serde_json::Value::Object(map) => {
            for (key, item) in map {
                places(item, &format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

/// A journal is a file, and whoever wrote it may have put any number anywhere: it is refused, or
/// the search ends in time with an answer.
#[test]
fn no_number_of_a_journal_of_another_breaks_a_search() {
    let (_, _, bytes) = journaled(3);
    let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').take(6).collect();
    let (last, before) = lines.split_last().unwrap();
    let last: serde_json::Value = serde_json::from_slice(&last[9..]).unwrap();
    let mut found = Vec::new();
    places(&last, "", &mut found);
    assert!(found.len() > 20);
    let all = std::env::var_os("BREAKPOINT_TEST_EXTREMES").is_some();
    let extremes = [
        "1e308",
        "-1e308",
        "1e11",
        "-1",
        "18446744073709551615",
        "4294967295",
        "0",
    ];
    for (i, (kind, at)) in found.iter().enumerate() {
        // A list may be empty; that every probe tells of each objective is looked at where those
        // are known.
        let lists = kind.ends_with("/[]");
        if lists && ["/told/visit/evidence", "/told/visit/tails"].contains(&at.as_str()) {
            continue;
        }
        for n in 0..if all && !lists { extremes.len() } else { 1 } {
            let extreme = if lists {
                "[]"
            } else {
                extremes[(i + n) % extremes.len()]
            };
            let mut changed = last.clone();
            *changed.pointer_mut(at).unwrap() = serde_json::from_str(extreme).unwrap();
            let json = serde_json::to_vec(&changed).unwrap();
            let mut whole = before.concat();
            whole.extend(format!("{:08x} ", journal::crc32(&json)).bytes());
            whole.extend([&json[..], b"\n"].concat());
            let went = std::panic::catch_unwind(|| journal::read(&whole).map(|j| resumed(3, j)));
            assert!(went.is_ok(), "{at} = {extreme}");
        }
    }
}

#[test]
fn a_search_that_ran_out_of_time_gets_narrower_with_more() {
    let (whole, _, bytes) = journaled(3);
    let journal = journal::read(&bytes).unwrap();
    let sim = demo(77);
    let limits = SearchSpec {
        precision: 0.02,
        budget: Duration::from_secs(3_600),
        ..long_limits(3)
    };
    let spec = spec(&sim, &["p99<2s"], limits);
    let past = ResumeState {
        head: Some(journal.head),
        entries: journal.entries,
    };
    let never = Interrupt::default();
    let mut engine = sim.start();
    let more = block_on(run::resume(
        &spec,
        past,
        &mut engine,
        &mut NullEnvironment,
        &never,
        &mut |_| {},
    ));
    assert!(more.probes.len() > whole.probes.len());
    assert_eq!(
        measured(&more.probes[..whole.probes.len()]),
        measured(&whole.probes)
    );
    let width = |record: &RunRecord| record.answer.precision_reached.unwrap();
    assert!(
        width(&more) < 0.6 * width(&whole),
        "{} {}",
        width(&more),
        width(&whole)
    );
    assert_eq!(against(truth(&sim), &[more]).0, 1);
}

/// Stopped in the middle of its first probe, and of its fourth.
#[test]
fn the_probe_in_which_the_user_stops_is_in_the_record_and_not_in_the_journal() {
    for whole in [0, 3] {
        let sim = demo(5);
        let spec = spec(&sim, &["p99<2s"], long_limits(5));
        let interrupt = Interrupt::default();
        let stop = interrupt.clone();
        let mut judged = 0;
        let mut kept = Keeping::default();
        let mut sink = |event| match event {
            Event::ProbeJudged(_) => judged += 1,
            Event::Tick(_) if judged == whole => stop.set(),
            _ => {}
        };
        let mut engine = sim.start();
        let record = block_on(run::run(
            &spec,
            &mut engine,
            &mut kept,
            &interrupt,
            &mut sink,
        ));
        assert_eq!(record.answer.ending, Ending::Interrupted);
        assert_eq!(record.probes.len(), whole + 1);
        assert_eq!(record.probes[whole].end, HoldEnd::Interrupted);
        let probes: Vec<_> = kept.entries.into_iter().map(|e| e.probe).collect();
        assert_eq!(measured(&probes), measured(&record.probes[..whole]));
    }
}

/// Probes without what gave way: causes are named once more when the whole run is known.
fn measured(probes: &[ProbeRecord]) -> Vec<ProbeRecord> {
    let without = |probe: &ProbeRecord| ProbeRecord {
        limiting_resource: None,
        other_causes: Vec::new(),
        ..probe.clone()
    };
    probes.iter().map(without).collect()
}

/// The generator was the limit three times in a row, and was mended: those probes say nothing any
/// more.
#[test]
fn probes_that_the_generator_spoilt_at_the_end_are_made_again() {
    let (whole, _, bytes) = journaled(4);
    let mut journal = journal::read(&bytes).unwrap();
    let n = 8;
    journal.entries.truncate(n);
    for entry in &mut journal.entries[n - 3..] {
        entry.input.visit.valid = false;
        entry.probe.end = HoldEnd::Invalid;
    }
    let (record, new) = resumed(4, journal);
    assert_eq!(
        record.probes.len(),
        n + new.len(),
        "they stay in the record"
    );
    assert_eq!(record.probes[n].level, whole.probes[n - 3].level);
    assert_eq!(
        record.answer.ending,
        Ending::Found,
        "{}",
        record.answer.reason
    );
}

/// Below the breakpoint nobody asks for as much as at it, and at no level for twice as much.
#[test]
fn a_least_throughput_does_not_hide_the_breakpoint_of_a_latency() {
    let sim = demo(1);
    let from_few = || SearchSpec {
        start: Level(10),
        ..demo_limits(1)
    };
    let alone = search(&sim, &["p99<2s"], from_few());
    let rates = alone.probes.iter().filter_map(|p| p.throughput_per_s);
    let most = rates.fold(0.0, f64::max);
    for share in [0.5, 2.0] {
        let rate = format!("rps>{:.0}", most * share);
        let both = search(&sim, &["p99<2s", &rate], from_few());
        assert_eq!(
            both.answer.ending, alone.answer.ending,
            "{}",
            both.answer.reason
        );
        assert_eq!(both.answer.breakpoint, alone.answer.breakpoint, "{rate}");
        let lightest = both.probes.iter().min_by_key(|p| p.level).unwrap();
        assert_eq!(lightest.verdict, Verdict::Held, "{}", lightest.reason);
        assert_eq!(lightest.objectives[1].verdict, Verdict::Undecided);
    }
}

/// A mean near its bound is not hopeless: holds last as long as they were meant to.
#[test]
fn holds_for_a_mean_are_not_left_near_the_breakpoint() {
    let sim = demo(2);
    let record = search(&sim, &["avg<500ms"], demo_limits(2));
    let estimate = f64::from(record.answer.breakpoint.unwrap());
    let near = |p: &&ProbeRecord| (f64::from(p.level.get()) / estimate - 1.0).abs() < 0.1;
    let left = |p: &&ProbeRecord| p.end == HoldEnd::LeftEarly;
    assert!(record.probes.iter().filter(near).count() >= 3);
    assert_eq!(record.probes.iter().filter(near).filter(left).count(), 0);
}

/// The demo's first two minutes are spent at its start level, whatever happens there; the search
/// that follows is as right.
#[test]
fn a_warm_up_is_held_told_and_not_made_again() {
    let sim = demo(5);
    let limits = SearchSpec {
        warm_up: Some(Duration::from_secs(120)),
        // Far above its breakpoint: it would break the SLO there.
        start: Level(400),
        ..long_limits(5)
    };
    let spec = spec(&sim, &["p99<2s"], limits);
    let run = |past: ResumeState| {
        let mut kept = Keeping::default();
        let (mut engine, never) = (sim.start(), Interrupt::default());
        let sink = &mut |_| {};
        let record = block_on(run::resume(
            &spec,
            past,
            &mut engine,
            &mut kept,
            &never,
            sink,
        ));
        (record, kept.entries)
    };
    let (record, entries) = run(ResumeState::default());
    let warm_up = &record.probes[0];
    assert_eq!(warm_up.purpose, Purpose::WarmUp);
    assert_eq!((warm_up.level, warm_up.hold_s), (Level(400), 120.0));
    assert_eq!(warm_up.end, HoldEnd::Complete, "nobody leaves it early");
    assert_eq!(warm_up.verdict, Verdict::Undecided);
    assert_eq!(warm_up.limiting_resource, None);
    assert_eq!(record.probes[1].purpose, Purpose::Bracket);
    assert_eq!(
        record.probes[1].level,
        Level(400),
        "it is visited and judged"
    );
    let answer = &record.answer;
    assert_eq!(answer.ending, Ending::Found, "{}", answer.reason);
    let named = [&answer.last_held, &answer.first_broke];
    assert!(named.iter().all(|v| v.as_ref().unwrap().probe > 0));
    // It is in the journal: what goes on begins with what came after it.
    assert_eq!(entries[0].probe.purpose, Purpose::WarmUp);
    let past = |n: usize| ResumeState {
        head: None,
        entries: entries[..n].to_vec(),
    };
    for n in [1, 3] {
        let (again, new) = run(past(n));
        assert!(new.iter().all(|e| e.probe.purpose != Purpose::WarmUp));
        let warm_ups = again.probes.iter().filter(|p| p.purpose == Purpose::WarmUp);
        assert_eq!(warm_ups.count(), 1, "after {n}");
        assert_eq!(again.probes[n].level, record.probes[n].level);
    }
}
