//! Secrets reach the target, the monitors and the cluster that they are for, and nothing that is
//! printed, written or served.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::target_server::Server;

/// Every secret has this in it.
const SECRET: &str = "s3cr3t";

/// Nobody listens there.
fn closed() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn program(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
    command
        .args(args)
        .current_dir(folder)
        .env("XDG_STATE_HOME", folder.join("state"))
        .env("API_TOKEN", "s3cr3t-header")
        .env("URL_KEY", "s3cr3t-url")
        .env("BODY", "s3cr3t-body")
        .env("REDIS_PASSWORD", "s3cr3t-redis")
        .env("PAGE_TOKEN", "s3cr3t-page")
        .env("PUSH", "s3cr3t-push")
        .env("COOKIE", "s3cr3t-cookie")
        .env("UNFIT", "s3cr3t\nunfit")
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_STEP_SUMMARY", folder.join("step-summary"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn profile(url: &str, server: &Server) -> String {
    format!(
        "name = 'p'\nslo = ['errors<50%']\n[target]\nurl = '{url}'\nreset-timeout = '2s'\ndrain-timeout = '2s'\n\
         [scenario]\ntimeout = '5s'\n\
         headers = {{ authorization = 'Bearer {{{{ env.API_TOKEN }}}}', x-file = '{{{{ file(\"secret-file\") }}}}' }}\n\
         feeders = {{ users = {{ file = 'users.csv' }} }}\n\
         vars = {{ login = '{{{{ users.password }}}}' }}\n\
         [[scenario.steps]]\nname = 'ask'\npost = '/ask?key={{{{ env.URL_KEY }}}}&p={{{{ users.password }}}}'\n\
         json = {{ password = '{{{{ env.BODY }}}}', login = '{{{{ login }}}}' }}\n\
         [[scenario.steps]]\nthink = '50ms'\n\
         [search]\nstart-vus = 5\nmax-vus = 10\nbudget = '12s'\nhold-min = '1s'\nhold-max = '2s'\nsettle-max = '2s'\n\
         [[monitor]]\nname = 'cache'\nredis = 'redis://:{{{{ env.REDIS_PASSWORD }}}}@{}'\n\
         [[monitor]]\nname = 'page'\nprometheus = 'http://me:{{{{ file(\"secret-file\") }}}}@{}/metrics?token={{{{ env.PAGE_TOKEN }}}}'\n\
         metrics = {{ a = 'not_there' }}\n",
        closed(),
        server.address
    )
}

fn folder(url: &str, server: &Server) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    file("p.toml", &profile(url, server));
    file("secret-file", "s3cr3t-file\n");
    file("users.csv", "name,password\nann,s3cr3t-feeder\n");
    folder
}

