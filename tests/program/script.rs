//! k6 scripts that this program runs itself, against a real server.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use breakpoint::record::{Ending, HoldEnd, Verdict};
use breakpoint::report;
use tempfile::TempDir;

use crate::starved::{answered, repeated};
use crate::try_command::{Asked, Server, answer, server};

/// A shop: a login gives a token, which its other pages want.
fn shop() -> Server {
    server(|asked: &Asked| {
        let path = asked.head.split(' ').nth(1).unwrap_or_default();
        let has_token = asked
            .head
            .to_ascii_lowercase()
            .contains("authorization: bearer t0k");
        match path.split('?').next().unwrap_or_default() {
            "/login" => answer(
                "200 OK",
                "content-type: application/json\r\n",
                r#"{"token":"t0k"}"#,
            ),
            _ if !has_token => answer("401 Unauthorized", "", "who are you?"),
            path if path.starts_with("/items/") => answer(
                "200 OK",
                "content-type: application/json\r\n",
                r#"{"items":[{"id":7}]}"#,
            ),
            "/gone" => answer("404 Not Found", "", "no such page"),
            _ => answer("200 OK", "", "welcome"),
        }
    })
}

const SHOP: &str = r"
import http from 'k6/http';
import { check, sleep, group } from 'k6';
import { Trend } from 'k6/metrics';

const itemTime = new Trend('item_time', true);

export const options = {
  thresholds: {
    http_req_duration: ['p(95)<2000'],
    http_req_failed: ['rate<0.01'],
    checks: ['rate>0.99'],
    item_time: ['p(95)<2000'],
  },
  stages: [{ duration: '1s', target: 3 }, { duration: '3s', target: 3 }],
};

export function setup() {
  const res = http.post(`${__ENV.BASE}/login`, JSON.stringify({ user: 'ann' }), {
    headers: { 'Content-Type': 'application/json' },
    tags: { name: 'login' },
  });
  return { token: res.json('token') };
}

export default function (data) {
  const params = { headers: { Authorization: `Bearer ${data.token}` } };
  group('shop', () => {
    const home = http.get(`${__ENV.BASE}/home`, params);
    check(home, { 'home is there': (r) => r.status === 200 && r.body.includes('welcome') });
    const item = http.get(`${__ENV.BASE}/items/${__VU * 1000 + __ITER}`, params);
    itemTime.add(item.timings.duration);
    check(item, { 'it has an item': (r) => r.json('items.0.id') === 7 });
  });
  console.log(`vu ${__VU} in iteration ${__ITER}`);
  sleep(0.1);
}

export function teardown(data) {
  http.get(`${__ENV.BASE}/bye?${data.token}`);
}
";

pub(crate) fn breakpoint(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_breakpoint"))
        .args(args)
        .current_dir(folder)
        .env("XDG_STATE_HOME", folder.join("state"))
        .env("API_KEY", "s3cr3t-of-the-environment")
        // No k6 could be found.
        .env("PATH", "/nowhere")
        .output()
        .unwrap()
}

pub(crate) fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

pub(crate) fn with(script: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("s.js"), script).unwrap();
    folder
}

#[test]
fn try_shows_setup_one_iteration_its_checks_and_what_it_prints() {
    let (folder, shop) = (with(SHOP), shop());
    let base = format!("BASE={}", shop.url);
    let output = breakpoint(folder.path(), &["try", "--script", "s.js", "-e", &base]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "# login: http://127.0.0.1",
        "> POST /login HTTP/1.1",
        "> authorization: ***",
        "# GET /home: ",
        "+ check: home is there",
        "# GET /items/#: ",
        "+ check: it has an item",
        "* console: vu 1 in iteration 0",
        "100 ms of sleep skipped",
        "> GET /bye?t0k HTTP/1.1",
        "passed: ",
    ] {
        assert!(
            text.to_lowercase().contains(&part.to_lowercase()),
            "no `{part}`:\n{text}"
        );
    }
}

