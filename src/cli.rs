//! The command line: what was typed, nothing resolved.

mod init;
mod request;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::compare::Condition;
use crate::lab::method::Method;
use crate::plan::{FindFlags, Http};
use crate::ramp::Stages;
use crate::report::Shown;
pub use init::InitArgs;
pub use request::RequestArgs;

/// Finds how many virtual users a service carries before it breaks its SLO.
#[derive(Debug, Parser)]
#[command(name = "breakpoint", version, about, max_term_width = 100, after_help = EXAMPLES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples (quote an SLO: the shell takes an unquoted < for itself):
  breakpoint find --slo 'p99<2s'                     the built-in demo
  breakpoint find --url http://127.0.0.1:8080/api --slo 'p99<200ms' --slo 'errors<1%'
  breakpoint find gateway-512mb redis-512mb          two profiles, one after the other
  breakpoint ramp --stages 100:30s,400:1m --slo 'p99<2s'    fixed stages, as in k6
  breakpoint compare reports/before reports/after    what a change to the service did
  breakpoint report reports/demo/RUN --format md     one format of a recorded run
  breakpoint report reports/demo/RUN                 all files of a recorded run again
  breakpoint init --url http://127.0.0.1:8080/api    a profile to start from
  breakpoint try mine.toml                           one cycle of one user, with the whole exchange

Exit codes: 0 answer found, 2 invalid usage or profile, 3 undecided or no single breakpoint (leak,
hysteresis, bimodal), 4 generator or host was the bottleneck, 5 broke at the minimum or target down,
99 a gate failed or a safety limit stopped the run (--abort-if, --max-time), 130 interrupted,
1 internal error or output cannot be written
";

const FIND_EXAMPLES: &str = "\
Examples (quote an SLO: the shell takes an unquoted < for itself):
  breakpoint find --slo 'p99<2s'
  breakpoint find --url http://127.0.0.1:8080/api --slo 'p99<200ms' --slo 'errors<1%'
  breakpoint find --url http://127.0.0.1:8080/orders -H 'x-tenant: a' -d 'item=7' --slo 'p99<1s'
  breakpoint find gateway-512mb --slo p99:2s         the colon means \"at most\" and needs no quotes
  breakpoint find --profile ./mine.toml --budget 30m --precision 3%
  breakpoint find gateway-512mb --require-vus 500    CI gate: exit 99 unless 500 are held
  breakpoint find mine.toml --yes --stop-file stop --abort-if 'host.memory_available<2GiB'
  breakpoint find --script script.js                 k6 makes the load and has the SLO

Objectives: p99<2s  p95(answer)<=300ms  avg<100ms  max<5s  errors<1%  shed<5%  rps>50
good(STEP<500ms,cycle<2s)>99% (both at once)  gateway.oom_kills==0 (a field of a monitor). All must hold; the answer says which one broke first.
The certificate of an https target is checked; --cacert ca.pem (or SSL_CERT_FILE in the environment)
sets your own CA.
";

const RESUME_EXAMPLES: &str = "\
Examples:
  breakpoint resume reports/demo/RUN                   after a crash, a power cut, Ctrl-C
  breakpoint resume reports/demo/RUN --budget 30m      after \"undecided\": 30 minutes in total

Every judged probe is in the run's journal.jsonl before the next one starts. The target is started
again; results are neither lost nor measured twice. Resume uses the same command, folder, and
profile; a profile that has changed since is refused. Consent (--yes) is never taken from the
journal. If you did not start the search on this machine, its hosts, programs, files, and profile
count only if you type them again or agree when asked; the program says what to type.

Exit codes: as for `find`
";

const RAMP_EXAMPLES: &str = "\
Examples:
  breakpoint ramp --stages 100:30s,400:1m,0:30s --slo 'p99<2s'    the built-in demo
  breakpoint ramp gateway-512mb --stages 100:30s,500:1m,1000:2m,2000:1m,0:30s
  breakpoint ramp mine.toml --stages 50:0s,50:1m                  a jump to 50, held for a minute

Each stage is TARGET:TIME: the level moves in a straight line from the previous target, at first 0,
to its own. The result is the first breach: the level when the SLO first broke over the last 10 s.
It depends on how fast the ramp climbs and has no interval, so the result of a recorded `find` run
of the same profile and SLO is shown next to it.

