//! The engine against real sockets on this machine. Figures of time are bounded generously; what
//! counts is structure.

mod answers;
mod checks;
mod cookies;
mod health;
mod http2;
mod network;
mod populations;
mod redirects;
mod script;
mod start;
mod streams;
mod websocket;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::watch::ThreadWindow;
use super::*;
use crate::measure::{FailureKind, StepTable};
use crate::scenario::{Allowed, Feeder, spec::ScenarioSpec};
use crate::target::demo::{self, DemoSpec};

mod open;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const GET: &str = "steps = [{ name = 'get', get = '/' }]";

fn compile(toml: &str, base: &str) -> Arc<Scenario> {
    compile_fed(toml, base, &BTreeMap::new())
}

fn compile_fed(toml: &str, base: &str, feeders: &BTreeMap<String, Arc<Feeder>>) -> Arc<Scenario> {
    let spec: ScenarioSpec = toml::from_str(toml).unwrap();
    Arc::new(Scenario::compile(&spec, base, &feeders.clone().into(), &|_| None).unwrap())
}

fn spec(scenario: &Arc<Scenario>) -> NativeSpec {
    spec_of(scenario, LoadModel::closed(1000.0))
}

fn spec_of(scenario: &Arc<Scenario>, load: LoadModel) -> NativeSpec {
    NativeSpec {
        populations: vec![PopulationSpec::users(Arc::clone(scenario), load, 7)],
        window: Duration::from_millis(100),
        threads: 2,
        sources: Vec::new(),
        allowed: Allowed::default(),
        network: Network::default(),
        excerpts: true,
    }
}

fn engine(scenario: &Arc<Scenario>) -> NativeEngine {
    NativeEngine::start(spec(scenario)).unwrap()
}

/// What happened in all windows; states are those of the last.
struct Totals {
    steps: Vec<StepWindow>,
    last: Window,
}

impl Totals {
    fn failed(&self, step: usize, kind: FailureKind) -> u64 {
        self.steps[step].failed.get(kind)
    }
}

/// Runs windows until `enough` or for ten seconds.
async fn watch(engine: &mut NativeEngine, mut enough: impl FnMut(&Totals) -> bool) -> Totals {
    let first = engine.next_window().await.unwrap();
    let mut seen = Totals {
        steps: first.steps.clone(),
        last: first,
    };
    for _ in 0..100 {
        if enough(&seen) {
            break;
        }
        let window = engine.next_window().await.unwrap();
        for (total, step) in seen.steps.iter_mut().zip(&window.steps) {
            total.merge_shard(&StepWindow {
                in_flight: Histogram::default(),
                ..step.clone()
            });
        }
        seen.last = window;
    }
    seen
}

async fn run(scenario: &Arc<Scenario>, vus: u32, enough: impl FnMut(&Totals) -> bool) -> Totals {
    let mut engine = engine(scenario);
    engine.set_level(Level(vus)).await.unwrap();
    let seen = watch(&mut engine, enough).await;
    engine.stop().await;
    seen
}

/// A server that treats every connection as `serve` says; the number counts the connections from 0.
async fn server<F>(serve: impl Fn(usize, TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (tcp, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(number, tcp));
        }
    });
    format!("http://{address}")
}

/// Reads one request, head and body; `None` at the end of the connection.
async fn request(tcp: &mut TcpStream) -> Option<String> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        match tcp.read(&mut byte).await {
            Ok(1) => text.push(byte[0]),
            _ => return None,
        }
    }
    let head = String::from_utf8(text).unwrap();
    let length = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length: "))
        .map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    tcp.read_exact(&mut body).await.ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}

/// Answers every request of every connection with the same text.
async fn answering(answer: &'static str) -> String {
    server(move |_, mut tcp| async move {
        while request(&mut tcp).await.is_some() {
            if tcp.write_all(answer.as_bytes()).await.is_err() {
                break;
            }
        }
    })
    .await
}

async fn demo_target(spec: DemoSpec) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(demo::serve(listener, spec, std::future::pending()));
    format!("http://{address}")
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// Runs one VU until its first failure and says which kind it was; step and cycle must agree.
async fn first_failure(toml: &str, base: &str) -> FailureKind {
    let scenario = compile(toml, base);
    let cycle = scenario.table().whole();
    let seen = run(&scenario, 1, |s| s.steps[cycle].failed.of_target() > 0).await;
    let kind = FailureKind::ALL
        .into_iter()
        .find(|k| seen.failed(cycle, *k) > 0)
        .expect("a failure within ten seconds");
    let of_steps: u64 = (0..cycle).map(|s| seen.failed(s, kind)).sum();
    assert_eq!(of_steps, seen.failed(cycle, kind), "{kind:?}");
    kind
}

