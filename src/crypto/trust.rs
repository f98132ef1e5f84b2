//! Whom a TLS connection trusts and who it says it is: the system's certificates or a file of one's
//! own, the name that is expected, and a client certificate.
//!
//! Certificates are checked as webpki does, with what `curl --cacert` accepts beside that: a
//! certificate that is itself among those given needs nobody to vouch for it, also when it is one
//! of a CA (as `openssl req -x509` makes them), and one that has no alternative names may have its
//! host as the common name.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::client::ResolvesClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};

use super::certificate::Certificate;
use super::reason::{self, Refused};
use crate::bounded;
use crate::plan::ConnectPlan;
use crate::scenario::Http;

/// The names of HTTP/1.1 and HTTP/2 in a TLS handshake.
const HTTP_1: &[u8] = b"http/1.1";
/// The name of HTTP/2 in a TLS handshake (ALPN).
pub const HTTP_2: &[u8] = b"h2";

/// What was asked of TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustSpec {
    /// File of the certificates that are trusted, in place of the system's.
    pub ca: Option<PathBuf>,
    /// File of the client certificate, and of what issued it.
    pub cert: Option<PathBuf>,
    /// File of its key; without one it is in the certificate's.
    pub key: Option<PathBuf>,
    /// Whether whoever answers is believed.
    pub insecure: bool,
    /// The name that a certificate must be for, in place of the address's host.
    pub server_name: Option<String>,
}

impl From<&ConnectPlan> for TrustSpec {
    fn from(plan: &ConnectPlan) -> Self {
        Self {
            ca: plan.ca.clone(),
            cert: plan.cert.clone(),
            key: plan.key.clone(),
            insecure: plan.insecure,
            server_name: plan.server_name.clone(),
        }
    }
}

/// Why there is nothing to connect with.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file that cannot be used.
    #[error("{what} {}: {why}", path.display())]
    File {
        /// What it was to be.
        what: &'static str,
        /// Which it is.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The system has no certificates.
    #[error(
        "no CA certificate was found on this system{0}: give a file with --cacert (`ca` in the \
         profile's [target]), or with SSL_CERT_FILE in the environment"
    )]
    NoRoots(String),
    /// No host has such a name.
    #[error("`server-name` {0} is not a valid host name")]
    Name(String),
    /// rustls does not want it.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
}

/// Everything that TLS connections to one service need.
#[derive(Debug, Clone)]
pub struct Trust {
    config: Arc<ClientConfig>,
    /// The same for a server that chooses, and for one that must speak HTTP/2.
    auto: Arc<ClientConfig>,
    two: Arc<ClientConfig>,
    name: Option<ServerName<'static>>,
    identity: Arc<Identity>,
}

