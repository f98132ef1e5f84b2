//! The command line: parse, call, exit code.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    breakpoint::app::run(breakpoint::cli::Cli::parse())
}
