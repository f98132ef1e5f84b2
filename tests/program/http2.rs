//! HTTP/2 with servers of others: nginx and nghttpd, where they are installed (Debian: nginx,
//! nghttp2-server). In CI they must be.
#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use breakpoint::journal;
use breakpoint::measure::LoadedAddress;
use breakpoint::record::RampRecord;
use breakpoint::report;
use tempfile::TempDir;

use crate::starved::{answered, repeated};

/// A server that runs until it is dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Server {
    /// Starts a program that listens on `port`; `None` where it is not installed.
    fn start(program: &str, arguments: &[String], port: u16) -> Option<Self> {
        let places = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"];
        let mut places = places.iter().map(|place| Path::new(place).join(program));
        let Some(program) = places.find(|place| place.is_file()) else {
            assert!(std::env::var_os("CI").is_none(), "{program} is missing");
            println!("skipped: {program} is not installed");
            return None;
        };
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, port };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "it never listens"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }

    /// nginx, which answers everything with `hello` and ends a connection gracefully after so many
    /// requests.
    fn nginx(folder: &Path, tls: bool, requests: u32) -> Option<Self> {
        Self::nginx_of(folder, tls, requests, " http2")
    }

    fn nginx_of(folder: &Path, tls: bool, requests: u32, http2: &str) -> Option<Self> {
        let port = free_port();
        let (ssl, keys) = if tls {
            (
                " ssl",
                "ssl_certificate cert.pem; ssl_certificate_key key.pem;",
            )
        } else {
            ("", "")
        };
        let text = format!(
            "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr;\n\
             events {{ worker_connections 256; }}\n\
             http {{ access_log off; keepalive_requests {requests};\n\
             client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;\n\
             uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n\
             server {{ listen 127.0.0.1:{port}{ssl}{http2}; {keys}\n\
             location / {{ return 200 hello; }} }} }}\n"
        );
        fs::write(folder.join("nginx.conf"), text).unwrap();
        let folder = folder.display();
        let arguments = ["-p", &format!("{folder}/"), "-c", "nginx.conf"].map(str::to_owned);
        Self::start("nginx", &arguments, port)
    }

    /// nghttpd, which serves a file and allows two streams a connection.
    fn nghttpd(folder: &Path, tls: bool) -> Option<Self> {
        let port = free_port();
        fs::create_dir_all(folder.join("www")).unwrap();
        fs::write(folder.join("www/index.html"), "hello").unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let mut arguments = vec![
            "--address=127.0.0.1".to_owned(),
            "--max-concurrent-streams=2".to_owned(),
            format!("--htdocs={}", path("www")),
        ];
        if tls {
            arguments.extend([port.to_string(), path("key.pem"), path("cert.pem")]);
        } else {
            arguments.extend(["--no-tls".to_owned(), port.to_string()]);
        }
        Self::start("nghttpd", &arguments, port)
    }
}

/// A folder with a certificate for 127.0.0.1 and its key.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    fs::write(folder.path().join("cert.pem"), own.cert.pem()).unwrap();
    fs::write(folder.path().join("ca.pem"), own.cert.pem()).unwrap();
    let key = own.signing_key.serialize_pem();
    fs::write(folder.path().join("key.pem"), key).unwrap();
    folder
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_breakpoint"))
        .env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

/// The record of the only ramp in a folder.
fn ramp(folder: &Path) -> RampRecord {
    let profile = fs::read_dir(folder.join("out")).unwrap().next();
    let mut runs = fs::read_dir(profile.unwrap().unwrap().path()).unwrap();
    let run = runs.next().unwrap().unwrap().path();
    report::read_ramp(&fs::read(run.join("ramp.json")).unwrap()).unwrap()
}

/// One cycle is shown with the HTTP that it was made in, and a ramp of ten VUs has no failure.
fn passes(folder: &Path, url: &str, streams: u32) {
    passes_in(folder, url, streams, ("2", "HTTP/2"));
}

