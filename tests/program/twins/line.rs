//! Users before workers with one line, simulated: for services that no closed form knows.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use rand_distr::{Distribution as _, Exp1, StandardNormal};

/// One part in so many of the requests is not counted: the line has to fill.
const WARM_UP: u32 = 10;
/// Any; the same gives the same truth.
const SEED: u64 = 1;

/// How long one request takes a worker.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Service {
    Constant { mean_s: f64 },
    Exponential { mean_s: f64 },
    Normal { mean_s: f64, sd_s: f64 },
}

impl Service {
    /// Seconds of one request.
    pub(crate) fn draw(self, rng: &mut SmallRng) -> f64 {
        match self {
            Self::Constant { mean_s } => mean_s,
            Self::Exponential { mean_s } => {
                let e: f64 = Exp1.sample(rng);
                e * mean_s
            }
            Self::Normal { mean_s, sd_s } => {
                let z: f64 = StandardNormal.sample(rng);
                (mean_s + z * sd_s).max(0.0)
            }
        }
    }
}

/// A closed queue: users think (exponentially), then wait in one line for the first worker who is
/// free.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) workers: usize,
    pub(crate) service: Service,
    pub(crate) think_s: f64,
}

impl Line {
    /// The share of so many requests of so many users that took `limit_s` or longer.
    pub(crate) fn tail(&self, users: u32, limit_s: f64, requests: u32) -> f64 {
        let mut rng = SmallRng::seed_from_u64(SEED);
        let limit = ns(limit_s);
        let mut asks: BinaryHeap<_> = (0..users).map(|_| Reverse(self.think(&mut rng))).collect();
        let mut free: BinaryHeap<_> = (0..self.workers).map(|_| Reverse(0)).collect();
        let warm_up = requests / WARM_UP;
        let mut late = 0_u32;
        for nth in 0..requests {
            // Who asks first is served first: no later request can overtake, so each is done as it
            // comes.
            let Reverse(asked) = asks.pop().unwrap();
            let Reverse(since) = free.pop().unwrap();
            let done = since.max(asked) + ns(self.service.draw(&mut rng));
            free.push(Reverse(done));
            asks.push(Reverse(done + self.think(&mut rng)));
            if nth >= warm_up && done - asked >= limit {
                late += 1;
            }
        }
        f64::from(late) / f64::from(requests - warm_up)
    }

    /// The largest number of users, up to `most`, of whose requests a share of at most `alpha`
    /// takes `limit_s` or longer.
    pub(crate) fn threshold(&self, alpha: f64, limit_s: f64, most: u32) -> u32 {
        let (mut held, mut broke) = (1, most);
        while broke - held > 1 {
            let users = u32::midpoint(held, broke);
            if self.tail(users, limit_s, 2_000_000) <= alpha {
                held = users;
            } else {
                broke = users;
            }
        }
        held
    }

    fn think(&self, rng: &mut SmallRng) -> u64 {
        let e: f64 = Exp1.sample(rng);
        ns(e * self.think_s)
    }
}

fn ns(seconds: f64) -> u64 {
    let ns = Duration::from_secs_f64(seconds).as_nanos();
    u64::try_from(ns).unwrap()
}
