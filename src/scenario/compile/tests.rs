//! What compiles, and what each mistake says.

mod requests;
mod websocket;

use bytes::Bytes;
use rand::RngExt as _;

use super::super::{spec::ScenarioSpec, vu_rng};
use super::*;
use crate::secret::Place;

const BASE: &str = "http://127.0.0.1:8080/api";

fn compile(toml: &str) -> Result<Scenario, ScenarioError> {
    let spec: ScenarioSpec = toml::from_str(toml).expect("the shape is right");
    let feeder = Feeder::parse("name,city\nann,Oslo\nbob,Rome\n".as_bytes()).unwrap();
    let feeders = spec
        .feeders
        .keys()
        .map(|n| (n.clone(), Arc::new(feeder.clone())));
    let env = |place: Place<'_>| match place {
        Place::Env("TOKEN") => Some("s3cret".to_owned()),
        Place::Env("BAD") => Some("s3cret\n{".to_owned()),
        _ => None,
    };
    Scenario::compile(&spec, BASE, &feeders.collect(), &env)
}

fn request(scenario: &Scenario, step: usize, vu: u32) -> http::Request<Bytes> {
    let (Action::Request(template) | Action::Open(template, _)) = &scenario.steps()[step].action
    else {
        panic!("step {step} sends nothing");
    };
    let (mut values, mut rng) = (scenario.values(vu), vu_rng(1, vu));
    let mut row = 0;
    scenario.begin_cycle(&mut values, &mut rng, |_| {
        row += 1;
        row
    });
    let rendered = template.render(scenario, &values, &mut rng, String::new());
    parsed(&rendered.unwrap())
}

/// What a server reads.
fn parsed(bytes: &[u8]) -> http::Request<Bytes> {
    let mut fields = [httparse::EMPTY_HEADER; 16];
    let mut head = httparse::Request::new(&mut fields);
    let body = head.parse(bytes).unwrap().unwrap();
    let mut request = http::Request::builder()
        .method(head.method.unwrap())
        .uri(head.path.unwrap());
    for field in head.headers {
        request = request.header(field.name, field.value);
    }
    request
        .body(Bytes::copy_from_slice(&bytes[body..]))
        .unwrap()
}

