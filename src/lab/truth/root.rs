//! A line through shares at a few levels on the probit scale, and where it crosses what is allowed.

/// The share at one level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    /// VUs.
    pub(super) level: f64,
    /// Probit of the share.
    pub(super) probit: f64,
    /// Its standard error.
    pub(super) se: f64,
}

/// Where the line crosses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Crossing {
    /// VUs.
    pub(super) at: f64,
    /// Standard error, VUs.
    pub(super) se: f64,
    /// Probits per relative change of the level.
    pub(super) slope: f64,
}

/// The weighted least-squares line and its root, with the standard error by the delta method;
/// `None` with fewer than two levels or without any error known.
pub(super) fn crossing(points: &[Point], allowed: f64) -> Option<Crossing> {
    let centre = points.iter().map(|p| p.level).reduce(f64::max)?;
    let (mut w, mut wx, mut wxx, mut wy, mut wxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for p in points {
        let weight = 1.0 / p.se.powi(2);
        if !weight.is_finite() || !p.probit.is_finite() {
            return None;
        }
        let (x, y) = (p.level / centre - 1.0, p.probit - allowed);
        w += weight;
        wx += weight * x;
        wxx += weight * x * x;
        wy += weight * y;
        wxy += weight * x * y;
    }
    let determinant = w * wxx - wx * wx;
    if determinant <= 1e-12 * w * w {
        return None;
    }
    let slope = (w * wxy - wx * wy) / determinant;
    let start = (wxx * wy - wx * wxy) / determinant;
    let x = -start / slope;
    let variance = (wxx - 2.0 * wx * x + w * x * x) / determinant / slope.powi(2);
    Some(Crossing {
        at: centre * (1.0 + x),
        se: centre * variance.max(0.0).sqrt(),
        slope,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_noise_crosses_where_it_does() {
        let points = [90.0, 100.0, 110.0].map(|level| Point {
            level,
            probit: -2.3 + 0.05 * (level - 103.0),
            se: 0.1,
        });
        let crossing = crossing(&points, -2.3).unwrap();
        assert!((crossing.at - 103.0).abs() < 1e-9);
        // Variance of a line at its root: s^2 (1/n + d^2 / Sxx) / slope^2.
        let want = 0.1 * (1.0_f64 / 3.0 + 9.0 / 200.0).sqrt() / 0.05;
        assert!((crossing.se - want).abs() < 1e-9, "{} {want}", crossing.se);
        assert!((crossing.slope - 0.05 * 110.0).abs() < 1e-9);
    }

    #[test]
    fn one_level_has_no_slope() {
        let point = Point {
            level: 10.0,
            probit: -2.0,
            se: 0.1,
        };
        assert_eq!(crossing(&[point], -2.3), None);
        assert_eq!(crossing(&[], -2.3), None);
    }
}
