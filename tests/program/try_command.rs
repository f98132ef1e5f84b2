//! A first contact that fails says what failed, and `try` shows all of one cycle: against real
//! servers that do each what a user meets first, and whose answers are hostile.

mod answers;
mod llm;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A request as a server sees it.
pub(crate) struct Asked {
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A server that gives every request the answer that is made of it.
pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<AtomicUsize>,
}

pub(crate) fn server(answer: impl Fn(&Asked) -> Vec<u8> + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let (count, answer) = (Arc::clone(&asked), Arc::new(answer));
    std::thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let (count, answer) = (Arc::clone(&count), Arc::clone(&answer));
            std::thread::spawn(move || serve(tcp, &count, &*answer));
        }
    });
    Server { url, asked }
}

fn serve(tcp: TcpStream, count: &AtomicUsize, answer: &dyn Fn(&Asked) -> Vec<u8>) {
    let mut write = tcp.try_clone().unwrap();
    let mut read = BufReader::new(tcp);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if !matches!(read.read_line(&mut head), Ok(1..)) {
                return;
            }
        }
        let length = head.to_ascii_lowercase();
        let length = length
            .lines()
            .find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        if read.read_exact(&mut body).is_err() {
            return;
        }
        count.fetch_add(1, Ordering::SeqCst);
        let body = String::from_utf8_lossy(&body).into_owned();
        let bytes = answer(&Asked { head, body });
        // A head that goes before its body, as many servers send it.
        let cut = bytes
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .map_or(bytes.len(), |at| at + 4);
        for part in [&bytes[..cut], &bytes[cut..]] {
            if write.write_all(part).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let is_last = bytes.windows(17).any(|w| w == b"connection: close");
        if is_last || !bytes.starts_with(b"HTTP/1.1") {
            return;
        }
    }
}

pub(crate) fn answer(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn breakpoint(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_breakpoint"))
        .args(args)
        .current_dir(folder)
        .env("XDG_STATE_HOME", folder.join("state"))
        .env("API_KEY", "s3cr3t-of-the-environment")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const LOGIN: &str = "[[scenario.steps]]\nname = 'login'\npost = '/login'\n\
                     json = { user = 'ann', password = 'wrong-one' }\nextract = { session = '/id' }\n\
                     [[scenario.steps]]\nname = 'home'\nget = '/home?of={{ session }}'\nheaders = { authorization = 'Bearer {{ session }}' }\n";

/// What a user meets first: how it is spelt in the profile, who answers, and what must be said of
/// it.
struct Case {
    name: &'static str,
    steps: &'static str,
    answer: fn(&Asked) -> Vec<u8>,
    /// In what `find` says, and in what `try` says.
    parts: &'static [&'static str],
    /// Whether it is said at once, without another try.
    at_once: bool,
}

const GET: &str = "[[scenario.steps]]\nname = 'home'\nget = '/home'\n";

fn gzipped(_: &Asked) -> Vec<u8> {
    let bytes = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0x56, 0x4a];
    answer("200 OK", "content-encoding: gzip\r\n", bytes)
}

