//! Logins that go by cookies.

use super::*;

/// A shop: a form gives a session and a token, and only who brings both may buy. Says what was
/// asked for with which cookies.
async fn shop() -> (Arc<Mutex<Vec<String>>>, String) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heard);
    let next = Arc::new(AtomicUsize::new(1));
    let base = server(move |_, mut tcp| {
        let (kept, next) = (Arc::clone(&kept), Arc::clone(&next));
        async move {
            while let Some(text) = request(&mut tcp).await {
                let answer = answer_of(&text, &next);
                let cookie = text.lines().find_map(|l| l.strip_prefix("cookie: "));
                let path = text.split(' ').nth(1).unwrap_or("");
                let line = format!("{path} {}", cookie.unwrap_or("-"));
                kept.lock().unwrap().push(line);
                tcp.write_all(answer.as_bytes()).await.ok();
            }
        }
    })
    .await;
    (heard, base)
}

fn answer_of(text: &str, next: &AtomicUsize) -> String {
    let has = |part: &str| text.contains(part);
    let with = |status: &str, fields: &str| {
        format!("HTTP/1.1 {status}\r\n{fields}content-length: 2\r\n\r\nok")
    };
    if text.starts_with("GET /form ") {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let set =
            format!("set-cookie: sid=s{n}; Path=/; HttpOnly\r\nset-cookie: csrf=t{n}; Path=/\r\n");
        return with("200 OK", &set);
    }
    if text.starts_with("GET /away ") {
        return with(
            "302 Found",
            "set-cookie: went=1; Path=/\r\nlocation: /buy\r\n",
        );
    }
    let session = (1..next.load(Ordering::Relaxed))
        .any(|n| has(&format!("sid=s{n}")) && has(&format!("x-csrf: t{n}")));
    with(if session { "200 OK" } else { "403 Forbidden" }, "")
}

const BUY: &str = "steps = [{ name = 'form', get = '/form' }, \
    { name = 'buy', post = '/buy', headers = { x-csrf = '{{ cookie.csrf }}' } }, { think = '20ms' }]";

async fn heard_of(toml: &str) -> Vec<String> {
    let (heard, base) = shop().await;
    let mut engine = engine(&compile(toml, &base));
    let canary = engine.canary().await.unwrap();
    assert!(matches!(canary, Canary::Passed(_)), "{canary:?}");
    heard.lock().unwrap().clear();
    engine.set_level(Level(1)).await.unwrap();
    let seen = watch(&mut engine, |s| s.steps[1].completed() >= 3).await;
    engine.stop().await;
    assert_eq!(seen.steps[1].failed.of_target(), 0);
    let heard = heard.lock().unwrap().clone();
    heard.into_iter().take(4).collect()
}

#[tokio::test]
async fn a_session_with_its_token_is_kept_by_each_vu() {
    let all = heard_of(BUY).await;
    assert_eq!(
        all,
        [
            "/form -",
            "/buy sid=s2; csrf=t2",
            "/form sid=s2; csrf=t2",
            "/buy sid=s3; csrf=t3"
        ]
    );
}

#[tokio::test]
async fn of_a_new_user_each_cycle_nothing_is_left() {
    let all = heard_of(&format!("cookies = 'cycle'\n{BUY}")).await;
    assert_eq!(all[2], "/form -");
}

#[tokio::test]
async fn followed_redirects_set_cookies_and_bring_them() {
    let toml = "redirects = 2\nsteps = [{ name = 'form', get = '/form' }, \
        { name = 'away', get = '/away', headers = { x-csrf = '{{ cookie.csrf }}' } }]";
    let all = heard_of(toml).await;
    assert!(
        all[2].starts_with("/buy ") && all[2].contains("went=1"),
        "{all:?}"
    );
}

#[tokio::test]
async fn without_cookies_a_session_is_refused_and_a_missing_one_is_named() {
    let (heard, base) = shop().await;
    let off = "cookies = 'off'\nsteps = [{ name = 'form', get = '/form' }, { name = 'buy', post = \
        '/buy' }]";
    let mut engine = engine(&compile(off, &base));
    let canary = engine.canary().await.unwrap();
    engine.stop().await;
    assert_eq!(canary.failed_with(), Some(FailureKind::Status));
    assert_eq!(*heard.lock().unwrap(), ["/form -", "/buy -"]);
    let missing = BUY.replace("cookie.csrf", "cookie.crsf");
    let mut engine = super::engine(&compile(&missing, &base));
    let Canary::Failed(failure) = engine.canary().await.unwrap() else {
        panic!("there is no such cookie");
    };
    engine.stop().await;
    assert!(
        failure.message.contains("no cookie `crsf` was set"),
        "{}",
        failure.message
    );
}
