//! Streamed answers: their parts against the server's own clock, how they fail, and the cycles that
//! meet several limits.

use std::sync::Arc;

use super::*;

const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const END: &str = "0\r\n\r\n";
const CHAT: &str = "timeout = '3s'\nsteps = [
    { name = 'answer', post = '/chat', json = { stream = true }, stream = STREAM }, { think = '5ms' }]";
const UNTIL: &str = "{ until = '[DONE]', first = '/text' }";

fn chunk(data: &str) -> String {
    let event = format!("data: {data}\n\n");
    format!("{:x}\r\n{event}\r\n", event.len())
}

fn with(stream: &str) -> String {
    CHAT.replace("STREAM", stream)
}

/// What a server did by its own clock, seconds.
#[derive(Default)]
struct Served {
    first: Vec<f64>,
    gaps: Vec<f64>,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A server that answers with tokens in a pace, and notes when it really sent them.
async fn paced(first: Duration, gap: Duration, tokens: usize) -> (String, Arc<Mutex<Served>>) {
    let served = Arc::new(Mutex::new(Served::default()));
    let notes = Arc::clone(&served);
    let base = server(move |_, mut tcp| {
        let notes = Arc::clone(&notes);
        async move {
            while request(&mut tcp).await.is_some() {
                let asked = Instant::now();
                let mut own = Served::default();
                let role = HEAD.to_owned() + &chunk("{\"text\": \"\"}");
                let mut sent = tcp.write_all(role.as_bytes()).await;
                let mut last = asked;
                for token in 0..tokens {
                    tokio::time::sleep(if token == 0 { first } else { gap }).await;
                    let now = Instant::now();
                    let took = (now - last).as_secs_f64();
                    last = now;
                    if token == 0 {
                        own.first.push(took);
                    } else {
                        own.gaps.push(took);
                    }
                    let text = chunk(&format!("{{\"text\": \"t{token}\"}}"));
                    sent = sent.and(tcp.write_all(text.as_bytes()).await);
                }
                let end = chunk("[DONE]") + END;
                sent = sent.and(tcp.write_all(end.as_bytes()).await);
                if sent.is_err() {
                    return;
                }
                let mut all = notes.lock().unwrap();
                all.first.extend(own.first);
                all.gaps.extend(own.gaps);
            }
        }
    })
    .await;
    (base, served)
}

#[tokio::test]
async fn first_and_gaps_are_those_of_the_server() {
    let ms = Duration::from_millis;
    let (base, served) = paced(ms(60), ms(20), 6).await;
    let scenario = compile(&with(UNTIL), &base);
    let rows: Vec<&str> = scenario.table().names().collect();
    let wanted = [
        "answer",
        "answer.first",
        "answer.gap",
        "answer.per-event",
        "cycle",
    ];
    assert_eq!(rows, wanted);
    let seen = run(&scenario, 4, |s| s.steps[0].completed() >= 40).await;
    let [answer, first, gap, per_event] = &seen.steps[..4] else {
        panic!("four rows");
    };
    assert_eq!(answer.failed.of_target(), 0);
    // As many of each as belong to whole answers; those in flight have begun.
    assert!(gap.completed() >= 5 * answer.completed());
    assert!(gap.completed() <= 5 * (answer.completed() + 4));
    assert!(first.completed() >= answer.completed());
    assert!(per_event.completed() >= answer.completed());
    let (own_first, own_gap) = {
        let served = served.lock().unwrap();
        (median(served.first.clone()), median(served.gaps.clone()))
    };
    let p50 = |step: &StepWindow| step.latency.quantile_s(0.5).unwrap();
    for (name, is, own) in [
        ("first", p50(first), own_first),
        ("gap", p50(gap), own_gap),
        ("per-event", p50(per_event), own_gap),
        ("answer", p50(answer), own_first + 5.0 * own_gap),
    ] {
        let ratio = is / own;
        assert!(
            (0.8..1.25).contains(&ratio),
            "{name}: {is} s, by the server {own} s"
        );
    }
}

/// A server whose connections all answer so, and end it or hold it; the number counts the
/// connections.
async fn saying(parts: Vec<String>, ends: bool) -> (String, Arc<AtomicUsize>) {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let base = server(move |_, mut tcp| {
        count.fetch_add(1, Ordering::Relaxed);
        let answer = parts.concat();
        async move {
            while request(&mut tcp).await.is_some() {
                if tcp.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
                if !ends {
                    std::future::pending::<()>().await;
                }
            }
        }
    })
    .await;
    (base, connections)
}

#[tokio::test]
async fn an_answer_fails_at_the_part_that_did_not_come() {
    let (text, done) = (chunk("{\"text\": \"a\"}"), chunk("[DONE]"));
    let fail = "{ until = '[DONE]', fail = { match = { '/error' = 'present' } } }";
    let limited = CHAT.replace("3s", "300ms");
    let with_limit = |stream: &str| limited.replace("STREAM", stream);
    let error = chunk("{\"error\": \"overloaded\"}");
    let whole = |parts: &[&str]| [&[HEAD], parts, &[END]].concat().concat();
    // What is said, whether it ends, how the step fails, and at which part.
    for (toml, answer, ends, kind, part) in [
        (with(UNTIL), whole(&[&done]), true, FailureKind::Protocol, 1),
        (with("true"), whole(&[]), true, FailureKind::Protocol, 1),
        (with(UNTIL), whole(&[&text]), true, FailureKind::Eof, 2),
        (
            with(fail),
            whole(&[&text, &error, &done]),
            true,
            FailureKind::Check,
            2,
        ),
        (
            with_limit(UNTIL),
            HEAD.to_owned(),
            false,
            FailureKind::Timeout,
            1,
        ),
        (
            with_limit(UNTIL),
            format!("{HEAD}{text}"),
            false,
            FailureKind::Timeout,
            2,
        ),
        (
            with(UNTIL),
            format!("{HEAD}{text}nonsense"),
            false,
            FailureKind::Protocol,
            2,
        ),
        (with(UNTIL), OK.to_owned(), true, FailureKind::Protocol, 1),
    ] {
        let (base, _) = saying(vec![answer.clone()], ends).await;
        let scenario = compile(&toml, &base);
        let seen = run(&scenario, 1, |s| s.steps[4].failed.of_target() > 0).await;
        let failed: Vec<usize> = (0..4).filter(|row| seen.failed(*row, kind) > 0).collect();
        let wanted = if part == 1 { vec![0, 1] } else { vec![0, 2, 3] };
        assert_eq!(failed, wanted, "{kind:?}: {answer}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again_behind_the_event_that_ended_an_answer() {
    let tokens = [
        chunk("{\"text\": \"a\"}"),
        chunk("{\"text\": \"b\"}"),
        chunk("[DONE]"),
    ];
    let whole = [HEAD.to_owned(), tokens.concat(), END.to_owned()].concat();
    let (base, connections) = saying(vec![whole], true).await;
    let scenario = compile(&with(UNTIL), &base);
    let seen = run(&scenario, 1, |s| s.steps[0].completed() >= 10).await;
    assert_eq!(seen.steps[0].failed.of_target(), 0);
    assert_eq!(connections.load(Ordering::Relaxed), 1);
    // What came in one segment came at once: there is no gap, and no time for each event.
    assert_eq!(seen.steps[2].completed(), 0);
    assert!(seen.steps[3].completed() > 0);
    let longest = seen.steps[3].latency.max_s().unwrap();
    assert!(
        longest <= 1e-6,
        "{longest} s, of a histogram that begins with 1 us"
    );
}

#[tokio::test]
async fn a_cycle_is_good_that_meets_all_limits_at_once() {
    // Every other answer begins late; what fails is no good one either.
    let base = server(|_, mut tcp| async move {
        for number in 0.. {
            if request(&mut tcp).await.is_none() {
                return;
            }
            if number % 3 == 1 {
                tokio::time::sleep(Duration::from_millis(700)).await;
            }
            let end = if number % 3 == 2 {
                chunk("[ERROR]")
            } else {
                chunk("[DONE]")
            };
            let answer = [HEAD, &chunk("a"), &chunk("b"), &end, END].concat();
            if tcp.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    })
    .await;
    let toml = with("{ until = '[DONE]', fail = { data = '[ERROR]' } }");
    let spec: ScenarioSpec = toml::from_str(&toml).unwrap();
    let mut scenario =
        Scenario::compile(&spec, &base, &crate::scenario::Files::default(), &|_| None).unwrap();
    let limit = |of: &str, ms| (of.to_owned(), Duration::from_millis(ms), false);
    let name = "good(answer.first<350ms,cycle<30s)";
    scenario
        .add_goal(name, &[limit("answer.first", 350), limit("cycle", 30_000)])
        .unwrap();
    let (good, cycle) = (4, 5);
    assert_eq!(scenario.table().name(good), name);
    let scenario = Arc::new(scenario);
    let seen = run(&scenario, 3, |s| {
        s.steps[good].failed.get(FailureKind::Check) >= 6 && s.steps[good].completed() >= 3
    })
    .await;
    let (good, cycle) = (&seen.steps[good], &seen.steps[cycle]);
    let late = good.failed.get(FailureKind::Check) - cycle.failed.get(FailureKind::Check);
    assert!(good.completed() > 0 && late > 0 && cycle.failed.of_target() > 0);
    assert_eq!(good.completed() + late, cycle.completed());
    assert_eq!(
        good.failed.of_target(),
        late + cycle.failed.of_target(),
        "a failed cycle is no good one"
    );
}

#[tokio::test]
async fn who_waits_past_a_limit_is_counted_while_it_waits() {
    let (base, _) = saying(vec![HEAD.to_owned()], false).await;
    let spec: ScenarioSpec = toml::from_str(&with("true").replace("3s", "30s")).unwrap();
    let mut scenario =
        Scenario::compile(&spec, &base, &crate::scenario::Files::default(), &|_| None).unwrap();
    let limits = [("answer.first".to_owned(), Duration::from_millis(50), false)];
    scenario
        .add_goal("good(answer.first<50ms)", &limits)
        .unwrap();
    let unknown = scenario.add_goal("good(x<50ms)", &[("x".to_owned(), Duration::ZERO, false)]);
    assert!(
        unknown.unwrap_err().contains("answer.first"),
        "says which there are"
    );
    let scenario = Arc::new(scenario);
    let seen = run(&scenario, 3, |s| s.last.steps[4].in_flight.count() >= 3).await;
    assert_eq!(seen.last.steps[4].in_flight.count(), 3);
    assert_eq!(
        seen.last.steps[1].in_flight.count(),
        3,
        "all wait for the first event"
    );
    assert_eq!(
        seen.last.steps[2].in_flight.count(),
        0,
        "and none for another"
    );
}

#[tokio::test]
async fn a_hostile_stream_takes_bounded_memory_and_time() {
    // A line without an end, small events without an end, and a bomb: what becomes a thousand times
    // as much.
    let endless_line = server(|_, mut tcp| async move {
        if request(&mut tcp).await.is_none() {
            return;
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ";
        let mut sent = tcp.write_all(head.as_bytes()).await;
        let piece = vec![b'x'; 1 << 16];
        while sent.is_ok() {
            sent = tcp.write_all(&piece).await;
        }
    })
    .await;
    let endless_events = server(|_, mut tcp| async move {
        if request(&mut tcp).await.is_none() {
            return;
        }
        let mut sent = tcp.write_all(HEAD.as_bytes()).await;
        let piece = chunk("{\"text\": \"a\"}").repeat(64);
        while sent.is_ok() {
            sent = tcp.write_all(piece.as_bytes()).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let bomb = server(|_, mut tcp| async move {
        while request(&mut tcp).await.is_some() {
            let body = gzip(&[b"data: ".as_slice(), &vec![b'x'; 32 << 20]].concat());
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n\
                 content-length: {}\r\n\r\n",
                body.len()
            );
            let answer = [head.as_bytes(), &body].concat();
            if tcp.write_all(&answer).await.is_err() {
                return;
            }
        }
    })
    .await;
    for (base, toml, kind) in [
        (endless_line, with("true"), FailureKind::Protocol),
        (
            endless_events,
            with("true").replace("3s", "400ms"),
            FailureKind::Timeout,
        ),
        (bomb, with("true"), FailureKind::Protocol),
    ] {
        let scenario = compile(&toml, &base);
        let seen = run(&scenario, 1, |s| s.steps[4].failed.of_target() > 0).await;
        assert!(
            seen.failed(0, kind) > 0,
            "{kind:?}: {:?}",
            seen.steps[0].failed
        );
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(body).unwrap();
    gzip.finish().unwrap()
}