/// The same with what the profile says and what is spoken then.
fn passes_in(folder: &Path, url: &str, streams: u32, (http, spoken): (&str, &str)) {
    let profile = format!(
        "name = \"two\"\nslo = [\"errors<1%\", \"p99<5s\"]\n[target]\nurl = \"{url}\"\nca = \"ca.pem\"\n\
         http = \"{http}\"\nstreams-per-connection = {streams}\n\
         [[scenario.steps]]\nname = \"get\"\nget = \"/\"\n[[scenario.steps]]\nthink = \"5ms\"\n"
    );
    fs::write(folder.join("two.toml"), profile).unwrap();
    let look = run(folder, &["try", "two.toml"]);
    let told = said(&look);
    assert_eq!(look.status.code(), Some(0), "{url}: {told}");
    assert!(
        told.contains(&format!("< {spoken} 200 OK")) && told.contains("< hello"),
        "{url}: {told}"
    );
    repeated(|| {
        let _ = fs::remove_dir_all(folder.join("out"));
        let arguments = [
            "ramp",
            "two.toml",
            "--stages",
            "10:1s,10:3s",
            "--out",
            "out",
        ];
        let output = answered(run(folder, &arguments))?;
        assert_eq!(output.status.code(), Some(0), "{url}: {}", said(&output));
        let record = ramp(folder);
        let get = &record.stages.last().unwrap().steps[0];
        assert!(get.completed > 100, "{url}: {}", said(&output));
        assert!(get.failed.is_empty(), "{url}: {:?}", get.failed);
        assert_eq!(record.plan.http.as_deref(), Some(http));
        let words = match http {
            "auto" => format!("auto ({spoken})"),
            _ => http.to_owned(),
        };
        let told = record.plan.http_words();
        assert!(told.starts_with(&words), "{url}: {told}, not {words}");
        Ok(())
    });
}

#[test]
fn nginx_is_loaded_and_its_graceful_ends_are_no_failures() {
    // Where a connection takes fewer requests than VUs share it, most of them ask on the next one.
    let cases = [(true, 1, 25), (true, 4, 25), (false, 1, 25), (false, 8, 3)];
    for (tls, streams, requests) in cases {
        let folder = folder();
        let Some(server) = Server::nginx(folder.path(), tls, requests) else {
            return;
        };
        let scheme = if tls { "https" } else { "http" };
        let url = format!("{scheme}://127.0.0.1:{}", server.port);
        passes(folder.path(), &url, streams);
    }
}

#[test]
fn what_the_server_chooses_is_spoken_and_only_http_2_is_shared() {
    for (listens, spoken) in [("", "HTTP/1.1"), (" http2", "HTTP/2")] {
        let folder = folder();
        let Some(server) = Server::nginx_of(folder.path(), true, 100, listens) else {
            return;
        };
        let url = format!("https://127.0.0.1:{}", server.port);
        passes_in(folder.path(), &url, 4, ("auto", spoken));
    }
}

#[test]
fn nghttpd_is_loaded_and_no_connection_has_more_streams_than_it_allows() {
    for (tls, streams) in [(true, 1), (true, 8), (false, 2)] {
        let folder = folder();
        let Some(server) = Server::nghttpd(folder.path(), tls) else {
            return;
        };
        let scheme = if tls { "https" } else { "http" };
        let url = format!("{scheme}://127.0.0.1:{}", server.port);
        passes(folder.path(), &url, streams);
    }
}

#[test]
fn the_flags_are_those_of_curl_and_the_profile_of_the_document_passes() {
    let folder = folder();
    let Some(server) = Server::nginx(folder.path(), true, 1000) else {
        return;
    };
    let url = format!("https://127.0.0.1:{}", server.port);
    let look = run(folder.path(), &["try", "--url", &url, "-k", "--http2"]);
    let told = said(&look);
    assert_eq!(look.status.code(), Some(0), "{told}");
    assert!(told.contains("speaking HTTP/2"), "{told}");
    let document = include_str!("../../docs/http2.md");
    let (_, rest) = document.split_once("```toml\n").unwrap();
    let (profile, _) = rest.split_once("```").unwrap();
    let profile = profile.replace("https://127.0.0.1:8443", &url);
    fs::write(folder.path().join("http2.toml"), profile).unwrap();
    let look = run(folder.path(), &["try", "http2.toml"]);
    assert_eq!(look.status.code(), Some(0), "{}", said(&look));
    let plan = run(folder.path(), &["plan", "http2.toml"]);
    assert_eq!(plan.status.code(), Some(0), "{}", said(&plan));
    assert!(
        said(&plan).contains("a connection for each VU"),
        "{}",
        said(&plan)
    );
    let plain = url.replace("https", "http");
    let refused = run(
        folder.path(),
        &["plan", "--url", &plain, "--http2", "--slo", "p99<1s"],
    );
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("--http2-prior-knowledge"));
}

