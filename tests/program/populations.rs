//! Two populations over real sockets against the demo: the others keep their number or rate while
//! the users' is searched, or are searched themselves while the users keep theirs.
#![expect(clippy::cast_precision_loss, reason = "counts of cycles")]

use std::fs;
use std::process::Command;

use breakpoint::measure::{Level, LevelUnit};
use breakpoint::record::{Ending, RunRecord};
use breakpoint::report;
use tempfile::TempDir;

use crate::starved::{repeated, starved};

const OTHERS: &str = "\n[[population]]\nname = \"abusers\"\nAMOUNT\n[population.scenario]\nmain = \"fire\"\n\
    [[population.scenario.steps]]\nname = \"fire\"\npost = \"/questions\"\n\
    json = { id = \"x-{{ vu }}-{{ cycle }}\", user = \"a{{ vu }}\", text = \"again\" }\nexpect = [202]\n\
    [[population.scenario.steps]]\nthink = \"500ms\"\n";

/// A short search over few levels of the demo, none of which breaks.
fn find(search: &str, amount: &str, slo: &[&str]) -> RunRecord {
    let demo = breakpoint::profile::builtin::DEMO.text;
    let kept = demo.lines().filter(|l| {
        let other = ["budget", "start-vus", "max-vus", "hold-", "settle-max"];
        !other.iter().any(|key| l.starts_with(key))
    });
    let text = kept.collect::<Vec<_>>().join("\n");
    let limits = "budget = \"60s\"\nhold-min = \"4s\"\nhold-max = \"4s\"\nsettle-max = \"6s\"\n";
    let text = format!(
        "{text}\n{limits}{search}\n{}",
        OTHERS.replace("AMOUNT", amount)
    );
    repeated(|| {
        let record = run(&text, slo);
        starved(&record).map_or(Ok(record), Err)
    })
}

/// One run of a profile.
fn run(profile: &str, slo: &[&str]) -> RunRecord {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("two.toml");
    fs::write(&file, profile).unwrap();
    let slo = slo.iter().flat_map(|s| ["--slo", s]);
    let out = Command::new(env!("CARGO_BIN_EXE_breakpoint"))
        .env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .args(["find", "--quiet", "--out"])
        .arg(dir.path().join("out"))
        .args(slo)
        .arg(&file)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    let runs = fs::read_dir(dir.path().join("out/demo"));
    let run = runs.unwrap_or_else(|_| panic!("{said}")).next();
    let run = run.unwrap().unwrap().path();
    report::read(&fs::read(run.join("result.json")).unwrap()).unwrap()
}

/// Completed passes of a step per second, over the hold of a probe.
fn per_s(record: &RunRecord, probe: usize, step: &str) -> f64 {
    let probe = &record.probes[probe];
    let step = probe.steps.iter().find(|s| s.step == step).unwrap();
    step.completed as f64 / probe.hold_s
}

#[test]
fn others_keep_their_rate_beside_the_users_and_have_an_slo_of_their_own() {
    let search = "start-vus = 10\nmax-vus = 20";
    let slo = [
        "p99(answer)<2s",
        "errors(abusers)<50%",
        "p99(abusers.fire)<2s",
    ];
    let record = find(search, "rate = 20", &slo);
    assert_eq!(
        record.answer.ending,
        Ending::NeverBroke,
        "{}",
        record.answer.reason
    );
    let steps: Vec<&str> = record.plan.steps.iter().map(String::as_str).collect();
    assert_eq!(steps[..2], ["abusers.fire", "abusers"]);
    assert_eq!(steps.last(), Some(&"cycle"));
    let populations = &record.plan.populations;
    assert_eq!(populations[0].level, Some(Level(20)));
    assert_eq!(populations[0].unit, LevelUnit::CyclesPerS);
    assert_eq!(populations[1].level, None, "the users are searched");
    for probe in 0..record.probes.len() {
        let rate = per_s(&record, probe, "abusers.fire");
        assert!((15.0..=25.0).contains(&rate), "{rate}");
        let fired = record.probes[probe]
            .objectives
            .iter()
            .find(|o| o.objective.contains("fire"));
        assert!(fired.unwrap().observed.is_some());
    }
    assert_eq!(record.probes[0].level, Level(10));
    assert_eq!(
        record.probes[0].seconds.last().unwrap().vus,
        10,
        "levels count users"
    );
}

#[test]
fn others_are_searched_while_the_users_keep_their_number() {
    let search = "population = \"abusers\"\nusers = 30\nstart-vus = 5\nmax-vus = 10";
    let record = find(search, "", &["p99(answer)<2s"]);
    assert_eq!(
        record.answer.ending,
        Ending::NeverBroke,
        "{}",
        record.answer.reason
    );
    assert_eq!(record.plan.populations[0].level, None);
    assert_eq!(record.plan.populations[1].level, Some(Level(30)));
    assert_eq!(record.probes[0].level, Level(5));
    assert_eq!(
        record.probes[0].seconds.last().unwrap().vus,
        5,
        "levels count abusers"
    );
    // 30 users with a cycle of some 1.1 s; 5 abusers each twice a second, then 10.
    let users = per_s(&record, 0, "cycle");
    assert!((15.0..=35.0).contains(&users), "{users}");
    let (few, more) = (per_s(&record, 0, "abusers"), per_s(&record, 1, "abusers"));
    assert!(
        (7.0..=12.0).contains(&few) && (14.0..=24.0).contains(&more),
        "{few} {more}"
    );
}
