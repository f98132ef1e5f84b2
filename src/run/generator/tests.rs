use std::time::Duration;

use super::*;
use crate::measure::{
    FailureCounts, FailureKind, GeneratorWindow, Histogram, Level, StepTable, StepWindow, Window,
};
use crate::record::ProbeRecord;
use crate::slo::Slo;

/// A second of 10 VUs with 10 cycles of 50 ms.
fn second(generator: GeneratorWindow) -> Second {
    let step = StepWindow {
        latency: Histogram::of([Duration::from_millis(50); 10]),
        ..StepWindow::default()
    };
    Second {
        window: Window {
            start: Duration::ZERO,
            span: Duration::from_secs(1),
            level: Level(10),
            vus: 10,
            at_level: true,
            steps: vec![step.clone(), step],
            generator,
        },
        readings: Vec::new(),
    }
}

fn strained(health: GeneratorHealth) -> GeneratorWindow {
    let lag = health.woke_late_p99_s.into_iter();
    GeneratorWindow {
        lag_p99_s: lag.chain(health.read_late_p99_s).reduce(f64::max),
        health,
        ..GeneratorWindow::default()
    }
}

/// A hold of ten seconds of which the first `bad` are strained.
fn hold(bad: usize, health: GeneratorHealth) -> Measurement {
    let of = |i| {
        if i < bad {
            health
        } else {
            GeneratorHealth::default()
        }
    };
    Measurement {
        level: Level(10),
        before: None,
        arriving: Vec::new(),
        readings_before: Vec::new(),
        hold: (0..10).map(|i| second(strained(of(i)))).collect(),
        settled: true,
    }
}

/// The fault under an SLO of one objective.
fn fault_of(m: &Measurement, slo: &str) -> Option<String> {
    let steps = StepTable::of_cycle(["get".to_owned()], Some(0));
    let slo = Slo::parse([slo]).unwrap();
    let judgement = slo.judge(m, &steps);
    fault(m, steps.whole(), slo.tightest_limit_s(), &judgement)
}

#[test]
fn a_shortage_names_what_ran_out() {
    let mut m = hold(0, GeneratorHealth::default());
    assert_eq!(fault_of(&m, "p99<1s"), None);
    let mut failed = FailureCounts::default();
    failed.add_n(FailureKind::NoPorts, 3);
    m.hold[4].window.steps[0].failed = failed;
    let text = fault_of(&m, "p99<1s").unwrap();
    assert!(text.contains("ran out of local ports (3 times)"), "{text}");
    assert!(text.contains("--local-addr"), "{text}");
}

#[test]
fn a_worker_that_is_lost_or_full_makes_a_probe_say_nothing() {
    let lost = GeneratorHealth {
        workers: 3,
        workers_lost: 1,
        ..GeneratorHealth::default()
    };
    let text = fault_of(&hold(1, lost), "p99<1s").unwrap();
    assert!(
        text.contains("1 of 4 workers did not report 1 of 10 seconds"),
        "{text}"
    );
    let full = GeneratorHealth {
        workers: 4,
        thread_cpu: Some(0.92),
        ..GeneratorHealth::default()
    };
    assert_eq!(fault_of(&hold(1, full), "p99<1s"), None, "a single second");
    let text = fault_of(&hold(2, full), "p99<1s").unwrap();
    assert!(
        text.contains("more than 90 % in 2 of 10 seconds: start more workers"),
        "{text}"
    );
    // What a full worker measured may be anything, so that a breach is none either.
    let mut slow = hold(5, full);
    for second in &mut slow.hold {
        second.window.steps[0].latency = Histogram::of([Duration::from_secs(30); 10]);
    }
    assert!(fault_of(&slow, "p99<1s").is_some());
    let alone = GeneratorHealth { workers: 0, ..full };
    assert_eq!(fault_of(&hold(5, alone), "p99<1s"), None, "our own thread");
}

#[test]
fn another_process_without_cpu_makes_a_probe_say_nothing() {
    let full = GeneratorHealth {
        process_cpu: Some(0.93),
        ..GeneratorHealth::default()
    };
    assert_eq!(fault_of(&hold(1, full), "p99<1s"), None, "a single second");
    let text = fault_of(&hold(2, full), "p99<1s").unwrap();
    assert!(
        text.contains("93 % of the cores available to it, more than 90 % in 2 of 10 seconds"),
        "{text}"
    );
    let half = GeneratorHealth {
        process_cpu: Some(0.9),
        ..GeneratorHealth::default()
    };
    assert_eq!(fault_of(&hold(5, half), "p99<1s"), None);
}

