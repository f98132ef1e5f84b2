//! An estimate between two ends.

use serde::{Deserialize, Serialize};

/// An estimate and the ends of its interval. Written as a list: low, estimate, high.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "(f64, f64, f64)", into = "(f64, f64, f64)")]
pub struct Band {
    /// Lower end.
    pub low: f64,
    /// What is most likely.
    pub estimate: f64,
    /// Upper end.
    pub high: f64,
}

impl Band {
    /// Whether all three are numbers.
    pub fn is_finite(&self) -> bool {
        [self.low, self.estimate, self.high]
            .iter()
            .all(|v| v.is_finite())
    }
}

impl From<(f64, f64, f64)> for Band {
    fn from((low, estimate, high): (f64, f64, f64)) -> Self {
        Self {
            low,
            estimate,
            high,
        }
    }
}

impl From<Band> for (f64, f64, f64) {
    fn from(band: Band) -> Self {
        (band.low, band.estimate, band.high)
    }
}

/// A curve with its band at one level. Written as a list: level, low, estimate, high.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "(f64, f64, f64, f64)", into = "(f64, f64, f64, f64)")]
pub struct CurvePoint {
    /// The level.
    pub level: f64,
    /// The curve there, between the ends of its band.
    pub band: Band,
}

impl From<(f64, f64, f64, f64)> for CurvePoint {
    fn from((level, low, estimate, high): (f64, f64, f64, f64)) -> Self {
        Self {
            level,
            band: Band::from((low, estimate, high)),
        }
    }
}

impl From<CurvePoint> for (f64, f64, f64, f64) {
    fn from(CurvePoint { level, band }: CurvePoint) -> Self {
        (level, band.low, band.estimate, band.high)
    }
}
