use super::*;
use crate::slo::Slo;

fn script(json: &str) -> Script {
    Script::of_json(json.as_bytes(), Runner::K6).unwrap_or_else(|e| panic!("{e}"))
}

/// A threshold as an objective.
fn objective(metric: &str, expression: &str) -> Result<String, String> {
    let read = breakpoint_script::threshold::threshold(metric, expression);
    threshold::objective(&read.map_err(|e| e.to_string())?)
}

fn functions(json: &str) -> String {
    let all = script(json).functions;
    all.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

#[test]
fn a_version_is_read_and_an_old_one_or_another_program_refused() {
    for (text, shown) in [
        ("k6 v2.2.1 (commit/abc, go1.24, linux/amd64)\n", "v2.2.1"),
        (
            "k6 v0.57.0 (commit/50afd82c18, go1.23.6, linux/amd64)",
            "v0.57.0",
        ),
        ("\nk6 v1.0.0-rc2 (go1.24)\nExtensions:\n  x v1", "v1.0.0"),
        ("k6 v0.45.0", "v0.45.0"),
        ("k6 v2.3", "v2.3.0"),
    ] {
        assert_eq!(
            Version::read(text).map(|v| v.to_string()),
            Ok(shown.to_owned()),
            "{text}"
        );
    }
    let named = Version::read("my-K6 v1.8.1 (x)").unwrap();
    assert_eq!(
        (named.to_string().as_str(), named.no_summary()),
        ("v1.8.1", "--no-summary")
    );
    let second = Version::read("k6 v2.0.0").unwrap();
    assert_eq!(second.no_summary(), "--summary-mode=disabled");
    let old = Version::read("k6 v0.44.9 (x)").unwrap_err().to_string();
    assert!(
        old.contains("v0.44.9") && old.contains("v0.45.0 or later"),
        "{old}"
    );
    for text in [
        "",
        "GNU bash, version 5.2",
        "k6 vdev (x)",
        "k6 v99999999999.1",
    ] {
        let error = Version::read(text).unwrap_err();
        assert!(matches!(error, VersionError::NotK6(_)), "{text}: {error}");
    }
}

#[test]
fn thresholds_become_objectives_of_the_grammar() {
    for (metric, expression, wanted) in [
        ("http_req_duration", "p(95)<500", "p95<500ms"),
        ("http_req_duration", "p(99.9) <= 1500.5", "p99.9<=1500.5ms"),
        ("http_req_duration", "avg<200", "avg<200ms"),
        ("http_req_duration", "med < 100", "p50<100ms"),
        ("http_req_duration", "max<5e3", "max<5000ms"),
        (
            "http_req_duration{name:work}",
            "p(95)<500",
            "p95(work)<500ms",
        ),
        (
            "http_req_duration{ name : 'put into cart' }",
            "p(95)<500",
            "p95(putintocart)<500ms",
        ),
        (
            "http_req_duration{name:http://h/a?b=1}",
            "p(95)<500",
            "p95(http://h/a?b=1)<500ms",
        ),
        ("http_req_failed", "rate<0.01", "errors<1%"),
        ("http_req_failed", "rate<=0.007", "errors<=0.7%"),
        ("http_req_failed", "rate===0", "errors<=0%"),
        ("http_req_failed{name:work}", "rate<0.1", "errors(work)<10%"),
        ("http_reqs", "rate>100", "rps>100"),
        ("http_reqs{name:work}", "rate>=2.5", "rps(work)>=2.5"),
        ("iteration_duration", "p(90)<2000", "p90(iteration)<2000ms"),
        ("iterations", "rate>3", "rps(iteration)>3"),
    ] {
        assert_eq!(
            objective(metric, expression),
            Ok(wanted.to_owned()),
            "{metric}: {expression}"
        );
    }
}

#[test]
fn a_threshold_that_is_no_objective_is_told_with_its_reason() {
    for (metric, expression, why) in [
        ("checks", "rate>0.9", "checks are not seen"),
        ("my_trend", "p(95)<5", "`my_trend` is not a metric"),
        (
            "http_req_waiting",
            "p(95)<5",
            "`http_req_waiting` is not a metric",
        ),
        ("http_req_duration", "min<5", "`min` of a latency"),
        ("http_req_duration", "p(100)<5", "`p(100)` of a latency"),
        ("http_req_duration", "rate<5", "use avg, min, max"),
        ("http_req_duration", "p(95)>5", "needs an upper bound"),
        ("http_req_duration", "p(95)!=5", "no objective has `!=`"),
        ("http_req_duration", "p(95)<-5", "number"),
        ("http_req_duration", "", "has no comparison"),
        (
            "http_req_duration{status:200}",
            "p(95)<5",
            "only `name` is supported",
        ),
        (
            "http_req_duration{name:a,status:200}",
            "p(95)<5",
            "only `name` is supported",
        ),
        ("http_req_failed", "rate<1.5", "share must be"),
        ("http_req_failed", "rate<0", "cannot be met"),
        ("http_reqs", "count>100", "only the rate is measured"),
        ("http_reqs", "rate<100", "needs a lower bound"),
        ("iteration_duration{name:a}", "p(95)<5", "no names here"),
    ] {
        let error = objective(metric, expression).unwrap_err();
        assert!(error.contains(why), "{metric}: {expression}: {error}");
    }
}

#[test]
fn a_script_tells_its_thresholds_once_and_what_is_not_carried_over() {
    let script = script(
        r#"{"thresholds": {
            "http_req_duration": ["p(95)<500", {"threshold": "avg<200", "abortOnFail": true, "delayAbortEval": "10s"}, "p(95) < 500"],
            "http_req_failed": ["rate<0.01"],
            "checks": ["rate>0.99"]
        }, "rps": 50, "stages": [{"duration": "1m", "target": 5}], "vus": null, "hosts": {}}"#,
    );
    assert_eq!(script.objectives, ["p95<500ms", "avg<200ms", "errors<1%"]);
    assert_eq!(
        script.uncarried,
        ["`checks: rate>0.99` (checks are not seen, only requests and iterations)"]
    );
    assert_eq!(script.left_out, ["stages"]);
    assert_eq!(script.functions, [Function::by_default()]);
    let [note] = &script.notes[..] else {
        panic!("{:?}", script.notes)
    };
    assert!(
        note.starts_with("the script's option `rps` (50) is ignored"),
        "{note}"
    );
}

