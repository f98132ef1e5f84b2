//! Each `WebSocket` step by the program as users start it: the profiles of docs/websocket.md, what
//! `try` shows, and a search.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use breakpoint::record::RunRecord;
use breakpoint::report;
use breakpoint::slo::Verdict;
use rustls::{ServerConnection, StreamOwned};
use tempfile::TempDir;
use tungstenite::handshake::server::{Request, Response};
use tungstenite::{Message, WebSocket};

use crate::starved::{Starved, repeated};
use crate::tls::{certificates, server_config};

const DOCUMENT: &str = include_str!("../../docs/websocket.md");

type Peer = WebSocket<TcpStream>;

/// Serves each WebSocket on a thread of its own, with the path that it was opened at.
fn server(serve: impl Fn(&str, Peer) -> Option<()> + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || {
                let mut path = String::new();
                #[expect(clippy::result_large_err, reason = "the library's own type")]
                let look = |request: &Request, response: Response| {
                    request.uri().path().clone_into(&mut path);
                    Ok(response)
                };
                if let Ok(socket) = tungstenite::accept_hdr(tcp, look) {
                    serve(&path, socket);
                }
            });
        }
    });
    url
}

fn text(socket: &mut Peer) -> Option<String> {
    loop {
        if let Message::Text(text) = socket.read().ok()? {
            return Some(text.to_string());
        }
    }
}

fn say(socket: &mut Peer, text: &str) -> Option<()> {
    socket.send(Message::text(text)).ok()
}

/// A chat room, and a Socket.IO server, as the gateways of `NestJS` are.
fn gateway(path: &str, mut socket: Peer) -> Option<()> {
    if path == "/ws" {
        loop {
            let said = text(&mut socket)?.replace("\"say\"", "\"said\"");
            say(&mut socket, &said)?;
        }
    }
    say(
        &mut socket,
        r#"0{"sid":"a","pingInterval":300,"pingTimeout":200}"#,
    )?;
    let joined = text(&mut socket)?;
    assert!(joined.starts_with("40"), "{joined}");
    say(&mut socket, r#"40{"sid":"b"}"#)?;
    say(&mut socket, "2")?;
    // Who does not answer the ping is told nothing more.
    let (mut answered, mut asked) = (false, None);
    loop {
        match text(&mut socket)?.as_str() {
            "3" => answered = true,
            question => asked = Some(question.replace("[\"ask\"", "[\"answer\"")),
        }
        if answered && let Some(answer) = asked.take() {
            say(&mut socket, &answer)?;
        }
    }
}

fn breakpoint(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_breakpoint"))
        .args(args)
        .current_dir(dir)
        .env("CI", "true")
        .env("XDG_STATE_HOME", dir)
        .env("CHAT_KEY", "correct-horse")
        .output()
        .unwrap()
}

/// Writes a profile; what `try` says of it.
fn tried(profile: &str) -> (String, Option<i32>) {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("p.toml"), profile).unwrap();
    let output = breakpoint(dir.path(), &["try", "p.toml"]);
    let said = [&output.stdout[..], &output.stderr].concat();
    (String::from_utf8(said).unwrap(), output.status.code())
}

#[test]
fn the_profiles_of_the_document_are_those_that_come_with_it_and_pass() {
    let url = server(gateway);
    for (name, file) in [
        ("websocket", include_str!("../../profiles/websocket.toml")),
        ("socketio", include_str!("../../profiles/socketio.toml")),
    ] {
        let begin = format!("<!-- profiles/{name}.toml -->\n```toml\n");
        let (_, rest) = DOCUMENT.split_once(&begin).expect("a profile");
        let (shown, _) = rest.split_once("```").unwrap();
        assert_eq!(shown, file, "docs/websocket.md and profiles/{name}.toml");
        let (said, code) = tried(&file.replace("http://127.0.0.1:3000", &url));
        assert_eq!(code, Some(0), "{said}");
    }
}

