use proptest::prelude::*;

use super::*;

#[test]
fn expressions_are_read() {
    let cases = [
        (
            "p(95)<500",
            Aggregation::Percentile(95.0),
            Operator::Less,
            500.0,
        ),
        (
            "p(99.9) <= 1500",
            Aggregation::Percentile(99.9),
            Operator::AtMost,
            1500.0,
        ),
        ("avg<200", Aggregation::Average, Operator::Less, 200.0),
        (" min > 1 ", Aggregation::Minimum, Operator::More, 1.0),
        ("max>=1.5", Aggregation::Maximum, Operator::AtLeast, 1.5),
        ("med!=3", Aggregation::Median, Operator::NotEqual, 3.0),
        (
            "p( 50 )===2e3",
            Aggregation::Percentile(50.0),
            Operator::Equal,
            2000.0,
        ),
        (
            "p(100)==-1",
            Aggregation::Percentile(100.0),
            Operator::Equal,
            -1.0,
        ),
    ];
    for (text, aggregation, operator, bound) in cases {
        let read = threshold("http_req_duration", text).expect(text);
        assert_eq!(
            (read.aggregation, read.operator),
            (aggregation, operator),
            "{text}"
        );
        assert!((read.bound - bound).abs() < 1e-12, "{text}");
    }
    let rate = threshold("http_req_failed", "rate<0.01").expect("a rate");
    assert_eq!(rate.aggregation, Aggregation::Rate);
    assert_eq!(
        threshold("my", "count>10").map(|t| t.aggregation),
        Ok(Aggregation::Count)
    );
    assert_eq!(
        threshold("my", "value<10").map(|t| t.aggregation),
        Ok(Aggregation::Value)
    );
}

/// A metric's text, its name, and its tags.
type Case = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

#[test]
fn a_metric_may_have_tags() {
    let cases: [Case; 9] = [
        ("checks", "checks", &[]),
        ("checks{}", "checks", &[]),
        ("checks{check:is ok}", "checks", &[("check", "is ok")]),
        (
            "my_trend{name:x,status:200}",
            "my_trend",
            &[("name", "x"), ("status", "200")],
        ),
        ("a{ name : x , b:c }", "a", &[("name", "x"), ("b", "c")]),
        ("a{group:::login}", "a", &[("group", "::login")]),
        (
            "a{url:https://b.c/d?e=f}",
            "a",
            &[("url", "https://b.c/d?e=f")],
        ),
        (
            "a{name:\"x, y\",b:'c}'}",
            "a",
            &[("name", "x, y"), ("b", "c}")],
        ),
        ("a{check:it's, b:c}", "a", &[("check", "it's"), ("b", "c")]),
    ];
    for (text, name, tags) in cases {
        let read = threshold(
            text,
            if name == "checks" {
                "rate>0.9"
            } else {
                "max<1"
            },
        );
        let read = read.unwrap_or_else(|e| panic!("{text}: {e}"));
        let found: Vec<_> = read.tags.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!((&*read.metric, &*found), (name, tags), "{text}");
    }
}

#[test]
fn what_is_no_threshold_says_why() {
    let cases = [
        ("http_req_duration", "p(95)", "has no comparison"),
        ("http_req_duration", "", "has no comparison"),
        ("http_req_duration", "p(95)=500", "has no comparison"),
        ("http_req_duration", "p95<500", "is not a value of a metric"),
        (
            "http_req_duration",
            "p(101)<500",
            "is not a value of a metric",
        ),
        (
            "http_req_duration",
            "p(x)<500",
            "is not a value of a metric",
        ),
        ("http_req_duration", "<500", "is not a value of a metric"),
        ("http_req_duration", "p(95)<500ms", "is not a number"),
        ("http_req_duration", "p(95)<inf", "is not a number"),
        ("http_req_duration", "p(95)<", "is not a number"),
        (
            "http_req_duration",
            "rate<1",
            "use avg, min, max, med or p(N)",
        ),
        ("http_req_failed", "p(95)<1", "use rate"),
        ("http_reqs", "avg<1", "use count or rate"),
        ("vus", "max<1", "use value"),
        ("a{b", "max<1", "is not a metric"),
        ("a{b}", "max<1", "is not a metric"),
        ("a{:b}", "max<1", "is not a metric"),
        ("", "max<1", "is not a metric"),
        ("a b", "max<1", "is not a metric"),
    ];
    for (metric, text, words) in cases {
        let error = threshold(metric, text).expect_err(text).to_string();
        assert!(error.contains(words), "{metric} {text}: {error}");
    }
    assert_eq!(
        threshold("a", &" ".repeat(5_000)),
        Err(ThresholdError::TooLong)
    );
}

#[test]
fn operators_compare() {
    let cases = [
        (Operator::Less, [true, false, false]),
        (Operator::AtMost, [true, true, false]),
        (Operator::More, [false, false, true]),
        (Operator::AtLeast, [false, true, true]),
        (Operator::Equal, [false, true, false]),
        (Operator::NotEqual, [true, false, true]),
    ];
    for (operator, wanted) in cases {
        assert_eq!(
            [1.0, 2.0, 3.0].map(|value| operator.holds(value, 2.0)),
            wanted,
            "{operator:?}"
        );
    }
}

#[test]
fn kinds_of_metrics_are_known() {
    assert_eq!(kind_of("http_req_waiting"), Some(MetricKind::Trend));
    assert_eq!(kind_of("mine"), None);
    assert!(is_time("group_duration") && !is_time("http_reqs") && !is_time("mine"));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(metric in "[a-z{}:,'\"é ]{0,16}", text in "[a-z()<>=!0-9. é]{0,16}") {
        let _ = threshold(&metric, &text);
    }
}
