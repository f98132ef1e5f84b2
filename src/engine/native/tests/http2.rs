//! HTTP/2 against a server that behaves, made of the `h2` crate; one that does not is met in
//! `tests/program/faults`.

use ::http::{Request, Response, StatusCode};
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};

use super::*;
use crate::scenario::{Http, Protocol};

type Asked = Request<RecvStream>;

/// A server without TLS whose every request is answered as `answer` says; the numbers count
/// connections, and requests of each, from 0.
async fn serving<F>(
    answer: impl Fn(usize, usize, Asked, SendResponse<Bytes>) -> F + Clone + Send + 'static,
) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    server_of(usize::MAX, answer).await
}

/// The same that says GOAWAY on a connection after so many requests.
async fn server_of<F>(
    most: usize,
    answer: impl Fn(usize, usize, Asked, SendResponse<Bytes>) -> F + Clone + Send + 'static,
) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let served = move |number, tcp| {
        let answer = answer.clone();
        async move {
            let mut connection = h2::server::handshake(tcp).await.unwrap();
            let mut count = 0;
            while let Some(Ok((asked, respond))) = connection.accept().await {
                tokio::spawn(answer(number, count, asked, respond));
                count += 1;
                if count == most {
                    connection.graceful_shutdown();
                }
            }
        }
    };
    server(move |number, tcp| served.clone()(number, tcp)).await
}

/// Sends a whole answer.
fn say(mut respond: SendResponse<Bytes>, answer: Response<()>, body: &'static str) {
    let mut stream = respond.send_response(answer, body.is_empty()).unwrap();
    if !body.is_empty() {
        stream.send_data(body.into(), true).unwrap();
    }
}

/// All of a request's body.
async fn whole(body: &mut RecvStream) -> String {
    let mut all = Vec::new();
    while let Some(Ok(piece)) = body.data().await {
        let _ = body.flow_control().release_capacity(piece.len());
        all.extend_from_slice(&piece);
    }
    String::from_utf8(all).unwrap()
}

fn ok() -> Response<()> {
    Response::new(())
}

fn two(scenario: &Arc<Scenario>, streams_per_connection: u32) -> NativeSpec {
    NativeSpec {
        network: Network {
            protocol: Protocol {
                http: Http::Two,
                streams_per_connection,
            },
            ..Network::default()
        },
        threads: 1,
        ..spec(scenario)
    }
}

async fn run_two(
    scenario: &Arc<Scenario>,
    (vus, streams): (u32, u32),
    enough: impl FnMut(&Totals) -> bool,
) -> Totals {
    let mut engine = NativeEngine::start(two(scenario, streams)).unwrap();
    engine.set_level(Level(vus)).await.unwrap();
    let seen = watch(&mut engine, enough).await;
    engine.stop().await;
    seen
}

/// How a cycle fails over HTTP/2, or that it passes.
async fn look(toml: &str, base: &str) -> Result<(), (FailureKind, String)> {
    let mut engine = NativeEngine::start(two(&compile(toml, base), 1)).unwrap();
    let canary = engine.canary().await.unwrap();
    engine.stop().await;
    match canary {
        Canary::Passed(_) => Ok(()),
        Canary::Failed(failure) => Err((failure.kind, failure.message)),
        Canary::Shed => panic!("shed"),
    }
}