#[test]
fn a_delay_beyond_a_tenth_of_the_limit_says_what_was_late_and_why() {
    let read_late = GeneratorHealth {
        read_late_p99_s: Some(0.150),
        thread_cpu: Some(0.99),
        cpu_pressure: Some(0.4),
        ..GeneratorHealth::default()
    };
    assert_eq!(
        fault_of(&hold(1, read_late), "p99<1s"),
        None,
        "a pause of the machine"
    );
    let text = fault_of(&hold(3, read_late), "p99<1s").unwrap();
    for part in [
        "the generator ran out of CPU: answers were read more than 100 ms late in 3 of 10 seconds",
        "99 % of a core used by the busiest load thread",
        "40 % of the time, tasks",
    ] {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let kept = GeneratorHealth {
        thread_cpu: Some(0.02),
        ..read_late
    };
    let text = fault_of(&hold(3, kept), "p99<1s").unwrap();
    assert!(
        text.starts_with("other processes kept the generator waiting"),
        "{text}"
    );
    let woke_late = GeneratorHealth {
        woke_late_p99_s: Some(0.2),
        ..GeneratorHealth::default()
    };
    let text = fault_of(&hold(3, woke_late), "p99<1s").unwrap();
    assert!(text.contains("requests were sent more than"), "{text}");
    // Half a second too slow is not the work of 200 ms of delay.
    let mut slow = hold(3, woke_late);
    for second in &mut slow.hold {
        second.window.steps[0].latency = Histogram::of([Duration::from_millis(1700); 10]);
    }
    assert_eq!(fault_of(&slow, "p99<1s"), None, "a breach stays one");
}

#[test]
fn a_full_thread_that_is_late_makes_a_pass_worthless_under_a_generous_slo_too() {
    // Cycles of one second: 1 % of them is 10 ms.
    let full = |thread_cpu, late| GeneratorHealth {
        thread_cpu: Some(thread_cpu),
        read_late_p99_s: Some(late),
        ..GeneratorHealth::default()
    };
    let generous = "p99<10s";
    let text = fault_of(&hold(5, full(0.97, 0.03)), generous).unwrap();
    assert!(
        text.contains("a load thread was saturated and more than 10.0 ms late in 5 of 10"),
        "{text}"
    );
    assert_eq!(
        fault_of(&hold(5, full(0.97, 0.005)), generous),
        None,
        "busy, but on time"
    );
    assert_eq!(
        fault_of(&hold(5, full(0.5, 0.03)), generous),
        None,
        "late, but within a tenth of the limit and not for want of CPU"
    );
}

#[test]
fn stolen_cpu_makes_a_probe_invalid_only_when_gross() {
    let steal = |share| GeneratorHealth {
        cpu_steal: Some(share),
        ..GeneratorHealth::default()
    };
    assert_eq!(fault_of(&hold(10, steal(0.2)), "p99<1s"), None);
    let text = fault_of(&hold(10, steal(0.3)), "p99<1s").unwrap();
    assert!(text.contains("30 % of this machine's CPU"), "{text}");
}

#[test]
fn retransmits_and_pressure_never_make_a_probe_invalid() {
    let bad = GeneratorHealth {
        segments_out: Some(100),
        retransmits: Some(50),
        cpu_pressure: Some(1.0),
        sends: 10,
        sends_held_up: 10,
        ..GeneratorHealth::default()
    };
    assert_eq!(fault_of(&hold(10, bad), "p99<1s"), None);
}

#[test]
fn loss_on_a_long_way_is_the_networks() {
    let lossy = |retransmits| {
        vec![vec![
            GeneratorHealth {
                segments_out: Some(1000),
                retransmits: Some(retransmits),
                ..GeneratorHealth::default()
            };
            10
        ]]
    };
    let told = network(&lossy(4), Some(0.04)).unwrap();
    assert!(
        told.starts_with("the network to the target drops"),
        "{told}"
    );
    assert!(
        told.contains("0.40 %") && told.contains("round trip 40.0 ms"),
        "{told}"
    );
    assert_eq!(network(&lossy(4), Some(0.0001)), None, "on this machine");
    assert_eq!(network(&lossy(4), None), None);
    assert_eq!(network(&lossy(0), Some(0.04)), None);
}

#[test]
fn what_bore_on_the_generator_is_told_once_for_all_probes() {
    let mut probe = crate::samples::found().probes[3].clone();
    let health = |health: GeneratorHealth, probe: &mut ProbeRecord| {
        for second in &mut probe.seconds {
            second.generator.health = health;
        }
    };
    health(GeneratorHealth::default(), &mut probe);
    assert_eq!(warnings(&[strains(&probe.seconds)], "probe"), [""; 0]);
    let lossy = GeneratorHealth {
        segments_out: Some(1000),
        retransmits: Some(30),
        cpu_steal: Some(0.1),
        ..GeneratorHealth::default()
    };
    let quiet = probe.clone();
    health(lossy, &mut probe);
    let told = warnings(
        &[quiet, probe.clone(), probe].map(|p| strains(&p.seconds)),
        "probe",
    );
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("in 2 probes, up to 10 % of this machine's CPU"));
    assert!(told[1].starts_with("in 2 probes, up to 3 % of our TCP segments"));
}