#[test]
fn what_has_no_counterpart_is_told_with_its_line() {
    let json = r#"{"thresholds": {"orders": ["count>10"]}, "hosts": {"a": "127.0.0.1"}, "vsu": 5,
        "cloud": {"name": "x"}, "scenarios": {"a": {"executor": "constant-vus", "duration": "1s", "rate": 5}}}"#;
    let options = breakpoint_script::options::options(&serde_json::from_str(json).unwrap());
    let options = options.unwrap();
    let own = OwnScript::new(Vec::new(), Vec::new(), &options);
    let lines = |place: &str| match place {
        "hosts" => Some(7),
        "thresholds.orders[0]" => Some(9),
        _ => None,
    };
    let told = Script::of_own(&options, own.clone(), Runner::Own, &lines).unwrap();
    assert_eq!(
        told.uncarried,
        ["`orders: count>10` (line 9: `orders` is not a metric that is measured here)"]
    );
    let notes = told.notes.join("\n");
    for part in [
        "`vsu` is ignored: k6 does not know it",
        "`cloud` is ignored: nothing runs in a cloud",
        "`scenarios.a.rate` is ignored: its executor does not have it",
        "`hosts` (line 7) is ignored: set addresses of names with --resolve",
    ] {
        assert!(notes.contains(part), "no `{part}` in {notes}");
    }
    let of_k6 = Script::of_own(&options, own, Runner::K6, &lines).unwrap();
    assert!(of_k6.notes.is_empty(), "k6 heeds them: {:?}", of_k6.notes);
}

