//! Made-up but likely records for the tests of reports. The same arguments give the same record.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "made-up numbers of a modest size"
)]

use std::time::Duration;

use breakpoint::measure::{
    Exchange, FailureKind, FailureWay, GeneratorHealth, GeneratorWindow, Histogram, Level,
    LevelUnit, Reading,
};
use breakpoint::record::{
    Answer, Band, Breach, CauseKind, Curve, CurvePoint, CurveScale, Ending, Environment, HoldEnd,
    LimitingResource, LogRecord, Noticed, NoticedKind, ObjectiveRecord, Outlook, PlanRecord,
    ProbeRecord, Purpose, RAMP_SCHEMA_VERSION, RampEnding, RampRecord, RampSecond, ReferenceRun,
    RunRecord, SCHEMA_VERSION, SecondRecord, StageRecord, StageSpan, StepRecord, StepSecond,
    Sureness, VisitSummary,
};
use breakpoint::slo::Verdict;

const MIB: f64 = 1024.0 * 1024.0;

/// A small deterministic source of noise.
struct Noise(u64);

impl Noise {
    /// Between -1 and 1.
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / f64::from(1_u32 << 30) - 1.0
    }
}

/// How a made-up service behaves.
#[derive(Clone, Copy)]
struct Shape {
    /// Where it breaks.
    truth: f64,
    /// Whether it dies (memory) rather than slows down.
    crashes: bool,
    /// Seconds of each hold.
    hold: u32,
    /// Relative noise of a probe's p99.
    noise: f64,
}

fn answer(ending: Ending, reason: &str) -> Answer {
    Answer::unmeasured(ending, reason.to_owned(), 0.95, 0.05)
}

/// A record without a probe.
pub(crate) fn empty() -> RunRecord {
    RunRecord {
        schema_version: SCHEMA_VERSION,
        breakpoint_version: "0.1.0".to_owned(),
        profile: "gateway-512mb".to_owned(),
        started_at: "2026-11-22T17:44:13Z".to_owned(),
        finished_at: "2026-11-22T17:57:02Z".to_owned(),
        slo: vec!["p99(answer)<2s".to_owned(), "errors<1%".to_owned()],
        answer: answer(
            Ending::TargetDown,
            "http://127.0.0.1:8080 refused the connection.",
        ),
        plan: PlanRecord {
            target: "http://127.0.0.1:8080".to_owned(),
            engine: "native".to_owned(),
            steps: ["open", "ask", "answer", "cycle"]
                .map(str::to_owned)
                .to_vec(),
            main_step: 2,
            think_s: 10.0,
            unit: LevelUnit::Vus,
            arrivals: None,
            populations: Vec::new(),
            min_level: 10,
            max_level: 5000,
            budget_s: 900.0,
            longest_s: None,
            pace_per_s: 50.0,
            seed: 1,
            limits: vec![
                reading("gateway", "memory", Some(512.0 * MIB)),
                reading("redis", "used_memory", Some(512.0 * MIB)),
                reading("gateway", "cpu", Some(1.0)),
            ],
            required: None,
            command: Vec::new(),
            insecure: false,
            http: None,
            streams_per_connection: None,
            addresses: Vec::new(),
        },
        environment: Environment {
            kernel: "Linux 6.12".to_owned(),
            cpus: 2,
            descriptor_limit: 20_000,
            platform: "x86_64-unknown-linux-gnu".to_owned(),
            local_addresses: Vec::new(),
            cpu_model: Some("Imaginary CPU @ 2.50GHz".to_owned()),
            memory_bytes: Some(4_102_029_312),
        },
        warnings: Vec::new(),
        probes: Vec::new(),
    }
}

fn reading(monitor: &str, field: &str, value: Option<f64>) -> Reading {
    Reading {
        monitor: monitor.to_owned(),
        field: field.to_owned(),
        value,
    }
}

