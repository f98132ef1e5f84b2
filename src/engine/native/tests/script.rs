//! Users of a script: VUs that play what a script would do.

use breakpoint_script::exchange::{
    BodyUse, End, HttpRequest, Message, MetricKind, RequestName, Sample, SocketRequest, Thrown,
    ThrownKind,
};

use super::super::script::fake::{Play, Plays, get};
use super::super::script::{ScriptEngine, ScriptKind, ScriptPopulation, ScriptSpec};
use super::*;
use crate::k6::MetricRow;

fn native() -> NativeSpec {
    NativeSpec {
        populations: Vec::new(),
        window: Duration::from_millis(100),
        threads: 2,
        sources: Vec::new(),
        allowed: Allowed::default(),
        network: Network::default(),
        excerpts: true,
    }
}

fn users(kinds: Vec<ScriptKind>) -> ScriptPopulation {
    ScriptPopulation {
        name: String::new(),
        kinds,
        load: LoadModel::closed(1000.0),
        fixed: None,
        names: Vec::new(),
        metrics: vec![("checks".to_owned(), MetricRow::PassIsOne)],
    }
}

fn script_spec(plays: &Plays) -> ScriptSpec {
    ScriptSpec {
        vus: Arc::new(plays.clone()),
        shown: "s.js".to_owned(),
        populations: vec![users(vec![ScriptKind::of_function("default", 1)])],
        setup: None,
        has_teardown: false,
        closes_each_cycle: false,
        sheds_fail: false,
        hidden: Vec::new(),
        seed: 7,
        native: native(),
    }
}

async fn start(spec: ScriptSpec) -> Result<ScriptEngine, EngineError> {
    ScriptEngine::start(spec, std::future::pending()).await
}

fn named(name: &str, request: HttpRequest) -> HttpRequest {
    HttpRequest {
        name: RequestName::Given(name.into()),
        ..request
    }
}

fn check(passed: bool) -> Play {
    Play::Measure(Sample {
        metric: "checks".into(),
        kind: MetricKind::Rate,
        is_time: false,
        value: f64::from(u8::from(passed)),
        tags: Arc::new(vec![("check".to_owned(), "it is there".to_owned())]),
    })
}

/// What all VUs have heard so far.
fn heard(plays: &Plays) -> Vec<String> {
    let heard = plays.heard.lock().unwrap();
    heard.iter().map(|(_, said)| said.clone()).collect()
}

/// Windows of a script at a level until `enough`.
async fn seen_at(
    engine: &mut ScriptEngine,
    vus: u32,
    mut enough: impl FnMut(&[StepWindow], &Window) -> bool,
) -> (Vec<StepWindow>, Window) {
    engine.set_level(Level(vus)).await.unwrap();
    let mut steps = vec![StepWindow::default(); engine.describe().steps.rows().len()];
    loop {
        let window = engine.next_window().await.unwrap();
        for (total, step) in steps.iter_mut().zip(&window.steps) {
            total.merge_shard(&StepWindow {
                in_flight: Histogram::default(),
                ..step.clone()
            });
        }
        if enough(&steps, &window) || window.start > Duration::from_secs(10) {
            return (steps, window);
        }
    }
}

fn row(engine: &ScriptEngine, name: &str) -> usize {
    let steps = engine.describe().steps;
    steps
        .index(Some(name))
        .unwrap_or_else(|| panic!("no row {name}"))
}

#[tokio::test]
async fn requests_are_rows_by_name_and_iterations_and_checks_have_theirs() {
    let base = answering(OK).await;
    let plays = Plays::new(vec![
        Play::Ask(vec![get(&format!("{base}/users/17?x=1"))]),
        check(true),
        Play::Sleep(Duration::from_millis(30)),
        Play::Ask(vec![named("buy", get(&format!("{base}/b")))]),
        check(false),
    ]);
    let mut engine = start(script_spec(&plays)).await.unwrap();
    let info = engine.describe();
    let names: Vec<&str> = info.steps.names().collect();
    assert_eq!(
        names,
        ["GET /users/#", "buy", "iteration", "checks", "requests"]
    );
    assert!((info.think_s - 0.015).abs() < 1e-6, "{}", info.think_s);
    let (steps, last) = seen_at(&mut engine, 4, |s, w| w.at_level && s[1].completed() > 20).await;
    assert_eq!(last.vus, 4);
    assert!(steps[0].completed() >= steps[1].completed());
    assert_eq!(
        steps[4].completed(),
        steps[0].completed() + steps[1].completed()
    );
    // It slept, but that is no part of its latency.
    assert!(steps[2].latency.quantile_s(0.0).unwrap() < 0.03);
    assert_eq!(
        steps[3].failed.get(FailureKind::Check),
        steps[1].completed()
    );
    assert!(heard(&plays).contains(&"200 ok".to_owned()));
    Box::new(engine).stop().await;
}

