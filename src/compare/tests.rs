use std::time::Duration;

use super::*;
use crate::measure::{Histogram, Level};
use crate::record::{
    ChangeVerdict, CompareRecord, Ending, GateOutcome, LimitingResource, Purpose, RunRecord,
};
use crate::samples;

fn named(name: &str, record: RunRecord) -> Named {
    Named {
        name: name.to_owned(),
        record,
        size: None,
    }
}

/// The sample run with its breakpoint and everything around it moved by a factor.
fn moved(factor: f64) -> RunRecord {
    let mut record = samples::found();
    let whole = |v: u32| Level::nearest(f64::from(v) * factor).get();
    let answer = &mut record.answer;
    answer.breakpoint = answer.breakpoint.map(whole);
    answer.ci_low = answer.ci_low.map(whole);
    answer.ci_high = answer.ci_high.map(whole);
    for (level, _) in &mut answer.distribution {
        *level *= factor;
    }
    record
}

fn of(base: RunRecord, candidate: RunRecord, conditions: &[&str]) -> CompareRecord {
    let runs = [named("before", base), named("after", candidate)];
    let conditions: Vec<Condition> = conditions.iter().map(|c| c.parse().unwrap()).collect();
    compare(
        &runs,
        &Design::EachWithFirst,
        &conditions,
        "2026-11-25T12:00:00Z".to_owned(),
    )
    .unwrap()
}

fn change(record: &CompareRecord, metric: ComparedMetric) -> &Change {
    let mut changes = record.comparisons[0].changes.iter();
    changes.find(|c| c.metric == metric).unwrap()
}

fn breakpoint(record: &CompareRecord) -> &Change {
    change(record, ComparedMetric::Breakpoint)
}

#[test]
fn a_run_beside_itself_has_not_changed() {
    let record = of(samples::found(), samples::found(), &[]);
    let of_it = breakpoint(&record);
    assert_eq!(of_it.verdict, ChangeVerdict::NoEvidence);
    assert!((of_it.ratio.unwrap() - 1.0).abs() < 5e-3, "{of_it:?}");
    assert!(of_it.low.unwrap() < 1.0 && of_it.high.unwrap() > 1.0);
    assert!(of_it.p_value.unwrap() > 0.9 && of_it.detectable.unwrap() > 0.0);
    assert!(record.comparisons[0].differences.is_empty());
    for metric in ComparedMetric::ALL {
        let verdict = change(&record, metric).verdict;
        assert!(
            matches!(
                verdict,
                ChangeVerdict::NoEvidence | ChangeVerdict::CannotSay
            ),
            "{metric:?} {verdict:?}"
        );
    }
}

#[test]
fn a_clear_change_is_evidence_in_its_direction() {
    for (factor, verdict) in [(1.3, ChangeVerdict::Rise), (0.75, ChangeVerdict::Fall)] {
        let record = of(samples::found(), moved(factor), &[]);
        let of_it = breakpoint(&record);
        assert_eq!(of_it.verdict, verdict, "{of_it:?}");
        assert!(
            (of_it.ratio.unwrap() / factor - 1.0).abs() < 0.01,
            "{of_it:?}"
        );
        assert!(of_it.low.unwrap() < factor && factor < of_it.high.unwrap());
    }
}

#[test]
fn a_run_that_never_broke_bounds_the_change_from_below() {
    // 5 000 at least, against 1 184.
    let record = of(samples::found(), samples::never_broke(), &[]);
    let of_it = breakpoint(&record);
    assert_eq!(of_it.verdict, ChangeVerdict::Rise);
    assert_eq!((of_it.ratio, of_it.high), (None, None));
    let low = of_it.low.unwrap();
    assert!((3.8..4.23).contains(&low), "{low}");
    let back = of(samples::never_broke(), samples::found(), &[]);
    assert_eq!(breakpoint(&back).verdict, ChangeVerdict::Fall);
    assert!((breakpoint(&back).high.unwrap() * low - 1.0).abs() < 0.03);
    let both = of(samples::never_broke(), samples::never_broke(), &[]);
    assert_eq!(breakpoint(&both).verdict, ChangeVerdict::CannotSay);
    assert!(
        breakpoint(&both).reason.contains("at least 5000"),
        "{both:?}"
    );
}

