//! TLS, names and addresses against real servers.

use std::net::IpAddr;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::scenario::{Addresses, Resolve};

/// A certificate with its key, as a file holds them and as a server uses them.
struct Made {
    pem: String,
    key_pem: String,
    der: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Made {
    fn new(params: &CertificateParams, by: Option<&Issuer<'_, KeyPair>>) -> Self {
        let key = KeyPair::generate().unwrap();
        let made = match by {
            Some(issuer) => params.signed_by(&key, issuer).unwrap(),
            None => params.self_signed(&key).unwrap(),
        };
        Self {
            pem: made.pem(),
            key_pem: key.serialize_pem(),
            der: made.der().clone(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }
}

/// A CA, and what issues by it.
fn authority(name: &str) -> (String, CertificateDer<'static>, Issuer<'static, KeyPair>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let made = params.self_signed(&key).unwrap();
    (made.pem(), made.der().clone(), Issuer::new(params, key))
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// As `openssl req -x509 -subj /CN=NAME` makes it: a certificate of a CA, without alternative
/// names.
fn req_x509(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

/// A server with this certificate, which wants its clients to have one that this CA issued.
async fn tls_server(
    made: &Made,
    clients: Option<&CertificateDer<'static>>,
    version: &'static SupportedProtocolVersion,
) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[version])
        .unwrap();
    let builder = match clients {
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
        None => builder.with_no_client_auth(),
    };
    let config = builder
        .with_single_cert(vec![made.der.clone()], made.key.clone_key())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let base = server(move |_, tcp| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut tls) = acceptor.accept(tcp).await else {
                return;
            };
            let mut into = [0; 4096];
            while matches!(tls.read(&mut into).await, Ok(n) if n > 0) {
                if tls.write_all(OK.as_bytes()).await.is_err() || tls.flush().await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    port(&base)
}

fn port(base: &str) -> u16 {
    base.rsplit(':').next().unwrap().parse().unwrap()
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// How one cycle against an address goes, and why it fails.
async fn look(url: &str, trust: TrustSpec, resolve: &[&str]) -> Result<(), String> {
    let mut given = Resolve::default();
    for text in resolve {
        given.add(text).unwrap();
    }
    let network = Network {
        trust: Some(Trust::read(&trust).map_err(|e| e.to_string())?),
        resolve: given,
        ..Network::default()
    };
    let mut engine = NativeEngine::start(NativeSpec {
        network,
        ..spec(&compile(GET, url))
    })
    .unwrap();
    let canary = engine.canary().await.unwrap();
    engine.stop().await;
    match canary {
        Canary::Passed(_) => Ok(()),
        Canary::Shed => Err("shed".to_owned()),
        Canary::Failed(failure) => Err(format!("{}: {}", failure.kind.name(), failure.message)),
    }
}

fn ca(path: &std::path::Path) -> TrustSpec {
    TrustSpec {
        ca: Some(path.to_owned()),
        ..TrustSpec::default()
    }
}

#[tokio::test]
async fn a_certificate_that_is_given_is_taken_for_its_name_whatever_else_it_is() {
    let files = Files::new();
    for (what, params, host) in [
        (
            "of a CA, with the usual names",
            {
                let mut usual = params(&["127.0.0.1", "a.test"]);
                usual.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                usual
            },
            "127.0.0.1",
        ),
        (
            "of a CA, with a common name alone",
            req_x509("a.test"),
            "a.test",
        ),
        ("of no CA", params(&["a.test"]), "a.test"),
    ] {
        let made = Made::new(&params, None);
        let port = tls_server(&made, None, &version::TLS13).await;
        let url = format!("https://{host}:{port}");
        let resolve = [
            &*format!("a.test:{port}:127.0.0.1"),
            &*format!("b.test:{port}:127.0.0.1"),
        ];
        let file = files.put("own.pem", &made.pem);
        assert_eq!(look(&url, ca(&file), &resolve).await, Ok(()), "{what}");
        let elsewhere = format!("https://b.test:{port}");
        let error = look(&elsewhere, ca(&file), &resolve).await.unwrap_err();
        assert!(
            error.contains("wrong name: `b.test` was requested, but it is for"),
            "{what}: {error}"
        );
        let named = TrustSpec {
            server_name: Some("a.test".to_owned()),
            ..ca(&file)
        };
        assert_eq!(
            look(&elsewhere, named, &resolve).await,
            Ok(()),
            "{what}: server-name"
        );
        let insecure = TrustSpec {
            insecure: true,
            ..TrustSpec::default()
        };
        assert_eq!(
            look(&elsewhere, insecure, &resolve).await,
            Ok(()),
            "{what}: insecure"
        );
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_taken_says_why() {
    let files = Files::new();
    let (another, _, _) = authority("another");
    let another = files.put("another.pem", &another);
    let (of_ca, _, issuer) = authority("our own CA");
    let of_ca = files.put("ca.pem", &of_ca);
    let mut old = params(&["127.0.0.1"]);
    old.not_after = rcgen::date_time_ymd(2020, 2, 3);
    let mut young = params(&["127.0.0.1"]);
    young.not_before = rcgen::date_time_ymd(2094, 2, 3);
    for (made, file, want) in [
        (
            Made::new(&req_x509("127.0.0.1"), None),
            &another,
            "the certificate (127.0.0.1) is self-signed; trust it",
        ),
        (
            Made::new(&params(&["127.0.0.1"]), None),
            &another,
            "is self-signed; trust it or its issuer with --cacert",
        ),
        (
            Made::new(&params(&["127.0.0.1"]), Some(&issuer)),
            &another,
            "has an unknown issuer (our own CA); give the CA's file",
        ),
        (
            Made::new(&params(&["a.test"]), Some(&issuer)),
            &of_ca,
            "wrong name: `127.0.0.1` was requested, but it is for a.test",
        ),
        (
            Made::new(&old, Some(&issuer)),
            &of_ca,
            "has expired on 2020-02-03",
        ),
        (
            Made::new(&young, Some(&issuer)),
            &of_ca,
            "is not valid before 2094-02-03",
        ),
    ] {
        let port = tls_server(&made, None, &version::TLS13).await;
        let error = look(&format!("https://127.0.0.1:{port}"), ca(file), &[])
            .await
            .unwrap_err();
        assert!(
            error.starts_with("tls: ") && error.contains(want),
            "{want}: {error}"
        );
    }
    let good = Made::new(&params(&["127.0.0.1"]), Some(&issuer));
    let port = tls_server(&good, None, &version::TLS12).await;
    assert_eq!(
        look(&format!("https://127.0.0.1:{port}"), ca(&of_ca), &[]).await,
        Ok(())
    );
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_gets_it_or_says_so() {
    let files = Files::new();
    let (of_ca, ca_der, issuer) = authority("our own CA");
    let of_ca = files.put("ca.pem", &of_ca);
    let made = Made::new(&params(&["127.0.0.1"]), Some(&issuer));
    let client = Made::new(&params(&["client"]), Some(&issuer));
    let cert = files.put("client.pem", &client.pem);
    let key = files.put("client.key", &client.key_pem);
    let both = files.put("both.pem", &format!("{}{}", client.key_pem, client.pem));
    let (_, _, stranger) = authority("stranger");
    let stranger = Made::new(&params(&["client"]), Some(&stranger));
    let strange = files.put(
        "strange.pem",
        &format!("{}{}", stranger.key_pem, stranger.pem),
    );
    for version in [&version::TLS12, &version::TLS13] {
        let port = tls_server(&made, Some(&ca_der), version).await;
        let url = format!("https://127.0.0.1:{port}");
        let error = look(&url, ca(&of_ca), &[]).await.unwrap_err();
        assert!(
            error.contains("asks for a client certificate; give it with --cert"),
            "{version:?}: {error}"
        );
        let with = |cert: &PathBuf, key: Option<&PathBuf>| TrustSpec {
            cert: Some(cert.clone()),
            key: key.cloned(),
            ..ca(&of_ca)
        };
        assert_eq!(look(&url, with(&cert, Some(&key)), &[]).await, Ok(()));
        assert_eq!(look(&url, with(&both, None), &[]).await, Ok(()));
        assert!(look(&url, with(&strange, None), &[]).await.is_err());
        let error = look(&url, with(&cert, None), &[]).await.unwrap_err();
        assert!(
            error.contains("client.pem: it contains no private key"),
            "{error}"
        );
        let error = look(&url, with(&cert, Some(&of_ca)), &[])
            .await
            .unwrap_err();
        assert!(
            error.contains("ca.pem: it contains no private key"),
            "{error}"
        );
    }
    let error = look("https://127.0.0.1:1", ca(&key), &[])
        .await
        .unwrap_err();
    assert!(
        error.contains("client.key: it contains no certificate"),
        "{error}"
    );
}

#[tokio::test]
async fn a_port_without_tls_is_called_one() {
    let base = answering("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
    // It reads a handshake as a request that never ends; others answer at once.
    let at_once = server(|_, mut tcp| async move {
        let _ = tcp.read(&mut [0; 512]).await;
        let _ = tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    drop(base);
    let insecure = TrustSpec {
        insecure: true,
        ..TrustSpec::default()
    };
    let url = at_once.replace("http:", "https:");
    let error = look(&url, insecure, &[]).await.unwrap_err();
    assert!(error.contains("this port speaks plain HTTP"), "{error}");
    assert!(error.contains("use http://"), "{error}");
}

/// Servers at several addresses of this machine and one port; each says how many connections it has
/// taken.
async fn at_addresses(addresses: &[&str]) -> (u16, Vec<Arc<AtomicUsize>>) {
    'port: loop {
        let mut port = 0;
        let mut listeners = Vec::new();
        for address in addresses {
            let ip: IpAddr = address.parse().unwrap();
            match TcpListener::bind((ip, port)).await {
                Ok(listener) => {
                    port = listener.local_addr().unwrap().port();
                    listeners.push(listener);
                }
                // Somebody else has it at one of the other addresses.
                Err(_) => continue 'port,
            }
        }
        let serve = |listener: TcpListener| {
            let taken = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&taken);
            tokio::spawn(async move {
                while let Ok((mut tcp, _)) = listener.accept().await {
                    counted.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(async move {
                        while request(&mut tcp).await.is_some() {
                            if tcp.write_all(OK.as_bytes()).await.is_err() {
                                break;
                            }
                        }
                    });
                }
            });
            taken
        };
        return (port, listeners.into_iter().map(serve).collect());
    }
}

/// Loads a name that leads to these addresses, by ten VUs; gives what the engine says of them.
async fn load_name(port: u16, addresses: &str, use_: Addresses) -> Vec<LoadedAddress> {
    let mut resolve = Resolve::default();
    resolve
        .add(&format!("many.test:{port}:{addresses}"))
        .unwrap();
    let network = Network {
        resolve,
        addresses: use_,
        ..Network::default()
    };
    let scenario = compile(GET, &format!("http://many.test:{port}"));
    let mut engine = NativeEngine::start(NativeSpec {
        network,
        ..spec(&scenario)
    })
    .unwrap();
    assert!(matches!(engine.canary().await.unwrap(), Canary::Passed(_)));
    engine.set_level(Level(10)).await.unwrap();
    let seen = watch(&mut engine, |seen| {
        seen.last.at_level && seen.steps[0].latency.count() > 200
    })
    .await;
    assert_eq!(seen.steps[0].failed.of_target(), 0);
    let told = engine.addresses();
    engine.stop().await;
    told
}

#[tokio::test]
async fn vus_are_spread_over_all_addresses_of_a_name() {
    let (port, taken) = at_addresses(&["127.0.0.1", "127.0.0.2"]).await;
    let told = load_name(port, "127.0.0.2,127.0.0.1", Addresses::All).await;
    let counts: Vec<usize> = taken.iter().map(|t| t.load(Ordering::SeqCst)).collect();
    // The canary asks as the first VU.
    assert_eq!(counts, [6, 5], "ten VUs and a canary");
    let loaded: Vec<_> = told.iter().map(|a| (&*a.address, a.connections)).collect();
    assert_eq!(loaded, [("127.0.0.1", 5), ("127.0.0.2", 5)]);
    assert!(
        told.iter()
            .all(|a| a.requests > 20 && a.host == "many.test"),
        "{told:?}"
    );

    let told = load_name(port, "127.0.0.2,127.0.0.1", Addresses::First).await;
    let loaded: Vec<_> = told.iter().map(|a| (&*a.address, a.connections)).collect();
    assert_eq!(loaded, [("127.0.0.1", 0), ("127.0.0.2", 10)]);
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_passed_over_and_told() {
    let (port, taken) = at_addresses(&["127.0.0.1", "127.0.0.3"]).await;
    let told = load_name(port, "127.0.0.1,127.0.0.2,127.0.0.3", Addresses::All).await;
    let loaded: Vec<_> = told.iter().map(|a| a.connections).collect();
    assert_eq!(loaded.iter().sum::<u64>(), 10, "{told:?}");
    assert_eq!(loaded[1], 0, "{told:?}");
    assert!(
        taken.iter().all(|t| t.load(Ordering::SeqCst) >= 3),
        "{told:?}"
    );
}

#[tokio::test]
async fn a_canary_asks_as_a_vu_that_the_load_has_with_its_row() {
    // A service with users u0 to u2, each with a word of its own.
    let site = server(|_, mut tcp| async move {
        while let Some(text) = request(&mut tcp).await {
            let line = text.lines().next().unwrap_or_default();
            let known = ["u0/zero", "u1/one", "u2/two"].map(|u| format!("GET /{u} HTTP/1.1"));
            let status = if known.iter().any(|k| k == line) {
                "200 OK"
            } else {
                "404 Not Found"
            };
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
            tcp.write_all(answer.as_bytes()).await.ok();
        }
    })
    .await;
    let rows = Feeder::parse("word\nzero\none\ntwo\n".as_bytes()).unwrap();
    let feeders = BTreeMap::from([("rows".to_owned(), Arc::new(rows))]);
    let toml = "[feeders.rows]\nfile = 'rows.csv'\norder = 'per-vu'\n\
                [[steps]]\nname = 'get'\nget = '/u{{ vu }}/{{ rows.word }}'";
    let mut engine = engine(&compile_fed(toml, &site, &feeders));
    for _ in 0..3 {
        assert!(matches!(engine.canary().await.unwrap(), Canary::Passed(_)));
    }
    engine.stop().await;
}

/// A server that answers every request with these bytes.
async fn saying(bytes: Vec<u8>) -> String {
    server(move |_, mut tcp| {
        let bytes = bytes.clone();
        async move {
            while request(&mut tcp).await.is_some() {
                if tcp.write_all(&bytes).await.is_err() {
                    break;
                }
            }
        }
    })
    .await
}

async fn one_cycle(toml: &str, base: &str) -> Canary {
    let mut engine = engine(&compile(toml, base));
    let canary = engine.canary().await.unwrap();
    engine.stop().await;
    canary
}

fn compressed(name: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut answer =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: {name}\r\ncontent-length: {length}\r\n\r\n")
            .into_bytes();
    answer.extend_from_slice(body);
    answer
}

fn gzip(text: &str) -> Vec<u8> {
    use std::io::Write as _;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(text.as_bytes()).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test]
async fn a_compressed_body_is_decoded_where_something_is_read_from_it() {
    const JSON: &str = r#"{"id":"a word"}"#;
    let reads = "[[steps]]\nname = 'get'\nget = '/'\nextract = { id = '/id' }";
    let zstd = zstd::encode_all(JSON.as_bytes(), 1).unwrap();
    for (name, body) in [("gzip", gzip(JSON)), ("zstd", zstd)] {
        let base = saying(compressed(name, &body)).await;
        let went = one_cycle(reads, &base).await;
        assert!(matches!(went, Canary::Passed(_)), "{name}: {went:?}");
        let damaged = saying(compressed(name, &body[..body.len() / 2])).await;
        let went = one_cycle(reads, &damaged).await;
        assert_eq!(went.failed_with(), Some(FailureKind::Protocol), "{name}");
        // Who reads nothing needs no decoder, whatever it is.
        let went = one_cycle(GET, &damaged).await;
        assert!(matches!(went, Canary::Passed(_)), "{name}: {went:?}");
    }
    let bomb = gzip(&format!("\"{}\"", "x".repeat(8 << 20)));
    let base = saying(compressed("gzip", &bomb)).await;
    let went = one_cycle(reads, &base).await;
    assert_eq!(went.failed_with(), Some(FailureKind::Protocol));
    let base = saying(compressed("lzma", b"?")).await;
    let went = one_cycle(reads, &base).await;
    assert_eq!(went.failed_with(), Some(FailureKind::Protocol));
}

#[tokio::test]
async fn a_compressed_stream_is_decoded_as_it_comes() {
    use std::io::Write as _;
    let base = server(|_, mut tcp| async move {
        request(&mut tcp).await;
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n\r\n";
        tcp.write_all(head.as_bytes()).await.unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        for text in ["data: {\"n\":\"1\"}\n\n", "data: {\"n\":\"2\"}\n\n"] {
            gzip.write_all(text.as_bytes()).unwrap();
            gzip.flush().unwrap();
            let piece = std::mem::take(gzip.get_mut());
            tcp.write_all(&piece).await.unwrap();
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        // It stays open: the events must not wait for its end.
        let _ = tcp.read(&mut [0]).await;
    })
    .await;
    let toml = "[[steps]]\nname = 'open'\nopen = '/'\n\
                [[steps]]\nname = 'event'\nwait = { match = { '/n' = '2' } }\ntimeout = '5s'";
    let went = one_cycle(toml, &base).await;
    assert!(matches!(went, Canary::Passed(_)), "{went:?}");
}

#[tokio::test]
async fn a_head_of_very_many_lines_is_read() {
    let line = |i: usize| format!("x-{i}: y\r\n");
    let lines = |n: usize| (0..n).map(line).collect::<Vec<_>>().concat();
    for (n, passes) in [(127, true), (129, true), (3000, true), (8000, false)] {
        let head = format!("HTTP/1.1 200 OK\r\n{}content-length: 2\r\n\r\nok", lines(n));
        let went = one_cycle(GET, &saying(head.into_bytes()).await).await;
        // 8 000 of them are more than 64 KiB.
        assert_eq!(matches!(went, Canary::Passed(_)), passes, "{n}: {went:?}");
    }
}

/// A server that drops a request, after it has looked at it for a while, on a connection that was
/// idle for a second or more. It says so, or not.
async fn forgetful(says: bool) -> String {
    let keep = if says {
        "keep-alive: timeout=1\r\n"
    } else {
        ""
    };
    let answer = format!("HTTP/1.1 200 OK\r\n{keep}content-length: 2\r\n\r\nok");
    server(move |_, mut tcp| {
        let answer = answer.clone();
        async move {
            let mut since = Instant::now();
            while request(&mut tcp).await.is_some() {
                if since.elapsed() >= Duration::from_secs(1) {
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    return;
                }
                tcp.write_all(answer.as_bytes()).await.ok();
                since = Instant::now();
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_connection_is_left_before_its_server_leaves_it() {
    let toml = "steps = [{ name = 'get', get = '/' }, { think = '1100ms' }]";
    for says in [true, false] {
        let base = forgetful(says).await;
        let mut engine = NativeEngine::start(NativeSpec {
            threads: 1,
            ..spec(&compile(toml, &base))
        })
        .unwrap();
        engine.set_level(Level(4)).await.unwrap();
        let seen = watch(&mut engine, |s| s.steps[0].completed() >= 20).await;
        engine.stop().await;
        assert!(seen.steps[0].completed() >= 20, "{says}");
        let failed = seen.steps[0].failed.of_target();
        if says {
            assert_eq!(failed, 0);
        } else {
            // Each of the VUs may be the one that finds it out.
            assert!((3..=4).contains(&failed), "{failed}");
        }
    }
}

#[tokio::test]
async fn what_asks_for_something_to_be_done_is_never_sent_twice() {
    for (method, connections, asked) in [("get", 2, 3), ("post", 1, 2)] {
        let (connected, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let counters = (Arc::clone(&connected), Arc::clone(&heard));
        // The first connection gives one answer, takes one more request and ends at once; the
        // others answer.
        let base = server(move |number, mut tcp| {
            let (connected, heard) = (Arc::clone(&counters.0), Arc::clone(&counters.1));
            connected.fetch_add(1, Ordering::SeqCst);
            async move {
                while request(&mut tcp).await.is_some() {
                    if heard.fetch_add(1, Ordering::SeqCst) == 1 && number == 0 {
                        return;
                    }
                    tcp.write_all(OK.as_bytes()).await.ok();
                }
            }
        })
        .await;
        let toml =
            format!("steps = [{{ name = 'one', get = '/' }}, {{ name = 'two', {method} = '/' }}]");
        let went = one_cycle(&toml, &base).await;
        let counts = (
            connected.load(Ordering::SeqCst),
            heard.load(Ordering::SeqCst),
        );
        assert_eq!(counts, (connections, asked), "{method}: {went:?}");
        assert_eq!(
            matches!(went, Canary::Passed(_)),
            method == "get",
            "{method}: {went:?}"
        );
    }
}