/// A run over the levels given.
fn run(shape: Shape, levels: &[(u32, Purpose)]) -> RunRecord {
    let mut record = empty();
    let mut noise = Noise(7);
    let mut clock = 0.0;
    let mut before = 0;
    for (index, &(vus, purpose)) in levels.iter().enumerate() {
        let probe = probe(shape, index, (before, vus), purpose, (&mut noise, clock));
        clock += probe.ramp_s + probe.settle_s + probe.hold_s + 3.0;
        before = vus;
        record.probes.push(probe);
    }
    record.answer.search_s = clock;
    record
}

/// How a step failed in a probe that broke, with words that nobody should take for markup.
fn failures(verdict: Verdict, failed: &[(FailureKind, u64)]) -> Vec<FailureWay> {
    if verdict != Verdict::Broke {
        return Vec::new();
    }
    let mut ways: Vec<FailureWay> = failed
        .iter()
        .map(|(kind, count)| FailureWay {
            count: *count,
            kind: *kind,
            status: None,
            message: format!("words of `{}`", kind.name()),
            request: Some("POST /questions".to_owned()),
            excerpt: String::new(),
        })
        .collect();
    ways.push(FailureWay {
        count: 3,
        kind: FailureKind::Status,
        status: Some(503),
        message: "{\"error\":\"queue full\"}".to_owned(),
        request: Some("POST /questions".to_owned()),
        excerpt: "{\"error\":\"<b>queue</b> full\"} | =cmd \u{202e}".to_owned(),
    });
    ways
}

fn exchanges(verdict: Verdict, dead: bool) -> Vec<Exchange> {
    if verdict != Verdict::Broke || dead {
        return Vec::new();
    }
    vec![Exchange {
        step: "ask".to_owned(),
        kind: FailureKind::Status,
        status: Some(503),
        text: "> POST /questions HTTP/1.1\n> authorization: ***\n< HTTP/1.1 503 Service \
            Unavailable\n<\n< <script>alert(1)</script> end"
            .to_owned(),
    }]
}

fn p99_at(shape: Shape, vus: u32) -> f64 {
    let load = f64::from(vus) / shape.truth;
    0.35 + 1.65 * load.powi(9).min(9.0)
}

fn probe(
    shape: Shape,
    index: usize,
    (before, vus): (u32, u32),
    purpose: Purpose,
    (noise, clock): (&mut Noise, f64),
) -> ProbeRecord {
    let dead = shape.crashes && f64::from(vus) > shape.truth;
    let p99 = p99_at(shape, vus) * (1.0 + shape.noise * noise.next());
    let verdict = match p99 / 2.0 {
        _ if dead => Verdict::Broke,
        r if r > 1.04 => Verdict::Broke,
        r if r > 0.96 => Verdict::Undecided,
        _ => Verdict::Held,
    };
    let rate = (f64::from(vus) / 11.0).min(100.0) * (1.0 + 0.01 * noise.next());
    let completed = if dead {
        0
    } else {
        (rate * f64::from(shape.hold)) as u64
    };
    let failed = match verdict {
        Verdict::Broke if dead => vec![
            (FailureKind::ConnectRefused, u64::from(vus)),
            (FailureKind::Reset, u64::from(vus) / 3),
        ],
        Verdict::Broke => vec![(FailureKind::Timeout, completed / 60)],
        _ => Vec::new(),
    };
    let ramp_s = f64::from(before.abs_diff(vus)) / 50.0;
    let settle_s = 4.0 + (2.0 * noise.next()).round();
    let steps = ["open", "ask", "answer", "cycle"].map(|step| StepRecord {
        step: step.to_owned(),
        completed,
        failed: if step == "cycle" {
            failed.clone()
        } else {
            Vec::new()
        },
        failures: if step == "ask" {
            failures(verdict, &failed)
        } else {
            Vec::new()
        },
        shed: if verdict == Verdict::Broke {
            completed / 40
        } else {
            0
        },
        in_flight: u64::from(vus) / 11,
        oldest_in_flight_s: Some(p99 * 1.1),
        latency: latency(p99, if dead { 0 } else { 400 }),
    });
    let from = clock + ramp_s;
    let estimate = (index >= 8).then(|| {
        let half = shape.truth * 0.2 / ((index - 6) as f64).sqrt();
        let middle = shape.truth * (1.0 + 0.1 * noise.next() / (index - 6) as f64);
        (middle - half, middle, middle + half)
    });
    ProbeRecord {
        index,
        purpose,
        level: Level(vus),
        arrived_from: Level(before),
        start_s: clock,
        ramp_s,
        settle_s,
        hold_s: f64::from(shape.hold),
        settled: !dead,
        end: if dead {
            HoldEnd::LeftEarly
        } else {
            HoldEnd::Complete
        },
        verdict,
        reason: if verdict == Verdict::Held {
            "every objective held".to_owned()
        } else {
            format!("p99(answer)<2s: {p99:.2} s, \"quoted\"")
        },
        objectives: objectives(verdict, (!dead).then_some(p99), completed),
        throughput_per_s: (!dead).then_some(rate),
        steps: steps.to_vec(),
        seconds: seconds(shape, (vus, dead), (settle_s, from, p99), noise),
        log: Vec::new(),
        exchanges: exchanges(verdict, dead),
        log_kinds: Vec::new(),
        limiting_resource: None,
        other_causes: Vec::new(),
        estimate: estimate.map(Band::from),
    }
}