#[tokio::test]
async fn every_kind_of_failure_is_told_apart() {
    let refused = format!("http://{}", nobody().await);
    assert_eq!(
        first_failure(GET, &refused).await,
        FailureKind::ConnectRefused
    );

    let eof = server(|_, mut tcp| async move {
        request(&mut tcp).await;
    });
    assert_eq!(first_failure(GET, &eof.await).await, FailureKind::Eof);

    let half = server(|_, mut tcp| async move {
        request(&mut tcp).await;
        let _ = tcp
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
            .await;
    });
    assert_eq!(first_failure(GET, &half.await).await, FailureKind::Eof);

    let reset = server(|_, mut tcp| async move {
        request(&mut tcp).await;
        tcp.set_zero_linger().unwrap();
    });
    assert_eq!(first_failure(GET, &reset.await).await, FailureKind::Reset);

    let protocol = answering("SMTP ready, or so\r\n\r\n").await;
    assert_eq!(first_failure(GET, &protocol).await, FailureKind::Protocol);

    let status = answering("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(first_failure(GET, &status).await, FailureKind::Status);

    // Its body is none, but it is the status that was not expected.
    let broken = "HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\nbroken\r\n";
    let status = answering(broken).await;
    assert_eq!(first_failure(GET, &status).await, FailureKind::Status);

    let bare_503 = answering("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(first_failure(GET, &bare_503).await, FailureKind::Status);

    let hangs = server(|_, mut tcp| async move {
        request(&mut tcp).await;
        std::future::pending::<()>().await;
    });
    let limited = "timeout = '100ms'\nsteps = [{ name = 'get', get = '/' }]";
    assert_eq!(
        first_failure(limited, &hangs.await).await,
        FailureKind::Timeout
    );

    let no_name = "http://does-not-exist.invalid:81";
    assert_eq!(first_failure(GET, no_name).await, FailureKind::Dns);

    let not_a_stream = "steps = [{ name = 'open', open = '/' }]";
    let plain = answering(OK).await;
    assert_eq!(
        first_failure(not_a_stream, &plain).await,
        FailureKind::Protocol
    );

    let no_tls = server(|_, mut tcp| async move {
        let _ = tcp.write_all(OK.as_bytes()).await;
    })
    .await
    .replace("http://", "https://");
    assert_eq!(first_failure(GET, &no_tls).await, FailureKind::Tls);

    let no_token = "steps = [{ name = 'get', get = '/', extract = { token = '/token' } }]";
    assert_eq!(first_failure(no_token, &plain).await, FailureKind::Protocol);
}

/// A server of one event stream per connection, written in the given pieces, then held open or
/// ended.
async fn streaming(pieces: &'static [&'static str], then_ends: bool) -> String {
    server(move |_, mut tcp| async move {
        if request(&mut tcp).await.is_none() {
            return;
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: \
            chunked\r\n\r\n";
        tcp.write_all(head.as_bytes()).await.unwrap();
        for piece in pieces {
            let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
            // One byte at a time: chunks and events are cut everywhere.
            for byte in chunk.as_bytes() {
                if tcp.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        }
        if !then_ends {
            std::future::pending::<()>().await;
        }
    })
    .await
}

const WAIT: &str = "
    timeout = '5s'
    steps = [
        { name = 'open', open = '/' },
        { name = 'answer', wait = { event = 'answer', match = { '/id' = '7' }, expect = { '/ok' = 'true' } } },
        { think = '20ms' },
    ]";

#[tokio::test]
async fn events_are_found_in_a_stream_cut_anywhere() {
    let base = streaming(
        &[
            "event: ready\r\n\r\n: hello\n\nevent: answer\nda",
            "ta: not json\n\nevent: answer\ndata: {\"id\": 6}\n\n",
            "event: answer\ndata: {\"id\": \"7\",\ndata: \"ok\": true}\n\n",
        ],
        false,
    )
    .await;
    let scenario = compile(WAIT, &base);
    let seen = run(&scenario, 2, |s| s.steps[2].completed() >= 4).await;
    assert!(seen.steps[2].completed() >= 4, "cycles");
    assert_eq!(seen.steps[1].failed.of_target(), 0);
}

#[tokio::test]
async fn events_wait_for_the_vu_with_their_time_of_arrival() {
    let base = streaming(&["event: b\ndata: 2\n\nevent: a\ndata: 1\n\n"], false).await;
    let toml = "
        timeout = '5s'
        steps = [
            { name = 'open', open = '/' },
            { think = '400ms' },
            { name = 'a', wait = { event = 'a', match = { '' = '1' }, since = 'open' } },
            { name = 'b', wait = { event = 'b', match = { '' = '2' } } },
        ]";
    let scenario = compile(toml, &base);
    let seen = run(&scenario, 2, |s| s.steps[3].completed() >= 4).await;
    assert!(seen.steps[3].completed() >= 4, "either order will do");
    let (a, b) = (&seen.steps[1].latency, &seen.steps[2].latency);
    assert!(
        a.quantile_s(0.5).unwrap() < 0.3,
        "they came while the VU was thinking"
    );
    assert!(b.quantile_s(0.5).unwrap() < 0.1, "it was there already");
}

#[tokio::test]
async fn a_wrong_event_and_an_ended_stream_are_failures_of_the_wait() {
    let wrong = streaming(
        &["event: answer\ndata: {\"id\": 7, \"ok\": false}\n\n"],
        false,
    )
    .await;
    assert_eq!(first_failure(WAIT, &wrong).await, FailureKind::WrongEvent);
    let ended = streaming(
        &["event: answer\ndata: {\"id\": 6, \"ok\": true}\n\n"],
        true,
    )
    .await;
    assert_eq!(first_failure(WAIT, &ended).await, FailureKind::Eof);
    let silent = streaming(&[": nothing\n"], false).await;
    let hasty = WAIT.replace("5s", "150ms");
    assert_eq!(first_failure(&hasty, &silent).await, FailureKind::Timeout);
}

#[tokio::test]
async fn a_canary_passes_fails_or_is_shed_and_is_in_no_window() {
    let busy = "HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";
    // Nobody waits for a canary's think time.
    let slow = "steps = [{ name = 'get', get = '/' }, { think = '1h' }]";
    for (base, passes, shed) in [
        (answering(OK).await, true, false),
        (answering(busy).await, false, true),
        (format!("http://{}", nobody().await), false, false),
    ] {
        let mut engine = engine(&compile(slow, &base));
        let limit = Duration::from_secs(30);
        let canary = tokio::time::timeout(limit, engine.canary()).await;
        match canary.expect("no think time").unwrap() {
            Canary::Passed(_) => assert!(passes, "{base}"),
            Canary::Shed => assert!(shed, "{base}"),
            Canary::Failed(failure) => {
                assert!(!passes && !shed, "{base}");
                assert_eq!(failure.kind, FailureKind::ConnectRefused);
                assert!(
                    failure.sentence().contains("Connection refused"),
                    "{failure:?}"
                );
            }
        }
        for _ in 0..3 {
            let window = engine.next_window().await.unwrap();
            for step in &window.steps {
                let counted = step.completed() + step.shed + step.failed.of_target();
                assert_eq!(counted, 0, "{base}");
            }
        }
        engine.stop().await;
    }
}

#[tokio::test]
async fn engine_time_goes_on_while_a_canary_hangs() {
    let base = server(|_, tcp| async move {
        tokio::time::sleep(Duration::from_secs(60)).await;
        drop(tcp);
    })
    .await;
    let mut engine = engine(&compile(
        "timeout = '2s'\nsteps = [{ name = 'get', get = '/' }]",
        &base,
    ));
    let before = engine.next_window().await.unwrap();
    assert_eq!(
        engine.canary().await.unwrap().failed_with(),
        Some(FailureKind::Timeout)
    );
    let after = engine.next_window().await.unwrap();
    // A deadline that is counted in windows sees the two seconds.
    let passed = (after.start + after.span).saturating_sub(before.start + before.span);
    assert!(passed > Duration::from_secs(1), "{passed:?}");
    engine.stop().await;
}

#[tokio::test]
async fn a_refused_connection_does_not_spin() {
    let base = format!("http://{}", nobody().await);
    let scenario = compile(GET, &base);
    let mut windows = 0;
    let seen = run(&scenario, 10, |_| {
        windows += 1;
        windows > 15
    })
    .await;
    let attempts = seen.failed(0, FailureKind::ConnectRefused);
    assert!(
        (10..=40).contains(&attempts),
        "{attempts} attempts of 10 VUs in 1.5 s"
    );
}

#[tokio::test]
async fn a_shed_is_no_failure_and_is_waited_out() {
    let base =
        answering("HTTP/1.1 429 Slow\r\nretry-after: 60\r\ncontent-length: 4\r\n\r\nfull").await;
    let scenario = compile(GET, &base);
    let mut windows = 0;
    let seen = run(&scenario, 5, |_| {
        windows += 1;
        windows > 10
    })
    .await;
    assert_eq!(seen.steps[0].shed, 5, "once each, then they wait");
    assert_eq!(seen.steps[1].shed, 5, "and so do the cycles");
    assert_eq!(seen.steps[0].failed.of_target(), 0);
    assert_eq!(seen.steps[0].completed(), 0);
    assert_eq!(
        seen.last.steps[1].in_flight.count(),
        0,
        "a waiting VU is not in a cycle"
    );
}

#[tokio::test]
async fn connections_are_kept_or_closed_as_the_profile_says() {
    let count = Arc::new(AtomicUsize::new(0));
    for (kept, toml) in [
        (true, GET.to_owned()),
        (false, format!("connections = 'per-cycle'\n{GET}")),
    ] {
        count.store(0, Ordering::Relaxed);
        let counter = Arc::clone(&count);
        let base = server(move |_, mut tcp| {
            counter.fetch_add(1, Ordering::Relaxed);
            async move {
                while request(&mut tcp).await.is_some() {
                    tcp.write_all(OK.as_bytes()).await.ok();
                }
            }
        })
        .await;
        let scenario = compile(&toml, &base);
        let seen = run(&scenario, 3, |s| s.steps[1].completed() >= 60).await;
        let connections = u64::try_from(count.load(Ordering::Relaxed)).unwrap();
        if kept {
            assert_eq!(connections, 3);
        } else {
            assert!(connections >= seen.steps[1].completed());
        }
        assert_eq!(seen.steps[1].failed.of_target(), 0);
    }
}

#[tokio::test]
async fn vus_come_from_the_local_addresses_in_turn() {
    let seen: Arc<Mutex<BTreeMap<IpAddr, usize>>> = Arc::default();
    let book = Arc::clone(&seen);
    let base = server(move |_, mut tcp| {
        let from = tcp.peer_addr().unwrap().ip();
        *book.lock().unwrap().entry(from).or_default() += 1;
        async move {
            while request(&mut tcp).await.is_some() {
                tcp.write_all(OK.as_bytes()).await.ok();
            }
        }
    })
    .await;
    let sources = ["127.0.0.2", "127.0.0.3"].map(|a| a.parse().unwrap());
    let mut engine = NativeEngine::start(NativeSpec {
        sources: sources.to_vec(),
        ..spec(&compile(GET, &base))
    })
    .unwrap();
    engine.set_level(Level(6)).await.unwrap();
    let all = watch(&mut engine, |s| s.last.at_level && s.last.vus == 6).await;
    engine.stop().await;
    assert_eq!(all.steps[1].failed.of_target(), 0);
    let counts: Vec<_> = seen.lock().unwrap().clone().into_iter().collect();
    assert_eq!(counts, sources.map(|from| (from, 3)), "3 of 6 VUs each");
}

#[tokio::test]
async fn a_name_without_an_address_of_the_sources_kind_is_our_own_shortage() {
    let base = answering(OK).await.replace("127.0.0.1", "localhost");
    let mut engine = NativeEngine::start(NativeSpec {
        sources: vec!["2001:db8::1".parse().unwrap()],
        ..spec(&compile(GET, &base))
    })
    .unwrap();
    engine.set_level(Level(1)).await.unwrap();
    let seen = watch(&mut engine, |s| s.steps[1].failed.of_generator() > 0).await;
    engine.stop().await;
    assert!(seen.failed(1, FailureKind::NoPorts) > 0);
    assert_eq!(seen.steps[1].failed.of_target(), 0, "never a breach");
}

#[tokio::test]
async fn a_connection_closed_while_idle_is_no_failure() {
    // The server ends each connection after one answer without saying so: its end crosses the VU's
    // next request.
    let base = server(|_, mut tcp| async move {
        request(&mut tcp).await;
        tcp.write_all(OK.as_bytes()).await.unwrap();
    })
    .await;
    let scenario = compile(GET, &base);
    // An end that is read late, as on a machine that is full, may be that of a server that had the
    // request.
    let mut failed = Vec::new();
    while failed.len() < 4 {
        let seen = run(&scenario, 2, |s| s.steps[0].completed() >= 50).await;
        assert!(seen.steps[0].completed() >= 50);
        match seen.steps[0].failed.of_target() {
            0 => return,
            some => failed.push(some),
        }
    }
    panic!("each time some failed: {failed:?}");
}

#[tokio::test]
async fn a_target_that_drops_what_it_has_taken_fails_and_is_not_asked_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    // Every second request of a connection is taken, worked on for a while, and dropped with its
    // connection.
    let base = server(move |_, mut tcp| {
        let counter = Arc::clone(&counter);
        async move {
            request(&mut tcp).await;
            counter.fetch_add(1, Ordering::Relaxed);
            tcp.write_all(OK.as_bytes()).await.unwrap();
            request(&mut tcp).await;
            counter.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    })
    .await;
    let scenario = compile(
        "steps = [{ name = 'one', get = '/' }, { name = 'two', get = '/' }]",
        &base,
    );
    let seen = run(&scenario, 1, |s| s.steps[1].failed.of_target() >= 3).await;
    assert_eq!(seen.steps[1].completed(), 0);
    let failed = seen.steps[1].failed.of_target();
    let told = seen.steps[0].completed() + failed;
    // One more may be on its way when the run ends.
    let asked = asked.load(Ordering::Relaxed) as u64;
    assert!(
        (told..=told + 1).contains(&asked),
        "{asked} asked, {told} told"
    );
}

#[tokio::test]
async fn a_request_on_a_connection_that_just_ended_is_sent_again_once() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    // The first connection gives one answer and takes one more request; no other gives any.
    let base = server(move |number, mut tcp| {
        counter.fetch_add(1, Ordering::Relaxed);
        async move {
            request(&mut tcp).await;
            if number == 0 {
                tcp.write_all(OK.as_bytes()).await.unwrap();
                request(&mut tcp).await;
            }
        }
    })
    .await;
    let mut engine = engine(&compile(
        "steps = [{ name = 'one', get = '/' }, { name = 'two', get = '/' }]",
        &base,
    ));
    let went = engine.canary().await.unwrap();
    engine.stop().await;
    assert_eq!(went.failed_with(), Some(FailureKind::Eof));
    assert_eq!(connections.load(Ordering::Relaxed), 2, "once, not again");
}

#[tokio::test]
async fn a_connection_that_is_to_close_is_not_used_again() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    let base = server(move |_, mut tcp| {
        counter.fetch_add(1, Ordering::Relaxed);
        async move {
            // It stays open: only the header says that it is over.
            while request(&mut tcp).await.is_some() {
                let answer = "HTTP/1.1 204 Empty\r\nconnection: close\r\n\r\n";
                tcp.write_all(answer.as_bytes()).await.ok();
            }
        }
    })
    .await;
    let seen = run(&compile(GET, &base), 1, |s| s.steps[0].completed() >= 5).await;
    let connections = u64::try_from(connections.load(Ordering::Relaxed)).unwrap();
    assert!(connections >= seen.steps[0].completed(), "{connections}");
    assert_eq!(seen.steps[0].failed.of_target(), 0);
}

#[tokio::test]
async fn an_answer_in_single_bytes_leaves_its_connection_in_step() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    let base = server(move |_, mut tcp| {
        counter.fetch_add(1, Ordering::Relaxed);
        async move {
            tcp.set_nodelay(true).unwrap();
            while request(&mut tcp).await.is_some() {
                let answer =
                    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
                for byte in answer.bytes() {
                    tcp.write_all(&[byte]).await.ok();
                    tokio::task::yield_now().await;
                }
            }
        }
    })
    .await;
    let seen = run(&compile(GET, &base), 2, |s| s.steps[0].completed() >= 20).await;
    assert!(seen.steps[0].completed() >= 20);
    assert_eq!(seen.steps[0].failed.of_target(), 0);
    assert_eq!(connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_refusal_that_comes_before_the_whole_request_is_read_as_one() {
    // Far more than the buffers of both ends hold.
    let body = "x".repeat(16 << 20);
    let toml = format!("steps = [{{ name = 'put', put = '/', body = '{body}' }}]");
    let base = server(|_, mut tcp| async move {
        let mut some = [0; 1000];
        tcp.read_exact(&mut some).await.unwrap();
        let refusal = "HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        tcp.write_all(refusal.as_bytes()).await.unwrap();
        // Whoever does not read goes on writing for ever.
        tokio::time::sleep(Duration::from_secs(20)).await;
    })
    .await;
    assert_eq!(first_failure(&toml, &base).await, FailureKind::Status);
}

#[tokio::test]
async fn a_large_answer_is_read_and_dropped() {
    let base = server(|_, mut tcp| async move {
        let piece = vec![b'x'; 1 << 20];
        while request(&mut tcp).await.is_some() {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", 8 << 20);
            tcp.write_all(head.as_bytes()).await.ok();
            for _ in 0..8 {
                tcp.write_all(&piece).await.ok();
            }
        }
    })
    .await;
    let seen = run(&compile(GET, &base), 1, |s| s.steps[0].completed() >= 3).await;
    assert!(seen.steps[0].completed() >= 3);
    assert_eq!(seen.steps[0].failed.of_target(), 0);
}

#[tokio::test]
async fn think_time_is_in_no_latency() {
    let base = answering(OK).await;
    let toml = "steps = [
        { name = 'a', get = '/' }, { think = '300ms' }, { name = 'b', get = '/' }, { think = '200ms' } ]";
    let scenario = compile(toml, &base);
    assert!((scenario.mean_think_s() - 0.5).abs() < 1e-9);
    let seen = run(&scenario, 4, |s| s.steps[2].completed() >= 8).await;
    assert!(seen.steps[2].completed() >= 8);
    for step in &seen.steps {
        let median = step.latency.quantile_s(0.5).unwrap();
        assert!(median < 0.15, "{median}");
    }
    let ages = &seen.last.steps[2].in_flight;
    assert!(
        ages.max_s().is_none_or(|age| age < 0.25),
        "the cycle's clock stands still while thinking"
    );
    assert!(seen.last.generator.lag_p99_s.is_some());
}

#[tokio::test]
async fn steps_in_flight_grow_old_on_a_server_that_hangs() {
    let base = server(|_, tcp| async move {
        std::future::pending::<()>().await;
        drop(tcp);
    })
    .await;
    let scenario = compile(GET, &base);
    let old = |w: &Window| {
        w.steps[0]
            .in_flight
            .quantile_s(0.0)
            .is_some_and(|age| age > 0.4)
    };
    let seen = run(&scenario, 6, |s| s.last.at_level && old(&s.last)).await;
    assert_eq!(seen.last.vus, 6);
    for step in &seen.last.steps {
        assert_eq!(step.in_flight.count(), 6);
        assert_eq!(step.completed(), 0);
    }
    assert!(old(&seen.last));
}

#[tokio::test]
async fn vus_of_a_level_that_climbs_begin_at_once_and_are_not_cut_off_while_they_hang() {
    let base = server(|_, tcp| async move {
        std::future::pending::<()>().await;
        drop(tcp);
    })
    .await;
    // With a stagger they would begin within half a minute.
    let toml = "steps = [{ name = 'get', get = '/', timeout = '50s' }, { think = '30s' }]";
    let scenario = compile(toml, &base);
    let mut engine = NativeEngine::start(spec_of(&scenario, LoadModel::climbing(1000.0))).unwrap();
    engine.set_level(Level(6)).await.unwrap();
    let hang = |w: &Window| w.steps[0].in_flight.count() == 6;
    let begun = watch(&mut engine, |s| hang(&s.last)).await;
    assert_eq!(begun.last.vus, 6);
    engine.set_level(Level(0)).await.unwrap();
    // Those of a search are cut off after two seconds.
    let old = |w: &Window| {
        let youngest = w.steps[0].in_flight.quantile_s(0.0);
        youngest.is_some_and(|age| age > 3.0)
    };
    let seen = watch(&mut engine, |s| s.last.vus == 0 || old(&s.last)).await;
    engine.stop().await;
    assert!(hang(&seen.last), "{:?}", seen.last.vus);
}

#[tokio::test]
async fn levels_are_paced_and_leave_nothing_behind() {
    let open = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&open);
    let base = server(move |_, mut tcp| {
        counter.fetch_add(1, Ordering::Relaxed);
        let counter = Arc::clone(&counter);
        async move {
            while request(&mut tcp).await.is_some() {
                tcp.write_all(OK.as_bytes()).await.ok();
            }
            counter.fetch_sub(1, Ordering::Relaxed);
        }
    })
    .await;
    let scenario = compile(
        "steps = [{ name = 'get', get = '/' }, { think = '50ms' }]",
        &base,
    );
    let mut engine = NativeEngine::start(spec_of(&scenario, LoadModel::closed(50.0))).unwrap();
    assert!(
        engine.next_window().await.unwrap().at_level,
        "level 0 from the start"
    );
    let begun = Instant::now();
    engine.set_level(Level(30)).await.unwrap();
    let seen = watch(&mut engine, |s| {
        s.last.level == Level(30) && s.last.at_level
    })
    .await;
    assert!(
        begun.elapsed() > Duration::from_millis(550),
        "29 further VUs at 50 a second"
    );
    assert_eq!(seen.last.vus, 30);
    assert_eq!(open.load(Ordering::Relaxed), 30);
    // Down, and up again before that is done.
    engine.set_level(Level(0)).await.unwrap();
    engine.next_window().await.unwrap();
    engine.set_level(Level(20)).await.unwrap();
    let seen = watch(&mut engine, |s| {
        s.last.level == Level(20) && s.last.at_level
    })
    .await;
    assert_eq!(seen.last.vus, 20);
    engine.set_level(Level::ZERO).await.unwrap();
    let seen = watch(&mut engine, |s| {
        s.last.level == Level::ZERO && s.last.at_level && open.load(Ordering::Relaxed) == 0
    })
    .await;
    assert_eq!(seen.last.vus, 0);
    assert_eq!(open.load(Ordering::Relaxed), 0, "connections closed");
    assert!(seen.last.steps.iter().all(|s| s.in_flight.is_empty()));
    engine.stop().await;
}

