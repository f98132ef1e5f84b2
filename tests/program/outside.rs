//! What comes from outside, and what goes out: addresses, files that never end, servers that answer
//! without end, the words of others on a terminal and in a log, secrets that others repeat, and
//! whom a profile sends what.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::target_server::Server;

/// Longest time that anything here takes; what hangs is ended.
const LONGEST: Duration = Duration::from_secs(60);

fn program(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
    command
        .args(args)
        .current_dir(folder)
        .env("XDG_STATE_HOME", folder.join("state"))
        .env_remove("BREAKPOINT_TOKEN")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What it says, and the most memory that it had, KiB.
fn ran(mut command: Command) -> (Output, u64) {
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let read_err = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        err.read_to_end(&mut bytes).map(|_| bytes)
    });
    let read_out = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).map(|_| bytes)
    });
    let (began, mut peak) = (Instant::now(), 0);
    let status = loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let high = text.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let high = high.and_then(|l| l.split_whitespace().next()?.parse().ok());
        peak = peak.max(high.unwrap_or(0));
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if began.elapsed() > LONGEST {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let output = Output {
        status,
        stdout: read_out.join().unwrap().unwrap(),
        stderr: read_err.join().unwrap().unwrap(),
    };
    (output, peak)
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn run(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let (output, _) = ran(program(folder, args));
    (output.status.code(), said(&output))
}

/// Nobody listens there.
fn closed() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn profile(more: &str) -> String {
    format!(
        "name = 'p'\nslo = ['errors<50%']\n[target]\nurl = 'http://{}'\nreset-timeout = \
         '1s'\n{more}",
        closed()
    )
}

const ONE_STEP: &str = "[scenario]\ntimeout = '1s'\n[[scenario.steps]]\nname = 'ask'\nget = '/'\n";

#[test]
fn an_address_with_a_port_that_is_none_loads_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let slo = ["--slo", "p99<1s"];
    for port in [
        "8O80/",
        "99999",
        "65536/x?y",
        "0",
        "",
        "+80",
        "-1",
        "8080x",
        "\u{661}",
    ] {
        let url = format!("http://127.0.0.1:{port}");
        for args in [
            &["find", "--url", &url][..],
            &["plan", "--url", &url],
            &["try", "--url", &url],
            &["ramp", "--stages", "1:1s", "--url", &url],
            &["find", "--locust-url", &url],
        ] {
            let slo = if args[0] == "try" { &[][..] } else { &slo };
            let (code, said) = run(at, &[args, slo].concat());
            assert_eq!(code, Some(2), "{args:?}: {said}");
            assert!(
                said.contains("not a port")
                    || said.contains("no address")
                    || said.contains("not an address"),
                "{args:?}: {said}"
            );
        }
    }
    for monitor in [
        "redis = 'redis://127.0.0.1:6O79'",
        "redis = 'redis://:a/b@127.0.0.1:99999'",
        "redis = 'redis://127.0.0.1:{{ env.PORT }}'",
        "prometheus = 'http://127.0.0.1:9O90/metrics'\nmetrics = { a = 'b' }",
        "prometheus = 'http://127.0.0.1:{{ env.PORT }}/metrics'\nmetrics = { a = 'b' }",
        "prometheus-server = 'http://127.0.0.1:99999'\nqueries = { a = 'b' }",
    ] {
        let text = profile(&format!("{ONE_STEP}[[monitor]]\nname = 'm'\n{monitor}\n"));
        fs::write(at.join("p.toml"), text).unwrap();
        let mut command = program(at, &["plan", "p.toml"]);
        command.env("PORT", "8O80");
        let (output, _) = ran(command);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{monitor}: {}",
            said(&output)
        );
    }
    // One that comes from elsewhere and is one is taken.
    let monitor = "redis = 'redis://127.0.0.1:{{ env.PORT }}'";
    let text = profile(&format!("{ONE_STEP}[[monitor]]\nname = 'm'\n{monitor}\n"));
    fs::write(at.join("p.toml"), text).unwrap();
    let mut command = program(at, &["plan", "p.toml"]);
    command.env("PORT", "8080");
    let (output, _) = ran(command);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

