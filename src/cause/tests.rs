//! Each rule on a probe that shows what it looks for, and on one that nearly does.

use std::time::Duration;

use super::*;
use crate::measure::{
    FailureKind, FailureWay, FailureWays, GeneratorHealth, GeneratorWindow, Histogram, Level,
    LevelUnit, LogLine, Measurement, Reading, Second, StepTable, StepWindow, Window,
};
use crate::slo::Verdict;

/// A probe of 20 s at a constant level, into which a test writes what it needs.
struct Scene {
    measurement: Measurement,
    lines: Vec<(f64, LogLine)>,
    limits: Vec<Reading>,
    baseline: Option<Baseline>,
    seen: Vec<ObservedProbe>,
    steps: StepTable,
    cpus: u32,
    round_trip_s: Option<f64>,
}

fn reading(monitor: &str, field: &str, value: f64) -> Reading {
    Reading {
        monitor: monitor.to_owned(),
        field: field.to_owned(),
        value: Some(value),
    }
}

fn latencies(n: u64, seconds: f64) -> Histogram {
    let mut recorder = Histogram::recorder();
    for _ in 0..n {
        Histogram::record_into(&mut recorder, Duration::from_secs_f64(seconds));
    }
    Histogram::drain(&mut recorder)
}

impl Scene {
    fn new() -> Self {
        let window = |i: u64| Window {
            start: Duration::from_secs(i),
            span: Duration::from_secs(1),
            level: Level(100),
            vus: 100,
            at_level: true,
            steps: vec![StepWindow::default(); 2],
            generator: GeneratorWindow::default(),
        };
        let hold = (0..20)
            .map(|i| Second {
                window: window(i),
                readings: Vec::new(),
            })
            .collect();
        Self {
            measurement: Measurement {
                level: Level(100),
                before: None,
                arriving: Vec::new(),
                readings_before: Vec::new(),
                hold,
                settled: true,
            },
            lines: Vec::new(),
            limits: Vec::new(),
            baseline: None,
            seen: Vec::new(),
            steps: StepTable::of_cycle(["answer".to_owned()], Some(0)),
            cpus: 4,
            round_trip_s: None,
        }
    }

    /// A field: its value before the probe, and at the end of each second.
    fn field(mut self, monitor: &str, field: &str, before: f64, at: impl Fn(f64) -> f64) -> Self {
        (self.measurement.readings_before).push(reading(monitor, field, before));
        for (i, second) in (1_u32..).zip(&mut self.measurement.hold) {
            let value = at(f64::from(i));
            second.readings.push(reading(monitor, field, value));
        }
        self
    }

    fn limit(mut self, monitor: &str, field: &str, limit: f64) -> Self {
        self.limits.push(reading(monitor, field, limit));
        self
    }

    fn line(mut self, at: f64, monitor: &str, text: &str) -> Self {
        let line = LogLine {
            monitor: monitor.to_owned(),
            text: text.to_owned(),
            more: 0,
            tally: None,
        };
        self.lines.push((at, line));
        self
    }

    fn each_second(mut self, change: impl Fn(&mut Window)) -> Self {
        for second in &mut self.measurement.hold {
            change(&mut second.window);
        }
        self
    }

    fn baseline(mut self, level: f64, throughput: f64, median_s: f64) -> Self {
        self.baseline = Some(Baseline {
            level,
            throughput,
            median_s: Some(median_s),
        });
        self
    }

    /// Another probe of the run, at another level.
    fn beside(mut self, level: u32, verdict: Verdict, other: Scene) -> Self {
        let throughput = other.measurement.throughput(other.steps.whole());
        let main = other.measurement.step_total(other.steps.main());
        self.seen.push(ObservedProbe {
            level: f64::from(level),
            verdict,
            throughput,
            median_s: main.latency.quantile_s(0.5),
            measurement: other.measurement,
            before: Vec::new(),
            lines: other.lines,
        });
        self.baseline = Baseline::of(&self.seen, self.measurement.level);
        self
    }

    fn held(self, level: u32, other: Scene) -> Self {
        self.beside(level, Verdict::Held, other)
    }

    fn broke(self, level: u32, other: Scene) -> Self {
        self.beside(level, Verdict::Broke, other)
    }

    /// So many cycles per second that take so long, and so many that fail.
    fn serves(self, n: u64, each_s: f64, kind: FailureKind, failed: u64) -> Self {
        self.each_second(|w| {
            w.steps[0].latency = latencies(n, each_s);
            w.steps[1].latency = latencies(n, each_s);
            w.steps[1].failed.add_n(kind, failed);
        })
    }

    fn causes(&self) -> Vec<LimitingResource> {
        self.explained().causes
    }

    fn explained(&self) -> Explained {
        explain(&self.case())
    }

    fn case(&self) -> Case<'_> {
        Case {
            measurement: &self.measurement,
            before: &[],
            lines: &self.lines,
            steps: &self.steps,
            limits: &self.limits,
            baseline: self.baseline,
            seen: &self.seen,
            unit: LevelUnit::Vus,
            users_are_searched: true,
            think_s: 1.0,
            cpus: self.cpus,
            round_trip_s: self.round_trip_s,
        }
    }

    fn kinds(&self) -> Vec<(CauseKind, Sureness)> {
        (self.causes().iter())
            .map(|c| (c.kind.unwrap(), c.sureness))
            .collect()
    }

    fn first(&self) -> LimitingResource {
        self.causes().into_iter().next().expect("a cause")
    }
}

use CauseKind as Kind;
use Sureness::{Certain, Likely, Possible};

const MIB: f64 = 1024.0 * 1024.0;

/// 0 until a second, then `n`.
fn from(second: f64, n: f64) -> impl Fn(f64) -> f64 {
    move |t| if t >= second { n } else { 0.0 }
}

#[test]
fn nothing_seen_is_nothing_named() {
    assert_eq!(Scene::new().causes(), []);
    let well = Scene::new()
        .field("gateway", "up", 1.0, |_| 1.0)
        .field("gateway", "memory", 100.0 * MIB, |_| 200.0 * MIB)
        .limit("gateway", "memory", 512.0 * MIB)
        .field("gateway", "main_thread_cpu", 0.1, |_| 0.6)
        .field("gateway", "oom_kills", 3.0, |_| 3.0)
        .field("host", "listen_overflows", 0.0, |_| 0.0);
    assert_eq!(
        well.causes(),
        [],
        "counts from before the probe are not its own"
    );
}

