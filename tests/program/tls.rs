//! HTTPS with a CA of one's own, given as a user gives it: accepted with `SSL_CERT_FILE` or a flag,
//! refused without; names that lead to several addresses; and what `up` writes and prints.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use breakpoint::record::{RampRecord, RunRecord};
use breakpoint::report;
use breakpoint::slo::Verdict;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::starved::{Starved, repeated};

/// A CA's certificate as a file holds it, and a server's certificate that it signed, with the
/// server's key.
pub(crate) fn certificates() -> (String, CertificateDer<'static>, PrivateKeyDer<'static>) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "a CA");
    let file = ca.self_signed(&ca_key).unwrap().pem();
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&server_key, &Issuer::new(ca, ca_key))
        .unwrap();
    let key = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
    (file, server.der().clone(), key)
}

/// Answers every request of a connection in two TLS records.
async fn serve(tcp: TcpStream, acceptor: TlsAcceptor) {
    // A client that does not trust the certificate ends the handshake.
    if let Ok(tls) = acceptor.accept(tcp).await {
        answer(tls).await;
    }
}

/// A server without TLS; gives its address.
async fn plain_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(answer(tcp));
        }
    });
    format!("http://{address}")
}

async fn answer(mut tls: impl AsyncRead + AsyncWrite + Unpin) {
    let mut head = Vec::new();
    let mut byte = [0];
    while let Ok(1) = tls.read(&mut byte).await {
        head.push(byte[0]);
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            for part in ["HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", "ok"] {
                let sent = tls.write_all(part.as_bytes()).await;
                if sent.is_err() || tls.flush().await.is_err() {
                    return;
                }
            }
        }
    }
}

/// The record of the one run below a folder.
fn record(out: &Path) -> RunRecord {
    let only = |folder: &Path| {
        fs::read_dir(folder)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path()
    };
    let file = only(&only(out)).join("result.json");
    report::read(&fs::read(file).unwrap()).unwrap()
}

/// A short search of an address, with these certificates as the system's.
async fn find(address: String, certificates: &Path, out: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
    command.env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
        .env("CI", "true")
        .env("SSL_CERT_FILE", certificates)
        .env_remove("SSL_CERT_DIR")
        .stdin(Stdio::null())
        .args(["find", "--url", &address, "--slo", "errors<1%"])
        .args(["--start-vus", "2", "--max-vus", "2", "--budget", "20s"])
        .arg("--out")
        .arg(out);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

/// A server on this address that has this certificate.
async fn tls_server(
    address: SocketAddr,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(server_config(certificate, key)));
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(tcp, acceptor.clone()));
        }
    });
    address
}

pub(crate) fn server_config(
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap()
}

/// What a server that speaks HTTP/2 alone answers to anything else: its SETTINGS, and GOAWAY for a
/// preface that is none.
const FRAMES: &[u8] = &[
    0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100, 0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    1,
];

/// A server that speaks HTTP/2 alone: in clear by prior knowledge, or behind TLS, where it may
/// insist on ALPN.
async fn http2_server(tls: Option<ServerConfig>) -> SocketAddr {
    async fn speak(mut to: impl AsyncRead + AsyncWrite + Unpin) {
        let mut head = [0; 4096];
        if to.read(&mut head).await.is_ok() {
            to.write_all(FRAMES).await.ok();
            to.shutdown().await.ok();
        }
    }
    let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                match acceptor {
                    None => speak(tcp).await,
                    Some(acceptor) => {
                        if let Ok(tls) = acceptor.accept(tcp).await {
                            speak(tls).await;
                        }
                    }
                }
            });
        }
    });
    address
}

