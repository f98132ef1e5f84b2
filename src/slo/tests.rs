//! The grammar as tables, and the verdict as a decision table.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::measure::{
    FailureCounts, FailureKind, GeneratorWindow, Histogram, Level, Reading, Second, StepWindow,
    Window,
};
use crate::stats::tail::{RATIOS, Tail};

// ---- the grammar ----

fn one(text: &str) -> Objective {
    let slo = Slo::parse([text]).unwrap_or_else(|e| panic!("{text}: {e}"));
    assert_eq!(slo.objectives().len(), 1, "{text}");
    slo.objectives()[0].clone()
}

fn quantile(q: f64, step: Option<&str>) -> Metric {
    Metric::Quantile {
        q,
        step: step.map(str::to_owned),
    }
}

fn field(monitor: &str, field: &str) -> Metric {
    Metric::Monitor {
        monitor: monitor.to_owned(),
        field: field.to_owned(),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_spelling_means_what_the_help_says() {
    use Comparison::{Eq, Ge, Gt, Le, Lt};
    let answer = Some("answer".to_owned());
    let table: Vec<(&str, Metric, Comparison, f64, &str)> = vec![
        ("p99<2s", quantile(0.99, None), Lt, 2.0, "p99<2s"),
        ("p(99)<2000", quantile(0.99, None), Lt, 2.0, "p(99)<2000"),
        (
            "p95(answer)<=300ms",
            quantile(0.95, Some("answer")),
            Le,
            0.3,
            "p95(answer)<=300ms",
        ),
        (
            "p(95)(answer)<300",
            quantile(0.95, Some("answer")),
            Lt,
            0.3,
            "p(95)(answer)<300",
        ),
        ("p99.9<1m", quantile(0.999, None), Lt, 60.0, "p99.9<1m"),
        ("p99.9.lt.1s", quantile(0.999, None), Lt, 1.0, "p99.9<1s"),
        ("med<1s", quantile(0.5, None), Lt, 1.0, "med<1s"),
        (
            "avg<100ms",
            Metric::Mean { step: None },
            Lt,
            0.1,
            "avg<100ms",
        ),
        (
            "mean:0.1s",
            Metric::Mean { step: None },
            Le,
            0.1,
            "mean<=0.1s",
        ),
        (
            "max(answer)<5s",
            Metric::Max {
                step: answer.clone(),
            },
            Lt,
            5.0,
            "max(answer)<5s",
        ),
        ("p99:2s", quantile(0.99, None), Le, 2.0, "p99<=2s"),
        ("p99.lt.2s", quantile(0.99, None), Lt, 2.0, "p99<2s"),
        ("p99.le.2s", quantile(0.99, None), Le, 2.0, "p99<=2s"),
        (
            "errors<1%",
            Metric::Errors { step: None },
            Lt,
            0.01,
            "errors<1%",
        ),
        (
            "errors<=0",
            Metric::Errors { step: None },
            Le,
            0.0,
            "errors<=0",
        ),
        (
            "error_rate(answer)<0.05",
            Metric::Errors {
                step: answer.clone(),
            },
            Lt,
            0.05,
            "error_rate(answer)<0.05",
        ),
        ("shed<5%", Metric::Shed { step: None }, Lt, 0.05, "shed<5%"),
        ("rps>50", Metric::Rps { step: None }, Gt, 50.0, "rps>50"),
        (
            "rps(answer)>=50/s",
            Metric::Rps { step: answer },
            Ge,
            50.0,
            "rps(answer)>=50/s",
        ),
        ("rps.gt.50", Metric::Rps { step: None }, Gt, 50.0, "rps>50"),
        (
            "gateway.oom_kills==0",
            field("gateway", "oom_kills"),
            Eq,
            0.0,
            "gateway.oom_kills==0",
        ),
        (
            "gateway.oom_kills.eq.0",
            field("gateway", "oom_kills"),
            Eq,
            0.0,
            "gateway.oom_kills==0",
        ),
        (
            "gateway.memory<480MiB",
            field("gateway", "memory"),
            Lt,
            480.0 * 1024.0 * 1024.0,
            "gateway.memory<480MiB",
        ),
        (
            "gateway.cpu<=90%",
            field("gateway", "cpu"),
            Le,
            0.9,
            "gateway.cpu<=90%",
        ),
        (
            "redis-1.lag.ge.1m30s",
            field("redis-1", "lag"),
            Ge,
            90.0,
            "redis-1.lag>=1m30s",
        ),
        (
            "  p99 ( answer )  <  2 s ",
            quantile(0.99, Some("answer")),
            Lt,
            2.0,
            "p99(answer)<2s",
        ),
    ];
    for (text, metric, comparison, bound, shown) in table {
        let read = one(text);
        match (&read.metric, &metric) {
            (Metric::Quantile { q: a, step: s }, Metric::Quantile { q: b, step: t }) => {
                assert!((a - b).abs() < 1e-12 && s == t, "{text}: {read:?}");
            }
            _ => assert_eq!(read.metric, metric, "{text}"),
        }
        assert_eq!(read.comparison, comparison, "{text}");
        assert!((read.bound - bound).abs() < 1e-9, "{text}: {}", read.bound);
        assert_eq!(read.to_string(), shown, "{text}");
    }
}

#[test]
fn several_objectives_come_from_commas_and_from_repetition_in_order() {
    let slo = Slo::parse(["p99<2s, errors<1%", "gateway.oom_kills==0"]).unwrap();
    let texts: Vec<String> = slo.objectives().iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["p99<2s", "errors<1%", "gateway.oom_kills==0"]);
    assert_eq!(slo.links().len(), 3);
    assert_eq!(slo.tightest_limit_s(), Some(2.0));
}

#[test]
fn every_mistake_has_a_message_that_names_the_way_out() {
    for (text, wanted) in [
        (
            "p99",
            &[
                "`p99` has no bound",
                "shell",
                "--slo 'p99<2s'",
                "--slo p99:2s",
            ][..],
        ),
        ("p99<", &["`p99` has no bound"]),
        ("p(99)(answer)", &["no bound", "--slo 'p(99)(answer)<2s'"]),
        (
            "errors",
            &["no bound", "--slo 'errors<1%'", "--slo errors:1%"],
        ),
        ("shed", &["no bound", "--slo 'shed<1%'"]),
        ("rps", &["no bound", "--slo 'rps>50'", "--slo rps.gt.50"]),
        (
            "gateway.oom_kills",
            &[
                "no bound",
                "--slo 'gateway.oom_kills==0'",
                "--slo gateway.oom_kills.eq.0",
            ],
        ),
        ("p99>2s", &["`p99>2s`", "upper bound"]),
        ("p99==2s", &["upper bound"]),
        ("avg>=1s", &["upper bound"]),
        ("max>1s", &["upper bound"]),
        ("errors>1%", &["upper bound"]),
        ("errors<100%", &["between 0 and 1"]),
        ("shed<=150%", &["between 0 and 1"]),
        ("errors<0", &["cannot be met", "<=0"]),
        ("rps<50", &["lower bound"]),
        ("rps==50", &["lower bound"]),
        ("p99<0", &["above zero"]),
        ("avg<=0ms", &["above zero"]),
        (
            "latency<2s",
            &["unknown metric `latency`", "p99(answer)", "MONITOR.FIELD"],
        ),
        ("latency", &["unknown metric `latency`"]),
        ("<2s", &["unknown metric ``"]),
        ("<", &["unknown metric ``"]),
        ("foo<", &["unknown metric `foo`"]),
        ("p0<2s", &["unknown metric `p0`"]),
        ("p100<2s", &["unknown metric `p100`"]),
        ("p(99<2s", &["unknown metric"]),
        ("p99()<2s", &["unknown metric"]),
        ("p99(answer<2s", &["unknown metric"]),
        (".memory<1", &["unknown metric"]),
        ("gateway.<1", &["unknown metric"]),
        ("gateway.memory(answer)<1", &["unknown metric"]),
        ("gateway.mem=ory<1", &["unknown metric"]),
        (
            "p99<2parsec",
            &["cannot read the bound", "unknown unit `parsec`"],
        ),
        ("p99<fast", &["cannot read the bound"]),
        ("p99<-2s", &["cannot read the bound"]),
        ("errors<1s", &["cannot read the bound"]),
        ("rps>many", &["`many` is not a number"]),
        ("rps>inf", &["`inf` is not a number"]),
        (
            "gateway.memory<lots",
            &["not a number, size, share or duration"],
        ),
        ("", &["at least one objective"]),
        ("   ", &["at least one objective"]),
        ("p99<2s,", &["at least one objective"]),
        (",", &["at least one objective"]),
    ] {
        let error = match Slo::parse([text]) {
            Ok(slo) => panic!("`{text}` was read as {slo:?}"),
            Err(error) => error.to_string(),
        };
        for part in wanted {
            assert!(error.contains(part), "`{text}`: {error}\nlacks: {part}");
        }
    }
    assert_eq!(Slo::parse::<&str>([]), Err(SloError::Empty));
}

#[test]
fn steps_and_monitors_that_do_not_exist_are_named_with_those_that_do() {
    let monitors = ["gateway".to_owned()];
    let check = |text: &str, monitors: &[String]| {
        Slo::parse([text])
            .unwrap()
            .check_names(&steps(), monitors)
            .map_err(|e| e.to_string())
    };
    assert_eq!(check("p99(answer)<2s,errors(cycle)<1%", &monitors), Ok(()));
    assert_eq!(check("gateway.memory<1GiB", &monitors), Ok(()));
    let step = check("p99(anwser)<2s", &monitors).unwrap_err();
    assert!(
        step.contains("`anwser`") && step.contains("open, ask, answer, cycle"),
        "{step}"
    );
    let monitor = check("redis.memory<1GiB", &monitors).unwrap_err();
    assert!(
        monitor.contains("`redis`") && monitor.contains("gateway"),
        "{monitor}"
    );
    let none = check("redis.memory<1GiB", &[]).unwrap_err();
    assert!(none.contains("[[monitor]]"), "{none}");
}

/// Texts that are nearly objectives: what a random string would hit once in an age.
fn nearly_an_objective() -> impl Strategy<Value = String> {
    let pieces = [
        "p", "99", "p99", "p(99)", "(answer)", "(", ")", ".", "<", "<=", ">", ">=", "==", "=", ":",
        ".lt.", ".eq.", ".ge.", "avg", "errors", "rps", "gateway", "memory", "2s", "1%", "0",
        "480MiB", "-1", "1e3", "nan", "inf", " ", ",", "\u{00e9}",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..9)
        .prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_and_what_was_read_reads_the_same_again(
        text in prop_oneof![nearly_an_objective(), ".{0,24}"]
    ) {
        if let Ok(slo) = Slo::parse([&text]) {
            let shown: Vec<String> = slo.objectives().iter().map(ToString::to_string).collect();
            let again = Slo::parse(&shown);
            prop_assert_eq!(again.as_ref(), Ok(&slo), "{} was shown as {:?}", text, shown);
            for objective in slo.objectives() {
                prop_assert!(objective.bound.is_finite());
            }
        }
    }
}

// ---- the verdict ----

fn steps() -> StepTable {
    StepTable::of_cycle(["open", "ask", "answer"].map(str::to_owned), Some(2))
}

const OPEN: usize = 0;
const ANSWER: usize = 2;
const CYCLE: usize = 3;

/// What a hold is made of, second by second; every second is alike unless a test changes it.
struct Hold {
    m: Measurement,
}

impl Hold {
    /// A settled hold in which `per_s` answers a second take `latency_ms` each.
    fn of(seconds: usize, per_s: u64, latency_ms: u64) -> Self {
        let hold = (0..seconds)
            .map(|i| Second {
                window: window(i, per_s, latency_ms),
                readings: Vec::new(),
            })
            .collect();
        Self {
            m: Measurement {
                level: Level(100),
                before: Some(window(0, per_s, latency_ms)),
                arriving: Vec::new(),
                readings_before: Vec::new(),
                hold,
                settled: true,
            },
        }
    }

    fn unsettled(mut self) -> Self {
        self.m.settled = false;
        self
    }

    /// Changes a step in every second.
    fn each(mut self, step: usize, change: impl Fn(&mut StepWindow)) -> Self {
        for second in &mut self.m.hold {
            change(&mut second.window.steps[step]);
        }
        self
    }

    fn failing(self, step: usize, kind: FailureKind, per_s: u64) -> Self {
        // A cycle whose step fails fails itself.
        self.each(step, |s| s.failed.add_n(kind, per_s))
            .each(CYCLE, |s| s.failed.add_n(kind, per_s))
    }

    /// Answers in flight at the hold's start and at its end, by their ages.
    fn in_flight(mut self, at_start: &[u64], at_end: &[u64]) -> Self {
        let ages = |s: &[u64]| Histogram::of(s.iter().map(|s| Duration::from_secs(*s)));
        if let Some(before) = &mut self.m.before {
            before.steps[ANSWER].in_flight = ages(at_start);
        }
        if let Some(last) = self.m.hold.last_mut() {
            last.window.steps[ANSWER].in_flight = ages(at_end);
        }
        self
    }

    fn reading(mut self, before: Option<f64>, values: &[Option<f64>], field: &str) -> Self {
        let reading = |value| Reading {
            monitor: "gateway".to_owned(),
            field: field.to_owned(),
            value,
        };
        self.m.readings_before = vec![reading(before)];
        for (second, value) in self.m.hold.iter_mut().zip(values) {
            second.readings = vec![reading(*value)];
        }
        self
    }

    fn judge(&self, slo: &str) -> Judgement {
        Slo::parse([slo]).unwrap().judge(&self.m, &steps())
    }

    fn verdict(&self, slo: &str) -> Verdict {
        self.judge(slo).verdict
    }
}

fn window(second: usize, per_s: u64, latency_ms: u64) -> Window {
    let latency = Histogram::of((0..per_s).map(|_| Duration::from_millis(latency_ms)));
    let step = StepWindow {
        latency,
        ..StepWindow::default()
    };
    Window {
        start: Duration::from_secs(second as u64),
        span: Duration::from_secs(1),
        level: Level(100),
        vus: 100,
        at_level: true,
        steps: vec![step; 4],
        generator: GeneratorWindow::default(),
    }
}

#[test]
fn good_cycles_have_limits_and_a_share() {
    let objective = one("good(answer.first<500ms, answer.gap<=100, cycle:2s) > 99%");
    let text = "good(answer.first<500ms,answer.gap<=100,cycle<=2s)>99%";
    assert_eq!(objective.text, text);
    assert_eq!(one(text), objective);
    assert_eq!(one("good(a.lt.1s).ge.0.5").text, "good(a<1s)>=0.5");
    let (row, limits) = objective.good().unwrap();
    assert_eq!(row, "good(answer.first<500ms,answer.gap<=100,cycle<=2s)");
    let limits: Vec<_> = limits
        .iter()
        .map(|l| (l.step.as_str(), l.most.as_millis(), l.inclusive))
        .collect();
    let wanted = [
        ("answer.first", 500, false),
        ("answer.gap", 100, true),
        ("cycle", 2_000, true),
    ];
    assert_eq!(limits, wanted);
    assert!(matches!(objective.link(), Link::Share { alpha } if (alpha - 0.01).abs() < 1e-9));
    let slo = Slo::parse(["p99<2s,good(a<1s,b<2s)>99%,errors<1%"]).unwrap();
    assert_eq!(slo.texts(), ["p99<2s", "good(a<1s,b<2s)>99%", "errors<1%"]);
    assert_eq!(slo.tightest_limit_s(), Some(1.0));
    for (text, part) in [
        ("good(a<1s)", "has no bound"),
        ("good(a<1s)<1%", "needs a lower bound"),
        ("good(a<1s)>100%", "cannot be met"),
        ("good(a<1s)>0", "above 0"),
        ("good(a<1s", "no closing bracket"),
        ("good()>99%", "each limit in brackets"),
        ("good(a>1s)>99%", "upper bound"),
        ("good(<1s)>99%", "begins with the name"),
        ("good(a b(c)<1s)>99%", "each limit in brackets"),
        ("good(a<x)>99%", "cannot read the bound"),
        ("good(a<0)>99%", "above zero"),
        ("good(a<1s)>x", "cannot read the bound"),
    ] {
        let error = Slo::parse([text]).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn good_cycles_are_judged_as_a_share_of_errors_is() {
    // The last row of a hold's windows counts the good ones.
    let mut steps = StepTable::of_cycle(["open", "answer", "ask"].map(str::to_owned), Some(1));
    let row = steps.add_good("good(answer<1s)");
    let slo = Slo::parse(["good(answer<1s)>99%"]).unwrap();
    let judged = |good: u64, late: u64, missed: &[(usize, u64)]| {
        let mut hold = Hold::of(20, 50, 100);
        for (second, window) in hold.m.hold.iter_mut().map(|s| &mut s.window).enumerate() {
            window.steps.resize(5, StepWindow::default());
            let counted = &mut window.steps[row];
            counted.latency = Histogram::of((0..good).map(|_| Duration::from_millis(100)));
            counted.failed = FailureCounts::default();
            counted.failed.add_n(FailureKind::Check, late);
            let ages = missed.iter().filter(|(at, _)| *at == second);
            counted.in_flight = Histogram::of(ages.map(|(_, age_s)| Duration::from_secs(*age_s)));
        }
        slo.judge(&hold.m, &steps)
    };
    let all = judged(50, 0, &[]);
    assert_eq!(all.verdict, Verdict::Held);
    assert_eq!(all.outcomes[0].record.observed, Some(1.0));
    let few = judged(45, 5, &[]);
    assert_eq!(few.verdict, Verdict::Broke, "{}", few.reason);
    assert_eq!(few.outcomes[0].record.observed, Some(0.9));
    assert!(few.reason.contains("90.00 %"), "{}", few.reason);
    let record = &few.outcomes[0].record;
    assert_eq!((record.bad, record.total), (Some(100.0), Some(1_000.0)));
    assert_eq!(
        judged(1, 0, &[]).verdict,
        Verdict::Undecided,
        "twenty say nothing of one percent"
    );
    assert_eq!(
        judged(0, 0, &[]).verdict,
        Verdict::Undecided,
        "no data is never a pass"
    );
    // Who waits at the end and missed a limit already is no good one.
    let waiting: Vec<_> = (0..50).map(|_| (19, 3)).collect();
    let hangs = judged(50, 0, &waiting);
    let record = &hangs.outcomes[0].record;
    assert_eq!((record.bad, record.total), (Some(50.0), Some(1_050.0)));
}

const EVERY_METRIC: [&str; 9] = [
    "p99<2s",
    "avg<2s",
    "max<2s",
    "errors<1%",
    "errors<=0",
    "shed<5%",
    "gateway.memory<1GiB",
    "gateway.oom_kills==0",
    "gateway.cpu>0",
];

#[test]
fn no_data_is_never_a_pass() {
    let nothing_completed = Hold::of(20, 0, 0);
    let no_seconds = Hold::of(0, 0, 0);
    let only_gaps = Hold::of(20, 0, 0).reading(None, &[None; 20], "memory");
    for slo in EVERY_METRIC {
        for (name, hold) in [
            ("nothing completed", &nothing_completed),
            ("no seconds", &no_seconds),
            ("only gaps", &only_gaps),
        ] {
            let judgement = hold.judge(slo);
            assert_eq!(judgement.verdict, Verdict::Undecided, "{name}: {slo}");
            assert_eq!(
                judgement.outcomes[0].evidence,
                Evidence::None,
                "{name}: {slo}"
            );
            assert!(
                judgement.reason.ends_with("no data"),
                "{}",
                judgement.reason
            );
        }
    }
    assert_eq!(no_seconds.verdict("rps>50"), Verdict::Undecided);
    // Nobody asked for anything.
    assert_eq!(nothing_completed.verdict("rps>50"), Verdict::Undecided);
    // A step that is not in the windows at all.
    assert_eq!(
        Hold::of(20, 50, 10).verdict("p99(gone)<2s"),
        Verdict::Undecided
    );
    // One objective without data spoils the pass of the others.
    assert_eq!(
        Hold::of(20, 50, 10).verdict("p99<2s,gateway.memory<1GiB"),
        Verdict::Undecided
    );
}

#[test]
fn requests_in_flight_alone_are_no_pass_either() {
    let young = Hold::of(20, 0, 0).in_flight(&[], &[1; 50]);
    for slo in ["p99<2s", "avg<2s", "max<2s"] {
        assert_eq!(young.verdict(slo), Verdict::Undecided, "{slo}");
    }
}

#[test]
fn a_clear_hold_holds_and_a_clear_break_breaks() {
    let fast = Hold::of(20, 50, 100).reading(Some(1.0), &[Some(1.0); 20], "oom_kills");
    for slo in [
        "p99<2s",
        "p50<2s",
        "avg<2s",
        "max<2s",
        "errors<1%",
        "errors<=0",
        "shed<5%",
        "rps>40",
        "gateway.oom_kills==0",
    ] {
        assert_eq!(fast.verdict(slo), Verdict::Held, "{slo}");
    }
    let slow = Hold::of(20, 50, 3000);
    for slo in ["p99<2s", "p50<2s", "avg<2s", "max<2s"] {
        assert_eq!(slow.verdict(slo), Verdict::Broke, "{slo}");
    }
}

#[test]
fn an_unsettled_hold_cannot_pass_but_can_break() {
    let held = Hold::of(20, 50, 100).unsettled().judge("p99<2s");
    assert_eq!(held.verdict, Verdict::Undecided);
    assert!(held.reason.contains("did not settle"), "{}", held.reason);
    assert_eq!(
        Hold::of(20, 50, 3000).unsettled().verdict("p99<2s"),
        Verdict::Broke
    );
}

#[test]
fn too_few_requests_to_expect_one_violation_are_undecided() {
    // 20 answers: one in a hundred may be late, and a fifth of one was to be expected.
    let few = Hold::of(20, 1, 100).judge("p99<2s");
    assert_eq!(few.verdict, Verdict::Undecided);
    assert!(
        few.reason.contains("too few requests (20) to tell"),
        "{}",
        few.reason
    );
    // No failure in 20 cycles is no value near the bound.
    let errors = Hold::of(20, 1, 100).judge("errors<1%").reason;
    assert_eq!(
        errors,
        "errors<1%: too few cycles (20) to tell, 0.00 % so far"
    );
    assert_eq!(Hold::of(20, 1, 100).verdict("p90<2s"), Verdict::Held);
}

#[test]
fn a_share_near_its_bound_is_undecided() {
    // One of the hundred answers of each second is late, give or take.
    let mut hold = Hold::of(20, 100, 100);
    for (i, second) in hold.m.hold.iter_mut().enumerate() {
        let late = [0, 2, 1, 0, 2, 1, 3, 0, 1, 0][i % 10];
        let latency = (0..100).map(|n| Duration::from_millis(if n < late { 3000 } else { 100 }));
        second.window.steps[ANSWER].latency = Histogram::of(latency);
    }
    let judgement = hold.judge("p99<2s");
    assert_eq!(
        judgement.verdict,
        Verdict::Undecided,
        "{}",
        judgement.reason
    );
    assert!(
        judgement.reason.contains("too close to call"),
        "{}",
        judgement.reason
    );
}

#[test]
fn answers_that_hang_break_although_all_that_completed_was_fast() {
    // Ten answers hang from the start of the hold; every one that came took 10 ms.
    let hanging = || Hold::of(20, 10, 10).in_flight(&[0; 10], &[20; 10]);
    for slo in ["p99<2s", "avg<500ms", "max<2s"] {
        let judgement = hanging().judge(slo);
        assert_ne!(
            judgement.verdict,
            Verdict::Held,
            "{slo}: {}",
            judgement.reason
        );
    }
    assert!(matches!(
        hanging().judge("p99<2s").outcomes[0].evidence,
        Evidence::Share { bad, total, .. } if (bad, total) == (10.0, 210.0)
    ));
    assert_eq!(hanging().verdict("max<2s"), Verdict::Broke);
    // Those that hung before the hold began hang still: their users wait for ever.
    let stuck = Hold::of(20, 10, 10).in_flight(&[30; 10], &[50; 10]);
    assert!(matches!(
        stuck.judge("p99<2s").outcomes[0].evidence,
        Evidence::Share { bad, .. } if (bad - 10.0).abs() < 1e-9
    ));
    // Nothing comes at all.
    let silent = Hold::of(20, 0, 0).in_flight(&[0; 100], &[20; 100]);
    assert_ne!(silent.verdict("p99<2s"), Verdict::Held);
    assert_eq!(silent.verdict("avg<2s"), Verdict::Broke);
    assert_eq!(silent.verdict("max<2s"), Verdict::Broke);
}

#[test]
fn an_answer_in_flight_at_the_start_is_not_counted_twice() {
    let share = |hold: &Hold| match hold.judge("p99<2s").outcomes[0].evidence {
        Evidence::Share { bad, total, .. } => (bad, total),
        other => panic!("{other:?}"),
    };
    let late = |hold: Hold, n: u64| {
        let mut hold = hold;
        let first = &mut hold.m.hold[0].window.steps[ANSWER];
        first
            .latency
            .merge(&Histogram::of((0..n).map(|_| Duration::from_secs(4))));
        hold
    };
    // Five were 1 s old at the start and came late, in the hold: five violations, once each.
    let crossed = late(Hold::of(20, 50, 10), 5).in_flight(&[1; 5], &[]);
    assert_eq!(share(&crossed), (5.0, 1005.0));
    // Five were too old before the hold began: the violation belongs to the time before.
    let before = late(Hold::of(20, 50, 10), 5).in_flight(&[3; 5], &[]);
    assert_eq!(share(&before), (0.0, 1000.0));
    // Five became too old in the hold and have not come yet.
    let pending = Hold::of(20, 50, 10).in_flight(&[], &[3; 5]);
    assert_eq!(share(&pending), (5.0, 1005.0));
    // Steady: as many cross the limit on the way in as were over it at the start.
    let steady = late(Hold::of(20, 50, 10), 5).in_flight(&[3; 5], &[3; 5]);
    assert_eq!(share(&steady), (5.0, 1005.0));
}

#[test]
fn the_mean_counts_the_time_that_those_in_flight_have_waited() {
    let mean = |hold: &Hold| hold.judge("avg<1s").outcomes[0].record.observed.unwrap();
    // As much waiting at the end as at the start: the mean is that of the answers.
    let steady = Hold::of(20, 10, 500).in_flight(&[1; 6], &[1; 6]);
    assert!((mean(&steady) - 0.5).abs() < 1e-3, "{}", mean(&steady));
    // Ten more hang for the 20 s of the hold: 200 s of waiting on 200 answers.
    let hanging = Hold::of(20, 10, 500).in_flight(&[0; 10], &[20; 10]);
    assert!((mean(&hanging) - 1.5).abs() < 2e-3, "{}", mean(&hanging));
}

#[test]
fn a_cycle_that_fails_before_the_step_counts_against_the_step() {
    let refused = Hold::of(20, 50, 10).failing(OPEN, FailureKind::ConnectRefused, 10);
    let judgement = refused.judge("p99(answer)<2s");
    assert_eq!(judgement.verdict, Verdict::Broke, "{}", judgement.reason);
    assert!(matches!(
        judgement.outcomes[0].evidence,
        Evidence::Share { bad, total, .. } if (bad, total) == (200.0, 1200.0)
    ));
    // A failure after the step does not.
    let after = Hold::of(20, 50, 10).failing(ANSWER, FailureKind::Eof, 10);
    assert_eq!(after.verdict("p99(open)<2s"), Verdict::Held);
    assert_eq!(after.verdict("p99(cycle)<2s"), Verdict::Broke);
}

#[test]
fn everything_failed_is_broke() {
    let failed = Hold::of(20, 0, 0).failing(ANSWER, FailureKind::Status, 5);
    for slo in [
        "p99<2s",
        "p50<2s",
        "avg<2s",
        "max<2s",
        "errors<1%",
        "errors<=0",
        "rps>1",
    ] {
        assert_eq!(failed.verdict(slo), Verdict::Broke, "{slo}");
    }
    let judgement = failed.judge("p99<2s");
    assert!(
        judgement.reason.contains("nothing completed"),
        "{}",
        judgement.reason
    );
}

#[test]
fn sheds_are_not_errors() {
    let shed = Hold::of(20, 50, 10).each(CYCLE, |s| s.shed += 25);
    assert_eq!(shed.verdict("errors<1%"), Verdict::Held);
    assert_eq!(shed.verdict("p99<2s"), Verdict::Held);
    let judgement = shed.judge("shed<5%");
    assert_eq!(judgement.verdict, Verdict::Broke);
    let third = judgement.outcomes[0].record.observed.unwrap();
    assert!((third - 1.0 / 3.0).abs() < 1e-12, "{third}");
    let errors = Hold::of(20, 50, 10).failing(ANSWER, FailureKind::Reset, 5);
    assert_eq!(errors.verdict("shed<5%"), Verdict::Held);
    assert_eq!(errors.verdict("errors<1%"), Verdict::Broke);
}

#[test]
fn the_generators_own_failures_count_for_nothing() {
    for kind in [FailureKind::NoDescriptors, FailureKind::NoPorts] {
        let mixed = Hold::of(20, 50, 10).failing(OPEN, kind, 50);
        for slo in [
            "p99<2s",
            "errors<1%",
            "errors<=0",
            "max<2s",
            "avg<2s",
            "shed<5%",
        ] {
            assert_eq!(mixed.verdict(slo), Verdict::Held, "{kind:?} {slo}");
        }
        let alone = Hold::of(20, 0, 0).failing(OPEN, kind, 50);
        for slo in ["p99<2s", "errors<1%", "max<2s", "avg<2s"] {
            assert_eq!(alone.verdict(slo), Verdict::Undecided, "{kind:?} {slo}");
        }
    }
}

#[test]
fn a_counter_is_judged_by_its_growth_and_a_gauge_by_its_worst_value() {
    let rows = |before, values: &[f64], field: &str| {
        let values: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
        Hold::of(values.len(), 50, 10).reading(before, &values, field)
    };
    for (before, values, verdict) in [
        (Some(3.0), &[3.0, 3.0, 3.0][..], Verdict::Held),
        (Some(3.0), &[3.0, 4.0, 4.0], Verdict::Broke),
        (Some(3.0), &[4.0, 4.0, 4.0], Verdict::Broke),
        (Some(0.0), &[0.0, 0.0, 0.0], Verdict::Held),
    ] {
        let hold = rows(before, values, "oom_kills");
        assert_eq!(
            hold.verdict("gateway.oom_kills==0"),
            verdict,
            "{before:?} {values:?}"
        );
    }
    let memory = rows(Some(900.0), &[100.0, 700.0, 100.0], "memory");
    assert_eq!(memory.verdict("gateway.memory<500"), Verdict::Broke);
    assert_eq!(
        memory.verdict("gateway.memory<800"),
        Verdict::Held,
        "what was before does not count"
    );
    assert_eq!(memory.verdict("gateway.memory>50"), Verdict::Held);
    assert_eq!(
        memory.verdict("gateway.memory>200"),
        Verdict::Broke,
        "the least value counts"
    );
    // A gap is a gap, not a zero.
    let gap = Hold::of(3, 50, 10).reading(Some(5.0), &[Some(5.0), None, Some(5.0)], "oom_kills");
    assert_eq!(gap.verdict("gateway.oom_kills==0"), Verdict::Held);
    let free = Hold::of(3, 50, 10).reading(None, &[Some(5.0), None, Some(5.0)], "free");
    assert_eq!(free.verdict("gateway.free>1"), Verdict::Held);
}

#[test]
fn a_counter_without_a_reading_before_tells_only_what_grew_in_the_hold() {
    let verdict = |values: &[Option<f64>]| {
        let hold = Hold::of(values.len(), 50, 10).reading(None, values, "restarts");
        hold.verdict("gateway.restarts==0")
    };
    assert_eq!(verdict(&[None, Some(7.0), Some(8.0)]), Verdict::Broke);
    // Seven restarts, and nobody knows whether this probe caused the last.
    assert_eq!(verdict(&[Some(7.0), Some(7.0)]), Verdict::Undecided);
    assert_eq!(verdict(&[Some(0.0), Some(0.0)]), Verdict::Held);
    assert_eq!(verdict(&[Some(0.0)]), Verdict::Held);
}

#[test]
fn the_worst_objective_decides_and_names_itself() {
    let hold = Hold::of(20, 50, 3000);
    let judgement = hold.judge("errors<1%,p99<2s,rps>10");
    assert_eq!(judgement.verdict, Verdict::Broke);
    assert!(
        judgement.reason.starts_with("p99<2s: 3.00 s"),
        "{}",
        judgement.reason
    );
    let verdicts: Vec<Verdict> = judgement
        .outcomes
        .iter()
        .map(|o| o.record.verdict)
        .collect();
    assert_eq!(verdicts, [Verdict::Held, Verdict::Broke, Verdict::Held]);
    assert!(Verdict::Held < Verdict::Undecided && Verdict::Undecided < Verdict::Broke);
}

#[test]
fn a_hold_is_left_early_only_when_it_is_hopeless_and_old_enough() {
    let hopeless = |hold: &Hold| {
        Slo::parse(["p99<2s"])
            .unwrap()
            .is_hopeless(&hold.m, &steps(), Patience::Little)
    };
    assert!(hopeless(&Hold::of(6, 50, 3000)));
    assert!(!hopeless(&Hold::of(4, 50, 3000)), "too young");
    assert!(!hopeless(&Hold::of(6, 4, 3000)), "too few answers");
    assert!(!hopeless(&Hold::of(6, 50, 100)));
    let failing = |hold: &Hold| {
        Slo::parse(["p99<2s"])
            .unwrap()
            .is_failing(&hold.m, &steps())
    };
    let broken = |per_s| Hold::of(6, 10, 10).failing(OPEN, FailureKind::Reset, per_s);
    assert!(failing(&broken(11)));
    assert!(!failing(&broken(9)));
    let ours = Hold::of(6, 10, 10).failing(OPEN, FailureKind::NoPorts, 50);
    assert!(
        !failing(&ours),
        "the generator's failures are not the target's"
    );
}

#[test]
fn a_level_that_nobody_more_can_start_at_is_failing_and_hopeless() {
    let mut table = StepTable::of_cycle(["login", "get"].map(str::to_owned), Some(1));
    table.started_by(1);
    // So many users are there in the first and the last second, and so many logins fail each
    // second.
    let failing = |level: u32, there: (u32, u32), per_s: u64| {
        let mut hold = Hold::of(5, 10, 10).each(0, |s| {
            *s = StepWindow::default();
            s.failed.add_n(FailureKind::Status, per_s);
        });
        hold.m.level = Level(level);
        for (i, second) in hold.m.hold.iter_mut().enumerate() {
            second.window.at_level = false;
            second.window.vus = if i == 0 { there.0 } else { there.1 };
        }
        let slo = Slo::parse(["p99<2s"]).unwrap();
        let is_failing = slo.is_failing(&hold.m, &table);
        assert_eq!(
            slo.is_hopeless(&hold.m, &table, Patience::Little),
            is_failing
        );
        is_failing
    };
    assert!(failing(100, (0, 0), 6));
    assert!(
        failing(100, (60, 60), 6),
        "those of the level before are there"
    );
    assert!(failing(2, (0, 0), 2), "few users back off");
    assert!(!failing(100, (0, 0), 5), "too few attempts");
    assert!(!failing(100, (0, 1), 6), "somebody got in");
    assert!(
        !failing(100, (99, 99), 6),
        "the level is as good as reached"
    );
    assert!(!failing(100, (0, 0), 0), "they are only slow");
}

// ---- what a single probe must not overlook ----

fn hopeless(hold: &Hold, slo: &str, patience: Patience) -> bool {
    let slo = Slo::parse([slo]).unwrap();
    slo.is_hopeless(&hold.m, &steps(), patience)
}

#[test]
fn failures_of_some_seconds_may_be_an_outage_where_a_slow_phase_is_part_of_what_is_measured() {
    let failing = |seconds| Hold::of(seconds, 10, 10).failing(OPEN, FailureKind::Reset, 40);
    // A failure is never fast either.
    for slo in ["errors<1%", "p95<2s"] {
        assert!(hopeless(&failing(6), slo, Patience::Little), "{slo}");
        assert!(!hopeless(&failing(14), slo, Patience::Much), "{slo}");
        assert!(hopeless(&failing(15), slo, Patience::Much), "{slo}");
    }
    let slow = Hold::of(6, 50, 6_500);
    assert!(hopeless(&slow, "p95<2s", Patience::Much), "nothing failed");
}

#[test]
fn a_hold_is_not_left_for_the_mean_of_a_few_slow_answers() {
    use Patience::{Little, Much};
    let few = Hold::of(6, 4, 10_000);
    assert!(!hopeless(&few, "avg<1s", Little), "24 answers are too few");
    // Twice and three times the bound.
    for (ms, little, much) in [
        (1_900, false, false),
        (2_900, true, false),
        (3_100, true, true),
    ] {
        let hold = Hold::of(6, 10, ms);
        assert_eq!(hopeless(&hold, "avg<1s", Little), little, "{ms}");
        assert_eq!(hopeless(&hold, "avg<1s", Much), much, "{ms}");
    }
    assert!(
        !hopeless(&Hold::of(4, 10, 9_000), "avg<1s", Little),
        "too young"
    );
}

#[test]
fn a_hold_whose_users_hang_is_left_although_all_that_completed_was_fast() {
    let hanging = Hold::of(6, 10, 10).in_flight(&[], &[6; 300]);
    assert!(hopeless(&hanging, "avg<1s", Patience::Much));
    let silent = Hold::of(6, 0, 0).in_flight(&[], &[6; 40]);
    assert!(hopeless(&silent, "avg<1s", Patience::Much));
    let few = Hold::of(6, 0, 0).in_flight(&[], &[6; 20]);
    assert!(!hopeless(&few, "avg<1s", Patience::Much));
    // One that has hung since long ago waited here for no longer than the hold.
    let stuck = Hold::of(6, 10, 10).in_flight(&[3_000], &[3_006]);
    assert!(!hopeless(&stuck, "avg<1s", Patience::Little));
    // Who has waited no longer than is allowed says nothing yet.
    let young = Hold::of(6, 10, 10).in_flight(&[], &[1; 500]);
    assert!(!hopeless(&young, "avg<500ms", Patience::Much));
}

#[test]
fn a_hold_of_timeouts_is_hopeless_for_the_mean() {
    let hold = Hold::of(6, 1, 10)
        .in_flight(&[], &[4; 5])
        .failing(ANSWER, FailureKind::Timeout, 10);
    assert!(hopeless(&hold, "avg<1s", Patience::Much));
}

#[test]
fn a_mean_and_a_maximum_see_those_that_timed_out() {
    // One answer, and fifty that gave up.
    let mut one = Hold::of(10, 0, 0).failing(ANSWER, FailureKind::Timeout, 5);
    one.m.hold[0].window.steps[ANSWER].latency = Histogram::of([Duration::from_millis(10)]);
    for slo in ["avg<100ms", "avg<=100ms", "max<100ms", "max<=5s"] {
        let judgement = one.judge(slo);
        assert_eq!(
            judgement.verdict,
            Verdict::Broke,
            "{slo}: {}",
            judgement.reason
        );
        let evidence = judgement.outcomes[0].evidence;
        assert!(evidence.is_violated(), "{slo}: {evidence:?}");
    }
    assert_eq!(one.judge("avg<100ms").reason, "avg<100ms: 50 of 51 failed");
    assert_eq!(one.judge("max<100ms").reason, "max<100ms: 50 timed out");
    // One in ten waited 5 s in vain, as those in flight show: half a second on average.
    let tenth = Hold::of(20, 90, 10)
        .failing(ANSWER, FailureKind::Timeout, 10)
        .in_flight(&[5; 5], &[5; 5]);
    let judgement = tenth.judge("avg<300ms");
    assert_eq!(judgement.verdict, Verdict::Broke, "{}", judgement.reason);
    let mean = judgement.outcomes[0].record.observed.unwrap();
    assert!((mean - 0.51).abs() < 0.01, "{mean}");
    // The same before the step keeps its users waiting too.
    let before = Hold::of(20, 90, 10).failing(OPEN, FailureKind::Timeout, 200);
    assert_eq!(before.verdict("avg<300ms"), Verdict::Broke);
    assert_eq!(before.verdict("max<300ms"), Verdict::Broke);
}

#[test]
fn failures_of_unknown_time_may_hide_a_breach_of_the_mean() {
    let failing = |per_s| Hold::of(20, 50, 50).failing(ANSWER, FailureKind::Status, per_s);
    // A few do not matter, however long they took within reason.
    assert_eq!(failing(1).verdict("avg<100ms"), Verdict::Held);
    let hidden = failing(20).judge("avg<100ms");
    assert_eq!(hidden.verdict, Verdict::Undecided, "{}", hidden.reason);
    assert_eq!(hidden.outcomes[0].evidence, Evidence::None);
    let why = "or more: 400 of 1400 failed and may have taken longer";
    assert!(hidden.reason.ends_with(why), "{}", hidden.reason);
    // Most of them: there is no mean of what did not happen.
    assert_eq!(failing(51).verdict("avg<100ms"), Verdict::Broke);
    // A slow answer somewhere is how slow a failure can be.
    let mut slow = failing(1);
    slow.m.hold[3].window.steps[ANSWER]
        .latency
        .merge(&Histogram::of([Duration::from_secs(20)]));
    assert_eq!(slow.verdict("avg<300ms"), Verdict::Undecided);
}

#[test]
fn a_maximum_holds_for_those_only_who_were_answered() {
    for kind in [
        FailureKind::Timeout,
        FailureKind::Status,
        FailureKind::Reset,
    ] {
        let mut once = Hold::of(20, 50, 10);
        once.m.hold[7].window.steps[ANSWER].failed.add(kind);
        assert_eq!(once.verdict("max<2s"), Verdict::Broke, "{kind:?}");
    }
    let old = Hold::of(20, 50, 10).in_flight(&[], &[3]);
    assert_eq!(old.verdict("max<2s"), Verdict::Broke);
    assert_eq!(old.verdict("max<4s"), Verdict::Held);
}

/// A hold of as many seconds as values; `up` read 1 before.
fn read(values: &[Option<f64>], field: &str) -> Hold {
    Hold::of(values.len(), 50, 10).reading(Some(values[0].unwrap_or(1.0)), values, field)
}

#[test]
fn every_comparison_is_judged_by_the_reading_that_is_worst_for_it() {
    use Verdict::{Broke, Held};
    let (low, same, high) = ([2.0, 3.0, 3.0], [3.0, 3.0, 3.0], [3.0, 4.0, 3.0]);
    let both = [3.0, 2.0, 4.0];
    for (comparison, expected) in [
        ("==3", [Broke, Held, Broke, Broke]),
        ("<4", [Held, Held, Broke, Broke]),
        ("<=3", [Held, Held, Broke, Broke]),
        (">2", [Broke, Held, Held, Broke]),
        (">=3", [Broke, Held, Held, Broke]),
    ] {
        for (values, verdict) in [low, same, high, both].iter().zip(expected) {
            let hold = read(&values.map(Some), "threads");
            let slo = format!("gateway.threads{comparison}");
            assert_eq!(hold.verdict(&slo), verdict, "{slo} {values:?}");
        }
    }
}

#[test]
fn a_gateway_that_dies_is_not_up() {
    let mut values = vec![Some(1.0); 30];
    values[20..].fill(Some(0.0));
    for slo in ["gateway.up==1", "gateway.up>=1", "gateway.up>0"] {
        assert_eq!(read(&values, "up").verdict(slo), Verdict::Broke, "{slo}");
    }
    let judgement = read(&[Some(0.0); 30], "healthy").judge("gateway.healthy==1");
    assert_eq!(judgement.verdict, Verdict::Broke);
    assert_eq!(judgement.reason, "gateway.healthy==1: 0");
    assert_eq!(
        read(&[Some(1.0); 30], "up").verdict("gateway.up==1"),
        Verdict::Held
    );
}

#[test]
fn every_comparison_is_judged_by_a_counters_growth() {
    use Verdict::{Broke, Held, Undecided};
    let grown = |before: Option<f64>, to: [f64; 3]| {
        Hold::of(3, 50, 10).reading(before, &to.map(Some), "restarts")
    };
    // From 5 to 7; and where nobody knows the beginning, between 1 and 7.
    let (known, unknown) = (
        grown(Some(5.0), [6.0, 6.0, 7.0]),
        grown(None, [6.0, 6.0, 7.0]),
    );
    for (comparison, of_known, of_unknown) in [
        ("==0", Broke, Broke),
        ("==2", Held, Undecided),
        ("==7", Broke, Undecided),
        ("==8", Broke, Broke),
        ("<1", Broke, Broke),
        ("<3", Held, Undecided),
        ("<8", Held, Held),
        ("<=2", Held, Undecided),
        (">=1", Held, Held),
        (">=3", Broke, Undecided),
        (">7", Broke, Broke),
        (">1", Held, Undecided),
    ] {
        let slo = format!("gateway.restarts{comparison}");
        assert_eq!(known.verdict(&slo), of_known, "known: {slo}");
        assert_eq!(unknown.verdict(&slo), of_unknown, "unknown: {slo}");
    }
    let reason = unknown.judge("gateway.restarts<3").reason;
    let wanted = "gateway.restarts<3: its value before the probe is unknown";
    assert_eq!(reason, wanted);
}

#[test]
fn one_reading_among_gaps_is_no_pass_and_a_breach_all_the_same() {
    let mut one = vec![None; 60];
    one[0] = Some(100.0);
    for slo in [
        "gateway.memory<500",
        "gateway.memory==100",
        "gateway.memory>50",
    ] {
        let judgement = read(&one, "memory").judge(slo);
        assert_eq!(judgement.verdict, Verdict::Undecided, "{slo}");
        assert_eq!(judgement.reason, format!("{slo}: 1 of 60 seconds read"));
        assert_eq!(judgement.outcomes[0].evidence, Evidence::None);
    }
    for slo in [
        "gateway.memory<50",
        "gateway.memory==99",
        "gateway.memory>500",
    ] {
        assert_eq!(read(&one, "memory").verdict(slo), Verdict::Broke, "{slo}");
    }
    let first = |n: usize| {
        let mut values = vec![None; 60];
        values[..n].fill(Some(100.0));
        read(&values, "memory").verdict("gateway.memory<500")
    };
    assert_eq!(first(30), Verdict::Held);
    assert_eq!(first(29), Verdict::Undecided);
    // A monitor that answers every ten seconds was asked all the time.
    let every = |seconds: usize| {
        let at = |i: usize| i.is_multiple_of(seconds).then_some(100.0);
        read(&(0..60).map(at).collect::<Vec<_>>(), "memory").verdict("gateway.memory<500")
    };
    assert_eq!(every(10), Verdict::Held);
    assert_eq!(every(30), Verdict::Undecided, "two readings have no rhythm");
    let nan = read(&[Some(f64::NAN); 20], "memory").judge("gateway.memory<500");
    assert_eq!(nan.reason, "gateway.memory<500: no data");
}

#[test]
fn a_counter_speaks_for_the_time_up_to_its_last_reading() {
    let at = |second: usize, value: f64| {
        let mut values = vec![None; 60];
        values[second] = Some(value);
        Hold::of(60, 50, 10).reading(Some(3.0), &values, "oom_kills")
    };
    assert_eq!(at(59, 3.0).verdict("gateway.oom_kills==0"), Verdict::Held);
    let early = at(0, 3.0).judge("gateway.oom_kills==0");
    assert_eq!(early.verdict, Verdict::Undecided);
    assert_eq!(early.reason, "gateway.oom_kills==0: 1 of 60 seconds read");
    assert_eq!(at(0, 4.0).verdict("gateway.oom_kills==0"), Verdict::Broke);
    assert_eq!(at(0, 4.0).verdict("gateway.oom_kills>=1"), Verdict::Held);
    assert_eq!(
        at(0, 3.0).verdict("gateway.oom_kills>=1"),
        Verdict::Undecided
    );
    assert_eq!(at(59, 3.0).verdict("gateway.oom_kills>=1"), Verdict::Broke);
}

#[test]
fn a_rate_that_nobody_asked_for_leaves_the_verdict_to_the_others() {
    let light = Hold::of(20, 9, 100).in_flight(&[0], &[0]);
    for slo in ["rps>20", "rps>=20", "rps(cycle)>20"] {
        let judgement = light.judge(slo);
        assert_eq!(judgement.verdict, Verdict::Undecided, "{slo}");
        assert_eq!(judgement.outcomes[0].evidence, Evidence::None, "{slo}");
    }
    let reason = light.judge("rps>20").reason;
    assert_eq!(reason, "rps>20: level 100 offered 9.0/s at most");
    for slo in ["p90<2s,rps>20", "rps>20,p90<2s"] {
        let judgement = light.judge(slo);
        assert_eq!(judgement.verdict, Verdict::Held, "{slo}");
        assert_eq!(
            judgement.reason,
            "every other objective held; rps>20: level 100 offered 9.0/s at most"
        );
    }
    let slow = Hold::of(20, 9, 3_000).judge("rps>20,p90<2s");
    assert_eq!(slow.verdict, Verdict::Broke);
    assert!(slow.reason.starts_with("p90<2s: "), "{}", slow.reason);
    // Another objective that cannot tell is not overruled.
    let untold = light.judge("rps>20,gateway.memory<1GiB");
    assert_eq!(untold.verdict, Verdict::Undecided);
    assert_eq!(untold.reason, "gateway.memory<1GiB: no data");
    assert_eq!(light.verdict("rps>5"), Verdict::Held);
    assert_eq!(
        light.judge("rps>5").outcomes[0].evidence,
        Evidence::Side { broke: false }
    );
}

#[test]
fn a_rate_that_was_asked_for_and_not_reached_broke() {
    let broke = |hold: &Hold, slo: &str| {
        let judgement = hold.judge(slo);
        assert_eq!(
            judgement.verdict,
            Verdict::Broke,
            "{slo}: {}",
            judgement.reason
        );
        assert_eq!(
            judgement.outcomes[0].evidence,
            Evidence::Side { broke: true }
        );
    };
    broke(
        &Hold::of(20, 9, 100).failing(ANSWER, FailureKind::Status, 15),
        "rps>20",
    );
    broke(
        &Hold::of(20, 9, 100).failing(OPEN, FailureKind::Reset, 15),
        "rps>=20",
    );
    broke(
        &Hold::of(20, 9, 100).each(ANSWER, |s| s.shed += 15),
        "rps>20",
    );
    // At a rate of arrivals what is not answered piles up.
    let mut piling = Hold::of(20, 9, 100);
    for (i, second) in piling.m.hold.iter_mut().enumerate() {
        let waiting = (0..15 * (i as u64 + 1)).map(Duration::from_millis);
        second.window.steps[ANSWER].in_flight = Histogram::of(waiting);
    }
    broke(&piling, "rps>20");
    // As much failed as was asked for, and that is less than the bound.
    let few = Hold::of(20, 9, 100).failing(ANSWER, FailureKind::Status, 5);
    assert_eq!(few.verdict("rps>20"), Verdict::Undecided);
    assert_eq!(
        few.judge("rps>20").reason,
        "rps>20: level 100 offered 14.0/s at most"
    );
}

#[test]
fn least_throughputs_alone_bound_no_users() {
    let check = |slo: &str| Slo::parse([slo]).unwrap().check_bounds_users();
    for slo in ["rps>20", "rps>=20,rps(ask)>5"] {
        let error = check(slo).unwrap_err().to_string();
        for part in [
            &format!("`{slo}` alone"),
            "does not limit the number of users",
            "--slo 'p99<2s'",
            "ramp",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }
    for slo in ["rps>20,p99<2s", "errors<1%", "gateway.up==1,rps>20"] {
        assert_eq!(check(slo), Ok(()), "{slo}");
    }
}

// ---- the tail ----

/// Requests counted at or above `ratio` times the limit, per block.
fn at_or_above(tail: &Tail, ratio: f64) -> Vec<f64> {
    let end = RATIOS
        .iter()
        .position(|r| *r < ratio - 1e-9)
        .unwrap_or(RATIOS.len());
    (tail.blocks.iter())
        .map(|block| block[..end].iter().sum())
        .collect()
}

/// The tail and the share of violations of `p99<2s`.
fn tail_of(hold: &Hold) -> (Tail, (f64, f64)) {
    let outcome = hold.judge("p99<2s").outcomes.remove(0);
    let Evidence::Share { bad, total, .. } = outcome.evidence else {
        panic!("{:?}", outcome.evidence);
    };
    (outcome.tail.expect("a quantile has a tail"), (bad, total))
}

#[test]
fn a_tail_counts_completed_answers_block_by_block() {
    // One second more in each third: 10 ms for most, and a few near the limit of 2 s.
    let mut hold = Hold::of(9, 20, 10);
    for (second, ms) in [
        (0, 1_500),
        (2, 2_000),
        (3, 2_100),
        (5, 5_000),
        (6, 1_000),
        (8, 1_960),
    ] {
        hold.m.hold[second].window.steps[ANSWER]
            .latency
            .merge(&Histogram::of([Duration::from_millis(ms)]));
    }
    let (tail, (bad, total)) = tail_of(&hold);
    assert!((tail.limit_s - 2.0).abs() < 1e-12);
    // 1.5 s is 0.75 limits, 1.0 s is below all thresholds, 2.0 s is at the limit: late.
    assert_eq!(at_or_above(&tail, 0.56), [2.0, 2.0, 1.0]);
    assert_eq!(at_or_above(&tail, 0.74), [2.0, 2.0, 1.0]);
    assert_eq!(at_or_above(&tail, 0.93), [1.0, 2.0, 1.0]);
    assert_eq!(at_or_above(&tail, 1.0), [1.0, 2.0, 0.0]);
    assert_eq!(at_or_above(&tail, 1.08), [0.0, 1.0, 0.0]);
    assert_eq!(at_or_above(&tail, 2.0), [0.0, 1.0, 0.0]);
    let counted: Vec<f64> = tail.blocks.iter().map(|b| b.iter().sum()).collect();
    assert_eq!(counted, [62.0, 62.0, 62.0]);
    assert_eq!((bad, total), (3.0, 186.0));
}

#[test]
fn an_answer_exactly_at_the_limit_is_late() {
    // Below 2 ms the buckets are single microseconds, so that an answer can be exactly there.
    let outcome = Hold::of(9, 20, 1).judge("p99<1ms").outcomes.remove(0);
    let tail = outcome.tail.unwrap();
    assert_eq!(at_or_above(&tail, 1.0), [60.0, 60.0, 60.0]);
    assert_eq!(at_or_above(&tail, 1.08), [0.0, 0.0, 0.0]);
    assert!(matches!(outcome.evidence, Evidence::Share { bad, .. } if (bad - 180.0).abs() < 1e-9));
}

#[test]
fn seconds_that_do_not_divide_are_all_in_some_block() {
    for seconds in [1, 2, 3, 4, 10, 31] {
        let (tail, (_, total)) = tail_of(&Hold::of(seconds, 7, 10));
        assert_eq!(tail.blocks.len(), seconds.min(3));
        assert!((tail.requests() - total).abs() < 1e-9, "{seconds}");
    }
}

#[test]
fn a_failure_is_slower_than_everything_and_the_generators_own_is_none() {
    let failed = Hold::of(9, 20, 10).failing(ANSWER, FailureKind::Timeout, 1);
    let (tail, (bad, _)) = tail_of(&failed);
    assert_eq!(at_or_above(&tail, 2.0), [3.0, 3.0, 3.0]);
    assert!(tail.failed.abs() < 1e-9, "a timeout has waited");
    assert!((bad - 9.0).abs() < 1e-9);
    // A cycle that fails before it gets there counts against the answer too; one that fails later
    // does not.
    let before = Hold::of(9, 20, 10).failing(OPEN, FailureKind::Status, 2);
    let (tail, _) = tail_of(&before);
    assert_eq!(at_or_above(&tail, 2.0), [6.0, 6.0, 6.0]);
    assert!((tail.failed - 18.0).abs() < 1e-9);
    let ours = Hold::of(9, 20, 10).failing(ANSWER, FailureKind::NoPorts, 1);
    let (tail, _) = tail_of(&ours);
    assert_eq!(at_or_above(&tail, 0.56), [0.0, 0.0, 0.0]);
    assert!(tail.failed.abs() < 1e-9);
}

#[test]
fn answers_in_flight_count_past_every_threshold_that_they_have_passed() {
    // A hold of 20 s with nobody old at its start; at its end three are 3 s old (1.5 limits), two
    // are 1 s, one is 20 s.
    let pending = Hold::of(20, 50, 10).in_flight(&[], &[3, 3, 3, 1, 1, 20]);
    let (tail, (bad, _)) = tail_of(&pending);
    assert_eq!(at_or_above(&tail, 2.0), [0.0, 0.0, 1.0]);
    assert_eq!(at_or_above(&tail, 1.6), [0.0, 0.0, 1.0]);
    assert_eq!(at_or_above(&tail, 1.35), [0.0, 0.0, 4.0]);
    assert_eq!(at_or_above(&tail, 1.0), [0.0, 0.0, 4.0]);
    assert_eq!(at_or_above(&tail, 0.56), [0.0, 0.0, 4.0]);
    assert!((bad - 4.0).abs() < 1e-9);
    // As many are on their way at the start as at the end: a steady hold counts what completes,
    // once.
    let steady = Hold::of(20, 50, 2_500).in_flight(&[1, 1, 2, 2], &[1, 1, 2, 2]);
    let (tail, (bad, total)) = tail_of(&steady);
    assert!((tail.requests() - total).abs() < 1e-9);
    let late: f64 = at_or_above(&tail, 1.18).iter().sum();
    assert_eq!((late, bad), (1_000.0, 1_000.0));
}

proptest! {
    #[test]
    fn a_tail_and_its_share_agree_at_the_limit(
        latencies in prop::collection::vec(prop::collection::vec(1_u64..6_000, 1..30), 1..20),
        failed in 0_u64..4,
        at_end in prop::collection::vec(0_u64..8, 0..12),
    ) {
        let mut hold = Hold::of(latencies.len(), 0, 0).in_flight(&[], &at_end);
        for (second, ms) in hold.m.hold.iter_mut().zip(&latencies) {
            second.window.steps[ANSWER].latency =
                Histogram::of(ms.iter().map(|ms| Duration::from_millis(*ms)));
        }
        let hold = hold.failing(ANSWER, FailureKind::Eof, failed);
        let (tail, (bad, _)) = tail_of(&hold);
        prop_assert!((at_or_above(&tail, 1.0).iter().sum::<f64>() - bad).abs() < 1e-9);
        prop_assert!(tail.blocks.iter().flatten().all(|n| *n >= 0.0));
    }
}

#[test]
fn only_a_latency_quantile_has_a_tail() {
    for slo in EVERY_METRIC {
        let outcome = Hold::of(20, 50, 10).judge(slo).outcomes.remove(0);
        assert_eq!(outcome.tail.is_some(), slo.starts_with('p'), "{slo}");
    }
}

fn condition(text: &str) -> Result<Condition, SloError> {
    let monitors = ["ai".to_owned(), "redis".to_owned()];
    let mut condition = Condition::default();
    condition.add(text, &monitors).map(|()| condition)
}

#[test]
fn a_condition_holds_on_the_latest_readings_and_never_on_a_gap() {
    let both = condition("ai.queue==0, redis.memory<1MiB").unwrap();
    assert_eq!(both.texts(), ["ai.queue==0", "redis.memory<1MiB"]);
    let unmet = |queue, memory| {
        let reading = |monitor: &str, field: &str, value| Reading {
            monitor: monitor.to_owned(),
            field: field.to_owned(),
            value,
        };
        both.unmet(&[
            reading("redis", "queue", Some(7.0)),
            reading("ai", "queue", queue),
            reading("redis", "memory", memory),
        ])
    };
    assert_eq!(unmet(Some(0.0), Some(5.0)), None);
    assert_eq!(
        unmet(Some(12.0), Some(5.0)).as_deref(),
        Some("ai.queue==0: 12")
    );
    let full = unmet(Some(0.0), Some(2_097_152.0));
    assert_eq!(full.as_deref(), Some("redis.memory<1MiB: 2.0 MiB"));
    let gap = unmet(None, Some(5.0));
    assert_eq!(gap.as_deref(), Some("ai.queue==0: no reading"));
    assert!(both.unmet(&[]).is_some());
    let dead = condition("ai.queue==0").unwrap();
    let up = |value| Reading {
        monitor: "ai".to_owned(),
        field: "up".to_owned(),
        value,
    };
    assert_eq!(dead.unmet(&[up(Some(0.0))]), None, "nothing waits there");
    assert!(dead.unmet(&[up(Some(1.0))]).is_some());
    assert!(dead.unmet(&[up(None)]).is_some());
    assert_eq!(Condition::default().unmet(&[]), None);
}

#[test]
fn a_condition_asks_of_monitors_fields_only() {
    for (text, wanted) in [
        ("p99<2s", "`p99<2s` is not about a monitor's field"),
        (
            "ai.queue==0,rps>5",
            "`rps>5` is not about a monitor's field",
        ),
        ("", "`` is not about a monitor's field"),
        ("a.queue==0", "no monitor `a`; there are: ai, redis"),
        ("ai.queue", "has no bound"),
        ("ai.queue<x", "cannot read the bound"),
    ] {
        let error = condition(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
}

#[test]
fn what_is_only_known_within_bounds_is_decided_where_both_agree() {
    use crate::measure::Bounds;
    let slo = Slo::parse(["p99<2s"]).unwrap();
    let steps = StepTable::of_requests(["/a".to_owned()]);
    let of = |fastest_ms, likely_ms, slowest_ms| {
        let ms = |ms| Histogram::of((0..50).map(|_| Duration::from_millis(ms)));
        let second = |i| {
            let mut window = window(i, 50, likely_ms);
            for step in &mut window.steps {
                step.bounds = Some(Box::new(Bounds {
                    fastest: ms(fastest_ms),
                    slowest: ms(slowest_ms),
                }));
            }
            Second {
                window,
                readings: Vec::new(),
            }
        };
        Measurement {
            level: Level(10),
            before: None,
            arriving: Vec::new(),
            readings_before: Vec::new(),
            hold: (0..10).map(second).collect(),
            settled: true,
        }
    };
    let verdict = |m: &Measurement| slo.judge(m, &steps).verdict;
    assert_eq!(verdict(&of(1_850, 1_900, 1_950)), Verdict::Held);
    assert_eq!(verdict(&of(2_050, 2_100, 2_150)), Verdict::Broke);
    let within = of(1_950, 2_000, 2_050);
    assert_eq!(verdict(&within), Verdict::Undecided);
    assert!(!slo.is_hopeless(&within, &steps, Patience::Little));
    assert!(slo.is_hopeless(&of(2_050, 2_100, 2_150), &steps, Patience::Little));
}

fn ten_seconds_of(window: Window) -> Measurement {
    let second = Second {
        window,
        readings: Vec::new(),
    };
    Measurement {
        level: Level(10),
        before: None,
        arriving: Vec::new(),
        readings_before: Vec::new(),
        hold: vec![second; 10],
        settled: true,
    }
}

#[test]
fn failures_of_one_kind_of_request_are_not_those_of_another() {
    let slo = Slo::parse(["p99(/b)<2s"]).unwrap();
    let mut second = window(0, 50, 100);
    second.steps = vec![second.steps[0].clone(); 3];
    second.steps[0].failed.add_n(FailureKind::Status, 40);
    let m = ten_seconds_of(second);
    let names = || ["/a", "/b"].map(str::to_owned);
    let apart = StepTable::of_requests(names());
    assert_eq!(slo.judge(&m, &apart).verdict, Verdict::Held);
    let in_turn = StepTable::of_cycle(names(), None);
    assert_eq!(slo.judge(&m, &in_turn).verdict, Verdict::Broke);
    assert_eq!(
        apart.index(Some("/ b")),
        Some(1),
        "blanks are of no account"
    );
    let all: Vec<String> = apart.names().map(str::to_owned).collect();
    assert_eq!(StepTable::of_record(&all, apart.main()), apart);
}

fn with_abusers() -> StepTable {
    let users = StepTable::of_cycle(["open", "answer"].map(str::to_owned), Some(1));
    let abusers = StepTable::of_cycle(["fire".to_owned()], None);
    let bots = StepTable::of_cycle(["look".to_owned()], Some(0));
    StepTable::of_populations(&[("abusers", &abusers), ("bots", &bots)], &users, None)
}

#[test]
fn what_one_population_suffers_is_not_on_the_way_of_another() {
    let steps = with_abusers();
    let mut second = window(0, 50, 100);
    second.steps = vec![second.steps[0].clone(); 7];
    second.steps[0].failed.add_n(FailureKind::Status, 40);
    second.steps[1].failed.add_n(FailureKind::Status, 40);
    let verdict = |objective: &str, window: &Window| {
        let slo = Slo::parse([objective]).unwrap();
        slo.judge(&ten_seconds_of(window.clone()), &steps).verdict
    };
    assert_eq!(verdict("p99(answer)<2s", &second), Verdict::Held);
    assert_eq!(verdict("p99<2s", &second), Verdict::Held);
    assert_eq!(verdict("p99(bots.look)<2s", &second), Verdict::Held);
    assert_eq!(verdict("p99(abusers.fire)<2s", &second), Verdict::Broke);
    second.steps[4].failed.add_n(FailureKind::Status, 40);
    assert_eq!(verdict("p99(answer)<2s", &second), Verdict::Broke);
}

#[test]
fn what_users_do_once_is_judged_over_the_way_to_the_level() {
    let mut steps = StepTable::of_cycle(["login", "get"].map(str::to_owned), Some(1));
    steps.started_by(1);
    let slo = Slo::parse(["p99<2s", "errors(login)<10%"]).unwrap();
    let mut second = window(0, 50, 100);
    let cycle = second.steps[0].clone();
    second.steps = vec![StepWindow::default(), cycle.clone(), cycle];
    let mut m = ten_seconds_of(second.clone());
    let judgement = slo.judge(&m, &steps);
    assert_eq!(judgement.verdict, Verdict::Held, "{}", judgement.reason);
    assert!(
        judgement.reason.contains("nobody started"),
        "{}",
        judgement.reason
    );
    // Ten who logged in prove no share of one in a thousand, which is no doubt about the cycles.
    let strict = Slo::parse(["p99<2s", "errors(login)<0.1%"]).unwrap();
    let mut few = second.clone();
    few.steps = vec![StepWindow::default(); 3];
    few.steps[0].latency = Histogram::of([Duration::from_millis(50); 10]);
    m.arriving = vec![few];
    assert_eq!(strict.judge(&m, &steps).verdict, Verdict::Held);
    // On the way thirty logged in, and half as many could not.
    let mut arriving = second;
    arriving.steps = vec![StepWindow::default(); 3];
    arriving.steps[0].latency = Histogram::of([Duration::from_millis(50); 10]);
    m.arriving = vec![arriving.clone(); 3];
    assert_eq!(slo.judge(&m, &steps).verdict, Verdict::Held);
    arriving.steps[0].failed.add_n(FailureKind::Status, 5);
    m.arriving = vec![arriving; 3];
    assert_eq!(slo.judge(&m, &steps).verdict, Verdict::Broke);
    assert_eq!(m.step_total(0).completed(), 30);
}