#[test]
fn a_kernel_kill_is_certain_and_says_when() {
    let scene = Scene::new()
        .field("gateway", "memory", 100.0 * MIB, |t| {
            (400.0 + 6.0 * t) * MIB
        })
        .limit("gateway", "memory", 512.0 * MIB)
        .field("gateway", "oom_kills", 0.0, from(18.0, 1.0));
    let cause = scene.first();
    assert_eq!(cause.kind, Some(Kind::MemoryKill));
    assert_eq!(
        (cause.resource.as_str(), cause.sureness),
        ("gateway memory", Certain)
    );
    assert_eq!(
        cause.evidence,
        "OOM-killed once at its limit of 512 MiB, 18 s into the probe"
    );
    assert_eq!(scene.causes().len(), 1, "a full memory is the same trouble");
}

#[test]
fn of_two_kills_the_earlier_one_gave_way_first() {
    let scene = Scene::new()
        .field("gateway", "oom_kills", 0.0, from(15.0, 1.0))
        .field("redis", "oom_kills", 0.0, from(5.0, 2.0));
    let named: Vec<String> = scene.causes().into_iter().map(|c| c.resource).collect();
    assert_eq!(named, ["redis memory", "gateway memory"]);
}

#[test]
fn memory_near_its_limit_is_likely_and_below_it_nothing() {
    let from = |before: f64, share: f64| {
        let before = before * 512.0 * MIB;
        Scene::new()
            .field("gateway", "memory", before, move |_| share * 512.0 * MIB)
            .limit("gateway", "memory", 512.0 * MIB)
            .kinds()
    };
    assert_eq!(from(0.0, 0.96), [(Kind::MemoryLimit, Likely)]);
    assert_eq!(from(0.0, 0.90), []);
    // A cache is always full, with and without load.
    assert_eq!(from(0.97, 0.99), [(Kind::MemoryLimit, Possible)]);
}

#[test]
fn a_full_redis_that_gives_up_keys_is_told_by_the_keys() {
    let full = Scene::new()
        .field("redis", "memory", 0.0, |_| 50.0 * MIB)
        .limit("redis", "memory", 50.0 * MIB)
        .field("redis", "evicted_keys", 0.0, from(4.0, 30.0));
    assert_eq!(full.kinds(), [(Kind::RedisEvictions, Likely)]);
}

#[test]
fn a_heap_that_gave_out_is_told_by_its_last_words_or_its_exit_code() {
    let died = || Scene::new().field("gateway", "up", 1.0, |t| if t < 9.0 { 1.0 } else { 0.0 });
    let told = died().line(
        8.5,
        "gateway",
        "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
    );
    assert_eq!(told.kinds()[0], (Kind::HeapLimit, Certain));
    let aborted = died().field("gateway", "exit_code", 0.0, from(9.0, 134.0));
    assert_eq!(aborted.kinds()[0], (Kind::HeapLimit, Likely));
    let logged = died().line(9.0, "gateway", "gateway ended with exit code 134");
    assert_eq!(logged.kinds()[0], (Kind::HeapLimit, Likely));
    let other = died().field("gateway", "exit_code", 0.0, from(9.0, 1.0));
    assert_eq!(other.kinds(), [(Kind::ProcessEnded, Possible)]);
    assert!(
        other.first().evidence.contains("exit code 1,"),
        "{:?}",
        other.first()
    );
    let earlier = Scene::new().field("gateway", "up", 1.0, |_| 1.0).field(
        "gateway",
        "exit_code",
        134.0,
        |_| 134.0,
    );
    assert_eq!(earlier.kinds(), [], "an end before the probe");
}

#[test]
fn a_collector_without_rest_needs_a_full_heap_and_a_busy_process() {
    let scene = |used: f64, busy: f64| {
        Scene::new()
            .field("gateway", "heap_limit", 259.0 * MIB, |_| 259.0 * MIB)
            .field("gateway", "heap", 0.0, move |_| used * MIB)
            .field("gateway", "eventloop_utilization", 0.0, move |_| busy)
            .kinds()
    };
    let thrash = scene(240.0, 0.98);
    assert_eq!(
        thrash[0],
        (Kind::HeapThrash, Likely),
        "before the event loop that it keeps busy"
    );
    assert_eq!(thrash[1], (Kind::SingleThread, Likely));
    assert_eq!(scene(240.0, 0.3), []);
    assert_eq!(scene(150.0, 0.98), [(Kind::SingleThread, Likely)]);
}

#[test]
fn a_leak_is_a_line_at_a_constant_level() {
    let scene = |at: fn(f64) -> f64| {
        Scene::new()
            .field("gateway", "memory", 80.0 * MIB, move |t| at(t) * MIB)
            .limit("gateway", "memory", 512.0 * MIB)
            .baseline(50.0, 50.0, 0.1)
    };
    let leak = scene(|t| 100.0 + 15.0 * t);
    let cause = leak.first();
    assert_eq!((cause.kind, cause.sureness), (Some(Kind::Leak), Likely));
    assert!(
        cause
            .evidence
            .contains("grows by 15 MiB/s at a constant 100 VUs: 28.80 s"),
        "{}",
        cause.evidence
    );
    // More VUs hold more and then it stands still: that is the level.
    let leaks = |scene: Scene| scene.kinds().iter().any(|(kind, _)| *kind == Kind::Leak);
    assert!(!leaks(scene(|t| 400.0 - 300.0 * (-t).exp())));
    // It goes up and down as garbage is collected.
    assert!(!leaks(scene(|t| 200.0 + 60.0 * (t * 1.3).sin())));
    let died = scene(|t| 100.0 + 20.5 * t)
        .field("gateway", "up", 1.0, |t| if t < 20.0 { 1.0 } else { 0.0 })
        .field("gateway", "oom_kills", 0.0, from(20.0, 1.0));
    assert_eq!(
        died.kinds()[0],
        (Kind::Leak, Certain),
        "the leak is why it was killed"
    );
}

#[test]
fn redis_says_itself_what_it_refused() {
    let writes = Scene::new()
        .field("redis", "oom_errors", 0.0, from(7.0, 38.0))
        .limit("redis", "memory", 400.0 * MIB);
    assert_eq!(writes.kinds(), [(Kind::RedisMemory, Certain)]);
    assert_eq!(
        writes.first().evidence,
        "38 writes refused (OOM) at maxmemory 400 MiB, from 7 s on"
    );
    let clients = Scene::new().field("redis", "rejected_connections", 5.0, |_| 9.0);
    assert_eq!(clients.kinds(), [(Kind::RedisClients, Certain)]);
    let evicted = Scene::new().field("redis", "evicted_keys", 0.0, from(3.0, 12.0));
    assert_eq!(evicted.kinds(), [(Kind::RedisEvictions, Likely)]);
}