#[test]
fn a_run_that_broke_at_its_minimum_bounds_the_change_from_above() {
    let mut broke = samples::found();
    broke.answer.ending = Ending::BrokeAtMinimum;
    broke.plan.min_level = 100;
    let record = of(samples::found(), broke, &["breakpoint<-5%"]);
    let of_it = breakpoint(&record);
    assert_eq!(of_it.verdict, ChangeVerdict::Fall);
    assert_eq!((of_it.ratio, of_it.low), (None, None));
    assert!((0.084..0.09).contains(&of_it.high.unwrap()), "{of_it:?}");
    assert_eq!(record.gates[0].outcome, GateOutcome::Failed);
}

#[test]
fn an_interval_without_a_number_tells_a_change_only_where_the_intervals_leave_each_other_out() {
    let within = |low, high| {
        let mut run = samples::bracketed();
        (run.answer.ci_low, run.answer.ci_high) = (Some(low), Some(high));
        run
    };
    let gate = ["breakpoint<-5%"];
    // 59 to 83 against 120 to 170: at least 1.44 times, at most 2.88 times, both a little further
    // apart for what runs differ by.
    let record = of(within(59, 83), within(120, 170), &gate);
    let rise = breakpoint(&record);
    assert_eq!(rise.verdict, ChangeVerdict::Rise);
    assert_eq!((rise.ratio, rise.base, rise.candidate), (None, None, None));
    assert!((1.35..1.4458).contains(&rise.low.unwrap()), "{rise:?}");
    assert!((2.8813..3.1).contains(&rise.high.unwrap()), "{rise:?}");
    assert_eq!(record.gates[0].outcome, GateOutcome::Passed);
    // They overlap by one VU: two log-normal distributions would call that evidence.
    let record = of(within(59, 83), within(82, 115), &[]);
    assert_eq!(breakpoint(&record).verdict, ChangeVerdict::NoEvidence);
    // A number beside an interval.
    let record = of(samples::found(), within(500, 900), &gate);
    let fall = breakpoint(&record);
    assert_eq!(fall.verdict, ChangeVerdict::Fall);
    assert_eq!(fall.ratio, None);
    assert_eq!(record.gates[0].outcome, GateOutcome::Failed);
    let record = of(samples::found(), within(900, 1300), &[]);
    assert_eq!(breakpoint(&record).verdict, ChangeVerdict::NoEvidence);
    // Bounds beside an interval.
    let record = of(within(59, 83), samples::never_broke(), &[]);
    assert_eq!(breakpoint(&record).verdict, ChangeVerdict::Rise);
}

#[test]
fn what_a_run_noticed_stands_beside_the_change() {
    let record = of(samples::found(), samples::fitted(), &[]);
    let has = |part: &str| record.notes.iter().any(|n| n.contains(part));
    assert!(has(
        "warmed up: the median of 10 VUs fell from 210 ms to 80 ms"
    ));
    assert!(has("a pause of 3 s every 15 min would not have been seen"));
    assert_eq!(record.notes.len(), 6, "{:#?}", record.notes);
}

#[test]
fn what_is_no_single_number_is_not_compared_and_passes_no_gate() {
    for ending in [
        Ending::TimeDriven,
        Ending::Hysteresis,
        Ending::Bimodal,
        Ending::Undecided,
        Ending::GeneratorLimited,
        Ending::TargetDown,
        Ending::Interrupted,
        Ending::DataUsedUp,
        Ending::Aborted,
    ] {
        let mut odd = samples::found();
        odd.answer.ending = ending;
        let record = of(samples::found(), odd, &["breakpoint<-5%"]);
        let of_it = breakpoint(&record);
        assert_eq!(of_it.verdict, ChangeVerdict::CannotSay, "{ending:?}");
        assert!(of_it.reason.starts_with("candidate: "), "{}", of_it.reason);
        assert_eq!(record.gates[0].outcome, GateOutcome::CannotSay);
    }
}

