//! What the thresholds of a script are about, against what its server saw.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;
use tempfile::TempDir;

use crate::script::{breakpoint, said, with};
use crate::try_command::{Asked, Server, answer, server};

/// Refuses every second request below `/busy`, and counts those of `/bye`.
fn busy(byes: &Arc<AtomicUsize>) -> Server {
    let (asked_for, byes) = (AtomicUsize::new(0), Arc::clone(byes));
    server(move |asked: &Asked| {
        let path = asked.head.split(' ').nth(1).unwrap_or_default();
        match path.split('?').next().unwrap_or_default() {
            "/bye" => {
                byes.fetch_add(1, Ordering::SeqCst);
                answer("200 OK", "", "bye")
            }
            "/busy" if asked_for.fetch_add(1, Ordering::SeqCst) % 2 == 0 => {
                answer("503 Service Unavailable", "retry-after: 1\r\n", "later")
            }
            _ => answer("200 OK", "", path),
        }
    })
}

fn run(script: &str, server: &Server, args: &[&str]) -> (Output, TempDir) {
    let folder = with(script);
    let base = format!("BASE={}", server.url);
    let args = [args, &["--script", "s.js", "-e", &base]].concat();
    (breakpoint(folder.path(), &args), folder)
}

const RAMP: [&str; 5] = ["ramp", "--stages", "2:0s,2:3s", "--out", "out"];

/// The record of the only ramp.
fn ramp(folder: &Path) -> Value {
    let profile = fs::read_dir(folder.join("out")).unwrap().flatten().next();
    let run = fs::read_dir(profile.unwrap().path()).unwrap().flatten();
    let run = run.into_iter().next().unwrap().path();
    serde_json::from_slice(&fs::read(run.join("ramp.json")).unwrap()).unwrap()
}

#[test]
fn answers_that_shed_fail_a_threshold_on_failed_requests() {
    let server = busy(&Arc::default());
    let script = "import http from 'k6/http';
        export const options = { thresholds: { http_req_failed: ['rate<0.2'] } };
        export default function () { http.get(`${__ENV.BASE}/busy`); }";
    let (output, folder) = run(script, &server, &RAMP);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let objective = &ramp(folder.path())["stages"][0]["objectives"][0];
    assert_eq!(objective["verdict"], "broke", "{objective}");
    // With an objective of ours, a refusal by design is apart from errors.
    let own = [&RAMP[..], &["--slo", "errors<20%", "--slo", "shed<20%"]].concat();
    let (output, folder) = run(&script.replace("0.2", "0.3"), &server, &own);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let objectives = &ramp(folder.path())["stages"][0]["objectives"];
    assert_eq!(objectives[0]["verdict"], "held", "{objectives}");
    assert_eq!(objectives[1]["verdict"], "broke", "{objectives}");
}

#[test]
fn iteration_duration_has_the_sleeps() {
    let server = busy(&Arc::default());
    let script = "import http from 'k6/http';
        import { sleep } from 'k6';
        export const options = { thresholds: { iteration_duration: ['p(50)<150'] } };
        export default function () { http.get(`${__ENV.BASE}/a`); sleep(0.2); }";
    let (output, folder) = run(script, &server, &RAMP);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let objective = &ramp(folder.path())["stages"][0]["objectives"][0];
    assert_eq!(objective["verdict"], "broke", "{objective}");
    assert!(
        objective["observed"].as_f64().unwrap() >= 0.2,
        "{objective}"
    );
}

#[test]
fn setup_waits_where_it_sleeps() {
    let server = busy(&Arc::default());
    let script = "import http from 'k6/http';
        import { check, sleep } from 'k6';
        export function setup() { const began = Date.now(); sleep(0.3); return Date.now() - began; }
        export default function (slept) {
          http.get(`${__ENV.BASE}/a`);
          check(slept, { 'setup slept': (ms) => ms >= 300 });
        }";
    let (output, folder) = run(
        script,
        &server,
        &[&RAMP[..], &["--slo", "errors(checks)<1%"]].concat(),
    );
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let objective = &ramp(folder.path())["stages"][0]["objectives"][0];
    assert_eq!(objective["verdict"], "held", "{objective}");
}

