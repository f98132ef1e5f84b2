//! The flags of `breakpoint worker`, and what the help of the plug-in says.

use clap::Args;

pub(super) const EXAMPLES: &str = "\
Examples:
  breakpoint worker gateway-512mb --master 127.0.0.1:5557
  breakpoint worker mine.toml --master locust-master --url http://10.0.0.7:8080

The master is an ordinary one, with a locustfile that has at least one user class; Python workers
may join it too. The worker exits with code 0 when the master dismisses it, and with code 1 when the
master exits or is silent for a minute.
";

pub(super) const PLUGIN_EXAMPLES: &str = "\
Examples:
  breakpoint locust-plugin > bp.py

Then start the cluster with it and search:
  locust -f locustfile.py,bp.py --master          and on each worker: locust -f locustfile.py,bp.py --worker
  breakpoint find --locust-url http://127.0.0.1:8089 --slo 'p99<2s'
";

/// `breakpoint worker`.
#[derive(Debug, Clone, Args)]
pub struct WorkerArgs {
    /// Profile by name or by path, whose scenario the users run.
    #[arg(value_name = "PROFILE")]
    pub profile: String,
    /// Host of the Locust master and the port that workers join [default port: 5557].
    #[arg(long, value_name = "HOST:PORT")]
    pub master: String,
    /// URL of the service, replaces the profile's.
    #[arg(long)]
    pub url: Option<String>,
    /// Seed of all random draws; workers of one master draw differently all the same [default: 1].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Number of load generator threads.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Local address to connect from; repeatable.
    #[arg(long, value_name = "ADDRESS")]
    pub local_addr: Vec<String>,
    /// Host other than this machine that may be loaded; repeatable.
    #[arg(long, value_name = "HOST")]
    pub allow_target: Vec<String>,
    /// Approve the secrets that the profile sends to others without a prompt. They are shown, and
    /// stay approved as long as the profile does not change.
    #[arg(long)]
    pub yes: bool,
}
