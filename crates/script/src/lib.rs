//! Runs the virtual users of a k6 script, without k6.
//!
//! Pure: no socket, file or print, and no clock but the watch on scripts that run on without
//! waiting. A [`Vu`] that must wait says for what ([`exchange::Turn`]), and whoever drives it does
//! that and says how it went ([`exchange::Happened`]). So the same code is tested in virtual time
//! and loads a target in real time.
//!
//! A script is read once ([`Program::load`]); each thread makes the VUs that it runs
//! ([`Vu::new`]), calls the script's functions ([`Vu::call`]) and takes them on ([`Vu::turn`]).

#![cfg_attr(test, allow(clippy::too_many_lines, reason = "a test may be a table"))]

pub(crate) mod address;
mod api;
pub(crate) mod bytes;
pub(crate) mod crypto;
pub(crate) mod encoding;
pub mod exchange;
pub mod gjson;
mod host;
pub(crate) mod html;
mod http;
pub(crate) mod jslib;
mod modules;
pub mod options;
mod program;
mod sockets;
mod stand_in;
#[cfg(test)]
pub(crate) mod testing;
pub mod threshold;
mod thrown;
pub mod typescript;
mod vu;

pub use self::modules::refused_imports;
pub use self::program::{Files, Given, LoadError, Metric, Program, Source};
pub use self::vu::{Call, CallKind, InstanceFacts, ScenarioFacts, Vu, VuIdentity};