fn objectives(verdict: Verdict, p99: Option<f64>, completed: u64) -> Vec<ObjectiveRecord> {
    let total = completed as f64;
    vec![
        ObjectiveRecord {
            objective: "p99(answer)<2s".to_owned(),
            observed: p99,
            bound: 2.0,
            bad: Some((total * 0.01).round()),
            total: Some(total),
            verdict,
        },
        ObjectiveRecord {
            objective: "errors<1%".to_owned(),
            observed: (completed > 0).then_some(0.001),
            bound: 0.01,
            bad: None,
            total: None,
            verdict: Verdict::Held,
        },
    ]
}

fn latency(p99: f64, count: u32) -> Histogram {
    // An exponential distribution with that 99th percentile.
    Histogram::of((0..count).map(|i| {
        let u = (f64::from(i) + 0.5) / f64::from(count);
        Duration::from_secs_f64(p99 / 100_f64.ln() * -(1.0 - u).ln())
    }))
}

fn seconds(
    shape: Shape,
    (vus, dead): (u32, bool),
    (settle_s, from, p99): (f64, f64, f64),
    noise: &mut Noise,
) -> Vec<SecondRecord> {
    let settle = settle_s as u32;
    let load = f64::from(vus) / shape.truth;
    (0..settle + shape.hold)
        .map(|i| {
            let memory = (90.0 + 400.0 * load + 6.0 * noise.next()).min(511.0) * MIB;
            let per_second = (f64::from(vus) / 11.0).min(100.0) as u64;
            let step = StepSecond {
                completed: if dead { 0 } else { per_second },
                failed: u64::from(dead) * u64::from(vus),
                shed: 0,
                in_flight: u64::from(vus) / 11,
                oldest_in_flight_s: Some(p99 * 0.9),
                p50_s: (!dead).then_some(p99 / 6.6),
                p99_s: (!dead).then_some(p99 * (1.0 + 0.1 * noise.next())),
            };
            let gap = i % 7 == 3;
            SecondRecord {
                t_s: from + f64::from(i) + 1.0,
                span_s: 1.0,
                hold: i >= settle,
                vus,
                steps: vec![step; 4],
                main_latency: latency(p99, if dead { 0 } else { 12 }),
                generator: GeneratorWindow {
                    lag_p99_s: (i % 5 != 4).then_some(0.0004 + 0.0002 * noise.next()),
                    cpu_cores: Some(0.05 + 0.26 * load.min(1.3) + 0.01 * noise.next()),
                    descriptors: Some(u64::from(vus) + 40),
                    health: GeneratorHealth {
                        thread_cpu: Some(0.04 + 0.15 * load.min(1.3)),
                        woke_late_p99_s: Some(0.0005),
                        read_late_p99_s: Some(0.0002),
                        sends: u64::from(vus),
                        segments_out: Some(u64::from(vus) * 3),
                        retransmits: Some(0),
                        cpu_pressure: Some(0.1),
                        ..GeneratorHealth::default()
                    },
                },
                readings: vec![
                    reading("gateway", "cpu", Some((0.1 + 0.8 * load).min(1.0))),
                    reading("gateway", "memory", (!gap).then_some(memory)),
                    reading("gateway", "oom_kills", Some(f64::from(dead && i > settle))),
                    reading("redis", "clients", Some(f64::from(vus) / 100.0 + 3.0)),
                    reading("redis", "used_memory", Some((20.0 + 30.0 * load) * MIB)),
                ],
            }
        })
        .collect()
}