Exit codes: 0 all stages ran, whether the SLO held or broke, 2 invalid usage or profile, 4 generator
or host was the bottleneck, 5 target down, 99 a safety limit stopped it (--abort-if, --max-time),
130 interrupted (results are written), 1 internal error or output cannot be written
";

const COMPARE_EXAMPLES: &str = "\
Examples:
  breakpoint compare reports/gateway-512mb reports/gateway-1gb     the newest run of each profile
  breakpoint compare reports/a/2026-11-22T17-44-13Z reports/a/2026-11-23T09-10-00Z
  breakpoint compare before after --fail-if 'breakpoint<-5%' --fail-if 'p99>+20%'    a CI gate
  breakpoint compare before after --format md                      the report as Markdown
  breakpoint compare gateway-512mb gateway-1gb --repeat 3          six searches: A B, B A, A B
  breakpoint compare one two four --sizes 1,2,4                    a scaling law and a forecast

The first run is the base. Metrics: breakpoint, knee, throughput, p50, p99 (of the main step at the
highest level that both visited before queues formed). A gate fails when there is evidence of a
change beyond its bound. docs/compare.md describes the method and its error rates.

Exit codes: 0 compared and no gate failed, 2 invalid usage or runs of different SLOs,
3 the breakpoint (or the metric of a gate) cannot be compared, 99 a gate failed, 130 interrupted,
1 internal error or output cannot be written
";

const LAB_EXAMPLES: &str = "\
Examples:
  breakpoint lab --runs 100                       our search against every shipped system
  breakpoint lab a b --method all --runs 200      all methods against two of them
  breakpoint lab ./mine.toml --runs 400 --precision 2% --budget 30m
  breakpoint lab a b --compare 0%,10% --runs 200   false alarms and power of `breakpoint compare`

It runs in virtual time: an hour of search takes a fraction of a second. docs/lab.md explains the
columns, how the true breakpoint is computed, and how faithful the other methods are.
";

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find the breakpoint of one target, or of several in sequence.
    #[command(after_help = FIND_EXAMPLES)]
    Find(FindArgs),
    /// Resume a search that was cut off, or give more time to one that has ended.
    #[command(after_help = RESUME_EXAMPLES)]
    Resume(ResumeArgs),
    /// Run fixed stages, as k6 does, and report where the SLO first broke; use `find` for a
    /// breakpoint.
    #[command(after_help = RAMP_EXAMPLES)]
    Ramp(RampArgs),
    /// Compare runs: what changed, whether the evidence is sufficient, and what could explain it.
    #[command(after_help = COMPARE_EXAMPLES)]
    Compare(CompareArgs),
    /// Run one cycle of a single user and show the whole exchange: requests, responses, events,
    /// values, and how each step is judged.
    #[command(after_help = TRY_EXAMPLES)]
    Try(TryArgs),
    /// Print what `find` would do (levels, likely and worst-case time, descriptors, ports) without
    /// sending anything.
    Plan(FindArgs),
    /// Write a commented profile for a service: from its URL, a curl line, a browser's recording, an
    /// OpenAPI description, a Postman collection, or a k6 script.
    #[command(after_help = init::EXAMPLES)]
    Init(InitArgs),
    /// Run only the demo target, until interrupted.
    Demo(DemoArgs),
    /// Render the reports of a recorded run or comparison again.
    Report(ReportArgs),
    /// Join a Locust master as a worker: its users are VUs of this program that run the scenario of
    /// a profile.
    #[command(after_help = WORKER_EXAMPLES)]
    Worker(WorkerArgs),
    /// Print the plug-in that reports exact latencies of a Locust cluster; load it on master and
    /// workers.
    #[command(after_help = PLUGIN_EXAMPLES)]
    LocustPlugin,
    /// Run many searches against simulated systems with a known breakpoint, and compare.
    #[command(after_help = LAB_EXAMPLES)]
    Lab(LabArgs),
    /// Print shell completions.
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
    /// Write the manual pages, one per command.
    #[command(after_help = MAN_EXAMPLES)]
    Man(ManArgs),
}

const TRY_EXAMPLES: &str = "\
Examples:
  breakpoint try mine.toml                           one cycle of its first user, without think time
  breakpoint try mine.toml --vu 7                    as the eighth, with its row of each feeder
  breakpoint try mine.toml --population abusers      one of another population
  breakpoint try --url http://127.0.0.1:8080/api     one GET
  breakpoint try --url http://127.0.0.1:8080/orders -H 'x-tenant: a' --json '{\"item\": 7}'

