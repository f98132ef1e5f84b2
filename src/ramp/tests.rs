use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::measure::{GeneratorWindow, Histogram, StepTable, StepWindow};
use crate::samples;
use crate::slo::Slo;

fn stages(text: &str) -> Stages {
    text.parse().unwrap()
}

fn error(text: &str) -> String {
    text.parse::<Stages>().unwrap_err().to_string()
}

fn levels(stages: &Stages) -> Vec<u32> {
    let mut levels = Vec::new();
    let mut t = 0.0;
    while let Some((_, level)) = stages.level_in(t, t + STEP_S) {
        levels.push(level.get());
        t += STEP_S;
    }
    levels
}

#[test]
fn stages_are_read_as_k6_means_them() {
    let spans = |text: &str| -> Vec<(u32, u32, f64, f64)> {
        let of = |s: &StageSpan| (s.from.get(), s.to.get(), s.start_s, s.lasts_s);
        stages(text).spans().iter().map(of).collect()
    };
    assert_eq!(
        spans("100:30s, 500:1m,0:1m30s"),
        [
            (0, 100, 0.0, 30.0),
            (100, 500, 30.0, 60.0),
            (500, 0, 90.0, 90.0)
        ]
    );
    // A stage of no time is a jump.
    assert_eq!(
        spans("50:0s,50:1m,80:0,80:10s"),
        [(50, 50, 0.0, 60.0), (80, 80, 60.0, 10.0)]
    );
    assert_eq!(stages("100:30s,0:10s").highest(), Level(100));
    assert!((stages("100:30s,0:1m").total_s() - 90.0).abs() < 1e-9);
}

#[test]
fn bad_stages_say_what_is_wrong_and_show_the_form() {
    for (text, words) in [
        ("", "stage 1, ``: there is nothing"),
        ("100:30s,", "stage 2, ``: there is nothing"),
        ("100", "stage 1, `100`: a stage has a target and a time"),
        ("0->100:30s", "the target `0->100` is not a whole number"),
        ("100:30s,-5:10s", "stage 2, `-5:10s`: the target `-5`"),
        ("1.5:30s", "`1.5` is not a whole number"),
        ("99999999:30s", "between 0 and 1000000"),
        ("100:30", "unknown unit"),
        ("100:fast", "does not start with a number"),
        ("100:30h", "24h at most"),
        ("100:300ms", "at least 1s, or 0s for a jump"),
        ("100:0s", "no stage takes any time"),
        ("0:30s", "level 0"),
    ] {
        let error = error(text);
        assert!(error.contains(words), "{text}: {error}");
        assert!(error.contains("100:30s,500:1m,0:30s"), "{text}: {error}");
    }
}

#[test]
fn the_level_follows_the_line_and_reaches_every_target_in_its_last_second() {
    assert_eq!(
        levels(&stages("4:4s,10:3s,10:2s,0:2s")),
        [1, 2, 3, 4, 6, 8, 10, 10, 10, 5, 0]
    );
    assert_eq!(levels(&stages("7:0s,7:2s,3:0s,3:1s")), [7, 7, 3]);
    assert_eq!(
        levels(&stages("1:4s")),
        [0, 1, 1, 1],
        "rounded to whole VUs"
    );
}

#[test]
fn a_window_belongs_to_the_stage_of_its_middle() {
    let stages = stages("100:10s,500:0s,500:10s");
    // The engine's seconds are not exactly seconds: a late window must not jump early.
    assert_eq!(stages.level_in(9.003, 10.003), Some((0, Level(100))));
    assert_eq!(stages.level_in(9.4, 10.4), Some((0, Level(100))));
    assert_eq!(stages.level_in(9.6, 10.6), Some((1, Level(500))));
    assert_eq!(stages.level_in(19.3, 20.3), Some((1, Level(500))));
    assert_eq!(stages.level_in(19.6, 20.6), None);
}

