//! A certificate authority of one's own, and one that signed nothing here.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::TempDir;

/// What the targets have, and the files that the program trusts.
pub(crate) struct Certificates {
    _dir: TempDir,
    pub(crate) ca: PathBuf,
    pub(crate) another_ca: PathBuf,
    pub(crate) server: Arc<ServerConfig>,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let ca = dir.path().join("ca.pem");
        let issuer = authority(&ca);
        let another_ca = dir.path().join("another-ca.pem");
        authority(&another_ca);
        Self {
            _dir: dir,
            ca,
            another_ca,
            server: Arc::new(server(&issuer)),
        }
    }
}

/// An authority whose certificate is in this file.
fn authority(file: &Path) -> Issuer<'static, KeyPair> {
    let key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fs::write(file, ca.self_signed(&key).unwrap().pem()).unwrap();
    Issuer::new(ca, key)
}

fn server(issuer: &Issuer<'static, KeyPair>) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let own = own.signed_by(&key, issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], key)
        .unwrap()
}