const CASES: &[Case] = &[
    Case {
        name: "401",
        steps: GET,
        answer: |_| answer("401 Unauthorized", "", "{\"error\":\"no api key\"}"),
        parts: &[
            "step `home` (GET http://127.0.0.1:",
            "/home) was answered with 401 Unauthorized",
            "no api key",
        ],
        at_once: true,
    },
    Case {
        name: "404",
        steps: GET,
        answer: |_| answer("404 Not Found", "", "<html><title>Not here</title></html>"),
        parts: &[
            "/home) was answered with 404 Not Found",
            "<title>Not here</title>",
        ],
        at_once: true,
    },
    Case {
        name: "missing cookie",
        steps: GET,
        answer: |asked| {
            if asked.head.contains("cookie: ") {
                answer("200 OK", "", "ok")
            } else {
                answer(
                    "403 Forbidden",
                    "set-cookie: sid=s3cr3t-cookie\r\n",
                    "no session cookie",
                )
            }
        },
        parts: &["403 Forbidden", "no session cookie"],
        at_once: true,
    },
    Case {
        name: "wrong password",
        steps: LOGIN,
        answer: |asked| {
            if asked.body.contains("right-one") {
                answer("200 OK", "", "{\"id\":\"abcdef\"}")
            } else {
                answer("401 Unauthorized", "", "{\"error\":\"wrong password\"}")
            }
        },
        parts: &[
            "step `login` (POST http://",
            "/login) was answered with 401",
            "wrong password",
        ],
        at_once: true,
    },
    Case {
        name: "expired session",
        steps: LOGIN,
        answer: |asked| {
            if asked.head.starts_with("POST /login") {
                answer("200 OK", "", "{\"id\":\"taken-from-an-answer\"}")
            } else {
                answer("401 Unauthorized", "", "taken-from-an-answer has expired")
            }
        },
        parts: &[
            "step `home` (GET http://",
            "was answered with 401",
            " has expired",
        ],
        at_once: true,
    },
    Case {
        name: "gzip body",
        steps: LOGIN,
        answer: gzipped,
        parts: &["step `login`", "compressed (gzip) and truncated"],
        at_once: false,
    },
    Case {
        name: "no such value",
        steps: LOGIN,
        answer: |_| answer("200 OK", "", "{\"other\":1}"),
        parts: &[
            "nothing to extract for `session`: the JSON has no `/id`",
            "{\"other\":1}",
        ],
        at_once: false,
    },
    Case {
        name: "HTTP/2 only",
        steps: GET,
        // SETTINGS, and GOAWAY for a bad preface.
        answer: |_| {
            vec![
                0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
            ]
        },
        parts: &["set `http = \"2\"`"],
        at_once: false,
    },
    Case {
        name: "not an event stream",
        steps: "[[scenario.steps]]\nname = 'listen'\nopen = '/events'\n",
        answer: |_| answer("200 OK", "content-type: text/html\r\n", "<h1>hi</h1>"),
        parts: &["not an event stream: its content-type is `text/html`"],
        at_once: false,
    },
    Case {
        name: "nothing at all",
        steps: GET,
        answer: |_| Vec::new(),
        parts: &["closed without an answer"],
        at_once: false,
    },
];

fn profile(folder: &Path, url: &str, steps: &str) {
    let text = format!(
        "name = 'p'\nslo = ['errors<50%']\n[target]\nurl = '{url}'\nreset-timeout = \
         '1s'\ncanary-cycles = 1\n[scenario]\ntimeout = '5s'\n{steps}"
    );
    fs::write(folder.join("p.toml"), text).unwrap();
}

#[test]
fn a_first_contact_that_fails_says_what_was_answered() {
    for case in CASES {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        let server = server(case.answer);
        profile(at, &server.url, case.steps);
        let began = Instant::now();
        let run = breakpoint(at, &["find", "p.toml"]);
        let took = began.elapsed();
        let text = out(&run);
        assert_eq!(
            run.status.code(),
            Some(5),
            "{}: {text}{}",
            case.name,
            said(&run)
        );
        for part in case.parts {
            assert!(text.contains(part), "{}: no `{part}` in\n{text}", case.name);
        }
        assert!(!text.contains("taken-from-an-answer"), "{text}");
        assert!(!text.contains("does not answer"), "{}: {text}", case.name);
        assert!(
            text.contains("`breakpoint try p.toml`"),
            "{}: {text}",
            case.name
        );
        let asked = server.asked.load(Ordering::SeqCst);
        // Requests of one cycle.
        let once = if case.name == "expired session" { 2 } else { 1 };
        assert_eq!(
            case.at_once,
            asked == once,
            "{}: asked {asked} times in {took:?}",
            case.name
        );
        assert_eq!(
            !case.at_once,
            said(&run).contains("waiting for the target ("),
            "{}",
            case.name
        );

        let look = breakpoint(at, &["try", "p.toml"]);
        let text = out(&look);
        assert_eq!(
            look.status.code(),
            Some(5),
            "{}: {text}{}",
            case.name,
            said(&look)
        );
        for part in case.parts {
            assert!(text.contains(part), "{}: no `{part}` in\n{text}", case.name);
        }
        for secret in ["s3cr3t-cookie", "wrong-one"] {
            assert!(!text.contains(secret), "{}: {secret} in\n{text}", case.name);
        }
    }
}