#[test]
fn the_pace_does_not_hold_the_level_back() {
    for text in [
        "100:30s,500:1m,0:30s",
        "2000:1s",
        "50:0s,50:10s,900:0s,0:3s",
    ] {
        let stages = stages(text);
        let mut before = 0;
        for level in levels(&stages) {
            let moved = f64::from(level.abs_diff(before));
            assert!(
                moved <= stages.pace_per_s() + 1.0,
                "{text}: {before} -> {level}"
            );
            before = level;
        }
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,60}") {
        let _ = text.parse::<Stages>();
    }

    #[test]
    fn nearly_right_text_neither_panics_nor_leaves_the_line(text in "[0-9]{1,8}:[0-9]{1,6}(s|m|h|ms|)(,[0-9]{0,7}:?[0-9]{0,4}(s|m|h|)){0,4}") {
        if let Ok(stages) = text.parse::<Stages>() {
            prop_assert!(stages.pace_per_s().is_finite() && stages.pace_per_s() >= 1.0);
            let total = stages.total_s();
            for i in 0..50 {
                let t = total * f64::from(i) / 50.0;
                if let Some((index, level)) = stages.level_in(t, t + STEP_S) {
                    let span = stages.spans()[index];
                    let (low, high) = (span.from.min(span.to), span.from.max(span.to));
                prop_assert!(level >= low && level <= high);
                }
            }
            prop_assert_eq!(stages.level_in(total, total + STEP_S), None);
        }
    }
}

/// A second of a service at a level, all of whose cycles took this long.
fn second(at_s: u32, level: u32, latency_ms: u64, in_flight: Histogram) -> Second {
    let step = StepWindow {
        latency: Histogram::of([Duration::from_millis(latency_ms); 20]),
        in_flight,
        ..StepWindow::default()
    };
    Second {
        window: Window {
            start: Duration::from_secs(at_s.into()),
            span: Duration::from_secs(1),
            level: Level(level),
            vus: level,
            at_level: true,
            steps: vec![step.clone(), step],
            generator: GeneratorWindow::default(),
        },
        readings: Vec::new(),
    }
}

fn steps() -> StepTable {
    StepTable::of_cycle(["get".to_owned()], Some(0))
}

/// The first second after which the last ten broke the SLO.
fn first_broken(seconds: impl IntoIterator<Item = Second>) -> Option<u32> {
    let slo = Slo::parse(["p99<1s"]).unwrap();
    let idle = second(0, 0, 1, Histogram::default());
    let mut recent = Recent::new(idle.window, Vec::new());
    for (after, second) in (1..).zip(seconds) {
        recent.push(second);
        let judged = recent.whole().map(|m| slo.judge(m, &steps()));
        if judged.is_some_and(|j| !broken(&j).is_empty()) {
            return Some(after);
        }
    }
    None
}

#[test]
fn the_reading_is_of_the_last_ten_seconds() {
    let none = Histogram::default;
    let fast = |t| second(t, 10 * t, 50, none());
    let slow = |t| second(t, 10 * t, 1500, none());
    assert_eq!(first_broken((1..40).map(fast)), None);
    // From the first second on, but ten of them must have passed.
    assert_eq!(first_broken((1..40).map(slow)), Some(10));
    assert_eq!(first_broken((1..9).map(slow)), None, "too short to tell");
    // More than one slow second among ten is more than 1 % and no accident of one block.
    let turned = |t| if t > 20 { slow(t) } else { fast(t) };
    let first = first_broken((1..40).map(turned)).unwrap();
    assert!((21..=23).contains(&first), "{first}");
}

#[test]
fn users_who_wait_for_ever_break_a_ramp_too() {
    let stuck = |t: u32| {
        let ages = (0..30).map(|_| Duration::from_secs(t.saturating_sub(10).into()));
        let in_flight = Histogram::of(ages.filter(|a| !a.is_zero()));
        second(t, 10, 50, in_flight)
    };
    let first = first_broken((1..40).map(stuck)).unwrap();
    assert!((11..=15).contains(&first), "{first}");
}

#[test]
fn no_data_is_neither_a_breach_nor_a_pass() {
    let nothing = |t| {
        let mut second = second(t, 10, 50, Histogram::default());
        for step in &mut second.window.steps {
            step.latency = Histogram::default();
        }
        second
    };
    assert_eq!(first_broken((1..30).map(nothing)), None);
}