#[test]
fn gates_fail_on_evidence_beyond_their_bound_and_say_what_they_could_not_see() {
    let outcome = |factor: f64, condition: &str| {
        let record = of(samples::found(), moved(factor), &[condition]);
        (record.gates[0].outcome, record.gates[0].reason.clone())
    };
    let (failed, why) = outcome(0.75, "breakpoint<-5%");
    assert_eq!(failed, GateOutcome::Failed, "{why}");
    assert!(
        why.contains("a fall of 25.") || why.contains("a fall of 24."),
        "{why}"
    );
    // Evidence of a fall, but not beyond the bound.
    assert_eq!(outcome(0.75, "breakpoint<-50%").0, GateOutcome::Passed);
    // Beyond the bound, but no evidence.
    let (passed, why) = outcome(0.985, "breakpoint<-1%");
    assert_eq!(passed, GateOutcome::Passed);
    assert!(why.contains("is possible"), "{why}");
    assert_eq!(outcome(1.5, "breakpoint>+20%").0, GateOutcome::Failed);
    let (passed, why) = outcome(1.5, "breakpoint<-5%");
    assert_eq!(
        (passed, why.as_str()),
        (GateOutcome::Passed, "a fall is excluded")
    );
}

#[test]
fn a_condition_that_cannot_be_meant_is_refused() {
    for (text, wanted) in [
        ("breakpoint", "is not a condition"),
        ("p95<-5%", "not a compared metric"),
        ("breakpoint<5%", "with a fall"),
        ("p99>-5%", "with a fall"),
        ("breakpoint<-100%", "with a fall"),
        ("breakpoint<-x", "does not start with a number"),
        ("breakpoint<-5s", "unknown unit"),
        ("<-5%", "not a compared metric"),
    ] {
        let error = text.parse::<Condition>().unwrap_err().to_string();
        assert!(error.contains(wanted), "{text}: {error}");
    }
    let condition: Condition = " p99 > +20% ".parse().unwrap();
    assert_eq!(condition.metric, ComparedMetric::P99);
    assert_eq!(condition.bound, Bound::Rise(0.2));
    assert_eq!(
        "knee<-0.05".parse::<Condition>().unwrap().bound,
        Bound::Fall(0.05)
    );
}

#[test]
fn runs_of_different_slos_or_units_are_refused_with_both_named() {
    let mut other = samples::found();
    other.slo = vec!["p99<1s".to_owned()];
    let refuse = |other: RunRecord| {
        let runs = [named("before", samples::found()), named("after", other)];
        let compared = compare(&runs, &Design::EachWithFirst, &[], String::new());
        compared.unwrap_err().to_string()
    };
    let error = refuse(other);
    for part in ["before (", "after (p99<1s)", "--slo"] {
        assert!(error.contains(part), "{error}");
    }
    let mut rate = samples::found();
    rate.plan.unit = crate::measure::LevelUnit::RequestsPerS;
    let error = refuse(rate);
    assert!(
        error.contains("VUs") && error.contains("requests/s"),
        "{error}"
    );
    let one = [named("alone", samples::found())];
    let error = compare(&one, &Design::EachWithFirst, &[], String::new()).unwrap_err();
    assert_eq!(error, CompareError::TooFew);
}

#[test]
fn only_what_differs_is_told() {
    let mut other = samples::found();
    other.plan.seed = 99;
    other.started_at = "2027-01-01T00:00:00Z".to_owned();
    other.environment.cpus += 2;
    let limit = &mut other.plan.limits[0];
    let what = format!("limit {}.{}", limit.monitor, limit.field);
    limit.value = limit.value.map(|v| 2.0 * v);
    other.answer.limiting_resource = Some(LimitingResource {
        kind: None,
        resource: "ai CPU".to_owned(),
        evidence: "1.99 of 2 cores".to_owned(),
        sureness: crate::record::Sureness::Likely,
    });
    let record = of(samples::found(), other, &[]);
    let comparison = &record.comparisons[0];
    let told: Vec<&str> = comparison
        .differences
        .iter()
        .map(|d| d.what.as_str())
        .collect();
    assert_eq!(told, ["CPUs", what.as_str()]);
    assert_eq!(comparison.limited_now.as_ref().unwrap().resource, "ai CPU");
}

