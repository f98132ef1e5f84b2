//! The program as its users start it: its commands, files, exit codes and messages, against
//! services on 127.0.0.1.
//!
//! These tests mostly wait, so they are one binary, in which they wait side by side.
#![expect(clippy::unwrap_used, reason = "tests")]
#![allow(clippy::too_many_lines, reason = "a test may be a table")]

mod cli;
mod compare;
mod end_to_end;
mod endings;
mod faults;
mod first_contact;
mod goodput;
mod help;
mod http2;
mod import;
mod live;
mod mix;
mod outside;
mod populations;
mod ramp;
mod resume;
mod scale;
mod script;
mod script_counts;
mod script_scenarios;
mod script_shop;
mod scripts;
mod secrets;
mod starved;
mod stopping;
mod target_server;
mod tls;
mod trust;
mod try_command;
mod twins;
mod websocket;
