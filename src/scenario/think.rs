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

    /// Draws what is left of a think time at a random moment: a random part of one that is drawn in proportion to its length.
    ///
    /// VUs that begin so are from their beginning as they are in the long run. Of times that vary the ordinary ones would all be over
    /// before the long ones, in which most users are at any moment, and a level would begin with too much load.
    pub fn draw_left<R: Rng>(&self, rng: &mut R) -> Duration {
        let whole = match *self {
            Self::Fixed(d) => d,
            // What is left of an exponential time is exponential.
            Self::Exponential(_) => return self.draw(rng),
            Self::Uniform(from, to) => {
                // The density of a length is proportional to it: its square is uniform.
                let u: f64 = StandardUniform.sample(rng);
                let (from, to) = (from.as_secs_f64().powi(2), to.as_secs_f64().powi(2));
                Duration::from_secs_f64((from + u * (to - from)).sqrt())
            }
            Self::LogNormal { median, sigma } => {
                let longer = (sigma * sigma).exp() * median.as_secs_f64();
                let median =
                    Duration::try_from_secs_f64(longer).map_or(LONGEST, |d| d.min(LONGEST));
                Self::LogNormal { median, sigma }.draw(rng)
            }
        };
        let part: f64 = StandardUniform.sample(rng);
        whole.mul_f64(part)
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

    #[test]
    fn what_is_left_of_a_time_is_longer_the_more_times_vary() {
        let s = Duration::from_secs;
        let mut rng = VuRng::seed_from_u64(6);
        let lognormal = Think::LogNormal {
            median: s(2),
            sigma: 0.8,
        };
        // Half of the mean square over the mean (renewal theory).
        for (think, wanted) in [
            (Think::Fixed(s(2)), 1.0),
            (Think::Uniform(s(1), s(3)), 13.0 / 12.0),
            (Think::Exponential(s(2)), 2.0),
            (lognormal, lognormal.mean_s() * 0.64_f64.exp() / 2.0),
        ] {
            let draws = 40_000;
            let all = (0..draws).map(|_| think.draw_left(&mut rng).as_secs_f64());
            let mean = all.sum::<f64>() / f64::from(draws);
            assert!((mean / wanted - 1.0).abs() < 0.04, "{think:?}: {mean}");
        }
        assert_eq!(
            Think::Fixed(Duration::ZERO).draw_left(&mut rng),
            Duration::ZERO
        );
    }
}
