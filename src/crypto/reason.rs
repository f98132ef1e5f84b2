//! Why a TLS connection was not made, in the user's words, with the way out.

use std::error::Error;
use std::io;

use rustls::{AlertDescription, CertificateError, InvalidMessage, PeerIncompatible};

/// Why a handshake failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Nobody but itself vouches for the certificate.
    #[error(
        "the certificate{} is self-signed; trust it or its issuer with --cacert FILE (`ca` in the \
         profile's [target]), or skip the check with --insecure (`insecure = true`)", of(.0.as_deref())
    )]
    SelfSigned(Option<String>),
    /// Nobody who is trusted vouches for it.
    #[error(
        "the certificate has an unknown issuer{}; give the CA's file with --cacert FILE (`ca` in \
         the profile's [target]), or skip the check with --insecure (`insecure = true`)", of(.0.as_deref())
    )]
    UnknownIssuer(Option<String>),
    /// It is for somebody else.
    #[error(
        "the certificate is for the wrong name: `{asked}` was requested, but it is for {for_whom}; \
         use a name it covers (--resolve NAME:PORT:ADDRESS sets its address), or set the name to \
         expect: `server-name` in the profile's [target]"
    )]
    WrongName {
        /// Whom the connection was for.
        asked: String,
        /// Whom the certificate is for.
        for_whom: String,
    },
    /// Its time is over.
    #[error(
        "the certificate has expired on {0}; renew it, or skip the check with --insecure \
         (`insecure = true`)"
    )]
    Expired(String),
    /// Its time has not come.
    #[error(
        "the certificate is not valid before {0}; check the clocks, or skip the check with \
         --insecure (`insecure = true`)"
    )]
    NotYetValid(String),
    /// The server has nothing for the name that was asked for.
    #[error(
        "the server does not know this name: it has no certificate for the requested host (it said \
         unrecognized_name); use a name it has (--resolve NAME:PORT:ADDRESS sets its address), or \
         set the name to request: `server-name` in the profile's [target]"
    )]
    UnknownName,
    /// Its key, or that of who issued it, is too short to prove anything.
    #[error(
        "{whose} has an RSA key of {bits} bits, but at least 2048 are required; renew it with a \
         longer key, or skip the check with --insecure (`insecure = true`)"
    )]
    WeakKey {
        /// The certificate, or who issued it.
        whose: &'static str,
        /// Of its key.
        bits: usize,
    },
    /// The server wants to know who is there.
    #[error(
        "the server asks for a client certificate; give it with --cert FILE and --key FILE \
         (`cert` and `key` in the profile's [target])"
    )]
    WantsClientCertificate,
    /// It knows, and does not want that one.
    #[error("the server rejects the client certificate of --cert (`cert`): it said {0}")]
    ClientCertificate(String),
    /// No TLS is spoken there.
    #[error("this port speaks plain HTTP, or at least not TLS; use http:// instead of https://")]
    PlainHttp,
    /// What the server speaks of TLS is not what this program does.
    #[error(
        "the server supports neither TLS 1.2 nor TLS 1.3 ({0}); enable one of them on the server"
    )]
    NoVersion(String),
    /// The same of ciphers.
    #[error(
        "the server has no cipher in common with this program, or refuses it for another reason \
         ({0}); this program supports AES-GCM and ChaCha20-Poly1305 with ECDHE, as in TLS 1.3, \
         and no older ones: enable one of those (nginx: ssl_ciphers)"
    )]
    NoCipher(String),
    /// HTTP/1.1 is not spoken there.
    #[error(
        "the server does not agree to HTTP/1.1 (ALPN): it may speak only HTTP/2; set `http = \"2\"` \
         in [target] (or --http2)"
    )]
    NoHttp1,
    /// The server ended it.
    #[error(
        "the server ended the TLS handshake without an alert; it may expect another name \
         (`server-name` in the profile's [target])"
    )]
    Ended,
    /// Anything else.
    #[error("TLS: {0}")]
    Other(String),
}

/// With whom a certificate is, in a bracket.
fn of(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| {
        // The server wrote it: what would turn or hide a line of a terminal has no place here.
        let plain: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
        format!(" ({plain})")
    })
}

/// Why a handshake failed; `asked` is whether the server asked for a client certificate, `has_one`
/// whether it was given one.
pub fn reason(error: &(dyn Error + 'static), asked: bool, has_one: bool) -> Refused {
    match tls_error(error) {
        Some(rustls::Error::InvalidCertificate(why)) => of_certificate(why),
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            Refused::PlainHttp
        }
        Some(rustls::Error::AlertReceived(alert)) => of_alert(*alert, asked, has_one),
        Some(rustls::Error::PeerIncompatible(why)) => of_incompatible(why),
        Some(other) => Refused::Other(other.to_string()),
        None if asked && !has_one => Refused::WantsClientCertificate,
        None if ended(error) => Refused::Ended,
        None => Refused::Other(error.to_string()),
    }
}

/// Whether an error is of TLS, and not of what lies below or above it.
pub(super) fn is_of_tls(error: &(dyn Error + 'static)) -> bool {
    tls_error(error).is_some()
}

fn of_alert(alert: AlertDescription, asked: bool, has_one: bool) -> Refused {
    let text = || format!("{alert:?}");
    match alert {
        AlertDescription::NoApplicationProtocol => Refused::NoHttp1,
        AlertDescription::UnrecognisedName => Refused::UnknownName,
        AlertDescription::CertificateRequired => Refused::WantsClientCertificate,
        _ if asked && !has_one => Refused::WantsClientCertificate,
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied
        | AlertDescription::DecryptError
            if asked =>
        {
            Refused::ClientCertificate(text())
        }
        AlertDescription::ProtocolVersion => {
            Refused::NoVersion("it said protocol_version".to_owned())
        }
        AlertDescription::HandshakeFailure => {
            Refused::NoCipher("it said handshake_failure".to_owned())
        }
        AlertDescription::InsufficientSecurity => {
            Refused::NoCipher("it said insufficient_security".to_owned())
        }
        _ => Refused::Other(format!("the server said {}", text())),
    }
}

fn of_incompatible(why: &PeerIncompatible) -> Refused {
    let said = format!("{why:?}");
    match why {
        PeerIncompatible::ServerDoesNotSupportTls12Or13
        | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig => Refused::NoVersion(said),
        _ => Refused::NoCipher(said),
    }
}

fn of_certificate(why: &CertificateError) -> Refused {
    if let CertificateError::Other(other) = why
        && let Some(refused) = other.0.downcast_ref::<Refused>()
    {
        return refused.clone();
    }
    Refused::Other(format!("the certificate is not accepted: {why}"))
}

/// The error of rustls in a chain; an I/O error hides what it wraps from `source`.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next: Option<&'a (dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

fn ended(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| {
        matches!(
            e.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
        )
    })
}
