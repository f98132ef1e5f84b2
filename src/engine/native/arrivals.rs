//! The open model's side of a thread: when cycles begin, and which VU takes the next one.
//!
//! Cycles begin when the clock says so, whether or not those before have ended: a stalled target
//! cannot slow the questions down. A VU takes one arrival after the other and keeps its connections
//! between them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use tokio::sync::Notify;

use super::MixPart;
use crate::measure::Arrivals;
use crate::scenario::VuRng;

/// How long a change of the rate takes: a jump would be a burst that no steady rate has.
pub(super) const RAMP: Duration = Duration::from_secs(3);

/// The rate over time: a straight line from one rate to the next, then level. Rate 0 is reached at
/// once.
#[derive(Debug, Clone, Copy)]
struct Rate {
    from: f64,
    to: f64,
    since: Instant,
    /// Arrivals expected before `since`.
    before: f64,
}

impl Rate {
    fn at(&self, now: Instant) -> f64 {
        let ramp_s = self.ramp_s();
        let t = now.saturating_duration_since(self.since).as_secs_f64();
        if t >= ramp_s {
            return self.to;
        }
        self.from + (self.to - self.from) * t / ramp_s
    }

    fn ramp_s(&self) -> f64 {
        // Nobody at all means that the load is to stop, not to fade.
        if self.to > 0.0 {
            RAMP.as_secs_f64()
        } else {
            0.0
        }
    }

    /// Arrivals expected up to a time: the integral of the rate.
    fn expected(&self, now: Instant) -> f64 {
        let t = now.saturating_duration_since(self.since).as_secs_f64();
        let ramp_s = self.ramp_s();
        let on_ramp = t.min(ramp_s);
        let slope = if ramp_s > 0.0 {
            (self.to - self.from) / ramp_s
        } else {
            0.0
        };
        self.before
            + self.from * on_ramp
            + slope * on_ramp * on_ramp / 2.0
            + self.to * (t - on_ramp)
    }

    /// When the expected number reaches `count`; `None` when it never does.
    fn when(&self, count: f64) -> Option<Instant> {
        let ramp_s = self.ramp_s();
        let missing = count - self.before;
        if missing <= 0.0 {
            // Who is overdue where the load has ended does not come.
            return (self.to > 0.0).then_some(self.since);
        }
        let in_ramp = f64::midpoint(self.from, self.to) * ramp_s;
        let seconds = if missing < in_ramp {
            // from t + (to - from) / (2 ramp) t^2 = missing, in the form that also stands for a
            // flat ramp.
            let slope = (self.to - self.from) / ramp_s;
            let root = (self.from * self.from + 2.0 * slope * missing)
                .max(0.0)
                .sqrt();
            2.0 * missing / (self.from + root)
        } else {
            ramp_s + (missing - in_ramp) / self.to
        };
        let seconds = Duration::try_from_secs_f64(seconds).ok()?;
        self.since.checked_add(seconds)
    }
}

/// When the cycles of one thread begin. All threads together make the whole process: of constant
/// arrivals each takes every n-th, and of Poisson arrivals an n-th is Poisson again.
#[derive(Debug)]
pub(super) struct Clock {
    process: Arrivals,
    threads: f64,
    rate: Rate,
    /// The next arrival begins when this many are expected.
    next: f64,
    rng: VuRng,
}

impl Clock {
    pub(super) fn new(
        process: Arrivals,
        (index, threads): (u32, u32),
        since: Instant,
        rng: VuRng,
    ) -> Self {
        let mut clock = Self {
            process,
            threads: f64::from(threads),
            rate: Rate {
                from: 0.0,
                to: 0.0,
                since,
                before: 0.0,
            },
            next: match process {
                // The threads take turns.
                Arrivals::Constant => f64::from(index) + 1.0 - f64::from(threads),
                Arrivals::Poisson => 0.0,
            },
            rng,
        };
        clock.draw();
        clock
    }

    /// Goes to another rate, in arrivals per second over all threads.
    pub(super) fn set_rate(&mut self, per_s: f64, at: Instant) {
        let before = self.rate.expected(at);
        if self.rate.to <= 0.0 {
            // Those of a load that ended are no burst at the beginning of the next.
            while self.next < before {
                self.draw();
            }
        }
        self.rate = Rate {
            from: self.rate.at(at),
            to: per_s,
            since: at,
            before,
        };
    }

    /// When the rate asked for is reached.
    pub(super) fn level_at(&self) -> Instant {
        self.rate.since + Duration::from_secs_f64(self.rate.ramp_s())
    }

    /// When the next arrival is due; `None` when there is none.
    pub(super) fn next(&self) -> Option<Instant> {
        self.rate.when(self.next)
    }

    /// Takes an arrival that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Instant> {
        let due = self.next().filter(|at| *at <= now)?;
        self.draw();
        Some(due)
    }

    fn draw(&mut self) {
        let gap = match self.process {
            Arrivals::Constant => 1.0,
            // Time runs on the expected number: there a Poisson process has gaps of Exp(1),
            // whatever the rate does.
            Arrivals::Poisson => -f64::ln(1.0 - self.rng.random::<f64>()),
        };
        self.next += gap * self.threads;
    }
}