#[test]
fn scenarios_become_functions_with_the_vus_as_weights() {
    assert_eq!(functions("{}"), "default=1");
    assert_eq!(functions(r#"{"scenarios": null}"#), "default=1");
    let mixed = r#"{"scenarios": {
        "a": {"executor": "constant-vus", "vus": 30, "duration": "1m", "exec": "browse", "startTime": "0s", "env": null, "tags": {}},
        "b": {"executor": "ramping-vus", "startVUs": 0, "stages": [{"target": 5, "duration": "1s"}, {"target": 20, "duration": "1s"}], "exec": "buy"},
        "c": {"executor": "constant-arrival-rate", "rate": 900, "duration": "1m", "preAllocatedVUs": 5, "maxVUs": 10, "exec": "browse"},
        "d": {"executor": "per-vu-iterations", "vus": 10, "iterations": 30, "exec": null}
    }}"#;
    assert_eq!(functions(mixed), "browse=4,buy=2,default=1");
    let notes = script(mixed).notes;
    assert!(
        notes.len() == 1 && notes[0].contains("`c` starts iterations at a rate"),
        "{notes:?}"
    );
}

#[test]
fn what_of_a_scenario_is_left_out_is_told() {
    let json = r#"{"scenarios": {"a": {"executor": "constant-vus", "vus": 1, "duration": "1s", "env": {"X": "1"},
        "tags": {"t": "1"}, "startTime": "10s", "options": {"browser": {"type": "chromium"}}}}}"#;
    for (runner, parts) in [
        (Runner::K6, ["`a`", "`env`", "`tags`", "`startTime`"]),
        (
            Runner::Own,
            ["`a`", "`startTime`", "`options.browser`", "--engine k6"],
        ),
    ] {
        let told = Script::of_json(json.as_bytes(), runner).unwrap();
        assert_eq!(told.notes.len(), 1, "{:?}", told.notes);
        for part in parts {
            assert!(told.notes[0].contains(part), "{part}: {:?}", told.notes);
        }
        assert!(told.own.has_browser);
    }
    let json = br#"{"scenarios": {"a": {"executor": "shared-iterations", "exec": "not a name"}}}"#;
    let error = Script::of_json(json, Runner::K6).unwrap_err();
    let part = "`not a name` is not a valid name of an exported function";
    assert!(error.contains(part), "{error}");
}