#[test]
fn latency_is_compared_at_the_highest_level_that_both_visited() {
    let record = of(samples::found(), samples::crashed(), &[]);
    let p99 = change(&record, ComparedMetric::P99);
    let (a, b) = p99.levels.unwrap();
    assert_eq!(a, b);
    let visited = |record: RunRecord, level: Level| {
        record.probes.iter().any(|p| p.level == level && p.settled)
    };
    assert!(visited(samples::found(), a) && visited(samples::crashed(), a));
    assert!(p99.base.unwrap() > 0.0);
}

/// A run that held a level for `hold_s` seconds after its search, with latencies that a factor
/// makes longer.
fn with_reference(mut record: RunRecord, level: u32, hold_s: u32, factor: f64) -> RunRecord {
    let quiet = record.probes.iter().find(|p| p.whole()).unwrap();
    let mut probe = quiet.clone();
    probe.index = record.probes.len();
    probe.level = Level(level);
    probe.purpose = Purpose::Reference;
    probe.throughput_per_s = Some(100.0);
    let second = quiet.seconds.iter().find(|s| s.hold).unwrap().clone();
    probe.hold_s = hold_s.into();
    probe.seconds = (0..hold_s)
        .map(|i| {
            let mut second = second.clone();
            second.steps.last_mut().unwrap().completed = 98 + u64::from(i % 5);
            let millis = |k: u32| 20.0 + f64::from((7 * k + 3 * i) % 100);
            let latencies = (0..100).map(|k| Duration::from_secs_f64(factor * millis(k) / 1e3));
            second.main_latency = Histogram::of(latencies);
            second
        })
        .collect();
    let main = &mut probe.steps[record.plan.main_step];
    main.latency = Histogram::sum(probe.seconds.iter().map(|s| &s.main_latency));
    record.probes.push(probe);
    record
}

#[test]
fn latency_and_throughput_are_compared_at_the_level_that_both_held_after_their_search() {
    let run = |factor| with_reference(with_reference(samples::found(), 7, 40, factor), 3, 40, 1.0);
    let same = of(run(1.0), run(1.0), &["p99>+10%"]);
    for metric in [
        ComparedMetric::P50,
        ComparedMetric::P99,
        ComparedMetric::Throughput,
    ] {
        let change = change(&same, metric);
        assert_eq!(change.levels, Some((Level(7), Level(7))), "{metric:?}");
        assert_eq!(change.verdict, ChangeVerdict::NoEvidence, "{change:?}");
        assert!(change.base.is_some() && change.candidate.is_some());
    }
    assert_eq!(same.gates[0].outcome, GateOutcome::Passed);
    let slower = of(run(1.0), run(1.3), &["p99>+10%"]);
    for metric in [ComparedMetric::P50, ComparedMetric::P99] {
        let change = change(&slower, metric);
        assert_eq!(change.verdict, ChangeVerdict::Rise, "{change:?}");
        let (low, high) = (change.low.unwrap(), change.high.unwrap());
        assert!(low < 1.3 && 1.3 < high && high < 1.5, "{low} {high}");
    }
    assert_eq!(slower.gates[0].outcome, GateOutcome::Failed);
    // A short hold has too few requests in its tail.
    let short = |factor| with_reference(samples::found(), 7, 5, factor);
    let record = of(short(1.0), short(2.0), &[]);
    let p99 = change(&record, ComparedMetric::P99);
    assert_eq!(p99.verdict, ChangeVerdict::CannotSay);
    assert!(
        p99.base.is_some() && p99.reason.contains("too few requests"),
        "{}",
        p99.reason
    );
}

/// A run with a breakpoint at 50 that held one level alone, and for long.
fn with_breakpoint_at_50(level: u32, factor: f64) -> RunRecord {
    let mut record = with_reference(samples::found(), level, 60, factor);
    record.answer.breakpoint = Some(50);
    let index = record.probes.len() - 1;
    record.probes[index].purpose = Purpose::Refine;
    record.probes.retain(|p| p.level == Level(level));
    record
}

