//! The command line: what was typed, nothing resolved.

mod compare;
mod demo;
mod init;
mod lab;
mod ramp;
mod request;
mod scale;
mod script;
mod worker;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};

use crate::plan::{FindFlags, Http};
use crate::report::OutputFormat;
pub use compare::CompareArgs;
pub use demo::{DemoArgs, ServiceKind};
pub use init::InitArgs;
pub use lab::{Half, LabArgs};
pub use ramp::RampArgs;
pub use request::RequestArgs;
pub use scale::ScaleArgs;
pub use script::ScriptArgs;
pub use worker::WorkerArgs;

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
hysteresis, bimodal, no rows left), 4 generator or host was the bottleneck, 5 broke at the minimum or target down,
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
  breakpoint find --script script.js                 a k6 script, run without k6; it has the SLO

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
    #[command(after_help = ramp::EXAMPLES)]
    Ramp(RampArgs),
    /// Compare runs: what changed, whether the evidence is sufficient, and what could explain it.
    #[command(after_help = compare::EXAMPLES)]
    Compare(CompareArgs),
    /// Search a target at several sizes (1, 2, 4 units): what each carries, how that grows, and how
    /// many are needed.
    #[command(after_help = scale::EXAMPLES)]
    Scale(ScaleArgs),
    /// Run one cycle of a single user and show the whole exchange: requests, responses, events,
    /// values, and how each step is judged.
    #[command(after_help = TRY_EXAMPLES)]
    Try(TryArgs),
    /// Print what `find` would do (levels, likely and worst-case time, descriptors, ports) without
    /// sending anything.
    Plan(FindArgs),
    /// Write a commented profile for a service: from its URL, a curl line, a browser's recording,
    /// an OpenAPI description, a Postman collection, or a k6 script.
    #[command(after_help = init::EXAMPLES)]
    Init(InitArgs),
    /// Run only the demo target, until interrupted.
    Demo(DemoArgs),
    /// Render the reports of a recorded run or comparison again.
    Report(ReportArgs),
    /// Join a Locust master as a worker: its users are VUs of this program that run the scenario of
    /// a profile.
    #[command(after_help = worker::EXAMPLES)]
    Worker(WorkerArgs),
    /// Print the plug-in that reports exact latencies of a Locust cluster; load it on master and
    /// workers.
    #[command(after_help = worker::PLUGIN_EXAMPLES)]
    LocustPlugin,
    /// Run many searches against simulated systems with a known breakpoint, and compare.
    #[command(after_help = lab::EXAMPLES)]
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
    /// Size at which the target is brought up, for `{{ size }}` in the profile: 4, 0.5, 512m.
    #[arg(long, value_name = "SIZE")]
    pub size: Option<String>,
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
    /// --max-vus then limits concurrent VUs. So are scripts whose scenarios have arrival rates,
    /// unless --min-vus, --start-vus or --require-vus is given.
    #[arg(long, value_name = "ARRIVALS", num_args = 0..=1, require_equals = true, default_missing_value = "poisson")]
    pub rate: Option<String>,
    /// Scenario of the script that is searched; the others keep their VUs or rates [default: all of
    /// them share the level].
    #[arg(long, value_name = "NAME")]
    pub population: Option<String>,
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
    /// Load generator: native (this program), script (so too, with --script), locust (a running
    /// Locust cluster, whose master's web UI is at --locust-url), or k6 (k6 itself runs --script)
    /// [default: native].
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
    /// The k6 script to run, and what it is given.
    #[command(flatten)]
    pub script: ScriptArgs,
    /// The k6 program, which then runs the script itself [default: k6 from PATH].
    #[arg(long, value_name = "PATH")]
    pub k6: Option<PathBuf>,
    /// How k6 reaches a level: gate, the only way; runs and profiles of before may say it.
    #[arg(long, value_name = "MODE", hide = true)]
    pub k6_mode: Option<String>,
    /// Functions of the script that the VUs run, with weights, such as browse=3,buy=1 [default:
    /// those of its scenarios].
    #[arg(long, value_name = "FUNCTIONS")]
    pub k6_exec: Option<String>,
    /// Variable for the script (`__ENV.NAME`) that k6 itself runs; repeatable. The script sees the
    /// environment too.
    #[arg(long, value_name = "NAME=VALUE")]
    pub k6_env: Vec<String>,
}

impl EngineArgs {
    /// The flags of a plan with what these say.
    fn added_to(&self, flags: FindFlags) -> FindFlags {
        let flags = self.script.added_to(flags);
        FindFlags {
            engine: self.engine.clone(),
            locust_url: self.locust_url.clone(),
            locust_header: self.locust_header.clone(),
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
    pub format: Option<OutputFormat>,
}

impl FindArgs {
    /// The part that changes the plan.
    pub fn flags(&self) -> FindFlags {
        let flags = self.connect.added_to(FindFlags::default());
        self.load.added_to(FindFlags {
            url: self.url.clone(),
            size: self.size.clone(),
            slo: self.slo.clone(),
            min_vus: self.min_vus,
            max_vus: self.max_vus,
            start_vus: self.start_vus,
            rate: self.rate.clone(),
            population: self.population.clone(),
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
    /// Population of the user, if not that of `[scenario]`, or scenario of a script.
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
    /// A script whose iteration is shown.
    #[command(flatten)]
    pub script: ScriptArgs,
    /// Approve the commands of the profile (up, down) without a prompt.
    #[arg(long)]
    pub yes: bool,
}

/// `breakpoint report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// Folder of a recorded run or comparison (with its result.json, ramp.json or compare.json).
    pub dir: PathBuf,
    /// Print only this format and write nothing [default: write all files into the folder again].
    #[arg(long, value_name = "FORMAT", value_parser = format())]
    pub format: Option<OutputFormat>,
}

/// The values of `--format`.
fn format() -> impl TypedValueParser<Value = OutputFormat> {
    let names = PossibleValuesParser::new(OutputFormat::ALL.map(OutputFormat::name));
    names.try_map(|name| OutputFormat::named(&name).ok_or("no such format"))
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