/// Runs the program in a folder.
async fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_breakpoint"));
    command
        .env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .env("CI", "true")
        .env_remove("SSL_CERT_FILE")
        .env_remove("SSL_CERT_DIR")
        .current_dir(folder)
        .stdin(Stdio::null())
        .args(args);
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// The record of the one ramp below a folder.
fn ramp_record(out: &Path) -> RampRecord {
    let only = |folder: &Path| {
        fs::read_dir(folder)
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path()
    };
    let file = only(&only(out)).join("ramp.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// As `openssl req -x509 -nodes -subj /CN=NAME` makes it, which `curl --cacert` takes.
fn req_x509(name: &str) -> (String, CertificateDer<'static>, PrivateKeyDer<'static>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let made = params.self_signed(&key).unwrap();
    let der = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (made.pem(), made.der().clone(), der)
}

#[tokio::test]
async fn a_name_of_several_addresses_is_loaded_at_all_of_them_over_tls() {
    let (pem, certificate, key) = req_x509("many.test");
    let at = |ip: [u8; 4], port| SocketAddr::from((ip, port));
    let first = tls_server(at([127, 0, 0, 1], 0), certificate.clone(), key.clone_key()).await;
    let port = first.port();
    tls_server(at([127, 0, 0, 2], port), certificate, key).await;
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("own.pem"), pem).unwrap();
    let url = format!("HTTPS://many.test:{port}/a b");
    let resolve = format!("many.test:{port}:127.0.0.1,127.0.0.2");
    let asked = ["--url", &url, "--resolve", &resolve, "--slo", "errors<50%"];
    let plan = [&["plan", "--cacert", "own.pem"], &asked[..]].concat();
    let told = said(&run(folder.path(), &plan).await);
    let line = "addresses    2 of many.test, used by VUs in turn: 127.0.0.1, 127.0.0.2";
    assert!(told.contains(line), "{told}");

    for (trust, insecure) in [(&["--cacert", "own.pem"][..], false), (&["-k"], true)] {
        let out = if insecure { "insecure" } else { "checked" };
        let stages = ["ramp", "--stages", "4:1s,4:1s", "--out", out];
        let output = run(folder.path(), &[&stages[..], &asked[..], trust].concat()).await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(0), "{told}");
        let plan = ramp_record(&folder.path().join(out)).plan;
        assert_eq!(plan.insecure, insecure);
        assert_eq!(
            told.contains("the certificate of the target is not checked"),
            insecure,
            "{told}"
        );
        let loaded: Vec<_> = plan
            .addresses
            .iter()
            .map(|a| (&*a.host, &*a.address, a.connections))
            .collect();
        assert_eq!(
            loaded,
            [("many.test", "127.0.0.1", 2), ("many.test", "127.0.0.2", 2)]
        );
        assert!(
            told.contains("2 of 2 addresses of many.test received load: 127.0.0.1 "),
            "{told}"
        );
    }
}

#[tokio::test]
async fn a_server_that_speaks_http_2_alone_is_told_of_and_not_said_to_be_silent() {
    let (pem, certificate, key) = req_x509("127.0.0.1");
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("own.pem"), pem).unwrap();
    let mut insists = server_config(certificate.clone(), key.clone_key());
    insists.alpn_protocols = vec![b"h2".to_vec()];
    let takes_any = server_config(certificate, key);
    for (tls, kind, part) in [
        (None, "protocol", "the response is HTTP/2"),
        (Some(takes_any), "protocol", "the response is HTTP/2"),
        (
            Some(insists),
            "tls",
            "the server does not agree to HTTP/1.1 (ALPN)",
        ),
    ] {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/", http2_server(tls).await);
        let asked = ["--url", &url, "--cacert", "own.pem"];
        let search = ["--slo", "p99<1s", "--budget", "20s", "--out", "out"];
        let timeout = "slo = ['p99<1s']\n[target]\nreset-timeout = '1s'\n[[scenario.steps]]\nname \
            = 'get'\nget = '/'\n";
        fs::write(folder.path().join("h2.toml"), timeout).unwrap();
        let find = run(
            folder.path(),
            &[&["find", "h2.toml"], &asked[..], &search].concat(),
        )
        .await;
        let look = run(folder.path(), &[&["try", "h2.toml"], &asked[..]].concat()).await;
        for output in [find, look] {
            let told = said(&output);
            assert_eq!(output.status.code(), Some(5), "{url}: {told}");
            assert!(told.contains(part), "{url}: {told}");
            assert!(told.contains(kind), "{url}: {told}");
            assert!(told.contains("set `http = \"2\"`"), "{url}: {told}");
            assert!(!told.contains("does not answer"), "{url}: {told}");
        }
    }
}

/// Neither speaks to whom it does not trust; whom it does is found to be somebody else.
/// A server that answers whatever comes with a fatal alert of TLS.
async fn alerting(alert: u8) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            // The begin of its hello: type, version, length.
            let mut hello = [0; 5];
            tcp.read_exact(&mut hello).await.unwrap();
            let mut rest = vec![0; usize::from(u16::from_be_bytes([hello[3], hello[4]]))];
            tcp.read_exact(&mut rest).await.unwrap();
            tcp.write_all(&[0x15, 3, 3, 0, 2, 2, alert]).await.ok();
        }
    });
    address
}

