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

    /// Two exponential phases of which each brings half of the mean ("balanced means"; Allen, Probability, Statistics
    /// and Queueing Theory, 1990); `cv2` is at least 1.
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

    /// A VU's first think time: a random part of one, so that VUs with a constant think time do not march in step.
    pub(super) fn first(&self, rng: &mut SmallRng) -> f64 {
        match self {
            // What is left of an exponential time is exponential.
            Self::Exponential { .. } => self.sample(rng),
            _ => rng.random::<f64>() * self.sample(rng),
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
    fn a_first_think_time_is_at_most_one_think_time() {
        let mut rng = SmallRng::seed_from_u64(4);
        let law = Law::Constant { value: 2.0 };
        let firsts: Vec<f64> = (0..10_000).map(|_| law.first(&mut rng)).collect();
        assert!(firsts.iter().all(|t| (0.0..2.0).contains(t)));
        let mean = firsts.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 1.0).abs() < 0.03, "{mean}");
    }
}