/// The arrivals of one thread, dealt to the kinds of users who share the level.
pub(super) struct Dealer {
    clock: Clock,
    /// How they are dealt; `None` where all are of one kind.
    mix: Option<MixPart>,
    /// Per kind those that have come and were not taken yet.
    come: Vec<VecDeque<Instant>>,
}

impl Dealer {
    pub(super) fn new(clock: Clock, mix: Option<MixPart>) -> Self {
        let kinds = mix.as_ref().map_or(1, |part| part.mix.kinds());
        Self {
            clock,
            mix,
            come: vec![VecDeque::new(); kinds],
        }
    }

    /// Goes to another rate of all kinds together, in arrivals per second over all threads.
    pub(super) fn set_rate(&mut self, per_s: f64, at: Instant) {
        self.clock.set_rate(per_s, at);
    }

    /// When the rate asked for is reached.
    pub(super) fn level_at(&self) -> Instant {
        self.clock.level_at()
    }

    /// When the next arrival of any kind is due; `None` when there is none.
    pub(super) fn next(&self) -> Option<Instant> {
        self.clock.next()
    }

    /// Takes an arrival of a kind that is due.
    pub(super) fn pop(&mut self, kind: usize, now: Instant) -> Option<Instant> {
        let Some(part) = &self.mix else {
            return self.clock.pop(now);
        };
        while let Some(arrival) = self.clock.pop(now) {
            // Numbered over all threads, so that the shares are exact over all of them.
            let number = part.arrived.fetch_add(1, Ordering::Relaxed);
            self.come[part.mix.kind(number)].push_back(arrival);
        }
        self.come[kind].pop_front()
    }
}

/// Wakes one VU for its next arrival.
#[derive(Debug, Default)]
pub(super) struct Bell {
    arrival: Cell<Option<Instant>>,
    rung: Notify,
}

/// VUs without a cycle, and arrivals without a VU.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// The last to be free is the first to be taken: few VUs stay warm rather than all lukewarm.
    free: RefCell<Vec<Rc<Bell>>>,
    waiting: RefCell<VecDeque<Instant>>,
}

impl Pool {
    /// Gives an arrival to a free VU; `false` when there is none.
    pub(super) fn give(&self, arrival: Instant) -> bool {
        let Some(bell) = self.free.borrow_mut().pop() else {
            return false;
        };
        bell.arrival.set(Some(arrival));
        bell.rung.notify_one();
        true
    }

    /// Lets an arrival wait for a VU, its clock running.
    pub(super) fn keep(&self, arrival: Instant) {
        self.waiting.borrow_mut().push_back(arrival);
    }

    /// Takes the arrival that waits longest.
    pub(super) fn take_waiting(&self) -> Option<Instant> {
        self.waiting.borrow_mut().pop_front()
    }

    /// Arrivals that wait for a VU, the oldest first.
    pub(super) fn waiting(&self) -> Vec<Instant> {
        self.waiting.borrow().iter().copied().collect()
    }

    /// Sends everybody home.
    pub(super) fn clear(&self) {
        self.free.borrow_mut().clear();
        self.waiting.borrow_mut().clear();
    }