/// A scenario, and a part of what is said of it.
const MISTAKES: &[(&str, &str)] = &[
    ("steps = [{ get = '/' }]", "needs a name"),
    ("steps = [{ name = 'a' }]", "the step does nothing"),
    (
        "steps = [{ name = 'a', get = '/', post = '/' }]",
        "not both `get` and `post`",
    ),
    ("steps = [{ name = 'cycle', get = '/' }]", "whole cycle"),
    ("steps = [{ name = 'a(b)', get = '/' }]", "letters, digits"),
    (
        "steps = [{ name = 'a', get = '/' }, { name = 'a', get = '/' }]",
        "has this name already",
    ),
    ("steps = [{ name = 'a', get = 'x' }]", "must begin with `/`"),
    (
        "steps = [{ name = 'a', get = 'ftp://x' }]",
        "must begin with",
    ),
    (
        "steps = [{ name = 'a', get = 'http://{{ vu }}.local/' }]",
        "the host",
    ),
    (
        "steps = [{ name = 'a', get = 'http://me:pw@host/' }]",
        "user name",
    ),
    (
        "steps = [{ name = 'a', get = 'http://0.0.0.0:1/' }]",
        "not to connect to; write `127.0.0.1:1`",
    ),
    (
        "headers = { Content-Length = '5' }\nsteps = [{ name = 'a', get = '/' }]",
        "header `Content-Length`: the length of a body is sent automatically",
    ),
    (
        "steps = [{ name = 'a', post = '/', headers = { transfer-encoding = 'chunked' } }]",
        "header `transfer-encoding`: the length of a body is sent automatically",
    ),
    (
        "steps = [{ name = 'a', get = '/', timeout = '3' }]",
        "cannot read `timeout`",
    ),
    (
        "steps = [{ name = 'a', get = '/', timeout = '0s' }]",
        "above zero",
    ),
    ("timeout = 'x'\nsteps = []", "cannot read `timeout`"),
    (
        "steps = [{ name = 'a', get = '/', expect = [20] }]",
        "not an HTTP status",
    ),
    (
        "steps = [{ name = 'a', get = '/', expect = [] }]",
        "`expect` is empty",
    ),
    (
        "steps = [{ name = 'a', post = '/', json = {}, body = '' }]",
        "one body",
    ),
    (
        "steps = [{ name = 'a', get = '/', headers = { 'a b' = 'x' } }]",
        "not the name of a header",
    ),
    (
        "steps = [{ name = 'a', get = '/', headers = { a = \"x\\n\" } }]",
        "not allowed in a header",
    ),
    (
        "steps = [{ name = 'a', get = '/', extract = { t = 'a.b' } }]",
        "write `/a/b`",
    ),
    (
        "steps = [{ name = 'a', get = '/', extract = { vu = '/a' } }]",
        "already means something",
    ),
    (
        "steps = [{ name = 'a', get = '/{{ tok }}' }]",
        "unknown variable",
    ),
    (
        "steps = [{ name = 'a', get = '/{{ t }}', extract = { t = '/t' } }]",
        "unknown variable `{{ t }}`",
    ),
    (
        "steps = [{ name = 'a', get = '/{{ env.TOKE }}' }]",
        "`TOKE` is not set",
    ),
    (
        "feeders = { p = { file = 'p.csv' } }\nsteps = [{ name = 'a', get = '/{{ p.nam }}' }]",
        "did you mean `name`",
    ),
    (
        "vars = { cycle = 'x' }\nsteps = []",
        "already means something",
    ),
    (
        "vars = { a = '{{ b }}', b = '1' }\nsteps = []",
        "unknown variable",
    ),
    (
        "steps = [{ think = '1s', json = {} }, { name = 'a', get = '/' }]",
        "`json` means nothing in a `think` step",
    ),
    (
        "steps = [{ think = '1parsec' }]",
        "cannot read the think time",
    ),
    (
        "steps = [{ think = { uniform = ['2s', '1s'] } }]",
        "from the shorter to the longer",
    ),
    (
        "steps = [{ think = { lognormal = { median = '1s', sigma = -1.0 } } }]",
        "out of range",
    ),
    ("steps = [{ think = '1s' }]", "sends nothing"),
    ("steps = []", "sends nothing"),
    (
        "main = 'gat'\nsteps = [{ name = 'get', get = '/' }]",
        "did you mean `get`",
    ),
    (
        "steps = [{ name = 'w', wait = {} }]",
        "no stream is open here",
    ),
    (
        "steps = [{ name = 's', open = '/' }, { name = 'w', wait = { on = 'x' } }]",
        "no stream `x` is open",
    ),
    (
        "steps = [{ name = 's', open = '/' }, { name = 't', open = '/' }, { name = 'w', wait = {} }]",
        "say which",
    ),
    (
        "steps = [{ name = 's', open = '/' }, { close = 's' }, { name = 'w', wait = { on = 's' } }]",
        "was closed",
    ),
    (
        "steps = [{ name = 's', open = '/' }, { name = 'w', wait = { since = 'ask' } }]",
        "`since`: no step called `ask`",
    ),
    (
        "steps = [{ name = 's', open = '/' }, { name = 'w', wait = { match = { id = '1' } } }]",
        "write `/id`",
    ),
    (
        "steps = [{ name = 's', open = '/', extract = { a = '/a' } }]",
        "no body to `extract` from",
    ),
    ("steps = [{ close = 's' }]", "no stream `s` is open"),
];

#[test]
fn a_latency_begins_with_its_own_step_or_with_the_one_that_a_wait_counts_from() {
    let steps = "steps = [{ name = 's', open = '/' }, { think = '1s' }, { name = 'ask', get = '/' }, \
                 { name = 'w', wait = { SINCE } }, { close = 's' }]";
    let from = |since| -> Vec<usize> {
        let scenario = compile(&steps.replace("SINCE", since)).unwrap();
        let rows = scenario.table().rows().iter();
        rows.map(|row| row.latency_from).collect()
    };
    assert_eq!(from("since = 'ask'"), [0, 1, 1, 0]);
    assert_eq!(from(""), [0, 1, 2, 0]);
}

#[test]
fn every_mistake_is_told_with_its_way_out() {
    for (toml, part) in MISTAKES {
        let error = compile(toml).expect_err(toml);
        assert!(error.message.contains(part), "{toml}: {error}");
    }
}

#[test]
fn a_mistake_is_shown_where_it_stands() {
    let toml = "[[steps]]\nname = 'a'\nget = '/'\n[[steps]]\nname = 'b'\nget = 'x'\n";
    let error = compile(toml).unwrap_err();
    let span = error.span.unwrap();
    assert!(span.start >= 26, "{span:?} is not the second step");
    assert!(error.message.starts_with("step `b`: "), "{}", error.message);
}