#[test]
fn a_subscriber_that_was_cut_off_is_found_although_nothing_failed() {
    let hanging = || {
        Scene::new().each_second(|w| {
            w.steps[0].in_flight = latencies(300, 9.0);
        })
    };
    let told = hanging().line(
        11.0,
        "redis",
        "Client id=9 scheduled to be closed ASAP for overcoming of output buffer limits.",
    );
    assert_eq!(told.kinds(), [(Kind::RedisOutputBuffer, Certain)]);
    assert!(
        told.first()
            .evidence
            .contains("300 users wait for an answer, 0 failed"),
        "{}",
        told.first().evidence
    );
    let gone = |waiting: f64| {
        hanging()
            .field("redis", "pubsub_clients", 2.0, |t| {
                if t < 9.0 { 2.0 } else { 1.0 }
            })
            .field("redis", "output_buffers", 0.0, move |_| waiting)
            .kinds()
    };
    assert_eq!(gone(9e6), [(Kind::RedisOutputBuffer, Likely)]);
    assert_eq!(gone(1e4), [], "a subscriber that left of itself");
}

#[test]
fn descriptors_are_used_up_at_their_limit_or_by_the_services_own_word() {
    let used = |n: f64| {
        Scene::new()
            .field("gateway", "descriptors", 30.0, move |_| n)
            .limit("gateway", "descriptors", 512.0)
    };
    assert_eq!(used(511.0).kinds(), [(Kind::Descriptors, Likely)]);
    assert_eq!(used(480.0).kinds(), []);
    let told = used(511.0).line(3.0, "gateway", "Error: accept EMFILE: too many open files");
    assert_eq!(told.kinds(), [(Kind::Descriptors, Certain)]);
}

#[test]
fn a_busy_thread_is_told_from_a_busy_process_of_many_threads() {
    let main = Scene::new().field("gateway", "main_thread_cpu", 0.1, |_| 0.97);
    assert_eq!(main.kinds(), [(Kind::SingleThread, Likely)]);
    let many = Scene::new()
        .field("db", "main_thread_cpu", 0.0, |_| 0.02)
        .field("db", "busiest_thread_cpu", 0.0, |_| 0.5)
        .field("db", "cpu", 0.0, |_| 2.4);
    assert_eq!(many.kinds(), []);
    let unknown = Scene::new().field("x", "cpu", 0.0, |_| 0.95);
    assert_eq!(unknown.kinds(), [(Kind::SingleThread, Likely)]);
}

#[test]
fn a_quota_is_named_when_it_is_used_or_holds_back() {
    let scene = |used: f64, throttled_per_s: f64| {
        Scene::new()
            .field("gateway", "cpu", 0.0, move |_| used)
            .field("gateway", "main_thread_cpu", 0.0, |_| 0.4)
            .field("gateway", "throttled_s", 0.0, move |t| t * throttled_per_s)
            .limit("gateway", "cpu", 0.5)
            .kinds()
    };
    assert_eq!(scene(0.49, 0.4), [(Kind::CpuLimit, Likely)]);
    assert_eq!(scene(0.3, 0.3), [(Kind::CpuLimit, Likely)], "in bursts");
    assert_eq!(scene(0.2, 0.02), []);
}

/// A gateway on a machine of two CPUs: its main thread's use of one, and that of all together.
fn on_a_machine(main: f64, host: f64) -> Scene {
    let mut scene = Scene::new()
        .field("gateway", "cpu", 0.0, move |_| main)
        .field("gateway", "main_thread_cpu", 0.0, move |_| main)
        .field("gateway", "eventloop_utilization", 0.0, |_| 0.99)
        .field("host", "cpu", 0.0, move |_| host)
        .limit("host", "cpu", 2.0)
        .each_second(|w| {
            w.generator.cpu_cores = Some(0.3);
            w.generator.health = GeneratorHealth {
                cpu_pressure: Some(0.9),
                ..GeneratorHealth::default()
            };
        });
    scene.cpus = 2;
    scene
}

#[test]
fn a_full_machine_is_likely_only_where_nobody_is_at_a_limit_of_their_own() {
    let scene = |main, host| on_a_machine(main, host).held(20, on_a_machine(0.1, 0.6));
    let starved = scene(0.5, 1.95);
    assert_eq!(
        starved.kinds(),
        [(Kind::Host, Likely)],
        "its loop waits for a CPU"
    );
    assert_eq!(
        starved.first().evidence,
        "1.95 of 2 cores used (others 1.15, gateway 0.50, the generator 0.30); tasks waited for a \
         CPU 90 % of the time"
    );
    assert_eq!(
        scene(0.95, 1.95).kinds(),
        [(Kind::SingleThread, Likely), (Kind::Host, Possible)]
    );
    assert_eq!(
        scene(0.8, 1.95).kinds(),
        [(Kind::Host, Likely)],
        "nor does a thread that gets most of a core work all of the time"
    );
    assert_eq!(scene(0.5, 1.2).kinds(), [], "there is CPU left");
    assert_eq!(
        on_a_machine(0.5, 1.95).kinds(),
        [(Kind::Host, Possible)],
        "nothing held to compare it with"
    );
}

#[test]
fn a_machine_that_others_fill_at_every_level_is_no_finding_but_a_warning() {
    let scene = on_a_machine(0.5, 2.0)
        .held(20, on_a_machine(0.1, 1.99))
        .held(40, on_a_machine(0.2, 2.0));
    let explained = scene.explained();
    assert_eq!(explained.causes, []);
    assert_eq!(explained.ruled_out.len(), 1);
    let told = ruled_out([&explained, &explained].into_iter());
    assert_eq!(told.len(), 1, "once for all probes: {told:?}");
    assert!(
        told[0].contains("was as saturated where the SLO held") && told[0].contains("busy machine"),
        "{told:?}"
    );
    // One neighbor who works for a while is no reason to rule it out.
    let for_a_while = on_a_machine(0.5, 2.0)
        .held(20, on_a_machine(0.1, 0.3))
        .held(40, on_a_machine(0.2, 0.4))
        .held(80, on_a_machine(0.4, 2.0));
    assert_eq!(for_a_while.kinds(), [(Kind::Host, Likely)]);
}

/// A probe that says nothing: the generator used so much of a core and was late, on a machine of
/// two CPUs that used so much.
fn late_on_a_machine(thread: f64, held_back: Option<f64>, host: f64) -> Scene {
    on_a_machine(0.1, host).each_second(|w| {
        w.generator.lag_p99_s = Some(0.09);
        w.generator.health.thread_cpu = Some(thread);
        w.generator.health.held_back = held_back;
    })
}

