//! HTTPS with a CA of one's own, given as a user gives it: accepted with `SSL_CERT_FILE`, refused without.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use breakpoint::record::RunRecord;
use breakpoint::report;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A CA's certificate as a file holds it, and a server's certificate that it signed, with the server's key.
fn certificates() -> (String, CertificateDer<'static>, PrivateKeyDer<'static>) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
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
    let Ok(mut tls) = acceptor.accept(tcp).await else {
        return;
    };
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

#[tokio::test]
async fn a_ca_of_ones_own_is_trusted_when_it_is_named_and_no_other_is() {
    let (ca, certificate, key) = certificates();
    let (another, _, _) = certificates();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(tcp, acceptor.clone()));
        }
    });
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("ca.pem");

    fs::write(&file, &another).unwrap();
    let output = find(address.clone(), &file, &folder.path().join("refused")).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(5), "{told}");
    assert!(told.contains("failed with `tls`"), "{told}");

    fs::write(&file, &ca).unwrap();
    let out = folder.path().join("taken");
    let output = find(address, &file, &out).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    // Whether two VUs hold on a machine that compiles beside them is another matter: what counts is that all was answered.
    let record = record(&out);
    let cycles = record.probes.first().and_then(|p| p.steps.last());
    let cycles = cycles.unwrap_or_else(|| panic!("no probe: {told}"));
    assert!(cycles.completed > 0, "{told}");
    assert_eq!(cycles.failed, [], "{told}");
}