fn visit(record: &RunRecord, verdict: Verdict) -> Option<VisitSummary> {
    let of = record.probes.iter().filter(|p| p.verdict == verdict);
    let probe = if verdict == Verdict::Held {
        of.max_by_key(|p| p.level)?
    } else {
        of.min_by_key(|p| p.level)?
    };
    Some(VisitSummary {
        probe: probe.index,
        level: probe.level,
        observed: probe.objectives[0]
            .observed
            .map_or("none completed".to_owned(), |v| {
                format!("p99(answer) {v:.2} s")
            }),
        error_ratio: if verdict == Verdict::Broke {
            0.0041
        } else {
            0.0
        },
        shed_ratio: 0.0,
    })
}

fn search_levels(truth: u32, refine: u32) -> Vec<(u32, Purpose)> {
    let mut levels = Vec::new();
    let mut level = 10;
    while level < truth {
        levels.push((level, Purpose::Bracket));
        level *= 2;
    }
    levels.push((level, Purpose::Bracket));
    for part in [0.75, 0.9, 1.05] {
        let level = (f64::from(truth) * part) as u32;
        levels.push((level, Purpose::Narrow));
    }
    for i in 0..refine {
        let offset = f64::from((i * 7) % 11) / 10.0 - 0.5;
        let level = (f64::from(truth) * (1.0 + 0.14 * offset)) as u32;
        levels.push((level, Purpose::Refine));
    }
    levels
}

/// A breakpoint found with thirty-odd noisy probes.
pub(crate) fn found() -> RunRecord {
    let shape = Shape {
        truth: 1184.0,
        crashes: false,
        hold: 30,
        noise: 0.12,
    };
    let mut record = run(shape, &search_levels(1184, 21));
    record.answer = Answer {
        breakpoint: Some(1184),
        ci_low: Some(1150),
        ci_high: Some(1215),
        precision_reached: Some(0.0274),
        as_narrow_as_asked: true,
        last_held: visit(&record, Verdict::Held),
        first_broke: visit(&record, Verdict::Broke),
        broken_objective: Some("p99(answer)<2s".to_owned()),
        knee: Some(1095),
        peak_throughput_per_s: Some(100.9),
        visits: 24,
        rests_on_s: 630.0,
        outlook: Some(Outlook::Time {
            more_s: 300.0,
            half_width: 0.0229,
            asked_in_s: Some(96.0),
        }),
        search_s: record.answer.search_s,
        distribution: vec![(1150.0, 0.025), (1184.0, 0.5), (1215.0, 0.975)],
        ..answer(Ending::Found, "the interval is as narrow as asked.")
    };
    record
}

/// A search too short for one number: an interval, what it noticed, and what it cannot know.
pub(crate) fn bracketed() -> RunRecord {
    let shape = Shape {
        truth: 70.0,
        crashes: false,
        hold: 12,
        noise: 0.2,
    };
    let mut record = run(shape, &search_levels(70, 5));
    record.plan.budget_s = 240.0;
    record.answer = Answer {
        ci_low: Some(59),
        ci_high: Some(83),
        precision_reached: Some(0.169),
        last_held: visit(&record, Verdict::Held),
        first_broke: visit(&record, Verdict::Broke),
        broken_objective: Some("p99(answer)<2s".to_owned()),
        visits: 5,
        rests_on_s: 60.0,
        search_s: record.answer.search_s,
        ..answer(
            Ending::Bracketed,
            "four minutes are too short to say more than between 59 and 83 VUs.",
        )
    };
    record.answer.unseen = Some("a pause of 3 s every 5 min would not have been seen.".to_owned());
    record
}

