//! Streams of events: opened by any method, waited for by content and to their end, opened again.

use super::*;

const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
const END: &str = "0\r\n\r\n";

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

/// A server whose every connection gets one stream, of these events, and whose end is clean.
async fn of_events(wanted: &'static str, events: &'static [&'static str]) -> String {
    server(move |_, mut tcp| async move {
        let Some(request) = request(&mut tcp).await else {
            return;
        };
        if !request.starts_with(wanted) {
            let refused = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
            return drop(tcp.write_all(refused.as_bytes()).await);
        }
        let events: String = events.iter().map(|event| chunk(event)).collect();
        let answer = format!("{HEAD}{events}{END}");
        drop(tcp.write_all(answer.as_bytes()).await);
    })
    .await
}

const TOKENS: &[&str] = &[
    "data: {\"n\": 1}\n\n",
    "data: {\"n\": 2}\n\ndata: two\n\n",
    "event: other\ndata: {\"n\": 3}\n\n",
    "data: [DONE]\n\n",
];

/// Whether cycles with these keys of a wait complete, and how they fail where they do not.
async fn ends(wait: &str, base: &str) -> Result<(), FailureKind> {
    let toml = format!(
        "timeout = '2s'\nsteps = [
            {{ name = 'open', method = 'POST', open = '/chat', json = {{ stream = true }} }},
            {{ name = 'w', wait = {{ {wait} }} }}, {{ think = '20ms' }}]"
    );
    let scenario = compile(&toml, base);
    let whole = scenario.table().whole();
    let over = |s: &Totals| s.steps[whole].completed() + s.steps[whole].failed.of_target() > 0;
    let seen = run(&scenario, 1, over).await;
    let failed = FailureKind::ALL
        .into_iter()
        .find(|kind| seen.failed(whole, *kind) > 0);
    failed.map_or(Ok(()), Err)
}

#[tokio::test]
async fn a_stream_is_the_answer_to_a_post_and_waited_for_by_its_content() {
    let base = of_events("POST /chat HTTP/1.1", TOKENS).await;
    for (wait, wanted) in [
        ("", Ok(())),
        ("data = '[DONE]'", Ok(())),
        ("contains = 'DONE'", Ok(())),
        ("matches = '^\\[D'", Ok(())),
        ("match = { '$.n' = '2' }", Ok(())),
        ("match = { 'body' = 'two' }", Ok(())),
        ("event = 'other', expect = { '/n' = '3' }", Ok(())),
        (
            "event = 'other', expect = { '/n' = '4' }",
            Err(FailureKind::WrongEvent),
        ),
        (
            "event = 'message', pick = 3, expect = { 'body' = 'two' }",
            Ok(()),
        ),
        ("pick = 'last', expect = { 'body' = '[DONE]' }", Ok(())),
        (
            "match = { '/n' = 'present' }, pick = 'last', expect = { '/n' = '3' }",
            Ok(()),
        ),
        ("pick = 6", Err(FailureKind::Eof)),
        ("data = 'never'", Err(FailureKind::Eof)),
        ("data = 'never', pick = 'last'", Err(FailureKind::Eof)),
        ("end = true", Ok(())),
    ] {
        assert_eq!(ends(wait, &base).await, wanted, "{wait}");
    }
}

#[tokio::test]
async fn an_end_that_is_cut_off_is_none() {
    let base = streaming(&["data: a\n\n"], true).await;
    let toml = "steps = [{ name = 'open', open = '/' }, { name = 'w', wait = { KEY } }]";
    for key in ["end = true", "pick = 'last'"] {
        let kind = first_failure(&toml.replace("KEY", key), &base).await;
        assert!(
            matches!(kind, FailureKind::Eof | FailureKind::Reset),
            "{key}: {kind:?}"
        );
    }
}

#[tokio::test]
async fn a_stream_is_opened_again_behind_its_last_event() {
    // Every connection gives one event and ends; the number that comes back is that of the event
    // before.
    let base = server(|_, mut tcp| async move {
        let Some(request) = request(&mut tcp).await else {
            return;
        };
        let last = request
            .lines()
            .find_map(|l| l.strip_prefix("last-event-id: "));
        let next = last.map_or(1, |n| n.parse::<u32>().unwrap() + 1);
        let event = chunk(&format!(
            "retry: 100\nid: {next}\ndata: {{\"n\": {next}}}\n\n"
        ));
        let gone = "HTTP/1.1 204 No Content\r\n\r\n".to_owned();
        let answer = if next > 3 {
            gone
        } else {
            format!("{HEAD}{event}{END}")
        };
        drop(tcp.write_all(answer.as_bytes()).await);
    })
    .await;
    let toml = "timeout = '5s'\nsteps = [
        { name = 'open', open = '/', reconnect = RECONNECT },
        { name = 'third', wait = { match = { '/n' = '3' } } },
        { name = 'fourth', wait = { match = { '/n' = '4' } } }]";
    let scenario = compile(&toml.replace("RECONNECT", "true"), &base);
    let whole = scenario.table().whole();
    let seen = run(&scenario, 1, |s| s.steps[whole].failed.of_target() > 0).await;
    assert!(seen.steps[1].completed() > 0, "two streams later");
    assert!(
        seen.failed(2, FailureKind::Status) > 0,
        "204 is told to stay away"
    );
    let once = toml.replace("RECONNECT", "false");
    assert_eq!(first_failure(&once, &base).await, FailureKind::Eof);
}

#[tokio::test]
async fn a_stream_without_an_end_of_its_line_is_not_read_for_ever() {
    let base = server(|_, mut tcp| async move {
        if request(&mut tcp).await.is_none() {
            return;
        }
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ";
        if tcp.write_all(head.as_bytes()).await.is_ok() {
            let piece = vec![b'x'; 1 << 16];
            while tcp.write_all(&piece).await.is_ok() {}
        }
    })
    .await;
    let toml = "steps = [{ name = 'open', open = '/' }, { name = 'w', wait = { end = true } }]";
    assert_eq!(first_failure(toml, &base).await, FailureKind::Protocol);
}
