//! Steps of a `WebSocket`: what they become, and what each mistake says.

use super::*;
use crate::scenario::websocket::{Payload, SocketStep};

const WS: &str = "{ name = 'ws', connect = '/chat' }";

fn of(steps: &str) -> Result<Scenario, String> {
    compile(&format!("steps = [{steps}]")).map_err(|e| e.message)
}

fn socket_step(scenario: &Scenario, index: usize) -> &SocketStep {
    match &scenario.steps()[index].action {
        Action::Socket(step) => step,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_handshake_is_a_request_and_goes_where_it_says() {
    let scenario = of(
        "{ name = 'a', connect = '/chat', subprotocol = ['x', 'y'], query = { q = 1 } }, \
         { name = 'b', connect = 'WSS://h:9/p' }, { name = 'c', connect = '{{ env.TOKEN }}' }",
    );
    // A secret that is no address is not quoted.
    let error = scenario.unwrap_err();
    assert!(
        error.contains("not a valid address") && !error.contains("s3cret"),
        "{error}"
    );
    let scenario = of(
        "{ name = 'a', connect = '/chat', subprotocol = ['x', 'y'], query = { q = 1 } }, \
         { name = 'b', connect = 'WSS://h:9/p' }",
    )
    .unwrap();
    let SocketStep::Connect(connect) = socket_step(&scenario, 0) else {
        panic!();
    };
    let (values, mut rng) = (scenario.values(0), vu_rng(1, 0));
    let rendered = connect
        .request
        .render(&scenario, &values, &mut rng, String::new());
    let request = parsed(&rendered.unwrap());
    assert_eq!(request.uri(), "/api/chat?q=1");
    for (name, value) in [
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-protocol", "x, y"),
    ] {
        assert_eq!(request.headers()[name], value);
    }
    assert_eq!(scenario.origins()[1].to_string(), "https://h:9");
    assert_eq!((scenario.streams(), scenario.connections_per_vu()), (2, 2));
}

#[test]
fn a_message_is_text_json_or_bytes() {
    let steps = format!(
        "{WS}, {{ name = 'a', send = 'x' }}, \
         {{ name = 'b', send = {{ json = {{ n = [1, 'y'] }} }} }}, \
         {{ name = 'c', send = {{ on = 'ws', hex = '0aFF' }} }}, \
         {{ name = 'd', send = {{ base64 = 'AQI=' }} }}"
    );
    let scenario = of(&steps).unwrap();
    let payload = |index| match socket_step(&scenario, index) {
        SocketStep::Send(send) => match &send.payload {
            Payload::Text(text) => text.constant().unwrap().as_bytes().to_vec(),
            Payload::Binary(bytes) => bytes.clone(),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(payload(1), b"x");
    assert_eq!(payload(2), br#"{"n":[1,"y"]}"#);
    assert_eq!(payload(3), [10, 255]);
    assert_eq!(payload(4), [1, 2]);
}

#[test]
fn a_named_close_is_measured_and_another_is_not() {
    let scenario = of(&format!("{WS}, {{ name = 'bye', close = 'ws' }}")).unwrap();
    assert!(matches!(socket_step(&scenario, 1), SocketStep::Close(0)));
    assert_eq!(scenario.table().whole(), 2);
    let scenario = of(&format!("{WS}, {{ close = 'ws' }}")).unwrap();
    assert!(matches!(scenario.steps()[1].action, Action::Close(0)));
}

#[test]
fn mistakes_say_what_to_do() {
    let after = |step: &str| format!("{WS}, {step}");
    for (steps, says) in [
        (
            "{ name = 'a', send = 'x' }".to_owned(),
            "no WebSocket is open here",
        ),
        (
            "{ name = 's', open = '/' }, { name = 'a', send = 'x' }".to_owned(),
            "no WebSocket is open",
        ),
        (
            "{ name = 's', open = '/' }, { name = 'a', send = { on = 's', text = 'x' } }"
                .to_owned(),
            "`s` is an event stream",
        ),
        (after("{ name = 'a', ping = 'wss' }"), "did you mean `ws`?"),
        (
            after("{ close = 'ws' }, { name = 'a', send = { on = 'ws', text = '' } }"),
            "was closed",
        ),
        (
            after("{ name = 'w2', connect = '/' }, { name = 'a', send = 'x' }"),
            "several WebSockets",
        ),
        (
            after("{ name = 'a', send = {} }"),
            "one of `text`, `json`, `hex` and `base64`",
        ),
        (
            after("{ name = 'a', send = { text = 'x', hex = '00' } }"),
            "one of `text`",
        ),
        (
            after("{ name = 'a', send = { hex = '0' } }"),
            "not in hexadecimal",
        ),
        (
            after("{ name = 'a', send = { base64 = '*' } }"),
            "not base64",
        ),
        (after("{ send = 'x' }"), "needs a name"),
        (
            after("{ name = 'a', wait = { event = 'news' } }"),
            "is `text` or `binary`",
        ),
        (
            after("{ name = 'a', wait = { matches = '(' } }"),
            "regular expression",
        ),
        (
            after("{ name = 'a', wait = {}, extract = { x = 'status' } }"),
            "no status",
        ),
        (
            after("{ name = 'a', send = 'x', extract = { x = '/a' } }"),
            "`extract` means nothing",
        ),
        (
            after("{ name = 'a', wait = { end = true } }"),
            "are for event streams",
        ),
        (
            "{ name = 'a', get = '/', subprotocol = 'x' }".to_owned(),
            "`subprotocol` means nothing",
        ),
        (
            "{ name = 'a', connect = '/', subprotocol = [] }".to_owned(),
            "is empty",
        ),
        (
            "{ name = 'a', connect = '/', subprotocol = 'a b' }".to_owned(),
            "not a valid name",
        ),
        (
            "{ name = 'a', connect = '/', headers = { Upgrade = 'h2c' } }".to_owned(),
            "every handshake",
        ),
        (
            "{ name = 'a', connect = '/', expect = [200] }".to_owned(),
            "`expect` means nothing",
        ),
        (
            "{ name = 'a', connect = '/', extract = { x = '/id' } }".to_owned(),
            "no body",
        ),
        (
            "{ name = 'a', connect = '/', keep = 0 }".to_owned(),
            "between 1 and 1024",
        ),
        (
            "{ name = 'a', connect = '/', replies = [{ on = '2', send = '{{ vu }}' }] }".to_owned(),
            "cannot vary",
        ),
    ] {
        let error = of(&steps).unwrap_err();
        assert!(error.contains(says), "{steps}: {error}");
    }
}

#[test]
fn a_websocket_of_the_start_stays_open() {
    let start = |steps: &str| {
        let toml = format!(
            "start = [{WS}, {{ name = 'hello', wait = {{ contains = 'x' }} }}, \
             {{ name = 'hi', send = 'x' }}]\nsteps = [{steps}]"
        );
        compile(&toml).map_err(|e| e.message)
    };
    let scenario = start("{ name = 'a', send = 'x' }, { name = 'o', connect = '/' }").unwrap();
    assert_eq!((scenario.start_streams(), scenario.streams()), (1, 2));
    let error = start("{ close = 'ws' }").unwrap_err();
    assert!(error.contains("stays open for all cycles"), "{error}");
    let error = compile("start = [{ name = 'w', wait = {} }]\nsteps = []").unwrap_err();
    assert!(
        error.message.contains("does not belong among the start"),
        "{error}"
    );
}