#[tokio::test]
async fn connections_are_kept_from_iteration_to_iteration_unless_the_script_says_no() {
    for (keeps, closes) in [(true, false), (false, false), (true, true)] {
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let base = server(move |_, mut tcp| {
            counter.fetch_add(1, Ordering::Relaxed);
            async move {
                while request(&mut tcp).await.is_some() {
                    tcp.write_all(OK.as_bytes()).await.unwrap();
                }
            }
        })
        .await;
        let one = HttpRequest {
            keeps_connection: keeps,
            ..get(&base)
        };
        let plays = Plays::new(vec![Play::Ask(vec![one])]);
        let spec = ScriptSpec {
            closes_each_cycle: closes,
            ..script_spec(&plays)
        };
        let mut engine = start(spec).await.unwrap();
        let before = connections.load(Ordering::Relaxed);
        let (steps, _) = seen_at(&mut engine, 2, |s, _| s[0].completed() > 50).await;
        let made = connections.load(Ordering::Relaxed) - before;
        if keeps && !closes {
            assert_eq!(made, 2, "one for each");
        } else {
            assert!(made as u64 >= steps[0].completed(), "{made}");
        }
        Box::new(engine).stop().await;
    }
}

#[tokio::test]
async fn several_requests_go_out_at_once_and_all_of_them_are_in_flight() {
    let base = server(|number, mut tcp| async move {
        request(&mut tcp).await;
        // Those of the look around are answered.
        if number < 9 {
            tcp.write_all(OK.as_bytes()).await.unwrap();
        }
        std::future::pending::<()>().await;
    })
    .await;
    let three = |_| HttpRequest {
        keeps_connection: false,
        ..get(&format!("{base}/x"))
    };
    let plays = Plays::new(vec![Play::Ask((0..3).map(three).collect())]);
    // A name is new in the first iteration alone.
    let mut engine = start(script_spec(&plays)).await.unwrap();
    let (all, x) = (row(&engine, "requests"), row(&engine, "GET /x"));
    let (_, last) = seen_at(&mut engine, 2, |_, w| w.steps[0].in_flight.count() >= 5).await;
    assert!(
        last.steps[x].in_flight.count() >= 5,
        "{}",
        last.steps[x].in_flight.count()
    );
    assert_eq!(
        last.steps[all].in_flight.count(),
        last.steps[x].in_flight.count()
    );
    Box::new(engine).stop().await;
}

