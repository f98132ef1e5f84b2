use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::threshold::{Aggregation, Operator};

fn read(value: &Value) -> Options {
    options(value).unwrap_or_else(|e| panic!("{value}: {e}"))
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn durations_are_those_of_k6() {
    let cases = [
        ("1m30s", 90_000_000_000),
        ("500ms", 500_000_000),
        ("1.5h", 5_400_000_000_000),
        ("1d2h", 93_600_000_000_000),
        ("10us", 10_000),
        ("1µs", 1_000),
        ("3ns", 3),
        ("0", 0),
        ("0s", 0),
        ("250", 250_000_000),
        (" 2s ", 2_000_000_000),
        (".5s", 500_000_000),
    ];
    for (text, nanoseconds) in cases {
        assert_eq!(
            duration(text),
            Some(Duration::from_nanos(nanoseconds)),
            "{text}"
        );
    }
    for text in [
        "",
        " ",
        "s",
        "1x",
        "1m30",
        "-1s",
        "1 m",
        "1e300h",
        "NaN",
        "inf",
        "1..2s",
        "é",
        "99999999d",
    ] {
        assert_eq!(duration(text), None, "{text}");
    }
}

#[test]
fn no_options_are_the_defaults() {
    for value in [
        json!(null),
        json!({}),
        json!({"vus": null, "scenarios": null}),
    ] {
        assert_eq!(read(&value), Options::default());
    }
    let scenarios = Options::default().effective_scenarios();
    assert_eq!(scenarios.len(), 1);
    assert_eq!(
        scenarios[0].executor,
        Executor::SharedIterations {
            vus: 1,
            iterations: 1,
            max_duration: seconds(600)
        }
    );
    assert_eq!(
        (&*scenarios[0].name, &*scenarios[0].exec),
        ("default", "default")
    );
}

#[test]
fn short_forms_stand_for_a_scenario() {
    let of = |value| read(&value).effective_scenarios().remove(0).executor;
    assert_eq!(
        of(json!({"vus": "10", "duration": "30s"})),
        Executor::ConstantVus {
            vus: 10,
            duration: seconds(30)
        }
    );
    assert_eq!(
        of(json!({"vus": 10, "iterations": 20, "duration": 5000})),
        Executor::SharedIterations {
            vus: 10,
            iterations: 20,
            max_duration: seconds(5)
        }
    );
    assert_eq!(
        of(json!({"stages": [{"duration": "1m", "target": 5}, {"duration": 0, "target": 0}]})),
        Executor::RampingVus {
            start_vus: 1,
            stages: vec![
                Stage {
                    duration: seconds(60),
                    target: 5
                },
                Stage {
                    duration: Duration::ZERO,
                    target: 0
                },
            ],
            graceful_ramp_down: seconds(30),
        }
    );
}

#[test]
fn all_executors_are_read_with_their_defaults() {
    let of = |value: Value| {
        let options = read(&json!({"scenarios": {"a-b_1": value}}));
        assert_eq!(options.idle, []);
        options.scenarios[0].executor.clone()
    };
    let minutes = seconds(600);
    assert_eq!(
        of(json!({"executor": "shared-iterations", "vus": 2, "iterations": 4})),
        Executor::SharedIterations {
            vus: 2,
            iterations: 4,
            max_duration: minutes
        }
    );
    assert_eq!(
        of(json!({"executor": "per-vu-iterations", "maxDuration": "1m"})),
        Executor::PerVuIterations {
            vus: 1,
            iterations: 1,
            max_duration: seconds(60)
        }
    );
    assert_eq!(
        of(json!({"executor": "constant-vus", "duration": "1m"})),
        Executor::ConstantVus {
            vus: 1,
            duration: seconds(60)
        }
    );
    let stages = json!([{"target": 3, "duration": "1s"}]);
    let wanted = vec![Stage {
        duration: seconds(1),
        target: 3,
    }];
    assert_eq!(
        of(
            json!({"executor": "ramping-vus", "startVUs": 0, "stages": stages,
                  "gracefulRampDown": "0s"})
        ),
        Executor::RampingVus {
            start_vus: 0,
            stages: wanted.clone(),
            graceful_ramp_down: Duration::ZERO,
        }
    );
    let open = of(
        json!({"executor": "constant-arrival-rate", "rate": 30, "duration": "1m",
                         "preAllocatedVUs": 5}),
    );
    assert_eq!(
        open,
        Executor::ConstantArrivalRate {
            rate: 30,
            time_unit: seconds(1),
            duration: seconds(60),
            pre_allocated_vus: 5,
            max_vus: 5,
        }
    );
    assert!(open.is_open());
    assert_eq!(
        of(
            json!({"executor": "ramping-arrival-rate", "startRate": 1, "timeUnit": "1m",
                  "stages": stages, "preAllocatedVUs": 5, "maxVUs": 9})
        ),
        Executor::RampingArrivalRate {
            start_rate: 1,
            time_unit: seconds(60),
            stages: wanted,
            pre_allocated_vus: 5,
            max_vus: 9,
        }
    );
    let external = of(
        json!({"executor": "externally-controlled", "vus": 2, "maxVUs": 9,
                             "duration": 0}),
    );
    assert_eq!(
        external,
        Executor::ExternallyControlled {
            vus: 2,
            max_vus: 9,
            duration: None
        }
    );
    assert!(!external.is_open());
}

#[test]
fn a_scenario_has_its_own_function_environment_and_tags() {
    let options = read(&json!({"scenarios": {"login": {
        "executor": "constant-vus", "duration": "1m", "exec": "login", "env": {"A": "b", "N": 1},
        "tags": {"t": "u"}, "startTime": "5s", "gracefulStop": "1s",
        "options": {"browser": {"type": "chromium"}}, "rate": 5,
    }}, "vus": 3}));
    let scenario = &options.scenarios[0];
    assert_eq!((&*scenario.name, &*scenario.exec), ("login", "login"));
    assert_eq!(
        scenario.env,
        [("A".into(), "b".into()), ("N".into(), "1".into())]
    );
    assert_eq!(scenario.tags, [("t".into(), "u".into())]);
    assert_eq!(
        (scenario.start_time, scenario.graceful_stop),
        (seconds(5), seconds(1))
    );
    assert!(scenario.has_browser);
    let idle: Vec<_> = options.idle.iter().map(|idle| &*idle.place).collect();
    assert_eq!(idle, ["scenarios.login.rate", "vus"]);
}

#[test]
fn thresholds_have_a_short_and_a_long_form() {
    let options = read(&json!({"thresholds": {
        "checks{check:a}": ["rate>0.9"],
        "http_req_duration": [
            "p(95)<500",
            {"threshold": "max<2000", "abortOnFail": true, "delayAbortEval": "10s"},
        ],
    }}));
    assert_eq!(options.thresholds.len(), 3);
    assert_eq!(
        options.thresholds[0].threshold.tags,
        [("check".into(), "a".into())]
    );
    let long = &options.thresholds[2];
    assert!(long.aborts && long.delay == seconds(10));
    assert_eq!(long.threshold.aggregation, Aggregation::Maximum);
    assert_eq!(long.threshold.operator, Operator::Less);
    assert!(!options.thresholds[1].aborts);
}

#[test]
fn what_decides_on_requests_is_read() {
    let options = read(&json!({
        "noConnectionReuse": true, "noVUConnectionReuse": true, "noCookiesReset": true,
        "insecureSkipTLSVerify": true, "throw": true, "discardResponseBodies": true,
        "tlsAuth": [{"cert": "c", "key": "k", "password": "p", "domains": ["a"]},
                    {"cert": "d", "key": "l"}],
        "tlsVersion": {"min": "tls1.2"}, "tlsCipherSuites": ["TLS_AES_128_GCM_SHA256"],
        "hosts": {"a.b": "127.0.0.1:80"}, "blockHostnames": ["*.c"],
        "blacklistIPs": ["10.0.0.0/8", "::1", "fc00::/7"],
        "dns": {"ttl": "inf", "select": "first", "policy": "onlyIPv6"}, "userAgent": "u",
        "httpDebug": "full", "maxRedirects": 0, "batch": 3, "batchPerHost": 0,
        "minIterationDuration": "1s", "setupTimeout": "2s", "teardownTimeout": "3s",
        "handleSummaryTimeout": "4s", "rps": 50, "summaryTrendStats": ["avg", "p(99.9)"],
        "summaryTimeUnit": "ms", "systemTags": ["status"], "tags": {"a": true},
    }));
    assert!(options.no_connection_reuse && options.no_vu_connection_reuse);
    assert!(options.no_cookies_reset && options.insecure_skip_tls_verify);
    assert!(options.throws && options.discard_response_bodies);
    assert_eq!(options.tls_auth.len(), 2);
    assert_eq!(options.tls_auth[0].domains, ["a"]);
    assert_eq!(options.tls_auth[1].password, None);
    assert_eq!(
        options.tls_version,
        Some(("tls1.2".into(), "tls1.3".into()))
    );
    assert_eq!(options.hosts, [("a.b".into(), "127.0.0.1:80".into())]);
    assert_eq!(options.blacklist_ips[0], ([10, 0, 0, 0].into(), 8));
    assert_eq!(
        (options.blacklist_ips[1].1, options.blacklist_ips[2].1),
        (128, 7)
    );
    assert_eq!(options.dns.ttl, None);
    assert_eq!(options.dns.select, DnsSelect::First);
    assert_eq!(options.dns.policy, DnsPolicy::OnlyIpv6);
    assert_eq!(options.http_debug, Some(HttpDebug::Full));
    assert_eq!(
        (options.max_redirects, options.batch, options.batch_per_host),
        (0, 3, 0)
    );
    assert_eq!(options.min_iteration_duration, Some(seconds(1)));
    assert_eq!(
        (options.setup_timeout, options.teardown_timeout),
        (seconds(2), seconds(3))
    );
    assert_eq!(
        (options.handle_summary_timeout, options.rps),
        (seconds(4), Some(50))
    );
    assert_eq!(options.summary_trend_stats, ["avg", "p(99.9)"]);
    assert_eq!(options.tags, [("a".into(), "true".into())]);
    assert_eq!(options.idle, []);
}

#[test]
fn what_changes_nothing_is_listed() {
    let options = read(&json!({"cloud": {}, "vuss": 1, "dns": {"x": 1}, "linger": true}));
    let mut idle: Vec<_> = options.idle.iter().map(|i| (&*i.place, i.reason)).collect();
    idle.sort_unstable();
    assert_eq!(
        idle,
        [
            ("cloud", "nothing runs in a cloud"),
            ("dns.x", "k6 does not know it"),
            ("linger", "a run ends with its load"),
            ("vuss", "k6 does not know it"),
        ]
    );
}

#[test]
fn what_is_wrong_has_its_place() {
    let of = |scenario: Value| json!({"scenarios": {"a": scenario}});
    let cases = [
        (json!([]), "options", "an object"),
        (json!({"vus": -1}), "vus", "whole number"),
        (json!({"vus": 1.5}), "vus", "whole number"),
        (json!({"vus": "x"}), "vus", "whole number"),
        (json!({"batch": 1e12}), "batch", "smaller"),
        (json!({"duration": "1x"}), "duration", "a duration"),
        (json!({"duration": 0}), "duration", "longer than 0"),
        (json!({"iterations": 0}), "iterations", "1 or more"),
        (
            json!({"stages": []  , "duration": "1s"}),
            "stages",
            "cannot both",
        ),
        (
            json!({"stages": [{"target": 1}]}),
            "stages[0]",
            "has no `duration`",
        ),
        (
            json!({"stages": [{"target": -1, "duration": "1s"}]}),
            "stages[0].target",
            "whole",
        ),
        (json!({"throw": "yes"}), "throw", "true or false"),
        (json!({"tags": {"a": []}}), "tags.a", "text"),
        (
            json!({"blacklistIPs": ["10.0.0.0/33"]}),
            "blacklistIPs[0]",
            "network",
        ),
        (json!({"blacklistIPs": ["x"]}), "blacklistIPs[0]", "network"),
        (json!({"dns": {"select": "x"}}), "dns.select", "roundRobin"),
        (json!({"tlsVersion": "tls9"}), "tlsVersion", "tls1.3"),
        (
            json!({"tlsAuth": [{"cert": "c"}]}),
            "tlsAuth[0].key",
            "text",
        ),
        (json!({"httpDebug": "x"}), "httpDebug", "full"),
        (
            json!({"summaryTrendStats": ["p95"]}),
            "summaryTrendStats",
            "p95",
        ),
        (
            json!({"thresholds": {"a": "avg<1"}}),
            "thresholds.a",
            "a list",
        ),
        (
            json!({"thresholds": {"a": ["avg"]}}),
            "thresholds.a[0]",
            "comparison",
        ),
        (
            json!({"thresholds": {"a": [{}]}}),
            "thresholds.a[0]",
            "has no `threshold`",
        ),
        (
            json!({"thresholds": {"a": [{"x": 1}]}}),
            "thresholds.a[0].x",
            "unknown",
        ),
        (
            json!({"thresholds": {"http_reqs": ["avg<1"]}}),
            "thresholds.http_reqs[0]",
            "count",
        ),
        (
            json!({"scenarios": {"a b": {}}}),
            "scenarios.a b",
            "is no name",
        ),
        (of(json!(1)), "scenarios.a", "an object"),
        (of(json!({})), "scenarios.a", "has no `executor`"),
        (
            of(json!({"executor": "x"})),
            "scenarios.a.executor",
            "constant-vus",
        ),
        (
            of(json!({"executor": "constant-vus"})),
            "scenarios.a",
            "has no `duration`",
        ),
        (
            of(json!({"executor": "constant-vus", "duration": "1s", "vus": 0})),
            "scenarios.a.vus",
            "1 or more",
        ),
        (
            of(json!({"executor": "shared-iterations", "vus": 5, "iterations": 2})),
            "scenarios.a.iterations",
            "`vus` (5) or more",
        ),
        (
            of(json!({"executor": "ramping-vus", "stages": []})),
            "scenarios.a.stages",
            "must have a stage",
        ),
        (
            of(json!({"executor": "constant-arrival-rate", "rate": 1, "duration": "1s"})),
            "scenarios.a",
            "has no `preAllocatedVUs`",
        ),
        (
            of(
                json!({"executor": "constant-arrival-rate", "rate": 1, "duration": "1s",
                      "preAllocatedVUs": 5, "maxVUs": 2}),
            ),
            "scenarios.a.maxVUs",
            "or more",
        ),
    ];
    for (value, place, words) in cases {
        let error = options(&value).expect_err(&value.to_string());
        assert_eq!(error.place, place, "{error}");
        assert!(error.message.contains(words), "{error}");
    }
}

/// JSON with the names of options in it.
fn any_json() -> impl Strategy<Value = Value> {
    let names: &'static [&'static str] = &[
        "vus",
        "duration",
        "stages",
        "scenarios",
        "thresholds",
        "executor",
        "rate",
        "target",
        "dns",
        "tags",
        "tlsAuth",
        "tlsVersion",
        "hosts",
        "http_req_duration",
        "preAllocatedVUs",
        "env",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        proptest::sample::select(
            &[
                "1m",
                "p(95)<5",
                "constant-vus",
                "ramping-vus",
                "x",
                "9e9h",
                ""
            ][..]
        )
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 32, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((proptest::sample::select(names), inner), 0..5).prop_map(
                |members| members
                    .into_iter()
                    .map(|(k, v)| (k.to_owned(), v))
                    .collect()
            ),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_json_is_read_or_refused(value in any_json()) {
        if let Ok(read) = options(&value) {
            prop_assert!(!read.effective_scenarios().is_empty());
        }
    }
}