#[test]
fn a_script_that_ends_the_run_stops_it_and_is_torn_down() {
    let byes = Arc::default();
    let server = busy(&byes);
    let script = "import http from 'k6/http';
        import exec from 'k6/execution';
        export function teardown() { http.get(`${__ENV.BASE}/bye`); }
        export default function () {
          http.get(`${__ENV.BASE}/a`);
          if (__ITER === 20) exec.test.abort('enough');
        }";
    let (output, folder) = run(
        script,
        &server,
        &[&RAMP[..], &["--slo", "errors<1%"]].concat(),
    );
    let text = said(&output);
    assert_eq!(output.status.code(), Some(99), "{text}");
    assert!(text.contains("test.abort(): enough"), "{text}");
    assert!(!text.contains("generator or its host was"), "{text}");
    assert_eq!(ramp(folder.path())["ending"], "aborted");
    assert_eq!(byes.load(Ordering::SeqCst), 1);
}

#[test]
fn a_run_ends_at_a_request_that_is_not_allowed_and_keeps_what_it_has() {
    let byes = Arc::default();
    let server = busy(&byes);
    let script = "import http from 'k6/http';
        export function teardown() { http.get(`${__ENV.BASE}/bye`); }
        export default function () {
          http.get(__ITER < 20 ? `${__ENV.BASE}/a` : 'http://192.0.2.1/a');
        }";
    let slo = [&RAMP[..], &["--slo", "errors<1%"]].concat();
    let (output, folder) = run(script, &server, &slo);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(99), "{text}");
    assert!(
        text.contains("--allow-target 192.0.2.1") && text.contains("not sent"),
        "{text}"
    );
    assert!(!text.contains("generator or its host was"), "{text}");
    assert_eq!(ramp(folder.path())["ending"], "aborted");
    assert_eq!(byes.load(Ordering::SeqCst), 1);
}

#[test]
fn a_request_that_cannot_be_sent_breaks_a_threshold_on_durations() {
    let server = busy(&Arc::default());
    let script = "import http from 'k6/http';
        export const options = { thresholds: { http_req_duration: ['p(95)<60000'] } };
        export default function () {
          http.get(`${__ENV.BASE}/a`);
          http.get(`${__ENV.NOBODY}/a`);
          http.get(`${__ENV.BASE}/a`);
        }";
    let (output, folder) = run(script, &server, &RAMP);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let objective = &ramp(folder.path())["stages"][0]["objectives"][0];
    assert_eq!(objective["verdict"], "broke", "{objective}");
}

#[test]
fn a_request_that_cannot_be_sent_has_failed() {
    let server = busy(&Arc::default());
    let script = "import http from 'k6/http';
        export default function () { http.get(`${__ENV.BASE_URL}/echo`); }";
    let (output, _folder) = run(script, &server, &["try"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(5), "{text}");
    assert!(text.contains("undefined/echo"), "{text}");
}

#[test]
fn a_check_that_is_a_promise_fails() {
    let server = busy(&Arc::default());
    let script = "import http from 'k6/http';
        import { check } from 'k6';
        export default function () {
          const res = http.get(`${__ENV.BASE}/a`);
          check(res, { later: async (r) => r.status === 200 });
        }";
    let (output, _folder) = run(script, &server, &["try"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(5), "{text}");
    assert!(text.contains("does not wait for promises"), "{text}");
}

#[test]
fn iterations_that_throw_now_and_then_do_not_keep_a_load_from_starting() {
    let server = busy(&Arc::default());
    let script = "import http from 'k6/http';
        export default function () {
          http.get(`${__ENV.BASE}/a`);
          if (__ITER % 2 === 0) throw new Error('now and then');
        }";
    let (output, _folder) = run(
        script,
        &server,
        &[&RAMP[..], &["--slo", "p95(requests)<1s"]].concat(),
    );
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("threw: now and then"), "{text}");
}
