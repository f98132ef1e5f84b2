//! Init code, setup, iterations, teardown.

use std::collections::BTreeMap;
use std::sync::Arc;

use breakpoint_script::exchange::{End, ThrownKind};
use breakpoint_script::{CallKind, Given, ScenarioFacts};

use crate::driver::{World, given, load, load_files, load_given};

// using-k6/test-lifecycle: init code cannot make requests
#[test]
fn init_code_makes_no_requests() {
    let error = load("import http from 'k6/http'; http.get('http://a.test/');").expect_err("init");
    assert!(error.message.contains("init code"), "{error}");
    assert_eq!(error.place.as_deref(), Some("script.js:1:33"), "{error}");
    let error = load("import { sleep } from 'k6';\nsleep(1);").expect_err("init");
    assert_eq!(error.place.as_deref(), Some("script.js:2:1"), "{error}");
}

// using-k6/test-lifecycle: `__VU` is 0 in the first init, 1..N later; init code runs once per VU
#[test]
fn init_code_runs_once_for_each_vu() {
    let mut world = World::new(
        "let count = 0; const vu = __VU; count += 1;
         export default () => { console.log(count, vu, __VU, __ITER); }",
    );
    assert_eq!(world.run(), ["1 1 1 0"]);
    assert_eq!(world.run(), ["1 1 1 1"]);
}

// using-k6/k6-options: what a script exports as `options`
#[test]
fn options_and_functions_are_known_after_loading() {
    let program = load(
        "export const options = { vus: 2, thresholds: { checks: ['rate>0.9'] }, f: () => 1 };
         export function setup() {} export default function () {} export const spike = () => {};",
    )
    .expect("it is loaded");
    assert_eq!(program.options()["vus"], 2);
    assert_eq!(program.options()["thresholds"]["checks"][0], "rate>0.9");
    assert_eq!(program.options().get("f"), None);
    assert_eq!(program.functions(), ["default", "setup", "spike"]);
    assert_eq!(
        load("export default () => {}")
            .expect("no options")
            .options(),
        &serde_json::json!({})
    );
}

// using-k6/environment-variables
#[test]
fn environment_is_what_was_given() {
    let given = Given {
        env: BTreeMap::from([("HOST".into(), "a".into())]),
        ..given()
    };
    let program = load_given(
        &[(
            "script.js",
            "export default () => console.log(JSON.stringify(__ENV));",
        )],
        &given,
    );
    let mut world = World::of(program.expect("it is loaded"));
    assert_eq!(world.run(), ["{\"HOST\":\"a\"}"]);
    world.scenario = Arc::new(ScenarioFacts {
        name: "s".into(),
        env: BTreeMap::from([("HOST".into(), "b".into()), ("MORE".into(), "c".into())]),
        ..ScenarioFacts::default()
    });
    assert_eq!(world.run(), ["{\"HOST\":\"b\",\"MORE\":\"c\"}"]);
    world.scenario = Arc::default();
    assert_eq!(world.run(), ["{\"HOST\":\"a\"}"]);
}

// using-k6/test-lifecycle: "setup … data is a JSON copy", functions are lost
#[test]
fn data_of_setup_is_a_copy() {
    let mut world = World::new(
        "export function setup() { return { n: 1, f: () => 1, d: new Date(0), u: undefined }; }
         export default (data) => { console.log(JSON.stringify(data)); data.n += 1; }
         export function teardown(data) { console.log('down', data.n); }",
    );
    let end = world.set_up();
    assert_eq!(
        end,
        End::Returned(Some("{\"n\":1,\"d\":\"1970-01-01T00:00:00.000Z\"}".into()))
    );
    assert_eq!(
        world.run(),
        ["{\"n\":1,\"d\":\"1970-01-01T00:00:00.000Z\"}"]
    );
    world.call("teardown", CallKind::Teardown);
    assert!(
        world
            .printed
            .last()
            .is_some_and(|line| line.starts_with("down "))
    );
}

#[test]
fn a_setup_that_returns_nothing_gives_undefined() {
    let mut world =
        World::new("export async function setup() {} export default (data) => console.log(data);");
    assert_eq!(world.set_up(), End::Returned(None));
    assert_eq!(world.run(), ["undefined"]);
}

// results-output/end-of-test/custom-summary
#[test]
fn handle_summary_gets_data_and_returns_files() {
    let mut world = World::new(
        "export default () => {}
         export function handleSummary(data) { return { 'out.json': JSON.stringify(data.metrics) }; }",
    );
    world.data = Some("{\"metrics\":{\"a\":1}}".into());
    let end = world.call("handleSummary", CallKind::Summary);
    assert_eq!(
        end,
        End::Returned(Some("{\"out.json\":\"{\\\"a\\\":1}\"}".into()))
    );
}

// javascript-api/init-context/open
#[test]
fn open_reads_in_init_code_only() {
    let files = [
        (
            "tests/script.js",
            "import './lib/a.js';
          const text = open('./data.txt'); const bytes = open('data.txt', 'b');
          export default () => {
            console.log(text, bytes instanceof ArrayBuffer, bytes.byteLength);
            open('./data.txt');
          }",
        ),
        (
            "tests/lib/a.js",
            "if (open('own.txt') !== 'own') throw new Error('another file');",
        ),
        ("tests/data.txt", "ä"),
        ("tests/lib/own.txt", "own"),
    ];
    let program = load_files(&files).expect("it is loaded");
    let names: Vec<_> = program
        .sources()
        .iter()
        .map(|source| source.name.clone())
        .collect();
    assert_eq!(
        names,
        [
            "tests/data.txt",
            "tests/lib/a.js",
            "tests/lib/own.txt",
            "tests/script.js"
        ]
    );
    assert!(program.sources().iter().all(|source| source.crc32 != 0));
    let mut world = World::of(program);
    let thrown = world.throws();
    assert!(thrown.message.contains("init code"), "{thrown:?}");
    assert_eq!(thrown.place.as_deref(), Some("tests/script.js:5:13"));
    assert_eq!(world.printed, ["ä true 2"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = load("\n open('no.csv');").expect_err("no file");
    assert!(error.message.contains("no.csv"), "{error}");
    assert_eq!(error.place.as_deref(), Some("script.js:2:2"));
}

#[test]
fn a_function_that_is_not_there_is_named() {
    let mut world = World::new("export const x = 1;");
    let thrown = world.throws();
    assert!(thrown.message.contains("`default`"), "{thrown:?}");
    assert_eq!(thrown.kind, ThrownKind::Script);
}

// javascript-api/import.meta: `resolve` makes a path that holds wherever it is used
#[test]
fn import_meta_resolves_paths() {
    let program = load_files(&[
        (
            "tests/script.js",
            "import { path } from './lib/a.js'; const text = open(path);
             export default () => console.log(text, path);",
        ),
        (
            "tests/lib/a.js",
            "export const path = import.meta.resolve('./own.txt');",
        ),
        ("tests/lib/own.txt", "own"),
    ]);
    let mut world = World::of(program.expect("it is loaded"));
    assert_eq!(world.run(), ["own file://tests/lib/own.txt"]);
}
