//! The flags of `breakpoint demo`.

use std::net::SocketAddr;

use clap::{Args, ValueEnum};

/// `breakpoint demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Address to listen on; port 0 picks a free one and prints it.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Maximum answers per second of the AI.
    #[arg(long, value_name = "RATE")]
    pub answers_per_s: Option<f64>,
    /// Workers of the AI.
    #[arg(long, value_name = "N")]
    pub workers: Option<u32>,
    /// Distribution of the AI's service time.
    #[arg(long, value_name = "KIND")]
    pub service: Option<ServiceKind>,
    /// Questions that may queue; more are refused with 503.
    #[arg(long, value_name = "N")]
    pub queue_limit: Option<usize>,
    /// Memory limit, such as 512MiB; above it, the target exits as if killed by the kernel.
    #[arg(long, value_name = "SIZE", value_parser = crate::units::parse_bytes)]
    pub memory_limit: Option<u64>,
    /// Simulated memory per open stream, such as 64KiB.
    #[arg(long, value_name = "SIZE", value_parser = crate::units::parse_bytes)]
    pub memory_per_stream: Option<u64>,
    /// Simulated memory per question until it is answered, such as 16KiB.
    #[arg(long, value_name = "SIZE", value_parser = crate::units::parse_bytes)]
    pub memory_per_question: Option<u64>,
    /// Seed of the service times.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Exit when standard input is closed, so that the demo dies with its parent.
    #[arg(long, hide = true)]
    pub end_with_stdin: bool,
}

/// Distributions of the demo's service time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ServiceKind {
    /// Always the mean.
    Fixed,
    /// Exponential.
    Exponential,
    /// Log-normal.
    Lognormal,
}