#[test]
fn files_that_never_end_are_refused_at_once_and_without_memory() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let pipe = at.join("pipe.toml");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let hole = fs::File::create(at.join("hole.toml")).unwrap();
    hole.set_len(1 << 40).unwrap();
    let endless = [
        "/dev/zero".to_owned(),
        pipe.display().to_string(),
        at.join("hole.toml").display().to_string(),
    ];
    let mut cases: Vec<(String, Vec<String>)> = Vec::new();
    let words = |args: &[&str]| args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>();
    for (n, file) in endless.iter().enumerate() {
        cases.push((
            format!("profile {file}"),
            words(&["plan", "--profile", file]),
        ));
        let name = |what: &str| format!("{what}-{n}.toml");
        let secret = format!(
            "[scenario]\nheaders = {{ a = '{{{{ file(\"{file}\") }}}}' \
             }}\n[[scenario.steps]]\nname = 'a'\nget = '/'\n"
        );
        let feeder = format!(
            "[scenario]\nfeeders = {{ f = {{ file = '{file}' }} }}\n[[scenario.steps]]\nname = \
             'a'\nget = '/{{{{ f.a }}}}'\n"
        );
        let certificates = format!("ca = '{file}'\n{ONE_STEP}");
        for (what, text) in [("secret", secret), ("feeder", feeder), ("ca", certificates)] {
            fs::write(at.join(name(what)), profile(&text)).unwrap();
            cases.push((format!("{what} {file}"), words(&["plan", &name(what)])));
        }
        for (what, name) in [
            ("record", "result.json"),
            ("ramp", "ramp.json"),
            ("journal", "journal.jsonl"),
        ] {
            let dir = at.join(format!("{what}-{n}"));
            fs::create_dir(&dir).unwrap();
            std::os::unix::fs::symlink(file, dir.join(name)).unwrap();
            let command = if what == "journal" {
                "resume"
            } else {
                "report"
            };
            cases.push((
                format!("{what} {file}"),
                words(&[command, dir.to_str().unwrap()]),
            ));
        }
        cases.push((
            format!("script {file}"),
            words(&["plan", "--script", file, "--slo", "p99<1s"]),
        ));
        cases.push((format!("system {file}"), words(&["lab", file])));
    }
    for (what, args) in cases {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let began = Instant::now();
        let (output, peak) = ran(program(at, &args));
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{what}: {said}");
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{what} took {:?}",
            began.elapsed()
        );
        assert!(peak < 100 << 10, "{what}: {peak} KiB");
    }
}

/// A server that answers every connection with a head and then this without end; how many
/// connections it had.
fn endless(head: &'static str, piece: &'static [u8]) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        while let Ok((mut tcp, _)) = listener.accept() {
            count.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                let mut request = [0; 4096];
                let _ = tcp.read(&mut request);
                let _ = tcp.write_all(head.as_bytes());
                while tcp.write_all(piece).is_ok() {}
            });
        }
    });
    (address, asked)
}

#[test]
fn servers_that_answer_without_end_take_no_memory() {
    static PIECE: [u8; 1 << 16] = [b'x'; 1 << 16];
    let server = Server::start();
    let (redis, asked_redis) = endless("+OK\r\n+OK\r\n$5900000000\r\n", &PIECE);
    let http = "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n";
    let (page, asked_page) = endless(http, &PIECE);
    let (write, asked_write) = endless("HTTP/1.1 500 No\r\nconnection: close\r\n\r\n", &PIECE);
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let pages: Vec<String> = (0..8)
        .map(|n| {
            format!(
                "[[monitor]]\nname = 'p{n}'\nprometheus = 'http://{page}/'\nmetrics = {{ \
            a = 'b' }}\n"
            )
        })
        .collect();
    let pages = pages.concat();
    let text = format!(
        "name = 'p'\nslo = ['errors<50%']\n[target]\nurl = '{}'\nreset-timeout = '1s'\ndrain-timeout = '1s'\n{ONE_STEP}[[scenario.steps]]\nthink = '50ms'\n[search]\nmax-vus = 2\nstart-vus = 2\n\
         budget = '3s'\nhold-min = '1s'\nhold-max = '1s'\nsettle-max = '1s'\n\
         [[monitor]]\nname = 'r'\nredis = 'redis://{redis}'\n{pages}\
         [[monitor]]\nname = 'q'\nprometheus-server = 'http://{page}'\nqueries = {{ a = 'b' }}\n",
        server.url()
    );
    fs::write(at.join("p.toml"), text).unwrap();
    let write = format!("http://{write}/");
    let (output, peak) = ran(program(
        at,
        &[
            "find",
            "p.toml",
            "--remote-write",
            &write,
            "--out",
            "reports",
        ],
    ));
    let said = said(&output);
    assert!(said.contains("answers more than 12 MiB"), "{said}");
    assert!(said.contains("answer"), "{said}");
    assert!(peak < 114 << 10, "{peak} KiB: {said}");
    for asked in [asked_redis, asked_page, asked_write] {
        assert!(asked.load(Ordering::SeqCst) > 0, "{said}");
    }
    let (locust, _) = endless(http, &PIECE);
    let locust = format!("http://{locust}");
    let args = [
        "find",
        "--locust-url",
        &locust,
        "--slo",
        "p99<1s",
        "--out",
        "reports",
    ];
    let (output, peak) = ran(program(at, &args));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("longer than 5 MiB"),
        "{output:?}"
    );
    assert!(peak < 100 << 10, "{peak} KiB");
}

