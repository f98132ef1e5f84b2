//! `k6/ws`, `k6/websockets` and the extension for server-sent events.

use breakpoint_script::exchange::{Failed, Happened, Message, StreamEvent};

use crate::driver::{World, answer};

fn open(status: u16) -> Happened {
    Happened::Opened(Box::new(answer(
        status,
        &[("sec-websocket-protocol", "chat")],
        "",
    )))
}

fn text(text: &str) -> Happened {
    Happened::Came(Message::Text(text.into()))
}

// javascript-api/k6-ws/connect: "blocks until the connection is closed"
#[test]
fn ws_runs_callbacks_until_the_socket_is_closed() {
    let mut world = World::new(
        "import ws from 'k6/ws';
         export default () => {
           const r = ws.connect('ws://a.test/chat', { headers: { 'X-A': 'b' } }, socket => {
             socket.on('open', () => { console.log('open'); socket.send('hello'); });
             socket.on('message', m => { console.log('message', m); if (m === 'two') socket.close(); });
             socket.on('binaryMessage', b => console.log(b.byteLength));
             socket.on('ping', () => console.log('ping'));
             socket.on('close', code => console.log('close', code));
             socket.setInterval(() => console.log('tick'), 16);
             socket.setTimeout(() => { console.log('once'); socket.sendBinary(new ArrayBuffer(2)); }, 20);
           });
           console.log(r.status, r.headers['Sec-Websocket-Protocol'], r.error);
         }",
    );
    world.channel = vec![
        (5, open(101)),
        (10, text("one")),
        (12, Happened::Came(Message::Ping)),
        (13, Happened::Came(Message::Binary([1, 2, 3].into()))),
        (40, text("two")),
        (90, text("never")),
    ];
    assert_eq!(
        world.run(),
        [
            "open",
            "message one",
            "ping",
            "3",
            "tick",
            "once",
            "tick",
            "message two",
            "close 1000",
            "101 chat "
        ]
    );
    let sent: Vec<_> = world
        .sent
        .iter()
        .map(|(_, message)| message.clone())
        .collect();
    assert_eq!(
        sent,
        [
            Message::Text("hello".into()),
            Message::Binary([0, 0].into())
        ]
    );
    assert_eq!(world.opened[0].0, "ws://a.test/chat");
    assert!(world.opened[0].1.contains(&("X-A".into(), "b".into())));
}

#[test]
fn a_socket_that_cannot_be_opened_has_an_error() {
    let mut world = World::new(
        "import { connect } from 'k6/ws';
         export default () => {
           const r = connect('ws://a.test/', null, () => console.log('never'));
           console.log(r.status, r.error);
           try { connect('http://a.test/', () => {}); } catch (e) { console.log(e.name); }
         }",
    );
    world.channel = vec![(
        1,
        Happened::Failed(Failed {
            code: 1212,
            message: "refused".into(),
        }),
    )];
    assert_eq!(world.run(), ["0 refused", "TypeError"]);
}

#[test]
fn what_a_callback_throws_leaves_the_socket() {
    let mut world = World::new(
        "import ws from 'k6/ws';
         export default () => ws.connect('ws://a.test/', null, s => s.on('message', () => { throw 'out'; }));",
    );
    world.channel = vec![(1, open(101)), (2, text("x")), (3, text("y"))];
    assert_eq!(world.throws().message, "out");
    assert_eq!(world.dropped.len(), 1);
}

// javascript-api/k6-websockets: sockets in the event loop
#[test]
fn websockets_live_in_the_event_loop() {
    let mut world = World::new(
        "import { WebSocket } from 'k6/websockets';
         export default () => {
           const ws = new WebSocket('wss://a.test/', ['chat']);
           ws.binaryType = 'arraybuffer';
           console.log(ws.readyState);
           ws.onopen = () => { console.log('open', ws.readyState, ws.protocol); ws.send('hi'); };
           ws.addEventListener('message', e => { console.log(e.data); if (e.data === 'bye') ws.close(); });
           ws.onclose = e => console.log('close', e.code, ws.readyState);
           try { ws.send('early'); } catch (e) { console.log(e.name); }
         }",
    );
    world.channel = vec![(1, open(101)), (2, text("hey")), (3, text("bye"))];
    assert_eq!(
        world.run(),
        [
            "0",
            "InvalidStateError",
            "open 1 chat",
            "hey",
            "bye",
            "close 1000 3"
        ]
    );
    assert_eq!(world.opened[0].0, "wss://a.test/");
    assert!(
        world.opened[0]
            .1
            .contains(&("Sec-WebSocket-Protocol".into(), "chat".into()))
    );
}

// The API of the extension xk6-sse: sse.open(url, params, client => ..)
#[test]
fn sse_gives_events_until_it_is_closed() {
    let mut world = World::new(
        "import sse from 'k6/x/sse';
         export default () => {
           const r = sse.open('http://a.test/s', { method: 'POST', body: 'b' }, client => {
             client.on('open', () => console.log('open'));
             client.on('event', e => {
               console.log(e.id, e.name, e.data, e.comment); if (e.id === '2') client.close();
             });
             client.on('error', e => console.log(e.error()));
           });
           console.log(r.status);
         }",
    );
    let event = |id: &str| {
        Happened::Event(StreamEvent {
            id: id.into(),
            name: "n".into(),
            data: "d".into(),
            comment: "c".into(),
        })
    };
    let opened = Happened::Answered(Box::new(answer(200, &[], "")));
    world.channel = vec![
        (1, opened),
        (2, event("1")),
        (3, event("2")),
        (4, event("3")),
    ];
    assert_eq!(world.run(), ["open", "1 n d c", "2 n d c", "200"]);
    assert!(
        world.opened[0]
            .1
            .contains(&("Accept".into(), "text/event-stream".into()))
    );
}

#[test]
fn a_stream_that_ends_leaves_the_call() {
    let mut world = World::new(
        "import sse from 'k6/x/sse';
         export default () => console.log(sse.open('http://a.test/s', null, () => {}).status);",
    );
    world.channel = vec![
        (1, Happened::Answered(Box::new(answer(404, &[], "")))),
        (2, Happened::Closed(0, String::new())),
    ];
    assert_eq!(world.run(), ["404"]);
}
