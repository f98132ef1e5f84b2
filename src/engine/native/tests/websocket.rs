//! The client of a `WebSocket` against servers that behave, by `tungstenite`, and against those
//! that do not, byte by byte.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener as Listener, TcpStream as Tcp};
use std::thread;

use tungstenite::handshake::server::{Request, Response};
use tungstenite::{Message as Sent, WebSocket as Peer};

use super::*;

/// Serves each WebSocket on a thread of its own; the number counts the connections from 0. The
/// server chooses the subprotocol `v2` where it may, and sets a cookie.
fn sockets(serve: impl Fn(usize, &str, Peer<Tcp>) + Send + Sync + 'static) -> String {
    let listener = Listener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for (number, tcp) in listener.incoming().enumerate() {
            let serve = Arc::clone(&serve);
            thread::spawn(move || {
                let mut asked = String::new();
                #[expect(clippy::result_large_err, reason = "the library's own type")]
                let look = |request: &Request, mut response: Response| {
                    asked = format!("{} {:?}", request.uri(), request.headers());
                    if asked.contains("v1, v2") {
                        let v2 = "v2".parse().unwrap();
                        response.headers_mut().insert("sec-websocket-protocol", v2);
                    }
                    let cookie = "sid=1".parse().unwrap();
                    response.headers_mut().insert("set-cookie", cookie);
                    Ok(response)
                };
                if let Ok(socket) = tungstenite::accept_hdr(tcp.unwrap(), look) {
                    serve(number, &asked, socket);
                }
            });
        }
    });
    format!("http://{address}")
}

/// Sends everything back until the other side has closed.
fn echo(mut socket: Peer<Tcp>) {
    while let Ok(message) = socket.read() {
        if (message.is_text() || message.is_binary()) && socket.send(message).is_err() {
            return;
        }
    }
}

/// The first failure of a scenario with one WebSocket, and its words.
async fn failure(toml: &str, base: &str) -> (FailureKind, String) {
    let scenario = compile(toml, base);
    let canary = engine(&scenario).canary().await.unwrap();
    match canary {
        Canary::Failed(failure) => (failure.kind, failure.message),
        other => panic!("{toml}: {other:?}"),
    }
}

async fn passes(toml: &str, base: &str) {
    let scenario = compile(toml, base);
    let canary = engine(&scenario).canary().await.unwrap();
    assert!(matches!(canary, Canary::Passed(_)), "{toml}: {canary:?}");
}

#[tokio::test]
async fn a_message_is_sent_and_its_answer_is_waited_for_by_what_it_has_in_it() {
    let base = sockets(|_, _, socket| echo(socket));
    let toml = "vars = { id = '{{ uuid() }}' }\nsteps = [
        { name = 'ws', connect = '/chat?v={{ vu }}' },
        { name = 'noise', send = 'hello {{ vu }}' },
        { name = 'ask', send = { json = { id = '{{ id }}', ok = true } } },
        { name = 'answer', wait = { match = { '/id' = '{{ id }}' }, expect = { '/ok' = 'true' },
          since = 'ask' }, extract = { id2 = '/id' } },
        { name = 'hello', wait = { text = 'hello {{ vu }}' } },
        { name = 'again', send = '{{ id2 }}' },
        { name = 'part', wait = { contains = '-', matches = '^[0-9a-f-]{36}$' } },
        { name = 'ping', ping = 'ws' },
        { name = 'bytes', send = { hex = '00 ff 41' } },
        { name = 'binary', wait = { event = 'binary' } },
        { name = 'bye', close = 'ws' } ]";
    let scenario = compile(toml, &base);
    let cycle = scenario.table().whole();
    assert_eq!((cycle, scenario.connections_per_vu()), (11, 1));
    let seen = run(&scenario, 5, |s| s.steps[cycle].completed() >= 20).await;
    assert!(seen.steps[cycle].completed() >= 20, "{:?}", seen.last);
    assert_eq!(seen.steps[cycle].failed.of_target(), 0);
}

#[tokio::test]
async fn a_wait_counts_from_the_step_that_it_names_to_the_arrival() {
    let base = sockets(|_, _, mut socket| {
        while socket.read().is_ok() {
            thread::sleep(Duration::from_millis(200));
            for text in ["one", "two"] {
                let _ = socket.send(Sent::text(text));
            }
        }
    });
    let toml = "steps = [{ name = 'ws', connect = '/' }, { name = 'ask', send = 'x' },
        { name = 'one', wait = { text = 'one' } },
        { name = 'two', wait = { text = 'two', since = 'ask' } } ]";
    let seen = run(&compile(toml, &base), 1, |s| s.steps[3].completed() >= 3).await;
    let p50 = |step: usize| seen.steps[step].latency.quantile_s(0.5).unwrap();
    assert!(p50(1) < 0.1 && p50(3) >= 0.15, "{} {}", p50(1), p50(3));
}