#[test]
fn a_master_that_claims_endless_messages_is_no_master() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let master = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        while let Ok((mut tcp, _)) = listener.accept() {
            // A greeting of ZMTP 3, and a frame of 2^62 bytes.
            let mut bytes = vec![0; 64];
            (bytes[0], bytes[9], bytes[10]) = (0xff, 0x7f, 3);
            bytes[12..16].copy_from_slice(b"NULL");
            bytes.push(2);
            bytes.extend((1_u64 << 62).to_be_bytes());
            let _ = tcp.write_all(&bytes);
            let _ = tcp.read(&mut [0; 4096]);
        }
    });
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("p.toml"), profile(ONE_STEP)).unwrap();
    let args = ["worker", "p.toml", "--master", &master];
    let mut child = program(folder.path(), &args).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let told = lines.find_map(|line| line.ok().filter(|l| l.contains("waiting for")));
    child.kill().unwrap();
    child.wait().unwrap();
    let told = told.unwrap();
    assert!(told.contains("longer than 1 MiB"), "{told}");
}

#[test]
fn a_proxy_of_the_environment_is_handed_nothing() {
    let server = Server::start();
    let (proxy, asked) = endless("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", b"");
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let text = format!(
        "name = 'p'\nslo = ['errors<50%']\n[target]\nurl = '{0}'\n{ONE_STEP}[search]\nmax-vus = 1\nbudget = '2s'\nhold-min = '1s'\nhold-max = '1s'\nsettle-max = '1s'\n\
         [[monitor]]\nname = 'm'\nprometheus = '{0}/metrics'\nmetrics = {{ a = 'b' }}\n",
        server.url()
    );
    fs::write(at.join("p.toml"), text).unwrap();
    let write = format!("http://me:pw@{}/write", server.address);
    let mut command = program(
        at,
        &[
            "find",
            "p.toml",
            "--remote-write",
            &write,
            "--out",
            "reports",
        ],
    );
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
    ] {
        command.env(name, format!("http://{proxy}"));
    }
    let (output, _) = ran(command);
    assert_eq!(asked.load(Ordering::SeqCst), 0, "{}", said(&output));
    assert!(
        server.begun().iter().any(|(_, path)| path == "/write"),
        "{}",
        said(&output)
    );
}

