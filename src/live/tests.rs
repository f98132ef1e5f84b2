use super::*;
use crate::live::metrics::{exposition, samples};
use crate::samples as records;

fn subject() -> Subject {
    let limits = [("gateway", "memory", 512.0), ("gateway", "cpu", 0.0)];
    Subject {
        profile: "gateway".to_owned(),
        limits: limits
            .into_iter()
            .map(|(monitor, field, value)| reading(monitor, field, Some(value)))
            .collect(),
        ..Subject::made_up()
    }
}

fn reading(monitor: &str, field: &str, value: Option<f64>) -> Reading {
    Reading {
        monitor: monitor.to_owned(),
        field: field.to_owned(),
        value,
    }
}

fn begun() -> Live {
    let mut live = Live::default();
    live.on(&Event::RunStarted {
        subject: subject(),
        range: (Level(1), Level(3000)),
        budget_s: 900.0,
    });
    live
}

fn probe_started(index: usize, level: u32) -> Event {
    Event::ProbeStarted {
        index,
        purpose: Purpose::Bracket,
        level: Level(level),
        planned_hold_s: 30.0,
    }
}

fn tick(elapsed_s: f64, phase: Phase) -> Tick {
    Tick {
        span_s: 1.0,
        elapsed_s,
        level: Level(640),
        vus: 512,
        phase,
        completed: 50,
        failed: 2,
        shed: 1,
        latency_s: Some(0.4),
        estimate: None,
        readings: vec![
            reading("gateway", "memory", Some(300.0)),
            reading("gateway", "cpu", Some(0.4)),
            reading("redis", "memory", None),
        ],
    }
}

fn judged(verdict: Verdict, end: HoldEnd, level: u32) -> Event {
    let mut probe = records::found().probes[12].clone();
    probe.verdict = verdict;
    probe.end = end;
    probe.level = Level(level);
    Event::ProbeJudged(Box::new(probe))
}

#[test]
fn a_probe_is_followed_through_its_phases() {
    let mut live = begun();
    live.on(&Event::Doing("starting the target".to_owned()));
    assert_eq!(live.doing.as_deref(), Some("starting the target"));
    live.on(&probe_started(3, 640));
    assert_eq!(live.doing, None);
    for (t, phase) in [
        (10.0, Phase::Ramp),
        (11.0, Phase::Settle),
        (12.0, Phase::Settle),
    ] {
        live.on(&Event::Tick(tick(t, phase)));
    }
    let probe = live.probe.unwrap();
    assert_eq!((probe.phase, probe.phase_s), (Phase::Settle, 2.0));
    live.on(&Event::Tick(tick(13.0, Phase::Hold)));
    assert_eq!(live.probe.map(|p| p.phase_s), Some(1.0));
    live.on(&judged(Verdict::Held, HoldEnd::Complete, 640));
    assert_eq!((live.probe, live.visits[0].at_s), (None, 13.0));
    assert_eq!((live.elapsed_s, live.left_s()), (13.0, Some(887.0)));
    assert_eq!(
        live.totals,
        Totals {
            completed: 200,
            failed: 8,
            shed: 4,
            visits: 1
        }
    );
}

#[test]
fn limits_stand_beside_what_is_read_and_a_gap_is_no_zero() {
    let mut live = begun();
    live.on(&Event::Tick(tick(1.0, Phase::Hold)));
    let seen: Vec<_> = live
        .gauges
        .iter()
        .map(|g| (g.field.as_str(), g.value, g.limit))
        .collect();
    let wanted = [
        ("memory", Some(300.0), Some(512.0)),
        ("cpu", Some(0.4), None),
        ("memory", None, None),
    ];
    assert_eq!(seen, wanted);
}

#[test]
fn the_bracket_is_that_of_valid_probes() {
    let mut live = begun();
    assert_eq!(live.bracket(), (None, None));
    live.on(&judged(Verdict::Held, HoldEnd::Complete, 400));
    live.on(&judged(Verdict::Broke, HoldEnd::LeftEarly, 900));
    live.on(&judged(Verdict::Held, HoldEnd::Complete, 600));
    live.on(&judged(Verdict::Undecided, HoldEnd::Complete, 700));
    live.on(&judged(Verdict::Broke, HoldEnd::Invalid, 500));
    assert_eq!(live.bracket(), (Some(Level(600)), Some(Level(900))));
    let hold = &records::found().probes[12].steps[2].latency;
    assert_eq!(live.visits[0].latency_s, hold.quantile_s(0.99));
}