/// Steps pass over HTTP/2 that say everything a step can.
#[tokio::test]
async fn all_that_a_step_can_do_works_over_http_2() {
    let base = serving(|_, _, asked, mut respond| async move {
        let (asked, mut body) = asked.into_parts();
        let path = asked.uri.path().to_owned();
        let header = |name: &str| {
            let value = asked.headers.get(name);
            value.map_or("", |v| v.to_str().unwrap()).to_owned()
        };
        let of_connection = ["connection", "host", "keep-alive", "upgrade"];
        assert!(of_connection.iter().all(|n| header(n).is_empty()));
        match path.as_str() {
            "/login" => {
                assert_eq!((asked.method.as_str(), &*header("x-kind")), ("POST", "a"));
                let all = whole(&mut body).await;
                assert_eq!(all, "pass=%26&user=7");
                let answer = Response::builder().status(302);
                let answer = answer.header("location", "/home");
                let answer = answer.header("set-cookie", "sid=s9; Path=/");
                say(respond, answer.body(()).unwrap(), "");
            }
            "/home" => {
                assert_eq!(header("cookie"), "sid=s9");
                say(respond, ok(), "{\"token\": \"t5\"}");
            }
            "/large" => {
                let all = whole(&mut body).await;
                assert_eq!((all.len(), &*header("x-token")), (300_000, "t5"));
                let mut stream = respond.send_response(ok(), false).unwrap();
                for _ in 0..30 {
                    stream.send_data(vec![b'y'; 10_000].into(), false).unwrap();
                }
                stream.send_data(Bytes::new(), true).unwrap();
            }
            "/gzip" => {
                let answer = Response::builder().header("content-encoding", "gzip");
                let mut zip =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                std::io::Write::write_all(&mut zip, b"packed").unwrap();
                let mut stream = respond
                    .send_response(answer.body(()).unwrap(), false)
                    .unwrap();
                stream
                    .send_data(zip.finish().unwrap().into(), false)
                    .unwrap();
                let mut trailers = ::http::HeaderMap::new();
                trailers.insert("x-end", "1".parse().unwrap());
                stream.send_trailers(trailers).unwrap();
            }
            _ => say(respond, ok(), ""),
        }
    })
    .await;
    let large = "x".repeat(300_000);
    let toml = format!(
        "redirects = 3\nsteps = [
        {{ name = 'login', post = '/login', form = {{ user = '7', pass = '&' }},
           headers = {{ X-Kind = 'a', connection = 'keep-alive' }}, extract = {{ token = '/token' }} }},
        {{ name = 'large', put = '/large', body = '{large}', headers = {{ x-token = '{{{{ token }}}}' }},
           check = {{ contains = 'yyyy' }} }},
        {{ name = 'gzip', get = '/gzip', check = {{ contains = 'packed' }} }},
        {{ name = 'head', head = '/none' }}, {{ name = 'delete', delete = '/none' }} ]"
    );
    assert_eq!(look(&toml, &base).await, Ok(()));
}

#[tokio::test]
async fn streams_of_events_are_opened_held_and_answered_over_http_2() {
    let base = serving(|_, _, asked, mut respond| async move {
        let answer = Response::builder().header("content-type", "text/event-stream");
        let mut stream = respond
            .send_response(answer.body(()).unwrap(), false)
            .unwrap();
        for n in 0..3 {
            let event = format!("data: {{\"n\": {n}}}\n\n");
            if stream.send_data(event.into(), false).is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let done = "data: [DONE]\n\n".into();
        stream.send_data(done, asked.uri().path() == "/chat").ok();
        if asked.uri().path() == "/held" {
            std::future::pending::<()>().await;
        }
    })
    .await;
    let toml = "steps = [
        { name = 'held', open = '/held' },
        { name = 'two', wait = { on = 'held', match = { '/n' = '2' } } },
        { name = 'chat', post = '/chat', json = { stream = true }, stream = { until = '[DONE]' } },
        { name = 'again', post = '/chat', json = { stream = true }, stream = { until = '[DONE]' } } ]";
    let scenario = compile(toml, &base);
    let whole = scenario.table().whole();
    let seen = run_two(&scenario, (3, 1), |s| s.steps[whole].completed() >= 9).await;
    assert!(seen.steps[whole].completed() >= 9);
    assert_eq!(seen.steps[whole].failed.of_target(), 0);
    let gap = scenario.parts(2).unwrap().gap;
    let p50 = seen.steps[gap].latency.quantile_s(0.5).unwrap();
    assert!((0.015..0.2).contains(&p50), "{p50}");
}