#[test]
fn a_generator_that_others_starve_where_the_slo_held_too_is_a_warning_and_no_cause() {
    let of = |scene: &Scene| match spoiled(&scene.case(), "it was late") {
        Spoiled::Generator(finding) => Ok(finding.sureness),
        Spoiled::Others(told) => Err(told),
    };
    let starved = |thread, held_back| late_on_a_machine(thread, held_back, 2.0);
    let busy = || on_a_machine(0.1, 2.0);
    let told = of(&starved(0.01, None).held(40, busy())).unwrap_err();
    assert!(
        told.starts_with("2.00 of 2 cores used (others 1.60,")
            && told.ends_with("and was as saturated where the SLO held"),
        "{told}"
    );
    let one = spoiled_by_others(1, 4, &told);
    assert!(one.starts_with("1 of 4 probes gives no finding"), "{one}");
    let warning = spoiled_by_others(2, 5, &told);
    assert!(
        warning.starts_with("2 of 5 probes give no finding"),
        "{warning}"
    );
    assert!(
        of(&starved(0.01, None)).is_err(),
        "nothing held, and others use most of it"
    );
    // Near misses: its own work, its own quota, a machine that has CPU left, and a hypervisor's
    // doing.
    assert_eq!(of(&starved(0.9, None).held(40, busy())), Ok(Certain));
    assert_eq!(of(&starved(0.01, Some(0.9)).held(40, busy())), Ok(Certain));
    assert_eq!(of(&late_on_a_machine(0.01, None, 0.9)), Ok(Certain));
    let quiet = || on_a_machine(0.1, 0.4);
    assert_eq!(
        of(&starved(0.01, None).held(40, quiet())),
        Ok(Possible),
        "full with the load"
    );
    let one_of_many = starved(0.01, None)
        .held(20, quiet())
        .held(30, quiet())
        .held(40, busy());
    assert_eq!(of(&one_of_many), Ok(Possible));
    let stolen = starved(0.01, None).each_second(|w| w.generator.health.cpu_steal = Some(0.4));
    assert!(of(&stolen.held(40, quiet())).is_err());
    // Without a monitor of the machine its waits tell, but not who it is that fills it.
    let mut unseen = starved(0.01, None);
    for second in &mut unseen.measurement.hold {
        second.readings.clear();
    }
    assert_eq!(of(&unseen), Ok(Possible));
    let failed = FailureKind::NoPorts;
    let lacks = starved(0.01, None).each_second(|w| w.steps[0].failed.add_n(failed, 1));
    assert_eq!(
        of(&lacks.held(40, busy())),
        Ok(Certain),
        "no others took its ports"
    );
}

#[test]
fn what_fell_down_on_a_busy_machine_serves_at_no_rate_and_the_machine_is_ruled_out() {
    let serving = |n| on_a_machine(0.1, 2.0).serves(n, 0.1, FailureKind::Status, 0);
    let held = |fallen: Scene| fallen.held(45, serving(45)).held(64, serving(61));
    let fallen = || on_a_machine(0.0, 2.0).serves(0, 0.1, FailureKind::ConnectRefused, 90);
    let gone = held(fallen().field("gateway", "up", 1.0, |t| if t < 2.0 { 1.0 } else { 0.0 }));
    assert_eq!(gone.kinds(), [(Kind::ProcessEnded, Possible)]);
    assert_eq!(gone.explained().ruled_out.len(), 1);
    // With a single level that held, too.
    assert_eq!(fallen().held(64, serving(61)).kinds(), []);
    // Nor is it a finding where throughput grew up to the knee only, and the level that broke is
    // far beyond that.
    let beyond = on_a_machine(0.1, 2.0).serves(61, 0.6, FailureKind::Status, 0);
    let kinds = beyond.held(40, serving(45)).held(64, serving(61)).kinds();
    assert!(
        !kinds.iter().any(|(kind, _)| *kind == Kind::Host),
        "{kinds:?}"
    );
    // One that serves as much as it did, on the machine that it fills, is not ruled out by a level
    // beyond its knee.
    let flat = on_a_machine(0.1, 2.0).serves(60, 0.2, FailureKind::Status, 0);
    let kinds = flat.held(
        45,
        on_a_machine(0.1, 0.9).serves(45, 0.1, FailureKind::Status, 0),
    );
    let kinds = kinds.held(64, serving(60)).kinds();
    assert!(kinds.contains(&(Kind::Host, Likely)), "{kinds:?}");
}

#[test]
fn what_read_the_same_where_the_slo_held_is_no_cause_whatever_it_is() {
    // One of each kind of rule: a state, an event that is counted, and one that the kernel counted.
    type At = fn(f64) -> Scene;
    let kinds: [(Kind, At); 5] = [
        (Kind::SingleThread, |x| {
            Scene::new().field("gateway", "main_thread_cpu", 0.1, move |_| 0.98 * x)
        }),
        (Kind::MemoryLimit, |x| {
            Scene::new()
                .field("gateway", "memory", 0.0, move |_| x * 510.0 * MIB)
                .limit("gateway", "memory", 512.0 * MIB)
        }),
        (Kind::Descriptors, |x| {
            Scene::new()
                .field("gateway", "descriptors", 30.0, move |_| x * 512.0)
                .limit("gateway", "descriptors", 512.0)
        }),
        (Kind::AcceptQueue, |x| {
            Scene::new().field("host", "listen_overflows", 0.0, move |t| 50.0 * x * t)
        }),
        (Kind::MemoryKill, |x| {
            Scene::new().field("gateway", "oom_kills", 0.0, move |t| (x * t).floor())
        }),
    ];
    for (kind, at) in kinds {
        let named = |scene: Scene| scene.kinds().first().map(|(kind, _)| *kind);
        assert_eq!(named(at(1.0).held(20, at(1.0))), None, "{kind:?}");
        assert_eq!(named(at(1.0).held(20, at(0.4))), Some(kind), "{kind:?}");
        // Used up long before the users notice: the upper levels that held show it too.
        let early = at(1.0)
            .held(20, at(0.3))
            .held(40, at(0.6))
            .held(80, at(1.0));
        assert_eq!(named(early), Some(kind), "{kind:?}");
        // Nor is a level that serves no less than the broken one free of what limits that.
        let serves = |n, scene: Scene| scene.serves(n, 0.1, FailureKind::Status, 0);
        let flat = serves(50, at(1.0)).held(50, serves(49, at(1.0)));
        assert_eq!(named(flat), Some(kind), "{kind:?}");
        let grows = serves(95, at(1.0)).held(50, serves(50, at(1.0)));
        assert_eq!(named(grows), None, "{kind:?}");
    }
}