#[test]
fn one_cycle_shows_the_messages_without_their_secrets() {
    let url = server(|_, mut socket| {
        let said = text(&mut socket)?;
        say(&mut socket, &format!("you said {said}"))?;
        text(&mut socket).map(drop)
    });
    let (said, code) = tried(&format!(
        "name = 'p'\nslo = ['errors<1%']\n[target]\nurl = '{url}'\n[scenario]\nsteps = [\n\
         {{ name = 'ws', connect = '/', headers = {{ authorization = 'Bearer abc' }} }},\n\
         {{ name = 'join', send = {{ json = {{ key = '{{{{ env.CHAT_KEY }}}}', n = 1 }} }} }},\n\
         {{ name = 'joined', wait = {{ contains = 'you said', match = {{ '/n' = '1' }} }} }},\n\
         {{ name = 'never', wait = {{}}, timeout = '200ms' }} ]"
    ));
    assert_eq!(code, Some(5), "{said}");
    for part in [
        "> authorization: ***",
        "< HTTP/1.1 101 Switching Protocols",
        "> message: {\"key\":\"***\",\"n\":1}",
        "< message: you said {\"key\":\"***\"",
        "failed with `timeout`",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("correct-horse"), "{said}");
}

#[test]
fn a_message_that_does_not_match_is_told_and_is_an_answer() {
    let url = server(|_, mut socket| {
        let said = text(&mut socket)?;
        say(&mut socket, &format!("you said {said}"))?;
        text(&mut socket).map(drop)
    });
    let profile = |wanted: &str| {
        format!(
            "name = 'p'\nslo = ['errors<1%']\n[target]\nurl = '{url}'\n[scenario]\nsteps = [\n\
             {{ name = 'ws', connect = '/' }},\n{{ name = 'ask', send = 'hello' }},\n\
             {{ name = 'told', wait = {{ contains = 'you said' }} }},\n\
             {{ name = 'more', wait = {{ contains = '{wanted}' }}, timeout = '300ms' }} ]"
        )
    };
    let (said, code) = tried(&profile("bye").replace("'you said'", "'goodbye'"));
    assert_eq!(code, Some(5), "{said}");
    let (_, last) = said.rsplit_once("failed: ").unwrap();
    assert!(
        last.contains("1 came that was not what it waits for: message: you said hello"),
        "{said}"
    );
    assert!(!said.contains("nothing answered"), "{said}");
    let (said, code) = tried(&profile("bye").replace("timeout = '300ms'", "timeout = '200ms'"));
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("nothing came while it waited"), "{said}");
    assert!(!said.contains("nothing answered"), "{said}");
}

/// An echo server behind TLS, with a certificate that nobody here trusts.
fn behind_tls() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (_, certificate, key) = certificates();
    let config = Arc::new(server_config(certificate, key));
    thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            thread::spawn(move || {
                let mut socket = tungstenite::accept(StreamOwned::new(session, tcp)).ok()?;
                while let Ok(message) = socket.read() {
                    if message.is_text() {
                        socket.send(message).ok()?;
                    }
                }
                Some(())
            });
        }
    });
    address.to_string()
}

#[test]
fn a_websocket_behind_tls_is_held_where_its_certificate_may_be_anybodys() {
    let address = behind_tls();
    let dir = TempDir::new().unwrap();
    for scheme in ["wss", "https"] {
        let profile = format!(
            "name = 'p'\nslo = ['p99(heard)<5s', 'errors<1%']\n[target]\n\
             url = 'https://{address}'\n[scenario]\nmain = 'heard'\n\
             start = [{{ name = 'ws', connect = '{scheme}://{address}/' }}]\nsteps = [\n\
             {{ name = 'say', send = 'hello {{{{ vu }}}}' }},\n\
             {{ name = 'heard', wait = {{ text = 'hello {{{{ vu }}}}', since = 'say' }} }},\n\
             {{ think = '100ms' }} ]\n"
        );
        fs::write(dir.path().join("p.toml"), profile).unwrap();
        let said = |args: &[&str]| {
            let output = breakpoint(dir.path(), args);
            let both = [&output.stdout[..], &output.stderr].concat();
            (String::from_utf8(both).unwrap(), output.status.code())
        };
        let (refused, code) = said(&["try", "p.toml"]);
        assert_eq!(code, Some(5), "{refused}");
        assert!(refused.contains("certificate"), "{refused}");
        let (tried, code) = said(&["try", "p.toml", "-k"]);
        assert_eq!(code, Some(0), "{tried}");
        assert!(tried.contains("message: hello 0"), "{tried}");
    }
    let stages = ["--stages", "20:0s,20:2s", "--out", "out"];
    let output = breakpoint(
        dir.path(),
        &[&["ramp", "p.toml", "-k"][..], &stages].concat(),
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let runs = fs::read_dir(dir.path().join("out/p")).expect("a report");
    let run = runs.flatten().next().expect("a run").path();
    let record = report::read_ramp(&fs::read(run.join("ramp.json")).unwrap()).unwrap();
    let heard = record.stages.iter().flat_map(|s| &s.steps);
    let heard: u64 = heard
        .filter(|s| s.step == "heard")
        .map(|s| s.completed)
        .sum();
    assert!(heard > 20, "{heard} {said}");
}

#[test]
fn a_host_that_is_not_this_machine_is_refused_before_anything_is_sent() {
    let (said, code) = tried(
        "name = 'p'\nslo = ['errors<1%']\n[target]\nurl = 'http://127.0.0.1:1'\n[scenario]\n\
         steps = [{ name = 'ws', connect = 'wss://192.0.2.7/chat' }]",
    );
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("192.0.2.7"), "{said}");
}

