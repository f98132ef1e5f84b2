//! `breakpoint` finds how many virtual users (VUs) a service carries before it breaks its SLO.
//!
//! # Layout
//!
//! The core is pure: values in, values out, no clock, socket, file or print. [`search`] says which
//! level next, [`slo`] judges what a probe saw ([`measure`]), [`stats`] fits the breakpoint over
//! all visits, [`cause`] names what gave way, [`ramp`] reads stages that are not held, [`compare`]
//! puts runs beside each other, [`report`] renders the one artefact, [`record::RunRecord`] (or
//! [`record::RampRecord`]). [`profile`] and [`plan`] resolve what was asked, [`safety`] says when a
//! machine is at its end, [`scenario`] compiles what a VU does.
//!
//! The shell around it: an [`engine`] turns levels into windows, [`probe`] settles and holds one
//! level, [`run`] is the loop where everything meets, [`monitor`] reads the target's resources,
//! [`target`] brings it up and resets it, [`store`] is the only writer of files and [`term`] the
//! only printer, [`serve`] shows a page. [`lab`] runs whole searches against simulated systems
//! whose breakpoint is known. [`live`] is what a run looks like while it goes on. [`app`] puts the
//! commands together.
//!
//! `tests/pure/layering.rs` holds the walls between them; CONTRIBUTING has the map as a table.

#![cfg_attr(test, allow(clippy::too_many_lines, reason = "a test may be a table"))]

pub mod app;
pub mod bounded;
pub mod cause;
pub mod children;
pub mod cli;
pub mod compare;
pub mod confidential;
pub mod crypto;
pub mod engine;
pub mod event;
pub mod excerpt;
pub mod exit;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod import;
pub mod init;
pub mod journal;
pub mod k6;
pub mod lab;
pub mod live;
pub mod locate;
pub mod measure;
pub mod monitor;
pub mod outline;
pub mod plan;
pub mod preflight;
pub mod probe;
pub mod profile;
pub mod ramp;
pub mod record;
pub mod report;
pub mod run;
pub mod safety;
pub mod scenario;
pub mod search;
pub mod secret;
pub mod serve;
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
