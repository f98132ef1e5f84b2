//! The falling curve `psi` through the share allowed at the limit, its parameters by name, and
//! their prior.

use crate::stats::linear;

/// Where the slope of `psi` is a parameter, in units of the limit.
pub(super) const KNOTS: [f64; 6] = [-0.9, -0.6, -0.3, 0.0, 0.25, 0.6];
/// The knot at the limit.
const CENTRE: usize = 3;

/// How many parameters there are: ln N*, ln eta, and the log slopes at the knots.
pub(super) const D: usize = SLOPES + KNOTS.len();
/// A number per parameter.
pub(super) type Vector = linear::Vector<D>;
/// A number per pair of parameters.
pub(super) type Matrix = linear::Matrix<D>;

/// The place of ln N* among the parameters.
pub(super) const BREAKPOINT: usize = 0;
/// The place of ln eta.
pub(super) const ETA: usize = 1;
/// The places of the log slopes at the knots: from here on.
pub(super) const SLOPES: usize = 2;
/// The place of the log slope at the limit.
const SLOPE_AT_LIMIT: usize = SLOPES + CENTRE;

/// A normal distribution, as a prior.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Normal {
    pub(super) mean: f64,
    pub(super) sd: f64,
}

impl Normal {
    /// The log density at `x`, but for a constant.
    fn ln_density(self, x: f64) -> f64 {
        minus_half_square((x - self.mean) / self.sd)
    }
}

/// Prior of the log slope at the limit: a probit unit per 17 % of the limit, within a factor of e.
pub(super) const SLOPE: Normal = Normal { mean: 1.8, sd: 1.0 };
/// Standard deviation of the log slope's step over 0.3 limits.
const ROUGHNESS: f64 = 0.3;

/// The parameters of the curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Parameters(pub(super) Vector);

/// `psi` at one place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Psi {
    /// Its value, probits.
    pub(super) y: f64,
    /// Its slope, probits per limit.
    pub(super) slope: f64,
    /// The derivatives of the value by the log slopes at the knots.
    pub(super) by_log_slope: [f64; KNOTS.len()],
}

impl Parameters {
    /// A first guess: slopes as the prior expects them.
    pub(super) fn guess(ln_breakpoint: f64, ln_eta: f64) -> Self {
        let mut vector = [SLOPE.mean; D];
        vector[BREAKPOINT] = ln_breakpoint;
        vector[ETA] = ln_eta;
        Self(vector)
    }

    /// The breakpoint, `N*`.
    pub(super) fn breakpoint(&self) -> f64 {
        self.0[BREAKPOINT].exp()
    }

    /// How much of the shift that the law says there is.
    pub(super) fn eta(&self) -> f64 {
        self.0[ETA].exp()
    }

    /// How steeply the curve falls at the limit, probits per limit.
    pub(super) fn slope_at_limit(&self) -> f64 {
        self.0[SLOPE_AT_LIMIT].exp()
    }

    fn log_slopes(&self) -> &[f64] {
        &self.0[SLOPES..]
    }

    /// A step from here, no parameter by more than `at_most`.
    pub(super) fn moved(&self, step: Vector, at_most: f64) -> Self {
        let mut moved = *self;
        for (parameter, by) in moved.0.iter_mut().zip(step) {
            *parameter += by.clamp(-at_most, at_most);
        }
        moved
    }

    /// `psi(tau)`, which passes `crossing` at 0.
    pub(super) fn psi(&self, tau: f64, crossing: f64) -> Psi {
        let logs = self.log_slopes();
        let mut d = [0.0; KNOTS.len()];
        let mut y = crossing;
        let (mut k, mut at) = (CENTRE, 0.0);
        // Outwards from the limit, knot by knot; beyond the last the slope stays.
        let up = tau >= 0.0;
        loop {
            let next = if up { k + 1 } else { k.wrapping_sub(1) };
            let Some(&knot) = KNOTS.get(next) else {
                let slope = logs[k].exp();
                let part = slope * (tau - at);
                d[k] -= part;
                return Psi {
                    y: y - part,
                    slope: -slope,
                    by_log_slope: d,
                };
            };
            let end = if up { tau.min(knot) } else { tau.max(knot) };
            // Gauss-Legendre with two points: the exponent moves by little between knots.
            let width = knot - at;
            for node in [0.211_324_865_4, 0.788_675_134_6] {
                let u = (end - at) * node / width;
                let part = (logs[k] + (logs[next] - logs[k]) * u).exp() * (end - at) / 2.0;
                y -= part;
                d[k] -= part * (1.0 - u);
                d[next] -= part * u;
            }
            if (up && tau <= knot) || (!up && tau >= knot) {
                let u = (tau - at) / width;
                return Psi {
                    y,
                    slope: -(logs[k] + (logs[next] - logs[k]) * u).exp(),
                    by_log_slope: d,
                };
            }
            (k, at) = (next, knot);
        }
    }

    /// The log density of the prior, with that of ln eta.
    pub(super) fn ln_prior(&self, eta: Normal) -> f64 {
        let of = &self.0;
        let mut sum = eta.ln_density(of[ETA]) + SLOPE.ln_density(of[SLOPE_AT_LIMIT]);
        for (k, pair) in self.log_slopes().windows(2).enumerate() {
            sum += minus_half_square((pair[1] - pair[0]) / step_sd(k));
        }
        sum
    }

    /// Gradient and information (minus the second derivatives) of the log prior.
    pub(super) fn prior_derivatives(&self, eta: Normal) -> (Vector, Matrix) {
        let of = &self.0;
        let (mut gradient, mut information) = ([0.0; D], [[0.0; D]; D]);
        for (index, Normal { mean, sd }) in [(ETA, eta), (SLOPE_AT_LIMIT, SLOPE)] {
            gradient[index] -= (of[index] - mean) / (sd * sd);
            information[index][index] += 1.0 / (sd * sd);
        }
        for k in 0..KNOTS.len() - 1 {
            let (a, b) = (SLOPES + k, SLOPES + k + 1);
            let precision = step_sd(k).powi(-2);
            let pull = (of[b] - of[a]) * precision;
            gradient[b] -= pull;
            gradient[a] += pull;
            information[a][a] += precision;
            information[b][b] += precision;
            information[a][b] -= precision;
            information[b][a] -= precision;
        }
        (gradient, information)
    }
}

fn minus_half_square(x: f64) -> f64 {
    -0.5 * x * x
}

/// Prior standard deviation of the log slope's step from one knot to the next: a random walk.
pub(super) fn step_sd(k: usize) -> f64 {
    ROUGHNESS * ((KNOTS[k + 1] - KNOTS[k]) / 0.3).sqrt()
}
