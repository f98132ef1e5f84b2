//! Whether the load may go where the scenario sends it.

use std::net::{IpAddr, ToSocketAddrs as _};

use crate::scenario::{Allowed, Origin, Resolve};

/// A target that was not allowed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "this would load {host}{}, which is not this machine. If you are allowed to load it, add \
     `--allow-target {host}`, or `allow = [\"{host}\"]` in the profile's [target]. Nothing was \
     sent",
    at(host, address)
)]
pub struct Stranger {
    /// The host as the scenario names it.
    pub host: String,
    /// The address that it led to.
    pub address: IpAddr,
}

fn at(host: &str, address: &IpAddr) -> String {
    if host == address.to_string() {
        String::new()
    } else {
        format!(" ({address})")
    }
}

/// A host that was allowed leads nowhere.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{host}` is allowed (--allow-target, or `allow` in the profile's [target]), but it does not \
     resolve: {why}. k6's allow list needs addresses; use an address instead of the name, or fix \
     name resolution"
)]
pub struct Unresolved {
    /// The host.
    pub host: String,
    /// Why.
    pub why: String,
}

/// Every address of the hosts that were named, for an engine that is told addresses.
///
/// # Errors
/// Names the first host that leads nowhere.
pub fn resolve_allowed(allowed: &Allowed) -> Result<Vec<IpAddr>, Unresolved> {
    let mut addresses = Vec::new();
    for host in allowed.hosts() {
        let bare = host.trim_matches(['[', ']']);
        let found = (bare, 0).to_socket_addrs().map_err(|error| Unresolved {
            host: host.clone(),
            why: error.to_string(),
        })?;
        addresses.extend(found.map(|a| a.ip()));
    }
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// Looks up every host that was not named: each address that it leads to must be this machine's. A
/// name that leads nowhere yet is left to the load, whose connections are checked again. Gives
/// where the names lead.
///
/// # Errors
/// Names the first host that may not be loaded.
pub fn check_targets<'a>(
    origins: impl IntoIterator<Item = &'a Origin>,
    allowed: &Allowed,
    resolve: &Resolve,
) -> Result<Vec<(String, Vec<IpAddr>)>, Stranger> {
    let mut found: Vec<(String, Vec<IpAddr>)> = Vec::new();
    for origin in origins {
        if found.iter().any(|(host, _)| *host == origin.host) {
            continue;
        }
        let addresses = match resolve.of(&origin.host, origin.port) {
            Some(given) => given.to_vec(),
            None => looked_up(origin),
        };
        check_addresses(&origin.host, addresses.iter().copied(), allowed)?;
        if origin.host.parse::<IpAddr>().is_err() {
            found.push((origin.host.clone(), addresses));
        }
    }
    Ok(found)
}

/// The addresses of a host, each once, in the order in which VUs take them.
fn looked_up(origin: &Origin) -> Vec<IpAddr> {
    let found = (origin.host.as_str(), origin.port).to_socket_addrs();
    let mut addresses: Vec<_> = found.into_iter().flatten().map(|a| a.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}

fn check_addresses(
    host: &str,
    addresses: impl IntoIterator<Item = IpAddr>,
    allowed: &Allowed,
) -> Result<(), Stranger> {
    let stranger = addresses.into_iter().find(|a| !allowed.permits(host, *a));
    match stranger {
        Some(address) => Err(Stranger {
            host: host.to_owned(),
            address,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(host: &str, addresses: &[&str], allowed: &[&str]) -> Result<(), String> {
        let addresses = addresses.iter().map(|a| a.parse().unwrap());
        let allowed = Allowed::new(allowed.iter().map(|h| (*h).to_owned()));
        check_addresses(host, addresses, &allowed).map_err(|e| e.to_string())
    }

    #[test]
    fn allowed_hosts_are_looked_up_and_one_that_leads_nowhere_is_named() {
        let resolved = |hosts: &[&str]| {
            let allowed = Allowed::new(hosts.iter().map(|h| (*h).to_owned()));
            resolve_allowed(&allowed)
        };
        assert_eq!(resolved(&[]), Ok(Vec::new()));
        let addresses = ["192.0.2.7", "[2001:db8::1]", "192.0.2.7"];
        let wanted: Vec<IpAddr> = ["192.0.2.7", "2001:db8::1"]
            .map(|a| a.parse().unwrap())
            .into();
        assert_eq!(resolved(&addresses), Ok(wanted));
        let error = resolved(&["no.such.host.invalid"]).unwrap_err().to_string();
        assert!(
            error.starts_with("`no.such.host.invalid` is allowed"),
            "{error}"
        );
    }

    #[test]
    fn every_address_of_a_name_must_be_this_machines() {
        assert_eq!(check("localhost", &["::1", "127.0.0.1"], &[]), Ok(()));
        let error = check("half", &["127.0.0.1", "198.51.100.4"], &[]).unwrap_err();
        assert!(error.contains("would load half (198.51.100.4)"), "{error}");
        assert!(error.contains("`--allow-target half`"), "{error}");
        assert_eq!(check("half", &["198.51.100.4"], &["half"]), Ok(()));
        let error = check("192.0.2.1", &["192.0.2.1"], &[]).unwrap_err();
        assert!(error.contains("would load 192.0.2.1, which"), "{error}");
        // A name that leads nowhere is told by the load.
        assert_eq!(check("nowhere", &[], &[]), Ok(()));
    }
}
