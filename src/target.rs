//! The service under load.

pub mod control;