/// A connection that ends gracefully takes no request with it, and no request is made twice.
#[tokio::test]
async fn a_graceful_goaway_is_no_failure_and_nothing_is_sent_twice() {
    for streams in [1, 4] {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let base = server_of(5, move |_, _, _, respond| {
            count.fetch_add(1, Ordering::Relaxed);
            async move { say(respond, ok(), "ok") }
        })
        .await;
        // Not even a POST, which may not be made twice.
        let scenario = compile("steps = [{ name = 'post', post = '/' }]", &base);
        let mut engine = NativeEngine::start(two(&scenario, streams)).unwrap();
        engine.set_level(Level(4)).await.unwrap();
        let enough = |s: &Totals| s.steps[0].completed() >= 200;
        let mut seen = watch(&mut engine, enough).await;
        engine.set_level(Level(0)).await.unwrap();
        let rest = watch(&mut engine, |s| s.last.vus == 0 && s.last.level.get() == 0).await;
        engine.stop().await;
        seen.steps[0].merge_shard(&rest.steps[0]);
        let ended = seen.steps[0].completed();
        assert!(ended >= 200, "{ended}");
        assert_eq!(seen.steps[0].failed.of_target(), 0, "{streams}");
        assert_eq!(
            asked.load(Ordering::Relaxed),
            usize::try_from(ended).unwrap()
        );
    }
}

/// A stream that was refused was not worked on: it is asked for once more, on another connection.
#[tokio::test]
async fn a_refused_stream_is_asked_for_again_and_a_reset_one_is_not() {
    for (reason, passes) in [(Reason::REFUSED_STREAM, true), (Reason::CANCEL, false)] {
        let base = serving(move |_, number, _, mut respond| async move {
            if number == 1 {
                respond.send_reset(reason);
            } else {
                say(respond, ok(), "ok");
            }
        })
        .await;
        let two = "steps = [{ name = 'a', post = '/' }, { name = 'b', post = '/' }]";
        let went = look(two, &base).await;
        assert_eq!(went.is_ok(), passes, "{went:?}");
        if let Err((kind, words)) = went {
            assert_eq!(kind, FailureKind::Reset);
            assert!(words.contains("RST_STREAM): CANCEL (0x8)"), "{words}");
        }
    }
}

/// So many VUs of a thread have one connection, and each its own answer.
#[tokio::test]
async fn connections_are_shared_by_as_many_as_the_profile_says() {
    let connections = Arc::new(AtomicUsize::new(0));
    let most = Arc::clone(&connections);
    let base = serving(move |connection, _, asked, mut respond| {
        most.fetch_max(connection + 1, Ordering::Relaxed);
        async move {
            let number = asked.uri().query().unwrap_or_default().to_owned();
            let mut stream = respond.send_response(ok(), false).unwrap();
            let body = format!("{{\"vu\": \"{number}\"}}");
            stream.send_data(body.into(), true).ok();
        }
    })
    .await;
    let toml = "steps = [{ name = 'a', get = '/?{{ vu }}',
        check = { json = { '/vu' = '{{ vu }}' } } }, { think = '5ms' }]";
    let scenario = compile(toml, &base);
    let seen = run_two(&scenario, (20, 5), |s| {
        s.last.vus == 20 && s.steps[0].completed() >= 400
    });
    let seen = seen.await;
    assert!(seen.steps[0].completed() >= 400);
    assert_eq!(seen.steps[0].failed.of_target(), 0);
    assert_eq!(connections.load(Ordering::Relaxed), 4);
}

/// A VU that gives up leaves the connection to the others.
#[tokio::test]
async fn a_stream_that_is_given_up_costs_the_others_nothing() {
    let base = serving(|_, _, asked, respond| async move {
        if asked.uri().path() == "/hangs" {
            std::future::pending::<()>().await;
        }
        say(respond, ok(), "ok");
    })
    .await;
    let toml = "timeout = '100ms'\nsteps = [{ choose = [
        { weight = 1, steps = [{ name = 'hangs', get = '/hangs' }] },
        { weight = 5, steps = [{ name = 'well', get = '/' }] } ] }, { think = '1ms' }]";
    let scenario = compile(toml, &base);
    let seen = run_two(&scenario, (8, 8), |s| {
        s.steps[0].failed.of_target() >= 5 && s.steps[1].completed() >= 50
    });
    let seen = seen.await;
    assert!(seen.steps[0].failed.get(FailureKind::Timeout) >= 5);
    assert_eq!(seen.steps[1].failed.of_target(), 0);
}

