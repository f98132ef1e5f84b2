//! Targets: the embedded demo target.

pub mod demo;