#[test]
fn where_nobody_listens_the_error_is_told_and_try_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let url = format!("http://{nobody}/x");
    profile(folder.path(), &format!("http://{nobody}"), GET);
    let run = breakpoint(
        folder.path(),
        &["ramp", "p.toml", "--stages", "1:1s", "--url", &url],
    );
    let text = out(&run);
    assert_eq!(run.status.code(), Some(5), "{text}{}", said(&run));
    assert!(
        text.contains("does not answer") && text.contains("Connection refused"),
        "{text}"
    );
    assert!(
        text.contains(&format!("`breakpoint try p.toml --url {url}`")),
        "{text}"
    );
    let look = breakpoint(folder.path(), &["try", "--url", &url]);
    assert_eq!(look.status.code(), Some(5));
    assert!(out(&look).contains("nothing answered"), "{}", out(&look));
}

/// Logs a user in and gives him a stream, on which his own number comes.
fn chat(asked: &Asked) -> Vec<u8> {
    let path = asked.head.split(' ').nth(1).unwrap_or_default();
    match path {
        "/login" => answer(
            "200 OK",
            "set-cookie: sid=s3cr3t-cookie\r\nx-evil: \u{202e}\r\n",
            format!(
                "{{\"id\":\"session-of-{}\",\"token\":\"s3cr3t-token\"}}",
                asked.body.len()
            ),
        ),
        "/events" => {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
            format!(
                "{head}event: hello\ndata: {{}}\n\nevent: answer\ndata: \
                {{\"id\":\"7\",\"say\":\"<b>\"}}\n\n"
            )
            .into_bytes()
        }
        _ => answer("200 OK", "", format!("\x1b[2J{}", "x".repeat(5000))),
    }
}

const CHAT: &str = "feeders = { users = { file = 'users.csv', order = 'per-vu' } }\n\
    headers = { x-api-key = '{{ env.API_KEY }}' }\n\
    [[scenario.steps]]\nname = 'login'\npost = '/login'\nbody = '{{ users.name }} {{ users.password }}'\nextract = { session = '/id' }\n\
    [[scenario.steps]]\nname = 'listen'\nopen = '/events'\n\
    [[scenario.steps]]\nthink = '1h'\n\
    [[scenario.steps]]\nname = 'answer'\nwait = { event = 'answer' }\nextract = { number = '/id' }\n\
    [[scenario.steps]]\nname = 'page'\nget = '/page?of={{ session }}&echo={{ env.API_KEY }}'\n";

#[test]
fn a_look_shows_everything_of_one_cycle_but_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let server = server(chat);
    let users = "name,password\nann,s3cr3t-one\nbob,s3cr3t-two-longer\n";
    fs::write(at.join("users.csv"), users).unwrap();
    profile(at, &server.url, CHAT);
    let look = breakpoint(at, &["try", "p.toml", "--vu", "1"]);
    let text = out(&look);
    assert_eq!(look.status.code(), Some(0), "{text}{}", said(&look));
    for part in [
        "# login: POST /login; passes with any 2xx, and `/id` of the JSON for `session`, within \
         5.00 s",
        "> POST /login HTTP/1.1",
        "> x-api-key: ***",
        "> bob ***",
        "< HTTP/1.1 200 OK",
        "< set-cookie: ***",
        "< {\"id\":\"session-of-21\",\"token\":\"***\"}",
        "* session = session-of-21   (from `/id` of the JSON)",
        "# listen: GET /events; passes with any 2xx and content-type text/event-stream",
        "* 60 min 0 s of think time skipped",
        "< event hello: {}",
        "< event answer: {\"id\":\"7\",\"say\":\"<b>\"}",
        "* number = 7",
        "> GET /page?of=session-of-21&echo=*** HTTP/1.1",
        "(the first kilobyte)",
        "passed: the cycle of VU 1 took",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
    assert!(!text.contains("s3cr3t"), "{text}");
    assert!(
        !text.contains('\u{1b}') && !text.contains('\u{202e}'),
        "{text}"
    );
    assert!(
        text.lines()
            .filter(|l| l.contains("xxxx"))
            .all(|l| l.len() <= 1040),
        "{text}"
    );
}

