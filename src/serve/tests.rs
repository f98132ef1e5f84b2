use std::net::{IpAddr, Ipv4Addr};

use super::*;
use crate::event::{Event, Phase, Subject, Tick};
use crate::measure::Level;

fn address(ip: [u8; 4]) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::from(ip)), 0)
}

async fn page(ip: [u8; 4]) -> LivePage {
    crate::crypto::install();
    LivePage::start(address(ip), Token::made("secret".to_owned()))
        .await
        .unwrap()
}

fn running() -> Live {
    let mut live = Live::default();
    live.on(&Event::RunStarted {
        subject: Subject::made_up(),
        range: (Level(1), Level(1000)),
        budget_s: 900.0,
    });
    live.on(&tick(1.0));
    live
}

fn tick(elapsed_s: f64) -> Event {
    Event::Tick(Tick {
        span_s: 1.0,
        elapsed_s,
        level: Level(40),
        vus: 40,
        phase: Phase::Hold,
        completed: 7,
        failed: 1,
        shed: 0,
        latency_s: Some(0.5),
        estimate: None,
        readings: Vec::new(),
    })
}

/// Status and body of a request with these headers.
async fn get(page: &LivePage, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let port = page.address.port();
    let client = reqwest::Client::new();
    let mut request = client.get(format!("http://127.0.0.1:{port}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn the_page_the_state_and_the_metrics_are_there() {
    let page = page([127, 0, 0, 1]).await;
    page.show(&running());
    let (status, html) = get(&page, "/", &[]).await;
    assert_eq!(status, 200);
    assert!(html.contains("EventSource"));
    let (_, json) = get(&page, "/live.json", &[]).await;
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["profile"], "demo");
    assert_eq!(json["seconds"][0]["completed"], 7);
    let (_, metrics) = get(&page, "/metrics", &[]).await;
    assert!(
        metrics.contains("breakpoint_level{profile=\"demo\"} 40\n"),
        "{metrics}"
    );
    assert_eq!(get(&page, "/else", &[]).await.0, 404);
}

#[tokio::test]
async fn nothing_can_be_sent_to_it() {
    let page = page([127, 0, 0, 1]).await;
    let client = reqwest::Client::new();
    let answer = client.post(page.url()).body("x").send().await.unwrap();
    assert_eq!(answer.status(), 405);
}

#[tokio::test]
async fn a_page_of_another_site_cannot_read_it() {
    let page = page([127, 0, 0, 1]).await;
    for host in [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:80",
    ] {
        let (status, body) = get(&page, "/live.json", &[("host", host)]).await;
        assert_eq!(status, 403, "{host}: {body}");
    }
    for host in ["localhost:9000", "127.0.0.1", "[::1]:9000", "127.9.9.9:1"] {
        let (status, _) = get(&page, "/live.json", &[("host", host)]).await;
        assert_eq!(status, 200, "{host}");
    }
}

#[tokio::test]
async fn a_request_of_another_sites_page_is_refused_with_the_token_too() {
    for (ip, query) in [([127, 0, 0, 1], ""), ([0, 0, 0, 0], "?token=secret")] {
        let page = page(ip).await;
        let path = format!("/live.json{query}");
        for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "x"] {
            let (status, body) = get(&page, &path, &[("origin", origin)]).await;
            assert_eq!(status, 403, "{origin}: {body}");
            assert!(!body.contains("profile"), "{body}");
        }
        let own = format!("http://127.0.0.1:{}", page.address.port());
        assert_eq!(get(&page, &path, &[("origin", &own)]).await.0, 200);
    }
}

#[tokio::test]
async fn any_other_address_asks_for_the_token() {
    let page = page([0, 0, 0, 0]).await;
    assert!(page.url().ends_with("/?token=secret"), "{}", page.url());
    for path in ["/", "/live.json", "/events", "/metrics", "/else"] {
        assert_eq!(get(&page, path, &[]).await.0, 401, "{path}");
        let wrong = format!("{path}?token=secres");
        assert_eq!(get(&page, &wrong, &[]).await.0, 401, "{wrong}");
    }
    assert_eq!(get(&page, "/live.json?token=secret", &[]).await.0, 200);
    let bearer = [("authorization", "Bearer secret")];
    assert_eq!(get(&page, "/metrics", &bearer).await.0, 200);
}

