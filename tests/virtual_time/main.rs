//! Whole searches and ramps in virtual time, the simulation itself, and the laboratory: statistics,
//! which take CPU and do not wait.
#![expect(clippy::unwrap_used, reason = "tests")]

mod lab;
mod ramp;
mod recovery;
mod search;
mod sim;
