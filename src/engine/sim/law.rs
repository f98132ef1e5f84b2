//! Random times: what a think or service time is drawn from.

use rand::RngExt;
use rand::rngs::SmallRng;
use rand_distr::{Distribution, Exp1, StandardNormal};

/// A distribution of times, seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Law {
    Exponential {
        mean: f64,
    },
    Constant {
        value: f64,
    },
    Uniform {
        low: f64,
        high: f64,
    },
    /// The logarithm is normal.
    Lognormal {
        mu: f64,
        sigma: f64,
    },
    /// With this probability exponential with the first mean, else with the second.
    Hyperexponential {
        first: f64,
        means: [f64; 2],
    },
}

impl Law {
    /// A log-normal time with this mean and squared coefficient of variation.
    pub(super) fn lognormal(mean: f64, cv2: f64) -> Self {
        let variance = cv2.ln_1p();
        Self::Lognormal {
            mu: mean.ln() - variance / 2.0,
            sigma: variance.sqrt(),
        }
    }

    /// Two exponential phases of which each brings half of the mean ("balanced means"; Allen,
    /// Probability, Statistics and Queueing Theory, 1990); `cv2` is at least 1.
    pub(super) fn hyperexponential(mean: f64, cv2: f64) -> Self {
        let first = f64::midpoint(1.0, ((cv2 - 1.0) / (cv2 + 1.0)).sqrt());
        Self::Hyperexponential {
            first,
            means: [mean / (2.0 * first), mean / (2.0 * (1.0 - first))],
        }
    }

    pub(super) fn mean(&self) -> f64 {
        match *self {
            Self::Exponential { mean } => mean,
            Self::Constant { value } => value,
            Self::Uniform { low, high } => f64::midpoint(low, high),
            Self::Lognormal { mu, sigma } => (mu + sigma * sigma / 2.0).exp(),
            Self::Hyperexponential { first, means } => first * means[0] + (1.0 - first) * means[1],
        }
    }

    pub(super) fn sample(&self, rng: &mut SmallRng) -> f64 {
        match *self {
            Self::Exponential { mean } => exponential(mean, rng),
            Self::Constant { value } => value,
            Self::Uniform { low, high } => low + (high - low) * rng.random::<f64>(),
            Self::Lognormal { mu, sigma } => {
                let normal: f64 = StandardNormal.sample(rng);
                (mu + sigma * normal).exp()
            }
            Self::Hyperexponential { first, means } => {
                let phase = usize::from(rng.random::<f64>() >= first);
                exponential(means[phase], rng)
            }
        }
    }

    /// A VU's first think time: what is left of one at a random moment, a random part of a time
    /// drawn in proportion to its length. So a level is from its beginning what it is in the long
    /// run: with times that vary, ordinary ones would all be over before the long ones, in which
    /// most of the users are at any moment.
    pub(super) fn first(&self, rng: &mut SmallRng) -> f64 {
        match *self {
            // What is left of an exponential time is exponential.
            Self::Exponential { .. } => self.sample(rng),
            Self::Hyperexponential { first, means } => {
                let of_first = first * means[0] / self.mean();
                let phase = usize::from(rng.random::<f64>() >= of_first);
                exponential(means[phase], rng)
            }
            Self::Constant { value } => rng.random::<f64>() * value,
            Self::Lognormal { mu, sigma } => {
                let mu = mu + sigma * sigma;
                rng.random::<f64>() * Self::Lognormal { mu, sigma }.sample(rng)
            }
            Self::Uniform { low, high } => {
                // The density of a length is proportional to it: its square is uniform.
                let square = low * low + (high * high - low * low) * rng.random::<f64>();
                rng.random::<f64>() * square.sqrt()
            }
        }
    }
}

/// An exponential time with this mean.
pub(super) fn exponential(mean: f64, rng: &mut SmallRng) -> f64 {
    let one: f64 = Exp1.sample(rng);
    mean * one
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    /// Mean and squared coefficient of variation of many draws.
    fn moments(law: &Law) -> (f64, f64) {
        let mut rng = SmallRng::seed_from_u64(3);
        let n = 400_000;
        let draws: Vec<f64> = (0..n).map(|_| law.sample(&mut rng)).collect();
        let mean = draws.iter().sum::<f64>() / f64::from(n);
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n);
        (mean, variance / mean / mean)
    }

    #[test]
    fn every_law_has_the_mean_and_the_spread_that_it_promises() {
        for (law, mean, cv2) in [
            (Law::Exponential { mean: 0.3 }, 0.3, 1.0),
            (Law::Constant { value: 2.0 }, 2.0, 0.0),
            (
                Law::Uniform {
                    low: 1.0,
                    high: 3.0,
                },
                2.0,
                1.0 / 12.0,
            ),
            (Law::lognormal(0.4, 2.0), 0.4, 2.0),
            (Law::hyperexponential(0.05, 10.0), 0.05, 10.0),
            (Law::hyperexponential(0.05, 1.0), 0.05, 1.0),
        ] {
            let (got_mean, got_cv2) = moments(&law);
            assert!((got_mean / mean - 1.0).abs() < 0.015, "{law:?}: {got_mean}");
            assert!((law.mean() / mean - 1.0).abs() < 1e-12, "{law:?}");
            assert!(
                (got_cv2 - cv2).abs() <= 0.06 * cv2 + 1e-12,
                "{law:?}: {got_cv2}"
            );
        }
    }

    #[test]
    fn the_phases_of_a_hyperexponential_time_bring_half_of_the_mean_each() {
        let Law::Hyperexponential { first, means } = Law::hyperexponential(1.0, 10.0) else {
            panic!("not hyperexponential");
        };
        assert!((first * means[0] - 0.5).abs() < 1e-12);
        assert!(((1.0 - first) * means[1] - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_first_think_time_is_what_is_left_of_one_at_a_random_moment() {
        let mut rng = SmallRng::seed_from_u64(4);
        // Its mean is (1 + cv2) / 2 of a whole one (renewal theory).
        for (law, cv2) in [
            (Law::Constant { value: 2.0 }, 0.0),
            (Law::Exponential { mean: 2.0 }, 1.0),
            (
                Law::Uniform {
                    low: 1.0,
                    high: 3.0,
                },
                1.0 / 12.0,
            ),
            (Law::lognormal(2.0, 1.5), 1.5),
            (Law::hyperexponential(2.0, 5.0), 5.0),
        ] {
            let firsts: Vec<f64> = (0..200_000).map(|_| law.first(&mut rng)).collect();
            let mean = firsts.iter().sum::<f64>() / 200_000.0;
            let wanted = 2.0 * (1.0 + cv2) / 2.0;
            assert!((mean / wanted - 1.0).abs() < 0.03, "{law:?}: {mean}");
        }
        let most = Law::Constant { value: 2.0 };
        assert!((0..1_000).all(|_| (0.0..2.0).contains(&most.first(&mut rng))));
    }
}