#[test]
fn levels_beyond_the_breakpoint_and_levels_that_differ_are_no_common_ones() {
    // As an unchanged service was seen twice: 58 and 59 VUs with a breakpoint at 50, and 6 % slower
    // at the higher one.
    let gates = ["p99>+1%"];
    for (base, candidate) in [(58, 59), (58, 58), (40, 41)] {
        let record = of(
            with_breakpoint_at_50(base, 1.0),
            with_breakpoint_at_50(candidate, 1.06),
            &gates,
        );
        let p99 = change(&record, ComparedMetric::P99);
        assert_eq!(p99.verdict, ChangeVerdict::CannotSay, "{p99:?}");
        assert!(
            p99.reason.contains("have no held level in common"),
            "{}",
            p99.reason
        );
        assert_eq!(record.gates[0].outcome, GateOutcome::CannotSay);
    }
    // One and the same level below both is.
    let record = of(
        with_breakpoint_at_50(45, 1.0),
        with_breakpoint_at_50(45, 1.3),
        &gates,
    );
    let p99 = change(&record, ComparedMetric::P99);
    assert_eq!(p99.levels, Some((Level(45), Level(45))));
    assert_eq!(p99.verdict, ChangeVerdict::Rise, "{p99:?}");
    // Unless one of the runs broke there once.
    let mut broke = with_breakpoint_at_50(45, 1.3);
    let mut again = broke.probes[0].clone();
    again.verdict = crate::slo::Verdict::Broke;
    broke.probes.push(again);
    let record = of(with_breakpoint_at_50(45, 1.0), broke, &gates);
    let p99 = change(&record, ComparedMetric::P99);
    assert_eq!(p99.verdict, ChangeVerdict::CannotSay, "{p99:?}");
}

#[test]
fn a_doubled_peak_throughput_is_told() {
    // Throughput still grew in both, so that it is compared at a level of both.
    let growing = |peak: f64| {
        let mut record = with_reference(thinking(30.0), 7, 40, 1.0);
        record.answer.peak_throughput_per_s = Some(peak);
        record
    };
    let record = of(growing(50.0), growing(100.0), &[]);
    let throughput = change(&record, ComparedMetric::Throughput);
    assert_eq!(throughput.levels, Some((Level(7), Level(7))));
    assert_eq!(throughput.verdict, ChangeVerdict::NoEvidence);
    assert!(
        throughput.reason.contains("50.0 -> 100.0 cycles/s"),
        "{}",
        throughput.reason
    );
    // Where the base's stopped growing and the candidate's went on past it, that is a rise already.
    let mut doubled = thinking(30.0);
    for probe in &mut doubled.probes {
        probe.throughput_per_s = probe.throughput_per_s.map(|x| 2.0 * x);
        for second in &mut probe.seconds {
            if let Some(cycle) = second.steps.last_mut() {
                cycle.completed *= 2;
            }
        }
    }
    let record = of(thinking(5.0), doubled, &["throughput<-5%"]);
    let throughput = change(&record, ComparedMetric::Throughput);
    assert_eq!(throughput.verdict, ChangeVerdict::Rise, "{throughput:?}");
    assert!(throughput.low.unwrap() > 1.5 && throughput.high.is_none());
    assert_eq!(record.gates[0].outcome, GateOutcome::Passed);
}

/// A run with this think time and with four cycles or more in each hold.
fn thinking(think_s: f64) -> RunRecord {
    let mut record = samples::found();
    record.plan.think_s = think_s;
    for probe in &mut record.probes {
        probe.hold_s *= 4.0;
        let seconds = probe.seconds.clone();
        probe.seconds.extend((0..3).flat_map(|_| seconds.clone()));
    }
    record
}

