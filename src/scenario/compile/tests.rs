//! What compiles, and what each mistake says.

mod requests;
mod websocket;

use bytes::Bytes;
use rand::RngExt as _;

use super::super::{spec::ScenarioSpec, vu_rng};
use super::*;
use crate::measure::LevelUnit;
use crate::scenario::Feeder;
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
    let bodies = [("photo.bin".to_owned(), Arc::from(&b"\x89PNG\xff"[..]))];
    let files = Files {
        feeders: feeders.collect(),
        bodies: bodies.into(),
    };
    Scenario::compile(&spec, BASE, &files, &env)
}

fn request(scenario: &Scenario, step: usize, vu: u32) -> http::Request<Bytes> {
    let (Action::Request(template) | Action::Open(template, _)) = &scenario.steps()[step].action
    else {
        panic!("step {step} sends nothing");
    };
    let (mut values, mut rng) = (scenario.values(vu), vu_rng(1, vu));
    let mut row = 0;
    let drawn = scenario.begin_cycle(&mut values, &mut rng, |_| {
        row += 1;
        row
    });
    drawn.unwrap();
    let rendered = template.render(scenario, &values, &mut rng, String::new());
    parsed(&rendered.unwrap())
}

#[test]
fn a_status_in_a_check_is_what_is_expected_and_reads_no_body() {
    let wants = |check: &str| {
        let step = format!("steps = [{{ name = 'a', get = '/', check = {check} }}]");
        let scenario = compile(&step).unwrap();
        let Action::Request(template) = &scenario.steps()[0].action else {
            panic!("a request");
        };
        let holds = |status| {
            template
                .expect()
                .holds(StatusCode::from_u16(status).unwrap())
        };
        let fine: Vec<u16> = [200, 201, 202, 404]
            .into_iter()
            .filter(|s| holds(*s))
            .collect();
        (fine, template.check().is_some())
    };
    assert_eq!(wants("{ status = 404 }"), (vec![404], false));
    assert_eq!(wants("{ status = [201, 202] }"), (vec![201, 202], false));
    let both = wants("{ status = 201, contains = 'ok' }");
    assert_eq!(both, (vec![201], true));
    assert_eq!(wants("{ contains = 'ok' }"), (vec![200, 201, 202], true));
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
        "start = [{ name = 'a', get = '/' }]\nsteps = [{ name = 'a', get = '/' }]",
        "a start step has this name already",
    ),
    ("steps = [{ name = 'a', get = 'x' }]", "must begin with `/`"),
    (
        "steps = [{ choose = [] }, { name = 'a', get = '/' }]",
        "`choose` is empty",
    ),
    (
        "steps = [{ choose = [{ weight = 0, steps = [] }] }, { name = 'a', get = '/' }]",
        "a `weight` must be between 1",
    ),
    (
        "steps = [{ name = 'a', get = '/', repeat = 0 }]",
        "`repeat` must be between 1",
    ),
    (
        "steps = [{ name = 'a', get = '/', if = 'x == x' }]",
        "is always the same",
    ),
    (
        "steps = [{ steps = [{ name = 'b', get = 'x' }] }, { name = 'a', get = '/' }]",
        "step `b`: `x` must begin with `/`",
    ),
    (
        "steps = [{ choose = [{ weight = 1, steps = [{ name = 's', open = '/' }] }] }, { name = \
         'w', wait = { on = 's' } }]",
        "is opened in one branch only",
    ),
    (
        "steps = [{ name = 's', open = '/' }, { name = 'w', wait = {} }, { name = 'w', wait = { \
         since = 's' } }]",
        "counts from elsewhere",
    ),
    (
        "steps = [{ name = 'a', post = '/', body = 'x', body-file = 'photo.bin' }]",
        "a request has one body",
    ),
    (
        "steps = [{ name = 'a', post = '/', multipart = [{ name = 'f' }] }]",
        "`f` has no content",
    ),
    (
        "steps = [{ name = 'a', get = '/', extract = { x = '$..a..b..c' } }]",
        "descends (`..`) more than 2 times",
    ),
    (
        "steps = [{ name = 'a', get = '/', extract = { x = { from = '/x', default = '{{ vu }}' } \
         } }]",
        "is taken as it stands",
    ),
    (
        "start = [{ name = 'l', get = '/' }]\nagain-when = [200]\nsteps = [{ name = 'a', get = \
         '/' }]",
        "200 is a success",
    ),
    (
        "steps = [{ name = 'a', get = '/', check = { contains = '' } }]",
        "a text to look for is empty",
    ),
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
        "no status is allowed",
    ),
    (
        "steps = [{ name = 'a', get = '/', expect = [200], check = { status = 200 } }]",
        "say the same",
    ),
    (
        "steps = [{ name = 'a', get = '/', check = { status = [] } }]",
        "no status is allowed",
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
        "steps = [{ name = 's', open = '/' }, { name = 't', open = '/' }, { name = 'w', wait = {} \
         }]",
        "say which",
    ),
    (
        "steps = [{ name = 's', open = '/' }, { close = 's' }, { name = 'w', wait = { on = 's' } \
         }]",
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
    (
        "steps = [{ name = 's', open = '/', stream = true }]",
        "`stream` means nothing in a `open` step",
    ),
    (
        "steps = [{ name = 'a', get = '/', stream = true, extract = { b = '/b' } }]",
        "a streamed answer is not kept",
    ),
    (
        "steps = [{ name = 'a', get = '/', stream = { first = 'b' } }]",
        "`stream`: `first`: `b` is not a JSON pointer",
    ),
    (
        "steps = [{ name = 'a', get = '/', stream = { fail = { matches = '(' } } }]",
        "`stream`: `fail`: `matches`",
    ),
    (
        "start = [{ name = 'a', get = '/', stream = true }]\nsteps = [{ name = 'b', get = '/' }]",
        "does not belong among the start steps",
    ),
    (
        "steps = [{ name = 's', open = '/', check = { contains = 'x' } }]",
        "`check` means nothing in a `open` step",
    ),
    (
        "steps = [{ name = 'a', get = '/', reconnect = true }]",
        "`reconnect` means nothing in a `request` step",
    ),
    (
        "steps = [{ name = 's', open = '/' }, { name = 'w', wait = { end = true, data = 'x' } }]",
        "which is no event",
    ),
    (
        "steps = [{ name = 's', open = '/' }, { name = 'w', wait = { pick = 0 } }]",
        "the first event is 1",
    ),
    (
        "steps = [{ name = 's', open = '/' }, { name = 'w', wait = { matches = '(' } }]",
        "not a valid regular expression",
    ),
    (
        "steps = [{ name = 's', open = '/' }, { name = 'w', wait = { match = { status = '1' } } }]",
        "an event has no headers",
    ),
    (
        "steps = [{ name = 's', open = '/', reconnect = true }, { name = 'w', wait = { end = true \
         } }]",
        "has no end to wait for",
    ),
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
fn an_empty_user_agent_is_not_sent() {
    let toml = "headers = { user-agent = 'all' }
        steps = [{ name = 'a', get = '/', headers = { User-Agent = '', x = '' } }]";
    let request = request(&compile(toml).unwrap(), 0, 0);
    assert!(!request.headers().contains_key("user-agent"));
    assert_eq!(request.headers()["x"], "");
}

#[test]
fn feeders_give_each_cycle_its_row() {
    for (order, want) in [("sequential", "/api/bob"), ("per-vu", "/api/ann")] {
        let toml = format!(
            "feeders = {{ p = {{ file = 'p.csv', order = '{order}' }} }}\nsteps = [{{ name = 'a', \
             get = '/{{{{ p.name }}}}' }}]"
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
    let toml = "steps = [{ name = 'a', get = 'HTTP://127.0.0.1:1/ü {{ vu }}' }, { name = 'b', get \
        = '/a b' }]";
    let scenario = compile(toml).unwrap();
    assert_eq!(request(&scenario, 0, 7).uri(), "/%C3%BC%207");
    assert_eq!(request(&scenario, 1, 7).uri(), "/api/a%20b");
    let single = Scenario::single_get("HTTP://127.0.0.1:8080/über uns?q=ä").unwrap();
    assert_eq!(request(&single, 0, 0).uri(), "/%C3%BCber%20uns?q=%C3%A4");
    assert!(!single.origins()[0].tls);
}

/// The table of rows: what comes before each.
fn before(toml: &str) -> Vec<(String, Vec<usize>)> {
    let scenario = compile(toml).unwrap();
    let rows = scenario.table().rows().iter();
    rows.map(|row| (row.name.clone(), row.prerequisites.clone()))
        .collect()
}

#[test]
fn a_row_comes_after_what_its_own_branch_has_passed() {
    let rows = before(
        "steps = [{ name = 'home', get = '/' },
          { choose = [
            { weight = 7, steps = [{ name = 'look', get = '/' }, { name = 'more', get = '/' }] },
            { weight = 3, steps = [{ name = 'buy', get = '/' }] } ] },
          { name = 'maybe', get = '/', if = '{{ vu }} == 1' },
          { repeat = 3, steps = [{ name = 'poll', get = '/' }] },
          { name = 'home', get = '/' }]",
    );
    let own = |name: &str, before: &[usize]| (name.to_owned(), before.to_vec());
    assert_eq!(
        rows,
        [
            own("home", &[1, 2, 3, 4, 5]),
            own("look", &[]),
            own("more", &[1]),
            own("buy", &[]),
            own("maybe", &[]),
            own("poll", &[0, 1, 2, 3, 4]),
            own("cycle", &[]),
        ]
    );
}

#[test]
fn a_level_of_a_rate_counts_requests_where_a_cycle_always_has_one() {
    let unit = |toml: &str| compile(toml).unwrap().unit_of_rate();
    let one = "{ name = 'a', get = '/' }";
    assert_eq!(unit(&format!("steps = [{one}]")), LevelUnit::RequestsPerS);
    let either = format!(
        "steps = [{{ choose = [{{ weight = 1, steps = [{one}] }}, {{ weight = 2, steps = [{one}] \
         }}] }}]"
    );
    assert_eq!(unit(&either), LevelUnit::RequestsPerS);
    let none = format!(
        "steps = [{{ choose = [{{ weight = 1, steps = [{one}] }}, {{ weight = 2, steps = [] }}] }}]"
    );
    for many in [
        "steps = [{ name = 'a', get = '/', repeat = 2 }]",
        "steps = [{ name = 'a', get = '/', if = '{{ vu }}' }]",
        &none,
    ] {
        assert_eq!(unit(many), LevelUnit::CyclesPerS, "{many}");
    }
}

#[test]
fn a_mean_cycle_thinks_as_its_ways_are_taken() {
    let scenario = compile(
        "steps = [{ name = 'a', get = '/' }, { think = '1s', repeat = 2 },
          { choose = [{ weight = 3, steps = [{ think = '4s' }] }, { weight = 1, steps = [] }] }]",
    );
    assert!((scenario.unwrap().mean_think_s() - 5.0).abs() < 1e-9);
}

#[test]
fn a_password_of_a_step_beats_the_authorization_of_all() {
    let scenario = compile(
        "headers = { authorization = 'Bearer x' }
         steps = [{ name = 'a', get = '/', basic-auth = { user = 'u', password = 'p' } },
           { name = 'b', get = '/' },
           { name = 'c', get = '/', basic-auth = { user = 'u' }, headers = { authorization = 'own' } }]",
    );
    let scenario = scenario.unwrap();
    let sent = |step| {
        let request = request(&scenario, step, 0);
        let all = request.headers().get_all("authorization").iter();
        all.map(|v| v.to_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        [sent(0), sent(1), sent(2)],
        [["Basic dTpw"], ["Bearer x"], ["own"]].map(|v| v.map(str::to_owned).to_vec())
    );
}

#[test]
fn numbers_stay_numbers_by_way_of_a_variable_and_blanks_make_texts() {
    let scenario = compile(
        "vars = { n = '{{ vu }}', t = 'v{{ vu }}' }
         steps = [{ name = 'a', post = '/', json = { n = '{{ n }}', t = '{{ t }}', blank = ' {{ vu }}' } }]",
    );
    let body = request(&scenario.unwrap(), 0, 7);
    assert_eq!(&body.body()[..], br#"{"blank":" 7","n":7,"t":"v7"}"#);
}

#[test]
fn a_value_is_decoded_where_it_is_said_so() {
    let scenario = compile(
        "vars = { v = 'a%3D%3D b' }
         steps = [{ name = 'a', get = '/', headers = { x = '{{ decoded(v) }}', y = '{{ v }}' } }]",
    );
    let request = request(&scenario.unwrap(), 0, 0);
    assert_eq!(request.headers()["x"], "a== b");
    assert_eq!(request.headers()["y"], "a%3D%3D b");
}