#[test]
fn a_thread_without_rest_is_told_from_one_that_is_short_of_cpu() {
    let scene = |cpu: f64, wait: f64| {
        Scene::new()
            .field("gateway", "main_thread_cpu", 0.1, move |_| cpu)
            .field("gateway", "main_thread_wait", 0.0, move |_| wait)
    };
    let busy = scene(0.62, 0.35);
    assert_eq!(busy.kinds(), [(Kind::SingleThread, Likely)]);
    assert_eq!(
        busy.first().evidence,
        "its main thread was runnable 97 % of the time, and waited for a CPU 35 % of the time"
    );
    assert_eq!(scene(0.25, 0.72).kinds(), [], "it is kept from working");
    assert_eq!(scene(0.5, 0.2).kinds(), [], "it rests");
}

#[test]
fn an_accept_queue_that_overflows_is_named_with_its_count() {
    let scene = |n: f64| Scene::new().field("host", "listen_overflows", 7.0, move |_| 7.0 + n);
    assert_eq!(scene(4000.0).kinds(), [(Kind::AcceptQueue, Likely)]);
    assert_eq!(scene(3.0).kinds(), [(Kind::AcceptQueue, Possible)]);
}

/// A probe over a way of so many seconds a round trip, on which so many of 1 000 segments a second
/// are sent again.
fn over_a_network(round_trip_s: f64, again: u64) -> Scene {
    let mut scene = Scene::new().each_second(|w| {
        w.generator.health.segments_out = Some(1_000);
        w.generator.health.retransmits = Some(again);
    });
    scene.round_trip_s = Some(round_trip_s);
    scene
}

#[test]
fn segments_lost_on_a_long_way_are_the_networks_where_more_are_than_where_the_slo_held() {
    let lossy = over_a_network(0.04, 9);
    assert_eq!(lossy.kinds(), [(Kind::Network, Possible)]);
    let told = lossy.first();
    assert_eq!(told.resource, "the network to the target");
    assert_eq!(
        told.evidence,
        "0.90 % of our TCP segments, 180 in total, were retransmitted on a path with a round trip \
         of 40.0 ms; each adds 200 ms or more to a latency"
    );
    // With the load it loses more: a line that is full. Where it loses as much at every level it is
    // not what broke it.
    let full = over_a_network(0.04, 9).held(40, over_a_network(0.04, 1));
    assert_eq!(full.kinds(), [(Kind::Network, Possible)]);
    let always = over_a_network(0.04, 9).held(40, over_a_network(0.04, 6));
    assert_eq!(always.kinds(), [], "a third less is chance");
    assert_eq!(always.explained().ruled_out.len(), 1);
    // Near misses: within a machine it is somebody's queue, and a few are chance.
    assert_eq!(over_a_network(0.000_1, 9).kinds(), []);
    assert_eq!(over_a_network(0.04, 0).kinds(), []);
    let mut unknown = over_a_network(0.04, 9);
    unknown.round_trip_s = None;
    assert_eq!(unknown.kinds(), []);
}

#[test]
fn sheds_are_an_admission_limit_unless_more_fails() {
    let scene = |shed: u64, failed: u64| {
        Scene::new()
            .each_second(|w| {
                w.steps[1].latency = latencies(80, 0.1);
                w.steps[1].shed = shed;
                w.steps[1].failed.add_n(FailureKind::Status, failed);
            })
            .kinds()
    };
    assert_eq!(scene(20, 0), [(Kind::AdmissionLimit, Likely)]);
    assert_eq!(scene(20, 30), [(Kind::ServiceErrors, Possible)]);
    assert_eq!(scene(2, 0), [(Kind::AdmissionLimit, Possible)]);
    assert_eq!(scene(0, 0), []);
}

#[test]
fn so_much_served_and_the_rest_turned_away_is_a_limit_with_its_rate() {
    use FailureKind::{ConnectRefused, Eof, Status, Timeout};
    // 50/s held at 50; the level is 100, and others broke at 200.
    let scene = |served: u64, each_s: f64, kind, failed: u64| {
        Scene::new()
            .serves(served, each_s, kind, failed)
            .held(50, Scene::new().serves(50, 0.005, Status, 0))
    };
    let limited = |kind| scene(60, 0.005, kind, 40);
    // One broken level may be anything between 50/s and 100/s.
    assert_eq!(limited(Status).kinds()[0], (Kind::AdmissionLimit, Likely));
    let one = scene(80, 0.005, Status, 20);
    assert_eq!(one.kinds(), [(Kind::AdmissionLimit, Possible)]);
    let two = one.broke(200, Scene::new().serves(81, 0.005, Status, 119));
    assert_eq!(two.kinds(), [(Kind::AdmissionLimit, Likely)]);
    assert_eq!(
        two.first().evidence,
        "80.0/s are served at 100 VUs (and 81.0/s at 200), the rest are refused with an error \
         status: 400 of 2 000 cycles"
    );
    for kind in [ConnectRefused, Eof] {
        assert_eq!(limited(kind).kinds()[0].0, Kind::AdmissionLimit, "{kind:?}");
    }
    let closed = limited(Eof).each_second(|w| w.steps[1].failed.add_n(FailureKind::Reset, 20));
    assert_eq!(closed.kinds()[0].0, Kind::AdmissionLimit, "one way of two");
    // Near misses: failures that no limit makes, several kinds at once, few of them, a collapse,
    // and served ones that wait.
    let named = |scene: Scene| {
        scene
            .kinds()
            .iter()
            .any(|(k, _)| *k == Kind::AdmissionLimit)
    };
    assert!(!named(limited(Timeout)));
    let mixed = limited(Status).each_second(|w| w.steps[1].failed.add_n(Timeout, 30));
    assert!(!named(mixed));
    assert!(!named(scene(60, 0.005, Status, 0)));
    assert!(!named(scene(20, 0.005, Status, 80)), "a collapse");
    assert!(!named(scene(60, 0.9, Status, 40)), "a service that is slow");
}

