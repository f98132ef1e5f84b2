//! The addresses of this machine that the load comes from.

// `core`, not `std`: these are values here, nothing is bound or connected.
use core::net::IpAddr;

use toml::Spanned;

use super::value::{Flag, Reader, Sourced};
use super::{FindFlags, PlanError};
use crate::profile::SearchSection;

/// The flag, which the key of the same name in `[search]` stands behind.
const FLAG: &str = "--local-addr";

/// Those of the flags, else those of the profile, else none.
pub(super) fn resolve(
    section: &SearchSection,
    flags: &FindFlags,
    reader: &Reader<'_>,
) -> Result<Vec<IpAddr>, PlanError> {
    let one = |flag: Option<&String>, key: Option<&Spanned<String>>| {
        let unused = IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED);
        reader.pick(Flag(FLAG, flag.cloned()), key, unused, |text| address(text))
    };
    let keys = section.local_addr.iter().flatten();
    // What the profile says must make sense also where a flag beats it.
    let of_profile = keys
        .map(|key| one(None, Some(key)))
        .collect::<Result<Vec<_>, _>>()?;
    let of_flags = (flags.local_addr.iter())
        .map(|text| one(Some(text), None))
        .collect::<Result<Vec<_>, _>>()?;
    let chosen = if of_flags.is_empty() {
        of_profile
    } else {
        of_flags
    };
    go_together(&chosen, reader)?;
    Ok(chosen.into_iter().map(|a| a.value).collect())
}

fn address(text: &str) -> Result<IpAddr, String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let address: IpAddr = bare.parse().map_err(|_| {
        format!(
            "`{text}` is not an address of a machine; write it as 127.0.0.2 or ::1, without a port"
        )
    })?;
    if address.is_unspecified() {
        let why = "stands for any address; leave it out to let the kernel choose";
        return Err(format!("{address} {why}"));
    }
    if address.is_multicast() {
        return Err(format!(
            "{address} is a multicast address; use a single one, such as 127.0.0.2"
        ));
    }
    Ok(address)
}

/// All of one kind, so that every one of them reaches the same targets, and each named once.
fn go_together(addresses: &[Sourced<IpAddr>], reader: &Reader<'_>) -> Result<(), PlanError> {
    for (i, this) in addresses.iter().enumerate() {
        let (address, before) = (this.value, &addresses[..i]);
        if before.iter().any(|b| b.value == address) {
            let why = format!("{address} is given twice; name each address once");
            return Err(reader.blame(&[this], why));
        }
        let other = before
            .iter()
            .find(|b| b.value.is_ipv4() != address.is_ipv4());
        if let Some(other) = other {
            let why = format!(
                "{address} and {} mix IPv4 and IPv6, but a target is reached from only one; use \
                 addresses of one family",
                other.value
            );
            return Err(reader.blame(&[this], why));
        }
    }
    Ok(())
}
