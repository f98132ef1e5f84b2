//! Whom requests may reach.

use core::net::IpAddr;

/// This machine's own addresses, and hosts that were named: a load that hits a stranger's server
/// cannot be taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed(Vec<String>);

impl Allowed {
    /// Allows these hosts, by name or address, beside loopback addresses.
    pub fn new(hosts: impl IntoIterator<Item = String>) -> Self {
        Self(hosts.into_iter().collect())
    }

    /// Whether a host may be loaded at an address that its name led to.
    pub fn permits(&self, host: &str, address: IpAddr) -> bool {
        // `::ffff:127.0.0.1` is 127.0.0.1.
        address.to_canonical().is_loopback() || self.names(host)
    }

    /// The hosts that were named.
    pub fn hosts(&self) -> &[String] {
        &self.0
    }

    /// Whether a host was named.
    pub fn names(&self, host: &str) -> bool {
        self.0.iter().any(|h| h.eq_ignore_ascii_case(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_and_named_hosts_may_be_loaded() {
        let allowed = Allowed::new(["Staging.example".to_owned(), "192.0.2.7".to_owned()]);
        let permits = |host: &str, address: &str| allowed.permits(host, address.parse().unwrap());
        for (host, address) in [
            ("localhost", "127.0.0.1"),
            ("localhost", "::1"),
            ("anything", "127.9.8.7"),
            ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
            ("staging.example", "198.51.100.9"),
            ("192.0.2.7", "192.0.2.7"),
        ] {
            assert!(permits(host, address), "{host} {address}");
        }
        for (host, address) in [
            ("192.0.2.8", "192.0.2.8"),
            ("10.0.0.1", "10.0.0.1"),
            ("0.0.0.0", "0.0.0.0"),
            ("::", "::"),
            ("::ffff:10.0.0.1", "::ffff:10.0.0.1"),
            // A name that ends alike is another name.
            ("evil-staging.example", "198.51.100.9"),
            ("localhost", "198.51.100.9"),
        ] {
            assert!(!permits(host, address), "{host} {address}");
        }
    }
}