#[test]
fn streams_that_a_server_resets_for_its_own_error_are_no_refusals() {
    let scene = |code: &str| {
        let held = Scene::new().serves(50, 0.005, FailureKind::Reset, 0);
        let broke = Scene::new()
            .serves(80, 0.005, FailureKind::Reset, 20)
            .held(50, held);
        broke.each_second(|w| {
            let message = format!("the server reset the stream without an answer: {code} (0x2)");
            let way = FailureWay {
                count: 20,
                kind: FailureKind::Reset,
                status: None,
                message,
                request: None,
                excerpt: String::new(),
            };
            w.steps[1].ways = FailureWays::default();
            w.steps[1].ways.add(way);
        })
    };
    let first = |code: &str| scene(code).kinds()[0].0;
    assert_eq!(first("REFUSED_STREAM"), Kind::AdmissionLimit);
    assert_eq!(first("INTERNAL_ERROR"), Kind::ServiceErrors);
}

#[test]
fn statuses_tell_a_refusal_from_an_error_where_they_are_known() {
    let mut cycle = StepWindow {
        latency: latencies(80, 0.9),
        ..StepWindow::default()
    };
    cycle.failed.add_n(FailureKind::Status, 20);
    let how = |statuses: &[(u16, u64)]| {
        let known = refusal::Known {
            statuses: statuses.to_vec(),
            internal: 0,
        };
        let refused = refusal::refused(&cycle, &known).expect("a way");
        (refused.how, refused.sign)
    };
    let is = |text: &str, sign| (text.to_owned(), sign);
    assert_eq!(
        how(&[(429, 20)]),
        is("with status 429", refusal::Sign::ByDesign)
    );
    assert_eq!(
        how(&[(503, 19), (500, 1)]),
        is("with status 503", refusal::Sign::ByDesign)
    );
    for (status, sign) in [
        (403, refusal::Sign::Limit),
        (409, refusal::Sign::Limit),
        (500, refusal::Sign::Failure),
        (502, refusal::Sign::Failure),
        (504, refusal::Sign::Failure),
    ] {
        assert_eq!(
            how(&[(status, 20)]),
            is(&format!("with status {status}"), sign)
        );
    }
    assert_eq!(
        how(&[(500, 11), (429, 9)]),
        is(
            "in several ways: status 500, status 429",
            refusal::Sign::Failure
        )
    );
    assert_eq!(how(&[]), is("with an error status", refusal::Sign::Limit));
}

/// So many cycles per second in so long, and so many that fail so, with what was said.
fn turned_away(
    served: u64,
    each_s: f64,
    ways: &[(FailureKind, Option<u16>, u64)],
    said: &str,
) -> Scene {
    Scene::new().each_second(|w| {
        w.steps[0].latency = latencies(served, each_s);
        w.steps[1].latency = latencies(served, each_s);
        for (kind, status, count) in ways {
            w.steps[1].failed.add_n(*kind, *count);
            w.steps[0].ways.add(FailureWay {
                count: *count,
                kind: *kind,
                status: *status,
                message: String::new(),
                request: None,
                excerpt: said.to_owned(),
            });
        }
    })
}

#[test]
fn who_is_turned_away_however_at_a_flat_goodput_without_waits_is_no_fixed_throughput() {
    use FailureKind::{Eof, Protocol, Reset, Status, Timeout};
    // 95/s held at 60 in 30 ms; at 100 as many are served as fast.
    let scene = |ways: &[(FailureKind, Option<u16>, u64)], each_s| {
        turned_away(95, each_s, ways, "busy: 25 jobs run").held(60, turned_away(94, 0.03, &[], ""))
    };
    for status in [400, 403, 409, 420, 429, 500, 502, 503, 504] {
        let one = scene(&[(Status, Some(status), 3)], 0.031);
        assert_eq!(one.kinds(), [(Kind::AdmissionLimit, Likely)], "{status}");
        let evidence = one.first().evidence;
        assert!(
            evidence.starts_with("95.0/s are served at 100 VUs (and 94.0/s at 60)")
                && evidence.contains(&format!("with status {status}"))
                && evidence.ends_with("it says \"busy: 25 jobs run\""),
            "{evidence}"
        );
    }
    let mixed = scene(&[(Status, Some(502), 2), (Reset, None, 2)], 0.031);
    assert_eq!(mixed.kinds(), [(Kind::AdmissionLimit, Likely)]);
    let how = "in several ways: status 502, closed connections";
    assert!(
        mixed.first().evidence.contains(how),
        "{}",
        mixed.first().evidence
    );
    let page = scene(&[(Protocol, None, 3)], 0.031);
    assert_eq!(page.kinds(), [(Kind::AdmissionLimit, Likely)]);
    // Near misses: who waits, waits for a fixed throughput; who times out is not turned away.
    let waits = scene(&[(Status, Some(500), 3)], 0.09);
    assert_eq!(waits.kinds(), [(Kind::Downstream, Likely)]);
    let evidence = waits.first().evidence;
    assert!(
        evidence
            .ends_with("60 of 1 960 cycles fail with status 500; it says \"busy: 25 jobs run\""),
        "{evidence}"
    );
    let times_out = scene(&[(Timeout, None, 3)], 0.06);
    assert_eq!(times_out.kinds(), [(Kind::Downstream, Possible)]);
    let both = scene(&[(Timeout, None, 3), (Eof, None, 2)], 0.06);
    assert_eq!(both.kinds()[0].0, Kind::Downstream);
    // Nobody waits, and nobody is turned away either: nothing is named, least of all a rate for
    // which somebody waits.
    assert_eq!(scene(&[(Timeout, None, 3)], 0.031).kinds(), []);
}

#[test]
fn a_service_that_fails_while_more_and_more_is_served_fails_by_itself() {
    use FailureKind::Status;
    let broke = |status| turned_away(95, 0.03, &[(Status, Some(status), 3)], "no such row");
    let held = |share: u64| turned_away(58, 0.03, &[(Status, Some(500), share)], "no such row");
    let grows = broke(500).held(60, held(0));
    assert_eq!(grows.kinds(), [(Kind::ServiceErrors, Possible)]);
    assert_eq!(
        grows.first().evidence,
        "60 of 1 960 cycles fail with status 500; it says \"no such row\""
    );
    // All of them: no goodput is left that a limit could have.
    let all = turned_away(0, 0.03, &[(Status, Some(401), 90)], "token expired");
    let all = all.held(60, held(0));
    assert_eq!(all.kinds(), [(Kind::ServiceErrors, Possible)]);
    // Another status than one of the service's own failures may be a limit at the first level that
    // shows it.
    let limit = broke(403).held(60, held(0));
    assert_eq!(limit.kinds(), [(Kind::AdmissionLimit, Possible)]);
    // What fails as much where the SLO held broke nothing, whatever it is called.
    let always = broke(500).held(60, held(2));
    assert_eq!(always.kinds(), []);
    let always = broke(403).held(60, held(2));
    assert_eq!(always.kinds(), []);
    // A machine that may be busy explains no answer.
    let mut busy = grows
        .field("host", "cpu", 0.0, |_| 2.0)
        .limit("host", "cpu", 2.0);
    busy.cpus = 2;
    let named = [(Kind::ServiceErrors, Possible), (Kind::Host, Possible)];
    assert_eq!(busy.kinds(), named);
    let grows = broke(500).held(60, held(0));
    // Whatever else is found explains it.
    let process = grows.field("app", "up", 1.0, from(100.0, 1.0)).field(
        "app",
        "oom_kills",
        0.0,
        from(5.0, 1.0),
    );
    assert_eq!(process.kinds()[0].0, Kind::MemoryKill);
    assert_eq!(process.kinds().len(), 1);
}

