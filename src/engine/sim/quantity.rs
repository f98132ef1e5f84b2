//! Quantities of a system file that check themselves while they are read, so that an error names
//! their line.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units;

/// A time above zero, written `50ms`, `5s`, `2m` or `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

impl Span {
    /// The time as a [`Duration`].
    pub fn duration(self) -> Duration {
        self.0
    }

    /// Seconds.
    pub fn s(self) -> f64 {
        self.0.as_secs_f64()
    }

    /// The same divided by a factor above zero; at least a nanosecond.
    #[must_use]
    pub fn divided(self, factor: f64) -> Self {
        Self(self.0.div_f64(factor).max(Duration::from_nanos(1)))
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match units::parse_duration(&text) {
            Ok(Duration::ZERO) => Err(format!(
                "`{text}` is no time at all; write one above zero, such as \"50ms\""
            )),
            Ok(time) => Ok(Self(time)),
            Err(error) => Err(format!(
                "cannot read the time: {error}; write one such as \"50ms\", \"5s\" or \"2m\""
            )),
        }
    }
}

impl From<Span> for String {
    fn from(span: Span) -> Self {
        // Decimal seconds are exact to the nanosecond and need no choice of unit.
        format!("{}s", span.s())
    }
}

/// A size, written `64KiB` or `512MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(u64);

impl Size {
    /// Bytes.
    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
    pub fn bytes(self) -> f64 {
        self.0 as f64
    }

    /// So much above another one as this is, times a factor.
    #[must_use]
    pub fn scaled_above(self, base: Self, factor: f64) -> Self {
        let above = (self.bytes() - base.bytes()).max(0.0) * factor;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "sizes are far below 2^52 and not negative"
        )]
        Self(base.0 + above.round() as u64)
    }
}

impl TryFrom<String> for Size {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        units::parse_bytes(&text).map(Self).map_err(|error| {
            format!("cannot read the size: {error}; write one such as \"64KiB\" or \"512MiB\"")
        })
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        format!("{}B", size.0)
    }
}

/// A share above 0 and at most 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share(f64);

impl Share {
    /// The share, 0..=1.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        if value > 0.0 && value <= 1.0 {
            Ok(Self(value))
        } else {
            Err(format!(
                "{value} is no share; write one above 0 and at most 1, such as 0.05"
            ))
        }
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        share.0
    }
}

/// A finite number above zero: a speed (1 is normal), a rate, a spread.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Positive(f64);

impl Positive {
    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// The same times a factor above zero.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        Self(self.0 * factor)
    }
}

impl TryFrom<f64> for Positive {
    type Error = String;

    fn try_from(value: f64) -> Result<Self, String> {
        if value > 0.0 && value.is_finite() {
            Ok(Self(value))
        } else {
            Err(format!("{value} is not a finite number above zero"))
        }
    }
}

impl From<Positive> for f64 {
    fn from(number: Positive) -> Self {
        number.0
    }
}
