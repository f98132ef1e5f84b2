//! Scripts with several scenarios, against a real server.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};

use breakpoint::measure::LevelUnit;
use breakpoint::record::{RampRecord, RunRecord};
use breakpoint::report;
use tempfile::TempDir;

use crate::script::{breakpoint, said, with};
use crate::starved::{answered, repeated};
use crate::try_command::{Asked, Server, answer, server};

const TWO: &str = r"
import http from 'k6/http';
import exec from 'k6/execution';
import { sleep } from 'k6';

export const options = {
  scenarios: {
    browsers: { executor: 'ramping-vus', startVUs: 0, exec: 'visit', env: { KIND: 'browse' },
      tags: { who: 'browsers' }, stages: [{ duration: '1s', target: 3 }, { duration: '2s', target: 3 }] },
    buyers: { executor: 'constant-vus', vus: 1, duration: '3s', exec: 'visit',
      env: { KIND: 'buy' }, tags: { who: 'buyers' } },
  },
};

export function visit() {
  const { name, executor } = exec.scenario;
  const who = exec.vu.metrics.tags.who;
  http.get(`${__ENV.BASE}/${__ENV.KIND}?${name}=${executor}&who=${who}&vu=${__VU}`);
  sleep(0.05);
}
";

const RATES: &str = r"
import http from 'k6/http';

export const options = {
  scenarios: {
    arrivals: { executor: 'ramping-arrival-rate', startRate: 600, timeUnit: '1m',
      preAllocatedVUs: 5, maxVUs: 20,
      stages: [{ duration: '1s', target: 1200 }, { duration: '2s', target: 1200 }] },
  },
};

export default function () { http.get(`${__ENV.BASE}/page`); }
";

/// What was asked for, and how often.
type Seen = Arc<Mutex<BTreeMap<String, u32>>>;

fn counting() -> (Server, Seen) {
    let seen = Seen::default();
    let own = Arc::clone(&seen);
    let server = server(move |asked: &Asked| {
        let path = asked.head.split(' ').nth(1).unwrap_or_default().to_owned();
        *own.lock().unwrap().entry(path).or_default() += 1;
        answer("200 OK", "", "welcome")
    });
    (server, seen)
}

fn result(folder: &TempDir, name: &str) -> Vec<u8> {
    let mut runs = fs::read_dir(folder.path().join("out/script-s")).unwrap();
    fs::read(runs.next().unwrap().unwrap().path().join(name)).unwrap()
}

fn ramp(folder: &TempDir) -> RampRecord {
    report::read_ramp(&result(folder, "ramp.json")).unwrap()
}

fn find(folder: &TempDir) -> RunRecord {
    report::read(&result(folder, "result.json")).unwrap()
}

/// What one kind of them asked for, without the number of the VU.
fn of_kind(seen: &Seen, kind: &str) -> BTreeMap<String, u32> {
    let mut out = BTreeMap::new();
    for (path, count) in seen.lock().unwrap().iter() {
        if path.starts_with(&format!("/{kind}?")) {
            let path = path.split("&vu=").next().unwrap_or_default();
            *out.entry(path.to_owned()).or_default() += count;
        }
    }
    out
}

#[test]
fn scenarios_that_share_a_function_keep_their_names_variables_and_tags() {
    repeated(|| {
        let (folder, (shop, seen)) = (with(TWO), counting());
        let base = format!("BASE={}", shop.url);
        let args = [
            "ramp",
            "--script",
            "s.js",
            "-e",
            &base,
            "--slo",
            "p95<5s",
            "--stages",
            "4:0s,4:2s",
            "--out",
            "out",
        ];
        let output = answered(breakpoint(folder.path(), &args))?;
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let (browse, buy) = (of_kind(&seen, "browse"), of_kind(&seen, "buy"));
        let only = |of: &BTreeMap<String, u32>| of.keys().cloned().collect::<Vec<_>>();
        assert_eq!(only(&browse), ["/browse?browsers=ramping-vus&who=browsers"]);
        assert_eq!(only(&buy), ["/buy?buyers=constant-vus&who=buyers"]);
        let (browse, buy): (u32, u32) = (browse.values().sum(), buy.values().sum());
        assert!(
            browse > 2 * buy && buy > 0,
            "three of four browse: {browse} and {buy}"
        );
        assert!(ramp(&folder).plan.populations.is_empty());
        Ok(())
    });
}

