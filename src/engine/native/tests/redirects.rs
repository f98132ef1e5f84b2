//! Redirects over real sockets.

use super::*;

/// A server that answers by the request line and notes every request with its connection's number.
async fn site(
    answer: impl Fn(&str) -> String + Send + Sync + Clone + 'static,
) -> (String, Arc<Mutex<Vec<(usize, String)>>>) {
    let heard: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
    let ears = Arc::clone(&heard);
    let base = server(move |number, mut tcp| {
        let (answer, ears) = (answer.clone(), Arc::clone(&ears));
        async move {
            while let Some(text) = request(&mut tcp).await {
                let line = text.lines().next().unwrap_or_default().to_owned();
                ears.lock().unwrap().push((number, text));
                tcp.write_all(answer(&line).as_bytes()).await.ok();
            }
        }
    })
    .await;
    (base, heard)
}

fn moved(status: u16, location: &str) -> String {
    format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 4\r\n\r\ngone")
}

/// Runs one cycle of one VU and says how it went.
async fn cycle(toml: &str, base: &str) -> Canary {
    let mut engine = engine(&compile(toml, base));
    let answer = engine.canary().await.unwrap();
    engine.stop().await;
    answer
}

const POST: &str = "[[steps]]\nname = 'post'\npost = '/a'\nbody = 'hello'";

#[tokio::test]
async fn a_redirect_is_a_failure_unless_it_is_followed_or_expected() {
    let (base, heard) = site(|line| match line {
        "POST /a HTTP/1.1" => moved(303, "b"),
        _ => OK.to_owned(),
    })
    .await;
    let failed = Some(FailureKind::Status);
    assert_eq!(cycle(POST, &base).await.failed_with(), failed);
    let expected = format!("{POST}\nexpect = [303]");
    assert!(matches!(cycle(&expected, &base).await, Canary::Passed(_)));
    heard.lock().unwrap().clear();
    let followed = format!("redirects = 1\n{POST}");
    assert!(matches!(cycle(&followed, &base).await, Canary::Passed(_)));
    let heard = heard.lock().unwrap();
    let (first, second) = (&heard[0], &heard[1]);
    assert!(second.1.starts_with("GET /b HTTP/1.1\r\n"), "{}", second.1);
    assert!(!second.1.contains("hello"), "{}", second.1);
    assert_eq!(first.0, second.0, "the same connection");
}

#[tokio::test]
async fn a_chain_longer_than_allowed_is_a_failure_and_a_bad_location_is_no_http() {
    let (base, heard) = site(|line| match line {
        "POST /a HTTP/1.1" => moved(307, "/b"),
        "POST /b HTTP/1.1" => moved(308, "/a"),
        _ => OK.to_owned(),
    })
    .await;
    let followed = format!("redirects = 3\n{POST}");
    let failed = Some(FailureKind::Status);
    assert_eq!(cycle(&followed, &base).await.failed_with(), failed);
    let heard = std::mem::take(&mut *heard.lock().unwrap());
    assert_eq!(heard.len(), 4, "the request and three more");
    assert!(heard.iter().all(|(_, text)| text.ends_with("hello")));
    let (base, _) = site(|_| moved(302, "gopher://h/")).await;
    let failed = Some(FailureKind::Protocol);
    assert_eq!(cycle(&followed, &base).await.failed_with(), failed);
}

/// 0.0.0.0 leads to this machine and is no loopback address: whoever connects to it all the same is
/// seen here.
#[tokio::test]
async fn a_redirect_to_a_host_that_may_not_be_loaded_is_not_followed() {
    let (there, heard) = site(|_| OK.to_owned()).await;
    let there = there.replace("127.0.0.1", "0.0.0.0");
    let (base, _) = site(move |_| moved(302, &there)).await;
    let followed = format!("redirects = 3\n{POST}");
    let failed = Some(FailureKind::Protocol);
    assert_eq!(cycle(&followed, &base).await.failed_with(), failed);
    assert!(heard.lock().unwrap().is_empty(), "it was connected to");
    // Allowed, the same way leads there.
    let scenario = compile(&followed, &base);
    let mut engine = NativeEngine::start(NativeSpec {
        allowed: Allowed::new(["0.0.0.0".to_owned()]),
        ..spec(&scenario)
    })
    .unwrap();
    assert!(matches!(engine.canary().await.unwrap(), Canary::Passed(_)));
    engine.stop().await;
    assert_eq!(heard.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_foreign_origin_gets_a_connection_of_its_own_and_a_known_one_keeps_it() {
    let (foreign, there) = site(|_| OK.to_owned()).await;
    let to = foreign.clone();
    let (base, here) = site(move |line| match line {
        "GET /away HTTP/1.1" => moved(302, &format!("{to}/x")),
        _ => OK.to_owned(),
    })
    .await;
    let away = |and: &str| {
        format!(
            "redirects = 2\nheaders = {{ authorization = 'secret' }}\nsteps = [\
             {{ name = 'one', get = '/away' }}, {{ name = 'two', get = '/away' }}{and} ]"
        )
    };
    let run = |toml: String, base: String| async move {
        let mut engine = engine(&compile(&toml, &base));
        let went = engine.canary().await.unwrap();
        engine.stop().await;
        assert!(matches!(went, Canary::Passed(_)), "{went:?}");
    };
    run(away(""), base.clone()).await;
    let numbers = |heard: &Mutex<Vec<(usize, String)>>| -> Vec<usize> {
        let mut heard = heard.lock().unwrap();
        heard.drain(..).map(|(number, _)| number).collect()
    };
    for (_, text) in there.lock().unwrap().iter() {
        assert!(text.starts_with("GET /x HTTP/1.1\r\n"), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }
    assert_eq!(numbers(&here), [0, 0], "kept");
    assert_eq!(numbers(&there), [0, 1], "a new one each time");
    let known = away(&format!(", {{ name = 'three', get = '{foreign}/y' }}"));
    assert_eq!(compile(&known, &base).connections_per_vu(), 3);
    run(known, base).await;
    assert_eq!(numbers(&there), [2, 2, 2], "kept as well");
}

#[tokio::test]
async fn a_stream_is_opened_where_the_redirect_leads() {
    let events = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n";
    let (base, heard) = site(move |line| match line {
        "GET /old HTTP/1.1" => moved(301, "/new"),
        _ => events.to_owned(),
    })
    .await;
    let toml = "redirects = 1\n[[steps]]\nname = 'open'\nopen = '/old'\n\
                [[steps]]\nname = 'w'\nwait = { match = { '' = '1' } }";
    assert!(matches!(cycle(toml, &base).await, Canary::Passed(_)));
    let numbers: Vec<usize> = heard.lock().unwrap().iter().map(|(n, _)| *n).collect();
    assert_eq!(numbers, [0, 1], "a stream has a connection of its own");
}

#[tokio::test]
async fn nothing_is_said_to_be_understood_that_is_not() {
    let (base, heard) = site(|_| OK.to_owned()).await;
    assert!(matches!(cycle(POST, &base).await, Canary::Passed(_)));
    let heard = heard.lock().unwrap()[0].1.to_lowercase();
    assert!(!heard.contains("accept-encoding"), "no gzip: {heard}");
}