#[test]
fn only_the_last_seconds_are_kept() {
    let mut live = begun();
    for t in 0..1000 {
        live.on(&Event::Tick(tick(f64::from(t), Phase::Hold)));
    }
    assert_eq!(live.seconds.len(), KEPT_SECONDS);
    assert_eq!(live.seconds.back().map(|s| s.t_s), Some(999.0));
}

#[test]
fn the_end_says_what_the_summary_says_and_the_next_run_begins_anew() {
    let mut live = begun();
    live.on(&probe_started(0, 10));
    live.on(&Event::Tick(tick(1.0, Phase::Hold)));
    let record = records::found();
    live.on(&Event::RunFinished(Box::new(record.clone())));
    let finished = live.finished.clone().unwrap();
    assert_eq!(finished.ending, "found");
    assert_eq!(finished.summary, report::summary(&record));
    assert!(!live.is_running() && live.probe.is_none());
    live.on(&Event::Doing("starting the target".to_owned()));
    assert!(live.is_running() && live.visits.is_empty());
    assert_eq!(live.totals.completed, 50, "counters never go back");
}

#[test]
fn a_ramp_is_followed_by_stages() {
    let record = records::ramp();
    let mut live = Live::default();
    live.on(&Event::RampStarted {
        subject: subject(),
        asked: record.asked.clone(),
    });
    assert_eq!(live.range, None);
    live.on(&Event::StageStarted {
        index: 0,
        asked: record.asked[0],
    });
    assert_eq!(live.stage.unwrap().index, 0);
    live.on(&Event::StageJudged(Box::new(record.stages[0].clone())));
    assert_eq!((live.stage, live.visits[0].purpose), (None, None));
    live.on(&Event::RampFinished(Box::new(record)));
    assert_eq!(live.finished.unwrap().ending, "complete");
}

#[test]
fn metrics_are_text_that_prometheus_reads_with_gaps_left_out() {
    let mut live = begun();
    let idle = exposition(&samples(&live));
    assert!(!idle.contains("breakpoint_level"), "{idle}");
    assert!(idle.contains("breakpoint_running{profile=\"gateway\"} 1\n"));
    live.target = "http://\"x\"\\".to_owned();
    live.on(&Event::Tick(tick(1.0, Phase::Hold)));
    live.on(&judged(Verdict::Held, HoldEnd::Complete, 400));
    let text = exposition(&samples(&live));
    for line in [
        "# TYPE breakpoint_cycles_total counter",
        "breakpoint_cycles_total{profile=\"gateway\",result=\"completed\"} 50",
        "breakpoint_level{profile=\"gateway\"} 640",
        "breakpoint_vus{profile=\"gateway\"} 512",
        "breakpoint_latency_seconds{profile=\"gateway\",latency=\"p99(answer)\"} 0.4",
        "breakpoint_latency_limit_seconds{profile=\"gateway\",latency=\"p99(answer)\"} 2",
        "breakpoint_bracket{profile=\"gateway\",bound=\"held\"} 400",
        "breakpoint_visits{profile=\"gateway\",verdict=\"held\"} 1",
        "breakpoint_monitor{profile=\"gateway\",monitor=\"gateway\",field=\"memory\"} 300",
        "breakpoint_monitor_limit{profile=\"gateway\",monitor=\"gateway\",field=\"memory\"} 512",
    ] {
        assert!(
            text.lines().any(|l| l == line),
            "{line} is missing in\n{text}"
        );
    }
    assert!(text.contains("target=\"http://\\\"x\\\"\\\\\""), "{text}");
    assert!(!text.contains("monitor=\"redis\""), "{text}");
    assert!(!text.contains("bound=\"broke\""), "{text}");
    // Every line is a comment or `name{labels} number`.
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let (_, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().unwrap().is_finite(), "{line}");
    }
}