/// A search that warmed up, noticed something of every kind, and has the curves of its fits.
pub(crate) fn fitted() -> RunRecord {
    let shape = Shape {
        truth: 1184.0,
        crashes: false,
        hold: 30,
        noise: 0.12,
    };
    let mut levels = search_levels(1184, 12);
    levels.insert(0, (10, Purpose::WarmUp));
    let mut record = run(shape, &levels);
    let warm_up = &mut record.probes[0];
    warm_up.verdict = Verdict::Undecided;
    "a warm-up is not judged".clone_into(&mut warm_up.reason);
    let end = record.answer.search_s;
    let noticed = |kind, from: f64, to: f64, text: &str| Noticed {
        kind,
        text: text.to_owned(),
        from_s: from,
        to_s: to,
    };
    let curve = |objective, scale, at: &dyn Fn(f64) -> f64, spread: f64| Curve {
        objective,
        scale,
        points: (0..=40)
            .map(|i| {
                let level = 300.0 + 25.0 * f64::from(i);
                let factor = 1.0 + spread * (1.0 + (level - 1184.0).abs() / 300.0);
                CurvePoint::from((level, at(level) / factor, at(level), at(level) * factor))
            })
            .collect(),
    };
    let share = |level: f64| 0.0005 * (level / 1000.0).powi(18).min(400.0);
    record.answer = Answer {
        breakpoint: Some(1184),
        ci_low: Some(1150),
        ci_high: Some(1215),
        precision_reached: Some(0.0274),
        last_held: visit(&record, Verdict::Held),
        first_broke: visit(&record, Verdict::Broke),
        broken_objective: Some("p99(answer)<2s".to_owned()),
        visits: 15,
        rests_on_s: 450.0,
        search_s: end,
        noticed: vec![
            noticed(
                NoticedKind::WarmedUp,
                0.0,
                95.0,
                "the median of 10 VUs fell from 210 ms to 80 ms.",
            ),
            noticed(
                NoticedKind::Grew,
                0.3 * end,
                0.55 * end,
                "1 280 VUs broke at 4 min and held from 9 min on.",
            ),
            noticed(
                NoticedKind::ChanceEvents,
                0.5 * end,
                0.5 * end + 2.0,
                "two pauses of 2 s, 3 min apart.",
            ),
            noticed(
                NoticedKind::ChanceEvents,
                0.8 * end,
                0.8 * end + 2.0,
                "two pauses of 2 s, 3 min apart.",
            ),
            noticed(
                NoticedKind::Credit,
                0.82 * end,
                end,
                "1 200 VUs held for 60 s and not for longer.",
            ),
        ],
        unseen: Some("a pause of 3 s every 15 min would not have been seen.".to_owned()),
        curves: vec![
            curve(
                0,
                CurveScale::Latency,
                &|level| p99_at(shape, level as u32),
                0.12,
            ),
            curve(1, CurveScale::Share, &share, 0.4),
        ],
        ..answer(Ending::Found, "the budget is spent.")
    };
    record
}

/// A service that is killed for memory: nothing completes above its breakpoint.
pub(crate) fn crashed() -> RunRecord {
    let shape = Shape {
        truth: 1010.0,
        crashes: true,
        hold: 20,
        noise: 0.05,
    };
    let mut record = run(shape, &search_levels(1010, 9));
    record.answer = Answer {
        breakpoint: Some(1010),
        ci_low: Some(986),
        ci_high: Some(1031),
        precision_reached: Some(0.022),
        as_narrow_as_asked: true,
        last_held: visit(&record, Verdict::Held),
        first_broke: visit(&record, Verdict::Broke),
        broken_objective: Some("errors<1%".to_owned()),
        limiting_resource: Some(LimitingResource {
            kind: Some(CauseKind::MemoryKill),
            resource: "gateway memory".to_owned(),
            evidence: "511 of 512 MiB, OOM-killed once".to_owned(),
            sureness: Sureness::Certain,
        }),
        visits: 12,
        rests_on_s: 180.0,
        outlook: Some(Outlook::Visit {
            level: Level(995),
            takes_s: 71.4,
            held: Level(981),
            broke: Level(1010),
        }),
        ..answer(Ending::Found, "the interval is as narrow as asked.")
    };
    record
}

