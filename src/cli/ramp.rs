//! The flags of `breakpoint ramp`.

use std::path::PathBuf;

use clap::Args;

use super::{ConnectArgs, EngineArgs, RequestArgs, SafetyArgs, WatchArgs};
use crate::plan::FindFlags;
use crate::ramp::Stages;

pub(super) const EXAMPLES: &str = "\
Examples:
  breakpoint ramp --stages 100:30s,400:1m,0:30s --slo 'p99<2s'    the built-in demo
  breakpoint ramp gateway-512mb --stages 100:30s,500:1m,1000:2m,2000:1m,0:30s
  breakpoint ramp mine.toml --stages 50:0s,50:1m                  a jump to 50, held for a minute
  breakpoint ramp --script script.js                              a k6 script, with its own stages

Each stage is TARGET:TIME: the level moves in a straight line from the previous target, at first 0,
to its own. The result is the first breach: the level when the SLO first broke over the last 10 s.
It depends on how fast the ramp climbs and has no interval, so the result of a recorded `find` run
of the same profile and SLO is shown next to it.

Exit codes: 0 all stages ran, whether the SLO held or broke, 2 invalid usage or profile, 3 a feeder
had no rows left, 4 generator or host was the bottleneck, 5 target down, 99 a safety limit stopped
it (--abort-if, --max-time),
130 interrupted (results are written), 1 internal error or output cannot be written
";

/// `breakpoint ramp`.
#[derive(Debug, Clone, Args)]
pub struct RampArgs {
    /// Profile by name (profiles/NAME.toml, or a built-in one) or by path [default: the demo, or
    /// the address given].
    #[arg(value_name = "PROFILE")]
    pub profile: Option<String>,
    /// Stages as TARGET:TIME, such as 100:30s,500:1m,0:30s [default: those of the script].
    #[arg(long, value_name = "STAGES")]
    pub stages: Option<Stages>,
    /// Scenario of the script that follows the stages; the others keep their VUs or rates.
    #[arg(long, value_name = "NAME")]
    pub population: Option<String>,
    /// URL of the service: without a profile, one GET of it per cycle; with a profile, replaces its
    /// URL.
    #[arg(long)]
    pub url: Option<String>,
    /// What must hold, in quotes: 'p99<2s'; repeatable, replaces the profile's SLO.
    #[arg(long, value_name = "OBJECTIVE")]
    pub slo: Vec<String>,
    /// Only 0: skips the profile's warm-up. A ramp has none; add it as a first stage.
    #[arg(long, value_name = "TIME")]
    pub warm_up: Option<String>,
    /// Folder of a recorded `find` run to compare with [default: the newest one of this profile and
    /// SLO].
    #[arg(long, value_name = "DIR")]
    pub beside: Option<PathBuf>,
    /// Seed of all random draws [default: 1].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Folder for the reports [default: reports].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Number of load generator threads.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Local address to connect from; repeatable.
    #[arg(long, value_name = "ADDRESS")]
    pub local_addr: Vec<String>,
    /// Host other than this machine that may be loaded; repeatable.
    #[arg(long, value_name = "HOST")]
    pub allow_target: Vec<String>,
    /// What is sent.
    #[command(flatten)]
    pub request: RequestArgs,
    /// How connections are made.
    #[command(flatten)]
    pub connect: ConnectArgs,
    /// Who makes the load.
    #[command(flatten)]
    pub load: EngineArgs,
    /// What stops it.
    #[command(flatten)]
    pub safety: SafetyArgs,
    /// How it is followed, and what is printed.
    #[command(flatten)]
    pub watch: WatchArgs,
}

impl RampArgs {
    /// The part that changes the plan.
    pub fn flags(&self) -> FindFlags {
        let flags = self.connect.added_to(FindFlags::default());
        self.load.added_to(FindFlags {
            url: self.url.clone(),
            slo: self.slo.clone(),
            population: self.population.clone(),
            // Stages that are typed are VUs.
            is_closed: self.stages.is_some(),
            warm_up: self.warm_up.clone(),
            seed: self.seed,
            out: self.out.clone(),
            threads: self.threads,
            local_addr: self.local_addr.clone(),
            allow_target: self.allow_target.clone(),
            stop_file: self.safety.stop_file.clone(),
            abort_if: self.safety.abort_if.clone(),
            max_time: self.safety.max_time.clone(),
            request: self.request.flags(),
            ..flags
        })
    }
}