#[test]
fn a_fixed_throughput_without_a_queue_is_likely_where_waits_grow() {
    let served = |n, each_s| Scene::new().serves(n, each_s, FailureKind::Status, 0);
    let flat = |each_s| served(50, each_s).held(50, served(48, 0.1));
    assert_eq!(flat(1.0).kinds(), [(Kind::Downstream, Likely)]);
    assert_eq!(flat(1.0).first().resource, "throughput limit");
    assert_eq!(flat(0.1).kinds(), [(Kind::Downstream, Possible)]);
    // A full machine is a weaker reading of it, and so is a full machine a reason to doubt where no
    // process says that it has CPU.
    let full = |scene: Scene| {
        let mut scene = scene
            .field("host", "cpu", 0.0, |_| 2.0)
            .limit("host", "cpu", 2.0);
        scene.cpus = 2;
        scene
    };
    let doubtful = full(flat(1.0));
    assert_eq!(doubtful.kinds()[0], (Kind::Downstream, Possible));
    // 50/s: each of them takes 1 s, and waited so long for a CPU.
    let short = |per_cycle: f64, main: f64| {
        full(flat(1.0))
            .field("app", "cpu_wait", 0.0, move |_| 50.0 * per_cycle)
            .field("app", "main_thread_cpu", 0.0, |_| 0.3)
            .field("app", "main_thread_wait", 0.0, move |_| main)
    };
    let enough = short(0.01, 0.1);
    assert_eq!(
        enough.kinds()[0],
        (Kind::Downstream, Possible),
        "what is slow may be a service that nobody watches"
    );
    let queue = enough.field("app", "queue", 0.0, |_| 40.0);
    assert_eq!(queue.kinds()[0], (Kind::Downstream, Likely));
    let host_only = |scene: Scene| scene.kinds().iter().all(|(kind, _)| *kind == Kind::Host);
    assert!(host_only(short(0.6, 0.1)), "its threads wait for a CPU");
    assert!(host_only(short(0.01, 0.65)), "its main thread does");
}

#[test]
fn a_kind_of_line_that_is_new_in_the_broken_probe_is_quoted_whatever_it_says() {
    let served = |n| Scene::new().serves(n, 0.1, FailureKind::Status, 0);
    let held = || served(50).line(3.0, "app", "GET /items/1 200 in 12 ms");
    let said = |scene: Scene, times: u32| {
        (0..times).fold(scene, |scene, i| {
            let at = 2.0 + f64::from(i);
            let line = format!("worker {i}: no free lane, {} wait", 3 * i);
            scene.line(at, "app", &line)
        })
    };
    let unknown = said(served(90), 12).held(50, held());
    assert_eq!(unknown.kinds(), [(Kind::Log, Possible)]);
    assert_eq!(
        unknown.first().evidence,
        "the log of app has this only where the SLO broke, 12 times: \"worker 0: no free lane, 0 \
         wait\""
    );
    // It gives a limit that has no name one, and makes it surer.
    let flat = said(served(50), 12).held(50, held());
    assert_eq!(flat.kinds(), [(Kind::Downstream, Likely)]);
    assert!(
        flat.first().evidence.contains("no free lane"),
        "{:?}",
        flat.first()
    );
    // Of many new kinds the one that says why.
    let traced = said(served(90), 12);
    let traced = (0..12).fold(traced, |scene, i| {
        let line = format!("pool limit of size 20 reached, request {i} timed out");
        scene.line(9.0, "app", &line)
    });
    let traced = traced.held(50, held());
    assert!(traced.first().evidence.contains("pool limit"));
}

#[test]
fn chatter_that_grows_with_the_load_is_not_named() {
    let served = |n| Scene::new().serves(n, 0.1, FailureKind::Status, 0);
    let chatter = |scene: Scene, times: u32| {
        (0..times).fold(scene, |scene, i| {
            scene.line(2.0, "app", &format!("warning: slow request {i}"))
        })
    };
    // The same kind of line, far more often.
    let more = chatter(served(90), 150).held(50, chatter(served(50), 2));
    assert_eq!(more.kinds(), []);
    // Rare lines that the held probes missed by chance: two in 1 800 cycles, none in 1 000.
    let rare = chatter(served(90), 2).held(50, served(50));
    assert_eq!(rare.kinds(), []);
    assert_eq!(
        chatter(served(90), 150).kinds(),
        [],
        "nothing held that it could be missing from"
    );
}

#[test]
fn flat_throughput_names_the_service_whose_queue_grew_and_what_it_is_worth() {
    // 60 VUs with 1 s a cycle make 60/s; the service gives 80/s at most.
    let scene = |queue: f64| {
        Scene::new()
            .each_second(|w| {
                w.steps[0].latency = latencies(80, 1.25);
                w.steps[1].latency = latencies(80, 1.25);
            })
            .field("ai", "queue", 0.0, move |_| queue)
            .baseline(60.0, 79.0, 0.76)
    };
    let named = scene(45.0);
    assert_eq!(named.kinds(), [(Kind::Downstream, Likely)]);
    assert_eq!(named.first().resource, "ai throughput");
    assert!(
        named
            .first()
            .evidence
            .contains("80.0/s equals 61 VUs without queueing; 45 wait in its queue"),
        "{}",
        named.first().evidence
    );
    // A lighter level that held tells what a cycle takes without queueing; the one below may queue.
    let lighter = scene(45.0)
        .held(20, Scene::new().serves(40, 0.5, FailureKind::Status, 0))
        .baseline(60.0, 79.0, 0.76);
    let evidence = lighter.first().evidence;
    assert!(evidence.contains("80.0/s equals 40 VUs"), "{evidence}");
    assert_eq!(scene(0.0).kinds(), [(Kind::Downstream, Possible)]);
    // 60 VUs were below the knee: some of the 40 more are served, the queue tells that most of them
    // wait.
    let beyond = |queue: f64| {
        (scene(queue).baseline(60.0, 65.0, 0.1).kinds().first()).map(|(kind, _)| *kind)
    };
    assert_eq!(beyond(45.0), Some(Kind::Downstream));
    assert_eq!(beyond(0.0), None);
    let grows = Scene::new()
        .each_second(|w| w.steps[1].latency = latencies(80, 1.0))
        .baseline(60.0, 48.0, 1.0);
    assert_eq!(grows.kinds(), [], "throughput grew with the level");
    let explained = scene(45.0).field("gateway", "oom_kills", 0.0, from(3.0, 1.0));
    assert_eq!(
        explained.kinds(),
        [(Kind::MemoryKill, Certain)],
        "one that died serves no more either"
    );
}