Lines start with # (a step and how it is judged), > (sent), < (received: status, headers, the first
kilobyte of the body, events), * (notes: connections, extracted values), + (passed), ! (failed).
Secrets are masked: authorization and cookies, whatever is named like a secret, and values from the
environment or from files. The target is started and stopped as in a run.

Exit codes: 0 the cycle passed, 5 it failed, 2 invalid usage or profile, 130 interrupted,
1 internal error or output cannot be written
";

const WORKER_EXAMPLES: &str = "\
Examples:
  breakpoint worker gateway-512mb --master 127.0.0.1:5557
  breakpoint worker mine.toml --master locust-master --url http://10.0.0.7:8080

The master is an ordinary one, with a locustfile that has at least one user class; Python workers
may join it too. The worker exits with code 0 when the master dismisses it, and with code 1 when the
master exits or is silent for a minute.
";

const PLUGIN_EXAMPLES: &str = "\
Examples:
  breakpoint locust-plugin > bp.py

Then start the cluster with it and search:
  locust -f locustfile.py,bp.py --master          and on each worker: locust -f locustfile.py,bp.py --worker
  breakpoint find --locust-url http://127.0.0.1:8089 --slo 'p99<2s'
";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  breakpoint completions bash > ~/.local/share/bash-completion/completions/breakpoint
  breakpoint completions zsh > ~/.zfunc/_breakpoint
  breakpoint completions fish > ~/.config/fish/completions/breakpoint.fish
";

const MAN_EXAMPLES: &str = "\
Examples:
  breakpoint man --out ~/.local/share/man/man1    then: man breakpoint, man breakpoint-find
";

/// `breakpoint completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell.
    pub shell: clap_complete::Shell,
}

