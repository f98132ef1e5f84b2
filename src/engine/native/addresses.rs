//! The addresses that names lead to: which of them a VU takes, and how the load fell on them.
//!
//! VU `id` takes address `id` modulo their number, so that at any level all of them are loaded
//! alike. One that does not let a VU connect is passed over for a while, as browsers and most
//! clients do; the VUs whose turn it was take the next.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::http::Version;
use crate::measure::LoadedAddress;
use crate::scenario::Addresses;

/// How long an address that could not be connected to is tried last.
const PASSED_OVER: Duration = Duration::from_secs(10);
/// Most addresses that are counted apart: a target may redirect to ever new names.
const MOST: usize = 256;

/// What went to one address since it was last asked.
#[derive(Debug, Default)]
pub(super) struct Load {
    connections: Cell<u64>,
    requests: Cell<u64>,
    round_trip_us: Cell<Option<u64>>,
    http1_connections: Cell<u64>,
    http2_connections: Cell<u64>,
}

impl Load {
    /// Notes a connection, and how long it took to be made.
    pub(super) fn connected(&self, took: Duration) {
        self.connections.set(self.connections.get() + 1);
        let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let before = self.round_trip_us.get().unwrap_or(u64::MAX);
        self.round_trip_us.set(Some(took.min(before)));
    }

    /// Notes what is spoken on a connection, where HTTP/2 could have been.
    pub(super) fn chose(&self, version: Version) {
        let count = match version {
            Version::One => &self.http1_connections,
            Version::Two => &self.http2_connections,
        };
        count.set(count.get() + 1);
    }

    pub(super) fn requested(&self) {
        self.requests.set(self.requests.get() + 1);
    }
}

/// What is known of addresses; one per thread.
#[derive(Debug, Default)]
pub(super) struct AddressBook {
    use_: Addresses,
    loads: RefCell<BTreeMap<(String, IpAddr), Rc<Load>>>,
    failing: RefCell<BTreeMap<(IpAddr, u16), Instant>>,
}

impl AddressBook {
    pub(super) fn new(use_: Addresses) -> Self {
        Self {
            use_,
            ..Self::default()
        }
    }

    /// The same choice, counted apart.
    pub(super) fn apart(&self) -> Self {
        Self {
            use_: self.use_,
            loads: RefCell::default(),
            failing: RefCell::new(self.failing.borrow().clone()),
        }
    }

    /// Notes where a name leads, loaded or not.
    pub(super) fn note(&self, host: &str, addresses: &[IpAddr]) {
        for address in addresses {
            self.load(host, *address);
        }
    }

    /// Where what goes to an address is counted.
    pub(super) fn load(&self, host: &str, address: IpAddr) -> Rc<Load> {
        let mut loads = self.loads.borrow_mut();
        let full = loads.len() >= MOST;
        let key = (host.to_owned(), address);
        match loads.get(&key) {
            Some(load) => Rc::clone(load),
            None if full => Rc::default(),
            None => Rc::clone(loads.entry(key).or_default()),
        }
    }

    /// The order in which a VU tries the addresses of a name.
    pub(super) fn order(&self, mut addresses: Vec<IpAddr>, port: u16, vu: u32) -> Vec<IpAddr> {
        if addresses.len() < 2 {
            return addresses;
        }
        if self.use_ == Addresses::All {
            // A name server tells them in another order each time.
            addresses.sort_unstable();
            let turn = usize::try_from(vu).unwrap_or_default() % addresses.len();
            addresses.rotate_left(turn);
        }
        let mut failing = self.failing.borrow_mut();
        failing.retain(|_, since| since.elapsed() < PASSED_OVER);
        addresses.sort_by_key(|a| failing.contains_key(&(*a, port)));
        addresses
    }

    /// Has an address that could not be connected to tried last for a while.
    pub(super) fn pass_over(&self, address: IpAddr, port: u16) {
        let mut failing = self.failing.borrow_mut();
        failing.insert((address, port), Instant::now());
    }

    /// What went where since this was last asked.
    pub(super) fn cut(&self) -> Vec<LoadedAddress> {
        let loads = self.loads.borrow();
        let cut = loads.iter().map(|((host, address), load)| LoadedAddress {
            host: host.clone(),
            address: address.to_string(),
            connections: load.connections.take(),
            requests: load.requests.take(),
            round_trip_us: load.round_trip_us.get(),
            http1_connections: load.http1_connections.take(),
            http2_connections: load.http2_connections.take(),
        });
        cut.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|t| t.parse().unwrap()).collect()
    }

    #[test]
    fn vus_take_the_addresses_in_turn_whatever_order_they_are_told_in() {
        let book = AddressBook::default();
        let three = ips(&["127.0.0.3", "127.0.0.1", "127.0.0.2"]);
        let first = |vu| book.order(three.clone(), 80, vu)[0].to_string();
        let taken: Vec<_> = (0..4).map(first).collect();
        assert_eq!(taken, ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.1"]);
        assert_eq!(
            book.order(three.clone(), 80, 1),
            ips(&["127.0.0.2", "127.0.0.3", "127.0.0.1"])
        );
        let one = AddressBook::new(Addresses::First);
        assert_eq!(one.order(three.clone(), 80, 1), three, "as they were told");
    }

    #[test]
    fn an_address_that_lets_nobody_in_is_tried_last_and_only_at_its_port() {
        let book = AddressBook::default();
        let two = ips(&["127.0.0.1", "127.0.0.2"]);
        book.pass_over(two[0], 80);
        assert_eq!(book.order(two.clone(), 80, 0)[0], two[1]);
        assert_eq!(book.order(two.clone(), 81, 0)[0], two[0]);
        assert_eq!(book.apart().order(two.clone(), 80, 0)[0], two[1]);
    }

    #[test]
    fn what_went_where_is_counted_and_added_up() {
        let book = AddressBook::default();
        let address = ips(&["127.0.0.1", "127.0.0.2"]);
        book.note("a", &address);
        let load = book.load("a", address[1]);
        load.connected(Duration::from_micros(70));
        load.connected(Duration::from_micros(50));
        load.requested();
        load.requested();
        load.chose(Version::One);
        load.chose(Version::Two);
        let mut all = book.cut();
        assert_eq!(all[1].round_trip_us, Some(50));
        load.requested();
        load.chose(Version::Two);
        LoadedAddress::add(&mut all, book.cut());
        let chosen = (all[1].http1_connections, all[1].http2_connections);
        assert_eq!(chosen, (1, 2));
        let counts: Vec<_> = all.iter().map(|a| (a.connections, a.requests)).collect();
        assert_eq!(counts, [(0, 0), (2, 3)]);
    }
}
