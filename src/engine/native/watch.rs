//! The generator watches itself: what its threads used and missed. What bore on the machine around
//! it is [`super::super::host`]'s.
//!
//! Threads count without a lock and hand over what they counted when they cut a window.

use std::cell::Cell;

use crate::measure::{GeneratorHealth, GeneratorWindow, Histogram};

thread_local! {
    static SENDS: Cell<Sends> = const { Cell::new(Sends { all: 0, held_up: 0 }) };
}

/// Requests that one thread sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sends {
    all: u64,
    /// Those that the kernel did not take at once.
    held_up: u64,
}

/// Counts a request that this thread begins to send.
pub(super) fn sending() {
    let before = SENDS.get();
    SENDS.set(Sends {
        all: before.all + 1,
        ..before
    });
}

/// Counts that the kernel did not take a request at once; once for each request, also when its time
/// limit then ends it.
pub(super) fn held_up() {
    let before = SENDS.get();
    SENDS.set(Sends {
        held_up: before.held_up + 1,
        ..before
    });
}

/// How late a thread was since it last cut a window.
#[derive(Debug, Default)]
pub(super) struct Lateness {
    /// VUs that woke from thinking, and the thread's own tick.
    pub(super) woke: Histogram,
    /// Answers that lay in the kernel.
    pub(super) read: Histogram,
}

/// One thread's part of a window.
#[derive(Debug, Default)]
pub(super) struct ThreadWindow {
    lateness: Lateness,
    sends: Sends,
    /// Arrivals that wait for a VU now.
    waiting: u64,
    cpu_s: Option<f64>,
}

/// One thread's watch over itself; it must be made and asked on that thread.
pub(super) struct ThreadWatch {
    cpu_s: Option<f64>,
}

impl ThreadWatch {
    pub(super) fn new() -> Self {
        Self {
            cpu_s: clocks::thread_cpu_s(),
        }
    }

    pub(super) fn cut(&mut self, lateness: Lateness, waiting: u64) -> ThreadWindow {
        let now = clocks::thread_cpu_s();
        let used = now.zip(self.cpu_s).map(|(now, before)| now - before);
        self.cpu_s = now;
        ThreadWindow {
            lateness,
            sends: SENDS.take(),
            waiting,
            cpu_s: used,
        }
    }
}

/// The threads' parts of a window, put together.
#[derive(Debug, Default)]
pub(super) struct Watched {
    lateness: Lateness,
    sends: Sends,
    waiting: u64,
    /// CPU of the thread whose parts are being added, and of the busiest so far, seconds.
    thread_s: Option<f64>,
    busiest_s: Option<f64>,
}

impl Watched {
    pub(super) fn add(&mut self, part: &ThreadWindow) {
        self.lateness.woke.merge(&part.lateness.woke);
        self.lateness.read.merge(&part.lateness.read);
        self.sends.all += part.sends.all;
        self.sends.held_up += part.sends.held_up;
        self.waiting += part.waiting;
        if let Some(cpu_s) = part.cpu_s {
            *self.thread_s.get_or_insert(0.0) += cpu_s;
        }
    }

    /// All parts of one thread are added.
    pub(super) fn thread_done(&mut self) {
        let thread_s = self.thread_s.take();
        self.busiest_s = self.busiest_s.into_iter().chain(thread_s).reduce(f64::max);
    }

    /// What the window shows of the generator; `around` is what bore on the machine.
    pub(super) fn window(self, span_s: f64, around: GeneratorHealth) -> GeneratorWindow {
        let Self {
            lateness: Lateness { mut woke, read },
            sends,
            waiting,
            busiest_s,
            ..
        } = self;
        let health = GeneratorHealth {
            thread_cpu: busiest_s.filter(|_| span_s > 0.0).map(|s| s / span_s),
            woke_late_p99_s: woke.quantile_s(0.99),
            read_late_p99_s: read.quantile_s(0.99),
            sends: sends.all,
            sends_held_up: sends.held_up,
            arrivals_waiting: waiting,
            ..around
        };
        woke.merge(&read);
        GeneratorWindow {
            lag_p99_s: woke.quantile_s(0.99),
            health,
            ..GeneratorWindow::default()
        }
    }
}

#[cfg(target_os = "linux")]
mod clocks {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::{TimeVal, TimeValLike as _};

    /// CPU that the calling thread has used, seconds.
    pub(super) fn thread_cpu_s() -> Option<f64> {
        let usage = getrusage(UsageWho::RUSAGE_THREAD).ok()?;
        let total: TimeVal = usage.user_time() + usage.system_time();
        #[expect(clippy::cast_precision_loss, reason = "microseconds of a run")]
        Some(total.num_microseconds() as f64 * 1e-6)
    }
}

#[cfg(not(target_os = "linux"))]
mod clocks {
    pub(super) fn thread_cpu_s() -> Option<f64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn part(cpu_s: f64, woke_ms: u64, read_ms: u64) -> ThreadWindow {
        let one = |ms| Histogram::of([Duration::from_millis(ms)]);
        ThreadWindow {
            lateness: Lateness {
                woke: one(woke_ms),
                read: one(read_ms),
            },
            sends: Sends { all: 2, held_up: 1 },
            waiting: 0,
            cpu_s: Some(cpu_s),
        }
    }

    #[test]
    fn the_busiest_thread_counts_and_a_threads_parts_add_up() {
        let mut watched = Watched::default();
        watched.add(&part(0.5, 1, 10));
        watched.add(&part(1.0, 1, 10));
        watched.thread_done();
        watched.add(&part(0.75, 5, 40));
        watched.thread_done();
        let window = watched.window(2.0, GeneratorHealth::default());
        let health = window.health;
        assert_eq!(health.thread_cpu, Some(0.75));
        assert_eq!((health.sends, health.sends_held_up), (6, 3));
        let near = |got: Option<f64>, want: f64| (got.unwrap() - want).abs() < 0.05 * want;
        assert!(near(health.woke_late_p99_s, 0.005), "{health:?}");
        assert!(near(health.read_late_p99_s, 0.04), "{health:?}");
        assert!(near(window.lag_p99_s, 0.04), "the worse of both");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_thread_that_works_is_seen_to() {
        let mut watch = ThreadWatch::new();
        sending();
        sending();
        held_up();
        let began = clocks::thread_cpu_s().unwrap();
        // Ends by what it waits for, not by the time of day.
        while clocks::thread_cpu_s().unwrap() < began + 0.02 {}
        let window = watch.cut(Lateness::default(), 0);
        assert!(window.cpu_s.unwrap() >= 0.02);
        assert_eq!(window.sends, Sends { all: 2, held_up: 1 });
        assert_eq!(watch.cut(Lateness::default(), 0).sends, Sends::default());
    }
}