#[tokio::test]
async fn an_address_that_is_taken_is_told_with_the_way_out() {
    let first = page([127, 0, 0, 1]).await;
    let error = LivePage::start(first.address, Token::made(String::new()))
        .await
        .unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("--serve") && error.contains("another port"),
        "{error}"
    );
}

#[tokio::test]
async fn whoever_watches_is_told_of_every_change() {
    let page = page([127, 0, 0, 1]).await;
    let mut live = running();
    page.show(&live);
    let url = format!("{}events", page.url());
    let mut answer = reqwest::get(url).await.unwrap();
    let mut read = async || {
        let chunk = answer.chunk().await.unwrap().unwrap();
        let text = String::from_utf8(chunk.to_vec()).unwrap();
        let json = text.strip_prefix("data: ").unwrap().trim();
        serde_json::from_str::<Value>(json).unwrap()
    };
    let first = read().await;
    assert_eq!(
        (&first["more"], first["seconds"].as_array().unwrap().len()),
        (&false.into(), 1)
    );
    live.on(&tick(2.0));
    page.show(&live);
    let second = read().await;
    assert_eq!(second["more"], true);
    assert_eq!(second["seconds"].as_array().unwrap().len(), 1);
    assert_eq!(second["seconds"][0]["t_s"], 2.0);
    page.stop().await;
    // The last state, and then an end that is no error.
    assert_eq!(read().await["seconds"].as_array().unwrap().len(), 0);
    assert_eq!(answer.chunk().await.unwrap(), None);
}

#[test]
fn a_new_run_is_told_from_its_beginning() {
    let mut sent = SentSoFar::default();
    let mut live = running();
    live.on(&tick(9.0));
    assert!(sent.event(&live).contains("\"more\":false"));
    assert!(sent.event(&live).contains("\"more\":true"));
    // The next run of the same profile begins at 0 again.
    let again = running();
    assert!(sent.event(&again).contains("\"more\":false"));
}

#[test]
fn tokens_are_compared_whole() {
    assert!(same("abc", "abc"));
    for wrong in ["", "ab", "abd", "abcd", "ABC"] {
        assert!(!same(wrong, "abc"), "{wrong}");
    }
}

/// The first line of an answer; nothing where there is none in time.
async fn first_line(tcp: &mut TcpStream) -> String {
    use tokio::io::AsyncReadExt as _;
    let mut bytes = vec![0; 64];
    let read = tokio::time::timeout(Duration::from_secs(2), tcp.read(&mut bytes)).await;
    let read = read.map_or(0, |read| read.unwrap_or(0));
    let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
    text.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn half_requests_and_watchers_shut_nobody_out() {
    use tokio::io::AsyncWriteExt as _;
    let page = page([127, 0, 0, 1]).await;
    let connect = || TcpStream::connect(("127.0.0.1", page.address.port()));
    let mut half = Vec::new();
    for _ in 0..3 * places::CONNECTIONS {
        let mut tcp = connect().await.unwrap();
        tcp.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        half.push(tcp);
        tokio::task::yield_now().await;
    }
    assert_eq!(get(&page, "/metrics", &[]).await.0, 200);
    // Whoever watches takes no place of those who ask.
    let mut watching = Vec::new();
    for _ in 0..2 * WATCHERS {
        let mut tcp = connect().await.unwrap();
        let request = "GET /events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
        tcp.write_all(request.as_bytes()).await.unwrap();
        let line = first_line(&mut tcp).await;
        watching.push((tcp, line));
    }
    let of = |status: &str| {
        watching
            .iter()
            .filter(|(_, line)| line.contains(status))
            .count()
    };
    assert_eq!((of(" 200 "), of(" 503 ")), (WATCHERS, WATCHERS));
    assert_eq!(get(&page, "/live.json", &[]).await.0, 200);
}

#[tokio::test]
async fn a_token_that_was_given_is_long_and_shown_nowhere() {
    for short in [
        "ab",
        "fifteen-letters",
        "sixteen characters",
        "&&&&&&&&&&&&&&&&",
    ] {
        assert!(Token::given(short.to_owned()).is_err(), "{short}");
    }
    let token = Token::given("0123456789abcdef".to_owned()).unwrap();
    let page = LivePage::start(address([0, 0, 0, 0]), token).await.unwrap();
    assert!(page.wants_given_token() && !page.url().contains("token"));
    assert_eq!(
        get(&page, "/live.json?token=0123456789abcdef", &[]).await.0,
        200
    );
    assert_eq!(get(&page, "/live.json", &[]).await.0, 401);
}