#[tokio::test]
async fn headers_cookies_and_the_subprotocol_are_those_of_the_handshake() {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&asked);
    let base = sockets(move |_, asked, socket| {
        kept.lock().unwrap().push(asked.to_owned());
        echo(socket);
    });
    let base_ws = base.replace("http://", "ws://");
    passes(
        &format!(
            "headers = {{ x-all = 'a' }}\nsteps = [
            {{ name = 'one', connect = '{base_ws}/x', subprotocol = ['v1', 'v2'],
               headers = {{ authorization = 'Bearer t' }},
               extract = {{ p = 'header:sec-websocket-protocol' }} }},
            {{ name = 'two', connect = '/y?p={{{{ p }}}}' }},
            {{ name = 'say', send = {{ on = 'two', text = 'x' }} }},
            {{ name = 'hear', wait = {{ on = 'two' }} }} ]"
        ),
        &base,
    )
    .await;
    let asked = asked.lock().unwrap();
    for part in ["/x ", "x-all", "Bearer t", "v1, v2"] {
        assert!(asked[0].contains(part), "{part}: {}", asked[0]);
    }
    assert!(!asked[0].contains("sid=1"), "{}", asked[0]);
    for part in ["/y?p=v2", "\"cookie\": \"sid=1\""] {
        assert!(asked[1].contains(part), "{part}: {}", asked[1]);
    }
}

#[tokio::test]
async fn texts_that_keep_it_open_are_answered_while_the_vu_thinks() {
    let answered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&answered);
    let base = sockets(move |_, _, mut socket| {
        for _ in 0..3 {
            socket.send(Sent::text("2")).unwrap();
            socket.send(Sent::Ping("p".into())).unwrap();
            let mut came = [socket.read().unwrap(), socket.read().unwrap()];
            came.sort_by_key(Sent::is_pong);
            assert_eq!(came, [Sent::text("3"), Sent::Pong("p".into())]);
            count.fetch_add(1, Ordering::Relaxed);
        }
        socket.send(Sent::text("42[\"hello\",{\"id\":7}]")).unwrap();
        while socket.read().is_ok() {}
    });
    passes(
        "steps = [
            { name = 'ws', connect = '/', replies = [{ on = '2', send = '3' }] }, { think = '1s' },
            { name = 'first', wait = { match = { '/0' = 'hello', '/1/id' = '7' } } } ]",
        &base,
    )
    .await;
    assert_eq!(answered.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn what_the_start_opens_is_held_over_cycles_and_opened_anew_after_a_failure() {
    let opened = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&opened);
    let base = sockets(move |number, _, mut socket| {
        count.fetch_add(1, Ordering::Relaxed);
        if number > 0 {
            return echo(socket);
        }
        for _ in 0..5 {
            let message = socket.read().unwrap();
            socket.send(message).unwrap();
        }
        socket.close(None).unwrap();
        while socket.read().is_ok() {}
    });
    let toml = "main = 'answer'\nstart = [{ name = 'ws', connect = '/' }]
        steps = [{ name = 'ask', send = 'q{{ cycle }}' },
        { name = 'answer', wait = { text = 'q{{ cycle }}', since = 'ask' } }, { think = '1ms' }]";
    let scenario = compile(toml, &base);
    assert_eq!(
        (scenario.start_streams(), scenario.connections_per_vu()),
        (1, 1)
    );
    let seen = run(&scenario, 1, |s| s.steps[2].completed() >= 30).await;
    assert!(seen.steps[2].completed() >= 30);
    let whole = scenario.table().whole();
    assert_eq!(seen.failed(whole, FailureKind::Eof), 1);
    assert_eq!(seen.steps[whole].failed.of_target(), 1);
    assert_eq!(seen.steps[0].completed(), 2, "opened twice");
    assert_eq!(opened.load(Ordering::Relaxed), 2);
}

/// A server that opens the WebSocket and then says what it wants.
fn hostile(say: impl Fn(&mut Tcp) + Send + Sync + 'static) -> String {
    sockets(move |_, _, mut socket| {
        let tcp = socket.get_mut();
        say(tcp);
        // What the client says to its end is read, so that nothing is reset.
        let mut rest = [0; 4096];
        while matches!(tcp.read(&mut rest), Ok(1..)) {}
    })
}

const WAITS: &str = "timeout = '1s'\nsteps = [{ name = 'ws', connect = '/' }, \
    { name = 'hear', wait = { text = 'never' } }]";

#[tokio::test]
async fn servers_that_break_the_rules_are_failures_with_names() {
    let huge = [&[0x81, 127][..], &(1_u64 << 40).to_be_bytes()].concat();
    let cases: [(Vec<u8>, FailureKind, &str); 9] = [
        (huge, FailureKind::Protocol, "more than 1 MiB"),
        (b"\xc1\x01x".to_vec(), FailureKind::Protocol, "reserved bit"),
        (b"\x81\x81abcdx".to_vec(), FailureKind::Protocol, "masked"),
        (b"\x83\x01x".to_vec(), FailureKind::Protocol, "unknown kind"),
        (b"\x81\x01\xff".to_vec(), FailureKind::Protocol, "UTF-8"),
        (b"\x80\x01x".to_vec(), FailureKind::Protocol, "not begun"),
        (
            b"\x88\x0c\x03\xf3database d".to_vec(),
            FailureKind::Eof,
            "with 1011, internal error (database d)",
        ),
        (
            b"\x88\x00".to_vec(),
            FailureKind::Eof,
            "closed the WebSocket",
        ),
        (b"\x01\x01x\x00\x01x".to_vec(), FailureKind::Timeout, ""),
    ];
    for (bytes, kind, words) in cases {
        let base = hostile(move |tcp| tcp.write_all(&bytes).unwrap());
        let (is, message) = failure(WAITS, &base).await;
        assert_eq!(is, kind, "{message}");
        assert!(message.contains(words), "{words}: {message}");
    }
}

