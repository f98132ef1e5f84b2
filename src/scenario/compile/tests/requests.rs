//! Requests as people write them: what is sent.

use super::*;

fn sent(step: &str) -> http::Request<Bytes> {
    let toml =
        format!("vars = {{ word = 'a&b=ü', id = '42' }}\nsteps = [{{ name = 'a', {step} }}]");
    request(&compile(&toml).unwrap(), 0, 3)
}

fn body_of(step: &str) -> String {
    String::from_utf8(sent(step).into_body().to_vec()).unwrap()
}

#[test]
fn any_method_can_be_sent() {
    let purge = sent("method = 'PURGE', url = '/x'");
    assert_eq!(
        (purge.method().as_str(), purge.uri().path()),
        ("PURGE", "/api/x")
    );
    assert_eq!(sent("url = '/x'").method(), "GET");
}

#[test]
fn queries_and_forms_are_encoded_piece_by_piece() {
    let query =
        sent("get = '/q?a=1', query = { n = 5, 'the word' = '{{ word }} c/d', tag = ['x', 'y'] }");
    assert_eq!(
        query.uri().query(),
        Some("a=1&n=5&tag=x&tag=y&the%20word=a%26b%3D%C3%BC%20c%2Fd")
    );
    let form = sent(
        "post = '/login', form = { user = 'u{{ vu }}@x.y', password = '{{ word }}', on = true }",
    );
    assert_eq!(
        form.headers()["content-type"],
        "application/x-www-form-urlencoded"
    );
    let read = url::form_urlencoded::parse(form.body()).into_owned();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        read.collect::<Vec<_>>(),
        [
            pair("on", "true"),
            pair("password", "a&b=ü"),
            pair("user", "u3@x.y")
        ]
    );
}

#[test]
fn basic_authentication_is_what_a_server_reads() {
    let header = |step: &str| {
        let request = sent(step);
        request.headers()["authorization"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    let mixed = "get = '/', basic-auth = { user = 'u{{ vu }}', password = '{{ env.TOKEN }}:x' }";
    assert_eq!(header(mixed), "Basic dTM6czNjcmV0Ong=", "u3:s3cret:x");
    assert_eq!(
        header("get = '/', basic-auth = { user = 'me' }"),
        "Basic bWU6"
    );
}

#[test]
fn a_whole_value_of_json_keeps_its_type() {
    let toml = "steps = [
        { name = 'a', get = '/', extract = { n = '/n', list = '/list', word = '/word', \
          none = { from = '/none', default = 'x' } } },
        { name = 'b', post = '/', json = { n = '{{ n }}', list = '{{list}}', word = '{{ word }}', \
          text = 'n={{ n }}', forced = '{{ text(n) }}', vu = '{{ vu }}', any = '{{ random(7, 7) }}', none = '{{ none }}' } }]";
    let scenario = compile(toml).unwrap();
    let (Action::Request(first), Action::Request(second)) =
        (&scenario.steps()[0].action, &scenario.steps()[1].action)
    else {
        panic!("both are requests");
    };
    let (mut values, mut rng) = (scenario.values(3), vu_rng(1, 3));
    let body = br#"{"n": 42, "list": [1, "two", null], "word": "a\"b"}"#;
    let headers = http::HeaderMap::new();
    let answer = crate::scenario::Answer::new(200, &headers, body);
    for extract in first.extract() {
        values.set(extract.slot, extract.find(&answer, &mut rng).unwrap());
    }
    let rendered = second.render(&scenario, &values, &mut rng, String::new());
    let sent = parsed(&rendered.unwrap());
    let json: serde_json::Value = serde_json::from_slice(sent.body()).unwrap();
    let wanted = serde_json::json!({
        "n": 42, "list": [1, "two", null], "word": "a\"b", "text": "n=42", "forced": "42",
        "vu": 3, "any": 7, "none": "x"
    });
    assert_eq!(json, wanted);
}

#[test]
fn drawn_numbers_lie_where_they_are_asked_for() {
    for _ in 0..50 {
        let drawn = body_of("post = '/', body = '{{ random(-3, 3) }}'");
        let n: i64 = drawn.parse().unwrap();
        assert!((-3..=3).contains(&n));
    }
}

#[test]
fn mistakes_in_requests_are_told_with_their_way_out() {
    for (step, part) in [
        ("method = 'POST', get = '/'", "`method` means nothing"),
        ("method = 'A B', url = '/'", "is not the name of a method"),
        ("method = 'CONNECT', url = '/'", "tunnel"),
        ("post = '/', form = { a = '1' }, body = 'x'", "one body"),
        (
            "post = '/', form = { a = { b = '1' } }",
            "`form`: `a` is a table",
        ),
        (
            "get = '/', query = { a = '{{ gone }}' }",
            "`query`: unknown variable",
        ),
        ("get = '/', basic-auth = { user = 'a:b' }", "no colon"),
        ("get = '/', body = '{{ random(9, 1) }}'", "random(1, 100)"),
        (
            "get = '/', extract = { a = 'regex:(' }",
            "not a valid regular expression",
        ),
        (
            "get = '/', check = { json = { 'a.b' = 1 } }",
            "`check`: `a.b` is not a JSON pointer",
        ),
        (
            "get = '/', check = { matches = '[' }",
            "not a valid regular expression",
        ),
        ("get = '/', body = '{{ cookie. }}'", "no cookie"),
    ] {
        let toml = format!("steps = [{{ name = 'a', {step} }}]");
        let error = compile(&toml).expect_err(step);
        assert!(error.message.contains(part), "{step}: {error}");
    }
}

#[test]
fn mistakes_in_the_start_are_told_with_their_way_out() {
    let steps = "steps = [{ name = 'a', get = '/' }]";
    let start = "start = [{ name = 's', get = '/' }]";
    for (toml, part) in [
        (
            format!("start = [{{ name = 's', open = '/' }}]\n{steps}"),
            "a stream ends with its cycle",
        ),
        (format!("cookies = 'cycle'\n{start}\n{steps}"), "throw away"),
        (
            format!("again-when = [401]\n{steps}"),
            "add `[[scenario.start]]`",
        ),
        (
            format!("again-when = [4]\n{start}\n{steps}"),
            "not an HTTP status",
        ),
        (format!("main = 's'\n{start}\n{steps}"), "is a start step"),
        (
            format!(
                "{start}\nsteps = [{{ name = 'o', open = '/' }}, {{ name = 'w', wait = {{ since = \
                 's' }} }}]"
            ),
            "`since`: `s` is a start step",
        ),
        (
            format!("{start}\nsteps = [{{ think = '1s' }}]"),
            "sends nothing",
        ),
        (
            "cookies = 'off'\nsteps = [{ name = 'a', get = '/{{ cookie.x }}' }]".to_owned(),
            "throws away",
        ),
    ] {
        let error = compile(&toml).expect_err(&toml);
        assert!(error.message.contains(part), "{toml}: {error}");
    }
}
