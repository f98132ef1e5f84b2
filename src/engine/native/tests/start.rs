//! What a user does once, before its first cycle.

use super::*;

/// Gives a token for a login, and takes it so many times. Counts logins and what was asked with a
/// token.
async fn gate(uses: usize) -> (Arc<[AtomicUsize; 2]>, String) {
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let kept = Arc::clone(&counts);
    let left: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let base = server(move |_, mut tcp| {
        let (kept, left) = (Arc::clone(&kept), Arc::clone(&left));
        async move {
            while let Some(text) = request(&mut tcp).await {
                let answer = if text.starts_with("POST /login ") {
                    let n = kept[0].fetch_add(1, Ordering::Relaxed);
                    left.lock().unwrap().insert(format!("t{n}"), uses);
                    let body = format!(r#"{{"token":"t{n}"}}"#);
                    format!(
                        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    )
                } else {
                    let token = text
                        .lines()
                        .find_map(|l| l.strip_prefix("authorization: Bearer "));
                    let mut left = left.lock().unwrap();
                    match left.get_mut(token.unwrap_or_default()).filter(|n| **n > 0) {
                        Some(n) => {
                            *n -= 1;
                            kept[1].fetch_add(1, Ordering::Relaxed);
                            OK.to_owned()
                        }
                        None => "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n".to_owned(),
                    }
                };
                tcp.write_all(answer.as_bytes()).await.ok();
            }
        }
    })
    .await;
    (counts, base)
}

const CYCLE: &str = "start = [{ name = 'login', post = '/login', extract = { token = '/token' } }]\n\
    steps = [{ name = 'get', get = '/', headers = { authorization = 'Bearer {{ token }}' } }, { think = '10ms' }]";

#[tokio::test]
async fn each_vu_logs_in_once_and_its_login_is_in_no_cycle() {
    let (counts, base) = gate(usize::MAX).await;
    let scenario = compile(&format!("main = 'get'\n{CYCLE}"), &base);
    let mut engine = engine(&scenario);
    assert!(matches!(engine.canary().await.unwrap(), Canary::Passed(_)));
    engine.set_level(Level(5)).await.unwrap();
    let seen = watch(&mut engine, |s| s.steps[1].completed() >= 50).await;
    engine.stop().await;
    assert_eq!(
        counts[0].load(Ordering::Relaxed),
        1 + 5,
        "a canary and five VUs"
    );
    assert_eq!(seen.steps[0].completed(), 5);
    assert!(seen.steps[2].completed() >= 45, "cycles");
    assert_eq!(seen.steps[2].failed.of_target(), 0);
}

#[tokio::test]
async fn a_session_that_has_ended_is_begun_anew_and_its_cycle_counts_once() {
    let (counts, base) = gate(3).await;
    let scenario = compile(&format!("again-when = [401]\n{CYCLE}"), &base);
    let mut engine = engine(&scenario);
    engine.set_level(Level(2)).await.unwrap();
    let seen = watch(&mut engine, |s| s.steps[2].completed() >= 30).await;
    engine.stop().await;
    assert_eq!(seen.steps[1].failed.of_target(), 0);
    assert_eq!(seen.steps[2].failed.of_target(), 0);
    let logins = counts[0].load(Ordering::Relaxed);
    assert!(
        (10..=20).contains(&logins),
        "one for three cycles: {logins}"
    );
}

/// Fails the first request with each token, and refuses each later one.
#[tokio::test]
async fn a_session_that_ended_behind_a_failure_is_begun_anew_too() {
    let logins = Arc::new(AtomicUsize::new(0));
    let kept = Arc::clone(&logins);
    let used: Arc<Mutex<std::collections::BTreeSet<String>>> = Arc::default();
    let base = server(move |_, mut tcp| {
        let (kept, used) = (Arc::clone(&kept), Arc::clone(&used));
        async move {
            while let Some(text) = request(&mut tcp).await {
                let answer = if text.starts_with("POST /login ") {
                    let n = kept.fetch_add(1, Ordering::Relaxed);
                    let body = format!("{{\"token\":\"{n}\"}}");
                    format!(
                        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    )
                } else {
                    let token = text.lines().find(|l| l.starts_with("authorization"));
                    let is_new = used
                        .lock()
                        .unwrap()
                        .insert(token.unwrap_or_default().to_owned());
                    let status = if is_new { "500 Oh" } else { "401 Unauthorized" };
                    format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nno")
                };
                tcp.write_all(answer.as_bytes()).await.ok();
            }
        }
    })
    .await;
    let scenario = compile(&format!("again-when = [401]\n{CYCLE}"), &base);
    let mut engine = engine(&scenario);
    engine.set_level(Level(1)).await.unwrap();
    watch(&mut engine, |_| logins.load(Ordering::Relaxed) >= 4).await;
    engine.stop().await;
}

#[tokio::test]
async fn identifiers_of_canaries_and_of_vus_that_come_again_are_new() {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let base = server(move |_, mut tcp| {
        let kept = Arc::clone(&kept);
        async move {
            while let Some(text) = request(&mut tcp).await {
                let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
                kept.lock().unwrap().push(path);
                tcp.write_all(OK.as_bytes()).await.ok();
            }
        }
    })
    .await;
    let cycle = "vars = { id = '{{ uuid() }}-{{ random(0, 1000000000) }}' }\n\
        steps = [{ name = 'get', get = '/{{ id }}' }, { think = '10ms' }]";
    let mut engine = engine(&compile(cycle, &base));
    for _ in 0..3 {
        assert!(matches!(engine.canary().await.unwrap(), Canary::Passed(_)));
    }
    for level in [4, 0, 4] {
        engine.set_level(Level(level)).await.unwrap();
        for _ in 0..3 {
            engine.next_window().await.unwrap();
        }
    }
    engine.stop().await;
    let seen = seen.lock().unwrap();
    let different: std::collections::BTreeSet<&String> = seen.iter().collect();
    assert!(seen.len() > 11, "{}", seen.len());
    assert_eq!(different.len(), seen.len());
    let drawn = seen.iter().filter_map(|path| path.rsplit('-').next());
    assert_eq!(
        drawn.collect::<std::collections::BTreeSet<_>>().len(),
        seen.len()
    );
}

#[tokio::test]
async fn who_is_refused_right_after_a_start_has_failed() {
    let (_, base) = gate(0).await;
    let scenario = compile(&format!("again-when = [401]\n{CYCLE}"), &base);
    let mut engine = engine(&scenario);
    let canary = engine.canary().await.unwrap();
    assert_eq!(canary.failed_with(), Some(FailureKind::Status));
    engine.set_level(Level(1)).await.unwrap();
    let seen = watch(&mut engine, |s| s.steps[2].failed.of_target() >= 1).await;
    engine.stop().await;
    assert!(seen.failed(2, FailureKind::Status) >= 1);
}

#[tokio::test]
async fn who_cannot_start_is_not_counted_as_being_there() {
    let base = server(|_, mut tcp| async move {
        while request(&mut tcp).await.is_some() {
            let refused = "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno";
            tcp.write_all(refused.as_bytes()).await.ok();
        }
    })
    .await;
    let mut engine = engine(&compile(CYCLE, &base));
    let Canary::Failed(failure) = engine.canary().await.unwrap() else {
        panic!("nobody gets in");
    };
    assert_eq!(failure.step.as_deref(), Some("login"));
    engine.set_level(Level(3)).await.unwrap();
    let seen = watch(&mut engine, |s| s.steps[0].failed.of_target() >= 6).await;
    engine.stop().await;
    assert!(!seen.last.at_level);
    assert_eq!(seen.last.vus, 0);
    assert_eq!(seen.steps[2].failed.of_target(), 0, "no failure of a cycle");
}

#[tokio::test]
async fn at_a_rate_each_vu_logs_in_before_its_first_arrival() {
    let (counts, base) = gate(usize::MAX).await;
    let scenario = compile(CYCLE, &base);
    let load = LoadModel::Open {
        arrivals: Arrivals::Constant,
        most_vus: 20,
    };
    let mut engine = NativeEngine::start(spec_of(&scenario, load)).unwrap();
    engine.set_level(Level(100)).await.unwrap();
    let seen = watch(&mut engine, |s| s.steps[2].completed() >= 100).await;
    engine.stop().await;
    assert!(seen.steps[2].completed() >= 100);
    assert_eq!(seen.steps[2].failed.of_target(), 0);
    assert!(counts[0].load(Ordering::Relaxed) <= 20);
}