#[test]
fn networks_that_the_script_blocks_are_kept_as_cidr() {
    let script = script(r#"{"blacklistIPs": ["10.0.0.0/8", "192.168.0.1", "fc00::/7"]}"#);
    assert_eq!(script.blocked, ["10.0.0.0/8", "192.168.0.1/32", "fc00::/7"]);
}

#[test]
fn options_that_no_script_can_have_are_refused_or_read_without_harm() {
    for text in [
        "",
        "[]",
        "{",
        r#"{"thresholds": 3}"#,
        r#"{"scenarios": {"": 5}}"#,
        r#"{"scenarios": {"a": {"executor": "constant-vus", "vus": -3}}}"#,
        r#"{"thresholds": {"{": ["<"]}}"#,
    ] {
        Script::of_json(text.as_bytes(), Runner::K6).unwrap_err();
    }
    Script::of_json(b"null", Runner::K6).unwrap();
    let deep = "{\"a\":".repeat(10_000);
    Script::of_json(deep.as_bytes(), Runner::K6).unwrap_err();
    let many = (0..500).map(|n| format!("\"x{n}\": [\"avg<1\"]"));
    let many = many.collect::<Vec<_>>().join(",");
    let many = format!("{{\"thresholds\": {{{many}}}}}");
    assert_eq!(script(&many).uncarried.len(), 201);
}

#[test]
fn weights_are_read_as_they_are_typed() {
    let list = |text: &str| {
        Function::list(text).map(|all| {
            all.iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(",")
        })
    };
    assert_eq!(list("browse=3, buy=1"), Ok("browse=3,buy=1".to_owned()));
    for (text, why) in [
        ("", "is not a function with its weight"),
        ("browse", "is not a function with its weight"),
        ("browse=x", "is not a function with its weight"),
        ("browse=0", "between 1 and"),
        ("a=1,a=2", "given twice"),
        ("a-b=1", "is not a valid name of an exported function"),
    ] {
        let error = list(text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn arguments_that_decide_on_the_load_are_refused_with_their_place() {
    let ok = ["-e", "A=B=C", "--env=X=1", "--tag", "a=b", "--throw"];
    check_arguments(&ok).unwrap();
    let owned: Vec<String> = ok.iter().map(|s| (*s).to_owned()).collect();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(variables(&owned), [pair("A", "B=C"), pair("X", "1")]);
    for (arguments, at, part) in [
        (
            &["-e", "A=B", "--vus", "9"][..],
            2,
            "`--vus` is not an argument that may be added",
        ),
        (&["--out=json"], 0, "`--out`"),
        (&["-e"], 0, "needs a value"),
        (&["-e", "s3cret"], 0, "NAME=VALUE"),
        (&["-e", "=s3cret"], 0, "NAME=VALUE"),
        (&["script.js"], 0, "`script.js`"),
    ] {
        let (place, why) = check_arguments(arguments).unwrap_err();
        assert_eq!(place, at, "{arguments:?}");
        assert!(
            why.contains(part) && !why.contains("s3cret"),
            "{arguments:?}: {why}"
        );
    }
}

#[test]
fn what_k6_says_is_told_as_lines_without_its_log_around_it() {
    let log = "time=\"2026-11-22T10:00:00Z\" level=error msg=\"ReferenceError: \\\"x\\\" is not \
        defined\\n\\tat file:///s.js:3:1(4)\\n\" hint=\"script exception\"\n\nplain \
        \u{1b}[31mline\n";
    assert_eq!(
        said(log.as_bytes()),
        [
            "ReferenceError: \"x\" is not defined",
            " at file:///s.js:3:1(4)",
            "plain  [31mline"
        ]
    );
    let many = "x\n".repeat(100) + &"y".repeat(1_000);
    let lines = said(many.as_bytes());
    assert_eq!((lines.len(), lines[11].len()), (12, 300));
    assert!(said(b"\xff msg=\"\\").len() <= 1);
}

fn own() -> OwnScript {
    let of = |name: &str, kind| Declared {
        name: name.to_owned(),
        kind,
    };
    OwnScript {
        metrics: vec![
            of("login_time", DeclaredKind::Trend),
            of("wrong", DeclaredKind::Rate),
            of("orders", DeclaredKind::Counter),
            of("queue", DeclaredKind::Gauge),
        ],
        ..OwnScript::default()
    }
}

/// The objective of a threshold of a script that this program runs, and its row.
fn of_own(metric: &str, expression: &str) -> Result<(String, Vec<(String, MetricRow)>), String> {
    let read = breakpoint_script::threshold::threshold(metric, expression);
    let mut rows = Vec::new();
    let read = read.map_err(|error| error.to_string())?;
    Ok((threshold::of_own(&read, &own(), &mut rows)?, rows))
}

#[test]
fn thresholds_of_a_script_run_here_are_about_any_tags_and_parts() {
    for (metric, expression, wanted, row) in [
        (
            "http_req_duration{role:user}",
            "p(95)<500",
            "p95(http_req_duration{role:user})<500ms",
            MetricRow::Part(Part::Whole),
        ),
        (
            "http_req_duration{ role:user, method:GET }",
            "avg<9",
            "avg(http_req_duration{role:user,method:GET})<9ms",
            MetricRow::Part(Part::Whole),
        ),
        (
            "http_req_failed{scenario:users}",
            "rate==0",
            "errors(requests{scenario:users})<=0%",
            MetricRow::Requests,
        ),
        (
            "http_reqs{status:200}",
            "rate>5",
            "rps(http_reqs{status:200})>5",
            MetricRow::Counted,
        ),
        (
            "http_reqs{status:500}",
            "count==0",
            "rps(http_reqs{status:500})<=0",
            MetricRow::Counted,
        ),
        (
            "http_req_duration{url:http://a/?b<c}",
            "max<9",
            "max(http_req_duration{url:http://a/?b<c})<9ms",
            MetricRow::Part(Part::Whole),
        ),
        (
            "http_req_waiting",
            "p(99)<9",
            "p99(http_req_waiting)<9ms",
            MetricRow::Part(Part::Waiting),
        ),
        (
            "http_req_connecting{name:a}",
            "max<9",
            "max(http_req_connecting{name:a})<9ms",
            MetricRow::Part(Part::Connecting),
        ),
        (
            "iteration_duration{scenario:users}",
            "med<9",
            "p50(iteration_duration{scenario:users})<9ms",
            MetricRow::Time,
        ),
        (
            "group_duration{group:::login}",
            "p(90)<9",
            "p90(group_duration{group:::login})<9ms",
            MetricRow::Time,
        ),
        (
            "checks{check:it is there}",
            "rate>0.9",
            "errors(checks{check:itisthere})<10%",
            MetricRow::PassIsOne,
        ),
        (
            "login_time{role:user}",
            "p(90)<9",
            "p90(login_time{role:user})<9ms",
            MetricRow::Time,
        ),
        (
            "wrong{role:user}",
            "rate<0.1",
            "errors(wrong{role:user})<10%",
            MetricRow::PassIsZero,
        ),
        ("orders", "rate<9", "rps(orders)<9", MetricRow::Sum),
        ("orders", "count<1", "rps(orders)<=0", MetricRow::Sum),
        ("queue", "value<=5", "max(queue)<=5ms", MetricRow::Time),
    ] {
        let (objective, rows) = of_own(metric, expression).unwrap();
        assert_eq!(objective, wanted);
        let [(name, counted)] = rows.as_slice() else {
            panic!("{metric}: {rows:?}");
        };
        assert_eq!(*counted, row, "{metric}");
        let asked = Slo::parse([wanted]).unwrap();
        let asked = asked.objectives()[0].step().unwrap();
        assert_eq!(row_of(&own(), asked).unwrap(), row, "{name} {asked}");
    }
    for (metric, expression, wanted) in [
        ("http_req_failed", "rate<0.05", "errors<5%"),
        ("iterations", "rate>3", "rps(iteration)>3"),
    ] {
        let plain = of_own(metric, expression);
        assert_eq!(plain, Ok((wanted.to_owned(), Vec::new())));
    }
    // Requests that are named like a metric of the script's are not its values.
    let (text, rows) = of_own("http_req_duration{name:orders}", "p(95)<5").unwrap();
    assert_eq!(text, "p95(http_req_duration{name:orders})<5ms");
    assert_eq!(rows[0].1, MetricRow::Part(Part::Whole));
}

#[test]
fn what_no_search_can_hold_a_threshold_to_is_told_with_its_reason() {
    for (metric, expression, why) in [
        ("orders", "count>10", "a total grows with the time"),
        (
            "http_reqs{role:user}",
            "count<10",
            "a total grows with the time",
        ),
        ("queue", "value>5", "only their largest value"),
        ("http_req_sending", "avg<5", "use http_req_waiting"),
        ("data_sent", "rate<5", "bytes on the wire"),
        ("nothing{a:b}", "avg<5", "is not a metric"),
    ] {
        let told = of_own(metric, expression).unwrap_err();
        assert!(told.contains(why), "{metric}: {told}");
    }
    let aborting =
        r#"{"thresholds": {"http_req_duration": [{"threshold": "p(95)<5", "abortOnFail": true}]}}"#;
    for (runner, is_told) in [(Runner::Own, true), (Runner::K6, false)] {
        let script = Script::of_json(aborting.as_bytes(), runner).unwrap();
        let wanted = match runner {
            Runner::Own => "p95(http_req_duration)<5ms",
            Runner::K6 => "p95<5ms",
        };
        assert_eq!(script.objectives, [wanted]);
        let told = script
            .notes
            .iter()
            .any(|note| note.contains("`abortOnFail`"));
        assert_eq!(told, is_told, "{:?}", script.notes);
    }
}