/// `breakpoint man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Folder for the pages; created if missing.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// `breakpoint find` and `breakpoint plan`.
#[derive(Debug, Clone, Args)]
pub struct FindArgs {
    /// Profiles by name (profiles/NAME.toml, or a built-in one: demo, gateway-512mb, llm-stream,
    /// redis-512mb)
    /// or by path.
    #[arg(value_name = "PROFILE")]
    pub profiles: Vec<String>,
    /// Profile by path; repeatable.
    #[arg(long = "profile", value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// URL of the service: without a profile, one GET of it per cycle; with a profile, replaces its
    /// URL.
    #[arg(long)]
    pub url: Option<String>,
    /// What must hold, in quotes: 'p99<2s'; repeatable, replaces the profile's SLO.
    #[arg(long, value_name = "OBJECTIVE")]
    pub slo: Vec<String>,
    /// Lowest level [default: 1].
    #[arg(long, value_name = "N")]
    pub min_vus: Option<u32>,
    /// Highest level [default: 5000, or what descriptors and ports allow; 2000 with k6].
    #[arg(long, value_name = "N")]
    pub max_vus: Option<u32>,
    /// First level visited [default: 10].
    #[arg(long, value_name = "N")]
    pub start_vus: Option<u32>,
    /// Search over arrivals per second instead of VUs: cycles start on their own clock, at random
    /// (poisson) or evenly spaced (--rate=constant), whether or not earlier ones have ended.
    /// --max-vus then limits concurrent VUs.
    #[arg(long, value_name = "ARRIVALS", num_args = 0..=1, require_equals = true, default_missing_value = "poisson")]
    pub rate: Option<String>,
    /// Lowest rate, with --rate [default: 1].
    #[arg(long, value_name = "N")]
    pub min_rate: Option<u32>,
    /// Highest rate, with --rate [default: 20000].
    #[arg(long, value_name = "N")]
    pub max_rate: Option<u32>,
    /// First rate visited, with --rate [default: 10].
    #[arg(long, value_name = "N")]
    pub start_rate: Option<u32>,
    /// CI gate: exit 99 unless the interval's lower bound is at least N. Reports show the headroom
    /// over N.
    #[arg(long, value_name = "N")]
    pub require_vus: Option<u32>,
    /// The same with --rate: N arrivals per second.
    #[arg(long, value_name = "N")]
    pub require_rate: Option<u32>,
    /// Half-width of the interval to reach, as a share of the breakpoint [default: 5%].
    #[arg(long, value_name = "SHARE")]
    pub precision: Option<String>,
    /// Confidence of the interval [default: 95%].
    #[arg(long, value_name = "SHARE")]
    pub confidence: Option<String>,
    /// Time the search may take [default: 15m].
    #[arg(long, value_name = "TIME")]
    pub budget: Option<String>,
    /// Hold the first level this long before the search, such as 2m for a service that compiles or
    /// fills its caches. It is part of the budget and not judged; 0 for none.
    #[arg(long, value_name = "TIME")]
    pub warm_up: Option<String>,
    /// Skip the two reference holds below the breakpoint that follow a search of 5 minutes or more.
    /// They give `compare` latencies at a common level; each adds at most a tenth of the budget.
    #[arg(long)]
    pub no_reference_holds: bool,
    /// VUs started or stopped per second [default: 50].
    #[arg(long, value_name = "VUS")]
    pub pace: Option<f64>,
    /// Seed of all random draws [default: 1].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Folder for the reports [default: reports].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Number of load generator threads.
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Local address to connect from; repeatable: VUs use them in turn, and each adds a full range
    /// of ports [default: the kernel chooses].
    #[arg(long, value_name = "ADDRESS")]
    pub local_addr: Vec<String>,
    /// Host other than this machine that may be loaded, or used by a monitor, --locust-url, or
    /// --remote-write, as it is written there; repeatable.
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

/// What stops a run before it is done.
#[derive(Debug, Clone, Default, Args)]
pub struct SafetyArgs {
    /// Stop as with Ctrl-C when this file exists: the load stops within a second, results are kept.
    #[arg(long, value_name = "FILE")]
    pub stop_file: Option<PathBuf>,
    /// Stop the load at once and exit 99 when a monitor reads this, in quotes:
    /// 'redis.memory>900MiB'; repeatable, adds to those of the profile.
    #[arg(long, value_name = "CONDITION")]
    pub abort_if: Vec<String>,
    /// Maximum time of the whole run, including resets and waits; overrides the profile, exit 99
    /// when exceeded [default: twice the budget, plus the time limits of up, drain, and reset].
    #[arg(long, value_name = "TIME")]
    pub max_time: Option<String>,
    /// Approve the profile's commands (up, reset, down), its hosts, and the secrets it sends
    /// without a prompt. They are shown, and stay approved as long as the profile, its folder, and
    /// the files that its commands name do not change.
    #[arg(long)]
    pub yes: bool,
}

/// How connections are made; the flags are curl's.
#[derive(Debug, Clone, Default, Args)]
pub struct ConnectArgs {
    /// PEM file of certificates to trust instead of the system's: a CA's, or the server's own.
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// PEM file of a client certificate, including its key unless --key is given.
    #[arg(long, value_name = "FILE")]
    pub cert: Option<PathBuf>,
    /// PEM file of the key for --cert.
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Accept any certificate. The record and the report say so.
    #[arg(short = 'k', long)]
    pub insecure: bool,
    /// Address of a name, as `HOST:PORT:ADDRESS[,ADDRESS]`; repeatable. The name stays in `host`
    /// and in the handshake.
    #[arg(long, value_name = "HOST:PORT:ADDRESS")]
    pub resolve: Vec<String>,
    /// Use HTTP/2 where an https server chooses it in the TLS handshake (ALPN), else HTTP/1.1.
    #[arg(long, conflicts_with = "http2_prior_knowledge")]
    pub http2: bool,
    /// Use HTTP/2 alone: over https by ALPN, over http without asking (h2c).
    #[arg(long)]
    pub http2_prior_knowledge: bool,
}

impl ConnectArgs {
    /// Which HTTP these ask for, where they do.
    pub fn http(&self) -> Option<Http> {
        match (self.http2, self.http2_prior_knowledge) {
            (_, true) => Some(Http::Two),
            (true, false) => Some(Http::Auto),
            (false, false) => None,
        }
    }

