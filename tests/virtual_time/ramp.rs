//! Whole ramps against simulated systems whose breakpoint is known exactly: the very loop that
//! `ramp` uses, in virtual time.

use breakpoint::engine::sim::{SimEngine, SystemSpec};
use breakpoint::engine::{Canary, Engine, EngineError, EngineInfo, Reply};
use breakpoint::event::Event;
use breakpoint::measure::{FailureKind, Level, StepTable, Window};
use breakpoint::ramp::Stages;
use breakpoint::record::{HoldEnd, RampEnding, RampRecord};
use breakpoint::run::{self, Interrupt, NullEnvironment, RampSpec};
use breakpoint::slo::{Slo, Verdict};
use breakpoint::stats::queue::mmcn_threshold;

fn system(rest: &str) -> SystemSpec {
    // VUs come and go as fast as any ramp here asks.
    let text = format!(
        "name = 'test'\ntitle = 'a test'\nslo = ['p99<2s']\npace_per_s = 100000\n{rest}\n\
         [think]\nkind = 'exponential'\nmean = '1s'\n\
         [service]\nservers = 8\nkind = 'exponential'\nmean = '80ms'\n"
    );
    SystemSpec::from_toml(&text).unwrap()
}

/// The queue of the demo: it breaks at 255 VUs.
fn demo() -> SimEngine {
    SimEngine::new(system(""), 1)
}

fn spec(stages: &str, slo: &[&str]) -> RampSpec {
    let stages: Stages = stages.parse().unwrap();
    let steps = StepTable::of_cycle(["request".to_owned()], Some(0));
    RampSpec::simulated(Slo::parse(slo).unwrap(), steps, stages, 1.0)
}

/// Runs a ramp; `seen` may set the interrupt.
fn watched(
    mut engine: impl Engine,
    stages: &str,
    slo: &[&str],
    mut seen: impl FnMut(&Event, &Interrupt) + Send,
) -> RampRecord {
    let interrupt = Interrupt::default();
    let spec = spec(stages, slo);
    let mut sink = |event: Event| seen(&event, &interrupt);
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(run::ramp(
            &spec,
            &mut engine,
            &mut NullEnvironment,
            &interrupt,
            &mut sink,
        ))
}

fn ramp(engine: impl Engine, stages: &str, slo: &[&str]) -> RampRecord {
    watched(engine, stages, slo, |_, _| {})
}

fn verdicts(record: &RampRecord) -> Vec<Verdict> {
    record.stages.iter().map(|s| s.verdict).collect()
}

#[test]
fn the_faster_a_ramp_climbs_the_higher_it_reads() {
    let truth = mmcn_threshold(&system("").closed_queue().unwrap(), 0.99, 2.0, 20_000).unwrap();
    let reads = |stages: &str| {
        let record = ramp(demo(), stages, &["p99<2s"]);
        assert_eq!(record.ending, RampEnding::Complete, "{}", record.reason);
        record.breach.unwrap().level.get()
    };
    let (slow, fast) = (reads("150:0s,600:15m"), reads("1000:40s"));
    assert!(
        fast > slow && fast > truth + truth / 4,
        "{slow} {fast} {truth}"
    );
    assert!(
        slow > truth - truth / 5 && slow < truth + truth / 4,
        "{slow} {truth}"
    );
}

#[test]
fn every_stage_has_its_own_verdict_and_its_own_seconds() {
    let record = ramp(
        demo(),
        "100:10s,200:20s,400:60s,0:10s",
        &["p99<2s", "errors<1%"],
    );
    assert_eq!(
        verdicts(&record)[..3],
        [Verdict::Held, Verdict::Held, Verdict::Broke]
    );
    let seconds: Vec<usize> = record.stages.iter().map(|s| s.seconds.len()).collect();
    assert_eq!(seconds, [10, 20, 60, 10]);
    let levels = |stage: usize| record.stages[stage].seconds.iter().map(|s| s.level.get());
    assert_eq!(
        levels(0).collect::<Vec<_>>(),
        (1..=10).map(|i| i * 10).collect::<Vec<_>>()
    );
    assert_eq!(levels(3).next_back(), Some(0));
    // VUs are where the level says.
    assert_eq!(record.stages[2].vus_reached, 400);
    let breach = record.breach.as_ref().unwrap();
    assert_eq!(breach.stage, 2);
    assert_eq!(breach.objectives[0].objective, "p99<2s");
    assert_eq!(breach.objectives.len(), 1);
    let at = record.stages[2]
        .seconds
        .iter()
        .find(|s| s.seen.t_s >= breach.t_s)
        .unwrap();
    assert_eq!(at.level, breach.level);
    let cause = record.stages[2].limiting_resource.as_ref().unwrap();
    assert!(cause.resource.contains("throughput"), "{cause:?}");
    // The same seed gives the same ramp.
    let again = ramp(
        demo(),
        "100:10s,200:20s,400:60s,0:10s",
        &["p99<2s", "errors<1%"],
    );
    assert_eq!(record, again);
}

#[test]
fn a_ramp_that_stays_below_reads_nothing() {
    let record = ramp(demo(), "100:20s,100:30s,0:10s", &["p99<2s"]);
    assert_eq!(record.ending, RampEnding::Complete);
    assert_eq!(record.breach, None);
    assert_eq!(verdicts(&record), [Verdict::Held; 3]);
}

