//! Service times of drawn systems: drawn, written into a file, and their tails in closed form.

use std::fmt::Write as _;

use rand::RngExt as _;
use rand::rngs::SmallRng;

use crate::stats::normal;

/// The shape of a time around its mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    Constant,
    Exponential,
    /// From `1 - half` to `1 + half` of the mean.
    Uniform {
        half: f64,
    },
    Lognormal {
        cv2: f64,
    },
    /// Balanced means, as the simulator's.
    Hyperexponential {
        cv2: f64,
    },
}

/// A time with its mean, seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Law {
    pub(super) shape: Shape,
    pub(super) mean: f64,
}

impl Law {
    /// Share of the times that are at least so long.
    pub(super) fn tail(&self, t: f64) -> f64 {
        let x = t / self.mean;
        match self.shape {
            Shape::Constant => f64::from(u8::from(x <= 1.0)),
            Shape::Exponential => (-x).exp(),
            Shape::Uniform { half } => ((1.0 + half - x) / (2.0 * half)).clamp(0.0, 1.0),
            Shape::Lognormal { cv2 } => {
                let variance = cv2.ln_1p();
                normal::cdf(-(x.ln() + variance / 2.0) / variance.sqrt())
            }
            Shape::Hyperexponential { cv2 } => {
                let first = f64::midpoint(1.0, ((cv2 - 1.0) / (cv2 + 1.0)).sqrt());
                let second = 1.0 - first;
                first * (-2.0 * first * x).exp() + second * (-2.0 * second * x).exp()
            }
        }
    }

    /// The keys of a table; `spread` is what the table calls a spread, and whether that is squared.
    pub(super) fn keys(&self, spread: (&str, bool)) -> String {
        let (name, squared) = spread;
        let cv = |cv2: f64| if squared { cv2 } else { cv2.sqrt() };
        let mean = format!("mean = \"{}\"\n", time(self.mean));
        let mut keys = String::new();
        let _ = match self.shape {
            Shape::Constant => write!(keys, "kind = \"constant\"\n{mean}"),
            Shape::Exponential => write!(keys, "kind = \"exponential\"\n{mean}"),
            Shape::Uniform { half } => write!(
                keys,
                "kind = \"uniform\"\nlow = \"{}\"\nhigh = \"{}\"\n",
                time(self.mean * (1.0 - half)),
                time(self.mean * (1.0 + half))
            ),
            Shape::Lognormal { cv2 } => {
                write!(
                    keys,
                    "kind = \"lognormal\"\n{mean}{name} = {:.3}\n",
                    cv(cv2)
                )
            }
            Shape::Hyperexponential { cv2 } => write!(
                keys,
                "kind = \"hyperexponential\"\n{mean}{name} = {:.3}\n",
                cv(cv2).max(1.0)
            ),
        };
        keys
    }
}

/// A time as a file writes it: whole seconds, milliseconds or microseconds, at least one.
pub(super) fn time(seconds: f64) -> String {
    let us = (seconds * 1e6).round().max(1.0);
    let (per, unit) = [(1e6, "s"), (1e3, "ms")]
        .into_iter()
        .find(|(per, _)| us % per == 0.0)
        .unwrap_or((1.0, "us"));
    format!("{:.0}{unit}", us / per)
}

/// Some service of no particular kind.
pub(super) fn any_shape(rng: &mut SmallRng) -> Shape {
    match rng.random_range(0..10) {
        0..4 => Shape::Exponential,
        4..7 => Shape::Lognormal {
            cv2: log_uniform(0.3, 4.0, rng),
        },
        7 => Shape::Constant,
        8 => Shape::Uniform {
            half: rng.random_range(0.3..0.95),
        },
        _ => Shape::Hyperexponential {
            cv2: log_uniform(1.1, 6.0, rng),
        },
    }
}

/// A service with a long tail: squared coefficients of variation from 3 to 20.
pub(super) fn heavy_shape(rng: &mut SmallRng) -> Shape {
    let cv2 = log_uniform(3.0, 20.0, rng);
    if rng.random::<bool>() {
        Shape::Lognormal { cv2 }
    } else {
        Shape::Hyperexponential { cv2 }
    }
}

/// A number whose logarithm is uniform between the logarithms of two others.
pub(super) fn log_uniform(low: f64, high: f64, rng: &mut SmallRng) -> f64 {
    low * (high / low).powf(rng.random::<f64>())
}

/// The `q` quantile of a mixture of times, each with its share.
pub(super) fn quantile(kinds: &[(f64, Law)], q: f64) -> f64 {
    let above = |t: f64| {
        kinds
            .iter()
            .map(|(share, law)| share * law.tail(t))
            .sum::<f64>()
    };
    let mean: f64 = kinds.iter().map(|(share, law)| share * law.mean).sum();
    let (mut low, mut high) = (0.0, mean);
    while above(high) > 1.0 - q {
        (low, high) = (high, 2.0 * high);
    }
    // Forty halvings leave a billionth of the first bracket.
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if above(middle) > 1.0 - q {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_laws() {
        let of = |shape, q| quantile(&[(1.0, Law { shape, mean: 0.05 })], q);
        let close = |got: f64, want: f64| assert!((got / want - 1.0).abs() < 1e-6, "{got} {want}");
        close(of(Shape::Constant, 0.99), 0.05);
        close(of(Shape::Exponential, 0.99), 0.05 * 100_f64.ln());
        close(of(Shape::Uniform { half: 0.5 }, 0.9), 0.05 * 1.4);
        // exp(mu + z sigma) with sigma^2 = ln(1 + cv2), mean exp(mu + sigma^2 / 2).
        let sigma = 5_f64.ln().sqrt();
        let z = normal::probit(0.95);
        let want = 0.05 * (z * sigma - sigma * sigma / 2.0).exp();
        close(of(Shape::Lognormal { cv2: 4.0 }, 0.95), want);
        close(
            of(Shape::Hyperexponential { cv2: 1.0 }, 0.9),
            0.05 * 10_f64.ln(),
        );
        // Half of a mixture is always 1 s: above its median nothing else is left.
        let mixture = [
            (
                0.5,
                Law {
                    shape: Shape::Constant,
                    mean: 0.1,
                },
            ),
            (
                0.5,
                Law {
                    shape: Shape::Constant,
                    mean: 1.0,
                },
            ),
        ];
        close(quantile(&mixture, 0.9), 1.0);
    }
}
