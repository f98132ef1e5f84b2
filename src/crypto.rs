//! TLS of the process: its provider, whom connections trust, and why one was not made.

mod certificate;
mod reason;
mod trust;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::scenario::{Allowed, Resolve};

pub use reason::{Refused, reason};
pub use trust::{HTTP_2, Trust, TrustError, TrustSpec};

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

/// Installs ring as the process' TLS provider; does nothing when one is there already. The HTTP
/// clients of this program need it even where they speak no TLS.
pub fn install() {
    // The error says that another provider was first, which is as good.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
}

/// A client that connects to what was given for names in place of what a name server would say, and
/// to nobody who is neither this machine nor allowed. Hosts that are written as addresses are for
/// the caller to check.
pub fn resolved(
    builder: reqwest::ClientBuilder,
    resolve: &Resolve,
    allowed: &Allowed,
) -> reqwest::ClientBuilder {
    let allowed = Arc::new(allowed.clone());
    let mut builder = builder.dns_resolver(Arc::new(Names { allowed }));
    for (host, port, addresses) in resolve.named() {
        let addresses: Vec<_> = addresses
            .iter()
            .map(|a| SocketAddr::new(*a, port))
            .collect();
        builder = builder.resolve_to_addrs(host, &addresses);
    }
    builder
}

/// Looks names up at each connection: one that led to this machine before may lead elsewhere now.
#[derive(Debug)]
struct Names {
    allowed: Arc<Allowed>,
}

impl reqwest::dns::Resolve for Names {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let allowed = Arc::clone(&self.allowed);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let (may, strange): (Vec<_>, Vec<_>) =
                found.partition(|a| allowed.permits(name.as_str(), a.ip()));
            match strange.first() {
                Some(stranger) if may.is_empty() => Err(format!(
                    "{} ({}) is not this machine, and was not allowed (--allow-target)",
                    name.as_str(),
                    stranger.ip()
                )
                .into()),
                _ => Ok(Box::new(may.into_iter()) as reqwest::dns::Addrs),
            }
        })
    }
}
