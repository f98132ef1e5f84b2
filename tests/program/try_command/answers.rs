//! What is said of answers that are none, or not the one that was wanted.

use std::fmt::Write as _;
use std::io::Write as _;

use super::*;

/// An answer after which the connection is closed.
fn last(bytes: &[u8]) -> Vec<u8> {
    bytes.to_vec()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(body).unwrap();
    gzip.finish().unwrap()
}

/// Encoded as it is said to be.
fn coded(status: &str, body: &[u8]) -> Vec<u8> {
    answer(status, "content-encoding: gzip\r\n", body)
}

/// Pseudo-random hexadecimal digits, which nothing makes much shorter.
fn digits(count: usize) -> String {
    let mut state = 1_u32;
    let mut out = String::new();
    while out.len() < count {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        write!(out, "{:04x}", state >> 16).unwrap();
    }
    out
}

const TAKES: &str = "[[scenario.steps]]\nname = 'home'\nget = '/home'\nextract = { id = '/id' }\n";

/// How a user meets it, who answers what, what must be said, and what must not.
type Said = (
    &'static str,
    &'static str,
    fn(&Asked) -> Vec<u8>,
    &'static [&'static str],
);

const ALL: &[Said] = &[
    (
        "cut short",
        GET,
        |_| last(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 100\r\n\r\n0123456789"),
        &[
            "was answered with 200 OK, and then failed with `eof`",
            "closed in the middle of the body (after 10 of 100 bytes)",
        ],
    ),
    (
        "chunks without an end",
        GET,
        |_| {
            last(
                b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: \
                chunked\r\n\r\n64\r\n0123",
            )
        },
        &[
            "was answered with 200 OK, and then failed with `eof`",
            "the last one did not come",
        ],
    ),
    (
        "half a head",
        GET,
        |_| last(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-le"),
        &["the connection was closed in the middle of the answer's head"],
    ),
    (
        "hung up",
        GET,
        |_| Vec::new(),
        &["failed with `eof`: the connection was closed without an answer"],
    ),
    (
        "a large head",
        GET,
        |_| {
            let large = format!("x: {}\r\n", "a".repeat(70_000));
            answer("200 OK", &large, "ok")
        },
        &["the response head is larger than 64 KiB, the limit"],
    ),
    (
        "another protocol",
        GET,
        |_| last(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n"),
        &["switches to another protocol"],
    ),
    (
        "a redirect",
        GET,
        |_| {
            let to = "location: /login?token=s3cr3t-place&next=/x\r\n";
            answer("302 Found", to, "")
        },
        &[
            "302 Found and redirects to /login?token=***&next=/x",
            "`redirects = 5` in the profile's [scenario]",
        ],
    ),
    (
        "gzip of an error",
        GET,
        |_| coded("401 Unauthorized", &gzip(b"{\"error\":\"token expired\"}")),
        &["401 Unauthorized; the response begins: {\"error\":\"token expired\"}"],
    ),
    (
        "Latin-1 of an error",
        GET,
        |_| {
            let html = "content-type: text/html; charset=ISO-8859-1\r\n";
            answer("500 Internal Server Error", html, b"Gr\xf6\xdfe")
        },
        &["the response begins: Größe"],
    ),
    (
        "UTF-16 of an error",
        GET,
        |_| {
            let bytes: Vec<u8> = "\u{feff}läuft nicht"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect();
            let plain = "content-type: text/plain; charset=utf-16\r\n";
            answer("500 Internal Server Error", plain, bytes)
        },
        &["the response begins: läuft nicht"],
    ),
    (
        "gzip that is none",
        TAKES,
        |_| coded("200 OK", b"{\"id\":5}"),
        &["the body is not valid gzip, although its content-encoding says so"],
    ),
    (
        "gzip without its end",
        TAKES,
        |_| {
            let whole = gzip(format!("{{\"id\":5,\"x\":\"{}\"}}", digits(4000)).as_bytes());
            coded("200 OK", &whole[..whole.len() / 2])
        },
        &["compressed (gzip) and truncated"],
    ),
    (
        "a bomb",
        TAKES,
        |_| {
            let large = format!("{{\"id\":5,\"x\":\"{}\"}}", " ".repeat(3 << 20));
            coded("200 OK", &gzip(large.as_bytes()))
        },
        &["larger than 1 MiB when decoded"],
    ),
    (
        "null",
        TAKES,
        |_| answer("200 OK", "", "{\"id\":null}"),
        &["nothing to extract for `id`: the JSON is null at `/id`"],
    ),
    (
        "JSON without its end",
        TAKES,
        |_| answer("200 OK", "", "{\"id\":"),
        &["the body's JSON is incomplete: it was cut short"],
    ),
    (
        "a page",
        TAKES,
        |_| answer("200 OK", "", "<html>Log in"),
        &[
            "the body is not JSON (expected value",
            "the response begins: <html>Log in",
        ],
    ),
];

#[test]
fn what_came_is_said_of_every_answer_that_is_none() {
    for (name, steps, answers, parts) in ALL {
        let folder = tempfile::tempdir().unwrap();
        let server = server(answers);
        profile(folder.path(), &server.url, steps);
        let look = breakpoint(folder.path(), &["try", "p.toml"]);
        let text = out(&look);
        assert_eq!(look.status.code(), Some(5), "{name}: {text}{}", said(&look));
        let told = text.lines().last().unwrap();
        for part in *parts {
            assert!(told.contains(part), "{name}: no `{part}` in\n{text}");
        }
        assert!(!text.contains("nothing answered"), "{name}: {text}");
        assert!(!text.contains("s3cr3t"), "{name}: {text}");
    }
}

#[test]
fn a_first_contact_that_was_cut_short_was_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(ALL[0].2);
    profile(folder.path(), &server.url, GET);
    let run = breakpoint(folder.path(), &["find", "p.toml"]);
    let text = out(&run);
    assert_eq!(run.status.code(), Some(5), "{text}{}", said(&run));
    assert!(
        text.contains("the first request failed: step `home`")
            && text.contains("after 10 of 100 bytes"),
        "{text}"
    );
}

#[test]
fn what_is_taken_from_where_secrets_stand_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(|asked| {
        if asked.head.starts_with("POST /login") {
            let cookie = "set-cookie: sid=s3cr3tA; Path=/; HttpOnly\r\nx-auth-token: s3cr3t-B\r\n";
            let body = r#"{"id":"plain-17","access_token":"s3cr3t-C","next":"eyJhbGciOiJIUzI1NiJ9.s3cr3tD"}"#;
            answer("200 OK", cookie, body)
        } else {
            let head = asked.head.lines().collect::<Vec<_>>().join(" ");
            answer("200 OK", "", format!("you sent {head}"))
        }
    });
    let steps = "[[scenario.steps]]\nname = 'login'\npost = '/login'\nextract = { a = 'header:set-cookie', b = 'header:x-auth-token', \
                 c = '/access_token', d = '/next', id = '/id' }\n\
                 [[scenario.steps]]\nname = 'use'\nget = '/u/{{ id }}?x={{ b }}&y={{ c }}&z={{ d }}'\nheaders = { x-a = '{{ a }}' }\n";
    profile(folder.path(), &server.url, steps);
    let look = breakpoint(folder.path(), &["try", "p.toml"]);
    let text = out(&look);
    assert_eq!(look.status.code(), Some(0), "{text}{}", said(&look));
    assert!(!text.contains("s3cr3t"), "{text}");
    assert!(text.contains("* id = plain-17"), "{text}");
    assert!(
        text.contains("* a = ***") && text.contains("* c = ***"),
        "{text}"
    );
}

#[test]
fn a_target_that_died_when_it_came_up_is_asked_once_and_its_words_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    profile(at, &format!("http://{nobody}"), GET);
    let text = fs::read_to_string(at.join("p.toml")).unwrap();
    let up = "[target]\nup = '''echo starting; (sleep 0.4; echo \"password=s3cr3t-x address in \
        use\" >&2) &'''\n";
    let text = text
        .replace("[target]\n", up)
        .replace("reset-timeout = '1s'", "reset-timeout = '30s'");
    fs::write(at.join("p.toml"), text).unwrap();
    let began = Instant::now();
    let look = breakpoint(at, &["try", "p.toml", "--yes"]);
    let text = out(&look);
    assert_eq!(look.status.code(), Some(5), "{text}{}", said(&look));
    assert!(began.elapsed() < Duration::from_secs(20), "{text}");
    assert_eq!(text.matches("> GET /home").count(), 1, "{text}");
    for part in [
        "* `up` says: starting",
        "* the process that `up` left running has ended",
        "nothing answered; last output of `up`",
        "password=*** address in use",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    assert!(!text.contains("s3cr3t"), "{text}");
}

#[test]
fn an_address_in_a_profiles_place_or_without_its_scheme_is_said_to_be_one() {
    let folder = tempfile::tempdir().unwrap();
    for (args, part) in [
        (
            &["try", "localhost:19/ok"][..],
            "use --url http://localhost:19/ok",
        ),
        (
            &["try", "--url", "localhost:19/ok"],
            "write it as http://localhost:19/ok",
        ),
        (&["try", "--url", "http://"], "the address has no host"),
    ] {
        let look = breakpoint(folder.path(), args);
        assert_eq!(look.status.code(), Some(2), "{}", said(&look));
        assert!(said(&look).contains(part), "{}", said(&look));
    }
}