/// The SLO held up to the maximum.
pub(crate) fn never_broke() -> RunRecord {
    let shape = Shape {
        truth: 90_000.0,
        crashes: false,
        hold: 10,
        noise: 0.1,
    };
    let levels: Vec<_> = [10, 40, 160, 640, 2560, 5000, 5000]
        .map(|l| (l, Purpose::Bracket))
        .to_vec();
    let mut record = run(shape, &levels);
    record.answer = Answer {
        ci_low: Some(5000),
        last_held: visit(&record, Verdict::Held),
        ..answer(Ending::NeverBroke, "the maximum held twice.")
    };
    record
}

/// The SLO broke at the lowest level.
pub(crate) fn broke_at_minimum() -> RunRecord {
    let shape = Shape {
        truth: 4.0,
        crashes: false,
        hold: 10,
        noise: 0.05,
    };
    let mut record = run(shape, &[(10, Purpose::Bracket), (10, Purpose::Confirm)]);
    record.answer = Answer {
        ci_high: Some(10),
        first_broke: visit(&record, Verdict::Broke),
        broken_objective: Some("p99(answer)<2s".to_owned()),
        ..answer(Ending::BrokeAtMinimum, "the minimum broke twice.")
    };
    record
}

/// Stopped during its first probe.
pub(crate) fn interrupted() -> RunRecord {
    let shape = Shape {
        truth: 100.0,
        crashes: false,
        hold: 5,
        noise: 0.0,
    };
    let mut record = run(shape, &[(40, Purpose::Bracket)]);
    record.probes[0].end = HoldEnd::Interrupted;
    record.probes[0].verdict = Verdict::Undecided;
    record.answer = answer(Ending::Interrupted, "stopped by Ctrl-C.");
    record
}

/// A breakpoint far below the highest level visited.
pub(crate) fn wide() -> RunRecord {
    let shape = Shape {
        truth: 300.0,
        crashes: false,
        hold: 4,
        noise: 0.05,
    };
    let levels =
        [1, 10, 100, 1000, 10_000, 60_000, 250, 320, 290, 310].map(|l| (l, Purpose::Narrow));
    let mut record = run(shape, &levels);
    record.answer = Answer {
        breakpoint: Some(300),
        ci_low: Some(280),
        ci_high: None,
        knee: Some(300),
        ..answer(Ending::Undecided, "12 more minutes would decide.")
    };
    record.slo = vec!["errors<1%".to_owned()];
    record
}

/// Two probes, nothing completed, no monitor, no readings, all at one level.
pub(crate) fn silent() -> RunRecord {
    let shape = Shape {
        truth: 1.0,
        crashes: true,
        hold: 3,
        noise: 0.0,
    };
    let mut record = run(shape, &[(50, Purpose::Bracket), (50, Purpose::Bracket)]);
    for probe in &mut record.probes {
        probe.throughput_per_s = Some(0.0);
        for second in &mut probe.seconds {
            second.readings.clear();
            second.generator = GeneratorWindow::default();
        }
    }
    record.plan.limits.clear();
    record.answer = answer(Ending::GeneratorLimited, "no descriptor was left.");
    record
}