#[test]
fn one_scenario_is_searched_while_the_others_keep_their_number() {
    repeated(|| {
        let (folder, (shop, seen)) = (with(TWO), counting());
        let base = format!("BASE={}", shop.url);
        let args = [
            "find",
            "--script",
            "s.js",
            "-e",
            &base,
            "--slo",
            "p95<5s",
            "--slo",
            "errors(browsers)<50%",
            "--population",
            "buyers",
            "--start-vus",
            "2",
            "--max-vus",
            "2",
            "--budget",
            "40s",
            "--no-reference-holds",
            "--out",
            "out",
        ];
        let output = answered(breakpoint(folder.path(), &args))?;
        let text = said(&output);
        let record = find(&folder);
        let populations: Vec<(&str, Option<u32>)> = (record.plan.populations.iter())
            .map(|p| (&*p.name, p.level.map(breakpoint::measure::Level::get)))
            .collect();
        assert_eq!(
            populations,
            [("browsers", Some(3)), ("buyers", None)],
            "{text}"
        );
        assert_eq!(
            record.plan.steps,
            [
                "browsers.GET /browse",
                "browsers.iteration",
                "browsers",
                "GET /buy",
                "iteration",
                "requests"
            ]
        );
        let numbers = |kind: &str| {
            let seen = seen.lock().unwrap();
            let of = seen
                .keys()
                .filter(|path| path.starts_with(&format!("/{kind}?")));
            let numbers = of.filter_map(|path| path.split("&vu=").nth(1)?.parse().ok());
            numbers.collect::<std::collections::BTreeSet<u32>>()
        };
        assert_eq!(numbers("browse"), [1, 2, 3].into());
        assert_eq!(numbers("buy"), [4, 5].into());
        assert!(text.contains("3 VUs of browsers"), "{text}");
        Ok(())
    });
}

#[test]
fn plan_says_which_scenario_is_searched_and_what_the_others_do() {
    let folder = with(TWO);
    let plan = |more: &[&str]| {
        let args = [&["plan", "--script", "s.js", "--slo", "p95<1s"], more].concat();
        let output = breakpoint(folder.path(), &args);
        (output.status.code(), said(&output))
    };
    for (more, code, parts) in [
        (
            &[][..],
            0,
            &[
                "browsers (visit): 3 of 4 of the level",
                "buyers (visit): 1 of 4",
            ][..],
        ),
        (
            &["--population", "buyers"],
            0,
            &[
                "browsers (visit): 3 VUs",
                "buyers (visit): set by the level",
                "p95(NAME)",
            ],
        ),
        (
            &["--population", "bots"],
            2,
            &["no such scenario; it has: browsers, buyers"],
        ),
    ] {
        let (ended, text) = plan(more);
        assert_eq!(ended, Some(code), "{text}");
        for part in parts {
            assert!(text.contains(part), "no `{part}`:\n{text}");
        }
    }
    let profile = "slo = [\"p95<1s\"]\n[engine]\nscript = \"s.js\"\n[search]\n\
                   population = \"browsers\"\n";
    fs::write(folder.path().join("p.toml"), profile).unwrap();
    let text = said(&breakpoint(folder.path(), &["plan", "p.toml"]));
    assert!(
        text.contains("browsers (visit): set by the level"),
        "{text}"
    );
    assert!(text.contains("buyers (visit): 1 VU"), "{text}");
}

#[test]
fn a_ramp_follows_the_arrival_rates_of_a_script() {
    repeated(|| {
        let (folder, (shop, seen)) = (with(RATES), counting());
        let base = format!("BASE={}", shop.url);
        let args = [
            "ramp", "--script", "s.js", "-e", &base, "--slo", "p95<5s", "--out", "out",
        ];
        let output = answered(breakpoint(folder.path(), &args))?;
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let record = ramp(&folder);
        assert_eq!(record.plan.unit, LevelUnit::CyclesPerS);
        let stages = record.stages.iter().map(|stage| &stage.asked);
        let stages: Vec<[u32; 2]> = stages.map(|s| [s.from.get(), s.to.get()]).collect();
        assert_eq!(stages, [[10, 20], [20, 20]]);
        // 15 and 40 by the stages, and some by a look around.
        let asked: u32 = seen.lock().unwrap().values().sum();
        assert!((30..=110).contains(&asked), "{asked}");
        Ok(())
    });
}

#[test]
fn try_looks_at_one_of_the_scenario_that_is_named() {
    let (folder, (shop, _)) = (with(TWO), counting());
    let base = format!("BASE={}", shop.url);
    let args = [
        "try",
        "--script",
        "s.js",
        "-e",
        &base,
        "--population",
        "buyers",
    ];
    let text = said(&breakpoint(folder.path(), &args));
    assert!(text.contains("/buy?buyers=constant-vus"), "{text}");
    assert!(!text.contains("/browse"), "{text}");
}

#[test]
fn secrets_of_the_environment_that_a_script_is_given_are_not_shown() {
    let script = "export default function () { console.log(`key ${__ENV.API_KEY}`); }";
    let folder = with(script);
    let args = ["try", "--script", "s.js", "--include-system-env-vars"];
    let text = said(&breakpoint(folder.path(), &args));
    assert!(
        text.contains("key ***") && !text.contains("s3cr3t-of"),
        "{text}"
    );
}