#[tokio::test]
async fn a_leaving_vu_within_a_step_is_cancelled_after_its_grace_and_counts_as_nothing() {
    let base = server(|_, tcp| async move {
        std::future::pending::<()>().await;
        drop(tcp);
    })
    .await;
    let mut engine = engine(&compile(GET, &base));
    engine.set_level(Level(3)).await.unwrap();
    watch(&mut engine, |s| s.last.steps[0].in_flight.count() == 3).await;
    engine.set_level(Level::ZERO).await.unwrap();
    let seen = watch(&mut engine, |s| s.last.vus == 0 && s.last.at_level).await;
    assert_eq!(seen.last.vus, 0);
    for step in &seen.steps {
        assert_eq!(step.completed() + step.failed.of_target() + step.shed, 0);
    }
    engine.stop().await;
}

#[tokio::test]
async fn values_make_their_way_through_a_real_server() {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let ears = Arc::clone(&heard);
    let base = server(move |_, mut tcp| {
        let ears = Arc::clone(&ears);
        async move {
            while let Some(text) = request(&mut tcp).await {
                let answer = if text.starts_with("POST /login") {
                    let body = r#"{"user":{"token":"a\"b/c"},"n":42}"#;
                    format!(
                        "HTTP/1.1 201 Made\r\nx-session: s9\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    )
                } else {
                    OK.to_owned()
                };
                ears.lock().unwrap().push(text);
                tcp.write_all(answer.as_bytes()).await.ok();
            }
        }
    })
    .await;
    let toml = r#"
        headers = { authorization = "Bearer fixed" }
        vars = { who = "{{ people.name }}-{{ vu }}" }
        feeders = { people = { file = "people.csv" } }
        steps = [
            { name = "login", post = "/login", json = { name = "{{ who }}", deep = [{ at = "{{ people.city }}" }] }, expect = [201],
              extract = { token = "/user/token", n = "/n", session = "header:x-session" } },
            { name = "use", get = "/use/{{ token }}?n={{ n }}", headers = { x-session = "{{ session }}-{{ cycle }}" } },
            { name = "text", put = "/text", body = "token={{ token }}" },
            { think = "10s" },
        ]"#;
    let people = Feeder::parse("name,city\n\"Ann \"\"A\"\"\",Oslo\nBob,Rome\n".as_bytes()).unwrap();
    let feeders = BTreeMap::from([("people".to_owned(), Arc::new(people))]);
    let scenario = compile_fed(toml, &format!("{base}/"), &feeders);
    // The stagger would be up to ten seconds: the engine's VU is run at once here by a scenario of
    // the same steps with a shorter pause.
    let toml = toml.replace("10s", "200ms");
    assert_eq!(scenario.connections_per_vu(), 1);
    let scenario = compile_fed(&toml, &format!("{base}/"), &feeders);
    let seen = run(&scenario, 1, |s| s.steps[3].completed() >= 2).await;
    assert_eq!(seen.steps[3].failed.of_target(), 0, "{:?}", seen.steps);
    let heard = heard.lock().unwrap();
    assert!(
        heard[0].ends_with(r#"{"deep":[{"at":"Oslo"}],"name":"Ann \"A\"-0"}"#),
        "{}",
        heard[0]
    );
    assert!(heard[0].contains("authorization: Bearer fixed\r\n"));
    assert!(heard[0].contains("content-type: application/json\r\n"));
    assert!(
        heard[1].starts_with("GET /use/a%22b%2Fc?n=42 HTTP/1.1\r\n"),
        "{}",
        heard[1]
    );
    assert!(heard[1].contains("x-session: s9-0\r\n"));
    assert!(heard[2].ends_with("token=a\"b/c"));
    assert!(heard[3].contains("Bob-0"), "the next row in the next cycle");
    assert!(heard[4].contains("x-session: s9-1\r\n"));
}

#[tokio::test]
async fn the_demo_answers_every_question_on_its_users_stream() {
    let base = demo_target(DemoSpec {
        answers_per_s: 400.0,
        ..DemoSpec::default()
    })
    .await;
    let profile: toml::Table = include_str!("../../../profiles/demo.toml").parse().unwrap();
    let toml = toml::to_string(&profile["scenario"])
        .unwrap()
        .replace("1s", "200ms");
    let scenario = compile(&toml, &base);
    assert_eq!(scenario.connections_per_vu(), 2);
    let names: Vec<&str> = scenario.table().names().collect();
    assert_eq!(names, ["open", "ask", "answer", "cycle"]);
    let seen = run(&scenario, 20, |s| s.steps[3].completed() >= 100).await;
    assert!(seen.steps[3].completed() >= 100);
    assert_eq!(
        seen.steps[3].failed.of_target(),
        0,
        "{:?}",
        seen.steps[3].failed
    );
    let (ask, answer) = (&seen.steps[1].latency, &seen.steps[2].latency);
    assert!(
        answer.mean_s() > ask.mean_s(),
        "the answer's clock begins with the question"
    );
}

#[tokio::test]
async fn the_demo_sheds_and_is_killed_at_its_limits() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let spec = DemoSpec {
        answers_per_s: 2.0,
        workers: 1,
        queue_limit: Some(1),
        memory_per_stream: 1,
        memory_limit: Some(4),
        memory_per_question: 0,
        ..DemoSpec::default()
    };
    let server = tokio::spawn(demo::serve(listener, spec, std::future::pending()));
    let work = compile("steps = [{ name = 'work', get = '/work' }]", &base);
    let seen = run(&work, 6, |s| {
        s.steps[0].shed >= 3 && s.steps[0].completed() >= 1
    })
    .await;
    assert!(seen.steps[0].shed >= 3 && seen.steps[0].completed() >= 1);
    assert_eq!(seen.steps[0].failed.of_target(), 0);
    let streams = compile(
        "steps = [{ name = 'open', open = '/sse?user=u' }, { name = 'w', wait = { event = 'never' \
         } }]",
        &base,
    );
    let seen = run(&streams, 6, |s| s.steps[2].failed.of_target() >= 4).await;
    assert!(seen.steps[2].failed.of_target() >= 4);
    let end = tokio::time::timeout(Duration::from_secs(5), server)
        .await
        .unwrap()
        .unwrap();
    assert!(
        matches!(end, Err(demo::DemoError::OutOfMemory { used: 5, limit: 4 })),
        "{end:?}"
    );
}

/// An engine whose threads are played by the test.
fn played(threads: usize, zero: Instant) -> (NativeEngine, Vec<UnboundedSender<Report>>) {
    let mut shards = Vec::new();
    let mut senders = Vec::new();
    for _ in 0..threads {
        let (commands, _) = unbounded_channel();
        let (sender, reports) = unbounded_channel();
        senders.push(sender);
        shards.push(ShardHandle {
            commands,
            reports,
            pending: VecDeque::new(),
            thread: std::thread::spawn(|| {}),
        });
    }
    let engine = NativeEngine {
        shards,
        info: EngineInfo::new(NAME, StepTable::of_cycle([], None)),
        steps: 1,
        zero,
        next: 1,
        last_end: zero,
        level: Level::ZERO,
        orders: 0,
        own: OwnProcess::new(),
        addresses: Vec::new(),
    };
    (engine, senders)
}

#[tokio::test]
async fn a_thread_that_was_held_up_makes_one_long_window_of_all() {
    let zero = Instant::now();
    let (mut engine, senders) = played(2, zero);
    let part = |index: u64, late_ms: u64, shed: u64| ShardWindow {
        index,
        end: zero + Duration::from_secs(index) + Duration::from_millis(late_ms),
        level: 0,
        orders: 0,
        at_level: true,
        vus: 1,
        steps: vec![StepWindow {
            shed,
            in_flight: Histogram::of([Duration::from_secs(1)]),
            ..StepWindow::default()
        }],
        watch: ThreadWindow::default(),
        addresses: Vec::new(),
    };
    for index in 1..=4 {
        assert!(senders[0].send(Ok(part(index, 0, index))).is_ok());
    }
    for late in [part(1, 10, 100), part(3, 700, 200), part(4, 0, 300)] {
        assert!(senders[1].send(Ok(late)).is_ok());
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        let w = engine.next_window().await.unwrap();
        seen.push((
            w.start.as_millis(),
            w.span.as_millis(),
            w.steps[0].shed,
            w.vus,
        ));
        assert_eq!(
            w.steps[0].in_flight.count(),
            2,
            "a state, not a sum over the slices"
        );
    }
    assert_eq!(
        seen,
        [(0, 1010, 101, 2), (1010, 2690, 205, 2), (3700, 300, 304, 2)]
    );
    drop(senders);
    assert!(
        engine.next_window().await.is_err(),
        "the threads have ended"
    );
}