#[test]
fn counters_of_monitors_count_from_before_the_ten_seconds() {
    let slo = Slo::parse(["gateway.oom_kills==0"]).unwrap();
    let reading = |kills: u32| Reading {
        monitor: "gateway".to_owned(),
        field: "oom_kills".to_owned(),
        value: Some(kills.into()),
    };
    let idle = second(0, 0, 1, Histogram::default());
    let mut recent = Recent::new(idle.window, vec![reading(3)]);
    let mut verdicts = Vec::new();
    for t in 1..40 {
        let mut second = second(t, 10, 50, Histogram::default());
        second.readings = vec![reading(3 + u32::from(t > 15))];
        recent.push(second);
        verdicts.extend(recent.whole().map(|m| slo.judge(m, &steps()).verdict));
    }
    // Broken while the kill lies within the last ten seconds, from 10 s on.
    let broke: Vec<usize> = (0..verdicts.len())
        .filter(|i| verdicts[*i] == Verdict::Broke)
        .map(|i| i + 10)
        .collect();
    assert_eq!(broke, (16..26).collect::<Vec<_>>());
}

fn breach(t_s: f64, stage: usize) -> Breach {
    Breach {
        t_s,
        stage,
        ..samples::ramp().breach.unwrap()
    }
}

#[test]
fn a_stage_in_which_the_generator_was_at_fault_has_no_breach() {
    let mut first = FirstBreach::default();
    first.add(breach(12.0, 0));
    assert!(first.is_known() && first.get().is_none(), "not sure yet");
    first.stage_ends(HoldEnd::Invalid);
    assert!(!first.is_known());
    first.stage_ends(HoldEnd::Complete);
    first.add(breach(31.0, 2));
    first.add(breach(32.0, 2));
    first.stage_ends(HoldEnd::Interrupted);
    assert_eq!(first.get(), Some(&breach(31.0, 2)));
    first.add(breach(44.0, 3));
    first.stage_ends(HoldEnd::Complete);
    assert_eq!(first.get(), Some(&breach(31.0, 2)), "the first one stays");
}

#[test]
fn throughput_is_compared_with_a_lower_stage_that_held_and_never_on_the_way_down() {
    let stages = samples::ramp().stages;
    let asked = |from, to| StageSpan {
        from: Level(from),
        to: Level(to),
        start_s: 0.0,
        lasts_s: 10.0,
    };
    assert_eq!(stages[1].verdict, Verdict::Held);
    let found = baseline(&stages[..2], 0, asked(1200, 1600), Level(1400)).unwrap();
    assert!((found.level - 800.0).abs() < 1e-9);
    // 10 % apart is too little to tell a gain from noise.
    let found = baseline(&stages[..2], 0, asked(800, 900), Level(850)).unwrap();
    assert!((found.level - 200.0).abs() < 1e-9);
    assert_eq!(baseline(&stages[..2], 0, asked(1600, 0), Level(1400)), None);
    assert_eq!(baseline(&[], 0, asked(0, 100), Level(50)), None);
}

#[test]
fn only_an_answer_to_the_same_question_stands_beside_a_ramp() {
    let found = samples::found();
    let unit = LevelUnit::Vus;
    let reference = reference_run(&found, &found.slo, unit).unwrap();
    assert_eq!(reference.breakpoint, Level(1184));
    assert_eq!(reference.ci_low, Some(Level(1150)));
    let other = ["p99(answer)<1s".to_owned()];
    let error = reference_run(&found, &other, unit).unwrap_err();
    assert!(
        error.contains("p99(answer)<2s") && error.contains("<1s"),
        "{error}"
    );
    let error = reference_run(&samples::interrupted(), &found.slo, unit).unwrap_err();
    assert!(error.contains("no breakpoint (interrupted)"), "{error}");
    let error = reference_run(&found, &found.slo, LevelUnit::RequestsPerS).unwrap_err();
    assert!(error.contains("requests/s"), "{error}");
}