#[test]
fn words_of_others_command_neither_a_terminal_nor_a_runner() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let hostile = "x\u{1b}]0;t\u{7}\u{1b}[2J\u{9b}31m\u{202e}y\n::error::pwned\n  ::set-env name=a::b\n##[error]z\r";
    // In a record of others.
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/example/result.json");
    let mut record: serde_json::Value =
        serde_json::from_slice(&fs::read(example).unwrap()).unwrap();
    record["profile"] = hostile.into();
    record["answer"]["reason"] = hostile.into();
    record["warnings"] = vec![hostile; 2].into();
    record["slo"] = vec![hostile].into();
    record["plan"]["target"] = hostile.into();
    record["plan"]["command"] = vec![hostile].into();
    record["environment"]["kernel"] = hostile.into();
    record["probes"][0]["reason"] = hostile.into();
    record["probes"][0]["log"] =
        serde_json::json!([{"at_s": 0.5, "monitor": hostile, "text": hostile}]);
    fs::create_dir(at.join("run")).unwrap();
    fs::write(
        at.join("run/result.json"),
        serde_json::to_vec(&record).unwrap(),
    )
    .unwrap();
    for format in [
        "summary", "json", "md", "html", "junit", "csv", "excel", "github",
    ] {
        let (output, _) = ran(program(at, &["report", "run", "--format", format]));
        let said = said(&output);
        assert_eq!(output.status.code(), Some(0), "{format}: {said}");
        harmless(format, &said);
    }
    // In a profile, whose lines are quoted where they are wrong.
    for text in [
        format!("name = 'p'\nslo = ['{}']\n", "p99<1s\u{1b}[2J\u{202e}"),
        "x\u{1b}[2J\u{202e} = 1\n".to_owned(),
        "slo = \"\"\"\n::error::x\n\"\"\"\nnope = 1\n".to_owned(),
    ] {
        fs::write(at.join("bad.toml"), text).unwrap();
        let (code, said) = run(at, &["plan", "bad.toml"]);
        assert_eq!(code, Some(2), "{said}");
        harmless("profile", &said);
    }
    // In what a command says that fails.
    let up = "printf '\\033[2J\\n::error::x\\n##[error]y\\n'; exit 1";
    fs::write(
        at.join("up.toml"),
        profile(&format!(
            "up = \"\"\"{}\"\"\"\n{ONE_STEP}",
            up.replace('\\', "\\\\")
        )),
    )
    .unwrap();
    let (_, said) = run(at, &["find", "up.toml", "--yes", "--out", "reports"]);
    assert!(said.contains("error"), "{said}");
    harmless("up", &said);
}

fn harmless(what: &str, text: &str) {
    let acts = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t') || matches!(c, '\u{202a}'..='\u{202e}')
    };
    // A table for spreadsheets has the ends of lines that they like.
    let text = &match what {
        "excel" => text.replace("\r\n", "\n"),
        _ => text.to_owned(),
    };
    let around: Option<String> = text
        .find(acts)
        .map(|at| text[at..].chars().take(40).collect());
    assert_eq!(around, None, "{what}");
    for line in text
        .lines()
        .filter(|l| l.contains("pwned") || l.contains("set-env") || l.contains("[error]"))
    {
        // Those of the program itself have properties, and end what they say on their line.
        let own = what == "github" && line.starts_with("::") && line.contains("title=");
        assert!(
            own || !line.trim_start().starts_with("::"),
            "{what}: {line}"
        );
        assert!(!line.contains("##["), "{what}: {line}");
    }
}

#[test]
fn a_secret_is_hidden_whoever_repeats_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let server = Server::start();
    server.put(
        "/",
        "it was hunter2/of?the#env and aHVudGVyMi9vZj90aGUjZW52",
    );
    let log = at.join("service.log");
    fs::write(&log, "").unwrap();
    let text = format!(
        "name = 'p'\nslo = ['errors<50%']\n[target]\nurl = '{}'\nreset-timeout = '1s'\nup = \"echo up with $SECRET >&2; exit $FAILS\"\n\
         [scenario]\ntimeout = '1s'\nheaders = {{ x-a = '{{{{ env.SECRET }}}}' }}\n[[scenario.steps]]\nname = 'ask'\nget = '/'\nexpect = [201]\n\
         [[scenario.steps]]\nthink = '20ms'\n\
         [search]\nmax-vus = 2\nbudget = '3s'\nhold-min = '1s'\nhold-max = '1s'\nsettle-max = '1s'\n\
         [[monitor]]\nname = 'm'\nredis = 'redis://:{{{{ env.SECRET }}}}@{}'\nlog = 'service.log'\nlog-match = 'error'\n",
        server.url(),
        closed()
    );
    fs::write(at.join("p.toml"), text).unwrap();
    for fails in ["1", "0"] {
        let mut command = program(at, &["find", "p.toml", "--yes", "--out", "reports"]);
        command
            .env("SECRET", "hunter2/of?the#env")
            .env("FAILS", fails);
        let writer = {
            let log = log.clone();
            std::thread::spawn(move || {
                for n in 0..20 {
                    std::thread::sleep(Duration::from_millis(150));
                    let mut file = fs::OpenOptions::new().append(true).open(&log).unwrap();
                    writeln!(
                        file,
                        "error {n}: login with hunter2/of?the#env failed, \
                        hunter2%2Fof%3Fthe%23env too"
                    )
                    .unwrap();
                }
            })
        };
        let (output, _) = ran(command);
        writer.join().unwrap();
        let said = said(&output);
        assert!(!said.contains("hunter2"), "{said}");
        assert!(said.contains("***") || fails == "0", "{said}");
    }
    let mut files = 0;
    let mut folders = vec![at.join("reports")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            for secret in ["hunter2", "aHVudGVyMi9vZj90aGUjZW52"] {
                assert!(!text.contains(secret), "{}", path.display());
            }
        }
    }
    assert!(files > 5, "{files}");
}