    /// Waits for the next arrival of one VU.
    pub(super) async fn next(&self, bell: &Rc<Bell>) -> Instant {
        if let Some(arrival) = self.take_waiting() {
            return arrival;
        }
        self.free.borrow_mut().push(Rc::clone(bell));
        loop {
            bell.rung.notified().await;
            if let Some(arrival) = bell.arrival.take() {
                return arrival;
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "counts of a test")]
mod tests {
    use super::*;
    use crate::scenario::vu_rng;

    fn clock(process: Arrivals, threads: u32) -> (Vec<Clock>, Instant) {
        let zero = Instant::now();
        let clocks = (0..threads)
            .map(|i| Clock::new(process, (i, threads), zero, vu_rng(7, i)))
            .collect();
        (clocks, zero)
    }

    /// All arrivals of all threads up to a time, in order, as seconds after the zero.
    fn arrivals(clocks: &mut [Clock], zero: Instant, until_s: f64) -> Vec<f64> {
        let until = zero + Duration::from_secs_f64(until_s);
        let mut all = Vec::new();
        for clock in clocks {
            while let Some(at) = clock.pop(until) {
                all.push((at - zero).as_secs_f64());
            }
        }
        all.sort_by(f64::total_cmp);
        all
    }

    #[test]
    fn constant_arrivals_are_evenly_spaced_over_all_threads_and_ramp_in_a_straight_line() {
        let (mut clocks, zero) = clock(Arrivals::Constant, 3);
        for c in &mut clocks {
            c.set_rate(100.0, zero);
        }
        let all = arrivals(&mut clocks, zero, 13.0);
        // 3 s of ramp at half the rate on average, then 10 s at 100 a second.
        assert_eq!(all.len(), 150 + 1000);
        for pair in all[150..].windows(2) {
            assert!((pair[1] - pair[0] - 0.01).abs() < 1e-6, "{pair:?}");
        }
        let in_first_half = all.iter().filter(|t| **t <= 1.5).count();
        assert_eq!(in_first_half, 37, "a quarter of the ramp's arrivals");
    }

    #[test]
    fn the_rate_moves_up_and_down_without_losing_or_repeating_an_arrival() {
        let (mut clocks, zero) = clock(Arrivals::Constant, 2);
        let at = |s: f64| zero + Duration::from_secs_f64(s);
        let mut all = Vec::new();
        for (from, to, rate) in [(0.0, 10.0, 50.0), (10.0, 20.0, 200.0), (20.0, 30.0, 20.0)] {
            for c in &mut clocks {
                c.set_rate(rate, at(from));
            }
            all.extend(arrivals(&mut clocks, zero, to));
        }
        // 75 + 350, 375 + 1400, 330 + 140 expected arrivals.
        assert_eq!(all.len(), 2670);
        assert!(all.is_sorted());
        for c in &mut clocks {
            c.set_rate(0.0, at(30.0));
            assert_eq!(c.next(), None, "no arrival after the end");
        }
    }

    #[test]
    fn poisson_arrivals_have_exponential_gaps_and_a_variance_equal_to_their_mean() {
        let (mut clocks, zero) = clock(Arrivals::Poisson, 2);
        for c in &mut clocks {
            c.set_rate(200.0, zero);
        }
        let all = arrivals(&mut clocks, zero, 103.0);
        let steady: Vec<f64> = all.into_iter().filter(|t| *t >= 3.0).collect();
        // 20 000 expected; the standard deviation is 141.
        let n = steady.len() as f64;
        assert!((n - 20_000.0).abs() < 5.0 * 141.0, "{n}");
        let gaps: Vec<f64> = steady.windows(2).map(|p| p[1] - p[0]).collect();
        let longer_than_mean = gaps.iter().filter(|g| **g > 0.005).count() as f64 / n;
        assert!((longer_than_mean - (-1f64).exp()).abs() < 0.02);
        let mean = n / 1000.0;
        let tenths = (0..1000).map(|i| {
            let from = 3.0 + f64::from(i) / 10.0;
            let before = |t: f64| steady.partition_point(|at| *at < t);
            (before(from + 0.1) - before(from)) as f64
        });
        let variance = tenths.map(|c| (c - mean) * (c - mean)).sum::<f64>() / 999.0;
        // The ratio's standard error is sqrt(2 / 999) = 0.045.
        assert!((variance / mean - 1.0).abs() < 0.2, "{}", variance / mean);
    }

    #[test]
    fn an_arrival_that_was_late_when_the_load_ended_does_not_come_and_the_next_load_begins() {
        let zero = Instant::now();
        for process in [Arrivals::Constant, Arrivals::Poisson] {
            let mut clock = Clock::new(process, (0, 2), zero, vu_rng(3, 0));
            clock.set_rate(100.0, zero);
            // Nobody has taken any of those that were due.
            clock.set_rate(0.0, zero + Duration::from_secs(9));
            assert_eq!(clock.next(), None, "{process:?}");
            let again = zero + Duration::from_secs(20);
            clock.set_rate(100.0, again);
            assert!(clock.next().is_some_and(|at| at > again), "{process:?}");
        }
    }

    #[test]
    fn every_thread_has_its_part_of_the_arrivals_from_the_first_rate_on() {
        for (process, seed) in [Arrivals::Constant, Arrivals::Poisson]
            .into_iter()
            .flat_map(|process| (0..200).map(move |seed| (process, seed)))
        {
            let zero = Instant::now();
            let clocks = (0..3).map(|i| Clock::new(process, (i, 3), zero, vu_rng(seed, i)));
            for mut clock in clocks {
                clock.set_rate(300.0, zero);
                let end = zero + RAMP + Duration::from_secs(10);
                let mut seen = 0_u32;
                while clock.pop(end).is_some() {
                    seen += 1;
                }
                // A third of 300/s for 10 s and of half of it on the way: 1150, to seven standard
                // deviations.
                assert!((910..=1390).contains(&seen), "{process:?} {seed}: {seen}");
            }
        }
    }

    #[tokio::test]
    async fn an_arrival_goes_to_the_vu_that_was_free_last_else_it_waits() {
        let pool = Rc::new(Pool::default());
        let now = Instant::now();
        assert!(!pool.give(now), "nobody is there");
        pool.keep(now);
        let (a, b) = (Rc::new(Bell::default()), Rc::new(Bell::default()));
        assert_eq!(pool.next(&a).await, now, "what waited comes first");
        assert!(pool.waiting().is_empty());
        let later = now + Duration::from_secs(1);
        let (first, second) = (pool.next(&a), pool.next(&b));
        let give = async {
            assert!(pool.give(later));
            assert!(pool.give(now));
            assert!(!pool.give(now));
        };
        let (first, second, ()) = tokio::join!(first, second, give);
        assert_eq!((first, second), (now, later));
    }
}