#[test]
fn a_queue_that_makes_up_most_of_the_wait_tells_also_where_most_of_what_was_added_is_served() {
    // 100 VUs make 80/s where 70 made 65/s: more than a quarter of the growth, and no less than
    // three quarters of the level's.
    let scene = |queue: f64, median_s: f64| {
        Scene::new()
            .each_second(|w| {
                w.steps[0].latency = latencies(80, median_s);
                w.steps[1].latency = latencies(80, median_s);
            })
            .field("ai", "queue", 0.0, move |_| queue)
            .baseline(70.0, 65.0, 0.2)
    };
    // 50 in the queue at 80/s are 0.6 s of the 0.8 s longer; 20 are 0.25 s.
    assert_eq!(scene(50.0, 1.0).kinds(), [(Kind::Downstream, Likely)]);
    assert_eq!(scene(20.0, 1.0).kinds(), []);
    assert_eq!(scene(50.0, 0.3).kinds(), [], "nobody waits much longer");
}

#[test]
fn a_line_that_waits_for_the_next_service_is_put_down_to_that_one() {
    let scene = |ai: fn(f64) -> f64| {
        let named = Scene::new()
            .each_second(|w| w.steps[1].latency = latencies(80, 3.0))
            .field("gateway", "queue", 0.0, |t| 90.0 + 10.0 * (t % 3.0))
            .field("ai", "queue", 0.0, ai)
            .first();
        assert_eq!(named.kind, Some(Kind::Downstream));
        named.resource
    };
    // The gateway lets ten wait at the AI server, never fewer while others wait at the gateway.
    assert_eq!(scene(|t| 10.0 + (t % 2.0)), "ai throughput");
    // A queue that is empty at times holds nobody up, and one that moves is nobody's cap.
    assert_eq!(scene(|t| 20.0 * (t % 2.0)), "gateway throughput");
    assert_eq!(scene(|_| 3.0), "gateway throughput");
}

#[test]
fn a_long_queue_tells_where_nothing_can_be_compared() {
    let scene = |queue: fn(f64) -> f64| {
        Scene::new()
            .each_second(|w| w.steps[1].latency = latencies(80, 3.0))
            .field("ai", "queue", 0.0, queue)
    };
    let named = scene(|t| 10.0 * t);
    assert_eq!(named.kinds(), [(Kind::Downstream, Likely)]);
    assert_eq!(named.first().resource, "ai throughput");
    let evidence = &named.first().evidence;
    assert!(
        evidence.contains("wait in its queue on average"),
        "{evidence}"
    );
    // A moment's burst is no queue.
    let burst = scene(|t| if t < 1.5 { 20.0 } else { 0.0 });
    assert_eq!(burst.kinds(), []);
    assert_eq!(scene(|_| 4.0).kinds(), []);
}

/// The record of a hold of 8 s at a level, with a monitor's memory at its start and its growth per
/// second.
fn hold(index: usize, level: u32, start: f64, per_s: f64) -> crate::record::ProbeRecord {
    use crate::record::{HoldEnd, ProbeRecord, Purpose, SecondRecord};
    let second = |i: u32| SecondRecord {
        t_s: f64::from(i),
        span_s: 1.0,
        hold: true,
        vus: level,
        steps: Vec::new(),
        main_latency: Histogram::default(),
        generator: GeneratorWindow::default(),
        readings: vec![reading("gateway", "heap", start + f64::from(i) * per_s)],
    };
    ProbeRecord {
        index,
        purpose: Purpose::Bracket,
        level: Level(level),
        arrived_from: Level(0),
        start_s: 0.0,
        ramp_s: 1.0,
        settle_s: 4.0,
        hold_s: 8.0,
        settled: true,
        end: HoldEnd::Complete,
        verdict: crate::slo::Verdict::Held,
        reason: String::new(),
        objectives: Vec::new(),
        throughput_per_s: None,
        steps: Vec::new(),
        seconds: (0..8).map(second).collect(),
        log: Vec::new(),
        exchanges: Vec::new(),
        log_kinds: Vec::new(),
        limiting_resource: None,
        other_causes: Vec::new(),
        estimate: None,
    }
}

#[test]
fn a_leak_that_no_hold_is_long_enough_for_shows_over_all_of_them() {
    let limits = [reading("gateway", "heap", 270.0 * MIB)];
    let found = |holds: &[(f64, f64)]| {
        let probes: Vec<_> = (holds.iter().enumerate())
            .map(|(i, (start, rate))| hold(i, 40, start * MIB, rate * MIB))
            .collect();
        leaks(&probes, &limits, LevelUnit::Vus)
    };
    let leak = found(&[(30.0, 2.0), (60.0, 4.0), (120.0, 4.0), (30.0, 3.0)]);
    assert_eq!(leak.len(), 1);
    assert_eq!(leak[0].kind, Some(Kind::Leak));
    assert_eq!(leak[0].resource, "gateway heap");
    assert!(
        leak[0].evidence.contains(
            "in 4 of 4 holds, by 4.0 MiB/s at 40 VUs: 60.00 s from 30 MiB to its limit of 270 MiB"
        ),
        "{}",
        leak[0].evidence
    );
    assert_eq!(
        found(&[(30.0, 2.0), (60.0, 4.0)]),
        [],
        "two holds may be chance"
    );
    assert_eq!(
        found(&[(30.0, 0.1), (60.0, 0.2), (90.0, 0.1)]),
        [],
        "next to nothing of the limit"
    );
    assert_eq!(
        found(&[
            (30.0, 4.0),
            (60.0, 4.0),
            (90.0, 4.0),
            (90.0, -9.0),
            (90.0, -9.0)
        ]),
        [],
        "a collector frees it in between"
    );
}