#[test]
fn what_is_typed_is_masked_wherever_it_is_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (args, secret) in [
        (
            &["--url", "http://me:a/hunter2@127.0.0.1:1/"][..],
            "hunter2",
        ),
        (&["--url", "http://127.0.0.1:1/?jwt=hunter2"], "hunter2"),
        (
            &["--url", "http://127.0.0.1:1/?session=hunter2&code=hunter2"],
            "hunter2",
        ),
        (
            &["--url", "http://127.0.0.1:1/#access_token=hunter2"],
            "hunter2",
        ),
        (&["--url=http://127.0.0.1:1/?to%6ben=hunter2"], "hunter2"),
        (
            &[
                "--remote-write",
                "http://me:p?q/hunter2@127.0.0.1:1/w",
                "--url",
                "http://127.0.0.1:1",
            ],
            "hunter2",
        ),
        (
            &["--locust-url", "http://me:p#hunter2@127.0.0.1:1/"],
            "hunter2",
        ),
    ] {
        let find = [
            "find",
            "--slo",
            "p99<1s",
            "--out",
            "reports",
            "--max-time",
            "300ms",
        ];
        let all = [&find[..], args].concat();
        let (_, said) = run(at, &all);
        assert!(!said.contains(secret), "{args:?}: {said}");
        let found = Command::new("grep")
            .args(["-rl", secret, "."])
            .current_dir(at)
            .output()
            .unwrap();
        assert!(
            found.stdout.is_empty(),
            "{args:?}: {}",
            String::from_utf8_lossy(&found.stdout)
        );
    }
}

#[test]
fn whoever_is_asked_is_this_machine_or_was_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for monitor in [
        "redis = 'redis://192.0.2.1'",
        "redis = 'redis://127.0.0.1@192.0.2.1:6379'",
        "prometheus = 'http://192.0.2.1/metrics'\nmetrics = { a = 'b' }",
        "prometheus = 'http://far.test:80/'\nmetrics = { a = 'b' }\nresolve = \
         ['far.test:80:192.0.2.1']",
        "prometheus-server = 'http://[2001:db8::1]:9090'\nqueries = { a = 'b' }",
    ] {
        let text = profile(&format!("{ONE_STEP}[[monitor]]\nname = 'm'\n{monitor}\n"));
        fs::write(at.join("p.toml"), text).unwrap();
        let (code, said) = run(at, &["find", "p.toml", "--out", "reports"]);
        assert_eq!(code, Some(2), "{monitor}: {said}");
        assert!(
            said.contains("the monitor `m` would connect to") && said.contains("--allow-target"),
            "{said}"
        );
        let hosts = [
            "--allow-target",
            "192.0.2.1",
            "--allow-target",
            "far.test",
            "--allow-target",
            "2001:db8::1",
        ];
        let (code, said) = run(at, &[&["plan", "p.toml"][..], &hosts].concat());
        assert_eq!(code, Some(0), "{said}");
    }
    let url = format!("http://{}", closed());
    for args in [
        &[
            "find",
            "--url",
            &url,
            "--remote-write",
            "http://192.0.2.1/w",
        ][..],
        &["find", "--locust-url", "http://192.0.2.1:8089"],
        &[
            "ramp",
            "--stages",
            "1:1s",
            "--url",
            &url,
            "--remote-write",
            "http://192.0.2.1/w",
        ],
    ] {
        let (code, said) = run(
            at,
            &[args, &["--slo", "p99<1s", "--out", "reports"]].concat(),
        );
        assert_eq!(code, Some(2), "{args:?}: {said}");
        assert!(
            said.contains("--allow-target 192.0.2.1"),
            "{args:?}: {said}"
        );
    }
}

