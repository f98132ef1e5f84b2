//! Which networks k6 may not connect to.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A network: its first address in the lowest bits, and how many of the highest bits of an address
/// name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    first: u128,
    bits: u32,
}

/// The kinds of addresses.
#[derive(Debug, Clone, Copy)]
enum AddressFamily {
    V4,
    V6,
}

impl AddressFamily {
    /// Bits of an address.
    fn width(self) -> u32 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    fn text(self, network: Network) -> String {
        let Network { first, bits } = network;
        match self {
            Self::V4 => {
                let first = u32::try_from(first).unwrap_or(u32::MAX);
                format!("{}/{bits}", Ipv4Addr::from(first))
            }
            Self::V6 => format!("{}/{bits}", Ipv6Addr::from(first)),
        }
    }
}

/// Every network beside the loopback and these addresses, in CIDR notation: what `--blacklist-ip`
/// is to be told.
///
/// An IPv4 address within an IPv6 one (`::ffff:10.0.0.1`) is that IPv4 address, for k6 as well: it
/// sees to the first list alone, and to it `::ffff:0:0/96` would mean every IPv4 address.
pub fn blocked(allowed: &[IpAddr]) -> Vec<String> {
    let loopback = Ipv4Addr::new(127, 0, 0, 0);
    let mut v4 = vec![Network {
        first: u32::from(loopback).into(),
        bits: 8,
    }];
    let mut v6 = vec![
        one(Ipv6Addr::LOCALHOST.into(), AddressFamily::V6),
        Network {
            first: Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().into(),
            bits: 96,
        },
    ];
    for address in allowed {
        match address.to_canonical() {
            IpAddr::V4(address) => v4.push(one(u32::from(address).into(), AddressFamily::V4)),
            IpAddr::V6(address) => v6.push(one(address.into(), AddressFamily::V6)),
        }
    }
    let whole = Network { first: 0, bits: 0 };
    let mut out = Vec::new();
    for (kind, keep) in [(AddressFamily::V4, v4), (AddressFamily::V6, v6)] {
        let mut networks = Vec::new();
        without(kind, whole, &keep, &mut networks);
        out.extend(networks.into_iter().map(|n| kind.text(n)));
    }
    out
}

fn one(address: u128, kind: AddressFamily) -> Network {
    Network {
        first: address,
        bits: kind.width(),
    }
}

/// Whether one network lies in another.
fn lies_in(inner: Network, outer: Network, kind: AddressFamily) -> bool {
    // Of a network of 0 bits everything is a part, and a shift by all bits is none.
    let name = |n: Network| n.first.checked_shr(kind.width() - outer.bits).unwrap_or(0);
    inner.bits >= outer.bits && name(inner) == name(outer)
}

/// The parts of a network that hold nothing that is kept: halves of it, as long as both would.
fn without(kind: AddressFamily, network: Network, keep: &[Network], out: &mut Vec<Network>) {
    if keep.iter().any(|k| lies_in(network, *k, kind)) {
        return;
    }
    if !keep.iter().any(|k| lies_in(*k, network, kind)) {
        out.push(network);
        return;
    }
    let bits = network.bits + 1;
    let upper = 1 << (kind.width() - bits);
    for first in [network.first, network.first | upper] {
        without(kind, Network { first, bits }, keep, out);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether an address lies in one of the networks, as k6 (the Go standard library) decides it.
    fn is_blocked(address: IpAddr, networks: &[String]) -> usize {
        let number = |a: IpAddr| match a {
            IpAddr::V4(a) => (u128::from(u32::from(a)), 32),
            IpAddr::V6(a) => (a.into(), 128),
        };
        let (wanted, width) = number(address.to_canonical());
        let holds = |text: &&String| {
            let (first, bits) = text.split_once('/').unwrap();
            let (first, own) = number(first.parse().unwrap());
            let bits: u32 = bits.parse().unwrap();
            let shift = width - bits.min(width);
            own == width
                && first.checked_shr(shift).unwrap_or(0) == wanted.checked_shr(shift).unwrap_or(0)
        };
        networks.iter().filter(holds).count()
    }

    fn address() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|a| Ipv4Addr::from(a).into()),
            any::<u128>().prop_map(|a| Ipv6Addr::from(a).into()),
            // Near what is kept.
            (0_u32..3, any::<bool>()).prop_map(|(n, up)| {
                let edge = if up { 0x7fff_ffff_u32 } else { 0x7eff_ffff };
                Ipv4Addr::from(edge + n).into()
            }),
            (0_u128..4).prop_map(|a| Ipv6Addr::from(a).into()),
            any::<u32>().prop_map(|a| Ipv4Addr::from(a).to_ipv6_mapped().into()),
        ]
    }

    proptest! {
        #[test]
        fn every_address_is_either_allowed_or_blocked_once(
            allowed in prop::collection::vec(address(), 0..4),
            others in prop::collection::vec(address(), 1..30),
        ) {
            let networks = blocked(&allowed);
            for other in allowed.iter().chain(&others) {
                let canonical = other.to_canonical();
                let is_allowed = allowed.iter().any(|a| a.to_canonical() == canonical);
                let kept = canonical.is_loopback() || is_allowed;
                let blocked = is_blocked(*other, &networks);
                prop_assert_eq!(blocked, usize::from(!kept), "{} of {:?}", other, networks);
            }
        }
    }

    #[test]
    fn only_the_loopback_is_left_when_nothing_else_is_allowed() {
        let networks = blocked(&[]);
        assert_eq!(networks[..2], ["0.0.0.0/2", "64.0.0.0/3"]);
        for (address, count) in [
            ("127.0.0.1", 0),
            ("127.255.255.255", 0),
            ("::1", 0),
            ("::ffff:127.0.0.1", 0),
            ("0.0.0.0", 1),
            ("10.0.0.1", 1),
            ("126.255.255.255", 1),
            ("128.0.0.0", 1),
            ("::", 1),
            ("::2", 1),
            ("2001:db8::1", 1),
            ("::ffff:10.0.0.1", 1),
        ] {
            assert_eq!(
                is_blocked(address.parse().unwrap(), &networks),
                count,
                "{address}"
            );
        }
        // To k6 that would be all of IPv4.
        assert!(
            networks.iter().all(|n| !n.starts_with("::ffff:")),
            "{networks:?}"
        );
    }
}
