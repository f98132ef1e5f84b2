//! TLS of the process: its provider, whom connections trust, and why one was not made.

mod certificate;
mod reason;
mod trust;

use std::net::SocketAddr;

use crate::scenario::Resolve;

pub use reason::{Refused, reason};
pub use trust::{Trust, TrustError, TrustSpec};

/// Reads a certificate.
#[cfg(any(test, fuzzing))]
pub(crate) fn fuzz_certificate(data: &[u8]) {
    if let Some(read) = certificate::Certificate::read(data) {
        // Whatever it says is a part of what came.
        assert!(
            read.common_name()
                .is_none_or(|name| name.len() <= data.len())
        );
    }
}

/// Installs ring as the process' TLS provider; does nothing when one is there already. The HTTP clients of this program
/// need it even where they speak no TLS.
pub fn install() {
    // The error says that another provider was first, which is as good.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
}

/// A client that connects to what was given for names in place of what a name server would say.
pub fn resolved(mut builder: reqwest::ClientBuilder, resolve: &Resolve) -> reqwest::ClientBuilder {
    for (host, port, addresses) in resolve.named() {
        let addresses: Vec<_> = addresses
            .iter()
            .map(|a| SocketAddr::new(*a, port))
            .collect();
        builder = builder.resolve_to_addrs(host, &addresses);
    }
    builder
}
