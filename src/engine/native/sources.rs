//! Which address of this machine a VU's connections come from.
//!
//! A connection is told apart by four numbers: both addresses and both ports. One source address
//! therefore carries as many connections to one target as there are local ports; each further
//! address carries as many again.

use std::net::IpAddr;
use std::sync::Arc;

/// The source addresses of a run, used in turn by the VUs' numbers; none leaves the choice to the
/// kernel.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources(Arc<[IpAddr]>);

impl Sources {
    pub(super) fn new(addresses: Vec<IpAddr>) -> Self {
        Self(addresses.into())
    }

    /// The address from which a VU connects; `None` leaves it to the kernel.
    pub(super) fn of(&self, vu: u32) -> Option<IpAddr> {
        let count = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        let turn = usize::try_from(vu.checked_rem(count)?).ok()?;
        self.0.get(turn).copied()
    }

    /// Whether a target's address is of the kind (IPv4 or IPv6) that these are: the kernel must not
    /// choose a source that was not asked for. All addresses of a plan are of one kind.
    pub(super) fn reach(&self, to: IpAddr) -> bool {
        self.0
            .first()
            .is_none_or(|from| from.is_ipv4() == to.is_ipv4())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn vus_take_the_addresses_in_turn_and_never_one_of_another_kind() {
        let to = ip("127.0.0.1");
        assert_eq!(Sources::default().of(3), None);
        assert!(Sources::default().reach(to) && Sources::default().reach(ip("::1")));
        let two = Sources::new(vec![ip("127.0.0.2"), ip("127.0.0.3")]);
        let taken: Vec<_> = (0..4).filter_map(|vu| two.of(vu)).collect();
        let turns = ["127.0.0.2", "127.0.0.3", "127.0.0.2", "127.0.0.3"].map(ip);
        assert_eq!(taken, turns);
        assert_eq!(two.of(u32::MAX), Some(ip("127.0.0.3")), "a canary");
        assert!(two.reach(to) && !two.reach(ip("::1")));
    }
}
