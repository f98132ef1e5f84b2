//! Runs the virtual users of a k6 script, without k6.
//!
//! Pure: no socket, clock, file or print. A [`Vu`](exchange) that must wait says for what
//! ([`exchange::Turn`]), and whoever drives it does that and says how it went
//! ([`exchange::Happened`]). So the same code is tested in virtual time and loads a target in real
//! time.

// Until the modules of k6 are put together.
#![allow(dead_code)]

pub(crate) mod address;
pub(crate) mod bytes;
pub(crate) mod crypto;
pub(crate) mod encoding;
pub mod exchange;
pub mod gjson;
pub(crate) mod html;
pub(crate) mod jslib;
pub mod options;
#[cfg(test)]
pub(crate) mod testing;
pub mod threshold;
pub mod typescript;