impl Trust {
    /// Reads the files.
    ///
    /// # Errors
    /// Names the file that is missing or holds something else, with the way out.
    pub fn read(spec: &TrustSpec) -> Result<Self, TrustError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let name = spec.server_name.as_deref().map(server_name).transpose()?;
        let (given, own) = match (&spec.ca, spec.insecure) {
            (_, true) => (Vec::new(), true),
            (Some(file), false) => (certificates("--cacert (`ca`)", file)?, true),
            (None, false) => (of_system()?, false),
        };
        let mut roots = RootCertStore::empty();
        // Those that are no anchors of webpki's may still be trusted for what they are.
        roots.add_parsable_certificates(given.iter().cloned());
        let identity = Arc::new(Identity {
            key: identity(spec, &provider)?,
            asked: AtomicBool::new(false),
        });
        let verifier = Verifier {
            roots,
            given,
            own,
            insecure: spec.insecure,
            name: name.clone(),
            algorithms: provider.signature_verification_algorithms,
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::clone(&identity) as Arc<dyn ResolvesClientCert>);
        // A server that speaks HTTP/2 alone then says so in the handshake, and does not fail at
        // what is none of its own.
        config.alpn_protocols = vec![HTTP_1.to_vec()];
        let offering = |protocols: &[&[u8]]| {
            let mut other = config.clone();
            other.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
            Arc::new(other)
        };
        Ok(Self {
            auto: offering(&[HTTP_2, HTTP_1]),
            two: offering(&[HTTP_2]),
            config: Arc::new(config),
            name,
            identity,
        })
    }

    /// For rustls.
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// The same that offers what is to be spoken.
    pub fn config_for(&self, http: Http) -> &Arc<ClientConfig> {
        match http {
            Http::One => &self.config,
            Http::Auto => &self.auto,
            Http::Two => &self.two,
        }
    }

    /// The name that is asked for of a host, and that its certificate must be for; `None` where it
    /// can have none.
    pub fn name_of(&self, host: &str) -> Option<ServerName<'static>> {
        match &self.name {
            Some(name) => Some(name.clone()),
            None => ServerName::try_from(host.to_owned()).ok(),
        }
    }

    /// Why a connection was not made, or was ended before any answer.
    pub fn reason(&self, error: &(dyn std::error::Error + 'static)) -> Refused {
        reason::reason(error, self.was_asked(), self.identity.key.is_some())
    }

    /// The same of an error that may be of anything; `None` where it is not of TLS.
    pub fn reason_in(&self, error: &(dyn std::error::Error + 'static)) -> Option<Refused> {
        reason::is_of_tls(error).then(|| self.reason(error))
    }

    /// Whether a server asked for a client certificate and there was none to give: it may end the
    /// connection for that.
    pub fn lacks_certificate(&self) -> bool {
        self.was_asked() && self.identity.key.is_none()
    }

    fn was_asked(&self) -> bool {
        self.identity.asked.load(Ordering::Relaxed)
    }
}

fn server_name(text: &str) -> Result<ServerName<'static>, TrustError> {
    ServerName::try_from(text.to_owned()).map_err(|_| TrustError::Name(text.to_owned()))
}

fn file_error(what: &'static str, path: &Path, why: impl std::fmt::Display) -> TrustError {
    TrustError::File {
        what,
        path: path.to_owned(),
        why: why.to_string(),
    }
}

fn certificates(
    what: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let text = bounded::file(path, bounded::CERTIFICATES).map_err(|e| file_error(what, path, e))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|e| file_error(what, path, e))?;
    if found.is_empty() {
        let why = "it contains no certificate; it must be PEM, whose first line is -----BEGIN \
            CERTIFICATE----- (openssl x509 -inform der -in FILE converts DER to PEM)";
        return Err(file_error(what, path, why));
    }
    Ok(found)
}

/// The system's certificates, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`; they are read once.
fn of_system() -> Result<Vec<CertificateDer<'static>>, TrustError> {
    static ROOTS: OnceLock<(Vec<CertificateDer<'static>>, String)> = OnceLock::new();
    let (found, trouble) = ROOTS.get_or_init(|| {
        let loaded = rustls_native_certs::load_native_certs();
        let trouble = loaded
            .errors
            .first()
            .map_or_else(String::new, |e| format!(" ({e})"));
        (loaded.certs, trouble)
    });
    if found.is_empty() {
        return Err(TrustError::NoRoots(trouble.clone()));
    }
    Ok(found.clone())
}

fn identity(
    spec: &TrustSpec,
    provider: &CryptoProvider,
) -> Result<Option<Arc<CertifiedKey>>, TrustError> {
    let Some(cert) = &spec.cert else {
        return match &spec.key {
            Some(key) => Err(file_error(
                "--key (`key`)",
                key,
                "a key needs a certificate: add --cert FILE (`cert`)",
            )),
            None => Ok(None),
        };
    };
    let chain = certificates("--cert (`cert`)", cert)?;
    let (what, path) = match &spec.key {
        Some(key) => ("--key (`key`)", key),
        None => ("--cert (`cert`)", cert),
    };
    let text = bounded::file(path, bounded::CERTIFICATES).map_err(|e| file_error(what, path, e))?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        let why = "it contains no private key: give its file with --key (`key`). A key with a \
            passphrase cannot be read; `openssl pkey -in FILE -out PLAIN` removes the passphrase";
        file_error(what, path, why)
    })?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|e| {
        file_error(
            what,
            path,
            format!("the key does not match the certificate: {e}"),
        )
    })?;
    Ok(Some(Arc::new(key)))
}

/// The client certificate, and whether anybody asked for one.
#[derive(Debug)]
struct Identity {
    key: Option<Arc<CertifiedKey>>,
    asked: AtomicBool,
}