/// Three short probes with gaps, a crash and an invalid one: small enough to be read as a table.
pub(crate) fn small() -> RunRecord {
    let shape = Shape {
        truth: 1000.0,
        crashes: true,
        hold: 2,
        noise: 0.05,
    };
    let levels = [
        (40, Purpose::Bracket),
        (900, Purpose::Narrow),
        (1200, Purpose::Refine),
    ];
    let mut record = run(shape, &levels);
    record.probes[1].end = HoldEnd::Invalid;
    record.probes[1].verdict = Verdict::Undecided;
    record.probes[1].estimate = Some(Band::from((910.5, 1003.25, 1100.0)));
    let broke = &mut record.probes[2];
    let at = broke.start_s;
    broke.log = [
        (0.0, "gateway", "ended with exit code 137"),
        (7.0, "gateway", "connect ECONNREFUSED, \"again\""),
        (8.0, "gateway", "connect ECONNREFUSED, \"again\""),
        (9.0, "redis", "overcoming of output buffer limits"),
        (9.0, "gateway", "\u{2026} 12 more lines"),
    ]
    .map(|(after, monitor, text)| LogRecord {
        at_s: at + after,
        monitor: monitor.to_owned(),
        text: text.to_owned(),
    })
    .to_vec();
    record.answer = answer(Ending::Undecided, "the generator lagged in 1 of 3 probes");
    record.warnings = vec!["the host was busy with something else".to_owned()];
    record
}

/// A ramp without a stage, whose target never came up.
pub(crate) fn ramp_down() -> RampRecord {
    let run = empty();
    let mut start_s = 0.0;
    let asked = [
        (0, 400, 10),
        (400, 1200, 20),
        (1200, 1600, 20),
        (1600, 0, 10),
    ];
    let asked = asked.map(|(from, to, lasts)| {
        let lasts_s = f64::from(lasts);
        start_s += lasts_s;
        StageSpan {
            from: Level(from),
            to: Level(to),
            start_s: start_s - lasts_s,
            lasts_s,
        }
    });
    RampRecord {
        schema_version: RAMP_SCHEMA_VERSION,
        breakpoint_version: run.breakpoint_version,
        profile: run.profile,
        started_at: run.started_at,
        finished_at: run.finished_at,
        slo: run.slo,
        ending: RampEnding::TargetDown,
        reason: "http://127.0.0.1:8080 refused the connection.".to_owned(),
        breach: None,
        reference_run: None,
        plan: PlanRecord {
            min_level: 0,
            max_level: 1600,
            ..run.plan
        },
        environment: run.environment,
        warnings: Vec::new(),
        asked: asked.to_vec(),
        stages: Vec::new(),
    }
}

/// A ramp over a service that dies at 1 184 VUs, with a `find` run beside it.
pub(crate) fn ramp() -> RampRecord {
    let mut record = ramp_down();
    record.ending = RampEnding::Complete;
    "every stage ran".clone_into(&mut record.reason);
    let mut noise = Noise(7);
    let asked = record.asked.clone();
    let stages = asked.iter().enumerate();
    record.stages = stages.map(|(i, s)| stage(i, s, &mut noise)).collect();
    record.breach = Some(Breach {
        t_s: 32.0,
        stage: 2,
        level: Level(1240),
        vus: 1238,
        objectives: vec![
            ObjectiveRecord {
                bad: Some(47.0),
                ..objectives(Verdict::Broke, Some(1.2), 400)[0].clone()
            },
            ObjectiveRecord {
                observed: Some(0.117),
                verdict: Verdict::Broke,
                ..objectives(Verdict::Held, Some(1.2), 400)[1].clone()
            },
        ],
    });
    record.reference_run = Some(ReferenceRun {
        started_at: "2026-11-22T16:12:40Z".to_owned(),
        breakpoint: Level(1184),
        ci_low: Some(Level(1150)),
        ci_high: Some(Level(1215)),
    });
    record
}

/// A ramp that the user stopped in its second stage, before anything broke.
pub(crate) fn ramp_interrupted() -> RampRecord {
    let mut record = ramp();
    record.ending = RampEnding::Interrupted;
    "stopped before its end; results kept".clone_into(&mut record.reason);
    record.breach = None;
    record.stages.truncate(2);
    record.stages[1].end = HoldEnd::Interrupted;
    record.stages[1].seconds.truncate(7);
    record.stages[1].measured_s = 7.0;
    record
}