#[test]
fn keys_that_do_not_go_together_are_refused_where_they_stand() {
    let folder = TempDir::new().unwrap();
    let refused = |keys: &str, part: &str| {
        let profile = format!(
            "slo = [\"p99<1s\"]\n[target]\nurl = \"http://127.0.0.1:1\"\n{keys}\n\
             [[scenario.steps]]\nname = \"get\"\nget = \"/\"\n"
        );
        fs::write(folder.path().join("bad.toml"), profile).unwrap();
        let output = run(folder.path(), &["plan", "bad.toml"]);
        assert_eq!(output.status.code(), Some(2), "{}", said(&output));
        assert!(said(&output).contains(part), "{}", said(&output));
    };
    refused("http = \"3\"", "HTTP/3 is not spoken");
    refused("http = \"h2\"", "unknown value `h2`");
    refused("streams-per-connection = 8", "only over HTTP/2");
    refused(
        "http = \"2\"\nstreams-per-connection = 0",
        "between 1 and 1000",
    );
    refused(
        "http = \"2\"\nstreams-per-connection = 8\n[scenario]\nconnections = \"per-cycle\"",
        "cannot end with the cycle",
    );
}

/// The folder of the only search in a folder, once a probe of it was judged.
fn judged(folder: &Path) -> PathBuf {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        let runs = fs::read_dir(folder.join("out/mix")).into_iter().flatten();
        for run in runs.flatten() {
            let journal = fs::read(run.path().join("journal.jsonl")).unwrap_or_default();
            if journal::read(&journal).is_ok_and(|j| !j.entries.is_empty()) {
                return run.path();
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("no probe was judged within a minute");
}

#[test]
fn a_mix_at_a_rate_on_shared_connections_is_searched_killed_and_resumed() {
    let folder = folder();
    let Some(server) = Server::nginx(folder.path(), true, 200) else {
        return;
    };
    let step = |name: &str| format!("{{ name = \"{name}\", get = \"/{name}\" }}");
    let profile = format!(
        "slo = [\"errors<1%\", \"p99<5s\"]\n[target]\nurl = \"https://127.0.0.1:{}\"\n\
         ca = \"ca.pem\"\nhttp = \"2\"\nstreams-per-connection = 4\n\
         [[population]]\nname = \"readers\"\nshare = 70\nscenario = {{ steps = [{}] }}\n\
         [[population]]\nname = \"buyers\"\nshare = 30\nscenario = {{ steps = [{}] }}\n\
         [search]\nstart-vus = 20\nmax-vus = 80\nbudget = \"40s\"\nhold-min = \"2s\"\n\
         hold-max = \"3s\"\nsettle-max = \"3s\"\n",
        server.port,
        step("read"),
        step("buy"),
    );
    fs::write(folder.path().join("mix.toml"), profile).unwrap();
    let find = ["find", "mix.toml", "--rate", "--quiet", "--out", "out"];
    let mut find = Command::new(env!("CARGO_BIN_EXE_breakpoint"))
        .env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .current_dir(folder.path())
        .args(find)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let dir = judged(folder.path());
    find.kill().unwrap();
    find.wait().unwrap();
    let resumed = run(folder.path(), &["resume", &dir.display().to_string()]);
    let record = fs::read(dir.join("result.json")).unwrap();
    let record = report::read(&record).unwrap();
    assert_eq!(record.plan.http_words(), "2, 4 streams per connection");
    assert!(record.probes.len() > 1, "{}", said(&resumed));
    for probe in &record.probes {
        let of = |name: &str| {
            let row = probe.steps.iter().find(|s| s.step.ends_with(name));
            row.unwrap_or_else(|| panic!("no row {name}"))
        };
        let (read, buy) = (of("readers.read"), of("buyers.buy"));
        assert!(read.completed > buy.completed && buy.completed > 0);
        assert!(read.failed.is_empty(), "{:?}", read.failed);
        assert!(buy.failed.is_empty(), "{:?}", buy.failed);
    }
    let spoke = |count: fn(&LoadedAddress) -> u64| record.plan.addresses.iter().map(count).sum();
    let (one, two): (u64, u64) = (
        spoke(|a| a.http1_connections),
        spoke(|a| a.http2_connections),
    );
    assert!(one == 0 && two > 0, "{one} and {two} connections");
}