#[tokio::test]
async fn failures_have_the_numbers_of_k6_and_sheds_are_none() {
    let base = server(|_, mut tcp| async move {
        while let Some(request) = request(&mut tcp).await {
            let answer = match request.split(' ').nth(1).unwrap() {
                "/missing" => "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\ngone",
                "/busy" => "HTTP/1.1 503 X\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
                "/hangs" => {
                    std::future::pending::<()>().await;
                    ""
                }
                "/ends" => return,
                _ => OK,
            };
            tcp.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let to = |path: &str| get(&format!("{base}{path}"));
    let hangs = HttpRequest {
        timeout: Duration::from_millis(100),
        ..to("/hangs")
    };
    let unread = HttpRequest {
        body_use: BodyUse::Discarded,
        ..to("/")
    };
    let all = [
        unread,
        to("/missing"),
        to("/busy"),
        hangs,
        to("/ends"),
        named("refused", get("http://127.0.0.1:1/")),
        get("no address"),
    ];
    let plays = Plays::new(all.map(|one| Play::Ask(vec![one])).to_vec());
    let mut engine = start(script_spec(&plays)).await.unwrap();
    plays.heard.lock().unwrap().clear();
    let refused = row(&engine, "refused");
    let (steps, _) = seen_at(&mut engine, 1, |s, _| s[refused].failed.of_target() > 0).await;
    let failed = |name: &str, kind| steps[row(&engine, name)].failed.get(kind);
    assert!(failed("GET /missing", FailureKind::Status) > 0);
    assert!(failed("GET /hangs", FailureKind::Timeout) > 0);
    assert!(failed("GET /ends", FailureKind::Eof) > 0);
    assert!(failed("refused", FailureKind::ConnectRefused) > 0);
    assert!(steps[row(&engine, "GET /busy")].shed > 0);
    assert!(steps[row(&engine, "iteration")].failed.of_target() == 0);
    let way = &steps[row(&engine, "GET /missing")].ways.most(1)[0];
    assert_eq!((way.status, way.message.as_str()), (Some(404), "gone"));
    assert!(
        way.request
            .as_ref()
            .unwrap()
            .starts_with("GET http://127.0.0.1")
    );
    let exchange = &steps[row(&engine, "GET /missing")].exchanges[0].text;
    assert!(exchange.contains("> GET /missing HTTP/1.1") && exchange.contains("< gone"));
    let heard = heard(&plays);
    for (at, beginning) in [
        "call default -",
        "200 -",
        "404 gone",
        "503 ",
        "1050 request timeout",
        "1000 EOF",
        "1212 dial: connection refused",
        "1020 invalid URL",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(heard[at].starts_with(beginning), "{:?}", heard[at]);
    }
    Box::new(engine).stop().await;
}

#[tokio::test]
async fn an_address_that_is_not_allowed_ends_the_load_and_is_never_sent() {
    let base = answering(OK).await;
    for stranger in ["http://192.0.2.1/a", "http://0.0.0.0:80/"] {
        let plays = Plays::new(vec![
            Play::Ask(vec![get(&base)]),
            Play::Ask(vec![get(stranger)]),
        ]);
        let Err(EngineError::NotAllowed(why)) = start(script_spec(&plays)).await else {
            panic!("it was sent");
        };
        assert!(
            why.contains("--allow-target") && why.contains("not sent"),
            "{why}"
        );
        assert!(heard(&plays).iter().any(|said| said.starts_with("1110 ")));
    }
}

#[tokio::test]
async fn an_iteration_that_throws_fails_with_its_message_and_abort_ends_the_load() {
    let base = answering(OK).await;
    let thrown = Thrown {
        message: "x is not a function".to_owned(),
        place: Some("s.js:3:7".to_owned()),
        stack: String::new(),
        kind: ThrownKind::Script,
    };
    let asked = Play::Ask(vec![get(&base)]);
    let throws = vec![asked.clone(), Play::End(End::Threw(thrown))];
    let Err(EngineError::Unfit(why)) = start(script_spec(&Plays::new(throws.clone()))).await else {
        panic!("all of them throw");
    };
    assert!(why.contains("x is not a function (s.js:3:7)"), "{why}");
    let mut plays = Plays::new(vec![asked.clone()]);
    plays.functions.push(("odd", throws));
    let spec = ScriptSpec {
        populations: vec![users(vec![
            ScriptKind::of_function("default", 1),
            ScriptKind::of_function("odd", 1),
        ])],
        ..script_spec(&plays)
    };
    let mut engine = start(spec).await.unwrap();
    let iteration = row(&engine, "iteration");
    let failed = |s: &[StepWindow]| s[iteration].failed.get(FailureKind::Protocol);
    let (steps, _) = seen_at(&mut engine, 2, |s, _| failed(s) > 0).await;
    let way = &steps[iteration].ways.most(1)[0];
    assert!(
        way.message.contains("x is not a function (s.js:3:7)"),
        "{}",
        way.message
    );
    assert!(engine.notes()[0].contains("threw"), "{:?}", engine.notes());
    Box::new(engine).stop().await;

    let aborts = vec![asked, Play::End(End::Aborted("enough".to_owned()))];
    let Err(EngineError::Aborted(why)) = start(script_spec(&Plays::new(aborts))).await else {
        panic!("it aborts");
    };
    assert!(why.contains("test.abort(): enough"), "{why}");
}

#[tokio::test]
async fn setup_runs_once_before_the_load_and_teardown_once_after_it() {
    let base = answering(OK).await;
    let mut plays = Plays::new(vec![Play::Ask(vec![get(&base)])]);
    let token = Some(r#"{"token":1}"#.to_owned());
    let setup = vec![
        Play::Ask(vec![named("login", get(&base))]),
        Play::End(End::Returned(token)),
    ];
    plays.functions.push(("setup", setup));
    plays.functions.push(("teardown", Vec::new()));
    let spec = ScriptSpec {
        setup: Some(Duration::from_secs(10)),
        has_teardown: true,
        ..script_spec(&plays)
    };
    let mut engine = start(spec).await.unwrap();
    assert!(!engine.describe().steps.names().any(|name| name == "login"));
    seen_at(&mut engine, 3, |s, _| s[0].completed() > 10).await;
    engine.halt().await.unwrap();
    Box::new(engine).stop().await;
    let heard = heard(&plays);
    assert_eq!(heard[0], "call setup -");
    let count = |text: &str| heard.iter().filter(|said| *said == text).count();
    assert_eq!(count("call setup -"), 1);
    assert_eq!(count(r#"call teardown {"token":1}"#), 1);
    assert_eq!(heard.last().unwrap(), r#"call teardown {"token":1}"#);
    assert_eq!(count("call default -"), 0);
}

#[tokio::test]
async fn those_whose_number_is_fixed_load_beside_those_who_are_searched() {
    let base = answering(OK).await;
    let pause = Play::Sleep(Duration::from_millis(5));
    let mut plays = Plays::new(vec![
        Play::Ask(vec![named("page", get(&base))]),
        pause.clone(),
    ]);
    let abuse = vec![Play::Ask(vec![named("abuse", get(&base))]), pause];
    plays.functions.push(("abuse", abuse));
    plays.functions.push((
        "setup",
        vec![Play::End(End::Returned(Some("1".to_owned())))],
    ));
    let beside = ScriptPopulation {
        name: "abusers".to_owned(),
        fixed: Some(Level(3)),
        ..users(vec![ScriptKind::of_function("abuse", 1)])
    };
    let spec = ScriptSpec {
        populations: vec![beside, users(vec![ScriptKind::of_function("default", 1)])],
        setup: Some(Duration::from_secs(10)),
        ..script_spec(&plays)
    };
    let mut engine = start(spec).await.unwrap();
    let names: Vec<String> = engine.describe().steps.names().map(str::to_owned).collect();
    assert_eq!(
        names,
        [
            "abusers.abuse",
            "abusers.iteration",
            "abusers.checks",
            "abusers",
            "page",
            "iteration",
            "checks",
            "requests"
        ]
    );
    let (steps, window) = seen_at(&mut engine, 2, |s, w| {
        w.at_level && s[0].completed() > 20 && s[4].completed() > 20
    })
    .await;
    assert_eq!(window.vus, 2, "the level is about those who are searched");
    assert_eq!(steps[0].completed(), steps[3].completed());
    assert_eq!(steps[4].completed(), steps[7].completed());
    Box::new(engine).stop().await;
    let heard = plays.heard.lock().unwrap();
    let count = |text: &str| heard.iter().filter(|(_, said)| said == text).count();
    assert_eq!(count("call setup -"), 1, "for all of them");
    let numbers = |text: &str| -> std::collections::BTreeSet<u32> {
        let of = heard.iter().filter(|(_, said)| said == text);
        of.map(|(number, _)| *number).collect()
    };
    assert_eq!(numbers("call abuse 1"), [1, 2, 3].into());
    assert_eq!(numbers("call default 1"), [4, 5].into());
}

#[tokio::test]
async fn who_leaves_between_iterations_comes_back_as_the_same() {
    let base = answering(OK).await;
    let pause = Play::Sleep(Duration::from_millis(5));
    let plays = Plays::new(vec![Play::Ask(vec![get(&base)]), pause]);
    let spec = script_spec(&plays);
    let mut engine = start(spec).await.unwrap();
    let before = *plays.made.lock().unwrap();
    for _ in 0..3 {
        seen_at(&mut engine, 4, |_, w| w.at_level && w.vus == 4).await;
        seen_at(&mut engine, 0, |_, w| w.at_level && w.vus == 0).await;
    }
    let made = *plays.made.lock().unwrap() - before;
    assert!((4..=12).contains(&made), "{made}");
    Box::new(engine).stop().await;
}

#[tokio::test]
async fn what_the_script_computes_is_not_the_targets_latency() {
    let base = answering(OK).await;
    let busy = Play::Busy(Duration::from_millis(20));
    let plays = Plays::new(vec![busy.clone(), Play::Ask(vec![get(&base)]), busy]);
    let spec = ScriptSpec {
        native: NativeSpec {
            threads: 1,
            ..native()
        },
        ..script_spec(&plays)
    };
    let mut engine = start(spec).await.unwrap();
    let (steps, _) = seen_at(&mut engine, 4, |s, _| s[0].completed() > 60).await;
    // Each answer is read after some 60 ms in which three others compute, and came at once.
    let median = steps[0].latency.quantile_s(0.5).unwrap();
    assert!(median < 0.01, "{median}");
    Box::new(engine).stop().await;
}

/// A WebSocket that says everything again, and answers pings.
async fn echo() -> String {
    server(|_, tcp| async move {
        let tcp = tcp.into_std().unwrap();
        tcp.set_nonblocking(false).unwrap();
        let serve = move || {
            let mut socket = tungstenite::accept(tcp).unwrap();
            while let Ok(message) = socket.read() {
                if message.is_text() || message.is_binary() {
                    socket.send(message).unwrap();
                }
            }
        };
        tokio::task::spawn_blocking(serve).await.unwrap();
    })
    .await
}

#[tokio::test]
async fn a_websocket_of_a_script_is_opened_spoken_on_and_closed() {
    let base = echo().await;
    let request = SocketRequest {
        url: format!("{}/chat/7", base.replace("http", "ws")),
        headers: Vec::new(),
        timeout: Duration::from_secs(10),
        name: RequestName::Address,
        tags: Arc::default(),
    };
    let bytes: Arc<[u8]> = [0xff, 0][..].into();
    let messages = vec![
        Message::Text("hello".to_owned()),
        Message::Binary(bytes),
        Message::Ping,
    ];
    let plays = Plays::new(vec![Play::Chat(request, messages)]);
    let mut engine = start(script_spec(&plays)).await.unwrap();
    let chat = row(&engine, "GET /chat/#");
    seen_at(&mut engine, 1, |s, _| s[chat].completed() > 0).await;
    Box::new(engine).stop().await;
    let heard = heard(&plays);
    let once = [
        "call default -",
        "open 101",
        "Came(Text(\"hello\"))",
        "Came(Binary([255, 0]))",
        "Came(Pong)",
        "Closed(1000, \"\")",
    ];
    let told: Vec<&str> = heard
        .iter()
        .map(String::as_str)
        .filter(|s| *s != "Sent")
        .collect();
    assert_eq!(told[..once.len()], once, "{heard:?}");
}

#[tokio::test]
async fn a_stream_of_a_script_hands_its_events_on_to_its_end() {
    let base = answering(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\
         content-length: 37\r\n\r\nevent: a\ndata: 1\n\ndata: two words\n\n\n\n",
    )
    .await;
    let plays = Plays::new(vec![Play::Listen(get(&format!("{base}/s")))]);
    let mut engine = start(script_spec(&plays)).await.unwrap();
    seen_at(&mut engine, 1, |s, _| s[0].completed() > 0).await;
    Box::new(engine).stop().await;
    let heard = heard(&plays);
    assert_eq!(heard[1], "200 -");
    assert!(heard[2].contains("name: \"a\", data: \"1\""), "{heard:?}");
    assert!(
        heard[3].contains("name: \"\", data: \"two words\""),
        "{heard:?}"
    );
    assert_eq!(heard[4], "Closed(0, \"\")");
}