#[test]
fn a_load_to_carry_at_which_a_line_forms_is_no_level_to_compare_at() {
    let run = |factor: f64| {
        let held = with_reference(samples::found(), 9, 40, factor);
        let mut record = with_reference(held, 7, 40, 1.0);
        record.plan.required = Some(9);
        record
    };
    let at = |factor| {
        let record = of(run(factor), run(factor), &[]);
        change(&record, ComparedMetric::P99).levels
    };
    assert_eq!(at(100.0), Some((Level(7), Level(7))));
    assert_eq!(at(0.01), Some((Level(9), Level(9))));
}

#[test]
fn a_knee_beyond_the_breakpoint_is_bounded_from_below() {
    // With so long a think time throughput would grow beyond the highest level.
    let record = of(thinking(30.0), thinking(30.0), &[]);
    let knee = change(&record, ComparedMetric::Knee);
    assert_eq!(knee.verdict, ChangeVerdict::CannotSay, "{knee:?}");
    assert!(
        knee.reason.contains(
            "neither run reached its knee, because the SLO broke before throughput stopped growing"
        ),
        "{}",
        knee.reason
    );
    let record = of(thinking(5.0), thinking(30.0), &["knee<-5%"]);
    let knee = change(&record, ComparedMetric::Knee);
    assert_eq!(knee.verdict, ChangeVerdict::Rise, "{knee:?}");
    assert!(knee.high.is_none() && knee.low.unwrap() > 4.0, "{knee:?}");
    assert_eq!(record.gates[0].outcome, GateOutcome::Passed);
}

#[test]
fn a_knee_that_was_not_seen_is_no_missing_evidence() {
    // The knee of the candidate is at least a little more than the highest throughput, which is far
    // below that of the base.
    let mut short = thinking(10.0);
    short.probes.retain(|p| p.level.get() <= 640);
    let record = of(thinking(8.0), short, &["knee<-5%"]);
    let knee = change(&record, ComparedMetric::Knee);
    assert_eq!(knee.verdict, ChangeVerdict::CannotSay, "{knee:?}");
    assert!(
        knee.reason
            .starts_with("the candidate did not reach its knee"),
        "{}",
        knee.reason
    );
    assert_eq!(record.gates[0].outcome, GateOutcome::CannotSay);
}

#[test]
fn a_knee_is_compared_where_throughput_stopped_growing() {
    let record = of(thinking(5.0), thinking(5.0), &["knee<-5%"]);
    let knee = change(&record, ComparedMetric::Knee);
    assert_eq!(knee.verdict, ChangeVerdict::NoEvidence, "{knee:?}");
    assert!(knee.low.unwrap() < 1.0 && knee.high.unwrap() > 1.0);
    assert_eq!(record.gates[0].outcome, GateOutcome::Passed);
    // Twice the time of a cycle is twice the knee.
    let record = of(thinking(2.5), thinking(5.0), &[]);
    let knee = change(&record, ComparedMetric::Knee);
    assert_eq!(knee.verdict, ChangeVerdict::Rise, "{knee:?}");
    // Where users wait at the lowest level already, nobody knows a cycle without waiting.
    let mut busy = thinking(5.0);
    busy.probes.retain(|p| p.level.get() > 400);
    let record = of(busy, thinking(5.0), &[]);
    let knee = change(&record, ComparedMetric::Knee);
    assert_eq!(knee.verdict, ChangeVerdict::CannotSay);
    assert!(
        knee.reason.contains("too close to the knee"),
        "{}",
        knee.reason
    );
}

#[test]
fn several_candidates_are_corrected_for() {
    let run = |name: &str, factor: f64| named(name, moved(factor));
    let two = [run("base", 1.0), run("a", 1.07)];
    let alone = compare(&two, &Design::EachWithFirst, &[], String::new()).unwrap();
    let p = breakpoint(&alone).p_value.unwrap();
    assert!(p > 0.002 && p < 0.5, "{p}");
    let three = [run("base", 1.0), run("a", 1.07), run("b", 1.0)];
    let record = compare(&three, &Design::EachWithFirst, &[], String::new()).unwrap();
    assert_eq!(record.comparisons.len(), 2);
    let corrected = breakpoint(&record).p_value.unwrap();
    assert!(
        (corrected - (2.0 * p).min(1.0)).abs() < 1e-9,
        "{corrected} {p}"
    );
    assert!(record.notes[0].contains("Holm"), "{:?}", record.notes);
}