/// Everything below a folder but what the test put there.
fn written(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            written(&path, found);
            continue;
        }
        let own = ["p.toml", "other.toml", "secret-file", "users.csv"];
        let name = path.file_name().unwrap().to_str().unwrap();
        if !own.contains(&name) {
            found.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

fn clean(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let leak = text.find(SECRET);
    let around = leak.map(|at| text[..at + 20].chars().rev().take(200).collect::<String>());
    let around = around.map(|a| a.chars().rev().collect::<String>());
    assert_eq!(around, None, "a secret in {what}");
}

/// Runs it; nothing that is printed or written below the folder has a secret in it.
fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = program(folder, args).output().unwrap();
    clean(&format!("the output of {args:?}"), &output.stdout);
    clean(&format!("what {args:?} says"), &output.stderr);
    let mut files = Vec::new();
    written(folder, &mut files);
    for (name, bytes) in &files {
        clean(name, bytes);
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

fn get(address: &str, path: &str) -> Option<Vec<u8>> {
    let mut tcp = TcpStream::connect(address).ok()?;
    tcp.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    tcp.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    // An event stream goes on: what came by then is enough.
    let _ = tcp.read_to_end(&mut answer);
    Some(answer)
}

#[test]
fn a_whole_search_tells_no_secret_and_uses_all() {
    let server = Server::start();
    server.put("/metrics", "up 1\n");
    let folder = folder(&server.url(), &server);
    let push = format!(
        "http://me:{{{{ env.PUSH }}}}@{}/api/v1/write?key=s3cr3t-query",
        closed()
    );
    let args = [
        "find",
        "p.toml",
        "--out",
        "reports",
        "--serve",
        "127.0.0.1:0",
        "--remote-write",
        &push,
    ];
    let mut child = program(folder.path(), &args).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    let page = loop {
        let before = said.len();
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
        if let Some(page) = said[before..].trim().strip_prefix("note: live at http://") {
            break page.trim_end_matches('/').to_owned();
        }
    };
    let rest = std::thread::spawn(move || {
        let mut text = String::new();
        stderr.read_to_string(&mut text).map(|_| text)
    });
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut served = 0;
    while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
        for path in ["/", "/live.json", "/metrics", "/events"] {
            let Some(answer) = get(&page, path) else {
                continue;
            };
            clean(path, &answer);
            served += usize::from(answer.starts_with(b"HTTP/1.1 200"));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let output = child.wait_with_output().unwrap();
    said += &rest.join().unwrap().unwrap();
    clean("stdout", &output.stdout);
    clean("stderr", said.as_bytes());
    // Whether so short a search finds anything is not the question.
    assert!(matches!(output.status.code(), Some(0 | 3 | 4)), "{said}");
    assert!(served > 4, "{served} pages");
    // What went wrong was told, so that the messages were there to be looked at.
    for part in [
        "monitor cache: redis://***@",
        "monitor page: http://***@",
        "--remote-write http://***@",
    ] {
        assert!(said.contains(part), "no `{part}` in\n{said}");
    }
    let mut files = Vec::new();
    written(folder.path(), &mut files);
    for (name, bytes) in &files {
        clean(name, bytes);
    }
    for name in [
        "journal.jsonl",
        "result.json",
        "report.html",
        "report.md",
        "junit.xml",
        "step-summary",
    ] {
        assert!(files.iter().any(|(path, _)| path.ends_with(name)), "{name}");
    }
    let dir = fs::read_dir(folder.path().join("reports/p")).unwrap();
    let dir = dir.flatten().next().unwrap().path();
    for format in [
        "json", "md", "html", "junit", "csv", "excel", "github", "summary",
    ] {
        run(
            folder.path(),
            &["report", dir.to_str().unwrap(), "--format", format],
        );
    }
    // And all were used.
    let sent = server.raw();
    for part in [
        "authorization: Bearer s3cr3t-header",
        "x-file: s3cr3t-file",
        "/ask?key=s3cr3t-url&p=s3cr3t-feeder",
        "{\"login\":\"s3cr3t-feeder\",\"password\":\"s3cr3t-body\"}",
        "/metrics?token=s3cr3t-page",
    ] {
        assert!(
            sent.contains(part),
            "`{part}` was not sent:\n{}",
            &sent[..sent.len().min(4000)]
        );
    }
}

#[test]
fn a_target_that_is_not_there_tells_no_secret() {
    let server = Server::start();
    let folder = folder(&format!("http://{}", closed()), &server);
    let at = folder.path();
    let ramp = ["ramp", "p.toml", "--stages", "2:1s", "--out", "reports"];
    for (args, exit) in [
        (&["find", "p.toml", "--out", "reports"][..], 5),
        (&ramp, 5),
        (&["plan", "p.toml"], 0),
    ] {
        let (code, said) = run(at, args);
        assert_eq!(code, Some(exit), "{said}");
    }
}

#[test]
fn a_profile_that_does_not_compile_tells_no_secret() {
    const TOKEN: &str = "Bearer {{ env.API_TOKEN }}";
    const PATH: &str = "/ask?key={{ env.URL_KEY }}&p={{ users.password }}";
    const NO_ADDRESS: &str = "not a valid address of a request";
    let server = Server::start();
    let folder = folder(&server.url(), &server);
    let at = folder.path();
    let text = fs::read_to_string(at.join("p.toml")).unwrap();
    for (from, to, part) in [
        (TOKEN, "{{ env.UNFIT }}", "`authorization` has a value"),
        (TOKEN, "{{ env.API_TOKEN }} {{ vu", "without `}}`"),
        (TOKEN, "{{ env.API_TOKEN }} {{ vv }}", "unknown variable"),
        (PATH, "http://me:{{ env.URL_KEY }}@127.0.0.1:1/", NO_ADDRESS),
        (PATH, "{{ env.URL_KEY }}", NO_ADDRESS),
        ("{{ env.BODY }}", "{{ env.NO }}", "`NO` is not set"),
        (
            "{{ env.REDIS_PASSWORD }}",
            "{{ env.NO }}",
            "monitor `cache`: environment variable `NO`",
        ),
        (
            "file(\"secret-file\") }}@",
            "file(\"no-file\") }}@",
            "the file `no-file` cannot be read",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        fs::write(at.join("other.toml"), text.replace(from, to)).unwrap();
        let (code, said) = run(at, &["find", "other.toml"]);
        assert_eq!(code, Some(2), "{to}: {said}");
        assert!(said.contains(part), "{to}: {said}");
    }
    assert!(server.begun().iter().all(|(_, path)| path == "/metrics"));
}

#[test]
fn a_wrong_flag_tells_no_secret() {
    let server = Server::start();
    let folder = folder(&server.url(), &server);
    let url = format!("http://me:s3cr3t-user@{}/?token=s3cr3t-token", closed());
    let (ftp, bare) = (
        "ftp://me:s3cr3t-user@127.0.0.1/",
        "me:s3cr3t-user@127.0.0.1:1/x",
    );
    let locust = |command, header| [command, "--locust-url", &url, "--locust-header", header];
    for (args, exit) in [
        (&["find", "--url", &url][..], 2),
        (&["find", "--url", bare], 2),
        (&["find", "--url", ftp], 2),
        (&["ramp", "--stages", "1:1s", "--url", &url], 2),
        (&["plan", "--url", &url], 2),
        (&["find", "p.toml", "--remote-write", ftp], 2),
        (&["find", "p.toml", "--remote-write", bare], 2),
        (&["find", "p.toml", "--remote-write", "{{ env.NO }}"], 2),
        (&locust("find", "s3cr3t-header"), 2),
        (&locust("find", "cookie: s3cr3t-cookie"), 4),
        (&locust("find", "cookie: {{ env.COOKIE }}"), 4),
        (&locust("find", "cookie: {{ env.UNFIT }}"), 4),
        (&locust("plan", "cookie: {{ env.COOKIE }}"), 0),
    ] {
        let (code, said) = run(folder.path(), &[args, &["--slo", "errors<1%"]].concat());
        assert_eq!(code, Some(exit), "{args:?}: {said}");
    }
}
