//! What scripts may expect, by the documents of k6 (v2.2): a case is a small script and what it
//! must do. The section that a case rests on stands above it.

mod driver;

mod core;
mod http;
mod libraries;
mod lifecycle;
mod modules;
mod safety;
mod sockets;
mod table;