#[test]
fn a_search_has_rows_by_name_and_ends_with_teardown() {
    repeated(|| {
        let (folder, shop) = (with(SHOP), shop());
        let base = format!("BASE={}", shop.url);
        let args = [
            "find",
            "--script",
            "s.js",
            "-e",
            &base,
            "--max-vus",
            "4",
            "--start-vus",
            "4",
            "--budget",
            "45s",
            "--out",
            "out",
            "--no-reference-holds",
        ];
        let output = answered(breakpoint(folder.path(), &args))?;
        let text = said(&output);
        let mut runs = fs::read_dir(folder.path().join("out/script-s")).unwrap();
        let run = runs.next().unwrap().unwrap().path();
        let record = report::read(&fs::read(run.join("result.json")).unwrap()).unwrap();
        assert_eq!(record.plan.engine, "script");
        assert_eq!(
            record.plan.steps,
            [
                "GET /home",
                "GET /items/#",
                "iteration",
                "checks",
                "http_req_duration",
                "item_time",
                "requests"
            ]
        );
        assert_eq!(
            record.slo,
            [
                "errors(checks)<1%",
                "p95(http_req_duration)<2000ms",
                "errors<1%",
                "p95(item_time)<2000ms"
            ]
        );
        assert_ne!(record.answer.ending, Ending::TargetDown, "{text}");
        let probe = record.probes.last().unwrap();
        assert_eq!(probe.level.get(), 4, "{text}");
        assert!(matches!(probe.end, HoldEnd::Complete), "{text}");
        let masked = fs::read_to_string(run.join("result.json")).unwrap();
        assert!(
            !masked.contains("t0k"),
            "the token of setup is in the record"
        );
        Ok(())
    });
}

#[test]
fn a_ramp_follows_the_stages_of_the_script() {
    repeated(|| {
        let (folder, shop) = (with(SHOP), shop());
        let base = format!("BASE={}", shop.url);
        let args = ["ramp", "--script", "s.js", "-e", &base, "--out", "out"];
        let output = answered(breakpoint(folder.path(), &args))?;
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        let mut runs = fs::read_dir(folder.path().join("out/script-s")).unwrap();
        let run = runs.next().unwrap().unwrap().path();
        let record = report::read_ramp(&fs::read(run.join("ramp.json")).unwrap()).unwrap();
        let targets: Vec<u32> = record
            .stages
            .iter()
            .map(|stage| stage.asked.to.get())
            .collect();
        assert_eq!(targets, [3, 3]);
        Ok(())
    });
}