#[test]
fn addresses_are_joined_to_the_targets() {
    let toml = "steps = [
        { name = 'a', get = '/x?y=1' }, { name = 'b', get = '' }, { name = 'c', get = '?q' },
        { name = 'd', get = 'https://[::1]:8443' }, { name = 'e', get = 'http://other/{{ vu }}#part' } ]";
    let scenario = compile(toml).unwrap();
    let uris: Vec<String> = (0..5)
        .map(|i| request(&scenario, i, 7).uri().to_string())
        .collect();
    assert_eq!(uris, ["/api/x?y=1", "/api", "/api?q", "/", "/7"]);
    let origins = scenario.origins();
    assert_eq!(origins.len(), 3);
    assert_eq!(
        (origins[1].host.as_str(), origins[1].port, origins[1].tls),
        ("::1", 8443, true)
    );
    assert_eq!(request(&scenario, 3, 0).headers()["host"], "[::1]:8443");
    assert_eq!(scenario.connections_per_vu(), 3);
    let single = Scenario::single_get("http://localhost:99/a?b").unwrap();
    assert_eq!(request(&single, 0, 0).uri(), "/a?b");
    assert_eq!(single.table().main(), 0);
    assert!(Scenario::single_get("localhost:99").is_err());
}

#[test]
fn headers_of_a_step_beat_those_of_all_and_ours() {
    let toml = "headers = { x-a = '1', user-agent = 'mine', authorization = 'Bearer {{ env.TOKEN }}' }
        steps = [{ name = 'a', post = '/', body = 'hi', headers = { X-A = '{{ vu }}', content-type = 'text/x' } }]";
    let request = request(&compile(toml).unwrap(), 0, 3);
    let headers = request.headers();
    assert_eq!(headers["x-a"], "3");
    assert_eq!(headers["user-agent"], "mine");
    assert_eq!(headers["content-type"], "text/x");
    assert_eq!(headers["authorization"], "Bearer s3cret");
    assert_eq!(&request.body()[..], b"hi");
}

#[test]
fn feeders_give_each_cycle_its_row() {
    for (order, want) in [("sequential", "/api/bob"), ("per-vu", "/api/ann")] {
        let toml = format!(
            "feeders = {{ p = {{ file = 'p.csv', order = '{order}' }} }}\nsteps = [{{ name = 'a', get = '/{{{{ p.name }}}}' }}]"
        );
        assert_eq!(
            request(&compile(&toml).unwrap(), 0, 4).uri(),
            want,
            "{order}"
        );
    }
}

#[test]
fn streams_are_counted_while_they_are_open_together() {
    let toml = "steps = [
        { name = 's', open = '/' }, { close = 's' }, { name = 't', open = '/' }, { name = 'u', open = '/' },
        { name = 'w', wait = { on = 'u' } }, { name = 'get', get = '/' } ]";
    let scenario = compile(toml).unwrap();
    assert_eq!(scenario.streams(), 3);
    assert_eq!(scenario.connections_per_vu(), 3);
    assert_eq!(
        request(&scenario, 0, 0).headers()["accept"],
        "text/event-stream"
    );
}

#[test]
fn a_vus_values_depend_on_the_seed_and_its_number_alone() {
    let draw = |seed, vu| vu_rng(seed, vu).random::<u64>();
    assert_eq!(draw(1, 2), draw(1, 2));
    assert_ne!(draw(1, 2), draw(1, 3));
    assert_ne!(draw(1, 2), draw(2, 2));
}

#[test]
fn redirects_are_followed_only_so_far() {
    let of = |text: &str| compile(&format!("{text}\nsteps = [{{ name = 'a', get = '/' }}]"));
    assert_eq!(of("").unwrap().redirects(), 0);
    let five = of("redirects = 5").unwrap();
    assert_eq!(five.redirects(), 5);
    assert_eq!(five.connections_per_vu(), 2, "one for where they lead");
    for bad in ["redirects = -1", "redirects = 21"] {
        let message = of(bad).unwrap_err().message;
        assert!(message.contains("between 0"), "{message}");
    }
}

#[test]
fn an_address_is_read_as_people_write_it() {
    let toml = "steps = [{ name = 'a', get = 'HTTP://127.0.0.1:1/ü {{ vu }}' }, { name = 'b', get = '/a b' }]";
    let scenario = compile(toml).unwrap();
    assert_eq!(request(&scenario, 0, 7).uri(), "/%C3%BC%207");
    assert_eq!(request(&scenario, 1, 7).uri(), "/api/a%20b");
    let single = Scenario::single_get("HTTP://127.0.0.1:8080/über uns?q=ä").unwrap();
    assert_eq!(request(&single, 0, 0).uri(), "/%C3%BCber%20uns?q=%C3%A4");
    assert!(!single.origins()[0].tls);
}