/// One worker answers all messages in their order, 10 ms each; users think half a second. Past some
/// 51 of them they queue, and the wait grows by 10 ms a user: between 60 and 90 the p99 passes 300
/// ms.
#[test]
fn a_search_finds_the_load_that_an_echo_server_with_one_worker_carries() {
    let (sender, jobs) = mpsc::channel::<mpsc::Sender<()>>();
    thread::spawn(move || {
        for done in jobs {
            thread::sleep(Duration::from_millis(10));
            let _ = done.send(());
        }
    });
    let url = server(move |_, mut socket| {
        loop {
            let said = text(&mut socket)?;
            let (done, wait) = mpsc::channel();
            sender.send(done).ok()?;
            wait.recv().ok()?;
            say(&mut socket, &said)?;
        }
    });
    let dir = TempDir::new().unwrap();
    let profile = format!(
        "name = 'p'\nslo = ['p99(echo)<300ms', 'errors<1%']\n[target]\nurl = '{url}'\n\
         [scenario]\nmain = 'echo'\nstart = [{{ name = 'ws', connect = '/' }}]\nsteps = [\n\
         {{ name = 'ask', send = 'q {{{{ vu }}}} {{{{ cycle }}}}' }},\n\
         {{ name = 'echo', wait = {{ text = 'q {{{{ vu }}}} {{{{ cycle }}}}', \
         since = 'ask' }} }},\n\
         {{ think = {{ exponential = '500ms' }} }} ]\n\
         [search]\nstart-vus = 20\nmax-vus = 300\nbudget = '45s'\nhold-min = '4s'\n\
         hold-max = '6s'\nsettle-max = '5s'\nprecision = '30%'\nreference-holds = false\n"
    );
    fs::write(dir.path().join("p.toml"), profile).unwrap();
    repeated(|| {
        let _ = fs::remove_dir_all(dir.path().join("out"));
        let output = breakpoint(dir.path(), &["find", "p.toml", "--out", "out"]);
        let said = String::from_utf8_lossy(&output.stderr);
        let runs = fs::read_dir(dir.path().join("out/p")).expect("a report");
        let run = runs.flatten().next().expect("a run").path();
        let record = report::read(&fs::read(run.join("result.json")).unwrap()).unwrap();
        carries_what_it_can(&record, &said)
    });
}

/// Whether a search shows what one worker carries.
fn carries_what_it_can(record: &RunRecord, said: &str) -> Result<(), Starved> {
    let held = record.probes.iter().filter(|p| p.verdict == Verdict::Held);
    let held = held.map(|p| p.level.get()).max();
    let broke = record.probes.iter().filter(|p| p.verdict == Verdict::Broke);
    let broke = broke.map(|p| p.level.get()).min();
    if held.is_none() || broke.is_none() {
        return Err(Starved(said.to_owned()));
    }
    assert!(
        held.is_some_and(|h| (20..=100).contains(&h)),
        "{held:?} {said}"
    );
    assert!(
        broke.is_some_and(|b| (40..=200).contains(&b)),
        "{broke:?} {said}"
    );
    Ok(())
}
