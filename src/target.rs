//! The service under load: bringing it up, resetting it, and the embedded demo target.

pub mod control;
pub mod demo;
