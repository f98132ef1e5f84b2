//! Lists with an end: each step takes memory for every second of a run, and a profile may be
//! anybody's.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// Steps of all scenarios of a profile together. One that is measured takes some megabyte of memory
/// in a search, for its latencies.
pub const STEPS: usize = 100;

/// A list with an end: what is beyond it is not even read.
///
/// # Errors
/// When it is no list of these, or has more than so many; `what` they are.
pub fn at_most<'de, T, D, const MOST: usize>(
    input: D,
    what: &'static str,
) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct Bounded<T, const MOST: usize>(&'static str, PhantomData<T>);
    impl<'de, T: Deserialize<'de>, const MOST: usize> Visitor<'de> for Bounded<T, MOST> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sequence")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(one) = seq.next_element()? {
                if all.len() == MOST {
                    return Err(A::Error::custom(too_many(self.0, MOST)));
                }
                all.push(one);
            }
            Ok(all)
        }
    }
    input.deserialize_seq(Bounded::<T, MOST>(what, PhantomData))
}

/// Says that there are too many of something.
pub fn too_many(what: &str, most: usize) -> String {
    format!(
        "a profile may have at most {most} {what}; split it into several profiles, one run \
        each"
    )
}

/// The steps within a step.
///
/// # Errors
/// As [`at_most`].
pub(super) fn some_steps<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<Vec<T>>, D::Error> {
    at_most::<T, D, STEPS>(input, "steps").map(Some)
}

/// The parts of a form.
///
/// # Errors
/// As [`at_most`].
pub(super) fn parts<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<Vec<T>>, D::Error> {
    at_most::<T, D, STEPS>(input, "parts of a form").map(Some)
}

/// The ways that a cycle may go at one place.
///
/// # Errors
/// As [`at_most`].
pub(super) fn choices<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    input: D,
) -> Result<Option<Vec<T>>, D::Error> {
    at_most::<T, D, STEPS>(input, "choices").map(Some)
}

/// The steps of one scenario.
///
/// # Errors
/// As [`at_most`].
pub(super) fn steps<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    input: D,
) -> Result<Vec<T>, D::Error> {
    at_most::<T, D, STEPS>(input, "steps")
}
