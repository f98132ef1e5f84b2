use super::*;
use crate::record::{GateOutcome, LimitingResource, Sureness};
use crate::samples;

fn run(size: &str, factor: f64, resource: &str) -> SizedRun {
    let mut record = samples::found();
    for (level, _) in &mut record.answer.distribution {
        *level *= factor;
    }
    let answer = &mut record.answer;
    for end in [
        &mut answer.breakpoint,
        &mut answer.ci_low,
        &mut answer.ci_high,
    ] {
        *end = end.map(|e| crate::measure::Level::nearest(f64::from(e) * factor).0);
    }
    record.answer.limiting_resource = Some(LimitingResource {
        kind: None,
        resource: resource.to_owned(),
        evidence: "it was at its limit".to_owned(),
        sureness: Sureness::Likely,
    });
    SizedRun {
        size: Size::parse(size).unwrap(),
        run: Named {
            name: format!("run {size}"),
            record,
            size: None,
        },
    }
}

fn sizing(runs: &[SizedRun], ask: &ScaleAsk) -> ScaleRecord {
    scale(runs, ask, String::new()).unwrap()
}

#[test]
fn sizes_are_told_with_efficiency_and_cost_and_what_is_needed() {
    let base = samples::found().answer.breakpoint.unwrap();
    let runs = ["1", "2", "4"].map(|s| run(s, s.parse().unwrap(), "gateway memory"));
    let ask = ScaleAsk {
        target: Some(3 * base),
        cost: Some(Cost {
            amount: 12.0,
            per: "month".to_owned(),
        }),
        gates: vec![
            format!("units({base})<=8").parse().unwrap(),
            format!("units({})<=2", 10 * base).parse().unwrap(),
            format!("units({})<=3", 3 * base).parse().unwrap(),
        ],
    };
    let record = sizing(&runs, &ask);
    let e = record.sizes[2].efficiency.unwrap();
    assert!(
        (e.estimate - 1.0).abs() < 0.01 && e.low < 1.0 && e.high > 1.0,
        "{e:?}"
    );
    let cost = record.sizes[0].cost_per_thousand.unwrap();
    assert!(
        (cost / (12_000.0 / f64::from(base)) - 1.0).abs() < 0.05,
        "{cost}"
    );
    let target = record.target.unwrap();
    let needed = target.needed.estimate.unwrap();
    assert!((3.0..=4.0).contains(&needed), "{needed}");
    assert_eq!(target.with_one_lost.unwrap().estimate, Some(needed + 1.0));
    let outcomes: Vec<GateOutcome> = record.gates.iter().map(|g| g.outcome).collect();
    assert_eq!(outcomes[..2], [GateOutcome::Passed, GateOutcome::Failed]);
    assert!(record.notes.is_empty(), "{:?}", record.notes);
}

#[test]
fn a_shared_limit_and_a_bottleneck_that_changes_are_warned_of() {
    let flat = [("1", 1.0), ("2", 1.05), ("4", 1.04)].map(|(s, f)| run(s, f, "redis cpu"));
    let notes = sizing(&flat, &ScaleAsk::default()).notes;
    assert!(
        notes.iter().any(|n| n.contains("redis cpu limits 3 sizes")),
        "{notes:?}"
    );
    let turned = [
        ("1", 1.0, "gateway-1 memory"),
        ("2", 2.0, "gateway-2 memory"),
        ("4", 2.4, "redis cpu"),
    ];
    let turned = turned.map(|(s, f, r)| run(s, f, r));
    let notes = sizing(&turned, &ScaleAsk::default()).notes;
    assert_eq!(notes.len(), 1, "{notes:?}");
    assert!(
        notes[0].contains("from gateway-2 memory (size 2) to redis cpu (size 4)"),
        "{notes:?}"
    );
}

#[test]
fn the_record_comes_back_from_its_file() {
    let runs = ["256m", "512m", "1g"].map(|s| run(s, 1.0, "memory"));
    let record = sizing(&runs, &ScaleAsk::default());
    let text = serde_json::to_string(&record).unwrap();
    let again: ScaleRecord = serde_json::from_str(&text).unwrap();
    assert_eq!(again.sizes.len(), 3);
    assert_eq!(again.size_unit, SizeUnitRecord::Bytes);
    assert_eq!(again.laws, record.laws);
}

#[test]
fn a_size_without_a_breakpoint_is_left_out_and_told() {
    let mut runs = ["1", "2", "4"].map(|s| run(s, s.parse().unwrap(), "memory"));
    runs[2].run.record.answer.ending = crate::record::Ending::NeverBroke;
    let record = sizing(&runs, &ScaleAsk::default());
    assert_eq!(record.sizes[2].breakpoint, None);
    assert!(
        record.notes[0].starts_with("size 4: it never broke"),
        "{:?}",
        record.notes
    );
}
