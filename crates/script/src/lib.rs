//! Runs the virtual users of a k6 script, without k6.
//!
//! Pure: no socket, clock, file or print. A [`Vu`](exchange) that must wait says for what
//! ([`exchange::Turn`]), and whoever drives it does that and says how it went
//! ([`exchange::Happened`]). So the same code is tested in virtual time and loads a target in real
//! time.

pub mod exchange;
pub mod gjson;