#[test]
fn plan_says_what_a_script_is_and_what_of_it_is_left_out() {
    let script = "export const options = { rps: 5, vus: 3, thresholds: { http_req_duration: \
                  ['p(95)<500'], 'http_req_duration{status:200}': ['p(95)<500'], data_sent: \
                  ['rate<5', { threshold: 'count<9', abortOnFail: true }] } };\n\
                  export default function () { }\nexport function teardown() { }\n";
    let folder = with(script);
    let output = breakpoint(folder.path(), &["plan", "--script", "s.js"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for part in [
        "this program with s.js",
        "default=1",
        "teardown",
        "p95(http_req_duration)<500ms",
        "option `rps` (5) (line 1) is ignored",
        "set the load: vus",
        "p95(http_req_duration{status:200})<500ms",
        "data_sent: rate<5",
        "`abortOnFail`",
    ] {
        assert!(text.contains(part), "no `{part}`:\n{text}");
    }
    let output = breakpoint(
        folder.path(),
        &["init", "--from-k6", "s.js", "--out", "mine.toml"],
    );
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let profile = fs::read_to_string(folder.path().join("mine.toml")).unwrap();
    assert!(
        profile.contains("kind = \"script\"") && profile.contains("p95(http_req_duration)<500ms"),
        "{profile}"
    );
    let output = breakpoint(folder.path(), &["plan", "mine.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn what_is_wrong_with_a_script_is_told_with_its_place() {
    let get = |url: &str| {
        format!(
            "import http from 'k6/http';\nexport default function () {{\n  http.get('{url}');\n}}\n"
        )
    };
    let throws = "export default function () {\n  null.x;\n}\n";
    let endless = "export default function () { for (;;) { try { for (;;) ; } catch (e) { } } }";
    for (script, parts) in [
        (
            "export default function () {",
            &["cannot run s.js", "s.js:1"][..],
        ),
        ("throw new Error('no');", &["cannot run s.js", "no"]),
        (
            "import grpc from 'k6/net/grpc';",
            &["s.js:1", "gRPC", "--engine k6"],
        ),
        ("import x from './none.js';", &["none.js"]),
        ("export const x = 1;", &["no function `default`"]),
        (throws, &["threw", "s.js:2"]),
        (endless, &["threw", "without waiting"]),
        (
            &get("http://192.0.2.1/x"),
            &["--allow-target 192.0.2.1", "not sent"],
        ),
        ("export default function () { }", &["made no HTTP request"]),
        (
            "import exec from 'k6/execution';\nexport default function () { \
             exec.test.abort('enough'); }",
            &["test.abort(): enough"],
        ),
        (
            "export default function () { console.log(__ENV.API_KEY) }\n\
             open('/etc/passwd');",
            &["/etc/passwd"],
        ),
    ] {
        let folder = with(script);
        let args = [
            "find", "--script", "s.js", "--slo", "p95<1s", "--budget", "20s",
        ];
        let output = breakpoint(folder.path(), &args);
        let text = said(&output);
        // What a script ends itself is ended as --abort-if ends it.
        let code = if script.contains("abort") { 99 } else { 2 };
        assert_eq!(output.status.code(), Some(code), "{script}:\n{text}");
        for part in parts {
            assert!(text.contains(part), "no `{part}` for {script}:\n{text}");
        }
        assert!(!text.contains("s3cr3t-of"), "{text}");
    }
}

#[test]
fn a_script_is_given_what_the_user_says_and_nothing_else() {
    let shop = shop();
    let script = "import http from 'k6/http';\n\
        export default function () {\n  console.log(`env ${JSON.stringify(__ENV)}`);\n  \
        http.get(`${__ENV.BASE}/login`);\n}\n";
    let folder = with(script);
    let base = format!("BASE={}", shop.url);
    let look = |more: &[&str]| {
        let args = [&["try", "--script", "s.js", "-e", &base], more].concat();
        said(&breakpoint(folder.path(), &args))
    };
    let text = look(&[]);
    assert!(
        text.contains("env {\"BASE\"") && !text.contains("API_KEY"),
        "{text}"
    );
    let text = look(&["-e", "KEY={{ env.API_KEY }}"]);
    assert!(
        text.contains("\"KEY\":\"***\"") && !text.contains("s3cr3t-of"),
        "{text}"
    );
    let text = look(&["--include-system-env-vars"]);
    assert!(text.contains("API_KEY"), "{text}");
}

/// Two kinds of VUs of one script: thresholds are about one of them alone.
const TWO_KINDS: &str = r"
import http from 'k6/http';
import exec from 'k6/execution';
import { check, group } from 'k6';
import { Counter, Trend } from 'k6/metrics';

const orders = new Counter('orders');
const itemTime = new Trend('item_time', true);

export const options = {
  tags: { test: 'both' },
  scenarios: {
    users: { executor: 'constant-vus', vus: 1, duration: '5s', exec: 'user', tags: { paid: 'yes' } },
    abusers: { executor: 'constant-vus', vus: 1, duration: '5s', exec: 'abuser' },
  },
  thresholds: {
    'http_req_duration{role:user}': ['p(95)<2000'],
    'http_req_failed{scenario:users,test:both}': ['rate<0.01'],
    'http_req_duration{paid:yes,method:GET}': ['max<60000'],
    'http_req_waiting{scenario:users}': ['p(95)<2000'],
    'checks{check:home is there}': ['rate>0.99'],
    'group_duration{group:::shop}': ['p(95)<2000'],
    'item_time{kind:cheap}': ['p(95)<2000'],
    'iteration_duration{scenario:users}': ['p(95)<2000'],
    orders: ['rate<100000'],
    'http_reqs{status:401}': ['rate>0.001'],
  },
};

const login = { headers: { Authorization: 'Bearer t0k' } };

export function user() {
  group('shop', () => {
    const home = http.get(`${__ENV.BASE}/home`, { ...login, tags: { role: 'user' } });
    check(home, { 'home is there': (r) => r.status === 200 });
  });
  exec.vu.metrics.tags.role = 'user';
  const item = http.get(`${__ENV.BASE}/items/1`, login);
  itemTime.add(item.timings.duration, { kind: 'cheap' });
  itemTime.add(60000, { kind: 'dear' });
  orders.add(2);
}

export function abuser() {
  const home = http.get(`${__ENV.BASE}/home`);
  check(home, { 'it is refused': (r) => r.status === 200 });
}
";

#[test]
fn thresholds_about_tags_are_met_by_the_users_whoever_else_fails() {
    repeated(|| {
        let (folder, shop) = (with(TWO_KINDS), shop());
        let base = format!("BASE={}", shop.url);
        let args = [
            "find",
            "--script",
            "s.js",
            "-e",
            &base,
            "--max-vus",
            "4",
            "--start-vus",
            "4",
            "--budget",
            "45s",
            "--out",
            "out",
            "--no-reference-holds",
        ];
        let output = answered(breakpoint(folder.path(), &args))?;
        let text = said(&output);
        let mut runs = fs::read_dir(folder.path().join("out/script-s")).unwrap();
        let run = runs.next().unwrap().unwrap().path();
        let record = report::read(&fs::read(run.join("result.json")).unwrap()).unwrap();
        for row in [
            "http_req_duration{role:user}",
            "requests{scenario:users,test:both}",
            "http_req_waiting{scenario:users}",
            "checks{check:home is there}",
            "item_time{kind:cheap}",
            "iteration_duration{scenario:users}",
        ] {
            assert!(
                record.plan.steps.iter().any(|step| step == row),
                "no `{row}`:\n{text}"
            );
        }
        let probe = record.probes.last().unwrap();
        assert_eq!(probe.level.get(), 4, "{text}");
        for objective in &probe.objectives {
            assert_eq!(objective.verdict, Verdict::Held, "{objective:?}\n{text}");
        }
        Ok(())
    });
}