impl ResolvesClientCert for Identity {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        self.key.clone()
    }

    fn has_certs(&self) -> bool {
        self.key.is_some()
    }
}

/// Checks the certificates of servers.
#[derive(Debug)]
struct Verifier {
    roots: RootCertStore,
    /// Every certificate that is trusted for what it is.
    given: Vec<CertificateDer<'static>>,
    /// Whether these are the user's own and not the system's.
    own: bool,
    insecure: bool,
    name: Option<ServerName<'static>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let about = Certificate::read(end_entity);
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let trusted = self.given.contains(end_entity);
        match &about {
            Some(about) => check_time(about, now)?,
            // What cannot be read is for webpki alone to judge.
            None if trusted => return Err(CertificateError::BadEncoding.into()),
            None => {}
        }
        if !trusted {
            let algorithms = self.algorithms.all;
            verify_server_cert_signed_by_trust_anchor(
                &parsed,
                &self.roots,
                intermediates,
                now,
                algorithms,
            )
            .map_err(|e| match &about {
                Some(about) => self
                    .weak_issuer(about, intermediates)
                    .unwrap_or_else(|| unknown(about, e)),
                None => e,
            })?;
        }
        let named = verify_server_name(&parsed, name);
        // Whoever issues for everybody writes no certificates without such a list.
        let by_common_name = trusted || self.own;
        match (named, &about) {
            (Err(_), Some(about)) if by_common_name && is_common_name(about, name) => Ok(()),
            (Err(_), Some(about)) => Err(refused(wrong_name(about, name))),
            (named, _) => named,
        }
    }
}

impl Verifier {
    /// That nobody believes whoever issued a certificate may be for the key they did it with.
    fn weak_issuer(
        &self,
        about: &Certificate<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Option<rustls::Error> {
        let all = self.given.iter().chain(intermediates);
        let mut issuers = all.filter_map(|der| Certificate::read(der));
        let weak = issuers.find(|issuer| about.is_issued_by(issuer) && is_weak(issuer))?;
        let bits = weak.rsa_bits?;
        let whose = if about.is_self_issued() {
            "the certificate"
        } else {
            "the certificate of the CA that issued it"
        };
        Some(refused(Refused::WeakKey { whose, bits }))
    }
}

/// Shortest RSA key whose signatures are believed, bits.
const SHORTEST_RSA: usize = 2048;

fn is_weak(certificate: &Certificate<'_>) -> bool {
    certificate.rsa_bits.is_some_and(|bits| bits < SHORTEST_RSA)
}

/// Why a signature of a handshake is not believed: of a key that is too short none is.
fn of_signature(cert: &CertificateDer<'_>, error: rustls::Error) -> rustls::Error {
    let about = Certificate::read(cert).filter(is_weak);
    match about.and_then(|about| about.rsa_bits) {
        Some(bits) => refused(Refused::WeakKey {
            whose: "the certificate",
            bits,
        }),
        None => error,
    }
}

fn refused(why: Refused) -> rustls::Error {
    CertificateError::Other(OtherError(Arc::new(why))).into()
}

fn check_time(about: &Certificate<'_>, now: UnixTime) -> Result<(), rustls::Error> {
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now > about.not_after {
        return Err(refused(Refused::Expired(day(about.not_after))));
    }
    if now < about.not_before {
        return Err(refused(Refused::NotYetValid(day(about.not_before))));
    }
    Ok(())
}

fn day(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| "a day that no calendar has".to_owned(),
        |at| at.strftime("%Y-%m-%d").to_string(),
    )
}

/// Nobody vouches for it; anything else stays what it is.
fn unknown(about: &Certificate<'_>, error: rustls::Error) -> rustls::Error {
    let text = |name: Option<&str>| name.map(str::to_owned);
    match error {
        // Of a certificate of a CA webpki says first that it is no server's.
        rustls::Error::InvalidCertificate(_) if about.is_self_issued() => {
            refused(Refused::SelfSigned(text(about.common_name())))
        }
        // Where the signature is a bad one, one who is trusted has the same name and another key: a
        // CA that was made anew.
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => refused(Refused::UnknownIssuer(text(about.issuer_name()))),
        error => error,
    }
}

