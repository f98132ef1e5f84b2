//! What was typed, as far as it changes a plan.

use std::path::PathBuf;

use crate::import::RequestFlags;
use crate::scenario::Http;

/// What was typed, as far as it changes the plan. Quantities are still text, so that a flag and a
/// key of the profile are read by the same code.
#[derive(Debug, Clone, Default, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own, as it was typed"
)]
pub struct FindFlags {
    /// `--url`.
    pub url: Option<String>,
    /// `--size`.
    pub size: Option<String>,
    /// `--slo`, each.
    pub slo: Vec<String>,
    /// `--min-vus`.
    pub min_vus: Option<u32>,
    /// `--max-vus`.
    pub max_vus: Option<u32>,
    /// `--start-vus`.
    pub start_vus: Option<u32>,
    /// `--rate`.
    pub rate: Option<String>,
    /// `--min-rate`.
    pub min_rate: Option<u32>,
    /// `--max-rate`.
    pub max_rate: Option<u32>,
    /// `--start-rate`.
    pub start_rate: Option<u32>,
    /// `--require-vus`.
    pub require_vus: Option<u32>,
    /// `--require-rate`.
    pub require_rate: Option<u32>,
    /// `--precision`.
    pub precision: Option<String>,
    /// `--confidence`.
    pub confidence: Option<String>,
    /// `--budget`.
    pub budget: Option<String>,
    /// `--warm-up`.
    pub warm_up: Option<String>,
    /// `--no-reference-holds`.
    pub no_reference_holds: bool,
    /// `--pace`.
    pub pace: Option<f64>,
    /// `--seed`.
    pub seed: Option<u64>,
    /// `--out`.
    pub out: Option<PathBuf>,
    /// `--threads`.
    pub threads: Option<usize>,
    /// `--local-addr`, each.
    pub local_addr: Vec<String>,
    /// Hosts that may be loaded although they are not this machine.
    pub allow_target: Vec<String>,
    /// `--cacert`.
    pub cacert: Option<PathBuf>,
    /// `--cert`.
    pub cert: Option<PathBuf>,
    /// `--key`.
    pub key: Option<PathBuf>,
    /// `--insecure`.
    pub insecure: bool,
    /// `--resolve`, each.
    pub resolve: Vec<String>,
    /// `--http2` (auto) and `--http2-prior-knowledge` (2).
    pub http: Option<Http>,
    /// `--engine`.
    pub engine: Option<String>,
    /// `--locust-url`.
    pub locust_url: Option<String>,
    /// `--locust-header`, each.
    pub locust_header: Vec<String>,
    /// `--script`.
    pub script: Option<PathBuf>,
    /// `--population`: the scenario of the script that is searched.
    pub population: Option<String>,
    /// Whether levels are VUs, whatever the script says.
    pub is_closed: bool,
    /// `--env`, each.
    pub env: Vec<String>,
    /// `--include-system-env-vars`.
    pub include_system_env_vars: bool,
    /// `--k6`.
    pub k6: Option<PathBuf>,
    /// `--k6-mode`.
    pub k6_mode: Option<String>,
    /// `--k6-exec`.
    pub k6_exec: Option<String>,
    /// `--k6-env`, each.
    pub k6_env: Vec<String>,
    /// `--stop-file`.
    pub stop_file: Option<PathBuf>,
    /// `--abort-if`, each.
    pub abort_if: Vec<String>,
    /// `--max-time`.
    pub max_time: Option<String>,
    /// What is sent to `--url`.
    pub request: RequestFlags,
}