/// A ramp whose generator had no CPU left in its third stage.
pub(crate) fn ramp_invalid() -> RampRecord {
    let mut record = ramp();
    let reason = "the generator had no CPU left: it was more than 200 ms late in 9 of 20 seconds";
    record.ending = RampEnding::GeneratorLimited;
    record.reason = format!("stage 3: {reason}");
    record.breach = None;
    record.reference_run = None;
    let stage = &mut record.stages[2];
    stage.end = HoldEnd::Invalid;
    stage.verdict = Verdict::Undecided;
    reason.clone_into(&mut stage.reason);
    stage.limiting_resource = None;
    record.stages.truncate(3);
    record
}

/// Ramps of all kinds with their names.
pub(crate) fn ramps() -> Vec<(&'static str, RampRecord)> {
    vec![
        ("ramp", ramp()),
        ("interrupted", ramp_interrupted()),
        ("invalid", ramp_invalid()),
        ("down", ramp_down()),
    ]
}

fn stage(index: usize, asked: &StageSpan, noise: &mut Noise) -> StageRecord {
    let shape = Shape {
        truth: 1184.0,
        crashes: true,
        hold: 1,
        noise: 0.05,
    };
    let (from, to) = (f64::from(asked.from.0), f64::from(asked.to.0));
    let mean_level = f64::midpoint(from, to);
    // Made of a probe at the mean level, and of one per second at the second's.
    let whole = probe(
        shape,
        index,
        (0, mean_level as u32),
        Purpose::Bracket,
        (noise, 0.0),
    );
    let seconds = (1..=asked.lasts_s as u32).map(|i| {
        let level = (from + (to - from) * f64::from(i) / asked.lasts_s).round() as u32;
        let dead = asked.start_s >= 30.0 && asked.start_s + f64::from(i) > 30.0;
        let at = asked.start_s + f64::from(i) - 1.0;
        let p99 = p99_at(shape, level);
        let mut seen = seconds(shape, (level, dead), (0.0, at, p99), noise).remove(0);
        seen.hold = true;
        RampSecond {
            level: Level(level),
            seen,
        }
    });
    let seconds: Vec<RampSecond> = seconds.collect();
    let vus = seconds.iter().map(|s| s.seen.vus).max();
    StageRecord {
        index,
        asked: *asked,
        measured_s: asked.lasts_s,
        mean_level,
        vus_reached: vus.unwrap_or(0),
        end: HoldEnd::Complete,
        verdict: whole.verdict,
        reason: whole.reason,
        objectives: whole.objectives,
        throughput_per_s: whole.throughput_per_s,
        steps: whole.steps,
        other_causes: Vec::new(),
        limiting_resource: (whole.verdict == Verdict::Broke).then(|| LimitingResource {
            kind: None,
            resource: "gateway memory".to_owned(),
            evidence: "OOM-killed once at its limit of 512 MiB".to_owned(),
            sureness: Sureness::Certain,
        }),
        log: lines_of_a_crash(asked),
        exchanges: whole.exchanges,
        log_kinds: Vec::new(),
        seconds,
    }
}

/// What a gateway logs that is killed half a minute into the ramp.
fn lines_of_a_crash(stage: &StageSpan) -> Vec<LogRecord> {
    if !(30.0..31.0).contains(&stage.start_s) {
        return Vec::new();
    }
    vec![LogRecord {
        at_s: stage.start_s + 1.0,
        monitor: "gateway".to_owned(),
        text: "gateway ended with exit code 137".to_owned(),
    }]
}

/// Every made-up record with its name.
pub(crate) fn all() -> Vec<(&'static str, RunRecord)> {
    vec![
        ("empty", empty()),
        ("found", found()),
        ("bracketed", bracketed()),
        ("fitted", fitted()),
        ("crashed", crashed()),
        ("never_broke", never_broke()),
        ("broke_at_minimum", broke_at_minimum()),
        ("interrupted", interrupted()),
        ("wide", wide()),
        ("silent", silent()),
        ("small", small()),
    ]
}