#[test]
fn secrets_that_go_to_others_are_agreed_to_once_per_content() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::write(at.join("secret"), "hunter2-file").unwrap();
    fs::create_dir(at.join("sub")).unwrap();
    fs::write(at.join("users.csv"), "name\nann\n").unwrap();
    let far = "allow = ['far.test']\nresolve = ['far.test:80:192.0.2.1']\n";
    let step = "[[scenario.steps]]\nname = 'a'\ntimeout = '100ms'\n";
    let monitor = format!("{ONE_STEP}[[monitor]]\nname = 'm'\nmetrics = {{ a = 'b' }}\n");
    for (what, text, named) in [
        (
            "header",
            format!(
                "{far}[scenario]\n{step}get = 'http://far.test/'\nheaders = {{ a = '{{{{ \
                 env.TOKEN }}}}' }}\n"
            ),
            "`TOKEN`",
        ),
        (
            "address",
            format!(
                "{far}[scenario]\n{step}get = 'http://far.test/{{{{ file(\"../secret\") }}}}'\n"
            ),
            "`../secret`",
        ),
        (
            "body",
            format!(
                "{far}[scenario]\n{step}post = 'http://far.test/'\njson = {{ a = ['{{{{ env.TOKEN \
                 }}}}'] }}\n"
            ),
            "`TOKEN`",
        ),
        (
            "feeder",
            format!(
                "{far}[scenario]\nfeeders = {{ f = {{ file = '../users.csv' }} }}\n{step}get = \
                 'http://far.test/{{{{ f.name }}}}'\n"
            ),
            "`../users.csv`",
        ),
        (
            "monitor",
            format!("{far}{monitor}prometheus = 'http://far.test/?a={{{{ env.TOKEN }}}}'\n"),
            "`TOKEN`",
        ),
    ] {
        fs::write(at.join("sub/p.toml"), profile(&text)).unwrap();
        let tried = |more: &[&str], token: &str| {
            let mut command = program(at, &[&["try", "sub/p.toml"][..], more].concat());
            command.env("TOKEN", token);
            let (output, _) = ran(command);
            (output.status.code(), said(&output))
        };
        let (code, said) = tried(&[], "hunter2-token");
        assert_eq!(code, Some(2), "{what}: {said}");
        assert!(
            said.contains(named) && said.contains("far.test") && said.contains("--yes"),
            "{what}: {said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
        // Agreed to once, also for another value of the same content.
        let (code, said) = tried(&["--yes"], "hunter2-token");
        assert_ne!(code, Some(2), "{what}: {said}");
        let (code, said) = tried(&[], "hunter2-other");
        assert_ne!(code, Some(2), "{what}: {said}");
        // Another content asks again.
        fs::write(
            at.join("sub/p.toml"),
            profile(&format!("{text}# changed\n")),
        )
        .unwrap();
        assert_eq!(tried(&[], "hunter2-token").0, Some(2), "{what}");
    }
    // Nobody is asked of what stays here, and a name that is itself a secret is told to no name
    // server.
    let here = format!("[scenario]\n{step}get = '/'\nheaders = {{ a = '{{{{ env.TOKEN }}}}' }}\n");
    fs::write(at.join("sub/p.toml"), profile(&here)).unwrap();
    let mut command = program(at, &["try", "sub/p.toml"]);
    command.env("TOKEN", "hunter2-token");
    assert_ne!(ran(command).0.status.code(), Some(2));
    let host = format!("[scenario]\n{step}get = 'http://{{{{ env.TOKEN }}}}.far.test/'\n");
    fs::write(at.join("sub/p.toml"), profile(&host)).unwrap();
    let mut command = program(at, &["plan", "sub/p.toml"]);
    command.env("TOKEN", "hunter2-token");
    let (output, _) = ran(command);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("comes from outside the profile"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_token_is_long_and_one_that_was_given_is_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{}", closed());
    let args = [
        "find",
        "--url",
        &url,
        "--slo",
        "p99<1s",
        "--serve",
        "0.0.0.0:0",
        "--out",
        "reports",
        "--max-time",
        "300ms",
    ];
    for (token, code) in [("ab", 2), ("fifteen-letters", 2), ("0123456789abcdef", 99)] {
        let mut command = program(folder.path(), &args);
        command.env("BREAKPOINT_TOKEN", token);
        let (output, _) = ran(command);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{token}: {said}");
        assert!(token == "ab" || !said.contains(token), "{said}");
        assert!(said.contains("BREAKPOINT_TOKEN"), "{said}");
    }
    let (output, _) = ran(program(folder.path(), &args));
    assert!(said(&output).contains("?token="), "{}", said(&output));
}