#[tokio::test]
async fn an_alert_of_the_server_is_told_as_what_it_means() {
    let folder = TempDir::new().unwrap();
    // RFC 8446, section 6.2.
    for (alert, part) in [
        (112, "the server does not know this name"),
        (40, "no cipher in common"),
        (71, "no cipher in common"),
        (70, "neither TLS 1.2 nor TLS 1.3"),
    ] {
        let url = format!("https://{}", alerting(alert).await);
        let look = run(folder.path(), &["try", "--url", &url, "--insecure"]).await;
        let text = said(&look);
        assert_eq!(look.status.code(), Some(5), "{text}");
        assert!(
            text.contains(part) && !text.contains("nothing answered"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn monitors_and_the_page_of_locust_trust_as_the_load_does() {
    let (pem, certificate, key) = req_x509("127.0.0.1");
    let there = tls_server(SocketAddr::from(([127, 0, 0, 1], 0)), certificate, key).await;
    let target = plain_server().await;
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("own.pem"), pem).unwrap();
    let profile = |keys: &str, of_monitor: &str| {
        let text = format!(
            "slo = ['errors<50%']\n[target]\nurl = '{target}'\n{keys}\n[scenario]\n[[scenario.steps]]\nname = 'get'\nget = '/'\n\
             [[monitor]]\nname = 'page'\nprometheus = 'https://{there}/metrics'\nmetrics = {{ a = 'b' }}\n{of_monitor}\n"
        );
        fs::write(folder.path().join("mine.toml"), text).unwrap();
    };
    for (keys, of_monitor, want) in [
        ("", "", "the certificate (127.0.0.1) is self-signed"),
        (
            "",
            "ca = 'own.pem'",
            "the response is not a page of metrics",
        ),
        (
            "ca = 'own.pem'",
            "",
            "the response is not a page of metrics",
        ),
        (
            "insecure = true",
            "server-name = 'a.test'",
            "is self-signed",
        ),
        (
            "",
            "insecure = true",
            "of the monitor `page` is not checked",
        ),
    ] {
        profile(keys, of_monitor);
        let output = run(folder.path(), &["ramp", "mine.toml", "--stages", "1:1s"]).await;
        let told = said(&output);
        assert!(told.contains(want), "{keys} {of_monitor}: {told}");
    }
    let url = format!("https://{there}");
    let find = ["find", "--locust-url", &url, "--slo", "p99<1s"];
    let told = said(&run(folder.path(), &find).await);
    assert!(
        told.contains("the certificate (127.0.0.1) is self-signed"),
        "{told}"
    );
    let trusting = [&find[..], &["--cacert", "own.pem"]].concat();
    let told = said(&run(folder.path(), &trusting).await);
    assert!(told.contains("is not a supported Locust master"), "{told}");
    let told = said(
        &run(
            folder.path(),
            &["find", "--engine", "k6", "--script", "x.js", "-k"],
        )
        .await,
    );
    assert!(
        told.contains("--insecure") && told.contains("insecureSkipTLSVerify"),
        "{told}"
    );
}

#[tokio::test]
async fn what_up_writes_is_read_and_what_it_prints_is_shown() {
    let folder = TempDir::new().unwrap();
    // Nobody listens there; the feeder is there only once `up` has run.
    let profile = "slo = ['errors<50%']\n[target]\nurl = 'http://127.0.0.1:1'\ncanary-cycles = 1\nreset-timeout = '3s'\n\
                   up = 'printf \"word\\none\\n\" > rows.csv; echo the port is taken; (sleep 1; echo still here) &'\n\
                   [scenario.feeders.rows]\nfile = 'rows.csv'\n\
                   [[scenario.steps]]\nname = 'get'\nget = '/{{ rows.word }}'\n";
    fs::write(folder.path().join("mine.toml"), profile).unwrap();
    let told = said(&run(folder.path(), &["plan", "mine.toml"]).await);
    assert!(
        told.contains("rows.csv does not exist yet; it is read after `up` has run"),
        "{told}"
    );
    let ramp = ["ramp", "mine.toml", "--stages", "1:1s", "--yes"];
    let output = run(folder.path(), &ramp).await;
    let told = said(&output);
    assert_eq!(output.status.code(), Some(5), "{told}");
    assert!(
        told.contains("last output of `up` and of what it left running:"),
        "{told}"
    );
    assert!(
        told.contains("the port is taken") && told.contains("still here"),
        "{told}"
    );

    let missing = profile.replace("rows.word", "rows.wrd");
    fs::write(folder.path().join("mine.toml"), missing).unwrap();
    fs::remove_file(folder.path().join("rows.csv")).unwrap();
    let output = run(folder.path(), &ramp).await;
    let told = said(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("feeder `rows` has no column `wrd`"), "{told}");
}

#[tokio::test]
async fn a_ca_of_ones_own_is_trusted_when_it_is_named_and_no_other_is() {
    let (ca, certificate, key) = certificates();
    let (another, _, _) = certificates();
    let address = tls_server(SocketAddr::from(([127, 0, 0, 1], 0)), certificate, key).await;
    let address = format!("https://{address}/");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ca.pem");

    fs::write(&file, &another).unwrap();
    let output = find(address.clone(), &file, &folder.path().join("refused")).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(5), "{told}");
    assert!(told.contains("failed with `tls`"), "{told}");
    assert!(told.contains("has an unknown issuer (a CA)"), "{told}");
    assert!(
        told.contains("--cacert FILE (`ca` in the profile's [target])"),
        "{told}"
    );

    fs::write(&file, &ca).unwrap();
    let out = folder.path().join("taken");
    let output = find(address, &file, &out).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    // Whether two VUs hold on a machine that compiles beside them is another matter: what counts is
    // that all was answered.
    let record = record(&out);
    let cycles = record.probes.first().and_then(|p| p.steps.last());
    let cycles = cycles.unwrap_or_else(|| panic!("no probe: {told}"));
    assert!(cycles.completed > 0, "{told}");
    assert_eq!(cycles.failed, [], "{told}");
}

/// A service with four places of 50 ms each, behind a way of 20 ms that loses one packet in two
/// hundred, by users who think for 0.2 s.
///
/// What is true: a simulation of the closed queue (four places, first come first served, 40 ms of
/// way, one answer in a hundred late by a loss) has its p90 at 195 ms with 28 users and at 208 ms
/// with 29.
#[test]
#[cfg(target_os = "linux")]
fn a_target_behind_a_network_has_its_breakpoint_and_its_way_is_told_apart() {
    // Who owns our own process is who we are.
    let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root || !Path::new("/dev/net/tun").exists() {
        println!("skipped: no root, or no /dev/net/tun");
        return;
    }
    let (told, record, held, broke) = repeated(search_behind_a_network);
    assert!((15..=31).contains(&held), "{held} held: {told}");
    assert!((24..=45).contains(&broke), "{broke} broke: {told}");
    let round_trip = record.plan.round_trip_s().unwrap();
    assert!((0.040..0.080).contains(&round_trip), "{round_trip}");
    assert!(
        told.contains("the round trip to the target takes 4"),
        "{told}"
    );
    assert!(
        told.contains("the network to the target drops packets"),
        "{told}"
    );
}

/// A search of it: what was said, the record, the highest level that held and the lowest that
/// broke.
#[cfg(target_os = "linux")]
fn search_behind_a_network() -> Result<(String, RunRecord, u32, u32), Starved> {
    let folder = TempDir::new().unwrap();
    let profile = "slo = ['p90<200ms']\n[target]\nurl = 'http://10.99.0.2:8080'\nallow = ['10.99.0.2']\n\
                   [[scenario.steps]]\nname = 'ask'\nget = '/'\n\
                   [[scenario.steps]]\nthink = { exponential = '200ms' }\n";
    fs::write(folder.path().join("far.toml"), profile).unwrap();
    let link = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/remote/link.py");
    let output = Command::new("python3")
        .arg(link)
        .args(["20", "0.005", env!("CARGO_BIN_EXE_breakpoint")])
        .args([
            "find",
            "far.toml",
            "--yes",
            "--budget",
            "60s",
            "--max-vus",
            "100",
            "--out",
            "out",
            "--threads",
            "1",
        ])
        .env("XDG_STATE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = said(&output);
    let record = record(&folder.path().join("out"));
    // What the machine did not let be measured says nothing; Python's server and the link add some
    // milliseconds of their own.
    let of = |verdict| {
        let probes = record.probes.iter().filter(move |p| p.verdict == verdict);
        probes.map(|p| p.level.get())
    };
    let (held, broke) = (of(Verdict::Held).max(), of(Verdict::Broke).min());
    let Some((held, broke)) = held.zip(broke) else {
        return Err(Starved(told));
    };
    Ok((told, record, held, broke))
}
