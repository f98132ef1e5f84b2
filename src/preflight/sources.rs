//! Whether the load can come from the addresses that were asked for.

use std::io;
use std::net::{IpAddr, UdpSocket};

/// An address that the load cannot come from.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// This machine lacks it, or may not use it.
    #[error(
        "--local-addr {address}: cannot connect from it: {why}. `ip address` lists the addresses \
         of this machine; `ip address add {address} dev lo` adds one"
    )]
    Unusable {
        /// The address.
        address: IpAddr,
        /// What the kernel says.
        why: io::Error,
    },
    /// The target's address is of the other kind.
    #[error(
        "--local-addr {address}: the target {host} cannot be reached from it: one is IPv4, the \
         other IPv6. Use a local address of the target's family"
    )]
    OtherKind {
        /// The address.
        address: IpAddr,
        /// The target's host.
        host: IpAddr,
    },
}

/// Tries every address before the load needs it: a level whose connections all fail would be a late
/// way to learn it. `hosts` are the targets' names or addresses; what a name leads to is found out
/// by the load.
///
/// # Errors
/// Names the first address that will not do.
pub fn check_sources<'a>(
    addresses: &[IpAddr],
    hosts: impl IntoIterator<Item = &'a str>,
) -> Result<(), SourceError> {
    let targets: Vec<IpAddr> = hosts.into_iter().filter_map(|h| h.parse().ok()).collect();
    for &address in addresses {
        let other = targets.iter().find(|t| t.is_ipv4() != address.is_ipv4());
        if let Some(&host) = other {
            return Err(SourceError::OtherKind { address, host });
        }
        // A datagram socket takes the address as a connection would, and nobody can connect to it
        // meanwhile.
        UdpSocket::bind((address, 0)).map_err(|why| SourceError::Unusable { address, why })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, host: &str) -> Result<(), String> {
        let address = address.parse().unwrap();
        check_sources(&[address], [host]).map_err(|e| e.to_string())
    }

    #[test]
    fn an_address_that_the_machine_lacks_is_named_with_the_way_out() {
        assert_eq!(check("127.0.0.2", "127.0.0.1"), Ok(()));
        assert_eq!(check("127.0.0.2", "localhost"), Ok(()));
        // An address for documentation (RFC 5737), which no machine has.
        let error = check("192.0.2.77", "127.0.0.1").unwrap_err();
        assert!(error.starts_with("--local-addr 192.0.2.77: "), "{error}");
        assert!(error.contains("`ip address`"), "{error}");
    }

    #[test]
    fn an_address_of_the_other_kind_is_refused() {
        let error = check("127.0.0.2", "::1").unwrap_err();
        assert!(
            error.contains("the target ::1 cannot be reached"),
            "{error}"
        );
    }
}
