//! The compiled scenario: the cycle of steps that every VU goes through.

pub mod spec;
