//! Who has a connection to the page: some places for those who watch, others for short questions,
//! and none for half a request for long.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::task::AbortHandle;

/// Most connections at once.
pub(super) const CONNECTIONS: usize = 64;
/// Most of them that watch; the others are for who only asks, such as a Prometheus server.
pub(super) const WATCHERS: usize = 48;

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// Nobody has said yet what he wants.
    Asking = 0,
    /// It is answered.
    Answered = 1,
    /// It watches, until it or the run ends.
    Watching = 2,
}

/// The place of one connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Place(Arc<AtomicU8>);

impl Place {
    pub(super) fn now(&self, doing: Doing) {
        self.0.store(doing as u8, Ordering::Relaxed);
    }

    fn watches(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Doing::Watching as u8
    }

    fn asks(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Doing::Asking as u8
    }
}

/// All places, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<(IpAddr, Place, AbortHandle)>);

impl Places {
    /// Makes room for one more, at the cost of who has been at the beginning of a request for
    /// longest, among those of the peer that has the most connections. Whether there is room.
    pub(super) fn make_room(&mut self) -> bool {
        self.0.retain(|(_, _, task)| !task.is_finished());
        if self.0.len() < CONNECTIONS {
            return true;
        }
        let of_peer = |ip: IpAddr| self.0.iter().filter(|(other, ..)| *other == ip).count();
        let who = self
            .0
            .iter()
            .enumerate()
            .filter(|(_, (_, place, _))| !place.watches());
        // Of those who are alike the first counts.
        let who = who
            .rev()
            .max_by_key(|(_, (ip, place, _))| (place.asks(), of_peer(*ip)));
        let Some(index) = who.map(|(index, _)| index) else {
            return false;
        };
        self.0.remove(index).2.abort();
        true
    }

    pub(super) fn taken(&mut self, peer: IpAddr, place: Place, task: AbortHandle) {
        self.0.push((peer, place, task));
    }
}
