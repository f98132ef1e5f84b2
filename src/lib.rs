//! `breakpoint` finds how many virtual users (VUs) a service carries before it breaks its SLO.
//!
//! # Layout
//!
//! P = pure: values in, values out. S = shell: clocks, sockets, files.

pub mod app;
pub mod cause;
pub mod cli;
pub mod crypto;
pub mod engine;
pub mod event;
pub mod exit;
pub mod init;
pub mod locate;
pub mod measure;
pub mod monitor;
pub mod plan;
pub mod preflight;
pub mod probe;
pub mod profile;
pub mod record;
pub mod report;
pub mod run;
pub mod scenario;
pub mod search;
pub mod slo;
pub mod stats;
pub mod store;
pub mod target;
pub mod term;
pub mod units;

#[cfg(test)]
extern crate self as breakpoint;

/// Made-up records, shared with the tests in `tests/`.
#[cfg(test)]
#[path = "../tests/records/mod.rs"]
mod samples;
