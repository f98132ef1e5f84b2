//! How many of these tests may load something at the same time.

use std::sync::{Condvar, Mutex, PoisonError};

/// A few clusters and k6 processes at a time: they mostly wait, but each takes a part of a core.
pub(crate) static PLACES: Places = Places::new(4);

/// So many places, which tests take in any order.
pub(crate) struct Places {
    free: Mutex<usize>,
    freed: Condvar,
}

/// One of them, until it is dropped.
pub(crate) struct Place(&'static Places);

impl Places {
    /// None of them taken.
    const fn new(places: usize) -> Self {
        Self {
            free: Mutex::new(places),
            freed: Condvar::new(),
        }
    }

    /// One of them, as soon as one is free.
    pub(crate) fn take(&'static self) -> Place {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = (self.freed)
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Place(self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}