#[test]
fn a_cliff_is_read_where_it_is() {
    let engine = SimEngine::new(system("cliff = { above_vus = 80 }"), 1);
    let record = ramp(engine, "60:30s,120:60s", &["p99<2s", "errors<1%"]);
    let breach = record.breach.as_ref().unwrap();
    assert!((81..=84).contains(&breach.level.get()), "{breach:?}");
    // Failures are late for ever: the latency breaks too, although that of what completed is well.
    assert!(breach.objectives.iter().any(|o| o.objective == "errors<1%"));
    let text = breakpoint::report::ramp_summary(&record);
    assert!(text.contains("% failed or were late)"), "{text}");
    assert_eq!(record.stages[0].verdict, Verdict::Held);
}

#[test]
fn an_interrupted_ramp_keeps_what_it_measured() {
    let record = watched(
        demo(),
        "100:10s,300:30s,0:10s",
        &["p99<2s"],
        |event, interrupt| {
            if let Event::Tick(tick) = event
                && tick.elapsed_s >= 15.0
            {
                interrupt.set();
            }
        },
    );
    assert_eq!(record.ending, RampEnding::Interrupted);
    let ends: Vec<HoldEnd> = record.stages.iter().map(|s| s.end).collect();
    assert_eq!(ends, [HoldEnd::Complete, HoldEnd::Interrupted]);
    assert_eq!(record.stages[1].seconds.len(), 5);
    assert_eq!(record.asked.len(), 3, "what was asked is kept as well");
}

/// An engine of which some seconds differ.
struct Spoiled<F> {
    engine: SimEngine,
    spoil: F,
    second: u32,
    well: bool,
}

fn spoiled<F: FnMut(u32, &mut Window) -> bool>(spoil: F) -> Spoiled<F> {
    Spoiled {
        engine: demo(),
        spoil,
        second: 0,
        well: true,
    }
}

impl<F: FnMut(u32, &mut Window) -> bool + Send> Engine for Spoiled<F> {
    fn describe(&self) -> EngineInfo {
        self.engine.describe()
    }

    fn set_level(&mut self, level: Level) -> Reply<'_, ()> {
        self.engine.set_level(level)
    }

    fn next_window(&mut self) -> Reply<'_, Window> {
        Box::pin(async move {
            let mut window = self.engine.next_window().await?;
            self.second += 1;
            if (self.spoil)(self.second, &mut window) {
                Ok(window)
            } else {
                Err(EngineError::Stopped("a test".to_owned()))
            }
        })
    }

    fn canary(&mut self) -> Reply<'_, Canary> {
        Box::pin(async move {
            if self.well {
                self.engine.canary().await
            } else {
                Ok(Canary::failed(FailureKind::ConnectRefused))
            }
        })
    }
}

#[test]
fn a_stage_in_which_the_generator_was_late_is_invalid_and_never_a_breach() {
    // The first second is that before the ramp. The answers of the second stage seem slow because
    // they were read late.
    let late = spoiled(|second, window| {
        if (12..32).contains(&second) {
            window.generator.lag_p99_s = Some(30.0);
        }
        true
    });
    let record = ramp(late, "100:10s,900:20s,0:10s", &["p99<2s"]);
    assert_eq!(record.ending, RampEnding::GeneratorLimited);
    assert!(record.reason.starts_with("stage 2: "), "{}", record.reason);
    assert_eq!(record.stages[1].end, HoldEnd::Invalid);
    assert_eq!(record.stages[1].verdict, Verdict::Undecided);
    assert!(record.breach.is_none_or(|b| b.stage == 2));
}

#[test]
fn an_engine_that_stops_ends_the_ramp_with_what_was_measured() {
    let stops = spoiled(|second, _| second <= 16);
    let record = ramp(stops, "100:10s,300:30s", &["p99<2s"]);
    assert_eq!(record.ending, RampEnding::GeneratorLimited);
    assert!(record.reason.contains("a test"), "{}", record.reason);
    assert_eq!(record.stages[1].seconds.len(), 5);
}

#[test]
fn a_target_that_does_not_answer_gets_no_load() {
    let mut down = spoiled(|_, window| {
        assert_eq!(window.vus, 0);
        true
    });
    down.well = false;
    let record = ramp(down, "100:10s", &["p99<2s"]);
    assert_eq!(record.ending, RampEnding::TargetDown);
    assert!(
        record.reason.contains("connect_refused"),
        "{}",
        record.reason
    );
    assert!(record.stages.is_empty());
}

#[test]
fn a_ramp_too_short_for_ten_seconds_reads_nothing() {
    let record = ramp(demo(), "900:8s", &["p99<2s"]);
    assert_eq!(record.breach, None);
    let text = breakpoint::report::ramp_summary(&record);
    assert!(text.contains("less than 10 s were measured"), "{text}");
}

#[test]
fn a_stage_without_data_is_no_pass() {
    let silent = spoiled(|_, window| {
        for step in &mut window.steps {
            *step = breakpoint::measure::StepWindow::default();
        }
        true
    });
    let record = ramp(silent, "10:20s", &["p99<2s"]);
    assert_eq!(verdicts(&record), [Verdict::Undecided]);
    let text = breakpoint::report::ramp_summary(&record);
    assert!(
        text.contains("undecided, which is not a pass: stage 1"),
        "{text}"
    );
}