fn is_common_name(about: &Certificate<'_>, name: &ServerName<'_>) -> bool {
    about.names.is_none()
        && about
            .common_name()
            .is_some_and(|common| common.eq_ignore_ascii_case(&name.to_str()))
}

fn wrong_name(about: &Certificate<'_>, name: &ServerName<'_>) -> Refused {
    let plain = |name: &str| name.chars().filter(|c| !c.is_control()).take(64).collect();
    let mut names: Vec<String> = match &about.names {
        Some(names) => names.iter().map(|n| plain(n)).collect(),
        None => about.common_name().map(plain).into_iter().collect(),
    };
    // A certificate of a large site has hundreds.
    let more = names.len() > 5;
    names.truncate(5);
    Refused::WrongName {
        asked: name.to_str().into_owned(),
        for_whom: match names.as_slice() {
            [] => "no host name".to_owned(),
            names if more => format!("{} and others", names.join(", ")),
            names => names.join(", "),
        },
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if !self.insecure {
            let name = self.name.as_ref().unwrap_or(server_name);
            self.check(end_entity, intermediates, name, now)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.insecure {
            return Ok(HandshakeSignatureValid::assertion());
        }
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.algorithms)
            .map_err(|e| of_signature(cert, e))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if self.insecure {
            return Ok(HandshakeSignatureValid::assertion());
        }
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.algorithms)
            .map_err(|e| of_signature(cert, e))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `openssl req -x509 -newkey rsa:1024 -nodes -subj /CN=localhost`: nothing here makes a key as
    /// short as that.
    const WEAK: &[u8] = b"-----BEGIN CERTIFICATE-----
MIICGjCCAYOgAwIBAgIULR68aHXTiXAG9EQ76UDtKjqb16IwDQYJKoZIhvcNAQEL
BQAwFDESMBAGA1UEAwwJbG9jYWxob3N0MB4XDTI2MTEzMDA0MjIxMFoXDTI2MTIz
MDA0MjIxMFowFDESMBAGA1UEAwwJbG9jYWxob3N0MIGfMA0GCSqGSIb3DQEBAQUA
A4GNADCBiQKBgQCvcDaftbUEwdNF9BeHfy8h2m4/kdan295G6EITS+VUBE+2NSKU
175f1bAA8brc5jDAe0Kd6aXqXsoIcB++GajQXfV7z13cTGsCbsJnTU8ma7X8EMHx
+H/m2FgGqcInyz/1PtqRszbcw/g6D76rgebz7rJUj1EKT0kYFZZepYzsZQIDAQAB
o2kwZzAdBgNVHQ4EFgQU4VvlZ+SUvMo4SfZgACzktLj6wwEwHwYDVR0jBBgwFoAU
4VvlZ+SUvMo4SfZgACzktLj6wwEwDwYDVR0TAQH/BAUwAwEB/zAUBgNVHREEDTAL
gglsb2NhbGhvc3QwDQYJKoZIhvcNAQELBQADgYEAXMnYz9p6zaXD+jFDeCPrVYIk
rIFZx2x5dcYqGFVNaya4wiFVixD6tnGGlaEBTq5jVuGRAIl5g8j8mo4yCxrawivA
iqGe/KTni9Fz96ETemODdmrXUUkfhmrwzWt2LAPdJdUnOBmhr6NUhfKitbhsbu8t
JL4ChN7KueiUGxy/9Ag=
-----END CERTIFICATE-----
";

    #[test]
    fn a_key_that_is_too_short_is_told_as_that_and_no_other_is() {
        let cert = CertificateDer::from_pem_slice(WEAK).unwrap();
        assert_eq!(Certificate::read(&cert).unwrap().rsa_bits, Some(1024));
        let bad = rustls::Error::from(CertificateError::BadSignature);
        let of = |cert: &CertificateDer<'_>| of_signature(cert, bad.clone());
        let told = crate::crypto::reason::reason(&of(&cert), false, false);
        let text = told.to_string();
        assert!(text.contains("RSA key of 1024 bits"), "{text}");
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let other = params.self_signed(&key).unwrap().der().clone();
        assert_eq!(Certificate::read(&other).unwrap().rsa_bits, None);
        assert_eq!(of(&other), bad);
    }
}