#[tokio::test]
async fn a_server_of_http_1_is_named_and_so_is_one_of_http_2_that_is_not_expected() {
    let one = answering(OK).await;
    let (kind, words) = look(GET, &one).await.unwrap_err();
    assert_eq!(kind, FailureKind::Protocol);
    assert!(
        words.contains("does not speak HTTP/2") && words.contains("`HTTP/1.1 200 OK`"),
        "{words}"
    );
    let two = serving(|_, _, _, respond| async move { say(respond, ok(), "") }).await;
    let engine = NativeEngine::start(spec(&compile(GET, &two)));
    let canary = engine.unwrap().canary().await.unwrap();
    let Canary::Failed(failure) = canary else {
        panic!("{canary:?}");
    };
    assert!(
        failure.message.contains("http = \"2\""),
        "{}",
        failure.message
    );
}

/// A status that is refused is told with what the server said.
#[tokio::test]
async fn an_error_over_http_2_is_shown_as_it_came() {
    let base = serving(|_, _, _, respond| async move {
        let mut answer = ok();
        *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        say(respond, answer, "no database");
    })
    .await;
    let mut engine = NativeEngine::start(two(&compile(GET, &base), 1)).unwrap();
    let canary = engine.canary().await.unwrap();
    let Canary::Failed(failure) = canary else {
        panic!("{canary:?}");
    };
    assert_eq!(failure.kind, FailureKind::Status);
    assert_eq!(failure.excerpt, "no database");
}

/// As in HTTP/1.1 an answer has the time at which it came, however late it is read.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn an_answer_that_is_read_late_has_the_time_at_which_it_came() {
    use super::super::http::{Connector, Keep, Want};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (came, at) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut tcp, _) = listener.accept().unwrap();
        // "PRI * HTTP/2.0" and what follows (RFC 9113, section 3.4).
        tcp.read_exact(&mut [0; 24]).unwrap();
        for stream in [1, 3] {
            // All of the request is there before anything is sent: it is one frame of HEADERS.
            loop {
                let mut head = [0; 9];
                tcp.read_exact(&mut head).unwrap();
                let [a, b, c, kind, _, .., id] = head;
                let length = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                tcp.read_exact(&mut vec![0; length]).unwrap();
                if (kind, id) == (1, stream) {
                    break;
                }
            }
            std::thread::sleep(Duration::from_millis(50));
            let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
            let head = [0, 0, 1, 1, 4, 0, 0, 0, stream, 0x88];
            let data = [0, 0, 2, 0, 1, 0, 0, 0, stream, b'o', b'k'];
            let all = [&settings[..], &head, &data].concat();
            tcp.write_all(&all).unwrap();
            came.send(Instant::now()).unwrap();
        }
        std::thread::sleep(Duration::from_secs(1));
    });
    let scenario = compile(GET, &format!("http://{address}"));
    let origin = &scenario.origins()[0];
    let connector = Connector::new(
        Means {
            protocol: two(&scenario, 1).network.protocol,
            ..Means::default()
        },
        crate::scenario::Addresses::All,
    );
    let mut connection = connector.connect(origin, 0).await.unwrap();
    let method = ::http::Method::GET;
    let want = Want {
        method: &method,
        headers: false,
        body: Keep::Nothing,
        expect: &crate::scenario::Expect::Success,
        upgrades: false,
    };
    // The kernel begins to stamp shortly after it was asked to for the first time.
    for last in [false, true] {
        let request = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        let read = async {
            let Ok(head) = connection.send(request, want).await else {
                panic!("no answer");
            };
            assert_eq!(head.status, StatusCode::OK);
            connection.body().await.unwrap();
        };
        // Nobody else runs on this thread while it sleeps.
        let late = async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
            }
            std::thread::sleep(Duration::from_millis(200));
        };
        tokio::join!(read, late);
        let came = connection.arrivals();
        let sent = at.recv().unwrap();
        if last {
            let apart = sent.max(came.at) - sent.min(came.at);
            assert!(apart < Duration::from_millis(20), "{apart:?}");
            assert!(came.read_late >= Duration::from_millis(100), "{came:?}");
        }
    }
}