#[test]
fn a_look_brings_the_target_up_and_down_and_asks_before() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let server = server(|_| answer("200 OK", "", "ok"));
    profile(at, &server.url, GET);
    let text = fs::read_to_string(at.join("p.toml")).unwrap();
    let text = text.replace(
        "[target]\n",
        "[target]\nup = 'echo up >> ran'\ndown = 'echo down >> ran'\n",
    );
    fs::write(at.join("p.toml"), text).unwrap();
    let refused = breakpoint(at, &["try", "p.toml"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(
        said(&refused).contains("echo up >> ran"),
        "{}",
        said(&refused)
    );
    assert!(!at.join("ran").exists());
    let agreed = breakpoint(at, &["try", "p.toml", "--yes"]);
    assert_eq!(agreed.status.code(), Some(0), "{}", said(&agreed));
    assert_eq!(fs::read_to_string(at.join("ran")).unwrap(), "up\ndown\n");
    assert_eq!(server.asked.load(Ordering::SeqCst), 1, "one cycle");
}

#[test]
fn a_look_is_refused_where_another_program_makes_the_load() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (engine, part) in [
        ("kind = 'locust'\nurl = 'http://127.0.0.1:1'\n", "Locust"),
        ("kind = 'k6'\nscript = 'script.js'\n", "k6 run --vus 1"),
    ] {
        fs::write(at.join("script.js"), "export default function () {}").unwrap();
        let text = format!("slo = ['errors<1%']\n[engine]\n{engine}");
        fs::write(at.join("p.toml"), text).unwrap();
        let look = breakpoint(at, &["try", "p.toml"]);
        assert_eq!(look.status.code(), Some(2), "{}", said(&look));
        assert!(said(&look).contains(part), "{}", said(&look));
    }
    let server = server(|_| answer("200 OK", "", "ok"));
    profile(at, &server.url, GET);
    let unknown = breakpoint(at, &["try", "p.toml", "--population", "nobody"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", said(&unknown));
    assert!(
        said(&unknown).contains("available: users"),
        "{}",
        said(&unknown)
    );
}

/// Every third request is refused, with words that nobody should believe.
fn limited(count: &AtomicUsize) -> Vec<u8> {
    match count.fetch_add(1, Ordering::SeqCst) % 3 {
        0 => answer(
            "429 Too Many Requests",
            "set-cookie: sid=s3cr3t-cookie\r\n",
            "{\"error\":\"limit of user 17 \
             <script>\x1b[2J\",\"token\":\"s3cr3t-token\",\"session\":\"abcdef\"}",
        ),
        _ => answer("200 OK", "", "{\"id\":\"abcdef\"}"),
    }
}

fn measured(excerpts: bool) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let count = AtomicUsize::new(1);
    let server = server(move |asked| {
        if asked.head.contains("/home") {
            limited(&count)
        } else {
            answer("200 OK", "", "{\"id\":\"abcdef\"}")
        }
    });
    profile(at, &server.url, LOGIN);
    let text = fs::read_to_string(at.join("p.toml")).unwrap();
    let text = text
        .replace("errors<50%", "errors<10%")
        .replace("name = 'p'", &format!("name = 'p'\nexcerpts = {excerpts}"));
    let search = "[[scenario.steps]]\nthink = '50ms'\n[search]\nmax-vus = 4\nstart-vus = \
        2\nbudget = '10s'\nhold-min = '1s'\nhold-max = '2s'\nsettle-max = '1s'\n";
    fs::write(at.join("p.toml"), format!("{text}{search}")).unwrap();
    let run = breakpoint(at, &["find", "p.toml"]);
    assert!(
        run.status.code().is_some_and(|c| c != 1 && c != 2),
        "{}",
        said(&run)
    );
    let text = out(&run);
    (folder, text)
}

fn reports(folder: &Path) -> std::path::PathBuf {
    let dir = fs::read_dir(folder.join("reports/p")).unwrap();
    dir.flatten().next().unwrap().path()
}

#[test]
fn what_fails_during_a_search_is_told_by_status_and_words_and_without_secrets() {
    let (folder, summary) = measured(true);
    let dir = reports(folder.path());
    let read = |name: &str| fs::read_to_string(dir.join(name)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&read("result.json")).unwrap();
    let probes = json["probes"].as_array().unwrap();
    let home = |p: &serde_json::Value| {
        p["steps"]
            .as_array()
            .unwrap()
            .iter()
            .find(|s| s["step"] == "home")
            .unwrap()
            .clone()
    };
    let way = probes
        .iter()
        .map(|p| home(p)["failures"][0].clone())
        .find(|w| !w.is_null())
        .unwrap();
    assert_eq!(way["status"], 429, "{way}");
    assert_eq!(way["kind"], "status", "{way}");
    assert_eq!(way["request"], "GET /home?of={{ session }}", "{way}");
    let excerpt = way["excerpt"].as_str().unwrap();
    assert_eq!(
        excerpt,
        "{\"error\":\"limit of user 17 <script>\\u{1b}[2J\",\"token\":\"***\",\"session\":\"***\"}"
    );
    assert!(
        way["message"]
            .as_str()
            .unwrap()
            .starts_with("{\"error\":\"limit of user # <script>"),
        "{way}"
    );

    let exchanges: Vec<&serde_json::Value> = probes
        .iter()
        .filter_map(|p| p["exchanges"].as_array())
        .flatten()
        .collect();
    assert!((1..=20).contains(&exchanges.len()), "{}", exchanges.len());
    for exchange in &exchanges {
        let text = exchange["text"].as_str().unwrap();
        assert!(text.len() <= 1024, "{}", text.len());
        for part in [
            "> GET /home?of=*** HTTP/1.1",
            "> authorization: ***",
            "< HTTP/1.1 429",
            "< set-cookie: ***",
            "\"token\":\"***\"",
        ] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
    }
    for (name, part) in [
        ("report.html", "limit of user 17 &lt;script&gt;"),
        ("report.md", "What failed"),
        ("holds.csv", "429 from `GET /home"),
    ] {
        assert!(read(name).contains(part), "no `{part}` in {name}");
    }
    assert!(
        summary.contains(" %: 429 from `GET /home?of={{ session }}`"),
        "{summary}"
    );
    let files = fs::read_dir(&dir).unwrap().flatten();
    for entry in files.filter(|e| e.path().extension().is_none_or(|x| x != "png")) {
        let bytes = fs::read(entry.path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for secret in [
            "s3cr3t",
            "wrong-one",
            "abcdef",
            "\u{1b}",
            "user 17 <script>\\u{1b}[2J</td>",
        ] {
            assert!(!text.contains(secret), "`{secret}` in {:?}", entry.path());
        }
    }
}

#[test]
fn without_excerpts_nothing_of_an_answer_is_kept() {
    let (folder, _) = measured(false);
    let dir = reports(folder.path());
    let json = fs::read_to_string(dir.join("result.json")).unwrap();
    assert!(
        json.contains("\"status\": 429"),
        "it is counted all the same"
    );
    for part in ["exchanges", "excerpt", "limit of user"] {
        assert!(!json.contains(part), "{part}");
    }
}