#[test]
fn pairs_that_agree_are_surer_than_one() {
    let runs: Vec<Named> = [1.0, 1.08, 1.08, 1.0, 1.0, 1.08]
        .iter()
        .enumerate()
        .map(|(i, factor)| named(&format!("run {i}"), moved(*factor)))
        .collect();
    let pairs = vec![(0, 1), (3, 2), (4, 5)];
    let three = compare(&runs, &Design::Pairs(pairs), &[], String::new()).unwrap();
    let one = compare(&runs, &Design::Pairs(vec![(0, 1)]), &[], String::new()).unwrap();
    let width = |r: &CompareRecord| breakpoint(r).high.unwrap() / breakpoint(r).low.unwrap();
    assert!(width(&three) < width(&one));
    assert_eq!(breakpoint(&three).pairs, 3);
    assert_eq!(breakpoint(&three).verdict, ChangeVerdict::Rise);
}

#[test]
fn a_pair_that_cannot_be_compared_is_left_out_and_told() {
    let mut down = moved(1.0);
    down.answer.ending = Ending::TargetDown;
    let runs = [
        named("a", moved(1.0)),
        named("b", moved(1.3)),
        named("c", moved(1.3)),
        named("d", down),
    ];
    let design = Design::Pairs(vec![(0, 1), (3, 2)]);
    let record = compare(&runs, &design, &[], String::new()).unwrap();
    let of_it = breakpoint(&record);
    assert_eq!((of_it.pairs, of_it.verdict), (1, ChangeVerdict::Rise));
    assert!(
        of_it.reason.starts_with("1 of 2 pairs are excluded"),
        "{}",
        of_it.reason
    );
}

/// Runs of these sizes that carry what the law says.
fn sizes(of: &[(f64, f64)]) -> Vec<Named> {
    of.iter()
        .map(|(size, factor)| Named {
            size: Some(*size),
            ..named(&format!("size {size}"), moved(*factor))
        })
        .collect()
}

#[test]
fn sizes_give_a_law_a_peak_and_a_forecast_with_its_band() {
    let law = |n: f64| n / (1.0 + 0.05 * (n - 1.0) + 0.01 * n * (n - 1.0));
    let runs = sizes(&[1.0, 2.0, 4.0, 8.0].map(|n| (n, law(n))));
    let record = compare(&runs, &Design::Sizes, &[], String::new()).unwrap();
    assert!(record.comparisons.is_empty());
    let scaling = record.scaling.unwrap();
    let peak = scaling.peak_size;
    let truth = (0.95_f64 / 0.01).sqrt();
    assert!(
        (peak.estimate.unwrap() / truth - 1.0).abs() < 0.05,
        "{peak:?}"
    );
    assert!(peak.low < truth && peak.high.is_none_or(|h| h > truth));
    let forecast = scaling.forecast;
    assert!((forecast.size - 16.0).abs() < 1e-9);
    let said = 1184.0 * law(16.0);
    assert!(forecast.low < said && said < forecast.high, "{forecast:?}");
    assert_eq!((scaling.freedom, scaling.points.len()), (1, 4));
    assert!(scaling.fits_p.unwrap() > 0.05);
}

#[test]
fn a_scaling_that_cannot_be_fitted_says_why() {
    let refuse = |runs: &[Named]| {
        let compared = compare(runs, &Design::Sizes, &[], String::new());
        compared.unwrap_err().to_string()
    };
    let error = refuse(&sizes(&[(1.0, 1.0), (2.0, 1.9), (2.0, 1.8)]));
    assert!(error.contains("2 different sizes"), "{error}");
    let mut runs = sizes(&[(1.0, 1.0), (2.0, 1.9), (4.0, 3.0)]);
    runs[1].record.answer.ending = Ending::Undecided;
    assert!(refuse(&runs).contains("size 2: it is undecided"));
    runs[1].size = None;
    assert!(refuse(&runs).contains("needs a size"));
}
