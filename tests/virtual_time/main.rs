//! Whole searches and ramps in virtual time, the simulation itself, and the laboratory: statistics,
//! which take CPU and do not wait.
#![expect(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::too_many_lines, reason = "a test may be a table")]

mod lab;
mod ramp;
mod recovery;
mod search;
mod sim;
