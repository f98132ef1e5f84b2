//! Think times: a VU's pauses, fixed or drawn.

use std::time::Duration;

use rand::Rng;
use rand_distr::{Distribution, Exp1, StandardNormal, StandardUniform};

use super::spec::{DrawnThinkSpec, ThinkSpec};
use crate::units::parse_duration;

/// Longest think time that is drawn; the tails of the distributions have no end, a run has.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long a VU thinks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Think {
    /// Always this long.
    Fixed(Duration),
    /// Uniform from the first to the second.
    Uniform(Duration, Duration),
    /// Exponential with this mean.
    Exponential(Duration),
    /// Log-normal.
    LogNormal {
        /// The median.
        median: Duration,
        /// Standard deviation of the logarithm.
        sigma: f64,
    },
}

impl Think {
    pub(super) fn parse(spec: &ThinkSpec) -> Result<Self, String> {
        let duration = |text: &str| {
            parse_duration(text).map_err(|e| format!("cannot read the think time: {e}"))
        };
        let drawn = match spec {
            ThinkSpec::Fixed(text) => return duration(text).map(Self::Fixed),
            ThinkSpec::Drawn(drawn) => drawn,
        };
        match drawn {
            DrawnThinkSpec::Uniform([from, to]) => {
                let (from, to) = (duration(from)?, duration(to)?);
                if from > to {
                    return Err(
                        "a uniform think time goes from the shorter to the longer".to_owned()
                    );
                }
                Ok(Self::Uniform(from, to))
            }
            DrawnThinkSpec::Exponential(mean) => duration(mean).map(Self::Exponential),
            DrawnThinkSpec::Lognormal(spec) => {
                if !(0.0..=5.0).contains(&spec.sigma) {
                    return Err(format!(
                        "`sigma = {}` is out of range; use 0 to 5 (0.5 is a mild spread)",
                        spec.sigma
                    ));
                }
                let median = duration(&spec.median)?;
                Ok(Self::LogNormal {
                    median,
                    sigma: spec.sigma,
                })
            }
        }
    }

    /// Draws one think time.
    pub fn draw<R: Rng>(&self, rng: &mut R) -> Duration {
        let seconds = match *self {
            Self::Fixed(d) => return d,
            Self::Uniform(from, to) => {
                let u: f64 = StandardUniform.sample(rng);
                let (from, to) = (from.as_secs_f64(), to.as_secs_f64());
                from + u * (to - from)
            }
            Self::Exponential(mean) => {
                let e: f64 = Exp1.sample(rng);
                e * mean.as_secs_f64()
            }
            Self::LogNormal { median, sigma } => {
                let z: f64 = StandardNormal.sample(rng);
                median.as_secs_f64() * (sigma * z).exp()
            }
        };
        Duration::try_from_secs_f64(seconds).map_or(LONGEST, |d| d.min(LONGEST))
    }

    /// The mean, seconds.
    pub fn mean_s(&self) -> f64 {
        match *self {
            Self::Fixed(d) | Self::Exponential(d) => d.as_secs_f64(),
            Self::Uniform(from, to) => f64::midpoint(from.as_secs_f64(), to.as_secs_f64()),
            Self::LogNormal { median, sigma } => median.as_secs_f64() * (sigma * sigma / 2.0).exp(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::scenario::VuRng;

    #[test]
    fn drawn_times_have_the_stated_mean() {
        let s = Duration::from_secs;
        let mut rng = VuRng::seed_from_u64(5);
        for think in [
            Think::Fixed(s(2)),
            Think::Uniform(s(1), s(3)),
            Think::Exponential(s(2)),
            Think::LogNormal {
                median: s(2),
                sigma: 0.5,
            },
        ] {
            let draws = 40_000;
            let mean = (0..draws)
                .map(|_| think.draw(&mut rng).as_secs_f64())
                .sum::<f64>()
                / f64::from(draws);
            assert!(
                (mean / think.mean_s() - 1.0).abs() < 0.03,
                "{think:?}: {mean}"
            );
        }
    }
}