#[tokio::test]
async fn servers_without_end_meet_the_time_limit_or_the_most_that_is_kept() {
    // Who is gone ends it.
    let again = |first: &'static [u8], piece: &'static [u8]| {
        hostile(move |tcp| {
            let block = piece.repeat(1000);
            let _ = tcp.write_all(first);
            while tcp.write_all(&block).is_ok() {}
        })
    };
    for (first, piece, kind) in [
        // Fragments, also of nothing; pings, which are all answered; messages that nobody waits
        // for.
        (
            &b"\x01\x01x"[..],
            &b"\x00\x08abcdefgh"[..],
            FailureKind::Protocol,
        ),
        (b"\x01\x01x", b"\x00\x00", FailureKind::Timeout),
        (b"", b"\x89\x0cpings of 12b", FailureKind::Timeout),
        (b"", b"\x81\x02no", FailureKind::Timeout),
    ] {
        let base = again(first, piece);
        let (is, message) = failure(WAITS, &base).await;
        assert_eq!(is, kind, "{message}");
    }
    let (is, _) = failure(
        WAITS,
        &hostile(|tcp| tcp.shutdown(std::net::Shutdown::Write).unwrap()),
    )
    .await;
    assert_eq!(is, FailureKind::Eof);
}

#[tokio::test]
async fn handshakes_that_open_no_websocket_say_why() {
    let wrong = |answer: &'static str| answering(answer);
    for (answer, kind, words) in [
        (
            "HTTP/1.1 403 No\r\ncontent-length: 4\r\n\r\nnope",
            FailureKind::Status,
            "",
        ),
        (
            "HTTP/1.1 302 No\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",
            FailureKind::Status,
            "",
        ),
        (OK, FailureKind::Status, ""),
        (
            "HTTP/1.1 101 X\r\n\r\n",
            FailureKind::Protocol,
            "upgrades to no WebSocket",
        ),
        (
            "HTTP/1.1 101 X\r\nupgrade: websocket\r\nconnection: keep-alive, Upgrade\r\n\r\n",
            FailureKind::Protocol,
            "sec-websocket-accept",
        ),
        ("SMTP\r\n\r\n", FailureKind::Protocol, "not HTTP"),
    ] {
        let (is, message) = failure(WAITS, &wrong(answer).await).await;
        assert_eq!(is, kind, "{answer}: {message}");
        assert!(message.contains(words), "{words}: {message}");
    }
    let base = sockets(|_, _, socket| echo(socket));
    let speaks = "steps = [{ name = 'ws', connect = '/', subprotocol = 'v3' }]";
    let (is, message) = failure(speaks, &base).await;
    assert_eq!(is, FailureKind::Protocol);
    assert!(message.contains("none of the subprotocols"), "{message}");
    // Nobody asked a plain request to become something else.
    let plain = wrong("HTTP/1.1 101 X\r\n\r\n").await;
    assert_eq!(first_failure(GET, &plain).await, FailureKind::Protocol);
}

#[tokio::test]
async fn a_server_that_does_not_read_holds_up_the_sender_and_fills_no_memory() {
    let base = hostile(|_| thread::sleep(Duration::from_secs(3)));
    let toml = "timeout = '500ms'\nvars = { big = 'x' }\nsteps = [{ name = 'ws', connect = '/' }, "
        .to_owned()
        + &(0..40).fold(String::new(), |all, n| {
            all + &format!("{{ name = 's{n}', send = '{}' }},", "x".repeat(1 << 18))
        })
        + "]";
    let (is, message) = failure(&toml, &base).await;
    assert_eq!(is, FailureKind::Timeout, "{message}");
}

#[tokio::test]
async fn five_thousand_messages_in_one_read_are_all_there_in_order_but_for_the_oldest() {
    let base = sockets(|_, _, mut socket| {
        let tcp = socket.get_mut();
        let all: Vec<u8> = (0..5000)
            .flat_map(|n| {
                let text = format!("{n:04}");
                [&[0x81, 4][..], text.as_bytes()].concat()
            })
            .collect();
        tcp.write_all(&all).unwrap();
        while socket.read().is_ok() {}
    });
    passes(
        "steps = [{ name = 'ws', connect = '/' }, { name = 'l', wait = { text = '4999' } },
         { name = 'k', wait = { matches = '^4' } } ]",
        &base,
    )
    .await;
}