    /// The flags of a plan with what these say.
    pub fn added_to(&self, flags: FindFlags) -> FindFlags {
        FindFlags {
            cacert: self.cacert.clone(),
            cert: self.cert.clone(),
            key: self.key.clone(),
            insecure: self.insecure,
            resolve: self.resolve.clone(),
            http: self.http(),
            ..flags
        }
    }
}

/// Who makes the load.
#[derive(Debug, Clone, Args)]
pub struct EngineArgs {
    /// Load generator: native (this program), locust (a running Locust cluster, whose master's web
    /// UI is at --locust-url), or k6 (runs --script) [default: native].
    #[arg(long, value_name = "ENGINE")]
    pub engine: Option<String>,
    /// URL of the web UI of a Locust master, whose cluster makes the load [default:
    /// `http://127.0.0.1:8089`].
    #[arg(long, value_name = "ADDRESS")]
    pub locust_url: Option<String>,
    /// Header for the Locust master, such as `cookie: {{ env.LOCUST_COOKIE }}` if it requires a
    /// login; repeatable.
    #[arg(long, value_name = "HEADER")]
    pub locust_header: Vec<String>,
    /// The k6 script to run, unchanged; its thresholds are the SLO unless one is given.
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// The k6 program [default: k6 from PATH].
    #[arg(long, value_name = "PATH")]
    pub k6: Option<PathBuf>,
    /// How k6 reaches a level: gate (one process for all levels) or restart (one process per level,
    /// for a script that cannot be wrapped) [default: gate].
    #[arg(long, value_name = "MODE")]
    pub k6_mode: Option<String>,
    /// Functions of the script that the VUs run, with weights, such as browse=3,buy=1 [default:
    /// those of its scenarios].
    #[arg(long, value_name = "FUNCTIONS")]
    pub k6_exec: Option<String>,
    /// Variable for the script (`__ENV.NAME`), such as BASE=http://127.0.0.1:8080; repeatable. The
    /// script sees the environment too.
    #[arg(long, value_name = "NAME=VALUE")]
    pub k6_env: Vec<String>,
}

impl EngineArgs {
    /// The flags of a plan with what these say.
    fn added_to(&self, flags: FindFlags) -> FindFlags {
        FindFlags {
            engine: self.engine.clone(),
            locust_url: self.locust_url.clone(),
            locust_header: self.locust_header.clone(),
            script: self.script.clone(),
            k6: self.k6.clone(),
            k6_mode: self.k6_mode.clone(),
            k6_exec: self.k6_exec.clone(),
            k6_env: self.k6_env.clone(),
            ..flags
        }
    }
}

/// How a run is followed while it goes on, and what is printed of it.
#[derive(Debug, Clone, Args)]
pub struct WatchArgs {
    /// Serve a live page of the run, its state as JSON (/live.json), and Prometheus metrics
    /// (/metrics), such as at 127.0.0.1:9464. An address that is not local needs a token:
    /// `BREAKPOINT_TOKEN` in the environment (at least 16 characters), or a new one is printed.
    #[arg(long, value_name = "ADDRESS")]
    pub serve: Option<SocketAddr>,
    /// Send the metrics to a Prometheus server every 5 s, such as
    /// `http://127.0.0.1:9090/api/v1/write`. A server on another machine must be allowed
    /// (--allow-target).
    #[arg(long, value_name = "ADDRESS")]
    pub remote_write: Option<String>,
    /// Print only the result, no progress.
    #[arg(short, long)]
    pub quiet: bool,
    /// Format to print at the end instead of the summary; all files are still written.
    #[arg(long, value_name = "FORMAT", value_parser = format())]
    pub format: Option<Shown>,
}

impl FindArgs {
    /// The part that changes the plan.
    pub fn flags(&self) -> FindFlags {
        let flags = self.connect.added_to(FindFlags::default());
        self.load.added_to(FindFlags {
            url: self.url.clone(),
            slo: self.slo.clone(),
            min_vus: self.min_vus,
            max_vus: self.max_vus,
            start_vus: self.start_vus,
            rate: self.rate.clone(),
            min_rate: self.min_rate,
            max_rate: self.max_rate,
            start_rate: self.start_rate,
            require_vus: self.require_vus,
            require_rate: self.require_rate,
            precision: self.precision.clone(),
            confidence: self.confidence.clone(),
            budget: self.budget.clone(),
            warm_up: self.warm_up.clone(),
            no_reference_holds: self.no_reference_holds,
            pace: self.pace,
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

/// `breakpoint resume`.
#[derive(Debug, Clone, Args)]
pub struct ResumeArgs {
    /// The run's folder.
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Total time the search may take, including the time it has taken [default: as before].
    #[arg(long, value_name = "TIME")]
    pub budget: Option<String>,
    /// Half-width of the interval to reach [default: as before].
    #[arg(long, value_name = "SHARE")]
    pub precision: Option<String>,
    /// The profile, if it has moved [default: as before].
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// URL of the service, if the earlier one contained a secret, which is not recorded.
    #[arg(long)]
    pub url: Option<String>,
    /// Host other than this machine that may be loaded; repeatable.
    #[arg(long, value_name = "HOST")]
    pub allow_target: Vec<String>,
    /// Local address to connect from; repeatable.
    #[arg(long, value_name = "ADDRESS")]
    pub local_addr: Vec<String>,
    /// What is sent.
    #[command(flatten)]
    pub request: RequestArgs,
    /// How connections are made.
    #[command(flatten)]
    pub connect: ConnectArgs,
    /// Who makes the load.
    #[command(flatten)]
    pub load: EngineArgs,
    /// What stops it, in place of or beside what was given then.
    #[command(flatten)]
    pub safety: SafetyArgs,
    /// How it is followed, and what is printed.
    #[command(flatten)]
    pub watch: WatchArgs,
}

/// `breakpoint ramp`.
#[derive(Debug, Clone, Args)]
pub struct RampArgs {
    /// Profile by name (profiles/NAME.toml, or a built-in one) or by path [default: the demo, or
    /// the address given].
    #[arg(value_name = "PROFILE")]
    pub profile: Option<String>,
    /// Stages as TARGET:TIME, such as 100:30s,500:1m,0:30s.
    #[arg(long, value_name = "STAGES")]
    pub stages: Stages,
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

/// `breakpoint compare`.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// Runs, the base first: folders, result.json files, or report folders of a profile, whose
    /// newest run is used. With --repeat, two profiles.
    #[arg(value_name = "RUN", num_args = 2.., required = true)]
    pub runs: Vec<String>,
    /// Search both profiles this many times in turn (A B, B A, A B), so that drift of the machine
    /// cancels out, and compare.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeat: Option<u32>,
    /// Sizes of the systems (instances, cores), one per run: fits the Universal Scalability Law.
    #[arg(long, value_name = "SIZES", value_delimiter = ',', value_parser = size, conflicts_with_all = ["repeat", "fail_if"])]
    pub sizes: Vec<f64>,
    /// Exit 99 when there is evidence that a metric changed by more than this, in quotes:
    /// 'breakpoint<-5%', 'p99>+20%'; repeatable.
    #[arg(long = "fail-if", value_name = "CONDITION")]
    pub fail_if: Vec<Condition>,
    /// What must hold, for --repeat; repeatable, replaces the SLO of both profiles.
    #[arg(long, value_name = "OBJECTIVE", requires = "repeat")]
    pub slo: Vec<String>,
    /// Highest level of each search, for --repeat.
    #[arg(long, value_name = "N", requires = "repeat")]
    pub max_vus: Option<u32>,
    /// Half-width of the interval to reach in each search, for --repeat.
    #[arg(long, value_name = "SHARE", requires = "repeat")]
    pub precision: Option<String>,
    /// Time each search may take, for --repeat.
    #[arg(long, value_name = "TIME", requires = "repeat")]
    pub budget: Option<String>,
    /// Seed of the first search, for --repeat; each search has its own [default: 1].
    #[arg(long, value_name = "N", requires = "repeat")]
    pub seed: Option<u64>,
    /// Approve the commands of both profiles without a prompt, for --repeat.
    #[arg(long, requires = "repeat")]
    pub yes: bool,
    /// Folder for the reports [default: reports].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print only the results, no progress.
    #[arg(short, long)]
    pub quiet: bool,
    /// Format to print at the end instead of the summary; all files are still written.
    #[arg(long, value_name = "FORMAT", value_parser = format())]
    pub format: Option<Shown>,
}

fn size(text: &str) -> Result<f64, String> {
    match text.trim().parse() {
        Ok(size) if f64::is_finite(size) && size > 0.0 => Ok(size),
        _ => Err("a size is a number above zero, such as 1 or 2.5".to_owned()),
    }
}

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

/// `breakpoint try`.
#[derive(Debug, Clone, Args)]
pub struct TryArgs {
    /// Profile by name (profiles/NAME.toml, or a built-in one) or by path [default: the demo, or
    /// the address given].
    #[arg(value_name = "PROFILE")]
    pub profile: Option<String>,
    /// URL of the service: without a profile, one GET of it; with a profile, replaces its URL.
    #[arg(long)]
    pub url: Option<String>,
    /// Number of the user, from 0; sets `{{ vu }}`, rows of feeders, and random values.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub vu: u32,
    /// Population of the user, if not that of `[scenario]`.
    #[arg(long, value_name = "NAME")]
    pub population: Option<String>,
    /// Seed of all random draws [default: 1].
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Local address to connect from; repeatable.
    #[arg(long, value_name = "ADDRESS")]
    pub local_addr: Vec<String>,
    /// Host other than this machine that may be used; repeatable.
    #[arg(long, value_name = "HOST")]
    pub allow_target: Vec<String>,
    /// What is sent.
    #[command(flatten)]
    pub request: RequestArgs,
    /// How connections are made.
    #[command(flatten)]
    pub connect: ConnectArgs,
    /// Approve the commands of the profile (up, down) without a prompt.
    #[arg(long)]
    pub yes: bool,
}

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

/// `breakpoint report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// Folder of a recorded run or comparison (with its result.json, ramp.json or compare.json).
    pub dir: PathBuf,
    /// Print only this format and write nothing [default: write all files into the folder again].
    #[arg(long, value_name = "FORMAT", value_parser = format())]
    pub format: Option<Shown>,
}

/// The values of `--format`.
fn format() -> impl TypedValueParser<Value = Shown> {
    let names = PossibleValuesParser::new(Shown::ALL.map(Shown::name));
    names.try_map(|name| Shown::named(&name).ok_or("no such format"))
}

/// `breakpoint lab`.
#[derive(Debug, Clone, Args)]
pub struct LabArgs {
    /// Systems, by name of a shipped one or by path of a TOML file [default: all shipped ones].
    #[arg(value_name = "SYSTEM")]
    pub systems: Vec<String>,
    /// Searches of each method against each system.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub runs: u32,
    /// Seed of all random draws: the same seed gives the same table.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Virtual time of one of our searches; several, such as 3m,6m,15m, give one row each [default:
    /// the system's, else 15m; with --random 3m,4m,6m,8m,10m,15m,30m in turn].
    #[arg(long = "budget", value_name = "TIMES", value_delimiter = ',', value_parser = crate::units::parse_duration)]
    pub budgets: Vec<Duration>,
    /// Half-width of the interval requested from our search.
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = precision)]
    pub precision: f64,
    /// How to search; repeatable [default: ours].
    #[arg(long = "method", value_name = "METHOD", value_parser = PossibleValuesParser::new(methods()))]
    pub methods: Vec<String>,
    /// Compare pairs of searches instead: of a system with itself (0%), or with this much more
    /// capacity, such as 0%,10%; --runs is then the number of pairs.
    #[arg(long, value_name = "CHANGES", value_delimiter = ',', value_parser = capacity_change, conflicts_with = "methods")]
    pub compare: Vec<f64>,
    /// Search this many systems drawn at random with the seed, instead of shipped ones.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000), conflicts_with_all = ["systems", "methods", "compare"])]
    pub random: Option<u32>,
    /// Of the drawn systems, only those with an even number (calibrate), to tune a search on, or an
    /// odd one (judge), to judge it [default: both].
    #[arg(long, value_name = "HALF", requires = "random")]
    pub half: Option<Half>,
    /// Folder for the tables and charts.
    #[arg(long, value_name = "DIR", default_value = "reports/lab")]
    pub out: PathBuf,
    /// Cache folder for computed true breakpoints [default: breakpoint/ in the user's cache
    /// folder].
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Threads to use [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Print only the table, no progress.
    #[arg(short, long)]
    pub quiet: bool,
}

/// A half of the systems drawn at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Half {
    /// Those with an even number.
    Calibrate,
    /// Those with an odd number.
    Judge,
}

impl Half {
    /// Whether it has the system with this number.
    pub fn has(self, index: u32) -> bool {
        (self == Self::Judge) == (index % 2 == 1)
    }
}

/// The values of `--method`.
fn methods() -> Vec<&'static str> {
    let mut names: Vec<&str> = Method::ALL.map(Method::name).to_vec();
    names.push("all");
    names
}

fn precision(text: &str) -> Result<f64, String> {
    let share = crate::units::parse_ratio(text).map_err(|e| e.to_string())?;
    if share > 0.0 && share < 1.0 {
        Ok(share)
    } else {
        Err("a share between 0 and 100 %, such as 5%".to_owned())
    }
}

fn capacity_change(text: &str) -> Result<f64, String> {
    let share = crate::units::parse_ratio(text).map_err(|e| e.to_string())?;
    if (0.0..=10.0).contains(&share) {
        Ok(share)
    } else {
        Err("a share between 0 and 1000 %, such as 10%".to_owned())
    }
}

impl LabArgs {
    /// The methods asked for, in the table's order, each once.
    pub fn chosen(&self) -> Vec<Method> {
        let asked = |m: &Method| self.methods.iter().any(|a| a == m.name() || a == "all");
        let chosen: Vec<Method> = Method::ALL.into_iter().filter(asked).collect();
        if chosen.is_empty() {
            vec![Method::Ours]
        } else {
            chosen
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn find(args: &[&str]) -> FindArgs {
        let all = ["breakpoint", "find"].iter().chain(args);
        match Cli::try_parse_from(all).unwrap().command {
            Command::Find(find) => find,
            other => panic!("not find: {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn profiles_objectives_and_limits_arrive_as_typed() {
        let args = find(&[
            "gateway-512mb",
            "redis-512mb",
            "--profile",
            "./mine.toml",
            "--slo",
            "p99<2s",
            "--slo=errors<1%",
            "--max-vus",
            "900",
            "--precision",
            "3%",
            "-q",
        ]);
        assert_eq!(args.profiles, ["gateway-512mb", "redis-512mb"]);
        assert_eq!(args.files, [PathBuf::from("./mine.toml")]);
        assert!(args.watch.quiet);
        let flags = args.flags();
        assert_eq!(flags.slo, ["p99<2s", "errors<1%"]);
        assert_eq!(flags.max_vus, Some(900));
        assert_eq!(flags.precision.as_deref(), Some("3%"));
    }

    #[test]
    fn what_cannot_be_meant_is_a_usage_error() {
        for args in [
            &["breakpoint"][..],
            &["breakpoint", "find", "--max-vus", "-3"],
            &["breakpoint", "find", "--max-vus", "many"],
            &["breakpoint", "init"],
            &["breakpoint", "report"],
            &["breakpoint", "ramp"],
            &["breakpoint", "ramp", "--stages", "100"],
            &["breakpoint", "compare", "one"],
            &["breakpoint", "compare", "a", "b", "--fail-if", "breakpoint"],
            &[
                "breakpoint",
                "compare",
                "a",
                "b",
                "--fail-if",
                "breakpoint<5%",
            ],
            &["breakpoint", "compare", "a", "b", "--sizes", "1,0"],
            &["breakpoint", "compare", "a", "b", "--slo", "p99<1s"],
            &["breakpoint", "compare", "a", "b", "--repeat", "0"],
            &["breakpoint", "demo", "--service", "bimodal"],
            &["breakpoint", "demo", "--memory-limit", "3 apples"],
        ] {
            let error = Cli::try_parse_from(args).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{args:?}");
        }
    }

    #[test]
    fn the_defaults_that_the_help_names_are_those_of_the_plan() {
        let flags = FindFlags {
            url: Some("http://127.0.0.1:1/".to_owned()),
            slo: vec!["p99<1s".to_owned()],
            ..FindFlags::default()
        };
        let plan = crate::plan::Plan::resolve(None, &flags).unwrap();
        let mut command = Cli::command();
        let help = command
            .find_subcommand_mut("find")
            .unwrap()
            .render_help()
            .to_string();
        let search = &plan.search;
        for text in [
            format!("Lowest level [default: {}]", search.min.get()),
            format!("Highest level [default: {},", search.max.get()),
            format!("First level visited [default: {}]", search.start.get()),
            format!("[default: {}%]", search.precision * 100.0),
            format!("[default: {}%]", search.confidence * 100.0),
            format!("take [default: {}m]", search.budget.as_secs() / 60),
            format!("per second [default: {}]", plan.pace_per_s),
            format!("[default: {}]", plan.seed),
            format!("reports [default: {}]", plan.out.display()),
        ] {
            assert!(help.contains(&text), "the help lacks `{text}`:\n{help}");
        }
    }
}
