//! The demo target's workers: a first-come, first-served queue before `c` workers, in computed
//! time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution as _, Exp1, StandardNormal};
use serde::{Deserialize, Serialize};

use super::DemoSpec;

/// Distribution of the demo target's service times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceTime {
    /// Always the mean.
    Fixed,
    /// Exponential: the case with an exact theory.
    #[default]
    Exponential,
    /// Log-normal with a standard deviation of the logarithm of 0.5.
    Lognormal,
}

/// Standard deviation of the logarithm of log-normal service times.
const SIGMA: f64 = 0.5;

pub(super) struct Workers {
    /// When each worker is free again.
    free: Vec<Instant>,
    /// When the questions that still wait will be begun, in order.
    begins: VecDeque<Instant>,
    mean_s: f64,
    service: ServiceTime,
    rng: Xoshiro256PlusPlus,
}

impl Workers {
    /// `None` without workers or without a rate.
    pub(super) fn new(spec: &DemoSpec) -> Option<Self> {
        let mean_s = f64::from(spec.workers) / spec.answers_per_s;
        if spec.workers == 0 || !mean_s.is_finite() || mean_s <= 0.0 {
            return None;
        }
        let now = Instant::now();
        Some(Self {
            free: (0..spec.workers).map(|_| now).collect(),
            begins: VecDeque::new(),
            mean_s,
            service: spec.service,
            rng: Xoshiro256PlusPlus::seed_from_u64(spec.seed),
        })
    }

    /// How many questions wait for a worker at this time.
    pub(super) fn waiting(&mut self, now: Instant) -> usize {
        while self.begins.front().is_some_and(|b| *b <= now) {
            self.begins.pop_front();
        }
        self.begins.len()
    }

    /// Gives a question that arrives now to the worker that is free first; returns when it is
    /// answered.
    pub(super) fn serve(&mut self, arrival: Instant) -> Instant {
        let service = self.draw();
        let worker = self
            .free
            .iter_mut()
            .min()
            .expect("there is at least one worker");
        let begin = arrival.max(*worker);
        *worker = begin + service;
        if begin > arrival {
            self.begins.push_back(begin);
        }
        begin + service
    }

    fn draw(&mut self) -> Duration {
        let factor: f64 = match self.service {
            ServiceTime::Fixed => 1.0,
            ServiceTime::Exponential => Exp1.sample(&mut self.rng),
            ServiceTime::Lognormal => {
                let z: f64 = StandardNormal.sample(&mut self.rng);
                (SIGMA * z - SIGMA * SIGMA / 2.0).exp()
            }
        };
        Duration::from_secs_f64(self.mean_s * factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(spec: DemoSpec) -> Workers {
        Workers::new(&spec).unwrap()
    }

    #[test]
    fn questions_are_served_first_come_first_served() {
        let mut queue = workers(DemoSpec {
            workers: 2,
            answers_per_s: 20.0,
            service: ServiceTime::Fixed,
            ..DemoSpec::default()
        });
        let at = Instant::now() + Duration::from_secs(1);
        let ms = Duration::from_millis;
        let departures: Vec<_> = (0..4).map(|_| queue.serve(at) - at).collect();
        assert_eq!(departures, [ms(100), ms(100), ms(200), ms(200)]);
        assert_eq!(queue.waiting(at), 2);
        assert_eq!(queue.waiting(at + ms(100)), 0);
        assert_eq!(queue.serve(at + ms(150)) - at, ms(300));
    }

    #[test]
    fn a_busy_queue_answers_at_its_rate_whatever_the_distribution() {
        for service in [
            ServiceTime::Fixed,
            ServiceTime::Exponential,
            ServiceTime::Lognormal,
        ] {
            let mut queue = workers(DemoSpec {
                service,
                ..DemoSpec::default()
            });
            let at = Instant::now();
            let last = (0..20_000).map(|_| queue.serve(at)).max().unwrap();
            let rate = 20_000.0 / (last - at).as_secs_f64();
            assert!((rate / 100.0 - 1.0).abs() < 0.03, "{service:?}: {rate}");
        }
    }

    #[test]
    fn a_queue_without_workers_or_rate_is_refused() {
        let spec = DemoSpec::default();
        assert!(Workers::new(&DemoSpec { workers: 0, ..spec }).is_none());
        let standing = DemoSpec {
            answers_per_s: 0.0,
            ..spec
        };
        assert!(Workers::new(&standing).is_none());
    }
}
