//! The two ends of an interval.

/// The two ends of an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ends {
    /// The lower one.
    pub low: f64,
    /// The upper one.
    pub high: f64,
}

impl Ends {
    /// Both times a factor.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self {
            low: factor * self.low,
            high: factor * self.high,
        }
    }
}
